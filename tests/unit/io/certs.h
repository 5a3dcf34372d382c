/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * certs.h - certificate authorities and certificates that live as long as a test
 *
 * For tests of TLS channels in any room. EC P-256 keys, PEM files in a directory of the test's.
 */
#ifndef TEST_IO_CERTS_H
#define TEST_IO_CERTS_H

struct cert_ca; /* key and certificate */

/* writes @dir/@name.pem */
struct cert_ca *cert_ca_new(const char *dir, const char *name);
void cert_ca_free(struct cert_ca *ca);
/*
 * writes @dir/@name.pem and @dir/@name.key (mode 0600)
 * @cn: NULL for none; @san: as in openssl's configuration, "DNS:svm.lab,IP:10.0.0.1", or NULL
 * @days: validity from now on; negative: ended already
 */
void cert_issue(struct cert_ca *ca, const char *dir, const char *name, const char *cn,
	const char *san, int days);

#endif
