/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirset.c - several directories as one: who is asked for a name, and what the answers are together
 *
 * Runs in svm-idfw's process; pure. The blocks that may answer for a name (dirroute.h) are asked
 * one after the other, until one has the account. "Does not answer" ends it: whoever is of that
 * name in a later block may be somebody else. Only an account that is known from before as a later
 * block's is asked for there all the same, and taken if it still is the same one: its groups go on
 * being followed. Then the blocks that its own one trusts say which groups it has there; of one
 * that does not answer the groups known from before stay, and the answer is stale. Invariant: one
 * principal() for each lookup taken, never from within dir_set_lookup().
 */
#include "svm-idfw/dirset.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "svm-idfw/dirtrust.h"

#define SET_MEMBERS_BYTES (1u << 20)
#define SET_OTHERS_MAX 65536			/* names that were compared; then all are, anew */
#define SET_OTHERS_RUNNING 16			/* at a time; others at their next lookup */
#define SET_SEVERAL "several accounts, so none" /* in place of one's SID */

struct set_trusts {
	struct idfw_principal found; /* owned; what is gathered; while waiting */
	struct idfw_principal prior; /* owned; groups of other domains, as known from before */
};

/* as many as there are live accounts, after a restart: what few need is elsewhere */
struct set_ask {
	char *key, *name, *sid; /* owned; name: as is asked for; sid: known from before, or "" */
	char *login, *names_in; /* owned; as was asked */
	struct dir_route route;
	size_t at;    /* of the route: who is asked now */
	int known;    /* block whose account it was; -1 none */
	bool again;   /* looked up once more meanwhile */
	bool first;   /* somebody waits for the answer */
	bool refresh; /* one did not answer: only the account that is known is taken */
	/* groups in other blocks */
	uint32_t waiting, missing; /* bits of blocks */
	struct set_trusts *trusts; /* owned; NULL: nobody is asked there */
	UT_hash_handle hh;
};

/* a name that was found, for once in a while; @id: SID or DN of whom it is */
struct set_other {
	char *key, *id; /* owned; id: while blocks are asked */
	uint32_t waiting;
	uint8_t first; /* block that has it */
	bool missed;   /* one did not answer: asked again at the next lookup */
	UT_hash_handle hh;
};

struct dir_set {
	const struct idfw_dir_conf *dirs; /* borrowed */
	size_t n;
	const struct conf_list *maps; /* borrowed */
	struct dir_set_ops ops;
	void *arg;
	struct set_other *others; /* owned; names that were found */
	size_t others_running;
	struct dir_claims claims;
	uint32_t told[DIR_SET_MAX]; /* of block: owners of what did not count, said so */
	struct set_ask *asks;	    /* owned; by key, up to DIR_QUEUE_MAX */
	char domain[DIR_SET_MAX][DIR_TRUST_DOMAIN_MAX]; /* S-1-5-21-..., once one is known */
};

static void set_ask_free(struct set_ask *a);
static int set_ask_new(struct dir_set *s, const char *key, const char *name, const char *names_in,
	const struct idfw_principal *known, struct set_ask **ret);
static int set_ask_send(struct dir_set *s, struct set_ask *a);
static bool set_ask_next(struct dir_set *s, struct set_ask *a, struct idfw_principal *found);
static void set_ask_done(struct dir_set *s, struct set_ask *a, const struct idfw_principal *found);
static bool set_trusts_ask(struct dir_set *s, struct set_ask *a, struct idfw_principal *found);
static void set_trusts_done(struct dir_set *s, struct set_ask *a);
static void set_others_ask(
	struct dir_set *s, const struct set_ask *a, const struct idfw_principal *found);
static void set_others_free(struct dir_set *s);

int dir_set_new(const struct idfw_dir_conf *dirs, size_t n, const struct conf_list *maps,
	const struct dir_set_ops *ops, void *arg, struct dir_set **ret)
{
	struct dir_set *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->dirs = dirs;
	s->n = n;
	s->claims = (struct dir_claims){ .dirs = dirs, .n = n };
	s->maps = maps;
	s->ops = *ops;
	s->arg = arg;
	*ret = s;
	return 0;
}

