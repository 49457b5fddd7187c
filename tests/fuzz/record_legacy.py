#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records tables of iptables-legacy as the kernel gives them, as the seeds of fuzz_legacy:
unshare -Urn record_legacy.py FOLDER."""
import ctypes
import os
import socket
import struct
import subprocess
import sys

GET_INFO, GET_ENTRIES, INFO_SIZE, ENTRIES_AT = 64, 65, 84, 40
LIBC = ctypes.CDLL(None, use_errno=True)
RULES = {
    "filter": ("-P FORWARD DROP", "-N web", "-A FORWARD -p tcp -m multiport --dports 80,443,8000:8080 -j web",
               "-A FORWARD -m conntrack --ctstate NEW -i lan+ -j ACCEPT", "-A web -s 192.0.2.0/24 -j RETURN",
               "-A web -p tcp --syn -g web2", "-A web2 -d 192.0.2.25 -p udp --dport 53 -j DROP"),
    "nat": ("-A PREROUTING -p tcp --dport 443 -j REDIRECT --to-ports 3129",
            "-A PREROUTING ! -i lan -p tcp -d 192.0.2.25 --dport 143 -j DNAT --to-destination 203.0.113.9:143",
            "-A POSTROUTING -o wan -j MASQUERADE"),
    "raw": ("-A PREROUTING -p tcp -m tcp --dport 110 -j CT --notrack",
            "-A OUTPUT -m addrtype --dst-type LOCAL -j ACCEPT"),
}


def ask(sock, level, option, buffer):
    size = ctypes.c_uint(len(buffer))
    if LIBC.getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(size)) < 0:
        raise OSError(ctypes.get_errno(), "getsockopt %d" % option)
    return buffer.raw[:size.value]


def record(program, family, table):
    for rule in RULES[table]:
        rule = rule if family == socket.AF_INET else rule.replace("192.0.2.0/24", "2001:db8:2::/64").replace(
            "192.0.2.25", "2001:db8:2::25").replace("203.0.113.9:143", "[2001:db8::9]:143")
        for chain in ("web", "web2"):
            subprocess.run([program, "-t", table, "-N", chain], check=False, stderr=subprocess.DEVNULL)
        subprocess.run([program, "-t", table] + rule.split(), check=rule != "-N web", stderr=subprocess.DEVNULL)
    level = socket.IPPROTO_IP if family == socket.AF_INET else socket.IPPROTO_IPV6
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        info = ask(sock, level, GET_INFO, ctypes.create_string_buffer(table.encode(), INFO_SIZE))
        [size] = struct.unpack("=I", info[-4:])
        entries = ask(sock, level, GET_ENTRIES,
                      ctypes.create_string_buffer(struct.pack("=32sI4x", table.encode(), size), ENTRIES_AT + size))
    return bytes([family == socket.AF_INET6]) + info + entries[ENTRIES_AT:]


for name, protocol, number in (("iptables-legacy", socket.AF_INET, 4), ("ip6tables-legacy", socket.AF_INET6, 6)):
    for wanted in RULES:
        path = os.path.join(sys.argv[1], "%s-%d" % (wanted, number))
        try:
            seed = record(name, protocol, wanted)
        except (OSError, subprocess.CalledProcessError) as error:
            print("%s: not recorded: %s" % (path, error))
            continue
        with open(path, "wb") as out:
            out.write(seed)
