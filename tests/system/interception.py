#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Other tables that want the server's connections: prevented, blocked, reported or let be;
and what is no interception."""
import json
import os
import re
import shutil
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, NARROW, Lab, main, probe_all, proxy, tls, udp_exchange, vendor,
    wait_for)

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
MODES = ("prevent", "block", "report", "off")
PROXY = {family: ADDRESS[family]["admin"] for family in FAMILIES}
REDIRECT = """table inet proxy {
	chain pre {
		type nat hook prerouting priority dstnat;
		iifname { "lan", "wan2" } tcp dport { 443, 8080 } redirect
	}
}
"""
ELSEWHERE = """table inet proxy {
	chain pre {
		type nat hook prerouting priority dstnat;
		iifname { "lan", "wan2" } tcp dport { 443, 8080 } dnat ip to %s
		iifname { "lan", "wan2" } tcp dport { 443, 8080 } dnat ip6 to %s
	}
}
""" % (PROXY[4], PROXY[6])
TPROXY = """table inet proxy {
	chain pre {
		type filter hook prerouting priority mangle;
		iifname { "lan", "wan2" } tcp dport { 443, 8080 } tproxy to :443 meta mark set 1 accept
	}
}
"""


def route_marked(lab):
    """What tproxy needs beside its rule: marked packets are for this machine."""
    for family in ("-4", "-6"):
        lab.run("gateway", "ip", family, "rule", "add", "fwmark", "1", "lookup", "100")
        lab.run("gateway", "ip", family, "route", "add", "local", "default", "dev", "lo", "table", "100")


def names_known(daemon):
    """The status, once names are no reason any more for bad health."""
    return daemon.wait_status(lambda now: not any(vendor.LICENSE_NAME in reason for reason in daemon.reasons(now)),
                              "the name is known")


def intercept(tap, rules, proxy, does, transparent=False):
    """One kind of interception, in each mode: who answers, what is counted, what is reported, and that it clears."""
    for mode in MODES:
        with Lab(tap) as lab:
            if transparent:
                route_marked(lab)
            lab.nft("gateway", rules)
            lab.dns(NAMES)
            lab.serve(proxy, tcp=[] if transparent else [443, 8080])
            if transparent:
                lab.at_close(lab_listener(lab).close)
            for machine in ("server", "internet"):
                lab.serve(machine, tcp=[443, 8080])
            daemon = lab.guard(lab.config(gateway="interception = " + mode))
            reported = names_known(daemon)["interceptions"] if daemon else []
            prevented = mode == "prevent" and not transparent
            if daemon is not None:
                tap.equal(sorted({(one["table"], one["chain"], one["does"]) for one in reported}),
                          [] if prevented or mode == "off" else [("proxy", "pre", does)],
                          "interception = %s: which rules are reported" % mode)
            for family in FAMILIES:
                ipv = "IPv%d, interception = %s: " % (family, mode)
                for source, target, honest in (("server", EXCHANGE[family], "internet"),
                                               ("client", ADDRESS[family]["server"], "server")):
                    title = ipv + "%s to %s " % (source, honest)
                    before = daemon.status()["guards"]["intercepted"] if daemon else 0
                    if mode == "block":
                        [probe] = probe_all([(source, target, 443, False)],
                                            lambda f=family: lab.connect("client", EXCHANGE[f], 8080).close())
                        tap.equal(probe.result, None, title + "is dropped")
                    else:
                        with lab.connect(source, target, 443) as connection:
                            tap.equal(connection.greeting[0], honest if prevented else proxy, title + "is answered")
                            tap.ok(connection.echo(), title + "carries data")
                    if daemon is not None:
                        more = daemon.status()["guards"]["intercepted"] - before
                        tap.ok(more == 0 if prevented or mode == "off" else more >= 1, title + "is counted", more)
                with lab.connect("client", EXCHANGE[family], 8080) as connection:
                    tap.equal(connection.greeting[0], proxy, ipv + "a neighbour's connection is the proxy's")
            if daemon is None:
                continue
            status = daemon.status()
            bad = not prevented and mode != "off"
            tap.equal(status["health"], "degraded" if bad else "ok", "interception = %s: health" % mode)
            metrics = daemon.ctl("metrics").stdout
            tap.ok(re.search(r"^spefw_interception_rules %d$" % len(status["interceptions"]), metrics, re.M),
                   "interception = %s: metrics" % mode, metrics)
            if bad:
                handle = status["interceptions"][0]["handle"]
                named = "table inet proxy, chain pre, handle %d" % handle
                tap.ok(any(named in text for text in daemon.reasons(status, "foreign-rule")),
                       "interception = %s: status names the rule" % mode, status["reasons"])
                tap.ok(named in daemon.log() and "connections of the guarded server are intercepted" in daemon.log(),
                       "interception = %s: so does the log" % mode)
                tap.equal(daemon.ctl("status", check=False).returncode, 1, "interception = %s: exit status" % mode)
                lab.run("gateway", "nft", "delete", "table", "inet", "proxy")
                daemon.wait_status(lambda now: not now["interceptions"], "the rule is gone")
                tap.equal(names_known(daemon)["health"], "ok", "interception = %s: it clears" % mode)
                tap.ok("gone: " in daemon.log(), "interception = %s: and it is logged" % mode)


def lab_listener(lab):
    """The proxy's socket for tproxy."""
    from lab.services import Listener  # pylint: disable=import-outside-toplevel
    return Listener("gateway", tcp=[443], transparent=True)


