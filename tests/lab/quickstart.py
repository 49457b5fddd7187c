# SPDX-License-Identifier: GPL-2.0-or-later
"""What packaging/quickstart shows: the real daemon and a real DNS server in a network of namespaces.

    SPEFW_BUILD=DIR PYTHONPATH=tests python3 -m lab.quickstart"""
import re
import sys
import time

from . import (
    ADDRESS, DNS, EXCHANGE, FAMILIES, LICENSE, NARROW, Failed, Lab, Sniffer, dns, is_syn, namespaces, probe_all,
    udp_exchange, vendor)
from .topology import __doc__ as map_of_the_lab

MAIL, AUTHORITY, STRANGER = ({4: "198.51.100.%d" % last, 6: "2001:db8:51::%d" % last} for last in (26, 90, 79))

PEOPLE = {"client": "anybody", "admin": "administrator", "server": "the server", "internet": "the internet"}


class Table:
    """Probes as they are made, and how many did not come out as they should."""

    def __init__(self, lab):
        self.lab, self.rows, self.wrong = lab, [], 0
        self.colour = sys.stdout.isatty()

    def add(self, flow, what, expected, results):
        """results: one per family, True where it passed."""
        right = all(result == expected for result in results)
        self.wrong += not right
        got = ("passes" if all(results) else "denied" if not any(results)
               else "IPv4 %s, IPv6 %s" % tuple("passes" if one else "denied" for one in results))
        mark = "as it should" if right else "WRONG: should %s" % ("pass" if expected else "be denied")
        if self.colour:
            mark = "\033[%sm%s\033[0m" % ("32" if right else "1;31", mark)
        self.rows.append((flow, what, got, mark))

    def tcp(self, flow, source, who, targets, port, expected, label=None):
        """A connection in both families; for one that must not pass, its SYN must not arrive either."""
        results = []
        for family in FAMILIES:
            target = targets[family]
            with Sniffer(who, keep=lambda packet: is_syn(packet) and packet.dport == port
                         and packet.dst == target) as sniffer:
                [probe] = probe_all([(source, target, port, expected)], lambda:
                                    self.lab.connect(source, target, 443 if who == "server" else 80).close(), bound=10)
            results.append(probe.open if expected else probe.open or bool(sniffer.packets))
        self.add(flow, "%s to %s, TCP %d" % (PEOPLE[source], label or PEOPLE[who], port), expected, results)

    def print(self):
        widths = [max(len(row[column]) for row in self.rows) for column in range(3)]
        for row in self.rows:
            print("  " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[3]]))
        sys.stdout.flush()
        self.rows = []


def heading(text):
    print("\n" + text, flush=True)


def vendors_flows(table):
    everyone = {"CA": (AUTHORITY, "a certificate authority"), "ANY": (MAIL, "a mail server")}
    for flow in vendor.FLOWS:
        if flow.id == "icewarp-out":
            continue
        if flow.target == "SERVER":
            table.tcp(flow.id, "admin" if flow.source == "ADM" else "client", "server",
                      {f: ADDRESS[f]["server"] for f in FAMILIES}, flow.port, True)
        elif flow.target == vendor.LICENSE_NAME:
            table.tcp(flow.id, "server", "internet", LICENSE[0], flow.port, True, vendor.LICENSE_NAME)
        elif flow.id == "ews-out":
            table.tcp(flow.id, "server", "internet", EXCHANGE, flow.port, True, "the Exchange server")
        else:
            target, label = everyone[flow.target]
            label = "a directory" if flow.id.startswith("ldap") else label
            table.tcp(flow.id, "server", "internet", target, flow.port, True, label)
    table.add("dns-out", "the server queries its resolver", True,
              [bool(dns.query("server", DNS[family], vendor.LICENSE_NAME, dns.A, bound=10)) for family in FAMILIES])


