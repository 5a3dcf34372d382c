/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirldap.c - searches on an authenticated connection to a directory
 *
 * Runs in the directory child. dirbind.c makes the connection and dirprobe.c explains why it cannot
 * be made, dirsync.c is told of changes; they share dirldap_int.h, the only file that includes
 * ldap.h. Referrals are never followed. A search has a time limit a page, entries are handed on
 * as they come, and an answer that is over a limit is no answer. Source: ldap(3),
 * ldap_search_ext(3); RFC 4511, 2696 (pages), 3876 (matched values); MS-ADTS 3.1.1.3.1.3.3
 * (ranges), 3.1.1.3.4.1.5 (extended DNs).
 */
#include "svm-idfw/dirldap_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/io/loop.h"

#define EXTENDED_DN "1.2.840.113556.1.4.529"

static int dldap_page(struct dldap *d, const struct dldap_query *q, struct berval *cookie,
	unsigned int *seen, char why[DIR_WHY_MAX]);

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

int dldap_search_page(
	struct dldap *d, const struct dldap_query *q, struct dldap_cursor *c, char why[DIR_WHY_MAX])
{
	struct berval cookie = { c->len, c->cookie };
	unsigned int seen = 0;
	int err;

	why[0] = '\0';
	*c = (struct dldap_cursor){ .more = false };
	err = dldap_page(d, q, &cookie, &seen, why);
	*c = (struct dldap_cursor){
		.cookie = cookie.bv_val, .len = cookie.bv_len, .more = err == 0 && cookie.bv_len > 0
	};
	return err;
}

void dldap_cursor_fini(struct dldap_cursor *c)
{
	ber_memfree(c->cookie);
	*c = (struct dldap_cursor){ .more = false };
}

bool dldap_entry_range(
	struct dldap_entry *e, const char *attr, char ret_name[DLDAP_RANGE_MAX], size_t *ret_next)
{
	size_t len = strlen(attr);
	BerElement *ber = NULL;
	bool found = false;
	char *a;

	for (a = ldap_first_attribute(e->ld, e->msg, &ber); a;
		a = ldap_next_attribute(e->ld, e->msg, ber)) {
		unsigned long from, to;
		int end = 0;

		if (!found && strncasecmp(a, attr, len) == 0 && strlen(a) < DLDAP_RANGE_MAX &&
			sscanf(a + len, ";range=%9lu-%n", &from, &end) == 1 && end) {
			found = true;
			*ret_next = sscanf(a + len + end, "%9lu", &to) == 1 ? to + 1 : 0;
			(void)snprintf(ret_name, DLDAP_RANGE_MAX, "%s", a);
		}
		ldap_memfree(a);
	}
	ber_free(ber, 0);
	return found;
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

void dldap_until(struct dldap *d, uint64_t until_ms)
{
	d->until_ms = until_ms;
}

unsigned int dldap_requests(const struct dldap *d)
{
	return d->requests;
}

/* ---- searching ---- */

/* the last message of a search: how it went, and where the next page begins */
static int dldap_end(struct dldap *d, const struct dldap_query *q, LDAPMessage *msg,
	struct berval *ret_cookie, char why[DIR_WHY_MAX])
{
	LDAPControl **got = NULL, *next;
	int rc, code = LDAP_OTHER, err = 0;

	rc = ldap_parse_result(d->ld, msg, &code, NULL, NULL, NULL, &got, 0);
	if (rc != LDAP_SUCCESS)
		code = rc;
	if (code != LDAP_SUCCESS) {
		err = dldap_error(d, code, q->filter, why);
	} else if (q->page) {
		next = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, got, NULL);
		rc = next ? ldap_parse_pageresponse_control(d->ld, next, NULL, ret_cookie)
			  : LDAP_SUCCESS;
		err = rc == LDAP_SUCCESS ? 0 : -GI_EPROTO;
	}
	ldap_controls_free(got);
	return err;
}

/*
 * Takes what comes for request @id, one message at a time: what a server sends without end takes
 * time, and no memory. 1: all of it was there
 */
static int dldap_take(struct dldap *d, const struct dldap_query *q, int id, unsigned int *seen,
	struct berval *ret_cookie, char why[DIR_WHY_MAX])
{
	struct dldap_entry e = { .ld = d->ld };
	uint64_t now = io_clock_mono_ms(), end = now + d->timeout_ms;
	int type, err = 0;

