/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the policy needs of this gateway's interfaces. */
#include "fake_links.h"
#include "fake_time.h"
#include "gw_fixture.h"

#include "gateway/network.h"

#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25\nresolvers = 198.51.100.53\n"
#define ROLES "[role ADM]\nmembers = 203.0.113.0/24\n[role MX]\nmembers = 192.0.2.128/25\nprotected = yes\n"
#define WITH(text) SERVER text ROLES

static struct network *network;
static struct policy policy;
static size_t changes;

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	changes++;
}

static int setup(void **state)
{
	(void)state;
	fake_time_reset(INT64_C(1000000), INT64_C(1700000000));
	fake_links_reset();
	fake_log_reset();
	changes = 0;
	make_good_policy(&policy, SERVER ROLES);
	assert_int_equal(network_new(&network, NULL, on_changed, &changes), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	network_free(network);
	policy_free(&policy);
	fake_links_reset();
	return (int)fake_links_alive;
}

static void use(const char *config)
{
	policy_free(&policy);
	make_good_policy(&policy, config);
}

static const char *reasons(void)
{
	struct health health = { 0 };

	network_reasons(network, &policy, &health);
	return reasons_text(&health);
}

static const char *remedies(void)
{
	struct health health = { 0 };

	network_reasons(network, &policy, &health);
	return remedies_text(&health);
}

static void append_list(char *text, const char *name, const struct interface_list *list)
{
	if (!list->count)
		return;
	sprintf(text + strlen(text), "%s:", name);
	for (size_t i = 0; i < list->count; i++)
		sprintf(text + strlen(text), " %s", list->names[i]);
	strcat(text, "\n");
}

/* The interfaces of the environment, a list a line, those of roles first. */
static const char *environment_text(void)
{
	static char text[1024];
	struct environment_store store;
	struct names_view names = { 0 };

	text[0] = '\0';
	assert_int_equal(network_environment(network, &policy, &store), 0);
	struct environment environment = environment_of(&store, network_own_addresses(network), &names);
	assert_ptr_equal(environment.gateway, network_own_addresses(network));
	assert_ptr_equal(environment.names, &names);
	for (size_t i = 0; i < policy.role_count; i++)
		append_list(text, policy.roles[i].name, &environment.role_interfaces[i]);
	append_list(text, "towards", &environment.towards);
	append_list(text, "own", &environment.own_interfaces);
	append_list(text, "resolvers", environment.resolvers);
	for (size_t i = 0; i < environment.broadcasts->count; i++) {
		char range[RANGE_TEXT_MAX];
		sprintf(text + strlen(text), "broadcast: %s\n", range_format(&environment.broadcasts->items[i], range));
	}
	environment_free(&store);
	return text;
}

static void test_environment(void **state)
{
	(void)state;
	fake_links_set_own("192.0.2.1");
	assert_string_equal(environment_text(), "");
	fake_links_set_towards("192.0.2.0/25", "lan vpn");
	fake_links_set_towards("192.0.2.128/25", "dmz");
	fake_links_set_towards("203.0.113.0/24", "adm"); /* ADM is not protected */
	fake_links_set_towards("198.51.100.0/24", "wan");
	fake_links_set_own_packets("vrf0");
	fake_links_set_broadcasts("192.0.2.255");
	assert_string_equal(environment_text(), "SERVER: lan vpn\nMX: dmz\ntowards: dmz lan vpn\nown: vrf0\n"
						"resolvers: wan\nbroadcast: 192.0.2.255\n");
	/* By a bridge without an address a role's packets may come, where it is known that they come by any. */
	fake_links_set_bare_bridges("br0 lan");
	fake_links_set_towards("192.0.2.128/25", "");
	assert_string_equal(environment_text(), "SERVER: lan vpn br0\ntowards: lan vpn\nown: vrf0\n"
						"resolvers: wan\nbroadcast: 192.0.2.255\n");
}

static void test_interface_key(void **state)
{
	(void)state;
	fake_links_set_towards("192.0.2.0/25", "lan");
	fake_links_set_towards("192.0.2.128/25", "dmz");
	use(WITH("interface = eth1 eth2\n")); /* of the server alone */
	assert_string_equal(environment_text(), "SERVER: eth1 eth2\nMX: dmz\ntowards: dmz lan\n");
	use(WITH("interface = any\n"));
	assert_string_equal(environment_text(), "MX: dmz\ntowards: dmz lan\n");
}

static void test_observed_resolvers(void **state)
{
	(void)state;
	fake_links_set_towards("192.0.2.0/25", "lan");
	fake_links_set_towards("198.51.100.0/24", "wan");
	assert_string_equal(environment_text(), "SERVER: lan\ntowards: lan\nresolvers: wan\n");
	use(WITH("[dns]\nobserve = no\n"));
	assert_string_equal(environment_text(), "SERVER: lan\ntowards: lan\n");
}

static void test_environment_errors(void **state)
{
	struct environment_store store;
	int r = -EIO;

	(void)state;
	fake_links_set_towards("192.0.2.0/24", "lan dmz");
	fake_links_set_towards("198.51.100.0/24", "wan");
	fake_links_set_bare_bridges("br0");
	fake_links_set_own_packets("vrf0");
	fake_links_set_broadcasts("192.0.2.255");
	size_t calls = 0;
	for (; r < 0; calls++) { /* each call fails in turn */
		fake_links_error = -EIO;
		fake_links_good_calls = calls;
		r = network_environment(network, &policy, &store);
		fake_links_error = 0;
		assert_true(r == 0 || r == -EIO);
		environment_free(&store);
	}
	assert_int_equal(calls, 9); /* two roles and their bridges, towards, own, broadcasts, resolvers */
	long left = 0;
	for (r = -ENOMEM; r < 0; left++) { /* likewise each allocation */
		allocations_left = left;
		r = network_environment(network, &policy, &store);
		allocations_left = -1;
		assert_true(r == 0 || r == -ENOMEM);
		environment_free(&store);
	}
	assert_true(left > 9);
	use(WITH("interface = eth1\n"));
	allocations_left = 1;
	assert_int_equal(network_environment(network, &policy, &store), -ENOMEM);
	allocations_left = -1;
	environment_free(&store);
}

static void test_changes(void **state)
{
	(void)state;
	fake_links_set_own("192.0.2.1 2001:db8::1");
	fake_links_change();
	assert_int_equal(changes, 1);
	assert_int_equal(network_own_addresses(network)->count, 2);
	fake_links_unread = true;
	assert_string_equal(reasons(), "interfaces-unread: a change of this gateway's interfaces or addresses is not "
				       "followed yet\n");
	fake_links_unread = false;
	assert_string_equal(reasons(), "");
}

static void add_interface_set(struct ruleset *ruleset, const char *name, const char *interface, const char *more)
{
	struct set *set = ruleset_set(ruleset, name, KEY_INTERFACE, 0);
	struct element element = { .action = 0 };

	assert_non_null(set);
	memcpy(element.first, interface, strlen(interface));
	set_add(ruleset, set, &element);
	memset(element.first, 0, sizeof(element.first));
	memcpy(element.first, more, strlen(more));
	set_add(ruleset, set, &element);
}

static void test_remember(void **state)
{
	struct ruleset found = { .failed = false };

	(void)state;
	assert_int_equal(network_remember(network, &policy, &found), 0);
	assert_string_equal(fake_links_remembered, "");
	add_interface_set(&found, "SERVER_interfaces", "eth0", "a-long-name-15c");
	add_interface_set(&found, "ADM_interfaces", "eth1", "eth2"); /* is not protected */
	add_interface_set(&found, "MX_interfaces", "eth3", "eth4");
	ruleset_find_set(&found, "MX_interfaces")->type = KEY_IPV4; /* not what it seems */
	assert_int_equal(network_remember(network, &policy, &found), 0);
	assert_string_equal(fake_links_remembered, "192.0.2.25=eth0,a-long-name-15c; ");
	allocations_left = 0;
	assert_int_equal(network_remember(network, &policy, &found), -ENOMEM);
	allocations_left = -1;
	fake_links_error = -EIO;
	assert_int_equal(network_remember(network, &policy, &found), -EIO);
	ruleset_free(&found);
}

#define CARRIES(bridge) \
	"bridge " bridge " carries what passes between 192.0.2.25 (at lan)'s IPv4 and 192.0.2.254 (at wan) "
#define BRIDGE(bridge) "bridge: " CARRIES(bridge) "past the guard\n"

static void read_bridges(void)
{
	struct health health = { 0 };

	network_reasons(network, &policy, &health);
	health_free(&health);
}

static void test_bridges(void **state)
{
	(void)state;
	assert_string_equal(reasons(), "");
	fake_bridges_set("br0");
	assert_string_equal(reasons(), ""); /* they were read just now */
	assert_int_equal(fake_bridges_reads, 1);
	fake_time_pass(1000);
	assert_string_equal(reasons(), BRIDGE("br0"));
	assert_string_equal(remedies(), "bridge: sysctl -w net.bridge.bridge-nf-call-iptables=1\n");
	assert_int_equal(fake_log_count(CARRIES("br0")), 1);
	fake_time_pass(1000);
	read_bridges();
	assert_int_equal(fake_log_count("br0"), 1); /* that is no news */
	assert_int_equal(fake_bridges_reads, 3);

	fake_bridges_set("br1 br0");
	read_bridges();
	assert_int_equal(fake_log_count("br1"), 0);
	fake_links_change(); /* then at once */
	read_bridges();
	assert_int_equal(fake_log_count(CARRIES("br1")), 1);
	assert_int_equal(fake_log_count(""), 2);
	assert_string_equal(reasons(), BRIDGE("br1") BRIDGE("br0"));

	fake_bridges_set("");
	fake_time_pass(1000);
	assert_string_equal(reasons(), "");
}

#define UNREADABLE \
	"bridges-unreadable: bridges can't be read: whether one carries the server past the guard is not known\n"

static void test_unreadable_bridges(void **state)
{
	(void)state;
	fake_bridges_error = -EIO;
	assert_string_equal(reasons(), UNREADABLE);
	fake_bridges_error = 0;
	fake_bridges_set("br0");
	fake_time_pass(1000);
	assert_string_equal(reasons(), BRIDGE("br0"));
	fake_time_pass(1000);
	allocations_left = 0;
	read_bridges();
	allocations_left = -1;
	assert_string_equal(reasons(), BRIDGE("br0") UNREADABLE); /* what was found last still counts */
	assert_int_equal(fake_log_count(""), 1);
}

static void test_missing_interface(void **state)
{
	(void)state;
	use(WITH("interface = lo no-such-1 no-such-2\n"));
	assert_string_equal(reasons(), "interface-missing: interface names no-such-1, and this gateway has no such "
				       "interface: what "
				       "the server sends by another one is taken for spoofed\n"
				       "interface-missing: interface names no-such-2, and this gateway has no such "
				       "interface: what "
				       "the server sends by another one is taken for spoofed\n");
	use(WITH("interface = lo\n"));
	assert_string_equal(reasons(), "");
}

static void test_new_fails(void **state)
{
	struct network *fresh = NULL;

	(void)state;
	fake_links_new_error = -EPERM;
	assert_int_equal(network_new(&fresh, NULL, on_changed, &changes), -EPERM);
	assert_int_equal(fake_log_count("can't read interfaces and routes from the kernel: Operation not permitted"),
			 1);
	fake_links_new_error = 0;
	for (allocations_left = 0; allocations_left < 2;) {
		long left = allocations_left;
		assert_int_equal(network_new(&fresh, NULL, on_changed, &changes), -ENOMEM);
		allocations_left = left + 1;
	}
	assert_null(fresh);
	network_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interface_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_observed_resolvers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remember, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bridges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_bridges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_fails, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
