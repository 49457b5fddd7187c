#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check_spefw: its state, its one line and its exit status, however the gateway is."""
import os
import re
import signal
import socket
import sys
import threading
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, Lab, main, vendor  # noqa: E402
from lab.daemon import program  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
# As the guidelines have it: label=value[unit][;warn[;crit[;min[;max]]]], apart by blanks.
FIGURES = re.compile(r"[a-z_]+=\d+(s|c)?(;\d*){0,4}( [a-z_]+=\d+(s|c)?(;\d*){0,4})*")


class Plugin:
    def __init__(self, tap, daemon):
        self.tap, self.daemon = tap, daemon

    def expect(self, state, words, title, *args, user=None):
        """Its state, and what its words have. The performance data, {} where there are none."""
        argv = ["-s", self.daemon.socket] + list(args)
        if user is None:
            done = self.daemon.run("check_spefw", *argv)
        else:
            done = self.daemon.network.run("gateway", "setpriv", "--reuid", str(user[0]), "--regid", str(user[0]),
                                           "--groups", ",".join(str(group) for group in user) or str(user[0]),
                                           program("check_spefw"), *argv, check=False)
        line, _, figures = done.stdout.rstrip("\n").partition(" | ")
        self.tap.ok(done.returncode == STATES.index(state) and line.startswith("SPEFW %s: " % state) and
                    words in line and done.stdout.count("\n") == 1 and not done.stderr and
                    (not figures or FIGURES.fullmatch(figures)), "%s: %s" % (title, state), done)
        return dict(one.split("=") for one in figures.split(" ") if one)


def states(tap):
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config())
        plugin = Plugin(tap, daemon)
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")
        figures = plugin.expect("OK", "guards 192.0.2.25, 2001:db8:2::25", "healthy")
        tap.equal(sorted(figures), ["denied", "denied_last_hour", "intercepted", "reasons", "repaired", "spoofed",
                                    "uptime"], "its performance data")
        daemon.reload(lab.config().replace("mode = enforce", "mode = audit"))
        plugin.expect("OK", "audits 192.0.2.25, 2001:db8:2::25, denies nothing", "in audit mode")
        daemon.reload(lab.config())
        daemon.write("nonsense | here")
        tap.equal(plugin.expect("WARNING", "(config-changed)", "degraded")["reasons"], "1;;;0", "it counts reasons")
        daemon.write(lab.config())
        daemon.call("Clear")
        plugin.expect("CRITICAL", "(table-removed)", "cleared")
        daemon.reload()

        os.kill(daemon.process.pid, signal.SIGSTOP)
        plugin.expect("CRITICAL", "spefwd has not answered for 1s", "stopped", "-t", "1")
        os.kill(daemon.process.pid, signal.SIGCONT)
        os.chmod(daemon.dir, 0o755)
        os.chown(daemon.socket, 0, 4711)
        plugin.expect("OK", "guards", "as another user, in the socket's group", user=(65534, 4711))
        plugin.expect("UNKNOWN", "has to be in the group spefw", "as one who is not", user=(65534,))
        daemon.stop()
        plugin.expect("CRITICAL", "not running: its table still guards 192.0.2.25", "not running, as root")
        plugin.expect("CRITICAL", "not running: only root can see", "not running, as another user",
                      user=(65534, 4711))
        lab.run("gateway", "nft", "delete", "table", "inet", "spefw")
        plugin.expect("CRITICAL", "not running: the server is not guarded", "not running, and no table")


def strange(tap):
    """Another program on the socket, and wrong arguments."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        daemon.stop()
        plugin = Plugin(tap, daemon)
        for answer, state, words in ((b"HTTP/1.0 200 OK\r\n\r\n\0", "UNKNOWN", "is not spefwd"),
                                     (b"", "CRITICAL", "without an answer"),
                                     (b"{\"parameters\":{}}\0", "UNKNOWN", "health is missing"),
                                     (b"{\"parameters\":{\"health\":\"fine\"}}\0", "UNKNOWN", "health is fine"),
                                     (b"{\"error\":\"x.y|\\u001b[2J\"}\0", "UNKNOWN", "x.y/?[2J"),
                                     (b"{\"parameters\":{\"health\":\"failed\"}}\0", "CRITICAL", "for no reason"),
                                     (b"{\"parameters\":{\"health\":\"degraded\",\"reasons\":[{\"code\":\"a|b\","
                                      b"\"text\":\"one\\ntwo | three\"},{}]}}\0", "WARNING",
                                      "one?two / three (a/b), and 1 more")):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(daemon.socket)
                listener.listen(1)

                def reply(listener=listener, answer=answer):
                    client = listener.accept()[0]
                    client.recv(1000)
                    client.sendall(answer)
                    client.close()
                thread = threading.Thread(target=reply)
                thread.start()
                plugin.expect(state, words, "an answer %r" % answer[:40])
                thread.join()
            os.unlink(daemon.socket)
        for args in (("-t", "0"), ("-t", "x"), ("-t", "99999"), ("more",)):
            plugin.expect("UNKNOWN", "", "arguments %s" % " ".join(args), *args)
        for option, words in (("--help", "Usage: check_spefw"), ("-V", "check_spefw ")):
            done = daemon.run("check_spefw", option)
            tap.ok(done.returncode == 3 and done.stdout.startswith(words), "%s: by the guidelines UNKNOWN" % option,
                   done)


if __name__ == "__main__":
    main(states, strange)
