/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hash.h"
#include "history.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A header; for each entry its figures, who asked, and what changed, a line each; a line for each of the files that
 * were taken back; and a checksum of all that. */
#define HEADER "spefw-history 1\n"
#define ENTRY "entry %" PRIu64 " %" PRIu64 " %016" PRIx64 " %" PRIu64 " %" PRId64 " %s %" PRIu64 "\n"
#define BY "by "
#define CHANGE "change "
#define BACK "back %016" PRIx64 " %s\n"
#define END "end %016" PRIx64 "\n"

enum { LINE_SIZE = HISTORY_LINE_MAX + 64, END_LENGTH = sizeof("end 0123456789abcdef\n") - 1, WORD_SIZE = 16 };

static void write_entry(FILE *out, const struct history_entry *entry)
{
	fprintf(out, ENTRY BY "%s\n", entry->id, entry->generation, entry->files, entry->bytes, entry->wall_s,
		history_how_words[entry->how], entry->count, entry->by);
	for (size_t i = 0; i < entry->shown; i++)
		fprintf(out, CHANGE "%s\n", entry->lines[i]);
}

static char *write_body(const struct history *history, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	if (!out)
		return NULL;
	fputs(HEADER, out);
	for (size_t i = 0; i < history->count; i++)
		write_entry(out, &history->entries[i]);
	for (size_t i = 0; i < history->taken_back_count; i++)
		fprintf(out, BACK, history->taken_back[i].files, history_why_words[history->taken_back[i].why]);
	/* Room for the end. */
	fprintf(out, END, UINT64_C(0));
	return lines_end(out, &text);
}

char *history_write(const struct history *history, size_t *ret_length)
{
	char *text = write_body(history, ret_length);

	if (!text)
		return NULL;
	size_t body = *ret_length - END_LENGTH;
	snprintf(text + body, END_LENGTH + 1, END, hash_bytes(HASH_START, text, body));
	return text;
}

static int find_word(const char *word, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

static int read_entry(struct history *history, const char *line)
{
	struct history_entry entry = { 0 };
	char how[WORD_SIZE];

	if (history->count == HISTORY_ENTRIES_MAX ||
	    sscanf(line, "entry %" SCNu64 " %" SCNu64 " %" SCNx64 " %" SCNu64 " %" SCNd64 " %15s %" SCNu64, &entry.id,
		   &entry.generation, &entry.files, &entry.bytes, &entry.wall_s, how, &entry.count) != 7)
		return -EBADMSG;
	int word = find_word(how, history_how_words, HISTORY_HOWS);
	if (word < 0 || !entry.id || entry.id > INT64_MAX || entry.id < history_next_id(history) ||
	    entry.generation > INT64_MAX || entry.count > INT64_MAX || entry.bytes > INT64_MAX)
		return -EBADMSG;
	entry.how = (enum history_how)word;
	history->entries[history->count++] = entry;
	return 0;
}

static int read_change(struct history *history, const char *text)
{
	struct history_entry *entry = history->count ? &history->entries[history->count - 1] : NULL;

	if (!entry || entry->shown == HISTORY_LINES_MAX || strlen(text) > HISTORY_LINE_MAX)
		return -EBADMSG;
	entry->lines[entry->shown] = strdup(text);
	if (!entry->lines[entry->shown])
		return -ENOMEM;
	entry->shown++;
	return 0;
}

static int read_by(struct history *history, const char *text)
{
	if (!history->count || strlen(text) >= HISTORY_BY_MAX)
		return -EBADMSG;
	strcpy(history->entries[history->count - 1].by, text);
	return 0;
}

static int read_back(struct history *history, const char *line)
{
	char why[WORD_SIZE];
	uint64_t files;

	if (history->taken_back_count == HISTORY_TAKEN_BACK_MAX ||
	    sscanf(line, "back %" SCNx64 " %15s", &files, why) != 2)
		return -EBADMSG;
	int word = find_word(why, history_why_words, HISTORY_WHYS);
	if (word <= HISTORY_NOT_TAKEN_BACK || !history_take_back(history, files, (enum history_why)word))
		return -EBADMSG;
	return 0;
}

static int read_line(struct history *history, const char *line)
{
	if (strncmp(line, "entry ", strlen("entry ")) == 0)
		return read_entry(history, line);
	if (strncmp(line, BY, strlen(BY)) == 0)
		return read_by(history, line + strlen(BY));
	if (strncmp(line, CHANGE, strlen(CHANGE)) == 0)
		return read_change(history, line + strlen(CHANGE));
	return read_back(history, line);
}

/* text ends in the line with the checksum. */
static int read_lines(struct history *history, const char *text, const char *end)
{
	char line[LINE_SIZE];
	int r = 0;

	while (r == 0 && text < end) {
		text = lines_next(text, line, sizeof(line));
		r = read_line(history, line);
	}
	return r;
}

/* Only what would be written just so was written by us. */
static int compare(const struct history *history, const char *bytes, size_t length)
{
	size_t again_length;
	char *again = history_write(history, &again_length);

	if (!again)
		return -ENOMEM;
	int r = again_length == length && memcmp(again, bytes, length) == 0 ? 0 : -EBADMSG;
	free(again);
	return r;
}

int history_read(struct history *ret, const char *bytes, size_t length)
{
	size_t header = strlen(HEADER);

	*ret = (struct history){ 0 };
	if (length < header + END_LENGTH || length > HISTORY_TEXT_MAX || memcmp(bytes, HEADER, header) != 0 ||
	    memchr(bytes, '\0', length))
		return -EBADMSG;
	char *text = malloc(length + 1);
	if (text) {
		memcpy(text, bytes, length);
		text[length] = '\0';
	}
	int r = text ? read_lines(ret, text + header, text + length - END_LENGTH) : -ENOMEM;
	free(text);
	if (r == 0)
		r = compare(ret, bytes, length);
	if (r < 0)
		history_free(ret);
	return r;
}
