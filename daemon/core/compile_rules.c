/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <string.h>

/* Rules, term by term. */

bool ranges_have(const struct ranges *ranges, enum family family)
{
	const struct range *last;
	return ranges_of(ranges, family, &last) > 0;
}

size_t ranges_of(const struct ranges *ranges, enum family family, const struct range **ret_last)
{
	size_t count = 0;

	*ret_last = NULL;
	for (size_t i = 0; i < ranges->count; i++) {
		if (ranges->items[i].first.family == family) {
			*ret_last = &ranges->items[i];
			count++;
		}
	}
	return count;
}

void add_ranges(struct compiler *c, struct set *set, const struct ranges *ranges, enum family family,
		enum action action, const char *chain)
{
	for (size_t i = 0; i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];
		struct element element = { .action = action, .chain = chain };
		if (range->first.family != family)
			continue;
		memcpy(element.first, range->first.bytes, addr_size(family));
		memcpy(element.last, range->last.bytes, addr_size(family));
		set_add(c->out, set, &element);
	}
}

void rule_in(struct compiler *c, struct rule *rule, enum field field, bool negate, const char *set)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_IN, .field = field, .negate = negate, .name = set });
}

void rule_map(struct compiler *c, struct rule *rule, enum field field, const char *map)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MAP, .field = field, .name = map });
}

void rule_range(struct compiler *c, struct rule *rule, enum field field, const struct range *range)
{
	struct term term = { .kind = TERM_MATCH, .field = field };
	memcpy(term.first, range->first.bytes, KEY_SIZE_MAX);
	memcpy(term.last, range->last.bytes, KEY_SIZE_MAX);
	rule_add(c->out, rule, &term);
}

void rule_byte(struct compiler *c, struct rule *rule, enum field field, uint8_t value)
{
	rule_add(c->out, rule,
		 &(struct term){ .kind = TERM_MATCH, .field = field, .first = { value }, .last = { value } });
}

void rule_port(struct compiler *c, struct rule *rule, enum field field, uint16_t port)
{
	uint8_t high = (uint8_t)(port >> 8), low = (uint8_t)port;
	rule_add(c->out, rule,
		 &(struct term){
			 .kind = TERM_MATCH, .field = (uint8_t)field, .first = { high, low }, .last = { high, low } });
}

void rule_bits(struct compiler *c, struct rule *rule, enum field field, uint32_t bits)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = field, .bits = bits });
}

void rule_opens_nothing(struct compiler *c, struct rule *rule)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_TCP_SYN_ACK, .negate = true });
}

void rule_counter(struct compiler *c, struct rule *rule, const char *counter)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_COUNTER, .name = counter });
}

void rule_log(struct compiler *c, struct rule *rule, const char *prefix)
{
	rule_add(c->out, rule,
		 &(struct term){
			 .kind = TERM_LOG, .name = prefix, .group = c->policy->log_group, .snaplen = LOG_SNAPLEN });
}

void rule_limited_log(struct compiler *c, struct rule *rule, enum log_rate rate, const char *prefix)
{
	rule_add(c->out, rule,
		 &(struct term){
			 .kind = TERM_LIMIT, .rate = rate, .burst = rate == NAME_DENIAL_RATE ? rate : 2 * rate });
	rule_log(c, rule, prefix);
}

void rule_action(struct compiler *c, struct rule *rule, enum action action, const char *chain)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_ACTION, .action = action, .name = chain });
}

void rule_pin(struct compiler *c, struct rule *rule, enum family family)
{
	rule_add(c->out, rule, &(struct term){ .kind = TERM_PIN, .field = (uint8_t)daddr_field(family) });
}

void rule_drop(struct compiler *c, struct rule *rule)
{
	rule_action(c, rule, c->policy->mode == MODE_AUDIT ? ACTION_ACCEPT : ACTION_DROP, NULL);
}

void rule_reset(struct compiler *c, struct rule *rule)
{
	rule_action(c, rule, c->policy->mode == MODE_AUDIT ? ACTION_ACCEPT : ACTION_RESET, NULL);
}
