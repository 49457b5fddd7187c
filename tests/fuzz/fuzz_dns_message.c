/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from the network: read it, and hold the result to what the header promises. */
#include "core/dns_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* No octet that could pass for another name, once printed. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || (*text >= 'A' && *text <= 'Z'))
			return false;
	return true;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static struct dns_message message;

	memset(&message, 0xa5, sizeof(message));
	int status = dns_message_read(data, size, &message);
	must(status == 0 || status == -EBADMSG);
	must((status == 0) == !message.reason);
	must(message.address_count <= DNS_ADDRESSES_MAX);
	if (status < 0) {
		must(message.address_count == 0);
		return 0;
	}
	must(memchr(message.question, '\0', sizeof(message.question)) != NULL);
	must(is_plain(message.question));
	must(message.aliases <= DNS_ALIASES_MAX);
	must(message.ttl_s <= INT32_MAX);
	must(message.address_count == 0 || message.rcode == DNS_NOERROR);
	must(message.address_excess == 0 || message.address_count == DNS_ADDRESSES_MAX);
	for (size_t i = 0; i < message.address_count; i++)
		must(message.addresses[i].family == (message.question_type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6));
	if (message.address_count > 0)
		must(dns_message_is_for(&message, message.question, (enum family)message.addresses[0].family));
	return 0;
}
