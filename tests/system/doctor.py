#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spefwctl doctor: a healthy gateway has nothing; each fault that it knows is built, found,
and gone when it is taken away."""
import errno
import json
import os
import pty
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, HANG, LICENSE, Lab, has_second_user, main, namespaces, probe_all, program, proxy, tls, vendor,
    wait_for)

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
CLOCK = """#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
int adjtimex(struct timex *timex)
{
	memset(timex, 0, sizeof(*timex));
	timex->maxerror = atol(getenv("SPEFW_CLOCK_ERROR"));
	return 0;
}
"""


class Doctor:
    """The lab with a daemon, and all that a healthy gateway has: a clock that is set,
    a host whose certificate is trusted."""

    def __init__(self, tap, lab, config=None):
        self.tap, self.lab = tap, lab
        self.etc = os.path.join(lab.dir, "etc")
        os.mkdir(self.etc)
        os.environ["SPEFW_DOCTOR_ETC"] = self.etc
        self.clock_error = 1000
        self.clock = self.shim("clock", CLOCK)
        self.authority = tls.Authority(lab.dir, "Trusted Authority")
        self.trusted = has_second_user() and tls.trust(self.authority)
        self.dns = lab.dns(NAMES)
        self.peer = self.serve(self.authority.issue(vendor.LICENSE_NAME))
        self.daemon = lab.spefwd(config or lab.config())
        self.daemon.wait_status(lambda status: len(self.daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                                "the name is known")

    def shim(self, name, text):
        """A library for LD_PRELOAD."""
        source, library = (os.path.join(self.lab.dir, name + end) for end in (".c", ".so"))
        with open(source, "w", encoding="ascii") as file:
            file.write(text)
        subprocess.run([os.environ.get("CC", "cc").split()[0], "-shared", "-fPIC", source, "-o", library], check=True)
        return library

    def serve(self, pem):
        server = tls.Server("internet", 443, pem)
        self.lab.at_close(server.close)
        return server

    def run(self, *args, uid=None):
        env = dict(os.environ, LC_ALL="C", SPEFW_CLOCK_ERROR=str(self.clock_error), LD_PRELOAD=self.clock,
                   ASAN_OPTIONS="detect_leaks=1:verify_asan_link_order=0")
        args += () if "-c" in args else ("-c", self.daemon.config)
        return self.lab.run("gateway", program("spefwctl"), "-s", self.daemon.socket, "doctor", *args, check=False,
                            env=env, uid=uid)

    def findings(self, *args):
        """What it finds, notes apart; (exit status, findings, notes)."""
        done = self.run("--json", *args)
        if done.stderr:
            raise RuntimeError(done.stderr)
        found = json.loads(done.stdout)["findings"]
        return done.returncode, [one for one in found if one["severity"] != "note"], [
            one for one in found if one["severity"] == "note"]

    def healthy(self, what):
        code, found, notes = self.findings()
        if not self.trusted:
            notes = [one for one in notes if one["check"] != "tls"]
        return self.tap.ok((code, found, notes) == (0, [], []), what, json.dumps([code, found, notes], indent=1))

    def finds(self, what, check, severity, words, remedy, printed=False):
        """One finding, with these words in what it is and its evidence, and in its remedy; printed:
        and in one line of the text."""
        code, found, _ = self.findings()
        ours = [one for one in found if one["check"] == check]
        right = (ours and ours[0]["severity"] == severity
                 and all(word in ours[0]["what"] + " (" + ours[0]["evidence"] for word in words)
                 and remedy in ours[0]["remedy"] and len(found) == len(ours))
        self.tap.ok(right, what, json.dumps(found, indent=1))
        self.tap.equal(code, 1 if severity == "serious" else 0, what + ": exit status")
        if not printed:
            return ours
        lines = [line for line in self.run().stdout.split("\n") if line.startswith(severity + ": ")]
        self.tap.ok(any(all(word in line for word in list(words) + [remedy]) for line in lines), what + ": in one line",
                    lines)
        return ours


def healthy(tap):
    """Nothing, in one line; with a daemon, without one, and as another user."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        if not doctor.trusted:
            tap.skip("certificates", "they need a second user, and the trust store of Debian: as root")
        doctor.healthy("a healthy gateway")
        if doctor.trusted:
            tap.equal(doctor.run().stdout, "nothing stands in the way\n", "and one line shows it")
        tap.equal(doctor.run("surplus").returncode, 2, "usage")
        if has_second_user():
            done = doctor.run(uid=1000)
            tap.ok(done.returncode == 4 and "permission denied" in done.stderr,
                   "without the right to query the daemon: exit 4",
                   (done.returncode, done.stderr))
            os.chmod(doctor.daemon.socket, 0o666)
            os.chmod(doctor.daemon.dir, 0o755)
            done = doctor.run(uid=1000)
            tap.ok(done.returncode == 0 and "only root can" in done.stdout
                   and done.stdout.startswith("not checked: the system was not looked at"),
                   "who may only query the daemon is shown what was not looked at",
                   (done.returncode, done.stdout, done.stderr))
        doctor.clock_error = 16000000
        doctor.finds("a clock that nobody sets", "clock", "warning", ["not synchronised", "16 s"], "timedatectl",
                     printed=True)
        doctor.clock_error = 1000
        doctor.daemon.stop()
        code, found, _ = doctor.findings("-c", doctor.daemon.config)
        tap.equal((code, [(one["check"], one["severity"]) for one in found]), (0, [("spefwd", "warning")]),
                  "without a daemon, while the table guards")
        if has_second_user():
            tap.equal(doctor.run(uid=1000).returncode, 4, "without a daemon, not as root: exit 4")
        doctor.daemon.run("spefwd", "--clear", check=True)
        code, found, _ = doctor.findings("-c", doctor.daemon.config)
        tap.equal((code, [one["check"] for one in found]), (1, ["guard", "spefwd"]), "without a table nothing guards")
        doctor.daemon.write("[server]\n")
        code, found, _ = doctor.findings("-c", doctor.daemon.config)
        tap.equal((code, [one["check"] for one in found]), (1, ["config", "spefwd"]),
                  "with a bad file the rest is still looked at")
        done = doctor.daemon.run("spefw-doctor", "-c", doctor.daemon.config)
        tap.ok(done.returncode == 1 and done.stdout.startswith("serious: the configuration can't be used: "),
               "spefw-doctor prints lines", done.stdout)


