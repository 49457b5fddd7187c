/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "make.h"

#include "core/config_types.h"
#include "core/policy_diff.h"

/* Every row of the table, whatever it is called: each is read, checked, taken over and compared. A new key is tested
 * without a word here, unless it needs company to have an effect. */

#define ADDRESS "address = 192.0.2.25\n"

/* What stands beside a key so that it is legal and matters. */
static const struct company {
	enum config_section section;
	const char *key, *lines;
} companies[] = {
	{ CONFIG_SERVER, "address", "resolvers = 192.0.2.53\n" },
	{ CONFIG_SERVER, "resolvers", ADDRESS },
	{ CONFIG_SERVER, NULL, ADDRESS "resolvers = 192.0.2.53\n" },
	{ CONFIG_DNS, "min_interval", "max_interval = 7d\n" },
	{ CONFIG_DNS, "max_interval", "min_interval = 1s\n" },
	{ CONFIG_ROLE, "members", "" },
	{ CONFIG_ROLE, "protected", "members = 192.0.2.31\n" },
	{ CONFIG_ROLE, "ephemeral_ports", "members = 192.0.2.31\nprotected = yes\n" },
	{ CONFIG_ROLE, NULL, "members = admin.example.net\n" },
	{ CONFIG_SECTIONS, NULL, "" },
};

/* A configuration whose only key of interest has this value; NULL: none. role ADM and license-out, with
 * its name, stand for all roles, flows and names. */
static char *text_with(const struct config_key *key, const char *value)
{
	static const char *const headers[] = { "[server]\n",   "[gateway]\n",
					       "[dns]\n",      "[name my.mailstore.com]\n",
					       "[role ADM]\n", "[flow license-out]\n" };
	const struct company *company = companies;
	char *text = NULL, line[VALUE_TEXT_MAX + 80] = "";

	while (company->section != CONFIG_SECTIONS &&
	       (company->section != key->section || (company->key && strcmp(company->key, key->name) != 0)))
		company++;
	if (value)
		snprintf(line, sizeof(line), "%s = %s\n", key->name, value);
	else if (company->section == CONFIG_SERVER && strcmp(key->name, "address") == 0)
		snprintf(line, sizeof(line), ADDRESS);
	assert_true(asprintf(&text, "%s%s%s%s%s%s", key->section == CONFIG_SERVER ? "" : "[server]\n" ADDRESS,
			     key->section == CONFIG_SERVER ? "" : "resolvers = 192.0.2.53\n", headers[key->section],
			     company->lines, line,
			     key->section == CONFIG_ROLE ? "" : "[role ADM]\nmembers = 203.0.113.0/24\n") > 0);
	return text;
}

static void format(const struct config_key *key, int64_t number, char text[VALUE_TEXT_MAX])
{
	if (key->type == VALUE_DURATION)
		snprintf(text, VALUE_TEXT_MAX, "%llds", (long long)(number / 1000));
	else
		snprintf(text, VALUE_TEXT_MAX, "%lld", (long long)number);
}

/* A legal value that is not the default. */
static void other_value(const struct config_key *key, char text[VALUE_TEXT_MAX])
{
	static const char *const lists[VALUE_TYPES] = {
		[VALUE_MEMBERS] = "198.51.100.77",
		[VALUE_PORTS] = "7, 20000-20010",
		[VALUE_INTERFACES] = "eth7",
		[VALUE_DNS_SERVERS] = "198.51.100.77#5353",
	};

	if (key->choices)
		snprintf(text, VALUE_TEXT_MAX, "%s", key->choices[(key->initial + 1) % key->choice_count]);
	else if (key->type == VALUE_NUMBER || key->type == VALUE_DURATION)
		format(key, key->initial == key->most ? key->least : key->most, text);
	else
		snprintf(text, VALUE_TEXT_MAX, "%s", lists[key->type] ? lists[key->type] : key->example);
}

/* Whether it is good; what is complained about otherwise holds the key's name. */
static bool is_good(const struct config_key *key, const char *value)
{
	struct policy policy;
	char *text = text_with(key, value), *complaints = make_policy(&policy, text);
	bool refused = false;

	for (char *line = strtok(complaints, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, ": warning: "))
			continue;
		refused = true;
		if (!strstr(line, key->name))
			fail_msg("%s\nis answered by %s", text, line);
	}
	free(complaints);
	free(text);
	policy_free(&policy);
	return !refused;
}

