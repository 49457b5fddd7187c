/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "explain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The words of a question: from addresses, roles and names to the packets that are meant. */

enum { CANDIDATES_MAX = 512, RANGES_SHOWN = 4 };

struct reader {
	const struct policy *policy;
	const struct names_view *names;
	char *why;
};

static int __attribute__((format(printf, 2, 3))) refuse(const struct reader *reader, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->why, QUESTION_WHY_MAX, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int add_addr(struct addr_list *list, const struct addr *addr)
{
	for (size_t i = 0; i < list->count; i++)
		if (addr_compare(&list->items[i], addr) == 0)
			return 0;
	return ARRAY_PUSH(list, *addr) < 0 ? -ENOMEM : 0;
}

static int add_behind_name(const struct reader *reader, size_t index, struct addr_list *list)
{
	int r = 0;

	if (!reader->names || index >= reader->names->count)
		return 0;
	for (enum family family = 0; family < FAMILIES; family++) {
		const struct name_addresses *addresses = &reader->names->names[index][family];
		for (size_t i = 0; r == 0 && i < addresses->count; i++)
			r = add_addr(list, &addresses->items[i].addr);
	}
	return r;
}

static int take_name(const struct reader *reader, size_t index, struct addr_list *list)
{
	const char *name = reader->policy->names[index].name;
	int r = add_behind_name(reader, index, list);

	if (r < 0 || list->count)
		return r;
	if (!reader->names)
		return refuse(reader,
			      "%s: names have no addresses here, where the file alone is read: write an address", name);
	return refuse(reader, "%s has no address at present: see spefwctl names, or write an address", name);
}

/* What there is to choose from, the first of it: addresses, where a role has roles as members, too. */
static const char *some_ranges(const struct ranges *ranges, char *buffer, size_t size)
{
	char text[RANGE_TEXT_MAX];
	size_t at = 0;

	for (size_t i = 0; i < ranges->count && i < RANGES_SHOWN && at < size; i++)
		at += (size_t)snprintf(buffer + at, size - at, "%s%s", i ? ", " : "",
				       range_format(&ranges->items[i], text));
	if (ranges->count > RANGES_SHOWN && at < size)
		snprintf(buffer + at, size - at, " and %zu more", ranges->count - RANGES_SHOWN);
	return buffer;
}

static int take_role(const struct reader *reader, const struct policy_role *role, struct addr_list *list)
{
	const struct ranges *ranges = &role->members.ranges;
	char some[RANGES_SHOWN * RANGE_TEXT_MAX + 40] = "";
	int r = 0;

	if (role->members.any)
		return refuse(reader, "%s is every address: write one of them", role->name);
	for (size_t i = 0; r == 0 && i < ranges->count; i++) {
		struct addr addr = ranges->items[i].first;
		do {
			r = list->count < QUESTION_ROLE_MAX ? add_addr(list, &addr) : -E2BIG;
		} while (r == 0 && addr_compare(&addr, &ranges->items[i].last) < 0 && addr_next(&addr));
	}
	if (r == -E2BIG)
		return refuse(reader, "%s has more than %d addresses: write one of %s", role->name, QUESTION_ROLE_MAX,
			      some_ranges(ranges, some, sizeof(some)));
	for (size_t i = 0; r == 0 && i < role->members.name_count; i++)
		r = add_behind_name(reader, role->members.names[i], list);
	if (r < 0 || list->count)
		return r;
	return role->members.name_count
		       ? refuse(reader, "%s is names, which have no addresses %s: write an address", role->name,
				reader->names ? "at present" : "here, where the file alone is read")
		       : refuse(reader, "%s has no members: write an address", role->name);
}

static int refuse_unknown(const struct reader *reader, const char *word)
{
	const struct policy *policy = reader->policy;
	const char *candidates[CANDIDATES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < policy->role_count && count < CANDIDATES_MAX; i++)
		candidates[count++] = policy->roles[i].name;
	for (size_t i = 0; i < policy->name_count && count < CANDIDATES_MAX; i++)
		candidates[count++] = policy->names[i].name;
	const char *nearest = diag_nearest(word, candidates, count);
	if (nearest)
		return refuse(reader,
			      "%s is neither an address nor a role or name of the configuration: did you mean %s?",
			      word, nearest);
	return refuse(reader, "%s is neither an address nor a role or name of the configuration: write an address",
		      word);
}

static int take_word(const struct reader *reader, const char *word, struct addr_list *list)
{
	const struct policy *policy = reader->policy;
	size_t length = strlen(word);
	char text[RANGE_TEXT_MAX];
	struct range range;

	if (!*word)
		return refuse(reader, "an address is missing: write an address, a role or a name");
	enum range_error error = range_parse(word, &range);
	if (error == RANGE_OK && range_is_host(&range))
		return add_addr(list, &range.first);
	if (error == RANGE_MAPPED)
		return refuse(reader, "%s is IPv4 in IPv6 form: write %s", word, range_format(&range, text));
	if (error != RANGE_SYNTAX)
		return refuse(reader, "%s is more than one address: write one of them", word);
	for (size_t i = 0; i < policy->role_count; i++)
		if (strcasecmp(policy->roles[i].name, word) == 0)
			return take_role(reader, &policy->roles[i], list);
	if (strcasecmp(word, "ANY") == 0)
		return refuse(reader, "%s is every address: write one of them", word);
	length -= length > 1 && word[length - 1] == '.';
	for (size_t i = 0; i < policy->name_count; i++)
		if (strlen(policy->names[i].name) == length && strncasecmp(policy->names[i].name, word, length) == 0)
			return take_name(reader, i, list);
	return refuse_unknown(reader, word);
}

static int take_protocol(const struct reader *reader, const char *word, enum protocol *ret)
{
	static const struct {
		const char *word;
		enum protocol protocol;
	} words[] = { { "tcp", PROTOCOL_TCP },
		      { "udp", PROTOCOL_UDP },
		      { "icmp-echo", PROTOCOL_ICMP_ECHO },
		      { "icmp", PROTOCOL_ICMP_ECHO },
		      { "ping", PROTOCOL_ICMP_ECHO } };
	const char *candidates[sizeof(words) / sizeof(words[0])];
	size_t count = sizeof(words) / sizeof(words[0]);

	*ret = PROTOCOL_TCP;
	if (!word || !*word)
		return 0;
	for (size_t i = 0; i < count; i++) {
		candidates[i] = words[i].word;
		if (strcasecmp(word, words[i].word) == 0) {
			*ret = words[i].protocol;
			return 0;
		}
	}
	const char *nearest = diag_nearest(word, candidates, count);
	return nearest ? refuse(reader, "unknown protocol %s: did you mean %s?", word, nearest)
		       : refuse(reader, "unknown protocol %s: write tcp, udp or icmp-echo", word);
}

static int take_port(const struct reader *reader, const char *word, uint16_t *ret)
{
	size_t digits = strspn(word, "0123456789");
	unsigned long port = digits && digits <= 5 && !word[digits] && *word != '0' ? strtoul(word, NULL, 10) : 0;

	if (!*word)
		return refuse(reader, "there is no port behind the colon: write a number from 1 to %d", PORT_MAX);
	if (port == 0 || port > PORT_MAX)
		return refuse(reader, "%s is not a port: write a number from 1 to %d", word, PORT_MAX);
	*ret = (uint16_t)port;
	return 0;
}

/* Splits "HOST", "HOST:PORT", "[HOST]" and "[HOST]:PORT" in place; an address without brackets has no port. *ret_port
 * NULL: none is there. */
static int split(const struct reader *reader, char *word, char **ret_host, char **ret_port)
{
	struct addr addr;
	char *colon = strrchr(word, ':');

	*ret_host = word;
	*ret_port = NULL;
	if (word[0] == '[') {
		char *end = strchr(word, ']');
		if (!end || (end[1] && end[1] != ':'))
			return refuse(reader, "%s: write [ADDRESS]:PORT", word);
		*ret_port = end[1] ? end + 2 : NULL;
		*end = '\0';
		*ret_host = word + 1;
	} else if (colon && !addr_parse(word, &addr)) {
		if (strchr(word, ':') != colon)
			return refuse(reader,
				      "%s is not an address: write an IPv6 address with its port as [ADDRESS]:PORT",
				      word);
		*ret_port = colon + 1;
		*colon = '\0';
	}
	return 0;
}

static int take_source(const struct reader *reader, const char *text, struct addr_list *list)
{
	char word[QUESTION_WORD_MAX], *host, *port;

	snprintf(word, sizeof(word), "%s", text);
	int r = split(reader, word, &host, &port);
	if (r == 0 && port)
		r = refuse(reader, "%s: the source is without a port, for any will do: write %s", text, host);
	return r < 0 ? r : take_word(reader, host, list);
}

static int take_target(const struct reader *reader, const char *text, struct explain_question *question)
{
	char word[QUESTION_WORD_MAX], *host, *port;
	bool echo = question->protocol == PROTOCOL_ICMP_ECHO;

	snprintf(word, sizeof(word), "%s", text);
	int r = split(reader, word, &host, &port);
	if (r == 0)
		r = take_word(reader, host, &question->targets);
	if (r == 0 && echo && port)
		r = refuse(reader, "%s: icmp-echo has no port: write %s", text, host);
	else if (r == 0 && !echo && !port)
		r = refuse(reader, "%s: which port? write %s:443, or icmp-echo behind it for a ping", text,
			   strchr(host, ':') ? "[ADDRESS]" : host);
	else if (r == 0 && port)
		r = take_port(reader, port, &question->port);
	return r;
}

static size_t count_of(const struct addr_list *list, enum family family)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->items[i].family == family;
	return count;
}

