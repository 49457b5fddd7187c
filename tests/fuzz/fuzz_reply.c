// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: what answers on the control socket, to spefwctl, which may be another program's socket by mistake. The
 * first byte says what was asked for; the rest comes in pieces, as from a socket, and is shown with both faces.
 * Whatever it is, the text for people must not steer a terminal, and the one for programs must be JSON. */
#include "ctl.h"
#include "output.h"
#include "control/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t size);

enum { PIECE = 97 };

static void show(const struct ctl *ctl, uint8_t verb, const json_t *reply)
{
	switch (verb % 8) {
	case 0: ctl->output->status(ctl, reply); break;
	case 1: ctl->output->flows(ctl, reply); break;
	case 2: ctl->output->names(ctl, reply); break;
	case 3: ctl->output->reload(ctl, reply); break;
	case 4: ctl->output->clear(ctl, reply); break;
	case 5: ctl->output->not_running(ctl, reply, NULL); break;
	case 6: ctl->output->doctor(ctl, reply); break;
	default: metrics_print(ctl->screen.file, reply); break;
	}
}

/* No control character but the end of a line, neither of ASCII nor of Latin-1. JSON leaves the last of ASCII, DEL, as
 * it is. */
static void check_text(const char *text, size_t length, bool json)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i], next = i + 1 < length ? (unsigned char)text[i + 1] : 0;
		if ((c < ' ' && c != '\n') || (c == 0x7f && !json) || (c == 0xc2 && next < 0xa0) || (json && c > 0x7f))
			abort();
	}
}

static void show_both(uint8_t verb, const json_t *reply)
{
	static const struct output *const faces[] = { &output_text, &output_json };

	for (int face = 0; face < 2; face++) {
		char *text = NULL;
		size_t length;
		FILE *out = open_memstream(&text, &length), *err = fopen("/dev/null", "we");
		if (!out || !err)
			abort();
		struct ctl_world world = { .out = out, .err = err, .spefwd = "/nonexistent" };
		struct ctl ctl = { .world = &world,
				   .screen = { .file = out, .width = verb & 0x80 ? 80 : 0 },
				   .output = faces[face],
				   .socket = "s",
				   .json = face == 1 };
		show(&ctl, verb, reply);
		fclose(err);
		fclose(out);
		check_text(text, length, face == 1 && verb % 8 != 7);
		free(text);
	}
}

int fuzz_one(const uint8_t *bytes, size_t size)
{
	struct wire_buffer in = { 0 };
	json_t *message = NULL;
	int r = 0;

	for (size_t at = 1; at < size && r == 0;) {
		size_t room, length = size - at < PIECE ? size - at : PIECE;
		char *to = wire_room(&in, &room);
		if (!to)
			abort();
		length = length < room ? length : room;
		memcpy(to, bytes + at, length);
		wire_filled(&in, length);
		at += length;
		r = wire_take(&in, SPEFW_REPLY_MAX, &message);
	}
	if (r > 0) {
		struct wire_reply reply;
		if (wire_read_reply(message, &reply) == 0 && !reply.error && reply.parameters)
			show_both(bytes[0], reply.parameters);
		json_decref(message);
	}
	wire_buffer_free(&in);
	return 0;
}
