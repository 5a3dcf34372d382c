/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fakeldap.c - a directory in memory in place of svm-idfw/dirldap.c and dirsync.c, for
 * test_dirgroups, test_dirlisting, test_dirad
 *
 * Whoever links this gets its dldap_*(); the library's are left out by the linker, which fails if
 * one is missing here. Invariant: a search finds what a server would, in order of coming.
 */
#include "tests/unit/svm-idfw/fakeldap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "svm-idfw/dirname.h"
#include "svm-idfw/sid.h"

#define ENTRIES_MAX 64
#define VALUES_MAX 300
#define MESSAGES_MAX 16
#define CROWD 1000

struct entry {
	unsigned int id; /* 0: none */
	char *dn, *values[VALUES_MAX];
	size_t n;
	unsigned int crowd; /* members before the others; their ids are CROWD and up */
};

struct message {
	enum fake_sync what;
	unsigned int id;
	char *cookie;
};

struct dldap_entry {
	const struct entry *e;
	size_t from, to; /* members that are asked for; 0, 0: all */
	size_t groups;	 /* of memberOf: from there on */
};

struct fake fake;
static struct entry entries[ENTRIES_MAX];
static struct message messages[MESSAGES_MAX];
static size_t n_messages;

uint64_t __wrap_io_clock_mono_ms(void);
uint64_t __wrap_io_clock_mono_ms(void)
{
	return fake.now_ms;
}

static void entry_clear(struct entry *e)
{
	while (e->n)
		free(e->values[--e->n]);
	free(e->dn);
	*e = (struct entry){ .id = 0 };
}

static struct entry *entry_find(unsigned int id)
{
	for (size_t i = 0; i < ENTRIES_MAX; i++)
		if (entries[i].id == id)
			return &entries[i];
	return NULL;
}

void fake_reset(void)
{
	for (size_t i = 0; i < ENTRIES_MAX; i++)
		entry_clear(&entries[i]);
	while (n_messages)
		free(messages[--n_messages].cookie);
	fake = (struct fake){ .now_ms = 1000 };
}

void fake_id(unsigned int id, uint8_t ret[16])
{
	memset(ret, 0, 16);
	memcpy(ret, &id, sizeof(id));
}

void fake_entry(unsigned int id, const char *dn, ...)
{
	struct entry *e = entry_find(id);
	const char *value;
	va_list ap;

	if (!e)
		e = entry_find(0);
	if (!e)
		abort();
	entry_clear(e);
	e->id = id;
	e->dn = strdup(dn);
	va_start(ap, dn);
	while ((value = va_arg(ap, const char *)) != NULL) {
		if (e->n == VALUES_MAX)
			abort();
		e->values[e->n++] = strdup(value);
	}
	va_end(ap);
}

void fake_value(unsigned int id, const char *value)
{
	struct entry *e = entry_find(id);

	if (e->n == VALUES_MAX)
		abort();
	e->values[e->n++] = strdup(value);
}

void fake_crowd(unsigned int id, unsigned int n)
{
	entry_find(id)->crowd = n;
}

void fake_gone(unsigned int id)
{
	entry_clear(entry_find(id));
}

void fake_tell(enum fake_sync what, unsigned int id, const char *cookie)
{
	if (n_messages == MESSAGES_MAX)
		abort();
	messages[n_messages++] = (struct message){
		.what = what, .id = id, .cookie = cookie ? strdup(cookie) : NULL
	};
}

/* ---- values ---- */

/* the next value of @attr behind @from; NULL none */
static const char *value(const struct entry *e, const char *attr, size_t len, size_t *from)
{
	while (*from < e->n) {
		const char *v = e->values[(*from)++];

		if (strncasecmp(v, attr, len) == 0 && strncmp(v + len, ": ", 2) == 0)
			return v + len + 2;
	}
	return NULL;
}

static bool is_id(const char *attr, size_t len)
{
	return (len == 10 && strncasecmp(attr, "objectGUID", 10) == 0) ||
	       (len == 9 && strncasecmp(attr, "entryUUID", 9) == 0);
}

static size_t members(const struct entry *e)
{
	size_t n = e->crowd, from = 0;

	while (value(e, "member", 6, &from))
		n++;
	return n;
}

