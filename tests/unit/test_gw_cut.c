/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is cut, and stays so, on connections, a kernel and a clock that the test has in its hands. */
#include "fake_conntrack.h"
#include "fake_log.h"
#include "fake_nft.h"
#include "fake_time.h"
#include "gateway/cut.h"

#include "make.h"

#include <errno.h>

#define BASE "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define WEB BASE "[flow web]\nfrom = 198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 3389\n"
#define NAMED BASE "[flow ftp]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 990\n"
#define AUDIT BASE "[gateway]\nmode = audit\n"

enum { NOW = 1000, WALL = 1700000000, MINUTE = 60 * 1000 };
#define DAY ((int64_t)24 * 60 * MINUTE)

/* One policy with what a cut goes by. */
struct in_force {
	struct policy policy;
	struct names_view held;
	struct cut_rules rules;
};

static struct nft_socket nft;
static struct cut_result result; /* of the last run() */

static void put_in_force(struct in_force *in_force, const char *config, const char *names)
{
	make_good_policy(&in_force->policy, config);
	in_force->held = make_names(&in_force->policy, names);
	in_force->rules = (struct cut_rules){ &in_force->policy, NULL, &in_force->held, NULL };
}

static void end_in_force(struct in_force *in_force)
{
	names_view_free(&in_force->held);
	policy_free(&in_force->policy);
}

static int reset(void **state)
{
	struct in_force *in_force = calloc(1, sizeof(*in_force));

	assert_non_null(in_force);
	fake_nft_reset();
	fake_conntrack_reset();
	fake_time_reset(NOW, WALL);
	fake_log_reset();
	allocations_left = -1;
	nft = (struct nft_socket){ 0 };
	fake_nft.exists = true;
	put_in_force(in_force, WEB, "");
	*state = in_force;
	return 0;
}

static int nothing_left(void **state)
{
	end_in_force(*state);
	free(*state);
	fake_nft_reset();
	return 0;
}

static struct cut *a_cut(void)
{
	struct cut *cut = NULL;

	assert_int_equal(cut_new(&cut, &nft), 0);
	cut_read(cut);
	assert_true(cut_is_known(cut));
	return cut;
}

static void track_as(const char *source, uint16_t source_port, const char *target, uint16_t target_port,
		     enum protocol protocol, bool picked_up)
{
	fake_conntrack_add(&(struct tracked){
		.packet = { make_addr(source), make_addr(target), protocol, source_port, target_port, false },
		.picked_up = picked_up });
}

static void track(const char *source, uint16_t source_port, const char *target, uint16_t target_port)
{
	track_as(source, source_port, target, target_port, PROTOCOL_TCP, false);
}

/* Connections to the server that no flow has, each from another port. */
static void track_denied(uint16_t first_port, size_t count)
{
	for (size_t i = 0; i < count; i++)
		track("198.51.100.9", (uint16_t)(first_port + i), "192.0.2.25", 3389);
}

static void count_foreseen(void *userdata, const struct tracked *tracked, const struct cut_cause *cause)
{
	(void)tracked;
	(void)cause;
	++*(size_t *)userdata;
}

/* What is foreseen is what is cut. */
static size_t run(struct cut *cut, const struct in_force *in_force)
{
	size_t foreseen = 0;

	assert_int_equal(cut_foresee(cut, &in_force->rules, count_foreseen, &foreseen), 0);
	assert_int_equal(cut_run(cut, &in_force->rules, "the policy changed", &result), 0);
	assert_int_equal(foreseen, result.count);
	return result.count;
}

static struct cut_entry entry_of(uint16_t peer_port)
{
	return (struct cut_entry){ make_addr("192.0.2.25"),
				   make_addr("198.51.100.9"),
				   3389,
				   peer_port,
				   CUT_BY_PEER,
				   now_ms() + CUT_MEMORY_MS,
				   false };
}

static const struct cut_entry *in_kernel(uint16_t peer_port)
{
	struct cut_entry entry = entry_of(peer_port);
	return cut_list_find(&fake_nft.cut, &entry);
}

static void add_to_kernel(struct cut_entry entry)
{
	assert_int_equal(cut_list_add(&fake_nft.cut, &entry), 0);
	cut_list_finish(&fake_nft.cut);
}

static bool is_other_port(void *userdata, const struct cut_entry *entry)
{
	return entry->peer_port != *(const uint16_t *)userdata;
}

static void delete_from_kernel(uint16_t peer_port)
{
	assert_int_equal(cut_list_filter(&fake_nft.cut, is_other_port, &peer_port), 1);
}

static void assert_reasons(const struct cut *cut, bool table_known, size_t count, int first, const char *text)
{
	struct health health = { 0 };

	cut_reasons(cut, table_known, &health);
	assert_int_equal(health.reasons.count, count);
	if (count) {
		assert_int_equal(health.reasons.items[0].code, first);
		assert_non_null(strstr(health.reasons.items[0].text, text));
	}
	health_free(&health);
}

