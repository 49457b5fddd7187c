/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the whole gateway makes of the proof, whose findings are the test's. */
#include "gw_whole.h"

#include "clock.h"
#include "core/proof.h"

#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define GOOD SERVER "[role ADM]\nmembers = 203.0.113.0/24\n"
#define NARROW SERVER "[role ADM]\nmembers = 203.0.113.200\n"
#define LICENSE "my.mailstore.com"

/* What the prover finds. */
static struct {
	enum proof_state state; /* of most tables */
	int r;
	const char *astray; /* a table differs that has this chain ... */
	size_t rules;       /* ... or not so many rules in chain judge; 0: any number */
	size_t runs;
	int64_t cost_ms;
} prover;

int __wrap_proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
		     const struct ruleset *found, const struct ruleset *wanted);

int __wrap_proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
		     const struct ruleset *found, const struct ruleset *wanted)
{
	const struct chain *judge = ruleset_find_chain(found, "judge");

	(void)wanted;
	assert_non_null(environment->names);
	prover.runs++;
	fake_processor_set(processor_ms() + prover.cost_ms);
	*ret = (struct proof_result){ .state = prover.state, .cells = 24, .text = "the prover is ill" };
	if ((prover.astray && ruleset_find_chain(found, prover.astray)) ||
	    (prover.rules && (!judge || judge->count != prover.rules)))
		*ret = (struct proof_result){
			.state = PROOF_DIFFERS,
			.cells = 12,
			.text = "something else becomes of it",
			.chain = "judge",
			.rule = 1,
			.has_packet = true,
			.stage = STAGE_FORWARD,
			.packet = { .source = make_addr("203.0.113.9"),
				    .target = make_addr("192.0.2.25"),
				    .protocol = 6,
				    .source_port = 40000,
				    .target_port = 7777,
				    .syn = true,
				    .state = CT_NEW },
			.wanted = { .action = ACTION_ACCEPT, .flow = policy_flow(policy, "imap-in") },
			.found = { .action = ACTION_DROP },
		};
	ret->wanted.counts[COUNT_FLOW] = ret->wanted.flow != NULL;
	ret->found.counts[COUNT_DENIED_IN] = 1;
	return prover.r;
}

static char news[1024]; /* what was proven, a line each: of the table or not, and which generation */

static void on_happened(void *userdata, const struct happening *happening)
{
	size_t length = strlen(news);

	(void)userdata;
	if (happening->kind == HAPPENED_PROOF)
		snprintf(news + length, sizeof(news) - length, "%s %s %d\n", happening->done ? "held" : "refused",
			 seal_state_words[happening->finding->state], (int)happening->generation);
}

static void start(void)
{
	gateway_run(&(struct gateway_events){ .happened = on_happened });
	gateway_watch(gateway, true);
}

static int setup(void **state)
{
	(void)state;
	gateway_set_up(GOOD, 1000);
	memset(&prover, 0, sizeof(prover));
	news[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_tear_down();
	return 0;
}

static int reload(const char *config)
{
	struct reload_result result;
	return reload_file(config, 0, &result);
}

static void answer_license(void)
{
	answer(LICENSE, "198.51.100.77");
}

/* The proof: what is said of the table, and which change is made. */

#define ASTRAY GOOD "[flow astray-in]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 7777\n"
#define ASTRAY_CHAIN "SERVER_in_tcp_7777"
#define ASTRAY_PACKET                                                                 \
	"new tcp syn 203.0.113.9:40000 -> 192.0.2.25:7777 in forward: by the policy " \
	"accepted, counted by flow-imap-in, by the table dropped, counted by denied-in (chain judge, rule 2)"

static enum seal_state proven(void)
{
	return seal_figures(gateway_seal(gateway)).held->state;
}

static void test_refused_change(void **state)
{
	struct reload_result result;

	(void)state;
	start();
	answer_license();
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_true(fake_log_has("proven: the table is the policy for all packets, 24 cells"));
	prover.astray = ASTRAY_CHAIN;
	fake_time_pass(2 * SECOND);
	size_t batches = fake_nft.batches;
	uint64_t generation = config_store_generation(gateway_config(gateway));
	assert_int_equal(reload_file(ASTRAY, 0, &result), -ECANCELED);
	assert_string_equal(result.what,
			    "the new policy can't be applied: the table would not be the policy: " ASTRAY_PACKET);
	assert_true(fake_log_has("a change is refused: the table would not be the policy: " ASTRAY_PACKET));
	assert_string_equal(news, "refused differs 1\n");
	assert_int_equal(fake_nft.batches, batches);
	assert_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation);
	assert_true(has_reason("config-changed"));
	assert_true(has_reason("proof-refused: a change was refused: the table would not have been the policy: "
			       "new tcp syn 203.0.113.9:40000 -> 192.0.2.25:7777 in forward"));
	assert_false(has_reason("change-failed"));
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	/* nobody tries it again by himself */
	size_t runs = prover.runs;
	fake_time_pass(10 * SECOND);
	assert_int_equal(prover.runs, runs);
	assert_int_equal(reload(NARROW), 0);
	assert_string_equal(reasons(), "");
	assert_int_equal(seal_figures(gateway_seal(gateway)).refusals, 1);

	/* it is made where the file has it so, and told */
	assert_int_equal(reload(ASTRAY "[gateway]\nproof = report\n"), 0);
	assert_non_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_string_equal(reasons(), "proof-reported: the table is not the policy: new tcp syn 203.0.113.9:40000 -> "
				       "192.0.2.25:7777 in forward\n");
	assert_string_equal(news, "refused differs 1\nheld differs 3\n");
	/* back */
	assert_int_equal(reload(GOOD), 0);
	assert_string_equal(reasons(), "");
	assert_string_equal(news, "refused differs 1\nheld differs 3\nheld equal 4\n");
}

