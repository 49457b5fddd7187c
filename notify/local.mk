# SPDX-License-Identifier: GPL-2.0-or-later
pkglibexec_PROGRAMS += spefw-notify
spefw_notify_SOURCES = notify/main.c daemon/state_file.c daemon/state_file.h
spefw_notify_LDADD = libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
