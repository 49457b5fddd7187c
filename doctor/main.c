/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spefw-doctor: what on this gateway stands in the way. */
#include "doctor/doctor.h"

#include <getopt.h>
#include <stdio.h>

enum { EXIT_USAGE = 2 };

/* clang-format off */
static const char usage[] =
	"Usage: spefw-doctor [--json] [-c FILE]\n"
	"\n"
	"Shows what on this gateway stands in the way: 0 nothing serious, 1 something is.\n"
	"\n"
	"  -c, --config FILE     configuration (" SYSCONFDIR "/spefw/spefw.ini)\n"
	"      --json            as JSON\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n";
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	const char *config = SYSCONFDIR "/spefw/spefw.ini";
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': config = optarg; break;
		case 'j': json = true; break;
		case 'h': fputs(usage, stdout); return 0;
		case 'V': puts("spefw-doctor " PACKAGE_VERSION); return 0;
		default: fputs(usage, stderr); return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return doctor_run(config, json);
	fprintf(stderr, "spefw-doctor: unexpected argument %s\n%s", argv[optind], usage);
	return EXIT_USAGE;
}
