/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircert.c - what a server's certificate says
 *
 * Pure code of the directory child. Walks the certificate's structure to the fields and to the
 * subjectAltName extension: its bytes may occur elsewhere too, where the holder chose them (a key),
 * so they are not looked for. Every length is checked against what is left. Whatever the bytes, it
 * ends. Source: RFC 5280 4.1, 4.2.1.6, RFC 6125 6.4.3 (wildcards), X.690 8.1.3 (lengths).
 */
#include "svm-idfw/dircert.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/addr.h"
#include "lib/base/err.h"

struct der {
	const uint8_t *p;
	size_t left;
};

static bool der_next(struct der *d, uint8_t *ret_tag, struct der *ret_value);
static bool cert_alt_names(const uint8_t *p, size_t len, struct der *ret);
static void cert_name(uint8_t tag, const struct der *v, char out[DIR_CERT_NAMES_MAX]);
static bool cert_is(const char *name, const char *host);
static bool cert_dn(struct der dn, char out[DIR_CERT_DN_MAX]);
static bool cert_time(uint8_t tag, const struct der *v, int64_t *ret);

bool dir_cert_names(
	const void *der, size_t len, const char *host, char ret_names[DIR_CERT_NAMES_MAX])
{
	struct der names, value;
	bool found = false;
	size_t at = 0;
	uint8_t tag;

	ret_names[0] = '\0';
	if (!cert_alt_names(der, len, &names))
		return false;
	while (der_next(&names, &tag, &value)) {
		char name[DIR_CERT_NAMES_MAX];

		cert_name(tag, &value, name);
		if (name[0] == '\0')
			continue;
		found |= cert_is(name, host);
		if (at + strlen(name) + 3 < DIR_CERT_NAMES_MAX)
			at += (size_t)snprintf(ret_names + at, DIR_CERT_NAMES_MAX - at, "%s%s",
				at ? ", " : "", name);
	}
	return found;
}

bool dir_cert_has_name(const void *der, size_t len, const char *dns)
{
	struct der names, value;
	uint8_t tag;

	if (!cert_alt_names(der, len, &names))
		return false;
	while (der_next(&names, &tag, &value))
		if (tag == 0x82 && value.left == strlen(dns) &&
			strncasecmp((const char *)value.p, dns, value.left) == 0)
			return true;
	return false;
}

bool dir_cert_read(const void *der, size_t len, const char *host, struct dir_cert *ret)
{
	struct der d = { der, len }, cert, tbs, v, issuer, subject, times;
	struct dir_cert c = { .for_host = false };
	uint8_t tag;

	if (!der_next(&d, &tag, &cert) || tag != 0x30 || !der_next(&cert, &tag, &tbs) ||
		tag != 0x30 || !der_next(&tbs, &tag, &v))
		return false;
	if (tag == 0xa0 && !der_next(&tbs, &tag, &v)) /* the version comes before the number */
		return false;
	if (!der_next(&tbs, &tag, &v) /* the signature's algorithm */ ||
		!der_next(&tbs, &tag, &issuer) || tag != 0x30 || !der_next(&tbs, &tag, &times) ||
		tag != 0x30 || !der_next(&tbs, &tag, &subject) || tag != 0x30)
		return false;
	if (!der_next(&times, &tag, &v) || !cert_time(tag, &v, &c.not_before) ||
		!der_next(&times, &tag, &v) || !cert_time(tag, &v, &c.not_after) ||
		!cert_dn(issuer, c.issuer) || !cert_dn(subject, c.subject))
		return false;
	c.for_host = dir_cert_names(der, len, host, c.names);
	*ret = c;
	return true;
}

/* one element off the front; false at the end or when its length is not true */
static bool der_next(struct der *d, uint8_t *ret_tag, struct der *ret_value)
{
	size_t len, head = 2, n;

	if (d->left < 2)
		return false;
	*ret_tag = d->p[0];
	len = d->p[1];
	if (len >= 0x80) {
		n = len & 0x7f;
		if (n == 0 || n > 3 || d->left < 2 + n)
			return false;
		for (len = 0; head < 2 + n; head++)
			len = len << 8 | d->p[head];
	}
	if (len > d->left - head)
		return false;
	*ret_value = (struct der){ d->p + head, len };
	d->p += head + len;
	d->left -= head + len;
	return true;
}

/* the first element of @d, which has to be of @tag */
static bool der_enter(struct der *d, uint8_t tag, struct der *ret_value)
{
	uint8_t got;

	return der_next(d, &got, ret_value) && got == tag;
}

/* Certificate, its tbsCertificate, the extensions in it: nothing behind them is optional but @3 */
static bool cert_extensions(const uint8_t *p, size_t len, struct der *ret)
{
	struct der all = { p, len }, cert, tbs, value;
	uint8_t tag;

	if (!der_enter(&all, 0x30, &cert) || !der_enter(&cert, 0x30, &tbs))
		return false;
	while (der_next(&tbs, &tag, &value))
		if (tag == 0xa3)
			return der_enter(&value, 0x30, ret);
	return false;
}

