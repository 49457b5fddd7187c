/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "make.h"

#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define ADM "[role ADM]\nmembers = 203.0.113.0/24\n"
#define QUIET "[dns]\nobserve = no\n" SERVER ADM

/* What is complained of, word by word. */
static const struct complaint {
	const char *text, *diags;
} complaints[] = {
	{ QUIET, "" },
	/* roles */
	{ QUIET "[role X]\nmembers = ADN\n", "t.ini:9: unknown role ADN: did you mean ADM?\n" },
	{ QUIET "[role X]\nmembers = NOBODY_KNOWS\n",
	  "t.ini:9: unknown role NOBODY_KNOWS: define it in a section [role NOBODY_KNOWS]\n" },
	{ QUIET
	  "[flow x]\nfrom = EXCHANG\nto = SERVER\nprotocol = tcp\nport = 1\n[role EXCHANGE]\nmembers = 198.51.100.1\n",
	  "t.ini:9: unknown role EXCHANG: did you mean EXCHANGE?\n" },
	{ QUIET "[role A]\nmembers = 198.51.100.1 A\n", "t.ini:9: role A is a member of itself: take it out here\n" },
	{ QUIET "[role A]\nmembers = B\n[role B]\nmembers = C\n[role C]\nmembers = 198.51.100.1\n\tA\n",
	  "t.ini:14: role A is a member of itself: take it out here\n" },
	{ QUIET
	  "[role A]\nmembers = B\n[role B]\nmembers = A\n[flow x]\nfrom = any\nto = A\nprotocol = tcp\nport = 1\n",
	  "t.ini:11: role A is a member of itself: take it out here\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = any\n",
	  "t.ini:8: protected role IH can't be ANY: name the addresses to guard\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31 ih.example.net\n",
	  "t.ini:10: ih.example.net in protected role IH: a protected role has addresses alone, no names\n" },
	{ QUIET "[role N]\nmembers = ih.example.net\n[role IH]\nprotected = yes\nmembers = 192.0.2.31 N\n",
	  "t.ini:12: role N brings names into protected role IH: a protected role has addresses alone, no names\n" },
	{ QUIET "[role IH]\nprotected = yes\n",
	  "t.ini:8: protected role IH has no members: write members = ADDRESS, or take protected out\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31 192.0.2.24/31\n",
	  "t.ini:10: 192.0.2.25 is in two protected roles, SERVER and IH: leave it in one\n" },
	{ QUIET "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[role MG]\nprotected = yes\nmembers = IH\n",
	  "t.ini:11: 192.0.2.31 is in two protected roles, IH and MG: leave it in one\n" },
	/* reject */
	{ QUIET "[gateway]\nreject = SERVER ADM IH\n[role IH]\nmembers = 192.0.2.31\n", "" },
	{ QUIET "[gateway]\nreject = SERVER\n\tADN CA\n",
	  "t.ini:10: unknown role ADN: did you mean ADM?\n"
	  "t.ini:10: role CA is ANY: reject takes roles with members of their own, such as ADM\n" },
	{ QUIET "[gateway]\nreject = A\n[role A]\nmembers = B\n[role B]\nmembers = 198.51.100.1 any\n",
	  "t.ini:9: role A is ANY: reject takes roles with members of their own, such as ADM\n" },
	{ QUIET "[gateway]\nreject = A\n[role A]\nmembers = a.example.net\n", "" }, /* a name that is used */
	/* flows */
	{ QUIET "[flow ping]\nport = 7\n", "t.ini:9: flow ping has no ports: icmp-echo knows none, take port out\n" },
	{ QUIET "[flow ping]\nprotocol = tcp\n", "t.ini:9: flow ping needs a port for tcp: write port = NUMBER\n" },
	{ QUIET "[flow https-i]\nenabled = no\n",
	  "t.ini:8: flow https-i is not built in and has no from: did you mean https-in?\n" },
	{ QUIET "[flow backup]\nfrom = 192.0.2.77\nprotocol = tcp\nport = 1\n",
	  "t.ini:8: custom flow backup has no to: it needs from, to, protocol and port\n" },
	{ QUIET "[flow backup]\nfrom = 192.0.2.77\nto = SERVER\nport = 1\n",
	  "t.ini:8: custom flow backup has no protocol: it needs from, to, protocol and port\n" },
	{ QUIET "[flow backup]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = udp\n",
	  "t.ini:8: custom flow backup has no port: it needs from, to, protocol and port\n" },
	{ QUIET "[flow backup]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = icmp-echo\nport = 8\n",
	  "t.ini:12: flow backup has no ports: icmp-echo knows none, take port out\n" },
	/* all of them at once, in the order of the file */
	{ QUIET "[role X]\nmembers = ADN\n[flow ping]\nport = 7\n[flow backup]\nto = SERVER\n",
	  "t.ini:9: unknown role ADN: did you mean ADM?\n"
	  "t.ini:11: flow ping has no ports: icmp-echo knows none, take port out\n"
	  "t.ini:12: custom flow backup has no from: it needs from, to, protocol and port\n" },
	{ QUIET "[role X]\nephemeral_ports = 1-9\n",
	  "t.ini:9: warning: role X is not protected, ephemeral_ports has no effect: write protected = yes, or "
	  "take it out\n" },
	{ QUIET "[role X]\nmembers = 192.0.2.31\nprotected = yes\nephemeral_ports = 1-9\n", "" },
	/* legal but unwise */
	{ "[dns]\nobserve = no\n" SERVER "[role ADM]\n",
	  "t.ini:6: warning: role ADM is empty: nobody reaches the Management Console: write members = NETWORK in "
	  "[role ADM]\n" },
	{ "[dns]\nobserve = no\n" SERVER, "t.ini: warning: role ADM is empty: nobody reaches the Management Console: "
					  "write members = NETWORK in [role ADM]\n" },
	{ "[dns]\nobserve = no\n" SERVER "[role ADM]\nmembers = any\n",
	  "t.ini:6: warning: role ADM is ANY: the vendor says a computer or network used for administration: write "
	  "members = NETWORK in [role ADM]\n" },
	{ "[dns]\nobserve = no\n[server]\naddress = 192.0.2.25\n" ADM,
	  "t.ini:4: warning: no resolvers: the server can't resolve names through this gateway: write resolvers = "
	  "ADDRESS in [server]\n" },
	{ "[dns]\nobserve = no\n[gateway]\npreset = none\n[server]\naddress = 192.0.2.25\n", "" },
	{ QUIET "[flow console-in]\nfrom = any\n",
	  "t.ini:9: warning: flow console-in is open to ANY: the vendor says ADM alone: write from = ADM\n" },
	{ QUIET "[flow license-out]\nto = 198.51.100.9\n",
	  "t.ini:8: warning: flow license-out opens nothing that flow ews-out does not: narrow or disable ews-out as "
	  "well\n"
	  "t.ini:9: warning: flow license-out goes to no name: the vendor says by DNS hostname, since the addresses "
	  "change: write to = my.mailstore.com\n" },
	{ QUIET "[flow ews-out]\nto = outlook.office365.com\n",
	  "t.ini:8: warning: flow ews-out opens nothing that flow icewarp-out does not: narrow or disable icewarp-out "
	  "as well\n" },
	{ QUIET "[flow twice-in]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 443\n",
	  "t.ini:8: warning: flow twice-in opens nothing that flow https-in does not: narrow or disable https-in as "
	  "well\n" },
	{ QUIET "[flow part-in]\nfrom = any\nto = SERVER\nprotocol = tcp\nport = 443-444\n", "" },
	{ QUIET "[flow far]\nfrom = 198.51.100.1\nto = 198.51.100.2\nprotocol = tcp\nport = 1\n",
	  "t.ini:8: warning: flow far has no effect, neither side is a protected role: write SERVER in from or to\n" },
	{ QUIET "[flow near-in]\nfrom = any\nto = 192.0.2.0/24\nprotocol = tcp\nport = 1\n",
	  "t.ini:10: warning: 192.0.2.0/24 does not open 192.0.2.25, which is protected: only naming its role opens "
	  "it\n" },
	{ QUIET "[flow star]\nfrom = SERVER\nto = *.example.com\nprotocol = tcp\nport = 8443\n",
	  "t.ini:8: warning: flow star: *.example.com opens nothing: it is learned from the answers that the server "
	  "gets: "
	  "write resolvers = ADDRESS in [server] and observe = yes in [dns]\n" },
	{ SERVER ADM "[flow star]\nfrom = SERVER\nto = *.example.com\nprotocol = tcp\nport = 8443\n", "" },
	{ QUIET "[role X]\nmembers = unused.example.net\n",
	  "t.ini:8: warning: no flow uses the role X: write it in the from or to of a flow, or take it out\n"
	  "t.ini:9: warning: no enabled flow uses the name unused.example.net, it is not resolved: write its role in "
	  "the from or to of a flow, or take it out\n" },
	{ QUIET "[flow api-in]\nenabled = no\nexpect = 1h\n",
	  "t.ini:8: warning: flow api-in is off, expect watches nothing: take expect out while it is\n" },
};