static void test_cut(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();

	track("198.51.100.1", 40000, "192.0.2.25", 3389); /* allowed */
	track("198.51.100.9", 40001, "192.0.2.25", 3389);
	track("192.0.2.25", 40002, "198.51.100.9", 25);
	track("198.51.100.9", 40003, "198.51.100.8", 25); /* not ours */
	track_as("198.51.100.9", 40004, "192.0.2.25", 53, PROTOCOL_UDP, false);
	cut_require(cut, "the table was adopted");
	assert_string_equal(cut_pending_reason(cut), "the table was adopted");
	assert_null(cut_repeat_reason(cut));
	assert_int_equal(run(cut, in_force), 3);
	assert_int_equal(fake_conntrack_count(), 2);
	assert_null(cut_pending_reason(cut));
	assert_string_equal(cut_repeat_reason(cut), "the policy changed");
	assert_true(fake_log_has("the policy changed: 3 connections that the policy denies were cut"));
	cut_set_repeated(cut);
	assert_null(cut_repeat_reason(cut));
	/* the TCP ones are remembered, who opened them too */
	assert_int_equal(cut_figures(cut).remembered, 2);
	assert_int_equal(fake_nft.cut.count, 2);
	assert_int_equal(in_kernel(40001)->opener, CUT_BY_PEER);
	assert_int_equal(in_kernel(40001)->deadline_ms, NOW + CUT_MEMORY_MS);
	assert_int_equal(fake_nft.cut.items[0].own_port + fake_nft.cut.items[1].own_port, 3389 + 40002);
	assert_false(cut_figures(cut).full);
	assert_reasons(cut, true, 0, 0, "");
	/* none is there any more */
	fake_log_reset();
	assert_int_equal(run(cut, in_force), 0);
	assert_int_equal(fake_log_lines, 0);
	/* they are forgotten when connection tracking would have forgotten them */
	fake_time_pass(5 * DAY - 1);
	cut_minute(cut, NULL);
	assert_int_equal(cut_figures(cut).remembered, 2);
	fake_time_pass(1);
	cut_minute(cut, NULL);
	assert_int_equal(cut_figures(cut).remembered, 0);
	cut_free(cut);
}

/* The words of the first that was cut by the rules in *now, and allowed by those in *before. */
static const char *why_cut(struct in_force *before, const char *now)
{
	static char text[200];
	struct in_force in_force;
	struct cut *cut = a_cut();

	put_in_force(&in_force, now, "");
	in_force.rules.before = before ? &before->policy : NULL;
	in_force.rules.held_before = before ? &before->held : NULL;
	assert_int_equal(run(cut, &in_force), 1);
	assert_int_equal(result.shown, 1);
	cut_cause_text(&result.items[0].cause, text, sizeof(text));
	end_in_force(&in_force);
	cut_free(cut);
	return text;
}

/* Whose it was, and what of that is no longer so. */
static void test_why(void **state)
{
	struct in_force *web = *state, ftp;

	fake_log_reset();
	track("198.51.100.1", 40000, "192.0.2.25", 3389);
	assert_string_equal(why_cut(web, BASE), "the flow is not in the file any more");
	assert_true(fake_log_has("cut 198.51.100.1 -> SERVER tcp/3389 (web): the flow is not in the file any more"));
	track("198.51.100.1", 40000, "192.0.2.25", 3389);
	assert_string_equal(why_cut(web, WEB "enabled = no\n"), "the flow is off");
	track("198.51.100.1", 40000, "192.0.2.25", 3389);
	assert_string_equal(why_cut(web, BASE "[flow web]\nfrom = 198.51.100.2 198.51.100.3\nto = SERVER\n"
					      "protocol = tcp\nport = 3389\n"),
			    "source not in 198.51.100.2 198.51.100.3 any more");
	track("198.51.100.1", 40000, "192.0.2.25", 3389);
	assert_string_equal(why_cut(web, BASE "[flow web]\nfrom = 198.51.100.1\nto = SERVER\nprotocol = tcp\n"
					      "port = 3390\n"),
			    "not a port of the flow any more");
	put_in_force(&ftp, NAMED, "a.example.net 198.51.100.50");
	track("192.0.2.25", 40000, "198.51.100.50", 990);
	assert_string_equal(why_cut(&ftp, NAMED), "target not in a.example.net any more");
	assert_true(fake_log_has("cut SERVER -> 198.51.100.50 tcp/990 (ftp): target not in a.example.net any more"));
	end_in_force(&ftp);
	/* It had none: then the nearest. */
	track("198.51.100.9", 40000, "192.0.2.25", 3389);
	assert_string_equal(why_cut(NULL, WEB), "source not in 198.51.100.1");
	track("198.51.100.1", 40000, "192.0.2.25", 3389);
	assert_string_equal(why_cut(NULL, WEB "enabled = no\n"), "the flow is off");
	assert_string_equal(result.items[0].cause.flow, "web");
	track("198.51.100.9", 40000, "192.0.2.25", 22);
	assert_string_equal(why_cut(web, WEB), "no flow opens this port");
	assert_string_equal(result.items[0].cause.flow, "");
	assert_false(result.items[0].cause.had);
}

