#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Address translation by the gateway, path MTU, and proxies that want the server's connections."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, Lab, Sniffer, dns, is_syn, main, probe_all, vendor)

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
# ICMP type and code
PACKET_TOO_BIG = {4: (3, 4), 6: (2, 0)}
NAT = """table inet nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		fib daddr type local tcp dport { 143, 443, 8470, 3389 } dnat ip to 192.0.2.25
		fib daddr type local tcp dport { 143, 443, 8470, 3389 } dnat ip6 to 2001:db8:2::25
		fib daddr type local tcp dport 4443 dnat ip to 192.0.2.25:443
		fib daddr type local tcp dport 4443 dnat ip6 to [2001:db8:2::25]:443
	}
	chain post {
		type nat hook postrouting priority srcnat;
		iifname "lan" oifname "wan" masquerade
	}
}
"""


def inbound(tap):
    """A public address of the gateway is forwarded to the server."""
    with Lab(tap) as lab:
        lab.nft("gateway", NAT)
        lab.dns(NAMES)
        daemon = lab.guard(lab.config())
        lab.serve("server", tcp=[143, 443, 8470, 3389])
        for family in FAMILIES:
            for source, interface, wanted in (("client", "wan2",
                                          {143: True, 443: True, 8470: False, 3389: False, 4443: True}),
                                         ("admin", "adm", {143: True, 443: True, 8470: True, 3389: False, 4443: True})):
                public = GATEWAY[interface][family]
                for port, expected in wanted.items():
                    if expected:
                        with lab.connect(source, public, port) as connection:
                            tap.equal((connection.greeting[0], connection.greeting[2]),
                                      ("server", ADDRESS[family][source]),
                                      "IPv%d: %s through the forwarded port %d" % (family, source, port))
                    else:
                        with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == port) as sniffer:
                            [probe] = probe_all([(source, public, port, False)],
                                                lambda: lab.connect(source, public, 443).close())
                        tap.ok(probe.result is None and not sniffer.packets,
                               "IPv%d: %s is denied at the forwarded port %d" % (family, source, port))
        if daemon is not None:
            status = daemon.wait_status(lambda now: now["health"] == "ok", "healthy")
            tap.equal(status["guards"]["intercepted"], 0, "a forwarded port is no interception")


def outbound(tap):
    """The server's connections leave with the gateway's address; its names are resolved over UDP and TCP."""
    with Lab(tap) as lab:
        lab.nft("gateway", NAT)
        lab.dns(NAMES)
        lab.guard(lab.config(gateway="early_drop = yes"))
        lab.serve("internet", tcp=[80, 443, 25, 993])
        for family in FAMILIES:
            ipv = "IPv%d: " % family
            for port in (80, 443, 993):
                with lab.connect("server", EXCHANGE[family], port) as connection:
                    tap.equal(connection.greeting[2], GATEWAY["wan"][family], ipv + "port %d leaves translated" % port)
                    tap.ok(connection.echo(), ipv + "and its answers come back")
            with Sniffer("internet", keep=lambda packet: is_syn(packet) and packet.dport == 25) as sniffer:
                [probe] = probe_all([("server", EXCHANGE[family], 25, False)],
                                    lambda: lab.connect("server", EXCHANGE[family], 80).close())
            tap.ok(probe.result is None and not sniffer.packets, ipv + "what no flow allows does not leave")
            for tcp in (False, True):
                answer = dns.query("server", DNS[family], vendor.LICENSE_NAME, dns.A, tcp=tcp, bound=30)
                tap.equal(answer and [address for address, _ in answer[1]], [LICENSE[0][4]],
                          ipv + "DNS over %s with early_drop" % ("TCP" if tcp else "UDP"))


HAIRPIN = """table inet hairpin {
	chain post {
		type nat hook postrouting priority srcnat;
		iifname "lan" oifname "lan" masquerade
	}
}
"""


