/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/interval.h"

#include <string.h>

int nft_edge_order(const void *a, const void *b)
{
	const struct nft_edge *x = a, *y = b;
	int order = memcmp(x->key, y->key, sizeof(x->key));
	return order ? order : (int)y->end - (int)x->end;
}

void nft_last_key(uint8_t *ret, const struct nft_edge *next, size_t size)
{
	if (!next) {
		memset(ret, 0xff, size);
		return;
	}
	memcpy(ret, next->key, size);
	for (size_t i = size; i-- > 0;)
		if (ret[i]-- != 0)
			return;
}
