#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""First and last configurations: spefwctl init, metrics, and starts with a file that is bad or gone."""
import os
import re
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, NARROW, Lab, main, vendor  # noqa: E402
from lab.daemon import program  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


def ctl(*words):
    return subprocess.run([program("spefwctl"), *words], capture_output=True, text=True, check=False)


def init(tap):
    """What init writes is good, in audit mode, and never over another file."""
    with Lab(tap) as lab:
        path = os.path.join(lab.dir, "first.ini")
        words = ("init", "-c", path, "--server", "192.0.2.25,2001:db8:2::25", "--adm", "203.0.113.128/25",
                 "--resolvers", "198.51.100.53")
        done = ctl(*words)
        tap.ok(done.returncode == 0 and "enforce" in done.stdout, "init writes a file and shows the steps to come",
               (done.stdout, done.stderr))
        done = ctl("check", path)
        tap.ok(done.returncode == 0 and done.stderr == "", "what it wrote is good, and nothing to warn of", done.stderr)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        tap.ok(re.search(r"(?m)^mode\s*=\s*audit$", text), "it is in audit mode")
        with open(path + ".all", "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^;(?=\S)", "", text))
        done = ctl("check", path + ".all")
        tap.ok(done.returncode == 0 and done.stderr == "", "with every sample in use it is good as well", done.stderr)
        done = ctl(*words)
        tap.ok(done.returncode == 1 and "there already" in done.stderr, "it is not overwritten", done.stderr)
        with open(path, encoding="utf-8") as file:
            tap.ok(file.read() == text, "and stays as it was")
        for bad, status in ((("--server", "my.example.com"), 1), (("--server", "192.0.2.25\n[gateway]"), 2), ((), 2),
                            (("--server", "192.0.2.25", "--adm", "192.0.2.1/24"), 1)):
            other = os.path.join(lab.dir, "bad.ini")
            done = ctl("init", "-c", other, *bad)
            tap.ok(done.returncode == status and not os.path.exists(other)
                   and len(done.stderr.strip().split("\n")) == 1,
                   "init %r: exit %d, and no file" % (bad, status), done.stderr)
        tap.equal([name for name in os.listdir(lab.dir) if name.startswith(("first.ini.", "bad.ini"))],
                  ["first.ini.all"], "nothing is left behind")


def metrics(tap):
    """Every family has its type, and every number is that of status."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        text = daemon.ctl("metrics").stdout
        types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
        samples = re.findall(r'(?m)^([a-z_0-9]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\d+)$', text)
        lines = [line for line in text.split("\n") if line and not line.startswith("#")]
        tap.equal(len(samples), len(lines), "every line is a sample")
        tap.equal([name for name, _, _ in samples if name not in types], [], "every sample has a type")
        tap.equal(sorted(set(types.values())), ["counter", "gauge"],
                  "of those that node_exporter knows: for another one it refuses the whole file")
        values = {(name, labels): int(value) for name, labels, value in samples}
        tap.equal(values.get(("spefw_up", "")), 1, "spefw_up")
        tap.equal(values.get(("spefw_flow_enabled", 'flow="icewarp-out"')), 0, "a flow that is off")
        tap.equal(values.get(("spefw_name_addresses", 'name="%s",family="ipv4"' % vendor.LICENSE_NAME)), 1,
                  "the name's addresses")
        tap.equal(sum(value for (name, labels), value in values.items() if name == "spefw_name_state"
                      and '"ipv4"' in labels), 1, "one state a name")
        daemon.stop()
        done = daemon.ctl("metrics", check=False)
        tap.ok(done.returncode == 3 and re.search(r"(?m)^spefw_up 0$", done.stdout),
               "without the daemon: spefw_up 0, exit 3", done.stdout)


def last_good(tap):
    """A start with a bad or missing file: on the last good one, guarded, its names followed, and degraded."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        members = os.path.join(lab.dir, "admins.txt")
        with open(members, "w", encoding="ascii") as file:
            file.write("203.0.113.128/25\n")
        config = re.sub(r"(?m)^(members\s*=).*$", r"\1 file:" + members, lab.config(flows=NARROW), count=1)
        daemon = lab.spefwd(config)
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        before = lab.daemon.set_text("role_ADM_4")
        for what, harm in (("bad", lambda: write(daemon.config, "[server]\naddress = nonsense\n")),
                           ("gone", lambda: os.unlink(daemon.config)),
                           ("whole, but the file it names gone",
                            lambda: (write(daemon.config, config), os.unlink(members)))):
            daemon.stop()
            lab.run("gateway", program("spefwd"), "--clear")
            harm()
            daemon.start()
            status = daemon.status()
            tap.ok(status["health"] == "degraded" and not status["config"]["matches_disk"],
                   "file %s: degraded, and the reason is shown" % what, status["reasons"])
            tap.equal(lab.daemon.set_text("role_ADM_4"), before, "file %s: the last good roles" % what)
            daemon.wait_status(lambda status: any(entry["state"] == "fresh" for entry in status["names"]),
                               "file %s: names are queried" % what)
        with open(members, "w", encoding="ascii") as file:
            file.write("203.0.113.128/25\n")
        daemon.reload()
        status = daemon.wait_status(lambda now: not any(vendor.LICENSE_NAME in one for one in daemon.reasons(now)),
                                    "both families are queried")
        tap.ok(status["config"]["matches_disk"] and status["health"] == "ok", "a good file again: ok",
               status["reasons"])
        daemon.stop()
        for name in os.listdir(daemon.state):
            with open(os.path.join(daemon.state, name), "r+b") as file:
                file.truncate(max(0, os.path.getsize(file.name) - 5))
        write(daemon.config, "nonsense\n")
        done = lab.run("gateway", program("spefwd"), "-c", daemon.config, "-s", daemon.socket, "-d", daemon.state,
                       check=False)
        tap.ok(done.returncode == 78, "neither a good file nor a whole copy: exit 78", (done.returncode, done.stderr))
        tap.ok("spefwctl check" in done.stderr, "and it prints what to do", done.stderr)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(init, metrics, last_good)
