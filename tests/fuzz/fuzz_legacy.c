// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: a table of iptables-legacy as the kernel's interface gives it, to its reader and to the search for rules
 * that could stop or intercept a flow. The first byte: which family; then struct ipt_getinfo, then the entries. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static struct {
	const uint8_t *bytes;
	size_t left;
} input;

static int from_input(int option, void *value, socklen_t *size);

#define getsockopt(fd, level, option, value, size) ((void)(fd), (void)(level), from_input(option, value, size))
#include "../../doctor/legacy.c"
#undef getsockopt

#include "fuzz_policy.h"

int fuzz_one(const uint8_t *bytes, size_t size);

/* The kernel gives just as many bytes of entries as it has announced before. */
static int from_input(int option, void *value, socklen_t *size)
{
	struct ipt_getinfo *info = value;
	struct ipt_get_entries *entries = value;

	if (option == GET_INFO) {
		size_t length = input.left < sizeof(*info) ? input.left : sizeof(*info);
		memcpy(info, input.bytes, length);
		input.bytes += length;
		input.left -= length;
		info->size = (unsigned)input.left;
		info->name[sizeof(info->name) - 1] = '\0';
	} else {
		memcpy(entries->entrytable, input.bytes, *size - offsetof(struct ipt_get_entries, entrytable));
	}
	return 0;
}

int fuzz_one(const uint8_t *bytes, size_t size)
{
	struct foreign_tables tables = { 0 };

	if (size < 1)
		return 0;
	input.bytes = bytes + 1;
	input.left = size - 1;
	if (read_table(-1, bytes[0] & 1 ? FAMILY_6 : FAMILY_4, "filter", &tables) == 0)
		judge_foreign(&tables);
	foreign_tables_free(&tables);
	return 0;
}
