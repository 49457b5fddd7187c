/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report.h"
#include "core/config_types.h"
#include "core/policy_diff.h"
#include "gateway/gateway.h"
#include "control/wire.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static json_t *endpoint_words(const struct endpoint *endpoint)
{
	json_t *list = json_array();
	for (size_t i = 0; i < endpoint->word_count; i++)
		json_array_append_new(list, json_printable(endpoint->words[i]));
	return list;
}

static json_t *flow_ports(const struct policy_flow *flow)
{
	json_t *list = json_array();
	for (size_t i = 0; i < flow->port_count; i++) {
		const struct port_range *range = &flow->ports[i];
		json_array_append_new(list, range->first == range->last
						    ? json_sprintf("%u", range->first)
						    : json_sprintf("%u-%u", range->first, range->last));
	}
	return list;
}

/* What the table of keys says that a flow's JSON has as it is; no member where the key has no value. */
static void add_values(json_t *out, const struct policy_flow *flow)
{
	char text[VALUE_TEXT_MAX];

	for (const struct config_key *key = NULL; (key = config_key_next(CONFIG_FLOW, key));) {
		if (!key->json)
			continue;
		value_methods(key)->text(key, flow, text);
		if (key->type == VALUE_YES_NO)
			json_object_set_new(out, key->json, json_boolean(strcmp(text, "yes") == 0));
		else if (*text)
			json_object_set_new(out, key->json, json_printable(text));
	}
}

static json_t *report_flow(const struct gateway *gateway, const struct policy_flow *flow)
{
	char counter_name[CONFIG_ID_MAX + 8], protocols[24];

	snprintf(counter_name, sizeof(counter_name), "flow-%s", flow->id);
	const struct total *counter = totals_find(&gateway->totals, counter_name);
	const struct expectation *expected = expect_find(&gateway->expect, flow->id);
	json_t *out = json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:I}", "id", flow->id, "section",
				section_name(flow->section), "from", endpoint_words(&flow->from), "to",
				endpoint_words(&flow->to), "protocol", protocols_text(flow->protocols, protocols),
				"ports", flow_ports(flow), "connections", (json_int_t)(counter ? counter->packets : 0));
	add_values(out, flow);
	if (flow->off)
		json_object_set_new(out, "off", json_string(flow->off));
	if (expected) {
		json_object_set_new(out, "expect_s", json_integer(expected->expect_ms / 1000));
		json_object_set_new(out, "silent_s", json_integer(expected->silent_ms / 1000));
		if (expected->answered)
			json_object_set_new(out, "last_answered_s", json_integer(expected->silent_ms / 1000));
		json_object_set_new(out, "overdue", json_boolean(expected->overdue));
	}
	if (flow->line)
		json_object_set_new(out, "line", json_integer(flow->line));
	if (flow->purpose)
		json_object_set_new(out, "purpose", json_string(flow->purpose));
	return out;
}

/* As the vendor's table has them, not as they are judged. */
static json_t *flow_list(const struct gateway *gateway)
{
	const struct policy *policy = &gateway->file.policy;
	json_t *list = json_array();

	for (size_t i = 0; i < builtin_flow_count; i++) {
		const struct policy_flow *flow = policy_flow(policy, builtin_flows[i].id);
		if (flow)
			json_array_append_new(list, report_flow(gateway, flow));
	}
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flows[i].section == SECTION_CUSTOM)
			json_array_append_new(list, report_flow(gateway, &policy->flows[i]));
	return list;
}

static bool uses_name(const struct endpoint *endpoint, size_t index)
{
	for (size_t i = 0; i < endpoint->name_count; i++)
		if (endpoint->names[i] == index)
			return true;
	return false;
}

static json_t *flows_of_name(const struct policy *policy, const char *name)
{
	json_t *list = json_array();
	size_t index = 0;

	while (index < policy->name_count && strcmp(policy->names[index].name, name) != 0)
		index++;
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flows[i].enabled &&
		    (uses_name(&policy->flows[i].from, index) || uses_name(&policy->flows[i].to, index)))
			json_array_append_new(list, json_string(policy->flows[i].id));
	return list;
}

