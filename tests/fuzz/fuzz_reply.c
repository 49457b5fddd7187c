// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: what answers on the control socket, to spefwctl, which may be another program's socket by mistake. The
 * first byte is what screen it is; the rest comes in parts, as from a socket, and is shown as a reply to each
 * verb. Whatever it is, the text for people must not steer a terminal, and the one for programs must be JSON. */
#include "ctl.h"
#include "export.h"
#include "output.h"
#include "control/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t size);

enum { PIECE = 97, NARROW = 0x80, VERBOSE = 0x40, UTF8 = 0x20 };

/* As the reply to each verb, and as what the kernel holds without a daemon. */
static void show(struct ctl *ctl, const json_t *reply)
{
	for (size_t i = 0; i < verb_count; i++) {
		ctl->verb = &verbs[i];
		if (ctl->verb->text)
			ctl->output->reply(ctl, reply);
	}
	ctl->output->not_running(ctl, reply, "unknown");
}

/* As the replies that a page is made of. */
static void show_pages(FILE *out, json_t *reply)
{
	const struct export_replies replies = { reply, reply, reply, reply, reply };
	const struct export_made made = { "2026-11-28T21:00:00Z", "spefwctl", "gateway" };
	json_t *document = export_document(&made, &replies);

	if (!document)
		abort();
	export_html(out, document);
	export_markdown(out, document);
	json_decref(document);
}

/* No control character but the end of a line, and tabs of a ruleset; neither of ASCII nor of Latin-1. JSON leaves the
 * last of ASCII, DEL, as it is. */
static void check_text(const char *text, size_t length, bool json)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i], next = i + 1 < length ? (unsigned char)text[i + 1] : 0;
		if ((c < ' ' && c != '\n' && (c != '\t' || json)) || (c == 0x7f && !json) ||
		    (c == 0xc2 && next < 0xa0) || (json && c > 0x7f))
			abort();
	}
}

static void show_both(uint8_t byte, json_t *reply)
{
	static const struct output *const faces[] = { &output_text, &output_json };

	for (int face = 0; face < 2; face++) {
		char *text = NULL;
		size_t length;
		FILE *out = open_memstream(&text, &length), *err = fopen("/dev/null", "we");
		if (!out || !err)
			abort();
		struct ctl_environment environment = { .out = out, .err = err, .spefwd = "/nonexistent" };
		struct ctl ctl = {
			.environment = &environment,
			.screen = { .file = out, .width = byte & NARROW ? 80 : 0, .utf8 = (byte & UTF8) != 0 },
			.output = faces[face]
		};
		ctl.values[OPTION_VERBOSE] = byte & VERBOSE ? "" : NULL;
		show(&ctl, reply);
		if (face == 0)
			show_pages(out, reply);
		fclose(err);
		fclose(out);
		check_text(text, length, face == 1);
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
