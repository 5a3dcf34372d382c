/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirsync.c - syncrepl: a server tells of every change while the connection lasts
 *
 * Runs in the directory child, on the watch connection; called by diropenldap.c. The search begins
 * at a contextCSN, so nothing is sent but what is new; its messages name the entry by its entryUUID
 * and say whether it is there or gone. What happened before it began comes first, in any order (the
 * refresh stage); its end is told. Invariants: what cannot be understood is told as unsure; a
 * cookie is handed on behind the message that it came with, and none of the refresh stage but its
 * last. Source: RFC 4533 (2.2 Sync State, 2.5 Sync Info, 3.11 e-syncRefreshRequired).
 */
#include "svm-idfw/dirldap_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define SYNC_COOKIE_MAX 2048
#define SYNC_GULP 10000 /* messages in one go */

static int sync_entry(
	struct dldap *d, LDAPMessage *msg, const struct dldap_sync_ops *ops, void *arg);
static int sync_info(
	struct dldap *d, LDAPMessage *msg, const struct dldap_sync_ops *ops, void *arg);
static int sync_id_set(BerElement *ber, const struct dldap_sync_ops *ops, void *arg);

int dldap_sync_start(struct dldap *d, const char *base, const char *csn, const char *const *attrs,
	char why[DIR_WHY_MAX])
{
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
		(char **)(uintptr_t)attrs, 0, ask, NULL, NULL, LDAP_NO_LIMIT, &d->sync);
	err = rc == LDAP_SUCCESS ? 0 : dldap_error(d, rc, "syncrepl", why);
	d->sync_current = false;
	if (err < 0)
		d->sync = 0;
out:
	ber_bvfree(value);
	ber_free(ber, 1);
	return err;
}

int dldap_sync_read(
	struct dldap *d, const struct dldap_sync_ops *ops, void *arg, char why[DIR_WHY_MAX])
{
	unsigned int n;
	int err = 0;

	for (n = 0; err == 0 && d->sync && n < SYNC_GULP; n++) {
		struct timeval now = { 0, 0 };
		LDAPMessage *msg = NULL;
		int type = ldap_result(d->ld, d->sync, LDAP_MSG_ONE, &now, &msg);
		int code = LDAP_OTHER;

		if (type == 0 && !msg)
			return 0;
		if (type <= 0) { /* one of type 0 there is not */
			ldap_msgfree(msg);
			return dldap_error(d, LDAP_SERVER_DOWN, "syncrepl", why);
		}
		if (type == LDAP_RES_INTERMEDIATE) {
			err = sync_info(d, msg, ops, arg);
		} else if (type == LDAP_RES_SEARCH_ENTRY) {
			err = sync_entry(d, msg, ops, arg);
		} else if (type == LDAP_RES_SEARCH_RESULT) {
			(void)ldap_parse_result(d->ld, msg, &code, NULL, NULL, NULL, NULL, 0);
			dir_why(why, "%s", ldap_err2string(code));
			d->sync = 0;
			err = code == LDAP_SYNC_REFRESH_REQUIRED ? -GI_ESTATE : -GI_ENOTFOUND;
		}
		ldap_msgfree(msg);
	}
	return err;
}

/* an entry that changed, or went */
static int sync_entry(
	struct dldap *d, LDAPMessage *msg, const struct dldap_sync_ops *ops, void *arg)
{
	struct dldap_entry e = { .ld = d->ld, .msg = msg };
	LDAPControl **ctls = NULL, *ctl = NULL;
	struct berval uuid = { 0, NULL }, cookie = { 0, NULL };
	BerElement *ber = NULL;
	ber_int_t state = -1;
	ber_len_t len;
	int err;

