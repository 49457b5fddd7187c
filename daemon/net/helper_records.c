/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/helper_records.h"
#include "core/policy.h"

#include <linux/netfilter.h>
#include <string.h>

static bool is_zero(const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < length; i++)
		if (byte[i])
			return false;
	return true;
}

static bool is_family(uint8_t family)
{
	return family == 4 || family == 6;
}

static bool is_address(const struct wire_address *address, uint8_t family)
{
	return is_family(family) && address->family == family &&
	       is_zero(address->reserved, sizeof(address->reserved)) &&
	       (family == 6 || is_zero(address->bytes + 4, sizeof(address->bytes) - 4));
}

static bool are_addresses(const struct wire_address *addresses, size_t count, uint8_t family)
{
	for (size_t i = 0; i < count; i++)
		if (!is_address(&addresses[i], family))
			return false;
	return true;
}

/* ASCII that is printable, and only zeros behind it. */
static bool is_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return length < size && is_zero(text + length, size - length);
}

/* As DNS names are written here: lower case. */
static bool is_name(const char text[WIRE_NAME_MAX])
{
	if (!is_text(text, WIRE_NAME_MAX))
		return false;
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			return false;
	return true;
}

static const char *ready_error(const struct wire_ready *ready, size_t length)
{
	if (length != sizeof(*ready))
		return "a wrong length";
	if (!is_text(ready->version, sizeof(ready->version)) || ready->landlock > 1 ||
	    !is_zero(ready->reserved, sizeof(ready->reserved)))
		return "a malformed beginning";
	return NULL;
}

static const char *answer_error(const struct wire_answer *answer, size_t length)
{
	if (length < sizeof(*answer) || answer->count > WIRE_ADDRESSES_MAX || answer->alias_count > WIRE_ALIASES_MAX ||
	    length != sizeof(*answer) + answer->count * sizeof(struct wire_address) +
			      answer->alias_count * (size_t)WIRE_NAME_MAX)
		return "a wrong length";
	if (!is_family(answer->family) || !is_zero(answer->reserved, sizeof(answer->reserved)) ||
	    !are_addresses(answer->addresses, answer->count, answer->family))
		return "an answer with malformed addresses";
	for (size_t i = 0; i < answer->alias_count; i++)
		if (!is_name(wire_answer_aliases(answer)[i]))
			return "an answer with a malformed alias";
	return NULL;
}

static const char *failure_error(const struct wire_failure *failure, size_t length)
{
	if (length != sizeof(*failure))
		return "a wrong length";
	if (!is_text(failure->error, sizeof(failure->error)) || !failure->error[0])
		return "a failure with a malformed text";
	return failure->silent <= 1 && is_zero(failure->reserved, sizeof(failure->reserved)) ? NULL
											     : "a malformed failure";
}

static const char *observed_error(const struct wire_observed *observed, size_t length)
{
	if (length < sizeof(*observed) || observed->count < 1 || observed->count > WIRE_ADDRESSES_MAX ||
	    length != sizeof(*observed) + observed->count * sizeof(struct wire_address))
		return "a wrong length";
	if (!is_address(&observed->server, observed->server.family) ||
	    !is_address(&observed->resolver, observed->server.family) || !is_family(observed->family) ||
	    observed->reserved || observed->reserved_2 ||
	    !are_addresses(observed->addresses, observed->count, observed->family))
		return "an observed answer with malformed addresses";
	return is_name(observed->question) && observed->question[0] ? NULL
								    : "an observed answer with a malformed question";
}

static const char *denial_error(const struct wire_denial *denial, size_t length)
{
	if (length != sizeof(*denial))
		return "a wrong length";
	bool ports = denial->protocol == PROTOCOL_TCP || denial->protocol == PROTOCOL_UDP;
	if (!is_address(&denial->source, denial->source.family) ||
	    !is_address(&denial->target, denial->source.family) || denial->protocol > PROTOCOLS ||
	    (!ports && (denial->source_port || denial->target_port)) || denial->mid_stream > 1 ||
	    (denial->mid_stream && denial->protocol != PROTOCOL_TCP) || denial->hook >= NF_INET_NUMHOOKS ||
	    denial->kind >= DENIAL_KINDS)
		return "a malformed denial";
	return NULL;
}

static const char *counts_error(const struct wire_counts *counts, size_t length)
{
	if (length != sizeof(*counts))
		return "a wrong length";
	return counts->unasked <= WIRE_COUNT_MAX && counts->lost <= WIRE_COUNT_MAX && counts->dropped <= WIRE_COUNT_MAX
		       ? NULL
		       : "counts that can't be";
}

const char *helper_record_error(const void *bytes, size_t length)
{
	const struct wire_head *head = bytes;

	if (length < sizeof(*head) || head->length != length)
		return "a wrong length";
	switch (head->kind) {
	case WIRE_READY: return ready_error(bytes, length);
	case WIRE_ANSWER: return answer_error(bytes, length);
	case WIRE_FAILURE: return failure_error(bytes, length);
	case WIRE_OBSERVED: return observed_error(bytes, length);
	case WIRE_DENIAL: return denial_error(bytes, length);
	case WIRE_COUNTS: return counts_error(bytes, length);
	case WIRE_PONG: return length == sizeof(struct wire_beat) ? NULL : "a wrong length";
	default: return "an unknown record";
	}
}

enum family wire_family_read(uint8_t family)
{
	return family == 4 ? FAMILY_4 : FAMILY_6;
}

uint8_t wire_family_of(enum family family)
{
	return family == FAMILY_4 ? 4 : 6;
}

struct addr wire_address_read(const struct wire_address *address)
{
	struct addr addr = { .family = (uint8_t)wire_family_read(address->family) };

	memcpy(addr.bytes, address->bytes, sizeof(addr.bytes));
	return addr;
}

void wire_addresses_read(const struct wire_address *addresses, size_t count, struct addr *ret)
{
	for (size_t i = 0; i < count; i++)
		ret[i] = wire_address_read(&addresses[i]);
}

struct wire_address wire_address_of(const struct addr *addr)
{
	struct wire_address address = { .family = wire_family_of((enum family)addr->family) };

	memcpy(address.bytes, addr->bytes, addr_size((enum family)addr->family));
	return address;
}

const char (*wire_answer_aliases(const struct wire_answer *answer))[WIRE_NAME_MAX]
{
	return (const char(*)[WIRE_NAME_MAX])(answer->addresses + answer->count);
}
