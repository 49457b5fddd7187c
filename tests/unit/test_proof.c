/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The prover: that it proves what is so, shows a packet where something is not, and claims nothing where it does not
 * know. How well it does is tests/unit/test_proof_mutants.c's. */
#include "core/proof.h"
#include "core/proof_parts.h"
#include "make.h"

#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define ADMINS "[role ADM]\nmembers = 192.0.2.0/28 admin.example.net\n"

static struct policy policy;
static struct names_view names;
static struct ranges gateway, broadcasts;
static struct interface_list interfaces[64];
static struct environment environment;
static struct ruleset ruleset;
static char lan[][CONFIG_INTERFACE_MAX + 1] = { "lan" };

static void begin(const char *text)
{
	make_good_policy(&policy, text);
	names = make_names(&policy,
			   strstr(text, "admin.example.net") ? "admin.example.net 203.0.113.5 2001:db8:9::5" : "");
	gateway = make_ranges("192.0.2.1 2001:db8:2::1");
	broadcasts = make_ranges("192.0.2.255");
	assert_true(policy.role_count <= COUNT_OF(interfaces));
	for (size_t i = 0; i < policy.role_count; i++)
		interfaces[i] = (struct interface_list){ lan, policy.roles[i].is_protected };
	environment = (struct environment){ .gateway = &gateway,
					    .role_interfaces = interfaces,
					    .names = &names,
					    .towards = { lan, 1 },
					    .broadcasts = &broadcasts };
	assert_int_equal(compile(&ruleset, &policy, &environment), 0);
}

static void end(void)
{
	ruleset_free(&ruleset);
	ranges_free(&gateway);
	ranges_free(&broadcasts);
	names_view_free(&names);
	policy_free(&policy);
}

static struct proof_result prove(void)
{
	struct proof_result result;

	assert_int_equal(proof_run(&result, &policy, &environment, &ruleset, NULL), 0);
	return result;
}

static struct chain *chain(const char *name)
{
	struct chain *found = ruleset_find_chain(&ruleset, name);

	assert_non_null(found);
	return found;
}

static void drop_rule(const char *name, size_t at)
{
	struct chain *from = chain(name);

	free(from->items[at].items);
	memmove(&from->items[at], &from->items[at + 1], (from->count - at - 1) * sizeof(*from->items));
	from->count--;
}

static void put_at(struct chain *to, size_t at, const struct term terms[2])
{
	assert_non_null(chain_rule(&ruleset, to));
	memmove(&to->items[at + 1], &to->items[at], (to->count - 1 - at) * sizeof(*to->items));
	to->items[at] = (struct rule){ .items = malloc(2 * sizeof(*terms)), .count = 2, .capacity = 2 };
	assert_non_null(to->items[at].items);
	memcpy(to->items[at].items, terms, 2 * sizeof(*terms));
}

static void put_first(const char *name, const struct term terms[2])
{
	put_at(chain(name), 0, terms);
}

/* An error in the prover: it shows a packet that is not of the box that differs, but one of no concern here. */
static bool shows_another;

void __real_box_example(struct prover *p, const struct box *box, struct proof_result *ret);
void __wrap_box_example(struct prover *p, const struct box *box, struct proof_result *ret);
void __wrap_box_example(struct prover *p, const struct box *box, struct proof_result *ret)
{
	__real_box_example(p, box, ret);
	if (!shows_another)
		return;
	bool ipv6 = p->space.family == FAMILY_6;
	ret->packet.source = make_addr(ipv6 ? "2001:db8:77::1" : "198.51.100.201");
	ret->packet.target = ret->packet.original = make_addr(ipv6 ? "2001:db8:78::1" : "198.51.100.202");
}

static void test_equal(void **state)
{
	static const char *const texts[] = {
		SERVER,
		SERVER ADMINS,
		SERVER ADMINS "[gateway]\nmode = audit\n",
		SERVER ADMINS "[gateway]\ninterception = block\nreject = ADM\n",
		SERVER ADMINS "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n[flow own]\nfrom = IH\nto = SERVER\n"
			      "protocol = tcp\nport = 445, 10000-10100\n",
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		begin(texts[i]);
		struct proof_result result = prove();
		if (result.state != PROOF_EQUAL)
			fail_msg("%zu: %s", i, result.text);
		assert_true(result.cells > 100);
		end();
	}
}

