#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What diff foretells is what the reload then does: whose connections are cut, and who of the record is denied."""
import json
import os
import re
import shutil
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, EXCHANGE, FAMILIES, Lab, main, wait_for  # noqa: E402
from lab.daemon import TOP, VarlinkError, program  # noqa: E402
from lab.sessions import Peers  # noqa: E402
from lab.varlink import Interface  # noqa: E402

INTERFACE = os.path.join(TOP, "include", "spefw", "org.spefw.Gateway.varlink")
OFF = """[flow imap-in]
enabled = no
[flow ews-out]
to = 198.51.100.99
[flow icewarp-out]
enabled = no
"""
CHANGES = [("ews-out", "to", "ANY", "198.51.100.99"), ("icewarp-out", "enabled", "on", "off"),
           ("imap-in", "enabled", "on", "off")]

# Each setting: (section, key, its value, and where another one: what it was and is, in whose name the change is shown).
SETTINGS = (
    ("server", "interface", "lan", "auto", None),
    ("server", "resolvers", DNS[4], "%s %s" % (DNS[4], DNS[6]), "dns-out"),
    ("server", "time_servers", ADDRESS[4]["internet"], "nobody", "ntp-out"),
    ("server", "ephemeral_ports", "1025-65535", "49152-65535", "SERVER"),
    ("gateway", "mode", "audit", "enforce", None),
    ("gateway", "interception", "report", "prevent", None),
    ("gateway", "early_drop", "no", "yes", None),
    ("gateway", "record", "no", "yes", None),
    ("gateway", "proof", "report", "enforce", None),
    ("gateway", "log_group", "6", "5", None),
    ("gateway", "nat_except", "198.51.100.0/28", "none", None),
    ("gateway", "reject", "ADM", "none", None),
    ("gateway", "notify", "/bin/true", "none", None),
    ("dns", "servers", DNS[6], DNS[4], None),
    ("dns", "min_interval", "2s", "1s", None),
    ("dns", "max_interval", "10m", "15m", None),
    ("dns", "grace", "2h", "1h", None),
    ("dns", "stale", "1d", "7d", None),
    ("dns", "observe", "no", "yes", None),
)


def ask(daemon, **parameters):
    """Diff's reply: where it was asked for a moment ago, it is waited for."""
    found = []

    def answered():
        try:
            found.append(daemon.call("Diff", parameters))
        except VarlinkError as error:
            if not error.error.endswith(".Busy"):
                raise
        return found

    wait_for(answered, "Diff is answered")
    return found[0]


class Foretold:
    """Diff's replies, judged by the interface."""

    def __init__(self, tap, daemon):
        self.tap, self.daemon = tap, daemon
        with open(INTERFACE, encoding="utf-8") as file:
            self.interface = Interface(file.read())

    def __call__(self, **parameters):
        reply = ask(self.daemon, **parameters)
        complaints = self.interface.complaints(self.interface.methods["Diff"][1], reply)
        self.tap.equal(complaints, [], "the reply is as the interface has it")
        return reply


def ends(connections):
    return sorted((one["source"], one["target"], one.get("port"), one.get("flow"), one["why"]) for one in connections)


def error_of(daemon, **parameters):
    try:
        ask(daemon, **parameters)
    except VarlinkError as error:
        return error.error.rsplit(".", 1)[1]
    return None


def is_recorded(daemon, flow, count):
    daemon.call("Flows")
    return len(daemon.call("Peers", {"flow": flow})["peers"]) == count


