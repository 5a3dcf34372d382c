/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflight.c - who is held: a table in memory that supervisor and worker share, see inflight.h
 *
 * Worker and supervisor. Invariants: a slot's fields are written only by the worker, in FREE, and
 * published by the store of HELD; whoever moves HELD to ANSWERING reads them after that. The
 * supervisor checks what it reads: the worker may be somebody else's by now.
 */
#include "fileagent/inflight.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INFLIGHT_MAGIC 0x66614833u /* "3Haf": another layout gets another number */
#define INFLIGHT_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "shared memory");

static int inflight_mmap(int fd, struct fa_inflight **ret)
{
	void *p = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int fa_inflight_new(int *ret_fd, struct fa_inflight **ret)
{
	int fd = memfd_create("fa_inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;
	struct fa_inflight *t = NULL;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(*t)) < 0 || fcntl(fd, F_ADD_SEALS, INFLIGHT_SEALS) < 0)
		err = -errno;
	if (err == 0)
		err = inflight_mmap(fd, &t);
	if (err < 0) {
		(void)close(fd);
		return err;
	}
	t->magic = INFLIGHT_MAGIC;
	t->slots = FA_HELD_MAX;
	*ret_fd = fd;
	*ret = t;
	return 0;
}

int fa_inflight_map(int fd, struct fa_inflight **ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct fa_inflight *t = NULL;
	struct stat st;
	int err;

	if (seals < 0 || (seals & INFLIGHT_SEALS) != INFLIGHT_SEALS || fstat(fd, &st) < 0 ||
		st.st_size != sizeof(*t))
		return -EINVAL;
	err = inflight_mmap(fd, &t);
	if (err < 0)
		return err;
	if (t->magic != INFLIGHT_MAGIC || t->slots != FA_HELD_MAX) {
		fa_inflight_unmap(t);
		return -EINVAL;
	}
	*ret = t;
	return 0;
}

void fa_inflight_unmap(struct fa_inflight *t)
{
	if (t)
		(void)munmap(t, sizeof(*t));
}

int fa_inflight_claim(struct fa_inflight *t, int fd, uint32_t pid, uint64_t deadline_ms,
	bool strict, uint32_t *ret_slot)
{
	for (uint32_t i = 0; i < FA_HELD_MAX; i++) {
		uint32_t slot = (t->next + i) % FA_HELD_MAX;
		struct fa_slot *s = &t->slot[slot];

		if (atomic_load_explicit(&s->state, memory_order_acquire) != FA_FREE)
			continue;
		s->fd = fd;
		s->deadline_ms = deadline_ms;
		s->pid = pid;
		s->strict = strict;
		t->asked[slot].len = 0;
		t->asked[slot].pid = pid;
		t->asked[slot].held_ms = 0;
		atomic_store(&t->asked[slot].passed, 0);
		atomic_store_explicit(&s->state, FA_HELD, memory_order_release);
		t->next = slot + 1;
		*ret_slot = slot;
		return 0;
	}
	return -GI_EFULL;
}

bool fa_inflight_win(struct fa_inflight *t, uint32_t slot)
{
	uint32_t held = FA_HELD;

	return slot < FA_HELD_MAX &&
	       atomic_compare_exchange_strong_explicit(&t->slot[slot].state, &held, FA_ANSWERING,
		       memory_order_acq_rel, memory_order_acquire);
}

void fa_inflight_answered(struct fa_inflight *t, uint32_t slot)
{
	atomic_store_explicit(&t->slot[slot].state, FA_ANSWERED, memory_order_release);
}

void fa_inflight_release(struct fa_inflight *t, uint32_t slot)
{
	atomic_store_explicit(&t->slot[slot].state, FA_FREE, memory_order_release);
}

bool fa_inflight_is_answered(const struct fa_inflight *t, uint32_t slot)
{
	return atomic_load_explicit(&t->slot[slot].state, memory_order_acquire) == FA_ANSWERED;
}

static bool slot_fd_ok(const struct fa_slot *s)
{
	return s->fd >= 0 && s->fd < FA_WORKER_FDS;
}

