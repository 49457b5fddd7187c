/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes of a configuration what the daemon would, in environment that never change:
 *   golden text FILE.conf      the ruleset in nft's words
 *   golden bytecode FILE.conf  its rules as the kernel gets them, printed as `nft --debug=netlink` does
 *   golden load FILE.conf      nothing is printed: the table is loaded into the kernel of this network namespace
 *   golden read FILE.conf      that table is read back, and must be the ruleset, term by term; what differs is printed
 */
#include "case.h"
#include "nft/encode.h"
#include "nft/read.h"
#include "nft/socket.h"

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
			struct nftnl_rule *rule = nft_encode_rule(chain->name, &chain->items[i]);
			char text[4096];
			require_memory(rule != NULL);
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

/* by_nft: it was nft that loaded it, who leaves notes of its own in sets. */
static void read_back(struct golden_case *g, bool by_nft)
{
	const struct delta_options options = { .exists = true, .renew_slack_ms = INT64_MAX };
	struct nft_socket socket;
	struct ruleset found;
	struct delta delta;
	bool foreign;
	int differences = 0;

	if (nft_open(&socket, -1) < 0 || nft_read_table(&socket, &found, 0, &foreign) < 0)
		die("%s", socket.error);
	nft_close(&socket);
	for (size_t i = 0; i < g->ruleset.chains.count; i++) {
		const struct chain *chain = ruleset_find_chain(&found, g->ruleset.chains.items[i].name);
		if (!chain)
			die("chain %s: is not there", g->ruleset.chains.items[i].name);
		differences += compare_rules(&g->ruleset.chains.items[i], chain);
	}
	require_memory(delta_compute(&delta, &found, &g->ruleset, &options) == 0);
	if (foreign != by_nft || differences || delta.count)
		die("what was read is another table:%s %d rules, %zu changes to be sent",
		    foreign == by_nft ? "" : " foreign,", differences, delta.count);
	delta_free(&delta);
	ruleset_free(&found);
}

int main(int argc, char **argv)
{
	struct golden_case g;

	if (argc != 3 || strlen(argv[2]) <= strlen(".conf"))
		die("usage: golden text|bytecode|load|read|read-nft FILE.conf");
	golden_case_make(&g, argv[2]);
	if (strcmp(argv[1], "text") == 0)
		print_text(&g);
	else if (strcmp(argv[1], "bytecode") == 0)
		print_bytecode(&g);
	else if (strcmp(argv[1], "load") == 0)
		load(&g);
	else if (strcmp(argv[1], "read") == 0 || strcmp(argv[1], "read-nft") == 0)
		read_back(&g, strcmp(argv[1], "read-nft") == 0);
	else
		die("unknown: %s", argv[1]);
	golden_case_free(&g);
	return EXIT_SUCCESS;
}
