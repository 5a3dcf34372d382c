/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * forks.c - who made whom, see forks.h
 *
 * A ring of entries in the order in which they came, found by chains over the pid. A name may come
 * before the fork that it belongs to (another processor's record): it stands alone until then.
 */
#include "fileagent/forks.h"

#include <stdlib.h>
#include <string.h>

struct fa_forks {
	struct fa_fork e[FA_FORKS_MAX];
	uint16_t head[FA_FORKS_MAX]; /* by pid: index + 1; 0: none */
	uint32_t at;		     /* the next to be given up */
};

_Static_assert(FA_FORKS_MAX < UINT16_MAX, "index + 1 fits");

int fa_forks_new(struct fa_forks **ret)
{
	*ret = calloc(1, sizeof(**ret)); /* pages cost memory once they are used */
	return *ret ? 0 : -ENOMEM;
}

void fa_forks_free(struct fa_forks *f)
{
	free(f);
}

void fa_forks_forget(struct fa_forks *f)
{
	memset(f, 0, sizeof(*f));
}

static uint16_t *chain(struct fa_forks *f, uint32_t pid)
{
	return &f->head[pid % FA_FORKS_MAX];
}

static void give_up(struct fa_forks *f, struct fa_fork *e)
{
	uint16_t index = (uint16_t)(e - f->e + 1);

	if (!e->pid)
		return;
	for (uint16_t *p = chain(f, e->pid); *p; p = &f->e[*p - 1].next) {
		if (*p == index) {
			*p = e->next;
			return;
		}
	}
}

static struct fa_fork *take(struct fa_forks *f, uint64_t time_ns, uint32_t pid, uint32_t ppid)
{
	struct fa_fork *e = &f->e[f->at];

	give_up(f, e);
	*e = (struct fa_fork){ .pid = pid, .ppid = ppid, .time_ns = time_ns };
	e->next = *chain(f, pid);
	*chain(f, pid) = (uint16_t)(f->at + 1);
	f->at = (f->at + 1) % FA_FORKS_MAX;
	return e;
}

const struct fa_fork *fa_forks_find(const struct fa_forks *f, uint32_t pid, uint64_t ns)
{
	const struct fa_fork *best = NULL;

	for (uint16_t i = f->head[pid % FA_FORKS_MAX]; i; i = f->e[i - 1].next) {
		const struct fa_fork *e = &f->e[i - 1];

		if (e->pid == pid && e->time_ns <= ns && (!best || e->time_ns > best->time_ns))
			best = e;
	}
	return best;
}

const struct fa_fork *fa_forks_only(const struct fa_forks *f, uint32_t pid)
{
	const struct fa_fork *found = NULL;

	for (uint16_t i = f->head[pid % FA_FORKS_MAX]; i; i = f->e[i - 1].next) {
		if (f->e[i - 1].pid != pid)
			continue;
		if (found)
			return NULL;
		found = &f->e[i - 1];
	}
	return found;
}

void fa_forks_add(struct fa_forks *f, uint64_t time_ns, uint32_t pid, uint32_t ppid)
{
	struct fa_fork *e = (struct fa_fork *)(uintptr_t)fa_forks_find(f, pid, UINT64_MAX);
	const struct fa_fork *maker = fa_forks_find(f, ppid, time_ns);

	if (!pid)
		return;
	if (e && !e->ppid && e->time_ns >= time_ns) { /* its name was here before it */
		e->ppid = ppid;
		e->time_ns = time_ns;
		return;
	}
	/* copied before an entry is given up: it may be the maker's */
	char comm[FA_FORK_COMM] = "";

	if (maker)
		memcpy(comm, maker->comm, sizeof(comm));
	e = take(f, time_ns, pid, ppid);
	memcpy(e->comm, comm, sizeof(e->comm));
}

void fa_forks_name(
	struct fa_forks *f, uint64_t time_ns, uint32_t pid, const char comm[FA_FORK_COMM])
{
	struct fa_fork *e = (struct fa_fork *)(uintptr_t)fa_forks_find(f, pid, time_ns);

	if (!pid)
		return;
	if (!e)
		e = take(f, time_ns, pid, 0);
	if (time_ns < e->comm_ns)
		return;
	e->comm_ns = time_ns;
	memcpy(e->comm, comm, FA_FORK_COMM - 1);
}
