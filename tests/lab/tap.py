# SPDX-License-Identifier: GPL-2.0-or-later
"""The protocol between a test program and tests/run: TAP lines, and an exit status."""
import os
import sys
import time
import traceback

from . import namespaces

# How long an event may take before the test calls it a hang. Not a measure of anything.
HANG = 60.0
# In an emulator everything takes several times as long.
PATIENCE = float(os.environ.get("SPEFW_TEST_PATIENCE", 1))


class Tap:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.on_failure = []  # callables that print what helps to understand
        self._shown = False

    def _line(self, word, title, after=""):
        number = self.passed + self.failed + self.skipped
        print("%s %d - %s%s" % (word, number, title, after), flush=True)

    def note(self, text):
        for line in str(text).rstrip("\n").split("\n"):
            print("# " + line, flush=True)

    def measured(self, text):
        """What tests/run shows, whether or not the test passes."""
        self.note("measured: " + text)

    def ok(self, condition, title, detail=""):
        if condition:
            self.passed += 1
            self._line("ok", title)
            return True
        self.failed += 1
        self._line("not ok", title)
        if detail != "":
            self.note(detail)
        if not self._shown:
            self._shown = True
            for show in self.on_failure:
                show()
        return False

    def equal(self, got, expected, title):
        return self.ok(got == expected, title, "got:      %r\nexpected: %r" % (got, expected))

    def skip(self, title, reason):
        self.skipped += 1
        self._line("ok", title, " # SKIP " + reason)

    def section(self, function, *arguments):
        """Runs a part of a test; what it throws is a failure of that part alone."""
        self._shown = False
        name = function.__name__.strip("_").replace("_", " ")
        print("# %s: %s" % (name, (function.__doc__ or "").strip().split("\n")[0]), flush=True)
        began = time.monotonic()
        try:
            function(self, *arguments)
        except Exception:  # pylint: disable=broad-except
            self.ok(False, name, traceback.format_exc())
        print("# %s: %.1f s" % (name, time.monotonic() - began), flush=True)


def wait_for(condition, what, bound=HANG, pause=0.02):
    """Polls until condition() is true and returns its value; the bound is for hangs."""
    end = time.monotonic() + bound * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("%s: not within %g s" % (what, bound * PATIENCE))
        time.sleep(pause)


def main(*functions):
    """The body of a test program: its parts in order, in namespaces of their own."""
    tap = Tap()
    try:
        namespaces.enter()
    except namespaces.Refused as refused:
        tap.skip(functions[0].__module__ if functions else "system test", str(refused))
        print("1..1")
        sys.exit(0)
    only = sys.argv[1:]
    for function in functions:
        if not only or any(word in function.__name__ for word in only):
            tap.section(function)
    print("1..%d" % (tap.passed + tap.failed + tap.skipped))
    print("# %d passed, %d failed, %d skipped" % (tap.passed, tap.failed, tap.skipped), flush=True)
    sys.exit(1 if tap.failed else 0)
