#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the policy denies is cut, also when it was open before: those connections, and no others."""
import os
import random
import re
import shutil
import signal
import sys
import threading
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import FAMILIES, GATEWAY, LICENSE, NARROW, Lab, main, vendor, wait_for  # noqa: E402
from lab.checks import content, with_all_and_none  # noqa: E402
from lab.nflog import Queue  # noqa: E402
from lab.sessions import TRACKING, Peers, through  # noqa: E402

NAME = vendor.LICENSE_NAME
WIDE = "203.0.113.0/24 198.51.100.140 2001:db8:3::/64 2001:db8:10::/64"
TIGHT = "203.0.113.0/24 2001:db8:3::/64"
FORWARD = """table inet nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		fib daddr type local tcp dport { 443, 8470 } dnat ip to 192.0.2.25
		fib daddr type local tcp dport { 443, 8470 } dnat ip6 to 2001:db8:2::25
	}
}
"""


def count_cuts(daemon):
    """How often the journal has that connections were cut."""
    return len(re.findall(r"that the policy denies (?:was|were) cut", daemon.log()))


class Scene(Peers):
    """Both ends of everything: what ADM alone may do, done by the client and by the administrator,
    and what anybody may."""

    def __init__(self, lab):
        super().__init__(lab, (143, 443, 3389, 8470, 8474), (25, 80, 443))

    def anybody(self):
        """One from each side that every policy of this test allows."""
        return [self.session(machine, family, 443) for family in FAMILIES for machine in ("client", "admin", "server")]


def judge(tap, doomed, kept, title):
    tap.equal(through(doomed, kept), [], title + ": not one byte of %d denied connections gets through" % len(doomed))
    tap.equal([session.title for session in kept if not session.lives()], [], title + ": %d others live" % len(kept))


def tightened(tap):
    """ADM loses a member: its sessions are cut, whatever their port, also the translated ones; no other is."""
    with Lab(tap) as lab:
        lab.nft("gateway", FORWARD)
        daemon = lab.spefwd(lab.config(adm=WIDE))
        scene = Scene(lab)
        doomed = [scene.session("client", family, port, sport) for family in FAMILIES
                  for port, sport in ((8470, 0), (8470, 443), (8470, 80), (8470, 53), (8470, 8474), (8474, 0),
                                      (8474, 8470), (8470, 8470))]
        doomed += [scene.session("client", family, 8470, sport, GATEWAY["wan2"][family]) for family in FAMILIES
                   for sport in (0, 444, 143)]
        kept = scene.anybody()
        kept += [scene.session(*arguments) for family in FAMILIES for arguments in (
            ("admin", family, 8470), ("admin", family, 8470, 443), ("admin", family, 8470, 0, GATEWAY["adm"][family]),
            ("client", family, 143),
            ("client", family, 443, 8470, GATEWAY["wan2"][family]), ("server", family, 443, 993),
            ("server", family, 80), ("server", family, 443, 9999))]
        tap.equal([session.title for session in doomed if not session.lives()], [], "all live at first")
        again = daemon.reload(lab.config(adm=WIDE, flows="[flow imaps-in]\nenabled = no\n"))
        tap.equal((again["changed"], again["cut"]), (True, 0), "a reload that denies nothing of it cuts nothing")
        tap.equal([session.title for session in doomed + kept if not session.lives()], [], "and all live on")
        again = daemon.reload(lab.config(adm=TIGHT))
        tap.equal(again["cut"], len(doomed), "reload reports how many it has cut")
        judge(tap, doomed, kept, "tightened")
        again = daemon.reload(lab.config(adm=TIGHT))
        tap.equal((again["changed"], again["cut"]), (False, 0), "once more: nothing left to cut")
        for session in doomed:
            session.close()
        daemon.reload(lab.config(adm=WIDE))
        last = [scene.session("client", family, 8470) for family in FAMILIES]
        daemon.write(lab.config(adm=TIGHT))
        done = daemon.ctl("reload")
        tap.ok("2 connections" in done.stdout and "cut" in done.stdout, "spefwctl reload shows it", done.stdout)
        judge(tap, last, kept, "spefwctl reload")


