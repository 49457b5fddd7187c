#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Another firewall flushes all tables while the gateway goes down, and spefwd is stopped next, before it had a turn:
what is left guards. The daemon is held by SIGSTOP, so that both are waiting for it when it goes on. The real thing, a
machine that shuts down, is in tests/kernels."""
import os
import signal
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, LICENSE, Lab, main, vendor, wait_for  # noqa: E402
from lab.checks import content, differences, guarded, with_all_and_none  # noqa: E402
from lab.sessions import Host, Session, through  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


def held(process):
    with open("/proc/%d/stat" % process.pid, encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def stopped_after_a_flush(tap):
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        host = Host(lab, "server", (143, 3389))
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        wait_for(lambda: "\"name\": \"retired" not in str(daemon.table()), "settled")
        before, owner = content(daemon.table()), daemon.status()["ownership"] == "owner"
        kept = [Session(lab, "client", host, ADDRESS[family]["server"], 143) for family in FAMILIES]

        process = daemon.process
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: held(process), "it is held")
        lab.nft("gateway", "flush ruleset")
        opened = []
        if owner:
            tap.equal(content(daemon.table()), before, "an owned table is skipped by a flush")
        else:
            tap.ok(daemon.table() is None, "there is no table")
            opened = [Session(lab, "client", host, ADDRESS[family]["server"], 3389) for family in FAMILIES]
            tap.ok(all(session.lives() for session in opened), "the server is open: this kernel can't prevent it")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        tap.equal(daemon.stop(signal.SIGCONT), 0, "it ends, as ordered")
        tap.equal(differences(before, content(daemon.table())), "", "and leaves the policy in force")
        tap.ok("stopping on Terminated: the table stays and guards" in daemon.log(), "that is logged", daemon.log())
        tap.equal(through(opened, kept), [], "what was opened in the gap is dead")
        tap.equal([session.title for session in kept if not session.lives()], [], "what is allowed goes on")
        lab.serve("server", tcp=[443, 8470])
        tap.ok(guarded(lab), "guarded")


def stopped_when_cleared(tap):
    """A table that was removed on request stays away, and the stop does not wait for it;
    in audit mode the log does not claim that it guards."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config().replace("mode = enforce", "mode = audit"))
        tap.equal(daemon.stop(), 0, "in audit mode, it ends")
        tap.ok("the table stays, and denies nothing" in daemon.log(), "and logs that nothing is denied", daemon.log())
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        daemon.ctl("clear", "--yes")
        tap.equal(daemon.stop(), 0, "it ends")
        tap.ok(daemon.table() is None, "there is no table")
        tap.ok("stopping on Terminated: the table was removed on request: the server is not guarded" in daemon.log(),
               "and that is logged", daemon.log())


def many_flushes(tap):
    """A program that flushes all the time does not keep it from ending."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 3389, 8470])
        daemon = lab.spefwd(lab.config())
        flushes = lab.start("gateway", "sh", "-c", "while :; do nft flush ruleset; done")
        count = daemon.status()["guards"]["repaired"]
        if daemon.status()["ownership"] != "owner":
            daemon.wait_status(lambda status: status["guards"]["repaired"] > count + 3, "it repairs")
        tap.equal(daemon.stop(), 0, "it ends while another program flushes")
        lab.stop(flushes)
        daemon.start()
        tap.ok(guarded(lab), "guarded after the next start")


def stopped_before_reloads(tap):
    """A stop comes before the reloads that are waiting: who sends SIGHUP all the time does not keep it from ending."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        for number in (signal.SIGTERM, signal.SIGINT):
            process, reloads = daemon.process, daemon.log().count("is in force, generation")
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda process=process: held(process), "it is held")
            process.send_signal(signal.SIGHUP)
            process.send_signal(number)
            tap.equal(daemon.stop(signal.SIGCONT), 0, number.name + ": it ends")
            tap.equal(daemon.log().count("is in force, generation"), reloads, number.name + ": without a reload before")
            daemon.start()


if __name__ == "__main__":
    main(*with_all_and_none(stopped_after_a_flush, many_flushes), stopped_when_cleared, stopped_before_reloads)
