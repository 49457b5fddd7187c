/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_BASE64_H
#define SPEFW_BASE64_H

/* Bytes as text, RFC 4648: for what is no UTF-8. */

#include <stddef.h>

/* NULL without memory; to be freed. */
char *base64_encode(const char *bytes, size_t length);
/* Likewise, with a NUL behind the bytes that is not counted; NULL also where it is no such text. */
char *base64_decode(const char *text, size_t *ret_length);

#endif