/* A rule that is lost is not missed by any rule: that the policy asks is what shows it. */
static void test_a_lost_rule(void **state)
{
	(void)state;
	begin(SERVER ADMINS);
	drop_rule("SERVER_in_tcp_8470", 0);
	struct proof_result result = prove();
	assert_int_equal(result.state, PROOF_DIFFERS);
	assert_true(result.has_packet);
	assert_int_equal(result.packet.target_port, 8470);
	assert_true(policy_flow(&policy, "console-in") && result.wanted.flow);
	assert_string_equal(result.wanted.flow->id, "console-in");
	assert_int_equal(result.wanted.action, ACTION_ACCEPT);
	assert_int_equal(result.found.action, ACTION_DROP);
	assert_int_equal(result.found.counts[COUNT_DENIED_IN], 1);
	assert_string_equal(result.chain, "deny_in");
	end();
}

/* The first header of an IPv6 packet is its protocol where it has no extensions: in the base chains, and in those that
 * packets with and without them have come to. */
static void test_the_first_header(void **state)
{
	static const char *const chains[] = { "forward", "judge", "SERVER_in_tcp_8470" };
	static const struct {
		uint8_t field, value;
		bool negate;
	} matches[] = {
		{ FIELD_IP6_NEXTHDR, IPPROTO_TCP_, false },
		{ FIELD_IP6_NEXTHDR, IPPROTO_TCP_, true },
		{ FIELD_IP6_NEXTHDR, 60, false },
	};

	(void)state;
	for (size_t c = 0; c < COUNT_OF(chains); c++) {
		for (size_t m = 0; m < COUNT_OF(matches); m++) {
			const struct term terms[] = { { .kind = TERM_MATCH,
							.field = matches[m].field,
							.negate = matches[m].negate,
							.first = { matches[m].value },
							.last = { matches[m].value } },
						      { .kind = TERM_ACTION, .action = ACTION_ACCEPT } };
			begin(SERVER ADMINS);
			put_first(chains[c], terms);
			struct proof_result result = prove();
			if (result.state != PROOF_DIFFERS || !result.has_packet)
				fail_msg("chain %s, match %zu: %d %s", chains[c], m, result.state, result.text);
			uint8_t first = result.headers.extension ? result.headers.extension : result.packet.protocol;
			assert_int_equal(result.packet.source.family, FAMILY_6);
			assert_int_equal(first == matches[m].value, !matches[m].negate);
			end();
		}
	}
}

/* A helper's expected connection is related, and its first packet comes by the chains of nat as well. */
static void test_an_expected_connection(void **state)
{
	const struct term terms[] = { { .kind = TERM_MATCH, .field = FIELD_CT_STATE, .bits = CT_RELATED },
				      { .kind = TERM_ACTION, .action = ACTION_DROP } };

	(void)state;
	begin(SERVER ADMINS);
	put_first("pin", terms);
	struct proof_result result = prove();
	assert_int_equal(result.state, PROOF_DIFFERS);
	assert_int_equal(result.stage, STAGE_PIN);
	assert_int_equal(result.packet.state, CT_RELATED);
	end();
}

static struct set *set(const char *name)
{
	struct set *found = ruleset_find_set(&ruleset, name);

	assert_non_null(found);
	return found;
}

/* The packet is from just that address. */
static void test_an_address_of_a_name(void **state)
{
	(void)state;
	begin(SERVER ADMINS);
	struct set *addresses = set("name_admin.example.net_4");
	assert_int_equal(addresses->count, 1);
	addresses->count = 0;
	struct proof_result result = prove();
	assert_int_equal(result.state, PROOF_DIFFERS);
	struct addr lost = make_addr("203.0.113.5");
	assert_true(addr_compare(&result.packet.source, &lost) == 0);
	addresses->count = 1;
	addresses->items[0].first[3] = addresses->items[0].last[3] = 6;
	result = prove();
	assert_int_equal(result.state, PROOF_DIFFERS);
	assert_true(addr_compare(&result.packet.source, &lost) == 0 || result.packet.source.bytes[3] == 6);
	end();
}

