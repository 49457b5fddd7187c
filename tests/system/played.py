#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The first weeks, as an administrator has them: init in audit mode, who would be denied, one edit that covers it,
enforce; then the telephone: an administrator can't get in, is found, and let in. By the client's screens alone."""
import os
import re
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, DNS, LICENSE, Lab, Probe, main, vendor, wait_for  # noqa: E402
from lab.daemon import program  # noqa: E402

SERVER, ADMIN, CLIENT = (ADDRESS[4][machine] for machine in ("server", "admin", "client"))
NETWORK = re.sub(r"[0-9]+$", "0/24", ADMIN)


def pasted(text, screen):
    """The configuration with the lines that `spefwctl drops` shows in audit mode, put where it says."""
    lines, header = text.split("\n"), None
    fresh, placed = [], {}
    for line in screen.split("\n; Would allow")[1].split("\n")[1:]:
        where = re.match(r'; in \[(?P<section>[^]]+)\] \(spefw\.ini:(?P<line>\d+)\), below "(?P<key>[a-z_]+) *="', line)
        if where:
            header = (int(where["line"]), where["key"])
            placed[header] = []
        elif line.startswith(";"):
            raise ValueError("what is meant by %r?" % line)
        elif not line:
            header = None
        elif header:
            placed[header].append(line)
        else:
            fresh.append(line)
    for (number, key), values in sorted(placed.items(), reverse=True):
        at = next(index for index in range(number - 1, len(lines)) if re.match(key + r"\s*=", lines[index]))
        lines[at + 1:at + 1] = values
    return "\n".join(lines + [re.sub(r"^\[", "\n[", line) for line in fresh]) + "\n"


def denied(daemon, machine, port):
    """Whether the server was not reached, once the attempt is counted."""
    def count():
        return sum(daemon.status()["denied"][kind] for kind in ("in", "early"))
    before = count()
    probe = Probe(machine, SERVER, port)
    wait_for(lambda: count() > before, "it is counted")
    probe.step()
    result = probe.result
    probe.close()
    return result is None


def played(tap):
    """From the first configuration to a closed call, with nothing but what the screens say."""
    with Lab(tap) as lab:
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())})
        lab.serve("server", tcp=[143, 3389, 8470])
        lab.serve("client", tcp=[3389])
        path = os.path.join(lab.dir, "spefw.ini")
        done = subprocess.run([program("spefwctl"), "init", "-c", path, "--server", SERVER, "--adm", NETWORK,
                               "--resolvers", DNS[4]], capture_output=True, text=True, check=False)
        tap.ok(done.returncode == 0 and "spefwctl drops" in done.stdout, "init, and the next steps", done)
        with open(path, encoding="utf-8") as file:
            config = file.read() + "\n[dns]\nservers = %s\n" % DNS[4]
        daemon = lab.spefwd(config)
        tap.ok("denies nothing" in daemon.ctl("status", check=False).stdout, "it audits")

        # A week of work: some of it is the vendor's, some of it nobody had thought of.
        def work():
            lab.connect("client", SERVER, 143).close()
            lab.connect("admin", SERVER, 8470).close()
            lab.connect("admin", SERVER, 3389).close()
            lab.connect("server", CLIENT, 3389).close()
        work()
        screen = wait_for(lambda: (lambda text: text if text.count("tcp/3389") >= 2 else None)(
            daemon.ctl("drops").stdout), "both are seen")
        tap.ok(screen.startswith("In audit mode: nothing is denied, this would be."), "what would be denied", screen)
        rows = screen.split("\n; Would allow")[0]
        tap.ok("tcp/143" not in rows and "tcp/8470" not in rows, "and nothing that would not", rows)
        status = daemon.ctl("status", check=False).stdout
        tap.ok("Would deny" in status and "Denied" not in status, "status says so", status)

        # One edit that covers it, and enforce.
        config = pasted(config, screen)
        daemon.write(re.sub(r"(?m)^mode( *)= audit", r"mode\1= enforce", config))
        done = daemon.ctl("check", daemon.config)
        tap.ok(done.returncode == 0 and not done.stderr, "the lines are good, and nothing to warn of", done.stderr)
        done = daemon.ctl("reload")
        tap.ok("mode: audit -> enforce" in done.stdout, "enforced", done.stdout)
        work()
        tap.ok(True, "all that was done before is done again")
        tap.ok(denied(daemon, "client", 3389), "another one's is denied")
        text = daemon.ctl("status", check=False).stdout
        tap.ok(re.match(r"\S spefw ok: guards " + re.escape(SERVER), text) and len(text.strip().split("\n")) <= 10,
               "ok, in ten lines", text)

        # The telephone: "why can't I get in?"
        tap.ok(denied(daemon, "client", 8470), "somebody can't get in")
        done = daemon.ctl("explain", CLIENT, "server:8470", check=False)
        tap.ok(done.stdout.startswith("DENIED by spefw") and "console-in" in done.stdout
               and CLIENT + " is not in ADM" in done.stdout, "explain: why", done.stdout)
        screen = wait_for(lambda: (lambda text: text if "console-in: source not in" in text else None)(
            re.sub(r"\n {8,}", " ", daemon.ctl("drops").stdout)), "drops has it")
        cure = re.search(r"add (\S+) to \[role ADM\] \(spefw\.ini:(\d+)\)", screen)
        tap.ok(cure and cure[1] == CLIENT, "and what would allow it", screen)
        lines = config.replace("= audit", "= enforce").split("\n")
        at = next(index for index in range(int(cure[2]) - 1, len(lines)) if lines[index].startswith("members"))
        lines[at] += " " + cure[1]
        daemon.reload("\n".join(lines))
        lab.connect("client", SERVER, 8470).close()
        done = daemon.ctl("explain", CLIENT, "server:8470")
        tap.ok(done.stdout.startswith("ALLOWED by spefw (console-in)"), "let in, and explained", done.stdout)
        screen = re.sub(r"\n {8,}", " ", daemon.ctl("drops").stdout)
        tap.ok("allowed by now: console-in" in screen, "and so says drops", screen)


if __name__ == "__main__":
    main(played)
