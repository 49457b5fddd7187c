#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses that change all the time, denials that make a name be queried, and a thousand names at once.

SPEFW_TEST_LONG=1: ten times as many rotations."""
import os
import random
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, EXCHANGE, FAMILIES, SYN, Lab, Probe, RawSender, Sniffer, is_syn, main, wait_for)
from lab.background import Background  # noqa: E402
from lab.dns import A, AAAA, query  # noqa: E402
from lab.dns_servers import AUTHORITY, Authority, Liar, Resolver, pool, route_pools  # noqa: E402
from lab.named import both_agree, entries, flows, kernel, knows, only  # noqa: E402

LONG = 10 if os.environ.get("SPEFW_TEST_LONG") else 1
NAME, PORT = "pool.example.net", 7900
ANSWERED = 4  # addresses of an answer
# What no name has.
STRANGER = {4: "198.18.200.1", 6: "2001:db8:b::dead"}


def answer_of(numbers):
    return [pool(family, numbers[family] + more) for family in FAMILIES for more in range(ANSWERED)]


def new_ones(family, kind, known, server):
    """What the server's resolver answers to it now, less what is known."""
    _, answered = query("server", server[family], NAME, kind, bound=30) or (0, [])
    return {address for address, _ in answered} - known


def done_of(waiting):
    """Takes those out, and closes them, that are decided; True where none is left."""
    for probe in list(waiting):
        probe.step()
        if probe.result:
            probe.close()
            waiting.remove(probe)
    return not waiting


def rotate(tap, observe, rounds):
    """Each round some other addresses are answered, of one family; the server queries,
    and connects at once to one that is new.

    Returns how many SYNs each connection took, None for one that failed; and how often the log has that an answer to
    the server answered something new. What is sent again is not waited for: the next round begins."""
    chance = random.Random(5)
    with Lab(tap) as lab:
        route_pools(lab)
        authority = Authority(lab)
        Resolver(lab)
        numbers = {family: 0 for family in FAMILIES}
        # Where denials are what makes it query, its own queries are far apart,
        # and the server's resolver must not keep answers for as long.
        ttl, server = (0, DNS) if observe else (3600, AUTHORITY)
        authority.set(NAME, answer_of(numbers), ttl=ttl)
        lab.serve("internet", tcp=[PORT])
        config = only(lab.config(flows=flows({NAME: PORT}),
                                 dns_section="grace = 30s\nobserve = %s" % ("yes" if observe else "no")))
        # It queries by itself but once: the rest is observed, or queried because of a denial.
        if observe:
            config = config.replace("min_interval = 1s", "min_interval = 10m")
        else:
            config = config.replace("servers = " + DNS[4], "servers = " + AUTHORITY[4]).replace(
                "resolvers = ", "resolvers = %s %s " % (AUTHORITY[4], AUTHORITY[6]))
        daemon = lab.spefwd(config)
        knows(daemon, NAME, answer_of(numbers))
        if not observe: # nothing is queried again sooner than min_interval
            daemon.wait_status(lambda status: all(one["last_answer_s"] >= 2 for one in status["names"]),
                               "its first queries are a while ago")
        probes, waiting, known = [], [], set(answer_of(numbers))
        with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == PORT, outgoing=True) as sniffer:
            for number in range(rounds):
                family, kind = ((4, A), (6, AAAA))[number % 2]
                numbers[family] += chance.choice((1, 2, ANSWERED))
                authority.set(NAME, answer_of(numbers), ttl=ttl)
                fresh = wait_for(lambda: new_ones(family, kind, known, server), "the server gets the new answer",
                                 pause=0)
                probes.append(Probe("server", chance.choice(sorted(fresh)), PORT))
                waiting.append(probes[-1])
                known |= fresh
                if not observe:
                    # One denial may cure what the next one would be.
                    wait_for(lambda: done_of(waiting), "the connection")
                # Nothing of what is done stays open: there may be fewer files and threads than rotations.
                done_of(waiting)
            try:
                wait_for(lambda: done_of(waiting), "all connections", pause=0.1)
            except TimeoutError:
                for probe in waiting:
                    tap.note("%s: %d SYNs, %s in the kernel's set, round %d" % (
                        probe.target, sum(1 for packet in sniffer.packets
                                          if (packet.dst, packet.sport) == (probe.target, probe.sport)),
                        "now" if probe.target in kernel(lab, NAME, 6 if ":" in probe.target else 4) else "not",
                        probes.index(probe)))
                raise
        for family in FAMILIES:
            tap.ok(len(kernel(lab, NAME, family)) <= 256, "IPv%d: never more than 256 in the kernel" % family)
        tap.ok(all(one["state"] in ("fresh", "grace") for one in entries(daemon).values()), "and no failure",
               entries(daemon))
        learned = daemon.log().count("learned from an answer to the server")
    sent = {}
    for packet in sniffer.packets:
        sent[packet.dst, packet.sport] = sent.get((packet.dst, packet.sport), 0) + 1
    return [sent[probe.target, probe.sport] if probe.open else None for probe in probes], learned