void dir_set_free(struct dir_set *s)
{
	struct set_ask *a, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->asks, a, next) {
		HASH_DEL(s->asks, a);
		set_ask_free(a);
	}
	set_others_free(s);
	free(s);
}

int dir_set_lookup(struct dir_set *s, const char *key, const char *name, const char *names_in,
	const struct idfw_principal *known)
{
	struct set_ask *a = NULL;
	int err;

	HASH_FIND_STR(s->asks, key, a);
	if (a) {
		a->again = true;
		return 0;
	}
	if (HASH_COUNT(s->asks) >= DIR_QUEUE_MAX)
		return -GI_EFULL;
	err = set_ask_new(s, key, name, names_in, known, &a);
	if (err < 0)
		return err;
	err = set_ask_send(s, a);
	if (err < 0) {
		set_ask_free(a);
		return err;
	}
	HASH_ADD_KEYPTR(hh, s->asks, a->key, strlen(a->key), a);
	return 0;
}

void dir_set_hurry(struct dir_set *s, const char *key)
{
	struct set_ask *a = NULL;

	HASH_FIND_STR(s->asks, key, a);
	if (!a || a->first)
		return;
	a->first = true;
	s->ops.hurry(s->arg, a->route.at[a->at], key);
	for (size_t i = 0; i < s->n; i++)
		if (a->waiting & 1u << i)
			s->ops.hurry(s->arg, i, key);
}

int dir_set_domain(
	struct dir_set *s, size_t at, const char *domain, size_t *ret_owner, bool *ret_new)
{
	return dir_claim_domain(&s->claims, at, domain, ret_owner, ret_new);
}

/* may block @at say that? */
static bool set_counts(struct dir_set *s, size_t at, const char *sid, const char *dn)
{
	size_t owner = 0;
	bool ok = dir_claim_sid(&s->claims, at, sid, &owner) &&
		  dir_claim_dn(&s->claims, at, dn, &owner);

	if (!ok && !(s->told[at] & 1u << owner))
		s->ops.refused(s->arg, at, owner, sid && *sid ? sid : dn);
	if (!ok)
		s->told[at] |= 1u << owner;
	return ok;
}

/*
 * The groups of @p that count, in an array of its own (texts are @p's); NULL: all do.
 * False: there is no memory for it
 */
static bool set_own(struct dir_set *s, size_t at, struct idfw_principal *p, struct idfw_group **ret)
{
	struct idfw_group *own;
	size_t n = 0, i;

	*ret = NULL;
	for (i = 0; i < p->n_groups; i++)
		if (!set_counts(s, at, p->groups[i].sid, p->groups[i].dn))
			break;
	if (i == p->n_groups)
		return true;
	own = calloc(p->n_groups, sizeof(*own));
	if (!own)
		return false;
	for (i = 0; i < p->n_groups; i++)
		if (set_counts(s, at, p->groups[i].sid, p->groups[i].dn))
			own[n++] = p->groups[i];
	p->groups = *ret = own;
	p->n_groups = n;
	return true;
}

void dir_set_answer(
	struct dir_set *s, size_t at, const char *key, const struct idfw_principal *found)
{
	char domain[DIR_TRUST_DOMAIN_MAX];
	struct idfw_principal p = *found;
	struct idfw_group *own = NULL;
	struct set_ask *a = NULL;

