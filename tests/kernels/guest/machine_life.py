# SPDX-License-Identifier: GPL-2.0-or-later
"""The package's life on a real machine: the parts of tests/system/packages, and what a container can't show."""
import functools
import importlib.machinery
import importlib.util
import json
import os
import re
import sys
import time
sys.path[:0] = ["/srv/spefw/tests/system/packages.d", os.path.dirname(os.path.abspath(__file__))]
from common import Gateway, output, show  # noqa: E402
from machine import Machine, Spefwd  # noqa: E402
from lab import streams, wait_for  # noqa: E402
from lab.checks import CLOSED, DeniedStreams, guarded  # noqa: E402

DEBS, WORK = "/srv/debs", "/srv/state"


def _packages():
    loader = importlib.machinery.SourceFileLoader("packages", "/srv/spefw/tests/system/packages")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("packages", loader))
    loader.exec_module(module)
    return module


packages = _packages()
# An emulated processor has better things to do than to send as much as it can.
streams.Denied.__init__.__defaults__ = (0.1,)
packages.Allowed = functools.partial(streams.Allowed, pause=0.1, together=2)


class SlowDeletes(packages.ForeignDeletes):
    def _run(self):
        while not self._ends:
            if self._machine.run("gateway", "nft", "delete", *packages.TABLE, check=False).returncode == 0:
                self.done += 1
            else:
                self.refused += 1
            time.sleep(0.5)


class NoDeletes(SlowDeletes):
    """Where no table has an owner each of them opens a gap, which flushed_by_others is about."""

    def _run(self):
        pass


class Real(Gateway, Machine):
    """This machine, for the tests that know a container."""

    def __init__(self, tap):
        Machine.__init__(self, tap, "")
        self._built, self.leader = True, "1"
        self.daemon = Spefwd(self)
        tap.on_failure[:] = [lambda: tap.note(self.journal("-n", "60"))]

    def run_in(self, *argv, bound=900, **more):
        return super().run_in(*argv, bound=bound, **more)


def _while_dead(machine):
    """As packages.while_dead: nobody runs, and another program tries to delete the table. The machine's init can't be
    stopped, but ordered to wait."""
    os.makedirs("/run/systemd/system/spefwd.service.d", exist_ok=True)
    path = "/run/systemd/system/spefwd.service.d/late.conf"
    with open(path, "w", encoding="ascii") as file:
        file.write("[Service]\nRestartSec=5s\n")
    output("systemctl", "daemon-reload")
    output("systemctl", "kill", "-s", "KILL", "spefwd")
    wait_for(lambda: show("MainPID") == "0", "it is dead")
    refused = machine.run("gateway", "nft", "delete", *packages.TABLE, check=False).returncode != 0
    there = packages.table_is_there(machine)
    os.unlink(path)
    output("systemctl", "daemon-reload")
    return "refused" if refused and there else "done"


def _dead_for_a_moment(machine):
    """Where anybody may delete the table, it would be gone until the next start."""
    del machine
    output("systemctl", "kill", "-s", "KILL", "spefwd")
    return "not tried"




def life(tap):
    """Installed, used, killed and hung; other programs flush; removed, installed again, purged."""
    with open(WORK + "/newer.done", "w", encoding="ascii") as file:
        json.dump({"value": DEBS + "/newer.deb"}, file)
    world = {"deb": DEBS + "/spefw.deb", "owned": False, "work": WORK}
    with Real(tap) as machine:
        world["machine"] = machine
        packages.serve(machine)
        machine.dns(packages.NAMES)
        tap.section(packages.installed, world)
        packages.ForeignDeletes = SlowDeletes if world["owned"] else NoDeletes
        packages.while_dead = _while_dead if world["owned"] else _dead_for_a_moment
        for part in (packages.rights, packages.reloaded, packages.killed, packages.hung, packages.measured):
            tap.section(part, world)
        tap.section(flushed_by_others, world)
        tap.section(packages.upgraded, world)
        tap.section(packages.removed, world)
        tap.section(installed_again, world)


def answers(machine):
    """The connections in the kernel's table to ports that nothing opens, which a peer has answered."""
    printed = machine.run("gateway", "conntrack", "-L", "-p", "tcp", check=False).stdout
    printed += machine.run("gateway", "conntrack", "-f", "ipv6", "-L", "-p", "tcp", check=False).stdout
    # The first port is the original direction's.
    established = re.compile(r"ESTABLISHED .*?\bdport=(%s) " % "|".join(map(str, CLOSED)))
    return [line for line in printed.split("\n") if established.search(line)]


def flushed_by_others(tap, world):
    """What other services' commands do to the table while spefwd runs."""
    machine = world["machine"]
    output("systemctl", "start", "nftables", "netfilter-persistent")
    commands = [("nft", "flush", "ruleset"), ("nft", "delete", *packages.TABLE), ("systemctl", "reload", "nftables"),
                ("systemctl", "restart", "nftables"),
                ("systemctl", "stop", "nftables"), ("netfilter-persistent", "flush"),
                ("systemctl", "stop", "netfilter-persistent")]
    if os.path.exists("/usr/bin/firewall-cmd"):
        output("systemctl", "unmask", "firewalld")
        output("systemctl", "start", "firewalld")
        output("firewall-cmd", "--set-default-zone=trusted")
        commands.append(("firewall-cmd", "--reload"))
    else:
        tap.skip("firewall-cmd --reload", "firewalld is not here")
    for command in commands:
        what = " ".join(command)
        with DeniedStreams() as denied:
            machine.run("gateway", *command, check=False)
            wait_for(lambda: packages.table_is_there(machine), "the table is there")
            wait_for(lambda: machine.daemon.status(), "it answers")
            whole = guarded(machine)
        tap.ok(whole, what + ": guarded")
        if world["owned"]:
            tap.equal(denied.leaked, 0, "%s: none of %d denied packets came through" % (what, denied.sent))
        else:
            tap.measured("%s: %d of %d denied packets came through" % (what, denied.leaked, denied.sent))
            tap.equal(answers(machine), [], what + ": no connection that was opened in the gap is left")
    if os.path.exists("/usr/bin/firewall-cmd"):
        # It conflicts with nftables.service.
        output("systemctl", "mask", "--now", "firewalld")


def installed_again(tap, world):
    """Removed and installed again: as before, or it prints what to do."""
    machine = world["machine"]
    printed = output("apt-get", "install", "-qy", "--no-install-recommends", DEBS + "/spefw.deb")
    output("spefwctl", "init", "--server", packages.SERVER.replace(" ", ","), "--adm", "203.0.113.0/24,2001:db8:3::/64")
    machine.configure(machine.config())
    output("systemctl", "enable", "--now", "spefwd")
    tap.ok(guarded(machine), "purged and installed again: guarded", printed)
    output("apt-get", "remove", "-qy", "spefw")
    tap.ok(guarded(machine), "removed: the table guards")
    printed = output("apt-get", "install", "-qy", "--no-install-recommends", DEBS + "/spefw.deb")
    state = show("ActiveState"), output("systemctl", "is-enabled", "spefwd", check=False).strip()
    tap.ok(state == ("active", "enabled") or "systemctl" in printed,
           "installed again where there is a configuration: %s and %s, or it prints what to do" % state, printed)
    output("systemctl", "enable", "--now", "spefwd")
    tap.ok(guarded(machine), "guarded")
