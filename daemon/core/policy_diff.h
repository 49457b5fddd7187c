/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_DIFF_H
#define SPEFW_POLICY_DIFF_H

#include "policy.h"

enum change_kind { CHANGE_OTHER, CHANGE_NEW, CHANGE_GONE };

/* Texts are valid during the call alone. */
struct policy_change {
	enum change_kind kind;
	const char *of;             /* "setting", "role", "flow", "name" */
	const char *id;             /* whose; NULL: of a setting */
	const char *key;            /* as the file has it; NULL: the whole of it is new or gone */
	const char *before, *after; /* NULL: nothing; members of a role: what went, what came */
	bool off;                   /* a flow that is new or gone, and off */
	unsigned line;              /* in the new file: of a setting, else of the section; 0: it is not there */
	const char *text;           /* all of that in words: "flow api-in: on -> off" */
};

/* What changed from one policy to another. */
void policy_diff(const struct policy *old, const struct policy *new,
		 void (*see)(void *userdata, const struct policy_change *change), void *userdata);
/* Whether a key that both have as it is written, of a section without a name, has one value in both. */
bool policy_same_value(const struct policy *a, const struct policy *b, enum config_section section, const char *name);

/* "any", or what was written, separated by blanks. Returns buffer. */
char *endpoint_text(const struct endpoint *endpoint, char *buffer, size_t size);
/* "443" or "10000-10100", separated by commas; "" for icmp-echo. Returns buffer. */
char *ports_text(const struct policy_flow *flow, char *buffer, size_t size);
/* "tcp", "tcp/udp", "icmp-echo". Returns buffer. */
char *protocols_text(unsigned protocols, char buffer[24]);

#endif
