/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * judge.c - from an event to its verdict, see judge.h
 *
 * Locks: .lock guards the hash list (a counted snapshot), the generation, and the table of scans
 * under way; it is never held while something blocks or an event is answered.
 * Invariants: every event is answered exactly once. A scan under way is in the table while its
 * content is whole in the event's head; followers join only one of the present generation, since
 * their answer carries the epoch that was set when they came. FAILED is never remembered.
 */
#define HASH_NONFATAL_OOM 1 /* a scan that cannot be shared is made alone */
#include "svm-scan/judge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"
#include "lib/io/sha256.h"
#include "svm-scan/report.h"
#include "svm-scan/verdict.h"

struct list_ref { /* the hash list, as long as somebody looks into it */
	struct scan_hashlist *list;
	unsigned int refs;
};

struct judge_note { /* in the event's room, from the first look on */
	uint64_t since_us;
	bool hashed; /* the whole content came with the event */
	uint8_t sha256[32];
};
_Static_assert(sizeof(struct judge_note) <= EPS_ROOM_BYTES, "it fits");

struct waiter {
	struct eps_event *ev;
	struct waiter *next;
};

struct flight {		    /* a scan under way */
	uint8_t sha256[32]; /* key */
	uint64_t generation;
	struct waiter *first, **last;
	UT_hash_handle hh;
};

struct judge_thread {
	struct scan_judge *judge;
	unsigned int slot;
	pthread_t thread;
	bool running;
};

struct scan_judge {
	struct scan_judge_conf conf;
	struct scan_cache *cache;
	struct io_sha256 *look_hash; /* of libepsec's thread */
	struct eps *eps;
	struct judge_thread *threads;
	pthread_mutex_t lock;
	struct list_ref *list;
	uint64_t generation;
	struct flight *flights;
	atomic_ullong looked, scanned, followers, gone;
};

/* ---- life ---- */

static struct list_ref *list_ref_new(struct scan_hashlist *list)
{
	struct list_ref *r = calloc(1, sizeof(*r));

	if (r) {
		r->list = list;
		r->refs = 1;
	}
	return r;
}

static struct list_ref *list_get(struct scan_judge *j)
{
	struct list_ref *r;

	(void)pthread_mutex_lock(&j->lock);
	r = j->list;
	r->refs++;
	(void)pthread_mutex_unlock(&j->lock);
	return r;
}

static void list_put(struct scan_judge *j, struct list_ref *r)
{
	bool last;

	if (!r)
		return;
	(void)pthread_mutex_lock(&j->lock);
	last = --r->refs == 0;
	(void)pthread_mutex_unlock(&j->lock);
	if (!last)
		return;
	scan_hashlist_free(r->list);
	free(r);
}

int scan_judge_new(const struct scan_judge_conf *conf, struct scan_judge **ret)
{
	struct scan_judge *j = calloc(1, sizeof(*j));
	int err = 0;

	if (!j)
		return -ENOMEM;
	j->conf = *conf;
	if (pthread_mutex_init(&j->lock, NULL) != 0) {
		free(j);
		return -ENOMEM;
	}
	j->list = list_ref_new(NULL);
	j->threads = calloc(conf->workers, sizeof(*j->threads));
	if (!j->list || !j->threads)
		err = -ENOMEM;
	if (err == 0)
		err = scan_cache_new(conf->cache_entries, &j->cache);
	if (err == 0)
		err = io_sha256_new(&j->look_hash);
	for (unsigned int i = 0; err == 0 && i < conf->workers; i++) {
		j->threads[i].judge = j;
		j->threads[i].slot = i;
	}
	if (err < 0) {
		scan_judge_free(j);
		return err;
	}
	*ret = j;
	return 0;
}

void scan_judge_free(struct scan_judge *j)
{
	if (!j)
		return;
	free(j->threads);
	list_put(j, j->list);
	scan_cache_free(j->cache);
	io_sha256_free(j->look_hash);
	(void)pthread_mutex_destroy(&j->lock);
	free(j);
}

