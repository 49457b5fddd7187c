#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What real DNS servers answer, each case a name: Knot has the records, Unbound resolves, spefwd queries it."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import EXCHANGE, FAMILIES, Lab, Sniffer, main, wait_for  # noqa: E402
from lab.dns_servers import Authority, Resolver, pool, route_pools  # noqa: E402
from lab.named import addresses, both_agree, closed, entry, flows, in_state, kernel, knows, only, passes  # noqa: E402

FENCE_PORT = 6999
FENCE = ("[flow fence]\nfrom = SERVER\nto = %s %s\nprotocol = tcp\nport = %d\n"
         "\n" % (EXCHANGE[4], EXCHANGE[6], FENCE_PORT))
DOMAIN = ".cases.example.net"


def both(number):
    return [pool(4, number), pool(6, number)]


def setting(lab, ports, dns_section):
    """Servers, a listener on each port, and the configuration that names them."""
    route_pools(lab)
    authority = Authority(lab)
    resolver = Resolver(lab)
    lab.serve("internet", tcp=[FENCE_PORT] + list(ports.values()))
    return authority, resolver, only(lab.config(flows=FENCE + flows(ports), dns_section=dns_section))


def is_closed(lab, number, port):
    return all(closed(lab, [pool(family, number)], port, (EXCHANGE[family], FENCE_PORT)) for family in FAMILIES)


def pass_all(lab, targets, port):
    return [target for target in targets if not passes(lab, target, port)] == []


BAD = ["127.0.0.1", "0.0.0.0", "169.254.1.1", "192.0.2.25", "192.0.2.1", "224.0.0.1", "::1", "fe80::1",
       "2001:db8:2::25", "ff02::1", "::ffff:198.51.100.77"]
PRIVATE = ["10.0.0.1", "fd00::1"]


def answers(tap):
    """Good answers, of every kind that there is."""
    labels = ["ttl0", "week", "rotating", "chain", "aaaa-only", "a-only", "senseless", "many", "long", "xn--bcher-kva",
              "MiXed", "loop"]
    ports = {label + DOMAIN: 7000 + number for number, label in enumerate(labels)}
    port = {label: ports[label + DOMAIN] for label in labels}
    with Lab(tap) as lab:
        authority, _, config = setting(lab, ports, "max_interval = 4s\ngrace = 1h")
        config = config.replace("[flow to-%d]" % port["senseless"],
                                "; 10.0.0.1 is not for it\n[flow to-%d]" % port["senseless"])
        rotation = [[pool(family, 100 + number) for number in range(30)] for family in FAMILIES]
        many, long = [pool(4, 1000 + number) for number in range(1000)], [
            pool(family, 3000 + number) for family in FAMILIES for number in range(90)]
        records = {"ttl0": (both(1), 0), "week": (both(2), 7 * 86400),
                   "rotating": (rotation[0][:4] + rotation[1][:4], 1), "chain": ((), 300, "c1" + DOMAIN),
                   "far" : (both(3), 300), "elsewhere": (both(4), 300), "aaaa-only": ([pool(6, 5)], 1),
                   "a-only": ([pool(4, 6)], 1),
                   "senseless": (BAD + PRIVATE + both(7), 1), "many": (many, 1), "long": (long, 1),
                   "xn--bcher-kva": (both(8), 1), "mixed": (both(9), 1),
                   "loop": ((), 1, "l1" + DOMAIN), "l1": ((), 1, "l2" + DOMAIN), "l2": ((), 1, "l1" + DOMAIN)}
        # chain -> c1 -> ... -> c7 -> far: 8 aliases; c4's is the short one.
        for number in range(1, 8):
            records["c%d" % number] = ((), 1 if number == 4 else 300,
                                       ("c%d" % (number + 1) if number < 7 else "far") + DOMAIN)
        authority.set_all({label + DOMAIN: what for label, what in records.items()})
        with Sniffer("internet", keep=lambda packet: packet.kind == "udp" and packet.dport == 53
                     and b"\4week\5cases" in packet.payload) as sniffer:
            daemon = lab.spefwd(config)
            daemon.wait_status(lambda status: all(one["state"] in ("fresh", "failing") or one["family"] == "ipv6"
                                                  or "aaaa" in one["name"] for one in status["names"]),
                               "all are queried")
            _simple(tap, lab, daemon, authority, port)
            _rotating(tap, lab, daemon, authority, port["rotating"], rotation)
            _chain(tap, lab, daemon, authority, port["chain"])
            _odd(tap, lab, daemon, port, many, long)
            # From the resolver's point of view: spefwd's and the resolver's own; the latter keeps it,
            # the former still queries.
            wait_for(lambda: len(sniffer.seen(lambda packet: packet.src == "198.51.100.1")) >= 6,
                     "a name with a TTL of a week is queried again")
            week = entry(daemon, "week" + DOMAIN, 4)
            tap.ok(week["state"] == "fresh" and 0 <= week["next_query_in_s"] <= 4,
                   "TTL of 7 days: queried again at max_interval", week)


