/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "fate_diff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Classes of packets in lines for people: addresses by the name of what has just these. */

enum { TEXT_MAX = 1024, RANGES_MAX = 4, PORTS_MAX = 8 };

struct telling {
	struct {
		struct told {
			char text[TEXT_MAX];
			uint8_t families; /* bits */
			bool says_family;
		} * items;
		size_t count, capacity;
	} lines;
	size_t max, left;
};

struct line {
	char bytes[TEXT_MAX];
	size_t length;
	bool says_family; /* of which family it is shows in it */
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->bytes) - line->length;
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line->bytes + line->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		line->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_addresses(struct line *line, const struct fate_addresses *addresses)
{
	const struct ranges *ranges = &addresses->ranges;
	char text[RANGE_TEXT_MAX];

	add(line, "%s%s",
	    addresses->any   ? "any"
	    : addresses->but ? "any but "
			     : "",
	    addresses->any || !addresses->name ? "" : addresses->name);
	line->says_family |= !addresses->any && !addresses->but && (!addresses->name || addresses->is_of_family);
	if (addresses->any || addresses->name)
		return;
	for (size_t i = 0; i < ranges->count && i < RANGES_MAX; i++)
		add(line, "%s%s", i ? ", " : "", range_format(&ranges->items[i], text));
	if (ranges->count + addresses->more > RANGES_MAX)
		add(line, " and %zu more", ranges->count + addresses->more - RANGES_MAX);
}

static void add_ports(struct line *line, const struct fate_class *class)
{
	if (class->port_count == 1 && class->ports[0].first == 0 && class->ports[0].last == UINT16_MAX)
		return;
	for (size_t i = 0; i < class->port_count && i < PORTS_MAX; i++) {
		add(line, "%s%u", i ? "," : "/", class->ports[i].first);
		if (class->ports[i].last != class->ports[i].first)
			add(line, "-%u", class->ports[i].last);
	}
	if (class->port_count > PORTS_MAX)
		add(line, " and %zu more", class->port_count - PORTS_MAX);
}

static void add_protocols(struct line *line, const struct fate_class *class)
{
	static const char *const words[] = { "tcp", "udp", "icmp-echo", "other protocols" };
	static const unsigned all = (1U << (PROTOCOL_OTHERS + 1)) - 1;
	const char *between = " ";

	if (class->protocols == all) {
		add(line, " all protocols");
		return;
	}
	for (unsigned i = 0; i <= PROTOCOL_OTHERS; i++) {
		if (!(class->protocols & 1U << i))
			continue;
		add(line, "%s%s", between, words[i]);
		if (i == PROTOCOL_TCP || i == PROTOCOL_UDP)
			add_ports(line, class);
		between = ", ";
	}
}

static struct line class_line(const struct fate_diff *diff, const struct fate_class *class)
{
	static const char *const outcomes[OUTCOMES] = { "allowed", "not guarded", "denied, but let through (audit)",
							"denied with an answer", "denied" };
	struct line line = { .length = 0 };

	add_addresses(&line, &diff->addresses.items[class->source]);
	add(&line, " -> ");
	add_addresses(&line, &diff->addresses.items[class->target]);
	add_protocols(&line, class);
	add(&line, ": %s -> %s", outcomes[class->before], outcomes[class->after]);
	return line;
}

/* Lines */

static int tell(struct telling *t, const struct fate_diff *diff, const struct fate_class *class)
{
	uint8_t family = (uint8_t)(1U << diff->addresses.items[class->source].family);
	struct line line = class_line(diff, class);

	for (size_t i = 0; i < t->lines.count; i++) {
		struct told *told = &t->lines.items[i];
		if (told->families & family || strcmp(told->text, line.bytes) != 0)
			continue;
		told->families |= family;
		return 0;
	}
	if (t->lines.count == t->max) {
		t->left++;
		return 0;
	}
	struct told told = { .families = family, .says_family = line.says_family };
	memcpy(told.text, line.bytes, sizeof(told.text));
	return ARRAY_PUSH(&t->lines, told) < 0 ? -ENOMEM : 0;
}

static void see_lines(const struct telling *t, void (*see)(void *userdata, const char *line), void *userdata)
{
	static const char *const families[] = { "", " (IPv4)", " (IPv6)", "" };
	char text[TEXT_MAX + 8];

	for (size_t i = 0; i < t->lines.count; i++) {
		const struct told *told = &t->lines.items[i];
		snprintf(text, sizeof(text), "%s%s", told->text, told->says_family ? "" : families[told->families]);
		see(userdata, text);
	}
}

int fate_diff_lines(const struct fate_diff *diff, size_t max, void (*see)(void *userdata, const char *line),
		    void *userdata, size_t *ret_left)
{
	struct telling t = { .max = max, .left = diff->left };
	int r = 0;

	for (enum fate_change change = 0; change < CHANGES; change++)
		for (size_t i = 0; i < diff->count && r == 0; i++)
			if (fate_change(diff->items[i].before, diff->items[i].after) == change)
				r = tell(&t, diff, &diff->items[i]);
	if (r == 0)
		see_lines(&t, see, userdata);
	*ret_left = t.left;
	free(t.lines.items);
	return r;
}
