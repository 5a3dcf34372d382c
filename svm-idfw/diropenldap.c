/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diropenldap.c - OpenLDAP and FreeIPA-like directories: changes by syncrepl or contextCSN
 *
 * Runs in the directory child; who is in which groups is dirclimb.c's. Where the server offers
 * syncrepl the watch connection is told of every entry that changed or went: accounts concern
 * themselves, groups are read again (dirgroups.c); an entry that others are below and that has
 * another DN (modrdn moves all of them with one message) concerns everybody. Without syncrepl any
 * write moves contextCSN (syncprov overlay): what changed is searched by its entryCSN, who is gone
 * is found by comparing, as with AD; where that cannot be (numbers of several servers) everyone is
 * looked up again. Without syncprov everyone is every OPENLDAP_BLIND_MS. The next connection begins
 * at the last cookie whose message was taken: slapd shows a contextCSN before it has told of what
 * made it. Failure direction: a cookie that the server does not know any more, or a message that
 * leaves open who went: syncrepl starts again, and everything is compared. Source:
 * slapo-syncprov(5), RFC 4533.
 */
#include "svm-idfw/dirbatch.h"
#include "svm-idfw/dirclimb.h"
#include "svm-idfw/dirgroups.h"
#include "svm-idfw/dirmatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"

#define OPENLDAP_BLIND_MS 10000
#define OPENLDAP_SCAN_MAX 1000 /* entries that changed at one look; more: everybody */

static int openldap_begin(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
static int openldap_same(const struct dir_back *b, struct dldap *d, char why[DIR_WHY_MAX]);
static int openldap_lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX]);
static int openldap_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
static bool openldap_told(struct dir_back *b, struct dir_changes *ret);

const struct dir_back_ops dir_back_openldap = { .begin = openldap_begin,
	.same = openldap_same,
	.lookup = openldap_lookup,
	.lookup_many = dir_batch,
	.poll = openldap_poll,
	.told = openldap_told };

static int openldap_lookup(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
	struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	struct dir_name n;
	int err;

	uint64_t began_ms = io_clock_mono_ms();

	(void)sid;
	(void)sid_len;
	ret->status = IDFW__DIR_RESULT__STATUS__OK;
	if (dir_name_parse(name, &n) < 0 ||
		(n.form == DIR_NAME_DOMAIN && !dir_domain_is_ours(b, n.domain))) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__NOT_FOUND,
			"\"%.100s\" is no name of an account in %.100s", name, b->domain);
		return 0;
	}
	err = dir_climb(b, &n, ret, why);
	if (err == 0)
		err = dir_answer_upn(ret, b);
	if (err == 0 && ret->status == IDFW__DIR_RESULT__STATUS__OK && ret->has_guid)
		dir_seen_add(b->seen, ret->guid, began_ms, io_clock_mono_ms());
	if (err == -GI_ELIMIT) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
			"\"%.100s\" is in more than %d groups, or more than the directory tells "
			"(its size limit), or nested deeper than %d",
			name, DIR_ANSWER_GROUPS_MAX, CLIMB_DEPTH_MAX);
		err = 0;
	}
	return err;
}

/* it says nothing that tells it from another one: its address has to */
static int openldap_same(const struct dir_back *b, struct dldap *d, char why[DIR_WHY_MAX])
{
	char peer[DLDAP_PEER_MAX];

	dldap_peer(d, peer);
	return strcmp(peer, b->peer) == 0 ? 0 : dir_other_server(b, b->peer, peer, why);
}

/* ---- changes ---- */

struct csn {
	char text[DIR_CSN_SET_MAX];
	size_t len;
	bool entry;
};

static int csn_value(void *arg, const uint8_t *value, size_t len)
{
	struct csn *c = arg;

	if (c->len + len + 2 > sizeof(c->text))
		return -GI_ELIMIT;
	memcpy(c->text + c->len, value, len);
	c->len += len;
	c->text[c->len++] = ' ';
	c->text[c->len] = '\0';
	return 0;
}

static int csn_entry(void *arg, struct dldap_entry *e)
{
	struct csn *c = arg;

	c->entry = true;
	return dldap_entry_each(e, "contextCSN", csn_value, c);
}

static int csn_read(struct dir_back *b, struct csn *c, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "contextCSN", NULL };
	const struct dldap_query q = { .base = b->root,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = csn_entry,
		.arg = c };

	return dldap_search(b->watch, &q, why);
}

