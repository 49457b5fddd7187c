#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A bridge that carries the server past the hooks is reported, as long as it does;
one that the gateway routes to is none."""
import os
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, LICENSE, Lab, RawSender, Sniffer, is_syn, main, vendor, wait_for  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
SERVER = {family: ADDRESS[family]["server"] for family in FAMILIES}
NEAR = {4: "192.0.2.140", 6: "2001:db8:2::140"}
SYSCTLS = {4: "bridge-nf-call-iptables", 6: "bridge-nf-call-ip6tables"}


def bridged(lab, hooks=0):
    """The server and the client on ports of one bridge that the gateway has its address on; hooks None:
    this kernel has none."""
    lab.ip("gateway", "addr flush dev lan", "addr flush dev wan2", "link add br0 type bridge",
           "link set lan master br0", "link set wan2 master br0",
           "link set br0 up", "addr add 192.0.2.1/24 dev br0", "addr add 2001:db8:2::1/64 dev br0 nodad")
    lab.ip("client", "addr flush dev eth0 scope global", "addr add 192.0.2.140/24 dev eth0",
           "addr add 2001:db8:2::140/64 dev eth0 nodad",
           "route replace default via 192.0.2.1", "route replace default via 2001:db8:2::1")
    lab.wait_neighbours("gateway", "2001:db8:2::1")
    lab.wait_neighbours("client", NEAR[6])
    filtering(lab, hooks)


def filtering(lab, *values):
    """IPv4's, IPv6's, or one for both."""
    for family, value in zip(FAMILIES, values * 2 if len(values) == 1 else values):
        lab.sysctl("gateway", "bridge/" + SYSCTLS[family], value)


def has_hooks(tap, lab):
    with lab.inside("gateway"):
        if os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
            return True
    tap.skip("br_netfilter", "this kernel has none: modprobe br_netfilter")
    return False


def speak(lab, families=FAMILIES):
    """Whoever has to be known at the gateway, and behind which port, sends something."""
    for family in families:
        lab.connect("gateway", SERVER[family], 443).close()
        lab.connect("gateway", NEAR[family], 443).close()


def bridge_reasons(daemon):
    """Each with its remedy."""
    return [reason["text"] + " -> " + reason.get("remedy", "") for reason in daemon.status()["reasons"]
            if reason["code"] in ("bridge", "bridges-unreadable")]


def becomes(tap, daemon, words, title):
    """The reasons that speak of bridges are one with these words, or none."""
    def right():
        reasons = bridge_reasons(daemon)
        return len(reasons) == bool(words) and all(word in "".join(reasons) for word in words)
    try:
        wait_for(right, title, bound=30, pause=0.2)
    except TimeoutError:
        pass
    tap.ok(right(), title, bridge_reasons(daemon))


def reaches(lab, family):
    """Whether the neighbour's SYN to a closed port reaches the server."""
    with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport == 3389) as sniffer:
        with RawSender("client", NEAR[family], SERVER[family]) as sender:
            sender.tcp(30000 + family, 3389)
        lab.connect("client", SERVER[family], 443).close()
    return bool(sniffer.packets)


