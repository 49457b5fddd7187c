#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Other programs change our table: refused where the kernel can, and else repaired; counted and reported either way."""
import os
import signal
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, FAMILIES, LICENSE, NARROW, Daemon, Lab, NotReady, counters, main, vendor, wait_for)
from lab.checks import (  # noqa: E402
    DeniedStreams, content, differences, guarded, handles, repaired, with_all_and_none)
from lab.netlink import Monitor, table_owner  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}

# What a stranger does (by nft -f), and what the notice of it must name. While it lasts, the server may be open.
HARMFUL = (
    ("flush ruleset", "table deleted"),
    ("delete table inet spefw", "table deleted"),
    ("flush ruleset; table inet spefw { chain forward { type filter hook forward priority 0; }\n }", "table deleted"),
    ("add table inet spefw { flags dormant; }", "table changed"),
    ("flush map inet spefw protected_dst_4", "protected_dst_4"),
    ("flush set inet spefw protected_4", "protected_4"),
    ("flush set inet spefw name_my.mailstore.com_4", "name_my.mailstore.com_4"),
    ("delete element inet spefw role_ADM_4 { 203.0.113.0/24 }", "role_ADM_4"),
    ("add element inet spefw role_ADM_4 { 198.51.100.0/24 }", "role_ADM_4"),
    ("add element inet spefw SERVER_in_tcp { 3389 : accept }", "SERVER_in_tcp"),
    ("flush chain inet spefw judge", "judge"),
    ("insert rule inet spefw forward accept", "forward"),
    ("add rule inet spefw SERVER_in_tcp_443 drop", "SERVER_in_tcp_443"),
    ("rename chain inet spefw judge hijacked", "hijacked"),
    ("add chain inet spefw first { type filter hook prerouting priority -400; policy drop; }", "first"),
    ("add chain inet spefw forward { policy drop; }", "forward"),
    ("add chain inet spefw after { type filter hook postrouting priority 0; }; add rule inet spefw after drop",
     "after"),
    ("add chain inet spefw idle; add rule inet spefw idle drop", "idle"),
    ("add set inet spefw idle { type ipv4_addr; elements = { 192.0.2.9 }; }", "idle"),
    ("add set inet spefw pairs { type ipv4_addr . inet_service; }", "pairs"),
    ("add map inet spefw marks { type ipv4_addr : mark; }", "marks"),
    ("add element inet spefw role_ADM_4 { 198.51.100.0/24 comment \"mine\" }", "role_ADM_4"),
    ("add element inet spefw SERVER_interfaces { \"lan2\" comment \"mine\" }", "SERVER_interfaces"),
    ("add element inet spefw name_my.mailstore.com_4 { 198.51.100.9 }", "name_my.mailstore.com_4"),
    ("add quota inet spefw mine { over 1 mbytes }", "mine"),
    ("add counter inet spefw mine", "mine"),
)


def settled(daemon):
    daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
    wait_for(lambda: "\"name\": \"retired" not in str(daemon.table()), "settled")
    return content(daemon.table())


