/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/diff.h"
#include "clock.h"
#include "core/array.h"
#include "gateway/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHARE = 4 }; /* who asks gets a part of the processor's time in so many */

/* Connections by their identities: a dump that is begun again shows some twice. */
struct seeing {
	struct gateway_diff *diff;
	uint32_t *items;
	size_t count, capacity;
	int status;
};

static void see_cut(void *userdata, const struct tracked *tracked, const struct cut_cause *cause)
{
	struct seeing *seeing = userdata;
	struct gateway_diff *diff = seeing->diff;

	for (size_t i = 0; i < diff->shown; i++)
		if (diff->items[i].tracked.id == tracked->id)
			return;
	if (seeing->status == 0 && ARRAY_PUSH(seeing, tracked->id) < 0)
		seeing->status = -ENOMEM;
	if (diff->shown < CUT_SHOWN_MAX)
		diff->items[diff->shown++] = (struct foreseen){ *tracked, *cause };
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static int foresee_cut(const struct gateway *gateway, const struct cut_rules *rules, struct gateway_diff *ret)
{
	struct seeing seeing = { .diff = ret };

	int r = cut_foresee(gateway->cut, rules, see_cut, &seeing);
	if (r == 0)
		r = seeing.status;
	if (r == 0 && seeing.count)
		qsort(seeing.items, seeing.count, sizeof(*seeing.items), compare_ids);
	for (size_t i = 0; i < seeing.count; i++)
		ret->cut += !i || seeing.items[i] != seeing.items[i - 1];
	free(seeing.items);
	return r;
}

static int find_new_names(const struct policy *before, const struct policy *now, struct gateway_diff *ret)
{
	for (size_t i = 0; i < now->name_count; i++) {
		bool found = false;
		for (size_t j = 0; j < before->name_count && !found; j++)
			found = before->names[j].used && strcmp(now->names[i].name, before->names[j].name) == 0;
		if (now->names[i].used && !found && ARRAY_PUSH(&ret->new_names, i) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* By every address that names have held: as live connections are judged. */
static int find_effects(struct gateway *gateway, struct gateway_diff *ret)
{
	const struct policy *before = config_store_policy(gateway->config), *now = &ret->candidate.file.policy;
	const struct record *record = usage_record(gateway->usage);
	struct names_view held = { 0 };
	struct cut_rules rules = { now, before, &held, &ret->held_before };

	int r = gateway_held_view(gateway, now, &held);
	if (r == 0)
		r = gateway_held_view(gateway, before, &ret->held_before);
	if (r == 0)
		r = foresee_cut(gateway, &rules, ret);
	if (r == 0)
		r = find_new_names(before, now, ret);
	ret->recorded = record != NULL;
	if (r == 0 && record)
		record_effect(record, &(struct cut_view){ before, &ret->held_before }, &(struct cut_view){ now, &held },
			      wall_s() - DIFF_SINCE_S, &ret->record);
	names_view_free(&held);
	return r;
}

/* By what names have now. */
static int find_fates(struct gateway *gateway, struct gateway_diff *ret)
{
	const struct policy *before = config_store_policy(gateway->config), *now = &ret->candidate.file.policy;
	struct names_view names[2] = { 0 };

	int r = gateway_view(gateway, before, &names[0]);
	if (r == 0)
		r = gateway_view(gateway, now, &names[1]);
	if (r == 0)
		r = fate_diff(&ret->fates, &(struct fate_side){ before, &names[0] },
			      &(struct fate_side){ now, &names[1] }, FATE_LINES_MAX);
	ret->has_fates = r == 0;
	names_view_free(&names[0]);
	names_view_free(&names[1]);
	return r;
}

int gateway_diff(struct gateway *gateway, const struct archive *files, bool fates, struct diags *diags,
		 void (*see)(void *userdata, const struct policy_change *change), void *userdata,
		 struct gateway_diff *ret)
{
	int64_t began = processor_ms();

	*ret = (struct gateway_diff){ 0 };
	if (now_ms() < gateway->diff_free_ms)
		return -EBUSY;
	int r = config_store_look(gateway->config, &ret->candidate, files, network_own_addresses(gateway->network),
				  diags);
	if (r == 0) {
		policy_diff(config_store_policy(gateway->config), &ret->candidate.file.policy, see, userdata);
		r = find_effects(gateway, ret);
		if (r == 0 && fates)
			r = find_fates(gateway, ret);
		if (r < 0)
			gateway_diff_free(ret);
	}
	gateway->diff_free_ms = now_ms() + (processor_ms() - began) * SHARE;
	return r;
}

void gateway_diff_free(struct gateway_diff *diff)
{
	config_candidate_free(&diff->candidate);
	names_view_free(&diff->held_before);
	fate_diff_free(&diff->fates);
	free(diff->new_names.items);
	*diff = (struct gateway_diff){ 0 };
}
