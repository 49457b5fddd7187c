/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts of a gateway, and what stands in the way there. */
#include "make.h"

#include "core/array.h"
#include "core/doctor.h"

#define CONFIG(more)                                                                                    \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = " \
	"203.0.113.0/24\n" more

struct fixture {
	struct policy policy;
	struct ranges gateway;
	struct doctor_facts facts;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	make_good_policy(&f->policy, CONFIG(""));
	f->gateway = make_ranges("192.0.2.1 2001:db8:2::1");
	f->facts = (struct doctor_facts){ .policy = &f->policy,
					  .gateway = &f->gateway,
					  .table_guards = true,
					  .forwarding = { 1, 1 },
					  .tracked = 10,
					  .tracked_max = 1000,
					  .clock_known = true,
					  .clock_synchronised = true };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	doctor_facts_free(&f->facts);
	policy_free(&f->policy);
	ranges_free(&f->gateway);
	free(f);
	return 0;
}

/* "SEVERITY CHECK: WHAT (EVIDENCE): REMEDY", a line each. */
static void assert_troubles(const struct fixture *f, const char *expected)
{
	struct troubles troubles = { 0 };
	char text[4000] = "";

	doctor_judge(&troubles, &f->facts);
	assert_false(troubles.failed);
	for (size_t i = 0; i < troubles.count; i++) {
		const struct trouble *one = &troubles.items[i];
		sprintf(text + strlen(text), "%s %s: %s (%s)%s%s\n", gravity_word(one->gravity), one->check, one->what,
			one->evidence, one->remedy ? ": " : "", one->remedy ? one->remedy : "");
	}
	assert_string_equal(text, expected);
	troubles_free(&troubles);
}

static void test_healthy(void **state)
{
	struct fixture *f = *state;

	assert_troubles(f, "");
	f->facts.forwarding[FAMILY_4] = f->facts.forwarding[FAMILY_6] = -1; /* unknown */
	f->facts.tracked_max = 0;
	f->facts.clock_known = false;
	assert_troubles(f, "");
}

static void test_forwarding(void **state)
{
	struct fixture *f = *state;
	struct interface_fact lan = { .name = "lan", .is_servers = true, .forwarding = 0 },
			      adm = { .name = "adm", .forwarding = 0 }, wan = { .name = "wan", .forwarding = 1 };

	assert_int_equal(ARRAY_PUSH(&f->facts.interfaces, adm), 0);
	assert_int_equal(ARRAY_PUSH(&f->facts.interfaces, lan), 0);
	assert_int_equal(ARRAY_PUSH(&f->facts.interfaces, wan), 0);
	assert_troubles(f, "serious forwarding: IPv4 that comes by lan is not forwarded (net.ipv4.conf.lan.forwarding "
			   "= 0): "
			   "sysctl -w net/ipv4/conf/lan/forwarding=1, and for the next boot in /etc/sysctl.d\n"
			   "warning forwarding: IPv4 that comes by adm is not forwarded (net.ipv4.conf.adm.forwarding "
			   "= 0): "
			   "sysctl -w net/ipv4/conf/adm/forwarding=1, and for the next boot in /etc/sysctl.d\n");
	f->facts.forwarding[FAMILY_4] = f->facts.forwarding[FAMILY_6] = 0;
	assert_troubles(f, "serious forwarding: IPv4 is not forwarded (net.ipv4.ip_forward = 0): sysctl -w "
			   "net.ipv4.ip_forward=1, and for the next boot in /etc/sysctl.d\n"
			   "serious forwarding: IPv6 is not forwarded (net.ipv6.conf.all.forwarding = 0): sysctl -w "
			   "net.ipv6.conf.all.forwarding=1, and for the next boot in /etc/sysctl.d\n");
	/* A family that the server does not have. */
	policy_free(&f->policy);
	make_good_policy(&f->policy, "[server]\naddress = 2001:db8:2::25\nresolvers = 2001:db8:2::53\n[role "
				     "ADM]\nmembers = 2001:db8:3::/64\n");
	f->facts.forwarding[FAMILY_6] = 1;
	assert_troubles(f, "");
}

