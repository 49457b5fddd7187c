/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HEALTH_H
#define SPEFW_HEALTH_H

/* Why the gateway is not healthy. Each object adds the reasons that are its own; this table alone knows how bad each
 * one is. Programs go by the code, people read the text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* code, name in JSON, whether it means "failed" (else "degraded"), what it means (for spefwd(8)), and the one command
 * or setting that mends it, "" where there is none: what is literal stands between backquotes, what health_fill() has
 * to fill in between angles, once at most. */
#define HEALTH_REASONS(REASON)                                                                                        \
	REASON(STOPPED, "stopped", true,                                                                              \
	       "spefwd does not run; the table stays as it was, but nothing is followed. Only the program of notify " \
	       "gets to see this code.",                                                                              \
	       "`systemctl start spefwd`")                                                                            \
	REASON(TABLE_REMOVED, "table-removed", true,                                                                  \
	       "The table was removed on request; nothing is guarded until the next reload.", "`spefwctl reload`")    \
	REASON(TABLE_OUTDATED, "table-outdated", true,                                                                \
	       "The table could not be brought up to date, and what it holds is not known, or is of a configuration " \
	       "before.",                                                                                             \
	       "")                                                                                                    \
	REASON(CHANGE_FAILED, "change-failed", false,                                                                 \
	       "The last change could not be made; the table holds what it held before. It is tried again.", "")      \
	REASON(PROOF_DIFFERS, "proof-differs", true,                                                                  \
	       "It is proven that the table is not the policy, by a packet that `spefwctl verify` shows.",            \
	       "`spefwctl verify`")                                                                                   \
	REASON(PROOF_REPORTED, "proof-reported", false, "The same, where `proof = report` lets it be so.",            \
	       "`spefwctl verify`")                                                                                   \
	REASON(PROOF_REFUSED, "proof-refused", false,                                                                 \
	       "A change was refused, since it is proven that the table would not have been the policy; the table "   \
	       "holds what it held before.",                                                                          \
	       "`proof = report` in `[gateway]`")                                                                     \
	REASON(NOT_PROVEN, "not-proven", false, "Whether the table is the policy could not be proven.", "")           \
	REASON(COUNTERS_UNREADABLE, "counters-unreadable", true, "The kernel's counters can't be read.", "")          \
	REASON(CONFIG_CHANGED, "config-changed", false, "A configuration file was changed and is not loaded.",        \
	       "`spefwctl reload`")                                                                                   \
	REASON(CONFIG_MISSING, "config-missing", false,                                                               \
	       "A configuration file is missing; the policy that was read from it, or a kept copy of it, is in "      \
	       "force.",                                                                                              \
	       "put <FILE> back, then `spefwctl reload`")                                                             \
	REASON(CONFIG_KEPT, "config-kept", false,                                                                     \
	       "A kept copy of the configuration is in force since the start, not as on disk, which may be good by "  \
	       "now.",                                                                                                \
	       "`spefwctl reload`")                                                                                   \
	REASON(CONFIG_REFUSED, "config-refused", false,                                                               \
	       "The configuration file was refused; the old policy is in force.", "`spefwctl check`")                 \
	REASON(CONFIG_TAKEN_BACK, "config-taken-back", false,                                                         \
	       "The configuration file was undone, since nobody confirmed its reload, or rolled back from; an "       \
	       "earlier one is in force.",                                                                            \
	       "correct <FILE>, then `spefwctl reload`")                                                              \
	REASON(UNDO_FAILED, "undo-failed", false,                                                                     \
	       "A reload that nobody confirmed could not be undone; it is tried again.", "`journalctl -u spefwd`")    \
	REASON(CONFIRM_UNKNOWN, "confirm-unknown", false,                                                             \
	       "Whether a reload waited for confirm at the start can't be read; if one did, it stays in force.",      \
	       "`spefwctl history`, then `spefwctl reload` or `spefwctl rollback`")                                   \
	REASON(CONFIG_UNSAVED, "config-unsaved", false,                                                               \
	       "The configuration and the history can't be kept, for a start with a bad file or a rollback.",         \
	       "let spefwd write in <DIR>, or free disk space there")                                                 \
	REASON(OWN_ADDRESS, "own-address", false,                                                                     \
	       "A protected address is the gateway's own, and therefore not guarded.",                                \
	       "take <ADDRESS> from this gateway, or out of the configuration")                                       \
	REASON(INTERFACE_MISSING, "interface-missing", false,                                                         \
	       "The key interface names an interface that this gateway does not have.",                               \
	       "`interface = auto` in `[server]`")                                                                    \
	REASON(INTERFACES_UNREAD, "interfaces-unread", false,                                                         \
	       "A change of this gateway's interfaces or addresses could not be followed yet.", "")                   \
	REASON(BRIDGE, "bridge", false, "A bridge carries the server's packets past the guard.", "<COMMAND>")         \
	REASON(BRIDGES_UNREADABLE, "bridges-unreadable", false, "The bridges of this gateway can't be read.", "")     \
	REASON(RESOLVER, "resolver", false,                                                                           \
	       "spefw-resolver, which queries DNS and reads copied packets, has ended or hangs.",                     \
	       "`journalctl -u spefwd`")                                                                              \
	REASON(NFLOG_TAKEN, "nflog-taken", false, "Another program listens to the NFLOG group.",                      \
	       "another `log_group` in `[gateway]`")                                                                  \
	REASON(NFLOG_FAILED, "nflog-failed", false, "The NFLOG group can't be listened to.",                          \
	       "`modprobe nfnetlink_log`")                                                                            \
	REASON(INTERCEPTED, "intercepted", false, "Connections of the server were intercepted a short time ago.",     \
	       "`spefwctl doctor`")                                                                                   \
	REASON(UNOBSERVED, "unobserved", false, "More DNS packets of the server came lately than are read.", "")      \
	REASON(BLOCKED, "blocked", false,                                                                             \
	       "Another table stops a flow, or all that an administrators' network has of it.", "<COMMAND>")          \
	REASON(FOREIGN_RULE, "foreign-rule", false, "A rule of another table could intercept a flow.", "<COMMAND>")   \
	REASON(FOREIGN_INCOMPLETE, "foreign-incomplete", false,                                                       \
	       "Other tables have too many rules, or rules of an unknown kind.", "`spefwctl doctor`")                 \
	REASON(FOREIGN_UNREAD, "foreign-unread", false, "The rules of other tables were not read yet.", "")           \
	REASON(FOREIGN_UNREADABLE, "foreign-unreadable", false, "The rules of other tables can't be read.", "")       \
	REASON(FLOW_SILENT, "flow-silent", false,                                                                     \
	       "A flow with expect had no answered connection for longer than that.", "`spefwctl doctor`")            \
	REASON(CONNECTIONS_UNREADABLE, "connections-unreadable", false,                                               \
	       "Tracked connections can't be read: whether expected flows are used is not known.",                    \
	       "`modprobe nf_conntrack_netlink`")                                                                     \
	REASON(CUT_INCOMPLETE, "cut-incomplete", false,                                                               \
	       "Connections that the policy denies could not all be cut; it is tried again.", "")                     \
	REASON(CUT_UNREAD, "cut-unread", false, "Which connections were cut could not be read from the kernel.", "")  \
	REASON(CUT_FULL, "cut-full", false,                                                                           \
	       "Not all connections that were cut are remembered; meanwhile no mid-stream packet passes by an "       \
	       "outbound flow.",                                                                                      \
	       "")                                                                                                    \
	REASON(NAMES_NOT_FOLLOWED, "names-not-followed", false,                                                       \
	       "The names of the policy in force, or their DNS servers, are not followed yet.", "")                   \
	REASON(DNS_SERVER, "dns-server", false,                                                                       \
	       "A DNS server does not answer, nor does another one, so that names fail; or there is none.",           \
	       "an address that answers, as `servers` in `[dns]`")                                                    \
	REASON(NAME_REFUSED, "name-refused", false, "DNS has addresses for a name, but none that it may have.",       \
	       "`allow_private = yes` in <SECTION>")                                                                  \
	REASON(NAME_FAILING, "name-failing", false, "A name has no address, and DNS fails.", "`spefwctl doctor`")     \
	REASON(NAME_STALE, "name-stale", false, "DNS fails for a name; its last answer serves.", "`spefwctl doctor`") \
	REASON(NAME_EMPTY, "name-empty", false, "DNS says that a name has no address.",                               \
	       "correct <NAME> in the configuration")                                                                 \
	REASON(NAME_UNRESOLVED, "name-unresolved", false, "A name was not resolved yet.", "")                         \
	REASON(GRANTS_UNSAVED, "grants-unsaved", false,                                                               \
	       "Grants can't be saved: after a restart of `spefwd` they are as they were when they last could, or "   \
	       "have all ended, where one was revoked or shortened meanwhile. It is tried again.",                    \
	       "let spefwd write in <DIR>, or free disk space there")                                                 \
	REASON(STATE_UNSAVED, "state-unsaved", false, "Addresses or counters can't be saved.",                        \
	       "let spefwd write in <DIR>, or free disk space there")

