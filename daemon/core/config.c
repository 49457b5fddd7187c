/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "config_values.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SECONDS(n) ((int64_t)(n)*1000)
#define DAYS(n) (SECONDS(n) * 24 * 3600)

/* The first CONFIG_SECTIONS of them have no name. */
enum section {
	SECTION_SERVER,
	SECTION_GATEWAY,
	SECTION_DNS,
	SECTION_ROLE,
	SECTION_FLOW,
	SECTIONS,
	SECTION_UNKNOWN = SECTIONS
};

static const char *const section_names[SECTIONS] = { "server", "gateway", "dns", "role", "flow" };
static const char *const protocols[] = { "tcp", "udp", "icmp-echo" };
static const char *const presets[] = { "single-server", "none" };
static const char *const modes[] = { "enforce", "audit" };
static const char *const interceptions[] = { "prevent", "block", "report", "off" };

enum value_type {
	VALUE_MEMBERS,
	VALUE_PORTS,
	VALUE_LINKS,
	VALUE_DNS_SERVERS,
	VALUE_CHOICE,
	VALUE_YES_NO,
	VALUE_NUMBER,
	VALUE_DURATION
};

enum {
	LIST = 1 << 0,     /* may go on in indented lines */
	REQUIRED = 1 << 1, /* may not be empty */
};

struct schema_key {
	enum section section;
	const char *name;
	enum value_type type;
	unsigned flags;
	size_t offset;      /* of the field in struct config, config_role or config_flow */
	size_t line_offset; /* of the field that holds the line; 0 = none */
	unsigned accept;    /* members: enum member_accept */
	const char *const *choices;
	unsigned choice_count;
	int64_t least, most; /* durations in ms, numbers */
	const char *example; /* of a value, for messages */
};

#define FIELD(field) .offset = offsetof(struct config, field)
#define ROLE(field) .offset = offsetof(struct config_role, field)
#define FLOW(field) .offset = offsetof(struct config_flow, field)
#define CHOICE(list) .type = VALUE_CHOICE, .flags = REQUIRED, .choices = (list), .choice_count = COUNT_OF(list)
#define YES_NO .type = VALUE_YES_NO, .flags = REQUIRED
#define MEMBERS(kinds) .type = VALUE_MEMBERS, .accept = ACCEPT_HOSTS | (kinds)
#define DURATION(from, to) .type = VALUE_DURATION, .flags = REQUIRED, .least = (from), .most = (to)
#define EVERY_MEMBER (ACCEPT_RANGES | ACCEPT_NAMES | ACCEPT_ROLES | ACCEPT_FILES)

