/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"
#include "core/base64.h"
#include "control/wire.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* reload, rollback, config. */

enum { DAY_S = 24 * 60 * 60, NAME_SIZE = 128 };

/* "90s", "10m". False: it is no such time, which is reported. */
static bool read_time(const struct ctl *ctl, const char *text, json_int_t *ret)
{
	static const struct {
		char unit;
		long seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 60L * 60 }, { 'd', DAY_S } };
	char *end;

	long number = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
	for (size_t i = 0; number > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (end[0] != units[i].unit || end[1] || number > DAY_S / units[i].seconds)
			continue;
		*ret = number * units[i].seconds;
		return true;
	}
	ctl_error(ctl, "--confirm=%s: write a number and s, m, h or d, from 1s to 1d", text);
	return false;
}

json_t *ctl_confirm(const struct ctl *ctl, json_t *parameters, bool always)
{
	const char *given = ctl->values[OPTION_CONFIRM];
	json_int_t seconds;

	if (!given && !always)
		return parameters;
	if (!read_time(ctl, given && *given ? given : option_kinds[OPTION_CONFIRM].usual, &seconds)) {
		json_decref(parameters);
		return NULL;
	}
	json_object_set_new(parameters, "confirm_s", json_integer(seconds));
	return parameters;
}

static int change(struct ctl *ctl, json_t *parameters)
{
	json_t *reply = NULL;

	parameters = ctl_confirm(ctl, parameters, false);
	if (!parameters)
		return EXIT_USAGE;
	int status = ctl_need(ctl, parameters, &reply);
	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}

int verb_reload(struct ctl *ctl)
{
	return change(ctl, json_object());
}

int verb_rollback(struct ctl *ctl)
{
	const char *text = ctl->argument_count ? ctl->arguments[0] : NULL;
	char *end = NULL;

	if (!text)
		return change(ctl, json_object());
	long number = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
	if (!end || *end || number < 1 || number > INT_MAX) {
		ctl_error(ctl, "%s is no number of an earlier configuration: see spefwctl history", text);
		return EXIT_USAGE;
	}
	return change(ctl, json_pack("{s:I}", "number", (json_int_t)number));
}

char *json_bytes_of(const json_t *file, size_t *ret_length)
{
	const json_t *text = json_object_get(file, "text"), *encoded = json_object_get(file, "base64");

	if (json_is_string(encoded))
		return base64_decode(json_string_value(encoded), ret_length);
	if (!json_is_string(text))
		return NULL;
	char *bytes = malloc(json_string_length(text) + 1);
	*ret_length = json_string_length(text);
	if (bytes)
		memcpy(bytes, json_string_value(text), *ret_length + 1);
	return bytes;
}

struct bytes {
	char *items;
	size_t count;
};

static int add_bytes(struct bytes *all, const json_t *piece)
{
	size_t length = 0;
	char *bytes = json_bytes_of(piece, &length);
	char *grown = bytes ? realloc(all->items, all->count + length + 1) : NULL;

	if (!grown) {
		free(bytes);
		return -ENOMEM;
	}
	memcpy(grown + all->count, bytes, length + 1);
	all->items = grown;
	all->count += length;
	free(bytes);
	return 0;
}

/* {"path", "text" or "base64"}; NULL without memory. */
static json_t *whole_file(const char *path, const struct bytes *all)
{
	json_t *text = json_stringn(all->items, all->count);
	char *encoded = text ? NULL : base64_encode(all->items, all->count);
	json_t *file = json_pack("{s:s, s:o}", "path", path, text ? "text" : "base64",
				 text ? text : json_string(encoded ? encoded : ""));

	free(encoded);
	return file;
}

static bool has_path(const json_t *files, const char *path)
{
	for (size_t i = 0; i < json_array_size(files); i++)
		if (strcmp(json_text_of(json_array_get(files, i), "path"), path) == 0)
			return true;
	return false;
}

