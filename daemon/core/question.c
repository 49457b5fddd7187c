/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "question.h"
#include "environment.h"
#include "flow_index.h"

#include <string.h>

static unsigned find_role(const struct question *question, const struct addr *addr)
{
	const struct role_range *items = question->set;
	size_t low = 0, high = question->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (addr_compare(addr, &items[middle].range.first) < 0)
			high = middle;
		else if (addr_compare(addr, &items[middle].range.last) > 0)
			low = middle + 1;
		else
			return items[middle].role + 1;
	}
	return 0;
}

static bool find_name(const struct question *question, const struct addr *addr)
{
	const struct name_addresses *list = &((const struct name_addresses *)question->set)[addr->family];
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = addr_compare(&list->items[middle].addr, addr);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

unsigned question_of_addr(const struct question *question, const struct addr *addr)
{
	switch (question->kind) {
	case QUESTION_RANGES: return ranges_contains(question->set, addr);
	case QUESTION_NAME: return find_name(question, addr);
	case QUESTION_ROLE: return find_role(question, addr);
	default: return 0;
	}
}

static unsigned find_segment(const struct question *question, uint16_t port)
{
	const struct port_segment *items = question->set;
	size_t low = 0, high = question->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (port < items[middle].ports.first)
			high = middle;
		else if (port > items[middle].ports.last)
			low = middle + 1;
		else
			return (unsigned)middle + 1;
	}
	return 0;
}

unsigned question_of_port(const struct question *question, uint16_t port)
{
	const struct port_range *ranges = question->set;

	if (question->kind == QUESTION_SEGMENT)
		return find_segment(question, port);
	for (size_t i = 0; i < question->count; i++)
		if (port >= ranges[i].first && port <= ranges[i].last)
			return 1;
	return 0;
}

unsigned question_of_byte(const struct question *question, uint8_t byte)
{
	return question->count && memchr(question->set, byte, question->count) != NULL;
}

unsigned question_of_interface(const struct question *question, const char *name)
{
	const struct interface_list *list = question->set;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->names[i], name) == 0)
			return 1;
	return question->bits && strcmp(name, "lo") == 0;
}