struct context { /* what the root DSE says */
	struct dir_back *b;
	char subschema[DIR_DN_MAX];
	bool values; /* it can leave out values (RFC 3876) */
};

/* the naming context that conf->base is in: it has the contextCSN */
static int context_value(void *arg, const uint8_t *value, size_t len)
{
	struct dir_back *b = arg;
	const char *base = b->conf->base;
	size_t have = strlen(base);

	if (len <= have && len > strlen(b->root) && len < sizeof(b->root) &&
		strncasecmp(base + have - len, (const char *)value, len) == 0) {
		memcpy(b->root, value, len);
		b->root[len] = '\0';
	}
	return 0;
}

static int context_control(void *arg, const uint8_t *value, size_t len)
{
	static const char sync[] = "1.3.6.1.4.1.4203.1.9.1.1", values[] = "1.2.826.0.1.3344810.2.3";
	struct context *c = arg;

	if (len == sizeof(sync) - 1 && memcmp(value, sync, len) == 0)
		c->b->offers_sync = true;
	if (len == sizeof(values) - 1 && memcmp(value, values, len) == 0)
		c->values = true;
	return 0;
}

static int context_entry(void *arg, struct dldap_entry *e)
{
	struct context *c = arg;

	(void)dldap_entry_text(e, "subschemaSubentry", c->subschema, sizeof(c->subschema));
	(void)dldap_entry_each(e, "supportedControl", context_control, c);
	return dldap_entry_each(e, "namingContexts", context_value, c->b);
}

static int any_entry(void *arg, struct dldap_entry *e)
{
	(void)arg;
	(void)e;
	return 0;
}

/* a group-base with a mistake in it would look like an account without groups */
static int openldap_groups_there(struct dir_back *b, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "1.1", NULL };
	const struct dldap_query q = { .base = b->conf->group_base,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = any_entry };
	int err = q.base ? dldap_search(b->watch, &q, why) : 0;

	if (err != -GI_ENOTFOUND)
		return err;
	dir_why(why, "group-base \"%.120s\" is not there, or may not be read by bind-user", q.base);
	return -GI_EPROTO;
}

/* without a CSN every entry would come first; then polling has to do */
static int openldap_sync(struct dir_back *b, const char *csn, char why[DIR_WHY_MAX])
{
	const char *attrs[DIR_SCHEMA_ALL + 1];
	int err = 0;
	size_t n = 0;

	if (b->offers_sync && csn) {
		dir_schema_group_attrs(&b->schema, false, attrs);
		while (attrs[n])
			n++;
		attrs[n++] = "hasSubordinates";
		attrs[n] = NULL;
		err = dldap_sync_start(b->watch, b->root, csn, attrs, why);
		b->told_by_fd = err == 0;
	}
	b->groups->catching_up = b->told_by_fd;
	if (b->told_by_fd)
		gi_info("directory: %s tells of changes (syncrepl)", b->server);
	else
		gi_info("directory: %s is asked for changes (%s)", b->server,
			csn ? "contextCSN" : "all, from time to time: it has no contextCSN");
	return err;
}

/* ---- what syncrepl tells ---- */

struct told {
	struct dir_back *b;
	struct dir_changes *out;
	bool any;
};

static int told_class(void *arg, const uint8_t *value, size_t len)
{
	return dir_schema_is_group(arg, value, len) ? 1 : 0;
}

/* if it was renamed or moved, so is everything below it, and nothing tells of that */
static void told_place(
	struct told *t, struct dldap_entry *e, const uint8_t uuid[16], const char *dn, bool new)
{
	struct dir_groups *g = t->b->groups;
	char below[8];

	if (new) {
		dir_groups_place(g, uuid, dn);
		return;
	}
	/* a server that does not say whether there is something: there may be */
	if (dldap_entry_text(e, "hasSubordinates", below, sizeof(below)) &&
		strcasecmp(below, "FALSE") == 0)
		return;
	if (dir_groups_moved(g, uuid, dn)) {
		gi_info("directory: what is below \"%.200s\" may have been moved: all is looked at",
			dn);
		dir_memo_clear(t->b->memo);
		t->out->all = true;
		dir_groups_compare(g, false);
	}
}

