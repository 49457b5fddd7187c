/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gw_fixture.h"

#include <dirent.h>
#include <unistd.h>

enum { REASONS_ROOM = 16 * 1024 };

char directory[64];
static char hidden_directory[80];
bool memstream_fails;

void directory_new(void)
{
	snprintf(directory, sizeof(directory), "/tmp/spefw-object-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(hidden_directory, sizeof(hidden_directory), "%s.hidden", directory);
}

const char *directory_path(const char *name)
{
	static char paths[8][sizeof(directory) + 256];
	static size_t next;
	char *path = paths[next++ % COUNT_OF(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

void directory_remove(void)
{
	DIR *listing = opendir(directory);
	struct dirent *entry;

	assert_non_null(listing);
	while ((entry = readdir(listing)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			assert_int_equal(remove(directory_path(entry->d_name)), 0);
	closedir(listing);
	assert_int_equal(rmdir(directory), 0);
}

void directory_write(const char *name, const char *text)
{
	FILE *file = fopen(directory_path(name), "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

char *directory_read(const char *name)
{
	FILE *file = fopen(directory_path(name), "re");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	assert_non_null(text);
	return text;
}

void directory_hide(bool hidden)
{
	assert_int_equal(rename(hidden ? directory : hidden_directory, hidden ? hidden_directory : directory), 0);
}

FILE *__real_open_memstream(char **ret_text, size_t *ret_length);
FILE *__wrap_open_memstream(char **ret_text, size_t *ret_length);

FILE *__wrap_open_memstream(char **ret_text, size_t *ret_length)
{
	return memstream_fails ? NULL : __real_open_memstream(ret_text, ret_length);
}

static const char *listed(struct health *health, bool remedies)
{
	static char text[REASONS_ROOM];
	size_t length = 0;

	text[0] = '\0';
	assert_false(health->out_of_memory);
	for (size_t i = 0; i < health->reasons.count; i++) {
		const struct health_reason *reason = &health->reasons.items[i];
		const char *said = remedies ? reason->remedy : reason->text;
		if (said)
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s: %s\n",
						   health_kinds[reason->code].name, said);
		assert_true(length < sizeof(text));
	}
	health_free(health);
	return text;
}

const char *reasons_text(struct health *health)
{
	return listed(health, false);
}

const char *remedies_text(struct health *health)
{
	return listed(health, true);
}
