/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RULE_PARSING_H
#define SPEFW_RULE_PARSING_H

/* What the readers of other programs' rules share: nftables' expressions, iptables' matches and targets. */

#include "core/foreign.h"

enum { SLOTS = 20 }; /* registers in units of 4 bytes; the first four are the verdict's */

struct content {
	enum {
		HOLDS_UNKNOWN,
		HOLDS_HEADER,
		HOLDS_FIELD,
		HOLDS_LINK_INDEX,
		HOLDS_ETHERTYPE,
		HOLDS_LOCAL,
		HOLDS_WAY_BACK,
		HOLDS_VALUE
	} kind;
	enum rule_field field;          /* HOLDS_FIELD, HOLDS_LINK_INDEX */
	uint32_t base, offset, length;  /* HOLDS_HEADER; length: of a value, too */
	uint8_t bytes[FOREIGN_KEY_MAX]; /* HOLDS_VALUE: it; else, with masked, which bits are left */
	bool masked;
};

struct parsing {
	struct foreign_tables *tables;
	struct foreign_rule rule;
	struct content slots[SLOTS];
	unsigned table_family;
	const char *table;
	uint8_t family; /* 4 or 6, where it is known */
	int error;
};

void add_condition(struct parsing *p, const struct rule_condition *condition);
void add_interval(struct parsing *p, enum rule_field field, bool negate, const void *first, const void *last);
void add_bits(struct parsing *p, enum rule_field field, bool negate, const void *mask, const void *value);
void add_word_bits(struct parsing *p, enum rule_field field, bool some, uint32_t bits);
void add_byte(struct parsing *p, enum rule_field field, bool negate, uint8_t value);
void set_target(struct parsing *p, uint8_t family, const void *bytes);
void do_effect(struct parsing *p, enum effect effect, enum way way);

/* A match or target of iptables, as it comes (xt_rule.c). */
void xt_take_match(struct parsing *p, const char *name, uint32_t revision, const uint8_t *info, uint32_t length);
void xt_take_target(struct parsing *p, const char *name, uint32_t revision, const uint8_t *info, uint32_t length);

#endif
