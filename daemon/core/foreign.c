/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Other tables as they were read, and findings about them: ordered, found, freed, compared, in words. */

static const char *const effect_words[] = { "",      "redirect", "dnat", "tproxy", "dup",     "fwd",
					    "queue", "notrack",  "drop", "policy", "offload", "port" };
static const char *const effect_phrases[] = {
	"",
	"redirects it to this gateway",
	"sends it to another target",
	"hands it to a proxy on this gateway",
	"duplicates it",
	"sends it out past all rules",
	"hands it to a program",
	"exempts it from connection tracking",
	"drops it",
	"drops what it does not accept, as this",
	"takes it past all rules once it is established",
	"translates its port",
};

const char *effect_word(enum effect effect)
{
	return effect_words[effect];
}

const char *finding_word(const struct finding *finding)
{
	return finding->rejects ? "reject" : effect_word(finding->effect);
}

const char *finding_phrase(const struct finding *finding)
{
	if (finding->may)
		return finding->rejects ? "may reject it" : "may drop it";
	return finding->rejects ? "rejects it" : effect_phrases[finding->effect];
}

char *finding_flows(const struct finding *finding, char buffer[FLOWS_TEXT_MAX])
{
	if (finding->flow_count > 1)
		snprintf(buffer, FLOWS_TEXT_MAX, "flow %s and %zu more", finding->flow, finding->flow_count - 1);
	else
		snprintf(buffer, FLOWS_TEXT_MAX, "flow %s", finding->flow);
	return buffer;
}

const char *table_family(unsigned family)
{
	switch (family) {
	case 1: return "inet";
	case 2: return "ip";
	case 3: return "arp";
	case 5: return "netdev";
	case 7: return "bridge";
	case 10: return "ip6";
	default: return "unknown";
	}
}

size_t rule_field_size(enum rule_field field)
{
	static const uint8_t sizes[RULE_FIELDS] = {
		[RULE_FAMILY] = 1,        [RULE_PROTOCOL] = 1,    [RULE_SOURCE_4] = 4,       [RULE_TARGET_4] = 4,
		[RULE_SOURCE_6] = 16,     [RULE_TARGET_6] = 16,   [RULE_SOURCE_PORT] = 2,    [RULE_TARGET_PORT] = 2,
		[RULE_IN_INTERFACE] = 16, [RULE_LOCAL] = 1,       [RULE_OUT_INTERFACE] = 16, [RULE_STATE] = 4,
		[RULE_STATUS] = 4,        [RULE_TARGET_KIND] = 4, [RULE_FLAGS] = 1,          [RULE_PACKET] = 1,
	};
	return sizes[field];
}

static int name_order(unsigned family, const char *table, const char *name, unsigned other_family,
		      const char *foreign_table, const char *other_name)
{
	int order = family != other_family ? (family > other_family) - (family < other_family)
					   : strcmp(table, foreign_table);
	return order ? order : strcmp(name, other_name);
}

static int chain_order(const void *a, const void *b)
{
	const struct foreign_chain *x = a, *y = b;
	return name_order(x->family, x->table, x->name, y->family, y->table, y->name);
}

static int set_order(const void *a, const void *b)
{
	const struct foreign_set *x = a, *y = b;
	return name_order(x->family, x->table, x->name, y->family, y->table, y->name);
}

void foreign_sort(struct foreign_tables *tables)
{
	if (tables->chains.count)
		qsort(tables->chains.items, tables->chains.count, sizeof(*tables->chains.items), chain_order);
	if (tables->sets.count)
		qsort(tables->sets.items, tables->sets.count, sizeof(*tables->sets.items), set_order);
}

size_t foreign_find_chain(const struct foreign_tables *tables, unsigned family, const char *table, const char *name)
{
	struct foreign_chain key = { .family = family, .table = (char *)table, .name = (char *)name }, *found = NULL;
	if (tables->chains.count)
		found = bsearch(&key, tables->chains.items, tables->chains.count, sizeof(key), chain_order);
	return found ? (size_t)(found - tables->chains.items) + 1 : 0;
}

size_t foreign_find_set(const struct foreign_tables *tables, unsigned family, const char *table, const char *name)
{
	struct foreign_set key = { .family = family, .table = (char *)table, .name = (char *)name }, *found = NULL;
	if (tables->sets.count)
		found = bsearch(&key, tables->sets.items, tables->sets.count, sizeof(key), set_order);
	return found ? (size_t)(found - tables->sets.items) + 1 : 0;
}

void foreign_tables_free(struct foreign_tables *tables)
{
	for (size_t i = 0; i < tables->chains.count; i++) {
		free(tables->chains.items[i].table);
		free(tables->chains.items[i].name);
	}
	for (size_t i = 0; i < tables->sets.count; i++) {
		free(tables->sets.items[i].table);
		free(tables->sets.items[i].name);
		free(tables->sets.items[i].items);
	}
	free(tables->chains.items);
	free(tables->rules.items);
	free(tables->conditions.items);
	free(tables->sets.items);
	*tables = (struct foreign_tables){ 0 };
}

bool is_looked_for(unsigned effects, unsigned effect)
{
	return effect != EFFECT_NONE && effects & 1u << effect;
}

bool foreign_do_any(const struct foreign_tables *tables, unsigned effects)
{
	for (size_t i = 0; i < tables->rules.count; i++)
		if (is_looked_for(effects, tables->rules.items[i].effect) ||
		    (effects & EFFECTS_STOP && tables->rules.items[i].way == WAY_MAP))
			return true;
	for (size_t i = 0; i < tables->chains.count && effects & 1 << EFFECT_POLICY; i++)
		if (tables->chains.items[i].drops)
			return true;
	return false;
}

void finding_free(struct finding *finding)
{
	free(finding->table);
	free(finding->chain);
	free(finding->set);
}

void findings_free(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		finding_free(&findings->items[i]);
	free(findings->items);
	*findings = (struct findings){ 0 };
}

bool findings_equal(const struct findings *a, const struct findings *b)
{
	if (a->count != b->count || a->incomplete != b->incomplete)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct finding *x = &a->items[i], *y = &b->items[i];
		if (x->family != y->family || x->handle != y->handle || x->effect != y->effect || x->may != y->may ||
		    x->flow_count != y->flow_count || strcmp(x->table, y->table) != 0 ||
		    strcmp(x->chain, y->chain) != 0 || strcmp(x->flow, y->flow) != 0)
			return false;
	}
	return true;
}
