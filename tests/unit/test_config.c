/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/ini.h"
#include "core/config_types.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SERVER "[server]\naddress = 192.0.2.25\n"
#define X10 "xxxxxxxxxx"
#define X40 X10 X10 X10 X10
#define X50 X40 X10
#define NAME_253 X50 "." X50 "." X50 "." X50 "." X40 "x.example"
#define ROLE_40 "ROLE_90123456789012345678901234567890123"

/* The files that a configuration may name, beside itself. */
static const struct file {
	const char *path, *text;
	size_t length; /* 0: of the text */
} files[] = {
	{ "etc/admins.txt",
	  "# who may\n\n  192.0.2.0/28\t# first floor\r\n2001:db8:1::/64\nadmin.Example.net.\n   \nCAS\nany", 0 },
	{ "etc/bom.txt",
	  "\xef\xbb\xbf"
	  "192.0.2.1\n",
	  0 },
	{ "etc/empty.txt", "", 0 },
	{ "/srv/absolute.txt", "192.0.2.9\n", 0 },
	{ "etc/bad.txt",
	  "192.0.2.1/24\n# fine\n192.0.2.1 192.0.2.2\nfile:admins.txt\n\nfoo\n*.example.com\n192.0.2.7 ; seven\n", 0 },
	{ "etc/nul.txt", "192.0.2.1\n192.0\0.2.2\n", 20 },
	{ "etc/control.txt", "192.0.2.1\n192.0.2.2\n\x1b[0m\n", 0 },
	{ "etc/mac.txt", "192.0.2.1\r192.0.2.2\r", 0 },
	{ "etc/utf16.txt",
	  "\xff\xfe"
	  "1\0",
	  4 },
	{ "etc/long.txt", NAME_253 "\n" NAME_253 ".\nx" NAME_253 "\nx" NAME_253 ".\n", 0 },
	{ "etc/longest.txt", X50 X50 X50 X50 X50 X50 ".example\n", 0 },
	{ "etc/names.txt", "192.0.2.1\nexample.com\nADM\n", 0 },
};

static char *copy_of(const char *text, size_t length)
{
	char *copy = malloc(length + 1); /* so that reading beyond its end is seen */

	assert_non_null(copy);
	memcpy(copy, text, length);
	return copy;
}

static int read_fake(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	const struct file *main_file = userdata;

	for (size_t i = 0; i <= COUNT_OF(files); i++) {
		const struct file *file = i ? &files[i - 1] : main_file;

		if (strcmp(file->path, path) == 0) {
			*ret_length = file->length ? file->length : strlen(file->text);
			*ret_bytes = copy_of(file->text, *ret_length);
			return 0;
		}
	}
	return strcmp(path, "etc/secret.txt") == 0 ? -EACCES
	       : strcmp(path, "etc/dir") == 0      ? -EISDIR
	       : strcmp(path, "etc/fifo") == 0     ? -ENOTSUP
	       : strcmp(path, "etc/memory") == 0   ? -ENOMEM
						   : -ENOENT;
}

/* Reads text as etc/a.ini; the complaints come as lines, without "etc/" and with one '\n' between them. */
static char *load_bytes(struct config *ret, const char *text, size_t length)
{
	struct file file = { "etc/a.ini", text, length };
	struct diags diags = { 0 };
	char *all = calloc(1, 16384);

	assert_non_null(all);
	assert_int_equal(config_load(ret, file.path, read_fake, &file, &diags), 0);
	assert_false(diags.out_of_memory);
	for (size_t i = 0; i < diags.count; i++) {
		char *line = diag_format(&diags.items[i]);

		assert_non_null(line);
		if (strncmp(line, "etc/", 4) == 0)
			memmove(line, line + 4, strlen(line + 4) + 1);
		assert_true(strlen(all) + strlen(line) + 2 < 16384);
		strcat(strcat(all, i ? "\n" : ""), line);
		assert_int_equal(diags.items[i].severity == DIAG_ERROR, strstr(line, ": warning: ") == NULL);
		free(line);
	}
	assert_int_equal(diags_failed(&diags), diags.errors > 0);
	diags_free(&diags);
	return all;
}

static char *load(struct config *ret, const char *text)
{
	return load_bytes(ret, text, strlen(text));
}

static void load_good(struct config *ret, const char *text)
{
	char *complaints = load(ret, text);

	assert_string_equal(complaints, "");
	free(complaints);
}

/* Each text with all complaints about it. */
struct bad {
	const char *text, *complaints;
};

static void expect_bad(const struct bad *cases, size_t count)
{
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++) {
		struct config config;
		char *complaints = load(&config, cases[i].text);

		if (strcmp(complaints, cases[i].complaints) != 0) {
			print_error("case %zu:\n%s\n--- is answered by\n%s\n--- instead of\n%s\n", i, cases[i].text,
				    complaints, cases[i].complaints);
			wrong++;
		}
		free(complaints);
		config_free(&config);
	}
	assert_int_equal(wrong, 0);
}

