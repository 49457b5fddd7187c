/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor_parts.h"
#include "owners.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The checks in their order: the machine, its interfaces, other tables. */

enum {
	FULL_PERCENT = 90,
	REPORTED_MAX = 8, /* neighbours with one hardware address; a router's answers for a whole network */
	STRICT = 1,       /* of rp_filter */
};

const char *const family_words[FAMILIES] = { "IPv4", "IPv6" };

static bool serves(const struct doctor_facts *facts, enum family family)
{
	for (size_t i = 0; i < facts->policy->protected_all.count; i++)
		if (facts->policy->protected_all.items[i].first.family == family)
			return true;
	return false;
}

static void judge_guard(struct troubles *out, const struct doctor_facts *facts)
{
	if (facts->table_guards)
		return;
	struct trouble *trouble = trouble_add(out, GRAVITY_SERIOUS, "guard", "nothing guards the server");
	EVIDENCE(out, trouble, "table inet " TABLE_NAME " is not loaded, or holds no protected address");
	REMEDY(out, trouble, "systemctl start spefwd; or, where it runs, spefwctl reload");
}

static void judge_forwarding(struct troubles *out, const struct doctor_facts *facts)
{
	static const char *const keys[FAMILIES] = { "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding" };

	for (enum family family = 0; family < FAMILIES; family++) {
		if (!serves(facts, family) || facts->forwarding[family] != 0)
			continue;
		struct trouble *trouble =
			trouble_add(out, GRAVITY_SERIOUS, "forwarding", "%s is not forwarded", family_words[family]);
		EVIDENCE(out, trouble, "%s = 0", keys[family]);
		REMEDY(out, trouble, "sysctl -w %s=1, and for the next boot in /etc/sysctl.d", keys[family]);
	}
	for (size_t i = 0; i < facts->interfaces.count && serves(facts, FAMILY_4) && facts->forwarding[FAMILY_4] != 0;
	     i++) {
		const struct interface_fact *interface = &facts->interfaces.items[i];
		if (interface->forwarding != 0)
			continue;
		struct trouble *trouble =
			trouble_add(out, interface->is_servers ? GRAVITY_SERIOUS : GRAVITY_WARNING, "forwarding",
				    "IPv4 that comes by %s is not forwarded", interface->name);
		EVIDENCE(out, trouble, "net.ipv4.conf.%s.forwarding = 0", interface->name);
		REMEDY(out, trouble, "sysctl -w net/ipv4/conf/%s/forwarding=1, and for the next boot in /etc/sysctl.d",
		       interface->name);
	}
}

static void judge_detours(struct troubles *out, const struct doctor_facts *facts)
{
	char whom[RANGE_TEXT_MAX];

	for (size_t i = 0; i < facts->detours.count; i++) {
		const struct detour_fact *detour = &facts->detours.items[i];
		if (detour->rp_filter != STRICT)
			continue;
		struct trouble *trouble = trouble_add(out, detour->configured ? GRAVITY_SERIOUS : GRAVITY_WARNING,
						      "rp_filter", "what %s (%s) sends by %s is dropped", detour->of,
						      range_format(&detour->whom, whom), detour->interface);
		EVIDENCE(out, trouble, "rp_filter is strict (1) on %s, and the kernel's route back leaves by %s",
			 detour->interface, detour->best);
		REMEDY(out, trouble,
		       "sysctl -w net/ipv4/conf/%s/rp_filter=2, or give the route by %s the better metric",
		       detour->interface, detour->interface);
	}
}

static bool same_hardware(const struct neighbour_fact *a, const struct neighbour_fact *b)
{
	return a->hardware_length && a->hardware_length == b->hardware_length &&
	       strcmp(a->interface, b->interface) == 0 && memcmp(a->hardware, b->hardware, a->hardware_length) == 0;
}

static bool is_link_local(const struct addr *addr)
{
	return addr->family == FAMILY_6 ? addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80
					: addr->bytes[0] == 169 && addr->bytes[1] == 254;
}

/* One of its own family, where there is any. */
static const struct neighbour_fact *protected_twin(const struct doctor_facts *facts, const struct neighbour_fact *of)
{
	const struct neighbour_fact *found = NULL;

	for (size_t i = 0; i < facts->neighbours.count; i++) {
		const struct neighbour_fact *one = &facts->neighbours.items[i];
		if (same_hardware(one, of) && ranges_contains(&facts->policy->protected_all, &one->addr) &&
		    (!found || one->addr.family == of->addr.family))
			found = one;
	}
	return found;
}

