/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/local_addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

int local_addresses(struct ranges *ret)
{
	struct ifaddrs *list;
	int r = 0;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (struct ifaddrs *one = list; one && r == 0; one = one->ifa_next) {
		struct addr addr = { 0 };
		if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET) {
			addr.family = FAMILY_4;
			memcpy(addr.bytes, &((struct sockaddr_in *)one->ifa_addr)->sin_addr, 4);
		} else if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET6) {
			addr.family = FAMILY_6;
			memcpy(addr.bytes, &((struct sockaddr_in6 *)one->ifa_addr)->sin6_addr, 16);
		} else {
			continue;
		}
		struct range range = range_of(&addr);
		r = ranges_add(ret, &range);
	}
	freeifaddrs(list);
	ranges_normalise(ret);
	return r;
}
