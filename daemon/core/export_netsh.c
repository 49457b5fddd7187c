/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "array.h"
#include "flow_index.h"
#include "lines.h"
#include "policy_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The vendor's document has three commands for its default: the services for everybody in one rule, and a rule for each
 * service of the administrators. Those come out here for the built-in flows as they are built in.
 *
 * Each command is one line, so that cmd takes it as PowerShell does. Values are of digits, letters and a few signs, and
 * have quotes around them: a comma is an operator of PowerShell's. Comments have no sign by which cmd, which does not
 * know them, would begin another command. */

enum {
	LIST_MAX = 2500, /* bytes of a list; three of them and the rest fit into the 8191 that cmd takes as a line */
	WORDS_MAX = 512,
};

static const char vendor_name[] = "MailStore Service Provider Edition";

struct port_list {
	struct port_range *items;
	size_t count, capacity;
};

/* One rule, or as many as its lists need. */
struct netsh_rule {
	const struct policy_flow *flow;
	char name[sizeof(vendor_name) + CONFIG_ID_MAX + 8];
	struct port_list ports;
	bool any;              /* from everywhere */
	struct ranges sources; /* else these */
	struct ranges locals;  /* the role's addresses that are opened; none: all of them */
	bool off;              /* a comment that could be a command */
};

struct netsh {
	FILE *out;
	const struct export_view *view;
	const struct policy_role *role;
	const struct policy_flow **listed; /* all flows, in the order in which they are listed */
	size_t *places;                    /* where a flow of the policy is there */
	struct {
		size_t *items; /* places, ascending */
		size_t count, capacity;
	} open;      /* flows to the role */
	bool failed; /* without memory */
};

/* Comments */

static void comment(const struct netsh *netsh, const char *text)
{
	static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;()[]/_-+*@#=";

	fputs("# ", netsh->out);
	for (; *text; text++)
		fputc(strchr(fit, *text) ? *text : '?', netsh->out);
	fputc('\n', netsh->out);
}

static void comment_flow(const struct netsh *netsh, const struct policy_flow *flow)
{
	char text[CONFIG_ID_MAX + CONFIG_COMMENT_MAX + 200];
	const char *what = *flow->settings.comment ? flow->settings.comment : flow->purpose;

	snprintf(text, sizeof(text), "%s%s%s", flow->id, what ? ": " : "", what ? what : "");
	comment(netsh, text);
}

/* Sources */

static void add_ranges(struct netsh *netsh, struct ranges *to, const struct ranges *more)
{
	netsh->failed |= ranges_add_all(to, more) < 0;
}

static void comment_name(const struct netsh *netsh, const char *name, const struct ranges *known)
{
	char text[WORDS_MAX], address[RANGE_TEXT_MAX];
	int length;

	if (!netsh->view->names)
		length =
			snprintf(text, sizeof(text), "left out: %s, whose addresses only a running spefwd knows", name);
	else if (!known->count)
		length = snprintf(text, sizeof(text), "left out: %s, which has no address now", name);
	else
		length = snprintf(text, sizeof(text),
				  "%s had these addresses then, which Windows does not follow:", name);
	for (size_t i = 0; i < known->count && length < (int)sizeof(text) - RANGE_TEXT_MAX; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, " %s",
				   range_format(&known->items[i], address));
	comment(netsh, text);
}

static void add_name(struct netsh *netsh, struct ranges *to, size_t index)
{
	const struct names_view *view = netsh->view->names;
	struct ranges known = { 0 };

	for (int family = 0; view && index < view->count && family < FAMILIES; family++) {
		const struct name_addresses *list = &view->names[index][family];
		for (size_t i = 0; i < list->count; i++) {
			struct range one = range_of(&list->items[i].addr);
			netsh->failed |= ranges_add(&known, &one) < 0;
		}
	}
	comment_name(netsh, netsh->view->policy->names[index].name, &known);
	add_ranges(netsh, to, &known);
	ranges_free(&known);
}

static void set_sources(struct netsh *netsh, struct netsh_rule *rule)
{
	const struct endpoint *from = &rule->flow->from;

	rule->any = from->any;
	if (from->any)
		return;
	add_ranges(netsh, &rule->sources, &from->ranges);
	for (size_t i = 0; i < from->name_count; i++)
		add_name(netsh, &rule->sources, from->names[i]);
	ranges_normalise(&rule->sources);
}

