# SPDX-License-Identifier: GPL-2.0-or-later
# `make check` runs it all; what a machine can't run says why and is counted as skipped.

include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/golden/local.mk
include tests/bench/local.mk
include tests/system/local.mk
include tests/system/judge.mk

# Which folder may include which.
TESTS += tests/includes
EXTRA_DIST += tests/includes
