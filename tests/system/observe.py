#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""observe: what the server's resolver answers to the server opens the way at once;
what is no answer to it teaches nothing."""
import os
import signal
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, Lab, RawSender, Sniffer, is_syn, main, probe_all, wait_for)
from lab.dns import A, AAAA, query  # noqa: E402
from lab.dns_servers import (  # noqa: E402
    AUTHORITY, Authority, Liar, Resolver, address_bytes, ask_from, name_bytes, pool, record, route_pools)
from lab.named import addresses, both_agree, closed, entries, entry, flows, kernel, knows, only, passes  # noqa: E402
from lab.nflog import Group  # noqa: E402

FENCE_PORT = 6999
FENCE = ("[flow fence]\nfrom = SERVER\nto = %s %s\nprotocol = tcp\nport = %d\n"
         "\n" % (EXCHANGE[4], EXCHANGE[6], FENCE_PORT))
DOMAIN = ".seen.example.net"
KINDS = ((4, A), (6, AAAA))
CNAME = 5


def both(number):
    return [pool(family, number) for family in FAMILIES]


def setting(lab, ports, more="", resolvers=None, **config):
    """A configuration in which spefwd queries but once: what it learns later, it has observed."""
    route_pools(lab)
    lab.serve("internet", tcp=[FENCE_PORT] + list(ports.values()))
    text = only(lab.config(flows=FENCE + flows(ports) + more, **config)).replace(
        "min_interval = 1s", "min_interval = 10m")
    return (text.replace("resolvers = %s %s" % (DNS[4], DNS[6]), "resolvers = " + " ".join(resolvers)) if resolvers
            else text)


def often(config):
    """A denial makes a name be queried no more often than min_interval;
    the next query by itself is still far away."""
    return config.replace("min_interval = 10m", "min_interval = 1s")


def resolve(machine, name, server=None):
    """The machine queries both families; over IPv4 for A, over IPv6 for AAAA, unless a server is given."""
    for family, kind in KINDS:
        answer = query(machine, server or DNS[family], name, kind, bound=30)
        if answer is None or answer[0]:
            raise RuntimeError("%s: %s gets no answer: %r" % (name, machine, answer))


def resolver_has(name, number, machine="internet", server=DNS[4]):
    """Waits until the resolver answers with this pair of addresses:
    it keeps each family's old one for a TTL of its own."""
    wait_for(lambda: all("'%s'" % pool(family, number) in str(query(machine, server, name, kind))
                         for family, kind in KINDS),
             "the resolver has the new addresses of " + name)


def origins(daemon, name):
    return {address["address"]: address["origin"] for (who, _), one in entries(daemon).items() if who == name
            for address in one["addresses"]}


def shut(lab, targets, port):
    return all(closed(lab, [target], port, (EXCHANGE[6 if ":" in target else 4], FENCE_PORT)) for target in targets)


