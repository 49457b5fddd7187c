/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/helper.h"
#include "clock.h"
#include "log.h"
#include "net/helper_records.h"
#include "net/spawn.h"
#include "timer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	START_MS = 10 * 1000, /* until it is ready */
	CLOSED_MS = 1000,     /* to end after its socket */
	MISSED_MAX = 2,       /* beats without an answer */
	BACK_OFF_MIN_MS = 1000,
	BACK_OFF_MAX_MS = 60 * 1000,
	GOOD_LIFE_MS = 60 * 1000, /* then the next death is the first one again */
	TURN_RECORDS = 64,        /* then others have their turn, each as often as this */
	TURN_MS = 10,             /* one record may be work for many names */
	LATE_RECORDS = 512,       /* more than its socket holds: the answer to a ping may be behind others */
	LATE_MS = 1000,
	RATE = 2000, /* records a second; twice the copies that the rules let through */
	BURST = 2000,
	THROTTLE_MS = 20,
	QUEUE_BYTES_MAX = 16 * 1024 * 1024,
	CPU_MS = 10 * 1000,       /* of processor time at first, and ... */
	CPU_PART = 2,             /* ... half of the time that it lives, of which ... */
	CPU_SAVED_MS = 60 * 1000, /* ... it may save so much */
	FAILURE_MAX = 160,
};

enum state {
	STATE_ENDED,    /* there is none; the timer says when the next one is started */
	STATE_STARTING, /* it has not said yet that it is ready */
	STATE_READY,
	STATE_ENDING, /* killed, or about to end, and not gone yet; the timer says for how long that is waited for */
};

struct queued {
	struct queued *next;
	int fd; /* owned; -1: none */
	size_t length;
	char bytes[];
};

struct helper {
	sd_event *event;
	struct helper_events events;
	void *userdata;
	struct {
		const struct helper_client *client; /* NULL: none */
		void *userdata;
	} parts[HELPER_PARTS];

	enum state state;
	struct process process;
	sd_event_source *socket_source, *end_source;
	struct timer *timer; /* by state: the next start, the end of patience, the next beat */
	int64_t started_ms, next_start_ms, back_off_ms;
	int64_t cpu_ms, cpu_from_ms; /* processor time it may take in all, and when that was so */
	bool was_ready;              /* one of them was */
	bool landlock_noted;         /* that there is none was logged */

	char failure[FAILURE_MAX];        /* why the last one ended; "": none has, or this one lives well since then */
	char logged_failure[FAILURE_MAX]; /* the same again is no news */

	uint64_t ping;   /* number of the newest one */
	unsigned missed; /* beats since it was sent; 0: it is answered */
	bool ping_open;  /* it is not answered yet */

	int64_t allowance, allowance_ms; /* records that may be read now, and when that was so */
	bool throttled;
	struct timer *throttle_timer;

	struct queued *queue, **queue_end;
	size_t queue_bytes;
};

static void set_failure(struct helper *helper, const char *text)
{
	snprintf(helper->failure, sizeof(helper->failure), "%s", text);
}

static void changed(struct helper *helper)
{
	if (helper->events.changed)
		helper->events.changed(helper->userdata);
}

static void free_queued(struct queued *queued)
{
	if (queued->fd >= 0)
		close(queued->fd);
	free(queued);
}

static void drop_queue(struct helper *helper)
{
	while (helper->queue) {
		struct queued *queued = helper->queue;
		helper->queue = queued->next;
		free_queued(queued);
	}
	helper->queue_end = &helper->queue;
	helper->queue_bytes = 0;
}

/* Nothing goes from or to it any more. What follows is done from the event loop, once it is gone: whoever called may be
 * in the middle of something. why "": its exit status will tell. */
static void leave_process(struct helper *helper, const char *why)
{
	set_failure(helper, why);
	sd_event_source_set_enabled(helper->socket_source, SD_EVENT_OFF);
	timer_stop(helper->timer);
	timer_stop(helper->throttle_timer);
	drop_queue(helper);
	helper->state = STATE_ENDING;
}

static bool runs(const struct helper *helper)
{
	return helper->state == STATE_STARTING || helper->state == STATE_READY;
}

static void end_process(struct helper *helper, const char *why)
{
	if (!runs(helper))
		return;
	leave_process(helper, why);
	process_kill(&helper->process);
}

/* It is on its way to its end, most often. */
static void await_end(struct helper *helper)
{
	leave_process(helper, "");
	timer_set(helper->timer, CLOSED_MS);
}

/* Sending. */

static void set_socket_events(struct helper *helper)
{
	sd_event_source_set_io_events(helper->socket_source,
				      (helper->throttled ? 0 : EPOLLIN) | (helper->queue ? EPOLLOUT : 0));
}