def redirect(tap):
    """To a proxy on the gateway."""
    intercept(tap, REDIRECT, "gateway", "redirect")


def elsewhere(tap):
    """To a proxy on another machine."""
    intercept(tap, ELSEWHERE, "admin", "dnat")


def tproxy(tap):
    """To a proxy's socket, without translation: it can't be prevented, but is found."""
    intercept(tap, TPROXY, "gateway", "tproxy", transparent=True)


def early(tap):
    """A nat chain that is as early as ours (the kernel takes none that is earlier): it may win, and is found."""
    for priority, found in ((-199, True), (-198, False)):
        with Lab(tap) as lab:
            lab.dns(NAMES)
            daemon = lab.spefwd(lab.config())
            for machine in ("gateway", "server"):
                lab.serve(machine, tcp=[443])
            lab.nft("gateway", REDIRECT.replace("priority dstnat", "priority %d" % priority))
            if found:
                status = daemon.wait_status(lambda now: now["interceptions"], "priority %d is reported" % priority)
                tap.equal(status["health"], "degraded", "priority %d: health" % priority)
            else:
                lab.nft("gateway", "table ip marker {\nchain pre {\ntype filter hook prerouting priority 0\n"
                        "ip saddr %s notrack\n}\n}\n" % ADDRESS[4]["server"])
                status = daemon.wait_status(lambda now: now["interceptions"], "a later change is reported")
                tap.equal([one["table"] for one in status["interceptions"]], ["marker"],
                          "priority %d is no finding" % priority)
            for family in FAMILIES:
                with lab.connect("client", ADDRESS[family]["server"], 443) as connection:
                    tap.equal(connection.greeting[0], "gateway" if found else "server",
                              "IPv%d, priority %d: who answers" % (family, priority))
            tap.equal(daemon.status()["guards"]["intercepted"], 2 if found else 0,
                      "priority %d: it is counted" % priority)


def not_allowed(tap):
    """What no flow allows is not exempt: another table may send it on, and it is judged by where it goes. The server's
    DNS is none of it, whatever its new port."""
    rules = ""
    for family, v in ((4, ""), (6, "6")):
        ends = ADDRESS[family]["client"], EXCHANGE[family]
        for target, other in (ends, ends[::-1]):
            rules += "ip%s saddr %s ip%s daddr %s tcp dport 443 dnat ip%s to %s\n" % (
                v, ADDRESS[family]["server"], v, target, v, other)
    with Lab(tap) as lab:
        lab.dns(NAMES)
        for machine in ("client", "internet"):
            lab.serve(machine, tcp=[443])
        lab.nft("gateway", "table inet proxy {\nchain pre {\ntype nat hook prerouting priority dstnat\n%s"
                "ip saddr %s tcp dport 53 redirect to :5353\n}\n}\n" % (rules, ADDRESS[4]["server"]))
        daemon = lab.spefwd(lab.config(flows=NARROW))
        for family in FAMILIES:
            before = daemon.status()["guards"]["intercepted"]
            with lab.connect("server", EXCHANGE[family], 443) as connection:
                tap.equal(connection.greeting[0], "internet", "IPv%d: what a flow allows is not sent on" % family)
            tap.equal(daemon.status()["guards"]["intercepted"], before, "IPv%d: nor counted" % family)
            with lab.connect("server", ADDRESS[family]["client"], 443) as connection:
                tap.equal(connection.greeting[0], "internet", "IPv%d: what none allows is, to where one leads" % family)
            tap.equal(daemon.status()["guards"]["intercepted"], before + 1, "IPv%d: and counted once" % family)
        before = daemon.status()
        [probe] = probe_all([("server", DNS[4], 53, False)],
                            lambda: lab.connect("server", EXCHANGE[4], 443).close())
        after = daemon.status()
        tap.equal((probe.result, after["guards"]["intercepted"]), (None, before["guards"]["intercepted"]),
                  "DNS to another port is denied there, and none is intercepted")
        tap.ok(after["denied"]["out"] > before["denied"]["out"], "it was seen", after["denied"])