static void test_system(void **state)
{
	struct fixture *f = *state;
	struct saved_fact saved = { .path = strdup("/etc/nftables.conf"), .line = 7 };

	f->facts.tracked = 899;
	assert_troubles(f, "");
	f->facts.tracked = 900;
	assert_troubles(f, "serious conntrack: the connection table is nearly full: new connections are lost "
			   "(net.netfilter.nf_conntrack_count = 900, nf_conntrack_max = 1000): "
			   "see who floods (conntrack -L), or sysctl -w net.netfilter.nf_conntrack_max=2000\n");
	f->facts.tracked = 0;
	f->facts.clock_synchronised = false;
	f->facts.clock_error_ms = 16000;
	f->facts.table_guards = false;
	assert_int_equal(ARRAY_PUSH(&f->facts.saved, saved), 0);
	assert_troubles(f, "serious guard: nothing guards the server (table inet spefw is not loaded, or holds no "
			   "protected address): systemctl start spefwd; or, where it runs, spefwctl reload\n"
			   "serious saved: a saved ruleset holds table inet spefw: it can't be loaded as a whole while "
			   "spefwd owns the table (/etc/nftables.conf:7): "
			   "take that table out of the file: spefwd builds it\n"
			   "warning clock: the clock is not synchronised: times in logs and of last known addresses "
			   "may be wrong (the kernel takes it to be wrong by up to 16 s): "
			   "run a time service, as systemd-timesyncd or chrony; timedatectl shows it\n");
}

static void test_detours(void **state)
{
	struct fixture *f = *state;
	struct addr server = make_addr("192.0.2.25");
	struct detour_fact detour = {
		.whom = range_of(&server), .of = "SERVER", .interface = "wan2", .best = "lan", .rp_filter = 2
	};

	assert_int_equal(ARRAY_PUSH(&f->facts.detours, detour), 0);
	assert_troubles(f, "");
	f->facts.detours.items[0].rp_filter = 1;
#define DETOUR                                                                                                     \
	" rp_filter: what SERVER (192.0.2.25) sends by wan2 is dropped (rp_filter is strict (1) on wan2, and the " \
	"kernel's route back leaves by lan): "                                                                     \
	"sysctl -w net/ipv4/conf/wan2/rp_filter=2, or give the route by wan2 the better metric\n"
	assert_troubles(f, "warning" DETOUR);
	f->facts.detours.items[0].configured = true;
	assert_troubles(f, "serious" DETOUR);
}

static void add_neighbour(struct fixture *f, const char *addr, const char *interface, uint8_t hardware)
{
	struct neighbour_fact fact = { .addr = make_addr(addr),
				       .hardware = { 2, 0, 0, 0, 0, hardware },
				       .hardware_length = 6 };
	memcpy(fact.interface, interface, strlen(interface));
	assert_int_equal(ARRAY_PUSH(&f->facts.neighbours, fact), 0);
}

