/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "gateway/parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows from the proof of the table: whether a change is made, and what is said of it. */

enum { SHARE = 4 }; /* who asks gets a part of the processor's time in so many */

static const char torn[] = "other programs change tables all the time: none of five readings was of one moment";

static bool is_made(const struct proving *proving, const struct seal_finding *finding)
{
	/* A fault of the prover says nothing of the change, which may close what is open. */
	return finding->state != SEAL_DIFFERS || proving->anyway || proving->policy->proof == PROOF_REPORT;
}

static bool may_prepare(void *userdata, const struct ruleset *before, const struct ruleset *after)
{
	const struct proving *proving = userdata;
	return is_made(proving, seal_prove_preparation(proving->seal, before, after));
}

static bool may_become(void *userdata, const struct ruleset *wanted, const struct ruleset *after)
{
	const struct proving *proving = userdata;
	return is_made(proving, seal_prove(proving->seal, proving->policy, proving->environment, wanted, after));
}

struct table_judge prove_all(struct proving *proving)
{
	return (struct table_judge){ may_prepare, may_become, proving };
}

static bool may_hold(void *userdata, const struct ruleset *wanted, const struct ruleset *after)
{
	const struct proving *proving = userdata;
	(void)wanted;
	/* Or the long way, which proves all, and knows what to do. */
	return seal_prove_names(proving->seal, proving->policy, proving->environment->names, after)->state !=
	       SEAL_DIFFERS;
}

struct table_judge prove_names(struct proving *proving)
{
	return (struct table_judge){ may_prepare, may_hold, proving };
}

static void log_held(const struct seal_finding *held)
{
	char text[SEAL_LINE_MAX];

	if (held->state == SEAL_EQUAL)
		log_notice("proven: the table is the policy for all packets, %llu cells in %lld ms",
			   (unsigned long long)held->cells, (long long)(held->took_us + 999) / 1000);
	else if (held->state == SEAL_DIFFERS)
		log_error("the table is not the policy: %s", seal_text(held, text));
	else
		log_warning("whether the table is the policy could not be proven: %s", held->why);
}

static void report_finding(struct gateway *gateway, const struct seal_finding *finding, bool held)
{
	happened(gateway, &(struct happening){ .kind = HAPPENED_PROOF,
					       .done = held,
					       .generation = config_store_generation(gateway->config),
					       .finding = finding });
}

static void note_held(struct gateway *gateway)
{
	const struct seal_finding *held = seal_figures(gateway->seal).held;

	if (!seal_hold(gateway->seal))
		return;
	log_held(held);
	report_finding(gateway, held, true);
}

void note_proof(struct gateway *gateway, int r)
{
	char text[SEAL_LINE_MAX];

	if (r == 0 && table_is_torn(gateway->table))
		seal_doubt(gateway->seal, torn);
	if (r == 0) {
		note_held(gateway);
		gateway->differs_anyway = seal_figures(gateway->seal).held->state == SEAL_DIFFERS;
	} else if (r == -ECANCELED) {
		if (!seal_refuse(gateway->seal)) /* as what is tried again by itself */
			return;
		const struct seal_finding *refused = seal_figures(gateway->seal).refused;
		log_error("a change is refused: the table would not be the policy: %s", seal_text(refused, text));
		report_finding(gateway, refused, false);
	}
}

void note_unknown(struct gateway *gateway)
{
	seal_doubt(gateway->seal, "what the kernel holds is not known");
	note_held(gateway);
}

/* True: this one is in force now. */
static bool serves(struct gateway *gateway, struct config_candidate *candidate)
{
	char what[GATEWAY_WHAT_MAX];

	if (take_over(gateway, candidate, false, what) < 0)
		return false;
	log_error("%s is not taken, since the table would not be the policy: an earlier configuration is in force",
		  gateway->paths.config);
	cut_due(gateway);
	config_store_keep(gateway->config, NULL, &(struct history_entry){ .how = HISTORY_START });
	if (names_follow(gateway->names, config_store_file(gateway->config)) < 0)
		retry_soon(gateway);
	return true;
}

int start_otherwise(struct gateway *gateway)
{
	const struct ranges *own = network_own_addresses(gateway->network);
	struct config_candidate candidate;
	bool found = false;

	for (size_t i = 0; !found && config_store_read_earlier(gateway->config, i, &candidate, own) == 0; i++) {
		found = serves(gateway, &candidate);
		config_candidate_free(&candidate);
	}
	if (found)
		return 0;
	/* An open server is the worst of all. */
	return table_guards(gateway->table) ? -ECANCELED : apply_anyway(gateway);
}

/* On request: the table as the kernel has it now. */

static int prove_kernel(struct gateway *gateway, const struct environment *environment)
{
	const struct policy *policy = config_store_policy(gateway->config);
	struct ruleset found;
	bool is_torn;

	int r = table_look(gateway->table, &found, &is_torn);
	if (r == -EUCLEAN)
		seal_doubt(gateway->seal, "it holds what is not of our making");
	if (r < 0)
		return r == -EUCLEAN ? 0 : r;
	if (is_torn)
		seal_doubt(gateway->seal, torn);
	else
		seal_prove(gateway->seal, policy, environment, NULL, &found);
	ruleset_free(&found);
	return 0;
}

static int verify(struct gateway *gateway)
{
	const struct policy *policy = config_store_policy(gateway->config);
	struct surroundings surroundings;
	struct environment environment;

	/* What has changed of interfaces, lest that be taken for a difference. */
	if (table_is_known(gateway->table))
		apply(gateway);
	int r = surroundings_read(gateway, policy, &surroundings, &environment);
	if (r == 0)
		r = prove_kernel(gateway, &environment);
	surroundings_free(&surroundings);
	return r;
}

int gateway_verify(struct gateway *gateway, struct seal_finding *ret)
{
	int64_t began = processor_ms();
	enum seal_state held = seal_figures(gateway->seal).held->state;

	if (table_is_removed(gateway->table))
		return -ENOENT;
	if (now_ms() < gateway->verify_free_ms) {
		*ret = *seal_figures(gateway->seal).held;
		return 0;
	}
	int r = verify(gateway);
	if (r == 0) {
		note_held(gateway);
		*ret = *seal_figures(gateway->seal).held;
	}
	/* Somebody has changed it, and there was no notice of that. */
	if (r == -ENOENT || (r == 0 && ret->state != held))
		table_suspect(gateway->table);
	if (r == 0)
		gateway->verify_free_ms = now_ms() + (processor_ms() - began) * SHARE;
	return r;
}