# One table each: family, what stands in it, and what is to be found in its rules: (what it does, flow), or None.
BASE = "chain base { type %s hook %s priority %s; %s; }"


def nat(rules, hook="prerouting", priority="dstnat"):
    return BASE % ("nat", hook, priority, rules)


def filtering(rules, hook="prerouting", priority="-150"):
    return BASE % ("filter", hook, priority, rules)


RULES = (
    # what would take the server's flows
    ("inet", nat("tcp dport 443 redirect"), "redirect"),
    ("ip", nat("ip saddr 192.0.2.25 redirect"), "redirect"),
    ("ip6", nat("tcp dport { 25, 993 } redirect to :8443"), "redirect"),
    ("ip", nat("ip daddr 192.0.2.0/24 tcp dport 100-200 dnat to 10.0.0.9"), "dnat"),
    ("ip", nat("ip saddr != 203.0.113.10 tcp dport 80 dnat to 10.0.0.9:3128"), "dnat"),
    ("ip", "set s { type ipv4_addr; flags interval; elements = { 192.0.2.16/28 }; } " + nat("ip saddr @s redirect"),
     "redirect"),
    ("ip", "chain a { jump b; } chain b { tcp dport 443 redirect; } " + nat("iifname \"lan\" goto a"), "redirect"),
    ("inet", "chain a { redirect; } " + nat("tcp dport vmap { 22 : accept, 443 : jump a }"), "redirect"),
    ("inet", "map m { type ifname : verdict; elements = { \"wan\" : accept, \"lan\" : jump a }; } "
     "chain a { tcp dport 80 redirect; } " + nat("iifname vmap @m"), "redirect"),
    ("inet", nat("tcp dport 443 limit rate 5/second accept; tcp dport 443 redirect"), "redirect"),
    ("ip", nat("tcp dport 443 redirect", hook="output", priority="-100"), "redirect"),
    ("inet", filtering("meta l4proto tcp tproxy to :3129"), "tproxy"),
    ("ip", filtering("ip daddr 192.0.2.25 notrack", priority="raw"), "notrack"),
    ("ip", filtering("tcp sport 443 notrack", priority="raw"), "notrack"),
    ("inet", filtering("ct state new queue num 3", hook="forward", priority="0"), "queue"),
    ("ip", filtering("ip saddr 192.0.2.25 dup to 203.0.113.99", hook="forward", priority="0"), "dup"),
    ("netdev", "chain base { type filter hook ingress device wan2 priority 0; tcp dport 443 fwd to lan; }", "fwd"),
    # what does not
    ("inet", nat("tcp dport 8080 redirect"), None),
    ("ip", nat("iifname \"adm\" ip saddr 203.0.113.10 tcp dport 3128 redirect"), None),
    ("ip", nat("iifname \"lan\" ip saddr != 192.0.2.25 tcp dport 443 redirect"), None),
    ("ip", nat("ip saddr 192.0.2.25 accept; iifname \"lan\" tcp dport { 80, 443 } redirect"), None),
    ("ip", "chain a { ip saddr 192.0.2.25 return; tcp dport 443 redirect; } " + nat("iifname \"lan\" jump a"), None),
    ("ip", "chain a { ip saddr 192.0.2.25 accept; } " + nat("jump a; iifname \"lan\" tcp dport 443 redirect"), None),
    ("ip", nat("iifname \"wan2\" tcp dport 443 dnat to 192.0.2.25"), None),
    ("ip", nat("fib daddr type local tcp dport 443 dnat to 10.0.0.9"), None),
    ("ip", nat("ip daddr 198.51.100.129 tcp dport 443 dnat to 10.0.0.9"), None),
    ("ip", nat("ip saddr 192.0.2.25 udp dport 53 redirect; ip saddr 192.0.2.25 tcp dport 53 redirect"), None),
    ("ip", nat("ip saddr 192.0.2.25 masquerade", hook="postrouting", priority="srcnat"), None),
    ("ip", nat("ip saddr 192.0.2.25 snat to 198.51.100.1", hook="postrouting", priority="srcnat"), None),
    ("ip", nat("ip saddr 192.0.2.25 ip daddr 198.51.100.99 dnat to 203.0.113.9"), None),  # nat_except
    ("ip", "chain a { redirect; } " + nat("iifname vmap { \"wan\" : accept }"), None),
    ("inet",
     filtering("tcp dport 443 counter log accept; ct state invalid drop; reject", hook="forward", priority="10"), None),
    ("inet", filtering("udp dport 514 notrack", priority="raw"), None),
    ("inet", filtering("icmp type echo-reply queue", hook="output", priority="0"), None),
    ("arp", "chain base { type filter hook input priority 0; drop; }", None),
)
IPTABLES = (
    ("-t nat -A PREROUTING -p tcp -m multiport --dports 8443,443 -j REDIRECT", "redirect"),
    ("-t nat -A PREROUTING -s 192.0.2.25 -p tcp --dport 443 -j DNAT --to-destination 10.0.0.9", "dnat"),
    ("-t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 3129 --tproxy-mark 1", "tproxy"),
    ("-t raw -A PREROUTING -d 192.0.2.25 -j CT --notrack", "notrack"),
    ("-A FORWARD -s 192.0.2.25 -j NFQUEUE --queue-num 1", "queue"),
    ("-t nat -N DOCKER; -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; "
     "-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER; "
     "-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.17.0.2:443; "
     "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", None),
    ("-t nat -A PREROUTING -i wan2 -p tcp --dport 443 -j DNAT --to-destination 192.0.2.25", None),
    ("-t nat -A PREROUTING -i lan -p tcp -m multiport --dports 8443,8080 -j REDIRECT", None),
    ("-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp", None),
)


