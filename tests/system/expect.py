#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""expect: a flow without an answered connection degrades health until one is answered,
and what is no answer does not."""
import os
import re
import socket
import struct
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, Lab, Probe, RawSender, Sniffer, main, ping, udp_exchange, vendor,
    wait_for)

SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
NONE = "preset = none"
GOOD, SILENT, REFUSED, HALF, INBOUND, ABORTED, UDP, UDP_SILENT = range(7001, 7009)
NAT = """table inet nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		ip daddr %s tcp dport %d dnat ip to %s
		ip6 daddr %s tcp dport %d dnat ip6 to %s
		iifname "lan" fib daddr type local tcp dport %d dnat ip to %s
		iifname "lan" fib daddr type local tcp dport %d dnat ip6 to %s
	}
	chain post {
		type nat hook postrouting priority srcnat;
		iifname "lan" oifname "wan" masquerade
	}
}
""" % (GATEWAY["wan2"][4], INBOUND, SERVER[4], GATEWAY["wan2"][6], INBOUND, SERVER[6],
       GOOD, EXCHANGE[4], GOOD, EXCHANGE[6])


def flow(name, source, target, port, expect, protocol="tcp"):
    return "[flow %s]\nfrom = %s\nto = %s\nprotocol = %s\n%s%s\n" % (
        name, source, target, protocol, "port = %d\n" % port if port else "",
        "expect = %s\n" % expect if expect else "")


def both(name, port, expect, protocol="tcp"):
    """One flow of the server for each family. Over UDP the peer answers from its first address."""
    return "".join(flow("%s-%d" % (name, family), "SERVER",
                        ADDRESS[family]["internet"] if protocol == "udp" else EXCHANGE[family], port, expect, protocol)
                   for family in FAMILIES)


def inbound(name, port, expect, protocol="tcp"):
    return "".join(flow("%s-%d" % (name, family), ADDRESS[family]["client"], "SERVER", port, expect, protocol)
                   for family in FAMILIES)


def of(status, name):
    [one] = [one for one in status["flows"] if one["id"] == name]
    return one


def overdue(status):
    return sorted(one["id"] for one in status["flows"] if one.get("overdue"))


def wait_overdue(daemon, names, what):
    """Until these flows are overdue and no other is."""
    return daemon.wait_status(lambda status: overdue(status) == sorted(names), what)


def logged(daemon, name):
    """How often it was logged that the flow is silent, and that it is not."""
    return [len(re.findall(r"flow %s: %s" % (name, words), daemon.log()))
            for words in ("no answered connection", "a connection was answered")]


def abort(connection):
    """Its end is an RST: the kernel forgets it soon."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def kinds(tap):
    """What is an answer and what is none, in both modes; cried and cleared once."""
    outgoing = {"good": GOOD, "silent": SILENT, "refused": REFUSED, "half": HALF, "aborted": ABORTED}
    flows = ("".join(both(name, port, "8s") for name, port in outgoing.items()) + inbound("in", INBOUND, "8s")
             + both("udp", UDP, "8s", "udp") + both("udp-silent", UDP_SILENT, "8s", "udp")
             + inbound("ping", 0, "8s", "icmp-echo") + both("free", 7020, None))
    every = ["%s-%d" % (name, family) for name in list(outgoing) + ["in", "udp", "udp-silent", "ping"]
             for family in FAMILIES]
    for mode in ("enforce", "audit"):
        with Lab(tap) as lab:
            lab.serve("internet", tcp=[GOOD, SILENT, HALF, ABORTED], udp=[UDP, UDP_SILENT])
            lab.serve("server", tcp=[INBOUND])
            lab.nft("internet", "table inet silent {\nchain in {\ntype filter hook input priority 0\n"
                    "meta l4proto { tcp, udp } th dport { %d, %d } drop\n}\n}\n" % (SILENT, UDP_SILENT))
            daemon = lab.spefwd(lab.config(gateway=NONE, flows=flows).replace("mode = enforce", "mode = " + mode))
            title = mode + ": "
            status = daemon.status()
            tap.equal((of(status, "good-4")["expect_s"], "last_answered_s" in of(status, "good-4"),
                       "expect_s" in of(status, "free-4")), (8, False, False),
                      title + "what is shown at first")
            status = wait_overdue(daemon, every, title + "all are overdue")
            tap.equal(status["health"], "degraded", title + "health")
            reasons = " ".join(daemon.reasons(status))
            tap.equal(daemon.reason_codes(status), ["flow-silent"] * len(every), title + "a reason each")
            tap.equal([name for name in every if "flow %s" % name not in reasons], [], title + "which names the flow")
            tap.equal(daemon.ctl("status", check=False).returncode, 1, title + "exit status")
            metrics = daemon.ctl("metrics").stdout
            for sample in ('flow_overdue{flow="good-4"} 1', 'flow_expect_seconds{flow="good-4"} 8',
                           'flow_silent_seconds{flow="good-4"} '):
                tap.ok("\nspefw_" + sample in metrics, title + "metrics have " + sample, metrics)
            tap.ok('flow_overdue{flow="free-4"}' not in metrics, title + "and nothing of a flow without the key")
            tap.ok(re.search(r"^good-4 +8s +not in \d+s, overdue$", daemon.ctl("flows").stdout, re.M),
                   title + "flows shows it", daemon.ctl("flows").stdout)
            for family in FAMILIES:
                ipv, target = "%sIPv%d: " % (title, family), EXCHANGE[family]
                before = {name: of(daemon.status(), "%s-%d" % (name, family))["attempts"]
                          for name in ("silent", "refused", "half", "udp-silent")}
                # None of these is an answer ...
                silent = Probe("server", target, SILENT)
                refused = Probe("server", target, REFUSED)
                wait_for(lambda p=refused: (p.step(), p.result)[1], ipv + "the refusal")
                tap.equal(refused.result, "refused", ipv + "a port without a listener refuses")
                with Sniffer("internet", keep=lambda packet: packet.dport == HALF) as sniffer, RawSender(
                        "server", SERVER[family], target) as sender:
                    sender.tcp(41000, HALF)  # the server's kernel knows nothing of it, and resets what was accepted
                    wait_for(lambda s=sniffer: len(s.seen()) >= 2, ipv + "the reset of a half-open connection")
                tap.ok(not udp_exchange("server", ADDRESS[family]["internet"], UDP_SILENT, bound=0.2),
                       ipv + "no answer over UDP")
                # ... these are. Looked at together, they show that the others were looked at.
                lab.connect("server", target, GOOD).close()
                abort(lab.connect("server", target, ABORTED))
                lab.connect("client", SERVER[family], INBOUND).close()
                tap.ok(udp_exchange("server", ADDRESS[family]["internet"], UDP), ipv + "an answer over UDP")
                tap.ok(ping("client", ADDRESS[family]["client"], SERVER[family]), ipv + "an echo reply")
                after = daemon.status()
                for name, count in before.items():
                    tap.ok(of(after, "%s-%d" % (name, family))["attempts"] > count, "%s%s was tried" % (ipv, name))
                answered = ["%s-%d" % (name, family) for name in ("good", "aborted", "in", "udp", "ping")]
                wait_for(lambda names=answered: all(logged(daemon, name)[1] for name in names),
                         ipv + "each answer is logged")
                status = daemon.status()
                for name in ("silent", "refused", "half", "udp-silent"):
                    one = of(status, "%s-%d" % (name, family))
                    tap.ok(one["overdue"] and "last_answered_s" not in one, "%s%s is no answer" % (ipv, name), one)
                for name in answered:
                    tap.equal(logged(daemon, name), [1, 1],
                              "%s%s: its silence and its end are logged once" % (ipv, name))
                    tap.ok("last_answered_s" in of(status, name), "%s%s: it was answered" % (ipv, name))
                silent.close()


