#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every flow of the vendor's table, from and to every machine, over real connections: what passes,
and that nothing else does."""
import os
import random
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, NARROW, Lab, RawSender, Sniffer, dns, is_syn, main,
                 ping, probe_all,  # noqa: E402
                 udp_exchange, vendor, wait_for)

PORTS = vendor.PORTS + vendor.CLOSED_PORTS
NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


def machines(family):
    """(who opens, address, who is meant, what that stands for in the vendor's table)."""
    server = ADDRESS[family]["server"]
    yield "client", server, "server", "server"
    yield "admin", server, "server", "server"
    yield "gateway", server, "server", "server"
    yield "server", ADDRESS[family]["client"], "client", "client"
    yield "server", ADDRESS[family]["admin"], "admin", "admin"
    yield "server", GATEWAY["lan"][family], "gateway", "gateway"
    yield "server", GATEWAY["wan"][family], "gateway", "gateway"
    yield "server", LICENSE[0][family], "internet", vendor.LICENSE_NAME
    yield "server", EXCHANGE[family], "internet", "Exchange"
    # Not the server's business: a neighbour of the same gateway.
    yield "client", ADDRESS[family]["admin"], "admin", "admin"


def expected_flows(source, meaning, port, flows):
    if "server" not in (source, meaning):
        return ["not the server's traffic"]
    return vendor.allowed(source, meaning, port, flows)


def fence(source, target):
    """A connection that is allowed in each configuration here and takes the way of the ones before."""
    return lambda: Lab.connect(None, source, target, 443 if "server" != source else 80).close()


def try_all(tap, lab, flows):
    """Returns how many attempts must have been denied: (inbound, outbound)."""
    denied_in = denied_out = 0
    for family in FAMILIES:
        for source, target, who, meaning in machines(family):
            wanted = [(source, target, port, bool(expected_flows(source, meaning, port, flows))) for port in PORTS]
            sniffer = None if who == "gateway" else Sniffer(who, keep=is_syn)
            try:
                probes = probe_all(wanted, fence(source, target))
            finally:
                if sniffer is not None:
                    sniffer.close()
            arrived = {packet.dport for packet in sniffer.packets} if sniffer is not None else set()
            for probe, (_, _, port, expected) in zip(probes, wanted):
                title = "%s to %s (%s) port %d: " % (source, who, target, port)
                if expected:
                    tap.ok(probe.result == "open " + who,
                           title + "open by " + ", ".join(expected_flows(source, meaning, port, flows)),
                           "got %s" % probe.result)
                else:
                    tap.ok(probe.result is None and port not in arrived, title + "denied",
                           "got %s, the SYN %s" % (probe.result, "arrived" if port in arrived else "did not arrive"))
                    denied_in += who == "server"
                    denied_out += source == "server"
    return denied_in, denied_out


def serve_everywhere(lab):
    for machine in ("server", "client", "admin", "gateway", "internet"):
        lab.serve(machine, tcp=PORTS)


def the_vendors_table(tap):
    """The 17 flows as they are written."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.guard(lab.config())
        if daemon is not None:
            daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                               "the vendor's name is known")
        serve_everywhere(lab)
        denied_in, denied_out = try_all(tap, lab, vendor.FLOWS)
        if daemon is not None:
            status = daemon.status()
            tap.ok(status["denied"]["in"] + status["denied"]["early"] >= denied_in > 0,
                   "denied connections to the server are counted", status["denied"])
            tap.ok(status["denied"]["out"] >= denied_out > 0, "denied connections of the server are counted",
                   status["denied"])
            unused = [flow["id"] for flow in status["flows"] if flow["section"] != "infrastructure"
                      and not flow["attempts"] and flow["id"] not in ("icewarp-out",)]
            tap.equal(unused, [],
                      "each flow counts its connections (icewarp-out: its ports and targets are those of ews-out)")


def narrowed(tap):
    """443 outbound for the vendor's name and one Exchange server alone."""
    flows = [flow for flow in vendor.FLOWS if flow.id != "icewarp-out"]
    flows = [flow._replace(target="Exchange") if flow.id == "ews-out" else flow for flow in flows]
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.guard(lab.config(flows=NARROW))
        if daemon is not None:
            daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                               "the vendor's name is known")
        serve_everywhere(lab)
        try_all(tap, lab, flows)


