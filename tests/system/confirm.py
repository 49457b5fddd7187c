#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A reload that waits for confirm is confirmed or undone in time, whatever happens meanwhile; the history, going back,
and what was taken back at a start.

SPEFW_KILLS=N: so many kills (50). SPEFW_SEED=N: the moments of another run again."""
import fcntl
import json
import os
import pty
import random
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, Daemon, Lab, VarlinkError, main, namespaces, wait_for  # noqa: E402
from lab.checks import content, differences, with_all_and_none  # noqa: E402
from lab.daemon import TOP, open_socket, program  # noqa: E402
from lab.services import Probe  # noqa: E402
from lab.varlink import Interface  # noqa: E402

KILLS = int(os.environ.get("SPEFW_KILLS") or 50)
SEED = int(os.environ.get("SPEFW_SEED") or time.time())
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Two ports that change places: 993 is open before, 8470 to the client after.
OPEN, OPENED = 993, 8470


class Scene:
    """Two policies of which each allows what the other one denies."""

    def __init__(self, lab, start=True):
        self.lab = lab
        self.before = lab.config()
        self.after = lab.config(adm="203.0.113.0/24 2001:db8:3::/64 198.51.100.200 %s %s" % (
            ADDRESS[4]["client"], ADDRESS[6]["client"]), flows="[flow imaps-in]\nenabled = no\n")
        lab.serve("server", tcp=[443, OPEN, OPENED])
        self.daemon = lab.spefwd(self.before) if start else None

    def _policy(self, server):
        probes = {port: Probe("client", server, port) for port in (OPEN, OPENED)}

        def decided():
            for probe in probes.values():
                probe.step()
            return [probe for probe in probes.values() if probe.result is not None]
        wait_for(decided, "one of the two ports is open")
        # The same way: what has not come before it is not under way.
        self.lab.connect("client", server, 443).close()
        decided()
        for probe in probes.values():
            probe.close()
        return {(True, False): "before", (False, True): "after"}.get((probes[OPEN].open, probes[OPENED].open), "mixed")

    def policy(self):
        """Which one is in force, by packets of both families; "mixed" where they are of neither."""
        found = {self._policy(ADDRESS[family]["server"]) for family in FAMILIES}
        return found.pop() if len(found) == 1 else "mixed"

    def reload(self, text, **parameters):
        self.daemon.write(text)
        return self.daemon.call("Reload", parameters)

    def waiting(self):
        return self.daemon.status()["config"].get("waiting")

    def settled(self, what):
        """Nothing waits any more."""
        return self.daemon.wait_status(lambda status: "waiting" not in status["config"], what)


def error_of(daemon, method, **parameters):
    try:
        daemon.call(method, parameters)
    except VarlinkError as failed:
        return failed.error.rsplit(".", 1)[1]
    return None


def newest(daemon):
    return daemon.call("History")["entries"][0]


class Watcher:
    """The events that Watch() gives."""

    def __init__(self, daemon):
        self.events = []
        self._socket = open_socket(daemon.socket)
        self._socket.sendall(b'{"method":"org.spefw.Gateway.Watch","more":true}\0')
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_for(lambda: self.events, "watching begins")

    def _read(self):
        buffer = b""
        try:
            while True:
                piece = self._socket.recv(65536)
                if not piece:
                    return
                buffer += piece
                while b"\0" in buffer:
                    message, buffer = buffer.split(b"\0", 1)
                    self.events.append(json.loads(message.decode())["parameters"]["event"])
        except OSError:
            pass

    def of(self, kind):
        return [event for event in self.events if event["kind"] == kind]

    def close(self):
        self._socket.close()


def undone(tap):
    """Not confirmed in time: what the new policy allowed is denied after, its connections are cut, and vice versa."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon, server = scene.daemon, ADDRESS[4]["server"]
        watcher = Watcher(daemon)
        tap.equal(scene.policy(), "before", "the first policy is in force")
        old = content(daemon.table())
        reply = scene.reload(scene.after, confirm_s=3)
        tap.equal((reply["changed"], reply["confirm_s"]), (True, 3), "the reply tells until when")
        tap.equal(scene.policy(), "after", "the new one is in force meanwhile")
        session = lab.connect("client", server, OPENED)
        tap.ok(session.echo(), "and a connection of it lives")
        waiting = scene.waiting()
        tap.ok(waiting and 0 < waiting["left_s"] <= 3 and waiting["by"].startswith("root"), "status counts down",
               waiting)
        tap.ok("is undone in" in daemon.ctl("status", check=False).stdout, "also in words")
        status = scene.settled("it is undone")
        tap.equal(scene.policy(), "before", "the first one is in force again")
        tap.equal(differences(old, content(daemon.table())), "", "and the table is as it was")
        session.socket.settimeout(5)
        try:
            alive = session.echo()
        except OSError:
            alive = False
        tap.ok(not alive, "the connection of the policy that was undone is cut")
        tap.ok("config-taken-back" in daemon.reason_codes(status) and not status["config"]["matches_disk"],
               "health names the file", status["reasons"])
        wait_for(lambda: watcher.of("undo"), "those who watch are told")
        tap.ok(watcher.of("undo")[0]["by"].startswith("root") and watcher.of("reload")[0]["confirm_s"] == 3,
               "who had asked for it, too", watcher.events)
        watcher.close()
        tap.ok("undo of the change by root (uid 0): an earlier " in daemon.log(), "so does the journal")
        entries = daemon.call("History")["entries"]
        tap.equal([(one["how"], one.get("taken_back")) for one in entries],
                  [("undo", None), ("reload", "undone"), ("start", None)], "and the history")
        tap.equal(error_of(daemon, "Confirm"), "NothingToConfirm", "confirm comes too late")
        done = daemon.ctl("confirm", check=False)
        tap.ok(done.returncode == 1 and "nothing waits for confirm" in done.stderr, "in words", done.stderr)


