/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/decode.h"
#include "nft/read.h"
#include "nft/read_parts.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

/* The rules of our table, term by term. */

struct rules {
	struct ruleset *out;
	struct chain *chain; /* of the last rule: they come chain by chain */
	size_t next;         /* where the next one is looked for */
	struct nft_batch batch;
	bool foreign; /* a rule of no chain that there was */
};

static void prepare_rules(struct nlmsghdr *header, const void *chain)
{
	nft_put_name(header, NFTA_RULE_TABLE, TABLE_NAME);
	if (chain)
		nft_put_name(header, NFTA_RULE_CHAIN, chain);
}

static void restart_rules(void *userdata)
{
	struct rules *rules = userdata;

	for (size_t i = 0; i < rules->out->chains.count; i++) {
		struct chain *chain = &rules->out->chains.items[i];
		for (size_t r = 0; r < chain->count; r++)
			free(chain->items[r].items);
		chain->count = 0;
		chain->altered = false;
	}
	rules->foreign = false;
}

static int take_rule(struct rules *rules, const struct nlmsghdr *header)
{
	struct nft_expressions expressions;
	bool whole = nft_take_apart(header, &expressions);

	if (expressions.table && strcmp(expressions.table, TABLE_NAME) != 0)
		return 0;
	if (!rules->chain || !expressions.chain || strcmp(rules->chain->name, expressions.chain) != 0)
		rules->chain =
			expressions.chain ? ruleset_next_chain(rules->out, expressions.chain, &rules->next) : NULL;
	if (!rules->chain) {
		rules->foreign = true;
		return 0;
	}
	struct rule *rule = chain_rule(rules->out, rules->chain);
	if (!rule)
		return -ENOMEM;
	int r = whole ? nft_decode_rule(rules->out, &expressions, &rules->batch, rule) : -EBADMSG;
	rules->chain->altered |= r == -EBADMSG;
	return r == -EBADMSG ? 0 : r;
}

static int each_rule(const struct nlmsghdr *header, void *userdata)
{
	int r = take_rule(userdata, header);

	if (r == 0)
		return MNL_CB_OK;
	errno = -r;
	return MNL_CB_ERROR;
}

/* Of one chain, or of all (NULL), into those that *out has. */
static int read_rules(struct nft_socket *socket, struct ruleset *out, const char *chain, bool *ret_foreign)
{
	static const struct nft_abilities any;
	struct rules rules = { .out = out };

	int r = nft_batch_begin(&rules.batch, &any, 0, 0);
	if (r == 0)
		r = nft_request(socket, NFT_MSG_GETRULE, NLM_F_DUMP, prepare_rules, chain, each_rule, &rules,
				restart_rules);
	nft_batch_free(&rules.batch);
	*ret_foreign = rules.foreign;
	return r;
}

int nft_read_rules(struct nft_socket *socket, struct reading *reading)
{
	bool foreign;

	int r = read_rules(socket, reading->out, NULL, &foreign);
	reading->foreign |= foreign;
	return r;
}

int nft_read_chain(struct nft_socket *socket, const char *name, struct ruleset *ret)
{
	bool foreign;

	*ret = (struct ruleset){ 0 };
	ruleset_chain(ret, ruleset_string(ret, "%s", name));
	int r = ret->failed ? -ENOMEM : read_rules(socket, ret, name, &foreign);
	if (r < 0)
		ruleset_free(ret);
	return r;
}
