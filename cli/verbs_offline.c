/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_ini.h"
#include "ctl.h"
#include "output.h"

#include "core/policy.h"

#include <string.h>

/* The daemon's own code on the file: the two can't differ. */
static int judge_file(const char *path, struct policy *policy, struct diags *diags)
{
	struct config config;

	int r = config_load(&config, path, config_read_disk, NULL, diags);
	if (r == 0)
		r = policy_from_config(policy, &config, diags);
	config_free(&config);
	diags_sort(diags);
	return r;
}

int verb_check(struct ctl *ctl)
{
	struct policy policy = { 0 };
	struct diags diags = { 0 };

	if (ctl->config && ctl->argument_count) {
		ctl_complain(ctl, "which file, %s or %s? spefwctl check [FILE]", ctl->config, ctl->arguments[0]);
		return EXIT_USAGE;
	}
	const char *path = ctl->config ? ctl->config : ctl->argument_count ? ctl->arguments[0] : SPEFW_CONFIG;
	int r = judge_file(path, &policy, &diags);
	if (r < 0 && !diags.errors)
		ctl_complain(ctl, "%s: %s", path, strerror(-r));
	ctl->output->check(ctl, path, &policy, &diags);
	bool failed = r < 0 || diags_failed(&diags);
	policy_free(&policy);
	diags_free(&diags);
	return failed ? EXIT_FAILED : EXIT_DONE;
}
