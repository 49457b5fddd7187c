/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_resolver.h"
#include "clock.h"
#include "make.h"

#include <errno.h>

enum { ROOM = 4096 };

struct resolver {
	struct resolver_events events;
	void *userdata;
};

static struct waiting {
	struct fake_query query;
	struct resolver *resolver;
} waiting[ROOM];
static size_t waiting_count;
static struct resolver *newest;

int fake_resolver_error, fake_resolver_query_error;
size_t fake_resolvers, fake_resolver_queries;
bool fake_resolver_system;
struct dns_server fake_resolver_server;

void fake_resolver_reset(void)
{
	assert_int_equal(fake_resolvers, 0);
	fake_resolver_error = fake_resolver_query_error = 0;
	fake_resolver_queries = 0;
}

int resolver_new(struct resolver **ret, sd_event *event, struct helper *helper, const struct resolver_events *events,
		 void *userdata)
{
	(void)event;
	(void)helper;
	if (fake_resolver_error)
		return fake_resolver_error;
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return -ENOMEM;
	*resolver = (struct resolver){ *events, userdata };
	fake_resolvers++;
	newest = *ret = resolver;
	return 0;
}

int resolver_set_servers(struct resolver *resolver, const struct dns_server *servers, size_t count)
{
	assert_non_null(resolver);
	if (fake_resolver_error)
		return fake_resolver_error;
	fake_resolver_system = !servers;
	fake_resolver_server = servers && count ? servers[0] : (struct dns_server){ 0 };
	return 0;
}

static void remove_at(size_t index)
{
	waiting_count--;
	memmove(&waiting[index], &waiting[index + 1], (waiting_count - index) * sizeof(waiting[0]));
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	for (size_t i = waiting_count; i-- > 0;)
		if (waiting[i].resolver == resolver)
			remove_at(i);
	if (newest == resolver)
		newest = NULL;
	free(resolver);
	fake_resolvers--;
}

int resolver_query(struct resolver *resolver, const char *name, enum family family)
{
	if (fake_resolver_query_error)
		return fake_resolver_query_error;
	assert_non_null(resolver);
	assert_true(waiting_count < ROOM);
	struct waiting *added = &waiting[waiting_count++];
	*added = (struct waiting){ { .family = family, .asked_ms = now_ms() }, resolver };
	snprintf(added->query.name, sizeof(added->query.name), "%s", name);
	fake_resolver_queries++;
	return 0;
}

const struct fake_query *fake_resolver_query(size_t index)
{
	return index < waiting_count ? &waiting[index].query : NULL;
}

size_t fake_resolver_waiting(void)
{
	return waiting_count;
}

static size_t find(const char *name, enum family family)
{
	size_t i = 0;

	while (i < waiting_count && (waiting[i].query.family != family || strcmp(waiting[i].query.name, name) != 0))
		i++;
	return i;
}

bool fake_resolver_asked(const char *name, enum family family)
{
	return find(name, family) < waiting_count;
}

/* The callback may query again, and free the resolver. */
static void give(size_t index, const struct resolver_answer *answer)
{
	struct waiting taken = waiting[index];
	struct resolver_answer given = *answer;

	remove_at(index);
	given.name = taken.query.name;
	given.family = taken.query.family;
	taken.resolver->events.done(taken.resolver->userdata, &given);
}

static size_t find_waiting(const char *name, enum family family)
{
	size_t index = find(name, family);

	if (index == waiting_count)
		fail_msg("nobody waits for %s", name);
	return index;
}

void fake_resolver_answer_by(const char *name, enum family family, const char *aliases, const char *addresses,
			     uint32_t ttl_s)
{
	struct addr list[DNS_ADDRESSES_MAX];
	char names[DNS_ALIASES_MAX][DNS_ALIAS_TEXT_MAX];
	struct resolver_answer answer = { .addresses = list, .aliases = names, .ttl_s = ttl_s };
	char *copy = strdup(addresses), *rest = copy, *word;

	assert_non_null(copy);
	while ((word = strsep(&rest, " ")))
		if (*word)
			list[answer.count++] = make_addr(word);
	free(copy);
	copy = rest = strdup(aliases);
	assert_non_null(copy);
	while ((word = strsep(&rest, " ")))
		if (*word)
			snprintf(names[answer.alias_count++], DNS_ALIAS_TEXT_MAX, "%s", word);
	free(copy);
	give(find_waiting(name, family), &answer);
}

void fake_resolver_answer(const char *name, enum family family, const char *addresses, uint32_t ttl_s)
{
	fake_resolver_answer_by(name, family, "", addresses, ttl_s);
}

void fake_resolver_fail(const char *name, enum family family, const char *error)
{
	give(find_waiting(name, family), &(struct resolver_answer){ .error = error });
}

void fake_resolver_silence(const char *name, enum family family)
{
	give(find_waiting(name, family), &(struct resolver_answer){ .error = "timeout", .silent = true });
}

const struct dns_server *resolver_servers(const struct resolver *resolver, size_t *ret_count)
{
	assert_non_null(resolver);
	*ret_count = fake_resolver_server.port ? 1 : 0;
	return &fake_resolver_server;
}

static void give_all(const struct resolver_answer *answer)
{
	for (size_t left = waiting_count; left > 0 && waiting_count > 0; left--)
		give(0, answer); /* what is queried meanwhile stands behind */
}

void fake_resolver_fail_all(const char *error)
{
	give_all(&(struct resolver_answer){ .error = error });
}

void fake_resolver_empty_all(uint32_t ttl_s)
{
	give_all(&(struct resolver_answer){ .ttl_s = ttl_s });
}

void fake_resolver_change(void)
{
	assert_non_null(newest);
	newest->events.servers_changed(newest->userdata);
}
