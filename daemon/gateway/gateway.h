/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_H
#define SPEFW_GATEWAY_H

/* The one module that owns state that changes: which policy is in force, what the kernel holds, who is behind the
 * names. Everything else is asked by it, or tells it. */

#include "net/bridges.h"
#include "control/server.h"
#include "core/addrbook.h"
#include "core/aliases.h"
#include "core/compile.h"
#include "core/config.h"
#include "core/cut_list.h"
#include "core/diag.h"
#include "core/expect.h"
#include "core/held.h"
#include "core/observed_queries.h"
#include "core/foreign.h"
#include "core/policy.h"
#include "core/query_pace.h"
#include "core/ruleset.h"
#include "core/totals.h"
#include "net/links.h"
#include "net/nflog.h"
#include "nft/monitor.h"
#include "nft/read.h"
#include "nft/socket.h"
#include "config/policy_file.h"
#include "net/resolver.h"

#include <systemd/sd-event.h>

enum { DENIAL_MINUTES = 60, FINDING_TEXT_MAX = 400 };

struct gateway_paths {
	const char *config, *socket, *state;
};

struct gateway {
	sd_event *event;
	struct gateway_paths paths;
	int state_lock; /* descriptor: the state directory is ours alone; negative: it can't be had */
	int64_t started_ms;
	bool started; /* the table is up, and the counters were looked at once */

	/* What is wanted. */
	struct policy_file file; /* the configuration in force, and the files it came from */
	bool in_force;           /* the kernel has held it, or an earlier one of this daemon's */
	bool keep_failed;        /* it could not be kept for a start with a bad file */
	char *unkept;            /* what is to be kept, once it is in force and the state directory takes it; or NULL */
	size_t unkept_length;
	bool file_refused; /* the last reload was refused: the file on disk is not the policy in force */
	struct addrbook *book;
	struct held held;       /* what every name has held, for connections that are there already */
	struct aliases aliases; /* what else the server may ask for when it means a name */
	struct resolver *resolver;
	struct nflog *nflog; /* NULL: its group is another program's, or the kernel refuses */
	uint16_t nflog_group;
	int nflog_error;                 /* why it is NULL: -EBUSY, or another negative errno */
	bool nflog_told;                 /* that it could not be had was logged */
	struct observed_queries queries; /* of protected machines, for names that are observed */
	uint64_t observed;               /* answers to the server that taught something */
	uint64_t unasked;                /* answers for such names that fitted no query which was seen: not learned */
	uint64_t copies_lost;            /* how often copies of packets were lost for want of room */
	int64_t lost_ms, lost_due_ms;    /* when names were last asked for because of that, and will be; 0: never */
	struct query_pace pace;          /* of queries because of denials */
	int64_t used_ms;     /* when connections were last looked at, for observed addresses that end; 0: never */
	int64_t ask_turn_ms; /* when the queries so far are worked off, at the pace that they may have */
	struct links *links;
	struct bridge_findings bridges;   /* that carry a protected address past the hooks */
	int64_t bridges_ms;               /* when they were last looked at; 0: never */
	bool bridges_unread;              /* they could not be */
	int64_t hurried_ms, hurry_due_ms; /* when all names were last made be asked for, and will be; 0: never */

	/* What the kernel holds. */
	struct nft_socket nft;
	struct nft_monitor *monitor;
	struct ruleset current;
	bool current_known;       /* false: the kernel is to be read before the next change */
	bool elements_remembered; /* what it held for names at the start is in the book */
	bool cleared;             /* the table was removed on request */
	char failure[200];        /* why the last change failed; "" where it did not */
	uint64_t generation;      /* changes of the policy or of the table that this daemon has made */
	uint64_t repaired;        /* transactions of other programs that changed our table */
	char last_repair[200];    /* what the last of them changed */
	const char *cut_owed;     /* why connections are to be cut once the kernel has the policy; NULL: none are */
	const char *cut_again; /* why they are cut once more when the retired sets go: what was under way is tracked by
				  then; or NULL */
	bool cut_failed;       /* they could not all be cut; tried again */
	struct cut_list cut;   /* connections that were cut, as the kernel's sets remember them */
	struct cut_list cut_pending; /* those that have no room there yet */
	bool cut_known;              /* what these sets held at the start is in `cut` */
	bool cut_full;               /* the kernel has the mark that they don't hold all */
	int64_t cut_marked_ms;       /* when it got that from this daemon; 0: never */
	bool cut_lost;               /* not even cut_pending does: the mark stays until it runs out */
	bool cut_review;             /* a name has other addresses: some of them may be allowed by now */
	bool links_owed;             /* a change of links or of this gateway's addresses is not followed yet */
	bool names_owed;             /* the names of the policy in force, or their servers, are not followed yet */
	uint64_t intercepted;        /* what the counter said last */
	int64_t intercepted_ms;      /* when it last grew; 0: never, or what made it grow is gone */
	uint64_t unobserved;         /* likewise, DNS packets beyond the limit of copies */
	int64_t unobserved_ms;
	struct findings findings;          /* rules of other tables that could intercept a flow */
	bool others_unread;                /* the other tables could not be read */
	bool others_looked;                /* they were, or it was tried, for this policy */
	struct others_look *others_look;   /* under way; NULL: none */
	int64_t others_ms, others_took_ms; /* when they last were, and how long it took */
	struct totals totals;              /* the table's counters, never falling */
	struct expect expect;              /* when flows were last used */
	int64_t expect_took_ms;            /* processor time of the last look at connections */
	bool expect_saved;                 /* the state directory has something of it */
	bool expect_blind;                 /* connections could not be looked at */

