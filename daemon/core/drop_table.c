/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drop_table.h"
#include "array.h"

#include <string.h>

static bool has_ports(const struct packet *packet)
{
	return packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP;
}

static bool same_port(const struct packet *a, const struct packet *b)
{
	return a->protocol == b->protocol && a->target_port == b->target_port && a->mid_stream == b->mid_stream;
}

/* What was denied, and what would have been, is never one row. */
static bool same_source(const struct drop *drop, const struct drop *like)
{
	return drop->near == like->near && drop->audit == like->audit &&
	       addr_compare(&drop->packet.source, &like->packet.source) == 0;
}

static bool same_target(const struct drop *drop, const struct packet *packet)
{
	return addr_compare(&drop->packet.target, &packet->target) == 0;
}

static bool belongs(const struct drop *drop, const struct drop *like)
{
	return same_source(drop, like) && (drop->many_targets || same_target(drop, &like->packet)) &&
	       (drop->many_ports || same_port(&drop->packet, &like->packet));
}

static struct drop *find(const struct drop_table *table, const struct drop *like)
{
	for (size_t i = 0; i < table->count; i++)
		if (belongs(&table->items[i], like))
			return &table->items[i];
	return NULL;
}

static void remove_at(struct drop_table *table, size_t index)
{
	free(table->items[index].spread);
	table->items[index] = table->items[--table->count];
}

static void forget_at(struct drop_table *table, size_t index)
{
	if (table->items[index].serial > table->lost_serial)
		table->lost_serial = table->items[index].serial;
	remove_at(table, index);
}

/* What a row of many has seen. */

static void spread_target(struct drop_spread *spread, const struct addr *target)
{
	for (unsigned i = 0; i < spread->target_count; i++)
		if (addr_compare(&spread->targets[i], target) == 0)
			return;
	if (spread->target_count < DROP_TARGETS)
		spread->targets[spread->target_count++] = *target;
	else
		spread->more_targets = true;
}

static void spread_port(struct drop_spread *spread, uint16_t port)
{
	uint8_t *byte = &spread->ports[port / 8], bit = (uint8_t)(1 << port % 8);

	spread->port_count += !(*byte & bit);
	*byte |= bit;
}

static void spread_packet(struct drop_spread *spread, const struct packet *packet)
{
	spread_target(spread, &packet->target);
	if (has_ports(packet))
		spread_port(spread, packet->target_port);
	spread->protocols |= 1u << packet->protocol;
}

static void spread_merge(struct drop_spread *spread, const struct drop_spread *more)
{
	for (unsigned port = 0; port < 65536; port++)
		if (more->ports[port / 8] & 1 << port % 8)
			spread_port(spread, (uint16_t)port);
	for (unsigned i = 0; i < more->target_count; i++)
		spread_target(spread, &more->targets[i]);
	spread->more_targets |= more->more_targets;
	spread->protocols |= more->protocols;
}

/* Many rows that become one. */

static void absorb(struct drop *into, const struct drop *row)
{
	if (row->spread)
		spread_merge(into->spread, row->spread);
	else
		spread_packet(into->spread, &row->packet);
	into->first_ms = row->first_ms < into->first_ms ? row->first_ms : into->first_ms;
	into->count += row->count;
}

/* Of one source: rows of the same target, of the same port, and all of them; such as were folded already weigh more. */
static void count_alike(const struct drop_table *table, const struct drop *like, unsigned *ret_target,
			unsigned *ret_port, unsigned *ret_all)
{
	*ret_target = *ret_port = *ret_all = 0;
	for (size_t i = 0; i < table->count; i++) {
		const struct drop *row = &table->items[i];
		if (!same_source(row, like))
			continue;
		*ret_all += row->spread ? DROP_FOLD : 1;
		*ret_target += !row->spread && same_target(row, &like->packet);
		*ret_port += !row->spread && same_port(&row->packet, &like->packet);
	}
}

