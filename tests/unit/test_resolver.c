/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resolver against a DNS server in the same event loop, in a network of its own, with an /etc of its own. Where
 * such namespaces are not allowed, the test is skipped (77). */
#define CARES_NO_DEPRECATED
#include "net/resolver.h"
#include "net/resolv_conf.h"

#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	HANG_S = 60, /* not a measure: when a test that waits calls it a failure */
	SKIPPED = 77,
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_AAAA = 28,
	TYPE_OPT = 41,
};

static sd_event *event;

/* The server: what it answers is in the name of the query. */

struct server {
	struct sockaddr_storage address;
	socklen_t address_length;
	uint8_t number; /* in the addresses that it answers */
	int udp, tcp;
	sd_event_source *udp_source, *tcp_source;
	unsigned queries, queries_by_tcp, queries_with_edns;
};

struct message {
	uint8_t bytes[65535];
	size_t length;
};

static void put(struct message *message, const void *bytes, size_t length)
{
	assert_true(message->length + length <= sizeof(message->bytes));
	memcpy(message->bytes + message->length, bytes, length);
	message->length += length;
}

/* owner: a pointer to the question, or to "ok.test" behind an alias. */
static void put_record(struct message *message, unsigned section, uint16_t owner, uint8_t type, uint16_t ttl,
		       const void *data, uint8_t size)
{
	uint8_t head[12] = { (uint8_t)(0xc0 | owner >> 8), (uint8_t)owner, 0, type, 0, 1, 0, 0,
			     (uint8_t)(ttl >> 8),          (uint8_t)ttl,   0, size };
	put(message, head, sizeof(head));
	put(message, data, size);
	uint8_t *count = message->bytes + 4 + 2 * section;
	if (++count[1] == 0)
		count[0]++;
}

static void put_address(struct message *message, const struct server *server, uint16_t owner, uint8_t type,
			uint8_t last)
{
	uint8_t v4[4] = { 192, 0, 2, last }, v6[16] = { 0x20, 1, 0x0d, 0xb8, [14] = server->number, [15] = last };

	if (type == TYPE_A)
		put_record(message, 1, owner, type, 300, v4, sizeof(v4));
	else
		put_record(message, 1, owner, type, 300, v6, sizeof(v6));
}

static void put_soa(struct message *message)
{
	static const uint8_t soa[22] = { [20] = 0, [21] = 120 };
	static const uint8_t head[11] = { 0, 0, TYPE_SOA, 0, 1, 0, 0, 0, 250, 0, sizeof(soa) };

	put(message, head, sizeof(head));
	put(message, soa, sizeof(soa));
	message->bytes[9]++;
}

static void put_alias(struct message *message, const struct server *server, uint8_t type)
{
	static const uint8_t target[] = "\2ok\4test";

	put_record(message, 1, 12, TYPE_CNAME, 60, target, sizeof(target));
	put_address(message, server, (uint16_t)(message->length - sizeof(target)), type, server->number);
}

static bool is(const uint8_t *name, const char *label)
{
	return name[0] == strlen(label) && strncasecmp((const char *)name + 1, label, name[0]) == 0;
}

/* An OPT record follows the question, with the size that fits a packet. */
static bool has_edns(const uint8_t *query, size_t length, size_t end)
{
	static const uint8_t opt[] = { 0, 0, TYPE_OPT, 1232 >> 8, 1232 & 0xff };

	return query[11] == 1 && length >= end + 5 + sizeof(opt) && memcmp(query + end + 5, opt, sizeof(opt)) == 0;
}