/* However many are cut. */
static void test_the_first_are_shown(void **state)
{
	struct cut *cut = a_cut();

	char source[20];

	track_denied(1, 30);
	track_denied(1, 10); /* a dump may show them twice */
	fake_log_reset();
	assert_int_equal(run(cut, *state), 40);
	assert_int_equal(result.shown, 1);
	assert_int_equal(result.items[0].packet.source_port, 1);
	assert_int_equal(result.items[0].count, 30);
	assert_true(fake_log_has("cut 198.51.100.9 -> SERVER tcp/3389 (web), 30 times: source not in 198.51.100.1"));
	assert_true(fake_log_has("cut: and 10 more"));
	/* Those that come behind the last of the first are counted alone, unless they are as one of these. */
	for (unsigned i = 0; i < 30; i++) {
		snprintf(source, sizeof(source), "198.51.100.%u", 100 + i);
		track(source, 40000, "192.0.2.25", 3389);
	}
	track("198.51.100.100", 40001, "192.0.2.25", 3389);
	fake_log_reset();
	assert_int_equal(run(cut, *state), 31);
	assert_int_equal(result.shown, CUT_SHOWN_MAX);
	assert_int_equal(fake_log_count("(web): source not in"), 19);
	assert_true(fake_log_has("cut 198.51.100.100 -> SERVER tcp/3389 (web), 2 times: source"));
	assert_true(fake_log_has("cut: and 10 more"));
	cut_free(cut);
}

static void test_audit(void **state)
{
	struct cut *cut = a_cut();
	struct in_force audit;
	put_in_force(&audit, AUDIT, "");
	track_denied(40000, 1);
	fake_conntrack_error = -EPERM;
	assert_int_equal(cut_run(cut, &((struct in_force *)*state)->rules, "x", &result), -EPERM);
	fake_conntrack_error = 0;
	assert_string_equal(cut_pending_reason(cut), "x");
	assert_int_equal(run(cut, &audit), 0);
	assert_int_equal(fake_conntrack_count(), 1);
	assert_null(cut_pending_reason(cut));
	assert_reasons(cut, true, 0, 0, "");
	assert_int_equal(run(cut, *state), 1);
	cut_set_names_changed(cut);
	assert_true(cut_wants_names(cut, &((struct in_force *)*state)->policy));
	assert_false(cut_wants_names(cut, &audit.policy));
	end_in_force(&audit);
	cut_free(cut);
}

static void test_cut_fails(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();

	track_denied(40000, 2);
	fake_conntrack_error = -EINTR;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cut_run(cut, &in_force->rules, "the table was adopted", &result), -EINTR);
		assert_int_equal(result.count, 0);
		assert_string_equal(cut_pending_reason(cut), "the table was adopted");
		assert_int_equal(fake_log_lines, 1); /* once */
		assert_reasons(cut, true, 1, HEALTH_CUT_INCOMPLETE, "could not all be cut yet");
	}
	fake_conntrack_error = 0;
	assert_int_equal(run(cut, in_force), 2);
	assert_null(cut_pending_reason(cut));
	assert_reasons(cut, true, 0, 0, "");
	/* and where the table is removed there is nothing to cut, now or once more */
	fake_conntrack_error = -EINTR;
	assert_int_equal(cut_run(cut, &in_force->rules, "x", &result), -EINTR);
	cut_cancel(cut);
	assert_null(cut_pending_reason(cut));
	assert_null(cut_repeat_reason(cut));
	assert_reasons(cut, true, 0, 0, "");
	cut_free(cut);
}

/* Who opened it does not show: what the policy took it for that let it in decides. */
static void test_mid_stream(void **state)
{
	struct in_force *web = *state, closed;
	struct cut *cut = a_cut();

	put_in_force(&closed, BASE, "");
	track_as("192.0.2.25", 3389, "198.51.100.1", 40000, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, web), 0); /* the flow's */
	closed.rules.before = &web->policy;
	assert_int_equal(run(cut, &closed), 1);
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(fake_nft.cut.items[0].opener, CUT_BY_PEER);
	/* without a policy before it is only known to be one */
	track_as("198.51.100.9", 40001, "192.0.2.25", 99, PROTOCOL_TCP, true);
	closed.rules.before = NULL;
	assert_int_equal(run(cut, &closed), 1);
	assert_int_equal(fake_nft.cut.items[1].own_port + fake_nft.cut.items[0].own_port, 3389 + 99);
	/* a flow that opens the port, but not for this peer: it must be a connection of that flow's */
	struct cut_entry wanted = entry_of(40002);
	track_as("192.0.2.25", 3389, "198.51.100.9", 40002, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, web), 1);
	assert_int_equal(cut_list_find(&fake_nft.cut, &wanted)->opener, CUT_BY_PEER);
	end_in_force(&closed);
	cut_free(cut);
}