static size_t least_recent(const struct drop_table *table, bool spread, bool near, size_t *ret_count)
{
	size_t least = SIZE_MAX;

	*ret_count = 0;
	for (size_t i = 0; i < table->count; i++) {
		const struct drop *row = &table->items[i];
		if (spread ? !row->spread : row->near != near)
			continue;
		++*ret_count;
		if (least == SIZE_MAX || row->serial < table->items[least].serial)
			least = i;
	}
	return least;
}

/* A row of its own. */
static struct drop *add_row(struct drop_table *table, const struct drop *row)
{
	size_t count, least = least_recent(table, false, row->near, &count);

	if (count >= DROP_ROWS)
		forget_at(table, least);
	return ARRAY_PUSH(table, *row) < 0 ? NULL : &table->items[table->count - 1];
}

/* One row instead of all that belong to it; NULL: there are not that many yet, or there is no memory. */
static struct drop *fold(struct drop_table *table, const struct drop *row)
{
	unsigned target, port, all;
	struct drop wide = *row;
	size_t count, least = least_recent(table, true, false, &count);

	count_alike(table, row, &target, &port, &all);
	bool everything = all >= 4 * DROP_FOLD;
	wide.many_ports = everything || target >= DROP_FOLD;
	wide.many_targets = everything || (!wide.many_ports && port >= DROP_FOLD);
	if (!wide.many_ports && !wide.many_targets)
		return NULL;
	wide.spread = calloc(1, sizeof(*wide.spread));
	if (!wide.spread)
		return NULL;
	if (count >= DROP_SPREADS && !everything)
		forget_at(table, least);
	for (size_t i = table->count; i-- > 0;) {
		const struct drop *old = &table->items[i];
		if (!same_source(old, row) || (!wide.many_targets && !same_target(old, &row->packet)) ||
		    (!wide.many_ports && !same_port(&old->packet, &row->packet)) || (old->spread && !everything))
			continue;
		absorb(&wide, old);
		remove_at(table, i);
	}
	struct drop *added = add_row(table, &wide);
	if (!added)
		free(wide.spread);
	return added;
}

const struct drop *drop_table_add(struct drop_table *table, const struct denial *denial, bool near, bool audit,
				  int64_t now_ms)
{
	const struct packet *packet = &denial->packet;
	struct drop fresh = { .packet = *packet, .near = near, .audit = audit, .first_ms = now_ms };
	struct drop *row = find(table, &fresh);

	table->serial++;
	if (!row) {
		row = fold(table, &fresh);
		if (!row)
			row = add_row(table, &fresh);
	}
	if (!row)
		return NULL;
	if (row->spread)
		spread_packet(row->spread, packet);
	row->packet = *packet;
	row->kind = denial->kind;
	row->from_gateway = denial->from_gateway;
	row->last_ms = now_ms;
	row->serial = table->serial;
	row->count++;
	return row;
}

void drop_table_free(struct drop_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->items[i].spread);
	free(table->items);
	*table = (struct drop_table){ 0 };
}

unsigned drop_ports(const struct drop *drop)
{
	if (drop->spread)
		return drop->spread->port_count;
	return has_ports(&drop->packet);
}

unsigned drop_targets(const struct drop *drop)
{
	return drop->spread ? drop->spread->target_count : 1;
}

static int newer_first(const void *a, const void *b)
{
	uint64_t x = (*(const struct drop *const *)a)->serial, y = (*(const struct drop *const *)b)->serial;
	return (x < y) - (x > y);
}

size_t drop_table_since(const struct drop_table *table, uint64_t serial, const struct drop **ret, size_t most,
			size_t *ret_all)
{
	const struct drop *rows[2 * DROP_ROWS + 1];
	size_t count = 0;

	for (size_t i = 0; i < table->count; i++)
		if (table->items[i].serial > serial)
			rows[count++] = &table->items[i];
	if (count)
		qsort(rows, count, sizeof(*rows), newer_first);
	*ret_all = count;
	size_t taken = count < most ? count : most;
	if (taken)
		memcpy(ret, rows, taken * sizeof(*rows));
	return taken;
}
