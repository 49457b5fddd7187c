/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/ini.h"
#include "core/health_note.h"
#include "state_file.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* spefw-notify: runs the program of `notify` where health is another one than it was told last. The program comes from
 * root's file, never from what spefwd wrote; of that, only codes that are known and text that is fit to print are
 * passed on. */

enum {
	STATES_MAX = 20, /* that follow each other in one run: who changes all the time, is told the next time */
};

static const char told_file[] = "told";

/* clang-format off */
static const char usage[] =
	"Usage: spefw-notify [-c FILE] [-f FILE] [-d DIR]\n"
	"\n"
	"Runs the program of the key notify after a change of health. spefw-notify.service\n"
	"runs it.\n"
	"\n"
	"  -c, --config FILE  configuration (" SYSCONFDIR "/spefw/spefw.ini)\n"
	"  -f, --from FILE    what spefwd wrote (" RUNSTATEDIR "/control.sock.health)\n"
	"  -d, --state DIR    what was told last (/var/lib/spefw-notify)\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n";
/* clang-format on */

struct paths {
	const char *config, *from, *state;
};

/* The program of the file in *ret, "" where there is none. Other keys may be wrong: that is one of the things to tell.
 * The file has to be root's, whose word it is. 0 or -1, reported. */
static int read_program(const char *path, char ret[CONFIG_PATH_MAX + 1])
{
	struct diags diags = { 0 };
	struct config config;
	struct stat info;

	if (stat(path, &info) < 0) {
		fprintf(stderr, "spefw-notify: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (info.st_uid != 0 || info.st_mode & (S_IWGRP | S_IWOTH)) {
		fprintf(stderr, "spefw-notify: %s: it is not root's, or others may write it: nothing is run\n", path);
		return -1;
	}
	int r = config_load(&config, path, config_read_disk, NULL, &diags);
	if (r == 0)
		snprintf(ret, CONFIG_PATH_MAX + 1, "%s", config.notify);
	else
		fprintf(stderr, "spefw-notify: %s: %s\n", path, strerror(-r));
	config_free(&config);
	diags_free(&diags);
	return r;
}

/* -ENOENT: there is none. */
static int read_note(const char *directory, const char *file, struct health *ret)
{
	char *bytes = NULL;
	size_t length;

	int r = state_load(directory, file, HEALTH_NOTE_MAX, &bytes, &length);
	if (r == 0)
		r = health_note_read(bytes, length, ret);
	free(bytes);
	return r;
}

static int read_from(const char *path, struct health *ret)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	int r = directory ? read_note(directory, slash ? slash + 1 : path, ret) : -ENOMEM;
	free(directory);
	return r;
}

static int write_told(const char *directory, const struct health *health)
{
	char *text = health_note_write(health);

	int r = text ? state_save(directory, told_file, text, strlen(text)) : -ENOMEM;
	free(text);
	return r;
}

/* "CODE CODE" and, a line each, "CODE: TEXT". False without memory. */
static bool compose(const struct health *health, char **ret_codes, char **ret_text)
{
	size_t codes_length, text_length;
	FILE *codes = open_memstream(ret_codes, &codes_length), *text = open_memstream(ret_text, &text_length);

	for (size_t i = 0; codes && text && i < health->reasons.count; i++) {
		const struct health_reason *reason = &health->reasons.items[i];
		fprintf(codes, "%s%s", i ? " " : "", health_kinds[reason->code].name);
		fprintf(text, "%s%s: %s", i ? "\n" : "", health_kinds[reason->code].name, reason->text);
	}
	bool failed = !codes || !text;
	failed |= codes && fclose(codes) != 0;
	failed |= text && fclose(text) != 0;
	return !failed;
}

static bool set_environment(const char *old, const struct health *health)
{
	char *codes = NULL, *text = NULL;

	bool done = compose(health, &codes, &text) && setenv("SPEFW_OLD", old, 1) == 0 &&
		    setenv("SPEFW_NEW", health_word(health), 1) == 0 && setenv("SPEFW_CODES", codes, 1) == 0 &&
		    setenv("SPEFW_TEXT", text, 1) == 0;
	free(codes);
	free(text);
	return done;
}

/* 0: it ended with 0. Else -1, reported. */
static int run(const char *program, const char *old, const struct health *health)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (set_environment(old, health))
			execl(program, program, (char *)NULL);
		fprintf(stderr, "spefw-notify: %s: %s\n", program, strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		fprintf(stderr, "spefw-notify: %s: %s\n", program, strerror(errno));
		return -1;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fprintf(stderr, "spefw-notify: %s ended with %s %d: it will be run again after the next change\n", program,
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return -1;
}

/* 1: health was another one, and that was told; 0: it was not; -1: that went wrong, and was reported. Who was never
 * told anything is not told that all is well. */
static int tell(const struct paths *paths, const char *program)
{
	struct health now = { 0 }, told = { 0 };

	int r = read_from(paths->from, &now);
	if (r == -ENOENT) /* no daemon runs, or it has just begun */
		return 0;
	if (r < 0) {
		fprintf(stderr, "spefw-notify: %s: %s\n", paths->from, r == -EBADMSG ? "damaged" : strerror(-r));
		return -1;
	}
	bool first = read_note(paths->state, told_file, &told) < 0;
	bool same = !first && health_mask(&told) == health_mask(&now);
	if (!same && (!first || now.reasons.count))
		r = run(program, first ? "unknown" : health_word(&told), &now);
	if (r == 0 && !same) {
		r = write_told(paths->state, &now);
		if (r < 0)
			fprintf(stderr, "spefw-notify: %s: %s\n", paths->state, strerror(-r));
	}
	health_free(&now);
	health_free(&told);
	return r < 0 ? -1 : !same;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct paths *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "from", required_argument, NULL, 'f' },
		{ "state", required_argument, NULL, 'd' },  { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },      { 0 }
	};
	int option;

	*ret = (struct paths){ SYSCONFDIR "/spefw/spefw.ini", RUNSTATEDIR "/control.sock.health",
			       "/var/lib/spefw-notify" };
	while ((option = getopt_long(argc, argv, "c:f:d:hV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': ret->config = optarg; break;
		case 'f': ret->from = optarg; break;
		case 'd': ret->state = optarg; break;
		case 'h': fputs(usage, stdout); return 0;
		case 'V': puts("spefw-notify " PACKAGE_VERSION); return 0;
		default: fputs(usage, stderr); return 2;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	char program[CONFIG_PATH_MAX + 1] = "";
	struct paths paths;
	int status = parse(argc, argv, &paths);

	if (status >= 0)
		return status;
	if (read_program(paths.config, program) < 0)
		return EXIT_FAILURE;
	if (!*program)
		return EXIT_SUCCESS;
	/* What has changed while the program ran. */
	int r = 1;
	for (int i = 0; i < STATES_MAX && r > 0; i++)
		r = tell(&paths, program);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
