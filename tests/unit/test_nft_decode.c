/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules as they are sent, decoded: into the terms that they were made of. And rules that somebody has altered: never
 * into these; what can't be sent as it is. That the kernel lists them so is for tests/golden. */
#include "make.h"
#include "nft/decode.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define RICH                                                                                                       \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n[gateway]\ninterception = block\n" \
	"[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64 admin.example.net\n[role PARTNER]\n"                 \
	"members = 198.51.100.3-198.51.100.9\n"                                                                    \
	"[flow in]\nfrom = PARTNER ADM\nto = SERVER\nprotocol = udp\nport = 100-200 300\n"                         \
	"[flow out]\nfrom = SERVER\nto = x.example.net 198.51.100.64/27\nprotocol = tcp\nport = 990\n"

enum { ROOM = 16384 };

struct message {
	_Alignas(struct nlmsghdr) char bytes[ROOM];
	uint8_t idle[ROOM]; /* bits that mean nothing */
};

static const struct nft_abilities any;

static struct nlmsghdr *header_of(struct message *message)
{
	return (struct nlmsghdr *)message->bytes;
}

static bool holds_name(const char *expression, uint16_t kind)
{
	return expression && ((strcmp(expression, "objref") == 0 && kind == NFTA_OBJREF_IMM_NAME) ||
			      (strcmp(expression, "immediate") == 0 && kind == NFTA_VERDICT_CHAIN));
}

/* An attribute as the kernel lists it: names end in NUL, and what holds others is not marked. expression: its name,
 * once that was met. */
static void list_attribute(struct message *out, const struct nlattr *attribute, const char *expression)
{
	struct nlmsghdr *header = header_of(out);
	struct nlattr *copy = mnl_nlmsg_get_payload_tail(header), *inner;
	uint16_t kind = mnl_attr_get_type(attribute);
	size_t size = mnl_attr_get_payload_len(attribute);
	char payload[256] = "";

	if (attribute->nla_type & NLA_F_NESTED) {
		mnl_attr_nest_start(header, kind);
		mnl_attr_for_each_nested(inner, attribute)
		{
			if (!expression && inner->nla_type == NFTA_EXPR_NAME)
				expression = mnl_attr_get_payload(inner);
			list_attribute(out, inner, expression);
		}
		mnl_attr_nest_end(header, copy);
		copy->nla_type = kind;
	} else {
		memcpy(payload, mnl_attr_get_payload(attribute), size);
		mnl_attr_put(header, kind, size + (holds_name(expression, kind) && payload[size - 1]), payload);
	}
	size_t at = (size_t)((char *)copy - out->bytes);
	out->idle[at + 3] |= 0xc0; /* flags of its kind */
	memset(out->idle + at + copy->nla_len, 0xff, MNL_ALIGN(copy->nla_len) - copy->nla_len);
}

static void build(struct message *ret, struct nftnl_rule *rule)
{
	struct message sent;
	const struct nlattr *attribute;
	struct nlmsghdr *header = nftnl_nlmsg_build_hdr(sent.bytes, NFT_MSG_NEWRULE, NFPROTO_INET, 0, 1);

	nftnl_rule_nlmsg_build_payload(header, rule);
	assert_true(header->nlmsg_len < ROOM / 4);
	memset(ret, 0, sizeof(*ret));
	nftnl_nlmsg_build_hdr(ret->bytes, NFT_MSG_NEWRULE, NFPROTO_INET, 0, 1);
	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg)) list_attribute(ret, attribute, NULL);
}

/* -EBADMSG, or 0 and *ret_equal: it is this rule. */
static int decode(const struct nlmsghdr *header, const struct rule *wanted, bool *ret_equal)
{
	struct ruleset owner = { 0 };
	struct nft_expressions expressions;
	struct nft_batch batch;

	struct rule *rule = chain_rule(&owner, ruleset_chain(&owner, ruleset_string(&owner, "one")));
	assert_non_null(rule);
	assert_int_equal(nft_batch_begin(&batch, &any, 0, 0), 0);
	int r = nft_take_apart(header, &expressions) ? nft_decode_rule(&owner, &expressions, &batch, rule) : -EBADMSG;
	*ret_equal = r == 0 && rule_equal(rule, wanted);
	assert_true(r == 0 || (r == -EBADMSG && rule->count == 0));
	nft_batch_free(&batch);
	ruleset_free(&owner);
	return r;
}

