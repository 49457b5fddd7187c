/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CTL_H
#define SPEFW_CTL_H

/* spefwctl: what its verbs share. */

#include "screen.h"

#include <jansson.h>
#include <spefw/protocol.h>
#include <stdbool.h>
#include <stddef.h>

struct archive;
struct ctl;
struct diags;
struct output;
struct policy_file;

/* What the program finds when it starts; tests bring their own. */
struct ctl_environment {
	FILE *out, *err;
	const char *spefwd; /* the program to run where no daemon answers */
	const char *doctor; /* spefw-doctor */
	bool root;
};

enum ctl_option {
	OPTION_SOCKET,
	OPTION_CONFIG,
	OPTION_JSON,
	OPTION_VERBOSE,
	OPTION_SERVER,
	OPTION_ADM,
	OPTION_RESOLVERS,
	OPTION_TIME,
	OPTION_YES,
	OPTION_FOLLOW,
	OPTION_CONFIRM,
	OPTION_FILES,
	OPTION_FOR,
	OPTION_HELP,
	OPTION_VERSION,
	OPTIONS,
};

/* Texts of both tables are read by `--help`, by the completions, and by the manual page. In the longer ones `literal`
 * words have backquotes around them, and <NAMES> of arguments angles. */
struct option_kind {
	const char *name;     /* without the dashes */
	char letter;          /* 0: none */
	const char *argument; /* "FILE", "PATH": files are completed; NULL: takes none */
	const char *help;
	const char *usual; /* its value where it is not given; NULL: none */
	bool every_verb;   /* else those that list it */
	bool optional;     /* its argument may be left out: --NAME=ARGUMENT */
};

struct verb {
	const char *name;
	/* As a synopsis shows them. The completions offer files for FILE, for others what verb_list() has. */
	const char *arguments;
	size_t arguments_max;
	const char *help;           /* one line */
	const char *about;          /* paragraphs, each ended by a newline */
	const char *example;        /* a whole command; tests run it */
	unsigned options, required; /* 1U << OPTION_: its own; those that it can't do without */
	bool root;                  /* changes something: it is for root alone */
	const char *method;         /* of the daemon, for ctl_call(); NULL: it calls none */
	unsigned timeout_s;
	/* A reply of that method, or what else the verb has to show, for people. With --json it is printed as it is. */
	void (*text)(const struct ctl *ctl, const json_t *reply);
	int (*run)(struct ctl *ctl); /* exit status */
};

/* The tables. */
extern const struct option_kind option_kinds[OPTIONS];
extern const struct verb verbs[];
extern const size_t verb_count;

struct ctl {
	const struct ctl_environment *environment;
	struct screen screen;
	const struct output *output;
	const struct verb *verb;
	char *const *words; /* the whole command but for the program */
	size_t word_count;
	const char *values[OPTIONS]; /* as given; "" of an option without an argument; NULL: not given */
	char *const *arguments;      /* after the verb */
	size_t argument_count;
};

/* The whole program. Exit status. */
int ctl_run(const struct ctl_environment *environment, int argc, char **argv);

/* One line on standard error. */
void ctl_error(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "permission denied: sudo spefwctl VERB ..., ALTERNATIVE" (or NULL) on standard error. EXIT_PERMISSION. */
int ctl_denied(const struct ctl *ctl, const char *alternative);
/* By its name; NULL: there is none. */
const struct verb *verb_find(const char *name);
/* The same, or it reports the nearest one: EXIT_USAGE. */
int ctl_choose_verb(const struct ctl *ctl, const char *name, const struct verb **ret);

/* As given, or the usual one. */
const char *ctl_value(const struct ctl *ctl, enum ctl_option option);

/* Calls the verb's method (parameters are stolen) and waits for its reply. EXIT_DONE with *ret (the caller's) its
 * parameters, an object. Every other outcome has been reported, but for EXIT_NOT_RUNNING. */
int ctl_call(struct ctl *ctl, json_t *parameters, json_t **ret);
int ctl_call_method(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret); /* another method */
/* The same for verbs that need the daemon: reports that, too. */
int ctl_need(struct ctl *ctl, json_t *parameters, json_t **ret);
int ctl_need_method(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret); /* another method */

/* All replies of a method that answers in pieces; *ret is a list, the caller's. */
int ctl_collect(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret);

/* The reply of a method without parameters, or NULL: for a hint, so nothing is reported and it does not wait long. */
json_t *ctl_fetch(const struct ctl *ctl, const char *method);
/* The word nearest to this one among those that `list` has for an argument, as "FLOW"; NULL: none. The caller's. */
char *list_nearest(const struct ctl *ctl, const char *argument, const char *word);
/* "WHAT WORD: did you mean NEAREST?" on standard error, or "WHAT WORD: HINT". */
void ctl_unknown(const struct ctl *ctl, const char *argument, const char *what, const char *word, const char *hint);

/* Likewise for a method that goes on: `show` gets each of its replies, until the daemon ends or we are interrupted. */
int ctl_follow(struct ctl *ctl, json_t *parameters, void (*show)(struct ctl *ctl, const json_t *reply));

/* Reads and judges a configuration by the daemon's own code: the two can't differ. 0, or negative errno. */
int ctl_read_policy(const char *path, struct policy_file *file, struct diags *diags);

/* help.c: on standard output. */
void help_print(const struct ctl *ctl);
void help_print_verb(const struct ctl *ctl, const struct verb *verb);

/* Calls the method, without parameters, and shows the reply: any verb that but prints. */
int verb_show(struct ctl *ctl);
int verb_help(struct ctl *ctl);
int verb_list(struct ctl *ctl);
int verb_status(struct ctl *ctl);
int verb_verify(struct ctl *ctl);
int verb_flows(struct ctl *ctl);
int verb_connections(struct ctl *ctl);
int verb_cut(struct ctl *ctl);
int verb_grant(struct ctl *ctl);
int verb_revoke(struct ctl *ctl);
int verb_refresh(struct ctl *ctl);
int verb_clear(struct ctl *ctl);
int verb_reload(struct ctl *ctl);
int verb_edit(struct ctl *ctl);
/* Adds what --confirm comes to, also where it is not given (always). NULL: it is wrong, which was reported, and
 * parameters are freed. */
json_t *ctl_confirm(const struct ctl *ctl, json_t *parameters, bool always);
/* Parameters of Diff() for these files, the configuration first; NULL: that has been reported. */
json_t *diff_parameters(const struct ctl *ctl, const struct archive *files);
int verb_rollback(struct ctl *ctl);
int verb_config(struct ctl *ctl);
int verb_check(struct ctl *ctl);
int verb_diff(struct ctl *ctl);
int verb_explain(struct ctl *ctl);
int verb_init(struct ctl *ctl);
int verb_metrics(struct ctl *ctl);
int verb_doctor(struct ctl *ctl);
int verb_watch(struct ctl *ctl);
int verb_drops(struct ctl *ctl);
int verb_export(struct ctl *ctl);

#endif
