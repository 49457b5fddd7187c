#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""spefwctl and the control socket: exit statuses, what they print, who may do what, and clients that mean harm."""
import json
import os
import re
import shutil
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import LICENSE, NARROW, Lab, VarlinkError, has_second_user, main, vendor, wait_for  # noqa: E402
from lab.daemon import TOP, open_socket, program  # noqa: E402
from lab.varlink import Interface  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}


def one_line(text):
    return text.strip() != "" and "\n" not in text.strip()


def running(lab, ttl=2):
    lab.dns(NAMES, ttl)
    daemon = lab.spefwd(lab.config(flows=NARROW))
    daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
    return daemon


def verbs(tap):
    """Each verb's exit status and output."""
    with Lab(tap) as lab:
        daemon = running(lab)
        for words, code in ((["nonsense"], 2), ([], 2), (["status", "surplus"], 2), (["--nonsense"], 2),
                            (["status", "--nonsense"], 2),
                            (["clear"], 2), (["--help"], 0), (["--version"], 0)):
            done = daemon.ctl(*words, check=False)
            tap.ok(done.returncode == code, "spefwctl %s: exit %d" % (" ".join(words), code),
                   (done.returncode, done.stdout, done.stderr))
            if code == 2 and words:
                tap.ok(one_line(done.stderr), "spefwctl %s: one line names what to do" % " ".join(words), done.stderr)
        done = daemon.ctl("stauts", check=False)
        tap.ok("status" in done.stderr, "the nearest verb is named", done.stderr)
        done = daemon.ctl("status")
        for word in ("192.0.2.25", "2001:db8:2::25", "enforce", "generation", "1 ok"):
            tap.ok(word in done.stdout, "status shows " + word, done.stdout)
        tap.ok("\033" not in done.stdout, "no colours in a pipe")
        tap.ok(done.stdout.count("\n") <= 10, "ten lines at most where all is well", done.stdout)
        tap.note(done.stdout)
        done = daemon.ctl("status", "-v")
        for word in (vendor.LICENSE_NAME, LICENSE[0][4], "interception = ", "SERVER -> ANY"):
            tap.ok(word in done.stdout, "status -v shows " + word, done.stdout)
        tap.note(done.stdout)
        for verb in ("status", "flows", "names", "reload", "refresh"):
            done = daemon.ctl(verb, "--json")
            try:
                json.loads(done.stdout)
                tap.ok(True, verb + " --json is JSON")
            except ValueError:
                tap.ok(False, verb + " --json is JSON", done.stdout)
        for verb in ("flows", "names"):
            done = daemon.ctl(verb)
            tap.ok(done.stdout.strip() and "\033" not in done.stdout, verb + " prints a table", done.stdout)
            tap.note(done.stdout)
        done = daemon.ctl("flows")
        for flow in vendor.FLOWS:
            tap.ok(re.search(r"^\W*%s\b.*\b%d\b" % (re.escape(flow.id), flow.port), done.stdout, re.M),
                   "flows: %s with its port" % flow.id, done.stdout)
        daemon.write(lab.config(flows="[flow api-in]\nenabled = no\n"))
        done = daemon.ctl("reload")
        tap.ok("api-in" in done.stdout, "reload shows what changed", done.stdout)
        daemon.write(lab.config(flows="[flow api-im]\nenabled = no\n"))
        done = daemon.ctl("reload", check=False)
        tap.ok(done.returncode == 1 and daemon.config + ":" in done.stderr, "reload of a bad file: 1 and FILE:LINE",
               (done.returncode, done.stderr))
        done = daemon.ctl("check", daemon.config, check=False)
        tap.ok(done.returncode == 1 and daemon.config + ":" in done.stderr, "check of a bad file: 1 and FILE:LINE",
               (done.returncode, done.stdout, done.stderr))
        for word in (vendor.LICENSE_NAME.upper() + ".", vendor.LICENSE_NAME + "."):
            done = daemon.ctl("refresh", word)
            tap.ok(LICENSE[0][4] in done.stdout, "refresh takes %s" % word, done.stdout)
        done = daemon.ctl("refresh", "my.mailstor.com", check=False)
        tap.equal((done.returncode, done.stderr), (1, "spefwctl: no flow uses the name my.mailstor.com: did you mean "
                                                   "my.mailstore.com?\n"), "the nearest name is named")
        done = daemon.ctl("flows", "consol-in", check=False)
        tap.equal((done.returncode, done.stderr),
                  (1, "spefwctl: there is no flow consol-in: did you mean console-in?\n"), "the nearest flow, too")
        for verb in ("flows", "connections"):
            done = daemon.ctl(verb, "IMAP-IN", check=False)
            tap.equal((done.returncode, done.stderr),
                      (1, "spefwctl: there is no flow IMAP-IN: did you mean imap-in?\n"), verb + " of no flow: exit 1")
            tap.equal(daemon.ctl(verb, "", check=False).returncode, 2, verb + " of an empty word: usage")
        daemon.write(lab.config(flows=NARROW))
        daemon.ctl("reload")
        cleared(tap, daemon)
        completion(tap, daemon)
        daemon.stop()
        tap.equal(offers(daemon, "refresh", ""), [], "without a daemon bash offers no names, and no error")
        for words in (["status"], ["status", "--json"], ["reload"], ["flows"], ["names"], ["refresh"]):
            done = daemon.ctl(*words, check=False)
            tap.ok(done.returncode == 3, "without a daemon, %s: exit 3" % " ".join(words),
                   (done.returncode, done.stdout, done.stderr))
        daemon.write(lab.config())
        tap.equal(daemon.ctl("check", daemon.config, check=False).returncode, 0, "check needs no daemon")
        with open(os.path.join(daemon.dir, "members"), "w", encoding="ascii") as file:
            file.write("nonsense\n" * 12000)
        daemon.write("[server]\naddress = file:members\n")
        done = daemon.ctl("check", daemon.config, check=False)
        tap.equal((done.returncode, done.stdout), (1, daemon.config + ": not usable, 12000 errors\n"),
                  "check counts more errors than it shows")


