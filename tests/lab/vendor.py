# SPDX-License-Identifier: GPL-2.0-or-later
"""The vendor's table for single server mode, and what it means, written down a second time.

Nothing here looks at the daemon: a test that derived its expectations from the program would prove nothing."""
from collections import namedtuple

Flow = namedtuple("Flow", "id port source target")

FLOWS = [Flow(*row) for row in (
    ("crl", 80, "ANY", "CA"),
    ("pop3-out", 110, "SERVER", "ANY"),
    ("imap-out", 143, "SERVER", "ANY"),
    ("imap-in", 143, "ANY", "SERVER"),
    ("ldap-out", 389, "SERVER", "ANY"),
    ("ews-out", 443, "SERVER", "ANY"),
    ("icewarp-out", 443, "SERVER", "ANY"),
    ("license-out", 443, "SERVER", "my.mailstore.com"),
    ("https-in", 443, "ANY", "SERVER"),
    ("smtp-out", 587, "SERVER", "ANY"),
    ("ldaps-out", 636, "SERVER", "ANY"),
    ("imaps-out", 993, "SERVER", "ANY"),
    ("imaps-in", 993, "ANY", "SERVER"),
    ("pop3s-out", 995, "SERVER", "ANY"),
    ("kerio-out", 4040, "SERVER", "ANY"),
    ("console-in", 8470, "ADM", "SERVER"),
    ("api-in", 8474, "ADM", "SERVER"),
)]

# The commands of the vendor's document for the firewall of Windows, the lines of each joined: for administrators in
# 192.0.2.0/24.
NETSH = [
    'netsh advfirewall firewall add rule name="MailStore Service Provider Edition (CAS)" '
    'action=ALLOW dir=IN protocol=TCP localport="143,443,993" profile=ANY',
    'netsh advfirewall firewall add rule name="MailStore Service Provider Edition (MGMT)" '
    'action=ALLOW dir=IN protocol=TCP localport="8470" remoteip="192.0.2.0/24" profile=ANY',
    'netsh advfirewall firewall add rule name="MailStore Service Provider Edition (MGMT)" '
    'action=ALLOW dir=IN protocol=TCP localport="8474" remoteip="192.0.2.0/24" profile=ANY',
]

LICENSE_NAME = "my.mailstore.com"
PORTS = sorted({flow.port for flow in FLOWS})
# Ports of the same machine that nobody opened: mail, remote desktop, file sharing, and neighbours of the vendor's own.
CLOSED_PORTS = [22, 25, 135, 445, 3389, 8469, 8471]


def allowed(source, target, port, flows=None):
    """The flows by which `source` may open TCP `port` of `target`; actors are 'server', 'admin' or anything else.

    The target may be named by what it stands for, as 'my.mailstore.com'."""
    roles = {"ANY"} | ({"SERVER"} if source == "server" else set()) | ({"ADM"} if source == "admin" else set())
    result = []
    for flow in FLOWS if flows is None else flows:
        if flow.port != port or flow.source not in roles:
            continue
        if target == "server":
            if flow.target == "SERVER":
                result.append(flow.id)
        elif flow.target in ("ANY", "CA", target):
            result.append(flow.id)
    return result
