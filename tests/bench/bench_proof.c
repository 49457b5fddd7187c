/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a proof takes, in time of the processor: of the default policy, after a reload of one flow, of many
 * protected servers and of many networks, and how that grows. bench_proof FILE.ini OTHER.ini NETWORKS.ini   for
 * tests/bench/run: the default, one flow changed, 100,000 networks */
#include "config/ini.h"
#include "core/compile.h"
#include "core/delta.h"
#include "core/proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ROUNDS = 21, FLOWS = 20 };

static char lan[1][CONFIG_INTERFACE_MAX + 1] = { "lan" };
static const struct ranges no_ranges;
static const struct names_view no_names;

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "bench_proof: %s\n", what);
		exit(EXIT_FAILURE);
	}
}

static double milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

struct bench {
	struct policy policy;
	struct interface_list *interfaces;
	struct environment environment;
	struct ruleset ruleset;
};

static int read_text(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	(void)path;
	*ret_bytes = strdup(userdata);
	*ret_length = strlen(userdata);
	return *ret_bytes ? 0 : -1;
}

static void bench_begin(struct bench *b, const char *path, char *text)
{
	struct diags diags = { 0 };
	struct config config;
	int r = config_load(&config, path, text ? read_text : config_read_disk, text, &diags);

	if (r == 0 && !diags_failed(&diags))
		r = policy_from_config(&b->policy, &config, &diags);
	must(r == 0 && !diags_failed(&diags), path);
	diags_free(&diags);
	config_free(&config);
	b->interfaces = calloc(b->policy.role_count, sizeof(*b->interfaces));
	must(b->interfaces != NULL, "out of memory");
	for (size_t i = 0; i < b->policy.role_count; i++)
		if (b->policy.roles[i].is_protected)
			b->interfaces[i] = (struct interface_list){ lan, 1 };
	b->environment = (struct environment){
		.gateway = &no_ranges, .role_interfaces = b->interfaces, .names = &no_names, .towards = { lan, 1 }
	};
	must(compile(&b->ruleset, &b->policy, &b->environment) == 0, "compile");
}

static void bench_end(struct bench *b)
{
	ruleset_free(&b->ruleset);
	free(b->interfaces);
	policy_free(&b->policy);
}

static double prove(const struct bench *b, const struct ruleset *found, uint64_t *ret_cells)
{
	struct proof_result result;
	double begin = milliseconds();

	must(proof_run(&result, &b->policy, &b->environment, found, &b->ruleset) == 0, "out of memory");
	must(result.state == PROOF_EQUAL, result.text);
	*ret_cells = result.cells;
	return milliseconds() - begin;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(const struct bench *b, const struct ruleset *found, int rounds, uint64_t *ret_cells)
{
	double times[ROUNDS];

	for (int i = 0; i < rounds; i++)
		times[i] = prove(b, found, ret_cells);
	qsort(times, (size_t)rounds, sizeof(*times), by_size);
	return times[rounds / 2];
}

static void row(const char *what, double time, uint64_t cells)
{
	printf("%-42s %10.2f ms %10llu cells\n", what, time, (unsigned long long)cells);
}

/* What is proven of a reload is what the difference makes of what was there. */
static void bench_reload(const char *before, const char *after)
{
	const struct delta_options options = { .exists = true };
	struct bench old = { 0 }, new = { 0 };
	struct ruleset made;
	struct delta delta;
	uint64_t cells;

	bench_begin(&old, before, NULL);
	bench_begin(&new, after, NULL);
	double time = median(&old, &old.ruleset, ROUNDS, &cells);
	row("proof: the default policy", time, cells);
	must(delta_compute(&delta, &old.ruleset, &new.ruleset, &options) == 0, "delta_compute");
	must(delta_apply(&made, &old.ruleset, delta.items, delta.count) == 0, "delta_apply");
	time = median(&new, &made, ROUNDS, &cells);
	row("proof: a reload of one flow", time, cells);
	delta_applied_free(&made);
	delta_free(&delta);
	bench_end(&old);
	bench_end(&new);
}

static void bench_networks(const char *path)
{
	struct bench b = { 0 };
	struct rusage before, after;
	uint64_t cells;

	bench_begin(&b, path, NULL);
	getrusage(RUSAGE_SELF, &before);
	double time = median(&b, &b.ruleset, 3, &cells);
	getrusage(RUSAGE_SELF, &after);
	row("proof: 100,000 networks", time, cells);
	printf("%-42s %9.1f MiB more at its peak\n", "", (double)(after.ru_maxrss - before.ru_maxrss) / 1024);
	bench_end(&b);
}

static void growth(double ratio)
{
	printf("%-42s %10.1f times as long, of 10 times as many\n", "", ratio);
}

/* Each server with its own flows: of administrators, of one address, to one address and to all. */
static char *servers_text(unsigned servers)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	must(out != NULL, "out of memory");
	fputs("[gateway]\npreset = none\n[server]\naddress = 10.0.0.1\n[role ADM]\nmembers = 192.0.2.0/24\n", out);
	for (unsigned s = 0; s < servers; s++) {
		fprintf(out, "[role S%u]\nmembers = 10.1.%u.%u\nprotected = yes\n", s, s / 250, s % 250 + 1);
		for (unsigned f = 0; f < FLOWS; f++) {
			char from[32], to[32];
			snprintf(from, sizeof(from),
				 f < 10   ? "ADM"
				 : f < 15 ? "172.16.%u.%u"
					  : "S%u",
				 f < 15 ? s / 250 : s, s % 250);
			snprintf(to, sizeof(to),
				 f < 15   ? "S%u"
				 : f < 18 ? "any"
					  : "198.51.%u.%u",
				 f < 15 ? s : s / 250, s % 250);
			fprintf(out, "[flow f%u-%u]\nfrom = %s\nto = %s\nprotocol = %s\nport = %u\n", s, f, from, to,
				f % 7 == 6 ? "udp" : "tcp", 1000 + f * 17 + s % 3);
		}
	}
	must(fclose(out) == 0, "out of memory");
	return text;
}

static void bench_servers(void)
{
	static const unsigned counts[] = { 1, 10, 100, 1000 };
	double before = 0, read_before = 0;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		char *text = servers_text(counts[i]), what[64];
		struct bench b = { 0 };
		uint64_t cells;
		double begin = milliseconds();
		bench_begin(&b, "servers.ini", text);
		double read = milliseconds() - begin;
		double time = median(&b, &b.ruleset, 3, &cells);
		snprintf(what, sizeof(what), "proof: %u protected servers, %d flows each", counts[i], FLOWS);
		row(what, time, cells);
		if (i)
			growth(time / before);
		snprintf(what, sizeof(what), "read and compiled: %u protected servers", counts[i]);
		printf("%-42s %10.2f ms\n", what, read);
		if (i)
			growth(read / read_before);
		before = time;
		read_before = read;
		bench_end(&b);
		free(text);
	}
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: bench_proof FILE.ini OTHER.ini NETWORKS.ini");
	bench_reload(argv[1], argv[2]);
	bench_networks(argv[3]);
	bench_servers();
	return EXIT_SUCCESS;
}
