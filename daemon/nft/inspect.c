/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/inspect.h"
#include "core/ruleset_guards.h"

#include <stdio.h>

static bool has_foreign_rules(const struct ruleset *table)
{
	for (size_t i = 0; i < table->chains.count; i++)
		if (table->chains.items[i].altered)
			return true;
	return false;
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
		ret->guards = !ret->foreign && ruleset_guards(&ret->table);
		ret->audit = ret->guards && ruleset_audits(&ret->table);
	}
	snprintf(ret->error, sizeof(ret->error), "%s", r < 0 ? nft.error : "");
	nft_close(&nft);
	return r;
}