static void test_bad_structure(void **state)
{
	static const struct bad cases[] = {
		{ "", "a.ini: section [server] is missing: write it with address = ADDRESS of the SPE server" },
		{ "; only a comment\n# another\n",
		  "a.ini: section [server] is missing: write it with address = ADDRESS of the SPE server" },
		{ "\n[server]\n",
		  "a.ini:2: section [server] has no address: write address = ADDRESS of the SPE server" },
		{ "address = 192.0.2.25\n" SERVER,
		  "a.ini:1: key address stands ahead of every section: write [server] above it" },
		{ "mode = audit\n" SERVER,
		  "a.ini:1: key mode stands ahead of every section: write [gateway] above it" },
		{ "port = 1\n" SERVER,
		  "a.ini:1: key port stands ahead of every section: write its section above it, such as [server]" },
		{ SERVER "[gatway]\nmode = audit\n", "a.ini:3: unknown section [gatway]: did you mean [gateway]?" },
		{ SERVER "[Gateway]\n", "a.ini:3: unknown section [Gateway]: did you mean [gateway]?" },
		{ SERVER "[roles ADM]\n", "a.ini:3: unknown section [roles ADM]: did you mean [role NAME]?" },
		{ SERVER "[frobnicate]\n", "a.ini:3: unknown section [frobnicate]: the sections are [server], "
					   "[gateway], [dns], [name NAME], [role NAME] and [flow NAME]" },
		{ SERVER "[]\n", "a.ini:3: unknown section []: the sections are [server], [gateway], [dns], [name "
				 "NAME], [role NAME] and [flow NAME]" },
		{ SERVER "[gateway west]\n", "a.ini:3: section [gateway west] has a name: write [gateway]" },
		{ SERVER "[role]\n[role]\n", "a.ini:3: section [role] has no name: write [role ADM]\na.ini:4: section "
					     "[role] has no name: write [role ADM]" },
		{ SERVER "[flow ]\n", "a.ini:3: section [flow] has no name: write [flow backup-in]" },
		{ SERVER "[name]\nfamily = ipv4\n",
		  "a.ini:3: section [name] has no name: write [name partner.example.net]" },
		{ SERVER "[nme a.example.net]\n", "a.ini:3: unknown section [nme a.example.net]: did you mean [name "
						  "NAME]?" },
		{ SERVER "[name a.example.net]\n[name b.example.net]\n[name A.Example.Net.]\n",
		  "a.ini:5: section [name a.example.net] was given in line 3 already: put its keys there" },
		{ SERVER "[name 192.0.2.1]\n", "a.ini:3: 192.0.2.1 is an address: [name NAME] is for names of DNS" },
		{ SERVER "[name 2001:db8::1]\n",
		  "a.ini:3: 2001:db8::1 is an address: [name NAME] is for names of DNS" },
		{ SERVER "[name a..example.net]\n",
		  "a.ini:3: name a..example.net has an empty part: write one dot between its parts" },
		{ SERVER "[name a b]\n", "a.ini:3: name a b holds ' ': a name is letters, digits, hyphens and "
					 "underscores between dots" },
		{ SERVER "[name a.example.net]\nfamily = ipv5\nfamly = ipv4\nport = 1\n",
		  "a.ini:4: unknown value ipv5 for family: did you mean ipv4?\n"
		  "a.ini:5: unknown key famly in [name]: did you mean family?\n"
		  "a.ini:6: unknown key port in [name]: it belongs in [flow]" },
		{ SERVER "[name a.example.net]\nfamily = ipv4\nfamily = ipv6\n",
		  "a.ini:5: key family was given in line 4 already: leave one of the two" },
		{ SERVER "[role adm]\n", "a.ini:3: adm is not the name of a role: write a capital letter, then capital "
					 "letters, digits and _, such as ADM" },
		{ SERVER "[role A-B]\n", "a.ini:3: A-B is not the name of a role: write a capital letter, then capital "
					 "letters, digits and _, such as ADM" },
		{ SERVER "[role A B]\n", "a.ini:3: A B is not the name of a role: write a capital letter, then capital "
					 "letters, digits and _, such as ADM" },
		{ SERVER "[flow 1-in]\n", "a.ini:3: 1-in is not the name of a flow: write a small letter, then small "
					  "letters, digits and -, such as backup-in" },
		{ SERVER "[flow Backup]\n", "a.ini:3: Backup is not the name of a flow: write a small letter, then "
					    "small letters, digits and -, such as backup-in" },
		{ SERVER "[role SERVER]\n",
		  "a.ini:3: role SERVER can't be defined: its addresses are the key address in [server]" },
		{ SERVER "[role ANY]\n",
		  "a.ini:3: role ANY can't be defined: it is every computer, choose another name" },
		{ SERVER "[role " ROLE_40 "X]\n", "a.ini:3: role name of 41 characters: it has up to 40" },
		{ SERVER "[flow " X40 X10 "]\n", "a.ini:3: flow name of 50 characters: it has up to 40" },
		{ SERVER "[server]\nresolvers = 192.0.2.53\n",
		  "a.ini:3: section [server] was given in line 1 already: put its keys there" },
		{ SERVER "[role IH]\n[dns]\n[role  IH ]\n",
		  "a.ini:5: section [role IH] was given in line 3 already: put its keys there" },
		{ SERVER "[flow x]\n[flow y]\n[flow x]\n",
		  "a.ini:5: section [flow x] was given in line 3 already: put its keys there" },
		{ SERVER "[gateway\nmode = audit\n",
		  "a.ini:3: section [gateway has no closing bracket: write [gateway]" },
		{ SERVER "[gateway ; comment ]\n",
		  "a.ini:3: section [gateway has no closing bracket: write [gateway]" },
		{ SERVER "[gateway] mode = audit\n",
		  "a.ini:3: more text follows section [gateway]: write it into lines of its own" },
		{ SERVER "[gateway] # it\n",
		  "a.ini:3: # follows section [gateway]: a comment behind it begins with a space and ;" },
		{ SERVER "[gateway];it\n",
		  "a.ini:3: ; follows section [gateway]: a comment behind it begins with a space and ;" },
		{ "[server]\n  [gateway]\nmood = audit\n",
		  "a.ini:1: section [server] has no address: write address = ADDRESS of the SPE server\n"
		  "a.ini:2: section [gateway] is indented: begin it at the start of the line\n"
		  "a.ini:3: unknown key mood in [gateway]: did you mean mode?" },
		{ SERVER "  [gateway]\n", "a.ini:3: section [gateway] is indented: begin it at the start of the line" },
		{ SERVER "   resolvers = 192.0.2.53\n",
		  "a.ini:3: key resolvers is indented: begin it at the start of the line" },
		{ SERVER "\tresolvers: 192.0.2.53\n",
		  "a.ini:3: key resolvers is indented: begin it at the start of the line" },
		{ SERVER "\tanything=1\n 192.0.2.1\n",
		  "a.ini:3: key anything is indented: begin it at the start of the line" },
		{ " 192.0.2.1\n" SERVER,
		  "a.ini:1: indented, but there is no list above: begin keys at the start of the line" },
		{ SERVER "[role A]\n 192.0.2.1\n 192.0.2.2\n",
		  "a.ini:4: indented, but there is no list above: begin keys at the start of the line" },
		{ SERVER "resolvers: 192.0.2.53\n 192.0.2.54\n",
		  "a.ini:3: : stands behind resolvers: write resolvers = VALUE" },
		{ SERVER "resolvers\n",
		  "a.ini:3: resolvers is neither [section] nor key = value: a list goes on in indented lines" },
		{ SERVER "resolvers ; = x\n",
		  "a.ini:3: resolvers ; = x is neither [section] nor key = value: a list goes on in indented lines" },
		{ SERVER "2001:db8::25\n",
		  "a.ini:3: 2001:db8::25 stands alone: indent it, to go on with the list above" },
		{ SERVER "192.0.2.26\n", "a.ini:3: 192.0.2.26 stands alone: indent it, to go on with the list above" },
		{ SERVER "2001:db8::25, 2001:db8::26\n", "a.ini:3: 2001:db8::25, 2001:db8::26 is neither [section] nor "
							 "key = value: a list goes on in indented lines" },
		{ SERVER "= 192.0.2.26\n", "a.ini:3: there is no key ahead of =: write KEY = VALUE" },
		{ SERVER X50 " = 1\n", "a.ini:3: key of 50 characters: no key has more than 49" },
		{ SERVER "adress = 192.0.2.26\n", "a.ini:3: unknown key adress in [server]: did you mean address?" },
		{ SERVER "Resolvers = 192.0.2.26\n",
		  "a.ini:3: unknown key Resolvers in [server]: did you mean resolvers?" },
		{ SERVER "mode = audit\n", "a.ini:3: unknown key mode in [server]: it belongs in [gateway]" },
		{ SERVER "[role A]\nfrobnicate = 1\n", "a.ini:4: unknown key frobnicate in [role]: its keys are "
						       "members, protected, allow_private and ephemeral_ports" },
		{ SERVER "[gateway]\nmode = audit\nmode = audit\n",
		  "a.ini:5: key mode was given in line 4 already: leave one of the two" },
		{ SERVER "address = 192.0.2.26\n",
		  "a.ini:3: key address was given in line 2 already: a list goes on in indented lines" },
		{ SERVER "[gateway]\nmode = audit\n\n; no\n  enforce\n",
		  "a.ini:7: key mode is not a list: it can't go on in an indented line" },
		{ SERVER "[gateway]\nmode =\n enforce\n",
		  "a.ini:5: key mode is not a list: it can't go on in an indented line" },
		{ SERVER "[gateway]\nmode =\n", "a.ini:4: key mode has no value: write one, such as mode = enforce" },
		{ "[server]\naddress = ; later\n",
		  "a.ini:2: key address has no value: write one, such as address = 192.0.2.25" },
		{ SERVER "[flow x]\nfrom = ,\nto =\nport =\n",
		  "a.ini:4: key from has no value: write one, such as from = ANY\n"
		  "a.ini:5: key to has no value: write one, such as to = SERVER\n"
		  "a.ini:6: key port has no value: write one, such as port = 443" },
		{ "[server]\naddress = file:empty.txt\n",
		  "a.ini:2: address holds no member: write at least one address" },
		{ SERVER "[gateway]\nmode = audit # not yet\n",
		  "a.ini:4: # begins no comment behind the value of mode: write ; for it" },
		{ SERVER "[gateway]\nmode = audit;\n",
		  "a.ini:4: ; stands in the value of mode: put a space ahead of a comment" },
		{ SERVER "resolvers = 192.0.2.1\n 192.0.2.2 # two\n",
		  "a.ini:4: # begins no comment behind the value of resolvers: write ; for it" },
		/* a line at the limit is taken, also without its end */
		{ SERVER "; " X50 X50 X50 X40 "1234567\n", "" },
		{ SERVER "; " X50 X50 X50 X40 "1234567", "" },
		{ SERVER "; " X50 X50 X50 X40 "12345678\nresolvers = x\n",
		  "a.ini:3: line of 200 bytes: it has up to 199, a list goes on in indented lines\n"
		  "a.ini:4: x is not an address: resolvers takes addresses alone" },
		{ SERVER "resolvers = 192.0.2.1 " X50 X50 X50 X50 " mode = x\n  192.0.2.x\n",
		  "a.ini:3: line of 231 bytes: it has up to 199, a list goes on in indented lines" },
		{ SERVER "resolvers = 192.0.2.1\n  " X50 X50 X50 X50 "\n  y\n",
		  "a.ini:4: line of 202 bytes: it has up to 199, a list goes on in indented lines\n"
		  "a.ini:5: y is not an address: resolvers takes addresses alone" },
		{ SERVER "[role " X50 X50 X50 X50 "]\nmember = 1\n",
		  "a.ini:3: line of 207 bytes: it has up to 199, a list goes on in indented lines" },
		{ SERVER "\x01\n", "a.ini:3: byte 0x01: this is a binary file, write plain text" },
		{ SERVER "resolvers = 192.0.2.1\rmode = x\n",
		  "a.ini:3: byte 0x0d: this is a binary file, write plain text" },
		{ "\xff\xfe[\n", "a.ini:1: this is UTF-16: save it as UTF-8" },
	};

	(void)state;
	expect_bad(cases, COUNT_OF(cases));
}

