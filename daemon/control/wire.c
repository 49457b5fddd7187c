/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/wire.h"
#include "core/printable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 16 * 1024 };

size_t wire_length(const struct wire_buffer *buffer)
{
	return buffer->end - buffer->start;
}

/* An idle connection holds no memory: there may be hundreds of them. */
void wire_buffer_free(struct wire_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct wire_buffer){ 0 };
}

static int reserve(struct wire_buffer *buffer, size_t room)
{
	if (buffer->start > 0) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, wire_length(buffer));
		buffer->end -= buffer->start;
		buffer->start = 0;
	}
	if (buffer->capacity - buffer->end >= room)
		return 0;
	size_t wanted = buffer->capacity * 2;
	if (wanted < buffer->end + room)
		wanted = buffer->end + room;
	char *grown = realloc(buffer->bytes, wanted);
	if (!grown)
		return -ENOMEM;
	buffer->bytes = grown;
	buffer->capacity = wanted;
	return 0;
}

char *wire_room(struct wire_buffer *buffer, size_t *ret_room)
{
	if (reserve(buffer, ROOM) < 0)
		return NULL;
	*ret_room = ROOM;
	return buffer->bytes + buffer->end;
}

void wire_filled(struct wire_buffer *buffer, size_t count)
{
	buffer->end += count;
}

void wire_consume(struct wire_buffer *buffer, size_t count)
{
	buffer->start += count;
	buffer->scanned = 0;
	if (buffer->start == buffer->end)
		wire_buffer_free(buffer);
}

/* scanned: a long message that comes byte by byte must not cost a search from its start at every byte. */
bool wire_has_message(struct wire_buffer *buffer)
{
	size_t length = wire_length(buffer) - buffer->scanned;

	if (!length)
		return false;
	const char *from = buffer->bytes + buffer->start + buffer->scanned;
	const char *end = memchr(from, '\0', length);
	buffer->scanned += end ? (size_t)(end - from) : length;
	return end;
}

int wire_take(struct wire_buffer *buffer, size_t max, json_t **ret)
{
	bool whole = wire_has_message(buffer);
	size_t length = buffer->scanned;
	json_error_t error;

	if (length >= max)
		return -EMSGSIZE;
	if (!whole)
		return 0;
	const char *text = buffer->bytes + buffer->start;
	json_t *message = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!message)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	if (!json_is_object(message)) {
		json_decref(message);
		return -EBADMSG;
	}
	wire_consume(buffer, length + 1);
	*ret = message;
	return 1;
}

struct sink {
	struct wire_buffer *buffer;
	size_t max;
	int error;
};

static int sink_bytes(const char *bytes, size_t count, void *userdata)
{
	struct sink *sink = userdata;

	/* jansson goes on where the piece that failed was of a key: what is lost once is lost. */
	if (sink->error)
		return -1;
	/* One byte less than max: the NUL is to follow. */
	if (count >= sink->max - wire_length(sink->buffer)) {
		sink->error = -EMSGSIZE;
		return -1;
	}
	if (reserve(sink->buffer, count + 1) < 0) {
		sink->error = -ENOMEM;
		return -1;
	}
	memcpy(sink->buffer->bytes + sink->buffer->end, bytes, count);
	sink->buffer->end += count;
	return 0;
}

int wire_put(struct wire_buffer *buffer, const json_t *message, size_t max)
{
	size_t before = wire_length(buffer);
	struct sink sink = { .buffer = buffer, .max = max };

	if (before >= max)
		return -EMSGSIZE;
	if (json_dump_callback(message, sink_bytes, &sink, JSON_COMPACT) < 0 || sink.error) {
		buffer->end = buffer->start + before;
		return sink.error ? sink.error : -ENOMEM;
	}
	buffer->bytes[buffer->end++] = '\0';
	return 0;
}

/* Absent is false; anything but a boolean is wrong. */
static int read_flag(const json_t *message, const char *key, bool *ret)
{
	const json_t *value = json_object_get(message, key);

	if (value && !json_is_boolean(value))
		return -EBADMSG;
	*ret = json_is_true(value);
	return 0;
}

static int read_parameters(const json_t *message, json_t **ret)
{
	json_t *value = json_object_get(message, "parameters");

	if (json_is_null(value))
		value = NULL;
	if (value && !json_is_object(value))
		return -EBADMSG;
	*ret = value;
	return 0;
}

int wire_read_call(const json_t *message, struct wire_call *ret)
{
	struct wire_call call = { .method = json_string_value(json_object_get(message, "method")) };

	if (!call.method || read_parameters(message, &call.parameters) < 0 ||
	    read_flag(message, "oneway", &call.oneway) < 0 || read_flag(message, "more", &call.more) < 0 ||
	    read_flag(message, "upgrade", &call.upgrade) < 0)
		return -EBADMSG;
	if (call.oneway && (call.more || call.upgrade))
		return -EBADMSG;
	*ret = call;
	return 0;
}

int wire_read_reply(const json_t *message, struct wire_reply *ret)
{
	const json_t *error = json_object_get(message, "error");
	struct wire_reply reply = { .error = json_string_value(error) };

	if ((error && !reply.error) || read_parameters(message, &reply.parameters) < 0 ||
	    read_flag(message, "continues", &reply.continues) < 0)
		return -EBADMSG;
	*ret = reply;
	return 0;
}

/* Steals value, which may be NULL (then nothing is set), also on failure. */
static json_t *with(json_t *message, const char *key, json_t *value)
{
	if (!message) {
		json_decref(value);
		return NULL;
	}
	if (value && json_object_set_new(message, key, value) < 0) {
		json_decref(message);
		return NULL;
	}
	return message;
}

json_t *json_printable(const char *text)
{
	json_t *value = json_string(text);
	char *copy = value ? NULL : strdup(text);

	if (copy) {
		make_printable(copy);
		value = json_string(copy);
		free(copy);
	}
	return value;
}

static json_t *with_text(json_t *message, const char *key, const char *text)
{
	json_t *value = json_string(text);

	if (!value) {
		json_decref(message);
		return NULL;
	}
	return with(message, key, value);
}

json_t *wire_call_new(const char *method, json_t *parameters)
{
	return with(with_text(json_object(), "method", method), "parameters", parameters);
}

json_t *wire_reply_new(json_t *parameters, bool continues)
{
	json_t *message = with(json_object(), "parameters", parameters);
	return with(message, "continues", continues ? json_true() : NULL);
}

json_t *wire_error_new(const char *error, json_t *parameters)
{
	return with(with_text(json_object(), "error", error), "parameters", parameters);
}
