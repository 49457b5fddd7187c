#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Watch(): what happens is told as it happens, to however many; and nobody waits for any of them."""
import json
import os
import re
import signal
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, Lab, RawSender, main, vendor, wait_for  # noqa: E402
from lab.daemon import TOP, VarlinkError, open_socket, program  # noqa: E402
from lab.sessions import Host, Session  # noqa: E402
from lab.varlink import Interface  # noqa: E402

ADDRESS = list(LICENSE[0].values())
NAMES = {vendor.LICENSE_NAME: ADDRESS}
KEEP = 256 # events that are kept for who reads slowly


class Watcher:
    """One connection that calls Watch. Its events are judged by the interface description."""

    def __init__(self, lab, daemon, more=True, reads=True):
        self.socket = open_socket(daemon.socket)
        self.socket.sendall(json.dumps({"method": "org.spefw.Gateway.Watch", "more": more}).encode() + b"\0")
        self.rest, self.events, self.complaints = b"", [], []
        lab.at_close(self.socket.close)
        if reads:
            self.first = self.next()

    def next(self):
        """None at the end of the connection."""
        while b"\0" not in self.rest:
            piece = self.socket.recv(1 << 16)
            if not piece:
                return None
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        reply = json.loads(message.decode())
        self.complaints += INTERFACE.complaints(INTERFACE.methods["Watch"][1], reply["parameters"], "Watch")
        self.events.append(reply["parameters"]["event"])
        self.continues = reply.get("continues", False)
        return self.events[-1]

    def until(self, kind, **members):
        """The next event of this kind, with these members."""
        while True:
            event = self.next()
            if event is None:
                raise ConnectionError("no %s: %s" % (kind, self.events[-5:]))
            if event["kind"] == kind and all(event.get(key) == value for key, value in members.items()):
                return event


with open(os.path.join(TOP, "include/spefw/org.spefw.Gateway.varlink"), encoding="utf-8") as description:
    INTERFACE = Interface(description.read())


def refused(daemon):
    """A reload that fails."""
    try:
        daemon.call("Reload")
    except VarlinkError:
        return
    raise AssertionError("a reload of a bad file was done")


def events(tap):
    """Each kind of event, by what makes it happen."""
    with Lab(tap) as lab:
        dns = lab.dns(NAMES)
        host = Host(lab, "server", (8470,))
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        session = Session(lab, "admin", host, "192.0.2.25", 8470)
        watcher, other = Watcher(lab, daemon), Watcher(lab, daemon)
        tap.equal([watcher.first["kind"], watcher.first["health"], watcher.continues], ["begin", "ok", True],
                  "it begins with how things are")
        once = Watcher(lab, daemon, more=False)
        tap.equal([once.first["kind"], once.continues], ["begin", False], "without `more` that is all")

        daemon.reload(lab.config(adm="203.0.113.200"))
        event = watcher.until("reload")
        tap.equal([event[key] for key in ("by", "uid", "done", "count")], ["root (uid 0)", 0, True, 1],
                  "a reload: who asked, and that it is in force")
        tap.ok(event["changes"][0].startswith("role ADM: "), "and what it changes", event)
        event = watcher.until("cut")
        near = session.near.getsockname()[0]
        tap.equal([event["why"], event["count"]] + [
            [one[key] for key in ("source", "target_role", "port", "flow", "had", "why", "not_in")]
            for one in event["cut_connections"]],
            ["the policy changed", 1, [near, "SERVER", 8470, "console-in", True, "source", ["ADM"]]],
            "a connection that was cut: whose, and why")
        daemon.write("nonsense")
        refused(daemon)
        tap.equal(watcher.until("reload")["done"], False, "a refused one")
        event = watcher.until("health", health="degraded")
        tap.equal([event["before"], event["appeared"], event["gone"]], ["ok", ["config-refused"], []],
                  "health, and which code came")
        daemon.write(lab.config())
        os.kill(daemon.process.pid, signal.SIGHUP)
        event = watcher.until("reload")
        tap.equal([event["by"], event.get("uid"), event["done"]], ["signal", None, True], "by a signal")
        tap.equal(watcher.until("health", health="ok")["gone"], ["config-refused"], "and which code went")

        session = Session(lab, "admin", host, "192.0.2.25", 8470)
        [one] = [one for one in daemon.call("Connections", {"flow": "console-in"})["connections"]]
        daemon.call("Cut", {"id": one["id"]})
        event = watcher.until("cut", by="root (uid 0)")
        tap.equal([(one["source"], one["flow"], one["why"]) for one in event["cut_connections"]],
                  [(session.near.getsockname()[0], "console-in", "request")], "one that is cut on request, and by whom")
        daemon.call("Refresh", {"names": [vendor.LICENSE_NAME]})
        tap.equal(watcher.until("refresh")["names"], [vendor.LICENSE_NAME], "a refresh, and of which names")
        dns.set(vendor.LICENSE_NAME, ADDRESS + ["198.51.100.99"])
        daemon.call("Refresh")
        event = watcher.until("name", added=["198.51.100.99"])
        tap.equal([event["name"], event["family"], event["removed"]], [vendor.LICENSE_NAME, "ipv4", []],
                  "an address of a name")
        with RawSender("client", "198.51.100.140", "192.0.2.25") as sender:
            sender.tcp(45000, 8470, 2) # SYN
        event = watcher.until("denied")
        tap.equal([[row[key] for key in ("source", "target_role", "port", "flow", "why", "count")]
                   for row in event["rows"]], [["198.51.100.140", "SERVER", 8470, "console-in", "source", 1]],
                  "a denial, with what would have let it in")
        lab.nft("gateway", "table inet other {\n\tchain c {\n\t}\n}\n")
        watcher.until("foreign")
        tap.ok(True, "another program's tables")
        if daemon.status()["ownership"] == "monitor":
            lab.run("gateway", "nft", "add", "chain", "inet", "spefw", "strange")
            tap.ok("strange" in watcher.until("repair")["changed"], "a repair, and of what", watcher.events[-1])
        daemon.call("Clear")
        event = watcher.until("clear")
        tap.equal([event["by"], event["done"]], ["root (uid 0)", True], "a clear")
        tap.equal(watcher.until("health", health="failed")["appeared"], ["table-removed"], "and health at once")
        tap.equal(watcher.complaints, [], "all of them are as the interface description has them")
        daemon.stop()
        tap.equal(watcher.next(), None, "it ends with the daemon")
        other.until("health", health="failed")
        tap.equal([event["kind"] for event in other.events], [event["kind"] for event in watcher.events],
                  "another one got the same")


