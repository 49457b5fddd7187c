/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/kept.h"
#include "log.h"
#include "state_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_FILE "history"
#define WAITING_FILE "waiting"
#define FILES_PREFIX "configuration-"

enum { FILES_MAX = 256 * 1024 * 1024 /* bytes, of one configuration */, NAME_SIZE = 32 };

static const char *files_name(uint64_t files, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, FILES_PREFIX "%016" PRIx64, files);
	return name;
}

static void load_history(struct kept *kept)
{
	char *text;
	size_t length;

	int r = state_load(kept->state, HISTORY_FILE, HISTORY_TEXT_MAX, &text, &length);
	if (r == 0) {
		r = history_read(&kept->history, text, length);
		free(text);
	}
	kept->damaged = r < 0 && r != -ENOENT;
	if (kept->damaged)
		log_warning("the history of configurations in %s can't be read, it begins anew: %s", kept->state,
			    strerror(-r));
}

/* By its place in the history, it is known how far it came. */
static enum kept_stage stage_of(const struct history *history, const struct waiting *waiting)
{
	const struct history_entry *last = history_last(history);

	if (!last || last->id < waiting->id)
		return KEPT_ARMED;
	return last->id == waiting->id && last->files == waiting->files ? KEPT_WAITS : KEPT_OVER;
}

static void load_waiting(struct kept *kept)
{
	char *text;
	size_t length;

	int r = state_load(kept->state, WAITING_FILE, WAITING_TEXT_MAX, &text, &length);
	if (r == 0) {
		r = waiting_read(&kept->waiting, text, length);
		free(text);
	}
	if (r == 0)
		kept->stage = stage_of(&kept->history, &kept->waiting);
	kept->waiting_damaged = r < 0 && r != -ENOENT;
	if (!kept->waiting_damaged)
		return;
	log_error("whether a reload waits for confirm can't be read in %s: %s", kept->state, strerror(-r));
	kept_set_over(kept);
}

void kept_load(struct kept *ret, const char *state)
{
	*ret = (struct kept){ .state = state };
	load_history(ret);
	load_waiting(ret);
}

void kept_free(struct kept *kept)
{
	history_free(&kept->history);
	free(kept->unsaved);
	*kept = (struct kept){ .state = kept->state };
}

static uint64_t to_keep(const struct kept *kept)
{
	return kept->stage == KEPT_ARMED || kept->stage == KEPT_WAITS ? kept->waiting.before : 0;
}

static bool is_there(const struct kept *kept, uint64_t files, uint64_t bytes)
{
	char name[NAME_SIZE], path[PATH_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%s/%s", kept->state, files_name(files, name));
	return bytes && stat(path, &info) == 0 && (uint64_t)info.st_size == bytes;
}

static uint64_t kept_bytes(const struct kept *kept, uint64_t files)
{
	const struct history_entry *entry = history_find(&kept->history, files);

	if (entry)
		return entry->bytes;
	return kept->stage == KEPT_ARMED && kept->waiting.files == files ? kept->armed_bytes : 0;
}

bool kept_has(const struct kept *kept, uint64_t files)
{
	return is_there(kept, files, kept_bytes(kept, files));
}

static void forget_unsaved(struct kept *kept)
{
	free(kept->unsaved);
	kept->unsaved = NULL;
}

uint64_t kept_next_id(const struct kept *kept)
{
	uint64_t next = history_next_id(&kept->history);

	/* Also where what is on disk of one that waited could not be removed: no other entry may be taken for it. */
	return kept->stage != KEPT_NOTHING && kept->waiting.id >= next ? kept->waiting.id + 1 : next;
}

int kept_renew(struct kept *kept, uint64_t files, const struct archive *archive)
{
	size_t length = 0;
	char *packed = archive_pack(archive, &length);

	if (!packed)
		return -ENOMEM;
	forget_unsaved(kept);
	kept->unsaved = packed;
	kept->unsaved_length = length;
	kept->unsaved_files = files;
	return 0;
}

int kept_add(struct kept *kept, const struct history_entry *entry, const struct archive *archive)
{
	struct history_entry added = *entry;
	bool armed = kept->stage == KEPT_ARMED && kept->waiting.files == entry->files;
	bool there = kept_has(kept, entry->files);

	added.id = armed ? kept->waiting.id : kept_next_id(kept);
	added.bytes = there ? kept_bytes(kept, entry->files) : 0;
	int r = history_add(&kept->history, &added, to_keep(kept));
	if (r < 0)
		return r;
	if (armed)
		kept->stage = KEPT_WAITS;
	kept->changed = true;
	forget_unsaved(kept);
	return there || !archive ? 0 : kept_renew(kept, entry->files, archive);
}

static int save_files(struct kept *kept)
{
	char name[NAME_SIZE];

	if (!kept->unsaved)
		return 0;
	int r = kept->unsaved_length <= FILES_MAX ? state_save(kept->state, files_name(kept->unsaved_files, name),
							       kept->unsaved, kept->unsaved_length)
						  : -EFBIG;
	if (r < 0)
		return r;
	history_set_bytes(&kept->history, kept->unsaved_files, kept->unsaved_length);
	history_trim(&kept->history, to_keep(kept));
	forget_unsaved(kept);
	kept->changed = true;
	return 0;
}

static bool is_needed(const struct kept *kept, uint64_t files)
{
	bool waits = kept->stage == KEPT_ARMED || kept->stage == KEPT_WAITS;

	return history_find(&kept->history, files) ||
	       (waits && (kept->waiting.files == files || kept->waiting.before == files));
}

static bool is_files_name(const char *name, uint64_t *ret_files)
{
	int end = 0;

	return sscanf(name, FILES_PREFIX "%16" SCNx64 "%n", ret_files, &end) == 1 && end && !name[end];
}

/* What no entry names any more, and what was begun by a daemon that was killed. Where the history was damaged, nothing
 * goes before the next start. */
static void remove_unneeded(const struct kept *kept)
{
	DIR *directory = kept->damaged ? NULL : opendir(kept->state);
	uint64_t files;

	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory));) {
		const char *name = entry->d_name;
		bool begun = strncmp(name, "." FILES_PREFIX, strlen("." FILES_PREFIX)) == 0;
		if (begun || (is_files_name(name, &files) && !is_needed(kept, files)))
			unlinkat(dirfd(directory), name, 0);
	}
	closedir(directory);
}

