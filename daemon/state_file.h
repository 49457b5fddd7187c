/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_STATE_FILE_H
#define SPEFW_STATE_FILE_H

/* The state directory: what must outlive the daemon. Every write is a new file, fsync, rename, fsync of the directory. */

#include "core/addrbook.h"

#include <stddef.h>
#include <stdint.h>

/* Addresses of all entries with the wall-clock second of their last confirmation. 0 or a negative errno. */
int state_save_addresses(const char *directory, const struct addrbook *book, int64_t now_ms, int64_t wall_s);
/* Into the book (names not wanted are passed over). A damaged file gives -EBADMSG after what could be read whole was taken:
 * nothing of a damaged line. -ENOENT: none yet. */
int state_load_addresses(const char *directory, struct addrbook *book, int64_t now_ms, int64_t wall_s);

/* A named blob, for whoever needs one. Length is bounded by `max` on load (-EFBIG). */
int state_save(const char *directory, const char *file, const char *bytes, size_t length);
int state_load(const char *directory, const char *file, size_t max, char **ret_bytes, size_t *ret_length);

#endif
