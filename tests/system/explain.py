#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What explain tells is what happens: a real packet of each kind, traced through the table to the rule that decides."""
import json
import os
import re
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (ADDRESS, DNS, EXCHANGE, FAMILIES, LICENSE, NARROW, Lab, RawSender, Sniffer, VarlinkError, main,
                 probe_all, vendor, wait_for)  # noqa: E402
from lab.varlink import Interface  # noqa: E402
from lab.daemon import TOP, open_socket  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
# Another guarded machine, behind another interface.
IH = {4: "198.51.100.20", 6: "2001:db8:51::20"}
MAIL = {4: "198.51.100.26", 6: "2001:db8:51::26"}
FLOWS = NARROW + """
[role IH]
members = %s %s
protected = yes

[flow ih-in]
from = SERVER
to = IH
protocol = tcp
port = 8463
""" % (IH[4], IH[6])
TRACER = """table inet tracer {
	chain in {
		type filter hook prerouting priority -400;
		th sport 41000-41999 meta nftrace set 1
		meta l4proto { icmp, ipv6-icmp } meta nftrace set 1
	}
	chain out {
		type filter hook output priority -400;
		th sport 41000-41999 meta nftrace set 1
		meta l4proto { icmp, ipv6-icmp } meta nftrace set 1
	}
}
"""
BASES = ("forward", "input", "output")


def cases(family):
    """(what, who sends, source, who is meant, target, port, protocol, verdict, flow, misses)."""
    at = {name: ADDRESS[family][name] for name in ("server", "client", "admin", "gateway", "internet")}
    name = LICENSE[0][family]
    yield "allowed", "client", at["client"], "server", at["server"], 443, "tcp", "allowed", "https-in", ()
    yield ("allowed to some", "admin", at["admin"], "server", at["server"], 8470, "tcp", "allowed", "console-in", ())
    yield ("wrong source", "client", at["client"], "server", at["server"], 8470, "tcp", "denied", "console-in",
           ("source",))
    yield "by a name", "server", at["server"], "internet", name, 443, "tcp", "allowed", "license-out", ()
    yield ("by an address", "server", at["server"], "internet", EXCHANGE[family], 443, "tcp", "allowed", "ews-out", ())
    yield ("none of the names", "server", at["server"], "internet", MAIL[family], 443, "tcp", "denied", "ews-out",
           ("target",))
    yield "a port beside", "admin", at["admin"], "server", at["server"], 8471, "tcp", "denied", "console-in", ("port",)
    yield ("ANY does not name it", "client", at["client"], "server", at["server"], 80, "tcp", "denied", "crl",
           ("naming",))
    yield "not ours", "client", at["client"], "admin", at["admin"], 22, "tcp", "unguarded", None, ()
    yield "protected to protected", "server", at["server"], "internet", IH[family], 8463, "tcp", "allowed", "ih-in", ()
    yield ("protected to protected, by ANY", "internet", IH[family], "server", at["server"], 993, "tcp", "allowed",
           "imaps-in", ())
    yield ("protected to protected, a port beside", "server", at["server"], "internet", IH[family], 8464, "tcp",
           "denied", "ih-in", ("port",))
    yield ("from another protected role", "internet", IH[family], "client",
           at["client"], 993, "tcp", "denied", "imaps-out", ("source",))
    yield "udp", "server", at["server"], "internet", DNS[family], 53, "udp", "allowed", "dns-out", ()
    yield "udp, denied", "client", at["client"], "server", at["server"], 443, "udp", "denied", "https-in", ("protocol",)
    yield "ping", "admin", at["admin"], "server", at["server"], 0, "icmp-echo", "allowed", "ping", ()
    yield "ping, denied", "client", at["client"], "server", at["server"], 0, "icmp-echo", "denied", "ping", ("source",)
    yield "from the gateway", "gateway", at["gateway"], "server", at["server"], 443, "tcp", "allowed", "https-in", ()
    yield ("from the gateway, denied", "gateway", at["gateway"], "server", at["server"], 8470, "tcp", "denied",
           "console-in", ("source",))
    yield "to the gateway", "server", at["server"], "gateway", at["gateway"], 587, "tcp", "allowed", "smtp-out", ()
    yield ("to the gateway, denied", "server", at["server"], "gateway", at["gateway"], 22, "tcp", "denied", "crl",
           ("port",))


