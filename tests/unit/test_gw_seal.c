/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is proven of the table, with the true prover. */
#include "fake_time.h"
#include "core/compile.h"
#include "gateway/seal.h"
#include "make.h"

#define CONFIG                                                                               \
	"[server]\naddress = 192.0.2.25\n[role ADM]\nmembers = 203.0.113.0/24\n[flow ftp]\n" \
	"from = SERVER\nto = a.example.net b.example.net\nprotocol = tcp\nport = 990\n"

static struct policy policy;
static struct names_view names;
static struct ruleset ruleset;
static struct seal *seal;
static struct interface_list *interfaces;
static struct environment environment;

static int setup(void **state)
{
	static const struct ranges none;

	(void)state;
	allocations_left = -1;
	fake_time_reset(1000, 1000);
	make_good_policy(&policy, CONFIG);
	names = make_names(&policy, "a.example.net 198.51.100.1 2001:db8::1");
	interfaces = calloc(policy.role_count + 1, sizeof(*interfaces));
	assert_non_null(interfaces);
	environment = (struct environment){ .gateway = &none, .role_interfaces = interfaces, .names = &names };
	assert_int_equal(compile(&ruleset, &policy, &environment), 0);
	assert_int_equal(seal_new(&seal), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	seal_free(seal);
	ruleset_free(&ruleset);
	names_view_free(&names);
	policy_free(&policy);
	free(interfaces);
	return 0;
}

static struct element *first_element(const char *set)
{
	return &ruleset_find_set(&ruleset, set)->items[0];
}

static void test_proven(void **state)
{
	(void)state;
	const struct seal_finding *finding = seal_prove(seal, &policy, &environment, NULL, &ruleset);
	assert_string_equal(finding->why, "");
	assert_int_equal(finding->state, SEAL_EQUAL);
	assert_true(finding->cells > 100);
	assert_true(seal_hold(seal));
	seal_prove(seal, &policy, &environment, NULL, &ruleset);
	assert_false(seal_hold(seal)); /* no news */
	assert_int_equal(seal_figures(seal).proofs, 2);

	/* the administrators have moved: a packet of theirs shows it */
	first_element("role_ADM_4")->last[3] = 127;
	ruleset_find_chain(&ruleset, "SERVER_in_tcp_8470")->items[0].handle = 77;
	finding = seal_prove(seal, &policy, &environment, NULL, &ruleset);
	assert_int_equal(finding->state, SEAL_DIFFERS);
	assert_non_null(strstr(finding->packet, " 203.0.113."));
	assert_non_null(strstr(finding->wanted, "accepted, "));
	assert_string_not_equal(finding->wanted, finding->found);
	assert_true(seal_hold(seal));

	assert_int_equal(seal_prove(seal, &policy, &environment, NULL, NULL)->state, SEAL_UNPROVEN);
	allocations_left = 0;
	assert_int_equal(seal_prove(seal, &policy, &environment, NULL, &ruleset)->state, SEAL_UNPROVEN);
	allocations_left = -1;
	assert_int_equal(seal_figures(seal).held->state, SEAL_DIFFERS);
}

/* Each difference between the book and a set. */
static void test_names(void **state)
{
	static const struct element another = { .first = { 198, 51, 100, 9 }, .last = { 198, 51, 100, 9 } };
	struct set *four = ruleset_find_set(&ruleset, "name_a.example.net_4");

	(void)state;
	assert_int_equal(seal_prove_names(seal, &policy, &names, &ruleset)->state, SEAL_EQUAL);
	first_element("name_a.example.net_6")->first[15]++;
	const struct seal_finding *finding = seal_prove_names(seal, &policy, &names, &ruleset);
	assert_int_equal(finding->state, SEAL_DIFFERS);
	assert_string_equal(finding->why, "the set name_a.example.net_6 would not hold the addresses of its name");
	first_element("name_a.example.net_6")->first[15]--;
	set_add(&ruleset, four, &another);
	assert_int_equal(seal_prove_names(seal, &policy, &names, &ruleset)->state, SEAL_DIFFERS);
	four->count -= 2;
	assert_int_equal(seal_prove_names(seal, &policy, &names, &ruleset)->state, SEAL_DIFFERS);
	four->count++;
	assert_int_equal(seal_prove_names(seal, &policy, &names, &ruleset)->state, SEAL_EQUAL);
	/* nobody is behind this one */
	set_add(&ruleset, ruleset_find_set(&ruleset, "name_b.example.net_4"), &another);
	assert_int_equal(seal_prove_names(seal, &policy, &names, &ruleset)->state, SEAL_DIFFERS);
}

static void test_preparation(void **state)
{
	struct ruleset after;

	(void)state;
	assert_int_equal(compile(&after, &policy, &environment), 0);
	assert_int_equal(seal_prove_preparation(seal, &ruleset, &after)->state, SEAL_EQUAL);
	first_element("role_ADM_4")->last[3] = 127;
	const struct seal_finding *finding = seal_prove_preparation(seal, &ruleset, &after);
	assert_int_equal(finding->state, SEAL_DIFFERS);
	assert_string_equal(finding->why, "the first part of the change would alter role_ADM_4");
	assert_int_equal(seal_prove_preparation(seal, &ruleset, NULL)->state, SEAL_UNPROVEN);
	ruleset_free(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_proven, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_preparation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
