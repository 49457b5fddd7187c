# SPDX-License-Identifier: GPL-2.0-or-later
# policy_fate() against the kernel: the program that sends and counts, for judge_exhaustive.py and judge_random.py.
check_PROGRAMS += tests/system/kernel_judge
tests_system_kernel_judge_SOURCES = tests/system/kernel_judge.c tests/system/kernel_wire.c tests/system/kernel_wire.h
tests_system_kernel_judge_LDADD = libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(INIH_LIBS)
