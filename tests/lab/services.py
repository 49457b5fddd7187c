# SPDX-License-Identifier: GPL-2.0-or-later
"""Real listeners on the lab's machines, and clients that talk to them.

A TCP listener greets with one line, "MACHINE PORT PEER PEERPORT", so that the client knows whom it reached and as whom.
Then it takes commands, a line each: "echo TEXT", "send N" (N bytes follow), "take N" (N bytes come,
answered by "took N"). UDP is echoed."""
import errno
import os
import select
import selectors
import socket
import threading
import time

from . import namespaces
from .packets import family_of

_PIECE = 1 << 16


class Connection:
    """The client's side. Reads have a bound against hangs."""

    def __init__(self, sock, bound=60):
        self.socket = sock
        sock.settimeout(bound)
        self._buffer = b""

    def line(self):
        while b"\n" not in self._buffer:
            piece = self.socket.recv(_PIECE)
            if not piece:
                raise ConnectionError("closed by the peer")
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def ask(self, text):
        self.socket.sendall(text.encode() + b"\n")
        return self.line()

    def echo(self, text="hello"):
        """True when the connection carries data both ways."""
        return self.ask("echo " + text) == text

    def fetch(self, count):
        self.socket.sendall(b"send %d\n" % count)
        left = count - len(self._buffer)
        self._buffer = b""
        while left > 0:
            piece = self.socket.recv(_PIECE)
            if not piece:
                raise ConnectionError("closed by the peer, %d bytes missing" % left)
            left -= len(piece)
        return count

    def give(self, count):
        self.socket.sendall(b"take %d\n" % count)
        piece = b"x" * _PIECE
        left = count
        while left > 0:
            self.socket.sendall(piece[:left])
            left -= min(left, _PIECE)
        return self.line() == "took %d" % count

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Listener:
    """Listens on TCP and UDP ports of one machine, both families, until close()."""

    def __init__(self, machine, tcp=(), udp=(), transparent=False):
        self.machine = machine
        self.accepted = 0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._connections = set()
        self._lock = threading.Lock()
        with namespaces.inside(machine):
            for port in tcp:
                sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                if transparent:
                    sock.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
                sock.bind(("::", port))
                sock.listen(1024)
                sock.setblocking(False)
                self._selector.register(sock, selectors.EVENT_READ, ("tcp", port))
            for port in udp:
                for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    sock = socket.socket(family, socket.SOCK_DGRAM)
                    if family == socket.AF_INET6:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.bind((any_address, port))
                    sock.setblocking(False)
                    self._selector.register(sock, selectors.EVENT_READ, ("udp", port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                kind, port = key.data
                try:
                    if kind == "udp":
                        data, peer = key.fileobj.recvfrom(_PIECE)
                        key.fileobj.sendto(data, peer)
                    else:
                        self._accept(key.fileobj, port)
                except OSError:
                    pass

    def _accept(self, listening, port):
        sock, peer = listening.accept()
        with self._lock:
            self.accepted += 1
            self._connections.add(sock)
        address = peer[0][7:] if peer[0].startswith("::ffff:") else peer[0]
        try:
            sock.sendall(("%s %d %s %d\n" % (self.machine, port, address, peer[1])).encode())
        except OSError:
            pass
        threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        connection = Connection(sock, bound=None)
        try:
            while True:
                command, _, rest = connection.line().partition(" ")
                if command == "echo":
                    sock.sendall(rest.encode() + b"\n")
                elif command == "send":
                    left = int(rest)
                    while left > 0:
                        sock.sendall(b"y" * min(left, _PIECE))
                        left -= min(left, _PIECE)
                elif command == "take":
                    left = int(rest) - len(connection._buffer)
                    connection._buffer = b""
                    while left > 0:
                        piece = sock.recv(_PIECE)
                        if not piece:
                            raise ConnectionError
                        left -= len(piece)
                    sock.sendall(b"took %s\n" % rest.encode())
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(sock)
            sock.close()

    def push(self, text):
        """Every open connection gets this line, unsolicited."""
        with self._lock:
            for sock in self._connections:
                sock.sendall(text.encode() + b"\n")

    def close(self):
        if self._wake_write is None:
            return
        os.write(self._wake_write, b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.fileobj.close()
        self._selector.close()
        with self._lock:
            for sock in self._connections:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_write = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _open(machine, target, port, source=None, sport=0):
    family = socket.AF_INET6 if family_of(target) == 6 else socket.AF_INET
    with namespaces.inside(machine):
        sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    if source or sport:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((source or ("::" if family == socket.AF_INET6 else "0.0.0.0"), sport))
    code = sock.connect_ex((target, port))
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(code, "%s to %s port %d: %s" % (machine, target, port, os.strerror(code)))
    return sock


def connect(machine, target, port, source=None, sport=0, bound=60):
    """A Connection that has been greeted; .greeting is (machine, port, peer, peer port). Raises OSError."""
    sock = _open(machine, target, port, source, sport)
    _, ready, _ = select.select([], [sock], [], bound)
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else errno.ETIMEDOUT
    if code:
        sock.close()
        raise OSError(code, "%s to %s port %d: %s" % (machine, target, port, os.strerror(code)))
    connection = Connection(sock, bound)
    who, where, peer, peer_port = connection.line().split(" ")
    connection.greeting = (who, int(where), peer, int(peer_port))
    return connection


class Probe:
    """One attempt to connect, begun and not waited for."""

    def __init__(self, machine, target, port, source=None):
        self.machine, self.target, self.port = machine, target, port
        self.result = None  # "open MACHINE", "refused", another error's name; None while nothing came
        try:
            self._socket = _open(machine, target, port, source)
            self.sport = self._socket.getsockname()[1]
        except OSError as error:
            self._socket, self.sport = None, 0
            self.result = errno.errorcode.get(error.errno, "error")

    def step(self):
        if self.result is not None or self._socket is None:
            return
        _, ready, _ = select.select([], [self._socket], [], 0)
        if not ready:
            return
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.result = "refused" if code == errno.ECONNREFUSED else errno.errorcode.get(code, "error")
            return
        try:
            self.result = "open " + self._socket.recv(256).decode().split(" ")[0]
        except BlockingIOError:
            pass

    @property
    def open(self):
        return self.result is not None and self.result.startswith("open ")

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def probe_all(wanted, fence=None, bound=60):
    """Begins every attempt of `wanted`, a list of (machine, target, port, expected to open), and waits until each
    expected one is decided. Then fence() runs: something allowed that takes the same way, so that what has not come
    before it is not under way. Returns the Probes, closed."""
    probes = [Probe(machine, target, port) for machine, target, port, _ in wanted]
    end = time.monotonic() + bound
    try:
        while True:
            for probe in probes:
                probe.step()
            if all(probe.result is not None for probe, (_, _, _, expected) in zip(probes, wanted) if expected):
                break
            if time.monotonic() > end:
                break
            time.sleep(0.005)
        if fence is not None:
            fence()
        for probe in probes:
            probe.step()
    finally:
        for probe in probes:
            probe.close()
    return probes


def udp_exchange(machine, target, port, data=b"lab", bound=10):
    """True if the datagram came back."""
    family = socket.AF_INET6 if family_of(target) == 6 else socket.AF_INET
    with namespaces.inside(machine):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(bound)
        sock.connect((target, port))
        sock.send(data)
        try:
            return sock.recv(_PIECE) == data
        except OSError:
            return False
