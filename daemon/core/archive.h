/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ARCHIVE_H
#define SPEFW_ARCHIVE_H

/* Files by name, as one blob and back: the last good configuration and what it names. */

#include <stddef.h>

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

#endif