/* Where the flow opens not all of the machine that the role is. */
static void set_locals(struct netsh *netsh, struct netsh_rule *rule)
{
	add_ranges(netsh, &rule->locals, &rule->flow->to.opens);
	netsh->failed |= ranges_intersect(&rule->locals, &netsh->role->guarded) < 0;
	if (ranges_equal(&rule->locals, &netsh->role->guarded))
		rule->locals.count = 0;
}

/* Ports */

static int compare_ports(const void *a, const void *b)
{
	const struct port_range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

static void add_ports(struct netsh *netsh, struct port_list *list, const struct policy_flow *flow)
{
	size_t kept = 0;

	for (size_t i = 0; i < flow->port_count; i++)
		netsh->failed |= ARRAY_PUSH(list, flow->ports[i]) < 0;
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare_ports);
	for (size_t i = 1; i < list->count; i++) {
		struct port_range *last = &list->items[kept], next = list->items[i];
		if (next.first > (unsigned)last->last + 1)
			list->items[++kept] = next;
		else if (next.last > last->last)
			last->last = next.last;
	}
	list->count = list->count ? kept + 1 : 0;
}

/* Parts of lists: from `at` on, as much as fits; where the next part begins. */

static size_t ports_part(const struct port_list *list, size_t at, char text[LIST_MAX])
{
	int length = 0;

	for (text[0] = '\0'; at < list->count && length < LIST_MAX - 16; at++) {
		const struct port_range *range = &list->items[at];
		length += snprintf(text + length, LIST_MAX - (size_t)length,
				   range->first == range->last ? "%s%u" : "%s%u-%u", length ? "," : "", range->first,
				   range->last);
	}
	return at;
}

static size_t ranges_part(const struct ranges *list, size_t at, char text[LIST_MAX])
{
	char range[RANGE_TEXT_MAX];
	int length = 0;

	for (text[0] = '\0'; at < list->count && length < LIST_MAX - RANGE_TEXT_MAX - 2; at++)
		length += snprintf(text + length, LIST_MAX - (size_t)length, "%s%s", length ? "," : "",
				   range_format(&list->items[at], range));
	return at;
}

/* Commands */

static void print_list(FILE *out, const char *key, const char *list)
{
	if (*list)
		fprintf(out, " %s=\"%s\"", key, list);
}

static void print_command(const struct netsh *netsh, const struct netsh_rule *rule, const char *protocol,
			  const char *ports, const char *locals, const char *sources)
{
	fprintf(netsh->out, "%snetsh advfirewall firewall add rule name=\"%s\" action=ALLOW dir=IN protocol=%s",
		rule->off ? "# " : "", rule->name, protocol);
	print_list(netsh->out, "localport", ports);
	print_list(netsh->out, "localip", locals);
	print_list(netsh->out, "remoteip", sources);
	fputs(" profile=ANY\n", netsh->out);
}

static void print_commands(const struct netsh *netsh, const struct netsh_rule *rule, const char *protocol,
			   const struct ranges *locals, const struct ranges *sources)
{
	char ports_text[LIST_MAX], locals_text[LIST_MAX], sources_text[LIST_MAX];
	size_t port = 0, local, source;

	do {
		port = ports_part(&rule->ports, port, ports_text);
		local = 0;
		do {
			local = ranges_part(locals, local, locals_text);
			source = 0;
			do {
				source = ranges_part(sources, source, sources_text);
				print_command(netsh, rule, protocol, ports_text, locals_text, sources_text);
			} while (source < sources->count);
		} while (local < locals->count);
	} while (port < rule->ports.count);
}

static void take_family(struct netsh *netsh, struct ranges *ret, const struct ranges *all, enum family family)
{
	struct ranges whole = { 0 };
	struct range range = range_all(family);

	*ret = (struct ranges){ 0 };
	add_ranges(netsh, ret, all);
	netsh->failed |= ranges_add(&whole, &range) < 0 || ranges_intersect(ret, &whole) < 0;
	ranges_free(&whole);
}