/* What a value that is not there would leave empty in a message or in the manual. */
static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		const struct value_methods *methods = value_methods(key);
		size_t length = strlen(key->manual);

		assert_ptr_equal(config_key_find(key->section, key->name), key);
		assert_true(config_is_key(key->name));
		assert_true(methods->read && (methods->syntax || key->choices || key->accept));
		assert_true(key->manual[length - 1] == '\n' && strstr(key->manual, "Default") == NULL);
		for (const char *line = key->manual; *line; line += strcspn(line, "\n") + 1)
			assert_true(strcspn(line, "\n") > 0 && strcspn(line, "\n") <= 80);
		assert_true(!(key->flags & KEY_REQUIRED) || key->example);
		assert_true(key->standard || methods->default_text || strcmp(key->name, "address") == 0);
		assert_true(key->change == CHANGE_RESOLVED || (key->in_policy && methods->equal));
		assert_true(key->change != CHANGE_VALUES || methods->text);
		assert_true(!key->in_policy || config_section_has_name(key->section) || methods->copy);
		assert_true(!key->json || (key->section == CONFIG_FLOW && key->in_policy && methods->text));
		for (unsigned c = 0; c < key->choice_count; c++)
			assert_true(is_good(key, key->choices[c]));
	}
}

static void test_values(void **state)
{
	char text[VALUE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->example)
			assert_true(is_good(key, key->example));
		other_value(key, text);
		assert_true(is_good(key, text));
		assert_int_equal(is_good(key, ""), !(key->flags & KEY_REQUIRED));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "\n  %s", key->example ? key->example : "");
		if (key->example && !(key->flags & KEY_LIST))
			assert_false(is_good(key, text));
	}
}

static void test_bounds(void **state)
{
	char text[VALUE_TEXT_MAX];
	unsigned count = 0;

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		int64_t step = key->type == VALUE_DURATION ? 1000 : 1;

		if (key->type != VALUE_NUMBER && key->type != VALUE_DURATION)
			continue;
		for (int64_t number = key->least - step; number <= key->least + step; number += step) {
			format(key, number, text);
			assert_int_equal(is_good(key, text), number >= key->least);
		}
		for (int64_t number = key->most - step; number <= key->most + step; number += step) {
			format(key, number, text);
			assert_int_equal(is_good(key, text), number <= key->most);
		}
		count++;
	}
	assert_true(count >= 6);
}

static void make_with(struct policy *ret, const struct config_key *key, const char *value)
{
	char *text = text_with(key, value);

	free(make_policy(ret, text));
	assert_non_null(ret->roles);
	free(text);
}

static const void *object_of(const struct config_key *key, const struct policy *policy)
{
	return key->section == CONFIG_FLOW ? (const void *)policy_flow(policy, "license-out") : policy;
}

/* No other field of the section has changed, but for those of what stands beside the key in both. */
static void assert_others_equal(const struct config_key *key, const struct policy *plain, const struct policy *other)
{
	for (const struct config_key *beside = NULL; (beside = config_key_next(key->section, beside));)
		if (beside != key && beside->in_policy)
			assert_true(value_methods(beside)->equal(beside, object_of(beside, plain),
								 object_of(beside, other)));
}

/* What is shown of a value can be written; the default is, or there is none. */
static void assert_text(const struct config_key *key, const struct policy *plain, const struct policy *other)
{
	const struct value_methods *methods = value_methods(key);
	char text[VALUE_TEXT_MAX], standard[VALUE_TEXT_MAX];
	struct policy again;

	methods->text(key, object_of(key, other), text);
	make_with(&again, key, text);
	assert_true(methods->equal(key, object_of(key, &again), object_of(key, other)));
	policy_free(&again);
	methods->text(key, object_of(key, plain), text);
	if (!key->standard)
		methods->default_text(key, standard);
	assert_string_equal(text, key->standard ? "" : standard);
}

/* What is written is what the policy has, in the field that its name is of, and the default where nothing is. */
static void test_policy_has_it(void **state)
{
	char written[VALUE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		const struct value_methods *methods = value_methods(key);
		struct policy plain, other;

		if (!key->in_policy)
			continue;
		other_value(key, written);
		make_with(&plain, key, NULL);
		make_with(&other, key, written);
		assert_true(methods->equal(key, object_of(key, &plain), object_of(key, &plain)));
		assert_false(methods->equal(key, object_of(key, &plain), object_of(key, &other)));
		assert_others_equal(key, &plain, &other);
		if (methods->text)
			assert_text(key, &plain, &other);
		policy_free(&plain);
		policy_free(&other);
	}
}

