/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/array.h"
#include "core/printable.h"
#include "core/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FILE_MAX = 4 << 20, /* bytes of a saved ruleset that are looked at */
	FILES_MAX = 64,     /* with what they include */
	DEPTH_MAX = 8,
	OUTPUT_MAX = 1 << 20,                 /* bytes of the patterns that a file includes */
	UNSYNCHRONISED_US = 16 * 1000 * 1000, /* what the kernel gives when nobody sets the clock; as systemd has it */
};

/* 0 or a negative errno. */
static int read_number(const char *path, long long *ret)
{
	char text[32], *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	int r = length < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (r < 0)
		return r;
	text[length] = '\0';
	*ret = strtoll(text, &end, 10);
	return end == text ? -EINVAL : 0;
}

static int sysctl_of(const char *format, const char *interface)
{
	char path[128];
	long long value;

	snprintf(path, sizeof(path), format, interface);
	return read_number(path, &value) < 0 ? -1 : (int)value;
}

static void read_sysctls(struct doctor_facts *facts)
{
	facts->forwarding[FAMILY_4] = sysctl_of("/proc/sys/net/ipv4/%s", "ip_forward");
	facts->forwarding[FAMILY_6] = sysctl_of("/proc/sys/net/ipv6/conf/%s/forwarding", "all");
	for (size_t i = 0; i < facts->interfaces.count; i++)
		facts->interfaces.items[i].forwarding =
			sysctl_of("/proc/sys/net/ipv4/conf/%s/forwarding", facts->interfaces.items[i].name);
	int all = sysctl_of("/proc/sys/net/ipv4/conf/%s/rp_filter", "all");
	for (size_t i = 0; i < facts->detours.count; i++) {
		int own = sysctl_of("/proc/sys/net/ipv4/conf/%s/rp_filter", facts->detours.items[i].interface);
		facts->detours.items[i].rp_filter = own > all ? own : all; /* as the kernel takes it */
	}
}

static void read_tracking(struct doctor_facts *facts)
{
	long long count, max;

	if (read_number("/proc/sys/net/netfilter/nf_conntrack_count", &count) == 0 &&
	    read_number("/proc/sys/net/netfilter/nf_conntrack_max", &max) == 0 && count >= 0 && max > 0) {
		facts->tracked = (uint64_t)count;
		facts->tracked_max = (uint64_t)max;
	}
}

static void read_clock(struct doctor_facts *facts)
{
	struct timex timex = { .modes = 0 };

	facts->clock_known = adjtimex(&timex) >= 0;
	facts->clock_synchronised = timex.maxerror < UNSYNCHRONISED_US;
	facts->clock_error_ms = timex.maxerror / 1000;
}

/* Saved rulesets. */

struct saved_walk {
	struct doctor_facts *facts;
	const char *etc;
	unsigned depth, files;
};

static char *read_text(const char *path, size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat stat;
	char *text = NULL;
	ssize_t got = -1;

	if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		text = malloc(FILE_MAX);
	*ret_length = 0;
	while (text && *ret_length < FILE_MAX && (got = read(fd, text + *ret_length, FILE_MAX - *ret_length)) > 0)
		*ret_length += (size_t)got;
	if (fd >= 0)
		close(fd);
	if (got < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* In a child that is nobody: which files are included must be known while they can be opened still. Patterns go to
 * `output`, each with a NUL behind it, then the line. */
static void write_pattern(void *userdata, const char *pattern, size_t length)
{
	FILE *output = userdata;

	if (length && length < PATH_MAX)
		fprintf(output, "%.*s%c", (int)length, pattern, '\0');
}

static void __attribute__((noreturn)) scan_in_child(const char *text, size_t length, int output)
{
	FILE *stream = fdopen(output, "w");
	bool nobody;

	if (!stream || (output > 0 && close_range(0, (unsigned)output - 1, 0) < 0) ||
	    close_range((unsigned)output + 1, ~0u, 0) < 0 || doctor_drop(&nobody) < 0)
		_exit(1);
	unsigned line = saved_scan(text, length, write_pattern, stream);
	fprintf(stream, "%u", line);
	_exit(fclose(stream) != 0);
}

/* Until its end; what it wrote, with a NUL behind it. NULL: it failed. The caller frees it. */
static char *scan(const char *text, size_t length, size_t *ret_size)
{
	char *output = calloc(1, OUTPUT_MAX + 1);
	int ends[2], status;
	ssize_t got = -1;

	*ret_size = 0;
	if (!output || pipe2(ends, O_CLOEXEC) < 0) {
		free(output);
		return NULL;
	}
	pid_t pid = fork();
	if (pid == 0)
		scan_in_child(text, length, ends[1]);
	close(ends[1]);
	while (pid > 0 && *ret_size < OUTPUT_MAX &&
	       (got = read(ends[0], output + *ret_size, OUTPUT_MAX - *ret_size)) > 0)
		*ret_size += (size_t)got;
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (got == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return output;
	free(output);
	return NULL;
}

static void walk_file(struct saved_walk *walk, const char *path);

static void walk_included(struct saved_walk *walk, const char *pattern)
{
	char path[PATH_MAX];
	glob_t found;

	/* nft looks for what has no path in /etc. */
	int size = snprintf(path, sizeof(path), "%s%s%s", *pattern == '/' ? "" : walk->etc, *pattern == '/' ? "" : "/",
			    pattern);
	if (size < 0 || (size_t)size >= sizeof(path) || walk->depth >= DEPTH_MAX || glob(path, 0, NULL, &found) != 0)
		return;
	walk->depth++;
	for (size_t i = 0; i < found.gl_pathc; i++)
		walk_file(walk, found.gl_pathv[i]);
	walk->depth--;
	globfree(&found);
}

static void walk_file(struct saved_walk *walk, const char *path)
{
	size_t length, size;

	if (walk->files >= FILES_MAX)
		return;
	char *text = read_text(path, &length);
	if (!text)
		return;
	walk->files++;
	char *output = scan(text, length, &size), *at = output;
	free(text);
	for (; output && at + strlen(at) < output + size; at += strlen(at) + 1)
		walk_included(walk, at);
	unsigned line = output ? (unsigned)strtoul(at, NULL, 10) : 0;
	struct saved_fact fact = { .path = line ? strdup(path) : NULL, .line = line };
	if (fact.path)
		make_printable(fact.path);
	if (fact.path && ARRAY_PUSH(&walk->facts->saved, fact) < 0)
		free(fact.path);
	free(output);
}

static void read_saved(struct doctor_facts *facts)
{
	static const char *const names[] = { "nftables.conf", "sysconfig/nftables.conf", "iptables/rules.v4",
					     "iptables/rules.v6" };
	const char *other = getenv("SPEFW_DOCTOR_ETC"); /* for tests */
	struct saved_walk walk = { .facts = facts, .etc = other ? other : "/etc" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (snprintf(path, sizeof(path), "%s/%s", walk.etc, names[i]) < (int)sizeof(path))
			walk_file(&walk, path);
}

void doctor_read_system(struct doctor *doctor)
{
	read_sysctls(&doctor->facts);
	read_tracking(&doctor->facts);
	read_clock(&doctor->facts);
	read_saved(&doctor->facts);
}
