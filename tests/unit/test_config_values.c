/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ends of what values may be; and each allocation that fails. */
#include "make.h"

#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25\n"
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define LABEL_63 X60 "xxx"
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 "." X60 "x"

static const struct {
	const char *text, *complaint; /* that it begins with; NULL: none */
} cases[] = {
	{ SERVER "[gateway]\nlog_group = 65535\n", NULL },
	{ SERVER "[gateway]\nlog_group = 65536\n", "t.ini:4: log_group = 65536 is not a number from 0 to 65535" },
	{ SERVER "[gateway]\nlog_group = 05\n", "t.ini:4: log_group = 05 is not a number" },
	{ SERVER "[gateway]\nlog_group = 4294967301\n", "t.ini:4: log_group = 4294967301 is not a number" },
	{ SERVER "[gateway]\nlog_group = 18446744073709551621\n", "t.ini:4: log_group = 18446744073709551621" },
	{ SERVER "[dns]\nmin_interval = 1s\n", NULL },
	{ SERVER "[dns]\nmin_interval = 0s\n", "t.ini:4: min_interval = 0s is out of bounds: write 1s to 1d" },
	{ SERVER "[dns]\nmin_interval = 1d\nmax_interval = 7d\n", NULL },
	{ SERVER "[dns]\nmin_interval = 86401s\nmax_interval = 7d\n",
	  "t.ini:4: min_interval = 86401s is out of bounds" },
	{ SERVER "[dns]\nmax_interval = 604801s\n", "t.ini:4: max_interval = 604801s is out of bounds" },
	{ SERVER "[dns]\nmax_interval = 29s\n", "t.ini:4: min_interval 30s is over max_interval 29s" },
	{ SERVER "[dns]\nmax_interval = 30s\n", NULL },
	{ SERVER "[dns]\nmin_interval = 16m\n", "t.ini:4: min_interval 16m is over max_interval 15m" },
	{ SERVER "[dns]\ngrace = 0s\nstale = 1s\n", NULL },
	{ SERVER "[dns]\ngrace = 365d\nstale = 365d\n", NULL },
	{ SERVER "[dns]\ngrace = 366d\n", "t.ini:4: grace = 366d is out of bounds: write 0s to 365d" },
	{ SERVER "[dns]\nstale = 0s\n", "t.ini:4: stale = 0s is out of bounds: write 1s to 365d" },
	{ SERVER "[dns]\nstale = 366d\n", "t.ini:4: stale = 366d is out of bounds: write 1s to 365d" },
	{ SERVER "[dns]\ngrace = 1sx\n", "t.ini:4: grace = 1sx is not a duration" },
	{ SERVER "[dns]\ngrace = s\n", "t.ini:4: grace = s is not a duration" },
	{ SERVER "[dns]\ngrace = 30\n", "t.ini:4: grace = 30 has no unit: write 30s" },
	{ SERVER "[flow x]\nexpect = 0s\n", "t.ini:4: expect = 0s is out of bounds: write 1s to 365d" },
	{ SERVER "[flow x]\nexpect = 366d\n", "t.ini:4: expect = 366d is out of bounds: write 1s to 365d" },
	{ SERVER "[flow api-in]\nport = 1 65535 2-3\n", NULL },
	{ SERVER "[flow api-in]\nport = 0\n", "t.ini:4: port 0 is out of bounds" },
	{ SERVER "[flow api-in]\nport = 65536\n", "t.ini:4: port 65536 is out of bounds" },
	{ SERVER "[flow api-in]\nport = 1-65536\n", "t.ini:4: port 1-65536 is out of bounds" },
	{ SERVER "[flow api-in]\nport = 0-5\n", "t.ini:4: port 0-5 is out of bounds" },
	{ SERVER "[flow api-in]\nport = 5-0\n", "t.ini:4: port 5-0 is out of bounds" },
	{ SERVER "[flow api-in]\nport = 5-4\n", "t.ini:4: port range 5-4 is reversed: write 4-5" },
	{ SERVER "[flow api-in]\nport = 5-5\n", NULL },
	{ SERVER "[flow api-in]\nport = -5\n", "t.ini:4: port range -5 lacks an end" },
	{ SERVER "[flow api-in]\nport = 5-\n", "t.ini:4: port range 5- lacks an end" },
	{ SERVER "[flow api-in]\nport = 5-6-7\n", "t.ini:4: 5-6-7 is not a port" },
	{ SERVER "[flow api-in]\nport = 5-x\n", "t.ini:4: 5-x is not a port" },
	{ SERVER "[flow api-in]\nport = x-\n", "t.ini:4: x- is not a port" },
	{ SERVER "[flow api-in]\nport = 00\n", "t.ini:4: 00 is not a port" },
	{ SERVER "[flow api-in]\nport = 7, 5-6, 8-9 7\n", "t.ini:4: warning: port 7 is in the list already" },
	{ SERVER "[flow api-in]\nport = 5-8, 8-9\n", "t.ini:4: warning: port 8-9 is in the list already" },
	{ SERVER "[flow api-in]\nport = 5-8, 1-5\n", "t.ini:4: warning: port 1-5 is in the list already" },
	{ SERVER "[flow api-in]\nport = 5-8, 1-4 9-10\n", NULL },
	{ SERVER "[dns]\nservers = 192.0.2.53#1 192.0.2.54#65535\n", NULL },
	{ SERVER "[dns]\nservers = 192.0.2.53#0\n", "t.ini:4: port 0 is out of bounds" },
	{ SERVER "[dns]\nservers = 192.0.2.53#65536\n", "t.ini:4: port 65536 is out of bounds" },
	{ SERVER "[dns]\nservers = 192.0.2.53#\n", "t.ini:4: port  is out of bounds" },
	{ SERVER "[dns]\nservers = 192.0.2.0/31\n", "t.ini:4: 192.0.2.0/31 is not the address of a DNS server" },
	{ SERVER "[dns]\nservers = ::ffff:192.0.2.53\n", "t.ini:4: ::ffff:192.0.2.53 is IPv4 in IPv6 form" },
	{ SERVER "[dns]\nservers = system 192.0.2.53\n", "t.ini:4: servers holds system beside others" },
	{ SERVER "[dns]\nservers = 192.0.2.53\n system\n", "t.ini:5: servers holds system beside others" },
	{ SERVER "[dns]\nservers = system system\n", "t.ini:4: servers holds system beside others" },
	{ "[server]\naddress = 192.0.2.25\ninterface = abcdefghijklmno\n", NULL },
	{ "[server]\naddress = 192.0.2.25\ninterface = abcdefghijklmnop\n",
	  "t.ini:3: interface name abcdefghijklmnop has 16" },
	{ "[server]\naddress = 192.0.2.25\ninterface = eth0 auto\n", "t.ini:3: interface holds auto or any beside" },
	{ "[server]\naddress = 192.0.2.25\ninterface = any eth0\n", "t.ini:3: interface holds auto or any beside" },
	{ "[server]\naddress = 192.0.2.25\ninterface = auto any\n", "t.ini:3: interface holds auto or any beside" },
	{ "[server]\naddress = 192.0.2.25\ninterface = eth*\n", "t.ini:3: interface name eth* holds a wildcard" },
	{ "[server]\naddress = 192.0.2.25\ninterface = eth+\n", "t.ini:3: interface name eth+ holds a wildcard" },
	{ "[server]\naddress = 192.0.2.25\ninterface = .\n", "t.ini:3: . is not the name of an interface" },
	{ "[server]\naddress = 192.0.2.25\ninterface = ..\n", "t.ini:3: .. is not the name of an interface" },
	{ "[server]\naddress = 192.0.2.25\ninterface = a/b\n", "t.ini:3: a/b is not the name of an interface" },
	{ "[server]\naddress = 192.0.2.25\ninterface = a.b\n", NULL },
	/* ends of lines */
	{ "[server]\r\naddress = 192.0.2.25\r\n", NULL },
	{ "[server]\r\naddress = 192.0.2.25\r", "t.ini:2: byte 0x0d: this is a binary file" },
	{ "[server]\r\naddress = 192.0.2.25\r\n\x1f", "t.ini:3: byte 0x1f: this is a binary file" },
	{ "[server]\naddress =\t192.0.2.25 ; ~ \xc3\xa4\n", NULL },
	{ "[server]\naddress = 192.0.2.25 ; \x7f\n", "t.ini:2: byte 0x7f: this is a binary file" },
	{ "\xef\xbb\xbf", "t.ini: section [server] is missing" },
	{ "\xff\xfe", "t.ini:1: this is UTF-16" },
	{ "\xfe\xff", "t.ini:1: this is UTF-16" },
	/* names */
	{ SERVER "[role ADM]\nmembers = " LABEL_63 ".net\n", NULL },
	{ SERVER "[role ADM]\nmembers = x" LABEL_63 ".net\n", "t.ini:4: name x" LABEL_63 ".net has a part of 64" },
	{ SERVER "[role ADM]\nmembers = a.b.net.\n", NULL },
	{ SERVER "[role ADM]\nmembers = a..net\n", "t.ini:4: name a..net has an empty part" },
	{ SERVER "[role ADM]\nmembers = a.net..\n", "t.ini:4: name a.net. has an empty part" },
	{ SERVER "[role ADM]\nmembers = a.n_t\n", NULL },
	{ SERVER "[role ADM]\nmembers = a.n!t\n", "t.ini:4: name a.n!t holds '!'" },
	{ SERVER "[role ADM]\nmembers = a.n:t\n", "t.ini:4: name a.n:t holds ':'" },
	{ SERVER "[role ADM]\nmembers = a.7\n", "t.ini:4: name a.7 ends in a number" },
	{ SERVER "[role ADM]\nmembers = a.7-8\n", "t.ini:4: name a.7-8 ends in a number" },
	{ SERVER "[role ADM]\nmembers = a.7b\n", NULL },
	{ SERVER "[role ADM]\nmembers = 7.b\n", NULL },
	{ SERVER "[role ADM]\nmembers = *.example.net\n", "t.ini:4: *.example.net holds a star: only the target" },
	{ SERVER "[flow x]\nto = *.net\n", "t.ini:4: warning: *.net is every name of a whole top-level domain" },
	{ SERVER "[flow ews-out]\nto = *.example.net\n", NULL },
	{ SERVER "[flow x]\nto = a.*.net\n", "t.ini:4: name a.*.net holds a star: it may only stand" },
	{ SERVER "[flow x]\nto = **.net\n", "t.ini:4: name **.net holds a star: it may only stand" },
	{ SERVER "[flow " X10 X10 X10 X10 "]\nenabled = no\n", NULL },
	{ SERVER "[role ADM]\nmembers = A" X10 ".net\n", NULL },
};

