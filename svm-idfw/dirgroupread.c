/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroupread.c - reading groups with their members, and telling what is another than before
 *
 * Runs in the directory child's main thread, for dirgroups.c. AD gives each member with its
 * objectGUID and SID (extended DNs), a part of `range` values at a time; elsewhere the text of the
 * value is what is remembered, and the ids of new members are asked for. Members that were removed
 * are not known any more: then the group itself is reported, that is, who was in it. So it is when
 * it was written twice, or says that it was written and is as before: an account may have joined
 * and left again, and have been looked up between the two. Invariants: a member that is new is
 * always reported, or everybody is; a group of which nothing is remembered, or what was never
 * compared, is reported with all its members; the picture moves on only when the whole difference
 * is told. Source: MS-ADTS 3.1.1.3.1.3.3 (range), 3.1.1.3.4.1.5 (extended DN).
 */
#include "svm-idfw/dirgroups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

enum { KIND_ID = 1, KIND_DN, KIND_UID, KIND_GID }; /* of member values */

struct grp_text { /* a new member whose id must be asked for */
	uint8_t kind;
	char *text; /* owned */
};

struct grp { /* one entry, or all that runs over it */
	struct dir_back *b;
	struct dir_changes *out;
	bool first, report, lists; /* of the first pass; somebody is told; only a list of groups */
	bool doubt;		   /* as in struct dir_todo */
	bool ahead; /* written after what was told: the next write is in it already */
	uint64_t since, seen_ms;
	struct dir_member_group head;
	char *dn;			    /* owned */
	const struct dir_member_group *old; /* to compare with; NULL: nothing */
	struct dir_member_list list;
	struct dir_changes added;
	struct grp_text texts[DIR_ADDED_MAX];
	size_t n_texts;
	uint8_t kind; /* of the values at hand */
	bool found, too_many;
	size_t next; /* AD: members from here on are still to come; 0: all came */
};

static void grp_reset(struct grp *r)
{
	while (r->n_texts)
		free(r->texts[--r->n_texts].text);
	dir_member_list_fini(&r->list);
	dir_changes_fini(&r->added);
	free(r->dn);
	r->dn = NULL;
	r->old = NULL;
	r->head = (struct dir_member_group){ .n = 0 };
	r->too_many = r->ahead = false;
	r->next = 0;
}

static bool is_ad(const struct dir_back *b)
{
	return b->ops == &dir_back_ad;
}

static const struct dir_schema *schema(const struct dir_back *b)
{
	return is_ad(b) ? &dir_schema_ad : &b->schema;
}

/* ---- member values ---- */

static size_t hex(const char *text, size_t len, uint8_t *ret, size_t max)
{
	size_t i;

	for (i = 0; i / 2 < max && i < len; i++) {
		int c = text[i], d = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f'))
			break;
		ret[i / 2] = (uint8_t)(i & 1 ? ret[i / 2] | d : d << 4);
	}
	return i / 2;
}

/* <GUID=hex>;<SID=hex>;DN */
static bool extended(const char *v, size_t len, uint8_t ret_id[16], struct dir_sid *ret_sid)
{
	static const char foreign[] = ",CN=ForeignSecurityPrincipals,";
	const char *sid;

	ret_sid->len = 0;
	if (len < 40 || strncasecmp(v, "<GUID=", 6) != 0 || hex(v + 6, len - 6, ret_id, 16) != 16)
		return false;
	sid = memmem(v, len, ";<SID=", 6);
	if (sid && memmem(v, len, foreign, sizeof(foreign) - 1))
		ret_sid->len = hex(sid + 6, len - (size_t)(sid + 6 - v), ret_sid->bytes,
			sizeof(ret_sid->bytes));
	return true;
}

