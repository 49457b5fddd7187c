/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/array.h"
#include "core/printable.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Runs spefw-tls for each name, all at once, as nobody, with no way to become more, no terminal and no children: it
 * reads what strangers send, and may be theirs from then on. What it writes is bounded, and made printable here once
 * more.
 */

enum {
	PEERS_MAX = 24,
	OUTPUT_MAX = 2048,
	PATIENCE_MS = 10000, /* a little more than it takes itself */
	CPU_S = 5,
	FILES_MAX = 64,
	MEMORY_MAX = 512 * 1024 * 1024,
};

struct peer {
	size_t fact;
	pid_t pid;
	int fd; /* -1: it has written all */
	char output[OUTPUT_MAX + 1];
	size_t length;
};

struct peers {
	struct peer *items;
	size_t count;
	char program[4096];
};

static bool speaks_tls(uint16_t port)
{
	static const uint16_t ports[] = { 443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 3269, 5061, 8443 };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (ports[i] == port)
			return true;
	return false;
}

static int add_fact(struct doctor *doctor, const struct policy_flow *flow, const char *name, uint16_t port)
{
	int r = 0;

	for (size_t i = 0; i < doctor->facts.names.count && r == 0; i++) {
		const struct name_fact *named = &doctor->facts.names.items[i];
		if (strcmp(named->name, name) != 0 || !named->own.count || doctor->facts.tls.count >= PEERS_MAX)
			continue;
		struct tls_fact fact = { .name = named->name,
					 .flow = flow->id,
					 .addr = named->own.items[0].first,
					 .port = port,
					 .result = TLS_UNKNOWN };
		memcpy(fact.why, "it was not tried", sizeof("it was not tried"));
		r = ARRAY_PUSH(&doctor->facts.tls, fact) < 0 ? -ENOMEM : 0;
	}
	return r;
}

/* The hosts of named flows, on ports where TLS is spoken from the first byte on. */
static int find_peers(struct doctor *doctor)
{
	const struct policy *policy = &doctor->file.policy;
	int r = 0;

	for (size_t f = 0; f < policy->flow_count; f++) {
		const struct policy_flow *flow = &policy->flows[f];
		for (size_t n = 0; flow->enabled && flow->protocols & 1u << PROTOCOL_TCP && n < flow->to.name_count;
		     n++)
			for (size_t p = 0; p < flow->port_count && r == 0; p++)
				if (flow->ports[p].first == flow->ports[p].last && speaks_tls(flow->ports[p].first))
					r = add_fact(doctor, flow, policy->names[flow->to.names[n]].name,
						     flow->ports[p].first);
	}
	return r;
}

/* Beside this program in a build, else where it is installed. */
static void find_program(struct peers *peers)
{
	char self[3072];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length > 0) {
		self[length] = '\0';
		char *slash = strrchr(self, '/');
		snprintf(peers->program, sizeof(peers->program), "%.*s/spefw-tls", slash ? (int)(slash - self) : 0,
			 self);
		if (access(peers->program, X_OK) == 0)
			return;
	}
	snprintf(peers->program, sizeof(peers->program), "%s/spefw-tls", PKGLIBEXECDIR);
}

static void limit(int what, rlim_t value)
{
	const struct rlimit limit = { value, value };
	if (setrlimit(what, &limit) < 0)
		_exit(126);
}

static void limit_all(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, OUTPUT_MAX);
	limit(RLIMIT_CPU, CPU_S);
	limit(RLIMIT_NOFILE, FILES_MAX);
	limit(RLIMIT_NPROC, 0); /* of this user's, and there is one: it can't have children or threads */
	limit(RLIMIT_MSGQUEUE, 0);
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory has terabytes of addresses */
	limit(RLIMIT_AS, MEMORY_MAX);
#endif
}

/* In the child, which is nobody already. */
static void __attribute__((noreturn)) become_peer(const struct peers *peers, const struct tls_fact *fact, int output)
{
	char address[ADDR_TEXT_MAX], port[8];
	char *const arguments[] = { (char *)"spefw-tls", (char *)fact->name, address, port, NULL };
	char *const environment[] = { (char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL };
	pid_t doctor = getppid();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	addr_format(&fact->addr, address);
	snprintf(port, sizeof(port), "%u", fact->port);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0u, 0) < 0 || chdir("/") < 0)
		_exit(126);
	/* In a session of its own it has no terminal; it ends with us. */
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != doctor)
		_exit(126);
	limit_all();
	execve(peers->program, arguments, environment);
	_exit(127);
}

static int start(const struct peers *peers, struct peer *peer, const struct tls_fact *fact)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	peer->pid = fork();
	if (peer->pid == 0)
		become_peer(peers, fact, ends[1]);
	int r = peer->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		peer->fd = ends[0];
	return r;
}

