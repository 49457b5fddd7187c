// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: the tables of other programs as the kernel may tell them, to their reader and to the search for rules that
 * could meet a flow. The input is datagrams (fake_netlink.h). The reader is the daemon's own; only its sockets are not real. */
#include "fake_netlink.h"

#define RECEIVE_BUFFER SOCKET_RECEIVE_BUFFER
#define REPLY_SIZE SOCKET_REPLY_SIZE
#define DUMP_TRIES SOCKET_DUMP_TRIES
#include "../../daemon/nft_socket.c"
#undef RECEIVE_BUFFER
#undef REPLY_SIZE
#undef DUMP_TRIES
#define fail read_fail
#include "../../daemon/nft_others.c"
#undef fail
#include "../../daemon/nft_others_rule.c"

#include "core/config.h"
#include "core/policy.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* SERVER 192.0.2.25 and 2001:db8::25; everybody may reach 443 there, and it may reach 80 and 443 of everybody. */
static void make_policy(struct policy *policy)
{
	static struct policy_role role;
	static struct policy_flow flows[2];
	static struct port_range ports[] = { { 80, 80 }, { 443, 443 } };
	struct range hosts[FAMILIES] = {
		{ { .family = FAMILY_4, .bytes = { 192, 0, 2, 25 } }, { .family = FAMILY_4, .bytes = { 192, 0, 2, 25 } } },
		{ { .family = FAMILY_6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 0x25 } }, { .family = FAMILY_6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 0x25 } } },
	};

	*policy = (struct policy){ .roles = &role, .role_count = 1, .flows = flows, .flow_count = 2, .interception = INTERCEPTION_PREVENT };
	role.is_protected = true;
	for (int family = 0; family < FAMILIES; family++)
		if (ranges_add(&role.guarded, &hosts[family]) < 0 || ranges_add(&policy->protected_all, &hosts[family]) < 0 ||
		    ranges_add(&flows[0].to.opens, &hosts[family]) < 0 || ranges_add(&flows[1].from.ranges, &hosts[family]) < 0)
			abort();
	for (int i = 0; i < 2; i++) {
		snprintf(flows[i].id, sizeof(flows[i].id), "%s", i ? "out" : "in");
		flows[i].enabled = true;
		flows[i].protocols = 1u << PROTOCOL_TCP;
		flows[i].ports = i ? ports : ports + 1;
		flows[i].port_count = i ? 2 : 1;
	}
	flows[0].from.any = flows[1].to.any = true;
}

static void check(const struct others *others)
{
	for (size_t i = 0; i < others->rules.count; i++)
		if (others->rules.items[i].chain >= others->chains.count)
			abort();
	for (size_t i = 0; i < others->sets.count; i++)
		for (size_t e = 1; others->sets.items[i].known && e < others->sets.items[i].count; e++)
			if (memcmp(others->sets.items[i].items[e - 1].first, others->sets.items[i].items[e].first, OTHERS_KEY_MAX) > 0)
				abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct policy policy;
	struct role_links links = { 0 };
	struct ranges none = { 0 };
	struct names_view names = { 0 };
	struct surroundings around = { &none, &links, &names, NULL };
	struct others_view view = { .around = &around };
	struct findings findings = { 0 };
	struct nft_socket socket;
	struct others others;
	char text[64];

	if (!policy.role_count)
		make_policy(&policy);
	begin_input(bytes, size);
	if (nft_open(&socket, -1) < 0)
		abort();
	if (nft_read_others(&socket, &others, ~0u) == 0) {
		check(&others);
		others_judge(&findings, &others, &policy, &view, DEEDS_INTERCEPT | DEEDS_STOP);
		for (size_t i = 0; i < findings.count; i++)
			snprintf(text, sizeof(text), "%s %s", deed_phrase(findings.items[i].deed), table_family(findings.items[i].family));
		findings_free(&findings);
		others_free(&others);
	}
	nft_close(&socket);
	return 0;
}