def _simple(tap, lab, daemon, authority, port):
    for label, number in (("ttl0", 1), ("week", 2), ("xn--bcher-kva", 8), ("mixed", 9)):
        name = label + DOMAIN
        knows(daemon, name, both(number))
        both_agree(tap, lab, daemon, name, both(number), label)
        tap.ok(pass_all(lab, both(number), port["MiXed" if label == "mixed" else label]),
               "%s: the server gets there" % label)
    authority.set("ttl0" + DOMAIN, both(10), ttl=0)
    knows(daemon, "ttl0" + DOMAIN, both(10) + both(1))
    tap.ok(pass_all(lab, both(10) + both(1), port["ttl0"]), "TTL 0: the new address is open, the old one still is")
    one = in_state(daemon, "ttl0" + DOMAIN, 4, "grace") and entry(daemon, "ttl0" + DOMAIN, 4)
    tap.equal([address["in_answer"] for address in one["addresses"]], [False, True],
              "TTL 0: names shows which one is answered now")
    tap.ok(one["next_query_in_s"] <= 1, "TTL 0: queried again after min_interval, not at once", one)
    for label, has, number in (("aaaa-only", 6, 5), ("a-only", 4, 6)):
        name, other = label + DOMAIN, 10 - has
        knows(daemon, name, [pool(has, number)])
        daemon.wait_status(lambda _, name=name, other=other: "last_answer_s" in entry(daemon, name, other),
                           "%s: both families are answered" % label)
        both_agree(tap, lab, daemon, name, [pool(has, number)], label)
        one = entry(daemon, name, other)
        tap.ok(one["state"] == "empty" and one["last_error"] == "" and entry(daemon, name, has)["state"] == "fresh",
               "%s: the other family is empty, which is no error" % label, one)
        tap.ok(passes(lab, pool(has, number), port[label])
               and closed(lab, [pool(other, number)], port[label], (EXCHANGE[other], FENCE_PORT)),
               "%s: just that family is open" % label)
        tap.ok(not any(name in reason for reason in daemon.reasons()), "%s: health does not mind" % label,
               daemon.reasons())


def _rotating(tap, lab, daemon, authority, port, rotation):
    """Four of thirty in each answer: they add up."""
    name = "rotating" + DOMAIN
    for begin in range(4, 30, 4):
        now = [one[(begin + number) % 30] for one in rotation for number in range(4)]
        authority.set(name, now, ttl=1)
        knows(daemon, name, now)
        if begin in (4, 28):
            tap.ok(pass_all(lab, now, port), "rotating: what is answered now is open (from number %d on)" % begin)
    both_agree(tap, lab, daemon, name, rotation[0] + rotation[1], "rotating: thirty")
    tap.ok(pass_all(lab, rotation[0][::5] + rotation[1][::5], port), "rotating: the others still are")
    for family in FAMILIES:
        tap.equal(entry(daemon, name, family)["state"], "grace", "rotating: IPv%d is in grace" % family)


