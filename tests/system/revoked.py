#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What was cut stays cut: no mid-stream packet of it passes, by whatever flow a new connection of the same ends could,
and both sockets are reset."""
import json
import os
import random
import signal
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, GATEWAY, Lab, main, wait_for  # noqa: E402
from lab.checks import with_all_and_none  # noqa: E402
from lab import netlink  # noqa: E402
from lab.daemon import counters  # noqa: E402
from lab.packets import ACK, PSH, RawSender, packed  # noqa: E402
from lab.sessions import TRACKING, Host, Peers, Session, through  # noqa: E402

# Two ports of the server, one of them among those that it opens its own connections from; and one that it reaches.
OPEN = """[flow rdp-in]
from = any
to = SERVER
protocol = tcp
port = 3389, 50123

[flow odd-out]
from = SERVER
to = any
protocol = tcp
port = 4444
"""
FORWARD = """table inet nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		fib daddr type local tcp dport { 443, 3389 } dnat ip to 192.0.2.25
		fib daddr type local tcp dport { 443, 3389 } dnat ip6 to 2001:db8:2::25
	}
}
"""
SET_SIZE = 65536


class Scene(Peers):
    """Both ends of all sessions."""

    def __init__(self, lab):
        super().__init__(lab, (143, 443, 3389, 50123), (80, 443, 4444))

    def doomed(self):
        """What only OPEN allows: from ports of outbound flows and others,
        and out of a service port of the server and others."""
        return [self.session(*arguments) for family in FAMILIES for arguments in (
            ("client", family, 3389, 443), ("client", family, 3389, 80), ("client", family, 3389, 4444),
            ("client", family, 3389),
            ("client", family, 50123, 443), ("client", family, 50123, 995), ("client", family, 50123),
            ("server", family, 4444), ("server", family, 4444, 993), ("server", family, 4444, 3390))]

    def kept(self):
        return [self.session(machine, family, 443) for family in FAMILIES for machine in ("client", "server")]


def resets(sessions):
    """The titles of those of which an end, that has sent since they were cut, was not reset."""
    alive = []
    for session in sessions:
        for end in (session.near, session.far):
            try:
                while end.recv(65536):
                    pass
                alive.append(session.title)
            except (ConnectionResetError, BrokenPipeError):
                pass
            except OSError as error:
                alive.append("%s: %s" % (session.title, error))
    return alive


def judge(tap, doomed, kept, title):
    tap.equal(through(doomed, kept), [], title + ": not one byte of %d revoked sessions gets through" % len(doomed))
    tap.equal(resets(doomed), [], title + ": both ends of each were reset")
    tap.equal([session.title for session in kept if not session.lives()], [], title + ": %d others live" % len(kept))


def live(tap, sessions, title):
    tap.equal([session.title for session in sessions if not session.lives()], [], title)


def remembered(daemon):
    """The elements that the kernel holds, comparable."""
    found = []
    for one in daemon.table() or []:
        if one.get("set", {}).get("name") in ("cut_4", "cut_6"):
            for element in one["set"].get("elem", []):
                value = element["elem"]
                found.append(json.dumps([value["val"], value.get("comment")]))
    return sorted(found)


def close(sessions):
    for session in sessions:
        session.close()


def reload_closes(tap):
    """Ports are closed by a reload, on a gateway that also translates; opened again, the same ends connect."""
    with Lab(tap) as lab:
        lab.nft("gateway", FORWARD)
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        doomed, kept = scene.doomed(), scene.kept()
        # With a port that the kernel chooses, one could seem to be the other to the server:
        # then its port is translated, too.
        doomed += [scene.session("client", family, 3389, sport, GATEWAY["wan2"][family]) for family in FAMILIES
                   for sport in (446, 444)]
        doomed += [scene.session("gateway", family, 3389, sport) for family in FAMILIES for sport in (0, 587)]
        live(tap, doomed, "all live at first")
        tap.equal(daemon.status()["mid_stream"], {"passed": 0, "cut": 0, "remembered": 0, "full": False},
                  "nothing was cut, no mid-stream packet was seen")
        # A port that the kernel chose may be another connection's as well, and can't be had again then.
        ends = [(session.machine, session.family, session.port, session.sport, session.near.getpeername()[0])
                for session in doomed if ":0 to" not in session.title]
        tap.equal(daemon.reload(lab.config())["cut"], len(doomed), "reload reports how many it has cut")
        tap.equal(len(remembered(daemon)), len(doomed), "each has an element")
        judge(tap, doomed, kept, "closed")
        seen = daemon.status()
        tap.ok(seen["mid_stream"]["cut"] >= 2 * len(doomed) and seen["mid_stream"]["remembered"] == len(doomed)
               and not seen["mid_stream"]["full"],
               "status counts their mid-stream packets, and what is remembered", seen["mid_stream"])
        shown = daemon.ctl("status", "-v", check=False).stdout
        tap.ok("%d cut and remembered" % len(doomed) in " ".join(shown.split()), "spefwctl status shows it", shown)
        tap.ok('spefw_mid_stream_total{kind="cut"} %d' %
               seen["mid_stream"]["cut"] in daemon.ctl("metrics", check=False).stdout, "metrics, too")
        close(doomed)
        daemon.reload(lab.config(flows=OPEN))
        tap.equal(remembered(daemon), [], "opened again: nothing is remembered")
        again = [scene.session(*arguments) for arguments in ends]
        live(tap, again, "the same ends connect")
        lab.run("gateway", "conntrack", "-F")
        # What is translated needs its entry, and what comes from a low port of the server, too.
        bound = [session for session in again if session.near.getpeername()[0] in GATEWAY["wan2"].values()
                 or session.sport == 3390]
        live(tap, [session for session in again + kept if session not in bound], "and live on without their entries")


def new_ones_meet_nothing(tap):
    """The ends of what was cut are free for a new connection that the policy allows: it is not mid-stream."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        kept = scene.kept()
        doomed = [scene.session("client", family, 50123, 443) for family in FAMILIES]
        # The other way round the same ends are an outbound connection.
        target = {family: ADDRESS[family]["client"] for family in FAMILIES}
        daemon.reload(lab.config())
        judge(tap, doomed, kept, "closed")
        close(doomed)
        host = Host(lab, "client", (443,))
        again = [Session(lab, "server", host, target[family], 443, 50124) for family in FAMILIES]
        live(tap, again, "another connection to the same peer lives")
        scene.server.close()
        same = [Session(lab, "server", host, target[family], 443, 50123) for family in FAMILIES]
        live(tap, same, "and so does one between the same ends, opened by the server")
        tap.equal(daemon.reload(lab.config())["cut"], 0, "a reload cuts none of them")
        live(tap, again + same, "they live on")


