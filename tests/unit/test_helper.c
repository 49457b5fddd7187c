/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spefwd's end of spefw-resolver, with the resolver as its client; the process, which may be anybody's, and the time
 * are the test's. */
#include "fake_log.h"
#include "fake_spawn.h"
#include "fake_time.h"
#include "make.h"
#include "net/helper_records.h"
#include "net/resolv_conf.h"
#include "net/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, NOW = 1000 * SECOND };

static sd_event *event;
static struct helper *helper;
static struct resolver *resolver;
static char events[16384]; /* what the clients and the owner of the helper heard */
static unsigned packets;   /* records of the other part */
static const char *packet_error;
static int64_t packet_ms; /* what one of them takes */
static bool free_when_done;
static sd_event_source *rival; /* somebody else who always has something to do */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t length = strlen(events);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(events + length, sizeof(events) - length, format, arguments);
	va_end(arguments);
}

#define assert_events(expected)                        \
	({                                             \
		assert_string_equal(events, expected); \
		events[0] = '\0';                      \
	})

/* Servers of the system, in the test's hands. */

struct resolv_conf {
	void (*changed)(void *userdata);
	void *userdata;
};
static struct resolv_conf *system_servers;
static struct dns_server system_server = { { FAMILY_4, { 127, 0, 0, 1 } }, 53 };
static int system_error;

int resolv_conf_new(struct resolv_conf **ret, sd_event *loop, void (*changed)(void *userdata), void *userdata)
{
	assert_ptr_equal(loop, event);
	if (system_error)
		return system_error;
	*ret = system_servers = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	**ret = (struct resolv_conf){ changed, userdata };
	return 0;
}

void resolv_conf_free(struct resolv_conf *conf)
{
	free(conf);
}

const struct dns_server *resolv_conf_servers(const struct resolv_conf *conf, size_t *ret_count)
{
	assert_ptr_equal(conf, system_servers);
	*ret_count = 1;
	return &system_server;
}

/* The process. */

/* What waits in the event loop is done. */
static void run(void)
{
	for (int r = 1; r > 0;) {
		r = sd_event_run(event, 0);
		assert_true(r >= 0);
	}
}

static void pass(int64_t ms)
{
	run();
	fake_time_pass(ms);
	run();
}

static void send_bytes(const void *bytes, size_t length)
{
	assert_int_equal(send(fake_spawn_fd, bytes, length, MSG_NOSIGNAL), length);
}