def foretell(tap):
    """Changes, connections, the record; and nothing of it is done."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        diff = Foretold(tap, daemon)
        scene = Peers(lab, (143, 8470), (443,))
        sessions = {(machine, family, port): scene.session(machine, family, port) for family in FAMILIES
                    for machine, port in (("client", 143), ("admin", 143), ("admin", 8470), ("server", 443))}
        wait_for(lambda: is_recorded(daemon, "imap-in", 4) and is_recorded(daemon, "ews-out", 2), "they are recorded")
        before = diff()
        tap.equal((before["changes"], before["cut"], before["denied"], before["path"], before["removed"]),
                  ([], 0, 0, daemon.config, False), "the file that is in force: no difference")
        tap.ok(daemon.ctl("diff").stdout.startswith("no difference: %s against generation " % daemon.config),
               "and reload shows it")
        frozen = daemon.call("Status")["generation"]

        daemon.write(lab.config(flows=OFF))
        told = diff()
        tap.equal(sorted((one["id"], one["key"], one.get("before"), one.get("after")) for one in told["changes"]),
                  CHANGES, "what changes, by flow and key")
        with open(daemon.config, encoding="utf-8") as file:
            lines = file.read().split("\n")
        tap.equal(sorted((one["id"], one["line"]) for one in told["changes"]),
                  sorted((name, lines.index("[flow %s]" % name) + 1) for name, *_ in CHANGES),
                  "and the line of its section")
        doomed = {key: session for key, session in sessions.items() if key[2] in (143, 443)}
        tap.equal(told["cut"], len(doomed), "how many connections it would cut")
        tap.equal(sorted(one["source_port"] for one in told["cut_connections"]),
                  sorted(session.sport for session in doomed.values()), "these")
        tap.ok(all(0 <= one["age_s"] < 600 for one in told["cut_connections"]), "how long they have been open",
               told["cut_connections"])
        wanted = [("imap-in", ADDRESS[family][machine], 143) for family in FAMILIES for machine in ("client", "admin")]
        wanted += [("ews-out", EXCHANGE[family], 443) for family in FAMILIES]
        tap.equal(sorted((one["flow"], one["peer"], one["port"]) for one in told["denied_peers"]), sorted(wanted),
                  "who of the record would be denied")
        tap.equal((told["denied"], told["denied_peers"][0]["count"]), (len(wanted), 1), "and how often they came")
        text = daemon.ctl("diff").stdout
        for part in ("Would cut 6 connections:", "Used in the last ", "  - imap-in", "Apply: spefwctl reload"):
            tap.ok(part in text, "the screen has %r" % part, text)
        tap.ok(all(session.lives() for session in sessions.values()), "nothing of it was done: all go on")
        tap.equal(daemon.call("Status")["generation"], frozen, "the policy before is in force")

        done = daemon.reload()
        tap.equal((done["cut"], ends(done["cut_connections"])), (told["cut"], ends(told["cut_connections"])),
                  "the reload cuts exactly these, for these reasons")
        tap.equal([key for key, session in sessions.items() if key not in doomed and not session.lives()], [],
                  "and no other")
        after = diff()
        tap.equal((after["changes"], after["cut"], after["denied"]), ([], 0, 0), "then there is no difference")


def files(tap):
    """Other files: of root alone, read by spefwctl, with what they name; two files without a daemon; bad ones."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        diff = Foretold(tap, daemon)
        scene = Peers(lab, (8470,), ())
        session = scene.session("admin", 4, 8470)
        members, other = os.path.join(daemon.dir, "members"), os.path.join(daemon.dir, "other.ini")
        with open(members, "w", encoding="ascii") as file:
            file.write("198.51.100.7\n")
        with open(other, "w", encoding="ascii") as file:
            file.write(lab.config(adm="file:" + members))
        reply = json.loads(daemon.ctl("--json", "diff", other).stdout)
        tap.equal(reply["path"], other, "another file")
        tap.equal([(one["source"], one["why"]) for one in reply["cut_connections"]], [(ADDRESS[4]["admin"], "source")],
                  "with the file that it names")
        sent = [{"path": "/nowhere/a.ini", "text": lab.config(adm="file:/etc/hostname")}]
        tap.equal(error_of(daemon, files=sent), "ConfigInvalid", "the daemon opens no path of a client's")
        tap.equal((error_of(daemon, files=[]), error_of(daemon, files="x"), error_of(daemon, files=[{"path": "x"}]),
                   error_of(daemon, files=[7])), ("InvalidParameter",) * 4, "files that are none")
        tap.equal(diff(files=[{"path": "x", "text": lab.config()}])["changes"], [], "texts alone")

        spefwctl = os.path.join(lab.dir, "spefwctl")
        shutil.copy(program("spefwctl"), spefwctl)
        os.chmod(spefwctl, 0o755)
        os.chmod(lab.dir, 0o755)
        group = os.stat(daemon.socket).st_gid

        def as_member(*words):
            return lab.run("gateway", spefwctl, "-s", daemon.socket, *words, check=False, uid=12345, gid=group)

        os.chmod(daemon.dir, 0o755)
        done = as_member("diff")
        tap.ok(done.returncode == 0 and done.stdout.startswith("no difference"), "a member of the group may ask",
               (done.returncode, done.stdout, done.stderr))
        done = as_member("diff", other)
        tap.equal((done.returncode, done.stdout), (4, ""), "but not for another file")
        tap.ok("sudo spefwctl" in done.stderr, "and the error says how", done.stderr)

        daemon.write("[server]\n")
        tap.equal(error_of(daemon), "ConfigInvalid", "a bad file")
        done = daemon.ctl("diff", check=False)
        tap.ok(done.returncode == 1 and "spefw.ini:1: " in done.stderr, "its errors are told", done.stderr)
        daemon.write(lab.config())
        tap.ok("config-refused" not in daemon.reason_codes(), "which is no reason of health, as it was but looked at")
        tap.ok(session.lives(), "nothing was cut")
        daemon.stop()
        done = daemon.ctl("diff", check=False)
        tap.ok(done.returncode == 3 and "compare two files by -c" in done.stderr, "without a daemon", done.stderr)
        text = daemon.ctl("-c", daemon.config, "diff", other).stdout
        tap.ok("ADM  members  198.51.100.7" in text and "By the files alone" in text, "two files without one", text)