	HASH_FIND_STR(s->asks, key, a);
	if (!a || a->waiting || a->route.at[a->at] != at)
		return;
	if (set_ask_next(s, a, &p))
		return;
	at = a->route.at[a->at];
	if (p.ambiguous)
		s->ops.collision(s->arg, a->login, at, SET_SEVERAL, at, SET_SEVERAL);
	/* an account of another's domain: whose groups could these be? */
	if (p.presence == IDFW_P_FOUND &&
		(!set_counts(s, at, p.sid, p.dn) || !set_own(s, at, &p, &own)))
		p.presence = IDFW_P_UNAVAILABLE;
	p.directory = p.presence == IDFW_P_FOUND ? s->dirs[at].label : (char *)(uintptr_t) "";
	for (size_t i = 0; i < p.n_groups; i++)
		p.groups[i].directory = s->dirs[at].label;
	if (a->refresh && p.presence == IDFW_P_FOUND && strcmp(p.sid ? p.sid : "", a->sid) != 0)
		p.presence = IDFW_P_UNAVAILABLE;
	if (p.presence == IDFW_P_FOUND && dir_trust_domain(p.sid, domain))
		memcpy(s->domain[at], domain, sizeof(domain));
	if (p.presence == IDFW_P_FOUND && !a->refresh)
		set_others_ask(s, a, &p);
	if (!set_trusts_ask(s, a, &p))
		set_ask_done(s, a, &p);
	free(own);
}

void dir_set_foreign(
	struct dir_set *s, size_t at, const char *key, const struct idfw_principal *found)
{
	char domain[DIR_TRUST_DOMAIN_MAX];
	struct idfw_principal p = *found;
	struct idfw_group *own = NULL;
	struct set_ask *a = NULL;

	HASH_FIND_STR(s->asks, key, a);
	if (!a || at >= s->n || !(a->waiting & 1u << at))
		return;
	a->waiting &= ~(1u << at);
	if (p.presence != IDFW_P_FOUND || !set_own(s, at, &p, &own) ||
		dir_trust_add(&a->trusts->found, p.groups, p.n_groups, NULL, s->dirs[at].label) < 0)
		a->missing |= 1u << at;
	else if (p.n_groups && dir_trust_domain(p.groups[0].sid, domain))
		memcpy(s->domain[at], domain, sizeof(domain));
	free(own);
	if (!a->waiting)
		set_trusts_done(s, a);
}

static void set_ask_free(struct set_ask *a)
{
	if (!a)
		return;
	free(a->key);
	free(a->name);
	free(a->sid);
	free(a->login);
	free(a->names_in);
	if (a->trusts) {
		dir_trust_fini(&a->trusts->found);
		dir_trust_fini(&a->trusts->prior);
		free(a->trusts);
	}
	free(a);
}

static int set_trusts(struct set_ask *a)
{
	if (!a->trusts)
		a->trusts = calloc(1, sizeof(*a->trusts));
	return a->trusts ? 0 : -ENOMEM;
}

