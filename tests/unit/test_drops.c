/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Denials: what they miss, how they are folded, whose they were, and lines of the file that allow them: those are
 * written to the file, and then nothing is denied any more. */
#include "core/cures.h"
#include "core/drop_past.h"
#include "core/drop_sources.h"
#include "core/drop_table.h"
#include "make.h"

#include <errno.h>

#define BASE                                                                                            \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = " \
	"10.30.0.0/24\n  10.31.0.0/24\n"
#define AUDIT BASE "[gateway]\nmode = audit\n"
#define NARROW "[flow ews-out]\nto = graph.example.net login.example.net\n[flow icewarp-out]\nenabled = no\n"

/* "tcp 10.32.0.50 > 192.0.2.25 8470", "mid ..." for TCP that opens nothing, from port 51000 unless ":port". */
static struct packet packet_of(const char *text)
{
	char protocol[16], source[64], target[64];
	unsigned port = 0, from = 51000;
	struct packet packet = { .protocol = PROTOCOL_TCP };

	assert_true(sscanf(text, "%15s %63s > %63s %u %u", protocol, source, target, &port, &from) >= 3);
	packet.source = make_addr(source);
	packet.target = make_addr(target);
	packet.mid_stream = strcmp(protocol, "mid") == 0;
	if (strcmp(protocol, "udp") == 0)
		packet.protocol = PROTOCOL_UDP;
	else if (strcmp(protocol, "echo") == 0)
		packet.protocol = PROTOCOL_ICMP_ECHO;
	else if (strcmp(protocol, "other") == 0)
		packet.protocol = PROTOCOLS;
	if (packet.protocol <= PROTOCOL_UDP) {
		packet.source_port = (uint16_t)from;
		packet.target_port = (uint16_t)port;
	}
	return packet;
}

static void assert_cause(const char *config, const char *packet, const char *expected)
{
	struct policy policy;
	char text[CAUSE_TEXT_MAX];

	make_good_policy(&policy, config);
	struct packet one = packet_of(packet);
	struct denial_cause cause = denial_cause_of(&policy, NULL, &one);
	assert_string_equal(denial_cause_text(&cause, text), expected);
	policy_free(&policy);
}

static void test_causes(void **state)
{
	(void)state;
	assert_cause(BASE, "tcp 10.32.0.50 > 192.0.2.25 8470", "console-in: source not in ADM");
	assert_cause(BASE, "tcp 2001:db8:9::1 > 2001:db8:2::25 8470", "console-in: source not in ADM");
	assert_cause(BASE, "echo 10.32.0.50 > 192.0.2.25", "ping: source not in ADM");
	assert_cause(BASE, "tcp 10.30.0.50 > 192.0.2.25 8470", "allowed by now: console-in");
	assert_cause(BASE, "tcp 10.30.0.50 > 192.0.2.26 8470", "allowed by now");
	assert_cause(BASE, "tcp 10.30.0.50 > 192.0.2.25 3389", "no flow");
	assert_cause(BASE, "udp 192.0.2.25 > 198.51.100.9 53", "dns-out: target not in 192.0.2.53");
	assert_cause(BASE NARROW, "tcp 192.0.2.25 > 203.0.113.200 443", "ews-out: not among its names");
	assert_cause(BASE "[flow api-in]\nenabled = no\n", "tcp 10.30.0.50 > 192.0.2.25 8474", "api-in is off");
	/* imaps-in is from ANY, and for none that the server connects to. */
	assert_cause(BASE "[flow imaps-out]\nenabled = no\n", "tcp 192.0.2.25 > 198.51.100.9 993", "imaps-out is off");
	/* Nothing that would do: it is off, and for others. */
	assert_cause(BASE "[flow api-in]\nenabled = no\n", "tcp 10.32.0.50 > 192.0.2.25 8474", "no flow");
	assert_cause(BASE, "other 10.32.0.50 > 192.0.2.25", "a protocol that no flow can have");
	assert_cause(BASE "[flow x-in]\nfrom = 10.9.9.9 10.9.9.10\nto = SERVER\nprotocol = tcp\nport = 9000\n",
		     "tcp 10.32.0.50 > 192.0.2.25 9000", "x-in: not among its sources");
	assert_cause(BASE "[flow x-in]\nfrom = 10.9.9.9\nto = 192.0.2.25\nprotocol = tcp\nport = 9000\n",
		     "tcp 2001:db8:9::1 > 2001:db8:2::25 9000", "x-in: neither source nor target");
	/* Pieces of connections that are not tracked: as the connection would be. */
	assert_cause(BASE, "mid 10.32.0.50 > 192.0.2.25 8470", "console-in: source not in ADM");
	assert_cause(BASE, "mid 192.0.2.25 > 10.32.0.50 51000 8470", "console-in: source not in ADM");
	assert_cause(BASE, "mid 10.32.0.50 > 192.0.2.25 3389", "no flow");
	assert_cause(BASE, "mid 192.0.2.25 > 10.32.0.50 51000 3389", "no flow");
	assert_cause(BASE, "mid 192.0.2.25 > 198.51.100.9 443 4000", "no connection that it belongs to");
	assert_cause(BASE NARROW, "mid 192.0.2.25 > 198.51.100.9 443", "ews-out: not among its names");
	for (enum cause why = 0; why < CAUSES; why++)
		assert_true(cause_name(why)[0]);
}

