# SPDX-License-Identifier: GPL-2.0-or-later
"""Steady traffic while something else happens: connections that must all come through, and SYNs that must not."""
import errno
import json
import selectors
import socket
import struct
import time

from . import namespaces
from .background import Background
from .daemon import counters
from .packets import RawSender, Sniffer, family_of, is_syn


class Sink(Background):
    """Accepts on a port of a machine, both families, and closes at once."""

    def __init__(self, machine, port):
        with namespaces.inside(machine):
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("::", port))
        self._socket.listen(4096)
        self._socket.settimeout(0.1)
        self._begin()

    def _run(self):
        while not self._ends:
            try:
                self._socket.accept()[0].close()
            except OSError:
                pass

    def _release(self):
        self._socket.close()


class Ledger:
    """Counts, in the kernels of the machines at both ends, what is sent to and from a TCP port and what arrives: a
    packet that got lost between them shows. (Retransmits of the machines' own making, as where a port is used again,
    don't.)"""

    RULES = """table inet ledger {
	counter sent { }
	counter received { }
	counter syn-sent { }
	counter syn-received { }
	chain output { type filter hook output priority 0
		tcp dport %(port)d jump sends; tcp sport %(port)d jump sends; }
	chain prerouting { type filter hook prerouting priority -400
		tcp dport %(port)d jump receives; tcp sport %(port)d jump receives; }
	chain sends { counter name sent; tcp flags & (syn | ack) == syn counter name syn-sent; }
	chain receives { counter name received; tcp flags & (syn | ack) == syn counter name syn-received; }
}
"""

    def __init__(self, network, machines, port):
        self._network, self._machines = network, machines
        for machine in machines:
            network.nft(machine, self.RULES % {"port": port})

    def totals(self):
        result = {}
        for machine in self._machines:
            done = self._network.run(machine, "nft", "-j", "list", "counters", "table", "inet", "ledger")
            for name, packets in counters(json.loads(done.stdout)["nftables"]).items():
                result[name] = result.get(name, 0) + packets
        return result


class Allowed(Background):
    """Opens connections one after another, a few at a time, until close(); see .opened and .errors."""

    def __init__(self, machine, target, port, pause=0.004, together=4):
        self.opened, self.errors = 0, []
        self._where = (machine, target, port)
        self._pause, self._together = pause, together
        self._begin()

    def _open(self, selector):
        machine, target, port = self._where
        with namespaces.inside(machine):
            sock = socket.socket(socket.AF_INET6 if family_of(target) == 6 else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        # Closed by a reset: else the ports would run out.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        code = sock.connect_ex((target, port))
        if code not in (0, errno.EINPROGRESS):
            self.errors.append(errno.errorcode.get(code, code))
            sock.close()
            return
        selector.register(sock, selectors.EVENT_WRITE)

    def _run(self):
        selector = selectors.DefaultSelector()
        stop_at = None
        while True:
            if not self._ends:
                while len(selector.get_map()) < self._together:
                    self._open(selector)
                    if self.errors and not selector.get_map():
                        break
            elif not selector.get_map():
                break
            elif stop_at is None:
                stop_at = time.monotonic() + 30
            elif time.monotonic() > stop_at:
                self.errors += ["no answer"] * len(selector.get_map())
                for key in list(selector.get_map().values()):
                    key.fileobj.close()
                break
            for key, _ in selector.select(0.1):
                code = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    self.errors.append(errno.errorcode.get(code, code))
                else:
                    self.opened += 1
                selector.unregister(key.fileobj)
                key.fileobj.close()
            time.sleep(self._pause)
        selector.close()


class Denied(Background):
    """Sends SYNs that nobody may see; .sent, and .leaked after close()."""

    def __init__(self, machine, source, target, ports, receiver, pause=0.004):
        self.sent, self.leaked = 0, None
        self._sender = RawSender(machine, source, target)
        self._sniffer = Sniffer(receiver, keep=lambda packet: is_syn(packet) and packet.dst == target
                                and packet.src == source, syn_ports=ports)
        self._ports, self._pause = ports, pause
        self._begin()

    def _run(self):
        while not self._ends:
            for port in self._ports:
                # Another source port each time: every SYN is a new connection.
                self._sender.tcp(1024 + self.sent % 60000, port)
                self.sent += 1
            time.sleep(self._pause)

    def _release(self):
        self._sender.close()
        self._sniffer.close()
        self.leaked = len(self._sniffer.packets)
