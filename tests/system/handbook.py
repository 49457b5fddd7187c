#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spefw(7), the guide, and README's beginning: each command runs, in the order of the page, and prints what that shows.

Each section is a gateway of its own in the lab; its files are where a package has them. What a section or
a command needs to have happened is in the tables below. What takes a booted machine, apt or dnf is in ELSEWHERE, with
the test that runs it. A command that is in neither fails.

    handbook.py --update    writes what the programs print into doc/spefw.7 and README.md"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, EXCHANGE, LICENSE, Lab, Probe, main, namespaces, vendor, wait_for  # noqa: E402
from lab.daemon import TOP, Daemon, program, sanitizer_report  # noqa: E402

README = "Install, and guard the first server"
INI = "/etc/spefw/spefw.ini"
SERVER, ADMIN, HOME = (ADDRESS[4][machine] for machine in ("server", "admin", "client"))
NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values()), "graph.microsoft.com": list(EXCHANGE.values()),
         "login.microsoftonline.com": ["198.51.100.90"], "proxy.example.net": ["198.51.100.26", "2001:db8:51::26"],
         "smtp.office365.com": ["198.51.100.26"]}
# These may end with 1, which is an answer.
ANSWERS_BY_STATUS = re.compile(r"spefwctl (status|doctor|check|refresh)\b|spefwd --inspect|\S*check_spefw\b")
# These go on until they are interrupted.
ENDLESS = re.compile(r"^spefwctl (watch|.*--follow)\b")

# Where what is installed lies before it is.
INSTALLED = {"/usr/lib/nagios/plugins/check_spefw": program("check_spefw"),
             "/usr/share/spefw/prometheus/": os.path.join(TOP, "packaging", "prometheus", "")}
# What runs in the lab: it changes nothing of the machine there. Without the last two, what needs them is skipped.
OTHERS = ("iptables", "promtool")
RUNS = ("spefwctl", "spefwd", "/usr/lib/nagios/plugins/check_spefw", "sed", "cp", "install", "tar") + OTHERS
# What happened within a second has no order.
UNORDERED = ("spefwctl drops", "spefwctl diff", "spefwctl reload")


class Command:
    """One command of a page: the section and part that it stands in, and the answer's lines."""

    def __init__(self, section, part, text):
        self.section, self.part, self.text, self.answer = section, part, text, []


class Page:
    """A manual page, or sections of a document in Markdown: lines, and Commands with what they print."""

    def __init__(self, path, only=None):
        self.path, self.markdown = os.path.join(TOP, path), path.endswith(".md")
        with open(self.path, encoding="utf-8") as file:
            self.lines = self._parsed(file.read())
        self.commands = [line for line in self.lines
                         if isinstance(line, Command) and (not only or line.section in only)]

    def plain(self, line):
        return line if self.markdown else re.sub(r"^\\&", "", line).replace("\\e", "\\")

    def roff(self, line):
        """A line as the page has it."""
        if self.markdown:
            return line
        line = line.replace("\\", "\\e")
        return "\\&" + line if line[:1] in (".", "'") else line

    def _parsed(self, page):
        headings = (r"## ", r"### ") if self.markdown else (r"\.Sh ", r"\.Ss ")
        begin, end = ("```console", "```") if self.markdown else (".Bd -literal", ".Ed")
        found, section, part, literal, command = [], "", "", False, None
        for line in page.split("\n"):
            for heading in headings if not literal else ():
                if re.match(heading, line):
                    part = re.sub(heading, "", line)
                    section = part if heading == headings[0] else section
            if line == begin or (literal and line == end):
                literal, command = line == begin, None
            if command and not command.answer and command.text.endswith("\\"):
                command.text = command.text[:-1] + self.plain(line).strip()
                found.insert(-1, line)
            elif line.startswith(".Dl # ") or (literal and line.startswith("# ")):
                one = Command(section, part, self.plain(line.partition("# ")[2]))
                found += [line, one]
                command = one if literal else None
            elif command:
                command.answer.append(self.plain(line))
            else:
                found.append(line)
        return found

    def write(self):
        out = []
        for line in self.lines:
            out += [self.roff(one) for one in line.answer] if isinstance(line, Command) else [line]
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("\n".join(out))


# -- the gateway of the lab, with all that is installed in its place

