# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that listens to an NFLOG group, as spefwd does: it takes the group from it, or records what the kernel sends."""
import errno
import os
import socket
import struct
import threading

from . import namespaces
from .netlink import NETLINK_NETFILTER, NLMSG_ERROR, attribute

ULOG, CONFIG = 4, 1
CFG_CMD, CFG_MODE, CMD_BIND, COPY_PACKET = 1, 2, 1, 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4


class Group:
    """Has the group until close(). Raises OSError (EPERM) where another program has it."""

    def __init__(self, machine, group):
        self.datagrams = []
        with namespaces.inside(machine):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(30)
        body = struct.pack("!BBH", 0, 0, group) + attribute(CFG_CMD, struct.pack("B", CMD_BIND)) \
            + attribute(CFG_MODE, struct.pack("!IBB", 0xFFFF, COPY_PACKET, 0))
        self._socket.send(struct.pack("=IHHII", 16 + len(body), ULOG << 8 | CONFIG, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
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
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ends:
            try:
                self.datagrams.append(self._socket.recv(1 << 18))
            except socket.timeout:
                pass
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self):
        self._ends = True
        self._thread.join()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