/* The kernel's second half of a change is refused likewise: of the interfaces. */
static void test_refused_interfaces(void **state)
{
	(void)state;
	start();
	answer_license();
	prover.rules = 1;
	size_t batches = fake_nft.batches;
	fake_links_set_towards("192.0.2.25 2001:db8:2::25", "lan dmz");
	fake_links_change();
	fake_time_pass(SECOND);
	assert_int_equal(fake_nft.batches, batches);
	assert_string_equal(reasons(), "proof-refused: a change was refused: the table would not have been the policy: "
				       "new tcp syn 203.0.113.9:40000 -> 192.0.2.25:7777 in forward\n");
	/* nor is it tried again by itself */
	size_t runs = prover.runs;
	fake_time_pass(20 * SECOND);
	assert_int_equal(prover.runs, runs);
	/* the same once more is no news */
	assert_string_equal(news, "refused differs 1\n");
	fake_links_change();
	fake_time_pass(SECOND);
	assert_true(prover.runs > runs);
	assert_int_equal(seal_figures(gateway_seal(gateway)).refusals, 2);
	assert_string_equal(news, "refused differs 1\n");
	prover.rules = 0;
	fake_links_change();
	fake_time_pass(SECOND);
	assert_true(fake_nft.batches > batches);
	assert_string_equal(reasons(), "");
}

/* Without a table the server would be open: so what was proven before is built, or what there is. */
static void test_refused_start(void **state)
{
	(void)state;
	start();
	answer_license();
	gateway_end();
	fake_nft_flush();
	connect_as("198.51.100.200", "192.0.2.25", 3389);
	directory_write("spefw.ini", ASTRAY);
	prover.astray = ASTRAY_CHAIN;
	start();
	answer_license();
	assert_true(fake_nft.exists);
	assert_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_true(fake_log_has("an earlier configuration is in force"));
	assert_true(has_reason("config-kept"));
	assert_false(config_store_matches_disk(gateway_config(gateway)));
	assert_int_equal(fake_conntrack_count(), 0); /* what was opened without a table is in nobody's policy */
	/* it was not forgotten: the next start is the same */
	gateway_end();
	start();
	assert_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_true(has_reason("config-kept"));
	/* once it can be proven, it is taken */
	prover.astray = NULL;
	gateway_end();
	start();
	answer_license();
	assert_non_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_string_equal(reasons(), "");
}

static void test_refused_start_without_an_earlier_one(void **state)
{
	(void)state;
	directory_write("spefw.ini", ASTRAY);
	prover.astray = ASTRAY_CHAIN;
	start();
	answer_license();
	assert_non_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_int_equal(proven(), SEAL_DIFFERS);
	struct health health;
	gateway_reasons(gateway, &health);
	assert_string_equal(health_word(&health), "failed");
	assert_string_equal(reasons_text(&health), "proof-differs: the table is not the policy: new tcp syn "
						   "203.0.113.9:40000 -> 192.0.2.25:7777 in forward\n");
	/* It is no better than what comes after it: interfaces are followed. */
	size_t batches = fake_nft.batches;
	fake_links_set_towards("192.0.2.25 2001:db8:2::25", "lan dmz");
	fake_links_change();
	fake_time_pass(SECOND);
	assert_true(fake_nft.batches > batches);
	assert_int_equal(proven(), SEAL_DIFFERS);
	/* Another file is refused, as ever. */
	assert_int_not_equal(reload(ASTRAY "[flow more-in]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 7778\n"),
			     0);
	assert_null(ruleset_find_chain(&fake_nft.table, "SERVER_in_tcp_7778"));
}

