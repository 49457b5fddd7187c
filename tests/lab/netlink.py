# SPDX-License-Identifier: GPL-2.0-or-later
"""nf_tables and connection tracking over netlink, as far as tests need it: dumps, the generation,
and notices of changes."""
import collections
import os
import select
import socket
import struct
import threading
import time

from . import namespaces

NETLINK_NETFILTER = 12
NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_NFTABLES = 1, 10
NFPROTO_INET = 1
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NFNLGRP_NFTABLES = 7
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
(NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE, GETRULE, DELRULE, NEWSET, GETSET, DELSET,
 NEWSETELEM, GETSETELEM, DELSETELEM, NEWGEN, GETGEN, TRACE, NEWOBJ, GETOBJ, DELOBJ) = range(21)
GETFLOWTABLE = 23
GEN_ID, GEN_PID, GEN_NAME = 1, 2, 3
ELEM_LIST_TABLE, ELEM_LIST_SET, ELEM_LIST_ELEMENTS = 1, 2, 3

_EVENTS = {NEWTABLE: "table added", DELTABLE: "table deleted", NEWCHAIN: "chain added", DELCHAIN: "chain deleted",
           NEWRULE: "rule added",
           DELRULE: "rule deleted", NEWSET: "set added", DELSET: "set deleted", NEWSETELEM: "element added",
           DELSETELEM: "element deleted",
           NEWGEN: "generation", NEWOBJ: "object added", DELOBJ: "object deleted"}

# what: as in _EVENTS; name: of the set or chain, where there is one; count: of elements, else 1; port: the sender's
# netlink port; when: time.monotonic() of its arrival. A "generation" ends each transaction, also those of other tables.
Event = collections.namedtuple("Event", "what name count port when")


def attribute(kind, value):
    data = value if isinstance(value, bytes) else value.encode() + b"\0"
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def attributes(data):
    """[(kind, value)]"""
    result, at = [], 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        result.append((kind & 0x3FFF, data[at + 4:at + length]))
        at += length + (-length % 4)
    return result


def messages(datagram):
    """[(type, sender's port, what follows struct nfgenmsg)]"""
    result, at = [], 0
    while at + 16 <= len(datagram):
        length, kind, _, _, port = struct.unpack_from("=IHHII", datagram, at)
        if length < 16:
            break
        result.append((kind, port, datagram[at + 20:at + length]))
        at += length + (-length % 4)
    return result


def _open(machine):
    with namespaces.inside(machine):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    sock.bind((0, 0))
    return sock


def ask(machine, kind, *payload, dump=True, subsystem=NFNL_SUBSYS_NFTABLES, family=NFPROTO_INET):
    """The answers' datagrams, as they came."""
    with _open(machine) as sock:
        sock.settimeout(30)
        body = struct.pack("=BBH", family, 0, 0) + b"".join(payload)
        sock.send(struct.pack("=IHHII", 16 + len(body), subsystem << 8 | kind,
                              NLM_F_REQUEST | (NLM_F_DUMP if dump else 0), 1, 0) + body)
        result = []
        while True:
            datagram = sock.recv(1 << 17)
            result.append(datagram)
            kinds = [one for one, _, _ in messages(datagram)]
            if not dump or NLMSG_DONE in kinds or NLMSG_ERROR in kinds:
                return result


def generation(machine):
    """The number that grows with every change of anybody's tables."""
    [datagram] = ask(machine, GETGEN, dump=False, family=0)
    return struct.unpack("!I", dict(attributes(messages(datagram)[0][2]))[GEN_ID])[0]


def table_owner(machine, table="spefw"):
    """(flags, port of the owner or None); None where there is no such table."""
    [datagram] = ask(machine, GETTABLE, attribute(1, table), dump=False)
    kind, _, payload = messages(datagram)[0]
    if kind == NLMSG_ERROR:
        return None
    found = dict(attributes(payload))
    return struct.unpack("!I", found[2])[0], struct.unpack("!I", found[7])[0] if 7 in found else None


