#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What diff foretells is what the reload then does: whose connections are cut, who of the record is denied, and which
new connections fare otherwise."""
import collections
import ipaddress
import json
import os
import re
import shutil
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, EXCHANGE, FAMILIES, RST, SYN, Lab, RawSender, Sniffer, main, wait_for  # noqa: E402
from lab.daemon import TOP, VarlinkError, program  # noqa: E402
from lab.packets import family_of, parse  # noqa: E402
from lab.sessions import Peers  # noqa: E402
from lab.varlink import Interface  # noqa: E402

INTERFACE = os.path.join(TOP, "include", "spefw", "org.spefw.Gateway.varlink")
OFF = """[flow imap-in]
enabled = no
[flow ews-out]
to = 198.51.100.99
[flow icewarp-out]
enabled = no
"""
CHANGES = [("ews-out", "to", "ANY", "198.51.100.99"), ("icewarp-out", "enabled", "on", "off"),
           ("imap-in", "enabled", "on", "off")]

# Each setting: (section, key, its value, and where another one: what it was and is, in whose name the change is shown).
SETTINGS = (
    ("server", "interface", "lan", "auto", None),
    ("server", "resolvers", DNS[4], "%s %s" % (DNS[4], DNS[6]), "dns-out"),
    ("server", "time_servers", ADDRESS[4]["internet"], "nobody", "ntp-out"),
    ("server", "ephemeral_ports", "1025-65535", "49152-65535", "SERVER"),
    ("gateway", "mode", "audit", "enforce", None),
    ("gateway", "interception", "report", "prevent", None),
    ("gateway", "early_drop", "no", "yes", None),
    ("gateway", "record", "no", "yes", None),
    ("gateway", "proof", "report", "enforce", None),
    ("gateway", "log_group", "6", "5", None),
    ("gateway", "nat_except", "198.51.100.0/28", "none", None),
    ("gateway", "reject", "ADM", "none", None),
    ("gateway", "notify", "/bin/true", "none", None),
    ("dns", "servers", DNS[6], DNS[4], None),
    ("dns", "min_interval", "2s", "1s", None),
    ("dns", "max_interval", "10m", "15m", None),
    ("dns", "grace", "2h", "1h", None),
    ("dns", "stale", "1d", "7d", None),
    ("dns", "observe", "no", "yes", None),
)


def ask(daemon, **parameters):
    """Diff's reply: where it was asked for a moment ago, it is waited for."""
    found = []

    def answered():
        try:
            found.append(daemon.call("Diff", parameters))
        except VarlinkError as error:
            if not error.error.endswith(".Busy"):
                raise
        return found

    wait_for(answered, "Diff is answered")
    return found[0]


class Foretold:
    """Diff's replies, judged by the interface."""

    def __init__(self, tap, daemon):
        self.tap, self.daemon = tap, daemon
        with open(INTERFACE, encoding="utf-8") as file:
            self.interface = Interface(file.read())

    def __call__(self, **parameters):
        reply = ask(self.daemon, **parameters)
        complaints = self.interface.complaints(self.interface.methods["Diff"][1], reply)
        self.tap.equal(complaints, [], "the reply is as the interface has it")
        return reply


def ends(connections):
    return sorted((one["source"], one["target"], one.get("port"), one.get("flow"), one["why"]) for one in connections)


def error_of(daemon, **parameters):
    try:
        ask(daemon, **parameters)
    except VarlinkError as error:
        return error.error.rsplit(".", 1)[1]
    return None


def is_recorded(daemon, flow, count):
    daemon.call("Flows")
    return len(daemon.call("Peers", {"flow": flow})["peers"]) == count