def with_settings(before):
    """All settings: those of before, or the others."""
    text = "[role ADM]\nmembers = 203.0.113.0/24\n"
    for section in ("server", "gateway", "dns"):
        text += "\n[%s]\n%s" % (section, "address = 192.0.2.25 2001:db8:2::25\n" if section == "server" else "")
        for of, key, value, was, _ in SETTINGS:
            if of == section and not (before and was in ("none", "nobody")):
                text += "%s = %s\n" % (key, was if before else value)
    return text


def settings(tap):
    """Of each setting diff tells what it was, what it is and its line; with the daemon and without, as reload does."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(with_settings(True))
        diff = Foretold(tap, daemon)
        old, new = os.path.join(daemon.dir, "old.ini"), with_settings(False)
        shutil.copy(daemon.config, old)
        daemon.write(new)
        lines = {line.partition(" ")[0]: number for number, line in enumerate(new.split("\n"), 1)}
        told = diff()["changes"]
        found = {(one.get("id"), one["key"]): one for one in told}
        for _, key, value, was, of in SETTINGS:
            one = found.get((of, "to" if of and of.endswith("-out") else key), {})
            tap.equal((one.get("before"), one.get("after"), one.get("line")), (was, value, lines[key]), key)
        tap.equal(set(found) - {(of, "to" if of and of.endswith("-out") else key) for _, key, _, _, of in SETTINGS},
                  {("ntp-out", "enabled")}, "and nothing else but the flow that has a target now")
        alone = json.loads(daemon.ctl("-c", old, "--json", "diff", daemon.config).stdout)["changes"]
        tap.equal(alone, told, "two files without a daemon: the same")
        text = daemon.ctl("diff").stdout
        tap.ok(re.search(r"~ mode +enforce -> audit +line %d\n" % lines["mode"], text), "the screen has it", text)
        changes = daemon.reload()["changes"]
        tap.equal(len(changes), len(told), "reload reports as many")
        for _, key, value, was, of in SETTINGS:
            if not of:
                tap.ok("%s: %s -> %s" % (key, was, value) in changes, "reload reports %s" % key, changes)
        tap.equal(diff()["changes"], [], "then there is no difference")


if __name__ == "__main__":
    main(foretell, files, settings)
