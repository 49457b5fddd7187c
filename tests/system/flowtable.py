#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Another program's flowtable takes connections past all rules:
what the policy denies from now on is cut there as well."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, Failed, Lab, main, wait_for  # noqa: E402

FLOWTABLE = """table inet other {
	flowtable fast { hook ingress priority 0; devices = { lan, wan2 }; }
	chain forward { type filter hook forward priority 10; ct state established flow add @fast; }
}
"""
PORT = 993
OFF = "[flow imaps-in]\nenabled = no\n"


def offloaded(lab, family):
    output = lab.run("gateway", "conntrack", "-f", "ipv%d" % family, "-L", "-p", "tcp", "--dport", str(PORT),
                   check=False).stdout
    return "[OFFLOAD]" in output


def entries(lab, family):
    output = lab.run("gateway", "conntrack", "-f", "ipv%d" % family, "-L", "-p", "tcp", "--dport", str(PORT),
                   check=False).stdout
    return [line for line in output.split("\n") if "dport=%d" % PORT in line]


def goes_on(connection):
    try:
        return bool(connection.echo())
    except OSError:
        return False


def revoked(tap):
    """An offloaded connection ends with its flow; another one goes on."""
    with Lab(tap) as lab:
        try:
            lab.nft("gateway", FLOWTABLE)
        except Failed as error:
            tap.skip("a flowtable", "this kernel has none: " + str(error).split("\n")[1][:100])
            return
        lab.serve("server", tcp=[PORT, 443])
        daemon = lab.spefwd(lab.config())
        cut = {family: lab.connect("client", ADDRESS[family]["server"], PORT) for family in FAMILIES}
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 443) for family in FAMILIES}
        for family in FAMILIES:
            wait_for(lambda family=family: goes_on(cut[family]) and goes_on(kept[family]) and offloaded(lab, family),
                     "IPv%d: it is offloaded" % family)
        daemon.write(lab.config(flows=OFF))
        daemon.reload()
        for family in FAMILIES:
            # Its entry goes at the flowtable's own next look at it, within about a second.
            wait_for(lambda family=family: not entries(lab, family), "IPv%d: its entry is gone" % family)
            tap.ok(not goes_on(cut[family]), "IPv%d: an offloaded connection ends when its flow is off" % family,
                   entries(lab, family))
            tap.ok(goes_on(kept[family]), "IPv%d: one that is allowed goes on" % family)


if __name__ == "__main__":
    main(revoked)