/* as many as were asked for; Active Directory's way for more than that */
static int part(
	struct dldap_entry *e, int (*cb)(void *arg, const uint8_t *value, size_t len), void *arg)
{
	char text[96];
	size_t from = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < members(e->e) && i <= e->to; i++) {
		unsigned int id = CROWD + (unsigned int)i;
		const char *v = text;

		if (i < e->e->crowd)
			(void)snprintf(text, sizeof(text),
				"<GUID=%02x%02x%02x%02x000000000000000000000000>;CN=m%u", id & 255,
				id >> 8 & 255, id >> 16 & 255, id >> 24, id);
		else
			v = value(e->e, "member", 6, &from);
		if (i >= e->from)
			rc = cb(arg, (const uint8_t *)v, strlen(v));
	}
	return rc;
}

static bool is_sid(const char *attr, size_t len)
{
	return (len == 9 && strncasecmp(attr, "objectSid", 9) == 0) ||
	       (len == 11 && strncasecmp(attr, "tokenGroups", 11) == 0);
}

/* at most fake.groups of memberOf, as Active Directory does it with 1500; true: it is a part */
static bool part_of_groups(struct dldap_entry *e, size_t *ret_end, bool *ret_last)
{
	size_t n = 0, from = 0;

	while (value(e->e, "memberOf", 8, &from))
		n++;
	*ret_last = n <= e->groups + fake.groups;
	*ret_end = *ret_last ? n : e->groups + fake.groups;
	return fake.groups && (e->groups || !*ret_last) && e->groups < n;
}

int dldap_entry_each(struct dldap_entry *e, const char *attr,
	int (*cb)(void *arg, const uint8_t *value, size_t len), void *arg)
{
	size_t from = 0, end, i = 0;
	const char *v;
	bool last;
	int rc = 0;

	if (strncmp(attr, "memberOf;range=", 15) == 0 && part_of_groups(e, &end, &last)) {
		for (; rc == 0 && i < end && (v = value(e->e, "memberOf", 8, &from)); i++)
			if (i >= e->groups)
				rc = cb(arg, (const uint8_t *)v, strlen(v));
		return rc;
	}

	if (strncmp(attr, "member;range=", 13) == 0)
		return part(e, cb, arg);

	while (rc == 0 && (v = value(e->e, attr, strlen(attr), &from)) != NULL) {
		uint8_t sid[SID_BYTES_MAX];
		size_t len;

		if (is_sid(attr, strlen(attr)) && sid_from_text(v, sid, &len) == 0)
			rc = cb(arg, sid, len);
		else
			rc = cb(arg, (const uint8_t *)v, strlen(v));
	}
	return rc;
}

bool dldap_entry_bytes(
	struct dldap_entry *e, const char *attr, void *buf, size_t size, size_t *ret_len)
{
	size_t from = 0;
	const char *v = value(e->e, attr, strlen(attr), &from);

	if (is_id(attr, strlen(attr)) && size >= 16) {
		fake_id(e->e->id, buf);
		*ret_len = 16;
		return true;
	}
	if (v && strcmp(attr, "objectSid") == 0)
		return sid_from_text(v, buf, ret_len) == 0;
	*ret_len = v && strlen(v) <= size ? strlen(v) : 0;
	if (*ret_len)
		memcpy(buf, v, *ret_len);
	return *ret_len != 0;
}

bool dldap_entry_text(struct dldap_entry *e, const char *attr, char *buf, size_t size)
{
	size_t from = 0;
	const char *v = value(e->e, attr, strlen(attr), &from);

	(void)snprintf(buf, size, "%s", v && strlen(v) < size ? v : "");
	return buf[0] != '\0';
}

bool dldap_entry_range(
	struct dldap_entry *e, const char *attr, char ret_name[DLDAP_RANGE_MAX], size_t *ret_next)
{
	size_t n = members(e->e), end;
	bool last;