def confirmed(tap):
    """Confirmed in time, it stays; also where the client that asked for it was killed."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        began = time.monotonic()
        scene.reload(scene.after, confirm_s=2)
        generation = daemon.call("Confirm")["generation"]
        tap.ok(scene.waiting() is None, "nothing waits any more")
        wait_for(lambda: time.monotonic() > began + 2.5, "its time is over")
        tap.equal((scene.policy(), daemon.status()["generation"]), ("after", generation), "it stays in force")
        daemon.kill()
        daemon.start()
        tap.equal(scene.policy(), "after", "also over kill -9")
        tap.ok(daemon.status()["config"]["matches_disk"], "as on disk")
        reply = daemon.call("Reload", {"confirm_s": 1})
        tap.ok(not reply["changed"] and "confirm_s" not in reply and scene.waiting() is None,
               "where nothing changes there is nothing to confirm", reply)

        daemon.write(scene.before)
        process = lab.start("gateway", os.path.join(daemon.programs, "spefwctl"), "-s", daemon.socket, "reload",
                            "--confirm=2s")
        wait_for(lambda: newest(daemon)["waits"], "it is in force")
        process.kill()
        process.wait()
        scene.settled("it is undone, though who asked for it is dead")
        tap.equal(scene.policy(), "after", "the one before is in force")


def second_change(tap):
    """One at a time: another change is refused meanwhile, and clear drops what waits."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        scene.reload(scene.after, confirm_s=600)
        daemon.write(scene.before)
        for method in ("Reload", "Rollback"):
            tap.equal(error_of(daemon, method), "ConfirmPending", method + " is refused meanwhile")
        done = daemon.ctl("reload", check=False)
        tap.ok(done.returncode == 1 and "spefwctl confirm, or wait " in done.stderr, "it says what to do", done.stderr)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reload by signal: refused, the change by root (uid 0) waits for confirm" in daemon.log(),
                 "a signal is refused in the journal")
        tap.equal(scene.policy(), "after", "nothing of that has changed anything")
        tap.equal(error_of(daemon, "Reload", confirm_s=0), "InvalidParameter", "0 seconds are none")
        daemon.write(scene.after)
        done = daemon.ctl("clear", "--yes")
        tap.ok("counts as undone" in done.stdout and scene.waiting() is None, "clear drops what waits", done.stdout)
        daemon.stop()
        daemon.start()
        tap.equal(scene.policy(), "before", "a start does not take it")
        daemon.call("Clear")
        tap.equal(error_of(daemon, "Reload", confirm_s=5), "Failed", "after clear there is nothing to go back to")
        daemon.call("Reload")
        tap.equal(scene.policy(), "after", "but reload takes it")


