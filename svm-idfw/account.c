/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.c - the state of a directory account: disabled, expired, locked, must change its password
 *
 * Runs in svm-idfw's engine. The directory says it with the groups; which states take the groups
 * away is a setting of the directory block (`revokes`). Then the account is in no group, its
 * sessions live on with what is open to everybody, and running flows are judged again as the policy
 * says (on-revoke). An expiry that is known needs nobody to tell: all that have one wait in a
 * pairing heap, which is theirs and needs no memory. Invariants: p->account.now is what was
 * recorded last; member_of agrees with it. Source: docs/directory.md "State of an account".
 */
#include "svm-idfw/core.h"

#include <stdio.h>
#include <string.h>

#define ACCOUNT_CLOCK_MS 60000 /* the real clock may have been set: looked at so often */
#define ACCOUNT_ASK_MS 60000   /* a lockout ends by itself, and no directory tells of it */
#define ACCOUNT_TICK_MAX 1000  /* of one round; the rest comes in the next */

static const struct {
	uint32_t flag;
	const char *word, *text;
} states[] = {
	{ IDFW_ACCT_DISABLED, "disabled", "is disabled in the directory" },
	{ IDFW_ACCT_EXPIRED, "expired", "has expired" },
	{ IDFW_ACCT_LOCKED, "locked", "is locked in the directory" },
	{ IDFW_ACCT_MUST_CHANGE, "must-change", "must change its password" },
};

bool idfw_account_cut(const struct idfw_principal *p)
{
	return p->account.now & p->account.revokes;
}

const char *idfw_account_words(uint32_t state, char buf[IDFW_ACCT_WHY_MAX])
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < GI_ARRAY_SIZE(states); i++)
		if (state & states[i].flag)
			at += (size_t)snprintf(buf + at, IDFW_ACCT_WHY_MAX - at, "%s%s",
				at ? "," : "", states[i].word);
	return buf;
}

const char *idfw_account_why(const struct idfw_principal *p, char buf[IDFW_ACCT_WHY_MAX])
{
	const char *name = *p->name ? p->name : p->user;
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < GI_ARRAY_SIZE(states); i++) {
		if (!(p->account.now & states[i].flag))
			continue;
		at += (size_t)snprintf(buf + at, IDFW_ACCT_WHY_MAX - at, "%s%.256s%s%s",
			at ? ", and " : "account ", at ? "" : name, at ? "" : " ", states[i].text);
	}
	return buf;
}

/* ---- heap: the one that is due next is at the top ---- */

static struct idfw_principal *heap_join(struct idfw_principal *a, struct idfw_principal *b)
{
	struct idfw_principal *top = a, *below = b;

	if (!a || !b)
		return a ? a : b;
	if (b->account.due_ms < a->account.due_ms) {
		top = b;
		below = a;
	}
	below->account.previous = top;
	below->account.next = top->account.child;
	if (below->account.next)
		below->account.next->account.previous = below;
	top->account.child = below;
	top->account.next = top->account.previous = NULL;
	return top;
}

/* a list of heaps into one: pair by pair, then all pairs */
static struct idfw_principal *heap_join_all(struct idfw_principal *list)
{
	struct idfw_principal *pairs = NULL, *all = NULL, *next;

	while (list) {
		struct idfw_principal *a = list, *b = a->account.next;

		list = b ? b->account.next : NULL;
		a->account.next = a->account.previous = NULL;
		if (b)
			b->account.next = b->account.previous = NULL;
		a = heap_join(a, b);
		a->account.next = pairs;
		pairs = a;
	}
	for (; pairs; pairs = next) {
		next = pairs->account.next;
		pairs->account.next = NULL;
		all = heap_join(all, pairs);
	}
	return all;
}

static void heap_drop(struct idfw_engine *e, struct idfw_principal *p)
{
	struct idfw_account *a = &p->account;
	struct idfw_principal *rest;

	if (!a->waits)
		return;
	rest = heap_join_all(a->child);
	if (e->accounts_due == p) {
		e->accounts_due = rest;
	} else {
		if (a->previous->account.child == p)
			a->previous->account.child = a->next;
		else
			a->previous->account.next = a->next;
		if (a->next)
			a->next->account.previous = a->previous;
		e->accounts_due = heap_join(e->accounts_due, rest);
	}
	a->child = a->next = a->previous = NULL;
	a->waits = false;
}

static void heap_put(struct idfw_engine *e, struct idfw_principal *p, uint64_t due_ms)
{
	heap_drop(e, p);
	p->account.due_ms = due_ms;
	p->account.waits = true;
	e->accounts_due = heap_join(e->accounts_due, p);
	idfw_due(e, due_ms);
}

/* ---- what counts now ---- */

/* when it is another one by itself; UINT64_MAX: never */
static uint64_t next_look(const struct idfw_engine *e, const struct idfw_account *a)
{
	uint64_t due = UINT64_MAX;

	if (a->expires_ms > e->real_ms) {
		uint64_t left = a->expires_ms - e->real_ms;

		due = e->mono_ms + (left < ACCOUNT_CLOCK_MS ? left : ACCOUNT_CLOCK_MS);
	}
	if (a->now & a->revokes & IDFW_ACCT_LOCKED && e->mono_ms + ACCOUNT_ASK_MS < due)
		due = e->mono_ms + ACCOUNT_ASK_MS;
	return due;
}

