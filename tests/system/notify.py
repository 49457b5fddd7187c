#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""notify: spefwd writes how health is, and spefw-notify runs root's program once for each change. The units that stand
between the two are tried by tests/system/packages."""
import os
import socket
import sys
import threading
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, Lab, main, vendor, wait_for  # noqa: E402
from lab.daemon import TOP  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
# Each run is a line of what it was told; it ends with what the file `status` has.
PROGRAM = """#!/bin/sh
cd %s
printf '%%s|%%s|%%s|%%s\\n' "$SPEFW_OLD" "$SPEFW_NEW" "$SPEFW_CODES" "$(printf %%s "$SPEFW_TEXT" | tr '\\n' '^')" >>told
[ -e next ] && mv next socket.health
exit "$(cat status)"
"""
FIRST = "spefw-health 1\n"


class Notified:
    """A folder with such a program, its configuration and state."""

    def __init__(self, lab, daemon, socket_path=None):
        self.daemon, self.dir = daemon, os.path.join(lab.dir, "notified")
        os.makedirs(os.path.join(self.dir, "state"))
        self.program, self.config = os.path.join(self.dir, "program"), os.path.join(self.dir, "spefw.ini")
        self.socket = socket_path or os.path.join(self.dir, "socket")
        self.note = self.socket + ".health"
        self.listener = None
        if not socket_path:
            self.listen()
        self.put("program", PROGRAM % self.dir)
        os.chmod(self.program, 0o755)
        self.put("status", "0")
        self.put("spefw.ini", "[gateway]\nnotify = %s\n" % self.program)

    def listen(self):
        """As if spefwd ran."""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(1000)

    def put(self, name, text, mode="w"):
        with open(os.path.join(self.dir, name), mode) as file:
            file.write(text)

    def run(self, *args):
        """Its exit status, and the lines that the program was told in this run."""
        done = self.daemon.run("spefw-notify", "-c", self.config, "-s", self.socket, "-w", "1", "-d",
                               os.path.join(self.dir, "state"), *args)
        path = os.path.join(self.dir, "told")
        lines = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")[:-1]
            os.unlink(path)
        return done.returncode, lines


def told(tap):
    """From the daemon to the program."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(), wait=False)
        daemon.stop()
        notified = Notified(lab, daemon, socket_path=daemon.socket)
        config = lab.config().replace("[gateway]\n", "[gateway]\nnotify = %s\n" % notified.program)
        tap.ok("notify" in config, "the key is in the configuration")
        daemon.write(config)
        daemon.start()
        notified.config = daemon.config
        tap.equal(notified.run(), (0, []), "nothing is written yet: nothing is told")
        daemon.call("Clear")
        wait_for(lambda: os.path.exists(notified.note), "an open server is written at once")
        status, lines = notified.run()
        tap.ok(status == 0 and len(lines) == 1 and lines[0].startswith("unknown|failed|table-removed|table-removed: "),
               "the program is told health, codes and words", lines)
        tap.equal(notified.run(), (0, []), "and once only")
        daemon.reload()
        wait_for(lambda: open(notified.note, encoding="ascii").read() == FIRST, "it is written that all is well")
        tap.equal(notified.run(), (0, ["failed|ok||"]), "what it was, and what it is")
        daemon.write("nonsense\n" + config)
        notified.put("socket.health", FIRST + "config-changed it was changed\n")
        notified.socket = os.path.join(notified.dir, "socket")
        notified.listen()
        tap.equal(notified.run(), (0, ["ok|degraded|config-changed|config-changed: it was changed"]),
                  "the program is found in a file that is wrong otherwise")


def stopped(tap):
    """A daemon that does not run is reported by who finds nobody listening: after a kill, a stop, and back again."""
    text = "spefwd is not running: the table stays as it was, and nothing is followed"
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(), wait=False)
        daemon.stop()
        notified = Notified(lab, daemon, socket_path=daemon.socket)
        daemon.write(lab.config().replace("[gateway]\n", "[gateway]\nnotify = %s\n" % notified.program))
        notified.config = daemon.config
        daemon.start()
        wait_for(lambda: os.path.exists(notified.note), "health is written")
        daemon.kill()
        tap.ok(daemon.table(), "it is killed, and its table is there")
        tap.equal(notified.run(), (0, ["unknown|failed|stopped|stopped: " + text]), "it is told that nobody listens")
        tap.equal(notified.run(), (0, []), "and once only")
        os.unlink(notified.note)
        tap.equal(notified.run(), (0, []), "nor where its folder is gone as well")
        daemon.start()
        wait_for(lambda: os.path.exists(notified.note), "health is written again")
        tap.equal(notified.run(), (0, ["failed|ok||"]), "and that it is back")
        daemon.stop()
        with open(notified.note, encoding="ascii") as file:
            tap.ok(file.read().startswith(FIRST + "stopped spefwd was stopped: the table stays "),
                   "a stop is written at once")
        status, lines = notified.run()
        tap.ok(status == 0 and len(lines) == 1 and lines[0].startswith("ok|failed|stopped|stopped: spefwd was stopped"),
               "and told", lines)
        daemon.start()
        tap.equal(notified.run(), (0, []), "what an earlier daemon left behind is not told of one that has begun")

        notified.socket = os.path.join(notified.dir, "socket")
        notified.note = notified.socket + ".health"
        notified.put("socket.health", FIRST)
        notified.listen()
        tap.equal(notified.run(), (0, ["failed|ok||"]), "who listens runs")
        notified.listener.close()
        back = threading.Timer(0.5, lambda: (os.unlink(notified.socket), notified.listen()))
        back.start()
        tap.equal(notified.run(), (0, []), "a restart is not told")
        back.join()