static void differs_literally(const char *text)
{
	struct proof_result result = prove();

	assert_int_equal(result.state, PROOF_DIFFERS);
	assert_false(result.has_packet);
	if (!strstr(result.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, result.text);
}

static void test_literal_differences(void **state)
{
	(void)state;
	begin(SERVER ADMINS);
	chain("forward")->priority++;
	differs_literally("chain forward");
	chain("forward")->priority--;
	chain("early")->hook = HOOK_INPUT;
	differs_literally("chain early");
	chain("early")->hook = HOOK_PREROUTING;
	set("protected_4")->flags ^= SET_INTERVAL;
	differs_literally("set protected_4");
	set("protected_4")->flags ^= SET_INTERVAL;
	chain("deny_in")->items[1].items[0].rate++;
	differs_literally("chain deny_in");
	chain("deny_in")->items[1].items[0].rate--;
	chain("judge")->hook = HOOK_FORWARD;
	differs_literally("chain judge");
	chain("judge")->hook = HOOK_NONE;
	chain("judge")->altered = true;
	differs_literally("another program");
	chain("judge")->altered = false;
	assert_int_equal(prove().state, PROOF_EQUAL);
	end();
}

static void fails(const char *text)
{
	struct proof_result result = prove();

	assert_int_equal(result.state, PROOF_FAILED);
	if (!strstr(result.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, result.text);
}

static void test_what_is_not_known(void **state)
{
	(void)state;
	begin(SERVER ADMINS);
	struct term *term = &chain("forward")->items[0].items[0], before = *term;
	term->kind = 99;
	fails("unknown kind");
	*term = before;
	term->field = FIELDS;
	fails("unknown kind");
	*term = before;
	struct rule *last = &chain("forward")->items[chain("forward")->count - 1];
	before = last->items[0];
	last->items[0].name = "nowhere";
	fails("a chain that is not there");
	last->items[0].name = "forward";
	fails("a way without an end");
	last->items[0].action = ACTION_JUMP;
	fails("too deep");
	last->items[0] = before;
	assert_int_equal(prove().state, PROOF_EQUAL);
	end();
}

static void drop_fast_path(void)
{
	for (size_t r = 0; r < chain("forward")->count; r++) {
		struct rule *rule = &chain("forward")->items[r];
		if (rule->items[0].field == FIELD_CT_STATE && rule->items[0].bits == CT_ESTABLISHED)
			rule->items[rule->count - 1].action = ACTION_DROP;
	}
}

/* The fast path is no part of the policy; it has to be that of the ruleset that is wanted. */
static void test_established(void **state)
{
	(void)state;
	begin(SERVER ADMINS);
	drop_fast_path();
	struct proof_result result = prove();
	assert_int_equal(result.state, PROOF_DIFFERS);
	assert_true(result.has_packet && result.is_established);
	assert_int_equal(result.packet.state, CT_ESTABLISHED);
	end();
}

/* What is shown is looked at once more, by itself. */
static void test_an_error_of_the_prover(void **state)
{
	(void)state;
	for (int another = 0; another < 2; another++) {
		begin(SERVER ADMINS);
		drop_rule("SERVER_in", 0);
		shows_another = another;
		struct proof_result result = prove();
		shows_another = false;
		assert_int_equal(result.state, another ? PROOF_FAILED : PROOF_DIFFERS);
		assert_int_equal(result.has_packet, !another);
		if (another)
			assert_string_equal(result.text, "a packet seemed to fare otherwise, but does not by itself");
		end();
	}
}

/* Nothing is proven without memory, and no difference is reported. */
static void check_memory(int r, const struct proof_result *result, bool refused, enum proof_state otherwise)
{
	assert_int_equal(r, refused ? -ENOMEM : 0);
	assert_int_equal(result->state, refused ? PROOF_FAILED : otherwise);
	assert_int_equal(result->has_packet, !refused && otherwise == PROOF_DIFFERS);
	if (refused)
		assert_string_equal(result->text, "out of memory");
}

/* Each allocation, alone or with all that follow it. */
static void refuse_allocations(enum proof_state otherwise, const struct ruleset *wanted)
{
	for (int recover = 0; recover < 2; recover++) {
		bool refused = true;
		long n = 0;
		for (; refused; n++) {
			struct proof_result result;
			unsigned long before = allocations_refused;
			allocations_left = n;
			allocations_recover = recover;
			int r = proof_run(&result, &policy, &environment, &ruleset, wanted);
			allocations_left = -1;
			allocations_recover = 0;
			refused = allocations_refused > before;
			check_memory(r, &result, refused, otherwise);
		}
		assert_true(n > 100);
	}
}

/* The store has room for so many sets that its own allocations are not met with above, but in preparation: here it has
 * none for any set that is made on the way. */
static long cuts_left = -1;
static bool cut_refused;

static void note_cut(struct values_store *store)
{
	if (cuts_left == 0)
		store->failed = cut_refused = true;
	else if (cuts_left > 0)
		cuts_left--;
}

void __real_values_split(struct values_store *store, uint32_t a, uint32_t b, uint32_t *ret_in, uint32_t *ret_out);
uint32_t __real_values_and(struct values_store *store, uint32_t a, uint32_t b);
void __wrap_values_split(struct values_store *store, uint32_t a, uint32_t b, uint32_t *ret_in, uint32_t *ret_out);
uint32_t __wrap_values_and(struct values_store *store, uint32_t a, uint32_t b);
void __wrap_values_split(struct values_store *store, uint32_t a, uint32_t b, uint32_t *ret_in, uint32_t *ret_out)
{
	note_cut(store);
	__real_values_split(store, a, b, ret_in, ret_out);
}

uint32_t __wrap_values_and(struct values_store *store, uint32_t a, uint32_t b)
{
	note_cut(store);
	return __real_values_and(store, a, b);
}

/* Of thousands the first ones, and then some. */
static void refuse_cuts(enum proof_state otherwise, const struct ruleset *wanted)
{
	size_t tried = 0;

	cut_refused = true;
	for (long n = 0; cut_refused; n += 1 + n / 30, tried++) {
		struct proof_result result;
		cut_refused = false;
		cuts_left = n;
		int r = proof_run(&result, &policy, &environment, &ruleset, wanted);
		cuts_left = -1;
		check_memory(r, &result, cut_refused, otherwise);
	}
	assert_true(tried > 50);
}

static void test_no_memory(void **state)
{
	struct ruleset wanted;

	(void)state;
	begin("[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n");
	assert_int_equal(compile(&wanted, &policy, &environment), 0);
	refuse_allocations(PROOF_EQUAL, NULL);
	refuse_cuts(PROOF_EQUAL, &wanted);
	drop_fast_path();
	refuse_allocations(PROOF_DIFFERS, &wanted);
	refuse_cuts(PROOF_DIFFERS, &wanted);
	drop_rule("forward", 1);
	refuse_cuts(PROOF_DIFFERS, &wanted);
	ruleset_free(&wanted);
	end();
}

/* Classes and sets, against the plain way to look at each value. */

static uint64_t dice = 0x5eed5eed5eed5eed;

static unsigned roll(unsigned sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)((dice >> 33) % sides);
}

enum { VALUES = 64, PREDICATES = 12 };

static size_t random_spans(struct span spans[VALUES], bool has[VALUES])
{
	size_t count = 0;

	for (unsigned value = 0; value < VALUES; value++)
		has[value] = roll(3) == 0;
	for (unsigned value = 0; value < VALUES; value++) {
		if (!has[value])
			continue;
		if (value > 0 && has[value - 1])
			spans[count - 1].last.low = value;
		else
			spans[count++] = (struct span){ { 0, value }, { 0, value } };
	}
	return count;
}

static void test_domains(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		static bool has[PREDICATES][VALUES];
		struct span spans[VALUES];
		struct values_store store;
		struct domain domain;
		uint32_t predicates[PREDICATES];

		domain_begin(&domain, 1, (struct key){ 0, VALUES - 1 });
		for (int p = 0; p < PREDICATES; p++) {
			size_t count = random_spans(spans, has[p]);
			assert_int_equal(domain_add(&domain, spans, count, &predicates[p]), 0);
		}
		assert_int_equal(values_begin(&store), 0);
		assert_int_equal(domain_close(&domain, &store), 0);
		for (unsigned value = 0; value < VALUES; value++) {
			uint32_t class = domain_class(&domain, (struct key){ 0, value });
			struct key example = domain_example(&domain, class);
			assert_true(values_have(&store, domain.all, class));
			for (int p = 0; p < PREDICATES; p++) {
				uint32_t values = domain.predicates.items[predicates[p]].values;
				assert_int_equal(values_have(&store, values, class), has[p][value]);
				assert_int_equal(has[p][example.low], has[p][value]);
			}
		}
		uint32_t a = domain.predicates.items[predicates[0]].values,
			 b = domain.predicates.items[predicates[1]].values, in, out;
		values_split(&store, a, b, &in, &out);
		assert_int_equal(in, values_and(&store, b, a));
		assert_int_equal(out, values_without(&store, a, b));
		uint32_t either = values_or(&store, a, b);
		for (uint32_t class = 0; class < domain.class_count; class ++) {
			bool in_a = values_have(&store, a, class), in_b = values_have(&store, b, class);
			assert_int_equal(values_have(&store, in, class), in_a && in_b);
			assert_int_equal(values_have(&store, out, class), in_a && !in_b);
			assert_int_equal(values_have(&store, either, class), in_a || in_b);
		}
		values_free(&store);
		domain_free(&domain);
	}
}

