/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packets of which flows the chains of other tables see. */
#include "foreign_text.h"

/* The only flow of single addresses on both sides that comes before the resolvers': the first of all. */
#define FIRST "[flow license-out]\nto = any\nenabled = no\n[flow console-in]\nfrom = 203.0.113.7\n"

struct one_case {
	const char *rule, *expected;
};

/* Each rule by itself, in a base chain b. */
static void assert_each(const char *config, const char *names, unsigned effects, const char *base,
			const struct one_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[300];
		snprintf(text, sizeof(text), "chain b %s\nb: %s", base, cases[i].rule);
		assert_findings(config, names, effects, text, cases[i].expected);
	}
}
#define EACH(config, names, effects, base, ...)                                  \
	do {                                                                     \
		static const struct one_case each[] = { __VA_ARGS__ };           \
		assert_each(config, names, effects, base, each, COUNT_OF(each)); \
	} while (0)
#define DROPS "2! drop console-in"
#define MAY_DROP "2? drop console-in"
#define QUEUES "2! queue console-in"

/* A flow is stopped by what stops the packet that opens it, or the first answer. */
static void test_opening_and_answer(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0", { "drop", DROPS }, { "dport 8470 drop", DROPS },
	     { "dport 8469 drop", "" }, { "dport 8471 drop", "" }, { "dport 8470-8471 drop", DROPS },
	     { "sport 8470 drop", DROPS }, { "sport 8469 drop", "" }, { "dport 1-8469 drop", "" },
	     /* clients of Windows and of Linux */
	     { "sport 49152-60999 drop", DROPS }, { "dport 49152-60999 drop", DROPS },
	     { "sport 49152-49152 drop", MAY_DROP }, { "sport 60999 dport 8470 drop", MAY_DROP },
	     { "sport 61000-65535 drop", "" }, { "sport 8471-49151 drop", "" }, { "protocol 6 drop", DROPS },
	     { "protocol 17 drop", "" }, { "protocol 1 drop", "" }, { "family 4 drop", DROPS },
	     { "family 6 drop", DROPS }, { "family 5 drop", "" }, { "state new drop", DROPS },
	     { "state established drop", DROPS }, { "state related drop", "" }, { "state invalid drop", "" },
	     { "state new dport 8470 drop", DROPS }, { "state established dport 8470 drop", "" },
	     { "not state established dport 8470 drop", DROPS }, { "not state new dport 8470 drop", "" },
	     { "not state new sport 8470 drop", DROPS }, { "status dnat drop", "" }, { "not status dnat drop", DROPS },
	     { "kind 1 drop", DROPS }, { "kind 2 drop", "" }, { "kind 0 drop", "" }, { "local 0 drop", DROPS },
	     { "local 1 drop", "" }, { "packet 0 drop", DROPS }, { "packet 1 drop", "" },
	     { "flags syn dport 8470 drop", DROPS }, { "flags ack dport 8470 drop", "" },
	     { "not flags ack dport 8470 drop", DROPS }, { "flags ack sport 8470 drop", DROPS },
	     { "flags syn sport 8470 drop", DROPS }, { "not flags syn drop", "" }, { "flags other drop", "" },
	     { "not flags other drop", DROPS });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0 ip", { "family 6 drop", "" }, { "family 4 drop", DROPS });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0 ip6", { "family 4 drop", "" }, { "family 6 drop", DROPS });
}

