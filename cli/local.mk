# SPDX-License-Identifier: GPL-2.0-or-later
bin_PROGRAMS += spefwctl
spefwctl_SOURCES = cli/main.c
spefwctl_LDADD = libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
