#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory, replies, and the disk fail in the middle of things: the old policy or the new one is in force, the error is
reported, and the next reload works."""
import mmap
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, FAMILIES, LICENSE, NARROW, Daemon, Lab, NotReady, VarlinkError, main, namespaces, program, vendor,
    wait_for)
from lab.checks import DeniedStreams, content, differences, guarded, with_all_and_none  # noqa: E402
from lab.netlink import generation  # noqa: E402
from lab.sessions import Host, Session, through  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
LONG = bool(os.environ.get("SPEFW_TEST_LONG"))
(NONE, ALLOCATION, REPLY_LOST, REPLY_NO_BUFFERS, DUMP_NO_BUFFERS, SYNC_FAILS, SEND_FAILS, CUT_FAILS, MEDDLED,
 ROUTES_NO_BUFFERS, LISTEN_FAILS) = range(11)


class FaultyDaemon(Daemon):
    """spefwd under faultlib.so."""

    def __init__(self, lab, config, **more):
        super().__init__(lab, config, **more)
        self._library = os.path.join(self.dir, "faultlib.so")
        subprocess.run([os.environ.get("CC", "cc").split()[0], "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE",
                        os.path.join(HERE, "faultlib.c"), "-o", self._library, "-ldl"],
                       check=True)
        path = os.path.join(self.dir, "faults")
        with open(path, "wb") as file:
            file.write(bytes(32))
        self._file = open(path, "r+b")  # pylint: disable=consider-using-with
        self._words = mmap.mmap(self._file.fileno(), 32)
        self._script = os.path.join(self.dir, "meddle")
        self._preload = {"LD_PRELOAD": self._library, "SPEFW_FAULTS": path, "SPEFW_MEDDLE": self._script}

    def _environment(self):
        return dict(super()._environment(), **self._preload)

    def run(self, name, *args, **more):
        preload, self._preload = self._preload, {}
        try:
            return super().run(name, *args, **more)
        finally:
            self._preload = preload

    def arm(self, kind, number=0):
        """The number-th such call from now on fails; 0: none does, they are counted."""
        struct.pack_into("=4q", self._words, 0, NONE, number, 0, 0)
        struct.pack_into("=q", self._words, 0, kind)

    def arm_script(self, number, script):
        """This runs before the number-th batch, or request of the cut, is sent."""
        with open(self._script, "w", encoding="ascii") as file:
            file.write(script + "\n")
        self.arm(MEDDLED, number)

    def disarm(self):
        """(calls, faults injected)"""
        _, _, calls, injected = struct.unpack_from("=4q", self._words, 0)
        struct.pack_into("=q", self._words, 0, NONE)
        return calls, injected


def can_preload(tap, title):
    with open(program("spefwd"), "rb") as file:
        if b"__asan_init" in file.read():
            tap.skip(title, "the sanitizers' allocator can't be replaced: run with a plain build")
            return False
    if shutil.which(os.environ.get("CC", "cc").split()[0]) is None:
        tap.skip(title, "no C compiler here")
        return False
    return True


def begin(tap, lab, config):
    daemon = FaultyDaemon(lab, config)
    lab.log_on_failure(tap, daemon)
    return daemon.start()


def is_in_force(wanted, table):
    """The table is that one, but for sets that wait to be retired."""
    more = [one for one in table["rest"] if one not in wanted["rest"]]
    return (table["rules"] == wanted["rules"] and set(wanted["rest"]) <= set(table["rest"])
            and all(one.startswith(("{\"set\"", "{\"map\"")) for one in more))


class TwoPolicies:
    """A and B differ in everything that a batch can carry; .contents are their tables."""

    def __init__(self, lab, daemon):
        self.daemon = daemon
        self.configs = [lab.config(),
                        lab.config(flows=NARROW + "[flow api-in]\nenabled = no\n\n[flow backup-in]\n"
                                   "from = 203.0.113.77\nto = SERVER\nprotocol = tcp\nport = 445, 10000-10100\n\n"
                                   "[role IH]\nmembers = 192.0.2.40 2001:db8:2::40\nprotected = yes\n\n[flow ih-in]\n"
                                   "from = ANY\nto = IH\nprotocol = tcp\nport = 443\n",
                                   adm="203.0.113.0/25 198.51.100.200 2001:db8:3::/64", gateway="early_drop = no")]
        # B first: the counters of its flows stay for good, and A's table is to have them as well.
        self.contents = []
        for number in (1, 0):
            daemon.reload(self.configs[number])
            self.settle()
            self.contents.insert(0, content(daemon.table()))
        self.now = 0

    def settle(self):
        """Has retired sets go."""
        self.daemon.reload()

    def which(self):
        """0 or 1, once the table is one of the two; else it never is, and TimeoutError."""
        def found():
            table = content(self.daemon.table())
            return [number for number in (0, 1) if is_in_force(self.contents[number], table)]
        try:
            return wait_for(found, "one of the two policies is in force")[0]
        except TimeoutError as error:
            table = content(self.daemon.table())
            raise TimeoutError("%s\n-- against the old one:\n%s\n-- against the new one:\n%s" % (
                error, differences(self.contents[self.now], table)[:3000],
                differences(self.contents[1 - self.now], table)[:3000])) from None

    def attempt(self, kind, number):
        """A reload to the other policy with that fault. Returns (calls, injected, error, which policy is in force)."""
        self.daemon.write(self.configs[1 - self.now])
        before = generation("gateway")
        self.daemon.arm(kind, number)
        try:
            self.daemon.call("Reload")
            failure = None
        except VarlinkError as error:
            failure = str(error)
        except (ConnectionError, OSError) as error:
            failure = "closed: %s" % error
        calls, injected = self.daemon.disarm()
        if self.daemon.process.poll() is not None:
            raise RuntimeError("spefwd ended with %d" % self.daemon.process.returncode)
        result = self.now if generation("gateway") == before else self.which()
        return calls, injected, failure, result

    def finish(self):
        """The same reload without a fault. Returns what is wrong then."""
        try:
            self.daemon.call("Reload")
        except (VarlinkError, OSError) as error:
            return "the next reload fails: %s" % error
        self.now = 1 - self.now
        status = self.daemon.status()
        if not status["config"]["matches_disk"] or status["health"] == "failed":
            return "after the next reload: %s %s" % (status["health"], status["reasons"])
        return None


def no_memory(tap):
    """An allocation fails, at each point of a reload."""
    if not can_preload(tap, "allocations that fail"):
        return
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = begin(tap, lab, lab.config())
        policies = TwoPolicies(lab, daemon)
        # The names' queries allocate as well, at times of their own;
        # with the longest of them silent the count is steady.
        calls, _, error, _ = policies.attempt(ALLOCATION, 0)
        tap.ok(error is None and calls > 100, "a reload without a fault", (calls, error))
        policies.now = 1
        points = list(range(1, calls + 1))
        if not LONG and len(points) > 240:
            points = sorted(set(points[::len(points) // 120])
                            | set(random.Random(os.environ.get("SPEFW_SEED", "4")).sample(points, 120)))
        problems, outcomes = [], {"refused": 0, "closed": 0, "done all the same": 0, "not reached": 0}
        for count, number in enumerate(points):
            _, injected, error, which = policies.attempt(ALLOCATION, number)
            if not injected:
                outcomes["not reached"] += 1
            elif error is None:
                outcomes["done all the same"] += 1
                if which == policies.now:
                    problems.append("%d: reload reports success, and the old policy is in force" % number)
            else:
                outcomes["closed" if error.startswith("closed") else "refused"] += 1
                if "Failed" in error and which != policies.now:
                    problems.append("%d: reload reports %s, and the new policy is in force" % (number, error))
            wrong = policies.finish()
            if wrong:
                problems.append("%d: %s" % (number, wrong))
            elif count % 25 == 0 and policies.which() != policies.now:
                problems.append("%d: the next reload is not in force" % number)
        tap.note("%d of %d allocations of a reload failed, one at a time: %s" % (len(points), calls, outcomes))
        tap.equal(problems, [], "always the old or the new policy, the error reported, and the next reload works")
        tap.ok(outcomes["refused"] > len(points) // 4, "most of them were reported as errors", outcomes)
        tap.ok(guarded(lab), "guarded")


def lost_replies(tap):
    """The kernel's replies are lost, or its buffers are full."""
    if not can_preload(tap, "replies that are lost"):
        return
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = begin(tap, lab, lab.config())
        policies = TwoPolicies(lab, daemon)
        for kind, title in ((REPLY_LOST, "a reply is lost"), (REPLY_NO_BUFFERS, "ENOBUFS for a reply"),
                            (SEND_FAILS, "ENOBUFS for a batch")):
            policies.settle()
            calls, _, error, _ = policies.attempt(kind, 0)
            tap.ok(error is None and calls >= 2, title + ": without a fault", (calls, error))
            policies.now = 1 - policies.now
            # What is prepared, and the change itself; and where the last change was less than a second ago, sets of it
            # that are retired. It goes on until a reload has no such call any more.
            for number in range(1, calls + 3):
                _, injected, error, which = policies.attempt(kind, number)
                if not injected:
                    tap.ok(number > 2 and error is None and which != policies.now,
                           title + ": one that is not reached is none", (number, calls, error, which))
                    policies.now = which
                    break
                tap.ok((error is None) == (which != policies.now),
                       title + ", number %d: what reload reports is so" % number, (error, which, policies.now))
                tap.ok(error is None or "Failed" in error, title + ", number %d: the error is reported" % number, error)
                tap.equal(policies.finish(), None, title + ", number %d: the next reload works" % number)
                tap.equal(policies.which(), policies.now, title + ", number %d: and is in force" % number)
        for number in range(1, 4):
            daemon.arm(DUMP_NO_BUFFERS, number)
            status = daemon.status()
            _, injected = daemon.disarm()
            if injected:
                tap.ok(status["health"] != "failed", "ENOBUFS for dump %d of a status: read again" % number,
                       status["reasons"])
        injections = 0
        for number in range(1, 60, 7):
            daemon.kill()
            daemon.arm(DUMP_NO_BUFFERS, number)
            daemon.start()
            injections += daemon.disarm()[1]
            if policies.which() != policies.now:
                tap.ok(False, "ENOBUFS for dump %d of a start" % number)
        tap.ok(injections >= 5, "ENOBUFS for each dump of a start: read again", injections)
        daemon.arm(SYNC_FAILS)
        daemon.write(policies.configs[1 - policies.now])
        tap.ok(daemon.call("Reload")["changed"] and daemon.disarm()[1] > 0, "fsync fails: a reload works")
        policies.now = 1 - policies.now
        status = daemon.status()
        tap.ok({"config-unsaved", "state-unsaved"} & set(daemon.reason_codes(status)),
               "fsync fails: status shows it", status["reasons"])
        tap.equal(policies.finish(), None, "fsync works again: the next reload, too")
        tap.ok(guarded(lab), "guarded")


