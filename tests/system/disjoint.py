#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reloads of policies that have nothing in common, of 100,000 networks each, with confirm, without it, and rollbacks in
between, under traffic: what both allow is not lost, what both deny does not leak.

SPEFW_TEST_LONG=1: many more of them."""
import os
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, EXCHANGE, FAMILIES, LICENSE, Lab, main, namespaces, wait_for  # noqa: E402
from lab.streams import Allowed, Denied, Ledger, Sink  # noqa: E402

PRIVILEGED = os.geteuid() == 0
ROUNDS = 25 if os.environ.get("SPEFW_TEST_LONG") else 1  # of eight ways each
MANY = 100000 if PRIVILEGED else 1000  # a transaction of that size needs root: net.core.wmem_max binds all others
INTO, OUT, KEPT_IN, KEPT_OUT = 443, 443, 993, 587
OWN_PORT = {"a": 8470, "b": 3389}
FORMS = ("a", "b")
NAMES = {form + ".lab.example": list(LICENSE[index].values()) for index, form in enumerate(FORMS)}

# The roles, flows and names of one have no counterpart in the other, but for common-in. The server's way out is allowed
# by a network in 100,000 in the one, and by one in another 100,000 in the other. Of the ports that are denied, each is
# open to strangers in the one, and in no flow of the other.
POLICY = """[server]
address = 192.0.2.25 2001:db8:2::25 {own}
resolvers = {resolver}
ephemeral_ports = {ephemeral}

[gateway]
preset = none
mode = enforce
{gateway}

[dns]
servers = {dns}
min_interval = 1s

[role ADM]
members = {admins}

[role {role}]
members = file:{path}

[role {role}_GUARDED]
members = {guarded}
protected = yes

[flow common-in]
from = ANY
to = SERVER
protocol = tcp
port = 443 993

[flow {form}-in]
from = {role}
to = SERVER
protocol = tcp
port = {port} 143

[flow {form}-out]
from = SERVER
to = {role}
protocol = tcp
port = 443 587

[flow {form}-name-out]
from = SERVER
to = {form}.lab.example
protocol = tcp
port = {name_port}

