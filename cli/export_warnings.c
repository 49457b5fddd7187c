/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_file.h"
#include "control/wire.h"
#include "export.h"
#include "output.h"

#include <stdlib.h>

json_t *export_warnings_of(const struct diags *diags)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diags->count; i++) {
		char *text = diags->items[i].severity == DIAG_WARNING ? diag_format(&diags->items[i]) : NULL;
		if (text)
			json_array_append_new(list, json_printable(text));
		free(text);
	}
	return list;
}

static int add_file(struct archive *archive, const json_t *file)
{
	size_t length = 0;
	char *bytes = json_bytes_of(file, &length);

	int r = bytes ? archive_add(archive, json_text_of(file, "path"), bytes, length) : -1;
	free(bytes);
	return r;
}

/* By the code that `check` has; nothing is read from disk. */
json_t *export_warnings(const json_t *files)
{
	struct archive archive = { 0 };
	struct policy_file file = { 0 };
	struct diags diags = { 0 };
	json_t *list = NULL;
	int r = json_array_size(files) ? 0 : -1;

	for (size_t i = 0; i < json_array_size(files) && r == 0; i++)
		r = add_file(&archive, json_array_get(files, i));
	struct policy_source source = { .archive = &archive };
	if (r == 0)
		r = policy_file_load(&file, json_text_of(json_array_get(files, 0), "path"), &source, &diags);
	if (r == 0) {
		list = export_warnings_of(&diags);
		policy_file_free(&file);
	}
	diags_free(&diags);
	archive_free(&archive);
	return list;
}
