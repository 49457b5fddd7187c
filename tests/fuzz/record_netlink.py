#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records what a kernel really answers, as the seeds of fuzz_nft_read and fuzz_nft_foreign: record_netlink.py FOLDER,
into FOLDER/nft and FOLDER/foreign, with SPEFW_BUILD as for the system tests."""
import os
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, LICENSE, NARROW, Lab, main, netlink, vendor, wait_for  # noqa: E402

FOLDER = os.path.abspath(sys.argv.pop())
# The readers of fuzz_nft_read, and the chains of the last one.
TABLE, CONNECTIONS, CHANGES, VERDICTS, CUT, CHAINS = b"\0", b"\2", b"\1", b"\3", b"\4", b"\5"
CHAIN_NAMES = ("forward", "input", "guard", "judge", "deny_in", "not_new", "source_routes", "intercept_here",
               "SERVER_in_tcp_443", "cut_in", "pin", "early_syn", "observe")



OTHERS = {
    "nat": """
table inet web {
    set ports { type inet_service; flags interval; elements = { 80, 440-450 }; }
    chain proxy {
        meta l4proto tcp redirect to :3129
    }
    map where { type inet_service : verdict; elements = { 443 : jump proxy, 80 : goto proxy }; }
    chain pre {
        type nat hook prerouting priority -100;
        iifname "lan" tcp dport @ports redirect to :3128
        tcp dport vmap @where
    }
    chain post {
        type nat hook postrouting priority 100;
        oifname "wan" masquerade
    }
}
table ip extra {
    chain pre {
        type nat hook prerouting priority dstnat;
        ip saddr 192.0.2.0/24 ip daddr != 192.0.2.1 tcp dport { 80, 443 } dnat to 203.0.113.9:8080
    }
}
""",
    "mangle": """
table ip mangle {
    set who { type ipv4_addr . inet_service; flags interval; elements = { 192.0.2.0/24 . 443 }; }
    chain pre {
        type filter hook prerouting priority mangle;
        ip saddr . tcp dport @who tproxy to 127.0.0.1:3129
        ip protocol tcp ip saddr & 255.255.255.0 == 192.0.2.0 counter
        fib daddr type local return
        udp dport 53 dup to 192.0.2.9 device "lan"
    }
}
table inet raw {
    chain pre {
        type filter hook prerouting priority raw;
        meta l4proto tcp th dport 443 notrack
        tcp dport 1-1023 meta iifname { "lan", "wan" } accept
    }
}
table netdev early {
    chain in {
        type filter hook ingress device "lan" priority 0;
        ip saddr 192.0.2.25 fwd to "wan"
    }
}
""",
    "ways": """
