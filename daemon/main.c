/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods.h"
#include "control/methods_explain.h"
#include "control/methods_drops.h"
#include "control/methods_watch.h"
#include "control/report.h"
#include "fdstore.h"
#include "log.h"
#include "offline.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 }; /* 78: sysexits.h, and what systemd calls CONFIG */

/* clang-format off */
static const char usage[] =
	"Usage: spefwd [-c FILE] [-s SOCKET] [-d STATE_DIR]\n"
	"       spefwd --check [-c FILE] | --inspect [--json] | --clear [-d DIR]\n"
	"\n"
	"Guards a MailStore SPE server from the gateway in front of it.\n"
	"\n"
	"  -c, --config FILE     configuration (" SYSCONFDIR "/spefw/spefw.ini)\n"
	"  -s, --socket SOCKET   control socket (" RUNSTATEDIR "/control.sock)\n"
	"  -d, --state DIR       state directory (" SHAREDSTATEDIR ")\n"
	"      --check           judge the configuration and exit: 0 good, 1 bad\n"
	"      --inspect         show what table is loaded and whether it guards: 0 it does, 1 it does not\n"
	"      --json            with --inspect: as JSON\n"
	"      --clear           remove the table: nothing is guarded or granted any more\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n";
/* clang-format on */

enum task { TASK_RUN, TASK_CHECK, TASK_INSPECT, TASK_CLEAR };

struct paths {
	const char *config, *socket, *state;
	char *notice; /* beside the socket, for spefw-notify; NULL: no memory for its name */
};

struct arguments {
	struct paths paths;
	enum task task;
	bool json;
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "socket", required_argument, NULL, 's' },
		{ "state", required_argument, NULL, 'd' },  { "check", no_argument, NULL, 'k' },
		{ "inspect", no_argument, NULL, 'i' },      { "clear", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },         { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },      { 0 },
	};
	int option;

	*ret = (struct arguments){ .paths = { SYSCONFDIR "/spefw/spefw.ini", RUNSTATEDIR "/control.sock",
					      SHAREDSTATEDIR, NULL } };
	while ((option = getopt_long(argc, argv, "c:s:d:hV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': ret->paths.config = optarg; break;
		case 's': ret->paths.socket = optarg; break;
		case 'd': ret->paths.state = optarg; break;
		case 'k': ret->task = TASK_CHECK; break;
		case 'i': ret->task = TASK_INSPECT; break;
		case 'r': ret->task = TASK_CLEAR; break;
		case 'j': ret->json = true; break;
		case 'h': fputs(usage, stdout); return 0;
		case 'V': puts("spefwd " PACKAGE_VERSION); return 0;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "spefwd: unexpected argument %s\n%s", argv[optind], usage);
	return EXIT_USAGE;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct gateway *gateway = userdata;
	const struct table *table = gateway_table(gateway);

	gateway_repair_last(gateway);
	bool audit = config_store_policy(gateway_config(gateway))->mode == MODE_AUDIT;
	const char *state = table_is_removed(table)  ? "the table was removed on request: the server is not guarded"
			    : !table_is_known(table) ? "the table could not be brought up to date"
			    : audit                  ? "the table stays, and denies nothing"
						     : "the table stays and guards";
	log_notice("stopping on %s: %s", strsignal((int)info->ssi_signo), state);
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct diags diags = { 0 };
	static const struct requester by = { .text = "signal" };
	struct reload_result result = { 0 };

	(void)source;
	(void)info;
	gateway_reload(userdata, &by, 0, &diags, &result);
	diags_free(&diags);
	return 0;
}

static int block_signals(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	return sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
}

/* Before all else: the kernel hands out SIGHUP first, and who sends it all the time must not hold up the end. */
static int watch_stop(sd_event *event, int number, struct gateway *gateway)
{
	sd_event_source *source = NULL;

	int r = sd_event_add_signal(event, &source, number, on_stop, gateway);
	if (r >= 0)
		r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	return r;
}

static int watch_signals(sd_event *event, struct gateway *gateway)
{
	int r = watch_stop(event, SIGTERM, gateway);
	if (r >= 0)
		r = watch_stop(event, SIGINT, gateway);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, gateway);
	return r;
}