static int value_ad(void *arg, const uint8_t *value, size_t len)
{
	struct grp *r = arg;
	struct dir_sid sid;
	uint8_t id[16];
	uint64_t h;

	if (!extended((const char *)value, len, id, &sid)) {
		h = dir_member_hash(&r->b->groups->m, KIND_DN, value, len);
		r->too_many |= !dir_member_has(r->old, h);
		return dir_member_list_add(&r->list, h);
	}
	h = dir_member_hash(&r->b->groups->m, KIND_ID, id, sizeof(id));
	if (r->report && !dir_member_has(r->old, h)) {
		bool whole = r->b->groups->whole, group = dir_groups_has(r->b->groups, id);

		if (group || !whole)
			dir_changes_group(&r->added, id);
		if (!group)
			dir_changes_account(&r->added, id);
		if (sid.len)
			dir_changes_sid(&r->added, sid.bytes, sid.len);
	}
	return dir_member_list_add(&r->list, h);
}

static int value_text(void *arg, const uint8_t *value, size_t len)
{
	struct grp *r = arg;
	uint64_t h = dir_member_hash(&r->b->groups->m, r->kind, value, len);

	if (r->report && !dir_member_has(r->old, h)) {
		if (r->n_texts == DIR_ADDED_MAX) {
			r->too_many = true;
		} else {
			r->texts[r->n_texts] = (struct grp_text){ .kind = r->kind,
				.text = strndup((const char *)value, len) };
			if (!r->texts[r->n_texts++].text)
				return -ENOMEM;
		}
	}
	return dir_member_list_add(&r->list, h);
}

static int values_of(struct grp *r, struct dldap_entry *e, uint8_t kind, const char *const *attrs)
{
	int err = 0;

	r->kind = kind;
	for (; err == 0 && *attrs; attrs++)
		err = dldap_entry_each(e, *attrs, value_text, r);
	return err;
}

static int values(struct grp *r, struct dldap_entry *e)
{
	const struct dir_schema *s = schema(r->b);
	char name[DLDAP_RANGE_MAX];
	int err;

	if (is_ad(r->b)) {
		r->next = 0;
		if (dldap_entry_range(e, "member", name, &r->next))
			return dldap_entry_each(e, name, value_ad, r);
		return dldap_entry_each(e, "member", value_ad, r);
	}
	err = values_of(r, e, KIND_DN, s->member);
	if (err == 0)
		err = values_of(r, e, KIND_UID, s->member_uid);
	if (err == 0)
		err = values_of(r, e, KIND_GID, s->gid_number);
	return err;
}

/* ---- what an entry says of itself ---- */

static int head(struct grp *r, struct dldap_entry *e)
{
	const struct dir_members *m = &r->b->groups->m;
	char text[DIR_NAME_MAX + 1];
	size_t i;
	int err = dldap_entry_dn(e, &r->dn);

	if (err < 0)
		return err;
	if (!dir_entry_guid(e, schema(r->b), r->head.id))
		return -GI_ENOTFOUND;
	r->head.self = dir_member_hash(m, 0, r->dn, strlen(r->dn));
	for (i = 0; schema(r->b)->group_name[i]; i++) {
		(void)dldap_entry_text(e, schema(r->b)->group_name[i], text, sizeof(text));
		r->head.self = r->head.self * 31 + dir_member_hash(m, 0, text, strlen(text));
	}
	if (is_ad(r->b)) {
		(void)dldap_entry_text(e, "groupType", text, sizeof(text));
		r->head.kind = dir_member_hash(m, 0, text, strlen(text));
		(void)dldap_entry_text(e, "uSNChanged", text, sizeof(text));
		if (gi_text_u64(text, 0, UINT64_MAX, &r->head.stamp) < 0)
			r->head.stamp = 0;
		r->ahead = r->head.stamp > r->b->usn;
	} else if (dldap_entry_text(e, "entryCSN", text, sizeof(text))) {
		r->head.stamp = dir_csn_number(text);
		r->ahead = !dir_csn_covers(r->b->csn, text);
	}
	return 0;
}

/* what is remembered, unless it must not be compared with */
static void old(struct grp *r)
{
	const struct dir_member_group *o = dir_members_find(&r->b->groups->m, r->head.id);

	if (o && (o->kind != r->head.kind || (o->quiet && o->stamp > r->since)))
		o = NULL;
	r->old = o;
}

/* ---- telling ---- */

