#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof of the table: what status and verify say of it, and what becomes of a change that would be another table
than the policy. A spefwd of the test's own errs on request (proof_hook.c)."""
import json
import os
import shutil
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, LICENSE, Lab, VarlinkError, main, program, vendor, wait_for  # noqa: E402
from lab.checks import content, differences, guarded, handles, with_all_and_none  # noqa: E402
from lab.daemon import TOP  # noqa: E402
from lab.varlink import Interface  # noqa: E402

INTERFACE = os.path.join(TOP, "include", "spefw", "org.spefw.Gateway.varlink")
FLOW = "[flow %s]\nfrom = 203.0.113.77\nto = SERVER\nprotocol = tcp\nport = 7777\n"
ERRS, FAILS = FLOW % "compiler-errs", FLOW % "prover-fails"


def proof(daemon):
    return daemon.status()["proof"]


def states(daemon):
    status = daemon.wait_status(lambda now: not any(code.startswith("name-") for code in daemon.reason_codes(now)),
                                "names are resolved")
    return status["health"], status["proof"]["state"], sorted(set(daemon.reason_codes(status)) & {
        "proof-differs", "proof-reported", "proof-refused", "not-proven", "table-outdated", "config-kept",
        "config-changed"})


def begin(lab):
    lab.serve("server", tcp=[443, 3389, 8470])
    lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})


class Scene:
    """The lab with a spefwd that errs on request."""

    def __init__(self, lab, config=None):
        self.lab = lab
        os.chmod(self.lab.dir, 0o755)
        self.folder = os.path.join(self.lab.dir, "programs")
        self.meddles = os.path.join(self.lab.dir, "meddles")
        self.meddle(0)
        os.mkdir(self.folder)
        shutil.copy(program("tests/system/proof_hook"), os.path.join(self.folder, "spefwd"))
        shutil.copy(program("spefw-resolver"), self.folder)
        self.unseen = os.path.join(self.folder, "unseen")
        shutil.copy(shutil.which("nft"), self.unseen)
        os.environ["SPEFW_MEDDLES"] = self.meddles
        lab.at_close(lambda: os.environ.pop("SPEFW_MEDDLES"))
        begin(lab)
        self.daemon = self.lab.spefwd(config or self.lab.config(), programs=self.folder)

    def meddle(self, times):
        """So many times, while the table is read, another program changes tables of its own."""
        with open(self.meddles, "w", encoding="ascii") as file:
            file.write("%-8d\n" % times)

    def change(self, command):
        """Of another program, and nobody hears of it."""
        self.lab.run("gateway", self.unseen, command)


def verified(daemon, state):
    """The reply of Verify, once it says so: who asks again at once gets the same answer."""
    found = []

    def right():
        found.append(daemon.call("Verify")["proof"])
        return found[-1]["state"] == state
    wait_for(right, "verified: " + state)
    return found[-1]


def proven(tap):
    """Equal at the start, after a reload and after kill -9: over which adopted rules stay the same."""
    with Lab(tap) as lab:
        begin(lab)
        daemon = lab.spefwd(lab.config())
        tap.equal(states(daemon), ("ok", "equal", []), "healthy at the start")
        with open(INTERFACE, encoding="utf-8") as file:
            interface = Interface(file.read())
        first = proof(daemon)
        tap.equal((first["state"], first["generation"]), ("equal", daemon.status()["generation"]), "equal at the start")
        tap.ok(first["cells"] > 100, "many cells were compared", first)
        tap.equal(sorted(first), ["cells", "generation", "state", "took_ms"], "nothing else is said of it")
        shown = daemon.ctl("status").stdout
        tap.ok("proof: equal for all packets, generation %d" % first["generation"] in " ".join(shown.split()),
               "status says so", shown)
        shown = daemon.ctl("status", "-v").stdout
        tap.ok("%s cells, %d ms" % ("{:,}".format(first["cells"]), first["took_ms"]) in " ".join(shown.split()),
               "status -v has what it took", shown)
        reply = daemon.call("Verify")
        tap.equal(interface.complaints(interface.methods["Verify"][1], reply), [], "as the interface has it")
        done = daemon.ctl("verify", check=False)
        tap.equal((done.returncode, done.stdout.split(":")[0]), (0, "equal for all packets"), "verify: equal")
        tap.ok("what this does not cover: established connections" in done.stdout, "verify: what stands outside")
        metrics = daemon.ctl("metrics").stdout.split("\n")
        cells = "spefw_proof_cells %d" % proof(daemon)["cells"]
        tap.ok("spefw_proof_equal 1" in metrics and cells in metrics, "metrics")
        daemon.reload(lab.config(adm="203.0.113.0/25 2001:db8:3::/64"))
        again = proof(daemon)
        tap.equal((again["state"], again["generation"]), ("equal", first["generation"] + 1), "equal after a reload")
        before = handles(daemon)
        daemon.kill()
        daemon.start()
        tap.equal(states(daemon), ("ok", "equal", []), "equal after kill -9 and a start")
        tap.equal(handles(daemon), before, "each rule, chain, set and counter has the handle that it had")
        tap.ok(guarded(lab), "guarded")
        daemon.stop()
        done = daemon.ctl("verify", check=False)
        tap.equal((done.returncode, done.stdout), (3, ""), "without a daemon: exit status 3")


