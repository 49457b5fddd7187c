#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that are not the last word: source routes, routing headers, and broadcasts to a network from afar. None
reaches a guarded machine."""
import os
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, EXCHANGE, FAMILIES, GATEWAY, SYN, Lab, RawSender, Sniffer, main, wait_for  # noqa: E402
from lab.packets import packed, tcp_segment, udp_datagram  # noqa: E402

SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
CLIENT = {family: ADDRESS[family]["client"] for family in FAMILIES}
HERE = GATEWAY["wan2"]
BESIDE = {4: "192.0.2.99", 6: "2001:db8:2::99"}  # another machine in the server's network, that nobody guards
LSRR, SSRR = 131, 137
TCP, UDP, ROUTING = 6, 17, 43


def believing(lab):
    """A gateway, and its neighbours, that do what such packets want."""
    for interface in ("all", "wan2", "lan"):
        lab.sysctl("gateway", "ipv4/conf/%s/accept_source_route" % interface, 1)
        lab.sysctl("gateway", "ipv6/conf/%s/seg6_enabled" % interface, 1)
        lab.sysctl("gateway", "ipv4/conf/%s/bc_forwarding" % interface, 1)
    lab.ip("server", "addr add %s/32 dev eth0" % BESIDE[4],
           "addr add %s/128 dev eth0 nodad preferred_lft 0" % BESIDE[6])
    lab.wait_neighbours("server", BESIDE[6])
    return lab


def source_routed(kind, target, hops, protocol, segment):
    """IPv4: first to the target, then to these."""
    option = struct.pack("!BBB", kind, 3 + 4 * len(hops), 4) + b"".join(packed(hop) for hop in hops)
    option += b"\1" * (-len(option) % 4)
    header = struct.pack("!BBHHHBBH", 0x45 + len(option) // 4, 0, 20 + len(option) + len(segment), 1, 0, 64, protocol,
                         0)
    return header + packed(CLIENT[4]) + packed(target) + option + segment


def segment_routed(target, segments, left, protocol, segment, kind=4):
    """IPv6: to the target, with a routing header whose segments stand last one first."""
    body = b"".join(packed(one) for one in segments)
    header = struct.pack("!BBBBBBH", protocol, len(body) // 8, kind, left, len(segments) - 1, 0, 0) + body
    return (struct.pack("!IHBB", 6 << 28, len(header) + len(segment), ROUTING, 64) + packed(CLIENT[6]) + packed(target)
            + header + segment)


class Tries:
    """Packets of the client with a mark in each; whether they reach a machine, and what was counted."""

    def __init__(self, tap, lab, daemon):
        self.tap, self.lab, self.daemon, self.port = tap, lab, daemon, 22000

    def counted(self):
        status = self.daemon.status()
        return status["guards"]["source_routed"], status["denied"]["in"]

    def send(self, family, make, protocol, dport, sport=None, last=None, flags=SYN):
        """make(protocol, segment) gives the packet; last: whom its checksum means."""
        if sport is None:
            self.port += 1
            sport = self.port
        mark, last = b"<%d>" % sport, last or SERVER[family]
        segment = (tcp_segment(CLIENT[family], last, sport, dport, flags, data=mark) if protocol == TCP
                   else udp_datagram(CLIENT[family], last, sport, dport, mark))
        with RawSender("client", CLIENT[family], HERE[family]) as sender:
            sender.socket.send(make(protocol, segment))
        return mark

    def judge(self, title, who, expected, family, make, protocol, dport, **more):
        """expected: "passes", "source-routed", "denied" (there and counted as such), or "counted" (in audit mode)."""
        before = self.counted()
        with Sniffer(who, keep=lambda packet: b"<" in packet.payload) as sniffer:
            mark = self.send(family, make, protocol, dport, **more)
            wait_for(lambda: sniffer.seen(lambda packet: mark in packet.payload) or self.counted() != before,
                     "%s: the packet is decided" % title)
            if expected in ("passes", "counted"):
                wait_for(lambda: sniffer.seen(lambda packet: mark in packet.payload), "%s: the packet arrives" % title)
            after = self.counted()
            came = bool(sniffer.seen(lambda packet: mark in packet.payload))
        counts = {"passes": (True, 0, 0), "source-routed": (False, 1, 0), "denied": (False, 0, 1),
                  "counted": (True, 1, 0)}
        self.tap.equal((came, after[0] - before[0], after[1] - before[1]), counts[expected], title)


def ipv4(tap):
    """Loose and strict source routes, by the gateway and past it."""
    with Lab(tap) as lab:
        believing(lab)
        lab.serve("gateway", udp=[161])
        tries = Tries(tap, lab, lab.spefwd(lab.config()))
        for kind, word in ((LSRR, "loose"), (SSRR, "strict")):
            for protocol, port, what in ((UDP, 161, "a datagram"), (TCP, 3389, "a SYN"),
                                         (TCP, 443, "a SYN to an open port")):
                tries.judge(
                    "a %s source route, %s: by the gateway to the server" % (word, what), "server", "source-routed", 4,
                    lambda protocol, segment, kind=kind: source_routed(kind, HERE[4], [SERVER[4]], protocol, segment),
                    protocol, port)
        tries.judge("a loose source route by a neighbour of the server", "server", "source-routed", 4,
                    lambda protocol, segment: source_routed(LSRR, BESIDE[4], [SERVER[4]], protocol, segment), UDP, 161)
        tries.judge("a loose source route that has the server's name on it", "server", "source-routed", 4,
                    lambda protocol, segment: source_routed(LSRR, SERVER[4], [BESIDE[4]], protocol, segment), TCP, 443)
        # Within a live connection with the gateway: that is not one with the server.
        with lab.inside("client"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(30)
                sock.bind((CLIENT[4], 21999))
                for _ in range(2):
                    sock.sendto(b"lab", (HERE[4], 161))
                    sock.recv(100)
                tries.judge("a loose source route in a live connection with the gateway", "server", "source-routed", 4,
                            lambda protocol, segment: source_routed(LSRR, HERE[4], [SERVER[4]], protocol, segment), UDP,
                            161, sport=21999)
        # What does not go there is nobody's business here.
        for kind in (LSRR, SSRR):
            tries.judge("a source route to another machine (%d)" % kind, "internet", "passes", 4,
                        lambda protocol, segment, kind=kind:
                        source_routed(kind, HERE[4], [EXCHANGE[4]], protocol, segment), UDP, 161, last=EXCHANGE[4])
        tries.judge("a timestamp option", "server", "passes", 4,
                    lambda protocol, segment: timestamped(SERVER[4], protocol, segment), TCP, 443)
        lab.daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        tries.judge("audit mode: a loose source route passes, and is counted", "server", "counted", 4,
                    lambda protocol, segment: source_routed(LSRR, HERE[4], [SERVER[4]], protocol, segment), UDP, 161)
        text = lab.daemon.ctl("status", check=False).stdout
        tap.ok(" source-routed" in text, "status shows them", text)


def timestamped(target, protocol, segment):
    option = b"\x44\x08\x05\0\0\0\0\0"
    header = struct.pack("!BBHHHBBH", 0x47, 0, 28 + len(segment), 1, 0, 64, protocol, 0)
    return header + packed(CLIENT[4]) + packed(target) + option + segment


def ipv6(tap):
    """Routing headers with segments left, past the gateway; and those of which the gateway writes the last one."""
    with Lab(tap) as lab:
        believing(lab)
        with lab.inside("gateway"):
            segments = os.path.exists("/proc/sys/net/ipv6/conf/all/seg6_enabled")
        lab.serve("gateway", udp=[161])
        tries = Tries(tap, lab, lab.spefwd(lab.config()))
        for kind in (0, 2, 3, 4, 253):
            tries.judge("a routing header of type %d by a neighbour of the server" % kind, "server", "source-routed", 6,
                        lambda protocol, segment, kind=kind:
                        segment_routed(BESIDE[6], [SERVER[6]], 1, protocol, segment, kind), UDP, 161)
        tries.judge("by the server itself", "server", "source-routed", 6,
                    lambda protocol, segment: segment_routed(SERVER[6], [BESIDE[6]], 1, protocol, segment), TCP, 443,
                    last=BESIDE[6])
        tries.judge("a header of which nothing is left", "server", "passes", 6,
                    lambda protocol, segment: segment_routed(BESIDE[6], [BESIDE[6]], 0, protocol, segment), UDP, 161,
                    last=BESIDE[6])
        tries.judge("nothing left, to the server: it is judged as any packet: closed", "server", "denied", 6,
                    lambda protocol, segment: segment_routed(SERVER[6], [SERVER[6]], 0, protocol, segment), UDP, 161)
        tries.judge("nothing left, to the server: it is judged as any packet: open", "server", "passes", 6,
                    lambda protocol, segment: segment_routed(SERVER[6], [SERVER[6]], 0, protocol, segment), TCP, 443)
        tries.judge("segments left, to another machine", "internet", "passes", 6,
                    lambda protocol, segment: segment_routed(EXCHANGE[6], [SERVER[6]], 1, protocol, segment), UDP, 161)
        if not segments:
            tap.skip("by the gateway", "this kernel has no segment routing")
            return
        # The checksum is that of the last target: connection tracking would not take up such packets at all.
        lab.sysctl("gateway", "netfilter/nf_conntrack_checksum", 0)
        tries.judge("by the gateway to the server: closed", "server", "denied", 6,
                    lambda protocol, segment: segment_routed(HERE[6], [SERVER[6], HERE[6]], 1, protocol, segment), UDP,
                    161)
        tries.judge("by the gateway to the server: open", "server", "passes", 6,
                    lambda protocol, segment: segment_routed(HERE[6], [SERVER[6], HERE[6]], 1, protocol, segment), TCP,
                    443)
        with lab.inside("client"):
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.settimeout(30)
                sock.bind((CLIENT[6], 21999))
                for _ in range(2):
                    sock.sendto(b"lab", (HERE[6], 161))
                    sock.recv(100)
                tries.judge("by the gateway, in a live connection with it", "server", "source-routed", 6,
                            lambda protocol, segment:
                            segment_routed(HERE[6], [SERVER[6], HERE[6]], 1, protocol, segment), UDP, 161, sport=21999)
        tries.judge("by the gateway to another machine", "internet", "passes", 6,
                    lambda protocol, segment: segment_routed(HERE[6], [EXCHANGE[6], HERE[6]], 1, protocol, segment),
                    UDP, 161, last=EXCHANGE[6])
        lab.daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        tries.judge("audit mode: it passes, and is counted", "server", "counted", 6,
                    lambda protocol, segment: segment_routed(BESIDE[6], [SERVER[6]], 1, protocol, segment), UDP, 161)


def plain(target):
    return lambda protocol, segment: struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol,
                                                 0) + packed(CLIENT[4]) + packed(target) + segment


def broadcasts(tap):
    """A datagram to the broadcast address of the server's network, from another one,
    where the gateway forwards those."""
    with Lab(tap) as lab:
        believing(lab)
        lab.sysctl("gateway", "ipv4/conf/adm/bc_forwarding", 1)
        lab.ip("gateway", "addr add 192.0.2.250/28 brd 192.0.2.253 dev lan")
        daemon = lab.spefwd(lab.config())
        tries = Tries(tap, lab, daemon)
        wait_for(lambda: "192.0.2.255" in lab.daemon.set_text("broadcasts_4"),
                 "the network's broadcast address is known")
        tries.judge("to the server's network", "server", "denied", 4, plain("192.0.2.255"), UDP, 137,
                    last="192.0.2.255")
        tries.judge("to a network without a guarded machine", "admin", "passes", 4, plain("203.0.113.255"), UDP, 137,
                    last="203.0.113.255")
        before = daemon.status()["denied"]
        with lab.inside("server"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sock.sendto(b"lab", ("192.0.2.255", 137))
        tap.equal(daemon.status()["denied"], before, "the server's own broadcast is no denial")
        # An address that the network gives to other machines as well as to all of them: the more particular one counts.
        daemon.reload(lab.config(server="192.0.2.25 192.0.2.255 2001:db8:2::25"))
        wait_for(lambda: "192.0.2.255" not in lab.daemon.set_text("broadcasts_4"), "a guarded address is none")
        daemon.reload(lab.config(server="192.0.2.242 2001:db8:2::25"))
        text = lab.daemon.set_text("broadcasts_4")
        tap.ok("192.0.2.253" in text and "192.0.2.255" in text, "the one that was given, and the mask's", text)
        daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        with Sniffer("server", keep=lambda packet: b"<" in packet.payload) as sniffer:
            mark = tries.send(4, plain("192.0.2.255"), UDP, 137, last="192.0.2.255")
            wait_for(lambda: sniffer.seen(lambda packet: mark in packet.payload), "audit mode: it arrives")
        tap.ok(daemon.status()["denied"]["in"] > before["in"], "audit mode: it arrives, and is counted")


if __name__ == "__main__":
    main(ipv4, ipv6, broadcasts)
