/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/printable.h"
#include "net/links.h"
#include "net/local_addresses.h"
#include "nft/inspect.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORTED_MAX = 200 }; /* troubles; the rest is counted */

static const char tables_unread[] = "the tables of other programs could not be looked at";

static void could_not(struct doctor *doctor, const char *check, const char *what, int error)
{
	if (error < 0)
		troubles_add(&doctor->troubles, GRAVITY_NOTE, check, what, strerror(-error), NULL);
}

/* Without a policy there is nobody to judge for; what concerns the system alone is still looked at. */
static void say_config(struct doctor *doctor, const char *path, const struct diags *diags, int error)
{
	char *first = NULL;

	for (size_t i = 0; i < diags->count && !first; i++)
		if (diags->items[i].severity == DIAG_ERROR)
			first = diag_format(&diags->items[i]);
	if (first)
		make_printable(first);
	troubles_add(&doctor->troubles, GRAVITY_SERIOUS, "config",
		     "the configuration can't be used: the flows are not judged", first ? first : strerror(-error),
		     "spefwctl check lists all that is wrong with it");
	free(first);
	(void)path;
}

static int load(struct doctor *doctor, const char *path)
{
	struct diags diags = { 0 };
	bool changed;

	int r = policy_file_load(&doctor->file, path, &(struct policy_source){ 0 }, &diags);
	if (r < 0)
		say_config(doctor, path, &diags, r);
	else
		r = policy_leave_out(&doctor->file.policy, links_gateway_addresses(doctor->links), &changed);
	diags_free(&diags);
	return r;
}

static void ignore_change(void *userdata)
{
	(void)userdata;
}

/* Whether our table is loaded and guards: 0 or a negative errno. */
static int read_table(bool *ret_guards)
{
	struct nft_inspection found;
	int r = nft_inspect(&found);

	if (r < 0)
		fprintf(stderr, "spefw-doctor: %s%s\n", found.error, r == -EPERM ? " (only root can look)" : "");
	*ret_guards = r == 0 && found.guards;
	ruleset_free(&found.table);
	return r;
}

/* What only root can see: facts, which the kernel has made, and what others wrote, as it is. */
static int take_all(struct doctor *doctor, const char *path, bool *ret_usable)
{
	int r = sd_event_new(&doctor->event);
	if (r >= 0)
		r = links_new(&doctor->links, doctor->event, ignore_change, NULL);
	if (r < 0)
		return r;
	doctor->facts.gateway = links_gateway_addresses(doctor->links);
	*ret_usable = load(doctor, path) == 0;
	doctor->facts.table_guards = true; /* without a policy not known, and not what is wrong first */
	if (*ret_usable) {
		r = read_table(&doctor->facts.table_guards);
		if (r < 0)
			return r;
		could_not(doctor, "links", "interfaces and routes could not be looked at", doctor_read_links(doctor));
		could_not(doctor, "drop", tables_unread, doctor_take_tables(doctor));
	}
	doctor_read_system(doctor);
	return 0;
}

static int read_all(struct doctor *doctor, const char *path)
{
	bool usable;

	int r = take_all(doctor, path, &usable);
	if (r == 0)
		r = doctor_drop(&doctor->nobody);
	if (r < 0 || !usable)
		return r;
	could_not(doctor, "resolver", "names could not be looked at", doctor_read_names(doctor));
	could_not(doctor, "drop", tables_unread, doctor_read_tables(doctor));
	could_not(doctor, "tls", "certificates could not be looked at", doctor_read_tls(doctor));
	return 0;
}

static void print_json(const struct troubles *troubles)
{
	json_t *list = json_array();

	for (size_t i = 0; i < troubles->count; i++) {
		const struct trouble *trouble = &troubles->items[i];
		json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "severity", gravity_word(trouble->gravity), "check",
					trouble->check, "what", trouble->what, "evidence",
					trouble->evidence ? trouble->evidence : "");
		if (one && trouble->remedy)
			json_object_set_new(one, "remedy", json_string(trouble->remedy));
		json_array_append_new(list, one);
	}
	json_t *out = json_pack("{s:o}", "findings", list);
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(out);
}

/* Notes, or the others. Returns how many there are. */
static size_t print_those(const struct troubles *troubles, bool notes)
{
	size_t count = 0;

	for (size_t i = 0; i < troubles->count; i++) {
		const struct trouble *trouble = &troubles->items[i];
		if ((trouble->gravity == GRAVITY_NOTE) != notes)
			continue;
		count++;
		printf("%s: %s (%s)%s%s\n", gravity_word(trouble->gravity), trouble->what,
		       trouble->evidence ? trouble->evidence : "?", trouble->remedy ? ": " : "",
		       trouble->remedy ? trouble->remedy : "");
	}
	return count;
}

/* What could not be looked at comes first: of that nothing is known. */
static void print_lines(const struct troubles *troubles)
{
	size_t notes = print_those(troubles, true);

	if (!print_those(troubles, false))
		puts(notes ? "nothing stands in the way in what could be looked at" : "nothing stands in the way");
}

static int print(struct doctor *doctor, bool json)
{
	struct troubles *troubles = &doctor->troubles;
	char rest[80];

	if (troubles->failed) {
		fputs("spefw-doctor: out of memory\n", stderr);
		return EXIT_FAILURE;
	}
	if (troubles->count > REPORTED_MAX) {
		snprintf(rest, sizeof(rest), "%zu more", troubles->count - REPORTED_MAX);
		for (size_t i = REPORTED_MAX; i < troubles->count; i++) {
			free(troubles->items[i].what);
			free(troubles->items[i].evidence);
			free(troubles->items[i].remedy);
		}
		troubles->count = REPORTED_MAX;
		troubles_add(troubles, GRAVITY_NOTE, "doctor", "there are more findings than are reported", rest, NULL);
	}
	if (json)
		print_json(troubles);
	else
		print_lines(troubles);
	return troubles->count && troubles->items[0].gravity == GRAVITY_SERIOUS ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void free_interfaces(struct interface_list *interfaces, size_t count)
{
	for (size_t i = 0; interfaces && i < count; i++)
		free(interfaces[i].names);
	free(interfaces);
}

static void finish(struct doctor *doctor)
{
	free_interfaces(doctor->roles, doctor->file.policy.role_count);
	free_interfaces(doctor->peers, doctor->file.policy.flow_count);
	names_view_free(&doctor->names);
	foreign_recording_free(&doctor->nftables);
	for (enum family family = 0; family < FAMILIES; family++)
		doctor_free_legacy(doctor->legacy[family]);
	doctor_facts_free(&doctor->facts);
	troubles_free(&doctor->troubles);
	policy_file_free(&doctor->file);
	links_free(doctor->links);
	sd_event_unref(doctor->event);
}

int doctor_run(const char *config_path, bool json)
{
	struct doctor doctor = { .facts = { .forwarding = { -1, -1 } } };

	if (geteuid() != 0) {
		fputs("spefw-doctor: only root can look at all of it\n", stderr);
		return EXIT_FAILURE;
	}
	doctor.facts.policy = &doctor.file.policy;
	int r = read_all(&doctor, config_path);
	if (r < 0) {
		fprintf(stderr, "spefw-doctor: can't look: %s\n", strerror(-r));
		finish(&doctor);
		return EXIT_FAILURE;
	}
	doctor_judge(&doctor.troubles, &doctor.facts);
	int status = print(&doctor, json);
	finish(&doctor);
	return status;
}
