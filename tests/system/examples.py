#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each command that spefwctl(8) shows runs as it stands there, on a gateway that has the installed paths."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import DNS, LICENSE, Lab, main, namespaces, vendor  # noqa: E402
from lab.daemon import BUILD, TOP, program, sanitizer_report  # noqa: E402

# What the last of a verb's commands may end with, beside 0.
STATUSES = {"doctor": (1,), "cut": (1,), "edit": (1,)}  # its connection is not there; there is no terminal
# These go on until they are interrupted.
ENDLESS = re.compile(r"^spefwctl (watch|.*--follow)\b")
INI = "/etc/spefw/spefw.ini"


def page():
    built = os.path.join(BUILD, "doc", "spefwctl.8")
    with open(built if os.path.exists(built) else os.path.join(TOP, "doc", "spefwctl.8"), encoding="utf-8") as file:
        return file.read()


def commands():
    """[(verb or "", command)] in the order of the page: what has a prompt, and literal lines where none has."""
    found, verb, literal, prompted = [], "", False, False
    for line in page().split("\n"):
        text = line.replace("\\-", "-").replace("\\(aq", "'").replace("\\&", "")
        item = re.match(r"\.It Cm (\S+)", text)
        if text.startswith(".Sh "):
            verb, section = "", text[4:]
        elif item and section == "VERBS":
            verb = item.group(1)
        elif text.startswith((".Bd -literal", ".Ed")):
            literal, prompted = text.startswith(".Bd") and section == "EXAMPLES", False
        elif text.startswith((".Dl # ", "# ")):
            prompted = True
            found.append((verb, text.partition("# ")[2]))
        elif literal and not prompted:
            found.append((verb, text))
    return found


def own_etc():
    """A copy of /etc in its place, which examples may write to."""
    copy = tempfile.mkdtemp(dir="/run")
    os.chmod(copy, 0o755)
    subprocess.run(["cp", "-a", "/etc/.", copy], stderr=subprocess.DEVNULL, check=False)
    for name in ("resolv.conf", "spefw"):
        subprocess.run(["rm", "-rf", os.path.join(copy, name)], check=True)
    os.mkdir(os.path.join(copy, "spefw"))
    with open(os.path.join(copy, "resolv.conf"), "w", encoding="ascii") as file:
        file.write("nameserver %s\n" % DNS[4])
    namespaces.mount(copy, "/etc", None, namespaces.MS_BIND)


def install(daemon):
    """Programs by their names, the socket and the file where they are installed."""
    os.makedirs("/run/bin")
    for name in ("spefwctl", "spefwd"):
        os.symlink(program(name), "/run/bin/" + name)
    os.makedirs("/run/spefw")
    os.symlink(daemon.socket, "/run/spefw/control.sock")
    shutil.copy(daemon.config, INI)
    os.makedirs("/run/work")
    shutil.copy(daemon.config, "/run/work/new.ini")


# What has to be so for a verb's example: functions of the lab and the daemon, before and after it.

def no_file(_lab, _daemon):
    os.rename(INI, INI + ".away")


def the_file(_lab, _daemon):
    os.rename(INI + ".away", INI)


def reloaded(_lab, daemon):
    daemon.ctl("reload")


def another(lab, daemon):
    daemon.write(lab.config(flows="[flow api-in]\nenabled = no\n"))


BEFORE = {"init": no_file, "reload": another}
AFTER = {"init": the_file, "clear": reloaded}


def run(lab, command):
    """Its exit status (0 where it was interrupted), and what it wrote."""
    # Without --foreground SIGCONT would follow, which stops the leak check of a sanitizer for good.
    argv = ["timeout", "--foreground", "-s", "INT", "2"] if ENDLESS.match(command) else []
    env = dict(os.environ, PATH="/run/bin:" + os.environ["PATH"], LC_ALL="C")
    script = "cd /run/work; " + ("exec " if argv else "") + command
    done = lab.run("gateway", *argv, "sh", "-c", script, check=False, env=env)
    report = sanitizer_report(done.stderr)
    if report:
        raise RuntimeError(report)
    return 0 if argv and done.returncode in (124, 130) else done.returncode, done.stdout + done.stderr


def examples(tap):
    """Each verb's example, and those at the end of the page."""
    all_commands = commands()
    verbs = {verb for verb, _ in all_commands if verb}
    with Lab(tap) as lab:
        own_etc()
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())}, ttl=300)
        daemon = lab.spefwd(lab.config())
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        install(daemon)
        listed = set(daemon.ctl("list", "verbs").stdout.split())
        tap.equal(sorted(listed - verbs), [], "each verb has an example")
        for verb, command in all_commands:
            absent = [name for name in ("jq", "varlinkctl") if re.search(r"\b%s\b" % name, command)
                      and not shutil.which(name)]
            if absent:
                tap.skip(command, "%s is not installed" % absent[0])
                continue
            BEFORE.get(verb, lambda *_: None)(lab, daemon)
            status, output = run(lab, command)
            AFTER.get(verb, lambda *_: None)(lab, daemon)
            good = (0,) + STATUSES.get(verb or command.split()[1], ())
            tap.ok(status in good, command, "exit %d\n%s" % (status, output))
            if verb:
                tap.ok(command.startswith("spefwctl %s" % verb) and output,
                       "%s: it is of that verb, and shows something" % verb, (command, output))


if __name__ == "__main__":
    main(examples)