def hairpin(tap):
    """The server reaches itself by the public address that is forwarded to it."""
    for mode in ("prevent", "block"):
        with Lab(tap) as lab:
            lab.nft("gateway", NAT)
            lab.nft("gateway", HAIRPIN)
            lab.dns(NAMES)
            daemon = lab.guard(lab.config(gateway="interception = " + mode))
            lab.serve("server", tcp=[443, 3389])
            for family in FAMILIES:
                title = "IPv%d, interception = %s: the server by its public address: " % (family, mode)
                for port in (443, 4443):
                    with lab.connect("server", GATEWAY["wan2"][family], port) as connection:
                        tap.equal((connection.greeting[0], connection.greeting[2]), ("server", GATEWAY["lan"][family]),
                                  title + "port %d" % port)
                        tap.ok(connection.echo(), title + "data passes")
                [probe] = probe_all([("server", GATEWAY["wan2"][family], 3389, False)],
                                    lambda f=family: lab.connect("server", GATEWAY["wan2"][f], 443).close())
                tap.equal(probe.result, None, title + "what no flow opens is closed there as well")
            if daemon is not None:
                status = daemon.wait_status(lambda now: now["health"] == "ok", "healthy")
                tap.equal((status["guards"]["intercepted"], status["interceptions"]), (0, []),
                          "interception = %s: a hairpin is no interception" % mode)


def far_network(lab, mtu_near, mtu_far):
    """One more router and a host behind it; returns the host's addresses. The router is `internet`, the host `far`."""
    lab.run("gateway", "ip", "netns", "add", "far")
    lab.at_close(lambda: lab.run("gateway", "ip", "netns", "del", "far"))
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lab.sysctl("internet", setting, 1)
    lab.sysctl("far", "ipv6/conf/default/accept_dad", 0)
    lab.ip("internet", "link add far type veth peer name eth0 netns far", "addr add 203.0.113.129/25 dev far",
           "addr add 2001:db8:60::1/64 dev far nodad", "link set far mtu %d up" % mtu_far)
    lab.ip("far", "link set lo up", "addr add 203.0.113.130/25 dev eth0", "addr add 2001:db8:60::130/64 dev eth0 nodad",
           "link set eth0 mtu %d up" % mtu_far,
           "route add default via 203.0.113.129", "route add default via 2001:db8:60::1")
    lab.wait_neighbours("internet", "2001:db8:60::1")
    lab.wait_neighbours("far", "2001:db8:60::130")
    lab.ip("internet", "link set eth0 mtu %d" % mtu_near)
    lab.ip("gateway", "link set wan mtu %d" % mtu_near, "route add 203.0.113.128/25 via 198.51.100.20",
           "route add 2001:db8:60::/64 via 2001:db8:51::20")
    return {4: "203.0.113.130", 6: "2001:db8:60::130"}


def full_size(lab, machine, via):
    """The machine announces segments of full size, whatever its own interface takes:
    the small hop shows in ICMP errors alone."""
    lab.ip(machine, "route replace default via %s advmss 1460" % via[4],
           "route replace default via %s advmss 1440" % via[6])


def transfers(tap, lab, far, title):
    for family in FAMILIES:
        for source, target, direction in (("far", ADDRESS[family]["server"], "inbound"),
                                          ("server", far[family], "outbound")):
            with lab.connect(source, target, 443) as connection:
                tap.equal(connection.fetch(300000), 300000,
                          "IPv%d, %s: %s connection, down" % (family, title, direction))
                tap.ok(connection.give(300000), "IPv%d, %s: %s connection, up" % (family, title, direction))


