/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "output.h"

#include <inttypes.h>
#include <string.h>

/* What a page has, part by part, in either of its faces. */

enum { RECORD_MAX_S = 90 * 24 * 3600, WORDS_SHOWN = 9 };

static bool is_live(const json_t *document)
{
	return json_object_get(document, "status") != NULL;
}

static void fact(const struct page *page, const char *label, const struct text *value)
{
	if (*text_of(value))
		page->face->fact(page, label, text_of(value));
}

/* "1,204 in, 31 out": of what has a number. */
static void add_counts(struct text *text, const json_t *object, const char *const (*names)[2], size_t count)
{
	char number[32];

	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_object_get(object, names[i][0]);
		if (json_is_integer(value))
			text_add(text, "%s%s %s", text->length ? ", " : "",
				 format_count(json_integer_value(value), number), names[i][1]);
	}
}

/* "2026-11-28 22:05:39 UTC", of RFC 3339. */
static void add_time(struct text *text, const char *time)
{
	size_t date = strcspn(time, "T"), end = strcspn(time, "Z");

	if (time[date] && time[end] && date < end)
		text_add(text, "%.*s %.*s UTC", (int)date, time, (int)(end - date - 1), time + date + 1);
	else
		text_add(text, "%s", time);
}

/* What a reader has to know first */

struct opening {
	const char *kind, *word, *rest;
};

static struct opening opening_of(const json_t *document)
{
	static const char guards[] =
		"New connections from and to the guarded machines are denied unless a flow on this page allows them.";
	static const char denies_nothing[] =
		"What no flow on this page allows is counted and logged, and passes all the same.";
	const json_t *status = json_object_get(document, "status");
	const char *health = json_text_of(status, "health");
	bool audit = strcmp(json_text_of(json_object_get(document, "configuration"), "mode"), "audit") == 0;

	if (!is_live(document))
		return (struct opening){ "note", "Of the file alone.",
					 "Nothing on this page was read from a gateway that runs: it is what one with "
					 "this configuration would do." };
	if (json_truth_of(status, "removed"))
		return (struct opening){ "bad", "Not guarded.",
					 "The table was removed on request: nothing is denied, whatever the flows "
					 "are." };
	if (strcmp(health, "ok") != 0 && strcmp(health, "degraded") != 0)
		return (struct opening){ "bad", "Failed.", "Whether the flows on this page are in force is not sure." };
	if (audit)
		return (struct opening){ "warning", "Audit mode.", denies_nothing };
	if (strcmp(health, "ok") == 0)
		return (struct opening){ "good", "Guarded.", guards };
	return (struct opening){ "warning", "Guarded, with findings.", guards };
}

static void put_about(const struct page *page)
{
	const json_t *made = json_object_get(page->document, "made"),
		     *configuration = json_object_get(page->document, "configuration"),
		     *generation = json_object_get(configuration, "generation");
	struct text server = { 0 }, by = { 0 }, policy = { 0 };

	text_add_list(&server, json_object_get(page->document, "server"), WORDS_SHOWN);
	add_time(&by, json_text_of(made, "at"));
	text_add(&by, ", by %s", json_text_of(made, "by"));
	if (is_live(page->document))
		text_add(&by, " and spefwd %s", json_text_of(json_object_get(page->document, "status"), "version"));
	text_add(&policy, "%s", json_text_of(configuration, "path"));
	if (generation)
		text_add(&policy, ", generation %" PRId64, json_number_of(configuration, "generation"));
	if (*json_text_of(configuration, "loaded_at")) {
		text_add(&policy, ", loaded ");
		add_time(&policy, json_text_of(configuration, "loaded_at"));
	}
	if (*json_text_of(configuration, "loaded_by"))
		text_add(&policy, " by %s", json_text_of(configuration, "loaded_by"));
	page->face->facts_begin(page);
	fact(page, "Server", &server);
	page->face->fact(page, "Gateway", json_text_of(made, "host"));
	fact(page, "Made", &by);
	fact(page, "Policy", &policy);
	page->face->facts_end(page);
	text_free(&server);
	text_free(&by);
	text_free(&policy);
}

/* Findings */

