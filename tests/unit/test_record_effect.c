/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "make.h"

#include "core/record_effect.h"

#include <stdio.h>
#include <stdlib.h>

#define OLD                                                                        \
	"[server]\naddress = 192.0.2.25, 2001:db8:2::25\nresolvers = 192.0.2.53\n" \
	"[role ADM]\nmembers = 203.0.113.0/24, 2001:db8:3::/64\n"

enum { NOW_S = 1000000000, DAY_S = 24 * 60 * 60, SINCE_S = NOW_S - 30 * DAY_S };

static void use(struct record *record, const char *flow, const char *peer, int port, int64_t when_s)
{
	struct record_peer of = { .protocol = port ? PROTOCOL_TCP : PROTOCOL_ICMP_ECHO, .port = (uint16_t)port };

	of.addr = make_addr(peer);
	assert_int_equal(record_connection(record, flow, &of, true, when_s), 0);
}

/* What turns from allowed to denied by this file, as "flow peer/port" in one text. */
static void check(const struct record *record, const char *old_text, const char *new_text, const char *expected,
		  size_t unjudged)
{
	struct policy old, new;
	struct record_effect effect;
	char found[2000] = "", one[ADDR_TEXT_MAX];

	make_good_policy(&old, old_text);
	make_good_policy(&new, new_text);
	record_effect(record, &(struct cut_view){ &old, NULL }, &(struct cut_view){ &new, NULL }, SINCE_S, &effect);
	for (size_t i = 0; i < effect.shown; i++) {
		size_t length = strlen(found);
		snprintf(found + length, sizeof(found) - length, "%s %s/%u\n", record_flow_of(record, effect.items[i]),
			 addr_format(&effect.items[i]->peer, one), effect.items[i]->port);
	}
	assert_string_equal(found, expected);
	assert_int_equal(effect.count, effect.shown);
	assert_int_equal(effect.unjudged, unjudged);
	policy_free(&old);
	policy_free(&new);
}

static void test_peers(void **state)
{
	struct record record;
	struct record_peer denied = { .protocol = PROTOCOL_TCP, .port = 143 };

	(void)state;
	record_init(&record, 7);
	use(&record, "console-in", "203.0.113.7", 8470, SINCE_S - 1); /* too long ago */
	use(&record, "console-in", "203.0.113.8", 8470, SINCE_S);
	use(&record, "console-in", "2001:db8:3::8", 8470, SINCE_S + 1);
	use(&record, "imap-in", "198.51.100.7", 143, SINCE_S + 2);
	use(&record, "ews-out", "198.51.100.9", 443, SINCE_S + 3);
	use(&record, "former-in", "198.51.100.7", 143, SINCE_S + 4); /* what no flow is called by now */
	denied.addr = make_addr("198.51.100.66");
	assert_int_equal(record_denied(&record, "imap-in", &denied, 1, SINCE_S + 5), 0);

	check(&record, OLD, OLD, "", 0);
	check(&record, OLD, OLD "[flow imap-in]\nenabled = no\n", "imap-in 198.51.100.7/143\n", 0);
	check(&record, OLD "[flow imap-in]\nenabled = no\n", OLD "[flow imap-in]\nenabled = no\n", "", 0);
	check(&record, OLD "[flow imap-in]\nenabled = no\n", OLD, "", 0);
	check(&record, OLD, OLD "[flow imap-in]\nfrom = 198.51.100.0/24\n", "", 0);
	check(&record, OLD,
	      "[server]\naddress = 192.0.2.25, 2001:db8:2::25\nresolvers = 192.0.2.53\n"
	      "[role ADM]\nmembers = 203.0.113.0/24\n",
	      "console-in 2001:db8:3::8/8470\n", 0);
	check(&record, OLD, OLD "[flow console-in]\nport = 8471\n",
	      "console-in 2001:db8:3::8/8470\nconsole-in 203.0.113.8/8470\n", 0);
	/* as the one who opens: by the flow that has ANY as its target */
	check(&record, OLD, OLD "[flow ews-out]\nto = 198.51.100.10\n", "", 0); /* by icewarp-out still */
	check(&record, OLD, OLD "[flow ews-out]\nto = 198.51.100.10\n[flow icewarp-out]\nenabled = no\n",
	      "ews-out 198.51.100.9/443\n", 0);
	/* what another flow lets in as well */
	check(&record, OLD,
	      OLD "[flow imap-in]\nenabled = no\n[flow x]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 143\n", "",
	      0);
	record_free(&record);
	check(&record, OLD, OLD "[flow imap-in]\nenabled = no\n", "", 0);
}

/* More than are shown; networks by their first address; and those of whom nothing is known. */
static void test_many(void **state)
{
	struct policy old, new;
	struct record record;
	struct record_effect effect;
	char peer[ADDR_TEXT_MAX];

	(void)state;
	record_init(&record, 7);
	for (int i = 0; i < RECORD_ADDRESSES + RECORD_NETWORKS + 10; i++) {
		snprintf(peer, sizeof(peer), "%d.%d.%d.9", 20 + i / 65536, i / 256 % 256, i % 256);
		use(&record, "imap-in", peer, 143, NOW_S);
	}
	make_good_policy(&old, OLD);
	make_good_policy(&new, OLD "[flow imap-in]\nenabled = no\n");
	record_effect(&record, &(struct cut_view){ &old, NULL }, &(struct cut_view){ &new, NULL }, SINCE_S, &effect);
	assert_int_equal(effect.shown, RECORD_EFFECT_SHOWN);
	assert_int_equal(effect.count, RECORD_ADDRESSES + RECORD_NETWORKS);
	assert_int_equal(effect.unjudged, 1);
	policy_free(&old);
	policy_free(&new);
	record_free(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