def foretell(tap):
    """Changes, connections, the record; and nothing of it is done."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        diff = Foretold(tap, daemon)
        scene = Peers(lab, (143, 8470), (443,))
        sessions = {(machine, family, port): scene.session(machine, family, port) for family in FAMILIES
                    for machine, port in (("client", 143), ("admin", 143), ("admin", 8470), ("server", 443))}
        wait_for(lambda: is_recorded(daemon, "imap-in", 4) and is_recorded(daemon, "ews-out", 2), "they are recorded")
        before = diff()
        tap.equal((before["changes"], before["cut"], before["denied"], before["path"], before["removed"]),
                  ([], 0, 0, daemon.config, False), "the file that is in force: no difference")
        tap.ok(daemon.ctl("diff").stdout.startswith("no difference: %s against generation " % daemon.config),
               "and reload shows it")
        frozen = daemon.call("Status")["generation"]

        daemon.write(lab.config(flows=OFF))
        told = diff()
        tap.equal(sorted((one["id"], one["key"], one.get("before"), one.get("after")) for one in told["changes"]),
                  CHANGES, "what changes, by flow and key")
        with open(daemon.config, encoding="utf-8") as file:
            lines = file.read().split("\n")
        tap.equal(sorted((one["id"], one["line"]) for one in told["changes"]),
                  sorted((name, lines.index("[flow %s]" % name) + 1) for name, *_ in CHANGES),
                  "and the line of its section")
        doomed = {key: session for key, session in sessions.items() if key[2] in (143, 443)}
        tap.equal(told["cut"], len(doomed), "how many connections it would cut")
        tap.equal(sorted(one["source_port"] for one in told["cut_connections"]),
                  sorted(session.sport for session in doomed.values()), "these")
        tap.ok(all(0 <= one["age_s"] < 600 for one in told["cut_connections"]), "how long they have been open",
               told["cut_connections"])
        wanted = [("imap-in", ADDRESS[family][machine], 143) for family in FAMILIES for machine in ("client", "admin")]
        wanted += [("ews-out", EXCHANGE[family], 443) for family in FAMILIES]
        tap.equal(sorted((one["flow"], one["peer"], one["port"]) for one in told["denied_peers"]), sorted(wanted),
                  "who of the record would be denied")
        tap.equal((told["denied"], told["denied_peers"][0]["count"]), (len(wanted), 1), "and how often they came")
        text = daemon.ctl("diff").stdout
        for part in ("Would cut 6 connections:", "Used in the last ", "  - imap-in", "Apply: spefwctl reload"):
            tap.ok(part in text, "the screen has %r" % part, text)
        tap.ok(all(session.lives() for session in sessions.values()), "nothing of it was done: all go on")
        tap.equal(daemon.call("Status")["generation"], frozen, "the policy before is in force")

        done = daemon.reload()
        tap.equal((done["cut"], ends(done["cut_connections"])), (told["cut"], ends(told["cut_connections"])),
                  "the reload cuts exactly these, for these reasons")
        tap.equal([key for key, session in sessions.items() if key not in doomed and not session.lives()], [],
                  "and no other")
        after = diff()
        tap.equal((after["changes"], after["cut"], after["denied"]), ([], 0, 0), "then there is no difference")


def files(tap):
    """Other files: of root alone, read by spefwctl, with what they name; two files without a daemon; bad ones."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        diff = Foretold(tap, daemon)
        scene = Peers(lab, (8470,), ())
        session = scene.session("admin", 4, 8470)
        members, other = os.path.join(daemon.dir, "members"), os.path.join(daemon.dir, "other.ini")
        with open(members, "w", encoding="ascii") as file:
            file.write("198.51.100.7\n")
        with open(other, "w", encoding="ascii") as file:
            file.write(lab.config(adm="file:" + members))
        reply = json.loads(daemon.ctl("--json", "diff", other).stdout)
        tap.equal(reply["path"], other, "another file")
        tap.equal([(one["source"], one["why"]) for one in reply["cut_connections"]], [(ADDRESS[4]["admin"], "source")],
                  "with the file that it names")
        seen = json.loads(daemon.ctl("--json", "diff", "-v", other).stdout)["packets"]
        tap.ok("ADM -> SERVER tcp/8470,8474: denied -> allowed" in seen, "and which packets fare otherwise",
               seen)
        sent = [{"path": "/nowhere/a.ini", "text": lab.config(adm="file:/etc/hostname")}]
        tap.equal(error_of(daemon, files=sent), "ConfigInvalid", "the daemon opens no path of a client's")
        tap.equal((error_of(daemon, files=[]), error_of(daemon, files="x"), error_of(daemon, files=[{"path": "x"}]),
                   error_of(daemon, files=[7])), ("InvalidParameter",) * 4, "files that are none")
        tap.equal(error_of(daemon, packets="all"), "InvalidParameter", "packets that is no truth")
        tap.equal(diff(files=[{"path": "x", "text": lab.config()}])["changes"], [], "texts alone")

        spefwctl = os.path.join(lab.dir, "spefwctl")
        shutil.copy(program("spefwctl"), spefwctl)
        os.chmod(spefwctl, 0o755)
        os.chmod(lab.dir, 0o755)
        group = os.stat(daemon.socket).st_gid

        def as_member(*words):
            return lab.run("gateway", spefwctl, "-s", daemon.socket, *words, check=False, uid=12345, gid=group)

        os.chmod(daemon.dir, 0o755)
        done = as_member("diff")
        tap.ok(done.returncode == 0 and done.stdout.startswith("no difference"), "a member of the group may ask",
               (done.returncode, done.stdout, done.stderr))
        done = as_member("diff", "-v")
        tap.ok(done.returncode == 0 and "No new connection fares otherwise." in done.stdout, "and for packets",
               (done.returncode, done.stdout, done.stderr))
        done = as_member("diff", other)
        tap.equal((done.returncode, done.stdout), (4, ""), "but not for another file")
        tap.ok("sudo spefwctl" in done.stderr, "and the error says how", done.stderr)

        daemon.write("[server]\n")
        tap.equal(error_of(daemon), "ConfigInvalid", "a bad file")
        done = daemon.ctl("diff", check=False)
        tap.ok(done.returncode == 1 and "spefw.ini:1: " in done.stderr, "its errors are told", done.stderr)
        daemon.write(lab.config())
        tap.ok("config-refused" not in daemon.reason_codes(), "which is no reason of health, as it was but looked at")
        tap.ok(session.lives(), "nothing was cut")
        daemon.stop()
        done = daemon.ctl("diff", check=False)
        tap.ok(done.returncode == 3 and "compare two files by -c" in done.stderr, "without a daemon", done.stderr)
        alone = json.loads(daemon.ctl("-c", daemon.config, "--json", "diff", "--verbose", other).stdout)["packets"]
        tap.equal(alone, seen, "two files without one: the same packets")
        text = daemon.ctl("-c", daemon.config, "diff", other).stdout
        tap.ok("ADM  members  198.51.100.7" in text and "By the files alone" in text, "two files without one", text)


