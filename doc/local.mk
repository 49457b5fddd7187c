# SPDX-License-Identifier: GPL-2.0-or-later
dist_man_MANS += doc/spefwd.8 doc/spefwctl.8 doc/spefw.ini.5
EXTRA_DIST += README.md NEWS CONTRIBUTING.md SECURITY.md doc/architecture.md
