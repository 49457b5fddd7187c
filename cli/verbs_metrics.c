/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* OpenMetrics text, as node_exporter's textfile directory takes it. */

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE spefw_%s %s\n# HELP spefw_%s %s\n", name, type, name, help);
}

/* A label's value: backslash and quote are escaped. */
static void print_label(FILE *out, const char *name, const char *value)
{
	char *harmless = text_harmless(value);

	fprintf(out, "%s=\"", name);
	for (const char *at = harmless ? harmless : "?"; *at; at++) {
		if (*at == '\\' || *at == '"')
			putc('\\', out);
		putc(*at, out);
	}
	putc('"', out);
	free(harmless);
}

static void single(FILE *out, const char *name, int64_t value)
{
	fprintf(out, "spefw_%s %" PRId64 "\n", name, value);
}

static void labelled(FILE *out, const char *name, const char *label, const char *text, int64_t value)
{
	fprintf(out, "spefw_%s{", name);
	print_label(out, label, text);
	fprintf(out, "} %" PRId64 "\n", value);
}

static void print_flows(FILE *out, const json_t *flows)
{
	size_t index;
	json_t *flow;

	family(out, "flow_connections", "counter", "Packets that opened a connection of a flow.");
	json_array_foreach((json_t *)flows, index, flow)
		labelled(out, "flow_connections_total", "flow", json_text_of(flow, "id"),
			 json_number_of(flow, "connections"));
	family(out, "flow_enabled", "gauge", "Whether a flow is open.");
	json_array_foreach((json_t *)flows, index, flow)
		labelled(out, "flow_enabled", "flow", json_text_of(flow, "id"), json_truth_of(flow, "enabled"));
}

/* Flows without the key have no samples. */
static void print_expected(FILE *out, const json_t *flows)
{
	static const struct {
		const char *name, *key, *help;
	} kinds[] = {
		{ "flow_expect_seconds", "expect_s", "How long a flow may be without an answered connection." },
		{ "flow_silent_seconds", "silent_s", "How long it has been without one." },
		{ "flow_overdue", "overdue", "Whether that is too long." },
	};
	size_t index;
	json_t *flow;

	for (size_t i = 0; i < 3; i++) {
		family(out, kinds[i].name, "gauge", kinds[i].help);
		json_array_foreach((json_t *)flows, index, flow)
		{
			if (!json_object_get(flow, "expect_s"))
				continue;
			int64_t value = i < 2 ? json_number_of(flow, kinds[i].key) : json_truth_of(flow, kinds[i].key);
			labelled(out, kinds[i].name, "flow", json_text_of(flow, "id"), value);
		}
	}
}

static void print_name_labels(FILE *out, const char *sample, const json_t *name)
{
	fprintf(out, "spefw_%s{", sample);
	print_label(out, "name", json_text_of(name, "name"));
	putc(',', out);
	print_label(out, "family", json_text_of(name, "family"));
}

static void print_names(FILE *out, const json_t *names)
{
	static const char *const states[] = { "fresh", "grace", "stale", "failing", "empty" };
	size_t index;
	json_t *name;

	family(out, "name_addresses", "gauge", "Addresses behind a name.");
	json_array_foreach((json_t *)names, index, name)
	{
		print_name_labels(out, "name_addresses", name);
		fprintf(out, "} %zu\n", json_array_size(json_object_get(name, "addresses")));
	}
	/* A stateset by its form, but node_exporter refuses a whole file for the sake of a type that it does not know.
	 */
	family(out, "name_state", "gauge", "Whether a name is in a state.");
	json_array_foreach((json_t *)names, index, name)
	{
		for (size_t i = 0; i < 5; i++) {
			print_name_labels(out, "name_state", name);
			putc(',', out);
			print_label(out, "spefw_name_state", states[i]);
			fprintf(out, "} %d\n", strcmp(json_text_of(name, "state"), states[i]) == 0);
		}
	}
}

static void print_counters(FILE *out, const char *name, const char *label, const char *help, const json_t *object,
			   const char *const *keys)
{
	char sample[64];

	family(out, name, "counter", help);
	snprintf(sample, sizeof(sample), "%s_total", name);
	for (; *keys; keys++)
		labelled(out, sample, label, *keys, json_number_of(object, *keys));
}

void metrics_print(FILE *out, const json_t *status)
{
	static const char *const denied[] = { "in", "out", "early", "invalid", NULL };
	static const char *const observed[] = { "learned", "unasked", "unseen", "lost", NULL };
	static const char *const mid_stream[] = { "passed", "cut", NULL };
	static const char *const guards[] = { "intercepted", "spoofed", "source_routed", "repaired", NULL };

	family(out, "up", "gauge", "Whether spefwd answers.");
	single(out, "up", status != NULL);
	if (status) {
		family(out, "healthy", "gauge", "Whether health is ok: neither degraded nor failed.");
		single(out, "healthy", strcmp(json_text_of(status, "health"), "ok") == 0);
		family(out, "enforcing", "gauge", "Whether denials are in force: not so in audit mode.");
		single(out, "enforcing", strcmp(json_text_of(status, "mode"), "enforce") == 0);
		family(out, "generation", "gauge", "Changes of the policy or the table since spefwd began.");
		single(out, "generation", json_number_of(status, "generation"));
		family(out, "config_matches_disk", "gauge", "Whether the file on disk is the policy in force.");
		single(out, "config_matches_disk", json_truth_of(json_object_get(status, "config"), "matches_disk"));
		print_counters(out, "denied", "kind", "Denied packets.", json_object_get(status, "denied"), denied);
		const json_t *lost = json_object_get(status, "mid_stream");
		print_counters(out, "mid_stream", "kind",
			       "Packets of connections that were not tracked: passed, or of one that was cut.", lost,
			       mid_stream);
		family(out, "cut_remembered", "gauge", "Connections that were cut and are remembered.");
		single(out, "cut_remembered", json_number_of(lost, "remembered"));
		family(out, "cut_full", "gauge", "Whether not all of them have room.");
		single(out, "cut_full", json_truth_of(lost, "full"));
		print_counters(out, "guard", "guard", "What the guards met.", json_object_get(status, "guards"),
			       guards);
		print_counters(out, "observed", "kind", "DNS answers to the protected machines.",
			       json_object_get(status, "observed"), observed);
		family(out, "denial_queries_refused", "counter", "Queries because of denials that the limit refused.");
		single(out, "denial_queries_refused_total",
		       json_number_of(json_object_get(status, "denial_queries"), "refused"));
		family(out, "interception_rules", "gauge", "Rules of other tables that could intercept a flow.");
		single(out, "interception_rules", (int64_t)json_array_size(json_object_get(status, "interceptions")));
		print_flows(out, json_object_get(status, "flows"));
		print_expected(out, json_object_get(status, "flows"));
		print_names(out, json_object_get(status, "names"));
	}
	fputs("# EOF\n", out);
}

/* A daemon that does not run is a metric, too, and still an exit status. */
int verb_metrics(struct ctl *ctl)
{
	json_t *status = NULL;
	int r = ctl_need(ctl, SPEFW_METHOD("Status"), NULL, PATIENCE_S, &status);

	if (r != EXIT_DONE && r != EXIT_NOT_RUNNING)
		return r;
	if (ctl->json && r == EXIT_DONE)
		ctl->output->status(ctl, status);
	else if (!ctl->json)
		metrics_print(ctl->screen.file, r == EXIT_DONE ? status : NULL);
	json_decref(status);
	return r;
}
