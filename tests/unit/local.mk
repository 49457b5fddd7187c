# SPDX-License-Identifier: GPL-2.0-or-later
# A test links the few objects it is about, and so proves what they need.
UNIT_TESTS = \
	tests/unit/test_addr \
	tests/unit/test_addrbook \
	tests/unit/test_aliases \
	tests/unit/test_archive \
	tests/unit/test_bridges \
	tests/unit/test_compile \
	tests/unit/test_config \
	tests/unit/test_config_keys \
	tests/unit/test_control \
	tests/unit/test_cut_list \
	tests/unit/test_delta \
	tests/unit/test_dns_message \
	tests/unit/test_doctor \
	tests/unit/test_drops \
	tests/unit/test_expect \
	tests/unit/test_explain \
	tests/unit/test_fate \
	tests/unit/test_fate_diff \
	tests/unit/test_gw_names \
	tests/unit/test_gw_observer \
	tests/unit/test_health_note \
	tests/unit/test_grants \
	tests/unit/test_held \
	tests/unit/test_history \
	tests/unit/test_hour \
	tests/unit/test_judge \
	tests/unit/test_nft_decode \
	tests/unit/test_names_seen \
	tests/unit/test_nft_interval \
	tests/unit/test_nft_monitor \
	tests/unit/test_nft_socket \
	tests/unit/test_observe \
	tests/unit/test_observed_queries \
	tests/unit/test_foreign \
	tests/unit/test_export \
	tests/unit/test_export_page \
	tests/unit/test_gw_cut \
	tests/unit/test_gw_table \
	tests/unit/test_output \
	tests/unit/test_policy \
	tests/unit/test_policy_diff \
	tests/unit/test_proof \
	tests/unit/test_proof_mutants \
	tests/unit/test_proof_packet \
	tests/unit/test_query_pace \
	tests/unit/test_record \
	tests/unit/test_saved \
	tests/unit/test_seen_packet \
	tests/unit/test_state_file \
	tests/unit/test_totals \
	tests/unit/test_varlink_wire \
	tests/unit/test_watchers
UNIT_LIBS = $(CMOCKA_LIBS)

if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
else
# Skipped, and counted so.
TESTS += tests/unit/no-cmocka
endif
EXTRA_DIST += tests/unit/no-cmocka tests/golden-cli

tests_unit_test_addr_SOURCES = tests/unit/test_addr.c
tests_unit_test_addr_LDADD = daemon/core/addr.$(OBJEXT) $(UNIT_LIBS)

# It includes the files of the address book, for an allocator that fails on request.
UNIT_FAILING = tests/unit/failing.h tests/unit/failing_end.h
tests_unit_test_addrbook_SOURCES = tests/unit/test_addrbook.c $(UNIT_FAILING)
tests_unit_test_addrbook_LDADD = daemon/core/addr.$(OBJEXT) daemon/core/unfit.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_archive_SOURCES = tests/unit/test_archive.c
tests_unit_test_archive_LDADD = daemon/core/archive.$(OBJEXT) daemon/core/lines.$(OBJEXT) $(UNIT_LIBS)

# It includes record.c and others, likewise.
tests_unit_test_record_SOURCES = tests/unit/test_record.c $(UNIT_FAILING)
tests_unit_test_record_LDADD = daemon/core/addr.$(OBJEXT) daemon/core/lines.$(OBJEXT) libcore.a $(UNIT_LIBS)

# It includes aliases.c, likewise.
tests_unit_test_aliases_SOURCES = tests/unit/test_aliases.c $(UNIT_FAILING)
tests_unit_test_aliases_LDADD = $(UNIT_LIBS)

UNIT_CONFIG_OBJECTS = daemon/core/addr.$(OBJEXT) daemon/core/config.$(OBJEXT) daemon/core/config_keys.$(OBJEXT) \
	daemon/core/config_members.$(OBJEXT) daemon/core/config_read.$(OBJEXT) \
	daemon/core/config_roles.$(OBJEXT) daemon/core/config_text.$(OBJEXT) \
	daemon/core/config_types.$(OBJEXT) daemon/core/config_values.$(OBJEXT) \
	daemon/core/diag.$(OBJEXT) daemon/core/printable.$(OBJEXT) daemon/config/ini.$(OBJEXT)