def offers(daemon, *words):
    """What bash offers for the last of these words."""
    script = ('. "$1"; COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)); _spefwctl; printf "%s\\n" "${COMPREPLY[@]}"')
    done = daemon.network.run("gateway", "bash", "-c", script, "bash",
                              os.path.join(TOP, "packaging", "completion", "spefwctl.bash"), program("spefwctl"),
                              "-s", daemon.socket, *words)
    return done.stderr.split() + done.stdout.split()


def completion(tap, daemon):
    """What the daemon knows is completed."""
    tap.equal(offers(daemon, "refresh", "my."), [vendor.LICENSE_NAME], "bash offers names that are used")
    tap.equal(offers(daemon, "refresh", vendor.LICENSE_NAME, ""), [vendor.LICENSE_NAME], "also as a further one")
    tap.equal(offers(daemon, "flows", "console"), ["console-in"], "bash offers flows")
    tap.equal(offers(daemon, "explain", "s"), ["server"], "explain: bash offers the server")
    ends = offers(daemon, "explain", "")
    tap.ok({"server", "SERVER", "ADM", vendor.LICENSE_NAME} <= set(ends), "explain: roles, and names", ends)
    tap.equal(offers(daemon, "explain", "server", ""), ends, "explain: the same as the target")
    tap.equal(offers(daemon, "explain", "server", vendor.LICENSE_NAME, ":", "443", ""), ["tcp", "udp", "icmp-echo"],
              "explain: a protocol behind the port")
    tap.equal(offers(daemon, "explain", "server", vendor.LICENSE_NAME, ":", ""), [], "explain: no word for a port")
    tap.equal(offers(daemon, "cut", ""),
              [str(one["id"]) for one in daemon.call("Connections")["connections"]], "bash offers connections for cut")
    tap.equal(daemon.ctl("list", "flows").stdout.split(), [flow["id"] for flow in daemon.call("Flows")["flows"]],
              "list flows lists them")
    tap.equal(daemon.ctl("list", "roles").stdout.split(), ["SERVER", "ADM", "CA"], "list roles, too")


def cleared(tap, daemon):
    """After clear, nothing is shown of a mode that is not in force."""
    daemon.ctl("clear", "--yes")
    for words in (["status"], ["status", "-v"]):
        done = daemon.ctl(*words, check=False)
        tap.ok(done.returncode == 1 and "spefw failed: guards nothing" in done.stdout and "not in force" in done.stdout
               and not re.search("enforce|audit|Denied|open|owned|192.0.2.25", done.stdout),
               "cleared: %s shows what is so, and nothing else" % " ".join(words), done.stdout)
    for words in (["flows"], ["flows", "imap-in"], ["connections"]):
        done = daemon.ctl(*words)
        tap.ok(done.stdout.startswith("The table is removed: none of this is in force"),
               "cleared: so says %s" % " ".join(words), done.stdout)
    tap.ok(daemon.ctl("reload").stdout.startswith("reloaded: in force, generation "), "reload: it is there again")
    tap.equal(daemon.ctl("status", check=False).returncode, 0, "reload brings it back")
    tap.ok("removed" not in daemon.ctl("flows").stdout, "and the flows")