/* 0, -EAGAIN, or another negative errno: then it is gone. */
static int send_now(struct helper *helper, const void *record, size_t length, int fd)
{
	struct iovec part = { (void *)record, length };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.bytes);
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(helper->process.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
}

/* A record is lost, and with it what it asked for. Of an end that has come the event loop will hear. */
static void give_up_sending(struct helper *helper, int error)
{
	if (error != -EPIPE && error != -ECONNRESET)
		end_process(helper, "it could not be sent all that it must know");
}

static void enqueue(struct helper *helper, const void *record, size_t length, int fd)
{
	struct queued *queued =
		helper->queue_bytes + length <= QUEUE_BYTES_MAX ? malloc(sizeof(*queued) + length) : NULL;
	int copy = -1;

	if (queued && fd >= 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!queued || (fd >= 0 && copy < 0)) {
		free(queued);
		end_process(helper, "it could not be sent all that it must know");
		return;
	}
	*queued = (struct queued){ .fd = copy, .length = length };
	memcpy(queued->bytes, record, length);
	*helper->queue_end = queued;
	helper->queue_end = &queued->next;
	helper->queue_bytes += length;
	set_socket_events(helper);
}

void helper_send(struct helper *helper, void *record, size_t length, int fd)
{
	struct wire_head *head = record;

	if (helper->state != STATE_READY)
		return;
	head->length = (uint32_t)length;
	int r = helper->queue ? -EAGAIN : send_now(helper, record, length, fd);
	if (r == -EAGAIN)
		enqueue(helper, record, length, fd);
	else if (r < 0)
		give_up_sending(helper, r);
}

static void send_queue(struct helper *helper)
{
	while (helper->queue) {
		struct queued *queued = helper->queue;
		int r = send_now(helper, queued->bytes, queued->length, queued->fd);
		if (r == -EAGAIN)
			break;
		if (r < 0)
			give_up_sending(helper, r);
		if (!runs(helper))
			return;
		helper->queue = queued->next;
		helper->queue_bytes -= queued->length;
		free_queued(queued);
	}
	if (!helper->queue)
		helper->queue_end = &helper->queue;
	set_socket_events(helper);
}

/* Receiving. */

static void send_ping(struct helper *helper)
{
	struct wire_beat ping = { .head.kind = WIRE_PING, .number = ++helper->ping };

	helper->missed = 0;
	helper->ping_open = true;
	helper_send(helper, &ping, sizeof(ping), -1);
}

static void become_ready(struct helper *helper, const struct wire_ready *ready)
{
	bool again = helper->was_ready;

	if (strcmp(ready->version, WIRE_VERSION) != 0) {
		end_process(helper, "it is of another build than spefwd");
		return;
	}
	if (!ready->landlock && !helper->landlock_noted) {
		helper->landlock_noted = true;
		log_notice("spefw-resolver is not restricted by Landlock: this kernel or container has none");
	}
	helper->state = STATE_READY;
	helper->was_ready = true;
	send_ping(helper);
	timer_set(helper->timer, HELPER_BEAT_MS);
	for (size_t i = 0; i < HELPER_PARTS; i++)
		if (helper->parts[i].client)
			helper->parts[i].client->ready(helper->parts[i].userdata);
	if (again && helper->events.restarted)
		helper->events.restarted(helper->userdata);
	changed(helper);
}

static void take_pong(struct helper *helper, const struct wire_beat *pong)
{
	bool late = helper->missed > 0;

	if (!helper->ping_open || pong->number != helper->ping) {
		end_process(helper, "it answered a ping that it was not sent");
		return;
	}
	helper->ping_open = false;
	helper->missed = 0;
	if (late)
		changed(helper);
}

static void take_record(struct helper *helper, const struct wire_head *record, size_t length)
{
	const char *error = helper_record_error(record, length);
	char text[FAILURE_MAX];

	if (!error && (record->kind == WIRE_READY) != (helper->state == STATE_STARTING))
		error = "a record out of turn";
	if (!error && record->kind == WIRE_READY) {
		become_ready(helper, (const struct wire_ready *)record);
	} else if (!error && record->kind == WIRE_PONG) {
		take_pong(helper, (const struct wire_beat *)record);
	} else if (!error) {
		enum helper_part part =
			record->kind == WIRE_ANSWER || record->kind == WIRE_FAILURE ? HELPER_DNS : HELPER_PACKETS;
		const struct helper_client *client = helper->parts[part].client;
		error = client ? client->record(helper->parts[part].userdata, record) : NULL;
	}
	if (error) {
		snprintf(text, sizeof(text), "it sent %s", error);
		end_process(helper, text);
	}
}