def flow_ends(tap):
    """A flow is turned off, or its port changes: its sessions are cut."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        scene = Scene(lab)
        for flows, doomed_ports in (("[flow api-in]\nenabled = no\n", (8474,)),
                                    ("[flow console-in]\nport = 18470\n", (8470,)),
                                    ("[flow console-in]\nport = 18470\n\n[flow api-in]\nenabled = no\n", (8470, 8474))):
            daemon.reload(lab.config())
            sessions = [scene.session("admin", family, port) for family in FAMILIES for port in (8470, 8474)]
            doomed = [session for session in sessions if session.port in doomed_ports]
            kept = scene.anybody() + [session for session in sessions if session not in doomed]
            again = daemon.reload(lab.config(flows=flows))
            tap.equal(again["cut"], len(doomed), "%s: reload reports how many it cut" % again["changes"])
            judge(tap, doomed, kept, str(again["changes"]))
            for session in sessions:
                session.close()
            # the entries of closed connections stay for seconds, and would be counted
            lab.run("gateway", "conntrack", "-F")
        sessions = [scene.session("server", family, port) for family in FAMILIES for port in (80, 443)]
        again = daemon.reload(lab.config(flows=flows + "[flow crl]\nenabled = no\n"))
        doomed = [session for session in sessions if session.port == 80]
        tap.equal(again["cut"], len(doomed), "%s: reload reports how many it cut" % again["changes"])
        tap.equal(sorted((one["source_role"], one["target"], one["protocol"], one["port"], one["flow"], one["had"],
                          one["why"]) for one in again["cut_connections"]),
                  sorted(("SERVER", session.near.getpeername()[0], "tcp", 80, "crl", True, "flow-off")
                         for session in doomed),
                  "and whose they were, and why")
        tap.ok("reload by root (uid 0): " in daemon.log() and ": flow crl: on -> off" in daemon.log() and
               "cut SERVER -> %s tcp/80 (crl): the flow is off" % doomed[0].near.getpeername()[0] in daemon.log(),
               "the journal has who asked, what changed, and which were cut")
        judge(tap, doomed, [session for session in sessions if session not in doomed], str(again["changes"]))


def older_than_the_table(tap):
    """Opened when nobody guarded, tracked or not: a start cuts what the policy denies."""
    for tracked in (True, False):
        with Lab(tap) as lab:
            if tracked:
                lab.nft("gateway", TRACKING)
            scene = Scene(lab)
            doomed = [scene.session(*arguments) for family in FAMILIES for arguments in (
                ("client", family, 8470), ("client", family, 8470, 443), ("client", family, 8470, 80),
                ("client", family, 3389),
                ("server", family, 25), ("admin", family, 3389))]
            kept = scene.anybody() + [scene.session("admin", family, 8470, sport) for family in FAMILIES
                                      for sport in (0, 443)]
            kept += [scene.session("client", family, 143) for family in FAMILIES]
            tap.equal([session.title for session in doomed + kept if not session.lives()], [],
                      "nobody guards: all live")
            daemon = lab.spefwd(lab.config())
            title = "older than the table, %s" % ("tracked" if tracked else "not tracked")
            judge(tap, doomed, kept, title)
            if tracked:
                tap.ok("%d connections that the policy denies were cut" % len(doomed) in daemon.log(),
                       title + ": the log has how many")


def killed_before_the_cut(tap):
    """kill -9 between a reload's commit and its cut, or anywhere near: the next start cuts."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(adm=WIDE))
        scene, chance = Scene(lab), random.Random(11)
        kept = scene.anybody() + [scene.session("admin", family, 8470) for family in FAMILIES]
        problems = []
        for number in range(10):
            doomed = [scene.session("client", family, 8470, sport) for family in FAMILIES
                      for sport in (0, (443, 80)[number % 2])]
            daemon.write(lab.config(adm=TIGHT))
            daemon.kill_in_reload(chance.uniform(0, 0.02))
            daemon.start()
            problems += ["kill %d: %s" % (number, title) for title in through(doomed, kept)]
            problems += ["kill %d: %s is dead" % (number, session.title) for session in kept if not session.lives()]
            for session in doomed:
                session.close()
            daemon.reload(lab.config(adm=WIDE))
        tap.equal(problems, [], "10 kills: what the new policy denies is cut, all else lives")


