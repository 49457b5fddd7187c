#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What no real DNS server answers, or only a broken one: each case a name, first answered well and then not;
and a name that never was."""
import ctypes
import os
import shutil
import struct
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import DNS, EXCHANGE, FAMILIES, Lab, main, namespaces, wait_for  # noqa: E402
from lab.dns import A, AAAA  # noqa: E402
from lab.dns_servers import AUTHORITY, Liar, address_bytes, name_bytes, pool, record, route_pools  # noqa: E402
from lab.named import both_agree, closed, entries, flows, in_state, knows, only, passes  # noqa: E402

CNAME = 5
FENCE_PORT = 6999
FENCE = ("[flow fence]\nfrom = SERVER\nto = %s %s\nprotocol = tcp\nport = %d\n"
         "\n" % (EXCHANGE[4], EXCHANGE[6], FENCE_PORT))
DOMAIN = ".lies.example.net"
GOOD, EVIL = 1, 666


def of(question, number):
    return pool(4 if question.kind == A else 6, number)


def evil(question, name=b"\xc0\x0c", kind=None, number=EVIL):
    return record(name, kind or question.kind, address_bytes(of(question, number)))


def wrong_source(question):
    """The lie from another address, the truth from nobody."""
    return [(question.addresses(of(question, EVIL)), AUTHORITY[4])] if question.way == "udp" else None


def wrong_source_first(question):
    """The lie from another address just before the truth from the right one."""
    if question.way != "udp":
        return None
    return [(question.addresses(of(question, EVIL)), AUTHORITY[4]), (question.addresses(of(question, GOOD)), None)]


def other_question(question):
    """The right number, but the answer to a question about another name."""
    other = name_bytes("evil.example.net") + question.raw[-4:]
    return question.answer([record("evil.example.net", question.kind, address_bytes(of(question, EVIL)))], raw=other)


def looped(question):
    """Aliases in a circle, all in one answer, and an address for each of them."""
    names = [question.name, "a" + DOMAIN, "b" + DOMAIN]
    aliases = [record(name, CNAME, name_bytes(names[(number + 1) % 3])) for number, name in enumerate(names)]
    return question.answer(aliases + [evil(question, name) for name in names])


def two_aliases(question):
    aliases = [record(question.name, CNAME, name_bytes("%s.example.net" % word)) for word in ("one", "two")]
    return question.answer(aliases + [evil(question, "one.example.net"), evil(question, "two.example.net")])


def cut(question):
    """Ends in the middle of an address, and the length of the record is another."""
    return question.addresses(of(question, EVIL))[:-2]


def inverted(question):
    data = address_bytes(of(question, EVIL))
    return question.answer([b"\xc0\x0c" + struct.pack("!HHIH", question.kind, 1, 1, len(data) - 1) + data[:-1]])


def truncated_for_ever(question):
    """Truncated over UDP, and over TCP nothing but half an answer."""
    if question.way == "udp":
        return question.answer(flags=0x8380)
    return cut(question)


def rewritten():
    """From 1.28 on c-ares does not hand over the answer, but writes its own from what it has read: what it ignores,
    nobody sees."""
    version = ctypes.c_int()
    ctypes.CDLL("libcares.so.2").ares_version(ctypes.byref(version))
    return version.value >= 0x011C00


# What is to be seen afterwards: "error", the last answer serves and the error is reported; "answer", it is an answer
# without addresses, for which there is grace; "good", the truth won.
LIES = {
    "wrong-source": (wrong_source, "error"),
    "wrong-source-first": (wrong_source_first, "good"),
    "wrong-number": (lambda question: question.answer([evil(question)],
                                                      ident=bytes(255 - octet for octet in question.ident)), "error"),
    "other-question": (other_question, "error"),
    "other-type": (lambda question: question.answer([evil(question)],
                                                    raw=question.raw[:-4] + struct.pack("!HH", 16, 1)), "error"),
    "wrong-name": (lambda question: question.answer([evil(question, "evil.example.net")]), "answer"),
    "unlinked": (lambda question: question.answer([record("x" + DOMAIN, CNAME, name_bytes("y" + DOMAIN)),
                                                   evil(question, "y" + DOMAIN)]), "answer"),
    "wrong-family":
    (lambda question: question.answer([record(b"\xc0\x0c", AAAA if question.kind == A else A,
                                              address_bytes(pool(6 if question.kind == A else 4, EVIL)))]), "answer"),
    "wrong-class": (lambda question: question.answer(
        [b"\xc0\x0c" + struct.pack("!HHIH", question.kind, 3, 1, len(address_bytes(of(question, EVIL))))
         + address_bytes(of(question, EVIL))]), "answer"),
    "denied-with-address": (lambda question: question.answer([evil(question)], flags=0x8183), "answer"),
    "failed-with-address": (lambda question: question.answer([evil(question)], flags=0x8182), "error"),
    "echo": (lambda question: question.message, "error"),
    "query-with-answer": (lambda question: question.answer([evil(question)], flags=0x0100), "error"),
    "cut": (cut, "error"),
    "short-address": (inverted, "error"),
    "empty": (lambda question: b"", "error"),
    "header": (lambda question: question.ident, "error"),
    "pointer": (lambda question: question.answer([b"\xc0\x1f" * 30]), "error"),
    "tail": (lambda question: question.answer([evil(question, number=GOOD)]) + b"more",
             "good" if rewritten() else "error"),
    "counts": (lambda question: question.message[:2] + struct.pack("!HHHHH", 0x8180, 1, 65535, 65535, 65535)
               + question.raw, "error"),
    "looped": (looped, "error"),
    "two-aliases": (two_aliases, "error"),
    "truncated": (truncated_for_ever, "error"),
    "wrong-case": (lambda question: question.answer([record(question.name.swapcase(), question.kind,
                                                            address_bytes(of(question, GOOD)))]), "good"),
    "case-of-question":
    (lambda question: question.answer([record(question.name.upper(), question.kind, address_bytes(of(question, GOOD)))],
                                      raw=name_bytes(question.name.upper()) + question.raw[-4:]), "good"),
    "ttl-negative": (lambda question: question.answer([record(b"\xc0\x0c", question.kind,
                                                              address_bytes(of(question, GOOD)), 0xFFFFFFFF)]), "good"),
}
BOTH = [pool(family, GOOD) for family in FAMILIES]


def lies(tap):
    """None of them opens what it should not, or closes what was open."""
    ports = {label + DOMAIN: 7000 + number for number, label in enumerate(LIES)}
    never = {"never-" + label + DOMAIN: port + 100 for (label, port) in zip(LIES, ports.values())}
    lying = set(never)

    def answer(question):
        name = question.name.lower()
        label = name.split(".")[0]
        if name in lying:
            return LIES[label[6:] if label.startswith("never-") else label][0](question)
        return question.addresses(of(question, GOOD)) if name in ports else question.answer(flags=0x8183)
    with Lab(tap) as lab:
        route_pools(lab)
        Liar(lab, answer)
        lab.serve("internet", tcp=[FENCE_PORT] + list(ports.values()) + list(never.values()))
        daemon = lab.spefwd(only(lab.config(flows=FENCE + flows(ports) + flows(never),
                                            dns_section="grace = 1h\nmax_interval = 2s")))
        for name in ports:
            knows(daemon, name, BOTH)
        tap.ok(True, "all %d names are answered well at first" % len(ports))
        lying.update(ports)
        for label, (_, outcome) in LIES.items():
            for family in FAMILIES:
                if outcome == "error":
                    in_state(daemon, label + DOMAIN, family, "stale")
                elif outcome == "answer":
                    in_state(daemon, label + DOMAIN, family, "grace", "")
                in_state(daemon, "never-" + label + DOMAIN, family,
                         {"error": "failing", "answer": "empty", "good": "fresh"}[outcome])
        daemon.ctl("refresh", check=False)
        now = entries(daemon)
        for label, (_, outcome) in LIES.items():
            states = [(now[label + DOMAIN, family]["state"], now[label + DOMAIN, family]["last_error"])
                      for family in FAMILIES]
            wanted = {"error": "stale", "answer": "grace", "good": "fresh"}[outcome]
            tap.ok(all(state == wanted and bool(error) == (outcome == "error") for state, error in states),
                   "%s: %s%s" % (
                       label, wanted, " (%s)" % states[0][1] if states[0][1] else ""), states)
            both_agree(tap, lab, daemon, label + DOMAIN, BOTH, label)
            both_agree(tap, lab, daemon, "never-" + label + DOMAIN, BOTH if outcome == "good" else [], "never-" + label)
        tap.equal([label for label in LIES if not all(passes(lab, target, ports[label + DOMAIN]) for target in BOTH)],
                  [], "what was open is open")
        fences = {family: (EXCHANGE[family], FENCE_PORT) for family in FAMILIES}
        tap.equal([label for label in LIES if not all(
            closed(lab, [pool(family, EVIL)], ports[label + DOMAIN], fences[family]) for family in FAMILIES)], [],
                  "and no lie opens anything")
        status = daemon.status()
        reasons = "\n".join(daemon.reasons(status))
        tap.equal([label for label, (_, outcome) in LIES.items()
                   if (" never-%s%s" % (label, DOMAIN) in " " + reasons.replace("\n", "\n ")) == (outcome == "good")],
                  [], "health names each name that fails or is empty, and no other")
        lying.difference_update(ports)
        for name in ports:
            for family in FAMILIES:
                in_state(daemon, name, family, "fresh", "")
        tap.ok(True, "the truth again: all are fresh")


def etc_of_ones_own():
    """/etc/resolv.conf can be renamed over: a copy of /etc, since the real one's resolv.conf is a mount point here."""
    copy = "/run/etc"
    shutil.copytree("/etc", copy, symlinks=True,
                    ignore=lambda folder, names: [name for name in names if name in ("resolv.conf", "alternatives")
                                                  or not os.access(os.path.join(folder, name), os.R_OK)])
    namespaces.mount(copy, "/etc", None, namespaces.MS_BIND | namespaces.MS_REC)


