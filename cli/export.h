/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CTL_EXPORT_H
#define SPEFW_CTL_EXPORT_H

/* What `export` makes: a document of all that is known (include/spefw/export.schema.json), and pages of it for people.
 * The document is made of a daemon's replies, which are not trusted to be complete. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct diags;
struct policy;

/* When (RFC 3339), by which program, on which machine. */
struct export_made {
	const char *at, *by, *host;
};

/* Of the daemon's methods of these names; config: as config_of_pieces() has it. NULL: there is none. */
struct export_replies {
	json_t *policy, *status, *flows, *history, *config;
};

/* New references; NULL without memory. path: of the file. */
json_t *export_document(const struct export_made *made, const struct export_replies *replies);
json_t *export_document_of_file(const struct export_made *made, const struct policy *policy, const struct diags *diags,
				const char *path);

/* What `check` has to say of the files of a configuration, the first of which is the configuration itself. NULL: that
 * can't be told. */
json_t *export_warnings(const json_t *files);
json_t *export_warnings_of(const struct diags *diags);

/* One self-contained page each. */
void export_html(FILE *out, const json_t *document);
void export_markdown(FILE *out, const json_t *document);

/* A page as it is written, part by part, in one of its faces. Texts are any bytes. */
struct page;
struct page_face {
	void (*begin)(const struct page *page, const char *title);
	void (*end)(const struct page *page);
	/* level 2, 3; id: for links to it, or NULL */
	void (*heading)(const struct page *page, int level, const char *id, const char *text);
	/* kind: "", "note", or the verdict's "good", "warning", "bad", whose first words are `strong` */
	void (*paragraph)(const struct page *page, const char *kind, const char *strong, const char *text);
	void (*facts_begin)(const struct page *page);
	void (*fact)(const struct page *page, const char *label, const char *value);
	void (*facts_end)(const struct page *page);
	void (*list_begin)(const struct page *page);
	void (*item)(const struct page *page, const char *text, const char *note); /* note: "": none */
	void (*list_end)(const struct page *page);
	void (*table_begin)(const struct page *page, const char *const *labels); /* with a NULL at the end */
	void (*row_begin)(const struct page *page);
	/* label NULL: the first one, which the row is about */
	void (*cell)(const struct page *page, const char *label, const char *text, const char *note);
	void (*row_end)(const struct page *page);
	void (*table_end)(const struct page *page);
	void (*picture)(const struct page *page); /* of roles and flows; NULL: it has none */
};

struct page {
	FILE *out;
	const json_t *document;
	const struct page_face *face;
};

void export_page(const struct page *page); /* all of it */

/* Harmless, and with what is markup escaped. */
void html_text(FILE *out, const char *text);
/* SVG: a protected role, who may reach it, and what it may reach. */
void export_picture(FILE *out, const json_t *document, const char *role);

#endif
