/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

/* The tables of verbs and options. `--help`, the completions and spefwctl(8) have no others. */

enum { TIMEOUT_S = 10, LONG_TIMEOUT_S = 90 };

#define OF(option) (1U << OPTION_##option)

const struct option_kind option_kinds[OPTIONS] = {
	[OPTION_SOCKET] = { "socket", 's', "PATH", "control socket of spefwd", SPEFW_SOCKET, true, false },
	[OPTION_CONFIG] = { "config", 'c', "FILE", "configuration to check, to go by, or to write", SPEFW_CONFIG, false,
			    false },
	[OPTION_JSON] = { "json", 0, NULL, "print JSON", NULL, true, false },
	[OPTION_VERBOSE] = { "verbose", 'v', NULL, "all that there is", NULL, false, false },
	[OPTION_SERVER] = { "server", 0, "LIST", "addresses of the server, for init", NULL, false, false },
	[OPTION_ADM] = { "adm", 0, "LIST", "networks of the administrators, for init", NULL, false, false },
	[OPTION_RESOLVERS] = { "resolvers", 0, "LIST", "DNS servers of the server, for init", NULL, false, false },
	[OPTION_TIME] = { "time", 0, "LIST", "time servers of the server, for init", NULL, false, false },
	[OPTION_YES] = { "yes", 0, NULL, "really clear", NULL, false, false },
	[OPTION_FOLLOW] = { "follow", 0, NULL, "go on with what is denied from now on", NULL, false, false },
	[OPTION_CONFIRM] = { "confirm", 0, "TIME", "undo it after that time, unless confirm comes before", "60s", false,
			     true },
	[OPTION_FILES] = { "files", 0, "DIR", "write the files there", NULL, false, false },
	[OPTION_FOR] = { "for", 0, "TIME", "how long a grant lasts, such as 90m, 2h, 3d", NULL, false, false },
	[OPTION_HELP] = { "help", 'h', NULL, "print this help, or that of the verb", NULL, true, false },
	[OPTION_VERSION] = { "version", 0, NULL, "print the version", NULL, true, false },
};

