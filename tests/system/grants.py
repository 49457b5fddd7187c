#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An address is on the unprotected side of a flow for a while: it, there, and no longer. The shortest grant lasts a
minute: where a test waits for an end, spefwd finds a file in which less is left. What clocks do to grants:
tests/unit/test_gw_grants.c."""
import json
import os
import select
import socket
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, EXCHANGE, FAMILIES, LICENSE, Lab, Probe, has_second_user, main, wait_for)
from lab.checks import with_all_and_none  # noqa: E402
from lab.daemon import VarlinkError, counters, open_socket, program  # noqa: E402
from lab.sessions import Peers, through  # noqa: E402

CLIENT = {family: ADDRESS[family]["client"] for family in FAMILIES}
SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
HOUR = 3600
FLOWS = """[flow ews-out]
to = %s %s

[flow icewarp-out]
enabled = no

[flow api-in]
enabled = no
""" % (EXCHANGE[4], EXCHANGE[6])
LEFT_MS = 4000  # of a grant whose end is waited for


class Scene(Peers):
    """Both ends of all sessions, and listeners for what takes the same ways."""

    def __init__(self, lab):
        super().__init__(lab, (443, 8470, 8474), (443,))
        lab.serve("server", tcp=[143, 3389])
        lab.serve("internet", tcp=[143, 8443])


class Knock(Probe):
    """An attempt to connect to somebody who may not greet."""

    def step(self):
        if self.result is None and self._socket and select.select([], [self._socket], [], 0)[1]:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.result = os.strerror(code) if code else "open " + self.target


def grant(daemon, flow, addresses, seconds=HOUR):
    """A dict by family, or one address."""
    return [daemon.call("Grant", {"flow": flow, "address": address, "seconds": seconds})
            for address in (addresses.values() if isinstance(addresses, dict) else [addresses])]


def revoke(daemon, flow, addresses):
    return sum(daemon.call("Revoke", {"flow": flow, "address": address})["cut"] for address in addresses.values())


def granted(daemon):
    return sorted((one["flow"], one["address"], one["state"]) for one in daemon.call("Grants")["grants"])


def refusal(daemon, flow, address, seconds=HOUR):
    """What is wrong with it: "WORD: text"; None: it was granted."""
    try:
        grant(daemon, flow, address, seconds)
    except VarlinkError as error:
        return "%s: %s" % (error.error.rsplit(".", 1)[1], error.parameters.get("what", ""))
    return None


def reach(lab, wanted):
    """Of (machine, target, port): those that can be opened. What anybody may takes the same ways meanwhile: what has
    not come when that has, is not under way."""
    knocks = [Knock(*one) for one in wanted]
    try:
        for family in FAMILIES:
            lab.connect("admin", SERVER[family], 143).close()
            lab.connect("client", SERVER[family], 143).close()
            lab.connect("server", EXCHANGE[family], 143).close()
        for knock in knocks:
            knock.step()
        return [one for one, knock in zip(wanted, knocks) if knock.open]
    finally:
        for knock in knocks:
            knock.close()


def opens(machine, target, port):
    """Once it does: a SYN that was dropped comes again."""
    knock = Knock(machine, target, port)
    try:
        wait_for(lambda: (knock.step(), knock.result)[1], "%s to %s port %d" % (machine, target, port))
        return knock.open
    finally:
        knock.close()


def closed(lab, wanted):
    return not reach(lab, wanted)


CONSOLE = [("client", SERVER[family], 8470) for family in FAMILIES]
OTHERS = [("client", SERVER[family], port) for family in FAMILIES for port in (8474, 3389)] + [
    ("internet", SERVER[family], 8470) for family in FAMILIES]


def text_of(daemon, *words):
    """A screen as one line."""
    return " ".join(daemon.ctl(*words, check=False).stdout.split())


# -- the file

def checksum(line):
    value = 0xcbf29ce484222325
    for byte in line.encode():
        value = (value ^ byte) * 0x100000001b3 % 2 ** 64
    return "%s %016x\n" % (line, value)


def rewrite(daemon, left_ms=LEFT_MS, boot=None):
    """The file of a daemon that does not run: so much is left of each grant, as another boot had it."""
    path = os.path.join(daemon.state, "grants")
    with open(path, encoding="utf-8") as file:
        lines = [line.rsplit(" ", 1)[0] for line in file.read().splitlines()]
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    for number, line in enumerate(lines[1:], 1):
        flow, address, given, until, _, _, by = line.split(" ", 6)
        lines[number] = " ".join((flow, address, given, until, str(now + left_ms), str(left_ms), by))
    if boot:
        lines[0] = lines[0].rsplit(" ", 1)[0] + " " + boot
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(checksum(line) for line in lines))


# -- the sections

def given_and_revoked(tap):
    """Denied before, let in then, and cut when it is over: this address, by this flow, and no other."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        scene = Scene(lab)
        tap.equal(reach(lab, CONSOLE + OTHERS), [], "nothing of it is open before")
        before = counters(daemon.table())["flow-console-in"]
        replies = grant(daemon, "console-in", CLIENT)
        tap.equal([(one["grant"]["side"], one["grant"]["by"], one["grant"]["left_s"], "before_s" in one)
                   for one in replies], [("source", "root (uid 0)", HOUR, False)] * 2, "what is answered")
        doomed = [scene.session("client", family, 8470) for family in FAMILIES]
        kept = [scene.session("client", family, 443) for family in FAMILIES]
        tap.ok(all(session.lives() for session in doomed), "the console can be reached")
        tap.equal(reach(lab, OTHERS), [], "by no other port, and from nobody else")
        tap.ok(counters(daemon.table())["flow-console-in"] - before >= 2, "the flow has the credit")
        tap.equal(revoke(daemon, "console-in", CLIENT), 2, "revoked: both connections are cut")
        tap.equal(through(doomed, kept), [], "no byte of them gets through")
        tap.equal(reach(lab, CONSOLE + OTHERS), [], "and it is closed again")
        tap.ok("revoke by root (uid 0): console-in from %s, granted by root (uid 0)" % CLIENT[4] in daemon.log(),
               "the journal has who revoked what")

        elsewhere = [("server", LICENSE[0][family], 443) for family in FAMILIES]
        tap.equal(reach(lab, elsewhere), [], "a target that the flow does not have")
        grant(daemon, "ews-out", LICENSE[0])
        out = [scene.session("server", family, 443, target=LICENSE[0][family]) for family in FAMILIES]
        tap.ok(all(session.lives() for session in out), "the server reaches it when it is granted")
        tap.equal(reach(lab, [("server", LICENSE[1][family], 443) for family in FAMILIES]
                        + [("server", LICENSE[0][family], 8443) for family in FAMILIES]), [],
                  "no other one, and by no other port")
        tap.equal(revoke(daemon, "ews-out", LICENSE[0]), 2, "revoked: cut")
        tap.equal(through(out, kept), [], "no byte of them gets through")


