/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The proof can fail: every single change of a ruleset (mutate.c) is caught with a packet, whose two fates do differ,
 * or caught literally, or not proven, or called equal. Whatever is called equal goes through the small machine (vm.c),
 * where nothing is collapsed, with packets around what was changed: a difference there is a survivor, and there is
 * none. The reverse: no ruleset that compile() has made is called different. SPEFW_TEST_LONG in the environment: all
 * mutants of all goldens, one in 20 of 300 random policies, and 10,000 random policies; else samples of them.
 * SPEFW_SEED, SPEFW_ROUNDS (policies) and SPEFW_ONE_OF (mutants) are other knobs. */
#include "core/proof.h"
#include "fate_world.h"
#include "make.h"
#include "mutate.h"
#include "random_policy.h"

#include <glob.h>

static const char *const chains[STAGES] = { "early", "pin", "forward", "input", "output" };

enum { PACKETS = 400, SHOWN_MAX = 20 };

struct tally {
	size_t policies, mutants, packet, literal, unproven, equal, survivors, wrong;
};

struct trying {
	struct golden_case *g;
	struct ruleset pristine;
	struct fate_view view;
	struct values *values;
	const struct mutant *mutant;
	const char *what; /* the policy it is of */
	size_t one_of;    /* so many mutants one is tried */
	struct tally *tally;
};

static bool is_long(void)
{
	return getenv("SPEFW_TEST_LONG") != NULL;
}

static size_t shown;

static void complain(struct trying *t, const char *what)
{
	const struct mutant *m = t->mutant;

	if (shown++ < SHOWN_MAX)
		print_error("%s: mutant %zu, %s in %s%s, rule %zu: %s\n", t->what, m->number, m->kind,
			    m->chain ? "chain "
			    : m->set ? "set "
				     : "counters",
			    m->chain ? m->chain->name
			    : m->set ? m->set->name
				     : "",
			    m->rule, what);
}

static struct vm_result run(const struct ruleset *ruleset, enum fate_stage stage, const struct vm_packet *packet)
{
	static const struct vm_result accepted = { .action = ACTION_ACCEPT, .fell_through = true };

	return ruleset_find_chain(ruleset, chains[stage]) ? vm_run(ruleset, chains[stage], packet) : accepted;
}

static size_t times(const struct vm_result *vm, const char *counter)
{
	size_t count = 0;

	for (size_t i = 0; i < vm->counter_count; i++)
		count += strcmp(vm->counters[i], counter) == 0;
	return count;
}

/* Counters in any order. */
static bool same_result(const struct vm_result *a, const struct vm_result *b)
{
	if (a->error || b->error)
		return (a->error != NULL) == (b->error != NULL);
	if (a->action != b->action || a->pinned != b->pinned || a->counter_count != b->counter_count ||
	    a->log_count != b->log_count)
		return false;
	for (size_t i = 0; i < a->counter_count; i++)
		if (times(a, a->counters[i]) != times(b, a->counters[i]))
			return false;
	for (size_t i = 0; i < a->log_count; i++)
		if (strcmp(a->logs[i], b->logs[i]) != 0)
			return false;
	return true;
}

static struct vm_packet vm_packet_of_result(const struct proof_result *result)
{
	struct vm_packet packet = vm_packet_of(&result->packet, result->stage);
	const struct proof_headers *headers = &result->headers;

	if (!packet.ipv6)
		packet.ip_option = headers->options == 1   ? 131
				   : headers->options == 2 ? 137
							   : headers->first_byte != 0x45;
	packet.routing = headers->routing > 0;
	packet.segments_left = (uint8_t)(packet.routing ? headers->routing - 1 : 0);
	packet.extension = headers->extension;
	if (result->stage == STAGE_PIN) { /* the first of its connection */
		packet.state = CT_NEW;
		packet.status = 0;
		packet.reply = false;
		packet.original_port = packet.target_port;
		memcpy(packet.original, packet.target, sizeof(packet.original));
	}
	return packet;
}