static void put_findings(const struct page *page)
{
	const json_t *reasons = json_object_get(json_object_get(page->document, "status"), "reasons"),
		     *warnings = json_object_get(page->document, "warnings");

	page->face->heading(page, 2, "findings", "Findings");
	if (!json_array_size(reasons) && !json_array_size(warnings)) {
		page->face->paragraph(page, "", "", is_live(page->document) ? "None: health is ok." : "None.");
		return;
	}
	page->face->list_begin(page);
	for (size_t i = 0; i < json_array_size(reasons); i++) {
		const json_t *reason = json_array_get(reasons, i);
		page->face->item(page, json_text_of(reason, "text"), json_text_of(reason, "remedy"));
	}
	for (size_t i = 0; i < json_array_size(warnings); i++)
		page->face->item(page, json_text(json_array_get(warnings, i)), "");
	page->face->list_end(page);
}

/* The statement, and where it holds. */
static void add_proof(struct text *text, const json_t *proof, const char *state)
{
	static const char *const parts[][2] = { { "packet", " A packet: " },
						{ "wanted", " By the policy: " },
						{ "found", " By the table: " },
						{ "why", " " } };
	char number[32];

	if (strcmp(state, "equal") == 0)
		text_add(text,
			 "Every packet that is not of an established connection ends, and is counted, in the kernel's "
			 "table as this policy has it. That was proven for generation %" PRId64
			 " over %s classes of packets, which are all there are",
			 json_number_of(proof, "generation"), format_count(json_number_of(proof, "cells"), number));
	else if (strcmp(state, "none") == 0)
		text_add(text, "There is no table");
	else
		text_add(text, "That the kernel's table does what this policy says is not proven");
	text_add(text, ".");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (*json_text_of(proof, parts[i][0]))
			text_add(text, "%s%s.", parts[i][1], json_text_of(proof, parts[i][0]));
}

static void put_proof(const struct page *page)
{
	static const struct {
		const char *state, *kind, *word;
	} states[] = { { "equal", "good", "Proven." },
		       { "differs", "bad", "Not the policy." },
		       { "none", "bad", "Not guarded." } };
	const json_t *proof = json_object_get(page->document, "proof");
	const char *state = json_text_of(proof, "state"), *kind = "warning", *word = "Not proven.";
	struct text text = { 0 };

	if (!proof)
		return;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(state, states[i].state) != 0)
			continue;
		kind = states[i].kind;
		word = states[i].word;
	}
	add_proof(&text, proof, state);
	page->face->heading(page, 2, "proof", "Proof");
	page->face->paragraph(page, kind, word, text_of(&text));
	text_free(&text);
}

/* Flows */

static void add_open(struct text *text, const json_t *flow)
{
	if (json_truth_of(flow, "enabled"))
		text_add(text, "open");
	else
		text_add(text, "off: %s", json_text_of(flow, "off"));
}

static void add_use(struct text *text, const json_t *flow)
{
	char number[32];

	if (!json_truth_of(flow, "enabled"))
		return;
	if (json_object_get(flow, "last_used_s"))
		text_add(text, "%s ago", format_age(json_number_of(flow, "last_used_s"), number));
	else
		text_add(text, "never");
	if (json_number_of(flow, "new_24h"))
		text_add(text, ", %s in 24 h", format_count(json_number_of(flow, "new_24h"), number));
	if (json_number_of(flow, "connections"))
		text_add(text, ", %s open now", format_count(json_number_of(flow, "connections"), number));
}

static void put_flow(const struct page *page, const json_t *flow, const char *const *labels, bool recorded)
{
	const char *comment = json_text_of(flow, "comment");
	struct text cells[5] = { 0 };

	text_add(&cells[0], "%s", json_text_of(flow, "id"));
	text_add_words(&cells[1], flow, "from", WORDS_SHOWN);
	text_add_words(&cells[2], flow, "to", WORDS_SHOWN);
	text_add_ports(&cells[3], flow);
	add_open(&cells[4], flow);
	page->face->row_begin(page);
	for (size_t i = 0; i < 5; i++) {
		page->face->cell(page, i ? labels[i] : NULL, text_of(&cells[i]),
				 i          ? ""
				 : *comment ? comment
					    : json_text_of(flow, "purpose"));
		text_free(&cells[i]);
	}
	if (recorded) {
		struct text use = { 0 };
		add_use(&use, flow);
		page->face->cell(page, labels[5], text_of(&use), "");
		text_free(&use);
	}
	page->face->row_end(page);
}

