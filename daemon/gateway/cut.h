/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_CUT_H
#define SPEFW_GATEWAY_CUT_H

/* Connections that the policy denies are cut, and those that were cut stay so: the kernel's sets remember them. What
 * these have no room for waits; until nothing does, a mark in the kernel lets no mid-stream packet pass by an outbound
 * flow. */

#include "core/cut_cause.h"
#include "core/cut_list.h"
#include "core/health.h"
#include "core/policy.h"
#include "net/conntrack.h"
#include "nft/socket.h"

struct cut;

/* socket: the table's, it must live as long. 0 or -ENOMEM. */
int cut_new(struct cut **ret, struct nft_socket *socket);
void cut_free(struct cut *cut); /* NULL: nothing */

/* Connections are to be cut as soon as the kernel has the policy; why is a literal, for the log. */
void cut_require(struct cut *cut, const char *why);
/* Why they are still to be cut; NULL: they are not. */
const char *cut_pending_reason(const struct cut *cut);
/* They were cut a short time ago. A packet that the old rules let pass may have been on its way then, and is tracked
 * only when it leaves: so they are to be cut once more. Why; NULL: that was done. */
const char *cut_repeat_reason(const struct cut *cut);
void cut_set_repeated(struct cut *cut);

/* What a cut goes by. */
struct cut_rules {
	const struct policy *policy, *before; /* in force; in force until now, which shows what a connection is that was
						 seen from the middle on, or NULL */
	const struct names_view *held, *held_before; /* of each; NULL: nobody */
};

/* Connections that were cut, alike but for their source ports. What it points to is the policy's. */
struct cut_connection {
	struct packet packet; /* of the first, as it was opened, as far as that is known */
	struct cut_cause cause;
	size_t count;
};

enum { CUT_SHOWN_MAX = 20, CUT_SEEN_MAX = 64 };

struct cut_result {
	size_t count;                               /* all that were cut */
	struct cut_connection items[CUT_SHOWN_MAX]; /* the first of them */
	size_t shown;                               /* how many items */
	struct packet seen[CUT_SEEN_MAX];           /* a dump may show one twice: the first of those in items */
	size_t seen_count;
};

/* Deletes the connections that the policy denies, and forgets those which it allows again. Nothing in audit mode. The
 * first ones are logged. 0 or a negative errno: then it is to be tried again (cut_pending_reason()); *ret is what was
 * cut in any case. */
int cut_run(struct cut *cut, const struct cut_rules *rules, const char *why, struct cut_result *ret);
/* Shows each connection that cut_run() would delete by these rules, and changes nothing; where a dump is begun again,
 * more than once. Its packet is as it was opened, as far as that is known. 0 or a negative errno. */
int cut_foresee(const struct cut *cut, const struct cut_rules *rules,
		void (*see)(void *userdata, const struct tracked *tracked, const struct cut_cause *cause),
		void *userdata);
/* Ends the connection of this entry, whatever the policy says; it stays so. *ret: what it was. 0; -ENOENT: there is
 * none; -EPROTONOSUPPORT: what is no TCP has no end; or another negative errno. */
int cut_one(struct cut *cut, const struct cut_rules *rules, uint32_t id, struct tracked *ret);
/* There is no table: nothing is to be cut. */
void cut_cancel(struct cut *cut);

/* What the kernel's sets hold, where that is not known yet. */
void cut_read(struct cut *cut);
bool cut_is_known(const struct cut *cut);
/* The table is another one, or other programs have changed it: its sets get what they lack. */
void cut_restore(struct cut *cut);
/* A name has other addresses: some of what was cut may be allowed by now. */
void cut_set_names_changed(struct cut *cut);
/* Whether cut_minute() will look at the names. */
bool cut_wants_names(const struct cut *cut, const struct policy *policy);
/* Once a minute, where there is a table: forgets what is allowed again (rules NULL: not now) or has expired, writes
 * what waits for room. */
void cut_minute(struct cut *cut, const struct cut_rules *rules);
/* The table is gone, and its sets with it. */
void cut_forget_all(struct cut *cut);

struct cut_figures {
	size_t remembered; /* connections' ends in the kernel's sets */
	bool full;         /* the mark is there */
};
struct cut_figures cut_figures(const struct cut *cut);
void cut_reasons(const struct cut *cut, bool table_known, struct health *health);

#endif
