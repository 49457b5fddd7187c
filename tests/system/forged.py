#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""observe, against those who lie and those who are many: only an answer to a query that the server sent teaches
anything, and only once; who sends a lot starves nobody."""
import json
import os
import socket
import struct
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, Lab, RawSender, Sniffer, main, namespaces, probe_all, wait_for)
from lab.background import Background  # noqa: E402
from lab.dns import A, AAAA  # noqa: E402
from lab.dns_servers import Liar, address_bytes, ask_from, name_bytes, pool, record, route_pools  # noqa: E402
from lab.named import both_agree, closed, entry, flows, kernel, knows, only, passes  # noqa: E402
from lab.packets import udp_datagram  # noqa: E402

FENCE_PORT, CONSOLE = 6999, 8470
FENCE = ("[flow fence]\nfrom = SERVER\nto = %s %s\nprotocol = tcp\nport = %d\n"
         "\n" % (EXCHANGE[4], EXCHANGE[6], FENCE_PORT))
KINDS = {4: A, 6: AAAA}
NARROW, PATTERN = "narrow.seen.example.net", "*.wide.example.net"
MARK, BOSS = "mark.seen.example.net", "boss.seen.example.net"
WIDE = "a.wide.example.net"
PORTS = {NARROW: 7400, PATTERN: 7401, MARK: 7402}


def message(ident, name, kind, addresses, flags=0x8180, ttl=86400):
    """An answer's bytes, made without having seen the query."""
    raw = name_bytes(name) + struct.pack("!HH", kind, 1)
    records = b"".join(record(b"\xc0\x0c", kind, address_bytes(address), ttl) for address in addresses)
    return struct.pack("!HHHHHH", ident, flags, 1, len(addresses), 0, 0) + raw + records


