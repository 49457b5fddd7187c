/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_conntrack.h"
#include "fake_log.h"
#include "fake_resolver.h"
#include "fake_time.h"
#include "gateway/names.h"
#include "make.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* The names of a gateway, over days that pass in no time. */

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (24 * (int64_t)HOUR)
#define NOW (1000 * DAY)
#define WALL INT64_C(1700000000)

#define HEAD "[gateway]\npreset = none\n[server]\naddress = 192.0.2.25 2001:db8::25\nresolvers = 192.0.2.53\n"
#define ONE "[flow one]\nfrom = SERVER\nto = one.example.net\nprotocol = tcp\nport = 443\n"
#define PEER "[flow peer]\nfrom = peer.example.net\nto = SERVER\nprotocol = tcp\nport = 25\n"
#define PATTERN "[flow pattern]\nfrom = SERVER\nto = *.example.org\nprotocol = tcp\nport = 8443\n"
#define TEXT HEAD ONE PEER PATTERN

static const char one[] = "one.example.net", peer[] = "peer.example.net", pattern[] = "*.example.org";

static char directory[64], events[16 * 1024];
static struct policy_file file;
static struct names *names;
static const char *own_address; /* the gateway's, or NULL */
static void (*on_refreshed)(const char *waiter);

/* Days of saving would take their time on a real disk; this one can be full. */
static int fsync_error;
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	(void)fd;
	errno = fsync_error;
	return fsync_error ? -1 : 0;
}

static void note(const char *what, const char *which)
{
	size_t length = strlen(events);
	snprintf(events + length, sizeof(events) - length, "%s%s%s;", what, which[0] ? " " : "", which);
}

/* What was called since the last time. */
#define assert_events(expected)                        \
	({                                             \
		assert_string_equal(events, expected); \
		events[0] = '\0';                      \
	})

static void find(const char *name, enum family family, struct book_entry *ret)
{
	for (size_t i = 0; i < names_count(names); i++) {
		names_entry(names, i, ret);
		if (strcmp(ret->name, name) == 0 && ret->family == family)
			return;
	}
	fail_msg("there is no %s", name);
}

/* "NAME=ADDRESS,ADDRESS": what the book has already. */
static void changed(void *userdata, const char *name)
{
	char text[1024], address[ADDR_TEXT_MAX];
	int length = snprintf(text, sizeof(text), "%s", name ? name : "all");
	struct book_entry entry;

	assert_ptr_equal(userdata, events);
	for (enum family family = 0; name && family < FAMILIES; family++) {
		find(name, family, &entry);
		for (size_t i = 0; i < entry.address_count && length < 900; i++)
			length += sprintf(text + length, "%c%s", strchr(text, '=') ? ',' : '=',
					  addr_format(&entry.addresses[i].addr, address));
	}
	note("changed", text);
}

static size_t state_changes; /* reported */

static bool refuses(void *userdata, const struct addr *addr)
{
	assert_ptr_equal(userdata, events);
	return own_address && addr_compare(addr, (struct addr[]){ make_addr(own_address) }) == 0;
}

static void refreshed(void *userdata, void *waiter)
{
	assert_ptr_equal(userdata, events);
	note("refreshed", waiter);
	if (on_refreshed)
		on_refreshed(waiter);
}

static void saved(void *userdata)
{
	assert_ptr_equal(userdata, events);
	note("saved", "");
}

static void state_changed(void *userdata)
{
	assert_ptr_equal(userdata, events);
	state_changes++;
}

static const struct names_events callbacks = { changed, refuses, refreshed, saved, state_changed };

