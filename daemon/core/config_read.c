/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One key with its value: whether the section knows it, and whether it is in shape; its type reads it. */

enum { SECTION_KEYS_MAX = 32 };

static void complain_unknown_key(const struct config *config, enum config_section section, const char *name,
				 unsigned line, struct diags *diags)
{
	const char *known[SECTION_KEYS_MAX], *nearest;
	char list[SECTION_KEYS_MAX * 24];
	size_t count = 0;

	for (const struct config_key *key = NULL; (key = config_key_next(section, key)) && count < SECTION_KEYS_MAX;)
		known[count++] = key->name;
	for (unsigned other = 0; other < CONFIG_SECTIONS; other++) {
		if (config_key_find((enum config_section)other, name)) {
			diag_error(diags, config->path, line, "unknown key %s in [%s]: it belongs in [%s]", name,
				   config_section_names[section], config_section_names[other]);
			return;
		}
	}
	nearest = diag_nearest(name, known, count);
	if (nearest) {
		diag_error(diags, config->path, line, "unknown key %s in [%s]: did you mean %s?", name,
			   config_section_names[section], nearest);
		return;
	}
	diag_error(diags, config->path, line, "unknown key %s in [%s]: its keys are %s", name,
		   config_section_names[section], config_join(known, count, " and ", list, sizeof(list)));
}

static bool check_shape(const struct value *value, const struct config_key *key)
{
	const char *end = strchr(value->text, '\n');

	if (end && !(key->flags & KEY_LIST)) {
		unsigned line = value->line;

		for (; *end == '\n'; end++)
			line++;
		diag_error(value->diags, value->file, line, "key %s is not a list: it can't go on in an indented line",
			   key->name);
		return false;
	}
	if (!value->text[strspn(value->text, " \t\n,")] && (key->flags & KEY_REQUIRED)) {
		diag_error(value->diags, value->file, value->line, "key %s has no value: write one, such as %s = %s",
			   key->name, key->name, key->example);
		return false;
	}
	return true;
}

/* What the fields of a section are part of: the last name, role or flow, or the configuration itself. */
static char *base_of(struct config *config, enum config_section section)
{
	if (section == CONFIG_NAME)
		return config->name_count ? (char *)&config->names[config->name_count - 1] : NULL;
	if (section == CONFIG_ROLE)
		return config->role_count ? (char *)&config->roles[config->role_count - 1] : NULL;
	if (section == CONFIG_FLOW)
		return config->flow_count ? (char *)&config->flows[config->flow_count - 1] : NULL;
	return (char *)config;
}

static void complain_homeless(const struct config *config, const char *name, unsigned line, struct diags *diags)
{
	for (unsigned section = 0; section < CONFIG_SECTIONS; section++) {
		if (!config_section_has_name((enum config_section)section) &&
		    config_key_find((enum config_section)section, name)) {
			diag_error(diags, config->path, line,
				   "key %s stands ahead of every section: write [%s] above it", name,
				   config_section_names[section]);
			return;
		}
	}
	diag_error(diags, config->path, line,
		   "key %s stands ahead of every section: write its section above it, such as [server]", name);
}

static int take_value(const struct value *value, const struct config_key *key, char *base)
{
	if (key->line_offset)
		memcpy(base + key->line_offset, &value->line, sizeof(value->line));
	return check_shape(value, key) ? value_read(value, key, base + key->offset) : 0;
}

int config_key(struct config *config, const char *header, const char *name, const char *text, unsigned line,
	       config_read_file read_file, void *userdata, struct diags *diags)
{
	char *section_text = strdup(header), *copy = strdup(text);
	struct value value = { config, name, copy, config->path, line, read_file, userdata, diags };
	const struct config_key *key;
	enum config_section section;
	char *ignored;
	unsigned *before;
	char *base;
	int r = section_text && copy ? 0 : -ENOMEM;

	if (r < 0 || !*header) {
		if (r == 0)
			complain_homeless(config, name, line, diags);
		goto out;
	}
	section = config_split_section(section_text, &ignored);
	base = section == CONFIG_SECTIONS ? NULL : base_of(config, section);
	if (!base)
		goto out; /* the section has been complained about, its keys can't be judged */
	key = config_key_find(section, name);
	if (!key) {
		complain_unknown_key(config, section, name, line, diags);
		goto out;
	}
	before = &config->key_lines[key - config_keys];
	if (*before)
		diag_error(diags, config->path, line, "key %s was given in line %u already: %s", name, *before,
			   key->flags & KEY_LIST ? "a list goes on in indented lines" : "leave one of the two");
	else
		*before = line;
	r = take_value(&value, key, base);
out:
	free(section_text);
	free(copy);
	return r;
}
