# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries from outside, without end, what is denied and what is allowed,
and reports on the second serial port what came through.

Lines "witness {...}": t (seconds since boot), tried (denied connections), came (their packets that reached the server,
by port), opened and alive (of those connections, how many there ever were and how many still carry data), allowed
(connections to an open port so far)."""
import json
import os
import selectors
import socket
import struct
import sys
import threading
import time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import report  # noqa: E402
from lab import ADDRESS, FAMILIES, namespaces  # noqa: E402

DENIED, ALLOWED = (3389, 445), 993
PAUSE, GIVE_UP = 0.04, 0.6
INET = {4: socket.AF_INET, 6: socket.AF_INET6}


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Echo(threading.Thread):
    """The server: whatever is sent comes back."""

    def __init__(self):
        super().__init__(daemon=True)
        self._selector = selectors.DefaultSelector()
        for family in FAMILIES:
            for port in DENIED + (ALLOWED,):
                with namespaces.inside("server"):
                    sock = socket.socket(INET[family], socket.SOCK_STREAM)
                if family == 6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("::" if family == 6 else "0.0.0.0", port))
                sock.listen(1024)
                sock.setblocking(False)
                self._selector.register(sock, selectors.EVENT_READ, "listen")
        self.start()

    def run(self):
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                try:
                    if key.data == "listen":
                        new = sock.accept()[0]
                        new.setblocking(False)
                        self._selector.register(new, selectors.EVENT_READ, "echo")
                        continue
                    data = sock.recv(4096)
                    if data:
                        sock.send(data)
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                self._selector.unregister(sock)
                sock.close()


class Arrivals(threading.Thread):
    """What reaches the server's interface on the denied ports."""

    def __init__(self):
        super().__init__(daemon=True)
        self.came, self.first, self.last = {}, None, None
        with namespaces.inside("server"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self._socket.bind(("eth0", 3))
        self.start()

    def run(self):
        while True:
            data, (_, protocol, kind, *_) = self._socket.recvfrom(2048)
            if kind == socket.PACKET_OUTGOING:
                continue
            if protocol == 0x0800 and len(data) >= 40 and data[9] == 6:
                port = struct.unpack_from("!H", data, (data[0] & 15) * 4 + 2)[0]
            elif protocol == 0x86DD and len(data) >= 60 and data[6] == 6:
                port = struct.unpack_from("!H", data, 42)[0]
            else:
                continue
            if port in DENIED:
                name = "%d/%d" % (4 if protocol == 0x0800 else 6, port)
                self.came[name] = self.came.get(name, 0) + 1
                self.last = now()
                if self.first is None:
                    self.first = self.last


class Client:
    """Opens connections of both kinds, again and again; those that are denied and open all the same send something all
    the time."""

    def __init__(self):
        self.tried = self.opened = self.allowed = 0
        self.open_first = self.open_last = None
        self._pending, self._denied = {}, {}
        self._selector = selectors.DefaultSelector()
        self._space = os.open("/run/netns/client", os.O_RDONLY)
        namespaces.setns(self._space)

    def _connect(self, family, port):
        sock = socket.socket(INET[family], socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            sock.connect((ADDRESS[family]["server"], port))
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            return
        self._pending[sock] = (now(), port)
        self._selector.register(sock, selectors.EVENT_WRITE)

    def _done(self, sock):
        began, port = self._pending.pop(sock)
        self._selector.unregister(sock)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            sock.close()
        elif port == ALLOWED:
            self.allowed += 1
            sock.close()
        else:
            self.opened += 1
            self.open_last = now()
            self.open_first = self.open_first or began
            self._denied[sock] = self.open_last

    def round(self):
        for family in FAMILIES:
            for port in DENIED + (ALLOWED,):
                self._connect(family, port)
                self.tried += port != ALLOWED
        end = now() + PAUSE
        while now() < end:
            for key, _ in self._selector.select(max(0, end - now())):
                self._done(key.fileobj)
        for sock, (began, _) in list(self._pending.items()):
            if now() - began > GIVE_UP:
                del self._pending[sock]
                self._selector.unregister(sock)
                sock.close()
        for sock in list(self._denied):
            try:
                sock.send(b"x")
                if sock.recv(4096):
                    self._denied[sock] = now()
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                del self._denied[sock]

    def alive(self):
        """Of those that are denied, how many had an answer in the last second; and when the last answer came."""
        return sum(now() - heard < 1 for heard in self._denied.values()), max(self._denied.values(), default=None)


def main():
    Echo()
    arrivals = Arrivals()
    client = Client()
    reported = 0
    while True:
        client.round()
        if now() - reported >= 0.5:
            reported = now()
            alive, heard = client.alive()
            report("witness " + json.dumps(
                {"t": round(reported, 3), "tried": client.tried, "came": arrivals.came, "came_first": arrivals.first,
                 "came_last": arrivals.last, "opened": client.opened, "open_first": client.open_first,
                 "open_last": client.open_last, "alive": alive, "heard": heard, "allowed": client.allowed}))
            if client.allowed:
                with open("/run/lab-witness", "w", encoding="ascii"):
                    pass


if __name__ == "__main__":
    main()