static void test_complaints(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(complaints); i++) {
		struct policy policy;
		char *diags = make_policy(&policy, complaints[i].text);
		if (strcmp(diags, complaints[i].diags) != 0)
			fail_msg("of\n%sis complained\n%sinstead of\n%s", complaints[i].text, diags,
				 complaints[i].diags);
		free(diags);
		policy_free(&policy);
	}
}

static const struct policy_role *role(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, name) == 0)
			return &policy->roles[i];
	fail_msg("no role %s", name);
	return NULL;
}

static const struct policy_flow *flow(const struct policy *policy, const char *id)
{
	const struct policy_flow *found = policy_flow(policy, id);
	if (!found)
		fail_msg("no flow %s", id);
	return found;
}

static void assert_ranges(const struct ranges *ranges, const char *text)
{
	struct ranges wanted = make_ranges(text);
	if (!ranges_equal(ranges, &wanted)) {
		for (size_t i = 0; i < ranges->count; i++) {
			char one[RANGE_TEXT_MAX];
			print_error("%s ", range_format(&ranges->items[i], one));
		}
		fail_msg("these are not %s", text);
	}
	ranges_free(&wanted);
}

static void test_nested_roles(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy,
			 QUIET "[role A]\nmembers = B 198.51.100.1 one.example.net\n"
			       "[role B]\nmembers = 198.51.100.2 C\n"
			       "[role C]\nmembers = 198.51.100.0/31 two.example.net ADM SERVER\nallow_private = yes\n"
			       "[flow x]\nfrom = A\nto = SERVER\nprotocol = tcp\nport = 1\n");
	assert_int_equal(policy.role_count, 6);
	assert_string_equal(policy.roles[0].name, "SERVER");
	assert_ranges(&role(&policy, "A")->members.ranges,
		      "198.51.100.0-198.51.100.2 203.0.113.0/24 192.0.2.25 2001:db8:2::25");
	assert_int_equal(role(&policy, "A")->members.name_count, 2);
	assert_int_equal(role(&policy, "A")->members.rank, 1);
	assert_false(role(&policy, "A")->is_protected);
	/* A name may be private where a role that brings it allows that. */
	for (size_t i = 0; i < policy.name_count; i++) {
		bool two = strcmp(policy.names[i].name, "two.example.net") == 0;
		assert_int_equal(policy.names[i].allow_private, two);
		assert_true(policy.names[i].used);
	}
	assert_string_equal(flow(&policy, "x")->from.set, "A");
	assert_true(role(&policy, "CA")->members.any);
	policy_free(&policy);
}

