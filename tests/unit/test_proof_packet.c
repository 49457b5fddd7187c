/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is found of a single packet, where it ends and what counts it, is what policy_fate() and the small machine say:
 * for the golden policies and random ones, at each stage, and as explain() tells it. And what is said where the rules
 * are not the policy, or not known. SPEFW_SEED, SPEFW_ROUNDS and SPEFW_PACKETS in the environment change the dice. */
#include "core/explain.h"
#include "fate_world.h"
#include "make.h"
#include "random_policy.h"

#include <errno.h>
#include <glob.h>

static const char *const chains[STAGES] = { "early", "pin", "forward", "input", "output" };

static struct tally {
	size_t policies, walks, counted, ended, verdicts[VERDICT_DENY + 1], early, pinned, hooks[HOOK_OUTPUT + 1],
		exceptions[EXCEPTION_IGNORED + 1];
} tally;

static struct vm_result run_vm(const struct ruleset *ruleset, enum fate_stage stage, const struct fate_packet *packet)
{
	struct vm_packet vm_packet = vm_packet_of(packet, stage);

	if (!ruleset_find_chain(ruleset, chains[stage]))
		return (struct vm_result){ .action = ACTION_ACCEPT, .fell_through = true };
	return vm_run(ruleset, chains[stage], &vm_packet);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool check_stage(const struct golden_case *g, struct packet_walks *walks, const struct fate_view *view,
			enum fate_stage stage, const struct fate_packet *random)
{
	struct fate_packet packet = *random;
	struct asker asker = fate_packet_asker(&packet);
	struct packet_walk walk;

	packet.source_route = packet.segments_left = false; /* headers are plain */
	if (stage < STAGE_FORWARD)
		packet.state = CT_INVALID;
	if (stage == STAGE_OUTPUT)
		packet.in = NULL;
	else if (stage != STAGE_FORWARD)
		packet.out = NULL;
	struct fate fate = policy_fate(view, stage, &asker);
	struct vm_result vm = run_vm(&g->ruleset, stage, &packet);
	const char *counter = vm.counter_count ? vm.counters[vm.counter_count - 1] : NULL;
	int r = packet_walk(walks, stage, &packet, &fate, &walk);
	tally.walks++;
	tally.counted += walk.counter != NULL;
	tally.ended += walk.chain != NULL;
	if (r == 0 && !walk.differs && walk.action == (enum action)fate.action && walk.action == vm.action &&
	    same_text(walk.counter, counter) && (walk.chain == NULL) == vm.fell_through)
		return true;
	describe(&packet, stage, &fate, &vm, "its walk is another one");
	print_error("walk: %d, action %d, %s, counted by %s\n", r, walk.action, walk.chain ? walk.chain : "at the end",
		    walk.counter ? walk.counter : "none");
	return false;
}

static struct packet opening(const struct fate_packet *random)
{
	static const enum protocol protocols[] = { PROTOCOL_TCP, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP_ECHO };
	enum protocol protocol = protocols[roll(COUNT_OF(protocols))];
	bool ports = protocol != PROTOCOL_ICMP_ECHO;

	return (struct packet){ .source = random->source,
				.target = random->target,
				.protocol = protocol,
				.source_port = ports ? random->source_port : 0,
				.target_port = ports ? random->target_port : 0 };
}

/* The only counter of a new connection, or NULL. */
static const char *counter_of(const struct fate *fate, char name[FATE_COUNTER_MAX])
{
	for (enum fate_counter counter = 0; counter < COUNTS; counter++)
		if (fate->counts[counter])
			return fate_counter(counter, fate->flow, name);
	return NULL;
}

/* By the policy alone, stage by stage. */
static struct fate fate_of(const struct golden_case *g, const struct fate_view *view, const struct packet *packet,
			   enum hook hook, bool *ret_pinned)
{
	const enum fate_stage last = hook == HOOK_INPUT    ? STAGE_INPUT
				     : hook == HOOK_OUTPUT ? STAGE_OUTPUT
							   : STAGE_FORWARD;
	const struct policy_role *role = policy_protected_role(&g->policy, &packet->source);
	const struct interface_list *interfaces = role ? &g->interfaces[role - g->policy.roles] : NULL;
	struct fate_packet seen = fate_packet_of(packet);
	struct asker asker = fate_packet_asker(&seen);

