/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_PLACES_H
#define SPEFW_NFT_PLACES_H

/* Where a rule finds the fields that it looks at: rule.c writes such rules, decode.c reads them. */

#include "core/ruleset.h"

struct nft_place {
	enum { IN_NETWORK, IN_TRANSPORT, IN_META, IN_CT, IN_FIB, IN_EXTENSION } where;
	uint32_t offset_or_key;
	uint8_t nfproto, l4proto; /* asserted before it can be read; 0: nothing */
};

/* By enum field; those of several fields (FIELD_IP_TARGET_FIRST and what follows) have none. */
extern const struct nft_place nft_places[FIELDS];

/* Whether it is compared with a value; not those that say themselves what is looked for, nor those of several. */
bool nft_has_operand(enum field field);

/* Where in an IPv6 routing header the number of segments is that are left. */
enum { SEGMENTS_LEFT_AT = 3 };

#endif