static void assert_same(const struct nlmsghdr *header, const struct rule *wanted)
{
	bool equal;

	assert_int_equal(decode(header, wanted, &equal), 0);
	assert_true(equal);
}

static void assert_foreign(const struct nlmsghdr *header, const struct rule *wanted)
{
	bool equal;
	assert_int_equal(decode(header, wanted, &equal), -EBADMSG);
}

/* It has terms, but others. */
static void assert_another(const struct nlmsghdr *header, const struct rule *wanted)
{
	bool equal;

	assert_int_equal(decode(header, wanted, &equal), 0);
	assert_false(equal);
}

static void test_every_rule(void **state)
{
	struct ruleset ruleset;
	struct policy policy;
	struct message message;
	size_t count = 0;

	(void)state;
	make_good_policy(&policy, RICH);
	struct names_view names = make_names(&policy, "admin.example.net 198.51.100.99;x.example.net 2001:db8::1");
	assert_int_equal(make_ruleset(&ruleset, &policy, &names), 0);
	for (size_t c = 0; c < ruleset.chains.count; c++) {
		const struct chain *chain = &ruleset.chains.items[c];
		for (size_t i = 0; i < chain->count; i++, count++) {
			struct nftnl_rule *rule;
			assert_int_equal(nft_encode_rule(chain->name, &chain->items[i], &rule), 0);
			build(&message, rule);
			assert_same(header_of(&message), &chain->items[i]);
			nftnl_rule_free(rule);
		}
	}
	assert_true(count > 150);
	ruleset_free(&ruleset);
	names_view_free(&names);
	policy_free(&policy);
}

#define TERMS(...)                                                                     \
	{                                                                              \
		.items = (struct term[]){ __VA_ARGS__ },                               \
		.count = sizeof((struct term[]){ __VA_ARGS__ }) / sizeof(struct term), \
	}
#define ADDRESS(...) .first = { __VA_ARGS__ }, .last = { __VA_ARGS__ }

