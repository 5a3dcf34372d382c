/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircert.c - the names in a server's certificate, for words about a refused one
 *
 * Pure code of the directory child. Not a DER parser: it looks for the subjectAltName extension and
 * walks the names in it; every length is checked against what is left. Whatever the bytes, it ends.
 * Source: RFC 5280 4.2.1.6, RFC 6125 6.4.3 (wildcards), X.690 8.1.3 (lengths).
 */
#include "svm-idfw/dircert.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/addr.h"

struct der {
	const uint8_t *p;
	size_t left;
};

static bool der_next(struct der *d, uint8_t *ret_tag, struct der *ret_value);
static bool cert_alt_names(const uint8_t *p, size_t len, struct der *ret);
static void cert_name(uint8_t tag, const struct der *v, char out[DIR_CERT_NAMES_MAX]);
static bool cert_is(const char *name, const char *host);

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

/* behind the extension's identifier: perhaps "critical", then a string that holds the sequence */
static bool cert_alt_names(const uint8_t *p, size_t len, struct der *ret)
{
	static const uint8_t oid[] = { 6, 3, 0x55, 0x1d, 0x11 };
	const uint8_t *at = memmem(p, len, oid, sizeof(oid));
	struct der rest, value;
	uint8_t tag;

	if (!at)
		return false;
	at += sizeof(oid);
	rest = (struct der){ at, len - (size_t)(at - p) };
	if (!der_next(&rest, &tag, &value))
		return false;
	if (tag == 1 && !der_next(&rest, &tag, &value))
		return false;
	return tag == 4 && der_next(&value, &tag, ret) && tag == 0x30;
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
