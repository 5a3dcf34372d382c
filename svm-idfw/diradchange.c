/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diradchange.c - Active Directory: what changed, by USN
 *
 * Runs in the directory child, on the watch connection. highestCommittedUSN of the root DSE; when
 * it moved, the objects with a higher uSNChanged are looked at: accounts concern themselves, groups
 * are read again (dirgroups.c), a container that has another DN concerns everybody. Each write
 * takes one USN and an object shows its last one only, so as many objects as USNs means that
 * nothing is hidden. Fewer may mean a deletion, which an ordinary account cannot see, or an object
 * that was written twice: then the groups are compared with what is known, and the known accounts
 * are asked for. The numbers are those of one database (invocationId): of a restored one they mean
 * something else, though they may be higher. Source: MS-ADTS 3.1.1.1.9 (USNs).
 */
#include "svm-idfw/dirad.h"
#include "svm-idfw/dirgroups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"

#define AD_SCAN_MAX                                                                              \
	20000		  /* objects of one look; more: everybody, and all groups are read again \
			   */
#define AD_SLOW_MS 600000 /* after a look that took too long */

/* ---- whose numbers they are ---- */

static int ad_usn_of_entry(void *arg, struct dldap_entry *e)
{
	struct dir_usn_of *u = arg;
	size_t len = 0;

	u->known = dldap_entry_bytes(e, "invocationId", u->id, sizeof(u->id), &len) &&
		   len == sizeof(u->id);
	return 0;
}

int dir_ad_usn_of(
	struct dldap *d, const char *server, struct dir_usn_of *ret, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "invocationId", NULL };
	const struct dldap_query q = { .base = server,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = ad_usn_of_entry,
		.arg = ret };
	int err;

	ret->known = false;
	if (!*server) {
		dir_why(why, "it has no dsServiceName");
		return 0;
	}
	err = dldap_search(d, &q, why);
	return err == -ECONNRESET || err == -ETIMEDOUT ? err : 0;
}

bool dir_ad_counts_on(const struct dir_back *b, const char *server, const struct dir_usn_of *now)
{
	if (!*server || strcmp(b->server, server) != 0 || b->usn_of.known != now->known)
		return false;
	return !now->known || memcmp(b->usn_of.id, now->id, sizeof(now->id)) == 0;
}

void dir_ad_invocation_text(const struct dir_usn_of *u, char ret[DIR_INVOCATION_TEXT])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	size_t at = 0;

	ret[0] = '\0';
	for (size_t i = 0; u->known && i < sizeof(order); i++)
		at += (size_t)snprintf(ret + at, DIR_INVOCATION_TEXT - at, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u->id[order[i]]);
}

/* ---- what changed ---- */

struct ad_scan {
	struct dir_back *b;
	struct dir_changes *out;
	uint64_t objects;
	bool group, user, place; /* of the entry at hand */
};

static bool is_class(const uint8_t *value, size_t len, const char *name)
{
	return len == strlen(name) && strncasecmp((const char *)value, name, len) == 0;
}

static int ad_scan_class(void *arg, const uint8_t *value, size_t len)
{
	struct ad_scan *s = arg;

	s->group |= is_class(value, len, "group");
	s->user |= is_class(value, len, "user");
	s->place |= is_class(value, len, "organizationalUnit") || is_class(value, len, "container");
	return 0;
}

/* moved or renamed: the DNs below changed without a write; also when it cannot be told */
static bool ad_scan_moved(struct ad_scan *s, struct dldap_entry *e, const uint8_t *id)
{
	struct dir_groups *g = s->b->groups;
	uint64_t created = 0;
	char text[32], *dn = NULL;
	bool moved = true;

	if (!id || dldap_entry_dn(e, &dn) < 0)
		return true;
	(void)dldap_entry_text(e, "uSNCreated", text, sizeof(text));
	if (gi_text_u64(text, 0, UINT64_MAX, &created) == 0 && created > s->b->usn) {
		dir_groups_place(g, id, dn); /* nothing was below it when we looked last */
		moved = false;
	} else {
		moved = dir_groups_moved(g, id, dn);
	}
	free(dn);
	return moved;
}