/* It was cut, and came through again from its middle while the table was not there: nobody judges that again. */
static void test_was_cut(void **state)
{
	struct in_force *web = *state, out;
	struct cut *cut = a_cut();

	track("198.51.100.9", 40000, "192.0.2.25", 50000);
	assert_int_equal(run(cut, web), 1);
	fake_time_pass(DAY);
	/* this policy would let it pass as a packet of its own flow's connection */
	put_in_force(&out, BASE "[flow out]\nfrom = SERVER\nto = ANY\nprotocol = tcp\nport = 40000\n", "");
	track_as("192.0.2.25", 50000, "198.51.100.9", 40000, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, &out), 1);
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(fake_nft.cut.items[0].opener, CUT_BY_PEER);
	assert_int_equal(fake_nft.cut.items[0].deadline_ms, NOW + DAY + CUT_MEMORY_MS);
	/* likewise what waits for room */
	fake_nft.cut.count = 0;
	fake_nft.cut_size = 0;
	cut_restore(cut);
	cut_forget_all(cut);
	track("198.51.100.9", 40000, "192.0.2.25", 50000);
	assert_int_equal(run(cut, web), 1);
	track_as("192.0.2.25", 50000, "198.51.100.9", 40000, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, &out), 1);
	/* where it was not cut, that flow has it */
	cut_forget_all(cut);
	track_as("192.0.2.25", 50000, "198.51.100.9", 40000, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, &out), 0);
	end_in_force(&out);
	cut_free(cut);
}

static void test_read(void **state)
{
	struct cut *cut = NULL;

	(void)state;
	for (uint16_t i = 0; i < 5; i++)
		add_to_kernel(entry_of(40000 + i));
	assert_int_equal(cut_new(&cut, &nft), 0);
	assert_reasons(cut, false, 0, 0, "");
	fake_nft_fail(FAKE_NFT_CUT_READ, 0, 2, -EINTR);
	cut_read(cut);
	assert_false(cut_is_known(cut));
	assert_true(fake_log_has("can't read which connections were cut"));
	assert_reasons(cut, true, 1, HEALTH_CUT_UNREAD, "can't be read");
	assert_reasons(cut, false, 0, 0, "");
	cut_minute(cut, NULL);
	assert_false(cut_is_known(cut));
	/* a dump that lacks some is not the last word */
	fake_nft.cut_hidden = 2;
	cut_minute(cut, NULL);
	assert_true(cut_is_known(cut));
	assert_int_equal(cut_figures(cut).remembered, 5);
	assert_false(cut_figures(cut).full);
	size_t calls = fake_nft.calls[FAKE_NFT_CUT_READ];
	cut_read(cut);
	assert_int_equal(fake_nft.calls[FAKE_NFT_CUT_READ], calls);
	cut_free(cut);
	assert_int_equal(fake_nft.cut.count, 5); /* the kernel's stay */
}

/* The mark of a daemon before us stays until it has run out: which ones it stands for, that one knew. */
static void test_mark_found(void **state)
{
	fake_nft.marked_until_ms = NOW + DAY;
	struct cut *cut = a_cut();
	assert_true(cut_figures(cut).full);
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "up to five days");
	cut_minute(cut, NULL);
	assert_true(cut_figures(cut).full);
	fake_time_pass(DAY - 1);
	cut_minute(cut, NULL);
	assert_true(cut_figures(cut).full);
	fake_nft_fail(FAKE_NFT_CUT_READ, 0, 1, -EINTR);
	fake_time_pass(1);
	cut_minute(cut, NULL);
	assert_true(cut_figures(cut).full);
	cut_minute(cut, NULL);
	assert_false(cut_figures(cut).full);
	assert_int_equal(fake_nft.calls[FAKE_NFT_CUT_UNMARK], 0);
	/* one of this daemon's own goes as soon as it can */
	fake_nft.cut_size = 0;
	track_denied(40000, 1);
	assert_int_equal(run(cut, *state), 1);
	assert_true(cut_figures(cut).full);
	fake_nft.cut_size = 1;
	cut_minute(cut, NULL);
	assert_false(cut_figures(cut).full);
	assert_int_equal(fake_nft.marked_until_ms, 0);
	cut_free(cut);
}