static int read_text(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	const char *text = strcmp(path, "t.ini") == 0 ? userdata : "# who\n203.0.113.0/24\nfile.example.net\nADM2\n";
	*ret_bytes = strdup(text);
	*ret_length = strlen(text);
	return *ret_bytes ? 0 : -ENOMEM;
}

static void test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct diags diags = { 0 };
		struct config config;
		assert_int_equal(config_load(&config, "t.ini", read_text, (void *)cases[i].text, &diags), 0);
		diags_sort(&diags);
		char *first = diags.count ? diag_format(&diags.items[0]) : NULL;
		if (!first != !cases[i].complaint ||
		    (first && strncmp(first, cases[i].complaint, strlen(cases[i].complaint)) != 0))
			fail_msg("%s\nis answered by: %s\ninstead of: %s", cases[i].text, first ? first : "nothing",
				 cases[i].complaint ? cases[i].complaint : "nothing");
		free(first);
		diags_free(&diags);
		config_free(&config);
	}
}

/* A name of 253 characters is one, with a dot behind it as well; a longer one is none. Lines are shorter than that. */
static void test_longest_name(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} names[] = { { NAME_253, true }, { NAME_253 ".", true }, { NAME_253 "x", false }, { NAME_253 "x.", false } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct diags diags = { 0 };
		struct config config;
		assert_int_equal(config_init(&config, "t.ini"), 0);
		assert_int_equal(config_section(&config, "role ADM", 1, &diags), 0);
		assert_int_equal(config_key(&config, "role ADM", "members", names[i].name, 2, NULL, NULL, &diags), 0);
		assert_int_equal(diags.count == 0, names[i].good);
		assert_int_equal(config.roles[0].members.count, names[i].good);
		diags_free(&diags);
		config_free(&config);
	}
}

