/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "lines.h"
#include "printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_head(FILE *out, const struct export_view *view, char *origin)
{
	make_printable(origin);
	fprintf(out,
		"#!/usr/sbin/nft -f\n"
		"# %s\n"
		"# Loaded by nft, this table is no daemon's: it filters, and nobody keeps other programs from\n"
		"# changing it, follows names and interfaces, cuts connections or remembers what was cut. Not\n"
		"# beside a spefwd that runs; one that starts takes its place. Where nft refuses the first line\n"
		"# below, since a spefwd has left its table, take that line away: the second one removes it.\n",
		origin);
	if (!view->policy->name_count)
		return;
	fputs(view->names ? "# The addresses of names are those of that moment, each until its timeout.\n"
			  : "# Nobody resolved the names: their sets are empty, and nothing is open by a name.\n",
	      out);
}

char *export_nft(const struct export_view *view, const struct ruleset *ruleset)
{
	char *text = NULL, *origin = strdup(view->origin), *table = ruleset_text(ruleset, view->now_ms);
	size_t length = 0;
	FILE *out = origin && table ? open_memstream(&text, &length) : NULL;

	if (out) {
		print_head(out, view, origin);
		/* The second line fails where there is no table; the first one where spefwd has left one that the
		 * kernel keeps (persist), for that can't be had without this flag. */
		fprintf(out, "table inet " TABLE_NAME "\ndelete table inet " TABLE_NAME "\n%s", table);
		text = lines_end(out, &text);
	}
	free(origin);
	free(table);
	return text;
}
