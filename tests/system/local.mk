# SPDX-License-Identifier: GPL-2.0-or-later
# System tests: programs in network namespaces. They are no part of `make check`, which must work everywhere; tests/run
# runs them, as in tests/system/tests.
EXTRA_DIST += tests/system/tests tests/system/faultlib.c