def write(path, server):
    with open(path, "w", encoding="ascii") as file:
        file.write("nameserver %s\n" % server)


def resolv_conf(tap):
    """The file is renamed over, removed, a symbolic link that leads elsewhere; its names are queried again at once,
    though their TTL is long."""
    name, port = "moving" + DOMAIN, 7300
    servers = [("198.51.100.%d" % last) for last in (20, 26, 77, 78, 79)]
    conf = "/etc/resolv.conf"
    etc_of_ones_own()
    with Lab(tap) as lab:
        route_pools(lab)
        liars = {}
        for number, server in enumerate(servers):
            liars[server] = Liar(lab, lambda question, number=number:
                                 question.addresses(of(question, 50 + number), ttl=3600), addresses=[server])
        lab.serve("internet", tcp=[port])
        write(conf, servers[0])
        config = (only(lab.config(flows=flows({name: port}))) .replace(
            "servers = " + DNS[4], "servers = system").replace("min_interval = 1s", "min_interval = 10m"))
        daemon = lab.spefwd(config)

        def follows(number, what):
            wanted = [pool(family, 50 + number) for family in FAMILIES]
            knows(daemon, name, wanted)
            tap.ok(all(passes(lab, target, port) for target in wanted), what)
        follows(0, "the server of resolv.conf is queried")

        write(conf + ".new", servers[1])
        os.rename(conf + ".new", conf)
        follows(1, "renamed over")
        os.makedirs("/run/one")
        os.makedirs("/run/two")
        write("/run/one/stub", servers[2])
        write("/run/two/stub", servers[3])
        os.symlink("../run/one/stub", conf + ".new")
        os.rename(conf + ".new", conf)
        follows(2, "replaced by a symbolic link")
        os.symlink("/run/two/stub", conf + ".new")
        os.rename(conf + ".new", conf)
        follows(3, "the symbolic link leads elsewhere")
        write("/run/two/new", servers[4])
        os.rename("/run/two/new", "/run/two/stub")
        follows(4, "the file that it leads to is renamed over")

        os.unlink("/run/two/stub")
        daemon.wait_status(lambda status: all(one["last_error"] for one in status["names"]),
                           "without a file nobody is queried")
        tap.ok(all(passes(lab, pool(family, 54), port) for family in FAMILIES),
               "without a file: what is known stays open")
        before = len(liars[servers[0]].queries)
        write("/run/two/stub", servers[0])
        wait_for(lambda: len(liars[servers[0]].queries) >= before + 2, "the file is back: its server is queried")
        for family in FAMILIES:
            in_state(daemon, name, family, "grace", "")
        both_agree(tap, lab, daemon, name, [pool(family, 50 + number) for family in FAMILIES for number in range(5)],
                   "all that was learned on the way")
        # Rewritten as it was: nothing to do.
        time.sleep(1)
        before = sum(len(liar.queries) for liar in liars.values())
        write("/run/two/stub", servers[0])
        time.sleep(1)
        tap.equal(sum(len(liar.queries) for liar in liars.values()), before,
                  "written again with the same text: nobody is queried")
        with open("/run/two/stub", "w", encoding="ascii"):
            pass
        daemon.wait_status(lambda status: all(one["last_error"] for one in status["names"]),
                           "cut to nothing: nobody answers")
        for server, servers_of in ((servers[1], servers[1]), (servers[2], "%s %s" % (servers[2], servers[3]))):
            before = len(liars[server].queries)
            daemon.reload(config.replace("servers = system", "servers = " + servers_of))
            wait_for(lambda: len(liars[server].queries) >= before + 2, "%s is queried" % server)
            for family in FAMILIES:
                in_state(daemon, name, family, "grace", "")
        tap.ok(True, "a reload that names other servers: they are queried at once")


if __name__ == "__main__":
    main(lies, resolv_conf)
