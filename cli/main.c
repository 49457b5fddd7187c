/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "spefwd.h"

#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char *spefwd = spefwd_find("spefwd", SBINDIR), *doctor = spefwd_find("spefw-doctor", PKGLIBEXECDIR);
	if (!spefwd || !doctor) {
		fputs("spefwctl: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	const struct ctl_environment environment = {
		.out = stdout, .err = stderr, .spefwd = spefwd, .doctor = doctor, .root = geteuid() == 0
	};

	int status = ctl_run(&environment, argc, argv);
	free(spefwd);
	free(doctor);
	return status;
}
