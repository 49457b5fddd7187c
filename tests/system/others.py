#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What other programs' tables stop, made by these programs themselves: a packet is stopped, health or status names the
rule with its handle and the program, and the command that they propose lets the packet pass. firewalld and the rules
of docker are in beside.py."""
import os
import shutil
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, EXCHANGE, FAMILIES, Lab, main, probe_all, wait_for  # noqa: E402

SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
ADMIN = {family: ADDRESS[family]["admin"] for family in FAMILIES}
JAIL = """[INCLUDES]
before = /etc/fail2ban/paths-debian.conf
[console]
enabled = true
backend = polling
logpath = %s
filter =
failregex = ^<HOST>$
action = nftables[type=multiport, name=console, port="143,8470", protocol=tcp, chain_hook=forward]
"""
FAIL2BAN = """[Definition]
loglevel = INFO
logtarget = %s
socket = %s
pidfile = %s
dbfile = None
allowipv6 = auto
"""


def missing(tap, title, *programs):
    for program in programs:
        if not shutil.which(program):
            tap.skip(title, "%s is missing" % program)
            return True
    return False


class Others:
    """A lab whose server and Internet answer, and commands that other programs would give their administrator."""

    def __init__(self, tap, lab):
        self.tap, self.lab = tap, lab
        self.bin = os.path.join(lab.dir, "bin")
        os.mkdir(self.bin)
        self.env = dict(os.environ, PATH=self.bin + ":" + os.environ["PATH"], LC_ALL="C")
        # The Internet is behind one interface, as it is at most gateways.
        lab.ip("gateway", "route add default via 198.51.100.20", "route add default via 2001:db8:51::20")
        for machine in ("server", "internet"):
            lab.serve(machine, tcp=[143, 443, 8470])
        self.daemon = lab.spefwd(lab.config(flows="[flow license-out]\nenabled = no\n"))
        self.healthy("before")

    def wrapper(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def run(self, command, check=True):
        return self.lab.run("gateway", "sh", "-ec", command, env=self.env, check=check)

    def healthy(self, what):
        """Nothing is blocked, and health is well."""
        status = self.daemon.wait_status(lambda now: now["health"] == "ok" and not now["blocked"]["findings"],
                                         what + ": health")
        self.tap.equal(status["blocked"]["count"], 0, what + ": nothing is blocked")

    def finds(self, what, owner, count=1):
        """So many findings of this program's rules, each by a handle that is there."""
        status = self.daemon.wait_status(lambda now: len(now["blocked"]["findings"]) >= count, what + ": is found")
        found = status["blocked"]["findings"]
        self.tap.equal({one["owner"] for one in found}, {owner}, what + ": whose it is")
        for one in found:
            chain = self.lab.run("gateway", "nft", "-a", "list", "chain", one["family"], one["table"],
                                 one["chain"]).stdout
            lines = [line for line in chain.split("\n") if line.endswith("# handle %d" % one["handle"])]
            words = {"drop": "drop", "reject": "reject", "policy": "policy drop"}
            self.tap.ok(words[one["does"]] in (lines[0] if lines else "") or (
                one["handle"] == 0 and "policy drop" in chain) or "DROP" in str(lines) or "REJECT" in str(lines),
                        what + ": the handle is that of the rule", (one, chain))
        certain = [one for one in found if not one["may"]]
        self.tap.equal(("blocked" in self.daemon.reason_codes(status), status["health"]),
                       (bool(certain), "degraded" if certain else "ok"), what + ": health goes by what is certain")
        return found

    def explained(self, what, source, target, owner, remedy):
        """explain names one rule of this program, with this remedy; None: nothing."""
        [result] = self.daemon.call("Explain", {"source": source, "target": target})["results"]
        found = [(one["owner"], one.get("remedy")) for one in result["others"]]
        self.tap.equal((result["verdict"], found), ("allowed", [(owner, remedy)] if owner else []), what + ": explain")

    def is_open(self, source, target, port, what):
        with self.lab.connect(source, target, port) as connection:
            self.tap.ok(connection.echo(), what)

    def is_stopped(self, source, target, port, what):
        [probe] = probe_all([(source, target, port, False)], lambda: None)
        self.tap.ok(not probe.open, what, probe.result)

    def mend(self, found):
        """Each remedy, once."""
        for remedy in sorted({one["remedy"] for one in found}):
            self.run(remedy)