static int set_ask_new(struct dir_set *s, const char *key, const char *name, const char *names_in,
	const struct idfw_principal *known, struct set_ask **ret)
{
	char mapped[DIR_NAME_MAX + 1];
	struct set_ask *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->login = strdup(name);
	a->names_in = strdup(names_in);
	if (dir_map_apply(s->maps, name, mapped) == 0)
		name = mapped;
	/* what is no name of an account has none: the first block says so */
	dir_route(s->dirs, s->n, name, names_in, &a->route);
	a->known = -1;
	a->first = !known || known->waits ||
		   (known->presence != IDFW_P_FOUND && known->presence != IDFW_P_NOT_FOUND);
	if (known && known->directory && known->sid && *known->sid)
		a->known = dir_route_index(s->dirs, s->n, known->directory);
	a->key = strdup(key);
	a->name = strdup(name);
	a->sid = strdup(a->known >= 0 ? known->sid : "");
	if (!a->key || !a->name || !a->sid || !a->login || !a->names_in ||
		(a->known >= 0 && s->dirs[a->known].trusts.n &&
			(set_trusts(a) < 0 || dir_trust_prior(&a->trusts->prior, known) < 0))) {
		set_ask_free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

static int set_ask_send(struct dir_set *s, struct set_ask *a)
{
	size_t at = a->route.at[a->at];

	return s->ops.ask(s->arg, at, a->key, a->name, a->known == (int)at ? a->sid : "", a->first);
}

/* true: another block is asked now; false: @found is the answer */
static bool set_ask_next(struct dir_set *s, struct set_ask *a, struct idfw_principal *found)
{
	size_t next = a->at + 1;

	if (found->presence == IDFW_P_FOUND || found->ambiguous)
		return false;
	if (found->presence != IDFW_P_NOT_FOUND) {
		while (next < a->route.n && a->route.at[next] != a->known)
			next++;
		a->refresh = true;
	} else if (a->refresh) {
		return false;
	}
	if (next >= a->route.n)
		return false;
	a->at = next;
	if (set_ask_send(s, a) == 0)
		return true;
	found->presence = IDFW_P_UNAVAILABLE;
	return false;
}

/* once more; known of it by then is @found, or what was before if that is no answer */
static int set_ask_again(
	struct dir_set *s, const struct set_ask *a, const struct idfw_principal *found)
{
	const struct idfw_principal *p = found->presence == IDFW_P_FOUND ? found
					 : a->trusts			 ? &a->trusts->prior
									 : NULL;
	struct idfw_principal known = { .sid = a->sid, .presence = found->presence };
	const struct idfw_group **in = calloc(p ? p->n_groups + 1 : 1, sizeof(*in));
	int err;

	if (!in)
		return -ENOMEM;
	if (a->known >= 0)
		known.directory = s->dirs[a->known].label;
	if (p == found) {
		known.sid = found->sid;
		known.directory = found->directory;
	}
	for (size_t i = 0; p && i < p->n_groups; i++)
		in[known.n_in++] = &p->groups[i];
	known.in = in;
	err = dir_set_lookup(s, a->key, a->login, a->names_in, &known);
	free(in);
	return err;
}

/* @a: takes */
static void set_ask_done(struct dir_set *s, struct set_ask *a, const struct idfw_principal *found)
{
	HASH_DEL(s->asks, a);
	/* before the answer: whoever asks again from within waits for the same */
	if (a->again && set_ask_again(s, a, found) < 0)
		a->again = false; /* this answer is the last then */
	s->ops.principal(s->arg, a->key, found);
	set_ask_free(a);
}

/* ---- groups in blocks that the account's own one trusts ---- */

/* false: there is nobody to ask, @found is the answer */
static bool set_trusts_ask(struct dir_set *s, struct set_ask *a, struct idfw_principal *found)
{
	size_t own = a->route.at[a->at];
	const struct conf_list *t = &s->dirs[own].trusts;
	struct gi_buf members;

	if (found->presence != IDFW_P_FOUND || !t->n)
		return false;
	gi_buf_init(&members, SET_MEMBERS_BYTES);
	if (set_trusts(a) < 0 || dir_trust_members(found, &members) < 0 ||
		dir_trust_copy(found, &a->trusts->found) < 0) {
		gi_buf_fini(&members);
		found->presence = IDFW_P_UNAVAILABLE;
		return false;
	}
	a->trusts->found.directory = s->dirs[own].label;
	for (size_t i = 0; members.len && i < t->n; i++) {
		int at = dir_route_index(s->dirs, s->n, t->items[i]);

		if (at < 0)
			continue;
		if (s->ops.ask_foreign(s->arg, (size_t)at, a->key, a->name, a->sid,
			    gi_buf_str(&members), a->first) < 0)
			a->missing |= 1u << at;
		else
			a->waiting |= 1u << at;
	}
	gi_buf_fini(&members);
	if (!a->waiting)
		set_trusts_done(s, a);
	return true;
}

/* the same account as it is known from before, whose groups there are known as well */
static bool set_prior(struct dir_set *s, struct set_ask *a, size_t at)
{
	return s->domain[at][0] && a->known == a->route.at[a->at] &&
	       strcmp(a->sid, a->trusts->found.sid) == 0 &&
	       dir_trust_add(&a->trusts->found, a->trusts->prior.groups, a->trusts->prior.n_groups,
		       s->domain[at], s->dirs[at].label) == 0;
}

static void set_trusts_done(struct dir_set *s, struct set_ask *a)
{
	struct idfw_principal p;

	for (size_t i = 0; i < s->n; i++) {
		if (!(a->missing & 1u << i))
			continue;
		a->trusts->found.stale = true;
		/* a group that is not known may be one that a drop rule names */
		if (!set_prior(s, a, i))
			a->trusts->found.presence = IDFW_P_UNAVAILABLE;
	}
	p = a->trusts->found;
	set_ask_done(s, a, &p);
}

/* ---- names that are accounts of several blocks: told, never waited for ---- */

static void set_other_forget(struct dir_set *s, struct set_other *o)
{
	HASH_DEL(s->others, o);
	free(o->key);
	free(o->id);
	free(o);
}

static void set_others_free(struct dir_set *s)
{
	struct set_other *o, *next;

	HASH_ITER (hh, s->others, o, next)
		set_other_forget(s, o);
	s->others_running = 0;
}

static struct set_other *set_other_new(struct dir_set *s, const char *key, const char *id)
{
	struct set_other *o = calloc(1, sizeof(*o));

	if (o) {
		o->key = strdup(key);
		o->id = strdup(id);
	}
	if (!o || !o->key || !o->id) {
		if (o) {
			free(o->key);
			free(o->id);
		}
		free(o);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, s->others, o->key, strlen(o->key), o);
	return o;
}

static void set_other_rest(struct dir_set *s, struct set_other *o)
{
	if (o->waiting)
		return;
	s->others_running--;
	free(o->id);
	o->id = NULL; /* the name stays: it has been compared */
	if (o->missed)
		set_other_forget(s, o);
}

static const char *set_id(const struct idfw_principal *p)
{
	return p->sid && *p->sid ? p->sid : p->dn ? p->dn : "";
}

/* the blocks behind the one that has it; those before have said that they do not */
static void set_others_ask(
	struct dir_set *s, const struct set_ask *a, const struct idfw_principal *found)
{
	struct set_other *o = NULL;

	if (a->at + 1 >= a->route.n || s->others_running >= SET_OTHERS_RUNNING)
		return;
	HASH_FIND_STR(s->others, a->key, o);
	if (o)
		return;
	if (HASH_COUNT(s->others) >= SET_OTHERS_MAX)
		set_others_free(s);
	o = set_other_new(s, a->key, set_id(found));
	if (!o)
		return;
	o->first = a->route.at[a->at];
	s->others_running++;
	for (size_t i = a->at + 1; i < a->route.n; i++)
		if (s->ops.ask_other(s->arg, a->route.at[i], a->key, a->name) == 0)
			o->waiting |= 1u << a->route.at[i];
		else
			o->missed = true;
	set_other_rest(s, o);
}

void dir_set_other(
	struct dir_set *s, size_t at, const char *key, const struct idfw_principal *found)
{
	struct set_other *o = NULL;

	HASH_FIND_STR(s->others, key, o);
	if (!o || at >= s->n || !(o->waiting & 1u << at))
		return;
	o->waiting &= ~(1u << at);
	if (found->ambiguous)
		s->ops.collision(s->arg, key, o->first, o->id, at, SET_SEVERAL);
	o->missed |= found->presence != IDFW_P_FOUND && found->presence != IDFW_P_NOT_FOUND;
	/* one account may be seen through two blocks */
	if (found->presence == IDFW_P_FOUND && strcmp(set_id(found), o->id) != 0)
		s->ops.collision(s->arg, key, o->first, o->id, at, set_id(found));
	set_other_rest(s, o);
}

void dir_set_others_again(struct dir_set *s)
{
	struct set_other *o, *next;

	HASH_ITER (hh, s->others, o, next)
		if (!o->waiting)
			set_other_forget(s, o);
}