static const struct schema_key config_schema[] = {
	{ SECTION_SERVER, "address", MEMBERS(ACCEPT_RANGES | ACCEPT_FILES), FIELD(server), .flags = LIST | REQUIRED,
	  .example = "192.0.2.25" },
	{ SECTION_SERVER, "interface", .type = VALUE_LINKS, .flags = LIST | REQUIRED, .example = "auto" },
	{ SECTION_SERVER, "resolvers", MEMBERS(0), FIELD(resolvers), .flags = LIST },
	{ SECTION_SERVER, "time_servers", MEMBERS(ACCEPT_RANGES | ACCEPT_NAMES), FIELD(time_servers), .flags = LIST },
	{ SECTION_SERVER, "ephemeral_ports", .type = VALUE_PORTS, .flags = LIST | REQUIRED, FIELD(ephemeral),
	  .example = "49152-65535" },

	{ SECTION_GATEWAY, "preset", CHOICE(presets), FIELD(preset), .example = "single-server" },
	{ SECTION_GATEWAY, "mode", CHOICE(modes), FIELD(mode), .example = "enforce" },
	{ SECTION_GATEWAY, "interception", CHOICE(interceptions), FIELD(interception), .example = "prevent" },
	{ SECTION_GATEWAY, "early_drop", YES_NO, FIELD(early_drop), .example = "yes" },
	{ SECTION_GATEWAY, "log_group", .type = VALUE_NUMBER, .flags = REQUIRED, FIELD(log_group), .most = UINT16_MAX,
	  .example = "5" },
	{ SECTION_GATEWAY, "nat_except", MEMBERS(ACCEPT_RANGES | ACCEPT_FILES), FIELD(nat_except), .flags = LIST },

	{ SECTION_DNS, "servers", .type = VALUE_DNS_SERVERS, .flags = LIST | REQUIRED, .example = "system" },
	{ SECTION_DNS, "min_interval", DURATION(SECONDS(1), DAYS(1)), FIELD(min_interval_ms), .example = "30s" },
	{ SECTION_DNS, "max_interval", DURATION(SECONDS(1), DAYS(7)), FIELD(max_interval_ms), .example = "15m" },
	{ SECTION_DNS, "grace", DURATION(0, DAYS(365)), FIELD(grace_ms), .example = "1h" },
	{ SECTION_DNS, "stale", DURATION(SECONDS(1), DAYS(365)), FIELD(stale_ms), .example = "7d" },
	{ SECTION_DNS, "observe", YES_NO, FIELD(observe), .example = "yes" },

	{ SECTION_ROLE, "members", MEMBERS(EVERY_MEMBER), ROLE(members), .flags = LIST },
	{ SECTION_ROLE, "protected", YES_NO, ROLE(is_protected), .example = "yes" },
	{ SECTION_ROLE, "allow_private", YES_NO, ROLE(allow_private), .example = "yes" },
	{ SECTION_ROLE, "ephemeral_ports", .type = VALUE_PORTS, .flags = LIST | REQUIRED, ROLE(ephemeral),
	  .example = "49152-65535" },

	{ SECTION_FLOW, "enabled", YES_NO, FLOW(enabled), .line_offset = offsetof(struct config_flow, enabled_line),
	  .example = "no" },
	{ SECTION_FLOW, "from", MEMBERS(EVERY_MEMBER), FLOW(from), .flags = LIST | REQUIRED, .example = "ANY" },
	{ SECTION_FLOW, "to", MEMBERS(EVERY_MEMBER | ACCEPT_STAR), FLOW(to), .flags = LIST | REQUIRED,
	  .example = "SERVER" },
	{ SECTION_FLOW, "protocol", CHOICE(protocols), FLOW(protocol),
	  .line_offset = offsetof(struct config_flow, protocol_line), .example = "tcp" },
	{ SECTION_FLOW, "port", .type = VALUE_PORTS, .flags = LIST | REQUIRED, FLOW(ports), .example = "443" },
	{ SECTION_FLOW, "expect", DURATION(SECONDS(1), DAYS(365)), FLOW(expect_ms),
	  .line_offset = offsetof(struct config_flow, expect_line), .example = "24h" },
	{ SECTION_FLOW, "allow_private", YES_NO, FLOW(allow_private), .example = "yes" },
};
_Static_assert(COUNT_OF(config_schema) == CONFIG_KEYS, "struct config has one line for each key");

const char *protocol_name(enum protocol protocol)
{
	return protocols[protocol];
}

const char *mode_name(enum mode mode)
{
	return modes[mode];
}

const char *interception_name(enum interception interception)
{
	return interceptions[interception];
}

int config_init(struct config *config, const char *path)
{
	*config = (struct config){
		.path = strdup(path),
		.interfaces = INTERFACES_AUTO,
		.preset = PRESET_SINGLE_SERVER,
		.mode = MODE_ENFORCE,
		.interception = INTERCEPTION_PREVENT,
		.early_drop = true,
		.log_group = 5,
		.dns_system = true,
		.min_interval_ms = SECONDS(30),
		.max_interval_ms = SECONDS(15 * 60),
		.grace_ms = SECONDS(3600),
		.stale_ms = DAYS(7),
		.observe = true,
	};
	return config->path ? 0 : -ENOMEM;
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->role_count; i++) {
		free(config->roles[i].members.items);
		free(config->roles[i].ephemeral.items);
	}
	for (size_t i = 0; i < config->flow_count; i++) {
		free(config->flows[i].from.items);
		free(config->flows[i].to.items);
		free(config->flows[i].ports.items);
	}
	for (size_t i = 0; i < config->string_count; i++)
		free(config->strings[i]);
	free(config->server.items);
	free(config->interface_names);
	free(config->resolvers.items);
	free(config->time_servers.items);
	free(config->ephemeral.items);
	free(config->nat_except.items);
	free(config->dns_servers);
	free(config->roles);
	free(config->flows);
	free(config->strings);
	free(config->path);
	*config = (struct config){ 0 };
}

bool config_is_key(const char *word)
{
	for (size_t i = 0; i < COUNT_OF(config_schema); i++)
		if (strcmp(config_schema[i].name, word) == 0)
			return true;
	return false;
}

/* Sections */

static bool has_name(enum section section)
{
	return section == SECTION_ROLE || section == SECTION_FLOW;
}

