/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/names_parts.h"

#include <stdio.h>
#include <string.h>

/* Names as reasons why the gateway is not healthy. What one cause explains is said once: a DNS server that is silent
 * fails every name. */

/* No server has sent anything since the entry's queries began to fail. */
static bool is_silent(const struct names *names, const struct book_entry *entry)
{
	return entry->silent_ms != INT64_MAX && names->heard_ms < entry->silent_ms;
}

/* Names, not entries. */
struct silence {
	size_t queried, silent; /* names that are queried; those whose queries met with silence */
	size_t without;         /* of these, names that have no address at all */
};

static struct silence count_silent(const struct names *names)
{
	struct silence found = { 0 };

	for (size_t i = 0; i < addrbook_count(names->book); i += FAMILIES) {
		bool silent = false, queried = false, has_address = false;
		for (size_t family = 0; family < FAMILIES; family++) {
			struct book_entry entry;
			addrbook_entry(names->book, i + family, &entry);
			silent |= is_silent(names, &entry);
			queried |= !entry.unwanted && entry.name[0] != '*';
			has_address |= entry.address_count > 0;
		}
		found.queried += queried;
		found.silent += silent;
		found.without += silent && !has_address;
	}
	return found;
}

/* One name alone may have servers of its own that are dead, so that the resolver has nothing to say of it. */
static bool is_servers_fault(const struct silence *silence)
{
	return silence->silent >= 2 || (silence->silent && silence->silent == silence->queried);
}

bool names_servers_silent(const struct names *names)
{
	struct silence silence = count_silent(names);
	return is_servers_fault(&silence);
}

static void add_servers(const struct names *names, const struct silence *silence, struct health *health)
{
	size_t count;
	const struct dns_server *servers = resolver_servers(names->resolver, &count);
	char what[80] = "the last answers serve", server[ADDR_TEXT_MAX + 8];

	if (silence->without)
		snprintf(what, sizeof(what), "%zu name%s no address", silence->without,
			 silence->without == 1 ? " has" : "s have");
	if (!count)
		health_add(health, HEALTH_DNS_SERVER, "there is no DNS server to query: %s", what);
	for (size_t i = 0; i < count; i++) {
		addr_format(&servers[i].addr, server);
		if (servers[i].port != DNS_PORT)
			snprintf(server + strlen(server), sizeof(server) - strlen(server), "#%u", servers[i].port);
		health_add(health, HEALTH_DNS_SERVER, "DNS server %s does not answer: %s", server, what);
	}
}

/* Of the families that the name may have: what is said of a name is said once. */
static bool is_first(const struct names *names, const struct book_entry *entry)
{
	struct book_entry four;

	return entry->family == FAMILY_4 || addrbook_find(names->book, entry->name, FAMILY_4, &four) < 0;
}

static bool find_other(const struct names *names, const struct book_entry *entry, struct book_entry *ret)
{
	return addrbook_find(names->book, entry->name, entry->family == FAMILY_4 ? FAMILY_6 : FAMILY_4, ret) == 0;
}

/* DNS has no address that the name may have. */
static void add_empty(const struct names *names, const struct book_entry *entry, const struct book_entry *other,
		      struct health *health)
{
	size_t count = entry->refused_count + (other ? other->refused_count : 0);
	const struct book_refused *refused = entry->refused_count ? entry->refused_addresses
					     : count              ? other->refused_addresses
								  : NULL;
	char address[ADDR_TEXT_MAX], section[CONFIG_ID_MAX + 8], more[48] = "";

	if (!refused) {
		health_add(health, HEALTH_NAME_EMPTY, "%s has no address in DNS", entry->name);
		health_fill(health, entry->name);
		return;
	}
	if (count > 1)
		snprintf(more, sizeof(more), " (and %zu more)", count - 1);
	health_add(health, HEALTH_NAME_REFUSED, "%s has no address that it may have: %s%s is %s", entry->name,
		   addr_format(&refused->addr, address), more, book_refused_text(refused));
	const struct policy_flow *flow = names_private_flow(names, entry->name, refused);
	if (flow) {
		snprintf(section, sizeof(section), "[flow %s]", flow->id);
		health_fill(health, section);
	}
}

static void entry_reason(const struct names *names, const struct book_entry *entry, bool servers_fault,
			 struct health *health)
{
	static const char *const families[] = { "IPv4", "IPv6" };
	struct book_entry other;

	if (entry->name[0] == '*' || entry->unwanted || (servers_fault && is_silent(names, entry)))
		return;
	if (entry->state == BOOK_STALE || entry->state == BOOK_FAILING) {
		health_add(health, entry->state == BOOK_STALE ? HEALTH_NAME_STALE : HEALTH_NAME_FAILING,
			   "%s (%s) is %s: %s", entry->name, families[entry->family], book_state_name(entry->state),
			   entry->last_error[0] ? entry->last_error : "it was not queried yet");
		return;
	}
	if (entry->state != BOOK_EMPTY || !is_first(names, entry))
		return;
	/* A family that never had an address is no fault where the other family has one: few names have both. */
	bool has_other = find_other(names, entry, &other);
	if (has_other && other.address_count > 0)
		return;
	if (entry->ever_answered || entry->failures > 0)
		add_empty(names, entry, has_other ? &other : NULL, health);
	else
		health_add(health, HEALTH_NAME_UNRESOLVED, "%s is not resolved yet", entry->name);
}

void names_reasons(const struct names *names, struct health *health)
{
	struct silence silence = count_silent(names);
	bool servers_fault = is_servers_fault(&silence);
	struct book_entry entry;

	if (names->not_followed)
		health_add(health, HEALTH_NAMES_NOT_FOLLOWED, "the names of the policy are not followed yet");
	if (names->save_failed) {
		health_add(health, HEALTH_STATE_UNSAVED, "the addresses can't be saved in %s", names->state);
		health_fill(health, names->state);
	}
	if (servers_fault)
		add_servers(names, &silence, health);
	for (size_t i = 0; i < addrbook_count(names->book); i++) {
		addrbook_entry(names->book, i, &entry);
		entry_reason(names, &entry, servers_fault, health);
	}
}
