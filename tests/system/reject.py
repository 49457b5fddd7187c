#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""[gateway] reject: what some roles are denied is answered, by a reset or by an ICMP error, so often and no more; what
others are denied is not, nor what the retransmit of a SYN may cure."""
import errno
import json
import os
import re
import socket
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ACK, ADDRESS, EXCHANGE, FAMILIES, GATEWAY, INTERFACE_OF, LICENSE, NARROW, RST, Lab, RawSender, Sniffer, main,
    probe_all, udp_exchange, vendor, wait_for)
from lab.checks import handles, repaired, with_all_and_none  # noqa: E402

SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
PROHIBITED = {4: (3, 13), 6: (1, 1)}  # type and code
CLOSED, DENIED_UDP = 3389, 4433
RATE, BURST = 20, 40
FLOOD = 600
FORWARDED = """table inet nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		iifname "adm" tcp dport %(port)d dnat ip to %(four)s
		iifname "adm" tcp dport %(port)d dnat ip6 to %(six)s
	}
}
""" % {"port": CLOSED, "four": SERVER[4], "six": SERVER[6]}
ADMIN = "admin.example.net"
NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


class Prober:
    """Packets by hand, and what answers them."""

    def __init__(self, lab):
        self.lab, self._port = lab, 40000
        lab.serve("server", tcp=[443, 8470])
        lab.serve("internet", tcp=[80, 443])

    def fence(self, machine, family):
        """What was sent before has been answered, or is not."""
        target, port = (EXCHANGE[family], 80) if machine == "server" else (SERVER[family], 443)
        self.lab.connect(machine, target, port).close()

    def answers(self, machine, family, target, send, repeat=1):
        """What answers send(sender, sport): a list of "reset" and "prohibited"."""
        own = ADDRESS[family][machine]

        def word(packet):
            if packet.kind == "tcp" and packet.flags & RST and packet.src == target and packet.dst == own:
                return "reset"
            if packet.kind == "icmp" and (packet.sport, packet.dport) == PROHIBITED[family] and packet.dst == own:
                return "prohibited" if packet.src == GATEWAY[INTERFACE_OF[machine]][family] else "from " + packet.src
            return None
        with Sniffer(machine, keep=word) as sniffer:
            with RawSender(machine, own, target) as sender:
                for _ in range(repeat):
                    self._port += 1
                    send(sender, self._port)
            self.fence(machine, family)
        return [word(packet) for packet in sniffer.packets]

    def tcp(self, machine, family, target, port, **more):
        return self.answers(machine, family, target, lambda sender, sport: sender.tcp(sport, port, **more))

    def udp(self, machine, family, target, port=DENIED_UDP):
        return self.answers(machine, family, target, lambda sender, sport: sender.udp(sport, port))

    def echo(self, machine, family, target):
        return self.answers(machine, family, target, lambda sender, sport: sender.echo(sport))


def error_of(lab, machine, target, port, source=None):
    """What a program that connects is told; None: nothing."""
    with lab.inside(machine):
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            if source:
                sock.bind((source, 0))
            sock.connect((target, port))
            try:
                sock.send(b"lab")
                sock.recv(1)
            except socket.timeout:
                return None
            except OSError as error:
                return errno.errorcode[error.errno]
    return None


def refused(lab, machine, target, port, source=None):
    try:
        lab.connect(machine, target, port, source=source, bound=10).close()
        return "open"
    except OSError as error:
        return errno.errorcode[error.errno]


def start(lab, reject, **more):
    lab.dns(dict(NAMES, **{ADMIN: [ADDRESS[family]["admin"] for family in FAMILIES]}))
    daemon = lab.spefwd(lab.config(gateway="reject = " + reject if reject else "", flows=NARROW, **more))
    daemon.wait_status(lambda status: set(NAMES[vendor.LICENSE_NAME]) <= set(
        daemon.addresses(vendor.LICENSE_NAME, status)), "the name is known")
    return daemon


def both_ways(tap):
    """ADM is answered for what comes in, SERVER for what leaves it; nobody else is."""
    with Lab(tap) as lab:
        daemon, prober = start(lab, "ADM SERVER"), Prober(lab)
        for family in FAMILIES:
            ipv, server, peer = "IPv%d: " % family, SERVER[family], EXCHANGE[family]
            before = daemon.status()["denied"]
            tap.equal(prober.tcp("admin", family, server, CLOSED), ["reset"], ipv + "ADM to a closed port: one reset")
            tap.equal(prober.udp("admin", family, server), ["prohibited"], ipv + "by UDP: one ICMP error")
            after = daemon.status()["denied"]
            tap.equal([after[key] - before[key] for key in ("in", "early")], [2, 0],
                      ipv + "both counted as denied, none of them early")
            tap.equal(prober.tcp("admin", family, server, 8470), [], ipv + "what is allowed gets none")
            tap.equal(prober.tcp("admin", family, server, CLOSED, flags=ACK), [],
                      ipv + "nor does a packet that opens nothing")
            tap.equal([prober.tcp("client", family, server, port) for port in (CLOSED, 8470)] +
                      [prober.udp("client", family, server), prober.echo("client", family, server)], [[]] * 4,
                      ipv + "others are not answered, by whatever protocol")

            tap.equal(prober.tcp("server", family, peer, 25), ["reset"], ipv + "SERVER to a denied port: one reset")
            tap.equal(prober.udp("server", family, peer), ["prohibited"], ipv + "by UDP: one ICMP error")
            tap.equal(prober.echo("server", family, peer), ["prohibited"], ipv + "to its echo request: one")
            tap.equal(prober.tcp("server", family, LICENSE[1][family], 443), [],
                      ipv + "at a port of a flow to a name: none")
            own = GATEWAY["lan"][family]
            tap.equal([prober.tcp("server", family, own, 22), prober.udp("server", family, own)],
                      [["reset"], ["prohibited"]], ipv + "what it is denied of the gateway's own is answered")

            # Programs are told; the gateway itself is a member by one of its addresses.
            unreachable = "EHOSTUNREACH" if family == 4 else "EACCES"
            for machine, target, source, error in (("admin", server, None, unreachable),
                                                   ("server", peer, None, unreachable),
                                                   ("gateway", server, GATEWAY["adm"][family], "EPERM")):
                tap.equal((refused(lab, machine, target, CLOSED, source),
                           error_of(lab, machine, target, DENIED_UDP, source)),
                          ("ECONNREFUSED", error), ipv + "a program of %s is told" % machine)
            [probe] = probe_all([("gateway", server, CLOSED, False)], lambda: prober.fence("gateway", family))
            tap.equal(probe.result, None, ipv + "from its other address the gateway is not")
        [result] = json.loads(daemon.ctl("explain", ADDRESS[4]["admin"], "%s:%d" % (SERVER[4], CLOSED), "--json",
                                         check=False).stdout)["results"]
        tap.equal((result["verdict"], result["effect"], result["chains"][-2:]),
                  ("denied", "reject", ["refuse_in", "answer"]), "explain knows it")
        shown = daemon.ctl("explain", ADDRESS[4]["admin"], "%s:%d" % (SERVER[4], CLOSED), check=False).stdout
        tap.ok(re.search(r"SERVER_in, end; refuse_in; answer\s+handle\s+\d+\s+\(reject\)", shown), "and shows it",
               shown)
        kept = handles(daemon)
        daemon.stop()
        daemon.start()
        tap.ok(handles(daemon) == kept and repaired(daemon) == 0, "a restarted daemon takes the table as it is")
        for family in FAMILIES:
            tap.equal(prober.tcp("admin", family, SERVER[family], CLOSED), ["reset"], "IPv%d: and answers" % family)


def some_alone(tap):
    """Each role by itself, by a reload; who has a role by name; a role that is not there."""
    with Lab(tap) as lab:
        daemon, prober = start(lab, ""), Prober(lab)

        def seen():
            return {family: [prober.tcp("admin", family, SERVER[family], CLOSED),
                             prober.udp("admin", family, SERVER[family]),
                             prober.tcp("server", family, EXCHANGE[family], 25),
                             prober.udp("server", family, EXCHANGE[family])] for family in FAMILIES}

        def after(reject, expected, title, **more):
            reply = daemon.reload(lab.config(gateway="reject = %s\n" % reject, flows=NARROW, **more))
            tap.equal(seen(), {family: expected for family in FAMILIES}, title)
            return reply
        nothing, all_of_it = [[], []], [["reset"], ["prohibited"]]
        with lab.connect("admin", SERVER[4], 8470) as connection:
            tap.equal(seen(), {family: nothing + nothing for family in FAMILIES}, "by default nobody is answered")
            reply = after("ADM", all_of_it + nothing, "ADM alone")
            tap.ok("reject: none -> ADM" in reply["changes"], "reload reports it", reply)
            after("SERVER", nothing + all_of_it, "SERVER alone")
            after("", nothing + nothing, "nobody again")
            tap.ok(connection.echo(), "a connection lives through all of it")
        daemon.reload(lab.config(gateway="reject = OFFICE", flows=NARROW + "[role OFFICE]\nmembers = %s\n" % ADMIN,
                                 adm="203.0.113.99"))
        daemon.wait_status(lambda status: len(daemon.addresses(ADMIN, status)) == 2, "the name is known")
        tap.equal(seen(), {family: all_of_it + nothing for family in FAMILIES},
                  "a member by name is one, of a role that no flow uses")
        daemon.write(lab.config(gateway="reject = ADN"))
        done = daemon.run("spefwd", "--check", "-c", daemon.config)
        tap.ok(done.returncode and "unknown role ADN: did you mean ADM?" in done.stdout + done.stderr,
               "a role that is not there is refused", (done.returncode, done.stdout, done.stderr))


def names_heal(tap):
    """The name's new address is learned by the denial, and the SYN that comes again passes: no reset was sent."""
    with Lab(tap) as lab:
        dns = lab.dns(NAMES, ttl=3600)
        daemon = lab.spefwd(lab.config(gateway="reject = SERVER", flows=NARROW))
        lab.serve("internet", tcp=[443])
        daemon.wait_status(lambda status: set(NAMES[vendor.LICENSE_NAME]) <= set(
            daemon.addresses(vendor.LICENSE_NAME, status)), "the name is known")
        dns.set(vendor.LICENSE_NAME, list(LICENSE[1].values()), ttl=3600)
        for family in FAMILIES:
            before = daemon.status()["denied"]["out"]
            with lab.connect("server", LICENSE[1][family], 443) as connection:
                tap.ok(connection.echo() and daemon.status()["denied"]["out"] > before,
                       "IPv%d: denied at first, then connected" % family)


