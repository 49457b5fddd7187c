/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

enum { MAX = 4096 };

static void check(int condition)
{
	if (!condition)
		abort();
}

/* What can be read can be written, and reads back as the same. */
static void check_round_trip(const json_t *message)
{
	struct wire_buffer buffer = { 0 };
	json_t *back;

	if (wire_put(&buffer, message, (size_t)64 * MAX) == 0) {
		check(wire_take(&buffer, (size_t)64 * MAX, &back) == 1);
		check(json_equal(message, back));
		check(wire_length(&buffer) == 0);
		json_decref(back);
	}
	wire_buffer_free(&buffer);
}

static void read_both(const json_t *message)
{
	struct wire_call call;
	struct wire_reply reply;

	if (wire_read_call(message, &call) == 0)
		check(call.method && (!call.parameters || json_is_object(call.parameters)) &&
		      !(call.oneway && call.more));
	if (wire_read_reply(message, &reply) == 0)
		check(!reply.parameters || json_is_object(reply.parameters));
	check_round_trip(message);
}

/* The first byte is the size of the parts in which the rest arrives. */
int fuzz_one(const uint8_t *data, size_t size)
{
	struct wire_buffer buffer = { 0 };
	size_t piece, room;
	json_t *message;
	int r = 0;

	if (size == 0)
		return 0;
	piece = data[0] ? data[0] : 4096;
	for (size_t at = 1; at < size && r >= 0; at += piece) {
		char *bytes = wire_room(&buffer, &room);
		size_t count = size - at < piece ? size - at : piece;
		if (!bytes)
			break;
		memcpy(bytes, data + at, count);
		wire_filled(&buffer, count);
		while ((r = wire_take(&buffer, MAX, &message)) > 0) {
			read_both(message);
			json_decref(message);
		}
		check(r < 0 || wire_length(&buffer) < MAX);
	}
	wire_buffer_free(&buffer);
	return 0;
}