/* Each kind of term and of operand. */
static const struct rule rules[] = {
	TERMS({ .kind = TERM_MATCH, .field = FIELD_IP_SADDR, ADDRESS(192, 0, 2, 25) },
	      { .kind = TERM_IN, .field = FIELD_TCP_DPORT, .name = "ports" },
	      { .kind = TERM_COUNTER, .name = "flow-x" }, { .kind = TERM_ACTION, .action = ACTION_ACCEPT }),
	TERMS({ .kind = TERM_MATCH,
		.field = FIELD_IP_DADDR,
		.first = { 192, 0, 2 },
		.last = { 192, 0, 2, 255 },
		.negate = true },
	      { .kind = TERM_IN, .field = FIELD_IIFNAME, .name = "lan", .negate = true },
	      { .kind = TERM_ACTION, .action = ACTION_DROP }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_IP_SADDR, .first = { 10, 0, 0, 32 }, .last = { 10, 0, 0, 63 } },
	      { .kind = TERM_MATCH, .field = FIELD_TCP_DPORT, .first = { 1, 0 }, .last = { 2, 7 } },
	      { .kind = TERM_ACTION, .action = ACTION_JUMP, .name = "flows" }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_UDP_DPORT, .first = { 0, 0 }, .last = { 255, 255 } },
	      { .kind = TERM_MAP, .field = FIELD_IP6_DADDR, .name = "early_6" }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_L4PROTO, ADDRESS(17) },
	      { .kind = TERM_MATCH, .field = FIELD_CT_DPORT, ADDRESS(0, 53) },
	      { .kind = TERM_MATCH, .field = FIELD_IP_SADDR, ADDRESS(1, 2, 3, 4) },
	      { .kind = TERM_ACTION, .action = ACTION_RETURN }),
	TERMS({ .kind = TERM_LIMIT, .rate = 10, .burst = 20 },
	      { .kind = TERM_LOG, .name = "spefw denied", .group = 5, .snaplen = 128 },
	      { .kind = TERM_LOG, .name = "spefw whole", .group = 6 }, { .kind = TERM_ACTION, .action = ACTION_RESET }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_CT_STATE, .bits = CT_ESTABLISHED | CT_RELATED },
	      { .kind = TERM_MATCH, .field = FIELD_CT_STATUS, .bits = CT_STATUS_DNAT, .negate = true },
	      { .kind = TERM_MATCH, .field = FIELD_CT_DIRECTION, ADDRESS(1) },
	      { .kind = TERM_MATCH, .field = FIELD_TCP_SYN_ACK, .negate = true },
	      { .kind = TERM_MATCH, .field = FIELD_TCP_RST }, { .kind = TERM_MATCH, .field = FIELD_FIB_UNICAST },
	      { .kind = TERM_MATCH, .field = FIELD_FIB_LOCAL },
	      { .kind = TERM_MATCH, .field = FIELD_PKTTYPE, ADDRESS(2) }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_ROUTING },
	      { .kind = TERM_MATCH, .field = FIELD_SEGMENTS_LEFT, ADDRESS(0), .negate = true },
	      { .kind = TERM_MATCH, .field = FIELD_IP6_HOPLIMIT, ADDRESS(255) },
	      { .kind = TERM_IN, .field = FIELD_ICMPV6_TYPE, .name = "nd_in" },
	      { .kind = TERM_ACTION, .action = ACTION_GOTO, .name = "deny_in" }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_FIRST_BYTE, ADDRESS(0x45), .negate = true },
	      { .kind = TERM_MATCH, .field = FIELD_IP_LSRR }, { .kind = TERM_MATCH, .field = FIELD_IP_SSRR },
	      { .kind = TERM_MATCH, .field = FIELD_ICMP_TYPE, ADDRESS(8) }),
	TERMS({ .kind = TERM_IN, .field = FIELD_IP_TARGET_FIRST, .name = "cut_4" },
	      { .kind = TERM_ACTION, .action = ACTION_RESET }),
	TERMS({ .kind = TERM_IN, .field = FIELD_IP6_SOURCE_FIRST, .name = "cut_6" },
	      { .kind = TERM_ACTION, .action = ACTION_DROP }),
	TERMS({ .kind = TERM_PIN, .field = FIELD_IP6_DADDR }),
	TERMS({ .kind = TERM_PIN, .field = FIELD_IP_DADDR }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_OIFNAME, ADDRESS('w', 'a', 'n') },
	      { .kind = TERM_IN, .field = FIELD_L4PROTO, .name = "cut_full" },
	      { .kind = TERM_MATCH, .field = FIELD_CT_IP_DADDR, ADDRESS(1, 2, 3, 4) }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_L4PROTO, ADDRESS(6) },
	      { .kind = TERM_LIMIT, .rate = 20, .burst = 40 }, { .kind = TERM_ACTION, .action = ACTION_RESET }),
	TERMS({ .kind = TERM_MATCH, .field = FIELD_L4PROTO, ADDRESS(6), .negate = true },
	      { .kind = TERM_LIMIT, .rate = 20, .burst = 40 }, { .kind = TERM_ACTION, .action = ACTION_PROHIBIT }),
};

static struct nftnl_rule *a_rule(size_t i)
{
	struct nftnl_rule *rule;

	assert_int_equal(nft_encode_rule("chain", &rules[i], &rule), 0);
	return rule;
}

static void test_every_term(void **state)
{
	struct message message;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct nftnl_rule *rule = a_rule(i);
		build(&message, rule);
		assert_same(header_of(&message), &rules[i]);
		nftnl_rule_free(rule);
	}
}

