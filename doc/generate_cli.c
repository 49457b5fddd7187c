/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the manual pages of the programs: a page comes on standard input, and a line such as @VERBS@ becomes the mdoc
 * of the table that it names. */
#include "ctl.h"
#include "metrics.h"
#include "core/health.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_WIDTH = 78, WORD_MAX = 128 };

/* Text as mdoc: a sentence begins a line, what is literal or an argument has its macro. */
struct writer {
	size_t column;
};

static void end_line(struct writer *writer)
{
	if (writer->column)
		putchar('\n');
	writer->column = 0;
}

static void put_escaped(const char *text)
{
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\\')
			putchar('e');
	}
}

static void put_word(struct writer *writer, const char *word)
{
	size_t length = strlen(word);

	if (writer->column && writer->column + 1 + length > LINE_WIDTH)
		end_line(writer);
	if (writer->column)
		putchar(' ');
	else if (strchr(".'", word[0]))
		fputs("\\&", stdout);
	put_escaped(word);
	writer->column += length + 1;
	if (strspn(word + length - 1, ".?!"))
		end_line(writer);
}

/* What is between backquotes or angles, with the marks of punctuation before and after it. */
static void put_marked(struct writer *writer, const char *before, const char *marked, const char *after, bool argument)
{
	const char *macro = argument              ? "Ar"
			    : marked[0] == '-'    ? "Fl"
			    : marked[0] == '/'    ? "Pa"
			    : strchr(marked, ' ') ? "Ic"
						  : "Cm";

	end_line(writer);
	printf(".%s", macro);
	for (; *before; before++)
		printf(" %c", *before);
	putchar(' ');
	for (const char *at = marked + (marked[0] == '-'); *at; at++)
		putchar(argument ? tolower((unsigned char)*at) : *at);
	for (; *after; after++)
		printf(" %c", *after);
	putchar('\n');
}

/* One word of a paragraph, or what is marked with what touches it. Where it ends. */
static const char *put_next(struct writer *writer, const char *at)
{
	char before[8] = "", marked[WORD_MAX] = "", after[8] = "", word[WORD_MAX];
	size_t open = strspn(at, "(");

	if (at[open] == '`' || at[open] == '<') {
		const char *from = at + open + 1, *end = strchr(from, at[open] == '`' ? '`' : '>');
		if (!end)
			abort(); /* a mark without its other end */
		size_t close = strcspn(end + 1, " \n");
		snprintf(before, sizeof(before), "%.*s", (int)open, at);
		snprintf(marked, sizeof(marked), "%.*s", (int)(end - from), from);
		snprintf(after, sizeof(after), "%.*s", (int)close, end + 1);
		put_marked(writer, before, marked, after, at[open] == '<');
		return end + 1 + close;
	}
	size_t length = strcspn(at, " \n");
	snprintf(word, sizeof(word), "%.*s", (int)length, at);
	put_word(writer, word);
	return at + length;
}

/* Paragraphs end with a newline; the last one may do without. */
static void put_text(const char *text)
{
	struct writer writer = { 0 };

	while (*text) {
		text = put_next(&writer, text);
		text += strspn(text, " ");
		if (*text != '\n')
			continue;
		end_line(&writer);
		if (*++text)
			puts(".Pp");
	}
	end_line(&writer);
}

static void put_lower(const char *text)
{
	for (; *text; text++)
		putchar(tolower((unsigned char)*text));
}

static void put_option_argument(const struct option_kind *option)
{
	if (!option->argument)
		return;
	fputs(option->optional ? " Ns Oo Ns = Ns Ar " : " Ar ", stdout);
	put_lower(option->argument);
	if (option->optional)
		fputs(" Oc", stdout);
}

static void put_option_list(unsigned options, bool optional)
{
	for (int i = 0; i < OPTIONS; i++) {
		const struct option_kind *option = &option_kinds[i];
		if (!(options & (1U << i)))
			continue;
		fputs(optional ? " Oo Fl " : " Fl ", stdout);
		if (option->letter)
			putchar(option->letter);
		else
			printf("-%s", option->name);
		put_option_argument(option);
		if (optional)
			fputs(" Oc", stdout);
	}
}