/* Without an assertion on room. */
static bool try_bytes(const void *bytes, size_t length)
{
	return send(fake_spawn_fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

static void send_record(void *record, size_t length)
{
	((struct wire_head *)record)->length = (uint32_t)length;
	send_bytes(record, length);
}

/* Returns the kind, 0: there is none now. */
static uint32_t receive(void *record, size_t size)
{
	ssize_t length = recv(fake_spawn_fd, record, size, MSG_DONTWAIT);

	if (length < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	const struct wire_head *head = record;
	assert_int_equal(head->length, length);
	return head->kind;
}

static union {
	struct wire_head head;
	struct wire_servers servers;
	struct wire_query query;
	struct wire_beat beat;
	struct wire_plain plain;
	char bytes[WIRE_RECORD_MAX];
} got;

static uint64_t newest_ping;

/* The next one that is no ping; pings are answered. */
static uint32_t next_record(void)
{
	uint32_t kind;

	while ((kind = receive(&got, sizeof(got))) == WIRE_PING) {
		struct wire_beat pong = { .head.kind = WIRE_PONG, .number = got.beat.number };
		assert_int_equal(got.head.length, sizeof(got.beat));
		newest_ping = got.beat.number;
		send_record(&pong, sizeof(pong));
	}
	return kind;
}

static struct wire_ready ready_record(void)
{
	return (struct wire_ready){ .head.kind = WIRE_READY, .version = WIRE_VERSION, .landlock = 1 };
}

static void send_ready(void)
{
	struct wire_ready ready = ready_record();
	send_record(&ready, sizeof(ready));
}

/* Started and ready, the servers read. */
static void begin(void)
{
	pass(0);
	assert_true(fake_spawn_runs);
	send_ready();
	run();
	assert_int_equal(next_record(), WIRE_SERVERS);
	run();
}

/* It answers pings for so long. */
static void live(int64_t ms)
{
	for (; ms > 0; ms -= SECOND) {
		pass(SECOND);
		if (fake_spawn_fd >= 0)
			next_record();
		run();
	}
}

static uint32_t next_query(const char *name, enum family family)
{
	assert_int_equal(next_record(), WIRE_QUERY);
	assert_int_equal(got.head.length, sizeof(got.query));
	assert_string_equal(got.query.name, name);
	assert_int_equal(got.query.family, family == FAMILY_4 ? 4 : 6);
	return got.query.id;
}

/* An answer in a buffer of its own, with these addresses and aliases, separated by blanks. */
static size_t make_answer(struct wire_answer **ret, uint32_t id, enum family family, const char *addresses,
			  const char *aliases, uint32_t ttl_s)
{
	static _Alignas(struct wire_counts) char bytes[WIRE_RECORD_MAX];
	struct wire_answer *answer = *ret = (struct wire_answer *)bytes;
	char *copy = strdup(addresses), *rest = copy, *word;

	memset(bytes, 0, sizeof(bytes));
	*answer = (struct wire_answer){
		.head.kind = WIRE_ANSWER, .id = id, .ttl_s = ttl_s, .family = family == FAMILY_4 ? 4 : 6
	};
	while ((word = strsep(&rest, " ")))
		if (*word) {
			struct addr addr = make_addr(word);
			answer->addresses[answer->count++] = wire_address_of(&addr);
		}
	free(copy);
	char(*names)[WIRE_NAME_MAX] = (char(*)[WIRE_NAME_MAX])(answer->addresses + answer->count);
	copy = rest = strdup(aliases);
	while ((word = strsep(&rest, " ")))
		if (*word)
			snprintf(names[answer->alias_count++], WIRE_NAME_MAX, "%s", strcmp(word, "-") == 0 ? "" : word);
	free(copy);
	answer->head.length = (uint32_t)((char *)(names + answer->alias_count) - bytes);
	return answer->head.length;
}

static void answer(uint32_t id, enum family family, const char *addresses, const char *aliases, uint32_t ttl_s)
{
	struct wire_answer *record;
	size_t length = make_answer(&record, id, family, addresses, aliases, ttl_s);

	send_record(record, length);
	run();
}

static void fail_query(uint32_t id, const char *error)
{
	struct wire_failure failure = { .head.kind = WIRE_FAILURE, .id = id };

	snprintf(failure.error, sizeof(failure.error), "%s", error);
	send_record(&failure, sizeof(failure));
	run();
}

/* Clients. */

static void on_done(void *userdata, const struct resolver_answer *given)
{
	char text[ADDR_TEXT_MAX];

	assert_ptr_equal(userdata, events);
	note("%s %c", given->name, given->family == FAMILY_4 ? '4' : '6');
	if (given->error)
		note(" failed: %s", given->error);
	for (size_t i = 0; i < given->count; i++) {
		assert_int_equal(given->addresses[i].family, given->family);
		note(" %s", addr_format(&given->addresses[i], text));
	}
	for (size_t i = 0; i < given->alias_count; i++)
		note(" by '%s'", given->aliases[i]);
	if (!given->error)
		note(" ttl %u", given->ttl_s);
	note(";");
	if (free_when_done) {
		resolver_free(resolver);
		resolver = NULL;
	}
}

static void on_servers_changed(void *userdata)
{
	assert_ptr_equal(userdata, events);
	note("servers;");
}

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &helper);
}

static void on_restarted(void *userdata)
{
	assert_ptr_equal(userdata, &helper);
	note("restarted;");
}

static void on_packets_ready(void *userdata)
{
	assert_ptr_equal(userdata, &packets);
	note("ready;");
}

static const char *on_packet(void *userdata, const struct wire_head *record)
{
	assert_ptr_equal(userdata, &packets);
	assert_true(record->kind == WIRE_DENIAL || record->kind == WIRE_OBSERVED || record->kind == WIRE_COUNTS);
	packets++;
	fake_time_pass(packet_ms);
	return packet_error;
}

static const struct helper_client packet_client = { .ready = on_packets_ready, .record = on_packet };
static const struct helper_events helper_events = { on_changed, on_restarted };
static const struct resolver_events resolver_events = { on_done, on_servers_changed };

static int set_up(void **state)
{
	struct dns_server server = { make_addr("192.0.2.53"), 5353 };

	(void)state;
	fake_time_reset(NOW, 1700000000);
	fake_log_reset();
	fake_spawn_reset();
	events[0] = '\0';
	packets = 0;
	packet_error = NULL;
	packet_ms = 0;
	free_when_done = false;
	system_error = 0;
	if (helper_new(&helper, event, &helper_events, &helper) < 0 ||
	    resolver_new(&resolver, event, helper, &resolver_events, events) < 0 ||
	    resolver_set_servers(resolver, &server, 1) < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	allocations_left = -1;
	rival = sd_event_source_disable_unref(rival);
	resolver_free(resolver);
	helper_free(helper);
	if (fake_spawn_fd >= 0)
		fake_spawn_close();
	run();
	return fake_timers || fake_spawn_runs;
}

static const char *reason(void)
{
	static char text[300];
	struct health health = { 0 };

	helper_reasons(helper, &health);
	text[0] = '\0';
	if (health.reasons.count) {
		assert_int_equal(health.reasons.count, 1);
		assert_int_equal(health.reasons.items[0].code, HEALTH_RESOLVER);
		snprintf(text, sizeof(text), "%s", health.reasons.items[0].text);
	}
	health_free(&health);
	return text;
}

/* The next process is started, however long that takes. */
static void await_start(void)
{
	while (!fake_spawn_runs)
		pass(fake_time_next() - now_ms());
}

/* Its death is for this reason, and noticed as such. */
static void expect_death(const char *why)
{
	char line[300];

	run();
	assert_true(fake_spawn_killed);
	assert_false(fake_spawn_runs);
	snprintf(line, sizeof(line), "spefw-resolver ended (%s), it is started again in ", why);
	if (strncmp(reason(), line, strlen(line)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", reason(), line);
}

/* The next one is there after so long, and not before. */
static void expect_start_after(int64_t ms)
{
	unsigned before = fake_spawns;

	pass(ms - 1);
	assert_int_equal(fake_spawns, before);
	pass(1);
	assert_int_equal(fake_spawns, before + 1);
}

/* Queries. */

static void test_queries(void **state)
{
	char long_name[300] = "";

	(void)state;
	/* Before there is anybody. */
	assert_int_equal(resolver_query(resolver, "early.test", FAMILY_4), 0);
	pass(0);
	assert_int_equal(resolver_query(resolver, "early.test", FAMILY_6), 0);
	assert_int_equal(receive(&got, sizeof(got)), 0); /* not before it says that it can do nothing */
	assert_string_equal(reason(), "");
	send_ready();
	run();
	assert_int_equal(next_record(), WIRE_SERVERS);
	assert_int_equal(got.head.length, sizeof(got.servers));
	assert_int_equal(got.servers.count, 1);
	assert_int_equal(got.servers.items[0].port, 5353);
	assert_int_equal(got.servers.items[0].address.family, 4);
	assert_memory_equal(got.servers.items[0].address.bytes, "\xc0\0\2\x35", 4);
	uint32_t early = next_query("early.test", FAMILY_4);
	next_query("early.test", FAMILY_6);
	assert_int_equal(next_record(), 0);

	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_6), 0);
	assert_int_equal(resolver_query(resolver, "b.test", FAMILY_4), 0);
	assert_int_equal(resolver_query(resolver, "b.test", FAMILY_4), 0);
	uint32_t a = next_query("a.test", FAMILY_6), b = next_query("b.test", FAMILY_4),
		 twice = next_query("b.test", FAMILY_4);
	assert_true(early != a && a != b && b != twice);
	assert_events("");
	answer(b, FAMILY_4, "198.51.100.1 198.51.100.2", "c.test - d.test", 300);
	assert_events("b.test 4 198.51.100.1 198.51.100.2 by 'c.test' by '' by 'd.test' ttl 300;");
	answer(a, FAMILY_6, "", "", 0);
	assert_events("a.test 6 ttl 0;");
	fail_query(twice, "SERVFAIL");
	assert_events("b.test 4 failed: SERVFAIL;");
	answer(early, FAMILY_4, "198.51.100.3", "", 4294967295u);
	assert_events("early.test 4 198.51.100.3 ttl 4294967295;");
	assert_int_equal(resolver_query(resolver, "more.test", FAMILY_4), 0);
	next_query("more.test", FAMILY_4);
	memset(long_name, 'a', sizeof(long_name) - 1);
	assert_int_equal(resolver_query(resolver, long_name, FAMILY_4), -EINVAL);
	long_name[CONFIG_NAME_MAX] = '\0';
	assert_int_equal(resolver_query(resolver, long_name, FAMILY_4), 0);
	next_query(long_name, FAMILY_4);
	assert_int_equal(fake_log_lines, 0);
	assert_int_equal(fake_spawns, 1);
}

/* As many as a record can hold. */
static void test_greatest_answer(void **state)
{
	static char addresses[WIRE_ADDRESSES_MAX * 16], aliases[WIRE_ALIASES_MAX * 16];

	(void)state;
	begin();
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	uint32_t id = next_query("a.test", FAMILY_4);
	for (int i = 0; i < WIRE_ADDRESSES_MAX; i++)
		sprintf(addresses + strlen(addresses), "198.51.%d.%d ", i / 256, i % 256);
	for (int i = 0; i < WIRE_ALIASES_MAX; i++)
		sprintf(aliases + strlen(aliases), "a%d.test ", i);
	struct wire_answer *record;
	assert_int_equal(make_answer(&record, id, FAMILY_4, addresses, aliases, 60), WIRE_RECORD_MAX);
	send_record(record, WIRE_RECORD_MAX);
	run();
	assert_non_null(strstr(events, " 198.51.1.255 by 'a0.test'"));
	assert_non_null(strstr(events, " by 'a15.test' ttl 60;"));
}

static void test_servers(void **state)
{
	struct dns_server many[WIRE_SERVERS_MAX + 2];

	(void)state;
	begin();
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct dns_server){ make_addr("2001:db8::53"), (uint16_t)(i + 1) };
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	uint32_t id = next_query("a.test", FAMILY_4);
	assert_int_equal(resolver_set_servers(resolver, many, COUNT_OF(many)), 0);
	assert_true(fake_log_has("of 18 DNS servers the first 16 are queried"));
	assert_int_equal(next_record(), WIRE_SERVERS);
	assert_int_equal(got.servers.count, WIRE_SERVERS_MAX);
	assert_int_equal(got.servers.items[15].port, 16);
	assert_int_equal(got.servers.items[15].address.family, 6);
	assert_int_equal(next_record(), 0); /* what waits is queried anew by the process */

	assert_int_equal(resolver_set_servers(resolver, NULL, 0), 0);
	assert_int_equal(next_record(), WIRE_SERVERS);
	assert_int_equal(got.servers.count, 1);
	assert_int_equal(got.servers.items[0].address.bytes[3], 1);
	system_server.addr.bytes[3] = 2;
	system_servers->changed(system_servers->userdata);
	assert_int_equal(next_record(), WIRE_SERVERS);
	assert_int_equal(got.servers.items[0].address.bytes[3], 2);
	system_server.addr.bytes[3] = 1;
	assert_events("servers;");
	answer(id, FAMILY_4, "", "", 5);
	assert_events("a.test 4 ttl 5;");
	/* They can't be followed: those before stay. */
	system_error = -EMFILE;
	assert_int_equal(resolver_set_servers(resolver, NULL, 0), -EMFILE);
	assert_int_equal(next_record(), 0);
	assert_int_equal(resolver_set_servers(resolver, many, 0), 0);
	assert_int_equal(next_record(), WIRE_SERVERS);
	assert_int_equal(got.servers.count, 0);
}

static void test_freed_by_an_answer(void **state)
{
	(void)state;
	begin();
	free_when_done = true;
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	assert_int_equal(resolver_query(resolver, "b.test", FAMILY_4), 0);
	uint32_t a = next_query("a.test", FAMILY_4), b = next_query("b.test", FAMILY_4);
	struct wire_answer *record;
	size_t length = make_answer(&record, a, FAMILY_4, "", "", 5);
	send_bytes(record, length);
	length = make_answer(&record, b, FAMILY_4, "", "", 5);
	send_bytes(record, length);
	run();
	assert_null(resolver);
	assert_events("a.test 4 ttl 5;"); /* and nobody is there for the other one */
	assert_true(fake_spawn_runs);
}

/* Death. */

/* What waited is queried anew, and so goes on as if nothing had been. */
static void test_restart(void **state)
{
	(void)state;
	helper_attach(helper, HELPER_PACKETS, &packet_client, &packets);
	begin();
	assert_events("ready;");
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	assert_int_equal(resolver_query(resolver, "b.test", FAMILY_6), 0);
	assert_int_equal(resolver_query(resolver, "c.test", FAMILY_4), 0);
	next_query("a.test", FAMILY_4);
	uint32_t b = next_query("b.test", FAMILY_6);
	answer(b, FAMILY_6, "2001:db8::1", "", 5);
	assert_events("b.test 6 2001:db8::1 ttl 5;");
	fake_spawn_end(SIGSEGV);
	run();
	assert_string_equal(reason(),
			    "spefw-resolver ended (Segmentation fault), it is started again in 1 s: DNS is not "
			    "queried, and nothing is learned; addresses in force stay");
	assert_true(fake_log_has("spefw-resolver ended (Segmentation fault), it is started again in 1 s: DNS is not "
				 "queried meanwhile, and nothing is learned; addresses in force stay"));
	assert_int_equal(resolver_query(resolver, "d.test", FAMILY_4), 0);
	expect_start_after(SECOND);
	assert_string_equal(reason(), "spefw-resolver ended (Segmentation fault), it is started again: DNS is not "
				      "queried, and nothing is learned; addresses in force stay");
	assert_events("");
	send_ready();
	run();
	assert_events("ready;restarted;");
	assert_string_equal(reason(), "");
	assert_int_equal(next_record(), WIRE_SERVERS);
	uint32_t a = next_query("a.test", FAMILY_4);
	next_query("c.test", FAMILY_4);
	next_query("d.test", FAMILY_4);
	assert_int_equal(next_record(), 0);
	answer(a, FAMILY_4, "", "", 5);
	assert_events("a.test 4 ttl 5;");
	assert_int_equal(fake_log_lines, 1);
	helper_detach(helper, HELPER_PACKETS);
}

/* A new one is started later and later; a minute of good life makes up for it. */
static void test_back_off(void **state)
{
	static const int seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };

	(void)state;
	pass(0);
	for (size_t i = 0; i < COUNT_OF(seconds); i++) {
		if (i % 2) /* also of one that gets ready each time */
			send_ready();
		run();
		fake_spawn_end(127 << 8);
		run();
		expect_start_after(seconds[i] * SECOND);
	}
	assert_true(fake_log_has("spefw-resolver ended (the program can't be run), it is started again in 1 s"));
	assert_int_equal(fake_log_lines, 1); /* always the same is no news */
	/* It lives for nearly a minute, then for one. */
	send_ready();
	live(55 * SECOND);
	fake_spawn_end(1 << 8);
	run();
	assert_int_equal(fake_log_lines, 2);
	assert_true(fake_log_has("spefw-resolver ended (exit status 1), it is started again in 60 s"));
	expect_start_after(60 * SECOND);
	send_ready();
	live(66 * SECOND);
	assert_true(fake_log_has("spefw-resolver runs again"));
	fake_spawn_end(SIGKILL);
	run();
	assert_true(fake_log_has("spefw-resolver ended (Killed), it is started again in 1 s"));
	expect_start_after(SECOND);
}

