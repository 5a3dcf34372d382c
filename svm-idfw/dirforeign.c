/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirforeign.c - Active Directory: groups of this domain that another domain's account is in
 *
 * Part of the AD back end (dirad.c); runs in the directory child, blocks as it does. Another domain
 * has said which SIDs an account has: its own and those of its groups. Here they are members of
 * (domain local) groups as foreign security principals, objects with such a SID; in the same forest
 * also without one, as the SID alone finds. From these groups upwards, level by level, each once;
 * Samba computes no tokenGroups for foreign security principals. Distribution lists are not
 * security groups; builtin groups (S-1-5-32-...) are of this domain's controllers only and left
 * out. Invariant: all groups or a failure. Source: MS-ADTS 3.1.1.3.1.2.4 (<SID=...>), 6.1.1.4.10.
 */
#include "svm-idfw/dirforeign.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "svm-idfw/dirad.h"

#define FOREIGN_ASK 50	       /* in one filter */
#define FOREIGN_ROUNDS_MAX 500 /* searches of one account */
#define FOREIGN_FILTER_MAX (256u << 10)
#define FOREIGN_GROUP "(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648)(|"

struct foreign_dn { /* an entry whose groups are to be found */
	UT_hash_handle hh;
	size_t sid_len;
	uint8_t sid[SID_BYTES_MAX]; /* the key */
	char dn[];
};

struct foreign {
	struct dir_back *b;
	struct dir_answer *answer;
	struct foreign_dn *all; /* owned; in order of coming */
	bool principal;		/* the entry at hand is a foreign security principal */
};

static int foreign_class(void *arg, const uint8_t *value, size_t len)
{
	static const char word[] = "foreignSecurityPrincipal";
	struct foreign *f = arg;

	f->principal |= len == sizeof(word) - 1 && strncasecmp((const char *)value, word, len) == 0;
	return 0;
}

static bool foreign_is_builtin(const struct dir_group *g)
{
	static const uint8_t head[] = { 0, 0, 0, 0, 0, 5, 32, 0, 0, 0 };

	return g->sid_len == 16 && memcmp(g->sid + 2, head, sizeof(head)) == 0;
}

static int foreign_put(struct foreign *f, const struct dir_group *g)
{
	size_t len = strlen(g->dn) + 1;
	struct foreign_dn *d = NULL;

	HASH_FIND(hh, f->all, g->sid, g->sid_len, d);
	if (d)
		return 0;
	if (HASH_COUNT(f->all) >= DIR_ANSWER_GROUPS_MAX)
		return -GI_ELIMIT;
	d = calloc(1, sizeof(*d) + len);
	if (!d)
		return -ENOMEM;
	d->sid_len = g->sid_len;
	memcpy(d->sid, g->sid, g->sid_len);
	memcpy(d->dn, g->dn, len);
	HASH_ADD(hh, f->all, sid, d->sid_len, d);
	return f->principal ? 0 : dir_answer_add(f->answer, g);
}

static int foreign_entry(void *arg, struct dldap_entry *e)
{
	struct foreign *f = arg;
	struct dir_group g;
	int err = dir_group_read(&g, e, &dir_schema_ad);

	if (err < 0)
		return err;
	f->principal = false;
	(void)dldap_entry_each(e, "objectClass", foreign_class, f);
	if (g.sid_len && !foreign_is_builtin(&g))
		err = foreign_put(f, &g);
	dir_group_fini(&g);
	return err;
}

static int foreign_search(struct foreign *f, struct gi_buf *filter, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectClass", "objectGUID", "objectSid",
		"sAMAccountName", "cn", NULL };
	const struct dldap_query q = { .base = f->b->root,
		.filter = gi_buf_str(filter),
		.scope = DLDAP_SUBTREE,
		.attrs = attrs,
		.page = f->b->page,
		.max = DIR_ANSWER_GROUPS_MAX,
		.entry = foreign_entry,
		.arg = f };
	int err = gi_buf_error(filter);

	return err < 0 ? err : dldap_search(f->b->look, &q, why);
}

/* groups with one of these SIDs as a member, and the objects that stand for them here */
static int foreign_begin(struct foreign *f, struct gi_buf *filter, const ProtobufCBinaryData *sids,
	size_t n, char why[DIR_WHY_MAX])
{
	char text[SID_TEXT_MAX];

	gi_buf_reset(filter);
	gi_buf_printf(filter, "(|" FOREIGN_GROUP);
	for (size_t i = 0; i < n; i++)
		if (sid_to_text(sids[i].data, sids[i].len, text) == 0)
			gi_buf_printf(filter, "(member=<SID=%s>)", text);
	gi_buf_printf(filter, "))(&(objectClass=foreignSecurityPrincipal)(|");
	for (size_t i = 0; i < n; i++) {
		gi_buf_printf(filter, "(objectSid=");
		dir_filter_escape(filter, sids[i].data, sids[i].len);
		gi_buf_append(filter, ")", 1);
	}
	gi_buf_append(filter, ")))", 3);
	return foreign_search(f, filter, why);
}

/* groups with one of the next entries as a member; @ret: the last that was asked for */
static int foreign_next(struct foreign *f, struct gi_buf *filter, struct foreign_dn *from,
	struct foreign_dn **ret, char why[DIR_WHY_MAX])
{
	size_t n = 0;

	gi_buf_reset(filter);
	gi_buf_printf(filter, FOREIGN_GROUP);
	for (; from && n < FOREIGN_ASK; from = from->hh.next, n++) {
		*ret = from;
		gi_buf_printf(filter, "(member=");
		dir_filter_escape(filter, from->dn, strlen(from->dn));
		gi_buf_append(filter, ")", 1);
	}
	gi_buf_append(filter, "))", 2);
	return foreign_search(f, filter, why);
}

/* what comes is put behind what was asked for, until nothing new does */
static int foreign_climb(struct foreign *f, struct gi_buf *filter, char why[DIR_WHY_MAX])
{
	struct foreign_dn *from = f->all, *last = NULL;
	int err = 0, round = 0;

	while (err == 0 && (last ? last->hh.next : (void *)from) != NULL) {
		if (round++ == FOREIGN_ROUNDS_MAX)
			return -GI_ELIMIT;
		err = foreign_next(f, filter, last ? last->hh.next : from, &last, why);
	}
	return err;
}

int dir_ad_foreign(struct dir_back *b, const ProtobufCBinaryData *sids, size_t n,
	struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	struct foreign f = { .b = b, .answer = ret };
	struct foreign_dn *d, *next;
	struct gi_buf filter;
	int err = 0;

	ret->status = IDFW__DIR_RESULT__STATUS__OK;
	gi_buf_init(&filter, FOREIGN_FILTER_MAX);
	for (size_t i = 0; err == 0 && i < n; i += FOREIGN_ASK)
		err = foreign_begin(
			&f, &filter, sids + i, n - i < FOREIGN_ASK ? n - i : FOREIGN_ASK, why);
	if (err == 0)
		err = foreign_climb(&f, &filter, why);
	gi_buf_fini(&filter);
	HASH_ITER (hh, f.all, d, next) {
		HASH_DEL(f.all, d);
		free(d);
	}
	if (err == -GI_ELIMIT) {
		dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
			"an account of another domain is in more than %d groups of %.100s",
			DIR_ANSWER_GROUPS_MAX, b->domain);
		err = 0;
	}
	return err;
}
