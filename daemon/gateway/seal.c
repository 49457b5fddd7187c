/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/seal.h"
#include "clock.h"
#include "core/compile.h"
#include "core/fate_text.h"
#include "core/proof.h"
#include "core/ruleset_compare.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const seal_state_words[SEAL_STATES] = { "none", "equal", "differs", "not-proven" };

struct seal {
	struct seal_finding last, held, refused;
	bool is_refused;
	uint64_t proofs, refusals;
};

int seal_new(struct seal **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void seal_free(struct seal *seal)
{
	free(seal);
}

const struct seal_finding *seal_doubt(struct seal *seal, const char *why)
{
	seal->last = (struct seal_finding){ .state = SEAL_UNPROVEN };
	snprintf(seal->last.why, sizeof(seal->last.why), "%s", why);
	return &seal->last;
}

static void name_rule(const struct ruleset *ruleset, const struct proof_result *result, struct seal_finding *ret)
{
	if (!result->chain)
		return;
	const struct chain *chain = ruleset_find_chain(ruleset, result->chain);
	snprintf(ret->chain, sizeof(ret->chain), "%s", result->chain);
	ret->rule = result->rule;
	if (chain && result->rule < chain->count)
		ret->handle = chain->items[result->rule].handle;
}

static void describe(const struct ruleset *ruleset, const struct proof_result *result, struct seal_finding *ret)
{
	name_rule(ruleset, result, ret);
	snprintf(ret->why, sizeof(ret->why), "%s", result->text);
	if (!result->has_packet)
		return;
	size_t length = result->is_established ? sizeof("established ") - 1 : 0;
	memcpy(ret->packet, "established ", length);
	fate_packet_text(&result->packet, result->stage, ret->packet + length, sizeof(ret->packet) - length);
	fate_text(&result->wanted, ret->wanted, sizeof(ret->wanted));
	fate_text(&result->found, ret->found, sizeof(ret->found));
	ret->line = result->wanted.flow ? result->wanted.flow->line : 0;
	ret->found_line = result->found.flow ? result->found.flow->line : 0;
}

const struct seal_finding *seal_prove(struct seal *seal, const struct policy *policy,
				      const struct environment *environment, const struct ruleset *wanted,
				      const struct ruleset *ruleset)
{
	struct proof_result result;

	if (!ruleset)
		return seal_doubt(seal, "what the table would be could not be worked out");
	int64_t began = processor_us();
	int r = proof_run(&result, policy, environment, ruleset, wanted);
	malloc_trim(0); /* it takes more than all the rest of the daemon, for a moment */
	if (r < 0 || result.state == PROOF_FAILED)
		return seal_doubt(seal, r < 0 ? strerror(-r) : result.text);
	seal->last = (struct seal_finding){ .state = result.state == PROOF_EQUAL ? SEAL_EQUAL : SEAL_DIFFERS,
					    .cells = result.cells,
					    .took_us = processor_us() - began };
	seal->proofs++;
	if (result.state == PROOF_DIFFERS)
		describe(ruleset, &result, &seal->last);
	return &seal->last;
}

static const struct seal_finding *find_difference(struct seal *seal, const char *what, const char *name)
{
	seal->last = (struct seal_finding){ .state = name ? SEAL_DIFFERS : SEAL_EQUAL };
	if (name)
		snprintf(seal->last.why, sizeof(seal->last.why), what, name);
	return &seal->last;
}

const struct seal_finding *seal_prove_preparation(struct seal *seal, const struct ruleset *before,
						  const struct ruleset *after)
{
	if (!after)
		return seal_doubt(seal, "what the table would be could not be worked out");
	return find_difference(seal, "the first part of the change would alter %s",
			       ruleset_find_altered(before, after));
}

/* Both ascend. */
static bool holds(const struct set *set, const struct name_addresses *list, enum family family)
{
	bool same = set->count == list->count;

	for (size_t i = 0; same && i < set->count; i++)
		same = memcmp(set->items[i].first, list->items[i].addr.bytes, addr_size(family)) == 0;
	return same;
}

const struct seal_finding *seal_prove_names(struct seal *seal, const struct policy *policy,
					    const struct names_view *names, const struct ruleset *sets)
{
	char base[NAME_SET_MAX], name[NAME_SET_MAX + 2];

	for (size_t i = 0; i < policy->name_count && i < names->count; i++) {
		name_set(policy->names[i].name, base);
		for (enum family family = 0; family < FAMILIES; family++) {
			snprintf(name, sizeof(name), "%s_%c", base, family == FAMILY_4 ? '4' : '6');
			const struct set *set = ruleset_find_set(sets, name);
			if (set && !holds(set, &names->names[i][family], family))
				return find_difference(seal, "the set %s would not hold the addresses of its name",
						       name);
		}
	}
	return find_difference(seal, "", NULL);
}

enum { LINE_TEXT_MAX = 32 };

static const char *line_text(unsigned line, char text[LINE_TEXT_MAX])
{
	text[0] = '\0';
	if (line)
		snprintf(text, LINE_TEXT_MAX, " (line %u)", line);
	return text;
}

const char *seal_text(const struct seal_finding *finding, char text[SEAL_LINE_MAX])
{
	char line[LINE_TEXT_MAX], found_line[LINE_TEXT_MAX], rule[SEAL_TEXT_MAX + 64] = "";

	if (!finding->packet[0]) {
		snprintf(text, SEAL_LINE_MAX, "%s", finding->why);
		return text;
	}
	if (finding->chain[0])
		snprintf(rule, sizeof(rule), " (chain %s, rule %zu)", finding->chain, finding->rule + 1);
	snprintf(text, SEAL_LINE_MAX, "%.200s: by the policy %.200s%s, by the table %.200s%s%.150s", finding->packet,
		 finding->wanted, line_text(finding->line, line), finding->found,
		 line_text(finding->found_line, found_line), rule);
	return text;
}

static bool is_another(const struct seal_finding *a, const struct seal_finding *b)
{
	return a->state != b->state || strcmp(a->packet, b->packet) != 0 || strcmp(a->why, b->why) != 0;
}

bool seal_hold(struct seal *seal)
{
	bool news = is_another(&seal->held, &seal->last);

	seal->held = seal->last;
	seal->is_refused = false;
	return news;
}

bool seal_refuse(struct seal *seal)
{
	bool news = !seal->is_refused || is_another(&seal->refused, &seal->last);

	seal->refused = seal->last;
	seal->is_refused = true;
	seal->refusals++;
	return news;
}

void seal_forget(struct seal *seal)
{
	seal->held = (struct seal_finding){ .state = SEAL_NONE };
	seal->is_refused = false;
}

struct seal_figures seal_figures(const struct seal *seal)
{
	return (struct seal_figures){ .held = &seal->held,
				      .refused = seal->is_refused ? &seal->refused : NULL,
				      .proofs = seal->proofs,
				      .refusals = seal->refusals };
}

void seal_reasons(const struct seal *seal, enum proof_mode mode, struct health *health)
{
	const struct seal_finding *held = &seal->held, *refused = &seal->refused;

	if (held->state == SEAL_DIFFERS)
		health_add(health, mode == PROOF_REPORT ? HEALTH_PROOF_REPORTED : HEALTH_PROOF_DIFFERS,
			   "the table is not the policy: %s", held->packet[0] ? held->packet : held->why);
	if (held->state == SEAL_UNPROVEN)
		health_add(health, HEALTH_NOT_PROVEN, "whether the table is the policy could not be proven: %s",
			   held->why);
	if (seal->is_refused)
		health_add(health, HEALTH_PROOF_REFUSED,
			   "a change was refused: the table would not have been the policy: %s",
			   refused->packet[0] ? refused->packet : refused->why);
}