def health(tap):
    """One port has the server behind it, another the default next hop."""
    with Lab(tap) as lab:
        bridged(lab)
        hooks = has_hooks(tap, lab)
        lab.dns(NAMES)
        lab.serve("server", tcp=[443, 3389])
        lab.serve("client", tcp=[443])
        daemon = lab.spefwd(lab.config())
        speak(lab)
        tap.equal(bridge_reasons(daemon), [], "its next hop is elsewhere: the gateway routes to the bridge")
        lab.ip("gateway", "route add default via 203.0.113.10", "route add default via 2001:db8:3::10")
        tap.equal(bridge_reasons(daemon), [], "by another interface")
        lab.ip("gateway", "route replace default via %s" % NEAR[4])
        speak(lab)
        becomes(tap, daemon, ["bridge br0 ", "(at lan)", NEAR[4], "(at wan2)", "bridge-nf-call-iptables=1"],
                "the next hop is behind another port")
        tap.equal(daemon.status()["health"], "degraded", "health is degraded")
        tap.ok("bridge br0 carries" in daemon.log(), "and the log shows it")
        for family in FAMILIES:
            tap.ok(reaches(lab, family), "IPv%d: it is so" % family)
        lab.run("gateway", "ip", "link", "set", "br0", "type", "bridge", "fdb_flush")
        becomes(tap, daemon, ["bridge br0 "], "when the bridge has forgotten who is where")
        speak(lab)
        if hooks:
            filtering(lab, 1)
            becomes(tap, daemon, [], "its frames are filtered")
            for family in FAMILIES:
                tap.ok(not reaches(lab, family), "IPv%d: it is so" % family)
            filtering(lab, 1, 0)
            becomes(tap, daemon, ["bridge br0 ", "IPv6", "bridge-nf-call-ip6tables=1"], "those of IPv4 alone")
            lab.run("gateway", "ip", "link", "set", "br0", "type", "bridge", "nf_call_iptables", "1",
                    "nf_call_ip6tables", "1")
            filtering(lab, 0)
            becomes(tap, daemon, [], "by the bridge's own setting")
            lab.run("gateway", "ip", "link", "set", "br0", "type", "bridge", "nf_call_iptables", "0",
                    "nf_call_ip6tables", "0")
            becomes(tap, daemon, ["bridge br0 "], "no more")
        lab.ip("gateway", "link set wan2 nomaster")
        becomes(tap, daemon, [], "a port less")
        lab.ip("gateway", "link set wan2 master br0")
        speak(lab)
        becomes(tap, daemon, ["bridge br0 "], "it is back")
        lab.ip("gateway", "route del default via %s" % NEAR[4])
        becomes(tap, daemon, [], "the next hop is another one")


def two_wires(tap):
    """Frames of one VLAN don't reach another."""
    with Lab(tap) as lab:
        bridged(lab)
        lab.serve("server", tcp=[443])
        lab.serve("client", tcp=[443])
        daemon = lab.spefwd(lab.config())
        lab.ip("gateway", "route add default via %s" % NEAR[4])
        speak(lab)
        becomes(tap, daemon, ["bridge br0 "], "one wire")
        done = lab.run("gateway", "ip", "link", "set", "br0", "type", "bridge", "vlan_filtering", "1", check=False)
        if done.returncode != 0:
            tap.skip("VLANs", "this kernel's bridges have none: " + done.stderr.strip())
            return
        lab.run("gateway", "bridge", "vlan", "add", "dev", "wan2", "vid", "20", "pvid", "untagged")
        lab.run("gateway", "bridge", "vlan", "add", "dev", "br0", "vid", "20", "self")
        lab.run("gateway", "ip", "link", "set", "br0", "type", "bridge", "fdb_flush")
        with RawSender("client", NEAR[4], ADDRESS[4]["gateway"]) as sender:
            sender.echo()  # its frame is seen in its own VLAN
        wait_for(lambda: " vlan 20 " in lab.run("gateway", "bridge", "fdb", "show", "dev", "wan2", "dynamic").stdout,
                 "it is seen there")
        lab.connect("gateway", SERVER[4], 443).close()
        becomes(tap, daemon, [], "another VLAN is another wire")


def bare(tap):
    """The bridge has no address: the gateway knows both of its ends by another interface of the same network."""
    with Lab(tap) as lab:
        lab.ip("gateway", "addr flush dev lan", "addr flush dev wan2", "link add br0 type bridge",
               "link add plug type veth peer name socket", "link set lan master br0", "link set wan2 master br0",
               "link set socket master br0 up", "link set br0 up", "addr add 192.0.2.1/24 dev plug",
               "addr add 2001:db8:2::1/64 dev plug nodad", "link set plug up", "route add default via %s" % NEAR[4])
        lab.ip("client", "addr flush dev eth0 scope global", "addr add 192.0.2.140/24 dev eth0",
               "addr add 2001:db8:2::140/64 dev eth0 nodad")
        lab.wait_neighbours("gateway", "2001:db8:2::1")
        lab.wait_neighbours("client", NEAR[6])
        filtering(lab, 0)
        lab.serve("server", tcp=[443])
        lab.serve("client", tcp=[443])
        daemon = lab.spefwd(lab.config())
        speak(lab)
        becomes(tap, daemon, ["bridge br0 ", "(at lan)", "(at wan2)"], "a bridge without an address")
        if has_hooks(tap, lab):
            filtering(lab, 1)
            becomes(tap, daemon, [], "its frames are filtered")


if __name__ == "__main__":
    main(health, two_wires, bare)
