/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.c - slots: each has a worker, gives it jobs, and gets it another when it is lost
 *
 * In the service; a slot belongs to the thread that runs jobs in it, and only `handover` (a worker
 * with new signatures, from a reload) is shared. Invariants: a worker that had a job and did not
 * end it in order is never used again, and the job never tried again (it may be what killed it); a
 * slot whose workers do not start waits longer each time; a finding carries the epoch of the worker
 * that made it. Source: docs/scan.md "The scanner's workers", docs/failure.md.
 */
#include "svm-scan/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "svm-scan/feed.h"
#include "svm-scan/proc.h"

#define MIB (1ull << 20)
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 30000
#define READY_MS 1000 /* for a ScanReady of which the first bytes are here */
#define BUDGET_MAX_MS (24u * 3600 * 1000)

struct slot {
	struct scan_proc *cur, *next; /* owned; next: still loads, will replace cur */
	struct scan_proc *handover;   /* owned; under the pool's lock */
	struct io_sha256 *sha;
	unsigned int fails; /* starts in a row that led to nothing */
	uint64_t not_before_ms;
	bool replacing;		/* cur stands for one that was lost: say when it is ready */
	char why[SCAN_WHY_MAX]; /* of the last failed start */
};

struct scan_pool {
	struct scan_pool_conf conf;
	char *strings[5]; /* owned; what conf points to */
	struct scan_spawner *spawner;
	int stop_fd;	      /* eventfd; readable: stopped */
	pthread_mutex_t lock; /* for all below */
	bool reloading, stopped;
	uint64_t job_id;
	struct scan_epoch epoch;
	char engines[SCAN_WHY_MAX + 1];
	struct scan_pool_stats stats;
	struct slot slots[];
};

static void pool_count(struct scan_pool *p, uint64_t *counter, uint64_t n)
{
	(void)pthread_mutex_lock(&p->lock);
	*counter += n;
	(void)pthread_mutex_unlock(&p->lock);
}

static void pool_note(
	struct scan_pool *p, enum scan_pool_note what, unsigned int slot, const char *text)
{
	char line[SCAN_WHY_MAX + 32];

	(void)snprintf(line, sizeof(line), "worker %u: %.*s", slot, SCAN_WHY_MAX, text);
	if (p->conf.note)
		p->conf.note(p->conf.arg, what, line);
}

static int conf_check(const struct scan_pool_conf *c, char why[SCAN_WHY_MAX])
{
	const char *bad = NULL;

	if (c->workers < 1 || c->workers > SCAN_SLOTS_MAX)
		bad = "number of workers";
	else if (!c->engines.clamav && !c->engines.yara)
		bad = "neither ClamAV signatures nor YARA rules are configured";
	else if (!c->tmp_dir || c->tmp_dir[0] != '/')
		bad = "temporary directory: not an absolute path";
	else if (c->budget_ms > BUDGET_MAX_MS || c->start_ms > BUDGET_MAX_MS)
		bad = "a time of more than a day";
	if (!bad)
		return 0;
	(void)snprintf(why, SCAN_WHY_MAX, "%s", bad);
	return -EINVAL;
}

static void conf_defaults(struct scan_pool_conf *c)
{
	struct scan_engines_conf *e = &c->engines;

	if (!c->budget_ms)
		c->budget_ms = 30000;
	if (!c->start_ms)
		c->start_ms = 120000;
	if (!c->recycle_jobs)
		c->recycle_jobs = 1000;
	if (!c->memory_bytes)
		c->memory_bytes = 1024 * MIB;
	if (!c->worker_arg)
		c->worker_arg = "--worker";
	if (!e->buffer_bytes)
		e->buffer_bytes = 64 * MIB;
	if (!e->max_file_bytes)
		e->max_file_bytes = 512 * MIB;
	if (!e->max_scan_bytes)
		e->max_scan_bytes = 400 * MIB;
	if (e->max_scan_bytes < e->max_file_bytes)
		e->max_scan_bytes = e->max_file_bytes;
	if (!e->max_files)
		e->max_files = 10000;
	if (!e->max_recursion)
		e->max_recursion = 17;
	if (!e->max_scan_ms)
		e->max_scan_ms = c->budget_ms;
}