/* One name, used in several places: what is off allows nothing. */
static void test_private_names(void **state)
{
	static const struct {
		const char *flows;
		bool allowed;
	} table[] = {
		{ "[flow x]\nto = a.example.net\n", false },
		{ "[flow x]\nto = a.example.net\nallow_private = yes\n", true },
		{ "[flow x]\nto = a.example.net\n[flow y]\nto = A.Example.NET.\nallow_private = yes\n", true },
		{ "[flow x]\nto = a.example.net\nallow_private = yes\n[flow y]\nto = a.example.net\n", true },
		{ "[flow x]\nto = a.example.net\n[flow y]\nto = a.example.net\nallow_private = yes\nenabled = no\n",
		  false },
		{ "[flow x]\nto = a.example.net\n[flow y]\nto = b.example.net\nallow_private = yes\n", false },
		{ "[role R]\nmembers = a.example.net\nallow_private = yes\n[flow x]\nto = R\n", true },
		{ "[role R]\nmembers = a.example.net\n[flow x]\nto = R\nallow_private = yes\n", true },
		{ "[role R]\nmembers = a.example.net\n[flow x]\nto = R\n[flow y]\nto = R\nallow_private = yes\nenabled "
		  "= no\n",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct policy policy;
		char text[1024] = QUIET;
		/* What each flow needs besides. */
		for (const char *from = table[i].flows, *line; *from; from = line) {
			line = strchr(from, '\n') + 1;
			strncat(text, from, (size_t)(line - from));
			if (strncmp(from, "[flow ", 6) == 0)
				strcat(text, from[6] == 'x' ? "from = SERVER\nprotocol = tcp\nport = 1\n"
							    : "from = SERVER\nprotocol = tcp\nport = 2\n");
		}
		make_good_policy(&policy, text);
		size_t found = 0;
		for (size_t n = 0; n < policy.name_count; n++) {
			if (strcmp(policy.names[n].name, "a.example.net") != 0)
				continue;
			found++;
			assert_true(policy.names[n].used);
			if (policy.names[n].allow_private != table[i].allowed)
				fail_msg("%s: allow_private is %d", table[i].flows, policy.names[n].allow_private);
		}
		assert_int_equal(found, 1);
		policy_free(&policy);
	}
}

/* Answers to the server are believed for targets; a name that is a source anywhere is none of them. */
static void test_observed_names(void **state)
{
	static const struct {
		const char *flows;
		bool observed;
	} table[] = {
		{ "[flow x]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n", true },
		{ "[flow x]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\nenabled = no\n", false },
		{ "[flow x]\nfrom = SERVER\nto = TARGETS\nprotocol = tcp\nport = 1\n[role TARGETS]\nmembers = "
		  "a.example.net\n",
		  true },
		{ "[flow x]\nfrom = a.example.net\nto = SERVER\nprotocol = tcp\nport = 1\n", false },
		{ "[flow x]\nfrom = a.example.net\nto = SERVER\nprotocol = tcp\nport = 1\n"
		  "[flow y]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n",
		  false },
		{ "[flow y]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n"
		  "[flow x]\nfrom = a.example.net\nto = SERVER\nprotocol = tcp\nport = 1\nenabled = no\n",
		  true },
		{ "[flow y]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n[role ADM]\nmembers = "
		  "a.example.net\n",
		  false },
		{ "[flow y]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n[role ADM]\nmembers = "
		  "INNER\n[role INNER]\nmembers = a.example.net\n",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct policy policy;
		char text[600];
		size_t n = 0;
		snprintf(text, sizeof(text), "[server]\naddress = 192.0.2.25\n%s", table[i].flows);
		make_good_policy(&policy, text);
		while (n < policy.name_count && strcmp(policy.names[n].name, "a.example.net") != 0)
			n++;
		assert_true(n < policy.name_count);
		if (policy.names[n].observed != table[i].observed)
			fail_msg("%s: observed is %d", table[i].flows, policy.names[n].observed);
		policy_free(&policy);
	}
}

static void test_protected_roles(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, QUIET
			 "[role IH]\nmembers = 192.0.2.31 192.0.2.32/31\nprotected = yes\n"
			 "[role BOTH]\nmembers = SERVER IH 198.51.100.1\n"
			 "[flow to-both]\nfrom = any\nto = BOTH 192.0.2.0/24 192.0.2.32\nprotocol = tcp\nport = 1\n"
			 "[flow to-net]\nfrom = any\nto = 192.0.2.0/24\nprotocol = tcp\nport = 1\n"
			 "[flow to-one]\nfrom = any\nto = 192.0.2.33 198.51.100.1\nprotocol = tcp\nport = 1\n"
			 "[flow to-any]\nfrom = IH\nto = any\nprotocol = tcp\nport = 1\n");
	assert_ranges(&policy.protected_all, "192.0.2.25 192.0.2.31-192.0.2.33 2001:db8:2::25");
	/* Only naming opens: a role, also through another, or the very address; not a network around it, and not ANY.
	 */
	assert_ranges(&flow(&policy, "to-both")->to.opens, "192.0.2.25 192.0.2.31-192.0.2.33 2001:db8:2::25");
	assert_ranges(&flow(&policy, "to-net")->to.opens, "");
	assert_ranges(&flow(&policy, "to-one")->to.opens, "192.0.2.33");
	assert_ranges(&flow(&policy, "to-any")->to.opens, "");
	assert_ranges(&flow(&policy, "crl")->to.opens, "");
	assert_ranges(&flow(&policy, "https-in")->to.opens, "192.0.2.25 2001:db8:2::25");
	assert_ptr_equal(policy_protected_role(&policy, &(struct addr){ FAMILY_4, { 192, 0, 2, 33 } }),
			 role(&policy, "IH"));
	assert_null(policy_protected_role(&policy, &(struct addr){ FAMILY_4, { 192, 0, 2, 34 } }));
	policy_free(&policy);
}

/* A name or address before a network, a network before ANY; then the order of the table. */
static void test_order(void **state)
{
	static const char *const wanted[] = {
		"ews-out", "license-out", "one-in", /* any and one */
		"icewarp-out",                      /* any and a network */
	};
	struct policy policy;
	size_t last = 0;

	(void)state;
	make_good_policy(&policy, "[server]\naddress = 192.0.2.25\n" ADM
				  "[flow one-in]\nfrom = 198.51.100.1\nto = SERVER\nprotocol = tcp\nport = 443\n"
				  "[flow ews-out]\nto = a.example.net\n[flow icewarp-out]\nto = 198.51.100.0/24\n");
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		size_t at = (size_t)(flow(&policy, wanted[i]) - policy.flows);
		if (i > 0 && at <= last)
			fail_msg("%s comes before %s", wanted[i], wanted[i - 1]);
		last = at;
	}
	for (size_t i = 1; i < policy.flow_count; i++)
		assert_true(policy.flows[i - 1].from.rank + policy.flows[i - 1].to.rank <=
			    policy.flows[i].from.rank + policy.flows[i].to.rank);
	assert_true(flow(&policy, "https-in") > flow(&policy, "console-in"));
	assert_true(flow(&policy, "imaps-in") > flow(&policy, "https-in"));
	policy_free(&policy);
}

