/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "health.h"
#include "array.h"
#include "printable.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct health_kind health_kinds[HEALTH_CODES] = {
#define HEALTH_KIND(code, name, failed, meaning) { name, failed, meaning },
	HEALTH_REASONS(HEALTH_KIND)
#undef HEALTH_KIND
};

void health_add(struct health *health, enum health_code code, const char *format, ...)
{
	struct health_reason reason = { .code = code };
	va_list arguments;

	va_start(arguments, format);
	int length = vasprintf(&reason.text, format, arguments);
	va_end(arguments);
	if (length >= 0)
		make_printable(reason.text);
	if (length >= 0 && ARRAY_PUSH(&health->reasons, reason) == 0)
		return;
	if (length >= 0)
		free(reason.text);
	health->out_of_memory = true;
}

bool health_has(const struct health *health, enum health_code code)
{
	for (size_t i = 0; i < health->reasons.count; i++)
		if (health->reasons.items[i].code == code)
			return true;
	return false;
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
		free(health->reasons.items[i].text);
	free(health->reasons.items);
	*health = (struct health){ 0 };
}
