#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of spefwd(8) that traces a packet, as it stands there."""
import os
import re
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, LICENSE, Lab, RawSender, main, namespaces, vendor, wait_for  # noqa: E402
from lab.daemon import BUILD, TOP  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
# What the page has for the address that is looked for.
SOURCE = "203.0.113.9"


def recipe():
    """The commands, in their order."""
    built = os.path.join(BUILD, "doc", "spefwd.8")
    with open(built if os.path.exists(built) else os.path.join(TOP, "doc", "spefwd.8"), encoding="utf-8") as file:
        section = re.search(r"^\.Ss Tracing a packet\n(.*?)^\.S[hs] ", file.read(), re.M | re.S).group(1)
    return re.findall(r"^# (.*)$", section.replace("\\-", "-"), re.M)


class Monitor:
    """`nft monitor trace` as it is shown, from when it listens."""

    def __init__(self, lab, command):
        self.process = lab.start("gateway", "sh", "-c", "exec stdbuf -oL " + command)

        def listens():
            with namespaces.inside("gateway"), open("/proc/thread-self/net/netlink", encoding="ascii") as file:
                return any(line.split()[1] == "12" and line.split()[2] == str(self.process.pid)
                           and int(line.split()[3], 16) for line in file.readlines()[1:])
        wait_for(listens, "nft listens")

    def lines(self):
        with open(self.process.log, encoding="utf-8") as file:
            return [line for line in file.read().split("\n") if line.startswith("trace id")]


def packets(lines):
    """{trace id: its lines}, in the order of the packets."""
    found = {}
    for line in lines:
        found.setdefault(line.split()[2], []).append(line)
    return list(found.values())


def traced(tap):
    """One packet that spefw denies, one that passes, and one that is not looked for."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[443, 8470])
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: status["health"] == "ok", "all is well")
        commands = recipe()
        tap.equal([command.split()[1] for command in commands], ["add", "add", "add", "monitor", "delete"],
                  "the page has the recipe")
        client = ADDRESS[4]["client"]

        def run(command):
            lab.run("gateway", "sh", "-c", command.replace(SOURCE, client).replace("dport 8470", "dport { 443, 8470 }"))
        for command in commands[:3]:
            run(command)
        monitor = Monitor(lab, commands[3])
        with RawSender("admin", ADDRESS[4]["admin"], ADDRESS[4]["server"]) as sender:
            sender.tcp(40001, 8470)
        with RawSender("client", client, ADDRESS[4]["server"]) as sender:
            sender.tcp(40000, 8470)
            wait_for(lambda: "drop" in "".join(monitor.lines()), "the denied packet is traced")
            sender.tcp(40000, 443)
        wait_for(lambda: len(packets(monitor.lines())) >= 2, "the other one is")
        lab.connect("admin", ADDRESS[4]["server"], 443).close()
        denied, allowed = packets(monitor.lines())[:2]  # then the reset of who sent the second one
        tap.ok(re.search(r"inet spefw .*rule .*verdict drop", denied[-1]), "its last line is the rule that dropped it",
               "\n".join(denied))
        tap.ok("8470" in denied[0] and client in denied[0], "the packet is shown", denied[0])
        tap.ok(any(" inet spefw " in line for line in allowed) and "drop" not in "".join(allowed),
               "one that passes is dropped nowhere", "\n".join(allowed))
        tap.ok(ADDRESS[4]["admin"] not in "".join(monitor.lines()), "nothing else is traced")
        status = daemon.status()
        tap.equal((status["health"], status["guards"]["repaired"]), ("ok", 0), "spefw is not disturbed by the table")
        lab.stop(monitor.process)
        run(commands[4])
        done = lab.run("gateway", "nft", "list", "tables")
        tap.ok("trace" not in done.stdout and "inet spefw" in done.stdout, "and nothing is left of it", done.stdout)


if __name__ == "__main__":
    main(traced)
