/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_keys.h"

#include "config_values.h"
#include "policy.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SECONDS(n) ((int64_t)(n)*1000)
#define DAYS(n) (SECONDS(n) * 24 * 3600)

const char *const config_section_names[CONFIG_SECTIONS] = { "server", "gateway", "dns", "name", "role", "flow" };

static const char *const protocols[] = { "tcp", "udp", "icmp-echo" };
static const char *const presets[] = { "single-server", "none" };
static const char *const modes[] = { "enforce", "audit" };
static const char *const interceptions[] = { "prevent", "block", "report", "off" };
static const char *const proofs[] = { "enforce", "report" };
static const char *const families[] = { "both", "ipv4", "ipv6" };
static const char *const no_yes[] = { "no", "yes" };

/* Where the value is written to, and where the policy has it. */
#define CONFIG(field) .offset = offsetof(struct config, field)
#define NAME(field) .offset = offsetof(struct config_name, field)
#define ROLE(field) .offset = offsetof(struct config_role, field)
#define FLOW(field) .offset = offsetof(struct config_flow, field)
#define LINE(field) .line_offset = offsetof(struct config_flow, field)
#define POLICY(field) .in_policy = true, .policy_offset = offsetof(struct policy, field)
#define POLICY_FLOW(field) .in_policy = true, .policy_offset = offsetof(struct policy_flow, field)
#define FLOW_SETTING(field) FLOW(settings.field), POLICY_FLOW(settings.field)

#define VALUE(kind) .type = VALUE_##kind, .flags = KEY_REQUIRED
#define LIST(kind) .type = VALUE_##kind, .flags = KEY_LIST
#define LIST_REQUIRED(kind) .type = VALUE_##kind, .flags = KEY_LIST | KEY_REQUIRED
#define CHOICES(list) .choices = (list), .choice_count = COUNT_OF(list)
/* As text. */
#define QUOTED(word) #word
#define QUOTE(macro) QUOTED(macro)
#define EPHEMERAL QUOTE(EPHEMERAL_FIRST) "-" QUOTE(EPHEMERAL_LAST)
#define RANGE(from, to) .least = (from), .most = (to)
#define EVERY_MEMBER (ACCEPT_HOSTS | ACCEPT_RANGES | ACCEPT_NAMES | ACCEPT_ROLES | ACCEPT_FILES)