def lost_routes(tap):
    """An answer about interfaces, addresses or routes is lost in the middle: reported,
    and read again until the daemon has followed."""
    if not can_preload(tap, "answers about routes that are lost"):
        return
    with Lab(tap) as lab:
        daemon = begin(tap, lab, lab.config())

        def ways():
            return sorted(element for one in daemon.table() if one.get("set", {}).get("name") == "SERVER_interfaces"
                          for element in one["set"]["elem"])
        tap.equal(ways(), ["lan"], "the server's interface")
        for number in (1, 5):
            daemon.arm(ROUTES_NO_BUFFERS, number)
            lab.run("gateway", "ip", "route", "add", "192.0.2.0/25", "via", ADDRESS[4]["admin"])
            wait_for(lambda: ways() == ["adm", "lan"],
                     "message %d of the answers is lost: the new route is followed" % number, bound=20)
            tap.equal(daemon.disarm()[1], 1, "message %d of the answers is lost: the new route is followed" % number)
            lab.run("gateway", "ip", "route", "del", "192.0.2.0/25", "via", ADDRESS[4]["admin"])
            wait_for(lambda: ways() == ["lan"], "and that it is gone", bound=20)
        tap.equal(daemon.log().count("routes can't be read"), 2, "each is logged once")


def deaf(tap):
    """The log group is nobody's, and yet can't be listened to."""
    if not can_preload(tap, "a log group that can't be had"):
        return
    with Lab(tap) as lab:
        daemon = begin(tap, lab, lab.config())
        # When spefw-resolver gets ready, the group is tried again: that is over once it has answered something.
        daemon.wait_status(lambda status: all(name["last_error"] or name["addresses"] for name in status["names"]),
                           "spefw-resolver is ready")
        daemon.arm(LISTEN_FAILS, 1)
        daemon.reload(lab.config(gateway="log_group = 7"))
        tap.equal(daemon.disarm()[1], 1, "injected")
        tap.ok(any("No buffer space available" in reason for reason in daemon.reasons(code="nflog-failed")),
               "status shows why", daemon.reasons())
        daemon.reload()
        tap.ok("nflog-failed" not in daemon.reason_codes(), "and it is had by the next reload")


