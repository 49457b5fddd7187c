/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "make.h"

#include "core/export.h"

#include <errno.h>

#define BASE "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define ADM "[role ADM]\nmembers = 192.0.2.0/24\n"
#define CAS                                                                                                          \
	"netsh advfirewall firewall add rule name=\"MailStore Service Provider Edition (CAS)\" action=ALLOW dir=IN " \
	"protocol=TCP localport=\"143,443,993\" profile=ANY\n"
#define MGMT(port, from)                                                                                              \
	"netsh advfirewall firewall add rule name=\"MailStore Service Provider Edition (MGMT)\" action=ALLOW dir=IN " \
	"protocol=TCP localport=\"" port "\"" from " profile=ANY\n"
#define OWN(id, rest) \
	"netsh advfirewall firewall add rule name=\"spefw (" id ")\" action=ALLOW dir=IN " rest " profile=ANY\n"
#define FROM_ADM " remoteip=\"192.0.2.0/24\""
#define DEFAULT CAS MGMT("8470", FROM_ADM) MGMT("8474", FROM_ADM)

/* The commands alone, in their order. */
static const struct {
	const char *config, *names, *commands;
} cases[] = {
	{ BASE ADM, "", DEFAULT },
	{ BASE, "", CAS }, /* nobody is an administrator */
	{ BASE "[role ADM]\nmembers = any\n", "", CAS MGMT("8470", "") MGMT("8474", "") },
	{ BASE ADM "[gateway]\npreset = none\n", "", "" },
	{ BASE ADM "[flow imap-in]\nport = 144, 143\n[flow imaps-in]\nenabled = no\n", "",
	  "netsh advfirewall firewall add rule name=\"MailStore Service Provider Edition (CAS)\" action=ALLOW dir=IN "
	  "protocol=TCP localport=\"143-144,443\" profile=ANY\n" MGMT("8470", FROM_ADM) MGMT("8474", FROM_ADM) },
	/* narrowed: a rule of its own */
	{ BASE ADM "[flow https-in]\nfrom = 203.0.113.7\n", "",
	  "netsh advfirewall firewall add rule name=\"MailStore Service Provider Edition (CAS)\" action=ALLOW dir=IN "
	  "protocol=TCP localport=\"143,993\" profile=ANY\n"
	  "netsh advfirewall firewall add rule name=\"MailStore Service Provider Edition (CAS)\" action=ALLOW dir=IN "
	  "protocol=TCP localport=\"443\" remoteip=\"203.0.113.7\" profile=ANY\n" MGMT("8470", FROM_ADM)
		  MGMT("8474", FROM_ADM) },
	/* ping is a command where it is asked for */
	{ BASE ADM "[flow ping]\nenabled = yes\n", "",
	  DEFAULT OWN("ping", "protocol=\"icmpv4:8,any\" remoteip=\"192.0.2.0/24\"") },
	{ BASE ADM "[flow x]\nfrom = any\nto = SERVER\nprotocol = icmp-echo\n", "",
	  DEFAULT OWN("x", "protocol=\"icmpv4:8,any\"") OWN("x", "protocol=\"icmpv6:128,any\"") },
	/* to one of the addresses: sources of the other family can't come */
	{ BASE ADM "[flow x]\nfrom = ADM 2001:db8::1\nto = 192.0.2.25\nprotocol = udp\nport = 9\n", "",
	  DEFAULT OWN("x", "protocol=UDP localport=\"9\" localip=\"192.0.2.25\" remoteip=\"192.0.2.0/24\"") },
	/* to ANY: nothing of it is the server's */
	{ BASE ADM "[flow x]\nfrom = 203.0.113.1\nto = any\nprotocol = tcp\nport = 9\n", "", DEFAULT },
	/* names */
	{ BASE "[role ADM]\nmembers = a.example.net 192.0.2.7\n", "a.example.net 192.0.2.8 2001:db8::8",
	  CAS MGMT("8470", " remoteip=\"192.0.2.7-192.0.2.8,2001:db8::8\"")
		  MGMT("8474", " remoteip=\"192.0.2.7-192.0.2.8,2001:db8::8\"") },
	{ BASE "[role ADM]\nmembers = a.example.net\n", "", CAS },
	{ BASE "[role ADM]\nmembers = a.example.net\n", NULL, CAS },
};

static char *netsh_of(const struct policy *policy, const char *names)
{
	struct names_view view = names ? make_names(policy, names) : (struct names_view){ 0 };
	char *text = export_netsh(&(struct export_view){ policy, names ? &view : NULL, "of a test", 0 });

	names_view_free(&view);
	return text;
}

static char *commands_of(const char *text)
{
	char *commands = calloc(1, strlen(text) + 1);

	assert_non_null(commands);
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
		if (strncmp(at, "netsh ", 6) == 0)
			strncat(commands, at, strcspn(at, "\n") + 1);
	return commands;
}