def scan(tap, lab, source, expected, title):
    """A SYN to each of the 65,535 ports; what counts is what arrives at the server."""
    for family in FAMILIES:
        address, server = ADDRESS[family][source], ADDRESS[family]["server"]
        with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.src == address) as sniffer:
            with RawSender(source, address, server) as sender:
                for port in range(1, 65536):
                    sender.tcp(40000, port)
                # What arrives, arrives in order: this one is the last.
                sender.tcp(40001, 443)
            wait_for(lambda: sniffer.seen(lambda packet: packet.sport == 40001), "the last SYN arrives")
        ports = sorted({packet.dport for packet in sniffer.packets if packet.sport == 40000})
        tap.equal(ports, expected, "IPv%d: of all 65,535 ports only these are open %s" % (family, title))


def all_tcp_ports(tap):
    """All ports of the server, dropped before and after connection tracking."""
    for early in ("yes", "no"):
        with Lab(tap) as lab:
            lab.guard(lab.config(gateway="early_drop = " + early))
            scan(tap, lab, "client", [143, 443, 993], "from anywhere, early_drop = " + early)
            scan(tap, lab, "admin", [143, 443, 993, 8470, 8474], "from the administrators, early_drop = " + early)


def arrivals(source, target, family, who, send, last):
    """What arrives of send(sender), as a list of packets, until last(sender)'s mark is there."""
    address = ADDRESS[family][source]
    with Sniffer(who, keep=lambda packet: packet.src == address and packet.dst == target) as sniffer:
        with RawSender(source, address, target) as sender:
            send(sender)
            last(sender)
        wait_for(lambda: sniffer.seen(lambda packet: packet.sport == 40001), "the mark arrives")
    return [packet for packet in sniffer.packets if packet.sport != 40001]


def other_protocols(tap):
    """UDP and ICMP from and to the server, as samples."""
    udp_ports = [1, 7, 53, 67, 69, 80, 111, 123, 135, 137, 138, 161, 389, 443, 445, 500, 514, 993, 1194, 1434, 1900,
                 3389, 4500, 5353, 5355, 8470, 8474]
    udp_ports += random.Random(1).sample(range(9000, 65536), 40)

    def udp(sender):
        for port in udp_ports:
            sender.udp(40000, port)
    with Lab(tap) as lab:
        lab.guard(lab.config())
        for family in FAMILIES:
            server, ipv = ADDRESS[family]["server"], "IPv%d: " % family
            for source in ("client", "admin"):
                got = arrivals(source, server, family, "server", udp, lambda sender: sender.tcp(40001, 443))
                tap.equal([packet.dport for packet in got], [], ipv + "no UDP from %s" % source)
            got = arrivals("client", server, family, "server", lambda sender: sender.echo(),
                           lambda sender: sender.tcp(40001, 443))
            tap.equal(got, [], ipv + "no ICMP echo from anywhere")
            got = arrivals("admin", server, family, "server", lambda sender: sender.echo(),
                           lambda sender: sender.tcp(40001, 443))
            tap.equal([packet.kind for packet in got], ["icmp"], ipv + "ICMP echo from the administrators")
            tap.ok(ping("admin", ADDRESS[family]["admin"], server), ipv + "and its answer comes back")
            for target, who in ((ADDRESS[family]["client"], "client"), (ADDRESS[family]["admin"], "admin")):
                got = arrivals("server", target, family, who, udp, lambda sender: sender.tcp(40001, 80))
                tap.equal([packet.dport for packet in got], [], ipv + "no UDP of the server to %s" % who)
                got = arrivals("server", target, family, who, lambda sender: sender.echo(),
                               lambda sender: sender.tcp(40001, 80))
                tap.equal(got, [], ipv + "no ICMP echo of the server to %s" % who)