def changed_meanwhile(tap):
    """Adoption, repair, and a change of the server's addresses cut as a reload does."""
    with Lab(tap) as lab:
        lab.nft("gateway", TRACKING)
        daemon = lab.spefwd(lab.config(adm=WIDE))
        owner = daemon.status()["ownership"] == "owner"
        scene = Scene(lab)
        kept = scene.anybody() + [scene.session("admin", family, 8470) for family in FAMILIES]
        doomed = [scene.session("client", family, 8470) for family in FAMILIES]
        daemon.kill()
        daemon.write(lab.config(adm=TIGHT))
        tap.equal([session.title for session in doomed if not session.lives()], [],
                  "killed: the old policy is in force")
        daemon.start()
        judge(tap, doomed, kept, "adopted with another policy")

        before = content(daemon.table())
        if owner:
            daemon.kill()
        else:
            daemon.process.send_signal(signal.SIGSTOP)
        lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
        doomed = [scene.session("client", family, port, sport) for family in FAMILIES
                  for port, sport in ((3389, 0), (8470, 443))]
        if owner:
            daemon.start()
        else:
            daemon.process.send_signal(signal.SIGCONT)
        wait_for(lambda: content(daemon.table()) == before, "repaired")
        daemon.status()  # where it answers, it has cut, too
        judge(tap, doomed, kept, "opened while the table was gone")

        lab.ip("server", "addr add 192.0.2.26/24 dev eth0", "addr add 2001:db8:2::26/64 dev eth0 nodad")
        lab.wait_neighbours("server", "2001:db8:2::26")
        second = {4: "192.0.2.26", 6: "2001:db8:2::26"}
        doomed = [scene.session("client", family, port, 0, second[family]) for family in FAMILIES
                  for port in (3389, 8470)]
        kept += [scene.session("client", family, 443, 0, second[family]) for family in FAMILIES]
        tap.equal([session.title for session in doomed if not session.lives()], [],
                  "another address of the server is open")
        again = daemon.reload(lab.config(server="192.0.2.25-192.0.2.26 2001:db8:2::25 2001:db8:2::26"))
        tap.equal(again["cut"], len(doomed), "it becomes one of the guarded: reload reports what it cut")
        judge(tap, doomed, kept, "another address is guarded")


def rotating_name(tap):
    """A name's addresses come and go: its live connections stay, through reloads and restarts."""
    with Lab(tap) as lab:
        names = lab.dns({NAME: list(LICENSE[0].values())}, ttl=1)
        config = lab.config(flows=NARROW, dns_section="grace = 1s")
        other = lab.config(flows=NARROW + "[flow api-in]\nenabled = no\n", dns_section="grace = 1s")
        daemon = lab.spefwd(config)
        scene, kept = Scene(lab), []
        for number in range(3):
            names.set(NAME, list(LICENSE[number].values()))
            wanted = sorted(LICENSE[number].values())
            daemon.wait_status(lambda status, wanted=wanted: daemon.addresses(NAME, status) == wanted,
                               "the name has moved, the old addresses are gone")
            kept += [scene.session("server", family, 443, 0, LICENSE[number][family]) for family in FAMILIES]
            again = daemon.reload(other if number % 2 == 0 else config)
            tap.equal((again["changed"], again["cut"]), (True, 0), "rotation %d: a reload cuts nothing" % number)
            tap.equal([session.title for session in kept if not session.lives()], [], "rotation %d: all live" % number)
        daemon.kill()
        daemon.start()
        tap.equal([session.title for session in kept if not session.lives()], [], "killed and started: all live")
        daemon.stop()
        daemon.start()
        tap.equal([session.title for session in kept if not session.lives()], [], "stopped and started: all live")
        # Another name in its place: what was opened by the old one's leave is denied now.
        anybody = [scene.session("server", family, 443) for family in FAMILIES]
        again = daemon.reload(lab.config(flows=NARROW + "[flow license-out]\nto = 198.51.100.200 2001:db8:51::200\n"))
        tap.equal(again["cut"], len(kept), "the flow no longer has that name: all of its connections are cut")
        judge(tap, kept, anybody, "the name is gone")


