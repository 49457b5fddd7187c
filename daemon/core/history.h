/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HISTORY_H
#define SPEFW_HISTORY_H

/* Which configurations were in force, the last one as the last entry, and which files are not to be taken again at a
 * start. It knows files by their hash (policy_file_hash()) alone. Text of the state directory, and back. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HISTORY_ENTRIES_MAX = 20,
	HISTORY_LINES_MAX = 20,      /* of what changed */
	HISTORY_LINE_MAX = 400,      /* bytes of one of them */
	HISTORY_BY_MAX = 64,         /* bytes, with the NUL */
	HISTORY_TAKEN_BACK_MAX = 64, /* files */
	HISTORY_TEXT_MAX = 1 << 20,  /* bytes of the whole text */
};
#define HISTORY_BYTES_MAX ((uint64_t)64 << 20) /* of the files of all entries */

enum history_how { HISTORY_START, HISTORY_RELOAD, HISTORY_ROLLBACK, HISTORY_UNDO, HISTORY_HOWS };
extern const char *const history_how_words[HISTORY_HOWS];

/* Why files are not to be taken again. */
enum history_why { HISTORY_NOT_TAKEN_BACK, HISTORY_UNDONE, HISTORY_ROLLED_BACK, HISTORY_WHYS };
extern const char *const history_why_words[HISTORY_WHYS];

struct history_entry {
	uint64_t id; /* more than that of each entry before it */
	uint64_t generation;
	uint64_t files; /* their hash */
	uint64_t bytes; /* of the kept copy of these files; 0: none is kept */
	int64_t wall_s; /* when it came into force */
	enum history_how how;
	char by[HISTORY_BY_MAX];        /* who had asked; of what was undone, who had asked for that; "": nobody */
	char *lines[HISTORY_LINES_MAX]; /* what changed, the first ones; owned by the history */
	size_t shown;
	uint64_t count; /* of all changes */
};

struct history {
	struct history_entry entries[HISTORY_ENTRIES_MAX + 1]; /* the oldest first; one more while another is added */
	size_t count;
	struct {
		uint64_t files;
		enum history_why why;
	} taken_back[HISTORY_TAKEN_BACK_MAX]; /* the oldest first */
	size_t taken_back_count;
};

/* A copy, as the last one; its id is 0: the next one, or what that was to be. keep: files of which no entry may go to
 * make room; 0: none. 0, or -ENOMEM where nothing has changed. */
int history_add(struct history *history, const struct history_entry *entry, uint64_t keep);
/* Drops the oldest ones as long as there are too many, or too many bytes; never the last one, nor those of `keep`. */
void history_trim(struct history *history, uint64_t keep);
void history_free(struct history *history);

uint64_t history_next_id(const struct history *history);
const struct history_entry *history_last(const struct history *history); /* NULL: there is none */
/* The newest one with these files of which a copy is kept; NULL: none. */
const struct history_entry *history_find(const struct history *history, uint64_t files);
/* So many before the last one; NULL: there is none. */
const struct history_entry *history_before(const struct history *history, size_t number);
/* The newest one before the last that has other files, which were not taken back, and of which a copy is kept; NULL:
 * none. */
const struct history_entry *history_other(const struct history *history);
/* For a start without the file: the newest one of which a copy is kept, that was not taken back. NULL: none. */
const struct history_entry *history_good(const struct history *history);
/* How much is kept of these files, from now on. */
void history_set_bytes(struct history *history, uint64_t files, uint64_t bytes);

/* These files are not to be taken at a start; or are again. True: that is news. */
bool history_take_back(struct history *history, uint64_t files, enum history_why why);
bool history_take_again(struct history *history, uint64_t files);
enum history_why history_why(const struct history *history, uint64_t files);

/* NULL without memory; to be freed. */
char *history_write(const struct history *history, size_t *ret_length);
/* 0, -ENOMEM, or -EBADMSG where any byte is not as it was written. */
int history_read(struct history *ret, const char *bytes, size_t length);

#endif