def observed(tap):
    """500 rotations: none denied after its first retransmit; how many first SYNs pass."""
    rounds = 500 * LONG
    tries, learned = rotate(tap, True, rounds)
    first = tries.count(1)
    tap.measured("first SYNs that passed, with observe: %d of %d, %.1f %%" % (first, rounds, 100.0 * first / rounds))
    tap.equal([one for one in tries if one not in (1, 2)], [],
              "with observe: %d rotations, no connection denied after its first retransmit" % rounds)
    # How many first SYNs pass depends on how fast server and spefwd are. What the server learns is learned at any
    # speed, if it was not queried before.
    tap.ok(learned > rounds / 2, "with observe: what is new is learned from the server's answers",
           "%d of %d" % (learned, rounds))


def denied(tap):
    """Without observe: a denial makes spefwd query, and the first retransmit passes."""
    rounds = 20 * LONG
    tries, learned = rotate(tap, False, rounds)
    tap.measured("SYNs that it took, without observe: %s" %
                 {count: tries.count(count) for count in sorted(set(tries), key=str)})
    tap.equal([one for one in tries if one not in (1, 2)], [],
              "without observe: %d rotations, no connection denied after its first retransmit" % rounds)
    tap.ok(tries.count(2) > rounds / 2 and not learned, "it was the denials that were needed", (tries, learned))


class Flood(Background):
    """The server sends SYNs that are denied, about 1,000 a second, until close()."""

    def __init__(self, targets, ports):
        self.sent = 0
        self._senders = [RawSender("server", ADDRESS[6 if ":" in target else 4]["server"], target)
                         for target in targets]
        self._ports = ports
        self.began = time.monotonic()
        self._begin()

    def _run(self):
        while not self._ends:
            for _ in range(10):
                self._senders[self.sent % len(self._senders)].tcp(1024 + self.sent % 60000,
                                                                  self._ports[self.sent % len(self._ports)], SYN)
                self.sent += 1
            time.sleep(max(0.0, self.began + self.sent / 1000 - time.monotonic()))

    def _release(self):
        for sender in self._senders:
            sender.close()