def names_of_all_kinds(tap):
    """A name itself, what its alias leads to, a pattern; the resolver is beyond the gateway."""
    ports = {"exact" + DOMAIN: 7400, "alias" + DOMAIN: 7401, "*.wide.example.net": 7402, "end.example.org": 7403}
    with Lab(tap) as lab:
        config = setting(lab, ports)
        authority = Authority(lab, ttl=1)
        Resolver(lab)
        authority.set_all({"exact" + DOMAIN: (both(1), 1), "alias" + DOMAIN: ((), 1, "middle.example.org"),
                           "middle.example.org": ((), 1, "end.example.org"),
                           "end.example.org": (both(2), 1), "a.wide.example.net": (both(10), 1),
                           "b.c.wide.example.net": (both(11), 1),
                           "wide.example.net": (both(12), 1), "xwide.example.net": (both(13), 1),
                           "a.wide.example.net.example.com": (both(14), 1)})
        daemon = lab.spefwd(config)
        knows(daemon, "exact" + DOMAIN, both(1))
        knows(daemon, "alias" + DOMAIN, both(2))
        tap.equal(set(origins(daemon, "exact" + DOMAIN).values()), {"queried"}, "names: at first what was queried")

        # One name after the other: each is also the proof that what came before it is done.
        authority.set_all({"exact" + DOMAIN: (both(21), 1), "end.example.org": (both(22), 1)})
        resolver_has("exact" + DOMAIN, 21)
        resolver_has("end.example.org", 22)
        # (To try it would be a denial, for which spefwd sends a query.)
        both_agree(tap, lab, daemon, "exact" + DOMAIN, both(1), "a new address is unknown before the server's query")
        resolve("server", "exact" + DOMAIN)
        knows(daemon, "exact" + DOMAIN, both(1) + both(21))
        both_agree(tap, lab, daemon, "exact" + DOMAIN, both(1) + both(21), "exact")
        tap.ok(all(passes(lab, target, 7400) for target in both(1) + both(21)), "exact: open, and so is the old one")
        found = origins(daemon, "exact" + DOMAIN)
        tap.equal([found[target] for target in both(1) + both(21)], ["queried"] * 2 + ["observed"] * 2,
                  "names: where each address is from")

        resolve("server", "end.example.org")
        knows(daemon, "alias" + DOMAIN, both(2) + both(22))
        tap.ok(all(passes(lab, target, 7401) for target in both(22)),
               "alias: the server queries its target alone: open")
        tap.ok(shut(lab, both(22), 7400), "alias: but on its own port only")
        # The target is a name of another flow as well: one answer is news for both.
        knows(daemon, "end.example.org", both(2) + both(22))
        tap.ok(all(passes(lab, target, 7403) for target in both(22)),
               "alias: its target, which another flow names, is open there")
        tap.equal([origins(daemon, name)[target] for name in ("alias" + DOMAIN, "end.example.org")
                   for target in both(22)], ["observed"] * 4, "alias: both have observed it")
        authority.set("middle.example.org", both(23))
        resolver_has("middle.example.org", 23)
        resolve("server", "middle.example.org")
        knows(daemon, "alias" + DOMAIN, both(23))
        tap.ok(all(passes(lab, target, 7401) for target in both(23)),
               "alias: queried in the middle of the chain: open")

        # Each kind of answer over each family.
        for number, server in ((26, DNS[4]), (27, DNS[6])):
            authority.set("exact" + DOMAIN, both(number))
            resolver_has("exact" + DOMAIN, number)
            resolve("server", "exact" + DOMAIN, server)
            knows(daemon, "exact" + DOMAIN, both(number))
            tap.ok(all(passes(lab, target, 7400) for target in both(number)),
                   "exact: A and AAAA, both queried over IPv%d: open" % (4 if server == DNS[4] else 6))

        pattern = "*.wide.example.net"
        tap.equal([kernel(lab, pattern, family) for family in FAMILIES], [{}, {}], "pattern: empty at first")
        for name in ("wide.example.net", "xwide.example.net", "a.wide.example.net.example.com", "a.wide.example.net",
                     "b.c.wide.example.net"):
            resolve("server", name)
        knows(daemon, pattern, both(11))
        both_agree(tap, lab, daemon, pattern, both(10) + both(11), "pattern: every name below it, and no other")
        tap.ok(all(passes(lab, target, 7402) for target in both(10) + both(11)), "pattern: open")
        tap.ok(shut(lab, both(12) + both(13) + both(14), 7402), "pattern: the name itself and others are closed")
        one = entry(daemon, pattern, 4)
        tap.ok(one["state"] == "fresh" and set(origins(daemon, pattern).values()) == {"observed"},
               "pattern: names lists it", one)
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")
        lines = daemon.log().count("exact%s: learned from an answer" % DOMAIN)
        for _ in range(3):
            resolve("server", "exact" + DOMAIN)
        tap.equal((lines, daemon.log().count("exact%s: learned from an answer" % DOMAIN)), (6, 6),
                  "the log has what is new, once a family")

        # The server queries its own way, and gets more than fits a packet: what goes by TCP is not seen.
        daemon.reload(often(config))
        authority.set("exact" + DOMAIN, both(24))
        resolver_has("exact" + DOMAIN, 24)
        for family, kind in KINDS:
            tap.equal(query("server", DNS[family], "exact" + DOMAIN, kind, tcp=True)[1][0][0], pool(family, 24),
                      "IPv%d: the server queries over TCP" % family)
        resolve("server", "b.c.wide.example.net")
        tap.ok(not set(both(24)) & set(daemon.addresses("exact" + DOMAIN)), "over TCP: not seen")
        # The interval of the query that was answered last still holds.
        tap.ok(all(passes(lab, target, 7400, wait=True) for target in both(24)),
               "but its denial makes spefwd query: the SYN gets through when it is sent again")
        found = origins(daemon, "exact" + DOMAIN)
        tap.equal([found[target] for target in both(24)], ["queried"] * 2, "names: of spefwd's own query")
        daemon.stop()
        daemon.start()
        both_agree(tap, lab, daemon, pattern, both(10) + both(11), "pattern, after a restart")
        daemon.stop()
        daemon.run("spefwd", "--clear")
        daemon.start()
        both_agree(tap, lab, daemon, pattern, both(10) + both(11), "pattern, remembered on disk")
        tap.ok(all(passes(lab, target, 7402) for target in both(10) + both(11)), "pattern, remembered: open")


