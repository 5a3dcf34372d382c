/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * certs.c - certificates made at test time with OpenSSL's API
 *
 * No files with keys lie in the tree, and nothing here ends on a certain date. Anything that
 * fails ends the test program: there is nothing to test then.
 */
#include "tests/unit/io/certs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CERT_DAY_SEC (24 * 60 * 60)

struct cert_ca {
	EVP_PKEY *key;
	X509 *cert;
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "certs: %s failed\n", what);
	abort();
}

static FILE *create(const char *dir, const char *name, const char *ext)
{
	char path[512];
	int fd;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s.%s", dir, name, ext);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	must(fd >= 0, path);
	f = fdopen(fd, "w");
	must(f != NULL, "fdopen");
	return f;
}

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(ext && X509_add_ext(cert, ext, -1), value);
	X509_EXTENSION_free(ext);
}

/* @ca NULL: self-signed */
static X509 *make(struct cert_ca *ca, EVP_PKEY *key, const char *cn, const char *san, int days)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	long begin = days < 0 ? (days - 1) * (long)CERT_DAY_SEC : -60;

	must(X509_set_version(cert, 2), "version");
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), begin);
	X509_gmtime_adj(X509_getm_notAfter(cert), days * (long)CERT_DAY_SEC);
	must(X509_NAME_add_entry_by_txt(
		     name, "O", MBSTRING_UTF8, (const unsigned char *)"idfw test", -1, -1, 0),
		"O");
	if (cn)
		must(X509_NAME_add_entry_by_txt(
			     name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0),
			"CN");
	must(X509_set_issuer_name(cert, ca ? X509_get_subject_name(ca->cert) : name), "issuer");
	must(X509_set_pubkey(cert, key), "key");
	add_ext(cert, ca ? ca->cert : cert, NID_basic_constraints,
		ca ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san)
		add_ext(cert, ca ? ca->cert : cert, NID_subject_alt_name, san);
	must(X509_sign(cert, ca ? ca->key : key, EVP_sha256()) > 0, "sign");
	return cert;
}

static void write_cert(X509 *cert, const char *dir, const char *name)
{
	FILE *f = create(dir, name, "pem");

	must(PEM_write_X509(f, cert) && fclose(f) == 0, "write certificate");
}

struct cert_ca *cert_ca_new(const char *dir, const char *name)
{
	struct cert_ca *ca = calloc(1, sizeof(*ca));

	must(ca != NULL, "calloc");
	ca->key = EVP_EC_gen("P-256");
	must(ca->key != NULL, "key");
	ca->cert = make(NULL, ca->key, name, NULL, 1);
	write_cert(ca->cert, dir, name);
	return ca;
}

void cert_ca_free(struct cert_ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	free(ca);
}

void cert_issue(struct cert_ca *ca, const char *dir, const char *name, const char *cn,
	const char *san, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert;
	FILE *f;

	must(key != NULL, "key");
	cert = make(ca, key, cn, san, days);
	write_cert(cert, dir, name);
	f = create(dir, name, "key");
	must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) && fclose(f) == 0,
		"write key");
	X509_free(cert);
	EVP_PKEY_free(key);
}