def fail2ban(tap):
    """A ban by its action for nftables, of an administrator, and of somebody else."""
    if missing(tap, "fail2ban", "fail2ban-server", "fail2ban-client"):
        return
    with Lab(tap) as lab:
        others = Others(tap, lab)
        folder, log = os.path.join(lab.dir, "fail2ban"), os.path.join(lab.dir, "console.log")
        paths = [os.path.join(lab.dir, name) for name in ("fail2ban.log", "fail2ban.sock", "fail2ban.pid")]
        os.mkdir(folder)
        for name in ("action.d", "filter.d"):
            os.symlink(os.path.join("/etc/fail2ban", name), os.path.join(folder, name))
        for name, text in (("fail2ban.conf", FAIL2BAN % tuple(paths)), ("jail.conf", JAIL % log)):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
        with open(log, "w", encoding="ascii"):
            pass
        others.wrapper("fail2ban-client", "exec %s -s %s \"$@\"\n" % (shutil.which("fail2ban-client"), paths[1]))
        process = lab.start("gateway", "fail2ban-server", "-f", "-c", folder, "-s", paths[1], "-p", paths[2])
        wait_for(lambda: process.poll() is not None
                 or others.run("fail2ban-client status console", check=False).returncode == 0, "fail2ban runs")
        if process.poll() is not None:
            with open(process.log, encoding="utf-8", errors="replace") as file:
                tap.skip("fail2ban", "it does not run here: " + " ".join(file.read().split()[-30:]))
            return
        # An address that no flow's peers have: whoever is banned of ANY is no fault of a flow.
        others.run("fail2ban-client set console banip 198.51.100.140")
        wait_for(lambda: "198.51.100.140" in lab.run("gateway", "nft", "list", "ruleset").stdout, "the ban is there")
        others.is_open("admin", SERVER[4], 8470, "another one is banned: the administrator gets in")
        others.healthy("another one is banned")
        others.is_stopped("client", SERVER[4], 143, "who is banned can't get in")
        unban = "fail2ban-client set console unbanip 198.51.100.140"
        others.explained("a ban", "198.51.100.140", "server:143", "fail2ban", unban)
        others.explained("somebody else", "198.51.100.141", "server:143", None, None)
        others.run(unban)
        others.is_open("client", SERVER[4], 143, "who is banned no more gets in")
        others.explained("no ban", "198.51.100.140", "server:143", None, None)
        for family in FAMILIES:
            title = "fail2ban, IPv%d: " % family
            others.is_open("admin", SERVER[family], 8470, title + "the administrator gets in")
            others.run("fail2ban-client set console banip " + ADMIN[family])
            found = others.finds(title, "fail2ban")
            tap.equal([(one["table"], one["chain"], one["does"], one["flow"], one["may"]) for one in found],
                      [("f2b-table", "f2b-chain", "reject", "console-in", True)], title + "it stops one administrator")
            others.is_stopped("admin", SERVER[family], 8470, title + "who can't get in")
            tap.equal(found[0]["remedy"], "fail2ban-client set console unbanip " + ADMIN[family], title + "the remedy")
            others.explained(title, ADMIN[family], "server:8470", "fail2ban", found[0]["remedy"])
            others.mend(found)
            others.healthy(title + "mended")
            others.is_open("admin", SERVER[family], 8470, title + "he gets in again")


def ufw(tap):
    """ufw as it is after `ufw enable`: it drops what is forwarded."""
    if missing(tap, "ufw", "ufw", "iptables-nft"):
        return
    with Lab(tap) as lab:
        others = Others(tap, lab)
        for name, source in (("ufw", "/etc/ufw"), ("lib", "/lib/ufw")):
            shutil.copytree(source, os.path.join(lab.dir, "ufw-" + name))
        shutil.copy("/etc/default/ufw", os.path.join(lab.dir, "ufw-default"))
        # Its files are the machine's: the copies are put in their place, for it alone.
        others.wrapper("ufw", "exec unshare -m sh -ec 'mount --bind %s /etc/ufw; mount --bind %s /lib/ufw\n"
                       "mount --bind %s /etc/default/ufw; exec %s \"$@\"' ufw \"$@\"\n" % (
                           os.path.join(lab.dir, "ufw-ufw"), os.path.join(lab.dir, "ufw-lib"),
                           os.path.join(lab.dir, "ufw-default"), shutil.which("ufw")))
        done = others.run("ufw --force enable", check=False)
        if done.returncode:
            tap.skip("ufw", "it does not run here: " + (done.stdout + done.stderr).strip().split("\n")[-1])
            return
        found = others.finds("ufw", "ufw", 2)
        tap.equal({(one["family"], one["table"], one["does"], one["may"]) for one in found},
                  {("ip", "filter", "policy", False), ("ip6", "filter", "policy", False)},
                  "it is the policy of FORWARD, in both families")
        for family in FAMILIES:
            others.is_stopped("client", SERVER[family], 143, "ufw, IPv%d: the server can't be reached" % family)
            others.is_stopped("server", EXCHANGE[family], 443, "ufw, IPv%d: nor can it reach others" % family)
        others.explained("ufw", "198.51.100.140", "server:143", "ufw", "ufw route allow to 192.0.2.25")
        tap.ok(all(one["remedy"].startswith("ufw route allow to ") for one in found), "the remedy is ufw's own", found)
        others.mend(found)
        others.healthy("ufw, mended")
        for family in FAMILIES:
            others.is_open("client", SERVER[family], 143, "ufw, IPv%d: the server is reached" % family)
            others.is_open("server", EXCHANGE[family], 443, "ufw, IPv%d: and reaches others" % family)