def system(tap):
    """Sysctls, the connection table, saved rulesets."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        for path, key in (("ipv4/ip_forward", "net.ipv4.ip_forward = 0"),
                          ("ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding = 0")):
            lab.sysctl("gateway", path, 0)
            doctor.finds(key, "forwarding", "serious", ["is not forwarded", key], "sysctl -w net.", printed=True)
            lab.sysctl("gateway", path, 1)
        lab.sysctl("gateway", "ipv4/conf/lan/forwarding", 0)
        doctor.finds("the server's interface alone", "forwarding", "serious",
                     ["comes by lan", "net.ipv4.conf.lan.forwarding = 0"], "net/ipv4/conf/lan/forwarding=1")
        lab.sysctl("gateway", "ipv4/conf/lan/forwarding", 1)
        lab.sysctl("gateway", "ipv4/conf/adm/forwarding", 0)
        doctor.finds("the administrators' interface", "forwarding", "warning", ["comes by adm"],
                     "net/ipv4/conf/adm/forwarding=1")
        lab.sysctl("gateway", "ipv4/conf/adm/forwarding", 1)
        doctor.healthy("all forwarding is on again")

        os.mkdir(os.path.join(doctor.etc, "nft.d"))
        write(doctor, "nftables.conf",
              "flush ruleset\n# table inet spefw {\ntable inet mine {\n}\ninclude \"nft.d/*.nft\"\n")
        doctor.healthy("a saved ruleset of others")
        write(doctor, "nft.d/all.nft", "table inet mine {\n}\ntable inet spefw {\n}\n")
        doctor.finds("an included file with our table", "saved", "serious", ["nft.d/all.nft:3"], "take that table out",
                     printed=True)
        os.unlink(os.path.join(doctor.etc, "nft.d", "all.nft"))
        # Nothing that may stand there does harm.
        write(doctor, "nftables.conf", "include \"nftables.conf\"\ninclude \"/dev/zero\"\ninclude \"%s/*\"\n"
              "include \"" % doctor.etc + "\xff" * 5000)
        os.mkdir(os.path.join(doctor.etc, "iptables"))
        os.mkfifo(os.path.join(doctor.etc, "iptables", "rules.v4"))
        doctor.healthy("files that include themselves, devices, pipes")

        with lab.inside("gateway"):
            full = os.path.join(lab.dir, "full")
            target = "/proc/sys/net/netfilter/nf_conntrack_max"
            if not os.path.exists(target):
                tap.skip("the connection table", "this kernel does not show its size")
                return
            # Its size is the machine's: another one is put in its place for us.
            with open(full, "w", encoding="ascii") as file:
                file.write("4\n")
            namespaces.mount(full, target, None, namespaces.MS_BIND)
        lab.serve("server", tcp=[443])
        with lab.connect("client", ADDRESS[4]["server"], 443), lab.connect("client", ADDRESS[4]["server"], 443), \
                lab.connect("client", ADDRESS[4]["server"], 443), lab.connect("client", ADDRESS[4]["server"], 443):
            doctor.finds("a full connection table", "conntrack", "serious", ["full", "nf_conntrack_max = 4"],
                         "nf_conntrack_max=8", printed=True)
        with lab.inside("gateway"):
            namespaces.umount(target)
        doctor.healthy("and as large as it is")


def write(doctor, name, text):
    with open(os.path.join(doctor.etc, name), "w", encoding="latin-1") as file:
        file.write(text)


def routes(tap):
    """Ways back by another interface, and addresses that nobody listed."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        server = ADDRESS[4]["server"]
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 1)
        doctor.healthy("a strict filter by itself")
        lab.run("gateway", "ip", "route", "add", "192.0.2.0/24", "via", ADDRESS[4]["client"], "metric", "5000")
        doctor.daemon.wait_status(lambda _: "wan2" in doctor.daemon.set_text("SERVER_interfaces"),
                                  "both interfaces lead there")
        doctor.finds("a second way to the server, filtered", "rp_filter", "warning",
                     ["SERVER", server, "by wan2", "leaves by lan"], "net/ipv4/conf/wan2/rp_filter=2", printed=True)
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 2)
        doctor.healthy("a loose filter")
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 1)
        lab.run("gateway", "ip", "route", "add", "203.0.113.0/24", "via", ADDRESS[4]["client"], "metric", "5000")
        found = doctor.findings()[1]
        tap.equal([(one["check"], one["what"], one["evidence"].split(" leaves ")[-1]) for one in found],
                  [("rp_filter", "what %s (%s) sends by wan2 is dropped" % whom, "by " + interface)
                   for whom, interface in ((("SERVER", server), "lan"), (("ADM", "203.0.113.0/24"), "adm"))],
                  "and one to the administrators: each by its own way")
        lab.run("gateway", "ip", "route", "del", "203.0.113.0/24", "via", ADDRESS[4]["client"], "metric", "5000")
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 0)
        lab.run("gateway", "ip", "route", "del", "192.0.2.0/24", "via", ADDRESS[4]["client"], "metric", "5000")

        # Who talks is in the neighbour table.
        lab.serve("server", tcp=[443])
        for address in (server, ADDRESS[6]["server"]):
            lab.connect("gateway", address, 443).close()
        doctor.healthy("the server among the neighbours")
        for more, own in (("192.0.2.26", server), ("2001:db8:2::26", ADDRESS[6]["server"])):
            lab.ip("server", "addr add %s dev eth0%s" % (more + ("/64 nodad" if ":" in more else "/24"), ""))
            lab.connect("gateway", more, 443).close()
            wait_for(lambda m=more: "lladdr" in lab.run("gateway", "ip", "neigh", "show", m).stdout,
                     "it is a neighbour")
            doctor.finds("a further address of the server: " + more, "address", "serious", [more, own, "lan"],
                         "add it to address in [server]", printed=True)
            lab.ip("server", "addr del %s dev eth0" % (more + ("/64" if ":" in more else "/24")))
            lab.run("gateway", "ip", "neigh", "flush", "to", more)
        doctor.healthy("and it is gone")


