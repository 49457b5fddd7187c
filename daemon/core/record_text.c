/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record.h"
#include "hash.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file of the record, "record": what it is, the boot, for how long it was kept, the flows, the entries from the
 * least recent one on. */

static const int64_t WALL_MAX_S = INT64_C(1) << 40; /* what a damaged file may hold */

enum { LINE_SIZE = 512, SUM_SIZE = 17 };

#define HEADER "spefw-record 1"
#define NEAR_NONE "-"

static const char *const kinds[RECORD_KINDS] = { "allowed", "denied" };

static void sum_of(const char *line, char sum[SUM_SIZE])
{
	snprintf(sum, SUM_SIZE, "%016" PRIx64, hash_bytes(HASH_START, line, strlen(line)));
}

static void put(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(FILE *out, const char *format, ...)
{
	char line[LINE_SIZE], sum[SUM_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	sum_of(line, sum);
	fprintf(out, "%s %s\n", line, sum);
}

static void put_flow(FILE *out, const struct record_flow *flow)
{
	char hours[RECORD_HOURS * 11 + 1] = "";
	size_t length = 0;

	if (!flow->used || !flow->last_s)
		return;
	for (int64_t at = flow->hour; at > flow->hour - RECORD_HOURS && at >= 0; at--)
		length += (size_t)snprintf(hours + length, sizeof(hours) - length, ",%" PRIu32,
					   flow->hours[at % RECORD_HOURS]);
	put(out, "flow %s %" PRId64 " %" PRId64 " %s", flow->name, flow->last_s, flow->hour, hours);
}

static void put_entry(FILE *out, const char *flow, const struct record_entry *entry)
{
	char peer[ADDR_TEXT_MAX];

	put(out, "%s %s %s/%u %s %u %" PRId64 " %" PRId64 " %" PRIu64, kinds[entry->kind], *flow ? flow : NEAR_NONE,
	    addr_format(&entry->peer, peer), entry->prefix, protocol_name(entry->protocol), entry->port, entry->first_s,
	    entry->last_s, entry->count);
}

char *record_text(const struct record *record, const char *boot)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	put(out, HEADER);
	put(out, "boot %s", boot);
	put(out, "kept %" PRId64, record->watched_ms);
	for (size_t i = 0; i < record->flow_count; i++)
		put_flow(out, &record->flows[i]);
	for (uint32_t at = record->oldest; at != UINT32_MAX; at = record->items[at].newer)
		put_entry(out, record_flow_of(record, &record->items[at]), &record->items[at]);
	return lines_end(out, &text);
}

/* Takes the checksum off. False: the line is damaged. */
static bool check(char *line)
{
	char *space = strrchr(line, ' '), sum[SUM_SIZE];

	if (!space)
		return false;
	*space = '\0';
	sum_of(line, sum);
	return strcmp(space + 1, sum) == 0;
}

static uint8_t kind_of(const char *word)
{
	uint8_t kind = 0;

	while (kind < RECORD_KINDS && strcmp(kinds[kind], word) != 0)
		kind++;
	return kind;
}

static uint8_t protocol_of(const char *word)
{
	uint8_t protocol = 0;

	while (protocol < PROTOCOLS && strcmp(protocol_name(protocol), word) != 0)
		protocol++;
	return protocol;
}

static int take_flow(struct record *record, const char *line)
{
	struct record_flow flow = { .last_s = 0 };
	char hours[LINE_SIZE];

	_Static_assert(CONFIG_ID_MAX == 40, "the formats below have it");
	if (sscanf(line, "flow %40s %" SCNd64 " %" SCNd64 " %511s", flow.name, &flow.last_s, &flow.hour, hours) != 4 ||
	    flow.last_s <= 0 || flow.last_s > WALL_MAX_S || flow.hour < 0 || flow.hour > WALL_MAX_S)
		return 0;
	const char *at = hours;
	for (int64_t hour = flow.hour; *at == ',' && hour > flow.hour - RECORD_HOURS && hour >= 0; hour--) {
		char *end;
		unsigned long long count = strtoull(at + 1, &end, 10);
		flow.hours[hour % RECORD_HOURS] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
		at = end;
	}
	return record_put_flow(record, &flow);
}

static bool fits(const struct record_entry *entry, unsigned prefix)
{
	unsigned bits = addr_bits(entry->peer.family);

	return (prefix == bits || prefix == 0 || prefix == (entry->peer.family == FAMILY_4 ? 24 : 48)) &&
	       entry->kind < RECORD_KINDS && entry->protocol < PROTOCOLS && entry->first_s >= 0 &&
	       entry->first_s <= WALL_MAX_S && entry->last_s >= 0 && entry->last_s <= WALL_MAX_S;
}

static int take_entry(struct record *record, const char *line)
{
	struct record_entry entry = { .count = 0 };
	char kind[8], flow[CONFIG_ID_MAX + 1], peer[ADDR_TEXT_MAX], protocol[12];
	unsigned prefix, port;

	_Static_assert(ADDR_TEXT_MAX == 46, "the format below has it");
	if (sscanf(line, "%7s %40s %45[0-9a-fA-F.:]/%3u %11s %5u %" SCNd64 " %" SCNd64 " %" SCNu64, kind, flow, peer,
		   &prefix, protocol, &port, &entry.first_s, &entry.last_s, &entry.count) != 9 ||
	    !addr_parse(peer, &entry.peer) || port > UINT16_MAX)
		return 0;
	entry.kind = kind_of(kind);
	entry.protocol = protocol_of(protocol);
	if (!fits(&entry, prefix))
		return 0;
	entry.prefix = (uint8_t)prefix;
	entry.port = (uint16_t)port;
	return record_put(record, strcmp(flow, NEAR_NONE) == 0 ? "" : flow, &entry);
}

int record_from_text(struct record *record, const char *text, const char *boot, bool *ret_same_boot)
{
	char line[LINE_SIZE], word[64];
	int64_t kept;
	int r = 0;

	*ret_same_boot = false;
	text = lines_next(text, line, sizeof(line));
	if (!check(line) || strcmp(line, HEADER) != 0) /* another version may mean other things by the same words */
		return 0;
	while (r == 0 && *text) {
		text = lines_next(text, line, sizeof(line));
		if (!check(line))
			continue;
		if (sscanf(line, "boot %63s", word) == 1)
			*ret_same_boot = strcmp(word, boot) == 0;
		else if (sscanf(line, "kept %" SCNd64, &kept) == 1)
			record_pass(record, kept > 0 ? kept : 0, 0);
		else
			r = strncmp(line, "flow ", 5) == 0 ? take_flow(record, line) : take_entry(record, line);
	}
	if (r < 0)
		record_free(record);
	return r;
}
