# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab around a real machine: its gateway is the machine's own network, all others are namespaces."""
import os
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/srv/spefw/tests")
from lab import GATEWAY, Lab  # noqa: E402,F401

STATE = "/srv/state"


class Gateway(Lab):
    """.built: whether the network is there already, and stays after close()."""

    def __init__(self, tap=None, built=True):
        super().__init__(tap)
        self._built = built

    def _ip(self, *lines):
        super()._ip(*["netns attach gateway 1" if line == "netns add gateway" else line for line in lines])

    def _build(self):
        if not self._built:
            super()._build()

    def close(self):
        while self._cleanups:
            self._cleanups.pop()()
        for process in reversed(self.processes):
            self.stop(process)


def report(text):
    """A line for the machine outside, past everything that may be down already."""
    fd = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    try:
        os.write(fd, (text + "\n").encode())
    finally:
        os.close(fd)


def output(*argv, check=True, bound=300):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=bound, check=False)
    if check and done.returncode != 0:
        raise RuntimeError("%s: exit %d\n%s" % (" ".join(argv), done.returncode, done.stdout))
    return done.stdout


def show(name, unit="spefwd"):
    return output("systemctl", "show", "--value", "-p", name, unit).strip()