def resolvers(tap):
    """Who is behind a name, to the gateway and to the server."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        # A second resolver, in the server's own network: a machine of its own to all others.
        hosts, local = os.path.join(lab.dir, "local-hosts"), "192.0.2.53"
        lab.sysctl("server", "ipv4/conf/all/arp_ignore", 1)
        lab.sysctl("server", "ipv4/conf/all/arp_announce", 2)
        lab.ip("server", "link add link eth0 name dns0 type macvlan mode bridge", "link set dns0 up",
               "addr add %s/32 dev dns0" % local)

        def answer(*addresses):
            with open(hosts, "w", encoding="ascii") as file:
                file.write("".join("%s %s\n" % (one, vendor.LICENSE_NAME) for one in addresses))
            process = lab.start("server", "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv",
                                "--no-hosts", "--addn-hosts=" + hosts, "--user=root", "--group=root", "--pid-file=",
                                "--local=/#/", "--bind-interfaces", "--listen-address=" + local)
            wait_for(lambda: tls.answers("gateway", local, vendor.LICENSE_NAME), "the resolver answers")
            return process

        def queries(address, more=""):
            doctor.daemon.reload(lab.config().replace("resolvers = %s %s" % (DNS[4], DNS[6]), "resolvers = " + address)
                                 + more)
        process = answer(*LICENSE[0].values())
        queries(local)
        doctor.finds("a resolver in the server's own network", "resolver", "warning", [local, "by lan"],
                     "servers = %s in [dns]" % local, printed=True)
        lab.stop(process)
        process = answer(LICENSE[1][4], LICENSE[0][6])
        found = doctor.findings()
        tap.equal((found[0], [(one["check"], one["severity"]) for one in found[1]]),
                  (1, [("resolver", "serious"), ("resolver", "warning")]),
                  "it answers otherwise, and can't be observed")
        tap.ok(LICENSE[0][4] in found[1][0]["evidence"] and LICENSE[1][4] in found[1][0]["evidence"],
               "both answers are shown", found[1][0])
        queries(local, "[name %s]\nfamily = ipv6\n" % vendor.LICENSE_NAME)
        tap.equal([(one["check"], one["severity"]) for one in doctor.findings()[1]], [("resolver", "warning")],
                  "in a family that nobody needs it may")
        queries(local)
        lab.stop(process)
        # Rotation: parts of one set are no disagreement.
        process = answer(LICENSE[1][4], LICENSE[0][4], LICENSE[0][6])
        tap.equal([(one["check"], one["severity"]) for one in doctor.findings()[1]], [("resolver", "warning")],
                  "answers that share an address agree")
        lab.stop(process)
        # The first of two neighbours is silent.
        queries("%s %s" % (DNS[4][:-1] + "2", DNS[4]))
        doctor.healthy("the second of the server's resolvers answers")
        queries("203.0.113.99")
        code, found, notes = doctor.findings()
        tap.ok((code, found) == (0, []) and any("server's resolvers could not be queried" in one["what"]
                                                for one in notes), "a silent resolver is a note", (found, notes))


def no_resolvers(tap):
    """Without resolvers in [server], nobody knows what the server's answer: no name is somebody else's."""
    with Lab(tap) as lab:
        text = lab.config().replace("resolvers = %s %s\n" % (DNS[4], DNS[6]), "")
        doctor = Doctor(tap, lab, text)
        code, found, notes = doctor.findings()
        tap.equal((code, found, [one["evidence"] for one in notes if one["check"] == "resolver"]),
                  (0, [], ["[server] has no resolvers"]), "no name is somebody else's; it is said why")
        lines = doctor.daemon.run("spefw-doctor", "-c", doctor.daemon.config).stdout.split("\n")
        tap.ok(lines[0].startswith("note: "), "what could not be looked at comes first", lines)
        lines = doctor.run().stdout.split("\n")
        tap.ok(lines[0].startswith("not checked: "), "also by spefwctl", lines)


def base(rules, kind="filter", hook="forward", priority="0", policy="accept"):
    return "chain base { type %s hook %s priority %s; policy %s; %s; }" % (kind, hook, priority, policy, rules)


SERIOUS, MAY = ("drop", "serious"), ("drop", "warning")
TRACKED = "ct state established,related accept; ct state invalid drop; "
# What a gateway's own ruleset may have for the vendor's flows, when it means to let them pass.
LET = (TRACKED + "ip saddr 192.0.2.25 accept; ip6 saddr 2001:db8:2::25 accept; tcp dport { 143, 443, 993 } accept; "
       "iifname \"adm\" tcp dport { 8470, 8474 } accept; iifname \"adm\" meta l4proto { icmp, icmpv6 } accept; "
       "iifname \"adm\" icmp type echo-request accept")
# One table each: family, what stands in it, and what is to be found of it: (check, severity), or None.
RULES = (
    ("inet", base(TRACKED + "tcp dport 443 drop"), SERIOUS),
    ("ip", base("ip saddr 192.0.2.25 reject"), SERIOUS),
    ("ip6", base("tcp dport { 25, 993 } drop"), SERIOUS),
    ("inet", base("tcp sport 443 drop"), SERIOUS),
    ("inet", base(TRACKED + "udp dport 53 drop", policy="accept"), SERIOUS),
    ("inet", base("ip daddr 192.0.2.25 tcp dport vmap { 22 : drop, 993 : drop }"), SERIOUS),
    ("inet", "chain a { tcp dport 80 jump b; } chain b { drop; } " + base("iifname \"lan\" goto a"), SERIOUS),
    ("inet", base("tcp dport 443 drop", hook="prerouting", priority="-150"), SERIOUS),
    ("inet", base("oifname \"lan\" tcp dport 443 drop", hook="postrouting"), SERIOUS),
    ("ip", base("ip daddr 192.0.2.25 ct state invalid drop", hook="prerouting", priority="-300"),
     SERIOUS),  # before tracking all is
    ("inet", base(TRACKED, policy="drop"), SERIOUS),
    ("inet", base("iifname \"docker0\" accept; oifname \"docker0\" accept", policy="drop"), SERIOUS),
    ("inet", base(TRACKED + "iifname \"wan2\" accept", policy="drop"), SERIOUS),
    ("ip", base("udp dport 53 drop", hook="prerouting", priority="-150"), SERIOUS),
    ("inet", base("meta mark 7 drop"), MAY),
    ("inet", base("ip daddr 198.51.100.53 udp length > 512 drop"), MAY),
    ("inet", base("limit rate 5/second accept", policy="drop"), MAY),
    ("netdev", "chain base { type filter hook ingress device wan priority 0; tcp dport 443 drop; }", MAY),
    ("inet", base(TRACKED + "ip saddr 203.0.113.0/24 accept; tcp dport 993 ip saddr 198.51.100.0/24 accept",
                  policy="drop"), SERIOUS),
    # what does no harm
    ("inet", base(LET, policy="drop"), None),
    ("inet", base(LET + "; reject"), None),
    ("inet", base("ct state vmap { established : accept, related : accept, invalid : drop }"), None),
    ("inet", base("tcp flags & (fin | syn | rst | ack) != syn ct state new drop"), None),
    ("inet", base("tcp flags & (fin | syn) == fin | syn drop"), None),
    ("inet", base("tcp dport 8080 drop; udp dport 514 drop; ip saddr 192.0.2.99 drop"), None),
    ("inet", "set bad { type ipv4_addr; flags interval; elements = { 198.18.0.0/15, 198.51.100.200 }; } "
     + base("ip saddr @bad drop; iifname \"wan\" ip saddr 10.0.0.0/8 drop"), None),
    ("inet", "chain bad { drop; } " + base("ip saddr { 198.18.0.1, 198.18.0.2 } jump bad"), None),
    ("inet", base("tcp dport 443 ct state new limit rate over 100/second drop"), None),
    ("inet", base("tcp dport 443 ct count over 100 drop"), None),
    ("ip6", base("rt type 0 drop"), None),
    ("inet", base("fib saddr . iif oif missing drop", hook="prerouting", priority="-150"), None),
    ("inet", base("fib daddr type { broadcast, anycast, multicast } drop; fib daddr type broadcast drop; "
                  "meta pkttype multicast drop", hook="prerouting", priority="-150"), None),
    ("inet", base("iifname \"wan2\" tcp dport 22 drop; iifname \"lo\" drop"), None),
    ("inet", base("ct state established,related accept; tcp dport 22 accept", hook="input", policy="drop"), None),
    ("inet", base("tcp dport 443 drop", hook="input"), None),
    ("inet", base("ip saddr 192.0.2.25 snat to 198.51.100.1", kind="nat", hook="postrouting", priority="100"), None),
    # what intercepts, or stands in the way of early_drop
    ("inet", base("tcp dport 80 tproxy to :3129", hook="prerouting", priority="-150").replace(
        "tcp dport", "meta l4proto tcp tcp dport"), ("interception", "serious")),
    ("ip", base("ip daddr 192.0.2.25 tcp dport 8443 dnat to :443", kind="nat", hook="prerouting", priority="-100"),
     ("early_drop", "serious")),
    ("ip", base("ip daddr 192.0.2.25 tcp dport 8444 dnat to 192.0.2.25:443", kind="nat", hook="prerouting",
                priority="-100"), ("early_drop", "serious")),
    ("ip", base("ip daddr 198.51.100.1 tcp dport 8443 dnat to 192.0.2.25:443", kind="nat", hook="prerouting",
                priority="-100"), None),
)
FLOWTABLE = ("inet", "flowtable fast { hook ingress priority 0; devices = { lan, wan }; } "
             + base("ct state established flow add @fast"), ("flowtable", "warning"))
FIREWALLD = """table inet firewalld {
	chain filter_PREROUTING {
		type filter hook prerouting priority filter + 10; policy accept;
		icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
		meta nfproto ipv6 fib saddr . mark . iif oif missing drop
	}
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		tcp dport 22 accept
		reject with icmpx admin-prohibited
	}
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24 } reject with icmpv6 addr-unreachable
		jump filter_FORWARD_POLICIES
		ct state invalid drop
		reject with icmpx admin-prohibited
	}
	chain filter_FORWARD_POLICIES {
		iifname "lan" oifname "wan" jump filter_FWD_trusted_ACCEPT
		iifname "wan" oifname "docker0" jump filter_FWD_trusted_ACCEPT
	}
	chain filter_FWD_trusted_ACCEPT { accept; }
}
"""
DOCKER = ("-P FORWARD DROP", "-N DOCKER", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER",
          "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
          "-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
          "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
          "-A DOCKER-USER -j RETURN", "-A DOCKER ! -i docker0 -o docker0 -p tcp -d 172.17.0.2 --dport 443 -j ACCEPT")


def lines_of(text):
    return text.replace("; ", "\n").replace("} chain", "}\nchain").replace("} flowtable", "}\nflowtable").replace(
        "; }", "\n}")


def by_default(lab):
    """The Internet is behind one interface, as it is at most gateways."""
    lab.ip("gateway", "route add default via 198.51.100.20", "route add default via 2001:db8:51::20")


def tables(tap):
    """Rules of other tables, one by one: what they do to the flows, and what they don't."""
    with Lab(tap) as lab:
        by_default(lab)
        doctor = Doctor(tap, lab)
        loaded = []
        for index, (family, text, expected) in enumerate(RULES + (FLOWTABLE,)):
            done = lab.run("gateway", "nft", "-f", "-",
                           text="table %s case%d {\n%s\n}\n" % (family, index, lines_of(text)), check=False)
            # nft 1.1 has another text for what is not there, with a table that it could be meant instead.
            if done.returncode and any(refusal in done.stderr
                                       for refusal in ("Could not process rule", "Error: No such file or directory")):
                tap.skip("%s: %s" % (family, text),
                         "this kernel or nft refuses it: " + done.stderr.strip().split("\n")[0])
            elif tap.equal(done.stderr, "", "nft reads: " + text):
                loaded.append((index, family, text, expected))
        code, found, _ = doctor.findings()
        tap.equal(code, 1, "exit status")
        for index, family, text, expected in loaded:
            shown = [(one["check"], one["severity"])
                    for one in found if "table %s case%d, chain base" % (family, index) in one["evidence"]
                    or "table %s case%d, chain b," % (family, index) in one["evidence"]]
            tap.ok(shown == ([expected] if expected else []), "%s: %s" % (family, text),
                   [one for one in found if " case%d," % index in one["evidence"]])
        lab.nft("gateway", "".join("delete table %s case%d\n" % (family, index) for index, family, _, _ in loaded))
        doctor.daemon.wait_status(lambda status: status["health"] == "ok", "the daemon has seen that they are gone")
        doctor.healthy("all of them are gone")