	if (ldap_get_entry_controls(d->ld, msg, &ctls) == LDAP_SUCCESS)
		ctl = ldap_control_find(LDAP_CONTROL_SYNC_STATE, ctls, NULL);
	if (ctl)
		ber = ber_init(&ctl->ldctl_value);
	if (!ber || ber_scanf(ber, "{em", &state, &uuid) == LBER_ERROR || uuid.bv_len != 16)
		err = ops->unsure(arg);
	else if (state == LDAP_SYNC_DELETE)
		err = ops->deleted(arg, (const uint8_t *)uuid.bv_val);
	else if (state == LDAP_SYNC_PRESENT)
		err = 0;
	else
		err = ops->entry(arg, &e, (const uint8_t *)uuid.bv_val,
			d->sync_current && state == LDAP_SYNC_ADD);
	if (err == 0 && ber && d->sync_current && ber_peek_tag(ber, &len) == LDAP_TAG_SYNC_COOKIE &&
		ber_scanf(ber, "m", &cookie) != LBER_ERROR)
		ops->cookie(arg, cookie.bv_val, cookie.bv_len);
	if (ber)
		ber_free(ber, 1);
	ldap_controls_free(ctls);
	return err;
}

/* the end of the refresh stage, unless it says that more comes */
static void sync_stage(
	struct dldap *d, BerElement *ber, const struct dldap_sync_ops *ops, void *arg)
{
	struct berval cookie = { 0, NULL };
	ber_int_t done = 1;
	ber_len_t len;

	if (ber_scanf(ber, "{") == LBER_ERROR)
		return;
	if (ber_peek_tag(ber, &len) == LDAP_TAG_SYNC_COOKIE)
		(void)ber_scanf(ber, "m", &cookie);
	if (ber_peek_tag(ber, &len) == LDAP_TAG_REFRESHDONE)
		(void)ber_scanf(ber, "b", &done);
	if (!done)
		return;
	d->sync_current = true;
	ops->current(arg);
	if (cookie.bv_val)
		ops->cookie(arg, cookie.bv_val, cookie.bv_len);
}

/* a new cookie alone */
static void sync_cookie(
	struct dldap *d, BerElement *ber, const struct dldap_sync_ops *ops, void *arg)
{
	struct berval cookie = { 0, NULL };

	if (d->sync_current && ber_scanf(ber, "m", &cookie) != LBER_ERROR)
		ops->cookie(arg, cookie.bv_val, cookie.bv_len);
}

/* the present form of the refresh stage leaves open who went */
static int sync_info(struct dldap *d, LDAPMessage *msg, const struct dldap_sync_ops *ops, void *arg)
{
	struct berval *data = NULL;
	BerElement *ber = NULL;
	ber_tag_t tag = LBER_ERROR;
	int err = 0;

	if (ldap_parse_intermediate(d->ld, msg, NULL, &data, NULL, 0) == LDAP_SUCCESS && data &&
		data->bv_len)
		tag = (uint8_t)data->bv_val[0];
	if (tag != LBER_ERROR)
		ber = ber_init(data);
	if (tag == LBER_ERROR || tag == LDAP_TAG_SYNC_REFRESH_PRESENT)
		err = ops->unsure(arg);
	if (!ber)
		err = tag == LBER_ERROR ? err : -ENOMEM;
	else if (err == 0 && tag == LDAP_TAG_SYNC_ID_SET)
		err = sync_id_set(ber, ops, arg);
	else if (err == 0 && tag == LDAP_TAG_SYNC_NEW_COOKIE)
		sync_cookie(d, ber, ops, arg);
	else if (err == 0)
		sync_stage(d, ber, ops, arg);
	if (ber)
		ber_free(ber, 1);
	ber_bvfree(data);
	return err;
}

static int sync_id_set(BerElement *ber, const struct dldap_sync_ops *ops, void *arg)
{
	struct berval cookie;
	ber_int_t deletes = 0;
	BerVarray ids = NULL;
	ber_len_t len;
	int err = 0;
	size_t i;

	if (ber_scanf(ber, "{") == LBER_ERROR)
		return ops->unsure(arg);
	if (ber_peek_tag(ber, &len) == LDAP_TAG_SYNC_COOKIE)
		(void)ber_scanf(ber, "m", &cookie);
	if (ber_peek_tag(ber, &len) == LDAP_TAG_REFRESHDELETES)
		(void)ber_scanf(ber, "b", &deletes);
	if (!deletes || ber_scanf(ber, "[W]", &ids) == LBER_ERROR)
		err = ops->unsure(arg);
	for (i = 0; err == 0 && ids && ids[i].bv_val; i++)
		err = ids[i].bv_len == 16 ? ops->deleted(arg, (const uint8_t *)ids[i].bv_val)
					  : ops->unsure(arg);
	ber_bvarray_free(ids);
	return err;
}
