/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long a policy takes to come into force: by spefw's own way (compile, difference, netlink batch), and by
 * libnftables given the same ruleset as text. For tests/bench/run, which brings the network namespace. bench_apply
 * flows A.ini B.ini ROUNDS  both ways in turn, in this process: a new table of A, and a reload from A to B bench_apply
 * ours|nft FILE             once, from a file (.ini or .nft) into the kernel: milliseconds, peak KiB bench_apply text
 * FILE.ini             the ruleset as text */
#include "config/ini.h"
#include "core/compile.h"
#include "core/delta.h"
#include "nft/socket.h"

#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "bench_apply: %s\n", what);
		exit(EXIT_FAILURE);
	}
}

static double milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void load_policy(struct policy *ret, const char *path)
{
	struct diags diags = { 0 };
	struct config config;

	int r = config_load(&config, path, config_read_disk, NULL, &diags);
	if (r == 0 && !diags_failed(&diags))
		r = policy_from_config(ret, &config, &diags);
	must(r == 0 && !diags_failed(&diags), path);
	diags_free(&diags);
	config_free(&config);
}

static void make_ruleset(struct ruleset *ret, const struct policy *policy)
{
	static char lan[1][CONFIG_INTERFACE_MAX + 1] = { "lan" };
	struct ranges gateway = { 0 };
	struct names_view names = { 0 };
	struct interface_list *interfaces = calloc(policy->role_count, sizeof(*interfaces));
	struct environment environment = { .gateway = &gateway, .role_interfaces = interfaces, .names = &names };

	must(interfaces != NULL, "out of memory");
	for (size_t i = 0; i < policy->role_count; i++)
		if (policy->roles[i].is_protected)
			interfaces[i] = (struct interface_list){ lan, 1 };
	must(compile(ret, policy, &environment) == 0, "compile");
	free(interfaces);
}

static void send_delta(struct nft_socket *socket, const struct delta *delta)
{
	if ((delta->prepare && nft_commit(socket, delta->items, delta->prepare, 0) < 0) ||
	    (delta->count > delta->prepare &&
	     nft_commit(socket, delta->items + delta->prepare, delta->count - delta->prepare, 0) < 0))
		must(false, socket->error);
}

/* What the daemon does: from a policy to the kernel. old NULL: there is no table. *ret: what is in force then. */
static void apply(struct nft_socket *socket, const struct ruleset *old, const struct policy *policy,
		  struct ruleset *ret)
{
	static const struct ruleset nothing;
	const struct delta_options options = { .exists = old != NULL };
	struct delta delta;

	make_ruleset(ret, policy);
	must(delta_compute(&delta, old ? old : &nothing, ret, &options) == 0, "delta_compute");
	send_delta(socket, &delta);
	delta_free(&delta);
}

static void retire(struct nft_socket *socket, struct ruleset *current)
{
	struct delta delta;

	must(delta_retire(&delta, current) == 0, "delta_retire");
	send_delta(socket, &delta);
	delta_free(&delta);
	delta_retired(current);
}

static void run_nft(struct nft_ctx *nft, const char *text)
{
	must(nft_run_cmd_from_buffer(nft, text) == 0, "nft");
}

static char *text_of(const struct policy *policy, const char *before)
{
	struct ruleset ruleset;
	char *text, *all;

	make_ruleset(&ruleset, policy);
	text = ruleset_text(&ruleset, 0);
	must(text && asprintf(&all, "%s%s", before, text) > 0, "out of memory");
	free(text);
	ruleset_free(&ruleset);
	return all;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_size);
	return values[count / 2];
}

static void print_row(const char *what, double *ours, double *theirs, int count)
{
	double a = median(ours, count), b = median(theirs, count);
	printf("%-42s %10.2f ms %10.2f ms %9.1f x\n", what, a, b, b / a);
}