# Looks at the process each time that it parses a rule of the table "watched", and when a child has scanned a file.
WATCH = r"""#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pid_t self;
__attribute__((constructor)) static void note_self(void)
{
	self = getpid();
}
static void look(const char *what)
{
	int status = open("/proc/self/status", O_RDONLY), seen = open(getenv("WATCH_SEEN"), O_WRONLY | O_APPEND),
	    secret = open(getenv("WATCH_SECRET"), O_RDONLY), error = secret < 0 ? errno : 0;
	char text[4096];
	ssize_t length = read(status, text, sizeof(text));
	dprintf(seen, "%.*sOpened:\t%d\nWhat:\t%s\n\n", (int)length, text, error, what);
	close(status);
	close(seen);
	close(secret);
}
int nftnl_rule_nlmsg_parse(const struct nlmsghdr *header, void *rule)
{
	int (*parse)(const struct nlmsghdr *, void *) = dlsym(RTLD_NEXT, "nftnl_rule_nlmsg_parse");
	if (memmem(header, header->nlmsg_len, "watched", 8))
		look("rule");
	return parse(header, rule);
}
int fclose(FILE *stream)
{
	if (getpid() != self)
		look("file");
	return ((int (*)(FILE *))dlsym(RTLD_NEXT, "fclose"))(stream);
}
"""


