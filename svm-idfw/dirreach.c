/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirreach.c - a connection to a directory server by an address that is known from before
 *
 * Runs in the directory child, for servers that DNS named once: with DNS dead libldap would not
 * find them. The descriptor is ours, libldap takes it over with the server's *name* and checks the
 * certificate for that, as if it had found the address itself: so an address need not be trusted.
 * Source: ldap_init_fd(3), ldap_install_tls(3); docs/directory.md "Servers by DNS".
 */
#include "svm-idfw/dirldap_int.h"

#include <fcntl.h>
#include <netdb.h>
#include <openldap.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "svm-idfw/dirsrv.h"

#define REACH_MS 1000 /* of one address: the name has to be tried as well, in time */

static int reach_tcp(const char *address, const char *port, unsigned int timeout_ms);
static int reach_open(int fd, const struct dldap_conf *conf, bool ldaps, LDAP **ret);

int dldap_by_address(const struct dldap_conf *conf, LDAP **ret)
{
	char list[DIR_SRV_ADDRESSES_MAX], *save = NULL;
	struct dldap_where w;
	int err = -ENOENT, fd;
	bool ldaps;

	if (!conf->addresses || !dldap_where(conf->uri, &w, &ldaps))
		return -ENOENT;
	(void)snprintf(list, sizeof(list), "%s", conf->addresses);
	for (char *a = strtok_r(list, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
		fd = reach_tcp(
			a, w.port, conf->timeout_ms < REACH_MS ? conf->timeout_ms : REACH_MS);
		err = fd < 0 ? fd : reach_open(fd, conf, ldaps, ret);
		if (err == 0)
			break;
	}
	return err;
}

void dldap_peer(struct dldap *d, char ret[DLDAP_PEER_MAX])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	int fd = dldap_fd(d);

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&a, &len) < 0 ||
		getnameinfo((struct sockaddr *)&a, len, ret, DLDAP_PEER_MAX, NULL, 0,
			NI_NUMERICHOST) != 0)
		ret[0] = '\0';
}

/* descriptor, blocking */
static int reach_tcp(const char *address, const char *port, unsigned int timeout_ms)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM },
			*a = NULL;
	struct pollfd p = { .events = POLLOUT };
	int err = 0, code = 0, on = 1;
	socklen_t len = sizeof(code);

	if (getaddrinfo(address, port, &hints, &a) != 0)
		return -EINVAL;
	p.fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p.fd < 0) {
		err = -errno;
		goto out;
	}
	if (connect(p.fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			err = -errno;
		else if (poll(&p, 1, (int)timeout_ms) <= 0)
			err = -ETIMEDOUT;
		else if (getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
			err = -errno;
		else
			err = -code;
	}
	if (err == 0 && (setsockopt(p.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
				fcntl(p.fd, F_SETFL, 0) < 0))
		err = -errno;
out:
	freeaddrinfo(a);
	if (err < 0 && p.fd >= 0)
		(void)close(p.fd);
	return err < 0 ? err : p.fd;
}

/* @fd: takes */
static int reach_open(int fd, const struct dldap_conf *conf, bool ldaps, LDAP **ret)
{
	LDAP *ld = NULL;
	int err, rc = LDAP_SUCCESS;

	if (ldap_init_fd(fd, LDAP_PROTO_TCP, conf->uri, &ld) != LDAP_SUCCESS) {
		(void)close(fd);
		return -ENOMEM;
	}
	err = dldap_options(ld, conf, LDAP_OPT_X_TLS_DEMAND);
	if (err == 0 && ldaps)
		rc = ldap_install_tls(ld);
	else if (err == 0 && dldap_is_tls(conf))
		rc = ldap_start_tls_s(ld, NULL, NULL);
	if (rc != LDAP_SUCCESS)
		err = -GI_ETLS;
	if (err < 0) {
		(void)ldap_unbind_ext_s(ld, NULL, NULL);
		return err;
	}
	*ret = ld;
	return 0;
}