const struct config_key config_keys[] = {
	{ CONFIG_SERVER, "address", LIST_REQUIRED(MEMBERS), .accept = ACCEPT_HOSTS | ACCEPT_RANGES | ACCEPT_FILES,
	  CONFIG(server), .example = "192.0.2.25",
	  .manual = "The addresses of the SPE server, all of them: what is missing is not guarded.\n"
		    "Required, one at least; no names.\n"
		    "None may be the gateway's own.\n"
		    "An address that becomes the gateway's own later is left out, and\n"
		    ".Ic spefwctl status\n"
		    "says so: guarding it would lock the gateway.\n" },
	{ CONFIG_SERVER, "interface", LIST_REQUIRED(INTERFACES), CONFIG(interfaces), POLICY(interfaces),
	  .change = CHANGE_VALUES, .example = "auto",
	  .manual = "Behind which interfaces of the gateway the server is.\n"
		    "Its addresses as the source of packets from another interface are spoofed:\n"
		    "they are dropped and counted.\n"
		    ".Cm auto :\n"
		    "every interface with a route to them, in any table and with any metric,\n"
		    "a macvlan on such an interface, and the VRF that it belongs to;\n"
		    "bridges of two ports or more that have no address, for what they carry nobody\n"
		    "routes.\n"
		    "What another router advertises (IPv6) counts for addresses that no configured\n"
		    "route covers, a default route for those that no other route covers.\n"
		    "The routes of an interface that is down still count, until it is up and has its\n"
		    "addresses again.\n"
		    ".Cm any :\n"
		    "all interfaces, which turns the check off.\n"
		    "Names have up to 15 characters, without wildcards; while there is no interface\n"
		    "of such a name, health is degraded.\n"
		    "Other protected roles are always\n"
		    ".Cm auto .\n"
		    "While no interface is known nothing is taken for spoofed.\n"
		    "Whatever is set here, packets to protected addresses with one of the gateway's\n"
		    "own addresses as their source are spoofed too, unless they come in by lo, by a\n"
		    "VRF, or by a bridge that the gateway is plugged into by a pair of veth.\n" },
	{ CONFIG_SERVER, "resolvers", LIST(MEMBERS), .accept = ACCEPT_HOSTS, CONFIG(resolvers), POLICY(resolvers),
	  .standard = "none",
	  .manual = "The DNS servers that the SPE server queries: the target of\n"
		    ".Sq dns-out .\n" },
	{ CONFIG_SERVER, "time_servers", LIST(MEMBERS), .accept = ACCEPT_HOSTS | ACCEPT_RANGES | ACCEPT_NAMES,
	  CONFIG(time_servers), .standard = "none",
	  .manual = "Its time servers: the target of\n"
		    ".Sq ntp-out .\n"
		    "Without one that flow is off, and what the server asks for the time is denied,\n"
		    "as time.windows.com is, which Windows asks unless it is set otherwise.\n"
		    "A member of a domain asks its domain controllers: name them here, or in a flow\n"
		    "to them with 123/udp.\n" },
	{ CONFIG_SERVER, "ephemeral_ports", LIST_REQUIRED(PORTS), CONFIG(ephemeral),
	  .standard = EPHEMERAL ", as Windows has it", .example = EPHEMERAL,
	  .manual = "The ports that the protected machines open their own TCP connections from, those\n"
		    "of all protected roles that have no key of their own.\n"
		    "They matter for mid-stream packets of lost connections alone: a new connection\n"
		    "may come from any port.\n"
		    "A service that listens on one of them is better off with another port.\n"
		    ".Ic netsh int ipv4 show dynamicport tcp\n"
		    "shows those of Windows.\n" },

	{ CONFIG_GATEWAY, "preset", VALUE(CHOICE), CHOICES(presets), .initial = PRESET_SINGLE_SERVER, CONFIG(preset),
	  .example = "single-server",
	  .manual = ".Cm single-server :\n"
		    "all built-in flows are on.\n"
		    ".Cm none :\n"
		    "those of the vendor's table are off but for those that have a section here.\n" },
	{ CONFIG_GATEWAY, "mode", VALUE(CHOICE), CHOICES(modes), .initial = MODE_ENFORCE, CONFIG(mode), POLICY(mode),
	  .change = CHANGE_VALUES, .example = "enforce",
	  .manual = ".Cm audit :\n"
		    "nothing is dropped, and no connection is pinned or dropped early.\n"
		    "What would be denied is counted and logged as what it would be.\n" },
	{ CONFIG_GATEWAY, "interception", VALUE(CHOICE), CHOICES(interceptions), .initial = INTERCEPTION_PREVENT,
	  CONFIG(interception), POLICY(interception), .change = CHANGE_VALUES, .example = "prevent",
	  .manual = "What becomes of TCP connections of the protected addresses that another table\n"
		    "translates to a target of its own, or hands to a socket of the gateway (tproxy),\n"
		    "as transparent proxies do.\n"
		    ".Cm prevent :\n"
		    "TCP connections of the flows are exempt from redirection by nat chains of a\n"
		    "later priority than \\-199, those that no flow allows are not;\n"
		    "what is intercepted nevertheless is treated as by\n"
		    ".Cm report .\n"
		    ".Cm block :\n"
		    "an intercepted connection is dropped.\n"
		    ".Cm report :\n"
		    "it is judged by the target that it has now, like any other.\n"
		    "All three count and log it, and\n"
		    ".Ic spefwctl status\n"
		    "is degraded until the rule is gone, or for ten minutes where no rule is found.\n"
		    "They also read the rules of all other nft tables, iptables-nft included, at the\n"
		    "start and on each of their changes:\n"
		    "a rule that could redirect, translate or hand to tproxy a TCP connection of an\n"
		    "enabled flow,\n"
		    "or that could queue, duplicate, forward by itself (fwd) or exempt from tracking\n"
		    "a packet of one, is named by table, chain and handle, and\n"
		    ".Ic status\n"
		    "is degraded while it is there.\n"
		    "Nat chains that\n"
		    ".Cm prevent\n"
		    "outruns are not named.\n"
		    ".Cm off :\n"
		    "nothing is looked for.\n"
		    "A connection to an address of the gateway's own is a port forward, and left\n"
		    "alone; so are the server's DNS queries, port 53, and what was opened to a\n"
		    "protected address and goes on to one.\n" },
	{ CONFIG_GATEWAY, "early_drop", VALUE(YES_NO), CHOICES(no_yes), .initial = true, CONFIG(early_drop),
	  POLICY(early_drop), .change = CHANGE_VALUES, .example = "yes",
	  .manual = "Whether to drop TCP connections to ports of protected addresses that no flow\n"
		    "opens\n"
		    "before connection tracking sees them.\n"
		    "It judges addresses as they are on the wire:\n"
		    ".Cm no\n"
		    "is right where a port of the server's own address is translated to another.\n" },
	{ CONFIG_GATEWAY, "record", VALUE(YES_NO), CHOICES(no_yes), .initial = true, CONFIG(record), POLICY(record),
	  .change = CHANGE_VALUES, .example = "yes",
	  .manual = "Whether to remember who used which flow and when, and who was denied:\n"
		    "addresses of people, kept for up to 90 days; see\n"
		    ".Sx THE RECORD\n"
		    "in\n"
		    ".Xr spefwd 8 .\n"
		    ".Cm no :\n"
		    "nothing is kept, and what was kept is removed at once.\n" },
	{ CONFIG_GATEWAY, "proof", VALUE(CHOICE), CHOICES(proofs), .initial = PROOF_ENFORCE, CONFIG(proof),
	  POLICY(proof), .change = CHANGE_VALUES, .example = "enforce",
	  .manual = "What becomes of a change of the table of which it is proven that it would not be\n"
		    "the policy for every packet; see\n"
		    ".Sx THE PROOF\n"
		    "in\n"
		    ".Xr spefwd 8 .\n"
		    ".Cm enforce :\n"
		    "it is refused, and the table stays as it is.\n"
		    ".Cm report :\n"
		    "it is made, and\n"
		    ".Ic spefwctl status\n"
		    "is degraded.\n"
		    "Either shows a fault of\n"
		    ".Nm spefwd\n"
		    "itself, never one of the configuration.\n" },
	{ CONFIG_GATEWAY, "log_group", VALUE(NUMBER), RANGE(0, UINT16_MAX), .initial = 5, CONFIG(log_group),
	  POLICY(log_group), .change = CHANGE_VALUES, .example = "5",
	  .manual = "The netfilter log group for denied and intercepted packets; see\n"
		    ".Xr spefwd 8 .\n" },
	{ CONFIG_GATEWAY, "nat_except", LIST(MEMBERS), .accept = ACCEPT_HOSTS | ACCEPT_RANGES | ACCEPT_FILES,
	  CONFIG(nat_except), POLICY(nat_except), .change = CHANGE_VALUES, .standard = "none",
	  .manual = "Targets that this gateway translates for the server on purpose, as in 1:1 NAT:\n"
		    "connections to them are neither exempt from translation nor taken for\n"
		    "intercepted.\n" },

	{ CONFIG_GATEWAY, "reject", LIST(ROLES), CONFIG(reject), POLICY(reject), .change = CHANGE_VALUES,
	  .standard = "none", .example = "ADM",
	  .manual = "Roles whose denied connections are answered at once, instead of being left to\n"
		    "time out:\n"
		    "TCP by a reset, everything else by an ICMP or ICMPv6 error\n"
		    ".Pq administratively prohibited .\n"
		    "A connection is a role's where its source is a member of it, addresses of its\n"
		    "names included; what a protected role opens is answered where that role itself\n"
		    "is listed.\n"
		    "To all of them together 20 resets and 20 errors a second are sent, 40 in a\n"
		    "burst, and the kernel has limits of its own for ICMP errors\n"
		    ".Pq net.ipv4.icmp_ratelimit , net.ipv6.icmp.ratelimit ;\n"
		    "what is more is dropped without an answer, as is what others are denied.\n"
		    "Without an answer stays whatever a protected role is denied on a port of a flow\n"
		    "that goes to names, where the next attempt may find the address learned,\n"
		    "and packets that open no connection.\n"
		    ".Cm early_drop\n"
		    "leaves out these roles.\n"
		    "A role that is\n"
		    ".Cm any\n"
		    "can't be listed.\n"
		    "In audit mode nothing is denied, nor answered.\n" },
	{ CONFIG_GATEWAY, "notify", VALUE(PATH), .most = CONFIG_PATH_MAX, CONFIG(notify), POLICY(notify),
	  .line_offset = offsetof(struct config, notify_line), .change = CHANGE_VALUES, .standard = "none",
	  .example = "/usr/local/sbin/spefw-notify-mail",
	  .manual = "A program that is run at each change of health, by its path.\n"
		    "A change is one of the word, or of the codes of its reasons, that has lasted 15\n"
		    "seconds; where health is failed, a second.\n"
		    ".Pa spefw-notify.service\n"
		    "runs it, as the user\n"
		    ".Sq spefw-notify ,\n"
		    "without arguments, and with these variables:\n"
		    ".Ev SPEFW_OLD\n"
		    "and\n"
		    ".Ev SPEFW_NEW\n"
		    "are health as it was reported last and as it is now\n"
		    ".Po Cm ok , degraded , failed ,\n"
		    "and\n"
		    ".Cm unknown\n"
		    "where it was never told\n"
		    ".Pc ,\n"
		    ".Ev SPEFW_CODES\n"
		    "the codes of the reasons, which\n"
		    ".Xr spefwd 8\n"
		    "lists, separated by blanks, and\n"
		    ".Ev SPEFW_TEXT\n"
		    "a line for each, the code and the words of the first such reason.\n"
		    "Where it ends with another status than 0 it is run again after the next change.\n"
		    "It is taken from the file on disk, which has to be root's, and which nobody else\n"
		    "may write.\n"
		    "That\n"
		    ".Nm spefwd\n"
		    "does not run, stopped or dead, is a change as well: health is\n"
		    ".Cm failed\n"
		    "with the code\n"
		    ".Cm stopped ,\n"
		    "once nobody has listened for 15 seconds; so a restart is not told.\n"
		    ".Pa /usr/share/doc/spefw/examples/notify-mail\n"
		    "is an example, which mails.\n" },

	{ CONFIG_DNS, "servers", LIST_REQUIRED(DNS_SERVERS), .initial = true, CONFIG(dns_servers), POLICY(dns_servers),
	  .change = CHANGE_VALUES, .example = "system",
	  .manual = "The servers to query.\n"
		    ".Cm system :\n"
		    "the servers of\n"
		    ".Pa /etc/resolv.conf ,\n"
		    "which is followed when it changes.\n"
		    "The port is 53 unless written.\n" },
	{ CONFIG_DNS, "min_interval", VALUE(DURATION), RANGE(SECONDS(1), DAYS(1)), .initial = SECONDS(30),
	  CONFIG(min_interval_ms), POLICY(min_interval_ms), .change = CHANGE_VALUES, .example = "30s",
	  .manual = "A name is queried again when the TTL of the answer ends, but no sooner than\n"
		    "this, less up to a tenth.\n"
		    "Where the server is denied on a port of a flow that names are the target of,\n"
		    "those are queried at once, in the family of the address that it was denied:\n"
		    "none sooner than this after its last query, and all of them 120 times a minute\n"
		    "at most.\n" },
	{ CONFIG_DNS, "max_interval", VALUE(DURATION), RANGE(SECONDS(1), DAYS(7)), .initial = SECONDS(15 * 60),
	  CONFIG(max_interval_ms), POLICY(max_interval_ms), .change = CHANGE_VALUES, .example = "15m",
	  .manual = "A name is queried again no later than this; no less than\n"
		    ".Cm min_interval .\n"
		    "After a failure the next query comes within 2 seconds,\n"
		    "then at intervals that double up to this,\n"
		    "or up to a minute while there is no address at all.\n" },
	{ CONFIG_DNS, "grace", VALUE(DURATION), RANGE(0, DAYS(365)), .initial = SECONDS(3600), CONFIG(grace_ms),
	  POLICY(grace_ms), .change = CHANGE_VALUES, .example = "1h",
	  .manual = "How long an address stays that is no longer in the answer.\n"
		    "So rotating and partial answers add up.\n" },
	{ CONFIG_DNS, "stale", VALUE(DURATION), RANGE(SECONDS(1), DAYS(365)), .initial = DAYS(7), CONFIG(stale_ms),
	  POLICY(stale_ms), .change = CHANGE_VALUES, .example = "7d",
	  .manual = "How long the last answer serves while queries fail.\n" },
	{ CONFIG_DNS, "observe", VALUE(YES_NO), CHOICES(no_yes), .initial = true, CONFIG(observe), POLICY(observe),
	  .change = CHANGE_VALUES, .example = "yes",
	  .manual = "To learn addresses from the answers that the server itself receives from its\n"
		    ".Cm resolvers\n"
		    "over UDP, through this gateway or from it, also where the gateway redirects its\n"
		    "queries.\n"
		    "An answer counts where a query of the server's for just that was seen, to that\n"
		    "resolver, from that port and with that number, within the last 10 seconds;\n"
		    "each query once.\n"
		    "It has to come in by an interface with a route to a resolver (where the query\n"
		    "was redirected, by any) and not by the server's own.\n"
		    "With\n"
		    ".Cm interface No = Cm any\n"
		    "queries of others with the server's address count as its own.\n"
		    ".Pp\n"
		    "They are learned for names that are the target of a flow, for the names that a\n"
		    "CNAME of theirs leads to, and for patterns.\n"
		    "A name that is the source of a flow, or a member of a role that is one, gives\n"
		    "rights: for it answers to\n"
		    ".Xr spefwd 8\n"
		    "count alone.\n"
		    ".Pp\n"
		    "What was learned from the server's answers alone lives for their TTL, from 2\n"
		    "minutes to 1 day, and as long as a connection uses it; it takes the place of no\n"
		    "address that\n"
		    ".Xr spefwd 8\n"
		    "was answered.\n"
		    "Of each protected role 1000 queries and 1000 answers a second are read,\n"
		    "answers of up to 8192 bytes; what is more is counted, and makes health degraded\n"
		    "for ten minutes.\n" },

	{ CONFIG_NAME, "family", VALUE(CHOICE), CHOICES(families), .initial = NAME_BOTH, NAME(family),
	  .example = "ipv4",
	  .manual = "Which addresses of the name are of use.\n"
		    ".Cm ipv4 :\n"
		    "no IPv6 address is queried or learned, none may pass, and that there is none is\n"
		    "no fault.\n"
		    ".Cm ipv6 :\n"
		    "the other way round.\n"
		    "It is meant for a peer whose other family fails or is not used, as on a line\n"
		    "without IPv6.\n" },

	{ CONFIG_ROLE, "members", LIST(MEMBERS), .accept = EVERY_MEMBER, ROLE(members), .standard = "none",
	  .manual = "Those who have the role.\n"
		    "A role can't be a member of itself, not by way of others either.\n" },
	{ CONFIG_ROLE, "protected", VALUE(YES_NO), CHOICES(no_yes), ROLE(is_protected), .example = "yes",
	  .manual = "Whether to guard its addresses.\n"
		    "A protected role has one at least,\n"
		    "no names,\n"
		    "is not\n"
		    ".Cm any ,\n"
		    "and shares no address with another protected role.\n" },
	{ CONFIG_ROLE, "allow_private", VALUE(YES_NO), CHOICES(no_yes), ROLE(allow_private), .example = "yes",
	  .manual = "Whether its names may have private addresses.\n" },
	{ CONFIG_ROLE, "ephemeral_ports", LIST_REQUIRED(PORTS), ROLE(ephemeral), .standard = "as in\n.Cm [server]",
	  .example = EPHEMERAL,
	  .manual = "Of a protected role: the ports that its machines open their own TCP connections\n"
		    "from.\n" },

	{ CONFIG_FLOW, "enabled", VALUE(YES_NO), CHOICES(no_yes), .initial = true, FLOW(enabled), LINE(enabled_line),
	  POLICY_FLOW(enabled), .json = "enabled", .example = "no", .manual = "Whether it allows anything.\n" },
	{ CONFIG_FLOW, "from", LIST_REQUIRED(MEMBERS), .accept = EVERY_MEMBER, FLOW(from), .standard = "as built in",
	  .example = "ANY", .manual = "The source.\n" },
	{ CONFIG_FLOW, "to", LIST_REQUIRED(MEMBERS), .accept = EVERY_MEMBER | ACCEPT_STAR, FLOW(to),
	  .standard = "as built in", .example = "SERVER",
	  .manual = "The target.\n"
		    "It may also hold patterns as\n"
		    ".Sq *.example.com :\n"
		    "every name below example.com, learned by\n"
		    ".Cm observe\n"
		    "alone.\n" },
	{ CONFIG_FLOW, "protocol", VALUE(CHOICE), CHOICES(protocols), FLOW(protocol), LINE(protocol_line),
	  .standard = "as built in", .example = "tcp",
	  .manual = ".Cm icmp-echo\n"
		    "are echo requests of both families; it has no ports.\n" },
	{ CONFIG_FLOW, "port", LIST_REQUIRED(PORTS), FLOW(ports), .standard = "as built in", .example = "443",
	  .manual = "Target ports and ranges of them.\n" },
	{ CONFIG_FLOW, "expect", VALUE(DURATION), RANGE(SECONDS(1), DAYS(365)), FLOW_SETTING(expect_ms),
	  .change = CHANGE_VALUES, .standard = "none", .example = "24h",
	  .manual = "No answered connection of this flow for that long is a fault:\n"
		    "health is degraded, and names the flow, until one is answered.\n"
		    "So an archive that can no longer report its usage is found before the vendor\n"
		    "calls.\n"
		    "A TCP connection is answered when its handshake is completed: an unanswered SYN\n"
		    "is none, nor is one that was refused, or accepted and given up at once.\n"
		    "UDP and echo requests are answered by any packet of the other side.\n"
		    "Connections that stay count as long as packets pass in them.\n"
		    "Counting begins when the key comes into force, and goes on after a restart and a\n"
		    "reboot; only time in which\n"
		    ".Xr spefwd 8\n"
		    "ran counts, and setting the clock changes nothing.\n"
		    "A connection is of the flow that its counter is of, the most specific one, also\n"
		    "in audit mode.\n"
		    ".Xr spefwctl 8\n"
		    ".Cm flows\n"
		    "shows when the last one was answered.\n" },
	{ CONFIG_FLOW, "allow_private", VALUE(YES_NO), CHOICES(no_yes), FLOW(allow_private), .example = "yes",
	  .manual = "Whether the names of this flow may have private addresses.\n"
		    "It holds for a name in all flows and roles that use it, unless this flow is off.\n" },
	{ CONFIG_FLOW, "comment", VALUE(TEXT), .most = CONFIG_COMMENT_MAX, FLOW_SETTING(comment),
	  .change = CHANGE_VALUES, .standard = "none", .json = "comment", .example = "requested by the helpdesk",
	  .manual = "What the flow is for, in one line of printable UTF-8.\n"
		    ".Xr spefwctl 8\n"
		    ".Cm flows\n"
		    "shows it; it has no other effect.\n"
		    "As everywhere a blank and\n"
		    ".Sq \\&;\n"
		    "end it, but\n"
		    ".Sq #\n"
		    "is part of it.\n" },
};
const size_t config_key_count = COUNT_OF(config_keys);

const char *protocol_name(enum protocol protocol)
{
	return protocols[protocol];
}

const char *mode_name(enum mode mode)
{
	return modes[mode];
}

const char *interception_name(enum interception interception)
{
	return interceptions[interception];
}

bool config_section_has_name(enum config_section section)
{
	return section == CONFIG_NAME || section == CONFIG_ROLE || section == CONFIG_FLOW;
}

const struct config_key *config_key_next(enum config_section section, const struct config_key *key)
{
	for (key = key ? key + 1 : config_keys; key < config_keys + config_key_count; key++)
		if (key->section == section)
			return key;
	return NULL;
}

const struct config_key *config_key_find(enum config_section section, const char *name)
{
	const struct config_key *key = config_key_next(section, NULL);

	while (key && strcmp(key->name, name) != 0)
		key = config_key_next(section, key);
	return key;
}

bool config_is_key(const char *word)
{
	for (unsigned section = 0; section < CONFIG_SECTIONS; section++)
		if (config_key_find((enum config_section)section, word))
			return true;
	return false;
}
