# SPDX-License-Identifier: GPL-2.0-or-later
# What reads the bytes of strangers: a program of its own, which spefwd runs without any right.
pkglibexec_PROGRAMS += spefw-resolver
RESOLVER_SOURCES = \
	daemon/log.c daemon/log.h \
	resolver/channel.c resolver/channel.h \
	resolver/main.c \
	resolver/nflog_read.c resolver/nflog_read.h \
	resolver/observe.c resolver/observe.h \
	resolver/queries.c resolver/queries.h \
	resolver/sandbox.c resolver/sandbox.h \
	resolver/wire.h
spefw_resolver_SOURCES = $(RESOLVER_SOURCES)
spefw_resolver_CPPFLAGS = $(AM_CPPFLAGS) $(CARES_CFLAGS) $(SECCOMP_CFLAGS)
spefw_resolver_LDADD = libcore.a $(CARES_LIBS) $(SECCOMP_LIBS)

# The same with attempts to do what it may not do, which tests/system/resolver.py asks it for.
check_PROGRAMS += tests/system/resolver_hook
tests_system_resolver_hook_SOURCES = tests/system/resolver_hook.c $(RESOLVER_SOURCES)
tests_system_resolver_hook_CPPFLAGS = $(spefw_resolver_CPPFLAGS) -DTEST_HOOK
tests_system_resolver_hook_LDADD = $(spefw_resolver_LDADD)
