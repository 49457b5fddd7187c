/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_PIECES_H
#define SPEFW_CONFIG_PIECES_H

/* The files of a configuration that is kept, piece by piece: they may be large, and whoever asks for them slow. It goes
 * on with the same ones whatever comes into force meanwhile. */

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_PIECE_MAX = 64 * 1024 };

struct config_pieces;

struct config_piece {
	const char *path;  /* of the file; the configuration comes first */
	size_t file;       /* which one, from 0 */
	const char *bytes; /* up to CONFIG_PIECE_MAX; whole lines where they fit; a NUL follows */
	size_t length;
	bool last; /* of all */
};

/* fd: of config_store_open(), which is ours from here on, also on failure. 0, -ENOMEM, or -EBADMSG. */
int config_pieces_new(struct config_pieces **ret, int fd);
void config_pieces_free(struct config_pieces *pieces); /* NULL: nothing */
/* The next one; what it points to is valid until the next call, for whichever configuration. 0, or -EBADMSG: it is
 * damaged. Not after the last. */
int config_pieces_next(struct config_pieces *pieces, struct config_piece *ret);

#endif
