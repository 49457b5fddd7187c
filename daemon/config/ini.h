/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_INI_H
#define SPEFW_CONFIG_INI_H

/* Reads a configuration from INI text: inih splits keys from values, and gets nothing that it would mangle silently. */

#include "core/config.h"

/* Reads path and every file that it names through read_file. 0, -ENOMEM, or the errno of path itself (reported in
 * diags, too); errors in the text are 0 with diags_failed(). *ret can be passed to config_free() in any case. diags are
 * sorted. */
int config_load(struct config *ret, const char *path, config_read_file read_file, void *userdata, struct diags *diags);

/* A config_read_file: regular files on disk, up to 64 MiB (-EFBIG). userdata is not used. */
int config_read_disk(void *userdata, const char *path, char **ret_bytes, size_t *ret_length);

#endif