def resolver_on_the_gateway(tap):
    """The server queries the gateway itself; its answers leave by the output hook."""
    name, own = "local" + DOMAIN, GATEWAY["lan"]
    with Lab(tap) as lab:
        config = setting(lab, {name: 7500, "*.wide.example.net": 7501}, resolvers=list(own.values()))
        authority = Authority(lab, ttl=1)
        Resolver(lab)
        Resolver(lab, machine="gateway", addresses=list(own.values()))
        authority.set_all({name: (both(1), 1), "a.wide.example.net": (both(2), 1)})
        daemon = lab.spefwd(config)
        knows(daemon, name, both(1))
        authority.set(name, both(3))
        resolver_has(name, 3, "gateway", own[4])
        for family, kind in KINDS:
            query("server", own[family], name, kind, bound=30)
            query("server", own[family], "a.wide.example.net", kind, bound=30)
        knows(daemon, name, both(1) + both(3))
        knows(daemon, "*.wide.example.net", both(2))
        tap.ok(all(passes(lab, target, 7500) for target in both(3)), "the name's new address is open")
        tap.ok(all(passes(lab, target, 7501) for target in both(2)), "and what the pattern covers")
        tap.equal(origins(daemon, name)[pool(6, 3)], "observed", "names: observed")


def lies(tap):
    """Answers that are none, or not the server's, or not from its resolvers."""
    name, mark, ports = "true" + DOMAIN, "mark" + DOMAIN, {"true" + DOMAIN: 7600, "mark" + DOMAIN: 7601}
    other_dns = ("[flow other-dns]\nfrom = SERVER\nto = %s %s\nprotocol = udp\nport = 53\n"
                 "\n" % (AUTHORITY[4], AUTHORITY[6]))
    other_dns += "[flow odd-port]\nfrom = SERVER\nto = %s %s\nprotocol = udp\nport = 5353\n\n" % (DNS[4], DNS[6])
    evil, number = both(666), [100]

    def answer(question):
        if question.name.startswith("mark"):
            return question.addresses(pool(4 if question.kind == A else 6, number[0]))
        return question.addresses(pool(4 if question.kind == A else 6, 1))

    def lie(question):
        return question.addresses(pool(4 if question.kind == A else 6, 666))
    with Lab(tap) as lab:
        config = setting(lab, ports, more=other_dns)
        liar = Liar(lab, answer)
        Liar(lab, lie, addresses=list(AUTHORITY.values()))
        Liar(lab, lie, port=5353)
        daemon = lab.spefwd(config)
        knows(daemon, name, both(1))

        def learned_nothing(what):
            """By the next true answer, which is learned."""
            number[0] += 1
            resolve("server", mark)
            knows(daemon, mark, both(number[0]))
            both_agree(tap, lab, daemon, name, both(1), what)
        for family, kind in KINDS:
            message = (b"\x12\x34\x81\x80\0\1\0\1\0\0\0\0" + name_bytes(name) + bytes([0, kind, 0, 1])
                       + record(b"\xc0\x0c", kind, address_bytes(pool(family, 666))))
            with RawSender("internet", DNS[family], ADDRESS[family]["server"]) as sender:
                for port in (53, 1024, 40000, 65535):
                    sender.udp(53, port, message)
        learned_nothing("from the resolver's address, but without a query")

        for family, kind in KINDS:
            for machine in ("client", "admin"):
                query(machine, DNS[family], name, kind)
        liar.answer = lie
        for family, kind in KINDS:
            for machine in ("client", "admin", "gateway"):
                tap.ok(evil[family == 6] in str(query(machine, DNS[family], name, kind)),
                       "IPv%d: %s gets another answer" % (family, machine))
        liar.answer = answer
        learned_nothing("the resolver's answers to others")

        for family, kind in KINDS:
            tap.ok(evil[family == 6] in str(query("server", AUTHORITY[family], name, kind)),
                   "IPv%d: the server queries a server that is not its resolver" % family)
            tap.ok(evil[family == 6] in str(query("server", DNS[family], name, kind, port=5353)),
                   "IPv%d: and its resolver on another port" % family)
        learned_nothing("an answer from no resolver of its own")

        # Answers to the server's own query, by its resolver, that are not good: other names in it, aliases in circles,
        # cut, an error.
        def bad(question, owner=b"\xc0\x0c"):
            return record(owner, question.kind, address_bytes(evil[question.kind == AAAA]))
        odd = {
            "another name's address": lambda question: question.answer([bad(question, "x.example.org")]),
            "an error": lambda question: question.answer([bad(question)], flags=0x8183),
            "cut": lambda question: lie(question)[:-1],
            "nothing": lambda question: question.answer(),
            "not a response": lambda question: question.message,
            "not a response, with an address": lambda question: question.answer([bad(question)], flags=0x0100),
            "another question": lambda question: question.answer([bad(question)],
                                                                 raw=name_bytes("x" + DOMAIN) + question.raw[-4:]),
            "noise": lambda question: os.urandom(200),
            "the other family's": lambda question:
            question.answer([record(b"\xc0\x0c", AAAA if question.kind == A else A,
                                    bytes([198, 18, 2, 167]) if question.kind == AAAA else bytes(16))]),
            "as many records as a packet holds": lambda question:
            question.answer([bad(question)] * (4000 if question.kind == A else 2300)),
            "a circle": lambda question: question.answer([record(question.name, CNAME, name_bytes("a.example.org")),
                                                          record("a.example.org", CNAME, name_bytes(question.name))]),
        }
        for what, act in odd.items():
            liar.answer = act
            got = [ask_from("server", DNS[family], name, kind)[0] for family, kind in KINDS]
            liar.answer = answer
            learned_nothing("an answer with " + what)
            tap.ok(all(got), "which the server has got", got)
        unfit = ["127.0.0.1", "192.0.2.25", "10.0.0.1", "192.0.2.1", "::1", "fe80::1", "2001:db8:2::25"]
        liar.answer = lambda question: question.addresses(*unfit)
        for family, kind in KINDS:
            ask_from("server", DNS[family], name, kind)
        liar.answer = answer
        learned_nothing("an answer with addresses that no name may have")
        tap.ok("127.0.0.1" in daemon.log(), "which is logged")
        # 2 KB, in two fragments.
        many = {4: [pool(4, 700 + one) for one in range(120)], 6: [pool(6, 700 + one) for one in range(70)]}
        liar.answer = lambda question: question.addresses(*many[4 if question.kind == A else 6])
        for family, kind in KINDS:
            ask_from("server", DNS[family], name, kind)
        knows(daemon, name, both(1) + many[4] + many[6], exactly=True)
        tap.ok(all(passes(lab, target, 7600) for target in (many[4][-1], many[6][-1])),
               "an answer that came in fragments is learned whole")
        tap.ok(shut(lab, evil, 7600), "and no lie opens anything")


