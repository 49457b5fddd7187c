# SPDX-License-Identifier: GPL-2.0-or-later
# core: pure, libc alone. base: core with the INI reader and the Varlink wire, what spefwctl and the tests link as well.
noinst_LIBRARIES += libcore.a libbase.a
libcore_a_SOURCES = \
	daemon/core/addr.c daemon/core/addr.h \
	daemon/core/addrbook.c daemon/core/addrbook.h daemon/core/addrbook_parts.h \
	daemon/core/addrbook_answers.c daemon/core/addrbook_expiry.c \
	daemon/core/aliases.c daemon/core/aliases.h \
	daemon/core/archive.c daemon/core/archive.h \
	daemon/core/array.h \
	daemon/core/base64.c daemon/core/base64.h \
	daemon/core/bridges.c daemon/core/bridges.h \
	daemon/core/builtin.c \
	daemon/core/config.c daemon/core/config.h \
	daemon/core/config_keys.c daemon/core/config_keys.h \
	daemon/core/config_members.c daemon/core/config_read.c daemon/core/config_roles.c \
	daemon/core/config_text.c \
	daemon/core/config_types.c daemon/core/config_types.h \
	daemon/core/config_values.c daemon/core/config_values.h \
	daemon/core/cut_cause.c daemon/core/cut_cause.h \
	daemon/core/cures.c daemon/core/cures.h \
	daemon/core/cut_list.c daemon/core/cut_list.h \
	daemon/core/delta.c daemon/core/delta.h daemon/core/delta_apply.c \
	daemon/core/denial.h \
	daemon/core/denial_cause.c daemon/core/denial_cause.h \
	daemon/core/diag.c daemon/core/diag.h \
	daemon/core/doctor.c daemon/core/doctor.h daemon/core/doctor_parts.h \
	daemon/core/doctor_names.c daemon/core/doctor_troubles.c \
	daemon/core/dns_message.c daemon/core/dns_message.h \
	daemon/core/dns_wire.c daemon/core/dns_wire.h \
	daemon/core/drop_past.c daemon/core/drop_past.h \
	daemon/core/drop_sources.c daemon/core/drop_sources.h \
	daemon/core/drop_seen.c daemon/core/drop_seen.h \
	daemon/core/drop_table.c daemon/core/drop_table.h \
	daemon/core/environment.h \
	daemon/core/expect.c daemon/core/expect.h \
	daemon/core/explain.c daemon/core/explain.h daemon/core/explain_question.c \
	daemon/core/fate_addresses.c \
	daemon/core/fate_diff.c daemon/core/fate_diff.h daemon/core/fate_diff_parts.h daemon/core/fate_diff_text.c \
	daemon/core/fate_text.c daemon/core/fate_text.h \
	daemon/core/fate.c daemon/core/fate.h daemon/core/fate_packet.c \
	daemon/core/flow_index.c daemon/core/flow_index.h \
	daemon/core/grant_list.c daemon/core/grant_list.h daemon/core/grant_text.c \
	daemon/core/grant_view.c daemon/core/grant_view.h \
	daemon/core/export.h daemon/core/export_netsh.c daemon/core/export_nft.c \
	daemon/core/health.c daemon/core/health.h \
	daemon/core/hash.h \
	daemon/core/health_note.c daemon/core/health_note.h \
	daemon/core/held.c daemon/core/held.h daemon/core/hour.c daemon/core/hour.h \
	daemon/core/history.c daemon/core/history.h daemon/core/history_text.c \
	daemon/core/judge.c daemon/core/judge_parts.h \
	daemon/core/lines.c daemon/core/lines.h \
	daemon/core/foreign.c daemon/core/foreign.h daemon/core/foreign_parts.h \
	daemon/core/foreign_boxes.c daemon/core/foreign_finding.c daemon/core/foreign_judge.c \
	daemon/core/foreign_meet.c daemon/core/foreign_packet.c \
	daemon/core/nearest.c daemon/core/nearest.h \
	daemon/core/owners.c daemon/core/owners.h \
	daemon/core/names_seen.c daemon/core/names_seen.h \
	daemon/core/observed_queries.c daemon/core/observed_queries.h \
	daemon/core/policy.c daemon/core/policy.h daemon/core/policy_parts.h \
	daemon/core/policy_check.c daemon/core/policy_check.h \
	daemon/core/policy_diff.c daemon/core/policy_diff.h \
	daemon/core/policy_flows.c daemon/core/policy_roles.c \
	daemon/core/policy_vendor.c daemon/core/policy_warnings.c \
	daemon/core/printable.c daemon/core/printable.h \
	daemon/core/proof.c daemon/core/proof.h daemon/core/proof_parts.h \
	daemon/core/proof_ask.c daemon/core/proof_box.c daemon/core/proof_confirm.c \
	daemon/core/proof_domain.c daemon/core/proof_domain.h \
	daemon/core/proof_outcome.c daemon/core/proof_packet.c daemon/core/proof_packet.h \
	daemon/core/proof_program.c daemon/core/proof_program.h \
	daemon/core/proof_questions.c daemon/core/proof_reach.c \
	daemon/core/proof_space.c daemon/core/proof_structure.c \
	daemon/core/proof_values.c daemon/core/proof_values.h \
	daemon/core/proof_walk.c \
	daemon/core/question.c daemon/core/question.h \
	daemon/core/query_pace.c daemon/core/query_pace.h \
	daemon/core/record.c daemon/core/record.h daemon/core/record_text.c \
	daemon/core/record_effect.c daemon/core/record_effect.h \
	daemon/core/ruleset.c daemon/core/ruleset.h \
	daemon/core/ruleset_compare.c daemon/core/ruleset_compare.h \
	daemon/core/ruleset_guards.c daemon/core/ruleset_guards.h \
	daemon/core/compile.c daemon/core/compile.h daemon/core/compile_parts.h \
	daemon/core/compile_answer.c daemon/core/compile_base.c daemon/core/compile_flow.c \
	daemon/core/compile_guards.c \
	daemon/core/compile_names.c daemon/core/compile_observe.c daemon/core/compile_pin.c \
	daemon/core/compile_ports.c \
	daemon/core/compile_role.c daemon/core/compile_rules.c daemon/core/compile_sets.c \
	daemon/core/ruleset_text.c \
	daemon/core/saved.c daemon/core/saved.h \
	daemon/core/seen_connections.c daemon/core/seen_connections.h \
	daemon/core/seen_packet.c daemon/core/seen_packet.h \
	daemon/core/totals.c daemon/core/totals.h \
	daemon/core/unfit.c daemon/core/unfit.h \
	daemon/core/waiting.c daemon/core/waiting.h