static void test_neighbours(void **state)
{
	struct fixture *f = *state;

	add_neighbour(f, "192.0.2.25", "lan", 1);
	add_neighbour(f, "2001:db8:2::25", "lan", 1);
	add_neighbour(f, "fe80::1", "lan", 1);    /* every machine has one, and it is not routed */
	add_neighbour(f, "192.0.2.26", "lan", 2); /* another machine */
	add_neighbour(f, "192.0.2.27", "wan", 1); /* another interface */
	assert_troubles(f, "");
	add_neighbour(f, "2001:db8:2::99", "lan", 1);
	assert_troubles(f, "serious address: 2001:db8:2::99 seems to be an address of SERVER too, and is not guarded "
			   "(02:00:00:00:00:01 has it on lan, as has 2001:db8:2::25): "
			   "add it to address in [server], or take it from the machine\n");
	/* An interface without hardware addresses proves nothing. */
	for (size_t i = 0; i < f->facts.neighbours.count; i++)
		f->facts.neighbours.items[i].hardware_length = 0;
	assert_troubles(f, "");
	for (size_t i = 0; i < f->facts.neighbours.count; i++)
		f->facts.neighbours.items[i].hardware_length = 6;
	for (unsigned i = 0; i < 20; i++) {
		char text[20];
		snprintf(text, sizeof(text), "192.0.2.%u", 100 + i);
		add_neighbour(f, text, "lan", 1);
	}
	struct troubles troubles = { 0 };
	doctor_judge(&troubles, &f->facts);
	assert_int_equal(troubles.count, 9);
	assert_string_equal(troubles.items[8].what, "13 more addresses share a protected machine's hardware address");
	troubles_free(&troubles);
}

static struct finding finding_of(enum effect effect, bool may, bool legacy, size_t flows)
{
	return (struct finding){ .table = strdup("filter"),
				 .chain = strdup("FORWARD"),
				 .family = FOREIGN_FAMILY_IP,
				 .handle = 4,
				 .effect = effect,
				 .flow = "imap-in",
				 .flow_count = flows,
				 .may = may,
				 .legacy = legacy };
}

static void test_findings(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum effect effect;
		bool may, legacy;
		size_t flows;
		const char *expected;
	} cases[] = {
		{ EFFECT_DROP, false, false, 1,
		  "serious drop: flow imap-in: another table drops it (table ip filter, chain FORWARD, handle 4): "
		  "take the protected addresses out of that rule; nft -a list chain ip filter FORWARD\n" },
		{ EFFECT_DROP, true, false, 1,
		  "warning drop: flow imap-in: another table may drop it (table ip filter, chain FORWARD, handle 4): "
		  "take the protected addresses out of that rule; nft -a list chain ip filter FORWARD\n" },
		{ EFFECT_DROP, false, true, 3,
		  "serious drop: flow imap-in and 2 more: another table drops it (iptables-legacy, table filter, chain "
		  "FORWARD, rule 4): "
		  "take the protected addresses out of that rule; iptables-legacy -t filter -L FORWARD -n "
		  "--line-numbers\n" },
		{ EFFECT_POLICY, false, true, 1,
		  "serious drop: flow imap-in: another table drops what it does not accept, as this (iptables-legacy, "
		  "table filter, chain FORWARD: policy drop): "
		  "let that chain accept what touches the protected addresses, for spefwd judges it; iptables-legacy "
		  "-t filter -L FORWARD -n --line-numbers\n" },
		{ EFFECT_REDIRECT, false, false, 1,
		  "serious interception: flow imap-in: another table redirects it to this gateway (table ip filter, "
		  "chain FORWARD, handle 4): "
		  "take the protected addresses out of that rule; nft -a list chain ip filter FORWARD\n" },
		{ EFFECT_DUP, false, false, 1,
		  "warning interception: flow imap-in: another table duplicates it (table ip filter, chain FORWARD, "
		  "handle 4): "
		  "take the protected addresses out of that rule; nft -a list chain ip filter FORWARD\n" },
		{ EFFECT_OFFLOAD, false, false, 1,
		  "warning flowtable: flow imap-in: another table takes it past all rules once it is established "
		  "(table ip filter, chain FORWARD, handle 4): "
		  "leave the protected addresses out of the flowtable: what is offloaded is neither counted nor seen "
		  "by spefwd\n" },
		{ EFFECT_PORT, false, false, 1,
		  "serious early_drop: a port of a guarded machine's own address is translated by another table: "
		  "early_drop drops what comes to it "
		  "(table ip filter, chain FORWARD, handle 4): early_drop = no, since it sees the port before the "
		  "translation\n" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct finding finding = finding_of(cases[i].effect, cases[i].may, cases[i].legacy, cases[i].flows);
		assert_int_equal(ARRAY_PUSH(&f->facts.findings, finding), 0);
		assert_troubles(f, cases[i].expected);
		findings_free(&f->facts.findings);
	}
}

