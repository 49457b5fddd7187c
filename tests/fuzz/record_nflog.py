#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records what a kernel really copies to an NFLOG listener, as the seeds of fuzz_seen_packet: record_nflog.py FOLDER,
with SPEFW_BUILD as for the system tests."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, FAMILIES, LICENSE, NARROW, Lab, RawSender, dns, main, nflog, vendor, wait_for)
from lab.dns_servers import Authority, Resolver, ask_from, pool  # noqa: E402

FOLDER = os.path.abspath(sys.argv.pop())


def record(tap):
    """Answers, denials of every kind, fragments."""
    os.makedirs(FOLDER, exist_ok=True)
    with Lab(tap) as lab, nflog.Group("gateway", 5) as group:
        authority = Authority(lab)
        Resolver(lab)
        authority.set_all({vendor.LICENSE_NAME: (list(LICENSE[0].values()), 2),
                           "chain.example.net": ((), 2, vendor.LICENSE_NAME),
                           "large.example.net": ([pool(4, number) for number in range(60)], 2)})
        lab.spefwd(lab.config(flows=NARROW))

        def keep(name, act, prefix=b"spefw "):
            before = len(group.datagrams)
            act()
            found = wait_for(lambda: [one for one in group.datagrams[before:] if prefix in one], name)
            with open(os.path.join(FOLDER, name), "wb") as file:
                file.write(found[0])
        for family in FAMILIES:
            for name, kind in ((vendor.LICENSE_NAME, dns.A), (vendor.LICENSE_NAME, dns.AAAA),
                               ("chain.example.net", dns.A),
                               ("large.example.net", dns.A), ("nobody.example.net", dns.A)):
                keep("answer-%d-%s-%d" % (family, name.split(".")[0], kind),
                     lambda: ask_from("server", DNS[family], name, kind), b"spefw answer ")
            keep("query-%d" % family, lambda: ask_from("server", DNS[family], vendor.LICENSE_NAME, dns.A),
                 b"spefw query ")
            with RawSender("server", ADDRESS[family]["server"], LICENSE[1][family]) as sender:
                keep("ask-%d" % family, lambda: sender.tcp(40000 + family, 443))
                keep("denied-tcp-%d" % family, lambda: sender.tcp(40000 + family, 22))
                keep("denied-udp-%d" % family, lambda: sender.udp(40000 + family, 22))
                keep("denied-echo-%d" % family, sender.echo)
                keep("denied-other-%d" % family, lambda: sender.send(47, b"x" * 40))
        tap.ok(True, "%d recorded" % len(os.listdir(FOLDER)))


main(record)