def told_of(status, table):
    return sorted({one["does"] for one in status["interceptions"] if one["table"] == table})


def rules(tap):
    """Rules of other tables, one by one: whether they could meet a flow."""
    config = Lab.config(gateway="interception = report\nnat_except = 198.51.100.99")
    with Lab(tap) as lab:
        lab.dns(NAMES)
        loaded = []
        for index, (family, text, expected) in enumerate(RULES):
            lines = text.replace("; ", "\n").replace("} chain", "}\nchain").replace("; }", "\n}")
            done = lab.run("gateway", "nft", "-f", "-", text="table %s case%d {\n%s\n}\n" % (family, index, lines),
                           check=False)
            # nft 1.1 has another text for what is not there, with a table that it could be meant instead.
            if done.returncode and any(refusal in done.stderr
                                       for refusal in ("Could not process rule", "Error: No such file or directory")):
                tap.skip("%s: %s" % (family, text),
                         "this kernel or nft refuses it: " + done.stderr.strip().split("\n")[0])
            elif tap.equal(done.stderr, "", "nft reads: " + text):
                loaded.append((index, family, text, expected))
        daemon = lab.spefwd(config)
        status = daemon.status()
        for index, family, text, expected in loaded:
            tap.equal(told_of(status, "case%d" % index), [expected] if expected else [], "%s: %s" % (family, text))
        # And likewise what comes and goes while the daemon runs.
        lab.nft("gateway", "".join("delete table %s case%d\n" % (family, index) for index, family, _, _ in loaded))
        daemon.wait_status(lambda now: not now["interceptions"], "all rules are gone")
        tap.equal(names_known(daemon)["health"], "ok", "healthy again")
        lab.nft("gateway", "table ip late {\nset s { type ipv4_addr; }\n"
                "chain base { type nat hook prerouting priority 0; ip saddr @s redirect; }\n}")
        lab.nft("gateway", "add element ip late s { 192.0.2.25 }")
        daemon.wait_status(lambda now: told_of(now, "late") == ["redirect"], "an element makes it meet a flow")
        lab.nft("gateway", "delete element ip late s { 192.0.2.25 }")
        daemon.wait_status(lambda now: not now["interceptions"], "and without it no more")
        lab.nft("gateway", "add element ip late s { 192.0.2.25 }")
        daemon.wait_status(lambda now: now["interceptions"], "there again")
        daemon.reload(config.replace("interception = report", "interception = off"))
        tap.equal(daemon.status()["interceptions"], [], "nothing is reported with interception = off")
        daemon.reload(config)
        tap.equal(told_of(daemon.status(), "late"), ["redirect"], "a reload looks at once")