def program_fails(tap):
    """A program that fails, changes meanwhile, and an example."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(), wait=False)
        daemon.stop()
        notified = Notified(lab, daemon)
        notified.put("socket.health", FIRST)
        tap.equal(notified.run(), (0, []), "who was never told anything is not told that all is well")
        notified.put("socket.health", FIRST + "name-stale a\ntable-removed b\n")
        notified.put("status", "7")
        wanted = "ok|failed|name-stale table-removed|name-stale: a^table-removed: b"
        tap.equal(notified.run(), (1, [wanted]), "the program fails: so does the unit")
        notified.put("status", "0")
        tap.equal(notified.run(), (0, [wanted]), "and it is told again the next time")
        notified.put("socket.health", FIRST + "name-stale other words\ntable-removed b\n")
        tap.equal(notified.run(), (0, []), "other words of the same codes are no news")
        notified.put("socket.health", FIRST + "name-stale a\n")
        notified.put("next", FIRST)
        tap.equal(notified.run(), (0, ["failed|degraded|name-stale|name-stale: a", "degraded|ok||"]),
                  "what changes while the program runs is told after it")
        notified.put("spefw.ini", "[gateway]\nmode = audit\n")
        notified.put("socket.health", FIRST + "name-stale a\n")
        tap.equal(notified.run(), (0, []), "without the key nothing is run")

        notified.put("sendmail", "#!/bin/sh\ncat >%s/mail\n" % notified.dir)
        os.chmod(os.path.join(notified.dir, "sendmail"), 0o755)
        environment = dict(os.environ, PATH=notified.dir + ":" + os.environ["PATH"], SPEFW_OLD="ok",
                           SPEFW_NEW="degraded", SPEFW_CODES="name-stale", SPEFW_TEXT="name-stale: $(x) `y`")
        done = lab.run("gateway", "sh", os.path.join(TOP, "doc", "examples", "notify-mail"), env=environment)
        with open(os.path.join(notified.dir, "mail"), encoding="utf-8") as file:
            head, _, body = file.read().partition("\n\n")
        tap.ok("is degraded, was ok" in head and head.startswith("To: root\n") and body == "name-stale: $(x) `y`\n",
               "the example mails it", (done, head, body))


def untrusted(tap):
    """What spefwd wrote is not believed, and the program is root's word alone."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(), wait=False)
        daemon.stop()
        notified = Notified(lab, daemon)
        for text, title in ((b"", "an empty file"), (b"\xff" * 100, "bytes"), (b"spefw-health 2\n", "another format"),
                            (FIRST.encode() + b"PATH=/evil x\n", "a code that there is not"),
                            (FIRST.encode() + b"name-stale " + b"x" * 2000 + b"\n", "a text that is too long"),
                            (FIRST.encode() + b"name-stale x\0\n", "a NUL"),
                            (FIRST.encode() + b"name-stale x\n" * 100000, "a file that is too large")):
            notified.put("socket.health", text, mode="wb")
            tap.equal(notified.run(), (1, []), "%s: nothing is run" % title)
        os.unlink(notified.note)
        notified.put("secret", FIRST + "name-stale x\n")
        for make, title in ((lambda: os.symlink("secret", notified.note), "a symbolic link"),
                            (lambda: os.mkfifo(notified.note), "a FIFO"),
                            (lambda: os.mkdir(notified.note), "a folder")):
            make()
            tap.equal(notified.run(), (1, []), "%s: nothing is run" % title)
            if os.path.isdir(notified.note):
                os.rmdir(notified.note)
            else:
                os.unlink(notified.note)
        notified.put("socket.health", FIRST.encode() + b"name-stale \x1b[2J; rm -rf /\r\xe2\x80\xae\n", mode="wb")
        tap.equal(notified.run(), (0, ["unknown|degraded|name-stale|name-stale: ?[2J; rm -rf /????"]),
                  "what is no text to print is passed on as such")
        notified.put("socket.health", FIRST + "name-empty x\n")
        for mode, owner, title in ((0o666, 0, "that all may write"), (0o664, 0, "that its group may write"),
                                   (0o644, 4711, "of another user")):
            os.chmod(notified.config, mode)
            os.chown(notified.config, owner, 0)
            tap.equal(notified.run(), (1, []), "a configuration %s: nothing is run" % title)
        os.unlink(notified.config)
        tap.equal(notified.run(), (1, []), "and without one")


if __name__ == "__main__":
    main(told, stopped, program_fails, untrusted)