/* The kernel has less room than it should: what it does not take waits, and nothing passes meanwhile. */
static void test_refused(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();

	fake_nft.cut_size = 2;
	track_denied(40000, 5);
	assert_int_equal(run(cut, in_force), 5);
	assert_int_equal(fake_nft.cut.count, 2);
	assert_int_equal(cut_figures(cut).remembered, 2);
	assert_true(cut_figures(cut).full);
	assert_int_equal(fake_nft.marked_until_ms, NOW + CUT_MEMORY_MS);
	assert_true(fake_log_has("can't be remembered yet"));
	assert_true(fake_log_has("can't all be remembered"));
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "3 connections that were cut have no room");
	/* the mark is renewed for them, but not each time */
	fake_time_pass(MINUTE - 1);
	cut_minute(cut, NULL);
	assert_int_equal(fake_nft.calls[FAKE_NFT_CUT_MARK], 1);
	fake_time_pass(1);
	fake_log_reset();
	cut_minute(cut, NULL);
	assert_int_equal(fake_nft.calls[FAKE_NFT_CUT_MARK], 2);
	assert_false(fake_log_has("can't all be remembered"));
	/* those that wait are cut all the same where they come back */
	track_as("192.0.2.25", 3389, "198.51.100.9", 40004, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, in_force), 1);
	assert_null(in_kernel(40004));
	fake_nft.cut_size = 4;
	cut_minute(cut, NULL);
	assert_int_equal(fake_nft.cut.count, 4);
	assert_true(cut_figures(cut).full);
	fake_nft.cut_size = 5;
	fake_nft_fail(FAKE_NFT_CUT_UNMARK, 0, 1, -EPERM);
	cut_minute(cut, NULL);
	assert_int_equal(cut_figures(cut).remembered, 5);
	assert_int_equal(in_kernel(40004)->opener, CUT_BY_PEER);
	assert_true(cut_figures(cut).full);
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "not all");
	cut_minute(cut, NULL);
	assert_false(cut_figures(cut).full);
	assert_int_equal(fake_nft.marked_until_ms, 0);
	assert_true(fake_log_has("all connections that were cut are remembered"));
	assert_reasons(cut, true, 0, 0, "");
	cut_free(cut);
}

/* Seen from its middle on, it does not take the place of one that is known to have been opened by somebody. */
static void test_opener_kept(void **state)
{
	struct cut *cut = a_cut();
	struct cut_entry entry = entry_of(40000);

	fake_nft.cut_size = 0;
	entry.own_port = 99;
	track_as("198.51.100.9", 40000, "192.0.2.25", 99, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, *state), 1);
	add_to_kernel(entry); /* the set is another one, and has it */
	cut_restore(cut);
	fake_nft.cut.items[0].opener = CUT_UNKNOWN;
	cut_minute(cut, NULL);
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(fake_nft.cut.items[0].opener, CUT_BY_PEER);
	assert_false(cut_figures(cut).full);
	cut_free(cut);
}

/* A full set is not tried again and again; the other family has room of its own. */
static void test_full(void **state)
{
	struct in_force *in_force = *state;

	for (size_t i = 0; i < CUT_SET_SIZE; i++) {
		struct cut_entry entry = entry_of((uint16_t)i);
		entry.deadline_ms = NOW + DAY;
		assert_int_equal(cut_list_add(&fake_nft.cut, &entry), 0);
	}
	cut_list_finish(&fake_nft.cut);
	struct cut *cut = a_cut();
	assert_int_equal(cut_figures(cut).remembered, CUT_SET_SIZE);
	track("198.51.100.7", 1, "192.0.2.25", 3389);
	track("2001:db8:9::7", 1, "2001:db8:2::25", 3389);
	assert_int_equal(run(cut, in_force), 2);
	assert_int_equal(cut_list_count(&fake_nft.cut, FAMILY_6), 1);
	assert_int_equal(cut_list_count(&fake_nft.cut, FAMILY_4), CUT_SET_SIZE);
	assert_false(fake_log_has("can't be remembered yet"));
	assert_true(cut_figures(cut).full);
	assert_int_equal(fake_nft.marked_until_ms, NOW + CUT_MEMORY_MS);
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "1 connection that was cut");
	/* one that is there needs no room */
	track_as("192.0.2.25", 3389, "198.51.100.9", 7, PROTOCOL_TCP, true);
	assert_int_equal(run(cut, in_force), 1);
	assert_int_equal(in_kernel(7)->deadline_ms, NOW + CUT_MEMORY_MS);
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "1 connection that was cut");
	fake_time_pass(DAY);
	cut_minute(cut, NULL);
	assert_int_equal(fake_nft.cut.count, 3);
	assert_int_equal(cut_figures(cut).remembered, 3);
	assert_false(cut_figures(cut).full);
	assert_int_equal(fake_nft.marked_until_ms, 0);
	cut_free(cut);
}