def iptables(tap):
    """The same of rules that iptables made."""
    program = shutil.which("iptables-nft")
    if not program:
        tap.skip("iptables", "iptables-nft is missing: install iptables")
        return
    for text, expected in IPTABLES:
        with Lab(tap) as lab:
            refused = None
            for line in text.split("; "):
                done = lab.run("gateway", program, *line.split(), check=False)
                refused = refused or (done.stderr.strip() if done.returncode else None)
            if refused:
                tap.skip("iptables " + text, "this kernel refuses it: " + refused.split("\n")[0])
                continue
            lab.dns(NAMES)
            daemon = lab.spefwd(lab.config(gateway="interception = report"))
            tap.equal(sorted({one["does"] for one in daemon.status()["interceptions"]}), [expected] if expected else [],
                      "iptables " + text)


LEGITIMATE = """table inet legitimate {
	chain pre {
		type nat hook prerouting priority dstnat;
		fib daddr type local tcp dport 8443 dnat ip to 192.0.2.25:443
		fib daddr type local tcp dport 8443 dnat ip6 to [2001:db8:2::25]:443
		fib daddr type local tcp dport 993 dnat ip to 203.0.113.10
		fib daddr type local tcp dport 993 dnat ip6 to 2001:db8:3::10
		ip daddr 198.51.100.99 dnat to 203.0.113.10
		ip6 daddr 2001:db8:51::99 dnat to 2001:db8:3::10
		iifname "lan" meta l4proto { tcp, udp } th dport 53 redirect
		iifname "adm" tcp dport { 80, 8080 } redirect
	}
	chain post {
		type nat hook postrouting priority srcnat;
		iifname "lan" oifname { "wan", "adm" } masquerade
	}
}
table ip docker {
	chain DOCKER {
		iifname "docker0" return
		iifname != "docker0" tcp dport 443 dnat to 172.17.0.2
	}
	chain PREROUTING {
		type nat hook prerouting priority dstnat;
		fib daddr type local jump DOCKER
	}
	chain POSTROUTING {
		type nat hook postrouting priority srcnat;
		ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
	}
}
table inet firewalld {
	chain raw_PREROUTING {
		type filter hook prerouting priority raw + 10;
		icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
		meta nfproto ipv6 fib saddr . mark . iif oif missing drop
	}
	chain mangle_PREROUTING_ZONES { iifname "wan" goto mangle_PRE_public; goto mangle_PRE_public; }
	chain mangle_PRE_public { jump mangle_PRE_public_allow; }
	chain mangle_PRE_public_allow { }
	chain mangle_PREROUTING { type filter hook prerouting priority mangle + 10; jump mangle_PREROUTING_ZONES; }
	chain nat_PREROUTING { type nat hook prerouting priority dstnat + 10; jump nat_PREROUTING_ZONES; }
	chain nat_PREROUTING_ZONES { iifname "wan" goto nat_PRE_public; goto nat_PRE_public; }
	chain nat_PRE_public { }
	chain nat_POSTROUTING { type nat hook postrouting priority srcnat + 10; oifname "wan" masquerade; }
	chain filter_FORWARD {
		type filter hook forward priority filter + 10;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
	}
}
"""