static void assert_off(const struct policy *policy, const char *id, const char *off)
{
	const struct policy_flow *found = flow(policy, id);
	assert_int_equal(found->enabled, off == NULL);
	if (off && (!found->off || strcmp(found->off, off) != 0))
		fail_msg("%s is off: %s", id, found->off ? found->off : "no");
	if (!off)
		assert_null(found->off);
}

static void test_off(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, "[server]\naddress = 192.0.2.25\n[flow imap-in]\nenabled = no\n[role NONE]\n"
				  "[flow x]\nfrom = NONE\nto = SERVER\nprotocol = tcp\nport = 1\n");
	assert_off(&policy, "crl", NULL);
	assert_off(&policy, "https-in", NULL);
	assert_off(&policy, "imap-in", "disabled");
	assert_off(&policy, "console-in", "no source");
	assert_off(&policy, "ping", "no source");
	assert_off(&policy, "dns-out", "no target");
	assert_off(&policy, "ntp-out", "no target");
	assert_off(&policy, "x", "no source");
	policy_free(&policy);

	/* Without the preset a built-in flow is on where it is written, and what the server can't do without is on. */
	make_good_policy(&policy,
			 "[gateway]\npreset = none\n" SERVER ADM "[flow https-in]\n[flow imap-in]\nenabled = yes\n");
	assert_off(&policy, "https-in", NULL);
	assert_off(&policy, "imap-in", NULL);
	assert_off(&policy, "imaps-in", "disabled");
	assert_off(&policy, "crl", "disabled");
	assert_off(&policy, "dns-out", NULL);
	assert_off(&policy, "ping", NULL);
	assert_off(&policy, "ntp-out", "no target");
	for (size_t i = 0; i < policy.name_count; i++) /* license-out alone has it, and is off */
		assert_false(policy.names[i].used);
	policy_free(&policy);
}

