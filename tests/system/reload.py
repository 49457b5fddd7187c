#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reloads under traffic: nothing allowed is lost, nothing denied leaks, counters and connections go on."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, EXCHANGE, FAMILIES, LICENSE, NARROW, Lab, Sniffer, VarlinkError, counters, frozen, main, vendor, wait_for)
from lab.streams import Allowed, Denied, Ledger, Sink  # noqa: E402

RELOADS = 1000 if os.environ.get("SPEFW_TEST_LONG") else 100
# What they allow differs in everything but the streams of this test.
POLICIES = (
    dict(gateway="early_drop = yes"),
    dict(gateway="interception = off", flows=NARROW + "[flow console-in]\nport = 18470\n\n[flow pop3-out]\n"
         "enabled = no\n", server="192.0.2.25 192.0.2.28-192.0.2.31 2001:db8:2::25",
         adm="203.0.113.0/25 198.51.100.200 2001:db8:3::/64 2001:db8:99::/48"),
    dict(gateway="early_drop = yes\ninterception = block", flows="[flow backup-in]\nfrom = 203.0.113.77\nto = SERVER\n"
         "protocol = tcp\nport = 445, 10000-10100\n\n[flow api-in]\nenabled = no\n",
         adm="203.0.113.9 203.0.113.16/28 2001:db8:3::10"),
    dict(gateway="early_drop = no\ninterception = report\nlog_group = 7", flows="[flow imaps-in]\nenabled = no\n\n"
         "[flow ews-out]\nto = %s %s\n\n[role IH]\nmembers = 192.0.2.40 2001:db8:2::40\nprotected = yes\n\n"
         "[flow ih-in]\nfrom = ANY\nto = IH\nprotocol = tcp\nport = 443\n" % (EXCHANGE[4], EXCHANGE[6])),
)


def under_traffic(tap):
    """Many reloads that alternate policies, under steady traffic."""
    with Lab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        daemon = lab.spefwd(lab.config(**POLICIES[0]))
        lab.serve("server", tcp=[993, 143])
        kept = {family: lab.connect("client", ADDRESS[family]["server"], 143) for family in FAMILIES}
        ledger = Ledger(lab, ("client", "server", "internet"), 443)
        sinks = [Sink("server", 443), Sink("internet", 443)]
        allowed, denied = [], []
        for family in FAMILIES:
            server = ADDRESS[family]["server"]
            allowed += [Allowed("client", server, 443), Allowed("server", EXCHANGE[family], 443)]
            denied += [Denied("client", ADDRESS[family]["client"], server, (8470, 8474, 3389, 22), "server"),
                       Denied("server", server, LICENSE[2][family], (25, 3389), "internet")]
        generation, problems, seen = daemon.status()["generation"], [], counters(daemon.table())
        try:
            for number in range(1, RELOADS + 1):
                changed = daemon.reload(lab.config(**POLICIES[number % len(POLICIES)]))
                if not changed["changed"] or changed["generation"] <= generation or not changed["changes"]:
                    problems.append((number, changed, generation))
                generation = changed["generation"]
                if number % 10 == 0:
                    now = counters(daemon.table())
                    backwards = [name for name, count in seen.items() if name in now and now[name] < count]
                    problems += [(number, name, seen[name], now[name]) for name in backwards]
                    seen = now
                    problems += [(number, "a connection broke", family)
                                 for family in FAMILIES if not kept[family].echo()]
        finally:
            for stream in allowed + denied:
                stream.close()
            for sink in sinks:
                sink.close()
        tap.note("%d reloads, %d connections, %d denied SYNs" %
                 (RELOADS, sum(s.opened for s in allowed), sum(s.sent for s in denied)))
        tap.equal(problems, [], "each reload changed what it should; counters and connections go on")
        tap.equal([stream.errors for stream in allowed], [[]] * 4, "no allowed connection failed")
        tap.ok(all(stream.opened > RELOADS for stream in allowed), "there were many",
               [stream.opened for stream in allowed])

        def balanced():
            totals = ledger.totals()
            return totals["sent"] == totals["received"] and totals["syn-sent"] == totals["syn-received"]
        try:
            wait_for(balanced, "the last packets arrive", bound=10)
        except TimeoutError:
            pass
        tap.ok(balanced(), "not one packet of theirs was lost on the way", ledger.totals())
        tap.note(ledger.totals())
        tap.equal([stream.leaked for stream in denied], [0] * 4, "no denied SYN came through")
        tap.ok(all(stream.sent > RELOADS for stream in denied), "there were many", [stream.sent for stream in denied])
        opened = sum(stream.opened for stream in allowed if stream._where[0] == "client")
        flow = [flow for flow in daemon.status()["flows"] if flow["id"] == "https-in"][0]
        tap.ok(flow["attempts"] >= opened, "status counted each of them through all reloads",
               (flow["attempts"], opened))