static const char *path_of(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void make_file(struct policy_file *ret, const char *text)
{
	struct dns_server *server = malloc(sizeof(*server));

	assert_non_null(server);
	*server = (struct dns_server){ make_addr("192.0.2.53"), 53 };
	*ret = (struct policy_file){ 0 };
	make_good_policy(&ret->policy, text);
	free(ret->policy.dns_servers.items);
	ret->policy.dns_servers = (struct dns_servers){ .items = server, .count = 1 };
}

static void open_names(void)
{
	assert_int_equal(names_new(&names, NULL, NULL, directory, &callbacks, events), 0);
	assert_int_equal(names_begin(names, &file), 0);
	names_drive(names);
}

static int set_up(void **state)
{
	(void)state;
	fake_time_reset(NOW, WALL);
	fake_resolver_reset();
	fake_conntrack_reset();
	fake_log_reset();
	fsync_error = 0;
	own_address = NULL;
	on_refreshed = NULL;
	events[0] = '\0';
	names = NULL;
	snprintf(directory, sizeof(directory), "%s/spefw-names-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	make_file(&file, TEXT);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	allocations_left = -1;
	names_free(names);
	policy_free(&file.policy);
	unlink(path_of("addresses"));
	unlink(path_of("held"));
	if (rmdir(directory) < 0)
		return -1;
	return fake_timers || fake_resolvers;
}

static void restart(void)
{
	names_free(names);
	open_names();
}

/* "ADDRESS ADDRESS" of a name in a view. */
static const char *view(const char *name, bool held)
{
	static char text[2048];
	char address[ADDR_TEXT_MAX];
	struct names_view view;
	size_t length = 0, i = 0;

	text[0] = '\0';
	assert_int_equal(held ? names_held_view(names, &file.policy, &view) : names_view(names, &file.policy, &view),
			 0);
	while (i < file.policy.name_count && strcmp(file.policy.names[i].name, name) != 0)
		i++;
	assert_true(i < view.count);
	for (enum family family = 0; family < FAMILIES; family++)
		for (size_t a = 0; a < view.names[i][family].count; a++)
			length += (size_t)sprintf(text + length, "%s%s", length ? " " : "",
						  addr_format(&view.names[i][family].items[a].addr, address));
	names_view_free(&view);
	return text;
}

static int64_t deadline(const char *name)
{
	struct names_view view;
	size_t i = 0;

	assert_int_equal(names_view(names, &file.policy, &view), 0);
	while (strcmp(file.policy.names[i].name, name) != 0)
		i++;
	assert_true(view.names[i][FAMILY_4].count > 0);
	int64_t deadline_ms = view.names[i][FAMILY_4].items[0].deadline_ms;
	names_view_free(&view);
	return deadline_ms;
}

/* "CODE: text" of each reason. */
static const char *reasons(void)
{
	static char text[4096];
	struct health health = { 0 };
	size_t length = 0;

	names_reasons(names, &health);
	text[0] = '\0';
	for (size_t i = 0; i < health.reasons.count; i++)
		length +=
			(size_t)snprintf(text + length, sizeof(text) - length, "%s: %s\n",
					 health_kinds[health.reasons.items[i].code].name, health.reasons.items[i].text);
	health_free(&health);
	return text;
}

/* Until it is queried (at most a day); the time that took. */
static int64_t until_asked(const char *name, enum family family)
{
	int64_t began = now_ms();

	while (!fake_resolver_asked(name, family)) {
		assert_true(fake_time_next() < began + DAY);
		fake_time_pass(fake_time_next() - now_ms());
	}
	return now_ms() - began;
}

static void answer_peer(void)
{
	if (fake_resolver_asked(peer, FAMILY_4))
		fake_resolver_answer(peer, FAMILY_4, "198.51.100.90", 3600);
	if (fake_resolver_asked(peer, FAMILY_6))
		fake_resolver_answer(peer, FAMILY_6, "", 3600);
	if (fake_resolver_asked(one, FAMILY_6))
		fake_resolver_answer(one, FAMILY_6, "", 3600);
}

/* All names have answers, and are saved. */
static void begin_answered(void)
{
	open_names();
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	answer_peer();
	fake_time_pass(SECOND);
	events[0] = '\0';
	fake_log_reset();
}

/* One name is answered so, the others as ever, for so long. */
static void pass_answering(int64_t ms, const char *addresses, uint32_t ttl_s)
{
	int64_t end = now_ms() + ms;

	while (fake_time_next() <= end) {
		fake_time_pass(fake_time_next() - now_ms());
		answer_peer();
		if (fake_resolver_asked(one, FAMILY_4) && addresses)
			fake_resolver_answer(one, FAMILY_4, addresses, ttl_s);
		else if (fake_resolver_asked(one, FAMILY_4))
			fake_resolver_fail(one, FAMILY_4, "timeout");
	}
	fake_time_pass(end - now_ms());
}

/* Valid until the next call. */
static struct dns_answer answer_of(const char *question, enum family family, const char *addresses, uint32_t ttl_s)
{
	static struct addr list[DNS_ADDRESSES_MAX];
	struct dns_answer answer = { .question = question, .family = family, .addresses = list, .ttl_s = ttl_s };
	char *copy = strdup(addresses), *rest = copy, *word;

	assert_non_null(copy);
	while ((word = strsep(&rest, " ")))
		if (*word)
			list[answer.count++] = make_addr(word);
	free(copy);
	return answer;
}

static void learn(const char *question, enum family family, const char *addresses, uint32_t ttl_s)
{
	struct dns_answer answer = answer_of(question, family, addresses, ttl_s);

	if (names_wants(names, question, family))
		names_learn(names, &answer);
}

static void test_begin(void **state)
{
	(void)state;
	assert_int_equal(names_new(&names, NULL, NULL, directory, &callbacks, events), 0);
	names_drive(names); /* nothing yet */
	names_query_all(names);
	assert_int_equal(fake_resolvers, 0);
	assert_int_equal(names_count(names), 0);
	names_free(names);
	open_names();
	assert_int_equal(fake_resolver_server.port, 53);
	assert_false(fake_resolver_system);
	/* Both families of two names; a pattern can't be queried. */
	assert_int_equal(names_count(names), 6);
	assert_int_equal(fake_resolver_waiting(), 4);
	assert_true(fake_resolver_asked(one, FAMILY_4) && fake_resolver_asked(peer, FAMILY_6));
	assert_string_equal(reasons(), "name-unresolved: one.example.net is not resolved yet\n"
				       "name-unresolved: peer.example.net is not resolved yet\n");
	fake_resolver_answer(one, FAMILY_4, "198.51.100.2 198.51.100.1", 300);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.2;");
	assert_true(fake_log_has("one.example.net (IPv4): fresh, 2 addresses"));
	fake_resolver_answer(one, FAMILY_6, "", 300);
	fake_resolver_empty_all(300);
	assert_string_equal(reasons(), "name-empty: peer.example.net has no address in DNS\n");
	/* One family will do. */
	until_asked(peer, FAMILY_6);
	fake_resolver_answer(peer, FAMILY_6, "2001:db8:1::90", 300);
	assert_string_equal(reasons(), "");
	assert_string_equal(view(one, false), "198.51.100.1 198.51.100.2");
	assert_string_equal(view(pattern, false), "");
	names_free(names);
	names = NULL;
	assert_int_equal(access(path_of("addresses"), F_OK), 0);
}

static void test_servers_of_the_system(void **state)
{
	(void)state;
	file.policy.dns_servers.system = true;
	begin_answered();
	assert_true(fake_resolver_system);
	fake_time_pass(MINUTE);
	size_t before = fake_resolver_queries;
	fake_resolver_change();
	assert_int_equal(fake_resolver_queries - before, 4);
	assert_true(fake_log_has("DNS servers changed: all names are queried anew"));
}

/* The TTL within its limits, less a jitter of a tenth. */
static void test_ttl(void **state)
{
	static const struct {
		uint32_t ttl_s;
		int64_t interval_ms;
	} table[] = { { 300, 300 * SECOND }, { 1, 30 * SECOND }, { 86400, 15 * MINUTE }, { 0, 30 * SECOND } };

	(void)state;
	open_names();
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		fake_resolver_answer(one, FAMILY_4, "198.51.100.1", table[i].ttl_s);
		answer_peer();
		int64_t took = until_asked(one, FAMILY_4);
		assert_in_range(took, table[i].interval_ms * 9 / 10, table[i].interval_ms);
	}
}

/* An address that answers leave out stays for grace, and is held for ever. */
static void test_grace(void **state)
{
	struct book_entry entry;

	(void)state;
	begin_answered();
	until_asked(one, FAMILY_4);
	answer_peer();
	int64_t left_out = now_ms();
	fake_resolver_answer(one, FAMILY_4, "198.51.100.7", 300);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.7;");
	assert_true(fake_log_has("one.example.net (IPv4): grace, 2 addresses"));
	assert_int_equal(deadline(one), NOW + 7 * DAY + 6 * HOUR); /* for the kernel: we may not live that long */
	fake_log_reset();
	pass_answering(left_out + HOUR - 1 - now_ms(), "198.51.100.7", 300);
	assert_string_equal(view(one, false), "198.51.100.1 198.51.100.7");
	events[0] = '\0';
	pass_answering(1, "198.51.100.7", 300);
	assert_events("changed all;");
	assert_string_equal(view(one, false), "198.51.100.7");
	assert_string_equal(view(one, true), "198.51.100.1 198.51.100.7");
	find(one, FAMILY_4, &entry);
	assert_int_equal(entry.state, BOOK_FRESH);
	assert_true(fake_log_has("one.example.net (IPv4): fresh, 1 address"));
	/* Also over a restart. */
	pass_answering(10 * MINUTE, "198.51.100.7", 300);
	names_save(names);
	restart();
	assert_string_equal(view(one, false), "198.51.100.7");
	assert_string_equal(view(one, true), "198.51.100.1 198.51.100.7");
}

/* DNS fails: the last answer serves until it is stale, retries back off, and all is well again with an answer. */
static void test_outage(void **state)
{
	int64_t last = 0, confirmed, failed_first;

	(void)state;
	begin_answered();
	confirmed = now_ms() - SECOND;
	until_asked(one, FAMILY_4);
	answer_peer();
	failed_first = now_ms();
	fake_log_reset();
	fake_resolver_fail(one, FAMILY_4, "SERVFAIL");
	assert_true(fake_log_has("one.example.net (IPv4): stale, 1 address: SERVFAIL"));
	assert_string_equal(reasons(), "name-stale: one.example.net (IPv4) is stale: SERVFAIL\n");
	assert_true(state_changes > 0);
	assert_null(strstr(events, "changed"));
	/* 2 seconds at first, as long again as it has failed for, 15 minutes at most. */
	for (int i = 0; i < 30; i++) {
		int64_t since = now_ms() - failed_first, took = until_asked(one, FAMILY_4);
		int64_t expected = 2 * SECOND + since < 15 * MINUTE ? 2 * SECOND + since : 15 * MINUTE;
		assert_in_range(took, expected * 9 / 10, expected);
		answer_peer();
		fake_resolver_fail(one, FAMILY_4, "timeout");
		last = took;
	}
	assert_true(last > 13 * MINUTE);
	assert_int_equal(deadline(one), confirmed + 7 * DAY + name_margin_ms(7 * DAY));
	pass_answering(confirmed + 7 * DAY - 1 - now_ms(), NULL, 0);
	assert_string_equal(view(one, false), "198.51.100.1");
	events[0] = '\0';
	pass_answering(1, NULL, 0);
	assert_string_equal(view(one, false), "");
	assert_events("changed all;");
	assert_true(fake_log_has("one.example.net (IPv4): failing, 0 addresses: timeout"));
	assert_string_equal(reasons(), "name-failing: one.example.net (IPv4) is failing: timeout\n");
	/* With nothing to serve it is tried each minute. */
	until_asked(one, FAMILY_4);
	fake_resolver_fail(one, FAMILY_4, "timeout");
	answer_peer();
	assert_in_range(until_asked(one, FAMILY_4), 54 * SECOND, 60 * SECOND);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	assert_string_equal(reasons(), "");
	assert_string_equal(view(one, false), "198.51.100.1");
}

/* A query that can't even be sent is a failure like others. */
static void test_query_fails(void **state)
{
	(void)state;
	fake_resolver_query_error = -ENOMEM;
	open_names();
	assert_int_equal(fake_resolver_waiting(), 0);
	assert_string_equal(reasons(), "name-failing: one.example.net (IPv4) is failing: Cannot allocate memory\n"
				       "name-failing: one.example.net (IPv6) is failing: Cannot allocate memory\n"
				       "name-failing: peer.example.net (IPv4) is failing: Cannot allocate memory\n"
				       "name-failing: peer.example.net (IPv6) is failing: Cannot allocate memory\n");
	fake_resolver_query_error = 0;
	assert_in_range(until_asked(one, FAMILY_4), 1800, 2000);
}

/* 500 names: so many at once, the others one in 4 ms; and that also where a late timer finds all of them due. */
static void test_query_budget(void **state)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	fprintf(out, HEAD "[role T]\nmembers =\n");
	for (int i = 0; i < 500; i++)
		fprintf(out, " n%d.example.net\n", i);
	fprintf(out, "[flow t]\nfrom = SERVER\nto = T\nprotocol = tcp\nport = 1\n");
	fclose(out);
	policy_free(&file.policy);
	make_file(&file, text);
	free(text);
	open_names();
	assert_int_equal(fake_resolver_waiting(), 32);
	fake_time_pass(400);
	assert_in_range(fake_resolver_waiting(), 130, 133);
	assert_int_equal(fake_resolver_query(31)->asked_ms, NOW);
	assert_int_equal(fake_resolver_query(131)->asked_ms, NOW + 400);
	fake_time_pass(4 * SECOND);
	assert_int_equal(fake_resolver_waiting(), 1000);
	fake_resolver_empty_all(60);
	fake_time_pass(30 * SECOND);
	size_t before = fake_resolver_queries;
	names_query_all(names);
	assert_in_range(fake_resolver_queries - before, 30, 33);
	before = fake_resolver_queries;
	fake_time_pass(100);
	assert_in_range(fake_resolver_queries - before, 24, 26);
	/* The timer comes very late: by then all are due. */
	fake_time_pass(10 * SECOND);
	fake_resolver_empty_all(60);
	fake_time_reset(now_ms() + HOUR, WALL);
	before = fake_resolver_queries;
	names_drive(names);
	assert_int_equal(fake_resolver_queries - before, 32);
	fake_time_pass(400);
	assert_in_range(fake_resolver_queries - before, 130, 133);
}