static int told_entry(void *arg, struct dldap_entry *e, const uint8_t uuid[16], bool new)
{
	struct told *t = arg;
	struct dir_back *b = t->b;
	bool group = dldap_entry_each(e, "objectClass", told_class, &b->schema) != 0;
	char *dn = NULL;
	uint8_t id[16];
	int err = dldap_entry_dn(e, &dn);

	t->any = true;
	if (err < 0)
		return err;
	told_place(t, e, uuid, dn, new);
	if (!dir_entry_guid(e, &b->schema, id)) {
		t->out->all = true;
	} else if (!group) {
		if (dir_groups_has(b->groups, id)) /* it was one */
			dir_groups_gone(b->groups, id, t->out);
		dir_changes_account(t->out, id);
	} else {
		dir_memo_clear(b->memo); /* whatever it will turn out to be */
		dir_groups_changed(b->groups, id, dn, t->out);
	}
	free(dn);
	return 0;
}

static int told_deleted(void *arg, const uint8_t uuid[16])
{
	struct told *t = arg;
	struct dir_back *b = t->b;
	const char *name = b->schema.unique_id[0];

	t->any = true;
	dir_memo_clear(b->memo);
	if (!name || strcasecmp(name, "entryUUID") != 0) /* it is known by another id */
		dir_groups_compare(b->groups, true);
	else if (dir_groups_has(b->groups, uuid))
		dir_groups_gone(b->groups, uuid, t->out);
	else if (!b->groups->whole) /* whatever it was */
		dir_changes_group(t->out, uuid);
	if (dir_seen_has(b->seen, uuid)) {
		dir_seen_drop(b->seen, uuid);
		dir_changes_account(t->out, uuid);
	}
	dir_seen_gone(b->seen, io_clock_mono_ms()); /* a lookup may be finding it just now */
	return 0;
}

static void told_current(void *arg)
{
	struct told *t = arg;

	t->b->groups->catching_up = false;
}

static void told_cookie(void *arg, const char *cookie, size_t len)
{
	struct told *t = arg;

	dir_csn_cookie(t->b->csn, cookie, len);
}

static int told_unsure(void *arg)
{
	struct told *t = arg;

	t->any = true;
	dir_groups_compare(t->b->groups, true);
	return 0;
}

static int openldap_take(struct dir_back *b, struct dir_changes *ret, bool *ret_any)
{
	static const struct dldap_sync_ops ops = { .entry = told_entry,
		.deleted = told_deleted,
		.unsure = told_unsure,
		.current = told_current,
		.cookie = told_cookie };
	struct told t = { .b = b, .out = ret };
	struct csn c = { .len = 0 };
	char why[DIR_WHY_MAX] = "";
	int err = dldap_sync_read(b->watch, &ops, &t, why);

	if (err == -GI_ESTATE && csn_read(b, &c, why) == 0 && c.len) {
		gi_notice("directory: %s lost count of its changes: all is read again", b->server);
		memcpy(b->csn, c.text, sizeof(b->csn));
		ret->all = true;
		dir_groups_forget(b->groups, true);
		err = openldap_sync(b, b->csn, why);
	} else if (err == -GI_ENOTFOUND || err == -GI_ESTATE) {
		gi_notice("directory: %s no longer tells of changes (%s): it is asked for them",
			b->server, why);
		b->told_by_fd = false;
	}
	if (err == -ENOMEM) { /* of one message nobody knows what it was */
		ret->all = true;
		dir_groups_forget(b->groups, true);
	}
	*ret_any = t.any || err < 0;
	return err;
}

static bool openldap_told(struct dir_back *b, struct dir_changes *ret)
{
	bool any;

	(void)openldap_take(b, ret, &any); /* poll() comes upon it */
	return any;
}

static int openldap_begin(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "namingContexts", "supportedControl",
		"subschemaSubentry", NULL };
	struct context root = { .b = b };
	const struct dldap_query q = { .base = "",
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = context_entry,
		.arg = &root };
	uint64_t now = io_clock_mono_ms();
	struct csn c = { .len = 0 };
	size_t dot;
	bool all;
	int err;

	dir_schema_init(&b->schema, b->conf);
	b->root[0] = '\0';
	b->told_by_fd = b->offers_sync = b->no_scan = false;
	err = dldap_search(b->watch, &q, why);
	if (err < 0)
		return err;
	if (b->root[0] == '\0') {
		dir_why(why, "base \"%.120s\" is not in this directory", b->conf->base);
		return -GI_EPROTO;
	}
	if (dir_base_domain(b->conf->base, b->domain) < 0)
		b->domain[0] = '\0';
	/* no NetBIOS name here: the first component of the domain stands for it */
	dot = strcspn(b->domain, ".");
	memcpy(b->netbios, b->domain, dot);
	b->netbios[dot] = '\0';
	err = csn_read(b, &c, why);
	if (err < 0)
		return err;
	err = openldap_groups_there(b, why);
	if (err == 0)
		err = dir_match_known(b, root.values ? root.subschema : "", why);
	if (err < 0)
		return err;
	/* by syncrepl, what happened since the last connection is told on this one */
	all = c.len == 0 || b->moved || b->csn[0] == '\0' ||
	      (!b->offers_sync && strcmp(b->csn, c.text) != 0);
	ret->all |= all;
	if (all) {
		memcpy(b->csn, c.text, sizeof(b->csn));
		b->groups->looked_ms = now;
		dir_groups_forget(b->groups, true);
	}
	b->usn = io_clock_mono_ms();
	dir_why(b->server, "%s", b->conf->uri);
	dir_groups_connected(b->groups, dir_csn_number(b->csn));
	return openldap_sync(b, c.len ? b->csn : NULL, why);
}

