/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * age.c - how long ago the directory confirmed what is known of an account, and what that ends
 *
 * Runs in svm-idfw's engine. While the directory answers, an account that nothing was said about is
 * confirmed: changes would have been told. From the moment that it is gone, or that an account may
 * have changed and was not looked up yet, its age grows, by the monotonic clock, restarts included
 * (the mark of each directory: until when all its live accounts were confirmed, in the database). A
 * policy may end memberships of a certain age (`on-stale`): such a group is taken out of member_of
 * at its millisecond. The kernels need not know: a lease is about us, this is about the directory.
 * Invariant: member_of of an account with sessions has no lapsed group.
 * Source: docs/directory.md "Age", docs/adr/0017-account-state-and-age.md.
 */
#include "svm-idfw/core.h"

#include <string.h>

#define AGE_MARK_MS 30000
#define AGE_LATE_MS 60000 /* who waits longer for his answer holds the mark up */

static bool confirmed(const struct idfw_engine *e, const struct idfw_principal *p)
{
	return !p->stale && idfw_dir_of(e, p) == IDFW_DIR_UP;
}

static int64_t mono_of(const struct idfw_engine *e, uint64_t real_ms)
{
	uint64_t ago = e->real_ms > real_ms ? e->real_ms - real_ms : 0;

	return (int64_t)e->mono_ms - (int64_t)ago;
}

uint64_t age_of(const struct idfw_engine *e, const struct idfw_principal *p)
{
	int64_t age = (int64_t)e->mono_ms - p->account.confirmed_ms;

	return p->is_unit || confirmed(e, p) || age < 0 ? 0 : (uint64_t)age;
}

uint64_t idfw_engine_confirmed(
	const struct idfw_engine *e, const struct idfw_principal *p, uint64_t *ret_age_ms)
{
	uint64_t age = age_of(e, p);

	if (p->is_unit || !p->resolved_ms)
		return 0;
	*ret_age_ms = age;
	return e->real_ms > age ? e->real_ms - age : 1;
}

/* ---- when it is confirmed, and when no longer ---- */

void age_confirm(struct idfw_engine *e, struct idfw_principal *p)
{
	p->account.confirmed_ms = (int64_t)e->mono_ms;
}

void age_stale(struct idfw_engine *e, struct idfw_principal *p)
{
	if (confirmed(e, p))
		age_confirm(e, p);
	p->stale = true;
	idfw_account_schedule(e, p);
}

void age_restore(struct idfw_engine *e, struct idfw_principal *p, uint64_t resolved_ms)
{
	p->account.confirmed_ms = mono_of(e, resolved_ms);
	for (const struct idfw_session *s = p->sessions; s; s = s->p_next)
		age_restore_live(e, s);
}

void age_restore_live(struct idfw_engine *e, const struct idfw_session *s)
{
	struct idfw_principal *p = s->principal;

	for (size_t i = 0; p->resolved_ms && i < e->n_as_of; i++) {
		const struct idfw_as_of *a = &e->as_of[i];
		int64_t at = mono_of(e, a->real_ms);

		if ((!*a->directory || strcmp(a->directory, p->directory) == 0) &&
			s->db_id < a->next_db_id && at > p->account.confirmed_ms)
			p->account.confirmed_ms = at;
	}
}

/* ---- the mark ---- */

static bool any_up(const struct idfw_engine *e)
{
	for (size_t i = 0; i < e->n_dirs; i++)
		if (e->dirs[i].state == IDFW_DIR_UP)
			return true;
	return false;
}

/* NULL: too many */
static struct idfw_as_of *as_of_get(struct idfw_engine *e, const char *directory)
{
	struct idfw_as_of *a;

	for (size_t i = 0; i < e->n_as_of; i++)
		if (strcmp(e->as_of[i].directory, directory) == 0)
			return &e->as_of[i];
	a = e->n_as_of < IDFW_AS_OF_MAX ? &e->as_of[e->n_as_of] : NULL;
	if (!a || gi_text_copy(a->directory, sizeof(a->directory), directory) < 0)
		return NULL;
	e->n_as_of++;
	return a;
}

/* of each directory that answers; who is late holds up his own: older after a restart, the safe
 * side
 */
static void mark(struct idfw_engine *e)
{
	uint64_t oldest[IDFW_DIRS_MAX] = { 0 }, age;
	const struct idfw_principal *p;
	struct idfw_as_of *a;

	for (p = e->principals; p; p = p->hh.next) {
		age = p->sessions && p->presence == IDFW_P_FOUND ? age_of(e, p) : 0;
		for (size_t i = 0; age && i < e->n_dirs; i++)
			if (age > oldest[i] &&
				(!*p->directory || !strcmp(p->directory, e->dirs[i].label)))
				oldest[i] = age;
	}
	for (size_t i = 0; i < e->n_dirs; i++) {
		if (e->dirs[i].state != IDFW_DIR_UP || oldest[i] > AGE_LATE_MS)
			continue;
		a = as_of_get(e, e->dirs[i].label);
		if (a) {
			a->real_ms = e->real_ms - oldest[i];
			a->next_db_id = e->next_db_id;
		}
	}
}

void age_tick(struct idfw_engine *e)
{
	if (!any_up(e)) {
		e->mark_ms = 0;
		return;
	}
	if (e->mono_ms >= e->mark_ms) {
		mark(e);
		e->mark_ms = e->mono_ms + AGE_MARK_MS;
	}
	idfw_due(e, e->mark_ms);
}

