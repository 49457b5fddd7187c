#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""policy_fate() and the kernel agree on every port: each TCP and UDP port, each pair of peers, both directions, both
families; and on mid-stream packets of lost connections, swept over the ports of either side. Before that, where
nothing filters, all arrives."""
import os
import random
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from judge_lab import JudgeLab, Totals  # noqa: E402
from lab import ADDRESS, EXCHANGE, FAMILIES, LICENSE, main, vendor  # noqa: E402

ALL = "1-65535"
LONG = bool(os.environ.get("SPEFW_TEST_LONG"))
# Two odd ports, which no flow has: one of the server's own connections, and one that is not.
OWN, OTHER = "53217", "40001"
IH = {4: "192.0.2.131", 6: "2001:db8:2:100::31"}

# A second guarded machine, flows between the two, ranges, narrowed and widened flows, and one that is off.
FLOWS = """[role IH]
members = %s %s
protected = yes
ephemeral_ports = 30000-30100, 49152-50000, 61001

[flow ews-out]
to = %s %s

[flow icewarp-out]
enabled = no

[flow console-in]
port = 18470

[flow crl]
from = SERVER

[flow ih-in]
from = ANY
to = IH
protocol = tcp
port = 443, 9000-9010

[flow server-to-ih]
from = SERVER
to = IH
protocol = tcp
port = 8463, 20000-20100

[flow ih-to-server]
from = IH
to = SERVER
protocol = tcp
port = 8461

[flow backup-in]
from = %s %s
to = SERVER
protocol = tcp
port = 445, 10000-10100

[flow syslog-in]
from = ADM
to = SERVER IH
protocol = udp
port = 514, 5000-5009

