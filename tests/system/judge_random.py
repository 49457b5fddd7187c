#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random policies, one after the other in one daemon: after each reload the kernel does what policy_fate() tells, at
every edge of every network and port that the configuration names, with grants for a third of them. And what 25
differences have made of the table is what one would build from nothing.

SPEFW_SEED=N repeats a run, SPEFW_SEED=N/I its policy I alone. SPEFW_TEST_LONG=1: many more policies."""
import ipaddress
import json
import os
import random
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from judge_lab import JudgeLab, Totals  # noqa: E402
from lab import DNS, VarlinkError, frozen, main, vendor  # noqa: E402

POLICIES = 5000 if os.environ.get("SPEFW_TEST_LONG") else 300
# the table is compared with one that is built from nothing; and the daemon has all abilities, or none, in turn
ANEW_EVERY = 25
ADOPT_AT = 12       # of these: the daemon is killed and adopts it
ABILITIES = os.environ.get("SPEFW_ABILITIES")
OWN = "53217"       # an odd port of the dynamic range; ranges of flows may hold it

NAMES = {
    "one.lab.example": ["198.51.100.100", "2001:db8:51:100::100"],
    "two.lab.example": ["198.51.100.101", "198.19.4.4", "2001:db8:51:100::101", "2001:db8:d000::4"],
    "four.lab.example": ["198.51.100.104"],
    vendor.LICENSE_NAME: ["198.51.100.77", "2001:db8:51::77"],
}
# Where nothing in particular is; the last of each are the gateway's.
GENERIC = ["198.51.100.140", "198.18.77.7", "203.0.113.10", "192.0.2.25", "198.51.100.80", "192.0.2.1", "198.51.100.1",
           "2001:db8:10::140", "2001:db8:c000::77", "2001:db8:3::10", "2001:db8:2::25", "2001:db8:51::80",
           "2001:db8:2::1", "2001:db8:51::1"]
# What protected roles are made of: a slice each, so that they never overlap.
SLICES = {
    "SERVER": (("192.0.2.130", "192.0.2.165"), ("2001:db8:2:100::1000", "2001:db8:2:100::1fff")),
    "IH": (("192.0.2.166", "192.0.2.205"), ("2001:db8:2:100::2000", "2001:db8:2:100::2fff")),
    "CAS_2": (("192.0.2.206", "192.0.2.250"), ("2001:db8:2:100::3000", "2001:db8:2:100::3fff")),
}
OUTSIDE = (("198.18.0.0", "198.18.3.255"), ("198.19.4.0", "198.19.4.255"), ("203.0.113.130", "203.0.113.250"),
           ("2001:db8:c000::", "2001:db8:c000::fff"), ("2001:db8:d000::", "2001:db8:d000::ff"),
           ("2001:db8:3:100::10", "2001:db8:3:100::ff"))
# Networks that hold protected addresses, and much else.
WIDE = ("192.0.2.128/25", "192.0.2.0/24", "0.0.0.0/0", "2001:db8:2:100::/56", "2001:db8::/32", "::/0",
        "192.0.2.150-192.0.2.180", "2001:db8:2:100::1800-2001:db8:2:100::27ff")
PORTS = ("1", "79", "80", "81", "80-82", "443", "442-444", "1000-1010", "1005-1020", "1011-1012", "8470", "8470-8474",
         "40000-60000", "65530-65535", "65535", "2-1023")
EPHEMERAL = ("49152-65535", "1025-65535", "53217", "53218-53220", "40000-50000", "8470", "2-1023", "65535", "1")
BUILT_IN = {flow.id: flow for flow in vendor.FLOWS}
INFRASTRUCTURE = (("dns-out", "udp", 53), ("dns-out", "tcp", 53), ("ntp-out", "udp", 123))


class Range:
    """An address, a prefix or a range, as written."""

    def __init__(self, text):
        self.text = text
        if "-" in text:
            first, last = (ipaddress.ip_address(one) for one in text.split("-"))
        else:
            network = ipaddress.ip_network(text)
            first, last = network[0], network[-1]
        self.kind, self.first, self.last = type(first), int(first), int(last)

    def edges(self):
        middle = (self.first + self.last) // 2
        limit = 2 ** (32 if self.kind is ipaddress.IPv4Address else 128)
        return [str(self.kind(one))
                for one in {self.first - 1, self.first, middle, self.last, self.last + 1} if 0 <= one < limit]


def port_edges(texts):
    edges = set()
    for text in texts:
        first, _, last = text.partition("-")
        first, last = int(first), int(last or first)
        edges |= {first - 1, first, first + 1, last - 1, last, last + 1}
    return sorted(edge for edge in edges if 0 < edge < 65536)


class Generator:
    """One random configuration, and what is worth probing in it."""

    def __init__(self, seed, number):
        self.rng = random.Random("%s/%d" % (seed, number))
        self.roles = {"ADM": [], "CA": ["any"]}  # name: members, each "any", a Range, a role's or a host's name
        self.protected = []
        self.flows = []  # (from, to, protocol, ports), as far as they are worth probing
        self.ephemeral = ["49152-65535"]
        self.text = ""
        self._make()

    # -- mid-stream packets

    def chance(self, probability):
        return self.rng.random() < probability

    def some(self, values, most):
        values = list(values)
        return self.rng.sample(values, min(len(values), self.rng.randint(1, most)))

    def within(self, first, last, host=0.4):
        """A random Range within the bounds."""
        first, last = ipaddress.ip_address(first), ipaddress.ip_address(last)
        kind, low, high = type(first), int(first), int(last)
        at = self.rng.randint(low, high)
        form = self.rng.random()
        if form < host:
            return Range(str(kind(at)))
        if form < host + 0.3:
            return Range("%s-%s" % (kind(at), kind(self.rng.randint(at, min(high, at + 300)))))
        bits = 32 if kind is ipaddress.IPv4Address else 128
        for size in sorted(self.rng.sample(range(0, 9), 4), reverse=True):
            start = at >> size << size
            if start >= low and start + (1 << size) - 1 <= high:
                return Range("%s/%d" % (kind(start), bits - size))
        return Range(str(kind(at)))

    def member(self, target):
        """One member of a role or a flow's side, that opens or reaches something or other."""
        form = self.rng.random()
        if form < 0.30:
            return self.rng.choice(list(self.roles) + self.protected * 2)
        if form < 0.55:
            return self.within(*self.rng.choice(OUTSIDE))
        if form < 0.70:  # in a protected role's room: protected, or not
            return self.within(*self.rng.choice(SLICES[self.rng.choice(list(SLICES))]), host=0.7)
        if form < 0.76:
            return Range(self.rng.choice(WIDE))
        if form < 0.82:
            return Range(self.rng.choice(GENERIC))
        if form < 0.92:
            return self.rng.choice(list(NAMES))
        return "any" if target or self.chance(0.5) else self.rng.choice(list(self.roles))

    def side(self, target):
        if self.chance(0.2):
            return ["any"] + (self.some(self.protected, 2) if target and self.chance(0.4) else [])
        return [self.member(target) for _ in range(self.rng.randint(1, 3))]

    def touching(self, target):
        """A side that likely is, or holds, a protected role."""
        if self.chance(0.6):
            return self.some(self.protected, 2) + ([self.member(target)] if self.chance(0.3) else [])
        return self.side(target)

    @staticmethod
    def written(members):
        lines, line = [], ""
        for word in (member.text if isinstance(member, Range) else member for member in members):
            if len(line) + len(word) > 120:
                lines.append(line)
                line = ""
            line += " " + word
        return "\n   ".join(lines + [line]).strip()

    # -- the configuration

    def _make_protected(self):
        names = ["SERVER"] + [name for name in ("IH", "CAS_2") if self.chance(0.5)]
        members = {}
        for name in names:
            bounds = list(SLICES[name])
            if self.chance(0.15):
                bounds = [self.rng.choice(bounds)]
            members[name] = [self.within(*self.rng.choice(bounds)) for _ in range(self.rng.randint(1, 4))]
        self.protected = names
        return members

    def _ephemeral(self):
        """From which a protected role opens its connections, where that is written."""
        if self.chance(0.5):
            return ""
        ports = self.some(EPHEMERAL, 3)
        self.ephemeral += ports
        return "ephemeral_ports = %s\n" % ", ".join(ports)

    def _make_roles(self, protected):
        text = ""
        for name in protected:
            if name == "SERVER":
                continue
            inner = None
            if self.chance(0.2):  # its addresses come by another role
                inner = name + "_HOSTS"
                self.roles[inner] = protected[name]
                text += "[role %s]\nmembers = %s\n\n" % (inner, self.written(protected[name]))
            text += ("[role %s]\nmembers = %s\nprotected = yes\n"
                     "%s\n" % (name, inner or self.written(protected[name]), self._ephemeral()))
        for name in ["ADM"] + ["R%d" % number for number in range(self.rng.randint(0, 3))] + (
                ["CA"] if self.chance(0.2) else []):
            members = [self.member(False) for _ in range(self.rng.randint(1, 4))]
            members = [member for member in members if member != name] or [self.within(*OUTSIDE[0])]
            self.roles[name] = members
            text += "[role %s]\nmembers = %s\n\n" % (name, self.written(members))
        return text

    def _override(self, name, protocol, port):
        """A built-in flow, altered."""
        source = ("any" if name == "crl" else self.protected[0] if name.endswith("-out") else BUILT_IN[name].source
                  if name in BUILT_IN else "ADM")
        flow = BUILT_IN.get(name)
        sides = [[source.replace("ANY", "any")], [flow.target.replace("ANY", "any") if flow else "any"]]
        lines, ports, on = [], [str(port)], True
        if self.chance(0.3):
            on = False
            lines.append("enabled = no")
        if self.chance(0.3):
            ports = self.some(PORTS, 2)
            lines.append("port = " + ", ".join(ports))
        for index, key in enumerate(("from", "to")):
            if self.chance(0.3 if index else 0.15):
                sides[index] = self.touching(True) if (sides[index][0] in self.protected) else self.side(index == 1)
                lines.append("%s = %s" % (key, self.written(sides[index])))
        if not lines:
            lines.append("enabled = yes")
        self.flows.append((sides[0], sides[1], protocol, ports))
        return "[flow %s]\n%s\n\n" % (name, "\n".join(lines)) if on or lines else ""

    def _custom(self, number):
        inbound = self.chance(0.5)
        source, target = (self.side(False), self.touching(True)) if inbound else (self.touching(False), self.side(True))
        protocol = self.rng.choice(("tcp", "tcp", "tcp", "udp", "udp", "icmp-echo"))
        lines = ["from = " + self.written(source), "to = " + self.written(target), "protocol = " + protocol]
        ports = []
        if protocol != "icmp-echo":
            ports = self.some(PORTS, 3)
            lines.append("port = " + ", ".join(ports))
        if self.chance(0.1):
            lines.append("enabled = no")
        self.flows.append((source, target, protocol, ports))
        return "[flow custom-%d]\n%s\n\n" % (number, "\n".join(lines))

    def _make(self):
        protected = self._make_protected()
        text = self._make_roles(protected)
        self.roles.update(protected)
        preset = "none" if self.chance(0.25) else "single-server"
        overridden = set(self.some(BUILT_IN, 5)) if self.chance(0.7) else set()
        for flow in vendor.FLOWS:
            if flow.id in overridden:
                text += self._override(flow.id, "tcp", flow.port)
            elif preset != "none":
                self.flows.append(([flow.source.replace("ANY", "any")], [flow.target.replace("ANY", "any")], "tcp",
                                   [str(flow.port)]))
        for number in range(self.rng.randint(0, 8)):
            text += self._custom(number)
        server = ["address = " + self.written(protected["SERVER"])]
        if self.chance(0.7):
            hosts = [self.within(*self.rng.choice(OUTSIDE), host=1) for _ in range(self.rng.randint(1, 2))]
            server.append("resolvers = " + self.written(hosts))
            for name, protocol, port in INFRASTRUCTURE[:2]:
                self.flows.append((["SERVER"], hosts, protocol, [str(port)]))
        if self.chance(0.3):
            hosts = [self.rng.choice(list(NAMES)), self.within(*OUTSIDE[1])]
            server.append("time_servers = " + self.written(hosts))
            self.flows.append((["SERVER"], hosts, "udp", ["123"]))
        self.flows.append((["ADM"], ["SERVER"], "icmp-echo", []))
        server.append(self._ephemeral().strip())
        server.append("interface = " + self.rng.choice(("auto", "auto", "lan", "any")))
        gateway = ["preset = " + preset, "mode = " + ("audit" if self.chance(0.06) else "enforce"),
                   "interception = " + self.rng.choice(("prevent", "prevent", "off", "block", "report")),
                   "early_drop = " + self.rng.choice(("yes", "no"))]
        if self.chance(0.3):
            gateway.append("reject = " + " ".join(self.some(["ADM"] + list(protected), 2)))
        if self.chance(0.2):
            gateway.append("nat_except = " + self.written([self.within(*self.rng.choice(OUTSIDE))]))
        if self.chance(0.3):
            gateway.append("reject = " + self.written(self.some(["ADM"] + self.protected, 2)))
        # Both guards at once are what most gateways have.
        self.guarded = {"mode = enforce", "interception = prevent", "early_drop = yes"} <= set(gateway)
        self.text = ("[server]\n%s\n\n[gateway]\n%s\n\n[dns]\nservers = %s\n\n"
                     "%s" % ("\n".join(server), "\n".join(gateway), DNS[4], text))

    # -- what to probe

    def edges(self, members, seen=()):
        result = set()
        for member in members:
            if isinstance(member, Range):
                result |= set(member.edges())
            elif member == "any":
                result |= set(self.rng.sample(GENERIC, 4))
            elif member in NAMES:
                result |= set(NAMES[member])
            elif member not in seen:
                result |= self.edges(self.roles.get(member, []), seen + (member,))
        return result

    def pick(self, addresses, most):
        """Some of both families."""
        result = []
        for colon in (False, True):
            ours = sorted(one for one in addresses if (":" in one) == colon)
            result += self.rng.sample(ours, min(len(ours), most))
        return result

    def probes(self):
        guarded = self.edges(self.protected)
        every_port = port_edges([port for flow in self.flows for port in flow[3]])
        everywhere = set(GENERIC) | guarded
        for source, target, protocol, ports in self.flows:
            edges = port_edges(ports)
            edges = sorted(self.rng.sample(edges, min(len(edges), 10)))
            sources = self.pick(self.edges(source), 4) + self.pick(everywhere, 1)
            targets = self.pick(self.edges(target), 4) + self.pick(guarded, 1)
            everywhere |= set(sources) | set(targets)
            yield from self._probes_of(protocol, sources, targets, edges, every_port)
        yield from self._probes_of("tcp", self.pick(everywhere, 8), self.pick(guarded, 8), self._few(every_port, 5),
                                   every_port)
        yield from self._probes_of("tcp", self.pick(guarded, 8), self.pick(everywhere, 8), self._few(every_port, 5),
                                   every_port)

    def probes_of_grant(self, flow, address):
        """Between that address and the protected ones, both ways, at the ports of the flow, as Status has it."""
        edges = self._few(port_edges(flow["ports"]), 6)
        for protocol in flow["protocol"].split("/"):
            yield from self._probes_of(protocol, [address], self.pick(self.edges(self.protected), 6), edges, edges)
            yield from self._probes_of(protocol, self.pick(self.edges(self.protected), 6), [address], edges, edges)

    def _few(self, values, most):
        return self.rng.sample(values, min(len(values), most))

    def _probes_of(self, protocol, sources, targets, ports, every_port):
        yield "echo", sources, targets, OWN, OWN
        yield "echo", targets, sources, OWN, OWN
        if not ports:
            return
        yield "syn" if protocol == "tcp" else "udp", sources, targets, OWN, ports
        yield "udp" if protocol == "tcp" else "syn", sources, targets, OWN, self._few(ports, 2)
        yield "syn" if protocol == "tcp" else "udp", targets, sources, OWN, self._few(ports, 3)
        if protocol == "tcp":
            yield "ack", sources, targets, OWN, ports
            yield "ack", targets, sources, ports, OWN
            yield "push", targets, sources, ports, self._few(every_port, 4)
            yield "push", sources, targets, self._few(every_port, 4), self._few(ports, 4)
            own = self._few(port_edges(self.ephemeral), 4)
            yield "ack", targets, sources, self._few(ports, 4), own
            yield "ack", sources, targets, own, self._few(ports, 4)
            yield self.rng.choice(("fin", "reset", "syn-ack")), targets, sources, self._few(ports, 2), OWN