/* "role  ADM" is SECTION_ROLE and "ADM". *ret_name points into header, "" where there is none. */
static enum section split_section(char *header, const char **ret_name)
{
	char *kind = header + strspn(header, " \t");
	size_t length = strcspn(kind, " \t");
	char *name = kind + length + strspn(kind + length, " \t");

	for (size_t end = strlen(name); end > 0 && (name[end - 1] == ' ' || name[end - 1] == '\t'); end--)
		name[end - 1] = '\0';
	*ret_name = name;
	for (unsigned i = 0; i < SECTIONS; i++)
		if (strlen(section_names[i]) == length && strncmp(section_names[i], kind, length) == 0)
			return (enum section)i;
	return SECTION_UNKNOWN;
}

static void complain_section(const struct config *config, const char *header, unsigned line, struct diags *diags)
{
	char kind[16];
	const char *nearest;

	snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(header, " \t"), header);
	nearest = diag_nearest(kind, section_names, SECTIONS);
	if (nearest)
		diag_error(diags, config->path, line, "unknown section [%s]: did you mean [%s%s]?", header, nearest,
			   strcmp(nearest, "role") == 0 || strcmp(nearest, "flow") == 0 ? " NAME" : "");
	else
		diag_error(diags, config->path, line,
			   "unknown section [%s]: the sections are [server], [gateway], [dns], [role NAME] and [flow "
			   "NAME]",
			   header);
}

static void check_section_name(const struct config *config, enum section section, const char *name, unsigned line,
			       struct diags *diags)
{
	const char *kind = section_names[section];

	if (!*name)
		diag_error(diags, config->path, line, "section [%s] has no name: write [%s %s]", kind, kind,
			   section == SECTION_ROLE ? "ADM" : "backup-in");
	else if (strlen(name) > CONFIG_ID_MAX)
		diag_error(diags, config->path, line, "%s name of %zu characters: it has up to %d", kind, strlen(name),
			   CONFIG_ID_MAX);
	else if (section == SECTION_ROLE && strcmp(name, "SERVER") == 0)
		diag_error(diags, config->path, line,
			   "role SERVER can't be defined: its addresses are the key address in [server]");
	else if (section == SECTION_ROLE && strcmp(name, "ANY") == 0)
		diag_error(diags, config->path, line,
			   "role ANY can't be defined: it is every computer, choose another name");
	else if (section == SECTION_ROLE && !is_role_name(name))
		diag_error(diags, config->path, line,
			   "%s is not the name of a role: write a capital letter, then capital letters, digits and _, "
			   "such as ADM",
			   name);
	else if (section == SECTION_FLOW && !is_flow_name(name))
		diag_error(diags, config->path, line,
			   "%s is not the name of a flow: write a small letter, then small letters, digits and -, such "
			   "as backup-in",
			   name);
}

/* The line of the section of that name that was given already; 0 = none. */
static unsigned line_of_section(const struct config *config, enum section section, const char *name)
{
	if (!has_name(section))
		return config->section_lines[section];
	for (size_t i = 0; section == SECTION_ROLE && i < config->role_count; i++)
		if (strcmp(config->roles[i].name, name) == 0)
			return config->roles[i].line;
	for (size_t i = 0; section == SECTION_FLOW && i < config->flow_count; i++)
		if (strcmp(config->flows[i].id, name) == 0)
			return config->flows[i].line;
	return 0;
}

/* Room for one more, doubling at each power of two. */
static void *grow(void *items, size_t count, size_t size)
{
	if (count & (count - 1))
		return items;
	return realloc(items, (count ? count * 2 : 1) * size);
}

/* A section with a wrong name is kept as well: its keys are to be judged, and nothing is made of a failed
 * configuration. */
static int open_section(struct config *config, enum section section, const char *name, unsigned line)
{
	if (section == SECTION_ROLE) {
		struct config_role *roles = grow(config->roles, config->role_count, sizeof(*roles));

		if (!roles)
			return -ENOMEM;
		config->roles = roles;
		roles[config->role_count] = (struct config_role){ .line = line };
		snprintf(roles[config->role_count++].name, sizeof(roles->name), "%s", name);
	} else if (section == SECTION_FLOW) {
		struct config_flow *flows = grow(config->flows, config->flow_count, sizeof(*flows));

		if (!flows)
			return -ENOMEM;
		config->flows = flows;
		flows[config->flow_count] = (struct config_flow){ .line = line, .enabled = true };
		snprintf(flows[config->flow_count++].id, sizeof(flows->id), "%s", name);
	} else if (!config->section_lines[section]) {
		config->section_lines[section] = line;
	}
	return 0;
}

