# SPDX-License-Identifier: GPL-2.0-or-later
"""Real DNS servers: Knot with records that change at once, Unbound that queries it;
and one that does what no real one would.

All are on `internet` unless another is named. Unbound has the address that the lab's configurations name (DNS),
Knot another."""
import os
import random
import select
import shutil
import socket
import struct

from . import namespaces
from .background import Background
from .dns import A, AAAA, query
from .tap import wait_for
from .topology import DNS, Failed

# Where Knot listens.
AUTHORITY = {4: "198.51.100.90", 6: "2001:db8:51::90"}
# Networks that `internet` answers for with whatever address, once route_pools() was called.
POOL = {4: "198.18.0.0/16", 6: "2001:db8:b::/64"}


def pool(family, number):
    """The number-th address of the pool (of 60,000)."""
    return "198.18.%d.%d" % (number // 250, number % 250 + 1) if family == 4 else "2001:db8:b::%x" % (number + 1)


def route_pools(network):
    """`internet` is every address of the pools."""
    network.ip("internet", "route add local %s dev lo" % POOL[4], "route add local %s dev lo" % POOL[6])
    network.ip("gateway", "route add %s via 198.51.100.20" % POOL[4], "route add %s via 2001:db8:51::20" % POOL[6])


def _need(name, package):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise Failed("%s is missing: apt-get install %s" % (name, package))
    return path


class _Process:
    """A server's process, which comes and goes."""

    def __init__(self, network, machine, argv, address):
        self._network, self._machine, self._argv, self._address = network, machine, argv, address
        self._process = None
        network.at_close(self.down)
        self.up()

    def up(self):
        """Returns once it answers."""
        if self._process is None:
            self._process = self._network.start(self._machine, *self._argv)
            wait_for(self._answers, "%s answers" % self._argv[0])

    def _answers(self):
        if self._process.poll() is not None:
            with open(self._process.log, encoding="utf-8", errors="replace") as file:
                raise Failed("%s ended: %s" % (self._argv[0], file.read()))
        return query(self._machine, self._address, "nobody.invalid", A, bound=0.5) is not None

    def down(self, number=9):
        """Nobody answers any more."""
        if self._process is not None:
            self._network.stop(self._process, number)
            self._process = None


class Authority(_Process):
    """Knot, for every name there is. set() and the like return once the new records are served."""

    def __init__(self, network, ttl=1):
        self._dir = os.path.join(network.dir, "knot")
        os.makedirs(self._dir)
        self._records, self._serial, self._ttl = {}, 1, ttl
        self._control = os.path.join(self._dir, "control")
        self._write()
        self._config = os.path.join(self._dir, "knot.conf")
        self._configure(True)
        super().__init__(network, "internet", [_need("knotd", "knot"), "-c", self._config], AUTHORITY[4])
        self._knotc = _need("knotc", "knot")

    def _configure(self, has_zone):
        with open(self._config, "w", encoding="ascii") as file:
            file.write("""
server:
  rundir: %(dir)s
  listen: [ %(v4)s@53, %(v6)s@53 ]
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
control:
  listen: %(control)s
database:
  storage: %(dir)s
log:
  - target: stderr
    any: warning
""" % {"dir": self._dir, "control": self._control, "v4": AUTHORITY[4], "v6": AUTHORITY[6]})
            if has_zone:
                file.write("""
zone:
  - domain: .
    file: %(dir)s/zone
    semantic-checks: off
    journal-content: none
    zonefile-sync: -1
    zonefile-load: whole
""" % {"dir": self._dir})

    def _write(self):
        lines = [". 1 IN SOA ns. admin. %d 60 60 60 1" % self._serial, ". 1 IN NS ns.", "ns. 1 IN A " + AUTHORITY[4]]
        for name, records in self._records.items():
            lines += ["%s. %d IN %s %s" % (name, ttl, kind, value) for kind, value, ttl in records]
        path = os.path.join(self._dir, "zone")
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(path + ".new", path)

    def _serve(self):
        self._serial += 1
        self._write()
        if self._process is not None:
            self._network.run("internet", self._knotc, "-s", self._control, "-b", "zone-reload", ".")

    def serve(self, serves):
        """False: it knows of no name and refuses to answer, which makes a resolver answer SERVFAIL."""
        self._configure(serves)
        self._network.run("internet", self._knotc, "-s", self._control, "-b", "reload")
        wait_for(lambda: query("internet", AUTHORITY[4], "ns", A)[0] == (0 if serves else 5),
                 "knotd has its new configuration")

    def set(self, name, addresses=(), ttl=None, alias=None):
        """The name's only records from now on; without any it does not exist."""
        self.set_all({name: (addresses, ttl, alias)})

    def set_all(self, names):
        """The same for many: {name: (addresses, ttl or None[, alias])}"""
        for name, (addresses, ttl, *alias) in names.items():
            ttl = self._ttl if ttl is None else ttl
            self._records[name] = [("AAAA" if ":" in address else "A", address, ttl) for address in addresses]
            if alias and alias[0]:
                self._records[name].append(("CNAME", alias[0] + ".", ttl))
        self._serve()


class Resolver(_Process):
    """Unbound: queries the Authority, keeps answers for their TTL."""

    def __init__(self, network, machine="internet", addresses=None, upstream=None):
        self._dir = os.path.join(network.dir, "unbound-" + machine)
        os.makedirs(self._dir)
        addresses = addresses or list(DNS.values())
        config = os.path.join(self._dir, "unbound.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write("server:\n" + "".join("  interface: %s\n" % address for address in addresses) + """
  directory: "%(dir)s"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  outgoing-range: 512
  num-queries-per-thread: 512
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  module-config: "iterator"
  qname-minimisation: no
  minimal-responses: yes
  rrset-roundrobin: yes
  harden-large-queries: no
  edns-buffer-size: 1232
  max-udp-size: 1232
  cache-max-negative-ttl: 1
  infra-host-ttl: 1
  outbound-msg-retry: 2
  do-not-query-localhost: no
remote-control:
  control-enable: no
stub-zone:
  name: "."
  stub-addr: %(upstream)s
  stub-prime: no
""" % {"dir": self._dir, "upstream": upstream or AUTHORITY[4]})
        super().__init__(network, machine, [_need("unbound", "unbound"), "-d", "-p", "-c", config], addresses[0])


def name_bytes(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def address_bytes(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def record(name, kind, data, ttl=1):
    """A resource record; name is text, or bytes as they go out."""
    return ((name if isinstance(name, bytes) else name_bytes(name)) + struct.pack("!HHIH", kind, 1, ttl, len(data))
            + data)


class Question:
    """A client's query: .name (as written), .kind, .ident, .way ("udp" or "tcp")."""

    def __init__(self, message, way):
        self.message, self.way = message, way
        self.ident = message[:2]
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("ascii"))
            at += 1 + message[at]
        self.name, self.kind = ".".join(labels), struct.unpack("!H", message[at + 1:at + 3])[0]
        self.raw = message[12:at + 5]

    def answer(self, records=(), flags=0x8180, ident=None, raw=None):
        return ((ident or self.ident) + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
                + (self.raw if raw is None else raw) + b"".join(records))

    def addresses(self, *addresses, ttl=1):
        """The answer with those of the question's type, under the name as it was queried."""
        size = {A: 4, AAAA: 16}.get(self.kind)
        data = [address_bytes(address) for address in addresses]
        return self.answer([record(b"\xc0\x0c", self.kind, one, ttl) for one in data if len(one) == size])


class Liar(Background):
    """A server of the test's own. answer(question): bytes, None for silence, or a list of (bytes, source address or
    None) to send over UDP. It can be changed while it runs: set .answer at will."""

    def __init__(self, network, answer, machine="internet", addresses=None, port=53):
        self.answer = answer
        self.queries = []  # (name, kind, "udp" or "tcp")
        self._port = port
        self._sockets, self._others = [], {}
        self._machine = machine
        with namespaces.inside(machine):
            for address in addresses or DNS.values():
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    self._sockets.append(self._bound(address, kind))
        self._begin()
        network.at_close(self.close)

    def _bound(self, address, kind):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, self._port))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
        return sock

    def _from(self, address):
        if address not in self._others:
            with namespaces.inside(self._machine):
                self._others[address] = self._bound(address, socket.SOCK_DGRAM)
        return self._others[address]

    def _run(self):
        while not self._ends:
            for sock in select.select(self._sockets, [], [], 0.05)[0]:
                try:
                    if sock.type == socket.SOCK_DGRAM:
                        self._datagram(sock, *sock.recvfrom(65536))
                    else:
                        self._stream(sock.accept()[0])
                except (OSError, IndexError, struct.error):
                    pass

    def _ask(self, message, way):
        question = Question(message, way)
        self.queries.append((question.name.lower(), question.kind, way))
        return self.answer(question)

    def _datagram(self, sock, message, peer):
        reply = self._ask(message, "udp")
        for data, source in reply if isinstance(reply, list) else [(reply, None)]:
            if data is not None:
                (sock if source is None else self._from(source)).sendto(data, peer)

    def _stream(self, connection):
        with connection:
            connection.settimeout(5)
            reply = self._ask(connection.recv(65536)[2:], "tcp")
            if isinstance(reply, bytes):
                connection.sendall(struct.pack("!H", len(reply)) + reply)

    def send(self, data, target, port):
        """A datagram from where it answers, unsolicited; its first addresses of each family."""
        [sock, *_] = [sock for sock in self._sockets if sock.type == socket.SOCK_DGRAM
                      and (sock.family == socket.AF_INET6) == (":" in target)]
        sock.sendto(data, (target, port))

    def _release(self):
        for sock in self._sockets + list(self._others.values()):
            sock.close()


def ask_from(machine, server, name, kind, sport=0, bound=5):
    """A query over UDP as a client's own; returns its answer's bytes and the port it came from, or (None, port)."""
    message = (struct.pack("!HHHHHH", random.randrange(1 << 16), 0x0100, 1, 0, 0, 0) + name_bytes(name)
               + struct.pack("!HH", kind, 1))
    with namespaces.inside(machine):
        sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(bound)
        if sport:
            sock.bind(("", sport))
        sock.connect((server, 53))
        sock.send(message)
        try:
            return sock.recv(65536), sock.getsockname()[1]
        except OSError:
            return None, sock.getsockname()[1]