def normal(table):
    """A table of nft's, without what may differ: the order of objects, and counters of flows that once were."""
    def clean(value):
        if isinstance(value, dict):
            return {key: clean(one) for key, one in value.items() if key not in ("timeout", "flags")}
        if isinstance(value, list):
            return [clean(one) for one in value]
        return value
    objects, rules, references = {}, {}, json.dumps([one for one in table if "rule" in one])
    for one in frozen(table):
        (kind, body), = one.items()
        if kind == "rule":
            rules.setdefault(body["chain"], []).append(clean(body["expr"]))
        elif kind != "counter" or json.dumps(body["name"]) in references:
            objects[kind, body["name"]] = clean(body)
    return objects, rules


def differences(one, other):
    result = []
    for mine, theirs in zip(one, other):
        for key in sorted(set(mine) | set(theirs), key=str):
            if mine.get(key) != theirs.get(key):
                result.append("%s\n  by differences: %s\n"
                              "  from nothing:   %s" % (key, json.dumps(mine.get(key)), json.dumps(theirs.get(key))))
    return result


def generate(lab, seed, number):
    """(a policy that is taken, how many were refused before it)"""
    refused = 0
    while True:
        policy = Generator(seed, number + refused * 1000000)
        lab.daemon.write(policy.text)
        why = lab.load(lab.daemon.config)
        if why is None:
            return policy, refused
        refused += 1
        if refused == 50:
            raise RuntimeError("%d policies in a row are refused: %s\n%s" % (refused, why, policy.text))


