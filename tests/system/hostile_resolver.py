#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spefwd, when spefw-resolver dies, hangs, or is somebody else's: packets pass, calls are answered, sets hold what
names may have, health tells it, and another one is started."""
import os
import shutil
import signal
import stat
import struct
import sys
import threading
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, FAMILIES, Lab, main, program, resolver as wire, wait_for  # noqa: E402
from lab.dns import A  # noqa: E402
from lab.dns_servers import Liar, address_bytes, ask_from, name_bytes, pool, record, route_pools  # noqa: E402
from lab.named import addresses, entry, flows, kernel, knows, only, passes  # noqa: E402
from forged import PATTERN, Stage  # noqa: E402

NAME, SOURCE, SLOW, PORT = "target.example.net", "source.example.net", "slow.example.net", 7500

# Stands in for spefw-resolver: what it does is in the file `mode` beside it, and it notes when it was started.
STAND_IN = r'''#!%(python)s -IS
import os, select, socket, struct, sys, time
folder = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "starts"), "a") as file:
    file.write("%%r %%d\n" %% (time.monotonic(), os.getpid()))
mode = open(os.path.join(folder, "mode")).read()
sock = socket.socket(fileno=3)
version = bytes.fromhex("%(version)s")

def send(kind, body=b"", length=None):
    sock.send(struct.pack("=II", kind, 8 + len(body) if length is None else length) + body)

def address(text):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return struct.pack("=B3x16s", 6 if ":" in text else 4, socket.inet_pton(family, text))

def addresses(texts):
    return b"".join(address(one) for one in texts)

def answer(ident, family, texts):
    send(65, struct.pack("=IIHHB3x", ident, 86400, len(texts), 0, family) + addresses(texts))

def observe(server, question, texts):
    send(67, address(server) + address("192.0.2.53" if "." in server else "2001:db8::53") +
         struct.pack("=IHBx254s2x", 86400, len(texts), 6 if ":" in texts[0] else 4, question.encode()) +
         addresses(texts))

LIES = {4: %(lies_4)r, 6: %(lies_6)r}
if mode == "silence":
    time.sleep(1000)
if mode == "version":
    version = b"0.0.0"
send(64, struct.pack("=32sB7x", version, 1))
if mode == "hang":
    time.sleep(1000)
if mode == "sizes":
    send(70, b"", 16)
if mode == "kind":
    send(4711, b"x" * 100)
if mode == "close":
    os.close(3)
    time.sleep(1000)
if mode == "end":
    sys.exit(7)
denials = [struct.pack("=II", 68, 56) + address("192.0.2.25") + address("198.18.200.1") + struct.pack(
    "=HHBBBB", 50000, %(port)d + number, 0, 0, 2, 3 if number == 0 else 1) for number in range(50)]
sent = 0
sock.setblocking(mode != "flood")
while True:
    try:
        data = sock.recv(1 << 16)
        if not data:
            sys.exit(0)
        kind = struct.unpack_from("=I", data)[0]
        if kind == 7:
            sock.setblocking(True)
            sock.send(struct.pack("=II", 70, 16) + data[8:])
            sock.setblocking(mode != "flood")
        elif kind == 2 and mode == "unknown":
            answer(struct.unpack_from("=I", data, 8)[0] + 1000, data[12], [])
        elif kind == 2 and mode == "family":
            answer(struct.unpack_from("=I", data, 8)[0], 10 - data[12], [])
        elif kind == 2 and mode == "twice":
            for _ in range(2):
                answer(struct.unpack_from("=I", data, 8)[0], data[12], [])
        elif kind == 2 and mode == "lies":
            answer(struct.unpack_from("=I", data, 8)[0], data[12], LIES[data[12]])
            observe("192.0.2.25", "other.example.net", ["198.18.9.1"])
            observe("192.0.2.25", "%(source)s", ["198.18.9.2"])
            observe("192.0.2.77", "%(name)s", ["198.18.9.3"])
            observe("2001:db8:2::25", "%(name)s", LIES[4] + ["198.18.9.4"])
    except BlockingIOError:
        pass
    while mode == "flood":
        try:
            sock.send(denials[sent %% len(denials)])
            sent += 1
        except BlockingIOError:
            select.select([sock], [sock], [])  # to spin would take more processor time than it may
            break
'''


class Scene:
    """The lab with a spefwd whose spefw-resolver can be another program."""

    def __init__(self, tap, lab):
        self.tap, self.lab = tap, lab
        self.silent = set()
        route_pools(lab)
        lab.ip("gateway", "route add 10.0.0.0/8 via 198.51.100.20")
        lab.serve("internet", tcp=[PORT])
        self.truth = {NAME: 1, SOURCE: 2, SLOW: 3}
        self.liar = Liar(lab, self.answer)
        os.chmod(lab.dir, 0o755)
        self.folder = os.path.join(lab.dir, "programs")
        os.mkdir(self.folder)
        shutil.copy(program("spefwd"), self.folder)
        self.program = os.path.join(self.folder, "spefw-resolver")
        text = only(lab.config(flows=flows({NAME: PORT, SLOW: PORT + 1}) + "[flow in]\nfrom = %s\nto = SERVER\n"
                               "protocol = tcp\nport = 7600\n\n" % SOURCE))
        process = wire.ResolverProcess(lab, "gateway")
        self.version = process.ready.version
        process.kill()
        self.real()
        self.daemon = lab.spefwd(text, programs=self.folder)
        for name, number in self.truth.items():
            knows(self.daemon, name, [pool(family, number) for family in FAMILIES])

    def answer(self, question):
        if question.name in self.silent:
            return None
        number = self.truth.get(question.name)
        return question.answer(flags=0x8183) if number is None else question.addresses(pool(4, number), pool(6, number))

    def put(self, path):
        os.rename(path, self.program)

    def real(self):
        self.put(shutil.copy(program("spefw-resolver"), self.program + ".new"))

    def hostile(self, mode):
        """From the next start on. What it did before is forgotten."""
        for name, text in (("mode", mode), ("starts", ""), ("spefw-resolver.new", stand_in(self.version))):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(self.program + ".new", 0o755)
        self.put(self.program + ".new")

    def starts(self):
        """[(when, pid)] of the hostile one."""
        with open(os.path.join(self.folder, "starts"), encoding="ascii") as file:
            return [(float(line.split()[0]), int(line.split()[1])) for line in file]

    def good(self, what):
        """The true one again, by a new spefwd, which begins with what it remembers."""
        self.real()
        self.daemon.stop()
        self.daemon.start()
        self.daemon.wait_status(lambda status: status["health"] == "ok" and all(
            one["state"] in ("fresh", "grace") for one in status["names"]), "all is well again, " + what, bound=90)

    def still_guards(self, what):
        """Addresses in force stay and pass, and calls are answered."""
        for family, number in ((4, 1), (6, 1)):
            self.tap.ok(passes(self.lab, pool(family, number), PORT), "%s: IPv%d passes to a name" % (what, family))
        self.tap.equal(addresses(entry(self.daemon, NAME, 4)), [pool(4, 1)], what + ": the address is the one before")


def stand_in(version):
    lies = {4: ["192.0.2.25", "192.0.2.1", "198.51.100.1", "127.0.0.1", "10.1.2.3", "224.0.0.1", "0.0.0.0",
                "255.255.255.255", pool(4, 1)],
            6: ["2001:db8:2::25", "2001:db8:2::1", "::1", "::", "fe80::1", "ff02::1", "fd00::1", pool(6, 1)]}
    return STAND_IN % {"python": sys.executable, "version": version.encode().hex(), "port": PORT,
                       "name": NAME, "source": SOURCE, "lies_4": lies[4], "lies_6": lies[6]}


def resolver_pids(daemon):
    """Of the processes that spefwd has started."""
    with open("/proc/%d/task/%d/children" % (daemon.process.pid, daemon.process.pid), encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]


def resolver_pid(daemon):
    return wait_for(lambda: resolver_pids(daemon), "spefw-resolver is there")[0]


def terminal_of(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[4]


def is_noticed(daemon, why, what):
    """Waits until health has it; returns that status."""
    return daemon.wait_status(lambda status: any(why in text for text in daemon.reasons(status, "resolver")), what,
                              bound=90)


class Statuses:
    """Calls of Status, one after the other: how many were answered, and the slowest of them, in seconds."""

    def __init__(self, daemon):
        self._daemon, self._ends = daemon, False
        self.answered, self.slowest, self.failed = 0, 0.0, []
        self.codes = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._ends:
            began = time.monotonic()
            try:
                status = self._daemon.status()
                self.codes |= {reason["code"] for reason in status["reasons"]}
                self.answered += 1
            except (OSError, ConnectionError) as error:
                self.failed.append(error)
            self.slowest = max(self.slowest, time.monotonic() - began)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        self._thread.join()


def nonsense(tap):
    """Whatever it sends or does not send: it is ended, and started again later and later."""
    why = {"sizes": "it sent a wrong length", "kind": "it sent an unknown record", "close": "it closed its socket",
           "end": "exit status 7", "version": "it is of another build than spefwd",
           "unknown": "it sent an answer to a query that does not wait",
           "twice": "it sent an answer to a query that does not wait",
           "family": "it sent an answer with addresses of another family than was queried"}
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        for mode, reason in why.items():
            stage.hostile(mode)
            logged = len(daemon.log())
            with Statuses(daemon) as statuses:
                os.kill(resolver_pid(daemon), signal.SIGKILL)
                status = is_noticed(daemon, reason, mode + " is noticed")
                if mode == "sizes":
                    wait_for(lambda: len(stage.starts()) >= 4, "it was started four times")
                    when = [one[0] for one in stage.starts()]
                    waits = [after - before for before, after in zip(when, when[1:])]
                    tap.measured("from start to start: %s s" % ", ".join("%.1f" % one for one in waits))
                    tap.ok(all(later > 1.5 * before for before, later in zip(waits, waits[1:])),
                           "each time it is started later", waits)
            tap.ok(status["health"] == "degraded", mode + ": health is degraded", status["reasons"])
            tap.equal(statuses.failed, [], mode + ": each call is answered")
            stage.still_guards(mode)
            tap.ok(len(resolver_pids(daemon)) <= 1, mode + ": there is one process at most")
            log = daemon.log()[logged:]
            tap.ok(log.count("spefw-resolver ended (%s" % reason) == 1, mode + ": it is logged once",
                   [line for line in log.split("\n") if "spefw-resolver" in line])
            stage.good("after " + mode)


def without_program(tap):
    """The program is missing, or nobody may run it."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        os.chmod(stage.program, stat.S_IRUSR)
        os.kill(resolver_pid(daemon), signal.SIGKILL)
        is_noticed(daemon, "the program can't be run", "it is noticed")
        stage.still_guards("without the program")
        os.chmod(stage.program, 0o755)
        daemon.wait_status(lambda status: status["health"] == "ok", "it is there again", bound=90)