/* False: the server stays silent. */
static bool compose(struct server *server, const uint8_t *query, size_t length, bool by_tcp, struct message *ret)
{
	static const struct {
		const char *label;
		uint8_t rcode;
	} errors[] = {
		{ "servfail", 2 },
		{ "notimp", 4 },
		{ "refused", 5 },
	};
	const uint8_t *name = query + 12;
	size_t end = 12;

	assert_true(length > 17);
	while (query[end])
		end += 1 + (size_t)query[end];
	uint8_t type = query[end + 2];

	*ret = (struct message){ .length = 0 };
	put(ret, query, end + 5);
	memset(ret->bytes + 2, 0, 10);
	ret->bytes[2] = 0x81;
	ret->bytes[3] = 0x80;
	ret->bytes[5] = 1;

	if (is(name, "silent"))
		return false;
	bool edns = has_edns(query, length, end);
	server->queries_with_edns += edns;
	if (is(name, "plain") && edns)
		ret->bytes[3] |= 1;
	else if (is(name, "plain"))
		put_address(ret, server, 12, type, server->number);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (is(name, errors[i].label))
			ret->bytes[3] |= errors[i].rcode;
	if (is(name, "second") && server->number == 1)
		ret->bytes[3] |= 2;
	else if (is(name, "ok") || is(name, "second"))
		put_address(ret, server, 12, type, server->number);
	else if (is(name, "nx"))
		ret->bytes[3] |= 3;
	else if (is(name, "alias"))
		put_alias(ret, server, type);
	else if (is(name, "big") && by_tcp)
		for (uint8_t i = 1; i <= 100; i++)
			put_address(ret, server, 12, type, i);
	else if (is(name, "many") && by_tcp)
		for (unsigned i = 0; i < 1000; i++)
			put_address(ret, server, 12, type, (uint8_t)i);
	else if (is(name, "huge") && by_tcp)
		while (ret->length + 28 <= sizeof(ret->bytes))
			put_address(ret, server, 12, type, 66);
	else if (is(name, "big") || is(name, "many") || is(name, "huge"))
		ret->bytes[2] |= 2;
	else if (is(name, "garbage"))
		put_record(ret, 1, 12, type, 300, "abc", 3);
	if (is(name, "nx") || is(name, "nodata"))
		put_soa(ret);
	if (is(name, "garbage"))
		ret->length--;
	if (is(name, "other")) {
		ret->bytes[13] = 'x';
		put_address(ret, server, 12, type, 66);
	}
	return true;
}

static int on_udp(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct server *server = userdata;
	struct sockaddr_storage peer;
	socklen_t peer_length = sizeof(peer);
	uint8_t query[1024];
	struct message message;

	(void)source;
	(void)events;
	ssize_t got = recvfrom(fd, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_length);
	if (got < 0)
		return 0;
	server->queries++;
	if (compose(server, query, (size_t)got, false, &message))
		assert_true(sendto(fd, message.bytes, message.length, 0, (struct sockaddr *)&peer, peer_length) > 0);
	return 0;
}

static bool receive(int fd, uint8_t *bytes, size_t length)
{
	return recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

/* The query is small, and c-ares sends it at once: reading it may block for a moment, but needs no state. */
static int on_query(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct server *server = userdata;
	uint8_t size[2], query[1024];
	struct message message;

	(void)events;
	if (receive(fd, size, 2) && receive(fd, query, (size_t)size[0] << 8 | size[1]) &&
	    compose(server, query, (size_t)size[0] << 8 | size[1], true, &message)) {
		server->queries_by_tcp++;
		uint8_t prefix[2] = { (uint8_t)(message.length >> 8), (uint8_t)message.length };
		assert_int_equal(send(fd, prefix, 2, MSG_MORE), 2);
		assert_int_equal(send(fd, message.bytes, message.length, 0), message.length);
		return 0;
	}
	sd_event_source_disable_unref(source);
	close(fd);
	return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)source;
	(void)events;
	assert_true(client >= 0);
	sd_event_source *reader;
	assert_true(sd_event_add_io(event, &reader, client, EPOLLIN, on_query, userdata) >= 0);
	return 0;
}

static int open_socket(struct server *server, int type)
{
	int fd = socket(server->address.ss_family, type | SOCK_CLOEXEC, 0), yes = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	assert_int_equal(bind(fd, (struct sockaddr *)&server->address, server->address_length), 0);
	return fd;
}

