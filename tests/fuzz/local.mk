# SPDX-License-Identifier: GPL-2.0-or-later
# Every fuzz target is built twice: its corpus is replayed by `make check`; and with `./configure CC=clang
# --enable-fuzzers` tests/fuzz/fuzz_NAME is a libFuzzer program, and all that it links is instrumented. tests/fuzz/run
# does that, and runs them.
REPLAYS = tests/fuzz/replay_health_note tests/fuzz/replay_history \
	tests/fuzz/replay_archive tests/fuzz/replay_config tests/fuzz/replay_dns_message tests/fuzz/replay_legacy \
	tests/fuzz/replay_nft_foreign tests/fuzz/replay_nft_read tests/fuzz/replay_record tests/fuzz/replay_records \
	tests/fuzz/replay_reply tests/fuzz/replay_question \
	tests/fuzz/replay_resolver_records \
	tests/fuzz/replay_routes tests/fuzz/replay_seen_packet tests/fuzz/replay_state tests/fuzz/replay_varlink
check_PROGRAMS += $(REPLAYS)
TESTS += $(REPLAYS)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/run

FUZZ_ARCHIVE_SOURCES = tests/fuzz/fuzz_archive.c daemon/core/archive.c daemon/core/lines.c
FUZZ_CONFIG_SOURCES = tests/fuzz/fuzz_config.c daemon/config/ini.c daemon/core/addr.c daemon/core/config.c \
	daemon/core/config_keys.c daemon/core/config_members.c daemon/core/config_read.c \
	daemon/core/config_roles.c daemon/core/config_text.c \
	daemon/core/config_types.c daemon/core/config_values.c daemon/core/diag.c daemon/core/printable.c
FUZZ_DNS_SOURCES = tests/fuzz/fuzz_dns_message.c daemon/core/addr.c daemon/core/dns_message.c \
	daemon/core/dns_wire.c
# They include the readers, for sockets that are not real.
FUZZ_NFT_SOURCES = tests/fuzz/fuzz_nft_read.c tests/fuzz/fake_netlink.h tests/fuzz/library_faults.h \
	daemon/nft/decode.c daemon/nft/encode.c daemon/nft/expressions.c daemon/nft/interval.c daemon/nft/read_rules.c \
	daemon/nft/rule.c
FUZZ_HEALTH_NOTE_SOURCES = tests/fuzz/fuzz_health_note.c daemon/core/health.c daemon/core/health_note.c \
	daemon/core/lines.c daemon/core/printable.c
FUZZ_HISTORY_SOURCES = tests/fuzz/fuzz_history.c daemon/core/history.c daemon/core/history_text.c \
	daemon/core/lines.c daemon/core/printable.c daemon/core/waiting.c
FUZZ_LEGACY_SOURCES = tests/fuzz/fuzz_legacy.c tests/fuzz/fuzz_policy.h daemon/nft/rule_parsing.c daemon/nft/xt_rule.c
FUZZ_OTHERS_SOURCES = tests/fuzz/fuzz_nft_foreign.c tests/fuzz/fuzz_policy.h tests/fuzz/fake_netlink.h \
	tests/fuzz/library_faults.h daemon/nft/encode.c daemon/nft/interval.c daemon/nft/rule.c \
	daemon/nft/rule_parsing.c daemon/nft/xt_rule.c
FUZZ_NFT_LIBS = libcore.a $(NFTNL_LIBS) $(MNL_LIBS) $(CONNTRACK_LIBS) $(SYSTEMD_LIBS)
FUZZ_QUESTION_SOURCES = tests/fuzz/fuzz_question.c
FUZZ_QUESTION_LIBS = libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
FUZZ_RECORD_SOURCES = tests/fuzz/fuzz_record.c daemon/core/addr.c daemon/core/lines.c daemon/core/record.c
FUZZ_RECORDS_SOURCES = tests/fuzz/fuzz_records.c daemon/core/addr.c daemon/core/expect.c daemon/core/grant_list.c \
	daemon/core/grant_text.c daemon/core/held.c daemon/core/lines.c daemon/core/totals.c
FUZZ_REPLY_SOURCES = tests/fuzz/fuzz_reply.c
FUZZ_RESOLVER_SOURCES = tests/fuzz/fuzz_resolver_records.c daemon/gateway/observer.c daemon/net/helper_records.c \
	daemon/net/resolver.c