def settle_names(lab):
    """Until each name that the policy needs is known; then the judge gets it as well."""
    def known(status):
        got = {}
        for one in status["names"]:
            got.setdefault(one["name"], []).extend(entry["address"] for entry in one["addresses"])
        return all(sorted(addresses) == sorted(NAMES[name]) for name, addresses in got.items()) and (got or True)
    status = lab.daemon.wait_status(known, "the names are known")
    for name in sorted({one["name"] for one in status["names"]}):
        lab.ask("name %s %s" % (name, " ".join(NAMES[name])))


def set_abilities(number):
    """What the daemon of this policy may have of this kernel, unless that is set from outside."""
    if not ABILITIES:
        os.environ["SPEFW_ABILITIES"] = "none" if (number - 1) // ANEW_EVERY % 2 else "owner timeout_update"


def compare_anew(tap, lab, title, number):
    """The table that came by differences is the one that a new daemon builds from nothing."""
    lab.daemon.reload()  # what the last change has left over for a while goes now
    by_differences = normal(lab.daemon.table())
    lab.daemon.stop()
    lab.daemon.run("spefwd", "--clear", check=True)
    set_abilities(number + 1)
    lab.daemon.start()
    settle_names_only(lab)
    found = differences(by_differences, normal(lab.daemon.table()))
    return tap.ok(not found, title + ": the table is what it would be if built from nothing", "\n".join(found[:5]))


