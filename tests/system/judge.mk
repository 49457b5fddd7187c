# SPDX-License-Identifier: GPL-2.0-or-later
# policy_fate() against the kernel: the program that sends and counts, for judge_exhaustive.py and judge_random.py.
check_PROGRAMS += tests/system/kernel_judge
tests_system_kernel_judge_SOURCES = tests/system/kernel_judge.c tests/system/kernel_wire.c tests/system/kernel_wire.h
tests_system_kernel_judge_LDADD = libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(INIH_LIBS)
# The proof against the kernel: the program that loads mutants, sends and counts, for proof_kernel.py.
check_PROGRAMS += tests/system/proof_kernel
tests_system_proof_kernel_SOURCES = tests/system/proof_kernel.c tests/system/kernel_wire.c tests/system/kernel_wire.h \
	tests/unit/mutate.c tests/unit/mutate.h tests/unit/vm.c tests/unit/vm.h $(GOLDEN_CASE_SOURCES)
tests_system_proof_kernel_LDADD = $(tests_golden_golden_LDADD)
