/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircert.h - the names in a server's certificate
 *
 * Pure; runs in the directory child. Trust and host name are libldap's to check: this finds words
 * when it has refused a certificate without saying why, and, in one that it accepted, the name of
 * the domain, if the server was found by DNS.
 * Source: RFC 5280 4.2.1.6 (subjectAltName), X.690.
 */
#ifndef SVM_IDFW_DIRCERT_H
#define SVM_IDFW_DIRCERT_H

#include <stdbool.h>
#include <stddef.h>

#define DIR_CERT_NAMES_MAX 96 /* bytes of the list of names */

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

#endif
