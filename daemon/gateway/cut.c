/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/cut_parts.h"
#include "core/printable.h"
#include "clock.h"
#include "log.h"
#include "net/conntrack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cut_new(struct cut **ret, struct nft_socket *socket)
{
	struct cut *cut = calloc(1, sizeof(*cut));

	if (!cut)
		return -ENOMEM;
	cut->socket = socket;
	*ret = cut;
	return 0;
}

void cut_free(struct cut *cut)
{
	if (!cut)
		return;
	cut_forget_all(cut);
	free(cut);
}

void cut_require(struct cut *cut, const char *why)
{
	cut->pending_reason = why;
}

const char *cut_pending_reason(const struct cut *cut)
{
	return cut->pending_reason;
}

const char *cut_repeat_reason(const struct cut *cut)
{
	return cut->repeat_reason;
}

void cut_set_repeated(struct cut *cut)
{
	cut->repeat_reason = NULL;
}

void cut_cancel(struct cut *cut)
{
	cut->pending_reason = cut->repeat_reason = NULL;
	cut->failed = false;
}

struct cutter {
	struct cut *cut;
	const struct cut_rules *rules;
	struct cut_list fresh; /* what is to be remembered of those that are cut */
	int status;
	struct cut_result *result;
	/* Of cut_one(): */
	bool on_request;
	uint32_t id;
	int outcome;
	struct tracked *found;
};

static void note_cut(struct cutter *cutter, const struct packet *packet)
{
	struct cut_entry entries[CUT_ENTRIES_MAX];
	size_t count = cut_entries(cutter->rules->policy, packet, now_ms() + CUT_MEMORY_MS, entries);

	for (size_t i = 0; i < count; i++) {
		entries[i].on_request = cutter->on_request;
		if (cut_list_add(&cutter->fresh, &entries[i]) < 0)
			cutter->status = -ENOMEM;
	}
}

/* A mid-stream packet of what was cut has come through, while the table was not there: it is cut again, as what it was.
 * NULL: it is of none that was. */
static const struct cut_entry *find_cut(const struct cut *cut, const struct cut_rules *rules,
					const struct packet *packet)
{
	struct cut_entry entries[CUT_ENTRIES_MAX];
	size_t count = cut_entries(rules->policy, packet, 0, entries);
	const struct cut_entry *found = NULL;

	for (size_t i = 0; i < count && !found; i++)
		found = cut_find(cut, &entries[i]);
	return found;
}

/* *packet: as it was opened, as far as that is known. */
static bool is_denied_by(const struct cut_rules *rules, struct packet *packet)
{
	/* Who opened a connection that was picked up is not known: it is what the policy took it for that let it in,
	 * and without that it is judged by what would let it in again. */
	if (packet->mid_stream && rules->before)
		policy_opened(rules->before, packet, packet);
	struct judgement judgement = policy_judge(rules->policy, rules->held, packet);
	if (judgement.verdict != VERDICT_DENY)
		return false;
	if (packet->mid_stream && judgement.reason == REASON_WRONG_PEER) /* of such a flow's connection, then */
		policy_opened(rules->policy, packet, packet);
	return true;
}

static bool is_denied(void *userdata, const struct tracked *tracked)
{
	struct cutter *cutter = userdata;
	const struct cut_rules *rules = cutter->rules;
	struct packet packet = tracked->packet;

	packet.mid_stream = tracked->picked_up;
	const struct cut_entry *again = packet.mid_stream ? find_cut(cutter->cut, rules, &packet) : NULL;
	if (again) {
		struct packet before = cut_packet(again);
		note_cut(cutter, &before);
		cut_show(cutter->result, rules, &packet, true);
		return true;
	}
	if (!is_denied_by(rules, &packet))
		return false;
	if (packet.protocol == PROTOCOL_TCP)
		note_cut(cutter, &packet);
	cut_show(cutter->result, rules, &packet, false);
	return true;
}

/* Their mid-stream packets must find them in the sets as soon as their entries are gone. */
static void remember(void *userdata)
{
	struct cutter *cutter = userdata;

	cut_list_finish(&cutter->fresh);
	cut_remember(cutter->cut, &cutter->fresh, cutter->status == 0);
}

