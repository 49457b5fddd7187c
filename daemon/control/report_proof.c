/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_proof.h"
#include "control/wire.h"

static int add_text(json_t *out, const char *key, const char *text)
{
	return *text ? json_object_set_new(out, key, json_printable(text)) : 0;
}

static int add_number(json_t *out, const char *key, uint64_t number)
{
	return number ? json_object_set_new(out, key, json_integer((json_int_t)number)) : 0;
}

json_t *report_proof(const struct seal_finding *finding, uint64_t generation)
{
	json_t *out = json_pack("{s:s, s:I, s:I, s:I}", "state", seal_state_words[finding->state], "generation",
				(json_int_t)generation, "cells", (json_int_t)finding->cells, "took_ms",
				(json_int_t)((finding->took_us + 999) / 1000));
	int r = out ? 0 : -1;

	if (r == 0)
		r = add_text(out, "packet", finding->packet);
	if (r == 0)
		r = add_text(out, "wanted", finding->wanted);
	if (r == 0)
		r = add_text(out, "found", finding->found);
	if (r == 0)
		r = add_number(out, "line", finding->line);
	if (r == 0)
		r = add_number(out, "found_line", finding->found_line);
	if (r == 0)
		r = add_text(out, "chain", finding->chain);
	if (r == 0 && finding->chain[0])
		r = add_number(out, "rule", finding->rule + 1);
	if (r == 0)
		r = add_number(out, "handle", finding->handle);
	if (r == 0)
		r = add_text(out, "why", finding->why);
	if (r == 0)
		return out;
	json_decref(out);
	return NULL;
}
