/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_MAKE_H
#define SPEFW_TEST_MAKE_H

/* For tests of core: a policy and a ruleset from the text of a configuration. Link with make.c. */

#include "config/ini.h"
#include "core/compile.h"
#include "core/grant_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Reads "t.ini" with this text (admins.txt beside it holds 203.0.113.0/24 and the name file.example.net). All
 * complaints as lines, the caller's to free; policy is empty where there are errors. */
char *make_policy(struct policy *ret, const char *text);
/* The same where nothing but warnings is expected. */
void make_good_policy(struct policy *ret, const char *text);

/* Names' addresses: "NAME ADDRESS..." separated by ';'. Free by names_view_free(). */
struct names_view make_names(const struct policy *policy, const char *text);
/* Adds grants to a view that has none: "FLOW ADDRESS" separated by ';', whether they have an effect or not. */
void make_grants(const struct policy *policy, struct names_view *view, const char *text);
struct addr make_addr(const char *text);
/* Separated by blanks. Free by ranges_free(). */
struct ranges make_ranges(const char *text);

/* A gateway that is 192.0.2.1 and 2001:db8:2::1 and has the interfaces lan and wan. names NULL: none. It is valid until
 * the next call. */
const struct environment *make_environment(const struct policy *policy, const struct names_view *names);
/* What compile() makes of a policy on this gateway. -ENOMEM as of compile(). */
int make_ruleset(struct ruleset *ret, const struct policy *policy, const struct names_view *names);

/* Allocations fail from the n-th one on (0: the next), or never (-1), where the test is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,... and wrap.c. What is not freed
 * in the end fails the program. */
extern long allocations_left;
extern unsigned long allocations_refused; /* so far */
extern int allocations_recover;           /* the n-th one fails, and no other */

#endif