static void hardware_text(const struct neighbour_fact *fact, char text[HARDWARE_MAX * 3 + 1])
{
	*text = '\0';
	for (size_t i = 0; i < fact->hardware_length && i < HARDWARE_MAX; i++)
		sprintf(text + strlen(text), "%s%02x", i ? ":" : "", fact->hardware[i]);
}

static void judge_neighbours(struct troubles *out, const struct doctor_facts *facts)
{
	char addr[ADDR_TEXT_MAX], of[ADDR_TEXT_MAX], hardware[HARDWARE_MAX * 3 + 1];
	size_t reported = 0;

	for (size_t i = 0; i < facts->neighbours.count; i++) {
		const struct neighbour_fact *one = &facts->neighbours.items[i];
		if (is_link_local(&one->addr) || ranges_contains(&facts->policy->protected_all, &one->addr) ||
		    ranges_contains(facts->gateway, &one->addr))
			continue;
		const struct neighbour_fact *twin = protected_twin(facts, one);
		if (!twin || reported++ >= REPORTED_MAX)
			continue;
		hardware_text(one, hardware);
		const struct policy_role *role = policy_protected_role(facts->policy, &twin->addr);
		struct trouble *trouble = trouble_add(out, GRAVITY_SERIOUS, "address",
						      "%s seems to be an address of %s too, and is not guarded",
						      addr_format(&one->addr, addr), role ? role->name : "the server");
		EVIDENCE(out, trouble, "%s has it on %s, as has %s", hardware, one->interface,
			 addr_format(&twin->addr, of));
		REMEDY(out, trouble, "add it to %s, or take it from the machine",
		       role && role != facts->policy->roles ? "the members of that role" : "address in [server]");
	}
	if (reported > REPORTED_MAX) {
		struct trouble *trouble =
			trouble_add(out, GRAVITY_WARNING, "address",
				    "%zu more address%s a protected machine's hardware address",
				    reported - REPORTED_MAX, reported - REPORTED_MAX == 1 ? " shares" : "es share");
		EVIDENCE(out, trouble, "the neighbour table");
		REMEDY(out, trouble, "ip neighbour; is there a router or proxy ARP in between?");
	}
}

static void judge_bridges(struct troubles *out, const struct doctor_facts *facts)
{
	char what[BRIDGE_TEXT_MAX], remedy[BRIDGE_TEXT_MAX];

	for (size_t i = 0; i < facts->bridges.count; i++) {
		const struct bridge_finding *finding = &facts->bridges.items[i];
		struct trouble *trouble =
			trouble_add(out, GRAVITY_SERIOUS, "bridge", "%s", bridge_finding_text(finding, what));
		EVIDENCE(out, trouble, "%s%s",
			 facts->bridges.can_filter ? "net.bridge.bridge-nf-call-ip*tables is 0, on that bridge too"
						   : "br_netfilter is not loaded",
			 ": its frames pass no hook");
		REMEDY(out, trouble,
		       "%s, and for the next boot in /etc/modules-load.d and /etc/sysctl.d; or route between the two "
		       "instead",
		       bridge_remedy_text(&facts->bridges, finding, remedy));
	}
}

static void judge_saved(struct troubles *out, const struct doctor_facts *facts)
{
	for (size_t i = 0; i < facts->saved.count; i++) {
		struct trouble *trouble = trouble_add(out, GRAVITY_SERIOUS, "saved",
						      "a saved ruleset holds table inet " TABLE_NAME
						      ": it can't be loaded as a whole while spefwd owns the table");
		EVIDENCE(out, trouble, "%s:%u", facts->saved.items[i].path, facts->saved.items[i].line);
		REMEDY(out, trouble, "take that table out of the file: spefwd builds it");
	}
}

static void judge_tracking(struct troubles *out, const struct doctor_facts *facts)
{
	uint64_t most = facts->tracked_max, nearly = most / 100 * FULL_PERCENT + most % 100 * FULL_PERCENT / 100;

	if (!most || facts->tracked < nearly)
		return;
	struct trouble *trouble =
		trouble_add(out, GRAVITY_SERIOUS, "conntrack", "the connection table is %s: new connections are lost",
			    facts->tracked < facts->tracked_max ? "nearly full" : "full");
	EVIDENCE(out, trouble, "net.netfilter.nf_conntrack_count = %" PRIu64 ", nf_conntrack_max = %" PRIu64,
		 facts->tracked, facts->tracked_max);
	REMEDY(out, trouble, "see who floods (conntrack -L), or sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64,
	       2 * facts->tracked_max);
}

static void judge_clock(struct troubles *out, const struct doctor_facts *facts)
{
	if (!facts->clock_known || facts->clock_synchronised)
		return;
	struct trouble *trouble =
		trouble_add(out, GRAVITY_WARNING, "clock",
			    "the clock is not synchronised: times in logs and of last known addresses may be wrong");
	EVIDENCE(out, trouble, "the kernel takes it to be wrong by up to %" PRId64 " s", facts->clock_error_ms / 1000);
	REMEDY(out, trouble, "run a time service, as systemd-timesyncd or chrony; timedatectl shows it");
}