static json_int_t seconds_until(int64_t when_ms, int64_t now)
{
	if (when_ms == INT64_MAX) /* never: a pattern is not asked for */
		return 0;
	return when_ms > now ? (when_ms - now + 999) / 1000 : 0;
}

static json_t *report_name(struct gateway *gateway, const struct book_entry *entry, int64_t now)
{
	json_t *addresses = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < entry->address_count; i++) {
		const struct book_address *address = &entry->addresses[i];
		json_array_append_new(addresses,
				      json_pack("{s:s, s:I, s:s, s:b}", "address", addr_format(&address->addr, text),
						"expires_in_s", seconds_until(address->expires_ms, now), "origin",
						book_origin_name(address->origin), "in_answer", address->in_answer));
	}
	json_t *out =
		json_pack("{s:o, s:s, s:s, s:o, s:I, s:o, s:I, s:o}", "name", json_printable(entry->name), "family",
			  entry->family == FAMILY_4 ? "ipv4" : "ipv6", "state", book_state_name(entry->state),
			  "addresses", addresses, "next_query_in_s", seconds_until(entry->next_query_ms, now),
			  "last_error", json_printable(entry->last_error), "refused", (json_int_t)entry->refused,
			  "flows", flows_of_name(&gateway->file.policy, entry->name));
	if (entry->ever_answered)
		json_object_set_new(out, "last_answer_s", json_integer((now - entry->last_answer_ms) / 1000));
	return out;
}

static json_t *name_list(struct gateway *gateway)
{
	json_t *list = json_array();
	struct book_entry entry;
	int64_t now = now_ms();

	for (size_t i = 0; i < addrbook_count(gateway->book); i++) {
		addrbook_entry(gateway->book, i, &entry);
		json_array_append_new(list, report_name(gateway, &entry, now));
	}
	return list;
}

json_t *report_names(struct gateway *gateway)
{
	return json_pack("{s:o}", "names", name_list(gateway));
}

static json_t *range_list(const struct ranges *ranges)
{
	json_t *list = json_array();
	char text[RANGE_TEXT_MAX];

	for (size_t i = 0; i < ranges->count; i++)
		json_array_append_new(list, json_string(range_format(&ranges->items[i], text)));
	return list;
}

static json_t *role_list(const struct policy *policy)
{
	json_t *list = json_array();

	for (size_t i = 0; i < policy->role_count; i++) {
		const struct policy_role *role = &policy->roles[i];
		json_t *words = role->members.any ? json_pack("[s]", "ANY") : endpoint_words(&role->members);
		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:o, s:I}", "name", role->name, "protected",
						role->is_protected, "members", words, "count",
						(json_int_t)(role->members.ranges.count + role->members.name_count)));
	}
	return list;
}

json_t *report_flows(struct gateway *gateway)
{
	gateway_count(gateway);
	return json_pack("{s:o, s:o}", "flows", flow_list(gateway), "roles", role_list(&gateway->file.policy));
}

enum { FINDINGS_SAID = 4 };

/* Health: why it is not ok, worst first. */
struct health {
	json_t *reasons;
	bool failed;
};

static void say(struct health *health, bool failed, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct health *health, bool failed, const char *format, ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	health->failed |= failed;
	json_array_append_new(health->reasons, json_printable(text));
}

/* A family that never had an address is no fault where the other family has one: few names have both. */
static bool other_family_serves(struct gateway *gateway, const struct book_entry *entry)
{
	struct book_entry other;
	return addrbook_find(gateway->book, entry->name, entry->family == FAMILY_4 ? FAMILY_6 : FAMILY_4, &other) ==
		       0 &&
	       other.address_count > 0;
}