int config_section(struct config *config, const char *header, unsigned line, struct diags *diags)
{
	char *copy = strdup(header);
	enum section section;
	const char *name;
	unsigned before;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	section = split_section(copy, &name);
	if (section == SECTION_UNKNOWN) {
		complain_section(config, header, line, diags);
		goto out;
	}
	before = line_of_section(config, section, name);
	if (!has_name(section) && *name)
		diag_error(diags, config->path, line, "section [%s] has a name: write [%s]", header,
			   section_names[section]);
	else if (has_name(section) && (!before || !*name))
		check_section_name(config, section, name, line, diags);
	if (before && *name)
		diag_error(diags, config->path, line,
			   "section [%s %s] was given in line %u already: put its keys there", section_names[section],
			   name, before);
	else if (before && !has_name(section))
		diag_error(diags, config->path, line, "section [%s] was given in line %u already: put its keys there",
			   section_names[section], before);

	for (size_t i = 0; has_name(section) && i < COUNT_OF(config_schema); i++)
		if (config_schema[i].section == section)
			config->key_lines[i] = 0;
	r = open_section(config, section, name, line);
out:
	free(copy);
	return r;
}

/* Keys */

static const struct schema_key *find_key(enum section section, const char *name)
{
	for (size_t i = 0; i < COUNT_OF(config_schema); i++)
		if (config_schema[i].section == section && strcmp(config_schema[i].name, name) == 0)
			return &config_schema[i];
	return NULL;
}

static void complain_unknown_key(const struct config *config, enum section section, const char *name, unsigned line,
				 struct diags *diags)
{
	const char *known[CONFIG_KEYS], *nearest;
	char list[160] = "";
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(config_schema); i++)
		if (config_schema[i].section == section)
			known[count++] = config_schema[i].name;
	for (unsigned other = 0; other < SECTIONS; other++) {
		if (find_key((enum section)other, name)) {
			diag_error(diags, config->path, line, "unknown key %s in [%s]: it belongs in [%s]", name,
				   section_names[section], section_names[other]);
			return;
		}
	}
	nearest = diag_nearest(name, known, count);
	if (nearest) {
		diag_error(diags, config->path, line, "unknown key %s in [%s]: did you mean %s?", name,
			   section_names[section], nearest);
		return;
	}
	for (size_t i = 0; i < count; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i == 0           ? ""
			 : i + 1 == count ? " and "
					  : ", ",
			 known[i]);
	diag_error(diags, config->path, line, "unknown key %s in [%s]: its keys are %s", name, section_names[section],
		   list);
}

/* inih takes neither '#' after a value nor ';' without a space ahead of it for a comment: say so once, whatever the
 * key. */
static bool check_comments(const struct value *value)
{
	unsigned line = value->line;

	for (const char *c = value->text; *c; c++) {
		line += *c == '\n';
		if (*c == ';') {
			diag_error(value->diags, value->file, line,
				   "; stands in the value of %s: put a space ahead of a comment", value->key);
			return false;
		}
		if (*c == '#' && (c == value->text || isspace((unsigned char)c[-1]) || c[-1] == ',')) {
			diag_error(value->diags, value->file, line,
				   "# begins no comment behind the value of %s: write ; for it", value->key);
			return false;
		}
	}
	return true;
}

static bool check_shape(const struct value *value, const struct schema_key *key)
{
	const char *end = strchr(value->text, '\n');

	if (end && !(key->flags & LIST)) {
		unsigned line = value->line;

		for (; *end == '\n'; end++)
			line++;
		diag_error(value->diags, value->file, line, "key %s is not a list: it can't go on in an indented line",
			   key->name);
		return false;
	}
	if (!value->text[strspn(value->text, " \t\n,")] && (key->flags & REQUIRED)) {
		diag_error(value->diags, value->file, value->line, "key %s has no value: write one, such as %s = %s",
			   key->name, key->name, key->example);
		return false;
	}
	return check_comments(value);
}

static int read_choice(const struct value *value, const struct schema_key *key, void *ret)
{
	unsigned choice = UINT32_MAX;
	int r = value_choice(value, key->choices, key->choice_count, &choice);

	_Static_assert(sizeof(enum mode) == sizeof(unsigned), "an enum is stored as an unsigned number");
	if (choice != UINT32_MAX)
		memcpy(ret, &choice, sizeof(choice));
	return r;
}

