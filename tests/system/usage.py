#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who uses what: connections now, in 24 hours, the last ones, and the record of them; the end of one on request."""
import json
import os
import re
import socket
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, EXCHANGE, FAMILIES, GATEWAY, Lab, Probe, main, namespaces, udp_exchange, wait_for)
from lab.daemon import VarlinkError  # noqa: E402
from lab.sessions import Peers, through  # noqa: E402

FORWARD = """table inet nat {
	chain pre {
		type nat hook prerouting priority dstnat;
		fib daddr type local tcp dport 443 dnat ip to 192.0.2.25
		fib daddr type local tcp dport 443 dnat ip6 to 2001:db8:2::25
	}
}
"""
ECHO = """[flow echo-out]
from = SERVER
to = %s %s
protocol = udp
port = 7001
""" % (ADDRESS[4]["internet"], ADDRESS[6]["internet"])
BYTES = 5 * 1000 * 1000


class Scene(Peers):
    """Both ends of all sessions."""

    def __init__(self, lab):
        super().__init__(lab, (143, 443, 8470), (443,))


def sysctl(lab, name, value):
    lab.run("gateway", "sh", "-c", "echo %d >/proc/sys/net/netfilter/nf_conntrack_%s" % (value, name))


def flows(daemon):
    """By id. Connections are read for it, unless that was a moment ago."""
    return {one["id"]: one for one in daemon.call("Flows")["flows"]}


def open_and_new(daemon):
    return {name: (one["connections"], one["new_24h"]) for name, one in flows(daemon).items() if one["new_24h"]}


def becomes(tap, daemon, expected, what):
    """Until this is open and new, and no more."""
    try:
        wait_for(lambda: open_and_new(daemon) == expected, what)
    except TimeoutError:
        pass
    tap.equal(open_and_new(daemon), expected, what)


def connections(daemon, flow=None):
    """Read now: where that was done a moment ago, it is waited for."""
    found = []

    def listed():
        try:
            found.append(daemon.call("Connections", {"flow": flow} if flow else {})["connections"])
        except VarlinkError as error:
            if not error.error.endswith(".Busy"):
                raise
        return found

    wait_for(listed, "connections can be listed")
    return found[0]


def of(daemon, session):
    """The connection of this session."""
    source = session.near.getsockname()[0]
    [one] = [one for one in connections(daemon)
             if (one["source"], one.get("source_port")) == (source, session.sport) and one["state"] == "established"]
    return one


def shown(daemon):
    return wait_for(lambda: daemon.ctl("connections", check=False).stdout, "spefwctl connections")


def peers(daemon, flow):
    return {one["peer"]: one for one in daemon.call("Peers", {"flow": flow})["peers"]}


def error_of(daemon, method, **parameters):
    try:
        daemon.call(method, parameters)
    except VarlinkError as error:
        return error.error.rsplit(".", 1)[1]
    return None


def record_file(daemon):
    try:
        with open(os.path.join(daemon.state, "record")) as file:
            return file.read()
    except FileNotFoundError:
        return None


