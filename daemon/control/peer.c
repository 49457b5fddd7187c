/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/peer.h"
#include "core/printable.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>

enum {
	LINES_MAX = 10000, /* a file of more lines is not read to its end: nobody waits for it */
	NAME_SHOWN_MAX = 32,
};

/* The first one of this uid. Lines that begin with + or - are of NIS, and have uid 0 for want of another. */
static bool find_name(const char *path, uid_t uid, char buffer[NAME_SHOWN_MAX + 1])
{
	FILE *file = fopen(path, "re");
	const struct passwd *entry = NULL;
	bool found = false;

	if (!file)
		return false;
	for (int i = 0; i < LINES_MAX && !found && (entry = fgetpwent(file)); i++)
		found = entry->pw_uid == uid && *entry->pw_name != '+' && *entry->pw_name != '-';
	if (found)
		snprintf(buffer, NAME_SHOWN_MAX + 1, "%s", entry->pw_name);
	fclose(file);
	return found;
}

const char *peer_text_by(const char *passwd, uid_t uid, char buffer[PEER_TEXT_MAX])
{
	char name[NAME_SHOWN_MAX + 1];

	if (find_name(passwd, uid, name))
		snprintf(buffer, PEER_TEXT_MAX, "%s (uid %lu)", name, (unsigned long)uid);
	else
		snprintf(buffer, PEER_TEXT_MAX, "uid %lu", (unsigned long)uid);
	make_printable(buffer);
	return buffer;
}

const char *peer_text(uid_t uid, char buffer[PEER_TEXT_MAX])
{
	return peer_text_by("/etc/passwd", uid, buffer);
}
