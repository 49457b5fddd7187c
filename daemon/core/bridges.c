/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridges.h"
#include "array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bridge_fact *bridge_of(const struct bridge_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->bridges.count; i++)
		if (strcmp(facts->bridges.items[i].name, name) == 0)
			return &facts->bridges.items[i];
	return NULL;
}

static bool is_guarded(const struct ranges *guarded, enum family family)
{
	for (size_t i = 0; i < guarded->count; i++)
		if (guarded->items[i].first.family == family)
			return true;
	return false;
}

/* A host speaks both families through one port: what is not filtered of either passes, whichever of its addresses is
 * known. */
static bool is_unfiltered(const struct bridge_facts *facts, const char *name, const struct ranges *guarded,
			  bool ret[FAMILIES])
{
	const struct bridge_fact *bridge = bridge_of(facts, name);
	bool any = false;

	for (enum family family = 0; family < FAMILIES; family++) {
		ret[family] = bridge && !bridge->filtered[family] && is_guarded(guarded, family);
		any |= ret[family];
	}
	return any;
}

static bool has_finding(const struct bridge_findings *findings, const char *bridge)
{
	for (size_t i = 0; i < findings->count; i++)
		if (strcmp(findings->items[i].guarded.at.bridge, bridge) == 0)
			return true;
	return false;
}

static bool same_hardware(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, BRIDGE_HARDWARE) == 0;
}

/* An entry that belongs to a next hop. */
struct hop {
	const struct bridge_entry *entry;
	const struct addr *addr;
};

struct hops {
	struct hop *items;
	size_t count, capacity;
};

/* Whether a neighbour ahead of this one, who is one of these addresses as well, has the same hardware: it has the same
 * entries. */
static bool came_before(const struct bridge_facts *facts, const struct ranges *addresses, size_t at)
{
	const struct bridge_neighbour *neighbours = facts->neighbours.items;

	for (size_t i = 0; i < at; i++)
		if (same_hardware(neighbours[i].hardware, neighbours[at].hardware) &&
		    ranges_contains(addresses, &neighbours[i].addr))
			return true;
	return false;
}

