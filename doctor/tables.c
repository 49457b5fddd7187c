/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The tables of other programs: what they do to the flows. */

static int append(struct findings *to, struct findings *from)
{
	int r = 0;

	to->incomplete |= from->incomplete;
	for (size_t i = 0; i < from->count && r == 0; i++) {
		r = ARRAY_PUSH(to, from->items[i]) < 0 ? -ENOMEM : 0;
		if (r == 0)
			from->items[i].table = from->items[i].chain = from->items[i].set = NULL;
	}
	findings_free(from);
	return r;
}

static int judge(struct doctor *doctor, const struct foreign_tables *tables)
{
	static const unsigned effects[] = { EFFECTS_STOP, EFFECTS_INTERCEPT, 1 << EFFECT_OFFLOAD, 1 << EFFECT_PORT };
	const struct policy *policy = &doctor->file.policy;
	struct environment environment = { .gateway = doctor->facts.gateway,
					   .role_interfaces = doctor->roles,
					   .names = &doctor->names };
	struct foreign_view view = { .environment = &environment, .peers = doctor->peers };
	bool early = policy->early_drop && policy->mode == MODE_ENFORCE;
	int r = 0;

	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]) && r == 0; i++) {
		struct findings found;
		if (effects[i] == 1 << EFFECT_PORT && !early)
			continue;
		r = foreign_judge(&found, tables, policy, &view, effects[i]);
		if (r == 0)
			r = append(&doctor->facts.findings, &found);
	}
	return r;
}

int doctor_take_tables(struct doctor *doctor)
{
	struct nft_socket nft;

	int r = nft_open_reader(&nft);
	if (r < 0)
		return r;
	r = nft_record_foreign(&doctor->nftables, &nft);
	nft_close(&nft);
	if (r < 0)
		foreign_recording_free(&doctor->nftables);
	for (enum family family = 0; family < FAMILIES && r == 0; family++)
		r = doctor_take_legacy(family, &doctor->legacy[family]);
	return r;
}

int doctor_read_tables(struct doctor *doctor)
{
	struct foreign_tables tables;

	if (!doctor->nftables.size)
		return 0; /* which was reported */
	/* Without them nothing is known of who comes by which interface. */
	if (!doctor->roles || !doctor->peers || !doctor->names.names)
		return -ENODATA;
	int r = nft_read_recorded(&doctor->nftables, &tables);
	if (r == 0)
		r = judge(doctor, &tables);
	foreign_tables_free(&tables);
	for (enum family family = 0; family < FAMILIES && r == 0; family++) {
		r = doctor_read_legacy(doctor->legacy[family], &tables);
		if (r == 0)
			r = judge(doctor, &tables);
		foreign_tables_free(&tables);
	}
	return r;
}
