#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The vendor's host by its name: its addresses change, and the server's way to it follows."""
import os
import sys
import time
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (  # noqa: E402
    DNS, EXCHANGE, FAMILIES, LICENSE, NARROW, Lab, Sniffer, dns, is_syn, main, probe_all, vendor)
from lab.named import kernel  # noqa: E402

NAME = vendor.LICENSE_NAME


def opens(lab, target, port=443):
    """True when the server gets there, and each SYN of it does: the first is not dropped."""
    def ours(packet):
        return is_syn(packet) and packet.dst == target
    with Sniffer("server", keep=ours, outgoing=True) as sent, Sniffer("internet", keep=ours) as came:
        lab.connect("server", target, port).close()
    return len(sent.packets) == len(came.packets) > 0


def denied(lab, target, port=443):
    with Sniffer("internet",
                 keep=lambda packet: is_syn(packet) and packet.dst == target and packet.dport == port) as sniffer:
        [probe] = probe_all([("server", target, port, False)], lambda: lab.connect("server", target, 80).close())
    return probe.result is None and not sniffer.packets


def knows(daemon, *addresses):
    return daemon.wait_status(lambda status: set(addresses) <= set(daemon.addresses(NAME, status)),
                              "%s has %s" % (NAME, ", ".join(addresses)))


def followed(tap):
    """Another address is answered: it opens, the old one stays for a while, and DNS may fail."""
    with Lab(tap) as lab:
        server = lab.dns({NAME: list(LICENSE[0].values())}, ttl=2)
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        knows(daemon, *LICENSE[0].values())
        for family in FAMILIES:
            ipv = "IPv%d: " % family
            tap.ok(opens(lab, LICENSE[0][family]), ipv + "443 opens to the address of " + NAME)
            tap.ok(opens(lab, EXCHANGE[family]), ipv + "and to the address that ews-out names")
            tap.ok(denied(lab, LICENSE[1][family]), ipv + "and to no other")

        server.set(NAME, list(LICENSE[1].values()))
        began = time.monotonic()
        for family in FAMILIES:
            knows(daemon, LICENSE[1][family])
            tap.note("IPv%d: followed after %.1f s; the TTL is 2 s" % (family, time.monotonic() - began))
            tap.ok(opens(lab, LICENSE[1][family]), "IPv%d: the new address is open, the first SYN passes" % family)
            tap.ok(opens(lab, LICENSE[0][family]), "IPv%d: the old one still is" % family)
        entries = {entry["address"]: entry for one in daemon.status()["names"] if one["name"] == NAME
                   for entry in one["addresses"]}
        tap.ok(all(entries[address]["in_answer"] for address in LICENSE[1].values())
               and not any(entries[address]["in_answer"] for address in LICENSE[0].values()),
               "status distinguishes the old addresses from the new", entries)
        tap.ok(all(0 < entries[address]["expires_in_s"] <= 3600 for address in LICENSE[0].values()),
               "the old ones end with the grace of an hour", entries)

        server.down()
        status = daemon.wait_status(lambda now: all(one["last_error"] for one in now["names"]),
                                    "the failure of DNS is seen")
        tap.ok(all(one["state"] in ("stale", "failing") for one in status["names"]), "the names are stale then",
               status["names"])
        tap.equal([(one["code"], one["text"]) for one in daemon.status()["reasons"]],
                  [("dns-server", "DNS server %s does not answer: the last answers serve" % DNS[4])],
                  "status shows it: one reason for all names, the server by its address")
        done = daemon.ctl("status", check=False)
        tap.equal(done.returncode, 1, "spefwctl status exits with 1 while degraded")
        done = daemon.ctl("refresh", NAME, check=False)
        tap.ok(done.returncode == 1, "refresh fails and prints it", (done.returncode, done.stdout, done.stderr))
        for family in FAMILIES:
            tap.ok(opens(lab, LICENSE[0][family]) and opens(lab, LICENSE[1][family]),
                   "IPv%d: without DNS both addresses stay open" % family)

        server.set(NAME, list(LICENSE[2].values()))
        done = daemon.ctl("refresh", NAME)
        for family in FAMILIES:
            tap.ok(LICENSE[2][family] in daemon.addresses(NAME) and opens(lab, LICENSE[2][family]),
                   "IPv%d: refresh returns when the new address is open" % family)
        tap.ok("198.51.100.79" in done.stdout and "2001:db8:51::79" in done.stdout, "refresh shows what it found",
               done.stdout)
        daemon.wait_status(lambda now: now["health"] == "ok", "healthy again")
        done = daemon.ctl("refresh", "nobody.example.net", check=False)
        tap.ok(done.returncode == 1 and "nobody.example.net" in done.stderr,
               "refresh of a name that no flow uses is refused", done.stderr)


