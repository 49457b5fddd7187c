/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FUZZ_POLICY_H
#define SPEFW_FUZZ_POLICY_H

/* A policy for fuzz targets that read other programs' rules, and what the daemon does with those. */
#include "core/config.h"
#include "core/foreign.h"
#include "core/owners.h"
#include "core/flow_index.h"
#include "core/policy.h"

#include <stdio.h>
#include <stdlib.h>

/* SERVER 192.0.2.25 and 2001:db8::25; everybody may reach 443 there, and it may reach 80 and 443 of everybody. */
static void make_policy(struct policy *policy)
{
	static struct policy_role role;
	static struct policy_flow flows[2];
	static struct port_range ports[] = { { 80, 80 }, { 443, 443 } };
	struct range hosts[FAMILIES] = {
		{ { .family = FAMILY_4, .bytes = { 192, 0, 2, 25 } },
		  { .family = FAMILY_4, .bytes = { 192, 0, 2, 25 } } },
		{ { .family = FAMILY_6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 0x25 } },
		  { .family = FAMILY_6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 0x25 } } },
	};

	*policy = (struct policy){
		.roles = &role, .role_count = 1, .flows = flows, .flow_count = 2, .interception = INTERCEPTION_PREVENT
	};
	role.is_protected = true;
	for (int family = 0; family < FAMILIES; family++)
		if (ranges_add(&role.guarded, &hosts[family]) < 0 ||
		    ranges_add(&policy->protected_all, &hosts[family]) < 0 ||
		    ranges_add(&flows[0].to.opens, &hosts[family]) < 0 ||
		    ranges_add(&flows[1].from.ranges, &hosts[family]) < 0)
			abort();
	for (int i = 0; i < 2; i++) {
		snprintf(flows[i].id, sizeof(flows[i].id), "%s", i ? "out" : "in");
		flows[i].enabled = true;
		flows[i].protocols = 1u << PROTOCOL_TCP;
		flows[i].ports = i ? ports : ports + 1;
		flows[i].port_count = i ? 2 : 1;
	}
	flows[0].from.any = flows[1].to.any = true;
	policy->index = flow_index_new(policy);
	if (!policy->index)
		abort();
}

/* The walk is bounded by its steps alone, and what it may take in all is long for one input: it goes on for some turns,
 * as the daemon's does, and is then left. So a turn that takes too long is a slow input. */
enum { STEPS_A_TURN = 20 * 1000, TURNS = 2 };

static void judge_foreign(const struct foreign_tables *tables)
{
	static struct policy policy;
	struct interface_list interfaces = { 0 };
	struct ranges none = { 0 };
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &none, .role_interfaces = &interfaces, .names = &names };
	struct foreign_view view = { .environment = &environment };
	struct findings findings = { 0 };
	struct judging *judging;
	char text[64], remedy[REMEDY_MAX], where[WHERE_MAX];
	int r = 1;

	if (!policy.role_count)
		make_policy(&policy);
	if (foreign_judge_begin(&judging, &findings, tables, &policy, &view, EFFECTS_INTERCEPT | EFFECTS_STOP) < 0)
		abort();
	for (int i = 0; i < TURNS && r > 0; i++)
		r = foreign_judge_some(judging, STEPS_A_TURN);
	if (r < 0)
		abort();
	foreign_judge_end(judging);
	for (size_t i = 0; i < findings.count; i++) {
		owner_remedy(&findings.items[i], remedy);
		finding_table(&findings.items[i], where);
		snprintf(text, sizeof(text), "%s %s", finding_phrase(&findings.items[i]),
			 table_family(findings.items[i].family));
	}
	findings_free(&findings);
}

#endif
