/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "make.h"

#include "core/config_keys.h"
#include "core/policy_diff.h"

#define SERVER "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
#define ADM "[role ADM]\nmembers = 203.0.113.0/24\n"
#define BASE SERVER ADM
#define EIGHT "10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 10.0.0.13 10.0.0.15 "

static const struct change {
	const char *old, *new, *lines;
} changes[] = {
	{ BASE, BASE, "" },
	/* settings */
	{ BASE, BASE "[gateway]\nmode = audit\n", "mode: enforce -> audit\n" },
	{ BASE, BASE "[gateway]\ninterception = block\nearly_drop = no\nlog_group = 6\n",
	  "interception: prevent -> block\nearly_drop: yes -> no\nlog_group: 5 -> 6\n" },
	{ BASE, BASE "[gateway]\nnat_except = 10.0.0.1\n", "nat_except: none -> 10.0.0.1\n" },
	{ BASE "[gateway]\nnat_except = " EIGHT "\n", BASE "[gateway]\nnat_except = " EIGHT "10.0.0.17\n",
	  "nat_except: 10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 and 2 more -> "
	  "10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 and 3 more\n" },
	{ BASE "[gateway]\nnat_except = " EIGHT "\n",
	  BASE "[gateway]\nnat_except = 10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 "
	       "10.0.0.9 10.0.0.11 10.0.0.13 10.0.0.17\n",
	  "nat_except: 10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 and 2 more, others than before\n" },
	{ BASE, BASE "[gateway]\nreject = SERVER ADM\n", "reject: none -> SERVER ADM\n" },
	{ BASE "[gateway]\nreject = SERVER\n\tADM SERVER\n", BASE "[gateway]\nreject = SERVER, ADM\n", "" },
	{ BASE "[gateway]\nreject = SERVER ADM\n", BASE "[gateway]\nreject = ADM SERVER\n", "" },
	{ BASE "[gateway]\nreject = SERVER\n", BASE "[gateway]\nreject = ADM\n", "reject: SERVER -> ADM\n" },
	{ BASE "[gateway]\nreject = ADM\n", BASE "[gateway]\nreject =\n", "reject: ADM -> none\n" },
	{ BASE, BASE "[dns]\nobserve = no\n", "observe: yes -> no\n" },
	{ BASE, BASE "[dns]\nservers = 192.0.2.54\nmin_interval = 1m\ngrace = 0s\n",
	  "servers: system -> 192.0.2.54\nmin_interval: 30s -> 1m\ngrace: 1h -> 0s\n" },
	{ BASE "[dns]\nservers = 192.0.2.54#5353\n", BASE "[dns]\nservers = 192.0.2.54#53\n",
	  "servers: 192.0.2.54#5353 -> 192.0.2.54\n" },
	{ BASE "[dns]\nservers = 192.0.2.54\n", BASE "[dns]\nservers = 192.0.2.54#53\n", "" },
	{ BASE, BASE "[flow license-out]\nallow_private = yes\n",
	  "name my.mailstore.com: private addresses allowed\n" },
	{ BASE, "[server]\naddress = 192.0.2.25\ninterface = any\nresolvers = 192.0.2.53\n" ADM,
	  "interface: auto -> any\n" },
	{ "[server]\naddress = 192.0.2.25\ninterface = eth0\nresolvers = 192.0.2.53\n" ADM,
	  "[server]\naddress = 192.0.2.25\ninterface = eth1\nresolvers = 192.0.2.53\n" ADM,
	  "interface: eth0 -> eth1\n" },
	/* roles */
	{ BASE, SERVER "[role ADM]\nmembers = 203.0.113.0/25 admin.example.net\n",
	  "role ADM: +admin.example.net\nrole ADM: -203.0.113.128/25\n" }, /* shown once, not of each flow */
	{ BASE, SERVER "[role ADM]\nmembers = any\n", "role ADM: now ANY\nrole ADM: -203.0.113.0/24\n" },
	{ SERVER "[role ADM]\nmembers = a.example.net b.example.net c.example.net\n",
	  SERVER "[role ADM]\nmembers = d.example.net b.example.net a.example.net e.example.net\n",
	  "role ADM: +d.example.net\nrole ADM: +e.example.net\nrole ADM: -c.example.net\n" },
	{ SERVER "[role ADM]\nmembers = any\n", BASE, "role ADM: no longer ANY\nrole ADM: +203.0.113.0/24\n" },
	{ SERVER "[role ADM]\nmembers = 10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 10.0.0.13\n",
	  SERVER "[role ADM]\nmembers = 10.0.0.13\n",
	  "role ADM: -10.0.0.1 -10.0.0.3 -10.0.0.5 -10.0.0.7 -10.0.0.9 -10.0.0.11\n" },
	{ BASE, BASE "[role IH]\nmembers = 192.0.2.31\n", "role IH: new: 192.0.2.31\n" },
	{ BASE, BASE "[role X]\nmembers = " EIGHT "\n 10.0.0.17\n", "role X: new: " EIGHT "10.0.0.17\n" },
	{ BASE, BASE "[role X]\nmembers = " EIGHT "\n 10.0.0.17 any\n", "role X: new: " EIGHT "(+2 more)\n" },
	{ BASE "[role IH]\nmembers = 192.0.2.31\n", BASE, "role IH: gone\n" },
	{ BASE "[role IH]\nmembers = 192.0.2.31\n", BASE "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n",
	  "role IH: now protected\n" },
	{ BASE "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n", BASE "[role IH]\nmembers = 192.0.2.31\n",
	  "role IH: no longer protected\n" },
	{ BASE "[role X]\n",
	  BASE "[role X]\nmembers = 10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 10.0.0.13 10.0.0.15\n",
	  "role X: +10.0.0.1 +10.0.0.3 +10.0.0.5 +10.0.0.7 +10.0.0.9 +10.0.0.11 and 2 more\n" },
	{ BASE,
	  "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\nephemeral_ports = 1025-2000, 2001-65535 7\n" ADM,
	  "role SERVER: ephemeral_ports 7,1025-65535, was 49152-65535\n" },
	{ BASE "[role IH]\nmembers = 192.0.2.31\nprotected = yes\nephemeral_ports = 1-9\n",
	  BASE "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n",
	  "role IH: ephemeral_ports 49152-65535, was 1-9\n" },
	/* the same addresses, written otherwise */
	{ BASE, SERVER "[role ADM]\nmembers = 203.0.113.0/25 203.0.113.128-203.0.113.255\n", "" },
	/* flows */
	{ BASE, BASE "[flow api-in]\nenabled = no\n", "flow api-in: on -> off\n" },
	{ BASE "[flow api-in]\nenabled = no\n", BASE, "flow api-in: off -> on\n" },
	{ BASE, BASE "[flow console-in]\nport = 18470, 18471-18480 1\n",
	  "flow console-in: port 1,18470-18480, was 8470\n" },
	{ BASE, BASE "[flow dns-out]\nprotocol = tcp\n", "flow dns-out: protocol tcp, was tcp/udp\n" },
	{ BASE, BASE "[flow ews-out]\nto = outlook.office365.com 198.51.100.80\n",
	  "flow ews-out: to outlook.office365.com 198.51.100.80, was ANY\n" },
	{ BASE "[flow ews-out]\nto = " EIGHT "10.0.0.17 10.0.0.19\n",
	  BASE "[flow ews-out]\nto = " EIGHT "10.0.0.17 10.0.0.21\n",
	  "flow ews-out: to " EIGHT "(+2 more), others than before\n" },
	{ BASE, BASE "[flow x]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = tcp\nport = 445, 10000-10100\n",
	  "flow x: new: 192.0.2.77 -> SERVER 445,10000-10100/tcp\n" },
	{ BASE, BASE "[flow x]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = icmp-echo\nenabled = no\n",
	  "flow x: new, off: 192.0.2.77 -> SERVER icmp-echo\n" },
	{ BASE "[flow x]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = icmp-echo\n", BASE,
	  "flow x: gone: 192.0.2.77 -> SERVER icmp-echo\n" },
	{ BASE, BASE "[flow license-out]\nexpect = 24h\n", "flow license-out: expect 1d, was none\n" },
	{ BASE "[flow license-out]\nexpect = 24h\n", BASE "[flow license-out]\nexpect = 90m\n",
	  "flow license-out: expect 90m, was 1d\n" },
	{ BASE "[flow license-out]\nexpect = 24h\n", BASE, "flow license-out: expect none, was 1d\n" },
	{ BASE "[flow ews-out]\nto = a.example.net b.example.net\n",
	  BASE "[flow ews-out]\nto = b.example.net c.example.net\n",
	  "flow ews-out: to b.example.net c.example.net, was a.example.net b.example.net\n" },
	{ BASE "[flow ews-out]\nto = a.example.net b.example.net\n",
	  BASE "[flow ews-out]\nto = b.example.net a.example.net\n", "" },
	{ BASE "[flow ews-out]\nto = a.example.net\n", BASE "[flow ews-out]\nto = a.example.net b.example.net\n",
	  "flow ews-out: to a.example.net b.example.net, was a.example.net\n" },
	{ BASE "[flow x]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = tcp\nport = 1\n",
	  BASE "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n[flow x]\nfrom = 192.0.2.78\nto = IH\nprotocol = "
	       "tcp\nport = 1-2\n",
	  "role IH: new: 192.0.2.31\nflow x: port 1-2, was 1\nflow x: from 192.0.2.78, was 192.0.2.77\nflow x: to IH, "
	  "was SERVER\n" },
	{ BASE "[flow license-out]\nallow_private = yes\n", BASE,
	  "name my.mailstore.com: private addresses no longer allowed\n" },
	{ "[server]\naddress = 192.0.2.25\ninterface = eth0\nresolvers = 192.0.2.53\n" ADM,
	  "[server]\naddress = 192.0.2.25\ninterface = eth0 eth1\nresolvers = 192.0.2.53\n" ADM,
	  "interface: eth0 -> eth0 eth1\n" },
	{ BASE "[flow api-in]\nenabled = no\nport = 1\n", BASE,
	  "flow api-in: off -> on\nflow api-in: port 8474, was 1\n" },
	{ BASE, BASE "[flow imap-in]\ncomment = of the branch office\n",
	  "flow imap-in: comment of the branch office, was none\n" },
	{ BASE "[flow imap-in]\ncomment = one\n", BASE "[flow imap-in]\ncomment = two\n",
	  "flow imap-in: comment two, was one\n" },
	{ BASE "[flow imap-in]\ncomment = one\nenabled = no\n", BASE "[flow imap-in]\nenabled = no\n",
	  "flow imap-in: comment none, was one\n" },
	/* what is off on both sides lets nothing more through */
	{ BASE "[flow api-in]\nenabled = no\n", BASE "[flow api-in]\nenabled = no\nport = 1\n", "" },
};

