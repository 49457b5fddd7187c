#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""First and last configurations: spefwctl init, metrics, and starts with a file that is bad or gone."""
import glob
import os
import pty
import re
import select
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import HANG, LICENSE, NARROW, Lab, main, namespaces, vendor  # noqa: E402
from lab.daemon import program  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


def ctl(*words):
    return subprocess.run([program("spefwctl"), *words], capture_output=True, text=True, check=False)


def init(tap):
    """What init writes is good, in audit mode, and never over another file."""
    with Lab(tap) as lab:
        path = os.path.join(lab.dir, "first.ini")
        words = ("init", "-c", path, "--server", "192.0.2.25,2001:db8:2::25", "--adm", "203.0.113.128/25",
                 "--resolvers", "198.51.100.53", "--time", "203.0.113.5")
        done = ctl(*words)
        tap.ok(done.returncode == 0 and "enforce" in done.stdout, "init writes a file and shows the steps to come",
               (done.stdout, done.stderr))
        done = ctl("check", path)
        tap.ok(done.returncode == 0 and done.stderr == "", "what it wrote is good, and nothing to warn of", done.stderr)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        tap.ok(re.search(r"(?m)^mode\s*=\s*audit$", text), "it is in audit mode")
        expected = re.search(r"(?m)^\[flow license-out\]\nexpect\s*=\s*24h$", text)
        tap.ok(expected, "the license is expected every day")
        tap.ok(re.search(r"(?m)^time_servers = 203\.0\.113\.5$", text), "with the time servers")
        uncommented(tap, path, text)
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
                  [], "nothing is left behind")


def uncommented(tap, path, text):
    """Each flow in comments is good when it is used, alone and with all others."""
    blocks = [block for block in re.findall(r"(?m)(?:^;(?=\S).*\n)+", text) if block.startswith(";[")]
    tap.equal([name for block in blocks for name in samples(block)], samples(text), "every sample is a whole section")
    tap.equal(set(samples(text)), {"rdp-in", "domain-tcp", "domain-udp", "updates-out", "acme-in"},
              "remote desktop, domain, updates and ACME are there")
    ports = dict(re.findall(r"(?m)^;\[flow (\S+)\]\n(?:;.*\n)*?;port\s*= (.*)$", text))
    tap.ok({"88", "464"} <= set(ports["domain-tcp"].split()) & set(ports["domain-udp"].split()),
           "Kerberos is among the domain's ports", ports)
    tap.equal(ports["acme-in"], "80", "ACME is 80")
    for what, used in [(block.split("]")[0][2:], (block,)) for block in blocks] + [("all", blocks)]:
        changed = text
        for block in used:
            changed = changed.replace(block, re.sub("(?m)^;", "", block))
        write(path + ".used", changed)
        done = ctl("check", path + ".used")
        tap.ok(done.returncode == 0 and done.stderr == "" and changed != text, "good when in use: " + what, done.stderr)
    os.unlink(path + ".used")


class Terminal:
    """spefwctl init on a terminal: .expect() waits for what it shows, .send() types a line."""

    def __init__(self, *words, session=None):
        env = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
        if session:
            env["SSH_CONNECTION"] = session
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(program("spefwctl"), ["spefwctl", "init", *words], env)
        self._shown, self.all = "", ""
        self.status = None

    def _read(self, bound):
        """False at the end."""
        if not select.select([self._terminal], [], [], bound)[0]:
            raise TimeoutError("it shows no more than %r" % self.all)
        try:
            piece = os.read(self._terminal, 4096).decode()
        except OSError:
            piece = ""
        self._shown += piece.replace("\r\n", "\n")
        self.all += piece.replace("\r\n", "\n")
        return piece != ""

    def expect(self, text):
        """What it showed until that, with it."""
        while text not in self._shown:
            if not self._read(HANG):
                raise RuntimeError("it ended without %r: %r" % (text, self.all))
        before, _, self._shown = self._shown.partition(text)
        return before + text

    def send(self, text):
        os.write(self._terminal, text.encode())

    def answer(self, question, line):
        shown = self.expect(question)
        self.send(line + "\n")
        return shown

    def end(self):
        """Its exit status, once it has ended."""
        while self._read(HANG):
            pass
        os.close(self._terminal)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self.status


