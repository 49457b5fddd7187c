/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spefwd.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 512 * 1024 };

extern char **environ;

char *spefwd_find(const char *name, const char *folder)
{
	char self[4096], *path = NULL;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length > 0) {
		self[length] = '\0';
		char *slash = strrchr(self, '/');
		if (slash && asprintf(&path, "%.*s/%s", (int)(slash - self), self, name) < 0)
			return NULL;
		if (path && access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* The process, or a negative errno. */
static pid_t start(const char *const *arguments, int *ret_fd)
{
	pid_t pid;
	posix_spawn_file_actions_t actions;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	int r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		if (r == 0)
			r = posix_spawn(&pid, arguments[0], &actions, NULL, (char *const *)arguments, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return -r;
	}
	*ret_fd = ends[0];
	return pid;
}

/* Until the end of file: the program has ended, or closed its output. */
static int collect(int fd, unsigned timeout_s, char *output)
{
	int64_t deadline_ms = wait_deadline_ms(timeout_s);
	size_t length = 0;

	for (;;) {
		int r = wait_until(deadline_ms, fd, POLLIN);
		if (r < 0)
			return r;
		ssize_t n = read(fd, output + length, OUTPUT_MAX - length);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			output[length] = '\0';
			return 0;
		}
		if (n > 0)
			length += (size_t)n;
		if (length == OUTPUT_MAX)
			return -EMSGSIZE;
	}
}

int spefwd_run(const char *const *arguments, unsigned timeout_s, char **ret_output)
{
	char *output = malloc(OUTPUT_MAX);
	int fd = -1, status;

	if (!output)
		return -ENOMEM;
	pid_t pid = start(arguments, &fd);
	if (pid < 0) {
		free(output);
		return pid;
	}
	int r = collect(fd, timeout_s, output);
	close(fd);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
	if (r < 0) {
		free(output);
		return r;
	}
	*ret_output = output;
	return r;
}

json_t *spefwd_inspect(const char *program, int *ret_status)
{
	const char *const arguments[] = { program, "--inspect", "--json", NULL };
	char *output = NULL;

	*ret_status = spefwd_run(arguments, SPEFWD_TIMEOUT_S, &output);
	json_t *table = *ret_status >= 0 ? json_loads(output, JSON_REJECT_DUPLICATES, NULL) : NULL;
	free(output);
	if (json_is_object(table))
		return table;
	json_decref(table);
	return NULL;
}
