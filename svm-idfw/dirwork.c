/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwork.c - lookups in the directory child: several at a time, each on a connection of its own
 *
 * Threads block in libldap without the lock; all they share is here, under it. A lookup that lost
 * its connection goes back to the front of the queue, once. One connection that broke is made again
 * and no outage as long as others answer; only when none is left, or lookups have no answer and it
 * is the server (dirworkfail.c), the child is down. Answers are dirreply.c's.
 * A thread that hangs (TLS handshake, name service) cannot be ended: the others go on without it,
 * and the parent finds out by the lookup that it has (dir.c). Source: docs/directory.md, ADR 9.
 */
#include "svm-idfw/dirwork_int.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"
#include "svm-idfw/dirreply.h"

#define WORK_BACKOFF_MAX_MS 30000 /* between openings that fail while others serve */
#define WORK_SPARE_SEC 60	  /* a connection that is not needed stays so long */
#define WORK_STACK (512u << 10)

static void *worker_main(void *arg);
static void worker_wait(struct worker *k);
static void worker_open(struct worker *k);
static void worker_lookup(struct worker *k);
static int worker_start(struct worker *k);
static struct worker *work_in_state(struct dir_work *w, enum worker_state state, unsigned int *ret);
static bool work_has_connection(struct dir_work *w);
static void work_open_one(struct dir_work *w);

int dir_work_new(const struct dir_work_conf *conf, struct dir_work **ret)
{
	struct dir_work *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	unsigned int i;

	if (!w || pthread_mutex_init(&w->lock, NULL) != 0) {
		free(w);
		return -ENOMEM;
	}
	w->conf = *conf;
	io_backoff_init(&w->backoff, WORK_BACKOFF_MAX_MS);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (i = 0; i < conf->connections; i++) {
		w->workers[i].work = w;
		(void)pthread_cond_init(&w->workers[i].cond, &attr);
	}
	(void)pthread_condattr_destroy(&attr);
	*ret = w;
	return 0;
}

bool dir_work_stop(struct dir_work *w)
{
	bool idle = true;
	unsigned int i;

	(void)pthread_mutex_lock(&w->lock);
	w->stop = true;
	for (i = 0; i < w->conf.connections; i++) {
		enum worker_state s = w->workers[i].state;

		(void)pthread_cond_signal(&w->workers[i].cond);
		idle = idle && s != WORKER_BUSY && s != WORKER_OPENING;
	}
	(void)pthread_mutex_unlock(&w->lock);
	for (i = 0; idle && i < w->conf.connections; i++)
		if (w->workers[i].state != WORKER_NONE)
			(void)pthread_join(w->workers[i].thread, NULL);
	return idle;
}

