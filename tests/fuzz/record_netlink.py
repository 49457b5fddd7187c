#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records what a kernel really answers, as the seeds of fuzz_nft_read: record_netlink.py FOLDER, with SPEFW_BUILD as for the system tests."""
import os
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, LICENSE, NARROW, Lab, main, netlink, vendor, wait_for  # noqa: E402

FOLDER = os.path.abspath(sys.argv.pop())
TABLE, CONNECTIONS, CHANGES, VERDICTS = 0, 2, 1, 3


def write(name, reader, datagrams):
    with open(os.path.join(FOLDER, name), "wb") as file:
        file.write(bytes([reader]) + b"".join(struct.pack("<H", len(one)) + one for one in datagrams))


def table_of(daemon, name):
    """Every answer that reading the table takes, in its order."""
    def ask(kind, *payload, dump=True):
        return netlink.ask("gateway", kind, netlink.attribute(1, "spefw"), *payload, dump=dump)
    counters = ask(netlink.GETOBJ)
    datagrams = ask(netlink.GETTABLE, dump=False) + ask(netlink.GETCHAIN)
    sets = ask(netlink.GETSET)
    datagrams += sets
    for _, _, payload in [message for datagram in sets for message in netlink.messages(datagram)]:
        found = dict(netlink.attributes(payload))
        if 2 in found:
            datagrams += ask(netlink.GETSETELEM, netlink.attribute(2, found[2]))
    datagrams += counters + ask(netlink.GETRULE, netlink.attribute(2, "deny_in")) + counters
    write(name, TABLE, datagrams)


def record(tap):
    """Tables, connections, changes and refusals."""
    os.makedirs(FOLDER, exist_ok=True)
    with Lab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        lab.serve("server", tcp=[443, 8470], udp=[123])
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        table_of(daemon, "table")
        for family in FAMILIES:
            lab.connect("client", ADDRESS[family]["server"], 443).close()
        write("connections", CONNECTIONS, [one for family in (2, 2, 10, 10) for one in netlink.ask(
            "gateway", 1, subsystem=netlink.NFNL_SUBSYS_CTNETLINK, family=family)])
        with netlink.Monitor("gateway") as monitor:
            daemon.reload(lab.config(flows=NARROW, gateway="early_drop = no"))
            wait_for(lambda: [event for event in monitor.events if event.what == "rule added"], "notices")
        write("changes", CHANGES, monitor.datagrams)
        table_of(daemon, "table-narrow")
        daemon.stop()
        daemon.run("spefwd", "--clear")
        lab.nft("gateway", "table inet spefw { chain odd { type filter hook postrouting priority 0; policy drop; }\n"
                "set pairs { type ipv4_addr . inet_service; }\nmap marks { type ipv4_addr : mark; elements = { 192.0.2.1 : 1 }; }\n"
                "set everything { type ipv4_addr; flags interval; elements = { 0.0.0.0/1, 128.0.0.0-255.255.255.255 }; }\n"
                "map where { type inet_service : verdict; flags interval; elements = { 1-5 : accept, 7 : drop }; }\n"
                "set brief { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 1h, 192.0.2.2 }; }\n"
                "counter some { }\n quota most { 1 mbytes }\n chain deny_in { counter drop\n }\n }\n")
        table_of(daemon, "table-foreign")
        # A refusal with words, and one without.
        write("refused", VERDICTS, netlink.ask("gateway", netlink.GETCHAIN, netlink.attribute(1, "nobody"), netlink.attribute(3, "x"), dump=False))
        tap.ok(True, "recorded")


main(record)
