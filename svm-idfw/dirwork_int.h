/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirwork_int.h - what dirwork.c (connections, lookups), dirworkmany.c (several at once) and
 * dirworkfail.c (whose failure it is) share
 *
 * Runs in the directory child; nobody else includes it. All of struct dir_work is under its lock.
 */
#ifndef SVM_IDFW_DIRWORK_INT_H
#define SVM_IDFW_DIRWORK_INT_H

#include <pthread.h>

#include "lib/io/sock.h"
#include "svm-idfw/dircalm.h"
#include "svm-idfw/dirwork.h"

#define WORK_WAITING_MAX (2 * DIR_INFLIGHT_MAX)

enum worker_state {
	WORKER_NONE,	/* no thread yet */
	WORKER_CLOSED,	/* no connection */
	WORKER_OPENING, /* at it, or told to */
	WORKER_IDLE,
	WORKER_CALLED, /* for a lookup that waits; who is done earlier may take it away */
	WORKER_BUSY
};

struct worker {
	struct dir_work *work;
	pthread_t thread;
	pthread_cond_t cond;
	enum worker_state state;
	bool suspect; /* another one's connection broke: this one may be as dead */
	uint64_t opening_ms;
	uint64_t generation;  /* of back */
	struct dir_back back; /* the thread's */
};

struct work_job {
	Idfw__Envelope *e; /* owned */
	bool again;	   /* it has lost a connection already */
	bool alone;	   /* not with others */
	uint64_t spent_ms; /* on it, before */
};

struct dir_work {
	struct dir_work_conf conf;
	pthread_mutex_t lock; /* of all below */
	bool stop, up, lost;
	char why[DIR_WHY_MAX]; /* while not up */
	struct dir_back back;  /* to be copied; no connection */
	uint64_t generation;   /* of it */
	uint64_t answers;
	uint64_t heard_ms;	     /* dir_work_heard() */
	char good[DIR_NAME_MAX + 1]; /* an account that was found; "" none yet */
	uint64_t open_ms;	     /* no further connection before */
	struct io_backoff backoff;
	unsigned int in_vain;			/* batches in a row that helped few */
	struct work_job jobs[WORK_WAITING_MAX]; /* a ring */
	size_t first, n_jobs;
	struct worker workers[DIR_CONNECTIONS_MAX];
};

/* whoever is idle, for each lookup that waits; a connection more if that is not enough */
void work_call(struct dir_work *w);
/* nobody can be looked up any more: says so, and answers all that wait */
void work_fail(struct dir_work *w, const char *why);
/* all that wait are answered UNAVAILABLE */
void work_refuse(struct dir_work *w);
/* to be closed as soon as they can; @busy: those at a lookup as well, after it */
void work_suspect(struct dir_work *w, bool busy);
void worker_close(struct worker *k);

struct work_began { /* a lookup, or several */
	uint64_t ms, answers;
};

/* ---- dirworkfail.c ---- */

/* it failed by @err: whose failure is it? */
enum dir_calm_blame work_blame(const struct dir_work *w, int err, const struct work_began *began);
/* @job lost its connection, or had no answer in time; false: it waits again */
bool worker_broken(struct worker *k, struct work_job *job, int err, const struct work_began *began,
	const char *why);

/* ---- dirworkmany.c ---- */

/* how many of the next ones a worker takes at once: its share, so that all have something to do */
size_t dir_work_share(struct dir_work *w);
/* the next @n, at most DIR_BATCH_MAX; @k is busy, and idle or closed afterwards */
void dir_work_batch(struct worker *k, size_t n);

#endif