static void assert_ports(const struct policy_flow *flow, const char *text)
{
	char all[200] = "";
	for (size_t i = 0; i < flow->port_count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%u-%u ", flow->ports[i].first,
			 flow->ports[i].last);
	assert_string_equal(all, text);
}

static void test_flows(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, QUIET
			 "[flow console-in]\nport = 18470\n[flow license-out]\nto = proxy.example.net\nport = 3128\n"
			 "[flow dns-out]\nprotocol = tcp\n"
			 "[flow backup-in]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = tcp\nport = 445, 10000-10100 "
			 "444 10050-10200 65535 10201\n");
	assert_int_equal(policy.flow_count, 21);
	assert_ports(flow(&policy, "console-in"), "18470-18470 ");
	assert_ports(flow(&policy, "license-out"), "3128-3128 ");
	assert_ports(flow(&policy, "backup-in"), "444-445 10000-10201 65535-65535 ");
	assert_ports(flow(&policy, "ping"), "");
	assert_int_equal(flow(&policy, "dns-out")->protocols, 1 << PROTOCOL_TCP);
	assert_int_equal(flow(&policy, "ping")->protocols, 1 << PROTOCOL_ICMP_ECHO);
	assert_int_equal(flow(&policy, "console-in")->section, SECTION_INBOUND);
	assert_int_equal(flow(&policy, "backup-in")->section, SECTION_CUSTOM);
	assert_int_equal(flow(&policy, "console-in")->line, 8);
	assert_int_equal(flow(&policy, "api-in")->line, 0);
	assert_int_equal(policy.name_count, 1); /* the vendor's name is not queried where it is replaced */
	assert_string_equal(policy.names[0].name, "proxy.example.net");
	assert_null(flow(&policy, "backup-in")->purpose);
	assert_non_null(flow(&policy, "crl")->purpose);
	assert_string_equal(flow(&policy, "dns-out")->to.set, "resolvers");
	policy_free(&policy);
}

