#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is denied is seen: who, where, why, and what would allow it.

SPEFW_TEST_LONG=1: a flood of 1,000,000 packets, instead of 100,000."""
import json
import os
import re
import socket
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ACK, ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, NARROW, SYN, Lab, Probe, RawSender, main, namespaces,
    program, vendor, wait_for)
from lab.daemon import TOP, open_socket  # noqa: E402
from lab.netlink import attribute  # noqa: E402
from lab.packets import packed, tcp_segment  # noqa: E402
from lab.varlink import Interface  # noqa: E402

FLOOD = 1000000 if os.environ.get("SPEFW_TEST_LONG") else 100000
with open(os.path.join(TOP, "include/spefw/org.spefw.Gateway.varlink"), encoding="utf-8") as _file:
    INTERFACE = Interface(_file.read())


def drops(daemon):
    """The reply, which is as the interface describes it."""
    reply = daemon.call("Drops")
    complaints = INTERFACE.complaints(INTERFACE.methods["Drops"][1], reply)
    if complaints:
        raise ValueError("\n".join(complaints))
    return reply


def rows_like(reply, **wanted):
    return [row for row in reply["rows"] if all(row.get(key) == value for key, value in wanted.items())]


def wait_row(daemon, what, **wanted):
    """The one row that is like this, once it is there."""
    found = wait_for(lambda: rows_like(drops(daemon), **wanted), "%s: %s" % (what, wanted))
    if len(found) != 1:
        raise ValueError("%s: %d rows: %s" % (what, len(found), found))
    return found[0]


def syn(machine, source, target, port, sport=45000, flags=SYN):
    with RawSender(machine, source, target) as sender:
        sender.tcp(sport, port, flags)


def guarded(lab, **more):
    lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
    config = lab.config(**more)
    return lab.spefwd(config), config


def kinds(tap):
    """A row of each kind, in both families."""
    with Lab(tap) as lab:
        daemon, _ = guarded(lab, flows=NARROW)
        first = drops(daemon)
        tap.equal((first["rows"], first["unseen"], first["sampled"], first["mode"], first["reasons"]),
                  ([], 0, False, "enforce", []), "nothing was denied yet")
        tap.ok("nothing was denied" in daemon.ctl("drops").stdout, "and so says the client")
        for family in FAMILIES:
            own = ADDRESS[family]
            title = "IPv%d: " % family
            for _ in range(3):
                syn("client", own["client"], own["server"], 8470)
            row = wait_row(daemon, "a wrong source", source=own["client"], port=8470, count=3)
            tap.equal((row["why"], row["flow"], row["not_in"], row["kind"], row["target_role"], row["target"]),
                      ("source", "console-in", ["ADM"], "in", "SERVER", own["server"]), title + "a source not in ADM")
            tap.ok(row["first_s"] >= row["last_s"] >= 0 and not row["mid_stream"] and not row["from_gateway"]
                   and not row["scan"], title + "its times", row)
            syn("client", own["client"], own["server"], 3389)
            row = wait_row(daemon, "early", source=own["client"], port=3389)
            tap.equal((row["why"], row["kind"], row.get("flow")), ("flow", "early", None), title + "no flow, early")
            syn("server", own["server"], EXCHANGE[family].replace("80", "90"), 443)
            row = wait_row(daemon, "a wrong name", source=own["server"], port=443)
            tap.equal((row["why"], row["kind"], row["source_role"], row["flow"], row["by_name"]),
                      ("target", "out", "SERVER", "ews-out", False), title + "not among the targets")
            syn("server", own["server"], EXCHANGE[family], 8443)
            row = wait_row(daemon, "no flow", source=own["server"], port=8443)
            tap.equal((row["why"], row["kind"]), ("flow", "out"), title + "no flow out")
            syn("client", own["client"], own["server"], 8474, flags=ACK)
            row = wait_row(daemon, "mid-stream", source=own["client"], port=8474)
            tap.equal((row["why"], row["mid_stream"], row["flow"]), ("source", True, "api-in"), title + "mid-stream")
            Probe("gateway", own["server"], 9999).close()
            row = wait_row(daemon, "the gateway's own", port=9999, target=own["server"])
            tap.equal((row["from_gateway"], row["why"], row["kind"]), (True, "flow", "in"), title + "of the gateway")
            with RawSender("client", own["client"], own["server"]) as sender:
                sender.udp(5000, 161)
                sender.echo()
            tap.equal(wait_row(daemon, "udp", source=own["client"], protocol="udp")["port"], 161, title + "UDP")
            row = wait_row(daemon, "ping", source=own["client"], protocol="icmp-echo")
            tap.equal((row["flow"], row["why"], "port" in row, row["ports"]), ("ping", "source", False, 0),
                      title + "an echo request")
        reply = drops(daemon)
        tap.equal((reply["unseen"], reply["sampled"], reply["complete"]), (0, False, True), "each was copied")
        tap.equal(sum(row["count"] for row in reply["rows"]), reply["copies"], "and is in one row")
        status = daemon.status()["denied"]
        tap.equal((status["last_hour_sources"], status["last_hour_administrators"], status["sampled"]), (6, 0, False),
                  "whose they were, in status")
        syn("admin", ADDRESS[4]["admin"], ADDRESS[4]["server"], 22)
        wait_row(daemon, "an administrator", source=ADDRESS[4]["admin"])
        status = daemon.status()["denied"]
        tap.equal((status["last_hour_sources"], status["last_hour_administrators"]), (7, 1), "and an administrator's")
        log = daemon.log()
        for source in (ADDRESS[4]["client"], ADDRESS[6]["server"], GATEWAY["lan"][4]):
            tap.equal(log.count("denied %s -> " % source), 1, "a line in the journal: %s" % source)
        text = daemon.ctl("drops").stdout
        tap.ok(re.search(r"^\d+s +3 +%s +SERVER tcp/8470 +console-in: source not" % ADDRESS[4]["client"],
                         text, re.M), "the screen", text)
        tap.ok("Cure: add" in text and "to [role ADM] (spefw.ini:" in text, "and the cure", text)
        tap.ok("spefw.ini:" in text and "), if you know them" in text, "only for who is known", text)
        tap.ok(max(len(line) for line in text.split("\n")) <= 80, "within 80 columns", text)
        for last in range(10, 15):
            syn("client", "198.51.100.2%d" % last, ADDRESS[4]["server"], 8470)
        wait_for(lambda: len(rows_like(drops(daemon), port=8470, why="source")) >= 7, "strangers")
        text = daemon.ctl("drops").stdout
        tap.ok(re.search(r"^Cure: \d addresses: add to \[role ADM\] \(spefw.ini:\d+\) only those you know", text, re.M)
               and not re.search(r"add \S*198\.51\.100\.2\d\d", text), "strangers are not named as a cure", text)
        # By the policy in force, whatever it was before.
        daemon.reload(lab.config(flows=NARROW, adm="203.0.113.0/24 2001:db8:3::/64 198.51.100.140"))
        row = wait_row(daemon, "cured", source=ADDRESS[4]["client"], port=8470)
        tap.equal((row["why"], row["flow"], "cure" in row), ("nothing", "console-in", False), "it is allowed by now")
        before = daemon.status()["denied"]
        daemon.stop()
        daemon.start()
        after = daemon.wait_status(lambda now: now["generation"], "it is ready")["denied"]
        keys = ("last_hour_sources", "last_hour_administrators", "sampled")
        tap.equal(([after[key] for key in keys], before["sampled"], before["last_hour_sources"] > 7),
                  ([before[key] for key in keys], False, True), "whose they were outlives a restart")


def folded(tap):
    """Scans are a row, and so are many targets; what is near to a flow stays apart."""
    with Lab(tap) as lab:
        daemon, _ = guarded(lab, flows=NARROW, gateway="early_drop = no")
        client, server = ADDRESS[4]["client"], ADDRESS[4]["server"]
        with RawSender("client", client, server) as sender:
            for port in range(9000, 9100):
                sender.tcp(45000, port, SYN)
                if port % 20 == 0 and port > 9020:
                    time.sleep(1)  # the rule copies 20 a second, and 40 at once
            sender.tcp(45000, 8470, SYN)
        with RawSender("server", server, "198.51.100.20") as sender:
            for _ in range(3):
                sender.tcp(50001, 443, SYN)
        row = wait_row(daemon, "a scan", source=client, scan=True)
        near = wait_row(daemon, "a near miss", source=client, scan=False)
        tap.equal((row["why"], row["targets"], near["port"], near["flow"]), ("flow", 1, 8470, "console-in"),
                  "a scan is a row, and what a flow is near to another one")
        reply = drops(daemon)
        row = rows_like(reply, source=client, scan=True)[0]
        tap.ok(row["ports"] == row["count"] > 60, "how many ports were tried", row)
        tap.equal(reply["unseen_all"], reply["unseen"], "in all, and in the last hour")
        tap.equal((reply["unseen"], "cure" in row), (100 + 4 - reply["copies"], False), "no more than was copied")
        text = daemon.ctl("drops").stdout
        tap.ok(re.search(r"SERVER %d ports +no flow \(a scan\)" % row["ports"], text), "the screen", text)


def paste(config, cures):
    """The configuration with what the cures say, from the end on, so that lines stay where they are."""
    lines = config.split("\n")
    for cure in sorted(cures, key=lambda one: -one.get("line", 1 << 30)):
        if cure["does"] == "section":
            lines += cure["lines"]
            continue
        header = "[%s]" % cure["section"]
        at = lines.index(header) if cure["section"] == "server" else cure["line"] - 1
        assert lines[at] == header, (cure, lines[at])
        end = next((index for index in range(at + 1, len(lines)) if lines[index].startswith("[")), len(lines))
        keys = [index for index in range(at + 1, end) if re.match(r"%s\s*=" % cure["key"], lines[index])]
        values = ["\t" + value for value in cure["values"]]
        if cure["does"] == "add" and keys:
            lines[keys[0] + 1:keys[0] + 1] = values
        else:
            lines[keys[0] if keys else at + 1:(keys[0] if keys else at) + 1] = [cure["key"] + " ="] + values
    return "\n".join(lines) + "\n"


def audit(tap):
    """Nothing is denied, what would be is told, and a few lines cover all of it."""
    with Lab(tap) as lab:
        daemon, config = guarded(lab, flows=NARROW, adm="203.0.113.99")
        config = config.replace("mode = enforce", "mode = audit")
        daemon.reload(config)
        tap.ok("nothing would have been denied" in daemon.ctl("drops").stdout, "nothing yet")

        def traffic():
            for family in FAMILIES:
                own = ADDRESS[family]
                for port in (8470, 8474, 3389, 445, 5985, 5986):
                    for machine in ("admin", "client"):
                        syn(machine, own[machine], own["server"], port)
                for target, port in ((EXCHANGE[family], 8443), (EXCHANGE[family], 8080), (LICENSE[2][family], 443)):
                    syn("server", own["server"], target, port, sport=50001)
                syn("admin", own["admin"], own["server"], 5432, flags=ACK)
                syn("server", own["server"], own["client"], 45000, sport=3306, flags=ACK)
                Probe("gateway", own["server"], 8470).close()
                with RawSender("server", own["server"], EXCHANGE[family]) as sender:
                    sender.udp(50001, 53)
                    sender.echo()
        expected = 2 * (12 + 3 + 2 + 1 + 2)
        traffic()
        wait_for(lambda: drops(daemon)["copies"] >= expected, "all is seen")
        reply = drops(daemon)
        tap.equal((reply["mode"], reply["uncured"], reply["unseen"]), ("audit", 0, 0), "each row has its cure")
        tap.ok(all(row["audit"] and row["why"] != "nothing" for row in reply["rows"]), "none was denied", reply)
        tap.ok("would deny %s -> " % ADDRESS[4]["client"] in daemon.log() and "denied" not in daemon.log(),
               "and the journal says so", daemon.log())
        text = daemon.ctl("drops").stdout
        tap.ok(text.startswith("In audit mode: nothing is denied, this would be."), "the screen", text)
        tap.ok(max(len(line) for line in text.split("\n")) <= 80, "within 80 columns", text)
        tap.note(text)
        tap.ok(len(reply["cures"]) <= 8, "a few cures for %d rows" % len(reply["rows"]), reply["cures"])
        daemon.reload(paste(config, reply["cures"]).replace("mode = audit", "mode = enforce"))
        reply = drops(daemon)
        tap.ok(all(row["audit"] for row in reply["rows"]), "what came in audit mode was not denied", reply["rows"])
        text = daemon.ctl("drops").stdout
        tap.ok(text.startswith("Let pass before, in audit mode:"), "and so says the screen", text)
        tap.ok("(those in audit mode passed)" in re.sub(r"\n +", " ", daemon.ctl("status", check=False).stdout),
               "and status", daemon.ctl("status", check=False).stdout)
        tap.equal([row for row in reply["rows"] if row["why"] != "nothing"], [], "they cover all rows")
        tap.equal(reply["cures"], [], "and nothing is to be cured")
        before = daemon.status()["denied"]
        traffic()
        with lab.serve("server", tcp=[443]):
            lab.connect("client", ADDRESS[4]["server"], 443).close()
        after = daemon.status()["denied"]
        tap.equal([after[kind] - before[kind] for kind in ("in", "out", "early")], [0, 0, 0],
                  "the same packets pass in enforce mode")


class Follower:
    """Drops() with more."""

    def __init__(self, daemon):
        self.socket = open_socket(daemon.socket)
        self.socket.sendall(json.dumps({"method": "org.spefw.Gateway.Drops", "more": True}).encode() + b"\0")
        self._buffer = b""

    def reply(self):
        while b"\0" not in self._buffer:
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise ConnectionError("it has ended")
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(message.decode())
        complaints = INTERFACE.complaints(INTERFACE.methods["Drops"][1], message["parameters"])
        if complaints or not message.get("continues"):
            raise ValueError("%s: %s" % (complaints, message))
        return message["parameters"]

    def until(self, condition):
        """Replies up to the one that it holds for."""
        replies = [self.reply()]
        while not condition(replies[-1]):
            replies.append(self.reply())
        return replies

    def close(self):
        self.socket.close()


def follow(tap):
    """Who follows is sent what changes, and those that don't read hold up nobody."""
    with Lab(tap) as lab:
        daemon, _ = guarded(lab, gateway="early_drop = no")
        client, server = ADDRESS[4]["client"], ADDRESS[4]["server"]
        syn("client", client, server, 3389)
        wait_row(daemon, "the first", port=3389)
        follower = Follower(daemon)
        tap.equal([row["port"] for row in follower.reply()["rows"]], [3389], "what there is comes first")
        for _ in range(2):
            syn("client", client, server, 8470)
            [row] = follower.until(lambda reply: rows_like(reply, port=8470))[-1]["rows"]
            tap.ok(row["port"] == 8470 and row["flow"] == "console-in", "and then what changes", row)
        syn("client", client, server, 3389)
        [row] = follower.until(lambda reply: rows_like(reply, port=3389))[-1]["rows"]
        tap.equal(row["count"], 2, "a row that was there")

        process = lab.start("gateway", program("spefwctl"), "-s", daemon.socket, "drops", "--follow")
        lines = lab.start("gateway", program("spefwctl"), "-s", daemon.socket, "drops", "--follow", "--json")

        def text(one):
            with open(one.log, encoding="utf-8") as file:
                return file.read()
        wait_for(lambda: "8470" in text(process) and "8470" in text(lines), "both follow")
        syn("client", client, server, 8474)
        wait_for(lambda: "tcp/8474: api-in: source not in ADM (1 so far)" in text(process), "a line of text")
        wait_for(lambda: len(text(lines).split("\n")) >= 3, "an object")
        objects = [json.loads(line) for line in text(lines).strip().split("\n")]
        tap.equal([rows_like(one, port=8474) != [] for one in objects][-1], True, "an object a line")

        # Those that never read: their replies wait, in a bounded queue, and the others get theirs.
        hostile = []
        for _ in range(40):
            one = Follower(daemon)
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            hostile.append(one)
        with RawSender("client", client, server) as sender:
            for number in range(60):
                sender.tcp(45000, 7000 + number % 10, SYN)
                time.sleep(0.05)
                daemon.status()
        follower.until(lambda reply: rows_like(reply, port=7009))
        tap.ok(True, "a follower that reads is sent all, and each Status is answered")
        late = hostile[0].until(lambda reply: sum(row["port"] >= 7000 for row in reply["rows"]) >= 1)
        tap.ok(len(late) <= 40, "who reads late is sent what there is by then", len(late))
        for one in hostile:
            one.close()
        daemon.stop()
        tap.equal((process.wait(60), lines.wait(60)), (3, 3), "the end of spefwd ends it")
        tap.ok("spefwd has ended" in text(process), "and that is said", text(process))
        follower.close()


