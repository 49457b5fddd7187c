/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "waiting.h"
#include "hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES                                                                                                     \
	"spefw-waiting 1\n%" PRIu64 " %016" PRIx64 " %016" PRIx64 " %" PRId64 " %" PRId64 " %" PRId64 "\nboot %s\n" \
	"by %s\n"
#define END "end %016" PRIx64 "\n"

enum { END_LENGTH = sizeof("end 0123456789abcdef\n") - 1 };

int64_t waiting_left_ms(const struct waiting *waiting, const char *boot, int64_t now_ms, int64_t wall_s)
{
	int64_t whole_ms, passed_ms;

	if (__builtin_sub_overflow(waiting->due_ms, waiting->since_ms, &whole_ms))
		return 0;
	if (strcmp(waiting->boot, boot) == 0 && strcmp(boot, "unknown") != 0) {
		if (now_ms < waiting->since_ms || __builtin_sub_overflow(now_ms, waiting->since_ms, &passed_ms))
			return 0;
	} else {
		int64_t passed_s;
		if (wall_s < waiting->since_wall_s ||
		    __builtin_sub_overflow(wall_s, waiting->since_wall_s, &passed_s) ||
		    __builtin_mul_overflow(passed_s, 1000, &passed_ms))
			return 0;
	}
	return passed_ms < whole_ms ? whole_ms - passed_ms : 0;
}

char *waiting_write(const struct waiting *waiting, size_t *ret_length)
{
	char *text = malloc(WAITING_TEXT_MAX);

	if (!text)
		return NULL;
	int body = snprintf(text, WAITING_TEXT_MAX, FIGURES, waiting->id, waiting->files, waiting->before,
			    waiting->since_ms, waiting->due_ms, waiting->since_wall_s, waiting->boot, waiting->by);
	snprintf(text + body, WAITING_TEXT_MAX - (size_t)body, END, hash_bytes(HASH_START, text, (size_t)body));
	*ret_length = (size_t)body + END_LENGTH;
	return text;
}

static int read_figures(struct waiting *waiting, const char *text)
{
	int end = 0;

	if (sscanf(text,
		   "spefw-waiting 1\n%" SCNu64 " %" SCNx64 " %" SCNx64 " %" SCNd64 " %" SCNd64 " %" SCNd64
		   "\nboot %63[^\n]\nby%n",
		   &waiting->id, &waiting->files, &waiting->before, &waiting->since_ms, &waiting->due_ms,
		   &waiting->since_wall_s, waiting->boot, &end) != 7 ||
	    !end || text[end] != ' ')
		return -EBADMSG;
	const char *by = text + end + 1;
	size_t length = strcspn(by, "\n");
	if (length >= sizeof(waiting->by) || waiting->id > INT64_MAX)
		return -EBADMSG;
	memcpy(waiting->by, by, length);
	return 0;
}

/* Only what would be written just so was written by us. */
int waiting_read(struct waiting *ret, const char *bytes, size_t length)
{
	char text[WAITING_TEXT_MAX], *again;
	size_t again_length = 0;

	*ret = (struct waiting){ 0 };
	if (length >= sizeof(text))
		return -EBADMSG;
	memcpy(text, bytes, length);
	text[length] = '\0';
	int r = read_figures(ret, text);
	if (r < 0)
		return r;
	again = waiting_write(ret, &again_length);
	if (!again)
		return -ENOMEM;
	r = again_length == length && memcmp(again, bytes, length) == 0 ? 0 : -EBADMSG;
	free(again);
	return r;
}
