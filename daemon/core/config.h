/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_H
#define SPEFW_CONFIG_H

/* What was written, by line. Nothing is resolved or merged with the built-in flows here: policy does that.
 * One table (config_keys.c) has all keys, and what is to be known of each. */

#include "addr.h"
#include "diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFIG_ID_MAX = 40,        /* characters of a role or flow name */
	CONFIG_LINE_MAX = 199,     /* bytes of a line: what inih takes without splitting it */
	CONFIG_NAME_MAX = 253,     /* characters of a host name without its trailing dot, RFC 1035 */
	CONFIG_INTERFACE_MAX = 15, /* characters of an interface's name, IFNAMSIZ - 1 */
	CONFIG_COMMENT_MAX = 160,  /* bytes, so that a line has room for it */
	CONFIG_PATH_MAX = 255,
	PORT_MAX = 65535,
	DNS_PORT = 53,
};

/* From which ports Windows opens its own connections, unless it was configured otherwise. */
#define EPHEMERAL_FIRST 49152
#define EPHEMERAL_LAST 65535

/* Roles that are there without a section; SERVER is the first. */
enum { BUILTIN_ROLES = 3 };
extern const char *const builtin_roles[BUILTIN_ROLES];

enum config_section {
	CONFIG_SERVER,
	CONFIG_GATEWAY,
	CONFIG_DNS,
	CONFIG_NAME,
	CONFIG_ROLE,
	CONFIG_FLOW,
	CONFIG_SECTIONS
};

/* What a key takes, and the type of its field. */
enum value_type {
	VALUE_MEMBERS,     /* struct members */
	VALUE_ROLES,       /* struct members; names in the policy */
	VALUE_PORTS,       /* struct ports */
	VALUE_INTERFACES,  /* struct config_interfaces */
	VALUE_DNS_SERVERS, /* struct dns_servers */
	VALUE_CHOICE,      /* an enum */
	VALUE_YES_NO,      /* bool */
	VALUE_NUMBER,      /* uint16_t */
	VALUE_DURATION,    /* int64_t, ms */
	VALUE_TEXT,        /* char[most + 1]; "" = not given */
	VALUE_PATH,        /* likewise: of a file, from / on */
	VALUE_TYPES
};

enum member_kind { MEMBER_RANGE, MEMBER_NAME, MEMBER_ROLE, MEMBER_ANY };

struct member {
	enum member_kind kind;
	struct range range; /* MEMBER_RANGE */
	const char *text; /* MEMBER_NAME: lower case, no trailing dot, may begin with "*."; MEMBER_ROLE: the role. Owned
			     by the config. */
	const char *file; /* where it was written; owned by the config */
	unsigned line;
};

struct members {
	struct member *items;
	size_t count, capacity;
	unsigned line; /* of the key; 0 = not given */
};

struct port_range {
	uint16_t first, last;
};

struct ports {
	struct port_range *items;
	size_t count;
	unsigned line; /* 0 = not given */
};

enum protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP_ECHO, PROTOCOLS };
enum preset { PRESET_SINGLE_SERVER, PRESET_NONE };
enum mode { MODE_ENFORCE, MODE_AUDIT };
enum interception { INTERCEPTION_PREVENT, INTERCEPTION_BLOCK, INTERCEPTION_REPORT, INTERCEPTION_OFF };
enum proof_mode { PROOF_ENFORCE, PROOF_REPORT };
enum name_family { NAME_BOTH, NAME_IPV4, NAME_IPV6 };
enum interfaces { INTERFACES_AUTO, INTERFACES_NAMED, INTERFACES_ANY };

/* What is special about one DNS name. */
struct config_name {
	char name[CONFIG_NAME_MAX + 1]; /* as the members have it */
	unsigned line;                  /* of its section */
	enum name_family family;
};

struct config_role {
	char name[CONFIG_ID_MAX + 1];
	unsigned line; /* of its section */
	struct members members;
	bool is_protected;
	bool allow_private;
	struct ports ephemeral; /* not given: those of [server] */
};