tests_unit_test_config_SOURCES = tests/unit/test_config.c
tests_unit_test_config_LDADD = $(UNIT_CONFIG_OBJECTS) $(INIH_LIBS) $(UNIT_LIBS)

tests_unit_test_control_SOURCES = tests/unit/test_control.c
tests_unit_test_control_LDADD = daemon/control/clients.$(OBJEXT) daemon/control/peer.$(OBJEXT) \
	daemon/control/server.$(OBJEXT) daemon/control/wire.$(OBJEXT) \
	daemon/core/printable.$(OBJEXT) $(SYSTEMD_LIBS) $(JANSSON_LIBS) $(UNIT_LIBS)

tests_unit_test_watchers_SOURCES = tests/unit/test_watchers.c
tests_unit_test_watchers_LDADD = daemon/control/watchers.$(OBJEXT) $(SYSTEMD_LIBS) $(JANSSON_LIBS) $(UNIT_LIBS)

tests_unit_test_dns_message_SOURCES = tests/unit/test_dns_message.c
tests_unit_test_dns_message_LDADD = daemon/core/dns_message.$(OBJEXT) daemon/core/dns_wire.$(OBJEXT) \
	daemon/core/addr.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_held_SOURCES = tests/unit/test_held.c
tests_unit_test_held_LDADD = daemon/core/held.$(OBJEXT) daemon/core/lines.$(OBJEXT) daemon/core/addr.$(OBJEXT) \
	$(UNIT_LIBS)

tests_unit_test_nft_decode_SOURCES = tests/unit/test_nft_decode.c $(UNIT_MAKE_SOURCES)
tests_unit_test_nft_decode_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_nft_decode_LDADD = daemon/nft/decode.$(OBJEXT) daemon/nft/encode.$(OBJEXT) \
	daemon/nft/expressions.$(OBJEXT) daemon/nft/rule.$(OBJEXT) $(NFTNL_LIBS) $(MNL_LIBS) $(UNIT_MAKE_LIBS)

tests_unit_test_nft_interval_SOURCES = tests/unit/test_nft_interval.c
tests_unit_test_nft_interval_LDADD = daemon/nft/interval.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_nft_monitor_SOURCES = tests/unit/test_nft_monitor.c
tests_unit_test_nft_monitor_LDADD = daemon/core/printable.$(OBJEXT) $(MNL_LIBS) $(SYSTEMD_LIBS) $(UNIT_LIBS)

tests_unit_test_nft_socket_SOURCES = tests/unit/test_nft_socket.c
tests_unit_test_nft_socket_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sendmsg,--wrap=recv
tests_unit_test_nft_socket_LDADD = daemon/nft/socket.$(OBJEXT) daemon/nft/encode.$(OBJEXT) daemon/nft/rule.$(OBJEXT) \
	libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(UNIT_LIBS)

tests_unit_test_observe_SOURCES = tests/unit/test_observe.c
tests_unit_test_observe_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_gettime,--wrap=recv
tests_unit_test_observe_LDADD = resolver/nflog_read.$(OBJEXT) resolver/observe.$(OBJEXT) libcore.a $(UNIT_LIBS)

# It includes observed_queries.c, likewise.
tests_unit_test_observed_queries_SOURCES = tests/unit/test_observed_queries.c $(UNIT_FAILING)
tests_unit_test_observed_queries_LDADD = daemon/core/addr.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_output_SOURCES = tests/unit/test_output.c
tests_unit_test_output_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cli
tests_unit_test_output_LDADD = daemon/control/clients.$(OBJEXT) daemon/control/server.$(OBJEXT) libctl.a \
	libbase.a libcore.a $(SYSTEMD_LIBS) \
	$(INIH_LIBS) $(JANSSON_LIBS) -lutil $(UNIT_LIBS)

tests_unit_test_export_SOURCES = tests/unit/test_export.c $(UNIT_MAKE_SOURCES)
tests_unit_test_export_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_export_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_export_page_SOURCES = tests/unit/test_export_page.c
tests_unit_test_export_page_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cli
tests_unit_test_export_page_LDADD = libctl.a libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS) $(UNIT_LIBS)