int cut_run(struct cut *cut, const struct cut_rules *rules, const char *why, struct cut_result *ret)
{
	struct cutter cutter = { .cut = cut, .rules = rules, .result = ret };

	*ret = (struct cut_result){ 0 };
	if (rules->policy->mode == MODE_AUDIT) {
		cut->pending_reason = NULL;
		cut->failed = false;
		return 0;
	}
	cut_forget(cut, rules);
	int r = conntrack_cut(&rules->policy->protected_all, is_denied, remember, &cutter, &ret->count);
	cut_list_free(&cutter.fresh);
	cut_limit(ret);
	cut_log(ret, rules->policy, why);
	if (r < 0 && !cut->failed)
		log_error("connections that the policy denies could not all be cut yet: %s", strerror(-r));
	cut->failed = r < 0;
	cut->pending_reason = r < 0 ? why : NULL;
	cut->repeat_reason = why;
	return r;
}

struct foreseeing {
	const struct cut *cut;
	const struct cut_rules *rules;
	void (*see)(void *userdata, const struct tracked *tracked, const struct cut_cause *cause);
	void *userdata;
};

static void foresee(void *userdata, const struct tracked *tracked)
{
	const struct foreseeing *foreseeing = userdata;
	const struct cut_rules *rules = foreseeing->rules;
	const struct cut_view before = { rules->before, rules->held_before }, now = { rules->policy, rules->held };
	struct tracked as_opened = *tracked;
	struct packet *packet = &as_opened.packet;

	packet->mid_stream = tracked->picked_up;
	const struct cut_entry *again = packet->mid_stream ? find_cut(foreseeing->cut, rules, packet) : NULL;
	/* What the policy allows again would be forgotten first. */
	bool stays_so = again && cut_is_denied_still(rules, again);
	if (!stays_so && !is_denied_by(rules, packet))
		return;
	struct cut_cause cause = cut_cause(&before, &now, packet);
	if (stays_so) {
		cause.why = CUT_STAYS_SO;
		cause.not_in = NULL;
	}
	foreseeing->see(foreseeing->userdata, &as_opened, &cause);
}

int cut_foresee(const struct cut *cut, const struct cut_rules *rules,
		void (*see)(void *userdata, const struct tracked *tracked, const struct cut_cause *cause),
		void *userdata)
{
	struct foreseeing foreseeing = { cut, rules, see, userdata };

	if (rules->policy->mode == MODE_AUDIT)
		return 0;
	return conntrack_look(&rules->policy->protected_all, foresee, &foreseeing);
}

static bool is_requested(void *userdata, const struct tracked *tracked)
{
	struct cutter *cutter = userdata;
	struct packet packet = tracked->packet;

	if (tracked->id != cutter->id)
		return false;
	*cutter->found = *tracked;
	cutter->outcome = packet.protocol == PROTOCOL_TCP ? 0 : -EPROTONOSUPPORT;
	if (cutter->outcome < 0)
		return false;
	packet.mid_stream = tracked->picked_up;
	note_cut(cutter, &packet);
	return true;
}

static void remember_requested(void *userdata)
{
	const struct cutter *cutter = userdata;

	if (cutter->outcome == 0)
		remember(userdata);
}

int cut_one(struct cut *cut, const struct cut_rules *rules, uint32_t id, struct tracked *ret)
{
	struct cutter cutter = {
		.cut = cut, .rules = rules, .on_request = true, .id = id, .outcome = -ENOENT, .found = ret
	};
	size_t count;

	int r = conntrack_cut(&rules->policy->protected_all, is_requested, remember_requested, &cutter, &count);
	cut_list_free(&cutter.fresh);
	if (r == 0)
		r = cutter.outcome;
	return r == 0 && !count ? -ENOENT : r;
}

void cut_reasons(const struct cut *cut, bool table_known, struct health *health)
{
	if (cut->failed)
		health_add(health, HEALTH_CUT_INCOMPLETE,
			   "connections that the policy denies could not all be cut yet");
	if (!cut->known && table_known)
		health_add(health, HEALTH_CUT_UNREAD,
			   "which connections were cut can't be read: mid-stream packets of them may be taken for "
			   "others'");
	if (cut->waiting.count)
		health_add(health, HEALTH_CUT_FULL,
			   "%zu connection%s that %s cut %s no room in the sets that remember them: no mid-stream "
			   "packet of a lost connection passes by an outbound flow until there is room",
			   cut->waiting.count, plural(cut->waiting.count), cut->waiting.count == 1 ? "was" : "were",
			   cut->waiting.count == 1 ? "has" : "have");
	else if (cut->full)
		health_add(health, HEALTH_CUT_FULL,
			   "not all connections that were cut are remembered: no mid-stream packet of a lost "
			   "connection passes by an outbound flow for up to five days");
}
