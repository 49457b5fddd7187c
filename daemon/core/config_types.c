/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_types.h"
#include "printable.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The field of a key in the policy, or in a flow of one: to look at, and to set. */

static const void *in_policy(const struct config_key *key, const void *object)
{
	return (const char *)object + key->policy_offset;
}

static void *policy_field(const struct config_key *key, struct policy *policy)
{
	return (char *)policy + key->policy_offset;
}

/* Choices, yes or no, numbers, durations: all that is a number. */

static int64_t number_of(const struct config_key *key, const void *field)
{
	unsigned choice;

	_Static_assert(sizeof(enum mode) == sizeof(unsigned), "an enum is stored as an unsigned number");
	switch (key->type) {
	case VALUE_CHOICE: memcpy(&choice, field, sizeof(choice)); return choice;
	case VALUE_YES_NO: return *(const bool *)field;
	case VALUE_NUMBER: return *(const uint16_t *)field;
	default: return *(const int64_t *)field;
	}
}

static void set_number(const struct config_key *key, void *field, int64_t number)
{
	unsigned choice = (unsigned)number;

	switch (key->type) {
	case VALUE_CHOICE: memcpy(field, &choice, sizeof(choice)); break;
	case VALUE_YES_NO: *(bool *)field = number; break;
	case VALUE_NUMBER: *(uint16_t *)field = (uint16_t)number; break;
	default: *(int64_t *)field = number;
	}
}

static void set_default_number(const struct config_key *key, void *field)
{
	set_number(key, field, key->initial);
}

static int copy_number(const struct config_key *key, struct policy *policy, const void *field)
{
	set_number(key, policy_field(key, policy), number_of(key, field));
	return 0;
}

static bool equal_number(const struct config_key *key, const void *object, const void *other)
{
	return number_of(key, in_policy(key, object)) == number_of(key, in_policy(key, other));
}

static void format_number(const struct config_key *key, int64_t number, char text[VALUE_TEXT_MAX])
{
	if (key->choices)
		snprintf(text, VALUE_TEXT_MAX, "%s", key->choices[number]);
	else if (key->type == VALUE_DURATION)
		duration_format(number, text);
	else
		snprintf(text, VALUE_TEXT_MAX, "%lld", (long long)number);
}

static void text_of_number(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX])
{
	int64_t number = number_of(key, in_policy(key, object));

	if (key->standard && number == key->initial)
		text[0] = '\0';
	else
		format_number(key, number, text);
}

static void default_of_number(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	format_number(key, key->initial, text);
}

static void bounds_of_number(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	char least[VALUE_TEXT_MAX], most[VALUE_TEXT_MAX];

	format_number(key, key->least, least);
	format_number(key, key->most, most);
	snprintf(text, VALUE_TEXT_MAX, "Values are from %.100s to %.100s.", least, most);
}

static int read_choice(const struct value *value, const struct config_key *key, void *field)
{
	unsigned choice = (unsigned)number_of(key, field);
	int r = value_choice(value, key->choices, key->choice_count, &choice);

	set_number(key, field, choice);
	return r;
}

static int read_number(const struct value *value, const struct config_key *key, void *field)
{
	return value_number(value, (unsigned)key->most, field);
}

static int read_duration(const struct value *value, const struct config_key *key, void *field)
{
	return value_duration(value, key->least, key->most, field);
}

/* Members. Those that go over as they are have no names and roles. */

static int read_members(const struct value *value, const struct config_key *key, void *field)
{
	return value_members(value, key->accept, field);
}

static void release_members(void *field)
{
	free(((struct members *)field)->items);
}

static int copy_members(const struct config_key *key, struct policy *policy, const void *field)
{
	const struct members *members = field;
	struct ranges *ranges = policy_field(key, policy);

	for (size_t i = 0; i < members->count; i++)
		if (ranges_add(ranges, &members->items[i].range) < 0)
			return -ENOMEM;
	ranges_normalise(ranges);
	return 0;
}

static void release_ranges(const struct config_key *key, struct policy *policy)
{
	ranges_free(policy_field(key, policy));
}