# What a stranger does, between what a reload knows of the kernel and what it sends;
# each makes the batch one that can't be.
MEDDLING = (
    "delete table inet spefw",
    "flush map inet spefw SERVER_in_tcp",
    "delete element inet spefw SERVER_in_tcp { 8474 }",
    "add element inet spefw role_ADM_4 { 198.51.100.192/27 }",
    "add chain inet spefw x\nadd rule inet spefw x jump SERVER_in_tcp_8474",
    "flush set inet spefw name_my.mailstore.com_4",
    "add set inet spefw role_PARTNER_4 { type inet_service; }",
)


def meddled(tap):
    """Another program is faster than the notice of it: the reload that meets its change works all the same."""
    if not can_preload(tap, "a stranger in the middle of a reload"):
        return
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = begin(tap, lab, lab.config(flows=NARROW))
        if daemon.status()["ownership"] == "owner":
            tap.skip("a stranger in the middle of a reload", "no stranger can change a table that has an owner")
            return
        old, new = lab.config(flows=NARROW), lab.config(
            flows="[flow license-out]\nenabled = no\n\n[flow api-in]\nenabled = no\n\n[role PARTNER]\n"
            "members = 198.51.100.0/28\n\n"
            "[flow partner-in]\nfrom = PARTNER\nto = SERVER\nprotocol = tcp\nport = 10443\n",
            adm="203.0.113.0/25 198.51.100.200 2001:db8:3::/64")
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 443) for family in FAMILIES}
        for text in MEDDLING:
            title = "nft %s: " % text.replace("\n", "; ")
            daemon.reload(old)
            daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                               "the name is known")
            daemon.reload()  # retired sets go, too
            daemon.write(new)
            repaired = daemon.status()["guards"]["repaired"]
            daemon.arm_script(1, "nft -f - << END\n%s\nEND" % text)
            again = daemon.call("Reload")
            tap.equal((daemon.disarm()[1], again["changed"]), (1, True), title + "the reload works")
            daemon.wait_status(lambda status, count=repaired: status["guards"]["repaired"] > count
                               and not status["reasons"], "repaired")
            daemon.reload()
            by_reload = content(daemon.table())
            daemon.kill()
            daemon.run("spefwd", "--clear")
            daemon.start()
            replaced = content(daemon.table())

            def comparable(table):
                return {"rules": table["rules"],
                        "rest": [one for one in table["rest"] if not one.startswith("{\"counter\"")]}
            tap.equal(differences(comparable(by_reload), comparable(replaced)), "",
                      title + "counted, and what is in force is what a start builds")
            tap.equal([family for family in FAMILIES if not kept[family].echo()], [], title + "connections go on")
        tap.ok(guarded(lab), "guarded")


