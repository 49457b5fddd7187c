/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unfit.h"

#include <string.h>

static const struct unfit {
	uint8_t family, length, bytes[16];
	bool is_private;
	const char *reason;
} unfit_networks[] = {
	{ FAMILY_4, 32, { 255, 255, 255, 255 }, false, "broadcast" },
	{ FAMILY_4, 8, { 0 }, false, "unspecified" },
	{ FAMILY_4, 8, { 127 }, false, "loopback" },
	{ FAMILY_4, 16, { 169, 254 }, false, "link-local" },
	{ FAMILY_4, 4, { 224 }, false, "multicast" },
	{ FAMILY_4, 4, { 240 }, false, "reserved" },
	{ FAMILY_4, 8, { 10 }, true, "private" },
	{ FAMILY_4, 12, { 172, 16 }, true, "private" },
	{ FAMILY_4, 16, { 192, 168 }, true, "private" },
	{ FAMILY_4, 10, { 100, 64 }, true, "private" },
	{ FAMILY_6, 128, { 0 }, false, "unspecified" },
	{ FAMILY_6, 128, { [15] = 1 }, false, "loopback" },
	{ FAMILY_6, 96, { [10] = 0xff, 0xff }, false, "IPv4-mapped" },
	{ FAMILY_6, 96, { 0 }, false, "IPv4-compatible" },
	{ FAMILY_6, 10, { 0xfe, 0x80 }, false, "link-local" },
	{ FAMILY_6, 8, { 0xff }, false, "multicast" },
	{ FAMILY_6, 7, { 0xfc }, true, "private" },
	{ FAMILY_6, 10, { 0xfe, 0xc0 }, true, "private" }, /* site-local, of old */
};

static bool in_network(const struct addr *addr, const struct unfit *network)
{
	size_t whole = network->length / 8;
	unsigned rest = network->length % 8;

	if (addr->family != network->family || memcmp(addr->bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || (addr->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}

const char *address_unfit(const struct addr *addr, bool allow_private)
{
	for (size_t i = 0; i < sizeof(unfit_networks) / sizeof(unfit_networks[0]); i++)
		if (!(unfit_networks[i].is_private && allow_private) && in_network(addr, &unfit_networks[i]))
			return unfit_networks[i].reason;
	return NULL;
}
