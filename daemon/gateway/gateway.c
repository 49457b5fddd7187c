/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway.h"
#include "log.h"
#include "control/report.h"
#include "state_file.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define STORED_SOCKET "nftables"
#define LAST_GOOD_FILE "configuration"

enum { LAST_GOOD_MAX = 256 * 1024 * 1024 }; /* bytes, of all its files */

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void arm_timer(sd_event_source *timer, uint64_t usec)
{
	sd_event_source_set_time_relative(timer, usec);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

int add_timer(struct gateway *gateway, sd_event_source **ret, sd_event_time_handler_t handler, uint64_t usec)
{
	int r = sd_event_add_time_relative(gateway->event, ret, CLOCK_BOOTTIME, usec, 0, handler, gateway);
	if (r >= 0 && !usec)
		r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
	return r;
}

static void log_diags(const struct diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		char *text = diag_format(&diags->items[i]);
		if (text)
			log_message(diags->items[i].severity == DIAG_ERROR ? LOG_ERR : LOG_WARNING, "%s", text);
		free(text);
	}
}

static bool is_netfilter_socket(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == NETLINK_NETFILTER;
}

/* The socket that owns the table outlives a killed daemon in the service manager's hands: no moment without an owner.
 */
static int take_stored_socket(void)
{
	char **names = NULL;
	int fd = -1, count = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < count; i++) {
		/* A descriptor that is of no use would be given again at every start. */
		if (fd < 0 && strcmp(names[i], STORED_SOCKET) == 0 && is_netfilter_socket(SD_LISTEN_FDS_START + i))
			fd = SD_LISTEN_FDS_START + i;
		else
			close(SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return fd;
}

static void store_socket(const struct gateway *gateway)
{
	int fd = mnl_socket_get_fd(gateway->nft.writer);
	sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" STORED_SOCKET, &fd, 1);
}

void gateway_keep_again(struct gateway *gateway)
{
	if (!gateway->unkept || !gateway->in_force)
		return;
	int r = state_save(gateway->paths.state, LAST_GOOD_FILE, gateway->unkept, gateway->unkept_length);
	if (r < 0 && !gateway->keep_failed)
		log_error("can't keep the configuration in %s, which is tried again: %s", gateway->paths.state,
			  strerror(-r));
	gateway->keep_failed = r < 0;
	if (r < 0)
		return;
	free(gateway->unkept);
	gateway->unkept = NULL;
}

/* What was in force last, with the files it names, is kept: a reboot with a broken file must not leave the server open.
 */
static void keep_configuration(struct gateway *gateway, const struct archive *archive)
{
	free(gateway->unkept);
	gateway->unkept = archive_pack(archive, &gateway->unkept_length);
	if (gateway->unkept) {
		gateway_keep_again(gateway);
	} else {
		log_error("out of memory: the configuration is not kept in %s", gateway->paths.state);
		gateway->keep_failed = true;
	}
}

static int load_last_good(struct gateway *gateway)
{
	struct archive archive = { 0 };
	struct diags diags = { 0 };
	char *bytes;
	size_t length;

	int r = state_load(gateway->paths.state, LAST_GOOD_FILE, LAST_GOOD_MAX, &bytes, &length);
	if (r == 0) {
		r = archive_unpack(&archive, bytes, length);
		free(bytes);
	}
	/* Its warnings were told when it was new; what of it is this gateway's own address by now will be left out. */
	if (r == 0)
		r = policy_file_load(&gateway->file, gateway->paths.config,
				     &(struct policy_source){ .archive = &archive }, &diags);
	if (r == 0)
		log_error("%s can't be used: the last good configuration is in force", gateway->paths.config);
	else if (r != -ENOENT)
		log_error("the last good configuration in %s can't be used either: %s", gateway->paths.state,
			  strerror(-r));
	archive_free(&archive);
	diags_free(&diags);
	gateway->file_refused = true;
	return r;
}

static int load_first(struct gateway *gateway)
{
	const struct ranges *own = links_gateway_addresses(gateway->links);
	struct archive archive = { 0 };
	struct diags diags = { 0 };
	bool changed;

	int r = policy_file_load(&gateway->file, gateway->paths.config,
				 &(struct policy_source){ .copy = &archive, .gateway = own }, &diags);
	log_diags(&diags);
	diags_free(&diags);
	if (r == 0)
		keep_configuration(gateway, &archive); /* once it is in force */
	else if (r == -EINVAL && load_last_good(gateway) == 0)
		r = 0;
	archive_free(&archive);
	return r < 0 ? r : policy_leave_out(&gateway->file.policy, own, &changed);
}

static int listen_first(struct gateway *gateway)
{
	int r = control_new(&gateway->control, gateway->event, gateway->paths.socket, gateway_methods, gateway);
	if (r == -EADDRINUSE)
		log_error("%s: another spefwd is running there: stop it first, or give another socket with -s",
			  gateway->paths.socket);
	else if (r < 0)
		log_error("%s: can't listen: %s", gateway->paths.socket, strerror(-r));
	return r;
}

/* Two daemons would write over each other's files. Without a state directory there is nothing to share: it guards all
 * the same. */
static int lock_state(struct gateway *gateway)
{
	gateway->state_lock = state_lock(gateway->paths.state);
	if (gateway->state_lock == -EBUSY) {
		log_error("%s: another spefwd uses this state directory: stop it first, or give another one with -d",
			  gateway->paths.state);
		return -EBUSY;
	}
	if (gateway->state_lock < 0)
		log_error("%s: the state directory can't be used, nothing will be kept: %s", gateway->paths.state,
			  strerror(-gateway->state_lock));
	return 0;
}

int gateway_start(struct gateway *ret, sd_event *event, const struct gateway_paths *paths)
{
	struct gateway *gateway = ret;
	int stored_fd = take_stored_socket();

	*ret = (struct gateway){
		.event = sd_event_ref(event), .paths = *paths, .state_lock = -1, .started_ms = now_ms()
	};
	int r = lock_state(gateway);
	if (r < 0)
		return r;
	r = links_new(&gateway->links, event, gateway_links_changed, gateway);
	if (r < 0) {
		log_error("can't read links and routes from the kernel: %s", strerror(-r));
		return r;
	}
	r = load_first(gateway);
	if (r < 0)
		return r;
	/* Another daemon on the same socket is found before anything is touched; any other trouble with it must not
	 * keep the server unguarded. */
	int listening = listen_first(gateway);
	if (listening == -EADDRINUSE)
		return listening;
	r = gateway_kernel_begin(gateway, stored_fd);
	if (r >= 0)
		r = gateway_names_begin(gateway);
	if (r >= 0)
		r = gateway_watch_begin(gateway);
	if (r >= 0)
		r = gateway_others_begin(gateway);
	if (r >= 0)
		r = gateway_expect_begin(gateway);
	if (r < 0) {
		log_error("can't start: %s", strerror(-r));
		return r == -EINVAL ? -EPROTO : r; /* the former speaks of the configuration */
	}
	/* The table first, from remembered addresses; DNS is asked after that. What may pass with time is tried again.
	 */
	r = gateway_apply(gateway);
	if (r == -EPERM || r == -EOPNOTSUPP || r == -EBUSY)
		return r;
	if (stored_fd < 0)
		store_socket(gateway);
	gateway_observe_begin(gateway);
	gateway_others_read(gateway);
	gateway_watch_started(gateway);
	gateway_expect_follow(gateway);
	if (listening < 0)
		return listening;
	gateway_names_drive(gateway);
	report_to_manager(gateway);
	return 0;
}

void gateway_free(struct gateway *gateway)
{
	gateway_watch_end(gateway);
	gateway_expect_end(gateway);
	gateway_names_end(gateway);
	nflog_free(gateway->nflog);
	nft_monitor_free(gateway->monitor);
	sd_event_source_unref(gateway->repair_source);
	sd_event_source_unref(gateway->names_timer);
	sd_event_source_unref(gateway->retire_timer);
	sd_event_source_unref(gateway->retry_timer);
	sd_event_source_unref(gateway->minute_timer);
	gateway_others_end(gateway);
	free(gateway->unkept);
	control_free(gateway->control);
	links_free(gateway->links);
	bridge_findings_free(&gateway->bridges);
	nft_close(&gateway->nft);
	ruleset_free(&gateway->current);
	gateway_cut_end(gateway);
	policy_file_free(&gateway->file);
	if (gateway->state_lock >= 0)
		close(gateway->state_lock);
	sd_event_unref(gateway->event);
}

static int take_over(struct gateway *gateway, struct policy_file *file)
{
	bool changed;
	int r = policy_leave_out(&file->policy, links_gateway_addresses(gateway->links), &changed);

	/* Names of both policies are wanted while the change is under way: a refused one must lose nothing. */
	gateway->nft.error[0] = '\0';
	if (r == 0)
		r = gateway_names_want(gateway, &gateway->file.policy, &file->policy);
	if (r == 0)
		r = gateway_apply_policy(gateway, &file->policy);
	if (r < 0) {
		char what[200];
		snprintf(what, sizeof(what), "the new policy can't be applied: %s", gateway_reason(gateway, r));
		gateway_names_want(gateway, &gateway->file.policy, NULL);
		gateway_apply(gateway);
		gateway_note_failure(gateway, what);
		return r;
	}
	gateway_others_cancel(gateway);
	gateway->others_looked = false; /* not for this policy */
	struct policy_file old = gateway->file;
	gateway->file = *file;
	*file = old;
	gateway->in_force = true;
	gateway->cleared = false;
	gateway_note_failure(gateway, "");
	return 0;
}

void gateway_follow_names(struct gateway *gateway, const struct policy_file *old)
{
	int r = gateway_names_limits(gateway, gateway->names_owed ? NULL : old);
	if (r == 0)
		r = gateway_names_want(gateway, &gateway->file.policy, NULL);
	if (r < 0 && !gateway->names_owed)
		log_error("can't follow the names of the new policy yet: %s", strerror(-r));
	gateway->names_owed = r < 0;
	if (r < 0)
		gateway_retry_soon(gateway);
	if (addrbook_recheck(gateway->book))
		gateway_apply(gateway);
	gateway_names_drive(gateway);
}

int gateway_reload(struct gateway *gateway, struct diags *diags, struct reload_result *ret)
{
	const struct ranges *own = links_gateway_addresses(gateway->links);
	struct archive archive = { 0 };
	struct policy_file file;

	int r = policy_file_load(&file, gateway->paths.config,
				 &(struct policy_source){ .copy = &archive, .gateway = own }, diags);
	if (r == 0) {
		if (ret->line)
			policy_file_diff(&gateway->file, &file, ret->line, ret->userdata);
		r = take_over(gateway, &file);
		if (r == 0) {
			ret->cut = gateway_cut(gateway, "the policy changed", &file.policy);
			keep_configuration(gateway, &archive); /* a disk may be slow */
			gateway_follow_names(gateway, &file);
			gateway_observe_begin(gateway);
			gateway_others_read(gateway);
			gateway_expect_follow(gateway);
		}
		policy_file_free(&file);
	}
	archive_free(&archive);
	log_diags(diags);
	gateway->file_refused = r < 0;
	report_to_manager(gateway);
	if (r < 0)
		log_error("%s is not in force: the old policy stays", gateway->paths.config);
	else
		log_notice("%s is in force, generation %llu", gateway->paths.config,
			   (unsigned long long)gateway->generation);
	return r;
}
