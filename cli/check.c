/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"
#include "output.h"
#include "screen.h"
#include "spefwd.h"
#include "control/wire.h"

#include <spefw/protocol.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* check_spefw: a plug-in for Nagios, Icinga and checkmk, by the Monitoring Plugins guidelines: one line, performance
 * data, and an exit status. */

enum state { STATE_OK, STATE_WARNING, STATE_CRITICAL, STATE_UNKNOWN };

enum { TIMEOUT_S = 10, TIMEOUT_MAX_S = 3600, SERVERS_SHOWN = 4, WORDS_MAX = 1024 };

/* clang-format off */
static const char usage[] =
	"Usage: check_spefw [-t SECONDS] [-s PATH]\n"
	"\n"
	"Checks spefwd, the guard of a MailStore SPE server, by its control socket.\n"
	"\n"
	"  -t, --timeout SECONDS  for its answer (10)\n"
	"  -s, --socket PATH      control socket of spefwd (" SPEFW_SOCKET ")\n"
	"  -h, --help             this text\n"
	"  -V, --version          the version\n"
	"\n"
	"OK: the server is guarded. WARNING: health is degraded. CRITICAL: health is\n"
	"failed, or spefwd does not run or answer. UNKNOWN: that can't be told.\n";
/* clang-format on */

struct options {
	const char *socket;
	unsigned timeout_s;
};

static int finish(enum state state, const char *words, const char *figures)
{
	static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	char *line = text_harmless(words);

	/* A bar begins the performance data. */
	for (char *at = line; at && *at; at++)
		if (*at == '|')
			*at = '/';
	printf("SPEFW %s: %.*s%s%s\n", names[state], WORDS_MAX, line ? line : "out of memory", *figures ? " | " : "",
	       figures);
	free(line);
	return fflush(stdout) == 0 ? (int)state : STATE_UNKNOWN;
}

static void add_server(struct text *words, const json_t *servers)
{
	if (json_array_size(servers))
		text_add_list(words, servers, SERVERS_SHOWN);
	else
		text_add(words, "no address");
}

/* What the kernel has, where no daemon answers. */
static int not_running(void)
{
	struct text words = { 0 };
	int status;

	text_add(&words, "spefwd is not running: ");
	if (geteuid() != 0) {
		text_add(&words, "only root can see whether its table still guards");
	} else {
		char *spefwd = spefwd_find("spefwd", SBINDIR);
		json_t *table = spefwd ? spefwd_inspect(spefwd, &status) : NULL;
		if (!table) {
			text_add(&words, "whether its table still guards is not known");
		} else if (json_truth_of(table, "guards")) {
			text_add(&words, "its table still guards ");
			add_server(&words, json_object_get(table, "protected"));
			text_add(&words, ", names are not followed");
		} else {
			text_add(&words, "the server is not guarded");
		}
		json_decref(table);
		free(spefwd);
	}
	int r = finish(STATE_CRITICAL, text_of(&words), "");
	text_free(&words);
	return r;
}

static int fail(const struct options *options, int error)
{
	char words[256];
	enum state state = STATE_CRITICAL;

	switch (-error) {
	case ENOENT:
	case ECONNREFUSED: return not_running();
	case ETIMEDOUT: snprintf(words, sizeof(words), "spefwd has not answered for %us", options->timeout_s); break;
	case ECONNRESET: snprintf(words, sizeof(words), "spefwd closed the connection without an answer"); break;
	case EACCES:
	case EPERM:
		state = STATE_UNKNOWN;
		snprintf(words, sizeof(words), "%s: permission denied: this user has to be in the group spefw",
			 options->socket);
		break;
	case EBADMSG:
	case EMSGSIZE:
		state = STATE_UNKNOWN;
		snprintf(words, sizeof(words), "what answers on %s is not spefwd", options->socket);
		break;
	default: state = STATE_UNKNOWN; snprintf(words, sizeof(words), "%s: %s", options->socket, strerror(-error));
	}
	return finish(state, words, "");
}

/* The reasons that are shown: those that matter most come first. */
static void add_reasons(struct text *words, const json_t *reasons)
{
	const json_t *first = json_array_get(reasons, 0);
	size_t count = json_array_size(reasons);

	if (!first)
		text_add(words, "for no reason that it gives");
	else
		text_add(words, "%s (%s)", json_text_of(first, "text"), json_text_of(first, "code"));
	if (count > 1)
		text_add(words, ", and %zu more: see spefwctl status", count - 1);
}