	struct control *control;
	struct refresh *refreshes;      /* callers that wait for answers; gateway_names.c */
	sd_event_source *repair_source; /* another program has changed the table */
	sd_event_source *names_timer, *retire_timer, *retry_timer, *minute_timer, *others_timer, *others_slice,
		*expect_timer;
	bool addresses_dirty;                        /* the book has news that the state directory lacks */
	int64_t saved_ms, save_due_ms;               /* 0: nothing is in a hurry */
	bool save_failed;                            /* the addresses could not be saved the last time */
	bool count_save_failed;                      /* likewise, the counters, and how long flows were silent */
	uint64_t denied_minutes[DENIAL_MINUTES + 1]; /* totals at the last minutes, a ring */
	size_t minute;                               /* the newest one */
	size_t minutes;                              /* how many are there */
};

int64_t now_ms(void);       /* CLOCK_BOOTTIME */
int64_t processor_ms(void); /* what this thread has cost so far (gateway_expect.c) */

/* Reads the configuration, adopts or builds the table, and begins to resolve. Errors have been logged. Returns 0, or
 * -EINVAL where the configuration is bad (exit 78), or another negative errno. */
int gateway_start(struct gateway *ret, sd_event *event, const struct gateway_paths *paths);
void gateway_free(struct gateway *gateway); /* the table stays */

struct reload_result {
	void (*line)(void *userdata, const char *text); /* is told each change, before it is made; may be NULL */
	void *userdata;
	size_t cut; /* connections that the new policy denies, and that were cut */
};

/* Reads the configuration again and applies it. 0 or a negative errno, with the errors in diags (-EINVAL) or in
 * gateway->failure; the old policy then stays in force. */
int gateway_reload(struct gateway *gateway, struct diags *diags, struct reload_result *ret);

/* Asks for the names of the policy in force, by its servers and limits. old NULL: whatever was in force before. */
void gateway_follow_names(struct gateway *gateway, const struct policy_file *old);

/* For the parts of the gateway. A timer of 0 usec is made, but not armed. */
int add_timer(struct gateway *gateway, sd_event_source **ret, sd_event_time_handler_t handler, uint64_t usec);
void arm_timer(sd_event_source *timer, uint64_t usec);

/* gateway_kernel.c */
int gateway_kernel_begin(struct gateway *gateway, int stored_fd); /* -1: no socket was kept for us */
/* Brings the kernel to what is wanted now. 0 or a negative errno (then a later try is due). */
int gateway_apply(struct gateway *gateway);
int gateway_apply_policy(struct gateway *gateway,
			 const struct policy *policy); /* nothing is noted, or tried again later */
/* The same for the addresses of names alone: it looks at nothing else, whatever the size of the policy. */
int gateway_apply_names(struct gateway *gateway);
int gateway_apply_name(struct gateway *gateway,
		       const char *name); /* of one name: with a thousand of them it must not take long either */
void gateway_note_failure(struct gateway *gateway, const char *what); /* "": it is made up for */
const char *gateway_reason(const struct gateway *gateway, int r);     /* the kernel's words, where it said any */
void gateway_keep_again(struct gateway *gateway); /* the configuration, where it is in force and not kept yet */
void gateway_retry_soon(struct gateway *gateway); /* what is owed: the kernel's state, cutting, following names */
/* Before the daemon ends: what other programs have changed up to now is repaired, and what came through meanwhile is
 * cut. */
void gateway_repair_last(struct gateway *gateway);
/* Removes the table; until the next reload the daemon doesn't guard. */
int gateway_clear(struct gateway *gateway, bool *ret_removed);

/* gateway_watch.c */
int gateway_watch_begin(struct gateway *gateway);
void gateway_watch_started(struct gateway *gateway);
void gateway_watch_end(struct gateway *gateway);
/* Deletes the connections that the policy denies; how many. before: the policy that was in force, which tells what a
 * connection is that was seen from the middle on; or NULL. */
size_t gateway_cut(struct gateway *gateway, const char *why, const struct policy *before);
int gateway_count(struct gateway *gateway);        /* the kernel's counters into the totals */
void gateway_save_counts(struct gateway *gateway); /* and how long flows were silent, to the state directory */
uint64_t gateway_total(const struct gateway *gateway, const char *counter); /* packets */
bool gateway_is_intercepted(const struct gateway *gateway);                 /* not long ago */
bool gateway_is_unobserved(const struct gateway *gateway); /* likewise, DNS packets were more than are looked at */
uint64_t gateway_denied(const struct gateway *gateway);    /* of all kinds */

