/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.c - what the policy says about sessions: on-loss, on-revoke, on-stale, logins
 *
 * Builders for the grammar, their checks, and the answers that svm-idfw's engine asks for at each
 * login (pol_login_allowed()) and in each plan (pol_group_lease_s(), pol_on_revoke()). The answers
 * allocate nothing. A statement about logins covers VMs by their names in the inventory only: what
 * a guest says of itself (addresses) must not decide who may log in there (ADR 6).
 */
#include "policy/tree.h"

#include <string.h>

/* ---- times ---- */

/* false: it is none of these, and said */
static bool time_seconds(
	struct pol_parser *c, const struct pol_time *t, uint64_t min, uint64_t max, uint32_t *ret_s)
{
	static const struct {
		const char *unit;
		uint32_t factor;
	} units[] = { { "s", 1 }, { "m", 60 }, { "h", 60 * 60 }, { "d", 24 * 60 * 60 } };

	for (size_t i = 0; i < GI_ARRAY_SIZE(units); i++) {
		uint64_t factor = units[i].factor;

		if (strcmp(units[i].unit, t->unit) != 0)
			continue;
		if (t->number > max / factor || t->number * factor < min) {
			conf_diag_add(c->diags, CONF_ERROR, &t->pos,
				"this time is at least %llus and at most %llud",
				(unsigned long long)min,
				(unsigned long long)(max / (24 * 60 * 60)));
			return false;
		}
		*ret_s = (uint32_t)(t->number * factor);
		return true;
	}
	conf_diag_add(c->diags, CONF_ERROR, &t->pos,
		"a time is a number and s, m, h or d, such as 90s or 24h");
	return false;
}

/* the words that may stand here; false: it is another one, and said */
static bool known_word(struct pol_parser *c, const struct pol_how *how, const char *const *words,
	size_t n, const char *list)
{
	const char *near;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], how->word) == 0)
			return true;
	}
	near = conf_suggest(how->word, words, n);
	if (near)
		conf_diag_add(c->diags, CONF_ERROR, &how->pos,
			"unexpected \"%s\"; did you mean \"%s\"?", how->word, near);
	else
		conf_diag_add(c->diags, CONF_ERROR, &how->pos, "unexpected \"%s\"; expected %s",
			how->word, list);
	return false;
}

/* "hold" and "drain" have a time, the others have none */
static bool right_form(struct pol_parser *c, const struct pol_how *how, bool timed)
{
	if (timed && !how->timed)
		conf_diag_add(c->diags, CONF_ERROR, &how->pos,
			"for how long? \"%s\" needs a time, such as \"%s 5m\"", how->word,
			how->word);
	else if (!timed && how->timed)
		conf_diag_add(
			c->diags, CONF_ERROR, &how->time.pos, "\"%s\" has no time", how->word);
	return timed == how->timed;
}

static void given_twice(struct pol_parser *c, const char *what, const struct conf_pos *pos,
	const struct conf_pos *first)
{
	conf_diag_add(c->diags, CONF_ERROR, pos, "\"%s\" is given twice", what);
	conf_diag_add(c->diags, CONF_NOTE, first, "here first");
}

/* ---- on-loss, on-revoke ---- */

void pol_session_on_loss(
	struct pol_parser *c, bool in_group, const struct pol_how *how, struct conf_pos pos)
{
	static const char *const words[] = { "close", "hold" };
	struct pol_policy *p = c->p;
	struct pol_loss *loss = &p->loss, new = { .given = true, .pos = pos };
	bool hold = strcmp(how->word, "hold") == 0;

	if (c->err || (in_group && p->n_groups == 0))
		return;
	if (in_group)
		loss = &p->groups[p->n_groups - 1].loss;
	new.lease_s = POL_LEASE_MIN_S;
	if (!known_word(c, how, words, GI_ARRAY_SIZE(words), POL_LOSS_WORDS) ||
		!right_form(c, how, hold) ||
		(hold && !time_seconds(
				 c, &how->time, POL_LEASE_MIN_S, POL_LEASE_MAX_S, &new.lease_s)))
		return;
	if (loss->given)
		given_twice(c, "on-loss", &pos, &loss->pos);
	else
		*loss = new;
}