def strangers(tap):
    """Each foreign change: refused or repaired, and the policy is what it was."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[143, 443, 8470, 3389])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        before, numbers = settled(daemon), handles(daemon)
        owner = daemon.status()["ownership"] == "owner"
        flags = table_owner("gateway")[0]
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 143) for family in FAMILIES}
        traffic, times, leaks = DeniedStreams(), [], {}
        lab.at_close(traffic.close)
        for text, named in HARMFUL:
            title, count = "nft %s: " % text.split("\n", maxsplit=1)[0], repaired(daemon)
            seen = traffic.seen()
            done = lab.run("gateway", "nft", "-f", "-", check=False,
                           text=text.replace("; ", "\n") if text.startswith("add chain") and "; add" in text else text)
            began = time.monotonic()
            if owner:
                tap.ok(done.returncode != 0 or text == "flush ruleset", title + "refused", done.stderr)
                tap.ok(handles(daemon) == numbers and content(daemon.table()) == before,
                       title + "not one rule or element changed")
                continue
            if not tap.equal((done.returncode, done.stderr), (0, ""), title + "done by a stranger"):
                continue
            try:
                wait_for(lambda: repaired(daemon) > count and content(daemon.table()) == before
                         and table_owner("gateway")[0] == flags, title + "repaired", pause=0.002)
                times.append(time.monotonic() - began)
                tap.ok(True, title + "repaired")
            except TimeoutError:
                tap.ok(False, title + "repaired", differences(before, content(daemon.table())))
                daemon.run("spefwctl", "-s", daemon.socket, "reload")
            leaks[text] = traffic.seen() - seen
            shown = daemon.status()["guards"].get("last_repair", "")
            tap.ok(named in shown and shown in daemon.log(), title + "shown in status and log", shown)
            tap.ok(all(connection.echo() for connection in kept.values()), title + "connections go on")
        tap.ok(guarded(lab), "guarded after all of that")
        traffic.close()
        if owner:
            tap.equal(traffic.leaked, 0, "no denied SYN came through meanwhile")
            tap.equal(repaired(daemon), 0, "there was nothing to repair")
        elif times:
            tap.note("seen as repaired after %.0f ms on average, %.0f ms at most, polled" %
                     (1000 * sum(times) / len(times), 1000 * max(times)))
            tap.note("denied SYNs that came through before the repair: %s" %
                     {text: count for text, count in leaks.items() if count})
        status = daemon.wait_status(lambda now: now["health"] == "ok", "healthy")
        tap.ok(status["guards"]["repaired"] >= (0 if owner else len(HARMFUL)), "each was counted", status["guards"])


def quick_repairs(tap):
    """How fast: the daemon's own commit after the stranger's, as a listener hears them."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        before = settled(daemon)
        if daemon.status()["ownership"] == "owner":
            tap.skip("quick repairs", "owned tables need none")
            return
        with Monitor("gateway") as monitor:
            for text in ("flush ruleset", "insert rule inet spefw forward accept",
                         "flush map inet spefw protected_dst_6"):
                count = len(monitor.transactions())
                lab.run("gateway", "nft", "-f", "-", text=text)
                wait_for(lambda: content(daemon.table()) == before, "repaired")
                wait_for(lambda: len(monitor.transactions()) >= count + 2, "notices")
                theirs, ours = monitor.transactions()[count:count + 2]
                tap.note("nft %s: repaired %.1f ms after it" % (text, 1000 * (ours[-1].when - theirs[-1].when)))
                tap.ok(theirs[0].port != ours[0].port, "nft %s: repaired" % text)
        # Many at once, faster than they can be repaired.
        for number in range(30):
            lab.run("gateway", "nft", "-f", "-",
                    text=("insert rule inet spefw forward accept", "flush ruleset")[number % 2], check=False)
        wait_for(lambda: content(daemon.table()) == before, "repaired after many changes in a row")
        count = repaired(daemon)
        # Some come before the one before them is repaired: how many depends on the machine.
        tap.ok(count > 3, "many changes in a row: counted, and repaired in the end", count)
        lab.run("gateway", "nft", "insert", "rule", "inet", "spefw", "forward", "accept")
        wait_for(lambda: content(daemon.table()) == before, "repaired once more")
        tap.equal(repaired(daemon), count + 1, "its own repairs are not taken for foreign changes")