static void put_section(const struct page *page, const char *section, const char *title, bool recorded)
{
	static const char *const labels[] = { "Flow", "From", "To", "Service", "State", "Used", NULL },
				 *const unrecorded[] = { "Flow", "From", "To", "Service", "State", NULL };
	const json_t *flows = json_object_get(page->document, "flows");
	bool some = false;

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (strcmp(json_text_of(flow, "section"), section) != 0)
			continue;
		if (!some) {
			page->face->heading(page, 3, NULL, title);
			page->face->table_begin(page, recorded ? labels : unrecorded);
		}
		some = true;
		put_flow(page, flow, labels, recorded);
	}
	if (some)
		page->face->table_end(page);
}

static void put_flows(const struct page *page)
{
	static const char *const sections[][2] = { { "inbound", "To the server" },
						   { "outbound", "From the server" },
						   { "infrastructure", "What the server needs besides" },
						   { "custom", "Further flows" } };
	bool recorded = json_object_get(json_object_get(page->document, "status"), "recorded_s");

	page->face->heading(page, 2, "flows", "Flows");
	page->face->paragraph(page, "", "",
			      "ANY as a source is every address; as a target, every address that is not protected.");
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		put_section(page, sections[i][0], sections[i][1], recorded);
}

/* Those of them that have an effect; the others are a matter of status. */
static void put_grants(const struct page *page)
{
	static const char *const labels[] = { "Flow", "Address", "Until", "Given by", NULL };
	const json_t *grants = json_object_get(json_object_get(page->document, "status"), "grants");
	bool some = false;

	for (size_t i = 0; i < json_array_size(grants); i++) {
		const json_t *grant = json_array_get(grants, i);
		struct text until = { 0 };
		if (strcmp(json_text_of(grant, "state"), "in-effect") != 0)
			continue;
		if (!some) {
			page->face->heading(page, 3, NULL, "Granted for a while");
			page->face->table_begin(page, labels);
		}
		some = true;
		add_time(&until, json_text_of(grant, "until"));
		page->face->row_begin(page);
		page->face->cell(page, NULL, json_text_of(grant, "flow"), json_text_of(grant, "side"));
		page->face->cell(page, labels[1], json_text_of(grant, "address"), "");
		page->face->cell(page, labels[2], text_of(&until), "");
		page->face->cell(page, labels[3], json_text_of(grant, "by"), "");
		page->face->row_end(page);
		text_free(&until);
	}
	if (some)
		page->face->table_end(page);
}

/* Use */

static void put_unused(const struct page *page, const json_t *flows)
{
	bool some = false;

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		struct text text = { 0 };
		if (!json_truth_of(flow, "enabled") || json_object_get(flow, "last_used_s"))
			continue;
		if (!some)
			page->face->list_begin(page);
		some = true;
		text_add(&text, "%s: ", json_text_of(flow, "id"));
		text_add_words(&text, flow, "from", WORDS_SHOWN);
		text_add(&text, " to ");
		text_add_words(&text, flow, "to", WORDS_SHOWN);
		text_add(&text, ", ");
		text_add_ports(&text, flow);
		page->face->item(page, text_of(&text), "");
		text_free(&text);
	}
	if (some)
		page->face->list_end(page);
	else
		page->face->paragraph(page, "", "", "None: each open flow was used.");
}

static void put_use(const struct page *page)
{
	const json_t *recorded = json_object_get(json_object_get(page->document, "status"), "recorded_s");
	struct text text = { 0 };
	char age[32];

	if (!is_live(page->document))
		return;
	page->face->heading(page, 2, "unused", "Open, and never used");
	if (!recorded) {
		page->face->paragraph(page, "note", "", "No record of use is kept here (record = no).");
		return;
	}
	int64_t since = json_integer_value(recorded);
	if (since >= RECORD_MAX_S)
		text_add(&text, "Flows without a connection in the last 90 days, by the record:");
	else
		text_add(&text, "Flows without a connection, by the record, which goes back %s alone:",
			 format_seconds(since, age));
	page->face->paragraph(page, "", "", text_of(&text));
	text_free(&text);
	put_unused(page, json_object_get(page->document, "flows"));
}

/* Names */

