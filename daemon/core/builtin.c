/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

enum { TCP = 1 << PROTOCOL_TCP, UDP = 1 << PROTOCOL_UDP, ECHO = 1 << PROTOCOL_ICMP_ECHO };

/* The vendor's table of flows for single server mode, in the vendor's order, and then what it takes for granted:
 * the server has to resolve names, keep time, and answer an administrator's ping. */
const struct builtin_flow builtin_flows[] = {
	{ "crl", TCP, 80, "ANY", "CA", SECTION_OUTBOUND, "certificate revocation status over HTTP (CRL, OCSP)" },
	{ "pop3-out", TCP, 110, "SERVER", "ANY", SECTION_OUTBOUND,
	  "archiving from mail servers over POP3 (plain or STARTTLS)" },
	{ "imap-out", TCP, 143, "SERVER", "ANY", SECTION_OUTBOUND,
	  "archiving from mail servers over IMAP (plain or STARTTLS)" },
	{ "imap-in", TCP, 143, "ANY", "SERVER", SECTION_INBOUND, "IMAP access to archives (STARTTLS)" },
	{ "ldap-out", TCP, 389, "SERVER", "ANY", SECTION_OUTBOUND, "directory services over LDAP (plain or STARTTLS)" },
	{ "ews-out", TCP, 443, "SERVER", "ANY", SECTION_OUTBOUND, "archiving from Microsoft Exchange over EWS" },
	{ "icewarp-out", TCP, 443, "SERVER", "ANY", SECTION_OUTBOUND,
	  "IceWarp user synchronisation and authentication API" },
	{ "license-out", TCP, 443, "SERVER", "my.mailstore.com", SECTION_OUTBOUND,
	  "usage reporting and license update; by name, its addresses change" },
	{ "https-in", TCP, 443, "ANY", "SERVER", SECTION_INBOUND, "Archive Client, Outlook Add-in, Web Access" },
	{ "smtp-out", TCP, 587, "SERVER", "ANY", SECTION_OUTBOUND, "status reports and notifications by e-mail" },
	{ "ldaps-out", TCP, 636, "SERVER", "ANY", SECTION_OUTBOUND, "directory services over LDAPS" },
	{ "imaps-out", TCP, 993, "SERVER", "ANY", SECTION_OUTBOUND, "archiving from mail servers over IMAPS" },
	{ "imaps-in", TCP, 993, "ANY", "SERVER", SECTION_INBOUND, "IMAP access to archives (TLS)" },
	{ "pop3s-out", TCP, 995, "SERVER", "ANY", SECTION_OUTBOUND, "archiving from mail servers over POP3S" },
	{ "kerio-out", TCP, 4040, "SERVER", "ANY", SECTION_OUTBOUND, "Kerio Connect user synchronisation API" },
	{ "console-in", TCP, 8470, "ADM", "SERVER", SECTION_INBOUND, "web-based Management Console" },
	{ "api-in", TCP, 8474, "ADM", "SERVER", SECTION_INBOUND, "Management API" },
	{ "dns-out", UDP | TCP, 53, "SERVER", "resolvers", SECTION_INFRASTRUCTURE,
	  "name resolution, over UDP and TCP" },
	{ "ntp-out", UDP, 123, "SERVER", "time_servers", SECTION_INFRASTRUCTURE, "time" },
	{ "ping", ECHO, 0, "ADM", "SERVER", SECTION_INFRASTRUCTURE, "ICMP echo from administrators" },
};
const size_t builtin_flow_count = sizeof(builtin_flows) / sizeof(builtin_flows[0]);

const char *section_name(enum section section)
{
	static const char *const names[] = { "outbound", "inbound", "infrastructure", "custom" };
	return names[section];
}