def silence(tap):
    """It says nothing at all, or reads nothing."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        for mode, reason in (("silence", "it did not get ready"), ("hang", "it did not answer any more")):
            stage.hostile(mode)
            with Statuses(daemon) as statuses:
                os.kill(resolver_pid(daemon), signal.SIGKILL)
                wait_for(stage.starts, "it is started")
                pid = stage.starts()[0][1]
                is_noticed(daemon, reason, mode + " is noticed")
            wait_for(lambda: not os.path.exists("/proc/%d" % pid), mode + ": it is gone")
            tap.equal(statuses.failed, [], mode + ": each call is answered")
            stage.still_guards(mode)
            stage.good("after " + mode)


def lies(tap):
    """It answers what no name may have, and for names that nobody asked for."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        stage.hostile("lies")
        os.kill(resolver_pid(daemon), signal.SIGKILL)
        wait_for(lambda: "the answer 127.0.0.1" in daemon.log() and "the answer ::1" in daemon.log(),
                 "its lies are heard")
        daemon.wait_status(lambda status: status["observed"]["learned"] > 0, "what it says was observed is heard")
        for name in (NAME, SOURCE, SLOW):
            number = stage.truth[name]
            for family in FAMILIES:
                own, may = pool(family, number), {pool(family, 1)}
                # A named target learns what the server was answered; whoever lies about that can let it go there.
                may |= {"198.18.9.4"} if (name, family) == (NAME, 4) else set()
                have = set(kernel(lab, name, family))
                tap.ok(have <= may | {own}, "%s IPv%d: its set has what a name may have" % (name, family), have)
        tap.equal(daemon.reasons(code="resolver"), [], "it is not found out by that")
        tap.ok(passes(lab, pool(4, 1), PORT), "and packets pass")
        stage.good("after lies")