def restarts(tap):
    """While it waits, and after its time: the deadline stays, and what was undone is not taken at a start."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        scene.reload(scene.after, confirm_s=600)
        daemon.kill()
        daemon.start()
        left = scene.waiting()["left_s"]
        tap.ok(580 < left <= 600 and scene.policy() == "after", "killed and started: it waits as before", left)
        daemon.stop()
        daemon.start()
        daemon.call("Confirm")
        tap.equal(scene.policy(), "after", "stopped and started: it can be confirmed")

        scene.reload(scene.before, confirm_s=2)
        daemon.kill()
        daemon.start()
        scene.settled("its deadline stayed, it is undone")
        tap.equal(scene.policy(), "after", "the policy before is in force")

        began = time.monotonic()
        scene.reload(scene.before, confirm_s=1)
        daemon.kill()
        wait_for(lambda: time.monotonic() > began + 1.2, "its time is over")
        tap.equal(scene.policy(), "before", "nobody is there to undo it")
        daemon.start()
        tap.equal((scene.policy(), scene.waiting()), ("after", None), "a start after its time undoes it at once")
        tap.ok("the change by root (uid 0) is undone: it was not confirmed in time" in daemon.log(), "and logs that")
        tap.equal((newest(daemon)["how"], newest(daemon)["by"]), ("undo", "root (uid 0)"), "it is in the history")
        for _ in range(2):
            daemon.stop()
            daemon.start()
            status = daemon.status()
            tap.ok(scene.policy() == "after" and not status["config"]["matches_disk"] and
                   "config-taken-back" in daemon.reason_codes(status), "a start on the file that was undone uses the "
                   "kept policy, and says so", status["reasons"])
        daemon.write(scene.before + "; another file\n")
        tap.ok("config-changed" in daemon.reason_codes() or "config-kept" in daemon.reason_codes(),
               "another file is another matter")
        daemon.stop()
        daemon.start()
        tap.equal(scene.policy(), "before", "a start takes that")
        daemon.write(scene.before)
        daemon.call("Reload")
        daemon.stop()
        daemon.start()
        tap.ok(daemon.status()["config"]["matches_disk"], "what a reload has taken again, a start takes, too")


def checksum(text):
    """As daemon/core/hash.h has it."""
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001b3 % (1 << 64)
    return "%016x" % value


def moved(path, seconds):
    """The file of what waits, as if it had been written so many seconds earlier by the wall clock."""
    with open(path, encoding="ascii") as file:
        lines = file.read().split("\n")
    words = lines[1].split(" ")
    words[5] = str(int(words[5]) - seconds)
    text = "\n".join([lines[0], " ".join(words)] + lines[2:4]) + "\n"
    with open(path, "w", encoding="ascii") as file:
        file.write(text + "end %s\n" % checksum(text))


def reboots(tap):
    """Another boot, with an empty kernel: by the wall clock, and where that can't be right it is over."""
    for number, (title, seconds, expected) in enumerate((("in time", 0, "after"), ("too late", 601, "before"),
                                                         ("the clock was set back", -3600, "before"))):
        with Lab(tap) as lab:
            scene = Scene(lab)
            daemon = scene.daemon
            scene.reload(scene.after, confirm_s=600)
            daemon.kill()
            lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
            moved(os.path.join(daemon.state, "waiting"), seconds)
            other = os.path.join(lab.dir, "boot_id")
            with open(other, "w", encoding="ascii") as file:
                file.write("00000000-1111-2222-3333-%012d\n" % number)
            namespaces.mount(other, BOOT_ID, None, namespaces.MS_BIND)
            try:
                daemon.start()
                waiting = scene.waiting()
                tap.equal((scene.policy(), bool(waiting)), (expected, expected == "after"), "a reboot, " + title)
                if waiting:
                    tap.ok(500 < waiting["left_s"] <= 600, "it has the rest of its time", waiting)
                    moved(os.path.join(daemon.state, "waiting"), 7200)
                    daemon.kill()
                    daemon.start()
                    tap.ok(scene.waiting(), "and goes by the clock of this boot from then on")
                else:
                    tap.equal(newest(daemon)["how"], "undo", "the history has it")
            finally:
                daemon.stop()
                namespaces.umount(BOOT_ID)


