/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"
#include "spefwd.h"
#include "control/wire.h"
#include "core/health.h"

#include <stdlib.h>
#include <string.h>

/* What the running daemon knows, beside what spefw-doctor sees of the system. */

static void add_finding(json_t *list, const char *severity, const char *check, const char *what, const char *evidence,
			const char *remedy)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o*}", "severity", severity, "check", check,
					      "what", json_printable(what), "evidence", json_printable(evidence),
					      "remedy", remedy ? json_printable(remedy) : NULL));
}

static bool has_code(const json_t *reason, enum health_code code)
{
	return strcmp(json_text_of(reason, "code"), health_kinds[code].name) == 0;
}

/* Rules of other tables, and bridges that carry packets past the guard: spefw-doctor has found them as well. */
static bool is_found_by_doctor(const json_t *reason)
{
	return has_code(reason, HEALTH_FOREIGN_RULE) || has_code(reason, HEALTH_BLOCKED) ||
	       has_code(reason, HEALTH_BRIDGE);
}

static bool is_serious(const json_t *reason)
{
	for (enum health_code code = 0; code < HEALTH_CODES; code++)
		if (has_code(reason, code))
			return health_kinds[code].failed;
	return false;
}

static void add_reasons(json_t *list, const json_t *status, bool looked)
{
	const json_t *reasons = json_object_get(status, "reasons");

	for (size_t i = 0; i < json_array_size(reasons); i++) {
		const json_t *reason = json_array_get(reasons, i);
		if (looked && is_found_by_doctor(reason))
			continue;
		const char *remedy = json_text_of(reason, "remedy");
		add_finding(list, is_serious(reason) ? "serious" : "warning", "spefwd", json_text_of(reason, "text"),
			    "spefwd's own health", *remedy ? remedy : "see spefwctl status");
	}
}

static bool is_severity(const json_t *finding, const char *severity)
{
	return strcmp(json_text_of(finding, "severity"), severity) == 0;
}

static json_t *sorted(const json_t *findings)
{
	static const char *const order[] = { "serious", "warning", "note" };
	json_t *list = json_array();

	for (size_t s = 0; s < sizeof(order) / sizeof(order[0]); s++)
		for (size_t i = 0; i < json_array_size(findings); i++)
			if (is_severity(json_array_get(findings, i), order[s]))
				json_array_append(list, json_array_get(findings, i));
	return list;
}

/* root reads the file that is given to it, and none that a reply names: anybody may be behind the socket. */
static void compare_config(json_t *list, const json_t *status, const char *config)
{
	const char *daemons = json_text_of(json_object_get(status, "config"), "path");
	json_t *looked_at = json_printable(config);

	if (*daemons && strcmp(daemons, json_text(looked_at)) != 0)
		add_finding(list, "note", "config",
			    "the configuration that spefwd reports as its own: spefwctl doctor -c FILE looks at "
			    "another "
			    "one",
			    daemons, NULL);
	json_decref(looked_at);
}

/* spefw-doctor's findings into the list. An exit status, or -1: go on. */
static int look(const struct ctl *ctl, const char *config, json_t *list)
{
	const char *const arguments[] = { ctl->environment->doctor, "--json", "-c", config, NULL };
	char *output = NULL;

	int r = spefwd_run(arguments, DOCTOR_TIMEOUT_S, &output);
	json_t *seen = r >= 0 ? json_loads(output, JSON_REJECT_DUPLICATES, NULL) : NULL;
	free(output);
	json_t *findings = json_object_get(seen, "findings");
	if (json_is_array(findings)) {
		json_array_extend(list, findings);
		json_decref(seen);
		return -1;
	}
	json_decref(seen);
	if (r < 0)
		ctl_error(ctl, "the gateway could not be looked at: %s: %s", ctl->environment->doctor, strerror(-r));
	else
		ctl_error(ctl, "the gateway could not be looked at: %s failed with status %d", ctl->environment->doctor,
			  r);
	return EXIT_FAILED;
}

static int finish(struct ctl *ctl, json_t *list)
{
	json_t *all = sorted(list);
	bool serious = json_array_size(all) && is_severity(json_array_get(all, 0), "serious");
	json_t *report = json_pack("{s:o}", "findings", all);

	json_decref(list);
	if (!report) {
		ctl_error(ctl, "out of memory");
		return EXIT_FAILED;
	}
	ctl->output->reply(ctl, report);
	json_decref(report);
	return serious ? EXIT_FAILED : EXIT_DONE;
}

int verb_doctor(struct ctl *ctl)
{
	json_t *status = NULL, *list = json_array();
	int r = ctl_call(ctl, NULL, &status);
	const char *config = ctl_value(ctl, OPTION_CONFIG);

	if (r == EXIT_NOT_RUNNING && !ctl->environment->root) {
		json_decref(list);
		return ctl_denied(ctl, NULL);
	}
	if (r != EXIT_DONE && r != EXIT_NOT_RUNNING && !ctl->environment->root) {
		json_decref(list);
		return r;
	}
	int looked = ctl->environment->root ? look(ctl, config, list) : -1;
	if (!ctl->environment->root)
		add_finding(list, "note", "doctor",
			    "the system was not looked at: rules of other tables, interfaces, resolvers, certificates, "
			    "sysctls",
			    "only root can", NULL);
	if (r == EXIT_NOT_RUNNING)
		add_finding(list, "warning", "spefwd", "spefwd is not running", ctl_value(ctl, OPTION_SOCKET),
			    "systemctl start spefwd");
	if (ctl->environment->root)
		compare_config(list, status, config);
	add_reasons(list, status, ctl->environment->root && looked < 0);
	json_decref(status);
	if (looked < 0)
		return finish(ctl, list);
	json_decref(list);
	return looked;
}