def privileges(tap):
    """While it parses what others wrote it can do nothing: the kernel's word."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        seen, secret = os.path.join(lab.dir, "seen"), os.path.join(lab.dir, "secret")
        for path, mode in ((seen, 0o666), (secret, 0o600)):
            with open(path, "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), mode)
        write(doctor, "nftables.conf", "table inet mine {\n}\n")
        os.chmod(lab.dir, 0o755)
        lab.nft("gateway", "table ip watched {\nset some { type ipv4_addr; elements = { 192.0.2.25 } }\n"
                "chain pass {\ntype filter hook forward priority 0\ntcp dport 9 accept\n"
                "ip daddr @some tcp dport 443 drop\n}\n}")
        done = lab.run("gateway", program("spefw-doctor"), "--json", "-c", doctor.daemon.config, check=False,
                       env=dict(os.environ, SPEFW_CLOCK_ERROR="1000", WATCH_SEEN=seen, WATCH_SECRET=secret,
                                LD_PRELOAD=doctor.clock + ":" + doctor.shim("watch", WATCH),
                                ASAN_OPTIONS="detect_leaks=1:verify_asan_link_order=0"))
        tap.ok(done.returncode == 1 and "table ip watched, chain pass, handle 4" in done.stdout and not done.stderr,
               "it finds a rule", (done.returncode, done.stdout, done.stderr))
        with open(seen, encoding="ascii") as file:
            parsed = [dict(line.split(":\t", 1) for line in one.split("\n") if ":\t" in line)
                      for one in file.read().split("\n\n") if one]
        tap.equal([one["What"] for one in parsed], ["file", "rule", "rule"],
                  "a saved ruleset, and each rule of another program, is parsed once")
        for key, value in (("CapPrm", "0" * 16), ("CapEff", "0" * 16), ("CapAmb", "0" * 16), ("NoNewPrivs", "1")):
            tap.equal({one[key] for one in parsed}, {value}, "then: " + key)
        if not has_second_user():
            tap.skip("it is nobody", "there is no second user")
            return
        tap.equal({one["Uid"] for one in parsed}, {"\t".join([str(pwd.getpwnam("nobody").pw_uid)] * 4)},
                  "then: nobody, in every respect")
        tap.equal({one["CapBnd"] for one in parsed}, {"0" * 16}, "then: CapBnd")
        tap.equal({one["Groups"].strip() for one in parsed}, {""}, "then: of no group")
        tap.equal({one["Opened"] for one in parsed}, {str(errno.EACCES)}, "then: what only root can read it can't open")


def mend(lab, doctor):
    """Runs the remedies of what is found."""
    for one in doctor.findings()[1]:
        lab.run("gateway", "sh", "-ec", one["remedy"])


def one_by_one(tap):
    """The text of a finding, and that it goes with its cause; the gateway's own names are resolved all the while."""
    with Lab(tap) as lab:
        by_default(lab)
        doctor = Doctor(tap, lab)
        lab.nft("gateway", "table ip mine {\nchain pass {\ntype filter hook forward priority 0\n"
                "ip daddr 192.0.2.25 tcp dport 443 drop\n}\n}")
        doctor.finds("a rule that drops", "drop", "serious",
                     ["flow https-in", "drops it", "table ip mine, chain pass, handle 2"],
                     "nft insert rule ip mine pass handle 2 ip daddr 192.0.2.25 accept", printed=True)
        mend(lab, doctor)
        doctor.healthy("and the remedy mends it")
        lab.nft("gateway", "delete table ip mine")
        lab.nft("gateway", "table ip mine {\nchain pass {\ntype filter hook forward priority 0\npolicy drop\n}\n}")
        doctor.finds("a policy", "drop", "serious",
                     ["more: another table drops", "table ip mine, chain pass: policy drop"],
                     "nft add rule ip mine pass ip daddr 192.0.2.25 accept")
        mend(lab, doctor)
        doctor.healthy("the remedy mends that too")
        lab.nft("gateway", "delete table ip mine")
        doctor.healthy("they are gone")
        # A firewalld that forwards nothing but to the Internet.
        lab.nft("gateway", FIREWALLD)
        lab.serve("server", tcp=[443])
        [probe] = probe_all([("client", ADDRESS[4]["server"], 443, True)], lambda: None)
        tap.ok(probe.result != "open server", "beside such a firewalld, the server can't be reached", probe.result)
        found = doctor.finds("which is reported", "drop", "serious",
                             ["table inet firewalld, chain filter_FORWARD, handle"],
                             "--policy spefw --add-rich-rule 'rule family=\"ipv4\" destination address=")
        tap.ok("flow ews-out" not in found[0]["what"] and len(found) == 1, "of what it does, nothing else", found)
        lab.nft("gateway", "add rule inet firewalld filter_FORWARD_POLICIES ip daddr 192.0.2.25 accept; "
                "add rule inet firewalld filter_FORWARD_POLICIES ip saddr 192.0.2.25 accept\n"
                "add rule inet firewalld filter_FORWARD_POLICIES ip6 daddr 2001:db8:2::25 accept; "
                "add rule inet firewalld filter_FORWARD_POLICIES ip6 saddr 2001:db8:2::25 accept")
        with lab.connect("client", ADDRESS[4]["server"], 443) as connection:
            tap.ok(connection.echo(), "with a policy for the server, it can")
        doctor.healthy("and there is nothing to report")
        lab.nft("gateway", "delete table inet firewalld")
        doctor.healthy("it is gone")


