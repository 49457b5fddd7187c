/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resolv.conf, as it is followed, with an /etc of the test's own. Where such namespaces are not allowed, the test is
 * skipped (77). */
#include "make.h"
#include "net/resolv_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	HANG_S = 60, /* not a measure: when a test that waits calls it a failure */
	SKIPPED = 77,
};

static sd_event *event;
static struct resolv_conf *conf;
static unsigned changes, changes_awaited;

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	changes++;
}

static void open_conf(void)
{
	changes = changes_awaited = 0;
	assert_int_equal(resolv_conf_new(&conf, event, on_changed, &changes), 0);
}

static void await_change(void)
{
	time_t began = time(NULL);

	changes_awaited++;
	while (changes < changes_awaited) {
		assert_true(sd_event_run(event, 100000) >= 0);
		if (time(NULL) - began > HANG_S)
			fail_msg("no change");
	}
	assert_int_equal(changes, changes_awaited);
}

/* Their addresses, separated by blanks. */
static void expect(const char *expected)
{
	char text[RESOLV_CONF_SERVERS_MAX * (ADDR_TEXT_MAX + 1)] = "", address[ADDR_TEXT_MAX];
	const struct dns_server *servers;
	size_t count, length = 0;

	servers = resolv_conf_servers(conf, &count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(servers[i].port, DNS_PORT);
		length += (size_t)sprintf(text + length, "%s%s", i ? " " : "", addr_format(&servers[i].addr, address));
	}
	assert_string_equal(text, expected);
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

static void read_once(const char *content, const char *expected)
{
	write_file(RESOLV_CONF, content);
	open_conf();
	expect(expected);
	resolv_conf_free(conf);
	unlink(RESOLV_CONF);
}

static void contents(void **state)
{
	char many[2048] = "";
	char expected[2048] = "";

	(void)state;
	read_once("", "127.0.0.1");
	read_once("# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch a.test\noptions edns0\n", "127.0.0.1");
	read_once("nameserver 192.0.2.1\n\nnameserver\t2001:db8::1   # the other one\nnameserver ::1",
		  "192.0.2.1 2001:db8::1 ::1");
	read_once("nameserver 192.0.2.1\r\n", "192.0.2.1");
	/* What is no address that a record could hold is left out. */
	read_once("nameserver fe80::1%eth0\nnameserver 192.0.2.300\nnameserver dns.test\nnameserver\nnameservers "
		  "192.0.2.4\n"
		  "nameserver 192.0.2.5\n",
		  "192.0.2.5");
	for (int i = 1; i <= 20; i++) {
		sprintf(many + strlen(many), "nameserver 192.0.2.%d\n", i);
		if (i <= RESOLV_CONF_SERVERS_MAX)
			sprintf(expected + strlen(expected), "%s192.0.2.%d", i > 1 ? " " : "", i);
	}
	read_once(many, expected);
	assert_int_equal(mkdir(RESOLV_CONF, 0755), 0);
	open_conf();
	expect("127.0.0.1");
	resolv_conf_free(conf);
	assert_int_equal(rmdir(RESOLV_CONF), 0);
	resolv_conf_free(NULL);
}

static void changing(void **state)
{
	(void)state;
	write_file(RESOLV_CONF, nameserver(1));
	open_conf();
	expect("127.0.0.1");

	/* Renamed over. */
	write_file("/etc/resolv.conf.new", nameserver(2));
	assert_int_equal(rename("/etc/resolv.conf.new", RESOLV_CONF), 0);
	await_change();
	expect("127.0.0.2");
	/* Rewritten; before that with the same servers, which is no change. */
	write_file(RESOLV_CONF, "search other.test\nnameserver 127.0.0.2\n");
	for (int i = 0; i < 5; i++)
		assert_true(sd_event_run(event, 100000) >= 0);
	assert_int_equal(changes, changes_awaited);
	write_file(RESOLV_CONF, nameserver(3));
	await_change();
	expect("127.0.0.3");
	/* Cut to nothing: as without it, the one on this machine. Then two. */
	write_file(RESOLV_CONF, "");
	await_change();
	expect("127.0.0.1");
	write_file(RESOLV_CONF, "nameserver 127.0.0.99\nnameserver 127.0.0.2\n");
	await_change();
	expect("127.0.0.99 127.0.0.2");

	/* A link to a file in a directory that is not there yet. */
	assert_int_equal(symlink("run/resolve/stub.conf", "/etc/link"), 0);
	assert_int_equal(symlink("link", "/etc/link2"), 0);
	assert_int_equal(rename("/etc/link2", RESOLV_CONF), 0);
	await_change();
	expect("127.0.0.1");
	/* Nothing to report yet, but what is watched follows: directories and file come one after the other. */
	assert_int_equal(mkdir("/etc/run", 0755), 0);
	assert_int_equal(mkdir("/etc/run/resolve", 0755), 0);
	write_file("/etc/run/resolve/new", nameserver(4));
	assert_int_equal(rename("/etc/run/resolve/new", "/etc/run/resolve/stub.conf"), 0);
	await_change();
	expect("127.0.0.4");
	write_file("/etc/run/resolve/new", nameserver(2));
	assert_int_equal(rename("/etc/run/resolve/new", "/etc/run/resolve/stub.conf"), 0);
	await_change();
	expect("127.0.0.2");
	assert_int_equal(unlink("/etc/run/resolve/stub.conf"), 0);
	await_change();
	expect("127.0.0.1");
	resolv_conf_free(conf);
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
	(void)state;
	obey_modes(true);
	write_file("/etc/new", nameserver(2));
	assert_int_equal(chmod("/etc/new", 0), 0);
	assert_int_equal(rename("/etc/new", RESOLV_CONF), 0);
	open_conf();
	expect("127.0.0.1");
	assert_int_equal(chmod(RESOLV_CONF, 0644), 0);
	await_change();
	expect("127.0.0.2");
	resolv_conf_free(conf);
	unlink(RESOLV_CONF);
	obey_modes(false);
}

/* As ip netns and containers have it: the directory of the file is not /etc. */
static void bind_mount(void **state)
{
	(void)state;
	write_file(RESOLV_CONF, "");
	assert_int_equal(mkdir("/etc/apart", 0755), 0);
	write_file("/etc/apart/file", "nameserver 127.0.0.9\n");
	assert_int_equal(mount("/etc/apart/file", RESOLV_CONF, NULL, MS_BIND, NULL), 0);
	open_conf();
	expect("127.0.0.9");
	write_file("/etc/apart/file", nameserver(2));
	await_change();
	expect("127.0.0.2");
	resolv_conf_free(conf);
	assert_int_equal(umount(RESOLV_CONF), 0);
}

static void no_memory(void **state)
{
	(void)state;
	for (long n = 0; n < 2; n++) {
		allocations_left = n;
		assert_int_equal(resolv_conf_new(&conf, event, on_changed, &changes), -ENOMEM);
		allocations_left = -1;
	}
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
	char users[32], groups[32];

	/* Both are needed: who has no group can't create files. */
	snprintf(users, sizeof(users), "0 %u 1\n", (unsigned)geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1\n", (unsigned)getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_proc("/proc/self/setgroups", "deny") &&
	       write_proc("/proc/self/uid_map", users) && write_proc("/proc/self/gid_map", groups) &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/etc", "tmpfs", 0, NULL) == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents),   cmocka_unit_test(changing),  cmocka_unit_test(wrong_mode),
		cmocka_unit_test(bind_mount), cmocka_unit_test(no_memory),
	};

	if (!enter_namespaces()) {
		fprintf(stderr, "skipped: no namespaces of one's own here: %s\n", strerror(errno));
		return SKIPPED;
	}
	if (sd_event_new(&event) < 0)
		return 1;
	int failed = cmocka_run_group_tests_name("resolv_conf", tests, NULL, NULL);
	sd_event_unref(event);
	return failed;
}
