/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_FILE_H
#define SPEFW_POLICY_FILE_H

/* A policy together with the files it was read from, to see whether they are still the same. */

#include "core/archive.h"
#include "core/config.h"
#include "core/policy.h"

#include <time.h>

struct source_file {
	char *path;
	uint64_t hash; /* hash_bytes() of its bytes */
	int error;     /* 0; else the negative errno that reading it came to */
};

struct policy_file {
	char *path;
	struct policy policy;
	time_t loaded_at;
	struct {
		struct source_file *items;
		size_t count, capacity;
	} sources;
};

struct policy_source {
	const struct archive *archive; /* the files come from there; NULL: from disk */
	const char
		*draft; /* the file itself is read from there, with what it names where it belongs; NULL: it is not */
	struct archive *copy; /* gets a copy of what was read; NULL: none is wanted */
	const struct ranges
		*gateway; /* this machine's addresses, none of which may be protected; NULL: not to be checked */
	bool programs;    /* those that are named have to be there; spefwd itself sees not all of the disk */
	struct policy_file *refused; /* gets path and sources of what was not good, and policy_file_free() must follow;
					NULL: that is of no interest */
};

/* Reads and checks path and all it names. 0 where *ret is good; -EINVAL with the errors in diags; or another negative
 * errno. *ret is empty then. */
int policy_file_load(struct policy_file *ret, const char *path, const struct policy_source *source,
		     struct diags *diags);
bool policy_file_same_servers(const struct policy_file *a, const struct policy_file *b);
bool policy_file_unchanged(const struct policy_file *file); /* reads the files again */
/* The first of the files that is not there now; NULL: none, or the first one, which names the others, is another by
 * now.
 */
const char *policy_file_missing(const struct policy_file *file);
uint64_t policy_file_hash(const struct policy_file *file); /* of the names and bytes of all its files */
void policy_file_free(struct policy_file *file);

#endif
