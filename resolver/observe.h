/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OBSERVE_H
#define SPEFW_OBSERVE_H

/* The packets that spefwd's rules copy: DNS queries of protected machines and the answers to them, matched with each
 * other; and denials. Whose machines they are is spefwd's to check. */

#include "core/dns_message.h"

/* Reads this NFLOG socket from now on, which is then ours; -1: none. */
void observe_set_nflog(int fd);
int observe_fd(void);         /* to be polled; -1: none, or not now */
int observe_timeout_ms(void); /* until it is to be polled again; -1: it is, or there is none */
void observe_read(void);

/* What is of interest: the names between these two calls, from the second one on. */
void observe_watch_begin(void);
void observe_watch(const char *name);
void observe_watch_end(void);

/* The names that the CNAMEs in our own answer about `name` led to: protected machines may query these instead. */
void observe_aliases(const char *name, enum family family, const struct dns_message *message);

#endif