def must_not_pass(table):
    server = {family: ADDRESS[family]["server"] for family in FAMILIES}
    table.tcp("(console-in)", "client", "server", server, 8470, False, "the server's console")
    table.tcp("(api-in)", "client", "server", server, 8474, False, "the server's API")
    table.tcp("-", "client", "server", server, 3389, False, "the server's remote desktop")
    table.tcp("-", "admin", "server", server, 445, False, "the server's shares")
    table.tcp("(crl)", "client", "server", server, 80, False)
    table.tcp("(license-out)", "server", "internet", STRANGER, 443, False, "a stranger")
    table.tcp("-", "server", "internet", MAIL, 25, False, "a mail server")
    table.add("-", "the server to a stranger, UDP 5000", False,
              [udp_exchange("server", STRANGER[family], 5000, bound=0.5) for family in FAMILIES])
    table.add("-", "anybody to the internet, UDP 5000 (not the server's)", True,
              [udp_exchange("client", ADDRESS[family]["internet"], 5000) for family in FAMILIES])


def tour():
    with Lab() as lab:
        heading("A small network is set up in namespaces of its own; yours is not touched.")
        print(map_of_the_lab.split("\n\n", 1)[1].rstrip())
        name_server = lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())}, ttl=2)
        ports = vendor.PORTS + [25, 445, 3389]
        for machine in ("server", "internet"):
            lab.serve(machine, tcp=ports, udp=[5000])
        config = lab.config(flows=NARROW)
        heading("spefwd guards the server by this configuration:")
        print("\n".join("    " + line for line in re.sub(r"\n{3,}", "\n\n", config).strip().split("\n")))
        daemon = lab.spefwd(config)
        try:
            daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2,
                               vendor.LICENSE_NAME + " is resolved")
            table = Table(lab)
            heading("The vendor's flows, over real connections, IPv4 and IPv6:")
            vendors_flows(table)
            table.print()
            heading("What must not pass, and what is none of spefwd's business:")
            must_not_pass(table)
            table.print()

            heading("%s moves from %s to %s (the TTL is 2 s):" % (vendor.LICENSE_NAME, LICENSE[0][4], LICENSE[1][4]))
            table.tcp("license-out", "server", "internet", LICENSE[1], 443, False, "the new address, before")
            name_server.set(vendor.LICENSE_NAME, list(LICENSE[1].values()))
            began = time.monotonic()
            daemon.wait_status(lambda status: set(LICENSE[1].values())
                               <= set(daemon.addresses(vendor.LICENSE_NAME, status)), "the move is followed")
            took = time.monotonic() - began
            table.tcp("license-out", "server", "internet", LICENSE[1], 443, True, "the new address, after")
            table.tcp("license-out", "server", "internet", LICENSE[0], 443, True, "the old one, for the grace of 1 h")
            table.print()
            print("  followed after %.1f s" % took)

            for verb in ("status", "drops"):
                heading("spefwctl %s:" % verb)
                done = daemon.ctl(verb, check=False)
                print("\n".join("    " + line for line in (done.stdout + done.stderr).rstrip().split("\n")))
                if done.returncode != 0:
                    table.wrong += 1
                    print("  WRONG: spefwctl %s ended with %d" % (verb, done.returncode))
            if table.wrong == 0:
                heading("All of it is as it should be. Next: README.md, or `spefwctl --help`.")
            else:
                heading("NOT as it should be: %d of the above. spefwd logged:\n%s" % (table.wrong, daemon.log()))
            return 1 if table.wrong else 0
        except (Failed, OSError, TimeoutError) as error:
            heading("This went wrong: %s\nspefwd logged:\n%s" % (error, daemon.log()))
            return 1


if __name__ == "__main__":
    try:
        namespaces.enter()
    except namespaces.Refused as refused:
        print("Network namespaces are needed to show spefw without touching your network, but\n%s" % refused,
              file=sys.stderr)
        sys.exit(1)
    sys.exit(tour())