def memory(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1))


def is_sanitized(pid):
    with open("/proc/%d/maps" % pid, encoding="utf-8") as file:
        return "libasan" in file.read()


def resolver_pid(daemon):
    with open("/proc/%d/task/%d/children" % (daemon.process.pid, daemon.process.pid), encoding="ascii") as file:
        return int(file.read().split()[0])


def flood(tap):
    """A flood from sources and to ports without number: memory is bounded, and every Status is answered."""
    with Lab(tap) as lab:
        daemon, _ = guarded(lab, gateway="early_drop = no")
        pids = daemon.process.pid, resolver_pid(daemon)
        server = ADDRESS[4]["server"]
        syn("client", ADDRESS[4]["client"], server, 8470)
        wait_row(daemon, "a near miss before it", port=8470)
        before = [memory(pid) for pid in pids]
        sent = calls = 0
        slowest = 0.0
        with RawSender("client", ADDRESS[4]["client"], server) as sender:
            while sent < FLOOD:
                for _ in range(2000):
                    source = "10.%d.%d.%d" % (sent >> 16 & 255, sent >> 8 & 255, sent & 255)
                    segment = tcp_segment(source, server, 45000, 9000 + sent % 20000, SYN)
                    header = bytes((0x45, 0, 0, 40, 0, 1, 0, 0, 64, socket.IPPROTO_TCP, 0, 0))
                    try:
                        sender.socket.send(header + packed(source) + packed(server) + segment)
                        sent += 1
                    except OSError:  # its queue is full
                        pass
                began = time.monotonic()
                daemon.status()
                slowest = max(slowest, time.monotonic() - began)
                calls += 1
        status = wait_for(lambda: (lambda one: one if one["denied"]["in"] > FLOOD * 0.9 else None)(daemon.status()),
                          "it was counted")
        reply = drops(daemon)
        after = [memory(pid) for pid in pids]
        tap.measured("%d packets, %d Status calls, the slowest %.0f ms; spefwd %d -> %d kB, spefw-resolver %d -> %d kB;"
                     " %d rows, %d copies" % (sent, calls, 1000 * slowest, before[0], after[0], before[1], after[1],
                                              len(reply["rows"]), reply["copies"]))
        tap.ok(reply["sampled"] and reply["unseen"] + reply["copies"] > FLOOD * 0.9, "what was not copied is said",
               (reply["unseen"], reply["copies"]))
        tap.ok(status["denied"]["sampled"], "also in status", status["denied"])
        tap.ok("Counts are at least: " in daemon.ctl("drops").stdout, "and on the screen")
        tap.equal(len(rows_like(reply, port=8470)), 1, "what was near to a flow is still there")
        if is_sanitized(pids[0]):
            tap.skip("memory is bounded", "what was freed stays, for the sanitizer")
        else:
            tap.ok(after[0] - before[0] < 4096 and after[1] - before[1] < 1024, "memory is bounded",
                   (before, after))
        lines = daemon.log().count("denied 1")
        tap.ok(0 < lines <= 60, "and so is the journal", lines)
        tap.equal((daemon.process.pid, resolver_pid(daemon)), pids, "both live")


def taken(tap):
    """Another program has the log group: that is said, and what is denied meanwhile is not seen."""
    with Lab(tap) as lab:
        with namespaces.inside("gateway"):
            other = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        with other:
            other.bind((0, 0))
            body = b"\0\0\0\5" + attribute(1, b"\1")
            other.send((16 + len(body)).to_bytes(4, sys.byteorder) + (4 << 8 | 1).to_bytes(2, sys.byteorder)
                       + (5).to_bytes(2, sys.byteorder) + bytes(8) + body)
            other.recv(4096)
            daemon, _ = guarded(lab)
            syn("client", ADDRESS[4]["client"], ADDRESS[4]["server"], 8470)
            reply = wait_for(lambda: (lambda one: one if one["unseen"] else None)(drops(daemon)), "it is not seen")
            tap.equal(([one["code"] for one in reply["reasons"]], reply["rows"], reply["copies"], reply["unseen"]),
                      (["nflog-taken"], [], 0, 1), "why nothing is seen")
            text = daemon.ctl("drops").stdout
            tap.ok("NFLOG group 5 is taken by another program" in text and "nothing was denied" not in text,
                   "and on the screen", text)


main(kinds, folded, audit, follow, flood, taken)
