// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: a table of iptables-legacy as the kernel's interface gives it, to its reader and to the search for rules
 * that could stop or intercept a flow. The first byte: which family; then struct ipt_getinfo, then the entries. */
#include "../../doctor/legacy.c"

#include "fuzz_policy.h"

int fuzz_one(const uint8_t *bytes, size_t size);

int fuzz_one(const uint8_t *bytes, size_t size)
{
	struct foreign_tables tables = { 0 };
	struct legacy_table table = { 0 };

	if (size < 1)
		return 0;
	table.family = bytes[0] & 1 ? FAMILY_6 : FAMILY_4;
	bytes++;
	size--;
	size_t length = size < sizeof(table.info) ? size : sizeof(table.info);
	memcpy(&table.info, bytes, length);
	table.info.size = (unsigned)(size - length);
	table.info.name[sizeof(table.info.name) - 1] = '\0';
	/* The kernel gives just as many bytes of entries as it has announced before. */
	table.reply = malloc(offsetof(struct ipt_get_entries, entrytable) + table.info.size);
	if (!table.reply)
		abort();
	memcpy(table.reply->entrytable, bytes + length, table.info.size);
	if (read_table(&table, &tables) == 0)
		judge_foreign(&tables);
	foreign_tables_free(&tables);
	free(table.reply);
	return 0;
}