class Race:
    """Kills at random moments between a reload --confirm=1s and its end."""

    def __init__(self, tap, scene, chance):
        self.tap, self.scene, self.chance = tap, scene, chance
        self.texts = {"before": scene.before, "after": scene.after}
        self.now = "before"
        self.contents = {"before": content(scene.daemon.table())}
        scene.reload(scene.after)
        self.contents["after"] = content(scene.daemon.table())
        scene.reload(scene.before)

    def send(self, method, parameters=None):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(30)
        try:
            sock.connect(self.scene.daemon.socket)
            call = {"method": "org.spefw.Gateway." + method, "parameters": parameters or {}}
            sock.sendall(json.dumps(call).encode() + b"\0")
        except OSError:
            pass
        return sock

    @staticmethod
    def answered(sock):
        """What came of it: the reply, or None."""
        reply = b""
        try:
            while not reply.endswith(b"\0"):
                piece = sock.recv(65536)
                if not piece:
                    return None
                reply += piece
        except OSError:
            return None
        finally:
            sock.close()
        return json.loads(reply[:-1].decode())

    def turn(self, number):
        """None, or what is wrong."""
        daemon, chance = self.scene.daemon, self.chance
        wanted = "after" if self.now == "before" else "before"
        daemon.write(self.texts[wanted] + "; %d\n" % number)
        confirms, began = chance.random() < 0.5, time.monotonic()
        # Most of what is to be interrupted happens within the first milliseconds, and when its time is over.
        kill_at = began + (chance.uniform(0, 0.06) if number % 2 else chance.uniform(0.06, 1.1))
        confirm_at = began + chance.uniform(0.01, 1.1) if confirms else None
        reload_socket, confirm_socket = self.send("Reload", {"confirm_s": 1}), None
        if confirms and confirm_at < kill_at:
            time.sleep(max(0, confirm_at - time.monotonic()))
            confirm_socket = self.send("Confirm")
        time.sleep(max(0, kill_at - time.monotonic()))
        daemon.kill()
        reply = self.answered(reload_socket)
        confirm = self.answered(confirm_socket) if confirm_socket else None
        begun = reply is not None or os.path.exists(os.path.join(daemon.state, "waiting"))
        applied = not differences(self.contents[wanted], content(daemon.table()))
        daemon.start()
        self.scene.settled("nothing waits in the end")
        took = time.monotonic() - began
        policy = self.scene.policy()
        is_confirmed = confirm is not None and "error" not in confirm
        # Who confirmed and got no answer does not know. Where the reload was not even begun, the start took a new file.
        unknown = (confirm_socket is not None and confirm is None) or not (begun or applied)
        expected = {wanted} if is_confirmed else {self.now, wanted} if unknown else {self.now}
        problem = None
        if applied and not begun and not unknown:
            problem = "the kernel had what is not on disk"
        elif policy not in expected:
            problem = "%s in force, not %s" % (policy, expected)
        elif differences(self.contents[policy], content(daemon.table())):
            problem = differences(self.contents[policy], content(daemon.table()))
        elif daemon.status()["config"]["matches_disk"] != (policy == wanted):
            problem = "matches_disk is wrong"
        if problem:
            problem = "%d: killed after %.4f s, confirm %s: %s (%.2f s)" % (
                number, kill_at - began, confirm or unknown, problem, took)
        self.now = policy if policy in self.texts else self.now
        return problem


