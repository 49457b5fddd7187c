/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "metrics.h"
#include "output.h"
#include "core/health.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The classic text format of Prometheus, which node_exporter reads from its textfile directory. It differs from
 * OpenMetrics, which would have a counter's HELP and TYPE without _total: so they would name nothing here. */

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ONE(name, type, help, path)                                     \
	{                                                               \
		name, type, help, METRIC_NUMBER, NULL, path, NULL, NULL \
	}
#define IS(name, help, path, word)                                                 \
	{                                                                          \
		name, "gauge", help, METRIC_IS_WORD, NULL, path, NULL, WORDS(word) \
	}
#define MEMBERS(name, help, path, label, ...)                                               \
	{                                                                                   \
		name, "counter", help, METRIC_MEMBER, NULL, path, label, WORDS(__VA_ARGS__) \
	}
#define EACH(list, name, type, help, path)                              \
	{                                                               \
		name, type, help, METRIC_NUMBER, list, path, NULL, NULL \
	}

const struct metric metrics[] = {
	{ "up", "gauge", "Whether spefwd answers.", METRIC_UP, NULL, NULL, NULL, NULL },
	{ "build_info", "gauge", "Always 1; the version of spefwd is a label.", METRIC_TEXT, NULL, "version", "version",
	  NULL },
	ONE("uptime_seconds", "gauge", "How long spefwd has been running.", "uptime_s"),
	IS("healthy", "Whether health is ok: neither degraded nor failed.", "health", "ok"),
	IS("failed", "Whether health is failed: the server is not known to be guarded.", "health", "failed"),
	{ "health_reasons", "gauge", "Reasons for which health is not ok, by code.", METRIC_CODES, NULL, "reasons",
	  "code", NULL },
	IS("enforcing", "Whether denials are in force: not so in audit mode.", "mode", "enforce"),
	ONE("generation", "gauge",
	    "Number of the policy in force; one more for each that comes into force, and for each clear.",
	    "generation"),
	IS("proof_equal", "Whether it is proven that the table is the policy for all packets.", "proof.state", "equal"),
	IS("proof_differs", "Whether it is proven that it is not.", "proof.state", "differs"),
	ONE("proof_cells", "gauge", "Classes of packets that the last proof has compared.", "proof.cells"),
	{ "proof_seconds", "gauge", "Processor time of the last proof.", METRIC_MILLISECONDS, NULL, "proof.took_ms",
	  NULL, NULL },
	ONE("proof_refused_total", "counter",
	    "Changes of the table that were refused, since it would not have been the policy.", "proof_refused"),
	ONE("config_matches_disk", "gauge", "Whether the file on disk is the policy in force.", "config.matches_disk"),
	ONE("confirm_left_seconds", "gauge", "When a change is undone that waits for confirm; absent where none does.",
	    "config.waiting.left_s"),
	MEMBERS("denied_total", "Denied packets.", "denied", "kind", "in", "out", "early", "invalid"),
	MEMBERS("mid_stream_total", "Packets of connections that were not tracked: passed, or of one that was cut.",
		"mid_stream", "kind", "passed", "cut"),
	ONE("cut_remembered", "gauge", "Connections that were cut and are remembered.", "mid_stream.remembered"),
	ONE("cut_full", "gauge", "Whether not all of them have room.", "mid_stream.full"),
	MEMBERS("guard_total", "Packets that the guards met, and repairs of the table.", "guards", "guard",
		"intercepted", "spoofed", "source_routed", "repaired"),
	MEMBERS("observed_total", "DNS answers to the protected machines.", "observed", "kind", "learned",
		"unsolicited", "unseen", "lost"),
	ONE("denial_queries_refused_total", "counter", "Queries because of denials that the limit refused.",
	    "denial_queries.refused"),
	ONE("blocking_rules", "gauge", "Rules of other tables that stop a flow, or may.", "blocked.findings"),
	ONE("interception_rules", "gauge", "Rules of other tables that could intercept a flow.", "interceptions"),
	ONE("grants", "gauge", "Grants that have not ended, with an effect or not.", "grants"),
	EACH("flows", "flow_granted", "gauge", "Addresses that a flow is granted for a while.", "granted"),
	EACH("flows", "flow_attempts_total", "counter", "Packets that opened a connection of a flow, answered or not.",
	     "attempts"),
	EACH("flows", "flow_connections", "gauge", "Open connections of a flow.", "connections"),
	EACH("flows", "flow_new_connections_24h", "gauge", "Connections of a flow that were opened in 24 hours.",
	     "new_24h"),
	EACH("flows", "flow_last_used_seconds", "gauge", "How long ago a connection of a flow was last there.",
	     "last_used_s"),
	EACH("flows", "flow_enabled", "gauge", "Whether a flow is open.", "enabled"),
	EACH("flows", "flow_expect_seconds", "gauge", "How long a flow may be without an answered connection.",
	     "expect_s"),
	EACH("flows", "flow_silent_seconds", "gauge", "How long it has been without one.", "silent_s"),
	EACH("flows", "flow_overdue", "gauge", "Whether that is too long.", "overdue"),
	EACH("names", "name_addresses", "gauge", "Addresses behind a name.", "addresses"),
	{ "name_state", "gauge", "Whether a name is in a state.", METRIC_IS_WORD, "names", "state", "state",
	  WORDS("fresh", "grace", "stale", "failing", "empty") },
};
const size_t metric_count = sizeof(metrics) / sizeof(metrics[0]);

