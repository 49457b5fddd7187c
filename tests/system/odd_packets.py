#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is neither a plain SYN, nor a plain datagram, nor an echo: fragments, extension headers, options, odd flags,
every protocol and every type of ICMP. Nothing of it opens what the policy denies,
and what the policy allows passes in any wrapping."""
import os
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ACK, ADDRESS, DNS, EXCHANGE, FAMILIES, FIN, RST, SYN, Lab, RawSender, Sniffer, main, wait_for)
from lab.packets import checksum, packed, tcp_segment, udp_datagram  # noqa: E402

URG, PSH, ECE, CWR = 32, 8, 64, 128
TCP, UDP, SCTP, UDPLITE = 6, 17, 132, 136
ICMP = {4: 1, 6: 58}
ECHO = {4: 8, 6: 128}
DISCOVERY = (130, 133, 134, 135, 136, 137)  # what a gateway sends to its neighbours
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60
SYSLOG = "[flow syslog-in]\nfrom = ANY\nto = SERVER\nprotocol = udp\nport = 514\n"
# Who sends, to whom; TCP and UDP ports that are open that way, and such that are not; and whether echo is allowed.
WAYS = (
    ("client", "server", (443, 514), (8470, 53), False),
    ("admin", "server", (8470, 514), (3389, 161), True),
    ("gateway", "server", (443, 514), (8470, 53), False),
    ("server", "client", (80, None), (8470, 514), False),
    ("server", "internet", (443, 53), (8474, 514), False),
)


def target_of(who, family):
    return DNS[family] if who == "internet" else ADDRESS[family][who]


class Sender:
    """Whole packets from one machine to another, each with a tag by which its arrival is known."""

    def __init__(self, source, who, family):
        self.family, self.src, self.dst = family, ADDRESS[family][source], target_of(who, family)
        self._raw = RawSender(source, self.src, self.dst)
        self._sniffer = Sniffer(who, keep=lambda packet: b"<odd" in packet.payload)
        self.tags, self._ident = [], 0

    def tag(self, title):
        self.tags.append(title)
        return b"<odd%06d>" % (len(self.tags) - 1)

    def ip(self, protocol, payload, options=b"", fragment=0, hops=64):
        if self.family == 6:
            return (struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + packed(self.src) + packed(self.dst)
                    + payload)
        header = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), self._ident,
                             fragment, hops, protocol, 0)
        return header + packed(self.src) + packed(self.dst) + options + payload

    def send(self, packet):
        while True:
            try:
                self._raw.socket.send(packet)
                return
            except PermissionError:  # the gateway's own, dropped at once
                return
            except OSError as error:
                if error.errno not in (11, 105):
                    raise

    def plain(self, protocol, payload):
        self._ident = self._ident % 65535 + 1
        self.send(self.ip(protocol, payload))

    def tcp(self, sport, dport, flags, data):
        return tcp_segment(self.src, self.dst, sport, dport, flags, seq=7, ack=9 if flags & ACK else 0, data=data)

    def udp(self, sport, dport, data):
        return udp_datagram(self.src, self.dst, sport, dport, data)

    def icmp(self, kind, code, body):
        message = struct.pack("!BBH", kind, code, 0) + body
        pseudo = (packed(self.src) + packed(self.dst)
                  + struct.pack("!IxxxB", len(message), 58) if self.family == 6 else b"")
        return message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]

    # -- wrappings of one and the same segment

    def fragments(self, protocol, segment, bounds, order=None):
        """As fragments that begin at these offsets, in this order. (They leave the gateway no larger:
        the tag must fit into one.)"""
        self._ident = self._ident % 65535 + 1
        ends = list(bounds[1:]) + [len(segment)]
        parts = []
        for start, end in zip(bounds, ends):
            more = end < len(segment)
            if self.family == 4:
                parts.append(self.ip(protocol, segment[start:end], fragment=start // 8 | (0x2000 if more else 0)))
            else:
                parts.append(self.ip(FRAGMENT,
                                     struct.pack("!BBHI", protocol, 0, start | more, self._ident) + segment[start:end]))
        for number in order if order is not None else range(len(parts)):
            self.send(parts[number])

    def wrappings(self):
        """(title, whether what is allowed must get through, how to send)."""
        yield "plain", True, self.plain
        yield "two fragments", True, lambda protocol, segment: self.fragments(protocol, segment, (0, 24))
        yield "two fragments, the second one first", True, lambda protocol, segment: self.fragments(
            protocol, segment, (0, 24), (1, 0))
        # In IPv6 the first fragment must hold all of a header (RFC 8200), and eight bytes are not all of TCP's.
        yield "the first fragments of eight bytes", self.family == 4, lambda protocol, segment: self.fragments(
            protocol, segment, (0, 8, 16))
        yield "the second fragment alone", False, lambda protocol, segment: self.fragments(
            protocol, segment, (0, 8), (1,))
        yield "the first fragment alone", False, lambda protocol, segment: self.fragments(
            protocol, segment, (0, len(segment) // 8 * 8 - 8), (0,))
        yield "the first fragment twice", False, lambda protocol, segment: self.fragments(
            protocol, segment, (0, 24), (0, 0, 1))
        if self.family == 4:
            yield "a timestamp option", True, lambda protocol, segment: self.send(
                self.ip(protocol, segment, b"\x44\x08\x05\x00\x00\x00\x00\x00"))
            yield "options of nothing", True, lambda protocol, segment: self.send(
                self.ip(protocol, segment, b"\x01" * 40))
            return
        padding = b"\x01\x04\0\0\0\0"
        yield "a fragment header and no fragment", True, lambda protocol, segment: self.fragments(
            protocol, segment, (0,))
        yield "hop-by-hop options", True, lambda protocol, segment: self.send(
            self.ip(HOP_BY_HOP, bytes((protocol, 0)) + padding + segment))
        yield "destination options", True, lambda protocol, segment: self.send(
            self.ip(OPTIONS, bytes((protocol, 0)) + padding + segment))
        yield "three headers", True, lambda protocol, segment: self.send(self.ip(
            HOP_BY_HOP,
            bytes((OPTIONS, 0)) + padding + bytes((OPTIONS, 0)) + padding + bytes((protocol, 0)) + padding + segment))
        yield "a routing header", False, lambda protocol, segment: self.send(
            self.ip(ROUTING, bytes((protocol, 0, 3, 0)) + bytes(4) + segment))
        yield "a header with too large a length", False, lambda protocol, segment: self.send(
            self.ip(OPTIONS, bytes((protocol, 200)) + padding + segment))

    def close(self, open_port):
        """[titles of what arrived], once all has that does."""
        mark = self.tag("the mark")
        self.plain(TCP, self.tcp(61999, open_port, SYN, mark))
        try:
            wait_for(lambda: self._sniffer.seen(lambda packet: mark in packet.payload), "the mark arrives")
        finally:
            self._raw.close()
            self._sniffer.close()
        return [title for number, title in enumerate(self.tags[:-1])
                if any(b"<odd%06d>" % number in packet.payload for packet in self._sniffer.packets)]


def judge(tap, got, wanted, maybe, title):
    """Arrived: all that is wanted; and of the rest nothing but what may."""
    tap.equal(([one for one in wanted if one not in got],
               [one for one in got if one not in wanted and one not in maybe]), ([], []),
              "%s: %d pass as they should, and nothing else does" % (title, len(wanted)))


def wrapped(sender, allowed, denied):
    """Each wrapping around what is allowed and what is not: (wanted, what may arrive)."""
    wanted, maybe = [], []
    for number, (title, certain, send) in enumerate(sender.wrappings()):
        for protocol, good, bad in zip((TCP, UDP), allowed, denied):
            for port in (good, bad):
                if port is None:
                    continue
                name = "%s, protocol %d, port %d" % (title, protocol, port)
                data = b"." * 40 + sender.tag(name)
                segment = (sender.tcp(50000 + number, port, SYN, data) if protocol == TCP
                           else sender.udp(50000 + number, port, data))
                send(protocol, segment)
                if port == good:
                    (wanted if certain else maybe).append(name)
    return wanted, maybe


def flags(sender, good, bad):
    """Every combination of TCP's flags to an open port and to another one,
    from ports that the server opens connections from."""
    wanted = []
    for bits in range(256):
        for port in (good, bad):
            name = "flags %02x, port %d" % (bits, port)
            sender.plain(TCP, sender.tcp(49200 + bits, port, bits, sender.tag(name)))
            # Connection tracking knows no other beginnings than these; PSH, ECE and CWR it does not look at.
            if port == good and bits & (FIN | SYN | RST | ACK | URG) in (SYN, SYN | URG, ACK, ACK | URG):
                wanted.append(name)
    return wanted


def protocols(sender, allowed, denied):
    """Every protocol, and port 0."""
    own = {4: (1, TCP, UDP), 6: (58, TCP, UDP)}[sender.family]
    for number in range(256):
        if number not in own:
            tag = sender.tag("protocol %d" % number)
            # To most protocols that know ports these are ports 8470 and 443, to UDP-Lite and SCTP open ones.
            sender.plain(number, struct.pack("!HHHH", 40000, allowed[0], 8, 0) + tag)
    wanted = []
    for protocol, good in zip((TCP, UDP), allowed):
        for sport, dport in ((0, good), (0, 0), (40000, 0), (good or 1, 0)):
            if dport is None:
                continue
            name = "protocol %d, from port %d to port %d" % (protocol, sport, dport)
            tag = sender.tag(name)
            sender.plain(protocol,
                         sender.tcp(sport, dport, SYN, tag) if protocol == TCP else sender.udp(sport, dport, tag))
            if dport:
                wanted.append(name)
    sender.plain(TCP, struct.pack("!HHI", 40001, allowed[0], 1) + sender.tag("a TCP header that is cut off")[:11])
    sender.plain(UDP, struct.pack("!HHHH", 40001, denied[1], 4, 0) + sender.tag("a datagram of too small a length"))
    return wanted


def icmp_types(sender, echo, near):
    """Every type of ICMP, with code 0 and another one. near: the sender is a neighbour, and neighbours may speak."""
    wanted = []
    for kind in range(256):
        for code in (0, 3):
            name = "ICMP type %d, code %d" % (kind, code)
            sender.plain(ICMP[sender.family],
                         sender.icmp(kind, code, struct.pack("!HH", 1000 + kind, code) + b"." * 40 + sender.tag(name)))
            if echo and kind == ECHO[sender.family] and code == 0:
                wanted.append(name)
    other = 10 - sender.family
    for kind in (0, 8, 128, 129, 133, 134, 135, 136, 137, 143):
        sender.plain(ICMP[other], sender.icmp(kind, 0, struct.pack("!HH", 2000, 1) + sender.tag(
            "IPv%d with the other family's ICMP type %d" % (sender.family, kind))))
    # Whether conntrack takes up an echo of an odd code is its own affair; it is an echo.
    maybe = ["ICMP type %d, code 3" % ECHO[sender.family]] if echo else []
    if near and sender.family == 6:
        wanted += ["ICMP type %d, code %d" % (kind, code) for kind in DISCOVERY for code in (0, 3)]
    elif sender.family == 6:
        for kind in DISCOVERY:
            sender.send(sender.ip(58, sender.icmp(
                kind, 0, b"." * 20 + sender.tag("ICMP type %d from afar with a near hop limit" % kind)), hops=255))
    return wanted, maybe


def anything(tap):
    """Nothing opens what is closed, in either direction, whatever the guards."""
    for gateway in ("early_drop = yes\ninterception = prevent", "early_drop = no\ninterception = off"):
        with Lab(tap) as lab:
            daemon = lab.spefwd(lab.config(gateway=gateway, flows=SYSLOG))
            for family in FAMILIES:
                for source, who, allowed, denied, echo in WAYS:
                    title = "%s: IPv%d, %s to %s: " % (gateway.replace("\n", ", "), family, source, who)
                    if source != "gateway":  # its own fragments are put together before they leave
                        sender = Sender(source, who, family)
                        wanted, maybe = wrapped(sender, allowed, denied)
                        judge(tap, sender.close(allowed[0]), wanted, maybe, title + "wrapped")
                    sender = Sender(source, who, family)
                    wanted = flags(sender, allowed[0], denied[0])
                    judge(tap, sender.close(allowed[0]), wanted, [], title + "TCP flags")
                    sender = Sender(source, who, family)
                    wanted = protocols(sender, allowed, denied)
                    judge(tap, sender.close(allowed[0]), wanted, [], title + "protocols")
                    sender = Sender(source, who, family)
                    wanted, maybe = icmp_types(sender, echo, source == "gateway")
                    judge(tap, sender.close(allowed[0]), wanted, maybe, title + "ICMP types")
            tap.ok(daemon.status()["health"] in ("ok", "degraded"), "the daemon lives")


def quoted(family, src, dst, sport, dport, title):
    """The beginning of a datagram, as an ICMP error has it."""
    inner = udp_datagram(src, dst, sport, dport, title)
    if family == 6:
        return bytes(4) + struct.pack("!IHBB", 6 << 28, len(inner), UDP, 63) + packed(src) + packed(dst) + inner
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 1, 0, 63, UDP, 0) + packed(src) + packed(dst)
    return bytes(4) + header[:10] + struct.pack("!H", checksum(header)) + header[12:] + inner


def icmp_errors(tap):
    """Errors pass that speak of a connection which the policy allows, from whichever router; and no others."""
    kinds = {4: ((3, 3), (3, 4), (11, 0)), 6: ((1, 4), (2, 0), (3, 0))}
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=SYSLOG))
        for family in FAMILIES:
            server, client, resolver = ADDRESS[family]["server"], ADDRESS[family]["client"], DNS[family]

            def opened():
                lab.run("gateway", "conntrack", "-F")
                with RawSender("server", server, resolver) as sender:
                    sender.udp(41001, 53)
                    sender.udp(41001, 54)  # denied
                with RawSender("client", client, server) as sender:
                    sender.udp(41000, 514)
                Sender("server", "internet", family).close(80)
                Sender("client", "server", family).close(443)

            def icmp_errors(title, expected):
                """ICMP errors of what was sent, to either end."""
                to_server, to_client = Sender("internet", "server", family), Sender("server", "client", family)
                to_server.src = EXCHANGE[family]  # as a router on the way
                wanted = {"the server": [], "the client": []}
                for kind, code in kinds[family]:
                    name = "type %d, code %d" % (kind, code)
                    for port, allowed in ((53, True), (54, False)):
                        for sport in (41001, 41002):
                            what = "%s: of %d to %d" % (name, sport, port)
                            to_server.plain(ICMP[family], to_server.icmp(
                                kind, code, quoted(family, server, resolver, sport, port, to_server.tag(what))))
                            if allowed and sport == 41001 and expected:
                                wanted["the server"].append(what)
                    # To the wrong end.
                    to_server.plain(ICMP[family], to_server.icmp(kind, code, quoted(
                        family, client, server, 41000, 514, to_server.tag(name + ": of what it got"))))
                    for sport, dport in ((41000, 514), (41000, 515), (41003, 514)):
                        what = "%s: of %d to %d" % (name, sport, dport)
                        to_client.plain(ICMP[family], to_client.icmp(
                            kind, code, quoted(family, client, server, sport, dport, to_client.tag(what))))
                        if (sport, dport) == (41000, 514) and expected:
                            wanted["the client"].append(what)
                judge(tap, to_server.close(443), wanted["the server"], [], "IPv%d: %s: to the server" % (family, title))
                judge(tap, to_client.close(80), wanted["the client"], [], "IPv%d: %s: to the client" % (family, title))
            opened()
            icmp_errors("of allowed ones", True)
            lab.run("gateway", "conntrack", "-F")
            icmp_errors("of connections that nobody knows", False)
            opened()
            tap.equal(daemon.reload(lab.config(flows="[flow dns-out]\nenabled = no\n"))["cut"], 2,
                      "IPv%d: both are cut" % family)
            icmp_errors("of connections that were cut", False)
            daemon.reload(lab.config(flows=SYSLOG))


if __name__ == "__main__":
    main(anything, icmp_errors)
