# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab with room for many addresses, and kernel_judge in it:
what policy_fate() tells against what the kernel does, and counts."""
import os
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import GATEWAY, INTERFACE_OF, Lab, program  # noqa: E402
from lab.namespaces import joiner  # noqa: E402
from lab.topology import INTERFACES, Failed  # noqa: E402

# Whole networks behind each machine, whose hosts need not exist: (machine, IPv4, IPv6).
ROOM = (
    ("server", "192.0.2.128/25", "2001:db8:2:100::/56"),
    ("admin", "203.0.113.128/25", "2001:db8:3:100::/56"),
    ("client", "198.18.0.0/16", "2001:db8:c000::/36"),
    ("internet", "198.51.100.64/26", "2001:db8:51:100::/56"),
    ("internet", "198.19.0.0/16", "2001:db8:d000::/36"),
)
# These lie in them, but are the gateway's own interfaces' broadcast addresses.
BROADCAST = ("192.0.2.255", "203.0.113.255", "198.51.100.127")
MARKER = ("198.18.255.254", "198.19.255.254")
# Packets of kernel_judge bear this class (0xf4): nobody answers them.
QUIET = """table inet quiet {
	chain prerouting {
		type filter hook prerouting priority -400; policy accept;
		ip dscp 61 drop
		ip6 dscp 61 drop
	}
}
"""
# The gateway answers what reaches it; of that, a RST to no connection would count as one more packet of the server's.
MODEST = """table inet modest {
	chain output {
		type filter hook output priority -150; policy accept;
		ip dscp 61 tcp flags & (syn | ack | rst) == rst drop
		ip6 dscp 61 tcp flags & (syn | ack | rst) == rst drop
	}
}
"""


class JudgeLab(Lab):
    """A Lab whose gateway forwards to ROOM, with kernel_judge started."""

    PROGRAM = "tests/system/kernel_judge"

    def __enter__(self):
        super().__enter__()
        try:
            self._widen()
            self._judge = None
            self._start_judge()
        except BaseException:
            self.close()
            raise
        return self

    def _widen(self):
        self.nft("gateway", MODEST)
        for _, machine, _, _, addresses in INTERFACES:
            interface = INTERFACE_OF[machine]
            mac = self._mac(machine)
            self.ip("gateway", *["neigh replace %s lladdr %s dev %s nud permanent" % (address, mac, interface)
                                 for pair in addresses for address in pair])
            self.nft(machine, QUIET)
            self.sysctl("gateway", "ipv4/conf/%s/send_redirects" % interface, 0)
        first = {machine: addresses[0] for _, machine, _, _, addresses in INTERFACES}
        for machine, *networks in ROOM:
            for network, via in zip(networks, first[machine]):
                self.ip("gateway", "route add %s via %s dev %s" % (network, via, INTERFACE_OF[machine]))

    def _mac(self, machine):
        words = self.run(machine, "ip", "-o", "link", "show", "eth0").stdout.split()
        return words[words.index("link/ether") + 1]

    # -- kernel_judge

    def _start_judge(self):
        binary = program(self.PROGRAM)
        if not os.path.exists(binary):
            raise Failed("%s is missing: make check builds it" % binary)
        self._judge = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True,
                                       preexec_fn=joiner("gateway"))
        self.at_close(self._end_judge)
        self.ask("machine gateway")
        for _, machine, _, _, addresses in INTERFACES:
            self.ask("machine %s %s" % (machine, INTERFACE_OF[machine]))
            for address in [address for pair in addresses for address in pair]:
                self.ask("place %s %s" % (address, machine))
        for machine, *networks in ROOM:
            for network in networks:
                self.ask("place %s %s" % (network, machine))
        for address in BROADCAST:
            self.ask("place %s nowhere" % address)
        for addresses in GATEWAY.values():
            for address in addresses.values():
                self.ask("place %s gateway" % address)
        self._choose_marker()

    def _choose_marker(self):
        self.ask("marker %s %s" % MARKER)

    def _end_judge(self):
        self._judge.stdin.close()
        if self._judge.wait(60) != 0:
            raise Failed("%s ended with %d" % (self.PROGRAM, self._judge.returncode))
        self._judge.stdout.close()

    def send(self, command):
        self._judge.stdin.write(command + "\n")

    def answer(self):
        """(whether it is well, its answer, the remarks before)."""
        self._judge.stdin.flush()
        remarks = []
        for line in self._judge.stdout:
            if line.startswith("#"):
                remarks.append(line[1:].strip())
                continue
            word, _, rest = line.strip().partition(" ")
            return word == "ok", rest, remarks
        raise Failed("kernel_judge ended: %s" % self._judge.wait())

    def ask(self, command):
        self.send(command)
        well, rest, remarks = self.answer()
        if not well:
            raise Failed("%s: %s: %s" % (self.PROGRAM, command, remarks))
        return rest

    def load(self, path):
        """None, or why the configuration is refused."""
        self.send("load " + path)
        well, _, remarks = self.answer()
        return None if well else remarks

    def _note(self, probes):
        for kind, sources, targets, source_ports, target_ports in probes:
            self.send("probe %s %s %s %s %s" % (kind, ",".join(sources), ",".join(targets), ports(source_ports),
                                                ports(target_ports)))
            if not self.answer()[0]:
                raise Failed("kernel_judge refuses a probe")

    def each(self, *probes):
        """Sends each packet of the probes by itself: a list of (kind, source, target, target port, whether it arrived,
        the counter that counted it or None)."""
        self._note(probes)
        self.send("each")
        self._judge.stdin.flush()
        found = []
        for line in self._judge.stdout:
            words = line.split()
            if words[0] == "ok":
                return found
            if words[0] == "=":
                found.append((words[1], words[2], words[4], int(words[5]), words[6] == "yes",
                              words[7] if words[7] != "-" else None))
        raise Failed("kernel_judge ended: %s" % self._judge.wait())

    def probe(self, *probes, one_of=1):
        """Sends the probes, each (kind, sources, targets, source ports, target ports); of what no policy touches, one
        of so many. (totals, remarks)."""
        self._note(probes)
        self.send("run %d" % one_of)
        _, rest, remarks = self.answer()
        words = rest.split()
        return Totals({word: int(count) for word, count in zip(words[::2], words[1::2])}), remarks


def ports(value):
    return value if isinstance(value, str) else ",".join(str(port) for port in value)


class Totals(dict):
    """Counts of probes, to be added up."""

    def add(self, other):
        for word, count in other.items():
            self[word] = self.get(word, 0) + count

    def __str__(self):
        return ", ".join("%d %s" % (count, word) for word, count in self.items())


__all__ = ["JudgeLab", "Totals", "ROOM"]
