#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets with a protected source address: honest where a route leads to it, whatever its metric and table,
and dropped elsewhere."""
import os
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, Lab, RawSender, Sniffer, is_syn, main, vendor, wait_for)
from lab.packets import checksum, packed  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
PREFIX = {4: "192.0.2.0/24", 6: "2001:db8:2::/64"}
SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
FROM = {"wan2": "client", "adm": "admin", "lan": "server"}
VIA = {"wan2": {4: "198.51.100.140", 6: "2001:db8:10::140"}, "adm": {4: "203.0.113.10", 6: "2001:db8:3::10"}}


def spoofed(daemon):
    return daemon.status()["guards"]["spoofed"]


class Prober:
    """SYNs of the server's address, from any interface; each from a port of its own."""

    def __init__(self, lab, daemon):
        self.lab, self.daemon, self.port = lab, daemon, 20000

    def passes(self, interface, family):
        """Whether one that comes by this interface goes through; None where it did not come and was not counted."""
        self.port += 1
        before = spoofed(self.daemon)
        with Sniffer("internet", keep=lambda packet: is_syn(packet) and packet.sport == self.port) as sniffer:
            with RawSender(FROM[interface], SERVER[family], EXCHANGE[family]) as sender:
                sender.tcp(self.port, 443)
            wait_for(lambda: sniffer.seen() or spoofed(self.daemon) > before, "the packet of %s is decided" % interface)
            came, counted = bool(sniffer.seen()), spoofed(self.daemon) - before
        return came if came != bool(counted) else None

    def all(self, family):
        return {interface: self.passes(interface, family) for interface in FROM}


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
    """The only interface, a change of routes, and the way back."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "the server's interface alone")
            host = "%s/%d" % (SERVER[family], 32 if family == 4 else 128)
            ip(lab, family, "route", "add", host, "via", VIA["wan2"][family])
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False},
                   "a route by another interface as well")
            ip(lab, family, "route", "replace", host, "via", VIA["adm"][family])
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": True}, "that route changes its interface")
            ip(lab, family, "route", "del", host)
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "and is gone")
            with lab.connect("client", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: the server is open all the same" % family)
        # Routes that have nothing to do with it make no work: a routing daemon has thousands.
        commits = prober.daemon.status()["commits"]
        lab.ip("gateway", *["route add 10.%d.%d.0/24 via %s" % (number // 250, number % 250, VIA["wan2"][4])
                            for number in range(3000)])
        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": False}, "with 3000 other routes")
        tap.equal(prober.daemon.status()["commits"], commits, "other routes change nothing")
        ip(lab, 4, "route", "add", "192.0.2.0/25", "via", VIA["adm"][4])
        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": True}, "one among them that matters is found")


def metrics(tap):
    """Two interfaces with routes of different metric: the server's packets may come by both."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "route", "add", PREFIX[family], "via", VIA["wan2"][family], "metric", "5000")
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False}, "a worse metric counts as well")