def legitimate(tap):
    """Port forwards, 1:1 NAT that is meant, redirected DNS, masquerading, docker and firewalld: no alarm,
    and all works."""
    for mode in MODES:
        with Lab(tap) as lab:
            lab.nft("gateway", LEGITIMATE)
            lab.dns(NAMES)
            local = lab.serve("gateway", tcp=[53], udp=[53])
            config = lab.config(gateway="interception = %s\nnat_except = 198.51.100.99 2001:db8:51::99" % mode)
            # Whoever has the server's DNS redirected lets it query those, too.
            config = config.replace("resolvers = ", "resolvers = 192.0.2.1 2001:db8:2::1 ")
            daemon = lab.guard(config)
            for machine in ("server", "internet", "admin"):
                lab.serve(machine, tcp=[443, 993])
            for family in FAMILIES:
                ipv = "IPv%d, interception = %s: " % (family, mode)
                excepted = {4: "198.51.100.99", 6: "2001:db8:51::99"}[family]
                for source, target, port, answers, what in (
                        ("client", GATEWAY["wan2"][family], 8443, "server", "a port forward to the server"),
                        ("server", GATEWAY["lan"][family], 993, "admin", "a port forward that the server uses"),
                        ("server", excepted, 443, "admin", "what nat_except lists"),
                        ("server", EXCHANGE[family], 443, "internet", "masquerading"),
                        ("client", ADDRESS[family]["server"], 443, "server", "the server itself"),
                        ("server", DNS[family], 53, "gateway", "DNS over TCP, redirected")):
                    with lab.connect(source, target, port) as connection:
                        tap.equal(connection.greeting[0], answers, ipv + what)
                        tap.ok(connection.echo(), ipv + what + " carries data")
                tap.ok(udp_exchange("server", DNS[family], 53), ipv + "DNS over UDP, redirected")
            tap.ok(local.accepted >= 2, "interception = %s: DNS came to the gateway" % mode)
            if daemon is not None:
                status = daemon.status()
                tap.equal((status["interceptions"], status["guards"]["intercepted"], status["guards"]["spoofed"]),
                          ([], 0, 0), "interception = %s: no alarm" % mode)
                # The lab's resolver answers the gateway as before.
                daemon.wait_status(lambda now: now["health"] == "ok", "healthy")


def proxied(lab, kind):
    """A squid on the gateway that takes what comes by lan for port 443; and who answers in truth,
    with a certificate of its own."""
    if kind == "tproxy":
        route_marked(lab)
        lab.nft("gateway", 'table inet squid {\nchain pre {\ntype filter hook prerouting priority mangle\n'
                'meta l4proto tcp socket transparent 1 meta mark set 1 accept\n'
                'iifname "lan" tcp dport 443 tproxy to :443 meta mark set 1 accept\n}\n}\n')
    else:
        lab.nft("gateway", 'table inet squid {\nchain pre {\ntype nat hook prerouting priority dstnat\n'
                'iifname "lan" tcp dport 443 redirect\n}\n}\n')
    server = tls.Server("internet", 443, tls.certificate(lab.dir, "honest", "Honest Peer"))
    lab.at_close(server.close)
    # spefw judges the port that a connection is redirected to: a proxy on another one gets nothing anyway.
    lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values()), "outlook.example.net": list(EXCHANGE.values())})
    return proxy.Squid(lab, "gateway", kind, 443)


def squid(tap):
    """A real proxy that opens TLS: the server sees its certificate, but for the connections that are kept from it."""
    # By redirection, and by tproxy, which can't be prevented: then it is blocked, and reported.
    for kind, mode, seen, reported in (("intercept", None, "Proxy Authority", None),
                                   ("intercept", "prevent", "Honest Peer", ("ok", [], False)),
                                   ("intercept", "report", "Proxy Authority", ("degraded", ["squid"], True)),
                                   ("tproxy", None, "Proxy Authority", None),
                                   ("tproxy", "prevent", "Proxy Authority", ("degraded", ["squid"], True)),
                                   ("tproxy", "block", None, ("degraded", ["squid"], True))):
        title = "squid by %s, %s: " % (kind, "interception = " + mode if mode else "without spefw")
        with Lab(tap) as lab:
            try:
                proxied(lab, kind)
            except proxy.Missing as missing:
                tap.skip(title, str(missing))
                continue
            daemon = lab.guard(lab.config(gateway="interception = " + mode)) if mode else None
            if daemon is not None:
                names_known(daemon)
            if seen is None:
                [probe] = probe_all([("server", EXCHANGE[4], 443, False)], lambda: wait_for(
                    lambda: daemon is None or daemon.status()["guards"]["intercepted"], "it is seen"))
                tap.equal(probe.result, None, title + "nobody answers the server")
            else:
                tap.equal(tls.issuer_seen(lab, "server", EXCHANGE[4], "outlook.example.net"), seen,
                          title + "whose certificate the server sees")
            if daemon is None:
                continue
            status = daemon.status()
            tap.equal((status["health"], [one["table"] for one in status["interceptions"]],
                       status["guards"]["intercepted"] > 0), reported, title + "what is reported")
            found = json.loads(daemon.ctl("doctor", "--json", "-c", daemon.config, check=False).stdout)["findings"]
            found = [one for one in found if one["check"] == "interception"]
            tap.ok([one["severity"] for one in found] == ["serious"] * len(reported[1])
                   and all("table inet squid, chain pre, handle" in one["evidence"] for one in found),
                   title + "and what doctor finds", found)


