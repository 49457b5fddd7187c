/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CLIENT_H
#define SPEFW_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

/* One connection, one call, one reply. parameters (NULL: none) are stolen. 0, and *ret (the caller's) is the reply's
 * message. -ENOENT, -ECONNREFUSED: nobody listens; -EACCES: may not; -ETIMEDOUT: silent; -ECONNRESET: hung up;
 * -EBADMSG, -EMSGSIZE: not understood; other negative errno. */
int client_call(const char *socket, const char *method, json_t *parameters, unsigned timeout_s, json_t **ret);
/* Likewise for many replies: the first one has to come in time, the further ones when they do. `got` gets each message,
 * which is ours, until it returns false. -ECANCELED: it was interrupted, or nobody reads what is printed. */
int client_follow(const char *socket, const char *method, json_t *parameters, unsigned timeout_s,
		  bool (*got)(void *userdata, json_t *message), void *userdata);

#endif
