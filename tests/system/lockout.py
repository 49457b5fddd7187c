#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A protected address that is the gateway's own would lock the gateway: refused when it is written,
left out when it comes later."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, FAMILIES, GATEWAY, Daemon, Lab, NotReady, Sniffer, VarlinkError, frozen, is_syn, main, probe_all)
from lab.checks import guarded, with_all_and_none  # noqa: E402

WIDER = "192.0.2.25 192.0.2.28-192.0.2.31 2001:db8:2::25 2001:db8:2::28/126"
LATER = {4: "192.0.2.29", 6: "2001:db8:2::29"}


def refused(tap):
    """In the file already: --check, start and reload refuse it, and name the address."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config())
        before = frozen(daemon.table(handles=True), handles=True)
        cases = [("192.0.2.25 2001:db8:2::25 " + address, address) for interface in GATEWAY
                 for address in GATEWAY[interface].values()]
        cases += [("192.0.2.0/24", "192.0.2.1"), ("2001:db8:2::/64", "2001:db8:2::1"),
                  ("198.51.100.100-198.51.100.200", "198.51.100.129")]
        for server, address in cases:
            daemon.write(lab.config(server=server))
            done = daemon.run("spefwd", "--check", "-c", daemon.config)
            tap.ok(done.returncode == 1 and address + " is this gateway's own address" in done.stderr,
                   "server = %s: --check refuses it" % server, done.stderr)
            try:
                daemon.reload()
                tap.ok(False, "server = %s: reload refuses it" % server)
            except VarlinkError as error:
                tap.ok(error.error.endswith("ConfigInvalid") and "spefw.ini:2: " in str(error)
                       and address in str(error), "server = %s: reload refuses it" % server, error)
        role = "[role IH]\nmembers = 192.0.2.31 203.0.113.1\nprotected = yes\n"
        try:
            daemon.reload(lab.config(extra=role))
            tap.ok(False, "another protected role: reload refuses it")
        except VarlinkError as error:
            tap.ok("203.0.113.1 " in str(error), "another protected role: reload refuses it", error)
        tap.ok(frozen(daemon.table(handles=True), handles=True) == before and guarded(lab),
               "nothing changed in the kernel")
        tap.ok(daemon.reload(lab.config(extra=role.replace("protected = yes\n", "")))["warnings"] is not None,
               "in a role that is not protected it may be")
        daemon.stop()
        daemon.run("spefwd", "--clear")
        fresh = Daemon(lab, lab.config(server="192.0.2.0/24"), name="fresh")
        try:
            fresh.start()
            tap.ok(False, "the first start refuses it")
        except NotReady as error:
            tap.equal(error.returncode, 78, "the first start refuses it: exit 78")
            tap.ok("192.0.2.1 is this gateway's own address" in fresh.log(), "and the reason is logged", fresh.log())
        fresh.process = None


def comes_later(tap):
    """The gateway gets one of the protected addresses: it is left out, the gateway stays open, and status shows it."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 8470, 3389])
        lab.serve("gateway", tcp=[22])
        daemon = lab.spefwd(lab.config(server=WIDER))
        lab.ip("server", "addr add %s/32 dev eth0" % LATER[4],
               "addr add %s/128 dev eth0 nodad preferred_lft 0" % LATER[6])
        lab.wait_neighbours("server", LATER[6])
        daemon.wait_status(lambda status: "own-address" not in daemon.reason_codes(status),
                           "nothing is left out")
        before = frozen(daemon.table())

        def gateway_is_open(family):
            return lab.connect("client", LATER[family], 22, bound=20).echo()

        def is_closed(family):
            """The client's SYN to that address reaches neither the server nor the gateway's listener."""
            with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dst == LATER[family]) as sniffer:
                [probe] = probe_all([("client", LATER[family], 22, False)],
                                    lambda: lab.connect("client", ADDRESS[family]["server"], 443).close())
            return probe.result is None and not sniffer.packets

        for family in FAMILIES:
            ipv = "IPv%d: " % family
            add = "addr add %s dev lan%s" % (LATER[family] + ("/32" if family == 4 else "/128"),
                                             " nodad" if family == 6 else "")
            lab.ip("gateway", add)
            status = daemon.wait_status(lambda now: now["health"] == "degraded"
                                        and "own-address" in daemon.reason_codes(now), "degraded")
            tap.ok(any(LATER[family] in one for one in daemon.reasons(status, "own-address")),
                   ipv + "status names the address that is left out", status["reasons"])
            tap.ok(LATER[family] + " is protected and now this gateway's own" in daemon.log(), ipv + "the log shows it")
            tap.ok(gateway_is_open(family), ipv + "the gateway can be reached at it")
            tap.ok(guarded(lab), ipv + "all other protected addresses are guarded")
            for title, act in (("SIGTERM", daemon.stop), ("kill -9", daemon.kill)):
                act()
                daemon.start()
                status = daemon.status()
                tap.ok(any(LATER[family] in one for one in daemon.reasons(status, "own-address")),
                       ipv + title + " and a start: it comes up, degraded, and the reason is shown",
                       (status["health"], status["reasons"]))
                tap.ok(gateway_is_open(family) and guarded(lab),
                       ipv + title + " and a start: the gateway can be reached, the server is guarded")
            left = lab.connect("client", LATER[family], 22)
            lab.ip("gateway", add.replace("addr add", "addr del").replace(" nodad", ""))
            daemon.wait_status(lambda now: "own-address" not in daemon.reason_codes(now), "guarded again")
            entries = lab.run("gateway", "conntrack", "-L", "-f", "ipv%d" % family).stdout.splitlines()
            tap.equal([line for line in entries if "dst=%s " % LATER[family] in line], [],
                      ipv + "the address is gone: what was open there is cut")
            left.close()
            tap.ok(is_closed(family), ipv + "the address is gone: it is guarded again")
            tap.ok(guarded(lab), ipv + "as are the others")
        daemon.reload()
        after = frozen(daemon.table())
        # But for what they remember of cut connections.
        before, after = ([one for one in table if "set" in one and not one["set"]["name"].startswith("cut_")]
                         for table in (before, after))
        tap.ok(before == after, "the sets are what they were")


if __name__ == "__main__":
    main(*with_all_and_none(refused, comes_later))