[flow server-ping]
from = SERVER
to = ANY
protocol = icmp-echo
""" % (IH[4], IH[6], EXCHANGE[4], EXCHANGE[6], ADDRESS[4]["client"], ADDRESS[6]["client"])
EXTRA_PORTS = (53, 123, 443, 445, 514, 5000, 5009, 8461, 8463, 9000, 9010, 10000, 10100, 18470, 20000, 20100, 30000,
               30100, 49152, 50000, 61001)

# What connection tracking takes for no part of a connection: never let through.
STRAYS = ("syn-ack", "fin", "reset")


def port_edges():
    edges = {edge for port in tuple(vendor.PORTS) + EXTRA_PORTS for edge in (port - 1, port, port + 1)}
    return sorted(edges | {1, 2, 1023, 1024, 65534, 65535})


def peers(family):
    """Who is on the other side of the server."""
    gateway = {4: "192.0.2.1", 6: "2001:db8:2::1"}[family]
    yield "any", ADDRESS[family]["client"]
    yield "admin", ADDRESS[family]["admin"]
    yield "the vendor's name", LICENSE[0][family]
    yield "gateway", gateway
    yield "another protected role", IH[family]


def sweeps(kind, source, target, thorough):
    """The probes from one host to another. thorough: mid-stream packets are swept over all ports, too,
    rather than over those that matter."""
    edges, some = port_edges(), random.Random(1).sample(range(1, 65536), 100)
    piece_ports = ALL if thorough else edges + some
    if kind == "new":
        yield "syn", [source], [target], OWN, ALL
        yield "udp", [source], [target], OWN, ALL
        yield "echo", [source], [target], OWN, OWN
        # A port that a flow has must mean nothing as the source of a new connection.
        yield "syn", [source], [target], edges, vendor.PORTS + [445, 3389]
    else:
        yield "ack", [source], [target], OWN, piece_ports
        yield "ack", [source], [target], piece_ports, OWN
        yield "push", [source], [target], edges, edges
        yield "ack", [source], [target], some, edges
        yield "ack", [source], [target], OTHER, edges
        yield "ack", [source], [target], edges, OTHER
        for stray in STRAYS:
            yield stray, [source], [target], edges[:40], edges[:40]


def sample(family):
    """A few thousand packets that open connections: of all kinds, from and to all, with ports at edges and others."""
    dice = random.Random(family)
    server = ADDRESS[family]["server"]
    for _, peer in list(peers(family)) + [("a name, without a flow", EXCHANGE[family])]:
        for source, target in ((peer, server), (server, peer)):
            ports = dice.sample(port_edges(), 60) + dice.sample(range(1, 65536), 20) + vendor.PORTS
            yield "syn", [source], [target], OWN, sorted(set(ports))
            yield "udp", [source], [target], OWN, sorted(set(dice.sample(ports, 30)) | {53, 123, 514, 5000})
            yield "echo", [source], [target], OWN, OWN
    # What is not ours, and of one protected role to the outside.
    yield "syn", [ADDRESS[family]["client"]], [ADDRESS[family]["admin"]], OWN, "440-445"
    yield "syn", [IH[family]], [ADDRESS[family]["client"]], OWN, sorted(set(dice.sample(port_edges(), 40)))


def explained(tap, lab, daemon, title):
    """What Explain replies of a packet is what the kernel does with it: whether it arrives, and what counts it."""
    kinds = {"syn": "tcp", "udp": "udp", "echo": "icmp-echo"}
    wrong, tally = [], Totals()
    for family in FAMILIES:
        for kind, source, target, port, arrived, counter in lab.each(*sample(family)):
            host = "[%s]" % target if kind != "echo" and family == 6 else target
            question = {"source": source, "target": "%s:%d" % (host, port) if kind != "echo" else host,
                        "protocol": kinds[kind], "others": False}
            result = daemon.call("Explain", question)["results"][0]
            told = (result["verdict"] != "denied", result.get("counter"), result["differs"],
                    "flow-%s" % result["flow"]["id"] if result["verdict"] == "allowed" else counter)
            tally.add({result["verdict"]: 1, "packets": 1})
            if told != (arrived, counter, False, counter):
                wrong.append("%s: told %s, the kernel: %s, %s" % (question, told, arrived, counter))
    tap.note("%s: explained: %s" % (title, tally))
    tap.equal(wrong[:10], [], title + ": Explain tells what the kernel does, of each of %d packets" % tally["packets"])
    tap.ok(tally["allowed"] > 100 and tally["denied"] > 1000 and tally["unguarded"] > 5,
           title + ": each verdict was to be seen", tally)


def try_policy(tap, title, thorough, **config):
    totals = Totals()
    with JudgeLab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        daemon = lab.spefwd(lab.config(**config).replace("[gateway]",
                                                         "time_servers = %s\n\n[gateway]" % ADDRESS[4]["internet"], 1))
        known = daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                                   "the vendor's name is known")
        tap.equal(lab.load(daemon.config), None, title + ": the judge takes the same file")
        lab.ask("name %s %s" % (vendor.LICENSE_NAME, " ".join(daemon.addresses(vendor.LICENSE_NAME, known))))
        for family in FAMILIES:
            server = ADDRESS[family]["server"]
            for name, peer in peers(family):
                for way, source, target in (("to the server from", peer, server), ("from the server to", server, peer)):
                    for kind in ("new", "mid-stream"):
                        label = "%s: IPv%d, %s %s %s" % (title, family, "new connections" if kind == "new" else kind,
                                                         way, name)
                        sum_up = Totals()
                        remarks = []
                        for probe in sweeps(kind, source, target, thorough):
                            got, lines = lab.probe(probe)
                            sum_up.add(got)
                            remarks += lines
                        totals.add(sum_up)
                        tap.ok(sum_up["mismatches"] == 0 and sum_up["denied"], label,
                               "\n".join(["%s" % sum_up] + remarks))
        explained(tap, lab, daemon, title)
    tap.note("%s: %s" % (title, totals))
    tap.ok(totals["allowed"] > 10000 and totals["denied"] > 1000000, title + ": both verdicts were to be seen")
    tap.equal(totals["mismatches"], 0,
              title + ": the judge and the kernel agree on each of %d packets" % totals["probes"])


def nothing_filters(tap):
    """Without a table, whatever is sent arrives, however much of it reaches the gateway from several machines."""
    with JudgeLab(tap) as lab:
        for kind in ("syn", "push", "udp"):
            probes = [(kind, [ADDRESS[family][machine]], [ADDRESS[family]["gateway"]], OWN, "1-%d" % count)
                      for family in FAMILIES for machine, count in (("server", 100), ("admin", 1000))]
            totals, remarks = lab.probe(*probes)
            tap.equal((totals["probes"], totals["other"], totals["again"], totals["mismatches"], remarks),
                      (2200, 2200, 0, 0, []), kind + ": all of it arrives at once")


def everything(tap):
    """The vendor's flows, a second protected role, narrowed and custom flows."""
    try_policy(tap, "early drop, prevent", True, flows=FLOWS, gateway="early_drop = yes\ninterception = prevent")


def without_help(tap):
    """The vendor's flows as they are; no early drop, nothing about interception;
    without the abilities of newer kernels."""
    os.environ["SPEFW_ABILITIES"] = "none"
    try_policy(tap, "the vendor's table", LONG, gateway="early_drop = no\ninterception = off",
               flows="[role IH]\nmembers = %s %s\nprotected = yes\n" % (IH[4], IH[6]))


if __name__ == "__main__":
    main(nothing_filters, everything, without_help)
