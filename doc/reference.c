/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Writes the reference part of spefw.ini(5) from the table of keys: a line "@SECTION@" of the page's source becomes the
 * list of that section's keys. Run by the build. */

#include "core/config_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As one writes the value, in mdoc. */
static void print_members(const struct config_key *key)
{
	static const struct {
		unsigned accept;
		const char *text;
	} kinds[] = {
		{ ACCEPT_HOSTS, "Ar address" }, { ACCEPT_RANGES, " | prefix | range" },
		{ ACCEPT_NAMES, " | name" },    { ACCEPT_ROLES, " | role | Cm any" },
		{ ACCEPT_FILES, " | Ar file" },
	};

	printf("%s", key->flags & KEY_REQUIRED ? "" : "Op ");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (key->accept & kinds[i].accept)
			printf("%s", kinds[i].text);
	printf(" ...\n");
}

static void print_syntax(const struct config_key *key)
{
	printf(".It Cm %s No = ", key->name);
	if (value_methods(key)->syntax) {
		printf("%s\n", value_methods(key)->syntax);
		return;
	}
	if (key->type == VALUE_MEMBERS) {
		print_members(key);
		return;
	}
	for (unsigned i = 0; i < key->choice_count; i++)
		printf("%s%s", i ? " | " : "Cm ", key->choices[i]);
	putchar('\n');
}

/* text may begin or end with a macro of its own; what it ends with gets the full stop. */
static void print_sentence(const char *start, const char *text)
{
	const char *last = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;

	printf("%s%c%s%s.\n", start, text[0] == '.' ? '\n' : ' ', text, last[0] == '.' ? " " : "");
}

/* Words of the language are marked as such. */
static void print_default(const struct config_key *key)
{
	char text[VALUE_TEXT_MAX], marked[VALUE_TEXT_MAX + 8];

	if (key->standard) {
		print_sentence("Default:", key->standard);
	} else if (value_methods(key)->default_text) {
		value_methods(key)->default_text(key, text);
		snprintf(marked, sizeof(marked), "%s%s", key->choices ? ".Cm " : "", text);
		print_sentence("Default:", marked);
	}
}

static void print_key(const struct config_key *key)
{
	char text[VALUE_TEXT_MAX];

	print_syntax(key);
	printf("%s", key->manual);
	if (value_methods(key)->bounds) {
		value_methods(key)->bounds(key, text);
		printf("%s\n", text);
	}
	print_default(key);
}

static void print_section(enum config_section section)
{
	printf(".Bl -tag -width Ds\n");
	for (const struct config_key *key = NULL; (key = config_key_next(section, key));)
		print_key(key);
	printf(".El\n");
}

/* The section that a line of the source stands for; CONFIG_SECTIONS: it is text. */
static enum config_section section_of(const char *line)
{
	char wanted[32];
	unsigned section = 0;

	for (; section < CONFIG_SECTIONS; section++) {
		snprintf(wanted, sizeof(wanted), "@%s@\n", config_section_names[section]);
		if (strcmp(line, wanted) == 0)
			break;
	}
	return (enum config_section)section;
}

int main(void)
{
	char line[1024];
	unsigned found[CONFIG_SECTIONS] = { 0 };

	while (fgets(line, sizeof(line), stdin)) {
		enum config_section section = section_of(line);
		if (section == CONFIG_SECTIONS) {
			fputs(line, stdout);
			continue;
		}
		found[section]++;
		print_section(section);
	}
	for (unsigned section = 0; section < CONFIG_SECTIONS; section++) {
		if (found[section] != 1) {
			fprintf(stderr, "reference: @%s@ is there %u times\n", config_section_names[section],
				found[section]);
			return EXIT_FAILURE;
		}
	}
	return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
