/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DROP_SEEN_H
#define SPEFW_DROP_SEEN_H

/* How often a connection like this one was denied of late. */

#include "drop_table.h"

struct drop_seen {
	uint64_t count;  /* copies; of a row of many ports or targets: of all of it */
	int64_t last_ms; /* of the last one; of such a row: not before it */
	bool spread;     /* it is one of many ports or targets that this source tried */
};

/* False: none is remembered. The source's port does not matter. */
bool drop_seen(const struct drop_table *table, const struct packet *packet, struct drop_seen *ret);

#endif
