/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_happening.h"
#include "control/report.h"
#include "control/report_cut.h"
#include "control/report_grants.h"
#include "control/report_proof.h"
#include "control/wire.h"

#include <time.h>

enum { ADDRESSES_SHOWN = 20 };

/* {"event": {"time", "kind", ...}}, to which more is added by *ret_event. */
static json_t *new_event(const char *kind, json_t **ret_event)
{
	time_t now = time(NULL);
	char when[32];
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	*ret_event = json_pack("{s:s, s:s}", "time", when, "kind", kind);
	return *ret_event ? json_pack("{s:o}", "event", *ret_event) : NULL;
}

/* What could not be made whole, is not sent: it counts as lost. */
static json_t *finish(json_t *reply, int r)
{
	if (r == 0)
		return reply;
	json_decref(reply);
	return NULL;
}

static int set(json_t *event, const char *key, json_t *value)
{
	return json_object_set_new(event, key, value);
}

static json_t *codes_list(uint64_t codes)
{
	json_t *list = json_array();

	for (enum health_code code = 0; code < HEALTH_CODES; code++)
		if (codes & UINT64_C(1) << code)
			json_array_append_new(list, json_string(health_kinds[code].name));
	return list;
}

json_t *report_health_event(const struct health *health, const char *before, uint64_t codes_before)
{
	uint64_t codes = health_mask(health);
	json_t *event, *reply = new_event(before ? "health" : "begin", &event);

	if (!reply)
		return NULL;
	int r = set(event, "health", json_string(health_word(health)));
	r |= set(event, "reasons", report_reasons(health));
	if (before) {
		r |= set(event, "before", json_string(before));
		r |= set(event, "appeared", codes_list(codes & ~codes_before));
		r |= set(event, "gone", codes_list(codes_before & ~codes));
	}
	return finish(reply, r);
}

static json_t *lines_list(const struct happening *happening)
{
	json_t *list = json_array();

	for (size_t i = 0; i < happening->shown; i++)
		json_array_append_new(list, json_printable(happening->lines[i]));
	return list;
}

static json_t *address_list(const struct addr *addrs, size_t count)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < count && i < ADDRESSES_SHOWN; i++)
		json_array_append_new(list, json_string(addr_format(&addrs[i], text)));
	return list;
}

static int add_requester(json_t *event, const struct requester *by)
{
	int r = set(event, "by", json_printable(by->text));

	if (by->has_uid)
		r |= set(event, "uid", json_integer(by->uid));
	return r;
}

static int add_name(json_t *event, const struct happening *happening)
{
	int r = set(event, "name", json_printable(happening->text));

	r |= set(event, "family", json_string(happening->family == FAMILY_4 ? "ipv4" : "ipv6"));
	r |= set(event, "added", address_list(happening->added, happening->added_count));
	r |= set(event, "removed", address_list(happening->removed, happening->removed_count));
	r |= set(event, "added_count", json_integer((json_int_t)happening->added_count));
	return r | set(event, "removed_count", json_integer((json_int_t)happening->removed_count));
}

static int add_details(json_t *event, const struct policy *policy, const struct happening *happening)
{
	int r = happening->by ? add_requester(event, happening->by) : 0;

	switch (happening->kind) {
	case HAPPENED_RELOAD:
	case HAPPENED_ROLLBACK:
	case HAPPENED_UNDO:
		if (happening->confirm_ms)
			r |= set(event, "confirm_s", json_integer((happening->confirm_ms + 999) / 1000));
		r |= set(event, "done", json_boolean(happening->done));
		r |= set(event, "generation", json_integer((json_int_t)happening->generation));
		r |= set(event, "changes", lines_list(happening));
		return r | set(event, "count", json_integer((json_int_t)happening->count));
	case HAPPENED_CONFIRM: return r | set(event, "generation", json_integer((json_int_t)happening->generation));
	case HAPPENED_REFRESH:
		r |= set(event, "names", lines_list(happening));
		return r | set(event, "count", json_integer((json_int_t)happening->count));
	case HAPPENED_CLEAR: return r | set(event, "done", json_boolean(happening->done));
	case HAPPENED_CUT:
		r |= set(event, "why", json_printable(happening->text));
		r |= set(event, "count", json_integer((json_int_t)happening->cut->count));
		return r | set(event, "cut_connections", report_cut(policy, happening->cut));
	case HAPPENED_NAME: return r | add_name(event, happening);
	case HAPPENED_GRANT:
		r |= set(event, "change", json_string(happening->text));
		return r | set(event, "grant", report_grant(policy, happening->grant));
	case HAPPENED_PROOF:
		r |= set(event, "done", json_boolean(happening->done));
		return r | set(event, "proof", report_proof(happening->finding, happening->generation));
	case HAPPENED_REPAIR: return r | set(event, "changed", json_printable(happening->text));
	default: return r;
	}
}

json_t *report_happening(const struct policy *policy, const struct happening *happening)
{
	static const char *const kinds[HAPPENINGS] = { "reload", "rollback", "undo",   "confirm", "refresh", "clear",
						       "cut",    "name",     "repair", "foreign", "grant",   "proof" };
	json_t *event, *reply = new_event(kinds[happening->kind], &event);

	return reply ? finish(reply, add_details(event, policy, happening)) : NULL;
}

json_t *report_denials(const json_t *drops)
{
	json_t *event, *reply = new_event("denied", &event);

	if (!reply)
		return NULL;
	int r = json_object_set(event, "rows", json_object_get(drops, "rows"));
	return finish(reply, r | json_object_set(event, "complete", json_object_get(drops, "complete")));
}

json_t *report_lost(uint64_t count)
{
	json_t *event, *reply = new_event("lost", &event);

	return reply ? finish(reply, set(event, "count", json_integer((json_int_t)count))) : NULL;
}