static struct name_fact *add_name(struct fixture *f, const char *own, const char *servers)
{
	struct name_fact fact = { .name = "my.mailstore.com",
				  .own = make_ranges(own),
				  .servers = make_ranges(servers) };
	assert_int_equal(ARRAY_PUSH(&f->facts.names, fact), 0);
	return &f->facts.names.items[f->facts.names.count - 1];
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct resolver_fact local = { .addr = make_addr("192.0.2.53"), .interface = "lan" };
#define LOCAL                                                                                                        \
	"warning resolver: what the server learns from its resolver 192.0.2.53 can't be observed (it is reached by " \
	"lan as the server is: its answers do not pass this gateway): "                                              \
	"servers = 192.0.2.53 in [dns], so that both query the same; or let the server query one beyond this "       \
	"gateway\n"
#define OTHER(severity, own, servers)                                                                           \
	severity " resolver: my.mailstore.com (IPv4) is somebody else to the server than to this gateway (the " \
		 "gateway's resolver answers " own ", the server's " servers                                    \
		 ", and they share none): let both query the same: servers in [dns] as resolvers in [server]\n"

	add_name(f, "198.51.100.77 198.51.100.79", "198.51.100.79 198.51.100.81");
	add_name(f, "", "");
	assert_troubles(f, "");
	add_name(f, "198.51.100.77", "198.51.100.81 198.51.100.91")->own_error = "timeout";
	f->facts.names.items[2].servers_error = "SERVFAIL";
	assert_troubles(f, "note resolver: the gateway's resolver could not be queried for all names (timeout)\n"
			   "note resolver: the server's resolvers could not be queried for all names from here "
			   "(SERVFAIL)\n");
	f->facts.names.items[2].own_error = f->facts.names.items[2].servers_error = NULL;
	/* What is observed is learned. */
	assert_troubles(f, OTHER("warning", "198.51.100.77", "198.51.100.81 and 1 more"));
	assert_int_equal(ARRAY_PUSH(&f->facts.local_resolvers, local), 0);
	assert_troubles(f, OTHER("serious", "198.51.100.77", "198.51.100.81 and 1 more") LOCAL);
	ranges_free(&f->facts.names.items[2].servers);
	assert_troubles(f, OTHER("serious", "198.51.100.77", "no address") LOCAL);
	f->facts.names.count--;
	ranges_free(&f->facts.names.items[2].own);
	assert_troubles(f, LOCAL);
	f->facts.same_resolvers = true;
	assert_troubles(f, "");
}

static void add_tls(struct fixture *f, const char *addr, enum tls_result result)
{
	struct tls_fact fact = { .name = "my.mailstore.com",
				 .flow = "license-out",
				 .addr = make_addr(addr),
				 .port = 443,
				 .result = result,
				 .subject = "CN=my.mailstore.com",
				 .issuer = "CN=Proxy",
				 .why = "the reason" };
	assert_int_equal(ARRAY_PUSH(&f->facts.tls, fact), 0);
}

