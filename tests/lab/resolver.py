# SPDX-License-Identifier: GPL-2.0-or-later
"""spefw-resolver, driven as spefwd does it: the records of resolver/wire.h over a socket pair."""
import collections
import os
import socket
import struct
import subprocess

from . import namespaces
from .daemon import program, sanitizer_report
from .dns_servers import address_bytes
from .tap import HANG, PATIENCE
from .topology import Failed

SERVERS, QUERY, WATCH_BEGIN, WATCH, WATCH_END, NFLOG, PING = range(1, 8)
READY, ANSWER, FAILURE, OBSERVED, DENIAL, COUNTS, PONG = range(64, 71)
NAME_MAX = 254

Ready = collections.namedtuple("Ready", "version landlock")
Answer = collections.namedtuple("Answer", "id ttl family addresses aliases")
Failure = collections.namedtuple("Failure", "id silent error")
Observed = collections.namedtuple("Observed", "server resolver ttl family question addresses")
Denial = collections.namedtuple("Denial", "source target source_port target_port protocol mid_stream hook kind")
Counts = collections.namedtuple("Counts", "unasked lost dropped")
Pong = collections.namedtuple("Pong", "number")


def record(kind, body=b""):
    return struct.pack("=II", kind, 8 + len(body)) + body


def text_of(data):
    """A text, where only zeros are behind it."""
    text, _, rest = data.partition(b"\0")
    if rest.strip(b"\0"):
        raise Failed("bytes behind a text: %r" % data)
    return text.decode("ascii")


def _address(data):
    family, size = data[0], {4: 4, 6: 16}[data[0]]
    if data[1:4].strip(b"\0") or data[4 + size:].strip(b"\0"):
        raise Failed("bytes behind an address: %r" % data)
    return socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, data[4:4 + size])


def _addresses(data, at, count):
    return [_address(data[at + 20 * i:at + 20 * (i + 1)]) for i in range(count)]


def parse(data):
    """What spefw-resolver sent, each byte of it accounted for."""
    kind, length = struct.unpack_from("=II", data)
    if length != len(data):
        raise Failed("a record of %d bytes says %d" % (len(data), length))
    if kind == READY and length == 48:
        return Ready(text_of(data[8:40]), data[40])
    if kind == ANSWER:
        ident, ttl, count, alias_count, family = struct.unpack_from("=IIHHB", data, 8)
        end = 24 + 20 * count
        if length == end + NAME_MAX * alias_count:
            return Answer(ident, ttl, family, _addresses(data, 24, count),
                          [text_of(data[end + NAME_MAX * i:end + NAME_MAX * (i + 1)]) for i in range(alias_count)])
    if kind == FAILURE and length == 80:
        return Failure(*struct.unpack_from("=IB", data, 8), text_of(data[16:]))
    if kind == OBSERVED:
        ttl, count, family = struct.unpack_from("=IHB", data, 48)
        if length == 312 + 20 * count:
            return Observed(*_addresses(data, 8, 2), ttl, family, text_of(data[56:56 + NAME_MAX]),
                            _addresses(data, 312, count))
    if kind == DENIAL and length == 56:
        return Denial(*_addresses(data, 8, 2), *struct.unpack_from("=HHBBBB", data, 48))
    if kind == COUNTS and length == 32:
        return Counts(*struct.unpack_from("=QQQ", data, 8))
    if kind == PONG and length == 16:
        return Pong(*struct.unpack_from("=Q", data, 8))
    raise Failed("no record of spefw-resolver: %r" % data)


class ResolverProcess:
    """The process in a machine's namespace, ended with the network; restrict() is called in it before it begins.
    ready: its first record."""

    def __init__(self, network, machine, name="spefw-resolver", argv=(), uid=None, restrict=None):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        join, null = namespaces.joiner(machine, uid=uid), os.open("/dev/null", os.O_RDWR)
        log, self._log_end = os.pipe()

        def prepare():
            join()
            for number, fd in enumerate([null, null, self._log_end, other.fileno()]):
                os.dup2(fd, 100 + number)
            for number in range(4):
                os.dup2(100 + number, number)
            if restrict is not None:
                restrict()
            os.closerange(4, 1 << 16)
        environment = {key: os.environ[key] for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
        self._process = subprocess.Popen([program(name), *argv], close_fds=False, preexec_fn=prepare, env=environment)
        self.pid = self._process.pid
        for fd in (null, self._log_end):
            os.close(fd)
        other.close()
        self._log = os.fdopen(log, encoding="utf-8", errors="replace")
        self.socket.settimeout(HANG * PATIENCE)
        network.at_close(self.kill)
        self.ready = self.receive()

    def send(self, kind, body=b"", fds=()):
        self.send_raw(record(kind, body), fds)

    def send_raw(self, data, fds=()):
        self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("%di" % len(fds), *fds))]
                            if fds else [])

    def servers(self, *addresses, port=53):
        items = [struct.pack("=B3x16sHH", 6 if ":" in one else 4, address_bytes(one), port, 0) for one in addresses]
        self.send(SERVERS, struct.pack("=I", len(items)) + b"".join(items).ljust(24 * 16, b"\0"))

    def query(self, ident, name, family=4):
        self.send(QUERY, struct.pack("=IB254sx", ident, family, name.encode()))

    def watch(self, *names):
        """Returns once it does."""
        self.send(WATCH_BEGIN)
        for name in names:
            self.send(WATCH, struct.pack("=254s2x", name.encode()))
        self.send(WATCH_END)
        self.ping(len(names))

    def nflog(self, sock):
        self.send(NFLOG, fds=[] if sock is None else [sock.fileno()])

    def receive(self):
        """The next record; None: it has closed its end."""
        try:
            data = self.socket.recv(1 << 17)
        except ConnectionResetError:
            return None
        return parse(data) if data else None

    def answers(self, *idents):
        """{id: its answer or failure}, each of which comes once."""
        found = {}
        while set(idents) - set(found):
            one = self.receive()
            if one is None or one.id not in idents or one.id in found:
                raise Failed("instead of answers to %s: %s, %s" % (idents, one, self.end()))
            found[one.id] = one
        return found

    def ping(self, number):
        """What came before the PONG to this."""
        before = []
        self.send(PING, struct.pack("=Q", number))
        while True:
            one = self.receive()
            if one is None:
                raise Failed("no PONG: %s" % (self.end(),))
            if one == Pong(number):
                return before
            before.append(one)

    def end(self):
        """Waits for its end: exit status, negative the signal's number; and its log."""
        status = self._process.wait(HANG * PATIENCE)
        log = self._log.read()
        if sanitizer_report(log):
            raise Failed(sanitizer_report(log))
        return status, log

    def status(self):
        """{key: value} of /proc/PID/status."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def kill(self):
        self.socket.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()
