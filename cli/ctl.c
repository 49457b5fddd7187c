/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"

#include "core/diag.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { ANY_NUMBER = 1024 };

static const struct verb verbs[] = {
	{ "status", "", "one screen: health, flows, names, guards, denials", 0, 0, verb_status },
	{ "reload", "", "read the configuration again and apply it", 0, 0, verb_reload },
	{ "check", "[FILE]", "judge a configuration, without the daemon", VERB_CONFIG, 1, verb_check },
	{ "flows", "", "each flow: from, to, ports, connections", 0, 0, verb_flows },
	{ "names", "", "each name: state, addresses, when they expire", 0, 0, verb_names },
	{ "refresh", "[NAME...]", "resolve names now and wait for the answers", 0, ANY_NUMBER, verb_refresh },
	{ "doctor", "", "what on this gateway stands in the way", VERB_CONFIG, 0, verb_doctor },
	{ "metrics", "", "OpenMetrics text for node_exporter", 0, 0, verb_metrics },
	{ "init", "--server ADDRESS", "write a first configuration, in audit mode", VERB_CONFIG | VERB_INIT, 0,
	  verb_init },
	{ "clear", "--yes", "remove the table: nothing is protected then", VERB_YES, 0, verb_clear },
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

void ctl_complain(const struct ctl *ctl, const char *format, ...)
{
	char *text = NULL, *harmless = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		harmless = text_harmless(text);
	fprintf(ctl->world->err, "spefwctl: %s\n", harmless ? harmless : "out of memory");
	free(harmless);
	free(text);
}

static void print_help(FILE *file)
{
	fputs("Usage: spefwctl [-s SOCKET] [--json] VERB [ARGUMENTS]\n"
	      "\n"
	      "Shows and steers spefwd, the guard of a MailStore SPE server.\n"
	      "\n",
	      file);
	for (size_t i = 0; i < VERBS; i++) {
		char call[40];
		snprintf(call, sizeof(call), "%s %s", verbs[i].name, verbs[i].synopsis);
		fprintf(file, "  %-24s%s\n", call, verbs[i].help);
	}
	fputs("\n"
	      "  -s, --socket PATH   control socket of spefwd (" SPEFW_SOCKET ")\n"
	      "  -c, --config FILE   configuration to check, to judge by, or to write (" SPEFW_CONFIG ")\n"
	      "      --json          print JSON\n"
	      "      --yes           really clear\n"
	      "      --server LIST   init: addresses of the server\n"
	      "      --adm LIST      init: networks of the administrators\n"
	      "      --resolvers LIST  init: DNS servers that the server asks\n"
	      "  -h, --help\n"
	      "      --version\n"
	      "\n"
	      "Exit: 0 done or healthy, 1 failed or not healthy, 2 usage, 3 spefwd is not running,\n"
	      "4 permission denied. See spefwctl(8).\n",
	      file);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int refuse_verb(const struct ctl *ctl, const char *name)
{
	const char *names[VERBS];

	for (size_t i = 0; i < VERBS; i++)
		names[i] = verbs[i].name;
	const char *nearest = diag_nearest(name, names, VERBS);
	if (nearest)
		ctl_complain(ctl, "unknown verb %s: did you mean %s?", name, nearest);
	else
		ctl_complain(ctl, "unknown verb %s: see spefwctl --help", name);
	return EXIT_USAGE;
}

static int run_verb(struct ctl *ctl, char **words, size_t count)
{
	if (count == 0) {
		ctl_complain(ctl, "which verb? see spefwctl --help, or begin with spefwctl status");
		return EXIT_USAGE;
	}
	const struct verb *verb = find_verb(words[0]);
	if (!verb)
		return refuse_verb(ctl, words[0]);
	if (count - 1 > verb->arguments_max) {
		ctl_complain(ctl, "%s is too much: spefwctl %s %s", words[1 + verb->arguments_max], verb->name,
			     verb->synopsis);
		return EXIT_USAGE;
	}
	if ((ctl->server || ctl->adm || ctl->resolvers) && !(verb->options & VERB_INIT)) {
		ctl_complain(ctl, "%s does not take --server, --adm or --resolvers: spefwctl init does", verb->name);
		return EXIT_USAGE;
	}
	if ((ctl->yes && !(verb->options & VERB_YES)) || (ctl->config && !(verb->options & VERB_CONFIG))) {
		ctl_complain(ctl, "%s does not take %s: spefwctl %s %s", verb->name,
			     ctl->yes && !(verb->options & VERB_YES) ? "--yes" : "--config", verb->name,
			     verb->synopsis);
		return EXIT_USAGE;
	}
	ctl->arguments = words + 1;
	ctl->argument_count = count - 1;
	return verb->run(ctl);
}

enum { OPTION_JSON = 256, OPTION_YES, OPTION_VERSION, OPTION_SERVER, OPTION_ADM, OPTION_RESOLVERS };

/* -1: go on; else the exit status. */
static int read_options(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "yes", no_argument, NULL, OPTION_YES },
		{ "server", required_argument, NULL, OPTION_SERVER },
		{ "adm", required_argument, NULL, OPTION_ADM },
		{ "resolvers", required_argument, NULL, OPTION_RESOLVERS },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ 0 },
	};
	int option;

	optind = 0; /* from the beginning, also on a second run in one process */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":s:c:h", options, NULL)) >= 0) {
		switch (option) {
		case 's': ctl->socket = optarg; break;
		case 'c': ctl->config = optarg; break;
		case OPTION_JSON: ctl->json = true; break;
		case OPTION_YES: ctl->yes = true; break;
		case OPTION_SERVER: ctl->server = optarg; break;
		case OPTION_ADM: ctl->adm = optarg; break;
		case OPTION_RESOLVERS: ctl->resolvers = optarg; break;
		case 'h': print_help(ctl->world->out); return EXIT_DONE;
		case OPTION_VERSION: fputs("spefwctl " PACKAGE_VERSION "\n", ctl->world->out); return EXIT_DONE;
		case ':':
			ctl_complain(ctl, "%s needs a value: see spefwctl --help", argv[optind - 1]);
			return EXIT_USAGE;
		default:
			if (optopt > 0 && optopt < 256)
				ctl_complain(ctl, "unknown option -%c: see spefwctl --help", optopt);
			else
				ctl_complain(ctl, "unknown option %s: see spefwctl --help", argv[optind - 1]);
			return EXIT_USAGE;
		}
	}
	return -1;
}

/* A full disk or a closed pipe must not look like success. */
static int finish_output(const struct ctl *ctl, int status)
{
	if (fflush(ctl->world->out) == 0 && !ferror(ctl->world->out))
		return status;
	ctl_complain(ctl, "cannot write the result: %m");
	return status ? status : EXIT_FAILED;
}

int ctl_run(const struct ctl_world *world, int argc, char **argv)
{
	struct ctl ctl = { .world = world, .screen = screen_of(world->out), .socket = SPEFW_SOCKET };

	int status = read_options(&ctl, argc, argv);
	if (status < 0) {
		ctl.output = ctl.json ? &output_json : &output_text;
		status = run_verb(&ctl, argv + optind, (size_t)(argc - optind));
	}
	return finish_output(&ctl, status);
}