/* Events that come in swarms: once at once, and once after the last of them. */
static void test_query_all(void **state)
{
	(void)state;
	begin_answered();
	fake_time_pass(MINUTE);
	size_t before = fake_resolver_queries;
	names_query_all(names);
	assert_int_equal(fake_resolver_queries - before, 4);
	fake_resolver_empty_all(300);
	for (int i = 0; i < 10; i++) {
		fake_time_pass(100);
		names_query_all(names);
	}
	assert_int_equal(fake_resolver_queries - before, 4);
	fake_time_pass(4 * SECOND - 1);
	assert_int_equal(fake_resolver_queries - before, 4);
	fake_time_pass(1);
	assert_int_equal(fake_resolver_queries - before, 8);
}

static void test_saving(void **state)
{
	struct stat before, after;

	(void)state;
	open_names();
	answer_peer(); /* never saved so far: that is due */
	assert_int_equal(access(path_of("addresses"), F_OK), 0);
	assert_int_equal(unlink(path_of("addresses")), 0);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	assert_int_equal(access(path_of("addresses"), F_OK), -1);
	events[0] = '\0';
	fake_time_pass(999);
	assert_events("");
	fake_time_pass(1);
	assert_events("saved;");
	assert_int_equal(stat(path_of("addresses"), &before), 0);
	assert_false(fake_log_has("can't save"));
	assert_int_equal(access(path_of("held"), F_OK), 0);
	/* Mere confirmation is saved now and then. */
	until_asked(one, FAMILY_4);
	answer_peer();
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 20 * 60);
	events[0] = '\0';
	names_save(names);
	assert_events("");
	fake_time_pass(MINUTE);
	names_save(names);
	assert_events("saved;");
	names_save(names);
	assert_events("");
	assert_int_equal(stat(path_of("addresses"), &after), 0);
	assert_true(before.st_ino != after.st_ino || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
	/* Where it fails that is logged once, is a reason, and is tried again. */
	fsync_error = ENOSPC;
	fake_log_reset();
	names_query_all(names);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.2", 300);
	fake_time_pass(2 * SECOND);
	assert_true(fake_log_has("can't save the addresses in /"));
	assert_true(fake_log_has(": No space left on device"));
	assert_non_null(strstr(reasons(), "state-unsaved: the addresses can't be saved in /"));
	fake_log_reset();
	answer_peer();
	pass_answering(5 * MINUTE, "198.51.100.2", 300);
	names_save(names);
	assert_false(fake_log_has("can't save"));
	assert_null(strstr(events, "saved"));
	fsync_error = 0;
	names_save(names); /* not that soon */
	assert_null(strstr(events, "saved"));
	pass_answering(5 * MINUTE, "198.51.100.2", 300);
	names_save(names);
	assert_non_null(strstr(events, "saved"));
	assert_null(strstr(reasons(), "state-unsaved"));
}

/* No news, no file. */
static void test_saved_once(void **state)
{
	(void)state;
	policy_free(&file.policy);
	make_file(&file, HEAD PATTERN);
	open_names();
	learn("x.example.org", FAMILY_4, "198.51.100.40", 24 * 3600);
	events[0] = '\0';
	fake_time_pass(SECOND);
	assert_events("saved;");
	fake_time_pass(HOUR);
	names_save(names);
	assert_events("");
}

/* What cannot be written whole. */
static void test_saving_half(void **state)
{
	(void)state;
	begin_answered();
	assert_int_equal(unlink(path_of("held")), 0);
	assert_int_equal(mkdir(path_of("held"), 0700), 0);
	names_query_all(names);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.2", 300);
	fake_time_pass(SECOND);
	assert_non_null(strstr(reasons(), "state-unsaved: "));
	assert_int_equal(rmdir(path_of("held")), 0);
}

/* A restart serves from what was saved, until DNS answers something else. */
static void test_remembered(void **state)
{
	struct book_entry entry;

	(void)state;
	begin_answered();
	names_free(names);
	fake_time_pass(2 * DAY); /* off */
	events[0] = '\0';
	fake_log_reset();
	open_names();
	assert_int_equal(fake_log_lines, 0);
	assert_events("");
	find(one, FAMILY_4, &entry);
	assert_int_equal(entry.state, BOOK_STALE);
	assert_int_equal(entry.addresses[0].origin, ORIGIN_REMEMBERED);
	assert_string_equal(view(one, false), "198.51.100.1");
	assert_int_equal(deadline(one), now_ms() - 2 * DAY - SECOND + 7 * DAY + 6 * HOUR);
	/* What was not saved is not lost where the kernel has it; but what it has had for too long is. */
	names_remember(names, one, (struct addr[]){ make_addr("198.51.100.3") }, DAY);
	names_remember(names, one, (struct addr[]){ make_addr("198.51.100.4") }, 8 * DAY);
	names_remember(names, "gone.example.net", (struct addr[]){ make_addr("198.51.100.5") }, 0);
	assert_string_equal(view(one, false), "198.51.100.1 198.51.100.3");
	assert_string_equal(view(one, true), "198.51.100.1 198.51.100.3");
	assert_int_equal(fake_log_lines, 0);
	/* An answer without it begins its grace. */
	fake_resolver_answer(one, FAMILY_4, "198.51.100.3", 300);
	pass_answering(HOUR, "198.51.100.3", 300);
	assert_string_equal(view(one, false), "198.51.100.3");
	/* Off for longer than stale. */
	names_free(names);
	fake_time_pass(8 * DAY);
	open_names();
	assert_string_equal(view(one, false), "");
	assert_string_equal(view(one, true), "198.51.100.1 198.51.100.3");
}

