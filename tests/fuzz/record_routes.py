#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records what a kernel really sends over rtnetlink, as the seeds of fuzz_routes: record_routes.py FOLDER. What it
can't do is left out of the seed, and printed; the seeds that begin with made- have that from here."""
import os
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import Failed, Lab, main, namespaces, netlink  # noqa: E402

FOLDER = os.path.abspath(sys.argv.pop())
LINKS, BRIDGES, NOTICES = 0, 1, 2  # the readers of fuzz_routes
FILTERED_4 = 2 << 2                # its sysctls: of IPv4 alone
OFF = 1 << 2 | 1 << 4
NETLINK_ROUTE = 0
GETLINK, GETADDR, GETROUTE, GETNEIGH, GETNEXTHOP = 18, 22, 26, 30, 106
GROUPS = (1, 5, 9, 7, 11, 32)      # interfaces, addresses and routes of both families, nexthops
AF_BRIDGE = 7

SCENES = {
    "plain": (),
    "nexthops": ("nexthop add id 1 via 192.0.2.25 dev lan", "nexthop add id 2 via 2001:db8:2::25 dev lan",
                 "nexthop add id 3 via 198.51.100.20 dev wan",
                 "nexthop add id 4 dev adm", "nexthop add id 10 group 1/3,5", "nexthop add id 5 blackhole",
                 "route add 192.0.2.24/29 nhid 1", "-6 route add 2001:db8:2::24/126 nhid 2", "route add default nhid 3",
                 "route add 192.0.2.25/32 nhid 10 metric 5"),
    "multipath":
    ("route add 192.0.2.24/30 nexthop via 192.0.2.25 dev lan weight 2 nexthop via 203.0.113.10 dev adm",
     "route add default nexthop via 198.51.100.20 dev wan nexthop via inet6 2001:db8:10::140 dev wan2",
     "-6 route add 2001:db8:2::24/127 nexthop via 2001:db8:2::25 dev lan nexthop via 2001:db8:3::10 dev adm"),
    "encapsulation": ("route add 192.0.2.24/31 encap mpls 100/200 via 192.0.2.25 dev lan",
                      "route add 192.0.2.25/32 encap ip id 5 dst 203.0.113.10 dev adm",
                      "-6 route add 2001:db8:2::25/128 encap seg6 mode encap segs 2001:db8:3::10 dev adm",
                      "route add default encap ip id 5 dst 198.51.100.20 dev wan",
                      "route add 192.0.2.16/28 via inet6 2001:db8:2::25 dev lan"),
    "stacked": ("link add red type vrf table 10", "link set red up", "link set adm master red",
                "link add front link lan type macvlan mode bridge", "link set front up",
                "addr add 192.0.2.2/32 dev front", "link add one type veth peer name two", "link add hub type bridge",
                "link set two master hub",
                "link set one up", "link set two up", "link set hub up", "addr add 192.0.2.3/24 dev one",
                "addr add 192.0.2.26 peer 192.0.2.25 dev one", "link add link lan name tagged type vlan id 7",
                "tunnel add tunnel mode ipip local 192.0.2.1 remote 203.0.113.10", "link set lan down"),
    "advertised": ("-6 route add 2001:db8:2::/65 via fe80::1 dev wan proto ra metric 10",
                   "-6 route add default via fe80::2 dev wan proto ra expires 600",
                   "-6 addr add 2001:db8:2:0:1::1/80 dev adm valid_lft 600 preferred_lft 600",
                   "route add 192.0.2.25/32 via 198.51.100.20 dev wan proto ra",
                   "route add broadcast 192.0.2.127 dev lan", "route add unreachable 192.0.2.24/31",
                   "-6 addr add 2001:db8:2::9/128 dev wan"),
}
BRIDGED = ("link add bridge type bridge", "link set lan master bridge", "link set wan master bridge",
           "link set bridge up", "route add default via 198.51.100.20 dev wan2 onlink",
           "neigh replace 192.0.2.25 lladdr 02:00:00:00:00:25 dev bridge nud reachable",
           "neigh replace 198.51.100.20 lladdr 02:00:00:00:00:20 dev wan2 nud stale",
           "neigh replace 2001:db8:2::25 lladdr 02:00:00:00:00:25 dev bridge nud stale",
           "neigh replace 203.0.113.77 dev adm nud failed")