def marks(tap):
    """A table of its own for marked packets leads to the server by another interface."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "rule", "add", "fwmark", "7", "lookup", "77")
            ip(lab, family, "route", "add", PREFIX[family], "via", VIA["adm"][family], "table", "77")
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": True}, "routes of other tables count")
        # An interface towards the server is one for both families.
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
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False},
                   "which counts no more beside a better one")


def server_interfaces(lab):
    """The set in the kernel, without whom it stands for."""
    text = lab.daemon.set_text("SERVER_interfaces")
    return sorted(text.partition("elements = {")[2].partition("}")[0].replace('"', "").replace(",", " ").split())


def nexthops_without_interfaces(tap):
    """Of such routes the kernel shows no more than the nexthop's number; of groups, the group's."""
    with Lab(tap) as lab:
        lab.sysctl("gateway", "ipv4/nexthop_compat_mode", 0)
        prober = begin(tap, lab)
        for family in FAMILIES:
            half = PREFIX[family].replace("/24", "/25").replace("/64", "/65")
            for number, interface in enumerate(VIA):
                ip(lab, family, "nexthop", "add", "id", str(family * 10 + number), "via", VIA[interface][family], "dev",
                   interface)
            lab.run("gateway", "ip", "nexthop", "add", "id", str(family * 100), "group",
                    "%d/%d" % (family * 10, family * 10 + 1))
            ip(lab, family, "route", "add", half, "nhid", str(family * 10))
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False}, "a route by a nexthop's number")
            ip(lab, family, "route", "replace", half, "nhid", str(family * 100))
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": True}, "by a group's number")
            ip(lab, family, "route", "del", half)
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "and is gone")
            # The server's own route, at last.
            ip(lab, family, "nexthop", "add", "id", str(family), "dev", "lan")
            ip(lab, family, "route", "del", PREFIX[family], "dev", "lan")
            ip(lab, family, "route", "add", PREFIX[family], "nhid", str(family))
            ip(lab, family, "route", "add", "default", "via", VIA["wan2"][family])
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False},
                   "the server's only route, beside a default one")


def set_server_interface(lab, state, *addresses):
    """The server's interface goes down, or comes back with the addresses of IPv6, which go with it."""
    lab.ip("gateway", "link set lan %s" % state, *["addr add %s dev lan nodad" % one for one in addresses])


def went_down(tap):
    """The server's interface is down while the daemon runs, stops and starts:
    a default route that stands in for it is none of the server's."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "route", "add", "default", "via", VIA["wan2"][family])
        prober = begin(tap, lab)

        def is_open(what):
            for family in FAMILIES:
                with lab.connect("server", EXCHANGE[family], 443) as connection:
                    tap.ok(connection.echo(), "IPv%d: %s" % (family, what))

        def down():
            """Once the daemon has seen it."""
            set_server_interface(lab, "down")
            lab.ip("gateway", "route add 192.0.2.25/32 via 203.0.113.10 dev adm")
            wait_for(lambda: "adm" in server_interfaces(lab), "the daemon follows")
            lab.ip("gateway", "route del 192.0.2.25/32 via 203.0.113.10 dev adm")
            wait_for(lambda: "adm" not in server_interfaces(lab), "the daemon follows")

        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": False},
               "the server's interface, beside a default route")
        down()
        tap.equal(server_interfaces(lab), ["lan"], "while its interface is down nothing takes its place")
        for title, end in (("stopped", prober.daemon.stop), ("killed", prober.daemon.kill)):
            end()
            set_server_interface(lab, "up", "2001:db8:2::1/64")
            lab.wait_neighbours("gateway", "2001:db8:2::1")
            is_open("%s meanwhile: the server's packets are not spoofed when its interface is up again" % title)
            set_server_interface(lab, "down")
            prober.daemon.start()
            tap.equal(server_interfaces(lab), ["lan"], "%s, and started while the interface is down" % title)
        set_server_interface(lab, "up", "2001:db8:2::1/64")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "the interface is up again")
        # Without a table to remember by: the address that waits on the interface shows it.
        prober.daemon.stop()
        prober.daemon.run("spefwd", "--clear", check=True)
        set_server_interface(lab, "down")
        prober.daemon.start()
        tap.ok("lan" in server_interfaces(lab), "a first start while the interface is down", server_interfaces(lab))
        prober.daemon.stop()
        set_server_interface(lab, "up", "2001:db8:2::1/64")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        is_open("a first start while its interface is down")
        prober.daemon.start()
        # A route that somebody takes away, or an interface that is gone, leads nowhere.
        for family in FAMILIES:
            ip(lab, family, "route", "del", PREFIX[family], "dev", "lan")
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": False, "wan2": True, "adm": False}, "a route that is taken away")
        for family in FAMILIES:
            ip(lab, family, "route", "add", SERVER[family], "via", VIA["adm"][family])
        wait_for(lambda: server_interfaces(lab) == ["adm"], "a route by another interface")
        lab.ip("gateway", "link set adm down")
        lab.ip("gateway", "link del adm")
        wait_for(lambda: server_interfaces(lab) == ["wan2"], "an interface that is gone")
        tap.equal(server_interfaces(lab), ["wan2"], "an interface that is gone")


def two_defaults(tap):
    """The server is behind two default routes, and one of their interfaces is down when the daemon starts:
    the other one still leads to it."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "route", "del", PREFIX[family], "dev", "lan")
            for metric, name in (("10", "wan2"), ("20", "adm")):
                ip(lab, family, "route", "add", "default", "via", VIA[name][family], "metric", metric)
        prober = begin(tap, lab)
        tap.equal(server_interfaces(lab), ["adm", "wan2"], "two default routes")
        for end in (prober.daemon.stop, prober.daemon.kill):
            end()
            lab.ip("gateway", "link set adm down")
            prober.daemon.start()
            tap.equal(server_interfaces(lab), ["adm", "wan2"], "started while one of the interfaces is down")
        for family in FAMILIES:
            tap.equal(prober.passes("wan2", family), True, "IPv%d: what comes by the other one is not spoofed" % family)