/* Rows. */

static struct drop_table table;
static int64_t now = 1000;

static const struct drop *add(const char *text, bool near)
{
	struct denial denial = { .packet = packet_of(text), .kind = DENIAL_IN };

	now++;
	return drop_table_add(&table, &denial, near, false, now);
}

static const struct drop *add_to(unsigned target, unsigned port, bool near)
{
	char text[100];

	snprintf(text, sizeof(text), "tcp 203.0.113.9 > 198.51.%u.%u %u", target / 256, target % 256, port);
	return add(text, near);
}

static int free_table(void **state)
{
	(void)state;
	drop_table_free(&table);
	return 0;
}

static void test_rows(void **state)
{
	const struct drop *rows[4];
	size_t all;

	(void)state;
	const struct drop *row = add("tcp 10.32.0.50 > 192.0.2.25 8470", true);
	int64_t first = now;
	row = add("tcp 10.32.0.50 > 192.0.2.25 8470 52000", true);
	assert_int_equal(table.count, 1);
	assert_int_equal(row->count, 2);
	assert_int_equal(row->first_ms, first);
	assert_int_equal(row->last_ms, now);
	assert_int_equal(row->packet.source_port, 52000);
	assert_int_equal(drop_ports(row), 1);
	assert_int_equal(drop_targets(row), 1);
	/* Each of these is another row. */
	add("tcp 10.32.0.51 > 192.0.2.25 8470", true);
	add("tcp 10.32.0.50 > 192.0.2.26 8470", true);
	add("tcp 10.32.0.50 > 192.0.2.25 8471", true);
	add("udp 10.32.0.50 > 192.0.2.25 8470", true);
	add("mid 10.32.0.50 > 192.0.2.25 8470", true);
	row = add("echo 10.32.0.50 > 192.0.2.25", true);
	assert_int_equal(drop_ports(row), 0);
	assert_int_equal(table.count, 7);
	assert_int_equal(table.serial, 8);
	/* Those that changed last come first. */
	add("tcp 10.32.0.50 > 192.0.2.25 8470", true);
	assert_int_equal(drop_table_since(&table, 6, rows, 4, &all), 3);
	assert_int_equal(all, 3);
	assert_int_equal(rows[0]->count, 3);
	assert_int_equal(rows[1]->packet.protocol, PROTOCOL_ICMP_ECHO);
	assert_true(rows[2]->packet.mid_stream);
	assert_int_equal(drop_table_since(&table, 0, rows, 4, &all), 4);
	assert_int_equal(all, 7);
	assert_int_equal(drop_table_since(&table, 9, rows, 4, &all), 0);
	assert_int_equal(table.lost_serial, 0);
}