#define RICH                                                                                                          \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\ninterface = eth0 eth1\nresolvers = 192.0.2.53\n"              \
	"time_servers = ntp.example.net 192.0.2.1 192.0.2.2\nephemeral_ports = 1-9 20 30\n"                           \
	"[gateway]\nnat_except = 10.0.0.0/8\n[dns]\nservers = 192.0.2.53#5353 192.0.2.54\n"                           \
	"[role ADM]\nmembers = file:admins.txt any ADM2 b.example.net\nephemeral_ports = 1\n[role ADM2]\n[role C]\n"  \
	"[flow x]\nfrom = ADM2 192.0.2.0/24\nto = SERVER a.example.net *.example.org\nport = 1 2 3\n[flow y]\n[flow " \
	"z]\n"
/* Of each kind one. */
#define WRONG                                                                                                 \
	"address = 1\n[nowhere]\n[server]\naddress = 192.0.2.25/24 x file: 10.1\nmood = 1\nmode = audit\n"    \
	"[role A]\nmembers = a..b x.y! file:file.txt admin\nfrobnicate = 1\n[role A]\n[flow]\nport = 0 9-8\n" \
	"[dns]\ngrace = 1\nstale = x\nmin_interval = 9d\nservers = x 192.0.2.1#0\n[gateway]\nmode = x\n"

/* Each allocation fails in its turn: the result or the complaints show it, and nothing leaks. */
static void test_no_memory(void **state)
{
	static const char *const texts[] = { RICH, WRONG };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		bool through = false;
		long n;
		for (n = 0; !through; n++) {
			struct diags diags = { 0 };
			struct config config;
			allocations_left = n;
			allocations_refused = 0;
			int r = config_load(&config, "t.ini", read_text, (void *)texts[i], &diags);
			through = allocations_refused == 0;
			allocations_left = -1;
			assert_true(r == 0 || r == -ENOMEM);
			assert_int_equal(r == -ENOMEM || diags.out_of_memory, !through);
			if (through)
				assert_int_equal(diags_failed(&diags), i == 1);
			diags_free(&diags);
			config_free(&config);
		}
		assert_true(n > 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