static void add_figures(struct text *figures, const json_t *status)
{
	const json_t *denied = json_object_get(status, "denied"), *guards = json_object_get(status, "guards");
	int64_t all = json_number_of(denied, "in") + json_number_of(denied, "out") + json_number_of(denied, "early");

	text_add(figures, "reasons=%zu;;;0", json_array_size(json_object_get(status, "reasons")));
	text_add(figures, " denied_last_hour=%" PRId64 ";;;0", json_number_of(denied, "last_hour"));
	text_add(figures, " denied=%" PRId64 "c", all);
	text_add(figures, " intercepted=%" PRId64 "c", json_number_of(guards, "intercepted"));
	text_add(figures, " spoofed=%" PRId64 "c", json_number_of(guards, "spoofed"));
	text_add(figures, " repaired=%" PRId64 "c", json_number_of(guards, "repaired"));
	text_add(figures, " uptime=%" PRId64 "s;;;0", json_number_of(status, "uptime_s"));
}

static int judge(const json_t *status)
{
	static const struct {
		const char *health;
		enum state state;
	} states[] = { { "ok", STATE_OK }, { "degraded", STATE_WARNING }, { "failed", STATE_CRITICAL } };
	const char *health = json_text_of(status, "health");
	struct text words = { 0 }, figures = { 0 };
	enum state state = STATE_UNKNOWN;

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(health, states[i].health) == 0)
			state = states[i].state;
	if (state == STATE_OK) {
		bool audit = strcmp(json_text_of(status, "mode"), "audit") == 0;
		text_add(&words, audit ? "audits " : "guards ");
		add_server(&words, json_object_get(status, "server"));
		text_add(&words, audit ? ", denies nothing" : "");
	} else if (state == STATE_UNKNOWN) {
		text_add(&words, "health is %s, which this plug-in does not know", *health ? health : "missing");
	} else {
		add_reasons(&words, json_object_get(status, "reasons"));
	}
	add_figures(&figures, status);
	int r = words.failed || figures.failed ? finish(STATE_UNKNOWN, "out of memory", "")
					       : finish(state, text_of(&words), text_of(&figures));
	text_free(&words);
	text_free(&figures);
	return r;
}

static int check(const struct options *options)
{
	json_t *message = NULL;
	struct wire_reply reply = { 0 };
	int r = client_call(options->socket, SPEFW_METHOD("Status"), NULL, options->timeout_s, &message);

	if (r == 0)
		r = wire_read_reply(message, &reply);
	if (r < 0)
		r = fail(options, r);
	else if (reply.error)
		r = finish(STATE_UNKNOWN, reply.error, "");
	else
		r = judge(reply.parameters);
	json_decref(message);
	return r;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option options[] = { { "timeout", required_argument, NULL, 't' },
						 { "socket", required_argument, NULL, 's' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'V' },
						 { 0 } };
	char *end = NULL;
	long seconds;
	int option;

	*ret = (struct options){ SPEFW_SOCKET, TIMEOUT_S };
	while ((option = getopt_long(argc, argv, "t:s:hV", options, NULL)) >= 0) {
		switch (option) {
		case 't':
			seconds = strtol(optarg, &end, 10);
			if (end == optarg || *end || seconds < 1 || seconds > TIMEOUT_MAX_S)
				return finish(STATE_UNKNOWN, "-t takes seconds, 1 to 3600", "");
			ret->timeout_s = (unsigned)seconds;
			break;
		case 's': ret->socket = optarg; break;
		case 'h': fputs(usage, stdout); return STATE_UNKNOWN;
		case 'V': puts("check_spefw " PACKAGE_VERSION); return STATE_UNKNOWN;
		default: return finish(STATE_UNKNOWN, "see check_spefw --help", "");
		}
	}
	if (optind < argc)
		return finish(STATE_UNKNOWN, "it takes options alone: see check_spefw --help", "");
	return -1;
}

int main(int argc, char **argv)
{
	struct options options;
	int status = parse(argc, argv, &options);

	return status >= 0 ? status : check(&options);
}
