/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report.h"
#include "control/wire.h"
#include "core/owners.h"
#include "gateway/gateway.h"

/* What other programs' tables stop, as JSON. */

enum { SHOWN_MAX = 100 }; /* those that are certain first */

static json_t *finding_of(const struct finding *finding)
{
	char remedy[REMEDY_MAX], look[WHERE_MAX];
	bool mends = owner_remedy(finding, remedy);

	return json_pack("{s:s, s:o, s:o, s:I, s:s, s:s, s:I, s:s, s:o, s:b}", "family", table_family(finding->family),
			 "table", json_printable(finding->table), "chain", json_printable(finding->chain), "handle",
			 (json_int_t)finding->handle, "does", finding_word(finding), "flow", finding->flow,
			 "flow_count", (json_int_t)finding->flow_count, "owner", owner_word(finding->owner), "remedy",
			 json_printable(mends ? remedy : finding_command(finding, look)), "may", finding->may);
}

static void add_findings(json_t *list, const struct findings *findings, bool may)
{
	for (size_t i = 0; i < findings->count && json_array_size(list) < SHOWN_MAX; i++)
		if (findings->items[i].may == may)
			json_array_append_new(list, finding_of(&findings->items[i]));
}

json_t *report_blocked(const struct gateway *gateway)
{
	const struct foreign *foreign = gateway_foreign(gateway);
	const struct findings *findings = foreign_blocks(foreign);
	int64_t looked_ms = foreign_looked_ms(foreign);
	json_t *list = json_array();

	add_findings(list, findings, false);
	add_findings(list, findings, true);
	json_t *out = json_pack("{s:o, s:I}", "findings", list, "count", (json_int_t)findings->count);
	if (looked_ms >= 0)
		json_object_set_new(out, "looked_s", json_integer(looked_ms / 1000));
	return out;
}
