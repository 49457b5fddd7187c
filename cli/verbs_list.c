/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* Lists of words, one a line: for scripts, and for the completions, which name a kind as a synopsis does. */
static const char *const no_words[] = { NULL }, *const server[] = { "server", NULL },
			 *const protocols[] = { "tcp", "udp", "icmp-echo", NULL },
			 *const formats[] = { "netsh", "nft", "json", "markdown", "html", NULL };

static const struct {
	const char *kind, *arguments[2]; /* "flows", "FLOW" */
	struct {
		const char *method;        /* NULL: none */
		const char *list, *member; /* in the reply */
	} sources[2];
	const char *const *words; /* ahead of them */
} kinds[] = {
	{ "flows", { "FLOW" }, { { SPEFW_METHOD("Flows"), "flows", "id" } }, no_words },
	{ "names", { "NAME" }, { { SPEFW_METHOD("Names"), "names", "name" } }, no_words },
	{ "roles", { "ROLE" }, { { SPEFW_METHOD("Flows"), "roles", "name" } }, no_words },
	/* what may stand for addresses */
	{ "ends",
	  { "SRC", "DST" },
	  { { SPEFW_METHOD("Flows"), "roles", "name" }, { SPEFW_METHOD("Names"), "names", "name" } },
	  server },
	{ "connections", { "ID" }, { { SPEFW_METHOD("Connections"), "connections", "id" } }, no_words },
	{ "granted", { "ADDRESS" }, { { SPEFW_METHOD("Grants"), "grants", "address" } }, no_words },
	{ "history", { "NUMBER" }, { { SPEFW_METHOD("History"), "entries", "number" } }, no_words },
	{ "protocols", { "PROTO" }, { { NULL, NULL, NULL } }, protocols },
	{ "formats", { "FORMAT" }, { { NULL, NULL, NULL } }, formats },
	{ "kinds", { "KIND" }, { { NULL, NULL, NULL } }, no_words },
	{ "verbs", { "VERB" }, { { NULL, NULL, NULL } }, no_words },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), SOURCES = 2 };

static bool is_of_kind(size_t kind, const char *argument)
{
	for (size_t i = 0; i < 2; i++)
		if (kinds[kind].arguments[i] && strcmp(kinds[kind].arguments[i], argument) == 0)
			return true;
	return false;
}

/* The same twice in a row, as a name of both families, is one. */
static void add_word(json_t *list, const char *word)
{
	const char *last = json_text(json_array_get(list, json_array_size(list) - 1));

	if (*word && strcmp(last, word) != 0)
		json_array_append_new(list, json_string(word));
}

static void add_own(json_t *list, size_t kind)
{
	for (const char *const *word = kinds[kind].words; *word; word++)
		add_word(list, *word);
	for (size_t i = 0; is_of_kind(kind, "KIND") && i < KINDS; i++)
		add_word(list, kinds[i].kind);
	for (size_t i = 0; is_of_kind(kind, "VERB") && i < verb_count; i++)
		add_word(list, verbs[i].name);
}

/* Words as they are, numbers as they are written. */
static void add_items(json_t *list, size_t kind, size_t source, const json_t *reply)
{
	const json_t *items = reply ? json_object_get(reply, kinds[kind].sources[source].list) : NULL;
	char number[32];

	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i),
			     *value = json_object_get(item, kinds[kind].sources[source].member);
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		add_word(list, json_is_integer(value) ? number : json_text(value));
	}
}

char *list_nearest(const struct ctl *ctl, const char *argument, const char *word)
{
	json_t *list = json_array(), *reply = NULL;
	size_t kind = 0;

	while (kind < KINDS && !is_of_kind(kind, argument))
		kind++;
	if (kind < KINDS && kinds[kind].sources[0].method)
		reply = ctl_fetch(ctl, kinds[kind].sources[0].method);
	if (reply)
		add_items(list, kind, 0, reply);
	const char **words = calloc(json_array_size(list) + 1, sizeof(*words)), *nearest = NULL;
	for (size_t i = 0; words && i < json_array_size(list); i++)
		words[i] = json_text(json_array_get(list, i));
	if (words)
		nearest = diag_nearest(word, words, json_array_size(list));
	char *copy = nearest ? strdup(nearest) : NULL;
	free(words);
	json_decref(list);
	json_decref(reply);
	return copy;
}

static int find_kind(const struct ctl *ctl, size_t *ret)
{
	struct text all = { 0 };

	for (size_t i = 0; i < KINDS; i++) {
		text_add(&all, "%s%s", i ? ", " : "", kinds[i].kind);
		*ret = i;
		if (ctl->argument_count &&
		    (strcmp(kinds[i].kind, ctl->arguments[0]) == 0 || is_of_kind(i, ctl->arguments[0]))) {
			text_free(&all);
			return EXIT_DONE;
		}
	}
	ctl_error(ctl, "which list? spefwctl list has these: %s", text_of(&all));
	text_free(&all);
	return EXIT_USAGE;
}

int verb_list(struct ctl *ctl)
{
	json_t *list = json_array();
	size_t kind;

	int status = find_kind(ctl, &kind);
	if (status == EXIT_DONE)
		add_own(list, kind);
	for (size_t i = 0; status == EXIT_DONE && i < SOURCES && kinds[kind].sources[i].method; i++) {
		json_t *reply = NULL;
		status = ctl_need_method(ctl, kinds[kind].sources[i].method, NULL, &reply);
		add_items(list, kind, i, reply);
		json_decref(reply);
	}
	json_t *shown = status == EXIT_DONE ? json_pack("{s:O}", kinds[kind].kind, list) : NULL;
	if (shown)
		ctl->output->reply(ctl, shown);
	else if (status == EXIT_DONE)
		status = EXIT_FAILED;
	json_decref(shown);
	json_decref(list);
	return status;
}

/* Its one member is the list. */
void text_list(const struct ctl *ctl, const json_t *reply)
{
	const json_t *list = json_object_iter_value(json_object_iter((json_t *)reply));

	for (size_t i = 0; i < json_array_size(list); i++)
		text_print_line(ctl->screen.file, json_text(json_array_get(list, i)));
}
