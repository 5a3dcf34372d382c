/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirworkmany.c - lookups in the directory child: several with one search, when many wait
 *
 * Runs in the threads of dirwork.c, under its lock but while the server is asked. The back end
 * answers whom it can; whoever is left goes back to the front of the queue and is looked up alone.
 * So does everybody when the connection was lost meanwhile. Where batches help few (names or DNs
 * that cannot be told whose they are) there are none until the next connection.
 */
#include "svm-idfw/dirwork_int.h"

#include <stdlib.h>

#include "lib/io/loop.h"
#include "svm-idfw/dirreply.h"

#define WORK_IN_VAIN_MAX 4 /* then each is looked up alone, until the next connection */

size_t dir_work_share(struct dir_work *w)
{
	size_t n = 0, workers = 0, max;

	if (!w->back.ops->lookup_many || w->in_vain >= WORK_IN_VAIN_MAX)
		return 1;
	for (unsigned int i = 0; i < w->conf.connections; i++)
		workers += w->workers[i].state >= WORKER_IDLE;
	max = (w->n_jobs + workers - 1) / (workers ? workers : 1);
	if (max > DIR_BATCH_MAX)
		max = DIR_BATCH_MAX;
	while (n < max) {
		const struct work_job *job = &w->jobs[(w->first + n) % WORK_WAITING_MAX];

		if (job->again || job->alone || job->e->dir_lookup->n_member_sid)
			break;
		n++;
	}
	return n;
}

/* in front, in their order; @again: their connection was lost */
static void work_put_back(struct dir_work *w, struct work_job *jobs, size_t n, bool again)
{
	while (n-- > 0) {
		jobs[n].alone = true;
		jobs[n].again |= again;
		w->first += WORK_WAITING_MAX - 1;
		w->jobs[w->first % WORK_WAITING_MAX] = jobs[n];
		w->n_jobs++;
	}
	work_call(w);
}

/* answers whom it can, without the lock; how many jobs are left, in front of @jobs */
static size_t batch_run(struct worker *k, struct work_job *jobs, struct dir_many *many, size_t n,
	int *ret_err, char why[DIR_WHY_MAX])
{
	uint64_t began = io_clock_mono_ms(), took;
	size_t left = 0;

	*ret_err = k->back.ops->lookup_many(&k->back, many, n, why);
	took = io_clock_mono_ms() - began;
	for (size_t i = 0; i < n; i++) {
		if (many[i].done)
			dir_reply_answer(k->work->conf.post, jobs[i].e->dir_lookup->id,
				many[i].answer, took);
		dir_answer_fini(many[i].answer);
		if (many[i].done)
			wire_envelope_free(jobs[i].e);
		else
			jobs[left++] = jobs[i];
	}
	return left;
}

void dir_work_batch(struct worker *k, size_t n)
{
	struct dir_answer *answers = calloc(n, sizeof(*answers));
	struct dir_many many[DIR_BATCH_MAX];
	struct work_job jobs[DIR_BATCH_MAX];
	struct dir_work *w = k->work;
	struct work_began began = { .ms = io_clock_mono_ms(), .answers = w->answers };
	bool down;
	char why[DIR_WHY_MAX] = "";
	int err = -ENOMEM;
	size_t left = n;

	for (size_t i = 0; i < n; i++) {
		jobs[i] = w->jobs[w->first++ % WORK_WAITING_MAX];
		many[i] = (struct dir_many){ .name = jobs[i].e->dir_lookup->name,
			.answer = answers ? &answers[i] : NULL };
	}
	w->n_jobs -= n;
	(void)pthread_mutex_unlock(&w->lock);
	dldap_until(k->back.look, 0);
	if (answers)
		left = batch_run(k, jobs, many, n, &err, why);
	free(answers);
	(void)pthread_mutex_lock(&w->lock);
	k->state = WORKER_IDLE;
	for (size_t i = 0; i < left; i++)
		jobs[i].spent_ms += io_clock_mono_ms() - began.ms;
	w->answers += n - left;
	w->in_vain = left * 2 > n ? w->in_vain + 1 : 0;
	if (err == -ECONNRESET)
		work_suspect(w, false);
	if (err == -ECONNRESET || err == -ETIMEDOUT)
		worker_close(k);
	/* else it may be one of them: each alone tells */
	down = err == -ETIMEDOUT && work_blame(w, err, &began) == DIR_CALM_SERVER;
	work_put_back(w, jobs, left, err == -ECONNRESET);
	if (w->up && down)
		work_fail(w, why);
	else if (!w->up)
		work_refuse(w);
}
