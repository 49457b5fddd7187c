# SPDX-License-Identifier: GPL-2.0-or-later
"""A service manager in small: spefwd under it finds NOTIFY_SOCKET, leaves descriptors there,
and gets them back at its next start."""
import array
import os
import socket
import subprocess
import threading

from . import namespaces
from .daemon import Daemon, program
from .tap import wait_for


class ManagedDaemon(Daemon):
    """.stored: {name: descriptor} of what the daemon has left, until forget(); .notices: all that it has sent."""

    def __init__(self, network, config, **more):
        super().__init__(network, config, **more)
        self.stored, self.notices = {}, []
        self._path = os.path.join(self.dir, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._path)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        network.at_close(self._end)

    def _listen(self):
        while True:
            message, ancillary, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(64))
            if message == b"end":
                return
            descriptors = array.array("i")
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(data[:len(data) - len(data) % descriptors.itemsize])
            words = dict(line.split("=", 1) for line in message.decode().splitlines() if "=" in line)
            if words.get("FDSTORE") == "1":
                for descriptor in descriptors:
                    self.stored[words.get("FDNAME", "stored")] = descriptor
            self.notices.append(words)

    def start(self, wait=True):
        self.notices.clear()
        env = self._environment()
        env["NOTIFY_SOCKET"] = self._path
        kept = list(self.stored.items())
        if kept:
            env["LISTEN_FDS"] = str(len(kept))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in kept)
        join = namespaces.joiner("gateway")

        def prepare():
            join()
            spare = [os.dup(descriptor) for _, descriptor in kept]
            for index, descriptor in enumerate(spare):
                os.dup2(descriptor, 3 + index)
        log = os.path.join(self.dir, "%d.log" % len(self._logs))
        argv = [program("spefwd"), "-c", self.config, "-s", self.socket, "-d", self.state] + self.args
        with open(log, "wb") as file:
            # LISTEN_PID is the number that the shell's process keeps as spefwd.
            self.process = subprocess.Popen(["sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh"] + argv,
                                            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                            env=env, preexec_fn=prepare, pass_fds=range(3, 3 + len(kept)))
        self.process.log = log
        self.network.processes.append(self.process)
        self._logs.append(log)
        if wait:
            wait_for(lambda: any(words.get("READY") == "1" for words in self.notices)
                     or self.process.poll() is not None, "READY=1")
            wait_for(self._answers, "spefwd is ready")
        return self

    def forget(self):
        for descriptor in self.stored.values():
            os.close(descriptor)
        self.stored.clear()

    def _end(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(self._path)
            sock.send(b"end")
        self._thread.join()
        self._socket.close()
        self.forget()