def first_start(tap):
    """Opened while nobody guarded, tracked or not."""
    for tracked in (True, False):
        with Lab(tap) as lab:
            if tracked:
                lab.nft("gateway", TRACKING)
            scene = Scene(lab)
            doomed, kept = scene.doomed(), scene.kept()
            live(tap, doomed + kept, "nobody guards: all live")
            daemon = lab.spefwd(lab.config())
            title = "first start, %s" % ("tracked" if tracked else "not tracked")
            if tracked:
                judge(tap, doomed, kept, title)
                continue
            # Nobody knows who opened these: what comes from the server's service port,
            # or to one of those it opens connections from, passes.
            doomed = [session
                      for session in doomed if session.port == 3389 or session.port == 4444 and session.sport != 993]
            tap.equal(through(doomed, kept), [], title + ": not one byte of %d sessions gets through" % len(doomed))
            tap.ok(daemon.status()["denied"]["in"] and daemon.status()["denied"]["out"],
                   title + ": they are counted as denied")
            live(tap, kept, title + ": others live")


def audit_to_enforce(tap):
    """What was let through in audit mode, also after its entries were lost."""
    with Lab(tap) as lab:
        audit = lab.config().replace("mode = enforce", "mode = audit")
        daemon = lab.spefwd(audit)
        scene = Scene(lab)
        doomed, kept = scene.doomed(), scene.kept()
        lost = [scene.session("client", family, port, sport) for family in FAMILIES for port in (3389, 50123)
                for sport in (0, 110)]
        live(tap, doomed + lost, "audit mode: all live")
        tap.equal((remembered(daemon), daemon.status()["mid_stream"]["cut"]), ([], 0), "and nothing is cut")
        tap.equal(daemon.reload(lab.config())["cut"], len(doomed) + len(lost), "enforce: all are cut")
        judge(tap, doomed, kept, "enforce")
        # Audit mode lets the others go on, counted as what they are; with enforce they are cut once more,
        # picked up though they are.
        daemon.reload(audit)
        tap.equal(len(remembered(daemon)), len(doomed) + len(lost), "audit again: nothing is forgotten")
        live(tap, lost, "but they live on")
        tap.ok(daemon.status()["mid_stream"]["cut"] > 0, "and are counted")
        tap.equal(daemon.reload(lab.config())["cut"], len(lost), "enforce again: they are cut again")
        judge(tap, lost, kept, "enforce again")


