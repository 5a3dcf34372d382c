/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * news.c - the directory says that something changed: who is looked up again
 *
 * Runs in svm-idfw's engine. A report names accounts and groups by their unique ids; a group means
 * every account that was in it when it was last looked up. Reports are numbered: an answer that was
 * asked for before a report which concerns it is asked for once more, so that none is lost while a
 * lookup runs. Failure direction: what cannot be told (an id that is not known, too many reports in
 * the time of one lookup) is looked up again.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>

#define NEWS_ABSENT_MS 5000 /* accounts that were not there: between two rounds for them */

/* what one report names, sorted; borrowed */
struct report {
	uint64_t news;
	const uint8_t **accounts;
	size_t n_accounts;
	const char **sids;
	size_t n_sids;
};

static int by_id(const void *a, const void *b)
{
	return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, 16);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void again(struct idfw_engine *e, struct idfw_principal *p)
{
	age_stale(e, p);
	if (p->sessions || p->lookup_running) /* else the answer on its way would count as fresh */
		idfw_principal_lookup(e, p);
}

static bool named(const struct report *r, const struct idfw_principal *p)
{
	const uint8_t *id = p->guid;

	if (r->n_accounts && bsearch(&id, r->accounts, r->n_accounts, sizeof(id), by_id))
		return true;
	return *p->sid && r->n_sids &&
	       bsearch(&p->sid, r->sids, r->n_sids, sizeof(p->sid), by_text);
}

static bool in_changed(const struct report *r, const struct idfw_principal *p)
{
	for (size_t i = 0; i < p->n_in; i++)
		if (idfw_group_news(p->in[i]) == r->news)
			return true;
	return false;
}

/* its groups may be of the directory that @c comes from: a report does not name it then, but
 * whatever stands for it there */
static bool trusting(const struct idfw_changes *c, const struct idfw_principal *p)
{
	for (size_t i = 0; i < c->n_trusted_by; i++)
		if (strcmp(c->trusted_by[i], p->directory) == 0)
			return true;
	return false;
}

/* @c comes from a directory that does not have it */
static bool elsewhere(const struct idfw_changes *c, const struct idfw_principal *p)
{
	return c->directory && *p->directory && strcmp(c->directory, p->directory) != 0 &&
	       !trusting(c, p);
}

static bool names_accounts(const struct idfw_changes *c)
{
	return c->all || c->n_accounts || c->n_sids;
}

/* who was not there is asked for at the next turn */
static void absent_later(struct idfw_engine *e)
{
	if (!e->retry_ms || e->retry_ms > e->news.absent_ms)
		e->retry_ms = e->news.absent_ms;
	idfw_due(e, e->retry_ms);
}

/* an account that was not there may be now, its ids are not known: all of them, from time to time
 */
static bool absent_turn(struct idfw_engine *e, const struct idfw_changes *c)
{
	if (!names_accounts(c))
		return false;
	if (!c->all && e->mono_ms < e->news.absent_ms) {
		absent_later(e);
		return false;
	}
	e->news.absent_ms = e->mono_ms + NEWS_ABSENT_MS;
	return true;
}

static bool foreign_turn(struct idfw_engine *e, const struct idfw_changes *c)
{
	if (!c->n_trusted_by)
		return false;
	if (e->mono_ms < e->news.foreign_ms) {
		if (!e->retry_ms || e->retry_ms > e->news.foreign_ms)
			e->retry_ms = e->news.foreign_ms;
		idfw_due(e, e->retry_ms);
		return false;
	}
	e->news.foreign_ms = e->mono_ms + NEWS_ABSENT_MS;
	return true;
}

static void later_again(struct idfw_engine *e, struct idfw_principal *p, bool turn)
{
	p->stale = true;
	if (turn && p->sessions && !p->lookup_running) /* else: when its answer comes */
		idfw_principal_lookup(e, p);
}

static void remember(struct idfw_engine *e, const struct idfw_changes *c)
{
	for (size_t i = 0; i < c->n_accounts; i++) {
		struct idfw_told *t = &e->news.told[e->news.n_told++ % IDFW_TOLD_MAX];

		t->news = e->news.last;
		memcpy(t->id, c->accounts[i], sizeof(t->id));
	}
	if (c->n_sids)
		e->news.last_sids = e->news.last;
	if (names_accounts(c))
		e->news.last_any = e->news.last;
}

static int report_init(struct report *r, uint64_t news, const struct idfw_changes *c)
{
	*r = (struct report){ .news = news, .n_accounts = c->n_accounts, .n_sids = c->n_sids };
	r->accounts = calloc(c->n_accounts + 1, sizeof(*r->accounts));
	r->sids = calloc(c->n_sids + 1, sizeof(*r->sids));
	if (!r->accounts || !r->sids)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_accounts; i++)
		r->accounts[i] = c->accounts[i];
	for (size_t i = 0; i < c->n_sids; i++)
		r->sids[i] = c->sids[i];
	qsort(r->accounts, r->n_accounts, sizeof(*r->accounts), by_id);
	qsort(r->sids, r->n_sids, sizeof(*r->sids), by_text);
	return 0;
}

void idfw_engine_directory_changed(struct idfw_engine *e, const struct idfw_changes *c)
{
	struct idfw_principal *p, *next;
	bool turn = absent_turn(e, c), foreign = foreign_turn(e, c), all = c->all, groups = false,
	     failed = false;
	struct report r;

	e->news.last++;
	if (report_init(&r, e->news.last, c) < 0)
		all = failed = true;
	for (size_t i = 0; i < c->n_groups; i++)
		groups |= idfw_group_changed(&e->groups, c->groups[i], e->news.last);
	remember(e, c);
	HASH_ITER (hh, e->principals, p, next) {
		if (all && (failed || !elsewhere(c, p)))
			again(e, p);
		else if (p->presence != IDFW_P_FOUND && names_accounts(c))
			later_again(e, p, turn);
		else if (p->presence != IDFW_P_FOUND)
			continue;
		else if (named(&r, p) || (groups && in_changed(&r, p)))
			again(e, p);
		else if (trusting(c, p))
			later_again(e, p, foreign);
	}
	free(r.accounts);
	free(r.sids);
	plan_event_end(e);
}

/* by its id; or more reports came than are remembered */
static bool account_told(const struct idfw_engine *e, const struct idfw_principal *p)
{
	size_t n = e->news.n_told < IDFW_TOLD_MAX ? e->news.n_told : IDFW_TOLD_MAX;

	for (size_t i = 1; i <= n; i++) {
		const struct idfw_told *t = &e->news.told[(e->news.n_told - i) % IDFW_TOLD_MAX];

		if (t->news <= p->asked)
			return false;
		if (!memcmp(t->id, p->guid, sizeof(p->guid)))
			return true;
	}
	return n == IDFW_TOLD_MAX;
}

bool idfw_news_since(struct idfw_engine *e, struct idfw_principal *p)
{
	if (p->asked == e->news.last)
		return false;
	if (p->presence == IDFW_P_NOT_FOUND && e->news.last_any > p->asked) {
		p->stale = true;
		absent_later(e);
	}
	if (p->presence != IDFW_P_FOUND)
		return false;
	if (e->news.last_sids > p->asked && *p->sid)
		return true;
	for (size_t i = 0; i < p->n_in; i++)
		if (idfw_group_news(p->in[i]) > p->asked)
			return true;
	return account_told(e, p);
}