/* The vendor's table, row by row, from the document. */
static void test_vendor_table(void **state)
{
	static const struct {
		const char *id;
		unsigned port;
		const char *from, *to;
	} rows[] = {
		{ "crl", 80, "ANY", "CA" },
		{ "pop3-out", 110, "SERVER", "ANY" },
		{ "imap-out", 143, "SERVER", "ANY" },
		{ "imap-in", 143, "ANY", "SERVER" },
		{ "ldap-out", 389, "SERVER", "ANY" },
		{ "ews-out", 443, "SERVER", "ANY" },
		{ "icewarp-out", 443, "SERVER", "ANY" },
		{ "license-out", 443, "SERVER", "my.mailstore.com" },
		{ "https-in", 443, "ANY", "SERVER" },
		{ "smtp-out", 587, "SERVER", "ANY" },
		{ "ldaps-out", 636, "SERVER", "ANY" },
		{ "imaps-out", 993, "SERVER", "ANY" },
		{ "imaps-in", 993, "ANY", "SERVER" },
		{ "pop3s-out", 995, "SERVER", "ANY" },
		{ "kerio-out", 4040, "SERVER", "ANY" },
		{ "console-in", 8470, "ADM", "SERVER" },
		{ "api-in", 8474, "ADM", "SERVER" },
	};
	struct policy policy;

	(void)state;
	make_good_policy(&policy, QUIET);
	assert_int_equal(policy.flow_count, COUNT_OF(rows) + 3);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct policy_flow *found = flow(&policy, rows[i].id);
		assert_int_equal(found->protocols, 1 << PROTOCOL_TCP);
		assert_int_equal(found->port_count, 1);
		assert_int_equal(found->ports[0].first, rows[i].port);
		assert_int_equal(found->ports[0].last, rows[i].port);
		assert_int_equal(found->from.word_count, 1);
		assert_string_equal(found->from.words[0], rows[i].from);
		assert_string_equal(found->to.words[0], rows[i].to);
		assert_true(found->enabled);
	}
	policy_free(&policy);
}

