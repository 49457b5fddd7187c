#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records what spefw-resolver really sends, as the seeds of fuzz_resolver_records: record_resolver.py FOLDER, with
SPEFW_BUILD as for the system tests."""
import os
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, FAMILIES, LICENSE, Lab, RawSender, main, namespaces, resolver as wire)
from lab.dns import A  # noqa: E402
from lab.dns_servers import Authority, Resolver, ask_from, name_bytes, pool  # noqa: E402
from lab.netlink import attribute  # noqa: E402
from lab.packets import udp_datagram  # noqa: E402

FOLDER = os.path.abspath(sys.argv.pop())


def bind_group(group):
    with namespaces.inside("gateway"):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    sock.bind((0, 0))
    body = struct.pack("!BBH", 0, 0, group) + attribute(1, b"\1") + attribute(2, struct.pack("!IBB", 0xFFFF, 2, 0))
    sock.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
    sock.recv(4096)
    return sock


def unsolicited():
    """An answer to nobody."""
    return struct.pack("!HHHHHH", 1, 0x8180, 1, 0, 0, 0) + name_bytes("a") + struct.pack("!HH", A, 1)


def record(tap):
    """Answers, failures, what is observed and denied, each alone and all together."""
    os.makedirs(FOLDER, exist_ok=True)
    given = []

    def keep(data):
        given.append(struct.pack("=I", len(data)) + data)
        return wire.parse(data)
    with Lab(tap) as lab:
        authority = Authority(lab)
        Resolver(lab)
        # Each name is one of those that fuzz_one() has queried.
        authority.set_all({"a": ([pool(4, 1), pool(4, 2)], 300), "b": ([pool(6, 1)], 300), "c": ((), 60, "a"),
                           "d": ((), 300)})
        process = wire.ResolverProcess(lab, "gateway")
        process.socket.settimeout(10)
        process.servers(*DNS.values())
        for ident, name in enumerate("abcdefgh", 1):
            process.query(ident, name, 4 if ident % 2 else 6)
        process.send(wire.PING, struct.pack("=Q", 1))
        seen = set()
        while not set(range(1, 9)) <= seen:
            one = keep(process.socket.recv(1 << 16))
            seen.add(getattr(one, "id", 0))
        # As tests/system/resolver.py has them copied.
        process.nflog(bind_group(5))
        process.watch("a", "d")
        lab.nft("gateway", """table inet t {
            chain c { type filter hook forward priority 0
                udp dport 53 log group 5 prefix "spefw query "
                udp sport 53 log group 5 prefix "spefw answer "
                tcp dport 443 log group 5 prefix "spefw denied-name " drop
            }
        }""")
        for family in FAMILIES:
            ask_from("server", DNS[family], "a", A)
            keep(process.socket.recv(1 << 16))
            with RawSender("server", ADDRESS[family]["server"], LICENSE[1][family]) as sender:
                sender.tcp(40000 + family, 443)
                keep(process.socket.recv(1 << 16))
        with RawSender("internet", DNS[4], ADDRESS[4]["server"]) as sender:
            sender.send(17, udp_datagram(DNS[4], ADDRESS[4]["server"], 53, 40000, unsolicited()))
        keep(process.socket.recv(1 << 16))
        kinds = {}
        for data in given:
            kind = type(wire.parse(data[4:])).__name__.lower()
            kinds[kind] = kinds.get(kind, 0) + 1
            with open(os.path.join(FOLDER, "%s-%d" % (kind, kinds[kind])), "wb") as file:
                file.write(data)
        with open(os.path.join(FOLDER, "all"), "wb") as file:
            file.write(b"".join(given))
    tap.ok(True, "%d recorded" % len(os.listdir(FOLDER)))


main(record)
