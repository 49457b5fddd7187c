/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/cut.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

enum {
	PART = 400,        /* entries of one message, as of other elements */
	PARTS_A_BATCH = 2, /* their bytes fit into a socket's buffer where that can't be raised */
	KEY_MAX = 40,
};

static const char *const set_names[FAMILIES] = { "cut_4", "cut_6" };
static const char full_name[] = "cut_full";
static const uint8_t full_key = 6; /* TCP */

/* Each field begins at a multiple of four bytes. */
static size_t pack_side(uint8_t *at, const struct addr *addr, uint16_t port)
{
	size_t size = addr_size(addr->family);

	memcpy(at, addr->bytes, size);
	at[size] = (uint8_t)(port >> 8);
	at[size + 1] = (uint8_t)port;
	return size + 4;
}

static size_t unpack_side(const uint8_t *at, enum family family, struct addr *ret_addr, uint16_t *ret_port)
{
	size_t size = addr_size(family);

	*ret_addr = (struct addr){ .family = family };
	memcpy(ret_addr->bytes, at, size);
	*ret_port = (uint16_t)(at[size] << 8 | at[size + 1]);
	return size + 4;
}

/* The comment, as nft shows it, is where the next daemon finds who had opened the connection. */
static int set_comment(struct nftnl_set_elem *element, const struct cut_entry *entry)
{
	struct nftnl_udata_buf *buffer = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

	if (!buffer)
		return -ENOMEM;
	int r = nftnl_udata_put_strz(buffer, NFTNL_UDATA_SET_ELEM_COMMENT, cut_comment(entry)) &&
				nftnl_set_elem_set(element, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(buffer),
						   nftnl_udata_buf_len(buffer)) == 0
			? 0
			: -ENOMEM;
	nftnl_udata_buf_free(buffer);
	return r;
}

static int put_entry(struct nftnl_set *out, const struct cut_entry *entry, bool add, int64_t now_ms)
{
	struct nftnl_set_elem *element = nftnl_set_elem_alloc();
	uint8_t key[KEY_MAX] = { 0 };
	int64_t left = entry->deadline_ms - now_ms;

	if (!element)
		return -ENOMEM;
	nftnl_set_elem_add(out, element);
	size_t size = pack_side(key, &entry->own, entry->own_port);
	size += pack_side(key + size, &entry->peer, entry->peer_port);
	int r = nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, (uint32_t)size) < 0 ? -ENOMEM : 0;
	if (!add)
		return r;
	nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, (uint64_t)(left > 0 ? left : 1));
	return r < 0 ? r : set_comment(element, entry);
}

static int put_message(struct nft_batch *batch, struct nftnl_set *set, bool add)
{
	struct nlmsghdr *header =
		nft_message(batch, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);

	if (!header)
		return -ENOMEM;
	nftnl_set_elems_nlmsg_build_payload(header, set);
	nft_message_done(batch, header);
	return 0;
}

/* Entries of one family. */
static int put_entries(struct nft_batch *batch, const struct cut_entry *entries, size_t count, bool add)
{
	struct nftnl_set *set = nft_make_set(set_names[entries->own.family]);
	int r = set ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = put_entry(set, &entries[i], add, batch->now_ms);
	if (r == 0)
		r = put_message(batch, set, add);
	if (set)
		nftnl_set_free(set);
	return r;
}

/* As many entries from `from` on as one message takes. */
static size_t part_of(const struct cut_list *list, size_t from)
{
	size_t count = 0;

	while (count < PART && from + count < list->count &&
	       list->items[from + count].own.family == list->items[from].own.family)
		count++;
	return count;
}

enum use { ADD, ADD_AGAIN, DELETE };

/* A deadline is moved by adding, deleting and adding: in this order no packet misses the element, on any kernel. */
static int put_part(struct nft_batch *batch, const struct cut_entry *entries, size_t count, enum use use)
{
	int r = use == DELETE ? 0 : put_entries(batch, entries, count, true);

	if (r == 0 && use != ADD)
		r = put_entries(batch, entries, count, false);
	return r == 0 && use == ADD_AGAIN ? put_entries(batch, entries, count, true) : r;
}

static int write_list(struct nft_socket *socket, const struct cut_list *list, enum use use, int64_t now_ms,
		      size_t *ret_written)
{
	int r = 0;

	*ret_written = 0;
	while (r == 0 && *ret_written < list->count) {
		struct nft_batch batch;
		size_t at = *ret_written;
		r = nft_batch_begin(&batch, &socket->abilities, socket->sequence, now_ms);
		for (int parts = 0; r == 0 && parts < PARTS_A_BATCH && at < list->count; parts++) {
			size_t count = part_of(list, at);
			r = put_part(&batch, &list->items[at], count, use);
			at += count;
		}
		r = nft_commit_batch(socket, &batch, r);
		if (r == 0)
			*ret_written = at;
	}
	return r;
}

int nft_cut_add(struct nft_socket *socket, const struct cut_list *list, bool again, int64_t now_ms, size_t *ret_written)
{
	return write_list(socket, list, again ? ADD_AGAIN : ADD, now_ms, ret_written);
}

int nft_cut_delete(struct nft_socket *socket, const struct cut_list *list)
{
	size_t written;
	return write_list(socket, list, DELETE, 0, &written);
}

