/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * principal.c - directory accounts: the cache, when to ask, what an answer changes
 *
 * Runs in svm-idfw's engine. One principal an account name (and directory, where the VM has one
 * for bare names), shared by its sessions; one lookup at a time for each, asked again when
 * something changed while it ran. Failure directions: directory down: what is cached serves; an
 * unknown account gets no group until it is back answer "not found": groups are gone at once,
 * running sessions lose access cached, but the directory may know better: a first login waits for
 * the answer
 */
#include "svm-idfw/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MAX_MS 60000

static int principal_at(struct idfw_engine *e, const char *key, struct idfw_principal **ret);

static void fold(const char *user, char *out, size_t size)
{
	size_t i;

	for (i = 0; user[i] && i + 1 < size; i++)
		out[i] = (char)(user[i] >= 'A' && user[i] <= 'Z' ? user[i] + 32 : user[i]);
	out[i] = '\0';
}

struct idfw_principal *idfw_principal_find(struct idfw_engine *e, const char *key)
{
	struct idfw_principal *p;
	size_t len = strlen(key);
	unsigned int h = idfw_hashv(e->conf.seed, key, len);

	HASH_FIND_BYHASHVALUE(hh, e->principals, key, (unsigned int)len, h, p);
	return p;
}

/* alice, or of a VM whose names are of directory lab: alice, IDFW_KEY_IN, lab */
static void key_make(const char *user, const char *names_in, char key[IDFW_KEY_MAX + 1])
{
	size_t len;

	fold(user, key, WIRE_USER_MAX + 1);
	len = strlen(key);
	if (*names_in)
		(void)snprintf(key + len, IDFW_KEY_MAX + 1 - len, "%c%s", IDFW_KEY_IN, names_in);
}

const struct idfw_principal *idfw_engine_principal_of(
	const struct idfw_engine *e, const char *user, const char *names_in)
{
	char key[IDFW_KEY_MAX + 1];

	key_make(user, names_in, key);
	return idfw_principal_find(
		(struct idfw_engine *)(uintptr_t)e, key); /* finding does not write */
}

static void groups_free(struct idfw_engine *e, struct idfw_principal *p)
{
	for (size_t i = 0; i < p->n_in; i++)
		idfw_group_put(&e->groups, p->in[i]);
	free(p->in);
	p->in = NULL;
	p->n_in = 0;
}

static void fields_free(struct idfw_engine *e, struct idfw_principal *p)
{
	idfw_str_put(&e->strings, p->name);
	idfw_str_put(&e->strings, p->upn);
	idfw_str_put(&e->strings, p->dn);
	idfw_str_put(&e->strings, p->sid);
	idfw_str_put(&e->strings, p->directory);
	groups_free(e, p);
}

void idfw_principal_free(struct idfw_engine *e, struct idfw_principal *p)
{
	if (p->is_unit)
		HASH_DEL(e->units, p);
	else
		HASH_DEL(e->principals, p);
	idfw_account_forget(e, p);
	fields_free(e, p);
	pol_set_fini(&p->member_of);
	idfw_str_put(&e->strings, p->key);
	idfw_str_put(&e->strings, p->user);
	free(p);
}

static char *intern(struct idfw_engine *e, const char *text)
{
	return (char *)(uintptr_t)idfw_str_get(&e->strings, text);
}

/* fills name..guid, and in, of @to from @from; @to is untouched on error */
static int fields_copy(
	struct idfw_engine *e, struct idfw_principal *to, const struct idfw_principal *from)
{
	struct idfw_principal n = { 0 };
	bool ok;

	n.name = intern(e, from->name);
	n.upn = intern(e, from->upn);
	n.dn = intern(e, from->dn);
	n.sid = intern(e, from->sid);
	n.directory = intern(e, from->directory ? from->directory : "");
	ok = n.name && n.upn && n.dn && n.sid && n.directory;
	n.in = calloc(from->n_groups + 1, sizeof(*n.in));
	n.n_in = n.in ? from->n_groups : 0;
	ok = ok && n.in;
	for (size_t i = 0; i < n.n_in; i++) {
		n.in[i] = idfw_group_get(&e->groups, &from->groups[i]);
		ok = ok && n.in[i];
	}
	if (!ok) {
		fields_free(e, &n);
		return -ENOMEM;
	}
	fields_free(e, to);
	to->name = n.name;
	to->upn = n.upn;
	to->dn = n.dn;
	to->sid = n.sid;
	to->directory = n.directory;
	to->in = n.in;
	to->n_in = n.n_in;
	memcpy(to->guid, from->guid, sizeof(to->guid));
	return 0;
}

