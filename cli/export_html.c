/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* One page of HTML that needs nothing else: no script, font or picture from anywhere, in light and dark, for paper. */

enum { PICTURES_MAX = 8 };

/* The colours in one place each: tests/system/export.py looks at their contrast. Wide tables become a box a row on
 * narrow screens, by the labels that each cell has. */
/* clang-format off */
static const char style[] =
	":root{color-scheme:light dark;--bg:#ffffff;--fg:#1b2330;--muted:#4d5a6b;--line:#cfd6df;--card:#f4f6f9;"
	"--accent:#0b559f;--good:#14572f;--good-bg:#e4f4ea;--warning:#7a4300;--warning-bg:#fdf1de;--bad:#981b2a;"
	"--bad-bg:#fce7e9}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#12171e;--fg:#e6ebf2;--muted:#a9b4c3;--line:#36414f;"
	"--card:#1b222c;--accent:#83bcf7;--good:#8ddcae;--good-bg:#14301f;--warning:#f2be75;--warning-bg:#352510;"
	"--bad:#f7a3aa;--bad-bg:#3a171b}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif;"
	"overflow-wrap:anywhere}\n"
	"header,main,footer{max-width:68rem;margin:0 auto;padding:0 1.25rem}\n"
	"header{padding-top:2rem}\n"
	"footer{margin-top:2.5rem;padding-top:1rem;padding-bottom:2rem;color:var(--muted);font-size:.9rem}\n"
	"h1{font-size:1.7rem;line-height:1.25;margin:0 0 .25rem}\n"
	"h2{font-size:1.25rem;margin:2.25rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}\n"
	"h3{font-size:1rem;margin:1.5rem 0 .4rem}\n"
	"p{margin:.5rem 0;max-width:48rem}\n"
	".kind{color:var(--muted);margin:0 0 .25rem}\n"
	".good,.warning,.bad,.note{max-width:none;padding:.75rem 1rem;border-radius:6px;border-left:5px solid;"
	"margin:1rem 0}\n"
	".good{background:var(--good-bg);color:var(--good)}\n"
	".warning{background:var(--warning-bg);color:var(--warning)}\n"
	".bad{background:var(--bad-bg);color:var(--bad)}\n"
	".note{background:var(--card);border-color:var(--line)}\n"
	"dl{display:grid;grid-template-columns:minmax(8rem,16rem) 1fr;gap:.3rem 1.5rem;margin:.75rem 0}\n"
	"dt{color:var(--muted)}\n"
	"dd{margin:0}\n"
	"li{margin:.3rem 0}\n"
	"small{display:block;color:var(--muted);font-size:.9em;font-weight:normal}\n"
	"table{width:100%;border-collapse:collapse;table-layout:fixed;font-size:.95em}\n"
	"thead th:first-child{width:30%}thead th:nth-child(3):not(:nth-last-child(-n+2)){width:19%}\n"
	"thead th:first-child:nth-last-child(4){width:26%}thead th:nth-child(4):last-child{width:38%}\n"
	"th,td{text-align:left;vertical-align:top;padding:.45rem .75rem .45rem 0;border-bottom:1px solid var(--line)}\n"
	"thead th{color:var(--muted);font-weight:600}\n"
	"figure{margin:1rem 0}\n"
	"figcaption{color:var(--muted)}\n"
	"svg{display:block;width:100%;height:auto;font-family:system-ui,sans-serif}\n"
	"svg.narrow{display:none;max-width:28rem}\n"
	"rect{fill:var(--card);stroke:var(--line)}\n"
	"rect.role{fill:var(--bg);stroke:var(--accent);stroke-width:2}\n"
	".line{stroke:var(--muted);stroke-width:1.5;fill:none}\n"
	".head{fill:var(--muted)}\n"
	"text{fill:var(--fg);font-size:13px}\n"
	"text.title{font-weight:600;font-size:15px}\n"
	"text.who{fill:var(--muted)}\n"
	"@media screen and (max-width:46rem){\n"
	"svg.wide{display:none}svg.narrow{display:block}\n"
	"dl{display:block}dd{margin:0 0 .6rem}\n"
	"thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\n"
	"table,tbody,th,td{display:block}\n"
	"tbody tr{display:grid;grid-template-columns:1fr 1fr;column-gap:1rem;border:1px solid var(--line);"
	"border-radius:6px;padding:.4rem .8rem;margin:.6rem 0}\n"
	"tbody th,td{border:0;padding:.2rem 0}\n"
	"tbody th{grid-column:1/-1}\n"
	"td::before{content:attr(data-label) \": \";color:var(--muted)}\n"
	"td:empty{display:none}\n"
	"}\n"
	"@media print{:root{color-scheme:light;--bg:#ffffff;--fg:#000000;--muted:#333333;--line:#999999;--card:#ffffff;"
	"--accent:#000000;--good:#000000;--good-bg:#ffffff;--warning:#000000;--warning-bg:#ffffff;--bad:#000000;"
	"--bad-bg:#ffffff}\n"
	"@page{margin:15mm}body{font-size:10pt}header,main,footer{max-width:none;padding-left:0;padding-right:0}"
	"h2,h3{break-after:avoid}tr,figure,li,dd{break-inside:avoid}thead{display:table-header-group}}\n";