/* At most so many records, and none after so much time. */
static void receive(struct helper *helper, int64_t records, int64_t limit_ms)
{
	static union {
		struct wire_counts aligned;
		char bytes[WIRE_RECORD_MAX + 1]; /* what is longer is known by that */
	} buffer;

	int64_t end_ms = now_ms() + limit_ms;

	while (records > 0 && runs(helper) && now_ms() < end_ms) {
		ssize_t length = recv(helper->process.fd, &buffer, sizeof(buffer), MSG_DONTWAIT);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0 && errno == EAGAIN)
			return;
		if (length <= 0) {
			await_end(helper);
			return;
		}
		records--;
		helper->allowance--;
		take_record(helper, (const struct wire_head *)&buffer, (size_t)length);
	}
}

static void refill(struct helper *helper)
{
	int64_t now = now_ms(), more = (now - helper->allowance_ms) * RATE / 1000;

	helper->allowance = more < BURST - helper->allowance ? helper->allowance + more : BURST;
	helper->allowance_ms = now;
}

static void on_throttled(void *userdata)
{
	struct helper *helper = userdata;

	helper->throttled = false;
	set_socket_events(helper);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct helper *helper = userdata;

	(void)source;
	(void)fd;
	if (events & EPOLLOUT)
		send_queue(helper);
	/* It has closed its end, and what it sent before will not be read: waiting for that would be a busy loop. */
	if (helper->throttled && events & (EPOLLHUP | EPOLLERR)) {
		await_end(helper);
		return 0;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	refill(helper);
	receive(helper, helper->allowance < TURN_RECORDS ? helper->allowance : TURN_RECORDS, TURN_MS);
	if (helper->allowance > 0 || helper->state == STATE_ENDING)
		return 0;
	helper->throttled = true;
	timer_set(helper->throttle_timer, THROTTLE_MS);
	set_socket_events(helper);
	return 0;
}

/* Life and death. */

static void allow_cpu(struct helper *helper)
{
	int64_t now = now_ms(), used_ms = process_cpu_ms(&helper->process);

	helper->cpu_ms += (now - helper->cpu_from_ms) / CPU_PART;
	helper->cpu_from_ms = now;
	if (used_ms >= 0 && helper->cpu_ms > used_ms + CPU_SAVED_MS)
		helper->cpu_ms = used_ms + CPU_SAVED_MS;
	/* Where that is refused it ends one day, and is started again. */
	process_allow_cpu(&helper->process, (unsigned)(helper->cpu_ms / 1000));
}

static void beat(struct helper *helper)
{
	for (size_t i = 0; i < HELPER_PARTS; i++) {
		const struct helper_client *client = helper->parts[i].client;
		const char *why = client && client->beat ? client->beat(helper->parts[i].userdata) : NULL;
		if (why) {
			end_process(helper, why);
			return;
		}
	}
	if (helper->failure[0] && now_ms() - helper->started_ms >= GOOD_LIFE_MS) {
		helper->failure[0] = helper->logged_failure[0] = '\0';
		helper->back_off_ms = BACK_OFF_MIN_MS;
		log_notice("spefw-resolver runs again");
	}
	allow_cpu(helper);
	send_ping(helper);
}

static void check_life(struct helper *helper)
{
	if (helper->ping_open) /* we may have been the slow one */
		receive(helper, LATE_RECORDS, LATE_MS);
	if (helper->state != STATE_READY)
		return;
	timer_set(helper->timer, HELPER_BEAT_MS);
	if (!helper->ping_open)
		beat(helper);
	else if (++helper->missed == MISSED_MAX)
		end_process(helper, "it did not answer any more");
	else
		changed(helper);
}

static const char *end_text(int status, char buffer[FAILURE_MAX])
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_NOT_FOUND)
		return "the program can't be run";
	if (WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_NOT_PREPARED)
		return "privileges can't be given up here";
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return "it took more processor time than it may";
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return "it made a system call that it may not make";
	if (WIFSIGNALED(status))
		snprintf(buffer, FAILURE_MAX, "%s", strsignal(WTERMSIG(status)));
	else
		snprintf(buffer, FAILURE_MAX, "exit status %d", WEXITSTATUS(status));
	return buffer;
}

static void plan_start(struct helper *helper)
{
	helper->state = STATE_ENDED;
	helper->next_start_ms = now_ms() + helper->back_off_ms;
	timer_set_at(helper->timer, helper->next_start_ms);
	if (strcmp(helper->failure, helper->logged_failure) != 0) {
		log_warning("spefw-resolver ended (%s), it is started again in %lld s: DNS is not queried meanwhile, "
			    "and nothing is learned; addresses in force stay",
			    helper->failure, (long long)helper->back_off_ms / 1000);
		memcpy(helper->logged_failure, helper->failure, sizeof(helper->failure));
	}
	helper->back_off_ms = 2 * helper->back_off_ms < BACK_OFF_MAX_MS ? 2 * helper->back_off_ms : BACK_OFF_MAX_MS;
	changed(helper);
}

