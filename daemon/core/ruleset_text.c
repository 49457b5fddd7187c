/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset.h"
#include "lines.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A ruleset in nft's words, as nft reads them and a person reviews them. */

static const struct field_form {
	const char *text;
	uint8_t size;
	enum {
		AS_IPV4,
		AS_IPV6,
		AS_PORT,
		AS_INTERFACE,
		AS_PROTOCOL,
		AS_ICMP,
		AS_ICMPV6,
		AS_PKTTYPE,
		AS_DIRECTION,
		AS_NUMBER,
		AS_HEX,
		AS_NOTHING
	} operand;
} fields[FIELDS] = {
	[FIELD_IP_SADDR] = { "ip saddr", 4, AS_IPV4 },
	[FIELD_IP_DADDR] = { "ip daddr", 4, AS_IPV4 },
	[FIELD_IP6_SADDR] = { "ip6 saddr", 16, AS_IPV6 },
	[FIELD_IP6_DADDR] = { "ip6 daddr", 16, AS_IPV6 },
	[FIELD_CT_IP_DADDR] = { "ct original ip daddr", 4, AS_IPV4 },
	[FIELD_CT_IP6_DADDR] = { "ct original ip6 daddr", 16, AS_IPV6 },
	[FIELD_CT_DPORT] = { "ct original proto-dst", 2, AS_PORT },
	[FIELD_TCP_SPORT] = { "tcp sport", 2, AS_PORT },
	[FIELD_TCP_DPORT] = { "tcp dport", 2, AS_PORT },
	[FIELD_UDP_SPORT] = { "udp sport", 2, AS_PORT },
	[FIELD_UDP_DPORT] = { "udp dport", 2, AS_PORT },
	[FIELD_TCP_SYN_ACK] = { "tcp flags & (syn | ack)", 1, AS_NOTHING },
	[FIELD_TCP_RST] = { "tcp flags & rst", 1, AS_NOTHING },
	[FIELD_L4PROTO] = { "meta l4proto", 1, AS_PROTOCOL },
	[FIELD_ICMP_TYPE] = { "icmp type", 1, AS_ICMP },
	[FIELD_ICMPV6_TYPE] = { "icmpv6 type", 1, AS_ICMPV6 },
	[FIELD_IP6_HOPLIMIT] = { "ip6 hoplimit", 1, AS_NUMBER },
	[FIELD_IP6_NEXTHDR] = { "ip6 nexthdr", 1, AS_PROTOCOL },
	[FIELD_FIRST_BYTE] = { "@nh,0,8", 1, AS_HEX },
	[FIELD_IP_LSRR] = { "ip option lsrr", 1, AS_NOTHING },
	[FIELD_IP_SSRR] = { "ip option ssrr", 1, AS_NOTHING },
	[FIELD_ROUTING] = { "exthdr rt", 1, AS_NOTHING },
	[FIELD_SEGMENTS_LEFT] = { "rt seg-left", 1, AS_NUMBER },
	[FIELD_CT_STATE] = { "ct state", 4, AS_NOTHING },
	[FIELD_CT_STATUS] = { "ct status", 4, AS_NOTHING },
	[FIELD_CT_DIRECTION] = { "ct direction", 1, AS_DIRECTION },
	[FIELD_IIFNAME] = { "iifname", 16, AS_INTERFACE },
	[FIELD_OIFNAME] = { "oifname", 16, AS_INTERFACE },
	[FIELD_PKTTYPE] = { "meta pkttype", 1, AS_PKTTYPE },
	[FIELD_FIB_LOCAL] = { "fib daddr type", 4, AS_NOTHING },
	[FIELD_FIB_UNICAST] = { "fib daddr type", 4, AS_NOTHING },
	[FIELD_IP_TARGET_FIRST] = { "ip daddr . tcp dport . ip saddr . tcp sport", 16, AS_NOTHING },
	[FIELD_IP_SOURCE_FIRST] = { "ip saddr . tcp sport . ip daddr . tcp dport", 16, AS_NOTHING },
	[FIELD_IP6_TARGET_FIRST] = { "ip6 daddr . tcp dport . ip6 saddr . tcp sport", 40, AS_NOTHING },
	[FIELD_IP6_SOURCE_FIRST] = { "ip6 saddr . tcp sport . ip6 daddr . tcp dport", 40, AS_NOTHING },
};

size_t field_size(enum field field)
{
	return fields[field].size;
}

struct word {
	uint32_t value;
	const char *text;
};

