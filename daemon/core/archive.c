/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive.h"
#include "array.h"
#include "hash.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A header, then for each file a line "LENGTH HASH PATH", its bytes, and a newline; then a line with how many. */
#define HEADER "spefw-archive 1\n"
#define END "end "
#define LINE "%zu %016" PRIx64 " %s\n"

uint64_t archive_hash_start(const char *path)
{
	return hash_bytes(HASH_START, path, strlen(path));
}

static uint64_t hash_of(const char *path, const char *bytes, size_t length)
{
	return hash_bytes(archive_hash_start(path), bytes, length);
}

int archive_add(struct archive *archive, const char *path, const char *bytes, size_t length)
{
	struct archived file = { .path = strdup(path), .bytes = malloc(length + 1), .length = length };

	if (!file.path || !file.bytes || ARRAY_PUSH(archive, file) < 0) {
		free(file.path);
		free(file.bytes);
		return -ENOMEM;
	}
	memcpy(file.bytes, bytes, length);
	file.bytes[length] = '\0';
	return 0;
}

const struct archived *archive_find(const struct archive *archive, const char *path)
{
	for (size_t i = 0; i < archive->count; i++)
		if (strcmp(archive->items[i].path, path) == 0)
			return &archive->items[i];
	return NULL;
}

char *archive_pack(const struct archive *archive, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	if (!out)
		return NULL;
	fputs(HEADER, out);
	for (size_t i = 0; i < archive->count; i++) {
		const struct archived *file = &archive->items[i];
		fprintf(out, LINE, file->length, hash_of(file->path, file->bytes, file->length), file->path);
		fwrite(file->bytes, 1, file->length, out);
		putc('\n', out);
	}
	fprintf(out, END "%zu\n", archive->count);
	return lines_end(out, &text);
}

static int unpack_one(struct archive *archive, const char **at, size_t *left)
{
	const char *end = memchr(*at, '\n', *left < ARCHIVE_LINE_MAX ? *left : ARCHIVE_LINE_MAX);
	char line[ARCHIVE_LINE_MAX + 2], again[ARCHIVE_LINE_MAX + 64];
	size_t length, path_at = 0;
	uint64_t hash;

	if (!end)
		return -EBADMSG;
	size_t line_length = (size_t)(end - *at) + 1;
	memcpy(line, *at, line_length);
	line[line_length] = '\0';
	int words = sscanf(line, "%zu %" SCNx64 " %zn", &length, &hash, &path_at);
	*at += line_length;
	*left -= line_length;
	if (words != 2 || !path_at || *left < 1 || length > *left - 1 || (*at)[length] != '\n')
		return -EBADMSG;
	/* Only what would be written just so was written by us. */
	line[strcspn(line, "\n")] = '\0';
	int again_length =
		snprintf(again, sizeof(again), LINE, length, hash_of(line + path_at, *at, length), line + path_at);
	if ((size_t)again_length != line_length || memcmp(again, *at - line_length, line_length) != 0)
		return -EBADMSG;
	int r = archive_add(archive, line + path_at, *at, length);
	*at += length + 1;
	*left -= length + 1;
	return r;
}

static bool is_end(const char *bytes, size_t length, size_t count)
{
	char line[32];
	int expected = snprintf(line, sizeof(line), END "%zu\n", count);
	return length == (size_t)expected && memcmp(bytes, line, length) == 0;
}

int archive_unpack(struct archive *ret, const char *bytes, size_t length)
{
	size_t header = strlen(HEADER);
	int r = length > header && memcmp(bytes, HEADER, header) == 0 ? 0 : -EBADMSG;

	*ret = (struct archive){ 0 };
	if (r == 0) {
		bytes += header;
		length -= header;
	}
	while (r == 0 && !is_end(bytes, length, ret->count))
		r = unpack_one(ret, &bytes, &length);
	if (r < 0)
		archive_free(ret);
	return r;
}

bool archive_is_header(const char *line)
{
	return strlen(line) + 1 == strlen(HEADER) && strncmp(line, HEADER, strlen(line)) == 0;
}

int archive_parse_line(const char *line, size_t count, struct archive_line *ret)
{
	char end[32];
	int path_at = 0;

	snprintf(end, sizeof(end), END "%zu", count);
	if (strcmp(line, end) == 0)
		return 0;
	if (sscanf(line, "%zu %" SCNx64 " %n", &ret->length, &ret->hash, &path_at) != 2 || !path_at || !line[path_at])
		return -EBADMSG;
	ret->path = line + path_at;
	return 1;
}

void archive_free(struct archive *archive)
{
	for (size_t i = 0; i < archive->count; i++) {
		free(archive->items[i].path);
		free(archive->items[i].bytes);
	}
	free(archive->items);
	*archive = (struct archive){ 0 };
}