static void test_words(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, QUIET "[role X]\nmembers = 198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 "
					"198.51.100.5 198.51.100.6\n"
					"\t198.51.100.7 198.51.100.8 198.51.100.9 198.51.100.10\n[role Y]\nmembers = "
					"198.51.100.1 any X a.example.net 10.0.0.0/8\n"
					"[role Z]\nmembers = 198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 "
					"198.51.100.5 198.51.100.6 198.51.100.7 198.51.100.8 198.51.100.9\n"
					"[role F]\nmembers = file:admins.txt\n[flow f]\nfrom = F\nto = "
					"SERVER\nprotocol = tcp\nport = 1\n");
	assert_int_equal(role(&policy, "X")->members.word_count, ENDPOINT_WORDS);
	assert_int_equal(role(&policy, "X")->members.more_words, 2);
	assert_int_equal(role(&policy, "Z")->members.word_count, ENDPOINT_WORDS + 1); /* "1 more" takes as much room */
	assert_int_equal(role(&policy, "Z")->members.more_words, 0);
	assert_string_equal(role(&policy, "Y")->members.words[1], "ANY");
	assert_string_equal(role(&policy, "Y")->members.words[4], "10.0.0.0/8");
	assert_int_equal(role(&policy, "Y")->members.rank, 2);
	assert_ranges(&role(&policy, "F")->members.ranges, "203.0.113.0/24");
	assert_int_equal(role(&policy, "F")->members.name_count, 1);
	policy_free(&policy);
}