static void test_mark_refused(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();

	fake_nft.cut_size = 0;
	fake_nft_fail(FAKE_NFT_CUT_MARK, 0, 1, -EPERM);
	track_denied(40000, 1);
	assert_int_equal(run(cut, in_force), 1);
	assert_false(cut_figures(cut).full);
	assert_true(fake_log_has("nor mid-stream packets of lost connections stopped"));
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "1 connection that was cut");
	cut_minute(cut, NULL);
	assert_true(cut_figures(cut).full);
	assert_true(fake_nft.marked_until_ms);
	cut_free(cut);
}

/* What other programs did to the sets, or a new table's are empty. */
static void test_restored(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();

	track_denied(40000, 3);
	assert_int_equal(run(cut, in_force), 3);
	delete_from_kernel(40001);
	add_to_kernel(entry_of(50000));
	for (size_t i = 0; i < fake_nft.cut.count; i++)
		if (fake_nft.cut.items[i].peer_port == 40002)
			fake_nft.cut.items[i].deadline_ms -= MINUTE + 1;
		else if (fake_nft.cut.items[i].peer_port == 40000)
			fake_nft.cut.items[i].deadline_ms -= MINUTE;
	fake_nft.marked_until_ms = NOW + DAY;
	cut_restore(cut);
	assert_int_equal(cut_figures(cut).remembered, 4);
	assert_int_equal(fake_nft.cut.count, 4);
	assert_int_equal(in_kernel(40002)->deadline_ms, NOW + CUT_MEMORY_MS);
	assert_int_equal(in_kernel(40000)->deadline_ms, NOW + CUT_MEMORY_MS - MINUTE); /* not worth it */
	assert_int_equal(fake_nft.marked_until_ms, 0);
	/* all of it, the mark too */
	fake_nft.cut_size = 4;
	track_denied(60000, 1);
	assert_int_equal(run(cut, in_force), 1);
	assert_true(fake_nft.marked_until_ms);
	fake_nft_flush();
	fake_nft.exists = true;
	cut_restore(cut);
	assert_int_equal(fake_nft.cut.count, 4);
	assert_true(fake_nft.marked_until_ms);
	assert_reasons(cut, true, 1, HEALTH_CUT_FULL, "1 connection that was cut");
	/* what can't be read is left as it is, and no harm */
	fake_log_reset();
	fake_nft_fail(FAKE_NFT_CUT_READ, 0, 1, -EINTR);
	cut_restore(cut);
	assert_true(fake_log_has("can't bring the connections that were cut up to date"));
	assert_int_equal(cut_figures(cut).remembered, 4);
	assert_int_equal(fake_nft.cut.count, 4);
	cut_free(cut);
}

/* A policy that allows it again, or a name that has this address now. */
static void test_forgotten(void **state)
{
	struct in_force *web = *state, named, found;
	struct cut *cut = a_cut();

	put_in_force(&named, NAMED, "");
	put_in_force(&found, NAMED, "a.example.net 198.51.100.5");
	track("192.0.2.25", 40000, "198.51.100.5", 990);
	track("192.0.2.25", 40001, "198.51.100.6", 990);
	assert_int_equal(run(cut, &named), 2);
	assert_false(cut_wants_names(cut, &named.policy));
	cut_minute(cut, &found.rules); /* nobody has announced that names changed */
	assert_int_equal(fake_nft.cut.count, 2);
	cut_set_names_changed(cut);
	assert_true(cut_wants_names(cut, &named.policy));
	cut_minute(cut, NULL);
	assert_int_equal(fake_nft.cut.count, 2);
	fake_nft_fail(FAKE_NFT_CUT_DELETE, 0, 1, -EPERM);
	cut_minute(cut, &found.rules);
	assert_true(cut_wants_names(cut, &named.policy));
	assert_int_equal(fake_nft.cut.count, 2);
	assert_int_equal(cut_figures(cut).remembered, 2);
	cut_minute(cut, &found.rules);
	assert_false(cut_wants_names(cut, &named.policy));
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(cut_figures(cut).remembered, 1);
	/* a reload forgets as well, and gives room to what waits */
	fake_nft.cut_size = 1;
	track_denied(50000, 1);
	assert_int_equal(run(cut, &named), 1);
	assert_true(cut_figures(cut).full);
	struct in_force wide;
	put_in_force(&wide, BASE "[flow ftp]\nfrom = SERVER\nto = ANY\nprotocol = tcp\nport = 990\n", "");
	assert_int_equal(run(cut, &wide), 0);
	assert_int_equal(fake_nft.cut.count, 1);
	assert_non_null(in_kernel(50000));
	assert_false(cut_figures(cut).full);
	/* what waits is forgotten too */
	track("198.51.100.1", 1, "192.0.2.25", 3389);
	assert_int_equal(run(cut, &named), 1);
	assert_true(cut_figures(cut).full);
	assert_int_equal(run(cut, web), 0);
	assert_false(cut_figures(cut).full);
	assert_int_equal(fake_nft.cut.count, 1);
	end_in_force(&named);
	end_in_force(&found);
	end_in_force(&wide);
	cut_free(cut);
}