class Gateway(Lab):
    """The lab; spefwd has the paths of a package, and is started by the page."""

    def __init__(self, tap):
        super().__init__(tap)
        self.names, self.open = None, 0

    def own(self, folder, source=None):
        """A folder of ours in place of one of the machine."""
        copy = tempfile.mkdtemp(dir="/run")
        os.chmod(copy, 0o755)
        if source:
            subprocess.run(["cp", "-a", source + "/.", copy], stderr=subprocess.DEVNULL, check=False)
        namespaces.mount(copy, folder, None, namespaces.MS_BIND)
        return copy

    def install(self):
        etc = self.own("/etc", "/etc")
        subprocess.run(["rm", "-rf", etc + "/resolv.conf", etc + "/spefw"], check=True)
        os.mkdir(etc + "/spefw")
        with open("/etc/resolv.conf", "w", encoding="ascii") as file:
            file.write("nameserver %s\n" % DNS[4])
        self.own("/var/lib")
        self.own("/usr/local/sbin")
        os.makedirs(self.own("/usr/share/doc") + "/spefw")
        shutil.copytree(os.path.join(TOP, "doc", "examples"), "/usr/share/doc/spefw/examples")
        for folder in ("/run/bin", "/run/spefw", "/run/work", "/var/lib/spefw"):
            os.makedirs(folder, exist_ok=True)
        for name in ("spefwctl", "spefwd"):
            if not os.path.lexists("/run/bin/" + name):
                os.symlink(program(name), "/run/bin/" + name)
        self.names = self.dns(NAMES, ttl=300)
        self.daemon = Daemon(self, "")
        os.unlink(self.daemon.config)
        self.daemon.config, self.daemon.socket, self.daemon.state = (
            INI, "/run/spefw/control.sock", "/var/lib/spefw")
        self.log_on_failure(self._tap, self.daemon)

    def configure(self, text):
        with open(INI, "w", encoding="utf-8") as file:
            file.write(text)

    def edit(self, pattern, by):
        with open(INI, encoding="utf-8") as file:
            text = file.read()
        changed = re.sub(pattern, by, text)
        if changed == text:
            raise ValueError("nothing is %r in\n%s" % (pattern, text))
        self.configure(changed)

    def begin(self, text=None):
        """spefwd, with its names known."""
        if text is not None:
            self.configure(text)
        self.daemon.start()
        self.known()

    def known(self):
        """Once DNS has answered for each name that it knows."""
        def answered(one):
            return one["state"] == "fresh" or not any((":" in address) == (one["family"] == "ipv6")
                                                      for address in NAMES[one["name"]])
        self.daemon.wait_status(lambda status: all(answered(one) for one in status["names"]), "names are known")

    def keep(self, machine, target, port):
        """A connection that stays open."""
        kept = self.connect(machine, target, port)
        self.at_close(kept.close)
        self.open += 1

    @staticmethod
    def denied_by(daemon, machine, target, port):
        """An attempt that comes to nothing, and is counted."""
        def count():
            return sum(daemon.status()["denied"].values())
        before = count()
        probe = Probe(machine, target, port)
        wait_for(lambda: count() > before, "it is counted")
        probe.close()

    def command(self, text):
        """What it prints, once it ended with a status that is good for it."""
        for path, here in INSTALLED.items():
            text = text.replace(path, here)
        argv = ["timeout", "--foreground", "-s", "INT", "2"] if ENDLESS.match(text) else []
        env = dict(os.environ, PATH="/run/bin:" + os.environ["PATH"], LC_ALL="C")
        done = self.run("gateway", *argv, "sh", "-c", "cd /run/work; " + ("exec " if argv else "") + text, check=False,
                        env=env)
        report = sanitizer_report(done.stderr)
        if report:
            raise RuntimeError(report)
        good = (0, 124) if argv else (0, 1) if ANSWERS_BY_STATUS.match(text) else (0,)
        output = done.stdout + done.stderr
        for path, here in INSTALLED.items():
            output = output.replace(here, path)
        return done.returncode in good, output


# -- what has happened before a section, a part or a command of the page

CONFIG = """[server]
address      = 192.0.2.25
resolvers    = 198.51.100.53
time_servers = 192.0.2.1

[gateway]
mode         = enforce

[role ADM]
members      = 203.0.113.0/24
"""
SECTIONS, PARTS, COMMANDS = {}, {}, {}


def before(table, key):
    def register(function):
        table[key] = function
        return function
    return register


