/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TESTS_GOLDEN_CASE_H
#define SPEFW_TESTS_GOLDEN_CASE_H

/* A configuration, FILE.conf, with an environment that never changes, and what the compiler makes of it.
 * FILE.input, where it is there, gives more of the environment, a line each:
 *   gateway ADDRESS...         the gateway's own addresses (else 192.0.2.1 198.51.100.1)
 *   interfaces ROLE [NAME...]  the interfaces behind which a protected role lives (else lan)
 *   towards [NAME...]          the interfaces that routes to protected roles leave by (else lan)
 *   own-interfaces NAME...     the interfaces by which the gateway's own packets come in, besides lo
 *   broadcasts ADDRESS...      the broadcast addresses of protected networks (else 192.0.2.255)
 *   name NAME ADDRESS...       what is behind a name
 *   grant FLOW ADDRESS...      what a flow is granted for a while */

#include "core/compile.h"
#include "core/grant_view.h"

struct golden_case {
	struct config config;
	struct policy policy;
	struct ranges gateway;
	struct interface_list *interfaces, towards, own_interfaces;
	struct ranges broadcasts;
	struct names_view names;
	struct grant_list grants;
	struct interface_list resolvers;
	struct environment environment;
	struct ruleset ruleset;
};

/* It must not be moved. Ends the program with a message where it can't be had. */
void golden_case_make(struct golden_case *ret, const char *conf);
void golden_case_free(struct golden_case *golden);

#endif
