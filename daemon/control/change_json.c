/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/change_json.h"
#include "control/wire.h"

#include <errno.h>

static void add_text(json_t *out, const char *key, const char *text)
{
	if (text)
		json_object_set_new(out, key, json_printable(text));
}

void change_json_add(void *userdata, const struct policy_change *change)
{
	static const char *const kinds[] = { [CHANGE_OTHER] = "other", [CHANGE_NEW] = "new", [CHANGE_GONE] = "gone" };
	json_t *list = userdata, *out = json_pack("{s:s, s:s}", "of", change->of, "change", kinds[change->kind]);

	add_text(out, "id", change->id);
	add_text(out, "key", change->key);
	add_text(out, "before", change->before);
	add_text(out, "after", change->after);
	if (change->kind != CHANGE_OTHER)
		json_object_set_new(out, "off", json_boolean(change->off));
	if (change->line)
		json_object_set_new(out, "line", json_integer(change->line));
	json_array_append_new(list, out);
}

static void add_line(void *userdata, const char *line)
{
	json_array_append_new(userdata, json_printable(line));
}

int change_json_add_fates(json_t *reply, const struct fate_diff *diff)
{
	json_t *lines = json_array();
	size_t left = 0;

	if (!lines || json_object_set_new(reply, "packets", lines) < 0 ||
	    fate_diff_lines(diff, FATE_LINES_MAX, add_line, lines, &left) < 0)
		return -ENOMEM;
	if (left)
		json_object_set_new(reply, "packets_more", json_integer((json_int_t)left));
	if (diff->failure)
		json_object_set_new(reply, "packets_unknown", json_string(diff->failure));
	return 0;
}