tests_unit_test_query_pace_SOURCES = tests/unit/test_query_pace.c
tests_unit_test_query_pace_LDADD = daemon/core/query_pace.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_saved_SOURCES = tests/unit/test_saved.c
tests_unit_test_saved_LDADD = daemon/core/saved.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_seen_packet_SOURCES = tests/unit/test_seen_packet.c
tests_unit_test_seen_packet_LDADD = daemon/core/seen_packet.$(OBJEXT) daemon/core/addr.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_state_file_SOURCES = tests/unit/test_state_file.c
tests_unit_test_state_file_LDADD = daemon/state_file.$(OBJEXT) daemon/core/addr.$(OBJEXT) \
	daemon/core/addrbook.$(OBJEXT) daemon/core/addrbook_answers.$(OBJEXT) \
	daemon/core/addrbook_expiry.$(OBJEXT) daemon/core/unfit.$(OBJEXT) daemon/core/lines.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_hour_SOURCES = tests/unit/test_hour.c
tests_unit_test_hour_LDADD = daemon/core/hour.$(OBJEXT) daemon/core/lines.$(OBJEXT) $(UNIT_LIBS)
tests_unit_test_totals_SOURCES = tests/unit/test_totals.c
tests_unit_test_totals_LDADD = daemon/core/totals.$(OBJEXT) daemon/core/lines.$(OBJEXT) $(UNIT_LIBS)

tests_unit_test_varlink_wire_SOURCES = tests/unit/test_varlink_wire.c
tests_unit_test_varlink_wire_LDADD = daemon/control/wire.$(OBJEXT) daemon/core/printable.$(OBJEXT) $(JANSSON_LIBS) \
	$(UNIT_LIBS)

# Policies and rulesets from the text of a configuration, and an allocator that fails on request.
UNIT_MAKE_SOURCES = tests/unit/make.c tests/unit/make.h tests/unit/wrap.c
UNIT_WRAPPED = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=strdup,--wrap=vasprintf,--wrap=__vasprintf_chk
UNIT_MAKE_LIBS = libbase.a libcore.a $(INIH_LIBS) $(UNIT_LIBS)
UNIT_RANDOM_SOURCES = tests/unit/random_policy.c tests/unit/random_policy.h tests/unit/vm.c tests/unit/vm.h
tests_unit_test_compile_SOURCES = tests/unit/test_compile.c $(UNIT_RANDOM_SOURCES) $(UNIT_MAKE_SOURCES)
tests_unit_test_compile_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_compile_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_config_keys_SOURCES = tests/unit/test_config_keys.c $(UNIT_MAKE_SOURCES)
tests_unit_test_config_keys_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_config_keys_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_health_note_SOURCES = tests/unit/test_health_note.c $(UNIT_MAKE_SOURCES)
tests_unit_test_health_note_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_health_note_LDADD = $(UNIT_MAKE_LIBS)

tests_unit_test_names_seen_SOURCES = tests/unit/test_names_seen.c $(UNIT_MAKE_SOURCES)
tests_unit_test_names_seen_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_names_seen_LDADD = $(UNIT_MAKE_LIBS)

tests_unit_test_cut_list_SOURCES = tests/unit/test_cut_list.c $(UNIT_MAKE_SOURCES)
tests_unit_test_cut_list_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_cut_list_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_delta_SOURCES = tests/unit/test_delta.c $(UNIT_MAKE_SOURCES)
tests_unit_test_delta_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_delta_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_bridges_SOURCES = tests/unit/test_bridges.c $(UNIT_MAKE_SOURCES)
tests_unit_test_bridges_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_bridges_LDADD = $(UNIT_MAKE_LIBS)

tests_unit_test_doctor_SOURCES = tests/unit/test_doctor.c $(UNIT_MAKE_SOURCES)
tests_unit_test_doctor_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_doctor_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_expect_SOURCES = tests/unit/test_expect.c $(UNIT_MAKE_SOURCES)
tests_unit_test_expect_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_expect_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_explain_SOURCES = tests/unit/test_explain.c $(UNIT_MAKE_SOURCES)
tests_unit_test_explain_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_explain_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_grants_SOURCES = tests/unit/test_grants.c $(UNIT_MAKE_SOURCES)
tests_unit_test_grants_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_grants_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_judge_SOURCES = tests/unit/test_judge.c $(UNIT_MAKE_SOURCES)
tests_unit_test_judge_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_judge_LDADD = $(UNIT_MAKE_LIBS)
UNIT_FATE_SOURCES = tests/unit/fate_world.c tests/unit/fate_world.h tests/golden/case.c tests/golden/case.h \
	$(UNIT_RANDOM_SOURCES) $(UNIT_MAKE_SOURCES)
