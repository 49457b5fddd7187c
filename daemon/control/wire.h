/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_VARLINK_WIRE_H
#define SPEFW_VARLINK_WIRE_H

/* The wire format of Varlink, the same on both ends: JSON objects, each ended by a NUL. No I/O here. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes on their way, in or out. All zero is an empty one. */
struct wire_buffer {
	char *bytes;
	size_t start, end; /* what it holds */
	size_t scanned;    /* bytes from start on without a NUL */
	size_t capacity;
};

/* Where the next bytes may be written; *ret_room of them, some kB. NULL without memory. */
char *wire_room(struct wire_buffer *buffer, size_t *ret_room);
void wire_filled(struct wire_buffer *buffer, size_t count);
void wire_consume(struct wire_buffer *buffer, size_t count);
size_t wire_length(const struct wire_buffer *buffer);
void wire_buffer_free(struct wire_buffer *buffer);

bool wire_has_message(struct wire_buffer *buffer);
/* 1: *ret is the next message, an object. 0: not there yet. -EBADMSG: no JSON object. -EMSGSIZE: longer than max
 * with its NUL, or bound to be. -ENOMEM. After an error the buffer is of no use. */
int wire_take(struct wire_buffer *buffer, size_t max, json_t **ret);
/* Appends a message. -EMSGSIZE where the buffer would then hold more than max, -ENOMEM; it is as it was then. */
int wire_put(struct wire_buffer *buffer, const json_t *message, size_t max);

struct wire_call {
	const char *method;
	json_t *parameters; /* an object, or NULL; both belong to the message */
	bool oneway, more, upgrade;
};

struct wire_reply {
	const char *error;  /* NULL: none */
	json_t *parameters; /* an object, or NULL */
	bool continues;
};

/* 0, or -EBADMSG where a member is missing or of the wrong type. Unknown members are passed over. */
int wire_read_call(const json_t *message, struct wire_call *ret);
int wire_read_reply(const json_t *message, struct wire_reply *ret);

/* Text from outside as a string: what is no UTF-8 or not fit to print is '?' then, for JSON has no other bytes. NULL
 * without memory. */
json_t *json_printable(const char *text);

/* New messages; parameters (NULL: none) are stolen, also on failure. NULL without memory. */
json_t *wire_call_new(const char *method, json_t *parameters);
json_t *wire_reply_new(json_t *parameters, bool continues);
json_t *wire_error_new(const char *error, json_t *parameters);

#endif
