/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "totals.h"
#include "array.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 64 + 4 * 21 };

static struct total *find(const struct totals *totals, const char *name)
{
	for (size_t i = 0; i < totals->count; i++)
		if (strcmp(totals->items[i].name, name) == 0)
			return &totals->items[i];
	return NULL;
}

const struct total *totals_find(const struct totals *totals, const char *name)
{
	return find(totals, name);
}

static uint64_t grown(uint64_t now, uint64_t seen)
{
	return now >= seen ? now - seen : now;
}

int totals_see(struct totals *totals, const char *name, uint64_t packets, uint64_t bytes)
{
	struct total *total = find(totals, name);

	if (strlen(name) >=
	    sizeof(total->name)) /* another program's: it would not be found again, and be new each time */
		return 0;
	if (!total) {
		struct total fresh = { .packets = 0 };
		snprintf(fresh.name, sizeof(fresh.name), "%s", name);
		if (ARRAY_PUSH(totals, fresh) < 0)
			return -ENOMEM;
		total = &totals->items[totals->count - 1];
	}
	/* Both were reset together, even where the bytes have caught up already. */
	if (packets < total->seen_packets || bytes < total->seen_bytes)
		total->seen_packets = total->seen_bytes = 0;
	total->packets += grown(packets, total->seen_packets);
	total->bytes += grown(bytes, total->seen_bytes);
	total->seen_packets = packets;
	total->seen_bytes = bytes;
	return 0;
}

void totals_restart(struct totals *totals)
{
	for (size_t i = 0; i < totals->count; i++)
		totals->items[i].seen_packets = totals->items[i].seen_bytes = 0;
}

char *totals_text(const struct totals *totals, const char *boot)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	fprintf(out, "boot %s\n", boot);
	for (size_t i = 0; i < totals->count; i++) {
		const struct total *total = &totals->items[i];
		fprintf(out, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", total->name, total->packets,
			total->bytes, total->seen_packets, total->seen_bytes);
	}
	return lines_end(out, &text);
}

int totals_from_text(struct totals *ret, const char *text, const char *boot)
{
	bool same_boot = false;

	*ret = (struct totals){ 0 };
	while (*text) {
		struct total total;
		char line[LINE_SIZE], word[64];
		text = lines_next(text, line, sizeof(line));
		if (sscanf(line, "boot %63[^ ]", word) == 1) {
			same_boot = strcmp(word, boot) == 0;
		} else if (sscanf(line, "%63[^ ] %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, total.name,
				  &total.packets, &total.bytes, &total.seen_packets, &total.seen_bytes) == 5 &&
			   !find(ret, total.name)) {
			if (ARRAY_PUSH(ret, total) < 0) {
				totals_free(ret);
				return -ENOMEM;
			}
		}
	}
	if (!same_boot)
		totals_restart(ret);
	return 0;
}

void totals_free(struct totals *totals)
{
	free(totals->items);
	*totals = (struct totals){ 0 };
}