void dir_work_free(struct dir_work *w)
{
	unsigned int i;

	if (!w)
		return;
	for (; w->n_jobs; w->n_jobs--)
		wire_envelope_free(w->jobs[w->first++ % WORK_WAITING_MAX].e);
	for (i = 0; i < w->conf.connections; i++)
		(void)pthread_cond_destroy(&w->workers[i].cond);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

bool dir_work_put(struct dir_work *w, Idfw__Envelope *e)
{
	bool ok;

	(void)pthread_mutex_lock(&w->lock);
	ok = w->n_jobs < WORK_WAITING_MAX;
	if (ok && w->up) {
		w->jobs[(w->first + w->n_jobs++) % WORK_WAITING_MAX] = (struct work_job){ .e = e };
		work_call(w);
	} else if (ok) {
		dir_reply_unavailable(w->conf.post, e->dir_lookup->id, w->why);
		wire_envelope_free(e);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return ok;
}

/* ---- the main thread's ---- */

/* what lookups need of it; what is the main thread's own is not in the copy */
static void work_back(struct dir_work *w, const struct dir_back *b)
{
	w->back = *b;
	w->back.look = w->back.watch = NULL;
	w->back.n_nc = 0;
	memset(w->back.nc, 0, sizeof(w->back.nc));
	w->back.groups = NULL;
}

void dir_work_up(struct dir_work *w, const struct dir_back *b, struct dldap *look)
{
	struct worker *k = &w->workers[0];
	unsigned int i;
	int err = 0;

	(void)pthread_mutex_lock(&w->lock);
	if (strcmp(w->back.server, b->server) != 0 || strcmp(w->back.peer, b->peer) != 0)
		work_suspect(w, true); /* behind the same name: other answers */
	work_back(w, b);
	w->generation++;
	w->in_vain = 0;
	w->up = true;
	w->lost = false;
	for (i = 0; look && i < w->conf.connections; i++) {
		k = &w->workers[i];
		if (k->state != WORKER_NONE && k->state != WORKER_CLOSED)
			continue;
		err = k->state == WORKER_NONE ? worker_start(k) : 0;
		if (err < 0)
			break;
		k->back.look = look;
		k->state = WORKER_IDLE;
		k->suspect = false;
		look = NULL;
	}
	if (err < 0)
		work_fail(w, gi_strerror(err));
	work_call(w);
	(void)pthread_mutex_unlock(&w->lock);
	dldap_close(look);
}

void dir_work_down(struct dir_work *w, const struct dir_back *b, const char *why)
{
	(void)pthread_mutex_lock(&w->lock);
	work_back(w, b);
	work_fail(w, why);
	w->lost = false;
	(void)pthread_mutex_unlock(&w->lock);
}

bool dir_work_connected(struct dir_work *w)
{
	bool yes;

	(void)pthread_mutex_lock(&w->lock);
	yes = w->up && work_has_connection(w);
	(void)pthread_mutex_unlock(&w->lock);
	return yes;
}

bool dir_work_lost(struct dir_work *w, char ret_why[DIR_WHY_MAX])
{
	bool lost;

	(void)pthread_mutex_lock(&w->lock);
	lost = w->lost;
	if (lost)
		dir_why(ret_why, "%s", w->why);
	w->lost = false;
	(void)pthread_mutex_unlock(&w->lock);
	return lost;
}

void dir_work_state(struct dir_work *w, const struct dir_back *b, bool up, const char *why,
	const struct dir_picture *picture)
{
	(void)pthread_mutex_lock(&w->lock);
	if (up && !w->up)
		dir_reply_state(w->conf.post, b, false, w->why, picture);
	else
		dir_reply_state(w->conf.post, b, up, why, picture);
	(void)pthread_mutex_unlock(&w->lock);
}

void dir_work_heard(struct dir_work *w, uint64_t began_ms)
{
	(void)pthread_mutex_lock(&w->lock);
	w->heard_ms = began_ms;
	(void)pthread_mutex_unlock(&w->lock);
}

uint64_t dir_work_answers(struct dir_work *w)
{
	uint64_t n;

	(void)pthread_mutex_lock(&w->lock);
	n = w->answers;
	(void)pthread_mutex_unlock(&w->lock);
	return n;
}

int dir_work_try(const struct dir_back *b, struct dldap *look, char why[DIR_WHY_MAX])
{
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	struct dir_back back = *b;
	int err = 0;

	back.look = look;
	if (back.sample[0])
		err = back.ops->lookup(&back, back.sample, NULL, 0, &a, why);
	dir_answer_fini(&a);
	return err == -ECONNRESET || err == -ETIMEDOUT ? err : 0;
}

/* ---- under the lock: who does what ---- */

/* the first in that state; @ret: how many, may be NULL */
static struct worker *work_in_state(struct dir_work *w, enum worker_state state, unsigned int *ret)
{
	struct worker *k = NULL;
	unsigned int i, n = 0;

	for (i = w->conf.connections; i-- > 0;) {
		if (w->workers[i].state != state)
			continue;
		k = &w->workers[i];
		n++;
	}
	if (ret)
		*ret = n;
	return k;
}

static bool work_has_connection(struct dir_work *w)
{
	return work_in_state(w, WORKER_IDLE, NULL) || work_in_state(w, WORKER_CALLED, NULL) ||
	       work_in_state(w, WORKER_BUSY, NULL);
}

void work_call(struct dir_work *w)
{
	struct worker *k;
	unsigned int called;

	(void)work_in_state(w, WORKER_CALLED, &called);
	while (w->n_jobs > called && (k = work_in_state(w, WORKER_IDLE, NULL)) != NULL) {
		k->state = WORKER_CALLED;
		(void)pthread_cond_signal(&k->cond);
		called++;
	}
	if (w->n_jobs > called)
		work_open_one(w);
}

/* one at a time, so that a server that comes back does not get all at once */
static void work_open_one(struct dir_work *w)
{
	uint64_t now = io_clock_mono_ms();
	struct worker *k = NULL;
	unsigned int i;

	if (!w->up || (now < w->open_ms && work_has_connection(w)))
		return;
	for (i = w->conf.connections; i-- > 0;) {
		struct worker *o = &w->workers[i];

		if (o->state == WORKER_OPENING && now - o->opening_ms < w->conf.deadline_ms)
			return;
		if (o->state == WORKER_NONE || o->state == WORKER_CLOSED)
			k = o;
	}
	if (!k || (k->state == WORKER_NONE && worker_start(k) < 0))
		return;
	k->state = WORKER_OPENING;
	k->opening_ms = now;
	(void)pthread_cond_signal(&k->cond);
}

/* first the state, then the answers: the engine asks again when it is up */
void work_fail(struct dir_work *w, const char *why)
{
	w->up = false;
	w->lost = true;
	dir_why(w->why, "%s", why[0] ? why : "no connection");
	dir_reply_state(w->conf.post, &w->back, false, w->why, NULL);
	work_refuse(w);
	work_suspect(w, true);
	w->conf.lost(w->conf.arg);
}

void work_refuse(struct dir_work *w)
{
	for (; w->n_jobs; w->n_jobs--) {
		struct work_job *job = &w->jobs[w->first++ % WORK_WAITING_MAX];

		dir_reply_unavailable(w->conf.post, job->e->dir_lookup->id, w->why);
		wire_envelope_free(job->e);
	}
}

void work_suspect(struct dir_work *w, bool busy)
{
	unsigned int i;

	for (i = 0; i < w->conf.connections; i++) {
		struct worker *k = &w->workers[i];

		if (k->state == WORKER_IDLE || k->state == WORKER_CALLED ||
			(busy && k->state == WORKER_BUSY)) {
			k->suspect = true;
			(void)pthread_cond_signal(&k->cond);
		}
	}
}

static int worker_start(struct worker *k)
{
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err < 0)
		return err;
	err = -pthread_attr_setstacksize(&attr, WORK_STACK);
	if (err == 0)
		err = -pthread_create(&k->thread, &attr, worker_main, k);
	(void)pthread_attr_destroy(&attr);
	if (err == 0)
		k->state = WORKER_CLOSED;
	else
		gi_err("directory: cannot start a thread: %s", gi_strerror(err));
	return err;
}

/* ---- a thread: holds the lock but inside libldap ---- */

static void *worker_main(void *arg)
{
	struct worker *k = arg;
	struct dir_work *w = k->work;

	(void)pthread_setname_np(pthread_self(), "dir-lookup");
	(void)pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		if (k->state == WORKER_OPENING)
			worker_open(k);
		else if (k->back.look && (k->suspect || !w->up))
			worker_close(k);
		else if (k->back.look && w->n_jobs)
			worker_lookup(k);
		else
			worker_wait(k);
	}
	(void)pthread_mutex_unlock(&w->lock);
	dldap_close(k->back.look);
	return NULL;
}

