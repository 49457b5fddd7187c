/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/parts.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is asked of the gateway, and the journal's line of who asked for it. */

enum { LINE_ROOM = 1500 }; /* bytes of a line about what changed: the journal's own have some more */

void changes_add(struct changes *changes, const char *line)
{
	if (changes->count < CHANGES_SHOWN)
		changes->lines[changes->count] = strdup(line);
	changes->count++;
}

void changes_free(struct changes *changes)
{
	for (size_t i = 0; i < CHANGES_SHOWN; i++)
		free(changes->lines[i]);
	*changes = (struct changes){ 0 };
}

/* "a; b; and 3 more", of whole items alone. */
static char *join(const char *const *items, size_t shown, size_t count, char *buffer, size_t size)
{
	size_t length = 0, i;

	buffer[0] = '\0';
	for (i = 0; i < shown; i++) {
		int more = snprintf(buffer + length, size - length, "%s%s", length ? "; " : "", items[i]);
		if (more < 0 || (size_t)more >= size - length - sizeof("; and 4294967295 more"))
			break;
		length += (size_t)more;
	}
	buffer[length] = '\0';
	if (i < count)
		snprintf(buffer + length, size - length, "%s%zu more", length ? "; and " : "", count - i);
	return buffer;
}

static const struct {
	enum happening_kind kind;
	const char *word;
} kinds[HISTORY_HOWS] = { [HISTORY_START] = { HAPPENED_RELOAD, "start" },
			  [HISTORY_RELOAD] = { HAPPENED_RELOAD, "reload" },
			  [HISTORY_ROLLBACK] = { HAPPENED_ROLLBACK, "rollback" },
			  [HISTORY_UNDO] = { HAPPENED_UNDO, "undo of the change" } };

static void log_change(struct gateway *gateway, enum history_how how, const struct requester *by,
		       const struct changes *changes, size_t shown, int64_t confirm_ms)
{
	char text[LINE_ROOM], waits[80] = "";

	if (confirm_ms)
		snprintf(waits, sizeof(waits), "; undone in %lld s unless it is confirmed",
			 (long long)(confirm_ms + 999) / 1000);
	log_notice("%s by %s: %s%s is in force, generation %llu: %s%s", kinds[how].word, by->text,
		   how == HISTORY_RELOAD ? "" : "an earlier ", gateway->paths.config,
		   (unsigned long long)config_store_generation(gateway->config),
		   changes->count ? join((const char *const *)changes->lines, shown, changes->count, text, sizeof(text))
				  : "nothing changed",
		   waits);
}

void note_change(struct gateway *gateway, enum history_how how, const struct requester *by, bool done,
		 const struct changes *changes)
{
	int64_t confirm_ms = done && how != HISTORY_UNDO ? config_store_left_ms(gateway->config) : 0;
	size_t shown = 0;

	while (shown < changes->count && shown < CHANGES_SHOWN && changes->lines[shown])
		shown++;
	happened(gateway, &(struct happening){ .kind = kinds[how].kind,
					       .by = by,
					       .done = done,
					       .generation = config_store_generation(gateway->config),
					       .confirm_ms = confirm_ms,
					       .lines = (const char *const *)changes->lines,
					       .shown = done ? shown : 0,
					       .count = done ? changes->count : 0 });
	if (!done) {
		log_error("%s by %s: %s is not in force: the old policy stays", kinds[how].word, by->text,
			  gateway->paths.config);
		return;
	}
	snprintf(gateway->loaded_by, sizeof(gateway->loaded_by), "%s", how == HISTORY_UNDO ? "spefwd" : by->text);
	log_change(gateway, how, by, changes, shown, confirm_ms);
}

int gateway_refresh(struct gateway *gateway, const struct requester *by, void *waiter, const char *const *names,
		    size_t count, const char **ret_unknown)
{
	size_t shown = count < CHANGES_SHOWN ? count : CHANGES_SHOWN;
	char text[LINE_ROOM];
	int r = names_refresh(gateway->names, waiter, names, count, ret_unknown);

	if (r < 0)
		return r;
	log_notice("refresh by %s: %s", by->text, count ? join(names, shown, count, text, sizeof(text)) : "all names");
	happened(gateway, &(struct happening){
				  .kind = HAPPENED_REFRESH, .by = by, .lines = names, .shown = shown, .count = count });
	return r;
}

int gateway_clear(struct gateway *gateway, const struct requester *by, bool *ret_removed, bool *ret_dropped)
{
	const struct waiting *waiting = config_store_waiting(gateway->config);

	log_notice("clear by %s", by->text);
	int r = table_remove(gateway->table, ret_removed);

	if (r < 0)
		return r;
	*ret_dropped = waiting != NULL;
	if (waiting)
		log_notice("the change by %s does not wait for confirm any more: it counts as undone", waiting->by);
	timer_stop(gateway->confirm_timer);
	gateway->undo_failed = false;
	seal_forget(gateway->seal);
	cut_forget_all(gateway->cut);
	usage_set_removed(gateway->usage, true);
	end_all_grants(gateway);
	config_store_clear(gateway->config);
	happened(gateway, &(struct happening){ .kind = HAPPENED_CLEAR, .by = by, .done = *ret_removed });
	health_changed(gateway);
	return 0;
}