/* A hundred thousand networks that both sides know are two classes: in, and not. */
static void test_many_networks(void **state)
{
	enum { NETWORKS = 100000 };
	struct span *spans = calloc(NETWORKS, sizeof(*spans));
	struct values_store store;
	struct domain domain;
	uint32_t first, second;

	(void)state;
	assert_non_null(spans);
	for (uint64_t i = 0; i < NETWORKS; i++)
		spans[i] = (struct span){ { 0, i * 512 }, { 0, i * 512 + 255 } };
	domain_begin(&domain, 4, (struct key){ 0, UINT32_MAX });
	assert_int_equal(domain_add(&domain, spans, NETWORKS, &first), 0);
	assert_int_equal(domain_add(&domain, spans, NETWORKS, &second), 0);
	assert_int_equal(first, second);
	assert_int_equal(values_begin(&store), 0);
	assert_int_equal(domain_close(&domain, &store), 0);
	assert_int_equal(domain.class_count, 2);
	values_free(&store);
	domain_free(&domain);
	free(spans);
}

/* Protected machines, each with services of its own, for administrators: these may use all machines, S0 is one of them,
 * and no other machine has anything to answer another. */
static void begin_servers(unsigned count)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	fputs("[gateway]\npreset = none\n" SERVER "[role ADM]\nmembers = 192.0.2.0/28 10.1.0.1\n", out);
	/* One of them has so many services that it is not looked ahead to all of them. */
	fputs("[flow many]\nfrom = ADM\nto = S0\nprotocol = tcp\nport =", out);
	for (unsigned port = 0; port < 100; port++)
		fprintf(out, "\n %u", 2000 + 2 * port);
	fputs("\n", out);
	for (unsigned s = 0; s < count; s++) {
		fprintf(out, "[role S%u]\nmembers = 10.1.0.%u\nprotected = yes\n", s, s + 1);
		fprintf(out, "[flow out-%u]\nfrom = S%u\nto = any\nprotocol = tcp\nport = 443\n", s, s);
		for (unsigned f = 0; f < 5; f++)
			fprintf(out, "[flow f%u-%u]\nfrom = ADM\nto = S%u\nprotocol = tcp\nport = %u\n", s, f, s,
				1000 + f * 17 + s % 3);
	}
	assert_int_equal(fclose(out), 0);
	begin(text);
	free(text);
}

