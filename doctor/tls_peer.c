/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spefw-tls NAME ADDRESS PORT: whose certificate answers there for the name, and whether this system trusts it. A
 * program of its own, for spefw-doctor, which runs it without privileges: what a stranger sends is read here and
 * nowhere else. It writes at most four lines, "result", "subject", "issuer" and "why" with a blank and the rest, in
 * printable ASCII. */
#include "core/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 4000, HANDSHAKE_MS = 4000, ALL_S = 9, TEXT_MAX = 240 };

static void put(const char *key, const char *text)
{
	printf("%s ", key);
	for (size_t i = 0; text[i] && i < TEXT_MAX; i++)
		putchar(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	putchar('\n');
}

static int end(const char *result, const char *why)
{
	put("result", result);
	put("why", why);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int connect_to(const struct addr *addr, uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_four = addr->family == FAMILY_4;
	int error = 0, fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(error);

	memcpy(&four.sin_addr, addr->bytes, sizeof(four.sin_addr));
	memcpy(&six.sin6_addr, addr->bytes, sizeof(six.sin6_addr));
	if (fd < 0)
		return -errno;
	int r = connect(fd, is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six,
			is_four ? sizeof(four) : sizeof(six));
	if (r < 0 && errno == EINPROGRESS) {
		struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
		r = poll(&pollfd, 1, CONNECT_MS);
		if (r == 0)
			errno = ETIMEDOUT;
		if (r > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
			errno = error;
		r = r > 0 && !error ? 0 : -1;
	}
	if (r < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static void say_names(gnutls_x509_crt_t certificate)
{
	char text[1024];
	size_t size = sizeof(text);

	put("subject", gnutls_x509_crt_get_dn(certificate, text, &size) == 0 ? text : "");
	size = sizeof(text);
	put("issuer", gnutls_x509_crt_get_issuer_dn(certificate, text, &size) == 0 ? text : "");
}

/* What came as the peer's certificate, be the handshake done or not. */
static int judge(gnutls_session_t session, const char *name, const char *otherwise)
{
	gnutls_x509_crt_t certificate;
	gnutls_datum_t text = { 0 };
	unsigned count = 0, status = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);

	if (!chain || !count)
		return end("no-tls", otherwise);
	if (gnutls_x509_crt_init(&certificate) < 0 ||
	    gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) < 0)
		return end("untrusted", "the certificate can't be read");
	say_names(certificate);
	int r = gnutls_certificate_verify_peers2(session, &status);
	if (r < 0)
		return end("no-tls", gnutls_strerror(r));
	if (status & GNUTLS_CERT_INVALID) {
		gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
		return end("untrusted", text.data ? (char *)text.data : "it is not trusted");
	}
	if (!gnutls_x509_crt_check_hostname(certificate, name))
		return end("other-name", "the name is not in it");
	return end("trusted", "");
}

static int handshake(int fd, const char *name)
{
	gnutls_certificate_credentials_t trust;
	gnutls_session_t session;
	int r;

	if (gnutls_certificate_allocate_credentials(&trust) < 0 || gnutls_init(&session, GNUTLS_CLIENT) < 0)
		return end("unknown", "out of memory");
	if (gnutls_certificate_set_x509_system_trust(trust) <= 0)
		return end("no-trust", "nobody is trusted here");
	if (gnutls_set_default_priority(session) < 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trust) < 0 ||
	    gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, strlen(name)) < 0)
		return end("unknown", "TLS can't be set up");
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, HANDSHAKE_MS);
	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return judge(session, name, r < 0 ? gnutls_strerror(r) : "no certificate");
}

int main(int argc, char **argv)
{
	struct addr addr;
	int port = argc == 4 ? atoi(argv[3]) : 0;

	if (argc != 4 || !addr_parse(argv[2], &addr) || port <= 0 || port > UINT16_MAX) {
		fputs("Usage: spefw-tls NAME ADDRESS PORT\n", stderr);
		return 2;
	}
	alarm(ALL_S);
	int fd = connect_to(&addr, (uint16_t)port);
	if (fd < 0)
		return end("unreachable", strerror(-fd));
	/* Only now that there is somebody: what it needs to judge takes time to load. */
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return end("unknown", strerror(errno));
	return handshake(fd, argv[1]);
}