static void take_line(void *userdata, const struct policy_change *change)
{
	fprintf(userdata, "%s\n", change->text);
}

static void compare(const struct change *cases, size_t count,
		    void (*take)(void *userdata, const struct policy_change *change))
{
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++) {
		struct policy old, new;
		char *lines = NULL;
		size_t length;
		FILE *out = open_memstream(&lines, &length);
		assert_non_null(out);
		make_good_policy(&old, cases[i].old);
		make_good_policy(&new, cases[i].new);
		policy_diff(&old, &new, take, out);
		assert_int_equal(fclose(out), 0);
		if (strcmp(lines, cases[i].lines) != 0) {
			print_error("from\n%sto\n%sthe difference is\n%sinstead of\n%s", cases[i].old, cases[i].new,
				    lines, cases[i].lines);
			wrong++;
		}
		free(lines);
		policy_free(&old);
		policy_free(&new);
	}
	assert_int_equal(wrong, 0);
}

static void test_changes(void **state)
{
	(void)state;
	compare(changes, COUNT_OF(changes), take_line);
}

static void take_parts(void *userdata, const struct policy_change *change)
{
	static const char kinds[] = { [CHANGE_OTHER] = '~', [CHANGE_NEW] = '+', [CHANGE_GONE] = '-' };

	fprintf(userdata, "%c %s|%s|%s|%s|%s|%u%s\n", kinds[change->kind], change->of, change->id ? change->id : "",
		change->key ? change->key : "", change->before ? change->before : "",
		change->after ? change->after : "", change->line, change->off ? " off" : "");
}