	seen.fib = hook == HOOK_INPUT ? FIB_LOCAL : FIB_UNICAST;
	seen.in = hook != HOOK_OUTPUT && interfaces && interfaces->count ? interfaces->names[0] : NULL;
	*ret_pinned = false;
	if (hook != HOOK_OUTPUT) {
		struct fate early = policy_fate(view, STAGE_EARLY, &asker);
		if (early.action != ACTION_ACCEPT)
			return early;
		*ret_pinned = policy_fate(view, STAGE_PIN, &asker).pinned;
	}
	return policy_fate(view, last, &asker);
}

/* Broadcasts and multicasts, which explain() does not follow: of a guarded machine, as input has them; else as they are
 * forwarded. */
static bool check_exception(const struct golden_case *g, const struct fate_view *view, const struct packet *packet,
			    const struct explanation *e)
{
	struct fate_packet seen = fate_packet_of(packet);
	struct asker asker = fate_packet_asker(&seen);
	bool ignored = e->exception == EXCEPTION_IGNORED;

	if (e->hook == HOOK_OUTPUT)
		return true;
	seen.packet_type = ignored ? PACKET_BROADCAST_ : PACKET_HOST_;
	seen.in = e->interfaces ? e->interfaces->names[0] : NULL;
	struct fate fate = policy_fate(view, ignored ? STAGE_INPUT : STAGE_FORWARD, &asker);
	tally.exceptions[e->exception]++;
	if (e->verdict == VERDICT_DENY && !e->walked && !e->differs &&
	    fate.counts[ignored ? COUNT_IGNORED : COUNT_DENIED_IN] == 1 &&
	    fate.action == (g->policy.mode == MODE_AUDIT ? ACTION_ACCEPT : ACTION_DROP))
		return true;
	describe(&seen, STAGE_FORWARD, &fate, &(struct vm_result){ 0 }, "it is no such exception");
	return false;
}

static bool check_explained(const struct golden_case *g, struct packet_walks *walks, const struct fate_view *view,
			    const struct fate_packet *random)
{
	struct explain_view explained = { &g->policy, &g->environment, &g->names, walks };
	struct packet packet = opening(random);
	struct explanation e;
	char name[FATE_COUNTER_MAX];
	bool pinned;

	assert_int_equal(explain_packet(&explained, &packet, &e), 0);
	if (e.exception)
		return check_exception(g, view, &packet, &e);
	struct fate fate = fate_of(g, view, &packet, e.hook, &pinned);
	enum verdict verdict = fate.reason == FATE_FLOW       ? VERDICT_ALLOW
			       : fate.reason == FATE_NOT_OURS ? VERDICT_NOT_OURS
							      : VERDICT_DENY;
	tally.verdicts[e.verdict]++;
	tally.hooks[e.hook]++;
	tally.early += fate.reason == FATE_EARLY;
	tally.pinned += e.pinned;
	if (e.walked && !e.differs && e.verdict == verdict && e.verdict == e.judgement.verdict && e.pinned == pinned &&
	    e.walk.action == (enum action)fate.action && same_text(e.walk.counter, counter_of(&fate, name)) &&
	    (e.verdict != VERDICT_ALLOW || e.judgement.flow == fate.flow))
		return true;
	struct vm_result none = { .action = e.walk.action };
	struct fate_packet seen = fate_packet_of(&packet);
	describe(&seen, STAGE_FORWARD, &fate, &none, "it is explained otherwise");
	print_error("explained: verdict %d, hook %d, walked %d, differs %d, counted by %s\n", e.verdict, e.hook,
		    e.walked, e.differs, e.walk.counter ? e.walk.counter : "none");
	return false;
}

static unsigned setting(const char *name, unsigned standard)
{
	const char *text = getenv(name);
	return text ? (unsigned)strtoul(text, NULL, 0) : standard;
}

static bool check_case(const struct golden_case *g, unsigned packets)
{
	static struct values values;
	struct packet_walks *walks;
	struct fate_view view;
	size_t bad = 0;

	fate_view_init(&view, &g->policy, &g->environment);
	assert_int_equal(packet_walks_new(&walks, &g->policy, &g->ruleset), 0);
	collect(&values, g);
	for (unsigned i = 0; i < packets && bad < 5; i++) {
		struct fate_packet packet = random_packet(&values, g);
		for (enum fate_stage stage = 0; stage < STAGES; stage++)
			bad += !check_stage(g, walks, &view, stage, &packet);
		bad += !check_explained(g, walks, &view, &packet);
	}
	packet_walks_free(walks);
	tally.policies++;
	return !bad;
}

static void test_goldens(void **state)
{
	char pattern[4096];
	size_t bad = 0;
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/tests/golden/*.conf", getenv("srcdir") ? getenv("srcdir") : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 20);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		static struct golden_case golden;
		golden_case_make(&golden, found.gl_pathv[i]);
		if (!check_case(&golden, setting("SPEFW_PACKETS", 3000))) {
			print_error("in %s\n", found.gl_pathv[i]);
			bad++;
		}
		golden_case_free(&golden);
	}
	globfree(&found);
	assert_int_equal(bad, 0);
}

static void test_random(void **state)
{
	static struct golden_case g;

	(void)state;
	for (unsigned i = setting("SPEFW_ROUNDS", 60); i > 0; i--) {
		char *text = random_config(true);
		free(make_policy(&g.policy, text));
		if (g.policy.role_count) {
			random_environment(&g);
			assert_int_equal(compile(&g.ruleset, &g.policy, &g.environment), 0);
			if (!check_case(&g, setting("SPEFW_PACKETS", 500)))
				fail_msg("in the policy of\n%s", text);
		}
		golden_case_free(&g);
		free(text);
	}
}

/* The dice must have shown something of everything. */
static void test_dice(void **state)
{
	(void)state;
	print_message("%zu policies, %zu walks: %zu counted, %zu ended by a rule; explained: %zu unguarded, %zu "
		      "allowed, %zu denied, %zu early, %zu pinned\n",
		      tally.policies, tally.walks, tally.counted, tally.ended, tally.verdicts[VERDICT_NOT_OURS],
		      tally.verdicts[VERDICT_ALLOW], tally.verdicts[VERDICT_DENY], tally.early, tally.pinned);
	assert_true(tally.counted > 10000 && tally.ended > 10000);
	for (enum verdict verdict = 0; verdict <= VERDICT_DENY; verdict++)
		assert_true(tally.verdicts[verdict] > 1000);
	for (enum hook hook = HOOK_INPUT; hook <= HOOK_OUTPUT; hook++)
		assert_true(tally.hooks[hook] > 1000);
	assert_true(tally.early > 500 && tally.pinned > 100);
	assert_true(tally.exceptions[EXCEPTION_BROADCAST] > 50 && tally.exceptions[EXCEPTION_IGNORED] > 500);
}

/* Rules that are not what they should be */

static struct policy policy;
static struct ruleset ruleset;
static const struct names_view no_names;

static int make_world(void **state)
{
	(void)state;
	make_good_policy(&policy, "[server]\naddress = 192.0.2.25 2001:db8:2::25\n[role ADM]\nmembers = 203.0.113.0/24 "
				  "2001:db8:3::/64\n[gateway]\nreject = ADM\n");
	return make_ruleset(&ruleset, &policy, NULL);
}

static int free_world(void **state)
{
	(void)state;
	ruleset_free(&ruleset);
	policy_free(&policy);
	return 0;
}

static struct explanation explained(const char *source, uint16_t port)
{
	struct explain_view view = { .policy = &policy,
				     .environment = make_environment(&policy, NULL),
				     .names = &no_names };
	struct packet packet = { make_addr(source), make_addr("192.0.2.25"), PROTOCOL_TCP, 50000, port, false };
	struct explanation e;

	assert_int_equal(packet_walks_new(&view.walks, &policy, &ruleset), 0);
	assert_int_equal(explain_packet(&view, &packet, &e), 0);
	packet_walks_free(view.walks);
	return e;
}

static const char client[] = "198.51.100.7", admin[] = "203.0.113.7";

/* The policy's verdict stays, whatever the rules are. */
static void check_told(int line, const char *source, uint16_t port, enum verdict verdict, bool walked, bool differs)
{
	struct explanation e = explained(source, port);

	if (e.verdict != verdict || e.walked != walked || e.differs != differs)
		fail_msg("line %d: verdict %d, walked %d, differs %d", line, e.verdict, e.walked, e.differs);
}
#define assert_told(...) check_told(__LINE__, __VA_ARGS__)

static void assert_sound(void)
{
	assert_told(client, 443, VERDICT_ALLOW, true, false);
	assert_told(client, 8470, VERDICT_DENY, true, false);
	assert_told(admin, 8470, VERDICT_ALLOW, true, false);
}

static struct chain *chain(const char *name)
{
	struct chain *found = ruleset_find_chain(&ruleset, name);

	assert_non_null(found);
	return found;
}

static struct term *term(const char *name, enum term_kind kind)
{
	struct chain *in = chain(name);

	for (size_t r = 0; r < in->count; r++)
		for (size_t t = 0; t < in->items[r].count; t++)
			if (in->items[r].items[t].kind == kind)
				return &in->items[r].items[t];
	fail_msg("chain %s has no such term", name);
	return NULL;
}

static void test_what_differs(void **state)
{
	(void)state;
	assert_sound();
	struct term *counter = term("SERVER_in_tcp_443", TERM_COUNTER), before = *counter;
	counter->name = "denied-in";
	assert_told(client, 443, VERDICT_ALLOW, true, true);
	assert_told(client, 8470, VERDICT_DENY, true, false);
	*counter = before;
	struct term *action = term("SERVER_in_tcp_443", TERM_ACTION);
	before = *action;
	action->action = ACTION_DROP;
	assert_told(client, 443, VERDICT_ALLOW, true, true);
	assert_int_equal(explained(client, 443).walk.action, ACTION_DROP);
	*action = before;
	struct term *log = term("refuse_in", TERM_LOG);
	before = *log;
	log->name = "another ";
	assert_told(client, 8470, VERDICT_DENY, true, true);
	*log = before;
	assert_sound();
}

/* Where the rules stop what goes on by the policy, and the other way round. */
static void test_early_differs(void **state)
{
	(void)state;
	struct term *jump = term("early", TERM_ACTION), before = *jump;
	assert_told(client, 22, VERDICT_DENY, true, false);
	assert_string_equal(explained(client, 22).walk.counter, "denied-early");
	*jump = (struct term){ .kind = TERM_ACTION, .action = ACTION_ACCEPT };
	assert_told(client, 22, VERDICT_DENY, true, true);
	assert_string_equal(explained(client, 22).walk.counter, "denied-in"); /* later on */
	assert_told(client, 443, VERDICT_ALLOW, true, false);
	*jump = (struct term){ .kind = TERM_ACTION, .action = ACTION_DROP };
	assert_told(client, 443, VERDICT_ALLOW, true, true);
	assert_int_equal(explained(client, 443).walk.action, ACTION_DROP);
	*jump = before;
	assert_sound();
}

/* What is answered within a limit and dropped beyond it has to be so on both sides. */
static void test_limits(void **state)
{
	(void)state;
	struct explanation e = explained(admin, 22);
	assert_true(e.walked && !e.differs);
	assert_int_equal(e.walk.action, ACTION_RESET);
	assert_string_equal(e.walk.chain, "answer");
	struct term *limit = &chain("answer")->items[e.walk.rule].items[1], before = *limit;
	assert_int_equal(limit->kind, TERM_LIMIT);
	*limit = (struct term){ .kind = TERM_MATCH, .field = FIELD_L4PROTO, .first = { 6 }, .last = { 6 } };
	assert_told(admin, 22, VERDICT_DENY, true, false); /* always answered: that is its fate, too */
	*limit = (struct term){ .kind = TERM_MATCH, .field = FIELD_L4PROTO, .first = { 17 }, .last = { 17 } };
	assert_told(admin, 22, VERDICT_DENY, true, true); /* never */
	*limit = before;
	assert_told(admin, 22, VERDICT_DENY, true, false);
	struct chain *refuse = chain("refuse_in");
	struct term *last = &refuse->items[refuse->count - 1].items[0];
	last->action = ACTION_ACCEPT; /* beyond the limit alone */
	assert_told(admin, 22, VERDICT_DENY, true, true);
	assert_int_equal(explained(admin, 22).walk.action, ACTION_RESET);
	last->action = ACTION_DROP;
	assert_told(admin, 22, VERDICT_DENY, true, false);
}

static void test_what_is_not_known(void **state)
{
	(void)state;
	chain("judge")->altered = true;
	assert_told(client, 443, VERDICT_ALLOW, false, false);
	assert_told(client, 22, VERDICT_DENY, true, false); /* it does not come there */
	chain("judge")->altered = false;
	struct term *goes = &chain("forward")->items[chain("forward")->count - 1].items[0], before = *goes;
	goes->kind = 99;
	assert_told(client, 443, VERDICT_ALLOW, false, false);
	*goes = before;
	struct term *in = term("SERVER_in_tcp_8470", TERM_IN);
	before = *in;
	in->name = "nowhere";
	assert_told(client, 8470, VERDICT_DENY, false, false);
	*in = before;
	struct chain *forward = chain("forward"), *guard = chain("guard");
	guard->hook = HOOK_FORWARD; /* which of the two comes first? */
	assert_told(client, 443, VERDICT_ALLOW, false, false);
	guard->hook = HOOK_NONE;
	forward->hook = HOOK_NONE; /* all passes */
	assert_told(client, 443, VERDICT_ALLOW, true, true);
	assert_told(client, 8470, VERDICT_DENY, true, true);
	forward->hook = HOOK_FORWARD;
	assert_sound();
}

/* A walk after one that lacked memory has nothing of it. */
static void test_no_memory(void **state)
{
	struct explain_view view = { .policy = &policy,
				     .environment = make_environment(&policy, NULL),
				     .names = &no_names };
	struct packet packet = { make_addr(client), make_addr("192.0.2.25"), PROTOCOL_TCP, 50000, 443, false };
	struct explanation e;
	int r = -ENOMEM;
	long n = 0;

	(void)state;
	allocations_left = 0;
	assert_int_equal(packet_walks_new(&view.walks, &policy, &ruleset), -ENOMEM);
	allocations_left = -1;
	assert_int_equal(packet_walks_new(&view.walks, &policy, &ruleset), 0);
	for (; r == -ENOMEM; n++) {
		allocations_left = n;
		r = explain_packet(&view, &packet, &e);
		allocations_left = -1;
		assert_int_equal(e.verdict, VERDICT_ALLOW);
		assert_int_equal(e.walked, r == 0);
		assert_false(e.differs);
	}
	assert_int_equal(r, 0);
	assert_true(n > 50);
	packet_walks_free(view.walks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_dice),
		cmocka_unit_test_setup_teardown(test_what_differs, make_world, free_world),
		cmocka_unit_test_setup_teardown(test_early_differs, make_world, free_world),
		cmocka_unit_test_setup_teardown(test_limits, make_world, free_world),
		cmocka_unit_test_setup_teardown(test_what_is_not_known, make_world, free_world),
		cmocka_unit_test_setup_teardown(test_no_memory, make_world, free_world),
	};
	random_seed(getenv("SPEFW_SEED") ? strtoull(getenv("SPEFW_SEED"), NULL, 0) : 0x5eed5eed5eed5eed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
