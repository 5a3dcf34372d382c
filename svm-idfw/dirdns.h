/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirdns.h - SRV records from DNS, and which name servers a directory child asks
 *
 * The whole of the resolver that we use; resolv.h is included by dirdns.c alone. Runs in the
 * directory children, never in svm-idfw itself: everything here blocks, for seconds when a name
 * server is dead. Source: RFC 1035, RFC 2782; resolver(3).
 */
#ifndef SVM_IDFW_DIRDNS_H
#define SVM_IDFW_DIRDNS_H

#include "svm-idfw/dirsrv.h"
#include "svm-idfw/dirwhy.h"

#define DIR_DNS_SERVERS_MAX 3 /* the resolver knows no more */

/*
 * dir_dns_use - this thread asks @servers, and nobody else, as long as it lives
 * getaddrinfo() does as well, when nsswitch.conf has "dns" for hosts. @n: 0 leaves it as it is.
 * Errors: -EINVAL (no address), -ENOMEM, -EIO (the resolver does not start)
 */
GI_MUST_CHECK int dir_dns_use(char *const *servers, size_t n);
/*
 * dir_dns_srv - ask for the SRV records of @name
 * @add: each record of the answer; may have been called when there is an error
 * @why: in words, on an error
 * Errors: -GI_ENOTFOUND (DNS says that there are none), -EAGAIN (nobody knows now), -GI_EPROTO
 */
GI_MUST_CHECK int dir_dns_srv(const char *name,
	void (*add)(void *arg, const struct dir_srv_record *r), void *arg, char why[DIR_WHY_MAX]);
/* the answer's records for @name; any bytes. -GI_EPROTO, -GI_ENOTFOUND: none in it */
GI_MUST_CHECK int dir_dns_parse(const uint8_t *msg, size_t len, const char *name,
	void (*add)(void *arg, const struct dir_srv_record *r), void *arg);

#endif