def kills(tap):
    """kill -9 at random moments: always confirmed, or undone in time."""
    tap.note("SPEFW_SEED=%d" % SEED)
    with Lab(tap) as lab:
        race = Race(tap, Scene(lab), random.Random(SEED))
        problems = [problem for problem in map(race.turn, range(KILLS)) if problem]
        tap.equal(problems, [], "%d kills: confirmed, or undone in time" % KILLS)


def full_disk(tap):
    """A state directory without room: it guards, says so, and refuses what it could not undo."""
    with Lab(tap) as lab:
        scene = Scene(lab, start=False)
        daemon = scene.daemon = Daemon(lab, scene.before)
        lab.log_on_failure(tap, daemon)
        namespaces.mount("state", daemon.state, "tmpfs", 0, "size=256k")
        daemon.start()
        filler = os.path.join(daemon.state, "filler")

        def fill():
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass
        fill()
        daemon.write(scene.after)
        tap.equal(error_of(daemon, "Reload", confirm_s=5), "Failed", "what could not be undone is refused")
        done = daemon.ctl("reload", "--confirm", check=False)
        tap.ok("free disk space there" in done.stderr, "it says what to do", done.stderr)
        tap.equal(scene.policy(), "before", "nothing has changed")
        tap.ok(daemon.call("Reload")["changed"] and scene.policy() == "after", "a reload works")
        wait_for(lambda: "config-unsaved" in daemon.reason_codes(), "health names the disk")
        tap.equal(newest(daemon)["kept"], False, "the history knows that it is not kept")
        tap.equal(error_of(daemon, "Config"), "Failed", "so it can't be shown")
        os.unlink(filler)
        daemon.call("Reload")
        tap.ok("config-unsaved" not in daemon.reason_codes() and newest(daemon)["kept"],
               "with room again the next reload keeps it")
        scene.reload(scene.before, confirm_s=600)
        fill()
        daemon.call("Confirm")
        daemon.kill()
        daemon.start()
        tap.equal((scene.policy(), scene.waiting()), ("before", None), "confirm needs no room")
        os.unlink(filler)


