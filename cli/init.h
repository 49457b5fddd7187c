/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_INIT_H
#define SPEFW_INIT_H

/* The first configuration: what its makers share. */

#include "ctl.h"

/* Whether a value is a list and nothing more, that stays one in the file. */
bool init_is_list(const char *value);

/* The configuration as text, by the options' values; the caller's, NULL without memory. */
char *init_text(const struct ctl *ctl);

/* Whether somebody sits there who can be asked. */
bool init_can_ask(const struct ctl *ctl);

/* Asks for those values that were not given; each is judged as the configuration's reader does, and asked for again.
 * They are put into ctl->values and last as long as `storage`, which the caller frees. EXIT_DONE; or there is no more
 * input, which was reported. */
int init_ask(struct ctl *ctl, char *storage[OPTIONS]);

/* Shows the configuration as it would be written to `path`, and asks whether it is to be. */
bool init_agreed(const struct ctl *ctl, const char *path, const char *text);

#endif