static const struct word protocols[] = { { 1, "icmp" }, { 6, "tcp" }, { 17, "udp" }, { 58, "icmpv6" }, { 0, NULL } };
static const struct word icmp_types[] = { { 8, "echo-request" }, { 0, NULL } };
static const struct word icmpv6_types[] = {
	{ 128, "echo-request" },         { 130, "mld-listener-query" },
	{ 131, "mld-listener-report" },  { 133, "nd-router-solicit" },
	{ 134, "nd-router-advert" },     { 135, "nd-neighbor-solicit" },
	{ 136, "nd-neighbor-advert" },   { 137, "nd-redirect" },
	{ 143, "mld2-listener-report" }, { 0, NULL },
};
static const struct word packet_types[] = { { 0, "host" }, { 1, "broadcast" }, { 2, "multicast" }, { 0, NULL } };
static const struct word directions[] = { { 0, "original" }, { 1, "reply" }, { 0, NULL } };
static const struct word states[] = { { CT_INVALID, "invalid" },
				      { CT_ESTABLISHED, "established" },
				      { CT_RELATED, "related" },
				      { CT_NEW, "new" },
				      { 0, NULL } };

static void print_word(FILE *out, const struct word *words, uint32_t value)
{
	for (; words->text; words++) {
		if (words->value == value) {
			fputs(words->text, out);
			return;
		}
	}
	fprintf(out, "%" PRIu32, value);
}

static void print_states(FILE *out, uint32_t bits)
{
	const char *comma = "";
	for (const struct word *word = states; word->text; word++) {
		if (bits & word->value) {
			fprintf(out, "%s%s", comma, word->text);
			comma = ",";
		}
	}
}

/* One key, or one end of an interval. */
static void print_key(FILE *out, int operand, const uint8_t *key)
{
	char text[INET6_ADDRSTRLEN];

	switch (operand) {
	case AS_IPV4:
	case AS_IPV6: fputs(inet_ntop(operand == AS_IPV4 ? AF_INET : AF_INET6, key, text, sizeof(text)), out); break;
	case AS_PORT: fprintf(out, "%d", key[0] << 8 | key[1]); break;
	case AS_INTERFACE: fprintf(out, "\"%.16s\"", (const char *)key); break;
	case AS_PROTOCOL: print_word(out, protocols, key[0]); break;
	case AS_ICMP: print_word(out, icmp_types, key[0]); break;
	case AS_ICMPV6: print_word(out, icmpv6_types, key[0]); break;
	case AS_NUMBER: fprintf(out, "%u", key[0]); break;
	case AS_HEX: fprintf(out, "0x%02x", key[0]); break;
	case AS_DIRECTION: print_word(out, directions, key[0]); break;
	case AS_PKTTYPE: print_word(out, packet_types, key[0]); break;
	default: break;
	}
}

/* The length of the prefix that first..last is, or -1. */
static int prefix_length(const uint8_t *first, const uint8_t *last, size_t size)
{
	size_t bit = 0, bits = size * 8;

	while (bit < bits && !((first[bit / 8] ^ last[bit / 8]) & 0x80 >> bit % 8))
		bit++;
	int length = (int)bit;
	for (; bit < bits; bit++)
		if (first[bit / 8] & 0x80 >> bit % 8 || !(last[bit / 8] & 0x80 >> bit % 8))
			return -1;
	return length;
}

static void print_interval(FILE *out, int operand, size_t size, const uint8_t *first, const uint8_t *last)
{
	int length = operand == AS_IPV4 || operand == AS_IPV6 ? prefix_length(first, last, size) : -1;

	print_key(out, operand, first);
	if (memcmp(first, last, size) == 0)
		return;
	if (length >= 0) {
		fprintf(out, "/%d", length);
		return;
	}
	fputc('-', out);
	print_key(out, operand, last);
}

static void print_action(FILE *out, enum action action, const char *chain)
{
	static const char *const words[] = {
		"",
		"accept",
		"drop",
		"return",
		"jump ",
		"goto ",
		"reject with tcp reset",
		"reject with icmpx admin-prohibited",
	};
	fprintf(out, "%s%s", words[action], action == ACTION_JUMP || action == ACTION_GOTO ? chain : "");
}

static void print_match(FILE *out, const struct term *term)
{
	const struct field_form *form = &fields[term->field];
	const char *not = term->negate ? "!= " : "";

	fprintf(out, "%s ", form->text);
	switch (term->field) {
	case FIELD_TCP_SYN_ACK: fprintf(out, "%s syn", term->negate ? "!=" : "=="); break;
	case FIELD_TCP_RST: fputs("== rst", out); break;
	case FIELD_FIB_LOCAL: fputs("local", out); break;
	case FIELD_FIB_UNICAST: fputs("unicast", out); break;
	case FIELD_CT_STATE: print_states(out, term->bits); break;
	case FIELD_CT_STATUS: fputs(term->negate ? "! dnat" : "dnat", out); break;
	case FIELD_IP_LSRR:
	case FIELD_IP_SSRR:
	case FIELD_ROUTING: fputs("exists", out); break;
	default: fputs(not, out); print_interval(out, (int)form->operand, form->size, term->first, term->last);
	}
}

