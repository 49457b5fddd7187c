/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/resolver.h"
#include "log.h"
#include "net/helper_records.h"
#include "net/resolv_conf.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* How long a query may take, in signs of life: longer than 16 silent servers take. */
	QUERY_BEATS = 5 * 60 * 1000 / HELPER_BEAT_MS,
};

static_assert((int)WIRE_NAME_MAX > (int)CONFIG_NAME_MAX, "a query holds every name");

/* From resolver_query() to the call of done. */
struct query {
	struct query *next;
	uint32_t id;
	unsigned beats; /* signs of life since it was sent */
	enum family family;
	char name[CONFIG_NAME_MAX + 1];
};

struct resolver {
	sd_event *event;
	struct helper *helper;
	struct resolver_events events;
	void *userdata;

	struct query *waiting, **waiting_end; /* the oldest first: that is what is answered next, most often */
	uint32_t last_id;

	struct resolv_conf *system; /* NULL: the servers are those that were given */
	struct dns_server servers[WIRE_SERVERS_MAX];
	size_t server_count;
};

const struct dns_server *resolver_servers(const struct resolver *resolver, size_t *ret_count)
{
	*ret_count = resolver->server_count;
	return resolver->system ? resolv_conf_servers(resolver->system, ret_count) : resolver->servers;
}

/* Sending. */

static void send_servers(struct resolver *resolver)
{
	struct wire_servers record = { .head.kind = WIRE_SERVERS };
	size_t count;
	const struct dns_server *servers = resolver_servers(resolver, &count);

	record.count = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		record.items[i].address = wire_address_of(&servers[i].addr);
		record.items[i].port = servers[i].port;
	}
	helper_send(resolver->helper, &record, sizeof(record), -1);
}

static void send_query(struct resolver *resolver, struct query *query)
{
	struct wire_query record = { .head.kind = WIRE_QUERY,
				     .id = query->id,
				     .family = wire_family_of(query->family) };

	memcpy(record.name, query->name, strlen(query->name));
	query->beats = 0;
	helper_send(resolver->helper, &record, sizeof(record), -1);
}

static void on_ready(void *userdata)
{
	struct resolver *resolver = userdata;

	send_servers(resolver);
	for (struct query *query = resolver->waiting; query; query = query->next)
		send_query(resolver, query);
}

/* Receiving. */

static struct query **find_query(struct resolver *resolver, uint32_t id)
{
	struct query **at = &resolver->waiting;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

/* The resolver may be gone after this. */
static void finish(struct resolver *resolver, struct query **at, struct resolver_answer *answer)
{
	struct query *query = *at;

	*at = query->next;
	if (resolver->waiting_end == &query->next)
		resolver->waiting_end = at;
	answer->name = query->name;
	answer->family = query->family;
	resolver->events.done(resolver->userdata, answer);
	free(query);
}

static const char *take_answer(struct resolver *resolver, const struct wire_answer *record)
{
	struct query **at = find_query(resolver, record->id);
	struct addr addresses[WIRE_ADDRESSES_MAX];

	if (!*at)
		return "an answer to a query that does not wait";
	if ((*at)->family != wire_family_read(record->family))
		return "an answer with addresses of another family than was queried";
	struct resolver_answer answer = { .addresses = addresses,
					  .count = record->count,
					  .aliases = wire_answer_aliases(record),
					  .alias_count = record->alias_count,
					  .ttl_s = record->ttl_s };
	wire_addresses_read(record->addresses, record->count, addresses);
	finish(resolver, at, &answer);
	return NULL;
}

static const char *take_failure(struct resolver *resolver, const struct wire_failure *record)
{
	struct query **at = find_query(resolver, record->id);

	if (!*at)
		return "a failure of a query that does not wait";
	finish(resolver, at, &(struct resolver_answer){ .error = record->error, .silent = record->silent });
	return NULL;
}

static const char *on_record(void *userdata, const struct wire_head *record)
{
	return record->kind == WIRE_ANSWER ? take_answer(userdata, (const struct wire_answer *)record)
					   : take_failure(userdata, (const struct wire_failure *)record);
}

static const char *on_beat(void *userdata)
{
	struct resolver *resolver = userdata;

	for (struct query *query = resolver->waiting; query; query = query->next)
		if (query->beats++ >= QUERY_BEATS)
			return "it did not answer a query";
	return NULL;
}

static const struct helper_client client = { on_ready, on_record, on_beat };

/* What the daemon calls. */

int resolver_new(struct resolver **ret, sd_event *event, struct helper *helper, const struct resolver_events *events,
		 void *userdata)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return -ENOMEM;
	*resolver = (struct resolver){ .event = event, .helper = helper, .events = *events, .userdata = userdata };
	resolver->waiting_end = &resolver->waiting;
	helper_attach(helper, HELPER_DNS, &client, resolver);
	*ret = resolver;
	return 0;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	helper_detach(resolver->helper, HELPER_DNS);
	for (struct query *query = resolver->waiting, *next; query; query = next) {
		next = query->next;
		free(query);
	}
	resolv_conf_free(resolver->system);
	free(resolver);
}

static void on_system_changed(void *userdata)
{
	struct resolver *resolver = userdata;

	send_servers(resolver);
	if (resolver->events.servers_changed)
		resolver->events.servers_changed(resolver->userdata);
}

int resolver_set_servers(struct resolver *resolver, const struct dns_server *servers, size_t count)
{
	struct resolv_conf *system = NULL;

	if (!servers) {
		int r = resolv_conf_new(&system, resolver->event, on_system_changed, resolver);
		if (r < 0)
			return r;
	}
	if (count > WIRE_SERVERS_MAX) {
		log_warning("of %zu DNS servers the first %d are queried", count, (int)WIRE_SERVERS_MAX);
		count = WIRE_SERVERS_MAX;
	}
	resolv_conf_free(resolver->system);
	resolver->system = system;
	resolver->server_count = servers ? count : 0;
	if (servers && count)
		memcpy(resolver->servers, servers, count * sizeof(*servers));
	send_servers(resolver);
	return 0;
}

int resolver_query(struct resolver *resolver, const char *name, enum family family)
{
	if (strlen(name) > CONFIG_NAME_MAX)
		return -EINVAL;
	struct query *query = calloc(1, sizeof(*query));
	if (!query)
		return -ENOMEM;
	*query = (struct query){ .id = ++resolver->last_id, .family = family };
	memcpy(query->name, name, strlen(name) + 1);
	*resolver->waiting_end = query;
	resolver->waiting_end = &query->next;
	send_query(resolver, query);
	return 0;
}
