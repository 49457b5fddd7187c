#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One daemon a state directory: a second one ends before it writes anything;
and only what was in force is kept for a later start."""
import fcntl
import hashlib
import os
import shutil
import signal
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, Daemon, Lab, main, vendor, wait_for  # noqa: E402
from lab.checks import content, guarded  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
BROKEN = "[server]\nadress = 192.0.2.25\n"


def files(directory):
    """{name: (inode, hash)}: a file that was written again with the same bytes is another."""
    result = {}
    for name in sorted(name for name in os.listdir(directory) if not name.endswith(".new")): # these come and go
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            result[name] = (os.stat(path).st_ino, hashlib.sha256(file.read()).hexdigest())
    return result


def refused(tap, second, title):
    """Starts it, and returns what it logged before it ended."""
    second.start(wait=False)
    wait_for(lambda: second.process.poll() is not None, title + ": it ends")
    tap.equal(second.stop(), 1, title + ": it ends")
    return second.log()


def configurations(daemon):
    """What it keeps of those that were in force."""
    return {name: text for name, text in files(daemon.state).items() if name.startswith(("configuration-", "history"))}


def second_daemons(tap):
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[443, 3389, 8470])
        config = lab.config()
        open_config = config.replace("mode = enforce", "mode = audit")
        tap.ok(open_config != config, "the other configuration denies nothing")
        first = lab.spefwd(config)
        first.wait_status(lambda status: len(first.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        wait_for(lambda: "addresses" in files(first.state), "it has saved what it knows")
        wait_for(lambda: "\"name\": \"retired" not in str(first.table()), "settled")
        # What comes later in the minute: the counters and the addresses, by the first daemon itself.
        kept, table = configurations(first), content(first.table())

        second = Daemon(lab, open_config, name="second")
        second.state = first.state
        log = refused(tap, second, "the same state directory")
        tap.ok(first.state + ": another spefwd uses this state directory" in log, "the reason is logged", log)
        tap.ok(not os.path.exists(second.socket), "it made no socket")

        third = Daemon(lab, open_config, name="third")
        third.socket = first.socket
        log = refused(tap, third, "the same socket")
        tap.ok(first.socket + ": another spefwd is running there" in log, "the reason is logged", log)
        tap.equal(files(third.state), {}, "it wrote nothing into its state directory")

        if first.status()["ownership"] == "owner":
            fourth = Daemon(lab, open_config, name="fourth")
            for name in configurations(first):
                shutil.copy(os.path.join(first.state, name), fourth.state)
            before = files(fourth.state)
            log = refused(tap, fourth, "a table that another daemon owns")
            tap.ok("is owned by another program" in log, "the reason is logged", log)
            tap.equal(files(fourth.state), before, "what was never in force is not kept")
        else:
            tap.skip("a second daemon on the table", "this kernel has no tables with an owner that persist")

        tap.equal(configurations(first), kept, "the first one's last good configuration is as it was")
        tap.equal(content(first.table()), table, "so is the table")
        tap.equal(first.status()["mode"], "enforce", "and the first one runs")
        # What this was about: a reboot with a broken file.
        first.stop()
        first.write(BROKEN)
        lab.nft("gateway", "flush ruleset")
        first.start()
        tap.equal(first.status()["mode"], "enforce", "started with a broken file: the last good one is in force")
        tap.ok(guarded(lab), "guarded")


def free_again(tap):
    """However a daemon ends, the next one can start."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 3389, 8470])
        daemon = lab.spefwd(lab.config())
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            daemon.stop(number)
            daemon.start()
            tap.ok(guarded(lab), "started again after %s" % number.name)


def has_open(process, path):
    directory = "/proc/%d/fd/" % process.pid
    try:
        return path in [os.readlink(directory + name) for name in os.listdir(directory)]
    except OSError: # it has closed one, or ended
        return False


def left_over(tap):
    """A daemon that was killed while it started its helper leaves the lock to that process for a moment: the next one
    waits."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 3389, 8470])
        daemon = Daemon(lab, lab.config())
        directory = os.open(daemon.state, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(directory, fcntl.LOCK_EX)
        daemon.start(wait=False)
        wait_for(lambda: has_open(daemon.process, daemon.state) or daemon.process.poll() is not None,
                 "it has come so far")
        tap.equal(daemon.process.poll(), None, "it waits")
        os.close(directory)
        wait_for(lambda: os.path.exists(daemon.socket), "it has started")
        daemon.wait_status(lambda status: status["generation"] > 0, "it answers")
        tap.ok(guarded(lab), "guarded")


def no_directory(tap):
    """Without a state directory, or with one that is no directory: it guards, and reports what it can't do."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 3389, 8470])
        daemon = Daemon(lab, lab.config())
        for title, make in (("missing", lambda: None),
                            ("a file", lambda: open(daemon.state, "w", encoding="ascii").close())):
            shutil.rmtree(daemon.state, ignore_errors=True)
            make()
            daemon.start()
            tap.ok(guarded(lab), "the state directory is %s: guarded" % title)
            status = daemon.status()
            tap.equal(status["health"], "degraded", "it is degraded")
            tap.ok("config-unsaved" in daemon.reason_codes(status), "and the reason is shown",
                   status["reasons"])
            tap.ok(daemon.state + ": the state directory can't be used" in daemon.log(), "so does the log",
                   daemon.log())
            daemon.stop()


if __name__ == "__main__":
    main(second_daemons, free_again, left_over, no_directory)