/* one name for signatures and list */
static int epoch_of(const struct scan_hashlist *list, const struct scan_epoch *signatures,
	uint8_t ret[EPS_EPOCH_MAX])
{
	struct io_sha256 *h = NULL;
	uint8_t digest[32];
	int err = scan_hashlist_digest(list, digest);

	if (err == 0)
		err = io_sha256_new(&h);
	if (err < 0)
		return err;
	io_sha256_add(h, signatures->id, sizeof(signatures->id));
	io_sha256_add(h, digest, sizeof(digest));
	io_sha256_end(h, ret);
	io_sha256_free(h);
	return 0;
}

int scan_judge_swap(struct scan_judge *j, struct scan_hashlist *list,
	const struct scan_epoch *signatures, uint8_t ret_epoch[EPS_EPOCH_MAX])
{
	struct list_ref *old, *new = list_ref_new(list);
	int err = new ? epoch_of(list, signatures, ret_epoch) : -ENOMEM;

	if (err < 0) {
		free(new);
		return err;
	}
	(void)pthread_mutex_lock(&j->lock);
	old = j->list;
	j->list = new;
	j->generation++;
	(void)pthread_mutex_unlock(&j->lock);
	scan_cache_epoch(j->cache, signatures->id, sizeof(signatures->id));
	list_put(j, old);
	return 0;
}

/* ---- findings without a scan ---- */

/* @h is begun, and is again */
static void content_hash(struct io_sha256 *h, const void *buf, size_t len, uint8_t ret[32])
{
	io_sha256_add(h, buf, len);
	io_sha256_end(h, ret);
}

static bool listed(struct scan_judge *j, const uint8_t sha256[32], struct scan_finding *ret)
{
	struct list_ref *l = list_get(j);
	const char *name = "";
	enum scan_listed what = scan_hashlist_find(l->list, sha256, &name);

	if (what != SCAN_NOT_LISTED) {
		*ret = (struct scan_finding){ .has_sha256 = true,
			.outcome = what == SCAN_LISTED_DENY ? SCAN_FOUND : SCAN_CLEAN };
		memcpy(ret->sha256, sha256, 32);
		(void)snprintf(ret->engine, sizeof(ret->engine), "hash-list");
		if (what == SCAN_LISTED_DENY)
			(void)snprintf(ret->signature, sizeof(ret->signature), "%s",
				*name ? name : "listed");
	}
	list_put(j, l);
	return what != SCAN_NOT_LISTED;
}

static bool known(
	struct scan_judge *j, const uint8_t sha256[32], const char *vm, struct scan_finding *ret)
{
	if (listed(j, sha256, ret))
		return true;
	if (!scan_cache_find(j->cache, sha256, ret))
		return false;
	scan_vms_count(j->conf.vms, vm, SCAN_VM_FROM_CACHE);
	return true;
}

static void failed(struct scan_finding *f, const char *why)
{
	*f = (struct scan_finding){ .outcome = SCAN_FAILED };
	(void)snprintf(f->text, sizeof(f->text), "%s", why);
}

static const struct judge_note *note_of(struct eps_event *ev)
{
	return eps_event_room(ev);
}

static void answer(struct scan_judge *j, struct eps_event *ev, const struct scan_rules *rules,
	const struct scan_finding *f)
{
	int err = scan_verdict_answer(ev, rules, f, note_of(ev)->since_us, j->conf.vms);

	if (err == -EPS_EGONE)
		atomic_fetch_add(&j->gone, 1);
}

static void over_quota(struct scan_judge *j, const char *vm, bool first)
{
	if (first)
		scan_report_note(j->conf.report, vm, "over its quota: files are not scanned");
}

/* ---- scans that are shared ---- */

/* true: @ev waits for the one under way. *ret_leader: @ev was entered as the one */
static bool flight_join(struct scan_judge *j, const uint8_t sha256[32], struct eps_event *ev,
	bool lead, bool *ret_leader)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct flight *f = NULL;
	bool joined = false;

	(void)pthread_mutex_lock(&j->lock);
	HASH_FIND(hh, j->flights, sha256, 32, f);
	if (f && w && f->generation == j->generation) {
		w->ev = ev;
		*f->last = w;
		f->last = &w->next;
		w = NULL;
		joined = true;
	} else if (!f && lead) {
		f = calloc(1, sizeof(*f));
		if (f) {
			memcpy(f->sha256, sha256, 32);
			f->generation = j->generation;
			f->last = &f->first;
			HASH_ADD(hh, j->flights, sha256, 32, f);
			*ret_leader = f->hh.tbl != NULL;
			if (!f->hh.tbl)
				free(f);
		}
	}
	(void)pthread_mutex_unlock(&j->lock);
	free(w);
	if (joined)
		atomic_fetch_add(&j->followers, 1);
	return joined;
}

