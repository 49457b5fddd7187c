# SPDX-License-Identifier: GPL-2.0-or-later
# Configurations, the rulesets that they must make, and what nft and the kernel think of them.
check_PROGRAMS += tests/golden/golden
TESTS += tests/golden/run
EXTRA_DIST += tests/golden/run
GOLDEN_CASE_SOURCES = tests/golden/case.c tests/golden/case.h
tests_golden_golden_SOURCES = tests/golden/golden.c $(GOLDEN_CASE_SOURCES)
tests_golden_golden_LDADD = daemon/nft/decode.$(OBJEXT) daemon/nft/encode.$(OBJEXT) daemon/nft/expressions.$(OBJEXT) \
	daemon/nft/interval.$(OBJEXT) daemon/nft/read.$(OBJEXT) daemon/nft/read_rules.$(OBJEXT) \
	daemon/nft/read_sets.$(OBJEXT) daemon/nft/rule.$(OBJEXT) daemon/nft/socket.$(OBJEXT) \
	libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(INIH_LIBS) $(JANSSON_LIBS)

# Rewrites the rulesets: read the difference before it is committed.
golden-update: tests/golden/golden$(EXEEXT)
	srcdir=$(srcdir) $(srcdir)/tests/golden/run --update
.PHONY: golden-update
