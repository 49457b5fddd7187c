/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/observer.h"
#include "log.h"
#include "net/helper_records.h"
#include "net/nflog.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

struct observer {
	struct helper *helper;
	struct observer_events events;
	void *userdata;
	const struct policy *policy; /* NULL: observer_follow() was not called */
	int nflog;                   /* descriptor; negative: its group is another program's, or the kernel refuses */
	uint16_t group;
	int error; /* why: -EBUSY, or another negative errno; logged */
	struct observer_figures figures;
};

/* What spefw-resolver is sent. */

static void send_plain(struct observer *observer, enum wire_kind kind, int fd)
{
	struct wire_plain record = { .head.kind = kind };
	helper_send(observer->helper, &record, sizeof(record), fd);
}

static void send_names(struct observer *observer)
{
	const struct policy *policy = observer->policy;

	send_plain(observer, WIRE_WATCH_BEGIN, -1);
	for (size_t i = 0; i < policy->name_count; i++) {
		struct wire_watch record = { .head.kind = WIRE_WATCH };
		size_t length = strlen(policy->names[i].name);
		if (!policy->names[i].observed || length >= sizeof(record.name))
			continue;
		memcpy(record.name, policy->names[i].name, length);
		helper_send(observer->helper, &record, sizeof(record), -1);
	}
	send_plain(observer, WIRE_WATCH_END, -1);
}

static void on_ready(void *userdata)
{
	struct observer *observer = userdata;

	if (!observer->policy)
		return;
	send_names(observer);
	send_plain(observer, WIRE_NFLOG, observer->nflog);
	/* Who had its group may be gone: the process of a spefwd before this one, for one. */
	observer_retry(observer);
}

/* What it reports. It may be wrong, or have been right a moment ago, by the policy before this one. */

static void take_answer(struct observer *observer, const struct wire_observed *record)
{
	struct addr server = wire_address_read(&record->server), addresses[WIRE_ADDRESSES_MAX];
	struct dns_answer answer = { .question = record->question,
				     .family = wire_family_read(record->family),
				     .addresses = addresses,
				     .count = record->count,
				     .ttl_s = record->ttl_s };

	if (!policy_protected_role(observer->policy, &server) ||
	    !observer->events.wants(observer->userdata, answer.question, answer.family))
		return;
	wire_addresses_read(record->addresses, record->count, addresses);
	observer->events.answered(observer->userdata, &answer);
}

static void take_denial(struct observer *observer, const struct wire_denial *record)
{
	struct denial denial = { .packet = { .source = wire_address_read(&record->source),
					     .target = wire_address_read(&record->target),
					     .protocol = record->protocol,
					     .source_port = record->source_port,
					     .target_port = record->target_port,
					     .mid_stream = record->mid_stream },
				 .kind = record->kind,
				 .from_gateway = record->hook == NF_INET_LOCAL_OUT };

	if (policy_protected_role(observer->policy, &denial.packet.source) ||
	    policy_protected_role(observer->policy, &denial.packet.target))
		observer->events.denied(observer->userdata, &denial);
}

static void take_counts(struct observer *observer, const struct wire_counts *record)
{
	observer->figures.unsolicited += record->unasked;
	observer->figures.lost += record->lost + record->dropped;
	if (record->lost || record->dropped)
		observer->events.lost(observer->userdata);
}

static const char *on_record(void *userdata, const struct wire_head *record)
{
	struct observer *observer = userdata;

	if (!observer->policy)
		return "a report of packets, of which it can have none";
	if (record->kind == WIRE_OBSERVED)
		take_answer(observer, (const struct wire_observed *)record);
	else if (record->kind == WIRE_DENIAL)
		take_denial(observer, (const struct wire_denial *)record);
	else
		take_counts(observer, (const struct wire_counts *)record);
	return NULL;
}

static const struct helper_client client = { .ready = on_ready, .record = on_record };

/* Whom we listen to. */

static void close_group(struct observer *observer)
{
	if (observer->nflog >= 0)
		nflog_close(observer->nflog, observer->group);
	observer->nflog = -1;
}

static void open_group(struct observer *observer)
{
	uint16_t group = observer->policy->log_group;
	bool failed_before = observer->error < 0;

	int r = nflog_open(group);
	observer->nflog = r;
	observer->group = group;
	observer->error = r < 0 ? r : 0;
	if (r == -EBUSY && !failed_before)
		log_warning("NFLOG group %u is taken by another program: denials and DNS answers are not seen; choose "
			    "another log_group",
			    group);
	else if (r < 0 && !failed_before)
		log_warning("can't listen to NFLOG group %u: %s", group, strerror(-r));
	else if (r >= 0 && failed_before)
		log_notice("NFLOG group %u is ours now", group);
	send_plain(observer, WIRE_NFLOG, observer->nflog);
}

int observer_new(struct observer **ret, struct helper *helper, const struct observer_events *events, void *userdata)
{
	struct observer *observer = calloc(1, sizeof(*observer));

	if (!observer)
		return -ENOMEM;
	*observer = (struct observer){ .helper = helper, .events = *events, .userdata = userdata, .nflog = -1 };
	helper_attach(helper, HELPER_PACKETS, &client, observer);
	*ret = observer;
	return 0;
}

void observer_free(struct observer *observer)
{
	if (!observer)
		return;
	helper_detach(observer->helper, HELPER_PACKETS);
	close_group(observer);
	free(observer);
}

void observer_follow(struct observer *observer, const struct policy *policy)
{
	observer->policy = policy;
	send_names(observer);
	if (observer->nflog >= 0 && observer->group == policy->log_group)
		return;
	close_group(observer);
	open_group(observer);
}

void observer_retry(struct observer *observer)
{
	if (observer->nflog < 0)
		open_group(observer);
}

struct observer_figures observer_figures(const struct observer *observer)
{
	return observer->figures;
}

void observer_reasons(const struct observer *observer, struct health *health)
{
	if (observer->error == -EBUSY)
		health_add(health, HEALTH_NFLOG_TAKEN,
			   "NFLOG group %u is taken by another program: denials and DNS answers are not seen",
			   observer->group);
	else if (observer->error < 0)
		health_add(health, HEALTH_NFLOG_FAILED,
			   "NFLOG group %u can't be listened to: %s: denials and DNS answers are not seen",
			   observer->group, strerror(-observer->error));
}
