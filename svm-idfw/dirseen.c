/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirseen.c - accounts that lookups have found: whose end must be noticed
 *
 * Runs in the directory child: its lookup threads add, its main thread asks. One lock around a
 * table that is in order of asking: who was asked for in this round stands at the end. Beside it a
 * list in order of lookups, the latest first, and an index of what they are called as members of
 * groups. Invariants: an answer that was being found when something was told of which nobody knows
 * whom it concerns is told, too; who left a group and is not found is nobody only as long as all
 * that were ever found are in the table, called in the one way that there is.
 */
#include "svm-idfw/dirseen.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define SEEN_LEFT_MAX 64      /* members that left: of whose lookups that run we know */
#define SEEN_RENAMED_MS 60000 /* after a renaming values with the old name may still go */

struct seen {
	uint8_t id[16];
	uint64_t round;
	uint64_t ended_ms;
	uint64_t as_member; /* 0 not known */
	struct dir_index_node called;
	bool late;		  /* to be told of */
	struct seen *prev, *next; /* by the time of the last lookup */
	UT_hash_handle hh;
};

struct left {
	uint64_t as_member, told_ms;
};

struct dir_seen {
	pthread_mutex_t lock;
	struct seen *all; /* owned */
	struct seen *latest;
	size_t max, n_late;
	uint64_t told_ms; /* lookups that were running then are late */
	uint64_t key[2];
	struct dir_index called;
	struct left left[SEEN_LEFT_MAX]; /* a ring: lookups that were running then and find them */
	size_t n_left;
	size_t n_odd;	     /* that may be called otherwise, too */
	uint64_t renamed_ms; /* the last one; 0 never */
	bool missing;	     /* not all that were found are here */
};

int dir_seen_new(size_t max, const uint64_t key[2], struct dir_seen **ret)
{
	struct dir_seen *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (pthread_mutex_init(&s->lock, NULL) != 0) {
		free(s);
		return -ENOMEM;
	}
	s->max = max;
	memcpy(s->key, key, sizeof(s->key));
	*ret = s;
	return 0;
}

static void seen_uncall(struct dir_seen *s, struct seen *e)
{
	s->n_odd -= !(e->as_member & DIR_MEMBER_PLAIN);
	dir_index_drop(&s->called, &e->called);
}

static void seen_call(struct dir_seen *s, struct seen *e, uint64_t as_member)
{
	e->as_member = as_member;
	s->n_odd += !(as_member & DIR_MEMBER_PLAIN);
	dir_index_add(&s->called, &e->called, as_member & DIR_MEMBER_WHO);
}

static void seen_drop(struct dir_seen *s, struct seen *e)
{
	seen_uncall(s, e);
	HASH_DEL(s->all, e);
	DL_DELETE(s->latest, e);
	s->n_late -= e->late;
	free(e);
}