static void test_ends(void **state)
{
	static const struct {
		int status;
		const char *why;
	} ends[] = {
		{ 126 << 8, "privileges can't be given up here" },
		{ SIGSYS, "it made a system call that it may not make" },
		{ SIGXCPU, "it took more processor time than it may" },
		{ SIGABRT, "Aborted" },
		{ 0, "exit status 0" },
	};

	(void)state;
	pass(0);
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		fake_spawn_end(ends[i].status);
		run();
		assert_true(strstr(reason(), ends[i].why));
		assert_true(fake_log_has(ends[i].why));
		await_start();
	}
	int inherited = fake_spawn_fd;
	fake_spawn_inherited = true;
	fake_spawn_end(SIGILL);
	run();
	assert_true(strstr(reason(), "ended (Illegal instruction)"));
	close(inherited);
	fake_spawn_inherited = false;
	await_start();
	fake_spawn_error = -ENOMEM;
	fake_spawn_end(SIGKILL);
	run();
	pass(MINUTE);
	assert_true(fake_log_has("spefw-resolver ended (it can't be started: Cannot allocate memory), it is started "
				 "again in 60 s"));
	fake_spawn_error = 0;
	expect_start_after(MINUTE);
	begin();
}

/* It closes its socket, and goes on doing something else for longer than its end takes. */
static void test_closing(void **state)
{
	(void)state;
	begin();
	fake_spawn_close();
	pass(SECOND - 1);
	assert_false(fake_spawn_killed);
	pass(1);
	expect_death("it closed its socket");
	expect_start_after(SECOND);
	/* Also before it was ready; and by an empty record, which can't be told from that. */
	fake_spawn_close();
	pass(SECOND);
	expect_death("it closed its socket");
	expect_start_after(2 * SECOND);
	send_ready();
	run();
	send_bytes("", 0);
	pass(SECOND);
	expect_death("it closed its socket");
	/* Who is about to end does so by itself. */
	expect_start_after(4 * SECOND);
	fake_spawn_close();
	pass(SECOND / 2);
	fake_spawn_end(3 << 8);
	run();
	assert_false(fake_spawn_killed);
	assert_true(strstr(reason(), "ended (exit status 3)"));
	expect_start_after(8 * SECOND);
	/* Who can't be killed for now is not followed by another one. */
	fake_spawn_immortal = true;
	fake_spawn_close();
	unsigned before = fake_spawns;
	pass(10 * MINUTE);
	assert_true(fake_spawn_killed);
	assert_int_equal(fake_spawns, before);
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	fake_spawn_end(SIGKILL);
	run();
	expect_start_after(16 * SECOND);
	fake_spawn_immortal = false;
}

