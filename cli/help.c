/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include <string.h>

/* Without the marks of literal words and of arguments. */
static void add_plain(struct text *text, const char *marked, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr("`<>", marked[i]))
			text_add(text, "%c", marked[i]);
}

static void print_about(const struct ctl *ctl, const char *about)
{
	for (const char *end; (end = strchr(about, '\n')); about = end + 1) {
		struct table table;
		struct text text = { 0 };
		table_init(&table, "w");
		add_plain(&text, about, (size_t)(end - about));
		table.failed |= text.failed;
		table_cell(&table, TONE_PLAIN, "%s", text_of(&text));
		text_free(&text);
		ctl_print_table(ctl, &table);
		putc('\n', ctl->screen.file);
	}
}

/* " FILE", "[=TIME]". */
static void add_argument(struct text *text, const struct option_kind *option)
{
	if (option->argument)
		text_add(text, option->optional ? "[=%s]" : " %s", option->argument);
}

static void add_option(struct table *table, const struct option_kind *option)
{
	struct text argument = { 0 };
	char letter[8] = "    ";

	if (option->letter)
		snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	add_argument(&argument, option);
	table->failed |= argument.failed;
	table_cell(table, TONE_PLAIN, "  %s--%s%s", letter, option->name, text_of(&argument));
	text_free(&argument);
	table_cell(table, TONE_PLAIN, "%s%s%s%s", option->help, option->usual ? " (" : "",
		   option->usual ? option->usual : "", option->usual ? ")" : "");
}

/* Of one verb, or all. */
static void print_options(const struct ctl *ctl, const struct verb *verb)
{
	struct table table;

	table_init(&table, "pw");
	for (int i = 0; i < OPTIONS; i++)
		if (!verb || option_kinds[i].every_verb || verb->options & (1U << i))
			add_option(&table, &option_kinds[i]);
	ctl_print_table(ctl, &table);
}

/* As "-c FILE", in brackets where it is optional. */
static void add_options(struct text *text, unsigned options, bool optional)
{
	for (int i = 0; i < OPTIONS; i++) {
		const struct option_kind *option = &option_kinds[i];
		if (!(options & (1U << i)))
			continue;
		text_add(text, " %s", optional ? "[" : "");
		if (option->letter)
			text_add(text, "-%c", option->letter);
		else
			text_add(text, "--%s", option->name);
		add_argument(text, option);
		text_add(text, "%s", optional ? "]" : "");
	}
}

static void add_synopsis(struct text *text, const struct verb *verb, bool with_optional)
{
	text_add(text, "%s", verb->name);
	add_options(text, verb->required, false);
	if (with_optional)
		add_options(text, verb->options & ~verb->required, true);
	if (verb->arguments)
		text_add(text, " %s", verb->arguments);
}

void help_print(const struct ctl *ctl)
{
	struct table table;

	fputs("Usage: spefwctl [-s PATH] [--json] VERB [ARGUMENTS]\n"
	      "       spefwctl help VERB\n"
	      "\n"
	      "Shows and steers spefwd, the guard of a MailStore SPE server.\n"
	      "\n",
	      ctl->screen.file);
	table_init(&table, "pw");
	for (size_t i = 0; i < verb_count; i++) {
		struct text call = { 0 };
		text_add(&call, "  ");
		add_synopsis(&call, &verbs[i], false);
		table.failed |= call.failed;
		table_cell(&table, TONE_PLAIN, "%s", text_of(&call));
		table_cell(&table, TONE_PLAIN, "%s", verbs[i].help);
		text_free(&call);
	}
	ctl_print_table(ctl, &table);
	putc('\n', ctl->screen.file);
	print_options(ctl, NULL);
	fputs("\n"
	      "Exit status: 0 done or healthy, 1 failed or not healthy, 2 usage,\n"
	      "3 spefwd is not running, 4 permission denied. See spefwctl(8).\n",
	      ctl->screen.file);
}

void help_print_verb(const struct ctl *ctl, const struct verb *verb)
{
	static const char usage[] = "Usage: spefwctl ";
	struct text synopsis = { 0 };

	add_synopsis(&synopsis, verb, true);
	fputs(usage, ctl->screen.file);
	screen_paragraph(&ctl->screen, strlen(usage), strlen(usage), TONE_PLAIN, text_of(&synopsis), TONE_PLAIN, "");
	putc('\n', ctl->screen.file);
	text_free(&synopsis);
	print_about(ctl, verb->about);
	fprintf(ctl->screen.file, "Example:\n  # %s\n\n", verb->example);
	print_options(ctl, verb);
}

int verb_help(struct ctl *ctl)
{
	const struct verb *verb = NULL;

	if (ctl->argument_count == 0) {
		help_print(ctl);
		return EXIT_DONE;
	}
	int status = ctl_choose_verb(ctl, ctl->arguments[0], &verb);
	if (status == EXIT_DONE)
		help_print_verb(ctl, verb);
	return status;
}
