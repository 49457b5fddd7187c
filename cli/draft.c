/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "draft.h"
#include "config/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { ATTRIBUTES_MAX = 4096, ATTRIBUTE_MAX = 64 * 1024 };

extern char **environ;

static int read_text(const char *path, char **ret)
{
	size_t length;
	char *bytes;
	int r = config_read_disk(NULL, path, &bytes, &length);

	if (r < 0)
		return r;
	*ret = strndup(bytes, length);
	free(bytes);
	if (!*ret)
		return -ENOMEM;
	if (strlen(*ret) == length)
		return 0;
	free(*ret);
	*ret = NULL;
	return -EINVAL; /* no text */
}

/* On the directory: it leaves no file behind, and the file itself is another one after each edit. */
static int take_lock(const char *path)
{
	char *directory = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = !directory ? -ENOMEM : fd < 0 ? -errno : 0;

	free(directory);
	if (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* Labels of SELinux and access lists, where the file system has them. */
static void copy_attributes(int from, int to)
{
	static char names[ATTRIBUTES_MAX], value[ATTRIBUTE_MAX];
	ssize_t length = flistxattr(from, names, sizeof(names));

	for (const char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, value, sizeof(value));
		if (size >= 0)
			(void)!fsetxattr(to, name, value, (size_t)size, 0);
	}
}

static int write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left;) {
		ssize_t n = write(fd, text, left);
		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* Owner, mode and attributes of the file; some editors make a new one. */
static int dress_copy(const struct draft *draft, int to)
{
	int from = open(draft->path, O_RDONLY | O_CLOEXEC);
	struct stat info;

	if (from < 0)
		return -errno;
	int r = fstat(from, &info) < 0 || fchown(to, info.st_uid, info.st_gid) < 0 ||
				fchmod(to, info.st_mode & 07777) < 0
			? -errno
			: 0;
	if (r == 0)
		copy_attributes(from, to);
	close(from);
	return r;
}

static int make_copy(struct draft *draft)
{
	int directory = (int)(strrchr(draft->path, '/') - draft->path);
	char *copy = NULL;

	if (asprintf(&copy, "%.*s/.spefwctl-XXXXXX.ini", directory, draft->path) < 0)
		return -ENOMEM;
	int fd = mkostemps(copy, 4, O_CLOEXEC);
	if (fd < 0) {
		free(copy);
		return -errno;
	}
	draft->copy = copy;
	int r = dress_copy(draft, fd);
	if (r == 0)
		r = write_all(fd, draft->text);
	close(fd);
	return r;
}

int draft_new(struct draft *ret, const char *path)
{
	*ret = (struct draft){ .path = realpath(path, NULL), .lock = -1 };
	if (!ret->path)
		return -errno;
	ret->lock = take_lock(ret->path);
	if (ret->lock < 0)
		return ret->lock;
	int r = read_text(ret->path, &ret->text);
	return r < 0 ? r : make_copy(ret);
}

void draft_free(struct draft *draft, bool keep_copy)
{
	if (draft->copy && !keep_copy)
		unlink(draft->copy);
	if (draft->lock >= 0)
		close(draft->lock);
	free(draft->path);
	free(draft->copy);
	free(draft->former);
	free(draft->text);
	free(draft->edited);
	*draft = (struct draft){ .lock = -1 };
}

static const char *editor(void)
{
	static const char *const names[] = { "SUDO_EDITOR", "VISUAL", "EDITOR" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return value;
	}
	return access("/usr/bin/editor", X_OK) == 0 ? "/usr/bin/editor" : "vi";
}

/* It gets the interrupts of the terminal, and we don't. */
static int run(char *const *arguments)
{
	static const int numbers[] = { SIGINT, SIGQUIT };
	struct sigaction ignored = { .sa_handler = SIG_IGN }, before[2];
	posix_spawnattr_t attributes;
	sigset_t defaults;
	pid_t pid;
	int status = 0;

	sigemptyset(&defaults);
	for (size_t i = 0; i < 2; i++) {
		sigaddset(&defaults, numbers[i]);
		sigaction(numbers[i], &ignored, &before[i]);
	}
	int r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		posix_spawnattr_setsigdefault(&attributes, &defaults);
		posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
		r = posix_spawn(&pid, arguments[0], NULL, &attributes, arguments, environ);
		posix_spawnattr_destroy(&attributes);
	}
	while (r == 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			r = errno;
	for (size_t i = 0; i < 2; i++)
		sigaction(numbers[i], &before[i], NULL);
	if (r != 0)
		return -r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int draft_edit(const struct draft *draft)
{
	char *command = NULL;

	/* It may have arguments. */
	if (asprintf(&command, "exec %s \"$1\"", editor()) < 0)
		return -ENOMEM;
	int r = run((char *const[]){ (char[]){ "/bin/sh" }, (char[]){ "-c" }, command, (char[]){ "sh" }, draft->copy,
				     NULL });
	free(command);
	return r;
}

/* 1: the file is another text; 0; or a negative errno. */
static int differs(const char *path, const char *text)
{
	char *now;
	int r = read_text(path, &now);

	if (r < 0)
		return r;
	r = strcmp(now, text) != 0;
	free(now);
	return r;
}

int draft_changed(const struct draft *draft)
{
	return differs(draft->copy, draft->text);
}

/* Ready to take its place. */
static int finish_copy(struct draft *draft)
{
	int fd = open(draft->copy, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	int r = dress_copy(draft, fd);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r == 0 ? read_text(draft->copy, &draft->edited) : r;
}

int draft_install(struct draft *draft)
{
	char *former = NULL;

	int r = differs(draft->path, draft->text);
	if (r != 0)
		return r < 0 ? r : -ESTALE;
	r = finish_copy(draft);
	if (r < 0)
		return r;
	if (asprintf(&former, "%s.old", draft->copy) < 0)
		return -ENOMEM;
	if (link(draft->path, former) < 0) {
		r = -errno;
	} else if (rename(draft->copy, draft->path) < 0) {
		r = -errno;
		unlink(former);
	}
	if (r < 0) {
		free(former);
		return r;
	}
	fsync(draft->lock); /* the directory */
	draft->former = former;
	return 0;
}

int draft_put_back(struct draft *draft)
{
	int r = differs(draft->path, draft->edited);

	if (r != 0)
		return r < 0 ? r : -ESTALE;
	/* Its text is there once more, for whoever wrote it. */
	if (link(draft->path, draft->copy) < 0 || rename(draft->former, draft->path) < 0)
		return -errno;
	fsync(draft->lock);
	free(draft->former);
	draft->former = NULL;
	return 0;
}

void draft_keep(struct draft *draft)
{
	unlink(draft->former);
	free(draft->former);
	draft->former = NULL;
	free(draft->copy);
	draft->copy = NULL;
}
