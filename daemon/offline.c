/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "offline.h"
#include "core/printable.h"
#include "core/compile.h"
#include "net/local_addresses.h"
#include "gateway/grants.h"
#include "nft/inspect.h"
#include "config/policy_file.h"
#include "state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int offline_check(const char *config_path)
{
	struct diags diags = { 0 };
	struct policy_file file;
	struct ranges own = { 0 };

	int r = local_addresses(&own);
	struct policy_source source = { .gateway = r == 0 ? &own : NULL, .programs = true };
	r = policy_file_load(&file, config_path, &source, &diags);
	for (size_t i = 0; i < diags.count; i++) {
		char *text = diag_format(&diags.items[i]);
		fprintf(stderr, "%s\n", text ? text : "out of memory");
		free(text);
	}
	if (r < 0 && !diags_failed(&diags))
		fprintf(stderr, "%s: %s\n", config_path, strerror(-r));
	if (r == 0)
		policy_file_free(&file);
	diags_free(&diags);
	ranges_free(&own);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What is in the kernel; prints it where it can't be read. */
static int find(struct nft_inspection *ret)
{
	int r = nft_inspect(ret);

	if (r < 0)
		fprintf(stderr, "spefwd: %s%s\n", ret->error, r == -EPERM ? " (only root can look)" : "");
	return r;
}

static json_t *protected_list(const struct ruleset *table)
{
	json_t *list = json_array();

	for (enum family family = 0; family < FAMILIES; family++) {
		const struct set *set = ruleset_find_set(table, family == FAMILY_4 ? "protected_4" : "protected_6");
		for (size_t i = 0; set && i < set->count; i++) {
			struct range range = { .first = { .family = family }, .last = { .family = family } };
			char text[RANGE_TEXT_MAX];
			memcpy(range.first.bytes, set->items[i].first, addr_size(family));
			memcpy(range.last.bytes, set->items[i].last, addr_size(family));
			json_array_append_new(list, json_string(range_format(&range, text)));
		}
	}
	return list;
}

static void print_finding(const struct nft_inspection *finding, json_t *protected)
{
	size_t index;
	json_t *one;

	if (!finding->info.exists) {
		puts("table inet " TABLE_NAME " is not loaded: nothing is guarded");
		return;
	}
	printf("table inet " TABLE_NAME " is loaded, layout %d, %zu chain%s, %zu set%s\n", finding->info.layout,
	       finding->table.chains.count, plural(finding->table.chains.count), finding->table.sets.count,
	       plural(finding->table.sets.count));
	if (!finding->guards) {
		puts(finding->foreign ? "whether it guards is not known: it holds what is not of spefw's making, and a "
					"start of spefwd replaces it"
				      : "it does not guard: its hooks or its protected addresses are missing");
		return;
	}
	printf(finding->audit ? "audit mode: it counts, and denies nothing:" : "it guards");
	json_array_foreach(protected, index, one) printf(" %s", json_string_value(one));
	putchar('\n');
}

int offline_inspect(bool json)
{
	struct nft_inspection finding;
	int r = find(&finding);

	if (r < 0)
		return EXIT_FAILURE;
	json_t *protected = protected_list(&finding.table);
	if (json) {
		json_t *out = json_pack("{s:b, s:b, s:b, s:i, s:O, s:s, s:b}", "loaded", finding.info.exists, "guards",
					finding.guards && !finding.audit, "foreign", finding.foreign, "layout",
					finding.info.layout, "protected", protected, "mode",
					finding.audit ? "audit" : "enforce", "owner", finding.info.owner != 0);
		json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(out);
	} else {
		print_finding(&finding, protected);
	}
	json_decref(protected);
	ruleset_free(&finding.table);
	return finding.guards && !finding.audit ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* They would be in force again after a start. */
static int forget_grants(const char *state)
{
	int r = state_remove(state, GRANTS_FILE);

	if (r == 0 || r == -ENOENT)
		return 0;
	fprintf(stderr, "spefwd: the grants in %s can't be removed, and are in force again after a start: %s\n", state,
		strerror(-r));
	return r;
}

int offline_clear(const char *state)
{
	struct op op = { .kind = OP_TABLE_DELETE };
	struct nft_table_info info;
	struct nft_socket nft;

	int r = nft_open(&nft, -1);
	if (r == 0)
		r = nft_read_info(&nft, &info);
	if (r == 0 && info.exists)
		r = nft_commit(&nft, &op, 1, 0);
	if (r == 0)
		puts(info.exists ? "table inet " TABLE_NAME " removed: the server is not guarded any more"
				 : "table inet " TABLE_NAME " is not loaded");
	else
		fprintf(stderr, "spefwd: %s%s\n", nft.error,
			r == -EPERM ? " (root alone may, and not while another daemon owns the table)" : "");
	nft_close(&nft);
	if (r == 0)
		r = forget_grants(state);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