/* Where no earlier one can be proven either, none of them is better than the one that is wanted. */
static void test_refused_start_with_none_that_is_proven(void **state)
{
	(void)state;
	start();
	gateway_end();
	fake_nft_flush();
	directory_write("spefw.ini", ASTRAY);
	prover.rules = 1;
	start();
	assert_non_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_int_equal(proven(), SEAL_DIFFERS);
	assert_false(fake_log_has("an earlier configuration is in force"));
	assert_false(has_reason("config-kept"));
}

/* What failed at the start for another reason, and is refused later, must not leave the server open. */
static void test_refused_after_the_start(void **state)
{
	(void)state;
	prover.rules = 1;
	fake_nft_fail(FAKE_NFT_READ_INFO, 0, 1, -ENOMEM);
	start();
	assert_false(fake_nft.exists);
	fake_time_pass(5 * SECOND);
	assert_true(fake_nft.exists);
	assert_int_equal(proven(), SEAL_DIFFERS);
	/* one that guards is found by the reading only */
	gateway_end();
	size_t batches = fake_nft.batches;
	directory_write("spefw.ini", ASTRAY);
	fake_nft_fail(FAKE_NFT_READ_INFO, 0, 1, -ENOMEM);
	start();
	fake_time_pass(5 * SECOND);
	assert_int_equal(fake_nft.batches, batches);
	assert_true(has_reason("proof-refused"));
}

/* A table that is there guards: it stays. */
static void test_refused_adoption(void **state)
{
	(void)state;
	start();
	answer_license();
	gateway_end();
	fake_nft.owner = 0;
	size_t batches = fake_nft.batches;
	directory_write("spefw.ini", ASTRAY);
	prover.astray = ASTRAY_CHAIN;
	start();
	answer_license();
	assert_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_int_equal(fake_nft.owner, FAKE_NFT_PORT);
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_true(has_reason("config-kept"));
	gateway_end();
	/* none of them is proven */
	prover.rules = 1;
	fake_nft.owner = 0;
	batches = fake_nft.batches;
	directory_write("spefw.ini", NARROW);
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	start();
	answer_license();
	assert_int_equal(fake_nft.batches, batches + 1); /* it is claimed */
	assert_int_equal(fake_nft.owner, FAKE_NFT_PORT);
	/* The flows of the table that is there stay open. */
	for (int i = 0; i < 30; i++) {
		fake_time_pass(HOUR);
		answer_license();
	}
	assert_true(element("name_" LICENSE "_4", "198.51.100.77")->deadline_ms > now_ms());
	assert_true(has_reason("table-outdated: can't bring the kernel up to date: the table would not be the policy"));
	assert_true(has_reason("proof-refused"));
	/* Nothing is cut by a policy that was never in force. */
	gateway_repair_last(gateway);
	assert_int_equal(fake_conntrack_count(), 1);
}

/* Whether it is right nobody knows: it is made, and reported. */
static void test_unproven_change(void **state)
{
	(void)state;
	start();
	answer_license();
	prover.state = PROOF_FAILED;
	assert_int_equal(reload(NARROW), 0);
	assert_null(element("role_ADM_4", "203.0.113.0"));
	assert_string_equal(reasons(),
			    "not-proven: whether the table is the policy could not be proven: the prover is ill\n");
	prover.state = PROOF_EQUAL;
	prover.r = -ENOMEM;
	assert_int_equal(reload(GOOD), 0);
	assert_string_equal(reasons(), "not-proven: whether the table is the policy could not be proven: "
				       "Cannot allocate memory\n");
	prover.r = 0;
	assert_int_equal(reload(NARROW), 0);
	assert_string_equal(reasons(), "");
}

/* What was read while others changed their tables may be of several moments. */
static void test_torn_reading(void **state)
{
	(void)state;
	start();
	answer_license();
	gateway_end();
	fake_nft.torn = true;
	start();
	answer_license();
	assert_int_equal(proven(), SEAL_UNPROVEN);
	assert_true(has_reason("not-proven"));
	fake_nft.torn = false;
	fake_time_pass(MINUTE + SECOND);
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_string_equal(reasons(), "");
}