static void test_damaged_files(void **state)
{
	FILE *out;

	(void)state;
	begin_answered();
	names_free(names);
	out = fopen(path_of("addresses"), "a");
	assert_non_null(out);
	fputs("nonsense\n", out);
	fclose(out);
	assert_int_equal(unlink(path_of("held")), 0);
	assert_int_equal(mkdir(path_of("held"), 0700), 0);
	open_names();
	assert_true(fake_log_has("the remembered addresses in /"));
	assert_true(fake_log_has("what names have held in /"));
	assert_string_equal(view(one, false), "198.51.100.1");
	assert_int_equal(rmdir(path_of("held")), 0);
}

/* Addresses that no name may have are logged, once for the same ones. */
static void test_refused(void **state)
{
	(void)state;
	own_address = "198.51.100.254";
	open_names();
	fake_resolver_answer(one, FAMILY_4, "10.0.0.1 198.51.100.254 198.51.100.1", 30);
	assert_events("changed one.example.net=198.51.100.1;");
	assert_true(fake_log_has("one.example.net: the answer 10.0.0.1 is private: refused"));
	assert_true(fake_log_has("the answer 198.51.100.254 is the server's or this gateway's own: refused"));
	answer_peer();
	fake_log_reset();
	until_asked(one, FAMILY_4);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.254 10.0.0.1 198.51.100.1", 30);
	assert_int_equal(fake_log_lines, 0);
	until_asked(one, FAMILY_4);
	fake_resolver_answer(one, FAMILY_4,
			     "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9", 30);
	assert_true(fake_log_has("10.0.0.8 is private"));
	assert_false(fake_log_has("10.0.0.9 is private"));
	/* The gateway gets an address that a name has. */
	fake_time_pass(SECOND);
	assert_false(names_recheck(names));
	own_address = "198.51.100.1";
	assert_true(names_recheck(names));
	assert_string_equal(view(one, false), "");
}

/* The policy in force does not protect what its candidate does: there the name gives it nothing. */
static void test_protected_by_a_candidate(void **state)
{
	(void)state;
	open_names();
	fake_resolver_answer(peer, FAMILY_4, "192.0.2.25 198.51.100.9", 30);
	assert_events("changed peer.example.net=192.0.2.25,198.51.100.9;");
	assert_string_equal(view(peer, false), "198.51.100.9");
	assert_string_equal(view(peer, true), "198.51.100.9");
}

static int refresh(const char *waiter, const char *first, const char *second)
{
	const char *wanted[] = { first, second }, *unknown = "";
	int r = names_refresh(names, (void *)waiter, wanted, !!first + !!second, &unknown);

	if (r == -ENOENT)
		note("unknown", unknown);
	return r;
}

static void test_refresh(void **state)
{
	(void)state;
	begin_answered();
	fake_time_pass(MINUTE);
	assert_int_equal(refresh("a", one, NULL), 0);
	assert_int_equal(refresh("b", NULL, NULL), 0);
	assert_int_equal(refresh("c", one, one), 0);
	assert_int_equal(refresh("d", pattern, NULL), 1);
	assert_int_equal(refresh("e", one, "two.example.net"), -ENOENT);
	assert_events("unknown two.example.net;");
	fake_time_pass(1);
	assert_int_equal(fake_resolver_waiting(), 4);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	assert_events("changed one.example.net=198.51.100.1;");
	fake_resolver_answer(one, FAMILY_6, "", 300);
	assert_events("changed one.example.net=198.51.100.1;refreshed c;refreshed a;");
	fake_resolver_fail(peer, FAMILY_4, "SERVFAIL");
	assert_events("");
	fake_resolver_fail(peer, FAMILY_6, "SERVFAIL");
	assert_events("refreshed b;");
	/* The same family twice is not both of them. */
	assert_int_equal(refresh("g", one, NULL), 0);
	fake_time_pass(1);
	fake_resolver_answer(one, FAMILY_4, "", 30);
	until_asked(one, FAMILY_4);
	fake_resolver_answer(one, FAMILY_4, "", 30);
	assert_null(strstr(events, "refreshed"));
	fake_resolver_answer(one, FAMILY_6, "", 300);
	assert_non_null(strstr(events, "refreshed g;"));
	events[0] = '\0';
	/* What was under way will do, unless it fails: then it is tried at once, and that is waited for. */
	until_asked(peer, FAMILY_4);
	until_asked(peer, FAMILY_6);
	assert_int_equal(refresh("f", peer, NULL), 0);
	fake_time_pass(1);
	fake_resolver_answer(peer, FAMILY_6, "", 300);
	fake_resolver_fail(peer, FAMILY_4, "SERVFAIL");
	events[0] = '\0';
	assert_true(fake_resolver_asked(peer, FAMILY_4));
	fake_resolver_fail(peer, FAMILY_4, "SERVFAIL");
	assert_events("refreshed f;");
}

static void test_refresh_fails_at_once(void **state)
{
	(void)state;
	begin_answered();
	fake_time_pass(MINUTE);
	fake_resolver_query_error = -EINVAL;
	assert_int_equal(refresh("a", NULL, NULL), 0);
	assert_events("");
	fake_time_pass(1);
	assert_events("refreshed a;");
	policy_free(&file.policy);
	names_free(names);
	make_file(&file, HEAD);
	open_names();
	assert_int_equal(refresh("b", NULL, NULL), 1);
	events[0] = '\0';
}

static void forget_others(const char *waiter)
{
	static const char *const all[] = { "a", "b", "c" };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		if (strcmp(all[i], waiter) != 0)
			names_forget_waiter(names, all[i]);
}

static void test_refresh_forgotten(void **state)
{
	static const char a[] = "a", b[] = "b", c[] = "c";
	struct policy other;

	(void)state;
	begin_answered();
	assert_int_equal(refresh(a, peer, NULL), 0);
	assert_int_equal(refresh(b, peer, NULL), 0);
	names_forget_waiter(names, a);
	names_forget_waiter(names, a);
	/* No policy has the name any more: nobody waits for it. */
	assert_int_equal(refresh(c, one, NULL), 0);
	make_good_policy(&other, HEAD ONE);
	assert_int_equal(names_want(names, &other, NULL), 0);
	policy_free(&other);
	assert_events("refreshed b;");
	fake_time_pass(1);
	fake_resolver_answer(one, FAMILY_6, "", 300);
	events[0] = '\0';
	fake_resolver_answer(one, FAMILY_4, "", 300);
	assert_events("changed one.example.net=198.51.100.1;refreshed c;");
	fake_resolver_empty_all(300); /* of a name that is wanted no more */
	events[0] = '\0';
	/* Who is called may do what it likes. */
	on_refreshed = forget_others;
	for (const char *const *waiter = (const char *const[]){ "a", "b", "c", NULL }; *waiter; waiter++)
		assert_int_equal(refresh(*waiter, one, NULL), 0);
	fake_time_pass(1);
	fake_resolver_answer(one, FAMILY_6, "", 300);
	fake_resolver_fail(one, FAMILY_4, "SERVFAIL");
	assert_events("changed one.example.net=198.51.100.1;refreshed c;");
	/* And at the end they are gone unanswered. */
	on_refreshed = NULL;
	assert_int_equal(refresh("a", NULL, NULL), 0);
}

