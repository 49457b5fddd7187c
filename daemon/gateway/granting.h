/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_GRANTING_H
#define SPEFW_GATEWAY_GRANTING_H

/* The coordinator's part of grants: given and revoked on request, ended in time, and what all that does to the kernel
 * and to live connections. */

#include "core/grant_view.h"
#include "gateway/gateway.h"

enum { GRANT_WHY_MAX = 300 };

struct grant_result {
	struct grant grant;      /* as it is now, or was */
	struct grant before;     /* the one that it stands for; its flow "": there was none */
	int64_t before_left_ms;  /* what was left of that */
	struct cut_result cut;   /* connections that had gone on by it alone */
	char why[GRANT_WHY_MAX]; /* of -EINVAL: what is wrong, and what would be right */
};

/* Lets an address be on the unprotected side of a flow for so many seconds from now on, also where it may already. 0;
 * -EINVAL: it is refused; -ENOENT: there is no such flow; -ENODEV: the table was removed; or another negative errno,
 * with the error in table_failure(): all is as before then. */
int gateway_grant(struct gateway *gateway, const struct requester *by, const char *flow, const struct addr *addr,
		  int64_t for_s, struct grant_result *ret);
/* 0; -ENOENT: there is no such grant; or another negative errno: the kernel can't be changed now, which is tried
 * again. */
int gateway_revoke(struct gateway *gateway, const struct requester *by, const char *flow, const struct addr *addr,
		   struct grant_result *ret);

/* For reports. Valid until the next event. */
const struct grant_list *gateway_grants(const struct gateway *gateway);
/* As names_view() and names_held_view(), with what flows are granted. */
int gateway_view(const struct gateway *gateway, const struct policy *policy, struct names_view *ret);
int gateway_held_view(const struct gateway *gateway, const struct policy *policy, struct names_view *ret);

#endif