def picked_up(tap):
    """Entries are lost, sessions picked up, and then their port is closed:
    they are what the old policy took them for."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        kept = scene.kept()
        for speaker in ("near", "far"):
            doomed = scene.doomed()
            live(tap, doomed, "all live at first")
            lab.run("gateway", "conntrack", "-F")
            # Whose own port is no service port, and not of those that it opens connections from, is nobody's.
            nobodys = [session for session in doomed if session.sport == 3390]
            taken = [session for session in doomed if session not in nobodys]
            tap.equal([session.title for session in taken if not getattr(session, speaker + "_speaks")()], [],
                      "all entries are lost, the %s end speaks: they go on" % speaker)
            daemon.reload(lab.config())
            # The server's port 993 is a service port: what comes from there is an answer.
            answers = [session for session in taken if session.sport == 993]
            judge(tap, [session for session in taken if session not in answers], kept, "closed")
            tap.equal(through(nobodys, kept), [], "nor does a byte of %d that no flow has a port for" % len(nobodys))
            close(doomed)
            daemon.reload(lab.config(flows=OPEN))


def restarts(tap):
    """The daemon stops, is killed, starts: what was cut stays cut, and is forgotten when it is allowed again."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        kept = scene.kept()
        doomed = scene.doomed()
        spare = [scene.session("client", family, port, sport) for family in FAMILIES for port in (3389, 50123)
                 for sport in (444, 445, 446)]
        daemon.reload(lab.config())
        before = remembered(daemon)
        tap.equal(len(before), len(doomed) + len(spare), "all are remembered")
        parts = [spare[index::3] for index in range(3)]
        daemon.kill()
        judge(tap, parts[0], kept, "the daemon was killed")
        lab.run("gateway", "conntrack", "-F")
        daemon.start()
        tap.equal(remembered(daemon), before, "another one adopts the elements")
        tap.equal(daemon.status()["mid_stream"]["remembered"], len(before), "and knows of them")
        judge(tap, parts[1], kept, "adopted")
        daemon.stop()
        daemon.start()
        tap.equal(remembered(daemon), before, "stopped and started: they are there")
        judge(tap, doomed + parts[2], kept, "stopped and started")
        daemon.kill()
        daemon.write(lab.config(flows=OPEN))
        daemon.start()
        tap.equal(remembered(daemon), [], "started on a policy that allows them: they are gone")
        close(doomed + spare)
        live(tap, scene.doomed(), "and can be opened")