/* Silence. */

static void test_heartbeat(void **state)
{
	(void)state;
	begin();
	live(MINUTE);
	assert_int_equal(fake_spawns, 1);
	assert_in_range(fake_spawn_cpu_s, 10 + 25, 10 + 30); /* half of what it lives */
	live(10 * MINUTE);
	assert_int_equal(fake_spawn_cpu_s, 60); /* which is not saved up for ever */
	fake_spawn_used_ms = 50 * SECOND;
	live(10 * SECOND);
	assert_in_range(fake_spawn_cpu_s, 60 + 2, 60 + 5);
	assert_string_equal(reason(), "");
	/* It stops. */
	pass(5 * SECOND); /* this ping is not answered */
	assert_string_equal(reason(), "");
	pass(5 * SECOND);
	assert_string_equal(reason(), "spefw-resolver does not answer: DNS is not queried, and nothing is learned; "
				      "addresses in force stay");
	assert_false(fake_spawn_killed);
	/* It was slow. */
	next_record();
	run();
	assert_string_equal(reason(), "");
	pass(5 * SECOND);
	pass(5 * SECOND);
	assert_false(fake_spawn_killed);
	pass(5 * SECOND);
	expect_death("it did not answer any more");
	expect_start_after(SECOND);
	/* It does not even begin. */
	pass(10 * SECOND - 1);
	assert_false(fake_spawn_killed);
	pass(1);
	expect_death("it did not get ready");
}