/* The mode changes: what came before is told as it was, also in the row of a scan. */
static void test_modes(void **state)
{
	struct denial denial = { .packet = packet_of("tcp 10.32.0.50 > 192.0.2.25 8470"), .kind = DENIAL_IN };

	(void)state;
	const struct drop *row = drop_table_add(&table, &denial, true, false, ++now);
	assert_false(row->audit);
	row = drop_table_add(&table, &denial, true, true, ++now);
	assert_true(row->audit);
	assert_int_equal(row->count, 1);
	assert_int_equal(table.count, 2);
	for (unsigned port = 1; port <= 2 * DROP_FOLD; port++) {
		denial.packet.target_port = (uint16_t)port;
		drop_table_add(&table, &denial, false, false, ++now);
		row = drop_table_add(&table, &denial, false, true, ++now);
	}
	assert_int_equal(table.count, 4);
	assert_true(row->audit && row->many_ports);
	assert_int_equal(row->count, 2 * DROP_FOLD);
	denial.packet.target_port = 8470;
	row = drop_table_add(&table, &denial, true, false, ++now);
	assert_false(row->audit);
	assert_int_equal(row->count, 2);
}

static int read_past(struct drop_past *past, const char *text, int64_t now_ms, int64_t wall_s)
{
	return drop_past_read(past, text, "b", now_ms, wall_s);
}

/* Over a reboot the wall clock tells; an odd line costs no other one. */
static void test_past(void **state)
{
	static const char text[] = "clock a 5000000 1700000000\ndenied 4990000 7\ncounted 90 8 audit\n"
				   "changed 4900000\nforgot 1000000\nsource 203.0.113.9 4999000 4000000\n"
				   "source nobody 4999000 4000000\nsource 203.0.113.9 4999500 4000000\n"
				   "source 203.0.113.8 5100001 4000000\nsource 203.0.113.7 1300000 1300000\nsource";
	struct drop_past past;

	(void)state;
	assert_int_equal(read_past(&past, text, 60000, 1700000100), 0);
	assert_int_equal(past.sources.count, 1);
	assert_int_equal(past.sources.items[0].last_ms, 60000 - 100000 - 1000);
	assert_true(past.audit && past.mode_changed && !past.sources.forgot);
	assert_int_equal(past.mode_changed_ms, 60000 - 200000);
	assert_true(past.denied == 90 && past.unseen_total == 8 && past.unseen.count == 1);
	drop_sources_free(&past.sources);
	assert_int_equal(read_past(&past, text, 60000, 1699999999), -ENODATA);
	assert_int_equal(past.sources.count, 0);
	assert_int_equal(read_past(&past, "clock b 1 1\n", 60000, 1700000100), -ENODATA);
	assert_int_equal(read_past(&past, "", 60000, 1700000100), -ENODATA);
	allocations_left = 0;
	assert_int_equal(read_past(&past, text, 60000, 1700000100), -ENOMEM);
	allocations_left = -1;
	drop_sources_free(&past.sources);
}

static void test_ports_folded(void **state)
{
	const struct drop *row = NULL;

	(void)state;
	for (unsigned port = 1; port <= DROP_FOLD; port++)
		row = add_to(1, port, false);
	assert_int_equal(table.count, DROP_FOLD);
	assert_null(row->spread);
	/* A flow comes near to that one: a row of its own, whatever else there is. */
	add_to(1, 8470, true);
	for (unsigned round = 0; round < 2; round++)
		for (unsigned port = 1; port <= 2996; port++)
			row = add_to(1, port, false);
	assert_int_equal(table.count, 2);
	assert_true(row->many_ports && !row->many_targets);
	assert_int_equal(drop_ports(row), 2996);
	assert_int_equal(drop_targets(row), 1);
	assert_int_equal(row->count, DROP_FOLD + 2 * 2996);
	assert_int_equal(row->first_ms, now - (DROP_FOLD + 2 * 2996));
	assert_int_equal(row->packet.target_port, 2996);
}

