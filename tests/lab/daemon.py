# SPDX-License-Identifier: GPL-2.0-or-later
"""spefwd on the gateway, and what it shows: spefwctl, the control socket, the table in the kernel, its log."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from .tap import wait_for
from .topology import Failed

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SPEFW_BUILD", TOP))
_SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


class NotReady(Failed):
    """spefwd ended, or did not become ready; .returncode is None where it still ran."""

    def __init__(self, text, returncode):
        super().__init__(text)
        self.returncode = returncode


class VarlinkError(Exception):
    def __init__(self, error, parameters):
        super().__init__("%s %s" % (error, parameters))
        self.error, self.parameters = error, parameters


def program(name):
    return os.path.join(BUILD, name)


def sanitizer_report(text):
    """The lines from the first report of a sanitizer on, or "" ."""
    found = _SANITIZER.search(text)
    return text[text.rfind("\n", 0, found.start()) + 1:] if found else ""


def open_socket(path, bound=60):
    """A connection to a UNIX socket whose calls have a bound; where its queue is full for the moment, it waits."""
    end = time.monotonic() + bound
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(bound)
        try:
            sock.connect(path)
            return sock
        except BlockingIOError:
            sock.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        except OSError:
            sock.close()
            raise


class Daemon:
    """One spefwd with its configuration file, socket and state directory. Files outlive restarts of the process."""

    def __init__(self, network, config, name="spefw", args=(), programs=BUILD):
        self.network = network
        self.dir = os.path.join(network.dir, name)
        self.state = os.path.join(self.dir, "state")
        os.makedirs(self.state, exist_ok=True)
        self.config, self.socket = os.path.join(self.dir, "spefw.ini"), os.path.join(self.dir, "control.sock")
        self.args = list(args)
        self.programs = programs
        self.process = None
        self._logs, self._checked = [], 0
        self.write(config)
        network.at_close(self._close)

    # -- the process

    def write(self, config):
        with open(self.config + ".new", "w", encoding="utf-8") as file:
            file.write(config)
        os.rename(self.config + ".new", self.config)

    def _environment(self):
        env = dict(os.environ)
        for name in ("JOURNAL_STREAM", "NOTIFY_SOCKET"):
            env.pop(name, None)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        env["LC_ALL"] = "C"
        return env

    def start(self, wait=True):
        """Returns once the daemon's table guards and its socket answers."""
        argv = [os.path.join(self.programs, "spefwd"), "-c", self.config, "-s", self.socket,
                "-d", self.state] + self.args
        self.process = self.network.start("gateway", *argv, env=self._environment())
        self._logs.append(self.process.log)
        if wait:
            wait_for(self._answers, "spefwd is ready\n" + self.log())
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise NotReady("spefwd ended with %d:\n%s" % (self.process.returncode, self.log()), self.process.returncode)
        try:
            self.status()
            return True
        except (OSError, ConnectionError):
            return False

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns its exit status. A report of a sanitizer raises Failed."""
        process, self.process = self.process, None
        if process is None:
            return None
        code = self.network.stop(process, number)
        self.check_log()
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def _close(self):
        self.stop()
        self.check_log()

    def log(self):
        text = ""
        for path in self._logs:
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def check_log(self):
        text = self.log()[self._checked:]
        self._checked += len(text)
        report = sanitizer_report(text)
        if report:
            raise Failed("spefwd: a sanitizer complains:\n" + report)

    def show_log(self, tap):
        tap.note("-- spefwd's standard error, its last lines")
        tap.note("\n".join(self.log().split("\n")[-60:]))

    # -- its answers

    def run(self, name, *args, check=False, bound=120, text=None):
        """spefwd or spefwctl with these arguments, on the gateway, to its end."""
        try:
            done = self.network.run("gateway", program(name), *args, check=False, bound=bound, env=self._environment(),
                                    text=text)
        except subprocess.TimeoutExpired as error:
            raise Failed("%s %s hangs: %s %s" % (name, " ".join(args), error.stdout, error.stderr)) from None
        report = sanitizer_report(done.stderr)
        if report or (check and done.returncode != 0):
            raise Failed("%s %s: exit %d\n%s%s" % (name, " ".join(args), done.returncode, done.stdout, done.stderr))
        return done

    def ctl(self, *args, check=True, **more):
        """`spefwctl -s SOCKET ...`; .stdout, .stderr and .returncode."""
        return self.run("spefwctl", "-s", self.socket, *args, check=check, **more)

    def call(self, method, parameters=None, bound=60):
        """One Varlink call of org.spefw.Gateway, without spefwctl. Raises VarlinkError."""
        with open_socket(self.socket, bound) as sock:
            request = {"method": "org.spefw.Gateway." + method}
            if parameters is not None:
                request["parameters"] = parameters
            sock.sendall(json.dumps(request).encode() + b"\0")
            reply = b""
            while not reply.endswith(b"\0"):
                piece = sock.recv(1 << 16)
                if not piece:
                    raise ConnectionError("the daemon closed the connection after %r" % reply)
                reply += piece
        reply = json.loads(reply[:-1].decode())
        if "error" in reply:
            raise VarlinkError(reply["error"], reply.get("parameters", {}))
        return reply.get("parameters", {})

    def status(self):
        return self.call("Status")

    def reasons(self, status=None, code=None):
        """Why health is not ok, as texts: all of them, or those with this code."""
        return [reason["text"] for reason in (status or self.status())["reasons"] if code in (None, reason["code"])]

    def reason_codes(self, status=None):
        """Their codes; spefwd(8) lists them."""
        return [reason["code"] for reason in (status or self.status())["reasons"]]

    def reload(self, config=None):
        """Writes the file, when given, and has it read. Raises VarlinkError where it is refused."""
        if config is not None:
            self.write(config)
        return self.call("Reload")

    def kill_in_reload(self, after):
        """Has the file read, and kills the daemon so many seconds later, wherever it is by then."""
        process = self.process
        timer = threading.Timer(after, process.kill)
        timer.start()
        try:
            self.call("Reload")
        except OSError:
            pass
        timer.join()
        process.wait()
        self.kill()

    def wait_status(self, condition, what, **more):
        """Polls the status until condition(status) is true; returns that status."""
        last = {}

        def right():
            last["status"] = self.status()
            return condition(last["status"])
        try:
            wait_for(right, what, **more)
        except TimeoutError as error:
            raise TimeoutError("%s\n%s" % (error, json.dumps(last.get("status"), indent=1))) from None
        return last["status"]

    def addresses(self, name, status=None):
        """The addresses that a name has now, both families."""
        return sorted(entry["address"] for one in (status or self.status())["names"] if one["name"] == name
                      for entry in one["addresses"])

    # -- the kernel

    def table(self, handles=False):
        """The table as nft prints it in JSON: a list of objects; None where there is none."""
        argv = ["nft"] + (["-a"] if handles else []) + ["-j", "list", "table", "inet", "spefw"]
        done = self.network.run("gateway", *argv, check=False)
        return json.loads(done.stdout)["nftables"] if done.returncode == 0 else None

    def set_text(self, name):
        """A set of the table as nft prints it, without counts; "" where there is none."""
        return self.network.run("gateway", "nft", "-s", "list", "set", "inet", "spefw", name, check=False).stdout


def frozen(table, handles=False):
    """A table without what changes by itself: counts, the time left to elements, and (unless wanted) handles."""
    def clean(value, key=None):
        if isinstance(value, dict):
            if key == "counter":
                return {name: clean(one) for name, one in value.items()
                        if name not in ("packets", "bytes", "handle" if not handles else "")}
            return {name: clean(one, name) for name, one in value.items()
                    if name != "expires" and (handles or name != "handle")}
        if isinstance(value, list):
            items = [clean(one) for one in value]
            # Elements of a set have no order of their own.
            return sorted(items, key=lambda one: json.dumps(one, sort_keys=True)) if key in ("elem", "set") else items
        return value
    return [clean(one) for one in table or [] if "metainfo" not in one]


def counters(table):
    """{name: packets} of the named counters."""
    return {one["counter"]["name"]: one["counter"]["packets"] for one in table or [] if "counter" in one}