def iptables(tap):
    """The same of iptables, by nftables and by its own tables; the forward chain as docker makes it."""
    for program_name in ("iptables-nft", "iptables-legacy"):
        if not shutil.which(program_name):
            tap.skip(program_name, "it is missing: install iptables")
            continue
        with Lab(tap) as lab:
            by_default(lab)
            doctor = Doctor(tap, lab)

            def run(line):
                return lab.run("gateway", program_name, "-w", *line.split(), check=False)
            if run("-S").returncode:
                tap.skip(program_name, "this kernel refuses it: " + run("-S").stderr.strip().split("\n")[0])
                continue
            where = ("iptables-legacy, table filter, chain FORWARD" if program_name == "iptables-legacy"
                     else "table ip filter, chain FORWARD")
            doctor.healthy(program_name + ": empty tables")
            for line in DOCKER:
                tap.equal(run(line).stderr, "", "%s %s" % (program_name, line))
            doctor.finds(program_name + ": docker's policy", "drop", "serious", [where, "policy drop"],
                         "-I DOCKER-USER -d 192.0.2.25 -j ACCEPT")
            if program_name == "iptables-legacy":
                lab.run("gateway", "ip6tables-legacy", "-w", "-A", "FORWARD", "-d", "2001:db8:2::/64", "-i", "wan",
                        "-p", "tcp", "--dport", "443", "-j", "REJECT")
                tap.ok(any("ip6tables-legacy, table filter, chain FORWARD, rule 1" in one["evidence"]
                           and one["severity"] == "serious" for one in doctor.findings()[1]),
                       "ip6tables-legacy: a rule")
                lab.run("gateway", "ip6tables-legacy", "-w", "-F")
            mend(lab, doctor)
            doctor.healthy(program_name + ": the remedy mends it")
            run("-F DOCKER-USER")
            run("-P FORWARD ACCEPT")
            run("-A DOCKER-USER -s 192.0.2.0/24 -p tcp -m multiport --dports 25,443 -m conntrack --ctstate NEW "
                "-j REJECT")
            doctor.finds(program_name + ": a rule of it", "drop", "serious", ["rejects it", "chain DOCKER-USER"],
                         "DOCKER-USER")
            run("-F DOCKER-USER")
            run("-A DOCKER-USER -m conntrack --ctstate INVALID -j DROP")
            run("-A DOCKER-USER -p tcp ! --syn -m conntrack --ctstate NEW -j DROP")
            run("-A DOCKER-USER -i wan2 -p tcp --dport 22 -j DROP")
            doctor.healthy(program_name + ": rules for others")
            run("-t nat -A PREROUTING -s 192.0.2.25 -p tcp --dport 443 -j REDIRECT --to-ports 3129")
            doctor.healthy(program_name + ": a redirect that is prevented")
            doctor.daemon.reload(lab.config(gateway="interception = report"))
            _, found, _ = doctor.findings()
            tap.ok(len(found) == 1 and found[0]["check"] == "interception" and "chain PREROUTING"
                   in found[0]["evidence"], program_name + ": and is found where it is not", found)