static void test_bad_members(void **state)
{
	static const struct bad cases[] = {
		{ "[server]\naddress = 192.0.2.300\n", "a.ini:2: 192.0.2.300 is not an address: an IPv4 address is "
						       "four numbers from 0 to 255, such as 192.0.2.25" },
		{ "[server]\naddress = 192.0.2.25/24\n",
		  "a.ini:2: 192.0.2.25/24 has host bits set: write 192.0.2.0/24" },
		{ "[server]\naddress = 2001:db8::25/64\n",
		  "a.ini:2: 2001:db8::25/64 has host bits set: write 2001:db8::/64" },
		{ "[server]\naddress = 192.0.2.0/33 2001:db8::/129 192.0.2.0/255.255.255.0\n",
		  "a.ini:2: 192.0.2.0/33 has no valid prefix length: it is a number from 0 to 32\n"
		  "a.ini:2: 2001:db8::/129 has no valid prefix length: it is a number from 0 to 128\n"
		  "a.ini:2: 192.0.2.0/255.255.255.0 has no valid prefix length: it is a number from 0 to 32" },
		{ "[server]\naddress =\n  192.0.2.1\n; comment\n\n  192.0.2.9-192.0.2.2, ; no\n  "
		  "2001:db8::2-2001:db8::1\n",
		  "a.ini:6: range 192.0.2.9-192.0.2.2 is reversed: write 192.0.2.2-192.0.2.9\n"
		  "a.ini:7: range 2001:db8::2-2001:db8::1 is reversed: write 2001:db8::1-2001:db8::2" },
		{ "[server]\naddress = 192.0.2.1-2001:db8::1\n",
		  "a.ini:2: range 192.0.2.1-2001:db8::1 has ends of two families: write one range for each" },
		{ "[server]\naddress = 192.0.2.1-\n",
		  "a.ini:2: range 192.0.2.1- lacks an end: write FIRST-LAST without spaces" },
		{ "[server]\naddress = 192.0.2.1 - 192.0.2.2\n",
		  "a.ini:2: range - lacks an end: write FIRST-LAST without spaces" },
		{ "[server]\naddress = 192.0.2.1-20\n",
		  "a.ini:2: 192.0.2.1-20 is not a range: write both addresses in full, such as 192.0.2.1-192.0.2.20" },
		{ "[server]\naddress = ::ffff:192.0.2.25 ::ffff:192.0.2.0/120\n",
		  "a.ini:2: ::ffff:192.0.2.25 is IPv4 in IPv6 form: write 192.0.2.25\n"
		  "a.ini:2: ::ffff:192.0.2.0/120 is IPv4 in IPv6 form: write 192.0.2.0/24" },
		{ "[server]\naddress = [2001:db8::1]\n",
		  "a.ini:2: [2001:db8::1] is not an address: write it without brackets" },
		{ "[server]\naddress = fe80::1%eth0\n",
		  "a.ini:2: fe80::1%eth0 is not an address: write it without its zone" },
		{ "[server]\naddress = 2001:db8:::1\n",
		  "a.ini:2: 2001:db8:::1 is not an address: an IPv6 address is such as 2001:db8::25" },
		{ "[server]\naddress = 192.0.2.25:8470\n", "a.ini:2: 192.0.2.25:8470 is not an address: write it "
							   "without the port, which goes into the key port" },
		{ "[server]\naddress = 10.1\n", "a.ini:2: 10.1 is not an address: an IPv4 address is four numbers from "
						"0 to 255, such as 192.0.2.25" },
		{ "[server]\naddress = spe.example.com ADM any foo\n",
		  "a.ini:2: spe.example.com is a name: address takes addresses, prefixes, ranges, file:PATH\n"
		  "a.ini:2: ADM is a role: address takes addresses, prefixes, ranges, file:PATH\n"
		  "a.ini:2: any is every address: address takes addresses, prefixes, ranges, file:PATH\n"
		  "a.ini:2: foo is not an address: address takes addresses, prefixes, ranges, file:PATH" },
		{ SERVER "resolvers = 192.0.2.0/24 dns.example.com file:admins.txt\n",
		  "a.ini:3: 192.0.2.0/24 is more than one address: resolvers takes addresses alone\n"
		  "a.ini:3: dns.example.com is a name: resolvers takes addresses alone\n"
		  "a.ini:3: file:admins.txt is a file: resolvers takes addresses alone" },
		{ SERVER "time_servers = ADM foo *.example.com file:x\n",
		  "a.ini:3: ADM is a role: time_servers takes addresses, prefixes, ranges, names\n"
		  "a.ini:3: foo is neither an address nor a name: a name holds a dot\n"
		  "a.ini:3: *.example.com holds a star: only the target of a flow (to) may, write single names\n"
		  "a.ini:3: file:x is a file: time_servers takes addresses, prefixes, ranges, names" },
		{ SERVER "[gateway]\nnat_except = nat.example.com\n",
		  "a.ini:4: nat.example.com is a name: nat_except takes addresses, prefixes, ranges, file:PATH" },
		{ SERVER "[gateway]\nreject = any ADM\n\tadm 192.0.2.1 a.example.net file:x Foo " ROLE_40 "X\n",
		  "a.ini:4: any is every address: reject takes roles with members of their own, such as ADM\n"
		  "a.ini:5: adm is not a role: did you mean ADM?\n"
		  "a.ini:5: 192.0.2.1 is not a role: reject takes names of roles, such as ADM\n"
		  "a.ini:5: a.example.net is not a role: reject takes names of roles, such as ADM\n"
		  "a.ini:5: file:x is not a role: reject takes names of roles, such as ADM\n"
		  "a.ini:5: Foo is not a role: reject takes names of roles, such as ADM\n"
		  "a.ini:5: role name of 41 characters: it has up to 40" },
		{ SERVER "[role A]\nmembers = foo localhost. adm Server Any a\n",
		  "a.ini:4: foo is neither an address, a name nor a role: a name holds a dot, a role is in capitals\n"
		  "a.ini:4: localhost. is neither an address, a name nor a role: a name holds a dot, a role is in "
		  "capitals\n"
		  "a.ini:4: adm is not a role: did you mean ADM?\n"
		  "a.ini:4: Server is not a role: did you mean SERVER?\n"
		  "a.ini:4: Any is not a role: did you mean ANY?\n"
		  "a.ini:4: a is not a role: did you mean A?" },
		{ SERVER "[role A]\nmembers = " ROLE_40 "X\n", "a.ini:4: role name of 41 characters: it has up to 40" },
		{ SERVER "[role A]\nmembers = b\xc3\xbc"
			 "cher.example\n",
		  "a.ini:4: name b\xc3\xbc"
		  "cher.example holds letters beyond ASCII: write it in its xn-- form" },
		{ SERVER "[role A]\nmembers = a..example .example.com a.example..\n",
		  "a.ini:4: name a..example has an empty part: write one dot between its parts\n"
		  "a.ini:4: name .example.com has an empty part: write one dot between its parts\n"
		  "a.ini:4: name a.example. has an empty part: write one dot between its parts" },
		{ SERVER "[role A]\nmembers = " X50 X10 "xxxx.example\n",
		  "a.ini:4: name " X50 X10 "xxxx.example has a part of 64 characters: they have up to 63" },
		{ SERVER "[role A]\nmembers = proxy.example.net:3128 https://example.net/x a/b.example a@b.example\n",
		  "a.ini:4: name proxy.example.net:3128 holds ':': write the host name alone, a port goes into the key "
		  "port\n"
		  "a.ini:4: name https://example.net/x holds ':': write the host name alone, a port goes into the key "
		  "port\n"
		  "a.ini:4: name a/b.example holds '/': a name is letters, digits, hyphens and underscores between "
		  "dots\n"
		  "a.ini:4: name a@b.example holds '@': a name is letters, digits, hyphens and underscores between "
		  "dots" },
		{ SERVER "[role A]\nmembers = example.123 192.0.2.1x.7-8\n",
		  "a.ini:4: name example.123 ends in a number: it is neither an address nor a name\n"
		  "a.ini:4: name 192.0.2.1x.7-8 ends in a number: it is neither an address nor a name" },
		{ SERVER "[role A]\nmembers = *.example.com\n",
		  "a.ini:4: *.example.com holds a star: only the target of a flow (to) may, write single names" },
		{ SERVER "[flow x]\nfrom = *.example.com\n",
		  "a.ini:4: *.example.com holds a star: only the target of a flow (to) may, write single names" },
		{ SERVER "[flow x]\nto = a.*.example *x.example *.*.example *.\n",
		  "a.ini:4: name a.*.example holds a star: it may only stand for the whole first part, as in "
		  "*.example.com\n"
		  "a.ini:4: name *x.example holds a star: it may only stand for the whole first part, as in "
		  "*.example.com\n"
		  "a.ini:4: name *.*.example holds a star: it may only stand for the whole first part, as in "
		  "*.example.com\n"
		  "a.ini:4: *. is neither an address, a name nor a role: a name holds a dot, a role is in capitals" },
		{ SERVER "[flow x]\nto = *.com\n",
		  "a.ini:4: warning: *.com is every name of a whole top-level domain: write *.example.com" },
		{ SERVER "[role A]\nmembers = file:missing.txt file:secret.txt file:dir\n  file:fifo file:\n",
		  "a.ini:4: file etc/missing.txt is missing: check its path, or put it back\n"
		  "a.ini:4: file etc/secret.txt can't be read: Permission denied: check its path and permissions\n"
		  "a.ini:4: file etc/dir can't be read: Is a directory: check its path and permissions\n"
		  "a.ini:5: file etc/fifo can't be read: not a regular file: check its path and permissions\n"
		  "a.ini:5: file: names no file: write file:PATH" },
		{ SERVER "[role A]\nmembers = file:bad.txt\nprotected = maybe\n",
		  "bad.txt:1: 192.0.2.1/24 has host bits set: write 192.0.2.0/24\n"
		  "bad.txt:3: more than one member in a line: write one a line\n"
		  "bad.txt:4: file:admins.txt within a file: write its members here, or name it in the INI file\n"
		  "bad.txt:6: foo is neither an address, a name nor a role: a name holds a dot, a role is in capitals\n"
		  "bad.txt:7: *.example.com holds a star: only the target of a flow (to) may, write single names\n"
		  "bad.txt:8: more than one member in a line: write one a line, comments begin with #\n"
		  "a.ini:5: unknown value maybe for protected: write no or yes" },
		{ SERVER "[role A]\nmembers = file:nul.txt file:control.txt file:mac.txt file:utf16.txt\n",
		  "nul.txt:2: byte 0x00: this is a binary file, write plain text\n"
		  "control.txt:3: byte 0x1b: this is a binary file, write plain text\n"
		  "mac.txt:1: byte 0x0d: this is a binary file, write plain text\n"
		  "utf16.txt:1: this is UTF-16: save it as UTF-8" },
		{ SERVER "[role A]\nmembers = file:long.txt file:longest.txt\n",
		  "long.txt:3: name of 254 characters: a name has up to 253\n"
		  "long.txt:4: name of 254 characters: a name has up to 253\n"
		  "longest.txt:1: name of 308 characters: a name has up to 253" },
		{ "[server]\naddress = file:names.txt\n",
		  "names.txt:2: example.com is a name: address takes addresses, prefixes, ranges, file:PATH\n"
		  "names.txt:3: ADM is a role: address takes addresses, prefixes, ranges, file:PATH" },
		{ SERVER "[role A]\nmembers = 192.0.2.1;192.0.2.2\n",
		  "a.ini:4: ; stands in the value of members: put a space ahead of a comment" },
	};

	(void)state;
	expect_bad(cases, COUNT_OF(cases));
}

