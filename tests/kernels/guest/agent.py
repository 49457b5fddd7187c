# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine does in each of its boots, as the kernel's command line lists it: spefw.jobs=NAME[:WORD...].

TAP for the machine outside goes to the second serial port. "== boot N" begins each boot, "== down HOW T" comes before
it goes down, "== end" is the last."""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import STATE, Gateway, output, report, show  # noqa: E402
from lab import ADDRESS, FAMILIES, Tap, vendor, wait_for  # noqa: E402
from lab.checks import guarded  # noqa: E402

# What a grant and an unconfirmed flow open to the client, until a reboot and over it.
GRANTED, UNCONFIRMED, CONFIRM_S = 8470, 8890, 90
MORE = "[flow unconfirmed-in]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = %d\n" % UNCONFIRMED
SERVER = ",".join(ADDRESS[family]["server"] for family in FAMILIES)
ADM = "203.0.113.0/24,2001:db8:3::/64"
OTHERS = ("nftables", "netfilter-persistent")
TOGETHER = 3
PROGRAMS = {"spefwd": "/usr/sbin/spefwd", "spefwctl": "/usr/bin/spefwctl"}


def modules():
    with open("/proc/modules", encoding="ascii") as file:
        return {line.split()[0] for line in file}


def status():
    return json.loads(output("spefwctl", "status", "--json", check=False))


def uptime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def go_down(how, *argv):
    """The last thing in a boot."""
    output("sync")
    report("== down %s %.3f %s" % (how, uptime(), json.dumps({"ownership": status().get("ownership")})))
    output(*argv)
    time.sleep(600)


def witnessed():
    """Until connections that are allowed come through; whether others don't."""
    output("systemctl", "start", "lab-network", "lab-witness")
    with Gateway() as lab:
        lab.serve("server", tcp=[443])
        wait_for(lambda: probe(lab), "the server answers")
        wait_for(lambda: os.path.exists("/run/lab-witness"), "the witness sees what is allowed")
        return guarded(lab, closed=(8470, 5985))


def probe(lab, port=443):
    try:
        lab.connect("client", ADDRESS[6]["server"], port).close()
        return True
    except OSError:
        return False


def opened():
    """Which of the two ports the client comes to."""
    output("systemctl", "start", "lab-network")
    with Gateway() as lab:
        lab.serve("server", tcp=[443, GRANTED, UNCONFIRMED])
        wait_for(lambda: probe(lab), "the server answers")
        return [port for port in (GRANTED, UNCONFIRMED) if probe(lab, port)]


# -- one boot after the other

def install(tap):
    """The package, on a machine that has loaded nothing for it."""
    tap.note("%s, %s" % (os.uname().release,
                         re.search(r'PRETTY_NAME="(.*)"', open("/etc/os-release", encoding="utf-8").read()).group(1)))
    before = modules()
    tap.ok("nf_tables" not in before and "nf_conntrack" not in before, "no module of netfilter is loaded",
           sorted(before))
    printed = output("apt-get", "install", "-qy", "--no-install-recommends", "/srv/debs/spefw.deb")
    tap.ok("spefwctl init" in printed, "apt installs the package", printed)
    output("spefwctl", "init", "--server", SERVER, "--adm", ADM, "--resolvers", "198.51.100.53")
    tap.equal(output("systemctl", "is-active", "spefwd", check=False).strip(), "inactive",
              "init has written a file, nothing runs")
    done = output("systemctl", "enable", "--now", "spefwd", check=False)
    if not tap.equal(show("ActiveState"), "active", "enabled, it runs"):
        tap.note(done + output("journalctl", "-b", "--no-pager", "-u", "spefwd", check=False))
        return
    now = modules()
    tap.ok({"nf_tables", "nf_conntrack", "nfnetlink_log"} <= now, "the kernel has loaded what it needs, by itself",
           sorted(now - before))
    answer = status()
    tap.note("ownership: %s" % answer["ownership"])
    with open("/etc/spefw/spefw.ini", "w", encoding="utf-8") as file:
        file.write(Gateway.config())
    output("systemctl", "reload", "spefwd")
    tap.equal(status()["mode"], "enforce", "reloaded, it enforces")


def system(tap, *names):
    """System tests with the programs of the package."""
    build = "/srv/build"
    os.makedirs(build, exist_ok=True)
    for name, path in PROGRAMS.items():
        if not os.path.lexists(build + "/" + name):
            os.symlink(path, build + "/" + name)
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_test, build, name) for name in names]):
            tell_test(tap, *done.result())