/* What the proof shows has to be so: the policy and the small machine do differ about this packet. */
static void check_packet(struct trying *t, const struct proof_result *result)
{
	struct vm_packet packet = vm_packet_of_result(result);
	struct asker asker = fate_packet_asker(&result->packet);
	struct fate fate = policy_fate(&t->view, result->stage, &asker);
	bool differs = false;

	for (int limited = 0; limited < 2 && !differs; limited++) {
		packet.limited = limited;
		struct vm_result mutant = run(&t->g->ruleset, result->stage, &packet),
				 pristine = run(&t->pristine, result->stage, &packet);
		differs = !same_result(&mutant, &pristine) &&
			  (result->is_established || difference(&fate, &mutant, limited) ||
			   mutant.log_count != pristine.log_count);
	}
	if (differs)
		return;
	t->tally->wrong++;
	complain(t, "the packet that it is caught with fares alike");
	struct vm_result mutant = run(&t->g->ruleset, result->stage, &packet);
	describe(&result->packet, result->stage, &fate, &mutant, result->text);
}

static void use_edge(struct fate_packet *packet, enum key_type type, const uint8_t *bytes)
{
	struct addr addr = { .family = type == KEY_IPV6 };

	switch (type) {
	case KEY_IPV4:
	case KEY_IPV6:
		memcpy(addr.bytes, bytes, addr_size(addr.family));
		if (addr.family == packet->source.family)
			*(roll(3) == 0 ? &packet->source : roll(2) ? &packet->target : &packet->original) = addr;
		break;
	case KEY_PORT:
		*(roll(3) == 0 ? &packet->original_port
		  : roll(2)    ? &packet->source_port
			       : &packet->target_port) = (uint16_t)(bytes[0] << 8 | bytes[1]);
		break;
	case KEY_ICMPV6_TYPE: packet->icmp_type = bytes[0]; break;
	case KEY_PROTOCOL:
		if (roll(2))
			packet->protocol = bytes[0];
		else if (roll(2))
			packet->packet_type = bytes[0] & 7;
		else
			packet->hop_limit = bytes[0];
		break;
	default: break;
	}
}

static void witness(struct trying *t)
{
	const struct mutant *m = t->mutant;

	for (unsigned i = 0; i < PACKETS; i++) {
		struct fate_packet packet = random_packet(t->values, t->g);
		for (size_t e = 0; e < m->edge_count; e++)
			if (roll(2))
				use_edge(&packet, m->edges[e].type, m->edges[e].bytes);
		if (roll(8) == 0)
			packet.state = CT_ESTABLISHED;
		for (enum fate_stage stage = 0; stage < STAGES; stage++) {
			struct vm_packet vm_packet = vm_packet_of(&packet, stage);
			vm_packet.limited = roll(2);
			if (stage == STAGE_PIN) {
				vm_packet.state = CT_NEW;
				vm_packet.status = 0;
				vm_packet.reply = false;
				vm_packet.original_port = vm_packet.target_port;
				memcpy(vm_packet.original, vm_packet.target, sizeof(vm_packet.original));
			}
			struct vm_result mutant = run(&t->g->ruleset, stage, &vm_packet),
					 pristine = run(&t->pristine, stage, &vm_packet);
			if (same_result(&mutant, &pristine))
				continue;
			struct asker asker = fate_packet_asker(&packet);
			struct fate fate = policy_fate(&t->view, stage, &asker);
			t->tally->survivors++;
			complain(t, "it is called equal");
			describe(&packet, stage, &fate, &mutant, "the small machine tells it from the original");
			return;
		}
	}
}

static void try_mutant(void *context, const struct mutant *mutant)
{
	struct trying *t = context;
	struct proof_result result;

	t->mutant = mutant;
	t->tally->mutants++;
	assert_int_equal(proof_run(&result, &t->g->policy, &t->g->environment, &t->g->ruleset, &t->pristine), 0);
	if (result.state == PROOF_FAILED) {
		t->tally->unproven++;
		if (strstr(result.text, "seemed to fare otherwise")) {
			t->tally->wrong++;
			complain(t, result.text);
		}
	} else if (result.state == PROOF_EQUAL) {
		t->tally->equal++;
		witness(t);
	} else if (result.has_packet) {
		t->tally->packet++;
		check_packet(t, &result);
	} else {
		t->tally->literal++;
	}
}

static bool is_sampled(void *context, size_t number)
{
	struct trying *t = context;

	(void)number;
	return t->one_of <= 1 || roll((unsigned)t->one_of) == 0;
}