def killed_in_between(tap):
    """kill -9 at some moment of a reload that closes: after the next start no byte passes,
    and what is allowed lives."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene, chance = Scene(lab), random.Random(12)
        kept, problems = scene.kept(), []
        for number in range(8):
            doomed = [scene.session("client", family, port, sport) for family in FAMILIES
                      for port, sport in ((3389, 443), (50123, 443), (50123, 80))]
            daemon.write(lab.config())
            daemon.kill_in_reload(chance.uniform(0, 0.02))
            daemon.start()
            problems += ["kill %d: %s" % (number, title) for title in through(doomed, kept)]
            problems += ["kill %d: %s is dead" % (number, session.title) for session in kept if not session.lives()]
            close(doomed)
            daemon.reload(lab.config(flows=OPEN))
        tap.equal(problems, [], "8 kills: what is closed stays closed")


def others_change_it(tap):
    """Another program deletes the table, or elements: where the daemon runs, all is there again,
    and what passed meanwhile is cut."""
    os.environ["SPEFW_ABILITIES"] = "none"
    with Lab(tap) as lab:
        lab.nft("gateway", TRACKING)
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        doomed, kept = scene.doomed(), scene.kept()
        last = [scene.session("client", family, 50123, 446) for family in FAMILIES]
        daemon.reload(lab.config())
        before = remembered(daemon)
        daemon.process.send_signal(signal.SIGSTOP)
        lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
        live(tap, doomed, "the table is gone, the daemon stands still: what was cut lives")
        daemon.process.send_signal(signal.SIGCONT)
        wait_for(lambda: remembered(daemon) == before, "all elements are there again")
        daemon.status()
        judge(tap, doomed, kept, "the table was deleted")
        lab.run("gateway", "nft", "flush", "set", "inet", "spefw", "cut_4")
        lab.run("gateway", "nft", "add", "element", "inet", "spefw", "cut_6",
                "{ 2001:db8:2::25 . 443 . 2001:db8:77::1 . 50000 timeout 1h }")  # the policy allows it
        wait_for(lambda: remembered(daemon) == before, "elements of others go, deleted ones come back")
        tap.ok(True, "elements of others go, deleted ones come back")
        judge(tap, last, kept, "elements were deleted")
    os.environ.pop("SPEFW_ABILITIES")


def others_shorten_it(tap):
    """Another program lets elements, or the mark that not all are there, run out sooner: they get their time back.
    A mark of its own goes."""
    os.environ["SPEFW_ABILITIES"] = "none"
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        doomed, kept = [scene.session("client", family, 50123, 443) for family in FAMILIES], scene.kept()
        daemon.reload(lab.config())

        def change(words, name, key):
            """Once the daemon has repaired it."""
            before = daemon.status()["guards"]["repaired"]
            lab.run("gateway", "nft", words.format(name="element inet spefw " + name, key=key))
            wait_for(lambda: daemon.status()["guards"]["repaired"] > before, "the change is seen")

        def short():
            """Elements that end within a day."""
            sets = [one["set"] for one in daemon.table() if one.get("set", {}).get("name", "").startswith("cut_")]
            return [(one["name"], element["elem"]) for one in sets
                    for element in one.get("elem", []) if element["elem"]["expires"] < 24 * 3600]
        sooner = "delete {name} {{ {key} }}; add {name} {{ {key} timeout 5m }}"
        for family, name in ((4, "cut_4"), (6, "cut_6")):
            change(sooner, name, "%s . 50123 . %s . 443" % (ADDRESS[family]["server"], ADDRESS[family]["client"]))
        tap.equal((short(), len(remembered(daemon))), ([], len(doomed)),
                  "elements that were to run out sooner have their time back")
        judge(tap, doomed, kept, "elements were shortened")
        change("add {name} {{ {key} timeout 1h }}", "cut_full", "tcp")
        tap.equal((short(), daemon.status()["mid_stream"]["full"]), ([], False), "a mark of another program's goes")
        daemon.kill()
        fill(3388, 4, SET_SIZE - 1)
        daemon.start()
        extra = scene.session("client", 4, 443)
        daemon.reload(lab.config(flows="[flow https-in]\nenabled = no\n"))
        tap.ok(daemon.status()["mid_stream"]["full"], "one more is cut, and has no room")
        change(sooner, "cut_full", "tcp")
        tap.equal(short(), [], "the mark that was to run out sooner has its time back")
        close([extra])
    os.environ.pop("SPEFW_ABILITIES")


def replaced(tap):
    """A table that can't be adopted is replaced, with what it remembers."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        doomed, kept = scene.doomed(), scene.kept()
        daemon.reload(lab.config())
        before = remembered(daemon)
        daemon.kill()
        lab.run("gateway", "nft", "add", "set", "inet", "spefw", "strange", "{ type mark; }")
        daemon.start()
        tap.ok("not of our making" in daemon.log(), "the table is replaced")
        tap.equal(remembered(daemon), before, "with all that was cut")
        judge(tap, doomed, kept, "replaced")


