/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METRICS_H
#define SPEFW_METRICS_H

/* The table of metrics: `spefwctl metrics` prints by it, spefwctl(8) lists it. */

#include <stddef.h>

enum metric_value {
	METRIC_UP,           /* whether there is a reply at all */
	METRIC_NUMBER,       /* what is at the path: a number, whether it is true, or how many elements it has */
	METRIC_MILLISECONDS, /* a number of them, in seconds */
	METRIC_IS_WORD,      /* for each word: whether the text at the path is that */
	METRIC_MEMBER,       /* for each word: that member of the object at the path */
	METRIC_TEXT,         /* 1, the text at the path being a label */
	METRIC_CODES,        /* for each reason of health: how many elements of the list at the path have its code */
};

struct metric {
	const char *name; /* without "spefw_"; a counter's ends in "_total" */
	const char *type; /* gauge or counter */
	const char *help;
	enum metric_value value;
	const char *each;  /* a list of the reply, "flows" or "names", with samples for each element; NULL: no list */
	const char *path;  /* in the reply, or the element; what is absent has no sample */
	const char *label; /* that has the word; NULL: none */
	const char *const *words;
};

extern const struct metric metrics[];
extern const size_t metric_count;

/* The members of each element of a list that become labels, "id" of flows as flow="...". */
struct metric_label {
	const char *list, *label, *member;
};
extern const struct metric_label metric_labels[];
extern const size_t metric_label_count;

#endif