static int ad_scan_entry(void *arg, struct dldap_entry *e)
{
	struct ad_scan *s = arg;
	struct dir_sid sid = { .len = 0 };
	uint8_t id[16];
	bool has_id;

	s->objects++;
	s->group = s->user = s->place = false;
	(void)dldap_entry_each(e, "objectClass", ad_scan_class, s);
	(void)dldap_entry_bytes(e, "objectSid", sid.bytes, sizeof(sid.bytes), &sid.len);
	has_id = dir_entry_guid(e, &dir_schema_ad, id);
	if (s->group && sid.len)
		dir_cache_drop(s->b->cache, sid.bytes, sid.len);
	if (s->place) {
		if (ad_scan_moved(s, e, has_id ? id : NULL)) {
			dir_cache_clear(s->b->cache);
			s->out->all = true;
			dir_groups_compare(s->b->groups, false);
		}
	} else if (!has_id) {
		s->out->all |= s->group || s->user;
	} else if (s->group) {
		dir_groups_changed(s->b->groups, id, NULL, s->out);
	} else if (s->user) {
		dir_changes_account(s->out, id);
	}
	return 0;
}

/* everything in one naming context whose last write is after b->usn, up to @last */
static int ad_scan(struct dir_back *b, const char *base, uint64_t last, struct ad_scan *s,
	char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectClass", "objectSid", "objectGUID", "uSNCreated",
		NULL };
	char filter[96];
	const struct dldap_query q = { .base = base,
		.filter = filter,
		.scope = DLDAP_SUBTREE,
		.attrs = attrs,
		.page = b->page,
		.max = AD_SCAN_MAX,
		.entry = ad_scan_entry,
		.arg = s };

	(void)snprintf(filter, sizeof(filter), "(&(uSNChanged>=%llu)(uSNChanged<=%llu))",
		(unsigned long long)b->usn + 1, (unsigned long long)last);
	return dldap_search(b->watch, &q, why);
}

/* restored from a backup, too much, too slow: nothing that we remember is worth anything */
static void ad_forget(struct dir_back *b, struct dir_changes *ret, bool read)
{
	ret->all = true;
	dir_cache_clear(b->cache);
	dir_groups_forget(b->groups, read);
}

/* what changed since b->usn, up to @last; not while that is known to take too long */
static int ad_changed(
	struct dir_back *b, uint64_t last, uint64_t now, struct ad_scan *s, char why[DIR_WHY_MAX])
{
	uint64_t moved = last - b->usn;
	size_t i;
	int err;

	if (now < b->scan_ms)
		return -ETIMEDOUT;
	if (b->scan_ms)
		dir_groups_forget(b->groups, true);
	b->scan_ms = 0;
	b->groups->since = b->usn;
	err = ad_scan(b, b->root, last, s, why);
	for (i = 0; err == 0 && s->objects < moved && i < b->n_nc; i++)
		if (strcasecmp(b->nc[i], b->root) != 0)
			err = ad_scan(b, b->nc[i], last, s, why);
	if (err == -ETIMEDOUT) { /* it has just told its USN: it is slow, not away */
		b->scan_ms = now + AD_SLOW_MS;
		gi_warn("directory: %s does not say in time what changed (%s): for the next %d "
			"minutes each change concerns all",
			b->server, why, AD_SLOW_MS / 60000);
	}
	return err;
}

int dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	struct ad_scan s = { .b = b, .out = ret };
	struct dir_ad_root r = { .b = NULL };
	uint64_t now = io_clock_mono_ms();
	int err = dir_ad_root_read(b->watch, &r, why);

	if (err < 0)
		return err;
	if (r.usn == b->usn) {
		b->groups->looked_ms = now;
		return 0;
	}
	if (r.usn < b->usn) {
		ad_forget(b, ret, true);
	} else {
		err = ad_changed(b, r.usn, now, &s, why);
		if (err == -GI_ELIMIT || err == -ETIMEDOUT) {
			ad_forget(b, ret, err == -GI_ELIMIT);
		} else if (err < 0) {
			return err;
		} else if (s.objects < r.usn - b->usn) {
			/* fewer objects than writes: one may be gone, or was written twice */
			dir_groups_doubt(b->groups);
			dir_groups_compare(b->groups, true);
		}
	}
	b->usn = r.usn;
	b->groups->looked_ms = now;
	return 0;
}
