/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_others.h"
#include "control/wire.h"
#include "core/owners.h"

enum { SHOWN_MAX = 20 };

static json_t *rule_of(const struct finding *finding)
{
	char remedy[REMEDY_MAX], look[WHERE_MAX];
	bool opening = finding->meets & (MEETS_OPENING_IN | MEETS_OPENING_OUT);
	json_t *out =
		json_pack("{s:s, s:o, s:o, s:I, s:s, s:b, s:s, s:o, s:b}", "family", table_family(finding->family),
			  "table", json_printable(finding->table), "chain", json_printable(finding->chain), "handle",
			  (json_int_t)finding->handle, "does", finding_word(finding), "answer",
			  !opening && finding->meets, "owner", owner_word(finding->owner), "look",
			  json_printable(finding_command(finding, look)), "may", finding->may);

	if (finding->set)
		json_object_set_new(out, "set", json_printable(finding->set));
	if (owner_remedy(finding, remedy))
		json_object_set_new(out, "remedy", json_printable(remedy));
	return out;
}

void report_others(json_t *out, const struct findings *findings)
{
	json_t *list = json_array();

	for (int may = 0; may < 2; may++)
		for (size_t i = 0; i < findings->count && json_array_size(list) < SHOWN_MAX; i++)
			if (findings->items[i].may == may)
				json_array_append_new(list, rule_of(&findings->items[i]));
	json_object_set_new(out, "others", list);
	if (findings->incomplete)
		json_object_set_new(out, "others_missing", json_string("unknown"));
}