def run_test(build, name):
    began = time.monotonic()
    done = subprocess.run(["timeout", "-k", "30", "1800", sys.executable, "/srv/spefw/tests/system/%s.py" % name],
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False,
                          env={**os.environ, "SPEFW_BUILD": build})
    return name, done.returncode, done.stdout.split("\n"), time.monotonic() - began


def tell_test(tap, name, code, lines, took):
    """A test's results as this one's own, and its output where something failed."""
    failed, about = tap.failed, []
    for line in lines:
        found = re.match(r"(ok|not ok) \d+ - (.*)", line)
        if not found:
            about.append(line)
        elif found.group(1) == "not ok":
            tap.ok(False, "%s: %s" % (name, found.group(2)))
            about.append(line)
        elif " # SKIP " in found.group(2):
            tap.skip("%s: %s" % (name, found.group(2).split(" # SKIP ")[0]), found.group(2).split(" # SKIP ")[1])
        else:
            tap.ok(True, "%s: %s" % (name, found.group(2)))
    if code != 0 and tap.failed == failed:
        tap.ok(False, "%s ended with status %d%s" % (name, code, ", it hung" if code == 124 else ""))
    if tap.failed > failed:
        tap.note("\n".join(about[-150:]))
    tap.note("%s took %.0f s" % (name, took))


def prepare_down():
    """Other services that flush tables, and one that is slow to stop."""
    output("systemctl", "enable", "lab-network", "lab-witness", "lab-slow", *OTHERS)
    output("systemctl", "start", "lab-slow", *OTHERS)


def after_boot(tap):
    """The order of the start, with others that flush enabled."""
    ready = int(show("ActiveEnterTimestampMonotonic"))
    flushed = [int(show("ActiveEnterTimestampMonotonic", name)) for name in OTHERS]
    network = int(show("InactiveExitTimestampMonotonic", "lab-network"))
    tap.ok(0 < ready < network and all(0 < one < network for one in flushed),
           "the table and what flushes it came before the network", (ready, flushed, network))
    tap.measured("boot on %s: spefwd ready after %.1f s, its start took %.1f s" % (
        os.uname().release, ready / 1e6, (ready - int(show("InactiveExitTimestampMonotonic"))) / 1e6))
    tap.ok(witnessed(), "guarded")


def after_down(tap):
    """What the last boot's end has left."""
    log = output("journalctl", "-b", "-1", "--no-pager", "-o", "short-monotonic", "-u", "spefwd", check=False)
    _, begun, end = log.rpartition("Stopping spefwd.service")
    tap.ok(begun and "Deactivated successfully" in end and "timed out" not in end and "Killing" not in end,
           "spefwd stopped by itself, in time", log)
    with open(STATE + "/denied", encoding="ascii") as file:
        before = json.load(file)
    now = status()["denied"]
    tap.ok(all(now[key] >= before[key] for key in ("in", "out", "early")), "its counts were saved", (before, now))


def remember():
    with open(STATE + "/denied", "w", encoding="ascii") as file:
        json.dump(status()["denied"], file)


def interrupted(tap):
    """A grant, and a reload that nobody confirms before the machine goes down."""
    for family in FAMILIES:
        output("spefwctl", "grant", "console-in", ADDRESS[family]["client"], "--for", "2h")
    with open("/etc/spefw/spefw.ini", "w", encoding="utf-8") as file:
        file.write(Gateway.config(flows=MORE))
    output("spefwctl", "reload", "--confirm=%ds" % CONFIRM_S)
    tap.equal(opened(), [GRANTED, UNCONFIRMED], "the grant and the new flow are in force")


def resumed(tap):
    """The grant goes on, the reload is undone."""
    wait_for(lambda: "waiting" not in status()["config"], "the reload is undone", bound=2 * CONFIRM_S)
    log = output("journalctl", "-b", "--no-pager", "-u", "spefwd")
    tap.ok("undo of the change by root (uid 0)" in log, "undone in this boot, after it came up with it", log)
    tap.equal(opened(), [GRANTED], "packets: the grant goes on, the flow does not")
    left = {grant["left_s"] for grant in json.loads(output("spefwctl", "grants", "--json"))["grants"]}
    tap.ok(left and max(left) < 7200, "the time while the machine was down counts", left)
    tap.equal(status()["config"]["matches_disk"], False, "the file that was undone is not taken at the next start")
    for family in FAMILIES:
        output("spefwctl", "revoke", "console-in", ADDRESS[family]["client"])
    with open("/etc/spefw/spefw.ini", "w", encoding="utf-8") as file:
        file.write(Gateway.config())
    output("spefwctl", "reload")
    tap.equal(opened(), [], "revoked")