void age_directory(struct idfw_engine *e, const struct idfw_directory *d, bool up)
{
	struct idfw_principal *p;

	if (up) {
		idfw_due(e, e->mono_ms + AGE_MARK_MS);
		return;
	}
	if (d->state != IDFW_DIR_UP)
		return;
	mark(e);
	for (p = e->principals; p; p = p->hh.next)
		if (confirmed(e, p) && (!*p->directory || !strcmp(p->directory, d->label)))
			age_confirm(e, p);
}

const struct idfw_as_of *idfw_engine_as_of(const struct idfw_engine *e, size_t *ret_n)
{
	*ret_n = e->n_as_of;
	return e->as_of;
}

void idfw_engine_restore_as_of(struct idfw_engine *e, const struct idfw_as_of *as_of)
{
	struct idfw_as_of *a = as_of_get(e, as_of->directory);

	if (a)
		*a = *as_of;
}

static uint64_t as_of_ms(const struct idfw_engine *e, const char *label)
{
	uint64_t ms = 0;

	for (size_t i = 0; i < e->n_as_of; i++) {
		const struct idfw_as_of *a = &e->as_of[i];

		if ((!*a->directory || strcmp(a->directory, label) == 0) && a->real_ms > ms)
			ms = a->real_ms;
	}
	return ms;
}

/* ---- on-stale ---- */

static bool lapsed(const struct pol_policy *pol, size_t group, uint64_t age_ms)
{
	uint64_t hold_s = pol_group_stale_s(pol, group);

	return hold_s && age_ms >= hold_s * 1000;
}

void age_trim(const struct idfw_engine *e, const struct pol_policy *pol,
	const struct idfw_principal *p, struct pol_set *groups)
{
	uint64_t age = age_of(e, p);

	for (size_t g = 0; age && groups->bits && g < groups->n; g++)
		if (pol_set_has(groups, g) && lapsed(pol, g, age))
			groups->bits[g / 64] &= ~(UINT64_C(1) << g % 64);
}

uint64_t age_due(const struct idfw_engine *e, const struct idfw_principal *p)
{
	uint64_t age = age_of(e, p), hold_s = 0;

	if (!e->policy || confirmed(e, p) || p->presence != IDFW_P_FOUND)
		return UINT64_MAX;
	for (size_t g = 0; g < p->member_of.n; g++) {
		uint64_t s = pol_set_has(&p->member_of, g) ? pol_group_stale_s(e->policy, g) : 0;

		if (s && (!hold_s || s < hold_s))
			hold_s = s;
	}
	if (!hold_s)
		return UINT64_MAX;
	return e->mono_ms + (hold_s * 1000 > age ? hold_s * 1000 - age : 0);
}

bool age_ends(const struct idfw_engine *e, const struct idfw_principal *p)
{
	return age_due(e, p) <= e->mono_ms;
}

/* one record an account: which of its groups end now */
void age_record(struct idfw_engine *e, const struct idfw_principal *p)
{
	struct idfw_record r = { .kind = IDFW_REC_ACCOUNT,
		.time_ms = e->real_ms,
		.vm = "",
		.user = *p->name ? p->name : p->user };
	uint64_t age = age_of(e, p);
	struct gi_buf *b = &e->json;
	size_t n = 0;

	gi_buf_reset(b);
	gi_buf_printf(b,
		"{\"why\":\"the directory has not confirmed it for %llu s (on-stale)\","
		"\"account\":",
		(unsigned long long)age / 1000);
	idfw_json(b, r.user);
	gi_buf_printf(b, ",\"age_s\":%llu,\"lapsed\":[", (unsigned long long)age / 1000);
	for (size_t g = 0; g < p->member_of.n; g++) {
		if (!pol_set_has(&p->member_of, g) || !lapsed(e->policy, g, age))
			continue;
		gi_buf_printf(b, "%s", n++ ? "," : "");
		idfw_json(b, pol_group_name(e->policy, g));
	}
	gi_buf_printf(b, "],\"sessions\":%zu}", p->n_sessions);
	r.detail = gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b);
	gi_notice("account %s: %s", r.user, r.detail);
	if (e->out.store(e->out.arg, &r) < 0)
		e->stats.unrecorded++;
}

void age_json(struct gi_buf *b, const struct idfw_engine *e, const struct idfw_principal *p)
{
	if (p->presence == IDFW_P_FOUND && age_of(e, p))
		gi_buf_printf(b, ",\"cached\":true,\"age_s\":%llu",
			(unsigned long long)age_of(e, p) / 1000);
}

/* ---- for status ---- */

void idfw_engine_ages(const struct idfw_engine *e, struct idfw_ages *ret)
{
	const struct idfw_principal *p;

	*ret = (struct idfw_ages){ .as_of_ms = 0 };
	for (size_t i = 0; i < e->n_dirs; i++) {
		uint64_t ms = as_of_ms(e, e->dirs[i].label);

		if (i == 0 || ms < ret->as_of_ms)
			ret->as_of_ms = ms;
	}
	for (p = e->principals; p; p = p->hh.next) {
		uint64_t age = age_of(e, p);

		if (!p->sessions)
			continue;
		ret->revoked += p->presence == IDFW_P_FOUND && idfw_account_cut(p);
		if (p->presence != IDFW_P_FOUND || !age)
			continue;
		ret->unconfirmed++;
		ret->oldest_ms = age > ret->oldest_ms ? age : ret->oldest_ms;
		ret->old += age >= IDFW_AGE_OLD_MS && age_due(e, p) == UINT64_MAX;
	}
}
