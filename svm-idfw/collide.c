/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * collide.c - names that are more than one: the same login name or UPN, groups that a policy names
 *
 * Runs in svm-idfw's engine. Login names come from dirset.c, which asks the other directories
 * behind an answer; UPNs are seen as answers are taken; groups are compared when somebody asks.
 * A new collision is an audit record. Invariant: bounded; the oldest makes room.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct idfw_upn {
	char *upn; /* owned, in small letters: the key */
	char *key; /* owned: of the principal that was last seen with it */
	UT_hash_handle hh;
};

static char *small(char kind, const char *name)
{
	size_t n = strlen(name), head = kind ? 1 : 0;
	char *out = malloc(n + head + 1);

	if (!out)
		return NULL;
	out[0] = kind;
	for (size_t i = 0; i <= n; i++)
		out[i + head] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	return out;
}

const char *idfw_collision_word(enum idfw_collision_kind kind)
{
	return kind == IDFW_COLLIDE_NAME ? "name" : kind == IDFW_COLLIDE_UPN ? "upn" : "group";
}

static void collision_free(struct idfw_collision *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++) {
		free(c->at[i].directory);
		free(c->at[i].id);
	}
	free(c->name);
	free(c);
}

static void forget(struct idfw_engine *e, struct idfw_collision *c)
{
	HASH_DEL(e->collide.all, c);
	collision_free(c);
}

/* true: it was not known there */
static bool place_add(struct idfw_collision *c, const struct idfw_place *p)
{
	struct idfw_place copy;

	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->at[i].directory, p->directory) && !strcmp(c->at[i].id, p->id))
			return false;
	copy.directory = strdup(p->directory);
	copy.id = strdup(p->id);
	if (!copy.directory || !copy.id || c->n == IDFW_COLLIDE_PLACES) {
		free(copy.directory);
		free(copy.id);
		return false;
	}
	c->at[c->n++] = copy;
	return true;
}

static struct idfw_collision *collision_get(
	struct idfw_engine *e, enum idfw_collision_kind kind, const char *name)
{
	char *key = small((char)('1' + kind), name);
	struct idfw_collision *c = NULL;

	if (!key)
		return NULL;
	HASH_FIND_STR(e->collide.all, key, c);
	if (c) {
		free(key);
		return c;
	}
	if (HASH_COUNT(e->collide.all) >= IDFW_COLLISIONS_MAX)
		forget(e, e->collide.all);
	c = calloc(1, sizeof(*c));
	if (!c) {
		free(key);
		return NULL;
	}
	c->kind = kind;
	c->name = key;
	c->first_ms = e->real_ms;
	HASH_ADD_KEYPTR(hh, e->collide.all, c->name, strlen(c->name), c);
	return c;
}

static void collision_record(struct idfw_engine *e, const struct idfw_collision *c)
{
	struct gi_buf *b = &e->json;

	gi_buf_reset(b);
	gi_buf_printf(b, "{\"what\":\"%s\",\"name\":", idfw_collision_word(c->kind));
	idfw_json(b, c->name + 1);
	gi_buf_printf(b, ",\"at\":[");
	for (size_t i = 0; i < c->n; i++) {
		gi_buf_printf(b, "%s{\"directory\":", i ? "," : "");
		idfw_json(b, c->at[i].directory);
		gi_buf_printf(b, ",\"id\":");
		idfw_json(b, c->at[i].id);
		gi_buf_printf(b, "}");
	}
	gi_buf_printf(b, "]}");
	gi_warn("%s \"%s\" is more than one: %s", idfw_collision_word(c->kind), c->name + 1,
		gi_buf_str(b));
	idfw_note(e, IDFW_REC_COLLISION, NULL, NULL,
		gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b));
}

void idfw_engine_collision(struct idfw_engine *e, enum idfw_collision_kind kind, const char *name,
	const struct idfw_place at[2])
{
	struct idfw_collision *c = collision_get(e, kind, name);
	bool fresh;

	if (!c)
		return;
	c->seen_ms = e->real_ms;
	fresh = place_add(c, &at[0]);
	fresh |= place_add(c, &at[1]);
	if (fresh)
		collision_record(e, c);
}

/* ---- UPNs ---- */

static void upns_free(struct idfw_engine *e)
{
	struct idfw_upn *u, *next;

	HASH_ITER (hh, e->collide.upns, u, next) {
		HASH_DEL(e->collide.upns, u);
		free(u->upn);
		free(u->key);
		free(u);
	}
}

static void upn_add(struct idfw_engine *e, char *upn, const char *key)
{
	struct idfw_upn *u = calloc(1, sizeof(*u));

	if (HASH_COUNT(e->collide.upns) >= IDFW_COLLIDE_UPNS_MAX)
		upns_free(e);
	if (u)
		u->key = strdup(key);
	if (!u || !u->key) {
		free(u);
		free(upn);
		return;
	}
	u->upn = upn;
	HASH_ADD_KEYPTR(hh, e->collide.upns, u->upn, strlen(u->upn), u);
}

static bool same_account(const struct idfw_principal *a, const struct idfw_principal *b)
{
	if (strcmp(a->directory, b->directory) != 0)
		return *a->sid && !strcmp(a->sid, b->sid); /* one domain, two blocks */
	return *a->sid || *b->sid ? !strcmp(a->sid, b->sid) : !strcmp(a->dn, b->dn);
}

static char *id_of(const struct idfw_principal *p)
{
	return *p->sid ? p->sid : p->dn;
}

/* when directories have its domain, a policy means only accounts of these by it */
static bool means_both(const struct idfw_engine *e, const char *upn, const char *a, const char *b)
{
	const struct pol_domains *d = &e->conf.domains;
	const char *at = strrchr(upn, '@');

	if (!at || !d->known || !d->known(d->arg, at + 1))
		return true;
	return d->has(d->arg, a, NULL, at + 1) && d->has(d->arg, b, NULL, at + 1);
}