	if (strcmp(attr, "memberOf") == 0 && part_of_groups(e, &end, &last)) {
		*ret_next = last ? 0 : fake.stuck ? fake.groups : end;
		(void)snprintf(ret_name, DLDAP_RANGE_MAX, "memberOf;range=%zu-", e->groups);
		if (*ret_next)
			(void)snprintf(ret_name, DLDAP_RANGE_MAX, "memberOf;range=%zu-%zu",
				e->groups, *ret_next - 1);
		return true;
	}
	if (!e->e->crowd || !e->to || strcmp(attr, "member") != 0)
		return false;
	*ret_next = n <= e->to + 1 ? 0 : fake.stuck && e->from ? e->from : e->to + 1;
	if (*ret_next)
		(void)snprintf(ret_name, DLDAP_RANGE_MAX, "member;range=%zu-%zu", e->from, e->to);
	else
		(void)snprintf(ret_name, DLDAP_RANGE_MAX, "member;range=%zu-*", e->from);
	return true;
}

int dldap_entry_dn(struct dldap_entry *e, char **ret_dn)
{
	*ret_dn = strdup(e->e->dn);
	return *ret_dn ? 0 : -ENOMEM;
}

/* ---- filters ---- */

/* \2a as a byte */
static size_t unescape(const char *text, size_t len, char *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char hex[3] = { 0 };

		if (text[i] == '\\' && i + 2 < len + 0) {
			memcpy(hex, text + i + 1, 2);
			ret[n++] = (char)strtoul(hex, NULL, 16);
			i += 2;
		} else {
			ret[n++] = text[i];
		}
	}
	return n;
}

static bool compares(const char *attr, const char *have, char op, const char *want, size_t len)
{
	if (op == '=')
		return strlen(have) == len && strncasecmp(have, want, len) == 0;
	if (strncasecmp(attr, "entryCSN", 8) == 0) /* CSNs are in the order of their text */
		return strcmp(have, want) >= 0;
	if (op == '>')
		return strtoull(have, NULL, 10) >= strtoull(want, NULL, 10);
	return strtoull(have, NULL, 10) <= strtoull(want, NULL, 10);
}

static bool has_id(const struct entry *e, const char *want, size_t len)
{
	char text[40];
	uint8_t id[16];

	fake_id(e->id, id);
	if (len == 16)
		return memcmp(id, want, 16) == 0;
	(void)snprintf(text, sizeof(text), "%02x%02x%02x%02x-0000-0000-0000-000000000000", id[0],
		id[1], id[2], id[3]);
	return strlen(text) == len && strncasecmp(text, want, len) == 0;
}

static bool has_sid(const struct entry *e, const char *want, size_t len)
{
	size_t from = 0, have_len;
	const char *have = value(e, "objectSid", 9, &from);
	uint8_t sid[SID_BYTES_MAX];

	return have && sid_from_text(have, sid, &have_len) == 0 && have_len == len &&
	       memcmp(sid, want, len) == 0;
}

static bool item(const struct entry *e, const char *text, size_t len)
{
	size_t attr = strcspn(text, "=<>"), from = 0, n;
	char op = text[attr], want[512];
	const char *v, *at = text + attr + (op == '=' ? 1 : 2);
	bool any;

	if (len >= sizeof(want))
		abort();
	any = at + 1 == text + len && *at == '*'; /* not an escaped one */
	n = unescape(at, (size_t)(text + len - at), want);
	want[n] = '\0';
	if (is_id(text, attr))
		return has_id(e, want, n);
	if (is_sid(text, attr) && !any)
		return has_sid(e, want, n);
	while ((v = value(e, text, attr, &from)) != NULL)
		if (any || compares(text, v, op, want, n))
			return true;
	return attr == 11 && strncasecmp(text, "objectClass", 11) == 0 && any;
}

/* @f: behind "("; leaves it behind ")" */
static bool matches(const struct entry *e, const char **f)
{
	char op = **f;
	bool rc = op == '&';
	size_t len;

	if (op != '&' && op != '|') {
		len = strcspn(*f, ")");
		rc = item(e, *f, len);
		*f += len + 1;
		return rc;
	}
	for (++*f; **f == '(';) {
		bool one;

		++*f;
		one = matches(e, f);
		rc = op == '&' ? rc && one : rc || one;
	}
	++*f;
	return rc;
}

