/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_NAMES_H
#define SPEFW_GATEWAY_NAMES_H

/* The names of the policy: who is behind them until when, and who was. It queries DNS, learns what protected machines
 * were answered, drops what has expired, and saves all that to the state directory. */

#include "config/policy_file.h"
#include "core/addrbook.h"
#include "core/dns_message.h"
#include "core/health.h"
#include "net/helper.h"

#include <systemd/sd-event.h>

struct names;

struct names_events {
	/* The addresses of a name are others, or an answer has confirmed them; NULL: of any of them. */
	void (*changed)(void *userdata, const char *name);
	/* Whether an address is the server's or this gateway's own: no name may have it. */
	bool (*refuses)(void *userdata, const struct addr *addr);
	/* All that this caller of names_refresh() waits for has been answered. */
	void (*refreshed)(void *userdata, void *waiter);
	/* The addresses were saved: the state directory takes files. Also from names_free(). */
	void (*saved)(void *userdata);
	/* A name is in another state: health may be another one. Often many of them, one after the other. */
	void (*state_changed)(void *userdata);
};

/* helper, and state, the directory, must live as long. 0 or a negative errno. */
int names_new(struct names **ret, sd_event *event, struct helper *helper, const char *state,
	      const struct names_events *events, void *userdata);
void names_free(struct names *names); /* saves what is not on disk yet, where names_begin() was called. NULL: nothing */

/* For the first time: the names of the policy are wanted, what is known of them is loaded from the state directory
 * (trouble with that is logged), and DNS will be queried. file is the one in force from then on: it must live as long,
 * and may change by a reload, followed by names_follow(). 0 or a negative errno. */
int names_begin(struct names *names, const struct policy_file *file);

/* Names of both policies are wanted while a change is under way: a refused one must lose nothing. also: NULL, or the
 * policy that may come into force. 0, or -ENOMEM and nothing changed. */
int names_want(struct names *names, const struct policy *policy, const struct policy *also);
/* Another configuration is in force: its names, limits and DNS servers; `changed` is called for all names, since some
 * may have lost addresses that they may not have by now. old: the one before, NULL: not known. Where that fails it is
 * logged, is a reason of health, and is due again: names_follow(names, NULL). 0 or a negative errno. */
int names_follow(struct names *names, const struct policy_file *old);
bool names_not_followed(const struct names *names);

/* What the names of this policy have now, with the deadline of each address for the kernel's sets; and all that they
 * have ever held, for connections that are there already. 0 or -ENOMEM; names_view_free() must follow both. */
int names_view(const struct names *names, const struct policy *policy, struct names_view *ret);
int names_held_view(struct names *names, const struct policy *policy, struct names_view *ret);

/* The kernel's set of this name has held this address since age_ms. Known at the start alone: what is found later and
 * is not in the book, another program has added. */
void names_remember(struct names *names, const char *name, const struct addr *addr, int64_t age_ms);

/* The gateway's own addresses have changed: `refuses` may differ. True where any set of addresses changed. */
bool names_recheck(struct names *names);
/* All names are queried: now, or where that was a short time ago, when that time is over. */
void names_query_all(struct names *names);
/* Sends the queries that are due, drops what has expired, sets the timer. */
void names_drive(struct names *names);
/* What is not on disk yet, if that was not saved lately. Once a minute. */
void names_save(struct names *names);

/* Whether an answer to this question would teach anything: one of a name that stands as a target alone, of a name that
 * it is an alias of, or of a pattern. */
bool names_wants(const struct names *names, const char *question, enum family family);
/* What a protected machine was answered by its resolver, once that was matched with its query. */
void names_learn(struct names *names, const struct dns_answer *answer);
/* A protected machine was denied: names that a fresh answer could help are queried, within the budget. */
void names_denied(struct names *names, const struct packet *packet);
/* Copies of packets were lost: what was lost may have been an answer or a denial. */
void names_copies_lost(struct names *names);

/* Queries these names now (count 0: all). 0: `refreshed` will be called for waiter, later and once, unless
 * names_forget_waiter() comes before. 1: there is nothing to wait for. -ENOENT: *ret_unknown is not a name of the
 * policy; -ENOMEM. */
int names_refresh(struct names *names, void *waiter, const char *const *wanted, size_t count, const char **ret_unknown);
void names_forget_waiter(struct names *names, const void *waiter); /* unknown: nothing */

size_t names_count(const struct names *names);                                     /* entries: two a name */
void names_entry(const struct names *names, size_t index, struct book_entry *ret); /* valid until anything changes */

struct names_figures {
	uint64_t learned;        /* answers to protected machines that taught something */
	uint64_t denial_refused; /* queries because of denials that the budget did not allow */
	bool denial_exhausted;   /* one of them within the last minute */
};
struct names_figures names_figures(const struct names *names);
/* The flow in whose section allow_private = yes would let it in; NULL: nothing would. */
const struct policy_flow *names_private_flow(const struct names *names, const char *name,
					     const struct book_refused *refused);
void names_reasons(const struct names *names, struct health *health);

#endif
