/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/parts.h"
#include "log.h"

/* What happens, for those who watch. */

void happened(struct gateway *gateway, const struct happening *happening)
{
	if (gateway->watched)
		gateway->events.happened(gateway->userdata, happening);
}

static void on_addresses(void *userdata, const char *name, enum family family, const struct addr *added,
			 size_t added_count, const struct addr *removed, size_t removed_count)
{
	happened(userdata, &(struct happening){ .kind = HAPPENED_NAME,
						.text = name,
						.family = family,
						.added = added,
						.added_count = added_count,
						.removed = removed,
						.removed_count = removed_count });
}

static void look_at_names(struct gateway *gateway, const struct policy *policy, names_seen_change *change)
{
	struct names_view view = { 0 };

	/* Without memory they are seen the next time. */
	if (names_view(gateway->names, policy, &view) == 0)
		names_seen_update(&gateway->names_seen, policy, &view, change, gateway);
	names_view_free(&view);
}

void happened_to_names(struct gateway *gateway, const struct policy *policy)
{
	if (gateway->watched)
		look_at_names(gateway, policy, on_addresses);
}

void happened_to_policy(struct gateway *gateway)
{
	if (gateway->watched)
		names_seen_keep(&gateway->names_seen, config_store_policy(gateway->config));
}

void gateway_watch(struct gateway *gateway, bool watch)
{
	if (gateway->watched == watch)
		return;
	gateway->watched = watch;
	if (watch)
		look_at_names(gateway, config_store_policy(gateway->config), NULL);
	else
		names_seen_free(&gateway->names_seen);
}