def lost_entries(tap):
    """conntrack -F: allowed sessions go on, whichever side speaks; and what was picked up is judged as what it is."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(adm=WIDE))
        scene = Scene(lab)
        fences = scene.anybody()
        # Each has its own way to go on: the one that opened it speaks first, or the other one.
        for speaker in ("near", "far"):
            sessions = [scene.session(*arguments) for family in FAMILIES for arguments in (
                ("client", family, 143), ("client", family, 443), ("client", family, 8470),
                ("client", family, 8470, (444, 445)[speaker == "far"]),
                ("client", family, 8470, (80, 995)[speaker == "far"]), ("admin", family, 8470), ("server", family, 443),
                ("server", family, 80))]
            lab.run("gateway", "conntrack", "-F")
            silent = [session.title for session in sessions if not getattr(session, speaker + "_speaks")()]
            tap.equal(silent, [], "all entries are lost, and the %s speaks first: %d sessions go on" %
                      ({"near": "opener", "far": "other side"}[speaker], len(sessions)))
            alone = [session.title for session in sessions
                     for _ in range(5) if not getattr(session, speaker + "_speaks")()]
            tap.equal(alone, [], "and alone, again and again")
            again = daemon.reload(lab.config(adm=WIDE, flows="[flow imaps-in]\nenabled = no\n"))
            tap.equal(again["cut"], 0, "a reload that allows them still cuts none of the entries that were picked up")
            doomed = [session for session in sessions if session.machine == "client" and session.port == 8470]
            kept = [session for session in sessions if session not in doomed]
            tap.equal([session.title for session in sessions if not session.lives()], [], "all live")
            again = daemon.reload(lab.config(adm=TIGHT))
            tap.equal(again["cut"], len(doomed), "a reload that denies some cuts these")
            judge(tap, doomed, kept + fences, "picked up from the %s's side" % speaker)
            for session in sessions:
                session.close()
            daemon.reload(lab.config(adm=WIDE))


def under_way(tap):
    """A SYN that the old policy let through has left the table when the policy changes,
    and is tracked only after the cut: that is cut as well."""
    with Lab(tap) as lab:
        for program in ("iptables-nft", "ip6tables-nft"):
            rule = "-t mangle -A POSTROUTING -p tcp --syn --dport 8470 -j NFQUEUE --queue-num 3".split()
            if shutil.which(program) is None or lab.run("gateway", program, *rule, check=False).returncode != 0:
                tap.skip("opened while the policy changes",
                         "nothing can hold a packet back here: no %s, or no NFQUEUE" % program)
                return
        daemon = lab.spefwd(lab.config(adm=WIDE))
        scene = Scene(lab)
        fences = scene.anybody()
        with Queue("gateway", 3) as queue:
            for family in FAMILIES:
                daemon.reload(lab.config(adm=WIDE))
                before, late = count_cuts(daemon), []
                opener = threading.Thread(
                    target=lambda family=family, late=late: late.append(scene.session("client", family, 8470)))
                opener.start()
                held = queue.wait(family)
                tap.equal(daemon.reload(lab.config(adm=TIGHT))["cut"], 0,
                          "IPv%d: at the reload there is nothing to cut" % family)
                queue.release(held)
                opener.join()
                wait_for(lambda before=before: count_cuts(daemon) > before,
                         "it is cut")
                judge(tap, late, fences, "IPv%d: opened meanwhile" % family)
                late[0].close()


def in_audit(tap):
    """Audit mode revokes nothing."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(adm=WIDE))
        scene = Scene(lab)
        fences = scene.anybody()
        sessions = [scene.session("client", family, 8470, sport) for family in FAMILIES for sport in (0, 443)]
        audit = lab.config(adm=TIGHT).replace("mode = enforce", "mode = audit")
        again = daemon.reload(audit)
        tap.equal((again["changed"], again["cut"]), (True, 0), "a tighter policy in audit mode cuts nothing")
        daemon.kill()
        daemon.start()
        lab.run("gateway", "conntrack", "-F")
        tap.equal([session.title for session in sessions if not session.lives()], [],
                  "all live, after a restart and without entries, too")
        again = daemon.reload(lab.config(adm=TIGHT))
        tap.equal(again["cut"], len(sessions), "mode = enforce: cut")
        judge(tap, sessions, fences, "mode = enforce")


if __name__ == "__main__":
    main(*with_all_and_none(tightened, flow_ends, older_than_the_table, killed_before_the_cut, changed_meanwhile,
                            rotating_name, lost_entries, under_way, in_audit))