/* Defaults and bounds, written down a second time. */
static void test_numbers(void **state)
{
	static const struct {
		enum config_section section;
		const char *key, *standard, *bounds;
	} numbers[] = {
		{ CONFIG_GATEWAY, "preset", "single-server", NULL },
		{ CONFIG_GATEWAY, "mode", "enforce", NULL },
		{ CONFIG_GATEWAY, "interception", "prevent", NULL },
		{ CONFIG_GATEWAY, "early_drop", "yes", NULL },
		{ CONFIG_GATEWAY, "log_group", "5", "Values are from 0 to 65535." },
		{ CONFIG_DNS, "min_interval", "30s", "Values are from 1s to 1d." },
		{ CONFIG_DNS, "max_interval", "15m", "Values are from 1s to 7d." },
		{ CONFIG_DNS, "grace", "1h", "Values are from 0s to 365d." },
		{ CONFIG_DNS, "stale", "7d", "Values are from 1s to 365d." },
		{ CONFIG_DNS, "observe", "yes", NULL },
		{ CONFIG_NAME, "family", "both", NULL },
		{ CONFIG_ROLE, "protected", "no", NULL },
		{ CONFIG_ROLE, "allow_private", "no", NULL },
		{ CONFIG_FLOW, "allow_private", "no", NULL },
		{ CONFIG_FLOW, "enabled", "yes", NULL },
		{ CONFIG_FLOW, "expect", "0s", "Values are from 1s to 365d." },
	};
	char text[VALUE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		const struct config_key *key = config_key_find(numbers[i].section, numbers[i].key);
		value_methods(key)->default_text(key, text);
		assert_string_equal(text, numbers[i].standard);
		assert_int_equal(value_methods(key)->bounds != NULL, numbers[i].bounds != NULL);
		if (numbers[i].bounds)
			value_methods(key)->bounds(key, text);
		assert_string_equal(text, numbers[i].bounds ? numbers[i].bounds : numbers[i].standard);
	}
}

struct report {
	const char *word;
	unsigned lines, with_word;
};

static void count_line(void *userdata, const struct policy_change *change)
{
	struct report *report = userdata;

	report->lines++;
	report->with_word += strstr(change->text, report->word) != NULL;
}

/* A reload reports that something changed, whatever the key; and nothing where it was written otherwise, or not at all.
 */
static void test_changes(void **state)
{
	char value[VALUE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		struct report report = { .word = key->name }, back = report, none = report;
		struct policy plain, other;

		other_value(key, value);
		make_with(&plain, key, NULL);
		make_with(&other, key, value);
		policy_diff(&plain, &other, count_line, &report);
		policy_diff(&other, &plain, count_line, &back);
		policy_diff(&other, &other, count_line, &none);
		if (!report.lines || !back.lines || none.lines ||
		    (key->change != CHANGE_RESOLVED && (report.with_word != 1 || back.with_word != 1)))
			fail_msg("[%s] %s = %s: %u lines there, %u back, %u for the same",
				 config_section_names[key->section], key->name, value, report.lines, back.lines,
				 none.lines);
		policy_free(&plain);
		policy_free(&other);
	}
}

/* The manual as the build made it, or as it came with the tarball. */
static char *read_manual(void)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], *text = calloc(1, 1 << 20);
	FILE *file = fopen("doc/spefw.ini.5", "r");

	assert_non_null(text);
	if (!file) {
		snprintf(path, sizeof(path), "%s/doc/spefw.ini.5", srcdir ? srcdir : ".");
		file = fopen(path, "r");
	}
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 1000);
	fclose(file);
	return text;
}

/* Each key has its entry in its section, with what it means, its bounds and its default. */
static void test_manual(void **state)
{
	char *manual = read_manual(), wanted[VALUE_TEXT_MAX], text[VALUE_TEXT_MAX];
	const char *at = strstr(manual, ".Sh SECTIONS");

	(void)state;
	assert_non_null(at);
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		const char *end;

		if (i == 0 || key->section != key[-1].section) {
			snprintf(wanted, sizeof(wanted), ".Ss [%s", config_section_names[key->section]);
			at = strstr(at, wanted);
			assert_non_null(at);
		}
		snprintf(wanted, sizeof(wanted), ".It Cm %s No = ", key->name);
		at = strstr(at, wanted);
		if (!at || !strstr(at, key->manual))
			fail_msg("%s is not in its place in the manual", key->name);
		at = strstr(at, key->manual) + strlen(key->manual);
		end = strstr(at, "\n.It ");
		if (value_methods(key)->bounds) {
			value_methods(key)->bounds(key, text);
			assert_memory_equal(at, text, strlen(text));
		}
		if (key->standard || value_methods(key)->default_text)
			assert_true(strstr(at, "Default:") && (!end || strstr(at, "Default:") < end));
	}
	free(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),          cmocka_unit_test(test_values),  cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_policy_has_it), cmocka_unit_test(test_numbers), cmocka_unit_test(test_changes),
		cmocka_unit_test(test_manual),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