def ends_after_grace(tap):
    """An old address closes after the grace; its open connection goes on."""
    with Lab(tap) as lab:
        server = lab.dns({NAME: list(LICENSE[0].values())}, ttl=1)
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW, dns_section="grace = 3s"))
        knows(daemon, *LICENSE[0].values())
        old = {family: lab.connect("server", LICENSE[0][family], 443) for family in FAMILIES}
        server.set(NAME, list(LICENSE[1].values()))
        knows(daemon, *LICENSE[1].values())
        daemon.wait_status(lambda status: not set(LICENSE[0].values()) & set(daemon.addresses(NAME, status)),
                           "the old addresses end")
        for family in FAMILIES:
            tap.ok(denied(lab, LICENSE[0][family]), "IPv%d: after the grace the old address is closed" % family)
            tap.ok(opens(lab, LICENSE[1][family]), "IPv%d: the new one is open" % family)
            tap.ok(old[family].echo(), "IPv%d: the connection to the old one goes on" % family)
        server.set(NAME, [])
        daemon.wait_status(lambda status: not daemon.addresses(NAME, status),
                           "a name without addresses is an answer: the grace ends them")
        for family in FAMILIES:
            tap.ok(denied(lab, LICENSE[1][family]), "IPv%d: then nothing is open" % family)


def families_apart(tap):
    """One family of a name fails: the other does not notice. Odd answers change nothing."""
    with Lab(tap) as lab:
        key4, key6 = (NAME, dns.A), (NAME, dns.AAAA)
        server = lab.scripted_dns({key4: [LICENSE[0][4]], key6: [LICENSE[0][6]]}, ttl=1)
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        knows(daemon, *LICENSE[0].values())

        def state(status, family):
            return [one for one in status["names"] if one["name"] == NAME and one["family"] == "ipv%d" % family][0]
        keys = {4: key4, 6: key6}
        for number, (bad, trouble) in enumerate([(6, "servfail"), (6, "refused"), (6, "garbage"), (6, "silent"),
                                                 (4, "servfail"), (4, "garbage")]):
            good = 10 - bad
            server.answers[keys[bad]] = trouble
            daemon.wait_status(lambda status: state(status, bad)["last_error"]
                               and not state(status, good)["last_error"], "IPv%d fails by %s" % (bad, trouble))
            fresh = LICENSE[1 + number % 2][good]
            server.answers[keys[good]] = [fresh]
            daemon.wait_status(lambda status: [one["address"] for one in state(status, good)["addresses"]
                                               if one["in_answer"]] == [fresh], "IPv%d has %s" % (good, fresh))
            tap.ok(opens(lab, fresh) and opens(lab, LICENSE[0][bad]),
                   "%s for IPv%d: the other family is followed, and it serves its last answer" % (trouble, bad))
            status = daemon.status()
            tap.equal((state(status, bad)["state"], state(status, good)["last_error"]), ("stale", ""),
                      "%s for IPv%d: stale, and the other family is well" % (trouble, bad))
            tap.equal([one for one in daemon.reasons(status) if NAME in one and "(IPv%d)" % good in one], [],
                      "%s for IPv%d: health complains of no other family" % (trouble, bad))
            server.answers[keys[bad]] = [LICENSE[0][bad]]
            daemon.ctl("refresh")
            tap.equal(state(daemon.status(), bad)["last_error"], "",
                      "%s for IPv%d: over at the next answer" % (trouble, bad))
        server.answers[key4] = "truncated"
        server.truncated = [LICENSE[0][4], LICENSE[1][4], EXCHANGE[4]]
        daemon.ctl("refresh")
        tap.ok(EXCHANGE[4] in daemon.addresses(NAME) and (NAME, dns.A, "tcp") in server.queries,
               "a truncated answer is queried again over TCP")


