/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_SPAWN_H
#define SPEFW_TEST_FAKE_SPAWN_H

/* The process of net/spawn.h, played by the test: a real socket, whose other end the test has. */

#include "net/spawn.h"

#include <stdbool.h>

extern int fake_spawn_error;       /* what process_start() returns; 0: it works */
extern int fake_spawn_fd;          /* the process's end of the newest socket; -1: it is closed */
extern unsigned fake_spawns;       /* calls of process_start() so far */
extern bool fake_spawn_runs;       /* there is a process that was not reaped */
extern bool fake_spawn_killed;     /* the newest one was killed */
extern bool fake_spawn_immortal;   /* who is killed goes on for now */
extern bool fake_spawn_inherited;  /* somebody else has a copy of its socket: that stays open when it ends */
extern int64_t fake_spawn_used_ms; /* processor time of the process */
extern unsigned fake_spawn_cpu_s;  /* the last process_allow_cpu() */

void fake_spawn_reset(void);
void fake_spawn_close(void);          /* the process closes its socket, and lives on */
void fake_spawn_end(int wait_status); /* it ends; by itself or because it was killed before */

#endif
