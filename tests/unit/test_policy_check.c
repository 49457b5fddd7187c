/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What contradicts itself, and what is legal but unwise: further cases than test_policy.c has. */
#include "make.h"

#define SERVER "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define ADM "[role ADM]\nmembers = 203.0.113.0/24\n"
#define QUIET "[dns]\nobserve = no\n" SERVER ADM /* 7 lines */

static const struct {
	const char *text, *diags;
} cases[] = {
	/* one that is not covered is enough, be it the first or the last */
	{ QUIET "[flow a]\nfrom = 198.51.100.0/24\nto = SERVER\nprotocol = tcp\nport = 1\n[flow b]\nfrom = "
		"198.51.99.7 198.51.100.7\nto = SERVER\nprotocol = tcp\nport = 1\n",
	  "" },
	{ QUIET "[flow b]\nfrom = SERVER\nto = x.example.net y.example.net\nprotocol = tcp\nport = 1\n[flow a]\nfrom = "
		"SERVER\nto = y.example.net z.example.net\nprotocol = tcp\nport = 1\n",
	  "" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[flow a]\nfrom = any\nto = IH\nprotocol = tcp\nport "
		"= 1\n[flow b]\nfrom = any\nto = SERVER IH\nprotocol = tcp\nport = 1\n",
	  "t.ini:11: warning: flow a opens nothing that flow b does not: narrow or disable b as well\n" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 5\n[flow b]\nfrom = 198.51.100.1\nto = "
		"SERVER\nprotocol = tcp\nport = 4 5\n",
	  "" },
	{ QUIET "[role N]\nmembers = ih.example.net\n[role IH]\nprotected = yes\nmembers = N 192.0.2.31\n",
	  "t.ini:12: role N brings names into protected role IH: a protected role has addresses alone, no names\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = ih.example.net 192.0.2.31\n",
	  "t.ini:10: ih.example.net in protected role IH: a protected role has addresses alone, no names\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31 a.example.net b.example.net\n",
	  "t.ini:10: a.example.net in protected role IH: a protected role has addresses alone, no names\n"
	  "t.ini:10: b.example.net in protected role IH: a protected role has addresses alone, no names\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 0.0.0.0/0\n 224.0.0.5 192.0.2.31\n fe80::1\n 10.0.0.0/8\n",
	  "t.ini:10: warning: 0.0.0.0/0 in protected role IH: no machine has unspecified addresses: write those of IH "
	  "alone\n"
	  "t.ini:10: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one\n"
	  "t.ini:11: warning: 224.0.0.5 in protected role IH: no machine has multicast addresses: write those of IH "
	  "alone\n"
	  "t.ini:12: warning: fe80::1 in protected role IH: no machine has link-local addresses: write those of IH "
	  "alone\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31-255.255.255.255\n",
	  "t.ini:10: warning: 192.0.2.31-255.255.255.255 in protected role IH: no machine has broadcast addresses: "
	  "write those of IH alone\n" },
	{ QUIET "[name my.mailstore.com]\nfamily = ipv4\n", "" },
	{ QUIET "[name other.example.net]\nfamily = ipv4\n",
	  "t.ini:8: warning: no enabled flow uses the name other.example.net, its section has no effect: take it "
	  "out\n" },
	{ QUIET "[name my.mailstore.com]\n[flow license-out]\nenabled = no\n",
	  "t.ini:8: warning: no enabled flow uses the name my.mailstore.com, its section has no effect: take it "
	  "out\n" },
	{ QUIET "[role N]\nmembers = 192.0.2.32\n[role IH]\nprotected = yes\nmembers = N 192.0.2.31\n", "" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n 192.0.2.0/27 192.0.2.40\n",
	  "t.ini:11: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one\n" },
	{ QUIET "[role OTHER]\nmembers = 192.0.2.25\n[role IH]\nprotected = yes\nmembers = 192.0.2.31 192.0.2.40\n "
		"192.0.2.25\n",
	  "t.ini:13: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one\n" },
	{ QUIET "[role N]\nmembers = 192.0.2.25\n[role IH]\nprotected = yes\nmembers = 192.0.2.31 N\n",
	  "t.ini:10: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one\n" },
	{ QUIET "[role A]\nprotected = yes\nmembers = 192.0.2.31-192.0.2.40\n[role B]\nprotected = yes\nmembers = "
		"192.0.2.40-192.0.2.50\n[role C]\nprotected = yes\nmembers = 192.0.2.33\n 192.0.2.50\n",
	  "t.ini:13: 192.0.2.40 is in two protected roles, A and B: leave it in one\n"
	  "t.ini:16: 192.0.2.33 is in two protected roles, A and C: leave it in one\n"
	  "t.ini:17: 192.0.2.50 is in two protected roles, B and C: leave it in one\n" },
	{ QUIET "[role A]\nmembers = 192.0.2.25\n[role B]\nprotected = yes\nmembers = 192.0.2.31\n[role C]\nmembers = "
		"192.0.2.31\n[flow x]\nfrom = A C\nto = B\nprotocol = tcp\nport = 1\n",
	  "" },
	{ QUIET "[role A]\nprotected = yes\nmembers = 192.0.2.24 192.0.2.26\n", "" },
	{ QUIET "[flow dns-out]\nprotocol = icmp-echo\nport = 7\n",
	  "t.ini:10: flow dns-out has no ports: icmp-echo knows none, take port out\n" },
	{ QUIET "[flow dns-out]\nprotocol = icmp-echo\n", "" },
	{ QUIET "[flow ping]\nprotocol = tcp\nport = 7\n", "" },
	{ QUIET "[flow https-in]\nprotocol = udp\n", "" },
	{ QUIET "[flow up]\nfrom = 198.51.100.1\nto = SERVER\nprotocol = icmp-echo\n", "" },
	{ QUIET "[flow up]\nprotocol = tcp\nport = 3\n",
	  "t.ini:8: custom flow up has no from: it needs from, to, protocol and port\n" },
	{ QUIET "[flow pingg]\nprotocol = tcp\nport = 3\n",
	  "t.ini:8: flow pingg is not built in and has no from: did you mean ping?\n" },
	{ QUIET "[flow crll]\nprotocol = tcp\nport = 3\n",
	  "t.ini:8: flow crll is not built in and has no from: did you mean crl?\n" },
	{ QUIET "[flow https-im]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 3\n", "" },
	{ QUIET "[flow x]\nfrom = 198.51.100.1\nto = 2001:db8:2::/64 SERVER\nprotocol = tcp\nport = 1\n",
	  "t.ini:10: warning: 2001:db8:2::/64 does not open 2001:db8:2::25, which is protected: only naming its role "
	  "opens it\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[flow x]\nfrom = 198.51.100.1\nto = SERVER "
		"192.0.2.0/24\nprotocol = tcp\nport = 1\n",
	  "t.ini:13: warning: 192.0.2.0/24 does not open 192.0.2.25, which is protected: only naming its role opens "
	  "it\n" },
	{ QUIET "[flow x]\nfrom = 198.51.100.1\nto = 192.0.2.25 192.0.2.26/31\nprotocol = tcp\nport = 1\n", "" },
	{ QUIET "[flow x]\nfrom = 198.51.100.1\nto = SERVER\n 192.0.2.25 192.0.2.24/31\nprotocol = tcp\nport = 1\n",
	  "t.ini:11: warning: 192.0.2.24/31 does not open 192.0.2.25, which is protected: only naming its role opens "
	  "it\n" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 1-10 20-30\n[flow b]\nfrom = "
		"198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 2 4-5 30\n",
	  "t.ini:13: warning: flow b opens nothing that flow a does not: narrow or disable a as well\n" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 1-10 20-30\n[flow b]\nfrom = "
		"198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 20-30\n",
	  "t.ini:13: warning: flow b opens nothing that flow a does not: narrow or disable a as well\n" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 1-10 20-30\n[flow b]\nfrom = "
		"198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 2 4-11\n",
	  "" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 2-10\n[flow b]\nfrom = 198.51.100.1\nto = "
		"SERVER\nprotocol = tcp\nport = 1-3 5\n",
	  "" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 1-10\nenabled = no\n[flow b]\nfrom = "
		"198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 2\n",
	  "" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 1-10\n[flow b]\nfrom = 198.51.100.1\nto = "
		"SERVER\nprotocol = udp\nport = 2\n",
	  "" },
	{ QUIET "[flow a]\nfrom = 198.51.100.0/24 10.0.0.0/8\nto = SERVER\nprotocol = tcp\nport = 1\n[flow b]\nfrom = "
		"198.51.100.7 10.1.0.0/16\nto = SERVER\nprotocol = tcp\nport = 1\n",
	  "t.ini:13: warning: flow b opens nothing that flow a does not: narrow or disable a as well\n" },
	{ QUIET "[flow a]\nfrom = 198.51.100.0/24\nto = SERVER\nprotocol = tcp\nport = 1\n[flow b]\nfrom = "
		"198.51.100.7 198.51.101.7\nto = SERVER\nprotocol = tcp\nport = 1\n",
	  "" },
	{ QUIET "[flow a]\nfrom = 198.51.100.0/24\nto = SERVER\nprotocol = tcp\nport = 1\n[flow b]\nfrom = any\nto = "
		"SERVER\nprotocol = tcp\nport = 1\n",
	  "t.ini:8: warning: flow a opens nothing that flow b does not: narrow or disable b as well\n" },
	{ QUIET "[flow a]\nfrom = SERVER\nto = x.example.net y.example.net\nprotocol = tcp\nport = 1\n[flow b]\nfrom = "
		"SERVER\nto = y.example.net\nprotocol = tcp\nport = 1\n",
	  "t.ini:13: warning: flow b opens nothing that flow a does not: narrow or disable a as well\n" },
	{ QUIET "[flow a]\nfrom = SERVER\nto = x.example.net y.example.net\nprotocol = tcp\nport = 1\n[flow b]\nfrom = "
		"SERVER\nto = y.example.net z.example.net\nprotocol = tcp\nport = 1\n",
	  "" },
	{ QUIET "[flow b]\nfrom = 198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 1\n[flow a]\nfrom = "
		"198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 1\n",
	  "t.ini:13: warning: flow a opens nothing that flow b does not: narrow or disable b as well\n" },
	{ QUIET
	  "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[flow a]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = "
	  "1\n[flow b]\nfrom = any\nto = SERVER IH\nprotocol = tcp\nport = 1\n[flow c]\nfrom = SERVER\nto = "
	  "any\nprotocol = tcp\nport = 2\n[flow d]\nfrom = SERVER\nto = IH\nprotocol = tcp\nport = 2\n",
	  "t.ini:11: warning: flow a opens nothing that flow b does not: narrow or disable b as well\n" },
	{ QUIET "[flow a]\nfrom = any\nto = SERVER\nprotocol = icmp-echo\n", "" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[flow a]\nfrom = IH\nto = 198.51.100.1\nprotocol = "
		"tcp\nport = 1\n",
	  "" },
	{ QUIET "[flow license-out]\nto = 198.51.100.1 my.mailstore.com\nport = 7\n", "" },
	{ QUIET "[flow x]\nfrom = SERVER\nto = a.example.net *.example.net\nprotocol = tcp\nport = 1\n",
	  "t.ini:8: warning: flow x: *.example.net opens nothing: it is learned from the answers that the server gets: "
	  "write resolvers = ADDRESS in [server] and observe = yes in [dns]\n" },
	{ "[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n"
	  "[flow x]\nfrom = SERVER\nto = *.example.net\nprotocol = tcp\nport = 1\n",
	  "t.ini:5: warning: flow x: *.example.net opens nothing: it is learned from the answers that the server gets: "
	  "write resolvers = ADDRESS in [server] and observe = yes in [dns]\n" },
	{ "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
	  "[role ADM]\nmembers = a.example.net\n",
	  "" },
	{ "[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n"
	  "[role ADM]\n",
	  "" },
	{ QUIET "[role X]\nephemeral_ports = 1-9\n[role Y]\nephemeral_ports = 1-9\nmembers = 192.0.2.31\nprotected = "
		"yes\n[role Z]\nephemeral_ports = 1-9\n",
	  "t.ini:9: warning: role X is not protected, ephemeral_ports has no effect: write protected = yes, or "
	  "take it out\n"
	  "t.ini:15: warning: role Z is not protected, ephemeral_ports has no effect: write protected = yes, or "
	  "take it out\n" },
	{ QUIET "[role X]\nmembers = 198.51.100.1 a.example.net b.example.net\n[role Y]\nmembers = "
		"b.example.net\n[flow x]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n",
	  "t.ini:8: warning: no flow uses the role X: write it in the from or to of a flow, or take it out\n"
	  "t.ini:9: warning: no enabled flow uses the name b.example.net, it is not resolved: write its role in the "
	  "from or to of a flow, or take it out\n"
	  "t.ini:10: warning: no flow uses the role Y: write it in the from or to of a flow, or take it out\n" },
	{ QUIET "[flow api-in]\nexpect = 1h\n[flow console-in]\nenabled = no\n", "" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = any 192.0.2.25\n",
	  "t.ini:8: protected role IH can't be ANY: name the addresses to guard\n"
	  "t.ini:10: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one\n" },
};