def changed_unseen(tap):
    """What another program has done to the table, unheard of, verify finds, with a packet; and it is repaired."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        states(daemon)
        wanted = content(daemon.table())
        scene.change("insert rule inet spefw deny_in accept")
        tap.ok(not guarded(lab), "it opens the server")
        tap.equal(states(daemon), ("ok", "equal", []), "and was not heard of")
        done = daemon.ctl("verify", "--json", check=False)
        found = json.loads(done.stdout)["proof"]
        tap.equal((done.returncode, found["state"]), (1, "differs"), "verify finds it")
        tap.ok("why" in found, "and says what it is", found)
        daemon.wait_status(lambda status: status["proof"]["state"] == "equal", "repaired")
        tap.equal(differences(content(daemon.table()), wanted), "", "it is repaired then")
        tap.ok(guarded(lab), "guarded")
        verified(daemon, "equal")
        # Of our own making, as far as each rule goes: there it takes a packet to see it.
        scene.change("add element inet spefw role_ADM_4 { 198.51.100.0/24 }")
        found = verified(daemon, "differs")
        tap.ok(all(found.get(key) for key in ("packet", "wanted", "found")), "a packet shows it", found)
        tap.ok("198.51.100." in found["packet"] and "accepted" in found["found"], "from whom it lets pass", found)
        text = daemon.log()
        tap.ok("the table is not the policy: " + found["packet"] in text, "the journal has it")
        daemon.wait_status(lambda status: status["proof"]["state"] == "equal", "repaired")
        tap.equal(differences(content(daemon.table()), wanted), "", "an element is taken out again")


def refused(tap):
    """A change that would be another table is refused: the old one stays, also over kill -9; with proof = report it is
    made."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        tap.equal(states(daemon), ("ok", "equal", []), "equal at first")
        wanted, generation, before = content(daemon.table()), daemon.status()["generation"], handles(daemon)
        try:
            daemon.reload(lab.config(flows=ERRS))
            tap.ok(False, "the reload is refused")
        except VarlinkError as error:
            what = error.parameters["what"]
            tap.ok("the table would not be the policy: " in what and "by the policy dropped" in what
                   and "by the table accepted" in what, "who asked is told the packet, and both ends of it", what)
        tap.equal(handles(daemon), before, "the kernel got nothing of it")
        tap.ok(guarded(lab), "packets: the old table guards")
        tap.equal(daemon.status()["generation"], generation, "the old policy is in force")
        tap.equal(states(daemon), ("degraded", "equal", ["config-changed", "proof-refused"]), "health says so")
        tap.equal(daemon.status()["proof_refused"], 1, "counted once: it is not tried again by itself")
        done = daemon.ctl("reload", check=False)
        tap.ok(done.returncode == 1 and "would not be the policy" in done.stderr, "so does spefwctl", done.stderr)
        for title, stop in (("kill -9", daemon.kill), ("a stop", daemon.stop)):
            stop()
            daemon.start()
            tap.equal(states(daemon), ("degraded", "equal", ["config-kept"]), title + ": the configuration before is "
                      "in force")
            tap.equal(differences(content(daemon.table()), wanted), "", title + ": the table is what it was")
        tap.ok(guarded(lab), "guarded")
        daemon.stop()
        daemon.run("spefwd", "--clear")
        daemon.start()
        tap.equal(states(daemon), ("degraded", "equal", ["config-kept"]), "a start without a table builds it, too")
        tap.ok(guarded(lab), "packets: it guards")
        daemon.reload(lab.config(flows=ERRS, gateway="proof = report"))
        tap.equal(states(daemon), ("degraded", "differs", ["proof-reported"]), "proof = report: it is made, and told")
        tap.ok(not guarded(lab), "packets: as the table is")
        done = daemon.ctl("verify", check=False)
        tap.ok(done.returncode == 1 and "policy  dropped" in done.stdout, "verify: a packet", done.stdout)
        told = daemon.ctl("explain", ADDRESS[4]["client"], "server:8470").stdout
        tap.ok(told.startswith("DENIED by spefw, but the rules in the kernel let it pass\n")
               and "they accept it, counted by denied-in; see" in " ".join(told.split()), "explain says so, too", told)
        told = daemon.ctl("explain", ADDRESS[4]["client"], "server:443").stdout
        tap.ok(told.startswith("ALLOWED by spefw (https-in)\n") and "rules in the kernel" not in told,
               "of this packet alone", told)
        daemon.reload(lab.config())
        tap.equal(states(daemon), ("ok", "equal", []), "a good file again")
        told = daemon.ctl("explain", ADDRESS[4]["client"], "server:8470").stdout
        tap.ok(told.startswith("DENIED by spefw\n") and "rules in the kernel" not in told, "explain says no more", told)
        tap.ok(guarded(lab), "guarded")