/* Extension: identifier, perhaps "critical", then a string that holds the sequence of names */
static bool cert_alt_names(const uint8_t *p, size_t len, struct der *ret)
{
	static const uint8_t oid[] = { 0x55, 0x1d, 0x11 };
	struct der list, one, value;
	uint8_t tag;

	if (!cert_extensions(p, len, &list))
		return false;
	while (der_enter(&list, 0x30, &one)) {
		if (!der_enter(&one, 6, &value))
			return false;
		if (value.left != sizeof(oid) || memcmp(value.p, oid, sizeof(oid)) != 0)
			continue;
		if (!der_next(&one, &tag, &value) || (tag == 1 && !der_next(&one, &tag, &value)))
			return false;
		return tag == 4 && der_enter(&value, 0x30, ret);
	}
	return false;
}

static void cert_name(uint8_t tag, const struct der *v, char out[DIR_CERT_NAMES_MAX])
{
	struct gi_addr a;
	char text[GI_ADDR_STRLEN];

	out[0] = '\0';
	if (tag == 0x82 && v->left < DIR_CERT_NAMES_MAX && !memchr(v->p, '\0', v->left)) {
		memcpy(out, v->p, v->left);
		out[v->left] = '\0';
	} else if (tag == 0x87 && gi_addr_from_bytes(v->p, v->left, &a) == 0) {
		(void)snprintf(out, DIR_CERT_NAMES_MAX, "%s", gi_addr_format(&a, text));
	}
}

static bool cert_is(const char *name, const char *host)
{
	const char *dot = strchr(host, '.');
	struct gi_addr a, b;

	if (gi_addr_parse(name, &a) == 0 && gi_addr_parse(host, &b) == 0)
		return gi_addr_cmp(&a, &b) == 0;
	if (strncmp(name, "*.", 2) == 0)
		return dot && strcasecmp(name + 1, dot) == 0;
	return strcasecmp(name, host) == 0;
}

/* "CN" of 2.5.4.3; NULL: not one that people know */
static const char *cert_attribute(const struct der *oid)
{
	static const struct {
		uint8_t last;
		const char *name;
	} known[] = { { 3, "CN" }, { 6, "C" }, { 7, "L" }, { 8, "ST" }, { 10, "O" }, { 11, "OU" } };
	static const uint8_t dc[] = { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19 };

	if (oid->left == sizeof(dc) && memcmp(oid->p, dc, sizeof(dc)) == 0)
		return "DC";
	for (size_t i = 0; oid->left == 3 && i < GI_ARRAY_SIZE(known); i++)
		if (oid->p[0] == 0x55 && oid->p[1] == 4 && oid->p[2] == known[i].last)
			return known[i].name;
	return NULL;
}

/* sets of sequences of an identifier and a string; false: not that */
static bool cert_dn(struct der dn, char out[DIR_CERT_DN_MAX])
{
	struct der set, pair, oid, value;
	size_t at = 0;
	uint8_t tag;

	out[0] = '\0';
	while (der_next(&dn, &tag, &set)) {
		const char *name;
		int n;

		if (!der_next(&set, &tag, &pair) || !der_next(&pair, &tag, &oid) || tag != 6 ||
			!der_next(&pair, &tag, &value))
			return false;
		name = cert_attribute(&oid);
		if (!name)
			continue;
		n = snprintf(out + at, DIR_CERT_DN_MAX - at, "%s%s=%.*s", at ? ", " : "", name,
			(int)(value.left > DIR_CERT_DN_MAX ? DIR_CERT_DN_MAX : value.left),
			(const char *)value.p);
		if (n < 0 || (size_t)n >= DIR_CERT_DN_MAX - at)
			break;
		at += (size_t)n;
	}
	return dn.left == 0 || at > 0;
}

/* UTCTime and GeneralizedTime, as RFC 5280 4.1.2.5 wants them: seconds, and Z */
static bool cert_time(uint8_t tag, const struct der *v, int64_t *ret)
{
	size_t year = tag == 0x17 ? 2 : 4, i;
	int n[6] = { 0 };
	struct tm tm = { 0 };

	if ((tag != 0x17 && tag != 0x18) || v->left != year + 11 || v->p[v->left - 1] != 'Z')
		return false;
	for (i = 0; i < v->left - 1; i++) {
		size_t k = i < year ? 0 : 1 + (i - year) / 2;

		if (v->p[i] < '0' || v->p[i] > '9')
			return false;
		n[k] = n[k] * 10 + (v->p[i] - '0');
	}
	if (tag == 0x17)
		n[0] += n[0] < 50 ? 2000 : 1900;
	tm.tm_year = n[0] - 1900;
	tm.tm_mon = n[1] - 1;
	tm.tm_mday = n[2];
	tm.tm_hour = n[3];
	tm.tm_min = n[4];
	tm.tm_sec = n[5];
	*ret = timegm(&tm);
	return true;
}