static void test_bad_values(void **state)
{
	static const struct bad cases[] = {
		{ SERVER "[gateway]\nmode = Enforce\npreset = single\ninterception = no\n",
		  "a.ini:4: unknown value Enforce for mode: did you mean enforce?\n"
		  "a.ini:5: unknown value single for preset: did you mean single-server?\n"
		  "a.ini:6: unknown value no for interception: write prevent, block, report or off" },
		{ SERVER "[gateway]\nmode = enforce audit\n",
		  "a.ini:4: unknown value enforce audit for mode: write enforce or audit" },
		{ SERVER "[gateway]\nearly_drop = true\n",
		  "a.ini:4: unknown value true for early_drop: write no or yes" },
		{ SERVER "[gateway]\nearly_drop = YES\n",
		  "a.ini:4: unknown value YES for early_drop: did you mean yes?" },
		{ SERVER "[gateway]\nlog_group = 65536\n",
		  "a.ini:4: log_group = 65536 is not a number from 0 to 65535: write one" },
		{ SERVER "[gateway]\nlog_group = -1\n",
		  "a.ini:4: log_group = -1 is not a number from 0 to 65535: write one" },
		{ SERVER "[gateway]\nlog_group = 5x\n",
		  "a.ini:4: log_group = 5x is not a number from 0 to 65535: write one" },
		{ SERVER "[gateway]\nlog_group = 99999999999999999999999\n",
		  "a.ini:4: log_group = 99999999999999999999999 is not a number from 0 to 65535: write one" },
		{ SERVER "interface = auto eth0\n",
		  "a.ini:3: interface holds auto or any beside others: write it alone" },
		{ SERVER "interface = eth0 any\n",
		  "a.ini:3: interface holds auto or any beside others: write it alone" },
		{ SERVER "interface = averylonglinkname0\n",
		  "a.ini:3: interface name averylonglinkname0 has 18 characters: it has up to 15" },
		{ SERVER "interface = eth*\n", "a.ini:3: interface name eth* holds a wildcard: name each interface" },
		{ SERVER "interface = eth0:1\n",
		  "a.ini:3: eth0:1 is not the name of an interface: write names such as eth0, or auto or any" },
		{ SERVER "[dns]\nservers = dns.example.com\n",
		  "a.ini:4: dns.example.com is not the address of a DNS server: write addresses such as 192.0.2.53 or "
		  "192.0.2.53#5353, or system" },
		{ SERVER "[dns]\nservers = [2001:db8::53]#53\n",
		  "a.ini:4: [2001:db8::53] is not the address of a DNS server: write addresses such as 192.0.2.53 or "
		  "192.0.2.53#5353, or system" },
		{ SERVER "[dns]\nservers = 192.0.2.53 system\n",
		  "a.ini:4: servers holds system beside others: write it alone" },
		{ SERVER "[dns]\nservers = 192.0.2.53#0 192.0.2.53#65536 192.0.2.53#\n",
		  "a.ini:4: port 0 is out of bounds: write 1 to 65535\n"
		  "a.ini:4: port 65536 is out of bounds: write 1 to 65535\n"
		  "a.ini:4: port  is out of bounds: write 1 to 65535" },
		{ SERVER "[dns]\nservers = ::ffff:192.0.2.53\n",
		  "a.ini:4: ::ffff:192.0.2.53 is IPv4 in IPv6 form: write 192.0.2.53" },
		{ SERVER "[dns]\ngrace = 30\nstale = 1w\n",
		  "a.ini:4: grace = 30 has no unit: write 30s, or m, h or d for s\n"
		  "a.ini:5: stale = 1w is not a duration: write a number and s, m, h or d, such as 30s" },
		{ SERVER "[dns]\ngrace = 1h30m\nstale = h\n",
		  "a.ini:4: grace = 1h30m is not a duration: write a number and s, m, h or d, such as 30s\n"
		  "a.ini:5: stale = h is not a duration: write a number and s, m, h or d, such as 30s" },
		{ SERVER "[dns]\ngrace = -1s\nstale = 0s\n",
		  "a.ini:4: grace = -1s is not a duration: write a number and s, m, h or d, such as 30s\n"
		  "a.ini:5: stale = 0s is out of bounds: write 1s to 365d" },
		{ SERVER "[dns]\ngrace = 366d\nmin_interval = 2d\nmax_interval = 99999999999999d\n",
		  "a.ini:4: grace = 366d is out of bounds: write 0s to 365d\n"
		  "a.ini:5: min_interval = 2d is out of bounds: write 1s to 1d\n"
		  "a.ini:6: max_interval = 99999999999999d is out of bounds: write 1s to 7d" },
		{ SERVER "[dns]\nmin_interval = 10m\n\nmax_interval = 300s\n",
		  "a.ini:6: min_interval 10m is over max_interval 5m: write a max_interval that is no less" },
		{ SERVER "[dns]\nmin_interval = 1h\n",
		  "a.ini:4: min_interval 1h is over max_interval 15m: write a max_interval that is no less" },
		{ SERVER "[flow x]\nprotocol = TCP\nenabled = 1\nport = 0\n",
		  "a.ini:4: unknown value TCP for protocol: did you mean tcp?\n"
		  "a.ini:5: unknown value 1 for enabled: write no or yes\n"
		  "a.ini:6: port 0 is out of bounds: write 1 to 65535" },
		{ SERVER "[flow x]\nport = 65536 443 1-65536\n  99999999999\n",
		  "a.ini:4: port 65536 is out of bounds: write 1 to 65535\n"
		  "a.ini:4: port 1-65536 is out of bounds: write 1 to 65535\n"
		  "a.ini:5: port 99999999999 is out of bounds: write 1 to 65535" },
		{ SERVER "ephemeral_ports = 1024\n  0-5 99999\n[role A]\nephemeral_ports =\n",
		  "a.ini:4: port 0-5 is out of bounds: write 1 to 65535\n"
		  "a.ini:4: port 99999 is out of bounds: write 1 to 65535\n"
		  "a.ini:6: key ephemeral_ports has no value: write one, such as ephemeral_ports = 49152-65535" },
		{ SERVER "ephemeral_ports = 1024, 49152-65535\n[role A]\nephemeral_ports = 7\n", "" },
		{ SERVER "[flow x]\nport = 20-10\n", "a.ini:4: port range 20-10 is reversed: write 10-20" },
		{ SERVER "[flow x]\nport = 20- -30 -\n",
		  "a.ini:4: port range 20- lacks an end: write FIRST-LAST without spaces\n"
		  "a.ini:4: port range -30 lacks an end: write FIRST-LAST without spaces\n"
		  "a.ini:4: port range - lacks an end: write FIRST-LAST without spaces" },
		{ SERVER "[flow x]\nport = https 0443 44x 1-2-3\n",
		  "a.ini:4: https is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100\n"
		  "a.ini:4: 0443 is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100\n"
		  "a.ini:4: 44x is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100\n"
		  "a.ini:4: 1-2-3 is not a port: write numbers from 1 to 65535, or ranges such as 10000-10100" },
		{ SERVER "[flow x]\nport = 10-20 30\n   20-29\n",
		  "a.ini:5: warning: port 20-29 is in the list already: leave it out" },
		{ SERVER "[flow x]\ncomment = a\tb\n",
		  "a.ini:4: comment holds byte 0x09, which is no printable character: write plain text in UTF-8" },
		{ SERVER "[flow x]\ncomment = f\xfcr alle\n",
		  "a.ini:4: comment holds byte 0xfc, which is no printable character: write plain text in UTF-8" },
		{ SERVER "[flow x]\ncomment = \xc2\x9b"
			 "31m\n",
		  "a.ini:4: comment holds byte 0xc2, which is no printable character: write plain text in UTF-8" },
		{ SERVER "[flow x]\ncomment = a\x1b[31m\n",
		  "a.ini:4: byte 0x1b: this is a binary file, write plain text" },
		{ SERVER "[flow x]\ncomment = " X50 X50 X50 X10 "\n", "" },
		{ SERVER "[flow x]\ncomment = " X50 X50 X50 X10 "x\n",
		  "a.ini:4: comment of 161 bytes: it has up to 160" },
		{ SERVER "[flow x]\ncomment = ; none\n",
		  "a.ini:4: key comment has no value: write one, such as comment = requested by the helpdesk" },
		{ SERVER "[flow x]\ncomment = one\n  two\n",
		  "a.ini:5: key comment is not a list: it can't go on in an indented line" },
		{ SERVER "[flow x]\nexpect = 0s\n", "a.ini:4: expect = 0s is out of bounds: write 1s to 365d" },
		{ SERVER "[flow x]\nexpect = 24h\n[dns]\nobserve = yes\n[gateway]\ninterception = block\n", "" },
		{ "[server]\naddress = 192.0.2.1/24\nfoo = bar\n[gateway]\nmode = x\n[dns]\ngrace = 5\n[flow x]\nport "
		  "= 0\n",
		  "a.ini:2: 192.0.2.1/24 has host bits set: write 192.0.2.0/24\n"
		  "a.ini:3: unknown key foo in [server]: its keys are address, interface, resolvers, time_servers and "
		  "ephemeral_ports\n"
		  "a.ini:5: unknown value x for mode: write enforce or audit\n"
		  "a.ini:7: grace = 5 has no unit: write 5s, or m, h or d for s\n"
		  "a.ini:9: port 0 is out of bounds: write 1 to 65535" },
	};

	(void)state;
	expect_bad(cases, COUNT_OF(cases));
}