def partly_by_default(tap):
    """Of a protected range one address has a route; the rest goes by the default route."""
    with Lab(tap) as lab:
        for family in FAMILIES:
            ip(lab, family, "route", "add", SERVER[family], "dev", "lan")
            ip(lab, family, "route", "del", PREFIX[family], "dev", "lan")
            ip(lab, family, "route", "add", "default", "via", VIA["wan2"][family])
        prober = begin(tap, lab)
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "all of it has a route")
        prober.daemon.reload(lab.config(server="192.0.2.24/29 2001:db8:2::20/124"))
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False},
                   "a part of it goes by the default route")
        for family, second in ((4, "192.0.2.24/29"), (6, "2001:db8:2::20/124")):
            ip(lab, family, "route", "add", second, "dev", "lan")
        for family in FAMILIES:
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False}, "until that has one")


def advertise(lab, lifetime, prefix="2001:db8:2::", length=64):
    """A router at wan2 advertises the server's network: on this wire, and by itself."""
    with lab.inside("client"):
        with open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:
            local = [line.split()[0] for line in file if line.startswith("fe80") and line.split()[5] == "eth0"][0]
        source = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(local))
    on_link = struct.pack("!BBBBIII", 3, 4, length, 0x80, lifetime, lifetime, 0) + packed(prefix)
    route = struct.pack("!BBBBI", 24, 2, length, 0, lifetime) + packed(prefix)[:8]
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + on_link + route
    pseudo = packed(source) + packed("ff02::1") + struct.pack("!IxxxB", len(message), 58)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    with lab.inside("client"):
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            sock.sendto(struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + packed(source) + packed("ff02::1")
                        + message, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))


def advertised(tap):
    """Whoever has a wire to this gateway can advertise the server's prefix:
    that makes no way for it where one is configured."""
    with Lab(tap) as lab:
        lab.sysctl("gateway", "ipv6/conf/wan2/accept_ra", 2)
        lab.sysctl("gateway", "ipv6/conf/wan2/accept_ra_rt_info_max_plen", 128)
        lab.sysctl("gateway", "ipv6/conf/wan2/autoconf", 0)
        prober = begin(tap, lab)
        host = SERVER[6] + "/128"
        for title, lifetime in (("for an hour", 3600), ("for ever", 0xFFFFFFFF)):
            advertise(lab, lifetime)
            wait_for(lambda: "2001:db8:2::/64" in lab.run("gateway", "ip", "-6", "route", "show", "dev", "wan2").stdout,
                     "the kernel believes it")
            ip(lab, 6, "route", "add", host, "via", VIA["adm"][6])
            wait_for(lambda: "adm" in server_interfaces(lab), "the daemon follows")
            tap.equal(server_interfaces(lab), ["adm", "lan"],
                      title + ": what a router advertises is no way for the server")
            ip(lab, 6, "route", "del", host)
            follow(tap, prober, 6, {"lan": True, "wan2": False, "adm": False},
                   title + ": its packets are spoofed there")
        # Where nothing else leads to it, it is the best that there is.
        lab.ip("gateway", "addr del 2001:db8:2::1/64 dev lan")
        wait_for(lambda: "wan2" in server_interfaces(lab), "an advertised route alone")
        tap.equal(prober.passes("wan2", 6), True, "an advertised route alone counts")