static bool within(const struct entry *e, const struct dldap_query *q)
{
	char guid[48];
	uint8_t id[16];
	size_t at, from = 0;
	const char *sid = value(e, "objectSid", 9, &from);

	if (sid && strncmp(q->base, "<SID=", 5) == 0)
		return strncmp(q->base + 5, sid, strlen(sid)) == 0;
	if (q->scope == DLDAP_SUBTREE)
		return dir_dn_is_below(e->dn, q->base);
	fake_id(e->id, id);
	at = (size_t)snprintf(guid, sizeof(guid), "<GUID=");
	for (size_t i = 0; i < 16; i++)
		at += (size_t)snprintf(guid + at, sizeof(guid) - at, "%02x", id[i]);
	(void)snprintf(guid + at, sizeof(guid) - at, ">");
	return strcasecmp(e->dn, q->base) == 0 || strcmp(guid, q->base) == 0;
}

/* ---- searches ---- */

int dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX])
{
	size_t used = strlen(fake.log);
	unsigned int found = 0, bases = 0;
	int err = 0;

	(void)d;
	fake.searches++;
	(void)snprintf(fake.log + used, sizeof(fake.log) - used, "%s %s %s\n",
		q->scope == DLDAP_BASE ? "base" : "sub", q->base, q->filter);
	if (fake.fail_filter &&
		(strstr(q->filter, fake.fail_filter) || strstr(q->base, fake.fail_filter))) {
		dir_why(why, "fails");
		return fake.fail_err;
	}
	if (fake.before)
		fake.before(fake.arg);
	for (size_t i = 0; err == 0 && i < ENTRIES_MAX; i++) {
		struct dldap_entry e = { .e = &entries[i] };
		const char *f = q->filter + 1;

		if (!entries[i].id || !within(&entries[i], q))
			continue;
		for (size_t k = 0; q->attrs && q->attrs[k]; k++)
			if (sscanf(q->attrs[k], "memberOf;range=%zu-*", &e.groups) != 1)
				(void)sscanf(q->attrs[k], "member;range=%zu-%zu", &e.from, &e.to);
		bases++;
		if (matches(&entries[i], &f))
			err = ++found > q->max ? -GI_ELIMIT : q->entry(q->arg, &e);
	}
	return err == 0 && q->scope == DLDAP_BASE && !bases ? -GI_ENOTFOUND : err;
}

/* all in one page */
int dldap_search_page(
	struct dldap *d, const struct dldap_query *q, struct dldap_cursor *c, char why[DIR_WHY_MAX])
{
	c->more = false;
	return dldap_search(d, q, why);
}

void dldap_cursor_fini(struct dldap_cursor *c)
{
	c->more = false;
}

/* ---- syncrepl ---- */

int dldap_sync_start(struct dldap *d, const char *base, const char *csn, const char *const *attrs,
	char why[DIR_WHY_MAX])
{
	size_t used = strlen(fake.log);

	(void)d;
	(void)attrs;
	(void)why;
	(void)snprintf(fake.log + used, sizeof(fake.log) - used, "sync %s %s\n", base, csn);
	return 0;
}

static int take(const struct message *m, const struct dldap_sync_ops *ops, void *arg)
{
	struct dldap_entry e = { .e = entry_find(m->id) };
	uint8_t id[16];
	int err = 0;

	fake_id(m->id, id);
	if (m->what == FAKE_CURRENT)
		ops->current(arg);
	else if (m->what == FAKE_UNSURE)
		err = ops->unsure(arg);
	else if (m->what == FAKE_DELETED)
		err = ops->deleted(arg, id);
	else if (m->what == FAKE_LOST || m->what == FAKE_FAILS)
		err = m->what == FAKE_LOST ? -GI_ESTATE : -ENOMEM;
	else
		err = ops->entry(arg, &e, id, m->what == FAKE_NEW);
	if (err == 0 && m->cookie)
		ops->cookie(arg, m->cookie, strlen(m->cookie));
	return err;
}

int dldap_sync_read(
	struct dldap *d, const struct dldap_sync_ops *ops, void *arg, char why[DIR_WHY_MAX])
{
	int err = 0;

	(void)d;
	(void)why;
	for (size_t i = 0; i < n_messages; i++) {
		if (err == 0)
			err = take(&messages[i], ops, arg);
		free(messages[i].cookie);
	}
	n_messages = 0;
	return err;
}

void dldap_peer(struct dldap *d, char ret[DLDAP_PEER_MAX])
{
	(void)d;
	ret[0] = '\0';
}

unsigned int dldap_requests(const struct dldap *d)
{
	(void)d;
	return fake.searches;
}
