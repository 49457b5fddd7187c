/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_KEPT_H
#define SPEFW_KEPT_H

/* The part of the state directory that configurations have: which were in force ("history"), their files
 * ("configuration-HASH"), and the reload that waits for confirm ("waiting"). Files come before what names them, and go
 * after it, so that at any moment what is named is there. */

#include "core/archive.h"
#include "core/history.h"
#include "core/waiting.h"

/* A reload that waits for confirm. */
enum kept_stage {
	KEPT_NOTHING,
	KEPT_ARMED, /* written down; the kernel has it not yet, or nobody knows */
	KEPT_WAITS, /* it is in force, and in the history */
	KEPT_OVER,  /* it was undone or confirmed: what is written down of it is to go */
};

struct kept {
	const char *state; /* the directory; must live as long */
	struct history history;
	enum kept_stage stage;
	struct waiting waiting; /* while there is one */
	uint64_t armed_bytes;   /* of its files */
	char *unsaved;          /* the files of the last entry, which are not in the directory yet; or NULL */
	size_t unsaved_length;
	uint64_t unsaved_files;
	bool changed;         /* the history is not as it is on disk */
	bool damaged;         /* at the start it could not be read: files that it does not name may be all there is */
	bool waiting_damaged; /* likewise of what waits for confirm; until another policy comes into force */
	int save_error;       /* 0, or the negative errno for which not all could be saved */
};

/* What the directory has; trouble with that is logged, and it begins anew. */
void kept_load(struct kept *ret, const char *state);
void kept_free(struct kept *kept);
/* The history goes on with this entry; its id is not looked at. archive: its files, or NULL where they are there
 * (kept_has()). 0 or -ENOMEM. Saves nothing yet. */
int kept_add(struct kept *kept, const struct history_entry *entry, const struct archive *archive);
/* The files of the last entry are to be saved anew. 0 or -ENOMEM. */
int kept_renew(struct kept *kept, uint64_t files, const struct archive *archive);
uint64_t kept_next_id(const struct kept *kept); /* of an entry */
bool kept_has(const struct kept *kept, uint64_t files);
/* Saves what is not saved yet. Trouble is logged once. */
void kept_save(struct kept *kept);
/* For entries of the history alone. 0, -ENOENT: none is kept; -EBADMSG: it is damaged; or another negative errno. */
int kept_read(const struct kept *kept, uint64_t files, struct archive *ret);
/* Whether it could be read. Likewise. */
int kept_check(const struct kept *kept, uint64_t files);
/* Files of which no entry is known: those that were written last, ahead of *written_ns (at first INT64_MAX), which is
 * then their time. False: there are none. */
bool kept_newest(const struct kept *kept, int64_t *written_ns, uint64_t *ret_files);
/* A descriptor of the same bytes, as archive_pack() makes them. Likewise. */
int kept_open(const struct kept *kept, uint64_t files);

/* Writes down that these files wait for confirm, and themselves. 0 or a negative errno, where nothing waits. */
int kept_arm(struct kept *kept, const struct waiting *waiting, const struct archive *archive);
/* Nothing waits any more, and that is on disk. 0; or a negative errno, where it waits still. */
int kept_disarm(struct kept *kept);
/* Nothing waits any more; on disk it goes after the history is saved. */
void kept_set_over(struct kept *kept);
/* After another boot: its time goes on by this one's clock. */
void kept_restart_clock(struct kept *kept, const char *boot, int64_t left_ms, int64_t now_ms, int64_t wall_s);

#endif
