# SPDX-License-Identifier: GPL-2.0-or-later
"""What is behind a name, looked at in three places: the kernel's set, `spefwctl names`,
and the way that the server has there."""
import json

from .packets import Sniffer, is_syn
from .services import probe_all
from .tap import wait_for


def flows(ports, **more):
    """Sections of flows, one a name: {name: port}. more: lines for each, as allow_private="yes"."""
    lines = "".join("%s = %s\n" % item for item in more.items())
    return "".join("[flow to-%d]\nfrom = SERVER\nto = %s\nprotocol = tcp\nport = %d\n%s\n" % (port, name, port, lines)
                   for name, port in ports.items())


# Only what the test names: no vendor's flows, and so no my.mailstore.com.
def only(config):
    return config.replace("[gateway]\n", "[gateway]\npreset = none\n")


def set_name(name, family):
    return ("wild_" + name[2:] if name.startswith("*.") else "name_" + name) + "_%d" % family


def kernel(lab, name, family):
    """{address: seconds that the kernel lets it live on}; None where there is no such set."""
    done = lab.run("gateway", "nft", "-j", "list", "set", "inet", "spefw", set_name(name, family), check=False)
    if done.returncode:
        return None
    [found] = [one["set"] for one in json.loads(done.stdout)["nftables"] if "set" in one]
    elements = [one["elem"] if isinstance(one, dict) else {"val": one} for one in found.get("elem", [])]
    return {one["val"]: one.get("expires") for one in elements}


def entries(daemon):
    """{(name, family): entry} of `spefwctl names --json`."""
    names = json.loads(daemon.ctl("names", "--json").stdout)["names"]
    return {(one["name"], int(one["family"][3:])): one for one in names}


def entry(daemon, name, family):
    return entries(daemon)[name, family]


def addresses(one):
    return sorted(address["address"] for address in one["addresses"])


def knows(daemon, name, wanted, exactly=False):
    """Waits until both families of the name have these addresses."""
    def right(status):
        have = set(daemon.addresses(name, status))
        return have == set(wanted) if exactly else have >= set(wanted)
    return daemon.wait_status(right, "%s has %s%s" % (name, "just " if exactly else "", " ".join(sorted(wanted)[:8])))


def in_state(daemon, name, family, state, error=None):
    """Waits for it; error: what last_error then is, "" for none, None for whatever."""
    def right(status):
        [one] = [one for one in status["names"] if (one["name"], one["family"]) == (name, "ipv%d" % family)]
        return one["state"] == state and (error is None or error == one["last_error"])
    return daemon.wait_status(right, "%s IPv%d is %s" % (name, family, state))


def passes(lab, target, port, wait=False):
    """True where the server gets there, and each of its SYNs does: one that is sent again for want of a timely answer
    is not one that was dropped. With wait, as soon as one that is sent again does."""
    def ours(packet):
        return is_syn(packet) and packet.dst == target and packet.dport == port
    if wait:
        lab.connect("server", target, port).close()
        return True
    with Sniffer("server", keep=ours, outgoing=True) as sent, Sniffer("internet", keep=ours) as came:
        [probe] = probe_all([("server", target, port, True)], bound=20)
    return probe.open and len(sent.packets) == len(came.packets) > 0


def closed(lab, targets, port, fence):
    """True where no SYN of the server gets there; fence = (address, port) that is open to it."""
    wanted = set(targets)
    with Sniffer("internet",
                 keep=lambda packet: is_syn(packet) and packet.dst in wanted and packet.dport == port) as sniffer:
        probes = probe_all([("server", target, port, False) for target in targets],
                           lambda: lab.connect("server", *fence).close())
    return not sniffer.packets and not any(probe.open for probe in probes)


def both_agree(tap, lab, daemon, name, wanted, title):
    """The kernel's sets and the daemon's list both hold just these addresses (of both families)."""
    for family in (4, 6):
        expected = sorted(address for address in wanted if (":" in address) == (family == 6))
        elements = kernel(lab, name, family) or {}
        listed = addresses(entry(daemon, name, family))
        tap.ok(sorted(elements) == expected == listed,
               "%s: IPv%d: %d in the kernel's set, as names lists them" % (title, family, len(expected)),
               (name, "kernel", sorted(elements)[:20], "names", listed[:20], "expected", expected[:20]))


def settled(daemon, name, wanted):
    """Waits until the name has just these addresses, in the book; the kernel is updated before the book is shown."""
    return wait_for(lambda: set(daemon.addresses(name)) == set(wanted), "%s has just %s" % (name, sorted(wanted)[:6]))