static void test_follow(void **state)
{
	struct policy_file old = file;
	struct policy *policy = &file.policy;
	struct dns_server first = file.policy.dns_servers.items[0];

	(void)state;
	begin_answered();
	until_asked(one, FAMILY_4);
	size_t before = fake_resolver_queries;
	/* The same servers: nothing is queried again. */
	assert_int_equal(names_follow(names, &old), 0);
	assert_int_equal(fake_resolver_queries, before);
	assert_int_equal(fake_log_lines, 0);
	/* Others: what is under way goes to them, and all other names are queried. */
	old.policy.dns_servers.items = &first;
	file.policy.dns_servers.items[0] = (struct dns_server){ make_addr("192.0.2.99"), 5353 };
	assert_int_equal(names_follow(names, &old), 0);
	assert_int_equal(fake_resolvers, 1);
	assert_int_equal(fake_resolver_server.port, 5353);
	assert_int_equal(fake_resolver_queries - before, 3);
	assert_int_equal(fake_resolver_waiting(), 4);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	answer_peer();
	/* They can't be had: the old ones are still queried, that is a reason, and it is tried again. */
	fake_log_reset();
	old = file;
	file.policy.dns_servers.system = true;
	fake_resolver_error = -EMFILE;
	assert_int_equal(names_follow(names, &old), -EMFILE);
	assert_true(names_not_followed(names));
	assert_string_equal(reasons(), "names-not-followed: the names of the policy are not followed yet\n");
	assert_true(fake_log_has("can't follow the names of the new policy yet: Too many open files"));
	assert_int_equal(names_follow(names, NULL), -EMFILE);
	assert_int_equal(fake_log_lines, 1);
	assert_int_equal(fake_resolver_server.port, 5353);
	fake_time_pass(MINUTE);
	fake_resolver_error = 0;
	before = fake_resolver_queries;
	assert_int_equal(names_follow(names, NULL), 0);
	assert_false(names_not_followed(names));
	assert_true(fake_resolver_system);
	assert_int_equal(fake_resolver_queries - before, 4);
	assert_string_equal(reasons(), "");
	/* Other names, and shorter intervals. */
	answer_peer();
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 24 * 3600);
	fake_time_pass(MINUTE);
	policy_free(policy);
	make_good_policy(policy,
			 HEAD ONE "[flow two]\nfrom = SERVER\nto = two.example.net\nprotocol = tcp\nport = 4\n");
	old = file;
	file.policy.max_interval_ms = 2 * MINUTE;
	assert_int_equal(names_follow(names, &old), 0);
	assert_false(fake_resolver_asked(one, FAMILY_4));
	assert_int_equal(names_count(names), 4);
	assert_true(fake_resolver_asked("two.example.net", FAMILY_4));
	assert_string_equal(view(one, false), "198.51.100.1");
	assert_in_range(until_asked(one, FAMILY_4), 0, MINUTE);
}

/* What a name may not have any more is dropped, and then the kernel drops it: what `refuses` gives may have changed
 * with the policy, and whether the name may have private addresses. */
static void test_follow_rechecks(void **state)
{
	struct policy_file old = file;

	(void)state;
	begin_answered();
	own_address = "198.51.100.1";
	assert_int_equal(names_follow(names, &old), 0);
	assert_string_equal(view(one, false), "");
	assert_events("changed all;");
	policy_free(&file.policy);
	make_good_policy(&file.policy, HEAD ONE "allow_private = yes\n");
	assert_int_equal(names_follow(names, &old), 0);
	fake_resolver_answer(one, FAMILY_4, "10.0.0.1", 300);
	assert_string_equal(view(one, false), "10.0.0.1");
	policy_free(&file.policy);
	make_good_policy(&file.policy, HEAD ONE);
	events[0] = '\0';
	assert_int_equal(names_follow(names, &old), 0);
	assert_string_equal(view(one, false), "");
	assert_events("changed all;");
	/* Also where the names could not be followed. */
	names_query_all(names);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.9", 300);
	events[0] = '\0';
	own_address = "198.51.100.9";
	fake_resolver_error = -EMFILE;
	assert_int_equal(names_follow(names, NULL), -EMFILE);
	assert_string_equal(view(one, false), "");
	assert_events("changed all;");
}

/* While a change is under way, names of both policies are wanted; one that is refused loses nothing. */
static void test_want_both(void **state)
{
	struct policy next;

	(void)state;
	begin_answered();
	make_good_policy(&next, HEAD "[flow two]\nfrom = SERVER\nto = two.example.net one.example.net\nprotocol = tcp\n"
				     "port = 4\nallow_private = yes\n");
	assert_int_equal(names_want(names, &file.policy, &next), 0);
	assert_int_equal(names_count(names), 8);
	assert_string_equal(view(one, false), "198.51.100.1");
	assert_false(names_wants(names, "two.example.net", FAMILY_4)); /* not yet */
	names_drive(names);
	fake_resolver_answer(one, FAMILY_4, "10.0.0.1", 300);
	assert_string_equal(view(one, false), "10.0.0.1 198.51.100.1");
	assert_int_equal(names_want(names, &file.policy, NULL), 0);
	assert_int_equal(names_count(names), 6);
	assert_string_equal(view(one, false), "198.51.100.1");
	policy_free(&next);
}

static void test_learn(void **state)
{
	(void)state;
	begin_answered();
	assert_true(names_wants(names, one, FAMILY_4) && names_wants(names, one, FAMILY_6));
	assert_true(names_wants(names, "a.b.example.org", FAMILY_4));
	assert_false(names_wants(names, "example.org", FAMILY_4));
	assert_false(names_wants(names, "aexample.org", FAMILY_4));
	assert_false(names_wants(names, peer, FAMILY_4)); /* a source: it would have rights */
	assert_false(names_wants(names, "cdn.example.com", FAMILY_4));

	learn(one, FAMILY_4, "198.51.100.9", 60);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.9;");
	assert_true(fake_log_has("one.example.net: learned from an answer to the server: 198.51.100.9\n"));
	assert_int_equal(names_figures(names).learned, 1);
	fake_time_pass(SECOND);
	assert_events("saved;");
	/* The same again is confirmed, and no news for the log. */
	fake_log_reset();
	learn(one, FAMILY_4, "198.51.100.9 198.51.100.1", 60);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.9;");
	assert_int_equal(fake_log_lines, 0);
	assert_int_equal(names_figures(names).learned, 2);
	fake_time_pass(SECOND);
	assert_events("");
	learn(one, FAMILY_6, "2001:db8:1::9", 60);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.9,2001:db8:1::9;");
	assert_true(fake_log_has("one.example.net: learned from an answer to the server: 2001:db8:1::9\n"));
	learn(one, FAMILY_4, "198.51.100.5 198.51.100.9", 60);
	assert_true(fake_log_has("one.example.net: learned from an answer to the server: 198.51.100.5\n"));
	events[0] = '\0';
	learn("x.example.org", FAMILY_4, "198.51.100.40 10.1.1.1", 60);
	assert_events("changed *.example.org=198.51.100.40;");
	assert_true(fake_log_has("*.example.org: the answer 10.1.1.1 is private: refused"));
	learn("y.example.org", FAMILY_4,
	      "198.51.100.40 198.51.100.41 198.51.100.42 198.51.100.43 198.51.100.44 198.51.100.45", 60);
	assert_true(fake_log_has("learned from an answer to the server: 198.51.100.41, 198.51.100.42, 198.51.100.43, "
				 "198.51.100.44 and more\n"));
	/* It is none of what the name has held by our own answers. */
	assert_string_equal(view(one, true), "198.51.100.1 198.51.100.5 198.51.100.9 2001:db8:1::9");
	fake_time_pass(SECOND);
	pass_answering(DAY, "198.51.100.1", 300);
	assert_string_equal(view(one, true), "198.51.100.1");
	/* A name that is in the policy, but that no flow uses. */
	events[0] = '\0';
	struct policy other;
	make_good_policy(&other, HEAD PEER);
	assert_int_equal(names_want(names, &other, NULL), 0);
	policy_free(&other);
	learn("x.example.org", FAMILY_4, "198.51.100.40", 60);
	assert_events("");
}