static int read_value(const struct value *value, const struct schema_key *key, void *field)
{
	switch (key->type) {
	case VALUE_MEMBERS: return value_members(value, key->accept, field);
	case VALUE_PORTS: return value_ports(value, field);
	case VALUE_LINKS: return value_interfaces(value);
	case VALUE_DNS_SERVERS: return value_dns_servers(value);
	case VALUE_CHOICE: return read_choice(value, key, field);
	case VALUE_YES_NO: return value_yes_no(value, field);
	case VALUE_NUMBER: return value_number(value, (unsigned)key->most, field);
	case VALUE_DURATION: return value_duration(value, key->least, key->most, field);
	}
	return 0;
}

/* What the fields of a section are part of: the last role or flow, or the configuration itself. */
static char *base_of(struct config *config, enum section section)
{
	if (section == SECTION_ROLE)
		return config->role_count ? (char *)&config->roles[config->role_count - 1] : NULL;
	if (section == SECTION_FLOW)
		return config->flow_count ? (char *)&config->flows[config->flow_count - 1] : NULL;
	return (char *)config;
}

static void complain_homeless(const struct config *config, const char *name, unsigned line, struct diags *diags)
{
	for (unsigned section = 0; section < CONFIG_SECTIONS; section++) {
		if (find_key((enum section)section, name)) {
			diag_error(diags, config->path, line,
				   "key %s stands ahead of every section: write [%s] above it", name,
				   section_names[section]);
			return;
		}
	}
	diag_error(diags, config->path, line,
		   "key %s stands ahead of every section: write its section above it, such as [server]", name);
}

static int take_value(const struct value *value, const struct schema_key *key, char *base)
{
	if (key->line_offset)
		memcpy(base + key->line_offset, &value->line, sizeof(value->line));
	return check_shape(value, key) ? read_value(value, key, base + key->offset) : 0;
}

int config_key(struct config *config, const char *header, const char *name, const char *text, unsigned line,
	       config_read_file read_file, void *userdata, struct diags *diags)
{
	char *section_text = strdup(header), *copy = strdup(text);
	struct value value = { config, name, copy, config->path, line, read_file, userdata, diags };
	const struct schema_key *key;
	enum section section;
	const char *ignored;
	unsigned *before;
	char *base;
	int r = section_text && copy ? 0 : -ENOMEM;

	if (r < 0 || !*header) {
		if (r == 0)
			complain_homeless(config, name, line, diags);
		goto out;
	}
	section = split_section(section_text, &ignored);
	base = section == SECTION_UNKNOWN ? NULL : base_of(config, section);
	if (!base)
		goto out; /* the section has been complained about, its keys can't be judged */
	key = find_key(section, name);
	if (!key) {
		complain_unknown_key(config, section, name, line, diags);
		goto out;
	}
	before = &config->key_lines[key - config_schema];
	if (*before)
		diag_error(diags, config->path, line, "key %s was given in line %u already: %s", name, *before,
			   key->flags & LIST ? "a list goes on in indented lines" : "leave one of the two");
	else
		*before = line;
	r = take_value(&value, key, base);
out:
	free(section_text);
	free(copy);
	return r;
}

/* The line of an interval key; 0 where it is not written. */
static unsigned line_of_key(const struct config *config, enum section section, const char *name)
{
	return config->key_lines[find_key(section, name) - config_schema];
}

int config_finish(struct config *config, struct diags *diags)
{
	unsigned line = config->section_lines[SECTION_SERVER];
	char least[24], most[24];

	if (!line)
		diag_error(diags, config->path, 0,
			   "section [server] is missing: write it with address = ADDRESS of the SPE server");
	else if (!line_of_key(config, SECTION_SERVER, "address"))
		diag_error(diags, config->path, line,
			   "section [server] has no address: write address = ADDRESS of the SPE server");
	else if (!config->server.count && !diags_failed(diags))
		diag_error(diags, config->path, config->server.line,
			   "address holds no member: write at least one address");

	if (config->min_interval_ms > config->max_interval_ms) {
		line = line_of_key(config, SECTION_DNS, "max_interval");
		diag_error(diags, config->path, line ? line : line_of_key(config, SECTION_DNS, "min_interval"),
			   "min_interval %s is over max_interval %s: write a max_interval that is no less",
			   duration_format(config->min_interval_ms, least),
			   duration_format(config->max_interval_ms, most));
	}
	return 0;
}