struct grp_who {
	struct grp *r;
	bool accounts; /* only those */
	bool group;
	size_t n;
};

static int who_class(void *arg, const uint8_t *value, size_t len)
{
	return dir_schema_is_group(arg, value, len) ? 1 : 0;
}

static int who_entry(void *arg, struct dldap_entry *e)
{
	struct grp_who *w = arg;
	uint8_t id[16];
	bool group = dldap_entry_each(
			     e, "objectClass", who_class, (void *)(uintptr_t)schema(w->r->b)) != 0;

	if (!dir_entry_guid(e, schema(w->r->b), id)) {
		w->r->out->all = true;
		return 0;
	}
	if (group && !w->accounts)
		dir_changes_group(w->r->out, id);
	else if (!group)
		dir_changes_account(w->r->out, id);
	return 0;
}

/* accounts that have @text in one of @names */
static int who_filter(struct gi_buf *f, const char *const *names, const char *text)
{
	gi_buf_printf(f, "(|");
	for (; *names; names++) {
		gi_buf_printf(f, "(%s=", *names);
		dir_filter_escape(f, text, strlen(text));
		gi_buf_append(f, ")", 1);
	}
	gi_buf_append(f, ")", 1);
	return gi_buf_error(f);
}

static int who(struct grp *r, const struct grp_text *t, char why[DIR_WHY_MAX])
{
	const struct dir_schema *s = schema(r->b);
	const char *attrs[DIR_SCHEMA_ALL];
	struct grp_who w = { .r = r, .accounts = t->kind != KIND_DN };
	struct gi_buf filter;
	int err = 0;

	dir_schema_attrs(s, attrs);
	gi_buf_init(&filter, 64u << 10);
	if (w.accounts)
		err = who_filter(
			&filter, t->kind == KIND_UID ? s->user_name : s->gid_number, t->text);
	else
		gi_buf_printf(&filter, "(objectClass=*)");
	if (err == 0) {
		const struct dldap_query q = { .base = w.accounts ? r->b->conf->base : t->text,
			.filter = gi_buf_str(&filter),
			.scope = w.accounts ? DLDAP_SUBTREE : DLDAP_BASE,
			.attrs = attrs,
			.max = DIR_ADDED_MAX,
			.entry = who_entry,
			.arg = &w };

		err = dldap_search(r->b->watch, &q, why);
	}
	gi_buf_fini(&filter);
	if (err == -ECONNRESET || err == -ETIMEDOUT)
		return err;
	if (err < 0 && err != -GI_ENOTFOUND) /* no DN, too many: whoever it is */
		r->out->all = true;
	return 0;
}

static void ids_move(struct dir_changes *to, const struct dir_changes *from)
{
	size_t i;

	to->all |= from->all;
	for (i = 0; i < from->accounts.n; i++)
		dir_changes_account(to, from->accounts.list[i]);
	for (i = 0; i < from->groups.n; i++)
		dir_changes_group(to, from->groups.list[i]);
	for (i = 0; i < from->n_sids; i++)
		dir_changes_sid(to, from->sids[i].bytes, from->sids[i].len);
}

/*
 * As it was: somebody joined and left again, or left and joined again, and may have been looked up
 * in between. So it may be behind a difference, when it was written more than once.
 */
static void between(struct grp *r)
{
	struct dir_groups *g = r->b->groups;

	if (!g->doubt_ms || r->seen_ms < g->doubt_ms)
		g->doubt_ms = r->seen_ms ? r->seen_ms : 1;
}

static int tell(struct grp *r, char why[DIR_WHY_MAX])
{
	size_t i, removed = dir_members_removed(&r->b->groups->m, r->head.id, &r->list);
	bool named = !r->old || r->old->self != r->head.self;
	bool same = !r->n_texts && !r->too_many && !dir_changes_any(&r->added);
	bool doubt = r->doubt || r->ahead || (same && !named && !removed);
	int err = 0;

	if (named || removed || doubt)
		dir_changes_group(r->out, r->head.id);
	if (r->old && doubt)
		between(r);
	ids_move(r->out, &r->added);
	r->out->all |= r->too_many;
	for (i = 0; err == 0 && !r->out->all && i < r->n_texts; i++)
		err = who(r, &r->texts[i], why);
	return err;
}