static void test_leave_out(void **state)
{
	struct ranges gateway = make_ranges("192.0.2.1 192.0.2.33 198.51.100.1"), none = { 0 };
	struct policy policy;
	bool changed;

	(void)state;
	make_good_policy(&policy,
			 "[server]\naddress = 192.0.2.25\n[role IH]\nmembers = 192.0.2.32/30\nprotected = yes\n");
	assert_int_equal(policy_leave_out(&policy, &none, &changed), 0);
	assert_false(changed);
	assert_null(policy_own_address(&policy, &none));

	assert_int_equal(policy_leave_out(&policy, &gateway, &changed), 0);
	assert_true(changed);
	assert_ranges(&role(&policy, "IH")->guarded, "192.0.2.32 192.0.2.34/31");
	assert_ranges(&policy.protected_all, "192.0.2.25 192.0.2.32 192.0.2.34/31");
	struct addr own = make_addr("192.0.2.33");
	assert_int_equal(addr_compare(policy_own_address(&policy, &gateway), &own), 0);
	struct ranges neighbours = make_ranges("192.0.2.24 192.0.2.25 192.0.2.26");
	struct addr server = make_addr("192.0.2.25");
	assert_int_equal(addr_compare(policy_own_address(&policy, &neighbours), &server), 0);
	ranges_free(&neighbours);
	assert_null(policy_protected_role(&policy, &own));
	/* Where nothing changes, what somebody looks at meanwhile stays where it is. */
	const struct range *guarded = role(&policy, "IH")->guarded.items, *all = policy.protected_all.items;
	assert_int_equal(policy_leave_out(&policy, &gateway, &changed), 0);
	assert_false(changed);
	assert_ptr_equal(role(&policy, "IH")->guarded.items, guarded);
	assert_ptr_equal(policy.protected_all.items, all);

	/* Without memory all roles are as they were. */
	struct ranges servers = make_ranges("192.0.2.25");
	for (long n = 0;; n++) {
		allocations_left = n;
		int r = policy_leave_out(&policy, &servers, &changed);
		allocations_left = -1;
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_false(changed);
		assert_ranges(&policy.protected_all, "192.0.2.25 192.0.2.32 192.0.2.34/31");
		assert_ranges(&role(&policy, "SERVER")->guarded, "192.0.2.25");
		assert_ranges(&role(&policy, "IH")->guarded, "192.0.2.32 192.0.2.34/31");
	}
	assert_true(changed);
	assert_ranges(&policy.protected_all, "192.0.2.32/30");
	assert_int_equal(policy_leave_out(&policy, &none, &changed), 0);
	assert_true(changed);
	assert_ranges(&policy.protected_all, "192.0.2.25 192.0.2.32/30");
	ranges_free(&servers);
	ranges_free(&gateway);
	policy_free(&policy);
}

#define RICH                                                                                                \
	QUIET "[role IH]\nmembers = 192.0.2.31 192.0.2.40/30\nprotected = yes\n"                            \
	      "[role A]\nmembers = B a.example.net file:admins.txt\n[role B]\nmembers = 198.51.100.1 ADM\n" \
	      "[flow x]\nfrom = A IH\nto = SERVER 192.0.2.31 b.example.net\nprotocol = tcp\nport = 1 5-9\n" \
	      "[flow y]\nfrom = any\nto = 192.0.2.0/24\nprotocol = udp\nport = 1\n[gateway]\nnat_except = " \
	      "10.0.0.0/8\n"

static int read_rich(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	const char *text = strcmp(path, "t.ini") == 0 ? RICH : "203.0.113.0/24\n";
	(void)userdata;
	*ret_bytes = strdup(text);
	*ret_length = strlen(text);
	return *ret_bytes ? 0 : -ENOMEM;
}

/* Each allocation fails in its turn: the result or the complaints show it, and nothing leaks. */
static void test_no_memory(void **state)
{
	struct diags diags = { 0 };
	struct config config;
	long n;

	(void)state;
	assert_int_equal(config_load(&config, "t.ini", read_rich, NULL, &diags), 0);
	assert_false(diags_failed(&diags));
	diags_free(&diags);
	for (n = 0;; n++) {
		struct policy policy;
		diags = (struct diags){ 0 };
		allocations_left = n;
		allocations_refused = 0;
		int r = policy_from_config(&policy, &config, &diags);
		bool shown = r == -ENOMEM || diags.out_of_memory;
		bool usable = r == 0 && !diags_failed(&diags);
		bool through = allocations_refused == 0;
		allocations_left = -1;
		diags_free(&diags);
		if (r == 0)
			policy_free(&policy);
		if (through) {
			assert_true(usable);
			break;
		}
		assert_true(shown);
		assert_false(usable);
	}
	assert_true(n > 100);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_nested_roles),
		cmocka_unit_test(test_private_names),
		cmocka_unit_test(test_observed_names),
		cmocka_unit_test(test_protected_roles),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_vendor_table),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_leave_out),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
