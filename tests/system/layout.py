#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A table of our name that can't be adopted is replaced in one transaction, under traffic; and counters never fall."""
import os
import signal
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, EXCHANGE, FAMILIES, LICENSE, NARROW, Daemon, Lab, main, vendor, wait_for  # noqa: E402
from lab.checks import DeniedStreams, content, differences, guarded, with_all_and_none  # noqa: E402
from lab.netlink import Monitor, table_owner  # noqa: E402
from lab.streams import Allowed, Sink  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
# Ours by its name alone. Each still denies what the traffic of the test may not do.
DENY = ("chain forward { type filter hook forward priority filter; ct state established accept\n"
        " ip daddr 192.0.2.25 tcp dport { 3389, 8470 } drop\n"
        " ip6 daddr 2001:db8:2::25 tcp dport { 3389, 8470 } drop\n }\n")
FOREIGN = (
    ("a foreign table", "table inet spefw { %s }" % DENY),
    ("a set of another form",
     "table inet spefw { comment \"layout 2\"\n set protected_4 { type ipv4_addr; }\n %s }" % DENY),
    ("a set of a type that is not ours",
     "table inet spefw { comment \"layout 2\"\n set protected_4 { type ipv4_addr . inet_service; }\n %s }" % DENY),
    ("a chain at another hook", "table inet spefw { comment \"layout 2\"\n"
     " %s chain judge { type filter hook postrouting priority 0; }\n }" % DENY),
    ("another comment", "table inet spefw { comment \"layout\"\n %s }" % DENY),
    ("a number beyond all", "table inet spefw { comment \"layout 99999999999999999999\"\n %s }" % DENY),
    ("a counter in a place of ours",
     "table inet spefw { comment \"layout 2\"\n counter denied-in { packets 5 bytes 300\n }\n %s }" % DENY),
)
DENIED = ("in", "out", "early", "invalid")