def with_settings(before):
    """All settings: those of before, or the others."""
    text = "[role ADM]\nmembers = 203.0.113.0/24\n"
    for section in ("server", "gateway", "dns"):
        text += "\n[%s]\n%s" % (section, "address = 192.0.2.25 2001:db8:2::25\n" if section == "server" else "")
        for of, key, value, was, _ in SETTINGS:
            if of == section and not (before and was in ("none", "nobody")):
                text += "%s = %s\n" % (key, was if before else value)
    return text


def settings(tap):
    """Of each setting diff tells what it was, what it is and its line; with the daemon and without, as reload does."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(with_settings(True))
        diff = Foretold(tap, daemon)
        old, new = os.path.join(daemon.dir, "old.ini"), with_settings(False)
        shutil.copy(daemon.config, old)
        daemon.write(new)
        lines = {line.partition(" ")[0]: number for number, line in enumerate(new.split("\n"), 1)}
        told = diff()["changes"]
        found = {(one.get("id"), one["key"]): one for one in told}
        for _, key, value, was, of in SETTINGS:
            one = found.get((of, "to" if of and of.endswith("-out") else key), {})
            tap.equal((one.get("before"), one.get("after"), one.get("line")), (was, value, lines[key]), key)
        tap.equal(set(found) - {(of, "to" if of and of.endswith("-out") else key) for _, key, _, _, of in SETTINGS},
                  {("ntp-out", "enabled")}, "and nothing else but the flow that has a target now")
        alone = json.loads(daemon.ctl("-c", old, "--json", "diff", daemon.config).stdout)["changes"]
        tap.equal(alone, told, "two files without a daemon: the same")
        text = daemon.ctl("diff").stdout
        tap.ok(re.search(r"~ mode +enforce -> audit +line %d\n" % lines["mode"], text), "the screen has it", text)
        changes = daemon.reload()["changes"]
        tap.equal(len(changes), len(told), "reload reports as many")
        for _, key, value, was, of in SETTINGS:
            if not of:
                tap.ok("%s: %s -> %s" % (key, was, value) in changes, "reload reports %s" % key, changes)
        tap.equal(diff()["changes"], [], "then there is no difference")


# Which new connections fare otherwise.

LINE = re.compile(r"(.+) -> (.+?) ((?:tcp|udp|icmp-echo|all protocols|other protocols).*): (.+) -> (.+?)"
                  r"(?: \((IPv[46])\))?$")
OTHER = 50  # ESP: no flow has it, and the kernel answers it without a look at a checksum
PROHIBITED = ((3, 13), (1, 1))
PASSES = ("allowed", "not guarded", "denied, but let through (audit)")
ANSWERED = "denied with an answer"
MARK = b"class of packets"
FENCE = 7
SECOND = {4: "192.0.2.26", 6: "2001:db8:2::26"}  # another address of the server
OPENED = "198.51.100.26"  # what any may reach
OWN = {4: ["192.0.2.25", SECOND[4]], 6: ["2001:db8:2::25", SECOND[6]]}

Probe = collections.namedtuple("Probe", "src dst protocol port")


def networks(text, named):
    """The networks of an address, a prefix, a range or a name."""
    if text in named:
        return [network for word in named[text] for network in networks(word, {})]
    if "-" in text:
        return list(ipaddress.summarize_address_range(*map(ipaddress.ip_address, text.split("-"))))
    return [ipaddress.ip_network(text)]


class Side:
    """Addresses, as a line has them."""

    def __init__(self, text, named):
        self.but = text.startswith("any")
        words = text[len("any but "):] if self.but else text
        self.networks = [network for word in words.split(", ") if word for network in networks(word, named)]

    def has(self, address):
        address = ipaddress.ip_address(address)
        return self.but != any(address in network for network in self.networks)

    def edges(self):
        for network in self.networks:
            for end in (network[0], network[-1]):
                for step in (-1, 0, 1):
                    yield str(end + step)


class Class:
    """A line of diff -v, as somebody would read it."""

    def __init__(self, line, named):
        self.line = line
        source, target, what, self.before, self.after, family = LINE.match(line).groups()
        self.source, self.target = Side(source, named), Side(target, named)
        self.family = int(family[-1]) if family else None
        self.protocols = {}
        for word in what.split(", "):
            protocol, _, ports = word.partition("/")
            self.protocols[protocol] = [tuple(map(int, (one + "-" + one).split("-")[:2])) if "-" not in one else
                                        tuple(map(int, one.split("-"))) for one in ports.split(",") if one]

    def has(self, probe):
        if self.family not in (None, family_of(probe.src)):
            return False
        if "all protocols" not in self.protocols:
            ports = self.protocols.get(probe.protocol)
            if ports is None or (ports and not any(first <= probe.port <= last for first, last in ports)):
                return False
        return self.source.has(probe.src) and self.target.has(probe.dst)

    def is_inside(self):
        return not self.source.but and not self.target.but and all(
            str(network[0]) in OWN[network.version] for network in self.source.networks + self.target.networks)

    def ports(self):
        for ports in self.protocols.values():
            for first, last in ports:
                yield from (first - 1, first, last, last + 1)


def is_a_source(address):
    """Whether a machine may have it: not the gateway, and no network's own or its broadcast address."""
    address = ipaddress.ip_address(address)
    if address.version == 6:
        return address.is_global or address in ipaddress.ip_network("2001:db8::/32") and address.packed[-1] > 1
    return (0x01000000 <= int(address) < 0xE0000000 and not address.is_loopback and
            int(address) & 0x7F not in (0, 1, 127))