static void test_nul_byte(void **state)
{
	static const char text[] = SERVER "resolvers = 192.0.2.1\0 192.0.2.2\n";
	struct config config;
	char *complaints = load_bytes(&config, text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(complaints, "a.ini:3: byte 0x00: this is a binary file, write plain text");
	free(complaints);
	config_free(&config);
}

static void test_unreadable(void **state)
{
	struct file file = { "etc/other.ini", "", 0 };
	struct diags diags = { 0 };
	struct config config;
	char *text;

	(void)state;
	assert_int_equal(config_load(&config, "etc/a.ini", read_fake, &file, &diags), -ENOENT);
	assert_int_equal(diags.count, 1);
	text = diag_format(&diags.items[0]);
	assert_string_equal(text, "etc/a.ini: missing: check its path, or put it back");
	free(text);
	config_free(&config);
	assert_int_equal(config_load(&config, "etc/memory", read_fake, &file, &diags), -ENOMEM);
	assert_int_equal(diags.count, 1);
	config_free(&config);

	file = (struct file){ "etc/a.ini", SERVER "[role A]\nmembers = file:memory\n[gateway]\nmode = x\n", 0 };
	assert_int_equal(config_load(&config, "etc/a.ini", read_fake, &file, &diags), -ENOMEM);
	config_free(&config);
	diags_free(&diags);
}

static void test_defaults(void **state)
{
	struct config config;

	(void)state;
	load_good(&config, SERVER);
	assert_string_equal(config.path, "etc/a.ini");
	assert_int_equal(config.server.count, 1);
	assert_int_equal(config.server.line, 2);
	assert_int_equal(config.interfaces.kind, INTERFACES_AUTO);
	assert_int_equal(config.preset, PRESET_SINGLE_SERVER);
	assert_int_equal(config.mode, MODE_ENFORCE);
	assert_int_equal(config.interception, INTERCEPTION_PREVENT);
	assert_true(config.early_drop);
	assert_int_equal(config.log_group, 5);
	assert_true(config.dns_servers.system);
	assert_int_equal(config.min_interval_ms, 30000);
	assert_int_equal(config.max_interval_ms, 900000);
	assert_int_equal(config.grace_ms, 3600000);
	assert_int_equal(config.stale_ms, 604800000);
	assert_true(config.observe);
	assert_int_equal(config.role_count + config.flow_count + config.resolvers.count + config.nat_except.line, 0);
	config_free(&config);
}

static void expect_members(const struct members *members, const char *expected)
{
	char text[2048] = "", one[RANGE_TEXT_MAX];

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->items[i];

		assert_non_null(member->file);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s:%u:%s%s", i ? " " : "",
			 strrchr(member->file, '/') + 1, member->line,
			 member->kind == MEMBER_NAME   ? "name="
			 : member->kind == MEMBER_ROLE ? "role="
						       : "",
			 member->kind == MEMBER_RANGE ? range_format(&member->range, one)
			 : member->kind == MEMBER_ANY ? "any"
						      : member->text);
	}
	assert_string_equal(text, expected);
}