/* ends it: who waited. With @again the first of them is returned to lead, and it goes on */
static struct waiter *flight_end(struct scan_judge *j, const uint8_t sha256[32], bool again)
{
	struct waiter *list = NULL;
	struct flight *f;

	(void)pthread_mutex_lock(&j->lock);
	HASH_FIND(hh, j->flights, sha256, 32, f);
	if (f && again && f->first) {
		list = f->first;
		f->first = list->next;
		if (!f->first)
			f->last = &f->first;
		list->next = NULL;
	} else if (f) {
		list = f->first;
		HASH_DEL(j->flights, f);
		free(f);
	}
	(void)pthread_mutex_unlock(&j->lock);
	return list;
}

/* ---- the two ways in ---- */

bool scan_judge_look(struct scan_judge *j, struct eps_event *ev)
{
	const struct eps_file *file = eps_event_file(ev);
	struct judge_note *note = eps_event_room(ev);
	struct scan_finding f = { .outcome = SCAN_CLEAN };
	struct scan_rules rules;
	bool first, leader, within;

	note->since_us = io_clock_mono_us();
	within = scan_vms_take(j->conf.vms, file->vm, 1, 0, &rules, &first);
	if (!within) {
		over_quota(j, file->vm, first);
		failed(&f, "quota");
	} else if (rules.max_file_bytes && file->size > rules.max_file_bytes) {
		failed(&f, "too large");
	} else if (file->size > 0) {
		if (file->head_len != file->size)
			return false;
		content_hash(j->look_hash, file->head, file->head_len, note->sha256);
		note->hashed = true;
		if (!known(j, note->sha256, file->vm, &f))
			return flight_join(j, note->sha256, ev, false, &leader);
	}
	atomic_fetch_add(&j->looked, 1);
	answer(j, ev, &rules, &f);
	return true;
}

/* the pool's finding, with what the list says of it; *ret_gone: nobody waited, try another's */
static void scan(
	struct judge_thread *t, struct eps_event *ev, struct scan_finding *f, bool *ret_gone)
{
	struct scan_judge *j = t->judge;
	struct scan_finding listed_f;
	struct scan_source src;
	struct scan_epoch epoch;

	scan_source_event(&src, ev);
	src.sha256 = note_of(ev)->hashed ? note_of(ev)->sha256 : NULL;
	scan_pool_run(j->conf.pool, t->slot, &src, f, &epoch);
	atomic_fetch_add(&j->scanned, 1);
	*ret_gone = f->outcome == SCAN_FAILED && eps_event_gone(ev);
	if (f->outcome != SCAN_FAILED)
		scan_cache_add(j->cache, f, epoch.id, sizeof(epoch.id));
	if (f->has_sha256 && listed(j, f->sha256, &listed_f))
		*f = listed_f;
}

static void answer_waiters(struct scan_judge *j, struct waiter *w, const struct scan_finding *f)
{
	while (w) {
		const struct eps_file *file = eps_event_file(w->ev);
		struct waiter *next = w->next;
		struct scan_rules rules;

		scan_vms_rules(j->conf.vms, file->vm, &rules);
		if (f->outcome != SCAN_FAILED)
			scan_vms_count(j->conf.vms, file->vm, SCAN_VM_FROM_CACHE);
		answer(j, w->ev, &rules, f);
		free(w);
		w = next;
	}
}

/* an event nobody knew at first sight */
static void judge_scan(struct judge_thread *t, struct eps_event *ev, const struct scan_rules *rules)
{
	struct scan_judge *j = t->judge;
	uint8_t sha256[32];
	struct waiter *next = NULL;
	struct scan_rules r = *rules;
	struct scan_finding f;
	bool leader = false, gone = false;

	memcpy(sha256, note_of(ev)->sha256, sizeof(sha256)); /* it outlives the event */
	if (note_of(ev)->hashed && flight_join(j, sha256, ev, true, &leader))
		return;
	/* another's scan may have ended between our look and our lead */
	if (leader && known(j, sha256, eps_event_file(ev)->vm, &f)) {
		answer(j, ev, &r, &f);
		answer_waiters(j, flight_end(j, sha256, false), &f);
		return;
	}
	for (;;) {
		scan(t, ev, &f, &gone);
		answer(j, ev, &r, &f);
		next = leader ? flight_end(j, sha256, gone) : NULL;
		if (!gone || !next)
			break;
		/* its guest went away: another one's content is the same */
		ev = next->ev;
		free(next);
		scan_vms_rules(j->conf.vms, eps_event_file(ev)->vm, &r);
	}
	answer_waiters(j, next, &f);
}

