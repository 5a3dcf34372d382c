/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diradchange.c - Active Directory: what changed, by USN
 *
 * Runs in the directory child, on the watch connection. highestCommittedUSN of the root DSE; when
 * it moved, the objects with a higher uSNChanged are looked at. Each write takes one USN and an
 * object shows its last one only, so as many objects as USNs means that nothing is hidden; fewer
 * may mean a deletion, which an ordinary account cannot see: then everyone is looked up again.
 * Source: MS-ADTS 3.1.1.1.9 (USNs).
 */
#include "svm-idfw/dirad.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- changes ---- */

struct ad_scan {
	struct dir_back *b;
	struct dir_changes *out;
	uint64_t objects;
	bool group, user; /* of the entry at hand */
};

static int ad_scan_class(void *arg, const uint8_t *value, size_t len)
{
	struct ad_scan *s = arg;

	s->group |= len == 5 && strncasecmp((const char *)value, "group", 5) == 0;
	s->user |= len == 4 && strncasecmp((const char *)value, "user", 4) == 0;
	return 0;
}

static int ad_scan_entry(void *arg, struct dldap_entry *e)
{
	struct ad_scan *s = arg;
	struct dir_sid sid = { .len = 0 };

	s->objects++;
	s->group = s->user = false;
	(void)dldap_entry_each(e, "objectClass", ad_scan_class, s);
	(void)dldap_entry_bytes(e, "objectSid", sid.bytes, sizeof(sid.bytes), &sid.len);
	if (s->group) {
		s->out->all = true;
		if (sid.len)
			dir_cache_drop(s->b->cache, sid.bytes, sid.len);
	} else if (s->user && sid.len) {
		if (s->out->n_sids == DIR_CHANGES_MAX)
			return -GI_ELIMIT;
		s->out->sids[s->out->n_sids++] = sid;
	}
	return 0;
}

/* everything in one naming context whose last write is after b->usn, up to @last */
static int ad_scan(struct dir_back *b, const char *base, uint64_t last, struct ad_scan *s,
	char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectClass", "objectSid", NULL };
	char filter[96];
	const struct dldap_query q = { .base = base,
		.filter = filter,
		.scope = DLDAP_SUBTREE,
		.attrs = attrs,
		.page = b->page,
		.max = DIR_CHANGES_MAX,
		.entry = ad_scan_entry,
		.arg = s };

	(void)snprintf(filter, sizeof(filter), "(&(uSNChanged>=%llu)(uSNChanged<=%llu))",
		(unsigned long long)b->usn + 1, (unsigned long long)last);
	return dldap_search(b->watch, &q, why);
}

int dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	struct ad_scan s = { .b = b, .out = ret };
	struct dir_ad_root r = { .b = NULL };
	uint64_t moved;
	size_t i;
	int err = dir_ad_root_read(b->watch, &r, why);

	if (err < 0 || r.usn == b->usn)
		return err;
	if (r.usn <
		b->usn) { /* restored from a backup: nothing that we remember is worth anything */
		ret->all = true;
		dir_cache_clear(b->cache);
	} else {
		moved = r.usn - b->usn;
		err = ad_scan(b, b->root, r.usn, &s, why);
		for (i = 0; err == 0 && s.objects < moved && !ret->all && i < b->n_nc; i++)
			if (strcasecmp(b->nc[i], b->root) != 0)
				err = ad_scan(b, b->nc[i], r.usn, &s, why);
		if (err == -GI_ELIMIT) {
			ret->all = true;
			err = 0;
		}
		/* fewer objects than writes: one may be gone, or was written twice */
		if (err == 0 && s.objects < moved)
			ret->all = true;
	}
	if (err < 0)
		return err;
	b->usn = r.usn;
	return 0;
}