def ends_by_itself(tap):
    """In time, by the daemon, which cuts what goes on by it; also across a restart."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        scene = Scene(lab)
        grant(daemon, "console-in", CLIENT)
        kept = [scene.session("client", family, 443) for family in FAMILIES]
        doomed = [scene.session("client", family, 8470) for family in FAMILIES]
        daemon.stop()
        rewrite(daemon)
        daemon.start()
        tap.ok(all(session.lives() for session in doomed + kept), "a restart does not end it")
        tap.equal(len(granted(daemon)), 2, "it is known still")
        wait_for(lambda: not granted(daemon), "the end")
        wait_for(lambda: "a grant has ended: 2 connections that the policy denies were cut" in daemon.log()
                 or daemon.log().count("a grant has ended: 1 connection that the policy denies was cut") == 2,
                 "its connections are cut\n" + daemon.log())
        tap.equal(through(doomed, kept), [], "no byte of them gets through")
        tap.equal(reach(lab, CONSOLE), [], "it is closed")
        for family in FAMILIES:
            tap.ok("a grant has ended: console-in from %s, granted by root (uid 0)" % CLIENT[family] in daemon.log(),
                   "IPv%d: the journal has the end" % family)
        tap.equal([one for one in daemon.table() if "grant_" in json.dumps(one.get("rule", ""))], [],
                  "no rule looks for it any more")
        tap.equal(daemon.reasons(code="table-outdated") + daemon.reasons(code="change-failed"), [], "no trouble")


def ends_without_a_daemon(tap):
    """The kernel ends it where the daemon is dead; what goes on then is cut at the next start."""
    for number, word in ((15, "stopped"), (9, "killed")):
        with Lab(tap) as lab:
            daemon = lab.spefwd(lab.config(flows=FLOWS))
            scene = Scene(lab)
            grant(daemon, "console-in", CLIENT)
            session = scene.session("client", 4, 8470)
            kept = scene.session("client", 4, 443)
            daemon.stop()
            rewrite(daemon)
            daemon.start()
            daemon.stop(number)
            tap.ok(opens(*CONSOLE[0]), word + ": it is open still")
            wait_for(lambda: closed(lab, CONSOLE), word + ": closed by the kernel", pause=0.2)
            tap.equal(reach(lab, CONSOLE), [], word + ": the kernel has ended it")
            daemon.start()
            tap.equal(granted(daemon), [], word + ": the next daemon does not begin it again")
            tap.ok("a grant ended while spefwd did not run: console-in, " + CLIENT[4] in daemon.log(),
                   word + ": and says so")
            tap.equal(through([session], [kept]), [], word + ": it cuts what had gone on")
            tap.equal(reach(lab, CONSOLE), [], word + ": it stays closed")


def survives(tap):
    """Reloads, a kill, a reboot; what a reload turns off has no effect, and has again."""
    config = Lab.config(flows=FLOWS)
    off = config + "\n[flow console-in]\nenabled = no\n"
    guarded = config + "\n[role IH]\nprotected = yes\nmembers = %s %s\n" % (CLIENT[4], CLIENT[6])
    with Lab(tap) as lab:
        daemon = lab.spefwd(config)
        scene = Scene(lab)
        grant(daemon, "console-in", CLIENT)
        session, kept = scene.session("client", 4, 8470), scene.session("client", 4, 443)
        daemon.reload(config.replace("[flow api-in]\nenabled = no\n", ""))
        tap.ok(session.lives() and opens(*CONSOLE[1]), "a reload changes nothing of it")
        daemon.kill()
        tap.ok(session.lives() and opens(*CONSOLE[1]), "nor does a kill")
        daemon.start()
        tap.ok(session.lives() and opens(*CONSOLE[1]), "nor the start after it")
        tap.equal(len(granted(daemon)), 2, "both are known")
        again = daemon.reload(off)
        tap.ok(again["cut"] > 0, "a reload that turns the flow off cuts it", again)
        tap.equal(through([session], [kept]), [], "no byte of it gets through")
        tap.equal({state for _, _, state in granted(daemon)}, {"flow-off"}, "the grant is there, without effect")
        tap.equal(reach(lab, CONSOLE), [], "nothing is open")
        tap.equal(text_of(daemon, "grants").count("without effect: the flow is off"), 2, "grants says so")
        tap.ok("2 without effect" in text_of(daemon, "status"), "and status does", text_of(daemon, "status"))
        daemon.reload(config)
        tap.ok(opens(*CONSOLE[0]) and opens(*CONSOLE[1]), "the flow is back, and so is the grant")
        daemon.reload(guarded)
        tap.equal({state for _, _, state in granted(daemon)}, {"protected"}, "an address that is protected by now")
        tap.equal(reach(lab, CONSOLE), [], "has none of it")
        daemon.reload(config)
        daemon.stop()
        lab.run("gateway", "nft", "delete table inet spefw")
        rewrite(daemon, left_ms=HOUR * 1000, boot="another-boot")
        daemon.start()
        tap.ok(opens(*CONSOLE[0]) and opens(*CONSOLE[1]), "a reboot, and it goes on")
        [left] = {one["left_s"] for one in daemon.call("Grants")["grants"]}
        tap.ok(0 < left <= HOUR, "for no longer than it was given", left)
        daemon.ctl("clear", "--yes")
        tap.equal(granted(daemon), [], "clear ends all")
        daemon.reload()
        tap.equal(reach(lab, CONSOLE), [], "also when the table is there again")
        grant(daemon, "console-in", CLIENT)
        daemon.stop()
        tap.equal(daemon.run("spefwd", "--clear", "-d", daemon.state).returncode, 0, "cleared without a daemon")
        daemon.start()
        tap.equal(granted(daemon), [], "that ends all, too")


def changed(tap):
    """The same again prolongs or shortens it: in the kernel, too."""
    def timeout():
        elements = [one["set"]["elem"] for one in daemon.table() if one.get("set", {}).get("name") ==
                    "grant_console-in_4"]
        return elements[0][0]["elem"]["expires"]

    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        grant(daemon, "console-in", CLIENT[4], 600)
        tap.ok(590 <= timeout() <= 601, "the kernel's own end", timeout())
        [reply] = grant(daemon, "console-in", CLIENT[4], 7200)
        tap.ok(590 <= reply["before_s"] <= 600 and reply["grant"]["left_s"] == 7200, "prolonged", reply)
        tap.ok(7190 <= timeout() <= 7201, "the kernel has that", timeout())
        said = daemon.ctl("grant", "console-in", CLIENT[4], "--for", "2m").stdout
        tap.ok(said.startswith("shortened: console-in from %s for 2m" % CLIENT[4]) and "1h 59m" in said, "shortened",
               said)
        tap.ok(110 <= timeout() <= 121, "the kernel has that", timeout())
        tap.equal(len(granted(daemon)), 1, "it is one all the time")


def refused(tap):
    """What can't be granted, and in which words."""
    cases = (
        ("console-in", CLIENT[4], 59, "GrantRefused: a grant is for 1m to 30d"),
        ("console-in", CLIENT[4], 30 * 24 * HOUR + 1, "GrantRefused: a grant is for 1m to 30d"),
        ("api-in", CLIENT[4], HOUR, "GrantRefused: flow api-in is off (disabled): a grant adds to a flow that is on"),
        ("between", CLIENT[4], HOUR,
         "GrantRefused: both sides of flow between are protected: a grant adds to one that is not"),
        ("console-in", SERVER[4], HOUR,
         "GrantRefused: %s is protected: only addresses that are not can be granted something" % SERVER[4]),
        ("console-in", ADDRESS[4]["admin"], HOUR,
         "GrantRefused: %s is in flow console-in already: there is nothing to grant" % ADDRESS[4]["admin"]),
        ("imap-in", CLIENT[6], HOUR,
         "GrantRefused: %s is in flow imap-in already: there is nothing to grant" % CLIENT[6]),
        ("console-in", "203.0.113.0/24", HOUR, "GrantRefused: 203.0.113.0/24 is a network: a grant is for one address"),
        ("console-in", "203.0.113.1-203.0.113.9", HOUR,
         "GrantRefused: 203.0.113.1-203.0.113.9 is a network: a grant is for one address"),
        ("console-in", "admin.example.net", HOUR,
         "GrantRefused: admin.example.net is no address: a grant is for one, and for no name"),
        ("console-in", "::ffff:198.51.100.7", HOUR, "GrantRefused: write 198.51.100.7"),
        ("console-in", "127.0.0.1", HOUR, "GrantRefused: 127.0.0.1 is loopback: no machine sends from it, or is "
         "reached at it, through this gateway"),
        ("console", CLIENT[4], HOUR, "FlowUnknown: "),
    )
    between = "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n" \
              "[flow between]\nfrom = IH\nto = SERVER\nprotocol = tcp\nport = 8471\n"
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=FLOWS + between))
        for flow, address, seconds, words in cases:
            tap.equal(refusal(daemon, flow, address, seconds), words, "%s %s %d" % (flow, address, seconds))
        tap.equal(granted(daemon), [], "nothing of that was granted")
        for words, code, text in (
                (("grant", "consol-in", CLIENT[4], "--for", "2h"), 1, "did you mean console-in?"),
                (("grant", "console-in", CLIENT[4]), 2, "for how long? add --for"),
                (("grant", "console-in", "--for", "2h"), 2, "grant needs a flow and an address"),
                (("grant", "console-in", CLIENT[4], "--for", "2"), 2, "--for 2 is not a duration"),
                (("grant", "console-in", CLIENT[4], "--for", "40d"), 1, "a grant is for 1m to 30d"),
                (("revoke", "console-in", CLIENT[4]), 1, "has no grant of"),
                (("revoke", "console-in"), 2, "revoke needs the flow and the address")):
            done = daemon.ctl(*words, check=False)
            tap.ok(done.returncode == code and text in done.stderr, "spefwctl " + " ".join(words),
                   (done.returncode, done.stderr))
        if has_second_user():
            os.chmod(daemon.dir, 0o755)
            os.chmod(daemon.socket, 0o666)
            for words in (("grant", "console-in", CLIENT[4], "--for", "2h"), ("revoke", "console-in", CLIENT[4])):
                done = lab.run("gateway", program("spefwctl"), "-s", daemon.socket, *words, check=False, uid=12345,
                               gid=12345)
                tap.ok(done.returncode == 4 and "permission denied: sudo spefwctl" in done.stderr,
                       words[0] + " is for root", (done.returncode, done.stderr))
            tap.equal(granted(daemon), [], "nothing was granted to anybody")
        daemon.ctl("clear", "--yes")
        tap.equal(refusal(daemon, "console-in", CLIENT[4]), "Failed: the table was removed, and nothing is guarded: "
                  "spefwctl reload first", "after a clear")