def asks(tap):
    """On a terminal init asks, offers what the gateway knows, shows what it will write, and writes that."""
    with Lab(tap) as lab:
        own_resolv_conf(lab, "nameserver 127.0.0.53\nnameserver 198.51.100.53\nnameserver 2001:db8:51::53\n")
        path = os.path.join(lab.dir, "asked.ini")
        session = "203.0.113.10 50000 203.0.113.1 22"
        terminal = Terminal("-c", path, session=session)
        terminal.answer("Addresses of the MailStore SPE server: ", "")
        for wrong, why in (("my.example.com", "is a name: address takes addresses"),
                           ("192.0.2.25/24", "write 192.0.2.0/24"),
                           ("192.0.2.25\t; [gateway]", "addresses and networks, with spaces between")):
            terminal.answer("Addresses of the MailStore SPE server: ", wrong)
            tap.ok(why in terminal.expect("Addresses of the"), "it asks again after %r" % wrong)
            terminal.send("\n")
        terminal.answer("MailStore SPE server: ", " 192.0.2.25, 2001:db8:2::25 ")
        terminal.answer("Addresses and networks of its administrators [203.0.113.10]: ", "203.0.113.0/24")
        terminal.answer("DNS servers that it queries [198.51.100.53 2001:db8:51::53]: ", "")
        terminal.answer("Its time servers [none]: ", "192.0.2.1")
        shown = terminal.expect("Write this to %s? [Y/n] " % path)
        tap.ok(not os.path.exists(path), "it writes nothing before it is confirmed")
        terminal.send("\n")
        tap.ok(terminal.end() == 0 and "mode = enforce in the file" in terminal.all,
               "then it does, and shows the steps", terminal.all)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        used = [line for line in text.split("\n") if line and not line.startswith(";")]
        tap.ok("".join(used) in "".join(line for line in shown.split("\n")), "what it wrote is what it showed",
               (used, shown))
        for line in ("address      = 192.0.2.25, 2001:db8:2::25", "resolvers    = 198.51.100.53 2001:db8:51::53",
                     "time_servers = 192.0.2.1", "members      = 203.0.113.0/24"):
            tap.ok(line in used, "as answered: " + line, used)
        tap.equal(re.findall(r"comments[^:]*:(.*)", shown), [" " + ", ".join(samples(text))],
                  "it names what waits in comments")
        tap.equal(ctl("check", path).returncode, 0, "it is good")
        terminal = Terminal("-c", path, session=session)
        tap.ok(terminal.end() == 1 and "there already" in terminal.all and "Addresses" not in terminal.all,
               "where there is a file it asks nothing", terminal.all)
        refused(tap, lab, session)


def refused(tap, lab, session):
    """What is not agreed to is not written."""
    path = os.path.join(lab.dir, "refused.ini")
    for what, last in (("n", "n\n"), ("the end of input", "\x04"), ("an interrupt", "\x03")):
        terminal = Terminal("-c", path, "--adm", "203.0.113.0/24", "--time", "192.0.2.1", session=session)
        terminal.answer("MailStore SPE server: ", "192.0.2.25")
        terminal.answer("DNS servers that it queries", "none")
        shown = terminal.expect("Write this to")
        tap.ok("administrators" not in terminal.all and "members      = 203.0.113.0/24" in shown,
               "it asks for what was not given alone", terminal.all)
        terminal.expect("[Y/n] ")
        terminal.send(last)
        tap.ok(terminal.end() != 0 and not glob.glob(path + "*"), "after %s nothing is written" % what, terminal.all)
    terminal = Terminal("-c", path)
    terminal.expect("server: ")
    terminal.send("\x04")
    tap.ok(terminal.end() == 1 and "nothing is written" in terminal.all, "nor where the first answer is missing",
           terminal.all)
    terminal = Terminal("-c", path, "--json")
    tap.equal(terminal.end(), 2, "with --json it asks nothing")


def own_resolv_conf(lab, text):
    """For this program and its children, until it ends."""
    path = os.path.join(lab.dir, "resolv.conf")
    write(path, text)
    namespaces.mount(path, "/etc/resolv.conf", None, namespaces.MS_BIND)


def samples(text):
    """The flows that stand in comments."""
    return re.findall(r"(?m)^;\[flow (.*)\]$", text)


def metrics(tap):
    """Every family has its type, and every number is that of status."""
    with Lab(tap) as lab:
        lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=NARROW))
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        text = daemon.ctl("metrics").stdout
        types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
        samples = re.findall(r'(?m)^([a-z_0-9]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\d+(?:\.\d+)?)$', text)
        lines = [line for line in text.split("\n") if line and not line.startswith("#")]
        tap.equal(len(samples), len(lines), "every line is a sample")
        tap.equal([name for name, _, _ in samples if name not in types], [], "every sample has a type")
        tap.equal(sorted(set(types.values())), ["counter", "gauge"],
                  "of those that node_exporter knows: for another one it refuses the whole file")
        values = {(name, labels): float(value) for name, labels, value in samples}
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
    main(init, asks, metrics, last_good)