def settle_names_only(lab):
    lab.daemon.wait_status(lambda status: all(one["addresses"]
                                              or (":" not in "".join(NAMES[one["name"]]) and one["family"] != "ipv4")
                                              for one in status["names"]), "the names are known again")


def give(lab, policy):
    """[(flow, address)] of what is granted: of some flows that are on, where it can be."""
    flows = [flow for flow in lab.daemon.status()["flows"] if flow["enabled"]]
    given = []
    for flow in policy.rng.sample(flows, min(len(flows), 4)) if policy.chance(0.33) else []:
        address = policy.rng.choice(GENERIC)
        try:
            lab.daemon.call("Grant", {"flow": flow["id"], "address": address, "seconds": 3600})
        except VarlinkError as error:
            if not error.error.endswith(".GrantRefused"):
                raise
            continue
        lab.ask("grant %s %s" % (flow["id"], address))
        given.append((flow, address))
    return given


def one_policy(lab, policy):
    """(totals, remarks) of its probes, and how many grants there were."""
    settle_names(lab)
    given = give(lab, policy)
    got, remarks = lab.probe(*policy.probes(), *[probe for grant in given for probe in policy.probes_of_grant(*grant)],
                             one_of=8)
    for flow, address in given:
        lab.daemon.call("Revoke", {"flow": flow["id"], "address": address})
    return got, remarks, len(given)


