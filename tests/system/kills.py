#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at random moments of starts, reloads and changes of names, under traffic.

SPEFW_KILLS=N: so many (200; with SPEFW_TEST_LONG 10,000). SPEFW_SEED=N: the moments of another run again."""
import json
import os
import random
import socket
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, EXCHANGE, FAMILIES, LICENSE, NARROW, Lab, dns, main, vendor  # noqa: E402
from lab.checks import DeniedStreams, content, differences, guarded, with_all_and_none  # noqa: E402
from lab.streams import Allowed, Denied, Sink  # noqa: E402

KILLS = int(os.environ.get("SPEFW_KILLS") or (10000 if os.environ.get("SPEFW_TEST_LONG") else 200))
SEED = int(os.environ.get("SPEFW_SEED") or time.time())
NAME = vendor.LICENSE_NAME
HOOKS = {"forward", "input", "output"}


class Scene:
    def __init__(self, lab, chance):
        self.chance, self.number = chance, 0
        self.names = lab.scripted_dns(self.answers(), ttl=1)
        self.configs = [
            lab.config(flows=NARROW, gateway="early_drop = yes", dns_section="grace = 1s"),
            lab.config(flows=NARROW + "[flow api-in]\nenabled = no\n\n[flow backup-in]\nfrom = 203.0.113.77\n"
                       "to = SERVER\nprotocol = tcp\nport = 445, 10000-10100\n",
                       adm="203.0.113.0/25 198.51.100.200 2001:db8:3::/64", gateway="early_drop = no"),
            lab.config(flows=NARROW + "[role IH]\nmembers = 192.0.2.40 2001:db8:2::40\nprotected = yes\n\n"
                       "[flow ih-in]\nfrom = ANY\nto = IH\nprotocol = tcp\nport = 443\n",
                       server="192.0.2.25 192.0.2.28-192.0.2.31 2001:db8:2::25")]
        self.daemon = lab.spefwd(self.configs[0])

    def answers(self):
        self.number += 1
        return {(NAME, kind): [LICENSE[self.number % 3][family]] for kind, family in ((dns.A, 4), (dns.AAAA, 6))}

    def call(self, method):
        """Sent, and not waited for."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(self.daemon.socket)
            sock.sendall(json.dumps({"method": "org.spefw.Gateway." + method}).encode() + b"\0")
        except OSError:
            pass
        return sock

    def kill_in(self, bound):
        time.sleep(self.chance.uniform(0, bound))
        self.daemon.kill()

    def starting(self):
        self.daemon.kill()
        self.daemon.start(wait=False)
        self.kill_in(0.15)

    def reloading(self):
        self.daemon.write(self.chance.choice(self.configs))
        with self.call("Reload"):
            self.kill_in(0.03)

    def many_reloads(self):
        calls = []
        for _ in range(4):
            self.daemon.write(self.chance.choice(self.configs))
            calls.append(self.call("Reload"))
        self.kill_in(0.05)
        for sock in calls:
            sock.close()

    def renaming(self):
        self.names.answers.update(self.answers())
        with self.call("Refresh"):
            self.kill_in(0.03)

    def retiring(self):
        """Around the batch that deletes what the last one left over."""
        self.daemon.reload(self.chance.choice(self.configs))
        time.sleep(self.chance.uniform(0.95, 1.05))
        self.daemon.kill()


def is_whole(table):
    """Every jump has its chain, every lookup its set, the hooks are there,
    and nothing that is protected falls through."""
    if table is None:
        return "there is no table"
    chains = {one["chain"]["name"]: one["chain"] for one in table if "chain" in one}
    if not HOOKS <= {chain["hook"] for chain in chains.values() if "hook" in chain}:
        return "hooks are missing"
    maps = {one["map"]["name"]: one["map"] for one in table if "map" in one}
    for name in ("protected_dst_4", "protected_src_4", "protected_dst_6", "protected_src_6"):
        if not maps.get(name, {}).get("elem"):
            return "%s is empty" % name
    rules = {one["rule"]["chain"] for one in table if "rule" in one}
    empty = {name for name in ("forward", "input", "output", "judge", "SERVER_in", "SERVER_out", "deny_in", "deny_out")
             if name not in rules}
    return "chains without rules: %s" % sorted(empty) if empty else None


