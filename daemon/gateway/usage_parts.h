/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_USAGE_PARTS_H
#define SPEFW_USAGE_PARTS_H

/* What usage.c, which reads connections, and usage_record.c, which remembers them, share. */

#include "core/seen_connections.h"
#include "gateway/usage.h"

struct usage {
	const char *state;
	struct usage_events events;
	void *userdata;
	const struct policy *policy; /* in force; NULL: none yet */
	struct expect expect;        /* when flows were last used */
	struct timer *timer;
	int64_t took_ms;      /* processor time of the last reading of connections */
	int64_t read_ms;      /* when that was; 0: none yet */
	int64_t list_free_ms; /* from when on they may be listed again */
	int64_t trim_ms;      /* when memory is to be given back; 0: it is not */
	bool removed;         /* there is no table */
	bool on_disk;         /* the state directory has something of `expect` */
	bool save_failed;
	bool connections_unreadable;

	size_t *open; /* connections of each flow of the policy at the last reading that was whole */
	size_t open_count;
	bool open_known; /* there was one since the policy is in force */
	struct seen_connections seen;

	/* usage_record.c */
	struct record record;
	bool recording;    /* the policy wants it, and what the state directory had was read */
	bool resumed;      /* in the same boot: what is open at the first reading was counted before */
	bool not_recorded; /* what the state directory had is removed */
	bool record_changed, record_save_failed;
	int64_t passed_ms;   /* until when time has been counted */
	int64_t saved_ms;    /* when it was saved last; 0: never */
	size_t saved_length; /* bytes */
};

/* The policy wants a record, or none. */
void usage_follow_record(struct usage *usage);
/* A connection is there, as it was opened. -ENOMEM: not noted. */
int usage_note(struct usage *usage, const char *flow, const struct packet *opened, bool is_new);
void usage_pass_record(struct usage *usage);

#endif