/* "[FILE]" as `Oo Ar file Oc`, "[NAME...]" as `Oo Ar name ... Oc`, "DST[:PORT]" as `Ar dst[:port]`. */
static void put_arguments(const char *arguments)
{
	while (*arguments) {
		bool optional = *arguments == '[';
		size_t all = strcspn(arguments, " "), length = all - 2 * optional;
		const char *word = arguments + optional;
		bool many = length > 3 && strncmp(word + length - 3, "...", 3) == 0;
		fputs(optional ? " Oo Ar " : " Ar ", stdout);
		for (size_t i = 0; i < length - (many ? 3 : 0); i++)
			putchar(tolower((unsigned char)word[i]));
		printf("%s%s", many ? " ..." : "", optional ? " Oc" : "");
		arguments += all + strspn(arguments + all, " ");
	}
}

static void put_verbs(void)
{
	for (size_t i = 0; i < verb_count; i++) {
		const struct verb *verb = &verbs[i];
		printf(".It Cm %s", verb->name);
		put_option_list(verb->required, false);
		put_option_list(verb->options & ~verb->required, true);
		if (verb->arguments)
			put_arguments(verb->arguments);
		putchar('\n');
		put_text(verb->about);
		fputs(".Pp\n.Dl # ", stdout);
		for (const char *at = verb->example; *at; at++) /* a minus, not a hyphen */
			fputs(*at == '-' ? "\\-" : (const char[]){ *at, '\0' }, stdout);
		putchar('\n');
	}
}

static void put_options(void)
{
	for (int i = 0; i < OPTIONS; i++) {
		const struct option_kind *option = &option_kinds[i];
		fputs(".It ", stdout);
		if (option->letter)
			printf("Fl %c , ", option->letter);
		printf("Fl -%s", option->name);
		put_option_argument(option);
		printf("\n%c", toupper((unsigned char)option->help[0]));
		put_escaped(option->help + 1);
		puts(".");
	}
}

/* "spefw_denied_total{kind} (counter)", and the words that a label may have. */
static void put_metrics(void)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *metric = &metrics[i];
		char labels[WORD_MAX] = "";
		for (size_t l = 0; metric->each && l < metric_label_count; l++)
			if (strcmp(metric_labels[l].list, metric->each) == 0)
				snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels), ",%s",
					 metric_labels[l].label);
		if (metric->label)
			snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels), ",%s", metric->label);
		printf(".It Cm spefw_%s%s%s%s Pq %s\n", metric->name, labels[0] ? "{" : "",
		       labels[0] ? labels + 1 : "", labels[0] ? "}" : "", metric->type);
		put_text(metric->help);
		if (metric->label && metric->words) {
			printf(".Cm %s :\n", metric->label);
			for (const char *const *word = metric->words; *word; word++)
				printf(".Cm %s %c\n", *word, word[1] ? ',' : '.');
		}
	}
}

static void put_reasons(void)
{
	for (int i = 0; i < HEALTH_CODES; i++) {
		printf(".It Cm %s Pq %s\n", health_kinds[i].name, health_kinds[i].failed ? "failed" : "degraded");
		put_text(health_kinds[i].meaning);
		if (!health_kinds[i].remedy[0])
			continue;
		puts("Remedy:");
		put_text(health_kinds[i].remedy);
	}
}

static const struct {
	const char *line;
	void (*put)(void);
} tables[] = {
	{ "@VERBS@\n", put_verbs },
	{ "@OPTIONS@\n", put_options },
	{ "@METRICS@\n", put_metrics },
	{ "@REASONS@\n", put_reasons },
};

static bool put_table(const char *line)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(tables[i].line, line) != 0)
			continue;
		tables[i].put();
		return true;
	}
	return false;
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;

	while (getline(&line, &capacity, stdin) >= 0)
		if (!put_table(line))
			fputs(line, stdout);
	free(line);
	return ferror(stdin) || ferror(stdout) || fflush(stdout) != 0;
}