	if (d->until_ms && d->until_ms < end)
		end = d->until_ms;
	for (; err == 0; now = io_clock_mono_ms()) {
		uint64_t left = end > now ? end - now : 0;
		struct timeval tv = { .tv_sec = (time_t)(left / 1000),
			.tv_usec = (suseconds_t)(left % 1000 * 1000) };

		e.msg = NULL;
		type = left ? ldap_result(d->ld, id, LDAP_MSG_ONE, &tv, &e.msg) : 0;
		if (type <= 0) {
			bool none =
				type == 0 && !e.msg; /* else one of type 0, which there is not */

			ldap_msgfree(e.msg);
			return dldap_error(
				d, none ? LDAP_TIMEOUT : LDAP_SERVER_DOWN, q->filter, why);
		}
		if (type == LDAP_RES_SEARCH_ENTRY)
			err = ++*seen > q->max ? -GI_ELIMIT : q->entry(q->arg, &e);
		else if (type == LDAP_RES_SEARCH_RESULT)
			err = dldap_end(d, q, e.msg, ret_cookie, why);
		ldap_msgfree(e.msg);
		if (type == LDAP_RES_SEARCH_RESULT && err == 0)
			return 1;
	}
	return err;
}

/* the control that leaves out values; @ret: owned, ber_bvfree() */
static int dldap_values(const char *filter, LDAPControl *ctl, struct berval **ret)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	int err = 0;

	if (!ber)
		return -ENOMEM;
	if (ldap_put_vrFilter(ber, filter) == -1)
		err = -EINVAL;
	else if (ber_flatten(ber, ret) < 0)
		err = -ENOMEM;
	else
		ctl->ldctl_value = **ret;
	ber_free(ber, 1);
	return err;
}

/* one request; @cookie: in and out, empty at the end */
static int dldap_page(struct dldap *d, const struct dldap_query *q, struct berval *cookie,
	unsigned int *seen, char why[DIR_WHY_MAX])
{
	char oid[] = EXTENDED_DN;
	LDAPControl extended = { .ldctl_oid = oid, .ldctl_iscritical = 1 };
	char values_oid[] = LDAP_CONTROL_VALUESRETURNFILTER;
	LDAPControl values = { .ldctl_oid = values_oid, .ldctl_iscritical = 1 };
	LDAPControl *page = NULL, *ask[4] = { NULL, NULL, NULL, NULL };
	struct berval *flat = NULL;
	int rc, id = 0, err;
	size_t n = 0;

	if (q->values) {
		err = dldap_values(q->values, &values, &flat);
		if (err < 0)
			return err;
		ask[n++] = &values;
	}
	if (q->page) {
		rc = ldap_create_page_control(d->ld, (ber_int_t)q->page, cookie, 0, &page);
		if (rc != LDAP_SUCCESS) {
			ber_bvfree(flat);
			return -ENOMEM;
		}
		ask[n++] = page;
	}
	if (q->extended_dn)
		ask[n] = &extended;
	d->requests++;
	rc = ldap_search_ext(d->ld, q->base,
		q->scope == DLDAP_BASE ? LDAP_SCOPE_BASE : LDAP_SCOPE_SUBTREE, q->filter,
		(char **)(uintptr_t)q->attrs, 0, ask, NULL, NULL, LDAP_NO_LIMIT, &id);
	ber_memfree(cookie->bv_val);
	*cookie = (struct berval){ 0, NULL };
	err = rc == LDAP_SUCCESS ? dldap_take(d, q, id, seen, cookie, why)
				 : dldap_error(d, rc, q->filter, why);
	if (rc == LDAP_SUCCESS && err <= 0) /* it may go on sending: not to us */
		(void)ldap_abandon_ext(d->ld, id, NULL, NULL);
	if (page)
		ldap_control_free(page);
	ber_bvfree(flat);
	return err < 0 ? err : 0;
}

int dldap_error(struct dldap *d, int rc, const char *what, char why[DIR_WHY_MAX])
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

int dldap_fd(struct dldap *d)
{
	int fd = -1;

	return ldap_get_option(d->ld, LDAP_OPT_DESC, &fd) == LDAP_OPT_SUCCESS ? fd : -1;
}
