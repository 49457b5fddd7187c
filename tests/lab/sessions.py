# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP connections of which the test holds both ends, so that either may speak first, or alone."""
import os
import select
import socket
import struct

from . import namespaces
from .packets import Sniffer, family_of
from .services import _open
from .topology import ADDRESS, EXCHANGE

# A table of another program that makes the kernel track connections.
TRACKING = """table inet other {
	chain forward {
		type filter hook forward priority filter;
		ct state established accept
	}
}
"""


class Host:
    """Listens on ports of one machine, both families; accept() gives the other end of a connection."""

    def __init__(self, lab, machine, ports):
        self.machine, self._sockets = machine, {}
        for port in ports:
            with namespaces.inside(machine):
                sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(("::", port))
            sock.listen(64)
            sock.settimeout(30)
            self._sockets[port] = sock
        lab.at_close(self.close)

    def accept(self, port):
        return self._sockets[port].accept()[0]

    def close(self):
        for sock in self._sockets.values():
            sock.close()


class Session:
    """From `machine` to a port of the host. target: the address that the client uses,
    where it is not the host's own (DNAT)."""

    def __init__(self, lab, machine, host, target, port, sport=0, title=""):
        self.machine, self.host, self.family = machine, host.machine, family_of(target)
        self.title = title or "%s:%d to %s:%d" % (machine, sport, target, port)
        self.near = _open(machine, target, port, sport=sport)
        if not select.select([], [self.near], [], 30)[1] or self.near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError("%s can't be opened" % self.title)
        self.near.settimeout(30)
        self.far = host.accept(port)
        self.far.settimeout(30)
        self.sport, self.port = self.near.getsockname()[1], port
        lab.at_close(self.close)

    def _carries(self, sender, receiver):
        word = os.urandom(8)
        try:
            sender.sendall(word)
            got = b""
            while word not in got:
                piece = receiver.recv(65536)
                if not piece:
                    return False
                got += piece
            return True
        except OSError:
            return False

    def near_speaks(self):
        return self._carries(self.near, self.far)

    def far_speaks(self):
        return self._carries(self.far, self.near)

    def lives(self):
        return self.near_speaks() and self.far_speaks()

    def speak_into_the_void(self):
        """Both ends send; nothing is waited for."""
        for sock in (self.near, self.far):
            try:
                sock.send(b"is anybody there?")
            except OSError:
                pass

    def close(self):
        """By a reset, so that its ports can be used again at once."""
        for sock in (self.near, self.far):
            if sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()


class Peers:
    """The server and a host in the Internet listen; sessions to either of them."""

    def __init__(self, lab, server_ports, internet_ports):
        self.lab = lab
        self.server, self.internet = Host(lab, "server", server_ports), Host(lab, "internet", internet_ports)

    def session(self, machine, family, port, sport=0, target=None):
        """From this machine: of the server to the Internet, of any other to the server."""
        if machine == "server":
            return Session(self.lab, machine, self.internet, target or EXCHANGE[family], port, sport)
        return Session(self.lab, machine, self.server, target or ADDRESS[family]["server"], port, sport)


def through(sessions, fences):
    """The titles of those sessions of which any byte gets through, in either direction, when both ends send. fences:
    sessions that live, along the same ways: what has not arrived when their words have, is not under way."""
    # What comes to the gateway itself arrives at its interface before its rules: only what it sends can be seen.
    machines = {machine for session in sessions for machine in (session.machine, session.host)} - {"gateway"}
    sniffers = {machine: Sniffer(machine, keep=lambda packet: packet.kind == "tcp" and packet.payload)
                for machine in machines}
    try:
        for session in sessions:
            session.speak_into_the_void()
        for fence in fences:
            if not fence.lives():
                raise RuntimeError("%s: a connection that should live is dead" % fence.title)
    finally:
        for sniffer in sniffers.values():
            sniffer.close()
    return ["%s, at %s" % (session.title, machine) for session in sessions
            for machine in {session.machine, session.host} & machines
            if [packet
                for packet in sniffers[machine].packets if {packet.sport, packet.dport} == {session.sport, session.port}
                and packet.family == session.family and packet.payload == b"is anybody there?"]]
