/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "health.h"
#include "array.h"
#include "printable.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct health_kind health_kinds[HEALTH_CODES] = {
#define HEALTH_KIND(code, name, failed, meaning, remedy) { name, failed, meaning, remedy },
	HEALTH_REASONS(HEALTH_KIND)
#undef HEALTH_KIND
};

/* The remedy of the table for a terminal: without backquotes, and with value for what is between angles (NULL: nothing
 * is).
 */
static char *remedy_text(const char *remedy, const char *value)
{
	const char *open = strchr(remedy, '<'), *rest = open ? strchr(open, '>') + 1 : "";
	char *text = NULL;

	if (asprintf(&text, "%.*s%s%s", (int)strcspn(remedy, "<"), remedy, value ? value : "", rest) < 0)
		return NULL;
	char *to = text;
	for (const char *from = text; *from; from++)
		if (*from != '`')
			*to++ = *from;
	*to = '\0';
	make_printable(text);
	return text;
}

static char *formatted(const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	make_printable(text);
	return text;
}

static void release(struct health_reason *reason)
{
	free(reason->text);
	free(reason->remedy);
}

void health_add(struct health *health, enum health_code code, const char *format, ...)
{
	const char *remedy = health_kinds[code].remedy;
	bool whole = remedy[0] && !strchr(remedy, '<');
	va_list arguments;

	va_start(arguments, format);
	struct health_reason reason = { code, formatted(format, arguments), whole ? remedy_text(remedy, NULL) : NULL };
	va_end(arguments);
	if (reason.text && (reason.remedy || !whole) && ARRAY_PUSH(&health->reasons, reason) == 0)
		return;
	release(&reason);
	health->out_of_memory = true;
}

void health_fill(struct health *health, const char *value)
{
	if (!health->reasons.count)
		return;
	struct health_reason *reason = &health->reasons.items[health->reasons.count - 1];
	free(reason->remedy);
	reason->remedy = remedy_text(health_kinds[reason->code].remedy, value);
}

void health_keep(struct health *health, bool (*wanted)(enum health_code code))
{
	size_t kept = 0;

	for (size_t i = 0; i < health->reasons.count; i++) {
		if (wanted(health->reasons.items[i].code))
			health->reasons.items[kept++] = health->reasons.items[i];
		else
			release(&health->reasons.items[i]);
	}
	health->reasons.count = kept;
}

bool health_has(const struct health *health, enum health_code code)
{
	for (size_t i = 0; i < health->reasons.count; i++)
		if (health->reasons.items[i].code == code)
			return true;
	return false;
}

_Static_assert(HEALTH_CODES <= 64, "the codes fit a mask");

uint64_t health_mask(const struct health *health)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < health->reasons.count; i++)
		mask |= UINT64_C(1) << health->reasons.items[i].code;
	return mask;
}

const char *health_word(const struct health *health)
{
	for (size_t i = 0; i < health->reasons.count; i++)
		if (health_kinds[health->reasons.items[i].code].failed)
			return "failed";
	return health->reasons.count || health->out_of_memory ? "degraded" : "ok";
}

void health_free(struct health *health)
{
	for (size_t i = 0; i < health->reasons.count; i++)
		release(&health->reasons.items[i]);
	free(health->reasons.items);
	*health = (struct health){ 0 };
}
