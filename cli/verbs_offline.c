/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "net/local_addresses.h"
#include "output.h"
#include "config/policy_file.h"

#include <string.h>

int ctl_read_policy(const char *path, struct policy_file *file, struct diags *diags)
{
	struct ranges own = { 0 };

	int r = local_addresses(&own);
	struct policy_source source = { .gateway = r == 0 ? &own : NULL, .programs = true };
	r = policy_file_load(file, path, &source, diags);
	ranges_free(&own);
	return r;
}

int verb_check(struct ctl *ctl)
{
	struct policy_file file = { 0 };
	struct diags diags = { 0 };

	if (ctl->values[OPTION_CONFIG] && ctl->argument_count) {
		ctl_error(ctl, "which file, %s or %s? spefwctl check [FILE]", ctl_value(ctl, OPTION_CONFIG),
			  ctl->arguments[0]);
		return EXIT_USAGE;
	}
	const char *path = ctl->argument_count ? ctl->arguments[0] : ctl_value(ctl, OPTION_CONFIG);
	int r = ctl_read_policy(path, &file, &diags);
	if (r < 0 && !diags.errors)
		ctl_error(ctl, "%s: %s", path, strerror(-r));
	ctl->output->check(ctl, path, &file.policy, &diags);
	bool failed = r < 0 || diags_failed(&diags);
	if (r == 0)
		policy_file_free(&file);
	diags_free(&diags);
	return failed ? EXIT_FAILED : EXIT_DONE;
}