static void put_names(const struct page *page)
{
	static const char *const labels[] = { "Name", "Family", "State", "Addresses", NULL };
	const json_t *names = json_object_get(page->document, "names");

	if (!json_array_size(names))
		return;
	page->face->heading(page, 2, "names", "Names, and the addresses behind them");
	page->face->table_begin(page, labels);
	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *name = json_array_get(names, i), *addresses = json_object_get(name, "addresses");
		struct text flows = { 0 }, list = { 0 };
		text_add_list(&flows, json_object_get(name, "flows"), WORDS_SHOWN);
		for (size_t a = 0; a < json_array_size(addresses); a++)
			text_add(&list, "%s%s", a ? ", " : "", json_text_of(json_array_get(addresses, a), "address"));
		page->face->row_begin(page);
		page->face->cell(page, NULL, json_text_of(name, "name"), text_of(&flows));
		page->face->cell(page, labels[1], json_text_of(name, "family"), "");
		page->face->cell(page, labels[2], json_text_of(name, "state"), json_text_of(name, "last_error"));
		page->face->cell(page, labels[3], list.length ? text_of(&list) : "none", "");
		page->face->row_end(page);
		text_free(&flows);
		text_free(&list);
	}
	page->face->table_end(page);
}

static void put_roles(const struct page *page)
{
	static const char *const labels[] = { "Role", "Members", "Protected", NULL };
	const json_t *roles = json_object_get(page->document, "roles");

	page->face->heading(page, 2, "roles", "Roles");
	page->face->table_begin(page, labels);
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *role = json_array_get(roles, i);
		struct text members = { 0 };
		text_add_words(&members, role, "members", WORDS_SHOWN);
		page->face->row_begin(page);
		page->face->cell(page, NULL, json_text_of(role, "name"), "");
		page->face->cell(page, labels[1], members.length ? text_of(&members) : "none", "");
		page->face->cell(page, labels[2], json_truth_of(role, "protected") ? "yes" : "no", "");
		page->face->row_end(page);
		text_free(&members);
	}
	page->face->table_end(page);
}

/* Guards */

static void put_counts(const struct page *page, const char *label, const char *object, const char *const (*names)[2],
		       size_t count)
{
	struct text text = { 0 };

	add_counts(&text, json_object_get(json_object_get(page->document, "status"), object), names, count);
	fact(page, label, &text);
	text_free(&text);
}

/* Rules of other tables, in one form. */
static void put_rules(const struct page *page, const char *label, const json_t *rules, const char *none)
{
	struct text text = { 0 };

	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		text_add(&text, "%stable %s %s, chain %s, handle %" PRId64 ": %s of %s%s", i ? "; " : "",
			 json_text_of(rule, "family"), json_text_of(rule, "table"), json_text_of(rule, "chain"),
			 json_number_of(rule, "handle"), json_text_of(rule, "does"), json_text_of(rule, "flow"),
			 json_truth_of(rule, "may") ? ", perhaps" : "");
	}
	if (!text.length)
		text_add(&text, "%s", none);
	fact(page, label, &text);
	text_free(&text);
}

static void put_guards(const struct page *page)
{
	static const char *const denied[][2] = { { "in", "to the server" },
						 { "out", "from the server" },
						 { "early", "before connection tracking" },
						 { "invalid", "invalid" } },
				 *const guards[][2] = { { "spoofed", "with a forged source" },
							{ "source_routed", "with a source route" },
							{ "intercepted", "intercepted" } };
	const json_t *status = json_object_get(page->document, "status"), *blocked = json_object_get(status, "blocked");

	if (!status)
		return;
	page->face->heading(page, 2, "guards", "Guards");
	page->face->facts_begin(page);
	put_counts(page, "Denied packets", "denied", denied, sizeof(denied) / sizeof(denied[0]));
	put_counts(page, "Stopped or reported", "guards", guards, sizeof(guards) / sizeof(guards[0]));
	page->face->fact(page, "The table",
			 strcmp(json_text_of(status, "ownership"), "owner") == 0
				 ? "owned by spefwd: no other program can change it"
				 : "changes by other programs are seen, and undone");
	put_counts(page, "Such changes", "guards", (const char *const[][2]){ { "repaired", "undone" } }, 1);
	put_rules(page, "Other tables that stop a flow", json_object_get(blocked, "findings"),
		  json_object_get(blocked, "looked_s") ? "none" : "not looked at yet");
	put_rules(page, "Other tables that could intercept one", json_object_get(status, "interceptions"),
		  strcmp(json_text_of(status, "interception"), "off") == 0 ? "not looked for" : "none");
	page->face->facts_end(page);
}

static void put_settings(const struct page *page)
{
	const json_t *settings = json_object_get(json_object_get(page->document, "configuration"), "settings");

	page->face->heading(page, 2, "settings", "Settings");
	page->face->facts_begin(page);
	for (size_t i = 0; i < json_array_size(settings); i++) {
		const json_t *setting = json_array_get(settings, i);
		struct text label = { 0 };
		text_add(&label, "[%s] %s", json_text_of(setting, "section"), json_text_of(setting, "key"));
		const char *value = json_text_of(setting, "value");
		page->face->fact(page, text_of(&label), *value ? value : "not given");
		text_free(&label);
	}
	page->face->facts_end(page);
}