static void say_names(struct gateway *gateway, struct health *health)
{
	static const char *const families[] = { "IPv4", "IPv6" };
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(gateway->book); i++) {
		addrbook_entry(gateway->book, i, &entry);
		bool asked = entry.ever_answered || entry.failures > 0;
		if (entry.name[0] == '*')
			continue;
		if (entry.state == BOOK_STALE || entry.state == BOOK_FAILING)
			say(health, false, "%s (%s) is %s: %s", entry.name, families[entry.family],
			    book_state_name(entry.state), entry.last_error);
		else if (entry.state == BOOK_EMPTY && asked && !other_family_serves(gateway, &entry) &&
			 entry.family == FAMILY_4)
			say(health, false, "%s has no address: DNS answers so", entry.name);
		else if (entry.state == BOOK_EMPTY && !asked && entry.family == FAMILY_4 &&
			 !other_family_serves(gateway, &entry))
			say(health, false, "%s is not resolved yet", entry.name);
	}
}

static void say_silence(const struct gateway *gateway, struct health *health)
{
	char text[24];

	for (size_t i = 0; i < gateway->expect.count; i++) {
		const struct expectation *item = &gateway->expect.items[i];
		if (item->overdue)
			say(health, false, "flow %s: no answered connection for more than %s", item->flow,
			    duration_format(item->expect_ms, text));
	}
	if (gateway->expect_blind)
		say(health, false, "connections can't be looked at: whether expected flows are used is not known");
}

static void say_findings(const struct gateway *gateway, struct health *health)
{
	const struct findings *findings = &gateway->findings;
	char text[FINDING_TEXT_MAX];

	for (size_t i = 0; i < findings->count && i < FINDINGS_SAID; i++)
		say(health, false, "%s", finding_text(&findings->items[i], text));
	if (findings->count > FINDINGS_SAID)
		say(health, false, "%zu more rules of other tables could intercept flows",
		    findings->count - FINDINGS_SAID);
	if (findings->incomplete)
		say(health, false,
		    "other tables have too many rules, or rules of an unknown kind: whether they intercept flows is "
		    "not wholly known");
	if (!gateway->others_looked)
		say(health, false,
		    "the rules of other tables are not looked at yet: whether they intercept flows is not known");
	if (gateway->others_unread)
		say(health, false,
		    "the rules of other tables can't be read: whether they intercept flows is not known");
}

static json_t *report_findings(const struct gateway *gateway)
{
	json_t *list = json_array();

	for (size_t i = 0; i < gateway->findings.count; i++) {
		const struct finding *finding = &gateway->findings.items[i];
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o, s:I, s:s, s:s}", "family",
						table_family(finding->family), "table", json_printable(finding->table),
						"chain", json_printable(finding->chain), "handle",
						(json_int_t)finding->handle, "does", effect_word(finding->effect),
						"flow", finding->flow));
	}
	return list;
}

/* A name that is misspelt, above all: nothing comes from there, and all that comes from elsewhere is taken for spoofed.
 */
static void say_links(const struct policy *policy, struct health *health)
{
	for (size_t i = 0; policy->interfaces == INTERFACES_NAMED && i < policy->interface_count; i++)
		if (if_nametoindex(policy->interface_names[i]) == 0 && errno == ENODEV)
			say(health, false,
			    "interface names %s, and this gateway has no such link: what the server sends by another "
			    "one is taken for spoofed",
			    policy->interface_names[i]);
}

static void say_bridges(struct gateway *gateway, struct health *health)
{
	char what[BRIDGE_TEXT_MAX], remedy[BRIDGE_TEXT_MAX];

	gateway_look_at_bridges(gateway);
	for (size_t i = 0; i < gateway->bridges.count; i++) {
		const struct bridge_finding *finding = &gateway->bridges.items[i];
		say(health, false, "%s: %s", bridge_finding_text(finding, what),
		    bridge_remedy_text(&gateway->bridges, finding, remedy));
	}
	if (gateway->bridges_unread)
		say(health, false,
		    "bridges can't be looked at: whether one carries the server past the guard is not known");
}

static bool matches_disk(const struct gateway *gateway)
{
	return !gateway->file_refused && policy_file_unchanged(&gateway->file);
}