bool kept_newest(const struct kept *kept, int64_t *written_ns, uint64_t *ret_files)
{
	DIR *directory = opendir(kept->state);
	int64_t newest_ns = INT64_MIN;
	struct stat info;
	uint64_t files;

	if (!directory)
		return false;
	for (struct dirent *entry; (entry = readdir(directory));) {
		if (!is_files_name(entry->d_name, &files) || fstatat(dirfd(directory), entry->d_name, &info, 0) < 0)
			continue;
		int64_t ns = info.st_mtim.tv_sec * INT64_C(1000000000) + info.st_mtim.tv_nsec;
		if (ns >= *written_ns || ns <= newest_ns)
			continue;
		newest_ns = ns;
		*ret_files = files;
	}
	closedir(directory);
	*written_ns = newest_ns;
	return newest_ns != INT64_MIN;
}

static int save_history(struct kept *kept)
{
	size_t length;

	if (!kept->changed)
		return 0;
	char *text = history_write(&kept->history, &length);
	int r = text ? state_save(kept->state, HISTORY_FILE, text, length) : -ENOMEM;
	free(text);
	if (r < 0)
		return r;
	kept->changed = false;
	remove_unneeded(kept);
	return 0;
}

static int save_all(struct kept *kept)
{
	int r = save_files(kept), history = save_history(kept);

	if (r == 0)
		r = history;
	if (history == 0 && kept->stage == KEPT_OVER)
		return kept_disarm(kept) < 0 ? -EIO : r;
	return r;
}

void kept_save(struct kept *kept)
{
	int r = save_all(kept);

	if (r < 0 && !kept->save_error)
		log_error("can't keep the configuration in %s, which is tried again: %s", kept->state, strerror(-r));
	kept->save_error = r;
}

int kept_read(const struct kept *kept, uint64_t files, struct archive *ret)
{
	char name[NAME_SIZE], *bytes;
	size_t length;

	if (kept->unsaved && kept->unsaved_files == files)
		return archive_unpack(ret, kept->unsaved, kept->unsaved_length);
	int r = state_load(kept->state, files_name(files, name), FILES_MAX, &bytes, &length);
	if (r < 0)
		return r;
	r = archive_unpack(ret, bytes, length);
	free(bytes);
	return r;
}

int kept_check(const struct kept *kept, uint64_t files)
{
	struct archive archive = { 0 };
	int r = kept_read(kept, files, &archive);

	archive_free(&archive);
	return r;
}

int kept_open(const struct kept *kept, uint64_t files)
{
	char name[NAME_SIZE], path[PATH_MAX];

	if (!kept_has(kept, files))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/%s", kept->state, files_name(files, name));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int save_waiting(const struct kept *kept, const struct waiting *waiting)
{
	size_t length;
	char *text = waiting_write(waiting, &length);

	int r = text ? state_save(kept->state, WAITING_FILE, text, length) : -ENOMEM;
	free(text);
	return r;
}

int kept_arm(struct kept *kept, const struct waiting *waiting, const struct archive *archive)
{
	char name[NAME_SIZE], *packed = NULL;
	size_t length = 0;
	int r = 0;

	if (!kept_has(kept, waiting->files)) {
		packed = archive_pack(archive, &length);
		r = !packed               ? -ENOMEM
		    : length <= FILES_MAX ? state_save(kept->state, files_name(waiting->files, name), packed, length)
					  : -EFBIG;
		free(packed);
	}
	if (r == 0)
		r = save_waiting(kept, waiting);
	if (r < 0) {
		state_remove(kept->state, WAITING_FILE);
		return r;
	}
	kept->waiting = *waiting;
	kept->stage = KEPT_ARMED;
	kept->armed_bytes = length;
	return 0;
}

int kept_disarm(struct kept *kept)
{
	int r = kept->stage == KEPT_NOTHING ? 0 : state_remove(kept->state, WAITING_FILE);

	if (r == 0)
		kept->stage = KEPT_NOTHING;
	return r;
}

void kept_set_over(struct kept *kept)
{
	kept->stage = KEPT_OVER;
	kept->changed = true;
}

void kept_restart_clock(struct kept *kept, const char *boot, int64_t left_ms, int64_t now_ms, int64_t wall_s)
{
	struct waiting *waiting = &kept->waiting;

	if (strcmp(waiting->boot, boot) == 0)
		return;
	snprintf(waiting->boot, sizeof(waiting->boot), "%s", boot);
	waiting->since_ms = now_ms;
	waiting->due_ms = now_ms + left_ms;
	waiting->since_wall_s = wall_s;
	int r = save_waiting(kept, waiting);
	if (r < 0)
		log_warning("until when a reload waits for confirm can't be saved in %s: %s", kept->state,
			    strerror(-r));
}