def reader_of_certificates(lab):
    """The kernel's word about a spefw-tls of this lab's gateway: {key: value}; None while there is none."""
    with lab.inside("gateway"):
        own = os.readlink("/proc/thread-self/ns/net")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/status" % pid, encoding="ascii", errors="replace") as file:
                status = {key: " ".join(value.split()) for key, _, value in (line.partition(":") for line in file)}
            if status["Name"] == "spefw-tls" and os.readlink("/proc/%s/ns/net" % pid) == own:
                return status
        except (OSError, KeyError):
            pass
    return None


def certificates(tap):
    """A proxy further up that re-signs; another host; nobody."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        if not doctor.trusted:
            tap.skip("certificates", "they need a second user, and the trust store of Debian: as root")
            return
        doctor.healthy("an honest host")
        # A real proxy on the way, beyond this gateway, where no rule is to be seen.
        try:
            proxy.Squid(lab, "internet", "intercept", 3129)
            lab.nft("internet", 'table inet way {\nchain pre {\ntype nat hook prerouting priority dstnat\n'
                    'iifname "eth0" tcp dport 443 redirect to :3129\n}\n}')
            # Its first certificate takes it a while, and doctor does not wait for ever.
            tap.equal(tls.issuer_seen(lab, "gateway", LICENSE[0][4], vendor.LICENSE_NAME), "Proxy Authority",
                      "squid further up: whose certificate the gateway sees")
            doctor.finds("squid further up", "tls", "serious", ["license-out", vendor.LICENSE_NAME, "Proxy Authority"],
                         "inspection", printed=True)
            lab.nft("internet", "delete table inet way")
            doctor.healthy("and without it")
        except proxy.Missing as missing:
            tap.skip("squid further up", str(missing))
        doctor.peer.close()
        signed = doctor.serve(tls.Authority(lab.dir, "Proxy Authority").issue(vendor.LICENSE_NAME))
        doctor.finds("a proxy that signs certificates itself", "tls", "serious",
                     ["license-out", vendor.LICENSE_NAME, "Proxy Authority", LICENSE[0][4]], "inspection")
        signed.close()
        other = doctor.serve(doctor.authority.issue("else.example.net"))
        doctor.finds("a trusted host of another name", "tls", "serious", ["somebody else", "else.example.net"],
                     "inspection")
        other.close()
        hostile = doctor.serve(tls.Authority(lab.dir, "\x1b]0;owned\x07 evil").issue(vendor.LICENSE_NAME))
        done = doctor.run()
        tap.ok(done.returncode == 1 and "\x1b" not in done.stdout and "owned" in done.stdout,
               "hostile bytes in a certificate are harmless", ascii(done.stdout))
        hostile.close()
        # One that never sends a byte: what reads it is nobody, can't become more, and gives up.
        with lab.inside("internet"):
            silent = socket.create_server(("::", 443), family=socket.AF_INET6, dualstack_ipv6=True)
        done = []
        thread = threading.Thread(target=lambda: done.append(doctor.findings()))
        thread.start()
        status = wait_for(lambda: reader_of_certificates(lab) or not thread.is_alive(), "it is running")
        thread.join()
        tap.equal([status.get(key) if status is not True else status
                   for key in ("Uid", "Gid", "Groups", "NoNewPrivs", "CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd")],
                  [" ".join(["65534"] * 4)] * 2 + ["", "1"] + ["0" * 16] * 5,
                  "certificates are read without privileges")
        code, found, notes = done[0]
        tap.ok((code, found) == (0, []) and [one["check"] for one in notes] == ["tls"], "who is silent is a note",
               (code, found, notes))
        silent.close()
        plain = lab.serve("internet", tcp=[443])
        code, found, notes = doctor.findings()
        tap.ok((code, found) == (0, []) and [one["check"] for one in notes] == ["tls"], "what speaks no TLS is a note",
               (code, found, notes))
        plain.close()
        code, found, notes = doctor.findings()
        tap.ok((code, found) == (0, []) and "could not be checked" in notes[0]["what"], "nobody there is a note",
               (code, found, notes))


# What a program that reads strangers' bytes may become: it takes what it can get of its parents, and does not end.
STAND_IN = """#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char line[200], bounding[64] = "?";
	int is_tls = strcmp(argv[0], "spefw-tls") == 0;
	FILE *out = is_tls ? stdout : fopen(SEEN, "w");
	FILE *status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "CapBnd: %60s", bounding);
	int tty = open("/dev/tty", O_RDWR), no_tty = tty < 0 ? errno : 0;
	if (tty >= 0 && write(tty, "owned", 5) == 5)
		for (const char *c = "owned\\n"; *c; c++)
			ioctl(tty, TIOCSTI, c);
	for (int fd = 0; fd < 1024; fd++)
		if (isatty(fd))
			no_tty = 0;
	pid_t child = is_tls ? fork() : -1; /* the other one sets that limit itself */
	int no_child = child < 0 ? errno : 0;
	if (child == 0)
		setsid();
	(void)argc;
	if (child != 0 && out)
		fprintf(out, "result unreachable\\nwhy terminal %d, child %d, session %d, bounding %s\\n", no_tty,
			no_child,
		       getsid(0) == getpid(), bounding);
	if (out)
		fclose(out);
	for (;;)
		pause();
}
"""


def take_over(doctor, program_name, seen):
    """Copies of the programs, of which one is the hostile one; the folder."""
    folder = os.path.join(doctor.lab.dir, program_name + ".d")
    os.mkdir(folder)
    for name in {"spefwctl", "spefw-doctor", "spefw-resolver", "spefw-tls"} - {program_name}:
        shutil.copy(program(name), folder)
    with open(os.path.join(folder, "hostile.c"), "w", encoding="ascii") as file:
        file.write(STAND_IN)
    subprocess.run([os.environ.get("CC", "cc").split()[0], "-DSEEN=\"%s\"" % seen, os.path.join(folder, "hostile.c"),
                    "-o", os.path.join(folder, program_name)], check=True)
    return folder


def on_terminal(doctor, folder):
    """spefwctl doctor of this folder on a terminal of its own: exit status, standard output, what came to the
    terminal."""
    out = os.path.join(folder, "out")
    with doctor.lab.inside("gateway"):
        pid, terminal = pty.fork()
        if pid == 0:
            with open(out, "wb") as file:
                os.dup2(file.fileno(), 1)
            os.environ.update(LC_ALL="C", SPEFW_CLOCK_ERROR="1000", ASAN_OPTIONS="verify_asan_link_order=0",
                              LD_PRELOAD=doctor.clock)
            os.execv(os.path.join(folder, "spefwctl"),
                     ["spefwctl", "-s", doctor.daemon.socket, "doctor", "--json", "-c", doctor.daemon.config])
    typed = b""
    try:
        while select.select([terminal], [], [], HANG)[0]:
            typed += os.read(terminal, 4096)
        os.kill(pid, signal.SIGKILL)
    except OSError:  # nobody has it open any more
        pass
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    with open(out, encoding="utf-8") as file:
        return code, file.read(), typed


def runs(path):
    """Whether this program runs, by whatever name."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/exe" % pid) == path:
                return True
        except OSError:
            pass
    return False