/* Before connection tracking has seen a packet, nothing is known of its connection. */
static void test_tracking(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "prerouting -200", { "state new drop", "" },
	     { "state established drop", "" }, { "state invalid drop", DROPS }, { "not state invalid drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "prerouting -199", { "state new drop", DROPS },
	     { "state established drop", DROPS }, { "state invalid drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "ingress 0", { "state new drop", "" }, { "state invalid drop", DROPS });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward -300", { "state new drop", DROPS }, { "state invalid drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -200", { "state new queue", QUEUES },
	     { "state related queue", QUEUES }, { "state invalid queue", QUEUES }, { "status dnat queue", QUEUES },
	     { "not flags syn queue", QUEUES }, { "flags syn queue", QUEUES }, { "flags other queue", QUEUES },
	     { "kind 3 queue", QUEUES }, { "packet 3 queue", "" });
}

static void test_addresses(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0", { "from 203.0.113.0-203.0.113.255 drop", DROPS },
	     { "from 203.0.112.0-203.0.114.255 drop", DROPS }, { "from 203.0.113.0-203.0.113.254 drop", MAY_DROP },
	     { "from 203.0.113.1-203.0.113.255 drop", MAY_DROP }, { "from 203.0.113.255 drop", MAY_DROP },
	     { "from 203.0.112.255 drop", "" }, { "from 203.0.114.0 drop", "" },
	     { "from 2001:db8:3::-2001:db8:3::ffff:ffff:ffff:ffff drop", DROPS },
	     { "from 2001:db8:3::1 drop", MAY_DROP }, { "from 2001:db8:3:1:: drop", "" },
	     { "to 192.0.2.25 drop", DROPS }, { "to 192.0.2.26 drop", "" }, { "to 192.0.2.24 drop", "" },
	     { "to 2001:db8:2::25 drop", DROPS }, { "to 2001:db8:2::26 drop", "" }, { "from 192.0.2.25 drop", DROPS },
	     { "from 2001:db8:2::25 drop", DROPS }, { "to 203.0.113.9 drop", MAY_DROP },
	     { "not from 203.0.113.0-203.0.113.255 to 192.0.2.25 drop", "" },
	     { "not from 203.0.113.0-203.0.113.254 to 192.0.2.25 drop", MAY_DROP },
	     { "not from 198.51.100.0-198.51.100.255 to 192.0.2.25 drop", DROPS },
	     { "from 203.0.113.0-203.0.113.255 to 203.0.113.0-203.0.113.255 drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300", { "from 203.0.113.255 queue", QUEUES },
	     { "from 203.0.114.0 queue", "" });
}

/* A flow may be of one address of a role alone. */
static void test_one_address(void **state)
{
	static const char config[] =
		"[server]\naddress = 192.0.2.25 192.0.2.27\n[gateway]\npreset = none\ninterception = "
		"report\n" ADMINS "[flow one-in]\nfrom = ADM\nto = 192.0.2.25\nprotocol = tcp\nport = 8470\n"
		"[flow one-out]\nfrom = 192.0.2.27\nto = 198.51.100.2\nprotocol = tcp\nport = 25\n";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "to 192.0.2.25 drop", "2! drop one-in" },
	     { "to 192.0.2.27 drop", "2! drop one-out" }, { "to 192.0.2.27 dport 8470 drop", "" },
	     { "from 192.0.2.27 drop", "2! drop one-out" }, { "from 192.0.2.25 dport 25 drop", "" },
	     { "from 192.0.2.25 drop", "2! drop one-in" }, { "dport 8470 drop", "2! drop one-in" },
	     { "dport 25 drop", "2! drop one-out" }, { "from 192.0.2.26 drop", "" });
}

/* The one that comes first of all, and the last. */
static void test_first_and_last(void **state)
{
	static const char config[] = HEAD ADMINS FIRST WEB;

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "dport 8470 drop", "2! drop console-in" },
	     { "dport 443 drop", "2! drop web-out" }, { "drop", "2! drop console-in+1" });
	EACH(config, "", EFFECTS_INTERCEPT, "prerouting -300", { "dport 8470 redirect", "2! redirect console-in" },
	     { "dport 443 redirect", "2! redirect web-out" });
}

/* That some peers of ANY are stopped is what block lists do. */
static void test_some_of_any(void **state)
{
	static const char config[] = HEAD ADMINS "[flow web-in]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 443\n";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "drop", "2! drop web-in" }, { "from 198.51.100.7 drop", "" },
	     { "to 198.51.100.7 drop", "" }, { "from 198.51.100.7 dport 443 drop", "" },
	     { "from 0.0.0.0-255.255.255.255 drop", "2! drop web-in" }, { "from 0.0.0.0-127.255.255.255 drop", "" },
	     { "from 198.51.100.7 sport 50000 drop", "2? drop web-in" },
	     { "inexact from 198.51.100.7 drop", "2? drop web-in" }, { "inexact drop", "2? drop web-in" });
	assert_findings(config, "", EFFECTS_STOP,
			"set bad 198.18.0.0-198.18.0.255 198.51.100.7\nchain b forward 0\nb: from @1 drop", "");
	assert_findings(config, "", EFFECTS_STOP,
			"set all 0.0.0.0-99.255.255.255 100.0.0.0-255.255.255.255\nchain b forward 0\nb: from @1 drop",
			"3! drop web-in");
	assert_findings(config, "", EFFECTS_STOP,
			"set all 0.0.0.0-99.255.255.255 100.0.0.1-255.255.255.255\nchain b forward 0\nb: to 192.0.2.25 "
			"from @1 drop",
			"");
	assert_findings(config, "", EFFECTS_STOP,
			"set most 0.0.0.0-99.255.255.255\nchain b forward 0\nb: not from @1 to 192.0.2.25 drop", "");
	/* Where another part of it is met as well, it is not some peers alone. */
	assert_findings(config, "", EFFECTS_STOP,
			"chain c none 0\nchain b forward 0\nb: from 198.51.100.7 jump c\nc: drop", "");
	assert_findings(config, "", EFFECTS_STOP, "chain c none 0\nchain b forward 0\nb: sport 50000 jump c\nc: drop",
			"4? drop web-in");
}