[flow {form}-guarded-in]
from = {role}
to = {role}_GUARDED
protocol = udp
port = {port}
"""
FORM = {
    "a": dict(own="192.0.2.40-192.0.2.47", resolver=DNS[4], ephemeral="49152-65535",
              gateway="early_drop = yes\ninterception = prevent\nreject = ADM", admins="203.0.113.200", role="BRANCH",
              guarded="192.0.2.64/28 2001:db8:2:a::/64", port="8470-8474", name_port="993"),
    "b": dict(own="2001:db8:2::40-2001:db8:2::4f", resolver=DNS[6], ephemeral="1025-65535",
              gateway="early_drop = no\ninterception = off", admins="2001:db8:3::99", role="PARTNERS",
              guarded="192.0.2.128/25 2001:db8:2:b::/64", port="3389", name_port="995"),
}


def networks(form):
    """MANY of them, of which no two can be merged; also where the internet's machine is, but not the client."""
    place = {"a": 10, "b": 11}[form]
    yield from (EXCHANGE[4] + "/32", EXCHANGE[6] + "/128") if form == "a" else ("198.51.100.64/27", "2001:db8:51::/64")
    for number in range(MANY // 2):
        yield "%d.%d.%d.%d/31" % (place, number >> 14, number >> 6 & 255, number << 2 & 255)
        yield "2001:db8:%x:%x::/63" % (place << 8 | number >> 14, number << 2 & 65535)


def policies(lab):
    texts = []
    for form in FORMS:
        path = os.path.join(lab.dir, "networks-" + form)
        with open(path, "w", encoding="ascii") as file:
            file.writelines("%s\n" % network for network in networks(form))
        texts.append(POLICY.format(form=form, path=path, dns=DNS[4], **FORM[form]))
    return texts


class Scene:
    """What goes on meanwhile, counted at both ends."""

    def __init__(self, lab):
        self.lab = lab
        lab.serve("server", tcp=[KEPT_IN] + list(OWN_PORT.values()))
        lab.serve("internet", tcp=[KEPT_OUT])
        self.ledger = Ledger(lab, ("client", "server", "internet"), INTO)
        self.sinks = [Sink("server", INTO), Sink("internet", OUT)]
        self.kept, self.allowed, self.denied = [], [], []
        for family in FAMILIES:
            server, client = ADDRESS[family]["server"], ADDRESS[family]["client"]
            self.kept += [lab.connect("client", server, KEPT_IN), lab.connect("server", EXCHANGE[family], KEPT_OUT)]
            self.allowed += [Allowed("client", server, INTO), Allowed("server", EXCHANGE[family], OUT)]
            self.denied += [Denied("client", client, server, (8470, 3389, 143, 22), "server"),
                            Denied("server", server, LICENSE[2][family], (25, 993, 995, 8470), "internet")]

    def own(self, form):
        """Connections that this policy allows alone."""
        return [self.lab.connect("internet", ADDRESS[family]["server"], OWN_PORT[form], source=EXCHANGE[family])
                for family in FAMILIES]

    def lost(self):
        totals = self.ledger.totals()
        return {name: totals[name + "sent"] - totals[name + "received"] for name in ("", "syn-")}

    def end(self):
        for stream in self.allowed + self.denied:
            stream.close()
        for sink in self.sinks:
            sink.close()


def was_cut(connection):
    try:
        return not connection.echo()
    except ConnectionResetError:
        return True
    finally:
        connection.close()


class Changes:
    """Goes from one policy to the other and back, in every way that there is; .form is the one in force."""

    def __init__(self, daemon, texts):
        self.daemon, self._texts, self.form = daemon, dict(zip(FORMS, texts)), FORMS[0]
        self.took = []

    def _other(self):
        return FORMS[1 - FORMS.index(self.form)]

    def _ask(self, method, **parameters):
        began = time.monotonic()
        reply = self.daemon.call(method, parameters)
        self.took.append(time.monotonic() - began)
        return reply

    def reload(self, **parameters):
        self.daemon.write(self._texts[self._other()])
        reply = self._ask("Reload", **parameters)
        self.form = self._other()
        return reply

    def rollback(self, **parameters):
        reply = self._ask("Rollback", **parameters)
        self.form = self._other()
        return reply

    def confirmed(self, change):
        reply = change(confirm_s=600)
        self._ask("Confirm")
        return reply

    def undone(self, change):
        before = self.form
        reply = change(confirm_s=1)
        self.daemon.wait_status(lambda status: "waiting" not in status["config"], "it is undone")
        self.form = before
        return reply

    def ways(self):
        """Eight that end where they began. What was undone, or gone back from, comes back by a reload alone."""
        return (self.reload, lambda: self.confirmed(self.reload), self.rollback, lambda: self.undone(self.reload),
                lambda: self.confirmed(self.reload), lambda: self.confirmed(self.rollback), self.reload,
                lambda: self.undone(self.rollback))


def go_through(changes, scene):
    """What was wrong."""
    problems = []
    for number in range(ROUNDS * len(changes.ways())):
        before = changes.form
        own = scene.own(before)
        if not all(connection.echo() for connection in own):
            problems.append((number, "what %s allows does not work" % before))
        reply = changes.ways()[number % len(changes.ways())]()
        if not reply["changed"] or not reply["changes"]:
            problems.append((number, reply))
        # Where the change was undone before they sent anything they are allowed again, and go on.
        if [was_cut(connection) for connection in own] != [changes.form != before] * len(own):
            problems.append((number, "connections of %s alone" % before, "now %s" % changes.form))
        if not all(connection.echo() for connection in scene.kept):
            problems.append((number, "a connection that both allow broke"))
    return problems


def under_traffic(tap):
    """One policy and the other, in turn: reloaded, confirmed, undone, gone back to."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        texts = policies(lab)
        daemon = lab.spefwd(texts[0])
        scene, changes = Scene(lab), Changes(daemon, texts)
        try:
            problems = go_through(changes, scene)
        finally:
            scene.end()
        opened, sent = [one.opened for one in scene.allowed], [one.sent for one in scene.denied]
        took = changes.took
        tap.measured("%d calls, %d networks, %.2f to %.2f s; %d connections, %d denied SYNs" %
                     (len(took), MANY, min(took), max(took), sum(opened), sum(sent)))
        tap.equal(problems, [], "what is allowed in both goes on, what is in one alone ends with it")
        tap.equal([stream.errors for stream in scene.allowed], [[]] * 4, "no allowed connection failed")
        tap.ok(min(opened + sent) > 100 * ROUNDS, "there were many of each", (opened, sent))
        try:
            wait_for(lambda: scene.lost() == {"": 0, "syn-": 0}, "the last packets arrive", bound=10)
        except TimeoutError:
            pass
        tap.equal(scene.lost(), {"": 0, "syn-": 0}, "not one packet of theirs was lost on the way")
        tap.equal([stream.leaked for stream in scene.denied], [0] * 4, "no denied SYN came through")
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")


if __name__ == "__main__":
    if PRIVILEGED:
        namespaces.CLONE_NEWUSER = 0
        namespaces._map_identities = lambda pid: None  # pylint: disable=protected-access
    main(under_traffic)