def iptables(tap):
    """A rule and a policy of iptables."""
    if missing(tap, "iptables", "iptables-nft"):
        return
    with Lab(tap) as lab:
        others = Others(tap, lab)
        others.wrapper("iptables", "exec %s \"$@\"\n" % shutil.which("iptables-nft"))
        others.run("iptables -A FORWARD -i wan9 -j DROP; iptables -A FORWARD -p tcp --dport 143 -j DROP")
        found = others.finds("a rule of iptables", "iptables")
        others.is_stopped("client", SERVER[4], 143, "it stops a flow")
        tap.equal([(one["table"], one["chain"], one["flow"], one["flow_count"]) for one in found],
                  [("filter", "FORWARD", "imap-out", 2)], "it is named, with the flows")
        tap.equal(found[0]["remedy"], "iptables -I FORWARD 2 -d 192.0.2.25 -j ACCEPT && "
                  "iptables -I FORWARD 2 -s 192.0.2.25 -j ACCEPT", "the remedy goes ahead of it")
        others.explained("a rule of iptables", "198.51.100.140", "server:143", "iptables",
                         "iptables -I FORWARD 2 -d 192.0.2.25 -j ACCEPT")
        others.mend(found)
        others.healthy("a rule of iptables, mended")
        others.explained("a rule of iptables, mended", "198.51.100.140", "server:143", None, None)
        others.is_open("client", SERVER[4], 143, "the flow is open")
        others.run("iptables -F; iptables -P FORWARD DROP")
        found = others.finds("a policy of iptables", "iptables")
        others.is_stopped("client", SERVER[4], 143, "it stops all")
        others.mend(found)
        others.healthy("a policy of iptables, mended")
        others.is_open("client", SERVER[4], 143, "all is open")


def nftables(tap):
    """A rule of one's own; a list of addresses; a rule that could do no harm."""
    with Lab(tap) as lab:
        others = Others(tap, lab)
        lab.nft("gateway", "table inet mine {\nset bad { type ipv4_addr; flags interval; elements = { %s/31 } }\n"
                "chain pass {\ntype filter hook forward priority 5\nip saddr 198.51.100.7 drop\n"
                "meta mark 7 drop\ntcp dport 143 reject\n}\n}" % ADMIN[4])
        found = others.finds("a rule of nftables", "nftables", 2)
        tap.equal([(one["does"], one["may"]) for one in found], [("reject", False), ("drop", True)],
                  "what is certain comes first, then what can't be known")
        others.is_stopped("client", SERVER[6], 143, "it stops a flow")
        others.mend(found[:1])
        lab.nft("gateway", "delete rule inet mine pass handle %d" % found[1]["handle"])
        others.healthy("a rule of nftables, mended")
        others.is_open("client", SERVER[4], 143, "the flow is open")
        lab.nft("gateway", "insert rule inet mine pass ip saddr @bad tcp dport 8470 drop")
        found = others.finds("a list", "nftables")
        others.is_stopped("admin", SERVER[4], 8470, "it stops an administrator")
        tap.equal(found[0]["remedy"], "nft delete element inet mine bad { %s/31 }" % ADMIN[4], "whose element is named")
        others.explained("a list", ADMIN[4], "server:8470", "nftables", found[0]["remedy"])
        others.mend(found)
        others.healthy("a list, mended")
        others.is_open("admin", SERVER[4], 8470, "the administrator gets in")
        # All of the administrators' network: that is certain.
        lab.nft("gateway", "add element inet mine bad { 203.0.113.0/24 }")
        others.daemon.call("Reload")
        found = others.finds("a network", "nftables")
        tap.equal([one["may"] for one in found], [False], "an administrators' network is stopped")
        lab.nft("gateway", "delete table inet mine")
        others.healthy("the table is gone")
        # Nobody knows who is in a list that is too large: administrators may be, and of ANY it stops some alone.
        lab.nft("gateway", "table inet mine {\nset many { type ipv4_addr; elements = { %s } }\n"
                "chain pass {\ntype filter hook forward priority 5\nip saddr @many drop\n}\n}"
                % ", ".join("100.64.%d.%d" % (n // 250, n % 250) for n in range(5000)))
        found = others.finds("a large list", "nftables")
        tap.equal([one["may"] for one in found], [True], "a large list: it may stop some")
        tap.equal(others.daemon.status()["health"], "ok", "a large list: health is well")
        doctor = " ".join(others.daemon.ctl("-c", others.daemon.config, "doctor", check=False).stdout.split())
        tap.ok("by a set that is too large to read" in doctor, "a large list: doctor has why", doctor)
        lab.nft("gateway", "delete table inet mine")
        others.healthy("the large list is gone")


if __name__ == "__main__":
    main(fail2ban, ufw, iptables, nftables)
