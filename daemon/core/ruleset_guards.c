/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset_guards.h"

static bool has_hooks(const struct ruleset *ruleset)
{
	static const char *const hooks[] = { "forward", "input", "output" };

	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		const struct chain *chain = ruleset_find_chain(ruleset, hooks[i]);
		if (!chain || chain->hook == HOOK_NONE)
			return false;
	}
	return true;
}

/* compile() makes no chain without rules but for those ahead of forward, input and output, which it leaves empty in
 * audit mode; none of these keeps anybody out whom the others would let in. */
static bool has_rules(const struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->chains.count; i++) {
		const struct chain *chain = &ruleset->chains.items[i];
		if ((!chain->count && chain->hook != HOOK_PREROUTING) || chain->altered)
			return false;
	}
	return true;
}

static bool has_addresses(const struct ruleset *ruleset)
{
	static const char *const maps[] = { "protected_dst_4", "protected_dst_6" };
	bool any = false;

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		const struct set *map = ruleset_find_set(ruleset, maps[i]);
		any |= map && map->count;
	}
	return any;
}

bool ruleset_guards(const struct ruleset *ruleset)
{
	return has_hooks(ruleset) && has_rules(ruleset) && has_addresses(ruleset);
}

bool ruleset_audits(const struct ruleset *ruleset)
{
	const struct chain *deny = ruleset_find_chain(ruleset, "deny_in");
	const struct rule *last = deny && deny->count ? &deny->items[deny->count - 1] : NULL;

	return last && last->count && last->items[last->count - 1].kind == TERM_ACTION &&
	       last->items[last->count - 1].action == ACTION_ACCEPT;
}
