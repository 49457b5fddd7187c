# SPDX-License-Identifier: GPL-2.0-or-later
# `make check` runs it all; what a machine can't run says why and is counted as skipped.

# What was not written yet, or is free again, is not zero: who reads it is noticed. (The C library's, where it has that.)
AM_TESTS_ENVIRONMENT = MALLOC_PERTURB_=165; export MALLOC_PERTURB_;
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/golden/local.mk
include tests/bench/local.mk
include tests/system/local.mk
include tests/system/judge.mk
