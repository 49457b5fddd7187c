#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The socket that owns the table is left with the service manager:
after kill -9 there is no moment without an owner."""
import os
import socket
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, Lab, main, wait_for  # noqa: E402
from lab.checks import DeniedStreams, content, guarded, handles, with_all_and_none  # noqa: E402
from lab.manager import ManagedDaemon  # noqa: E402
from lab.netlink import table_owner  # noqa: E402


def managed(lab, tap):
    lab.serve("server", tcp=[143, 443, 8470, 3389])
    daemon = ManagedDaemon(lab, lab.config())
    lab.log_on_failure(tap, daemon)
    return daemon.start()


def kept_over_kills(tap):
    """kill -9 and a restart with the stored socket: the same owner all the time."""
    with Lab(tap) as lab:
        daemon = managed(lab, tap)
        owner = daemon.status()["ownership"] == "owner"
        wait_for(lambda: daemon.stored, "FDSTORE=1")
        tap.equal(list(daemon.stored), ["nftables"], "the daemon leaves its socket with the manager")
        before, numbers, port = content(daemon.table()), handles(daemon), table_owner("gateway")
        tap.ok(bool(port[1]) == owner, "the table has an owner where the kernel can", port)
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 143) for family in FAMILIES}
        with DeniedStreams() as traffic:
            for number in range(1, 4):
                daemon.kill()
                tap.equal(table_owner("gateway"), port, "kill %d: the owner is the same" % number)
                if owner:
                    for command in ("delete table inet spefw", "insert rule inet spefw forward accept"):
                        tap.ok(lab.run("gateway", "nft", *command.split(), check=False).returncode != 0,
                               "kill %d: nft %s is refused" % (number, command))
                    lab.run("gateway", "nft", "flush", "ruleset")
                daemon.start()
                tap.equal(table_owner("gateway"), port, "start %d: the owner is the same" % number)
                tap.ok(handles(daemon) == numbers and content(daemon.table()) == before,
                       "start %d: adopted as it was, down to the rules" % number)
                tap.equal(list(daemon.stored), ["nftables"], "start %d: one socket is stored" % number)
                # Many commits and a crash at once: replies of the dead daemon's commit wait in the socket that the next
                # one gets.
                daemon.write(lab.config(flows="[flow api-in]\nenabled = no\n" if number % 2 else ""))
                tap.ok(daemon.reload()["changed"], "start %d: it may change the table" % number)
                before, numbers = content(daemon.table()), handles(daemon)
        tap.equal(traffic.leaked, 0, "no denied SYN came through")
        tap.ok(all(connection.echo() for connection in kept.values()) and guarded(lab),
               "connections go on, and it guards")
        daemon.stop()
        daemon.forget()  # as systemctl stop does
        daemon.start()
        wait_for(lambda: daemon.stored, "FDSTORE=1 again")
        tap.ok(guarded(lab) and list(daemon.stored) == ["nftables"],
               "stopped and started: a new socket is left, and it guards")
        if owner:
            tap.ok(table_owner("gateway")[1] not in (None, port[1]), "owned by the new one",
                   (port, table_owner("gateway")))


def useless_descriptors(tap):
    """What is given back is no such socket: the daemon opens one of its own."""
    with Lab(tap) as lab:
        daemon = managed(lab, tap)
        wait_for(lambda: daemon.stored, "FDSTORE=1")
        for title, family, kind in (("a socket of another kind", socket.AF_INET, socket.SOCK_DGRAM),
                                    ("a pipe", None, None)):
            daemon.kill()
            daemon.forget()
            if family is None:
                reading, writing = os.pipe()
                os.close(writing)
                daemon.stored["nftables"] = reading
            else:
                with socket.socket(family, kind) as sock:
                    daemon.stored["nftables"] = os.dup(sock.fileno())
            daemon.start()
            tap.ok(guarded(lab), title + " instead: it starts and guards")
            wait_for(lambda: {"FDSTORE", "FDNAME"} <= {word for notice in daemon.notices for word in notice},
                     "FDSTORE=1 again")
            tap.ok(True, title + " instead: it leaves its own")
        daemon.kill()
        daemon.forget()
        daemon.stored["other"] = os.open("/dev/null", os.O_RDONLY)
        daemon.start()
        tap.ok(guarded(lab), "a descriptor of another name is not taken")


def watched_once_ready(tap):
    """The first sign of life for the manager's watchdog arms it: none before the start is over, however long the kernel
    takes to load its modules."""
    os.environ["WATCHDOG_USEC"] = "20000000"
    try:
        with Lab(tap) as lab:
            daemon = managed(lab, tap)
            wait_for(lambda: any("WATCHDOG" in words for words in daemon.notices), "WATCHDOG=1")
            words = [word for notice in daemon.notices for word in notice if word in ("READY", "WATCHDOG")]
            tap.equal(words[:2], ["READY", "WATCHDOG"], "READY=1 comes before WATCHDOG=1")
    finally:
        del os.environ["WATCHDOG_USEC"]


if __name__ == "__main__":
    main(*with_all_and_none(kept_over_kills, useless_descriptors), watched_once_ready)