static uint64_t cells_of_servers(unsigned count)
{
	begin_servers(count);
	struct proof_result result = prove();
	assert_int_equal(result.state, PROOF_EQUAL);
	end();
	return result.cells;
}

/* What each may answer each other one is not as many kinds of packets: the rules that could tell them apart do nothing
 * to them. Where one does, it is found. */
static void test_many_servers(void **state)
{
	(void)state;
	uint64_t few = cells_of_servers(10), many = cells_of_servers(50);
	assert_true(many < 6 * few);

	begin_servers(20);
	struct addr sender = make_addr("10.1.0.8"), other = make_addr("10.1.0.4");
	struct term to_other[] = { { .kind = TERM_MATCH, .field = FIELD_IP_DADDR },
				   { .kind = TERM_ACTION, .action = ACTION_ACCEPT } };
	memcpy(to_other[0].first, other.bytes, 4);
	memcpy(to_other[0].last, other.bytes, 4);
	put_first("S7_midstream_out_reply_tcp_1018", to_other);
	struct proof_result result = prove();
	assert_int_equal(result.state, PROOF_DIFFERS);
	assert_int_equal(result.packet.source_port, 1018);
	assert_int_equal(addr_compare(&result.packet.source, &sender), 0);
	assert_int_equal(addr_compare(&result.packet.target, &other), 0);
	assert_int_equal(result.found.action, ACTION_ACCEPT);
	end();
}