def fill(own_port, family, count):
    """So many elements of connections that the policy denies."""
    server = ADDRESS[family]["server"]
    peers = (("10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255)) if family == 4 else "2001:db8:aaaa::%x" % n
             for n in range(count))
    keys = [packed(server) + struct.pack("!HH", own_port, 0) + packed(peer) + struct.pack("!HH", 443, 0)
            for peer in peers]
    netlink.add_elements("gateway", "cut_%d" % family, keys, 5 * 24 * 3600 * 1000, "inbound")


def full(tap):
    """A set has no room: health shows it, and no mid-stream packet passes by an outbound flow until there is."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=OPEN))
        scene = Scene(lab)
        fences = [scene.session("client", family, 443) for family in FAMILIES]
        out = [scene.session("server", family, 443) for family in FAMILIES]
        doomed = [scene.session("client", family, 50123, 443) for family in FAMILIES]
        daemon.kill()
        fill(3388, 4, SET_SIZE)  # orphaned, the table can be changed
        daemon.start()
        status = daemon.status()
        tap.equal((status["mid_stream"]["remembered"], status["mid_stream"]["full"]), (SET_SIZE, False),
                  "a full set is adopted: all that was cut is in it")
        # The one of the other family has room.
        tap.equal(daemon.reload(lab.config())["cut"], len(doomed), "two more are cut")
        status = daemon.status()
        tap.equal((status["mid_stream"]["remembered"], status["mid_stream"]["full"]), (SET_SIZE + 1, True),
                  "one of them has no room")
        tap.ok("cut-full" in daemon.reason_codes(status), "health shows it", status["reasons"])
        tap.equal(through(doomed, fences), [], "no byte of either gets through")
        lab.run("gateway", "conntrack", "-F")
        live(tap, fences, "all entries are lost: inbound sessions go on")
        tap.equal(through(out[:1], fences), [], "outbound ones don't")
        daemon.kill()
        daemon.start()
        status = daemon.status()
        tap.ok(status["mid_stream"]["full"] and "cut-full" in daemon.reason_codes(status),
               "a restarted daemon knows", status["reasons"])
        tap.equal(through(out[:1] + doomed[1:], fences), [], "and it stays so")
        daemon.kill()
        lab.run("gateway", "nft", "flush", "set", "inet", "spefw", "cut_full")
        daemon.start()
        tap.ok(not daemon.status()["mid_stream"]["full"], "the mark has run out")
        again = [scene.session("client", 4, 443)]
        daemon.reload(lab.config(flows="[flow https-in]\nenabled = no\n"))
        tap.ok(daemon.status()["mid_stream"]["full"], "one more is cut")
        daemon.reload(lab.config(flows=OPEN.replace("3389", "3388")))
        status = daemon.status()
        tap.equal((status["mid_stream"]["remembered"], status["mid_stream"]["full"],
                   daemon.reasons(status, "cut-full")), (0, False, []),
                  "the others are allowed now: there is room, and nothing is left to remember")
        live(tap, out[1:], "outbound sessions go on")
        close(again)


def scanned(tap):
    """nmap -sA from ports of outbound flows: what is denied is counted, and what passes."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        for family in FAMILIES:
            server, client = ADDRESS[family]["server"], ADDRESS[family]["client"]
            before = counters(daemon.table())

            def send(ports, sport, client=client, server=server):
                with RawSender("client", client, server) as sender:
                    for port in ports:
                        sender.tcp(sport, port, ACK)
                        sender.tcp(sport, port, ACK | PSH, data=b"x")

            def gained(name, before=before):
                return counters(daemon.table())[name] - before[name]
            closed = [22, 135, 445, 3389, 5985, 47001, 49151]
            send(closed, 443)
            send(closed, 80)
            send([50000, 65535], 8080)
            wait_for(lambda: gained("denied-in") == 4 * len(closed) + 4, "each is counted as denied")
            tap.equal(gained("mid-stream"), 0,
                      "IPv%d: mid-stream packets to closed ports are denied, and counted so" % family)
            send([49152, 53217, 65535], 443)
            send([143, 443], 1)
            wait_for(lambda: gained("mid-stream") >= 5, "what passes is counted")
            flows = [name for name in before if name.startswith("flow-") and gained(name)]
            tap.equal((gained("denied-in"), flows), (4 * len(closed) + 4, []),
                      "IPv%d: mid-stream packets that pass are counted, and no flow counts them" % family)
        tap.equal(daemon.status()["mid_stream"]["passed"], counters(daemon.table())["mid-stream"], "status shows it")


if __name__ == "__main__":
    main(*with_all_and_none(reload_closes, first_start, audit_to_enforce, picked_up, restarts, replaced),
         killed_in_between, full, new_ones_meet_nothing, others_change_it, others_shorten_it, scanned)