/* Who is behind a name is known by the addresses that it has now. */
static void test_names(void **state)
{
	static const char config[] =
		HEAD ADMINS "[flow x]\nfrom = SERVER\nto = partner.example.net\nprotocol = tcp\nport = 443\n";
	char names[1000] = "partner.example.net";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "to 198.51.100.7 drop", "" }, { "drop", "2! drop x" });
	EACH(config, "partner.example.net 198.51.100.7 198.51.100.9", EFFECTS_STOP, "forward 0",
	     { "to 198.51.100.7 drop", "2! drop x" }, { "to 198.51.100.8 drop", "" },
	     { "to 198.51.100.9 drop", "2! drop x" }, { "family 6 drop", "" }, { "family 4 drop", "2! drop x" });
	EACH(config, "partner.example.net 2001:db8:9::7", EFFECTS_STOP, "forward 0", { "family 4 drop", "" },
	     { "to 2001:db8:9::7 drop", "2! drop x" });
	EACH(config, "partner.example.net 198.51.100.7", EFFECTS_INTERCEPT, "prerouting -300",
	     { "to 198.51.100.8 dport 443 redirect", "2! redirect x" });
	/* One that has the gateway's own address. */
	EACH(config, "partner.example.net 192.0.2.1 198.51.100.7", EFFECTS_STOP, "forward 0",
	     { "to 192.0.2.1 drop", "" }, { "to 198.51.100.7 drop", "2! drop x" });
	EACH(config, "partner.example.net 192.0.2.1 198.51.100.7", EFFECTS_STOP, "input 0", { "drop", "2! drop x" },
	     { "to 198.51.100.7 drop", "" });
	for (int i = 1; i <= 32; i++)
		sprintf(names + strlen(names), " 198.51.100.%d", i + 100);
	EACH(config, names, EFFECTS_STOP, "forward 0", { "to 198.51.100.101 drop", "2! drop x" },
	     { "to 198.51.100.132 drop", "2! drop x" }, { "to 198.51.100.133 drop", "" });
}

/* Of many members the ends have to do: nothing is missed. */
static void test_many_ranges(void **state)
{
	for (int count = 32; count <= 33; count++) {
		char config[2000] = HEAD "[flow console-in]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 8470\n"
					 "[flow ping]\nenabled = no\n[role ADM]\nmembers =";
		(void)state;
		for (int i = 0; i < count; i++)
			sprintf(config + strlen(config), "\n 203.0.113.%d", 2 * i + 1);
		strcat(config, "\n");
		const char *between = count > 32 ? "2! redirect console-in" : "";
		char last[100];
		snprintf(last, sizeof(last), "chain b prerouting -300\nb: from 203.0.113.%d redirect", 2 * count - 1);
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.1 redirect",
				"2! redirect console-in");
		assert_findings(config, "", EFFECTS_INTERCEPT, last, "2! redirect console-in");
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.2 redirect",
				between);
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.66 redirect",
				"");
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.0 redirect",
				"");
	}
}

