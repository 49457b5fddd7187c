/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include "core/diag.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { VERBS_MAX = 64, WORDS_SHOWN = 12 };

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

/* As a shell takes it. */
static void add_word(struct text *text, const char *word)
{
	size_t plain = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-");

	if (*word && !word[plain]) {
		text_add(text, " %s", word);
		return;
	}
	text_add(text, " '");
	for (; *word; word++)
		text_add(text, "%.*s", *word == '\'' ? 4 : 1, *word == '\'' ? "'\\''" : word);
	text_add(text, "'");
}

int ctl_denied(const struct ctl *ctl, const char *alternative)
{
	struct text command = { 0 };

	for (size_t i = 0; i < ctl->word_count && i < WORDS_SHOWN; i++)
		add_word(&command, ctl->words[i]);
	if (ctl->environment->root)
		ctl_error(ctl, "permission denied, though by root: see journalctl -u spefwd");
	else
		ctl_error(ctl, "permission denied: sudo spefwctl%s%s%s%s", text_of(&command),
			  ctl->word_count > WORDS_SHOWN ? " ..." : "", alternative ? ", or " : "",
			  alternative ? alternative : "");
	text_free(&command);
	return EXIT_PERMISSION;
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

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

int ctl_choose_verb(const struct ctl *ctl, const char *name, const struct verb **ret)
{
	*ret = verb_find(name);
	return *ret ? EXIT_DONE : refuse_verb(ctl, name);
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
	int status = ctl_choose_verb(ctl, words[0], &ctl->verb);
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
					      .has_arg = !kind->argument  ? no_argument
							 : kind->optional ? optional_argument
									  : required_argument,
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

/* Of a long one, its value left aside. */
static void refuse_option(const struct ctl *ctl, const char *given)
{
	const char *names[OPTIONS];
	char word[64];

	for (int i = 0; i < OPTIONS; i++)
		names[i] = option_kinds[i].name;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(given, "="), given);
	const char *nearest = strncmp(word, "--", 2) == 0 ? diag_nearest(word + 2, names, OPTIONS) : NULL;
	if (nearest)
		ctl_error(ctl, "unknown option %s: did you mean --%s?", word, nearest);
	else
		ctl_error(ctl, "unknown option %s: see spefwctl --help", word);
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
		else if (optopt >= OPTION_BASE)
			ctl_error(ctl, "--%s takes no value: see spefwctl --help",
				  option_kinds[optopt - OPTION_BASE].name);
		else
			refuse_option(ctl, argv[optind - 1]);
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

	char **words = calloc((size_t)argc + 1, sizeof(*words));
	if (!words) {
		ctl_error(&ctl, "out of memory");
		return EXIT_FAILED;
	}
	/* getopt moves the options ahead. */
	for (int i = 1; i < argc; i++)
		words[ctl.word_count++] = argv[i];
	ctl.words = words;
	int status = read_options(&ctl, argc, argv);
	ctl.output = ctl.values[OPTION_JSON] ? &output_json : &output_text;
	if (status == EXIT_DONE)
		status = run_words(&ctl, argv + optind, (size_t)(argc - optind));
	free(words);
	return finish_output(&ctl, status);
}