static void test_certificates(void **state)
{
	struct fixture *f = *state;

	add_tls(f, "198.51.100.77", TLS_TRUSTED);
	add_tls(f, "2001:db8:51::77", TLS_UNREACHABLE); /* the other family answers */
	assert_troubles(f, "");
	f->facts.tls.items[0].result = TLS_UNREACHABLE;
	assert_troubles(f, "note tls: the certificate of my.mailstore.com port 443 could not be checked "
			   "(198.51.100.77: the reason)\n");
	f->facts.tls.items[0].result = TLS_UNTRUSTED;
	f->facts.tls.items[1].result = TLS_OTHER_NAME;
	assert_troubles(f,
			"serious tls: flow license-out: what answers for my.mailstore.com port 443 is nobody whom this "
			"system trusts: a proxy on the way may open the connection "
			"(198.51.100.77 has a certificate for \"CN=my.mailstore.com\" by \"CN=Proxy\": the reason): "
			"take my.mailstore.com out of the inspection of the proxy that has this authority\n"
			"serious tls: flow license-out: what answers for my.mailstore.com port 443 is somebody else: a "
			"proxy on the way may open the connection "
			"(2001:db8:51::77 has a certificate for \"CN=my.mailstore.com\" by \"CN=Proxy\": the reason): "
			"take my.mailstore.com out of the inspection of the proxy that has this authority\n");
	f->facts.tls.count = 0;
	f->facts.no_trust = true;
	assert_troubles(f, "note tls: no certificate could be judged (this system's trust store is empty: install "
			   "ca-certificates)\n");
}

static void test_bridges(void **state)
{
	struct fixture *f = *state;
	struct bridge_finding finding = { .guarded = { .at = { "br0", "lan" } },
					  .hop = { .at = { "br0", "wan" } },
					  .guarded_addr = make_addr("192.0.2.25"),
					  .hop_addr = make_addr("192.0.2.254"),
					  .unfiltered = { true, true } };

	assert_int_equal(ARRAY_PUSH(&f->facts.bridges, finding), 0);
	assert_troubles(f, "serious bridge: bridge br0 carries what passes between 192.0.2.25 (at lan) and 192.0.2.254 "
			   "(at wan) past the guard "
			   "(br_netfilter is not loaded: its frames pass no hook): modprobe br_netfilter; sysctl -w "
			   "net.bridge.bridge-nf-call-iptables=1 "
			   "net.bridge.bridge-nf-call-ip6tables=1, and for the next boot in /etc/modules-load.d and "
			   "/etc/sysctl.d; or route between the two instead\n");
}

/* The lines that begin with this, or how many there are. */
static size_t count_troubles(const struct fixture *f, const char *what)
{
	struct troubles troubles = { 0 };
	size_t count = 0;

	doctor_judge(&troubles, &f->facts);
	for (size_t i = 0; i < troubles.count; i++)
		count += strncmp(troubles.items[i].what, what, strlen(what)) == 0;
	troubles_free(&troubles);
	return count;
}

/* Whose neighbour is whose. */
static void test_twins(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *addr;
		bool reported;
	} cases[] = {
		{ "192.0.2.26", true },  { "169.254.7.7", false },   { "169.253.7.7", true },
		{ "168.254.7.7", true }, { "fe80::1", false },       { "febf::1", false },
		{ "fec0::1", true },     { "fe40::1", true },        { "ff80::1", true },
		{ "192.0.2.1", false },  { "2001:db8:2::1", false }, { "2001:db8:2::26", true },
	};

	add_neighbour(f, "192.0.2.25", "lan", 1);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		add_neighbour(f, cases[i].addr, "lan", 1);
		if (count_troubles(f, cases[i].addr) != cases[i].reported)
			fail_msg("%s: reported is to be %d", cases[i].addr, cases[i].reported);
		f->facts.neighbours.items[1].hardware_length = 5; /* the same, as far as it goes */
		assert_int_equal(count_troubles(f, ""), 0);
		f->facts.neighbours.count--;
	}
	/* Of two twins that of its own family is named, wherever it stands. */
	add_neighbour(f, "2001:db8:2::25", "lan", 1);
	add_neighbour(f, "192.0.2.26", "lan", 1);
	assert_troubles(f, "serious address: 192.0.2.26 seems to be an address of SERVER too, and is not guarded "
			   "(02:00:00:00:00:01 has it on lan, as has 192.0.2.25): "
			   "add it to address in [server], or take it from the machine\n");
	/* Eight are named, and that there are more is reported. */
	for (unsigned i = 0; i < 8; i++) {
		char text[20];
		snprintf(text, sizeof(text), "192.0.2.%u", 100 + i);
		if (i == 7)
			assert_int_equal(count_troubles(f, "") - count_troubles(f, "192.0.2."), 0);
		add_neighbour(f, text, "lan", 1);
	}
	assert_int_equal(count_troubles(f, "192.0.2."), 8);
	assert_int_equal(count_troubles(f, "1 more address shares"), 1);
}

