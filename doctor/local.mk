# SPDX-License-Identifier: GPL-2.0-or-later
# What on this gateway stands in the way: reads the facts, and has core judge them.
pkglibexec_PROGRAMS += spefw-doctor
spefw_doctor_SOURCES = \
	doctor/doctor.c doctor/doctor.h doctor/drop.c doctor/legacy.c doctor/links.c doctor/log.c doctor/main.c \
	doctor/names.c doctor/system.c doctor/tables.c doctor/tls.c \
	daemon/clock.c daemon/clock.h \
	daemon/log.h \
	daemon/timer.c daemon/timer.h \
	daemon/net/bridges.c daemon/net/bridges.h \
	daemon/net/environment.c daemon/net/environment.h \
	daemon/net/helper.c daemon/net/helper.h daemon/net/helper_records.c daemon/net/helper_records.h \
	daemon/net/links.c daemon/net/links.h daemon/net/links_read.c daemon/net/links_read.h \
	daemon/net/resolv_conf.c daemon/net/resolv_conf.h \
	daemon/net/resolver.c daemon/net/resolver.h \
	daemon/net/spawn.c daemon/net/spawn.h \
	daemon/net/way.c daemon/net/way.h \
	daemon/nft/decode.c daemon/nft/decode.h \
	daemon/nft/encode.c daemon/nft/encode.h \
	daemon/nft/expressions.c daemon/nft/expressions.h \
	daemon/nft/foreign.c daemon/nft/foreign.h daemon/nft/foreign_parts.h daemon/nft/foreign_rule.c \
	daemon/nft/foreign_recorded.c daemon/nft/foreign_recorded.h \
	daemon/nft/inspect.c daemon/nft/inspect.h \
	daemon/nft/interval.c daemon/nft/interval.h \
	daemon/nft/read.c daemon/nft/read.h daemon/nft/read_parts.h daemon/nft/read_rules.c \
	daemon/nft/read_sets.c \
	daemon/nft/places.h daemon/nft/rule.c \
	daemon/nft/rule_parsing.c daemon/nft/rule_parsing.h daemon/nft/xt_rule.c \
	daemon/nft/socket.c daemon/nft/socket.h
spefw_doctor_LDADD = libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(NLROUTE_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS) \
	$(JANSSON_LIBS)

# Whose certificate answers: a program of its own, which spefw-doctor runs.
pkglibexec_PROGRAMS += spefw-tls
spefw_tls_SOURCES = doctor/tls_peer.c
spefw_tls_CPPFLAGS = $(AM_CPPFLAGS) $(GNUTLS_CFLAGS)
spefw_tls_LDADD = libcore.a $(GNUTLS_LIBS)