/* Two of one family at least, and not more than one wants to read. */
static int check_pairs(const struct reader *reader, const struct explain_question *question, const char *source,
		       const char *target)
{
	size_t pairs = 0;

	for (enum family family = 0; family < FAMILIES; family++)
		pairs += count_of(&question->sources, family) * count_of(&question->targets, family);
	if (!pairs)
		return refuse(reader, "%s and %s have no address family in common: write two of IPv4, or two of IPv6",
			      source, target);
	if (pairs > QUESTION_PACKETS_MAX)
		return refuse(reader, "%s and %s are %zu pairs of addresses: write an address for one of them", source,
			      target, pairs);
	return 0;
}

int question_read(struct explain_question *ret, const struct policy *policy, const struct names_view *names,
		  const char *source, const char *target, const char *protocol, char why[QUESTION_WHY_MAX])
{
	struct reader reader = { .policy = policy, .names = names, .why = why };

	*ret = (struct explain_question){ 0 };
	why[0] = '\0';
	if (strlen(source) >= QUESTION_WORD_MAX || strlen(target) >= QUESTION_WORD_MAX ||
	    (protocol && strlen(protocol) >= QUESTION_WORD_MAX))
		return refuse(&reader, "that is too long for an address or a name");
	int r = take_protocol(&reader, protocol, &ret->protocol);
	if (r == 0)
		r = take_source(&reader, source, &ret->sources);
	if (r == 0)
		r = take_target(&reader, target, ret);
	if (r == 0)
		r = check_pairs(&reader, ret, source, target);
	return r;
}

void question_free(struct explain_question *question)
{
	free(question->sources.items);
	free(question->targets.items);
	*question = (struct explain_question){ 0 };
}
