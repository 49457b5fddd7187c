# SPDX-License-Identifier: GPL-2.0-or-later
dist_man_MANS += doc/spefwd.8 doc/spefwctl.8 doc/spefw.ini.5
# docs.py holds the documents to the programs; it is one of the system tests.
EXTRA_DIST += README.md NEWS doc/architecture.md tests/system/docs.py
