# SPDX-License-Identifier: GPL-2.0-or-later
# `make bench` prints what things cost. Its programs are built for it alone: nothing else needs libnftables.
EXTRA_PROGRAMS = tests/bench/bench_apply tests/bench/bench_packets tests/bench/bench_proof tests/bench/bench_spawn
EXTRA_DIST += tests/bench/run tests/bench/packets
CLEANFILES += tests/bench/bench_apply$(EXEEXT) tests/bench/bench_packets$(EXEEXT) tests/bench/bench_proof$(EXEEXT) \
	tests/bench/bench_spawn$(EXEEXT)

tests_bench_bench_apply_SOURCES = tests/bench/bench_apply.c
tests_bench_bench_apply_CPPFLAGS = $(AM_CPPFLAGS) $(NFTABLES_CFLAGS)
tests_bench_bench_apply_LDADD = daemon/nft/encode.$(OBJEXT) daemon/nft/rule.$(OBJEXT) daemon/nft/socket.$(OBJEXT) \
	libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(INIH_LIBS) $(NFTABLES_LIBS)
tests_bench_bench_packets_SOURCES = tests/bench/bench_packets.c
tests_bench_bench_proof_SOURCES = tests/bench/bench_proof.c
tests_bench_bench_proof_LDADD = libbase.a libcore.a $(INIH_LIBS)
tests_bench_bench_spawn_SOURCES = tests/bench/bench_spawn.c

.PHONY: bench
if HAVE_NFTABLES
bench: spefwd spefwctl $(EXTRA_PROGRAMS)
	$(srcdir)/tests/bench/run
else
bench:
	@echo "make bench needs libnftables: install libnftables-dev or nftables-devel and configure again"; exit 1
endif
