# SPDX-License-Identifier: GPL-2.0-or-later
"""How Ansible reaches the machine of a test, which has no ssh: into its namespaces, and its files from outside.
MACHINE_LEADER is the process id of its init, MACHINE_ROOT its root directory."""
import os
import shlex
import shutil

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: machine
short_description: a machine of the tests
description: [Runs commands in the namespaces of a container.]
options: {}
"""


class Connection(Local):
    transport = "machine"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        enter = ["nsenter", "--target", os.environ["MACHINE_LEADER"], "--mount", "--uts", "--ipc", "--net", "--pid",
                 "--root", "--wd", "--", "env", "-i", "LC_ALL=C.UTF-8", "HOME=/root",
                 "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", cmd]
        return super().exec_command(shlex.join(enter), in_data, sudoable)

    def put_file(self, in_path, out_path):
        shutil.copyfile(in_path, os.environ["MACHINE_ROOT"] + out_path)

    def fetch_file(self, in_path, out_path):
        shutil.copyfile(os.environ["MACHINE_ROOT"] + in_path, out_path)
