# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of the lab: five machines in network namespaces, addresses for documentation alone.

    client  198.51.100.140     wan2 |         | lan   192.0.2.25       server    the guarded machine
            2001:db8:10::140   -----|         |-----  2001:db8:2::25
                                    | gateway |
    admin   203.0.113.10       adm  |         | wan   198.51.100.0/25  internet  one machine that plays many:
            2001:db8:3::10     -----|         |-----  2001:db8:51::/64           DNS .53, the vendor's host .77-.79,
                                                                                 Exchange .80, mail .26, a CA .90, ...

The gateway is .1 (::1) of each network, .129 at wan2.
"""
import contextlib
import os
import signal
import socket
import subprocess
import tempfile

from . import namespaces
from .tap import wait_for

MACHINES = ("gateway", "server", "admin", "client", "internet")

# interface of the gateway, peer machine, networks' lengths, gateway's addresses, peer's addresses
INTERFACES = (
    ("lan", "server", (24, 64), ("192.0.2.1", "2001:db8:2::1"), [("192.0.2.25", "2001:db8:2::25")]),
    ("adm", "admin", (24, 64), ("203.0.113.1", "2001:db8:3::1"), [("203.0.113.10", "2001:db8:3::10")]),
    ("wan2", "client", (25, 64), ("198.51.100.129", "2001:db8:10::1"), [("198.51.100.140", "2001:db8:10::140")]),
    ("wan", "internet", (25, 64), ("198.51.100.1", "2001:db8:51::1"),
     [("198.51.100.%d" % last, "2001:db8:51::%d" % last) for last in (20, 26, 53, 77, 78, 79, 80, 90)]),
)

ADDRESS = {4: {"gateway": "192.0.2.1"}, 6: {"gateway": "2001:db8:2::1"}}
for _interface, _peer, _lengths, _gateway, _addresses in INTERFACES:
    ADDRESS[4][_peer], ADDRESS[6][_peer] = _addresses[0]
DNS = {4: "198.51.100.53", 6: "2001:db8:51::53"}
LICENSE = [{4: "198.51.100.%d" % last, 6: "2001:db8:51::%d" % last} for last in (77, 78, 79)]
EXCHANGE = {4: "198.51.100.80", 6: "2001:db8:51::80"}
# The gateway's address as each neighbour sees it.
GATEWAY = {interface: {4: addresses[0], 6: addresses[1]} for interface, _, _, addresses, _ in INTERFACES}
INTERFACE_OF = {peer: interface for interface, peer, _, _, _ in INTERFACES}
FAMILIES = (4, 6)


class Failed(Exception):
    """A command of the lab failed; the text holds it and its output."""


class Network:
    """The machines, and processes on them. Use as a context manager: all its processes end with it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="lab", dir="/run")
        os.chmod(self.dir, 0o755)
        self.processes = []
        self._cleanups = []
        self._count = 0

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def at_close(self, function):
        self._cleanups.append(function)

    def close(self):
        while self._cleanups:
            self._cleanups.pop()()
        for process in reversed(self.processes):
            self.stop(process)
        for name in MACHINES:
            if os.path.exists("/run/netns/" + name):
                subprocess.run(["ip", "netns", "del", name], check=False)

    # -- processes

    def run(self, machine, *argv, check=True, text=None, bound=120, uid=None, gid=None, env=None):
        """Runs a command to its end; what it wrote is in .stdout and .stderr."""
        done = subprocess.run(argv, input=text, stdin=subprocess.DEVNULL if text is None else None,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, timeout=bound, check=False,
                              preexec_fn=namespaces.joiner(machine, uid, gid), env=env)
        if check and done.returncode != 0:
            raise Failed("%s: %s: exit %d\n%s%s" % (machine, " ".join(argv), done.returncode, done.stdout, done.stderr))
        return done

    def start(self, machine, *argv, env=None, uid=None):
        """Starts a process that stays; its standard error goes to the file .log."""
        self._count += 1
        log = os.path.join(self.dir, "%d-%s.log" % (self._count, os.path.basename(argv[0])))
        with open(log, "wb") as file:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env,
                                       preexec_fn=namespaces.joiner(machine, uid))
        process.log = log
        self.processes.append(process)
        return process

    def stop(self, process, number=signal.SIGTERM, bound=30):
        """Ends one process of start() and returns its exit status."""
        if process in self.processes:
            self.processes.remove(process)
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(bound)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Failed("%s did not end by signal %d" % (process.args[0], number)) from None
        return process.returncode

    @contextlib.contextmanager
    def inside(self, machine):
        with namespaces.inside(machine):
            yield

    # -- the network itself

    def _build(self):
        for name in MACHINES:
            self._ip("netns add " + name)
            with namespaces.inside(name):
                self._sysctl("ipv6/conf/default/accept_dad", 0)
                self._sysctl("ipv6/conf/all/accept_dad", 0)
                self._sysctl("ipv4/conf/all/rp_filter", 0)
                self._sysctl("ipv4/conf/default/rp_filter", 0)
                # The kernel's limit on ICMP errors would make tests depend on their pace.
                self._sysctl("ipv4/icmp_ratelimit", 0)
                self._sysctl("ipv6/icmp/ratelimit", 0)
                # From these, tests send packets made by hand: no connection of the machine's own has one,
                # or had it lately.
                self._sysctl("ipv4/ip_local_reserved_ports", "40000-50099,53217")
                # as Windows: the gateway takes no other port for one that it opens connections from
                if name == "server":
                    self._sysctl("ipv4/ip_local_port_range", "49152 65535")
                if name == "gateway":
                    self._sysctl("ipv4/ip_forward", 1)
                    self._sysctl("ipv6/conf/all/forwarding", 1)
                    self._sysctl("ipv4/conf/all/send_redirects", 0)
            self.ip(name, "link set lo up")
        for interface, peer, lengths, gateway, addresses in INTERFACES:
            self.ip("gateway", "link add %s type veth peer name eth0 netns %s" % (interface, peer))
            self.ip("gateway",
                    "addr add %s/%d dev %s" % (gateway[0], lengths[0], interface),
                    "addr add %s/%d dev %s nodad" % (gateway[1], lengths[1], interface),
                    "link set %s up" % interface)
            lines = []
            for address in addresses:
                lines.append("addr add %s/%d dev eth0" % (address[0], lengths[0]))
                # Else the source of an IPv6 connection would be the address that was added last.
                lines.append("addr add %s/%d dev eth0 nodad%s" %
                             (address[1], lengths[1], "" if address == addresses[0] else " preferred_lft 0"))
            lines += ["link set eth0 up", "route add default via %s" % gateway[0],
                      "route add default via %s" % gateway[1]]
            self.ip(peer, *lines)
        for _, peer, _, gateway, addresses in INTERFACES:
            self.wait_neighbours("gateway", gateway[1])
            self.wait_neighbours(peer, *[address[1] for address in addresses])

    @staticmethod
    def wait_neighbours(machine, *addresses):
        """Until the machine answers neighbour solicitations for these: after `up`, the kernel joins their groups and
        makes the link-local addresses in its own time. A solicitation that comes too early costs a second,
        and counted packets a failure."""
        wanted = {"ff0200000000000000000001ff" + socket.inet_pton(socket.AF_INET6, address)[-3:].hex()
                  for address in addresses}

        def joined():
            with namespaces.inside(machine):
                with open("/proc/thread-self/net/igmp6", encoding="ascii") as file:
                    groups = {line.split()[2] for line in file}
                with open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:
                    lines = [line.split() for line in file]
            interfaces = {line[5] for line in lines if line[5] != "lo"}
            ready = {line[5] for line in lines if line[0].startswith("fe80") and not int(line[4], 16) & 0x40}
            return wanted <= groups and interfaces == ready
        wait_for(joined, "%s answers for %s" % (machine, ", ".join(addresses)), pause=0.005)

    @staticmethod
    def _sysctl(path, value):
        try:
            with open("/proc/sys/net/" + path, "w", encoding="ascii") as file:
                file.write("%s\n" % value)
        except FileNotFoundError:
            pass

    def sysctl(self, machine, path, value):
        with namespaces.inside(machine):
            self._sysctl(path, value)

    def _ip(self, *lines):
        for line in lines:
            subprocess.run(["ip"] + line.split(), check=True)

    def ip(self, machine, *lines):
        """Lines of `ip -batch`, as "addr add ...", on one machine."""
        self.run(machine, "ip", "-batch", "-", text="\n".join(lines) + "\n")

    def nft(self, machine, text):
        self.run(machine, "nft", "-f", "-", text=text)
