/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HEALTH_NOTE_H
#define SPEFW_HEALTH_NOTE_H

/* Health as a small file, which spefwd writes for spefw-notify: a line with the name of the format, then one for each
 * code, with the first reason that has it. Who reads it takes it for untrusted: unknown codes, and all that does not
 * fit this form, are refused. */

#include "health.h"

enum {
	HEALTH_NOTE_MAX = 128 * 1024, /* bytes of the file */
	HEALTH_NOTE_TEXT_MAX = 1000,  /* of one reason */
};

/* The caller frees it; NULL without memory, or where reasons are missing for want of it. */
char *health_note_write(const struct health *health);
/* bytes has a NUL behind its length. 0; -EBADMSG: it is none; -ENOMEM. *ret is empty then, else health_free() frees it:
 * one reason for each code, fit to print. */
int health_note_read(const char *bytes, size_t length, struct health *ret);

#endif
