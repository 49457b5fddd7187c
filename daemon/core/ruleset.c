/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset.h"
#include "array.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ruleset_string(struct ruleset *ruleset, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		ruleset->failed = true;
		return NULL;
	}
	if (ARRAY_PUSH(&ruleset->strings, text) < 0) {
		free(text);
		ruleset->failed = true;
		return NULL;
	}
	return text;
}

void ruleset_counter(struct ruleset *ruleset, const char *name)
{
	if (!name || ARRAY_PUSH(&ruleset->counters, name) < 0)
		ruleset->failed = true;
}

struct set *ruleset_set(struct ruleset *ruleset, const char *name, enum key_type type, unsigned flags)
{
	if (!name || ARRAY_PUSH(&ruleset->sets, (struct set){ .name = name, .type = type, .flags = flags }) < 0) {
		ruleset->failed = true;
		return NULL;
	}
	return &ruleset->sets.items[ruleset->sets.count - 1];
}

struct chain *ruleset_chain(struct ruleset *ruleset, const char *name)
{
	if (!name || ARRAY_PUSH(&ruleset->chains, (struct chain){ .name = name }) < 0) {
		ruleset->failed = true;
		return NULL;
	}
	return &ruleset->chains.items[ruleset->chains.count - 1];
}

void set_add(struct ruleset *ruleset, struct set *set, const struct element *element)
{
	if (!set || ARRAY_PUSH(set, *element) < 0)
		ruleset->failed = true;
}

struct rule *chain_rule(struct ruleset *ruleset, struct chain *chain)
{
	if (!chain || ARRAY_PUSH(chain, (struct rule){ 0 }) < 0) {
		ruleset->failed = true;
		return NULL;
	}
	return &chain->items[chain->count - 1];
}

void rule_add(struct ruleset *ruleset, struct rule *rule, const struct term *term)
{
	if (!rule || ARRAY_PUSH(rule, *term) < 0)
		ruleset->failed = true;
}

/* What is asked for is mostly what was added last. */
struct set *ruleset_find_set(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = ruleset->sets.count; i-- > 0;)
		if (strcmp(ruleset->sets.items[i].name, name) == 0)
			return &ruleset->sets.items[i];
	return NULL;
}

struct chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = ruleset->chains.count; i-- > 0;)
		if (strcmp(ruleset->chains.items[i].name, name) == 0)
			return &ruleset->chains.items[i];
	return NULL;
}

bool ruleset_has_counter(const struct ruleset *ruleset, const char *name)
{
	return ruleset_next_counter(ruleset, name, &(size_t){ 0 });
}

struct set *ruleset_next_set(const struct ruleset *ruleset, const char *name, size_t *at)
{
	if (*at < ruleset->sets.count && strcmp(ruleset->sets.items[*at].name, name) == 0)
		return &ruleset->sets.items[(*at)++];
	struct set *found = ruleset_find_set(ruleset, name);
	if (found)
		*at = (size_t)(found - ruleset->sets.items) + 1;
	return found;
}

struct chain *ruleset_next_chain(const struct ruleset *ruleset, const char *name, size_t *at)
{
	if (*at < ruleset->chains.count && strcmp(ruleset->chains.items[*at].name, name) == 0)
		return &ruleset->chains.items[(*at)++];
	struct chain *found = ruleset_find_chain(ruleset, name);
	if (found)
		*at = (size_t)(found - ruleset->chains.items) + 1;
	return found;
}

bool ruleset_next_counter(const struct ruleset *ruleset, const char *name, size_t *at)
{
	if (*at < ruleset->counters.count && strcmp(ruleset->counters.items[*at], name) == 0) {
		++*at;
		return true;
	}
	for (size_t i = 0; i < ruleset->counters.count; i++) {
		if (strcmp(ruleset->counters.items[i], name) == 0) {
			*at = i + 1;
			return true;
		}
	}
	return false;
}

/* Unused bytes of a key are zero, so the whole key compares as its size does. */
static int element_order(const void *a, const void *b)
{
	return memcmp(((const struct element *)a)->first, ((const struct element *)b)->first, KEY_SIZE_MAX);
}

int ruleset_finish(struct ruleset *ruleset)
{
	if (ruleset->failed)
		return -ENOMEM;
	for (size_t i = 0; i < ruleset->sets.count; i++) {
		struct set *set = &ruleset->sets.items[i];
		bool sorted = true;
		for (size_t e = 1; e < set->count && sorted; e++)
			sorted = element_order(&set->items[e - 1], &set->items[e]) <= 0;
		if (!sorted)
			qsort(set->items, set->count, sizeof(*set->items), element_order);
	}
	return 0;
}

void ruleset_free(struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->sets.count; i++)
		free(ruleset->sets.items[i].items);
	for (size_t i = 0; i < ruleset->chains.count; i++) {
		struct chain *chain = &ruleset->chains.items[i];
		for (size_t r = 0; r < chain->count; r++)
			free(chain->items[r].items);
		free(chain->items);
	}
	for (size_t i = 0; i < ruleset->strings.count; i++)
		free(ruleset->strings.items[i]);
	free(ruleset->counters.items);
	free(ruleset->sets.items);
	free(ruleset->chains.items);
	free(ruleset->strings.items);
	*ruleset = (struct ruleset){ 0 };
}

size_t key_size(enum key_type type)
{
	static const uint8_t sizes[] = {
		[KEY_IPV4] = 4,        [KEY_IPV6] = 16,    [KEY_PORT] = 2,      [KEY_INTERFACE] = 16,
		[KEY_ICMPV6_TYPE] = 1, [KEY_PROTOCOL] = 1, [KEY_CUT_4] = 4 * 4, [KEY_CUT_6] = 16 + 4 + 16 + 4
	};
	return sizes[type];
}

int element_compare(const struct element *a, const struct element *b, size_t size)
{
	return memcmp(a->first, b->first, size);
}

static bool same_name(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool term_equal(const struct term *a, const struct term *b)
{
	return a->kind == b->kind && a->field == b->field && a->action == b->action && a->negate == b->negate &&
	       memcmp(a->first, b->first, KEY_SIZE_MAX) == 0 && memcmp(a->last, b->last, KEY_SIZE_MAX) == 0 &&
	       a->bits == b->bits && a->rate == b->rate && a->burst == b->burst && a->snaplen == b->snaplen &&
	       a->group == b->group && same_name(a->name, b->name);
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!term_equal(&a->items[i], &b->items[i]))
			return false;
	return true;
}

bool chain_rules_equal(const struct chain *a, const struct chain *b)
{
	if (a->altered || b->altered || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!rule_equal(&a->items[i], &b->items[i]))
			return false;
	return true;
}