void idfw_collide_upn(struct idfw_engine *e, const struct idfw_principal *p)
{
	const struct idfw_principal *other;
	struct idfw_upn *u = NULL;
	char *upn, *key;

	if (p->presence != IDFW_P_FOUND || !*p->upn)
		return;
	upn = small(0, p->upn);
	if (!upn)
		return;
	HASH_FIND_STR(e->collide.upns, upn, u);
	if (!u) {
		upn_add(e, upn, p->key);
		return;
	}
	free(upn);
	other = strcmp(u->key, p->key) ? idfw_principal_find(e, u->key) : p;
	if (other && other->presence == IDFW_P_FOUND && !strcasecmp(other->upn, p->upn)) {
		if (!same_account(other, p) &&
			means_both(e, p->upn, other->directory, p->directory))
			idfw_engine_collision(e, IDFW_COLLIDE_UPN, p->upn,
				(struct idfw_place[2]){ { other->directory, id_of(other) },
					{ p->directory, id_of(p) } });
		return;
	}
	key = strdup(p->key);
	if (key) {
		free(u->key);
		u->key = key;
	}
}

/* ---- the list, and groups ---- */

struct listing {
	struct idfw_engine *e;
	const struct idfw_group **list; /* owned; groups that the policy names by name */
	size_t n, cap;
	size_t plain; /* groups of the policy that one without groups is in */
};

static size_t policy_size(struct idfw_engine *e, const struct pol_dirgroup *g)
{
	const struct pol_principal who = {
		.name = "", .upn = "", .sid = "", .dn = "", .groups = g, .n_groups = g ? 1 : 0
	};
	struct pol_set s = { 0 };
	size_t n = 0;

	if (!e->policy || pol_groups_of_principal(e->policy, &who, &s) < 0)
		return 0;
	for (size_t i = 0; i < s.n; i++)
		n += pol_set_has(&s, i);
	pol_set_fini(&s);
	return n;
}

static void listing_add(void *arg, const struct idfw_group *g)
{
	/* of no directory: one that is named with its domain is not looked for */
	const struct pol_dirgroup by_name = { .name = g->name, .dn = "", .sid = "" };
	const struct idfw_group **grown;
	struct listing *l = arg;

	if (!*g->name || policy_size(l->e, &by_name) == l->plain)
		return;
	if (l->n == l->cap) {
		grown = reallocarray(l->list, l->cap ? 2 * l->cap : 64, sizeof(*grown));
		if (!grown)
			return;
		l->list = grown;
		l->cap = l->cap ? 2 * l->cap : 64;
	}
	l->list[l->n++] = g;
}

static int by_name(const void *a, const void *b)
{
	const struct idfw_group *const *ga = a, *const *gb = b;

	return strcasecmp((*ga)->name, (*gb)->name);
}

static bool same_group(const struct idfw_group *a, const struct idfw_group *b)
{
	if (idfw_id_is_set(a->id) && idfw_id_is_set(b->id))
		return memcmp(a->id, b->id, sizeof(a->id)) == 0;
	return *a->sid || *b->sid ? !strcmp(a->sid, b->sid) : !strcmp(a->dn, b->dn);
}

/* one row a name: the neighbours in the sorted list that are not the first one */
static void listing_groups(
	struct listing *l, void (*cb)(void *arg, const struct idfw_collision *c), void *arg)
{
	for (size_t i = 0, k; i < l->n; i = k) {
		struct idfw_collision c = { .kind = IDFW_COLLIDE_GROUP,
			.first_ms = l->e->real_ms,
			.seen_ms = l->e->real_ms };

		for (k = i; k < l->n && !strcasecmp(l->list[i]->name, l->list[k]->name); k++) {
			const struct idfw_group *g = l->list[k];
			bool known = false;

			for (size_t m = i; m < k && !known; m++)
				known = same_group(l->list[m], g);
			if (!known && c.n < IDFW_COLLIDE_PLACES)
				c.at[c.n++] = (struct idfw_place){ g->directory,
					*g->dn ? g->dn : g->sid };
		}
		c.name = l->list[i]->name;
		if (c.n > 1)
			cb(arg, &c);
	}
}

static bool is_kept(const struct idfw_engine *e, const struct idfw_collision *c)
{
	return c->seen_ms + IDFW_COLLIDE_KEEP_MS >= e->real_ms;
}

void idfw_engine_collisions(
	struct idfw_engine *e, void (*cb)(void *arg, const struct idfw_collision *c), void *arg)
{
	struct listing l = { .e = e, .plain = policy_size(e, NULL) };
	struct idfw_collision *c, *next, shown;

	HASH_ITER (hh, e->collide.all, c, next) {
		if (!is_kept(e, c)) {
			forget(e, c);
			continue;
		}
		shown = *c;
		shown.name = c->name + 1;
		cb(arg, &shown);
	}
	idfw_groups_each(&e->groups, listing_add, &l);
	if (l.n)
		qsort(l.list, l.n, sizeof(*l.list), by_name);
	listing_groups(&l, cb, arg);
	free(l.list);
}

void idfw_collide_free(struct idfw_engine *e)
{
	struct idfw_collision *c, *next;

	HASH_ITER (hh, e->collide.all, c, next)
		forget(e, c);
	upns_free(e);
}

size_t idfw_collisions_count(const struct idfw_engine *e)
{
	const struct idfw_collision *c;
	size_t n = 0;

	for (c = e->collide.all; c; c = c->hh.next)
		n += is_kept(e, c);
	return n;
}
