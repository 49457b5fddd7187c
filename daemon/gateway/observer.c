/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/observer.h"
#include "clock.h"
#include "core/observed_queries.h"
#include "core/seen_packet.h"
#include "log.h"
#include "net/nflog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of the rules that copy. */
#define PREFIX_DENIED "spefw denied-name "
#define PREFIX_QUERY "spefw query "
#define PREFIX_ANSWER "spefw answer "

enum { CLASS_IN = 1 };

struct observer {
	sd_event *event;
	struct observer_events events;
	void *userdata;
	const struct policy *policy;
	struct nflog *nflog; /* NULL: its group is another program's, or the kernel refuses */
	uint16_t group;
	int error;                       /* why it is NULL: -EBUSY, or another negative errno; logged */
	struct observed_queries queries; /* of protected machines, for names that are observed */
	struct observer_figures figures;
};

static enum family family_of(const struct observed_question *question)
{
	return question->type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6;
}

/* The question of a query or of an answer, where it is one for a name that is wanted. */
static bool read_question(const struct observer *observer, const struct seen_packet *seen, bool reply,
			  struct observed_question *ret)
{
	const struct packet *packet = &seen->packet;
	struct dns_question question;

	*ret = (struct observed_question){
		.server = reply ? packet->target : packet->source,
		.port = reply ? packet->target_port : packet->source_port,
		.resolver = reply ? packet->source : packet->target,
		.resolver_port = reply ? packet->source_port : packet->target_port,
	};
	if (packet->protocol != PROTOCOL_UDP || !seen->payload ||
	    !policy_protected_role(observer->policy, &ret->server) ||
	    dns_question_read(seen->payload, seen->payload_length, &question) < 0 || question.is_response != reply ||
	    question.class != CLASS_IN || (question.type != DNS_TYPE_A && question.type != DNS_TYPE_AAAA) ||
	    strlen(question.name) >= sizeof(ret->name))
		return false;
	ret->id = question.id;
	ret->type = question.type;
	ret->class = question.class;
	memcpy(ret->name, question.name, strlen(question.name) + 1);
	return observer->events.wants(observer->userdata, ret->name, family_of(ret));
}

static void take_query(struct observer *observer, const struct seen_packet *seen)
{
	struct observed_question question;

	if (read_question(observer, seen, false, &question) &&
	    observed_queries_add(&observer->queries, &question, now_ms()) < 0)
		log_error("out of memory: an answer for %s will not be learned", question.name);
}

/* Anybody could have sent it. It counts where it answers a query that was seen, and that no answer was seen for. */
static void take_answer(struct observer *observer, const struct seen_packet *seen)
{
	static struct dns_message message; /* large, and there is one thread */
	struct observed_question question;

	if (!read_question(observer, seen, true, &question))
		return;
	if (!observed_queries_take(&observer->queries, &question, now_ms())) {
		observer->figures.unsolicited++;
		return;
	}
	if (!seen->payload_whole || dns_message_read(seen->payload, seen->payload_length, &message) < 0 ||
	    message.rcode != DNS_NOERROR || !message.address_count)
		return;
	observer->events.answered(observer->userdata, question.name, family_of(&question), &message);
}

static void on_seen(void *userdata, const char *prefix, const uint8_t *bytes, size_t length)
{
	struct observer *observer = userdata;
	struct seen_packet seen;

	if (!seen_packet_read(bytes, length, &seen))
		return;
	if (strcmp(prefix, PREFIX_QUERY) == 0)
		take_query(observer, &seen);
	else if (strcmp(prefix, PREFIX_ANSWER) == 0)
		take_answer(observer, &seen);
	else if (strcmp(prefix, PREFIX_DENIED) == 0)
		observer->events.denied(observer->userdata, &seen.packet);
}

static void on_lost(void *userdata)
{
	struct observer *observer = userdata;

	observer->figures.lost++;
	observer->events.lost(observer->userdata);
}

int observer_new(struct observer **ret, sd_event *event, const struct observer_events *events, void *userdata)
{
	struct observer *observer = calloc(1, sizeof(*observer));

	if (!observer)
		return -ENOMEM;
	*observer = (struct observer){ .event = event, .events = *events, .userdata = userdata };
	*ret = observer;
	return 0;
}

void observer_free(struct observer *observer)
{
	if (!observer)
		return;
	nflog_free(observer->nflog);
	observed_queries_free(&observer->queries);
	free(observer);
}

void observer_follow(struct observer *observer, const struct policy *policy)
{
	uint16_t group = policy->log_group;
	bool failed_before = observer->error < 0;

	observer->policy = policy;
	if (observer->nflog && observer->group == group)
		return;
	nflog_free(observer->nflog);
	observer->nflog = NULL;
	int r = nflog_new(&observer->nflog, observer->event, group, on_seen, on_lost, observer);
	observer->group = group;
	observer->error = r;
	if (r == -EBUSY && !failed_before)
		log_warning("NFLOG group %u is taken by another program: denials and DNS answers are not seen; choose "
			    "another log_group",
			    group);
	else if (r < 0 && !failed_before)
		log_warning("can't listen to NFLOG group %u: %s", group, strerror(-r));
	else if (r >= 0 && failed_before)
		log_notice("NFLOG group %u is ours now", group);
}

struct observer_figures observer_figures(const struct observer *observer)
{
	return observer->figures;
}

void observer_reasons(const struct observer *observer, struct health *health)
{
	if (observer->error == -EBUSY)
		health_add(health, HEALTH_NFLOG_TAKEN,
			   "NFLOG group %u is taken by another program: denials and DNS answers are not seen: choose "
			   "another log_group",
			   observer->group);
	else if (observer->error < 0)
		health_add(health, HEALTH_NFLOG_FAILED,
			   "NFLOG group %u can't be listened to: %s: denials and DNS answers are not seen",
			   observer->group, strerror(-observer->error));
}