/* The answer to the ping is there, but we were too busy to read it. */
static void test_our_own_delay(void **state)
{
	(void)state;
	begin();
	run();
	fake_time_pass(5 * SECOND);
	assert_int_equal(receive(&got, sizeof(got)), WIRE_PING);
	struct wire_beat pong = { .head.kind = WIRE_PONG, .number = got.beat.number };
	send_record(&pong, sizeof(pong));
	/* Timers fire, the loop does not get to the socket. */
	fake_time_pass(5 * SECOND);
	assert_int_equal(receive(&got, sizeof(got)), WIRE_PING);
	fake_time_pass(5 * SECOND);
	assert_false(fake_spawn_killed);
	/* The machine slept for a day: that is no silence of a day. */
	pong.number = got.beat.number;
	fake_time_pass(0);
	run();
	next_record();
	send_record(&pong, sizeof(pong));
	run();
	assert_false(fake_spawn_killed);
}

/* It answers pings, and no query. */
static void test_query_hangs(void **state)
{
	(void)state;
	begin();
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	next_query("a.test", FAMILY_4);
	int64_t began = now_ms();
	while (!fake_spawn_killed)
		live(SECOND);
	assert_in_range(now_ms() - began, 5 * MINUTE, 5 * MINUTE + 15 * SECOND);
	expect_death("it did not answer a query");
	await_start();
	send_ready();
	run();
	assert_int_equal(next_record(), WIRE_SERVERS);
	uint32_t id = next_query("a.test", FAMILY_4);
	live(4 * MINUTE); /* the time of this one begins anew */
	assert_false(fake_spawn_killed);
	answer(id, FAMILY_4, "", "", 5);
	assert_events("restarted;a.test 4 ttl 5;");
}

/* Nonsense. */

/* A process in the state in which it gets most of what follows, with a query of id 1 under way. */
static void begin_again(void)
{
	await_start();
	fake_log_reset();
	send_ready();
	run();
	while (next_record())
		;
	run();
	assert_string_equal(reason(), "");
}

struct denial_case {
	struct wire_denial record;
	bool good;
};

static struct wire_address v4(const char *text)
{
	struct addr addr = make_addr(text);
	return wire_address_of(&addr);
}

static struct wire_denial good_denial(void)
{
	return (struct wire_denial){ .head.kind = WIRE_DENIAL,
				     .source = v4("192.0.2.25"),
				     .target = v4("198.51.100.1"),
				     .source_port = 50000,
				     .target_port = 443,
				     .protocol = PROTOCOL_TCP,
				     .hook = NF_INET_FORWARD };
}

static void expect_nonsense(const char *what)
{
	char why[200];

	snprintf(why, sizeof(why), "it sent %s", what);
	expect_death(why);
	begin_again();
}

/* Each record with one byte less and more than it should have, and with a length that is not its own. */
static void test_wrong_sizes(void **state)
{
	struct wire_denial denial = good_denial();
	struct wire_counts counts = { .head.kind = WIRE_COUNTS };
	struct wire_beat pong = { .head.kind = WIRE_PONG, .number = 1 };
	struct wire_failure failure = { .head.kind = WIRE_FAILURE, .id = 1, .error = "x" };
	struct wire_answer *given;
	size_t given_length = make_answer(&given, 1, FAMILY_4, "198.51.100.1", "a.test", 5);
	struct wire_observed *seen = calloc(1, sizeof(*seen) + sizeof(struct wire_address));
	struct {
		void *record;
		size_t length;
	} table[] = {
		{ &denial, sizeof(denial) }, { &counts, sizeof(counts) },
		{ &pong, sizeof(pong) },     { &failure, sizeof(failure) },
		{ given, given_length },     { seen, sizeof(*seen) + sizeof(struct wire_address) },
	};
	static char bytes[2 * WIRE_RECORD_MAX];

	(void)state;
	*seen = (struct wire_observed){ .head.kind = WIRE_OBSERVED,
					.server = v4("192.0.2.25"),
					.resolver = v4("192.0.2.53"),
					.count = 1,
					.family = 4,
					.question = "a.test" };
	seen->addresses[0] = v4("198.51.100.1");
	pass(0);
	begin_again();
	for (size_t i = 0; i < COUNT_OF(table); i++)
		for (int how = 0; how < 5; how++) {
			size_t length = table[i].length + (how == 0 ? -1 : how == 1 ? 1 : how == 4 ? 20 : 0);
			struct wire_head *head = (struct wire_head *)bytes;
			memset(bytes, 0, sizeof(bytes));
			memcpy(bytes, table[i].record, table[i].length);
			head->length = (uint32_t)length + (how == 2 ? 1 : how == 3 ? -1 : 0);
			send_bytes(bytes, length);
			expect_nonsense("a wrong length");
		}
	/* Less than a head, more than any record, counts that are more than there is, or than there may be. */
	send_bytes(bytes, 3);
	expect_nonsense("a wrong length");
	((struct wire_head *)bytes)->length = WIRE_RECORD_MAX + 1;
	send_bytes(bytes, WIRE_RECORD_MAX + 1);
	expect_nonsense("a wrong length");
	send_bytes(bytes, 2 * WIRE_RECORD_MAX);
	expect_nonsense("a wrong length");
	given_length = make_answer(&given, 1, FAMILY_4, "198.51.100.1", "", 5);
	given->count = 2;
	send_record(given, given_length);
	expect_nonsense("a wrong length");
	given->count = WIRE_ADDRESSES_MAX + 1;
	send_record(given, sizeof(*given) + (WIRE_ADDRESSES_MAX + 1) * sizeof(struct wire_address));
	expect_nonsense("a wrong length");
	make_answer(&given, 1, FAMILY_4, "", "", 5);
	given->alias_count = WIRE_ALIASES_MAX + 1;
	send_record(given, sizeof(*given) + (WIRE_ALIASES_MAX + 1) * WIRE_NAME_MAX);
	expect_nonsense("a wrong length");
	given->alias_count = 0xffff;
	given->count = 0xffff;
	send_record(given, sizeof(*given));
	expect_nonsense("a wrong length");
	seen->count = 0;
	send_record(seen, sizeof(*seen));
	expect_nonsense("a wrong length");
	free(seen);
	assert_events("restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;"
		      "restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;"
		      "restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;"
		      "restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;restarted;"
		      "restarted;restarted;");
}