static void on_health_changed(void *userdata)
{
	struct service *service = userdata;
	report_to_manager(service->gateway);
	watch_health(service);
}

static void on_drops_changed(void *userdata)
{
	method_drops_changed(userdata);
	watch_drops(userdata);
}

static void on_refreshed(void *userdata, void *waiter)
{
	method_refreshed(userdata, waiter);
}

static void on_happened(void *userdata, const struct happening *happening)
{
	watch_happened(userdata, happening);
}

static void on_explained(void *userdata, void *waiter, int r, const struct findings *findings)
{
	method_explained(userdata, waiter, r, findings);
}

static int listen_on(struct service *service, sd_event *event, const char *path)
{
	int r = control_new(&service->control, event, path, methods, service);

	if (r == -EADDRINUSE)
		log_error("%s: another spefwd is running there: stop it first, or give another socket with -s", path);
	else if (r < 0)
		log_error("%s: can't listen: %s", path, strerror(-r));
	return r;
}

static int start(struct service *service, sd_event *event, const struct paths *paths)
{
	static const struct gateway_events events = { .health_changed = on_health_changed,
						      .drops_changed = on_drops_changed,
						      .refreshed = on_refreshed,
						      .explained = on_explained,
						      .happened = on_happened };
	const struct gateway_paths gateway_paths = { paths->config, paths->state, paths->notice };
	int stored_fd = fdstore_take();

	int r = watch_new(&service->watch, event);
	if (r < 0)
		return r;
	r = gateway_new(&service->gateway, event, &gateway_paths, &events, service);
	if (r < 0)
		return r;
	/* Another daemon on the same socket is found before anything is touched; any other trouble with it must not
	 * keep the server unguarded. */
	int listening = listen_on(service, event, paths->socket);
	if (listening == -EADDRINUSE)
		return listening;
	r = gateway_start(service->gateway, stored_fd);
	if (r < 0)
		return r;
	if (stored_fd < 0)
		fdstore_put(gateway_socket(service->gateway));
	return listening;
}

static int loop(struct service *service, sd_event *event, const struct paths *paths)
{
	int r = watch_signals(event, service->gateway);

	if (r < 0)
		return r;
	log_notice("spefwd " PACKAGE_VERSION " guards by %s", paths->config);
	sd_notify(0, "READY=1");
	/* Not earlier: its first sign of life arms the manager's watchdog, and until the loop runs there is no second
	 * one. */
	sd_event_set_watchdog(event, true);
	r = sd_event_loop(event);
	sd_notify(0, "STOPPING=1");
	return r;
}

static int run(struct paths *paths)
{
	struct service service = { 0 };
	sd_event *event = NULL;

	int r = block_signals();
	if (r >= 0)
		r = sd_event_default(&event);
	if (r < 0) {
		log_error("can't start: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	if (asprintf(&paths->notice, "%s.health", paths->socket) < 0)
		paths->notice = NULL;
	int started = start(&service, event, paths);
	r = started < 0 ? started : loop(&service, event, paths);
	/* Calls that wait are answered by nobody from here on. */
	control_free(service.control);
	gateway_free(service.gateway);
	watch_free(service.watch);
	free(paths->notice);
	sd_event_unref(event);
	if (started == -EINVAL) {
		log_error("%s is missing or bad, and nothing was changed: mend it (spefwctl check shows what is "
			  "wrong), or write a first one",
			  paths->config);
		return EXIT_CONFIG;
	}
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	int status = parse(argc, argv, &arguments);

	if (status >= 0)
		return status;
	switch (arguments.task) {
	case TASK_CHECK: return offline_check(arguments.paths.config);
	case TASK_INSPECT: return offline_inspect(arguments.json);
	case TASK_CLEAR: return offline_clear(arguments.paths.state);
	default: return run(&arguments.paths);
	}
}
