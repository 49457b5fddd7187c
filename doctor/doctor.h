/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DAEMON_DOCTOR_H
#define SPEFW_DAEMON_DOCTOR_H

/* spefwd --doctor: what on this gateway stands in the way. core/doctor.h judges; these read the facts. Each is bounded
 * in what it reads and how long it takes, and leaves out what it can't read. */

#include "core/compile.h"
#include "core/doctor.h"
#include "net/links.h"
#include "config/policy_file.h"

#include <systemd/sd-event.h>

/* Prints what it finds, as lines or as JSON. Exit status: 0 nothing serious, 1 something is, or it could not look. For
 * root. */
int doctor_run(const char *config_path, bool json);

/* What the readers share. */
struct doctor {
	struct doctor_facts facts;
	struct troubles troubles;
	struct policy_file file;
	sd_event *event;
	struct links *links;
	struct interface_list *roles; /* one a role: behind which interfaces it lives */
	struct interface_list *peers; /* one a flow: by which interfaces its peers come; none: by any */
	struct names_view names;      /* by the answers of this gateway's resolver */
};

/* system.c: sysctls, the connection table, the clock, saved rulesets. */
void doctor_read_system(struct doctor *doctor);

/* links.c: interfaces, routes, neighbours. 0 or a negative errno. */
int doctor_read_links(struct doctor *doctor);

/* names.c: queries both sides' resolvers, some seconds at most; fills in doctor->names. 0 or a negative errno. */
int doctor_read_names(struct doctor *doctor);

/* tables.c: the tables of other programs, those of iptables-legacy among them. 0 or a negative errno. */
int doctor_read_tables(struct doctor *doctor);
/* legacy.c: one family's tables of iptables-legacy as foreign ones. *ret is empty where there are none. 0 or a
 * negative errno. */
int doctor_read_legacy(enum family family, struct foreign_tables *ret);

/* tls.c: whose certificate answers for the names, by spefw-tls, some seconds at most. 0 or a negative errno. */
int doctor_read_tls(struct doctor *doctor);

#endif