def use(tap):
    """Connections are seen, counted once, and remembered over restarts; by whom; and not at all with record = no."""
    config = Lab.config(flows=ECHO)
    with Lab(tap) as lab:
        lab.nft("gateway", FORWARD)
        lab.serve("internet", udp=[7001])
        daemon = lab.spefwd(config)
        scene = Scene(lab)
        before = flows(daemon)
        tap.equal([(before[name]["connections"], before[name]["attempts"], before[name]["new_24h"],
                    "last_used_s" in before[name]) for name in ("imap-in", "https-in", "echo-out")],
                  [(0, 0, 0, False)] * 3, "nothing was used yet")
        sessions = {(machine, family, port): scene.session(machine, family, port) for family in FAMILIES
                    for machine, port in (("client", 143), ("admin", 143), ("admin", 8470), ("server", 443))}
        forwarded = scene.session("client", 4, 443, target=GATEWAY["wan2"][4])
        for family in FAMILIES:
            tap.ok(udp_exchange("server", ADDRESS[family]["internet"], 7001), "IPv%d: an exchange over UDP" % family)
        refused = Probe("client", ADDRESS[4]["server"], 993)
        wait_for(lambda: (refused.step(), refused.result)[1], "the refusal of a port without a listener")
        seen = {"imap-in": (4, 4), "console-in": (2, 2), "ews-out": (2, 2), "https-in": (1, 1), "echo-out": (2, 2)}
        becomes(tap, daemon, seen, "what is open now, and new")
        now = flows(daemon)
        tap.ok(now["imaps-in"]["attempts"] > 0 and not now["imaps-in"]["new_24h"],
               "what was refused is an attempt, and no connection", now["imaps-in"])
        tap.equal(sorted(name for name, one in now.items() if "last_used_s" in one),
                  ["console-in", "echo-out", "ews-out", "https-in", "imap-in"], "which were used")
        tap.equal(sorted(peers(daemon, "imap-in")), sorted(ADDRESS[family][machine] for family in FAMILIES
                                                          for machine in ("client", "admin")), "who used a flow")
        tap.equal(sorted(peers(daemon, "ews-out")), sorted(EXCHANGE.values()), "whom the server connected to")
        one = peers(daemon, "https-in")[ADDRESS[4]["client"]]
        tap.equal((one["port"], one["protocol"], one["count"], one["denied"]), (443, "tcp", 1, False),
                  "through a port forward: the client, and the server's port")
        listed = connections(daemon, "console-in")
        tap.equal(sorted((one["peer"], one["source_port"], one["state"], one["inbound"]) for one in listed),
                  sorted((ADDRESS[family]["admin"], sessions["admin", family, 8470].sport, "established", True)
                         for family in FAMILIES), "connections of one flow")
        becomes(tap, daemon, seen, "looked at again, they are the same")
        tap.equal((error_of(daemon, "Connections", flow="no-such"), error_of(daemon, "Peers", flow="no-such"),
                   error_of(daemon, "Peers"), error_of(daemon, "Connections", flow=7)),
                  ("FlowUnknown", "FlowUnknown", "InvalidParameter", "InvalidParameter"), "flows that there are not")
        denied = Probe("client", ADDRESS[4]["server"], 8470)
        wait_for(lambda: ADDRESS[4]["client"] in peers(daemon, "console-in"), "a denial is recorded")
        one = peers(daemon, "console-in")[ADDRESS[4]["client"]]
        tap.equal((one["denied"], one["port"], flows(daemon)["console-in"]["new_24h"]), (True, 8470, 2),
                  "who was denied near to a flow; and that is no use of it")
        denied.close()
        # Closed: entries stay for a while, and are no open connections.
        for family in FAMILIES:
            for end in (sessions["client", family, 143].near, sessions["client", family, 143].far):
                end.close()
        seen["imap-in"] = (2, 4)
        becomes(tap, daemon, seen, "two are closed, and were there")
        # A stop saves the record; what is open still is not counted again.
        daemon.stop()
        daemon.start()
        status = daemon.status()
        kept = {one["id"]: one for one in status["flows"]}
        tap.equal((kept["imap-in"]["connections"], kept["imap-in"]["new_24h"], kept["https-in"]["new_24h"]), (2, 4, 1),
                  "a restart keeps it, and counts nothing twice")
        another = scene.session("client", 6, 143)
        seen["imap-in"] = (3, 5)
        becomes(tap, daemon, seen, "one more since then")
        tap.equal(peers(daemon, "imap-in")[ADDRESS[6]["client"]]["count"], 2, "of the same peer")
        text = daemon.ctl("flows").stdout
        tap.ok(re.search(r"^imap-in +ANY +SERVER +tcp/143 +3 +5 +\d+s$", text, re.M), "flows shows it", text)
        tap.ok(re.search(r"^The record of 24 H and LAST goes back \d+[sm]\.$", text, re.M), "and how far it goes back",
               text)
        text = wait_for(lambda: daemon.ctl("flows", "imap-in", check=False).stdout, "all about one flow")
        tap.ok(re.search(r"^  now +3 open$", text, re.M) and re.search(r"^%s +tcp/143 +2 " % ADDRESS[6]["client"], text,
                                                                      re.M), "all about one flow", text)
        metrics = daemon.ctl("metrics").stdout
        for sample in ('flow_connections{flow="imap-in"} 3', 'flow_new_connections_24h{flow="imap-in"} 5',
                       'flow_attempts_total{flow="imap-in"} ', 'flow_last_used_seconds{flow="imap-in"} '):
            tap.ok("\nspefw_" + sample in metrics, "metrics have " + sample, metrics)
        # No record.
        tap.ok("allowed imap-in %s/128 tcp 143 " % ADDRESS[6]["client"] in record_file(daemon), "it is on disk",
               record_file(daemon))
        changes = daemon.reload(Lab.config(flows=ECHO, gateway="record = no"))["changes"]
        tap.ok("record: yes -> no" in changes, "the reload shows it", changes)
        wait_for(lambda: flows(daemon)["imap-in"]["connections"] == 3, "what is open is known")
        off = flows(daemon)["imap-in"]
        tap.equal((record_file(daemon), off["connections"], "new_24h" in off, "last_used_s" in off,
                   "recorded_s" in daemon.call("Flows"), peers(daemon, "imap-in")), (None, 3, False, False, False, {}),
                  "record = no: nothing is kept, and what was kept is gone")
        tap.ok("No record is kept" in daemon.ctl("flows").stdout, "flows shows that", daemon.ctl("flows").stdout)
        daemon.stop()
        tap.equal(record_file(daemon), None, "nor is anything saved")
        daemon.write(config)
        daemon.start()
        wait_for(lambda: open_and_new(daemon).get("console-in") == (2, 2), "kept again, it begins anew")
        tap.equal(flows(daemon)["imap-in"]["connections"], 3, "what is open is new to it")
        tap.ok(another.lives(), "and all went on")


