/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What spefw-resolver sends, once it is somebody else's: records, each behind its size (32 bits), as far as the input
 * goes, and what spefwd does with those that it takes for whole ones. */
#include "core/flow_index.h"
#include "core/dns_message.h"
#include "gateway/observer.h"
#include "log.h"
#include "net/helper_records.h"
#include "net/nflog.h"
#include "net/resolv_conf.h"
#include "net/resolver.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

enum { QUERIES = 8 };

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The daemon around resolver.c and observer.c. */

static const struct helper_client *clients[HELPER_PARTS];
static void *client_data[HELPER_PARTS];
static size_t waiting, reported;
static bool finished[QUERIES];

void helper_attach(struct helper *helper, enum helper_part part, const struct helper_client *client, void *userdata)
{
	(void)helper;
	clients[part] = client;
	client_data[part] = userdata;
}

void helper_detach(struct helper *helper, enum helper_part part)
{
	(void)helper;
	clients[part] = NULL;
}

void helper_send(struct helper *helper, void *record, size_t length, int fd)
{
	(void)helper;
	(void)fd;
	must(length >= sizeof(struct wire_head) && ((struct wire_head *)record)->kind < WIRE_READY);
}

int resolv_conf_new(struct resolv_conf **ret, sd_event *event, void (*changed)(void *userdata), void *userdata)
{
	(void)ret;
	(void)event;
	(void)changed;
	(void)userdata;
	return -ENOMEM;
}

void resolv_conf_free(struct resolv_conf *conf)
{
	must(!conf);
}

const struct dns_server *resolv_conf_servers(const struct resolv_conf *conf, size_t *ret_count)
{
	(void)conf;
	*ret_count = 0;
	return NULL;
}

int nflog_open(uint16_t group)
{
	(void)group;
	return -EBUSY;
}

void nflog_close(int fd, uint16_t group)
{
	(void)fd;
	(void)group;
}

void log_message(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

/* What they are given. */

static void check_text(const char *text, size_t room)
{
	must(strnlen(text, room) < room);
	for (; *text; text++)
		must(isprint((unsigned char)*text));
}

static void check_addresses(const struct addr *addresses, size_t count, enum family family)
{
	static const uint8_t none[12];

	must(count <= WIRE_ADDRESSES_MAX);
	for (size_t i = 0; i < count; i++) {
		must(addresses[i].family == family);
		must(family == FAMILY_6 || memcmp(addresses[i].bytes + 4, none, sizeof(none)) == 0);
	}
}

static void on_done(void *userdata, const struct resolver_answer *answer)
{
	size_t number = (size_t)(answer->name[0] - 'a');

	(void)userdata;
	must(number < QUERIES && !finished[number] && answer->family == (number % 2 ? FAMILY_6 : FAMILY_4));
	finished[number] = true;
	must(waiting-- > 0);
	if (answer->error) {
		check_text(answer->error, WIRE_ERROR_MAX);
		must(answer->error[0] && !answer->count && !answer->alias_count);
	}
	check_addresses(answer->addresses, answer->count, answer->family);
	must(answer->alias_count <= WIRE_ALIASES_MAX);
	for (size_t i = 0; i < answer->alias_count; i++)
		check_text(answer->aliases[i], DNS_ALIAS_TEXT_MAX);
}

static bool wants(void *userdata, const char *question, enum family family)
{
	(void)userdata;
	must(family < FAMILIES);
	check_text(question, WIRE_NAME_MAX);
	return question[0] != 'x';
}

static void on_answered(void *userdata, const struct dns_answer *answer)
{
	(void)userdata;
	reported++;
	must(answer->question[0] && answer->question[0] != 'x' && answer->count > 0);
	check_addresses(answer->addresses, answer->count, answer->family);
}

static bool is_server(const struct addr *addr)
{
	static const uint8_t six[16] = { 0x20, 1, 0xd, 0xb8, [15] = 0x25 }, four[16] = { 192, 0, 2, 25 };
	return memcmp(addr->bytes, addr->family == FAMILY_4 ? four : six, sizeof(six)) == 0;
}

static void on_denied(void *userdata, const struct denial *denial)
{
	const struct packet *packet = &denial->packet;

	(void)userdata;
	reported++;
	must(denial->kind < DENIAL_KINDS);
	must(packet->source.family == packet->target.family && packet->source.family < FAMILIES);
	must(is_server(&packet->source) || is_server(&packet->target));
	must(packet->protocol <= PROTOCOLS && (!packet->mid_stream || packet->protocol == PROTOCOL_TCP));
	must(packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP ||
	     (!packet->source_port && !packet->target_port));
}

static void on_lost(void *userdata)
{
	(void)userdata;
	reported++;
}

static void take(const void *record, size_t length)
{
	const struct wire_head *head = record;

	if (helper_record_error(record, length) || head->kind == WIRE_READY || head->kind == WIRE_PONG)
		return;
	enum helper_part part = head->kind == WIRE_ANSWER || head->kind == WIRE_FAILURE ? HELPER_DNS : HELPER_PACKETS;
	clients[part]->record(client_data[part], head);
}

static const struct policy *make_policy(void)
{
	static struct policy_role role = { .is_protected = true };
	static struct policy policy = { .roles = &role, .role_count = 1 };
	static const struct range hosts[FAMILIES] = {
		{ { FAMILY_4, { 192, 0, 2, 25 } }, { FAMILY_4, { 192, 0, 2, 25 } } },
		{ { FAMILY_6, { 0x20, 1, 0xd, 0xb8, [15] = 0x25 } },
		  { FAMILY_6, { 0x20, 1, 0xd, 0xb8, [15] = 0x25 } } },
	};

	if (!role.guarded.count)
		for (int family = 0; family < FAMILIES; family++)
			must(ranges_add(&role.guarded, &hosts[family]) == 0 &&
			     ranges_add(&policy.protected_all, &hosts[family]) == 0);
	if (!policy.index)
		must((policy.index = flow_index_new(&policy)) != NULL);
	return &policy;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static const struct resolver_events resolver_events = { .done = on_done };
	static const struct observer_events observer_events = { wants, on_answered, on_denied, on_lost };
	struct resolver *resolver = NULL;
	struct observer *observer = NULL;
	size_t records = 0;

	must(resolver_new(&resolver, NULL, NULL, &resolver_events, NULL) == 0 &&
	     observer_new(&observer, NULL, &observer_events, NULL) == 0);
	observer_follow(observer, make_policy());
	waiting = reported = 0;
	for (; waiting < QUERIES; waiting++) {
		char name[] = { (char)('a' + waiting), '\0' };
		finished[waiting] = false;
		must(resolver_query(resolver, name, waiting % 2 ? FAMILY_6 : FAMILY_4) == 0);
	}
	while (size > sizeof(uint32_t)) {
		uint32_t length;
		memcpy(&length, data, sizeof(length));
		data += sizeof(length);
		size -= sizeof(length);
		length = length < size ? length : (uint32_t)size;
		/* A block of its own: a sanitizer sees its end. */
		void *record = malloc(length ? length : 1);
		must(record);
		memcpy(record, data, length);
		take(record, length);
		free(record);
		data += length;
		size -= length;
		records++;
	}
	must(reported <= records);
	observer_free(observer);
	resolver_free(resolver);
	return 0;
}