/* The server may query what a name is an alias of. */
static void test_learn_by_alias(void **state)
{
	(void)state;
	open_names();
	fake_resolver_answer_by(one, FAMILY_4, "cdn.example.com edge.example.com", "198.51.100.1", 300);
	events[0] = '\0';
	assert_true(names_wants(names, "edge.example.com", FAMILY_4));
	assert_false(names_wants(names, "edge.example.com", FAMILY_6));
	learn("cdn.example.com", FAMILY_4, "198.51.100.9", 60);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.9;");
	/* Until an answer shows otherwise. */
	until_asked(one, FAMILY_4);
	fake_resolver_answer_by(one, FAMILY_4, "other.example.com", "198.51.100.1", 300);
	assert_false(names_wants(names, "cdn.example.com", FAMILY_4));
	assert_true(names_wants(names, "other.example.com", FAMILY_4));
	/* What one answer teaches many names goes to the kernel at most twice. */
	until_asked(one, FAMILY_4);
	fake_resolver_answer_by(one, FAMILY_4, "x.example.org", "198.51.100.1", 300);
	events[0] = '\0';
	learn("x.example.org", FAMILY_4, "198.51.100.30", 60);
	assert_events("changed one.example.net=198.51.100.1,198.51.100.30;changed all;");
	/* A source is not learned by its aliases either. */
	fake_resolver_answer_by(peer, FAMILY_4, "mail.example.com", "198.51.100.90", 300);
	assert_false(names_wants(names, "mail.example.com", FAMILY_4));
}

/* What was learned while a name was a target alone is not believed of it as a source. */
static void test_learned_then_source(void **state)
{
	(void)state;
	begin_answered();
	learn(one, FAMILY_4, "198.51.100.9", 3600);
	policy_free(&file.policy);
	make_file(&file, HEAD ONE "[flow two]\nfrom = one.example.net\nto = SERVER\nprotocol = tcp\nport = 4\n");
	assert_string_equal(view(one, false), "198.51.100.1");
	assert_string_equal(view(one, true), "198.51.100.1");
}

static struct tracked connection(const char *target)
{
	return (struct tracked){
		.packet = { make_addr("192.0.2.25"), make_addr(target), PROTOCOL_TCP, 50000, 8443, false }, .open = true
	};
}

/* What was learned ends with its TTL, two minutes at least, but not while a connection uses it. */
static void test_learned_ends(void **state)
{
	struct tracked tracked = connection("198.51.100.41");

	(void)state;
	begin_answered();
	learn("x.example.org", FAMILY_4, "198.51.100.40 198.51.100.41 198.51.100.42", 60);
	fake_conntrack_add(&tracked);
	pass_answering(2 * MINUTE - 1, "198.51.100.1", 300);
	assert_int_equal(fake_conntrack_looks, 0);
	assert_string_equal(view(pattern, false), "198.51.100.40 198.51.100.41 198.51.100.42");
	int64_t until = deadline(pattern);
	events[0] = '\0';
	pass_answering(1, "198.51.100.1", 300);
	assert_events("changed all;changed all;"); /* one lives longer, the others are gone */
	assert_int_equal(fake_conntrack_looks, 1);
	assert_string_equal(view(pattern, false), "198.51.100.41");
	assert_int_equal(deadline(pattern), until + 30 * SECOND);
	/* Connections are read once in 30 seconds: what ends meanwhile waits. */
	learn("x.example.org", FAMILY_4, "198.51.100.43", 60);
	pass_answering(2 * MINUTE - 1, "198.51.100.1", 300);
	assert_int_equal(fake_conntrack_looks, 4);
	pass_answering(1, "198.51.100.1", 300);
	assert_int_equal(fake_conntrack_looks, 5);
	assert_string_equal(view(pattern, false), "198.51.100.41");
	fake_time_pass(15 * SECOND);
	learn("x.example.org", FAMILY_4, "198.51.100.44", 60);
	pass_answering(2 * MINUTE, "198.51.100.1", 300);
	assert_string_equal(view(pattern, false), "198.51.100.41 198.51.100.44");
	pass_answering(15 * SECOND, "198.51.100.1", 300);
	assert_string_equal(view(pattern, false), "198.51.100.41");
	/* Where they can't be read, nothing ends. */
	fake_conntrack_error = -EPERM;
	fake_conntrack_reset();
	fake_conntrack_error = -EPERM;
	pass_answering(HOUR, "198.51.100.1", 300);
	assert_string_equal(view(pattern, false), "198.51.100.41");
	fake_conntrack_error = 0;
	pass_answering(30 * SECOND, "198.51.100.1", 300);
	assert_string_equal(view(pattern, false), "");
	/* All that is saved, too. */
	learn("x.example.org", FAMILY_4, "198.51.100.45", 600);
	restart();
	assert_string_equal(view(pattern, false), "198.51.100.45");
}

/* Of several names, in no order. */
static void test_learned_ends_together(void **state)
{
	static const char *const used[] = { "198.51.100.4", "198.51.100.41", "198.51.100.60" };

	(void)state;
	begin_answered();
	for (size_t i = 0; i < COUNT_OF(used); i++) {
		struct tracked tracked = connection(used[i]);
		fake_conntrack_add(&tracked);
	}
	learn("x.example.org", FAMILY_4, "198.51.100.40 198.51.100.41 198.51.100.60 198.51.100.61", 60);
	learn(one, FAMILY_4, "198.51.100.3 198.51.100.4 198.51.100.60", 60);
	pass_answering(2 * MINUTE, "198.51.100.1", 300);
	assert_string_equal(view(pattern, false), "198.51.100.41 198.51.100.60");
	assert_string_equal(view(one, false), "198.51.100.1 198.51.100.4 198.51.100.60");
	assert_int_equal(fake_conntrack_looks, 1);
}

static struct packet denied_packet(const char *source, const char *target, uint16_t port)
{
	return (struct packet){ make_addr(source), make_addr(target), PROTOCOL_TCP, 50000, port, false };
}

static size_t queries_of(const char *source, const char *target, uint16_t port)
{
	struct packet packet = denied_packet(source, target, port);
	size_t before = fake_resolver_queries;

	names_denied(names, &packet);
	return fake_resolver_queries - before;
}

static void test_denied(void **state)
{
	(void)state;
	begin_answered();
	/* Queried a short time ago: not before min_interval is over. */
	assert_int_equal(queries_of("192.0.2.25", "198.51.100.200", 443), 0);
	size_t before = fake_resolver_queries;
	fake_time_pass(29 * SECOND - 1);
	assert_int_equal(fake_resolver_queries, before);
	fake_time_pass(1);
	assert_int_equal(fake_resolver_queries, before + 1);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.200", 300);
	assert_string_equal(view(one, false), "198.51.100.1 198.51.100.200");
	fake_time_pass(MINUTE);
	/* Another port, a peer that is no source of the flow, a target that no name could have, a pattern. */
	assert_int_equal(queries_of("192.0.2.25", "198.51.100.200", 444), 0);
	assert_int_equal(queries_of("198.51.100.7", "192.0.2.25", 443), 0);
	assert_int_equal(queries_of("192.0.2.25", "10.0.0.1", 443), 0);
	assert_int_equal(queries_of("192.0.2.25", "198.51.100.200", 8443), 0);
	/* The family of the packet alone, and what is under way or due is not queried twice. */
	assert_int_equal(queries_of("2001:db8::25", "2001:db8:1::200", 443), 1);
	assert_true(fake_resolver_asked(one, FAMILY_6));
	assert_int_equal(queries_of("192.0.2.25", "198.51.100.200", 443), 1);
	assert_int_equal(queries_of("192.0.2.25", "198.51.100.200", 443), 0);
	assert_int_equal(names_figures(names).denial_refused, 0);
}

