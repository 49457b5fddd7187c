#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts, stops, crashes and strangers: the server stays guarded."""
import os
import random
import signal
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (ADDRESS, EXCHANGE, FAMILIES, LICENSE, NARROW, SYN, Daemon, Lab, NotReady, RawSender, Sniffer, counters,
                 frozen, is_syn, main,  # noqa: E402
                 probe_all, vendor, wait_for)
from lab.checks import OBJECTS, guarded, handles  # noqa: E402
from lab.manager import ManagedDaemon  # noqa: E402
from lab.streams import Denied  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


def serve(lab):
    lab.serve("server", tcp=[443, 8470, 3389])


def killed(tap):
    """kill -9 and a new start: the table filters meanwhile and is adopted as it is."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        serve(lab)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        tap.ok(guarded(lab), "the daemon guards")
        before, counts = handles(daemon), counters(daemon.table())
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 443) for family in FAMILIES}
        daemon.kill()
        tap.equal(handles(daemon), before, "killed: the table stays")
        tap.ok(guarded(lab), "killed: the table filters")
        tap.equal(daemon.ctl("status", check=False).returncode, 3, "killed: spefwctl status: not running (3)")
        done = daemon.run("spefwd", "--inspect")
        tap.ok(done.returncode == 0 and done.stdout.strip(), "killed: spefwd --inspect finds the table",
               (done.returncode, done.stdout, done.stderr))
        tap.note(done.stdout)
        seen = counters(daemon.table())
        daemon.start()
        tap.equal(handles(daemon), before,
                  "started again: chains, rules, sets, maps and counters are the same, not new ones")
        now = counters(daemon.table())
        tap.ok(all(now[name] >= seen[name] >= counts[name] for name in counts) and now["flow-https-in"] >= 4,
               "counters go on", (counts, seen, now))
        flow = [flow for flow in daemon.status()["flows"] if flow["id"] == "https-in"][0]
        tap.ok(flow["attempts"] >= seen["flow-https-in"], "status counts on as well", flow)
        tap.ok(guarded(lab) and all(connection.echo() for connection in kept.values()),
               "it guards, and connections go on")
        tap.equal(sorted(daemon.addresses(vendor.LICENSE_NAME)), sorted(NAMES[vendor.LICENSE_NAME]),
                  "addresses of names are known at once")


def killed_while_reloading(tap):
    """kill -9 at any moment of a reload: the old policy or the new one, never an open server."""
    with Lab(tap) as lab:
        serve(lab)
        configs = [lab.config(),
                   lab.config(flows="[flow api-in]\nenabled = no\n\n[flow backup-in]\nfrom = 203.0.113.77\n"
                              "to = SERVER\nprotocol = tcp\nport = 445, 10000-10100\n",
                              adm="203.0.113.0/24 198.51.100.200 2001:db8:3::/64", gateway="early_drop = no")]
        daemon = lab.spefwd(configs[0])
        chance = random.Random(7)
        streams = [Denied("client", ADDRESS[family]["client"], ADDRESS[family]["server"], (8470, 3389), "server")
                   for family in FAMILIES]
        problems = []
        for number in range(20):
            daemon.write(configs[(number + 1) % 2])
            daemon.kill_in_reload(chance.uniform(0, 0.03))
            if not guarded(lab):
                problems.append("%d: not guarded when dead" % number)
            daemon.start()
            if not daemon.status()["config"]["matches_disk"]:
                problems.append("%d: not the policy on disk" % number)
        for stream in streams:
            stream.close()
        tap.equal(problems, [], "20 kills: always guarded, always adopted")
        tap.equal([stream.leaked for stream in streams], [0, 0], "and no denied SYN came through meanwhile")


def stopped(tap):
    """SIGTERM leaves the table; a second start changes nothing in the kernel."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        serve(lab)
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        tap.ok(guarded(lab), "the daemon guards")
        denied = daemon.wait_status(lambda now: now["denied"]["last_hour"] > 0, "denials are counted")["denied"]
        tap.equal(daemon.stop(), 0, "SIGTERM: exit 0")
        tap.ok(not os.path.exists(daemon.socket), "the socket is gone")

        def content():
            return [one for one in frozen(daemon.table()) if "table" not in one]
        before, numbers = content(), handles(daemon)
        tap.ok(before and guarded(lab), "the table stays and filters")
        daemon.start()
        tap.ok(guarded(lab), "started again, it guards")
        tap.equal(handles(daemon), numbers, "chains, rules, sets, maps and counters are the same, not new ones")
        after = content()
        tap.ok(after == before, "not one rule or element differs",
               "\n".join("%s" % one for one in before + after if one not in before or one not in after))
        wait_for(lambda: daemon.status()["generation"], "it is ready")
        quiet = frozen(daemon.table(handles=True), handles=True)
        tap.ok(daemon.status()["denied"]["last_hour"] >= denied["last_hour"],
               "what was denied within the hour is known", daemon.status()["denied"])
        tap.equal(daemon.reload()["changed"], False, "a reload of the same file changes nothing")
        tap.ok(frozen(daemon.table(handles=True), handles=True) == quiet, "not one handle in the kernel")
        tap.equal(daemon.stop(signal.SIGINT), 0, "SIGINT: exit 0")