void pol_session_on_revoke(struct pol_parser *c, const struct pol_how *how, struct conf_pos pos)
{
	static const char *const words[] = { "drain", "drop", "reset" };
	bool drain = strcmp(how->word, "drain") == 0;
	struct pol_policy *p = c->p;
	uint32_t drain_s = 0;

	if (!known_word(c, how, words, GI_ARRAY_SIZE(words), POL_REVOKE_WORDS) ||
		!right_form(c, how, drain) ||
		(drain && !time_seconds(c, &how->time, 1, POL_DRAIN_MAX_S, &drain_s)))
		return;
	if (p->revoke.given) {
		given_twice(c, "on-revoke", &pos, &p->revoke.pos);
		return;
	}
	p->revoke.given = true;
	p->revoke.pos = pos;
	p->revoke.drain_s = drain_s;
	p->revoke.mode = strcmp(how->word, "reset") == 0 ? FW_REVOKE_RESET : FW_REVOKE_DROP;
}

void pol_session_on_stale(
	struct pol_parser *c, bool in_group, const struct pol_how *how, struct conf_pos pos)
{
	static const char *const words[] = { "hold" };
	struct pol_policy *p = c->p;
	struct pol_stale *stale = &p->stale, new = { .given = true, .pos = pos };

	if (c->err || (in_group && p->n_groups == 0))
		return;
	if (in_group)
		stale = &p->groups[p->n_groups - 1].stale;
	if (!known_word(c, how, words, GI_ARRAY_SIZE(words), POL_STALE_WORDS) ||
		(how->timed && !time_seconds(c, &how->time, POL_STALE_MIN_S, POL_STALE_MAX_S,
				       &new.hold_s)))
		return;
	if (stale->given)
		given_twice(c, "on-stale", &pos, &stale->pos);
	else
		*stale = new;
}

uint32_t pol_group_stale_s(const struct pol_policy *p, size_t group)
{
	const struct pol_stale *own = &p->groups[group].stale;

	return own->given ? own->hold_s : p->stale.hold_s;
}

uint32_t pol_default_lease_s(const struct pol_policy *p)
{
	return p->loss.given ? p->loss.lease_s : POL_LEASE_DEFAULT_S;
}

uint32_t pol_group_lease_s(const struct pol_policy *p, size_t group)
{
	const struct pol_loss *own = &p->groups[group].loss;

	return own->given ? own->lease_s : pol_default_lease_s(p);
}

void pol_on_revoke(const struct pol_policy *p, enum fw_revoke *ret, uint32_t *ret_drain_s)
{
	*ret = p->revoke.mode;
	*ret_drain_s = p->revoke.drain_s;
}

/* ---- logins ---- */

void pol_session_logins(struct pol_parser *c, const char *name, struct conf_pos pos)
{
	pol_tree_name(c, "logins statement", name, GI_NAME_MAX, &pos);
	c->rule = (struct pol_rule){ .name = name, .pos = pos };
	c->to = false;
}

void pol_session_logins_end(struct pol_parser *c)
{
	struct pol_policy *p = c->p;
	const struct pol_rule *r = &c->rule;

	if (c->err)
		return;
	if ((r->from_any && r->from.n) || (r->to_any && r->to.n))
		conf_diag_add(c->diags, CONF_ERROR,
			r->from_any && r->from.n ? &r->from_pos : &r->to_pos,
			"\"any\" already includes everything else in this list");
	if (p->n_logins == POL_LOGINS_MAX) {
		pol_tree_limit(c, &p->logins_over, "logins statements", POL_LOGINS_MAX, &r->pos);
		return;
	}
	c->err =
		pol_grow(p, (void **)&p->logins, p->n_logins, &p->logins_cap, sizeof(p->logins[0]));
	if (c->err)
		return;
	p->logins[p->n_logins++] = (struct pol_logins){
		.name = r->name,
		.pos = r->pos,
		.users_pos = r->from_pos,
		.places_pos = r->to_pos,
		.users_any = r->from_any,
		.places_any = r->to_any,
		.users = r->from,
		.places = r->to,
	};
}

/* the group's own, or, of a peer written here, what it would give a group */
static uint8_t peer_has(const struct pol_policy *p, const struct pol_member *m)
{
	switch (m->kind) {
	case POL_K_GROUP:
		return m->group == POL_NONE ? UINT8_MAX : p->groups[m->group].has;
	case POL_K_VM:
		return POL_HAS_VM;
	case POL_K_NET:
		return POL_HAS_NET;
	case POL_K_UNIT:
		return POL_HAS_UNIT;
	case POL_K_UID:
		return POL_HAS_UID;
	default:
		return POL_HAS_PERSON;
	}
}

