/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CUT_CAUSE_H
#define SPEFW_CUT_CAUSE_H

/* Why a connection that had been let in is denied now, for those who look for it afterwards. */

#include "policy.h"

enum cut_why {
	CUT_FLOW_GONE,  /* the flow that allowed it is not in the file any more */
	CUT_FLOW_OFF,   /* it is off */
	CUT_PORT,       /* it has another protocol or other ports */
	CUT_SOURCE,     /* the source is none of it */
	CUT_TARGET,     /* the target is none of it */
	CUT_NO_FLOW,    /* no flow opens this port here */
	CUT_STAYS_SO,   /* it was cut before, and came back */
	CUT_ON_REQUEST, /* an administrator wanted that */
	CUT_REASONS
};

struct cut_cause {
	enum cut_why why;
	bool had;                      /* the policy before had allowed it */
	char flow[CONFIG_ID_MAX + 1];  /* that had allowed it, or else the nearest; "": none */
	const struct endpoint *not_in; /* of the policy: the side that it is none of; NULL: of no side */
};

/* One side's view of who is behind names, each of its own policy; names NULL: nobody. */
struct cut_view {
	const struct policy *policy; /* NULL: not known */
	const struct names_view *names;
};

/* packet: the connection as it was opened, which `now` denies. */
struct cut_cause cut_cause(const struct cut_view *before, const struct cut_view *now, const struct packet *packet);
const char *cut_why_name(enum cut_why why); /* for programs: "source" */
/* "source not in ADM any more". Returns buffer. */
char *cut_cause_text(const struct cut_cause *cause, char *buffer, size_t size);

#endif
