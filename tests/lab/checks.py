# SPDX-License-Identifier: GPL-2.0-or-later
"""What many tests of the kernel's side need: with all abilities of this kernel and with none, the table's content,
is the server guarded."""
import json
import os

from .packets import Sniffer, is_syn
from .services import probe_all
from .streams import Denied
from .topology import ADDRESS, FAMILIES

CLOSED = (8470, 3389)
OBJECTS = ("chain", "set", "map", "counter")


def with_all_and_none(*functions):
    """Each function twice: with what this kernel can do, and as on a kernel that can do none of it."""
    def make(function, word):
        def run(tap):
            before = os.environ.pop("SPEFW_ABILITIES", None)
            if word == "none":
                os.environ["SPEFW_ABILITIES"] = word
            try:
                function(tap)
            finally:
                os.environ.pop("SPEFW_ABILITIES", None)
                if before is not None:
                    os.environ["SPEFW_ABILITIES"] = before
        run.__name__, run.__doc__ = "%s_%s" % (function.__name__, word), function.__doc__
        return run
    return [make(function, word) for function in functions for word in ("all", "none")]


def _strip(value):
    if isinstance(value, dict):
        return {key: _strip(one)
                for key, one in value.items() if key not in ("handle", "packets", "bytes", "expires", "timeout")}
    if isinstance(value, list):
        return [_strip(one) for one in value]
    return value


def content(table):
    """What the table means, apart from counts, handles, time left and the order in which things were made:
    comparable."""
    rules, rest = {}, []
    for one in table or []:
        if "rule" in one:
            rules.setdefault(one["rule"]["chain"], []).append(json.dumps(_strip(one["rule"]["expr"]), sort_keys=True))
        elif "table" not in one and "metainfo" not in one:
            [(kind, value)] = one.items()
            value = _strip(value)
            if value["name"].startswith("cut_"):  # what these hold is no part of it
                value.pop("elem", None)
            if "elem" in value:
                value["elem"] = sorted(json.dumps(element, sort_keys=True) for element in value["elem"])
            rest.append(json.dumps({kind: value}, sort_keys=True))
    return {"rules": rules, "rest": sorted(rest)}


def differences(before, after):
    """Lines for a failure: what two contents don't share."""
    lines = ["%s: %s -> %s" % (chain, before["rules"].get(chain), after["rules"].get(chain))
             for chain in sorted(set(before["rules"]) | set(after["rules"]))
             if before["rules"].get(chain) != after["rules"].get(chain)]
    lines += ["- " + one for one in before["rest"] if one not in after["rest"]]
    return "\n".join(lines + ["+ " + one for one in after["rest"] if one not in before["rest"]])


def handles(daemon, kinds=OBJECTS + ("rule",)):
    """{(kind, name): handle}; of rules, {("rule", chain): [handles]}."""
    result = {}
    for one in daemon.table(handles=True) or []:
        for kind in kinds:
            if kind == "rule" and kind in one:
                result.setdefault((kind, one[kind]["chain"]), []).append(one[kind]["handle"])
            elif kind in one:
                result[kind, one[kind]["name"]] = one[kind]["handle"]
    return result


def guarded(lab, closed=CLOSED, source="client"):
    """True when the server is open where it should be and nowhere else, both families."""
    for family in FAMILIES:
        server = ADDRESS[family]["server"]
        with Sniffer("server", keep=lambda packet: is_syn(packet) and packet.dport in closed
                     and packet.src == ADDRESS[family][source]) as sniffer:
            probes = probe_all([(source, server, 443, True)] + [(source, server, port, False) for port in closed],
                               lambda: lab.connect(source, server, 443).close())
        if [probe.result for probe in probes] != ["open server"] + [None] * len(closed) or sniffer.packets:
            return False
    return True


def repaired(daemon):
    return daemon.status()["guards"]["repaired"]


class DeniedStreams:
    """SYNs to closed ports of the server, of both families, while something else happens. Use as a context manager."""

    def __init__(self, machine="client", ports=CLOSED):
        self._streams = [Denied(machine, ADDRESS[family][machine], ADDRESS[family]["server"], ports, "server")
                         for family in FAMILIES]
        self.leaked = self.sent = None

    def seen(self):
        """How many came through so far."""
        return sum(len(stream._sniffer.seen()) for stream in self._streams)  # pylint: disable=protected-access

    def close(self):
        if self.leaked is None:
            for stream in self._streams:
                stream.close()
            self.leaked = sum(stream.leaked for stream in self._streams)
            self.sent = sum(stream.sent for stream in self._streams)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