class Scene:
    """Sends packets by hand, and sees which arrive, and which are answered."""

    def __init__(self, lab):
        self.lab, self.sport = lab, 40000
        self.machines = ("server", "client", "admin", "internet")
        self.far = {4: [ADDRESS[4][name] for name in ("client", "admin", "internet")] + [EXCHANGE[4], DNS[4], OPENED],
                    6: [ADDRESS[6][name] for name in ("client", "admin", "internet")] + [EXCHANGE[6], DNS[6]]}
        for family in FAMILIES:
            lab.ip("server", "addr add %s/%d dev eth0%s" % ((SECOND[family], 24, "") if family == 4 else
                                                           (SECOND[family], 64, " nodad preferred_lft 0")))
        lab.wait_neighbours("server", SECOND[6])
        for machine in self.machines:
            lab.serve(machine, tcp=[FENCE])

    def probes(self, classes):
        """At all edges of the classes, and in between."""
        ports = sorted({port for one in classes for port in one.ports() if 0 <= port <= 65535} |
                       {1, 443, 60000})
        result = []
        for family in FAMILIES:
            edges = {edge for one in classes for side in (one.source, one.target) for edge in side.edges()}
            near = sorted(edge for edge in edges if family_of(edge) == family and is_a_source(edge) and
                          edge not in OWN[family])
            pairs = [(src, dst) for src in near + self.far[family] for dst in OWN[family]]
            pairs += [(src, dst) for src in OWN[family] for dst in self.far[family]]
            for src, dst in sorted(set(pairs)):
                result += [Probe(src, dst, protocol, port) for protocol in ("tcp", "udp") for port in ports]
                result += [Probe(src, dst, protocol, 0) for protocol in ("icmp-echo", "other protocols")]
        return result

    def fence(self):
        """What was sent before has arrived, or never will."""
        for family in FAMILIES:
            self.lab.connect("client", OWN[family][0], FENCE).close()
            for machine in self.machines[1:]:
                self.lab.connect("server", ADDRESS[family][machine], FENCE).close()

    def _of(self, packet):
        """The probe that this packet is; None: it is none."""
        if packet.kind == "tcp" and packet.flags == SYN and packet.sport == self.sport:
            return Probe(packet.src, packet.dst, "tcp", packet.dport)
        if packet.kind == "udp" and packet.payload == MARK:
            return Probe(packet.src, packet.dst, "udp", packet.dport)
        if packet.kind == "icmp" and packet.sport == (8 if packet.family == 4 else 128):
            return Probe(packet.src, packet.dst, "icmp-echo", 0)
        if packet.kind == "other" and packet.payload == MARK:
            return Probe(packet.src, packet.dst, "other protocols", 0)
        return None

    def _answered(self, packet):
        """The probe that this packet answers; None: none."""
        if packet.kind == "tcp" and packet.flags & RST and packet.dport == self.sport:
            return Probe(packet.dst, packet.src, "tcp", packet.sport)
        if packet.kind == "icmp" and (packet.sport, packet.dport) in PROHIBITED:
            inner = parse(packet.payload[4:])
            return inner and self._of(inner)
        return None

    def send(self, probes):
        """Which of these arrive, and which are answered."""
        self.fence()
        self.sport += 1
        sniffers = [Sniffer(machine) for machine in self.machines]
        try:
            sender = None
            for probe in probes:
                if not sender or (sender.src, sender.dst) != (probe.src, probe.dst):
                    if sender:
                        sender.close()
                    sender = RawSender("server" if probe.src in OWN[family_of(probe.src)] else "client", probe.src,
                                       probe.dst)
                if probe.protocol == "tcp":
                    sender.tcp(self.sport, probe.port)
                elif probe.protocol == "udp":
                    sender.udp(self.sport, probe.port, MARK)
                elif probe.protocol == "icmp-echo":
                    sender.echo(self.sport)
                else:
                    sender.send(OTHER, MARK)
            sender.close()
            self.fence()
        finally:
            for sniffer in sniffers:
                sniffer.close()
        packets = [packet for sniffer in sniffers for packet in sniffer.packets]
        return ({self._of(packet) for packet in packets}, {self._answered(packet) for packet in packets})