def refreshed(tap):
    """The addresses move while spefwd's TTL is long, and the server learns of it elsewhere.
    Meanwhile it is denied 1,000 times a second."""
    with Lab(tap) as lab:
        route_pools(lab)
        authority = Authority(lab)
        authority.set_all({NAME: ([pool(family, 0) for family in FAMILIES], 3600),
                           "other.example.net": ([pool(family, 1) for family in FAMILIES], 3600)})
        lab.serve("internet", tcp=[PORT, PORT + 1])
        config = only(lab.config(flows=flows({NAME: PORT, "other.example.net": PORT + 1}))).replace(
            "servers = " + DNS[4], "servers = " + AUTHORITY[4])
        daemon = lab.spefwd(config)
        for number, name in enumerate((NAME, "other.example.net")):
            knows(daemon, name, [pool(family, number) for family in FAMILIES])
        now, moved, late = [pool(family, 0) for family in FAMILIES], [], 0
        strangers = {"quiet": ([], []), "on other ports": (list(EXCHANGE.values()), [22, 25, 8080]),
                     "on the same port": (list(STRANGER.values()), [PORT])}
        is_query = lambda packet: packet.kind == "udp" and packet.dport == 53 and packet.src == "198.51.100.1"
        for what, (targets, ports) in strangers.items():
            with Sniffer("internet", keep=is_query) as queries:
                flood = Flood(targets, ports) if targets else None
                began = time.monotonic()
                try:
                    if flood:
                        wait_for(lambda: flood.sent > 1000, "the flood is on")
                    for family in FAMILIES:
                        # A DNS server that stands still for two seconds, as on a busy machine, is queried too late
                        # for that; twice in a row it does not.
                        for _ in range(2):
                            target = pool(family, len(moved) + 10)
                            now = [target] + [address for address in now if (":" in address) != (":" in target)]
                            moved.append(target)
                            authority.set(NAME, now, ttl=3600)
                            with Sniffer("server", keep=lambda packet: packet.dst == target, outgoing=True,
                                         syn_ports=[PORT]) as sniffer:
                                lab.connect("server", target, PORT).close()
                            if len(sniffer.packets) <= 2:
                                break
                            tap.note("%s: %d SYNs, once more" % (target, len(sniffer.packets)))
                            late += 1
                        # The flood on the same port may have made it be queried before,
                        # or less than min_interval ago: then it takes one more.
                        tap.ok(len(sniffer.packets) == 2 or (PORT in ports and len(sniffer.packets) in (1, 3)),
                               "%s: %s: the first SYN is dropped, its retransmit gets in" % (what, target),
                               len(sniffer.packets))
                    if flood:
                        wait_for(lambda: flood.sent > 5000, "5,000 denials")
                finally:
                    if flood:
                        flood.close()
            spent, count = time.monotonic() - began, len(queries.packets)
            tap.note("%s: %d denials in %.1f s, %d queries" % (what, flood.sent if flood else 0, spent, count))
            both_agree(tap, lab, daemon, NAME, [pool(family, 0) for family in FAMILIES] + moved, what)
            # One a second and family, where the denials are those of the name's port; else for each denial,
            # of its family.
            tap.ok(count <= (2 * spent + 8 if PORT in ports else 8 + 8 * late), "%s: DNS is not flooded" % what,
                   (count, spent))
            tap.ok(not any(b"other" in packet.payload for packet in queries.packets),
                   "%s: the name on another port is not queried" % what)
        # A name that fails is queried no more often.
        authority.serve(False)
        with Sniffer("internet", keep=is_query) as queries, Flood(list(STRANGER.values()), [PORT]) as flood:
            wait_for(lambda: flood.sent > 4000, "4,000 denials")
        spent = time.monotonic() - flood.began
        tap.note("while DNS refuses: %d denials in %.1f s, %d queries" % (flood.sent, spent, len(queries.packets)))
        # What the resolver counts as one query may be sent by both of its channels, and more than once.
        tap.ok(2 <= len(queries.packets) <= 4 * (2 * spent + 8), "while DNS refuses: it is not flooded either",
               (len(queries.packets), spent))
        # One family's silence does not hold up the other.
        authority.down()
        last = pool(4, 30)
        Liar(lab, lambda question: question.addresses(last) if question.kind == A else None, addresses=[AUTHORITY[4]])
        probe = RawSender("server", ADDRESS[6]["server"], STRANGER[6])
        def fails_while_denied():
            probe.tcp(40000, PORT)
            return entries(daemon)[NAME, 6]["last_error"] == "timeout"
        wait_for(fails_while_denied, "IPv6 is not answered", pause=0.2)
        with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dst == last, outgoing=True) as sniffer:
            lab.connect("server", last, PORT).close()
        tap.ok(len(sniffer.packets) <= 2, "while IPv6 is silent: IPv4 gets in with the first retransmit",
               len(sniffer.packets))
        probe.close()


