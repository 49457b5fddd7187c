/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OUTPUT_H
#define SPEFW_OUTPUT_H

/* How results are shown. Replies come from the daemon and are not trusted to be complete. */

#include "ctl.h"
#include "core/diag.h"
#include "core/policy.h"

struct output {
	void (*status)(const struct ctl *ctl, const json_t *reply);
	/* inspect NULL: it is not known what the kernel holds, and `unknown` says why. */
	void (*not_running)(const struct ctl *ctl, const json_t *inspect, const char *unknown);
	void (*flows)(const struct ctl *ctl, const json_t *reply);
	void (*names)(const struct ctl *ctl, const json_t *reply);
	void (*reload)(const struct ctl *ctl, const json_t *reply);
	void (*clear)(const struct ctl *ctl, const json_t *reply);
	void (*init)(const struct ctl *ctl, const char *path);
	void (*check)(const struct ctl *ctl, const char *path, const struct policy *policy, const struct diags *diags);
	void (*doctor)(const struct ctl *ctl, const json_t *report); /* findings, worst first */
	/* On standard output; standard error has its line already. */
	void (*error)(const struct ctl *ctl, const char *error, const json_t *parameters);
};

extern const struct output output_text, output_json;

void metrics_print(FILE *out, const json_t *status); /* NULL: no daemon runs */

/* Never NULL: "" where there is no such string. */
const char *json_text(const json_t *value);
const char *json_text_of(const json_t *object, const char *key);
int64_t json_number_of(const json_t *object, const char *key); /* 0 */
bool json_truth_of(const json_t *object, const char *key);     /* false */

/* The parts of output_text. */
void text_status(const struct ctl *ctl, const json_t *reply);
void text_not_running(const struct ctl *ctl, const json_t *inspect, const char *unknown);
void text_flows(const struct ctl *ctl, const json_t *reply);
void text_names(const struct ctl *ctl, const json_t *reply);

/* Adds the strings of an array, with commas, `max` at most: "a, b, +3 more". */
void text_add_list(struct text *text, const json_t *array, size_t max);
/* "tcp", "143 443", or "icmp-echo", of a flow. */
void text_add_ports(struct text *text, const json_t *flow);
enum tone tone_of_state(const char *state);
void ctl_print_table(const struct ctl *ctl, struct table *table);

#endif