def deaf(tap):
    """So many notices at once that the kernel drops some: the table is read, whatever they held."""
    flood = "table ip flood {\n\tset s { type ipv4_addr; elements = { %s } }\n}\ndelete table ip flood\n" % ", ".join(
        "10.0.%d.%d" % (number >> 8, number & 255) for number in range(2000))
    room = 8 << 20
    try:
        with open("/proc/sys/net/core/rmem_max", encoding="ascii") as file:
            room = min(int(file.read()), room)
    except FileNotFoundError:
        pass # before Linux 6.15 or so, a namespace does not show it
    rounds = room // 100000 + 4
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        before = settled(daemon)
        owner = daemon.status()["ownership"] == "owner"
        for text in ("delete table inet spefw",) if owner else ("flush map inet spefw protected_dst_4",
                                                                "delete table inet spefw"):
            losses = daemon.log().count("notices of changes were lost")
            daemon.process.send_signal(signal.SIGSTOP)
            try:
                for _ in range(rounds):
                    lab.nft("gateway", flood)
                done = lab.run("gateway", "nft", *text.split(), check=False)
            finally:
                daemon.process.send_signal(signal.SIGCONT)
            tap.equal(done.returncode != 0, owner,
                      "nft %s, after a flood of notices: %s" % (text, "refused" if owner else "done by a stranger"))
            wait_for(lambda: daemon.log().count("notices of changes were lost") > losses,
                     "it hears that it has not heard all")
            wait_for(lambda: content(daemon.table()) == before, "repaired")
            tap.ok(guarded(lab), "nft %s, not heard: repaired" % text)


def counters_reset(tap):
    """`nft reset counters`: no event announces it; the totals go on."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443])
        daemon = lab.spefwd(lab.config())
        for family in FAMILIES:
            lab.connect("client", ADDRESS[family]["server"], 443).close()
        def https():
            return [flow["attempts"] for flow in daemon.status()["flows"] if flow["id"] == "https-in"][0]
        before = https()
        lab.run("gateway", "nft", "reset", "counters", "table", "inet", "spefw")
        tap.equal(counters(daemon.table())["flow-https-in"], 0, "a stranger may reset the kernel's counters")
        tap.equal(https(), before, "the totals stay")
        lab.connect("client", ADDRESS[4]["server"], 443).close()
        tap.equal(https(), before + 1, "and go on")
        tap.equal(repaired(daemon), 0, "there is nothing to repair")


def adopted(tap):
    """kill -9 and a start: chains, sets, elements and counters are kept, the owner is another."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[143, 443, 8470, 3389])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        before, numbers = settled(daemon), handles(daemon)
        flags, port = table_owner("gateway")
        owner = daemon.status()["ownership"] == "owner"
        tap.equal((flags, port is not None), (6, True) if owner else (0, False), "flags and owner of the table")
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 143) for family in FAMILIES}
        traffic = DeniedStreams()
        lab.at_close(traffic.close)
        for _ in range(3):
            daemon.kill()
            seen = counters(daemon.table())
            tap.equal(table_owner("gateway"), (flags & ~2, None) if owner else (0, None), "killed: an orphan")
            daemon.start()
            tap.equal(handles(daemon), numbers, "started: nothing was replaced, and no rule was written")
            tap.equal(differences(before, content(daemon.table())), "", "every rule and element is as it was")
            now = counters(daemon.table())
            tap.ok(all(now[name] >= count for name, count in seen.items()), "counters go on", (seen, now))
            if owner:
                tap.ok(table_owner("gateway")[0] == flags and table_owner("gateway")[1] not in (None, port),
                       "owned again", table_owner("gateway"))
                tap.ok(lab.run("gateway", "nft", "delete", "table", "inet", "spefw", check=False).returncode != 0,
                       "nobody else can delete it")
            tap.ok(all(connection.echo() for connection in kept.values()), "connections go on")
        traffic.close()
        tap.equal(traffic.leaked, 0, "no denied SYN came through meanwhile")
        daemon.kill()
        lab.run("gateway", "nft", "insert", "rule", "inet", "spefw", "forward", "accept")
        lab.run("gateway", "nft", "add", "element", "inet", "spefw", "role_ADM_4", "{ 198.51.100.0/24 }")
        lab.run("gateway", "nft", "add", "chain", "inet", "spefw", "stranger")
        # Kernels before 6.5 leave a set as it is, without a notice.
        lab.nft("gateway", "add set inet spefw protected_4 { type ipv4_addr; flags interval; size 2; }\n"
                "add quota inet spefw stranger { over 1 mbytes }")
        daemon.start()
        tap.equal(differences(before, content(daemon.table())), "",
                  "what strangers did to the orphan is gone after a start")
        tap.ok(guarded(lab), "guarded")


