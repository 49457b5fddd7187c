# SPDX-License-Identifier: GPL-2.0-or-later
# spefwd --doctor: reads the facts of this gateway, and has core judge them.
spefwd_SOURCES += \
	doctor/doctor.c doctor/doctor.h doctor/legacy.c doctor/links.c \
	doctor/names.c doctor/system.c doctor/tables.c doctor/tls.c

# Whose certificate answers: a program of its own, which spefwd --doctor runs as nobody.
pkglibexec_PROGRAMS += spefw-tls
spefw_tls_SOURCES = doctor/tls_peer.c
spefw_tls_CPPFLAGS = $(AM_CPPFLAGS) $(GNUTLS_CFLAGS)
spefw_tls_LDADD = libcore.a $(GNUTLS_LIBS)