def small(flows="", gateway="", server="192.0.2.25 2001:db8:2::25"):
    """A policy whose classes have few edges."""
    return """[server]
address = %s
[gateway]
preset = none
%s
[dns]
servers = %s
min_interval = 1s
[role ADM]
members = 203.0.113.0/24 2001:db8:3::/64
[flow fence]
from = any
to = 192.0.2.25 2001:db8:2::25
protocol = tcp
port = %d
[flow fence-out]
from = 192.0.2.25 2001:db8:2::25
to = any
protocol = tcp
port = %d
%s""" % (server, gateway, DNS[4], FENCE, FENCE, flows)


def flow(name, source, target, protocol, port=None, more=""):
    return "[flow %s]\nfrom = %s\nto = %s\nprotocol = %s\n%s%s\n" % (name, source, target, protocol,
                                                                "port = %s\n" % port if port else "", more)


PARTNER = {"partner.example.net": [EXCHANGE[4], EXCHANGE[6]]}
FIRST = (flow("web", "any", "SERVER", "tcp", 443) + flow("old", "ADM", "SERVER", "udp", "5000-5010") +
         flow("mail", "SERVER", "partner.example.net", "tcp", 25) +
         flow("api", "ADM", "SERVER", "tcp", 8474))
NEXT = (flow("web", "ADM 198.51.100.140-198.51.100.150 2001:db8:10::/64", "SERVER", "tcp", 443) +
        flow("old", "ADM", "SERVER", "udp", "5000-5010", "enabled = no\n") +
        flow("mail", "SERVER", "partner.example.net", "tcp", 587) +
        flow("api", "ADM", "SERVER", "tcp", "8474, 8480-8490") + flow("ping", "ADM", "SERVER", "icmp-echo") +
        flow("dns", "SERVER", "%s %s" % (DNS[4], DNS[6]), "udp", 53) + flow("more", "any", OPENED, "tcp", 9000))