static void start(struct server *server, uint8_t number, enum family family, uint16_t port)
{
	*server = (struct server){ .number = number };
	if (family == FAMILY_4) {
		struct sockaddr_in address = { .sin_family = AF_INET,
					       .sin_port = htons(port),
					       .sin_addr.s_addr = htonl(0x7f000000U + number) };
		memcpy(&server->address, &address, sizeof(address));
		server->address_length = sizeof(address);
	} else {
		struct sockaddr_in6 address = { .sin6_family = AF_INET6,
						.sin6_port = htons(port),
						.sin6_addr = IN6ADDR_LOOPBACK_INIT };
		memcpy(&server->address, &address, sizeof(address));
		server->address_length = sizeof(address);
	}
	server->udp = open_socket(server, SOCK_DGRAM);
	server->tcp = open_socket(server, SOCK_STREAM);
	assert_int_equal(listen(server->tcp, 8), 0);
	assert_true(sd_event_add_io(event, &server->udp_source, server->udp, EPOLLIN, on_udp, server) >= 0);
	assert_true(sd_event_add_io(event, &server->tcp_source, server->tcp, EPOLLIN, on_connection, server) >= 0);
}

static void stop(struct server *server)
{
	sd_event_source_disable_unref(server->udp_source);
	sd_event_source_disable_unref(server->tcp_source);
	close(server->udp);
	close(server->tcp);
}

/* The client: what was reported to it. */

struct report {
	char name[64];
	enum family family;
	char error[64]; /* "": answered */
	struct addr addresses[DNS_ADDRESSES_MAX];
	size_t count;
	uint32_t ttl_s;
};

static struct client {
	struct resolver *resolver;
	struct report reports[64];
	size_t count;
	unsigned changes;
	size_t told_at_change;
	bool free_when_told;
} client;

static void on_done(void *userdata, const struct resolver_answer *answer)
{
	assert_ptr_equal(userdata, &client);
	assert_true(client.count < 64);
	struct report *report = &client.reports[client.count++];
	snprintf(report->name, sizeof(report->name), "%s", answer->name);
	snprintf(report->error, sizeof(report->error), "%s", answer->error ? answer->error : "");
	report->family = answer->family;
	report->count = answer->count;
	report->ttl_s = answer->ttl_s;
	assert_true(answer->count <= DNS_ADDRESSES_MAX);
	if (answer->count > 0)
		memcpy(report->addresses, answer->addresses, answer->count * sizeof(*answer->addresses));
	if (client.free_when_told) {
		resolver_free(client.resolver);
		client.resolver = NULL;
	}
}

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &client);
	client.changes++;
	client.told_at_change = client.count;
}

static void run_until(size_t count, unsigned changes)
{
	time_t began = time(NULL);

	while (client.count < count || client.changes < changes) {
		assert_true(sd_event_run(event, 100000) >= 0);
		if (time(NULL) - began > HANG_S)
			fail_msg("%zu of %zu answers, %u of %u changes, then nothing", client.count, count,
				 client.changes, changes);
	}
	assert_int_equal(client.count, count);
}

static void open_client(const struct dns_server *servers, size_t count)
{
	memset(&client, 0, sizeof(client));
	assert_int_equal(resolver_new(&client.resolver, event, servers, count, on_done, on_changed, &client), 0);
}

static void query(const char *name, enum family family)
{
	size_t before = client.count;
	assert_int_equal(resolver_query(client.resolver, name, family), 0);
	/* Later, not now. */
	assert_int_equal(client.count, before);
}

static const struct report *report_of(const char *name, enum family family)
{
	const struct report *found = NULL;

	for (size_t i = 0; i < client.count; i++)
		if (strcmp(client.reports[i].name, name) == 0 && client.reports[i].family == family) {
			assert_null(found);
			found = &client.reports[i];
		}
	assert_non_null(found);
	return found;
}

static void expect_answer(const char *name, enum family family, const char *first, size_t count, uint32_t ttl_s)
{
	const struct report *report = report_of(name, family);
	char text[ADDR_TEXT_MAX];

	assert_string_equal(report->error, "");
	assert_int_equal(report->count, count);
	assert_int_equal(report->ttl_s, ttl_s);
	if (first)
		assert_string_equal(addr_format(&report->addresses[0], text), first);
}