static void try_case(struct golden_case *g, const char *what, size_t one_of, struct tally *tally)
{
	static struct values values;
	struct trying t = { .g = g, .values = &values, .what = what, .one_of = one_of, .tally = tally };
	const struct mutate_calls calls = { is_sampled, try_mutant, &t };

	assert_int_equal(compile(&t.pristine, &g->policy, &g->environment), 0);
	fate_view_init(&t.view, &g->policy, &g->environment);
	collect(&values, g);
	mutate(&g->ruleset, &calls);
	ruleset_free(&t.pristine);
	tally->policies++;
}

static void tell(const struct tally *tally)
{
	print_message("%zu policies, %zu mutants: caught with a packet %zu, literally %zu, not proven %zu; called "
		      "equal "
		      "%zu; survivors %zu; wrong packets %zu\n",
		      tally->policies, tally->mutants, tally->packet, tally->literal, tally->unproven, tally->equal,
		      tally->survivors, tally->wrong);
	assert_int_equal(tally->survivors, 0);
	assert_int_equal(tally->wrong, 0);
	assert_true(tally->packet > 100 && tally->literal > 50 && tally->equal > 10);
}

static void seed(void)
{
	random_seed(getenv("SPEFW_SEED") ? strtoull(getenv("SPEFW_SEED"), NULL, 0) : 0x5eed5eed5eed5eed);
}

/* Of so many mutants one is tried. */
static size_t one_of(size_t usual, size_t all)
{
	const char *text = getenv("SPEFW_ONE_OF");

	return text ? strtoul(text, NULL, 0) : is_long() ? all : usual;
}

static void test_goldens(void **state)
{
	struct tally tally = { 0 };
	char pattern[4096];
	glob_t found;

	(void)state;
	seed();
	snprintf(pattern, sizeof(pattern), "%s/tests/golden/*.conf", getenv("srcdir") ? getenv("srcdir") : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		static struct golden_case golden;
		golden_case_make(&golden, found.gl_pathv[i]);
		try_case(&golden, strrchr(found.gl_pathv[i], '/') + 1, one_of(200, 1), &tally);
		golden_case_free(&golden);
	}
	globfree(&found);
	tell(&tally);
}

/* A case of a random policy; false: it is refused. */
static bool make_random(struct golden_case *g, char **ret_text)
{
	*ret_text = random_config(true);
	memset(g, 0, sizeof(*g));
	free(make_policy(&g->policy, *ret_text));
	if (!g->policy.role_count)
		return false;
	random_environment(g);
	assert_int_equal(compile(&g->ruleset, &g->policy, &g->environment), 0);
	return true;
}

static unsigned rounds(unsigned usual, unsigned all)
{
	const char *text = getenv("SPEFW_ROUNDS");

	return text ? (unsigned)strtoul(text, NULL, 0) : is_long() ? all : usual;
}

static void test_random(void **state)
{
	static struct golden_case g;
	struct tally tally = { 0 };

	(void)state;
	seed();
	for (unsigned i = 0; tally.policies < rounds(20, 300); i++) {
		char *text, name[32];
		snprintf(name, sizeof(name), "random policy %u", i);
		if (make_random(&g, &text)) {
			try_case(&g, name, one_of(150, 20), &tally);
			golden_case_free(&g);
		}
		free(text);
	}
	tell(&tally);
}

static void test_no_false_alarm(void **state)
{
	static struct golden_case g;
	unsigned wanted = rounds(200, 10000), proven = 0;
	uint64_t cells = 0;

	(void)state;
	seed();
	while (proven < wanted) {
		struct proof_result result;
		char *text;
		if (make_random(&g, &text)) {
			assert_int_equal(proof_run(&result, &g.policy, &g.environment, &g.ruleset, NULL), 0);
			if (result.state != PROOF_EQUAL)
				fail_msg("policy %u: %s, in chain %s, rule %zu; the policy is\n%s", proven, result.text,
					 result.chain ? result.chain : "", result.rule, text);
			cells += result.cells;
			proven++;
			golden_case_free(&g);
		}
		free(text);
	}
	print_message("%u random policies proven, %llu cells\n", proven, (unsigned long long)cells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_false_alarm),
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
