/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OWNERS_H
#define SPEFW_OWNERS_H

/* Which program has made a rule of another table, and the command, in the words of that program, by which the rule lets
 * the protected addresses pass. What then touches them is still judged by spefw. */

#include "foreign.h"

/* The program whose rule it is, or whose chain ends in a drop. set: the named set that the rule looks into; NULL: none.
 */
enum owner owner_of(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set);
const char *owner_word(enum owner owner); /* "firewalld" */

/* The command into the buffer; false: there is none that would do, or names stand in the way that a shell would read as
 * something else. buffer is then "". */
enum { REMEDY_MAX = 900 };
bool owner_remedy(const struct finding *finding, char buffer[REMEDY_MAX]);

/* The table as the program's administrator calls it, and the command that shows the chain. */
enum { WHERE_MAX = 300 };
char *finding_table(const struct finding *finding, char buffer[WHERE_MAX]);   /* returns buffer */
char *finding_command(const struct finding *finding, char buffer[WHERE_MAX]); /* returns buffer */

#endif