json_t *config_of_pieces(const json_t *pieces)
{
	json_t *files = json_array();
	struct bytes all = { 0 };
	size_t count = json_array_size(pieces);
	int r = count ? 0 : -EBADMSG;

	for (size_t i = 0; i < count && r == 0; i++) {
		const json_t *piece = json_array_get(pieces, i), *next = json_array_get(pieces, i + 1);
		const char *path = json_text_of(piece, "path");
		r = add_bytes(&all, piece);
		if (r < 0 || (next && json_number_of(next, "file") == json_number_of(piece, "file")))
			continue;
		if (!has_path(files, path))
			r = json_array_append_new(files, whole_file(path, &all)) < 0 ? -ENOMEM : 0;
		free(all.items);
		all = (struct bytes){ 0 };
	}
	free(all.items);
	if (r < 0) {
		json_decref(files);
		return NULL;
	}
	return json_pack("{s:I, s:o}", "generation", json_number_of(json_array_get(pieces, 0), "generation"), "files",
			 files);
}

/* The last part of a path, which came from elsewhere, as a name in the directory: plain characters alone. */
static void plain_name(const char *path, char name[NAME_SIZE])
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	size_t i = 0;

	for (; last[i] && i < NAME_SIZE - 8; i++)
		name[i] = isalnum((unsigned char)last[i]) || strchr("-_", last[i]) || (i && last[i] == '.') ? last[i]
													    : '_';
	if (!i)
		name[i++] = '_';
	name[i] = '\0';
}

static bool is_used(const json_t *written, const char *directory, const char *name)
{
	char *path = NULL;
	bool used = false;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return false;
	for (size_t i = 0; i < json_array_size(written); i++)
		used |= strcmp(json_text(json_array_get(written, i)), path) == 0;
	free(path);
	return used;
}

static int write_bytes(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t n = write(fd, bytes, length);
		if (n < 0 && errno != EINTR)
			return -errno;
		bytes += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Never through a link, nor over a file. 0 or a negative errno. */
static int write_file(int directory, const char *name, const json_t *file)
{
	size_t length = 0;
	char *bytes = json_bytes_of(file, &length);
	int fd = bytes ? openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644) : -1;
	int r = !bytes ? -ENOMEM : fd < 0 ? -errno : write_bytes(fd, bytes, length);

	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	free(bytes);
	return r;
}

/* Names that are the same by now get a number. */
static int write_one(int directory_fd, const char *directory, const json_t *file, json_t *written)
{
	char name[NAME_SIZE];
	char *path = NULL;

	plain_name(json_text_of(file, "path"), name);
	size_t length = strlen(name);
	for (unsigned number = 2; is_used(written, directory, name) && number < 10000; number++)
		snprintf(name + length, NAME_SIZE - length, ".%u", number);
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return -ENOMEM;
	int r = json_array_append_new(written, json_printable(path)) < 0 ? -ENOMEM
									 : write_file(directory_fd, name, file);
	free(path);
	return r;
}

static int write_files(struct ctl *ctl, const char *directory, const json_t *files)
{
	json_t *written = json_array();
	int r = mkdir(directory, 0755) < 0 && errno != EEXIST ? -errno : 0;
	int fd = r == 0 ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (r == 0 && fd < 0)
		r = -errno;
	for (size_t i = 0; r == 0 && i < json_array_size(files); i++)
		r = write_one(fd, directory, json_array_get(files, i), written);
	size_t count = json_array_size(written);
	const char *last = count ? json_text(json_array_get(written, count - 1)) : directory;
	if (r == -EEXIST)
		ctl_error(ctl, "%s is there already: choose another directory", last);
	else if (r < 0)
		ctl_error(ctl, "can't write %s: %s", last, strerror(-r));
	if (fd >= 0)
		close(fd);
	json_t *reply = json_pack("{s:o}", "written", written);
	if (r == 0)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return r == 0 ? EXIT_DONE : EXIT_FAILED;
}

int verb_config(struct ctl *ctl)
{
	const char *directory = ctl->values[OPTION_FILES];
	json_t *pieces = NULL;

	int status = ctl_collect(ctl, ctl->verb->method, NULL, &pieces);
	if (status != EXIT_DONE)
		return status;
	json_t *whole = config_of_pieces(pieces);
	json_decref(pieces);
	if (!whole) {
		ctl_error(ctl, "the reply of spefwd is not whole: try again, or see journalctl -u spefwd");
		return EXIT_FAILED;
	}
	if (directory)
		status = write_files(ctl, directory, json_object_get(whole, "files"));
	else
		ctl->output->reply(ctl, whole);
	json_decref(whole);
	return status;
}
