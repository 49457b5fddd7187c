/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include "core/diag.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { VERBS_MAX = 64 };

void ctl_error(const struct ctl *ctl, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	fputs("spefwctl: ", ctl->environment->err);
	text_print_line(ctl->environment->err, text ? text : "out of memory");
	free(text);
}

const char *ctl_value(const struct ctl *ctl, enum ctl_option option)
{
	return ctl->values[option] ? ctl->values[option] : option_kinds[option].usual;
}

static int refuse_verb(const struct ctl *ctl, const char *name)
{
	const char *names[VERBS_MAX];
	size_t count = 0;

	for (; count < verb_count && count < VERBS_MAX; count++)
		names[count] = verbs[count].name;
	const char *nearest = diag_nearest(name, names, count);
	if (nearest)
		ctl_error(ctl, "unknown verb %s: did you mean %s?", name, nearest);
	else
		ctl_error(ctl, "unknown verb %s: see spefwctl --help", name);
	return EXIT_USAGE;
}

/* EXIT_DONE, and ctl->verb is set. */
static int choose_verb(struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			ctl->verb = &verbs[i];
	return ctl->verb ? EXIT_DONE : refuse_verb(ctl, name);
}

static int run_verb(struct ctl *ctl)
{
	const struct verb *verb = ctl->verb;

	if (ctl->argument_count > verb->arguments_max) {
		ctl_error(ctl, "%s is too much: see spefwctl %s --help", ctl->arguments[verb->arguments_max],
			  verb->name);
		return EXIT_USAGE;
	}
	for (int i = 0; i < OPTIONS; i++) {
		if (!ctl->values[i] || option_kinds[i].every_verb || verb->options & (1U << i))
			continue;
		ctl_error(ctl, "%s does not take --%s: see spefwctl %s --help", verb->name, option_kinds[i].name,
			  verb->name);
		return EXIT_USAGE;
	}
	return verb->run(ctl);
}

static int run_words(struct ctl *ctl, char **words, size_t count)
{
	FILE *out = ctl->environment->out;

	if (ctl->values[OPTION_VERSION]) {
		fputs("spefwctl " PACKAGE_VERSION "\n", out);
		return EXIT_DONE;
	}
	if (count == 0) {
		if (!ctl->values[OPTION_HELP]) {
			ctl_error(ctl, "which verb? see spefwctl --help, or begin with spefwctl status");
			return EXIT_USAGE;
		}
		help_print(ctl);
		return EXIT_DONE;
	}
	int status = choose_verb(ctl, words[0]);
	if (status != EXIT_DONE)
		return status;
	if (ctl->values[OPTION_HELP]) {
		help_print_verb(ctl, ctl->verb);
		return EXIT_DONE;
	}
	ctl->arguments = words + 1;
	ctl->argument_count = count - 1;
	return run_verb(ctl);
}

/* Long options return OPTION_BASE and their place in the table, the letters of it themselves. */
enum { OPTION_BASE = 256 };

static void make_getopt_tables(char *letters, struct option *options)
{
	*letters++ = ':';
	for (int i = 0; i < OPTIONS; i++) {
		const struct option_kind *kind = &option_kinds[i];
		options[i] = (struct option){ .name = kind->name,
					      .has_arg = kind->argument ? required_argument : no_argument,
					      .val = OPTION_BASE + i };
		if (kind->letter)
			*letters++ = kind->letter;
		if (kind->letter && kind->argument)
			*letters++ = ':';
	}
	*letters = '\0';
	options[OPTIONS] = (struct option){ 0 };
}

static int option_of(int value)
{
	for (int i = 0; i < OPTIONS; i++)
		if (value == OPTION_BASE + i || value == option_kinds[i].letter)
			return i;
	return -1;
}

static int read_options(struct ctl *ctl, int argc, char **argv)
{
	struct option options[OPTIONS + 1];
	char letters[2 * OPTIONS + 2];
	int value;

	make_getopt_tables(letters, options);
	optind = 0; /* from the beginning, also on a second run in one process */
	opterr = 0;
	while ((value = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
		int option = value == ':' || value == '?' ? -1 : option_of(value);
		if (option >= 0)
			ctl->values[option] = optarg ? optarg : "";
		else if (value == ':')
			ctl_error(ctl, "%s needs a value: see spefwctl --help", argv[optind - 1]);
		else if (optopt > 0 && optopt < OPTION_BASE)
			ctl_error(ctl, "unknown option -%c: see spefwctl --help", optopt);
		else
			ctl_error(ctl, "unknown option %s: see spefwctl --help", argv[optind - 1]);
		if (option < 0)
			return EXIT_USAGE;
	}
	return EXIT_DONE;
}

/* A full disk or a closed pipe must not look like success. */
static int finish_output(const struct ctl *ctl, int status)
{
	if (fflush(ctl->environment->out) == 0 && !ferror(ctl->environment->out))
		return status;
	ctl_error(ctl, "cannot write the result: %m");
	return status ? status : EXIT_FAILED;
}

int ctl_run(const struct ctl_environment *environment, int argc, char **argv)
{
	struct ctl ctl = { .environment = environment, .screen = screen_of(environment->out) };

	int status = read_options(&ctl, argc, argv);
	ctl.output = ctl.values[OPTION_JSON] ? &output_json : &output_text;
	if (status == EXIT_DONE)
		status = run_words(&ctl, argv + optind, (size_t)(argc - optind));
	return finish_output(&ctl, status);
}
