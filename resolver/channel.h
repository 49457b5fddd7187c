/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CHANNEL_H
#define SPEFW_CHANNEL_H

/* The socket to spefwd. Nothing here waits: what finds no room is kept, where spefwd waits for it, or dropped and
 * counted. */

#include "resolver/wire.h"

#include <stdbool.h>
#include <stddef.h>

/* One record from spefwd, checked. */
struct channel_record {
	union {
		struct wire_head head;
		struct wire_servers servers;
		struct wire_query query;
		struct wire_watch watch;
		struct wire_beat beat;
	};
	int fd; /* that came with WIRE_NFLOG, the caller's from now on; -1: none */
};

/* The next record; false: there is none now. Where spefwd has gone, or what it sends makes no sense, the process ends.
 */
bool channel_receive(struct channel_record *ret);

struct wire_address channel_address(const struct addr *addr);

void channel_send_ready(bool landlock);
void channel_send_pong(uint64_t number);

/* An answer or a failure, which is kept until there is room. */
void channel_send_answer(const void *record);
/* An observation. */
void channel_report(const void *record);
/* One that may be lost, and is not counted then. */
void channel_offer(const void *record);

void channel_count_unasked(void);
void channel_count_lost(void);

/* Sends what is kept and the counts, as far as there is room, and the counts not too often. */
void channel_flush(void);
bool channel_waits_for_room(void);
int channel_timeout_ms(void); /* until channel_flush() has something to do by itself; -1: it has not */

/* Ends the process. */
void __attribute__((noreturn, format(printf, 1, 2))) channel_fail(const char *format, ...);

#endif