def saved(lab, config):
    """The table as `nft list` prints it where nobody can own one: what somebody may have put into nftables.conf."""
    before = os.environ.get("SPEFW_ABILITIES")
    os.environ["SPEFW_ABILITIES"] = "none"
    try:
        other = Daemon(lab, config, name="other")
        other.start()
        other.wait_status(lambda status: len(other.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        other.stop()
    finally:
        os.environ.pop("SPEFW_ABILITIES")
        if before is not None:
            os.environ["SPEFW_ABILITIES"] = before
    return lab.run("gateway", "nft", "list", "table", "inet", "spefw").stdout


def replaced(tap):
    """Started on each kind of table, under traffic."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        lab.serve("server", tcp=[143, 8470, 3389])
        sinks = [Sink("server", 443), Sink("internet", 443)]
        config = lab.config(flows=NARROW)
        text = saved(lab, config)
        lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
        tap.ok("comment \"layout 2\"" in text, "the table carries its layout", text[:200])
        daemon = lab.spefwd(config)
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        wanted, flags = content(daemon.table()), table_owner("gateway")[0]
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 143) for family in FAMILIES}
        tables = [("a saved ruleset", text), ("an altered layout", text.replace("layout 2", "layout 99")),
                  ("an older layout", text.replace("layout 2", "layout 1"))]
        leaked = 0
        for title, text in tables + list(FOREIGN):
            daemon.stop(signal.SIGKILL)
            # In one transaction, so that the traffic finds a table all the time.
            lab.nft("gateway", "delete table inet spefw\n" + text)
            allowed = ([Allowed("client", ADDRESS[family]["server"], 443) for family in FAMILIES]
                       + [Allowed("server", EXCHANGE[4], 443)])
            with DeniedStreams() as denied, Monitor("gateway") as monitor:
                daemon.start()
                wait_for(lambda: content(daemon.table()) == wanted, title + ": the table is ours")
                wait_for(lambda: all(stream.opened > 30 for stream in allowed), "traffic")
                for stream in allowed:
                    stream.close()
            tap.equal(differences(wanted, content(daemon.table())), "",
                      title + ": what is in force is the policy, no more and no less")
            tap.equal(table_owner("gateway")[0], flags, title + ": its flags are ours")
            changes = [{event.what for event in events} for events in monitor.transactions()]
            tap.ok([one for one in changes if {"table deleted", "table added", "rule added"} <= one],
                   title + ": replaced in one transaction", changes)
            tap.equal(sum(one >= {"table deleted"} for one in changes), 1, title + ": and only once")
            tap.equal([stream.errors for stream in allowed], [[]] * 3, title + ": nothing allowed fails")
            # The kernel lets go of old sets before a packet is through the old rules: now and then one slips by.
            # It opens nothing.
            leaked += denied.leaked
            entries = lab.run("gateway", "conntrack", "-L", check=False).stdout
            tap.equal([line for line in entries.splitlines() if "dport=8470 " in line or "dport=3389 " in line], [],
                      title + ": no denied connection is left")
            tap.equal([family for family in FAMILIES if not kept[family].echo()], [], title + ": connections go on")
        tap.note("denied SYNs that slipped by while %d tables were replaced: %d" % (len(tables) + len(FOREIGN), leaked))
        tap.ok(leaked < 10 * (len(tables) + len(FOREIGN)), "not more than that", leaked)
        for sink in sinks:
            sink.close()
        lab.serve("server", tcp=[443])
        tap.ok(guarded(lab), "guarded")


# What another program may add to a saved copy of our table: (what it is, the set or map, or a line of the text, what is
# put behind its first line). The first ones decide on packets.
ADDITIONS = (
    ("a limit in a map", "map protected_dst_4 {", "limit rate 1/hour burst 1 packets"),
    ("a limit in a set", "set role_ADM_4 {", "limit rate 1/hour burst 1 packets"),
    ("a map for everybody", "map SERVER_in_tcp {", "elements = { * : accept }"),
    ("a size", "set protected_4 {", "size 2"),
    ("a counter in a set", "set protected_6 {", "counter"),
    ("a timeout", "set name_my.mailstore.com_4 {", "timeout 30d"),
    ("an interval of collection", "set name_my.mailstore.com_6 {", "gc-interval 30d"),
    ("a policy", "map protected_dst_6 {", "policy memory"),
    ("a comment of a set", "set protected_4 {", "comment \"mine\""),
    ("a comment of a chain", "chain judge {", "comment \"mine\""),
    ("a quota", "table inet spefw {", "quota mine { over 1 mbytes\n}"),
    ("a counter", "table inet spefw {", "counter mine { packets 0 bytes 0\n}"),
    ("a comment of a counter", "counter denied-in {", "comment \"mine\""),
    ("a chain for routes", "table inet spefw {", "chain routed { type route hook output priority 0; }"),
    ("an interval without end", "set protected_4 {", "elements = { 255.255.255.0/24 }"),
)


def with_addition(text, line, more):
    """The text of the table, and more behind this line of it, or behind the line with its type."""
    lines = text.split("\n")
    at = [number for number, one in enumerate(lines) if one.strip() == line][0]
    at += lines[at + 1].strip().startswith("type ")
    return "\n".join(lines[:at + 1] + [more] + lines[at + 1:])


def added_to(tap):
    """A saved copy of our table with something more in it is loaded while the daemon runs, and while it does not:
    replaced, with nothing left of it."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        lab.serve("server", tcp=[443, 8470, 3389])
        config = lab.config(flows=NARROW)
        daemon = Daemon(lab, config, name="one")
        daemon.start()
        lab.at_close(daemon.stop)
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        wait_for(lambda: "\"name\": \"retired" not in str(daemon.table()), "settled")
        wanted, text = content(daemon.table()), lab.run("gateway", "nft", "list", "table", "inet", "spefw").stdout
        for number, (title, line, more) in enumerate(ADDITIONS):
            running = number % 5 != 4
            if not running:
                daemon.stop(signal.SIGKILL)
            done = lab.run("gateway", "nft", "-f", "-",
                           text="delete table inet spefw\n" + with_addition(text, line, more), check=False)
            if done.returncode:
                tap.skip(title, "this nft or kernel refuses it: "
                         + (done.stderr.strip() or "signal").split("\n", maxsplit=1)[0])
            if not running:
                daemon.start()
            try:
                wait_for(lambda: content(daemon.table()) == wanted and daemon.status()["health"] == "ok",
                         title + ": replaced")
                tap.ok(True, title + (" while it runs" if running else " while it is dead") + ": replaced")
            except TimeoutError:
                tap.ok(False, title + ": replaced", differences(wanted, content(daemon.table())))
            if number < 3:
                tap.ok(guarded(lab) and guarded(lab), title + ": guarded, once and again")


def counters_never_fall(tap):
    """Over reloads, restarts, kills, resets and new tables: what status counts only grows,
    and loses nothing that it once counted."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 3389])
        daemon = lab.spefwd(lab.config())

        def totals():
            status = daemon.status()
            found = {flow["id"]: flow["attempts"] for flow in status["flows"]}
            found.update({"denied " + name: status["denied"][name] for name in DENIED})
            found.update({"guards " + name: count
                          for name, count in status["guards"].items() if name in ("intercepted", "spoofed")})
            return found

        def traffic():
            for family in FAMILIES:
                lab.connect("client", ADDRESS[family]["server"], 443).close()
            guarded(lab)

        def replaced_by_others():
            daemon.kill()
            lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
            daemon.start()

        def deleted_by_others():
            lab.run("gateway", "nft", "flush", "ruleset")
            daemon.wait_status(lambda status: daemon.table() and status["health"] != "failed", "there again")

        def reset_while_dead():
            daemon.kill()
            lab.run("gateway", "nft", "reset", "counters", "table", "inet", "spefw")
            daemon.start()

        def another_boot():
            daemon.stop()
            lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
            path = os.path.join(daemon.state, "counters")
            with open(path, encoding="ascii") as file:
                lines = file.read().split("\n")
            tap.ok(lines[0].startswith("boot ") and len(lines) > 10, "the state file names its boot", lines[0])
            with open(path, "w", encoding="ascii") as file:
                file.write("\n".join(["boot 00000000-0000-4000-8000-000000000000"] + lines[1:]))
            daemon.start()
        steps = (
            ("a reload",
             lambda: daemon.reload(lab.config(flows="[flow https-in]\nto = SERVER\n\n[flow api-in]\nenabled = no\n"))),
            ("a flow that comes and goes",
             lambda: (daemon.reload(lab.config(flows="[flow https-in]\nenabled = no\n")), daemon.reload(lab.config()))),
            ("stop and start", lambda: (daemon.stop(), daemon.start())),
            ("kill -9 and start", lambda: (daemon.kill(), daemon.start())),
            ("a foreign reset", lambda: lab.run("gateway", "nft", "reset", "counters", "table", "inet", "spefw")),
            ("a foreign reset, then a stop and start",
             lambda: (lab.run("gateway", "nft", "reset", "counters"), daemon.status(), daemon.stop(), daemon.start())),
            ("a foreign reset while stopped",
             lambda: (daemon.stop(), lab.run("gateway", "nft", "reset", "counters"), daemon.start())),
            ("a foreign flush", deleted_by_others),
            ("clear and reload", lambda: (daemon.ctl("clear", "--yes"), daemon.reload())),
            ("spefwd --clear while stopped", lambda: (daemon.stop(), daemon.run("spefwd", "--clear"), daemon.start())),
            ("another boot", another_boot),
            ("deleted while stopped",
             lambda: (daemon.stop(), lab.run("gateway", "nft", "delete", "table", "inet", "spefw"), daemon.start())),
        )
        for title, step in steps:
            traffic()
            before = totals()
            step()
            after = totals()
            tap.equal({name: (count, after.get(name)) for name, count in before.items() if after.get(name, -1) < count},
                      {}, title + ": nothing falls")
            traffic()
            again = totals()
            tap.ok(again["https-in"] - after["https-in"] >= 2
                   and again["denied early"] + again["denied in"] > after["denied early"] + after["denied in"],
                   title + ": and all goes on", (after, again))
        # A crash may lose what was counted since the last save, never what was saved;
        # resets and new tables are saved at once.
        for title, step in (("kill -9, a reset, a start", reset_while_dead),
                            ("kill -9, another table, a start", replaced_by_others)):
            traffic()
            before = totals()  # a stop saves that; what comes late is counted after it
            daemon.stop()
            daemon.start()
            step()
            after = totals()
            tap.equal({name: (count, after.get(name)) for name, count in before.items() if after.get(name, -1) < count},
                      {}, title + ": nothing that was saved is lost")
        status = daemon.wait_status(lambda now: now["denied"]["last_hour"] >= 0, "the last hour")
        tap.ok(status["denied"]["last_hour"] <= sum(status["denied"][name] for name in DENIED)
               + status["guards"]["spoofed"], "the last hour is a part of the whole", status["denied"])
        tap.equal((status["denied"]["last_hour_sources"], status["denied"]["sampled"]), (2, True),
                  "whose packets they were is known over a restart; what came while none ran is not, and that is said")


if __name__ == "__main__":
    # Only where nobody owns it can such a table be loaded beside a daemon, or be taken for ours.
    main(*with_all_and_none(replaced, counters_never_fall), with_all_and_none(added_to)[1])