def going_back(tap):
    """rollback, history and config, with a file of members."""
    with open(os.path.join(TOP, "include", "spefw", "org.spefw.Gateway.varlink"), encoding="utf-8") as file:
        interface = Interface(file.read())

    def judged(daemon, method, **parameters):
        reply = daemon.call(method, parameters)
        tap.equal(interface.complaints(interface.methods[method][1], reply), [], "%s replies as described" % method)
        return reply

    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        tap.equal(error_of(daemon, "Rollback"), "HistoryUnknown", "there is nothing to go back to yet")
        members = os.path.join(daemon.dir, "admins.txt")
        with open(members, "w", encoding="ascii") as file:
            file.write("# clients\n%s\n%s\n" % (ADDRESS[4]["client"], ADDRESS[6]["client"]))
        by_file = lab.config(adm="file:admins.txt", flows="[flow imaps-in]\nenabled = no\n")
        scene.reload(by_file)
        tap.equal(scene.policy(), "after", "a policy by a file")
        os.unlink(members)
        scene.reload(scene.before)
        judged(daemon, "Rollback")
        tap.equal(scene.policy(), "after", "rollback brings the file's members back, though it is gone")
        status = daemon.status()
        tap.ok(not status["config"]["matches_disk"] and "config-taken-back" in daemon.reason_codes(status),
               "status says that the file on disk differs", status["reasons"])
        judged(daemon, "Config")
        target = os.path.join(daemon.dir, "back")
        done = daemon.ctl("config", "--files", target)
        tap.equal(sorted(os.listdir(target)), ["admins.txt", "spefw.ini"], "config --files writes both")
        tap.equal(daemon.ctl("config", "--files", target, check=False).returncode, 1, "and never over a file")
        tap.equal(daemon.run("spefwctl", "check", os.path.join(target, "spefw.ini")).returncode, 0, "that is good")
        daemon.write(daemon.ctl("config").stdout)
        shutil.copy(os.path.join(target, "admins.txt"), members)
        tap.ok(daemon.status()["config"]["matches_disk"], "config >FILE brings it back", done.stdout)
        tap.equal(daemon.ctl("config").stdout, by_file, "byte by byte")

        reply = judged(daemon, "Rollback", number=1, confirm_s=2)
        tap.ok(reply["confirm_s"] == 2 and scene.policy() == "before", "a rollback may wait for confirm", reply)
        scene.settled("it is undone")
        tap.equal(scene.policy(), "after", "the one before is in force")
        for one in judged(daemon, "History")["entries"]:
            tap.note(json.dumps(one))
        tap.equal([one["how"] for one in daemon.call("History")["entries"]],
                  ["undo", "rollback", "rollback", "reload", "reload", "start"], "the history has all of that")
        tap.equal(error_of(daemon, "Rollback", number=20), "HistoryUnknown", "so far it does not go back")
        tap.ok("rollback, undone: " in daemon.ctl("history").stdout, "in words", daemon.ctl("history").stdout)

        for number in range(25):
            scene.reload(scene.before + "; %d\n" % number)
        entries = daemon.call("History")["entries"]
        tap.ok(len(entries) == 20 and entries[0]["kept"] and entries[19]["kept"], "20 are kept", len(entries))
        copies = [name for name in os.listdir(daemon.state) if name.startswith("configuration-")]
        tap.equal(len(copies), 20, "and no more files than that")
        daemon.kill()
        daemon.start()
        again = daemon.call("History")["entries"]
        tap.equal([one["generation"] for one in again], [one["generation"] for one in entries], "also over kill -9")
        daemon.ctl("rollback", "5")
        tap.ok(daemon.ctl("config").stdout.endswith("; 19\n"), "rollback 5 is five before")
        daemon.stop()
        for words in (["history"], ["config"], ["rollback"], ["confirm"]):
            done = daemon.ctl(*words, check=False)
            tap.ok(done.returncode == 3 and "systemctl start spefwd" in done.stderr,
                   "without a daemon, %s: exit 3" % words[0], done.stderr)


