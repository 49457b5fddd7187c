#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets with a protected source address: honest where a route leads to it, whatever its metric and table, and dropped elsewhere."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, EXCHANGE, FAMILIES, LICENSE, Lab, RawSender, Sniffer, is_syn, main, vendor, wait_for  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
PREFIX = {4: "192.0.2.0/24", 6: "2001:db8:2::/64"}
SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
FROM = {"wan2": "client", "adm": "admin", "lan": "server"}
VIA = {"wan2": {4: "198.51.100.140", 6: "2001:db8:10::140"}, "adm": {4: "203.0.113.10", 6: "2001:db8:3::10"}}


def spoofed(daemon):
    return daemon.status()["guards"]["spoofed"]


class Prober:
    """SYNs of the server's address, from any link; each from a port of its own."""

    def __init__(self, lab, daemon):
        self.lab, self.daemon, self.port = lab, daemon, 20000

    def passes(self, link, family):
        """Whether one that comes by this link goes through; None where it neither came nor was counted as spoofed."""
        self.port += 1
        before = spoofed(self.daemon)
        with Sniffer("internet", keep=lambda packet: is_syn(packet) and packet.sport == self.port) as sniffer:
            with RawSender(FROM[link], SERVER[family], EXCHANGE[family]) as sender:
                sender.tcp(self.port, 443)
            wait_for(lambda: sniffer.seen() or spoofed(self.daemon) > before, "the packet of %s is decided" % link)
            came, counted = bool(sniffer.seen()), spoofed(self.daemon) - before
        return came if came != bool(counted) else None

    def all(self, family):
        return {link: self.passes(link, family) for link in FROM}


def begin(tap, lab, extra=""):
    lab.dns(NAMES)
    lab.serve("internet", tcp=[443])
    lab.serve("server", tcp=[443])
    return Prober(lab, lab.spefwd(lab.config(extra)))


def follow(tap, prober, family, expected, what):
    """What passes, once the daemon has followed the change."""
    wait_for(lambda: prober.all(family) == expected, "IPv%d: %s" % (family, what), bound=30)
    tap.equal(prober.all(family), expected, "IPv%d: %s" % (family, what))


def ip(lab, family, *words):
    lab.run("gateway", "ip", "-%d" % family, *words)


def routes(tap):
    """The only link, a change of routes, and the way back."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "the server's link alone")
            host = "%s/%d" % (SERVER[family], 32 if family == 4 else 128)
            ip(lab, family, "route", "add", host, "via", VIA["wan2"][family])
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False}, "a route by another link as well")
            ip(lab, family, "route", "replace", host, "via", VIA["adm"][family])
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": True}, "that route changes its link")
            ip(lab, family, "route", "del", host)
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "and is gone")
            with lab.connect("client", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: the server is open all the same" % family)
        # Routes that have nothing to do with it make no work: a routing daemon has thousands.
        generation = prober.daemon.status()["generation"]
        lab.ip("gateway", *["route add 10.%d.%d.0/24 via %s" % (number // 250, number % 250, VIA["wan2"][4]) for number in range(3000)])
        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": False}, "with 3000 other routes")
        tap.equal(prober.daemon.status()["generation"], generation, "other routes change nothing")
        ip(lab, 4, "route", "add", "192.0.2.0/25", "via", VIA["adm"][4])
        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": True}, "one among them that matters is found")


def metrics(tap):
    """Two links with routes of different metric: the server's packets may come by both."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "route", "add", PREFIX[family], "via", VIA["wan2"][family], "metric", "5000")
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False}, "a worse metric counts as well")


def marks(tap):
    """A table of its own for marked packets leads to the server by another link."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "rule", "add", "fwmark", "7", "lookup", "77")
            ip(lab, family, "route", "add", PREFIX[family], "via", VIA["adm"][family], "table", "77")
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": True}, "routes of other tables count")
        # A link to the server is one for both families.
        for family in FAMILIES:
            ip(lab, family, "route", "flush", "table", "77")
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "until they are gone")


def defaults(tap):
    """Default routes count where no other route covers the server."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "route", "del", PREFIX[family], "dev", "lan")
            ip(lab, family, "route", "add", "default", "via", VIA["wan2"][family])
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": False, "wan2": True, "adm": False}, "by the default route")
        for family in FAMILIES:
            ip(lab, family, "route", "add", PREFIX[family], "dev", "lan")
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "which counts no more beside a better one")


