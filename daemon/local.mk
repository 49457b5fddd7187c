# SPDX-License-Identifier: GPL-2.0-or-later
# core: pure, libc alone. base: core with the INI reader and the Varlink wire, what spefwctl and the tests link as well.
noinst_LIBRARIES += libcore.a libbase.a
libcore_a_SOURCES = \
	daemon/core/addr.c daemon/core/addr.h \
	daemon/core/addrbook.c daemon/core/addrbook.h \
	daemon/core/aliases.c daemon/core/aliases.h \
	daemon/core/archive.c daemon/core/archive.h \
	daemon/core/array.h \
	daemon/core/bridges.c daemon/core/bridges.h \
	daemon/core/builtin.c \
	daemon/core/config.c daemon/core/config.h \
	daemon/core/config_values.c daemon/core/config_values.h \
	daemon/core/cut.c daemon/core/cut.h \
	daemon/core/delta.c daemon/core/delta.h \
	daemon/core/diag.c daemon/core/diag.h \
	daemon/core/doctor.c daemon/core/doctor.h \
	daemon/core/dns_message.c daemon/core/dns_message.h \
	daemon/core/expect.c daemon/core/expect.h \
	daemon/core/held.c daemon/core/held.h \
	daemon/core/judge.c \
	daemon/core/lines.c daemon/core/lines.h \
	daemon/core/others.c daemon/core/others.h daemon/core/others_boxes.c daemon/core/others_boxes.h \
	daemon/core/observed_queries.c daemon/core/observed_queries.h \
	daemon/core/policy.c daemon/core/policy.h \
	daemon/core/policy_check.c daemon/core/policy_check.h \
	daemon/core/policy_diff.c daemon/core/policy_diff.h \
	daemon/core/printable.c daemon/core/printable.h \
	daemon/core/query_pace.c daemon/core/query_pace.h \
	daemon/core/ruleset.c daemon/core/ruleset.h \
	daemon/core/compile.c daemon/core/compile.h \
	daemon/core/compile_parts.h daemon/core/compile_role.c daemon/core/compile_rules.c \
	daemon/core/ruleset_text.c \
	daemon/core/saved.c daemon/core/saved.h \
	daemon/core/seen_packet.c daemon/core/seen_packet.h \
	daemon/core/totals.c daemon/core/totals.h
libbase_a_SOURCES = \
	daemon/config_ini.c daemon/config_ini.h \
	daemon/local_addresses.c daemon/local_addresses.h \
	daemon/policy_file.c daemon/policy_file.h \
	daemon/varlink_wire.c daemon/varlink_wire.h

sbin_PROGRAMS += spefwd
spefwd_SOURCES = \
	daemon/bridges.c daemon/bridges.h \
	daemon/conntrack.c daemon/conntrack.h \
	daemon/control.c daemon/control.h \
	daemon/doctor.c daemon/doctor.h daemon/doctor_legacy.c daemon/doctor_links.c \
	daemon/doctor_names.c daemon/doctor_system.c daemon/doctor_tables.c daemon/doctor_tls.c \
	daemon/gateway.c daemon/gateway.h daemon/gateway_kernel.c daemon/gateway_cut.c \
	daemon/gateway_expect.c daemon/gateway_links.c daemon/gateway_names.c \
	daemon/gateway_observe.c daemon/gateway_others.c daemon/gateway_watch.c \
	daemon/links.c daemon/links.h daemon/links_read.c daemon/links_read.h \
	daemon/log.c daemon/log.h \
	daemon/main.c \
	daemon/methods.c \
	daemon/offline.c daemon/offline.h \
	daemon/nflog.c daemon/nflog.h \
	daemon/nft_cut.c daemon/nft_cut.h \
	daemon/nft_encode.c daemon/nft_encode.h \
	daemon/nft_monitor.c daemon/nft_monitor.h \
	daemon/nft_others.c daemon/nft_others.h daemon/nft_others_rule.c \
	daemon/nft_probe.c \
	daemon/nft_rule.c \
	daemon/nft_read.c daemon/nft_read.h \
	daemon/nft_socket.c daemon/nft_socket.h \
	daemon/report.c daemon/report.h \
	daemon/resolver.c daemon/resolver.h \
	daemon/rule_parsing.c daemon/rule_parsing.h daemon/xt_rule.c \
	daemon/state_file.c daemon/state_file.h
spefwd_LDADD = libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(CONNTRACK_LIBS) $(NLROUTE_LIBS) $(INIH_LIBS) $(SYSTEMD_LIBS) $(CARES_LIBS) $(JANSSON_LIBS)

# Whose certificate answers: a program of its own, which spefwd --doctor runs as nobody.
pkglibexec_PROGRAMS += spefw-tls
spefw_tls_SOURCES = daemon/tls_peer.c
spefw_tls_CPPFLAGS = $(AM_CPPFLAGS) $(GNUTLS_CFLAGS)
spefw_tls_LDADD = libcore.a $(GNUTLS_LIBS)

# The interface description as a C string, for GetInterfaceDescription.
BUILT_SOURCES = daemon/gateway_varlink.h
CLEANFILES += daemon/gateway_varlink.h
EXTRA_DIST += include/spefw/org.spefw.Gateway.varlink
daemon/control.$(OBJEXT): daemon/gateway_varlink.h
daemon/gateway_varlink.h: include/spefw/org.spefw.Gateway.varlink
	@$(MKDIR_P) daemon
	$(AM_V_GEN)$(SED) -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $(srcdir)/include/spefw/org.spefw.Gateway.varlink >$@.tmp && mv $@.tmp $@