@before(SECTIONS, README)
@before(SECTIONS, "FIRST INSTALLATION")
def first_installation(lab):
    lab.serve("server", tcp=[443, 3389, 8470])
    lab.serve("internet", tcp=[25])


@before(COMMANDS, "spefwctl drops")
def would_be_denied(lab):
    if lab.daemon.status()["mode"] == "audit":
        for source, target, port in (("client", SERVER, 8470), ("admin", SERVER, 3389), ("server", EXCHANGE[4], 25)):
            lab.connect(source, target, port).close()
        wait_for(lambda: len(lab.daemon.call("Drops")["rows"]) >= 3, "the log has them")


@before(PARTS, "From day to day")
def in_use(lab):
    for machine, port in (("client", 443), ("admin", 8470)):
        lab.keep(machine, SERVER, port)
    lab.denied_by(lab.daemon, "client", SERVER, 8470)


@before(COMMANDS, "spefwctl flows")
@before(COMMANDS, "spefwctl connections imaps-in")
def counted(lab):
    wait_for(lambda: len(lab.daemon.call("Connections")["connections"]) == lab.open, "connections were read")


@before(SECTIONS, "TEN CALLS")
def ten_calls(lab):
    lab.begin(CONFIG)
    lab.serve("server", tcp=[993])


@before(PARTS, "The console can't connect from home")
def from_home(lab):
    lab.denied_by(lab.daemon, "client", SERVER, 8470)


@before(PARTS, "The license does not renew")
def dead_dns(lab):
    lab.names.down()


@before(PARTS, "The Outlook add-in fails")
def another_table(lab):
    lab.names.up()
    lab.nft("gateway", "table inet filter { chain forward { type filter hook forward priority filter; policy accept;"
            " tcp dport { 25, 443 } ip daddr 192.0.2.0/24 drop; }; }")


@before(PARTS, "A mail program is refused since this morning")
def banned(lab):
    lab.nft("gateway", "delete table inet filter; table inet f2b-table { set addr-set-dovecot { type ipv4_addr;"
            " elements = { %s }; }; chain f2b-chain { type filter hook forward priority -1;"
            " tcp dport { 143, 993 } ip saddr @addr-set-dovecot reject; }; }" % HOME)


@before(PARTS, "A flow has not worked since the last change")
def changed(lab):
    lab.nft("gateway", "delete table inet f2b-table")
    lab.edit(r"\Z", "\n[flow https-in]\nenabled = no\n")
    lab.daemon.ctl("reload")


@before(PARTS, "Who is connected, and end that")
def connected(lab):
    lab.keep("client", SERVER, 993)


@before(PARTS, "Nothing works at all")
def not_forwarding(lab):
    lab.sysctl("gateway", "ipv4/ip_forward", 0)


@before(SECTIONS, "NAT")
def nat(lab):
    with open(os.path.join(TOP, "doc", "examples", "nat.ini"), encoding="utf-8") as file:
        lab.nft("gateway", "".join(re.findall(r"(?m)^;\t(.*\n)", file.read())))
    lab.begin(CONFIG)


@before(SECTIONS, "MICROSOFT 365")
@before(SECTIONS, "LICENSE BY A PROXY")
@before(SECTIONS, "THE CLOCK")
@before(SECTIONS, "MONITORING")
@before(SECTIONS, "REMOVAL")
def in_force(lab):
    lab.begin(CONFIG)


@before(SECTIONS, "DNS")
def resolver_beside(lab):
    lab.ip("server", "addr add 192.0.2.53/24 dev eth0")
    lab.begin(CONFIG)


@before(SECTIONS, "FAIL2BAN AND DOCKER")
def docker(lab):
    lab.nft("gateway", "table ip filter { chain DOCKER-USER { }; chain FORWARD { type filter hook forward priority"
            " filter; policy drop; counter jump DOCKER-USER; }; }")
    lab.begin(CONFIG)


@before(SECTIONS, "TWO GATEWAYS")
def other_file(lab):
    lab.begin(CONFIG)
    with open("/run/work/other.ini", "w", encoding="utf-8") as file:
        file.write(CONFIG + "\n[flow api-in]\nenabled = no\n")


@before(SECTIONS, "BACKUP")
def changed_once(lab):
    lab.begin(CONFIG)
    lab.edit(r"\Z", "\n[flow api-in]\nenabled = no\n")
    lab.daemon.ctl("reload")


