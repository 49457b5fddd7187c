#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A reload sends the difference and nothing else: as the kernel announces it to every listener."""
import os
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import DNS, LICENSE, NARROW, Lab, counters, main, namespaces, vendor, wait_for  # noqa: E402
from lab.checks import content, differences, guarded, handles, with_all_and_none  # noqa: E402
from lab.netlink import Monitor, generation  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
MANY = 100000


def quiet(daemon):
    """Waits until names are known, and has retired sets go: nothing of a former change is under way."""
    daemon.wait_status(lambda status: all(one["last_error"] == "" and one["addresses"] for one in status["names"]),
                       "names are known")
    daemon.reload()  # what the last change has left over for a while goes now
    return generation("gateway")


def nothing(tap):
    """A reload that changes nothing sends nothing."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        number, before = quiet(daemon), handles(daemon)
        policy = daemon.status()["generation"]
        for text in (lab.config(flows=NARROW), lab.config(flows=NARROW) + "\n; a remark\n",
                     lab.config(flows=NARROW, adm="2001:db8:3::/64, 203.0.113.0/25, 203.0.113.128/25")):
            again = daemon.reload(text)
            tap.equal((again["changed"], again["generation"], again["cut"]), (False, policy, 0),
                      "reload reports that nothing changed")
        again = daemon.reload(lab.config(flows=NARROW, dns_section="grace = 2h").replace(
            "servers = %s" % DNS[4], "servers = %s %s" % (DNS[4], DNS[6])))
        tap.equal((again["changed"], again["generation"], again["changes"]),
                  (True, policy + 1, ["servers: %s -> %s %s" % (DNS[4], DNS[4], DNS[6]), "grace: 1h -> 2h"]),
                  "what is not of the kernel is another policy as well")
        for _ in range(3):
            daemon.ctl("refresh")
            daemon.status()
        tap.equal(generation("gateway"), number, "and the kernel's generation is the same")
        tap.equal(handles(daemon), before, "and every handle")


def one_flow(tap):
    """One flow changes: its chains do, and nothing else."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config())
        quiet(daemon)
        before, policy = handles(daemon), daemon.status()["generation"]
        again = daemon.reload(lab.config(flows="[flow ews-out]\nto = 198.51.100.80 2001:db8:51::80\n"))
        tap.equal((again["changed"], again["generation"]), (True, policy + 1), "ews-out is narrowed: one generation")
        tap.ok(len(again["changes"]) == 1 and "ews-out" in again["changes"][0], "the change is reported",
               again["changes"])
        after = handles(daemon)
        changed = sorted(name for name in set(before) | set(after) if before.get(name) != after.get(name))
        tap.ok(("rule", "SERVER_out_tcp_443") in changed
               and all(kind == "rule" and name.endswith("_tcp_443") for kind, name in changed),
               "rules of its port are new, every other handle is the same", changed)
        before = after
        with Monitor("gateway") as monitor:
            again = daemon.reload(lab.config(flows="[flow ews-out]\nto = 198.51.100.80 2001:db8:51::80\n",
                                             adm="203.0.113.0/24 2001:db8:3::/64 198.51.100.140"))
            tap.ok(len(again["changes"]) == 1 and "ADM" in again["changes"][0]
                   and "198.51.100.140" in again["changes"][0], "a member more is reported", again["changes"])
            wait_for(monitor.transactions, "notices")
        events = [(event.what, event.name, event.count) for event in monitor.events if event.what != "generation"]
        # The kernel announces an interval's start and its end.
        tap.equal(events, [("element added", "role_ADM_4", 1)] * 2, "it is one element and nothing else")
        tap.equal(handles(daemon), before, "no handle changed")
        daemon.reload(lab.config(flows="[flow ews-out]\nto = 198.51.100.80 2001:db8:51::80\n\n[flow api-in]\n"
                                 "enabled = no\n"))
        after = handles(daemon)
        changed = sorted(name for name in set(before) | set(after) if before.get(name) != after.get(name))
        tap.ok(all("8474" in name for _, name in changed), "a flow is turned off: only chains of its port change",
               changed)
        tap.ok(guarded(lab), "guarded")