/* What no expressions say, or would say otherwise, is refused: a near form of it is another rule. */
static void test_unsayable_terms(void **state)
{
	static const struct term terms[] = {
		{ .kind = TERM_MATCH, .field = FIELD_L4PROTO, .first = { 6 }, .last = { 17 } },
		{ .kind = TERM_MATCH, .field = FIELD_SEGMENTS_LEFT, .first = { 0 }, .last = { 1 } },
		{ .kind = TERM_MATCH, .field = FIELD_TCP_DPORT, .first = { 2, 7 }, .last = { 1, 0 } },
		{ .kind = TERM_MATCH, .field = FIELD_TCP_DPORT, .first = { 1, 0 }, .last = { 2, 7 }, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_TCP_RST, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_IP_LSRR, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_IP_SSRR, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_ROUTING, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_FIB_LOCAL, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_FIB_UNICAST, .negate = true },
		{ .kind = TERM_MATCH, .field = FIELD_IP_TARGET_FIRST },
		{ .kind = TERM_MATCH, .field = FIELDS },
		{ .kind = TERM_IN, .field = FIELD_IP_SADDR },
		{ .kind = TERM_IN, .field = FIELD_TCP_SYN_ACK, .name = "flags" },
		{ .kind = TERM_IN, .field = FIELD_CT_STATE, .name = "states" },
		{ .kind = TERM_MAP, .field = FIELD_IP_SADDR, .name = "map", .negate = true },
		{ .kind = TERM_MAP, .field = FIELD_IP_SOURCE_FIRST, .name = "map" },
		{ .kind = TERM_COUNTER },
		{ .kind = TERM_LOG },
		{ .kind = TERM_PIN, .field = FIELD_IP_SADDR },
		{ .kind = TERM_ACTION, .action = ACTION_NONE },
		{ .kind = TERM_ACTION, .action = ACTION_PROHIBIT + 1 },
		{ .kind = TERM_ACTION, .action = ACTION_JUMP },
		{ .kind = TERM_ACTION + 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(terms); i++) {
		const struct rule rule = TERMS({ .kind = TERM_COUNTER, .name = "flow-x" }, terms[i]);
		struct nftnl_rule *made;
		assert_int_equal(nft_encode_rule("chain", &rule, &made), -EBADMSG);
	}
}

static int add_element(enum op_kind kind, unsigned flags, struct element element)
{
	const struct set set = { .name = "map", .type = KEY_PORT, .flags = flags };
	const struct element *elements[] = { &element };
	const struct op op = { .kind = kind, .name = set.name, .set = &set, .elements = elements, .element_count = 1 };
	struct nft_batch batch;

	assert_int_equal(nft_batch_begin(&batch, &any, 0, 0), 0);
	int r = nft_batch_add(&batch, &op, 1);
	nft_batch_free(&batch);
	return r;
}

static void test_unsayable_elements(void **state)
{
	static const struct {
		unsigned flags;
		struct element element;
		int adding, deleting;
	} all[] = {
		{ 0, { ADDRESS(0, 80) }, 0, 0 },
		{ 0, { .first = { 0, 80 }, .last = { 0, 81 } }, -EBADMSG, -EBADMSG },
		{ SET_INTERVAL, { .first = { 0, 80 }, .last = { 0, 81 } }, 0, 0 },
		{ SET_INTERVAL, { .first = { 0, 81 }, .last = { 0, 80 } }, -EBADMSG, -EBADMSG },
		{ SET_VERDICTS, { ADDRESS(0, 80), .action = ACTION_GOTO, .chain = "deny_in" }, 0, 0 },
		/* what another program has put in can be deleted */
		{ SET_VERDICTS, { ADDRESS(0, 80) }, -EBADMSG, 0 },
		{ SET_VERDICTS, { ADDRESS(0, 80), .action = ACTION_GOTO }, -EBADMSG, 0 },
		{ SET_VERDICTS, { ADDRESS(0, 80), .action = ACTION_RESET }, -EBADMSG, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		assert_int_equal(add_element(OP_ELEMENTS_ADD, all[i].flags, all[i].element), all[i].adding);
		assert_int_equal(add_element(OP_ELEMENTS_DELETE, all[i].flags, all[i].element), all[i].deleting);
	}
}

/* The first (0), second... expression of that name. */
static struct nftnl_expr *find(struct nftnl_rule *rule, const char *name, int number)
{
	struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
	struct nftnl_expr *expression;

	assert_non_null(iter);
	while ((expression = nftnl_expr_iter_next(iter)))
		if (strcmp(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME), name) == 0 && number-- == 0)
			break;
	nftnl_expr_iter_destroy(iter);
	assert_non_null(expression);
	return expression;
}

/* A number of one expression becomes another; or a word of the rule another one as long. */
static const struct alteration {
	size_t rule;
	const char *expression;
	int number;
	uint16_t attribute;
	uint64_t value;
	int size; /* of the value in bytes; 0: the word `expression` becomes `word` */
	const char *word;
	enum { SAME, ANOTHER, FOREIGN } becomes;
} alterations[] = {
	/* registers */
	{ 0, "payload", 0, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_2, 4, NULL, FOREIGN },
	{ 0, "cmp", 1, NFTNL_EXPR_CMP_SREG, NFT_REG_3, 4, NULL, FOREIGN },
	{ 0, "lookup", 0, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_2, 4, NULL, FOREIGN },
	{ 3, "lookup", 0, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_2, 4, NULL, FOREIGN },
	{ 2, "bitwise", 0, NFTNL_EXPR_BITWISE_DREG, NFT_REG_2, 4, NULL, FOREIGN },
	{ 9, "payload", 2, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_4, 4, NULL, FOREIGN },
	{ 11, "nat", 0, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_2, 4, NULL, FOREIGN },
	{ 11, "nat", 0, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_2, 4, NULL, FOREIGN },
	/* places */
	{ 0, "payload", 0, NFTNL_EXPR_PAYLOAD_OFFSET, 13, 4, NULL, FOREIGN },
	{ 0, "payload", 0, NFTNL_EXPR_PAYLOAD_OFFSET, 16, 4, NULL, ANOTHER }, /* ip daddr */
	{ 0, "payload", 0, NFTNL_EXPR_PAYLOAD_LEN, 3, 4, NULL, FOREIGN },
	{ 0, "payload", 1, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER, 4, NULL, FOREIGN },
	{ 4, "ct", 0, NFTNL_EXPR_CT_KEY, NFT_CT_PROTO_SRC, 4, NULL, FOREIGN },
	{ 4, "ct", 0, NFTNL_EXPR_CT_DIR, 1, 1, NULL, FOREIGN },
	{ 7, "exthdr", 1, NFTNL_EXPR_EXTHDR_OFFSET, 2, 4, NULL, FOREIGN },
	{ 7, "exthdr", 0, NFTNL_EXPR_EXTHDR_TYPE, 60, 1, NULL, FOREIGN },
	{ 8, "exthdr", 0, NFTNL_EXPR_EXTHDR_TYPE, 137, 1, NULL, ANOTHER }, /* ssrr */
	{ 6, "fib", 0, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR, 4, NULL, FOREIGN },
	{ 1, "meta", 1, NFTNL_EXPR_META_KEY, NFT_META_OIFNAME, 4, NULL, ANOTHER },
	{ 1, "meta", 1, NFTNL_EXPR_META_KEY, NFT_META_SKUID, 4, NULL, FOREIGN },
	{ 0, "meta", 0, NFTNL_EXPR_META_KEY, NFT_META_PROTOCOL, 4, NULL, FOREIGN },
	/* comparisons */
	{ 0, "cmp", 1, NFTNL_EXPR_CMP_OP, NFT_CMP_NEQ, 4, NULL, ANOTHER },
	{ 0, "cmp", 1, NFTNL_EXPR_CMP_OP, NFT_CMP_LT, 4, NULL, FOREIGN },
	{ 0, "cmp", 0, NFTNL_EXPR_CMP_OP, NFT_CMP_NEQ, 4, NULL, FOREIGN },
	{ 2, "cmp", 3, NFTNL_EXPR_CMP_OP, NFT_CMP_GT, 4, NULL, FOREIGN },
	{ 6, "cmp", 0, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ, 4, NULL, ANOTHER },
	/* sets, counters, verdicts, chains */
	{ 0, "ports", 0, 0, 0, 0, "porto", ANOTHER },
	{ 0, "lookup", 0, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV, 4, NULL, ANOTHER },
	{ 0, "lookup", 0, NFTNL_EXPR_LOOKUP_FLAGS, 2, 4, NULL, FOREIGN },
	{ 3, "early_6", 0, 0, 0, 0, "early_4", ANOTHER },
	{ 0, "flow-x", 0, 0, 0, 0, "flow-y", ANOTHER },
	{ 0, "objref", 0, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_QUOTA, 4, NULL, FOREIGN },
	{ 0, "immediate", 0, NFTNL_EXPR_IMM_VERDICT, 0, 4, NULL, ANOTHER }, /* drop */
	{ 0, "immediate", 0, NFTNL_EXPR_IMM_VERDICT, 3, 4, NULL, FOREIGN }, /* queue */
	{ 0, "immediate", 0, NFTNL_EXPR_IMM_DREG, NFT_REG_1, 4, NULL, FOREIGN },
	{ 2, "flows", 0, 0, 0, 0, "other", ANOTHER },
	{ 2, "immediate", 0, NFTNL_EXPR_IMM_VERDICT, (uint32_t)NFT_GOTO, 4, NULL, ANOTHER },
	{ 5, "reject", 0, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH, 4, NULL, FOREIGN },
	{ 5, "reject", 0, NFTNL_EXPR_REJECT_CODE, 3, 1, NULL, FOREIGN },
	/* logs and limits */
	{ 5, "spefw denied", 0, 0, 0, 0, "spefw passed", ANOTHER },
	{ 5, "log", 0, NFTNL_EXPR_LOG_GROUP, 6, 2, NULL, ANOTHER },
	{ 5, "log", 0, NFTNL_EXPR_LOG_SNAPLEN, 64, 4, NULL, ANOTHER },
	{ 5, "log", 0, NFTNL_EXPR_LOG_QTHRESHOLD, 9, 2, NULL, FOREIGN },
	{ 5, "log", 0, NFTNL_EXPR_LOG_FLAGS, 1, 4, NULL, FOREIGN },
	{ 5, "limit", 0, NFTNL_EXPR_LIMIT_RATE, 11, 8, NULL, ANOTHER },
	{ 5, "limit", 0, NFTNL_EXPR_LIMIT_RATE, 10 + (1ull << 32), 8, NULL, FOREIGN },
	{ 5, "limit", 0, NFTNL_EXPR_LIMIT_BURST, 21, 4, NULL, ANOTHER },
	{ 5, "limit", 0, NFTNL_EXPR_LIMIT_UNIT, 60, 8, NULL, FOREIGN },
	{ 5, "limit", 0, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV, 4, NULL, FOREIGN },
	{ 5, "limit", 0, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKT_BYTES, 4, NULL, FOREIGN },
	/* NAT */
	{ 11, "nat", 0, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT, 4, NULL, FOREIGN },
	{ 11, "nat", 0, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PERSISTENT, 4, NULL, FOREIGN },
	{ 12, "payload", 0, NFTNL_EXPR_PAYLOAD_OFFSET, 12, 4, NULL, FOREIGN }, /* to its own source */
	/* what kernels add, and mean nothing by it */
	{ 0, "lookup", 0, NFTNL_EXPR_LOOKUP_FLAGS, 0, 4, NULL, SAME },
	{ 2, "bitwise", 0, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL, 4, NULL, SAME },
	{ 2, "bitwise", 0, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_LSHIFT, 4, NULL, FOREIGN },
	{ 11, "nat", 0, NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_1, 4, NULL, SAME },
	{ 12, "nat", 0, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS, 4, NULL, SAME },
};

static void alter(struct nftnl_rule *rule, const struct alteration *alteration)
{
	struct nftnl_expr *expression = find(rule, alteration->expression, alteration->number);
	uint16_t attribute = alteration->attribute;

	switch (alteration->size) {
	case 1: nftnl_expr_set_u8(expression, attribute, (uint8_t)alteration->value); break;
	case 2: nftnl_expr_set_u16(expression, attribute, (uint16_t)alteration->value); break;
	case 4: nftnl_expr_set_u32(expression, attribute, (uint32_t)alteration->value); break;
	default: nftnl_expr_set_u64(expression, attribute, alteration->value);
	}
}

static void replace_word(struct message *message, const char *old, const char *new)
{
	char *place = memmem(message->bytes, header_of(message)->nlmsg_len, old, strlen(old));

	assert_non_null(place);
	assert_int_equal(strlen(new), strlen(old));
	for (size_t i = 0; new[i]; i++)
		place[i] = new[i];
}

static void test_altered(void **state)
{
	static void (*const checks[])(const struct nlmsghdr *, const struct rule *) = {
		[SAME] = assert_same, [ANOTHER] = assert_another, [FOREIGN] = assert_foreign
	};
	struct message message;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(alterations); i++) {
		struct nftnl_rule *rule = a_rule(alterations[i].rule);
		if (alterations[i].size)
			alter(rule, &alterations[i]);
		build(&message, rule);
		if (!alterations[i].size)
			replace_word(&message, alterations[i].expression, alterations[i].word);
		checks[alterations[i].becomes](header_of(&message), &rules[alterations[i].rule]);
		nftnl_rule_free(rule);
	}
}

