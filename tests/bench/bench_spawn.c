/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bench_spawn ROUNDS COMMAND [-- COMMAND]: how long each takes as a whole process, in turn: the medians in ms, a line
 * each. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double run(char **command, posix_spawn_file_actions_t *actions)
{
	double t0 = milliseconds();
	pid_t child;
	int status;

	if (posix_spawnp(&child, command[0], actions, NULL, command, environ) != 0 ||
	    waitpid(child, &status, 0) != child) {
		fprintf(stderr, "bench_spawn: can't run %s\n", command[0]);
		exit(EXIT_FAILURE);
	}
	return milliseconds() - t0;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[1]) : 0, commands = 1;
	char **command[2] = { argv + 2 };
	posix_spawn_file_actions_t actions;

	if (rounds < 1)
		return EXIT_FAILURE;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0 && commands == 1 && i + 1 < argc) {
			argv[i] = NULL;
			command[commands++] = argv + i + 1;
		}
	}
	double *times = calloc((size_t)rounds * 2, sizeof(*times));
	if (!times || posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) != 0)
		return EXIT_FAILURE;
	for (int i = 0; i < rounds; i++)
		for (int c = 0; c < commands; c++)
			times[c * rounds + i] = run(command[c], &actions);
	for (int c = 0; c < commands; c++) {
		qsort(times + c * rounds, (size_t)rounds, sizeof(*times), by_size);
		printf("%.2f\n", times[c * rounds + rounds / 2]);
	}
	posix_spawn_file_actions_destroy(&actions);
	free(times);
	return EXIT_SUCCESS;
}
