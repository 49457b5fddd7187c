/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DOCTOR_DOCTOR_H
#define SPEFW_DOCTOR_DOCTOR_H

/* spefw-doctor: what on this gateway stands in the way. core/doctor.h judges; these read the facts. Each is bounded in
 * what it reads and how long it takes, and leaves out what it can't read. What only root can see is taken first; what
 * others wrote is parsed without any privilege. */

#include "core/compile.h"
#include "core/doctor.h"
#include "net/links.h"
#include "nft/foreign_recorded.h"
#include "config/policy_file.h"

#include <systemd/sd-event.h>

/* Prints what it finds, as lines or as JSON. Exit status: 0 nothing serious, 1 something is, or it could not look. For
 * root. */
int doctor_run(const char *config_path, bool json);

struct legacy_table; /* legacy.c */

/* What the readers share. */
struct doctor {
	struct doctor_facts facts;
	struct troubles troubles;
	struct policy_file file;
	sd_event *event;
	struct links *links;
	struct interface_list *roles;          /* one a role: behind which interfaces it lives */
	struct interface_list *peers;          /* one a flow: by which interfaces its peers come; none: by any */
	struct names_view names;               /* by the answers of this gateway's resolver */
	struct foreign_recording nftables;     /* the tables of other programs, ... */
	struct legacy_table *legacy[FAMILIES]; /* ... those of iptables-legacy among them; not parsed yet */
	bool nobody;                           /* doctor_drop() */
};

/* drop.c: gives up all capabilities, for good, and becomes nobody. 0, or a negative errno: it may have some left.
 * *ret_nobody: there was nothing that it could not give up; in a container there may be. */
int doctor_drop(bool *ret_nobody);

/* As root: */

/* system.c: sysctls, the connection table, the clock, saved rulesets. */
void doctor_read_system(struct doctor *doctor);

/* links.c: interfaces, routes, neighbours. 0 or a negative errno. */
int doctor_read_links(struct doctor *doctor);

/* tables.c: the tables of other programs, as the kernel sends them. 0 or a negative errno. */
int doctor_take_tables(struct doctor *doctor);
/* legacy.c: one family's tables of iptables-legacy, the last one first; NULL where there are none. 0 or a negative
 * errno. */
int doctor_take_legacy(enum family family, struct legacy_table **ret);

/* As nobody: */

/* names.c: queries both sides' resolvers, some seconds at most; fills in doctor->names. 0 or a negative errno. */
int doctor_read_names(struct doctor *doctor);

/* tables.c: what doctor_take_tables() took. 0 or a negative errno. */
int doctor_read_tables(struct doctor *doctor);
/* legacy.c: what doctor_take_legacy() took. 0 or a negative errno; foreign_tables_free() must follow in any case. */
int doctor_read_legacy(const struct legacy_table *tables, struct foreign_tables *ret);
void doctor_free_legacy(struct legacy_table *tables);

/* tls.c: whose certificate answers for the names, by spefw-tls, some seconds at most. 0 or a negative errno. */
int doctor_read_tls(struct doctor *doctor);

#endif
