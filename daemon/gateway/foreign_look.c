/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/foreign_parts.h"
#include "nft/foreign.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

enum {
	STEPS_AT_ONCE = 20 * 1000,
	LARGE = 1000, /* rules whose memory goes back to the system at once */
};

struct look {
	struct nft_socket nft;
	struct foreign_tables tables;
	struct foreign_reading *reading; /* NULL: it is done */
	struct environment_store store;
	struct ranges own;
	struct names_view names; /* none: names are not looked at */
	struct environment environment;
	struct foreign_view view;
	const struct policy *policy;
	struct judging *judging; /* NULL: nothing is being judged */
};

int look_new(struct look **ret, const struct foreign_events *events, void *userdata, const struct policy *policy)
{
	struct look *look = calloc(1, sizeof(*look));

	*ret = NULL;
	if (!look)
		return -ENOMEM;
	look->policy = policy;
	int r = nft_open_reader(&look->nft);
	if (r == 0)
		r = events->environment(userdata, policy, &look->store, &look->own);
	look->environment = environment_of(&look->store, &look->own, &look->names);
	look->view = (struct foreign_view){ .environment = &look->environment, .peers = look->store.peers };
	if (r == 0)
		r = nft_foreign_begin(&look->reading, &look->nft, &look->tables, EFFECTS_INTERCEPT | EFFECTS_STOP);
	if (r < 0)
		look_free(look);
	else
		*ret = look;
	return r;
}

void look_free(struct look *look)
{
	if (!look)
		return;
	foreign_judge_end(look->judging);
	nft_foreign_end(look->reading);
	bool large = look->tables.rules.count > LARGE;
	foreign_tables_free(&look->tables);
	environment_free(&look->store);
	ranges_free(&look->own);
	nft_close(&look->nft);
	free(look);
	if (large)
		malloc_trim(0);
}

int look_read(struct look *look)
{
	if (!look->reading)
		return 0;
	int r = nft_foreign_some(look->reading);
	if (r == 0) {
		nft_foreign_end(look->reading);
		look->reading = NULL;
	}
	return r;
}

int look_judge(struct look *look, unsigned effects, const struct foreign_packet *packet, struct findings *found)
{
	if (!look->judging) {
		int r = packet ? foreign_explain_begin(&look->judging, found, &look->tables, look->policy, &look->view,
						       packet)
			       : foreign_judge_begin(&look->judging, found, &look->tables, look->policy, &look->view,
						     effects);
		return r < 0 ? r : 1;
	}
	int r = foreign_judge_some(look->judging, STEPS_AT_ONCE);
	if (r <= 0) {
		foreign_judge_end(look->judging);
		look->judging = NULL;
	}
	return r;
}