def forwarded(tap):
    """What a port forward leads to the server is answered by the address that was asked."""
    with Lab(tap) as lab:
        lab.nft("gateway", FORWARDED)
        daemon, prober = start(lab, "ADM"), Prober(lab)
        for family in FAMILIES:
            before = daemon.status()["denied"]["in"]
            tap.equal(prober.tcp("admin", family, GATEWAY["adm"][family], CLOSED), ["reset"],
                      "IPv%d: a forwarded port that no flow opens" % family)
            tap.equal(daemon.status()["denied"]["in"] - before, 1, "IPv%d: it was judged as the server's" % family)


def flood(tap):
    """Whatever comes, a burst and so many a second are answered."""
    with Lab(tap) as lab:
        daemon, prober = start(lab, "ADM"), Prober(lab)
        lab.sysctl("gateway", "ipv4/icmp_msgs_per_sec", 100000)
        lab.sysctl("gateway", "ipv4/icmp_msgs_burst", 100000)
        for family in FAMILIES:
            for word, send in (("reset", lambda sender, sport: sender.tcp(sport, CLOSED)),
                               ("prohibited", lambda sender, sport: sender.udp(sport, DENIED_UDP))):
                began = time.monotonic()
                before = daemon.status()["denied"]["in"]
                got = prober.answers("admin", family, SERVER[family], send, FLOOD)
                bound = BURST + 1 + RATE * (time.monotonic() - began)
                denied = daemon.status()["denied"]["in"] - before
                tap.ok(set(got) == {word} and len(got) <= bound and denied == FLOOD,
                       "IPv%d: a flood gets bounded answers, %s" % (family, word), (len(got), bound, denied, set(got)))
                tap.measured("IPv%d: %d of %d answered: %s" % (family, len(got), FLOOD, word))
                wait_for(lambda: prober.answers("admin", family, SERVER[family], send), "it is answered again after it")


def audit(tap):
    """Nothing is denied, and nothing answered."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[CLOSED], udp=[DENIED_UDP])
        lab.serve("internet", tcp=[25], udp=[DENIED_UDP])
        lab.spefwd(lab.config(gateway="reject = ADM SERVER").replace("mode = enforce", "mode = audit"))
        for family in FAMILIES:
            with lab.connect("admin", SERVER[family], CLOSED) as into, \
                    lab.connect("server", ADDRESS[family]["internet"], 25) as out:
                tap.ok(into.echo() and out.echo() and udp_exchange("admin", SERVER[family], DENIED_UDP)
                       and udp_exchange("server", ADDRESS[family]["internet"], DENIED_UDP),
                       "IPv%d: all of it passes" % family)


main(*with_all_and_none(both_ways), some_alone, names_heal, forwarded, flood, audit)