class Tracer:
    """Packets of RawSender on their way through table inet spefw."""

    def __init__(self, lab):
        self.lab, self.sport = lab, 41000
        lab.nft("gateway", TRACER)
        self.monitor = lab.start("gateway", "nft", "-a", "monitor", "trace")
        wait_for(self._listens, "nft monitor listens")

    def _text(self):
        with open(self.monitor.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _listens(self):
        self._send("client", ADDRESS[4]["client"], ADDRESS[4]["admin"], 9, "udp")
        return "trace id" in self._text()

    def _send(self, machine, source, target, port, protocol):
        self.sport += 1
        with RawSender(machine, source, target) as sender:
            try:
                if protocol == "icmp-echo":
                    sender.echo(self.sport)
                else:
                    getattr(sender, protocol)(self.sport, port)
            except PermissionError:  # what is denied on its way out is refused to the sender
                pass

    def follow(self, machine, source, target, port, protocol):
        """(chain, handle, verdict) of the rule that decides; (None, None, "policy") at the end of the base chain."""
        before = len(self._text())
        self._send(machine, source, target, port, protocol)
        mark = ("%s sport %d %s dport %d " % (protocol, self.sport, protocol, port) if port else
                "echo-request ")
        found = {}

        def ended():
            lines = self._text()[before:].split("\n")[:-1]
            ids = [line.split()[2] for line in lines if mark in line and "saddr %s " % source in line]
            found["end"] = self._end([line for line in lines if ids and line.startswith("trace id %s " % ids[0])])
            return found["end"]
        wait_for(ended, "the packet's trace")
        return found["end"]

    @staticmethod
    def _end(lines):
        last = False
        for line in lines:
            words = line.split()
            if words[4] != "spefw":
                continue
            last |= words[5] in BASES
            rule = re.search(r"# handle (\d+) \(verdict (\w+)", line)
            if rule and (rule.group(2) == "drop" or (rule.group(2) == "accept" and last)):
                return words[5], int(rule.group(1)), rule.group(2)
            if last and words[6:8] == ["policy", "accept"]:
                return None, None, "policy"
        return None


def ask(daemon, source, target, port, protocol):
    words = ("[%s]:%d" if ":" in target else "%s:%d") % (target, port) if port else target
    return daemon.call("Explain", {"source": source, "target": words, "protocol": protocol})


def compare(tap, lab, tracer, family, case, passes=None):
    """passes: whether it does, where the verdict does not show it."""
    what, machine, source, who, target, port, protocol, verdict, flow, misses = case
    title = "IPv%d, %s: " % (family, what)
    reply = ask(lab.daemon, source, target, port, protocol)
    result = reply["results"][0]
    tap.equal((len(reply["results"]), result["verdict"], result.get("flow", {}).get("id"),
               tuple(miss["what"] for miss in result["misses"]), result["differs"]),
              (1, verdict, flow, misses, False), title + "%s, %s" % (verdict, flow))
    passes = verdict != "denied" if passes is None else passes
    sniffer = Sniffer(who) if who != "gateway" and passes else None
    try:
        chain, handle, end = tracer.follow(machine, source, target, port, protocol)
        tap.equal(end != "drop", passes, title + ("it passes" if passes else "it is dropped"))
        if sniffer:
            wait_for(lambda: sniffer.seen(lambda packet: packet.src == source and packet.dst == target),
                     title + "it arrives")
    finally:
        if sniffer:
            sniffer.close()
    if end == "policy":
        tap.ok("handle" not in result and result["effect"] == "accept", title + "no rule decides", result)
    else:
        tap.equal((result["chains"][-1], result.get("handle")), (chain, handle), title + "in this chain and rule")


def known(daemon):
    daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")


def each_kind(tap):
    """Verdict, flow, misses, chain and handle of each kind of packet, in both families."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        known(lab.spefwd(lab.config(flows=FLOWS)))
        tracer = Tracer(lab)
        for family in FAMILIES:
            for case in cases(family):
                compare(tap, lab, tracer, family, case)


def other_tables(tap):
    """What other tables do to the packet, with the rule and what would mend it; and that it is so."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        known(daemon)
        client, server = ADDRESS[4]["client"], ADDRESS[4]["server"]
        lab.serve("server", tcp=[143, 443, 993])

        def passes(port):
            return probe_all([("client", server, port, True)], bound=3)[0].open

        def others(target="server:143", source=client):
            result = daemon.call("Explain", {"source": source, "target": target})["results"][0]
            tap.ok("others_missing" not in result, "other tables were read", result)
            return result["others"]
        tap.equal(others(), [], "nothing is in the way")
        tap.ok(passes(143), "it passes")
        lab.nft("gateway", """table inet f2b-table {
	set addr-set-imap { type ipv4_addr; elements = { %s }; }
	chain forward { type filter hook forward priority -1; tcp dport 143 ip saddr @addr-set-imap reject; }
}
""" % client)
        rule, = others()
        keys = ("family", "table", "chain", "does", "set", "answer", "owner", "may")
        tap.equal({key: rule.get(key) for key in keys},
                  {"family": "inet", "table": "f2b-table", "chain": "forward", "does": "reject", "set": "addr-set-imap",
                   "answer": False, "owner": "fail2ban", "may": False}, "fail2ban's rule")
        tap.ok("unbanip %s" % client in rule.get("remedy", ""), "its remedy", rule)
        listed = lab.run("gateway", "nft", "-a", "list", "chain", "inet", "f2b-table", "forward").stdout
        tap.ok(re.search(r"reject.*# handle %d$" % rule["handle"], listed, re.M), "its handle", (rule, listed))
        text = daemon.ctl("explain", client, "server:143").stdout
        tap.ok(text.startswith("ALLOWED by spefw (imap-in), DENIED by another table\n")
               and "  try     fail2ban-client set imap unbanip %s\n" % client in text, "the screen", text)
        tap.ok(not passes(143) and passes(993), "it does not pass, another does")
        tap.equal((others("server:993"), others("server:143", ADDRESS[4]["admin"])), ([], []),
                  "another port, another source: nothing in the way")
        lab.run("gateway", "nft", "delete", "table", "inet", "f2b-table")
        lab.nft("gateway", """table ip mine {
	chain out { type filter hook forward priority 5; ip saddr %s tcp sport 443 drop; }
}
""" % server)
        rule, = others("server:443")
        tap.equal((rule["does"], rule["answer"], rule["owner"]), ("drop", True, "nftables"),
                  "an answer that is dropped")
        tap.ok(not passes(443), "so nothing comes of it")
        tap.equal(others("server:143"), [], "another port's answer passes")
        reply = daemon.call("Explain", {"source": client, "target": "ih:8463"})
        tap.equal([len(one["others"]) for one in reply["results"]], [0], "of what spefw denies as well")


def beside_the_flows(tap):
    """Broadcasts of a guarded machine, and to its network from afar; what comes by another interface than it should."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        known(daemon)
        lab.sysctl("gateway", "ipv4/conf/all/bc_forwarding", 1)
        lab.sysctl("gateway", "ipv4/conf/wan2/bc_forwarding", 1)
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 0)
        lab.sysctl("gateway", "ipv4/conf/all/rp_filter", 0)
        tracer = Tracer(lab)
        server, client = ADDRESS[4]["server"], ADDRESS[4]["client"]
        for source, machine, target, reason, chain in ((server, "server", "192.0.2.255", "ignored", "noise"),
                                                       (client, "client", "192.0.2.255", "broadcast", "deny_in")):
            result = ask(daemon, source, target, 137, "udp")["results"][0]
            end = tracer.follow(machine, source, target, 137, "udp")
            tap.equal((result["verdict"], result["reason"], end[0], end[2]), ("denied", reason, chain, "drop"),
                      "from %s to %s: %s" % (machine, target, reason))
        result = ask(daemon, server, MAIL[4], 993, "tcp")["results"][0]
        tap.equal((result["verdict"], result["interfaces"]), ("allowed", ["lan"]), "where the server may come in")
        tap.equal(tracer.follow("client", server, MAIL[4], 993, "tcp")[::2], ("guard", "drop"),
                  "its address from elsewhere is spoofed")


def seen(tap):
    """How often it was denied of late."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        known(daemon)
        client, server = ADDRESS[4]["client"], ADDRESS[4]["server"]

        def told():
            return daemon.call("Explain", {"source": client, "target": "server:8470",
                                           "others": False})["results"][0].get("seen", {}).get("count", 0)
        tap.equal(told(), 0, "not yet")
        with RawSender("client", client, server) as sender:
            for sport in range(3):
                sender.tcp(42000 + sport, 8470)
        wait_for(lambda: told() == 3, "three times")
        text = daemon.ctl("explain", client, "server:8470").stdout
        tap.ok(re.search(r"^  seen     3 times, last \d+s ago$", text, re.M), "and on the screen", text)


def audit(tap):
    """In audit mode all passes, and the verdict is what enforce would do. After clear nothing is guarded."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=FLOWS).replace("mode = enforce", "mode = audit"))
        known(daemon)
        tracer = Tracer(lab)
        for family in FAMILIES:
            for case in cases(family):
                if case[0] in ("allowed", "wrong source", "a port beside", "none of the names", "not ours"):
                    compare(tap, lab, tracer, family, case, passes=True)
        reply = ask(daemon, ADDRESS[4]["client"], ADDRESS[4]["server"], 8470, "tcp")
        tap.equal((reply["mode"], reply["removed"]), ("audit", False), "it is told")
        text = daemon.ctl("explain", ADDRESS[4]["client"], "server:8470").stdout
        tap.ok(text.startswith("ALLOWED, as audit denies nothing; enforce would deny it\n"), "and on the screen", text)
        daemon.reload(lab.config(flows=FLOWS))
        daemon.ctl("clear", "--yes")
        done = daemon.ctl("explain", ADDRESS[4]["client"], "server:8470")
        tap.ok(done.stdout.startswith("NOT GUARDED: the table is removed") and "inet spefw" not in done.stdout,
               "after clear nothing is guarded", done.stdout)
        daemon.ctl("reload")
        text = daemon.ctl("explain", ADDRESS[4]["client"], "server:8470").stdout
        tap.ok(text.startswith("DENIED by spefw\n"), "until reload", text)


def words(tap):
    """Roles and names for addresses, replies as the interface describes them, errors that help, a file alone."""
    with open(os.path.join(TOP, "include/spefw/org.spefw.Gateway.varlink"), encoding="utf-8") as file:
        interface = Interface(file.read())
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=FLOWS))
        known(daemon)
        for source, target, count in (("server", vendor.LICENSE_NAME + ":443", 2), ("SERVER", "ih:443", 2),
                                      ("server", vendor.LICENSE_NAME.upper() + ".:443", 2),
                                      ("198.51.100.140", "server:8470", 1), ("server", "198.51.100.77:443", 1)):
            reply = daemon.call("Explain", {"source": source, "target": target})
            tap.equal(interface.complaints(interface.methods["Explain"][1], reply), [],
                      "%s %s: the reply is as it is described" % (source, target))
            tap.equal(sum(len(result["packets"]) for result in reply["results"]), count,
                      "%s %s: for each pair of addresses" % (source, target))
        for parameters in ({"source": "10.0.0.1"}, {"source": 1, "target": "server:1"},
                           {"source": "10.0.0.1", "target": "server:1", "protocol": 6},
                           {"source": "10.0.0.1", "target": "server:1", "others": "no"}):
            try:
                daemon.call("Explain", parameters)
                tap.ok(False, "refused: %s" % parameters)
            except VarlinkError as error:
                tap.equal(error.error, "org.varlink.service.InvalidParameter", "refused: %s" % parameters)
        for arguments, status, wanted in ((("10.0.0.1", "sever:443"), 1, "did you mean SERVER?"),
                                          (("10.0.0.1", "my.mailstore.con:443"), 1, "did you mean my.mailstore.com?"),
                                          (("10.0.0.1", "server:443", "tpc"), 1, "did you mean tcp?"),
                                          (("adm", "server:443"), 1, "write one of 203.0.113.0/24"),
                                          (("10.0.0.1",), 2, "spefwctl explain 10.0.0.1 SERVER:443")):
            done = daemon.ctl("explain", *arguments, check=False)
            tap.ok(done.returncode == status and wanted in done.stderr and done.stderr.count("\n") == 1,
                   "explain %s: %s" % (" ".join(arguments), wanted), (done.returncode, done.stderr))
        result = daemon.call("Explain", {"source": "10.0.0.1", "target": "server:1", "others": False})["results"][0]
        tap.ok("others" not in result and "others_missing" not in result, "other tables only where they are asked for",
               result)
        request = json.dumps({"method": "org.spefw.Gateway.Explain",
                              "parameters": {"source": "10.0.0.1", "target": "server:1"}}).encode() + b"\0"
        for _ in range(40):
            with open_socket(daemon.socket) as sock:
                sock.sendall(request)
        wait_for(lambda: "others" in daemon.call("Explain", {"source": "10.0.0.1", "target": "server:1"})["results"][0],
                 "those who went away are forgotten")
        live = daemon.ctl("explain", "198.51.100.140", "server:8470").stdout
        with open_socket(daemon.socket) as sock:
            sock.sendall(request)
            daemon.stop()
        done = daemon.ctl("explain", "198.51.100.140", "server:8470", check=False)
        tap.ok(done.returncode == 3 and "-c " in done.stderr, "without the daemon: 3, and what to do", done.stderr)
        done = daemon.ctl("-c", daemon.config, "explain", "198.51.100.140", "server:8470")
        tap.equal(done.stdout, re.sub(r" handle \d+|  (try|others) .*\n", "", live)
                  + "By the file alone: not known: addresses of names, interfaces, broadcasts.\n",
                  "by the file alone it is the same, but for the handle, a grant and other tables")


if __name__ == "__main__":
    main(each_kind, other_tables, beside_the_flows, seen, audit, words)