static void test_kinds(void **state)
{
	static const uint32_t kinds[] = { 0,          WIRE_SERVERS, WIRE_QUERY, WIRE_WATCH_BEGIN, WIRE_WATCH_END,
					  WIRE_NFLOG, WIRE_PING,    63,         WIRE_PONG + 1,    0xffffffff };
	struct wire_ready ready = ready_record();

	(void)state;
	/* Anything before it is ready. */
	pass(0);
	struct wire_counts counts = { .head.kind = WIRE_COUNTS };
	send_record(&counts, sizeof(counts));
	expect_death("it sent a record out of turn");
	begin_again();
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct wire_plain plain = { .head.kind = kinds[i] };
		send_record(&plain, sizeof(plain));
		expect_nonsense("an unknown record");
	}
	send_record(&ready, sizeof(ready));
	expect_nonsense("a record out of turn");
	struct wire_beat pong = { .head.kind = WIRE_PONG, .number = newest_ping };
	send_record(&pong, sizeof(pong)); /* it has answered that one */
	expect_death("it answered a ping that it was not sent");
	begin_again();
	pass(5 * SECOND);
	pong.number = 777;
	send_record(&pong, sizeof(pong));
	expect_death("it answered a ping that it was not sent");
}

static void test_versions(void **state)
{
	struct wire_ready ready = ready_record();

	(void)state;
	pass(0);
	memcpy(ready.version, "0.0.0", 6);
	memset(ready.version + 5, 0, sizeof(ready.version) - 5);
	send_record(&ready, sizeof(ready));
	expect_death("it is of another build than spefwd");
	await_start();
	memset(ready.version, 'a', sizeof(ready.version));
	send_record(&ready, sizeof(ready));
	expect_death("it sent a malformed beginning");
	await_start();
	ready = ready_record();
	send_record(&ready, sizeof(ready) - 1);
	expect_death("it sent a wrong length");
	await_start();
	ready.landlock = 2;
	send_record(&ready, sizeof(ready));
	expect_death("it sent a malformed beginning");
	await_start();
	ready = ready_record();
	ready.reserved[6] = 1;
	send_record(&ready, sizeof(ready));
	expect_death("it sent a malformed beginning");
	/* Without Landlock it is good, which is said once. */
	for (int i = 0; i < 2; i++) {
		await_start();
		ready = ready_record();
		ready.landlock = 0;
		fake_log_reset();
		send_record(&ready, sizeof(ready));
		run();
		assert_string_equal(reason(), "");
		assert_true(fake_log_has("not restricted by Landlock") == (i == 0));
		fake_spawn_end(SIGKILL);
		run();
	}
}

/* Answers that nobody waits for, or that don't fit. */
static void test_lies(void **state)
{
	struct wire_answer *given;
	struct wire_failure failure = { .head.kind = WIRE_FAILURE, .id = 1, .error = "SERVFAIL" };
	size_t length;

	(void)state;
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0); /* its id is 1 */
	pass(0);
	begin_again();
	answer(2, FAMILY_4, "198.51.100.1", "", 5);
	expect_nonsense("an answer to a query that does not wait");
	fail_query(0, "x");
	expect_nonsense("a failure of a query that does not wait");
	answer(1, FAMILY_6, "2001:db8::1", "", 5);
	expect_nonsense("an answer with addresses of another family than was queried");
	length = make_answer(&given, 1, FAMILY_4, "198.51.100.1 2001:db8::1", "", 5);
	send_record(given, length);
	expect_nonsense("an answer with malformed addresses");
	length = make_answer(&given, 1, FAMILY_4, "198.51.100.1", "", 5);
	given->family = 0;
	send_record(given, length);
	expect_nonsense("an answer with malformed addresses");
	given->family = 4;
	given->addresses[0].bytes[15] = 1;
	send_record(given, length);
	expect_nonsense("an answer with malformed addresses");
	given->addresses[0].bytes[15] = 0;
	given->addresses[0].reserved[2] = 1;
	send_record(given, length);
	expect_nonsense("an answer with malformed addresses");
	given->addresses[0].reserved[2] = 0;
	given->reserved[0] = 1;
	send_record(given, length);
	expect_nonsense("an answer with malformed addresses");
	/* Texts. */
	static const char *const texts[] = { "a\ntest", "a.TEST", "a\x80test", "a\x7f" };
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		length = make_answer(&given, 1, FAMILY_4, "", texts[i], 5);
		send_record(given, length);
		expect_nonsense("an answer with a malformed alias");
	}
	length = make_answer(&given, 1, FAMILY_4, "", "a.test", 5);
	memset((char *)given->addresses, 'a', WIRE_NAME_MAX);
	send_record(given, length);
	expect_nonsense("an answer with a malformed alias");
	length = make_answer(&given, 1, FAMILY_4, "", "a.test", 5);
	((char *)given->addresses)[WIRE_NAME_MAX - 1] = 1;
	send_record(given, length);
	expect_nonsense("an answer with a malformed alias");
	memset(failure.error, 'x', sizeof(failure.error));
	send_record(&failure, sizeof(failure));
	expect_nonsense("a failure with a malformed text");
	memset(failure.error, 0, sizeof(failure.error));
	send_record(&failure, sizeof(failure));
	expect_nonsense("a failure with a malformed text");
	memcpy(failure.error, "a\033[2J", 6);
	send_record(&failure, sizeof(failure));
	expect_nonsense("a failure with a malformed text");
	snprintf(failure.error, sizeof(failure.error), "timeout");
	failure.silent = 2;
	send_record(&failure, sizeof(failure));
	expect_nonsense("a malformed failure");
	failure.silent = 1;
	failure.reserved[2] = 1;
	send_record(&failure, sizeof(failure));
	expect_nonsense("a malformed failure");
	/* The query waits still, and is answered once. */
	events[0] = '\0';
	answer(1, FAMILY_4, "198.51.100.1", "", 5);
	assert_events("a.test 4 198.51.100.1 ttl 5;");
	answer(1, FAMILY_4, "198.51.100.1", "", 5);
	expect_nonsense("an answer to a query that does not wait");
	assert_events("restarted;");
}

