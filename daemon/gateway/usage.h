/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_USAGE_H
#define SPEFW_USAGE_H

/* Which flows are used, and by whom: live connections are read now and then, and when core/expect finds it time to.
 * What was seen is remembered (core/record), unless the policy wants no record. Nothing of it is in the table: a rule
 * that sees answers would have to stand before the fast path, and notices of connection tracking come for every
 * connection of the gateway, or not at all. */

#include "core/expect.h"
#include "core/health.h"
#include "core/record.h"
#include "net/conntrack.h"

#include <systemd/sd-event.h>

struct usage;

/* A connection, and what the policy has for it. */
typedef void see_connection(void *userdata, const struct tracked *tracked, const struct judgement *judgement);

struct usage_events {
	/* Every address that the names of the policy have held. 0 or a negative errno. */
	int (*held_view)(void *userdata, struct names_view *ret);
	/* The flows' counters are wanted: read them; then, of one flow, the new connections so far. */
	void (*read_counters)(void *userdata);
	uint64_t (*opened)(void *userdata, const char *flow);
	/* A flow is overdue, or not any more (that is logged): health is another one. */
	void (*changed)(void *userdata);
	/* A silence on disk has ended: usage_save() is due. */
	void (*save)(void *userdata);
};

/* state: the directory; it must live as long. What is there is loaded; trouble with that is logged. 0 or a negative
 * errno. */
int usage_new(struct usage **ret, sd_event *event, const char *state, const struct usage_events *events,
	      void *userdata);
void usage_free(struct usage *usage); /* nothing is saved. NULL: nothing */

/* This policy is in force, and must live until the next call. removed: there is no table, so silence does not count. */
void usage_follow(struct usage *usage, const struct policy *policy);
void usage_set_removed(struct usage *usage, bool removed);
int usage_save(struct usage *usage); /* how long flows were silent. 0 or a negative errno */
/* The record, where it is time to; ending: whatever the time. 0 or a negative errno. */
int usage_save_record(struct usage *usage, bool ending);

/* Connections are read now, unless they were a moment ago, by what that costs. */
void usage_refresh(struct usage *usage);
bool usage_knows_open(const struct usage *usage); /* they were read since the policy is in force */
/* Open ones of a flow of the policy in force, as they were read last. */
size_t usage_open(const struct usage *usage, const struct policy_flow *flow);
/* Reads connections now, and shows each one of the protected addresses to `see`. Its packet is as it was opened, as far
 * as that is known. 0; -EBUSY: they were listed a moment ago, and at_once is false; or another negative errno. */
int usage_list(struct usage *usage, bool at_once, see_connection *see, void *userdata);
/* For how many seconds the connection has been known at least; -1: it was not met yet. */
int64_t usage_known_s(const struct usage *usage, uint32_t id);

const struct record *usage_record(const struct usage *usage); /* NULL: the policy wants none */
/* Packets of a peer were denied, by no flow or though near to one: they go into the record. 0 or -ENOMEM. */
int usage_denied(struct usage *usage, const char *flow, const struct record_peer *peer, uint64_t packets);

const struct expectation *usage_find(const struct usage *usage, const char *flow); /* NULL: not expected */
void usage_reasons(const struct usage *usage, struct health *health);

#endif