/* The same by parts. */
static void test_parts(void **state)
{
	static const struct change parts[] = {
		{ BASE, BASE "[gateway]\nmode = audit\nnat_except = 10.0.0.1\n",
		  "~ setting||mode|enforce|audit|7\n~ setting||nat_except|none|10.0.0.1|8\n" },
		{ BASE "[gateway]\nmode = audit\n", BASE, "~ setting||mode|audit|enforce|0\n" }, /* written no more */
		{ BASE, "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.54\ntime_servers = 192.0.2.1\n" ADM,
		  "~ flow|dns-out|to|192.0.2.53|192.0.2.54|3\n~ flow|ntp-out|enabled|off|on|4\n"
		  "~ flow|ntp-out|to|nobody|192.0.2.1|4\n" },
		{ BASE, "[server]\naddress = 192.0.2.25\n" ADM,
		  "~ flow|dns-out|enabled|on|off|0\n~ flow|dns-out|to|192.0.2.53|nobody|0\n" },
		{ BASE, "[server]\nresolvers = 192.0.2.53\naddress = 192.0.2.26\nephemeral_ports = 1-9\n" ADM,
		  "~ role|SERVER|members||192.0.2.26|3\n~ role|SERVER|members|192.0.2.25||3\n"
		  "~ role|SERVER|ephemeral_ports|49152-65535|1-9|4\n" },
		{ BASE, BASE "[name my.mailstore.com]\nfamily = ipv4\n",
		  "~ name|my.mailstore.com|family|both|ipv4|6\n" },
		{ BASE, SERVER "[role ADM]\nmembers = 203.0.113.0/25 admin.example.net\n",
		  "~ role|ADM|members||admin.example.net|4\n~ role|ADM|members|203.0.113.128/25||4\n" },
		{ BASE, SERVER "[role ADM]\nmembers = any\n",
		  "~ role|ADM|members||ANY|4\n~ role|ADM|members|203.0.113.0/24||4\n" },
		{ BASE, BASE "[role X]\nmembers = 10.0.0.1\n", "+ role|X|||10.0.0.1|6\n" },
		{ BASE "[role X]\nmembers = 10.0.0.1\n", BASE, "- role|X||10.0.0.1||0\n" },
		{ BASE, BASE "[flow imap-in]\nenabled = no\n", "~ flow|imap-in|enabled|on|off|6\n" },
		{ BASE "[flow imap-in]\nenabled = no\n", BASE, "~ flow|imap-in|enabled|off|on|0\n" },
		{ BASE, BASE "[flow imap-in]\nfrom = 10.0.0.1\nport = 1143\ncomment = a\n",
		  "~ flow|imap-in|comment|none|a|6\n~ flow|imap-in|port|143|1143|6\n"
		  "~ flow|imap-in|from|ANY|10.0.0.1|6\n" },
		{ BASE, BASE "[flow x]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 445\nenabled = no\n",
		  "+ flow|x|||ADM -> SERVER 445/tcp|6 off\n" },
		{ BASE "[flow x]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 445\n", BASE,
		  "- flow|x||ADM -> SERVER 445/tcp||0\n" },
		{ BASE, BASE "[flow license-out]\nallow_private = yes\n",
		  "~ name|my.mailstore.com|allow_private|no|yes|0\n" },
	};

	(void)state;
	compare(parts, COUNT_OF(parts), take_parts);
}