@before(COMMANDS, "tar -xzf spefw.tar.gz -C /")
def new_machine(lab):
    lab.daemon.stop()
    for folder in ("/etc/spefw", "/var/lib/spefw"):
        shutil.rmtree(folder)
    lab.run("gateway", "nft", "delete", "table", "inet", "spefw")


def started(lab):
    lab.begin()


def reloaded(lab):
    lab.daemon.ctl("reload")
    lab.known()


# What the lab has no machine for: which test runs it, by which words, and what the gateway of the lab does instead.
ELSEWHERE = {
    "apt install ./spefw_*.deb": ("packages", '"apt-get", "install", "-qy"', None),
    "systemctl enable --now spefwd": ("packages", '"systemctl", "enable", "--now", "spefwd"', started),
    "systemctl reload spefwd": ("packages", '"systemctl", "reload", "spefwd"', reloaded),
    "systemctl enable --now spefw-metrics.timer": (
        "packages", '"systemctl", "enable", "--now", "spefw-metrics.timer"', None),
    "sh /usr/share/doc/spefw/examples/debian-repository /srv/spefw spefw_*.deb": (
        "packages.d/roots.py", '"/root/tree/doc/examples/debian-repository"', None),
    "ansible-playbook -i gateway.example.net, site.yml": ("packages", '"ansible-playbook"', None),
    "dnf install ./spefw-*.rpm": ("packages", '"install", "spefw"', None),
    "packaging/rpm/prove-on-rhel": ("packages", '"/root/prove-on-rhel"', None),
    "apt purge spefw": ("packages", '"apt-get", "purge", "-qy", "spefw"', None),
}


# -- what the page says of two gateways

class Second:
    """The lab's network with another machine in the gateway's place."""

    def __init__(self, lab):
        self._lab, self.dir = lab, lab.dir

    def __getattr__(self, name):
        return getattr(self._lab, name)

    def run(self, machine, *argv, **more):
        return self._lab.run(GATEWAY2 if machine == "gateway" else machine, *argv, **more)

    def start(self, machine, *argv, **more):
        return self._lab.start(GATEWAY2 if machine == "gateway" else machine, *argv, **more)


GATEWAY2 = "gateway2"


def a_pair(lab):
    """A second gateway between the client, the internet and the server. Its daemon is returned."""
    subprocess.run(["ip", "netns", "add", GATEWAY2], check=True)
    lab.at_close(lambda: subprocess.run(["ip", "netns", "del", GATEWAY2], check=True))
    for interface, peer, own, network in (("lan", "server", "192.0.2.2", "192.0.2.25/32"),
                                          ("wan2", "client", "198.51.100.130", HOME + "/32"),
                                          ("wan", "internet", "198.51.100.2", DNS[4] + "/32")):
        lab.ip(GATEWAY2, "link add %s type veth peer name eth1 netns %s" % (interface, peer), "link set lo up",
               "addr add %s/32 dev %s" % (own, interface), "link set %s up" % interface,
               "route add %s dev %s src %s" % (network, interface, own))
        lab.ip(peer, "link set eth1 up", "route add %s dev eth1" % own)
    lab.sysctl(GATEWAY2, "ipv4/ip_forward", 1)
    return Daemon(Second(lab), CONFIG, name="second")


def taken_over(lab):
    """From now on, packets between the client and the server take the second gateway."""
    lab.ip("client", "route add 192.0.2.25/32 via 198.51.100.130 dev eth1")
    lab.ip("server", "route add %s/32 via 192.0.2.2 dev eth1" % HOME)