const struct verb verbs[] = {
	{ .name = "status",
	  .help = "one screen: health and why, what to run next",
	  .about = "One screen: health, and where it is not ok the reasons, each with what mends it; then what was "
		   "denied, the configuration, the names, the flows, and the table, with the verbs that show more. "
		   "With `--verbose` all that there is: figures, what is open in which direction, and the addresses "
		   "of the names.\n"
		   "Without a daemon the table may be there still, as `spefwd` does not remove it when it ends. As "
		   "root, `status` shows whether it guards the server.\n",
	  .example = "spefwctl status",
	  .options = OF(VERBOSE),
	  .method = SPEFW_METHOD("Status"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_status,
	  .run = verb_status },
	{ .name = "reload",
	  .help = "read the configuration again and apply it",
	  .about =
		  "Reads the configuration again, applies it in one transaction, and prints what changed, "
		  "and the first connections that it cut, alike ones in one line: whose, by which flow, and why. Where "
		  "the file has errors they are printed, nothing changes, and the exit status is 1. For root.\n"
		  "With `--confirm` the daemon undoes it after 60 seconds, or that <TIME> (up to a day, as `90s` or "
		  "`10m`), unless `spefwctl confirm` comes before: also where this terminal is gone, or the daemon or "
		  "the gateway was restarted meanwhile. Connections that it cut stay cut. Until then there is no other "
		  "reload or rollback. A file that was undone is not taken at a start of the daemon, until a `reload` "
		  "takes it again.\n",
	  .example = "spefwctl reload --confirm=5m",
	  .options = OF(CONFIRM),
	  .root = true,
	  .method = SPEFW_METHOD("Reload"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_reload,
	  .run = verb_reload },
	{ .name = "confirm",
	  .help = "keep a reload that waits for it",
	  .about = "The reload or rollback that waits for it stays in force. The exit status is 1 where none waits: "
		   "it was confirmed before, or undone. For root.\n",
	  .example = "spefwctl confirm",
	  .root = true,
	  .method = SPEFW_METHOD("Confirm"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_confirm,
	  .run = verb_show },
	{ .name = "edit",
	  .help = "edit the configuration, check it, and apply it",
	  .about =
		  "Opens a copy of `/etc/spefw/spefw.ini`, or of <FILE>, in an editor, and judges what was written, as "
		  "`check` does: with the files that it names where they belong. Where it has errors, it can be edited "
		  "again. Then it prints what would change, as `diff` does, and asks. Only after that the file is "
		  "replaced, and applied as by `reload --confirm`; it is kept where that is confirmed on the terminal. "
		  "Else the file is as it was, and the daemon undoes the change when its time is over: also where the "
		  "terminal is gone. That is after 60 seconds, or the <TIME> of `--confirm`.\n"
		  "The editor is that of the environment. There is one `edit` at a time. For root, on a terminal.\n",
	  .example = "spefwctl edit",
	  .options = OF(CONFIG) | OF(CONFIRM),
	  .root = true,
	  .method = SPEFW_METHOD("Status"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_edit,
	  .run = verb_edit },
	{ .name = "history",
	  .help = "which configurations were in force",
	  .about = "The last 20 configurations that were in force, or as many as 64 MB hold, the last one first: its "
		   "number for `rollback`, its generation, since when, who asked for it, and what it changed. `undone` "
		   "and `rolled back from` mark files that are not taken at a start of the daemon.\n",
	  .example = "spefwctl history",
	  .method = SPEFW_METHOD("History"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_history,
	  .run = verb_show },
	{ .name = "rollback",
	  .arguments = "[NUMBER]",
	  .arguments_max = 1,
	  .help = "go back to an earlier configuration",
	  .about = "Brings the configuration with that <NUMBER> of `history` into force, with the files that it named "
		   "then: a reload like any other, `--confirm` included. Without <NUMBER> it is the newest one before "
		   "with other files, that was not undone or rolled back from.\n"
		   "The file on disk stays as it is. It is not taken at a start of the daemon, until a `reload` takes "
		   "it again; `config` brings the one in force back to disk. For root.\n",
	  .example = "spefwctl rollback",
	  .options = OF(CONFIRM),
	  .root = true,
	  .method = SPEFW_METHOD("Rollback"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_reload,
	  .run = verb_rollback },
	{ .name = "config",
	  .help = "the configuration in force",
	  .about = "Prints the configuration in force as it was read, whatever is on disk by now; after `clear`, that "
		   "which was in force last. `spefwctl config >FILE` brings it back.\n"
		   "With `--files` it is written into that directory, together with the files that it names, each by "
		   "the last part of its path. The directory is made where it is missing; a file that is there is "
		   "never overwritten.\n",
	  .example = "spefwctl config",
	  .options = OF(FILES),
	  .method = SPEFW_METHOD("Config"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_config,
	  .run = verb_config },
	{ .name = "diff",
	  .arguments = "[FILE]",
	  .arguments_max = 1,
	  .help = "what a reload would change, cut and deny",
	  .about = "What a reload would do: what is new, gone or another; 20 of the live connections that it would "
		   "cut; and, by the record, who has used a flow in the last 30 days and could not any more, the 20 "
		   "most recent ones, a network by its first address. A new name has no address until it is resolved. "
		   "With `--verbose` also all new connections that fare otherwise, in up to 50 lines, by flows and "
		   "addresses (a role's are the new ones): without guards and mid-stream packets.\n"
		   "Without <FILE> it is the daemon's file. <FILE> is another one, of up to 768 kB with what it names, "
		   "for root. With `-c`, <FILE> (or `/etc/spefw/spefw.ini`) is compared with the "
		   "file of `-c`, without a daemon, connections, the record, and addresses of names. The exit status "
		   "is 1 where a file has errors, else 0.\n",
	  .example = "spefwctl diff",
	  .options = OF(CONFIG) | OF(VERBOSE),
	  .method = SPEFW_METHOD("Diff"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_diff,
	  .run = verb_diff },
	{ .name = "check",
	  .arguments = "[FILE]",
	  .arguments_max = 1,
	  .help = "judge a configuration, without the daemon",
	  .about = "Judges a configuration without the daemon, with the code that the daemon itself uses. Errors "
		   "and warnings go to standard error, one a line: file, line number, what is wrong, what would be "
		   "right. A summary goes to standard output. The exit status is 1 where there are errors.\n"
		   "A relative `file:PATH` begins in the directory of <FILE>: a copy in another directory is judged "
		   "with "
		   "the files beside the copy.\n",
	  .example = "spefwctl check /etc/spefw/spefw.ini",
	  .options = OF(CONFIG),
	  .run = verb_check },
	{ .name = "flows",
	  .arguments = "[FLOW]",
	  .arguments_max = 1,
	  .help = "each flow: from, to, port, and how it is used",
	  .about = "Each flow: from where to where, protocol and port; how many connections are open now, how many "
		   "were opened in 24 hours (this hour and the 23 before it), and how long ago the last one was "
		   "there; or that it is off, and by which line of the file. Where the record goes back less than "
		   "90 days, a line reports how far; else one lists the flows that were never used and have `ANY` "
		   "as an end. Flows with `expect`: how often each is to be used, and how long ago a connection of "
		   "it was last answered (of the time that `spefwd` ran). The comments of flows, and the roles.\n"
		   "With <FLOW>, all about that one: also its attempts (packets that opened a connection, answered "
		   "or not, as its rules count them), who has used it by the record, and its connections. See THE "
		   "RECORD in spefwd(8) for what it may miss.\n",
	  .example = "spefwctl flows",
	  .method = SPEFW_METHOD("Flows"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_flows,
	  .run = verb_flows },
	{ .name = "connections",
	  .arguments = "[FLOW]",
	  .arguments_max = 1,
	  .help = "live connections, by flow and peer",
	  .about = "The connections of the guarded machines that connection tracking has, or those of <FLOW>. Below "
		   "the flow that allows them (`(none)` in audit mode, where none does): the peer of each, the port "
		   "of the service, its age, and its number for `cut`. An age with a plus is that since `spefwd` first "
		   "saw "
		   "the connection: it is older where sysctl `net.netfilter.nf_conntrack_timestamp` is 0. Bytes, of "
		   "both directions, are there for connections that began while "
		   "`net.netfilter.nf_conntrack_acct` was 1, and else there is no such column. The state is shown of "
		   "one that is not open. At most 10,000 are shown.\n",
	  .example = "spefwctl connections console-in",
	  .method = SPEFW_METHOD("Connections"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_connections,
	  .run = verb_connections },
	{ .name = "cut",
	  .arguments = "ID",
	  .arguments_max = 1,
	  .help = "end one connection",
	  .about = "Ends the TCP connection of that number, as `connections` shows it, whether the policy allows it "
		   "or not. Neither end can go on with it: the next packet of either is answered by a reset. A new "
		   "connection of theirs is judged as any. Nothing is cut in audit mode. For root.\n",
	  .example = "spefwctl cut 2904837711",
	  .root = true,
	  .method = SPEFW_METHOD("Cut"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_cut_one,
	  .run = verb_cut },
	{ .name = "names",
	  .help = "each name: state, addresses, when they expire",
	  .about = "Each name that a flow uses, by address family: its state, when it is queried next, its "
		   "addresses, where each was learned, and when it expires. `(gone)` marks an address that is no "
		   "longer in the answer and stays for a while. Below, the last error, and answered addresses that "
		   "were refused.\n"
		   "The states: `fresh` (all addresses are in the last answer), `grace` (some are no longer), "
		   "`stale` (queries fail, the last answer serves), `failing` (queries fail and nothing serves), "
		   "`empty` (DNS answers that there is no address).\n",
	  .example = "spefwctl names",
	  .method = SPEFW_METHOD("Names"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_names,
	  .run = verb_show },
	{ .name = "refresh",
	  .arguments = "[NAME...]",
	  .arguments_max = 1024,
	  .help = "resolve names now and wait for the answers",
	  .about = "Resolves these names, or all, waits for the answers, and prints them as `names` does. The exit "
		   "status is 1 where a query was not answered. For root.\n",
	  .example = "spefwctl refresh my.mailstore.com",
	  .root = true,
	  .method = SPEFW_METHOD("Refresh"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_names,
	  .run = verb_refresh },
	{ .name = "explain",
	  .arguments = "SRC DST[:PORT] [PROTO]",
	  .arguments_max = 3,
	  .help = "what happens to such a connection, and why",
	  .about = "What happens to a new connection from <SRC> to <DST>: the verdict, the flow that allows it, or the "
		   "nearest one and what that misses, with the line of the configuration and the rule in the "
		   "kernel; and what rules of other programs do to it or its answer, with the command that mends "
		   "that.\n"
		   "<SRC> and <DST> are addresses, or what stands for them: `server` and other roles of at most 16 "
		   "addresses, and names that a flow uses; IPv6 with a port in brackets. <PROTO> is `tcp` (where it "
		   "is not given), `udp`, or `icmp-echo` (also `ping`), which has no port.\n"
		   "With `-c` it is that of <FILE> alone, without a daemon; names have no addresses then. The exit "
		   "status is 0 whatever the verdict is.\n",
	  .example = "spefwctl explain 198.51.100.7 server:8470",
	  .options = OF(CONFIG),
	  .method = SPEFW_METHOD("Explain"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_explain,
	  .run = verb_explain },
	{ .name = "drops",
	  .help = "what was denied, why, and what would allow it",
	  .about =
		  "What was denied of late, or in audit mode would have been: when it came last, how many packets were "
		  "seen, from where to where, and the nearest flow with what it misses. A source that tries many "
		  "ports or targets is one row. Below, what to write to the file to allow it: in audit mode the "
		  "fewest lines for all rows but scans.\n"
		  "Rows are made from copies of packets, 20 a second of each rule at most; a line reports how many "
		  "more were denied. Rows are kept in memory: 512 of what a flow is near to, and 512 others. They are "
		  "judged by the configuration in force: `allowed by now` is what a change has cured.\n"
		  "With `--follow` it goes on with what is denied, until it is interrupted; with `--json` an object a "
		  "line.\n",
	  .example = "spefwctl drops",
	  .options = OF(FOLLOW),
	  .method = SPEFW_METHOD("Drops"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_drops,
	  .run = verb_drops },
	{ .name = "grant",
	  .arguments = "FLOW ADDRESS",
	  .arguments_max = 2,
	  .help = "let an address use a flow for a while",
	  .about = "Lets <ADDRESS> be on the unprotected side of <FLOW> for <TIME> (1m to 30d): as a source of its "
		   "connections where it leads to the protected side, else as a target. The same again prolongs or "
		   "shortens it: it ends <TIME> from now. It survives reloads, restarts and reboots, ends by itself, "
		   "also where `spefwd` does not run, and its connections are cut then.\n"
		   "It is refused where the flow is off or both its sides are protected, and for an address that is "
		   "protected or in the flow already; names and networks are refused, too. While a reload has turned "
		   "its flow off, or protects its address, it has no effect. `clear` ends all. For root.\n",
	  .example = "spefwctl grant console-in 198.51.100.7 --for 2h",
	  .root = true,
	  .options = OF(FOR),
	  .required = OF(FOR),
	  .method = SPEFW_METHOD("Grant"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_grant,
	  .run = verb_grant },
	{ .name = "revoke",
	  .arguments = "FLOW ADDRESS",
	  .arguments_max = 2,
	  .help = "end a grant before its time",
	  .about = "Ends the grant of <FLOW> to <ADDRESS> now, and cuts the connections that went on by it alone. "
		   "For root.\n",
	  .example = "spefwctl revoke console-in 198.51.100.7",
	  .root = true,
	  .method = SPEFW_METHOD("Revoke"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_revoke,
	  .run = verb_revoke },
	{ .name = "grants",
	  .help = "what is granted, for how long yet, and by whom",
	  .about = "The grants that there are: the flow, the address and its side, how long each lasts yet, and who "
		   "gave it; and why one is without effect.\n",
	  .example = "spefwctl grants",
	  .method = SPEFW_METHOD("Grants"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_grants,
	  .run = verb_show },
	{ .name = "doctor",
	  .help = "what on this gateway stands in the way",
	  .about = "What on this gateway stands in the way of the flows, or lets packets pass by the guard: a line "
		   "a finding, with its severity, what it is, evidence and a remedy, the worst first. Ahead of them "
		   "is what could not be looked at: it is `not checked`, and no finding.\n"
		   "As root it runs `spefw-doctor` with the configuration in `/etc/spefw/spefw.ini`, or in "
		   "<FILE>, and adds the reasons for which the daemon is not healthy; it works without a daemon, "
		   "too. Where the daemon runs on another file by its own account, a line reports it, and no path "
		   "is taken from its answer. For another user it has the daemon's reasons alone, and a note of "
		   "that.\n"
		   "The exit status is 1 where a finding is `serious`; a `warning` may be in the way.\n",
	  .example = "spefwctl doctor",
	  .options = OF(CONFIG),
	  .method = SPEFW_METHOD("Status"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_doctor,
	  .run = verb_doctor },
	{ .name = "verify",
	  .help = "prove that the kernel's table is the policy",
	  .about = "Reads the table from the kernel, and proves that every packet which is not of an established "
		   "connection ends in it, and is counted, as the policy in force has it: all of them, in classes that "
		   "neither tells apart. It prints how many were compared, and what is not covered. Where it differs, "
		   "it "
		   "shows a packet, what the policy and the table do with it, the rule, and the line of the "
		   "configuration. The exit status is 0 where it is equal, and else 1.\n"
		   "Who asks again within a moment gets the same answer.\n",
	  .example = "spefwctl verify",
	  .method = SPEFW_METHOD("Verify"),
	  .timeout_s = LONG_TIMEOUT_S,
	  .text = text_verify,
	  .run = verb_verify },
	{ .name = "watch",
	  .help = "what happens, as it happens",
	  .about = "Prints what happens, one event a line, with the local time, until it is interrupted: reloads, "
		   "refreshes and clears with who asked for them, connections that were cut, what is denied, addresses "
		   "of names "
		   "that came and went, changes of other programs to the table, which are undone, and to their "
		   "own tables, what is proven of the table, and health. The first line is health as it is. With "
		   "`--json` each is an object on "
		   "one line.\n"
		   "Where it is not read fast enough events are lost, and a line has their number. The exit status "
		   "is 3 when the daemon ends.\n",
	  .example = "spefwctl watch",
	  .method = SPEFW_METHOD("Watch"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_event,
	  .run = verb_watch },
	{ .name = "export",
	  .arguments = "FORMAT",
	  .arguments_max = 1,
	  .help = "the policy in force, in other forms",
	  .about =
		  "Prints the policy in force as <FORMAT>:\n"
		  "`netsh`: the inbound rules for the Windows firewall of each guarded machine, as commands for "
		  "PowerShell. `nft`: the table, for `nft -f`. `json`: all that is known, as a schema describes it. "
		  "`markdown`, `html`: the same as one page for people, the latter with a picture, to be printed or "
		  "given to an auditor.\n"
		  "With `-c` it is that of <FILE> alone, without a daemon: names have no addresses then. With `--json` "
		  "an object has the text.\n",
	  .example = "spefwctl export netsh",
	  .options = OF(CONFIG),
	  .method = SPEFW_METHOD("Policy"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_export,
	  .run = verb_export },
	{ .name = "metrics",
	  .help = "counters and gauges for node_exporter",
	  .about = "Prints counters and gauges in the text format of Prometheus, for the textfile directory of "
		   "node_exporter. Without a daemon it "
		   "prints `spefw_up 0` and exits with 3. With `--json` it is `status`.\n",
	  .example = "spefwctl metrics",
	  .method = SPEFW_METHOD("Status"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_metrics,
	  .run = verb_metrics },
	{ .name = "init",
	  .help = "write a first configuration, in audit mode",
	  .about = "Writes a first configuration, in audit mode, with the flows in comments that a Windows server "
		   "may need: remote desktop, domain, updates, ACME. It judges what it wrote, and never overwrites a "
		   "file. Lists have commas between.\n"
		   "On a terminal, without `--server`, it asks, offers what this gateway knows (where your ssh comes "
		   "from, the DNS servers of resolv.conf), and shows what it will write before it does.\n",
	  .example = "spefwctl init --server 192.0.2.25 --adm 192.0.2.0/24 --resolvers 192.0.2.53",
	  .options = OF(SERVER) | OF(ADM) | OF(RESOLVERS) | OF(TIME) | OF(CONFIG),
	  .run = verb_init },
	{ .name = "clear",
	  .help = "remove the table: nothing is protected then",
	  .about = "Removes the table: nothing is protected from then on. A running daemon stays, and its health "
		   "is failed until the next `reload`. A restart of spefwd builds the table again, and so does a "
		   "boot: to keep it away, `systemctl disable --now spefwd` first. Also works without a daemon. "
		   "For root.\n",
	  .example = "spefwctl clear --yes",
	  .root = true,
	  .options = OF(YES),
	  .required = OF(YES),
	  .method = SPEFW_METHOD("Clear"),
	  .timeout_s = TIMEOUT_S,
	  .text = text_clear,
	  .run = verb_clear },
	{ .name = "list",
	  .arguments = "[KIND]",
	  .arguments_max = 1,
	  .help = "flows, names and the like, one a line",
	  .about =
		  "The words of one kind, one a line, for scripts and for the completion of the shell: `flows`, "
		  "`names`, `roles`, the `ends` of a connection that `explain` takes, the IDs of `connections`, "
		  "`granted` addresses, the numbers of `history`, `protocols`, `formats`, `verbs`, or the `kinds` that "
		  "there are. Without a "
		  "daemon there are `protocols`, `formats`, `verbs` and `kinds` alone.\n",
	  .example = "spefwctl list flows",
	  .timeout_s = TIMEOUT_S,
	  .text = text_list,
	  .run = verb_list },
	{ .name = "help",
	  .arguments = "[VERB]",
	  .arguments_max = 1,
	  .help = "this list, or the help of one verb",
	  .about = "Prints the list of verbs and options, or the help of one verb, as `VERB --help` does.\n",
	  .example = "spefwctl help reload",
	  .run = verb_help },
};
const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);
