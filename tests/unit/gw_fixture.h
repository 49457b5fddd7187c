/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_GW_FIXTURE_H
#define SPEFW_TEST_GW_FIXTURE_H

/* For tests of the gateway's objects: a directory of their own, and their reasons of health. */

#include "fake_log.h"
#include "make.h"

#include "core/health.h"

/* A new, empty directory; all in it goes with it. */
void directory_new(void);
void directory_remove(void);
extern char directory[64];
/* "DIRECTORY/NAME", valid until the eighth call after it. */
const char *directory_path(const char *name);
void directory_write(const char *name, const char *text);
char *directory_read(const char *name); /* the caller's to free; NULL: no such file */
/* Nothing can be saved there: it is somewhere else meanwhile. */
void directory_hide(bool hidden);

/* open_memstream(), by which texts for the state directory are made, gives NULL, where the test is linked with
 * $(UNIT_OBJECT_WRAPPED). */
extern bool memstream_fails;

/* Each reason on a line as "code: text"; health is freed. Valid until the next call. */
const char *reasons_text(struct health *health);
/* Likewise, as "code: remedy", those that have one. */
const char *remedies_text(struct health *health);

#endif
