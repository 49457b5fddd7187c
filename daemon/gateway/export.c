/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/export.h"
#include "clock.h"
#include "core/export.h"
#include "gateway/parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SHARE = 4 }; /* who asks gets a part of the processor's time in so many */

static char *origin_of(const struct gateway *gateway)
{
	time_t now = time(NULL);
	struct tm parts;
	char when[32], *text;

	gmtime_r(&now, &parts);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	int r = asprintf(&text, "By spefwd %s, %s: generation %" PRIu64 ", of %s", PACKAGE_VERSION, when,
			 config_store_generation(gateway->config), config_store_file(gateway->config)->path);
	return r < 0 ? NULL : text;
}

static int export_ruleset(struct gateway *gateway, const struct export_view *view, char **ret)
{
	struct ruleset ruleset = { 0 };

	int r = compile_all(gateway, view->policy, &ruleset);
	if (r < 0)
		return r;
	*ret = export_nft(view, &ruleset);
	ruleset_free(&ruleset);
	return *ret ? 0 : -ENOMEM;
}

static int export_as(struct gateway *gateway, enum export_format format, char **ret)
{
	const struct policy *policy = config_store_policy(gateway->config);
	struct names_view names = { 0 };
	char *origin = origin_of(gateway);

	int r = origin ? names_view(gateway->names, policy, &names) : -ENOMEM;
	struct export_view view = { policy, &names, origin, now_ms() };
	if (r == 0 && format == EXPORT_NFT) {
		r = export_ruleset(gateway, &view, ret);
	} else if (r == 0) {
		*ret = export_netsh(&view);
		r = *ret ? 0 : -ENOMEM;
	}
	names_view_free(&names);
	free(origin);
	return r;
}

int gateway_export(struct gateway *gateway, enum export_format format, char **ret)
{
	int64_t began = processor_ms();

	*ret = NULL;
	if (now_ms() < gateway->export_free_ms)
		return -EBUSY;
	int r = export_as(gateway, format, ret);
	gateway->export_free_ms = now_ms() + (processor_ms() - began) * SHARE;
	return r;
}