bool fa_inflight_due(struct fa_inflight *t, uint64_t now_ms, uint32_t *iter, uint32_t *ret_slot,
	int *ret_fd, bool *ret_strict, uint64_t *ret_next_ms)
{
	if (*iter == 0)
		*ret_next_ms = 0;
	for (; *iter < FA_HELD_MAX; ++*iter) {
		struct fa_slot *s = &t->slot[*iter];

		if (atomic_load_explicit(&s->state, memory_order_acquire) != FA_HELD)
			continue;
		if (s->deadline_ms > now_ms) {
			if (*ret_next_ms == 0 || s->deadline_ms < *ret_next_ms)
				*ret_next_ms = s->deadline_ms;
			continue;
		}
		if (!fa_inflight_win(t, *iter))
			continue;
		if (s->deadline_ms > now_ms) { /* freed and claimed anew between the two looks */
			atomic_store_explicit(&s->state, FA_HELD, memory_order_release);
			continue;
		}
		if (!slot_fd_ok(s)) { /* nothing that the kernel could know */
			fa_inflight_answered(t, *iter);
			continue;
		}
		*ret_slot = (*iter)++;
		*ret_fd = s->fd;
		*ret_strict = s->strict != 0;
		return true;
	}
	return false;
}

bool fa_inflight_orphan(struct fa_inflight *t, uint32_t *iter, int *ret_fd, bool *ret_strict)
{
	while (*iter < FA_HELD_MAX) {
		struct fa_slot *s = &t->slot[(*iter)++];
		uint32_t was = atomic_exchange(&s->state, FA_FREE);

		if ((was == FA_HELD || was == FA_ANSWERING) && slot_fd_ok(s)) {
			*ret_fd = s->fd;
			*ret_strict = s->strict != 0;
			return true;
		}
	}
	return false;
}

void fa_inflight_note(struct fa_inflight *t, uint32_t slot, const struct fa_note *n)
{
	struct fa_asked *a = &t->asked[slot];
	size_t len = strlen(n->path);

	a->dev = n->id->dev;
	a->ino = n->id->ino;
	a->btime_ns = n->id->btime_ns;
	a->held_ms = n->now_ms;
	a->pid = n->pid;
	a->op = n->op;
	a->cut = len >= sizeof(a->path);
	if (a->cut)
		len = sizeof(a->path) - 1;
	memcpy(a->path, n->path, len);
	a->len = (uint32_t)len;
}

uint32_t fa_inflight_spare(const struct fa_inflight *t, uint32_t from)
{
	for (uint32_t i = 0; i < FA_HELD_MAX; i++) {
		uint32_t slot = (from + i) % FA_HELD_MAX;

		if (atomic_load(&t->asked[slot].passed) == FA_PASSED_NOT)
			return slot;
	}
	return from % FA_HELD_MAX; /* the counters still say how many */
}

void fa_inflight_passed(struct fa_inflight *t, uint32_t slot, bool denied)
{
	atomic_store(&t->asked[slot].passed, denied ? FA_PASSED_DENIED : FA_PASSED_ALLOWED);
}

bool fa_inflight_seen(struct fa_inflight *t, uint32_t slot, struct fa_unseen *ret)
{
	struct fa_asked *a = &t->asked[slot];
	uint32_t how = atomic_load_explicit(&a->passed, memory_order_acquire), len = a->len;

	if (how == FA_PASSED_NOT)
		return false;
	atomic_store(&a->passed, FA_PASSED_NOT);
	if (len >= sizeof(ret->path))
		len = 0; /* not what we wrote */
	*ret = (struct fa_unseen){
		.id = { .dev = a->dev, .ino = a->ino, .btime_ns = a->btime_ns },
		.held_ms = a->held_ms,
		.pid = a->pid,
		.op = a->op,
		.denied = how == FA_PASSED_DENIED,
		.cut = a->cut != 0,
	};
	memcpy(ret->path, a->path, len);
	ret->path[len] = '\0';
	return true;
}

bool fa_inflight_unseen(struct fa_inflight *t, uint32_t *iter, struct fa_unseen *ret)
{
	while (*iter < FA_HELD_MAX) {
		if (fa_inflight_seen(t, (*iter)++, ret))
			return true;
	}
	return false;
}
