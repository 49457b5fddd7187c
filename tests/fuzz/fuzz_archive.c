// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/archive.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t length);

/* Whatever is unpacked packs again to the same bytes. */
int fuzz_one(const uint8_t *bytes, size_t length)
{
	struct archive archive;
	size_t packed_length;

	if (archive_unpack(&archive, (const char *)bytes, length) < 0)
		return 0;
	char *packed = archive_pack(&archive, &packed_length);
	if (packed && (packed_length != length || memcmp(packed, bytes, length) != 0))
		abort();
	free(packed);
	archive_free(&archive);
	return 0;
}
