/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "owners.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names are what the programs themselves give: firewalld 1.3, Docker 20 to 28, fail2ban 1.0, ufw 0.36. */

static bool begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Those of iptables-legacy are in the order of their rules. */
static bool has_chain(const struct foreign_tables *tables, const struct foreign_chain *beside, const char *name)
{
	for (size_t i = 0; i < tables->chains.count; i++) {
		const struct foreign_chain *one = &tables->chains.items[i];
		if (one->family == beside->family && strcmp(one->name, name) == 0 &&
		    strcmp(one->table, beside->table) == 0)
			return true;
	}
	return false;
}

/* The chains that they put beside those that every table of iptables has; where such a chain ends in a drop, it was
 * they who made it so. */

static bool is_of_firewalld(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	(void)tables;
	(void)set;
	return strcmp(chain->table, "firewalld") == 0;
}

static bool is_of_fail2ban(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	(void)tables;
	return begins_with(chain->table, "f2b-") || begins_with(chain->name, "f2b-") ||
	       (set && (begins_with(set, "addr-set-") || begins_with(set, "addr6-set-") || begins_with(set, "f2b-")));
}

static bool is_of_docker(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	(void)set;
	return begins_with(chain->name, "DOCKER") || strcmp(chain->table, "docker-bridges") == 0 ||
	       (chain->place == PLACE_FORWARD && has_chain(tables, chain, "DOCKER-USER"));
}

static bool is_of_ufw(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	(void)set;
	return begins_with(chain->name, "ufw-") || begins_with(chain->name, "ufw6-") ||
	       (chain->place != PLACE_NONE &&
		(has_chain(tables, chain, "ufw-user-forward") || has_chain(tables, chain, "ufw6-user-forward")));
}

static bool is_of_iptables(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	static const char *const theirs[] = { "filter", "nat", "mangle", "raw", "security" }, *const chains[] = {
		"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"
	};
	bool table = false, built_in = false;

	(void)set;
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		table |= strcmp(chain->table, theirs[i]) == 0;
	for (size_t i = 0; table && !built_in && i < sizeof(chains) / sizeof(chains[0]); i++)
		built_in = has_chain(tables, chain, chains[i]);
	return chain->legacy ||
	       (built_in && (chain->family == FOREIGN_FAMILY_IP || chain->family == FOREIGN_FAMILY_IP6));
}

static bool is_of_anybody(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	(void)tables;
	(void)chain;
	(void)set;
	return true;
}

/* Remedies. */

struct command {
	char *text;
	size_t length;
	bool unfit;
};

static void add(struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct command *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(command->text + command->length, REMEDY_MAX - command->length, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= REMEDY_MAX - command->length)
		command->unfit = true;
	else
		command->length += (size_t)length;
}

/* The next one of several commands. */
static void begin(struct command *command)
{
	if (command->length)
		add(command, " && ");
}

/* A name as a word of a command: it must be one to the shell, too. */
static void add_name(struct command *command, const char *name)
{
	static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:+@/-";

	if (!*name || *name == '-' || strspn(name, fit) != strlen(name))
		command->unfit = true;
	add(command, " %s", name);
}

static void add_range(struct command *command, const struct range *range)
{
	char text[RANGE_TEXT_MAX];

	add(command, " %s", range_format(range, text));
}

/* Whether packets to the protected side (else: from it) are met. */
static bool meets(const struct finding *finding, bool to_own)
{
	return finding->meets & (to_own ? MEETS_OPENING_IN | MEETS_ANSWER_IN : MEETS_OPENING_OUT | MEETS_ANSWER_OUT);
}

/* Likewise, whether of the connections that it accepts. */
static bool meets_inbound(const struct finding *finding)
{
	return finding->meets & (MEETS_OPENING_IN | MEETS_ANSWER_OUT);
}
static bool meets_outbound(const struct finding *finding)
{
	return finding->meets & (MEETS_OPENING_OUT | MEETS_ANSWER_IN);
}

