/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_watch.h"
#include "control/report_drops.h"
#include "control/report_happening.h"
#include "control/watchers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct watch {
	struct watchers *watchers;
	const char *health; /* the word that was reported last; NULL: none yet */
	uint64_t codes;     /* with these reasons */
	uint64_t drops;     /* denials up to this serial were there before, or were told */
};

enum { DROPS_SHOWN = 20 };

int watch_new(struct watch **ret, sd_event *event)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return -ENOMEM;
	int r = watchers_new(&watch->watchers, event, report_lost);
	if (r < 0) {
		free(watch);
		return r;
	}
	*ret = watch;
	return 0;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	watchers_free(watch->watchers);
	free(watch);
}

static void on_gone(void *userdata, struct control_call *call)
{
	const struct service *service = userdata;

	watchers_forget(service->watch->watchers, call);
	gateway_watch(service->gateway, watchers_any(service->watch->watchers));
}

static void on_room(void *userdata, struct control_call *call)
{
	const struct service *service = userdata;

	(void)call;
	watchers_have_room(service->watch->watchers);
}

/* Without `more` it is the first reply alone: how things are. */
void method_watch(void *userdata, struct control_call *call, json_t *parameters)
{
	struct service *service = userdata;
	struct health health;

	(void)parameters;
	gateway_reasons(service->gateway, &health);
	json_t *first = report_health_event(&health, NULL, 0);
	health_free(&health);
	if (first && !control_wants_more(call)) {
		control_reply(call, first);
		return;
	}
	if (!watchers_any(service->watch->watchers))
		service->watch->drops = drops_table(gateway_drops(service->gateway))->serial;
	control_stream(call, on_room);
	if (watchers_add(service->watch->watchers, call, first) < 0) {
		control_fail(call, "org.spefw.Gateway.Failed", json_pack("{s:s}", "what", "out of memory"));
		return;
	}
	control_on_gone(call, on_gone);
	gateway_watch(service->gateway, true);
}

void watch_happened(struct service *service, const struct happening *happening)
{
	const struct policy *policy = config_store_policy(gateway_config(service->gateway));

	if (watchers_any(service->watch->watchers))
		watchers_publish(service->watch->watchers, report_happening(policy, happening));
}

void watch_health(struct service *service)
{
	struct watch *watch = service->watch;
	struct health health;

	gateway_reasons(service->gateway, &health);
	uint64_t codes = health_mask(&health);
	const char *word = health_word(&health);
	if (watch->health && watchers_any(watch->watchers) &&
	    (codes != watch->codes || strcmp(word, watch->health) != 0))
		watchers_publish(watch->watchers, report_health_event(&health, watch->health, watch->codes));
	watch->health = word;
	watch->codes = codes;
	health_free(&health);
}

void watch_drops(struct service *service)
{
	struct watch *watch = service->watch;
	uint64_t serial = watch->drops;

	if (!watchers_any(watch->watchers))
		return;
	json_t *drops = report_drops(service->gateway, watch->drops, DROPS_SHOWN, &serial);
	watch->drops = serial;
	watchers_publish(watch->watchers, drops ? report_denials(drops) : NULL);
	json_decref(drops);
}