static void test_interfaces(void **state)
{
	(void)state;
	/* What comes by one of two interfaces may come by the other. */
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0", { "in wan drop", MAY_DROP },
	     { "in wan-console-i drop", MAY_DROP }, { "not in lan drop", DROPS }, { "in lan drop", DROPS },
	     { "in lo drop", "" }, { "in wan-x drop", "" }, { "out lan drop", DROPS },
	     { "out wan-console-i drop", MAY_DROP }, { "in lan out lan drop", "" }, { "in wan out wan drop", "" },
	     { "in wan out lan sport 8470 drop", "" }, { "in lan out wan sport 8470 drop", MAY_DROP },
	     { "not in wan not in wan-console-i not in lan drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "postrouting 0", { "in wan out lan drop", MAY_DROP },
	     { "out wan9 drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "prerouting 0", { "in wan drop", MAY_DROP }, { "out lan drop", MAY_DROP });
	/* Ports of a bridge have other names. */
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0 unknown", { "in wan drop", MAY_DROP },
	     { "in eth7 drop", MAY_DROP }, { "drop", MAY_DROP });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300", { "in lan from 192.0.2.25 queue", QUEUES },
	     { "in wan from 192.0.2.25 queue", "" }, { "in lo to 192.0.2.25 queue", "" },
	     { "in wan7 from 203.0.113.7 queue", QUEUES }, { "in lan from 203.0.113.7 queue", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300 unknown",
	     { "in eth7 from 192.0.2.25 queue", QUEUES }, { "in lan from 203.0.113.7 queue", QUEUES },
	     { "in lo from 203.0.113.7 queue", "" });
	/* Each flow's peers come by interfaces of their own; each role is behind its own. */
	EACH(HEAD CONSOLE WEB "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"
			      "[flow ih-out]\nfrom = IH\nto = ANY\nprotocol = tcp\nport = 25\n",
	     "", EFFECTS_STOP, "forward 0", { "in wan-console-i drop", MAY_DROP },
	     { "in wan-web-out drop", "2? drop web-out" }, { "in wan-ih-out drop", "2? drop ih-out" },
	     { "in wan-dns-out drop", "" }, { "in lan from 192.0.2.31 drop", "" },
	     { "in lan3 from 192.0.2.31 drop", "2! drop ih-out" }, { "in lan3 from 192.0.2.25 drop", "" },
	     { "out lan3 drop", "2! drop ih-out" }, { "drop", DROPS "+2" });
}

/* What the gateway itself has with the server: of that, only what is meant for it counts. */
static void test_at_gateway(void **state)
{
	static const char config[] = "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.1\n[gateway]\n"
				     "preset = none\ninterception = report\n" ADMINS;

	(void)state;
	EACH(config, "", EFFECTS_STOP, "input 0", { "drop", "2! drop dns-out" }, { "dport 53 drop", "2! drop dns-out" },
	     { "protocol 17 drop", "2! drop dns-out" }, { "protocol 6 drop", "2! drop dns-out" },
	     { "protocol 1 drop", "" }, { "sport 53 drop", "" }, { "in lan drop", "2! drop dns-out" },
	     { "in wan drop", "" }, { "local 1 drop", "2! drop dns-out" }, { "local 0 drop", "" },
	     { "kind 2 drop", "2! drop dns-out" }, { "kind 1 drop", "" }, { "state established drop", "" },
	     { "flags syn drop", "2! drop dns-out" }, { "out wan drop", "2? drop dns-out" });
	EACH(config, "", EFFECTS_STOP, "output 0", { "drop", "2! drop dns-out" },
	     { "sport 53 drop", "2! drop dns-out" }, { "dport 53 drop", "" }, { "in lan drop", "" },
	     { "state established drop", "2! drop dns-out" }, { "state new drop", "" },
	     { "out lan drop", "2? drop dns-out" });
	EACH(config, "", EFFECTS_STOP, "forward 0", { "drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "input 0", { "drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "output 0", { "drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "input 0", { "sport 8470 queue", QUEUES }, { "sport 8471 queue", "" },
	     { "local 1 queue", QUEUES }, { "local 0 queue", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "output 0", { "dport 8470 queue", QUEUES },
	     { "dport 8471 queue", "" }, { "local 1 queue", "" }, { "in lan queue", "" });
	EACH(HEAD WEB, "", EFFECTS_INTERCEPT, "input 0", { "to 192.0.2.1 queue", "2! queue web-out" },
	     { "to 192.0.2.25 queue", "" });
}

/* Pings have no ports and no flags. */
static void test_ping(void **state)
{
	static const char config[] = HEAD ADMINS "[flow up]\nfrom = ADM\nto = SERVER\nprotocol = icmp-echo\n";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "drop", "2! drop up" }, { "protocol 1 drop", "2! drop up" },
	     { "protocol 58 drop", "2! drop up" }, { "protocol 58 family 4 drop", "" },
	     { "protocol 1 family 6 drop", "" }, { "dport 0-65535 drop", "" }, { "sport 0-65535 drop", "" },
	     { "not dport 5 drop", "" }, { "flags syn drop", "" });
}

/* What takes a flow out of its way, and what does it no harm. */
static void test_intercepting(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300", { "redirect", "2! redirect console-in" },
	     { "dnat", "2! dnat console-in" }, { "tproxy", "2! tproxy console-in" }, { "dup", "2! dup console-in" },
	     { "fwd", "2! fwd console-in" }, { "queue", QUEUES }, { "notrack", "2! notrack console-in" },
	     { "drop", "" }, { "offload", "" }, { "excess queue", QUEUES }, { "inexact queue", QUEUES },
	     /* an answer opens no connection of its own */
	     { "from 192.0.2.25 redirect", "" }, { "from 192.0.2.25 dnat", "" }, { "from 192.0.2.25 tproxy", "" },
	     { "sport 8470 queue", QUEUES }, { "dport 8470 tproxy", "2! tproxy console-in" },
	     /* a port forward to the server */
	     { "dnat 192.0.2.25", "" }, { "dnat 192.0.2.26", "2! dnat console-in" },
	     { "sport 1023 dport 8470 queue", "" }, { "sport 1024 dport 8470 queue", QUEUES },
	     { "dport 1023 sport 8470 queue", "" }, { "sport 65535 dport 8470 queue", QUEUES });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300 nat", { "from 192.0.2.25 queue", "" },
	     { "dport 8470 queue", QUEUES });
	EACH(HEAD CONSOLE, "", 1 << EFFECT_OFFLOAD, "forward 0", { "offload", "2! offload console-in" },
	     { "queue", "" }, { "drop", "" });
	EACH(HEAD WEB, "", EFFECTS_INTERCEPT, "prerouting -300", { "dnat 192.0.2.25", "2! dnat web-out" });
}

