/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/generation.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_FILE "generation"

enum { TEXT_MAX = 64 };

static int read_text(const char *text, struct generation *ret)
{
	uint64_t number, files;
	int end = 0;

	if (sscanf(text, "%" SCNu64 " %" SCNx64 "%n", &number, &files, &end) != 2 || strcmp(text + end, "\n") != 0 ||
	    number > INT64_MAX / 2)
		return -EBADMSG;
	ret->number = number;
	ret->files = files;
	return 0;
}

struct generation generation_load(const char *state)
{
	struct generation generation = { .state = state };
	char *text;
	size_t length;

	int r = state_load(state, GENERATION_FILE, TEXT_MAX, &text, &length);
	if (r == 0) {
		r = read_text(text, &generation);
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("the generation in %s can't be read, it begins at 1: %s", state, strerror(-r));
	return generation;
}

void generation_set(struct generation *generation, uint64_t files, bool moved)
{
	if (!moved && files == generation->files)
		return;
	generation->number += moved;
	generation->files = files;
	generation->unsaved = true;
}

void generation_save(struct generation *generation)
{
	char text[TEXT_MAX];

	if (!generation->unsaved)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " %016" PRIx64 "\n", generation->number, generation->files);
	int r = state_save(generation->state, GENERATION_FILE, text, strlen(text));
	if (r < 0 && !generation->save_failed)
		log_error("can't save the generation in %s, which is tried again: %s", generation->state, strerror(-r));
	generation->save_failed = r < 0;
	generation->unsaved = r < 0;
}