/* Each key of a section without a name, written where the file before has none: something is reported, with its
 * line. */
static const char *const settings[][2] = {
	{ "address", "192.0.2.25 192.0.2.26" },
	{ "interface", "lan" },
	{ "resolvers", "192.0.2.54" },
	{ "time_servers", "192.0.2.1" },
	{ "ephemeral_ports", "1025-65535" },
	{ "preset", "none" },
	{ "mode", "audit" },
	{ "interception", "off" },
	{ "early_drop", "no" },
	{ "record", "no" },
	{ "proof", "report" },
	{ "log_group", "6" },
	{ "nat_except", "10.0.0.1" },
	{ "reject", "ADM" },
	{ "notify", "/bin/true" },
	{ "servers", "192.0.2.54#5353" },
	{ "min_interval", "1s" },
	{ "max_interval", "1h" },
	{ "grace", "2h" },
	{ "stale", "1d" },
	{ "observe", "no" },
};

static const char *value_of(const struct config_key *key)
{
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		if (strcmp(settings[i][0], key->name) == 0)
			return settings[i][1];
	return NULL;
}

struct lines {
	unsigned line;
	size_t right, wrong;
};

static void take_line_number(void *userdata, const struct policy_change *change)
{
	struct lines *lines = userdata;

	if (change->line == lines->line)
		lines->right++;
	else
		lines->wrong++;
}

