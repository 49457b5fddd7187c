#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""export: what each format holds is what the gateway does, for the programs and the people that it is made for."""
import copy
import ipaddress
import json
import os
import re
import subprocess
import sys
import tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import (ADDRESS, DNS, EXCHANGE, FAMILIES, LICENSE, NARROW, Lab, main, probe_all, program, vendor,
                 wait_for)  # noqa: E402
from lab.checks import content, differences  # noqa: E402
from lab.daemon import TOP, sanitizer_report  # noqa: E402

MAIL = {4: "198.51.100.26", 6: "2001:db8:51::26"}
ADMIN_NAME = "admin.example.net"
NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values()), ADMIN_NAME: ["203.0.113.200"]}
# What cmd takes as one line, and what of it no shell takes for anything else.
LINE_MAX = 8191
COMMAND = re.compile(r'netsh advfirewall firewall add rule name="[A-Za-z][A-Za-z0-9 ()-]*"'
                     r'( [a-z]+=([A-Za-z]+|"[0-9a-z.,:/-]+"))+')


def offline(text, *words):
    """export of a file alone: its output."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return run_offline(file.name, *words)


def run_offline(path, *words):
    done = subprocess.run([program("spefwctl"), "export"] + list(words) + ["-c", path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120,
                          check=False)
    if done.returncode or sanitizer_report(done.stderr):
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


# Windows' own firewall

class Windows:
    """The rules of commands of netsh, as Windows would have them: everything else is denied."""

    def __init__(self, text):
        self.lines = [line for line in text.split("\n") if line.startswith("netsh ")]
        self.rules = [dict(re.findall(r'([a-z]+)=("[^"]*"|\S+)', line)) for line in self.lines]

    @staticmethod
    def _holds(listed, address):
        if listed is None:
            return True
        for word in listed.strip('"').split(","):
            first, _, last = word.partition("-")
            if last:
                ends = [ipaddress.ip_address(end) for end in (first, last)]
                if ends[0].version == address.version and ends[0] <= address <= ends[1]:
                    return True
            elif address in ipaddress.ip_network(word):
                return True
        return False

    @staticmethod
    def _port(listed, port):
        ranges = [word.split("-") for word in listed.strip('"').split(",")]
        return any(int(one[0]) <= port <= int(one[-1]) for one in ranges)

    def allows(self, source, target, port, protocol="TCP"):
        return any(rule["protocol"] == protocol and self._port(rule["localport"], port) and
                   self._holds(rule.get("remoteip"), ipaddress.ip_address(source)) and
                   self._holds(rule.get("localip"), ipaddress.ip_address(target)) for rule in self.rules)


def is_safe(tap, windows, title):
    bad = [line for line in windows.lines if not COMMAND.fullmatch(line) or len(line) > LINE_MAX]
    tap.ok(windows.lines and not bad, title + ": each command is a line that PowerShell and cmd take as it is", bad)


def comments_are_safe(tap, text, title):
    """cmd takes a comment for a program that is not there: it must not be more than that."""
    bad = [line for line in text.split("\n") if line and not line.startswith("netsh ") and
           not re.fullmatch(r"# [\x20-\x7e]*", line) or (line.startswith("# ") and re.search(r"[&|<>^%!`$]", line))]
    tap.equal(bad, [], title + ": no comment is a command")


def netsh_of_files(tap):
    """Of a file alone."""
    base = "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n\n[role ADM]\nmembers = %s\n"
    text = offline(base % "192.0.2.0/24", "netsh")
    tap.equal(Windows(text).lines, vendor.NETSH, "for the default they are the vendor's three commands")
    comments_are_safe(tap, text, "default")
    tap.ok('# netsh advfirewall firewall add rule name="spefw (ping)"' in text, "ping, which the vendor has not, is "
           "a comment", text)

    text = offline(base % "any" + "[flow console-in]\nport = 18470\n[flow https-in]\nfrom = 203.0.113.0/24\n"
                   "[flow imap-in]\nenabled = no\n", "netsh")
    windows = Windows(text)
    tap.ok(windows.allows("198.51.100.7", "192.0.2.25", 18470) and not windows.allows("198.51.100.7", "192.0.2.25", 443)
           and windows.allows("203.0.113.7", "192.0.2.25", 443) and windows.allows("203.0.113.7", "192.0.2.25", 993)
           and not windows.allows("203.0.113.7", "192.0.2.25", 143)
           and not windows.allows("198.51.100.7", "192.0.2.25", 8470), "ports, sources and what is off", text)

    # Odd ends, two families, two machines.
    odd = (base % "192.0.2.3-192.0.2.9 2001:db8:1::/64" +
           "[role IH]\nmembers = 192.0.2.31 192.0.2.32\nprotected = yes\n"
           "[flow ih-in]\nfrom = SERVER\nto = IH\nprotocol = tcp\nport = 8463, 1000-1010\n"
           "[flow part-in]\nfrom = ADM\nto = 192.0.2.32\nprotocol = udp\nport = 5000\n"
           "comment = & del *.* | <x> \"%PATH%\" $(calc) `x`\n"
           "[flow echo-in]\nfrom = ADM\nto = IH\nprotocol = icmp-echo\n")
    text = offline(odd, "netsh")
    parts = re.split(r"^# == For the machine of role (\w+): (.*)$", text, flags=re.M)
    tap.equal(parts[1::3], ["SERVER", "IH"], "a block for each guarded machine, which is named")
    tap.equal(parts[2::3], ["192.0.2.25 2001:db8:2::25", "192.0.2.31-192.0.2.32"], "and its addresses")
    machines = {name: Windows(part) for name, part in zip(parts[1::3], parts[3::3])}
    for windows in machines.values():
        is_safe(tap, windows, "odd ends")
    comments_are_safe(tap, text, "odd ends")
    inside, outside = machines["IH"], machines["SERVER"]
    tap.ok(inside.allows("192.0.2.25", "192.0.2.31", 8463) and inside.allows("2001:db8:2::25", "192.0.2.31", 1005)
           and not inside.allows("192.0.2.26", "192.0.2.31", 8463)
           and not inside.allows("192.0.2.25", "192.0.2.31", 443), "a flow between guarded machines", text)
    tap.ok(inside.allows("192.0.2.4", "192.0.2.32", 5000, "UDP")
           and not inside.allows("192.0.2.4", "192.0.2.31", 5000, "UDP")
           and not inside.allows("2001:db8:1::4", "192.0.2.32", 5000, "UDP"), "one to a part of a role", text)
    tap.ok(outside.allows("192.0.2.9", "192.0.2.25", 8470) and not outside.allows("192.0.2.10", "192.0.2.25", 8470)
           and outside.allows("2001:db8:1::1", "192.0.2.25", 8470), "a range, and a network of IPv6", text)
    echo = [rule for rule in inside.rules if "icmp" in rule["protocol"]]
    tap.equal([(rule["protocol"], rule["remoteip"]) for rule in echo],
              [('"icmpv4:8,any"', '"192.0.2.3-192.0.2.9"'), ('"icmpv6:128,any"', '"2001:db8:1::/64"')],
              "an echo is one protocol a family")

    # More than fits into a line: split, and nothing lost or added.
    networks = ["10.%d.%d.0/25" % (i // 200, i % 200) for i in range(3000)]
    windows = Windows(offline(base % "\n ".join(networks), "netsh"))
    is_safe(tap, windows, "3,000 networks")
    console = [rule for rule in windows.rules if rule["localport"] == '"8470"']
    tap.ok(len(console) > 1, "they are several commands", len(console))
    tap.equal(sorted(",".join(rule["remoteip"].strip('"') for rule in console).split(",")), sorted(networks),
              "which have all of them")

    # A name that nobody resolves is left out, and the rule with it where it has no other source.
    text = offline(base % ADMIN_NAME, "netsh")
    tap.ok(Windows(text).lines == vendor.NETSH[:1] and "left out: " + ADMIN_NAME in text and
           "no rule: no address of its source is known" in text, "an unresolved name opens nothing", text)
    windows = Windows(offline(base % ("192.0.2.7 " + ADMIN_NAME), "netsh"))
    tap.equal([rule.get("remoteip") for rule in windows.rules], [None, '"192.0.2.7"', '"192.0.2.7"'],
              "nor does it where there are others")


def netsh_of_the_daemon(tap):
    """The addresses of names, and every answer as explain has it."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=300)
        daemon = lab.spefwd(lab.config(adm="203.0.113.0/25 2001:db8:3::/64 " + ADMIN_NAME))
        daemon.wait_status(lambda status: daemon.addresses(ADMIN_NAME, status), "the name is known")
        text = daemon.ctl("export", "netsh").stdout
        windows = Windows(text)
        is_safe(tap, windows, "live")
        comments_are_safe(tap, text, "live")
        tap.ok("# %s had these addresses then, which Windows does not follow: 203.0.113.200" % ADMIN_NAME in text,
               "a comment has what became of the name", text)
        sources = [ADDRESS[family][machine] for family in FAMILIES for machine in ("client", "admin", "internet")]
        wrong = []
        for source in sources + ["203.0.113.200", "203.0.113.201"]:
            target = ADDRESS[6 if ":" in source else 4]["server"]
            for port in [80, 3389] + vendor.PORTS:
                answer = daemon.call("Explain", {"source": source, "target": "[%s]:%d" % (target, port) if ":" in target
                                                 else "%s:%d" % (target, port), "others": False})
                allowed = answer["results"][0]["verdict"] == "allowed"
                if windows.allows(source, target, port) != allowed:
                    wrong.append((source, port, allowed))
        tap.equal(wrong, [], "Windows lets pass what the gateway does")
        document = json.loads(daemon.ctl("export", "netsh", "--json").stdout)
        tap.equal([line for line in document["text"].split("\n") if line.startswith("netsh ")], windows.lines,
                  "--json has the text")


