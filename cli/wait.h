/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_WAIT_H
#define SPEFW_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* One deadline for everything: whoever sends a byte now and then does not hold us. */
int64_t wait_deadline_ms(unsigned timeout_s);
/* Until fd is ready for these events of poll(2): 0. -ETIMEDOUT after the deadline, or another negative errno. */
int wait_until(int64_t deadline_ms, int fd, short events);
/* For so long. False, and at once: it would be longer than until the deadline. */
bool wait_pause(int64_t deadline_ms, unsigned pause_ms);

/* For as long as it takes. From the first call on SIGINT and SIGTERM do not end the program, but this: -ECANCELED, also
 * where nobody reads standard output any more. 0: fd can be read; or another negative errno. */
int wait_long(int fd);

#endif