libbase_a_SOURCES = \
	daemon/config/ini.c daemon/config/ini.h \
	daemon/net/local_addresses.c daemon/net/local_addresses.h \
	daemon/config/policy_file.c daemon/config/policy_file.h \
	daemon/control/change_json.c daemon/control/change_json.h \
	daemon/control/flow_json.c daemon/control/flow_json.h \
	daemon/control/policy_json.c daemon/control/policy_json.h \
	daemon/control/report_explain.c daemon/control/report_explain.h \
	daemon/control/wire.c daemon/control/wire.h

sbin_PROGRAMS += spefwd
spefwd_SOURCES = \
	daemon/clock.c daemon/clock.h \
	daemon/fdstore.c daemon/fdstore.h \
	daemon/log.c daemon/log.h \
	daemon/main.c \
	daemon/offline.c daemon/offline.h \
	daemon/state_file.c daemon/state_file.h \
	daemon/timer.c daemon/timer.h \
	daemon/control/methods.c daemon/control/methods.h \
	daemon/control/methods_change.c daemon/control/methods_change.h daemon/control/methods_config.c \
	daemon/control/report_history.c daemon/control/report_history.h \
	daemon/control/methods_diff.c daemon/control/methods_diff.h \
	daemon/control/report_diff.c daemon/control/report_diff.h \
	daemon/control/methods_drops.c daemon/control/methods_drops.h \
	daemon/control/report_drops.c daemon/control/report_drops.h \
	daemon/control/methods_explain.c daemon/control/methods_explain.h \
	daemon/control/methods_export.c daemon/control/methods_export.h \
	daemon/control/methods_grants.c daemon/control/methods_grants.h \
	daemon/control/report_grants.c daemon/control/report_grants.h \
	daemon/control/methods_usage.c daemon/control/methods_usage.h \
	daemon/control/methods_watch.c daemon/control/methods_watch.h \
	daemon/control/report_others.c daemon/control/report_others.h \
	daemon/control/report.c daemon/control/report.h daemon/control/report_blocked.c \
	daemon/control/report_cut.c daemon/control/report_cut.h \
	daemon/control/report_proof.c daemon/control/report_proof.h \
	daemon/control/report_happening.c daemon/control/report_happening.h daemon/control/report_names.c \
	daemon/control/report_usage.c daemon/control/report_usage.h \
	daemon/control/clients.c \
	daemon/control/peer.c daemon/control/peer.h \
	daemon/control/server.c daemon/control/server.h daemon/control/server_parts.h \
	daemon/control/watchers.c daemon/control/watchers.h \
	daemon/gateway/apply.c daemon/gateway/parts.h \
	daemon/gateway/change.c \
	daemon/gateway/config_pieces.c daemon/gateway/config_pieces.h \
	daemon/gateway/config_store.c daemon/gateway/config_store.h \
	daemon/gateway/kept.c daemon/gateway/kept.h \
	daemon/gateway/generation.c daemon/gateway/generation.h \
	daemon/gateway/counts.c daemon/gateway/counts.h \
	daemon/gateway/cut.c daemon/gateway/cut.h daemon/gateway/cut_parts.h daemon/gateway/cut_memory.c \
	daemon/gateway/cut_shown.c \
	daemon/gateway/diff.c daemon/gateway/diff.h \
	daemon/gateway/drops.c daemon/gateway/drops.h \
	daemon/gateway/events.c \
	daemon/gateway/export.c daemon/gateway/export.h \
	daemon/gateway/foreign.c daemon/gateway/foreign.h daemon/gateway/foreign_parts.h \
	daemon/gateway/foreign_explain.c daemon/gateway/foreign_look.c \
	daemon/gateway/gateway.c daemon/gateway/gateway.h \
	daemon/gateway/granting.c daemon/gateway/granting.h daemon/gateway/grants.c daemon/gateway/grants.h \
	daemon/gateway/happenings.c daemon/gateway/happening.h \
	daemon/gateway/notice.c daemon/gateway/notice.h \
	daemon/gateway/names.c daemon/gateway/names.h daemon/gateway/names_parts.h \
	daemon/gateway/names_expiry.c daemon/gateway/names_learn.c \
	daemon/gateway/names_reasons.c daemon/gateway/names_refresh.c daemon/gateway/names_view.c \
	daemon/gateway/network.c daemon/gateway/network.h \
	daemon/gateway/observer.c daemon/gateway/observer.h \
	daemon/gateway/prove.c \
	daemon/gateway/requests.c \
	daemon/gateway/seal.c daemon/gateway/seal.h \
	daemon/gateway/table.c daemon/gateway/table.h \
	daemon/gateway/connections.c \
	daemon/gateway/usage.c daemon/gateway/usage.h daemon/gateway/usage_parts.h \
	daemon/gateway/usage_record.c \
	daemon/net/bridges.c daemon/net/bridges.h \
	daemon/net/conntrack.c daemon/net/conntrack.h \
	daemon/net/environment.c daemon/net/environment.h \
	daemon/net/links.c daemon/net/links.h daemon/net/links_read.c daemon/net/links_read.h \
	daemon/net/helper.c daemon/net/helper.h daemon/net/helper_records.c daemon/net/helper_records.h \
	daemon/net/nflog.c daemon/net/nflog.h \
	daemon/net/resolv_conf.c daemon/net/resolv_conf.h \
	daemon/net/resolver.c daemon/net/resolver.h \
	daemon/net/spawn.c daemon/net/spawn.h \
	daemon/net/way.c daemon/net/way.h \
	daemon/nft/cut.c daemon/nft/cut.h \
	daemon/nft/decode.c daemon/nft/decode.h \
	daemon/nft/encode.c daemon/nft/encode.h \
	daemon/nft/expressions.c daemon/nft/expressions.h \
	daemon/nft/foreign.c daemon/nft/foreign.h daemon/nft/foreign_parts.h daemon/nft/foreign_rule.c \
	daemon/nft/inspect.c daemon/nft/inspect.h \
	daemon/nft/interval.c daemon/nft/interval.h \
	daemon/nft/monitor.c daemon/nft/monitor.h \
	daemon/nft/probe.c \
	daemon/nft/read.c daemon/nft/read.h daemon/nft/read_parts.h daemon/nft/read_rules.c \
	daemon/nft/read_sets.c \
	daemon/nft/places.h daemon/nft/rule.c \
	daemon/nft/rule_parsing.c daemon/nft/rule_parsing.h daemon/nft/xt_rule.c \
	daemon/nft/socket.c daemon/nft/socket.h
