# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets made by hand, and a look at what arrives: raw sockets, one thread, no library."""
import collections
import ctypes
import os
import selectors
import socket
import struct
import threading
import time

from . import namespaces
from .tap import wait_for

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
IPV6_CHECKSUM = 7
SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING, SO_ATTACH_FILTER = 263, 6, 23, 26
ICMP_ECHO, ICMP6_ECHO = 8, 128

# kind: tcp, udp, icmp, other; flags only of TCP; type only of ICMP (in .sport),
# fragments other than the first are "fragment".
Packet = collections.namedtuple("Packet", "family src dst kind sport dport flags payload")


def family_of(address):
    return 6 if ":" in address else 4


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _pseudo(src, dst, protocol, length):
    if ":" in src:
        return packed(src) + packed(dst) + struct.pack("!IxxxB", length, protocol)
    return packed(src) + packed(dst) + struct.pack("!xBH", protocol, length)


def tcp_segment(src, dst, sport, dport, flags, seq=1, ack=0, data=b""):
    header = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 64240, 0, 0)
    total = checksum(_pseudo(src, dst, socket.IPPROTO_TCP, len(header) + len(data)) + header + data)
    return header[:16] + struct.pack("!H", total) + header[18:] + data


def udp_datagram(src, dst, sport, dport, data=b""):
    header = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    total = checksum(_pseudo(src, dst, socket.IPPROTO_UDP, len(header) + len(data)) + header + data)
    return header[:6] + struct.pack("!H", total or 0xFFFF) + data


def echo_request(src, dst, identity=1, data=b"lab"):
    if ":" in src:
        body = struct.pack("!BBHHH", ICMP6_ECHO, 0, 0, identity, 1) + data
        total = checksum(_pseudo(src, dst, socket.IPPROTO_ICMPV6, len(body)) + body)
    else:
        body = struct.pack("!BBHHH", ICMP_ECHO, 0, 0, identity, 1) + data
        total = checksum(body)
    return body[:2] + struct.pack("!H", total) + body[4:]


class RawSender:
    """Sends any IP packet from a machine, also with a source address that it does not have."""

    def __init__(self, machine, src, dst):
        self.src, self.dst, self.family = src, dst, family_of(dst)
        with namespaces.inside(machine):
            if self.family == 4:
                self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                self.socket.connect((dst, 0))
            else:
                # IPPROTO_RAW carries a header of one's own for IPv6 as well.
                self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
                self.socket.connect((dst, 0))
        self._ident = 1

    def send(self, protocol, payload, fragment=0):
        """fragment: the field of IPv4's header, flags and offset (IPv4 alone)."""
        if self.family == 4:
            self._ident = (self._ident + 1) & 0xFFFF
            header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), self._ident if not fragment else 7,
                                 fragment, 64, protocol, 0, packed(self.src), packed(self.dst))
        else:
            header = struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 64, packed(self.src), packed(self.dst))
        while True:
            try:
                self.socket.send(header + payload)
                return
            except (BlockingIOError, OSError) as error:
                if getattr(error, "errno", None) not in (11, 105):
                    raise
                time.sleep(0.001)

    def tcp(self, sport, dport, flags=SYN, seq=1, ack=0, data=b""):
        self.send(socket.IPPROTO_TCP, tcp_segment(self.src, self.dst, sport, dport, flags, seq, ack, data))

    def udp(self, sport, dport, data=b"lab"):
        self.send(socket.IPPROTO_UDP, udp_datagram(self.src, self.dst, sport, dport, data))

    def echo(self, identity=1):
        self.send(socket.IPPROTO_ICMPV6 if self.family == 6 else socket.IPPROTO_ICMP,
                  echo_request(self.src, self.dst, identity))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def parse(frame):
    """A frame of AF_PACKET, SOCK_DGRAM (no link header); None where it is no IP."""
    if len(frame) < 20:
        return None
    version = frame[0] >> 4
    if version == 4:
        offset = (frame[0] & 15) * 4
        protocol = frame[9]
        src, dst = socket.inet_ntop(socket.AF_INET, frame[12:16]), socket.inet_ntop(socket.AF_INET, frame[16:20])
        body = frame[offset:struct.unpack("!H", frame[2:4])[0]]
        if struct.unpack("!H", frame[6:8])[0] & 0x1FFF:
            return Packet(4, src, dst, "fragment", 0, 0, 0, body)
    elif version == 6 and len(frame) >= 40:
        protocol = frame[6]
        src, dst = socket.inet_ntop(socket.AF_INET6, frame[8:24]), socket.inet_ntop(socket.AF_INET6, frame[24:40])
        body = frame[40:40 + struct.unpack("!H", frame[4:6])[0]]
        if protocol == 44 and len(body) >= 8:
            if struct.unpack("!H", body[2:4])[0] & 0xFFF8:
                return Packet(6, src, dst, "fragment", 0, 0, 0, body[8:])
            protocol, body = body[0], body[8:]
    else:
        return None
    if protocol == socket.IPPROTO_TCP and len(body) >= 20:
        sport, dport = struct.unpack("!HH", body[:4])
        return Packet(version, src, dst, "tcp", sport, dport, body[13], body[(body[12] >> 4) * 4:])
    if protocol == socket.IPPROTO_UDP and len(body) >= 8:
        sport, dport = struct.unpack("!HH", body[:4])
        return Packet(version, src, dst, "udp", sport, dport, 0, body[8:])
    if protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6) and len(body) >= 8:
        return Packet(version, src, dst, "icmp", body[0], body[1], 0, body[4:])
    return Packet(version, src, dst, "other", 0, 0, 0, body)


