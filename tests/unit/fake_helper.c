/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_helper.h"
#include "make.h"
#include "net/helper_records.h"

#include <errno.h>

enum { SENT_MAX = 64 * 1024 };

struct helper {
	struct helper_events events;
	void *userdata;
	struct {
		const struct helper_client *client;
		void *userdata;
	} parts[HELPER_PARTS];
	unsigned starts;
};

static struct helper *current;
static char sent[SENT_MAX], shown[SENT_MAX];
int fake_helper_error;
size_t fake_helpers;
bool fake_helper_fails;

void fake_helper_reset(void)
{
	assert_int_equal(fake_helpers, 0);
	fake_helper_error = 0;
	fake_helper_fails = false;
	sent[0] = '\0';
}

int helper_new(struct helper **ret, sd_event *event, const struct helper_events *events, void *userdata)
{
	(void)event;
	if (fake_helper_error)
		return fake_helper_error;
	struct helper *helper = calloc(1, sizeof(*helper));
	if (!helper)
		return -ENOMEM;
	*helper = (struct helper){ .events = *events, .userdata = userdata };
	fake_helpers++;
	current = *ret = helper;
	return 0;
}

struct helper *fake_helper_new(void)
{
	static const struct helper_events none;
	struct helper *helper = NULL;

	assert_int_equal(helper_new(&helper, NULL, &none, NULL), 0);
	return helper;
}

void helper_free(struct helper *helper)
{
	if (!helper)
		return;
	for (size_t i = 0; i < HELPER_PARTS; i++)
		assert_null(helper->parts[i].client);
	if (current == helper)
		current = NULL;
	free(helper);
	fake_helpers--;
}

void helper_attach(struct helper *helper, enum helper_part part, const struct helper_client *client, void *userdata)
{
	assert_null(helper->parts[part].client);
	helper->parts[part].client = client;
	helper->parts[part].userdata = userdata;
}

void helper_detach(struct helper *helper, enum helper_part part)
{
	helper->parts[part].client = NULL;
}

void helper_reasons(const struct helper *helper, struct health *health)
{
	assert_non_null(helper);
	if (fake_helper_fails)
		health_add(health, HEALTH_RESOLVER, "spefw-resolver ended");
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t length = strlen(sent);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sent + length, sizeof(sent) - length, format, arguments);
	va_end(arguments);
}

void helper_send(struct helper *helper, void *record, size_t length, int fd)
{
	struct wire_head *head = record;

	assert_ptr_equal(helper, current);
	if (!helper->starts)
		return;
	assert_true(fd < 0 || head->kind == WIRE_NFLOG);
	switch (head->kind) {
	case WIRE_WATCH_BEGIN: note("begin;"); break;
	case WIRE_WATCH:
		assert_int_equal(length, sizeof(struct wire_watch));
		note("watch %s;", ((struct wire_watch *)record)->name);
		break;
	case WIRE_WATCH_END: note("end;"); break;
	case WIRE_NFLOG: note("nflog %d;", fd < 0 ? -1 : fd); break;
	default: fail_msg("kind %u is sent", head->kind);
	}
}

const char *fake_helper_sent(void)
{
	memcpy(shown, sent, sizeof(shown));
	sent[0] = '\0';
	return shown;
}

void fake_helper_start(void)
{
	assert_non_null(current);
	current->starts++;
	for (size_t i = 0; i < HELPER_PARTS; i++)
		if (current->parts[i].client)
			current->parts[i].client->ready(current->parts[i].userdata);
	if (current->starts > 1 && current->events.restarted)
		current->events.restarted(current->userdata);
	if (current->events.changed)
		current->events.changed(current->userdata);
}

const char *fake_helper_give(void *record, size_t length)
{
	struct wire_head *head = record;

	head->length = (uint32_t)length;
	assert_null(helper_record_error(record, length));
	assert_non_null(current);
	enum helper_part part = head->kind == WIRE_ANSWER || head->kind == WIRE_FAILURE ? HELPER_DNS : HELPER_PACKETS;
	assert_non_null(current->parts[part].client);
	return current->parts[part].client->record(current->parts[part].userdata, record);
}

static struct wire_address address_of(const char *text)
{
	struct addr addr = make_addr(text);
	return wire_address_of(&addr);
}

struct wire_observed *fake_observed(const char *server, const char *question, enum family family, const char *addresses,
				    uint32_t ttl_s, size_t *ret_length)
{
	static _Alignas(struct wire_counts) char bytes[WIRE_RECORD_MAX];
	struct wire_observed *record = (struct wire_observed *)bytes;
	char *copy = strdup(addresses), *rest = copy, *word;

	memset(bytes, 0, sizeof(bytes));
	record->head.kind = WIRE_OBSERVED;
	record->server = address_of(server);
	record->resolver = address_of(strchr(server, ':') ? "2001:db8::53" : "192.0.2.53");
	record->ttl_s = ttl_s;
	record->family = wire_family_of(family);
	snprintf(record->question, sizeof(record->question), "%s", question);
	assert_non_null(copy);
	while ((word = strsep(&rest, " ")))
		if (*word)
			record->addresses[record->count++] = address_of(word);
	free(copy);
	*ret_length = sizeof(*record) + record->count * sizeof(record->addresses[0]);
	return record;
}

void fake_helper_observe(const char *server, const char *question, enum family family, const char *addresses,
			 uint32_t ttl_s)
{
	size_t length;
	struct wire_observed *record = fake_observed(server, question, family, addresses, ttl_s, &length);

	assert_null(fake_helper_give(record, length));
}

void fake_helper_deny(const struct packet *packet, enum denial_kind kind, uint8_t hook)
{
	struct wire_denial record = { .head.kind = WIRE_DENIAL,
				      .source = wire_address_of(&packet->source),
				      .target = wire_address_of(&packet->target),
				      .source_port = packet->source_port,
				      .target_port = packet->target_port,
				      .protocol = (uint8_t)packet->protocol,
				      .mid_stream = packet->mid_stream,
				      .hook = hook,
				      .kind = (uint8_t)kind };

	assert_null(fake_helper_give(&record, sizeof(record)));
}

void fake_helper_count(uint64_t unasked, uint64_t lost, uint64_t dropped)
{
	struct wire_counts record = { { .kind = WIRE_COUNTS }, unasked, lost, dropped };

	assert_null(fake_helper_give(&record, sizeof(record)));
}
