/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_file.h"
#include "control/wire.h"
#include "core/compile.h"
#include "core/export.h"
#include "ctl.h"
#include "export.h"
#include "net/local_addresses.h"
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 3 };

/* The daemon writes what is made of the addresses of names; the rest is made of its replies here. */
static char *nft_of_file(const struct export_view *view);

static const struct export_kind {
	const char *name;
	char *(*of_file)(const struct export_view *view); /* NULL: it is made of the document */
	void (*write)(FILE *out, const json_t *document); /* NULL: it is the document itself */
} kinds[] = {
	{ "netsh", export_netsh, NULL },       { "nft", nft_of_file, NULL },  { "json", NULL, NULL },
	{ "markdown", NULL, export_markdown }, { "html", NULL, export_html },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct made {
	char at[32], host[256];
};

static struct export_made made_now(struct made *made)
{
	time_t now = time(NULL);
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(made->at, sizeof(made->at), "%Y-%m-%dT%H:%M:%SZ", &parts);
	if (gethostname(made->host, sizeof(made->host)) < 0)
		made->host[0] = '\0';
	made->host[sizeof(made->host) - 1] = '\0';
	return (struct export_made){ made->at, "spefwctl " PACKAGE_VERSION, made->host };
}

/* Shown as they are: a reply with a text, or the document. */
static int show(struct ctl *ctl, json_t *reply)
{
	if (reply)
		ctl->output->reply(ctl, reply);
	else
		ctl_error(ctl, "out of memory");
	json_decref(reply);
	return reply ? EXIT_DONE : EXIT_FAILED;
}

static json_t *text_reply(const char *text)
{
	return text ? json_pack("{s:s}", "text", text) : NULL;
}

static json_t *written(const struct export_kind *kind, json_t *document)
{
	char *text = NULL;
	size_t length;

	if (!document || !kind->write)
		return document;
	FILE *out = open_memstream(&text, &length);
	if (out)
		kind->write(out, document);
	json_decref(document);
	json_t *reply = out && fclose(out) == 0 ? text_reply(text) : NULL;
	free(text);
	return reply;
}

/* Of the file alone */

/* What spefwd would make of it on this machine, without names and interfaces. */
static char *nft_of_file(const struct export_view *view)
{
	struct interface_list *interfaces = calloc(view->policy->role_count + 1, sizeof(*interfaces));
	struct names_view none = { 0 };
	struct ranges own = { 0 };
	struct ruleset ruleset = { 0 };
	char *text = NULL;

	if (local_addresses(&own) < 0)
		ranges_free(&own);
	struct environment environment = { .gateway = &own, .role_interfaces = interfaces, .names = &none };
	if (interfaces && compile(&ruleset, view->policy, &environment) == 0)
		text = export_nft(view, &ruleset);
	ruleset_free(&ruleset);
	ranges_free(&own);
	free(interfaces);
	return text;
}

static json_t *reply_of_policy(const struct export_kind *kind, const struct policy *policy, const struct diags *diags,
			       const char *path)
{
	struct made buffer;
	struct export_made made = made_now(&buffer);
	char *origin;

	if (!kind->of_file)
		return written(kind, export_document_of_file(&made, policy, diags, path));
	if (asprintf(&origin, "By %s, %s: of %s alone, without a daemon", made.by, made.at, path) < 0)
		return NULL;
	char *text = kind->of_file(&(struct export_view){ .policy = policy, .origin = origin });
	json_t *reply = text_reply(text);
	free(text);
	free(origin);
	return reply;
}

static int export_file(struct ctl *ctl, const struct export_kind *kind, const char *path)
{
	struct policy_file file = { 0 };
	struct diags diags = { 0 };
	int status = EXIT_FAILED;

	int r = ctl_read_policy(path, &file, &diags);
	if (r == 0)
		status = show(ctl, reply_of_policy(kind, &file.policy, &diags, path));
	else if (diags.errors)
		ctl_error(ctl, "%s is not usable: see spefwctl check %s", path, path);
	else
		ctl_error(ctl, "%s: %s", path, strerror(-r));
	if (r == 0)
		policy_file_free(&file);
	diags_free(&diags);
	return status;
}

/* Of the daemon */

static void report_not_running(const struct ctl *ctl)
{
	ctl_error(ctl,
		  "spefwd is not running (nobody listens on %s): systemctl start spefwd, or export the file alone by "
		  "-c %s",
		  ctl_value(ctl, OPTION_SOCKET), SPEFW_CONFIG);
}

static void free_replies(struct export_replies *replies)
{
	json_decref(replies->policy);
	json_decref(replies->status);
	json_decref(replies->flows);
	json_decref(replies->history);
	json_decref(replies->config);
	*replies = (struct export_replies){ 0 };
}

static int fetch_config(struct ctl *ctl, json_t **ret)
{
	json_t *pieces = NULL;
	int status = ctl_collect(ctl, SPEFW_METHOD("Config"), NULL, &pieces);

	if (status == EXIT_DONE)
		*ret = config_of_pieces(pieces);
	json_decref(pieces);
	return status;
}

static int fetch_once(struct ctl *ctl, struct export_replies *ret)
{
	int status = ctl_call(ctl, NULL, &ret->policy);

	if (status == EXIT_DONE)
		status = ctl_call_method(ctl, SPEFW_METHOD("Flows"), NULL, &ret->flows);
	if (status == EXIT_DONE)
		status = ctl_call_method(ctl, SPEFW_METHOD("History"), NULL, &ret->history);
	if (status == EXIT_DONE)
		status = fetch_config(ctl, &ret->config);
	if (status == EXIT_DONE)
		status = ctl_call_method(ctl, SPEFW_METHOD("Status"), NULL, &ret->status);
	return status;
}

/* All of the same policy, unless it changes all the time. */
static int fetch(struct ctl *ctl, struct export_replies *ret)
{
	int status = EXIT_DONE;

	for (int i = 0; status == EXIT_DONE && i < TRIES; i++) {
		free_replies(ret);
		status = fetch_once(ctl, ret);
		if (json_number_of(ret->policy, "generation") == json_number_of(ret->status, "generation"))
			break;
	}
	return status;
}

static int export_document_live(struct ctl *ctl, const struct export_kind *kind)
{
	struct export_replies replies = { 0 };
	struct made buffer;

	int r = fetch(ctl, &replies);
	struct export_made made = made_now(&buffer);
	if (r == EXIT_DONE)
		r = show(ctl, written(kind, export_document(&made, &replies)));
	free_replies(&replies);
	return r;
}

static int export_text_live(struct ctl *ctl, const struct export_kind *kind)
{
	json_t *reply = NULL;

	int r = ctl_call_method(ctl, SPEFW_METHOD("Export"), json_pack("{s:s}", "format", kind->name), &reply);
	return r == EXIT_DONE ? show(ctl, reply) : r;
}

static const struct export_kind *find_kind(const struct ctl *ctl)
{
	const char *names[KINDS], *word = ctl->argument_count ? ctl->arguments[0] : NULL;

	for (size_t i = 0; i < KINDS; i++) {
		names[i] = kinds[i].name;
		if (word && strcmp(word, kinds[i].name) == 0)
			return &kinds[i];
	}
	const char *nearest = word ? diag_nearest(word, names, KINDS) : NULL;
	if (nearest)
		ctl_error(ctl, "there is no format %s: did you mean %s?", word, nearest);
	else
		ctl_error(ctl, "which format? netsh, nft, json, markdown or html: spefwctl export html");
	return NULL;
}

int verb_export(struct ctl *ctl)
{
	const struct export_kind *kind = find_kind(ctl);

	if (!kind)
		return EXIT_USAGE;
	if (ctl->values[OPTION_CONFIG])
		return export_file(ctl, kind, ctl_value(ctl, OPTION_CONFIG));
	int status = kind->of_file ? export_text_live(ctl, kind) : export_document_live(ctl, kind);
	if (status == EXIT_NOT_RUNNING)
		report_not_running(ctl);
	return status;
}

/* Each line harmless, but for the tabs at its beginning. */
static void print_lines(FILE *out, const char *text)
{
	while (*text) {
		size_t tabs = strspn(text, "\t"), length = strcspn(text, "\n");
		char *line = strndup(text + tabs, length - tabs), *harmless = line ? text_harmless(line) : NULL;
		fprintf(out, "%.*s%s%s", (int)tabs, text, harmless ? harmless : "?", text[length] ? "\n" : "");
		free(line);
		free(harmless);
		text += length + (text[length] != '\0');
	}
}

void text_export(const struct ctl *ctl, const json_t *reply)
{
	FILE *out = ctl->screen.file;

	if (json_is_string(json_object_get(reply, "text"))) {
		print_lines(out, json_text_of(reply, "text"));
		return;
	}
	json_dumpf(reply, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putc('\n', out);
}