enum health_code {
#define HEALTH_CODE(code, name, failed, meaning, remedy) HEALTH_##code,
	HEALTH_REASONS(HEALTH_CODE)
#undef HEALTH_CODE
		HEALTH_CODES
};

struct health_kind {
	const char *name;    /* in JSON: "table-removed" */
	bool failed;         /* the server is not known to be guarded */
	const char *meaning; /* a sentence, for the manual */
	const char *remedy;  /* as in the table; "": none */
};

extern const struct health_kind health_kinds[HEALTH_CODES];

struct health_reason {
	enum health_code code;
	char *text;   /* owned; one line, fit to print */
	char *remedy; /* likewise: one command or setting that mends it; NULL: none */
};

struct health {
	struct {
		struct health_reason *items;
		size_t count, capacity;
	} reasons;
	bool out_of_memory; /* a reason could not be added */
};

/* One reason, its text by a printf format. Its remedy is the table's, where that has nothing to be filled in. */
void health_add(struct health *health, enum health_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Fills in what is between angles in the remedy of the reason that was added last; without it that has none. */
void health_fill(struct health *health, const char *value);
/* Drops the reasons of other codes. */
void health_keep(struct health *health, bool (*wanted)(enum health_code code));
bool health_has(const struct health *health, enum health_code code);
uint64_t health_mask(const struct health *health);    /* of its codes, 1 << code each */
const char *health_word(const struct health *health); /* "ok", "degraded", "failed" */
void health_free(struct health *health);

#endif
