/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `export` makes of a daemon's replies: the document and its pages, compared with tests/golden-cli (written again
 * with UPDATE_GOLDEN=1 in the environment); and what nobody's text may do to a page. */
#include "export.h"
#include "screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct export_made made = { "2026-11-28T21:00:00Z", "spefwctl 0", "gw1" };

static struct export_replies replies_of(const json_t *object)
{
	return (struct export_replies){ json_object_get(object, "policy"), json_object_get(object, "status"),
					json_object_get(object, "flows"), json_object_get(object, "history"),
					json_object_get(object, "config") };
}

static char *golden_path(const char *name)
{
	const char *top = getenv("srcdir");
	char *path;

	assert_true(asprintf(&path, "%s/tests/golden-cli/%s", top ? top : ".", name) > 0);
	return path;
}

static json_t *read_json(const char *name)
{
	char *path = golden_path(name);
	json_t *value = json_load_file(path, 0, NULL);

	assert_non_null(value);
	free(path);
	return value;
}

static void compare(const char *name, const char *text)
{
	char *path = golden_path(name), *expected = calloc(1, 1 << 20);
	FILE *file;

	assert_non_null(expected);
	if (getenv("UPDATE_GOLDEN")) {
		file = fopen(path, "we");
		assert_non_null(file);
		fputs(text, file);
		assert_int_equal(fclose(file), 0);
	}
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(expected, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	assert_string_equal(text, expected);
	free(expected);
	free(path);
}

static char *page_of(void (*write)(FILE *out, const json_t *document), const json_t *document)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	write(out, document);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Of three replies, the document; of that, each page. The style sheet is no part of the comparison. */
static void test_pages(void **state)
{
	json_t *all = read_json("export-replies.json");
	const struct export_replies replies = replies_of(all);
	json_t *document = export_document(&made, &replies);

	(void)state;
	assert_non_null(document);
	char *text = json_dumps(document, JSON_INDENT(1));
	compare("export-live.json", text);
	free(text);
	text = page_of(export_markdown, document);
	compare("export-live.md", text);
	free(text);
	text = page_of(export_html, document);
	char *body = strstr(text, "<body>");
	assert_non_null(body);
	compare("export-live.html", body);
	free(text);
	json_decref(document);
	json_decref(all);
}

/* The verdict comes first, and by what matters most. */
static void test_verdicts(void **state)
{
	static const struct {
		const char *health, *mode;
		bool removed;
		const char *word;
	} cases[] = {
		{ "ok", "enforce", false, "**Guarded.**" },
		{ "degraded", "enforce", false, "**Guarded, with findings.**" },
		{ "ok", "audit", false, "**Audit mode.**" },
		{ "degraded", "audit", false, "**Audit mode.**" },
		{ "failed", "audit", false, "**Failed.**" },
		{ "failed", "enforce", true, "**Not guarded.**" },
		{ "failed", "enforce", false, "**Failed.**" },
		{ "strange", "enforce", false, "**Failed.**" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *policy = json_pack("{s:s}", "mode", cases[i].mode),
		       *status = json_pack("{s:s, s:b}", "health", cases[i].health, "removed", cases[i].removed);
		const struct export_replies replies = { .policy = policy, .status = status };
		json_t *document = export_document(&made, &replies);
		char *text = page_of(export_markdown, document);
		assert_non_null(strstr(text, cases[i].word));
		free(text);
		json_decref(document);
		json_decref(status);
		json_decref(policy);
	}
}

/* What is proven, and what is not, is told apart; where nothing is known of it, nothing is told. */
static void test_proofs(void **state)
{
	static const struct {
		const char *proof, *words;
	} cases[] = {
		{ "{\"state\": \"equal\", \"generation\": 41, \"cells\": 201344, \"took_ms\": 38}",
		  "**Proven.** Every packet that is not of an established connection ends, and is counted, in the "
		  "kernel's "
		  "table as this policy has it. That was proven for generation 41 over 201,344 classes of packets, "
		  "which "
		  "are all there are.\n" },
		{ "{\"state\": \"differs\", \"packet\": \"p\", \"wanted\": \"w\", \"found\": \"f\"}",
		  "**Not the policy.** That the kernel's table does what this policy says is not proven. A packet: p. "
		  "By "
		  "the policy: w. By the table: f.\n" },
		{ "{\"state\": \"not-proven\", \"why\": \"too large\"}",
		  "**Not proven.** That the kernel's table does what this policy says is not proven. too large.\n" },
		{ "{\"state\": \"strange\"}", "**Not proven.** " },
		{ "{\"state\": \"none\"}", "**Not guarded.** There is no table.\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *policy = json_object(), *proof = json_loads(cases[i].proof, 0, NULL),
		       *status = json_pack("{s:s, s:o}", "health", "ok", "proof", proof);
		const struct export_replies replies = { .policy = policy, .status = status };
		json_t *document = export_document(&made, &replies);
		char *text = page_of(export_markdown, document);
		assert_non_null(strstr(text, cases[i].words));
		free(text);
		json_decref(document);
		json_object_del(status, "proof");
		document = export_document(&made, &replies);
		text = page_of(export_markdown, document);
		assert_null(strstr(text, "roof"));
		assert_null(strstr(text, "roven"));
		free(text);
		json_decref(document);
		json_decref(status);
		json_decref(policy);
	}
}

/* Each string of it is another one. */
static json_t *replaced(const json_t *value, const char *text)
{
	json_t *other, *one;
	const char *key;
	size_t index;

	if (json_is_string(value))
		return json_string(text);
	if (json_is_array(value)) {
		other = json_array();
		json_array_foreach(value, index, one) json_array_append_new(other, replaced(one, text));
		return other;
	}
	if (!json_is_object(value))
		return json_incref((json_t *)value);
	other = json_object();
	json_object_foreach((json_t *)value, key, one) json_object_set_new(other, key, replaced(one, text));
	return other;
}

/* Elements that are open are closed again, each by its own end. */
static void check_elements(const char *html)
{
	static const char *const empty[] = { "meta", "rect", "path", "!DOCTYPE" };
	char open[64][16];
	size_t depth = 0;

	for (const char *at = strchr(html, '<'); at; at = strchr(at + 1, '<')) {
		char name[16] = "";
		bool is_empty = false;
		assert_int_equal(sscanf(at + 1, "%15[a-zA-Z0-9!/]", name), 1);
		for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
			is_empty |= strcmp(name, empty[i]) == 0;
		if (is_empty)
			continue;
		if (*name == '/') {
			assert_true(depth > 0);
			assert_string_equal(open[--depth], name + 1);
		} else {
			assert_true(depth < 64);
			strcpy(open[depth++], name);
		}
	}
	assert_int_equal(depth, 0);
}

static void test_hostile(void **state)
{
	static const char hostile[] = "<script>alert(1)</script>\"'&<b onclick=x>\033[31m\n| `x` [y](z) ![i](j)\n# h";
	json_t *all = read_json("export-replies.json"), *strange = replaced(all, hostile);
	/* So that all of it is shown. */
	json_t *flows = json_object_get(json_object_get(strange, "policy"), "flows"), *flow;
	size_t index;

	(void)state;
	json_array_foreach(flows, index, flow)
	{
		json_object_set_new(flow, "section", json_string("custom"));
		json_object_set_new(flow, "inbound", json_pack("[s]", hostile));
		json_object_set_new(flow, "outbound", json_pack("[s]", hostile));
	}
	const struct export_made by = { hostile, hostile, hostile };
	const struct export_replies replies = replies_of(strange);
	json_t *document = export_document(&by, &replies);
	char *html = page_of(export_html, document), *markdown = page_of(export_markdown, document);
	check_elements(html);
	assert_null(strstr(html, "<script"));
	assert_null(strstr(html, "<b "));
	assert_null(strchr(html, '\033'));
	assert_non_null(strstr(html, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
	assert_non_null(strstr(html, "class=\"ports\""));
	assert_null(strchr(markdown, '\033'));
	for (const char *at = strstr(markdown, "script"); at; at = strstr(at + 1, "script"))
		assert_memory_equal(at[-1] == '/' ? at - 3 : at - 2, "\\<", 2);
	for (const char *at = strchr(markdown, '`'); at; at = strchr(at + 1, '`'))
		assert_int_equal(at[-1], '\\');
	assert_null(strstr(markdown, "\n# h"));
	free(html);
	free(markdown);
	json_decref(document);
	json_decref(strange);
	json_decref(all);
}

/* A daemon that is none: nothing of a reply is there, or of its kind. */
static void test_strange(void **state)
{
	static const char more[] = "{\"flows\": [{}, 1, {\"enabled\": true}], \"names\": [[]], \"config\": [],"
				   " \"roles\": [{\"protected\": true}], \"blocked\": {\"findings\": [1]}}";
	const char *const texts[] = { "{}", "{\"flows\": 1, \"roles\": [1, {}], \"reasons\": {}, \"server\": {}}",
				      more };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *reply = json_loads(texts[i], 0, NULL);
		const struct export_replies replies = { reply, reply, reply, reply, reply };
		json_t *document = export_document(&made, &replies);
		char *html = page_of(export_html, document), *markdown = page_of(export_markdown, document);
		check_elements(html);
		free(html);
		free(markdown);
		json_decref(document);
		json_decref(reply);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),   cmocka_unit_test(test_verdicts), cmocka_unit_test(test_proofs),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_strange),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