def infrastructure(tap):
    """What the vendor's table takes for granted: name service, time; and nothing of it to others."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        time_servers = [ADDRESS[family]["internet"] for family in FAMILIES]
        daemon = lab.guard(lab.config().replace("[gateway]", "time_servers = %s\n\n[gateway]" % " ".join(time_servers),
                                                1))
        lab.serve("internet", udp=[123])
        for family in FAMILIES:
            ipv = "IPv%d: " % family
            for tcp in (False, True):
                answer = dns.query("server", DNS[family], vendor.LICENSE_NAME, dns.A, tcp=tcp, bound=30)
                tap.equal(answer and [address for address, _ in answer[1]], [LICENSE[0][4]],
                          ipv + "the server queries its resolver over " + ("TCP" if tcp else "UDP"))
            tap.ok(udp_exchange("server", ADDRESS[family]["internet"], 123, bound=30),
                   ipv + "the server queries its time server")
            other = EXCHANGE[family]

            def stray(sender):
                sender.tcp(40000, 53)
                sender.udp(40000, 53)
                sender.udp(40000, 123)
            got = arrivals("server", other, family, "internet", stray, lambda sender: sender.tcp(40001, 80))
            tap.equal(got, [], ipv + "neither name service nor time of others")
        if daemon is not None:
            used = {flow["id"]: flow["attempts"]
                    for flow in daemon.status()["flows"] if flow["section"] == "infrastructure"}
            tap.ok(used.get("dns-out", 0) >= 4 and used.get("ntp-out", 0) >= 2, "these flows count as well", used)


def neighbours_and_noise(tap):
    """Neighbour discovery passes; the server's broadcasts are dropped and are no denials;
    a stolen source address is dropped."""
    with Lab(tap) as lab:
        daemon = lab.guard(lab.config())
        listener = lab.serve("server", tcp=[443])
        for machine in ("gateway", "server"):
            lab.run(machine, "ip", "neigh", "flush", "all")
            lab.run(machine, "ip", "-6", "neigh", "flush", "all")
        for family in FAMILIES:
            tap.ok(lab.connect("client", ADDRESS[family]["server"], 443).echo(),
                   "IPv%d: neighbours find each other" % family)
        wait_for(lambda: listener.accepted == 2, "both were accepted")

        with RawSender("server", "192.0.2.25", "203.0.113.10") as sender:
            sender.tcp(40001, 80)
        before = daemon.status() if daemon is not None else None
        lab.run("server", "python3", "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
                "[s.sendto(b'x', ('192.0.2.255', port)) for port in (137, 138)]\n"
                "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.sendto(b'x', ('ff02::1%eth0', 5355))\n")
        if before is not None:
            after = daemon.status()
            tap.equal(after["denied"], before["denied"], "the server's broadcasts are no denials")
            counts = {one["counter"]["name"]: one["counter"]["packets"] for one in daemon.table() if "counter" in one}
            tap.ok(counts["ignored"] >= 2, "they are counted apart", counts)

        for family in FAMILIES:
            stolen, target = ADDRESS[family]["server"], ADDRESS[family]["internet"]
            with Sniffer("internet", keep=is_syn) as sniffer:
                with RawSender("client", stolen, target) as thief, RawSender(
                        "client", ADDRESS[family]["client"], target) as honest:
                    thief.tcp(40000, 80)
                    honest.tcp(40001, 80)
                wait_for(lambda: sniffer.seen(lambda packet: packet.sport == 40001), "the honest SYN arrives")
            tap.equal([packet for packet in sniffer.packets if packet.src == stolen], [],
                      "IPv%d: the server's address from an interface without a route to it is dropped" % family)
        if daemon is not None:
            tap.equal(daemon.status()["guards"]["spoofed"], 2, "and counted")


if __name__ == "__main__":
    main(the_vendors_table, narrowed, all_tcp_ports, other_protocols, infrastructure, neighbours_and_noise)