# nft

def probes_are_right(tap, lab, title, names):
    """Connections of each kind, both families; names: whether what a name opens is open."""
    wanted = []
    for family in FAMILIES:
        server, at = ADDRESS[family]["server"], ADDRESS[family]
        wanted += [("client", server, 443, True), ("client", server, 8470, False), ("client", server, 3389, False),
                   ("admin", server, 8470, True), ("admin", server, 3389, False),
                   ("server", LICENSE[0][family], 443, names), ("server", MAIL[family], 443, False),
                   ("server", MAIL[family], 993, True), ("server", MAIL[family], 22, False),
                   ("client", at["admin"], 22, True)]
    probes = probe_all(wanted, lambda: lab.connect("client", ADDRESS[4]["server"], 443).close())
    got = [(probe, probe.result is not None) for probe in probes]
    wrong = [(want, probe.result) for want, (probe, is_open) in zip(wanted, got) if is_open != want[3]]
    tap.equal(wrong, [], title)


def nft(tap):
    """Loaded by nft, it is the same table, and does the same to packets."""
    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=300)
        lab.serve("server", tcp=[443, 3389, 8470])
        lab.serve("internet", tcp=[22, 443, 993])
        lab.serve("admin", tcp=[22])
        daemon = lab.spefwd(lab.config(flows=NARROW, adm="203.0.113.0/24 2001:db8:3::/64 " + ADMIN_NAME))
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2 and
                           daemon.addresses(ADMIN_NAME, status), "the names are known")
        text = daemon.ctl("export", "nft").stdout
        tap.ok("is no daemon's" in text and "spefwd" in text.split("\n")[1], "its head says what it is", text[:400])
        before = content(daemon.table())
        probes_are_right(tap, lab, "by the daemon's table", True)
        daemon.stop()
        tap.equal(text.count("\ntable inet spefw\ndelete table inet spefw\n"), 1, "it takes the place of another")
        # That of a daemon that has ended may be one that only goes by being deleted.
        lab.run("gateway", "nft", "-f", "-", text=text.replace("\ntable inet spefw\ndelete", "\ndelete"))
        tap.equal(differences(before, content(daemon.table())), "", "nft loads the daemon's table")
        left = [int(seconds) for seconds in re.findall(r"198\.51\.100\.\d+ timeout (\d+)s", text)]
        tap.ok(left and all(0 < seconds <= 8 * 86400 for seconds in left), "addresses of names end", left)
        probes_are_right(tap, lab, "by the table that nft loaded", True)
        lab.run("gateway", "nft", "-f", "-", text=text)
        tap.equal(differences(before, content(daemon.table())), "", "loaded again it is not doubled")
        path = daemon.config
        text = run_offline(path, "nft")
        lab.run("gateway", "nft", "-f", "-", text=text)
        tap.ok("Nobody resolved the names" in text, "of the file alone, it says so", text[:600])
        probes_are_right(tap, lab, "of the file alone: nothing is open by a name", False)
        daemon.start()
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "names are known")
        wait_for(lambda: not differences(before, content(daemon.table())), "the daemon's table is there again")
        tap.ok(True, "a spefwd that starts takes its place")


