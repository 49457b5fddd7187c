/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/ini.h"
#include "core/health_note.h"
#include "state_file.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* spefw-notify: runs the program of `notify` where health is another one than was reported last. The program comes from
 * root's file, never from what spefwd wrote; of that, only codes that are known and text that is fit to print are
 * passed on. */

enum {
	STATES_MAX = 20, /* that follow each other in one run: who changes all the time, is told the next time */
	LOOK_MS = 250,   /* how often it is looked whether spefwd is back */
	GONE_S = 15,     /* a restart is no news: spefwd is down for so long, in all */
	GONE_MAX_S = 60,
	BACK_MORE_S = 5, /* after which it has written how health is, if it ever will */
	WAIT_FACTOR = 4, /* of GONE_S, and no longer */
};

static const char told_file[] = "told";

/* clang-format off */
static const char usage[] =
	"Usage: spefw-notify [-c FILE] [-s PATH] [-d DIR] [-w SECONDS]\n"
	"\n"
	"Runs the program of the key notify after a change of health. spefw-notify.service\n"
	"runs it.\n"
	"\n"
	"  -c, --config FILE  configuration (" SYSCONFDIR "/spefw/spefw.ini)\n"
	"  -s, --socket PATH  control socket of spefwd (" RUNSTATEDIR "/control.sock),\n"
	"                     which writes health as PATH.health\n"
	"  -d, --state DIR    what was reported last (/var/lib/spefw-notify)\n"
	"  -w, --wait SECONDS for a daemon that is down to come back (15)\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n";
/* clang-format on */

struct paths {
	const char *config, *socket, *state;
	char from[PATH_MAX]; /* what spefwd wrote */
	unsigned gone_ms;    /* see GONE_S */
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

/* Whether somebody listens; in doubt one does. */
static bool is_running(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	bool gone = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
		    (errno == ENOENT || errno == ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	return !gone;
}

/* What a daemon that does not run left behind is how it was when it ended, if it had the time to say so. */
static int set_stopped(const char *path, struct health *ret)
{
	int r = read_from(path, ret);

	if (r == 0 && health_has(ret, HEALTH_STOPPED))
		return 0;
	if (r == 0)
		health_free(ret);
	*ret = (struct health){ 0 };
	health_add(ret, HEALTH_STOPPED, "spefwd is not running: the table stays as it was, and nothing is followed");
	return ret->out_of_memory ? -ENOMEM : 0;
}

/* How health is. Where spefwd does not run, or has just begun, it is waited for; where it ends over and over, it is
 * taken for one that does not run. -ENOENT: it runs and has written nothing, as without the key. */
static int look(const struct paths *paths, struct health *ret)
{
	unsigned gone_ms = 0, back_ms = 0;

	for (unsigned waited_ms = 0; waited_ms < WAIT_FACTOR * paths->gone_ms; waited_ms += LOOK_MS) {
		bool running = is_running(paths->socket);
		int r = running ? read_from(paths->from, ret) : -ENOENT;
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0 && !health_has(ret, HEALTH_STOPPED))
			return 0;
		if (r == 0)
			health_free(ret);
		back_ms = running ? back_ms + LOOK_MS : 0;
		gone_ms += running ? 0 : LOOK_MS;
		if (back_ms > paths->gone_ms + BACK_MORE_S * 1000)
			return -ENOENT;
		if (gone_ms > paths->gone_ms)
			break;
		usleep(LOOK_MS * 1000);
	}
	return gone_ms <= paths->gone_ms && is_running(paths->socket) ? -ENOENT : set_stopped(paths->from, ret);
}

/* 1: health was another one, and that was told; 0: it was not; -1: that went wrong, and was reported. Who was never
 * told anything is not told that all is well. */
static int tell(const struct paths *paths, const char *program)
{
	struct health now = { 0 }, told = { 0 };

	int r = look(paths, &now);
	if (r == -ENOENT)
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
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "socket", required_argument, NULL, 's' },
						 { "state", required_argument, NULL, 'd' },
						 { "wait", required_argument, NULL, 'w' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'V' },
						 { 0 } };
	unsigned long wait_s = GONE_S;
	char *end;
	int option;

	*ret = (struct paths){ SYSCONFDIR "/spefw/spefw.ini", RUNSTATEDIR "/control.sock", "/var/lib/spefw-notify", "",
			       0 };
	while ((option = getopt_long(argc, argv, "c:s:d:w:hV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': ret->config = optarg; break;
		case 's': ret->socket = optarg; break;
		case 'd': ret->state = optarg; break;
		case 'w':
			wait_s = strtoul(optarg, &end, 10);
			if (end == optarg || *end || wait_s > GONE_MAX_S) {
				fprintf(stderr, "spefw-notify: -w takes seconds, 0 to %d\n", GONE_MAX_S);
				return 2;
			}
			break;
		case 'h': fputs(usage, stdout); return 0;
		case 'V': puts("spefw-notify " PACKAGE_VERSION); return 0;
		default: fputs(usage, stderr); return 2;
		}
	}
	snprintf(ret->from, sizeof(ret->from), "%s.health", ret->socket);
	ret->gone_ms = (unsigned)wait_s * 1000;
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