FUZZ_ROUTES_SOURCES = tests/fuzz/fuzz_routes.c tests/fuzz/library_faults.h daemon/clock.c daemon/log.c
FUZZ_ROUTES_LIBS = libcore.a $(NLROUTE_LIBS) $(SYSTEMD_LIBS)
FUZZ_SEEN_SOURCES = tests/fuzz/fuzz_seen_packet.c daemon/core/addr.c daemon/core/dns_message.c \
	daemon/core/dns_wire.c daemon/core/observed_queries.c daemon/core/seen_packet.c resolver/nflog_read.c
FUZZ_STATE_SOURCES = tests/fuzz/fuzz_state.c daemon/core/addr.c daemon/core/addrbook.c \
	daemon/core/addrbook_answers.c daemon/core/addrbook_expiry.c daemon/core/lines.c daemon/core/unfit.c
FUZZ_VARLINK_SOURCES = tests/fuzz/fuzz_varlink.c daemon/core/printable.c daemon/control/wire.c

tests_fuzz_replay_history_SOURCES = tests/fuzz/replay.c $(FUZZ_HISTORY_SOURCES)
tests_fuzz_replay_history_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"history"'
tests_fuzz_replay_archive_SOURCES = tests/fuzz/replay.c $(FUZZ_ARCHIVE_SOURCES)
tests_fuzz_replay_archive_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"archive"'
tests_fuzz_replay_config_SOURCES = tests/fuzz/replay.c $(FUZZ_CONFIG_SOURCES)
tests_fuzz_replay_config_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"config"'
tests_fuzz_replay_config_LDADD = $(INIH_LIBS)
tests_fuzz_replay_dns_message_SOURCES = tests/fuzz/replay.c $(FUZZ_DNS_SOURCES)
tests_fuzz_replay_dns_message_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"dns"'
tests_fuzz_replay_health_note_SOURCES = tests/fuzz/replay.c $(FUZZ_HEALTH_NOTE_SOURCES)
tests_fuzz_replay_health_note_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"health"'
tests_fuzz_replay_legacy_SOURCES = tests/fuzz/replay.c $(FUZZ_LEGACY_SOURCES)
tests_fuzz_replay_legacy_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"legacy"'
tests_fuzz_replay_legacy_LDADD = libcore.a
tests_fuzz_replay_nft_foreign_SOURCES = tests/fuzz/replay.c $(FUZZ_OTHERS_SOURCES)
tests_fuzz_replay_nft_foreign_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"foreign"'
tests_fuzz_replay_nft_foreign_LDADD = $(FUZZ_NFT_LIBS)
tests_fuzz_replay_nft_read_SOURCES = tests/fuzz/replay.c $(FUZZ_NFT_SOURCES)
tests_fuzz_replay_nft_read_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"nft"'
tests_fuzz_replay_nft_read_LDADD = $(FUZZ_NFT_LIBS)
tests_fuzz_replay_question_SOURCES = tests/fuzz/replay.c $(FUZZ_QUESTION_SOURCES)
tests_fuzz_replay_question_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"question"'
tests_fuzz_replay_question_LDADD = $(FUZZ_QUESTION_LIBS)
tests_fuzz_replay_record_SOURCES = tests/fuzz/replay.c $(FUZZ_RECORD_SOURCES)
tests_fuzz_replay_record_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"record"'
tests_fuzz_replay_record_LDADD = libcore.a
tests_fuzz_replay_records_SOURCES = tests/fuzz/replay.c $(FUZZ_RECORDS_SOURCES)
tests_fuzz_replay_records_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"records"'
tests_fuzz_replay_records_LDADD = libcore.a
tests_fuzz_replay_reply_SOURCES = tests/fuzz/replay.c $(FUZZ_REPLY_SOURCES)
tests_fuzz_replay_reply_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cli -DCORPUS='"reply"'
tests_fuzz_replay_reply_LDADD = libctl.a libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
tests_fuzz_replay_resolver_records_SOURCES = tests/fuzz/replay.c $(FUZZ_RESOLVER_SOURCES)
tests_fuzz_replay_resolver_records_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"resolver"'
tests_fuzz_replay_resolver_records_LDADD = libcore.a
tests_fuzz_replay_routes_SOURCES = tests/fuzz/replay.c $(FUZZ_ROUTES_SOURCES)
tests_fuzz_replay_routes_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"routes"'
tests_fuzz_replay_routes_LDADD = $(FUZZ_ROUTES_LIBS)
tests_fuzz_replay_seen_packet_SOURCES = tests/fuzz/replay.c $(FUZZ_SEEN_SOURCES)
tests_fuzz_replay_seen_packet_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"nflog"'
tests_fuzz_replay_state_SOURCES = tests/fuzz/replay.c $(FUZZ_STATE_SOURCES)
tests_fuzz_replay_state_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"state"'
tests_fuzz_replay_varlink_SOURCES = tests/fuzz/replay.c $(FUZZ_VARLINK_SOURCES)
tests_fuzz_replay_varlink_CPPFLAGS = $(AM_CPPFLAGS) -DCORPUS='"varlink"'
tests_fuzz_replay_varlink_LDADD = $(JANSSON_LIBS)