def random_policies(tap):
    """One daemon, many policies."""
    seed, _, only = os.environ.get("SPEFW_SEED", "%d" % random.SystemRandom().randrange(10 ** 6)).partition("/")
    numbers = [int(only)] if only else range(1, POLICIES + 1)
    tap.note("SPEFW_SEED=%s" % seed)
    totals, refused, bad, guarded, granted = Totals(), 0, 0, 0, 0
    with JudgeLab(tap) as lab:
        lab.dns(NAMES, ttl=3600)
        set_abilities(numbers[0])
        lab.spefwd(lab.config())
        for number in numbers:
            policy, again = generate(lab, seed, number)
            refused += again
            guarded += policy.guarded
            title = "policy %s/%d" % (seed, number)
            try:
                lab.daemon.reload()
                got, remarks, count = one_policy(lab, policy)
                granted += count
            except VarlinkError as error:
                got, remarks = Totals(mismatches=1), ["the daemon refuses it: %s" % error]
            totals.add(got)
            if got["mismatches"]:
                bad += 1
                tap.ok(False, title, "\n".join(["%s" % got] + remarks + [policy.text]))
                if bad == 3:
                    break
            if number % ANEW_EVERY == 0:
                compare_anew(tap, lab, title, number)
            elif number % ANEW_EVERY == ADOPT_AT:
                lab.daemon.kill()
                lab.daemon.start()
    tap.note("%d policies, %d refused, %d with prevent and early_drop, %d grants; %s"
             % (len(numbers), refused, guarded, granted, totals))
    tap.ok(refused <= len(numbers), "few of them are refused", refused)
    tap.ok(guarded or len(numbers) < 100, "some of them have prevent and early_drop", guarded)
    tap.ok(granted or len(numbers) < 100, "some have grants", granted)
    tap.ok(totals["allowed"] > 0 and totals["denied"] > 0, "both verdicts were to be seen")
    tap.equal(totals["mismatches"], 0, "the judge and the kernel agree on each packet")


if __name__ == "__main__":
    main(random_policies)
