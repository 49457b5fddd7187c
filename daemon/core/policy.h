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

enum { ENDPOINT_WORDS = 8 };

/* A DNS name that a flow depends on. */
struct policy_name {
	char *name;         /* owned; lower case, no trailing dot; may begin with "*." */
	bool allow_private; /* an enabled flow, or a role, that uses it allows private addresses */
	bool used;          /* an enabled flow uses it */
	unsigned families;  /* bits 1 << enum family: of which it may have addresses */
	unsigned line;      /* of its own section in the file; 0: it has none */
	bool observed; /* as a target, and none as a source: answers to the server are believed, since they give rights
			  to nobody else */
};

/* A set of addresses, as one side of a flow or the members of a role. */
struct endpoint {
	bool any;             /* every address; as a target: every one that is not protected */
	struct ranges ranges; /* normalised; as a target it counts for addresses that are not protected */
	bool ranges_borrowed; /* they are those of the one role that it names; roles can be large */
	struct ranges opens;  /* target only, normalised: the protected addresses that it opens, by naming their role or
				 them */
	size_t *names;        /* indices into policy.names, ascending, unique */
	size_t name_count;
	size_t granted;  /* of a flow: which addresses it is granted for a while, names_view.granted; 0: a role's, none
			  */
	const char *set; /* base name of its kernel sets where it is shared: "role_ADM", "resolvers"; else NULL. Owned
			    by the policy. */
	char **words;    /* as written: the first ENDPOINT_WORDS, or all of one more */
	size_t word_count;
	size_t more_words; /* that were written besides */
	unsigned rank;     /* 0 names and single addresses, 1 networks, 2 any: the widest member counts */
};

struct policy_role {
	char name[CONFIG_ID_MAX + 1];
	bool is_protected;
	unsigned line;
	struct endpoint members;
	struct ranges guarded; /* protected: members.ranges without what policy_leave_out() left out */
	struct port_range
		*ephemeral; /* protected: from which its machines open connections; normalised, one at least */
	size_t ephemeral_count;
};

enum section { SECTION_OUTBOUND, SECTION_INBOUND, SECTION_INFRASTRUCTURE, SECTION_CUSTOM };

struct policy_flow {
	char id[CONFIG_ID_MAX + 1];
	enum section section;
	unsigned protocols;       /* bits 1 << enum protocol; two for dns-out alone */
	struct port_range *ports; /* normalised; none for icmp-echo */
	size_t port_count;
	struct endpoint from, to;
	bool enabled;                  /* as written or by default, and neither side is empty */
	const char *off;               /* why not, static: "disabled", "no source", "no target"; NULL where enabled */
	unsigned line;                 /* of its section in the file; 0: as built in */
	struct flow_settings settings; /* as written */
	const char *purpose;           /* static text; NULL for custom flows */
};

struct policy {
	struct policy_name *names;
	size_t name_count;
	struct policy_role *roles; /* SERVER is the first; ADM and CA are always there */
	size_t role_count;
	struct policy_flow *flows; /* most specific first, then in the order of the table and the file */
	size_t flow_count;
	struct ranges protected_all; /* guarded ranges of all protected roles, normalised */
	struct ranges resolvers;     /* of the server, normalised */
	struct ranges nat_except;    /* normalised */
	struct flow_index *index;    /* flow_index.h; owned */

	/* As written, config_keys.c. */
	enum mode mode;
	enum interception interception;
	bool early_drop;
	bool record; /* who used what is remembered */
	enum proof_mode proof;
	bool observe;
	uint16_t log_group;
	char (*reject)[CONFIG_ID_MAX + 1]; /* roles whose denied connections are answered; none is ANY */
	size_t reject_count;
	char notify[CONFIG_PATH_MAX + 1]; /* "": none */
	enum interfaces interfaces;       /* of SERVER; other protected roles are INTERFACES_AUTO */
	char (*interface_names)[CONFIG_INTERFACE_MAX + 1];
	size_t interface_count;
	struct dns_servers dns_servers; /* whom spefwd itself queries */
	int64_t min_interval_ms, max_interval_ms, grace_ms, stale_ms;
	unsigned *key_lines; /* by the number of the key, of sections without a name; 0: not written. Owned */
};

/* The addresses behind the policy's names, and those that are granted, at one moment; built by the gateway from the
 * address book and the grants. Index: policy name, then family. */
struct name_address {
	struct addr addr;
	int64_t deadline_ms; /* CLOCK_BOOTTIME: until when the kernel may keep it unless it is renewed */
};

struct name_addresses {
	struct name_address *items; /* ascending by address, unique */
	size_t count;
};

/* What one side of a flow is granted for a while, grant_view.h: never an address that is protected. */
struct granted_addresses {
	size_t endpoint; /* its `granted` */
	struct name_addresses addresses[FAMILIES];
};