def killed_between(tap):
    """kill -9 before each batch of a reload, and before each request of its cut: the old policy or the new one, and a
    start makes up for the rest."""
    if not can_preload(tap, "kills between two batches"):
        return
    with Lab(tap) as lab:
        host = Host(lab, "server", (443, 8470))
        wide = lab.config(adm="203.0.113.0/24 198.51.100.140 2001:db8:3::/64 2001:db8:10::/64",
                          flows="[flow partner-in]\nfrom = 198.51.100.0/28\nto = SERVER\nprotocol = tcp\n"
                          "port = 10443\n")
        tight = lab.config(gateway="early_drop = no\ninterception = off",
                           flows="[role IH]\nmembers = 192.0.2.40 2001:db8:2::40\nprotected = yes\n\n[flow ih-in]\n"
                           "from = ANY\nto = IH\nprotocol = tcp\nport = 443, 9000-9010\n")
        daemon = begin(tap, lab, tight)
        wanted, reached, number, problems = content(daemon.table()), True, 1, []
        denied = DeniedStreams(machine="client", ports=(3389, 22))
        try:
            # Until a reload has no such call any more.
            while reached:
                daemon.reload(wide)
                doomed = [Session(lab, "client", host, ADDRESS[family]["server"], 8470, sport)
                          for family, sport in ((4, 0), (6, 443))]
                kept = [Session(lab, machine, host, ADDRESS[family]["server"], port) for family in FAMILIES
                        for machine, port in (("client", 443), ("admin", 8470))]
                daemon.reload()  # what the last change left over goes a second after this one, not meanwhile
                daemon.write(tight)
                daemon.arm_script(number, "kill -9 %d" % daemon.process.pid)
                try:
                    daemon.call("Reload")
                except OSError:
                    pass
                reached = daemon.disarm()[1] > 0
                problems += ["%d: %s is dead" % (number, one.title) for one in kept if not one.lives()]
                daemon.kill()
                daemon.start()
                if not is_in_force(wanted, dict(content(daemon.table()), rest=[
                    one for one in content(daemon.table())["rest"] if "flow-partner-in" not in one])):
                    problems.append("%d: %s" % (number, differences(wanted, content(daemon.table()))))
                problems += ["%d: %s" % (number, title) for title in through(doomed, kept)]
                for one in doomed + kept:
                    one.close()
                lab.run("gateway", "conntrack", "-F")
                number += 1
        finally:
            denied.close()
        calls = number - 2
        # What is prepared, the change itself, a list for each address and direction, and each connection.
        tap.ok(calls >= 3 + 4 + len(doomed), "a reload sends that often", calls)
        tap.equal(problems, [], "killed before each of %d: what is in force after a start is the new policy, "
                  "connections are cut or go on" % calls)
        tap.equal(denied.leaked, 0, "no denied SYN of %d came through" % denied.sent)


