/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_STATE_FILE_H
#define SPEFW_STATE_FILE_H

/* The state directory: what must outlive the daemon. Every write is a new file, fsync, rename, fsync of the directory.
 */

#include "core/addrbook.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes this process the only one that uses the directory, until the descriptor is closed or the process ends, however
 * that happens (flock(2) on the directory: it needs no room on a full disk). Waits up to two seconds for it: a spefwd
 * that was killed while it started spefw-resolver leaves the descriptor to that process for a moment. Returns the
 * descriptor; -EBUSY: another process has it; or another negative errno (-ENOENT: there is no such directory). */
int state_lock(const char *directory);

/* The file of the addresses, "addresses": a line of the format's name and version, one line an address, a line with
 * their number. Every line ends in a checksum of its own: a flipped bit must not become another address. */
enum {
	STATE_ADDRESSES_MAX = 64 << 20, /* bytes; 1,000 names that are full to the cap have about 50 MB */
};

/* Addresses of all entries with the wall-clock second of their last confirmation. 0 or a negative errno
 * (-EFBIG: more than would be loaded again). */
int state_save_addresses(const char *directory, const struct addrbook *book, int64_t now_ms, int64_t wall_s);
/* Into the book (names not wanted are passed over). A damaged file gives -EBADMSG after what could be read whole was
 * taken: nothing of a damaged line. -ENOENT: none yet. -EFBIG, -ENOMEM and other negative errnos. The wall clock may
 * have been wrong then or be wrong now: what was confirmed in its future is taken as confirmed now. */
int state_load_addresses(const char *directory, struct addrbook *book, int64_t now_ms, int64_t wall_s);

/* What state_load_addresses() does with the bytes of the file. */
int state_read_addresses(const char *bytes, size_t length, struct addrbook *book, int64_t now_ms, int64_t wall_s);

/* Which boot this is; "unknown" where that can't be read. */
enum { STATE_BOOT_MAX = 64 };
void state_boot_id(char ret[STATE_BOOT_MAX]);

/* A named blob, for whoever needs one. Length is bounded by `max` on load (-EFBIG). The file is for its owner
 * alone (0600); *ret_bytes has a NUL behind it that is not counted, and is the caller's to free. */
int state_save(const char *directory, const char *file, const char *bytes, size_t length);
/* Likewise, and with this mode, whatever the umask. */
int state_save_mode(const char *directory, const char *file, const char *bytes, size_t length, mode_t mode);
/* It is to be no more; none is fine. */
int state_remove(const char *directory, const char *file);
int state_load(const char *directory, const char *file, size_t max, char **ret_bytes, size_t *ret_length);

#endif