static struct dns_server at(const char *text, uint16_t port)
{
	struct dns_server server = { .port = port };
	assert_true(addr_parse(text, &server.addr));
	return server;
}

static void answers(void **state)
{
	struct server one, two;
	struct dns_server servers[] = { at("127.0.0.1", 5353), at("::1", 5354) };

	(void)state;
	start(&one, 1, FAMILY_4, 5353);
	start(&two, 2, FAMILY_6, 5354);
	open_client(servers, 2);
	query("ok.test", FAMILY_4);
	query("ok.test", FAMILY_6);
	query("alias.test", FAMILY_4);
	query("nx.test", FAMILY_6);
	query("nodata.test", FAMILY_4);
	query("big.test", FAMILY_4);
	query("second.test", FAMILY_6);
	run_until(7, 0);

	expect_answer("ok.test", FAMILY_4, "192.0.2.1", 1, 300);
	expect_answer("ok.test", FAMILY_6, "2001:db8::101", 1, 300);
	expect_answer("alias.test", FAMILY_4, "192.0.2.1", 1, 60);
	expect_answer("nx.test", FAMILY_6, NULL, 0, 120);
	expect_answer("nodata.test", FAMILY_4, NULL, 0, 120);
	expect_answer("big.test", FAMILY_4, "192.0.2.1", 100, 300);
	assert_int_equal(one.queries_by_tcp, 1);
	assert_int_equal(one.queries_with_edns, one.queries + one.queries_by_tcp);
	/* The second server is queried where the first one fails, and only there. */
	expect_answer("second.test", FAMILY_6, "2001:db8::202", 1, 300);
	assert_int_equal(two.queries, 1);

	resolver_free(client.resolver);
	stop(&one);
	stop(&two);
}

/* One server is silent, by a packet filter or for want of a machine; at another one nobody listens. */
static void dead_servers(void **state)
{
	struct server silent, alive;
	struct dns_server servers[] = { at("127.0.0.8", 5353), at("127.0.0.9", 5353), at("127.0.0.3", 5353) };

	(void)state;
	start(&silent, 8, FAMILY_4, 5353);
	sd_event_source_set_enabled(silent.udp_source, SD_EVENT_OFF);
	sd_event_source_set_enabled(silent.tcp_source, SD_EVENT_OFF);
	start(&alive, 3, FAMILY_4, 5353);
	open_client(servers, 3);
	query("ok.test", FAMILY_4);
	query("ok.test", FAMILY_6);
	query("nx.test", FAMILY_4);
	query("big.test", FAMILY_4);
	query("servfail.test", FAMILY_4);
	run_until(5, 0);
	expect_answer("ok.test", FAMILY_4, "192.0.2.3", 1, 300);
	expect_answer("ok.test", FAMILY_6, "2001:db8::303", 1, 300);
	expect_answer("nx.test", FAMILY_4, NULL, 0, 120);
	expect_answer("big.test", FAMILY_4, "192.0.2.1", 100, 300);
	assert_string_not_equal(report_of("servfail.test", FAMILY_4)->error, "");
	resolver_free(client.resolver);
	stop(&silent);
	stop(&alive);
}

/* A server of old that knows no EDNS is queried again without; what it then answers counts. */
static void without_edns(void **state)
{
	struct server one;
	struct dns_server servers[] = { at("127.0.0.1", 5353) };

	(void)state;
	start(&one, 1, FAMILY_4, 5353);
	open_client(servers, 1);
	query("plain.test", FAMILY_4);
	run_until(1, 0);
	expect_answer("plain.test", FAMILY_4, "192.0.2.1", 1, 300);
	assert_true(one.queries_with_edns > 0 && one.queries > one.queries_with_edns);
	resolver_free(client.resolver);
	stop(&one);
}

