/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "grant_list.h"
#include "config_values.h"
#include "hash.h"
#include "lines.h"
#include "printable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file of the grants: the boot that their ends count in, then a line each. A flipped bit must not become another
 * address, or another end: every line ends in a checksum. */

#define HEADER "spefw-grants 1 "

enum { LINE_SIZE = 512, CHECKSUM_DIGITS = 16 };

static void put_line(FILE *out, const char *line)
{
	fprintf(out, "%s %016" PRIx64 "\n", line, hash_bytes(HASH_START, line, strlen(line)));
}

char *grants_text(const struct grant_list *list, const char *boot, int64_t now_ms)
{
	char *text = NULL, line[LINE_SIZE], address[ADDR_TEXT_MAX];
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	snprintf(line, sizeof(line), HEADER "%s", boot);
	put_line(out, line);
	for (size_t i = 0; i < list->count; i++) {
		const struct grant *grant = &list->items[i];
		int64_t left_ms = grant->end_ms > now_ms ? grant->end_ms - now_ms : 0;
		snprintf(line, sizeof(line), "%s %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s", grant->flow,
			 addr_format(&grant->addr, address), grant->given_s, grant->until_s, grant->end_ms, left_ms,
			 grant->by);
		put_line(out, line);
	}
	return lines_end(out, &text);
}

/* Takes the checksum off. False: the line is damaged. */
static bool check_line(char *line)
{
	size_t length = strlen(line);
	char sum[CHECKSUM_DIGITS + 1];

	if (length < CHECKSUM_DIGITS + 1)
		return false;
	length -= CHECKSUM_DIGITS + 1;
	snprintf(sum, sizeof(sum), "%016" PRIx64, hash_bytes(HASH_START, line, length));
	if (line[length] != ' ' || strcmp(line + length + 1, sum) != 0)
		return false;
	line[length] = '\0';
	return true;
}

static bool in_bounds(const struct grant *grant, int64_t left_ms)
{
	/* Seconds of 278,000 years: no sum of these overflows. */
	static const int64_t far_s = INT64_C(1) << 43;

	return is_flow_name(grant->flow) && grant->given_s >= 0 && grant->given_s < far_s && grant->until_s >= 0 &&
	       grant->until_s < far_s && grant->end_ms >= 0 && grant->end_ms < far_s * 1000 && left_ms >= 0 &&
	       left_ms <= GRANT_LONGEST_S * INT64_C(1000);
}

static bool read_grant(const char *line, bool same_boot, int64_t now_ms, struct grant *ret)
{
	char flow[CONFIG_ID_MAX + 2], address[ADDR_TEXT_MAX];
	int64_t left_ms;
	int by = -1;

	*ret = (struct grant){ 0 };
	if (sscanf(line, "%41[^ ] %45[^ ] %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %n", flow, address,
		   &ret->given_s, &ret->until_s, &ret->end_ms, &left_ms, &by) != 6 ||
	    by < 0 || strlen(flow) > CONFIG_ID_MAX || !addr_parse(address, &ret->addr))
		return false;
	memcpy(ret->flow, flow, strlen(flow) + 1);
	if (!in_bounds(ret, left_ms))
		return false;
	snprintf(ret->by, sizeof(ret->by), "%.*s", (int)sizeof(ret->by) - 1, line + by);
	make_printable(ret->by);
	int64_t longest_ms = now_ms + GRANT_LONGEST_S * INT64_C(1000);
	if (!same_boot)
		ret->end_ms = now_ms + left_ms;
	else if (ret->end_ms > longest_ms)
		ret->end_ms = longest_ms;
	return true;
}

int grants_from_text(struct grant_list *ret, const char *text, const char *boot, int64_t now_ms, int64_t wall_s,
		     bool *ret_damaged)
{
	char line[LINE_SIZE];

	*ret = (struct grant_list){ 0 };
	text = lines_next(text, line, sizeof(line));
	*ret_damaged = !check_line(line) || strncmp(line, HEADER, strlen(HEADER)) != 0;
	bool same_boot = !*ret_damaged && *boot && strcmp(line + strlen(HEADER), boot) == 0;
	while (*text) {
		struct grant grant;
		text = lines_next(text, line, sizeof(line));
		int r = check_line(line) && read_grant(line, same_boot, now_ms, &grant) ? grant_put(ret, &grant)
											: -EBADMSG;
		if (r == -ENOMEM) {
			grants_free_list(ret);
			return r;
		}
		*ret_damaged |= r < 0;
	}
	grants_see_clock(ret, now_ms, wall_s);
	return 0;
}