static enum gravity gravity_of(const struct finding *finding)
{
	return finding->may || finding->effect == EFFECT_OFFLOAD || finding->effect == EFFECT_DUP ? GRAVITY_WARNING
												  : GRAVITY_SERIOUS;
}

static struct trouble *add_finding(struct troubles *out, const struct finding *finding, const char *check)
{
	char flows[FLOWS_TEXT_MAX];

	if (finding->effect == EFFECT_PORT)
		return trouble_add(out, GRAVITY_SERIOUS, check,
				   "a port of a guarded machine's own address is translated by another table: "
				   "early_drop drops "
				   "what comes to it");
	return trouble_add(out, gravity_of(finding), check, "%s: another table %s", finding_flows(finding, flows),
			   finding_phrase(finding));
}

static void add_remedy(struct troubles *out, struct trouble *trouble, const struct finding *finding)
{
	char remedy[REMEDY_MAX], look[WHERE_MAX];

	if (finding->effect == EFFECT_PORT)
		REMEDY(out, trouble, "early_drop = no, since it sees the port before the translation");
	else if (finding->effect == EFFECT_OFFLOAD)
		REMEDY(out, trouble,
		       "leave the protected addresses out of the flowtable: what is offloaded is neither counted nor "
		       "seen by spefwd");
	else if (owner_remedy(finding, remedy))
		REMEDY(out, trouble, "%s", remedy);
	else if (finding->effect == EFFECT_POLICY)
		REMEDY(out, trouble,
		       "let that chain accept what touches the protected addresses, for spefwd judges it; %s",
		       finding_command(finding, look));
	else
		REMEDY(out, trouble, "take the protected addresses out of that rule; %s",
		       finding_command(finding, look));
}

static void judge_finding(struct troubles *out, const struct finding *finding)
{
	static const char *const checks[] = { [EFFECT_DROP] = "drop",
					      [EFFECT_POLICY] = "drop",
					      [EFFECT_OFFLOAD] = "flowtable",
					      [EFFECT_PORT] = "early_drop" };
	const char *check = finding->effect < sizeof(checks) / sizeof(checks[0]) && checks[finding->effect]
				    ? checks[finding->effect]
				    : "interception";
	char table[WHERE_MAX];

	finding_table(finding, table);
	struct trouble *trouble = add_finding(out, finding, check);
	if (finding->effect == EFFECT_POLICY)
		EVIDENCE(out, trouble, "%s, chain %s: policy drop", table, finding->chain);
	else
		EVIDENCE(out, trouble, "%s, chain %s, %s %llu%s", table, finding->chain,
			 finding->legacy ? "rule" : "handle", (unsigned long long)finding->handle,
			 finding->unread ? ", by a set that is too large to read" : "");
	add_remedy(out, trouble, finding);
}

static void judge_foreign(struct troubles *out, const struct doctor_facts *facts)
{
	for (size_t i = 0; i < facts->findings.count; i++)
		judge_finding(out, &facts->findings.items[i]);
	if (facts->findings.incomplete)
		troubles_add(out, GRAVITY_NOTE, "drop", "other tables could not be judged to their end",
			     "they have too many rules, or rules of an unknown kind", NULL);
}

void doctor_judge(struct troubles *ret, const struct doctor_facts *facts)
{
	judge_guard(ret, facts);
	judge_forwarding(ret, facts);
	judge_bridges(ret, facts);
	judge_foreign(ret, facts);
	judge_detours(ret, facts);
	judge_tracking(ret, facts);
	judge_neighbours(ret, facts);
	doctor_judge_resolvers(ret, facts);
	doctor_judge_names(ret, facts);
	doctor_judge_tls(ret, facts);
	judge_saved(ret, facts);
	judge_clock(ret, facts);
	troubles_sort(ret);
}

void doctor_facts_free(struct doctor_facts *facts)
{
	for (size_t i = 0; i < facts->saved.count; i++)
		free(facts->saved.items[i].path);
	for (size_t i = 0; i < facts->names.count; i++) {
		ranges_free(&facts->names.items[i].own);
		ranges_free(&facts->names.items[i].servers);
	}
	findings_free(&facts->findings);
	bridge_findings_free(&facts->bridges);
	free(facts->interfaces.items);
	free(facts->detours.items);
	free(facts->neighbours.items);
	free(facts->saved.items);
	free(facts->local_resolvers.items);
	free(facts->names.items);
	free(facts->tls.items);
}