/* DNS is no channel of the vendor's, nor is what is not TCP. */
static void test_dns_is_no_channel(void **state)
{
#define OUT(protocol, port) HEAD ADMINS "[flow x]\nfrom = SERVER\nto = ANY\nprotocol = " protocol "\nport = " port "\n"
#define IN(protocol, port) HEAD ADMINS "[flow x]\nfrom = ANY\nto = SERVER\nprotocol = " protocol "\nport = " port "\n"
	static const struct {
		const char *config;
		bool found;
	} cases[] = {
		{ OUT("tcp", "53"), false },   { OUT("tcp", "53-54"), true }, { OUT("tcp", "309"), true },
		{ OUT("tcp", "52"), true },    { OUT("tcp", "54"), true },    { IN("tcp", "53"), true },
		{ OUT("udp", "5000"), false }, { IN("udp", "5000"), false },  { OUT("tcp", "5000"), true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_findings(cases[i].config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: redirect",
				cases[i].found ? "2! redirect x" : "");
		assert_findings(cases[i].config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: queue",
				"2! queue x");
	}
}

/* Of what passes through, no end is the gateway or loopback; what it translates on purpose is left out; another
 * protected machine is opened by its name alone. */
static void test_never_passing(void **state)
{
	static const char out[] =
		HEAD "nat_except = 198.51.100.99\n" ADMINS WEB "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n";
	static const char in[] =
		HEAD "nat_except = 198.51.100.99\n" ADMINS "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"
		     "[flow x]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 443\n";

	(void)state;
	EACH(out, "", EFFECTS_INTERCEPT, "prerouting -300", { "to 198.51.100.98 redirect", "2! redirect web-out" },
	     { "to 198.51.100.99 redirect", "" }, { "to 198.51.100.99-198.51.100.100 redirect", "2! redirect web-out" },
	     { "to 198.51.100.1 redirect", "" }, { "to 192.0.2.1 redirect", "" }, { "to 2001:db8:2::1 redirect", "" },
	     { "to 2001:db8:2::2 redirect", "2! redirect web-out" }, { "to 127.0.0.0-127.255.255.255 redirect", "" },
	     { "to 126.255.255.255 redirect", "2! redirect web-out" },
	     { "to 128.0.0.0 redirect", "2! redirect web-out" }, { "to ::1 redirect", "" },
	     { "to ::2 redirect", "2! redirect web-out" }, { "to 192.0.2.31 redirect", "" },
	     { "to 192.0.2.25 redirect", "" }, { "to 192.0.2.32 redirect", "2! redirect web-out" });
	EACH(in, "", EFFECTS_INTERCEPT, "prerouting -300", { "from 198.51.100.99 redirect", "2! redirect x" },
	     { "from 192.0.2.1 redirect", "" }, { "from 127.0.0.1 redirect", "" }, { "from ::1 redirect", "" },
	     { "from 192.0.2.25 to 192.0.2.25 redirect", "" }, { "from 192.0.2.31 redirect", "2! redirect x" },
	     { "from 192.0.2.24 redirect", "2! redirect x" });
}

/* Ports of a protected machine that no flow opens, and what leads to them by another number. */
static void test_closed_ports(void **state)
{
	static const char config[] =
		HEAD CONSOLE "[flow first]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 1, 8472\n"
			     "[flow last]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 65535\n"
			     "[flow udp]\nfrom = ANY\nto = SERVER\nprotocol = udp\nport = 5000\n"
			     "[flow other]\nfrom = SERVER\nto = ANY\nprotocol = tcp\nport = 6000\n";
#define PORT "2! port "

	(void)state;
	EACH(config, "", 1 << EFFECT_PORT, "prerouting -100 nat", { "dport 80 dnat 192.0.2.25", PORT },
	     { "dport 80 dnat 192.0.2.26", "" }, { "dport 80 dnat", "" }, { "dport 1 dnat 192.0.2.25", "" },
	     { "dport 2 dnat 192.0.2.25", PORT }, { "dport 8469 dnat 192.0.2.25", PORT },
	     { "dport 8470 dnat 192.0.2.25", "" }, { "dport 8471 dnat 192.0.2.25", PORT },
	     { "dport 8472 dnat 192.0.2.25", "" }, { "dport 8473 dnat 192.0.2.25", PORT },
	     { "dport 65534 dnat 192.0.2.25", PORT }, { "dport 65535 dnat 192.0.2.25", "" },
	     { "dport 5000 dnat 192.0.2.25", PORT }, { "dport 6000 dnat 192.0.2.25", PORT },
	     { "protocol 17 dport 80 dnat 192.0.2.25", "" }, { "dport 80 redirect", "" }, { "dport 80 queue", "" },
	     { "to 192.0.2.25 dport 80 dnat 192.0.2.25", PORT }, { "to 192.0.2.26 dport 80 dnat 192.0.2.25", "" },
	     { "to 2001:db8:2::25 dport 80 dnat 2001:db8:2::25", PORT }, { "sport 1 dport 80 dnat 192.0.2.25", "" });
	EACH(config, "", 1 << EFFECT_PORT, "prerouting -100", { "dport 80 dnat 192.0.2.25", "" });
	EACH(config, "", 1 << EFFECT_PORT, "output -100 nat", { "dport 80 dnat 192.0.2.25", "" });
	/* Whatever chains are there before it. */
	assert_findings(config, "", 1 << EFFECT_PORT,
			"chain a prerouting -300\nchain b input 0 nat\nchain c prerouting -100 nat\na: dport 80 dnat "
			"192.0.2.25\n"
			"b: dport 80 dnat 192.0.2.25\nc: dport 80 dnat 192.0.2.25",
			"6! port ");
	/* The flow that comes first of all is one of those that open. */
	EACH(HEAD ADMINS FIRST, "", 1 << EFFECT_PORT, "prerouting -100 nat", { "dport 8470 dnat 192.0.2.25", "" },
	     { "dport 8471 dnat 192.0.2.25", PORT });
	/* Nothing is open there, and no pin keeps the ports of that. */
	EACH("[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n" ADMINS, "", 1 << EFFECT_PORT,
	     "prerouting -100 nat", { "dport 1 dnat 192.0.2.25", PORT }, { "dport 65535 dnat 192.0.2.25", PORT });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opening_and_answer),
		cmocka_unit_test(test_tracking),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_one_address),
		cmocka_unit_test(test_first_and_last),
		cmocka_unit_test(test_some_of_any),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_ranges),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_at_gateway),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_intercepting),
		cmocka_unit_test(test_dns_is_no_channel),
		cmocka_unit_test(test_never_passing),
		cmocka_unit_test(test_closed_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