/* One family at a time: for ICMP, which is two protocols, and where both ends are named. */
static void print_of_family(struct netsh *netsh, const struct netsh_rule *rule, const char *protocol,
			    enum family family)
{
	struct ranges locals, sources;

	take_family(netsh, &locals, &rule->locals, family);
	take_family(netsh, &sources, &rule->sources, family);
	if ((rule->any || sources.count) && (!rule->locals.count || locals.count))
		print_commands(netsh, rule, protocol, &locals, &sources);
	ranges_free(&locals);
	ranges_free(&sources);
}

static void print_rule(struct netsh *netsh, const struct netsh_rule *rule)
{
	static const char *const protocols[] = { [PROTOCOL_TCP] = "TCP", [PROTOCOL_UDP] = "UDP" }, *const echo[] = {
		[FAMILY_4] = "\"icmpv4:8,any\"", [FAMILY_6] = "\"icmpv6:128,any\""
	};
	unsigned wanted = rule->flow->protocols;

	for (enum protocol protocol = 0; protocol < PROTOCOLS; protocol++) {
		if (!(wanted & 1u << protocol))
			continue;
		if (protocol != PROTOCOL_ICMP_ECHO && !rule->locals.count) {
			print_commands(netsh, rule, protocols[protocol], &rule->locals, &rule->sources);
			continue;
		}
		for (enum family family = 0; family < FAMILIES; family++)
			print_of_family(netsh, rule,
					protocol == PROTOCOL_ICMP_ECHO ? echo[family] : protocols[protocol], family);
	}
}

/* Flows */

/* As the vendor has them: built in, for everybody, or for the administrators. */
static const struct builtin_flow *vendor_flow(const struct policy_flow *flow)
{
	for (size_t i = 0; i < builtin_flow_count; i++)
		if (strcmp(builtin_flows[i].id, flow->id) == 0 && builtin_flows[i].section == SECTION_INBOUND)
			return &builtin_flows[i];
	return NULL;
}

static bool is_for_everybody(const struct policy_flow *flow)
{
	const struct builtin_flow *builtin = vendor_flow(flow);
	return builtin && strcmp(builtin->from, "ANY") == 0;
}

/* Both are one rule. */
static bool is_same_rule(const struct policy_flow *a, const struct policy_flow *b)
{
	return is_for_everybody(a) && is_for_everybody(b) && a->from.any && b->from.any &&
	       a->protocols == b->protocols && ranges_equal(&a->to.opens, &b->to.opens);
}

static void set_name(struct netsh_rule *rule)
{
	const char *id = rule->flow->id;

	if (vendor_flow(rule->flow))
		snprintf(rule->name, sizeof(rule->name), "%s (%s)", vendor_name,
			 is_for_everybody(rule->flow) ? "CAS" : "MGMT");
	else
		snprintf(rule->name, sizeof(rule->name), "spefw (%s)", id);
}

static const struct policy_flow *open_flow(const struct netsh *netsh, size_t at)
{
	return netsh->listed[netsh->open.items[at]];
}

/* This flow, and those behind it that go into the same rule. */
static void put_flow(struct netsh *netsh, size_t at)
{
	struct netsh_rule rule = { .flow = open_flow(netsh, at) };

	set_name(&rule);
	comment_flow(netsh, rule.flow);
	add_ports(netsh, &rule.ports, rule.flow);
	while (is_for_everybody(rule.flow) && ++at < netsh->open.count) {
		const struct policy_flow *other = open_flow(netsh, at);
		if (!is_same_rule(rule.flow, other))
			continue;
		comment_flow(netsh, other);
		add_ports(netsh, &rule.ports, other);
	}
	set_sources(netsh, &rule);
	set_locals(netsh, &rule);
	/* Not in the vendor's document, and on by itself: not without being asked for. */
	rule.off = rule.flow->section == SECTION_INFRASTRUCTURE && rule.flow->protocols == 1u << PROTOCOL_ICMP_ECHO &&
		   !rule.flow->line;
	if (rule.off)
		comment(netsh, "The vendor has no rule for it: take the # away to let it pass.");
	if (rule.any || rule.sources.count)
		print_rule(netsh, &rule);
	else
		comment(netsh, "no rule: no address of its source is known");
	fputc('\n', netsh->out);
	free(rule.ports.items);
	ranges_free(&rule.sources);
	ranges_free(&rule.locals);
}

