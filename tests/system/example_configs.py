#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole configurations of doc/examples: each is good, and by real packets does what it says."""
import glob
import os
import re
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, Lab, Probe, Sniffer, is_syn, main, namespaces, vendor)
from lab.daemon import TOP  # noqa: E402

FOLDER = os.path.join(TOP, "doc", "examples")
# What a check of each has to warn of; of others, nothing.
APART = "no flow joins role %s and another server"
WARNINGS = {"multi-server.ini": [APART % "CAS", APART % "IH"]}
NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values()), "proxy.example.net": ["198.51.100.26", "2001:db8:51::26"],
         "graph.microsoft.com": list(EXCHANGE.values()), "login.microsoftonline.com": ["198.51.100.90"],
         "smtp.office365.com": ["198.51.100.26"]}
SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
probed = set()


def text_of(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def commented(name):
    """The block of code in its comments, as it would be typed or written to a file."""
    return "".join(re.findall(r"(?m)^;\t(.*\n)", text_of(name)))


def judged(tap):
    """spefwctl check of each, with the warnings that it has to have and no other."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(), wait=False)
        names = [os.path.basename(path) for path in sorted(glob.glob(FOLDER + "/*.ini"))]
        tap.ok(len(names) >= 7, "there are examples", names)
        for name in names:
            done = daemon.run("spefwctl", "check", os.path.join(FOLDER, name))
            warnings = [line for line in done.stdout.split("\n") + done.stderr.split("\n") if "warning:" in line]
            wanted = WARNINGS.get(name, [])
            tap.ok(done.returncode == 0 and len(warnings) == len(wanted)
                   and all(words in line for words, line in zip(wanted, warnings)),
                   "%s is good, with %d warnings" % (name, len(wanted)), (done.stdout, done.stderr))
        whole = re.sub(r"(?m)^;(?=\S)", "", text_of("multi-server.ini"))
        with open(os.path.join(lab.dir, "whole.ini"), "w", encoding="utf-8") as file:
            file.write(whole)
        done = daemon.run("spefwctl", "check", os.path.join(lab.dir, "whole.ini"))
        tap.ok(done.returncode == 0 and "warning" not in done.stdout + done.stderr and "[flow mgmt-to-" in whole,
               "multi-server.ini with a flow between the servers has no warning", (done.stdout, done.stderr))


class Example(Lab):
    """The lab with the example in force, in enforce mode, and the DNS server that it names."""

    def __init__(self, tap, name):
        super().__init__(tap)
        self.name, self._text = name, text_of(name)
        probed.add(name)

    def begin(self, change=lambda text: text):
        """Starts DNS and spefwd, and listens wherever a probe may lead."""
        self.dns(NAMES)
        path = os.path.join(self.dir, "resolv.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("nameserver %s\n" % DNS[4])
        namespaces.mount(path, "/etc/resolv.conf", None, namespaces.MS_BIND)
        text = change(self._text)
        enforced = re.sub(r"(?m)^mode( *)= audit", r"mode\1= enforce", text)
        if enforced == text:
            raise RuntimeError("%s is not in audit mode" % self.name)
        self.spefwd(enforced)
        self.daemon.wait_status(lambda status: all(one["addresses"] or one["state"] == "empty" for one
                                                   in status["names"]), "names are known")
        ports = [22, 25, 110, 143, 389, 443, 587, 993, 3128, 3389, 8470, 8472, 8474, 10000]
        for machine in ("server", "admin", "client", "internet"):
            self.serve(machine, tcp=ports)

    def judge(self, cases, fence):
        """cases: (source machine, its address or None, target, port, whether it reaches it); fence: one of those that
        do, which comes last. What is denied sends no SYN to its target's machine."""
        _, source, target, port, opens = fence
        tap = self._tap
        if not opens:
            raise ValueError("the fence has to be open")
        for machine, address, where, number, expected in cases + [fence]:
            title = "%s: %s%s to %s port %d is %s" % (
                self.name, machine, " as " + address if address else "", where, number,
                "open" if expected else "closed")
            if expected:
                with self.connect(machine, where, number, source=address) as connection:
                    tap.ok(connection.echo(), title)
                continue
            probe = Probe(machine, where, number, address)
            with self.connect(fence[0], target, port, source=source) as connection:
                connection.echo()
            probe.step()
            tap.equal(probe.result, None, title)
            probe.close()


def both(machine, last, target, port, opens, own=None):
    """The case of both families: targets end in the same number. `own`: likewise of the source's address."""
    networks = {"lan": ("192.0.2.%s", "2001:db8:2::%s"), "wan": ("198.51.100.%s", "2001:db8:51::%s")}
    return [(machine, networks["lan"][i] % own if own else None, networks[target][i] % last, port, opens)
            for i in range(2)]


def multi_server(tap):
    """Three roles: the rows that are known, and nothing between the servers."""
    with Example(tap, "multi-server.ini") as lab:
        for last in (31, 33, 41):
            lab.ip("server", "addr add 192.0.2.%d/24 dev eth0" % last,
                   "addr add 2001:db8:2::%d/64 dev eth0 nodad preferred_lft 0" % last)
        lab.wait_neighbours("server", "2001:db8:2::31", "2001:db8:2::33", "2001:db8:2::41")
        lab.begin()
        cases = []
        for port in (143, 443):
            cases += both("client", 41, "lan", port, True) + both("client", 31, "lan", port, False)
            cases += both("client", 25, "lan", port, False)
        cases += both("client", 41, "lan", 993, False)
        for port in (110, 143, 389, 443):
            cases += both("server", 80, "wan", port, True, own=31) + both("server", 80, "wan", port, False, own=41)
        cases += both("server", 80, "wan", 25, False, own=33) + both("server", 80, "wan", 443, True, own=33)
        cases += both("server", 77, "wan", 443, True, own=25) + both("server", 80, "wan", 443, False, own=25)
        for port in (8470, 8474):
            cases += both("admin", 25, "lan", port, True) + both("client", 25, "lan", port, False)
        lab.judge(cases, both("client", 41, "lan", 443, True)[0])


def two_servers(tap):
    """Both are open alike; what is named for one is that one's."""
    with Example(tap, "two-servers.ini") as lab:
        lab.ip("server", "addr add 192.0.2.26/24 dev eth0", "addr add 2001:db8:2::26/64 dev eth0 nodad preferred_lft 0")
        lab.wait_neighbours("server", "2001:db8:2::26")
        lab.begin()
        cases = []
        for last in (25, 26):
            cases += both("client", last, "lan", 443, True) + both("client", last, "lan", 3389, False)
            cases += both("client", last, "lan", 8470, False) + both("admin", last, "lan", 8470, True)
            cases += both("server", 80, "wan", 993, True, own=last) + both("server", 80, "wan", 25, False, own=last)
            cases += both("admin", last, "lan", 10000, last == 26)
        lab.judge(cases, both("client", 26, "lan", 443, True)[0])


def nat(tap):
    """Ports of the gateway's address lead to the server, and the server out by it."""
    with Example(tap, "nat.ini") as lab:
        lab.nft("gateway", commented("nat.ini"))
        lab.begin()
        public = GATEWAY["wan2"][4]
        lab.judge([("client", None, public, 443, True), ("client", None, public, 143, True),
                   ("client", None, SERVER[4], 8470, False), ("client", None, SERVER[4], 3389, False),
                   ("admin", None, SERVER[4], 8470, True), ("server", None, EXCHANGE[4], 25, False)],
                  ("client", None, public, 993, True))
        with lab.connect("client", public, 443) as connection:
            tap.equal((connection.greeting[0], connection.greeting[2]), ("server", ADDRESS[4]["client"]),
                      "nat.ini: it is the server who answers")
        with lab.connect("server", EXCHANGE[4], 993) as connection:
            tap.equal(connection.greeting[2], GATEWAY["wan"][4], "nat.ini: the server goes out as the gateway")
        status = lab.daemon.wait_status(lambda now: now["health"] == "ok", "healthy")
        tap.equal(status["guards"]["intercepted"], 0, "nat.ini: nothing is taken for an interception")


def one_to_one_nat(tap):
    """Addresses that are not the gateway's own are translated both ways."""
    outside, mail = "203.0.113.241", "203.0.113.242"
    for excepted in (True, False):
        with Example(tap, "one-to-one-nat.ini") as lab:
            lab.nft("gateway", commented("one-to-one-nat.ini"))
            lab.begin(lambda text, keep=excepted: text if keep else re.sub("(?m)^nat_except.*$", "", text))
            if not excepted:
                lab.judge([("server", None, mail, 993, False)], ("client", None, outside, 443, True))
                tap.ok(True, "and so nat_except is needed")
                continue
            lab.judge([("client", None, outside, 443, True), ("client", None, outside, 3389, False),
                       ("client", None, outside, 8470, False), ("server", None, mail, 25, False),
                       ("server", None, mail, 993, True)], ("client", None, outside, 443, True))
            with lab.connect("server", mail, 993) as connection:
                tap.equal(connection.greeting[0], "client", "one-to-one-nat.ini: the mail server answers")
            with lab.connect("server", EXCHANGE[4], 993) as connection:
                tap.equal(connection.greeting[2], outside, "one-to-one-nat.ini: the server is known by its address")


def proxy(tap):
    """The license goes by the proxy."""
    with Example(tap, "proxy.ini") as lab:
        lab.begin()
        lab.judge(both("server", 26, "wan", 3128, True) + both("server", 80, "wan", 3128, False)
                  + both("client", 25, "lan", 443, True) + both("client", 25, "lan", 3128, False),
                  both("server", 26, "wan", 3128, True)[0])


def bridge(tap):
    """The server is behind a port of the gateway's bridge."""
    near = {4: "192.0.2.140", 6: "2001:db8:2::140"}
    with Example(tap, "bridge.ini") as lab:
        lab.ip("gateway", "addr flush dev lan", "addr flush dev wan2", "link add br0 type bridge",
               "link set lan master br0", "link set wan2 master br0", "link set br0 up",
               "addr add 192.0.2.1/24 dev br0", "addr add 2001:db8:2::1/64 dev br0 nodad")
        lab.ip("client", "addr flush dev eth0 scope global", "addr add 192.0.2.140/24 dev eth0",
               "addr add 2001:db8:2::140/64 dev eth0 nodad")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        lab.wait_neighbours("client", near[6])
        with lab.inside("gateway"):
            if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
                tap.skip("bridge.ini", "this kernel has no br_netfilter")
                return
        keys = re.findall(r"echo net\.(\S+) = 1", commented("bridge.ini"))
        tap.equal(len(keys), 2, "bridge.ini names what to set")
        for key in keys:
            lab.sysctl("gateway", key.replace(".", "/"), 0)
        lab.begin()
        for filters in (False, True):
            for key in keys:
                lab.sysctl("gateway", key.replace(".", "/"), int(filters))
            for family in FAMILIES:
                with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == 3389) as sniffer:
                    lab.judge([("client", None, SERVER[family], 3389, not filters)],
                              ("client", None, SERVER[family], 443, True))
                tap.equal(bool(sniffer.packets), not filters, "bridge.ini: IPv%d %s" % (
                    family, "is judged by these settings" if filters else "passes without them"))
        for family in FAMILIES:
            lab.judge([("server", None, near[family], 25, False)], ("server", None, near[family], 993, True))