def flood(tap):
    """It sends as fast as it can, and answers pings."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        stage.hostile("flood")
        os.kill(resolver_pid(daemon), signal.SIGKILL)
        wait_for(stage.starts, "it is started")
        with Statuses(daemon) as statuses:
            wait_for(lambda: statuses.answered > 500, "500 calls are answered")
            stage.still_guards("flood")
            daemon.reload()
        tap.measured("flood of records: %d calls of Status, the slowest took %.0f ms" %
                     (statuses.answered, 1000 * statuses.slowest))
        tap.equal(statuses.failed, [], "each call is answered")
        wait_for(lambda: time.monotonic() - stage.starts()[0][0] > 20, "that goes on for some time")
        tap.equal(len(stage.starts()), 1,
                  "it is the same process: timers of spefwd went on, and it was given its turns")
        stage.good("after the flood")


def death(tap):
    """kill -9: addresses stay, and what waited is queried again."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        stage.silent.add(SLOW)
        before = len(stage.liar.queries)
        replies = []
        waiter = threading.Thread(target=lambda: replies.append(daemon.call("Refresh", {"names": [SLOW]})), daemon=True)
        waiter.start()
        wait_for(lambda: len([one for one in stage.liar.queries[before:] if one[0] == SLOW]) >= 2, "it is queried")
        pid = resolver_pid(daemon)
        terminal = [terminal_of(process) for process in (daemon.process.pid, pid)]
        tap.equal((terminal[1], os.getsid(pid)),
                  ("0", os.getsid(daemon.process.pid) if terminal[0] == "0" else pid),
                  "it has no terminal, and a session of its own only where spefwd has one")
        with Statuses(daemon) as statuses:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: "resolver" in statuses.codes, "health has it")
        tap.ok(any("ended (Killed), it is started again in 1 s" in line for line in daemon.log().split("\n")),
               "it is logged", daemon.log())
        stage.still_guards("after kill -9")
        tap.equal(replies, [], "the query waits")
        stage.silent.clear()
        waiter.join(60)
        tap.ok(replies and replies[0]["names"][0]["name"] == SLOW and
               all(one["last_error"] == "" for one in replies[0]["names"]),
               "it is answered by the next process", replies)
        tap.ok(resolver_pid(daemon) != pid, "which is another one")
        daemon.wait_status(lambda status: status["health"] == "ok", "all is well")
        # Aliases and all, it observes again.
        stage.truth[NAME] = 7
        ask_from("server", DNS[4], NAME, A)
        knows(daemon, NAME, [pool(4, 7)])