/* An expression that we never make, and ones that we do, where nobody put them. */
static void test_more_expressions(void **state)
{
	static const char *const names[] = { "counter", "notrack", "payload", "immediate", "log", "meta", "dynset" };
	struct message message;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		for (size_t n = 0; n < COUNT_OF(names); n++) {
			struct nftnl_rule *rule = a_rule(i);
			struct nftnl_expr *expression = nftnl_expr_alloc(names[n]);
			assert_non_null(expression);
			nftnl_rule_add_expr(rule, expression);
			build(&message, rule);
			assert_foreign(header_of(&message), &rules[i]);
			nftnl_rule_free(rule);
		}
	}
	struct nftnl_rule *many = nftnl_rule_alloc();
	for (int i = 0; i <= NFT_EXPRESSIONS_MAX; i++)
		nftnl_rule_add_expr(many, nftnl_expr_alloc("counter"));
	nftnl_rule_set_str(many, NFTNL_RULE_CHAIN, "chain");
	build(&message, many);
	assert_foreign(header_of(&message), &rules[0]);
	nftnl_rule_free(many);
}

static void test_fewer_expressions(void **state)
{
	struct message message;
	bool equal;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		for (int gone = 0;; gone++) {
			struct nftnl_rule *rule = a_rule(i);
			struct nftnl_expr_iter *iter = nftnl_expr_iter_create(rule);
			struct nftnl_expr *expression;
			for (int at = 0; (expression = nftnl_expr_iter_next(iter)) && at < gone;)
				at++;
			nftnl_expr_iter_destroy(iter);
			if (expression) {
				nftnl_rule_del_expr(expression);
				nftnl_expr_free(expression);
				build(&message, rule);
				decode(header_of(&message), &rules[i], &equal);
				assert_false(equal);
			}
			nftnl_rule_free(rule);
			if (!expression)
				break;
		}
	}
}

