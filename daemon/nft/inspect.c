/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/inspect.h"
#include "core/compile.h"

#include <stdio.h>

/* It guards where protected addresses lead to their flows and the hooks are there; with a statement of somebody else's
 * in a set, who knows. */
static bool table_guards(const struct ruleset *table)
{
	static const char *const hooks[] = { "forward", "input", "output" };
	bool addresses = false;

	for (size_t i = 0; i < 3; i++) {
		const struct chain *chain = ruleset_find_chain(table, hooks[i]);
		if (!chain || chain->hook == HOOK_NONE)
			return false;
	}
	for (enum family family = 0; family < FAMILIES; family++) {
		const struct set *map =
			ruleset_find_set(table, family == FAMILY_4 ? "protected_dst_4" : "protected_dst_6");
		addresses |= map && map->count > 0;
	}
	return addresses;
}

static bool has_foreign_rules(const struct ruleset *table)
{
	for (size_t i = 0; i < table->chains.count; i++)
		if (table->chains.items[i].altered)
			return true;
	return false;
}

/* What its deny chain ends with. */
static bool table_audits(const struct ruleset *table)
{
	const struct chain *deny = ruleset_find_chain(table, "deny_in");
	const struct rule *last = deny && deny->count ? &deny->items[deny->count - 1] : NULL;

	return last && last->count && last->items[last->count - 1].kind == TERM_ACTION &&
	       last->items[last->count - 1].action == ACTION_ACCEPT;
}

int nft_inspect(struct nft_inspection *ret)
{
	struct nft_table_state state = { .foreign = false };
	struct nft_socket nft;

	*ret = (struct nft_inspection){ 0 };
	int r = nft_open(&nft, -1);
	if (r == 0)
		r = nft_read_info(&nft, &ret->info);
	if (r == 0 && ret->info.exists)
		r = nft_read_table(&nft, &ret->table, 0, &state);
	if (r == 0 && ret->info.exists) {
		ret->foreign = state.foreign || has_foreign_rules(&ret->table);
		ret->guards = !ret->foreign && table_guards(&ret->table);
		ret->audit = ret->guards && table_audits(&ret->table);
	}
	snprintf(ret->error, sizeof(ret->error), "%s", r < 0 ? nft.error : "");
	nft_close(&nft);
	return r;
}