NLM_F_ACK, NLM_F_CREATE, NESTED = 4, 0x400, 0x8000
BATCH_BEGIN, BATCH_END = 16, 17
ELEM_KEY, ELEM_TIMEOUT, ELEM_USERDATA = 1, 4, 6
ELEMENTS_A_BATCH = 500  # fewer than 64 KiB


def _nft(kind, flags, body, family=NFPROTO_INET, resource=0, sequence=1):
    payload = struct.pack("=BBH", family, 0, socket.htons(resource)) + body
    return struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | flags, sequence, 0) + payload


def add_elements(machine, name, keys, timeout_ms, comment, table="spefw"):
    """Many elements to a set with timeouts, in far less time than nft takes: it reads the whole set each time."""
    user = comment.encode() + b"\0"
    rest = (attribute(ELEM_TIMEOUT, struct.pack("!Q", timeout_ms))
            + attribute(ELEM_USERDATA, struct.pack("BB", 0, len(user)) + user))
    with _open(machine) as sock:
        sock.settimeout(30)
        for start in range(0, len(keys), ELEMENTS_A_BATCH):
            elements = b"".join(attribute(1 | NESTED, attribute(ELEM_KEY | NESTED, attribute(1, key)) + rest)
                                for key in keys[start:start + ELEMENTS_A_BATCH])
            body = (attribute(ELEM_LIST_TABLE, table) + attribute(ELEM_LIST_SET, name)
                    + attribute(ELEM_LIST_ELEMENTS | NESTED, elements))
            sock.send(_nft(BATCH_BEGIN, 0, b"", 0, NFNL_SUBSYS_NFTABLES) +
                      _nft(NFNL_SUBSYS_NFTABLES << 8 | NEWSETELEM, NLM_F_CREATE | NLM_F_ACK, body, sequence=2) +
                      _nft(BATCH_END, 0, b"", 0, NFNL_SUBSYS_NFTABLES))
            error = struct.unpack_from("=i", sock.recv(1 << 17), 16)[0]
            if error:
                raise OSError(-error, "%s: %s" % (name, os.strerror(-error)))


class Monitor:
    """Notices of all changes of one table. close() reads what is still queued; .events is then whole."""

    def __init__(self, machine, table="spefw"):
        self.events, self.datagrams, self.lost = [], [], False
        self._table = table
        self._socket = _open(machine)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)  # as far as net.core.rmem_max goes
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
        self._socket.setblocking(False)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            ready, _, _ = select.select([self._socket, self._wake_read], [], [])
            while True:
                try:
                    datagram = self._socket.recv(1 << 17)
                except BlockingIOError:
                    break
                except OSError:  # ENOBUFS
                    self.lost = True
                    continue
                self.datagrams.append(datagram)
                self.events += [event for event in map(self._event, messages(datagram)) if event]
            if self._wake_read in ready:
                return

    def _event(self, message):
        kind, port, payload = message
        found = dict(attributes(payload))
        kind &= 0xFF
        if kind == NEWGEN:
            return Event("generation", None, 1, port, time.monotonic())
        if kind not in _EVENTS or found.get(1) != self._table.encode() + b"\0":
            return None
        count, name = 1, None
        if kind in (NEWSETELEM, DELSETELEM):
            name = found[ELEM_LIST_SET][:-1].decode()
            count = len(attributes(found.get(ELEM_LIST_ELEMENTS, b"")))
        elif kind in (NEWSET, DELSET, NEWRULE, DELRULE, NEWOBJ, DELOBJ):
            name = found[2][:-1].decode()
        elif kind in (NEWCHAIN, DELCHAIN):
            name = found[3][:-1].decode()
        return Event(_EVENTS[kind], name, count, port, time.monotonic())

    def transactions(self):
        """The events of our table, a list for each transaction that changed it."""
        result, now = [], []
        for event in list(self.events):
            if event.what != "generation":
                now.append(event)
            elif now:
                result.append(now)
                now = []
        return result

    def close(self):
        if self._socket is None:
            return self.events
        os.write(self._wake_write, b"x")
        self._thread.join()
        for one in (self._wake_read, self._wake_write):
            os.close(one)
        self._socket.close()
        self._socket = None
        return self.events

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
