/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/config_pieces.h"
#include "core/archive.h"
#include "core/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config_pieces {
	FILE *in;
	char line[ARCHIVE_LINE_MAX + 2];
	struct archive_line of; /* the file that is being read; its path is in the line */
	uint64_t hash;          /* of what was read of it */
	size_t left;            /* of it, in bytes */
	size_t files;           /* that were begun */
	bool ended;
};

/* Of the piece, the same for all: a thousand slow readers must not cost a piece each. */
static char piece[CONFIG_PIECE_MAX + 1], piece_path[ARCHIVE_LINE_MAX + 2];

static int read_line(struct config_pieces *pieces)
{
	if (!fgets(pieces->line, sizeof(pieces->line), pieces->in))
		return -EBADMSG;
	size_t length = strlen(pieces->line);
	if (!length || pieces->line[length - 1] != '\n')
		return -EBADMSG;
	pieces->line[length - 1] = '\0';
	return 0;
}

/* The line of the next file, or the end. */
static int begin_file(struct config_pieces *pieces)
{
	int r = read_line(pieces);

	if (r == 0)
		r = archive_parse_line(pieces->line, pieces->files, &pieces->of);
	pieces->ended = r == 0;
	if (r <= 0)
		return r;
	pieces->hash = archive_hash_start(pieces->of.path);
	pieces->left = pieces->of.length;
	pieces->files++;
	return 0;
}

int config_pieces_new(struct config_pieces **ret, int fd)
{
	struct config_pieces *pieces = calloc(1, sizeof(*pieces));
	FILE *in = fdopen(fd, "r");

	if (!pieces || !in) {
		if (in)
			fclose(in);
		else
			close(fd);
		free(pieces);
		return -ENOMEM;
	}
	pieces->in = in;
	int r = read_line(pieces);
	if (r == 0)
		r = archive_is_header(pieces->line) ? begin_file(pieces) : -EBADMSG;
	if (r == 0 && pieces->ended)
		r = -EBADMSG;
	if (r < 0)
		config_pieces_free(pieces);
	else
		*ret = pieces;
	return r;
}

void config_pieces_free(struct config_pieces *pieces)
{
	if (!pieces)
		return;
	fclose(pieces->in);
	free(pieces);
}

/* What is behind the last line end comes with the next piece: no character is torn. */
static size_t whole_lines(const struct config_pieces *pieces, size_t length)
{
	const char *end = length < pieces->left ? memrchr(piece, '\n', length) : NULL;
	return end ? (size_t)(end - piece) + 1 : length;
}

int config_pieces_next(struct config_pieces *pieces, struct config_piece *ret)
{
	size_t wanted = pieces->left < CONFIG_PIECE_MAX ? pieces->left : CONFIG_PIECE_MAX;

	if (fread(piece, 1, wanted, pieces->in) != wanted)
		return -EBADMSG;
	size_t length = whole_lines(pieces, wanted);
	if (length < wanted && fseek(pieces->in, -(long)(wanted - length), SEEK_CUR) < 0)
		return -EBADMSG;
	piece[length] = '\0';
	pieces->hash = hash_bytes(pieces->hash, piece, length);
	pieces->left -= length;
	snprintf(piece_path, sizeof(piece_path), "%s", pieces->of.path);
	*ret = (struct config_piece){ piece_path, pieces->files - 1, piece, length, false };
	if (pieces->left)
		return 0;
	if (pieces->hash != pieces->of.hash || getc(pieces->in) != '\n')
		return -EBADMSG;
	int r = begin_file(pieces);
	ret->last = pieces->ended;
	return r;
}
