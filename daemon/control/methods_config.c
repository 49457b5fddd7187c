/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods.h"
#include "control/methods_change.h"
#include "control/wire.h"
#include "core/base64.h"
#include "gateway/config_pieces.h"

#include <errno.h>
#include <spefw/protocol.h>
#include <stdlib.h>
#include <string.h>

/* Config, whose replies are pieces: each waits until the one before has left for the client. */

struct config_reader {
	struct config_reader *next;
	struct control_call *call;
	struct config_pieces *pieces;
	uint64_t generation;
};

static struct config_reader **find(struct service *service, const struct control_call *call)
{
	struct config_reader **at = &service->config_readers;

	while (*at && (*at)->call != call)
		at = &(*at)->next;
	return at;
}

static void forget(void *userdata, struct control_call *call)
{
	struct config_reader **at = find(userdata, call), *reader = *at;

	if (!reader)
		return;
	*at = reader->next;
	config_pieces_free(reader->pieces);
	free(reader);
}

static void fail(struct control_call *call, const char *what)
{
	control_fail(call, SPEFW_ERROR("Failed"), json_pack("{s:s}", "what", what));
}

/* JSON has no bytes but those of UTF-8. */
static json_t *report_piece(const struct config_reader *reader, const struct config_piece *piece)
{
	json_t *out = json_pack("{s:I, s:o, s:I, s:b}", "generation", (json_int_t)reader->generation, "path",
				json_printable(piece->path), "file", (json_int_t)piece->file, "last", piece->last);
	json_t *text = json_stringn(piece->bytes, piece->length);

	if (text) {
		json_object_set_new(out, "text", text);
		return out;
	}
	char *encoded = base64_encode(piece->bytes, piece->length);
	int r = json_object_set_new(out, "base64", encoded ? json_string(encoded) : NULL);
	free(encoded);
	if (r < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

/* As many pieces as leave at once. The call may have ended then. */
static void send_pieces(struct service *service, struct control_call *call, bool more)
{
	struct config_reader *reader = *find(service, call);
	struct config_piece piece;
	bool goes_on = true;

	while (reader && goes_on) {
		int r = config_pieces_next(reader->pieces, &piece);
		json_t *reply = r == 0 ? report_piece(reader, &piece) : NULL;
		goes_on = reply && more && !piece.last;
		if (goes_on) {
			control_reply_more(call, reply);
			if (!control_has_room(call))
				return;
			continue;
		}
		forget(service, call);
		if (reply)
			control_reply(call, reply);
		else
			fail(call, r < 0 ? "the copy of the configuration in the state directory is damaged: reload"
					 : "out of memory");
	}
}

static void on_room(void *userdata, struct control_call *call)
{
	send_pieces(userdata, call, true);
}

void run_config(void *userdata, struct control_call *call, json_t *parameters)
{
	struct service *service = userdata;
	const struct config_store *config = gateway_config(service->gateway);
	struct config_reader *reader = malloc(sizeof(*reader));
	struct config_pieces *pieces = NULL;

	(void)parameters;
	int r = reader ? config_store_open(config) : -ENOMEM;
	if (r >= 0)
		r = config_pieces_new(&pieces, r);
	if (r < 0) {
		free(reader);
		fail(call,
		     r == -ENOENT ? "it could not be kept in the state directory: see spefwctl status" : strerror(-r));
		return;
	}
	*reader = (struct config_reader){ service->config_readers, call, pieces, config_store_generation(config) };
	service->config_readers = reader;
	control_on_gone(call, forget);
	if (control_wants_more(call))
		control_stream(call, on_room);
	send_pieces(service, call, control_wants_more(call));
}