def senseless_addresses(tap):
    """Addresses that no public name may have are refused; private ones need allow_private."""
    bad = ["127.0.0.1", "0.0.0.0", "224.0.0.5", "169.254.1.1", "255.255.255.255", "192.0.2.25", "192.0.2.1",
           "198.51.100.1", "::1", "::", "ff02::1", "fe80::1", "2001:db8:2::25", "2001:db8:2::1", "2001:db8:51::1"]
    private = ["10.1.2.3", "172.16.0.1", "192.168.0.1", "fd00::1"]
    with Lab(tap) as lab:
        lab.dns({NAME: bad + private + list(LICENSE[0].values())}, ttl=2)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        status = knows(daemon, *LICENSE[0].values())
        tap.equal(daemon.addresses(NAME, status), sorted(LICENSE[0].values()),
                  "of all answered addresses only the sensible ones are taken")
        tap.ok(sum(one["refused"] for one in status["names"]) >= len(bad), "the refused ones are counted",
               status["names"])
        tap.ok([line for line in daemon.log().split("\n") if NAME in line and "refused" in line], "and logged",
               daemon.log())
        daemon.reload(lab.config(flows=NARROW + "\n[flow license-out]\nallow_private = yes\n"))
        daemon.ctl("refresh")
        tap.equal(daemon.addresses(NAME), sorted(private + list(LICENSE[0].values())),
                  "with allow_private = yes the private ones as well")


def refused_addresses(tap):
    """A name with private addresses alone: which, and the setting that lets them in."""
    with Lab(tap) as lab:
        lab.dns({NAME: ["10.1.2.3", "fd00::1"]}, ttl=2)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        status = daemon.wait_status(lambda now: "name-refused" in daemon.reason_codes(now), "the refusal is reported")
        [reason] = [one for one in status["reasons"] if one["code"] == "name-refused"]
        tap.ok(NAME in reason["text"] and "10.1.2.3 (and 1 more) is private" in reason["text"]
               and reason["remedy"] == "allow_private = yes in [flow license-out]",
               "with the flow to set it in", reason)
        tap.equal([one["refused_addresses"] for one in status["names"]],
                  [[{"address": address, "why": "private", "allow": "flow license-out"}]
                   for address in ("10.1.2.3", "fd00::1")], "names have it, too")
        daemon.reload(lab.config(flows=NARROW + "\n[flow license-out]\nallow_private = yes\n"))
        daemon.wait_status(lambda now: now["health"] == "ok", "done so, it is healthy")
        tap.equal([one["refused_addresses"] for one in daemon.status()["names"]], [[], []], "and nothing is refused")


def family(tap):
    """A name of one family: the other one is not queried, not open, and not missed."""
    with Lab(tap) as lab:
        key4, key6 = (NAME, dns.A), (NAME, dns.AAAA)
        server = lab.scripted_dns({key4: [LICENSE[0][4]], key6: [LICENSE[0][6]]}, ttl=1)
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        knows(daemon, *LICENSE[0].values())
        old = {family: lab.connect("server", LICENSE[0][family], 443) for family in FAMILIES}
        result = daemon.reload(lab.config(flows=NARROW + "\n[name %s.]\nfamily = ipv4\n" % NAME.upper()))
        tap.equal((result["changes"], result["cut"]), (["name %s: family ipv4, was both" % NAME], 1),
                  "a reload says so, and cuts what the other one had")
        tap.ok(old[4].echo() and opens(lab, LICENSE[0][4]), "IPv4 stays")
        tap.ok(denied(lab, LICENSE[0][6]), "IPv6 is closed")
        server.answers[key6] = "servfail"
        asked = server.queries.count(key6 + ("udp",))
        daemon.ctl("refresh")
        dns.query("server", DNS[4], NAME, dns.AAAA, bound=30)
        status = daemon.status()
        tap.equal([(one["family"], one["state"]) for one in status["names"]], [("ipv4", "fresh")],
                  "names has one entry")
        tap.equal((status["health"], daemon.table() is not None), ("ok", True), "healthy, though the other one fails")
        own = server.queries.count(key6 + ("udp",)) - asked
        tap.ok(own <= 1, "spefwd has not queried it", server.queries)


def aliases(tap):
    """A name that is an alias of another."""
    with Lab(tap) as lab:
        lab.dns({"edge.example.net": list(LICENSE[2].values())}, ttl=2, aliases={NAME: "edge.example.net"})
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        knows(daemon, *LICENSE[2].values())
        for family in FAMILIES:
            tap.ok(opens(lab, LICENSE[2][family]), "IPv%d: the alias is followed" % family)