static int conf_own(struct scan_pool *p)
{
	const char **of[GI_ARRAY_SIZE(p->strings)] = { &p->conf.engines.clamav,
		&p->conf.engines.yara, &p->conf.tmp_dir, &p->conf.user, &p->conf.worker_arg };

	for (size_t i = 0; i < GI_ARRAY_SIZE(of); i++) {
		if (!*of[i])
			continue;
		p->strings[i] = strdup(*of[i]);
		if (!p->strings[i])
			return -ENOMEM;
		*of[i] = p->strings[i];
	}
	return 0;
}

static int pool_start_proc(struct scan_pool *p, struct scan_proc **ret)
{
	pool_count(p, &p->stats.starts, 1);
	return scan_proc_start(p->spawner, p->stop_fd, p->conf.start_ms, ret);
}

/* all workers of a new pool, or of a reload: started side by side, with one epoch */
static int set_start(struct scan_pool *p, struct scan_proc **set, char why[SCAN_WHY_MAX])
{
	int err = 0;

	for (unsigned int i = 0; err == 0 && i < p->conf.workers; i++)
		if (!set[i]) {
			err = pool_start_proc(p, &set[i]);
			if (err < 0)
				(void)snprintf(why, SCAN_WHY_MAX, "starting a worker: %s",
					gi_strerror(err));
		}
	for (unsigned int i = 0; err == 0 && i < p->conf.workers; i++) {
		err = scan_proc_ready(set[i], UINT64_MAX, why);
		if (err == 0 &&
			memcmp(&set[i]->epoch, &set[0]->epoch, sizeof(set[0]->epoch)) != 0) {
			(void)snprintf(
				why, SCAN_WHY_MAX, "signatures changed while workers loaded them");
			err = -GI_ESTATE;
		}
	}
	return err;
}

static void set_end(struct scan_pool *p, struct scan_proc **set)
{
	for (unsigned int i = 0; set && i < p->conf.workers; i++)
		scan_proc_end(set[i], NULL);
	free(set);
}

static void set_adopt(struct scan_pool *p, struct scan_proc **set)
{
	p->epoch = set[0]->epoch;
	(void)snprintf(p->engines, sizeof(p->engines), "%s", set[0]->engines);
}

static int pool_fill(struct scan_pool *p, char why[SCAN_WHY_MAX])
{
	struct scan_proc **set = calloc(p->conf.workers, sizeof(struct scan_proc *));
	int err = set ? 0 : -ENOMEM;

	for (unsigned int i = 0; err == 0 && i < p->conf.workers; i++)
		err = io_sha256_new(&p->slots[i].sha);
	if (err == 0)
		err = set_start(p, set, why);
	if (err == 0) {
		set_adopt(p, set);
		for (unsigned int i = 0; i < p->conf.workers; i++) {
			p->slots[i].cur = set[i];
			set[i] = NULL;
		}
	}
	set_end(p, set);
	return err;
}

int scan_pool_new(
	const struct scan_pool_conf *conf, char ret_why[SCAN_WHY_MAX], struct scan_pool **ret)
{
	struct scan_pool *p;
	int err;

	ret_why[0] = '\0';
	err = conf_check(conf, ret_why);
	if (err < 0)
		return err;
	p = calloc(1, sizeof(*p) + conf->workers * sizeof(p->slots[0]));
	if (!p)
		return -ENOMEM;
	p->conf = *conf;
	conf_defaults(&p->conf);
	(void)pthread_mutex_init(&p->lock, NULL);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = p->stop_fd < 0 ? -errno : conf_own(p);
	if (err == 0)
		err = scan_spawner_new(&p->conf, ret_why, &p->spawner);
	if (err == 0)
		err = pool_fill(p, ret_why);
	if (err < 0) {
		if (!ret_why[0])
			(void)snprintf(ret_why, SCAN_WHY_MAX, "%s", gi_strerror(err));
		scan_pool_free(p);
		return err;
	}
	*ret = p;
	return 0;
}