def the_same_again(tap):
    """A file of the same meaning changes nothing in the kernel; a bad one neither."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        before, generation = frozen(daemon.table(handles=True), handles=True), daemon.status()["generation"]
        again = daemon.reload(lab.config())
        tap.equal((again["changed"], again["generation"], again["changes"]), (False, generation, []),
                  "the same file: nothing changed")
        again = daemon.reload(lab.config().replace("\n", "\r\n") + "\r\n; a remark\r\n")
        tap.equal((again["changed"], again["generation"]), (False, generation),
                  "other line ends and a remark: nothing changed")
        tap.ok(frozen(daemon.table(handles=True), handles=True) == before, "no handle in the kernel changed")
        try:
            daemon.reload(lab.config(flows="[flow https-in]\nport = 70000\n"))
            tap.ok(False, "a bad file is refused")
        except VarlinkError as error:
            tap.ok(error.error.endswith(".ConfigInvalid") and "70000" in str(error.parameters["errors"]),
                   "a bad file is refused", error)
        status = daemon.status()
        tap.equal((status["config"]["matches_disk"], status["generation"]), (False, generation),
                  "status shows that the file is not the policy")
        tap.ok(frozen(daemon.table(handles=True), handles=True) == before, "and the policy stays")
        again = daemon.reload(lab.config())
        tap.equal((again["changed"], daemon.status()["config"]["matches_disk"]), (False, True),
                  "the good file again: all is well")
        again = daemon.reload(lab.config(flows="[flow https-in]\ncomment = f\u00fcr alle, #4711 ; no part of it\n"))
        tap.equal(again["changes"], ["flow https-in: comment f\u00fcr alle, #4711, was none"],
                  "a comment: the change is reported")
        tap.ok(frozen(daemon.table(handles=True), handles=True) == before,
               "and no handle in the kernel changed")
        shown = {flow["id"]: flow.get("comment") for flow in daemon.status()["flows"] if "comment" in flow}
        tap.equal(shown, {"https-in": "f\u00fcr alle, #4711"}, "status has it")
        tap.ok("f\u00fcr alle, #4711" in daemon.ctl("flows").stdout, "flows shows it")


class Cut:
    """A connection that is to be reset as soon as its end sends: by this, or by an ACK that the kernel delayed."""

    def __init__(self, connection):
        self._connection, self._reset = connection, False

    def send(self):
        try:
            self._connection.socket.send(b"echo x\n")
        except ConnectionResetError: # reported once only
            self._reset = True

    def was_reset(self):
        try:
            if not self._reset:
                self._connection.socket.recv(1024)
            return self._reset
        except ConnectionResetError:
            return True


def what_is_no_longer_allowed(tap):
    """Connections that the new policy denies are cut, from both sides; all others go on."""
    with Lab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        daemon = lab.spefwd(lab.config())
        console = lab.serve("server", tcp=[8470])
        lab.serve("server", tcp=[143, 443])
        lab.serve("admin", tcp=[443])
        lab.serve("internet", tcp=[110, 443])
        for family in FAMILIES:
            ipv, server, admin = "IPv%d: " % family, ADDRESS[family]["server"], ADDRESS[family]["admin"]
            cut_in, cut_out = lab.connect("admin", server, 8470), lab.connect("server", EXCHANGE[family], 110)
            kept = [lab.connect("admin", server, 443), lab.connect("client", server, 143),
                    lab.connect("server", EXCHANGE[family], 443), lab.connect("client", EXCHANGE[family], 110)]
            tap.ok(cut_in.echo() and cut_out.echo() and all(connection.echo() for connection in kept),
                   ipv + "all connections work")
            inbound, outbound = Cut(cut_in), Cut(cut_out)
            # What looks like an answer must not slip out either:
            # the administrator's port 80 is one that the server may go to.
            odd = lab.connect("admin", server, 8470, sport=80)
            daemon.reload(lab.config(adm="203.0.113.200 2001:db8:3::200", flows="[flow pop3-out]\nenabled = no\n"))

            def arrive(machine, condition, send, fence):
                with Sniffer(machine, keep=lambda packet: packet.family == family and packet.kind == "tcp"
                             and condition(packet)) as sniffer:
                    send()
                    lab.connect(*fence).close()
                return len(sniffer.packets)
            inwards = ("admin", server, 443)
            tap.equal(arrive("server", lambda packet: packet.dport == 8470, inbound.send, inwards), 0,
                      ipv + "an inbound one is cut: nothing of its client's arrives")
            tap.equal(arrive("admin", lambda packet: packet.sport == 8470 and packet.src == server,
                             lambda: console.push("x"), ("server", admin, 443)), 0,
                      ipv + "and nothing of the server's")
            tap.equal(arrive("internet", lambda packet: packet.dport == 110 and packet.src == server, outbound.send,
                             ("server", EXCHANGE[family], 443)), 0, ipv + "an outbound one is cut")
            tap.ok(all(connection.echo() for connection in kept), ipv + "all others go on")
            tap.ok(inbound.was_reset() and outbound.was_reset(), ipv + "the ends that sent are reset")
            daemon.reload(lab.config())
            again = [lab.connect("admin", server, 8470), lab.connect("server", EXCHANGE[family], 110)]
            tap.ok(all(connection.echo() for connection in again), ipv + "allowed again, new ones work")
            kept += again
            for connection in [cut_in, cut_out, odd] + kept:
                connection.close()


if __name__ == "__main__":
    main(the_same_again, what_is_no_longer_allowed, under_traffic)