def nexthops(tap):
    """Routes by nexthops of their own, and with an encapsulation."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)
        for family in FAMILIES:
            ip(lab, family, "nexthop", "add", "id", str(family), "via", VIA["wan2"][family], "dev", "wan2")
            ip(lab, family, "route", "add", PREFIX[family].replace("/24", "/25").replace("/64", "/65"), "nhid",
               str(family))
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": False}, "a route by a nexthop")
            ip(lab, family, "nexthop", "del", "id", str(family))
            follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False},
                   "the nexthop is gone, and its route")
            group = [word for interface in ("wan2", "adm")
                     for word in ("nexthop", "via", VIA[interface][family])]
            ip(lab, family, "route", "add", PREFIX[family].replace("/24", "/25").replace("/64", "/65"), *group)
            follow(tap, prober, family, {"lan": True, "wan2": True, "adm": True}, "a route by two ways")
            ip(lab, family, "route", "del", PREFIX[family].replace("/24", "/25").replace("/64", "/65"))
        done = lab.run("gateway", "ip", "-6", "route", "add", "2001:db8:2::/80", "encap", "seg6", "mode", "encap",
                       "segs", VIA["adm"][6], "dev", "adm", check=False)
        if done.returncode != 0:
            tap.skip("a route with an encapsulation", "this kernel has no seg6: " + done.stderr.strip())
            return
        follow(tap, prober, 6, {"lan": True, "wan2": False, "adm": True}, "a route with an encapsulation")


def named(tap):
    """Interfaces that the file names, and one that is not there."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)

        def reload(interfaces):
            prober.daemon.reload(lab.config().replace("\n[gateway]", "interface = %s\n\n[gateway]" % interfaces))
            return prober.daemon.reasons(code="interface-missing")
        tap.equal((reload("lan wan2"), prober.all(4)), ([], {"lan": True, "wan2": True, "adm": False}),
                  "those that are named alone")
        reasons = reload("lann")
        tap.ok(len(reasons) == 1 and "lann" in reasons[0], "one that is misspelt: reported", reasons)
        lab.run("gateway", "ip", "link", "add", "lann", "type", "veth", "peer", "name", "lann-peer")
        tap.equal(prober.daemon.reasons(code="interface-missing"), [], "until there is such an interface")


