# SPDX-License-Identifier: GPL-2.0-or-later
"""A network of namespaces around one gateway, for system tests and the quickstart.

    from lab import Lab, main

    def the_server_is_open(tap):
        with Lab(tap) as lab:
            lab.spefwd(lab.config())
            lab.serve("server", tcp=[443])
            tap.ok(lab.connect("client", "192.0.2.25", 443).echo(), "https from anywhere")

    main(the_server_is_open)
"""
import os

from .daemon import BUILD, Daemon, NotReady, VarlinkError, counters, frozen, program
from .dns import DnsServer, ScriptedDns
from .namespaces import Refused, enter, has_second_user
from .packets import ACK, FIN, PSH, RST, SYN, RawSender, Sniffer, is_syn, ping
from .services import Listener, Probe, connect, probe_all, udp_exchange
from .tap import HANG, Tap, main, wait_for
from .topology import ADDRESS, DNS, EXCHANGE, FAMILIES, GATEWAY, INTERFACE_OF, LICENSE, MACHINES, Failed, Network
from . import browser, dns, proxy, tls, vendor

RULESET = os.environ.get("SPEFW_LAB_RULESET")


class Lab(Network):
    """The network, with shorthands for what most tests do. With a Tap, a failure prints the daemon's log."""

    def __init__(self, tap=None):
        super().__init__()
        self._tap = tap
        self.daemon = None

    def guard(self, config_text):
        """spefwd(), or with SPEFW_LAB_RULESET=FILE that file of nft rules instead and None: so one sees that a test
        judges the traffic and not the daemon, and can try a ruleset from `spefwctl export nft` by itself."""
        if RULESET is None:
            return self.spefwd(config_text)
        with open(RULESET, encoding="utf-8") as file:
            self.nft("gateway", file.read())
        return None

    def spefwd(self, config_text, wait=True, args=(), programs=BUILD):
        """Starts the gateway's daemon, from that folder; the Daemon is also lab.daemon."""
        self.daemon = Daemon(self, config_text, args=args, programs=programs)
        if self._tap is not None:
            self.log_on_failure(self._tap, self.daemon)
        self.daemon.start(wait)
        return self.daemon

    def on_failure(self, tap, show):
        """Where a section fails while this network is there, show() prints what helps to understand."""
        tap.on_failure.append(show)
        self.at_close(lambda: tap.on_failure.remove(show))

    def log_on_failure(self, tap, daemon):
        self.on_failure(tap, lambda: daemon.show_log(tap))

    def ctl(self, *args, **more):
        return self.daemon.ctl(*args, **more)

    def serve(self, machine, tcp=(), udp=()):
        listener = Listener(machine, tcp, udp)
        self.at_close(listener.close)
        return listener

    def dns(self, records=None, ttl=2, aliases=None):
        server = DnsServer(self, records, ttl, aliases)
        self.at_close(server.down)
        return server

    def scripted_dns(self, answers, **more):
        server = ScriptedDns(answers, **more)
        self.at_close(server.close)
        return server

    def connect(self, machine, target, port, **more):
        return connect(machine, target, port, **more)

    @staticmethod
    def config(extra="", server="192.0.2.25 2001:db8:2::25", adm="203.0.113.0/24 2001:db8:3::/64", gateway="", flows="",
               dns_section=""):
        """The lab's usual configuration: the vendor's flows as they are, quick DNS, no surprises.

        gateway, dns_section: more lines of these sections; flows: more sections."""
        return """[server]
address = %s
resolvers = %s %s

[gateway]
mode = enforce
%s

[dns]
servers = %s
min_interval = 1s
%s

[role ADM]
members = %s

%s
%s""" % (server, DNS[4], DNS[6], gateway, DNS[4], dns_section, adm, flows, extra)


# The flows of 443 narrowed, so that the vendor's name alone decides.
NARROW = """[flow ews-out]
to = %s %s

[flow icewarp-out]
enabled = no
""" % (EXCHANGE[4], EXCHANGE[6])