/* the first connection stays, others until they were not needed for a while */
static void worker_wait(struct worker *k)
{
	struct dir_work *w = k->work;
	struct timespec until;

	if (k->state == WORKER_CALLED)
		k->state = WORKER_IDLE;
	if (!k->back.look || k == w->workers) {
		(void)pthread_cond_wait(&k->cond, &w->lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WORK_SPARE_SEC;
	if (pthread_cond_timedwait(&k->cond, &w->lock, &until) == ETIMEDOUT &&
		k->state == WORKER_IDLE)
		worker_close(k);
}

static void worker_open(struct worker *k)
{
	struct dir_work *w = k->work;
	uint64_t generation = w->generation;
	struct dir_back back = w->back;
	char why[DIR_WHY_MAX] = "";
	struct dldap *look = NULL;
	int err;

	(void)pthread_mutex_unlock(&w->lock);
	err = w->conf.open(w->conf.arg, &back, why, &look);
	(void)pthread_mutex_lock(&w->lock);
	if (err == 0) {
		k->back.look = look;
		k->state = WORKER_IDLE;
		k->suspect = generation != w->generation;
		io_backoff_init(&w->backoff, WORK_BACKOFF_MAX_MS);
	} else {
		k->state = WORKER_CLOSED;
		w->open_ms = io_clock_mono_ms() + io_backoff_next(&w->backoff);
		if (!w->up || generation != w->generation)
			return;
		if (!work_has_connection(w))
			work_fail(w, why);
		else
			gi_notice("directory: no further connection for lookups: %s", why);
	}
	work_call(w);
}

void worker_close(struct worker *k)
{
	struct dldap *look = k->back.look;

	k->back.look = NULL;
	k->state = WORKER_CLOSED;
	k->suspect = false;
	(void)pthread_mutex_unlock(&k->work->lock);
	dldap_close(look);
	(void)pthread_mutex_lock(&k->work->lock);
	if (k->work->up)
		work_call(k->work);
}

static int worker_ask(
	struct dir_back *b, const Idfw__DirLookup *l, struct dir_answer *ret, char why[DIR_WHY_MAX])
{
	if (!l->n_member_sid)
		return b->ops->lookup(b, l->name, l->sid.data, l->sid.len, ret, why);
	if (b->ops->foreign)
		return b->ops->foreign(b, l->member_sid, l->n_member_sid, ret, why);
	dir_answer_fail(ret, IDFW__DIR_RESULT__STATUS__UNAVAILABLE,
		"a directory of this type has no groups of other domains' accounts");
	return 0;
}

static void worker_lookup(struct worker *k)
{
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	struct dir_work *w = k->work;
	struct work_job job;
	const Idfw__DirLookup *l;
	struct work_began began = { .ms = io_clock_mono_ms(), .answers = w->answers };
	char why[DIR_WHY_MAX] = "";
	bool answered = true, found;
	size_t n;
	int err;

	k->state = WORKER_BUSY;
	if (k->generation != w->generation) {
		struct dldap *look = k->back.look;

		k->back = w->back;
		k->back.look = look;
		k->generation = w->generation;
	}
	n = dir_work_share(w);
	if (n > 1) {
		dir_work_batch(k, n);
		return;
	}
	job = w->jobs[w->first++ % WORK_WAITING_MAX];
	l = job.e->dir_lookup;
	w->n_jobs--;
	(void)pthread_mutex_unlock(&w->lock);
	dldap_until(k->back.look, began.ms + dir_calm_lookup_ms(w->conf.deadline_ms, job.spent_ms));
	err = worker_ask(&k->back, l, &a, why);
	found = err == 0 && a.status == IDFW__DIR_RESULT__STATUS__OK;
	if (err == 0)
		dir_reply_answer(w->conf.post, l->id, &a, io_clock_mono_ms() - began.ms);
	dir_answer_fini(&a);
	(void)pthread_mutex_lock(&w->lock);
	k->state = WORKER_IDLE;
	if (found && !l->n_member_sid)
		(void)!gi_text_copy(w->good, sizeof(w->good), l->name);
	if (err == 0)
		w->answers++;
	else if (err == -ECONNRESET || err == -ETIMEDOUT)
		answered = worker_broken(k, &job, err, &began, why);
	if (err < 0 && answered)
		dir_reply_unavailable(w->conf.post, l->id, why[0] ? why : gi_strerror(err));
	if (answered)
		wire_envelope_free(job.e);
}