def first_rule(daemon, chain):
    """Of a chain: its handle."""
    return handles(daemon)["rule", chain][0]


# What a stranger does to the rules of an orphan: (what it is, the chain, for nft). %d: the handle of its first rule.
ALTERED_RULES = (
    ("a rule more", "forward", "insert rule inet spefw forward accept"),
    ("a rule less", "judge", "delete rule inet spefw judge handle %d"),
    ("all rules gone", "deny_in", "flush chain inet spefw deny_in"),
    ("another verdict", "guard", "replace rule inet spefw guard handle %d accept"),
    ("one of our own at another place", "input", "add rule inet spefw input ct state established accept"),
    ("a comment", "deny_out", "insert rule inet spefw deny_out accept comment \"mine\""),
    ("what we never make", "not_new", "insert rule inet spefw not_new meta skuid 0 quota 1 mbytes notrack"),
    ("a limit in front", "judge", "insert rule inet spefw judge limit rate 1/hour accept"),
)


def altered_rules(tap):
    """Rules of an orphan are altered: found at the start, and only the chain's where they are written again."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[143, 443, 8470, 3389])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        before = settled(daemon)
        with DeniedStreams() as traffic:
            for title, chain, command in ALTERED_RULES:
                numbers = handles(daemon)
                daemon.kill()
                command = command % first_rule(daemon, chain) if "%d" in command else command
                done = lab.run("gateway", "nft", "-f", "-", text=command, check=False)
                if done.returncode:
                    tap.skip(title, "this nft or kernel refuses it: " + done.stderr.strip())
                if title in ("a comment", "what we never make"):
                    tap.ok("whether it guards is not known" in daemon.run("spefwd", "--inspect").stdout,
                           title + ": spefwd --inspect says that nobody knows")
                with Monitor("gateway") as monitor:
                    daemon.start()
                tap.equal(differences(before, content(daemon.table())), "", title + ": mended")
                if title in ("a comment", "what we never make"):
                    tap.ok("chain %s of table inet spefw holds rules that are not of our making" % chain
                           in daemon.log(), title + ": the journal names the chain")
                after = handles(daemon)
                tap.equal(sorted(one for one in set(numbers) | set(after) if numbers.get(one) != after.get(one)),
                          [("rule", chain)], title + ": no other chain's rules were written")
                tap.equal([event[:2] for events in monitor.transactions() for event in events
                           if event.what.startswith(("table deleted", "chain", "set"))], [],
                          title + ": no chain, set or table came or went")
        tap.note("denied SYNs that came through in between: %d of %d" % (traffic.leaked, traffic.sent))
        tap.ok(guarded(lab), "guarded")


def two_daemons(tap):
    """A second daemon, with another socket, wants the same table."""
    with Lab(tap) as lab:
        lab.serve("server", tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config())
        if daemon.status()["ownership"] != "owner":
            tap.skip("a second daemon", "without ownership the kernel can't distinguish them")
            return
        before = handles(daemon)
        second = Daemon(lab, lab.config(), name="second")
        try:
            second.start()
            tap.ok(False, "a second daemon refuses")
        except NotReady as error:
            tap.equal(error.returncode, 1, "a second daemon for the same table: exit 1")
            tap.ok("owned by another program" in second.log(), "and the reason is logged", second.log())
        second.process = None
        tap.ok(handles(daemon) == before and guarded(lab), "nothing was changed")
        done = daemon.run("spefwd", "--clear")
        tap.ok(done.returncode != 0 and daemon.table(), "spefwd --clear can't remove the table of a running daemon",
               done.stderr)
        daemon.stop(signal.SIGKILL)
        second.start()
        tap.ok(guarded(lab), "once the first is dead, the second adopts it")


if __name__ == "__main__":
    main(*with_all_and_none(strangers, quick_repairs, deaf, counters_reset, adopted, altered_rules, two_daemons))