tests_unit_test_fate_SOURCES = tests/unit/test_fate.c $(UNIT_FATE_SOURCES)
tests_unit_test_fate_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_fate_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_fate_diff_SOURCES = tests/unit/test_fate_diff.c $(UNIT_FATE_SOURCES)
tests_unit_test_fate_diff_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_fate_diff_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_proof_SOURCES = tests/unit/test_proof.c $(UNIT_MAKE_SOURCES)
tests_unit_test_proof_LDFLAGS = $(UNIT_WRAPPED) -Wl,--wrap=box_example,--wrap=values_split,--wrap=values_and
tests_unit_test_proof_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_proof_mutants_SOURCES = tests/unit/test_proof_mutants.c tests/unit/mutate.c tests/unit/mutate.h \
	$(UNIT_FATE_SOURCES)
tests_unit_test_proof_mutants_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_proof_mutants_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_proof_packet_SOURCES = tests/unit/test_proof_packet.c $(UNIT_FATE_SOURCES)
tests_unit_test_proof_packet_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_proof_packet_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_foreign_SOURCES = tests/unit/test_foreign.c $(UNIT_MAKE_SOURCES)
tests_unit_test_foreign_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_foreign_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_drops_SOURCES = tests/unit/test_drops.c $(UNIT_MAKE_SOURCES)
tests_unit_test_drops_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_drops_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_policy_SOURCES = tests/unit/test_policy.c $(UNIT_MAKE_SOURCES)
tests_unit_test_policy_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_policy_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_policy_diff_SOURCES = tests/unit/test_policy_diff.c $(UNIT_MAKE_SOURCES)
tests_unit_test_policy_diff_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_policy_diff_LDADD = $(UNIT_MAKE_LIBS)

# The gateway's objects on a kernel, a clock, connections and a log of the test's own.
UNIT_FAKE_CONNTRACK = tests/unit/fake_conntrack.c tests/unit/fake_conntrack.h
UNIT_FAKE_HELPER = tests/unit/fake_helper.c tests/unit/fake_helper.h
UNIT_FAKE_LINKS = tests/unit/fake_links.c tests/unit/fake_links.h
UNIT_FAKE_LOG = tests/unit/fake_log.c tests/unit/fake_log.h
UNIT_FAKE_NFLOG = tests/unit/fake_nflog.c tests/unit/fake_nflog.h
UNIT_FAKE_NFT = tests/unit/fake_nft.c tests/unit/fake_nft.h tests/unit/fake_nft_batch.c tests/unit/fake_nft_others.c \
	tests/unit/fake_nft_parts.h
UNIT_FAKE_RESOLVER = tests/unit/fake_resolver.c tests/unit/fake_resolver.h
UNIT_FAKE_TIME = tests/unit/fake_time.c tests/unit/fake_time.h
UNIT_FIXTURE = tests/unit/gw_fixture.c tests/unit/gw_fixture.h $(UNIT_FAKE_LOG)
tests_unit_test_gw_table_SOURCES = tests/unit/test_gw_table.c $(UNIT_FAKE_LOG) $(UNIT_FAKE_NFT) $(UNIT_FAKE_TIME) \
	daemon/gateway/table.c daemon/gateway/table.h $(UNIT_MAKE_SOURCES)
tests_unit_test_gw_table_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_gw_table_LDADD = $(MNL_LIBS) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_cut_SOURCES = tests/unit/test_gw_cut.c $(UNIT_FAKE_CONNTRACK) $(UNIT_FAKE_LOG) $(UNIT_FAKE_NFT) \
	$(UNIT_FAKE_TIME) daemon/gateway/cut.c daemon/gateway/cut.h daemon/gateway/cut_memory.c \
	daemon/gateway/cut_shown.c \
	daemon/gateway/cut_parts.h $(UNIT_MAKE_SOURCES)