void dir_seen_free(struct dir_seen *s)
{
	struct seen *e, *next;

	if (!s)
		return;
	HASH_ITER (hh, s->all, e, next)
		seen_drop(s, e);
	dir_index_fini(&s->called);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct seen *seen_find(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e;

	HASH_FIND(hh, s->all, id, 16, e);
	return e;
}

static struct seen *seen_new(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e = calloc(1, sizeof(*e));

	s->missing |= !e || HASH_COUNT(s->all) >= s->max;
	if (!e)
		return NULL;
	if (HASH_COUNT(s->all) >= s->max)
		seen_drop(s, s->all);
	seen_call(s, e, 0);
	memcpy(e->id, id, sizeof(e->id));
	HASH_ADD(hh, s->all, id, sizeof(e->id), e);
	return e;
}

/* who left while it was looked up, as far as that is remembered */
static bool left_meanwhile(const struct dir_seen *s, uint64_t as_member, uint64_t began_ms)
{
	for (size_t i = 0; i < SEEN_LEFT_MAX && i < s->n_left; i++) {
		const struct left *l = &s->left[(s->n_left - 1 - i) % SEEN_LEFT_MAX];

		if (l->told_ms < began_ms)
			return false;
		if (!((l->as_member ^ as_member) & DIR_MEMBER_WHO) ||
			!(as_member & DIR_MEMBER_PLAIN))
			return true;
	}
	return s->n_left > SEEN_LEFT_MAX;
}

void dir_seen_add_as(struct dir_seen *s, const uint8_t id[16], uint64_t as_member,
	uint64_t began_ms, uint64_t now_ms)
{
	struct seen *e;

	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	e = seen_find(s, id);
	if (e)
		DL_DELETE(s->latest, e);
	else
		e = seen_new(s, id);
	if (e) {
		DL_PREPEND(s->latest, e);
		e->ended_ms = now_ms;
		if (e->as_member != as_member) {
			s->renamed_ms = e->as_member ? now_ms : s->renamed_ms;
			seen_uncall(s, e);
			seen_call(s, e, as_member);
		}
		if (!e->late &&
			(began_ms <= s->told_ms || left_meanwhile(s, as_member, began_ms))) {
			e->late = true;
			s->n_late++;
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
}

void dir_seen_add(struct dir_seen *s, const uint8_t id[16], uint64_t began_ms, uint64_t now_ms)
{
	dir_seen_add_as(s, id, 0, began_ms, now_ms);
}

void dir_seen_nameless(struct dir_seen *s)
{
	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->missing = true;
	(void)pthread_mutex_unlock(&s->lock);
}

const uint64_t *dir_seen_key(const struct dir_seen *s)
{
	return s->key;
}

bool dir_seen_left(struct dir_seen *s, uint64_t as_member, uint64_t now_ms, struct dir_changes *ret,
	bool *ret_sure)
{
	const uint64_t who = as_member & DIR_MEMBER_WHO;
	const struct dir_index_node *node = NULL;
	bool found = false;

	(void)pthread_mutex_lock(&s->lock);
	while ((node = dir_index_next(&s->called, who, node)) != NULL) {
		const struct seen *e =
			(const struct seen *)((const char *)node - offsetof(struct seen, called));

		found |= e->as_member != 0;
		if (e->as_member)
			dir_changes_account(ret, e->id);
	}
	if (!found)
		s->left[s->n_left++ % SEEN_LEFT_MAX] = (struct left){ as_member, now_ms };
	*ret_sure = !s->missing && !s->n_odd && (as_member & DIR_MEMBER_PLAIN) &&
		    (!s->renamed_ms || now_ms - s->renamed_ms > SEEN_RENAMED_MS);
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

void dir_seen_since(struct dir_seen *s, uint64_t since_ms, uint64_t now_ms, struct dir_changes *ret)
{
	struct seen *e;

	(void)pthread_mutex_lock(&s->lock);
	for (e = s->latest; e && e->ended_ms >= since_ms; e = e->next)
		dir_changes_account(ret, e->id);
	s->told_ms = now_ms;
	(void)pthread_mutex_unlock(&s->lock);
}

void dir_seen_gone(struct dir_seen *s, uint64_t now_ms)
{
	(void)pthread_mutex_lock(&s->lock);
	s->told_ms = now_ms;
	(void)pthread_mutex_unlock(&s->lock);
}

void dir_seen_late(struct dir_seen *s, struct dir_changes *ret)
{
	struct seen *e;

	(void)pthread_mutex_lock(&s->lock);
	for (e = s->latest; e && s->n_late; e = e->next) {
		if (!e->late)
			continue;
		e->late = false;
		s->n_late--;
		dir_changes_account(ret, e->id);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

bool dir_seen_has(struct dir_seen *s, const uint8_t id[16])
{
	bool has;

	(void)pthread_mutex_lock(&s->lock);
	has = seen_find(s, id) != NULL;
	(void)pthread_mutex_unlock(&s->lock);
	return has;
}

void dir_seen_drop(struct dir_seen *s, const uint8_t id[16])
{
	struct seen *e;

	(void)pthread_mutex_lock(&s->lock);
	e = seen_find(s, id);
	if (e)
		seen_drop(s, e);
	(void)pthread_mutex_unlock(&s->lock);
}

size_t dir_seen_next(struct dir_seen *s, uint64_t round, uint8_t (*ret)[16], size_t max)
{
	struct seen *e;
	size_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	/* new ones come behind those of this round: they were found after it began */
	while (n < max && (e = s->all) != NULL && e->round != round) {
		memcpy(ret[n++], e->id, sizeof(e->id));
		HASH_DEL(s->all, e);
		e->round = round;
		HASH_ADD(hh, s->all, id, sizeof(e->id), e);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

size_t dir_seen_count(struct dir_seen *s)
{
	size_t n;

	(void)pthread_mutex_lock(&s->lock);
	n = HASH_COUNT(s->all);
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}