/* room for one more: an account without sessions that came long ago */
static bool make_room(struct idfw_engine *e)
{
	struct idfw_principal *p, *next;

	if (HASH_COUNT(e->principals) < IDFW_PRINCIPALS_MAX)
		return true;
	HASH_ITER (hh, e->principals, p, next) {
		if (!p->sessions && !p->lookup_running) {
			idfw_principal_free(e, p);
			return true;
		}
	}
	return false;
}

static int account_new(struct idfw_engine *e, const char *key, struct idfw_principal **ret)
{
	static const struct idfw_principal empty;
	struct idfw_principal *p = calloc(1, sizeof(*p));
	const char *in = strchr(key, IDFW_KEY_IN);
	char user[WIRE_USER_MAX + 1];
	int r;

	if (!p)
		return -ENOMEM;
	p->key = intern(e, key);
	p->presence = IDFW_P_PENDING;
	(void)snprintf(user, sizeof(user), "%.*s", (int)(in ? in - key : WIRE_USER_MAX), key);
	p->user = intern(e, user);
	p->names_in = p->key && in ? p->key + (in - key) + 1 : "";
	r = p->key && p->user ? fields_copy(e, p, &empty) : -ENOMEM;
	if (r < 0) {
		idfw_str_put(&e->strings, p->key);
		idfw_str_put(&e->strings, p->user);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int idfw_principal_get(
	struct idfw_engine *e, const char *user, const char *names_in, struct idfw_principal **ret)
{
	char key[IDFW_KEY_MAX + 1];

	key_make(user, names_in, key);
	return principal_at(e, key, ret);
}

static int principal_at(struct idfw_engine *e, const char *key, struct idfw_principal **ret)
{
	struct idfw_principal *p = idfw_principal_find(e, key);
	unsigned int h;
	int r;

	if (p) {
		*ret = p;
		return 0;
	}
	if (!make_room(e))
		return -GI_ELIMIT;
	r = account_new(e, key, &p);
	if (r < 0)
		return r;
	h = idfw_hashv(e->conf.seed, key, strlen(key));
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, e->principals, p->key, strlen(key), h, p);
	*ret = p;
	return 0;
}

/* ---- system services: the policy knows them ---- */

int idfw_unit_get(struct idfw_engine *e, const char *unit, struct idfw_principal **ret)
{
	unsigned int h = idfw_hashv(e->conf.seed, unit, strlen(unit));
	struct idfw_principal *p;
	int r;

	HASH_FIND_BYHASHVALUE(hh, e->units, unit, (unsigned int)strlen(unit), h, p);
	if (p) {
		*ret = p;
		return 0;
	}
	r = account_new(e, unit, &p);
	if (r < 0)
		return r;
	p->is_unit = true;
	p->presence = IDFW_P_FOUND;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, e->units, p->key, strlen(unit), h, p);
	r = idfw_principal_groups(e, e->policy, p, &p->member_of);
	if (r < 0) {
		idfw_principal_free(e, p);
		return r;
	}
	*ret = p;
	return 0;
}

void idfw_units_free(struct idfw_engine *e)
{
	struct idfw_principal *p, *next;

	HASH_ITER (hh, e->units, p, next)
		idfw_principal_free(e, p);
}

/* a service that the policy does not name any more is nobody */
static bool in_any(const struct pol_set *s)
{
	for (size_t w = 0; w * 64 < s->n; w++)
		if (pol_set_word(s, w))
			return true;
	return false;
}

bool idfw_principal_grants(const struct idfw_principal *p)
{
	return p && p->presence == IDFW_P_FOUND && !p->held &&
	       (!p->is_unit || in_any(&p->member_of));
}

/* @ret: borrows the texts of @p; *ret_groups: to be freed */
static int who_is(const struct idfw_engine *e, const struct idfw_principal *p,
	struct pol_principal *ret, struct pol_dirgroup **ret_groups)
{
	struct pol_dirgroup *g = calloc(p->n_in + 1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_in; i++)
		g[i] = (struct pol_dirgroup){ .name = p->in[i]->name,
			.dn = p->in[i]->dn,
			.sid = p->in[i]->sid,
			.directory = p->in[i]->directory };
	*ret = (struct pol_principal){ .name = p->name,
		.upn = p->upn,
		.sid = p->sid,
		.dn = p->dn,
		.groups = g,
		.n_groups = p->n_in,
		.directory = p->directory,
		.domains = e->conf.domains.known ? &e->conf.domains : NULL };
	*ret_groups = g;
	return 0;
}

size_t idfw_engine_reasons(struct idfw_engine *e, const struct idfw_session *s, size_t group,
	struct pol_reason *ret, size_t max)
{
	struct idfw_session *outer = idfw_session_outer(
		e, (struct idfw_session *)(uintptr_t)s); /* finding does not write */
	const struct idfw_principal *p = outer ? outer->principal : NULL;
	struct pol_principal who;
	struct pol_dirgroup *g;
	size_t n;

