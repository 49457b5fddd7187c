# SPDX-License-Identifier: GPL-2.0-or-later
"""A real DNS server, dnsmasq, on the machine `internet`, whose records change at run time."""
import os
import random
import select
import shutil
import signal
import socket
import struct

from . import namespaces
from .background import Background
from .tap import wait_for
from .topology import DNS, Failed

A, AAAA = 1, 28


def query(machine, server, name, kind, tcp=False, bound=5, port=53):
    """(rcode, [(address, ttl)]) as a client on `machine` sees it; None when nothing came. CNAMEs are passed over."""
    ident = random.randrange(1 << 16)
    question = (b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"
                + struct.pack("!HH", kind, 1))
    message = struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + question
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with namespaces.inside(machine):
        sock = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(bound)
        try:
            sock.connect((server, port))
            if tcp:
                sock.sendall(struct.pack("!H", len(message)) + message)
                reply, length = b"", None
                while length is None or len(reply) < length + 2:
                    piece = sock.recv(65536)
                    if not piece:
                        return None
                    reply += piece
                    length = struct.unpack("!H", reply[:2])[0] if len(reply) >= 2 else None
                reply = reply[2:]
            else:
                sock.send(message)
                reply = sock.recv(65536)
        except OSError:
            return None
    got, flags, _, answers = struct.unpack("!HHHH", reply[:8])
    if got != ident:
        return None
    at = 12 + len(question)
    result = []
    for _ in range(answers):
        while reply[at] and reply[at] < 0xC0:
            at += 1 + reply[at]
        at += 2 if reply[at] else 1
        rtype, _, ttl, length = struct.unpack("!HHIH", reply[at:at + 10])
        data = reply[at + 10:at + 10 + length]
        at += 10 + length
        if rtype == kind:
            result.append((socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data), ttl))
    return flags & 15, sorted(result)


class DnsServer:
    """records: {name: addresses}; every answer has the one TTL. A name without records does not exist."""

    def __init__(self, network, records=None, ttl=2, aliases=None):
        self.network = network
        self.records, self.ttl, self.aliases = dict(records or {}), ttl, dict(aliases or {})
        self._process = None
        self._hosts = os.path.join(network.dir, "hosts")
        if shutil.which("dnsmasq") is None:
            raise Failed("dnsmasq is missing: apt-get install dnsmasq-base, or dnf install dnsmasq")
        self.up()

    def up(self):
        self._write()
        argv = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                "--addn-hosts=" + self._hosts,
                "--user=root", "--group=root", "--pid-file=", "--local=/#/", "--local-ttl=%d" % self.ttl, "--neg-ttl=1",
                "--bind-interfaces", "--listen-address=" + DNS[4], "--listen-address=" + DNS[6]]
        argv += ["--cname=%s,%s,%d" % (alias, target, self.ttl) for alias, target in self.aliases.items()]
        self._process = self.network.start("internet", *argv)
        self._settled()

    def down(self):
        """Nobody answers any more."""
        if self._process is not None:
            self.network.stop(self._process)
            self._process = None

    def set(self, name, addresses, ttl=None):
        """Returns once the server answers so."""
        self.records[name] = list(addresses)
        if ttl is not None and ttl != self.ttl:
            self.ttl = ttl
            self.down()
        if self._process is None:
            self.up()
            return
        self._write()
        self._process.send_signal(signal.SIGHUP)
        self._settled()

    def _write(self):
        with open(self._hosts, "w", encoding="ascii") as file:
            for name, addresses in self.records.items():
                for address in addresses:
                    file.write("%s %s\n" % (address, name))

    def _settled(self):
        def answers():
            if self._process.poll() is not None:
                with open(self._process.log, encoding="utf-8", errors="replace") as file:
                    raise Failed("dnsmasq ended: " + file.read())
            for name, addresses in self.records.items():
                for kind, colon in ((A, False), (AAAA, True)):
                    answer = query("internet", DNS[4], name, kind)
                    if answer is None or sorted(a for a, _ in answer[1]) != sorted(
                            a for a in addresses if (":" in a) == colon):
                        return False
            return True if self.records else query("internet", DNS[4], "nobody.invalid", A) is not None
        wait_for(answers, "dnsmasq answers what it was given")


class ScriptedDns(Background):
    """A DNS server of the test's own on `internet`, for what a real one never does on request.

    answers: {(name, A or AAAA): answer}; an answer is a list of addresses, or "silent", "servfail", "refused",
    "nxdomain", "garbage", "truncated" (over UDP alone; over TCP .truncated is answered).
    Names that are not there do not exist."""

    RCODES = {"servfail": 2, "nxdomain": 3, "refused": 5}

    def __init__(self, answers, ttl=2, truncated=()):
        self.answers, self.ttl, self.truncated = dict(answers), ttl, list(truncated)
        self.queries = []  # (name, kind, "udp" or "tcp")
        self._sockets = []
        with namespaces.inside("internet"):
            for address in DNS.values():
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    sock = socket.socket(family, kind)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind((address, 53))
                    if kind == socket.SOCK_STREAM:
                        sock.listen(16)
                    self._sockets.append(sock)
        self._begin()

    def _run(self):
        while not self._ends:
            for sock in select.select(self._sockets, [], [], 0.05)[0]:
                try:
                    if sock.type == socket.SOCK_DGRAM:
                        message, peer = sock.recvfrom(65536)
                        reply = self._reply(message, "udp")
                        if reply is not None:
                            sock.sendto(reply, peer)
                    else:
                        connection, _ = sock.accept()
                        with connection:
                            connection.settimeout(5)
                            message = connection.recv(65536)[2:]
                            reply = self._reply(message, "tcp")
                            if reply is not None:
                                connection.sendall(struct.pack("!H", len(reply)) + reply)
                except (OSError, IndexError, struct.error):
                    pass

    def _reply(self, message, way):
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("ascii").lower())
            at += 1 + message[at]
        question = message[12:at + 5]
        name, kind = ".".join(labels), struct.unpack("!H", message[at + 1:at + 3])[0]
        self.queries.append((name, kind, way))
        answer = self.answers.get((name, kind), "nxdomain")
        if answer == "silent":
            return None
        if answer == "garbage":
            return message[:2] + b"\x81\x80\x00\x01\x00\xff\x00\x00\x00\x00" + question + b"\xc0\xff\x00"
        flags, addresses = 0x8180, []
        if answer == "truncated":
            if way == "udp":
                flags |= 0x0200
            else:
                addresses = self.truncated
        elif isinstance(answer, str):
            flags |= self.RCODES[answer]
        else:
            addresses = answer
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, 4 if kind == A else 16)
                           + socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, address)
                           for address in addresses)
        return message[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0) + question + records

    def _release(self):
        for sock in self._sockets:
            sock.close()
