/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* What is proven of the table. */

bool proof_is(const json_t *proof, const char *state)
{
	return strcmp(json_text_of(proof, "state"), state) == 0;
}

/* "24 cells, 38 ms" */
static void add_cost(struct text *text, const json_t *proof)
{
	char cells[32];

	text_add(text, "%s cells, %lld ms", format_count(json_number_of(proof, "cells"), cells),
		 (long long)json_number_of(proof, "took_ms"));
}

static void add_generation(struct text *text, const json_t *proof)
{
	char number[32];

	text_add(text, ", generation %s", format_count(json_number_of(proof, "generation"), number));
}

void text_add_proof(struct text *text, const json_t *proof, bool cost)
{
	bool equal = proof_is(proof, "equal");

	text_add(text, equal ? "equal for all packets" : proof_is(proof, "differs") ? "not the policy" : "not known");
	if (equal && cost) {
		text_add(text, ", ");
		add_cost(text, proof);
	}
	add_generation(text, proof);
}

static void print_fact(const struct ctl *ctl, struct facts *facts)
{
	bool failed = facts->failed;

	facts_print(facts, &ctl->screen);
	if (failed)
		ctl_error(ctl, "out of memory");
}

static void add_fact(struct facts *facts, const char *label, struct text *text)
{
	if (text->length)
		facts_add(facts, label, TONE_PLAIN, text);
	text_free(text);
}

/* "dropped, counted by denied-in (line 12)" */
static void add_fate(struct facts *facts, const char *label, const json_t *proof, const char *fate, const char *line)
{
	struct text text = { 0 };

	text_add(&text, "%s", json_text_of(proof, fate));
	if (json_number_of(proof, line))
		text_add(&text, " (line %lld)", (long long)json_number_of(proof, line));
	add_fact(facts, label, &text);
}

static void print_packet(const struct ctl *ctl, const json_t *proof)
{
	int64_t rule = json_number_of(proof, "rule"), handle = json_number_of(proof, "handle");
	const char *chain = json_text_of(proof, "chain");
	struct facts facts = { 0 };
	struct text text = { 0 };

	text_add(&text, "%s", json_text_of(proof, "packet"));
	add_fact(&facts, "packet", &text);
	add_fate(&facts, "policy", proof, "wanted", "line");
	add_fate(&facts, "table", proof, "found", "found_line");
	if (*chain)
		text_add(&text, "table inet spefw, chain %s", chain);
	if (*chain && rule)
		text_add(&text, ", rule %lld", (long long)rule);
	if (*chain && handle)
		text_add(&text, ", handle %lld", (long long)handle);
	add_fact(&facts, "rule", &text);
	text_add(&text, "%s", json_text_of(proof, "why"));
	add_fact(&facts, "why", &text);
	print_fact(ctl, &facts);
}

void text_verify(const struct ctl *ctl, const json_t *reply)
{
	static const char outside[] = "what this does not cover: established connections (cut when denied), other "
				      "tables (spefwctl doctor), the kernel's own lookup of sets";
	const json_t *proof = json_object_get(reply, "proof");
	bool equal = proof_is(proof, "equal"), differs = proof_is(proof, "differs");
	struct text text = { 0 };

	if (equal)
		text_add(&text, "equal for all packets: ");
	else if (differs)
		text_add(&text, "the table is not the policy: ");
	else
		text_add(&text, "not proven");
	if (equal || differs) {
		add_cost(&text, proof);
		add_generation(&text, proof);
	}
	screen_paragraph(&ctl->screen, 0, 0,
			 equal     ? TONE_GOOD
			 : differs ? TONE_BAD
				   : TONE_WARNING,
			 text_of(&text), TONE_PLAIN, "");
	if (text.failed)
		ctl_error(ctl, "out of memory");
	text_free(&text);
	if (!equal)
		print_packet(ctl, proof);
	screen_paragraph(&ctl->screen, 0, 0, TONE_FAINT, outside, TONE_PLAIN, "");
}
