/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_links.h"

#include "make.h"

#include "core/array.h"
#include "net/way.h"

#include <errno.h>

enum { ROUTES = 8, NAMES = 8 };

typedef char interface_name[CONFIG_INTERFACE_MAX + 1];

struct names {
	interface_name items[NAMES];
	size_t count;
};

struct links {
	void (*changed)(void *userdata);
	void *userdata;
};

static struct {
	struct ranges ranges;
	struct names interfaces;
} routes[ROUTES];
static size_t route_count;
static struct names with_address, bare_bridges, own_packets, defaults, bridges;
static struct ranges own, broadcasts, next_hops;
static struct links *current;
int fake_links_new_error, fake_links_error, fake_bridges_error;
size_t fake_links_good_calls, fake_links_alive, fake_bridges_reads;
bool fake_links_unread;
char fake_links_remembered[1024];

static void set_ranges(struct ranges *ranges, const char *text)
{
	ranges_free(ranges);
	*ranges = make_ranges(text);
}

static struct names parse_names(const char *text)
{
	struct names names = { .count = 0 };
	char copy[256], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		assert_true(names.count < NAMES);
		snprintf(names.items[names.count++], sizeof(names.items[0]), "%s", word);
	}
	return names;
}

void fake_links_reset(void)
{
	for (size_t i = 0; i < route_count; i++)
		ranges_free(&routes[i].ranges);
	route_count = 0;
	bare_bridges = own_packets = defaults = bridges = (struct names){ .count = 0 };
	ranges_free(&own);
	ranges_free(&broadcasts);
	ranges_free(&next_hops);
	fake_links_new_error = fake_links_error = fake_bridges_error = 0;
	fake_links_good_calls = fake_bridges_reads = 0;
	fake_links_unread = false;
	fake_links_remembered[0] = '\0';
}

void fake_links_set_own(const char *addresses)
{
	set_ranges(&own, addresses);
}

void fake_links_set_towards(const char *ranges, const char *interfaces)
{
	struct ranges wanted = make_ranges(ranges);
	size_t i = 0;

	while (i < route_count && !ranges_equal(&routes[i].ranges, &wanted))
		i++;
	assert_true(i < ROUTES);
	route_count += i == route_count;
	ranges_free(&routes[i].ranges);
	routes[i].ranges = wanted;
	routes[i].interfaces = parse_names(interfaces);
}

void fake_links_set_with_address(const char *interfaces)
{
	with_address = parse_names(interfaces);
}

void fake_links_set_bare_bridges(const char *interfaces)
{
	bare_bridges = parse_names(interfaces);
}

void fake_links_set_own_packets(const char *interfaces)
{
	own_packets = parse_names(interfaces);
}

void fake_links_set_defaults(const char *interfaces, const char *hops)
{
	defaults = parse_names(interfaces);
	set_ranges(&next_hops, hops);
}

void fake_links_set_broadcasts(const char *addresses)
{
	set_ranges(&broadcasts, addresses);
}

void fake_links_change(void)
{
	current->changed(current->userdata);
}

int links_new(struct links **ret, sd_event *event, void (*changed)(void *userdata), void *userdata)
{
	struct links *links = fake_links_new_error ? NULL : calloc(1, sizeof(*links));

	(void)event;
	if (!links)
		return fake_links_new_error ? fake_links_new_error : -ENOMEM;
	*links = (struct links){ changed, userdata };
	current = *ret = links;
	fake_links_alive++;
	return 0;
}

void links_free(struct links *links)
{
	fake_links_alive -= links != NULL;
	free(links);
}

bool links_unread(const struct links *links)
{
	(void)links;
	return fake_links_unread;
}

const struct ranges *links_gateway_addresses(const struct links *links)
{
	(void)links;
	return &own;
}

/* The error of this call. */
static int next_error(void)
{
	if (fake_links_error && fake_links_good_calls == 0)
		return fake_links_error;
	fake_links_good_calls -= fake_links_good_calls > 0;
	return 0;
}

static int give(const struct names *names, interface_name **ret, size_t *ret_count)
{
	int r = next_error();

	*ret = NULL;
	*ret_count = 0;
	if (r < 0 || !names->count)
		return r;
	*ret = malloc(names->count * sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, names->items, names->count * sizeof(**ret));
	*ret_count = names->count;
	return 0;
}

