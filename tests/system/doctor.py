#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spefwctl doctor: a healthy gateway has nothing; each fault that it knows is built, found, and gone when it is taken away."""
import json
import os
import shutil
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, EXCHANGE, LICENSE, Lab, has_second_user, main, namespaces, program, tls, vendor, wait_for  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
CLOCK = """#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
int adjtimex(struct timex *timex)
{
	memset(timex, 0, sizeof(*timex));
	timex->maxerror = atol(getenv("SPEFW_CLOCK_ERROR"));
	return 0;
}
"""


class Doctor:
    """The lab with a daemon, and all that a healthy gateway has: a clock that is set, a host whose certificate is trusted."""

    def __init__(self, tap, lab, config=None):
        self.tap, self.lab = tap, lab
        self.etc = os.path.join(lab.dir, "etc")
        os.mkdir(self.etc)
        os.environ["SPEFW_DOCTOR_ETC"] = self.etc
        self.clock_error = 1000
        self._clock = self._shim()
        self.authority = tls.Authority(lab.dir, "Trusted Authority")
        self.trusted = has_second_user() and tls.trust(self.authority)
        self.dns = lab.dns(NAMES)
        self.peer = self.serve(self.authority.issue(vendor.LICENSE_NAME))
        self.daemon = lab.spefwd(config or lab.config())
        self.daemon.wait_status(lambda status: len(self.daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")

    def _shim(self):
        source, library = os.path.join(self.lab.dir, "clock.c"), os.path.join(self.lab.dir, "clock.so")
        with open(source, "w", encoding="ascii") as file:
            file.write(CLOCK)
        subprocess.run([os.environ.get("CC", "cc").split()[0], "-shared", "-fPIC", source, "-o", library], check=True)
        return library

    def serve(self, pem):
        server = tls.Server("internet", 443, pem)
        self.lab.at_close(server.close)
        return server

    def run(self, *args, uid=None):
        env = dict(os.environ, LC_ALL="C", SPEFW_CLOCK_ERROR=str(self.clock_error), LD_PRELOAD=self._clock,
                   ASAN_OPTIONS="detect_leaks=1:verify_asan_link_order=0")
        return self.lab.run("gateway", program("spefwctl"), "-s", self.daemon.socket, "doctor", *args, check=False, env=env, uid=uid)

    def findings(self, *args):
        """What it finds, notes apart; (exit status, findings, notes)."""
        done = self.run("--json", *args)
        if done.stderr:
            raise RuntimeError(done.stderr)
        found = json.loads(done.stdout)["findings"]
        return done.returncode, [one for one in found if one["severity"] != "note"], [one for one in found if one["severity"] == "note"]

    def healthy(self, what):
        code, found, notes = self.findings()
        if not self.trusted:
            notes = [one for one in notes if one["check"] != "tls"]
        return self.tap.ok((code, found, notes) == (0, [], []), what, json.dumps([code, found, notes], indent=1))

    def finds(self, what, check, severity, words, remedy):
        """One finding, with these words in what it is and its evidence, and in its remedy; and in one line of the text."""
        code, found, _ = self.findings()
        ours = [one for one in found if one["check"] == check]
        right = ours and ours[0]["severity"] == severity and all(word in ours[0]["what"] + " (" + ours[0]["evidence"] for word in words) \
            and remedy in ours[0]["remedy"] and len(found) == len(ours)
        self.tap.ok(right, what, json.dumps(found, indent=1))
        self.tap.equal(code, 1 if severity == "serious" else 0, what + ": exit status")
        lines = [line for line in self.run().stdout.split("\n") if line.startswith(severity + ": ")]
        self.tap.ok(any(all(word in line for word in list(words) + [remedy]) for line in lines), what + ": in one line", lines)
        return ours


def healthy(tap):
    """Nothing, in one line; with a daemon, without one, and as another user."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        if not doctor.trusted:
            tap.skip("certificates", "they need a second user, and the trust store of Debian: as root")
        doctor.healthy("a healthy gateway")
        if doctor.trusted:
            tap.equal(doctor.run().stdout, "nothing stands in the way\n", "and it says so in one line")
        tap.equal(doctor.run("surplus").returncode, 2, "usage")
        if has_second_user():
            done = doctor.run(uid=1000)
            tap.ok(done.returncode == 4 and "permission denied" in done.stderr, "who may not ask: exit 4", (done.returncode, done.stderr))
            os.chmod(doctor.daemon.socket, 0o666)
            os.chmod(doctor.daemon.dir, 0o755)
            done = doctor.run(uid=1000)
            tap.ok(done.returncode == 0 and "only root can" in done.stdout, "who may ask the daemon alone is told what was not looked at",
                   (done.returncode, done.stdout, done.stderr))
        doctor.clock_error = 16000000
        doctor.finds("a clock that nobody sets", "clock", "warning", ["not synchronised", "16 s"], "timedatectl")
        doctor.clock_error = 1000
        doctor.daemon.stop()
        code, found, _ = doctor.findings("-c", doctor.daemon.config)
        tap.equal((code, [(one["check"], one["severity"]) for one in found]), (0, [("spefwd", "warning")]), "without a daemon, while the table guards")
        if has_second_user():
            tap.equal(doctor.run(uid=1000).returncode, 4, "without a daemon, not as root: exit 4")
        doctor.daemon.run("spefwd", "--clear", check=True)
        code, found, _ = doctor.findings("-c", doctor.daemon.config)
        tap.equal((code, [one["check"] for one in found]), (1, ["guard", "spefwd"]), "without a table nothing guards")
        doctor.daemon.write("[server]\n")
        code, found, _ = doctor.findings("-c", doctor.daemon.config)
        tap.equal((code, [one["check"] for one in found]), (1, ["config", "spefwd"]), "with a bad file the rest is still looked at")
        done = doctor.daemon.run("spefwd", "--doctor", "-c", doctor.daemon.config)
        tap.ok(done.returncode == 1 and done.stdout.startswith("serious: the configuration can't be used ("), "spefwd --doctor prints lines", done.stdout)


def system(tap):
    """Sysctls, the connection table, saved rulesets."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        for path, key in (("ipv4/ip_forward", "net.ipv4.ip_forward = 0"), ("ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding = 0")):
            lab.sysctl("gateway", path, 0)
            doctor.finds(key, "forwarding", "serious", ["is not forwarded", key], "sysctl -w net.")
            lab.sysctl("gateway", path, 1)
        lab.sysctl("gateway", "ipv4/conf/lan/forwarding", 0)
        doctor.finds("the server's link alone", "forwarding", "serious", ["comes by lan", "net.ipv4.conf.lan.forwarding = 0"], "net/ipv4/conf/lan/forwarding=1")
        lab.sysctl("gateway", "ipv4/conf/lan/forwarding", 1)
        lab.sysctl("gateway", "ipv4/conf/adm/forwarding", 0)
        doctor.finds("the administrators' link", "forwarding", "warning", ["comes by adm"], "net/ipv4/conf/adm/forwarding=1")
        lab.sysctl("gateway", "ipv4/conf/adm/forwarding", 1)
        doctor.healthy("all forwarding is on again")

        os.mkdir(os.path.join(doctor.etc, "nft.d"))
        write(doctor, "nftables.conf", "flush ruleset\n# table inet spefw {\ntable inet mine {\n}\ninclude \"nft.d/*.nft\"\n")
        doctor.healthy("a saved ruleset of others")
        write(doctor, "nft.d/all.nft", "table inet mine {\n}\ntable inet spefw {\n}\n")
        doctor.finds("an included file with our table", "saved", "serious", ["nft.d/all.nft:3"], "take that table out")
        os.unlink(os.path.join(doctor.etc, "nft.d", "all.nft"))
        # Nothing that may stand there does harm.
        write(doctor, "nftables.conf", "include \"nftables.conf\"\ninclude \"/dev/zero\"\ninclude \"%s/*\"\ninclude \"" % doctor.etc + "\xff" * 5000)
        os.mkdir(os.path.join(doctor.etc, "iptables"))
        os.mkfifo(os.path.join(doctor.etc, "iptables", "rules.v4"))
        doctor.healthy("files that include themselves, devices, pipes")

        with lab.inside("gateway"):
            full = os.path.join(lab.dir, "full")
            target = "/proc/sys/net/netfilter/nf_conntrack_max"
            if not os.path.exists(target):
                tap.skip("the connection table", "this kernel does not tell its size")
                return
            # Its size is the machine's: another one is put in its place for us.
            with open(full, "w", encoding="ascii") as file:
                file.write("4\n")
            namespaces.mount(full, target, None, namespaces.MS_BIND)
        lab.serve("server", tcp=[443])
        with lab.connect("client", ADDRESS[4]["server"], 443), lab.connect("client", ADDRESS[4]["server"], 443), \
                lab.connect("client", ADDRESS[4]["server"], 443), lab.connect("client", ADDRESS[4]["server"], 443):
            doctor.finds("a full connection table", "conntrack", "serious", ["full", "nf_conntrack_max = 4"], "nf_conntrack_max=8")
        with lab.inside("gateway"):
            namespaces.umount(target)
        doctor.healthy("and as large as it is")


def write(doctor, name, text):
    with open(os.path.join(doctor.etc, name), "w", encoding="latin-1") as file:
        file.write(text)


def routes(tap):
    """Ways back by another link, and addresses that nobody listed."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        server = ADDRESS[4]["server"]
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 1)
        doctor.healthy("a strict filter by itself")
        lab.run("gateway", "ip", "route", "add", "192.0.2.0/24", "via", ADDRESS[4]["client"], "metric", "5000")
        doctor.daemon.wait_status(lambda _: "wan2" in lab.run("gateway", "nft", "list", "set", "inet", "spefw", "SERVER_links").stdout, "both links lead there")
        doctor.finds("a second way to the server, filtered", "rp_filter", "warning", ["SERVER", server, "by wan2", "leaves by lan"], "net/ipv4/conf/wan2/rp_filter=2")
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 2)
        doctor.healthy("a loose filter")
        lab.sysctl("gateway", "ipv4/conf/wan2/rp_filter", 0)
        lab.run("gateway", "ip", "route", "del", "192.0.2.0/24", "via", ADDRESS[4]["client"], "metric", "5000")

        # Who talks is in the neighbour table.
        for address in (server, ADDRESS[6]["server"]):
            lab.run("gateway", "ping", "-c1", "-W5", address, check=False)
        doctor.healthy("the server among the neighbours")
        for more, own in (("192.0.2.26", server), ("2001:db8:2::26", ADDRESS[6]["server"])):
            lab.ip("server", "addr add %s dev eth0%s" % (more + ("/64 nodad" if ":" in more else "/24"), ""))
            lab.run("gateway", "ping", "-c1", "-W5", more, check=False)
            wait_for(lambda m=more: "lladdr" in lab.run("gateway", "ip", "neigh", "show", m).stdout, "it is a neighbour")
            doctor.finds("a further address of the server: " + more, "address", "serious", [more, own, "lan"], "add it to address in [server]")
            lab.ip("server", "addr del %s dev eth0" % (more + ("/64" if ":" in more else "/24")))
            lab.run("gateway", "ip", "neigh", "flush", "to", more)
        doctor.healthy("and it is gone")


def resolvers(tap):
    """Who is behind a name, to the gateway and to the server."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        # A second resolver, in the server's own network.
        local = {4: "192.0.2.53", 6: "2001:db8:2::53"}
        lab.ip("server", "addr add 192.0.2.53/24 dev eth0", "addr add 2001:db8:2::53/64 dev eth0 nodad preferred_lft 0")
        hosts = os.path.join(lab.dir, "local-hosts")

        def answer(*addresses):
            with open(hosts, "w", encoding="ascii") as file:
                file.write("".join("%s %s\n" % (one, vendor.LICENSE_NAME) for one in addresses))
            return lab.start("server", "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--addn-hosts=" + hosts, "--user=root",
                             "--group=root", "--pid-file=", "--local=/#/", "--bind-interfaces", "--listen-address=192.0.2.53", "--listen-address=2001:db8:2::53")

        def asks(process, resolvers_text):
            doctor.daemon.reload(lab.config(server="192.0.2.25 192.0.2.53 2001:db8:2::25 2001:db8:2::53").replace(
                "resolvers = %s %s" % (DNS[4], DNS[6]), "resolvers = " + resolvers_text))
            wait_for(lambda: tls.answers("gateway", resolvers_text.split()[0], vendor.LICENSE_NAME) or process is None, "the resolver answers")
        process = answer(*LICENSE[0].values())
        asks(process, local[4])
        doctor.finds("a resolver in the server's own network", "resolver", "warning", [local[4], "by lan"], "servers = %s in [dns]" % local[4])
        lab.stop(process)
        process = answer(LICENSE[1][4], LICENSE[0][6])
        asks(process, local[4])
        found = doctor.findings()
        tap.equal((found[0], [(one["check"], one["severity"]) for one in found[1]]), (1, [("resolver", "serious"), ("resolver", "warning")]),
                  "it answers otherwise, and can't be observed")
        tap.ok(LICENSE[0][4] in found[1][0]["evidence"] and LICENSE[1][4] in found[1][0]["evidence"], "both answers are told", found[1][0])
        lab.stop(process)
        # Rotation: parts of one set are no disagreement.
        process = answer(LICENSE[1][4], LICENSE[0][4], LICENSE[0][6])
        asks(process, local[4])
        tap.equal([(one["check"], one["severity"]) for one in doctor.findings()[1]], [("resolver", "warning")], "answers that share an address agree")
        lab.stop(process)
        doctor.daemon.reload(lab.config().replace("resolvers = %s %s" % (DNS[4], DNS[6]), "resolvers = 203.0.113.99"))
        code, found, notes = doctor.findings()
        tap.ok((code, found) == (0, []) and any("server's resolvers could not be asked" in one["what"] for one in notes), "a silent resolver is a note", (found, notes))


def certificates(tap):
    """A proxy further up that re-signs; another host; nobody."""
    with Lab(tap) as lab:
        doctor = Doctor(tap, lab)
        if not doctor.trusted:
            tap.skip("certificates", "they need a second user, and the trust store of Debian: as root")
            return
        doctor.healthy("an honest host")
        doctor.peer.close()
        proxy = doctor.serve(tls.Authority(lab.dir, "Proxy Authority").issue(vendor.LICENSE_NAME))
        doctor.finds("a proxy that signs anew", "tls", "serious", ["license-out", vendor.LICENSE_NAME, "Proxy Authority", LICENSE[0][4]], "inspection")
        proxy.close()
        other = doctor.serve(doctor.authority.issue("else.example.net"))
        doctor.finds("a trusted host of another name", "tls", "serious", ["somebody else", "else.example.net"], "inspection")
        other.close()
        hostile = doctor.serve(tls.Authority(lab.dir, "\x1b]0;owned\x07 evil").issue(vendor.LICENSE_NAME))
        done = doctor.run()
        tap.ok(done.returncode == 1 and "\x1b" not in done.stdout and "owned" in done.stdout, "hostile bytes in a certificate are harmless", ascii(done.stdout))
        hostile.close()
        plain = lab.serve("internet", tcp=[443])
        code, found, notes = doctor.findings()
        tap.ok((code, found) == (0, []) and [one["check"] for one in notes] == ["tls"], "what speaks no TLS is a note", (code, found, notes))
        plain.close()
        code, found, notes = doctor.findings()
        tap.ok((code, found) == (0, []) and "could not be checked" in notes[0]["what"], "nobody there is a note", (code, found, notes))


if __name__ == "__main__":
    main(healthy, system, routes, resolvers, certificates)