static int find_hops(struct hops *ret, const struct bridge_facts *facts, const struct ranges *next_hops)
{
	for (size_t n = 0; n < facts->neighbours.count; n++) {
		const struct bridge_neighbour *neighbour = &facts->neighbours.items[n];
		if (!ranges_contains(next_hops, &neighbour->addr) || came_before(facts, next_hops, n))
			continue;
		for (size_t e = 0; e < facts->entries.count; e++) {
			struct hop hop = { &facts->entries.items[e], &neighbour->addr };
			if (same_hardware(hop.entry->hardware, neighbour->hardware) && ARRAY_PUSH(ret, hop) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* A next hop behind another port, that frames get to. */
static bool find_hop(const struct hops *hops, struct bridge_finding *finding)
{
	for (size_t i = 0; i < hops->count; i++) {
		const struct bridge_entry *entry = hops->items[i].entry;
		if (strcmp(entry->at.bridge, finding->guarded.at.bridge) != 0 ||
		    strcmp(entry->at.port, finding->guarded.at.port) == 0 || entry->vlan != finding->guarded.vlan)
			continue;
		finding->hop = *entry;
		finding->hop_addr = *hops->items[i].addr;
		return true;
	}
	return false;
}

static int judge_neighbour(struct bridge_findings *ret, const struct bridge_facts *facts, const struct ranges *guarded,
			   const struct hops *hops, const struct bridge_neighbour *neighbour)
{
	for (size_t e = 0; e < facts->entries.count; e++) {
		struct bridge_finding finding = { .guarded = facts->entries.items[e], .guarded_addr = neighbour->addr };
		if (!same_hardware(finding.guarded.hardware, neighbour->hardware) ||
		    has_finding(ret, finding.guarded.at.bridge) ||
		    !is_unfiltered(facts, finding.guarded.at.bridge, guarded, finding.unfiltered) ||
		    !find_hop(hops, &finding))
			continue;
		if (ARRAY_PUSH(ret, finding) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int judge_neighbours(struct bridge_findings *ret, const struct bridge_facts *facts, const struct ranges *guarded,
			    const struct ranges *next_hops)
{
	struct hops hops = { 0 };
	int r = find_hops(&hops, facts, next_hops);

	for (size_t i = 0; i < facts->neighbours.count && hops.count && r == 0; i++)
		if (ranges_contains(guarded, &facts->neighbours.items[i].addr) && !came_before(facts, guarded, i))
			r = judge_neighbour(ret, facts, guarded, &hops, &facts->neighbours.items[i]);
	free(hops.items);
	return r;
}

/* It is still a port, and the address was not learned anywhere else. */
static bool still_at(const struct bridge_facts *facts, const struct bridge_entry *entry)
{
	bool is_port = false;

	for (size_t i = 0; i < facts->ports.count; i++)
		is_port |= strcmp(facts->ports.items[i].bridge, entry->at.bridge) == 0 &&
			   strcmp(facts->ports.items[i].port, entry->at.port) == 0;
	for (size_t i = 0; i < facts->entries.count; i++) {
		const struct bridge_entry *one = &facts->entries.items[i];
		if (same_hardware(one->hardware, entry->hardware) &&
		    (strcmp(one->at.port, entry->at.port) != 0 || one->vlan != entry->vlan))
			return false;
	}
	return is_port;
}

int bridges_judge(struct bridge_findings *ret, const struct bridge_facts *facts, const struct ranges *guarded,
		  const struct ranges *next_hops, const struct bridge_findings *before)
{
	*ret = (struct bridge_findings){ .can_filter = facts->can_filter };
	int r = judge_neighbours(ret, facts, guarded, next_hops);

	for (size_t i = 0; before && i < before->count && r == 0; i++) {
		struct bridge_finding finding = before->items[i];
		if (!has_finding(ret, finding.guarded.at.bridge) && ranges_contains(guarded, &finding.guarded_addr) &&
		    ranges_contains(next_hops, &finding.hop_addr) && still_at(facts, &finding.guarded) &&
		    still_at(facts, &finding.hop) &&
		    is_unfiltered(facts, finding.guarded.at.bridge, guarded, finding.unfiltered) &&
		    ARRAY_PUSH(ret, finding) < 0)
			r = -ENOMEM;
	}
	if (r < 0)
		bridge_findings_free(ret);
	return r;
}

static const char *families_word(const bool families[FAMILIES])
{
	return families[FAMILY_4] && families[FAMILY_6] ? "" : families[FAMILY_4] ? "'s IPv4" : "'s IPv6";
}

char *bridge_finding_text(const struct bridge_finding *finding, char buffer[BRIDGE_TEXT_MAX])
{
	char guarded[ADDR_TEXT_MAX], hop[ADDR_TEXT_MAX];

	snprintf(buffer, BRIDGE_TEXT_MAX,
		 "bridge %s carries what passes between %s (at %s)%s and %s (at %s) past the guard",
		 finding->guarded.at.bridge, addr_format(&finding->guarded_addr, guarded), finding->guarded.at.port,
		 families_word(finding->unfiltered), addr_format(&finding->hop_addr, hop), finding->hop.at.port);
	return buffer;
}

char *bridge_remedy_text(const struct bridge_findings *findings, const struct bridge_finding *finding,
			 char buffer[BRIDGE_TEXT_MAX])
{
	snprintf(buffer, BRIDGE_TEXT_MAX, "%s%s%s%s", findings->can_filter ? "" : "modprobe br_netfilter; ",
		 "sysctl -w", finding->unfiltered[FAMILY_4] ? " net.bridge.bridge-nf-call-iptables=1" : "",
		 finding->unfiltered[FAMILY_6] ? " net.bridge.bridge-nf-call-ip6tables=1" : "");
	return buffer;
}

void bridge_facts_free(struct bridge_facts *facts)
{
	free(facts->bridges.items);
	free(facts->ports.items);
	free(facts->entries.items);
	free(facts->neighbours.items);
	*facts = (struct bridge_facts){ 0 };
}

void bridge_findings_free(struct bridge_findings *findings)
{
	free(findings->items);
	*findings = (struct bridge_findings){ 0 };
}