static void look(struct idfw_engine *e, struct idfw_account *a)
{
	a->now = a->state;
	if (a->expires_ms) {
		a->now &= ~(uint32_t)IDFW_ACCT_EXPIRED;
		a->now |= a->expires_ms <= e->real_ms ? IDFW_ACCT_EXPIRED : 0;
	}
}

void idfw_account_schedule(struct idfw_engine *e, struct idfw_principal *p)
{
	uint64_t due = UINT64_MAX, lapse;

	if (p->is_unit)
		return;
	if (p->sessions && p->presence == IDFW_P_FOUND) {
		due = next_look(e, &p->account);
		lapse = age_due(e, p);
		due = lapse < due ? lapse : due;
	}
	if (due == UINT64_MAX)
		heap_drop(e, p);
	else
		heap_put(e, p, due);
}

static void account_record(struct idfw_engine *e, const struct idfw_principal *p, uint32_t was)
{
	struct idfw_record r = { .kind = IDFW_REC_ACCOUNT,
		.time_ms = e->real_ms,
		.vm = "",
		.user = *p->name ? p->name : p->user };
	char words[IDFW_ACCT_WHY_MAX], why[IDFW_ACCT_WHY_MAX];
	struct gi_buf *b = &e->json;

	(void)idfw_account_why(p, why);
	if (!why[0])
		(void)snprintf(why, sizeof(why), "account %.256s is well again", r.user);
	gi_buf_reset(b);
	gi_buf_printf(b, "{\"why\":");
	idfw_json(b, why);
	gi_buf_printf(b, ",\"state\":\"%s\"", idfw_account_words(p->account.now, words));
	gi_buf_printf(b, ",\"before\":\"%s\"", idfw_account_words(was, words));
	gi_buf_printf(b, ",\"groups\":\"%s\",\"sessions\":%zu}",
		idfw_account_cut(p) ? "revoked" : "kept", p->n_sessions);
	r.detail = gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b);
	gi_notice("%s; its groups are %s, %zu live sessions", why,
		idfw_account_cut(p) ? "revoked" : "kept", p->n_sessions);
	if (e->out.store(e->out.arg, &r) < 0)
		e->stats.unrecorded++;
}

void idfw_account_take(
	struct idfw_engine *e, struct idfw_principal *p, const struct idfw_account *found)
{
	struct idfw_account *a = &p->account;
	uint32_t was = a->now;

	a->state = found ? found->state : 0;
	a->revokes = found ? found->revokes : 0;
	a->expires_ms = found ? found->expires_ms : 0;
	look(e, a);
	if (found && a->now != was)
		account_record(e, p, was);
}

void idfw_account_joins(struct idfw_engine *e, const struct idfw_session *s)
{
	struct idfw_principal *p = s->principal;
	uint32_t was = p->account.now;
	struct pol_set has = { 0 };

	if (!e->policy) { /* a start: the policy comes later, and counts all groups */
		age_restore_live(e, s);
		return;
	}
	if (p->n_sessions > 1)
		return;
	if (p->presence == IDFW_P_FOUND) {
		look(e, &p->account);
		if (p->account.now != was)
			account_record(e, p, was);
		if (idfw_principal_groups(e, e->policy, p, &has) == 0) {
			pol_set_fini(&p->member_of);
			p->member_of = has;
		}
	}
	idfw_account_schedule(e, p);
}

void idfw_account_forget(struct idfw_engine *e, struct idfw_principal *p)
{
	heap_drop(e, p);
}

void idfw_account_tick(struct idfw_engine *e)
{
	struct idfw_principal *p;

	for (int n = 0; (p = e->accounts_due) && p->account.due_ms <= e->mono_ms; n++) {
		uint32_t was = p->account.now;
		bool lapses = age_ends(e, p);

		if (n == ACCOUNT_TICK_MAX)
			break;
		if (!p->sessions) { /* idfw_account_joins() makes up for it */
			heap_drop(e, p);
			continue;
		}
		look(e, &p->account);
		if (was & p->account.revokes & IDFW_ACCT_LOCKED &&
			idfw_dir_of(e, p) != IDFW_DIR_DOWN)
			idfw_principal_lookup(e, p);
		if (p->account.now != was)
			account_record(e, p, was);
		if (lapses)
			age_record(e, p);
		if (lapses || p->account.now != was)
			idfw_principal_judge(e, p);
		idfw_account_schedule(e, p);
	}
	if (e->accounts_due)
		idfw_due(e, e->accounts_due->account.due_ms);
}

void idfw_account_json(struct gi_buf *b, const struct idfw_principal *p)
{
	char text[IDFW_ACCT_WHY_MAX];

	if (!p->account.now)
		return;
	gi_buf_printf(b, ",\"account\":\"%s\",\"revoked\":%s,\"why\":",
		idfw_account_words(p->account.now, text), idfw_account_cut(p) ? "true" : "false");
	idfw_json(b, idfw_account_why(p, text));
}
