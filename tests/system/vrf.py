#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The server's interface in a VRF: what comes by it has the VRF's device for its interface from there on."""
import os
import sys
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."),
                os.path.dirname(os.path.abspath(__file__))]
from lab import ADDRESS, FAMILIES, GATEWAY, Lab, main  # noqa: E402
from lab.checks import guarded  # noqa: E402
from spoof import PREFIX, begin, follow, ip  # noqa: E402

TABLE = "100"
OTHERS = {4: (("198.51.100.128/25", "wan2"), ("203.0.113.0/24", "adm"), ("198.51.100.0/25", "wan")),
          6: (("2001:db8:10::/64", "wan2"), ("2001:db8:3::/64", "adm"), ("2001:db8:51::/64", "wan"))}


def enslave(lab):
    """Moves the server's interface into a VRF; routes lead in and out."""
    lab.ip("gateway", "link set lan master tenant", "addr replace %s/64 dev lan nodad" % GATEWAY["lan"][6])
    for family in FAMILIES:
        ip(lab, family, "route", "replace", PREFIX[family], "dev", "lan")
        for prefix, interface in OTHERS[family]:
            ip(lab, family, "route", "replace", prefix, "dev", interface, "table", TABLE)
    lab.wait_neighbours("gateway", GATEWAY["lan"][6])


def vrf(tap):
    """Before the daemon starts and while it runs: honest packets pass,
    those of other interfaces with the server's address don't."""
    for running in (False, True):
        with Lab(tap) as lab:
            if lab.run("gateway", "ip", "link", "add", "tenant", "type", "vrf", "table", TABLE,
                       check=False).returncode != 0:
                tap.skip("a VRF", "this kernel has none")
                return
            lab.ip("gateway", "link set tenant up")
            if not running:
                enslave(lab)
            prober = begin(tap, lab)
            if running:
                enslave(lab)
            when = "joined while spefwd runs" if running else "joined before"
            for family in FAMILIES:
                follow(tap, prober, family, {"lan": True, "wan2": False, "adm": False},
                       when + ": only what comes by the VRF is the server's")
            lab.serve("server", tcp=[8470, 3389])
            tap.ok(guarded(lab), when + ": guarded, and open where it should be")
            tap.ok(all(lab.connect("admin", ADDRESS[family]["server"], 8470).echo() for family in FAMILIES),
                   when + ": the administrators' port is open")


if __name__ == "__main__":
    main(vrf)