/* What a flow of the policy has just as it is written. */
struct flow_settings {
	int64_t expect_ms; /* 0 = not given */
	char comment[CONFIG_COMMENT_MAX + 1];
};

struct config_flow {
	char id[CONFIG_ID_MAX + 1];
	unsigned line; /* of its section */
	struct members from, to;
	struct ports ports;
	enum protocol protocol;
	unsigned protocol_line; /* 0 = not given */
	bool enabled;
	unsigned enabled_line; /* 0 = not given (then enabled is true) */
	bool allow_private;
	struct flow_settings settings;
};

struct config_interfaces {
	enum interfaces kind;
	char (*names)[CONFIG_INTERFACE_MAX + 1]; /* INTERFACES_NAMED */
	size_t count;
};

struct dns_server {
	struct addr addr;
	uint16_t port; /* host order, DNS_PORT unless written */
};

struct dns_servers {
	bool system; /* those of resolv.conf, and no others */
	struct dns_server *items;
	size_t count;
};

struct config {
	char *path; /* owned */

	struct members server; /* [server] address: ranges alone */
	struct config_interfaces interfaces;
	struct members resolvers;    /* ranges alone, each one host */
	struct members time_servers; /* ranges or names */
	struct ports ephemeral;      /* from which protected machines open connections; not given: EPHEMERAL_ */

	enum preset preset;
	enum mode mode;
	enum interception interception;
	bool early_drop;
	bool record;
	enum proof_mode proof;
	uint16_t log_group;
	struct members nat_except; /* ranges alone */
	struct members reject;     /* roles alone; whether there are such is for the policy to see */
	char notify[CONFIG_PATH_MAX + 1];
	unsigned notify_line;

	struct dns_servers dns_servers;
	int64_t min_interval_ms, max_interval_ms, grace_ms, stale_ms;
	bool observe;

	struct config_name *names;
	size_t name_count;
	struct config_role *roles;
	size_t role_count;
	struct config_flow *flows; /* in the order of their lines */
	size_t flow_count;
	uint32_t *flow_ids; /* which of them, by id; owned */
	size_t flow_id_count;

	char **strings; /* owns every text and file of the members */
	size_t string_count, string_capacity;

	/* Where each was written, so that nothing is given twice; keys of names, roles and flows: in the last one.
	 * 0 = not given. */
	unsigned section_lines[CONFIG_SECTIONS]; /* of those without a name */
	unsigned *key_lines;                     /* by the number of the key; owned */
};

/* How config gets at a file that the configuration names (file:PATH).
 * On success *ret_bytes (free by the caller) has *ret_length bytes; otherwise a negative errno. */
typedef int (*config_read_file)(void *userdata, const char *path, char **ret_bytes, size_t *ret_length);

/* A configuration with every default set and nothing written. */
int config_init(struct config *config, const char *path);

/* One section header or key, in the order of the file. Complaints go to diags; -ENOMEM alone is returned.
 * section is what stands between the brackets; a key before any section has section "". A value that goes on in
 * further lines is given as a whole, with one '\n' for each step to the next line, so that complaints name the right
 * one. */
int config_section(struct config *config, const char *section, unsigned line, struct diags *diags);
int config_key(struct config *config, const char *section, const char *key, const char *value, unsigned line,
	       config_read_file read_file, void *userdata, struct diags *diags);
/* After the last line: what is required and missing. */
void config_finish(const struct config *config, struct diags *diags);
void config_free(struct config *config);

const char *protocol_name(enum protocol protocol);
const char *mode_name(enum mode mode);
const char *interception_name(enum interception interception);

/* The text of a duration: whole units, the largest that fits ("90s" is "90s", "3600000 ms" is "1h"). */
char *duration_format(int64_t ms, char buffer[24]);
/* A number and s, m, h or d, as it stands in a file. False: text is none. */
bool duration_parse(const char *text, int64_t *ret_ms);

#endif