/* A comment decides nothing, but it is another program's. */
static void test_rule_attributes(void **state)
{
	struct nftnl_rule *rule = a_rule(0);
	struct message message;
	struct ruleset owner = { 0 };
	struct nft_expressions expressions;
	struct nft_batch batch;
	struct rule decoded = { 0 };

	(void)state;
	nftnl_rule_set_u64(rule, NFTNL_RULE_HANDLE, 77);
	nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, 76);
	build(&message, rule);
	assert_same(header_of(&message), &rules[0]);
	assert_true(nft_take_apart(header_of(&message), &expressions));
	assert_string_equal(expressions.table, TABLE_NAME);
	assert_string_equal(expressions.chain, "chain");
	assert_int_equal(nft_batch_begin(&batch, &any, 0, 0), 0);
	assert_int_equal(nft_decode_rule(&owner, &expressions, &batch, &decoded), 0);
	assert_int_equal(decoded.handle, 77);
	free(decoded.items);
	nft_batch_free(&batch);
	ruleset_free(&owner);
	nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, "\0\3hi", 5);
	build(&message, rule);
	assert_foreign(header_of(&message), &rules[0]);
	nftnl_rule_free(rule);
}

static void test_truncated(void **state)
{
	struct message message;
	bool equal;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct nftnl_rule *rule = a_rule(i);
		build(&message, rule);
		uint32_t whole = header_of(&message)->nlmsg_len;
		for (uint32_t length = NLMSG_HDRLEN + sizeof(struct nfgenmsg); length < whole; length++) {
			struct nlmsghdr *copy = malloc(length); /* so that the sanitizer sees its end */
			memcpy(copy, message.bytes, length);
			copy->nlmsg_len = length;
			decode(copy, &rules[i], &equal);
			free(copy);
			if (equal)
				fail_msg("rule %zu: the same with %u bytes less", i, whole - length);
		}
		nftnl_rule_free(rule);
	}
}