table inet ways {
    set bad { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.25, 198.51.100.0-198.51.100.9 }; }
    chain last { ip saddr @bad notrack; tcp dport 443 drop
    }
    chain further {
        jump last
        ip daddr != @bad goto last
    }
    map where { type ipv4_addr : verdict; flags interval
        elements = { 0.0.0.0/1 : jump further, 192.0.2.25 : goto last, 203.0.113.0/24 : return }; }
    map ports { type inet_service : verdict; elements = { 443 : jump further, * : continue }; }
    chain pre {
        type filter hook prerouting priority -310; policy drop;
        jump further
        ip saddr vmap @where
        tcp dport vmap @ports
        meta l4proto tcp ip saddr . tcp dport vmap { 192.0.2.25 . 443 : jump last }
        accept
    }
}
""",
}
IPTABLES = ("-t nat -A PREROUTING -i lan -p tcp -m multiport --dports 80,443,8000:8010 -j REDIRECT --to-ports 3128",
            "-t nat -A PREROUTING ! -s 192.0.2.77 -p tcp --dport 443 -j DNAT --to-destination 203.0.113.7:3129",
            "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT",
            "-t mangle -A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 3129 --tproxy-mark 1/1",
            "-t raw -A PREROUTING -p tcp -j CT --notrack")


def write(name, reader, datagrams):
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(reader + b"".join(struct.pack("<H", len(one)) + one for one in datagrams))


def others_of(name):
    """Every answer that reading the tables of others takes."""
    sets = netlink.ask("gateway", netlink.GETSET, family=0)
    datagrams = (netlink.ask("gateway", netlink.GETCHAIN, family=0) + sets
                 + netlink.ask("gateway", netlink.GETRULE, family=0))
    for datagram in sets:
        for kind, _, payload in netlink.messages(datagram):
            found = dict(netlink.attributes(payload))
            if kind >> 8 == netlink.NFNL_SUBSYS_NFTABLES and 2 in found:
                for family in (netlink.NFPROTO_INET, 2):
                    datagrams += [one
                                  for one in netlink.ask("gateway", netlink.GETSETELEM, netlink.attribute(1, found[1]),
                                                         netlink.attribute(2, found[2]), family=family)
                                  if netlink.messages(one)[0][0] != netlink.NLMSG_ERROR]
    write("foreign/" + name, b"", datagrams)


def table_of(daemon, name):
    """Every answer that reading the table takes, in its order; of the rules those of one chain."""
    def ask(kind, *payload, dump=True):
        return netlink.ask("gateway", kind, netlink.attribute(1, "spefw"), *payload, dump=dump)
    counters = ask(netlink.GETOBJ)
    datagrams = (ask(netlink.GETTABLE, dump=False) + ask(netlink.GETCHAIN)
                 + ask(netlink.GETRULE, netlink.attribute(2, "deny_in")))
    sets = ask(netlink.GETSET)
    datagrams += sets
    for _, _, payload in [message for datagram in sets for message in netlink.messages(datagram)]:
        found = dict(netlink.attributes(payload))
        if 2 in found and not found[2].startswith(b"cut_"):
            datagrams += ask(netlink.GETSETELEM, netlink.attribute(2, found[2]))
    datagrams += counters + ask(netlink.GETFLOWTABLE) + counters + counters
    write("nft/" + name, TABLE, datagrams)


def chains_of(name):
    """The rules of these chains, one after the other."""
    write("nft/" + name, CHAINS,
          [one for chain in CHAIN_NAMES
           for one in netlink.ask("gateway", netlink.GETRULE, netlink.attribute(1, "spefw"),
                                  netlink.attribute(2, chain))])


def record(tap):
    """Tables, connections, changes and refusals."""
    for folder in ("nft", "foreign"):
        os.makedirs(os.path.join(FOLDER, folder), exist_ok=True)
    with Lab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        lab.serve("server", tcp=[443, 8470], udp=[123])
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        table_of(daemon, "table")
        chains_of("chains")
        for family in FAMILIES:
            lab.connect("client", ADDRESS[family]["server"], 443).close()
        write("nft/connections", CONNECTIONS, [one for family in (2, 2, 10, 10) for one in netlink.ask(
            "gateway", 1, subsystem=netlink.NFNL_SUBSYS_CTNETLINK, family=family)])
        live = [lab.connect("client", ADDRESS[family]["server"], 443) for family in FAMILIES]
        daemon.reload(lab.config(flows="[flow https-in]\nenabled = no\n"))
        write("nft/cut", CUT, [one for name in ("cut_4", "cut_6", "cut_full") for one in netlink.ask(
            "gateway", netlink.GETSETELEM, netlink.attribute(1, "spefw"), netlink.attribute(2, name))])
        for sock in live:
            sock.close()
        daemon.reload(lab.config())
        with netlink.Monitor("gateway") as monitor:
            daemon.reload(lab.config(flows=NARROW, gateway="early_drop = no"))
            wait_for(lambda: [event for event in monitor.events if event.what == "rule added"], "notices")
        write("nft/changes", CHANGES, monitor.datagrams)
        table_of(daemon, "table-narrow")
        daemon.stop()
        # Rules that are not ours among ours, each chain with another.
        lab.nft("gateway", "".join("insert rule inet spefw %s %s\n" % one for one in (
            ("forward", "counter accept comment \"mine\""), ("input", "meta skuid 0 log flags all accept"),
            ("guard", "ip saddr 192.0.2.0-192.0.2.9 tcp dport { 1, 2 } reject"), ("judge", "quota over 1 mbytes drop"),
            ("deny_in", "limit rate over 1 mbytes/hour drop"), ("not_new", "ct mark set 5 notrack"),
            ("source_routes", "rt type 0 drop"), ("pin", "dnat ip to 192.0.2.1"))))
        chains_of("chains-altered")
        daemon.run("spefwd", "--clear")
        lab.nft("gateway", "table inet spefw { chain odd { type filter hook postrouting priority 0; policy drop; }\n"
                "set pairs { type ipv4_addr . inet_service; }\n"
                "map marks { type ipv4_addr : mark; elements = { 192.0.2.1 : 1 }; }\n"
                "set everything { type ipv4_addr; flags interval; elements = { 0.0.0.0/1, "
                "128.0.0.0-255.255.255.255 }; }\n"
                "map where { type inet_service : verdict; flags interval; elements = { 1-5 : accept, 7 : drop }; }\n"
                "set brief { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 1h, 192.0.2.2 }; }\n"
                "counter some { }\n quota most { 1 mbytes }\n chain deny_in { counter drop\n }\n }\n")
        table_of(daemon, "table-foreign")
        lab.nft("gateway", "delete table inet spefw\ntable inet spefw { comment \"layout 1\"\n"
                " set ports { type inet_service; limit rate 1/hour\nelements = { 80, 443 } }\n"
                "set sizes { type ipv4_addr; size 4; policy memory; comment \"mine\"\n"
                " elements = { 192.0.2.1 comment \"mine\" } }\n"
                "set times { type ipv4_addr; timeout 1h; gc-interval 1h; elements = { 192.0.2.1 } }\n"
                "map where { type inet_service : verdict; elements = { 1 : continue, * : accept }; }\n"
                "map counted { type ipv4_addr : counter; elements = { 192.0.2.1 : \"denied-in\" } }\n"
                " set links { type ifname; elements = { \"lan\" } }\n"
                "counter denied-in { comment \"mine\"\n }\n limit slow { rate 1/hour; }\n quota most { 1 mbytes\n }\n"
                "chain judge { type filter hook forward priority 0; comment \"mine\"; }\n chain deny_in { drop\n }\n"
                " }\n")
        table_of(daemon, "table-additions")
        # A refusal with words, and one without.
        write("nft/refused", VERDICTS, netlink.ask("gateway", netlink.GETCHAIN, netlink.attribute(1, "nobody"),
                                                   netlink.attribute(3, "x"), dump=False))
        for name, text in OTHERS.items():
            lab.nft("gateway", "flush ruleset\n" + text)
            others_of(name)
        lab.nft("gateway", "flush ruleset")
        for line in IPTABLES:
            lab.run("gateway", "iptables-nft", *line.split())
        others_of("iptables")
        tap.ok(True, "recorded")


main(record)
