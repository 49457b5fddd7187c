/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes of a configuration what the daemon would, in environment that never change:
 *   golden text FILE.conf      the ruleset in nft's words
 *   golden bytecode FILE.conf  its rules as the kernel gets them, printed as `nft --debug=netlink` does
 *   golden load FILE.conf      nothing is printed: the table is loaded into the kernel of this network namespace
 *   golden read FILE.conf      that table is read back, and must be the ruleset, term by term; what differs is printed
 *   golden change FILE.conf OTHER.conf   the table of the first is loaded and changed to the other's; after each of the
 *                              two batches it is read back, and must be what delta_apply() says */
#include "case.h"
#include "core/proof.h"
#include "nft/encode.h"
#include "nft/read.h"
#include "nft/socket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

enum { SLACK_MS = 60 * 1000 }; /* deadlines come nearer meanwhile */

static void require_memory(bool there)
{
	if (!there)
		die("out of memory");
}

static void print_text(const struct golden_case *g)
{
	char *text = ruleset_text(&g->ruleset, 0);
	require_memory(text != NULL);
	fputs(text, stdout);
	free(text);
}

static void print_bytecode(const struct golden_case *g)
{
	for (size_t c = 0; c < g->ruleset.chains.count; c++) {
		const struct chain *chain = &g->ruleset.chains.items[c];
		for (size_t i = 0; i < chain->count; i++) {
			struct nftnl_rule *rule;
			char text[4096];
			if (nft_encode_rule(chain->name, &chain->items[i], &rule) < 0)
				die("rule %zu of chain %s can't be encoded", i, chain->name);
			nftnl_rule_snprintf(text, sizeof(text), rule, NFTNL_OUTPUT_DEFAULT, 0);
			printf("%s\n", text);
			nftnl_rule_free(rule);
		}
	}
}

static void load(struct golden_case *g)
{
	static const struct ruleset nothing;
	const struct delta_options options = { .exists = false };
	struct nft_socket socket;
	struct delta delta;

	require_memory(delta_compute(&delta, &nothing, &g->ruleset, &options) == 0);
	if (nft_open(&socket, -1) < 0 || nft_commit(&socket, delta.items, delta.count, 0) < 0)
		die("%s", socket.error);
	nft_close(&socket);
	delta_free(&delta);
}

/* Each rule with its handle, and no two with the same. Returns how many differ. */
static int compare_rules(const struct chain *wanted, const struct chain *found)
{
	int differences = 0;

	if (found->altered || found->count != wanted->count) {
		printf("chain %s: %zu rules%s, not %zu\n", wanted->name, found->count,
		       found->altered ? ", not all of our making" : "", wanted->count);
		differences++;
	}
	for (size_t i = 0; i < wanted->count && i < found->count; i++) {
		const struct rule *rule = &found->items[i];
		if (rule_equal(rule, &wanted->items[i]) && rule->handle &&
		    (i == 0 || rule->handle > found->items[i - 1].handle))
			continue;
		printf("chain %s: rule %zu is another one: %zu terms, handle %llu\n", wanted->name, i + 1, rule->count,
		       (unsigned long long)rule->handle);
		differences++;
	}
	return differences;
}

/* It does with all packets what the policy says. */
static void prove(const struct golden_case *g, const struct ruleset *found)
{
	struct proof_result result;

	require_memory(proof_run(&result, &g->policy, &g->environment, found, &g->ruleset) == 0);
	if (result.state != PROOF_EQUAL)
		die("what was read is not proven: chain %s, rule %zu: %s", result.chain ? result.chain : "none",
		    result.rule, result.text);
}

/* by_nft: it was nft that loaded it, who leaves notes of its own in sets. */
static void read_back(struct golden_case *g, bool by_nft)
{
	const struct delta_options options = { .exists = true, .renew_slack_ms = INT64_MAX };
	struct nft_socket socket;
	struct ruleset found;
	struct delta delta;
	struct nft_table_state state;
	int differences = 0;

	if (nft_open(&socket, -1) < 0 || nft_read_table(&socket, &found, 0, &state) < 0)
		die("%s", socket.error);
	nft_close(&socket);
	for (size_t i = 0; i < g->ruleset.chains.count; i++) {
		const struct chain *chain = ruleset_find_chain(&found, g->ruleset.chains.items[i].name);
		if (!chain)
			die("chain %s: is not there", g->ruleset.chains.items[i].name);
		differences += compare_rules(&g->ruleset.chains.items[i], chain);
	}
	require_memory(delta_compute(&delta, &found, &g->ruleset, &options) == 0);
	if (state.foreign != by_nft || differences || delta.count)
		die("what was read is another table:%s %d rules, %zu changes to be sent",
		    state.foreign == by_nft ? "" : " foreign,", differences, delta.count);
	prove(g, &found);
	delta_free(&delta);
	ruleset_free(&found);
}