def inspected_and_cleared(tap):
    """spefwd --inspect and --clear, spefwctl clear."""
    with Lab(tap) as lab:
        serve(lab)
        daemon = lab.spefwd(lab.config())
        done = daemon.ctl("clear", check=False)
        tap.ok(done.returncode == 2 and "--yes" in done.stderr and daemon.table(), "clear without --yes is refused (2)",
               (done.returncode, done.stderr))
        done = daemon.ctl("clear", "--yes")
        tap.ok(daemon.table() is None, "clear --yes removes the table", done.stdout + done.stderr)
        status = daemon.status()
        tap.ok(status["health"] == "failed" and "table-removed" in daemon.reason_codes(status),
               "status shows that nothing is guarded", (status["health"], status["reasons"]))
        with lab.connect("client", "192.0.2.25", 3389) as connection:
            tap.ok(connection.echo(), "then the server is open")
        daemon.reload()
        tap.ok(guarded(lab), "reload guards again")
        daemon.ctl("clear", "--yes")
        daemon.stop()
        tap.ok(daemon.table() is None, "a stop after clear leaves no table")
        daemon.start()
        tap.ok(guarded(lab), "a restart ends clear: it guards again")
        tap.equal(daemon.stop(), 0, "stop")
        done = daemon.run("spefwd", "--inspect")
        tap.equal(done.returncode, 0, "--inspect with a table: 0")
        lab.nft("gateway", "add counter inet spefw mine")
        done = daemon.run("spefwd", "--inspect")
        tap.ok(done.returncode == 1 and "not of spefw's making" in done.stdout,
               "--inspect with something foreign in it: 1", (done.returncode, done.stdout))
        done = daemon.ctl("status", check=False)
        tap.ok(done.returncode == 3 and "changed by another program" in done.stdout, "and status shows it",
               done.stdout + done.stderr)
        done = daemon.run("spefwd", "--clear")
        tap.ok(done.returncode == 0 and daemon.table() is None, "--clear without a daemon removes it",
               done.stdout + done.stderr)
        done = daemon.run("spefwd", "--clear")
        tap.equal(done.returncode, 0, "--clear again: nothing to do is no failure")
        done = daemon.run("spefwd", "--inspect")
        tap.ok(done.returncode == 1, "--inspect without a table: 1", (done.returncode, done.stdout, done.stderr))
        done = daemon.ctl("status", check=False)
        tap.ok(done.returncode == 3 and "not running" in done.stderr + done.stdout,
               "status without a daemon: 3, and what is the matter", done.stdout + done.stderr)


