/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/foreign_recorded.h"
#include "core/array.h"
#include "nft/foreign_parts.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

enum {
	REQUEST_MAX = 2048,
	ELEMENTS_BYTES_MAX = 1 << 20, /* of a set: more elements than are looked at */
	BYTES_MAX = 128 << 20,        /* in all */
	BLOCK = 1 << 16,
};

/* Recording. */

static int append(struct foreign_recording *recording, const void *bytes, size_t length)
{
	size_t wanted = recording->size + MNL_ALIGN(length);

	if (wanted > recording->capacity) {
		size_t capacity = wanted * 2 + BLOCK;
		char *grown = realloc(recording->bytes, capacity);
		if (!grown)
			return -ENOMEM;
		recording->bytes = grown;
		recording->capacity = capacity;
	}
	memcpy(recording->bytes + recording->size, bytes, length);
	memset(recording->bytes + recording->size + length, 0, wanted - recording->size - length);
	recording->size = wanted;
	return 0;
}

static struct recorded *last_request(struct foreign_recording *recording)
{
	return &recording->requests.items[recording->requests.count - 1];
}

static int keep(const struct nlmsghdr *header, void *userdata)
{
	struct foreign_recording *recording = userdata;
	struct recorded *request = last_request(recording);
	size_t length = header->nlmsg_len, size = recording->size - request->reply + length;
	bool elements = (header->nlmsg_type & 0xff) == NFT_MSG_NEWSETELEM;

	request->cut |= recording->size + length > BYTES_MAX || (elements && size > ELEMENTS_BYTES_MAX);
	if (!request->cut && append(recording, header, length) < 0) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static void keep_nothing(void *userdata)
{
	struct foreign_recording *recording = userdata;
	struct recorded *request = last_request(recording);

	recording->size = request->reply;
	request->cut = false;
}

/* The same request is the same bytes. */
static struct nlmsghdr *build(char buffer[REQUEST_MAX], const struct foreign_request *request,
			      const struct foreign_set *set)
{
	struct nlmsghdr *header = nftnl_nlmsg_build_hdr(buffer, request->type, NFPROTO_INET, NLM_F_DUMP, 0);

	request->prepare(header, set);
	return header;
}

static int record(struct foreign_recording *recording, struct nft_socket *socket, enum foreign_phase phase,
		  const struct foreign_set *set)
{
	const struct foreign_request *request = &nft_foreign_requests[phase];
	_Alignas(struct nlmsghdr) char buffer[REQUEST_MAX] = { 0 };
	struct nlmsghdr *header = build(buffer, request, set);
	struct recorded recorded = { .begin = recording->size };

	int r = append(recording, header, header->nlmsg_len);
	recorded.reply = recording->size;
	if (r < 0 || ARRAY_PUSH(&recording->requests, recorded) < 0)
		return -ENOMEM;
	r = nft_request(socket, request->type, NLM_F_DUMP, request->prepare, set, keep, recording, keep_nothing);
	last_request(recording)->end = recording->size;
	if (r == -ENOENT) { /* gone meanwhile */
		recording->size = last_request(recording)->begin;
		recording->requests.count--;
		r = 0;
	}
	return r;
}

/* Nothing is taken of the description of a set but whose it is. */
static bool read_set_name(const struct nlmsghdr *header, char table[NFT_NAME_MAXLEN], char name[NFT_NAME_MAXLEN])
{
	const struct nlattr *attribute;

	*table = *name = '\0';
	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		int type = mnl_attr_get_type(attribute);
		if ((type != NFTA_SET_TABLE && type != NFTA_SET_NAME) ||
		    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0 ||
		    mnl_attr_get_payload_len(attribute) > NFT_NAME_MAXLEN)
			continue;
		memcpy(type == NFTA_SET_TABLE ? table : name, mnl_attr_get_payload(attribute),
		       mnl_attr_get_payload_len(attribute));
	}
	return *table && *name;
}

static int record_elements(struct foreign_recording *recording, struct nft_socket *socket)
{
	const struct recorded sets = recording->requests.items[READ_SETS];
	int r = 0;

	for (size_t at = sets.reply; at < sets.end && r == 0;) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)(recording->bytes + at);
		char table[NFT_NAME_MAXLEN], name[NFT_NAME_MAXLEN];
		const struct nfgenmsg *general = mnl_nlmsg_get_payload(header);
		at += MNL_ALIGN(header->nlmsg_len);
		if (mnl_nlmsg_get_payload_len(header) < sizeof(*general) || !read_set_name(header, table, name))
			continue;
		struct foreign_set set = { .family = general->nfgen_family, .table = table, .name = name };
		if (!nft_is_our_table(set.family, table))
			r = record(recording, socket, READ_ELEMENTS, &set);
	}
	return r;
}

int nft_record_foreign(struct foreign_recording *ret, struct nft_socket *socket)
{
	int r = 0;

	*ret = (struct foreign_recording){ 0 };
	for (enum foreign_phase phase = READ_CHAINS; phase < READ_ELEMENTS && r == 0; phase++)
		r = record(ret, socket, phase, NULL);
	return r == 0 ? record_elements(ret, socket) : r;
}

void foreign_recording_free(struct foreign_recording *recording)
{
	free(recording->requests.items);
	free(recording->bytes);
	*recording = (struct foreign_recording){ 0 };
}

/* Reading. */

static const struct recorded *find(const struct foreign_recording *recording, const struct foreign_request *request,
				   const struct foreign_set *set)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_MAX] = { 0 };
	const struct nlmsghdr *header = build(buffer, request, set);

	for (size_t i = 0; i < recording->requests.count; i++) {
		const struct recorded *recorded = &recording->requests.items[i];
		if (recorded->reply - recorded->begin == MNL_ALIGN(header->nlmsg_len) &&
		    memcmp(recording->bytes + recorded->begin, buffer, recorded->reply - recorded->begin) == 0)
			return recorded;
	}
	return NULL;
}

static int replay(const struct foreign_recording *recording, struct foreign_reading *reading)
{
	const struct foreign_set *set;
	const struct foreign_request *request = nft_foreign_request(reading, &set);
	const struct recorded *recorded = find(recording, request, set);

	request->restart(reading);
	if (!recorded)
		return -ENOENT;
	for (size_t at = recorded->reply; at < recorded->end;) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)(recording->bytes + at);
		if (request->each(header, reading) < 0)
			return -errno;
		at += MNL_ALIGN(header->nlmsg_len);
	}
	return recorded->cut ? -E2BIG : 0;
}

int nft_read_recorded(const struct foreign_recording *recording, struct foreign_tables *ret)
{
	struct foreign_reading *reading = NULL;

	int r = nft_foreign_begin(&reading, NULL, ret, ~0u);
	if (r == 0)
		do
			r = nft_foreign_end_request(reading, replay(recording, reading));
		while (r > 0);
	nft_foreign_end(reading);
	return r;
}