struct names_view {
	struct name_addresses (*names)[FAMILIES]; /* policy.name_count of them; no address that is protected */
	size_t count;
	struct granted_addresses *granted; /* ascending by endpoint, unique */
	size_t granted_count;
};

/* Errors and warnings go to diags (with the lines of the configuration); policy is usable only where
 * !diags_failed(). Returns 0 or -ENOMEM. The policy owns all it holds: the configuration may be freed. */
int policy_from_config(struct policy *ret, const struct config *config, struct diags *diags);
void policy_free(struct policy *policy);

/* Protected addresses that are the gateway's own would lock it: they are left out of what is guarded; each call begins
 * from all of them. *ret_changed: something guarded before is not now, or the other way round; else the policy is left
 * alone. 0 or -ENOMEM (then as before). */
int policy_leave_out(struct policy *policy, const struct ranges *gateway, bool *ret_changed);
/* The protected address that is one of these, or NULL: what policy_leave_out() would leave out. */
const struct addr *policy_own_address(const struct policy *policy, const struct ranges *gateway);

/* Whether packets from this address are the endpoint's. */
bool endpoint_is_source(const struct endpoint *endpoint, const struct names_view *names, const struct addr *addr);
/* Whether packets to this address are; a protected one has to be named, by itself or by its role. */
bool endpoint_is_target(const struct policy *policy, const struct endpoint *endpoint, const struct names_view *names,
			const struct addr *addr);

/* A flow is judged among the inbound ones of a protected role where it opens one of the role's addresses, and can
 * send from the role where its source covers one. */
bool flow_opens_role(const struct policy_flow *flow, const struct policy_role *role);
bool flow_leaves_role(const struct policy_flow *flow, const struct policy_role *role);
bool flow_has_port(const struct policy_flow *flow, enum protocol protocol, uint16_t port);

/* Whether what members of this role are denied is answered: [gateway] reject. */
bool policy_rejects(const struct policy *policy, const struct policy_role *role);

const struct policy_role *policy_protected_role(const struct policy *policy, const struct addr *addr);
const struct policy_flow *policy_flow(const struct policy *policy, const char *id);
/* The flow at *at (0: the first) in the order in which they are listed: those of the vendor's table as it has them,
 * then the others; not as they are judged. *at goes on to the next one. NULL: there is none. */
const struct policy_flow *policy_listed_flow(const struct policy *policy, size_t *at);

enum verdict {
	VERDICT_NOT_OURS, /* touches no protected address */
	VERDICT_ALLOW,
	VERDICT_DENY,
};

enum reason {
	REASON_FLOW,       /* allowed by .flow, as a new connection */
	REASON_ANSWER,     /* allowed as a mid-stream packet of a connection of .flow */
	REASON_NO_FLOW,    /* no flow opens this port here */
	REASON_WRONG_PEER, /* .flow opens the port, but not for this peer */
};

struct packet {
	struct addr source, target; /* source before SNAT, target after DNAT; one family */
	enum protocol protocol;
	uint16_t source_port, target_port; /* host order; 0 for icmp-echo */
	/* TCP that opens nothing and belongs to no tracked connection, but that connection tracking takes up (ACK);
	 * what it does not (SYN and ACK, FIN, RST) is invalid and dropped whatever the flows say. */
	bool mid_stream;
};

struct judgement {
	enum verdict verdict;
	enum reason reason;
	bool inbound;                   /* judged by the flows to (else: from) the protected role */
	const struct policy_role *role; /* the protected role; NULL for VERDICT_NOT_OURS */
	const struct policy_flow *flow; /* NULL where none was near */
	bool to_names;                  /* outbound: a flow of .role has its port and goes to names */
	bool opened_by_role;            /* mid-stream: it is taken for one of a connection that the role has opened */
};

/* The meaning of the product. Pure. The compiled ruleset must agree with it on every packet.
 * In audit mode the verdict is what enforce would do. */
struct judgement policy_judge(const struct policy *policy, const struct names_view *names, const struct packet *packet);

/* The connection that the policy takes a mid-stream packet for, as it was opened: *ret, with its sides in place. False
 * where it takes it for none: neither end has a port that shows it. Whether it is allowed is another question. ret may
 * be the packet itself. */
bool policy_opened(const struct policy *policy, const struct packet *packet, struct packet *ret);

void names_view_free(struct names_view *view);
/* What this endpoint is granted; NULL: nothing. */
const struct granted_addresses *names_view_granted(const struct names_view *view, const struct endpoint *endpoint);
const char *section_name(enum section section);

/* The vendor's flows and the three infrastructure ones: builtin.c. */
struct builtin_flow {
	const char *id;
	unsigned protocols;
	uint16_t port;         /* 0: icmp-echo */
	const char *from, *to; /* "ANY", a role, a name, or "resolvers" and "time_servers" of [server] */
	enum section section;
	const char *purpose;
};
extern const struct builtin_flow builtin_flows[];
extern const size_t builtin_flow_count;

#endif