static void test_twin_of_a_role(void **state)
{
	struct fixture *f = *state;

	policy_free(&f->policy);
	make_good_policy(&f->policy, CONFIG("[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"));
	add_neighbour(f, "192.0.2.31", "lan", 1);
	add_neighbour(f, "192.0.2.32", "lan", 1);
	f->facts.neighbours.items[0].hardware_length = f->facts.neighbours.items[1].hardware_length = 8;
	assert_troubles(f, "serious address: 192.0.2.32 seems to be an address of IH too, and is not guarded "
			   "(02:00:00:00:00:01:00:00 has it on lan, as has 192.0.2.31): "
			   "add it to the members of that role, or take it from the machine\n");
}

static void test_more_findings(void **state)
{
	struct fixture *f = *state;
	struct finding finding = finding_of(EFFECT_POLICY, true, true, 2);

	finding.family = FOREIGN_FAMILY_IP6;
	assert_int_equal(ARRAY_PUSH(&f->facts.findings, finding), 0);
	f->facts.findings.incomplete = true;
	assert_troubles(f,
			"warning drop: flow imap-in and 1 more: another table may drop it (ip6tables-legacy, table "
			"filter, chain FORWARD: policy drop): let that chain accept what touches the protected "
			"addresses, for spefwd judges it; ip6tables-legacy -t filter -L FORWARD -n --line-numbers\n"
			"note drop: other tables could not be judged to their end (they have too many rules, or rules "
			"of an unknown kind)\n");
	f->facts.findings.incomplete = false;
	findings_free(&f->facts.findings);
	finding = finding_of(EFFECT_DROP, true, false, 1);
	finding.unread = true;
	assert_int_equal(ARRAY_PUSH(&f->facts.findings, finding), 0);
	assert_troubles(f, "warning drop: flow imap-in: another table may drop it (table ip filter, chain FORWARD, "
			   "handle 4, by a set that is too large to read): take the protected addresses out of that "
			   "rule; nft -a list chain ip filter FORWARD\n");
}

/* Full, or nearly. */
static void test_tracking(void **state)
{
	struct fixture *f = *state;

	f->facts.tracked = 999;
	assert_int_equal(count_troubles(f, "the connection table is nearly full:"), 1);
	f->facts.tracked = 1000;
	assert_int_equal(count_troubles(f, "the connection table is full:"), 1);
	f->facts.tracked = 1001;
	assert_int_equal(count_troubles(f, "the connection table is full:"), 1);
	f->facts.tracked = f->facts.tracked_max = UINT64_C(1) << 62;
	assert_int_equal(count_troubles(f, "the connection table is full:"), 1);
}

