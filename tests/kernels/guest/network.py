# SPDX-License-Identifier: GPL-2.0-or-later
"""Brings the machine's network up."""
import os
import sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import Gateway  # noqa: E402

if __name__ == "__main__":
    Gateway(built=False).__enter__()  # pylint: disable=unnecessary-dunder-call