	if (!p || p->is_unit || !e->policy || who_is(e, p, &who, &g) < 0)
		return 0;
	n = pol_reasons(e->policy, &who, group, ret, max);
	free(g);
	return n;
}

int idfw_principal_groups(const struct idfw_engine *e, const struct pol_policy *pol,
	const struct idfw_principal *p, struct pol_set *ret)
{
	struct pol_principal who;
	struct pol_dirgroup *g;
	int r;

	if (!pol)
		return 0;
	if (p->is_unit)
		return pol_groups_of_unit(pol, p->key, ret);
	if (p->presence != IDFW_P_FOUND || idfw_account_cut(p))
		return pol_groups_of_principal(pol, NULL, ret);
	r = who_is(e, p, &who, &g);
	if (r < 0)
		return r;
	r = pol_groups_of_principal(pol, &who, ret);
	if (r == 0)
		age_trim(e, pol, p, ret);
	free(g);
	return r;
}

/* ---- asking ---- */

static void retry_at(struct idfw_engine *e, uint64_t ms)
{
	if (!e->retry_ms || ms < e->retry_ms)
		e->retry_ms = ms;
	idfw_due(e, e->retry_ms);
}

void idfw_principal_lookup(struct idfw_engine *e, struct idfw_principal *p)
{
	if (p->lookup_running) {
		p->lookup_again = true;
		return;
	}
	p->lookup_running = true;
	p->asked = e->news.last;
	e->stats.lookups++;
	if (e->out.lookup(e->out.arg, p) < 0) {
		p->lookup_running = false;
		if (p->presence == IDFW_P_FOUND) /* else nobody tries again */
			age_stale(e, p);
		retry_at(e, e->mono_ms + IDFW_RETRY_MS);
	}
}

/* behind a login of an account that is served, the answer may take its time */
static void login_waits(struct idfw_engine *e, struct idfw_principal *p)
{
	bool hurry = p->lookup_running && !p->waits;

	p->waits |= p->held || p->presence != IDFW_P_FOUND;
	if (!p->lookup_running)
		idfw_principal_lookup(e, p);
	else if (hurry && p->waits && e->out.hurry)
		e->out.hurry(e->out.arg, p);
}

void idfw_principal_login(struct idfw_engine *e, struct idfw_principal *p)
{
	bool serving = false;
	const struct idfw_session *s;

	for (s = p->sessions; s && !serving; s = s->p_next)
		serving = s->counted;
	if (p->presence == IDFW_P_FOUND && !p->stale)
		return;
	if (p->presence == IDFW_P_FOUND && !serving && idfw_dir_of(e, p) != IDFW_DIR_DOWN)
		p->held = true;
	if (p->presence != IDFW_P_FOUND && idfw_dir_of(e, p) == IDFW_DIR_DOWN)
		p->presence = IDFW_P_UNAVAILABLE;
	else
		login_waits(e, p);
}

bool idfw_principal_wanting(const struct idfw_principal *p)
{
	return p->sessions && !p->lookup_running &&
	       (p->stale || p->presence == IDFW_P_UNAVAILABLE || p->presence == IDFW_P_PENDING);
}

/*
 * One account whose lookup stands still costs the directory a connection for seconds, each time: so
 * while others are answered it is asked for less and less. A login asks at once all the same.
 */