def killed(tap):
    """Killed anywhere: never open, never closed, always adopted."""
    count = KILLS // 2
    chance = random.Random(SEED)
    tap.note("SPEFW_SEED=%d SPEFW_KILLS=%d" % (SEED, KILLS))
    with Lab(tap) as lab:
        lab.serve("server", tcp=[143, 8470, 3389])
        lab.serve("internet", tcp=[25])
        sinks = [Sink("server", 443), Sink("internet", 443)]
        scene = Scene(lab, chance)
        daemon = scene.daemon
        kept = {(machine, family): lab.connect(machine, ADDRESS[family]["server"], 143) for family in FAMILIES
                for machine in ("client", "admin")}
        allowed = [Allowed(machine, target[family], 443, pause=0.02, together=2) for family in FAMILIES
                   for machine, target in (("client", {4: ADDRESS[4]["server"], 6: ADDRESS[6]["server"]}),
                                           ("server", EXCHANGE))]
        denied = DeniedStreams(ports=(8470, 3389, 22))
        outward = [Denied("server", ADDRESS[family]["server"], EXCHANGE[family], (25, 3389), "internet")
                   for family in FAMILIES]
        problems, done = [], {}
        moments = [scene.starting, scene.starting, scene.reloading, scene.reloading, scene.many_reloads, scene.renaming,
                   scene.renaming]
        try:
            for number in range(1, count + 1):
                moment = scene.retiring if number % 25 == 0 else chance.choice(moments)
                moment()
                done[moment.__name__] = done.get(moment.__name__, 0) + 1
                wrong = is_whole(daemon.table())
                if wrong:
                    problems.append("kill %d, %s: %s" % (number, moment.__name__, wrong))
                problems += ["kill %d, %s: the connection of %s broke" % (number, moment.__name__, key)
                             for key, connection in kept.items() if not connection.echo()]
                daemon.start()
                if not daemon.status()["config"]["matches_disk"]:
                    problems.append("kill %d, %s: not the policy on disk" % (number, moment.__name__))
                if len(problems) > 20:
                    break
        finally:
            for stream in allowed + outward + [denied]:
                stream.close()
            for sink in sinks:
                sink.close()
        tap.note("%d kills: %s; %d connections opened, %d denied SYNs" %
                 (sum(done.values()), done, sum(stream.opened for stream in allowed),
                  denied.sent + sum(stream.sent for stream in outward)))
        tap.equal(problems, [],
                  "%d kills: the table is whole each time, connections go on, the policy on disk is adopted" % count)
        tap.equal((denied.leaked, [stream.leaked for stream in outward]), (0, [0, 0]), "no denied SYN came through")
        tap.equal([stream.errors for stream in allowed], [[]] * 4, "no allowed connection failed")
        tap.ok(all(stream.opened > count for stream in allowed) and denied.sent > 100 * count // 10, "there were many",
               [stream.opened for stream in allowed])
        daemon.reload(scene.configs[1])
        daemon.reload()  # what the last change has left over for a while goes now
        left = content(daemon.table())
        daemon.kill()
        daemon.run("spefwd", "--clear")
        daemon.start()
        daemon.wait_status(lambda status: all(one["addresses"] and not one["last_error"] for one in status["names"]),
                           "names are known")
        fresh = content(daemon.table())

        def comparable(table):
            # Counters of flows stay for good; which addresses a name has had of late depends on the moment.
            return {"rules": table["rules"],
                    "rest": [one for one in table["rest"] if not one.startswith("{\"counter\"") and "name_" not in one]}
        tap.equal(differences(comparable(left), comparable(fresh)), "",
                  "what all the kills left is what a fresh start builds")
        lab.serve("server", tcp=[443])
        tap.ok(guarded(lab), "guarded")


if __name__ == "__main__":
    main(*with_all_and_none(killed))
