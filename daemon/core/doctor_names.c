/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands behind names: resolvers, their answers, and certificates. */

void doctor_judge_resolvers(struct troubles *out, const struct doctor_facts *facts)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < facts->local_resolvers.count && facts->policy->name_count && facts->policy->observe &&
			   !facts->same_resolvers;
	     i++) {
		const struct resolver_fact *resolver = &facts->local_resolvers.items[i];
		struct trouble *trouble = trouble_add(out, GRAVITY_WARNING, "resolver",
						      "what the server learns from its resolver %s can't be observed",
						      addr_format(&resolver->addr, text));
		EVIDENCE(out, trouble, "it is reached by %s as the server is: its answers do not pass this gateway",
			 resolver->interface);
		REMEDY(out, trouble,
		       "servers = %s in [dns], so that both query the same; or let the server query one beyond this "
		       "gateway",
		       text);
	}
}

static void add_addresses(struct troubles *out, char **text, const struct ranges *ranges)
{
	char first[RANGE_TEXT_MAX];

	if (!ranges->count)
		trouble_text(out, text, "no address");
	else if (ranges->count == 1)
		trouble_text(out, text, "%s", range_format(&ranges->items[0], first));
	else
		trouble_text(out, text, "%s and %zu more", range_format(&ranges->items[0], first), ranges->count - 1);
}

static void judge_name(struct troubles *out, const struct doctor_facts *facts, const struct name_fact *name)
{
	if (!facts->policy->resolvers.count) /* the server's side is not known */
		return;
	bool share = (!name->own.count && !name->servers.count) || ranges_overlap_any(&name->servers, &name->own);
	char *own = NULL, *servers = NULL;

	if (share || name->own_error || name->servers_error)
		return;
	/* What is observed is learned at once. */
	bool cured = facts->policy->observe && !facts->local_resolvers.count && name->servers.count;
	add_addresses(out, &own, &name->own);
	add_addresses(out, &servers, &name->servers);
	struct trouble *trouble = trouble_add(out, cured ? GRAVITY_WARNING : GRAVITY_SERIOUS, "resolver",
					      "%s (%s) is somebody else to the server than to this gateway", name->name,
					      family_words[name->family]);
	EVIDENCE(out, trouble, "the gateway's resolver answers %s, the server's %s, and they share none",
		 own ? own : "?", servers ? servers : "?");
	REMEDY(out, trouble, "let both query the same: servers in [dns] as resolvers in [server]");
	free(own);
	free(servers);
}

/* One note a side: where a resolver is silent, it is for all names. */
void doctor_judge_names(struct troubles *out, const struct doctor_facts *facts)
{
	const struct name_fact *own = NULL, *servers = NULL;

	for (size_t i = 0; i < facts->names.count; i++) {
		const struct name_fact *name = &facts->names.items[i];
		judge_name(out, facts, name);
		own = name->own_error && !own ? name : own;
		servers = name->servers_error && !servers ? name : servers;
	}
	if (facts->names.count && !facts->policy->resolvers.count)
		troubles_add(out, GRAVITY_NOTE, "resolver", "what the server's resolvers answer could not be looked at",
			     "[server] has no resolvers", NULL);
	if (own)
		troubles_add(out, GRAVITY_NOTE, "resolver", "the gateway's resolver could not be queried for all names",
			     own->own_error, NULL);
	if (servers)
		troubles_add(out, GRAVITY_NOTE, "resolver",
			     "the server's resolvers could not be queried for all names from here",
			     servers->servers_error, NULL);
}

static void judge_certificate(struct troubles *out, const struct tls_fact *fact)
{
	char addr[ADDR_TEXT_MAX];

	if (fact->result != TLS_UNTRUSTED && fact->result != TLS_OTHER_NAME)
		return;
	struct trouble *trouble =
		trouble_add(out, GRAVITY_SERIOUS, "tls",
			    "flow %s: what answers for %s port %u is %s: a proxy on the way may open the connection",
			    fact->flow, fact->name, fact->port,
			    fact->result == TLS_UNTRUSTED ? "nobody whom this system trusts" : "somebody else");
	EVIDENCE(out, trouble, "%s has a certificate for \"%s\" by \"%s\": %s", addr_format(&fact->addr, addr),
		 fact->subject, fact->issuer, fact->why);
	REMEDY(out, trouble, "take %s out of the inspection of the proxy that has this authority", fact->name);
}

/* It answers by the other family, or that it does not was reported of that. */
static bool is_reported(const struct doctor_facts *facts, const struct tls_fact *fact)
{
	for (size_t i = 0; i < facts->tls.count; i++) {
		const struct tls_fact *one = &facts->tls.items[i];
		if (one != fact && strcmp(one->name, fact->name) == 0 && one->port == fact->port &&
		    (one->result < TLS_UNREACHABLE || one < fact))
			return true;
	}
	return false;
}

void doctor_judge_tls(struct troubles *out, const struct doctor_facts *facts)
{
	char evidence[TLS_TEXT_MAX + ADDR_TEXT_MAX + 4], what[CONFIG_NAME_MAX + 80], addr[ADDR_TEXT_MAX];

	for (size_t i = 0; i < facts->tls.count; i++) {
		const struct tls_fact *fact = &facts->tls.items[i];
		judge_certificate(out, fact);
		if (fact->result < TLS_UNREACHABLE || is_reported(facts, fact))
			continue;
		snprintf(what, sizeof(what), "the certificate of %s port %u could not be checked", fact->name,
			 fact->port);
		snprintf(evidence, sizeof(evidence), "%s: %s", addr_format(&fact->addr, addr), fact->why);
		troubles_add(out, GRAVITY_NOTE, "tls", what, evidence, NULL);
	}
	if (facts->no_trust)
		troubles_add(out, GRAVITY_NOTE, "tls", "no certificate could be judged",
			     "this system's trust store is empty: install ca-certificates", NULL);
}
