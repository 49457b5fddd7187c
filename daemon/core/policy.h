/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_H
#define SPEFW_POLICY_H

/* The configuration with its roles resolved and its flows ordered, and the one judge of what it means. */

#include "addr.h"
#include "config.h"
#include "diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A DNS name that a flow depends on. */
struct policy_name {
	char *name;         /* owned; lower case, no trailing dot; may begin with "*." */
	bool allow_private; /* some flow or role that uses it allows private addresses */
	bool used;          /* an enabled flow uses it */
};

/* A set of addresses, as one side of a flow or the members of a role. */
struct endpoint {
	bool any;              /* every address; as a target: every one that is not protected */
	struct ranges ranges;  /* normalised; as a target without protected addresses, but for those in `protected_ranges` */
	struct ranges protected_ranges; /* target only: protected addresses that it opens, by naming their role or them */
	size_t *names;         /* indices into policy.names, ascending, unique */
	size_t name_count;
	const char *role;      /* the role where the endpoint is exactly one role; else NULL. Owned by the policy. */
	unsigned rank;         /* 0 names and single addresses, 1 networks, 2 any: the widest member counts */
};

struct policy_role {
	char name[CONFIG_ID_MAX + 1];
	bool is_protected;
	unsigned line;
	struct endpoint members;
};

enum section { SECTION_OUTBOUND, SECTION_INBOUND, SECTION_INFRASTRUCTURE, SECTION_CUSTOM };

struct policy_flow {
	char id[CONFIG_ID_MAX + 1];
	enum section section;
	enum protocol protocol;
	struct port_range *ports; /* normalised; none for icmp-echo */
	size_t port_count;
	struct endpoint from, to;
	bool enabled;    /* written or by default, and its target is not empty */
	unsigned line;   /* of its section in the file; 0: as built in */
	int64_t expect_ms;
	const char *purpose; /* static text; NULL for custom flows */
};

struct policy {
	struct policy_name *names;
	size_t name_count;
	struct policy_role *roles; /* SERVER is the first; ADM and CA are always there */
	size_t role_count;
	struct policy_flow *flows; /* most specific first, then in the order of the table and the file */
	size_t flow_count;
	struct ranges protected_all; /* of all protected roles, normalised */
	struct ranges resolvers;     /* of the server, normalised */
	struct ranges nat_except;    /* normalised */

	enum preset preset;
	enum mode mode;
	enum interception interception;
	bool early_drop;
	bool observe;
	uint16_t log_group;
	enum interfaces interfaces;  /* of SERVER; other protected roles are INTERFACES_AUTO */
	char (*links)[CONFIG_LINK_MAX + 1];
	size_t link_count;
	int64_t stale_ms;
};

/* The addresses behind the policy's names, at one moment; built by the gateway from the address book.
 * Index: policy name, then family. */
struct name_address {
	struct addr addr;
	int64_t deadline_ms; /* CLOCK_BOOTTIME: until when the kernel may keep it without hearing from us */
};

struct name_addresses {
	struct name_address *items; /* ascending by address, unique */
	size_t count;
};

struct names_view {
	struct name_addresses (*names)[FAMILIES]; /* policy.name_count of them */
	size_t count;
};

/* Errors and warnings go to diags (with the lines of the configuration); policy is usable only where
 * !diags_failed(). Returns 0 or -ENOMEM. The policy owns all it holds: the configuration may be freed. */
int policy_from_config(struct policy *ret, const struct config *config, struct diags *diags);
void policy_free(struct policy *policy);

const struct policy_role *policy_protected_role(const struct policy *policy, const struct addr *addr);
const struct policy_flow *policy_flow(const struct policy *policy, const char *id);

enum verdict {
	VERDICT_NOT_OURS, /* touches no protected address */
	VERDICT_ALLOW,
	VERDICT_DENY,
};

enum reason {
	REASON_FLOW,         /* allowed by .flow, as a new connection */
	REASON_ANSWER,       /* allowed as a piece of a connection of .flow */
	REASON_NO_FLOW,      /* no flow opens this port here */
	REASON_WRONG_PEER,   /* .flow opens the port, but not for this peer */
};

struct packet {
	struct addr source, target; /* source before SNAT, target after DNAT; one family */
	enum protocol protocol;
	uint16_t source_port, target_port; /* host order; 0 for icmp-echo */
	bool piece; /* TCP that opens nothing (not SYN alone) and belongs to no tracked connection */
};

struct judgement {
	enum verdict verdict;
	enum reason reason;
	bool inbound;                   /* judged by the flows to (else: from) the protected role */
	const struct policy_role *role; /* the protected role; NULL for VERDICT_NOT_OURS */
	const struct policy_flow *flow; /* NULL where none was near */
};

/* The meaning of the product. Pure. The compiled ruleset must agree with it on every packet.
 * In audit mode it tells what enforce would do. */
struct judgement policy_judge(const struct policy *policy, const struct names_view *names, const struct packet *packet);

void names_view_free(struct names_view *view);
const char *section_name(enum section section);

/* The vendor's flows and the three infrastructure ones, builtin.c; from flows.tsv. */
struct builtin_flow {
	const char *id;
	enum protocol protocol;
	uint16_t port; /* 0: icmp-echo */
	const char *from, *to; /* "ANY", a role, or a name */
	enum section section;
	const char *purpose;
};
extern const struct builtin_flow builtin_flows[];
extern const size_t builtin_flow_count;

#endif
