#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Names at the edges of the daemon's life: booted before the network is there, without DNS, and dead. Elements in the
kernel live for `stale` and a margin; with what the newest kernels can do (an owner's table,
timeouts changed in place) and without."""
import contextlib
import os
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import DNS, EXCHANGE, FAMILIES, HANG, LICENSE, NARROW, Lab, Sniffer, main, vendor, wait_for  # noqa: E402
from lab.dns_servers import AUTHORITY, Authority, Resolver, pool, route_pools  # noqa: E402
from lab.named import both_agree, closed, entries, entry, flows, in_state, kernel, knows, only, passes  # noqa: E402
from lab.netlink import Monitor  # noqa: E402
from lab.topology import INTERFACES  # noqa: E402

NAME = vendor.LICENSE_NAME
KNOWN = list(LICENSE[0].values())
ABILITIES = (None, "none")


@contextlib.contextmanager
def abilities(words):
    """Daemons that are started meanwhile find no more in the kernel than these; None: what there is."""
    before = os.environ.get("SPEFW_ABILITIES")
    if words is not None:
        os.environ["SPEFW_ABILITIES"] = words
    try:
        yield "on an old kernel: " if words == "none" else "on this kernel: "
    finally:
        os.environ.pop("SPEFW_ABILITIES", None)
        if before is not None:
            os.environ["SPEFW_ABILITIES"] = before


def shut(lab, targets, port=443):
    return all(closed(lab, [target], port, (EXCHANGE[6 if ":" in target else 4], 443)) for target in targets)


def left(lab, name):
    """{address: seconds} of both families."""
    return {address: seconds for family in FAMILIES for address, seconds in kernel(lab, name, family).items()}


def rearmed(tap):
    """Elements get their time again with the answers, before they have lost the margin; no SYN is lost by that."""
    name, port = "brief.example.net", 7443
    targets = [pool(family, number) for family in FAMILIES for number in range(3)]
    for words in ABILITIES:
        with abilities(words) as where, Lab(tap) as lab:
            route_pools(lab)
            authority = Authority(lab, ttl=1)
            Resolver(lab)
            authority.set(name, targets)
            lab.serve("internet", tcp=[port])
            daemon = lab.spefwd(only(lab.config(flows=flows({name: port}), dns_section="stale = 30s\ngrace = 2s")))
            knows(daemon, name, targets)
            tap.equal(daemon.status()["ownership"], "monitor" if words else "owner",
                      where + "the table is %s" % ("anybody's" if words else "owned"))
            seconds, timely, lost, rises, before = [], [], 0, 0, left(lab, name)
            with Monitor("gateway") as monitor:
                begin = time.monotonic()
                while time.monotonic() < begin + 8 or (len(timely) < 5 * len(targets)
                                                       and time.monotonic() < begin + HANG):
                    lost += sum(1 for target in targets if not passes(lab, target, port))
                    start, age = time.monotonic(), max(one["last_answer_s"] for one in entries(daemon).values())
                    now = left(lab, name)
                    rises += any(now.get(target, 0) > before.get(target, 0) for target in targets)
                    seconds += [now.get(target) for target in targets]
                    # Where answers come in time: every second, and it was looked at right after that.
                    timely += seconds[-len(targets):] if age + time.monotonic() - start < 1.5 else []
                    before = now
                spent = time.monotonic() - begin
            tap.ok(None not in seconds and timely and min(timely) >= 30 and max(seconds) <= 35,
                   where + "30 s of stale are left at any time, and 35 never exceeded",
                   (sorted(one or 0 for one in timely)[:3], max(one or 0 for one in seconds), len(timely),
                    len(seconds)))
            tap.ok(rises >= 2, where + "their timeouts are renewed again and again", rises)
            tap.ok(lost == 0, where + "and each first SYN passes", (lost, len(seconds)))
            changes = [event for event in monitor.events if event.what == "element added"]
            tap.ok(0 < len(monitor.transactions()) <= 1.5 * spent, where + "not with every answer",
                   (len(monitor.transactions()), len(changes), spent))
            authority.set(name, targets[:1] + targets[3:4])
            knows(daemon, name, targets[:1] + targets[3:4], exactly=True)
            both_agree(tap, lab, daemon, name, targets[:1] + targets[3:4], where + "after grace")


def just_answered(daemon):
    """When the request was sent, where both families of the name were answered less than a second before."""
    start = time.monotonic()
    return start if all(entry(daemon, NAME, family)["last_answer_s"] == 0 for family in FAMILIES) else None


def dead(tap):
    """kill -9: its elements end by themselves, after stale and not before."""
    for words in ABILITIES:
        with abilities(words) as where, Lab(tap) as lab:
            server = lab.dns({NAME: KNOWN}, ttl=1)
            lab.serve("internet", tcp=[80, 443])
            daemon = lab.spefwd(lab.config(flows=NARROW, dns_section="stale = 8s"))
            knows(daemon, NAME, KNOWN)
            old = {target: lab.connect("server", target, 443) for target in KNOWN}
            answered = wait_for(lambda: just_answered(daemon), "just answered")
            daemon.kill()
            killed = time.monotonic()
            server.down()
            now = left(lab, NAME)
            tap.ok(sorted(now) == sorted(KNOWN)
                   and all(8 <= seconds + time.monotonic() - answered and seconds <= 13 for seconds in now.values()),
                   where + "8 s of stale and a margin are left", (now, time.monotonic() - answered))
            tap.ok(all(passes(lab, target, 443) for target in KNOWN), where + "the daemon is dead: open")
            wait_for(lambda: not left(lab, NAME), where + "the elements end")
            # What the kernel does too early is wrong at any speed; too late can't be distinguished from a slow machine.
            tap.ok(time.monotonic() - killed >= 8, where + "not before stale", time.monotonic() - killed)
            tap.ok(shut(lab, KNOWN), where + "then closed")
            tap.ok(all(connection.echo() for connection in old.values()), where + "what was open goes on")
            daemon.start()
            tap.equal(left(lab, NAME), {},
                      where + "started again without DNS: what is older than stale is not remembered")
            status = daemon.wait_status(lambda now: any("1 name has no address" in reason
                                                        for reason in daemon.reasons(now, "dns-server")),
                                        "the failure is reported")
            tap.equal(status["health"], "degraded", where + "degraded, and the reason is shown")
            tap.ok(shut(lab, KNOWN), where + "closed")
            server.up()
            knows(daemon, NAME, KNOWN)
            tap.ok(all(passes(lab, target, 443) for target in KNOWN), where + "DNS is back: open")


def adopted(tap):
    """A daemon that is started in time takes the elements over, with the time that they had; nobody else adds any."""
    for words in ABILITIES:
        with abilities(words) as where, Lab(tap) as lab:
            server = lab.dns({NAME: KNOWN}, ttl=1)
            lab.serve("internet", tcp=[80, 443])
            daemon = lab.spefwd(lab.config(flows=NARROW, dns_section="stale = 1h"))
            knows(daemon, NAME, KNOWN)
            daemon.kill()
            server.down()
            for name in os.listdir(daemon.state):
                if name in ("addresses", "held"):
                    os.unlink(os.path.join(daemon.state, name))
            before = left(lab, NAME)
            daemon.start()
            both_agree(tap, lab, daemon, NAME, KNOWN, where + "killed, its files lost, started again")
            now = left(lab, NAME)
            tap.ok(all(now[target] <= before[target] for target in KNOWN),
                   where + "an address is not made younger by that", (before, now))
            origins = {address["origin"] for one in entries(daemon).values() for address in one["addresses"]}
            tap.equal(origins, {"remembered"}, where + "names: remembered")
            tap.ok(all(passes(lab, target, 443) for target in KNOWN), where + "open")
            if words != "none":
                continue
            # Here anybody may change the table: what is added to a name's set is not the name's.
            stranger = LICENSE[1][4]
            for lifetime in ("", " timeout 50m"):
                lab.nft("gateway", "add element inet spefw name_%s_4 { %s%s }" % (NAME, stranger, lifetime))
                wait_for(lambda: daemon.status()["guards"]["repaired"] == (2 if lifetime else 1),
                         where + "the foreign element is noticed")
                both_agree(tap, lab, daemon, NAME, KNOWN,
                           where + "an element%s that another program added is taken out, and not believed" % lifetime)
                tap.ok(shut(lab, [stranger]), where + "so its address is closed")
            lab.nft("gateway", "delete element inet spefw name_%s_4 { %s }" % (NAME, KNOWN[0]))
            wait_for(lambda: KNOWN[0] in kernel(lab, NAME, 4), where + "the element is back")
            tap.ok(all(passes(lab, target, 443) for target in KNOWN), where + "one that was deleted is put back")


def set_interfaces(lab, up):
    """All interfaces of the gateway; with them go its routes, and all IPv6 addresses."""
    for interface, peer, lengths, gateway, addresses in INTERFACES:
        lab.ip("gateway", "link set %s %s" % (interface, "up" if up else "down"))
        if up:
            lab.ip("gateway", "addr add %s/%d dev %s nodad" % (gateway[1], lengths[1], interface))
            lab.wait_neighbours("gateway", gateway[1])


def booted(tap):
    """The table is there before the network, with the remembered addresses; DNS never comes, or late."""
    for words in ABILITIES:
        with abilities(words) as where, Lab(tap) as lab:
            server = lab.dns({NAME: KNOWN}, ttl=2)
            lab.serve("internet", tcp=[80, 443])
            lab.serve("server", tcp=[443, 3389])
            config = lab.config(flows=NARROW)
            daemon = lab.spefwd(config)
            knows(daemon, NAME, KNOWN)
            tap.equal(daemon.stop(), 0, where + "the machine goes down")
            daemon.run("spefwd", "--clear")
            server.down()
            set_interfaces(lab, False)
            with Sniffer("internet", keep=lambda packet: packet.dport == 53) as queries:
                daemon.start()
                now = left(lab, NAME)
                tap.ok(sorted(now) == sorted(KNOWN) and all(seconds > 6 * 86400 for seconds in now.values()),
                       where + "without a network: the table has the remembered addresses, for days", now)
                tap.equal(queries.packets, [], where + "and DNS was not queried")
                one = entry(daemon, NAME, 4)
                tap.ok(one["state"] == "stale" and {address["origin"] for address in one["addresses"]}
                       == {"remembered"}, where + "names: stale, remembered", one)
                status = daemon.status()
                # Whether DNS can be asked at all has been found out by now, or not yet.
                tap.ok(status["health"] == "degraded"
                       and set(daemon.reason_codes(status)) <= {"name-stale", "dns-server"},
                       where + "degraded, and the names are the reason", status["reasons"])
                set_interfaces(lab, True)
                wait_for(queries.seen, "the interfaces are up: DNS is queried")
                for family in FAMILIES:
                    in_state(daemon, NAME, family, "stale")
                    wait_for(lambda: entry(daemon, NAME, family)["last_error"], "the failure")
                tap.ok(all(passes(lab, target, 443) for target in KNOWN),
                       where + "DNS is dead: the license flow works from memory")
                tap.ok(shut(lab, LICENSE[1].values()), where + "no other address does")
                status = daemon.status()
                tap.equal(daemon.reasons(status), ["DNS server %s does not answer: the last answers serve" % DNS[4]],
                          where + "degraded, with what is wrong, once")
                one = entry(daemon, NAME, 4)
                tap.ok(all(address["expires_in_s"] > 6 * 86400 for address in one["addresses"]),
                       where + "and would for days", one)
                lab.connect("client", "192.0.2.25", 443).close()
                tap.ok(shut_inbound(lab), where + "the server is guarded")
            for _ in range(3):
                daemon.ctl("refresh", check=False)
            lines = [line for line in daemon.log().split("\n") if NAME + " (IPv4): " in line]
            tap.ok(1 <= len(lines) <= 2, where + "the log does not repeat it", lines)
            server.set(NAME, list(LICENSE[1].values()))
            knows(daemon, NAME, LICENSE[1].values())
            daemon.wait_status(lambda status: status["health"] == "ok", "healthy")
            tap.ok(all(passes(lab, target, 443) for target in list(LICENSE[1].values()) + KNOWN),
                   where + "DNS is back: the new addresses are open, the old ones still")
            # And once more, without anything remembered: closed, but guarded.
            daemon.stop()
            daemon.run("spefwd", "--clear")
            server.down()
            for name in os.listdir(daemon.state):
                os.unlink(os.path.join(daemon.state, name))
            daemon.start()
            tap.equal(left(lab, NAME), {}, where + "nothing remembered: nothing is open")
            tap.ok(shut(lab, KNOWN) and shut_inbound(lab), where + "and it guards")
            status = daemon.status()
            tap.ok(status["health"] == "degraded"
                   and set(daemon.reason_codes(status)) & {"name-unresolved", "dns-server"},
                   where + "degraded, with the reason", status["reasons"])


def interfaces_changed(tap):
    """A change of interfaces makes the names be queried, also where another one was just before;
    many make no flood of queries."""
    name, port = "afar.example.net", 7444
    with Lab(tap) as lab:
        route_pools(lab)
        authority = Authority(lab, ttl=3600)
        authority.set(name, [pool(family, 0) for family in FAMILIES])
        lab.serve("internet", tcp=[port])
        config = only(lab.config(flows=flows({name: port}))).replace("servers = " + DNS[4], "servers = " + AUTHORITY[4])
        is_query = lambda packet: packet.kind == "udp" and packet.dport == 53 and packet.src == "198.51.100.1"
        with Sniffer("internet", keep=is_query) as queries:
            daemon = lab.spefwd(config.replace("min_interval = 1s", "min_interval = 10m"))
            knows(daemon, name, [pool(family, 0) for family in FAMILIES])
            began = time.monotonic()
            for number in (1, 2):
                authority.set(name, [pool(family, number) for family in FAMILIES])
                lab.ip("gateway", "addr add 198.51.100.%d/32 dev lo" % (200 + number))
                knows(daemon, name, [pool(family, number) for family in FAMILIES])
                tap.ok(all(passes(lab, pool(family, number), port) for family in FAMILIES),
                       "change %d of the interfaces: queried again, and open" % number)
            for number in range(30):
                lab.ip("gateway", "addr %s 198.51.100.210/32 dev lo" % ("del" if number % 2 else "add"))
            authority.set(name, [pool(family, 4) for family in FAMILIES])
            lab.ip("gateway", "addr add 198.51.100.211/32 dev lo")
            knows(daemon, name, [pool(family, 4) for family in FAMILIES])
            spent, count = time.monotonic() - began, len(queries.packets)
        tap.note("33 changes of interfaces in %.1f s: %d queries" % (spent, count))
        # The first ones, and then two in five seconds.
        tap.ok(count <= 2 * (spent / 5 + 3), "after many changes: queried once more, and without a flood",
               (count, spent))


def shut_inbound(lab):
    with Sniffer("server", keep=lambda packet: packet.kind == "tcp" and packet.dport == 3389) as sniffer:
        for target in ("192.0.2.25", "2001:db8:2::25"):
            try:
                lab.connect("client", target, 3389, bound=0.3).close()
                return False
            except OSError:
                pass
            lab.connect("client", target, 443).close()
    return not sniffer.packets


if __name__ == "__main__":
    main(rearmed, dead, adopted, booted, interfaces_changed)
