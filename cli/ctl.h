/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CTL_H
#define SPEFW_CTL_H

/* spefwctl: what its verbs share. */

#include "screen.h"

#include <jansson.h>
#include <spefw/protocol.h>
#include <stdbool.h>
#include <stddef.h>

struct output;

/* What it finds around itself; tests bring their own. */
struct ctl_world {
	FILE *out, *err;
	const char *spefwd; /* the program to ask where no daemon answers */
	bool root;
};

struct ctl {
	const struct ctl_world *world;
	struct screen screen;
	const struct output *output;
	const char *socket;
	const char *config;                   /* -c; NULL: not given */
	const char *server, *adm, *resolvers; /* of init; NULL: not given */
	bool json, yes;
	char *const *arguments; /* after the verb */
	size_t argument_count;
};

enum { VERB_YES = 1, VERB_CONFIG = 2, VERB_INIT = 4 }; /* options of its own */

struct verb {
	const char *name, *synopsis, *help;
	unsigned options;
	size_t arguments_max;
	int (*run)(struct ctl *ctl); /* exit status */
};

/* The whole program. Exit status. */
int ctl_run(const struct ctl_world *world, int argc, char **argv);

/* One line on standard error. */
void ctl_complain(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls a method (parameters are stolen) and waits for its reply. EXIT_DONE with *ret (the caller's) its parameters, an
 * object. Everything else has been complained of, but for EXIT_NOT_RUNNING. */
int ctl_call(struct ctl *ctl, const char *method, json_t *parameters, unsigned timeout_s, json_t **ret);
/* The same for verbs that need the daemon: complains of that, too. */
int ctl_need(struct ctl *ctl, const char *method, json_t *parameters, unsigned timeout_s, json_t **ret);

enum { PATIENCE_S = 10, LONG_PATIENCE_S = 90 };

int verb_status(struct ctl *ctl);
int verb_flows(struct ctl *ctl);
int verb_names(struct ctl *ctl);
int verb_reload(struct ctl *ctl);
int verb_refresh(struct ctl *ctl);
int verb_clear(struct ctl *ctl);
int verb_check(struct ctl *ctl);
int verb_init(struct ctl *ctl);
int verb_metrics(struct ctl *ctl);
int verb_doctor(struct ctl *ctl);

#endif