class Load:
    """How many queries are under way at the DNS server, and when they came."""

    def __init__(self):
        self.queries, self.open, self.most = [], set(), 0

    def keep(self, packet):
        if packet.kind != "udp" or 53 not in (packet.sport, packet.dport):
            return False
        key = packet.payload[:2], packet.sport + packet.dport
        if packet.dport == 53:
            self.queries.append(time.monotonic())
            self.open.add(key)
            self.most = max(self.most, len(self.open))
        else:
            self.open.discard(key)
        return False

    def bins(self, begin=0):
        """How many of the queries from number `begin` on came in each tenth of a second."""
        result = {}
        for moment in self.queries[begin:]:
            slot = int((moment - self.queries[begin]) * 10)
            result[slot] = result.get(slot, 0) + 1
        return [result.get(slot, 0) for slot in range(max(result) + 1)]


def thousand_names(tap):
    """A steady trickle of queries, at the start and later, and not a burst."""
    names = ["n%d.mass.example.net" % number for number in range(1000)]
    with Lab(tap) as lab:
        route_pools(lab)
        authority = Authority(lab)
        authority.set("*.mass.example.net", [pool(family, 0) for family in FAMILIES], ttl=15)
        lab.serve("internet", tcp=[PORT])
        path = os.path.join(lab.dir, "names")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(names) + "\n")
        config = only(lab.config(flows="[role MASS]\nmembers = file:%s\n\n[flow to-mass]\nfrom = SERVER\nto = MASS\n"
                                 "protocol = tcp\nport = %d\n" % (path, PORT)))
        load = Load()
        with Sniffer("internet", keep=load.keep, outgoing=True):
            daemon = lab.spefwd(config.replace("servers = " + DNS[4], "servers = " + AUTHORITY[4]))
            wait_for(lambda: len(load.queries) >= 2000, "all are queried", bound=120)
            daemon.wait_status(lambda status: all(one["state"] == "fresh" for one in status["names"]),
                               "all are answered", bound=120, pause=0.5)
            first = load.bins()
            # spefwd sends 250 a second; how many are under way is the server's matter, and the machine's.
            tap.ok(load.most < 500, "never a quarter of them under way at the start", load.most)
            tap.note("at the start: at most %d under way; queries in each tenth of a second: %s" % (load.most, first))
            tap.ok(max(first) < 500, "no tenth of a second has a quarter of them", max(first))
            done = len(load.queries)
            wait_for(lambda: len(load.queries) >= done + 2000, "all are queried again", bound=120)
            later = load.bins(done)
            tap.note("when their TTL ends: at most %d under way; %s" % (load.most, later))
            tap.ok(load.most < 500 and max(later) < 500, "likewise when their TTL ends", (load.most, max(later)))
            done = len(load.queries)
            refresh = daemon.ctl("refresh", check=False)
            errors = {key: one["last_error"] for key, one in entries(daemon).items() if one["last_error"]}
            tap.ok(refresh.returncode == 0, "refresh ends well", (refresh.returncode, refresh.stderr[-500:], errors))
            tap.ok(len(load.queries) >= done + 2000 - 300, "refresh queries all", len(load.queries) - done)
            tap.ok(load.most < 500 and max(load.bins(done)) < 500, "and is no burst either",
                   (load.most, max(load.bins(done))))
        with lab.connect("server", pool(4, 0), PORT) as connection:
            tap.ok(connection.echo(), "and the server gets there")
        sets = {one["set"]["name"]: one["set"].get("elem") for one in daemon.table() if "set" in one}
        tap.equal(len([name for name, elements in sets.items() if name.startswith("name_n") and elements]), 2000,
                  "each has its address in the kernel")
        tap.equal(daemon.log().count(": fresh, "), 2000, "the log has one line for each")


if __name__ == "__main__":
    main(observed, denied, refreshed, thousand_names)