def short(tap, boot, *words):
    """It boots, is installed and enabled, goes down with others that flush."""
    if boot == 1:
        tap.section(install)
        tap.section(system, *words)
        prepare_down()
        tap.ok(witnessed(), "guarded")
        remember()
        tap.section(interrupted)
        go_down("reboot", "systemctl", "reboot")
    if boot == 2:
        tap.section(resumed)
    tap.section(after_boot)
    tap.section(after_down)
    remember()
    go_down("poweroff", "systemctl", "poweroff")


def life(tap, boot):
    """The package's whole life; then the ways to go down, the last two with /var on a partition of its own."""
    import machine_life
    if boot == 1:
        output("systemctl", "start", "lab-network")
        machine_life.life(tap)
        prepare_down()
        tap.ok(witnessed(), "guarded")
        remember()
        tap.section(interrupted)
        go_down("reboot", "systemctl", "reboot")
    if boot == 2:
        tap.section(resumed)
    tap.section(after_boot)
    tap.section(after_down)
    remember()
    if boot == 2:
        own_var()
        go_down("reboot, the next one with a /var of its own", "systemctl", "reboot")
    tap.equal(output("findmnt", "-no", "SOURCE", "/var").strip(), "/dev/vdb", "/var is a file system of its own")
    if boot == 3:
        tap.section(rescued)
        remember()
        go_down("reboot with a /var of its own", "systemctl", "reboot")
    go_down("poweroff with a /var of its own", "systemctl", "poweroff")


def own_var():
    """Moves /var to the second disk, from the next boot on."""
    output("mkfs.ext4", "-q", "/dev/vdb")
    output("mount", "/dev/vdb", "/mnt")
    output("systemctl", "stop", "spefwd")
    output("cp", "-a", "/var/.", "/mnt")
    output("systemctl", "start", "spefwd")
    output("umount", "/mnt")
    with open("/etc/fstab", "a", encoding="ascii") as file:
        file.write("/dev/vdb /var ext4 defaults 0 0\n")


def rescued(tap):
    """isolate rescue.target, and back."""
    report("== down rescue %.3f %s" % (uptime(), json.dumps({"ownership": status().get("ownership")})))
    output("systemctl", "isolate", "rescue.target")
    # systemctl waits for the target, and not for what stops.
    wait_for(lambda: show("ActiveState", "rescue.target") == "active" and show("ActiveState", "lab-slow") == "inactive",
             "rescue.target")
    tap.equal(show("ActiveState"), "active", "spefwd goes on in rescue.target")
    time.sleep(2) # the witness reports what it saw
    tap.ok(witnessed(), "the table guards on")
    report("== up")
    output("systemctl", "isolate", "multi-user.target")
    wait_for(lambda: show("ActiveState") == show("ActiveState", "lab-slow") == "active", "all runs again")
    tap.ok(witnessed(), "back in multi-user.target: guarded")


def tests(tap, boot, *words):
    """The package, and system tests with its programs."""
    del boot
    tap.section(install)
    output("systemctl", "disable", "--now", "spefwd")
    output("spefwctl", "clear", "--yes")
    tap.section(system, *words)
    report("== off")
    output("systemctl", "poweroff")
    time.sleep(600)


SCENARIOS = {"short": short, "life": life, "tests": tests}


def main():
    os.makedirs(STATE, exist_ok=True)
    boot = 1
    if os.path.exists(STATE + "/boot"):
        with open(STATE + "/boot", encoding="ascii") as file:
            boot = int(file.read()) + 1
    with open(STATE + "/boot", "w", encoding="ascii") as file:
        file.write("%d\n" % boot)
    report("== boot %d" % boot)
    with open("/proc/cmdline", encoding="ascii") as file:
        name, *words = re.search(r"spefw\.jobs=(\S+)", file.read()).group(1).split(":")
    tap = Tap()
    try:
        subprocess.run(["systemctl", "is-system-running", "--wait"], stdout=subprocess.DEVNULL, check=False,
                       timeout=300)
        tap.note("booted after %.1f s" % uptime())
        SCENARIOS[name](tap, boot, *words)
    except Exception:  # pylint: disable=broad-except
        import traceback
        tap.ok(False, "%s, boot %d" % (name, boot), traceback.format_exc())
        tap.note(output("journalctl", "-b", "--no-pager", "-n", "80", check=False))
    report("== failed")
    output("systemctl", "poweroff", "--force")


if __name__ == "__main__":
    main()