static void read_some(struct peer *peer)
{
	ssize_t got = read(peer->fd, peer->output + peer->length, OUTPUT_MAX - peer->length);

	if (got < 0 && errno == EINTR)
		return;
	if (got > 0)
		peer->length += (size_t)got;
	if (got <= 0 || peer->length == OUTPUT_MAX) {
		close(peer->fd);
		peer->fd = -1;
	}
}

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void collect(struct peers *peers)
{
	int64_t deadline = monotonic_ms() + PATIENCE_MS, left;

	while ((left = deadline - monotonic_ms()) > 0) {
		struct pollfd polled[PEERS_MAX];
		struct peer *of[PEERS_MAX];
		nfds_t count = 0;
		for (size_t i = 0; i < peers->count; i++) {
			if (peers->items[i].fd < 0)
				continue;
			of[count] = &peers->items[i];
			polled[count++] = (struct pollfd){ .fd = peers->items[i].fd, .events = POLLIN };
		}
		if (!count || (poll(polled, count, (int)left) < 0 && errno != EINTR))
			return;
		for (nfds_t i = 0; i < count; i++)
			if (polled[i].revents)
				read_some(of[i]);
	}
}

static void take_line(struct tls_fact *fact, char *line)
{
	static const struct {
		const char *word;
		enum tls_result result;
	} results[] = {
		{ "trusted", TLS_TRUSTED },         { "untrusted", TLS_UNTRUSTED }, { "other-name", TLS_OTHER_NAME },
		{ "unreachable", TLS_UNREACHABLE }, { "no-tls", TLS_NO_TLS },
	};
	char *text = strchr(line, ' ');

	if (!text)
		return;
	*text++ = '\0';
	make_printable(text);
	if (strcmp(line, "subject") == 0)
		snprintf(fact->subject, sizeof(fact->subject), "%s", text);
	else if (strcmp(line, "issuer") == 0)
		snprintf(fact->issuer, sizeof(fact->issuer), "%s", text);
	else if (strcmp(line, "why") == 0)
		snprintf(fact->why, sizeof(fact->why), "%s", text);
	for (size_t i = 0; strcmp(line, "result") == 0 && i < sizeof(results) / sizeof(results[0]); i++)
		if (strcmp(text, results[i].word) == 0)
			fact->result = results[i].result;
}

static void take_output(struct doctor_facts *facts, struct peer *peer, int status)
{
	struct tls_fact *fact = &facts->tls.items[peer->fact];
	char *rest = NULL;

	snprintf(fact->why, sizeof(fact->why),
		 WIFEXITED(status) && WEXITSTATUS(status) == 126 ? "spefw-tls can't be confined here"
								 : "spefw-tls failed");
	for (char *line = strtok_r(peer->output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		facts->no_trust |= strncmp(line, "result no-trust", strlen("result no-trust")) == 0;
		take_line(fact, line);
	}
}

static void run(struct doctor_facts *facts, struct peers *peers)
{
	for (size_t i = 0; i < peers->count; i++) {
		struct peer *peer = &peers->items[i];
		*peer = (struct peer){ .fact = i, .pid = -1, .fd = -1 };
		int r = start(peers, peer, &facts->tls.items[i]);
		if (r < 0)
			snprintf(facts->tls.items[i].why, sizeof(facts->tls.items[i].why), "%s", strerror(-r));
	}
	collect(peers);
	for (size_t i = 0; i < peers->count; i++) {
		struct peer *peer = &peers->items[i];
		int status = 0;
		if (peer->pid <= 0)
			continue;
		/* Whether it has written all or not: who closes its output need not end. It may not have got to a
		 * session of its own. */
		kill(peer->pid, SIGKILL);
		kill(-peer->pid, SIGKILL);
		if (peer->fd >= 0)
			close(peer->fd);
		while (waitpid(peer->pid, &status, 0) < 0 && errno == EINTR)
			;
		take_output(facts, peer, status);
	}
	/* Reported once, not for each. */
	if (facts->no_trust)
		facts->tls.count = 0;
}

int doctor_read_tls(struct doctor *doctor)
{
	struct peers *peers;

	int r = find_peers(doctor);
	if (r < 0 || !doctor->facts.tls.count)
		return r;
	for (size_t i = 0; !doctor->nobody && i < doctor->facts.tls.count; i++)
		snprintf(doctor->facts.tls.items[i].why, sizeof(doctor->facts.tls.items[i].why),
			 "privileges can't be dropped here");
	if (!doctor->nobody)
		return 0;
	peers = calloc(1, sizeof(*peers));
	if (peers)
		peers->items = calloc(doctor->facts.tls.count, sizeof(*peers->items));
	if (peers && peers->items) {
		peers->count = doctor->facts.tls.count;
		find_program(peers);
		run(&doctor->facts, peers);
	} else {
		r = -ENOMEM;
	}
	if (peers)
		free(peers->items);
	free(peers);
	return r;
}