static void test_packets(void **state)
{
	static const char *const malformed = "an observed answer with malformed addresses";
	struct wire_denial denial;
	struct wire_counts counts = { .head.kind = WIRE_COUNTS, .unasked = UINT32_MAX };
	union {
		struct wire_observed head;
		char bytes[sizeof(struct wire_observed) + sizeof(struct wire_address)];
	} seen, good = { .head = { .head.kind = WIRE_OBSERVED,
				   .server = v4("192.0.2.25"),
				   .resolver = v4("192.0.2.53"),
				   .ttl_s = 60,
				   .count = 1,
				   .family = 6,
				   .question = "a.test" } };

	(void)state;
	good.head.addresses[0] = v4("2001:db8::1");
	/* Without anybody for it. */
	begin();
	counts.unasked = 1;
	send_record(&counts, sizeof(counts));
	run();
	assert_false(fake_spawn_killed);
	helper_attach(helper, HELPER_PACKETS, &packet_client, &packets);
	assert_events("ready;");
	denial = good_denial();
	send_record(&denial, sizeof(denial));
	send_record(&counts, sizeof(counts));
	seen = good;
	send_record(&seen, sizeof(seen));
	run();
	assert_int_equal(packets, 3);
	assert_false(fake_spawn_killed);

#define BAD(what, why)                                        \
	({                                                    \
		denial = good_denial();                       \
		seen = good;                                  \
		what;                                         \
		if (strstr(why, "denial"))                    \
			send_record(&denial, sizeof(denial)); \
		else                                          \
			send_record(&seen, sizeof(seen));     \
		expect_nonsense(why);                         \
	})
	BAD(denial.source.family = 5, "a malformed denial");
	BAD(denial.target = v4("2001:db8::1"), "a malformed denial");
	BAD((denial.protocol = PROTOCOLS + 1, denial.source_port = denial.target_port = 0), "a malformed denial");
	BAD(denial.protocol = PROTOCOL_ICMP_ECHO, "a malformed denial");
	BAD(denial.mid_stream = 2, "a malformed denial");
	BAD((denial.protocol = PROTOCOL_UDP, denial.mid_stream = 1), "a malformed denial");
	BAD(denial.hook = NF_INET_NUMHOOKS, "a malformed denial");
	BAD(denial.kind = DENIAL_KINDS, "a malformed denial");
	BAD(denial.target.bytes[4] = 1, "a malformed denial");
	BAD(seen.head.server.family = 0, malformed);
	BAD(seen.head.resolver = v4("2001:db8::53"), malformed);
	BAD(seen.head.family = 4, malformed);
	BAD(seen.head.family = 7, malformed);
	BAD(seen.head.reserved = 1, malformed);
	BAD(seen.head.reserved_2 = 1, malformed);
	BAD(seen.head.addresses[0] = v4("198.51.100.1"), malformed);
	BAD(seen.head.question[0] = '\0', "an observed answer with a malformed question");
	BAD(seen.head.question[0] = '\n', "an observed answer with a malformed question");
	BAD(memset(seen.head.question, 'a', WIRE_NAME_MAX), "an observed answer with a malformed question");
	for (int i = 0; i < 3; i++) {
		counts.unasked = counts.lost = counts.dropped = 0;
		*(i == 0 ? &counts.unasked : i == 1 ? &counts.lost : &counts.dropped) = 1ull << 32;
		send_record(&counts, sizeof(counts));
		expect_nonsense("counts that can't be");
	}
	assert_int_equal(packets, 3);
	/* What its client says is nonsense, is. */
	packet_error = "what was not wanted";
	counts.dropped = 0;
	send_record(&counts, sizeof(counts));
	expect_nonsense("what was not wanted");
	helper_detach(helper, HELPER_PACKETS);
}

/* Floods. */

static int on_turn(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	unsigned *turns = userdata;

	(void)source;
	(void)fd;
	(void)revents;
	++*turns;
	return 0;
}

/* Others have their turn as often as it has, and there is an end to what it may send in a second. */
static void test_flood(void **state)
{
	struct wire_denial denial = good_denial();
	unsigned turns = 0, sent = 0, pongs = 0;

	(void)state;
	helper_attach(helper, HELPER_PACKETS, &packet_client, &packets);
	begin();
	run();
	int always = eventfd(1, EFD_CLOEXEC);
	assert_true(always >= 0);
	assert_true(sd_event_add_io(event, &rival, always, EPOLLIN, on_turn, &turns) >= 0);
	assert_true(sd_event_source_set_io_fd_own(rival, true) >= 0);
	denial.head.length = sizeof(denial);
	for (int i = 0; i < 1000; i++) {
		while (try_bytes(&denial, sizeof(denial)))
			sent++;
		unsigned before = packets;
		assert_true(sd_event_run(event, 0) > 0);
		assert_true(packets - before <= 64);
	}
	assert_true(turns >= 400);
	assert_in_range(packets, 1900, 2000);
	assert_true(sent > packets);
	/* The clock goes on. */
	for (int i = 0; i < 100; i++) {
		fake_time_pass(100);
		for (int k = 0; k < 20; k++) {
			while (try_bytes(&denial, sizeof(denial)))
				sent++;
			sd_event_run(event, 0);
		}
		/* Its heart beats all the same. */
		if (receive(&got, sizeof(got)) != WIRE_PING)
			continue;
		struct wire_beat pong = { { WIRE_PONG, sizeof(pong) }, got.beat.number };
		while (!try_bytes(&pong, sizeof(pong))) {
			assert_false(fake_spawn_killed);
			sd_event_run(event, 0);
			fake_time_pass(20);
		}
		pongs++;
	}
	assert_in_range(pongs, 2, 6);
	assert_false(fake_spawn_killed);
	assert_in_range(packets, 10000, 2000 + 2000 * 25);
	rival = sd_event_source_disable_unref(rival);
	/* It goes while it is held up. */
	while (try_bytes(&denial, sizeof(denial)))
		sd_event_run(event, 0);
	fake_spawn_close();
	run();
	pass(SECOND);
	assert_false(fake_spawn_runs);
	helper_detach(helper, HELPER_PACKETS);
}