/* What another program has made of the table is not left so, whatever is wanted: it is what it was. */
static void test_repair_that_differs(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	prover.rules = 1;
	fake_nft_flush();
	fake_nft_notice("table deleted by nft");
	fake_time_pass(0);
	assert_true(fake_nft.exists);
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_true(fake_log_has("is what it was before other programs changed it"));
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_true(has_reason("proof-refused"));
	/* and so with a reload that came before the notice was seen to */
	fake_nft_flush();
	connect_as("198.51.100.200", "192.0.2.25", 3389);
	fake_nft_notice("table deleted by nft");
	assert_int_not_equal(reload(ASTRAY), 0);
	assert_true(fake_nft.exists);
	assert_int_equal(fake_conntrack_count(), 0);
	assert_null(ruleset_find_chain(&fake_nft.table, ASTRAY_CHAIN));
	assert_true(has_reason("proof-refused"));
	prover.rules = 0;
	assert_int_equal(reload(GOOD), 0);
	assert_string_equal(reasons(), "");
}

/* Nothing is said of a table that can't be read. */
static void test_not_known(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	assert_int_equal(proven(), SEAL_EQUAL);
	fake_nft_fail(FAKE_NFT_READ_TABLE, 0, 1, -ENOMEM);
	fake_nft_notice("rule deleted by nft");
	fake_time_pass(0);
	assert_int_equal(proven(), SEAL_UNPROVEN);
	fake_time_pass(5 * SECOND);
	assert_int_equal(proven(), SEAL_EQUAL);
	assert_string_equal(reasons(), "");
}

static void test_verify(void **state)
{
	struct seal_finding finding;
	bool removed, dropped;

	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	assert_int_equal(gateway_verify(gateway, &finding), 0);
	assert_int_equal(finding.state, SEAL_EQUAL);
	assert_int_equal(finding.cells, 24);

	/* another program has changed it, and no notice came */
	struct chain *judge = ruleset_find_chain(&fake_nft.table, "judge");
	uint64_t handle = judge->items[1].handle;
	prover.rules = judge->count;
	free(judge->items[--judge->count].items);
	fake_time_pass(SECOND);
	assert_int_equal(gateway_verify(gateway, &finding), 0);
	assert_int_equal(finding.state, SEAL_DIFFERS);
	assert_int_equal(finding.handle, handle);
	assert_string_equal(finding.packet, "new tcp syn 203.0.113.9:40000 -> 192.0.2.25:7777 in forward");
	assert_string_equal(finding.wanted, "accepted, counted by flow-imap-in");
	assert_string_equal(finding.found, "dropped, counted by denied-in");
	assert_true(has_reason("proof-differs"));
	/* which is repaired then */
	fake_time_pass(0);
	assert_int_equal(ruleset_find_chain(&fake_nft.table, "judge")->count, prover.rules);
	assert_string_equal(reasons(), "");
	fake_time_pass(SECOND);
	assert_int_equal(gateway_verify(gateway, &finding), 0);
	assert_int_equal(finding.state, SEAL_EQUAL);

	fake_nft_fail(FAKE_NFT_READ_TABLE, 0, 1, -EPERM);
	fake_time_pass(SECOND);
	assert_int_equal(gateway_verify(gateway, &finding), -EPERM);
	fake_nft_flush();
	assert_int_equal(gateway_verify(gateway, &finding), -ENOENT);
	fake_time_pass(0);
	assert_true(fake_nft.exists);
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_int_equal(gateway_verify(gateway, &finding), -ENOENT);
	assert_int_equal(proven(), SEAL_NONE);
}

/* Who asks again at once has an answer without a further look, but none of the policy before. */
static void test_verify_again(void **state)
{
	struct seal_finding finding;

	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	prover.cost_ms = SECOND;
	assert_int_equal(gateway_verify(gateway, &finding), 0);
	assert_int_equal(finding.state, SEAL_EQUAL);
	prover.state = PROOF_FAILED;
	assert_int_equal(reload(NARROW), 0);
	size_t runs = prover.runs;
	assert_int_equal(gateway_verify(gateway, &finding), 0);
	assert_int_equal(finding.state, SEAL_UNPROVEN);
	assert_int_equal(prover.runs, runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_interfaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_start_without_an_earlier_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_start_with_none_that_is_proven, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_after_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_adoption, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unproven_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repair_that_differs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verify_again, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