static void add_iptables(struct command *command, const struct finding *finding, enum family family, bool to_own,
			 const char *chain)
{
	begin(command);
	add(command, "%s%s", family == FAMILY_6 ? "ip6tables" : "iptables", finding->legacy ? "-legacy" : "");
	if (strcmp(finding->table, "filter") != 0) {
		add(command, " -t");
		add_name(command, finding->table);
	}
	add(command, chain || finding->number ? " -I" : " -A");
	add_name(command, chain ? chain : finding->chain);
	if (!chain && finding->number)
		add(command, " %zu", finding->number);
	add(command, to_own ? " -d" : " -s");
	add_range(command, &finding->own[family]);
	add(command, " -j ACCEPT");
}

static void remedy_iptables(struct command *command, const struct finding *finding)
{
	for (enum family family = 0; family < FAMILIES; family++)
		for (int to_own = 1; to_own >= 0; to_own--)
			if (finding->has_own[family] && meets(finding, to_own))
				add_iptables(command, finding, family, to_own, NULL);
}

/* Docker lets all of its rules be overruled in the one chain that it leaves to the administrator, and lets no answer
 * pass by itself that is not to a container. */
static void remedy_docker(struct command *command, const struct finding *finding)
{
	if (strcmp(finding->table, "filter") != 0) {
		command->unfit = true;
		return;
	}
	for (enum family family = 0; family < FAMILIES; family++)
		for (int to_own = 1; to_own >= 0; to_own--)
			if (finding->has_own[family])
				add_iptables(command, finding, family, to_own, "DOCKER-USER");
}

/* The answers pass by themselves. */
static void add_rich_rule(struct command *command, const struct finding *finding, enum family family, const char *side)
{
	add(command, " --add-rich-rule 'rule family=\"%s\" %s address=\"", family == FAMILY_4 ? "ipv4" : "ipv6", side);
	char text[RANGE_TEXT_MAX];
	add(command, "%s\" accept'", range_format(&finding->own[family], text));
}

static void remedy_firewalld(struct command *command, const struct finding *finding)
{
	if (finding->effect != EFFECT_DROP || finding->place != PLACE_FORWARD) {
		command->unfit = true;
		return;
	}
	/* It may be there from another time. */
	add(command, "firewall-cmd --permanent --new-policy spefw; "
		     "firewall-cmd --permanent --policy spefw --add-ingress-zone ANY && "
		     "firewall-cmd --permanent --policy spefw --add-egress-zone ANY && "
		     "firewall-cmd --permanent --policy spefw");
	for (enum family family = 0; family < FAMILIES; family++) {
		if (finding->has_own[family] && meets_inbound(finding))
			add_rich_rule(command, finding, family, "destination");
		if (finding->has_own[family] && meets_outbound(finding))
			add_rich_rule(command, finding, family, "source");
	}
	add(command, " && firewall-cmd --reload");
}

/* Likewise. */
static void remedy_ufw(struct command *command, const struct finding *finding)
{
	bool forward = finding->place == PLACE_FORWARD;

	if (!forward && finding->place != PLACE_INPUT && finding->place != PLACE_OUTPUT)
		command->unfit = true;
	for (enum family family = 0; family < FAMILIES; family++) {
		for (int inbound = 1; finding->has_own[family] && inbound >= 0; inbound--) {
			if (inbound ? !meets_inbound(finding) : !meets_outbound(finding))
				continue;
			begin(command);
			add(command, "ufw %sallow%s %s", forward ? "route " : "", !forward && inbound ? " out" : "",
			    inbound ? "to" : "from");
			add_range(command, &finding->own[family]);
		}
	}
}

/* Its jail: iptables actions call the chain after it, those of nftables the set. */
static const char *jail_of(const struct finding *finding)
{
	static const char *const starts[] = { "addr-set-", "addr6-set-", "f2b-" };

	for (size_t i = 0; finding->set && i < sizeof(starts) / sizeof(starts[0]); i++)
		if (begins_with(finding->set, starts[i]))
			return finding->set + strlen(starts[i]);
	return begins_with(finding->chain, "f2b-") && strcmp(finding->chain, "f2b-chain") != 0 ? finding->chain + 4
											       : "";
}

static void remedy_fail2ban(struct command *command, const struct finding *finding)
{
	add(command, "fail2ban-client set");
	add_name(command, jail_of(finding));
	add(command, " unbanip");
	if (!finding->has_peer)
		command->unfit = true;
	add_range(command, &finding->peer);
}