if FUZZERS
noinst_PROGRAMS += tests/fuzz/fuzz_health_note tests/fuzz/fuzz_history \
	tests/fuzz/fuzz_archive tests/fuzz/fuzz_config tests/fuzz/fuzz_dns_message tests/fuzz/fuzz_legacy \
	tests/fuzz/fuzz_nft_foreign tests/fuzz/fuzz_nft_read tests/fuzz/fuzz_record tests/fuzz/fuzz_records \
	tests/fuzz/fuzz_reply tests/fuzz/fuzz_question tests/fuzz/fuzz_resolver_records \
	tests/fuzz/fuzz_routes tests/fuzz/fuzz_seen_packet tests/fuzz/fuzz_state tests/fuzz/fuzz_varlink
FUZZ_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_archive_SOURCES = tests/fuzz/slow.c $(FUZZ_ARCHIVE_SOURCES)
tests_fuzz_fuzz_archive_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/slow.c $(FUZZ_CONFIG_SOURCES)
tests_fuzz_fuzz_config_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_config_LDADD = $(INIH_LIBS)
tests_fuzz_fuzz_dns_message_SOURCES = tests/fuzz/slow.c $(FUZZ_DNS_SOURCES)
tests_fuzz_fuzz_dns_message_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_health_note_SOURCES = tests/fuzz/slow.c $(FUZZ_HEALTH_NOTE_SOURCES)
tests_fuzz_fuzz_health_note_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_history_SOURCES = tests/fuzz/slow.c $(FUZZ_HISTORY_SOURCES)
tests_fuzz_fuzz_history_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_legacy_SOURCES = tests/fuzz/slow.c $(FUZZ_LEGACY_SOURCES)
tests_fuzz_fuzz_legacy_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_legacy_LDADD = libcore.a
tests_fuzz_fuzz_nft_foreign_SOURCES = tests/fuzz/slow.c $(FUZZ_OTHERS_SOURCES)
tests_fuzz_fuzz_nft_foreign_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_nft_foreign_LDADD = $(FUZZ_NFT_LIBS)
tests_fuzz_fuzz_nft_read_SOURCES = tests/fuzz/slow.c $(FUZZ_NFT_SOURCES)
tests_fuzz_fuzz_nft_read_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_nft_read_LDADD = $(FUZZ_NFT_LIBS)
tests_fuzz_fuzz_question_SOURCES = tests/fuzz/slow.c $(FUZZ_QUESTION_SOURCES)
tests_fuzz_fuzz_question_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_question_LDADD = $(FUZZ_QUESTION_LIBS)
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/slow.c $(FUZZ_RECORD_SOURCES)
tests_fuzz_fuzz_record_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_record_LDADD = libcore.a
tests_fuzz_fuzz_records_SOURCES = tests/fuzz/slow.c $(FUZZ_RECORDS_SOURCES)
tests_fuzz_fuzz_records_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_records_LDADD = libcore.a
tests_fuzz_fuzz_reply_SOURCES = tests/fuzz/slow.c $(FUZZ_REPLY_SOURCES)
tests_fuzz_fuzz_reply_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_reply_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/cli
tests_fuzz_fuzz_reply_LDADD = libctl.a libbase.a libcore.a $(INIH_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_resolver_records_SOURCES = tests/fuzz/slow.c $(FUZZ_RESOLVER_SOURCES)
tests_fuzz_fuzz_resolver_records_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_resolver_records_LDADD = libcore.a
tests_fuzz_fuzz_routes_SOURCES = tests/fuzz/slow.c $(FUZZ_ROUTES_SOURCES)
tests_fuzz_fuzz_routes_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_routes_LDADD = $(FUZZ_ROUTES_LIBS)
tests_fuzz_fuzz_seen_packet_SOURCES = tests/fuzz/slow.c $(FUZZ_SEEN_SOURCES)
tests_fuzz_fuzz_seen_packet_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_state_SOURCES = tests/fuzz/slow.c $(FUZZ_STATE_SOURCES)
tests_fuzz_fuzz_state_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_varlink_SOURCES = tests/fuzz/slow.c $(FUZZ_VARLINK_SOURCES)
tests_fuzz_fuzz_varlink_LDFLAGS = $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_varlink_LDADD = $(JANSSON_LIBS)
endif