# The same by other flows.
SAME = NEXT.replace("ADM 198.51.100.140-198.51.100.150", "ADM 198.51.100.140-198.51.100.145") + \
    flow("rest", "198.51.100.144-198.51.100.150", "SERVER", "tcp", 443)
MOVES = (  # what the next policy is, of which a diff is asked for
    ("flows come, go and are narrowed", small(NEXT)),
    ("the same, by other flows", small(SAME)),
    ("denials are answered", small(SAME, "reject = ADM SERVER")),
    ("audit", small(SAME, "mode = audit")),
    ("and enforced again", small(SAME)),
    ("the server has another address", small(SAME, server="192.0.2.26 2001:db8:2::25")),
    ("and a second one", small(FIRST, server="192.0.2.25 192.0.2.26 2001:db8:2::25")))


def judge(tap, title, classes, probes, before, after):
    """Whether each probe fares as the one class says that it is in, and else as before."""
    wrong, differ, seen = [], 0, set()
    for probe in probes:
        of = [one for one in classes if one.has(probe)]
        fates = [probe in before, probe in after]
        if len(of) > 1:
            wrong.append((probe, "in two classes", [one.line for one in of]))
        elif not of and fates[0] != fates[1]:
            wrong.append((probe, "in no class, passed: %s, then %s" % tuple(fates)))
        elif of and fates != [of[0].before in PASSES, of[0].after in PASSES]:
            wrong.append((probe, "passed: %s, then %s" % tuple(fates), of[0].line))
        differ += fates[0] != fates[1]
        seen.update(of)
    tap.equal(wrong[:10], [], "%s: %d packets, %d fare otherwise, as %d classes say" %
              (title, len(probes), differ, len(classes)))
    # What one of the server's addresses sends to another one does not come by here.
    tap.equal([one.line for one in classes if one not in seen and not one.is_inside()], [],
              title + ": there is a packet of each class")


def judge_answers(tap, title, scene, classes, probes, told, seen):
    """Whether those get an answer that they are denied, and no others, of whom their class says it."""
    arrived, answered = seen
    of = [one for one in classes if getattr(one, told) == ANSWERED and not one.is_inside()]
    wrong = [probe for probe in probes if probe in answered - arrived and
             any(one.has(probe) and getattr(one, told) != ANSWERED for one in classes)]
    tap.equal(wrong[:10], [], "%s: who is denied without an answer %s, has none" % (title, told))
    for one in of:
        there = OWN[4] + OWN[6] + scene.far[4] + scene.far[6]
        [probe] = [probe for probe in probes if one.has(probe) and probe.src in there][:1]
        # So many were sent that their limit is reached for a while.
        wait_for(lambda probe=probe: probe in scene.send([probe])[1], "%s: %s is answered" % (one.line, probe))
    tap.ok(True, "%s: who is denied with an answer %s, has one: %d classes" % (title, told, len(of)))


def packets(tap):
    """Which new connections fare otherwise: packets at the edges of each class, before the reload and after it."""
    with Lab(tap) as lab:
        lab.dns(PARTNER)
        daemon = lab.spefwd(small(FIRST))
        diff, scene = Foretold(tap, daemon), Scene(lab)
        daemon.wait_status(lambda status: len(daemon.addresses("partner.example.net", status)) == 2,
                           "the name is known")
        daemon.call("Grant", {"flow": "api", "address": ADDRESS[4]["client"], "seconds": 3600})
        tap.ok("packets" not in diff(), "only who asks for them gets them")
        for title, config in MOVES:
            daemon.write(config)
            told = diff(packets=True)
            tap.ok("packets_more" not in told and "packets_unknown" not in told and
                   "more" not in "".join(told["packets"]), title + ": all of them are shown", told)
            named = dict(PARTNER, ADM=["203.0.113.0/24", "2001:db8:3::/64"],
                         SERVER=re.search("^address = (.*)", config, re.M).group(1).split())
            classes = [Class(line, named) for line in told["packets"]]
            for one in classes:
                tap.note(one.line)
            tap.equal(bool(classes), "the same" not in title, title + ": there are some")
            probes = scene.probes(classes)
            before = scene.send(probes)
            judge_answers(tap, title, scene, classes, probes, "before", before)
            daemon.reload()
            after = scene.send(probes)
            judge_answers(tap, title, scene, classes, probes, "after", after)
            judge(tap, title, classes, probes, before[0], after[0])
            tap.equal(diff(packets=True)["packets"], [], title + ": then nothing fares otherwise")


if __name__ == "__main__":
    main(foretell, files, settings, packets)