static void test_lists(void **state)
{
	struct config config;

	(void)state;
	load_good(&config, "\xef\xbb\xbf[server]\r\n"
			   "address = 192.0.2.25, 2001:db8::25 ; both\r\n"
			   "\r\n"
			   "# a comment between\r\n"
			   "   ; and an indented one\r\n"
			   "  192.0.2.32/28,192.0.2.64-192.0.2.70 ; comment: a = b\r\n"
			   "\t2001:db8:1::/64\r\n"
			   "resolvers=192.0.2.53\n"
			   "time_servers = ntp.example.com 192.0.2.123\n"
			   "interface = eth0, br-lan\n"
			   "  wg0.7 eth0\n");
	expect_members(&config.server, "a.ini:2:192.0.2.25 a.ini:2:2001:db8::25 a.ini:6:192.0.2.32/28 "
				       "a.ini:6:192.0.2.64-192.0.2.70 a.ini:7:2001:db8:1::/64");
	expect_members(&config.resolvers, "a.ini:8:192.0.2.53");
	expect_members(&config.time_servers, "a.ini:9:name=ntp.example.com a.ini:9:192.0.2.123");
	assert_int_equal(config.interfaces.kind, INTERFACES_NAMED);
	assert_int_equal(config.interfaces.count, 3);
	assert_string_equal(config.interfaces.names[0], "eth0");
	assert_string_equal(config.interfaces.names[1], "br-lan");
	assert_string_equal(config.interfaces.names[2], "wg0.7");
	config_free(&config);
}

