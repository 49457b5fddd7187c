/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* Lists of words, one a line: for scripts, and for the completions, which name a kind as a synopsis does. */
static const struct {
	const char *kind, *argument; /* "flows", "FLOW" */
	const char *method;          /* NULL: of the program itself */
	const char *list, *member;   /* in the reply */
} kinds[] = {
	{ "flows", "FLOW", SPEFW_METHOD("Flows"), "flows", "id" },
	{ "names", "NAME", SPEFW_METHOD("Names"), "names", "name" },
	{ "roles", "ROLE", SPEFW_METHOD("Flows"), "roles", "name" },
	{ "connections", "ID", SPEFW_METHOD("Connections"), "connections", "id" },
	{ "kinds", "KIND", NULL, NULL, NULL },
	{ "verbs", "VERB", NULL, NULL, NULL },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* The same twice in a row, as a name of both families, is one. */
static void add_word(json_t *list, const char *word)
{
	const char *last = json_text(json_array_get(list, json_array_size(list) - 1));

	if (*word && strcmp(last, word) != 0)
		json_array_append_new(list, json_string(word));
}

static void add_own(json_t *list, size_t kind)
{
	for (size_t i = 0; strcmp(kinds[kind].argument, "KIND") == 0 && i < KINDS; i++)
		add_word(list, kinds[i].kind);
	for (size_t i = 0; strcmp(kinds[kind].argument, "VERB") == 0 && i < verb_count; i++)
		add_word(list, verbs[i].name);
}

/* Words as they are, numbers as they are written. */
static void add_items(json_t *list, size_t kind, const json_t *reply)
{
	const json_t *items = reply ? json_object_get(reply, kinds[kind].list) : NULL;
	char number[32];

	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i), *value = json_object_get(item, kinds[kind].member);
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		add_word(list, json_is_integer(value) ? number : json_text(value));
	}
}

char *list_nearest(const struct ctl *ctl, const char *argument, const char *word)
{
	json_t *list = json_array(), *reply = NULL;
	size_t kind = 0;

	while (kind < KINDS && strcmp(kinds[kind].argument, argument) != 0)
		kind++;
	if (kind < KINDS && kinds[kind].method)
		reply = ctl_fetch(ctl, kinds[kind].method);
	if (reply)
		add_items(list, kind, reply);
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
		if (ctl->argument_count && (strcmp(kinds[i].kind, ctl->arguments[0]) == 0 ||
					    strcmp(kinds[i].argument, ctl->arguments[0]) == 0)) {
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
	json_t *list = json_array(), *reply = NULL;
	size_t kind;

	int status = find_kind(ctl, &kind);
	if (status == EXIT_DONE && kinds[kind].method)
		status = ctl_need_method(ctl, kinds[kind].method, NULL, &reply);
	else if (status == EXIT_DONE)
		add_own(list, kind);
	add_items(list, kind, reply);
	json_t *shown = status == EXIT_DONE ? json_pack("{s:O}", kinds[kind].kind, list) : NULL;
	if (shown)
		ctl->output->reply(ctl, shown);
	else if (status == EXIT_DONE)
		status = EXIT_FAILED;
	json_decref(shown);
	json_decref(list);
	json_decref(reply);
	return status;
}

/* Its one member is the list. */
void text_list(const struct ctl *ctl, const json_t *reply)
{
	const json_t *list = json_object_iter_value(json_object_iter((json_t *)reply));

	for (size_t i = 0; i < json_array_size(list); i++)
		text_print_line(ctl->screen.file, json_text(json_array_get(list, i)));
}