def group_taken(tap):
    """Another program has the NFLOG group: degraded, and it guards; when the group is free, it observes."""
    name = "busy" + DOMAIN
    with Lab(tap) as lab:
        config = setting(lab, {name: 7700})
        authority = Authority(lab, ttl=1)
        Resolver(lab)
        authority.set(name, both(1))
        lab.serve("server", tcp=[7710])
        group = Group("gateway", 5)
        try:
            daemon = lab.spefwd(config)
            knows(daemon, name, both(1))
            status = daemon.status()
            tap.ok(status["health"] == "degraded"
                   and "nflog-taken" in daemon.reason_codes(status),
                   "degraded, and the reason is shown", status["reasons"])
            tap.ok(all(passes(lab, target, 7700) for target in both(1)), "what is known is open")
            probes = probe_all([("client", ADDRESS[family]["server"], 7710, False) for family in FAMILIES],
                               lambda: passes(lab, pool(4, 1), 7700))
            tap.ok(not any(probe.open for probe in probes), "it guards")
            authority.set(name, both(2))
            resolver_has(name, 2)
            resolve("server", name)
            tap.ok(shut(lab, both(2), 7700) and not set(both(2)) & set(daemon.addresses(name)), "it observes nothing")
            daemon.reload()
            tap.equal(daemon.log().count("NFLOG group 5 is taken"), 1, "it is logged once")
        finally:
            group.close()
        daemon.reload()
        status = daemon.status()
        tap.ok(not {"nflog-taken", "nflog-failed"} & set(daemon.reason_codes(status)),
               "the group is free: not degraded any more", status["reasons"])
        resolve("server", name)
        knows(daemon, name, both(2))
        tap.ok(all(passes(lab, target, 7700) for target in both(2)), "and it observes")
        with Group("gateway", 6):
            daemon.reload(config.replace("[gateway]\n", "[gateway]\nlog_group = 6\n"))
            tap.equal(daemon.status()["health"], "degraded", "reloaded for a group that is taken: degraded")
        daemon.reload(config.replace("[gateway]\n", "[gateway]\nlog_group = 7\n"))
        tap.equal(daemon.status()["health"], "ok", "reloaded for one that is free: healthy")
        authority.set(name, both(3))
        resolver_has(name, 3)
        resolve("server", name)
        knows(daemon, name, both(3))
        tap.ok(True, "and it observes by that one")
        Group("gateway", 5).close()
        tap.ok(True, "the first group is free again")


