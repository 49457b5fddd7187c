#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A flood of SYNs to closed ports: allowed connections pass meanwhile, and connection tracking has no work with it.

That it has none shows right behind its hook: what comes there was looked up and got an entry of its own, whether that
is kept or not. Today's kernels count no such lookup (searched and new of /proc/net/stat/nf_conntrack stay 0), and a SYN
that is dropped later leaves no entry to be seen either. With early_drop = no the work is there.

SPEFW_TEST_LONG=1: 1,000,000 SYNs in all, instead of 200,000."""
import json
import os
import random
import socket
import sys
import threading
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, FAMILIES, GATEWAY, LICENSE, Lab, RawSender, SYN, main, probe_all, vendor, wait_for)
from lab.daemon import counters  # noqa: E402
from lab.packets import packed, tcp_segment  # noqa: E402
from lab.streams import Allowed, Sink  # noqa: E402

FLOOD = 1000000 if os.environ.get("SPEFW_TEST_LONG") else 200000
SHOWN = 20000       # without early_drop: enough to see the work
SOURCES = 500       # of each family, and each from many ports
CLOSED = (22, 445, 1433, 3389, 5985, 8443)
ALLOWED = 443
# How many of them came, how many connection tracking has seen, and how many went out to the server.
WATCH = """table inet watch {
	counter come { }
	counter tracked { }
	counter leaked { }
	chain come { type filter hook prerouting priority -400; tcp dport { %(ports)s } counter name come; }
	chain tracked { type filter hook prerouting priority -199
		tcp dport { %(ports)s } ct state != untracked counter name tracked; }
	chain leaked { type filter hook postrouting priority 400; tcp dport { %(ports)s } counter name leaked; }
}
""" % {"ports": ", ".join(str(port) for port in CLOSED)}


def watched(lab):
    return counters(
        json.loads(lab.run("gateway", "nft", "-j", "list", "counters", "table", "inet", "watch").stdout)["nftables"])


def statistics(lab):
    """What the kernel counts of connection tracking, over all processors."""
    with lab.inside("gateway"):
        with open("/proc/net/stat/nf_conntrack", encoding="ascii") as file:
            names, *rows = [line.split() for line in file]
    return {name: sum(int(row[index], 16) for row in rows) for index, name in enumerate(names) if name != "entries"}


def counted(lab, daemon):
    """watched(), and what status has denied by then: nothing of the flood is on its way between the two looks, nor is a
    part of it counted here and not yet there."""
    last = [None, None]

    def still():
        before = watched(lab)
        last[:] = before, daemon.status()["denied"]
        return before == watched(lab)
    wait_for(still, "the last of the flood is through")
    return last


def entries(lab):
    """How many connections to the flood's ports are tracked."""
    known = [line.split() for family in ("ipv4", "ipv6")
             for line in lab.run("gateway", "conntrack", "-L", "-f", family, "-p", "tcp").stdout.splitlines()]
    return sum(1 for words in known if {"dport=%d" % port for port in CLOSED} & set(words))


class Flood:
    """SYNs of one family, made ahead, from sources that nobody has;
    until the gateway's count of what came is `until`."""

    def __init__(self, lab, family, until):
        self.lab, self.until, self.sent = lab, until, 0
        self._target = ADDRESS[family]["server"]
        self._sender = RawSender("client", ADDRESS[family]["client"], self._target)
        rng = random.Random(family)
        self._packets = []
        for _ in range(SOURCES):
            source = ("10.%d.%d.%d" % tuple(rng.randint(1, 254) for _ in range(3)) if family == 4
                      else "2001:db8:f10:%x::%x" % (rng.randint(1, 65535), rng.randint(1, 65535)))
            for port in CLOSED:
                self._packets.append(self._packet(family, source, rng.randint(1024, 65535), port))

    def _packet(self, family, source, sport, dport):
        segment = tcp_segment(source, self._target, sport, dport, SYN)
        if family == 4:
            return (bytes((0x45, 0, 0, 40, 0, 1, 0, 0, 64, socket.IPPROTO_TCP, 0, 0)) + packed(source)
                    + packed(self._target) + segment)
        return (bytes((0x60, 0, 0, 0, 0, len(segment), socket.IPPROTO_TCP, 64)) + packed(source) + packed(self._target)
                + segment)

    def run(self):
        send = self._sender.socket.send
        while watched(self.lab)["come"] < self.until and self.sent < 20 * FLOOD:
            for packet in self._packets:
                try:
                    send(packet)
                except OSError:  # its queue is full
                    continue
            self.sent += len(self._packets)
        self._sender.close()


def flood(tap, lab, daemon, title, count):
    """Both families at once, with allowed connections meanwhile. Returns how much came, was tracked,
    was denied early and late."""
    (before, denied), stats = counted(lab, daemon), statistics(lab)
    floods = [Flood(lab, family, before["come"] + count) for family in FAMILIES]
    with Sink("server", ALLOWED):
        streams = [Allowed("admin", ADDRESS[family]["server"], ALLOWED) for family in FAMILIES]
        wait_for(lambda: all(stream.opened or stream.errors for stream in streams),
                 title + "allowed connections have begun")
        opened = [stream.opened for stream in streams]
        threads = [threading.Thread(target=one.run) for one in floods]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        during = [stream.opened - first for stream, first in zip(streams, opened)]
        for stream in streams:
            stream.close()
    for stream, family, many in zip(streams, FAMILIES, during):
        tap.ok(many > 0 and not stream.errors, "%sIPv%d: allowed connections pass meanwhile" % (title, family),
               (many, stream.errors[:5]))
    after, now = counted(lab, daemon)
    grown = {name: value - stats[name] for name, value in statistics(lab).items() if value != stats[name]}
    tap.note("%s%d SYNs came, %d connections opened meanwhile, the kernel's counters: %s" %
             (title, after["come"] - before["come"], sum(during), grown))
    tap.equal(after["leaked"], before["leaked"], title + "nothing of it reaches the server")
    return after["come"] - before["come"], after["tracked"] - before["tracked"], \
        now["early"] - denied["early"], now["in"] - denied["in"]


