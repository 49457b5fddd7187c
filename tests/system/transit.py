#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is not the server's is none of spefw's business: everything arrives with the daemon as it does without."""
import os
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (ACK, ADDRESS, FAMILIES, FIN, GATEWAY, INTERFACE_OF, PSH, RST, SYN, Lab, RawSender, Sniffer, main, ping,
                 probe_all,  # noqa: E402
                 udp_exchange, wait_for)
from lab.packets import checksum, tcp_segment, udp_datagram  # noqa: E402

TCP_PORTS = [22, 25, 80, 443, 445, 8470, 3128]
PAIRS = (("client", "internet"), ("internet", "client"), ("client", "admin"), ("admin", "internet"))


def bad_checksum(segment):
    return segment[:16] + struct.pack("!H", struct.unpack("!H", segment[16:18])[0] ^ 0x5555) + segment[18:]


# Machines take the ports of their own connections from here up (net.ipv4.ip_local_port_range), and may close one late,
# from either end: ours are below, on both sides.
EPHEMERAL = 32768
# The ports of a datagram that nobody sent: by it one knows our ICMP error from those of the machines themselves.
QUOTED = struct.pack("!HH", 7, 9)


def icmp_error(source, target):
    """"Port unreachable" for a datagram that nobody sent."""
    inner = udp_datagram(target, source, 7, 9)
    if ":" in target:
        quoted = (struct.pack("!IHBB", 6 << 28, len(inner), 17, 64) + socket.inet_pton(socket.AF_INET6, target)
                  + socket.inet_pton(socket.AF_INET6, source) + inner)
        body = struct.pack("!BBHI", 1, 4, 0, 0) + quoted
        pseudo = (socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
                  + struct.pack("!IxxxB", len(body), 58))
        return body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    quoted = (struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 1, 0, 64, 17, 0) + socket.inet_aton(target)
              + socket.inet_aton(source))
    body = struct.pack("!BBHI", 3, 3, 0, 0) + quoted[:10] + struct.pack("!H", checksum(quoted)) + quoted[12:] + inner
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def odd_packets(source, target, sender):
    """Packets that connection tracking finds odd, or never sees."""
    family = 6 if ":" in target else 4
    sender.tcp(20000, 443, ACK, seq=1000, ack=2000, data=b"a part")     # of a connection nobody knows
    sender.tcp(20001, 443, RST)                                         # invalid
    sender.tcp(20002, 443, SYN | FIN)                                   # invalid
    sender.tcp(20003, 443, 0)                                           # invalid
    sender.tcp(20004, 443, FIN | PSH | ACK, seq=5, ack=6)
    sender.tcp(20005, 443, SYN | ACK, seq=5, ack=6)                     # an answer to nothing
    sender.send(socket.IPPROTO_TCP, bad_checksum(tcp_segment(source, target, 20006, 443, SYN)))
    sender.tcp(20007, 9999, ACK, seq=1, ack=1)                          # untracked by another table
    sender.udp(20008, 53)
    sender.udp(53, 20009)
    sender.udp(20010, 9999)                                             # untracked
    sender.send(socket.IPPROTO_UDP, udp_datagram(source, target, 20011, 500)[:6] + b"\0\0" + b"lab")
    sender.send(socket.IPPROTO_ICMPV6 if family == 6 else socket.IPPROTO_ICMP, icmp_error(source, target))
    for protocol in (47, 50, 132, 253):
        sender.send(protocol, b"\0" * 32)


def fragmented(source, target, identity):
    """A datagram in two fragments, the second one first (IPv4)."""
    with RawSender(source, ADDRESS[4][source], target) as sender:
        datagram = udp_datagram(ADDRESS[4][source], target, 20100 + identity, 5001, b"f" * 1600)
        sender.send(socket.IPPROTO_UDP, datagram[800:], fragment=100)
        sender.send(socket.IPPROTO_UDP, datagram[:800], fragment=0x2000)


