/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirback.c - answers of the directory child, and reading accounts and groups from entries
 *
 * Shared by both back ends. Invariant: an answer is whole or it is a failure; an account's groups
 * are never cut at a limit, since a missing group may be one that a drop rule names.
 */
#include "svm-idfw/dirback.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"
#include "svm-idfw/dirroute.h"

static char *back_text(const char *s, size_t max);
static bool back_uuid(const char *text, uint8_t ret[16]);
static void back_first(struct dldap_entry *e, const char *const *attrs, char *buf, size_t size);
static size_t back_sid(struct dldap_entry *e, uint8_t ret[SID_BYTES_MAX]);

int dir_answer_add(struct dir_answer *a, const struct dir_group *g)
{
	struct dir_group *grown, copy = *g;

	if (a->n_groups >= DIR_ANSWER_GROUPS_MAX)
		return -GI_ELIMIT;
	if (a->n_groups == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 64;

		grown = reallocarray(a->groups, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		a->groups = grown;
		a->cap = cap;
	}
	copy.name = back_text(g->name, DIR_NAME_MAX);
	copy.dn = back_text(g->dn, DIR_DN_MAX - 1);
	if (!copy.name || !copy.dn) {
		dir_group_fini(&copy);
		return -ENOMEM;
	}
	a->groups[a->n_groups++] = copy;
	return 0;
}

void dir_answer_fini(struct dir_answer *a)
{
	size_t i;

	for (i = 0; i < a->n_groups; i++)
		dir_group_fini(&a->groups[i]);
	free(a->groups);
	free(a->dn);
	free(a->name);
	free(a->upn);
	*a = (struct dir_answer){ .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
}

void dir_answer_fail(
	struct dir_answer *a, enum _Idfw__DirResult__Status status, const char *fmt, ...)
{
	char text[DIR_WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dir_answer_fini(a);
	a->status = status;
	dir_why(a->text, "%s", text);
}

int dir_answer_account(struct dir_answer *a, struct dldap_entry *e, const struct dir_schema *s)
{
	char name[DIR_NAME_MAX + 1], upn[DIR_NAME_MAX + 1], *dn = NULL;
	int err = dldap_entry_dn(e, &dn);

	if (err < 0)
		return err;
	back_first(e, s->user_name, name, sizeof(name));
	back_first(e, s->user_principal, upn, sizeof(upn));
	free(a->dn);
	free(a->name);
	free(a->upn);
	a->dn = back_text(dn, DIR_DN_MAX - 1);
	a->name = back_text(name, DIR_NAME_MAX);
	a->upn = back_text(upn, DIR_NAME_MAX);
	free(dn);
	a->has_guid = dir_entry_guid(e, s, a->guid);
	a->sid_len = back_sid(e, a->sid);
	return a->dn && a->name && a->upn ? 0 : -ENOMEM;
}

int dir_answer_upn(struct dir_answer *a, const struct dir_back *b)
{
	char upn[2 * DIR_NAME_MAX + 2];

	if (a->status != IDFW__DIR_RESULT__STATUS__OK || !a->name || !*a->name || *a->upn ||
		!*b->domain)
		return 0;
	(void)snprintf(upn, sizeof(upn), "%s@%s", a->name, b->domain);
	free(a->upn);
	a->upn = back_text(upn, DIR_NAME_MAX);
	return a->upn ? 0 : -ENOMEM;
}

int dir_group_read(struct dir_group *g, struct dldap_entry *e, const struct dir_schema *s)
{
	char name[DIR_NAME_MAX + 1];
	int err;

	*g = (struct dir_group){ .has_guid = false };
	err = dldap_entry_dn(e, &g->dn);
	if (err < 0)
		return err;
	back_first(e, s->group_name, name, sizeof(name));
	g->name = strdup(name);
	if (!g->name) {
		dir_group_fini(g);
		return -ENOMEM;
	}
	g->has_guid = dir_entry_guid(e, s, g->guid);
	g->sid_len = back_sid(e, g->sid);
	return 0;
}

void dir_group_fini(struct dir_group *g)
{
	free(g->name);
	free(g->dn);
	g->name = g->dn = NULL;
}

bool dir_entry_guid(struct dldap_entry *e, const struct dir_schema *s, uint8_t ret_guid[16])
{
	char text[40];
	size_t len, i;

	for (i = 0; s->unique_id[i]; i++) {
		if (dldap_entry_bytes(e, s->unique_id[i], ret_guid, 16, &len) && len == 16)
			return true;
		if (dldap_entry_text(e, s->unique_id[i], text, sizeof(text)) &&
			back_uuid(text, ret_guid))
			return true;
	}
	return false;
}

void dir_guid_base(const uint8_t guid[16], char ret_base[48])
{
	size_t i, at = (size_t)snprintf(ret_base, 48, "<GUID=");

	for (i = 0; i < 16; i++)
		at += (size_t)snprintf(ret_base + at, 48 - at, "%02x", guid[i]);
	(void)snprintf(ret_base + at, 48 - at, ">");
}

bool dir_domain_is_ours(const struct dir_back *b, const char *domain)
{
	return domain[0] == '\0' || strcasecmp(domain, b->domain) == 0 ||
	       (b->netbios[0] && strcasecmp(domain, b->netbios) == 0) ||
	       dir_route_claims(b->conf, domain);
}

int dir_other_server(
	const struct dir_back *b, const char *one, const char *other, char why[DIR_WHY_MAX])
{
	dir_why(why,
		"%.80s is several servers: changes are looked for at %.100s, a further connection "
		"comes to %.100s; name each of them in uri",
		b->conf->uri, one, other);
	return -GI_ESTATE;
}

/* a copy, "" when a message could not carry it */
static char *back_text(const char *s, size_t max)
{
	return strdup(s && gi_text_is_clean(s, max) ? s : "");
}

/* the first of @attrs that is there and fits; else "" */
static void back_first(struct dldap_entry *e, const char *const *attrs, char *buf, size_t size)
{
	buf[0] = '\0';
	for (; *attrs; attrs++)
		if (dldap_entry_text(e, *attrs, buf, size))
			return;
}

/* length; 0 when there is none or it is no SID */
static size_t back_sid(struct dldap_entry *e, uint8_t ret[SID_BYTES_MAX])
{
	char text[SID_TEXT_MAX];
	size_t len;

	if (!dldap_entry_bytes(e, "objectSid", ret, SID_BYTES_MAX, &len) ||
		sid_to_text(ret, len, text) < 0)
		return 0;
	return len;
}

static bool back_uuid(const char *text, uint8_t ret[16])
{
	size_t n = 0;
	int high = -1;

	for (; *text; text++) {
		int d = *text >= '0' && *text <= '9'			 ? *text - '0'
			: (*text | 0x20) >= 'a' && (*text | 0x20) <= 'f' ? (*text | 0x20) - 'a' + 10
									 : -1;

		if (*text == '-')
			continue;
		if (d < 0 || n == 16)
			return false;
		if (high < 0) {
			high = d;
		} else {
			ret[n++] = (uint8_t)(high << 4 | d);
			high = -1;
		}
	}
	return n == 16 && high < 0;
}