def virtual_router(tap):
    """The server's router is a virtual one with a hardware address of its own, as keepalived makes it (use_vmac): a
    macvlan, to which no route leads."""
    with Lab(tap) as lab:
        prober = begin(tap, lab)
        follow(tap, prober, 4, {"lan": True, "wan2": False, "adm": False}, "the server's interface alone")
        # Each interface answers for its own addresses.
        for interface in ("lan", "all"):
            lab.sysctl("gateway", "ipv4/conf/%s/arp_ignore" % interface, 1)
        for interface, address in (("lan", "192.0.2.2"), ("wan2", "198.51.100.131")):
            lab.ip("gateway", "link add link %s name vrrp-%s type macvlan mode private" % (interface, interface),
                   "link set vrrp-%s up" % interface, "addr add %s/32 dev vrrp-%s" % (address, interface))
        lab.run("server", "ip", "route", "replace", "default", "via", "192.0.2.2")
        wait_for(lambda: "vrrp-lan" in lab.daemon.set_text("SERVER_interfaces"), "the macvlan is followed")
        with lab.connect("server", EXCHANGE[4], 443) as connection:
            tap.ok(connection.echo(), "what the server sends by the virtual router is honest")
        hardware = lab.run("server", "ip", "neigh", "show", "192.0.2.2").stdout.split(" lladdr ")[-1].split()[0]
        tap.ok(hardware in lab.run("gateway", "ip", "link", "show", "vrrp-lan").stdout, "it did go there", hardware)
        # One on another wire is another interface.
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
               "link set lan master br0", "link set wan2 master br0", "addr add 192.0.2.1/24 dev br0",
               "addr add 2001:db8:2::1/64 dev br0 nodad")
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            lab.sysctl("gateway", "bridge/" + name, 1)
        # The client is a neighbour of the server now.
        lab.ip("client", "addr flush dev eth0 scope global", "addr add 192.0.2.140/24 dev eth0",
               "addr add 2001:db8:2::140/64 dev eth0 nodad",
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
            tap.equal(prober.passes("adm", family), False, "IPv%d: another interface is spoofed" % family)
            tap.equal(spoofed(prober.daemon), 1 if family == 4 else 2, "IPv%d: nothing else was" % family)


def bare_bridge(tap):
    """The gateway is a wire between the server and its router: a bridge without addresses, filtered;
    its own way is another one."""
    with Lab(tap) as lab:
        with lab.inside("gateway"):
            if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
                tap.skip("bare bridge", "this kernel has no br_netfilter: modprobe br_netfilter")
                return
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            lab.sysctl("gateway", "bridge/" + name, 1)
        lab.ip("gateway", "addr flush dev lan", "addr flush dev wan", "link add br0 type bridge",
               "link set lan master br0", "link set wan master br0",
               "link set br0 up", "route add default via 203.0.113.10", "route add default via 2001:db8:3::10")
        lab.ip("internet", "addr add 192.0.2.254/24 dev eth0",
               "addr add 2001:db8:2::fe/64 dev eth0 nodad preferred_lft 0")
        lab.ip("server", "route replace default via 192.0.2.254", "route replace default via 2001:db8:2::fe")
        lab.wait_neighbours("internet", "2001:db8:2::fe")
        lab.serve("internet", tcp=[443])
        lab.serve("server", tcp=[443, 3389])
        daemon = lab.spefwd(lab.config())
        for family in FAMILIES:
            with lab.connect("server", EXCHANGE[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: what the server sends is not taken for spoofed" % family)
            near = {4: "192.0.2.254", 6: "2001:db8:2::fe"}[family]
            with lab.connect("internet", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: it is open" % family)
            with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == 3389) as sniffer:
                with RawSender("internet", near, SERVER[family]) as sender:
                    sender.tcp(30000 + family, 3389)
                lab.connect("internet", SERVER[family], 443).close()
            tap.equal(sniffer.packets, [], "IPv%d: and closed where it should be" % family)
        tap.equal(spoofed(daemon), 0, "nothing was spoofed")
        # A bridge that gets an address is an ordinary interface: routes show what is behind it.
        lab.ip("gateway", "addr add 198.18.0.1/24 dev br0")
        wait_for(lambda: server_interfaces(lab) == ["adm"], "a bridge with an address of another network")
        tap.equal(server_interfaces(lab), ["adm"], "a bridge with an address of another network")


def own_source(tap):
    """The gateway's own address as a source, from a wire: whoever may be reached by the gateway,
    it is not the gateway."""
    with Lab(tap) as lab:
        # Else the kernel drops it itself, in IPv4.
        for name in ("all", "wan2", "lan"):
            lab.sysctl("gateway", "ipv4/conf/%s/accept_local" % name, 1)
        prober = begin(tap, lab)
        lab.serve("gateway", tcp=[8080], udp=[5353])
        daemon, port = prober.daemon, 21000

        def forged(family, source, target=None):
            """Whether a SYN with this source that comes by wan2 reaches the server, and whether it is counted."""
            nonlocal port
            port += 1
            before = spoofed(daemon)
            with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.sport == port) as sniffer:
                with RawSender("client", source, target or SERVER[family]) as sender:
                    sender.tcp(port, 443)
                wait_for(lambda: sniffer.seen() or spoofed(daemon) > before, "the packet is decided")
            return bool(sniffer.seen()), spoofed(daemon) - before

        for family in FAMILIES:
            title = "IPv%d: " % family
            for near in ("lan", "wan2", "adm"):
                tap.equal(forged(family, GATEWAY[near][family]), (False, 1),
                          title + "its address at %s as a source is dropped" % near)
            count = spoofed(daemon)
            with lab.connect("gateway", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), title + "what it sends itself passes")
            with lab.connect("gateway", GATEWAY["wan2"][family], 8080) as connection:
                tap.ok(connection.echo(), title + "and comes back by lo")
            # A virtual router's address is this gateway's as long as it has it.
            shared, length = {4: ("198.51.100.200", 32), 6: ("2001:db8:10::200", 128)}[family]
            tap.equal(forged(family, shared), (True, 0), title + "another machine's address passes")
            lab.ip("gateway", "addr add %s/%d dev wan2%s" % (shared, length, " nodad" if family == 6 else ""))
            wait_for(lambda: shared in lab.daemon.set_text("gateway_%d" % family), "the address is followed")
            tap.equal(forged(family, shared), (False, 1), title + "from when on the gateway has it, it is dropped")
            lab.ip("gateway", "addr del %s/%d dev wan2" % (shared, length))
            wait_for(lambda: shared not in lab.daemon.set_text("gateway_%d" % family), "the address is followed")
            tap.equal(forged(family, shared), (True, 0), title + "another gateway has it now: it passes")
            tap.equal(spoofed(daemon) - count, 1, title + "nothing else was counted")
        # Own broadcasts and multicasts come back by their interface.
        count = spoofed(daemon)
        with lab.inside("gateway"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(
                    socket.AF_INET, socket.SOCK_DGRAM) as heard:
                heard.settimeout(30)
                heard.bind(("", 5355))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                 socket.inet_aton("224.0.0.252") + socket.inet_aton("192.0.2.1"))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.0.2.1"))
                sock.bind(("192.0.2.1", 0))
                for target in ("224.0.0.252", "192.0.2.255"):
                    sock.sendto(target.encode(), (target, 5355))
                    tap.equal(heard.recv(100), target.encode(), "its own packet to %s comes back" % target)
        tap.equal(spoofed(daemon), count, "and is not spoofed")
        daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        for family in FAMILIES:
            tap.equal(forged(family, GATEWAY["wan2"][family]), (True, 1),
                      "IPv%d: in audit mode it passes, and is counted" % family)


def plugged_in(tap):
    """The gateway is plugged into its own filtered bridge by a pair of veth: its packets come in by the bridge."""
    with Lab(tap) as lab:
        with lab.inside("gateway"):
            if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
                tap.skip("plugged in", "this kernel has no br_netfilter: modprobe br_netfilter")
                return
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            lab.sysctl("gateway", "bridge/" + name, 1)
        lab.ip("gateway", "addr flush dev lan", "link add br0 type bridge", "link add plug type veth peer name socket",
               "link set lan master br0", "link set socket master br0 up", "link set br0 up",
               "addr add 192.0.2.1/24 dev plug", "addr add 2001:db8:2::1/64 dev plug nodad", "link set plug up")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        prober = begin(tap, lab)
        for family in FAMILIES:
            with lab.connect("gateway", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: the gateway reaches the server" % family)
            with lab.connect("client", SERVER[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: so does a client" % family)
            with lab.connect("server", EXCHANGE[family], 443) as connection:
                tap.ok(connection.echo(), "IPv%d: and the server the Internet" % family)
        tap.equal(spoofed(prober.daemon), 0, "nothing was spoofed")


if __name__ == "__main__":
    main(routes, metrics, marks, defaults, named, nexthops, nexthops_without_interfaces, went_down, two_defaults,
         partly_by_default, advertised, virtual_router, bridge, bare_bridge, own_source, plugged_in)
