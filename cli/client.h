/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CLIENT_H
#define SPEFW_CLIENT_H

#include <jansson.h>

/* One connection, one call, one reply. parameters (NULL: none) are stolen. 0, and *ret (the caller's) is the reply's
 * message. -ENOENT, -ECONNREFUSED: nobody listens; -EACCES: may not; -ETIMEDOUT: silent; -ECONNRESET: hung up;
 * -EBADMSG, -EMSGSIZE: not understood; other negative errno. */
int client_call(const char *socket, const char *method, json_t *parameters, unsigned timeout_s, json_t **ret);

#endif