/* What is in order comes before what is not, and the other way round: each is looked at. */
static void test_each(void **state)
{
	struct fixture *f = *state;
	struct addr server = make_addr("192.0.2.25");
	struct detour_fact detour = { .whom = range_of(&server), .of = "SERVER", .interface = "wan2", .best = "lan" };
	static const int filters[] = { 0, 1, 2, 1, -1 };

	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		detour.rp_filter = filters[i];
		assert_int_equal(ARRAY_PUSH(&f->facts.detours, detour), 0);
	}
	assert_int_equal(count_troubles(f, "what SERVER"), 2);
	for (unsigned i = 0; i < 2; i++) {
		struct saved_fact saved = { .path = strdup("/etc/nftables.conf"), .line = i };
		assert_int_equal(ARRAY_PUSH(&f->facts.saved, saved), 0);
	}
	assert_int_equal(count_troubles(f, "a saved ruleset"), 2);
	for (unsigned i = 0; i < 2; i++) {
		struct resolver_fact local = { .addr = make_addr("192.0.2.53"), .interface = "lan" };
		assert_int_equal(ARRAY_PUSH(&f->facts.local_resolvers, local), 0);
	}
	assert_int_equal(count_troubles(f, "what the server learns"), 2);
	f->policy.observe = false; /* then nothing is lost */
	assert_int_equal(count_troubles(f, "what the server learns"), 0);
	f->policy.observe = true;
	for (int i = 0; i < 3; i++) { /* unknown, on, off */
		struct interface_fact interface = { .name = "lan", .forwarding = i == 2 ? 0 : 2 * i - 1 };
		assert_int_equal(ARRAY_PUSH(&f->facts.interfaces, interface), 0);
	}
	assert_int_equal(count_troubles(f, "IPv4 that comes by lan"), 1);
	/* Whatever their order, the gravest come first; those that are as grave stay as they are. */
	static const enum gravity gravities[] = { GRAVITY_NOTE,    GRAVITY_WARNING, GRAVITY_SERIOUS,
						  GRAVITY_WARNING, GRAVITY_NOTE,    GRAVITY_SERIOUS };
	struct troubles troubles = { 0 };
	char order[10] = "";
	for (size_t i = 0; i < COUNT_OF(gravities); i++)
		troubles_add(&troubles, gravities[i], "check", (char[]){ (char)('0' + i), '\0' }, "evidence", NULL);
	troubles_sort(&troubles);
	for (size_t i = 0; i < troubles.count; i++)
		strcat(order, troubles.items[i].what);
	assert_string_equal(order, "251304");
	troubles_free(&troubles);
}

/* Without resolvers of the server's nobody is somebody else to it. */
static void test_no_resolvers(void **state)
{
	struct fixture *f = *state;
	size_t count = f->policy.resolvers.count;

	f->policy.resolvers.count = 0;
	assert_troubles(f, "");
	add_name(f, "198.51.100.77", "");
	add_name(f, "", "");
	assert_troubles(f, "note resolver: what the server's resolvers answer could not be looked at ([server] has no "
			   "resolvers)\n");
	f->facts.names.items[1].own_error = "timeout";
	assert_troubles(f, "note resolver: what the server's resolvers answer could not be looked at ([server] has no "
			   "resolvers)\nnote resolver: the gateway's resolver could not be queried for all names "
			   "(timeout)\n");
	f->policy.resolvers.count = count;
}

/* One note a side, be it the first name or a later one that was not answered. */
static void test_silent_resolvers(void **state)
{
	struct fixture *f = *state;

	add_name(f, "198.51.100.77", "198.51.100.77");
	add_name(f, "", "198.51.100.81")->own_error = "timeout";
	add_name(f, "", "198.51.100.81")->own_error = "SERVFAIL";
	assert_troubles(f, "note resolver: the gateway's resolver could not be queried for all names (timeout)\n");
	f->facts.names.items[1].own_error = f->facts.names.items[2].own_error = NULL;
	f->facts.names.items[1].servers_error = "REFUSED";
	f->facts.names.items[2].servers_error = "timeout";
	assert_troubles(f, "note resolver: the server's resolvers could not be queried for all names from here "
			   "(REFUSED)\n");
	/* No address to us, and some to the server: that is another one, and is learned where it is seen. */
	f->facts.names.items[1].servers_error = f->facts.names.items[2].servers_error = NULL;
	f->facts.names.count = 2;
	assert_troubles(f, OTHER("warning", "no address", "198.51.100.81"));
	f->policy.observe = false;
	assert_troubles(f, OTHER("serious", "no address", "198.51.100.81"));
	ranges_free(&f->facts.names.items[2].servers);
}

