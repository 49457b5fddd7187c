/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DOCTOR_PARTS_H
#define SPEFW_DOCTOR_PARTS_H

/* What the files of doctor share. */

#include "doctor.h"

extern const char *const family_words[FAMILIES]; /* "IPv4" */

/* doctor_names.c */
void doctor_judge_resolvers(struct troubles *out, const struct doctor_facts *facts);
void doctor_judge_names(struct troubles *out, const struct doctor_facts *facts);
void doctor_judge_tls(struct troubles *out, const struct doctor_facts *facts);

/* doctor_troubles.c: names of interfaces and of tables are whatever somebody gave them, and are made printable. */

/* With what it is; the caller adds evidence and remedy at once. NULL without memory, which those take as well. */
struct trouble *trouble_add(struct troubles *troubles, enum gravity gravity, const char *check, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* *text is the caller's to free. text NULL: nothing. */
void trouble_text(struct troubles *troubles, char **text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define EVIDENCE(troubles, trouble, ...) trouble_text(troubles, (trouble) ? &(trouble)->evidence : NULL, __VA_ARGS__)
#define REMEDY(troubles, trouble, ...) trouble_text(troubles, (trouble) ? &(trouble)->remedy : NULL, __VA_ARGS__)

#endif
