/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DRAFT_H
#define SPEFW_DRAFT_H

/* A copy of a file that is edited, and takes its place. */

#include <stdbool.h>

struct draft {
	char *path;   /* of the file, links followed */
	char *copy;   /* of the copy, beside it */
	char *former; /* what the file was before, once the copy has taken its place; NULL: it has not */
	char *text;   /* what was in the file */
	char *edited; /* what is there, once the copy has taken its place */
	int lock;     /* descriptor: nobody else has a draft in its directory; negative: none */
};

/* Makes the copy: owner, mode and attributes are those of the file. 0; -EBUSY: somebody else edits; or another negative
 * errno. draft_free() must follow in any case. */
int draft_new(struct draft *ret, const char *path);
/* The copy goes, unless it is kept. What is in place stays. */
void draft_free(struct draft *draft, bool keep_copy);
/* Runs the editor of the environment, or `editor`, or vi, and waits for it. 0, its exit status, or a negative errno. */
int draft_edit(const struct draft *draft);
/* 1: the copy is another text than the file was; 0: it is the same; or a negative errno. */
int draft_changed(const struct draft *draft);
/* The copy takes the file's place at once. 0; -ESTALE: that is not what was copied any more; or another negative errno.
 */
int draft_install(struct draft *draft);
/* The other way round: the file is as it was, and the copy as it was edited. 0; -ESTALE: it was changed since; or
 * another negative errno. */
int draft_put_back(struct draft *draft);
void draft_keep(struct draft *draft); /* what it was before is not needed any more */

#endif
