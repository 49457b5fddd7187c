/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Built into a spefwd for tests/system/proof.py, and nowhere else: a compiler that errs, and a prover that fails, for
 * policies that have a flow of a certain name; a monitor that misses what a program called "unseen" does; and somebody
 * who changes tables while ours is read, as often as a file says. */
#include "core/compile.h"
#include "core/proof.h"
#include "nft/monitor.h"
#include "nft/read_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __real_compile(struct ruleset *ret, const struct policy *policy, const struct environment *environment);
int __wrap_compile(struct ruleset *ret, const struct policy *policy, const struct environment *environment);
int __real_proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
		     const struct ruleset *found, const struct ruleset *wanted);
int __wrap_proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
		     const struct ruleset *found, const struct ruleset *wanted);

/* What is denied passes. */
int __wrap_compile(struct ruleset *ret, const struct policy *policy, const struct environment *environment)
{
	int r = __real_compile(ret, policy, environment);
	struct chain *deny = r == 0 && policy_flow(policy, "compiler-errs") ? ruleset_find_chain(ret, "deny_in") : NULL;

	if (deny && deny->count) {
		const struct rule *last = &deny->items[deny->count - 1];
		last->items[last->count - 1].action = ACTION_ACCEPT;
	}
	return r;
}

int __wrap_proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
		     const struct ruleset *found, const struct ruleset *wanted)
{
	if (!policy_flow(policy, "prover-fails"))
		return __real_proof_run(ret, policy, environment, found, wanted);
	*ret = (struct proof_result){ .state = PROOF_FAILED };
	snprintf(ret->text, sizeof(ret->text), "it is too large");
	return 0;
}

static void (*changed)(void *userdata, const char *what);

static void pass_on(void *userdata, const char *what)
{
	if (!what || !strstr(what, ", by unseen"))
		changed(userdata, what);
}

int __real_nft_monitor_new(struct nft_monitor **ret, sd_event *event, uint32_t own_port,
			   void (*on_change)(void *userdata, const char *what), void (*others_changed)(void *userdata),
			   void *userdata);
int __wrap_nft_monitor_new(struct nft_monitor **ret, sd_event *event, uint32_t own_port,
			   void (*on_change)(void *userdata, const char *what), void (*others_changed)(void *userdata),
			   void *userdata);

int __wrap_nft_monitor_new(struct nft_monitor **ret, sd_event *event, uint32_t own_port,
			   void (*on_change)(void *userdata, const char *what), void (*others_changed)(void *userdata),
			   void *userdata)
{
	changed = on_change;
	return __real_nft_monitor_new(ret, event, own_port, pass_on, others_changed, userdata);
}

int __real_nft_read_rules(struct nft_socket *socket, struct reading *reading);
int __wrap_nft_read_rules(struct nft_socket *socket, struct reading *reading);

int __wrap_nft_read_rules(struct nft_socket *socket, struct reading *reading)
{
	const char *path = getenv("SPEFW_MEDDLES");
	FILE *file = path ? fopen(path, "r+e") : NULL;
	int times = 0;

	if (file && fscanf(file, "%d", &times) == 1 && times > 0) {
		rewind(file);
		fprintf(file, "%-8d\n", times - 1);
		if (system("nft 'add table ip meddled; delete table ip meddled'") != 0)
			abort();
	}
	if (file)
		fclose(file);
	return __real_nft_read_rules(socket, reading);
}