/* Changes */

static void add_how(struct text *text, const json_t *entry)
{
	const char *how = json_text_of(entry, "how"), *by = json_text_of(entry, "by");
	bool undone = strcmp(how, "undo") == 0;

	text_add(text, "%s", undone ? "nobody had confirmed a change" : how);
	if (*by)
		text_add(text, " by %s", by);
	if (json_truth_of(entry, "waits"))
		text_add(text, ", waits for confirm");
	if (*json_text_of(entry, "taken_back"))
		text_add(text, ", taken back");
}

static void add_changes(struct text *text, const json_t *entry)
{
	const json_t *changes = json_object_get(entry, "changes");
	int64_t more = json_number_of(entry, "count") - (int64_t)json_array_size(changes);

	for (size_t i = 0; i < json_array_size(changes); i++)
		text_add(text, "%s%s", i ? "; " : "", json_text(json_array_get(changes, i)));
	if (more > 0)
		text_add(text, "%sand %" PRId64 " more", text->length ? "; " : "", more);
	if (!text->length)
		text_add(text, "nothing");
}

static void put_change(const struct page *page, const json_t *entry, const char *const *labels)
{
	struct text when = { 0 }, how = { 0 }, what = { 0 }, generation = { 0 };

	add_time(&when, json_text_of(entry, "time"));
	text_add(&generation, "%" PRId64, json_number_of(entry, "generation"));
	add_how(&how, entry);
	add_changes(&what, entry);
	page->face->row_begin(page);
	page->face->cell(page, NULL, text_of(&when), "");
	page->face->cell(page, labels[1], text_of(&generation), "");
	page->face->cell(page, labels[2], text_of(&how), "");
	page->face->cell(page, labels[3], text_of(&what), "");
	page->face->row_end(page);
	text_free(&when);
	text_free(&generation);
	text_free(&how);
	text_free(&what);
}

/* Twenty are kept at most. */
static void put_missing(const struct page *page, const json_t *oldest)
{
	if (json_number_of(oldest, "age_s") < RECORD_MAX_S && json_number_of(oldest, "generation") > 1)
		page->face->paragraph(page, "", "", "What was in force before these is not known any more.");
}

static void put_history(const struct page *page)
{
	static const char *const labels[] = { "In force since", "Generation", "How", "What changed", NULL };
	const json_t *history = json_object_get(page->document, "history");
	bool some = false;

	if (!history)
		return;
	page->face->heading(page, 2, "changes", "Changes of the last 90 days");
	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *entry = json_array_get(history, i);
		if (json_number_of(entry, "age_s") > RECORD_MAX_S)
			continue;
		if (!some)
			page->face->table_begin(page, labels);
		some = true;
		put_change(page, entry, labels);
	}
	if (some)
		page->face->table_end(page);
	else
		page->face->paragraph(page, "", "", "None.");
	if (some)
		put_missing(page, json_array_get(history, json_array_size(history) - 1));
}

static void put_outside(const struct page *page)
{
	page->face->heading(page, 2, "outside", "What is not on this page");
	page->face->paragraph(page, "", "",
			      "Replies and packets of connections that were allowed pass without being judged again; a "
			      "change of the policy cuts those that it denies. Tables of other programs can deny more "
			      "than "
			      "the flows do. Who is behind an allowed address, and what is inside a connection, is not "
			      "looked at. Use is seen in samples of the connection table: a connection that was "
			      "shorter "
			      "than the time between two of them may be missing.");
}

void export_page(const struct page *page)
{
	struct opening opening = opening_of(page->document);
	struct text title = { 0 };

	text_add(&title, "Firewall statement: ");
	text_add_list(&title, json_object_get(page->document, "server"), 2);
	page->face->begin(page, text_of(&title));
	page->face->paragraph(page, opening.kind, opening.word, opening.rest);
	put_about(page);
	put_findings(page);
	put_proof(page);
	if (page->face->picture) {
		page->face->heading(page, 2, "picture", "Who may reach whom");
		page->face->picture(page);
	}
	put_flows(page);
	put_grants(page);
	put_use(page);
	put_names(page);
	put_roles(page);
	put_guards(page);
	put_settings(page);
	put_history(page);
	put_outside(page);
	page->face->end(page);
	text_free(&title);
}
