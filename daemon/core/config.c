/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "config_types.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_defaults(enum config_section section, void *base)
{
	for (const struct config_key *key = NULL; (key = config_key_next(section, key));)
		if (value_methods(key)->set_default)
			value_methods(key)->set_default(key, (char *)base + key->offset);
}

static void release_fields(enum config_section section, void *base)
{
	for (const struct config_key *key = NULL; (key = config_key_next(section, key));)
		if (value_methods(key)->release)
			value_methods(key)->release((char *)base + key->offset);
}

int config_init(struct config *config, const char *path)
{
	*config = (struct config){ .path = strdup(path), .key_lines = calloc(config_key_count, sizeof(unsigned)) };
	for (unsigned section = 0; section < CONFIG_SECTIONS; section++)
		if (!config_section_has_name((enum config_section)section))
			set_defaults((enum config_section)section, config);
	return config->path && config->key_lines ? 0 : -ENOMEM;
}

void config_free(struct config *config)
{
	for (unsigned section = 0; section < CONFIG_SECTIONS; section++)
		if (!config_section_has_name((enum config_section)section))
			release_fields((enum config_section)section, config);
	for (size_t i = 0; i < config->role_count; i++)
		release_fields(CONFIG_ROLE, &config->roles[i]);
	for (size_t i = 0; i < config->flow_count; i++)
		release_fields(CONFIG_FLOW, &config->flows[i]);
	for (size_t i = 0; i < config->string_count; i++)
		free(config->strings[i]);
	free(config->names);
	free(config->roles);
	free(config->flows);
	free(config->flow_ids);
	free(config->strings);
	free(config->key_lines);
	free(config->path);
	*config = (struct config){ 0 };
}

static enum config_section diag_section(const char *kind)
{
	unsigned section = 0;

	while (section < CONFIG_SECTIONS && strcmp(config_section_names[section], kind) != 0)
		section++;
	return (enum config_section)section;
}

static void complain_section(const struct config *config, const char *header, unsigned line, struct diags *diags)
{
	char kind[16];
	const char *nearest;

	snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(header, " \t"), header);
	nearest = diag_nearest(kind, config_section_names, CONFIG_SECTIONS);
	if (nearest)
		diag_error(diags, config->path, line, "unknown section [%s]: did you mean [%s%s]?", header, nearest,
			   config_section_has_name(diag_section(nearest)) ? " NAME" : "");
	else
		diag_error(diags, config->path, line,
			   "unknown section [%s]: the sections are [server], [gateway], [dns], [name NAME], [role "
			   "NAME] "
			   "and [flow NAME]",
			   header);
}

static void check_section_name(const struct config *config, enum config_section section, const char *name,
			       unsigned line, struct diags *diags)
{
	const char *kind = config_section_names[section];
	static const char *const examples[CONFIG_SECTIONS] = {
		[CONFIG_NAME] = "partner.example.net", [CONFIG_ROLE] = "ADM", [CONFIG_FLOW] = "backup-in"
	};

	if (!*name)
		diag_error(diags, config->path, line, "section [%s] has no name: write [%s %s]", kind, kind,
			   examples[section]);
	else if (section == CONFIG_NAME)
		return; /* it has been read */
	else if (strlen(name) > CONFIG_ID_MAX)
		diag_error(diags, config->path, line, "%s name of %zu characters: it has up to %d", kind, strlen(name),
			   CONFIG_ID_MAX);
	else if (section == CONFIG_ROLE && strcmp(name, "SERVER") == 0)
		diag_error(diags, config->path, line,
			   "role SERVER can't be defined: its addresses are the key address in [server]");
	else if (section == CONFIG_ROLE && strcmp(name, "ANY") == 0)
		diag_error(diags, config->path, line,
			   "role ANY can't be defined: it is every computer, choose another name");
	else if (section == CONFIG_ROLE && !is_role_name(name))
		diag_error(diags, config->path, line,
			   "%s is not the name of a role: write a capital letter, then capital letters, digits and _, "
			   "such as ADM",
			   name);
	else if (section == CONFIG_FLOW && !is_flow_name(name))
		diag_error(diags, config->path, line,
			   "%s is not the name of a flow: write a small letter, then small letters, digits and -, such "
			   "as backup-in",
			   name);
}