LEARNED = ("fdb replace 02:00:00:00:00:25 dev lan master dynamic",
           "fdb replace 02:00:00:00:00:20 dev wan master dynamic")


def opened():
    with namespaces.inside("gateway"):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    sock.bind((0, 0))
    return sock


def dump(kind, size, family=0):
    """An answer's datagrams. size: of the header behind that of netlink."""
    with opened() as sock:
        sock.settimeout(30)
        sock.send(struct.pack("=IHHII", 16 + size, kind, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, 1, 0)
                  + bytes([family]) + bytes(size - 1))
        result = []
        while True:
            result.append(sock.recv(1 << 17))
            if {netlink.NLMSG_DONE, netlink.NLMSG_ERROR} & {kind for kind, _, _ in netlink.messages(result[-1])}:
                return result


def look():
    return dump(GETLINK, 16) + dump(GETADDR, 8) + dump(GETNEXTHOP, 8) + dump(GETROUTE, 12)


def look_at_bridges():
    return dump(GETLINK, 16) + dump(GETNEIGH, 12, AF_BRIDGE) + dump(GETNEIGH, 12)


def write(name, first, datagrams):
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(bytes([first]) + b"".join(struct.pack("<H", len(one)) + one for one in datagrams))


def run(lab, tap, program, lines):
    for line in lines:
        try:
            lab.run("gateway", program, *line.split())
        except Failed as error:
            tap.note("left out: %s" % error)


def message(kind, header, *attributes):
    body = header + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def attribute(kind, value):
    return netlink.attribute(kind, struct.pack("=I", value) if isinstance(value, int) else value)


def link(index, name, kind=None, data=b"", master=0, lower=0, up=True):
    """An interface; kind: "vrf", "bridge", ..., and its own attributes."""
    info = attribute(18, attribute(1, kind) + attribute(2, data)) if kind else b""
    return message(16, struct.pack("=BBHiII", 0, 0, 1, index, 0x10043 if up else 2, 0), attribute(3, name),
                   attribute(10, master) if master else b"", attribute(5, lower) if lower else b"", info)


def address(index, packed, length, flags=0x80, **more):
    family = socket.AF_INET6 if len(packed) == 16 else socket.AF_INET
    return message(20, struct.pack("=BBBBI", family, length, flags, 0, index), attribute(2, packed),
                   attribute(1, more.get("peer", packed)),
                   attribute(4, more["broadcast"]) if "broadcast" in more else b"")


def route(family, length, *attributes, protocol=4, kind=1):
    return message(24, struct.pack("=BBBBBBBBI", family, length, 0, 0, 254, protocol, 0, kind, 0), *attributes)


def neighbour(family, index, hardware, *attributes, state=2):
    return message(28, struct.pack("=BBHiHBB", family, 0, 0, index, state, 0, 0), attribute(2, hardware), *attributes)


def nexthop(number, *attributes, family=socket.AF_INET):
    return message(104, struct.pack("=BBBBI", family, 0, 4, 0, 0), attribute(1, number), *attributes)


DONE = struct.pack("=IHHIIi", 20, netlink.NLMSG_DONE, 2, 1, 0, 0)


def answers(*lists):
    return [b"".join(one) + DONE for one in lists]


