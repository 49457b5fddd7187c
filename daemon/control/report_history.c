/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_history.h"
#include "clock.h"
#include "control/wire.h"

#include <time.h>

static json_t *report_entry(const struct config_store *config, const struct history_entry *entry, size_t number)
{
	const struct waiting *waiting = config_store_waiting(config);
	enum history_why why = history_why(config_store_history(config), entry->files);
	time_t when = (time_t)entry->wall_s;
	int64_t age_s = wall_s() - entry->wall_s;
	json_t *changes = json_array();
	struct tm parts;
	char text[32];

	if (!gmtime_r(&when, &parts))
		parts = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	for (size_t i = 0; i < entry->shown; i++)
		json_array_append_new(changes, json_printable(entry->lines[i]));
	json_t *out =
		json_pack("{s:I, s:I, s:s, s:I, s:s, s:o, s:I, s:b, s:b}", "number", (json_int_t)number, "generation",
			  (json_int_t)entry->generation, "time", text, "age_s", (json_int_t)(age_s > 0 ? age_s : 0),
			  "how", history_how_words[entry->how], "changes", changes, "count", (json_int_t)entry->count,
			  "kept", entry->bytes > 0, "waits", waiting && waiting->id == entry->id);
	if (out && entry->by[0])
		json_object_set_new(out, "by", json_printable(entry->by));
	if (out && why)
		json_object_set_new(out, "taken_back", json_string(history_why_words[why]));
	return out;
}

json_t *report_history(const struct config_store *config)
{
	const struct history *history = config_store_history(config);
	json_t *list = json_array();

	for (size_t i = 0; i < history->count; i++)
		if (json_array_append_new(list, report_entry(config, history_before(history, i), i)) < 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:o}", "entries", list);
}

json_int_t report_left_s(const struct config_store *config)
{
	return (json_int_t)((config_store_left_ms(config) + 999) / 1000);
}

json_t *report_waiting(const struct config_store *config)
{
	const struct waiting *waiting = config_store_waiting(config);

	return waiting ? json_pack("{s:o, s:I}", "by", json_printable(waiting->by), "left_s", report_left_s(config))
		       : NULL;
}
