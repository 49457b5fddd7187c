/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/resolv_conf.h"
#include "log.h"
#include "timer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	SETTLE_MS = 200, /* programs write resolv.conf in several steps */
	LINKS_MAX = 8,   /* symbolic links from resolv.conf to the file */
	WATCHES_MAX = LINKS_MAX + 2,
	CONTENT_MAX = 16384,
};

struct servers {
	struct dns_server items[RESOLV_CONF_SERVERS_MAX];
	size_t count;
};

/* One step of the way from RESOLV_CONF to the file: a directory, and the name in it that matters ("": any). */
struct path_watch {
	sd_event_source *source;
	char name[NAME_MAX + 1];
	struct resolv_conf *conf;
};

struct resolv_conf {
	sd_event *event;
	void (*changed)(void *userdata);
	void *userdata;
	struct path_watch watches[WATCHES_MAX];
	size_t watch_count;
	struct timer *settle;
	struct servers servers;
};

/* "nameserver ADDRESS", as resolv.conf(5) has it. */
static void read_line(const char *line, struct servers *ret)
{
	char text[64];
	struct dns_server server = { .port = DNS_PORT };

	if (sscanf(line, " nameserver%*[ \t]%63[^ \t\r]", text) != 1)
		return;
	if (!addr_parse(text, &server.addr))
		log_warning("%s: the DNS server %s is left out: it is no address that can be queried", RESOLV_CONF,
			    text);
	else if (ret->count < RESOLV_CONF_SERVERS_MAX)
		ret->items[ret->count++] = server;
}

static void read_servers(struct servers *ret)
{
	static const struct dns_server local = { { FAMILY_4, { 127, 0, 0, 1 } }, DNS_PORT };
	char content[CONTENT_MAX + 1], *rest = content, *line;
	size_t length = 0;
	/* Whatever is in its place must not hold up the loop. */
	int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	if (fd < 0 && errno != ENOENT)
		log_warning("%s can't be read, the DNS server of this machine is queried: %s", RESOLV_CONF,
			    strerror(errno));
	while (fd >= 0 && length < CONTENT_MAX && (got = read(fd, content + length, CONTENT_MAX - length)) > 0)
		length += (size_t)got;
	if (fd >= 0)
		close(fd);
	content[length] = '\0';
	ret->count = 0;
	while ((line = strsep(&rest, "\n")))
		read_line(line, ret);
	if (!ret->count)
		ret->items[ret->count++] = local;
}

static bool same_servers(const struct servers *a, const struct servers *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = addr_compare(&a->items[i].addr, &b->items[i].addr) == 0;
	return same;
}

static int on_path(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct path_watch *watch = userdata;

	(void)source;
	if (event->len > 0 && *watch->name && strcmp(event->name, watch->name) != 0)
		return 0;
	/* Not postponed by further events: a file that is written all the time is read now and then, not never. */
	if (!timer_is_set(watch->conf->settle))
		timer_set(watch->conf->settle, SETTLE_MS);
	return 0;
}

static int watch_path(struct resolv_conf *conf, const char *path, const char *name)
{
	struct path_watch *watch = &conf->watches[conf->watch_count];

	if (conf->watch_count == WATCHES_MAX)
		return -ELOOP;
	snprintf(watch->name, sizeof(watch->name), "%s", name);
	watch->conf = conf;
	int status = sd_event_add_inotify(conf->event, &watch->source, path,
					  IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
						  IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB,
					  on_path, watch);
	if (status >= 0)
		conf->watch_count++;
	return status;
}

/* Watches the directory of path for its last name; where the directory is not there yet (as /run/systemd/resolve early
 * in boot), the nearest one that is, for the next step towards it. path is cut. */
static int watch_name(struct resolv_conf *conf, char *path)
{
	for (;;) {
		char *slash = strrchr(path, '/');
		if (!slash || !slash[1])
			return -EINVAL;
		char name[NAME_MAX + 1];
		snprintf(name, sizeof(name), "%s", slash + 1);
		slash[slash == path ? 1 : 0] = '\0';
		int status = watch_path(conf, path, name);
		if (status != -ENOENT || slash == path)
			return status;
	}
}

/* The path that the link at path leads to, in place; false: it is no link. */
static bool follow_link(char path[PATH_MAX])
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length <= 0)
		return false;
	target[length] = '\0';
	/* A slash at the end would hide the last name. */
	while (length > 1 && target[length - 1] == '/')
		target[--length] = '\0';
	char *slash = strrchr(path, '/');
	int directory = *target == '/' || !slash ? 0 : (int)(slash - path) + 1;
	int size = snprintf(joined, sizeof(joined), "%.*s%s", directory, path, target);
	if (size < 0 || (size_t)size >= sizeof(joined))
		return false;
	memcpy(path, joined, (size_t)size + 1);
	return true;
}

static void forget_watches(struct resolv_conf *conf)
{
	while (conf->watch_count > 0)
		sd_event_source_disable_unref(conf->watches[--conf->watch_count].source);
}

/* Every directory on the way, and the file itself: where it is a bind mount (ip netns, containers), its directory
 * hears nothing of it. */
static void watch_paths(struct resolv_conf *conf)
{
	char path[PATH_MAX] = RESOLV_CONF, cut[PATH_MAX];
	int status = 0;

	forget_watches(conf);
	for (unsigned links = 0; links <= LINKS_MAX && status >= 0; links++) {
		memcpy(cut, path, sizeof(cut));
		status = watch_name(conf, cut);
		if (!follow_link(path))
			break;
	}
	if (status >= 0) {
		status = watch_path(conf, path, "");
		/* Of one that may not be read its directory tells, and also when it may be. */
		status = status == -EACCES ? 0 : status;
	}
	if (status < 0 && status != -ENOENT)
		log_warning("Changes of %s will not be noticed: %s", RESOLV_CONF, strerror(-status));
}

static void on_settled(void *userdata)
{
	struct resolv_conf *conf = userdata;
	struct servers servers;

	/* The links may lead elsewhere now. Watch first, read then: what comes in between is an event. */
	watch_paths(conf);
	read_servers(&servers);
	if (same_servers(&servers, &conf->servers))
		return;
	log_notice("%s has changed", RESOLV_CONF);
	conf->servers = servers;
	conf->changed(conf->userdata);
}

int resolv_conf_new(struct resolv_conf **ret, sd_event *event, void (*changed)(void *userdata), void *userdata)
{
	struct resolv_conf *conf = calloc(1, sizeof(*conf));

	if (!conf)
		return -ENOMEM;
	*conf = (struct resolv_conf){ .event = event, .changed = changed, .userdata = userdata };
	int r = timer_new(&conf->settle, event, SD_EVENT_PRIORITY_NORMAL, on_settled, conf);
	if (r < 0) {
		free(conf);
		return r;
	}
	watch_paths(conf);
	read_servers(&conf->servers);
	*ret = conf;
	return 0;
}

void resolv_conf_free(struct resolv_conf *conf)
{
	if (!conf)
		return;
	forget_watches(conf);
	timer_free(conf->settle);
	free(conf);
}

const struct dns_server *resolv_conf_servers(const struct resolv_conf *conf, size_t *ret_count)
{
	*ret_count = conf->servers.count;
	return conf->servers.items;
}