static int put_mark(struct nft_batch *batch, bool add)
{
	struct nftnl_set *set = nft_make_set(full_name);
	struct nftnl_set_elem *element = set ? nftnl_set_elem_alloc() : NULL;
	int r = element ? 0 : -ENOMEM;

	if (r == 0) {
		nftnl_set_elem_add(set, element);
		r = nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, &full_key, 1) < 0 ? -ENOMEM : 0;
	}
	if (r == 0 && add)
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, CUT_MEMORY_MS);
	if (r == 0)
		r = put_message(batch, set, add);
	if (set)
		nftnl_set_free(set);
	return r;
}

static int write_mark(struct nft_socket *socket, const bool *adds, size_t count)
{
	struct nft_batch batch;
	int r = nft_batch_begin(&batch, &socket->abilities, socket->sequence, 0);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = put_mark(&batch, adds[i]);
	return nft_commit_batch(socket, &batch, r);
}

int nft_cut_mark_full(struct nft_socket *socket)
{
	static const bool replace[] = { true, false, true };
	return write_mark(socket, replace, 3);
}

int nft_cut_unmark_full(struct nft_socket *socket)
{
	static const bool gone[] = { false };
	return write_mark(socket, gone, 1);
}

/* Reading */

struct cut_reading {
	struct cut_list *out;
	enum family family;
	size_t count, before; /* of this family; of the list before it */
	int64_t now_ms;
	bool full;
};

static void take_comment(struct cut_entry *entry, const struct nftnl_set_elem *element)
{
	uint32_t length = 0;
	const uint8_t *bytes =
		nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_USERDATA)
			? nftnl_set_elem_get((struct nftnl_set_elem *)element, NFTNL_SET_ELEM_USERDATA, &length)
			: NULL;
	char word[32];

	for (; bytes && length >= 2 && bytes[1] <= length - 2;
	     length -= bytes[1] + 2u, bytes += bytes[1] + 2u) { /* type, length, value */
		if (bytes[0] != NFTNL_UDATA_SET_ELEM_COMMENT)
			continue;
		size_t size = strnlen((const char *)bytes + 2, bytes[1]);
		if (size >= sizeof(word))
			break;
		memcpy(word, bytes + 2, size);
		word[size] = '\0';
		cut_take_comment(entry, word);
		return;
	}
}

/* One with a statement of another program's need not match: it counts as one that has run out. */
static int64_t deadline_of(const struct nftnl_set_elem *element, int64_t now_ms)
{
	bool stated = nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPR) ||
		      nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPRESSIONS);

	return stated ? now_ms
		      : now_ms + (int64_t)nftnl_set_elem_get_u64((struct nftnl_set_elem *)element,
								 NFTNL_SET_ELEM_EXPIRATION);
}

static int take_entry(struct nftnl_set_elem *element, void *userdata)
{
	struct cut_reading *reading = userdata;
	struct cut_entry entry = { .opener = CUT_UNKNOWN };
	uint32_t length = 0;
	const uint8_t *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);

	if (!key || length != 2 * (addr_size(reading->family) + 4) ||
	    !nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPIRATION) || reading->count == CUT_SET_SIZE)
		return 0;
	size_t size = unpack_side(key, reading->family, &entry.own, &entry.own_port);
	unpack_side(key + size, reading->family, &entry.peer, &entry.peer_port);
	entry.deadline_ms = deadline_of(element, reading->now_ms);
	take_comment(&entry, element);
	reading->count++;
	return cut_list_add(reading->out, &entry);
}

static int take_mark(struct nftnl_set_elem *element, void *userdata)
{
	uint32_t length = 0;
	const uint8_t *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);

	((struct cut_reading *)userdata)->full |= key && length == 1 && *key == full_key;
	return 0;
}

static int each_message(const struct nlmsghdr *header, void *userdata,
			int (*take)(struct nftnl_set_elem *element, void *userdata))
{
	struct nftnl_set *set = nftnl_set_alloc();
	int r = MNL_CB_OK;

	if (!set)
		return MNL_CB_ERROR;
	if (nftnl_set_elems_nlmsg_parse(header, set) == 0 && nftnl_set_elem_foreach(set, take, userdata) < 0) {
		errno = ENOMEM;
		r = MNL_CB_ERROR;
	}
	nftnl_set_free(set);
	return r;
}

static int each_entries(const struct nlmsghdr *header, void *userdata)
{
	return each_message(header, userdata, take_entry);
}
static int each_marks(const struct nlmsghdr *header, void *userdata)
{
	return each_message(header, userdata, take_mark);
}

static void prepare_dump(struct nlmsghdr *header, const void *name)
{
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, name);
}

static void restart(void *userdata)
{
	struct cut_reading *reading = userdata;

	reading->out->count = reading->before;
	reading->count = 0;
}

int nft_cut_read(struct nft_socket *socket, struct cut_list *ret, bool *ret_full, int64_t now_ms)
{
	struct cut_reading reading = { .out = ret, .now_ms = now_ms };
	int r = 0;

	*ret = (struct cut_list){ 0 };
	for (enum family family = 0; r == 0 && family < FAMILIES; family++) {
		reading.family = family;
		reading.before = ret->count;
		r = nft_request(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP, prepare_dump, set_names[family], each_entries,
				&reading, restart);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		r = nft_request(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP, prepare_dump, full_name, each_marks, &reading,
				NULL);
	if (r < 0 && r != -ENOENT) {
		cut_list_free(ret);
		return r;
	}
	cut_list_finish(ret);
	*ret_full = reading.full;
	return 0;
}
