/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_values.h"

#include "array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

/* Ports, interfaces, DNS servers */

/* Digits alone, without needless zeros. False where text is not a number; too large ones are UINT32_MAX. */
static bool parse_number(const char *text, size_t length, uint32_t *ret)
{
	uint64_t number = 0;

	if (length == 0 || strspn(text, digits) < length || (length > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < length; i++) {
		number = number * 10 + (uint64_t)(text[i] - '0');
		if (number > UINT32_MAX)
			number = UINT32_MAX;
	}
	*ret = (uint32_t)number;
	return true;
}

static bool parse_ports(const struct value *value, const char *word, unsigned line, struct port_range *ret)
{
	size_t length = strcspn(word, "-");
	const char *last_text = word[length] ? word + length + 1 : word;
	uint32_t first, last;

	if (word[length] && !word[strspn(word, "0123456789-")] && (length == 0 || !*last_text))
		diag_error(value->diags, value->file, line,
			   "port range %s lacks an end: write FIRST-LAST without spaces", word);
	else if (!parse_number(word, length, &first) || !parse_number(last_text, strlen(last_text), &last))
		diag_error(value->diags, value->file, line,
			   "%s is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100", word);
	else if (first < 1 || first > PORT_MAX || last < 1 || last > PORT_MAX)
		diag_error(value->diags, value->file, line, "port %s is out of bounds: write 1 to 65535", word);
	else if (first > last)
		diag_error(value->diags, value->file, line, "port range %s is reversed: write %u-%u", word, last,
			   first);
	else {
		*ret = (struct port_range){ (uint16_t)first, (uint16_t)last };
		return true;
	}
	return false;
}

/* Marks the ports in a bitmap; whether one was marked before. */
static bool mark_ports(uint8_t marks[8192], const struct port_range *ports)
{
	bool again = false;

	for (unsigned port = ports->first; port <= ports->last; port++) {
		again |= marks[port / 8] >> port % 8 & 1;
		marks[port / 8] |= (uint8_t)(1 << port % 8);
	}
	return again;
}

int value_ports(const struct value *value, struct ports *ret)
{
	struct {
		struct port_range *items;
		size_t count, capacity;
	} list = { 0 };
	struct words words = value_words(value);
	uint8_t marks[8192] = { 0 };
	struct port_range ports;

	while (words_next(&words)) {
		if (!parse_ports(value, words.word, words.line, &ports))
			continue;
		if (mark_ports(marks, &ports))
			diag_warning(value->diags, value->file, words.line,
				     "port %s is in the list already: leave it out", words.word);
		if (ARRAY_PUSH(&list, ports) < 0) {
			free(list.items);
			return -ENOMEM;
		}
	}
	free(ret->items);
	*ret = (struct ports){ list.items, list.count, value->line };
	return 0;
}

static bool check_interface(const struct value *value, const char *word, unsigned line)
{
	if (strlen(word) > CONFIG_INTERFACE_MAX)
		diag_error(value->diags, value->file, line, "interface name %s has %zu characters: it has up to %d",
			   word, strlen(word), CONFIG_INTERFACE_MAX);
	else if (strchr(word, '*') || strchr(word, '+'))
		diag_error(value->diags, value->file, line, "interface name %s holds a wildcard: name each interface",
			   word);
	else if (strpbrk(word, "/:\"") || strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
		diag_error(value->diags, value->file, line,
			   "%s is not the name of an interface: write names such as eth0, or auto or any", word);
	else
		return true;
	return false;
}

static int add_interface(struct config_interfaces *interfaces, const char *word)
{
	char(*grown)[CONFIG_INTERFACE_MAX + 1];

	for (size_t i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->names[i], word) == 0)
			return 0;
	grown = realloc(interfaces->names, (interfaces->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	interfaces->names = grown;
	snprintf(grown[interfaces->count++], sizeof(*grown), "%s", word);
	return 0;
}

int value_interfaces(const struct value *value, struct config_interfaces *ret)
{
	struct words words = value_words(value);
	unsigned count = 0;
	bool alone = false;
	int r = 0;

	while (r == 0 && words_next(&words)) {
		bool is_auto = strcmp(words.word, "auto") == 0, is_any = strcmp(words.word, "any") == 0;

		alone |= is_auto || is_any;
		if (alone && count++ > 0) {
			diag_error(value->diags, value->file, words.line,
				   "interface holds auto or any beside others: write it alone");
			break;
		}
		count += !alone;
		ret->kind = is_auto ? INTERFACES_AUTO : is_any ? INTERFACES_ANY : INTERFACES_NAMED;
		if (!alone && check_interface(value, words.word, words.line))
			r = add_interface(ret, words.word);
	}
	return r;
}

static bool parse_dns_server(const struct value *value, char *word, unsigned line, struct dns_server *ret)
{
	char *hash = strchr(word, '#');
	uint32_t port = DNS_PORT;
	char text[RANGE_TEXT_MAX];
	struct range range;
	enum range_error error;

	if (hash)
		*hash = '\0';
	error = range_parse(word, &range);
	if (error == RANGE_MAPPED)
		diag_error(value->diags, value->file, line, "%s is IPv4 in IPv6 form: write %s", word,
			   range_format(&range, text));
	else if (error != RANGE_OK || !range_is_host(&range))
		diag_error(value->diags, value->file, line,
			   "%s is not the address of a DNS server: write addresses such as 192.0.2.53 or "
			   "192.0.2.53#5353, or system",
			   word);
	else if (hash && (!parse_number(hash + 1, strlen(hash + 1), &port) || port < 1 || port > PORT_MAX))
		diag_error(value->diags, value->file, line, "port %s is out of bounds: write 1 to 65535", hash + 1);
	else {
		*ret = (struct dns_server){ range.first, (uint16_t)port };
		return true;
	}
	return false;
}

int value_dns_servers(const struct value *value, struct dns_servers *ret)
{
	struct words words = value_words(value);
	struct dns_server server, *grown;
	bool system = false;

	for (unsigned count = 0; words_next(&words); count++) {
		bool is_system = strcmp(words.word, "system") == 0;

		if (count && (system || is_system)) {
			diag_error(value->diags, value->file, words.line,
				   "servers holds system beside others: write it alone");
			break;
		}
		system |= is_system;
		if (is_system || !parse_dns_server(value, words.word, words.line, &server))
			continue;
		grown = realloc(ret->items, (ret->count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		ret->items = grown;
		grown[ret->count++] = server;
	}
	ret->system = system;
	return 0;
}

/* Single words */

int value_choice(const struct value *value, const char *const *choices, unsigned count, unsigned *ret)
{
	const char *nearest;
	char list[128];

	for (unsigned i = 0; i < count; i++) {
		if (strcmp(value->text, choices[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	nearest = diag_nearest(value->text, choices, count);
	if (nearest)
		diag_error(value->diags, value->file, value->line, "unknown value %s for %s: did you mean %s?",
			   value->text, value->key, nearest);
	else
		diag_error(value->diags, value->file, value->line, "unknown value %s for %s: write %s", value->text,
			   value->key, config_join(choices, count, " or ", list, sizeof(list)));
	return 0;
}

int value_number(const struct value *value, unsigned most, uint16_t *ret)
{
	uint32_t number;

	if (!parse_number(value->text, strlen(value->text), &number) || number > most)
		diag_error(value->diags, value->file, value->line, "%s = %s is not a number from 0 to %u: write one",
			   value->key, value->text, most);
	else
		*ret = (uint16_t)number;
	return 0;
}

static const struct {
	char letter;
	int64_t ms;
} units[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };

char *duration_format(int64_t ms, char buffer[24])
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms % units[i].ms == 0 && (ms || units[i].letter == 's')) {
			snprintf(buffer, 24, "%lld%c", (long long)(ms / units[i].ms), units[i].letter);
			return buffer;
		}
	}
	snprintf(buffer, 24, "%lldms", (long long)ms);
	return buffer;
}

bool duration_parse(const char *text, int64_t *ret_ms)
{
	size_t length = strspn(text, digits);
	uint32_t number;

	for (size_t i = 0; length && i < sizeof(units) / sizeof(units[0]); i++) {
		if (text[length] != units[i].letter || text[length + 1] || !parse_number(text, length, &number))
			continue;
		*ret_ms = number * units[i].ms;
		return true;
	}
	return false;
}

int value_duration(const struct value *value, int64_t least_ms, int64_t most_ms, int64_t *ret_ms)
{
	const char *text = value->text;
	size_t length = strspn(text, digits);
	char least[24], most[24];
	int64_t ms;

	if (length && !text[length])
		diag_error(value->diags, value->file, value->line, "%s = %s has no unit: write %ss, or m, h or d for s",
			   value->key, text, text);
	else if (!duration_parse(text, &ms))
		diag_error(value->diags, value->file, value->line,
			   "%s = %s is not a duration: write a number and s, m, h or d, such as 30s", value->key, text);
	else if (ms < least_ms || ms > most_ms)
		diag_error(value->diags, value->file, value->line, "%s = %s is out of bounds: write %s to %s",
			   value->key, text, duration_format(least_ms, least), duration_format(most_ms, most));
	else
		*ret_ms = ms;
	return 0;
}
