/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ENVIRONMENT_H
#define SPEFW_ENVIRONMENT_H

/* What is to be known of the gateway, beside the policy, to say what becomes of a packet. */

#include "policy.h"

/* The interfaces behind which a protected role lives. None: unknown, or not to be guarded; then no rule looks at
 * interfaces. */
struct interface_list {
	char (*names)[CONFIG_INTERFACE_MAX + 1];
	size_t count;
};

struct environment {
	const struct ranges *gateway;                 /* the gateway's own addresses, normalised */
	const struct interface_list *role_interfaces; /* one a policy role, same index */
	const struct names_view *names;
	struct interface_list towards;          /* the interfaces that routes to any protected address leave by */
	struct interface_list own_interfaces;   /* by which packets of the gateway's own come in, besides lo */
	const struct ranges *broadcasts;        /* of networks that hold a protected address, normalised; NULL: none */
	const struct interface_list *resolvers; /* the interfaces that lead to the server's resolvers; NULL: none */
};

#endif