def large(tap):
    """100,000 members, and text that is no UTF-8: whole, and byte by byte."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        members = os.path.join(daemon.dir, "many.txt")
        with open(members, "wb") as file:
            file.write(b"# na\xefve\n")
            for number in range(100000):
                file.write(b"10.%d.%d.%d\n" % (number >> 15, number >> 7 & 255, (number & 127) * 2))
        scene.reload(lab.config(adm="file:many.txt"))
        target = os.path.join(daemon.dir, "back")
        daemon.ctl("config", "--files", target)
        with open(members, "rb") as one, open(os.path.join(target, "many.txt"), "rb") as other:
            tap.ok(one.read() == other.read(), "a large file comes back byte by byte")
        whole = json.loads(daemon.ctl("config", "--json").stdout)
        tap.equal([os.path.basename(one["path"]) for one in whole["files"]], ["spefw.ini", "many.txt"], "also as JSON")
        slow = open_socket(daemon.socket)
        slow.sendall(b'{"method":"org.spefw.Gateway.Config","more":true}\0')
        slow.recv(100)
        scene.reload(scene.before)
        tap.equal(daemon.ctl("config").stdout, scene.before, "who reads slowly delays nobody")
        reply = b""
        while reply.count(b"\0") < 2 or b'"last":true' not in reply:
            reply += slow.recv(1 << 20)
        tap.ok(b"file:many.txt" in reply, "and gets what was in force when it asked")
        slow.close()


class Terminal:
    """spefwctl edit on a terminal, with a program for an editor that puts texts into the copy, one after the other."""

    def __init__(self, lab, daemon, *texts, editor=None, words=("--confirm=2s",)):
        self.directory = os.path.join(lab.dir, "editor-%d" % time.monotonic_ns())
        os.mkdir(self.directory)
        for number, text in enumerate(texts):
            with open(os.path.join(self.directory, str(number)), "w", encoding="ascii") as file:
                file.write(text)
        script = os.path.join(self.directory, "editor")
        with open(script, "w", encoding="ascii") as file:
            # As some editors do, it makes a new file.
            file.write("#!/bin/sh\nset -e\ncd %s\nn=$(cat n 2>/dev/null || echo 0)\necho $((n + 1)) >n\n"
                       "rm \"$2\"\ncat $n >\"$2\"\n" % self.directory)
        self.master, slave = pty.openpty()
        env = dict(os.environ, EDITOR=editor or "sh %s --flag" % script, LC_ALL="C", NO_COLOR="1")
        for name in ("SUDO_EDITOR", "VISUAL"):
            env.pop(name, None)
        join = namespaces.joiner("gateway")

        def prepare():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            join()
        self.process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
            [program("spefwctl"), "-s", daemon.socket, "edit", "-c", daemon.config] + list(words), stdin=slave,
            stdout=slave, stderr=slave, env=env, preexec_fn=prepare)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.text = ""
        lab.at_close(self.end)

    def _read(self):
        try:
            self.text += os.read(self.master, 65536).decode("utf-8", "replace").replace("\r", "")
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def expect(self, text):
        """What was printed up to there, that text with it."""
        def there():
            self._read()
            return text in self.text
        try:
            wait_for(there, "the terminal shows " + text)
        except TimeoutError as error:
            raise TimeoutError("%s\n%s" % (error, self.text)) from None
        shown, _, self.text = self.text.partition(text)
        return shown + text

    def say(self, line):
        os.write(self.master, line.encode() + b"\n")

    def end(self):
        """The exit status, and what else was printed."""
        if self.process.poll() is None:
            wait_for(lambda: self._read() is None or self.process.poll() is not None, "edit ends")
        for _ in range(10):
            self._read()
        return self.process.returncode, self.text

    def hang_up(self):
        os.close(self.master)
        self.process.wait(60)
        return self.process.returncode


def editing(tap):
    """edit: an editor, check, diff, a question, and the reload that waits for the answer."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        os.chmod(daemon.config, 0o640)
        with open(os.path.join(daemon.dir, "clients.txt"), "w", encoding="ascii") as file:
            file.write("%s\n%s\n" % (ADDRESS[4]["client"], ADDRESS[6]["client"]))
        by_file = scene.after.replace(ADDRESS[4]["client"], "file:clients.txt").replace(ADDRESS[6]["client"], "")

        def on_disk():
            with open(daemon.config, encoding="ascii") as file:
                return file.read()

        def copies():
            return [name for name in os.listdir(daemon.dir) if name.startswith(".spefwctl-")]

        generation = daemon.status()["generation"]
        terminal = Terminal(lab, daemon, scene.before)
        tap.equal(terminal.end(), (0, "nothing was changed\n"), "what is as it was is not loaded")
        tap.equal(daemon.status()["generation"], generation, "and nothing was")

        terminal = Terminal(lab, daemon, "[server]\n", by_file, words=("--confirm=600s",))
        shown = terminal.expect("What now? (e)dit again, (q)uit without a change: ")
        tap.ok(daemon.config + ":1: section [server] has no address" in shown, "errors are those of check", shown)
        second = Terminal(lab, daemon, scene.after)
        status, text = second.end()
        tap.ok(status == 1 and "somebody else edits" in text, "there is one at a time", text)
        terminal.say("e")
        shown = terminal.expect("Apply it? (y)es, (e)dit again, (q)uit without a change: ")
        tap.ok("good, " in shown and "imaps-in" in shown, "files that it names are found, and the difference is shown",
               shown)
        tap.equal((on_disk(), scene.policy()), (scene.before, "before"), "nothing is in place until then")
        terminal.say("y")
        terminal.expect("else it is undone: ")
        tap.equal((scene.policy(), on_disk()), ("after", by_file), "then it is in place, and in force")
        terminal.say("yes")
        status, text = terminal.end()
        tap.ok(status == 0 and text.endswith("it stays in force\n") and scene.waiting() is None, "yes keeps it", text)
        tap.equal(("%o" % (os.stat(daemon.config).st_mode & 0o7777), copies()), ("640", []),
                  "its mode is as it was, and nothing is left behind")

        terminal = Terminal(lab, daemon, scene.before)
        terminal.expect("Apply it?")
        terminal.say("y")
        terminal.expect("else it is undone: ")
        terminal.say("no")
        status, text = terminal.end()
        tap.ok(status == 1 and "spefwd undoes it in " in text and "is as it was before" in text, "no", text)
        scene.settled("it is undone")
        tap.equal((scene.policy(), on_disk(), daemon.status()["config"]["matches_disk"]), ("after", by_file, True),
                  "no: policy and file are as before")
        [copy] = copies()
        with open(os.path.join(daemon.dir, copy), encoding="ascii") as file:
            tap.equal(file.read(), scene.before, "what was written is kept")
        os.unlink(os.path.join(daemon.dir, copy))

        for title, leave in (("silence", lambda one: one.end()[0]), ("the terminal is gone", Terminal.hang_up)):
            terminal = Terminal(lab, daemon, scene.before)
            terminal.expect("Apply it?")
            terminal.say("y")
            terminal.expect("else it is undone: ")
            tap.equal(leave(terminal), 1, title + ": it fails")
            scene.settled("it is undone")
            tap.equal((scene.policy(), on_disk()), ("after", by_file), title + ": policy and file are as before")
            os.unlink(os.path.join(daemon.dir, copies()[0]))

        terminal = Terminal(lab, daemon, scene.before)
        terminal.expect("Apply it?")
        terminal.say("y")
        terminal.expect("else it is undone: ")
        terminal.process.kill()
        terminal.process.wait()
        status = scene.settled("it is undone")
        tap.equal((scene.policy(), status["config"]["matches_disk"]), ("after", False),
                  "killed: the daemon undoes it, and says that the file is another one")
        daemon.write(by_file)

        for words, editor, question in (((scene.before,), None, "Apply it?"), ((), "false", "What now?")):
            terminal = Terminal(lab, daemon, *words, editor=editor)
            terminal.expect(question)
            terminal.say("q")
            status, text = terminal.end()
            tap.ok(status == 1 and text.endswith("nothing was changed\n"), question + " quit", (status, text))
        tap.equal((scene.policy(), on_disk()), ("after", by_file), "and nothing was")
        terminal = Terminal(lab, daemon, scene.before)
        terminal.expect("Apply it?")
        daemon.write(by_file + "; another's\n")
        terminal.say("y")
        status, text = terminal.end()
        tap.ok(status == 1 and "was changed by somebody else meanwhile" in text
               and on_disk().endswith("another's\n"),
               "what somebody else has changed meanwhile is not overwritten", text)


if __name__ == "__main__":
    main(*with_all_and_none(undone), confirmed, second_change, restarts, reboots, kills, full_disk, going_back, large,
         editing)
