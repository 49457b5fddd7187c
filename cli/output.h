/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OUTPUT_H
#define SPEFW_OUTPUT_H

/* How results are shown. Replies come from the daemon and are not trusted to be complete. */

#include "ctl.h"
#include "core/diag.h"
#include "core/policy.h"

struct output {
	/* Of the verb's method, or made as it would be. */
	void (*reply)(const struct ctl *ctl, const json_t *reply);
	/* inspect NULL: what the kernel holds is not known, and `unknown` is the reason. */
	void (*not_running)(const struct ctl *ctl, const json_t *inspect, const char *unknown);
	void (*init)(const struct ctl *ctl, const char *path);
	void (*check)(const struct ctl *ctl, const char *path, const struct policy *policy, const struct diags *diags);
	/* On standard output; standard error has its line already. */
	void (*error)(const struct ctl *ctl, const char *error, const json_t *parameters);
};

extern const struct output output_text, output_json;

/* Never NULL: "" where there is no such string. */
const char *json_text(const json_t *value);
/* How many words there are of what is in the file: those of the list, and KEY_more, which the daemon counts. */
size_t json_word_count(const json_t *object, const char *key);
const char *json_text_of(const json_t *object, const char *key);
int64_t json_number_of(const json_t *object, const char *key); /* 0 */
bool json_truth_of(const json_t *object, const char *key);     /* false */

/* What the table of verbs names. */
void text_status(const struct ctl *ctl, const json_t *reply);
void text_flows(const struct ctl *ctl, const json_t *reply);
void text_explain(const struct ctl *ctl, const json_t *reply);
void text_flow(const struct ctl *ctl, const json_t *reply); /* of one, as verb_flows() puts it together */
void text_connections(const struct ctl *ctl, const json_t *reply);
void text_cut_one(const struct ctl *ctl, const json_t *reply);
void text_grant(const struct ctl *ctl, const json_t *reply);
void text_revoke(const struct ctl *ctl, const json_t *reply);
void text_grants(const struct ctl *ctl, const json_t *reply);
void text_names(const struct ctl *ctl, const json_t *reply);
void text_event(const struct ctl *ctl, const json_t *reply);
void text_diff(const struct ctl *ctl, const json_t *reply);
void text_drops(const struct ctl *ctl, const json_t *reply);
void text_verify(const struct ctl *ctl, const json_t *reply);
void text_reload(const struct ctl *ctl, const json_t *reply);
void text_clear(const struct ctl *ctl, const json_t *reply);
void text_edit(const struct ctl *ctl, const json_t *reply); /* {"changed", "confirmed"} */
void text_confirm(const struct ctl *ctl, const json_t *reply);
void text_history(const struct ctl *ctl, const json_t *reply);
void text_config(const struct ctl *ctl, const json_t *reply);   /* as verb_config() puts it together */
void text_list(const struct ctl *ctl, const json_t *reply);     /* {"KIND": [words]}: one a line */
void text_doctor(const struct ctl *ctl, const json_t *report);  /* findings, worst first */
void text_export(const struct ctl *ctl, const json_t *reply);   /* {"text": ...}, or the document */
void text_metrics(const struct ctl *ctl, const json_t *status); /* NULL: no daemon runs */

/* The bytes of a file that a reply has as `text` or `base64`: the caller's; NULL: there are none, or no memory. */
char *json_bytes_of(const json_t *file, size_t *ret_length);
/* From the pieces of Config(), which come file by file: {"generation", "files"}; one that is named twice is there once.
 * The caller's; NULL without memory, or where pieces are not as they should be. */
json_t *config_of_pieces(const json_t *pieces);

/* The parts of output_text. */
void text_not_running(const struct ctl *ctl, const json_t *inspect, const char *unknown);
void text_details(const struct ctl *ctl, const json_t *status);
/* "* spefw WORD: rest                 right" */
void text_verdict(const struct ctl *ctl, enum tone tone, const char *word, const char *rest, const char *right);
void text_add_remedy(const struct ctl *ctl, struct text *text, const char *remedy); /* "": nothing */
bool status_is_cleared(const json_t *status); /* the table was removed on request */

/* Connections that were cut, one a line; and one of them. */
void text_cut(const struct ctl *ctl, int64_t count, const json_t *connections);
void text_add_drop(struct text *text, const json_t *row); /* of Drops() */
int64_t cut_count(const json_t *connections);             /* how many these stand for */
void text_add_cut(struct text *text, const json_t *connection);

/* "console-in from 10.32.0.50". */
void text_add_grant(struct text *text, const json_t *grant);
/* "spefwctl grant console-in 10.32.0.50 --for 2h". */
void text_add_grant_command(struct text *text, const char *flow, const char *address);
const char *grant_without_effect(const json_t *grant); /* why; NULL: it has one */
/* RFC 3339, UTC, as the local time in this format of strftime(); as it is where it is none. */
void text_add_time(struct text *text, const char *when, const char *format);
/* Of what is proven of the table: whether it is in this state; in words, with what it cost. */
bool proof_is(const json_t *proof, const char *state);
void text_add_proof(struct text *text, const json_t *proof, bool cost);
/* Adds the strings of an array, with commas, `max` at most: "a, b, +3 more". */
void text_add_list(struct text *text, const json_t *array, size_t max);
/* Likewise of words in the file, of which the daemon gives the first and counts the rest. */
void text_add_words(struct text *text, const json_t *object, const char *key, size_t max);
/* Where the reply has it so: that nothing of it is in force. */
void text_waits(const struct ctl *ctl, const json_t *reply); /* for confirm */
void text_removed(const struct ctl *ctl, const json_t *reply);
void text_add_ports(struct text *text, const json_t *flow); /* "tcp/143, 443" */
void text_add_last(struct text *text, const json_t *flow);  /* when it was last used, or why it is off */
char *format_bytes(int64_t bytes, char buffer[32]);         /* "2.1 MB"; returns buffer */
enum tone tone_of_state(const char *state);
void ctl_print_table(const struct ctl *ctl, struct table *table);

#endif
