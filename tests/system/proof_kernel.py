#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof, the small machine of the unit tests and the kernel agree on mutants: each is loaded, read back and proven,
and packets that matter are sent. What the proof calls equal, the kernel does not tell from the original.

SPEFW_TEST_LONG: goldens 001, 002 and 008 whole, and 1 in 50 of the mutants of the others; else a sample of them.
SPEFW_SEED chooses another sample, SPEFW_ONE_OF its size, SPEFW_GOLDEN=001 one golden alone."""
import glob
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from judge_lab import JudgeLab, Totals  # noqa: E402
from lab import INTERFACE_OF, main  # noqa: E402

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
LONG = bool(os.environ.get("SPEFW_TEST_LONG"))
WHOLE = ("001", "002", "008")
SEED = os.environ.get("SPEFW_SEED", "0x5eed5eed")

# More addresses behind each machine, by its own: those of the goldens' policies, and their neighbours.
BEHIND = (
    ("server", "192.0.2.25", "192.0.2.0/25"),
    ("server", "2001:db8:2::25", "2001:db8:2::/65"),
    ("admin", "203.0.113.10", "203.0.113.0/25"),
    ("admin", "2001:db8:3::10", "2001:db8:3::/65"),
    ("internet", "198.51.100.20", "198.51.100.0/26"),
    ("client", "198.51.100.140", "198.51.100.192/26"),
    ("internet", "198.51.100.20", "10.0.0.0/8"),
    ("internet", "2001:db8:51::20", "2001:db8::/65"),
)
# Every router's (anycast), or broadcast: the kernel takes them for its own.
NOBODY = ("2001:db8:2::", "2001:db8:3::", "2001:db8:10::", "2001:db8:51::", "192.0.2.0", "203.0.113.0", "198.51.100.0",
          "198.51.100.128", "198.51.100.255")
# Of what the gateway sends, the packets that are tried and no others: no answer, no error, no redirect.
STILL = """table inet still {
	chain output {
		type filter hook output priority -500; policy accept;
		meta l4proto icmp icmp type != echo-request drop
		meta l4proto icmpv6 icmpv6 type != echo-request drop
		tcp flags & rst == rst drop
	}
}
"""


class MutantLab(JudgeLab):
    """A JudgeLab with proof_kernel in it."""

    PROGRAM = "tests/system/proof_kernel"

    def _choose_marker(self):
        self.nft("gateway", STILL)
        for machine, via, network in BEHIND:
            self.ip("gateway", "route replace %s via %s dev %s" % (network, via, INTERFACE_OF[machine]))
            self.ask("place %s %s" % (network, machine))
        for address in NOBODY:
            self.ask("place %s nowhere" % address)

    def mutants(self, conf, one_of):
        self.send("try %s %d %s" % (conf, one_of, SEED))
        _, rest, remarks = self.answer()
        words = rest.split()
        return Totals({word: int(count) for word, count in zip(words[::2], words[1::2])}), remarks


def one_of(number):
    """Of so many mutants of this golden, one is tried."""
    if "SPEFW_ONE_OF" in os.environ:
        return int(os.environ["SPEFW_ONE_OF"])
    if LONG:
        return 1 if number in WHOLE else 50
    return 30 if number in WHOLE else 300


def mutants(tap):
    totals = Totals()
    with MutantLab(tap) as lab:
        for conf in sorted(glob.glob(os.path.join(GOLDEN, "*.conf"))):
            name = os.path.basename(conf)[:-len(".conf")]
            if os.environ.get("SPEFW_GOLDEN", name[:3]) != name[:3]:
                continue
            got, remarks = lab.mutants(os.path.abspath(conf), one_of(name[:3]))
            totals.add(got)
            tap.equal((got["survivors"], got["misread"], got["wrong"], remarks), (0, 0, 0, []),
                      "%s: proof, small machine and kernel agree: %s" % (name, got))
    caught = totals["packet"] + totals["literal"]
    tap.note("mutants %d, caught %d, equal %d, not proven %d, refused %d, survivors %d; packets %d, mutants that the "
             "kernel shows %d" % (totals["mutants"], caught, totals["equal"], totals["unproven"], totals["refused"],
                                  totals["survivors"], totals["sent"], totals["shown"]))
    tap.ok(caught and totals["equal"] and totals["refused"] and totals["shown"], "each kind was to be seen", totals)


if __name__ == "__main__":
    main(mutants)
