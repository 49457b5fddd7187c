#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible role: linted, and what it writes. That it brings it into force is tried by tests/system/packages."""
import json
import os
import re
import shutil
import subprocess
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import Lab, main  # noqa: E402
from lab.daemon import BUILD, TOP  # noqa: E402

LOCALE = "C.UTF-8"  # Ansible runs in no other encoding
FOLDER = os.path.join(TOP, "packaging", "ansible")
PLAY = """- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: { name: spefw, tasks_from: configure }
"""
MEMBERS = ["203.0.113.0/24", "2001:db8:3::/64"] + ["198.51.100.%d" % last for last in range(1, 60)]
CONFIG = {"server": {"address": ["192.0.2.25", "2001:db8:2::25"], "resolvers": "192.0.2.53"},
          "gateway": {"mode": "audit", "early_drop": False, "log_group": 7}, "role ADM": {"members": MEMBERS},
          "flow license-out": {"expect": "24h"}, "flow api-in": {"enabled": False}}


def playbook(where, *argv):
    env = dict(os.environ, PATH=BUILD + ":" + os.environ["PATH"], HOME=where, LC_ALL=LOCALE,
               ANSIBLE_LOCALHOST_WARNING="0", ANSIBLE_ROLES_PATH=FOLDER + "/roles", ANSIBLE_NOCOLOR="1",
               ANSIBLE_LOCAL_TEMP=where + "/local", ANSIBLE_REMOTE_TEMP=where + "/remote",
               ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3")
    return subprocess.run(["ansible-playbook", "-i", "localhost,", *argv], stdin=subprocess.DEVNULL, env=env, cwd=where,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False)


def linted(tap):
    """ansible-lint by its strictest profile; and the playbook that shows how the role is used."""
    with Lab(tap) as lab:
        if shutil.which("ansible-lint"):
            done = subprocess.run(["ansible-lint", "--offline", "--nocolor", "--strict", "--profile", "production",
                                   "site.yml", "roles/spefw"], cwd=FOLDER, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                                  check=False,
                                  env=dict(os.environ, HOME=lab.dir, XDG_CACHE_HOME=lab.dir, LC_ALL=LOCALE))
            tap.ok(done.returncode == 0 and re.search(r"0 failure\(s\), 0 warning\(s\) on ([5-9]|\d\d)", done.stdout),
                   "ansible-lint finds nothing", done.stdout)
        else:
            tap.skip("ansible-lint", "ansible-lint is not installed")
        if shutil.which("ansible-playbook"):
            done = playbook(lab.dir, "--syntax-check", FOLDER + "/site.yml")
            tap.equal(done.returncode, 0, "site.yml is a playbook")
        else:
            tap.skip("site.yml", "ansible-playbook is not installed")


def written(tap):
    """What it writes is judged first; a second run changes nothing; a bad one neither."""
    if not shutil.which("ansible-playbook"):
        tap.skip("what the role writes", "ansible-playbook is not installed")
        return
    with Lab(tap) as lab:
        path, play = os.path.join(lab.dir, "spefw.ini"), os.path.join(lab.dir, "play.yml")
        with open(play, "w", encoding="ascii") as file:
            file.write(PLAY)

        def run(config):
            return playbook(lab.dir, "-e", json.dumps({"spefw_config": config, "spefw_file": path}), play)

        def text():
            with open(path, encoding="utf-8") as file:
                return file.read()
        done = run(CONFIG)
        tap.ok(done.returncode == 0 and "changed=1" in done.stdout, "it writes the configuration", done.stdout)
        first = text()
        daemon = lab.spefwd(lab.config(), wait=False)
        done = daemon.run("spefwctl", "check", path)
        tap.ok(done.returncode == 0 and done.stderr == "", "which is good", done.stdout + done.stderr)
        for line in ("early_drop = no", "log_group = 7", "enabled = no", "expect = 24h", "resolvers = 192.0.2.53"):
            tap.ok(line in first.split("\n"), "it has " + line, first)
        tap.ok("members = " + "\n  ".join(MEMBERS) + "\n" in first, "a list has a member a line", first)
        done = run(CONFIG)
        tap.ok(done.returncode == 0 and "changed=0" in done.stdout, "a second run changes nothing", done.stdout)
        done = run(dict(CONFIG, **{"role ADM": {"members": "203.0.113.1/24"}}))
        tap.ok(done.returncode != 0 and "203.0.113.0/24" in done.stdout and text() == first,
               "a bad one is refused with what is wrong, and the file stays", done.stdout)


if __name__ == "__main__":
    main(linted, written)
