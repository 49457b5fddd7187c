// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/hash.h"
#include "core/history.h"
#include "core/waiting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t length);

/* With its right checksum, or no input would come further than that. */
static char *with_checksum(const uint8_t *bytes, size_t length, size_t *ret_length)
{
	char *text = malloc(length + 32);

	if (!text)
		abort();
	memcpy(text, bytes, length);
	*ret_length = length;
	*ret_length +=
		(size_t)snprintf(text + length, 32, "end %016" PRIx64 "\n", hash_bytes(HASH_START, bytes, length));
	return text;
}

/* Whatever is taken for a history or for what waits is written as the same bytes. */
static void read_both(const char *text, size_t length)
{
	struct history history;
	struct waiting waiting;
	size_t again_length = 0;

	if (history_read(&history, text, length) == 0) {
		char *again = history_write(&history, &again_length);
		if (!again || again_length != length || memcmp(again, text, length) != 0)
			abort();
		free(again);
		history_trim(&history, 1);
		if (history.count > HISTORY_ENTRIES_MAX)
			abort();
		history_good(&history);
		history_other(&history);
		history_free(&history);
	}
	if (waiting_read(&waiting, text, length) == 0 && waiting_left_ms(&waiting, "boot", 5, 5) < 0)
		abort();
}

int fuzz_one(const uint8_t *bytes, size_t length)
{
	size_t whole;
	char *text = with_checksum(bytes, length, &whole);

	read_both(text, whole);
	read_both((const char *)bytes, length);
	free(text);
	return 0;
}