static bool same_elements(const struct set *wanted, const struct set *found)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const struct element *a = &wanted->items[i], *b = &found->items[i];
		if (memcmp(a->first, b->first, KEY_SIZE_MAX) != 0 || memcmp(a->last, b->last, KEY_SIZE_MAX) != 0 ||
		    a->action != b->action || !a->chain != !b->chain || (a->chain && strcmp(a->chain, b->chain) != 0) ||
		    llabs(a->deadline_ms - b->deadline_ms) > SLACK_MS)
			return false;
	}
	return true;
}

static void compare_table(const char *when, const struct ruleset *wanted, const struct ruleset *found)
{
	if (found->sets.count != wanted->sets.count || found->chains.count != wanted->chains.count ||
	    found->counters.count != wanted->counters.count)
		die("%s: %zu sets, %zu chains, %zu counters, and not %zu, %zu, %zu", when, found->sets.count,
		    found->chains.count, found->counters.count, wanted->sets.count, wanted->chains.count,
		    wanted->counters.count);
	for (size_t i = 0; i < wanted->sets.count; i++) {
		const struct set *a = &wanted->sets.items[i], *b = ruleset_find_set(found, a->name);
		if (!b || a->type != b->type || a->flags != b->flags || a->size != b->size || a->count != b->count ||
		    !same_elements(a, b))
			die("%s: set %s is another one", when, a->name);
	}
	for (size_t i = 0; i < wanted->chains.count; i++) {
		const struct chain *a = &wanted->chains.items[i], *b = ruleset_find_chain(found, a->name);
		if (!b || a->hook != b->hook || a->priority != b->priority || a->nat != b->nat || b->altered ||
		    !chain_rules_equal(a, b))
			die("%s: chain %s is another one", when, a->name);
	}
}

/* Sends the first so many ops, but for those that were sent before, and compares what comes of it. */
static void send_part(const char *when, struct nft_socket *socket, const struct ruleset *old, const struct delta *delta,
		      size_t sent, size_t count)
{
	struct ruleset wanted, found;
	struct nft_table_state state;

	if (count > sent && nft_commit(socket, delta->items + sent, count - sent, 0) < 0)
		die("%s: %s", when, socket->error);
	require_memory(delta_apply(&wanted, old, delta->items, count) == 0);
	if (nft_read_table(socket, &found, 0, &state) < 0 || state.foreign)
		die("%s: %s", when, state.foreign ? "foreign" : socket->error);
	compare_table(when, &wanted, &found);
	ruleset_free(&found);
	delta_applied_free(&wanted);
}

static void change(struct golden_case *old, const char *conf)
{
	struct delta_options options = { .exists = true };
	static struct golden_case new;
	struct nft_socket socket;
	struct delta delta;

	golden_case_make(&new, conf);
	load(old);
	int r = delta_compute(&delta, &old->ruleset, &new.ruleset, &options);
	if (r == -EUCLEAN) {
		options.replace = true;
		r = delta_compute(&delta, &old->ruleset, &new.ruleset, &options);
	}
	require_memory(r == 0);
	if (nft_open(&socket, -1) < 0)
		die("%s", socket.error);
	if (delta.prepare)
		send_part("prepared", &socket, &old->ruleset, &delta, 0, delta.prepare);
	send_part("changed", &socket, &old->ruleset, &delta, delta.prepare, delta.count);
	nft_close(&socket);
	delta_free(&delta);
	golden_case_free(&new);
}

int main(int argc, char **argv)
{
	bool two = argc == 4 && strcmp(argv[1], "change") == 0;
	struct golden_case g;

	if (!two && argc != 3)
		die("usage: golden text|bytecode|load|read|read-nft FILE.conf, or golden change FILE.conf OTHER.conf");
	golden_case_make(&g, argv[2]);
	if (strcmp(argv[1], "text") == 0)
		print_text(&g);
	else if (strcmp(argv[1], "bytecode") == 0)
		print_bytecode(&g);
	else if (strcmp(argv[1], "load") == 0)
		load(&g);
	else if (strcmp(argv[1], "read") == 0 || strcmp(argv[1], "read-nft") == 0)
		read_back(&g, strcmp(argv[1], "read-nft") == 0);
	else if (two)
		change(&g, argv[3]);
	else
		die("unknown: %s", argv[1]);
	golden_case_free(&g);
	return EXIT_SUCCESS;
}