/* No bit of it can be turned without notice. */
static void assert_every_bit(struct message *message, const struct rule *rule)
{
	size_t begin = NLMSG_HDRLEN + sizeof(struct nfgenmsg) + 2 * (MNL_ATTR_HDRLEN + 8); /* table, chain */
	bool equal;

	for (size_t bit = begin * 8; bit < header_of(message)->nlmsg_len * (size_t)8; bit++) {
		uint8_t *byte = (uint8_t *)&message->bytes[bit / 8], one = (uint8_t)(1 << bit % 8);
		*byte = *byte ^ one;
		decode(header_of(message), rule, &equal);
		*byte = *byte ^ one;
		if (equal && !(message->idle[bit / 8] & one))
			fail_msg("bit %zu of byte %zu is not noticed", bit % 8, bit / 8);
	}
}

static void test_every_bit(void **state)
{
	struct message message;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct nftnl_rule *rule = a_rule(i);
		build(&message, rule);
		assert_every_bit(&message, &rules[i]);
		nftnl_rule_free(rule);
	}
}

/* The last two expressions, which compare with the ends of a range, become the one that nft 1.1 has for that. */
static struct nftnl_expr *join_range(struct nftnl_rule *rule, int number)
{
	struct nftnl_expr *first = find(rule, "cmp", number), *last = find(rule, "cmp", number + 1),
			  *range = nftnl_expr_alloc("range");
	uint32_t size;