spefwd_LDADD = libbase.a libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(CONNTRACK_LIBS) $(NLROUTE_LIBS) $(INIH_LIBS) \
	$(SYSTEMD_LIBS) $(JANSSON_LIBS)

# The same with a compiler that errs and a prover that fails, which tests/system/proof.py asks it for.
check_PROGRAMS += tests/system/proof_hook
tests_system_proof_hook_SOURCES = tests/system/proof_hook.c $(spefwd_SOURCES)
tests_system_proof_hook_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=compile,--wrap=proof_run,--wrap=nft_monitor_new \
	-Wl,--wrap=nft_read_rules
tests_system_proof_hook_LDADD = $(spefwd_LDADD)

# The interface description as a C string, for GetInterfaceDescription.
BUILT_SOURCES = daemon/control/gateway_varlink.h
CLEANFILES += daemon/control/gateway_varlink.h
EXTRA_DIST += include/spefw/org.spefw.Gateway.varlink
daemon/control/server.$(OBJEXT): daemon/control/gateway_varlink.h
daemon/control/gateway_varlink.h: include/spefw/org.spefw.Gateway.varlink
	@$(MKDIR_P) daemon/control
	$(AM_V_GEN)$(SED) -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' \
		$(srcdir)/include/spefw/org.spefw.Gateway.varlink >$@.tmp && mv $@.tmp $@