/* gateway_cut.c */
/* What the kernel's sets hold into gateway->cut, where that was not done yet. */
void gateway_cut_read(struct gateway *gateway);
/* And the other way round: the table is another one, or other programs have changed it. */
void gateway_cut_restore(struct gateway *gateway);
/* Before the entries of these connections are deleted; finished. whole: there are no others for which there was no
 * memory. */
void gateway_cut_remember(struct gateway *gateway, const struct cut_list *fresh, bool whole);
const struct cut_entry *gateway_cut_find(const struct gateway *gateway,
					 const struct cut_entry *entry);          /* NULL: not cut */
void gateway_cut_forget(struct gateway *gateway, const struct names_view *names); /* what the policy in force allows */
void gateway_cut_minute(struct gateway *gateway);
void gateway_cut_end(struct gateway *gateway); /* the table is gone, or the gateway ends */

/* gateway_names.c */
int gateway_names_begin(struct gateway *gateway);
/* After the configuration changed: servers, intervals. old NULL: for the first time. */
int gateway_names_limits(struct gateway *gateway, const struct policy_file *old);
int gateway_names_want(struct gateway *gateway, const struct policy *policy,
		       const struct policy *also); /* also may be NULL */
int gateway_names_view(struct gateway *gateway, const struct policy *policy, struct names_view *ret);
/* Likewise, with every address that the names have held. */
int gateway_names_held_view(struct gateway *gateway, const struct policy *policy, struct names_view *ret);
/* All names are asked for at once; where events come in swarms (links that flap, lost notices), now and after the last
 * one. */
void gateway_names_hurry(struct gateway *gateway);
void gateway_names_drive(struct gateway *gateway); /* asks what is due, drops what has expired, arms the timer */
/* The news of the book onto the disk. soon: within a second, together with what else comes; else now and then. */
void gateway_names_save(struct gateway *gateway, bool soon);
/* names NULL or empty: all. The call is answered when each has an answer. -ENOENT: *ret_unknown is not a name of the
 * policy. */
int gateway_names_refresh(struct gateway *gateway, struct control_call *call, const char *const *names, size_t count,
			  const char **ret_unknown);
void gateway_names_end(struct gateway *gateway);

/* What a name has now, in all its consequences but the kernel's: held addresses, dirty state. */
void gateway_names_noted(struct gateway *gateway, const char *name, enum family family);

/* Logs the addresses of an answer that were refused, where they are others than in the one before (mark: its
 * refused_mark). */
void gateway_names_refused(struct gateway *gateway, const struct book_entry *entry, uint64_t mark,
			   const struct addr *addresses, size_t count);

/* gateway_observe.c */
/* Listens to the packets that our rules copy to us, by the group of the policy in force; tried again each minute. */
void gateway_observe_begin(struct gateway *gateway);

/* What was lost may have been an answer, or a denial: names are asked for, at the pace of denials. */
void gateway_observe_lost(struct gateway *gateway);

/* gateway_others.c */
int gateway_others_begin(struct gateway *gateway);
void gateway_others_end(struct gateway *gateway);
void gateway_others_read(struct gateway *gateway); /* now: at once where they are small, else between other events */
void gateway_others_cancel(
	struct gateway *gateway);            /* a look that is under way: due as soon as the policy has changed */
void gateway_others_changed(void *userdata); /* they are read soon */
char *finding_text(const struct finding *finding, char buffer[FINDING_TEXT_MAX]); /* returns buffer */

/* gateway_expect.c */
int gateway_expect_begin(struct gateway *gateway);
void gateway_expect_follow(struct gateway *gateway); /* another policy is in force */
int gateway_expect_save(struct gateway *gateway);
void gateway_expect_end(struct gateway *gateway);

/* gateway_links.c */
/* The links of each role and of the resolvers, and the gateway's addresses, as compile() wants them.
 * gateway_environment_free() must follow. */
struct environment_store {
	struct interface_list *links;
	size_t count;
	struct interface_list towards, own_interfaces, resolvers;
	struct ranges broadcasts;
};
int environment_read(struct links *links, const struct policy *policy,
		     struct environment_store *ret); /* without a gateway */
int gateway_environment(struct gateway *gateway, const struct policy *policy, struct environment_store *ret);
struct environment environment_of(const struct environment_store *store, const struct ranges *gateway,
				  const struct names_view *names);
void gateway_environment_free(struct environment_store *store);
/* The links that a table found in the kernel has for each role: while one is down, nothing else tells that it leads
 * there. */
int gateway_remember_links(struct gateway *gateway, const struct policy *policy);
void gateway_links_changed(void *userdata);
void gateway_look_at_bridges(
	struct gateway *gateway); /* not more often than once a second: nobody says when they learn an address */

extern const struct control_method gateway_methods[]; /* methods.c */

#endif
