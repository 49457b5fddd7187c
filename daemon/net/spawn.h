/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SPAWN_H
#define SPEFW_SPAWN_H

/* The process of spefw-resolver: without a capability, with nothing open but the socket that we talk by. Unit tests
 * link a process of their own (tests/unit/fake_spawn.c). */

#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	int fd;    /* our end of the socket pair: SOCK_SEQPACKET, calls on it don't block */
	int pidfd; /* readable once it has ended */
};

/* It ends with us. 0 or a negative errno; that the program is missing shows by its end. */
int process_start(struct process *ret);
void process_kill(const struct process *process);
/* Waits for its end, which has come or is about to; both descriptors are closed. Returns the status of waitpid(2). */
int process_reap(struct process *process);
/* Processor time that it has used, or a negative errno. */
int64_t process_cpu_ms(const struct process *process);
/* So much processor time in all, before the kernel ends it. 0 or a negative errno. */
int process_allow_cpu(const struct process *process, unsigned seconds);

enum { PROCESS_NOT_PREPARED = 126, PROCESS_NOT_FOUND = 127 }; /* exit statuses of what did not become spefw-resolver */

#endif