def with_sum(line):
    """A line of the state directory's file: its end is a checksum."""
    value = 0xcbf29ce484222325
    for byte in line.encode():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return "%s %016x\n" % (line, value)


def folded(tap):
    """Of a flow that had many peers, further ones are kept by their network; and a damaged file costs no start."""
    lines = ["spefw-record 1", "boot another", "kept %d" % (90 * 24 * 3600 * 1000)]
    lines += ["allowed imap-in 192.88.%d.%d/32 tcp 143 1700000000 4000000000 1" % (n // 100, n % 100)
              for n in range(256)]
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        scene = Scene(lab)
        daemon.stop()
        with open(os.path.join(daemon.state, "record"), "w") as file:
            file.write("".join(map(with_sum, lines)))
            file.write("allowed imap-in 192.88.99.99/32 tcp 143 1 1 1 0123456789abcdef\n")
        daemon.start()
        sessions = [scene.session(machine, family, 143) for machine in ("client", "admin") for family in FAMILIES]
        wait_for(lambda: flows(daemon)["imap-in"]["new_24h"] == len(sessions), "they are seen")
        found = peers(daemon, "imap-in")
        tap.equal(sorted(set(found) - {line.split()[2][:-3] for line in lines[3:]}),
                  ["198.51.100.0/24", "2001:db8:10::/48", "2001:db8:3::/48", "203.0.113.0/24"],
                  "networks beside the addresses that were there")
        tap.equal(len(found), 260, "and the line that is damaged is not")
        tap.equal(found["198.51.100.0/24"]["count"], 1, "with their connections")
        text = wait_for(lambda: daemon.ctl("flows", check=False).stdout, "spefwctl flows")
        tap.ok(re.search(r"^Never used in 90 days, and open to ANY: crl, pop3-out, ", text, re.M)
               and "imap-in," not in text, "a record that is old enough shows what was never used", text)


def cut(tap):
    """One connection ends on request, for both ends and for good; a new one between the same ends is another."""
    with Lab(tap) as lab:
        lab.nft("gateway", FORWARD)
        lab.serve("internet", udp=[7001])
        daemon = lab.spefwd(lab.config(flows=ECHO))
        scene = Scene(lab)
        for family in FAMILIES:
            ipv = "IPv%d: " % family
            for machine, port, target in (("admin", 8470, None), ("client", 143, None), ("server", 443, None),
                                          ("client", 443, GATEWAY["wan2"][family])):
                title = "%s%s, port %d%s" % (ipv, machine, port, ", translated" if target else "")
                doomed = scene.session(machine, family, port, target=target)
                kept = [scene.session("admin", family, 8470), scene.session("server", family, 443)]
                one = of(daemon, doomed)
                reply = daemon.call("Cut", {"id": one["id"]})
                tap.equal(reply, {key: one[key] for key in reply}, title + ": what was cut")
                tap.equal(through([doomed], kept), [], title + ": not a byte of it passes")
                for end in (doomed.near, doomed.far):
                    try:
                        end.settimeout(30)
                        while end.recv(1000):
                            pass
                        result = "closed"
                    except ConnectionResetError:
                        result = "reset"
                    tap.equal(result, "reset", title + ": an end is reset")
                tap.equal(error_of(daemon, "Cut", id=one["id"]), "ConnectionUnknown", title + ": it is gone")
                tap.ok("cut by root (uid 0): connection %d, " % one["id"] in daemon.log(), title + ": it is logged",
                       daemon.log())
                sport = doomed.sport
                doomed.close()
                again = scene.session(machine, family, port, sport=sport, target=target)
                tap.ok(again.lives(), title + ": a new one of the same ends lives")
                for session in [again] + kept:
                    session.close()
        # It stays so where the policy allows the connection: over reloads, restarts, and a table that is built anew.
        held = scene.session("client", 4, 143)
        one = of(daemon, held)
        remembered = daemon.status()["mid_stream"]["remembered"]
        done = daemon.ctl("cut", str(one["id"]))
        tap.ok(done.stdout.startswith("cut: %s port %d -> " % (ADDRESS[4]["client"], held.sport)), "spefwctl cut",
               done.stdout)
        daemon.reload(lab.config(flows=ECHO + "[flow api-in]\nenabled = no\n"))
        daemon.stop()
        daemon.start()
        daemon.reload(lab.config(flows=ECHO))
        tap.equal(daemon.status()["mid_stream"]["remembered"], remembered + 1, "it is remembered over them")
        fence = scene.session("client", 4, 143)
        tap.equal(through([held], [fence]), [], "and not a byte passes")
        # Who has just looked, may look again: it waits for as long as that takes.
        texts = [daemon.ctl(*words).stdout for words in (["connections"], ["flows", "imap-in"]) * 5]
        tap.ok(all("imap-in" in text for text in texts), "connections and a flow, again and again", texts)
        # What can't be cut.
        udp_exchange("server", ADDRESS[4]["internet"], 7001)
        [one] = connections(daemon, "echo-out")
        tap.equal((error_of(daemon, "Cut", id=one["id"]), error_of(daemon, "Cut", id=1), error_of(daemon, "Cut", id=-1),
                   error_of(daemon, "Cut", id="x"), error_of(daemon, "Cut")),
                  ("Failed", "ConnectionUnknown", "InvalidParameter", "InvalidParameter", "InvalidParameter"),
                  "UDP, and what there is not")
        done = daemon.ctl("cut", "1", check=False)
        tap.equal((done.returncode, done.stderr), (1, "spefwctl: there is no connection 1 (any more): "
                                                   "spefwctl connections shows those that are there\n"), "its words")
        one = of(daemon, fence)
        daemon.reload(lab.config(flows=ECHO).replace("mode = enforce", "mode = audit"))
        tap.equal(error_of(daemon, "Cut", id=one["id"]), "Failed", "audit mode cuts nothing")
        stranger = scene.session("client", 4, 8470)
        one = of(daemon, stranger)
        tap.ok("flow" not in one, "no flow allows this one, which audit mode lets pass", one)
        tap.ok(re.search(r"^\(none\)\n  %s +tcp/8470 " % ADDRESS[4]["client"], shown(daemon), re.M),
               "spefwctl connections shows that", shown(daemon))
        daemon.reload(lab.config(flows=ECHO))
        one = of(daemon, fence)
        daemon.call("Clear")
        tap.equal(error_of(daemon, "Cut", id=one["id"]), "Failed", "nor is anything where there is no table")
        tap.ok(fence.lives(), "and all went on")


def transfer(session, count):
    """So many bytes from the far end to the near one."""
    session.near.settimeout(60)
    got, sent = 0, 0
    block = bytes(100000)
    while got < count:
        if sent < count:
            sent += session.far.send(block[:count - sent], socket.MSG_DONTWAIT) if sent - got < 100000 else 0
        got += len(session.near.recv(1 << 20))
    return got


def counted(tap):
    """Bytes where the kernel counts them, and no column where not; likewise since when."""
    with Lab(tap) as lab:
        lab.nft("gateway", FORWARD)
        sysctl(lab, "acct", 0)
        sysctl(lab, "timestamp", 0)
        daemon = lab.spefwd(lab.config())
        scene = Scene(lab)
        plain = scene.session("client", 4, 143)
        [one] = connections(daemon, "imap-in")
        tap.equal(("bytes" in one, one["age_at_least"]), (False, True), "what the kernel does not count is not shown")
        text = shown(daemon)
        tap.ok("BYTES" not in text and re.search(r" \d+s\+ ", text), "nor in a column", text)
        sysctl(lab, "acct", 1)
        sysctl(lab, "timestamp", 1)
        session = scene.session("client", 6, 443)
        tap.equal(transfer(session, BYTES), BYTES, "5 MB are transferred")
        [one] = connections(daemon, "https-in")
        tap.ok(BYTES <= one["bytes"] <= 1.1 * BYTES, "they are counted", one)
        tap.ok(not one["age_at_least"] and one["age_s"] <= 600, "and when it began is known", one)
        text = shown(daemon)
        tap.ok("BYTES" in text and re.search(r" 5\.\d MB ", text), "a column has them", text)
        tap.ok(re.search(r"^imap-in\n  .* - ", text, re.M), "of the older connection nothing is known", text)
        tap.ok(plain.lives(), "it lives")


def many(tap):
    """More connections than a reply has: the first 10,000, and that there are more."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(flows=ECHO))
        with namespaces.inside("server"):
            for port in range(20000, 31000):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind((ADDRESS[4]["server"], port))
                    sock.sendto(b"", (ADDRESS[4]["internet"], 7001))
        reply = daemon.call("Connections", {"flow": "echo-out"})
        tap.equal((len(reply["connections"]), reply["more"], {one["state"] for one in reply["connections"]}),
                  (10000, True, {"unanswered"}), "10,000 are listed")
        tap.equal(len({one["id"] for one in reply["connections"]}), 10000, "each once")
        tap.equal(flows(daemon)["echo-out"]["connections"], 0, "unanswered ones are not open")
        lines = shown(daemon).splitlines()
        tap.equal((len(lines), lines[-1]), (10003, "There are more: only 10,000 are shown."), "spefwctl shows that")
        daemon.call("Status")
        tap.ok(len(json.dumps(reply)) < 4 << 20, "and a reply has room for them", len(json.dumps(reply)))


if __name__ == "__main__":
    main(use, folded, cut, counted, many)