def _syn_program(ports):
    """A classic BPF program that keeps SYNs to these ports: nothing else of a busy interface is copied."""
    ldb, ldb_x, ldh_x, ldx_imm, ldx_ihl, band, jeq, ja, ret = 0x30, 0x50, 0x48, 0x01, 0xB1, 0x54, 0x15, 0x05, 0x06
    tail = len(ports) + 4  # instructions between the start of the common part and its "drop"
    code = [(ldb, 0, 0, 0), (band, 0, 0, 0xF0), (jeq, 0, 4, 0x40),
            (ldb, 0, 0, 9), (jeq, 0, tail + 4, 6), (ldx_ihl, 0, 0, 0), (ja, 0, 0, 3),
            (ldb, 0, 0, 6), (jeq, 0, tail + 1, 6), (ldx_imm, 0, 0, 40),
            (ldb_x, 0, 0, 13), (band, 0, 0, SYN | ACK), (jeq, 0, tail - 3, SYN), (ldh_x, 0, 0, 2)]
    code += [(jeq, len(ports) - index, 0, port) for index, port in enumerate(ports)]
    return code + [(ret, 0, 0, 0), (ret, 0, 0, 0xFFFF)]


def _icmp_program():
    """Likewise, one that keeps ICMP of either family."""
    ldb, band, jeq, ret = 0x30, 0x54, 0x15, 0x06
    return [(ldb, 0, 0, 0), (band, 0, 0, 0xF0), (jeq, 0, 2, 0x40), (ldb, 0, 0, 9), (jeq, 2, 3, 1), (ldb, 0, 0, 6),
            (jeq, 0, 1, 58),
            (ret, 0, 0, 0xFFFF), (ret, 0, 0, 0)]


def _attach(sock, code):
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(code), ctypes.addressof(buffer)))


class Sniffer:
    """What arrives at a machine's interface, before its own firewall and sockets. Loss is counted and is an error."""

    def __init__(self, machine, interface="eth0", keep=None, outgoing=False, syn_ports=None, icmp=False):
        """keep(packet): which ones to remember. outgoing: also what the machine sends. syn_ports: SYNs to these ports
        alone, icmp: ICMP alone, chosen by the kernel; for busy interfaces."""
        self._keep = keep or (lambda packet: True)
        self.packets = []
        self._lock = threading.Lock()
        with namespaces.inside(machine):
            # Protocol 0: it hears nothing until it is bound, with its filter in place.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            # What is not wanted needs no room in its queue, which is no larger than net.core.rmem_max.
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(not outgoing))
            if syn_ports is not None:
                _attach(self._socket, _syn_program(list(syn_ports)))
            elif icmp:
                _attach(self._socket, _icmp_program())
            self._socket.bind((interface, ETH_P_ALL))
        self._wake_read, self._wake_write = os.pipe()
        self.lost = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self._socket.setblocking(False)
        selector = selectors.DefaultSelector()
        selector.register(self._socket, selectors.EVENT_READ)
        selector.register(self._wake_read, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            while True:
                try:
                    frame = self._socket.recv(65536)
                except (BlockingIOError, OSError):
                    break
                packet = parse(frame)
                if packet is not None and self._keep(packet):
                    with self._lock:
                        self.packets.append(packet)
            if self._wake_read in ready:
                break
        selector.close()

    def seen(self, condition=lambda packet: True):
        with self._lock:
            return [packet for packet in self.packets if condition(packet)]

    def clear(self):
        with self._lock:
            self.packets = []

    def close(self):
        """Reads what is still queued, then ends. Raises where the kernel had to drop packets."""
        if self._socket is None:
            return
        os.write(self._wake_write, b"x")
        self._thread.join()
        _, self.lost = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._socket.close()
        self._socket = None
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self.lost:
            raise RuntimeError("the sniffer lost %d packets" % self.lost)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ping(machine, source, target, bound=30):
    """One ICMP echo: True when its answer comes back."""
    answer = 129 if ":" in target else 0
    with Sniffer(machine, keep=lambda packet: packet.kind == "icmp" and packet.src == target
                 and packet.sport == answer) as sniffer:
        with RawSender(machine, source, target) as sender:
            sender.echo()
        try:
            return bool(wait_for(sniffer.seen, "an echo reply", bound))
        except TimeoutError:
            return False


def is_syn(packet):
    return packet.kind == "tcp" and packet.flags & (SYN | ACK) == SYN