def retired_later(tap):
    """A set that no rule uses any more goes a batch later, counters never."""
    with Lab(tap) as lab:
        lab.dns(dict(NAMES, **{"other.example.net": ["198.51.100.20", "2001:db8:51::20"]}), ttl=3600)
        daemon = lab.spefwd(lab.config(flows=NARROW + "[flow smtp-out]\nto = other.example.net\n\n[role PARTNER]\n"
                                       "members = 198.51.100.0/28 2001:db8:77::/64\n\n"
                                       "[flow partner-in]\nfrom = PARTNER\nto = SERVER\nprotocol = tcp\n"
                                       "port = 10443\n"))
        quiet(daemon)
        gone = {("set", name + family) for name in ("name_other.example.net_", "role_PARTNER_") for family in "46"}
        tap.ok(gone <= set(handles(daemon)), "two pairs of sets are there", handles(daemon))
        with Monitor("gateway") as monitor:
            daemon.reload(lab.config(flows=NARROW))
            wait_for(lambda: not gone & set(handles(daemon)), "the sets are gone")
            # Of whole transactions: the notice that ends one comes after those of what it did.
            wait_for(lambda: sum(event.what == "set deleted" for events in monitor.transactions() for event in events)
                     >= len(gone), "notices")
            transactions = monitor.transactions()
        with_sets = [number for number, events in enumerate(transactions)
                     if any(event.what == "set deleted" for event in events)]
        with_rules = [number for number, events in enumerate(transactions)
                      if any(event.what in ("rule deleted", "rule added") for event in events)]
        tap.ok(with_rules and with_sets and max(with_rules) < min(with_sets),
               "in a transaction after the last one that changed rules",
               [[event[:3] for event in events] for events in transactions])
        tap.ok("flow-partner-in" in counters(daemon.table()), "its counter stays")
        # Wanted again before it is gone: it must not be deleted under the feet of new rules.
        for _ in range(5):
            daemon.reload(lab.config(flows=NARROW + "[flow smtp-out]\nto = other.example.net\n"))
            daemon.reload(lab.config(flows=NARROW))
        daemon.reload(lab.config(flows=NARROW + "[flow smtp-out]\nto = other.example.net\n"))
        quiet(daemon)
        after = content(daemon.table())
        tap.ok(("set", "name_other.example.net_4") in handles(daemon), "wanted again, it is there")
        daemon.kill()
        daemon.run("spefwd", "--clear")
        daemon.start()
        quiet(daemon)
        fresh = content(daemon.table())
        fresh["rest"] += [one for one in after["rest"] if "flow-partner-in" in one]
        tap.equal(differences({"rules": after["rules"], "rest": sorted(after["rest"])},
                              {"rules": fresh["rules"], "rest": sorted(fresh["rest"])}), "",
                  "what many reloads left is what a fresh start builds")


def network(number):
    return "10.%d.%d.%d/31" % (number >> 15 & 255, number >> 7 & 255, (number & 127) << 1)


def many_networks(tap):
    """100,000 networks of ADM from a file: adding one sends one element."""
    if not PRIVILEGED:
        tap.skip("%d networks" % MANY, "a transaction of that size needs root: net.core.wmem_max binds all others")
        return
    with Lab(tap) as lab:
        path = os.path.join(lab.dir, "admins.txt")
        lines = ["%s\n" % network(number * 2) for number in range(MANY)]  # every other one, so that none can be merged

        def write(extra=()):
            with open(path + ".new", "w", encoding="ascii") as file:
                file.writelines(lines)
                file.writelines("%s\n" % one for one in extra)
            os.rename(path + ".new", path)
        lab.dns(NAMES, ttl=3600)
        write()
        began = time.monotonic()
        daemon = lab.spefwd(lab.config(adm="203.0.113.0/24 2001:db8:3::/64 file:" + path))
        tap.note("start with %d networks: %.2f s" % (MANY, time.monotonic() - began))
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")
        quiet(daemon)
        before = handles(daemon)
        for title, extra, wanted in (("one network more", ["172.16.5.0/24"], ("element added", "role_ADM_4")),
                                     ("one network less", [], ("element deleted", "role_ADM_4"))):
            write(extra)
            with Monitor("gateway") as monitor:
                began = time.monotonic()
                again = daemon.reload()
                tap.note("%s: %.3f s" % (title, time.monotonic() - began))
                wait_for(monitor.transactions, "notices")
            tap.ok(again["changed"] and len(again["changes"]) == 1, title + ": reported", again["changes"])
            events = [(event.what, event.name, event.count) for event in monitor.events if event.what != "generation"]
            tap.ok(sum(count for _, _, count in events) <= 2 and {event[:2] for event in events} == {wanted},
                   title + ": one interval is sent", events)
        tap.equal(handles(daemon), before, "no set was replaced, and no rule")
        number = generation("gateway")
        again = daemon.reload()
        tap.equal((again["changed"], generation("gateway")), (False, number),
                  "the same %d again: nothing is sent" % MANY)
        if daemon.status()["ownership"] == "monitor":
            lab.run("gateway", "nft", "delete", "element", "inet", "spefw", "role_ADM_4", "{ %s }" % network(500))
            began = time.monotonic()
            daemon.wait_status(lambda status: status["guards"]["repaired"] == 1 and status["health"] == "ok",
                               "repaired")
            tap.note("one element deleted by a stranger: repaired after %.2f s" % (time.monotonic() - began))
            tap.equal(lab.run("gateway", "nft", "get", "element", "inet", "spefw", "role_ADM_4",
                              "{ %s }" % network(500).split("/", maxsplit=1)[0], check=False).returncode,
                      0, "a stranger's deletion among them is repaired")
        daemon.kill()
        began = time.monotonic()
        daemon.start()
        tap.note("adopted with %d networks: %.2f s" % (MANY, time.monotonic() - began))
        tap.equal(handles(daemon), before, "adopted after kill -9: no set was replaced, and no rule")


# The buffers of sockets can only be enlarged beyond the system's limit by who is root outside of namespaces as well.
PRIVILEGED = os.geteuid() == 0
if __name__ == "__main__":
    if PRIVILEGED:
        namespaces.CLONE_NEWUSER = 0
        namespaces._map_identities = lambda pid: None  # pylint: disable=protected-access
    main(*with_all_and_none(nothing, one_flow, retired_later, many_networks))