static int name_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void add_name(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return;
	assert_true(names->count < NAMES);
	memcpy(names->items[names->count++], name, sizeof(names->items[0]));
}

int links_towards(struct links *links, const struct ranges *addresses, interface_name **ret, size_t *ret_count)
{
	struct names found = { .count = 0 };

	(void)links;
	for (size_t i = 0; i < route_count; i++) {
		bool leads = false;
		for (size_t k = 0; k < addresses->count; k++)
			leads |= ranges_overlap(&routes[i].ranges, &addresses->items[k]);
		for (size_t k = 0; leads && k < routes[i].interfaces.count; k++)
			add_name(&found, routes[i].interfaces.items[k]);
	}
	qsort(found.items, found.count, sizeof(found.items[0]), name_order);
	return give(&found, ret, ret_count);
}

/* The first interface that leads there, or by default. */
int net_way_of(const struct addr *addr, char ret[CONFIG_INTERFACE_MAX + 1])
{
	const char *found = defaults.count ? defaults.items[0] : "";

	for (size_t i = 0; i < route_count; i++)
		if (ranges_contains(&routes[i].ranges, addr) && routes[i].interfaces.count)
			found = routes[i].interfaces.items[0];
	memcpy(ret, found, strlen(found) + 1);
	return next_error();
}

int links_of_defaults(const struct links *links, interface_name **ret, size_t *ret_count)
{
	(void)links;
	return give(&defaults, ret, ret_count);
}

int links_with_address(const struct links *links, interface_name **ret, size_t *ret_count)
{
	(void)links;
	return give(&with_address, ret, ret_count);
}

int links_bare_bridges(const struct links *links, interface_name **ret, size_t *ret_count)
{
	(void)links;
	return give(&bare_bridges, ret, ret_count);
}

int links_of_own_packets(const struct links *links, interface_name **ret, size_t *ret_count)
{
	(void)links;
	return give(&own_packets, ret, ret_count);
}

static void note(const char *text)
{
	size_t length = strlen(fake_links_remembered);
	snprintf(fake_links_remembered + length, sizeof(fake_links_remembered) - length, "%s", text);
}

int links_remember(struct links *links, const struct ranges *addresses, interface_name *names, size_t count)
{
	char text[RANGE_TEXT_MAX];
	int r = next_error();

	(void)links;
	if (r < 0 || !count)
		return r;
	note(addresses->count ? range_format(&addresses->items[0], text) : "");
	for (size_t i = 0; i < count; i++) {
		note(i ? "," : "=");
		note(names[i]);
	}
	note("; ");
	return 0;
}

int links_broadcasts(const struct links *links, const struct ranges *addresses, struct ranges *ret)
{
	int r = next_error();

	(void)links;
	(void)addresses;
	*ret = (struct ranges){ 0 };
	return r < 0 ? r : ranges_add_all(ret, &broadcasts);
}

int links_next_hops(const struct links *links, struct ranges *ret)
{
	(void)links;
	*ret = (struct ranges){ 0 };
	return ranges_add_all(ret, &next_hops);
}

bool links_any_bridge(const struct links *links)
{
	(void)links;
	return bridges.count || bare_bridges.count;
}

void fake_bridges_set(const char *names)
{
	bridges = parse_names(names);
}

int bridges_look(struct links *links, const struct ranges *guarded, struct bridge_findings *ret)
{
	struct bridge_findings found = { .can_filter = true };

	(void)links;
	fake_bridges_reads++;
	if (fake_bridges_error)
		return fake_bridges_error;
	for (size_t i = 0; guarded->count && i < bridges.count; i++) {
		struct bridge_finding finding = { .guarded.at.port = "lan",
						  .hop.at.port = "wan",
						  .guarded_addr = guarded->items[0].first,
						  .hop_addr = make_addr("192.0.2.254"),
						  .unfiltered = { true } };
		memcpy(finding.guarded.at.bridge, bridges.items[i], sizeof(finding.guarded.at.bridge));
		memcpy(finding.hop.at.bridge, bridges.items[i], sizeof(finding.hop.at.bridge));
		if (ARRAY_PUSH(&found, finding) < 0) {
			bridge_findings_free(&found);
			return -ENOMEM;
		}
	}
	bridge_findings_free(ret);
	*ret = found;
	return 0;
}