def cut_later(tap):
    """Connections that are denied can't be listed, or one can't be deleted: reported, tried again, and cut."""
    if not can_preload(tap, "cutting that fails"):
        return
    with Lab(tap) as lab:
        host = Host(lab, "server", (443, 8470))
        daemon = begin(tap, lab, lab.config())
        tighter = lab.config(flows="[flow console-in]\nenabled = no\n")
        late, injected = 0, 1
        for number in range(20):
            if not injected:
                break
            daemon.reload(lab.config())
            doomed = [Session(lab, "admin", host, ADDRESS[family]["server"], 8470) for family in FAMILIES]
            kept = [Session(lab, machine, host, ADDRESS[family]["server"], 443) for family in FAMILIES
                    for machine in ("client", "admin")]
            daemon.reload()  # what the last change left over goes a second after this one, not meanwhile
            daemon.write(tighter)
            daemon.arm(CUT_FAILS, number)
            cut = daemon.call("Reload")["cut"]
            status = daemon.status()
            injected = daemon.disarm()[1] or number == 0
            reasons = daemon.reasons(status, "cut-incomplete")
            if number == 0 or not injected:
                tap.equal((cut, reasons), (len(doomed), []), "without a fault: cut")
            else:
                # A list is requested again at once.
                late += cut < len(doomed)
                tap.ok((cut < len(doomed)) == bool(reasons),
                       "request %d fails: status shows what is not cut yet" % number,
                       (cut, reasons))
                daemon.wait_status(lambda now: not daemon.reasons(now, "cut-incomplete"), "all of them are cut")
            tap.equal(through(doomed, kept), [], "request %d: what is denied is cut, what is allowed goes on" % number)
            for one in doomed + kept:
                one.close()
        # A list for each direction of IPv4, one of IPv6, and each connection.
        tap.ok(late and number >= 3 + len(doomed), "all requests failed once, and some were cut later", (late, number))
        _forgiven(tap, lab, daemon, host, tighter)