def who_may(tap):
    """Whoever may open the socket may read; root alone may change anything."""
    with Lab(tap) as lab:
        daemon = running(lab)
        mode = os.stat(daemon.socket).st_mode & 0o777
        tap.equal("%o" % mode, "660", "the socket's mode")
        if not has_second_user():
            tap.skip("another user may not reload", "there is but one user here: run as root")
            return
        # Where it was built, another user may not be let in.
        os.chmod(daemon.dir, 0o755)
        spefwctl = shutil.copy(program("spefwctl"), daemon.dir)

        def as_another(*words, gid=12345):
            return lab.run("gateway", spefwctl, "-s", daemon.socket, *words, check=False, uid=12345, gid=gid)
        group = os.stat(daemon.socket).st_gid
        done = as_another("status")
        tap.ok(done.returncode == 4 and one_line(done.stderr), "another user may not open the socket: exit 4",
               (done.returncode, done.stderr))
        done = as_another("status", gid=group)
        tap.ok(done.returncode == 0, "a member of the group may read", (done.returncode, done.stderr))
        generation = daemon.status()["generation"]
        for verb in ("history", "config"):
            tap.equal(as_another(verb, gid=group).returncode, 0, "%s, too" % verb)
        texts = [as_another("connections", gid=group) for _ in range(5)]
        tap.equal([(done.returncode, done.stderr) for done in texts], [(0, "")] * 5, "and again, where it costs much")
        for words in (["reload"], ["reload", "--confirm"], ["confirm"], ["rollback"], ["clear", "--yes"], ["cut", "1"],
                      ["refresh"]):
            done = as_another(*words, gid=group)
            tap.equal((done.returncode, done.stderr), (4, "spefwctl: permission denied: sudo spefwctl -s %s %s\n" %
                                                       (daemon.socket, " ".join(words))),
                      "but not %s: exit 4, and what to run" % words[0])
        tap.ok(daemon.status()["generation"] == generation and daemon.table(), "nothing changed")


def replies(tap):
    """What the socket answers is what the interface description promises."""
    with open(os.path.join(TOP, "include", "spefw", "org.spefw.Gateway.varlink"), encoding="utf-8") as file:
        text = file.read()
    interface = Interface(text)
    with Lab(tap) as lab:
        daemon = running(lab, ttl=3600)
        for method, parameters in (
                ("Status", None), ("Flows", None), ("Names", None), ("Reload", None), ("Refresh", None),
                ("Refresh", {"names": [vendor.LICENSE_NAME]}), ("Refresh", {"names": [vendor.LICENSE_NAME] * 2}),
                ("Policy", None), ("Export", {"format": "netsh"}), ("Clear", None), ("Status", None), ("Reload", None),
                ("Status", {}), ("History", None), ("Config", None), ("Diff", {"packets": True})):
            reply = daemon.call(method, parameters)
            tap.equal(interface.complaints(interface.methods[method][1], reply), [], "%s replies as described" % method)
        daemon.write(lab.config())
        for method, parameters in (("Reload", {"confirm_s": 600}), ("Status", None), ("History", None),
                                   ("Confirm", None), ("Rollback", None), ("Status", None)):
            reply = daemon.call(method, parameters)
            tap.equal(interface.complaints(interface.methods[method][1], reply), [], "%s replies as described" % method)
        daemon.call("Reload", {"confirm_s": 600})
        for method, parameters, error in (("Reload", None, "ConfirmPending"), ("Confirm", None, None),
                                          ("Confirm", None, "NothingToConfirm"),
                                          ("Rollback", {"number": 20}, "HistoryUnknown")):
            try:
                daemon.call(method, parameters)
                tap.equal(None, error, method)
            except VarlinkError as failed:
                tap.equal(failed.error, "org.spefw.Gateway.%s" % error, "%s fails by %s" % (method, error))
                tap.equal(interface.complaints(interface.errors[error], failed.parameters), [],
                          error + " is as described")
        daemon.write("[server]\n")
        for method, parameters, error in (("Reload", None, "ConfigInvalid"),
                                          ("Refresh", {"names": ["nobody.example.net"]}, "NameUnknown")):
            try:
                daemon.call(method, parameters)
                tap.ok(False, "%s fails by %s" % (method, error))
            except VarlinkError as failed:
                tap.equal(failed.error, "org.spefw.Gateway." + error, "%s fails by %s" % (method, error))
                tap.equal(interface.complaints(interface.errors[error], failed.parameters), [],
                          error + " is as described")
        for method, parameters, error in (("org.spefw.Gateway.Nonsense", {}, "org.varlink.service.MethodNotFound"),
                                          ("org.nonsense.Thing.Do", {}, "org.varlink.service.InterfaceNotFound"),
                                          ("org.spefw.Gateway.Refresh", {"names": 5},
                                           "org.varlink.service.InvalidParameter"),
                                          ("org.spefw.Gateway.Diff", {"packets": 5},
                                           "org.varlink.service.InvalidParameter")):
            reply = raw(daemon, json.dumps({"method": method, "parameters": parameters}).encode() + b"\0")
            tap.equal(reply and json.loads(reply.rstrip(b"\0").decode()).get("error"), error,
                      "%s %s" % (method, parameters))
        reply = raw(daemon, b'{"method":"org.varlink.service.GetInfo"}\0')
        tap.ok(reply and "org.spefw.Gateway" in json.loads(reply[:-1].decode())["parameters"]["interfaces"],
               "GetInfo names the interface", reply)
        reply = raw(daemon, b'{"method":"org.varlink.service.GetInterfaceDescription",'
                    b'"parameters":{"interface":"org.spefw.Gateway"}}\0')
        tap.ok(reply and json.loads(reply[:-1].decode())["parameters"]["description"].strip() == text.strip(),
               "GetInterfaceDescription gives the file", reply)