/* More than anybody needs, and more than is read: what is queried meanwhile is not affected. */
static void large_answers(void **state)
{
	struct server one;
	struct dns_server servers[] = { at("127.0.0.1", 5353) };

	(void)state;
	start(&one, 1, FAMILY_4, 5353);
	open_client(servers, 1);
	query("many.test", FAMILY_4);
	query("many.test", FAMILY_6);
	query("ok.test", FAMILY_4);
	run_until(3, 0);
	expect_answer("many.test", FAMILY_4, "192.0.2.0", DNS_ADDRESSES_MAX, 300);
	expect_answer("many.test", FAMILY_6, "2001:db8::100", DNS_ADDRESSES_MAX, 300);
	expect_answer("ok.test", FAMILY_4, "192.0.2.1", 1, 300);

	query("huge.test", FAMILY_4);
	query("huge.test", FAMILY_6);
	query("ok.test", FAMILY_6);
	run_until(6, 0);
	assert_string_equal(report_of("huge.test", FAMILY_4)->error, "malformed answer");
	assert_string_equal(report_of("huge.test", FAMILY_6)->error, "malformed answer");
	expect_answer("ok.test", FAMILY_6, "2001:db8::101", 1, 300);
	assert_int_equal(one.queries_by_tcp, 4);
	resolver_free(client.resolver);
	stop(&one);
}

static void again_and_again(void **state)
{
	struct server one;
	struct dns_server servers[] = { at("127.0.0.1", 5353) };

	(void)state;
	start(&one, 1, FAMILY_4, 5353);
	open_client(servers, 1);
	for (size_t i = 1; i <= 5; i++) {
		query("ok.test", FAMILY_4);
		run_until(i, 0);
		/* Nothing is answered from a memory of its own. */
		assert_int_equal(one.queries, i);
	}
	resolver_free(client.resolver);
	stop(&one);
}

static void failures(void **state)
{
	struct server one;
	struct dns_server servers[] = { at("127.0.0.1", 5353) };
	char long_name[300];

	(void)state;
	start(&one, 1, FAMILY_4, 5353);
	open_client(servers, 1);
	query("servfail.test", FAMILY_4);
	query("refused.test", FAMILY_4);
	query("notimp.test", FAMILY_4);
	query("silent.test", FAMILY_4);
	query("other.test", FAMILY_4);
	query("no..name", FAMILY_4);
	query("ok.test", FAMILY_4);
	run_until(7, 0);
	/* Apart from the others: c-ares 1.34 takes what it can't read as the end of the socket, and of what waits on
	 * it. */
	query("garbage.test", FAMILY_4);
	run_until(8, 0);
	assert_string_equal(report_of("servfail.test", FAMILY_4)->error, "SERVFAIL");
	assert_string_equal(report_of("refused.test", FAMILY_4)->error, "REFUSED");
	assert_string_equal(report_of("notimp.test", FAMILY_4)->error, "NOTIMP");
	assert_string_equal(report_of("garbage.test", FAMILY_4)->error, "malformed answer");
	assert_string_equal(report_of("silent.test", FAMILY_4)->error, "timeout");
	assert_string_equal(report_of("other.test", FAMILY_4)->error, "timeout");
	assert_string_equal(report_of("no..name", FAMILY_4)->error, "not a DNS name");
	expect_answer("ok.test", FAMILY_4, "192.0.2.1", 1, 300);

	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(resolver_query(client.resolver, long_name, FAMILY_4), -EINVAL);
	resolver_free(client.resolver);
	stop(&one);

	/* Nobody listens there now. */
	open_client(servers, 1);
	query("ok.test", FAMILY_4);
	run_until(1, 0);
	assert_string_equal(client.reports[0].error, "no DNS server answers");
	resolver_free(client.resolver);

	open_client(servers, 0);
	query("ok.test", FAMILY_4);
	run_until(1, 0);
	assert_string_equal(client.reports[0].error, "no DNS server");
	resolver_free(client.resolver);
}