def lines_of(process):
    with open(process.log, encoding="utf-8") as file:
        return file.read().split("\n")


def verb(tap):
    """spefwctl watch: a line an event, and how it ends."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        environment = dict(os.environ, TZ="UTC")
        text, objects = [lab.start("gateway", program("spefwctl"), "-s", daemon.socket, "watch", *args, env=environment)
                         for args in ((), ("--json",))]
        wait_for(lambda: lines_of(text)[1:] and lines_of(objects)[1:], "both watch")
        daemon.write("nonsense")
        refused(daemon)
        wanted = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  reload by root \(uid 0\) failed: the old policy stays in force"
        wait_for(lambda: [line for line in lines_of(text) if re.fullmatch(wanted, line)], "a line of the event")
        wait_for(lambda: [line for line in lines_of(objects) if '"reload"' in line], "an object of the event")
        kinds = [json.loads(line)["event"]["kind"] for line in lines_of(objects)[:-1]]
        tap.equal([kinds[0], "reload" in kinds], ["begin", True], "with --json each line is an object")
        tap.equal(lab.stop(text, signal.SIGINT), 0, "interrupted, it ends well")
        tap.ok(all(re.match(r"\d{4}-", line) for line in lines_of(text)[:-1]), "and prints nothing then",
               lines_of(text))
        done = lab.run("gateway", "sh", "-c", "%s -s %s watch | head -n 1" % (program("spefwctl"), daemon.socket),
                       bound=60)
        tap.ok(done.stdout.count("\n") == 1 and not done.stderr, "it ends when nobody reads any more", done)
        daemon.stop()
        tap.equal(objects.wait(60), 3, "when the daemon ends, it ends with 3")
        tap.ok("spefwctl: spefwd has ended" in "\n".join(lines_of(objects)), "and says so", lines_of(objects))
        done = daemon.ctl("watch", check=False)
        tap.ok(done.returncode == 3 and "spefwd is not running" in done.stderr, "without a daemon likewise", done)


def hostile(tap):
    """As many as the daemon lets in, which read nothing or hang up: names, control and others go on."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config())
        good = Watcher(lab, daemon)
        slow = Watcher(lab, daemon)
        silent = [Watcher(lab, daemon, reads=False) for _ in range(100)]
        wanted, lost = 1000, 0
        daemon.write("nonsense")
        for number in range(wanted):
            refused(daemon)
            good.until("reload")
            if number % 200 == 0:
                silent.pop().socket.close()
        tap.equal([event for event in good.events if event["kind"] == "lost"], [],
                  "who reads gets all %d events, beside 100 that don't" % wanted)
        tap.equal(daemon.reason_codes(), ["config-refused"], "and the daemon answers")
        got = 0
        while got + lost < wanted:
            event = slow.next()
            got += event["kind"] == "reload"
            lost += event["count"] if event["kind"] == "lost" else 0
        tap.ok(lost > 0 and got >= KEEP and got + lost == wanted,
               "who reads slowly is told how many it lost: %d, and got %d" % (lost, got))
        refused(daemon)
        slow.until("reload")
        tap.ok(True, "and gets what comes then")
        with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as file:
            resident = [int(line.split()[1]) for line in file if line.startswith("RssAnon")][0]
        with open(program("spefwd"), "rb") as file:
            sanitized = b"__asan_init" in file.read()
        tap.ok(resident < 16000 or sanitized, "anonymous memory of the daemon: %d kB" % resident)
        for watcher in silent:
            watcher.socket.close()
        daemon.wait_status(lambda status: status["clients"] <= 4, "those that hung up are gone")


def places(tap):
    """Watchers hold no place that another client needs."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        watchers = [Watcher(lab, daemon) for _ in range(256)]
        tap.equal(daemon.status()["mode"], "enforce", "another one comes in where all places are taken by watchers")
        tap.equal(watchers[0].next(), None, "the one that began first goes")
        daemon.write("nonsense")
        refused(daemon)
        watchers[-1].until("reload")
        tap.ok(True, "the last one stays")


if __name__ == "__main__":
    main(events, verb, hostile, places)