static void bench_flows(const char *a_path, const char *b_path, int rounds)
{
	double *times = calloc((size_t)rounds * 6, sizeof(*times));
	double *fresh[2] = { times, times + rounds }, *reload[2] = { times + 2 * rounds, times + 3 * rounds };
	double *same[2] = { times + 4 * rounds, times + 5 * rounds };
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	struct nft_socket socket;
	struct policy a, b;

	load_policy(&a, a_path);
	load_policy(&b, b_path);
	char *new_a = text_of(&a, ""), *again_b = text_of(&b, "delete table inet spefw\n");
	must(times && nft && nft_open(&socket, -1) == 0, "can't begin");
	for (int i = 0; i < rounds; i++) {
		struct ruleset first, second, third;
		double t0 = milliseconds();
		apply(&socket, NULL, &a, &first);
		double t1 = milliseconds();
		apply(&socket, &first, &b, &second);
		double t2 = milliseconds();
		retire(&socket, &second);
		double t3 = milliseconds();
		apply(&socket, &second, &b, &third);
		double t4 = milliseconds();
		fresh[0][i] = t1 - t0;
		reload[0][i] = t2 - t1;
		same[0][i] = t4 - t3;
		ruleset_free(&first);
		ruleset_free(&second);
		ruleset_free(&third);
		run_nft(nft, "delete table inet spefw");

		t0 = milliseconds();
		run_nft(nft, new_a);
		t1 = milliseconds();
		run_nft(nft, again_b);
		t2 = milliseconds();
		run_nft(nft, again_b);
		t3 = milliseconds();
		fresh[1][i] = t1 - t0;
		reload[1][i] = t2 - t1;
		same[1][i] = t3 - t2;
		run_nft(nft, "delete table inet spefw");
	}
	print_row("17 flows: a new table", fresh[0], fresh[1], rounds);
	print_row("17 flows: a reload that changes one flow", reload[0], reload[1], rounds);
	print_row("17 flows: a reload that changes nothing", same[0], same[1], rounds);
	free(times);
	free(new_a);
	free(again_b);
	policy_free(&a);
	policy_free(&b);
	nft_close(&socket);
	nft_ctx_free(nft);
}

static void print_once(double since)
{
	struct rusage usage;
	double took = milliseconds() - since;

	getrusage(RUSAGE_SELF, &usage);
	printf("%.0f %ld\n", took, usage.ru_maxrss);
}

static void once_ours(const char *path)
{
	struct nft_socket socket;
	struct ruleset ruleset;
	struct policy policy;
	double t0 = milliseconds();

	must(nft_open(&socket, -1) == 0, "can't open a netlink socket");
	load_policy(&policy, path);
	apply(&socket, NULL, &policy, &ruleset);
	print_once(t0);
	ruleset_free(&ruleset);
	policy_free(&policy);
	nft_close(&socket);
}

static void once_nft(const char *path)
{
	double t0 = milliseconds();
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	must(nft && nft_run_cmd_from_filename(nft, path) == 0, path);
	print_once(t0);
	nft_ctx_free(nft);
}

int main(int argc, char **argv)
{
	struct policy policy;

	if (argc == 5 && strcmp(argv[1], "flows") == 0) {
		bench_flows(argv[2], argv[3], atoi(argv[4]));
	} else if (argc == 3 && strcmp(argv[1], "ours") == 0) {
		once_ours(argv[2]);
	} else if (argc == 3 && strcmp(argv[1], "nft") == 0) {
		once_nft(argv[2]);
	} else if (argc == 3 && strcmp(argv[1], "text") == 0) {
		load_policy(&policy, argv[2]);
		char *text = text_of(&policy, "");
		fputs(text, stdout);
		free(text);
		policy_free(&policy);
	} else {
		must(false,
		     "usage: bench_apply flows A.ini B.ini ROUNDS | ours FILE.ini | nft FILE.nft | text FILE.ini");
	}
	return EXIT_SUCCESS;
}