def told_to_the_manager(tap):
    """What systemctl status shows: at once, and nothing that is not in force. Generations go on over restarts."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = ManagedDaemon(lab, lab.config())
        lab.log_on_failure(tap, daemon)
        daemon.start()

        def told():
            return [words["STATUS"] for words in daemon.notices if "STATUS" in words][-1]
        wait_for(lambda: told().startswith("ok, guards 192.0.2.25"), "it is healthy")
        first = daemon.status()["generation"]
        daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        wait_for(lambda: "audits 192.0.2.25" in told() and "denies nothing" in told(), "audit mode")
        daemon.ctl("clear", "--yes")
        wait_for(lambda: told().startswith("failed: the table was removed"), "cleared")
        tap.ok("192.0.2.25" not in told() and "audits" not in told(), "after clear nothing else is told", told())
        status = daemon.status()
        tap.equal((status["removed"], status["generation"], [one["code"] for one in status["reasons"]]),
                  (True, first + 2, ["table-removed"]),
                  "nor by status; a reload and a clear are one generation each")
        daemon.reload()
        wait_for(lambda: "audits 192.0.2.25" in told(), "it is in force again")
        status = daemon.status()
        tap.equal((status["removed"], status["generation"]), (False, first + 3), "and is the next one")
        for _ in "ab":
            daemon.stop()
            daemon.start()
        tap.equal(daemon.status()["generation"], first + 3, "a restart is none")
        daemon.stop()
        daemon.write(lab.config())
        daemon.start()
        tap.equal(daemon.status()["generation"], first + 4, "a start on another file is one")


def audited(tap):
    """Audit mode drops nothing, and counts what it would have dropped."""
    with Lab(tap) as lab:
        ports = [22, 443, 3389, 8470, 8474]
        lab.serve("server", tcp=ports, udp=[123])
        lab.serve("internet", tcp=[25, 443])
        daemon = lab.spefwd(lab.config().replace("mode = enforce", "mode = audit"))
        tap.equal(daemon.status()["mode"], "audit", "status shows audit")
        for family in FAMILIES:
            ipv = "IPv%d: " % family
            probes = probe_all([("client", ADDRESS[family]["server"], port, True) for port in ports]
                               + [("server", EXCHANGE[family], 25, True)])
            tap.ok(all(probe.open for probe in probes), ipv + "all ports are open, in and out",
                   [(probe.port, probe.result) for probe in probes])
            with Sniffer("server", keep=lambda packet: packet.src == ADDRESS[family]["client"]
                         and (packet.kind == "icmp" or packet.sport in (40000, 40001))) as sniffer:
                with RawSender("client", ADDRESS[family]["client"], ADDRESS[family]["server"]) as sender:
                    sender.echo()
                    sender.udp(40000, 123)
                    sender.tcp(40000, 8470, 0)
                    sender.tcp(40001, 443)
                wait_for(lambda: sniffer.seen(lambda packet: packet.sport == 40001), "the mark arrives")
            arrived = {(packet.kind, packet.flags) for packet in sniffer.packets}
            tap.ok({("icmp", 0), ("udp", 0), ("tcp", 0), ("tcp", SYN)} <= arrived,
                   ipv + "echo, UDP and an invalid packet arrive", sniffer.packets)
            with Sniffer("internet", keep=is_syn) as sniffer:
                with RawSender("client", ADDRESS[family]["server"], EXCHANGE[family]) as thief:
                    thief.tcp(40002, 80)
                wait_for(sniffer.seen, "the stolen address arrives")
        status = daemon.status()
        tap.ok(status["denied"]["in"] + status["denied"]["early"] >= 10 and status["denied"]["out"] >= 2
               and status["guards"]["spoofed"] >= 2,
               "what would have been dropped is counted", (status["denied"], status["guards"]))
        daemon.reload(lab.config())
        tap.ok(guarded(lab), "mode = enforce: guarded")
        daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        [probe] = probe_all([("client", "192.0.2.25", 3389, True)])
        tap.ok(probe.open, "and back")
        daemon.stop()
        done = daemon.run("spefwd", "--inspect")
        tap.ok("audit mode: it counts, and denies nothing" in done.stdout, "--inspect knows it", done.stdout)


def bad_starts(tap):
    """A start with a bad or missing file: on the last good one, or not at all and with advice."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        serve(lab)
        daemon = Daemon(lab, "[server]\nadress = 192.0.2.25\n")
        try:
            daemon.start()
            tap.ok(False, "a bad file and nothing to fall back on: no start")
        except NotReady as error:
            tap.equal(error.returncode, 78, "a bad file and nothing to fall back on: exit 78")
            tap.ok("spefw.ini:2: " in daemon.log() and "did you mean address?" in daemon.log(),
                   "with the error and its line", daemon.log())
        daemon.process = None
        tap.ok(daemon.table() is None, "and no table")
        os.unlink(daemon.config)
        try:
            daemon.start()
            tap.ok(False, "no file: no start")
        except NotReady as error:
            tap.equal(error.returncode, 78, "no file: exit 78")
            tap.ok("spefw.ini" in daemon.log() and "write a first one" in daemon.log(), "with advice", daemon.log())
        daemon.process = None
        daemon.write(lab.config())
        daemon.start()
        tap.ok(guarded(lab), "a good file: guarded")
        second = Daemon(lab, lab.config(), name="second")
        second.socket = daemon.socket
        try:
            second.start(wait=False)
            wait_for(lambda: second.process.poll() is not None, "the second one ends")
            tap.ok(second.process.returncode not in (0, None) and "sock" in second.log(),
                   "a second daemon on the same socket refuses to start", second.log())
        finally:
            second.process = None
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")
        tap.ok(True, "the first one does not mind")
        generation = daemon.status()["generation"]
        for title, code, spoil in (
                ("a bad file", "config-refused", lambda: daemon.write("[server]\nadress = 192.0.2.25\n")),
                ("no file", "config-missing", lambda: os.unlink(daemon.config))):
            daemon.stop()
            daemon.run("spefwd", "--clear")
            spoil()
            daemon.start()
            status = daemon.status()
            tap.ok(guarded(lab), title + ": on the last good one: guarded, though the table was gone")
            tap.equal((status["health"], status["config"]["matches_disk"]), ("degraded", False),
                      title + ": status shows it")
            reasons = [one for one in status["reasons"] if one["code"].startswith("config-")]
            tap.ok([one["code"] for one in reasons] == [code] and "a kept copy is in force" in reasons[0]["text"]
                   and reasons[0].get("remedy"), title + ": as what it is, with what mends it", reasons)
        tap.equal(daemon.status()["generation"], generation, "what was kept is no other policy")
        daemon.write(lab.config() + "; mended\n")
        tap.equal([code for code in daemon.reason_codes() if code.startswith("config-")], ["config-kept"],
                  "mended and not loaded: what is in force is a kept copy")
        daemon.reload()
        daemon.wait_status(lambda now: now["health"] == "ok" and now["config"]["matches_disk"],
                           "healthy with a good file")
        tap.ok(True, "a good file again: healthy")