	assert_non_null(range);
	const void *value = nftnl_expr_get(first, NFTNL_EXPR_CMP_DATA, &size);
	nftnl_expr_set(range, NFTNL_EXPR_RANGE_FROM_DATA, value, size);
	value = nftnl_expr_get(last, NFTNL_EXPR_CMP_DATA, &size);
	nftnl_expr_set(range, NFTNL_EXPR_RANGE_TO_DATA, value, size);
	nftnl_expr_set_u32(range, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(range, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
	nftnl_rule_del_expr(first);
	nftnl_rule_del_expr(last);
	nftnl_expr_free(first);
	nftnl_expr_free(last);
	nftnl_rule_add_expr(rule, range);
	return range;
}

static void test_one_range(void **state)
{
	const struct rule ranges[] = {
		TERMS({ .kind = TERM_MATCH, .field = FIELD_TCP_DPORT, .first = { 1, 0 }, .last = { 2, 7 } }),
		TERMS({ .kind = TERM_MATCH,
			.field = FIELD_IP_SADDR,
			.first = { 10, 0, 0, 3 },
			.last = { 10, 0, 0, 9 } }),
	};
	static const struct {
		uint16_t attribute;
		uint32_t value;
	} altered[] = { { NFTNL_EXPR_RANGE_OP, NFT_RANGE_NEQ }, { NFTNL_EXPR_RANGE_SREG, NFT_REG_2 } };
	struct message message;
	bool equal;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		struct nftnl_rule *rule;
		assert_int_equal(nft_encode_rule("chain", &ranges[i], &rule), 0);
		struct nftnl_expr *range = join_range(rule, 1);
		build(&message, rule);
		assert_same(header_of(&message), &ranges[i]);
		assert_every_bit(&message, &ranges[i]);
		for (size_t a = 0; a < COUNT_OF(altered); a++) {
			uint32_t before = nftnl_expr_get_u32(range, altered[a].attribute);
			nftnl_expr_set_u32(range, altered[a].attribute, altered[a].value);
			build(&message, rule);
			decode(header_of(&message), &ranges[i], &equal);
			assert_false(equal);
			nftnl_expr_set_u32(range, altered[a].attribute, before);
		}
		/* and what would be too many bytes for the field */
		nftnl_expr_set(range, NFTNL_EXPR_RANGE_FROM_DATA, "0123456789abcdef", 16);
		nftnl_expr_set(range, NFTNL_EXPR_RANGE_TO_DATA, "0123456789abcdef", 16);
		build(&message, rule);
		assert_foreign(header_of(&message), &ranges[i]);
		nftnl_rule_free(rule);
	}
}

static void test_without_memory(void **state)
{
	struct message message;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct nftnl_rule *made = a_rule(i);
		unsigned long refused;
		long left = 0;
		int r;
		build(&message, made);
		do {
			struct ruleset owner = { 0 };
			struct nft_expressions expressions;
			struct nft_batch batch;
			struct rule rule = { 0 };
			assert_int_equal(nft_batch_begin(&batch, &any, 0, 0), 0);
			assert_true(nft_take_apart(header_of(&message), &expressions));
			refused = allocations_refused;
			allocations_left = left++;
			r = nft_decode_rule(&owner, &expressions, &batch, &rule);
			allocations_left = -1;
			assert_int_equal(r, allocations_refused == refused ? 0 : -ENOMEM);
			free(rule.items);
			nft_batch_free(&batch);
			ruleset_free(&owner);
		} while (r < 0);
		nftnl_rule_free(made);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_rule),        cmocka_unit_test(test_every_term),
		cmocka_unit_test(test_unsayable_terms),   cmocka_unit_test(test_unsayable_elements),
		cmocka_unit_test(test_altered),           cmocka_unit_test(test_more_expressions),
		cmocka_unit_test(test_fewer_expressions), cmocka_unit_test(test_rule_attributes),
		cmocka_unit_test(test_truncated),         cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_one_range),         cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