static void test_targets_folded(void **state)
{
	const struct drop *row = NULL;

	(void)state;
	for (unsigned target = 1; target <= DROP_TARGETS; target++)
		row = add_to(target, 443, true);
	assert_int_equal(table.count, 1);
	assert_true(!row->many_ports && row->many_targets);
	assert_int_equal(drop_ports(row), 1);
	assert_int_equal(drop_targets(row), DROP_TARGETS);
	assert_false(row->spread->more_targets);
	row = add_to(DROP_TARGETS + 1, 443, true);
	assert_int_equal(drop_targets(row), DROP_TARGETS);
	assert_true(row->spread->more_targets);
	/* Another port of it is another row. */
	row = add_to(3, 444, true);
	assert_null(row->spread);
}

/* Ports and targets at random: one row, with all that was folded before. */
static void test_all_folded(void **state)
{
	const struct drop *row = NULL;
	unsigned count = 0;

	(void)state;
	for (unsigned target = 1; target <= 6; target++)
		for (unsigned port = 1; port <= 20; port++, count++)
			row = add_to(target, port, false);
	assert_true(row->many_ports && row->many_targets);
	assert_int_equal(table.count, 1);
	assert_int_equal(row->count, count);
	assert_int_equal(drop_ports(row), 20);
	assert_int_equal(drop_targets(row), 6);
}

/* Never more rows than there may be, nor more of those that take much room; what is near has its own share. */
static void test_bounds(void **state)
{
	char text[100];
	size_t spreads = 0;

	(void)state;
	add("tcp 10.32.0.50 > 192.0.2.25 8470", true);
	for (unsigned source = 0; source < 5000; source++) {
		snprintf(text, sizeof(text), "tcp 203.0.%u.%u > 192.0.2.25 22", source / 256, source % 256);
		add(text, false);
		assert_true(table.count <= DROP_ROWS + 1);
	}
	assert_int_equal(table.count, DROP_ROWS + 1);
	assert_int_equal(table.items[0].packet.target_port, 8470);
	assert_int_equal(table.lost_serial, 5001 - DROP_ROWS);
	for (unsigned source = 0; source < 100; source++)
		for (unsigned port = 1; port <= DROP_FOLD + 1; port++) {
			snprintf(text, sizeof(text), "tcp 203.0.1.%u > 192.0.2.25 %u", source, port);
			add(text, false);
		}
	for (size_t i = 0; i < table.count; i++)
		spreads += table.items[i].spread != NULL;
	assert_int_equal(spreads, DROP_SPREADS);
	assert_true(table.count <= DROP_ROWS + 1);
}

static void test_no_memory(void **state)
{
	(void)state;
	for (long i = 0; i < 30; i++) {
		drop_table_free(&table);
		allocations_left = i;
		for (unsigned port = 1; port <= 40; port++)
			add_to(1, port, false);
		allocations_left = -1;
		assert_int_equal(table.serial, 40);
	}
}

/* Sources. */

static bool is_first(void *userdata, const struct addr *addr)
{
	return addr_compare(addr, userdata) == 0;
}

static void test_sources(void **state)
{
	struct drop_sources sources = { 0 };
	struct addr first = make_addr("10.0.0.1"), addr = first;
	int64_t at = 5000;
	unsigned lines = 0;
	size_t is;
	bool more;

	(void)state;
	assert_true(drop_sources_add(&sources, &first, at));
	assert_false(drop_sources_add(&sources, &first, at + DROP_HOUR_MS - 1));
	assert_true(drop_sources_add(&sources, &first, at + DROP_HOUR_MS));
	at += 3 * DROP_HOUR_MS;
	assert_int_equal(drop_sources_hour(&sources, at, is_first, &first, &is, &more), 0);
	for (unsigned i = 0; i < 200; i++, addr_next(&addr))
		lines += drop_sources_add(&sources, &addr, at + i);
	assert_int_equal(lines, DROP_LINES);
	assert_int_equal(drop_sources_hour(&sources, at + 200, is_first, &first, &is, &more), 200);
	assert_int_equal(is, 1);
	assert_false(more);
	/* There is no room for a line that says how many more, until the first of them is an hour ago. */
	assert_int_equal(drop_sources_unlogged(&sources, at + DROP_HOUR_MS - 1), 0);
	assert_int_equal(drop_sources_unlogged(&sources, at + DROP_HOUR_MS), 200 - DROP_LINES);
	assert_int_equal(drop_sources_unlogged(&sources, at + 2 * DROP_HOUR_MS), 0);
	for (unsigned i = 0; i < DROP_SOURCES + 10; i++, addr_next(&addr))
		drop_sources_add(&sources, &addr, at + 1000);
	assert_int_equal(sources.count, DROP_SOURCES);
	drop_sources_hour(&sources, at + 1000, is_first, &first, &is, &more);
	assert_true(more);
	drop_sources_free(&sources);
}

