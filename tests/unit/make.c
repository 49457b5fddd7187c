/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "make.h"

#include <errno.h>

static int read_fake(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	const char *text = strcmp(path, "t.ini") == 0        ? userdata
			   : strcmp(path, "admins.txt") == 0 ? "203.0.113.0/24\n# and by name\nfile.example.net\n"
							     : NULL;
	if (!text)
		return -ENOENT;
	*ret_bytes = strdup(text);
	*ret_length = strlen(text);
	return *ret_bytes ? 0 : -ENOMEM;
}

static char *all_diags(const struct diags *diags)
{
	char *all = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&all, &length);

	assert_non_null(out);
	for (size_t i = 0; i < diags->count; i++) {
		char *line = diag_format(&diags->items[i]);
		assert_non_null(line);
		fprintf(out, "%s\n", line);
		free(line);
	}
	assert_int_equal(fclose(out), 0);
	return all;
}

char *make_policy(struct policy *ret, const char *text)
{
	struct config config;
	struct diags diags = { 0 };

	*ret = (struct policy){ 0 };
	assert_int_equal(config_load(&config, "t.ini", read_fake, (void *)text, &diags), 0);
	if (!diags_failed(&diags))
		assert_int_equal(policy_from_config(ret, &config, &diags), 0);
	diags_sort(&diags);
	char *all = all_diags(&diags);
	if (diags_failed(&diags))
		policy_free(ret);
	diags_free(&diags);
	config_free(&config); /* the policy owns all it holds */
	return all;
}

void make_good_policy(struct policy *ret, const char *text)
{
	char *diags = make_policy(ret, text);
	if (!ret->role_count)
		fail_msg("no policy: %s", diags);
	free(diags);
}

struct addr make_addr(const char *text)
{
	struct addr addr;
	if (!addr_parse(text, &addr))
		fail_msg("%s is not an address", text);
	return addr;
}

struct ranges make_ranges(const char *text)
{
	struct ranges ranges = { 0 };
	char *copy = strdup(text), *rest = copy, *word;

	assert_non_null(copy);
	while ((word = strsep(&rest, " "))) {
		struct range range;
		if (!*word)
			continue;
		assert_int_equal(range_parse(word, &range), RANGE_OK);
		assert_int_equal(ranges_add(&ranges, &range), 0);
	}
	free(copy);
	ranges_normalise(&ranges);
	return ranges;
}

static int name_address_order(const void *a, const void *b)
{
	return addr_compare(&((const struct name_address *)a)->addr, &((const struct name_address *)b)->addr);
}

static void add_name(const struct policy *policy, struct names_view *view, char *words)
{
	char *word = strsep(&words, " ");
	size_t index = 0;

	while (index < policy->name_count && strcmp(policy->names[index].name, word) != 0)
		index++;
	if (index == policy->name_count)
		fail_msg("no flow has the name %s", word);
	while ((word = strsep(&words, " "))) {
		struct addr addr = make_addr(word);
		struct name_addresses *list = &view->names[index][addr.family];
		list->items = realloc(list->items, (list->count + 1) * sizeof(*list->items));
		assert_non_null(list->items);
		list->items[list->count++] = (struct name_address){ addr, 1000000 };
		qsort(list->items, list->count, sizeof(*list->items), name_address_order);
	}
}

struct names_view make_names(const struct policy *policy, const char *text)
{
	struct names_view view = { .names = calloc(policy->name_count + 1, sizeof(*view.names)),
				   .count = policy->name_count };
	char *copy = strdup(text), *rest = copy, *words;

	assert_non_null(view.names);
	assert_non_null(copy);
	while ((words = strsep(&rest, ";")))
		if (*words)
			add_name(policy, &view, words);
	free(copy);
	return view;
}

void make_grants(const struct policy *policy, struct names_view *view, const char *text)
{
	struct grant_list list = { 0 };
	char *copy = strdup(text), *rest = copy, *words;

	assert_non_null(copy);
	while ((words = strsep(&rest, ";"))) {
		const char *flow = strsep(&words, " ");
		struct grant grant = { .end_ms = 1000000 };
		if (!words)
			continue;
		snprintf(grant.flow, sizeof(grant.flow), "%s", flow);
		grant.addr = make_addr(words);
		assert_int_equal(grant_put(&list, &grant), 0);
	}
	free(copy);
	assert_int_equal(grants_add_to_view(&list, policy, view), 0);
	grants_free_list(&list);
}

const struct environment *make_environment(const struct policy *policy, const struct names_view *names)
{
	static const struct names_view no_names;
	static char lan[][CONFIG_INTERFACE_MAX + 1] = { "lan" }, wan[][CONFIG_INTERFACE_MAX + 1] = { "wan" };
	static const struct interface_list resolvers = { wan, 1 };
	static struct interface_list interfaces[8];
	static struct range own[2], broadcast;
	static const struct ranges gateway = { own, 2, 2 }, broadcasts = { &broadcast, 1, 1 };
	static struct environment environment;

	assert_true(policy->role_count <= COUNT_OF(interfaces));
	for (size_t i = 0; i < policy->role_count; i++)
		interfaces[i] = policy->roles[i].is_protected ? (struct interface_list){ lan, 1 }
							      : (struct interface_list){ 0 };
	own[0].first = own[0].last = make_addr("192.0.2.1");
	own[1].first = own[1].last = make_addr("2001:db8:2::1");
	broadcast.first = broadcast.last = make_addr("192.0.2.255");
	environment = (struct environment){ .gateway = &gateway,
					    .role_interfaces = interfaces,
					    .names = names ? names : &no_names,
					    .towards = { lan, 1 },
					    .broadcasts = &broadcasts,
					    .resolvers = &resolvers };
	return &environment;
}

int make_ruleset(struct ruleset *ret, const struct policy *policy, const struct names_view *names)
{
	return compile(ret, policy, make_environment(policy, names));
}