class Stage:
    """The lab, with a resolver that answers what a test sets, or nothing, and a spefwd that queries but once."""

    def __init__(self, tap, lab, gateway="", resolvers=None, more=""):
        self.tap, self.lab, self.number = tap, lab, 100
        self.truth = {NARROW: 1, MARK: self.number, BOSS: 5}
        self.silent = set()
        route_pools(lab)
        lab.serve("internet", tcp=[FENCE_PORT] + list(PORTS.values()))
        lab.serve("server", tcp=[CONSOLE])
        self.liar = Liar(lab, self.answer)
        text = only(lab.config(flows=FENCE + flows(PORTS) + more + "[flow console]\nfrom = ADM\nto = SERVER\n"
                               "protocol = tcp\nport = %d\n\n" % CONSOLE,
                               adm="203.0.113.0/24 2001:db8:3::/64 " + BOSS, gateway=gateway))
        text = text.replace("min_interval = 1s", "min_interval = 10m")
        if resolvers:
            text = text.replace("resolvers = %s %s" % (DNS[4], DNS[6]), "resolvers = " + resolvers)
        self.config = text
        self.daemon = lab.spefwd(text)
        for name in (NARROW, BOSS):
            knows(self.daemon, name, [pool(family, self.truth[name]) for family in FAMILIES])
        self.sockets = []
        lab.at_close(self.close)

    def close(self):
        for sock in self.sockets:
            sock.close()

    def answer(self, question):
        if question.name in self.silent:
            return None
        number = self.truth.get(question.name)
        return question.answer(flags=0x8183) if number is None else question.addresses(pool(4, number), pool(6, number))

    def learned_nothing(self, what):
        """By the next true answer, which is learned."""
        self.number += 1
        self.truth[MARK] = self.number
        for family, kind in KINDS.items():
            ask_from("server", DNS[family], MARK, kind)
        knows(self.daemon, MARK, [pool(family, self.number) for family in FAMILIES])
        for name, number in ((NARROW, self.truth[NARROW]), (BOSS, self.truth[BOSS]), (PATTERN, None)):
            wanted = [] if number is None else [pool(family, number) for family in FAMILIES]
            have = self.daemon.addresses(name)
            self.tap.ok(sorted(have) == sorted(wanted), "%s: %s" % (what, name), have)

    def query(self, family, name, kind, ident, server=None, sport=0):
        """The server sends a query, and nobody answers yet; returns its source port."""
        with namespaces.inside("server"):
            sock = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets.append(sock)
        sock.bind(("", sport))
        sock.connect((server or DNS[family], 53))
        before = len(self.liar.queries)
        sock.send(struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + name_bytes(name) + struct.pack("!HH", kind, 1))
        if server is None:
            wait_for(lambda: len(self.liar.queries) > before, "the query is there")
        return sock.getsockname()[1]

    def forge(self, machine, family, port, data, source=None, sport=53):
        with RawSender(machine, source or DNS[family], ADDRESS[family]["server"]) as sender:
            sender.udp(sport, port, data)

    def forge_from_server(self, family, port, data, source=None):
        """A frame of the server's own, by the gateway back to itself."""
        source, target = source or DNS[family], ADDRESS[family]["server"]
        datagram = udp_datagram(source, target, 53, port, data)
        if family == 4:
            header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, address_bytes(source),
                                 address_bytes(target))
            total = sum(struct.unpack("!10H", header))
            total = (total & 0xFFFF) + (total >> 16)
            header = header[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + header[12:]
        else:
            header = struct.pack("!IHBB16s16s", 6 << 28, len(datagram), 17, 64, address_bytes(source),
                                 address_bytes(target))
        [interface] = json.loads(self.lab.run("gateway", "ip", "-j", "link", "show", "lan").stdout)
        with namespaces.inside("server"):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        with sock:
            sock.sendto(header + datagram, ("eth0", 0x0800 if family == 4 else 0x86DD, 0, 0,
                                            bytes.fromhex(interface["address"].replace(":", ""))))


def attack(tap):
    """64,512 datagrams from the resolver's address, to any port, with a wrong number and a question that no query had:
    an outsider becomes ADM, and the server's narrowed flow open to him."""
    with Lab(tap) as lab:
        stage = Stage(tap, lab)
        stage.silent.add("any.example.org")
        stage.query(4, "any.example.org", A, 1)
        outsider = ADDRESS[4]["client"]
        with RawSender("internet", DNS[4], ADDRESS[4]["server"]) as sender:
            for name, address in ((BOSS, outsider), (NARROW, pool(4, 666)), (WIDE, pool(4, 667))):
                data = message(0x4711, name, A, [address])
                for port in range(1024, 65536):
                    sender.udp(53, port, data)
        stage.learned_nothing("64,512 forged datagrams")
        probes = probe_all([("client", ADDRESS[4]["server"], CONSOLE, False)],
                           lambda: lab.connect("server", EXCHANGE[4], FENCE_PORT).close())
        tap.ok(not any(probe.open for probe in probes), "the outsider does not get to the console")
        tap.ok(closed(lab, [pool(4, 666)], PORTS[NARROW], (EXCHANGE[4], FENCE_PORT)), "nor the server to him")
        tap.ok(stage.daemon.status().get("observed", {}).get("unsolicited", 0) >= 2, "it is counted",
               stage.daemon.status().get("observed"))

        # From the server itself: a name of its own flow, and any address.
        for family, kind in KINDS.items():
            port = stage.query(family, "any.example.org", kind, 2)
            stage.forge_from_server(family, port, message(2, NARROW, kind, [pool(family, 668)]))
        stage.learned_nothing("a frame of the server's own")


def each_part(tap):
    """The server's query is under way. What is wrong in one point teaches nothing; what is right does, once."""
    evil = 700
    with Lab(tap) as lab:
        stage = Stage(tap, lab)
        stage.silent.update((NARROW, WIDE))
        for family, kind in KINDS.items():
            for name in (NARROW, WIDE):
                lie = [pool(family, evil)]
                port = stage.query(family, name, kind, 0x1234)
                stage.forge("internet", family, port, message(0x1235, name, kind, lie))
                stage.forge("internet", family, port + 1, message(0x1234, name, kind, lie))
                stage.forge("internet", family, port, message(0x1234, "other." + name, kind, lie))
                stage.forge("internet", family, port, message(0x1234, "b.wide.example.net", kind, lie))
                stage.forge("internet", family, port, message(0x1234, name, A + AAAA - kind, [pool(10 - family, evil)]))
                stage.forge("internet", family, port, message(0x1234, name, kind, lie), sport=5353)
                stage.forge("internet", family, port, message(0x1234, name, kind, lie), source=EXCHANGE[family])
                # All is right, but by another interface; and by the server's own.
                stage.forge("client", family, port, message(0x1234, name, kind, lie))
                stage.forge("admin", family, port, message(0x1234, name, kind, lie))
                stage.forge_from_server(family, port, message(0x1234, name, kind, lie))
                # A query that is none of the server's, though it has its address, and its answer.
                with RawSender("client", ADDRESS[family]["server"], DNS[family]) as sender:
                    sender.udp(50123, 53, struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name_bytes(name)
                               + struct.pack("!HH", kind, 1))
                stage.forge("internet", family, 50123, message(7, name, kind, lie))
                stage.learned_nothing("IPv%d: %s: wrong in one point" % (family, name))
        # A name that gives rights is believed from no answer to the server, however right it is.
        stage.truth[BOSS] = 6
        for family, kind in KINDS.items():
            ask_from("server", DNS[family], BOSS, kind)
        stage.truth[BOSS] = 5
        stage.learned_nothing("an administrator's name")

        # The true one; the same again; and another answer to the same query.
        for family, kind in KINDS.items():
            for name, number in ((NARROW, 31), (WIDE, 32)):
                port = stage.query(family, name, kind, 0x2345)
                stage.forge("internet", family, port, message(0x2345, name, kind, [pool(family, number)], ttl=600))
                for again in (number, evil, evil + 1):
                    stage.forge("internet", family, port, message(0x2345, name, kind, [pool(family, again)]))
        knows(stage.daemon, NARROW, [pool(family, number) for family in FAMILIES for number in (1, 31)], exactly=True)
        knows(stage.daemon, PATTERN, [pool(family, 32) for family in FAMILIES], exactly=True)
        stage.number += 1
        stage.truth[MARK] = stage.number
        for family, kind in KINDS.items():
            ask_from("server", DNS[family], MARK, kind)
        knows(stage.daemon, MARK, [pool(family, stage.number) for family in FAMILIES])
        for name, numbers in ((NARROW, (1, 31)), (PATTERN, (32,))):
            wanted = [pool(family, number) for family in FAMILIES for number in numbers]
            both_agree(tap, lab, stage.daemon, name, wanted, name + ": the first answer alone")
            tap.ok(passes(lab, wanted[-1], PORTS[NARROW if name == NARROW else PATTERN]), name + ": which is open")
        tap.ok(closed(lab, [pool(4, evil)], PORTS[NARROW], (EXCHANGE[4], FENCE_PORT)), "the others are closed")
        # 80 addresses an answer, six times: the name's true one stays.
        for turn in range(6):
            port = stage.query(4, NARROW, A, 0x3000 + turn)
            stage.forge("internet", 4, port,
                        message(0x3000 + turn, NARROW, A, [pool(4, 1000 + 80 * turn + one) for one in range(80)]))
        knows(stage.daemon, NARROW, [pool(4, 1479)])
        have = entry(stage.daemon, NARROW, 4)["addresses"]
        origins = {one["address"]: one["origin"] for one in have}
        tap.equal((len(have), origins.get(pool(4, 1))), (256, "queried"),
                  "480 observed addresses: what spefwd's own queries gave stays")
        tap.ok(all(one["expires_in_s"] <= 86400 for one in have if one["origin"] == "observed"),
               "and they live for a day at most")


def lifetime(tap):
    """What was observed lives as long as its TTL, or a connection; it is not forgotten by a restart,
    nor does it ever give rights."""
    with Lab(tap) as lab:
        stage = Stage(tap, lab)
        stage.silent.add(WIDE)
        for number, ttl in ((40, 100000), (41, 0)):
            port = stage.query(4, WIDE, A, number)
            stage.forge("internet", 4, port, message(number, WIDE, A, [pool(4, number)], ttl=ttl))
        knows(stage.daemon, PATTERN, [pool(4, 40), pool(4, 41)])
        left = {one["address"]: one["expires_in_s"] for one in entry(stage.daemon, PATTERN, 4)["addresses"]}
        tap.ok(86000 < left[pool(4, 40)] <= 86400 and 60 < left[pool(4, 41)] <= 120,
               "a day at most, two minutes at least", left)
        connection = lab.connect("server", pool(4, 41), PORTS[PATTERN])
        stage.daemon.stop()
        with open(os.path.join(stage.daemon.state, "held"), encoding="ascii") as file:
            tap.ok(pool(4, 41) not in file.read(), "it is not remembered as held")
        stage.daemon.start()
        left = {one["address"]: (one["expires_in_s"], one["origin"])
                for one in entry(stage.daemon, PATTERN, 4)["addresses"]}
        tap.equal(sorted(left), [pool(4, 40), pool(4, 41)], "after a restart: both are there")
        tap.ok(left[pool(4, 41)][0] <= 120 and left[pool(4, 40)][1] == "observed", "for no longer", left)
        tap.ok(connection.echo(), "and its connection goes on")
        stage.daemon.reload(stage.config + "[flow more]\nfrom = SERVER\nto = 192.0.2.200\nprotocol = tcp\nport = 7\n")
        tap.ok(connection.echo(), "after a reload as well")
        connection.close()

        # A target that becomes a source: what was observed gives no rights.
        outsider = ADDRESS[4]["client"]
        stage.silent.add(NARROW)
        port = stage.query(4, NARROW, A, 9)
        stage.forge("internet", 4, port, message(9, NARROW, A, [outsider]))
        knows(stage.daemon, NARROW, [outsider])
        stage.daemon.reload(stage.config.replace(" " + BOSS, " %s %s" % (BOSS, NARROW)))
        probes = probe_all([("client", ADDRESS[4]["server"], CONSOLE, False)],
                           lambda: lab.connect("server", EXCHANGE[4], FENCE_PORT).close())
        tap.ok(not any(probe.open for probe in probes),
               "a name that was a target alone becomes ADM's: an address that was observed does not")
        tap.equal(sorted(kernel(lab, NARROW, 4)), [pool(4, 1)], "nor is it in the kernel's set")


def redirected(tap):
    """The gateway sends the server's DNS elsewhere: to another resolver behind another interface, to itself,
    and translates its address besides."""
    other = {family: ADDRESS[family]["client"] for family in FAMILIES}
    own = GATEWAY["lan"]
    with Lab(tap) as lab:
        number = [50]

        def answer(question):
            return question.addresses(pool(4, number[0]), pool(6, number[0]), ttl=600)
        # What the server is redirected to needs a flow, for a target is judged after its translation.
        targets = " ".join(list(other.values()) + list(own.values()))
        stage = Stage(tap, lab,
                      more="[flow other-dns]\nfrom = SERVER\nto = %s\nprotocol = udp\nport = 53 5353\n\n" % targets)
        Liar(lab, answer, machine="client", addresses=list(other.values()))
        Liar(lab, answer, machine="client", addresses=list(other.values()), port=5353)
        Liar(lab, answer, machine="gateway", addresses=list(own.values()))
        ways = {
            "another resolver": {4: "dnat ip to " + other[4], 6: "dnat ip6 to " + other[6]},
            "another resolver's other port": {4: "dnat ip to %s:5353" % other[4],
                                              6: "dnat ip6 to [%s]:5353" % other[6]},
            "the gateway": {4: "redirect", 6: "redirect"},
        }
        for what, way in ways.items():
            for masked in (False, True):
                number[0] += 1
                post = ("chain post { type nat hook postrouting priority 100; oifname { wan, wan2 } masquerade; }\n"
                        if masked else "")
                rules = "".join("%s saddr %s udp dport 53 %s\n" % (word, ADDRESS[family]["server"], way[family])
                                for family, word in ((4, "ip"), (6, "ip6")))
                lab.nft("gateway", "table inet other {}\ndelete table inet other\ntable inet other {\n"
                        "chain pre { type nat hook prerouting priority -100;\n" + rules + "}\n" + post + "}\n")
                for family, kind in KINDS.items():
                    got = ask_from("server", DNS[family], WIDE, kind)[0]
                    tap.ok(got and address_bytes(pool(family, number[0])) in got,
                           "IPv%d: the server is answered by %s" % (family, what))
                knows(stage.daemon, PATTERN, [pool(family, number[0]) for family in FAMILIES])
                tap.ok(all(passes(lab, pool(family, number[0]), PORTS[PATTERN]) for family in FAMILIES),
                       "redirected to %s%s: learned" % (what, ", its address translated" if masked else ""))
        # Not redirected, nobody else's answers count. (From a port that no connection had which still is.)
        lab.nft("gateway", "delete table inet other\n")
        stage.silent.add(WIDE)
        for family, kind in KINDS.items():
            port = stage.query(family, WIDE, kind, 9, sport=1050 + family)
            stage.forge("client", family, port, message(9, WIDE, kind, [pool(family, 99)]), source=other[family])
        lab.connect("server", EXCHANGE[4], FENCE_PORT).close()
        tap.ok(not {pool(4, 99), pool(6, 99)} & set(stage.daemon.addresses(PATTERN)),
               "not redirected: the other's answers teach nothing")


def masqueraded(tap):
    """The usual gateway translates the server's address; the resolver is the one that it queried."""
    with Lab(tap) as lab:
        stage = Stage(tap, lab)
        lab.nft("gateway", "table inet other { chain post { type nat hook postrouting priority 100; "
                "oifname wan masquerade; }\n }\n")
        stage.truth[WIDE] = 60
        for family, kind in KINDS.items():
            ask_from("server", DNS[family], WIDE, kind)
        knows(stage.daemon, PATTERN, [pool(family, 60) for family in FAMILIES])
        tap.ok(all(passes(lab, pool(family, 60), PORTS[PATTERN]) for family in FAMILIES), "learned")


def own_address(tap):
    """The gateway is the resolver; a stranger has its address, and knows all else.
    Nor does he get by from the server's side."""
    own = GATEWAY["lan"]
    with Lab(tap) as lab:
        stage = Stage(tap, lab, resolvers=" ".join(own.values()))
        Liar(lab, stage.answer, machine="gateway", addresses=list(own.values()))
        for family, kind in KINDS.items():
            stage.silent.add(WIDE)
            port = stage.query(family, WIDE, kind, 0x77, server=own[family])
            for machine in ("internet", "client"):
                stage.forge(machine, family, port, message(0x77, WIDE, kind, [pool(family, 70)]), source=own[family])
            stage.forge_from_server(family, port, message(0x77, WIDE, kind, [pool(family, 71)]), source=own[family])
            stage.truth["b.wide.example.net"] = 72
            ask_from("server", own[family], "b.wide.example.net", kind)
        knows(stage.daemon, PATTERN, [pool(family, 72) for family in FAMILIES])
        both_agree(tap, lab, stage.daemon, PATTERN, [pool(family, 72) for family in FAMILIES],
                   "the gateway's own answers alone")


class Busy(Background):
    """The server queries its resolver for names that nobody wants, at a rate of its own, until close()."""

    def __init__(self, rate):
        with namespaces.inside("server"):
            self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
        for sock in self._sockets:
            sock.connect((DNS[4], 53))
        self._rate, self.sent = rate, 0
        self._begin()

    def _run(self):
        began = time.monotonic()
        while not self._ends:
            name = "n%d.junk.example.org" % self.sent
            sock = self._sockets[self.sent % len(self._sockets)]
            sock.send(struct.pack("!HHHHHH", self.sent & 0xFFFF, 0x0100, 1, 0, 0, 0) + name_bytes(name)
                      + struct.pack("!HH", A, 1))
            self.sent += 1
            time.sleep(max(0.0, began + self.sent / self._rate - time.monotonic()))

    def _release(self):
        for sock in self._sockets:
            sock.close()


def spent(daemon):
    """Processor time of spefwd, in seconds."""
    with open("/proc/%d/stat" % daemon.process.pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def crowded(tap):
    """A server with a busy client: patterns are learned all the same. What is too much is reported;
    and large answers cost little."""
    with Lab(tap) as lab:
        stage = Stage(tap, lab)
        daemon = stage.daemon
        with Busy(500) as busy:
            wait_for(lambda: busy.sent > 700, "the client is busy")
            lost = []
            for number in range(200, 240):
                stage.truth["h%d.wide.example.net" % number] = number
                for family, kind in KINDS.items():
                    if ask_from("server", DNS[family], "h%d.wide.example.net" % number, kind)[0]:
                        lost.append(pool(family, number))
        stage.truth["last.wide.example.net"] = 241
        ask_from("server", DNS[4], "last.wide.example.net", A)
        knows(daemon, PATTERN, [pool(4, 241)])
        have = set(daemon.addresses(PATTERN))
        tap.ok(len(lost) >= 60 and not [one for one in lost if one not in have],
               "all of %d are learned, among 500 queries a second" % len(lost), sorted(set(lost) - have))
        status = daemon.status()
        seen = status.get("observed", {})
        tap.ok(status["health"] == "ok" and seen.get("unseen") == 0, "and nothing was too much",
               (status["reasons"], seen))

        # 29 kB, with 1,800 records and a chain of 16 aliases, many times.
        labels = ["big.wide.example.net"] + ["c%d" % one for one in range(16)]
        chain = [record(labels[one], 5, name_bytes(labels[one + 1])) for one in range(16)]
        question = name_bytes(labels[0]) + struct.pack("!HH", A, 1)
        end = struct.pack("!H",
                          0xC000 | 12 + len(question) + sum(len(one) for one in chain) - len(name_bytes(labels[16])))
        records = chain + [record(end, A, address_bytes(pool(4, 900)))] * (1800 - len(chain))
        big = struct.pack("!HHHHHH", 77, 0x8180, 1, len(records), 0, 0) + question + b"".join(records)
        stage.silent.add(labels[0])
        before = spent(daemon)
        port = stage.query(4, labels[0], A, 77)
        for _ in range(151):
            stage.liar.send(big, ADDRESS[4]["server"], port)
            time.sleep(0.005)
        stage.truth["next.wide.example.net"] = 242
        ask_from("server", DNS[4], "next.wide.example.net", A)
        knows(daemon, PATTERN, [pool(4, 242)])
        took = spent(daemon) - before
        tap.measured("processor time for 151 answers of %d bytes: %.2f s" % (len(big), took))
        tap.ok(took < 1, "151 large answers cost little", took)

        # More than the limit: it is counted and reported.
        port = stage.query(4, "any.example.org", A, 1)
        with RawSender("internet", DNS[4], ADDRESS[4]["server"]) as sender:
            data = message(1, WIDE, A, [pool(4, 666)])
            for _ in range(5000):
                sender.udp(53, port, data)
        status = daemon.wait_status(lambda status: status.get("observed", {}).get("unseen", 0) > 0,
                                    "what was too much is counted")
        tap.ok(status["health"] == "degraded" and "unobserved" in daemon.reason_codes(status),
               "and makes health degraded", status["reasons"])
        status = daemon.wait_status(lambda status: status["observed"]["unsolicited"] >= 1000, "the rest is read")
        tap.ok(status["observed"]["learned"] == seen["learned"] + 1, "and fitted no query", status["observed"])
        done = daemon.ctl("metrics").stdout
        tap.ok('spefw_observed_total{kind="unseen"} %d' % status["observed"]["unseen"] in done, "metrics has it")


def storm(tap):
    """41 names, of which the server is denied an address again and again: each is queried at the pace that is
    allowed, and within the budget."""
    names = ["n%d.storm.example.net" % number for number in range(41)]
    with Lab(tap) as lab:
        route_pools(lab)
        lab.ip("gateway", "route add 10.0.0.0/8 via 198.51.100.20", "route add 192.168.0.0/16 via 198.51.100.20")
        lab.serve("internet", tcp=[FENCE_PORT])
        Liar(lab, lambda question: question.addresses(pool(4, 1), pool(6, 1), ttl=3600))
        text = FENCE + "[flow to-storm]\nfrom = SERVER\nto = %s\nprotocol = tcp\nport = 7900\n\n" % "\n ".join(names)
        daemon = lab.spefwd(only(lab.config(flows=text)).replace("min_interval = 1s", "min_interval = 4s"))
        daemon.wait_status(lambda status: all(one["state"] == "fresh" for one in status["names"]), "all are answered")
        is_query = lambda packet: packet.kind == "udp" and packet.dport == 53 and packet.src == GATEWAY["wan"][4]
        stranger = {4: "198.18.200.1", 6: "2001:db8:b::dead"}

        def denials(target, port, count):
            denied = daemon.status()["denied"]["out"]
            with RawSender("server", ADDRESS[6 if ":" in target else 4]["server"], target) as sender:
                began = time.monotonic()
                for number in range(count):
                    sender.tcp(20000 + number, port)
                    time.sleep(max(0.0, began + 0.1 * (number + 1) - time.monotonic()))
            daemon.wait_status(lambda status: status["denied"]["out"] >= denied + count, "they are denied", bound=20)
        with Sniffer("internet", keep=is_query) as queries:
            for target, port in ((stranger[4], 7901), (ADDRESS[4]["client"], 22), ("10.9.9.9", 7900),
                                 ("192.168.3.4", 7900)):
                denials(target, port, 2)
            tap.equal(len(queries.packets), 0,
                      "what no name could cure makes none be queried: another port, and addresses that none may have")
            began = time.monotonic()
            denials(stranger[4], 7900, 50)
            took = time.monotonic() - began
            status = daemon.status()
        kinds = [packet.payload[-4 - (11 if b"\0\0\x29" in packet.payload[-11:] else 0):] for packet in queries.packets]
        count = len(queries.packets)
        tap.measured("50 denials in %.1f s, 41 names: %d queries" % (took, count))
        tap.ok(41 <= count <= 60 + took + 2, "each name is queried, and no more than the budget allows", count)
        tap.ok(not any(struct.pack("!HH", AAAA, 1) in kind for kind in kinds), "for the family that was denied")
        limit = status["denial_queries"]
        tap.ok(limit["exhausted"] and limit["refused"] > 0, "status shows that it is used up", limit)
        tap.ok("used up, %d a minute" % limit["limit_a_minute"] in daemon.ctl("status", "-v").stdout,
               "so does spefwctl", daemon.ctl("status", "-v").stdout)
        tap.equal(status["health"], "ok", "which is no fault")


if __name__ == "__main__":
    main(attack, each_part, lifetime, redirected, masqueraded, own_address, crowded, storm)