def early_drop(tap):
    """Never-open ports, with and without early_drop, and in audit mode."""
    with Lab(tap) as lab:
        lab.nft("gateway", WATCH)
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        daemon = lab.spefwd(lab.config())
        come, tracked, early, late = flood(tap, lab, daemon, "early_drop = yes: ", FLOOD)
        tap.ok(come >= FLOOD, "early_drop = yes: the flood came", come)
        tap.equal((tracked, late), (0, 0), "early_drop = yes: connection tracking has seen nothing of it")
        tap.equal(early, come, "early_drop = yes: each SYN is counted")
        tap.equal(entries(lab), 0, "early_drop = yes: no entries of it")
        daemon.reload(lab.config(gateway="early_drop = no"))
        come, tracked, early, late = flood(tap, lab, daemon, "early_drop = no: ", SHOWN)
        tap.ok(come >= SHOWN, "early_drop = no: the flood came", come)
        tap.equal((tracked, early, late), (come, 0, come),
                  "early_drop = no: connection tracking has seen each of it, and it is denied after that")
        daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        lab.nft("server", "table inet quiet {\nchain in {\ntype filter hook prerouting priority -400\n"
                "tcp dport != %d drop\n}\n}\n" % ALLOWED)
        before, _ = counted(lab, daemon)
        Flood(lab, 4, before["come"] + 3000).run()
        after, _ = counted(lab, daemon)
        come = after["come"] - before["come"]
        tap.ok(come >= 3000, "audit: the flood came", come)
        tap.equal((after["tracked"] - before["tracked"], after["leaked"] - before["leaked"]), (come, come),
                  "audit: nothing is dropped early, nor late")


# A public address forwarded to the server, and a port of the server's own address that is translated.
TRANSLATED = """table inet translated {
	chain pre {
		type nat hook prerouting priority dstnat;
		fib daddr type local tcp dport 9443 dnat ip to 192.0.2.25:443
		fib daddr type local tcp dport 9443 dnat ip6 to [2001:db8:2::25]:443
		ip daddr 192.0.2.25 tcp dport 9444 dnat ip to 192.0.2.25:443
		ip6 daddr 2001:db8:2::25 tcp dport 9444 dnat ip6 to [2001:db8:2::25]:443
	}
}
"""
FLOWS = """[flow wide-in]
from = any
to = SERVER
protocol = tcp
port = 7000, 7100-7200

[flow narrow-in]
from = 203.0.113.10 2001:db8:3::10
to = SERVER
protocol = tcp
port = 7300

[flow off-in]
enabled = no
from = any
to = SERVER
protocol = tcp
port = 7400
"""


def denied_since(daemon, before):
    """What status has denied, once there is more of it: of new connections,
    for a late packet of an old one may be invalid."""
    now = daemon.status()["denied"]
    return now if any(now[kind] != before[kind] for kind in ("in", "early")) else None


def which(tap):
    """Which SYNs go early: none to a port that is open to anybody, nor to another address that is forwarded."""
    ports = (443, 7000, 7099, 7100, 7150, 7200, 7201, 7300, 7400, 8470)
    wide = (443, 7000, 7100, 7150, 7200)
    with Lab(tap) as lab:
        lab.nft("gateway", TRANSLATED)
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        lab.serve("server", tcp=ports)
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        for early in ("yes", "no"):
            daemon.reload(lab.config(gateway="early_drop = " + early, flows=FLOWS))
            for family in FAMILIES:
                server = ADDRESS[family]["server"]
                for port in ports:
                    title = "early_drop = %s, IPv%d: port %d " % (early, family, port)
                    if port in wide:
                        with lab.connect("client", server, port) as connection:
                            tap.equal(connection.greeting[0], "server", title + "is open")
                        continue
                    before = daemon.status()["denied"]
                    with RawSender("client", ADDRESS[family]["client"], server) as sender:
                        sender.tcp(40000 + port, port)
                    after = wait_for(lambda b=before: denied_since(daemon, b), title + "is denied")
                    # What administrators alone may use is judged by the source,
                    # which only connection tracking knows.
                    kind = "early" if early == "yes" and port not in (7300, 8470) else "in"
                    tap.equal(after[kind] - before[kind], 1, title + "is denied " + kind)
                for port in (7300, 8470):
                    with lab.connect("admin", server, port) as connection:
                        tap.equal(connection.greeting[0], "server",
                                  "early_drop = %s, IPv%d: port %d is open to administrators" % (early, family, port))
                with lab.connect("client", GATEWAY["wan2"][family], 9443) as connection:
                    tap.equal(connection.greeting[0], "server",
                              "early_drop = %s, IPv%d: a forwarded public address" % (early, family))
                title = "early_drop = %s, IPv%d: a translated port of the server's own address " % (early, family)
                if early == "no":
                    with lab.connect("client", server, 9444) as connection:
                        tap.equal(connection.greeting[0], "server", title + "works")
                else: # it sees the wire
                    [probe] = probe_all([("client", server, 9444, False)],
                                        lambda s=server: lab.connect("client", s, 443).close())
                    tap.equal(probe.result, None, title + "is closed")
        status = daemon.status()
        tap.equal((status["health"], status["guards"]["intercepted"], status["interceptions"]), ("ok", 0, []),
                  "no alarm")


if __name__ == "__main__":
    main(early_drop, which)
