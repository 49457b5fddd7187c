#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The built programs are hardened: read from the files themselves, whatever the flags were.
For a build without sanitizers.

SPEFW_BUILD=DIR: where they were built, or a directory with an unpacked package."""
import glob
import os
import re
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab.tap import Tap  # noqa: E402

BUILD = os.environ.get("SPEFW_BUILD", ".")
# Each with where a package has it.
PROGRAMS = {"spefwd": "usr/sbin", "spefwctl": "usr/bin", "spefw-doctor": "usr/libexec/spefw",
            "spefw-notify": "usr/libexec/spefw",
            "spefw-resolver": "usr/libexec/spefw", "spefw-tls": "usr/libexec/spefw",
            "check_spefw": "usr/lib/nagios/plugins"}
ENVIRONMENT = dict(os.environ, LC_ALL="C")


def tool(*argv):
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, universal_newlines=True,
                          env=ENVIRONMENT).stdout


def find(name):
    packaged = os.path.join(BUILD, PROGRAMS[name], name)
    return packaged if os.path.exists(packaged) else os.path.join(BUILD, name)


def undefined(path):
    """What the program takes from libraries."""
    return set(re.findall(r" UND (\w+)", tool("readelf", "--dyn-syms", "-W", path)))


def fortified(names):
    return sorted(name for name in names if re.fullmatch(r"__\w+_chk", name))


def layout(tap, name):
    """What the linker made: it can be moved, and what is written at the start can't be written any more."""
    path = find(name)
    header, segments, dynamic = (tool("readelf", option, "-W", path) for option in ("-h", "-l", "-d"))
    tap.ok(re.search(r"Type: +DYN ", header) and re.search(r"\(FLAGS_1\).* PIE\b", dynamic), name + ": PIE",
           header + dynamic)
    tap.ok("GNU_RELRO" in segments, name + ": RELRO", segments)
    now = re.search(r"\(FLAGS\).* BIND_NOW\b", dynamic) and re.search(r"\(FLAGS_1\).* NOW\b", dynamic)
    tap.ok(now, name + ": all of it, as all is bound at the start", dynamic)
    stack = re.search(r"GNU_STACK .* (\w+) +0x", segments)
    tap.equal(stack and stack.group(1), "RW", name + ": no code on the stack")
    writable = [line for line in segments.split("\n") if re.match(r" +LOAD .* RWE ", line)]
    tap.equal(writable, [], name + ": no segment that can be written and run")
    tap.ok("(TEXTREL)" not in dynamic, name + ": no code is changed at the start", dynamic)


def calls(tap, name):
    """What the compiler put in."""
    taken = undefined(find(name))
    tap.ok("__stack_chk_fail" in taken, name + ": the stack is protected", taken)
    tap.ok(fortified(taken), "%s: calls are fortified (%s)" % (name, " ".join(fortified(taken))), taken)


def code(tap):
    """What shows in the code alone, which is the machine's: x86-64."""
    if "X86-64" not in tool("readelf", "-h", find("spefwd")):
        tap.skip("control flow, stack clash", "read on x86-64 alone")
        return
    listing = {name: tool("objdump", "-d", "--no-show-raw-insn", find(name)) for name in PROGRAMS}
    probes = {name: len(re.findall(r"\bsub +\$0x1000,%rsp\n.*\b(?:or|mov)q +\$0x0,(?:0x0)?\(%rsp\)", text))
              for name, text in listing.items()}
    tap.ok(any(probes.values()), "large frames are touched page by page (%s)" % probes, probes)
    for name, text in listing.items():
        tap.ok(text.count("endbr64") > 20,
               "%s: functions begin with what indirect calls must meet (%d)" % (name, text.count("endbr64")))
    notes = {}
    for path in glob.glob(BUILD + "/lib*.a"):
        for member, text in re.findall(r"^File: \S+\((\S+)\)\n((?:(?!File: ).*\n?)*)",
                                       tool("readelf", "-n", "-W", path), re.M):
            notes["%s(%s)" % (os.path.basename(path), member)] = "IBT, SHSTK" in text
    if notes:
        unmarked = [name for name, marked in notes.items() if not marked]
        tap.equal(unmarked, [], "all %d objects in the archives are marked for IBT and SHSTK" % len(notes))
    else:
        tap.skip("archives", "there are none here")


def main():
    tap = Tap()
    if "__asan_init" in undefined(find("spefwd")):
        tap.skip("hardening", "built with sanitizers")
    else:
        for name in PROGRAMS:
            tap.section(layout, name)
            tap.section(calls, name)
        tap.section(code)
    print("1..%d" % (tap.passed + tap.failed + tap.skipped))
    print("# %d passed, %d failed, %d skipped" % (tap.passed, tap.failed, tap.skipped), flush=True)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