def _chain(tap, lab, daemon, authority, port):
    name = "chain" + DOMAIN
    knows(daemon, name, both(3))
    both_agree(tap, lab, daemon, name, both(3), "chain of 8")
    one = entry(daemon, name, 4)
    tap.ok(one["next_query_in_s"] <= 1 and one["state"] == "fresh", "chain of 8: the least TTL counts", one)
    authority.set("c4" + DOMAIN, ttl=1, alias="elsewhere" + DOMAIN)
    knows(daemon, name, both(4))
    tap.ok(pass_all(lab, both(3) + both(4), port), "chain of 8: the short alias leads elsewhere, which is followed")


def _odd(tap, lab, daemon, port, many, long):
    loop = in_state(daemon, "loop" + DOMAIN, 4, "failing")
    tap.equal([kernel(lab, "loop" + DOMAIN, family) for family in FAMILIES], [{}, {}],
              "alias loop: nothing in the kernel")
    tap.ok(loop["health"] == "degraded"
           and any("loop" + DOMAIN in reason and "SERVFAIL" in reason for reason in daemon.reasons(loop)),
           "alias loop: degraded, and the reason is shown", loop["reasons"])
    tap.ok(is_closed(lab, 3, port["loop"]), "alias loop: closed")

    knows(daemon, "senseless" + DOMAIN, both(7))
    both_agree(tap, lab, daemon, "senseless" + DOMAIN, both(7), "senseless")
    tap.ok(pass_all(lab, both(7), port["senseless"]), "senseless: what makes sense is open")
    daemon.wait_status(lambda _: entry(daemon, "senseless" + DOMAIN, 4)["refused"] >= 4 * 7, "answered four times")
    counts = {address: daemon.log().count("the answer %s is" % address) for address in BAD + PRIVATE}
    tap.ok(set(counts.values()) == {1}, "senseless: each refused address is logged, and once", counts)

    name = "many" + DOMAIN
    knows(daemon, name, [])
    for _ in range(3):
        elements = kernel(lab, name, 4)
        tap.ok(len(elements) == 256 and set(elements) <= set(many), "1,000 addresses: 256 of them in the kernel",
               len(elements))
        refused = entry(daemon, name, 4)["refused"]
        daemon.wait_status(lambda _, refused=refused: entry(daemon, name, 4)["refused"] > refused, "answered again")
    # What is open at one moment may be another's place at the next: looked at until both looks agree.
    wait_for(lambda: passes(lab, sorted(kernel(lab, name, 4))[0], port["many"]), "one of the 256 is open")
    tap.ok(len(addresses(entry(daemon, name, 4))) == 256, "1,000 addresses: names lists 256")

    name = "long" + DOMAIN
    both_agree(tap, lab, daemon, name, long, "truncated, then by TCP: 180")
    tap.ok(pass_all(lab, [long[0], long[89], long[90], long[179]], port["long"]),
           "truncated: the last one is open as well")
    tap.equal(entry(daemon, name, 4)["state"], "fresh", "truncated: fresh")


def nxdomain(tap):
    """A name does not exist for a while: shorter than grace, then longer. Its connections go on."""
    name, port = "gone" + DOMAIN, 7100
    with Lab(tap) as lab:
        authority, _, config = setting(lab, {name: port}, "grace = 1h\nstale = 1h")
        authority.set(name, both(1))
        daemon = lab.spefwd(config)
        knows(daemon, name, both(1))
        old = [lab.connect("server", target, port) for target in both(1)]
        authority.set(name)
        for family in FAMILIES:
            in_state(daemon, name, family, "grace", "")
        tap.ok(pass_all(lab, both(1), port), "NXDOMAIN: grace keeps it open")
        authority.set(name, both(1))
        for family in FAMILIES:
            in_state(daemon, name, family, "fresh", "")
        both_agree(tap, lab, daemon, name, both(1), "NXDOMAIN, over in time")
        authority.set(name)
        for family in FAMILIES:
            in_state(daemon, name, family, "grace", "")
        daemon.reload(config.replace("grace = 1h", "grace = 3s"))
        for family in FAMILIES:
            in_state(daemon, name, family, "empty", "")
        both_agree(tap, lab, daemon, name, [], "NXDOMAIN for longer than grace")
        tap.ok(is_closed(lab, 1, port), "NXDOMAIN for longer than grace: closed")
        tap.ok(all(connection.echo() for connection in old), "but what was open goes on")
        status = daemon.status()
        tap.ok(status["health"] == "degraded"
               and any(name in text for text in daemon.reasons(status, "name-empty")),
               "empty: degraded, with the reason", status["reasons"])
        authority.set(name, both(2))
        knows(daemon, name, both(2), exactly=True)
        tap.ok(pass_all(lab, both(2), port), "it exists again: open")
        lines = [line for line in daemon.log().split("\n") if name + " (IPv4): " in line]
        words = [line.split("): ")[1].split(",")[0] for line in lines]
        tap.equal(words, ["fresh", "grace", "fresh", "grace", "empty", "fresh"], "the log has each change once")