tests_unit_test_gw_cut_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_gw_cut_LDADD = $(MNL_LIBS) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_names_SOURCES = tests/unit/test_gw_names.c daemon/gateway/names.c daemon/gateway/names.h \
	daemon/gateway/names_expiry.c daemon/gateway/names_learn.c daemon/gateway/names_parts.h \
	daemon/gateway/names_reasons.c daemon/gateway/names_refresh.c daemon/gateway/names_view.c \
	$(UNIT_FAKE_CONNTRACK) $(UNIT_FAKE_LOG) \
	$(UNIT_FAKE_RESOLVER) $(UNIT_FAKE_TIME) $(UNIT_MAKE_SOURCES)
tests_unit_test_gw_names_LDFLAGS = $(UNIT_WRAPPED) -Wl,--wrap=fsync
tests_unit_test_gw_names_LDADD = daemon/state_file.$(OBJEXT) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_observer_SOURCES = tests/unit/test_gw_observer.c daemon/gateway/observer.c \
	daemon/gateway/observer.h $(UNIT_FAKE_HELPER) $(UNIT_FAKE_LOG) $(UNIT_FAKE_NFLOG) $(UNIT_MAKE_SOURCES)
tests_unit_test_gw_observer_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_gw_observer_LDADD = daemon/net/helper_records.$(OBJEXT) $(UNIT_MAKE_LIBS)
# Objects of the gateway: their clock, timers and kernel are the test's.
UNIT_TESTS += \
	tests/unit/test_gw_config_store \
	tests/unit/test_gw_counts \
	tests/unit/test_gw_foreign \
	tests/unit/test_gw_network \
	tests/unit/test_gw_notice \
	tests/unit/test_gw_usage
