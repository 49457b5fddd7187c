/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ARCHIVE_H
#define SPEFW_ARCHIVE_H

/* Files by name, as one blob and back: the last good configuration and what it names. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archived {
	char *path;  /* owned */
	char *bytes; /* owned; a NUL follows */
	size_t length;
};

struct archive {
	struct archived *items;
	size_t count, capacity;
};

/* A copy. 0 or -ENOMEM. */
int archive_add(struct archive *archive, const char *path, const char *bytes, size_t length);
const struct archived *archive_find(const struct archive *archive, const char *path); /* NULL: none */

/* NULL without memory; to be freed. */
char *archive_pack(const struct archive *archive, size_t *ret_length);
/* 0, -ENOMEM, or -EBADMSG where any byte is not as it was packed: half a configuration is none. */
int archive_unpack(struct archive *ret, const char *bytes, size_t length);
void archive_free(struct archive *archive);

/* For whoever reads a large one piece by piece: its first line, and then a line ahead of the bytes of each file, which
 * a newline follows; all without their newline. */
enum { ARCHIVE_LINE_MAX = 4200 }; /* bytes of a line: two numbers and a path of PATH_MAX */
struct archive_line {
	size_t length;    /* of the file */
	uint64_t hash;    /* what archive_hash() comes to after all of its bytes */
	const char *path; /* in the line */
};
bool archive_is_header(const char *line);
/* 1, 0 at the end after `count` files, or -EBADMSG. */
int archive_parse_line(const char *line, size_t count, struct archive_line *ret);
uint64_t archive_hash_start(const char *path);

#endif