/* One that the policy allows, on request: it is remembered for its whole time, whatever the policy and the names are.
 */
static void test_on_request(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();
	struct tracked found, asked = { .packet = { make_addr("198.51.100.9"), make_addr("192.0.2.25"), PROTOCOL_TCP,
						    40001, 443, false },
					.id = 7 };
	struct cut_entry end = entry_of(40001);

	end.own_port = 443;
	track("198.51.100.9", 40000, "192.0.2.25", 443);
	fake_conntrack_add(&asked);
	asked.packet.protocol = PROTOCOL_UDP;
	asked.id = 8;
	fake_conntrack_add(&asked);
	assert_int_equal(cut_one(cut, &in_force->rules, 9, &found), -ENOENT);
	assert_int_equal(cut_one(cut, &in_force->rules, 8, &found), -EPROTONOSUPPORT);
	fake_conntrack_error = -EPERM;
	assert_int_equal(cut_one(cut, &in_force->rules, 7, &found), -EPERM);
	fake_conntrack_error = 0;
	assert_int_equal(fake_conntrack_count(), 3);
	assert_int_equal(cut_figures(cut).remembered, 0);
	assert_false(cut_figures(cut).full);
	assert_int_equal(cut_one(cut, &in_force->rules, 7, &found), 0);
	assert_int_equal(found.packet.source_port, 40001);
	assert_int_equal(fake_conntrack_count(), 2);
	assert_true(cut_list_find(&fake_nft.cut, &end)->on_request);
	assert_int_equal(cut_one(cut, &in_force->rules, 7, &found), -ENOENT);
	/* A reload, names, and the next daemon keep it; one that the policy had denied goes. */
	track_denied(50000, 1);
	assert_int_equal(run(cut, in_force), 2); /* and the UDP one */
	struct in_force wide;
	put_in_force(&wide, BASE "[flow all]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 1-65535\n", "");
	assert_int_equal(run(cut, &wide), 0);
	assert_int_equal(fake_nft.cut.count, 1);
	cut_free(cut);
	cut = a_cut();
	cut_set_names_changed(cut);
	cut_minute(cut, &wide.rules);
	assert_int_equal(fake_nft.cut.count, 1);
	/* Its mid-stream packets, let through while the table was not there: it is cut again, and stays on request. */
	asked.packet =
		(struct packet){ make_addr("192.0.2.25"), make_addr("198.51.100.9"), PROTOCOL_TCP, 443, 40001, false };
	asked.picked_up = true;
	fake_conntrack_add(&asked);
	assert_int_equal(run(cut, &wide), 1);
	assert_true(cut_list_find(&fake_nft.cut, &end)->on_request);
	end_in_force(&wide);
	cut_free(cut);
}

/* The kernel refuses a whole batch where one of it is gone. */
static void test_gone_already(void **state)
{
	struct in_force *web = *state, closed;
	struct cut *cut = a_cut();

	put_in_force(&closed, BASE, "");
	track("198.51.100.1", 40000, "192.0.2.25", 3389);
	track("198.51.100.1", 40001, "192.0.2.25", 3389);
	track_denied(40002, 1);
	assert_int_equal(run(cut, &closed), 3);
	delete_from_kernel(40001);
	assert_int_equal(run(cut, web), 0);
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(cut_figures(cut).remembered, 1);
	assert_non_null(in_kernel(40002));
	end_in_force(&closed);
	cut_free(cut);
}

static void test_table_gone(void **state)
{
	struct in_force *in_force = *state;
	struct cut *cut = a_cut();

	fake_nft.cut_size = 1;
	track_denied(40000, 2);
	assert_int_equal(run(cut, in_force), 2);
	cut_set_names_changed(cut);
	fake_nft_flush();
	cut_forget_all(cut);
	assert_int_equal(cut_figures(cut).remembered, 0);
	assert_false(cut_figures(cut).full);
	assert_reasons(cut, true, 0, 0, "");
	fake_nft.exists = true;
	cut_restore(cut);
	assert_int_equal(fake_nft.cut.count, 0);
	cut_set_names_changed(cut);
	assert_false(cut_wants_names(cut, &in_force->policy)); /* there is nothing to look at */
	cut_forget_all(cut);
	add_to_kernel(entry_of(50000));
	cut_restore(cut);
	assert_int_equal(cut_figures(cut).remembered, 1);
	assert_false(cut_wants_names(cut, &in_force->policy));
	cut_forget_all(cut);
	fake_nft.cut.count = 0;
	assert_int_equal(fake_nft.marked_until_ms, 0);
	/* the next that finds no room is marked at once */
	fake_nft.cut_size = 0;
	track_denied(40000, 1);
	assert_int_equal(run(cut, in_force), 1);
	assert_true(fake_nft.marked_until_ms);
	cut_free(cut);
}