def failures(tap):
    """The authority refuses now and then (SERVFAIL), the resolver is killed and comes back;
    what fails for longer than stale closes."""
    name, other, port = "flapping" + DOMAIN, "other" + DOMAIN, 7200
    with Lab(tap) as lab:
        authority, resolver, config = setting(lab, {name: port, other: port + 1}, "grace = 1h\nstale = 1h")
        authority.set_all({name: (both(1), 1), other: (both(2), 3600)})
        daemon = lab.spefwd(config)
        knows(daemon, name, both(1))
        knows(daemon, other, both(2))
        for number in range(3):
            authority.serve(False)
            for family in FAMILIES:
                in_state(daemon, name, family, "stale", "SERVFAIL")
            both_agree(tap, lab, daemon, name, both(1), "SERVFAIL, time %d" % (number + 1))
            status = daemon.status()
            tap.ok(any(name in reason and "SERVFAIL" in reason for reason in daemon.reasons(status, "name-stale")),
                   "degraded, with the reason", status["reasons"])
            tap.ok(not any(other in reason for reason in daemon.reasons(status)),
                   "the other name, which the resolver still has, is well", status["reasons"])
            tap.ok(pass_all(lab, both(1), port), "SERVFAIL: open")
            authority.serve(True)
            for family in FAMILIES:
                in_state(daemon, name, family, "fresh", "")
        lines = [line for line in daemon.log().split("\n") if name + " (IPv4): " in line]
        words = [line.split("): ")[1].split(",")[0] for line in lines]
        tap.equal(words, ["fresh"] + ["stale", "fresh"] * 3,
                  "the log has each change once, however often it was queried in between")

        resolver.down()
        for family in FAMILIES:
            in_state(daemon, name, family, "stale")
        tap.ok(entry(daemon, name, 4)["last_error"] in ("no DNS server answers", "timeout"),
               "resolver killed: the error names it", entry(daemon, name, 4))
        daemon.wait_status(lambda now: daemon.reason_codes(now) == ["dns-server"], "the other name fails, too")
        tap.ok("DNS server" in daemon.reasons()[0], "resolver killed: one reason, whatever names there are",
               daemon.reasons())
        tap.ok(pass_all(lab, both(1), port), "resolver killed: open")
        old = lab.connect("server", pool(4, 1), port)
        resolver.up()
        for family in FAMILIES:
            in_state(daemon, name, family, "fresh", "")
        tap.ok(pass_all(lab, both(1), port), "it is back: fresh and open")

        resolver.down()
        for family in FAMILIES:
            in_state(daemon, name, family, "stale")
        daemon.reload(config.replace("stale = 1h", "stale = 5s"))
        for family in FAMILIES:
            in_state(daemon, name, family, "failing")
        both_agree(tap, lab, daemon, name, [], "failing for longer than stale")
        tap.ok(is_closed(lab, 1, port), "failing for longer than stale: closed")
        tap.ok(old.echo(), "but what was open goes on")
        daemon.wait_status(lambda now: any("no address" in reason for reason in daemon.reasons(now, "dns-server")),
                           "degraded, with the reason")
        last = [line for line in daemon.log().split("\n") if name + " (IPv4): " in line][-1]
        tap.ok("failing, 0 addresses" in last, "the log has that nothing serves any more", last)
        resolver.up()
        knows(daemon, name, both(1))
        tap.ok(pass_all(lab, both(1), port), "the resolver is back: open")


if __name__ == "__main__":
    main(answers, nxdomain, failures)