/* It is in a rule of one ahead of it. */
static bool is_put(const struct netsh *netsh, size_t at)
{
	for (size_t i = 0; is_for_everybody(open_flow(netsh, at)) && i < at; i++)
		if (is_same_rule(open_flow(netsh, i), open_flow(netsh, at)))
			return true;
	return false;
}

/* Roles */

static int compare_places(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	return (x > y) - (x < y);
}

/* Each flow once, whatever protocols and ports it has. */
static void find_open(struct netsh *netsh)
{
	const struct policy *policy = netsh->view->policy;
	const struct role_flows *flows = &policy->index->roles[netsh->role - policy->roles];
	size_t kept = 0;

	netsh->open.count = 0;
	for (enum protocol protocol = 0; protocol < PROTOCOLS; protocol++) {
		const struct flow_list *list = &flows->in[protocol];
		for (size_t s = 0; s < list->segment_count; s++)
			for (size_t i = 0; i < list->segments[s].count; i++)
				netsh->failed |= ARRAY_PUSH(&netsh->open,
							    netsh->places[list->flows[list->segments[s].flow + i]]) < 0;
	}
	if (netsh->open.count)
		qsort(netsh->open.items, netsh->open.count, sizeof(*netsh->open.items), compare_places);
	for (size_t i = 0; i < netsh->open.count; i++)
		if (!kept || netsh->open.items[kept - 1] != netsh->open.items[i])
			netsh->open.items[kept++] = netsh->open.items[i];
	netsh->open.count = kept;
}

static void put_role(struct netsh *netsh)
{
	char text[WORDS_MAX], address[RANGE_TEXT_MAX];
	const struct ranges *guarded = &netsh->role->guarded;

	int length = snprintf(text, sizeof(text), "== For the machine of role %s:", netsh->role->name);
	for (size_t i = 0; i < guarded->count && length < (int)sizeof(text) - RANGE_TEXT_MAX; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, " %s",
				   range_format(&guarded->items[i], address));
	comment(netsh, text);
	fputc('\n', netsh->out);
	find_open(netsh);
	for (size_t at = 0; at < netsh->open.count; at++)
		if (!is_put(netsh, at))
			put_flow(netsh, at);
	if (!netsh->open.count) {
		comment(netsh, "nothing is open to it");
		fputc('\n', netsh->out);
	}
}

static void put_head(const struct netsh *netsh)
{
	comment(netsh, netsh->view->origin);
	comment(netsh,
		"Inbound rules for the firewall of Windows itself, to be run in PowerShell as an administrator.");
	comment(netsh, "Rules that were added before stay: ahead of new ones, take those of the same name away, by");
	comment(netsh, "netsh advfirewall firewall delete rule name=NAME");
	fputc('\n', netsh->out);
}

static void list_flows(struct netsh *netsh)
{
	const struct policy *policy = netsh->view->policy;
	const struct policy_flow *flow;
	size_t count = 0;

	netsh->listed = calloc(policy->flow_count + 1, sizeof(*netsh->listed));
	netsh->places = calloc(policy->flow_count + 1, sizeof(*netsh->places));
	netsh->failed = !netsh->listed || !netsh->places;
	for (size_t at = 0; !netsh->failed && (flow = policy_listed_flow(policy, &at));) {
		netsh->places[flow - policy->flows] = count;
		netsh->listed[count++] = flow;
	}
}

char *export_netsh(const struct export_view *view)
{
	char *text = NULL;
	size_t length = 0;
	struct netsh netsh = { .out = open_memstream(&text, &length), .view = view };

	if (!netsh.out)
		return NULL;
	list_flows(&netsh);
	put_head(&netsh);
	for (size_t i = 0; !netsh.failed && i < view->policy->role_count; i++) {
		netsh.role = &view->policy->roles[i];
		if (netsh.role->is_protected)
			put_role(&netsh);
	}
	free(netsh.listed);
	free(netsh.places);
	free(netsh.open.items);
	text = lines_end(netsh.out, &text);
	if (!netsh.failed)
		return text;
	free(text);
	return NULL;
}
