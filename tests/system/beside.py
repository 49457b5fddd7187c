#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Other programs' firewalls on the same gateway, as they really make them: firewalld, and the rules of docker. What
they translate on purpose is no interception and works; what they take of a flow is named."""
import os
import shutil
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    ADDRESS, EXCHANGE, FAMILIES, GATEWAY, LICENSE, Lab, Probe, Sniffer, is_syn, main, probe_all, vendor, wait_for)

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
BUS = """<busconfig><type>system</type><listen>unix:path=%s</listen>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_type="method_call"/><allow send_destination="*"/><allow receive_type="*"/></policy></busconfig>
"""
ZONES = {
    "zones/outside": '<zone target="default"><interface name="wan"/><interface name="wan2"/><masquerade/>'
    '<forward-port port="4443" protocol="tcp" to-port="443" to-addr="192.0.2.25"/>'
    '<rule family="ipv6"><forward-port port="4443" protocol="tcp" to-port="443" '
    'to-addr="2001:db8:2::25"/></rule></zone>',
    "zones/servers": '<zone target="default"><interface name="lan"/></zone>',
    "zones/office": '<zone target="default"><interface name="adm"/></zone>',
}
# Without these, firewalld rejects what is forwarded from one zone to another.
POLICIES = {
    "policies/to-servers": '<policy target="ACCEPT"><ingress-zone name="ANY"/><egress-zone name="servers"/></policy>',
    "policies/from-servers": '<policy target="ACCEPT"><ingress-zone name="servers"/><egress-zone name="ANY"/></policy>',
}


class Firewalld:
    """The distribution's firewalld on the gateway, with a bus and a configuration of its own."""

    def __init__(self, lab, files):
        self.lab = lab
        folder = os.path.join(lab.dir, "firewalld")
        bus = os.path.join(lab.dir, "bus")
        for name, text in list(files.items()) + [("../bus", BUS % bus)]:
            path = os.path.join(folder, name + (".conf" if "bus" in name else ".xml"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        self.env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=" + bus)
        lab.start("gateway", "dbus-daemon", "--config-file", bus + ".conf", "--nofork", "--nopidfile", env=self.env)
        wait_for(lambda: os.path.exists(bus), "the bus is there")
        self.process = lab.start("gateway", "firewalld", "--nofork", "--nopid", "--system-config", folder,
                                 "--log-file", os.path.join(lab.dir, "firewalld.log"), env=self.env)
        wait_for(lambda: self.process.poll() is not None or self.run("--state", check=False).returncode == 0,
                 "firewalld runs")

    def run(self, *args, check=True):
        return self.lab.run("gateway", "firewall-cmd", *args, check=check, env=self.env)

    def why(self):
        """What it printed, where it ended; else None."""
        if self.process.poll() is None:
            return None
        with open(self.process.log, encoding="utf-8", errors="replace") as file:
            return " ".join(file.read().split()[-30:])


def resolved(daemon, status):
    """Its names are, which may come later."""
    return "name-unresolved" not in daemon.reason_codes(status)


def missing(tap, title, *programs):
    for program in programs:
        if not shutil.which(program):
            tap.skip(title, "%s is missing" % program)
            return True
    return False


def firewalld_here(tap, lab, files):
    """A Firewalld; None where it does not run, which is noted."""
    if missing(tap, "firewalld", "firewalld", "firewall-cmd", "dbus-daemon"):
        return None
    firewalld = Firewalld(lab, files)
    if firewalld.why() is not None:
        tap.skip("firewalld", "it does not run here: " + firewalld.why())
        return None
    return firewalld


def open_to(tap, lab, wanted, title):
    for source, target, port, answers, what in wanted:
        with lab.connect(source, target, port) as connection:
            tap.equal(connection.greeting[0], answers, title + what)
            tap.ok(connection.echo(), title + what + ": data passes")


def closed_to(tap, lab, source, target, port, title):
    with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == port) as sniffer:
        [probe] = probe_all([(source, target, port, False)], lambda: lab.connect(source, target, 443).close())
    tap.ok(not probe.open and not sniffer.packets, title, (probe.result, sniffer.packets))


def no_alarm(tap, daemon, title):
    status = daemon.wait_status(lambda now: now["health"] == "ok", title + "healthy")
    tap.equal((status["interceptions"], status["guards"]["intercepted"], status["guards"]["spoofed"],
               status["guards"]["repaired"]),
              ([], 0, 0, 0), title + "no alarm, and nobody touched the table")


def flows_of_firewalld():
    wanted = []
    for family in FAMILIES:
        ipv = "IPv%d: " % family
        wanted += [("client", SERVER[family], 443, "server", ipv + "to the server"),
                   ("admin", SERVER[family], 8470, "server", ipv + "an administrator"),
                   ("server", EXCHANGE[family], 443, "internet", ipv + "from the server"),
                   ("client", GATEWAY["wan2"][family], 4443, "server", ipv + "firewalld's port forward to the server")]
    return wanted


def firewalld(tap):
    """Zones that may speak with the server's: all flows work, also while firewalld reloads, ends and comes back."""
    with Lab(tap) as lab:
        fire = firewalld_here(tap, lab, {**ZONES, **POLICIES})
        if not fire:
            return
        lab.dns(NAMES)
        for machine in ("server", "internet"):
            lab.serve(machine, tcp=[443, 8470, 3389])
        daemon = lab.spefwd(lab.config())
        no_alarm(tap, daemon, "beside firewalld: ")
        for title, change in (("", lambda: None), ("reloaded: ", lambda: fire.run("--reload")),
                              ("completely reloaded: ", lambda: fire.run("--complete-reload"))):
            change()
            open_to(tap, lab, flows_of_firewalld(), title)
            for family in FAMILIES:
                closed_to(tap, lab, "client", SERVER[family], 3389,
                          "%sIPv%d: what no flow opens is closed, though firewalld accepts it" % (title, family))
            no_alarm(tap, daemon, title)
        with lab.connect("server", EXCHANGE[4], 443) as connection:
            tap.equal(connection.greeting[2], GATEWAY["wan"][4], "firewalld masquerades the server")
        # firewalld as the one that intercepts: by the forward that its documentation has for a transparent proxy.
        lab.serve("gateway", tcp=[3129])
        fire.run("--zone=servers", "--add-forward-port=port=443:proto=tcp:toport=3129")
        daemon.reload(lab.config(gateway="interception = report"))
        status = daemon.wait_status(lambda now: now["interceptions"], "firewalld's redirect is found")
        tap.equal({(one["family"], one["table"], one["chain"]) for one in status["interceptions"]},
                  {("inet", "firewalld", "nat_PRE_servers_allow")}, "and named by table and chain")
        daemon.reload(lab.config())
        open_to(tap, lab, [one for one in flows_of_firewalld() if one[0] == "server"], "prevented: ")
        fire.run("--zone=servers", "--remove-forward-port=port=443:proto=tcp:toport=3129")
        no_alarm(tap, daemon, "without it: ")
        lab.stop(fire.process)
        open_to(tap, lab, [one for one in flows_of_firewalld() if one[2] != 4443], "without firewalld: ")
        closed_to(tap, lab, "client", SERVER[4], 3389, "without firewalld: the server stays guarded")
        no_alarm(tap, daemon, "without firewalld: ")


def firewalld_denies(tap):
    """Zones as firewalld has them by default: it rejects what spefw allows. That is found, with the one rule that does
    it, and not taken for anything else; its remedy lets the flows pass."""
    with Lab(tap) as lab:
        fire = firewalld_here(tap, lab, ZONES)
        if not fire:
            return
        lab.dns(NAMES)
        for machine in ("server", "internet"):
            lab.serve(machine, tcp=[443, 8470])
        daemon = lab.spefwd(lab.config())
        for family in FAMILIES:
            used = {one["id"]: one["attempts"] for one in daemon.status()["flows"]}
            probe = Probe("client", SERVER[family], 443)
            wait_for(lambda p=probe: (p.step(), p.result)[1], "firewalld answers")
            tap.ok(not probe.open, "IPv%d: firewalld rejects it" % family, probe.result)
            now = {one["id"]: one["attempts"] for one in daemon.status()["flows"]}
            tap.ok(now["https-in"] > used["https-in"], "IPv%d: spefw lets it pass" % family)
        status = daemon.wait_status(lambda now: now["blocked"]["findings"] and resolved(daemon, now),
                                    "firewalld's rule is found")
        [found] = status["blocked"]["findings"]
        tap.equal([(found[key]) for key in ("family", "table", "chain", "does", "owner", "may")],
                  ["inet", "firewalld", "filter_FORWARD", "reject", "firewalld", False],
                  "it is named, and none of a zone that none of its interfaces is in")
        tap.ok("handle %d\n" % found["handle"] in lab.run("gateway", "nft", "-a", "list", "chain", "inet", "firewalld",
                                                          "filter_FORWARD").stdout.replace(" # ", "\n"),
               "by a handle that is there", found)
        tap.equal((status["health"], daemon.reason_codes(status), status["guards"]["repaired"]),
                  ("degraded", ["blocked"], 0), "health says so, and nothing else")
        for _ in range(2):  # a second time it does no harm
            lab.run("gateway", "sh", "-c", found["remedy"], env=fire.env)
        open_to(tap, lab, [one for one in flows_of_firewalld() if one[2] != 4443], "the remedy: ")
        no_alarm(tap, daemon, "the remedy: ")


# As docker 20 to 28 makes them for a container with two published ports, one of them a port of a flow.
CONTAINER = {4: "172.17.0.2", 6: "fd00:17::2"}
BRIDGE = {4: "172.17.0.1/16", 6: "fd00:17::1/64"}
NETWORK = {4: "172.17.0.0/16", 6: "fd00:17::/64"}
LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
DOCKER = """-t filter -N DOCKER
-t filter -N DOCKER-USER
-t filter -N DOCKER-ISOLATION-STAGE-1
-t filter -N DOCKER-ISOLATION-STAGE-2
-t filter -P FORWARD DROP
-t filter -A FORWARD -j DOCKER-USER
-t filter -A FORWARD -j DOCKER-ISOLATION-STAGE-1
-t filter -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-t filter -A FORWARD -o docker0 -j DOCKER
-t filter -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-t filter -A FORWARD -i docker0 -o docker0 -j ACCEPT
-t filter -A DOCKER -d %(container)s ! -i docker0 -o docker0 -p tcp -m tcp --dport 443 -j ACCEPT
-t filter -A DOCKER -d %(container)s ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-t filter -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-t filter -A DOCKER-ISOLATION-STAGE-1 -j RETURN
-t filter -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-t filter -A DOCKER-ISOLATION-STAGE-2 -j RETURN
-t filter -A DOCKER-USER -j RETURN
-t nat -N DOCKER
-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-t nat -A OUTPUT ! -d %(loopback)s -m addrtype --dst-type LOCAL -j DOCKER
-t nat -A POSTROUTING -s %(network)s ! -o docker0 -j MASQUERADE
-t nat -A POSTROUTING -s %(container)s -d %(container)s -p tcp -m tcp --dport 443 -j MASQUERADE
-t nat -A POSTROUTING -s %(container)s -d %(container)s -p tcp -m tcp --dport 80 -j MASQUERADE
-t nat -A DOCKER -i docker0 -j RETURN
-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 443 -j DNAT --to-destination %(to)s:443
-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination %(to)s:80
"""

def container(lab):
    """A container: a machine on a bridge of the gateway, as docker makes them."""
    lab.run("gateway", "ip", "netns", "add", "box")
    lab.at_close(lambda: lab.run("gateway", "ip", "netns", "del", "box"))
    lab.sysctl("box", "ipv6/conf/default/accept_dad", 0)
    lab.ip("gateway", "link add docker0 type bridge", "link add veth0 type veth peer name eth0 netns box",
           "link set veth0 master docker0", "link set docker0 up", "link set veth0 up",
           "addr add %s dev docker0" % BRIDGE[4], "addr add %s dev docker0 nodad" % BRIDGE[6])
    lab.ip("box", "link set lo up", "link set eth0 up", "addr add %s/16 dev eth0" % CONTAINER[4],
           "addr add %s/64 dev eth0 nodad" % CONTAINER[6],
           "route add default via 172.17.0.1", "route add default via fd00:17::1")
    lab.wait_neighbours("box", CONTAINER[6])


def docker_rules(lab, family):
    """None, or why this kernel has not all of them."""
    program = {4: "iptables-nft", 6: "ip6tables-nft"}[family]
    more = {"container": CONTAINER[family], "loopback": LOOPBACK[family], "network": NETWORK[family],
            "to": "[%s]" % CONTAINER[6] if family == 6 else CONTAINER[4]}
    for line in (DOCKER % more).splitlines():
        done = lab.run("gateway", program, *line.split(), check=False)
        if done.returncode:
            return "%s %s: %s" % (program, line, done.stderr.strip())
    return None


def mend_docker(tap, lab, daemon):
    """Docker's policies are found, and mended in the chain that its documentation has for it."""
    status = daemon.wait_status(lambda now: len(now["blocked"]["findings"]) == 2 and resolved(daemon, now),
                                "docker's policies are found")
    found = status["blocked"]["findings"]
    tap.equal(sorted((one["family"], one["chain"], one["does"], one["owner"], one["may"]) for one in found),
              [("ip", "FORWARD", "policy", "docker", False), ("ip6", "FORWARD", "policy", "docker", False)],
              "docker's policies are named")
    tap.equal(set(daemon.reason_codes(status)), {"blocked"}, "health says so, and nothing else")
    for one in found:
        tap.ok(" -I DOCKER-USER -d " in one["remedy"], "the remedy is for its own chain", one["remedy"])
        lab.run("gateway", "sh", "-ec", one["remedy"].replace("iptables", "iptables-nft").replace(
            "ip6tables", "ip6tables-nft"))


def docker(tap):
    """A container with published ports: docker's policy drops what spefw allows until it is configured not to;
    then all works, without alarm."""
    if missing(tap, "docker", "iptables-nft", "ip6tables-nft"):
        return
    with Lab(tap) as lab:
        container(lab)
        refused = [one for one in (docker_rules(lab, family) for family in FAMILIES) if one]
        if refused:
            tap.skip("docker", "this kernel refuses its rules: " + refused[0])
            return
        lab.dns(NAMES)
        for machine in ("server", "internet"):
            lab.serve(machine, tcp=[443, 8470])
        lab.serve("box", tcp=[80, 443])
        for mode in ("prevent", "block"):
            daemon = lab.spefwd(lab.config(gateway="interception = " + mode))
            title = "docker, interception = %s: " % mode
            if mode == "prevent":
                for family in FAMILIES:
                    used = {one["id"]: one["attempts"] for one in daemon.status()["flows"]}
                    probe = Probe("client", SERVER[family], 443)
                    wait_for(lambda: {one["id"]: one["attempts"] for one in daemon.status()["flows"]}["https-in"]
                             > used["https-in"], "spefw lets it pass")
                    open_to(tap, lab, [("client", GATEWAY["wan2"][family], 443, "box",
                                        "IPv%d: a published port" % family)], title)
                    probe.step()
                    tap.equal(probe.result, None, "%sIPv%d: docker's policy of FORWARD drops it" % (title, family))
                    probe.close()
                mend_docker(tap, lab, daemon)
            for family in FAMILIES:
                ipv = "%sIPv%d: " % (title, family)
                open_to(tap, lab, (
                    ("client", SERVER[family], 443, "server", "to the server"),
                    ("server", EXCHANGE[family], 443, "internet", "from the server"),
                    ("client", GATEWAY["wan2"][family], 8080, "box", "a published port"),
                    ("client", GATEWAY["wan2"][family], 443, "box", "a published port that is a flow's"),
                    ("server", GATEWAY["lan"][family], 443, "box", "a published port that the server uses"),
                    ("box", EXCHANGE[family], 443, "internet", "the container to the internet"),
                    ("box", SERVER[family], 443, "server", "the container to the server"),
                    ("gateway", GATEWAY["lan"][family], 8080, "box", "the gateway to its own published port"),
                    ("gateway", SERVER[family], 443, "server", "the gateway to the server")), ipv)
                with lab.connect("box", SERVER[family], 443) as connection:
                    tap.equal(connection.greeting[2], GATEWAY["lan"][family], ipv + "the container is masqueraded")
                closed_to(tap, lab, "box", SERVER[family], 8470,
                          ipv + "and is no administrator, whatever address it leaves with")
            no_alarm(tap, daemon, title)
            daemon.stop()


if __name__ == "__main__":
    main(firewalld, firewalld_denies, docker)
