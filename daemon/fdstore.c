/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fdstore.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define STORED_SOCKET "nftables"

static bool is_netfilter_socket(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == NETLINK_NETFILTER;
}

int fdstore_take(void)
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

void fdstore_put(int fd)
{
	sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" STORED_SOCKET, &fd, 1);
}