/* In any hour there are so many lines at most, a source once. */
static void test_lines_an_hour(void **state)
{
	struct drop_sources sources = { 0 };
	static int64_t lines[2000];
	size_t count = 0;

	(void)state;
	for (int64_t at = 0; at < 5 * DROP_HOUR_MS; at += 7000) {
		struct addr addr = make_addr("10.0.0.0");
		addr.bytes[2] = (uint8_t)(at / 7000 % 250);
		if (drop_sources_add(&sources, &addr, at))
			lines[count++] = at;
	}
	assert_true(count > 3 * DROP_LINES);
	for (size_t i = DROP_LINES; i < count; i++)
		assert_true(lines[i] - lines[i - DROP_LINES] >= DROP_HOUR_MS);
	drop_sources_free(&sources);
}

/* Cures: the lines are written to the file. */

static char *insert(const char *text, size_t at, size_t skip, const char *more)
{
	char *made = NULL;

	assert_true(asprintf(&made, "%.*s%s%s", (int)at, text, more, text + at + skip) >= 0);
	return made;
}

/* Where the line of a section begins. */
static size_t find_section(const char *text, const char *section, unsigned line)
{
	char header[80];
	const char *at = text;

	if (strcmp(section, "server") == 0)
		return (size_t)(strstr(text, "[server]\n") - text);
	snprintf(header, sizeof(header), "[%s]\n", section);
	for (unsigned i = 1; i < line; i++)
		at = strchr(at, '\n') + 1;
	assert_int_equal(strncmp(at, header, strlen(header)), 0);
	return (size_t)(at - text);
}

static char *apply(const char *text, const struct cure *cure)
{
	char key[40], list[CURE_VALUES_MAX * 64] = "", line[sizeof(key) + sizeof(list)] = "";

	if (cure->kind == CURE_SECTION) {
		assert_int_equal(cure->line, 0);
		return insert(text, strlen(text), 0, cure->text);
	}
	for (size_t i = 0; i < cure->values.count; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "\t%s\n", cure->values.items[i]);
	size_t at = find_section(text, cure->section, cure->line);
	size_t first = at + strcspn(text + at, "\n") + 1;
	snprintf(key, sizeof(key), "%s =", cure->key);
	for (at = first; text[at] && text[at] != '['; at += strcspn(text + at, "\n") + 1) {
		if (strncmp(text + at, key, strlen(key)) != 0)
			continue;
		size_t length = strcspn(text + at, "\n") + 1;
		if (cure->kind == CURE_ADD)
			return insert(text, at + length, 0, list);
		snprintf(line, sizeof(line), "%s%s", key, list);
		return insert(text, at, length, line);
	}
	snprintf(line, sizeof(line), "%s%s", key, list);
	return insert(text, first, 0, line);
}

/* Packets, each ended by ';', are cured by as many lists and sections as this; then none of them is denied. The
 * administrator reads: "add members of role ADM: 10.32.0.50;". */