static bool equal_ranges(const struct config_key *key, const void *object, const void *other)
{
	return ranges_equal(in_policy(key, object), in_policy(key, other));
}

static void append(char text[VALUE_TEXT_MAX], const char *word)
{
	size_t length = strlen(text);

	snprintf(text + length, VALUE_TEXT_MAX - length, "%s%s", length ? " " : "", word);
}

/* The first ones. */
static void text_of_ranges(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX])
{
	const struct ranges *ranges = in_policy(key, object);
	char one[RANGE_TEXT_MAX], more[40];
	size_t i;

	text[0] = '\0';
	for (i = 0; i < ranges->count && i < LISTED_MAX; i++) {
		if (strlen(text) + sizeof(one) + sizeof(more) > VALUE_TEXT_MAX)
			break;
		append(text, range_format(&ranges->items[i], one));
	}
	if (i < ranges->count) {
		snprintf(more, sizeof(more), "and %zu more", ranges->count - i);
		append(text, more);
	}
}

/* Roles */

static int read_roles(const struct value *value, const struct config_key *key, void *field)
{
	(void)key;
	return value_roles(value, field);
}

static int copy_roles(const struct config_key *key, struct policy *policy, const void *field)
{
	const struct members *members = field;

	(void)key;
	policy->reject = calloc(members->count + 1, sizeof(*policy->reject));
	if (!policy->reject)
		return -ENOMEM;
	for (size_t i = 0; i < members->count; i++)
		snprintf(policy->reject[policy->reject_count++], sizeof(*policy->reject), "%s", members->items[i].text);
	return 0;
}

static void release_roles(const struct config_key *key, struct policy *policy)
{
	(void)key;
	free(policy->reject);
}

static bool lists_role(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->reject_count; i++)
		if (strcmp(policy->reject[i], name) == 0)
			return true;
	return false;
}

/* In whatever order; none is listed twice. */
static bool equal_roles(const struct config_key *key, const void *object, const void *other)
{
	const struct policy *a = object, *b = other;
	bool equal = a->reject_count == b->reject_count;

	(void)key;
	for (size_t i = 0; equal && i < a->reject_count; i++)
		equal = lists_role(b, a->reject[i]);
	return equal;
}

static void text_of_roles(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX])
{
	const struct policy *policy = object;

	(void)key;
	text[0] = '\0';
	for (size_t i = 0; i < policy->reject_count; i++)
		append(text, policy->reject[i]);
}

/* Ports */

static int read_ports(const struct value *value, const struct config_key *key, void *field)
{
	(void)key;
	return value_ports(value, field);
}

static void release_ports(void *field)
{
	free(((struct ports *)field)->items);
}

static void bounds_of_ports(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	(void)key;
	snprintf(text, VALUE_TEXT_MAX, "Values are from 1 to %d.", PORT_MAX);
}

/* A copy of count items, not NULL where there are none. */
static void *copy_items(const void *items, size_t count, size_t size)
{
	void *copy = malloc(count * size + 1);

	if (copy && count)
		memcpy(copy, items, count * size);
	return copy;
}

/* Interfaces */

static int read_interfaces(const struct value *value, const struct config_key *key, void *field)
{
	(void)key;
	return value_interfaces(value, field);
}

static void release_interfaces(void *field)
{
	free(((struct config_interfaces *)field)->names);
}

static int copy_interfaces(const struct config_key *key, struct policy *policy, const void *field)
{
	const struct config_interfaces *interfaces = field;

	(void)key;
	policy->interfaces = interfaces->kind;
	policy->interface_names = copy_items(interfaces->names, interfaces->count, sizeof(*interfaces->names));
	policy->interface_count = policy->interface_names ? interfaces->count : 0;
	return policy->interface_names ? 0 : -ENOMEM;
}

static void release_interface_names(const struct config_key *key, struct policy *policy)
{
	(void)key;
	free(policy->interface_names);
}

