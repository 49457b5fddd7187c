/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes are an INI file; the files that it may name are fixed and small. */
#include "config/ini.h"
#include "core/printable.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct input {
	const uint8_t *bytes;
	size_t length;
};

int fuzz_one(const uint8_t *bytes, size_t length);

static int give(const void *bytes, size_t length, char **ret_bytes, size_t *ret_length)
{
	char *copy = malloc(length ? length : 1);

	if (!copy)
		return -ENOMEM;
	if (length)
		memcpy(copy, bytes, length);
	*ret_bytes = copy;
	*ret_length = length;
	return 0;
}

static int read_fake(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	static const struct {
		const char *path, *text;
	} files[] = {
		{ "/f/a", "# admins\n192.0.2.0/28 # floor\r\n2001:db8::/64\nadmin.example.net\nADM\nany\n" },
		{ "/f/b", "192.0.2.1/24\nfile:a\nfoo\n*.example.com\na b\n192.0.2.9-192.0.2.1" },
		{ "/f/c", "192.0.2.1\n\x01" },
		{ "/f/d", "\xef\xbb\xbf" },
	};
	const struct input *input = userdata;

	if (strcmp(path, "/f/fuzz.ini") == 0)
		return give(input->bytes, input->length, ret_bytes, ret_length);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(path, files[i].path) == 0)
			return give(files[i].text, strlen(files[i].text), ret_bytes, ret_length);
	return -ENOENT;
}

static void require(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz_config: %s\n", what);
		abort();
	}
}

static void check_members(const struct config *config, const struct members *members)
{
	char text[RANGE_TEXT_MAX];
	struct range again;

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->items[i];

		require(member->file && member->line > 0, "a member without a place");
		require(strcmp(member->file, config->path) == 0 || strncmp(member->file, "/f/", 3) == 0,
			"a member from nowhere");
		if (member->kind == MEMBER_RANGE) {
			require(addr_compare(&member->range.first, &member->range.last) <= 0, "a reversed range");
			require(range_parse(range_format(&member->range, text), &again) == RANGE_OK,
				"a range that can't be read again");
		} else if (member->kind == MEMBER_NAME) {
			require(strlen(member->text) <= CONFIG_NAME_MAX && strchr(member->text, '.'), "a wrong name");
			require(strspn(member->text, "abcdefghijklmnopqrstuvwxyz0123456789-_.*") ==
					strlen(member->text),
				"a wrong letter in a name");
		} else if (member->kind == MEMBER_ROLE) {
			require(strlen(member->text) > 0 && strlen(member->text) <= CONFIG_ID_MAX, "a wrong role");
		}
	}
}

static void check_comment(const char *comment)
{
	char printable[CONFIG_COMMENT_MAX + 1];

	require(memchr(comment, '\0', sizeof(printable)), "an endless comment");
	strcpy(printable, comment);
	make_printable(printable);
	require(strcmp(printable, comment) == 0, "a comment that can't be printed");
}

/* What the other rooms rely on, whatever was written. */
static void check_config(const struct config *config)
{
	require(config->server.count > 0, "no server");
	require(config->min_interval_ms <= config->max_interval_ms, "intervals");
	check_members(config, &config->server);
	check_members(config, &config->resolvers);
	check_members(config, &config->time_servers);
	check_members(config, &config->nat_except);
	check_members(config, &config->reject);
	for (size_t i = 0; i < config->role_count; i++) {
		require(config->roles[i].name[0] && config->roles[i].line, "a role without a name");
		check_members(config, &config->roles[i].members);
	}
	for (size_t i = 0; i < config->flow_count; i++) {
		const struct ports *ports = &config->flows[i].ports;

		require(config->flows[i].id[0] && config->flows[i].line, "a flow without a name");
		check_comment(config->flows[i].settings.comment);
		check_members(config, &config->flows[i].from);
		check_members(config, &config->flows[i].to);
		for (size_t j = 0; j < ports->count; j++)
			require(ports->items[j].first > 0 && ports->items[j].first <= ports->items[j].last,
				"wrong ports");
	}
}

int fuzz_one(const uint8_t *bytes, size_t length)
{
	struct input input = { bytes, length };
	struct diags diags = { 0 };
	struct config config;
	unsigned lines = 1;

	for (size_t i = 0; i < length; i++)
		lines += bytes[i] == '\n';
	require(config_load(&config, "/f/fuzz.ini", read_fake, &input, &diags) == 0, "not read");
	for (size_t i = 0; i < diags.count; i++) {
		char *text = diag_format(&diags.items[i]);

		require(text && strchr(text, ':'), "a complaint without a text");
		require(!diags.items[i].file || strcmp(diags.items[i].file, config.path) != 0 ||
				diags.items[i].line <= lines,
			"a complaint about a line that is not there");
		free(text);
	}
	if (!diags_failed(&diags))
		check_config(&config);
	config_free(&config);
	diags_free(&diags);
	return 0;
}