def raw(daemon, message, bound=30):
    """What comes back for these bytes, up to the first NUL; b"" where the daemon closed."""
    with open_socket(daemon.socket, bound) as sock:
        try:
            sock.sendall(message)
            reply = b""
            while not reply.endswith(b"\0"):
                piece = sock.recv(65536)
                if not piece:
                    return b""
                reply += piece
            return reply
        except (BrokenPipeError, ConnectionResetError):
            return b""


def hostile_clients(tap):
    """Broken, huge, dead and many clients: the daemon answers the honest one."""
    with Lab(tap) as lab:
        daemon = running(lab)
        for title, message in (
                ("no JSON", b"hello\0"), ("an empty message", b"\0"), ("a list", b"[]\0"),
                ("a number as method", b'{"method":1}\0'),
                ("broken UTF-8", b'{"method":"\xff\xfe"}\0'), ("deep nesting", b"[" * 50000 + b"]" * 50000 + b"\0"),
                ("64 MB without an end", b"x" * (64 << 20)), ("a method without dots", b'{"method":"x"}\0')):
            raw(daemon, message)
            tap.equal(daemon.status()["health"], "ok", title + ": the daemon goes on")
        held = []
        try:
            for number in range(300):
                sock = open_socket(daemon.socket)
                held.append(sock)
                if number % 3 == 0:
                    sock.sendall(b'{"method":"org.spefw.Gateway.Sta')
        except OSError as error:
            tap.note("the daemon lets go of some after %d: %s" % (len(held), error))
        tap.ok(daemon.call("Status")["clients"] >= 1, "%d idle clients: one more is answered" % len(held))
        for sock in held:
            sock.close()

        def alone():
            try:
                return daemon.status()["clients"] <= 2
            except OSError:
                return False  # it has not let go of enough of them yet
        wait_for(alone, "the idle clients are gone")
        tap.ok(True, "all are let go")
        deaf = open_socket(daemon.socket)
        deaf.setblocking(False)
        try:
            while True:
                deaf.send(b'{"method":"org.spefw.Gateway.Status"}\0' * 100)
        except OSError:
            pass
        tap.equal(daemon.status()["health"], "ok", "a client that sends requests and never reads: the daemon goes on")
        deaf.close()
        with open("/proc/%d/status" % daemon.process.pid, encoding="ascii") as file:
            tap.note([line.strip() for line in file if line.startswith("VmHWM")][0])


def long_lists(tap):
    """Of more than nine words the first eight are given, and how many more there are."""
    hosts = ["198.51.100.%d" % number for number in range(1, 40, 2)]
    with Lab(tap) as lab:
        daemon = lab.spefwd(lab.config(adm="203.0.113.0/24", flows="[role OFFICE]\nmembers = %s\n[flow imap-in]\n"
                                       "from = %s\n[flow ews-out]\nto = %s\n[flow api-in]\nfrom = OFFICE\n" %
                                       ("\n  ".join(hosts), " ".join(hosts[:9]), "\n  ".join(hosts))))
        reply = daemon.call("Flows")
        flows = {flow["id"]: flow for flow in reply["flows"]}
        [office] = [role for role in reply["roles"] if role["name"] == "OFFICE"]
        tap.equal((office["members"], office["members_more"]), (hosts[:8], 12), "a role")
        tap.equal((flows["ews-out"]["to"], flows["ews-out"]["to_more"]), (hosts[:8], 12), "a side of a flow")
        tap.equal((flows["imap-in"]["from"], "from_more" in flows["imap-in"]), (hosts[:9], False), "nine are all given")
        text = daemon.ctl("flows", "ews-out").stdout
        tap.ok(re.search(r"198\.51\.100\.15, \+12 more", text), "and shown", text)
        done = daemon.ctl("--json", "explain", "198.51.100.2", "server:8474", check=False)
        [miss] = json.loads(done.stdout)["results"][0]["misses"]
        tap.equal((miss["has"], miss["members"], miss["members_more"]), (["OFFICE"], hosts[:8], 12), "explain, too")

if __name__ == "__main__":
    main(verbs, who_may, replies, long_lists, hostile_clients)