static void assert_cured(const char *config, const char *packets, const char *expected)
{
	char told[8192] = "", *file = strdup(config), *copy = strdup(packets), *rest = copy, *word;
	struct cure_case cases[64] = { 0 };
	struct packet list[64];
	size_t count = 0, index[64];
	struct policy policy;
	struct cures cures;

	make_good_policy(&policy, config);
	while ((word = strsep(&rest, ";")) && *word) {
		list[count] = packet_of(word);
		cases[count].cause = denial_cause_of(&policy, NULL, &list[count]);
		count++;
	}
	assert_int_equal(cures_make(&cures, &policy, cases, count, index), 0);
	for (size_t i = 0; i < cures.list.count; i++) {
		const struct cure *cure = &cures.list.items[i];
		size_t length = strlen(told);
		if (cure->kind == CURE_SECTION)
			snprintf(told + length, sizeof(told) - length, "%s", cure->text);
		else
			snprintf(told + length, sizeof(told) - length, "%s %s of %s:%u", cure_kind_name(cure->kind),
				 cure->key, cure->section, cure->line);
		for (size_t v = 0; cure->kind != CURE_SECTION && v < cure->values.count; v++)
			strcat(strcat(told, " "), cure->values.items[v]);
		if (cure->kind != CURE_SECTION)
			strcat(told, "\n");
	}
	assert_string_equal(told, expected);
	assert_int_equal(cures.uncured, 0);
	/* From the end of the file on, so that lines stay where they are. */
	for (size_t done = 0; done < cures.list.count; done++) {
		size_t last = SIZE_MAX;
		for (size_t i = 0; i < cures.list.count; i++)
			if (cures.list.items[i].text != (char *)-1 &&
			    (last == SIZE_MAX || cures.list.items[i].line > cures.list.items[last].line))
				last = i;
		struct cure *cure = &cures.list.items[last];
		char *next = apply(file, cure);
		free(file);
		file = next;
		free(cure->text);
		cure->text = (char *)-1;
		cure->line = 0;
	}
	for (size_t i = 0; i < cures.list.count; i++)
		cures.list.items[i].text = NULL;
	policy_free(&policy);
	struct policy after;
	char *complaints = make_policy(&after, file);
	assert_null(strstr(complaints, "error"));
	free(complaints);
	for (size_t i = 0; i < count; i++) {
		assert_true(index[i] < cures.list.count);
		struct judgement judgement = policy_judge(&after, NULL, &list[i]);
		if (judgement.verdict != VERDICT_ALLOW)
			fail_msg("packet %zu is denied by\n%s", i, file);
	}
	policy_free(&after);
	cures_free(&cures);
	free(copy);
	free(file);
}

static void test_cures(void **state)
{
	(void)state;
	assert_cured(BASE, "tcp 10.32.0.50 > 192.0.2.25 8470;", "add members of role ADM:4 10.32.0.50\n");
	/* Once, for all that it does. */
	assert_cured(BASE,
		     "tcp 10.32.0.50 > 192.0.2.25 8470;tcp 10.32.0.50 > 192.0.2.25 8474;echo 10.32.0.50 > 192.0.2.25;"
		     "tcp 2001:db8:9::1 > 2001:db8:2::25 8470;mid 192.0.2.25 > 10.32.0.51 51000 8470;",
		     "add members of role ADM:4 10.32.0.50 2001:db8:9::1 10.32.0.51\n");
	/* Nobody is an administrator yet. */
	assert_cured("[server]\naddress = 192.0.2.25\n[gateway]\nmode = audit\n", "tcp 10.32.0.50 > 192.0.2.25 8470;",
		     "[role ADM]\nmembers  = 10.32.0.50\n");
	assert_cured("[server]\naddress = 192.0.2.25\n",
		     "udp 192.0.2.25 > 192.0.2.53 53;udp 192.0.2.25 > 192.0.2.1 123;udp 192.0.2.25 > 192.0.2.54 53;",
		     "add resolvers of server:2 192.0.2.53 192.0.2.54\nadd time_servers of server:2 192.0.2.1\n");
	assert_cured(BASE NARROW, "tcp 192.0.2.25 > 203.0.113.200 443;", "add to of flow ews-out:7 203.0.113.200\n");
	assert_cured(BASE "[flow api-in]\nenabled = no\n", "tcp 10.30.0.50 > 192.0.2.25 8474;",
		     "set enabled of flow api-in:7 yes\n");
	assert_cured("[gateway]\npreset = none\n[server]\naddress = 192.0.2.25\n", "tcp 10.1.1.1 > 192.0.2.25 443;",
		     "[flow https-in]\nenabled  = yes\n");
	/* The vendor's own list has to stay: in a section that is there, and in one that is not. */
#define OTHERS_OFF "[flow ews-out]\nenabled = no\n[flow icewarp-out]\nenabled = no\n"
	assert_cured(BASE OTHERS_OFF, "tcp 192.0.2.25 > 203.0.113.200 443;",
		     "[flow license-out]\nto       = my.mailstore.com 203.0.113.200\n");
	assert_cured(BASE OTHERS_OFF "[flow license-out]\nexpect = 7d\n", "tcp 192.0.2.25 > 203.0.113.200 443;",
		     "set to of flow license-out:11 my.mailstore.com 203.0.113.200\n");
}