const struct metric_label metric_labels[] = {
	{ "flows", "flow", "id" },
	{ "names", "name", "name" },
	{ "names", "family", "family" },
};
const size_t metric_label_count = sizeof(metric_labels) / sizeof(metric_labels[0]);

/* `path` in an object, its members with dots between; NULL where there is nothing. */
static const json_t *value_at(const json_t *object, const char *path)
{
	char member[32];

	while (object && path) {
		size_t length = strcspn(path, ".");
		snprintf(member, sizeof(member), "%.*s", (int)length, path);
		object = json_object_get(object, member);
		path = path[length] ? path + length + 1 : NULL;
	}
	return object;
}

static int64_t number_of(const json_t *value)
{
	if (json_is_array(value))
		return (int64_t)json_array_size(value);
	return json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
}

static int64_t count_code(const json_t *list, const char *code)
{
	int64_t count = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		count += strcmp(json_text_of(json_array_get(list, i), "code"), code) == 0;
	return count;
}

/* A label's value: backslash and quote are escaped. */
static void print_label(FILE *out, const char *name, const char *value, char *separator)
{
	char *harmless = text_harmless(value);

	fprintf(out, "%c%s=\"", *separator, name);
	for (const char *at = harmless ? harmless : "?"; *at; at++) {
		if (*at == '\\' || *at == '"')
			putc('\\', out);
		putc(*at, out);
	}
	putc('"', out);
	*separator = ',';
	free(harmless);
}

/* `item` is the element of the metric's list, if it has one. */
static void print_sample(FILE *out, const struct metric *metric, const json_t *item, const char *word, int64_t value)
{
	char separator = '{';

	fprintf(out, "spefw_%s", metric->name);
	for (size_t i = 0; metric->each && i < metric_label_count; i++)
		if (strcmp(metric_labels[i].list, metric->each) == 0)
			print_label(out, metric_labels[i].label, json_text_of(item, metric_labels[i].member),
				    &separator);
	if (metric->label)
		print_label(out, metric->label, word, &separator);
	fprintf(out, "%s %" PRId64 "\n", separator == ',' ? "}" : "", value);
}

static void print_samples(FILE *out, const struct metric *metric, const json_t *item)
{
	const json_t *value = value_at(item, metric->path);

	if (!value)
		return;
	if (metric->value == METRIC_NUMBER)
		print_sample(out, metric, item, NULL, number_of(value));
	if (metric->value == METRIC_MILLISECONDS)
		fprintf(out, "spefw_%s %" PRId64 ".%03d\n", metric->name, number_of(value) / 1000,
			(int)(number_of(value) % 1000));
	if (metric->value == METRIC_TEXT)
		print_sample(out, metric, item, json_text(value), 1);
	for (int i = 0; metric->value == METRIC_CODES && i < HEALTH_CODES; i++)
		print_sample(out, metric, item, health_kinds[i].name, count_code(value, health_kinds[i].name));
	for (const char *const *word = metric->words; word && *word; word++)
		print_sample(out, metric, item, *word,
			     metric->value == METRIC_IS_WORD ? strcmp(json_text(value), *word) == 0
							     : json_number_of(value, *word));
}

static void print_metric(FILE *out, const struct metric *metric, const json_t *status)
{
	const json_t *list = metric->each ? json_object_get(status, metric->each) : NULL;

	fprintf(out, "# HELP spefw_%s %s\n# TYPE spefw_%s %s\n", metric->name, metric->help, metric->name,
		metric->type);
	if (metric->value == METRIC_UP)
		print_sample(out, metric, NULL, NULL, status != NULL);
	else if (!metric->each)
		print_samples(out, metric, status);
	for (size_t i = 0; i < json_array_size(list); i++)
		print_samples(out, metric, json_array_get(list, i));
}

void text_metrics(const struct ctl *ctl, const json_t *status)
{
	FILE *out = ctl->screen.file;

	for (size_t i = 0; i < metric_count; i++)
		if (status || metrics[i].value == METRIC_UP)
			print_metric(out, &metrics[i], status);
}

/* A daemon that does not run is a metric, too, and still an exit status. */
int verb_metrics(struct ctl *ctl)
{
	json_t *status = NULL;
	int r = ctl_need(ctl, NULL, &status);

	if (r == EXIT_DONE)
		ctl->output->reply(ctl, status);
	else if (r == EXIT_NOT_RUNNING && !ctl->values[OPTION_JSON])
		text_metrics(ctl, NULL);
	json_decref(status);
	return r;
}