static void collect_reasons(struct gateway *gateway, bool matches, struct health *health)
{
	const struct policy *policy = &gateway->file.policy;
	const struct addr *own = policy_own_address(policy, links_gateway_addresses(gateway->links));
	char text[ADDR_TEXT_MAX];

	if (gateway->cleared)
		say(health, true, "the table was removed on request: spefwctl reload brings it back");
	else if (gateway->failure[0])
		say(health, !gateway->current_known, "%s", gateway->failure);
	if (!matches)
		say(health, false,
		    !gateway->file_refused ? "%s was changed and is not loaded: spefwctl reload"
		    : gateway->cleared     ? "%s was refused"
					   : "%s was refused: the old policy is in force",
		    gateway->file.path);
	if (own)
		say(health, false, "%s is this gateway's own address: it is not guarded", addr_format(own, text));
	say_links(policy, health);
	say_bridges(gateway, health);
	if (!gateway->nflog && !gateway->cleared && gateway->nflog_error == -EBUSY)
		say(health, false,
		    "NFLOG group %u is taken by another program: denials and DNS answers are not seen: choose another "
		    "log_group",
		    policy->log_group);
	else if (!gateway->nflog && !gateway->cleared)
		say(health, false, "NFLOG group %u can't be listened to: %s: denials and DNS answers are not seen",
		    policy->log_group, strerror(-gateway->nflog_error));
	if (gateway_is_intercepted(gateway))
		say(health, false, "connections of the server are intercepted by another table: %llu so far",
		    (unsigned long long)gateway->intercepted);
	if (gateway_is_unobserved(gateway))
		say(health, false,
		    "more DNS packets of the server than are looked at (%d a second): %llu so far were not: names and "
		    "patterns may lack addresses",
		    OBSERVED_A_SECOND, (unsigned long long)gateway->unobserved);
	say_findings(gateway, health);
	say_silence(gateway, health);
	if (gateway->cut_failed)
		say(health, false, "connections that the policy denies could not all be cut yet");
	if (!gateway->cut_known && gateway->current_known)
		say(health, false,
		    "which connections were cut can't be read: mid-stream packets of them may be taken for others'");
	if (gateway->cut_pending.count)
		say(health, false,
		    "%zu connections that were cut have no room in the sets that remember them: no mid-stream packet "
		    "of a lost connection passes by an outbound flow until there is room",
		    gateway->cut_pending.count);
	else if (gateway->cut_full)
		say(health, false,
		    "not all connections that were cut are remembered: no mid-stream packet of a lost connection "
		    "passes by an outbound flow for up to five days");
	if (gateway->links_owed || links_unread(gateway->links))
		say(health, false, "a change of this gateway's links or addresses is not followed yet");
	if (gateway->names_owed)
		say(health, false, "the names of the policy are not followed yet");
	if (gateway->keep_failed)
		say(health, false, "the configuration can't be kept in %s for a start with a bad file",
		    gateway->paths.state);
	if (gateway->save_failed || gateway->count_save_failed)
		say(health, false, "the addresses or counters can't be saved in %s", gateway->paths.state);
	say_names(gateway, health);
}

static json_int_t count_of(const struct gateway *gateway, const char *name)
{
	return (json_int_t)gateway_total(gateway, name);
}

static json_int_t denied_last_hour(const struct gateway *gateway)
{
	uint64_t total = gateway_denied(gateway);

	if (!gateway->minutes)
		return 0;
	size_t ring = DENIAL_MINUTES + 1,
	       back = gateway->minutes <= DENIAL_MINUTES ? gateway->minutes - 1 : DENIAL_MINUTES;
	return (json_int_t)(total - gateway->denied_minutes[(gateway->minute + ring - back) % ring]);
}

static json_t *report_denied(const struct gateway *gateway)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "in", count_of(gateway, "denied-in"), "out",
			 count_of(gateway, "denied-out"), "early", count_of(gateway, "denied-early"), "invalid",
			 count_of(gateway, "invalid"), "last_hour", denied_last_hour(gateway));
}