def stays(tap):
    """A connection that stays counts while packets pass, and no longer."""
    with Lab(tap) as lab:
        lab.serve("internet", tcp=[GOOD, SILENT])
        daemon = lab.spefwd(lab.config(gateway=NONE, flows=both("good", GOOD, "6s") + both("silent", SILENT, "6s")))
        connections = {family: lab.connect("server", EXCHANGE[family], GOOD) for family in FAMILIES}
        while len(overdue(daemon.status())) < 2:
            for connection in connections.values():
                connection.echo()
            time.sleep(0.1)
        tap.equal(overdue(daemon.status()), ["silent-4", "silent-6"],
                  "packets in open connections keep their flow alive")
        wait_overdue(daemon, ["good-4", "good-6", "silent-4", "silent-6"], "open and idle is silent")
        for family, connection in connections.items():
            tap.ok(connection.echo(), "IPv%d: it was open all the time" % family)
        wait_overdue(daemon, ["silent-4", "silent-6"], "the next packet shows")
        # What was open before is no answer after a restart: when its last packet was is not known.
        for family in FAMILIES:
            tap.equal(logged(daemon, "good-%d" % family), [1, 1], "IPv%d: logged once" % family)
        wait_overdue(daemon, ["good-4", "good-6", "silent-4", "silent-6"], "idle again")
        daemon.stop()
        daemon.start()
        status = daemon.status()
        tap.equal(overdue(status), ["good-4", "good-6", "silent-4", "silent-6"],
                  "a restart makes no answer of an idle connection")
        for connection in connections.values():
            connection.echo()
        wait_overdue(daemon, ["silent-4", "silent-6"], "a packet does")