static bool equal_interfaces(const struct config_key *key, const void *object, const void *other)
{
	const struct policy *a = object, *b = other;

	bool equal = a->interfaces == b->interfaces && a->interface_count == b->interface_count;

	(void)key;
	for (size_t i = 0; equal && i < a->interface_count; i++)
		equal = strcmp(a->interface_names[i], b->interface_names[i]) == 0;
	return equal;
}

static void text_of_interfaces(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX])
{
	const struct policy *policy = object;

	(void)key;
	snprintf(text, VALUE_TEXT_MAX, "%s",
		 policy->interfaces == INTERFACES_AUTO  ? "auto"
		 : policy->interfaces == INTERFACES_ANY ? "any"
							: "");
	for (size_t i = 0; i < policy->interface_count; i++)
		append(text, policy->interface_names[i]);
}

static void default_of_interfaces(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	(void)key;
	snprintf(text, VALUE_TEXT_MAX, "auto");
}

/* DNS servers */

static int read_dns_servers(const struct value *value, const struct config_key *key, void *field)
{
	(void)key;
	return value_dns_servers(value, field);
}

static void set_default_servers(const struct config_key *key, void *field)
{
	((struct dns_servers *)field)->system = key->initial;
}

static void release_dns_servers(void *field)
{
	free(((struct dns_servers *)field)->items);
}

static int copy_dns_servers(const struct config_key *key, struct policy *policy, const void *field)
{
	const struct dns_servers *from = field;
	struct dns_servers *servers = policy_field(key, policy);

	*servers = (struct dns_servers){ .system = from->system,
					 .items = copy_items(from->items, from->count, sizeof(*from->items)) };
	servers->count = servers->items ? from->count : 0;
	return servers->items ? 0 : -ENOMEM;
}

static void release_server_copies(const struct config_key *key, struct policy *policy)
{
	release_dns_servers(policy_field(key, policy));
}

static bool equal_dns_servers(const struct config_key *key, const void *object, const void *other)
{
	const struct dns_servers *a = in_policy(key, object), *b = in_policy(key, other);
	bool equal = a->system == b->system && a->count == b->count;

	for (size_t i = 0; equal && i < a->count; i++)
		equal = addr_compare(&a->items[i].addr, &b->items[i].addr) == 0 && a->items[i].port == b->items[i].port;
	return equal;
}

static void text_of_dns_servers(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX])
{
	const struct dns_servers *servers = in_policy(key, object);
	char one[ADDR_TEXT_MAX], port[ADDR_TEXT_MAX + 8];

	snprintf(text, VALUE_TEXT_MAX, "%s", servers->system ? "system" : "");
	for (size_t i = 0; i < servers->count; i++) {
		addr_format(&servers->items[i].addr, one);
		snprintf(port, sizeof(port), "%s#%u", one, servers->items[i].port);
		append(text, servers->items[i].port == DNS_PORT ? one : port);
	}
}

static void default_of_dns_servers(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	(void)key;
	snprintf(text, VALUE_TEXT_MAX, "system");
}

/* Text */

static int read_text(const struct value *value, const struct config_key *key, void *field)
{
	size_t length = strlen(value->text), good = 0;
	char *printable = strdup(value->text);

	if (!printable)
		return -ENOMEM;
	make_printable(printable);
	while (value->text[good] && value->text[good] == printable[good])
		good++;
	free(printable);
	if (good < length)
		diag_error(value->diags, value->file, value->line,
			   "%s holds byte 0x%02x, which is no printable character: write plain text in UTF-8",
			   value->key, (unsigned char)value->text[good]);
	else if (length > (size_t)key->most)
		diag_error(value->diags, value->file, value->line, "%s of %zu bytes: it has up to %lld", value->key,
			   length, (long long)key->most);
	else
		memcpy(field, value->text, length + 1);
	return 0;
}

static bool equal_texts(const struct config_key *key, const void *object, const void *other)
{
	return strcmp(in_policy(key, object), in_policy(key, other)) == 0;
}

static void text_of_text(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX])
{
	snprintf(text, VALUE_TEXT_MAX, "%s", (const char *)in_policy(key, object));
}