def drops(lab):
    """Messages for netfilter's sockets on the gateway for which there was no room, in all."""
    rows = [line.split() for line in lab.run("gateway", "cat", "/proc/net/netlink").stdout.splitlines()[1:]]
    return sum(int(row[8]) for row in rows if row[1] == "12")


def overrun(tap):
    """More packets than spefwd could read: a query brings what the lost answer would have taught."""
    name, number = "lost" + DOMAIN, [1]
    filler = [record(b"\xc0\x0c", A, address_bytes(pool(4, 900)))] * 2000
    with Lab(tap) as lab:
        config = setting(lab, {name: 7900})
        Liar(lab, lambda question: question.addresses(*both(number[0]), ttl=3600) if question.name == name
             else question.answer(filler))
        daemon = lab.spefwd(config)
        knows(daemon, name, both(1))
        daemon.reload(often(config))
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            for count in range(1000):
                ask_from("server", DNS[4], "filler.example.org", A)
                if count % 20 == 0 and drops(lab):
                    break
            number[0] = 2
            resolve("server", name)
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        if not drops(lab):
            tap.skip("a lost answer", "the kernel has room for 32 MB here (net.core.rmem_max)")
            return
        knows(daemon, name, both(2))
        tap.equal([origins(daemon, name)[target] for target in both(2)], ["queried"] * 2,
                  "an answer was lost: the name is queried")
        tap.ok(all(passes(lab, target, 7900) for target in both(2)), "and its new address is open")


def switched_off(tap):
    """observe = no: nothing is learned from others' answers; a pattern is of no use."""
    name = "off" + DOMAIN
    with Lab(tap) as lab:
        config = setting(lab, {name: 7800}, dns_section="observe = no")
        authority = Authority(lab, ttl=1)
        Resolver(lab)
        authority.set(name, both(1))
        daemon = lab.spefwd(config)
        knows(daemon, name, both(1))
        authority.set(name, both(2))
        resolver_has(name, 2)
        with Group("gateway", 99):
            resolve("server", name)
            lab.connect("server", EXCHANGE[4], FENCE_PORT).close()
        tap.ok(not set(both(2)) & set(daemon.addresses(name)), "the answer teaches nothing")
        tap.equal([one for one in daemon.table() if "chain" in one and one["chain"]["name"] == "observe"], [],
                  "and nothing is copied for it")
        daemon.reload(often(config))
        with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dst in both(2), outgoing=True) as sniffer:
            tap.ok(all(passes(lab, target, 7800, wait=True) for target in both(2)), "a denial makes it be queried")
        # Of the family that was denied.
        tap.ok(len(sniffer.packets) >= 4, "by the SYN's retransmit", len(sniffer.packets))
        daemon.reload(config)
        # What was due by the old interval is queried still.
        daemon.wait_status(lambda status: all(one["next_query_in_s"] > 60 for one in status["names"]
                                              if one["name"] == name), "the next query is far away")
        tap.equal(set(origins(daemon, name).values()), {"queried"}, "names: of spefwd's own query")
        daemon.reload(config.replace("observe = no", "observe = yes"))
        authority.set(name, both(3))
        resolver_has(name, 3)
        resolve("server", name)
        knows(daemon, name, both(3))
        tap.equal([origins(daemon, name)[target] for target in both(3)], ["observed"] * 2,
                  "switched on by a reload: it observes")
        daemon.reload(config)
        tap.ok(all(passes(lab, target, 7800) for target in both(1) + both(2) + both(3)),
               "switched off again: what was learned stays")
        tap.ok(len(addresses(entry(daemon, name, 4))) == 3, "names has all")


if __name__ == "__main__":
    main(names_of_all_kinds, resolver_on_the_gateway, lies, group_taken, overrun, switched_off)