def stand_in(tap):
    """A hostile spefw-tls, and a hostile spefw-resolver: it has no terminal, no children, nothing to become more by,
    and it is gone when doctor is."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        if not doctor.trusted:
            tap.skip("a hostile spefw-tls", "it needs a second user, and the trust store of Debian: as root")
            return
        os.chmod(lab.dir, 0o755)
        seen = os.path.join(lab.dir, "seen")
        with open(seen, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o666)
        folder = take_over(doctor, "spefw-tls", seen)
        code, text, typed = on_terminal(doctor, folder)
        tap.ok(code == 0, "doctor ends", (code, text))
        notes = [one["evidence"] for one in json.loads(text or '{"findings": []}')["findings"] if one["check"] == "tls"]
        tap.ok(notes and all("terminal %d, child %d, session 1, bounding 0000000000000000" %
                             (errno.ENXIO, errno.EAGAIN) in one for one in notes),
               "a hostile spefw-tls has no terminal and no children, leads its session, and can become nothing",
               (notes, text))
        tap.equal(typed, b"", "nothing came to the terminal, and no input was made up")
        tap.equal(reader_of_certificates(lab), None, "it is gone")

        folder = take_over(doctor, "spefw-resolver", seen)
        code, text, typed = on_terminal(doctor, folder)
        tap.ok(code in (0, 1) and "no answer" in text, "doctor ends with a spefw-resolver that is silent", (code, text))
        with open(seen, encoding="ascii") as file:
            said = file.read()
        tap.ok("terminal %d, " % errno.ENXIO in said and "session 1, bounding 0000000000000000" in said,
               "a hostile spefw-resolver has no terminal, leads its session, and can become nothing", said)
        tap.ok(all(line.startswith(b"spefw-doctor: spefw-resolver ended (") for line in typed.splitlines()),
               "nothing but that came to the terminal, and no input was made up", typed)
        tap.ok(not runs(os.path.join(folder, "spefw-resolver")), "it is gone")


def bridge(tap):
    """A bridge between the server and the default next hop, whose frames pass no hook."""
    with Lab(tap) as lab:
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            lab.sysctl("gateway", "bridge/" + name, 0)
        lab.ip("gateway", "addr flush dev lan", "addr flush dev wan2", "link add br0 type bridge",
               "link set lan master br0", "link set wan2 master br0",
               "link set br0 up", "addr add 192.0.2.1/24 dev br0", "addr add 2001:db8:2::1/64 dev br0 nodad")
        lab.ip("client", "addr flush dev eth0 scope global", "addr add 192.0.2.140/24 dev eth0")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        doctor = Doctor(tap, lab)
        lab.serve("server", tcp=[443])
        lab.serve("client", tcp=[443])
        for address in (ADDRESS[4]["server"], "192.0.2.140"):
            lab.connect("gateway", address, 443).close()
        doctor.healthy("the gateway routes between the bridge and elsewhere")
        lab.ip("gateway", "route add default via 192.0.2.140")
        doctor.finds("the default next hop is behind the bridge's other port", "bridge", "serious",
                     ["bridge br0", "192.0.2.25", "(at lan)", "(at wan2)"],
                     "net.bridge.bridge-nf-call-iptables=1", printed=True)
        doctor.daemon.wait_status(lambda status: "bridge" in doctor.daemon.reason_codes(status),
                                  "health shows it too")
        tap.equal(len([one for one in doctor.findings()[1] if "bridge br0" in one["what"]]), 1, "doctor shows it once")
        lab.ip("gateway", "route del default")
        doctor.daemon.wait_status(lambda status: "bridge" not in doctor.daemon.reason_codes(status), "health is well")
        doctor.healthy("no more")


if __name__ == "__main__":
    main(healthy, system, routes, bridge, resolvers, no_resolvers, tables, privileges, one_by_one, iptables,
         certificates, stand_in)
