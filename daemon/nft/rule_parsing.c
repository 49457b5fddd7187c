/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/rule_parsing.h"
#include "core/array.h"

#include <errno.h>
#include <string.h>

void add_condition(struct parsing *p, const struct rule_condition *condition)
{
	if (ARRAY_PUSH(&p->tables->conditions, *condition) < 0)
		p->error = -ENOMEM;
	else
		p->rule.condition_count++;
}

void add_interval(struct parsing *p, enum rule_field field, bool negate, const void *first, const void *last)
{
	struct rule_condition condition = { .field = (uint8_t)field, .negate = negate };

	memcpy(condition.first, first, rule_field_size(field));
	memcpy(condition.last, last, rule_field_size(field));
	add_condition(p, &condition);
	if (field == RULE_FAMILY && !negate)
		p->family = condition.first[0];
}

/* The field's bits of mask are those of value. */
void add_bits(struct parsing *p, enum rule_field field, bool negate, const void *mask, const void *value)
{
	struct rule_condition condition = { .field = (uint8_t)field, .negate = negate, .masked = true };

	memcpy(condition.first, mask, rule_field_size(field));
	memcpy(condition.last, value, rule_field_size(field));
	add_condition(p, &condition);
}

/* Some of these bits are set, or none. */
void add_word_bits(struct parsing *p, enum rule_field field, bool some, uint32_t bits)
{
	static const uint32_t none;
	add_bits(p, field, some, &bits, &none);
}

void add_byte(struct parsing *p, enum rule_field field, bool negate, uint8_t value)
{
	add_interval(p, field, negate, &value, &value);
}

void set_target(struct parsing *p, uint8_t family, const void *bytes)
{
	p->rule.has_target = true;
	p->rule.target = (struct addr){ .family = family == 4 ? FAMILY_4 : FAMILY_6 };
	memcpy(p->rule.target.bytes, bytes, family == 4 ? 4 : 16);
}

void do_effect(struct parsing *p, enum effect effect, enum way way)
{
	p->rule.effect = (uint8_t)effect;
	if (p->rule.way == WAY_ON)
		p->rule.way = (uint8_t)way;
}