static void test_roles(void **state)
{
	struct config config;

	(void)state;
	load_good(&config,
		  SERVER "[role " ROLE_40 "]   ; the longest name\n"
			 "members = file:admins.txt Admin.EXAMPLE.net. file:/srv/absolute.txt\n"
			 "\tfile:bom.txt any ANY ADM 192.0.2.1/32 192.0.2.1-192.0.2.1 _x-y.xn--bcher-kva.example\n"
			 "allow_private = yes\n"
			 "[role\tIH ]\n"
			 "protected = yes\n"
			 "members = file:empty.txt\n"
			 "[role E]\n"
			 "members =\n");
	assert_int_equal(config.role_count, 3);
	assert_string_equal(config.roles[0].name, ROLE_40);
	assert_int_equal(config.roles[0].line, 3);
	assert_int_equal(config.roles[0].members.line, 4);
	assert_true(config.roles[0].allow_private);
	assert_false(config.roles[0].is_protected);
	expect_members(&config.roles[0].members,
		       "admins.txt:3:192.0.2.0/28 admins.txt:4:2001:db8:1::/64 admins.txt:5:name=admin.example.net "
		       "admins.txt:7:role=CAS "
		       "admins.txt:8:any a.ini:4:name=admin.example.net absolute.txt:1:192.0.2.9 bom.txt:1:192.0.2.1 "
		       "a.ini:5:any a.ini:5:any "
		       "a.ini:5:role=ADM a.ini:5:192.0.2.1 a.ini:5:192.0.2.1 a.ini:5:name=_x-y.xn--bcher-kva.example");
	assert_string_equal(config.roles[1].name, "IH");
	assert_true(config.roles[1].is_protected);
	assert_int_equal(config.roles[1].members.line, 9);
	assert_int_equal(config.roles[1].members.count, 0);
	assert_int_equal(config.roles[2].members.line, 11);
	assert_int_equal(config.roles[2].members.count, 0);
	config_free(&config);
}

static void test_flows(void **state)
{
	struct config config;

	(void)state;
	load_good(&config, SERVER
		  "[flow api-in]\nenabled = no\n"
		  "[flow backup-in]\nfrom = 192.0.2.77\nto = SERVER\nprotocol = tcp\nport = 445, 10000-10100\n   7,9\n"
		  "[flow o365]\nto = *.Outlook.Office.com outlook.office365.com\nallow_private = yes\n"
		  "[flow gre]\nprotocol = icmp-echo\ncomment = f\xc3\xbcr  #4711, a = b;c ; no more of it\n"
		  "[flow a-2-]\nport=1-65535");
	assert_int_equal(config.flow_count, 5);
	assert_false(config.flows[0].enabled);
	assert_int_equal(config.flows[0].enabled_line, 4);
	assert_int_equal(config.flows[0].ports.line, 0);
	assert_true(config.flows[1].enabled);
	assert_int_equal(config.flows[1].enabled_line, 0);
	expect_members(&config.flows[1].from, "a.ini:6:192.0.2.77");
	expect_members(&config.flows[1].to, "a.ini:7:role=SERVER");
	assert_int_equal(config.flows[1].protocol, PROTOCOL_TCP);
	assert_int_equal(config.flows[1].protocol_line, 8);
	assert_int_equal(config.flows[1].ports.count, 4);
	assert_int_equal(config.flows[1].ports.line, 9);
	assert_int_equal(config.flows[1].ports.items[1].first, 10000);
	assert_int_equal(config.flows[1].ports.items[1].last, 10100);
	assert_int_equal(config.flows[1].ports.items[3].first, 9);
	assert_int_equal(config.flows[1].ports.items[3].last, 9);
	expect_members(&config.flows[2].to, "a.ini:12:name=*.outlook.office.com a.ini:12:name=outlook.office365.com");
	assert_true(config.flows[2].allow_private);
	assert_int_equal(config.flows[3].protocol, PROTOCOL_ICMP_ECHO);
	assert_string_equal(config.flows[2].settings.comment, "");
	assert_string_equal(config.flows[3].settings.comment, "f\xc3\xbcr  #4711, a = b;c");
	assert_int_equal(config.flows[4].ports.items[0].last, 65535);
	config_free(&config);
}

static void test_settings(void **state)
{
	struct config config;

	(void)state;
	load_good(&config, SERVER
		  "interface = any\n"
		  "[gateway]\npreset = none\nmode=audit ; for now\ninterception = off\nearly_drop = no\nlog_group = 0\n"
		  "nat_except = ; none\n"
		  "[dns]\nservers = 192.0.2.53#5353 2001:db8::53#53,192.0.2.54\nmin_interval = 1s\nmax_interval = 1s\n"
		  "grace = 0s\nstale = 90m\nobserve = no\n");
	assert_int_equal(config.interfaces.kind, INTERFACES_ANY);
	assert_int_equal(config.preset, PRESET_NONE);
	assert_int_equal(config.mode, MODE_AUDIT);
	assert_int_equal(config.interception, INTERCEPTION_OFF);
	assert_false(config.early_drop);
	assert_int_equal(config.log_group, 0);
	assert_int_equal(config.nat_except.count, 0);
	assert_int_equal(config.nat_except.line, 10);
	assert_false(config.dns_servers.system);
	assert_int_equal(config.dns_servers.count, 3);
	assert_int_equal(config.dns_servers.items[0].port, 5353);
	assert_int_equal(config.dns_servers.items[1].port, 53);
	assert_int_equal(config.dns_servers.items[1].addr.family, FAMILY_6);
	assert_int_equal(config.dns_servers.items[2].port, 53);
	assert_int_equal(config.min_interval_ms, 1000);
	assert_int_equal(config.max_interval_ms, 1000);
	assert_int_equal(config.grace_ms, 0);
	assert_int_equal(config.stale_ms, 5400000);
	assert_false(config.observe);
	config_free(&config);
}

