#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spefw-resolver by itself, driven as spefwd does it: what it answers, what it reports of copied packets, when it ends,
and what it may do, asked of the kernel and by attempts from within it (resolver_hook.c)."""
import ctypes
import errno
import functools
import os
import re
import signal
import socket
import struct
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import DNS, FAMILIES, Failed, Network, has_second_user, main, namespaces, program, wait_for  # noqa: E402
from lab.dns import A, AAAA  # noqa: E402
from lab.dns_servers import AUTHORITY, Authority, Liar, address_bytes, ask_from, name_bytes, pool, record  # noqa: E402
from lab.netlink import attribute  # noqa: E402
from lab.packets import packed, tcp_segment, udp_datagram  # noqa: E402
from lab import resolver as wire  # noqa: E402
from lab.resolver import Answer, Counts, Denial, Failure, Observed, ResolverProcess  # noqa: E402

HOOK = "tests/system/resolver_hook"
# Parts of its sandbox (resolver/sandbox.h).
NOTHING, CREDENTIALS, LANDLOCK = 0, 1, 2
DENIALS = ["spefw denied-%s " % kind for kind in ("in", "out", "early", "name")]
DENIED, QUERY, ANSWER = DENIALS[3], "spefw query ", "spefw answer "
SERVER, RESOLVER = {4: "192.0.2.25", 6: "2001:db8:2::25"}, DNS


def sanitized():
    with open(program("spefw-resolver"), "rb") as file:
        return b"__asan_init" in file.read()


def user():
    return 65534 if has_second_user() else None


# What it may do.

def kernel_word(tap):
    """Asked of the kernel, of a process that root started and of another user's."""
    with Network() as network:
        for uid in {None, user()}:
            process = ResolverProcess(network, "gateway", uid=uid)
            process.ping(1)
            status, pid = process.status(), process.pid
            who = "root's: " if uid is None else "another user's: "
            tap.equal([status[key].strip("0") for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")], [""] * 4,
                      who + "no capabilities")
            tap.equal([status["NoNewPrivs"], status["Seccomp"]], ["1", "2"], who + "no new privileges, seccomp")
            tap.equal(status["Threads"], "1", who + "one thread")
            tap.equal(os.stat("/proc/%d/environ" % pid).st_uid, 0, who + "not dumpable: its files in /proc are root's")
            with open("/proc/%d/stat" % pid, encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            tap.equal(fields[4], "0", who + "it has no terminal")
            with open("/proc/%d/limits" % pid, encoding="ascii") as file:
                limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
            tap.equal([limits["Max " + what] for what in ("core file size", "file size", "processes", "open files")],
                      [["0", "0"]] * 3 + [["1024", "1024"]], who + "no core, no files, no children")
            tap.equal(limits["Max cpu time"], ["10", "unlimited"], who + "little time, of which spefwd gives more")
            if not sanitized():
                tap.equal(limits["Max address space"], [str(64 << 20)] * 2, who + "little memory")
            if os.access("/proc/%d/fd" % pid, os.R_OK):
                opened = {fd: os.readlink("/proc/%d/fd/%s" % (pid, fd)).partition(":")[0]
                          for fd in os.listdir("/proc/%d/fd" % pid)}
                tap.equal(opened, {"0": "/dev/null", "1": "/dev/null", "2": "pipe", "3": "socket"},
                          who + "nothing else is open")
            process.socket.close()
            tap.equal(process.end(), (0, ""), who + "it ends with its socket, and has said nothing")


def memory(tap):
    """Idle, alone on its libraries."""
    if sanitized():
        tap.skip("memory", "built with sanitizers")
        return
    with Network() as network:
        process = ResolverProcess(network, "gateway")
        process.servers(*DNS.values())
        process.watch("www.example.net", "*.example.com")
        process.ping(1)
        with open("/proc/%d/smaps_rollup" % process.pid, encoding="ascii") as file:
            sizes = {line.split()[0]: int(line.split()[1]) for line in file if line.endswith(" kB\n")}
        tap.measured("spefw-resolver, idle: %d kB proportional, of it %d kB its own" % (sizes["Pss:"],
                                                                                     sizes["Anonymous:"]))
        tap.ok(sizes["Pss:"] < 1024, "idle it takes less than 1 MB", sizes)


def attempt(network, thing, parts=None):
    """What became of it: an answer's text, or how the process ended."""
    process = ResolverProcess(network, "gateway", HOOK, argv=[] if parts is None else [str(parts)])
    process.query(7, "hook-%s.test" % thing)
    one = process.receive()
    if one is None:
        return process.end()[0]
    process.kill()
    return one.error


def attempts(tap):
    """Each thing is done by the same program without a sandbox, and is the end of it with one."""
    things = ["open", "stat", "netlink", "unix", "raw", "bind", "device", "congestion", "flags", "shell", "kill",
              "fork", "prctl", "peek", "limit", "namespace", "code", "turn-to-code"]
    with Network() as network:
        for thing in things:
            tap.equal(attempt(network, thing, NOTHING), 42 if thing == "shell" else "done",
                      thing + ": done where nothing hinders")
            tap.equal(attempt(network, thing), -signal.SIGSYS, thing + ": the process is killed")
        tap.equal(attempt(network, "dns"), "done", "a socket for DNS can be had")
        if sanitized():
            tap.skip("memory", "built with sanitizers")
        else:
            tap.equal([attempt(network, "memory", NOTHING), attempt(network, "memory")],
                      ["done", "Cannot allocate memory"], "memory has a limit")
        tap.equal(attempt(network, "raw", CREDENTIALS), "Operation not permitted",
                  "without seccomp: no capability for a raw socket")
        process = ResolverProcess(network, "gateway")
        if not process.ready.landlock:
            tap.skip("Landlock", "this kernel has none")
            return
        tap.equal(attempt(network, "open", CREDENTIALS | LANDLOCK), "Permission denied",
                  "without seccomp: Landlock opens no file")


def refuse(*calls):
    """What a service's sandbox does: these calls fail with EPERM from now on."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    allow, fail = 0x7FFF0000, 0x00050000 | errno.EPERM
    context = ctypes.c_void_p(library.seccomp_init(allow))
    for call in calls:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0 and library.seccomp_rule_add(context, fail, number, 0) != 0:
            raise OSError(call)
    if library.seccomp_load(context) != 0:
        raise OSError("seccomp_load")


def older_sandboxes(tap):
    """Where the service's own filter lets it call neither seccomp(2) nor Landlock, nor capset(2)."""
    landlock = ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]
    with Network() as network:
        without = functools.partial(refuse, "seccomp", *landlock)
        process = ResolverProcess(network, "gateway", HOOK, restrict=without)
        tap.equal([process.ready.landlock, process.status()["Seccomp"]], [0, "2"], "no Landlock, and it says so")
        process.query(1, "hook-open.test")
        tap.equal([process.receive(), process.end()], [None, (-signal.SIGSYS, "")], "it may do no more than elsewhere")
        without = functools.partial(refuse, "capset")
        process = ResolverProcess(network, "gateway", restrict=without)
        tap.equal([process.ready, process.end()], [None, (1, "spefw-resolver ends: capabilities can't be dropped\n")],
                  "with capabilities that it can't drop it does not begin")
        if user() is None:
            tap.skip("a process without capabilities", "it needs a second user: as root")
            return
        process = ResolverProcess(network, "gateway", uid=user(), restrict=without)
        tap.ok(process.ready, "where it has none nothing is to be dropped")


# What it answers.

def answers(tap):
    """A real server's."""
    many = [pool(4, number) for number in range(300)]
    with Network() as network:
        authority = Authority(network)
        authority.set_all({"plain.test": ([pool(4, 1), pool(6, 1)], 300), "alias.test": ((), 60, "second.test"),
                           "second.test": ((), 500, "plain.test"), "many.test": (many, 40),
                           "four.test": ([pool(4, 2)], 9)})
        for family in FAMILIES:
            process = ResolverProcess(network, "gateway")
            process.servers(AUTHORITY[family])
            process.query(1, "plain.test", 4)
            process.query(2, "plain.test", 6)
            process.query(3, "alias.test", 4)
            process.query(4, "many.test", 4)
            process.query(5, "four.test", 6)
            process.query(6, "nobody.test", 4)
            process.query(7, "a..b", 4)
            process.query(0xFFFFFFFF, "." * 253, 4)
            got = process.answers(1, 2, 3, 4, 5, 6, 7, 0xFFFFFFFF)
            over = " (over IPv%d)" % family
            tap.equal(got[1], Answer(1, 300, 4, [pool(4, 1)], []), "IPv4 addresses" + over)
            tap.equal(got[2], Answer(2, 300, 6, [pool(6, 1)], []), "IPv6 addresses" + over)
            tap.equal(got[3], Answer(3, 60, 4, [pool(4, 1)], ["second.test", "plain.test"]),
                      "aliases, and the least TTL of all" + over)
            tap.equal([sorted(got[4].addresses), got[4].ttl], [sorted(many), 40], "more than a datagram holds" + over)
            tap.equal([got[5], got[6]], [Answer(5, 1, 6, [], []), Answer(6, 1, 4, [], [])],
                      "no address, no such name, with the negative TTL" + over)
            tap.equal([got[7], got[0xFFFFFFFF]],
                      [Failure(7, 0, "not a DNS name"), Failure(0xFFFFFFFF, 0, "not a DNS name")], "no names" + over)


def failures(tap):
    """Of all kinds; the next one is asked after each."""
    rcodes = {"servfail.test": 2, "refused.test": 5, "notimp.test": 4}

    def script(question):
        if question.name == "silent.test":
            return None
        if question.name in rcodes:
            return question.answer(flags=0x8180 | rcodes[question.name])
        if question.name == "malformed.test":
            return question.answer([record(b"\xc0\x0c", question.kind, b"abc")])
        return question.addresses(pool(4, 1))
    with Network() as network:
        Liar(network, script)
        process = ResolverProcess(network, "gateway")
        process.query(1, "plain.test")
        tap.equal(process.receive(), Failure(1, 1, "no DNS server"), "nobody to ask yet")
        process.servers(DNS[4])
        for ident, name in enumerate(list(rcodes) + ["plain.test"], 2):
            process.query(ident, name)
        tap.equal(process.answers(2, 3, 4, 5),
                  {2: Failure(2, 0, "SERVFAIL"), 3: Failure(3, 0, "REFUSED"), 4: Failure(4, 0, "NOTIMP"),
                   5: Answer(5, 1, 4, [pool(4, 1)], [])}, "what the server says")
        process.query(6, "malformed.test")
        tap.equal(process.receive(), Failure(6, 0, "malformed answer"), "an answer that can't be read")
        process.servers(DNS[4], port=54)
        process.query(7, "plain.test")
        tap.equal(process.receive(), Failure(7, 1, "no DNS server answers"), "nobody listens there")
        process.servers(DNS[4])
        process.query(8, "silent.test")
        tap.equal(process.receive(), Failure(8, 1, "timeout"), "silence")
        process.query(10, "silent.test")
        process.query(11, "plain.test")
        tap.equal(process.answers(10, 11), {10: Failure(10, 0, "timeout"), 11: Answer(11, 1, 4, [pool(4, 1)], [])},
                  "silence about one name alone, from a server that is there")
        process.servers()
        process.query(9, "plain.test")
        tap.equal(process.receive(), Failure(9, 1, "no DNS server"), "nobody to ask any more")
        process.socket.close()
        status, log = process.end()
        # c-ares 1.34 reads answers by itself, and says nothing.
        log = re.sub("^Answer about malformed.test refused: .*\n", "", log)
        tap.equal([status, log], [0, ""], "and it lives on")


def several_servers(tap):
    """The next one is asked where one fails, is silent, or is not there, and only then."""
    def failing(question):
        if question.name.startswith("second"):
            return question.answer(flags=0x8182)
        return question.addresses(pool(4, 1), pool(6, 1))
    with Network() as network:
        first = Liar(network, failing, addresses=[DNS[4]])
        second = Liar(network, lambda question: question.addresses(pool(4, 2), pool(6, 2)), addresses=[DNS[6]])
        silent = Liar(network, lambda question: None, addresses=["198.51.100.80"])
        process = ResolverProcess(network, "gateway")
        process.servers(DNS[4], DNS[6])
        process.query(1, "second.test")
        process.query(2, "first.test", 6)
        tap.equal(process.answers(1, 2), {1: Answer(1, 1, 4, [pool(4, 2)], []), 2: Answer(2, 1, 6, [pool(6, 1)], [])},
                  "the second server answers what the first one can't")
        tap.equal(second.queries, [("second.test", A, "udp")], "and is asked nothing else")
        for ident in range(3, 6):
            process.query(ident, "first.test")
            process.answers(ident)
        tap.equal(first.queries.count(("first.test", A, "udp")), 3, "nothing is answered from a memory")
        process.servers("198.51.100.26", "198.51.100.80", DNS[4])
        process.query(6, "first.test")
        process.query(7, "first.test", 6)
        tap.equal(process.answers(6, 7), {6: Answer(6, 1, 4, [pool(4, 1)], []), 7: Answer(7, 1, 6, [pool(6, 1)], [])},
                  "nobody listens at the first one, the second is silent, the third answers")
        tap.ok(silent.queries, "the silent one was asked")


def sizes_of_answers(tap):
    """EDNS, or none; more than anybody needs, and more than is read."""
    opt = b"\0" + struct.pack("!HH", 41, 1232)

    def script(question):
        if question.name == "old.test":
            return question.answer(flags=0x8181) if opt in question.message else question.addresses(pool(4, 1))
        if question.name == "edns.test":
            return question.addresses(pool(4, 1 if opt in question.message else 2))
        if question.way == "udp":
            return question.answer(flags=0x8380)
        count = 1000 if question.name == "many.test" else 4000
        return question.addresses(*[pool(4, number) for number in range(count)])
    with Network() as network:
        Liar(network, script)
        process = ResolverProcess(network, "gateway")
        process.servers(DNS[4])
        for ident, name in enumerate(["edns.test", "old.test", "many.test", "huge.test"]):
            process.query(ident, name)
        got = process.answers(0, 1, 2, 3)
        tap.equal(got[0], Answer(0, 1, 4, [pool(4, 1)], []), "a query says how much it takes")
        tap.equal(got[1], Answer(1, 1, 4, [pool(4, 1)], []), "a server that knows nothing of that is asked without")
        tap.equal(got[2], Answer(2, 1, 4, [pool(4, number) for number in range(512)], []), "the first of very many")
        tap.equal(got[3], Failure(3, 0, "malformed answer"), "more than is read")


def other_servers(tap):
    """Queries that wait are asked of the new servers."""
    with Network() as network:
        silent = Liar(network, lambda question: None, addresses=[DNS[4]])
        Liar(network, lambda question: question.addresses(pool(4, 5)), addresses=["198.51.100.80"])
        process = ResolverProcess(network, "gateway")
        process.servers(DNS[4])
        for ident in range(1, 6):
            process.query(ident, "name-%d.test" % ident)
        wait_for(lambda: len(silent.queries) >= 5, "the first server was asked")
        process.servers("198.51.100.80")
        tap.equal(process.answers(1, 2, 3, 4, 5),
                  {ident: Answer(ident, 1, 4, [pool(4, 5)], []) for ident in range(1, 6)},
                  "all that waited are answered by the new server")
        process.servers(DNS[4])
        process.query(6, "name-6.test")
        process.servers()
        tap.equal(process.receive(), Failure(6, 1, "no DNS server"), "or fail, where there is none any more")


# When it ends.

def nonsense(tap):
    """From spefwd, which would have to be broken."""
    query = struct.pack("=IB254sx", 1, 4, b"one.test")
    server = struct.pack("=IB3x16sHH", 1, 4, address_bytes(DNS[4]), 53, 0).ljust(4 + 24 * 16, b"\0")
    null = os.open("/dev/null", os.O_RDONLY)
    cases = {
        "no record": [(b"x", ())],
        "a kind that there is not": [(wire.record(99), ())],
        "a kind of its own": [(wire.record(wire.PONG, bytes(8)), ())],
        "a length that is not its own": [(struct.pack("=II", wire.PING, 17) + bytes(8), ())],
        "a query that is too short": [(wire.record(wire.QUERY, query[:-1]), ())],
        "a query that is too long": [(wire.record(wire.QUERY, query + b"\0"), ())],
        "more than any record": [(wire.record(wire.QUERY, bytes(4000)), ())],
        "a family that there is not": [(wire.record(wire.QUERY, struct.pack("=IB254sx", 1, 5, b"one.test")), ())],
        "a name without an end": [(wire.record(wire.QUERY, struct.pack("=IB254sx", 1, 4, b"a" * 254)), ())],
        "no name": [(wire.record(wire.QUERY, struct.pack("=IB254sx", 1, 4, b"")), ())],
        "a name with a blank": [(wire.record(wire.QUERY, struct.pack("=IB254sx", 1, 4, b"one test")), ())],
        "a name in capitals": [(wire.record(wire.QUERY, struct.pack("=IB254sx", 1, 4, b"One.test")), ())],
        "bytes behind a name": [(wire.record(wire.QUERY, struct.pack("=IB254sx", 1, 4, b"one.test\0x")), ())],
        "the number of a query that waits": [(wire.record(wire.SERVERS, server), ()),
                                             (wire.record(wire.QUERY, query), ()),
                                             (wire.record(wire.QUERY, query), ())],
        "too many servers": [(wire.record(wire.SERVERS, struct.pack("=I", 17) + server[4:]), ())],
        "a server without a port": [(wire.record(wire.SERVERS, struct.pack("=I", 2) + server[4:]), ())],
        "a name to watch out of turn": [(wire.record(wire.WATCH, struct.pack("=254s2x", b"one.test")), ())],
        "the end of names out of turn": [(wire.record(wire.WATCH_END), ())],
        "a descriptor out of turn": [(wire.record(wire.PING, bytes(8)), (null,))],
        "two descriptors": [(wire.record(wire.NFLOG), (null, null))],
    }
    with Network() as network:
        Liar(network, lambda question: None, addresses=[DNS[4]])  # silent: who is refused does not wait any more
        for name, messages in cases.items():
            process = ResolverProcess(network, "gateway")
            for data, fds in messages:
                process.send_raw(data, fds)
            status, log = process.end()
            tap.ok(status == 1 and log.startswith("spefw-resolver ends: ") and log.count("\n") == 1,
                   "it ends at " + name, (status, log))
        process = ResolverProcess(network, "gateway")
        process.servers(AUTHORITY[4])
        process.query(1, "one.test")
        process.socket.shutdown(socket.SHUT_WR)
        tap.equal(process.end(), (0, ""), "it ends where nothing more can come, with a query under way")
    os.close(null)


# What it observes.

def ip_packet(source, target, protocol, payload):
    if ":" in source:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + packed(source) + packed(target) + payload
    return (struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + packed(source)
            + packed(target) + payload)


def copy(prefix, packet, hook=2):
    """As the kernel writes it."""
    body = (bytes(4) + attribute(1, struct.pack("!HBx", 0x0800, hook)) + attribute(10, prefix.encode() + b"\0")
            + attribute(9, packet))
    return struct.pack("=IHHII", 16 + len(body), 4 << 8, 0, 0, 0) + body


class Copies:
    """In the place of the kernel: what this sends is what the process reads as NFLOG."""

    def __init__(self, process):
        self.process = process
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process.nflog(other)
        process.ping(0)
        other.close()

    def give(self, *copies):
        """What is reported of them."""
        for one in copies:
            self.socket.send(one)
        # It reads copies before records, as many as it finds.
        reports = self.process.ping(1)
        return reports + self.process.ping(2)


class Exchange:
    """A query of a protected machine, and its answer."""

    def __init__(self, name="one.example.net", kind=A, over=4, **more):
        self.name, self.kind, self.over = name, kind, over
        self.server, self.resolver, self.port, self.resolver_port = SERVER[over], RESOLVER[over], 40000, 53
        self.ident, self.records, self.flags, self.question_class, self.short = 7, None, 0x8180, 1, 0
        self.__dict__.update(more)

    def _message(self, flags, records):
        return (struct.pack("!HHHHHH", self.ident, flags, 1, len(records), 0, 0) + name_bytes(self.name)
                + struct.pack("!HH", self.kind, self.question_class) + b"".join(records))

    def query(self, prefix=QUERY):
        return copy(prefix, ip_packet(self.server, self.resolver, 17, udp_datagram(
            self.server, self.resolver, self.port, self.resolver_port, self._message(0x0100, []))))

    def answer(self, prefix=ANSWER):
        records = self.records
        if records is None:
            records = [record(b"\xc0\x0c", self.kind, address_bytes(pool(4 if self.kind == A else 6, 1)), 300)]
        packet = ip_packet(self.resolver, self.server, 17, udp_datagram(
            self.resolver, self.server, self.resolver_port, self.port, self._message(self.flags, records)))
        return copy(prefix, packet[:len(packet) - self.short])

    def seen(self):
        family = 4 if self.kind == A else 6
        return Observed(self.server, self.resolver, 300, family, self.name.lower(), [pool(family, 1)])


def pairs(tap):
    """An answer is believed once, where it fits a query of a name that is watched."""
    with Network() as network:
        process = ResolverProcess(network, "gateway")
        copies = Copies(process)
        usual = Exchange()
        tap.equal(copies.give(usual.query(), usual.answer()), [], "nothing is watched yet")
        process.watch("one.example.net", "two.example.net", "*.example.com")
        tap.equal(copies.give(usual.query(), usual.answer()), [usual.seen()], "an answer to a query")
        tap.equal(copies.give(usual.answer()) + counts(process), [Counts(1, 0, 0)],
                  "the same one again is counted alone")
        for other in (Exchange("TWO.Example.Net", AAAA, 6), Exchange("two.example.net", AAAA, 4, ident=9),
                      Exchange("deep.www.example.com")):
            tap.equal(copies.give(other.query(), other.answer()), [other.seen()],
                      "another one: %s over IPv%d" % (other.name, other.over))
        tap.equal(copies.give(*[one for name in ("example.com", "three.example.net", "xexample.com")
                                for one in (Exchange(name).query(), Exchange(name).answer())]), [],
                  "names that are not watched")
        for title, other, counted in (
                ("another number", {"ident": 8}, 1), ("another port", {"port": 40001}, 1),
                ("another port of the resolver", {"resolver_port": 54}, 1),
                ("another resolver", {"resolver": "198.51.100.54"}, 1), ("another server", {"server": "192.0.2.26"}, 1),
                ("another name", {"name": "two.example.net"}, 1), ("another type", {"kind": AAAA}, 1),
                ("a name of no interest", {"name": "one.example.org"}, 0), ("a query", {"flags": 0x0100}, 0),
                ("another class", {"question_class": 3}, 0), ("a type of no interest", {"kind": 15, "records": []}, 0)):
            first = copies.give(usual.query(), Exchange(**other).answer(), usual.answer())
            tap.equal([one for one in first if not isinstance(one, Counts)], [usual.seen()],
                      title + " is not the answer, which comes behind it")
            tap.equal(sum(one.unasked for one in first + counts(process) if isinstance(one, Counts)), counted,
                      title + " is counted" if counted else title + " is not counted")
        broken = record(b"\xc0\x0c", A, b"abc")
        for title, other in (("no address", {"records": []}), ("an error", {"flags": 0x8183}),
                             ("a part", {"short": 4}), ("nonsense", {"records": [broken]})):
            tap.equal(copies.give(usual.query(), Exchange(**other).answer()), [],
                      "an answer with %s teaches nothing" % title)
            tap.equal([type(one) for one in copies.give(usual.answer()) + counts(process)], [Counts],
                      "and was the one that was waited for")
        process.watch("two.example.net")
        tap.equal(copies.give(usual.query(), usual.answer(), Exchange("a.example.com").query(),
                              Exchange("a.example.com").answer()), [], "what is watched no more")
        process.watch(*["name-%d.example.net" % number for number in range(500, 0, -1)])
        last = Exchange("name-1.example.net")
        tap.equal(copies.give(last.query(), last.answer()), [last.seen()], "one of many names")


def counts(process):
    """Counts that were not due yet."""
    process.socket.settimeout(0.5)
    try:
        return [process.receive()]
    except socket.timeout:
        return []
    finally:
        process.socket.settimeout(60)


def aliases(tap):
    """Names that our own answers led to are watched with the name that led there."""
    cname = lambda name: [record("one.example.net", 5, name_bytes(name), 60),
                          record(name, A, address_bytes(pool(4, 3)), 60)]
    with Network() as network:
        liar = Liar(network, lambda question: question.answer(cname("edge.example.org")))
        process = ResolverProcess(network, "gateway")
        copies = Copies(process)
        edge, other = Exchange("edge.example.org"), Exchange("next.example.org")
        process.watch("one.example.net")
        process.servers(DNS[4])
        tap.equal(copies.give(edge.query(), edge.answer()), [], "a name that nothing led to")
        process.query(1, "one.example.net")
        tap.equal(process.receive(), Answer(1, 60, 4, [pool(4, 3)], ["edge.example.org"]), "our answer names it")
        tap.equal(copies.give(edge.query(), edge.answer()), [edge.seen()], "it is watched now")
        six = Exchange("edge.example.org", AAAA)
        tap.equal(copies.give(six.query(), six.answer()), [], "in that family alone")
        liar.answer = lambda question: question.answer(cname("next.example.org"))
        process.query(2, "one.example.net")
        process.answers(2)
        tap.equal(copies.give(edge.query(), edge.answer(), other.query(), other.answer()), [other.seen()],
                  "and another one after another answer")
        process.watch("two.example.net")
        tap.equal(copies.give(other.query(), other.answer()), [], "the name is watched no more, nor is its alias")
        process.watch("one.example.net")
        tap.equal(copies.give(other.query(), other.answer()), [other.seen()], "and both again")


def other_packets(tap):
    """Denials, and what nobody can read."""
    def syn(over, flags=2):
        source, target = SERVER[over], pool(over, 9)
        return ip_packet(source, target, 6, tcp_segment(source, target, 50000, 443, flags))
    with Network() as network:
        process = ResolverProcess(network, "gateway")
        copies = Copies(process)
        for over in FAMILIES:
            tap.equal(copies.give(copy(DENIED, syn(over))),
                      [Denial(SERVER[over], pool(over, 9), 50000, 443, 0, 0, 2, 3)], "a denial over IPv%d" % over)
        tap.equal(copies.give(copy(DENIED, syn(4, 16), hook=3)),
                  [Denial(SERVER[4], pool(4, 9), 50000, 443, 0, 1, 3, 3)], "of TCP that opens nothing, at another hook")
        echo = ip_packet(SERVER[4], pool(4, 9), 1, b"\x08\0\0\0\0\0\0\0")
        tap.equal(copies.give(copy(DENIED, echo)), [Denial(SERVER[4], pool(4, 9), 0, 0, 2, 0, 2, 3)],
                  "of an echo request")
        tap.equal([one.kind for one in copies.give(*[copy(prefix, syn(4)) for prefix in DENIALS])], [0, 1, 2, 3],
                  "of each kind")
        shown = len(copies.give(*[copy(DENIALS[1], syn(4)) for _ in range(1000)]))
        tap.ok(100 <= shown <= 900, "those that are but to be shown come at a bounded rate", shown)
        tap.equal(len(copies.give(*[copy(DENIED, syn(4)) for _ in range(300)])), 300, "and no other is lost by that")
        good = copy(DENIED, syn(4))
        message = struct.pack("=IHHII", len(good), 4 << 8 | 1, 0, 0, 0)
        tap.equal(copies.give(copy("spefw other ", syn(4)), copy("", syn(4)), copy(DENIED, b"\x45\0\0"),
                              copy(DENIED, b""), copy(DENIED, syn(4), hook=77), good[:10], good[:-30], b"x",
                              message + good[16:], good[:20] + b"\2\0\1\0", good[:20] + b"\xff\xff\1\0"), [],
                  "what nobody can read, or is of no interest")
        tap.equal(len(copies.give(good + good)), 2, "two in one message")
        copies.socket.close()
        process.ping(5)
        process.nflog(None)
        tap.equal(process.ping(6), [], "it goes on where the socket of copies has ended, and without one")


def kernel_copies(tap):
    """The kernel's own copies, read by who could not have bound the group."""
    with Network() as network:
        process = ResolverProcess(network, "gateway", uid=user())
        process.watch("one.example.net")
        with namespaces.inside("gateway"):
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        with sock:
            sock.bind((0, 0))
            body = struct.pack("!BBH", 0, 0, 5) + attribute(1, b"\1") + attribute(2, struct.pack("!IBB", 0xFFFF, 2, 0))
            sock.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
            tap.equal(struct.unpack_from("=i", sock.recv(4096), 16)[0], 0, "the test has the group")
            process.nflog(sock)
        process.ping(1)
        network.nft("gateway", """table inet t {
            chain c { type filter hook forward priority 0
                udp dport 53 log group 5 prefix "%s"
                udp sport 53 log group 5 prefix "%s"
                tcp dport 443 log group 5 prefix "%s" drop
            }
        }""" % (QUERY, ANSWER, DENIED))
        Liar(network, lambda question: question.addresses(pool(4, 1), pool(6, 1), ttl=300))
        for over in FAMILIES:
            reply, port = ask_from("server", DNS[over], "one.example.net", A)
            tap.ok(reply is not None and port, "the server is answered over IPv%d" % over)
            tap.equal(process.receive(), Exchange(over=over).seen(), "and that is seen")
        with namespaces.inside("server"):
            sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with sender:
            sender.setblocking(False)
            sender.connect_ex(("198.51.100.80", 443))
            one = process.receive()
            tap.equal(one, Denial(SERVER[4], "198.51.100.80", sender.getsockname()[1], 443, 0, 0, 2, 3), "and a denial")


def no_room(tap):
    """Nobody reads what it sends: observations are dropped and counted, answers kept."""
    with Network() as network:
        Liar(network, lambda question: question.addresses(*[pool(4, number) for number in range(28)]))
        process = ResolverProcess(network, "gateway")
        copies = Copies(process)
        process.watch("one.example.net")
        process.servers(DNS[4])
        usual = Exchange(records=[record(b"\xc0\x0c", A, address_bytes(pool(4, n)), 300) for n in range(80)])
        given = 0
        copies.socket.settimeout(60)
        for _ in range(500):
            copies.socket.send(usual.query())
            copies.socket.send(usual.answer())
            given += 1
        idents = set(range(1, 101))
        for ident in idents:
            process.query(ident, "name-%d.test" % ident)
        process.send(wire.PING, struct.pack("=Q", 77))
        got = []
        while not (idents <= {one.id for one in got if isinstance(one, (Answer, Failure))}
                   and given == sum(one.dropped for one in got if isinstance(one, Counts))
                   + sum(isinstance(one, Observed) for one in got)):
            one = process.receive()
            if one is None:
                raise Failed("it ended: %s" % (process.end(),))
            got.append(one)
        answered = [one for one in got if isinstance(one, Answer)]
        tap.equal(len(answered), 100, "each query is answered, once")
        tap.ok(any(isinstance(one, wire.Pong) for one in got), "and the ping")
        tap.ok(sum(one.dropped for one in got if isinstance(one, Counts)) > 0,
               "observations were dropped, and each of them is reported or counted")


def flood(tap):
    """Copies without end: what spefwd wants is done meanwhile."""
    with Network() as network:
        Liar(network, lambda question: question.addresses(pool(4, 1)))
        process = ResolverProcess(network, "gateway")
        copies = Copies(process)
        process.watch("one.example.net")
        process.servers(DNS[4])
        some = (Exchange().query() + Exchange().answer()) * 400
        sender = os.fork()
        if not sender:
            namespaces.die_with_parent()
            while True:
                copies.socket.send(some)
        reports = []
        for number in range(100):
            process.query(number, "name-%d.test" % number)
            reports += process.ping(number)
        # Whoever sends may have had no turn before the last of them was answered.
        while (sum(isinstance(one, Answer) for one in reports) < 100
               or not any(isinstance(one, Observed) for one in reports)):
            one = process.receive()
            if one is None:
                raise Failed("it ended: %s" % (process.end(),))
            reports.append(one)
        os.kill(sender, signal.SIGKILL)
        os.waitpid(sender, 0)
        tap.equal(sum(isinstance(one, Answer) for one in reports), 100,
                  "100 queries and pings are answered during the flood, and copies are read")


main(kernel_word, memory, attempts, older_sandboxes, answers, failures, several_servers, sizes_of_answers,
     other_servers, nonsense, pairs, aliases, other_packets, kernel_copies, no_room, flood)
