/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NET_ENVIRONMENT_H
#define SPEFW_NET_ENVIRONMENT_H

/* What compile() and the judge of other tables need to know of this gateway's interfaces. */

#include "core/compile.h"
#include "net/links.h"

struct environment_store {
	struct interface_list *roles; /* one a role of the policy */
	size_t count;
	struct interface_list towards, own, resolvers;
	struct ranges broadcasts;
	struct interface_list *peers; /* one a flow: by which interfaces its peers come; none: by any. NULL: not read */
	size_t flow_count;
};

/* 0 or a negative errno; environment_free() must follow in any case. */
int environment_read(struct links *links, const struct policy *policy, struct environment_store *ret);
/* And peers, of that which was read. Likewise. */
int environment_read_peers(struct links *links, const struct policy *policy, struct environment_store *store);
void environment_free(struct environment_store *store);
/* It points into these: valid as long as they are. */
struct environment environment_of(const struct environment_store *store, const struct ranges *gateway,
				  const struct names_view *names);

#endif