# JSON

def schema():
    with open(os.path.join(TOP, "include", "spefw", "export.schema.json"), encoding="utf-8") as file:
        return json.load(file)


def parts_of(value, path=()):
    """Each object within, with the way to it."""
    if isinstance(value, dict):
        yield path, value
    for key, one in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        yield from parts_of(one, path + (key,))


def broken(document):
    """(what, document) that are not right any more."""
    for path, _ in parts_of(document):
        for change in ("a member more", "a number"):
            other = copy.deepcopy(document)
            at = other
            for key in path:
                at = at[key]
            if change == "a member more" and path and path[0] in ("made", "roles", "flows", "configuration"):
                at["xyzzy"] = 1
            elif change == "a number" and at:
                at[sorted(at)[0]] = {"xyzzy": 1}
            else:
                continue
            if path[:1] not in (("status",), ("names",)):
                yield "%s at %s" % (change, "/".join(str(key) for key in path)), other
    for key in schema()["required"]:
        other = copy.deepcopy(document)
        del other[key]
        yield "without " + key, other


def json_by_its_schema(tap):
    try:
        from jsonschema import Draft202012Validator  # pylint: disable=import-outside-toplevel
    except ImportError:
        tap.skip("export json by its schema", "python3-jsonschema is missing, or too old")
        return
    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())

    def judge(document, title):
        errors = ["/".join(str(key) for key in error.absolute_path) + ": " + error.message[:200]
                  for error in validator.iter_errors(document)]
        tap.equal(errors, [], title + ": valid")
        accepted = [what for what, other in broken(document) if validator.is_valid(other)]
        tap.equal(accepted, [], title + ": nothing else is")

    with Lab(tap) as lab:
        lab.dns(NAMES, ttl=300)
        lab.serve("server", tcp=[443])
        config = lab.config(flows="[flow backup-in]\nfrom = 203.0.113.77\nto = SERVER\nprotocol = tcp\nport = 445\n"
                            "comment = nightly\nexpect = 1d\n[role SPARE]\nmembers = 203.0.113.9\n")
        judge(json.loads(offline(config, "json")), "a file alone")
        tap.equal(json.loads(offline(config, "json", "--json"))["flows"], json.loads(offline(config, "json"))["flows"],
                  "with --json as well")
        daemon = lab.spefwd(config)
        daemon.wait_status(lambda status: status["health"] == "ok", "healthy")
        lab.connect("client", ADDRESS[4]["server"], 443).close()
        daemon.ctl("reload")
        daemon.reload(config.replace("port = 445", "port = 446"))
        os.unlink(daemon.config)
        document = json.loads(daemon.ctl("export", "json").stdout)
        judge(document, "live")
        tap.equal([(entry["how"], entry["changes"]) for entry in document["history"]],
                  [("reload", ["flow backup-in: port 446, was 445"]), ("start", [])], "what was in force when")
        tap.ok(len(document["warnings"]) == 1 and "SPARE" in document["warnings"][0],
               "what check has to say of the configuration in force, though its file is gone", document["warnings"])
        flows = {flow["id"]: flow for flow in document["flows"]}
        tap.equal([flows["https-in"]["inbound"], flows["https-in"]["outbound"], flows["crl"]["outbound"],
                   flows["license-out"]["inbound"]], [["SERVER"], [], ["SERVER"], []], "which roles a flow concerns")
        tap.ok("attempts" in flows["https-in"] and "status" in document and document["made"]["source"] == "daemon",
               "with its use", flows["https-in"])
        daemon.call("Clear")
        document = json.loads(daemon.ctl("export", "json").stdout)
        judge(document, "cleared")
        page = daemon.ctl("export", "markdown").stdout
        tap.ok("**Not guarded.**" in page, "a page of a cleared gateway begins with that", page[:300])
        daemon.stop()
        done = daemon.ctl("export", "html", check=False)
        tap.ok(done.returncode == 3 and not done.stdout and "-c /etc/spefw/spefw.ini" in done.stderr and
               done.stderr.count("\n") == 1, "without a daemon it says what to do", done)