/* A flow to 200 names: denials make 60 of them be queried at once, and one more a second; those first that were
 * queried longest ago. */
static void test_denial_budget(void **state)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	fprintf(out, HEAD "[role T]\nmembers =\n");
	for (int i = 0; i < 200; i++)
		fprintf(out, " n%d.example.net\n", i);
	fprintf(out, "[flow t]\nfrom = SERVER\nto = T\nprotocol = tcp\nport = 443\n");
	fclose(out);
	policy_free(&file.policy);
	make_file(&file, text);
	free(text);
	open_names();
	fake_time_pass(5 * SECOND);
	fake_resolver_empty_all(3600);
	fake_time_pass(MINUTE);
	size_t before = fake_resolver_queries;
	struct packet packet = denied_packet("192.0.2.25", "198.51.100.200", 443);
	names_denied(names, &packet);
	fake_time_pass(SECOND);
	assert_int_equal(fake_resolver_queries - before, 60);
	assert_true(names_figures(names).denial_exhausted);
	assert_int_equal(names_figures(names).denial_refused, 1);
	fake_resolver_empty_all(3600);
	names_denied(names, &packet);
	fake_time_pass(10);
	assert_int_equal(fake_resolver_queries - before, 61);
	fake_time_pass(MINUTE + SECOND);
	assert_false(names_figures(names).denial_exhausted);
	assert_int_equal(names_figures(names).denial_refused, 2);
}

static void test_copies_lost(void **state)
{
	(void)state;
	begin_answered();
	fake_time_pass(MINUTE);
	size_t before = fake_resolver_queries;
	names_copies_lost(names);
	assert_int_equal(fake_resolver_queries - before, 4);
	fake_resolver_empty_all(3600);
	/* Many losses: once more, a second later, for what was lost since; as often as the names may be queried. */
	file.policy.min_interval_ms = 0;
	for (int i = 0; i < 100; i++)
		names_copies_lost(names);
	fake_time_pass(SECOND - 1);
	assert_int_equal(fake_resolver_queries - before, 4);
	fake_time_pass(1);
	assert_int_equal(fake_resolver_queries - before, 8);
	fake_resolver_empty_all(3600);
	fake_time_pass(10 * SECOND);
	assert_int_equal(fake_resolver_queries - before, 8);
}

/* Each allocation fails in turn: -ENOMEM or a line in the log, and what was known stays. */
static void test_no_memory(void **state)
{
	struct names_view all;
	struct policy_file old = file;
	struct dns_answer answer = answer_of(one, FAMILY_4, "198.51.100.9", 3600);
	struct packet packet = denied_packet("192.0.2.25", "198.51.100.200", 443);
	const char *unknown, *const wanted[] = { one };
	int failed = 0;

	(void)state;
	for (long n = 0;; n++) {
		struct names *other;
		allocations_left = n;
		fake_timer_fails = n == 0 ? 0 : -1;
		int r = names_new(&other, NULL, NULL, directory, &callbacks, events);
		allocations_left = -1;
		fake_timer_fails = -1;
		if (r == 0) {
			allocations_left = n;
			r = names_begin(other, &file);
			allocations_left = -1;
			names_drive(other);
			names_free(other);
		}
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0)
			break;
		failed++;
	}
	assert_true(failed > 5);
	fake_timer_fails = 0;
	assert_int_equal(names_new(&names, NULL, NULL, directory, &callbacks, events), -ENOMEM);
	fake_timer_fails = -1;
	begin_answered();
	fake_time_pass(MINUTE);
	for (long n = 0, r = -ENOMEM; r < 0; n++) {
		allocations_left = n;
		r = names_view(names, &file.policy, &all);
		allocations_left = -1;
		names_view_free(&all);
	}
	for (long n = 0, r = -ENOMEM; r < 0; n++) {
		allocations_left = n;
		r = names_held_view(names, &file.policy, &all);
		allocations_left = -1;
		names_view_free(&all);
	}
	for (long n = 0, r = -ENOMEM; r < 0; n++) {
		allocations_left = n;
		r = names_want(names, &file.policy, &file.policy);
		allocations_left = -1;
		assert_int_equal(names_count(names), 6);
	}
	for (long n = 0, r = -ENOMEM; r < 0; n++) {
		allocations_left = n;
		r = names_follow(names, &old);
		allocations_left = -1;
		assert_int_equal(names_not_followed(names), r < 0);
	}
	for (long n = 0, r = -ENOMEM; r < 0; n++) {
		allocations_left = n;
		r = names_refresh(names, NULL, wanted, 1, &unknown);
		allocations_left = -1;
	}
	names_forget_waiter(names, NULL);
	assert_string_equal(view(one, false), "198.51.100.1");
	fake_log_reset();
	allocations_left = 0;
	names_learn(names, &answer);
	names_denied(names, &packet);
	names_remember(names, pattern, &answer.addresses[0], 0);
	allocations_left = -1;
	assert_true(fake_log_has("out of memory: an answer for one.example.net is lost"));
	assert_true(fake_log_has("out of memory: one.example.net is not queried"));
	assert_true(fake_log_has("out of memory: an address of *.example.org in the kernel is forgotten"));
}

/* Another configuration, which is in force from now on. */
static void follow(const char *text)
{
	struct policy_file old = file;

	make_file(&file, text);
	assert_int_equal(names_follow(names, &old), 0);
	policy_free(&old.policy);
}

/* A name of one family: the other one is not queried, learned, shown or missed. */
static void test_family(void **state)
{
	(void)state;
	open_names();
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	fake_resolver_answer(one, FAMILY_6, "2001:db8:77::1", 300);
	answer_peer();
	assert_string_equal(view(one, false), "198.51.100.1 2001:db8:77::1");
	follow(TEXT "[name one.example.net]\nfamily = ipv6\n[name *.example.org]\nfamily = ipv4\n");
	assert_string_equal(view(one, false), "2001:db8:77::1");
	assert_string_equal(view(one, true), "2001:db8:77::1"); /* a connection to the other one is cut */
	assert_int_equal(refresh("a", one, NULL), 0);
	fake_time_pass(1);
	assert_false(fake_resolver_asked(one, FAMILY_4));
	events[0] = '\0';
	fake_resolver_answer(one, FAMILY_6, "", 300);
	assert_non_null(strstr(events, "refreshed a;"));
	assert_false(names_wants(names, one, FAMILY_4));
	learn(one, FAMILY_4, "198.51.100.1", 300);
	learn("a.example.org", FAMILY_6, "2001:db8:88::1", 300);
	learn("a.example.org", FAMILY_4, "198.51.100.88", 300);
	assert_string_equal(view(pattern, false), "198.51.100.88");
	assert_string_equal(view(one, false), "2001:db8:77::1");
	fake_time_pass(2 * HOUR); /* grace */
	for (int i = 0; i < 100 && view(one, false)[0]; i++) {
		until_asked(one, FAMILY_6);
		fake_resolver_answer(one, FAMILY_6, "", 300);
	}
	assert_false(fake_resolver_asked(one, FAMILY_4));
	assert_non_null(strstr(reasons(), "name-empty: one.example.net "));
	restart(); /* nor is it remembered */
	assert_false(fake_resolver_asked(one, FAMILY_4));
	follow(TEXT);
	assert_true(fake_resolver_asked(one, FAMILY_4));
}

