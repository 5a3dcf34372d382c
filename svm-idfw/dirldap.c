/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirldap.c - searches on an authenticated connection to a directory, and syncrepl
 *
 * Runs in the directory child. dirbind.c makes the connection and dirprobe.c explains why it cannot
 * be made; the three share dirldap_int.h, the only file that includes ldap.h. Referrals are never
 * followed. A search has libldap's time limit, and an answer that is over a limit is no answer.
 * Source: ldap(3), ldap_search_ext(3); RFC 4511, 2696 (pages), 4533 (syncrepl).
 */
#include "svm-idfw/dirldap_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_COOKIE_MAX 2048
#define SYNC_GULP 10000 /* messages in one go */

struct dldap_entry {
	LDAP *ld;
	LDAPMessage *msg;
};

static int dldap_page(struct dldap *d, const struct dldap_query *q, struct berval *cookie,
	unsigned int *seen, char why[DIR_WHY_MAX]);
static int dldap_error(struct dldap *d, int rc, const char *what, char why[DIR_WHY_MAX]);

void dldap_close(struct dldap *d)
{
	if (!d)
		return;
	if (d->ld)
		(void)ldap_unbind_ext_s(d->ld, NULL, NULL);
	free(d);
}

int dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX])
{
	struct berval cookie = { 0, NULL };
	unsigned int seen = 0;
	int err;

	why[0] = '\0';
	do {
		err = dldap_page(d, q, &cookie, &seen, why);
	} while (err == 0 && cookie.bv_len > 0);
	ber_memfree(cookie.bv_val);
	return err;
}

int dldap_entry_dn(struct dldap_entry *e, char **ret_dn)
{
	char *dn = ldap_get_dn(e->ld, e->msg);
	char *copy = dn ? strdup(dn) : NULL;

	ldap_memfree(dn);
	if (!copy)
		return -ENOMEM;
	*ret_dn = copy;
	return 0;
}

int dldap_entry_each(struct dldap_entry *e, const char *attr,
	int (*cb)(void *arg, const uint8_t *value, size_t len), void *arg)
{
	struct berval **v = ldap_get_values_len(e->ld, e->msg, attr);
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && v && v[i]; i++)
		rc = cb(arg, (const uint8_t *)v[i]->bv_val, v[i]->bv_len);
	ldap_value_free_len(v);
	return rc;
}

bool dldap_entry_bytes(
	struct dldap_entry *e, const char *attr, void *buf, size_t size, size_t *ret_len)
{
	struct berval **v = ldap_get_values_len(e->ld, e->msg, attr);
	bool ok = v && v[0] && v[0]->bv_len <= size;

	*ret_len = ok ? v[0]->bv_len : 0;
	if (ok)
		memcpy(buf, v[0]->bv_val, v[0]->bv_len);
	ldap_value_free_len(v);
	return ok;
}

bool dldap_entry_text(struct dldap_entry *e, const char *attr, char *buf, size_t size)
{
	size_t len;
	bool ok = dldap_entry_bytes(e, attr, buf, size - 1, &len) && !memchr(buf, '\0', len);

	buf[ok ? len : 0] = '\0';
	return ok;
}

/* ---- searching ---- */

static int dldap_entries(
	struct dldap *d, const struct dldap_query *q, LDAPMessage *res, unsigned int *seen)
{
	struct dldap_entry e = { .ld = d->ld };
	int err;

	for (e.msg = ldap_first_entry(d->ld, res); e.msg; e.msg = ldap_next_entry(d->ld, e.msg)) {
		if (++*seen > q->max)
			return -GI_ELIMIT;
		err = q->entry(q->arg, &e);
		if (err < 0)
			return err;
	}
	return 0;
}

/* one request; @cookie: in and out, empty at the end */
static int dldap_page(struct dldap *d, const struct dldap_query *q, struct berval *cookie,
	unsigned int *seen, char why[DIR_WHY_MAX])
{
	struct timeval tv = { .tv_sec = d->timeout_ms / 1000,
		.tv_usec = (d->timeout_ms % 1000) * 1000 };
	LDAPControl *page = NULL, *ask[2] = { NULL, NULL }, **got = NULL, *next;
	LDAPMessage *res = NULL;
	int rc, code = LDAP_SUCCESS, err = 0;

	if (q->page) {
		rc = ldap_create_page_control(d->ld, (ber_int_t)q->page, cookie, 0, &page);
		if (rc != LDAP_SUCCESS)
			return -ENOMEM;
		ask[0] = page;
	}
	rc = ldap_search_ext_s(d->ld, q->base,
		q->scope == DLDAP_BASE ? LDAP_SCOPE_BASE : LDAP_SCOPE_SUBTREE, q->filter,
		(char **)(uintptr_t)q->attrs, 0, ask, NULL, &tv, LDAP_NO_LIMIT, &res);
	ber_memfree(cookie->bv_val);
	*cookie = (struct berval){ 0, NULL };
	if (rc != LDAP_SUCCESS) {
		err = dldap_error(d, rc, q->filter, why);
		goto out;
	}
	err = dldap_entries(d, q, res, seen);
	if (err < 0 || !q->page)
		goto out;
	rc = ldap_parse_result(d->ld, res, &code, NULL, NULL, NULL, &got, 0);
	next = rc == LDAP_SUCCESS ? ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, got, NULL) : NULL;
	if (next && ldap_parse_pageresponse_control(d->ld, next, NULL, cookie) != LDAP_SUCCESS)
		err = -GI_EPROTO;