/* A line of exactly 199 bytes must reach the parser whole, and leave the next one alone. */
static void test_longest_line(void **state)
{
	char text[512];
	struct config config;

	(void)state;
	snprintf(text, sizeof(text), "[server]\naddress = 192.0.2.25%*s192.0.2.26\nresolvers = 192.0.2.53\n",
		 199 - 20 - 10, " ");
	assert_ptr_equal(strchr(strchr(text, '\n') + 1, '\n'), text + strlen("[server]\n") + 199);
	load_good(&config, text);
	expect_members(&config.server, "a.ini:2:192.0.2.25 a.ini:2:192.0.2.26");
	expect_members(&config.resolvers, "a.ini:3:192.0.2.53");
	config_free(&config);
}

static void test_many_members(void **state)
{
	enum { LINES = 100000 };
	static char text[LINES * 17];
	char path[] = "/tmp/spefw-test-config-XXXXXX", value[64];
	struct diags diags = { 0 };
	struct config config;
	size_t length = 0, read_length;
	char *bytes;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (unsigned i = 0; i < LINES; i++)
		length += (size_t)sprintf(text + length, "10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
	assert_int_equal(config_read_disk(NULL, path, &bytes, &read_length), 0);
	assert_int_equal(read_length, length);
	assert_memory_equal(bytes, text, length);
	free(bytes);

	assert_int_equal(config_init(&config, "etc/a.ini"), 0);
	assert_int_equal(config_section(&config, "role ADM", 1, &diags), 0);
	snprintf(value, sizeof(value), "file:%s", path);
	assert_int_equal(config_key(&config, "role ADM", "members", value, 2, config_read_disk, NULL, &diags), 0);
	assert_int_equal(diags.count, 0);
	assert_int_equal(config.roles[0].members.count, LINES);
	assert_int_equal(config.roles[0].members.items[LINES - 1].line, LINES);
	assert_int_equal(config.roles[0].members.capacity, LINES);
	config_free(&config);
	unlink(path);
}

static void test_read_disk(void **state)
{
	char directory[] = "/tmp/spefw-test-config-XXXXXX", path[64];
	size_t length;
	char *bytes;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(config_read_disk(NULL, directory, &bytes, &length), -EISDIR);
	assert_int_equal(config_read_disk(NULL, "/dev/null", &bytes, &length), -ENOTSUP);
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(config_read_disk(NULL, path, &bytes, &length), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_read_disk(NULL, path, &bytes, &length), -ENOTSUP);
	unlink(path);

	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(config_read_disk(NULL, path, &bytes, &length), 0);
	assert_int_equal(length, 0);
	free(bytes);
	assert_int_equal(ftruncate(fileno(file), (64 << 20) + 1), 0);
	assert_int_equal(config_read_disk(NULL, path, &bytes, &length), -EFBIG);
	fclose(file);
	unlink(path);
	rmdir(directory);
}

static void test_duration_format(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0s" },        { 1000, "1s" },     { 90000, "90s" },    { 60000, "1m" },     { 3600000, "1h" },
		{ 5400000, "90m" }, { 86400000, "1d" }, { 90000000, "25h" }, { 604800000, "7d" }, { 1500, "1500ms" },
	};
	char text[24];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(duration_format(cases[i].ms, text), cases[i].text);
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(protocol_name(PROTOCOL_TCP), "tcp");
	assert_string_equal(protocol_name(PROTOCOL_UDP), "udp");
	assert_string_equal(protocol_name(PROTOCOL_ICMP_ECHO), "icmp-echo");
	assert_string_equal(mode_name(MODE_AUDIT), "audit");
	assert_string_equal(interception_name(INTERCEPTION_OFF), "off");
	assert_true(config_is_key("members"));
	assert_false(config_is_key("member"));
}

static void test_nearest(void **state)
{
	static const char *const words[] = { "address", "interface", "resolvers", "time_servers" };

	(void)state;
	assert_string_equal(diag_nearest("adress", words, COUNT_OF(words)), "address");
	assert_string_equal(diag_nearest("ADDRESS", words, COUNT_OF(words)), "address");
	assert_string_equal(diag_nearest("resolver", words, COUNT_OF(words)), "resolvers");
	assert_string_equal(diag_nearest("intreface", words, COUNT_OF(words)), "interface");
	assert_string_equal(diag_nearest("time", words, COUNT_OF(words)), "time_servers");
	assert_null(diag_nearest("x", words, COUNT_OF(words)));
	assert_null(diag_nearest("", words, COUNT_OF(words)));
	assert_null(diag_nearest("port", words, COUNT_OF(words)));
	assert_null(diag_nearest(X50, words, COUNT_OF(words)));
	assert_null(diag_nearest("address", words, 0));
}

static void test_diags(void **state)
{
	static const char *const sorted[] = { "b:1: one",
					      "b:2: warning: two",
					      "b:2: three",
					      "a: whole",
					      "a:7: seven",
					      "no file",
					      "c:1: \xc3\xbc ? ??? \xe2\x82\xac ??" };
	struct diags diags = { 0 };

	(void)state;
	diag_warning(&diags, "b", 2, "%s", "two");
	assert_false(diags_failed(&diags));
	diag_error(&diags, "a", 7, "seven");
	assert_true(diags_failed(&diags));
	diag_error(&diags, NULL, 0, "no %s", "file");
	diag_error(&diags, "b", 2, "three");
	diag_error(&diags, "a", 0, "whole");
	diag_error(&diags, "c", 1, "\xc3\xbc \x1b \xe2\x82\xff \xe2\x82\xac \xc0\x80");
	diag_error(&diags, "b", 1, "one");
	diags_sort(&diags);
	assert_int_equal(diags.count, COUNT_OF(sorted));
	assert_int_equal(diags.errors, COUNT_OF(sorted) - 1);
	for (size_t i = 0; i < diags.count; i++) {
		char *text = diag_format(&diags.items[i]);

		assert_string_equal(text, sorted[i]);
		free(text);
	}
	diags_free(&diags);

	for (unsigned i = 0; i < 30000; i++)
		diag_error(&diags, "a", i, "wrong");
	assert_int_equal(diags.errors, 30000);
	assert_int_equal(diags.count, 10001);
	assert_string_equal(diags.items[10000].text, "too much is wrong to list all of it: put the above right first");
	diags_free(&diags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_structure), cmocka_unit_test(test_bad_members),
		cmocka_unit_test(test_bad_values),    cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_unreadable),    cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_lists),         cmocka_unit_test(test_roles),
		cmocka_unit_test(test_flows),         cmocka_unit_test(test_settings),
		cmocka_unit_test(test_longest_line),  cmocka_unit_test(test_many_members),
		cmocka_unit_test(test_read_disk),     cmocka_unit_test(test_duration_format),
		cmocka_unit_test(test_words),         cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_diags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
