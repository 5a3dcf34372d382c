/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirname.c - the names under which PAM may know a user, and LDAP filters made of them
 *
 * Pure code of the directory child: parsing of the three forms, escaping, the filters. Invariant:
 * no byte of a name reaches a filter unescaped.
 * Source: RFC 4515 section 3; MS-ADTS 3.1.1.3.1.3 (filters).
 */
#include "svm-idfw/dirname.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

int dir_name_parse(const char *text, struct dir_name *ret)
{
	const char *slash = strchr(text, '\\'), *at = strrchr(text, '@');
	struct dir_name n = { .form = DIR_NAME_PLAIN };
	size_t len = strlen(text);

	if (len > DIR_NAME_MAX)
		return -GI_ELIMIT;
	if (len == 0 || !gi_text_is_clean(text, DIR_NAME_MAX))
		return -EINVAL;
	if (slash) {
		n.form = DIR_NAME_DOMAIN;
		memcpy(n.domain, text, (size_t)(slash - text));
		memcpy(n.account, slash + 1, strlen(slash + 1));
	} else if (at) {
		n.form = DIR_NAME_UPN;
		memcpy(n.account, text, (size_t)(at - text));
		memcpy(n.domain, at + 1, strlen(at + 1));
	} else {
		memcpy(n.account, text, len);
	}
	if (n.account[0] == '\0' || (n.form != DIR_NAME_PLAIN && n.domain[0] == '\0') ||
		strchr(n.account, '\\'))
		return -EINVAL;
	*ret = n;
	return 0;
}

void dir_filter_escape(struct gi_buf *out, const void *value, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *v = value;
	size_t i;

	for (i = 0; i < len; i++) {
		char esc[3] = { '\\', hex[v[i] >> 4], hex[v[i] & 15] };

		if (v[i] < 128 && (isalnum(v[i]) || strchr("-_.@", v[i])) && v[i] != '\0')
			gi_buf_append(out, v + i, 1);
		else
			gi_buf_append(out, esc, sizeof(esc));
	}
}

void dir_filter_user(struct gi_buf *out, const struct dir_name *n, bool upn)
{
	gi_buf_printf(
		out, "(&(objectClass=user)(%s=", upn ? "userPrincipalName" : "sAMAccountName");
	dir_filter_escape(out, n->account, strlen(n->account));
	if (upn) {
		gi_buf_append(out, "@", 1);
		dir_filter_escape(out, n->domain, strlen(n->domain));
	}
	gi_buf_append(out, "))", 2);
}

/* up to the next comma that ends a part: "x\\,DC=y" is a name, and somebody may have chosen it */
static size_t dn_part(const char *p)
{
	size_t n = 0;

	while (p[n] != '\0' && p[n] != ',')
		n += p[n] == '\\' && p[n + 1] != '\0' ? 2 : 1;
	return n;
}

int dir_base_domain(const char *base, char ret_domain[DIR_NAME_MAX + 1])
{
	char out[DIR_NAME_MAX + 1] = "";
	size_t len = 0;
	const char *p = base;

	while (*p != '\0') {
		size_t part = dn_part(p);
		const char *eq = memchr(p, '=', part);
		size_t value = eq ? part - (size_t)(eq + 1 - p) : 0;

		if (eq && eq - p == 2 && strncasecmp(p, "dc", 2) == 0 && value > 0) {
			if (len + value + 1 > DIR_NAME_MAX)
				return -EINVAL;
			len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s",
				len ? "." : "", (int)value, eq + 1);
		} else {
			len = 0; /* only what it ends with */
		}
		p += part;
		p += strspn(p, ", ");
	}
	if (len == 0)
		return -EINVAL;
	memcpy(ret_domain, out, len + 1);
	return 0;
}

bool dir_dn_is_below(const char *dn, const char *base)
{
	size_t len = dn ? strlen(dn) : 0, have = strlen(base);

	if (!dn || len < have || strcasecmp(dn + len - have, base) != 0)
		return false;
	/* "\\,OU=x" at the end of a name is part of that name */
	return len == have ||
	       (dn[len - have - 1] == ',' && (len == have + 1 || dn[len - have - 2] != '\\'));
}