def observe(lab, source, who):
    """What happens between two machines, as a dict of what was tried and what came of it."""
    seen = {}
    for family in FAMILIES:
        src, target = ADDRESS[family][source], ADDRESS[family][who]
        probes = probe_all([(source, target, port, True) for port in TCP_PORTS + [4444]])
        seen["IPv%d TCP" % family] = [(probe.port, probe.result) for probe in probes]
        seen["IPv%d UDP" % family] = [(port, udp_exchange(source, target, port)) for port in (53, 5000)]
        seen["IPv%d large datagram, in fragments" % family] = udp_exchange(source, target, 5000, b"x" * 9000)
        seen["IPv%d echo" % family] = ping(source, src, target)
        with Sniffer(who, keep=lambda packet: packet.src == src) as sniffer:
            with RawSender(source, src, target) as sender:
                odd_packets(src, target, sender)
                if family == 4:
                    fragmented(source, target, 1)
                sender.udp(20099, 20099)
            wait_for(lambda: sniffer.seen(lambda packet: packet.dport == 20099), "the mark arrives")
        seen["IPv%d odd packets" % family] = [packet[3:7] for packet in sniffer.packets
                                              if packet.kind not in ("icmp", "fragment")
                                              and max(packet.sport, packet.dport) < EPHEMERAL]
        seen["IPv%d ICMP errors" % family] = [packet[4:6] for packet in sniffer.packets if packet.kind == "icmp"
                                              and QUOTED in packet.payload]
    return seen


def everything(lab):
    seen = {"%s to %s, %s" % (source, who, what): result for source, who in PAIRS
            for what, result in observe(lab, source, who).items()}
    for family in FAMILIES:
        for who in ("internet", "client"):
            probes = probe_all([("gateway", ADDRESS[family][who], port, True) for port in TCP_PORTS + [4444]])
            seen["gateway to %s, IPv%d TCP" % (who, family)] = [(probe.port, probe.result) for probe in probes]
            probes = probe_all([(who, GATEWAY[INTERFACE_OF[who]][family], port, True) for port in TCP_PORTS + [4444]])
            seen["%s to gateway, IPv%d TCP" % (who, family)] = [(probe.port, probe.result) for probe in probes]
            seen["%s to gateway, IPv%d UDP" % (who, family)] = udp_exchange(
                who, GATEWAY[INTERFACE_OF[who]][family], 5000)
            seen["%s to gateway, IPv%d echo" % (who, family)] = ping(who, ADDRESS[family][who],
                                                                     GATEWAY[INTERFACE_OF[who]][family])
    return seen


# Connection tracking is on either way, and another table lets some packets by it: what differs is spefw alone.
OTHER_TABLE = """table inet other {
	chain raw { type filter hook prerouting priority raw; tcp dport 9999 notrack; udp dport 9999 notrack; }
	chain forward { type filter hook forward priority -10; ct state established counter; }
}
"""


def untouched(tap):
    """The same traffic without the daemon, with it, and with it in audit mode."""
    with Lab(tap) as lab:
        lab.nft("gateway", OTHER_TABLE)
        for machine in ("client", "internet", "admin", "gateway"):
            lab.serve(machine, tcp=TCP_PORTS, udp=[53, 5000, 5001])
        without = everything(lab)
        lost = {what: result for what, result in without.items()
                if not result or ("TCP" in what and [answer for _, answer in result]
                                  != ["open " + what.split(" to ")[1].split(",")[0]] * len(TCP_PORTS) + ["refused"])}
        tap.equal(lost, {}, "without the daemon, everything arrives")
        kept = {(family, source, who): lab.connect(source, ADDRESS[family][who], 443) for family in FAMILIES
                for source, who in PAIRS}
        daemon = lab.guard(lab.config())
        for title in ("enforcing", "audit mode"):
            got = everything(lab)
            for what in sorted(without):
                tap.equal(got[what], without[what], "%s: %s" % (title, what))
            broken = [key for key, connection in kept.items() if not connection.echo()]
            tap.equal(broken, [], title + ": connections from before go on")
            if daemon is None:
                break
            status = daemon.status()
            tap.equal((status["denied"]["in"], status["denied"]["out"], status["denied"]["early"],
                       status["denied"]["invalid"]),
                      (0, 0, 0, 0), title + ": none of it was counted as denied")
            daemon.reload(lab.config(gateway="").replace("mode = enforce", "mode = audit"))


if __name__ == "__main__":
    main(untouched)