def wait_repaired(daemon, before):
    """Without ownership the daemon sees a foreign change and restores its table by itself; returns the new count."""
    return daemon.wait_status(lambda status: status["guards"]["repaired"] > before, "the repair is counted")["guards"][
        "repaired"]


def strangers(tap):
    """Another program flushes the ruleset, or changes the table; a table of our name is there already."""
    with Lab(tap) as lab:
        serve(lab)
        lab.dns(NAMES)
        lab.nft("gateway", "table inet spefw {\n\tchain forward { type filter hook forward priority filter; "
                "policy accept; tcp dport 3389 accept; }\n}\n")
        daemon = lab.spefwd(lab.config())
        tap.ok(guarded(lab), "a foreign table of our name is replaced")
        before = handles(daemon, OBJECTS)
        owner = daemon.status()["ownership"] == "owner"
        lab.run("gateway", "nft", "flush", "ruleset", check=False)
        if owner:
            tap.equal(handles(daemon, OBJECTS), before, "a foreign flush ruleset passes it over")
        else:
            repaired = wait_repaired(daemon, 0)
        tap.ok(guarded(lab), "guarded after a foreign flush ruleset")
        for command in ("delete table inet spefw", "flush chain inet spefw forward",
                        "insert rule inet spefw forward accept"):
            done = lab.run("gateway", "nft", *command.split(), check=False)
            if owner:
                tap.ok(done.returncode != 0, "refused: nft " + command, done.stderr)
            else:
                repaired = wait_repaired(daemon, repaired)
            tap.ok(guarded(lab), "guarded after nft " + command)
        daemon.kill()
        lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
        daemon.start()
        tap.ok(guarded(lab), "deleted while the daemon was dead: there again with it")
        daemon.kill()
        lab.run("gateway", "nft", "insert", "rule", "inet", "spefw", "forward", "accept")
        [probe] = probe_all([("client", "192.0.2.25", 8470, True)])
        tap.ok(probe.open, "a rule was put in while the daemon was dead")
        daemon.start()
        tap.ok(guarded(lab), "started again, it is gone")