/* Where in flow_ids it is, or belongs. */
static size_t flow_id_at(const struct config *config, const char *id)
{
	size_t low = 0, high = config->flow_id_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(config->flows[config->flow_ids[middle]].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct config_flow *find_flow(const struct config *config, const char *id)
{
	size_t at = flow_id_at(config, id);
	const struct config_flow *flow = at < config->flow_id_count ? &config->flows[config->flow_ids[at]] : NULL;

	return flow && strcmp(flow->id, id) == 0 ? flow : NULL;
}

/* The line of the section of that name that was given already; 0 = none. */
static unsigned line_of_section(const struct config *config, enum config_section section, const char *name)
{
	if (!config_section_has_name(section))
		return config->section_lines[section];
	for (size_t i = 0; section == CONFIG_NAME && i < config->name_count; i++)
		if (strcmp(config->names[i].name, name) == 0)
			return config->names[i].line;
	for (size_t i = 0; section == CONFIG_ROLE && i < config->role_count; i++)
		if (strcmp(config->roles[i].name, name) == 0)
			return config->roles[i].line;
	const struct config_flow *flow = section == CONFIG_FLOW ? find_flow(config, name) : NULL;
	return flow ? flow->line : 0;
}

/* Room for one more, doubling at each power of two. */
static void *grow(void *items, size_t count, size_t size)
{
	if (count & (count - 1))
		return items;
	return realloc(items, (count ? count * 2 : 1) * size);
}

/* The last of the flows, where there was none of that id. */
static int enter_flow_id(struct config *config)
{
	uint32_t last = (uint32_t)config->flow_count - 1, *ids = config->flow_ids;
	size_t at = flow_id_at(config, config->flows[last].id);

	if (find_flow(config, config->flows[last].id))
		return 0;
	ids = grow(ids, config->flow_id_count, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	config->flow_ids = ids;
	memmove(ids + at + 1, ids + at, (config->flow_id_count++ - at) * sizeof(*ids));
	ids[at] = last;
	return 0;
}

/* A section with a wrong name is kept as well: its keys are to be judged, and nothing is made of a failed
 * configuration. */
static int open_section(struct config *config, enum config_section section, const char *name, unsigned line)
{
	if (section == CONFIG_NAME) {
		struct config_name *names = grow(config->names, config->name_count, sizeof(*names));

		if (!names)
			return -ENOMEM;
		config->names = names;
		names[config->name_count] = (struct config_name){ .line = line };
		set_defaults(CONFIG_NAME, &names[config->name_count]);
		snprintf(names[config->name_count++].name, sizeof(names->name), "%s", name);
	} else if (section == CONFIG_ROLE) {
		struct config_role *roles = grow(config->roles, config->role_count, sizeof(*roles));

		if (!roles)
			return -ENOMEM;
		config->roles = roles;
		roles[config->role_count] = (struct config_role){ .line = line };
		set_defaults(CONFIG_ROLE, &roles[config->role_count]);
		snprintf(roles[config->role_count++].name, sizeof(roles->name), "%s", name);
	} else if (section == CONFIG_FLOW) {
		struct config_flow *flows = grow(config->flows, config->flow_count, sizeof(*flows));

		if (!flows)
			return -ENOMEM;
		config->flows = flows;
		flows[config->flow_count] = (struct config_flow){ .line = line };
		set_defaults(CONFIG_FLOW, &flows[config->flow_count]);
		snprintf(flows[config->flow_count++].id, sizeof(flows->id), "%s", name);
		return enter_flow_id(config);
	} else if (!config->section_lines[section]) {
		config->section_lines[section] = line;
	}
	return 0;
}

int config_section(struct config *config, const char *header, unsigned line, struct diags *diags)
{
	char *copy = strdup(header);
	enum config_section section;
	char *name;
	unsigned before;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	section = config_split_section(copy, &name);
	if (section == CONFIG_SECTIONS) {
		complain_section(config, header, line, diags);
		goto out;
	}
	if (section == CONFIG_NAME && *name)
		config_take_name(config, name, line, diags);
	before = line_of_section(config, section, name);
	if (!config_section_has_name(section) && *name)
		diag_error(diags, config->path, line, "section [%s] has a name: write [%s]", header,
			   config_section_names[section]);
	else if (config_section_has_name(section) && (!before || !*name))
		check_section_name(config, section, name, line, diags);
	if (before && *name)
		diag_error(diags, config->path, line,
			   "section [%s %s] was given in line %u already: put its keys there",
			   config_section_names[section], name, before);
	else if (before && !config_section_has_name(section))
		diag_error(diags, config->path, line, "section [%s] was given in line %u already: put its keys there",
			   config_section_names[section], before);

	for (const struct config_key *key = NULL; (key = config_key_next(section, key));)
		if (config_section_has_name(section))
			config->key_lines[key - config_keys] = 0;
	r = open_section(config, section, name, line);
out:
	free(copy);
	return r;
}

/* The line of a key; 0 where it is not written. */
static unsigned line_of_key(const struct config *config, enum config_section section, const char *name)
{
	return config->key_lines[config_key_find(section, name) - config_keys];
}

void config_finish(const struct config *config, struct diags *diags)
{
	unsigned line = config->section_lines[CONFIG_SERVER];
	char least[24], most[24];

	if (!line)
		diag_error(diags, config->path, 0,
			   "section [server] is missing: write it with address = ADDRESS of the SPE server");
	else if (!line_of_key(config, CONFIG_SERVER, "address"))
		diag_error(diags, config->path, line,
			   "section [server] has no address: write address = ADDRESS of the SPE server");
	else if (!config->server.count && !diags_failed(diags))
		diag_error(diags, config->path, config->server.line,
			   "address holds no member: write at least one address");

	if (config->min_interval_ms > config->max_interval_ms) {
		line = line_of_key(config, CONFIG_DNS, "max_interval");
		diag_error(diags, config->path, line ? line : line_of_key(config, CONFIG_DNS, "min_interval"),
			   "min_interval %s is over max_interval %s: write a max_interval that is no less",
			   duration_format(config->min_interval_ms, least),
			   duration_format(config->max_interval_ms, most));
	}
}
