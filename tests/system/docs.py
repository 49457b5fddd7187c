#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""README, the manual pages and doc/: what they state of the programs is what the programs print of themselves. The
screens of README and spefw(7) are handbook.py's."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import DNS, LICENSE, Lab, Tap, namespaces, program, vendor  # noqa: E402
from lab.daemon import BUILD, TOP, sanitizer_report  # noqa: E402

PAGES = ("spefw.7", "spefwd.8", "spefwctl.8", "spefw.ini.5", "check_spefw.8")
MARKDOWN = ("README.md", "NEWS", "CONTRIBUTING.md", "SECURITY.md", "doc/architecture.md")
# What an example leaves out, for it to be a whole configuration.
ENVIRONMENT = "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n\n[role ADM]\nmembers = 203.0.113.0/24\n\n"
# What no check of the file can find before it is on the machine.
INSTALLED = "/etc/spefw/"


def path_of(name):
    """Where a document is: in the tree, or made by the build."""
    built = os.path.join(BUILD, name)
    return built if os.path.exists(built) else os.path.join(TOP, name)


def text_of(name):
    with open(path_of(name), encoding="utf-8") as file:
        return file.read()


def page_of(name):
    return text_of(os.path.join("doc", name))


def run(name, *args):
    done = subprocess.run([program(name)] + list(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=120, check=False)
    if sanitizer_report(done.stderr):
        raise RuntimeError(done.stderr)
    return done


def plain(text):
    """roff without its escapes."""
    text = re.sub(r"\\f[A-Z]|\\&", "", text.replace("\\-", "-"))
    return text.replace("\\(aq", "'").replace("\\e", "\\")


def items(name):
    """(section, subsection, tag, lines) of what is listed with tags in a page."""
    found, section, sub, tag = [], "", "", None
    for line in page_of(name).split("\n"):
        macro, _, rest = line.partition(" ")
        if macro == ".Sh":
            section, sub, tag = rest, "", None
        elif macro == ".Ss":
            sub, tag = plain(rest), None
        elif macro == ".It":
            tag = rest
            found.append((section, sub, plain(tag), []))
        elif macro == ".El":
            tag = None
        elif tag is not None:
            found[-1][3].append(plain(line))
    return found


def options_in_page(name):
    """Every option that is listed, as -c or --config."""
    options = set()
    for _, _, tag, _ in items(name):
        flag = False
        for word in tag.split():
            if word in ("Ar", "Ns"):
                break
            if word in ("Fl", "Oc"):
                flag = word == "Fl"
            elif flag and re.match(r"-?\w", word):
                options.add("-" + word)
            elif word != ",":
                flag = False
    return options


def options_in_help(name):
    options = set()
    for line in run(name, "--help").stdout.split("\n"):
        if line.strip().startswith("-"):
            options |= set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", re.split(r"  +", line.strip())[0]))
    return options


def verbs_in_help():
    return set(re.findall(r"^  ([a-z]+)\b", run("spefwctl", "--help").stdout, re.M))


def options(tap):
    """Options of --help are those of the manual page, and the other way round; likewise verbs."""
    for name in ("spefwd", "spefwctl", "check_spefw"):
        listed = options_in_help(name)
        tap.ok(len(listed) >= 6, "%s --help lists its options" % name, listed)
        tap.equal(sorted(options_in_page(name + ".8")), sorted(listed),
                  "%s(8) has the options of %s --help" % (name, name))
    listed = {tag.split()[1] for section, _, tag, _ in items("spefwctl.8") if section == "VERBS"}
    tap.ok(len(verbs_in_help()) >= 7, "spefwctl --help lists its verbs", verbs_in_help())
    tap.equal(sorted(listed), sorted(verbs_in_help()), "spefwctl(8) has the verbs of spefwctl --help")
    for verb in sorted(verbs_in_help()):
        done = run("spefwctl", verb, "--help")
        tap.ok(done.returncode == 0 and done.stdout.startswith("Usage: spefwctl %s" % verb),
               "spefwctl %s --help" % verb, done)
    for name in ("spefwd.8", "spefwctl.8"):
        tap.equal(re.findall(r"^@.*@$", page_of(name), re.M), [], "%s: each table is there" % name)


def judge(text, name="example.ini", files=()):
    """The exit status of spefwd --check, and its complaints without the file's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        for file in files:
            with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                out.write("# none\n")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text.replace(INSTALLED, folder + "/"))
        done = run("spefwd", "--check", "-c", path)
    return done.returncode, [line.replace(path, name) for line in done.stderr.split("\n") if line]


def keys_in_program():
    """{section: keys}, by the complaints about one that nobody knows."""
    known = {}
    output = [line for line in judge("[xyzzyxyzzy]\n")[1] if "the sections are" in line][0]
    for section in re.findall(r"\[(\w+(?: NAME)?)\]", output.partition("the sections are")[2]):
        name = {"role NAME": "role ADM", "flow NAME": "flow imap-in"}.get(section, section)
        output = [line for line in judge("[%s]\nxyzzyxyzzy = 1\n" % name)[1] if "its keys are" in line][0]
        known[section] = set(re.findall(r"\w+", output.partition("its keys are")[2].replace(" and ", " ")))
    return known


def keys_in_page():
    known = {}
    for section, sub, tag, lines in items("spefw.ini.5"):
        if section == "SECTIONS":
            words = tag.split()
            known.setdefault(sub.strip("[]"), {})[words[1]] = "\n".join([tag] + lines)
    return known


def settings(tap):
    """Sections, keys, words and bounds of spefw.ini(5) are those of the parser."""
    program_has, page_has = keys_in_program(), keys_in_page()
    tap.equal(sorted(page_has), sorted(program_has), "spefw.ini(5) has the parser's sections")
    for section, keys in sorted(program_has.items()):
        tap.equal(sorted(page_has.get(section, ())), sorted(keys), "[%s]: and its keys" % section)
    for section, keys in sorted(page_has.items()):
        for key, text in sorted(keys.items()):
            name = {"role NAME": "role ADM", "flow NAME": "flow imap-in"}.get(section, section)
            output = " ".join(judge("[%s]\n%s = xyzzyxyzzy\n" % (name, key))[1])
            for value in ("yes", "1h"):
                answer = " ".join(judge("[%s]\n%s = %s\n" % (name, key, value))[1])
                if not re.search(r"unknown value|is not a|is neither|is not the", answer):
                    tap.equal("Not in effect yet" in text, "is not in effect yet" in answer,
                              "[%s] %s: whether it is in effect" % (section, key))
            words = re.search(r"unknown value xyzzyxyzzy for %s: write ([\w ,-]+)" % key, output)
            if words:
                written = set(re.sub(r"^Cm \w+ No = Cm ", "", text.split("\n")[0]).split(" | "))
                tap.equal(sorted(written),
                          sorted(re.split(r", | or ", re.split(r" example\.ini", words.group(1))[0].strip())),
                          "[%s] %s: the words that it takes" % (section, key))
            if "is not a duration" in output:
                bounds = re.search(r"write (\w+) to (\w+)",
                                   " ".join(judge("[%s]\n%s = 99999d\n" % (name, key))[1])).groups()
                tap.ok("from %s to %s." % bounds in text, "[%s] %s: from %s to %s" % ((section, key) + bounds), text)


def blocks_of(path):
    """(first line, text, expected warnings) of what is literal in a manual page or fenced in Markdown."""
    lines = text_of(path).split("\n")
    begins, ends = (r"^\.Bd -literal.*$", r"^\.Ed$") if re.search(r"\.\d$", path) else (r"^```\w*$", r"^```$")
    found, block, expected, text = [], None, [], []
    for number, line in enumerate(lines, 1):
        warns = re.match(r'^(?:\.\\"|<!--) warns: (.*?)(?: -->)?$', line)
        if block is not None and re.match(ends, line):
            found.append((block, "\n".join(text) + "\n", expected))
            block, expected, text = None, [], []
        elif block is not None:
            text.append(plain(line) if re.search(r"\.\d$", path) else line)
        elif warns:
            expected.append(warns.group(1))
        elif re.match(begins, line):
            block = number
    return found


def documents():
    return ["doc/" + name for name in PAGES] + list(MARKDOWN)


def examples(tap):
    """Each configuration in the documents is good, with no warning but those that are announced."""
    count = 0
    for path in documents():
        for number, text, expected in blocks_of(path):
            if text.startswith("# ") or not re.search(r"^\[(server|gateway|dns|role \w+|flow [\w-]+)\]", text, re.M):
                continue
            count += 1
            files = re.findall(r"file:%s(\S+)" % INSTALLED, text)
            status, output = judge(text if re.search(r"^\[server\]", text, re.M) else ENVIRONMENT + text, files=files)
            missing = [warning for warning in expected if not any(warning in line for line in output)]
            surplus = [line for line in output if not any(warning in line for warning in expected)]
            tap.ok(status == 0 and not missing and not surplus, "%s:%d: a good configuration" % (path, number),
                   "exit %d\nunexpected: %s\nmissing: %s\n%s" % (status, surplus, missing, text))
    tap.ok(count >= 6, "there are examples", count)


def commands(tap):
    """The commands that documents show: their verbs and options are known."""
    verbs, known = verbs_in_help(), {name: options_in_help(name) for name in ("spefwd", "spefwctl")}
    count = 0
    for path in documents():
        for line in plain(text_of(path)).split("\n"):
            for name, rest in re.findall(r"(?:^\.Dl |^ *)[$#] .*?\b(spefwd|spefwctl)( [^|;&>\n]*)?", line):
                words = rest.split()
                bad = [word
                       for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known[name]]
                given = [word for word in words if re.match(r"[a-z]+$", word)]
                if name == "spefwctl" and not (given and given[0] in verbs):
                    bad.append("no verb")
                count += 1
                tap.equal(bad, [], "%s: %s" % (path, line.strip()))
    tap.ok(count >= 5, "there are commands", count)


def references(tap):
    """Pages and files that a document points to are there; so is what README names to run."""
    for name in PAGES:
        text = plain(page_of(name))
        named = set(re.findall(r"^\.Xr (\S+) (\d)", text, re.M))
        own = {"%s.%s" % one for one in named if "spefw" in one[0]}
        tap.equal(sorted(own - set(PAGES)), [], "%s: pages of this project that it names exist" % name)
        tap.equal(sorted(set(PAGES) - {name} - own), [], "%s: it names the other pages" % name)
        title = re.search(r"^\.Dt (\S+) (\d)", text, re.M).groups()
        tap.equal("%s.%s" % (title[0].lower(), title[1]), name, "%s: its title" % name)
        tap.ok(re.search(r"^dist_man_MANS \+=.*\bdoc/%s\b" % re.escape(name),
                         text_of("doc/local.mk").replace("\\\n", ""), re.M), "%s: it is installed" % name)
    for path in MARKDOWN:
        for target in re.findall(r"\]\(([^)#]+)\)", text_of(path)):
            if "://" not in target:
                tap.ok(os.path.exists(os.path.join(TOP, os.path.dirname(path), target)),
                       "%s: %s exists" % (path, target))
    readme = text_of("README.md")
    for command in ("packaging/quickstart", "tests/run"):
        tap.ok(re.search(r"^ +\$ %s$" % command, readme, re.M), "README: %s" % command)
        tap.ok(os.access(os.path.join(TOP, command), os.X_OK), "%s can be run" % command)
    packages = re.findall(r"^SPEFW_NEED\(\[\w+\], \[[^]]*\],\s+\[([^]]*)\],\s+\[([\w+-]+)",
                          text_of("configure.ac"), re.M)
    tap.ok(len(packages) >= 7, "configure.ac names packages", packages)
    for both in packages:
        for package in both:
            tap.ok(re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(package), readme),
                   "README names the package " + package)


def rooms(text):
    """What the tables of rooms list, as paths without an ending."""
    listed = set()
    for title, body in re.findall(r"^### (.*)\n((?:(?!##).*\n)*)", text, re.M):
        folder = title.split(":")[0]
        base = "daemon" if "," in folder else folder
        if "| file |" in body:
            for row in re.findall(r"^\| ([\w/]+(?:, [\w/]+)*) \|", body.split("|--", 1)[1], re.M):
                listed |= {"%s/%s" % (base, name) for name in row.split(", ")}
    return listed


def sources(*folders):
    """Files of C below these folders, without their endings, but for what the files of one room share."""
    found = set()
    for top in folders:
        for folder, _, names in os.walk(os.path.join(TOP, top)):
            found |= {os.path.splitext(os.path.relpath(os.path.join(folder, name), TOP))[0]
                      for name in names if re.search(r"\.[ch]$", name) and not re.search(r"(^|_)parts\.h$", name)}
    return found


def structure(tap):
    """doc/architecture.md knows each source file of the programs, and none that is not there."""
    text = text_of("doc/architecture.md")
    for path in ("doc/architecture.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"`((?:\w[\w.-]*/)+[\w.-]*)`", text_of(path)))
        absent = [name for name in sorted(named) if not os.path.exists(os.path.join(TOP, name))]
        tap.equal(absent, [], "%s: what it names exists" % path)
    listed = rooms(text)
    there = sources(*{path.split("/")[0] for path in listed})
    tap.ok(len(listed) > 100, "it has tables of rooms", len(listed))
    tap.equal(sorted(there - listed), [], "it has a row for each file of the programs")
    tap.equal([name for name in sorted(listed - there) if not os.path.exists(os.path.join(TOP, name + ".h"))], [],
              "it has a file for each row")
    words = {os.path.splitext(word)[0] for word in re.findall(r"[\w.-]*\w", text)}
    for folder in ("include/spefw", "tests/lab"):
        inside = {os.path.splitext(name)[0]
                  for name in os.listdir(os.path.join(TOP, folder)) if re.search(r"^[a-z].*\.(h|py|varlink)$", name)}
        tap.equal(sorted(inside - words), [], "it knows all of %s/" % folder)



def built_in(tap, daemon):
    """The table of flows in spefw.ini(5) is the daemon's."""
    rows = [tuple(tag.split(" Ta "))
            for _, sub, tag, _ in items("spefw.ini.5") if sub == "Built-in flows" and not tag.startswith("Em")]
    flows = []
    for flow in daemon.call("Flows")["flows"]:
        ports = "/".join(flow["ports"] + [flow["protocol"]])
        own = {"dns-out": "resolvers", "ntp-out": "time_servers"}.get(flow["id"], " ".join(flow["to"]))
        flows.append((flow["id"], ports, " ".join(flow["from"]), own))
    tap.equal(rows, flows, "spefw.ini(5): the built-in flows")


def defaults(tap, daemon):
    """Defaults that can be seen from outside."""
    page, status = keys_in_page(), daemon.status()
    early = "yes" if status["early_drop"] else "no"
    for section, key, value in (("gateway", "mode", status["mode"]),
                                ("gateway", "interception", status["interception"]), ("gateway", "early_drop", early)):
        tap.ok(re.search(r"Default:\n?\s*(\.Cm )?%s\b" % value, page[section][key]),
               "[%s] %s: default %s" % (section, key, value), page[section][key])
    rules = daemon.network.run("gateway", "nft", "list", "table", "inet", "spefw").stdout
    groups = set(re.findall(r" group (\d+)", rules))
    tap.ok(len(groups) == 1 and "Default: %s." % groups.pop() in page["gateway"]["log_group"],
           "[gateway] log_group: its default", page["gateway"]["log_group"])
    least = re.search(r"min_interval (\w+) is over", " ".join(judge("[dns]\nmax_interval = 1s\n")[1])).group(1)
    most = re.search(r"over max_interval (\w+)", " ".join(judge("[dns]\nmin_interval = 1d\n")[1])).group(1)
    for key, value in (("min_interval", least), ("max_interval", most)):
        tap.ok("Default: %s." % value in page["dns"][key], "[dns] %s: default %s" % (key, value), page["dns"][key])
    stale = max(entry["expires_in_s"] for name in status["names"] for entry in name["addresses"])
    tap.ok("Default: %dd." % -(-stale // 86400) in page["dns"]["stale"], "[dns] stale: its default", stale)


def explained(tap, daemon):
    """What spefwctl(8) shows of explain is what it prints with README's first configuration."""
    shown = [text for _, text, _ in blocks_of("doc/spefwctl.8") if text.startswith("# spefwctl explain ")]
    tap.ok(shown, "spefwctl(8) has an example of explain")
    for text in shown:
        command, _, wanted = text.partition("\n")
        printed = daemon.ctl(*command.split()[2:]).stdout
        tap.equal(re.sub(r"handle \d+", "handle N", printed), re.sub(r"handle \d+", "handle N", wanted), command)


def screen(tap):
    """README's first configuration runs, and what the pages say of it is so."""
    whole = [text for _, text, _ in blocks_of("README.md") if re.search(r"^\[server\]", text, re.M)]
    if not tap.ok(whole, "README has a first configuration"):
        return
    with Lab(tap) as lab:
        with open("/etc/resolv.conf", "w", encoding="ascii") as file:
            file.write("nameserver %s\n" % DNS[4])
        lab.dns({vendor.LICENSE_NAME: list(LICENSE[0].values())}, ttl=300)
        daemon = lab.spefwd(whole[0])
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "the name is known")
        tap.equal(daemon.ctl("status", check=False).returncode, 0, "spefwctl status: healthy")
        explained(tap, daemon)
        built_in(tap, daemon)
        defaults(tap, daemon)


def quickstart(tap):
    """The tour of README's first command, with those programs alone that it builds."""
    made = re.search(r"make -s \S+ ([\w -]+)\) >", text_of("packaging/quickstart"))[1].split()
    with tempfile.TemporaryDirectory() as folder:
        for name in made:
            shutil.copy(program(name), folder)
        done = subprocess.run([sys.executable, "-m", "lab.quickstart"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600,
                              check=False, env=dict(os.environ, SPEFW_BUILD=folder,
                                                    PYTHONPATH=os.path.join(TOP, "tests")))
    tap.ok(done.returncode == 0 and "All of it is as it should be." in done.stdout, "packaging/quickstart", done.stdout)


def main():
    """Most of it needs no namespaces, and is not to be skipped where there are none."""
    tap = Tap()
    only = sys.argv[1:]

    def section(function):
        if not only or any(word in function.__name__ for word in only):
            tap.section(function)
    for function in (options, settings, examples, commands, references, structure):
        section(function)
    try:
        namespaces.enter()
        section(screen)
        section(quickstart)
    except namespaces.Refused as refused:
        tap.skip("screen", str(refused))
    print("1..%d" % (tap.passed + tap.failed + tap.skipped))
    print("# %d passed, %d failed, %d skipped" % (tap.passed, tap.failed, tap.skipped), flush=True)
    sys.exit(1 if tap.failed else 0)


if __name__ == "__main__":
    main()