/* who is concerned is told; then the group is remembered as it is now */
static int finish(struct grp *r, char why[DIR_WHY_MAX])
{
	int err = r->report ? tell(r, why) : 0;

	if (err < 0)
		return err; /* it is read again, and compared with what it was */
	r->head.quiet = !r->report;
	r->old = NULL;
	err = dir_members_put(&r->b->groups->m, &r->head, &r->list);
	return err == -GI_ELIMIT ? 0 : err;
}

/* ---- reading ---- */

static void attrs_of(const struct dir_back *b, bool lists, char range[DLDAP_RANGE_MAX],
	const char *ret[DIR_SCHEMA_ALL + 4])
{
	static const char *const ad[] = { "objectGUID", "sAMAccountName", "cn", "groupType",
		"uSNChanged", NULL };
	size_t n = 0;

	if (is_ad(b)) {
		for (; ad[n]; n++)
			ret[n] = ad[n];
		if (!lists)
			ret[n++] = range;
		ret[n] = NULL;
		return;
	}
	dir_schema_group_attrs(&b->schema, !lists, ret);
	while (ret[n])
		n++;
	ret[n++] = "entryCSN";
	ret[n] = NULL;
}

static void range_name(const struct dir_back *b, size_t from, char ret[DLDAP_RANGE_MAX])
{
	(void)snprintf(ret, DLDAP_RANGE_MAX, "member;range=%zu-%zu", from,
		from + (size_t)b->conf->range - 1);
}

static int page_entry(void *arg, struct dldap_entry *e)
{
	struct grp *r = arg;
	struct dir_groups *g = r->b->groups;
	struct dir_member_group *o;
	char why[DIR_WHY_MAX];
	int err;

	g->done++;
	grp_reset(r);
	err = head(r, e);
	if (err == -GI_ENOTFOUND) /* without an id nothing can be said of it */
		return 0;
	o = dir_members_find(&g->m, r->head.id);
	if (o)
		dir_members_mark(&g->m, o);
	if (err < 0 || (!r->first && o && o->stamp == r->head.stamp && o->self == r->head.self))
		return err;
	if (!r->first) { /* nobody has told of it: who knows how often it was written */
		g->found++;
		dir_groups_changed_often(g, r->head.id, is_ad(r->b) ? NULL : r->dn, r->out);
		return 0;
	}
	if (o) /* it changed while this pass ran, and was read */
		return 0;
	err = values(r, e);
	if (err == 0 && r->next) {
		dir_groups_later(g, r->head.id, NULL);
		return 0;
	}
	return err < 0 ? err : finish(r, why);
}

static int page_filter(const struct dir_back *b, struct gi_buf *f)
{
	const char *const *c = schema(b)->group_class;

	if (is_ad(b))
		return gi_buf_printf(f, "(objectClass=group)"), gi_buf_error(f);
	gi_buf_printf(f, "(|");
	for (; *c; c++)
		gi_buf_printf(f, "(objectClass=%s)", *c);
	gi_buf_append(f, ")", 1);
	return gi_buf_error(f);
}

int dir_groups_page(struct dir_back *b, struct dir_changes *ch, char why[DIR_WHY_MAX])
{
	struct dir_groups *g = b->groups;
	struct grp r = { .b = b, .out = ch, .first = !g->whole, .lists = g->whole };
	const char *attrs[DIR_SCHEMA_ALL + 4];
	char range[DLDAP_RANGE_MAX];
	struct gi_buf filter;
	int err;

	range_name(b, 0, range);
	attrs_of(b, r.lists, range, attrs);
	gi_buf_init(&filter, 64u << 10);
	err = page_filter(b, &filter);
	if (err == 0) {
		unsigned int page = (unsigned int)dir_groups_less(
			g, r.lists ? DIR_GROUPS_LIST : DIR_GROUPS_PAGE);
		const struct dldap_query q = {
			.base = !is_ad(b) && b->conf->group_base ? b->conf->group_base : b->root,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.page = page < b->page ? page : b->page,
			.max = 10000,
			.entry = page_entry,
			.arg = &r,
			.extended_dn = is_ad(b)
		};

		err = dldap_search_page(b->watch, &q, &g->cursor, why);
	}
	gi_buf_fini(&filter);
	grp_reset(&r);
	return err;
}