static json_t *report_mid_stream(const struct gateway *gateway)
{
	return json_pack("{s:I, s:I, s:I, s:b}", "passed", count_of(gateway, "mid-stream"), "cut",
			 count_of(gateway, "cut"), "remembered", (json_int_t)gateway->cut.count, "full",
			 gateway->cut_full);
}

static json_t *report_guards(const struct gateway *gateway)
{
	json_t *out = json_pack("{s:I, s:I, s:I, s:I}", "intercepted", count_of(gateway, "intercepted"), "spoofed",
				count_of(gateway, "spoofed"), "source_routed", count_of(gateway, "source-routed"),
				"repaired", (json_int_t)gateway->repaired);
	if (gateway->last_repair[0])
		json_object_set_new(out, "last_repair", json_printable(gateway->last_repair));
	return out;
}

static json_t *report_observed(const struct gateway *gateway)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "learned", (json_int_t)gateway->observed, "unasked",
			 (json_int_t)gateway->unasked, "unseen", count_of(gateway, "unobserved"), "lost",
			 (json_int_t)gateway->copies_lost);
}

static json_t *report_pace(const struct gateway *gateway)
{
	return json_pack("{s:i, s:I, s:b}", "limit_a_minute", PACE_A_MINUTE, "refused",
			 (json_int_t)gateway->pace.refused, "exhausted",
			 query_pace_exhausted(&gateway->pace, now_ms()));
}

static json_t *report_config(const struct gateway *gateway, bool matches)
{
	char when[32];
	struct tm parts;

	gmtime_r(&gateway->file.loaded_at, &parts);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_pack("{s:o, s:s, s:b}", "path", json_printable(gateway->file.path), "loaded_at", when,
			 "matches_disk", matches);
}

static const char *health_word(const struct health *health)
{
	return health->failed ? "failed" : json_array_size(health->reasons) ? "degraded" : "ok";
}

void report_to_manager(struct gateway *gateway)
{
	struct health health = { .reasons = json_array() };
	char server[RANGE_TEXT_MAX] = "nothing";
	const struct ranges *guarded = &gateway->file.policy.roles[0].guarded;

	collect_reasons(gateway, matches_disk(gateway), &health);
	if (guarded->count)
		range_format(&guarded->items[0], server);
	size_t reasons = json_array_size(health.reasons);
	sd_notifyf(0, "STATUS=%s, %s %s%s%s%s", health_word(&health),
		   gateway->file.policy.mode == MODE_AUDIT ? "audits" : "guards", server,
		   guarded->count > 1 ? " and more" : "", reasons ? ": " : "",
		   reasons ? json_string_value(json_array_get(health.reasons, 0)) : "");
	json_decref(health.reasons);
}

json_t *report_status(struct gateway *gateway)
{
	const struct policy *policy = &gateway->file.policy;
	struct health health = { .reasons = json_array() };
	bool matches = matches_disk(gateway);

	if (gateway_count(gateway) < 0)
		say(&health, true, "the kernel's counters can't be read");
	collect_reasons(gateway, matches, &health);
	json_t *out =
		json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:b, "
			  "s:s, s:I}",
			  "health", health_word(&health), "reasons", health.reasons, "mode", mode_name(policy->mode),
			  "version", PACKAGE_VERSION, "generation", (json_int_t)gateway->generation, "uptime_s",
			  (json_int_t)((now_ms() - gateway->started_ms) / 1000), "server",
			  range_list(&policy->roles[0].guarded), "config", report_config(gateway, matches), "flows",
			  flow_list(gateway), "names", name_list(gateway), "denied", report_denied(gateway),
			  "mid_stream", report_mid_stream(gateway), "guards", report_guards(gateway), "observed",
			  report_observed(gateway), "denial_queries", report_pace(gateway), "interceptions",
			  report_findings(gateway), "interception", interception_name(policy->interception),
			  "early_drop", policy->early_drop, "ownership",
			  gateway->nft.abilities.owner ? "owner" : "monitor", "clients",
			  (json_int_t)control_clients(gateway->control));
	return out;
}