/* Every name fails by one cause: it is said once, and named. */
static void test_silent_servers(void **state)
{
	static const char dead[] = "dns-server: DNS server 192.0.2.53 does not answer: the last answers serve\n";

	(void)state;
	begin_answered();
	follow(TEXT "[flow two]\nfrom = SERVER\nto = two.example.net\nprotocol = tcp\nport = 443\n");
	fake_resolver_answer("two.example.net", FAMILY_4, "198.51.100.2", 3600);
	fake_resolver_answer("two.example.net", FAMILY_6, "", 3600);
	assert_string_equal(reasons(), "");
	fake_time_pass(10 * MINUTE);
	until_asked(one, FAMILY_4);
	fake_resolver_silence(one, FAMILY_4);
	/* That may be the name's own servers: another name is queried at once, and tells. */
	assert_string_equal(reasons(), "name-stale: one.example.net (IPv4) is stale: timeout\n");
	assert_true(fake_resolver_asked(peer, FAMILY_4) || fake_resolver_asked(peer, FAMILY_6));
	fake_time_pass(SECOND);
	for (enum family family = 0; family < FAMILIES; family++)
		if (fake_resolver_asked(peer, family))
			fake_resolver_silence(peer, family);
	assert_string_equal(reasons(), dead);
	until_asked(one, FAMILY_6);
	fake_resolver_silence(one, FAMILY_6);
	assert_string_equal(reasons(), dead);
	assert_int_equal(state_changes > 0, true);

	/* One sign of life, and all that waits for its next try is queried. */
	until_asked(one, FAMILY_4);
	fake_time_pass(10 * MINUTE);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.1", 300);
	assert_null(strstr(reasons(), "dns-server"));
	fake_time_pass(5 * SECOND);
	assert_true(fake_resolver_asked(peer, FAMILY_4) && fake_resolver_asked(one, FAMILY_6));
	answer_peer();
	if (fake_resolver_asked("two.example.net", FAMILY_4))
		fake_resolver_answer("two.example.net", FAMILY_4, "198.51.100.2", 3600);
	assert_string_equal(reasons(), "");
}

/* The resolver is there, and has no word of one name: that is the name's own reason. */
static void test_silent_name(void **state)
{
	(void)state;
	begin_answered();
	fake_time_pass(10 * MINUTE);
	until_asked(one, FAMILY_4);
	fake_resolver_silence(one, FAMILY_4);
	assert_true(fake_resolver_asked(peer, FAMILY_4) || fake_resolver_asked(peer, FAMILY_6));
	fake_time_pass(SECOND);
	if (fake_resolver_asked(peer, FAMILY_4))
		fake_resolver_fail(peer, FAMILY_4, "SERVFAIL"); /* also a sign of life */
	if (fake_resolver_asked(peer, FAMILY_6))
		fake_resolver_fail(peer, FAMILY_6, "SERVFAIL");
	until_asked(one, FAMILY_4);
	fake_resolver_silence(one, FAMILY_4);
	if (fake_resolver_asked(peer, FAMILY_4))
		fake_resolver_fail(peer, FAMILY_4, "REFUSED");
	assert_null(strstr(reasons(), "dns-server"));
	assert_non_null(strstr(reasons(), "name-stale: one.example.net (IPv4) is stale: timeout\n"));
	assert_non_null(strstr(reasons(), "peer.example.net"));
}

/* From the start, and with one name only: there is no other one to ask. */
static void test_silent_from_the_start(void **state)
{
	(void)state;
	policy_free(&file.policy);
	make_file(&file, HEAD ONE);
	fake_resolver_server = (struct dns_server){ make_addr("2001:db8::53"), 5353 };
	open_names();
	fake_resolver_server = (struct dns_server){ make_addr("2001:db8::53"), 5353 };
	fake_resolver_silence(one, FAMILY_4);
	fake_resolver_silence(one, FAMILY_6);
	assert_string_equal(reasons(),
			    "dns-server: DNS server 2001:db8::53#5353 does not answer: 1 name has no address\n");
	fake_resolver_server.port = 0;
	assert_string_equal(reasons(), "dns-server: there is no DNS server to query: 1 name has no address\n");
}

/* An answer that the name may not have: which, why, and what would let it in. */
static void test_refused_reason(void **state)
{
	const struct policy_flow *flow;
	struct book_entry entry;
	struct health health = { 0 };

	(void)state;
	open_names();
	fake_resolver_answer(one, FAMILY_4, "10.1.2.3 127.0.0.1", 300);
	fake_resolver_answer(one, FAMILY_6, "fe80::1", 300);
	answer_peer();
	assert_string_equal(reasons(), "name-refused: one.example.net has no address that it may have: 10.1.2.3 (and 2 "
				       "more) is private\n");
	names_reasons(names, &health);
	assert_string_equal(health.reasons.items[0].remedy, "allow_private = yes in [flow one]");
	health_free(&health);
	assert_true(
		fake_log_has("one.example.net: the answer 10.1.2.3 is private: refused; allow_private = yes in [flow "
			     "one] would let it in"));
	assert_true(fake_log_has("one.example.net: the answer 127.0.0.1 is loopback: refused"));
	find(one, FAMILY_4, &entry);
	assert_int_equal(entry.refused_count, 2);
	assert_string_equal(entry.refused_addresses[0].why, "private");
	flow = names_private_flow(names, one, &entry.refused_addresses[0]);
	assert_string_equal(flow ? flow->id : "none", "one");
	assert_null(names_private_flow(names, one, &entry.refused_addresses[1]));

	follow(HEAD
	       "[flow one]\nfrom = SERVER\nto = one.example.net\nprotocol = tcp\nport = 443\nallow_private = yes\n");
	fake_time_pass(1);
	fake_resolver_answer(one, FAMILY_4, "10.1.2.3", 300);
	find(one, FAMILY_4, &entry);
	assert_int_equal(entry.refused_count, 0);
	assert_string_equal(reasons(), "");
	/* An answer without any address is no refusal. */
	follow(TEXT);
	until_asked(one, FAMILY_4);
	fake_resolver_answer(one, FAMILY_4, "", 300);
	until_asked(one, FAMILY_6);
	fake_resolver_answer(one, FAMILY_6, "", 300);
	answer_peer();
	assert_string_equal(reasons(), "name-empty: one.example.net has no address in DNS\n");
	own_address = "198.51.100.7";
	until_asked(one, FAMILY_4);
	fake_resolver_answer(one, FAMILY_4, "198.51.100.7", 300);
	assert_string_equal(reasons(), "name-refused: one.example.net has no address that it may have: 198.51.100.7 is "
				       "the server's or this gateway's own\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_begin),
		TEST(test_family),
		TEST(test_silent_servers),
		TEST(test_silent_name),
		TEST(test_silent_from_the_start),
		TEST(test_refused_reason),
		TEST(test_servers_of_the_system),
		TEST(test_ttl),
		TEST(test_grace),
		TEST(test_outage),
		TEST(test_query_fails),
		TEST(test_query_budget),
		TEST(test_query_all),
		TEST(test_saving),
		TEST(test_saved_once),
		TEST(test_saving_half),
		TEST(test_remembered),
		TEST(test_damaged_files),
		TEST(test_refused),
		TEST(test_protected_by_a_candidate),
		TEST(test_refresh),
		TEST(test_refresh_fails_at_once),
		TEST(test_refresh_forgotten),
		TEST(test_follow),
		TEST(test_follow_rechecks),
		TEST(test_want_both),
		TEST(test_learn),
		TEST(test_learn_by_alias),
		TEST(test_learned_then_source),
		TEST(test_learned_ends),
		TEST(test_learned_ends_together),
		TEST(test_denied),
		TEST(test_denial_budget),
		TEST(test_copies_lost),
		TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
