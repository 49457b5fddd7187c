/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_WAITING_H
#define SPEFW_WAITING_H

/* A reload that waits for confirm: text of the state directory, and back; and how long it has still. */

#include <stddef.h>
#include <stdint.h>

enum { WAITING_BY_MAX = 64, WAITING_BOOT_MAX = 64, WAITING_TEXT_MAX = 1024 };

struct waiting {
	uint64_t id;             /* that its entry of the history has, or is to have */
	uint64_t files, before;  /* hashes of its files, and of those to go back to */
	char by[WAITING_BY_MAX]; /* who asked for it */
	char boot[WAITING_BOOT_MAX];
	int64_t since_ms, due_ms; /* by the clock of that boot */
	int64_t since_wall_s;     /* the wall clock at since_ms */
};

/* Its time that is left: 0 or less where that is over. Within its boot by now_ms, whatever the wall clock is set to;
 * after another one by the wall clock, and where that is set to before it began, nobody knows: it is over. */
int64_t waiting_left_ms(const struct waiting *waiting, const char *boot, int64_t now_ms, int64_t wall_s);

/* NULL without memory; to be freed. */
char *waiting_write(const struct waiting *waiting, size_t *ret_length);
/* 0, -ENOMEM, or -EBADMSG where any byte is not as it was written. */
int waiting_read(struct waiting *ret, const char *bytes, size_t length);

#endif