static void test_new_flows(void **state)
{
	(void)state;
	assert_cured(AUDIT, "tcp 10.30.0.50 > 192.0.2.25 3389;",
		     "[flow tcp-3389-in]\nfrom     = 10.30.0.50\nto       = SERVER\nprotocol = tcp\nport     = 3389\n");
	/* Ports of the same sources and sources of the same ports are one flow; mid-stream packets of it, too. */
	assert_cured(AUDIT,
		     "tcp 10.30.0.50 > 192.0.2.25 3389;tcp 10.30.0.51 > 192.0.2.25 3389;tcp 10.30.0.51 > 192.0.2.25 "
		     "445;"
		     "tcp 10.30.0.50 > 192.0.2.25 445;tcp 10.30.0.50 > 192.0.2.25 446;tcp 10.30.0.51 > 192.0.2.25 446;"
		     "mid 192.0.2.25 > 10.30.0.50 51000 3389;mid 10.30.0.50 > 192.0.2.25 3389;",
		     "[flow tcp-445-in]\nfrom     = 10.30.0.50/31\nto       = SERVER\nprotocol = tcp\n"
		     "port     = 445-446 3389\n");
	assert_cured(AUDIT,
		     "tcp 192.0.2.25 > 10.1.0.10 88;udp 192.0.2.25 > 10.1.0.10 88;tcp 192.0.2.25 > 10.1.0.10 445;"
		     "echo 192.0.2.25 > 10.1.0.10;tcp 2001:db8:2::25 > 2001:db8:1::10 88;",
		     "[flow tcp-88-out]\nfrom     = SERVER\nto       = 10.1.0.10 2001:db8:1::10\nprotocol = tcp\n"
		     "port     = 88\n"
		     "[flow udp-88-out]\nfrom     = SERVER\nto       = 10.1.0.10\nprotocol = udp\nport     = 88\n"
		     "[flow tcp-445-out]\nfrom     = SERVER\nto       = 10.1.0.10\nprotocol = tcp\nport     = 445\n"
		     "[flow ping-out]\nfrom     = SERVER\nto       = 10.1.0.10\nprotocol = icmp-echo\n");
	/* A name that is taken. */
	assert_cured(AUDIT "[flow tcp-3389-in]\nfrom = 10.1.1.1\nto = SERVER\nprotocol = udp\nport = 3389\n",
		     "tcp 10.30.0.50 > 192.0.2.25 3389;",
		     "[flow tcp-3389-in-2]\nfrom     = 10.30.0.50\nto       = SERVER\nprotocol = tcp\nport     = "
		     "3389\n");
	/* Another protected machine: its role is no list for others. */
	assert_cured(BASE "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n[flow ih-in]\nfrom = IH\nto = SERVER\n"
			  "protocol = tcp\nport = 9000\n",
		     "tcp 10.30.0.50 > 192.0.2.25 9000;tcp 192.0.2.25 > 192.0.2.31 9001;",
		     "[flow tcp-9000-in]\nfrom     = 10.30.0.50\nto       = SERVER\nprotocol = tcp\nport     = 9000\n"
		     "[flow tcp-9001-in]\nfrom     = 192.0.2.25\nto       = IH\nprotocol = tcp\nport     = 9001\n");
}