static void bounds_of_text(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	snprintf(text, VALUE_TEXT_MAX, "It has up to %lld bytes.", (long long)key->most);
}

/* Of a file. */

static int read_path(const struct value *value, const struct config_key *key, void *field)
{
	if (value->text[0] != '/') {
		diag_error(value->diags, value->file, value->line,
			   "%s is not the path of a program: write it from / on", value->text);
		return 0;
	}
	size_t length = strcspn(value->text, " \t\n");
	if (value->text[length]) {
		diag_error(value->diags, value->file, value->line,
			   "%s: a program gets no arguments, nor is there a blank in its path: write %.*s", value->text,
			   (int)length, value->text);
		return 0;
	}
	return read_text(value, key, field);
}

static int copy_text(const struct config_key *key, struct policy *policy, const void *field)
{
	strcpy(policy_field(key, policy), field);
	return 0;
}

#define NUMBER_METHODS                                                                                         \
	.set_default = set_default_number, .copy = copy_number, .equal = equal_number, .text = text_of_number, \
	.default_text = default_of_number

static const struct value_methods methods[VALUE_TYPES] = {
	[VALUE_MEMBERS] = { .read = read_members,
			    .release = release_members,
			    .copy = copy_members,
			    .release_copy = release_ranges,
			    .equal = equal_ranges,
			    .text = text_of_ranges },
	[VALUE_ROLES] = { .syntax = "Ar role ...",
			  .read = read_roles,
			  .release = release_members,
			  .copy = copy_roles,
			  .release_copy = release_roles,
			  .equal = equal_roles,
			  .text = text_of_roles },
	[VALUE_PORTS] = { .syntax = "Ar port | first Ns - Ns Ar last ...",
			  .read = read_ports,
			  .release = release_ports,
			  .bounds = bounds_of_ports },
	[VALUE_INTERFACES] = { .syntax = "Cm auto | any | Ar interface ...",
			       .read = read_interfaces,
			       .release = release_interfaces,
			       .copy = copy_interfaces,
			       .release_copy = release_interface_names,
			       .equal = equal_interfaces,
			       .text = text_of_interfaces,
			       .default_text = default_of_interfaces },
	[VALUE_DNS_SERVERS] = { .syntax = "Cm system | Ar address Ns Op # Ns Ar port ...",
				.read = read_dns_servers,
				.set_default = set_default_servers,
				.release = release_dns_servers,
				.copy = copy_dns_servers,
				.release_copy = release_server_copies,
				.equal = equal_dns_servers,
				.text = text_of_dns_servers,
				.default_text = default_of_dns_servers },
	[VALUE_CHOICE] = { NUMBER_METHODS, .read = read_choice },
	[VALUE_YES_NO] = { NUMBER_METHODS, .syntax = "Cm yes | no", .read = read_choice },
	[VALUE_NUMBER] = { NUMBER_METHODS, .syntax = "Ar number", .read = read_number, .bounds = bounds_of_number },
	[VALUE_DURATION] = { NUMBER_METHODS, .syntax = "Ar duration", .read = read_duration,
			     .bounds = bounds_of_number },
	[VALUE_TEXT] = { .syntax = "Ar text",
			 .read = read_text,
			 .equal = equal_texts,
			 .text = text_of_text,
			 .bounds = bounds_of_text },
	[VALUE_PATH] = { .syntax = "Ar path",
			 .read = read_path,
			 .copy = copy_text,
			 .equal = equal_texts,
			 .text = text_of_text,
			 .bounds = bounds_of_text },
};

const struct value_methods *value_methods(const struct config_key *key)
{
	return &methods[key->type];
}

/* inih takes neither '#' after a value nor ';' without a space ahead of it for a comment. In a text both are part of
 * it; in any other value they were meant as one. */
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

int value_read(const struct value *value, const struct config_key *key, void *field)
{
	return key->type == VALUE_TEXT || check_comments(value) ? value_methods(key)->read(value, key, field) : 0;
}