static void check_peers(const struct pol_policy *p, const struct pol_members *peers,
	enum pol_has need, const char *what, struct conf_diags *d)
{
	for (size_t i = 0; i < peers->n; i++) {
		const struct pol_member *m = &peers->list[i];

		if (peer_has(p, m) & need)
			continue;
		if (m->kind != POL_K_GROUP)
			conf_diag_add(d, CONF_ERROR, &m->pos, "%s here, not \"%s\"", what,
				pol_kind_name(m->kind));
		else if (!p->groups[m->group].broken)
			conf_diag_add(d, CONF_ERROR, &m->pos, "%s here: group \"%s\" has none",
				what, m->text);
	}
}

/* all groups whose VMs are covered */
static int find_holds(struct pol_policy *p, struct pol_logins *l)
{
	l->holds.n = p->n_groups;
	l->holds.bits = pol_alloc(p, (p->n_groups / 64 + 1) * sizeof(l->holds.bits[0]));
	if (!l->holds.bits)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_place_groups; i++)
		pol_set_add(&l->holds, l->place_groups[i]);
	pol_set_open(p, &l->holds);
	return 0;
}

static void check_name(const struct pol_policy *p, size_t index, struct conf_diags *d)
{
	const struct pol_logins *l = &p->logins[index];

	for (size_t i = 0; i < index; i++) {
		if (strcmp(p->logins[i].name, l->name) != 0)
			continue;
		conf_diag_add(d, CONF_ERROR, &l->pos, "logins \"%s\" is defined twice", l->name);
		conf_diag_add(d, CONF_NOTE, &p->logins[i].pos, "here first");
		return;
	}
}

/* a flow that outlives one lapse after the other does so by marks, of which there are few */
static void check_leases(const struct pol_policy *p, struct conf_diags *d)
{
	uint32_t seen[POL_LEASES_MAX] = { pol_default_lease_s(p) };
	size_t n = 1;

	for (size_t i = 0; i < p->n_named; i++) {
		const struct pol_loss *loss = &p->groups[i].loss;
		size_t k = 0;

		if (!loss->given)
			continue;
		while (k < n && seen[k] != loss->lease_s)
			k++;
		if (k == POL_LEASES_MAX) {
			conf_diag_add(d, CONF_ERROR, &loss->pos,
				"more than %d different times on-loss, the one for all groups "
				"included",
				POL_LEASES_MAX);
			return;
		}
		if (k == n)
			seen[n++] = loss->lease_s;
	}
}

/* the first unit in the text: the limit is of all of them */
static const struct conf_pos *first_unit(const struct pol_policy *p)
{
	for (size_t i = 0; i < p->n_groups; i++) {
		const struct pol_members *m = &p->groups[i].members;

		for (size_t k = 0; k < m->n; k++) {
			if (m->list[k].kind == POL_K_UNIT)
				return &m->list[k].pos;
		}
	}
	return NULL;
}

static void check_units(const struct pol_policy *p, struct conf_diags *d)
{
	size_t bytes = 0;

	for (size_t i = 0; i < p->n_units; i++)
		bytes += strlen(p->units[i]);
	if (p->n_units > POL_UNITS_MAX)
		conf_diag_add(d, CONF_ERROR, first_unit(p), "more than %d units in one policy",
			POL_UNITS_MAX);
	else if (bytes > POL_UNITS_BYTES_MAX)
		conf_diag_add(d, CONF_ERROR, first_unit(p),
			"the names of all units have more than %d characters together",
			POL_UNITS_BYTES_MAX);
}

int pol_session_check(struct pol_policy *p, struct conf_diags *d)
{
	int err = 0;

	check_leases(p, d);
	check_units(p, d);
	for (size_t i = 0; err == 0 && i < p->n_logins; i++) {
		struct pol_logins *l = &p->logins[i];

		check_name(p, i, d);
		check_peers(p, &l->users, POL_HAS_PERSON, "users and directory groups stand", d);
		check_peers(p, &l->places, POL_HAS_VM, "VMs stand", d);
		err = find_holds(p, l);
	}
	return err;
}

static bool lets_in(const struct pol_logins *l, const struct pol_set *member_of)
{
	for (size_t i = 0; member_of && i < l->n_user_groups; i++) {
		if (pol_set_has(member_of, l->user_groups[i]))
			return true;
	}
	return l->users_any;
}

bool pol_login_allowed(const struct pol_policy *p, const char *vm, const struct pol_set *member_of,
	const char **ret_rule)
{
	const char *first = NULL;

	for (size_t i = 0; i < p->n_logins; i++) {
		const struct pol_logins *l = &p->logins[i];

		if (!l->places_any && !pol_vm_in(p, vm, &l->holds))
			continue;
		if (lets_in(l, member_of)) {
			*ret_rule = l->name;
			return true;
		}
		if (!first)
			first = l->name;
	}
	*ret_rule = first;
	return !first;
}