UNIT_OBJECT_WRAPPED = $(UNIT_WRAPPED),--wrap=open_memstream
UNIT_OBJECT_SOURCES = $(UNIT_MAKE_SOURCES) $(UNIT_FIXTURE) $(UNIT_FAKE_TIME)
tests_unit_test_gw_counts_SOURCES = tests/unit/test_gw_counts.c \
	daemon/gateway/counts.c daemon/gateway/counts.h \
	$(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_counts_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_counts_LDADD = daemon/state_file.$(OBJEXT) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_notice_SOURCES = tests/unit/test_gw_notice.c daemon/gateway/notice.c daemon/gateway/notice.h \
	$(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_notice_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_notice_LDADD = daemon/state_file.$(OBJEXT) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_usage_SOURCES = tests/unit/test_gw_usage.c daemon/gateway/usage.c daemon/gateway/usage.h \
	daemon/gateway/usage_parts.h daemon/gateway/usage_record.c $(UNIT_FAKE_CONNTRACK) $(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_usage_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_usage_LDADD = daemon/state_file.$(OBJEXT) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_foreign_SOURCES = tests/unit/test_gw_foreign.c daemon/gateway/foreign.c daemon/gateway/foreign.h \
	daemon/gateway/foreign_explain.c daemon/gateway/foreign_look.c daemon/gateway/foreign_parts.h \
	$(UNIT_FAKE_LINKS) $(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_foreign_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_foreign_LDADD = daemon/net/environment.$(OBJEXT) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_network_SOURCES = tests/unit/test_gw_network.c daemon/gateway/network.c daemon/gateway/network.h \
	$(UNIT_FAKE_LINKS) $(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_network_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_network_LDADD = daemon/net/environment.$(OBJEXT) $(UNIT_MAKE_LIBS)
tests_unit_test_history_SOURCES = tests/unit/test_history.c daemon/core/history.c daemon/core/history_text.c \
	daemon/core/waiting.c daemon/core/base64.c $(UNIT_MAKE_SOURCES)
tests_unit_test_history_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_history_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_gw_config_store_SOURCES = tests/unit/test_gw_config_store.c daemon/gateway/config_store.c \
	daemon/gateway/config_store.h daemon/gateway/generation.c daemon/gateway/generation.h \
	daemon/gateway/kept.c daemon/gateway/kept.h \
	$(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_config_store_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_config_store_LDADD = daemon/state_file.$(OBJEXT) $(UNIT_MAKE_LIBS)
UNIT_TESTS += tests/unit/test_gw_seal
tests_unit_test_gw_seal_SOURCES = tests/unit/test_gw_seal.c daemon/gateway/seal.c daemon/gateway/seal.h \
	$(UNIT_FAKE_TIME) $(UNIT_MAKE_SOURCES)
tests_unit_test_gw_seal_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_gw_seal_LDADD = $(UNIT_MAKE_LIBS)
# All of them together.
UNIT_TESTS += tests/unit/test_gw_change tests/unit/test_gw_gateway tests/unit/test_gw_prove
UNIT_GATEWAY_SOURCES = $(UNIT_OBJECT_SOURCES) tests/unit/gw_whole.c tests/unit/gw_whole.h $(UNIT_FAKE_CONNTRACK) \
	$(UNIT_FAKE_HELPER) $(UNIT_FAKE_LINKS) $(UNIT_FAKE_NFLOG) $(UNIT_FAKE_NFT) $(UNIT_FAKE_RESOLVER) \
	daemon/gateway/apply.c daemon/gateway/diff.c daemon/gateway/drops.c \
	daemon/gateway/change.c daemon/gateway/kept.c \
	daemon/gateway/config_store.c daemon/gateway/counts.c daemon/gateway/cut.c daemon/gateway/cut_memory.c \
	daemon/gateway/cut_shown.c daemon/gateway/generation.c daemon/gateway/requests.c \
	daemon/gateway/events.c daemon/gateway/foreign.c daemon/gateway/foreign_explain.c \
	daemon/gateway/prove.c daemon/gateway/seal.c \
	daemon/gateway/foreign_look.c daemon/gateway/gateway.c daemon/gateway/happenings.c daemon/gateway/names.c \
	daemon/gateway/granting.c daemon/gateway/grants.c \
	daemon/gateway/names_expiry.c daemon/gateway/names_learn.c daemon/gateway/names_reasons.c \
	daemon/gateway/names_refresh.c \
	daemon/gateway/names_view.c daemon/gateway/network.c daemon/gateway/observer.c daemon/gateway/table.c \
	daemon/gateway/connections.c daemon/gateway/notice.c daemon/gateway/usage.c daemon/gateway/usage_record.c
UNIT_GATEWAY_LIBS = daemon/net/environment.$(OBJEXT) daemon/net/helper_records.$(OBJEXT) \
	daemon/state_file.$(OBJEXT) $(MNL_LIBS) $(SYSTEMD_LIBS) $(UNIT_MAKE_LIBS)
tests_unit_test_gw_gateway_SOURCES = tests/unit/test_gw_gateway.c $(UNIT_GATEWAY_SOURCES)
tests_unit_test_gw_gateway_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_gateway_LDADD = $(UNIT_GATEWAY_LIBS)
tests_unit_test_gw_prove_SOURCES = tests/unit/test_gw_prove.c $(UNIT_GATEWAY_SOURCES)
tests_unit_test_gw_prove_LDFLAGS = $(UNIT_OBJECT_WRAPPED),--wrap=proof_run
tests_unit_test_gw_prove_LDADD = $(UNIT_GATEWAY_LIBS)
tests_unit_test_gw_change_SOURCES = tests/unit/test_gw_change.c daemon/gateway/config_pieces.c \
	daemon/gateway/config_pieces.h $(UNIT_GATEWAY_SOURCES)
tests_unit_test_gw_change_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_change_LDADD = $(UNIT_GATEWAY_LIBS)
UNIT_TESTS += tests/unit/test_gw_grants
tests_unit_test_gw_grants_SOURCES = tests/unit/test_gw_grants.c $(UNIT_GATEWAY_SOURCES)
tests_unit_test_gw_grants_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_grants_LDADD = $(UNIT_GATEWAY_LIBS)
# Behaviour that mutants of core had survived.
UNIT_TESTS += tests/unit/test_foreign_boxes tests/unit/test_foreign_ways tests/unit/test_diag tests/unit/test_text \
	tests/unit/test_ruleset tests/unit/test_policy_check tests/unit/test_config_values tests/unit/test_delta_sets \
	tests/unit/test_compile_role
UNIT_FOREIGN_SOURCES = tests/unit/foreign_text.c tests/unit/foreign_text.h $(UNIT_MAKE_SOURCES)
tests_unit_test_foreign_boxes_SOURCES = tests/unit/test_foreign_boxes.c $(UNIT_FOREIGN_SOURCES)
tests_unit_test_foreign_boxes_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_foreign_boxes_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_foreign_ways_SOURCES = tests/unit/test_foreign_ways.c $(UNIT_FOREIGN_SOURCES)
tests_unit_test_foreign_ways_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_foreign_ways_LDADD = $(UNIT_MAKE_LIBS)
UNIT_TESTS += tests/unit/test_foreign_packet
tests_unit_test_foreign_packet_SOURCES = tests/unit/test_foreign_packet.c $(UNIT_FOREIGN_SOURCES)
tests_unit_test_foreign_packet_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_foreign_packet_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_diag_SOURCES = tests/unit/test_diag.c $(UNIT_MAKE_SOURCES)
tests_unit_test_diag_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_diag_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_text_SOURCES = tests/unit/test_text.c $(UNIT_MAKE_SOURCES)
tests_unit_test_text_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_text_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_ruleset_SOURCES = tests/unit/test_ruleset.c $(UNIT_MAKE_SOURCES)
tests_unit_test_ruleset_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_ruleset_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_policy_check_SOURCES = tests/unit/test_policy_check.c $(UNIT_MAKE_SOURCES)
tests_unit_test_policy_check_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_policy_check_LDADD = $(UNIT_MAKE_LIBS)
UNIT_TESTS += tests/unit/test_policy_warnings
tests_unit_test_policy_warnings_SOURCES = tests/unit/test_policy_warnings.c $(UNIT_MAKE_SOURCES)
tests_unit_test_policy_warnings_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_policy_warnings_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_config_values_SOURCES = tests/unit/test_config_values.c $(UNIT_MAKE_SOURCES)
tests_unit_test_config_values_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_config_values_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_delta_sets_SOURCES = tests/unit/test_delta_sets.c $(UNIT_MAKE_SOURCES)
tests_unit_test_delta_sets_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_delta_sets_LDADD = $(UNIT_MAKE_LIBS)
tests_unit_test_compile_role_SOURCES = tests/unit/test_compile_role.c $(UNIT_MAKE_SOURCES)
tests_unit_test_compile_role_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_compile_role_LDADD = $(UNIT_MAKE_LIBS)
UNIT_TESTS += tests/unit/test_record_effect
tests_unit_test_record_effect_SOURCES = tests/unit/test_record_effect.c $(UNIT_MAKE_SOURCES)
tests_unit_test_record_effect_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_record_effect_LDADD = $(UNIT_MAKE_LIBS)
# spefwd's end of spefw-resolver, and what goes by it.
UNIT_TESTS += tests/unit/test_resolv_conf
tests_unit_test_resolv_conf_SOURCES = tests/unit/test_resolv_conf.c daemon/net/resolv_conf.c daemon/timer.c \
	daemon/clock.c daemon/log.c $(UNIT_MAKE_SOURCES)
tests_unit_test_resolv_conf_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_resolv_conf_LDADD = $(SYSTEMD_LIBS) $(UNIT_MAKE_LIBS)
UNIT_TESTS += tests/unit/test_helper
tests_unit_test_helper_SOURCES = tests/unit/test_helper.c tests/unit/fake_spawn.c tests/unit/fake_spawn.h \
	$(UNIT_FAKE_LOG) $(UNIT_FAKE_TIME) daemon/net/helper.c daemon/net/helper_records.c daemon/net/resolver.c \
	$(UNIT_MAKE_SOURCES)
tests_unit_test_helper_LDFLAGS = $(UNIT_WRAPPED)
tests_unit_test_helper_LDADD = $(SYSTEMD_LIBS) $(UNIT_MAKE_LIBS)
UNIT_TESTS += tests/unit/test_gw_drops
tests_unit_test_gw_drops_SOURCES = tests/unit/test_gw_drops.c daemon/gateway/drops.c daemon/gateway/drops.h \
	$(UNIT_OBJECT_SOURCES)
tests_unit_test_gw_drops_LDFLAGS = $(UNIT_OBJECT_WRAPPED)
tests_unit_test_gw_drops_LDADD = daemon/state_file.$(OBJEXT) $(UNIT_MAKE_LIBS)
