/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircert.h - what a server's certificate says
 *
 * Pure; runs in the directory child. Trust and host name are libldap's to check: this finds words
 * when it has refused a certificate without saying why, what `idfwctl dir test` shows, and, in one
 * that it accepted, the name of the domain, if the server was found by DNS.
 * Source: RFC 5280 4.1 (fields), 4.2.1.6 (subjectAltName), X.690.
 */
#ifndef SVM_IDFW_DIRCERT_H
#define SVM_IDFW_DIRCERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIR_CERT_NAMES_MAX 96 /* bytes of the list of names */
#define DIR_CERT_DN_MAX 80    /* bytes of subject and issuer; more is cut */

struct dir_cert {
	char subject[DIR_CERT_DN_MAX], issuer[DIR_CERT_DN_MAX]; /* "O=Corp, CN=dc1" */
	char names[DIR_CERT_NAMES_MAX];				/* as dir_cert_names() has them */
	bool for_host;
	int64_t not_before, not_after; /* Unix seconds */
};

/*
 * dir_cert_names - what the certificate is for
 * @der: any bytes
 * @host: DNS name or address that was asked for
 * @ret_names: "dc1.corp.example, 10.77.8.10", cut when it is long; "" when there are none
 * Returns whether @host is one of them.
 */
bool dir_cert_names(
	const void *der, size_t len, const char *host, char ret_names[DIR_CERT_NAMES_MAX]);
/* does it carry this very DNS name, without wildcards? @der: any bytes */
bool dir_cert_has_name(const void *der, size_t len, const char *dns);
/*
 * dir_cert_read - the fields that people ask for
 * @der: any bytes
 * @host: DNS name or address that was asked for
 * Returns false, and *ret untouched, when these bytes are no certificate.
 */
bool dir_cert_read(const void *der, size_t len, const char *host, struct dir_cert *ret);

#endif
