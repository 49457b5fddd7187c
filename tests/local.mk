# SPDX-License-Identifier: GPL-2.0-or-later
# `make check` runs it all; what a machine can't run prints why and is counted as skipped.

# What was not written yet, or is free again, is not zero: who reads it is noticed. (The C library's, where it has
# that.)
AM_TESTS_ENVIRONMENT = MALLOC_PERTURB_=165; export MALLOC_PERTURB_;
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/golden/local.mk
include tests/bench/local.mk
include tests/system/local.mk
include tests/system/judge.mk

# Which folder may include which.
TESTS += tests/includes
EXTRA_DIST += tests/includes

# Which lines the tests reach.
.PHONY: coverage
coverage:
	$(srcdir)/tests/coverage
clean-local:
	rm -rf coverage

EXTRA_DIST += tests/run tests/mutation/run tests/clean-root tests/coverage tests/kernels/run .ci/run \
	.clang-format .clang-tidy .editorconfig \
	.shellcheckrc tests/static/run tests/static/cppcheck.cfg tests/static/cppcheck-suppressions
# All cases and programs, whatever their number. Not the folders as a whole: these would bring along what was built
# there.
dist-hook:
	@(cd $(srcdir) && ls -d tests/golden/[0-9]*-* tests/*/*.py tests/kernels/guest/*.py) | \
	while read -r file; do \
		$(MKDIR_P) "$(distdir)/$${file%/*}" && cp -f "$(srcdir)/$$file" "$(distdir)/$$file" || exit 1; \
	done