static void print_term(FILE *out, const struct term *term)
{
	switch (term->kind) {
	case TERM_MATCH: print_match(out, term); break;
	case TERM_IN: fprintf(out, "%s %s@%s", fields[term->field].text, term->negate ? "!= " : "", term->name); break;
	case TERM_MAP: fprintf(out, "%s vmap @%s", fields[term->field].text, term->name); break;
	case TERM_COUNTER: fprintf(out, "counter name \"%s\"", term->name); break;
	case TERM_LIMIT: fprintf(out, "limit rate %u/second burst %u packets", term->rate, term->burst); break;
	case TERM_LOG:
		fprintf(out, "log prefix \"%s\" group %u", term->name, term->group);
		if (term->snaplen)
			fprintf(out, " snaplen %u", term->snaplen);
		break;
	case TERM_PIN:
		fputs(term->field == FIELD_IP_DADDR ? "dnat ip to ip daddr" : "dnat ip6 to ip6 daddr", out);
		break;
	case TERM_ACTION: print_action(out, term->action, term->name); break;
	}
}

static void print_rule(FILE *out, const struct rule *rule)
{
	for (size_t i = 0; i < rule->count; i++) {
		if (i)
			fputc(' ', out);
		print_term(out, &rule->items[i]);
	}
}

static const struct {
	const char *text;
	int operand;
} key_forms[] = {
	[KEY_IPV4] = { "ipv4_addr", AS_IPV4 },
	[KEY_IPV6] = { "ipv6_addr", AS_IPV6 },
	[KEY_PORT] = { "inet_service", AS_PORT },
	[KEY_INTERFACE] = { "ifname", AS_INTERFACE },
	[KEY_ICMPV6_TYPE] = { "icmpv6_type", AS_ICMPV6 },
	[KEY_PROTOCOL] = { "inet_proto", AS_PROTOCOL },
	[KEY_CUT_4] = { "ipv4_addr . inet_service . ipv4_addr . inet_service", AS_NOTHING },
	[KEY_CUT_6] = { "ipv6_addr . inet_service . ipv6_addr . inet_service", AS_NOTHING },
};

static void print_set(FILE *out, const struct set *set, int64_t now_ms)
{
	bool map = set->flags & SET_VERDICTS;

	fprintf(out, "\t%s %s {\n\t\ttype %s%s\n", map ? "map" : "set", set->name, key_forms[set->type].text,
		map ? " : verdict" : "");
	if (set->size)
		fprintf(out, "\t\tsize %" PRIu32 "\n", set->size);
	if (set->flags & (SET_INTERVAL | SET_TIMEOUT))
		fprintf(out, "\t\tflags %s\n", set->flags & SET_INTERVAL ? "interval" : "timeout");
	for (size_t i = 0; i < set->count; i++) {
		const struct element *element = &set->items[i];
		fputs(i ? ",\n\t\t\t     " : "\t\telements = { ", out);
		print_interval(out, key_forms[set->type].operand, key_size(set->type), element->first, element->last);
		if (set->flags & SET_TIMEOUT) {
			/* One that ends this moment has a second left: nft takes no less. */
			int64_t left_s = (element->deadline_ms - now_ms) / 1000;
			fprintf(out, " timeout %" PRId64 "s", left_s > 1 ? left_s : 1);
		}
		if (map) {
			fputs(" : ", out);
			print_action(out, element->action, element->chain);
		}
	}
	fputs(set->count ? " }\n\t}\n" : "\t}\n", out);
}

static void print_chain(FILE *out, const struct chain *chain)
{
	static const char *const hooks[] = { "", "prerouting", "input", "forward", "output" };

	fprintf(out, "\tchain %s {\n", chain->name);
	if (chain->hook != HOOK_NONE)
		fprintf(out, "\t\ttype %s hook %s priority %d; policy accept;\n", chain->nat ? "nat" : "filter",
			hooks[chain->hook], chain->priority);
	for (size_t i = 0; i < chain->count; i++) {
		fputs("\t\t", out);
		print_rule(out, &chain->items[i]);
		fputc('\n', out);
	}
	fputs("\t}\n", out);
}

char *ruleset_text(const struct ruleset *ruleset, int64_t now_ms)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	fprintf(out, "table inet " TABLE_NAME " {\n\tcomment \"layout %d\"\n", TABLE_LAYOUT);
	for (size_t i = 0; i < ruleset->counters.count; i++)
		fprintf(out, "\tcounter %s {\n\t}\n", ruleset->counters.items[i]);
	for (size_t i = 0; i < ruleset->sets.count; i++)
		print_set(out, &ruleset->sets.items[i], now_ms);
	for (size_t i = 0; i < ruleset->chains.count; i++)
		print_chain(out, &ruleset->chains.items[i]);
	fputs("}\n", out);
	return lines_end(out, &text);
}
