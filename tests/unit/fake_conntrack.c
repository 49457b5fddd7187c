/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_conntrack.h"

#include <string.h>

enum { ROOM = 256 };

static struct tracked table[ROOM];
static size_t count;
int fake_conntrack_error;
size_t fake_conntrack_looks;

void fake_conntrack_reset(void)
{
	count = 0;
	fake_conntrack_error = 0;
	fake_conntrack_looks = 0;
}

void fake_conntrack_add(const struct tracked *tracked)
{
	if (count < ROOM)
		table[count++] = *tracked;
}

size_t fake_conntrack_count(void)
{
	return count;
}

static bool is_of(const struct ranges *addresses, const struct tracked *tracked)
{
	return ranges_contains(addresses, &tracked->packet.source) ||
	       ranges_contains(addresses, &tracked->packet.target);
}

int conntrack_look(const struct ranges *addresses, void (*see)(void *userdata, const struct tracked *tracked),
		   void *userdata)
{
	fake_conntrack_looks++;
	if (fake_conntrack_error)
		return fake_conntrack_error;
	for (size_t i = 0; i < count; i++)
		if (is_of(addresses, &table[i]))
			see(userdata, &table[i]);
	return 0;
}

int conntrack_cut(const struct ranges *addresses, bool (*cut)(void *userdata, const struct tracked *tracked),
		  void (*ready)(void *userdata), void *userdata, size_t *ret_cut)
{
	bool doomed[ROOM] = { false };
	size_t kept = 0;

	*ret_cut = 0;
	if (fake_conntrack_error)
		return fake_conntrack_error;
	for (size_t i = 0; i < count; i++)
		doomed[i] = is_of(addresses, &table[i]) && cut(userdata, &table[i]);
	ready(userdata);
	for (size_t i = 0; i < count; i++) {
		*ret_cut += doomed[i];
		if (!doomed[i])
			table[kept++] = table[i];
	}
	count = kept;
	return 0;
}