def granted_addresses(tap):
    """They are on the page and in the table, for as long as they have it; Windows, which would keep them, gets none."""
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config())
        client = ADDRESS[4]["client"]
        daemon.ctl("grant", "console-in", client, "--for", "1h")
        document = json.loads(daemon.ctl("export", "json").stdout)
        tap.equal([grant["address"] for grant in document["status"]["grants"]], [client], "export json has it")
        page = daemon.ctl("export", "markdown").stdout
        row = r"\| console-in<br>source \| %s \| [0-9-]+ [0-9:]+ UTC \| root \(uid 0\) \|" % re.escape(client)
        tap.ok(re.search(row, page), "so has the page, with who gave it", page)
        tap.ok(not Windows(daemon.ctl("export", "netsh").stdout).allows(client, ADDRESS[4]["server"], 8470),
               "the rules for Windows have not")
        text, before = daemon.ctl("export", "nft").stdout, content(daemon.table())
        tap.ok(re.search(r"%s timeout \d+s" % re.escape(client), text), "the table has it until it ends", text)
        daemon.stop()
        lab.run("gateway", "nft", "-f", "-", text=text.replace("\ntable inet spefw\ndelete", "\ndelete"))
        tap.equal(differences(before, content(daemon.table())), "", "and is the daemon's")


if __name__ == "__main__":
    main(netsh_of_files, netsh_of_the_daemon, nft, json_by_its_schema, granted_addresses)