def path_mtu(tap):
    """A hop with a small MTU: its errors reach the server, and big transfers work."""
    for title, near, far_mtu in (("small hop beyond the gateway", 1500, 1300),
                                 ("the gateway's own interface has a small MTU", 1300, 1300)):
        with Lab(tap) as lab:
            far = far_network(lab, near, far_mtu)
            full_size(lab, "far", {4: "203.0.113.129", 6: "2001:db8:60::1"})
            lab.guard(lab.config())
            lab.serve("server", tcp=[443])
            lab.serve("far", tcp=[443])
            with Sniffer("server", keep=lambda packet: packet[4:6] == PACKET_TOO_BIG[packet.family],
                         icmp=True) as sniffer:
                transfers(tap, lab, far, title)
            for family in FAMILIES:
                tap.ok([packet for packet in sniffer.packets if packet.family == family],
                       "IPv%d, %s: the server was informed" % (family, title), sniffer.packets)
    with Lab(tap) as lab:
        lab.ip("gateway", "link set lan mtu 1300")
        lab.ip("server", "link set eth0 mtu 1300")
        full_size(lab, "server", GATEWAY["lan"])
        lab.guard(lab.config())
        for machine in ("server", "internet"):
            lab.serve(machine, tcp=[443])
        for family in FAMILIES:
            title = "IPv%d, the server's interface has a small MTU: " % family
            for source, target in (("internet", ADDRESS[family]["server"]), ("server", EXCHANGE[family])):
                with Sniffer("internet", keep=lambda packet: packet[4:6] == PACKET_TOO_BIG[packet.family],
                             icmp=True) as sniffer:
                    with lab.connect(source, target, 443) as connection:
                        tap.ok(connection.fetch(300000) and connection.give(300000),
                               title + "transfers of a connection from %s" % source)
                # The first connection learns it for the second.
                if source == "internet":
                    tap.ok(sniffer.packets, title + "its peer was informed")


PROXY = """table inet proxy {
	chain pre {
		type nat hook prerouting priority dstnat;
		iifname "lan" tcp dport { 80, 443 } redirect
		iifname "wan2" tcp dport { 443, 8080 } redirect
	}
}
"""


def interception(tap):
    """Another table redirects the server's channels to a proxy: prevented, blocked, reported, or let be."""
    for mode in ("prevent", "block", "report", "off"):
        with Lab(tap) as lab:
            lab.nft("gateway", PROXY)
            lab.dns(NAMES)
            daemon = lab.guard(lab.config(gateway="interception = " + mode))
            for machine in ("gateway", "server", "internet"):
                lab.serve(machine, tcp=[80, 443, 8080])
            for family in FAMILIES:
                ipv = "IPv%d, interception = %s: " % (family, mode)
                # A neighbour's connections are for the proxy to take, whatever the mode.
                with lab.connect("client", EXCHANGE[family], 8080) as connection:
                    tap.equal(connection.greeting[0], "gateway", ipv + "a neighbour's connection is the proxy's")
                attempts = (("server", EXCHANGE[family], 80, "internet"), ("server", EXCHANGE[family], 443, "internet"),
                            ("client", ADDRESS[family]["server"], 443, "server"))
                for source, target, port, honest in attempts:
                    title = ipv + "%s to %s port %d " % (source, honest, port)
                    if mode == "block":
                        before = daemon.status()["guards"]["intercepted"] if daemon else 0
                        [probe] = probe_all([(source, target, port, False)],
                                            lambda: lab.connect("client", EXCHANGE[family], 8080).close())
                        tap.equal(probe.result, None, title + "is dropped")
                        tap.ok(daemon is None or daemon.status()["guards"]["intercepted"] > before,
                               title + "is counted")
                        continue
                    with lab.connect(source, target, port) as connection:
                        if mode == "prevent":
                            tap.equal(connection.greeting[0], honest, title + "reaches it")
                        else:
                            tap.equal(connection.greeting[0], "gateway", title + "is the proxy's")
            if daemon is not None:
                taken = daemon.status()["guards"]["intercepted"]
                if mode in ("block", "report"):
                    tap.ok(taken >= 6, "interception = %s: it is counted" % mode, taken)
                    tap.equal(daemon.status()["health"], "degraded", "interception = %s: status is degraded" % mode)
                else:
                    tap.equal(taken, 0, "interception = %s: nothing is counted" % mode)


if __name__ == "__main__":
    main(inbound, outbound, hairpin, path_mtu, interception)