/* Records that take long: others wait as little for them. */
static void test_slow_records(void **state)
{
	struct wire_denial denial = good_denial();

	(void)state;
	helper_attach(helper, HELPER_PACKETS, &packet_client, &packets);
	begin();
	run();
	denial.head.length = sizeof(denial);
	while (try_bytes(&denial, sizeof(denial)))
		;
	packet_ms = 4;
	assert_true(sd_event_run(event, 0) > 0);
	assert_int_equal(packets, 3);
	assert_true(sd_event_run(event, 0) > 0);
	assert_int_equal(packets, 6);
	helper_detach(helper, HELPER_PACKETS);
}

static void query_many(void)
{
	char name[32];

	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		assert_int_equal(resolver_query(resolver, name, FAMILY_4), 0);
	}
}

/* From the first-th one on. */
static void expect_many(int first)
{
	char name[32];

	for (int i = first; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		next_query(name, FAMILY_4);
		run();
	}
}

/* The descriptor that comes with the next record. */
static int receive_descriptor(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { &got, sizeof(got) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	int fd;

	assert_int_equal(recvmsg(fake_spawn_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), sizeof(struct wire_plain));
	assert_int_equal(got.head.kind, WIRE_NFLOG);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	assert_non_null(header);
	assert_int_equal(header->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* It reads nothing: what it must know waits, and is sent in its order once it reads again. */
static void test_full_socket(void **state)
{
	struct wire_plain plain = { .head.kind = WIRE_NFLOG };
	int pair[2];

	(void)state;
	begin();
	query_many();
	run();
	/* With a descriptor, of which a copy waits. */
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	helper_send(helper, &plain, sizeof(plain), pair[1]);
	close(pair[1]);
	/* There is room, and somebody is before it. */
	next_query("n0.test", FAMILY_4);
	assert_int_equal(resolver_query(resolver, "late.test", FAMILY_4), 0);
	expect_many(1);
	int fd = receive_descriptor();
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	close(pair[0]);
	next_query("late.test", FAMILY_4);
	assert_int_equal(next_record(), 0);
	assert_false(fake_spawn_killed);
}

/* What can't be sent is not lost without a word: the next one is sent all of it. */
static void test_not_sent(void **state)
{
	struct wire_plain plain = { .head.kind = WIRE_NFLOG };

	(void)state;
	begin();
	run();
	helper_send(helper, &plain, sizeof(plain), 1 << 20); /* no descriptor */
	assert_true(fake_spawn_killed);
	assert_non_null(strstr(reason(), "it could not be sent all that it must know"));
}

/* There is a bound for what waits at one time, and none for what has waited. */
static void test_bound(void **state)
{
	struct wire_watch watch = { .head.kind = WIRE_WATCH };

	(void)state;
	begin();
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 2000; k++)
			helper_send(helper, &watch, sizeof(watch), -1);
		for (int k = 0; k < 2000; k++) {
			assert_int_equal(next_record(), WIRE_WATCH);
			run();
		}
	}
	assert_false(fake_spawn_killed);
	for (int i = 0; !fake_spawn_killed; i++) {
		assert_true(i < 100000);
		helper_send(helper, &watch, sizeof(watch), -1);
	}
	expect_death("it could not be sent all that it must know");
	/* What waited for that one is not for the next. */
	await_start();
	send_ready();
	run();
	assert_int_equal(next_record(), WIRE_SERVERS);
	assert_int_equal(next_record(), 0);
}

static void test_memory(void **state)
{
	struct helper *other;
	struct resolver *more;
	struct dns_server server = { make_addr("192.0.2.53"), 53 };

	(void)state;
	allocations_left = 0;
	assert_int_equal(helper_new(&other, event, &helper_events, NULL), -ENOMEM);
	assert_int_equal(resolver_new(&more, event, helper, &resolver_events, NULL), -ENOMEM);
	assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), -ENOMEM);
	allocations_left = -1;
	for (fake_timer_fails = 0; fake_timer_fails < 2; fake_timer_fails++) {
		int fails = fake_timer_fails;
		assert_int_equal(helper_new(&other, event, &helper_events, NULL), -ENOMEM);
		fake_timer_fails = fails;
	}
	fake_timer_fails = -1;
	assert_int_equal(resolver_set_servers(resolver, &server, 1), 0);
	begin();
	/* Where nothing can wait, it is started anew, and hears it then. */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(resolver_query(resolver, "a.test", FAMILY_4), 0);
	assert_false(fake_spawn_killed);
	allocations_left = 0;
	struct wire_plain plain = { .head.kind = WIRE_WATCH_END };
	helper_send(helper, &plain, sizeof(plain), -1);
	allocations_left = -1;
	expect_death("it could not be sent all that it must know");
	helper_free(NULL);
	resolver_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_queries),   TEST(test_greatest_answer), TEST(test_servers),     TEST(test_freed_by_an_answer),
		TEST(test_restart),   TEST(test_back_off),        TEST(test_ends),        TEST(test_closing),
		TEST(test_heartbeat), TEST(test_our_own_delay),   TEST(test_query_hangs), TEST(test_wrong_sizes),
		TEST(test_kinds),     TEST(test_versions),        TEST(test_lies),        TEST(test_packets),
		TEST(test_flood),     TEST(test_slow_records),    TEST(test_full_socket), TEST(test_not_sent),
		TEST(test_bound),     TEST(test_memory),
	};

	if (sd_event_new(&event) < 0)
		return 1;
	int failed = cmocka_run_group_tests_name("helper", tests, NULL, NULL);
	sd_event_unref(event);
	return failed;
}