def shown(tap):
    """In drops and explain as what would help; then in flows, status, metrics, watch."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        Scene(lab)
        command = "spefwctl grant console-in %s --for 2h" % CLIENT[4]
        tap.equal(reach(lab, CONSOLE[:1]), [], "a denial")
        wait_for(lambda: daemon.call("Drops")["rows"], "it is seen")
        text = text_of(daemon, "drops")
        tap.ok("or for a while:" in text and command in text, "drops proposes a grant", text)
        text = text_of(daemon, "explain", CLIENT[4], "server:8470")
        tap.ok(command in text, "explain does", text)
        text = text_of(daemon, "explain", CLIENT[4], "server:9999")
        tap.ok("spefwctl grant" not in text, "but not where no flow is near", text)
        with open_socket(daemon.socket) as watch:
            watch.sendall(b'{"method":"org.spefw.Gateway.Watch","more":true}\0')
            events = watch.makefile("rb")
            tap.equal(run_line(daemon, command), 0, "the command that they propose works")
            daemon.ctl("grant", "console-in", CLIENT[4], "--for", "90m")
            daemon.ctl("revoke", "console-in", CLIENT[4])
            seen = []
            while [one for one, _ in seen].count("revoked") == 0:
                event = json.loads(read_message(events))["parameters"]["event"]
                if event["kind"] == "grant":
                    seen.append((event["change"], event.get("by")))
            tap.equal(seen, [(word, "root (uid 0)") for word in ("given", "shortened", "revoked")], "watch has it all")
        daemon.ctl("grant", "console-in", CLIENT[4], "--for", "2h")
        status = daemon.status()
        tap.equal([(one["flow"], one["address"], one["by"], one["state"]) for one in status["grants"]],
                  [("console-in", CLIENT[4], "root (uid 0)", "in-effect")], "status has it")
        tap.equal([one["granted"] for one in status["flows"] if one["id"] == "console-in"], [[CLIENT[4]]],
                  "its flow has it")
        text = text_of(daemon, "status")
        tap.ok("console-in from %s, " % CLIENT[4] in text and "left, by root (uid 0)" in text, "and the screen", text)
        for words in (("flows",), ("flows", "console-in"), ("grants",)):
            text = text_of(daemon, *words)
            tap.ok(CLIENT[4] in text, " ".join(words), text)
        text = daemon.ctl("metrics").stdout
        tap.ok("spefw_grants 1\n" in text and 'spefw_flow_granted{flow="console-in"} 1\n' in text, "metrics", text)
        text = text_of(daemon, "explain", CLIENT[4], "server:8470")
        tap.ok(text.startswith("ALLOWED by spefw (console-in)"), "explain: allowed", text)
        daemon.reload(lab.config(flows=FLOWS, gateway="mode = audit").replace("mode = enforce\n", ""))
        tap.equal(len(granted(daemon)), 1, "in audit mode it is there as well")


def read_message(stream):
    """Of a Varlink reply, to its NUL."""
    message = b""
    while not message.endswith(b"\0"):
        piece = stream.read(1)
        if not piece:
            raise ConnectionError("the daemon closed the connection")
        message += piece
    return message[:-1].decode()


def run_line(daemon, line):
    """As an administrator would paste it."""
    words = line.split()
    return daemon.ctl(*words[1:], check=False).returncode


if __name__ == "__main__":
    main(*with_all_and_none(given_and_revoked, ends_by_itself, ends_without_a_daemon), survives, changed, refused,
         shown)