static void test_netsh(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct policy policy;
		make_good_policy(&policy, cases[i].config);
		char *text = netsh_of(&policy, cases[i].names), *commands;
		assert_non_null(text);
		commands = commands_of(text);
		assert_string_equal(commands, cases[i].commands);
		free(commands);
		free(text);
		policy_free(&policy);
	}
}

/* What is left out has a reason, and a comment can't be more than that. */
static void test_comments(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, BASE "[role ADM]\nmembers = a.example.net\n[flow x]\nfrom = 192.0.2.9\nto = SERVER\n"
				       "protocol = tcp\nport = 9\ncomment = & calc | \"%x%\" `y` $z\n");
	char *text = netsh_of(&policy, NULL);
	assert_non_null(strstr(text, "# of a test\n"));
	assert_non_null(strstr(text, "# left out: a.example.net, whose addresses only a running spefwd knows\n"));
	assert_non_null(strstr(text, "# no rule: no address of its source is known\n"));
	assert_non_null(strstr(text, "# x: ? calc ? ??x?? ?y? ?z\n"));
	free(text);
	text = netsh_of(&policy, "");
	assert_non_null(strstr(text, "# left out: a.example.net, which has no address now\n"));
	free(text);
	text = netsh_of(&policy, "a.example.net 192.0.2.8");
	assert_non_null(
		strstr(text, "# a.example.net had these addresses then, which Windows does not follow: 192.0.2.8\n"));
	free(text);
	policy_free(&policy);
}

static void test_nft(void **state)
{
	struct policy policy;
	struct ruleset ruleset = { 0 };

	(void)state;
	make_good_policy(&policy, BASE ADM);
	struct names_view names = make_names(&policy, "my.mailstore.com 198.51.100.7");
	assert_int_equal(make_ruleset(&ruleset, &policy, &names), 0);
	char *text = export_nft(&(struct export_view){ &policy, &names, "of \n\033[31m", 0 }, &ruleset);
	assert_memory_equal(text, "#!/usr/sbin/nft -f\n# of ??[31m\n# ", 33);
	assert_non_null(strstr(text, "\n# The addresses of names are those of that moment, each until its timeout.\n"));
	assert_non_null(strstr(text, "\ntable inet spefw\ndelete table inet spefw\ntable inet spefw {\n"));
	free(text);
	text = export_nft(&(struct export_view){ &policy, NULL, "", 0 }, &ruleset);
	assert_non_null(strstr(text, "\n# Nobody resolved the names: "));
	free(text);
	ruleset_free(&ruleset);
	names_view_free(&names);
	policy_free(&policy);
}

/* Of an element whose time is over while its text is written, nft would take no timeout. */
static void test_nft_timeouts(void **state)
{
	struct policy policy;
	struct ruleset ruleset = { 0 };

	(void)state;
	make_good_policy(&policy, BASE ADM);
	struct names_view names = make_names(&policy, "my.mailstore.com 198.51.100.7");
	assert_int_equal(make_ruleset(&ruleset, &policy, &names), 0);
	char *text = export_nft(&(struct export_view){ &policy, &names, "", INT64_MAX / 2 }, &ruleset);
	assert_non_null(strstr(text, "198.51.100.7 timeout 1s"));
	free(text);
	ruleset_free(&ruleset);
	names_view_free(&names);
	policy_free(&policy);
}

static void test_without_memory(void **state)
{
	struct policy policy;
	struct ruleset ruleset = { 0 };
	char *text = NULL;
	long count;

	(void)state;
	make_good_policy(&policy, BASE "[role ADM]\nmembers = a.example.net 192.0.2.7\n[flow x]\nfrom = ADM\n"
				       "to = 192.0.2.25\nprotocol = icmp-echo\n");
	struct names_view names = make_names(&policy, "a.example.net 192.0.2.8");
	assert_int_equal(make_ruleset(&ruleset, &policy, &names), 0);
	const struct export_view view = { &policy, &names, "", 0 };
	for (count = 0; !text; count++) {
		allocations_left = count;
		text = export_netsh(&view);
		allocations_left = -1;
	}
	assert_true(count > 5);
	assert_non_null(strstr(text, "192.0.2.7-192.0.2.8"));
	free(text);
	text = NULL;
	for (count = 0; !text; count++) {
		allocations_left = count;
		text = export_nft(&view, &ruleset);
		allocations_left = -1;
	}
	free(text);
	ruleset_free(&ruleset);
	names_view_free(&names);
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netsh),        cmocka_unit_test(test_comments),       cmocka_unit_test(test_nft),
		cmocka_unit_test(test_nft_timeouts), cmocka_unit_test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