def pair(tap):
    """Nothing is synchronised, and what is allowed goes on when the other gateway takes over."""
    with Gateway(tap) as lab:
        lab.install()
        lab.serve("server", tcp=[143, 993, 8470])
        lab.begin(CONFIG)
        second = a_pair(lab)
        lab.log_on_failure(tap, second)
        second.start()
        second.wait_status(lambda status: second.addresses(vendor.LICENSE_NAME, status), "it resolves for itself")
        lab.edit(r"\Z", "\n[flow api-in]\nenabled = no\n")
        lab.daemon.ctl("reload")
        tap.equal((lab.daemon.status()["generation"], second.status()["generation"]), (2, 1),
                  "a reload of one leaves the other as it is")
        kept, cut = lab.connect("client", SERVER, 993), lab.connect("client", SERVER, 143)
        [row] = lab.daemon.call("Connections", {"flow": "imap-in"})["connections"]
        lab.daemon.ctl("cut", str(row["id"]))
        tap.ok(HOME in lab.daemon.set_text("cut_4") and HOME not in second.set_text("cut_4"),
               "what was cut is remembered by that gateway alone")
        tap.equal(len(second.call("Connections")["connections"]), 0, "the second one knows of no connection")
        taken_over(lab)
        tap.ok(kept.echo(), "a connection goes on by the gateway that takes over")
        tap.equal(len(second.call("Connections", {"flow": "imaps-in"})["connections"]), 1, "which has it then")
        lab.denied_by(second, "client", SERVER, 8470)
        tap.ok(True, "and denies what the first one would")
        for one in (kept, cut):
            one.close()


MORE = (pair,)


# -- the pages, from their beginning to their end

VARIES = (
    (r"handle \d+", "HANDLE"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "TIME"),
    (r"\b\d+[dhms](?: \d+[hms])?(?!\w)", "SPAN"),
    (r"\b\d{5,}$", "ID"),
    (r"\b\d[\d,]*(?= (ms|cells)\b)", "NUMBER"),
    ("owned|watched, changes by others are undone", "OWNERSHIP"),  # as the kernel can
)


def words(text):
    """An answer without what is another number or time each time, and whatever the widths."""
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text, flags=re.M)
    return text.split()


def folded(line):
    """A line of a program as lines that a page has room for."""
    return textwrap.wrap(line, 79, subsequent_indent="    ", break_on_hyphens=False) if len(line) > 80 else [line]


def same(command, one, other):
    one, other = words(one), words(other)
    return sorted(one) == sorted(other) if command.startswith(UNORDERED) else one == other


def run(tap, lab, command, update):
    """One command of the page."""
    COMMANDS.get(command.text, lambda _: None)(lab)
    if command.text in ELSEWHERE:
        test, has, instead = ELSEWHERE[command.text]
        with open(os.path.join(TOP, "tests", "system", test), encoding="utf-8") as file:
            tap.ok(has in file.read(), "%s: it is run by tests/system/%s" % (command.text, test))
        if instead:
            instead(lab)
        return
    name = command.text.split()[0]
    if not tap.ok(name in RUNS, "%s: it can run in the lab, or another test runs it" % command.text):
        return
    if name in OTHERS and not shutil.which(name):
        tap.skip(command.text, "%s is not installed" % name)
        return
    good, output = lab.command(command.text)
    tap.ok(good, command.text, output)
    if not command.answer:
        return
    right = same(command.text, "\n".join(command.answer), output)
    tap.ok(right or update, "%s: this is what it prints" % command.text, output)
    if update and not right:
        command.answer = [part for line in output.rstrip("\n").split("\n") for part in folded(line)]


def played(section, commands, update):
    """The test of one section."""
    def test(tap):
        with Gateway(tap) as lab:
            lab.install()
            SECTIONS.get(section, lambda _: None)(lab)
            part = section
            for command in commands:
                if command.part != part:
                    part = command.part
                    PARTS.get(part, lambda _: None)(lab)
                run(tap, lab, command, update)
    test.__name__ = test.__doc__ = section.lower().replace(" ", "_")
    return test


def known(found):
    """What the tables name is in the pages."""
    def complete(tap):
        tap.equal(sorted(set(SECTIONS) - {one.section for one in found}), [], "the sections are in the pages")
        tap.equal(sorted(set(PARTS) - {one.part for one in found}), [], "and the parts")
        tap.equal(sorted((set(COMMANDS) | set(ELSEWHERE)) - {one.text for one in found}), [], "and the commands")
        tap.ok(len(found) >= 60, "there are commands", len(found))
    return complete


def whole():
    update = "--update" in sys.argv
    sys.argv[1:] = [word for word in sys.argv[1:] if word != "--update"]
    pages = [Page("README.md", (README,)), Page("doc/spefw.7")]
    found = [one for page in pages for one in page.commands]
    sections = list(dict.fromkeys(one.section for one in found))
    try:
        main(known(found), *[played(section, [one for one in found if one.section == section], update)
                             for section in sections], *MORE)
    finally:
        if update:
            for page in pages:
                page.write()


if __name__ == "__main__":
    whole()