def interfaces_change(tap):
    """The server's interface comes late, or goes; the gateway's addresses change."""
    with Lab(tap) as lab:
        lab.ip("gateway", "link set lan down")
        lab.dns(NAMES)
        serve(lab)
        daemon = lab.spefwd(lab.config())
        lab.ip("gateway", "link set lan up", "addr add 2001:db8:2::1/64 dev lan nodad")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        wait_for(lambda: guarded_quickly(lab), "guarded once the interface is up")
        tap.ok(guarded(lab), "the interface came later: guarded")
        for family in FAMILIES:
            stolen, target = ADDRESS[family]["server"], EXCHANGE[family]

            def dropped():
                with Sniffer("internet", keep=is_syn) as sniffer:
                    with RawSender("client", stolen, target) as thief, RawSender(
                            "client", ADDRESS[family]["client"], target) as honest:
                        thief.tcp(40000, 80)
                        honest.tcp(40001, 80)
                    wait_for(lambda: sniffer.seen(lambda packet: packet.sport == 40001), "the honest SYN arrives")
                return not [packet for packet in sniffer.packets if packet.src == stolen]
            tap.ok(wait_for(dropped, "the spoof guard is there", bound=20),
                   "IPv%d: the server's address on other interfaces is dropped then" % family)
        lab.ip("gateway", "link set lan down", "link set lan name inside", "link set inside up",
               "addr add 2001:db8:2::1/64 dev inside nodad")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        wait_for(lambda: guarded_quickly(lab), "guarded once the interface has another name")
        tap.ok(guarded(lab), "the interface has another name: guarded")
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")


def guarded_quickly(lab):
    try:
        for family in FAMILIES:
            lab.connect("client", ADDRESS[family]["server"], 443, bound=2).close()
        return True
    except OSError:
        return False


def hung_up(tap):
    """SIGHUP reads the file again."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        generation = daemon.status()["generation"]
        daemon.write(lab.config(flows="[flow api-in]\nenabled = no\n"))
        daemon.process.send_signal(signal.SIGHUP)
        status = daemon.wait_status(lambda now: now["generation"] > generation, "the file is read")
        tap.equal([flow["enabled"] for flow in status["flows"] if flow["id"] == "api-in"], [False],
                  "SIGHUP applies the file")
        daemon.write("[server]\n")
        daemon.process.send_signal(signal.SIGHUP)
        status = daemon.wait_status(lambda now: not now["config"]["matches_disk"], "the bad file is noticed")
        tap.ok(status["health"] == "degraded" and "spefw.ini:" in daemon.log(),
               "a bad file: degraded, and the errors are logged", (status["reasons"], daemon.log()))


if __name__ == "__main__":
    main(killed, stopped, inspected_and_cleared, told_to_the_manager, audited,
         bad_starts, strangers, interfaces_change, hung_up,
         killed_while_reloading)