def made():
    """Small ones, with what a kernel may have been built without: VRF, VLANs, bridges with them, MPLS."""
    four, six = (lambda text: socket.inet_pton(socket.AF_INET, text)), (
        lambda text: socket.inet_pton(socket.AF_INET6, text))
    server, server_6, hardware, other = four("192.0.2.25"), six("2001:db8:2::25"), bytes.fromhex(
        "020000000025"), bytes.fromhex("020000000020")
    links = [link(1, "lo"), link(2, "lan", master=5), link(3, "wan"), link(4, "adm", up=False),
             link(5, "red", "vrf", attribute(1, 10)), link(6, "front", "macvlan", attribute(1, 4), lower=2),
             link(7, "tagged", "vlan", netlink.attribute(1, struct.pack("=H", 7)), lower=2)]
    addresses = [address(2, four("192.0.2.1"), 24, broadcast=four("192.0.2.255")), address(2, six("2001:db8:2::1"), 64),
                 address(4, four("192.0.2.3"), 25), address(3, four("198.51.100.1"), 32, peer=four("198.51.100.2"))]
    hop = struct.pack("=HBBi", 16, 0, 0, 3) + attribute(5, four("198.51.100.20"))
    via = struct.pack("=HBBi", 8 + 24, 0, 1, 2) + netlink.attribute(18,
                                                                    struct.pack("=H", socket.AF_INET6) + six("fe80::1"))
    routes = [route(socket.AF_INET, 24, attribute(1, four("192.0.2.0")), attribute(4, 2), protocol=2),
              route(socket.AF_INET, 0, attribute(9, hop + via)),
              route(socket.AF_INET, 31, attribute(1, four("192.0.2.24")), attribute(4, 2), attribute(21, b"\1\0"),
                    attribute(22, attribute(1, b"\0\6\x40\0")), attribute(18, b"\x0a\0" + server_6)),
              route(socket.AF_INET6, 128, attribute(1, server_6), attribute(30, 10)),
              route(socket.AF_INET6, 64, attribute(1, six("2001:db8:2::")), attribute(4, 3), protocol=2),
              route(socket.AF_INET6, 0, attribute(4, 3), attribute(5, six("fe80::2")), protocol=9),
              route(socket.AF_INET, 32, attribute(1, four("192.0.2.255")), attribute(4, 2), kind=3),
              route(28, 20, attribute(1, b"\0\6\x41\0"), attribute(4, 2))]
    hops = [nexthop(1, attribute(5, 2), attribute(6, server)),
            nexthop(2, attribute(5, 3), attribute(6, six("fe80::9")), family=socket.AF_INET6),
            nexthop(3, attribute(4, b"")),
            nexthop(10, netlink.attribute(2, struct.pack("=IBBHIBBH", 1, 0, 0, 0, 2, 0, 0, 0)),
                    netlink.attribute(3, struct.pack("=H", 0)), family=0),
            nexthop(11, netlink.attribute(2, struct.pack("=IBBHIBBH", 10, 0, 0, 0, 3, 0, 0, 0)), family=0)]
    write("made-routes", LINKS, answers(links, addresses, hops, routes))
    write("made-change", LINKS, answers(links, addresses, hops, routes)
          + answers([link(2, "lan", up=False)] + links[2:], addresses, hops[:3], routes[-3:]))
    write("made-interrupted", LINKS, answers(links, addresses)
          + [hops[0][:6] + struct.pack("=H", 0x12) + hops[0][8:] + DONE] + answers(hops, routes))
    many = [nexthop(number, attribute(5, 2)) for number in range(1, 301)]
    group = nexthop(1000, netlink.attribute(2, b"".join(struct.pack("=IBBH", number, 0, 0, 0)
                                                        for number in range(1, 301))), family=0)
    write("made-group", LINKS,
          answers(links, addresses, many + [group], 200 * [route(socket.AF_INET, 0, attribute(30, 1000))]))
    write("made-notices", NOTICES, links + routes + [one[:4] + struct.pack("=H", 25) + one[6:] for one in routes])
    filtered = netlink.attribute(36, b"\1") + netlink.attribute(37, b"\0")
    bridged = [link(2, "lan", master=5), link(3, "wan", master=5), link(5, "br0", "bridge", filtered),
               link(6, "br1", "bridge", filtered), link(7, "x", master=6)]
    entries = [neighbour(AF_BRIDGE, 2, hardware, netlink.attribute(5, struct.pack("=H", 7)), attribute(9, 5)),
               neighbour(AF_BRIDGE, 3, other, netlink.attribute(5, struct.pack("=H", 7))),
               neighbour(AF_BRIDGE, 3, hardware, state=0x80), neighbour(AF_BRIDGE, 7, bytes(20))]
    neighbours = [neighbour(socket.AF_INET, 5, hardware, attribute(1, server)),
                  neighbour(socket.AF_INET6, 5, hardware, attribute(1, server_6)),
                  neighbour(socket.AF_INET, 3, other, attribute(1, four("198.51.100.20"))),
                  neighbour(socket.AF_INET, 3, other, attribute(1, four("198.51.100.21")), state=0x20)]
    default = [route(socket.AF_INET, 0, attribute(4, 3), attribute(5, four("198.51.100.20")))]
    write("made-bridge", BRIDGES | OFF, answers(bridged, addresses, [], default, *2 * (bridged, entries, neighbours)))
    write("made-bridge-moved", BRIDGES | FILTERED_4, answers(
        bridged, addresses, [], default, bridged, entries, neighbours, bridged, entries[1:], neighbours))
    # The server and its next hop in many VLANs behind one port, and by many addresses.
    crowd = [neighbour(AF_BRIDGE, 2, one, netlink.attribute(5, struct.pack("=H", number))) for number in range(150)
             for one in (hardware, other)]
    known = [neighbour(socket.AF_INET, 5, one, attribute(1, packed))
             for one, packed in ((hardware, server), (other, four("198.51.100.20"))) for _ in range(150)]
    write("made-crowd", BRIDGES | OFF, answers(bridged, addresses, [], default, bridged, crowd, known))
    # Messages that end where a value should stand.
    write("made-short-nexthop", LINKS, answers(links, addresses, [nexthop(1, attribute(5, b""))], routes))
    write("made-short-id", LINKS,
          answers(links, addresses, [message(104, struct.pack("=BBBBI", 2, 0, 4, 0, 0), attribute(1, b""))], routes))
    for name, kind in (("made-short-link", 4), ("made-short-object", 30)):
        write(name, LINKS, answers(links, addresses, hops, [route(socket.AF_INET, 0, attribute(kind, b""))]))
    write("made-short-setting", BRIDGES | OFF,
          answers(bridged, addresses, [], default, bridged + [link(9, "br2", "bridge", attribute(36, b""))]))
    write("made-short-master", BRIDGES | OFF, answers(bridged, addresses, [], default, bridged + [
        message(16, struct.pack("=BBHiII", 0, 0, 1, 9, 2, 0), attribute(3, "x"), attribute(10, b""))]))
    write("made-short-vlan", BRIDGES | OFF, answers(
        bridged, addresses, [], default, bridged, [neighbour(AF_BRIDGE, 2, hardware, attribute(5, b""))], neighbours))
    write("made-short-neighbour", BRIDGES | OFF,
          answers(bridged, addresses, [], default, bridged, entries, [message(28, b"")]))


def record(tap):
    """Interfaces, addresses, nexthops, routes, neighbours, and notices of them."""
    os.makedirs(FOLDER, exist_ok=True)
    made()
    for name, lines in SCENES.items():
        with Lab(tap) as lab:
            lab.run("gateway", "sysctl", "-qw", "net.ipv4.nexthop_compat_mode=0")
            before = look() if name == "stacked" else []
            with opened() as notices:
                for group in GROUPS:
                    notices.setsockopt(netlink.SOL_NETLINK, netlink.NETLINK_ADD_MEMBERSHIP, group)
                notices.setblocking(False)
                run(lab, tap, "ip", lines)
                heard = []
                try:
                    while True:
                        heard.append(notices.recv(1 << 17))
                except BlockingIOError:
                    pass
            write(name, LINKS, before + look())
            if heard:
                write("notices-" + name, NOTICES, heard)
    with Lab(tap) as lab:
        run(lab, tap, "ip", BRIDGED)
        run(lab, tap, "bridge", LEARNED)
        datagrams = look() + 2 * look_at_bridges()
        write("bridge", BRIDGES | OFF, datagrams)
        write("bridge-filtered", BRIDGES | FILTERED_4, look() + look_at_bridges())
    tap.ok(True, "recorded")


main(record)
