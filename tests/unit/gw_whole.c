/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gw_whole.h"

struct gateway *gateway;
const struct requester by = { "root (uid 0)", true, 0 };

static void ignore(void *userdata)
{
	(void)userdata;
}

static void ignore_waiter(void *userdata, void *waiter)
{
	(void)userdata;
	(void)waiter;
}

static void ignore_happening(void *userdata, const struct happening *happening)
{
	(void)userdata;
	(void)happening;
}

void gateway_set_up(const char *config, int64_t now_ms)
{
	allocations_left = -1;
	fake_nft_reset();
	fake_links_reset();
	fake_resolver_reset();
	fake_nflog_reset();
	fake_helper_reset();
	fake_conntrack_reset();
	fake_time_reset(now_ms, WALL);
	fake_log_reset();
	directory_new();
	directory_write("spefw.ini", config);
	fake_links_set_own("192.0.2.1 2001:db8:2::1");
	fake_links_set_towards("192.0.2.25 2001:db8:2::25", "lan");
}

void gateway_tear_down(void)
{
	allocations_left = -1;
	gateway_end();
	assert_int_equal(fake_timers, 0);
	assert_int_equal(fake_nft.open, 0);
	assert_int_equal(fake_resolvers, 0);
	assert_int_equal(fake_nflogs, 0);
	assert_int_equal(fake_helpers, 0);
	assert_int_equal(fake_links_alive, 0);
	fake_nft_reset();
	fake_links_reset();
	directory_remove();
}

int gateway_make(struct gateway **ret, const struct gateway_events *events)
{
	struct gateway_events whole = *events;
	static char config[80], state[80];

	snprintf(config, sizeof(config), "%s", directory_path("spefw.ini"));
	snprintf(state, sizeof(state), "%s", directory);
	struct gateway_paths paths = { config, state, NULL };
	if (!whole.health_changed)
		whole.health_changed = ignore;
	if (!whole.drops_changed)
		whole.drops_changed = ignore;
	if (!whole.refreshed)
		whole.refreshed = ignore_waiter;
	if (!whole.happened)
		whole.happened = ignore_happening;
	return gateway_new(ret, NULL, &paths, &whole, NULL);
}

void gateway_run(const struct gateway_events *events)
{
	assert_int_equal(gateway_make(&gateway, events), 0);
	assert_int_equal(gateway_start(gateway, -1), 0);
}

void gateway_end(void)
{
	gateway_free(gateway);
	gateway = NULL;
}

int reload_file(const char *config, int64_t confirm_ms, struct reload_result *ret)
{
	struct diags diags = { 0 };

	*ret = (struct reload_result){ 0 };
	if (config)
		directory_write("spefw.ini", config);
	int r = gateway_reload(gateway, &by, confirm_ms, &diags, ret);
	diags_free(&diags);
	return r;
}

void answer(const char *name, const char *address)
{
	fake_resolver_answer(name, FAMILY_4, address, 300);
	fake_resolver_answer(name, FAMILY_6, "", 300);
}

const char *reasons(void)
{
	struct health health;

	gateway_reasons(gateway, &health);
	return reasons_text(&health);
}

bool has_reason(const char *text)
{
	return strstr(reasons(), text) != NULL;
}

const struct element *element(const char *set_name, const char *address)
{
	const struct set *set = ruleset_find_set(&fake_nft.table, set_name);
	struct addr addr = make_addr(address);

	for (size_t i = 0; set && i < set->count; i++)
		if (memcmp(set->items[i].first, addr.bytes, addr_size(addr.family)) == 0)
			return &set->items[i];
	return NULL;
}

void connect_as(const char *source, const char *target, uint16_t port)
{
	struct tracked tracked = {
		.packet = { .source = make_addr(source),
			    .target = make_addr(target),
			    .protocol = PROTOCOL_TCP,
			    .source_port = 50000,
			    .target_port = port },
		.answered = true,
		.open = true,
		.lives_s = 400000,
		.id = port,
	};
	fake_conntrack_add(&tracked);
}
