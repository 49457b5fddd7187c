/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_nft_parts.h"
#include "clock.h"
#include "nft/cut.h"
#include "nft/foreign.h"

#include <errno.h>
#include <stdlib.h>

/* What was cut */

static bool is_fresh(void *userdata, const struct cut_entry *entry)
{
	(void)userdata;
	return entry->deadline_ms > now_ms();
}

static void let_run_out(void)
{
	cut_list_filter(&fake_nft.cut, is_fresh, NULL);
	if (fake_nft.marked_until_ms <= now_ms())
		fake_nft.marked_until_ms = 0;
}

static int begin_cut(enum fake_nft_call call)
{
	let_run_out();
	int r = fake_nft_begin(call);
	return r < 0 || fake_nft.exists ? r : -ENOENT;
}

int nft_cut_read(struct nft_socket *socket, struct cut_list *ret, bool *ret_full, int64_t now)
{
	(void)now;
	*ret = (struct cut_list){ 0 };
	let_run_out();
	int r = fake_nft_begin(FAKE_NFT_CUT_READ);
	if (r < 0)
		return fake_nft_error(socket, r);
	size_t hidden = fake_nft.cut_hidden < fake_nft.cut.count ? fake_nft.cut_hidden : fake_nft.cut.count;
	fake_nft.cut_hidden = 0;
	long left = fake_nft_pause_failing();
	for (size_t i = hidden; i < fake_nft.cut.count; i++)
		fake_nft_must(cut_list_add(ret, &fake_nft.cut.items[i]) == 0);
	fake_nft_resume_failing(left);
	*ret_full = fake_nft.marked_until_ms != 0;
	return 0;
}

static int add_entry(const struct cut_entry *entry, bool again)
{
	struct cut_entry *there = (struct cut_entry *)cut_list_find(&fake_nft.cut, entry);

	if (there && again)
		*there = *entry;
	if (there)
		return 0;
	if (cut_list_count(&fake_nft.cut, entry->own.family) >= fake_nft.cut_size)
		return -ENFILE;
	fake_nft_must(cut_list_add(&fake_nft.cut, entry) == 0);
	cut_list_finish(&fake_nft.cut);
	return 0;
}

int nft_cut_add(struct nft_socket *socket, const struct cut_list *list, bool again, int64_t now, size_t *ret_written)
{
	(void)now;
	*ret_written = 0;
	int r = begin_cut(FAKE_NFT_CUT_ADD);
	long left = fake_nft_pause_failing();
	while (r == 0 && *ret_written < list->count) {
		r = add_entry(&list->items[*ret_written], again);
		*ret_written += r == 0;
	}
	fake_nft_resume_failing(left);
	return fake_nft_error(socket, r);
}

static bool is_not_in(void *userdata, const struct cut_entry *entry)
{
	return !cut_list_find(userdata, entry);
}

int nft_cut_delete(struct nft_socket *socket, const struct cut_list *list)
{
	int r = begin_cut(FAKE_NFT_CUT_DELETE);

	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = cut_list_find(&fake_nft.cut, &list->items[i]) ? 0 : -ENOENT;
	if (r == 0)
		cut_list_filter(&fake_nft.cut, is_not_in, (void *)list);
	return fake_nft_error(socket, r);
}

int nft_cut_mark_full(struct nft_socket *socket)
{
	int r = begin_cut(FAKE_NFT_CUT_MARK);

	if (r == 0)
		fake_nft.marked_until_ms = now_ms() + CUT_MEMORY_MS;
	return fake_nft_error(socket, r);
}

int nft_cut_unmark_full(struct nft_socket *socket)
{
	int r = begin_cut(FAKE_NFT_CUT_UNMARK);

	if (r == 0 && !fake_nft.marked_until_ms)
		r = -ENOENT;
	if (r == 0)
		fake_nft.marked_until_ms = 0;
	return fake_nft_error(socket, r);
}

/* Tables of other programs */

struct foreign_reading {
	struct nft_socket *socket;
	struct foreign_tables *out;
	size_t slices;
};

int nft_foreign_begin(struct foreign_reading **ret, struct nft_socket *socket, struct foreign_tables *out,
		      unsigned effects)
{
	struct foreign_reading *reading = calloc(1, sizeof(*reading));

	(void)effects;
	*out = (struct foreign_tables){ .incomplete = false };
	if (!reading)
		return -ENOMEM;
	*reading = (struct foreign_reading){ socket, out, fake_nft.foreign_slices };
	fake_nft.open++;
	*ret = reading;
	return 0;
}

int nft_foreign_some(struct foreign_reading *reading)
{
	int r = fake_nft_begin(FAKE_NFT_FOREIGN);

	if (r < 0)
		return fake_nft_error(reading->socket, r);
	if (reading->slices) {
		reading->slices--;
		return 1;
	}
	long left = fake_nft_pause_failing();
	r = fake_nft.foreign_tables ? fake_nft.foreign_tables(reading->out) : 0;
	fake_nft_resume_failing(left);
	return r;
}

void nft_foreign_end(struct foreign_reading *reading)
{
	fake_nft.open -= reading != NULL;
	free(reading);
}
