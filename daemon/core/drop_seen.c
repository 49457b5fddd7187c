/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drop_seen.h"

static bool has_target(const struct drop *drop, const struct addr *target)
{
	if (!drop->many_targets)
		return addr_compare(&drop->packet.target, target) == 0;
	for (unsigned i = 0; i < drop->spread->target_count; i++)
		if (addr_compare(&drop->spread->targets[i], target) == 0)
			return true;
	return false;
}

static bool has_port(const struct drop *drop, const struct packet *packet)
{
	uint16_t port = packet->target_port;

	if (!drop->many_ports)
		return drop->packet.protocol == packet->protocol && drop->packet.target_port == port;
	if (!(drop->spread->protocols & 1u << packet->protocol))
		return false;
	return packet->protocol == PROTOCOL_ICMP_ECHO || drop->spread->ports[port / 8] & 1 << port % 8;
}

bool drop_seen(const struct drop_table *table, const struct packet *packet, struct drop_seen *ret)
{
	bool found = false;

	*ret = (struct drop_seen){ 0 };
	for (size_t i = 0; i < table->count; i++) {
		const struct drop *drop = &table->items[i];
		if (addr_compare(&drop->packet.source, &packet->source) != 0 || drop->packet.mid_stream ||
		    !has_target(drop, &packet->target) || !has_port(drop, packet))
			continue;
		if (!found || drop->last_ms > ret->last_ms)
			ret->last_ms = drop->last_ms;
		ret->count += drop->count;
		ret->spread |= drop->spread != NULL;
		found = true;
	}
	return found;
}
