/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirworkfail.c - a lookup without an answer: is it the server, or that one account?
 *
 * Runs in the threads of dirwork.c, under its lock but while the server is asked. A server that
 * breaks connections or is silent for one account (a fault of it, a group that is too large for it)
 * may be well for all others, and that account alone has no answer then. So when no other lookup
 * was answered meanwhile, another account is looked up on a new connection, before it is said that
 * the directory is down. Not when the server was silent on the watch connection, too: a new one
 * would hang in the TLS handshake. Source: docs/directory.md "Several servers".
 */
#include "svm-idfw/dirwork_int.h"

#include <string.h>

#include "lib/io/loop.h"

static bool worker_try(struct worker *k, const struct work_job *job);

enum dir_calm_blame work_blame(const struct dir_work *w, int err, const struct work_began *began)
{
	const struct dir_work_conf *conf = &w->conf;
	const struct dir_calm_failed f = { .err = err,
		.answered = w->answers != began->answers,
		.heard = w->heard_ms >= began->ms,
		.silent = conf->poll_ms > dir_calm_request_ms(conf->deadline_ms, conf->several),
		.several = conf->several };

	return dir_calm_blame(&f);
}

bool worker_broken(struct worker *k, struct work_job *job, int err, const struct work_began *began,
	const char *why)
{
	struct dir_work *w = k->work;
	enum dir_calm_blame blame;

	job->spent_ms += io_clock_mono_ms() - began->ms;
	if (err == -ECONNRESET)
		work_suspect(w, false);
	worker_close(k);
	if (!w->up)
		return true;
	if (err == -ECONNRESET && !job->again) {
		job->again = true;
		w->first += WORK_WAITING_MAX - 1;
		w->jobs[w->first % WORK_WAITING_MAX] = *job;
		w->n_jobs++;
		work_call(w);
		return false;
	}
	blame = work_blame(w, err, began);
	if (blame == DIR_CALM_ASK && worker_try(k, job))
		blame = DIR_CALM_LOOKUP;
	if (blame != DIR_CALM_LOOKUP && w->up)
		work_fail(w, why);
	return true;
}

/* not the one that has just failed, if another one is known */
static void sample(const struct dir_work *w, const struct work_job *job, struct dir_back *b)
{
	const char *name = job->e->dir_lookup->name;

	if (w->good[0] && (!b->sample[0] || strcmp(b->sample, name) == 0))
		memcpy(b->sample, w->good, sizeof(b->sample));
}

/* true: another account is answered, on the connection that @k has then */
static bool worker_try(struct worker *k, const struct work_job *job)
{
	struct dir_work *w = k->work;
	uint64_t generation = w->generation;
	struct dir_back back = w->back;
	char why[DIR_WHY_MAX] = "";
	struct dldap *look = NULL;
	int err;

	sample(w, job, &back);
	if (!back.sample[0])
		return false;
	k->state = WORKER_OPENING;
	k->opening_ms = io_clock_mono_ms();
	(void)pthread_mutex_unlock(&w->lock);
	err = w->conf.open(w->conf.arg, &back, why, &look);
	if (err == 0) {
		dldap_until(
			look, k->opening_ms + dir_calm_try_ms(w->conf.deadline_ms, job->spent_ms));
		err = dir_work_try(&back, look, why);
	}
	if (err < 0)
		dldap_close(look);
	(void)pthread_mutex_lock(&w->lock);
	k->state = err < 0 ? WORKER_CLOSED : WORKER_IDLE;
	if (err < 0)
		return false;
	k->back.look = look;
	k->suspect = generation != w->generation;
	w->answers++;
	return true;
}
