/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "screen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Markdown as CommonMark has it, with tables, of which most programs know the form. */

/* Harmless, and nothing of it is markup: any sign of ASCII may have a backslash, and those need one. */
static void markdown_text(FILE *out, const char *text)
{
	char *harmless = text_harmless(text);
	bool begins = true;

	for (const char *at = harmless ? harmless : "?"; *at; at++) {
		/* The latter begin a list, where they come first. */
		if (strchr("\\`*_{}[]<>#|&~!", *at) || (begins && strchr("+-.)", *at) && strchr(" ", at[1])))
			fputc('\\', out);
		fputc(*at, out);
		begins = begins && isdigit((unsigned char)*at);
	}
	free(harmless);
}

static void begin(const struct page *page, const char *title)
{
	fputs("# ", page->out);
	markdown_text(page->out, title);
	fputc('\n', page->out);
}

static void end(const struct page *page)
{
	(void)page;
}

static void heading(const struct page *page, int level, const char *id, const char *text)
{
	(void)id;
	fprintf(page->out, "\n%s ", level == 2 ? "##" : "###");
	markdown_text(page->out, text);
	fputc('\n', page->out);
}

static void paragraph(const struct page *page, const char *kind, const char *strong, const char *text)
{
	(void)kind;
	fputc('\n', page->out);
	if (*strong) {
		fputs("**", page->out);
		markdown_text(page->out, strong);
		fputs("** ", page->out);
	}
	markdown_text(page->out, text);
	fputc('\n', page->out);
}

static void list_begin(const struct page *page)
{
	fputc('\n', page->out);
}

static void list_end(const struct page *page)
{
	(void)page;
}

static void item(const struct page *page, const char *text, const char *note)
{
	fputs("- ", page->out);
	markdown_text(page->out, text);
	if (*note) {
		fputs(": ", page->out);
		markdown_text(page->out, note);
	}
	fputc('\n', page->out);
}

static void fact(const struct page *page, const char *label, const char *value)
{
	fputs("- **", page->out);
	markdown_text(page->out, label);
	fputs("**: ", page->out);
	markdown_text(page->out, value);
	fputc('\n', page->out);
}

static void table_begin(const struct page *page, const char *const *labels)
{
	size_t count = 0;

	fputs("\n|", page->out);
	for (; labels[count]; count++)
		fprintf(page->out, " %s |", labels[count]);
	fputs("\n|", page->out);
	while (count--)
		fputs(" --- |", page->out);
	fputc('\n', page->out);
}

static void row_begin(const struct page *page)
{
	fputc('|', page->out);
}

static void cell(const struct page *page, const char *label, const char *text, const char *note)
{
	(void)label;
	fputc(' ', page->out);
	markdown_text(page->out, text);
	if (*note) {
		fputs("<br>", page->out);
		markdown_text(page->out, note);
	}
	fputs(" |", page->out);
}

static void row_end(const struct page *page)
{
	fputc('\n', page->out);
}

static const struct page_face markdown = {
	.begin = begin,
	.end = end,
	.heading = heading,
	.paragraph = paragraph,
	.facts_begin = list_begin,
	.fact = fact,
	.facts_end = list_end,
	.list_begin = list_begin,
	.item = item,
	.list_end = list_end,
	.table_begin = table_begin,
	.row_begin = row_begin,
	.cell = cell,
	.row_end = row_end,
	.table_end = list_end,
};

void export_markdown(FILE *out, const json_t *document)
{
	export_page(&(struct page){ out, document, &markdown });
}