/* Where memory lacks, what was cut is in the kernel's sets, or waits, or the mark is there; in the end all goes well
 * again. */
static void test_without_memory(void **state)
{
	struct in_force *in_force = *state;
	unsigned long refused;
	bool unread = false;
	long left = 0;

	do {
		fake_nft_reset();
		fake_nft.exists = true;
		fake_nft.cut_size = 10;
		fake_conntrack_reset();
		struct cut *cut = a_cut();
		track_denied(40000, 7);
		assert_int_equal(run(cut, in_force), 7);
		fake_time_pass(DAY);
		track_denied(40006, 6); /* the first one of them again */
		refused = allocations_refused;
		allocations_left = left++;
		int r = cut_run(cut, &in_force->rules, "x", &result);
		allocations_left = -1;
		assert_int_equal(r, 0);
		assert_int_equal(result.count, 6);
		assert_int_equal(fake_conntrack_count(), 0);
		for (uint16_t port = 40000; port < 40012; port++)
			assert_true(in_kernel(port) || fake_nft.marked_until_ms);
		/* what this daemon could not note it reads back; what nobody has, the mark stands for */
		unread |= !cut_is_known(cut);
		cut_minute(cut, NULL);
		for (uint16_t port = 40000; port < 40012; port++)
			assert_true(in_kernel(port) || fake_nft.marked_until_ms);
		assert_true(cut_is_known(cut));
		assert_int_equal(cut_figures(cut).remembered, fake_nft.cut.count);
		fake_time_pass(5 * DAY + MINUTE);
		cut_minute(cut, NULL);
		cut_minute(cut, NULL);
		assert_false(cut_figures(cut).full);
		assert_int_equal(fake_nft.marked_until_ms, 0);
		cut_free(cut);
	} while (allocations_refused != refused);
	assert_true(left > 4);
	assert_true(unread);
	allocations_left = 0;
	struct cut *cut = NULL;
	assert_int_equal(cut_new(&cut, &nft), -ENOMEM);
	allocations_left = -1;
	cut_free(NULL);
}

/* Without memory nothing is forgotten that is denied, and what is allowed is forgotten later. */
static void test_forgetting_without_memory(void **state)
{
	struct in_force *web = *state, closed;
	unsigned long refused;
	long left = 0;

	put_in_force(&closed, BASE, "");
	do {
		fake_nft_reset();
		fake_nft.exists = true;
		struct cut *cut = a_cut();
		track("198.51.100.1", 1, "192.0.2.25", 3389);
		track_denied(40000, 1);
		assert_int_equal(run(cut, &closed), 2);
		delete_from_kernel(40000);
		cut_set_names_changed(cut);
		refused = allocations_refused;
		allocations_left = left++;
		cut_minute(cut, &web->rules);
		cut_restore(cut);
		allocations_left = -1;
		cut_restore(cut);
		cut_set_names_changed(cut);
		cut_minute(cut, &web->rules);
		assert_int_equal(fake_nft.cut.count, 1);
		assert_non_null(in_kernel(40000));
		cut_free(cut);
	} while (allocations_refused != refused);
	assert_true(left > 2);
	end_in_force(&closed);
}

/* One that is allowed stays where the list of those to delete can't be made; then it is due again. */
static void test_kept_without_memory(void **state)
{
	struct in_force *web = *state, closed;
	struct cut *cut = a_cut();

	put_in_force(&closed, BASE, "");
	track("198.51.100.1", 1, "192.0.2.25", 3389);
	assert_int_equal(run(cut, &closed), 1);
	cut_set_names_changed(cut);
	allocations_left = 0;
	cut_minute(cut, &web->rules);
	allocations_left = -1;
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(cut_figures(cut).remembered, 1);
	assert_true(cut_wants_names(cut, &web->policy));
	cut_minute(cut, &web->rules);
	assert_int_equal(fake_nft.cut.count, 0);
	assert_int_equal(cut_figures(cut).remembered, 0);
	end_in_force(&closed);
	cut_free(cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cut, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_audit, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_why, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_the_first_are_shown, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_cut_fails, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_mid_stream, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_was_cut, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_read, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_mark_found, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_refused, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_opener_kept, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_full, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_mark_refused, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_restored, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_forgotten, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_on_request, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_gone_already, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_table_gone, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_without_memory, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_forgetting_without_memory, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_kept_without_memory, reset, nothing_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