def microsoft_365(tap):
    """Graph, the host to sign in at, and mail are open; others of these ports are not."""
    with Example(tap, "microsoft-365.ini") as lab:
        lab.begin()
        lab.judge(both("server", 80, "wan", 443, True) + [("server", None, "198.51.100.90", 443, True),
                                                          ("server", None, "198.51.100.20", 443, False)]
                  + both("server", 80, "wan", 993, False) + both("server", 80, "wan", 587, False)
                  + [("server", None, "198.51.100.26", 587, True), ("server", None, "198.51.100.26", 443, False)]
                  + both("server", 77, "wan", 443, True) + both("client", 25, "lan", 443, True),
                  both("server", 80, "wan", 443, True)[0])
        lab.daemon.wait_status(lambda status: any(one["comment"] == "Microsoft 365 by Graph" for one
                                                  in status["flows"] if one.get("comment")), "its comment is shown")


def all_of_them(tap):
    """No example is without a probe."""
    names = {os.path.basename(path) for path in glob.glob(FOLDER + "/*.ini")}
    tap.equal(names, probed, "each example was probed")


if __name__ == "__main__":
    main(judged, multi_server, two_servers, nat, one_to_one_nat, proxy, bridge, microsoft_365, *(
        () if sys.argv[1:] else (all_of_them,)))