out:
	ldap_controls_free(got);
	if (page)
		ldap_control_free(page);
	ldap_msgfree(res);
	return err;
}

static int dldap_error(struct dldap *d, int rc, const char *what, char why[DIR_WHY_MAX])
{
	char *text = NULL;

	(void)ldap_get_option(d->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	dir_why(why, "search %.60s: %s%s%.60s", what, ldap_err2string(rc),
		text && text[0] ? ": " : "", text ? text : "");
	ldap_memfree(text);
	switch (rc) {
	case LDAP_NO_SUCH_OBJECT:
		return -GI_ENOTFOUND;
	case LDAP_SIZELIMIT_EXCEEDED:
	case LDAP_ADMINLIMIT_EXCEEDED:
		return -GI_ELIMIT;
	case LDAP_TIMEOUT:
	case LDAP_TIMELIMIT_EXCEEDED:
		return -ETIMEDOUT;
	case LDAP_INSUFFICIENT_ACCESS:
		return -EACCES;
	case LDAP_SERVER_DOWN:
	case LDAP_CONNECT_ERROR:
	case LDAP_UNAVAILABLE:
	case LDAP_BUSY:
	case LDAP_OPERATIONS_ERROR: /* AD: not bound (any more) */
		return -ECONNRESET;
	default:
		return -GI_EPROTO;
	}
}

/* ---- syncrepl: RFC 4533 ---- */

/* the refresh stage is over, or a new cookie: no news. A set of entries: some went meanwhile */
static bool dldap_sync_info_moved(struct dldap *d, LDAPMessage *msg)
{
	struct berval *data = NULL;
	bool moved;

	if (ldap_parse_intermediate(d->ld, msg, NULL, &data, NULL, 0) != LDAP_SUCCESS)
		return true;
	moved = data && data->bv_len && (uint8_t)data->bv_val[0] == LDAP_TAG_SYNC_ID_SET;
	ber_bvfree(data);
	return moved;
}

int dldap_sync_start(struct dldap *d, const char *base, const char *csn, char why[DIR_WHY_MAX])
{
	static const char *const none[] = { LDAP_NO_ATTRS, NULL };
	struct berval cookie = { 0, NULL }, *value = NULL;
	LDAPControl ctl = { .ldctl_iscritical = 1 }, *ask[2] = { &ctl, NULL };
	char oid[] = LDAP_CONTROL_SYNC, text[SYNC_COOKIE_MAX];
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	int err = -ENOMEM, rc, i;

	if (!ber)
		return -ENOMEM;
	rc = snprintf(text, sizeof(text), "rid=000,csn=%s", csn);
	if (rc < 0 || (size_t)rc >= sizeof(text))
		goto out;
	for (i = rc; i > 0 && text[i - 1] == ' '; i--)
		text[i - 1] = '\0';
	cookie = (struct berval){ .bv_len = (ber_len_t)i, .bv_val = text };
	while (i-- > 0)
		if (text[i] == ' ')
			text[i] = ';';
	if (ber_printf(ber, "{eO}", (ber_int_t)LDAP_SYNC_REFRESH_AND_PERSIST, &cookie) < 0 ||
		ber_flatten(ber, &value) < 0)
		goto out;
	ctl.ldctl_oid = oid;
	ctl.ldctl_value = *value;
	rc = ldap_search_ext(d->ld, base, LDAP_SCOPE_SUBTREE, "(objectClass=*)",
		(char **)(uintptr_t)none, 0, ask, NULL, NULL, LDAP_NO_LIMIT, &d->sync);
	err = rc == LDAP_SUCCESS ? 0 : dldap_error(d, rc, "syncrepl", why);
	if (err < 0)
		d->sync = 0;
out:
	ber_bvfree(value);
	ber_free(ber, 1);
	return err;
}

int dldap_sync_read(struct dldap *d, bool *ret_moved, char why[DIR_WHY_MAX])
{
	unsigned int n;

	*ret_moved = false;
	for (n = 0; d->sync && n < SYNC_GULP; n++) {
		struct timeval now = { 0, 0 };
		LDAPMessage *msg = NULL;
		int type = ldap_result(d->ld, d->sync, LDAP_MSG_ONE, &now, &msg);
		int code = LDAP_OTHER;

		if (type == 0)
			return 0;
		if (type < 0)
			return dldap_error(d, LDAP_SERVER_DOWN, "syncrepl", why);
		if (type == LDAP_RES_INTERMEDIATE) {
			*ret_moved |= dldap_sync_info_moved(d, msg);
		} else if (type == LDAP_RES_SEARCH_RESULT) {
			(void)ldap_parse_result(d->ld, msg, &code, NULL, NULL, NULL, NULL, 0);
			dir_why(why, "%s", ldap_err2string(code));
			*ret_moved = true;
			d->sync = 0;
		} else {
			*ret_moved = true;
		}
		ldap_msgfree(msg);
		if (!d->sync)
			return -GI_ENOTFOUND;
	}
	return 0;
}

int dldap_fd(struct dldap *d)
{
	int fd = -1;

	return ldap_get_option(d->ld, LDAP_OPT_DESC, &fd) == LDAP_OPT_SUCCESS ? fd : -1;
}