def _forgiven(tap, lab, daemon, host, tighter):
    """Audit mode cuts nothing: what could not be cut before is pending no more."""
    daemon.reload(lab.config())
    sessions = [Session(lab, "admin", host, ADDRESS[family]["server"], 8470) for family in FAMILIES]
    daemon.reload()
    daemon.write(tighter)
    daemon.call("Flows")  # reads connections now, and not in a second
    daemon.arm(CUT_FAILS, 3 + len(sessions))  # the last connection, after two lists of IPv4 and one of IPv6
    cut = daemon.call("Reload")["cut"]
    daemon.disarm()
    daemon.reload(tighter.replace("mode = enforce", "mode = audit"))
    tap.equal((cut, daemon.reasons(code="cut-incomplete")), (len(sessions) - 1, []),
              "audit mode: what could not be cut is no fault any more")
    tap.equal([session.lives() for session in sessions], [True] * len(sessions),
              "audit mode: what was cut is picked up again")
    for session in sessions:
        session.close()


def state_of(daemon):
    return sorted(os.listdir(daemon.state))


def content_of(daemon, name):
    with open(os.path.join(daemon.state, name), "rb") as file:
        return file.read()


def bad_disk(tap):
    """The state directory is full, read-only, or gone; a sync fails."""
    with Lab(tap) as lab:
        names = lab.dns(NAMES, ttl=1)
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = Daemon(lab, lab.config(flows=NARROW))
        namespaces.mount("state", daemon.state, "tmpfs", 0, "size=256k")
        lab.log_on_failure(tap, daemon)
        other = lab.config(flows=NARROW + "[flow api-in]\nenabled = no\n")
        filler = os.path.join(daemon.state, "filler")

        def fill():
            with open(filler, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        def remount(flags):
            namespaces.mount("state", daemon.state, None, 32 | flags)
        daemon.start()
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        number = 0
        for title, break_it, mend in (("full", fill, lambda: os.unlink(filler)),
                                      ("read-only", lambda: remount(1), lambda: remount(0))):
            before = {name: content_of(daemon, name) for name in state_of(daemon)}
            break_it()
            number += 1
            names.set(vendor.LICENSE_NAME, list(LICENSE[number].values()))
            status = daemon.wait_status(
                lambda now: set(LICENSE[number].values()) <= set(daemon.addresses(vendor.LICENSE_NAME, now))
                and "state-unsaved" in daemon.reason_codes(now),
                title + ": the name is followed, and status names the disk")
            tap.ok(status["health"] == "degraded", "state directory %s: names are followed, status is degraded" % title,
                   status["reasons"])
            again = daemon.reload(other)
            tap.ok(again["changed"] and guarded(lab), "state directory %s: a reload works" % title, again)
            tap.ok({name: content_of(daemon, name) for name in before} == before,
                   "state directory %s: the old files are whole" % title)
            for act in (daemon.kill, daemon.stop):
                act()
                daemon.start()
                tap.ok(guarded(lab) and daemon.status()["config"]["matches_disk"],
                       "state directory %s: a start works" % title)
                tap.ok({vendor.LICENSE_NAME} == {one["name"] for one in daemon.status()["names"]},
                       "state directory %s: names go on" % title)
            mend()
            # With the next address that is saved, or a minute later.
            names.set(vendor.LICENSE_NAME, list(LICENSE[number].values()) + ["198.51.100.%d" % (200 + number)])
            daemon.wait_status(lambda now: "config-unsaved" not in daemon.reason_codes(now),
                               title + " no more: nothing waits to be kept")
            tap.ok([name for name in state_of(daemon) if name.startswith("configuration-")
                    and b"api-in" in content_of(daemon, name)],
                   "state directory no longer %s: the policy in force is kept" % title)
            daemon.reload(lab.config(flows=NARROW))
            if LONG:
                daemon.wait_status(lambda now: now["health"] == "ok", title + " no more: healthy", bound=400)
            daemon.stop()
            daemon.start()
            daemon.wait_status(lambda now: now["health"] == "ok", title + " no more: healthy")
            tap.ok([name for name in state_of(daemon) if content_of(daemon, name) != before.get(name)],
                   "state directory no longer %s: it is written again" % title)
        for name in state_of(daemon):
            os.unlink(os.path.join(daemon.state, name))
        daemon.process.send_signal(19)
        subprocess.run(["umount", "-l", daemon.state], check=True)
        os.rmdir(daemon.state)
        daemon.process.send_signal(18)
        again = daemon.reload(other)
        tap.ok(guarded(lab), "state directory missing: a reload works", again)
        daemon.kill()
        daemon.start()
        tap.ok(guarded(lab), "state directory missing: a start works")
        status = daemon.wait_status(lambda now: {"config-unsaved", "state-unsaved"} & set(daemon.reason_codes(now)),
                                    "status shows it")
        tap.equal(status["health"], "degraded", "state directory missing: status shows it")


def damaged_files(tap):
    """Every file in the state directory cut off, of random bytes, or something else than a file, at a start."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=1)
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        for family in FAMILIES:
            lab.connect("client", ADDRESS[family]["server"], 443).close()
        daemon.stop()
        wanted = content(daemon.table())
        chance = random.Random(5)
        good = {name: content_of(daemon, name) for name in state_of(daemon)}
        tap.ok({"addresses", "counters", "held"} <= set(good), "what is kept", sorted(good))

        def flipped(data):
            bytes_ = bytearray(data)
            for _ in range(3):
                bytes_[chance.randrange(len(bytes_))] ^= 1 << chance.randrange(8)
            return bytes(bytes_)
        damages = (
            ("empty", lambda data: b""),
            ("cut in half", lambda data: data[:len(data) // 2]),
            ("its last byte missing", lambda data: data[:-1]),
            ("random bytes", lambda data: chance.randbytes(len(data))),
            ("much more random bytes", lambda data: chance.randbytes(1 << 20)),
            ("a megabyte of one line", lambda data: b"a" * (1 << 20)),
            ("a million lines", lambda data: b"a b\n" * (1 << 18)),
            ("zeros", lambda data: bytes(len(data))),
            ("bits flipped", flipped),
            ("twice", lambda data: data + data),
        )

        def put(name, damage):
            path = os.path.join(daemon.state, name)
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif os.path.lexists(path):
                os.unlink(path)
            if damage == "a directory":
                os.mkdir(path)
            elif damage == "a fifo":
                os.mkfifo(path)
            elif damage == "a symbolic link":
                os.symlink("/dev/zero", path)
            else:
                with open(path, "wb") as file:
                    file.write(damage)

        def starts(title):
            try:
                daemon.start()
            except NotReady as error:
                daemon.process = None
                tap.ok(False, title + ": it starts", error)
                return
            daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                               "the name is known")
            status = daemon.status()
            sane = all(flow["attempts"] < 1 << 62 for flow in status["flows"])
            wait_for(lambda: content(daemon.table()) == wanted, title + ": the policy is in force")
            tap.ok(status["config"]["matches_disk"] and sane, title + ": it starts, and the policy is in force",
                   status["reasons"])
            daemon.stop()
        for name in sorted(good):
            for title, damage in list(damages) + [(kind, None) for kind in (
                    "a directory", "a fifo", "a symbolic link")]:
                for one, data in good.items():
                    put(one, data)
                put(name, title if damage is None else damage(good[name]))
                starts("%s: %s" % (name, title))
        for title, damage in damages:
            for name, data in good.items():
                put(name, damage(data))
            starts("all files: " + title)
        for name in good:
            path = os.path.join(daemon.state, name)
            os.unlink(path)
        daemon.run("spefwd", "--clear")
        starts("all files gone, and the table")
        tap.ok("a sanitizer" not in daemon.log(), "not one complaint")


def hostile_socket(tap):
    """A client that hangs up in the middle of a reload."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config())
        for number in range(10):
            daemon.write(lab.config(flows="[flow api-in]\nenabled = no\n" if number % 2 == 0 else ""))
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(daemon.socket)
                sock.sendall(b"{\"method\":\"org.spefw.Gateway.Reload\"}\0")
        daemon.wait_status(lambda status: status["config"]["matches_disk"], "the last one is in force")
        tap.ok(guarded(lab), "callers that do not wait: guarded")


if __name__ == "__main__":
    main(*with_all_and_none(no_memory, lost_replies, meddled, killed_between, cut_later, bad_disk, damaged_files,
                            hostile_socket), lost_routes, deaf)
