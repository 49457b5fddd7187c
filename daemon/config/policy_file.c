/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_file.h"
#include "config/ini.h"
#include "core/array.h"
#include "core/hash.h"
#include "core/policy_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
	struct policy_file *file;
	const struct policy_source *source;
};

static int read_archived(const struct archive *archive, const char *path, char **ret_bytes, size_t *ret_length)
{
	const struct archived *found = archive_find(archive, path);

	if (!found)
		return -ENOENT;
	*ret_bytes = malloc(found->length + 1);
	if (!*ret_bytes)
		return -ENOMEM;
	memcpy(*ret_bytes, found->bytes, found->length + 1);
	*ret_length = found->length;
	return 0;
}

/* error: what reading it came to. */
static int note_source(struct policy_file *file, const char *path, const char *bytes, size_t length, int error)
{
	struct source_file source = { .path = strdup(path),
				      .hash = hash_bytes(HASH_START, bytes, length),
				      .error = error };

	if (source.path && ARRAY_PUSH(&file->sources, source) == 0)
		return 0;
	free(source.path);
	return -ENOMEM;
}

/* Reads, and remembers what was read. */
static int read_and_note(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	struct reading *reading = userdata;
	const struct policy_source *source = reading->source;

	bool drafted = source->draft && strcmp(path, reading->file->path) == 0;
	int r = source->archive ? read_archived(source->archive, path, ret_bytes, ret_length)
				: config_read_disk(NULL, drafted ? source->draft : path, ret_bytes, ret_length);
	if (r < 0)
		return note_source(reading->file, path, "", 0, r) < 0 ? -ENOMEM : r;
	r = note_source(reading->file, path, *ret_bytes, *ret_length, 0);
	if (r == 0 && source->copy)
		r = archive_add(source->copy, path, *ret_bytes, *ret_length);
	if (r < 0)
		free(*ret_bytes);
	return r;
}

static void refuse_own_address(const struct config *config, const struct policy *policy, const struct ranges *gateway,
			       struct diags *diags)
{
	const struct addr *own = policy_own_address(policy, gateway);
	char text[ADDR_TEXT_MAX];

	if (own)
		diag_error(diags, config->path, config->server.line,
			   "%s is this gateway's own address: guarding it would lock the gateway: name the server's "
			   "alone",
			   addr_format(own, text));
}

/* missing: that is to be told as well. */
static void check_program(const struct config *config, bool missing, struct diags *diags)
{
	struct stat info;

	if (!*config->notify)
		return;
	if (stat(config->notify, &info) == 0 && !S_ISREG(info.st_mode))
		diag_error(diags, config->path, config->notify_line, "%s is no file: write the path of a program",
			   config->notify);
	else if (missing && access(config->notify, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
		diag_warning(diags, config->path, config->notify_line,
			     "%s is missing: changes of health are not reported until it is there", config->notify);
}

int policy_file_load(struct policy_file *ret, const char *path, const struct policy_source *source, struct diags *diags)
{
	struct reading reading = { .file = ret, .source = source };
	struct config config;

	*ret = (struct policy_file){ .path = strdup(path) };
	if (!ret->path)
		return -ENOMEM;
	int r = config_load(&config, path, read_and_note, &reading, diags);
	if (r < 0 && r != -ENOMEM)
		r = -EINVAL; /* the reason is in diags */
	if (r == 0)
		r = policy_from_config(&ret->policy, &config, diags);
	if (r == 0 && source->gateway)
		refuse_own_address(&config, &ret->policy, source->gateway, diags);
	if (r == 0 && !source->archive)
		check_program(&config, source->programs, diags);
	if (r == 0 && diags_failed(diags))
		r = -EINVAL;
	if (r == 0)
		ret->loaded_at = time(NULL);
	config_free(&config);
	diags_sort(diags);
	if (r == -EINVAL && source->refused) {
		policy_free(&ret->policy);
		*source->refused = *ret;
		*ret = (struct policy_file){ 0 };
	}
	if (r < 0)
		policy_file_free(ret);
	return r;
}

bool policy_file_same_servers(const struct policy_file *a, const struct policy_file *b)
{
	return policy_same_value(&a->policy, &b->policy, CONFIG_DNS, "servers");
}

static bool is_unchanged(const struct source_file *source)
{
	char *bytes;
	size_t length;

	int r = config_read_disk(NULL, source->path, &bytes, &length);
	if (r < 0)
		return r == source->error;
	bool same = !source->error && hash_bytes(HASH_START, bytes, length) == source->hash;
	free(bytes);
	return same;
}

bool policy_file_unchanged(const struct policy_file *file)
{
	for (size_t i = 0; i < file->sources.count; i++)
		if (!is_unchanged(&file->sources.items[i]))
			return false;
	return true;
}

static bool is_missing(const struct source_file *source)
{
	return access(source->path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

const char *policy_file_missing(const struct policy_file *file)
{
	for (size_t i = 0; i < file->sources.count; i++) {
		if (is_missing(&file->sources.items[i]))
			return file->sources.items[i].path;
		if (i == 0 && !is_unchanged(&file->sources.items[i]))
			return NULL;
	}
	return NULL;
}

uint64_t policy_file_hash(const struct policy_file *file)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < file->sources.count; i++) {
		const struct source_file *source = &file->sources.items[i];
		hash = hash_bytes(hash, source->path, strlen(source->path) + 1);
		hash = hash_bytes(hash, &source->hash, sizeof(source->hash));
	}
	return hash;
}

void policy_file_free(struct policy_file *file)
{
	for (size_t i = 0; i < file->sources.count; i++)
		free(file->sources.items[i].path);
	free(file->sources.items);
	policy_free(&file->policy);
	free(file->path);
	*file = (struct policy_file){ 0 };
}