void scan_pool_stop(struct scan_pool *p)
{
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&p->lock);
	p->stopped = true;
	(void)pthread_mutex_unlock(&p->lock);
	(void)!write(p->stop_fd, &one, sizeof(one)); /* full is as readable as one */
}

void scan_pool_free(struct scan_pool *p)
{
	if (!p)
		return;
	for (unsigned int i = 0; i < p->conf.workers; i++) {
		scan_proc_end(p->slots[i].cur, NULL);
		scan_proc_end(p->slots[i].next, NULL);
		scan_proc_end(p->slots[i].handover, NULL);
		io_sha256_free(p->slots[i].sha);
	}
	scan_spawner_free(p->spawner);
	if (p->stop_fd >= 0)
		(void)close(p->stop_fd);
	for (size_t i = 0; i < GI_ARRAY_SIZE(p->strings); i++)
		free(p->strings[i]);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* a start that led to nothing; the next one later each time */
static void slot_start_failed(struct scan_pool *p, unsigned int n, const char *why)
{
	struct slot *s = &p->slots[n];
	uint64_t wait = (uint64_t)BACKOFF_MIN_MS << (s->fails < 16 ? s->fails : 16);

	s->fails++;
	s->not_before_ms = scan_now_ms() + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
	(void)snprintf(s->why, sizeof(s->why), "%s", why);
	pool_count(p, &p->stats.start_failures, 1);
	pool_note(p, SCAN_NOTE_START_FAILED, n, why);
}

/* its successor when one loads already, else a new one; ready later */
static void slot_start(struct scan_pool *p, unsigned int n)
{
	struct slot *s = &p->slots[n];
	int err;

	if (s->next) {
		s->cur = s->next;
		s->next = NULL;
		s->replacing = true;
		return;
	}
	if (scan_now_ms() < s->not_before_ms)
		return;
	err = pool_start_proc(p, &s->cur);
	s->replacing = true;
	if (err < 0)
		slot_start_failed(p, n, gi_strerror(err));
}

/* the worker is of no use any more */
static void slot_lose(struct scan_pool *p, unsigned int n, const char *reason)
{
	struct slot *s = &p->slots[n];
	char why[SCAN_WHY_MAX], text[SCAN_WHY_MAX];

	scan_proc_end(s->cur, why);
	s->cur = NULL;
	(void)snprintf(
		text, sizeof(text), "%s: %.128s", reason, why[0] ? why : "killed by signal 9");
	pool_note(p, SCAN_NOTE_ENDED, n, text);
}

static void slot_swap(struct slot *s, struct scan_proc *by)
{
	scan_proc_end(s->cur, NULL);
	s->cur = by;
	s->fails = 0;
	s->not_before_ms = 0;
	s->replacing = false;
}

/* the successor of a worker that is old: takes over once it is ready, nobody waits for it */
static void slot_succeed(struct scan_pool *p, unsigned int n)
{
	struct slot *s = &p->slots[n];
	uint64_t now = scan_now_ms();
	char why[SCAN_WHY_MAX] = "";
	int err;

	if (!scan_msgs_pending(&s->next->msgs) && now < s->next->start_end_ms)
		return;
	err = scan_proc_ready(s->next, now + READY_MS, why);
	if (err == 0) {
		slot_swap(s, s->next);
		pool_count(p, &p->stats.recycled, 1);
	} else { /* the old one goes on, as long again */
		scan_proc_end(s->next, NULL);
		s->cur->jobs = 0;
		slot_start_failed(p, n, why);
	}
	s->next = NULL;
}

/* between two jobs: new signatures first, then sudden death, then old age */
static void slot_renew(struct scan_pool *p, unsigned int n)
{
	struct slot *s = &p->slots[n];
	struct scan_proc *by;

	(void)pthread_mutex_lock(&p->lock);
	by = s->handover;
	s->handover = NULL;
	(void)pthread_mutex_unlock(&p->lock);
	if (by) {
		scan_proc_end(s->next, NULL); /* of the old signatures, maybe */
		s->next = NULL;
		slot_swap(s, by);
	}
	if (s->cur && scan_proc_is_lost(s->cur)) {
		pool_count(p, &p->stats.crashes, 1);
		slot_lose(p, n, "ended while it was idle");
	}
	if (!s->cur)
		slot_start(p, n);
	else if (s->next)
		slot_succeed(p, n);
	else if (scan_proc_is_old(s->cur, p->conf.recycle_jobs) && pool_start_proc(p, &s->next) < 0)
		s->next = NULL; /* at the next job */
}

static void slot_is_ready(struct scan_pool *p, unsigned int n)
{
	struct slot *s = &p->slots[n];
	bool other;

	s->fails = 0;
	if (!s->replacing)
		return;
	s->replacing = false;
	(void)pthread_mutex_lock(&p->lock);
	other = memcmp(&p->epoch, &s->cur->epoch, sizeof(p->epoch)) != 0;
	(void)pthread_mutex_unlock(&p->lock);
	pool_note(p, SCAN_NOTE_STARTED, n, "replaced");
	if (other)
		pool_note(p, SCAN_NOTE_OTHER_SIGNATURES, n, "has loaded other signatures");
}

static void failed(struct scan_finding *f, const char *what, const char *why)
{
	*f = (struct scan_finding){ .outcome = SCAN_FAILED };
	(void)snprintf(f->text, sizeof(f->text), "%.64s%s%.180s", what, why[0] ? ": " : "", why);
}

/* a worker that can take a job, or a finding that says why there is none */
static bool slot_prepare(
	struct scan_pool *p, unsigned int n, uint64_t deadline, struct scan_finding *ret)
{
	struct slot *s = &p->slots[n];
	char why[SCAN_WHY_MAX] = "";
	int err;

	slot_renew(p, n);
	if (!s->cur) {
		failed(ret, "no worker", s->why);
		return false;
	}
	err = scan_proc_ready(s->cur, deadline, why);
	if (err == 0) {
		slot_is_ready(p, n);
		return true;
	}
	failed(ret, "no worker", err == -ECANCELED ? "the service stops" : why);
	if (err != -EAGAIN && err != -ECANCELED) {
		scan_proc_end(s->cur, NULL);
		s->cur = NULL;
		slot_start_failed(p, n, why);
	}
	return false;
}

/* the job's end is the worker's end: what to say, what to count */
static void slot_job_lost(
	struct scan_pool *p, unsigned int n, int err, const char *why, struct scan_finding *ret)
{
	struct slot *s = &p->slots[n];
	uint64_t *counter = &p->stats.crashes;
	char how[SCAN_WHY_MAX];

	scan_proc_end(s->cur, how);
	s->cur = NULL;
	if (err == -ECANCELED) {
		failed(ret, "the service stops", "");
		return;
	}
	if (err == -ETIMEDOUT) {
		counter = &p->stats.killed_budget;
		failed(ret, "out of time", "");
	} else if (err == -GI_EPROTO || err == -GI_EDENIED || err == -GI_ELIMIT) {
		counter = &p->stats.killed_protocol;
		failed(ret, "worker broke the protocol", why);
	} else if (err == -GI_ECLOSED) {
		failed(ret, "worker ended", how[0] ? how : "killed by signal 9 (KILL)");
	} else {
		failed(ret, "worker ended", gi_strerror(err));
	}
	pool_count(p, counter, 1);
	pool_note(p, SCAN_NOTE_ENDED, n, ret->text);
	slot_start(p, n); /* loads while the verdict is on its way */
}

static void pool_account(struct scan_pool *p, const struct scan_finding *f, uint64_t bytes)
{
	(void)pthread_mutex_lock(&p->lock);
	p->stats.jobs++;
	p->stats.bytes += bytes;
	p->stats.clean += f->outcome == SCAN_CLEAN;
	p->stats.found += f->outcome == SCAN_FOUND;
	p->stats.failed += f->outcome == SCAN_FAILED;
	(void)pthread_mutex_unlock(&p->lock);
}

void scan_pool_run(struct scan_pool *p, unsigned int slot, const struct scan_source *src,
	struct scan_finding *ret, struct scan_epoch *ret_epoch)
{
	uint64_t deadline = scan_now_ms() + p->conf.budget_ms, bytes = 0, id;
	struct slot *s = &p->slots[slot];
	const char *why = "";
	bool stopped;
	int err;

	(void)pthread_mutex_lock(&p->lock);
	id = ++p->job_id;
	*ret_epoch = p->epoch;
	stopped = p->stopped;
	(void)pthread_mutex_unlock(&p->lock);
	if (stopped) {
		failed(ret, "the service stops", "");
	} else if (slot_prepare(p, slot, deadline, ret)) {
		*ret_epoch = s->cur->epoch;
		s->cur->msgs.deadline_ms = deadline;
		s->cur->jobs++;
		err = scan_feed(&s->cur->msgs, id, src, s->sha, ret, &bytes, &why);
		if (err < 0)
			slot_job_lost(p, slot, err, why, ret);
	}
	pool_account(p, ret, bytes);
}

static int reload_begin(struct scan_pool *p)
{
	int err;

	(void)pthread_mutex_lock(&p->lock);
	err = p->reloading ? -EBUSY : 0;
	p->reloading = true;
	(void)pthread_mutex_unlock(&p->lock);
	return err;
}

/* from here on each slot finds its new worker; those that no slot took yet are replaced */
static void reload_hand_over(struct scan_pool *p, struct scan_proc **set)
{
	(void)pthread_mutex_lock(&p->lock);
	set_adopt(p, set);
	for (unsigned int i = 0; i < p->conf.workers; i++) {
		struct scan_proc *old = p->slots[i].handover;

		p->slots[i].handover = set[i];
		set[i] = old;
	}
	p->stats.reloads++;
	(void)pthread_mutex_unlock(&p->lock);
}

int scan_pool_reload(struct scan_pool *p, char ret_why[SCAN_WHY_MAX], struct scan_epoch *ret)
{
	struct scan_proc **set = NULL;
	struct scan_epoch epoch;
	int err = reload_begin(p);

	ret_why[0] = '\0';
	if (err < 0) {
		(void)snprintf(ret_why, SCAN_WHY_MAX, "a reload is under way");
		return err;
	}
	set = calloc(p->conf.workers, sizeof(struct scan_proc *));
	err = set ? 0 : -ENOMEM;
	if (err == 0) /* one alone first: broken signatures are not to cost more than that */
		err = pool_start_proc(p, &set[0]);
	if (err == 0)
		err = scan_proc_ready(set[0], UINT64_MAX, ret_why);
	if (err == 0)
		err = set_start(p, set, ret_why);
	if (err == 0) {
		epoch = set[0]->epoch;
		reload_hand_over(p, set);
		*ret = epoch;
	} else if (!ret_why[0]) {
		(void)snprintf(ret_why, SCAN_WHY_MAX, "%s", gi_strerror(err));
	}
	set_end(p, set);
	(void)pthread_mutex_lock(&p->lock);
	p->reloading = false;
	(void)pthread_mutex_unlock(&p->lock);
	return err;
}

void scan_pool_epoch(struct scan_pool *p, struct scan_epoch *ret)
{
	(void)pthread_mutex_lock(&p->lock);
	*ret = p->epoch;
	(void)pthread_mutex_unlock(&p->lock);
}

void scan_pool_engines(struct scan_pool *p, char ret[SCAN_WHY_MAX + 1])
{
	(void)pthread_mutex_lock(&p->lock);
	memcpy(ret, p->engines, sizeof(p->engines));
	(void)pthread_mutex_unlock(&p->lock);
}

void scan_pool_stats(struct scan_pool *p, struct scan_pool_stats *ret)
{
	(void)pthread_mutex_lock(&p->lock);
	*ret = p->stats;
	ret->workers = p->conf.workers;
	(void)pthread_mutex_unlock(&p->lock);
}