/* Of a long chain no rule is passed over that does something: wherever there is one more for the first machine. */
static void test_long_chains(void **state)
{
	struct addr first = make_addr("10.1.0.1");
	struct term more[] = { { .kind = TERM_MATCH, .field = FIELD_IP_DADDR },
			       { .kind = TERM_PIN, .field = FIELD_IP_DADDR } };

	(void)state;
	memcpy(more[0].first, first.bytes, 4);
	memcpy(more[0].last, first.bytes, 4);
	begin_servers(40);
	struct chain *pins = chain("pin");
	/* What its maps do by address, once more, one rule after the other. */
	for (unsigned i = 0; i < 80; i++) {
		struct addr addr = first;
		struct term again[] = { { .kind = TERM_MATCH, .field = FIELD_IP_DADDR },
					{ .kind = TERM_MAP, .field = FIELD_TCP_DPORT } };
		addr.bytes[3] = (uint8_t)(1 + i / 2);
		again[1].name = ruleset_string(&ruleset, "S%u_pin_in_tcp", i / 2);
		memcpy(again[0].first, addr.bytes, 4);
		memcpy(again[0].last, addr.bytes, 4);
		assert_non_null(ruleset_find_set(&ruleset, again[1].name));
		put_at(pins, pins->count - 2 * FAMILIES, again);
	}
	assert_int_equal(prove().state, PROOF_EQUAL);
	put_first("pin", more);
	assert_true(pins->count > 2 * BLOCK_RULES);
	for (size_t i = 0; i + 2 * FAMILIES < pins->count; i++) {
		struct proof_result result = prove();
		assert_int_equal(result.state, PROOF_DIFFERS);
		assert_int_equal(result.stage, STAGE_PIN);
		assert_true(result.found.pinned);
		struct rule rule = pins->items[i];
		pins->items[i] = pins->items[i + 1];
		pins->items[i + 1] = rule;
	}
	/* behind the map that has the machine */
	assert_int_equal(prove().state, PROOF_EQUAL);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_a_lost_rule),
		cmocka_unit_test(test_the_first_header),
		cmocka_unit_test(test_an_expected_connection),
		cmocka_unit_test(test_an_address_of_a_name),
		cmocka_unit_test(test_literal_differences),
		cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_established),
		cmocka_unit_test(test_an_error_of_the_prover),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_many_networks),
		cmocka_unit_test(test_many_servers),
		cmocka_unit_test(test_long_chains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