def translated(tap):
    """Connections that the gateway translates, in each direction."""
    flows = both("good", GOOD, "3s") + inbound("in", INBOUND, "3s") + both("masked", ABORTED, "3s")
    with Lab(tap) as lab:
        lab.nft("gateway", NAT)
        lab.serve("internet", tcp=[GOOD, ABORTED])
        lab.serve("server", tcp=[INBOUND])
        daemon = lab.spefwd(lab.config(gateway=NONE, flows=flows))
        every = ["%s-%d" % (name, family) for name in ("good", "in", "masked") for family in FAMILIES]
        wait_overdue(daemon, every, "all are overdue")
        for family in FAMILIES:
            with lab.connect("server", GATEWAY["lan"][family], GOOD) as connection:
                tap.equal(connection.greeting[0], "internet",
                          "IPv%d: a port forward of the gateway, used by the server" % family)
            with lab.connect("client", GATEWAY["wan2"][family], INBOUND) as connection:
                tap.equal(connection.greeting[0], "server", "IPv%d: a port forward to the server" % family)
            with lab.connect("server", EXCHANGE[family], ABORTED) as connection:
                tap.equal(connection.greeting[2], GATEWAY["wan"][family], "IPv%d: masqueraded" % family)
        # The first of them may be silent for 3 s again before the last one is logged.
        wait_for(lambda: all(logged(daemon, name)[1] for name in every), "each is an answer of its flow")
        tap.ok(True, "each is an answer of its flow")


def survives(tap):
    """How long a flow was silent outlives the daemon; what was not watched does not count."""
    config = Lab.config(gateway=NONE, flows=both("good", GOOD, "3s") + both("slow", SILENT, "1h"))
    with Lab(tap) as lab:
        lab.serve("internet", tcp=[GOOD, SILENT])
        daemon = lab.spefwd(config)
        wait_overdue(daemon, ["good-4", "good-6"], "two are overdue")
        for number, how in ((15, "stopped"), (9, "killed after it was stopped once")):
            silent = of(daemon.status(), "slow-4")["silent_s"]
            daemon.stop(number)
            daemon.start()
            status = daemon.status()
            tap.equal(overdue(status), ["good-4", "good-6"], "%s: overdue from the start" % how)
            tap.ok(of(status, "slow-4")["silent_s"] >= (silent if number == 15 else 1), "%s: the silence goes on" % how,
                   of(status, "slow-4"))
            tap.ok("last_answered_s" not in of(status, "slow-4"), "%s: and was never answered" % how)
        # An answer that ended a silence is not lost by a kill.
        for family in FAMILIES:
            abort(lab.connect("server", EXCHANGE[family], GOOD))
        wait_overdue(daemon, [], "answered")
        daemon.kill()
        lab.run("gateway", "nft", "delete", "table", "inet", "spefw", check=False)
        lab.run("gateway", "conntrack", "-F")
        daemon.start()
        status = daemon.status()
        tap.equal((overdue(status), "last_answered_s" in of(status, "good-4")), ([], True),
                  "as after a reboot: the answer is remembered")
        # Without a table nothing is watched; without the key neither, and it begins again.
        daemon.call("Clear")
        before = of(daemon.status(), "slow-4")["silent_s"]
        time.sleep(2.5)
        tap.ok(of(daemon.status(), "slow-4")["silent_s"] - before <= 1,
               "no silence is counted while the table is removed")
        changes = daemon.reload(config.replace("expect = 3s", "expect = 2s"))["changes"]
        tap.ok("flow good-4: expect 2s, was 3s" in changes, "the reload shows what changed", changes)
        wait_overdue(daemon, ["good-4", "good-6"], "and it is in force")
        daemon.reload(Lab.config(gateway=NONE, flows=both("good", GOOD, None)))
        status = daemon.status()
        tap.equal((status["health"], "expect_s" in of(status, "good-4")), ("ok", False),
                  "without the key nothing is expected")
        daemon.reload(config)
        tap.equal((overdue(daemon.status()), "last_answered_s" in of(daemon.status(), "good-4")), ([], False),
                  "and with it again it begins from the start")


def names(tap):
    """The vendor's heartbeat: a flow by name, also at an address that the name has no more."""
    with Lab(tap) as lab:
        server = lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())}, ttl=1)
        lab.serve("internet", tcp=[443])
        text = lab.config(flows="[flow license-out]\nexpect = 5s\n[flow ews-out]\nto = %s\n[flow icewarp-out]\n"
                          "enabled = no\n" % EXCHANGE[4], dns_section="grace = 0s")
        daemon = lab.spefwd(text)
        wait_overdue(daemon, ["license-out"], "silent")
        for family in FAMILIES:
            wait_for(lambda f=family: LICENSE[0][f] in daemon.addresses(vendor.LICENSE_NAME), "the name is resolved")
        connection = lab.connect("server", LICENSE[0][4], 443)
        wait_overdue(daemon, [], "answered")
        server.set(vendor.LICENSE_NAME, list(LICENSE[1].values()))
        wait_for(lambda: LICENSE[0][4] not in daemon.addresses(vendor.LICENSE_NAME), "the name goes elsewhere")
        wait_overdue(daemon, ["license-out"], "silent again")
        tap.ok(connection.echo(), "a connection to its former address is open")
        wait_overdue(daemon, [], "and is still of its flow")
        connection.close()
        lab.connect("server", EXCHANGE[4], 443).close()
        wait_overdue(daemon, ["license-out"], "another flow's connection on the same port is none of it")
        tap.equal(logged(daemon, "license-out"), [3, 2], "logged at each change")


if __name__ == "__main__":
    main(kinds, stays, translated, survives, names)
