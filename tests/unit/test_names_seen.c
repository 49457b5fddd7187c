/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came and what went of the addresses of names. */
#include "core/names_seen.h"

#include "make.h"

#include <errno.h>

#define BASE "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n[gateway]\npreset = none\n"
#define FLOW(name) "[flow " name "]\nfrom = SERVER\nto = " name ".example.net\nprotocol = tcp\nport = 443\n"

static char changes[1024];

static void add_all(const char *sign, const struct addr *addrs, size_t count)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(changes);
		snprintf(changes + length, sizeof(changes) - length, " %s%s", sign, addr_format(&addrs[i], text));
	}
}

static void on_change(void *userdata, const char *name, enum family family, const struct addr *added,
		      size_t added_count, const struct addr *removed, size_t removed_count)
{
	size_t length = strlen(changes);

	assert_ptr_equal(userdata, changes);
	snprintf(changes + length, sizeof(changes) - length, "%s %d:", name, family == FAMILY_4 ? 4 : 6);
	add_all("+", added, added_count);
	add_all("-", removed, removed_count);
	strcat(changes, "\n");
}

/* What is reported where the names have these addresses now. */
static const char *see(struct names_seen *seen, const struct policy *policy, const char *addresses, bool report)
{
	struct names_view view = make_names(policy, addresses);

	changes[0] = '\0';
	assert_int_equal(names_seen_update(seen, policy, &view, report ? on_change : NULL, changes), 0);
	names_view_free(&view);
	return changes;
}

static void test_changes(void **state)
{
	struct names_seen seen = { 0 };
	struct policy policy, fewer;

	(void)state;
	make_good_policy(&policy, BASE FLOW("a") FLOW("b"));
	make_good_policy(&fewer, BASE FLOW("b"));
	assert_string_equal(see(&seen, &policy, "a.example.net 203.0.113.1 203.0.113.3", false), "");
	assert_string_equal(see(&seen, &policy, "a.example.net 203.0.113.1 203.0.113.3", true), "");
	assert_string_equal(see(&seen, &policy, "a.example.net 203.0.113.2 203.0.113.3 2001:db8::1", true),
			    "a.example.net 4: +203.0.113.2 -203.0.113.1\na.example.net 6: +2001:db8::1\n");
	assert_string_equal(see(&seen, &policy, "b.example.net 203.0.113.9", true),
			    "a.example.net 4: -203.0.113.2 -203.0.113.3\na.example.net 6: -2001:db8::1\n"
			    "b.example.net 4: +203.0.113.9\n");
	/* A part of the policy says nothing of the rest. */
	see(&seen, &policy, "a.example.net 203.0.113.1;b.example.net 203.0.113.9", false);
	assert_string_equal(see(&seen, &fewer, "b.example.net 203.0.113.8", true),
			    "b.example.net 4: +203.0.113.8 -203.0.113.9\n");
	names_seen_keep(&seen, &fewer);
	assert_string_equal(see(&seen, &policy, "a.example.net 203.0.113.1;b.example.net 203.0.113.8", true),
			    "a.example.net 4: +203.0.113.1\n");
	names_seen_free(&seen);
	policy_free(&policy);
	policy_free(&fewer);
}

/* Whatever could not be noted is reported the next time. */
static void test_no_memory(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, BASE FLOW("a") FLOW("b"));
	for (int left = 0;; left++) {
		struct names_seen seen = { 0 };
		struct names_view view = make_names(&policy, "a.example.net 203.0.113.1;b.example.net 203.0.113.8");
		allocations_left = left;
		int r = names_seen_update(&seen, &policy, &view, NULL, NULL);
		allocations_left = -1;
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(names_seen_update(&seen, &policy, &view, NULL, NULL), 0);
		}
		names_view_free(&view);
		names_seen_free(&seen);
		if (r == 0)
			break;
		assert_true(left < 100);
	}
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_changes), cmocka_unit_test(test_no_memory) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