static void retry_later(struct idfw_engine *e, struct idfw_principal *p)
{
	uint64_t wait;

	if (idfw_dir_of(e, p) == IDFW_DIR_DOWN)
		p->failures = 0;
	wait = (uint64_t)IDFW_RETRY_MS << p->failures;
	if (wait >= RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	else
		p->failures++;
	p->retry_ms = e->mono_ms + wait;
	retry_at(e, p->retry_ms);
}

void idfw_principal_retry(struct idfw_engine *e)
{
	struct idfw_principal *p, *next;

	e->retry_ms = 0;
	HASH_ITER (hh, e->principals, p, next) {
		/* a directory that is down asks for all of its own when it returns */
		if (!idfw_principal_wanting(p) || idfw_dir_of(e, p) == IDFW_DIR_DOWN)
			continue;
		if (p->retry_ms > e->mono_ms)
			retry_at(e, p->retry_ms);
		else
			idfw_principal_lookup(e, p);
	}
}

/* ---- answers ---- */

/* one answer concerns all sessions of the account, each is a cause of its own */
static void sync_all(
	struct idfw_engine *e, struct idfw_principal *p, const struct pol_set *had, bool changed)
{
	struct idfw_session *s, *next;

	for (s = p->sessions; s; s = next) {
		bool login = s->ready && s->ready->resolving;

		next = s->p_next;
		if (changed || login)
			idfw_session_decision(e, s, login ? "login" : "directory");
		if (login)
			idfw_cause(e, "login %s@%s", s->user, s->vm->name);
		else
			idfw_cause(e, "directory %s", p->user);
		service_login(e, s);
		e->ready = login ? s->ready : NULL;
		idfw_session_sync(e, s, had);
		e->ready = NULL;
		if (login)
			ready_resolved(e, s, p->presence == IDFW_P_UNAVAILABLE);
	}
}

/* nothing comes for now: its sessions get what is known */
void idfw_principal_served(struct idfw_engine *e, struct idfw_principal *p)
{
	sync_all(e, p, &p->member_of, false);
}

/* @label: "" is interned already, if nothing else is */
static void in_directory(struct idfw_engine *e, struct idfw_principal *p, const char *label)
{
	char *text = intern(e, label);

	if (!text)
		return;
	idfw_str_put(&e->strings, p->directory);
	p->directory = text;
}

/* its groups under the policy anew, unless that failed (@r); its sessions follow */
static void judge(struct idfw_engine *e, struct idfw_principal *p, int r)
{
	struct pol_set had = p->member_of, has = { 0 };
	bool changed;

	if (r == 0)
		r = idfw_principal_groups(e, e->policy, p, &has);
	if (r < 0) {
		gi_err("groups of %s: %s; what was known serves", p->user, gi_strerror(r));
		p->stale = true;
		sync_all(e, p, &p->member_of, false);
		return;
	}
	p->member_of = has;
	changed = !(had.bits && has.bits ? pol_set_equal(&had, &has) : !had.bits && !has.bits);
	e->stats.regrouped += changed;
	sync_all(e, p, &had, changed);
	pol_set_fini(&had);
	idfw_account_schedule(e, p);
}

void idfw_principal_judge(struct idfw_engine *e, struct idfw_principal *p)
{
	idfw_cause(e, "account %s", p->user);
	plan_drain_begin(e);
	judge(e, p, 0);
	plan_event_end(e);
	plan_drain_end(e);
}

static void take(
	struct idfw_engine *e, struct idfw_principal *p, const struct idfw_principal *found)
{
	int r = 0;

	if (found->presence == IDFW_P_FOUND) {
		r = fields_copy(e, p, found);
		if (r == 0)
			p->presence = IDFW_P_FOUND;
	} else {
		p->presence = IDFW_P_NOT_FOUND;
		in_directory(e, p, "");
		groups_free(e, p);
	}
	p->resolved_ms = e->real_ms;
	p->stale = r < 0 || found->stale;
	if (!p->stale)
		age_confirm(e, p);
	p->held = false;
	idfw_account_take(e, p, p->presence == IDFW_P_FOUND ? &found->account : NULL);
	idfw_collide_upn(e, p);
	judge(e, p, r);
}

void idfw_engine_principal(
	struct idfw_engine *e, const char *key, const struct idfw_principal *found)
{
	struct idfw_principal *p = idfw_principal_find(e, key);
	bool answered = found->presence == IDFW_P_FOUND || found->presence == IDFW_P_NOT_FOUND;

	if (!p)
		return;
	idfw_cause(e, "directory %s", p->user);
	plan_drain_begin(e);
	p->lookup_running = p->waits = false;
	if (answered) {
		p->failures = 0;
		p->retry_ms = 0;
		take(e, p, found);
	} else {
		p->held = false;
		if (p->presence == IDFW_P_FOUND)
			age_stale(e, p);
		else
			p->presence = IDFW_P_UNAVAILABLE;
		sync_all(e, p, &p->member_of, false);
		retry_later(e, p);
	}
	if (p->lookup_again || (answered && idfw_news_since(e, p))) {
		p->lookup_again = false;
		idfw_principal_lookup(e, p);
	}
	plan_event_end(e);
	plan_drain_end(e);
}

int idfw_engine_restore_principal(struct idfw_engine *e, const struct idfw_principal *found)
{
	struct idfw_principal *p;
	uint64_t resolved = found->resolved_ms;
	char key[IDFW_KEY_MAX + 1];
	int r;

	/* a label has small and capital letters */
	if (gi_text_copy(key, sizeof(key), found->key) < 0)
		return -GI_ELIMIT;
	r = principal_at(e, key, &p);

	if (r < 0)
		return r;
	p->account.now = found->account.state; /* recorded when it was told */
	if (found->presence == IDFW_P_FOUND || found->presence == IDFW_P_NOT_FOUND)
		take(e, p, found);
	p->resolved_ms = resolved;
	p->stale = true;
	age_restore(e, p, resolved);
	plan_event_end(e);
	return 0;
}