/* clang-format on */

void html_text(FILE *out, const char *text)
{
	char *harmless = text_harmless(text);

	for (const char *at = harmless ? harmless : "?"; *at; at++) {
		switch (*at) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&#39;", out); break;
		default: fputc(*at, out);
		}
	}
	free(harmless);
}

static void element(FILE *out, const char *name, const char *text)
{
	fprintf(out, "<%s>", name);
	html_text(out, text);
	fprintf(out, "</%s>", name);
}

static void begin(const struct page *page, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" "
	      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
	      page->out);
	element(page->out, "title", title);
	fprintf(page->out,
		"\n<style>\n%s</style>\n</head>\n<body>\n<header>\n"
		"<p class=\"kind\">MailStore Service Provider Edition</p>\n",
		style);
	element(page->out, "h1", title);
	fputs("\n</header>\n<main>\n", page->out);
}

static void end(const struct page *page)
{
	fputs("</main>\n<footer>\n<p>", page->out);
	html_text(page->out, json_text_of(json_object_get(page->document, "made"), "by"));
	fputs(" made this page. It holds no script, and loads nothing.</p>\n</footer>\n</body>\n</html>\n", page->out);
}

static void heading(const struct page *page, int level, const char *id, const char *text)
{
	if (id)
		fprintf(page->out, "<h%d id=\"%s\">", level, id);
	else
		fprintf(page->out, "<h%d>", level);
	html_text(page->out, text);
	fprintf(page->out, "</h%d>\n", level);
}

static void paragraph(const struct page *page, const char *kind, const char *strong, const char *text)
{
	fprintf(page->out, *kind ? "<p class=\"%s\">" : "<p>", kind);
	if (*strong) {
		element(page->out, "strong", strong);
		fputc(' ', page->out);
	}
	html_text(page->out, text);
	fputs("</p>\n", page->out);
}

static void facts_begin(const struct page *page)
{
	fputs("<dl>\n", page->out);
}

static void fact(const struct page *page, const char *label, const char *value)
{
	element(page->out, "dt", label);
	element(page->out, "dd", value);
	fputc('\n', page->out);
}

static void facts_end(const struct page *page)
{
	fputs("</dl>\n", page->out);
}

static void list_begin(const struct page *page)
{
	fputs("<ul>\n", page->out);
}

/* Text, and a smaller line below it. */
static void put_noted(FILE *out, const char *text, const char *note)
{
	html_text(out, text);
	if (*note)
		element(out, "small", note);
}

static void item(const struct page *page, const char *text, const char *note)
{
	fputs("<li>", page->out);
	put_noted(page->out, text, note);
	fputs("</li>\n", page->out);
}

static void list_end(const struct page *page)
{
	fputs("</ul>\n", page->out);
}

static void table_begin(const struct page *page, const char *const *labels)
{
	fputs("<table>\n<thead><tr>", page->out);
	for (; *labels; labels++) {
		fputs("<th scope=\"col\">", page->out);
		html_text(page->out, *labels);
		fputs("</th>", page->out);
	}
	fputs("</tr></thead>\n<tbody>\n", page->out);
}

static void row_begin(const struct page *page)
{
	fputs("<tr>", page->out);
}

static void cell(const struct page *page, const char *label, const char *text, const char *note)
{
	fputs(label ? "<td data-label=\"" : "<th scope=\"row", page->out);
	html_text(page->out, label ? label : "");
	fputs("\">", page->out);
	put_noted(page->out, text, note);
	fputs(label ? "</td>" : "</th>", page->out);
}

static void row_end(const struct page *page)
{
	fputs("</tr>\n", page->out);
}

static void table_end(const struct page *page)
{
	fputs("</tbody>\n</table>\n", page->out);
}

static void picture(const struct page *page)
{
	const json_t *roles = json_object_get(page->document, "roles");
	size_t drawn = 0, protected = 0;

	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *role = json_array_get(roles, i);
		if (!json_truth_of(role, "protected"))
			continue;
		if (protected ++ < PICTURES_MAX) {
			export_picture(page->out, page->document, json_text_of(role, "name"));
			drawn++;
		}
	}
	if (protected > drawn)
		fprintf(page->out, "<p>%zu more protected roles are in the tables below.</p>\n", protected - drawn);
}

static const struct page_face html = {
	.begin = begin,
	.end = end,
	.heading = heading,
	.paragraph = paragraph,
	.facts_begin = facts_begin,
	.fact = fact,
	.facts_end = facts_end,
	.list_begin = list_begin,
	.item = item,
	.list_end = list_end,
	.table_begin = table_begin,
	.row_begin = row_begin,
	.cell = cell,
	.row_end = row_end,
	.table_end = table_end,
	.picture = picture,
};

void export_html(FILE *out, const json_t *document)
{
	export_page(&(struct page){ out, document, &html });
}