static void test_cases(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct policy policy;
		char *diags = make_policy(&policy, cases[i].text);
		if (strcmp(diags, cases[i].diags) != 0) {
			print_error("of\n%sis complained\n%sinstead of\n%s\n", cases[i].text, diags, cases[i].diags);
			wrong++;
		}
		free(diags);
		policy_free(&policy);
	}
	assert_int_equal(wrong, 0);
}

static int read_text(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	(void)path;
	*ret_bytes = strdup(userdata);
	*ret_length = strlen(userdata);
	return 0;
}

/* What a flow with a wrong name lacks would mislead. */
static void test_refused_name(void **state)
{
	static char text[] = QUIET "[flow Https-in]\nfrom = any\n[flow other]\nfrom = any\n";
	struct config config;
	struct policy policy;
	struct diags diags = { 0 };

	(void)state;
	assert_int_equal(config_load(&config, "t.ini", read_text, text, &diags), 0);
	assert_int_equal(diags.errors, 1);
	assert_int_equal(policy_from_config(&policy, &config, &diags), 0);
	assert_int_equal(diags.errors, 2);
	assert_int_equal(diags.items[1].line, 10);
	policy_free(&policy);
	config_free(&config);
	diags_free(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases), cmocka_unit_test(test_refused_name) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
