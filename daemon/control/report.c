/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report.h"
#include "control/flow_json.h"
#include "control/report_grants.h"
#include "control/report_history.h"
#include "control/report_proof.h"
#include "control/report_usage.h"
#include "control/report_drops.h"
#include "core/query_pace.h"
#include "control/wire.h"
#include "clock.h"
#include "gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static json_int_t packets(const struct gateway *gateway, const char *counter)
{
	return (json_int_t)counts_packets(gateway_counts(gateway), counter);
}

static json_t *report_flow(const struct gateway *gateway, const struct policy_flow *flow)
{
	const struct expectation *expected = usage_find(gateway_usage(gateway), flow->id);
	json_t *out = flow_json(flow);

	report_use(out, gateway, flow);
	json_object_set_new(out, "granted", report_granted(gateway, flow));
	if (expected) {
		json_object_set_new(out, "expect_s", json_integer(expected->expect_ms / 1000));
		json_object_set_new(out, "silent_s", json_integer(expected->silent_ms / 1000));
		if (expected->answered)
			json_object_set_new(out, "last_answered_s", json_integer(expected->silent_ms / 1000));
		json_object_set_new(out, "overdue", json_boolean(expected->overdue));
	}
	return out;
}

/* As the vendor's table has them, not as they are judged. */
static json_t *flow_list(const struct gateway *gateway)
{
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	const struct policy_flow *flow;
	json_t *list = json_array();

	for (size_t at = 0; (flow = policy_listed_flow(policy, &at));)
		json_array_append_new(list, report_flow(gateway, flow));
	return list;
}

json_t *report_flows(struct gateway *gateway)
{
	gateway_read_counters(gateway);
	gateway_read_connections(gateway);
	json_t *out = json_pack("{s:o, s:o, s:b}", "flows", flow_list(gateway), "roles",
				roles_json(config_store_policy(gateway_config(gateway))), "removed",
				table_is_removed(gateway_table(gateway)));
	report_recorded(out, gateway);
	return out;
}

static json_t *report_findings(const struct gateway *gateway)
{
	const struct findings *findings = foreign_findings(gateway_foreign(gateway));
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o, s:I, s:s, s:s, s:I}", "family",
						table_family(finding->family), "table", json_printable(finding->table),
						"chain", json_printable(finding->chain), "handle",
						(json_int_t)finding->handle, "does", effect_word(finding->effect),
						"flow", finding->flow, "flow_count", (json_int_t)finding->flow_count));
	}
	return list;
}

static json_t *report_denied(const struct gateway *gateway)
{
	json_t *out = json_pack("{s:I, s:I, s:I, s:I, s:I}", "in", packets(gateway, "denied-in"), "out",
				packets(gateway, "denied-out"), "early", packets(gateway, "denied-early"), "invalid",
				packets(gateway, "invalid"), "last_hour",
				(json_int_t)counts_denied_last_hour(gateway_counts(gateway)));
	if (out)
		report_denied_sources(gateway, out);
	return out;
}

static json_t *report_mid_stream(const struct gateway *gateway)
{
	struct cut_figures figures = cut_figures(gateway_cut(gateway));
	return json_pack("{s:I, s:I, s:I, s:b}", "passed", packets(gateway, "mid-stream"), "cut",
			 packets(gateway, "cut"), "remembered", (json_int_t)figures.remembered, "full", figures.full);
}

static json_t *report_guards(const struct gateway *gateway)
{
	struct table_figures figures = table_figures(gateway_table(gateway));
	json_t *out = json_pack("{s:I, s:I, s:I, s:I}", "intercepted", packets(gateway, "intercepted"), "spoofed",
				packets(gateway, "spoofed"), "source_routed", packets(gateway, "source-routed"),
				"repaired", (json_int_t)figures.repaired);
	if (figures.last_repair[0])
		json_object_set_new(out, "last_repair", json_printable(figures.last_repair));
	return out;
}

static json_t *report_observed(const struct gateway *gateway)
{
	struct observer_figures figures = observer_figures(gateway_observer(gateway));
	return json_pack("{s:I, s:I, s:I, s:I}", "learned", (json_int_t)names_figures(gateway_names(gateway)).learned,
			 "unsolicited", (json_int_t)figures.unsolicited, "unseen", packets(gateway, "unobserved"),
			 "lost", (json_int_t)figures.lost);
}

static json_t *report_denial_queries(const struct gateway *gateway)
{
	struct names_figures figures = names_figures(gateway_names(gateway));
	return json_pack("{s:i, s:I, s:b}", "limit_a_minute", PACE_A_MINUTE, "refused",
			 (json_int_t)figures.denial_refused, "exhausted", figures.denial_exhausted);
}

