# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway of the lab as a machine that boots: systemd in a container,
with the lab's network namespace for its network."""
import os
import shlex
import signal
import subprocess

from lab import DNS, GATEWAY, Lab, wait_for
from lab.daemon import Daemon

# The lab's interface to the server is down until the machine's own network comes up, as any network does:
# after network-pre.target.
NETWORK_UNIT = """[Unit]
Description=The network of the lab
DefaultDependencies=no
After=network-pre.target
Before=network.target
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/ip link set lan up
ExecStart=/bin/ip addr replace %s/64 dev lan nodad

[Install]
WantedBy=multi-user.target
""" % GATEWAY["lan"][6]


class NoBoot(Exception):
    pass


def prepare(root):
    """What a machine of the lab has beside Debian."""
    os.makedirs(root + "/etc/systemd/system/multi-user.target.wants", exist_ok=True)
    with open(root + "/etc/systemd/system/lab-network.service", "w", encoding="ascii") as file:
        file.write(NETWORK_UNIT)
    wants = root + "/etc/systemd/system/multi-user.target.wants/lab-network.service"
    if not os.path.lexists(wants):
        os.symlink("/etc/systemd/system/lab-network.service", wants)
    with open(root + "/etc/resolv.conf", "w", encoding="ascii") as file:
        file.write("nameserver %s\n" % DNS[4])
    with open(root + "/etc/hostname", "w", encoding="ascii") as file:
        file.write("gateway\n")
    # The journal of each boot in memory alone: nothing else than this boot is in it.
    os.makedirs(root + "/etc/systemd/journald.conf.d", exist_ok=True)
    with open(root + "/etc/systemd/journald.conf.d/lab.conf", "w", encoding="ascii") as file:
        file.write("[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n")


class Machine(Lab):
    """A Lab whose gateway is the container; a new one on the same root is the same machine, booted again.
    .daemon is its spefwd, as far as it is not started and stopped here."""

    def __init__(self, tap, root):
        super().__init__(tap)
        self.root, self._machine_tap = root, tap
        self._nspawn = self.leader = None

    def _build(self):
        super()._build()
        self.ip("gateway", "link set lan down")

    def boot(self, bound=60):
        """Returns when the machine is up."""
        argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
                "--network-namespace-path=/run/netns/gateway", "--capability=CAP_NET_ADMIN", "--machine=gateway",
                "--directory=" + self.root, "--resolv-conf=off", "--timezone=off", "--link-journal=no",
                "--console=pipe", "--boot"]
        log = os.path.join(self.dir, "nspawn.log")
        with open(log, "wb") as file:
            self._nspawn = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self.at_close(self.power_off)
        self.on_failure(self._machine_tap, lambda: self._machine_tap.note("-- the journal, its last lines\n"
                                                                          + self.journal("-n", "60")))

        def up():
            if self._nspawn.poll() is not None:
                with open(log, encoding="utf-8", errors="replace") as output:
                    raise NoBoot("systemd-nspawn: exit %d: %s" % (self._nspawn.returncode, output.read().strip()))
            # Its first child is not yet the machine's init, the one that stays is.
            with open("/proc/%d/task/%d/children" % (self._nspawn.pid, self._nspawn.pid), encoding="ascii") as children:
                self.leader = (children.read().split() or [None])[0]
            return self.leader and self.run_in("systemctl", "is-system-running", check=False).stdout.strip() in (
                "running", "degraded")

        try:
            wait_for(up, "the machine has booted", bound=bound)
        except TimeoutError as error:
            jobs = (self.run_in("systemctl", "list-jobs", "--no-legend", check=False).stdout if self.leader
                    else "it has no init")
            raise NoBoot("%s; it waits for: %s" % (error, " ".join(jobs.split()) or "nothing")) from None
        self.daemon = Spefwd(self)
        return self

    def power_off(self):
        if self._nspawn is None:
            return
        nspawn, self._nspawn, self.leader = self._nspawn, None, None
        if nspawn.poll() is None:
            # nspawn has systemd power the machine off then.
            nspawn.send_signal(signal.SIGTERM)
            try:
                nspawn.wait(40)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()

    # -- commands in the machine

    def run_in(self, *argv, check=True, user=None, bound=120, text=None):
        """Runs a command to its end. `user`: as this one, with its groups."""
        if user:
            argv = ("runuser", "-u", user, "--") + argv
        enter = ("nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
                 "--wd", "--", "env", "-i", "LC_ALL=C",
                 "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive") + argv
        done = subprocess.run(enter, input=text, stdin=subprocess.DEVNULL if text is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True, timeout=bound, check=False)
        if check and done.returncode != 0:
            raise RuntimeError("%s: exit %d\n%s%s" % (shlex.join(argv), done.returncode, done.stdout, done.stderr))
        return done

    def journal(self, *args):
        return (self.run_in("journalctl", "--no-pager", "-o", "short-monotonic", *args, check=False).stdout
                if self.leader else "")

    def show(self, name, unit="spefwd"):
        """A property of the unit."""
        return self.run_in("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def configure(self, text):
        with open(self.root + "/etc/spefw/spefw.ini", "w", encoding="utf-8") as file:
            file.write(text)


class Spefwd(Daemon):
    """The service's spefwd, for all that needs a Daemon: status, table, names."""

    def __init__(self, machine):  # pylint: disable=super-init-not-called
        self.network = self.machine = machine
        self.process = None
        # The socket as it is seen from here: in the machine's own /run.
        self.socket = "/proc/%s/root/run/spefw/control.sock" % machine.leader

    def ctl(self, *args, check=True, **more):
        return self.machine.run_in("spefwctl", *args, check=check, **more)

    def restarts(self):
        return int(self.machine.show("NRestarts"))
