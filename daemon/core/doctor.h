/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DOCTOR_H
#define SPEFW_DOCTOR_H

/* What on a gateway stands in the way of the flows, or of the guard: facts in, troubles out. The files in doctor/ read
 * the facts. Texts may be anything; those of troubles are printable. */

#include "bridges.h"
#include "foreign.h"
#include "policy.h"

enum gravity {
	GRAVITY_SERIOUS, /* flows are stopped, or the guard is passed by */
	GRAVITY_WARNING, /* they may be */
	GRAVITY_NOTE,    /* something could not be looked at */
};

struct trouble {
	enum gravity gravity;
	const char *check; /* static: "forwarding" */
	char *what;        /* owned, one line each */
	char *evidence;    /* the value seen, and where */
	char *remedy;      /* NULL for a note */
};

struct troubles {
	struct trouble *items;
	size_t count, capacity;
	bool failed; /* without memory: there is more */
};

/* An interface that packets of the flows come by. */
struct interface_fact {
	char name[CONFIG_INTERFACE_MAX + 1];
	bool is_servers; /* a protected role lives behind it; else others, or the rest of the world */
	int forwarding;  /* net.ipv4.conf.NAME.forwarding; -1: unknown */
};

/* An interface that leads to somebody, though the kernel sends by another one. */
struct detour_fact {
	struct range whom;
	char of[CONFIG_ID_MAX + 1]; /* whose: "SERVER" */
	char interface[CONFIG_INTERFACE_MAX + 1], best[CONFIG_INTERFACE_MAX + 1];
	bool configured; /* [server] interface names it: packets do come by it */
	int rp_filter;   /* in effect there; -1: unknown */
};

enum { HARDWARE_MAX = 8 };

struct neighbour_fact {
	struct addr addr;
	char interface[CONFIG_INTERFACE_MAX + 1];
	uint8_t hardware[HARDWARE_MAX];
	size_t hardware_length;
};

struct saved_fact {
	char *path; /* owned */
	unsigned line;
};

/* What the two sides' resolvers answer for a name, in all rounds together. */
struct name_fact {
	const char *name;
	enum family family;
	struct ranges own, servers;            /* normalised */
	const char *own_error, *servers_error; /* of the last round; NULL: answered at least once. Static. */
};

/* A resolver of the server's that its queries reach without the gateway. */
struct resolver_fact {
	struct addr addr;
	char interface[CONFIG_INTERFACE_MAX + 1];
};

enum tls_result { TLS_TRUSTED, TLS_UNTRUSTED, TLS_OTHER_NAME, TLS_UNREACHABLE, TLS_NO_TLS, TLS_UNKNOWN };
enum { TLS_TEXT_MAX = 256 };

struct tls_fact {
	const char *name, *flow;
	struct addr addr;
	uint16_t port;
	enum tls_result result;
	char subject[TLS_TEXT_MAX], issuer[TLS_TEXT_MAX], why[TLS_TEXT_MAX];
};

struct doctor_facts {
	const struct policy *policy;
	const struct ranges *gateway; /* its own addresses, normalised */
	bool table_guards;            /* our table is loaded, and holds protected addresses */
	int forwarding[FAMILIES];     /* of all interfaces; -1: unknown */
	struct {
		struct interface_fact *items;
		size_t count, capacity;
	} interfaces;
	struct {
		struct detour_fact *items;
		size_t count, capacity;
	} detours;
	struct {
		struct neighbour_fact *items;
		size_t count, capacity;
	} neighbours;
	struct bridge_findings bridges;
	struct {
		struct saved_fact *items;
		size_t count, capacity;
	} saved;
	uint64_t tracked, tracked_max; /* connections; max 0: unknown */
	bool clock_known, clock_synchronised;
	int64_t clock_error_ms;   /* the kernel's estimate */
	struct findings findings; /* of all kinds */
	struct {
		struct resolver_fact *items;
		size_t count, capacity;
	} local_resolvers;
	bool same_resolvers; /* the gateway queries none but the server's */
	struct {
		struct name_fact *items;
		size_t count, capacity;
	} names;
	struct {
		struct tls_fact *items;
		size_t count, capacity;
	} tls;
	bool no_trust; /* the system trusts nobody: certificates can't be judged */
};

/* *ret is ordered by gravity. Without memory ret->failed. */
void doctor_judge(struct troubles *ret, const struct doctor_facts *facts);
/* For what comes from elsewhere; note: remedy NULL. */
void troubles_add(struct troubles *troubles, enum gravity gravity, const char *check, const char *what,
		  const char *evidence, const char *remedy);
void troubles_sort(struct troubles *troubles);
void troubles_free(struct troubles *troubles);
void doctor_facts_free(struct doctor_facts *facts);
const char *gravity_word(enum gravity gravity); /* "serious" */

#endif
