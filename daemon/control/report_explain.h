/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_EXPLAIN_H
#define SPEFW_REPORT_EXPLAIN_H

/* The reply of Explain, the same whether spefwd makes it or spefwctl from a file alone. */

#include "core/explain.h"

#include <jansson.h>

struct explain_context {
	const char *config; /* path of the file that the policy was read from */
	bool removed;       /* the table was removed on request: nothing is guarded */
	/* Adds to the report of one packet what is known elsewhere; NULL: nothing is. */
	void (*add)(void *userdata, json_t *out, const struct packet *packet, const struct explanation *explanation);
	void *userdata;
};

/* With a result for each packet. NULL without memory. */
json_t *report_explain(const struct explain_view *view, const struct explain_question *question,
		       const struct explain_context *context);
/* Packets with one and the same story are told once, all else is known by then. 0, or -ENOMEM. */
int report_explain_fold(json_t *reply);

#endif