static void add_nft(struct command *command, const struct finding *finding, enum family family, bool to_own)
{
	begin(command);
	add(command, "nft %s rule %s", finding->handle ? "insert" : "add", table_family(finding->family));
	add_name(command, finding->table);
	add_name(command, finding->chain);
	if (finding->handle)
		add(command, " handle %llu", (unsigned long long)finding->handle);
	add(command, " %s %s", family == FAMILY_6 ? "ip6" : "ip", to_own ? "daddr" : "saddr");
	add_range(command, &finding->own[family]);
	add(command, " accept");
}

/* Who is known to be on a list is taken from it; else the protected addresses pass ahead of the rule. */
static void remedy_nftables(struct command *command, const struct finding *finding)
{
	if (finding->listed && finding->has_peer && finding->effect == EFFECT_DROP) {
		add(command, "nft delete element %s", table_family(finding->family));
		add_name(command, finding->table);
		add_name(command, finding->set);
		add(command, " {");
		add_range(command, &finding->peer);
		add(command, " }");
		return;
	}
	for (enum family family = 0; family < FAMILIES; family++)
		for (int to_own = 1; to_own >= 0; to_own--)
			if (finding->has_own[family] && meets(finding, to_own))
				add_nft(command, finding, family, to_own);
}

/* The first that says so has made the rule. */
static const struct {
	enum owner owner;
	const char *word;
	bool (*owns)(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set);
	void (*remedy)(struct command *command, const struct finding *finding);
} owners[OWNERS] = {
	{ OWNER_FAIL2BAN, "fail2ban", is_of_fail2ban, remedy_fail2ban },
	{ OWNER_FIREWALLD, "firewalld", is_of_firewalld, remedy_firewalld },
	{ OWNER_DOCKER, "docker", is_of_docker, remedy_docker },
	{ OWNER_UFW, "ufw", is_of_ufw, remedy_ufw },
	{ OWNER_IPTABLES, "iptables", is_of_iptables, remedy_iptables },
	{ OWNER_NFTABLES, "nftables", is_of_anybody, remedy_nftables },
};

enum owner owner_of(const struct foreign_tables *tables, const struct foreign_chain *chain, const char *set)
{
	size_t i = 0;

	while (i + 1 < OWNERS && !owners[i].owns(tables, chain, set))
		i++;
	return owners[i].owner;
}

static size_t index_of(enum owner owner)
{
	size_t i = 0;

	while (i + 1 < OWNERS && owners[i].owner != owner)
		i++;
	return i;
}

const char *owner_word(enum owner owner)
{
	return owners[index_of(owner)].word;
}

bool owner_remedy(const struct finding *finding, char buffer[REMEDY_MAX])
{
	struct command command = { .text = buffer };

	*buffer = '\0';
	/* Another port of the same machine, and what is past all rules, no accepted packet mends. */
	if (finding->effect == EFFECT_PORT || finding->effect == EFFECT_OFFLOAD)
		return false;
	owners[index_of(finding->owner)].remedy(&command, finding);
	if (command.unfit || !command.length)
		*buffer = '\0';
	return *buffer != '\0';
}

static const char *tool(const struct finding *finding)
{
	return finding->family == FOREIGN_FAMILY_IP6 ? "ip6tables-legacy" : "iptables-legacy";
}

char *finding_table(const struct finding *finding, char buffer[WHERE_MAX])
{
	if (finding->legacy)
		snprintf(buffer, WHERE_MAX, "%s, table %.100s", tool(finding), finding->table);
	else
		snprintf(buffer, WHERE_MAX, "table %s %.100s", table_family(finding->family), finding->table);
	return buffer;
}

char *finding_command(const struct finding *finding, char buffer[WHERE_MAX])
{
	if (finding->legacy)
		snprintf(buffer, WHERE_MAX, "%s -t %.100s -L %.100s -n --line-numbers", tool(finding), finding->table,
			 finding->chain);
	else
		snprintf(buffer, WHERE_MAX, "nft -a list chain %s %.100s %.100s", table_family(finding->family),
			 finding->table, finding->chain);
	return buffer;
}