def killed(tap):
    """spefwd is killed: its spefw-resolver ends though it hangs, and the next one's reads the copies of packets."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        stage.hostile("hang")
        os.kill(resolver_pid(daemon), signal.SIGKILL)
        wait_for(stage.starts, "it is started")
        pid = stage.starts()[0][1]
        stage.real()
        daemon.kill()
        daemon.start()
        wait_for(lambda: not os.path.exists("/proc/%d" % pid), "it ends with spefwd")
        daemon.wait_status(lambda status: status["health"] == "ok", "all is well again")
        tap.ok("is taken by another program" not in daemon.log(), "the group was free", daemon.log())


def hang(tap):
    """SIGSTOP: it is noticed, told, and ended."""
    with Lab(tap) as lab:
        stage = Scene(tap, lab)
        daemon = stage.daemon
        pid = resolver_pid(daemon)
        with Statuses(daemon) as statuses:
            os.kill(pid, signal.SIGSTOP)
            is_noticed(daemon, "does not answer", "health has it while it hangs")
            stage.still_guards("while it hangs")
            wait_for(lambda: not os.path.exists("/proc/%d" % pid), "it is ended")
            daemon.wait_status(lambda status: status["health"] == "ok", "another one is there", bound=90)
        tap.equal(statuses.failed, [], "each call is answered")
        tap.ok("spefw-resolver ended (it did not answer any more)" in daemon.log(), "it is logged")
        tap.ok(resolver_pid(daemon) != pid, "another one is there")


def large_answers(tap):
    """150 answers of 29 kB a second, each of them one that was queried: calls and other names go on."""
    with Lab(tap) as lab:
        stage = Stage(tap, lab)
        daemon = stage.daemon
        labels = ["big.wide.example.net"] + ["c%d" % one for one in range(16)]
        chain = [record(labels[one], 5, name_bytes(labels[one + 1])) for one in range(16)]
        question = name_bytes(labels[0]) + struct.pack("!HH", A, 1)
        end = struct.pack("!H",
                          0xC000 | 12 + len(question) + sum(len(one) for one in chain) - len(name_bytes(labels[16])))
        records = chain + [record(end, A, address_bytes(pool(4, 900)))] * (1800 - len(chain))
        body = struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0) + question + b"".join(records)
        stage.silent.add(labels[0])
        learned = []
        with Statuses(daemon) as statuses:
            began = time.monotonic()
            for number in range(1500):
                port = stage.query(4, labels[0], A, number + 1)
                stage.liar.send(struct.pack("!H", number + 1) + body, ADDRESS[4]["server"], port)
                stage.sockets.pop().close()
                if number % 150 == 75:
                    name = "n%d.wide.example.net" % number
                    stage.truth[name] = 1000 + number
                    ask_from("server", DNS[4], name, A)
                    knows(daemon, PATTERN, [pool(4, 1000 + number)])
                    learned.append(name)
                time.sleep(max(0.0, began + number / 150 - time.monotonic()))
            took = time.monotonic() - began
        tap.measured("1500 answers of %d bytes in %.1f s: %d calls of Status, the slowest took %.0f ms" %
                     (2 + len(body), took, statuses.answered, 1000 * statuses.slowest))
        tap.equal(statuses.failed, [], "each call is answered")
        tap.ok(statuses.answered > 100, "there were many", statuses.answered)
        tap.equal(len(learned), 10, "other names were learned meanwhile")
        tap.equal(daemon.reasons(code="resolver"), [], "nobody had to be ended")


if __name__ == "__main__":
    main(death, killed, hang, nonsense, without_program, silence, lies, flood, large_answers)
