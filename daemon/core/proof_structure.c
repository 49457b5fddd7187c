/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What no packet shows, or shows at once only: compared with the ruleset that is wanted. Sets, chains and counters that
 * are wanted have to be there, in the same form; base chains no others. What else is there can't hurt: nothing leads
 * to it. */

uint32_t stage_chain(const struct ruleset *ruleset, enum fate_stage stage)
{
	static const enum hook hooks[STAGES] = {
		[STAGE_EARLY] = HOOK_PREROUTING, [STAGE_PIN] = HOOK_PREROUTING, [STAGE_FORWARD] = HOOK_FORWARD,
		[STAGE_INPUT] = HOOK_INPUT,      [STAGE_OUTPUT] = HOOK_OUTPUT,
	};

	for (size_t i = 0; i < ruleset->chains.count; i++)
		if (ruleset->chains.items[i].hook == hooks[stage] &&
		    ruleset->chains.items[i].nat == (stage == STAGE_PIN))
			return (uint32_t)i;
	return NOWHERE;
}

static bool differs(struct proof_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool differs(struct proof_result *result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(result->text, sizeof(result->text), format, arguments);
	va_end(arguments);
	result->state = PROOF_DIFFERS;
	return false;
}

static bool sets_equal(const struct ruleset *found, const struct ruleset *wanted, struct proof_result *result)
{
	for (size_t i = 0, at = 0; i < wanted->sets.count; i++) {
		const struct set *a = &wanted->sets.items[i], *b = ruleset_next_set(found, a->name, &at);
		if (a->retired)
			continue;
		if (!b)
			return differs(result, "set %s is not there", a->name);
		if (a->type != b->type || a->flags != b->flags || a->size != b->size)
			return differs(result, "set %s has another type, other flags or another size", a->name);
	}
	return true;
}

static bool counters_equal(const struct ruleset *found, const struct ruleset *wanted, struct proof_result *result)
{
	for (size_t i = 0, at = 0; i < wanted->counters.count; i++)
		if (!ruleset_next_counter(found, wanted->counters.items[i], &at))
			return differs(result, "counter %s is not there", wanted->counters.items[i]);
	return true;
}

static bool is_literal(const struct rule *rule)
{
	for (size_t i = 0; i < rule->count; i++)
		if (rule->items[i].kind == TERM_LIMIT || rule->items[i].kind == TERM_LOG)
			return true;
	return false;
}

/* Rules with limits and copies: the same ones, in the same order. */
static bool chain_copies_equal(const struct chain *found, const struct chain *wanted, struct proof_result *result)
{
	for (size_t i = 0, j = 0;; i++, j++) {
		while (i < wanted->count && !is_literal(&wanted->items[i]))
			i++;
		while (j < found->count && !is_literal(&found->items[j]))
			j++;
		bool none = i == wanted->count;
		if (none && j == found->count)
			return true;
		result->chain = found->name;
		result->rule = j < found->count ? j : 0;
		if (none || j == found->count || !rule_equal(&wanted->items[i], &found->items[j]))
			return differs(result, "chain %s limits or copies other packets, or otherwise", found->name);
		result->chain = NULL;
	}
}

static bool chains_equal(const struct ruleset *found, const struct ruleset *wanted, struct proof_result *result)
{
	for (size_t i = 0, at = 0; i < wanted->chains.count; i++) {
		const struct chain *a = &wanted->chains.items[i], *b = ruleset_next_chain(found, a->name, &at);
		if (!b)
			return differs(result, "chain %s is not there", a->name);
		if (a->hook != b->hook || a->nat != b->nat || (a->hook != HOOK_NONE && a->priority != b->priority))
			return differs(result, "chain %s has another hook, type or priority", a->name);
		if (b->altered) {
			result->chain = b->name;
			return differs(result, "chain %s has rules of another program's making", b->name);
		}
		if (!chain_copies_equal(b, a, result))
			return false;
	}
	for (size_t i = 0; i < found->chains.count; i++) {
		const struct chain *b = &found->chains.items[i];
		if (b->hook != HOOK_NONE && !ruleset_find_chain(wanted, b->name))
			return differs(result, "base chain %s is not wanted", b->name);
	}
	return true;
}

bool structure_equal(const struct ruleset *found, const struct ruleset *wanted, struct proof_result *result)
{
	return counters_equal(found, wanted, result) && sets_equal(found, wanted, result) &&
	       chains_equal(found, wanted, result);
}