def nexthops(tap):
    """Routes by nexthops of their own, and with an encapsulation."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)
        for family in FAMILIES:
            ip(lab, family, "nexthop", "add", "id", str(family), "via", VIA["wan2"][family], "dev", "wan2")
            ip(lab, family, "route", "add", PREFIX[family].replace("/24", "/25").replace("/64", "/65"), "nhid", str(family))
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False}, "a route by a nexthop")
            ip(lab, family, "nexthop", "del", "id", str(family))
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "the nexthop is gone, and its route")
            group = [word for link in ("wan2", "adm") for word in ("nexthop", "via", VIA[link][family])]
            ip(lab, family, "route", "add", PREFIX[family].replace("/24", "/25").replace("/64", "/65"), *group)
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": True}, "a route by two ways")
            ip(lab, family, "route", "del", PREFIX[family].replace("/24", "/25").replace("/64", "/65"))
        done = lab.run("gateway", "ip", "-6", "route", "add", "2001:db8:2::/80", "encap", "seg6", "mode", "encap", "segs", VIA["adm"][6], "dev", "adm", check=False)
        if done.returncode != 0:
            tap.skip("a route with an encapsulation", "this kernel has no seg6: " + done.stderr.strip())
            return
        follow(tap, prober, 6, {"lan": True, "wan2": False, "adm": True}, "a route with an encapsulation")


def named(tap):
    """Links that the file names, and one that is not there."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)

        def reload(links):
            prober.daemon.reload(lab.config().replace("\n[gateway]", "interface = %s\n\n[gateway]" % links))
            return [reason for reason in prober.daemon.status()["reasons"] if "link" in reason]
        tap.equal((reload("lan wan2"), prober.all(4)), ([], {"lan": True, "wan2": True, "adm": False}), "those that are named alone")
        told = reload("lann")
        tap.ok(len(told) == 1 and "lann" in told[0], "one that is misspelt: told", told)
        lab.run("gateway", "ip", "link", "add", "lann", "type", "veth", "peer", "name", "lann-peer")
        tap.equal([reason for reason in prober.daemon.status()["reasons"] if "link" in reason], [], "until there is such a link")


def virtual_router(tap):
    """The server's router is a virtual one with a hardware address of its own, as keepalived makes it (use_vmac): a macvlan, to which no route leads."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)
        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": False}, "the server's link alone")
        # Each link answers for its own addresses.
        for link in ("lan", "all"):
            lab.sysctl("gateway", "ipv4/conf/%s/arp_ignore" % link, 1)
        for link, address in (("lan", "192.0.2.2"), ("wan2", "198.51.100.131")):
            lab.ip("gateway", "link add link %s name vrrp-%s type macvlan mode private" % (link, link), "link set vrrp-%s up" % link, "addr add %s/32 dev vrrp-%s" % (address, link))
        lab.run("server", "ip", "route", "replace", "default", "via", "192.0.2.2")
        wait_for(lambda: "vrrp-lan" in lab.run("gateway", "nft", "list", "set", "inet", "spefw", "SERVER_links").stdout, "the macvlan is followed")
        with lab.connect("server", EXCHANGE[4], 443) as connection:
            tap.ok(connection.echo(), "what the server sends by the virtual router is honest")
        hardware = lab.run("server", "ip", "neigh", "show", "192.0.2.2").stdout.split(" lladdr ")[-1].split()[0]
        tap.ok(hardware in lab.run("gateway", "ip", "link", "show", "vrrp-lan").stdout, "it did go there", hardware)
        # One on another wire is another link.
        lab.run("client", "ip", "route", "replace", "default", "via", "198.51.100.131")
        wait_for(lambda: prober.passes("wan2", 4) is False, "a macvlan of another wire: dropped")
        tap.equal(prober.passes("wan2", 4), False, "a macvlan of another wire: spoofed all the same")


def bridge(tap):
    """Server and clients on ports of one bridge, filtered by br_netfilter."""
    with Lab(tap) as lab:
        with lab.inside("gateway"):
            there = os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables")
        if not there:
            tap.skip("bridge", "this kernel has no br_netfilter: modprobe br_netfilter")
            return
        lab.ip("gateway", "link add br0 type bridge", "link set br0 up", "addr flush dev lan", "addr flush dev wan2",
               "link set lan master br0", "link set wan2 master br0", "addr add 192.0.2.1/24 dev br0", "addr add 2001:db8:2::1/64 dev br0 nodad")
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            lab.sysctl("gateway", "bridge/" + name, 1)
        # The client is a neighbour of the server now.
        lab.ip("client", "addr flush dev eth0 scope global", "addr add 192.0.2.140/24 dev eth0", "addr add 2001:db8:2::140/64 dev eth0 nodad",
               "route replace default via 192.0.2.1", "route replace default via 2001:db8:2::1")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        lab.wait_neighbours("client", "2001:db8:2::140")
        prober = begin(tap, lab)
        for family in FAMILIES:
            with lab.connect("server", EXCHANGE[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: the server's own packets come by the bridge" % family)
            with lab.connect("client", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: across the bridge the server is open" % family)
            before = prober.daemon.status()["denied"]
            with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == 3389) as sniffer:
                with RawSender("client", {4: "192.0.2.140", 6: "2001:db8:2::140"}[family], SERVER[family]) as sender:
                    sender.tcp(30000 + family, 3389)
                lab.connect("client", SERVER[family], 443).close()
            tap.equal(sniffer.packets, [], "IPv%d: and closed where it should be" % family)
            tap.ok(prober.daemon.status()["denied"] != before, "IPv%d: which is counted" % family)
            tap.equal(prober.passes("adm", family), False, "IPv%d: another link is spoofed" % family)
            tap.equal(spoofed(prober.daemon), 1 if family == 4 else 2, "IPv%d: nothing else was" % family)


if __name__ == "__main__":
    main(routes, metrics, marks, defaults, named, nexthops, virtual_router, bridge)
