/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes are a question to Explain, its three words on lines of their own: whatever is asked, there is an answer or
 * a sentence. */
#include "config/ini.h"
#include "control/report_explain.h"
#include "core/compile.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t size);

enum { SIZE_MAX_ = 2048 };

static const char config_text[] = "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
				  "[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64\n"
				  "[role HELP]\nmembers = help.example.net 203.0.113.9\n"
				  "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"
				  "[flow help-in]\nfrom = HELP\nto = IH\nprotocol = tcp\nport = 5900\n";

static int read_fake(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	(void)userdata;
	if (strcmp(path, "t.ini") != 0)
		return -ENOENT;
	*ret_bytes = strdup(config_text);
	*ret_length = strlen(config_text);
	return *ret_bytes ? 0 : -ENOMEM;
}

/* Each name has an address of each family. */
static void make_names(const struct policy *policy, struct names_view *ret)
{
	static struct name_address addresses[FAMILIES] = {
		{ .addr = { .family = FAMILY_4, .bytes = { 198, 51, 100, 7 } } },
		{ .addr = { .family = FAMILY_6, .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 7 } } },
	};

	ret->names = calloc(policy->name_count, sizeof(*ret->names));
	if (!ret->names)
		abort();
	ret->count = policy->name_count;
	for (size_t i = 0; i < policy->name_count; i++)
		for (int family = 0; family < FAMILIES; family++)
			ret->names[i][family] = (struct name_addresses){ &addresses[family], 1 };
}

static void make_view(struct explain_view *ret)
{
	static struct policy policy;
	static struct names_view names;
	static struct ruleset ruleset;
	static struct interface_list interfaces[8];
	static const struct ranges own;
	static const struct environment environment = { .gateway = &own,
							.role_interfaces = interfaces,
							.names = &names };
	static struct packet_walks *walks;
	struct config config;
	struct diags diags = { 0 };

	if (!policy.role_count) {
		if (config_load(&config, "t.ini", read_fake, NULL, &diags) < 0 ||
		    policy_from_config(&policy, &config, &diags) < 0 || diags_failed(&diags) || policy.role_count > 8)
			abort();
		config_free(&config);
		diags_free(&diags);
		make_names(&policy, &names);
		if (compile(&ruleset, &policy, &environment) < 0 || packet_walks_new(&walks, &policy, &ruleset) < 0)
			abort();
	}
	*ret = (struct explain_view){ &policy, &environment, &names, walks };
}

int fuzz_one(const uint8_t *bytes, size_t size)
{
	struct explain_context context = { .config = "t.ini" };
	char text[SIZE_MAX_], why[QUESTION_WHY_MAX], *rest = text;
	struct explain_view view;
	struct explain_question question;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	make_view(&view);
	const char *source = strsep(&rest, "\n"), *target = rest ? strsep(&rest, "\n") : "";
	memset(why, 'x', sizeof(why));
	int r = question_read(&question, view.policy, view.names, source, target, rest, why);
	if ((r != 0 && r != -EINVAL) || !memchr(why, '\0', sizeof(why)) || (r == 0) != !*why)
		abort();
	json_t *reply = r == 0 ? report_explain(&view, &question, &context) : NULL;
	if (r == 0 && (!reply || report_explain_fold(reply) < 0))
		abort();
	if (r == 0 && !json_array_size(json_object_get(reply, "results")))
		abort();
	json_decref(reply);
	question_free(&question);
	return 0;
}