static int read_entry(void *arg, struct dldap_entry *e)
{
	struct grp *r = arg;
	int err;

	if (!r->found) {
		err = head(r, e);
		if (err < 0)
			return err;
		old(r);
		r->found = true;
	}
	return values(r, e);
}

int dir_groups_read(
	struct dir_back *b, const struct dir_todo *t, struct dir_changes *ch, char why[DIR_WHY_MAX])
{
	struct grp r = { .b = b,
		.out = ch,
		.report = !t->quiet,
		.doubt = t->doubt,
		.since = t->since,
		.seen_ms = t->seen_ms };
	const char *attrs[DIR_SCHEMA_ALL + 4];
	char range[DLDAP_RANGE_MAX], base[48];
	const struct dldap_query q = { .base = t->dn ? t->dn : base,
		.filter = is_ad(b) ? "(objectClass=group)" : "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = read_entry,
		.arg = &r,
		.extended_dn = is_ad(b) };
	int err;

	dir_guid_base(t->id, base);
	do {
		size_t from = r.next;

		range_name(b, from, range);
		attrs_of(b, false, range, attrs);
		r.next = 0;
		err = dldap_search(b->watch, &q, why);
		if (err == 0 && !r.found)
			err = -GI_ENOTFOUND;
		if (err == 0 && r.next && r.next <= from)
			err = -GI_EPROTO;
	} while (err == 0 && r.next);
	if (err == 0 && memcmp(r.head.id, t->id, sizeof(t->id)) != 0)
		err = -GI_ENOTFOUND; /* another one has its name by now */
	if (err == 0)
		err = finish(&r, why);
	grp_reset(&r);
	return err;
}

/* ---- accounts that may be gone ---- */

struct ask {
	struct dir_back *b;
	uint8_t (*ids)[16];
	size_t n;
};

static int ask_entry(void *arg, struct dldap_entry *e)
{
	struct ask *a = arg;
	uint8_t id[16];
	size_t i;

	if (!dir_entry_guid(e, schema(a->b), id))
		return 0;
	for (i = 0; i < a->n; i++)
		if (memcmp(a->ids[i], id, sizeof(id)) == 0)
			memset(a->ids[i], 0, sizeof(id));
	return 0;
}

static void ask_id(struct gi_buf *f, const struct dir_back *b, const uint8_t id[16])
{
	const char *const *attr = schema(b)->unique_id;

	for (; *attr; attr++) {
		gi_buf_printf(f, "(%s=", *attr);
		if (is_ad(b))
			dir_filter_escape(f, id, 16);
		else
			for (size_t i = 0; i < 16; i++)
				gi_buf_printf(f,
					i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
					id[i]);
		gi_buf_append(f, ")", 1);
	}
}

int dir_groups_ask(struct dir_back *b, uint8_t (*ids)[16], size_t n, char why[DIR_WHY_MAX])
{
	struct ask a = { .b = b, .ids = ids, .n = n };
	const char *attrs[DIR_ATTRS_MAX + 1];
	struct gi_buf filter;
	size_t i;
	int err;

	for (i = 0; schema(b)->unique_id[i]; i++)
		attrs[i] = schema(b)->unique_id[i];
	attrs[i] = NULL;
	gi_buf_init(&filter, 256u << 10);
	gi_buf_printf(&filter, "(|");
	for (i = 0; i < n; i++)
		ask_id(&filter, b, ids[i]);
	gi_buf_append(&filter, ")", 1);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = b->root,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.max = 2 * DIR_SEEN_ASK,
			.entry = ask_entry,
			.arg = &a };

		err = dldap_search(b->watch, &q, why);
	}
	gi_buf_fini(&filter);
	return err;
}