static void forget_sources(struct helper *helper)
{
	helper->socket_source = sd_event_source_disable_unref(helper->socket_source);
	helper->end_source = sd_event_source_disable_unref(helper->end_source);
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct helper *helper = userdata;
	char text[FAILURE_MAX];

	(void)source;
	(void)fd;
	(void)events;
	if (runs(helper))
		leave_process(helper, "");
	forget_sources(helper);
	int status = process_reap(&helper->process);
	if (!helper->failure[0])
		set_failure(helper, end_text(status, text));
	plan_start(helper);
	return 0;
}

static int watch(struct helper *helper)
{
	/* With the same priority as everything else: it must starve nobody, nor be starved. */
	int r = sd_event_add_io(helper->event, &helper->socket_source, helper->process.fd, EPOLLIN, on_socket, helper);

	if (r >= 0)
		r = sd_event_add_io(helper->event, &helper->end_source, helper->process.pidfd, EPOLLIN, on_end, helper);
	return r < 0 ? r : 0;
}

static void start(struct helper *helper)
{
	char text[FAILURE_MAX];
	int r = process_start(&helper->process);

	if (r == 0) {
		r = watch(helper);
		if (r < 0) {
			forget_sources(helper);
			process_kill(&helper->process);
			process_reap(&helper->process);
		}
	}
	if (r < 0) {
		snprintf(text, sizeof(text), "it can't be started: %s", strerror(-r));
		set_failure(helper, text);
		plan_start(helper);
		return;
	}
	helper->state = STATE_STARTING;
	helper->started_ms = helper->allowance_ms = helper->cpu_from_ms = now_ms();
	helper->cpu_ms = CPU_MS;
	helper->allowance = BURST;
	helper->throttled = false;
	timer_set(helper->timer, START_MS);
}

static void on_timer(void *userdata)
{
	struct helper *helper = userdata;

	if (helper->state == STATE_ENDED)
		start(helper);
	else if (helper->state == STATE_STARTING)
		end_process(helper, "it did not get ready");
	else if (helper->state == STATE_READY)
		check_life(helper);
	else if (!helper->failure[0]) {
		set_failure(helper, "it closed its socket");
		process_kill(&helper->process);
	}
}

int helper_new(struct helper **ret, sd_event *event, const struct helper_events *events, void *userdata)
{
	struct helper *helper = calloc(1, sizeof(*helper));

	if (!helper)
		return -ENOMEM;
	*helper = (struct helper){ .event = sd_event_ref(event),
				   .events = *events,
				   .userdata = userdata,
				   .process = { .fd = -1, .pidfd = -1 },
				   .back_off_ms = BACK_OFF_MIN_MS };
	helper->queue_end = &helper->queue;
	int r = timer_new(&helper->timer, event, SD_EVENT_PRIORITY_NORMAL, on_timer, helper);
	if (r == 0)
		r = timer_new(&helper->throttle_timer, event, SD_EVENT_PRIORITY_NORMAL, on_throttled, helper);
	if (r < 0) {
		helper_free(helper);
		return r;
	}
	timer_set(helper->timer, 0);
	*ret = helper;
	return 0;
}

void helper_free(struct helper *helper)
{
	if (!helper)
		return;
	forget_sources(helper);
	if (helper->state != STATE_ENDED) {
		process_kill(&helper->process);
		process_reap(&helper->process);
	}
	drop_queue(helper);
	timer_free(helper->timer);
	timer_free(helper->throttle_timer);
	sd_event_unref(helper->event);
	free(helper);
}

void helper_attach(struct helper *helper, enum helper_part part, const struct helper_client *client, void *userdata)
{
	helper->parts[part].client = client;
	helper->parts[part].userdata = userdata;
	if (helper->state == STATE_READY)
		client->ready(userdata);
}

void helper_detach(struct helper *helper, enum helper_part part)
{
	helper->parts[part].client = NULL;
}

void helper_reasons(const struct helper *helper, struct health *health)
{
	static const char consequence[] = "DNS is not queried, and nothing is learned; addresses in force stay";
	int64_t wait_ms = helper->next_start_ms - now_ms();

	if (helper->state == STATE_READY && helper->missed)
		health_add(health, HEALTH_RESOLVER, "spefw-resolver does not answer: %s", consequence);
	else if (helper->state == STATE_ENDED && helper->failure[0])
		health_add(health, HEALTH_RESOLVER, "spefw-resolver ended (%s), it is started again in %lld s: %s",
			   helper->failure, (long long)(wait_ms > 0 ? (wait_ms + 999) / 1000 : 0), consequence);
	else if (helper->state != STATE_READY && helper->failure[0])
		health_add(health, HEALTH_RESOLVER, "spefw-resolver ended (%s), it is started again: %s",
			   helper->failure, consequence);
}