def many_ways(bases, depth):
    """A table whose chains jump to the next one twice: ever so many ways lead to its last rule."""
    text = "table inet ways {\n"
    for base in range(bases):
        for level in range(depth, 0, -1):
            text += "chain c%d_%d {\n%s}\n" % (base, level, "notrack\n" if level == depth
                                               else 2 * ("meta mark %d jump c%d_%d\n" % (level, base, level + 1)))
        text += ("chain base%d {\ntype filter hook prerouting priority %d\n"
                 "%s}\n" % (base, -310 + base, 2 * ("jump c%d_1\n" % base)))
    return text + "}\n"


def large(tap):
    """Other tables of any size: they are looked at between other events, one budget is enough for all of them, and what
    was not looked at is reported."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[443])
        lab.nft("gateway", many_ways(25, 12))
        daemon = lab.spefwd(lab.config(gateway="interception = report"))
        status = daemon.wait_status(lambda now: "foreign-unread" not in daemon.reason_codes(now),
                                    "it has looked")
        tap.ok(status["health"] == "degraded" and "foreign-incomplete" in daemon.reason_codes(status),
               "their end is not reached: reported, and never healthy", status["reasons"])
        log = daemon.log()
        tap.ok(0 < log.find("guards by") < log.find("table inet ways"),
               "it was ready, and did other things, before it had looked", log)
        found = json.loads(daemon.ctl("doctor", "--json", "-c", daemon.config, check=False).stdout)["findings"]
        tap.ok(any(one["severity"] == "note" and "to their end" in one["what"] for one in found), "doctor shows it too",
               found)
        lab.nft("gateway", "delete table inet ways")
        daemon.reload()
        daemon.wait_status(lambda now: now["health"] == "ok", "they are gone")
        # A map of which a part is not read may lead anywhere.
        lab.nft("gateway", "table ip maps {\nchain proxy { redirect\n}\n"
                "map where { type ipv4_addr : verdict; elements = { %s, 192.0.2.25 : jump proxy }; }\n"
                "chain pre {\ntype nat hook prerouting priority -100\nip saddr vmap @where\n}\n"
                "}\n" % ", ".join("10.0.%d.%d : accept" % (number >> 8, number & 255) for number in range(5000)))
        daemon.reload()
        status = daemon.wait_status(lambda now: "foreign-unread" not in daemon.reason_codes(now),
                                    "it has looked")
        tap.ok("foreign-incomplete" in daemon.reason_codes(status), "a map of 5,000 elements: reported",
               status["reasons"])
        lab.nft("gateway", "delete table ip maps")
        # Rules with a large set are looked at to their end.
        elements = ", ".join("10.%d.%d.1" % (number >> 8, number & 255) for number in range(4000))
        lab.nft("gateway", "table ip sets {\nset bad { type ipv4_addr; flags interval; elements = { %s, 192.0.2.25 }; "
                "}\nchain pre {\ntype filter hook prerouting priority -150\n%s}\n}\n"
                % (elements, "".join("ip daddr @bad tcp dport %d drop\nip saddr @bad tcp dport != %d notrack\n" %
                                     (port, port) for port in range(2000, 2050))))
        daemon.reload()
        status = daemon.wait_status(lambda now: now["interceptions"], "the rules with a set")
        tap.equal((len(status["interceptions"]), daemon.reasons(status, "foreign-incomplete")),
                  (50, []), "50 rules with a set of 4,001 elements: all of them are reported")


if __name__ == "__main__":
    main(redirect, elsewhere, tproxy, early, not_allowed, rules, iptables, legitimate, squid, large)