/* A name is answered for by either family, at the same port. */
static void test_unreachable(void **state)
{
	struct fixture *f = *state;
#define UNCHECKED "the certificate of my.mailstore.com port 443 could not be checked"

	add_tls(f, "198.51.100.77", TLS_TRUSTED);
	add_tls(f, "2001:db8:51::77", TLS_NO_TLS);
	assert_int_equal(count_troubles(f, UNCHECKED), 0);
	f->facts.tls.items[0].port = 444;
	assert_int_equal(count_troubles(f, UNCHECKED), 1);
	f->facts.tls.items[0].port = 443;
	f->facts.tls.items[0].name = "other.example.net";
	assert_int_equal(count_troubles(f, UNCHECKED), 1);
	f->facts.tls.items[0].name = "my.mailstore.com";
	f->facts.tls.items[0].result = TLS_UNKNOWN;
	assert_int_equal(count_troubles(f, UNCHECKED), 1); /* of both, once */
	f->facts.tls.items[0].result = TLS_UNREACHABLE;
	f->facts.tls.items[1].result = TLS_OTHER_NAME;
	assert_int_equal(count_troubles(f, UNCHECKED), 0);
	assert_int_equal(count_troubles(f, "flow license-out"), 1);
}

static void test_filtering_bridge(void **state)
{
	struct fixture *f = *state;
	struct bridge_finding finding = { .guarded = { .at = { "br0", "lan" } },
					  .hop = { .at = { "br0", "wan" } },
					  .guarded_addr = make_addr("192.0.2.25"),
					  .hop_addr = make_addr("192.0.2.254"),
					  .unfiltered = { true, false } };

	f->facts.bridges.can_filter = true;
	assert_int_equal(ARRAY_PUSH(&f->facts.bridges, finding), 0);
	assert_troubles(f, "serious bridge: bridge br0 carries what passes between 192.0.2.25 (at lan)'s IPv4 and "
			   "192.0.2.254 (at wan) past the guard "
			   "(net.bridge.bridge-nf-call-ip*tables is 0, on that bridge too: its frames pass no hook): "
			   "sysctl -w net.bridge.bridge-nf-call-iptables=1, and for the next boot in "
			   "/etc/modules-load.d and /etc/sysctl.d; or route between the two instead\n");
}

static void test_harmless(void **state)
{
	struct troubles troubles = { 0 };

	(void)state;
	troubles_add(&troubles, GRAVITY_NOTE, "test", "\xff\033", "\n", NULL);
	assert_string_equal(troubles.items[0].what, "??");
	assert_string_equal(troubles.items[0].evidence, "?");
	troubles_free(&troubles);
}

static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	struct finding finding = finding_of(EFFECT_DROP, false, false, 2);
	bool failed = true;

	f->facts.forwarding[FAMILY_4] = 0;
	f->facts.clock_synchronised = false;
	assert_int_equal(ARRAY_PUSH(&f->facts.findings, finding), 0);
	add_name(f, "198.51.100.77", "198.51.100.81");
	add_neighbour(f, "192.0.2.25", "lan", 1);
	add_neighbour(f, "192.0.2.26", "lan", 1);
	for (long n = 0; failed; n++) {
		struct troubles troubles = { 0 };
		allocations_left = n;
		doctor_judge(&troubles, &f->facts);
		allocations_left = -1;
		failed = troubles.failed;
		assert_true(failed || troubles.count == 5);
		troubles_free(&troubles);
		assert_true(n < 1000);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(test_healthy),        TEST(test_forwarding),
					    TEST(test_system),         TEST(test_detours),
					    TEST(test_neighbours),     TEST(test_findings),
					    TEST(test_names),          TEST(test_certificates),
					    TEST(test_bridges),        cmocka_unit_test(test_harmless),
					    TEST(test_no_memory),      TEST(test_twins),
					    TEST(test_twin_of_a_role), TEST(test_more_findings),
					    TEST(test_tracking),       TEST(test_each),
					    TEST(test_no_resolvers),   TEST(test_silent_resolvers),
					    TEST(test_unreachable),    TEST(test_filtering_bridge) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