/* Long lists go on in further lines, and very many targets are any. */
static void test_long_lists(void **state)
{
	struct addr many[CURE_ANY + 1];
	struct cure_case one = { .targets = many };
	struct policy policy;
	struct cures cures;
	size_t index;
	char packets[4096] = "";

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		snprintf(packets + strlen(packets), sizeof(packets) - strlen(packets),
			 "tcp 10.%u.0.50 > 192.0.2.25 3389;", 2 * i + 1);
	make_good_policy(&policy, AUDIT);
	struct packet packet = packet_of("tcp 192.0.2.25 > 198.51.100.1 8443");
	one.cause = denial_cause_of(&policy, NULL, &packet);
	for (unsigned i = 0; i <= CURE_ANY; i++) {
		many[i] = packet.target;
		many[i].bytes[3] = (uint8_t)(2 * i + 1);
	}
	one.target_count = 3;
	assert_int_equal(cures_make(&cures, &policy, &one, 1, &index), 0);
	assert_non_null(strstr(cures.list.items[0].text, "to       = 198.51.100.1 198.51.100.3 198.51.100.5\n"));
	cures_free(&cures);
	one.target_count = CURE_ANY;
	assert_int_equal(cures_make(&cures, &policy, &one, 1, &index), 0);
	assert_non_null(strstr(cures.list.items[0].text, "to       = any\n"));
	cures_free(&cures);
	/* What nobody wants, or nothing allows. */
	one.left_out = true;
	assert_int_equal(cures_make(&cures, &policy, &one, 1, &index), 0);
	assert_int_equal(index, SIZE_MAX);
	assert_int_equal(cures.list.count, 0);
	assert_int_equal(cures.uncured, 1);
	cures_free(&cures);
	policy_free(&policy);

	char *expected = NULL;
	size_t column = 0;
	FILE *out = open_memstream(&expected, &column);
	fputs("[flow tcp-3389-in]\nfrom     =", out);
	for (unsigned i = 0, width = 10; i < 40; i++) {
		char word[32];
		unsigned length = (unsigned)snprintf(word, sizeof(word), " 10.%u.0.50", 2 * i + 1);
		if (width + length > 78) {
			fputs("\n          ", out);
			width = 10;
		}
		fputs(word, out);
		width += length;
	}
	fputs("\nto       = SERVER\nprotocol = tcp\nport     = 3389\n", out);
	fclose(out);
	assert_cured(AUDIT, packets, expected);
	free(expected);
}

static void test_cures_bounded(void **state)
{
	static struct cure_case cases[2000];
	static size_t index[2000];
	struct policy policy;
	struct cures cures;
	char text[100];

	(void)state;
	make_good_policy(&policy, AUDIT);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "tcp 10.32.%u.%u > 192.0.2.25 %u", i / 250, i % 250, i < 400 ? 8470 : i);
		struct packet packet = packet_of(text);
		cases[i] = (struct cure_case){ .cause = denial_cause_of(&policy, NULL, &packet) };
	}
	assert_int_equal(cures_make(&cures, &policy, cases, 2000, index), 0);
	assert_true(cures.list.count <= CURES_MAX);
	assert_int_equal(cures.list.items[0].values.count, CURE_VALUES_MAX);
	assert_true(cures.uncured > 0);
	cures_free(&cures);
	for (long i = 0;; i++) {
		allocations_left = i;
		int r = cures_make(&cures, &policy, cases, 20, index);
		allocations_left = -1;
		if (r == 0)
			break;
		assert_int_equal(cures.list.count, 0);
	}
	cures_free(&cures);
	policy_free(&policy);
}

int main(void)
{
#define ROWS(name) cmocka_unit_test_teardown(name, free_table)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_causes),
		ROWS(test_rows),
		ROWS(test_modes),
		cmocka_unit_test(test_past),
		ROWS(test_ports_folded),
		ROWS(test_targets_folded),
		ROWS(test_all_folded),
		ROWS(test_bounds),
		ROWS(test_no_memory),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_lines_an_hour),
		cmocka_unit_test(test_cures),
		cmocka_unit_test(test_new_flows),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_cures_bounded),
	};
	return cmocka_run_group_tests_name("drops", tests, NULL, NULL);
}