static int scan_entry(void *arg, struct dldap_entry *e)
{
	struct told *t = arg;
	char csn[64];
	uint8_t id[16];

	if (dldap_entry_text(e, "entryCSN", csn, sizeof(csn)) && dir_csn_covers(t->b->csn, csn))
		return 0; /* the last one of before */
	if (!dir_entry_guid(e, &t->b->schema, id)) {
		t->out->all = true;
		return 0;
	}
	return told_entry(t, e, id, false);
}

/*
 * What was written since b->csn. It does not say how often, nor who is gone: each group that
 * changed is in doubt, and everything is compared, which takes a tenth of the time at most.
 */
static int openldap_scan(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	struct told t = { .b = b, .out = ret };
	const char *attrs[DIR_SCHEMA_ALL + 2];
	char filter[80];
	const struct dldap_query q = { .base = b->root,
		.filter = filter,
		.scope = DLDAP_SUBTREE,
		.attrs = attrs,
		.page = b->page,
		.max = OPENLDAP_SCAN_MAX,
		.entry = scan_entry,
		.arg = &t };
	size_t n = 0;
	int err;

	(void)snprintf(
		filter, sizeof(filter), "(entryCSN>=%.*s)", (int)strcspn(b->csn, " "), b->csn);
	dir_schema_group_attrs(&b->schema, false, attrs);
	while (attrs[n])
		n++;
	attrs[n++] = "hasSubordinates";
	attrs[n++] = "entryCSN";
	attrs[n] = NULL;
	err = dldap_search(b->watch, &q, why);
	if (err == -ECONNRESET)
		return err;
	if (err < 0) {
		ret->all = true;
		b->no_scan = err != -GI_ELIMIT;
		dir_groups_forget(b->groups, !b->no_scan);
	}
	if (b->no_scan)
		gi_notice("directory: %s does not say what changed (%s): each change concerns all",
			b->server, why);
	dir_memo_clear(b->memo);
	dir_groups_doubt(b->groups);
	if (err == 0)
		dir_groups_compare(b->groups, true);
	return 0;
}

/* without syncrepl: contextCSN is @c now */
static int openldap_moved(
	struct dir_back *b, const struct csn *c, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	bool scan = !b->no_scan && dir_csn_follows(c->text, b->csn);

	if (strcmp(b->csn, c->text) == 0)
		return 0;
	if (!scan) {
		ret->all = true;
		dir_groups_forget(b->groups, false); /* nobody reads what changes */
	}
	return scan ? openldap_scan(b, ret, why) : 0;
}

static int openldap_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	struct csn c = { .len = 0 };
	bool told = b->told_by_fd, any = false;
	uint64_t now = io_clock_mono_ms();
	int err = csn_read(b, &c, why);

	if (err < 0)
		return err;
	if (told) {
		err = openldap_take(b, ret, &any);
		ret->all |= any && !b->told_by_fd;
		if (err < 0 && b->told_by_fd)
			return err; /* the next connection is told of what this one was not */
	}
	if (b->told_by_fd) { /* a contextCSN may be ahead of what is told: the cookies count */
		if (dir_csn_covers(b->csn, c.text))
			b->groups->looked_ms = now;
		return 0;
	}
	if (c.len == 0) { /* no syncprov: blind, so look again from time to time */
		if (io_clock_mono_ms() - b->usn >= OPENLDAP_BLIND_MS) {
			ret->all = true;
			b->usn = io_clock_mono_ms();
		}
		return 0;
	}
	err = openldap_moved(b, &c, ret, why);
	if (err < 0)
		return err;
	memcpy(b->csn, c.text, sizeof(b->csn));
	b->groups->looked_ms = now;
	return 0;
}