static void judge_event(struct judge_thread *t, struct eps_event *ev)
{
	struct scan_judge *j = t->judge;
	const struct eps_file *file = eps_event_file(ev);
	const struct judge_note *note = note_of(ev);
	struct scan_finding f;
	struct scan_rules rules;
	bool first;

	if (note->hashed && known(j, note->sha256, file->vm, &f)) { /* while it waited */
		scan_vms_rules(j->conf.vms, file->vm, &rules);
		answer(j, ev, &rules, &f);
		return;
	}
	if (!scan_vms_take(j->conf.vms, file->vm, 0, file->size, &rules, &first)) {
		over_quota(j, file->vm, first);
		failed(&f, "quota");
		answer(j, ev, &rules, &f);
		return;
	}
	judge_scan(t, ev, &rules);
}

static void *judge_main(void *arg)
{
	struct judge_thread *t = arg;
	struct eps_event *ev;

	while (eps_next(t->judge->eps, -1, &ev) == 0)
		judge_event(t, ev);
	return NULL;
}

int scan_judge_start(struct scan_judge *j, struct eps *e)
{
	int err = 0;

	j->eps = e;
	for (unsigned int i = 0; err == 0 && i < j->conf.workers; i++) {
		err = -pthread_create(&j->threads[i].thread, NULL, judge_main, &j->threads[i]);
		j->threads[i].running = err == 0;
	}
	return err;
}

void scan_judge_join(struct scan_judge *j)
{
	for (unsigned int i = 0; j && i < j->conf.workers; i++) {
		if (j->threads[i].running)
			(void)pthread_join(j->threads[i].thread, NULL);
		j->threads[i].running = false;
	}
}

/* ---- what came of it ---- */

void scan_judge_done(struct scan_judge *j, const char *vm, const struct eps_done *d)
{
	struct scan_rules rules;

	scan_vms_rules(j->conf.vms, vm, &rules);
	if (d->lost || d->result == EPS_RESULT_FAILED)
		scan_vms_count(j->conf.vms, vm, SCAN_VM_ACTIONS_FAILED);
	scan_verdict_record(j->conf.report, j->conf.vms, vm, &rules, d);
}

void scan_judge_known(struct scan_judge *j, const uint8_t sha256[32], enum scan_listed *ret_listed,
	enum scan_outcome *ret_cached, char ret_signature[EPS_SIGNATURE_MAX + 1])
{
	struct list_ref *l = list_get(j);
	struct scan_finding f;
	const char *name = "";

	*ret_listed = scan_hashlist_find(l->list, sha256, &name);
	*ret_cached = 0;
	ret_signature[0] = '\0';
	if (*ret_listed == SCAN_LISTED_DENY)
		(void)snprintf(ret_signature, EPS_SIGNATURE_MAX + 1, "%s", name);
	list_put(j, l);
	if (!scan_cache_find(j->cache, sha256, &f))
		return;
	*ret_cached = f.outcome;
	if (!*ret_signature)
		(void)snprintf(ret_signature, EPS_SIGNATURE_MAX + 1, "%s", f.signature);
}

void scan_judge_stats(struct scan_judge *j, struct scan_judge_stats *ret)
{
	struct list_ref *l = list_get(j);

	*ret = (struct scan_judge_stats){ .looked = atomic_load(&j->looked),
		.scanned = atomic_load(&j->scanned),
		.followers = atomic_load(&j->followers),
		.gone = atomic_load(&j->gone),
		.list_entries = scan_hashlist_count(l->list) };
	scan_cache_stats(j->cache, &ret->cache_hits, &ret->cache_misses, &ret->cache_entries);
	list_put(j, l);
}