def remembered(tap):
    """A start without DNS serves the last known addresses, from the disk."""
    with Lab(tap) as lab:
        server = lab.dns({NAME: list(LICENSE[0].values())}, ttl=2)
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        knows(daemon, *LICENSE[0].values())
        tap.equal(daemon.stop(), 0, "the daemon ends well")
        server.down()
        done = daemon.run("spefwd", "--clear")
        tap.ok(done.returncode == 0 and daemon.table() is None, "its table is removed", done.stderr)
        daemon.start()
        for family in FAMILIES:
            tap.ok(opens(lab, LICENSE[0][family]), "IPv%d: the last known address is open" % family)
            tap.ok(denied(lab, LICENSE[1][family]), "IPv%d: no other" % family)
        origins = {entry["origin"] for one in daemon.status()["names"] for entry in one["addresses"]}
        tap.equal(origins, {"remembered"}, "status shows where they are from")


def system_resolver(tap):
    """servers = system: resolv.conf is read again when it changes."""
    with Lab(tap) as lab:
        lab.dns({NAME: list(LICENSE[0].values())}, ttl=2)
        with open("/run/resolv.conf", "w", encoding="ascii") as file:
            file.write("nameserver %s\n" % LICENSE[1][4])
        daemon = lab.spefwd(lab.config(flows=NARROW).replace("servers = " + DNS[4], "servers = system"))
        daemon.wait_status(lambda status: all(one["last_error"] for one in status["names"]), "nobody answers there")
        with open("/run/resolv.conf", "w", encoding="ascii") as file:
            file.write("search example.net\nnameserver %s\nnameserver %s\n" % (DNS[6], DNS[4]))
        knows(daemon, *LICENSE[0].values())
        tap.ok(True, "the new resolver is queried")
        tap.equal(daemon.status()["names"][0]["last_error"], "", "and no error is left")


def unknown_at_first(tap):
    """Until the name is known, 443 is closed; the rest is open."""
    with Lab(tap) as lab:
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW))
        for family in FAMILIES:
            tap.ok(denied(lab, LICENSE[0][family]), "IPv%d: closed without an answer" % family)
            tap.ok(opens(lab, EXCHANGE[family]), "IPv%d: what needs no name is open" % family)
        status = daemon.wait_status(lambda now: all(one["last_error"] for one in now["names"]), "the failure is seen")
        tap.ok(status["health"] == "degraded" and status["names"][0]["state"] in ("failing", "empty"),
               "status shows it",
               status)
        lab.dns({NAME: list(LICENSE[0].values())}, ttl=2)
        knows(daemon, *LICENSE[0].values())
        for family in FAMILIES:
            tap.ok(opens(lab, LICENSE[0][family]), "IPv%d: open with the first answer" % family)


def observed(tap):
    """What the server's resolver answers to the server is learned at once, long before spefwd would query again."""
    with Lab(tap) as lab:
        server = lab.dns({NAME: list(LICENSE[0].values())}, ttl=600)
        lab.serve("internet", tcp=[80, 443])
        daemon = lab.spefwd(lab.config(flows=NARROW).replace("min_interval = 1s", "min_interval = 10m"))
        knows(daemon, *LICENSE[0].values())
        server.set(NAME, list(LICENSE[1].values()))
        for family, kind in ((4, dns.A), (6, dns.AAAA)):
            # (To try it would be a denial, for which spefwd queries by itself, half a second after it did last.)
            tap.ok(LICENSE[1][family] not in kernel(lab, NAME, family), "IPv%d: the new address is unknown" % family)
            answer = dns.query("server", DNS[family], NAME, kind, bound=30)
            tap.equal([address for address, _ in answer[1]], [LICENSE[1][family]],
                      "IPv%d: the server queries it" % family)
            status = knows(daemon, LICENSE[1][family])
            tap.ok(opens(lab, LICENSE[1][family]), "IPv%d: it is open" % family)
            origins = {entry["address"]: entry["origin"] for one in status["names"] for entry in one["addresses"]}
            tap.equal(origins[LICENSE[1][family]], "observed", "IPv%d: status shows where it is from" % family)
        server.set("other.example.net", [LICENSE[2][4]])
        dns.query("server", DNS[4], "other.example.net", dns.A, bound=30)
        tap.ok(denied(lab, LICENSE[2][4]), "another name's answer opens nothing")


if __name__ == "__main__":
    main(followed, ends_after_grace, families_apart, senseless_addresses, refused_addresses, family,
         aliases, remembered, system_resolver,
         unknown_at_first, observed)
