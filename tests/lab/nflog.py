# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that listens to an NFLOG group, as spefwd does: it takes the group from it, or records what the kernel
sends. And one that holds packets back by NFQUEUE."""
import errno
import os
import socket
import struct

from . import namespaces
from .background import Background
from .netlink import NETLINK_NETFILTER, NLMSG_ERROR, attribute, attributes

QUEUE, ULOG, CONFIG = 3, 4, 1
VERDICT, VERDICT_HEADER, PACKET_HEADER = 1, 2, 1
NF_DROP, NF_ACCEPT = 0, 1
CFG_CMD, CFG_MODE, CMD_BIND, COPY_PACKET = 1, 2, 1, 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4


class Group(Background):
    """Has the group until close(). Raises OSError (EPERM) where another program has it."""

    def __init__(self, machine, group):
        self.datagrams = []
        with namespaces.inside(machine):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(30)
        body = struct.pack("!BBH", 0, 0, group) + attribute(CFG_CMD, struct.pack("B", CMD_BIND)) \
            + attribute(CFG_MODE, struct.pack("!IBB", 0xFFFF, COPY_PACKET, 0))
        self._socket.send(struct.pack("=IHHII", 16 + len(body), ULOG << 8 | CONFIG, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
                          + body)
        while True:
            reply = self._socket.recv(1 << 17)
            _, kind = struct.unpack_from("=IH", reply)
            if kind == NLMSG_ERROR:
                break
        number = -struct.unpack_from("=i", reply, 16)[0]
        if number:
            self._socket.close()
            raise OSError(number, "%s: NFLOG group %d: %s" % (machine, group, os.strerror(number)))
        self._socket.settimeout(0.05)
        self._begin()

    def _run(self):
        while not self._ends:
            try:
                self.datagrams.append(self._socket.recv(1 << 18))
            except socket.timeout:
                pass
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def _release(self):
        self._socket.close()


class Queue:
    """Holds packets back that a rule `queue num N` sends here, until release()."""

    def __init__(self, machine, number):
        self._number = number
        with namespaces.inside(machine):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(30)
        # struct nfqnl_msg_config_cmd and _params
        self._send(NLM_F_REQUEST | NLM_F_ACK, CONFIG + 1, attribute(1, struct.pack("!BxH", CMD_BIND, 0))
                   + attribute(2, struct.pack("!IB", 0, COPY_PACKET - 1)))
        error = -struct.unpack_from("=i", self._socket.recv(1 << 17), 16)[0]
        if error:
            self._socket.close()
            raise OSError(error, "%s: queue %d: %s" % (machine, number, os.strerror(error)))

    def _send(self, flags, kind, body):
        body = struct.pack("!BBH", 0, 0, self._number) + body
        self._socket.send(struct.pack("=IHHII", 16 + len(body), QUEUE << 8 | kind, flags, 1, 0) + body)

    def wait(self, family):
        """The number of the next packet of the family that is held. One of the other is what was sent again meanwhile:
        it is dropped."""
        while True:
            datagram = self._socket.recv(1 << 17)
            packet, protocol = struct.unpack("!IH", dict(attributes(datagram[20:]))[PACKET_HEADER][:6])
            if protocol == {4: 0x0800, 6: 0x86DD}[family]:
                return packet
            self._verdict(NF_DROP, packet)

    def _verdict(self, verdict, packet):
        self._send(NLM_F_REQUEST, VERDICT, attribute(VERDICT_HEADER, struct.pack("!II", verdict, packet)))

    def release(self, packet):
        self._verdict(NF_ACCEPT, packet)

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
