/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is legal but unwise: for each warning where it holds, and the nearest case where it must not. */
#include "make.h"

#include <dirent.h>
#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
#define BASE SERVER "[role ADM]\nmembers = 203.0.113.0/24\n" /* 5 lines: a case begins in line 6 */
#define NARROW "[flow icewarp-out]\nenabled = no\n"          /* 2 lines: no other flow of 443 goes to ANY */
#define IN(id, port) "[flow " id "]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = " port "\n"

struct example {
	const char *text, *diags;
};

static void assert_examples(const struct example *examples, size_t count)
{
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++) {
		struct policy policy;
		char *diags = make_policy(&policy, examples[i].text);
		if (strcmp(diags, examples[i].diags) != 0) {
			print_error("of\n%sis complained\n%sinstead of\n%s\n", examples[i].text, diags,
				    examples[i].diags);
			wrong++;
		}
		free(diags);
		policy_free(&policy);
	}
	assert_int_equal(wrong, 0);
}

static void test_administrators(void **state)
{
#define EMPTY(name)                                                              \
	"t.ini: warning: role ADM is empty: nobody reaches the Management " name \
	": write members = NETWORK in [role ADM]\n"
#define ANYBODY                                                                                                    \
	"t.ini:4: warning: role ADM is ANY: the vendor says a computer or network used for administration: write " \
	"members = NETWORK in [role ADM]\n"
	static const struct example examples[] = {
		{ SERVER, EMPTY("Console") },
		{ SERVER "[flow console-in]\nfrom = 203.0.113.7\n", EMPTY("API") },
		{ SERVER "[flow console-in]\nenabled = no\n", EMPTY("API") },
		{ SERVER "[flow console-in]\nfrom = 203.0.113.7\n[flow api-in]\nenabled = no\n", "" },
		{ SERVER "[flow console-in]\nenabled = no\n[flow api-in]\nenabled = no\n", "" },
		{ SERVER "[gateway]\npreset = none\n", "" },
		{ SERVER "[gateway]\npreset = none\n[flow console-in]\n", EMPTY("Console") },
		{ SERVER "[role ADM]\nmembers = admin.example.net\n", "" },
		{ SERVER "[role ADM]\nmembers = 0.0.0.0/0\n", ANYBODY },
		{ SERVER "[role ADM]\nmembers = 203.0.113.7 ::/0\n", ANYBODY },
		{ SERVER "[role ADM]\nmembers = 0.0.0.1-255.255.255.255 ::-ffff::\n", "" },
		{ SERVER "[role ADM]\nmembers = any\n", ANYBODY },
		{ SERVER "[role ADM]\nmembers = any\n[flow console-in]\nport = 18470\nfrom = ADM\n", ANYBODY },
		{ SERVER "[role OPS]\n[flow console-in]\nfrom = OPS\n[flow api-in]\nenabled = no\n",
		  "t.ini:6: warning: flow console-in is off, its source is empty: write members in what from names, or "
		  "enabled = no\n" },
	};
#undef ANYBODY
#undef EMPTY

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_empty(void **state)
{
	static const struct example examples[] = {
		{ BASE "[role X]\n[flow x]\nfrom = X\nto = SERVER\nprotocol = tcp\nport = 5000\n",
		  "t.ini:8: warning: flow x is off, its source is empty: write members in what from names, or enabled "
		  "= "
		  "no\n" },
		{ BASE "[role X]\n[flow smtp-out]\nto = X\nexpect = 1h\n",
		  "t.ini:7: warning: flow smtp-out is off, expect watches nothing: take expect out while it is\n"
		  "t.ini:8: warning: flow smtp-out is off, its target is empty: write members in what to names, or "
		  "enabled = no\n" },
		{ BASE "[role X]\n[flow smtp-out]\nto = X\nenabled = no\n", "" },
		{ BASE "[role X]\nmembers = 198.51.100.7\n[flow smtp-out]\nto = X\n", "" },
		{ BASE "[flow ntp-out]\ncomment = later\n", "" },
	};

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_any(void **state)
{
#define ONLY_ADM "the vendor says ADM alone: write from = ADM\n"
	static const struct example examples[] = {
		{ BASE "[flow console-in]\nport = 18470\nfrom = 203.0.113.7\n any\n",
		  "t.ini:8: warning: flow console-in is open to ANY: " ONLY_ADM },
		{ BASE "[flow api-in]\nfrom = any\n", "t.ini:7: warning: flow api-in is open to ANY: " ONLY_ADM },
		{ BASE "[flow api-in]\nfrom = any\nenabled = no\n", "" },
		{ BASE "[flow api-in]\nport = 8470 8474\nfrom = any\n",
		  "t.ini:8: warning: flow api-in is open to ANY: " ONLY_ADM },
		{ BASE "[flow api-in]\nfrom = 198.51.100.0/24\n", "" },
		{ BASE "[role OPS]\nmembers = any\n[flow api-in]\nfrom = OPS\n",
		  "t.ini:9: warning: flow api-in is open to ANY: " ONLY_ADM },
		{ BASE "[flow smtp-out]\nfrom = any\n",
		  "t.ini:7: warning: flow smtp-out is open to ANY: the vendor says "
		  "SERVER alone: write from = SERVER\n" },
		{ BASE "[flow smtp-out]\nto = any\n", "" },
		{ BASE "[flow https-in]\nfrom = any\n", "" },
		{ BASE "[flow https-in]\nto = any\n",
		  "t.ini:7: warning: flow https-in goes to ANY: the vendor says SERVER alone: write to = SERVER\n" },
		{ BASE "[flow crl]\nto = any\n", "" },
		{ BASE "[flow ping]\nfrom = any\n", "" }, /* no row of the vendor's table */
		{ BASE "[flow license-out]\nport = 8443\nto = my.mailstore.com any\n",
		  "t.ini:8: warning: flow license-out goes to ANY: the vendor says my.mailstore.com alone: write to = "
		  "my.mailstore.com\n" },
		{ BASE "[flow license-out]\nport = 8443\nto = 198.51.100.9\n",
		  "t.ini:8: warning: flow license-out goes to no name: the vendor says by DNS hostname, since the "
		  "addresses change: write to = my.mailstore.com\n" },
		{ BASE "[flow license-out]\nport = 3128\nto = proxy.example.net\n", "" },
	};
#undef ONLY_ADM

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_open_ports(void **state)
{
#define OPENS(port, id)                                            \
	"t.ini:6: warning: flow all-in opens port " port " of " id \
	" to ANY: the vendor says ADM alone: take the port "       \
	"out, or write from = ADM\n"
	static const struct example examples[] = {
		{ BASE IN("all-in", "1-65535"), OPENS("8470", "console-in") OPENS("8474", "api-in") },
		{ BASE IN("all-in", "5000 8474"), OPENS("8474", "api-in") },
		{ BASE IN("all-in", "8471-8473 8475-9000"), "" },
		{ BASE IN("all-in", "8470") "[flow console-in]\nport = 18470\n", "" },
		{ BASE IN("all-in", "18000-19000") "[flow console-in]\nport = 18470\nto = SERVER\n",
		  OPENS("18470", "console-in") "t.ini:11: warning: flow console-in opens nothing that flow all-in does "
					       "not: narrow or disable all-in as well\n" },
		{ BASE "[flow a]\nfrom = 198.51.100.0/24\nto = SERVER\nprotocol = tcp\nport = 8470\n", "" },
		{ BASE "[flow a]\nfrom = ANY\nto = SERVER\nprotocol = udp\nport = 8470\n", "" },
		{ BASE "[flow a]\nfrom = ANY\nto = any\nprotocol = tcp\nport = 8470\n", "" },
		{ BASE "[flow a]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 8470\nenabled = no\n", "" },
		{ BASE "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n"
		       "[flow a]\nfrom = ANY\nto = IH\nprotocol = tcp\nport = 8470\n",
		  "" },
		{ BASE IN("all-in", "8470") "[gateway]\npreset = none\n", "" },
		{ BASE IN("all-in", "8470") "[gateway]\npreset = none\n[flow console-in]\n",
		  OPENS("8470", "console-in") },
		{ BASE "[flow https-in]\nport = 443 8474\n", "t.ini:6: warning: flow https-in opens port 8474 of "
							     "api-in to ANY: the vendor says ADM alone: take the "
							     "port out, or write from = ADM\n" },
	};
#undef OPENS

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_api_moved(void **state)
{
#define MOVED(line)                                                                                         \
	"t.ini:" line                                                                                       \
	": warning: flow api-in is not at 8474/tcp: the vendor's command-line client knows no other port: " \
	"write port = 8474\n"
	static const struct example examples[] = {
		{ BASE "[flow api-in]\nenabled = yes\nport = 18474\n", MOVED("8") },
		{ BASE "[flow api-in]\nprotocol = udp\n", MOVED("6") },
		{ BASE "[flow api-in]\nport = 18474 8474\n", "" },
		{ BASE "[flow api-in]\nport = 8000-9000\n", "" },
		{ BASE "[flow api-in]\nport = 18474\nenabled = no\n", "" },
		{ BASE "[flow api-in]\ncomment = by script\n", "" },
		{ BASE "[flow console-in]\nport = 18470\n", "" },
	};
#undef MOVED

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_sign_in(void **state)
{
#define NEEDS(line, service, flow)                                                                                 \
	"t.ini:" line ": warning: " service " needs login.microsoftonline.com to sign in, which no flow opens at " \
	"443/tcp: write login.microsoftonline.com in the to of flow " flow "\n"
	static const struct example examples[] = {
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW "[flow ews-out]\nto = ews.example.net\n graph.microsoft.com\n",
		  NEEDS("10", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com login.microsoftonline.com\n", "" },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com *.microsoftonline.com\n", "" },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com *.login.microsoftonline.com\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com xlogin.microsoftonline.com\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com *.far.longer.than.login.microsoftonline.com\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com 198.51.100.80\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		/* networks may hold it */
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com 198.51.100.0/24\n", "" },
		/* another flow goes there, or to ANY; one of another port does not */
		{ BASE NARROW
		  "[flow ews-out]\nto = graph.microsoft.com\n"
		  "[flow sign-in]\nfrom = SERVER\nto = login.microsoftonline.com\nprotocol = tcp\nport = 443\n",
		  "" },
		{ BASE NARROW
		  "[flow ews-out]\nto = graph.microsoft.com\n"
		  "[flow sign-in]\nfrom = SERVER\nto = login.microsoftonline.com\nprotocol = tcp\nport = 8443\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW
		  "[flow ews-out]\nto = graph.microsoft.com\n"
		  "[flow sign-in]\nfrom = SERVER\nto = login.microsoftonline.com\nprotocol = tcp\nport = 443\n"
		  "enabled = no\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE "[flow graph-out]\nfrom = SERVER\nto = graph.microsoft.com\nprotocol = tcp\nport = 443 8443\n",
		  "" },
		/* by a role; at a port of its own; off; a service that is nobody's to know */
		{ BASE NARROW "[role MAIL]\nmembers = 198.51.100.8 graph.microsoft.com\n[flow ews-out]\nto = MAIL\n",
		  NEEDS("9", "graph.microsoft.com", "ews-out") },
		{ BASE NARROW "[flow imaps-out]\nto = outlook.office365.com\n[flow ews-out]\nto = ews.example.net\n",
		  NEEDS("9", "outlook.office365.com", "ews-out") },
		{ BASE NARROW "[flow ews-out]\nto = graph.microsoft.com\nenabled = no\n", "" },
		{ BASE NARROW "[flow ews-out]\nto = ews.example.net\n", "" },
		/* once, though two flows go there */
		{ BASE NARROW
		  "[flow ews-out]\nto = outlook.office365.com\n[flow imaps-out]\nto = outlook.office365.com\n",
		  NEEDS("9", "outlook.office365.com", "ews-out") },
		/* each protected role for itself */
		{ BASE NARROW
		  "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[flow ews-out]\nto = ews.example.net\n"
		  "[flow ih]\nfrom = IH\nto = graph.microsoft.com\nprotocol = tcp\nport = 443\n"
		  "[flow sign-in]\nfrom = SERVER\nto = login.microsoftonline.com\nprotocol = tcp\nport = 443\n",
		  NEEDS("15", "graph.microsoft.com", "ih") },
	};
#undef NEEDS

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_roles(void **state)
{
#define UNUSED(line, role) \
	"t.ini:" line ": warning: no flow uses the role " role ": write it in the from or to of a flow, or "
	static const struct example examples[] = {
		{ BASE "[role ADMN]\nmembers = 198.51.100.0/24\n", UNUSED("6", "ADMN") "did you mean ADM?\n" },
		{ BASE "[role PARTNERS]\nmembers = 198.51.100.0/24\n", UNUSED("6", "PARTNERS") "take it out\n" },
		/* the nearest of those that are used */
		{ BASE "[role PARTNERS]\nmembers = 198.51.100.0/24\n[role PARTNER]\nmembers = 198.51.100.7\n"
		       "[flow a]\nfrom = PARTNERS\nto = SERVER\nprotocol = tcp\nport = 5000\n",
		  UNUSED("8", "PARTNER") "did you mean PARTNERS?\n" },
		{ BASE "[role BRANCHES]\nmembers = 198.51.100.0/24\n[role BRANCHEN]\nmembers = 198.51.100.7\n",
		  UNUSED("6", "BRANCHES") "take it out\n" UNUSED("8", "BRANCHEN") "take it out\n" },
		/* by a flow, even one that is off, by another role, by a protected one */
		{ BASE
		  "[role A1]\nmembers = 198.51.100.7\n[flow a]\nfrom = A1\nto = SERVER\nprotocol = tcp\nport = 5000\n",
		  "" },
		{ BASE "[role A1]\nmembers = 198.51.100.7\n[flow smtp-out]\nto = 198.51.100.9 A1\nenabled = no\n", "" },
		{ BASE "[role A1]\nmembers = 198.51.100.7\n[flow console-in]\nfrom = 198.51.100.9 A1\n", "" },
		{ SERVER "[role ADM]\nmembers = 203.0.113.0/24 OFFICE\n[role OFFICE]\nmembers = 198.51.100.0/24\n",
		  "" },
		{ BASE "[role IH]\nprotected = yes\nmembers = HOSTS\n[role HOSTS]\nmembers = 192.0.2.31\n", "" },
		{ BASE "[role IH]\nprotected = yes\nmembers = 192.0.2.31\n", "" },
		/* of a chain the end alone */
		{ BASE "[role OUTER]\nmembers = NETWORK\n[role NETWORK]\nmembers = 198.51.100.7\n",
		  UNUSED("6", "OUTER") "take it out\n" },
		/* those that are built in are used by what is built in */
		{ BASE "[role CA]\nmembers = 198.51.100.0/24\n", "" },
		{ BASE "[role CA]\nmembers = 198.51.100.0/24\n[flow crl]\nenabled = no\n", "" },
		{ BASE "[role CA]\nmembers = 198.51.100.0/24\n[flow crl]\nto = 198.51.100.7\n",
		  UNUSED("6", "CA") "take it out\n" },
		{ BASE "[gateway]\npreset = none\n[role CA]\nmembers = 198.51.100.0/24\n",
		  UNUSED("8", "CA") "take it out\n" },
		{ BASE "[gateway]\npreset = none\n[role CA]\nmembers = 198.51.100.0/24\n[flow crl]\n", "" },
	};
#undef UNUSED

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_names(void **state)
{
	static const struct example examples[] = {
		{ BASE "[role MAIL]\nmembers = a.example.net\n[flow smtp-out]\nto = MAIL\nenabled = no\n",
		  "t.ini:7: warning: no enabled flow uses the name a.example.net, it is not resolved: write its role "
		  "in "
		  "the from or to of a flow, or take it out\n" },
		{ BASE "[role MAIL]\nmembers = a.example.net\n[flow smtp-out]\nto = MAIL\n", "" },
		{ BASE "[flow smtp-out]\nto = a.example.net\nenabled = no\n", "" },
		{ BASE "[name my.mailstor.com]\nfamily = ipv4\n",
		  "t.ini:6: warning: no enabled flow uses the name my.mailstor.com, its section has no effect: did you "
		  "mean my.mailstore.com?\n" },
		{ BASE "[name a.example.net]\nfamily = ipv4\n",
		  "t.ini:6: warning: no enabled flow uses the name a.example.net, its section has no effect: take it "
		  "out\n" },
		{ BASE "[name My.MailStore.com.]\nfamily = ipv4\n", "" },
		{ BASE "[flow smtp-out]\nto = a.example.net\nenabled = no\n[name b.example.net]\nfamily = ipv4\n",
		  "t.ini:9: warning: no enabled flow uses the name b.example.net, its section has no effect: take it "
		  "out\n" },
	};

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_multi_server(void **state)
{
#define NONE BASE "[gateway]\npreset = none\n" /* 7 lines */
#define ROLE(name, address) "[role " name "]\nmembers = " address "\nprotected = yes\n"
#define SERVERS NONE ROLE("CAS", "192.0.2.41") ROLE("IH", "192.0.2.31") /* 13 lines */
#define JOIN(from, to, protocol) "[flow join]\nfrom = " from "\nto = " to "\nprotocol = " protocol "\nport = 8472\n"
#define APART(line, role)                                                                                        \
	"t.ini:" line ": warning: no flow joins role " role " and another server: the vendor's servers meet at " \
	"8471 to 8473, unless altered: add the flows that its document has\n"
	static const struct example examples[] = {
		{ SERVERS, APART("8", "CAS") APART("11", "IH") },
		{ SERVERS JOIN("CAS", "IH", "tcp"), "" },
		{ SERVERS JOIN("SERVER", "CAS", "tcp"), APART("11", "IH") },
		{ SERVERS JOIN("SERVER", "CAS IH", "tcp"), "" },
		{ SERVERS JOIN("192.0.2.31", "192.0.2.41", "tcp"), "" },
		{ SERVERS "[flow ping]\nfrom = CAS ADM\nto = IH\n", APART("8", "CAS") APART("11", "IH") },
		{ SERVERS JOIN("CAS", "IH", "tcp") "enabled = no\n", APART("8", "CAS") APART("11", "IH") },
		/* what comes from outside, or goes there */
		{ SERVERS JOIN("ADM", "CAS IH", "tcp"), APART("8", "CAS") APART("11", "IH") },
		{ SERVERS JOIN("ANY", "CAS", "tcp"), APART("8", "CAS") APART("11", "IH") },
		{ SERVERS JOIN("CAS IH", "ANY", "tcp"), APART("8", "CAS") APART("11", "IH") },
		{ NONE ROLE("MGMT", "192.0.2.26"), APART("8", "MGMT") },
		/* where it must not: the roles are another's, guard nothing, or a second single server */
		{ NONE ROLE("BACKUP", "192.0.2.41"), "" },
		{ NONE "[role CAS]\nmembers = 192.0.2.41\n[flow ping]\nfrom = CAS ADM\n", "" },
		{ BASE ROLE("IH", "192.0.2.31"), "" },
		{ NONE "[flow ping]\n", "" },
	};

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

static void test_shadowed(void **state)
{
	static const struct example examples[] = {
		{ BASE "[flow license-out]\nexpect = 24h\n", "" }, /* what is built in is nobody's mistake */
		{ BASE "[flow license-out]\nenabled = yes\ncomment = to the vendor\nallow_private = yes\n", "" },
		{ BASE "[flow ews-out]\nto = ews.example.net\n",
		  "t.ini:6: warning: flow ews-out opens nothing that flow icewarp-out does not: narrow or disable "
		  "icewarp-out as well\n" },
		{ BASE NARROW "[flow ews-out]\nto = ews.example.net\n", "" },
		{ BASE IN("web-in", "443"), "t.ini:6: warning: flow web-in opens nothing that flow https-in does not: "
					    "narrow or disable https-in as well\n" },
		{ BASE IN("web-in", "443") "[flow https-in]\nenabled = no\n", "" },
		{ BASE IN("web-in", "443 8443"), "" },
		{ BASE "[flow console-in]\nfrom = 203.0.113.7\n", "" },
	};

	(void)state;
	assert_examples(examples, COUNT_OF(examples));
}

/* A file in the folder of the golden policies. */
static int read_golden(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	enum { LONGEST = 65536 };
	char full[4096];

	(void)userdata;
	snprintf(full, sizeof(full), "%s/tests/golden/%s", getenv("srcdir") ? getenv("srcdir") : ".", path);
	FILE *file = fopen(full, "r");
	if (!file)
		return -errno;
	*ret_bytes = malloc(LONGEST);
	assert_non_null(*ret_bytes);
	*ret_length = fread(*ret_bytes, 1, LONGEST - 1, file);
	fclose(file);
	return 0;
}

static void assert_known(const char *name, const struct diags *diags)
{
	static const char *const known[] = { "role ADM is empty",
					     "role ADM is ANY",
					     "no resolvers",
					     "255.255.255.254/31 in protected role SERVER: no machine",
					     "ffff:ffff:ffff:ffff::/64 in protected role SERVER: no machine",
					     "flow all-ports-in opens port",
					     "192.0.2.0/24 does not open",
					     "flow ews-out opens nothing that flow" };

	for (size_t i = 0; i < diags->count; i++) {
		bool is_known = false;
		for (size_t k = 0; k < COUNT_OF(known); k++)
			is_known |= strncmp(diags->items[i].text, known[k], strlen(known[k])) == 0;
		if (!is_known)
			fail_msg("%s:%u: %s", name, diags->items[i].line, diags->items[i].text);
	}
}

/* Policies that are meant to be good have the warnings that are known, and no others. */
static void test_golden(void **state)
{
	char path[4096];
	size_t count = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/golden", getenv("srcdir") ? getenv("srcdir") : ".");
	DIR *directory = opendir(path);
	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory));) {
		struct config config;
		struct policy policy;
		struct diags diags = { 0 };
		const char *suffix = strrchr(entry->d_name, '.');
		if (!suffix || strcmp(suffix, ".conf") != 0)
			continue;
		assert_int_equal(config_load(&config, entry->d_name, read_golden, NULL, &diags), 0);
		assert_int_equal(policy_from_config(&policy, &config, &diags), 0);
		assert_known(entry->d_name, &diags);
		policy_free(&policy);
		config_free(&config);
		diags_free(&diags);
		count++;
	}
	closedir(directory);
	assert_true(count >= 20);
}

static int read_text(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	(void)path;
	*ret_bytes = strdup(userdata);
	*ret_length = strlen(userdata);
	return 0;
}

/* Without memory there is no policy, and nothing is left of it. */
static void test_no_memory(void **state)
{
	static const char text[] = BASE "[role ADMN]\nmembers = 198.51.100.7\n";
	struct config config;
	struct policy policy;
	int r = -ENOMEM;

	(void)state;
	for (long allowed = 0; r < 0; allowed++) {
		struct diags diags = { 0 };
		assert_int_equal(config_load(&config, "t.ini", read_text, (void *)text, &diags), 0);
		allocations_left = allowed;
		r = policy_from_config(&policy, &config, &diags);
		allocations_left = -1;
		assert_true(r == 0 || r == -ENOMEM);
		assert_true(r == 0 || !policy.roles);
		if (r == 0 && diags.out_of_memory)
			r = -ENOMEM;
		assert_true(allowed < 10000);
		if (r == 0)
			assert_int_equal(diags.count, 1);
		policy_free(&policy);
		config_free(&config);
		diags_free(&diags);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_administrators),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_open_ports),
		cmocka_unit_test(test_api_moved),
		cmocka_unit_test(test_sign_in),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_multi_server),
		cmocka_unit_test(test_shadowed),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