static void freed_early(void **state)
{
	struct server one;
	struct dns_server servers[] = { at("127.0.0.1", 5353) };

	(void)state;
	start(&one, 1, FAMILY_4, 5353);
	/* From within the call that brings an answer, with others under way and finished. */
	open_client(servers, 1);
	client.free_when_told = true;
	query("silent.test", FAMILY_4);
	query("no..name", FAMILY_4);
	query("no..name", FAMILY_6);
	run_until(1, 0);
	assert_null(client.resolver);

	open_client(servers, 1);
	query("silent.test", FAMILY_4);
	query("no..name", FAMILY_4);
	resolver_free(client.resolver);
	for (unsigned i = 0; i < 5; i++)
		assert_true(sd_event_run(event, 0) >= 0);
	assert_int_equal(client.count, 0);
	stop(&one);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static const char *nameserver(unsigned number)
{
	static char text[64];
	snprintf(text, sizeof(text), "search wrong.test\nnameserver 127.0.0.%u\n", number);
	return text;
}

static void expect_server(unsigned number)
{
	char text[ADDR_TEXT_MAX], expected[ADDR_TEXT_MAX];
	size_t count = client.count;

	snprintf(expected, sizeof(expected), "192.0.2.%u", number);
	query("ok.test", FAMILY_4);
	run_until(count + 1, 0);
	assert_string_equal(client.reports[count].error, "");
	assert_string_equal(addr_format(&client.reports[count].addresses[0], text), expected);
}

static void resolv_conf(void **state)
{
	struct server servers[4];
	unsigned changes = 0;

	(void)state;
	for (uint8_t i = 0; i < 4; i++)
		start(&servers[i], (uint8_t)(i + 1), FAMILY_4, 53);
	write_file(RESOLV_CONF, nameserver(1));
	open_client(NULL, 0);
	expect_server(1);

	/* Renamed over, with a query under way: that one is reported to have failed, before the change is. */
	query("silent.test", FAMILY_4);
	write_file("/etc/resolv.conf.new", nameserver(2));
	assert_int_equal(rename("/etc/resolv.conf.new", RESOLV_CONF), 0);
	run_until(2, ++changes);
	assert_string_equal(report_of("silent.test", FAMILY_4)->error, "cancelled");
	assert_int_equal(client.told_at_change, 2);
	expect_server(2);

	write_file(RESOLV_CONF, nameserver(3));
	run_until(client.count, ++changes);
	expect_server(3);

	/* Cut to nothing: as without it, the one on this machine. Then two, of which the first is not there. */
	write_file(RESOLV_CONF, "");
	run_until(client.count, ++changes);
	expect_server(1);
	write_file(RESOLV_CONF, "nameserver 127.0.0.99\nnameserver 127.0.0.2\n");
	run_until(client.count, ++changes);
	expect_server(2);

	/* A symbolic link to a file in a directory that is not there yet; without the file, the one on this machine is
	 * queried. */
	assert_int_equal(symlink("run/resolve/stub.conf", "/etc/link"), 0);
	assert_int_equal(symlink("link", "/etc/link2"), 0);
	assert_int_equal(rename("/etc/link2", RESOLV_CONF), 0);
	run_until(client.count, ++changes);
	expect_server(1);
	/* Nothing to report yet, but what is watched follows: directories and file come one after the other. */
	assert_int_equal(mkdir("/etc/run", 0755), 0);
	assert_int_equal(mkdir("/etc/run/resolve", 0755), 0);
	write_file("/etc/run/resolve/new", nameserver(4));
	assert_int_equal(rename("/etc/run/resolve/new", "/etc/run/resolve/stub.conf"), 0);
	run_until(client.count, ++changes);
	expect_server(4);
	write_file("/etc/run/resolve/new", nameserver(2));
	assert_int_equal(rename("/etc/run/resolve/new", "/etc/run/resolve/stub.conf"), 0);
	run_until(client.count, ++changes);
	expect_server(2);

	assert_int_equal(unlink("/etc/run/resolve/stub.conf"), 0);
	run_until(client.count, ++changes);
	expect_server(1);
	assert_int_equal(client.changes, changes);
	resolver_free(client.resolver);
	for (size_t i = 0; i < 4; i++)
		stop(&servers[i]);
	unlink(RESOLV_CONF);
}

/* Whether the modes of files bind us, as they do another user than root. */
static void obey_modes(bool obey)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint32_t over = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[0].effective = obey ? data[0].effective & ~over : data[0].effective | over;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* As mktemp makes a file: nobody else can read it until somebody gives it another mode. */
static void wrong_mode(void **state)
{
	struct server servers[2];

	(void)state;
	obey_modes(true);
	for (uint8_t i = 0; i < 2; i++)
		start(&servers[i], (uint8_t)(i + 1), FAMILY_4, 53);
	write_file("/etc/new", nameserver(2));
	assert_int_equal(chmod("/etc/new", 0), 0);
	assert_int_equal(rename("/etc/new", RESOLV_CONF), 0);
	open_client(NULL, 0);
	expect_server(1);
	assert_int_equal(chmod(RESOLV_CONF, 0644), 0);
	run_until(client.count, 1);
	expect_server(2);
	resolver_free(client.resolver);
	for (size_t i = 0; i < 2; i++)
		stop(&servers[i]);
	unlink(RESOLV_CONF);
	obey_modes(false);
}

int __real_ares_init_options(ares_channel *channel, struct ares_options *options, int mask);
int __wrap_ares_init_options(ares_channel *channel, struct ares_options *options, int mask);

static bool no_memory;

int __wrap_ares_init_options(ares_channel *channel, struct ares_options *options, int mask)
{
	return no_memory ? ARES_ENOMEM : __real_ares_init_options(channel, options, mask);
}

/* No memory in the moment in which the file changes. */
static void short_of_memory(void **state)
{
	struct server two;

	(void)state;
	start(&two, 2, FAMILY_4, 53);
	write_file(RESOLV_CONF, nameserver(9));
	open_client(NULL, 0);
	no_memory = true;
	write_file(RESOLV_CONF, nameserver(2));
	run_until(0, 1);
	query("ok.test", FAMILY_4);
	run_until(1, 1);
	assert_string_equal(client.reports[0].error, "no DNS server");
	no_memory = false;
	expect_server(2);
	resolver_free(client.resolver);
	stop(&two);
	unlink(RESOLV_CONF);
}

/* As ip netns and containers have it: the directory of the file is not /etc. */
static void bind_mount(void **state)
{
	struct server two;

	(void)state;
	start(&two, 2, FAMILY_4, 53);
	write_file(RESOLV_CONF, "");
	assert_int_equal(mkdir("/etc/apart", 0755), 0);
	write_file("/etc/apart/file", "nameserver 127.0.0.9\n");
	assert_int_equal(mount("/etc/apart/file", RESOLV_CONF, NULL, MS_BIND, NULL), 0);
	open_client(NULL, 0);
	write_file("/etc/apart/file", nameserver(2));
	run_until(0, 1);
	expect_server(2);
	resolver_free(client.resolver);
	stop(&two);
	assert_int_equal(umount(RESOLV_CONF), 0);
}

static bool write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* Namespaces of its own; false: not allowed here. */
static bool enter_namespaces(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	char users[32], groups[32];

	/* Both are needed: who has no group can't create files. */
	snprintf(users, sizeof(users), "0 %u 1\n", (unsigned)geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1\n", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) < 0 || !write_proc("/proc/self/setgroups", "deny") ||
	    !write_proc("/proc/self/uid_map", users) || !write_proc("/proc/self/gid_map", groups))
		return false;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	if (fd >= 0)
		close(fd);
	return up && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/etc", "tmpfs", 0, NULL) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),         cmocka_unit_test(dead_servers),    cmocka_unit_test(without_edns),
		cmocka_unit_test(large_answers),   cmocka_unit_test(again_and_again), cmocka_unit_test(failures),
		cmocka_unit_test(freed_early),     cmocka_unit_test(resolv_conf),     cmocka_unit_test(wrong_mode),
		cmocka_unit_test(short_of_memory), cmocka_unit_test(bind_mount),
	};

	if (!enter_namespaces()) {
		fprintf(stderr, "skipped: no namespaces of one's own here: %s\n", strerror(errno));
		return SKIPPED;
	}
	if (sd_event_new(&event) < 0)
		return 1;
	int failed = cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
	sd_event_unref(event);
	return failed;
}