static void check_setting(const struct config_key *key, const char *value)
{
	bool server = key->section == CONFIG_SERVER, address = strcmp(key->name, "address") == 0;
	struct lines lines = { .line = server && !address ? 3 : server ? 2 : 4 };
	struct policy old, new;
	char section[16] = "", text[400];

	if (!server)
		snprintf(section, sizeof(section), "[%s]\n", config_section_names[key->section]);
	snprintf(text, sizeof(text), "[server]\n%s%s%s = %s\n" ADM, address ? "" : "address = 192.0.2.25\n", section,
		 key->name, value);
	make_good_policy(&old, "[server]\naddress = 192.0.2.25\n" ADM);
	make_good_policy(&new, text);
	policy_diff(&old, &new, take_line_number, &lines);
	if (!lines.right || lines.wrong)
		fail_msg("%s = %s: %zu changes of its line, %zu of another", key->name, value, lines.right,
			 lines.wrong);
	policy_free(&old);
	policy_free(&new);
}

static void test_every_setting(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (config_section_has_name(key->section))
			continue;
		if (!value_of(key))
			fail_msg("[%s] %s: write a value for it here", config_section_names[key->section], key->name);
		check_setting(key, value_of(key));
	}
}

/* Short buffers cut, and never overrun. */
static void test_short_buffers(void **state)
{
	struct policy policy;
	char buffer[64];

	(void)state;
	make_good_policy(&policy, BASE "[flow x]\nfrom = 192.0.2.77 192.0.2.79 any\nto = SERVER\nprotocol = tcp\nport "
				       "= 445, 10000-10100\n");
	const struct policy_flow *flow = policy_flow(&policy, "x");
	for (size_t size = 1; size <= sizeof(buffer); size++) {
		memset(buffer, 'x', sizeof(buffer));
		assert_true(strlen(endpoint_text(&flow->from, buffer, size)) < size);
		assert_true(strlen(ports_text(flow, buffer, size)) < size);
		for (size_t i = size; i < sizeof(buffer); i++)
			assert_int_equal(buffer[i], 'x');
	}
	assert_string_equal(endpoint_text(&flow->from, buffer, sizeof(buffer)), "192.0.2.77 192.0.2.79 ANY");
	assert_string_equal(endpoint_text(&(struct endpoint){ 0 }, buffer, sizeof(buffer)), "nobody");
	assert_string_equal(protocols_text(7, buffer), "tcp/udp/icmp-echo");
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_every_setting),
		cmocka_unit_test(test_short_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