static json_t *report_config(const struct gateway *gateway, const struct health *health)
{
	const struct policy_file *file = config_store_file(gateway_config(gateway));
	static const enum health_code others[] = { HEALTH_CONFIG_CHANGED, HEALTH_CONFIG_REFUSED, HEALTH_CONFIG_MISSING,
						   HEALTH_CONFIG_KEPT, HEALTH_CONFIG_TAKEN_BACK };
	bool matches = !table_is_removed(gateway_table(gateway)) || config_store_matches_disk(gateway_config(gateway));
	int64_t uptime_s = gateway_uptime_ms(gateway) / 1000, age_s = time(NULL) - file->loaded_at;
	char when[32];
	struct tm parts;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		matches &= !health_has(health, others[i]);
	/* The clock may have been set since; nothing was loaded before the daemon began. */
	age_s = age_s < 0 ? 0 : age_s > uptime_s ? uptime_s : age_s;
	gmtime_r(&file->loaded_at, &parts);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	const char *by = gateway_loaded_by(gateway);
	return json_pack("{s:o, s:s, s:I, s:b, s:s*, s:o*}", "path", json_printable(file->path), "loaded_at", when,
			 "loaded_s", (json_int_t)age_s, "matches_disk", matches, "loaded_by", *by ? by : NULL,
			 "waiting", report_waiting(gateway_config(gateway)));
}

json_t *report_reasons(const struct health *health)
{
	json_t *list = json_array();

	for (size_t i = 0; i < health->reasons.count; i++) {
		const struct health_reason *reason = &health->reasons.items[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s*}", "code", health_kinds[reason->code].name,
						      "text", reason->text, "remedy", reason->remedy));
	}
	return list;
}

/* In one line, the verdict first; nothing of a table that is not there, or not known. */
static char *manager_text(struct gateway *gateway, const struct health *health)
{
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	const struct ranges *guarded = &policy->roles[0].guarded;
	const char *first = health->reasons.count ? health->reasons.items[0].text : NULL, *word = health_word(health);
	char server[RANGE_TEXT_MAX] = "nothing", *text;
	int r;

	if (guarded->count)
		range_format(&guarded->items[0], server);
	if (table_is_removed(gateway_table(gateway)) || strcmp(word, "failed") == 0)
		r = asprintf(&text, "STATUS=%s: %s", word, first ? first : "out of memory");
	else
		r = asprintf(&text, "STATUS=%s, %s %s%s%s%s%s", word, policy->mode == MODE_AUDIT ? "audits" : "guards",
			     server, guarded->count > 1 ? " and more" : "",
			     policy->mode == MODE_AUDIT ? ", denies nothing" : "", first ? ": " : "",
			     first ? first : "");
	return r < 0 ? NULL : text;
}

void report_to_manager(struct gateway *gateway)
{
	struct health health;

	gateway_reasons(gateway, &health);
	char *text = manager_text(gateway, &health);
	if (text)
		sd_notify(0, text);
	free(text);
	health_free(&health);
}

json_t *report_status(struct gateway *gateway, size_t clients)
{
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	struct table_figures table = table_figures(gateway_table(gateway));
	struct seal_figures seal = seal_figures(gateway_seal(gateway));
	struct health health = { 0 };
	json_t *out = NULL;

	int r = gateway_read_counters(gateway);
	if (!usage_knows_open(gateway_usage(gateway)))
		gateway_read_connections(gateway);
	gateway_reasons(gateway, &health);
	if (r < 0)
		health_add(&health, HEALTH_COUNTERS_UNREADABLE, "the kernel's counters can't be read");
	if (!health.out_of_memory)
		out = json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, "
				"s:b, s:s, s:I}",
				"health", health_word(&health), "reasons", report_reasons(&health), "mode",
				mode_name(policy->mode), "version", PACKAGE_VERSION, "generation",
				(json_int_t)config_store_generation(gateway_config(gateway)), "uptime_s",
				(json_int_t)(gateway_uptime_ms(gateway) / 1000), "server",
				ranges_json(&policy->roles[0].guarded), "config", report_config(gateway, &health),
				"flows", flow_list(gateway), "names", report_name_list(gateway), "denied",
				report_denied(gateway), "mid_stream", report_mid_stream(gateway), "guards",
				report_guards(gateway), "observed", report_observed(gateway), "denial_queries",
				report_denial_queries(gateway), "interceptions", report_findings(gateway),
				"interception", interception_name(policy->interception), "early_drop",
				policy->early_drop, "ownership", table.owned ? "owner" : "monitor", "clients",
				(json_int_t)clients);
	json_object_set_new(out, "removed", json_boolean(table_is_removed(gateway_table(gateway))));
	json_object_set_new(out, "commits", json_integer((json_int_t)table.commits));
	json_object_set_new(out, "blocked", report_blocked(gateway));
	json_object_set_new(out, "grants", report_grant_list(gateway));
	json_object_set_new(out, "proof", report_proof(seal.held, config_store_generation(gateway_config(gateway))));
	json_object_set_new(out, "proof_refused", json_integer((json_int_t)seal.refusals));
	report_recorded(out, gateway);
	health_free(&health);
	return out;
}