def refused_start(tap):
    """At a first start there is nothing else: it is built, and health is failed."""
    with Lab(tap) as lab:
        scene = Scene(lab, lab.config(flows=ERRS))
        tap.equal(states(scene.daemon), ("failed", "differs", ["proof-differs"]), "failed, and told")
        tap.ok(scene.daemon.table(), "there is a table")
        scene.daemon.reload(lab.config())
        tap.equal(states(scene.daemon), ("ok", "equal", []), "a good file")
        tap.ok(guarded(lab), "guarded")


def prover_fails(tap):
    """A fault of the prover itself hinders no change, and is told."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        tap.ok(daemon.reload(lab.config(flows=FAILS))["changed"], "the reload is made")
        tap.equal(states(daemon), ("degraded", "not-proven", ["not-proven"]), "and told")
        tap.ok("it is too large" in daemon.reasons(code="not-proven")[0], "with the reason", daemon.reasons())
        tap.ok(guarded(lab), "it guards")
        tap.equal(daemon.ctl("verify", check=False).returncode, 1, "verify: exit status 1")
        daemon.stop()
        daemon.run("spefwd", "--clear")
        daemon.start()
        tap.ok(guarded(lab), "it guards after a start without a table")
        daemon.reload(lab.config())
        tap.equal(states(daemon), ("ok", "equal", []), "proven again")


def read_while_changing(tap):
    """Tables that change while ours is read: it is read again; where that never ends, it is not proven, and told."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        daemon.stop()
        scene.meddle(4)
        daemon.start()
        with open(scene.meddles, encoding="ascii") as file:
            tap.equal(int(file.read()), 0, "four readings were of several moments")
        tap.equal(states(daemon), ("ok", "equal", []), "the fifth one was of one")
        daemon.stop()
        scene.meddle(1000)
        daemon.start()
        tap.equal(states(daemon), ("degraded", "not-proven", ["not-proven"]), "none was: not proven, and told")
        with open(scene.meddles, encoding="ascii") as file:
            tap.equal(int(file.read()), 995, "after five")
        tap.ok("change tables all the time" in daemon.reasons(code="not-proven")[0], "why", daemon.reasons())
        tap.ok(guarded(lab), "it guards")
        scene.meddle(0)
        verified(daemon, "equal")
        tap.equal(states(daemon), ("ok", "equal", []), "once it can be read, it is proven")


def watched(tap):
    """Who watches sees it."""
    with Lab(tap) as lab:
        scene = Scene(lab)
        daemon = scene.daemon
        path = os.path.join(lab.dir, "events")
        with open(path, "w", encoding="utf-8") as out:
            argv = ["ip", "netns", "exec", "gateway", program("spefwctl"), "-s", daemon.socket, "--json", "watch"]
            process = subprocess.Popen(argv, stdout=out)  # pylint: disable=consider-using-with

            def events(kind):
                with open(path, encoding="utf-8") as file:
                    return [event for event in (json.loads(line)["event"] for line in file) if event["kind"] == kind]
            try:
                wait_for(lambda: events("begin"), "it watches")
                daemon.write(lab.config(flows=ERRS))
                daemon.ctl("reload", check=False)
                wait_for(lambda: events("proof"), "a refused change is an event")
                event = events("proof")[0]
                tap.equal((event["done"], event["proof"]["state"]), (False, "differs"), "of no table that is")
                daemon.reload(lab.config(flows=ERRS, gateway="proof = report"))
                wait_for(lambda: len(events("proof")) > 1, "one that is made, too")
                tap.equal(events("proof")[1]["done"], True, "of the table")
                tap.equal(events("proof")[1]["proof"]["generation"], proof(daemon)["generation"], "of that policy")
            finally:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    # Where the table is owned, nobody else can change it.
    main(*with_all_and_none(proven, refused), with_all_and_none(changed_unseen)[1], refused_start, prover_fails,
         read_while_changing, watched)
