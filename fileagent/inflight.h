/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflight.h - who is held: a table in memory that supervisor and worker share
 *
 * The kernel matches an answer to its event by the descriptor's *number* in whoever read it. So
 * the supervisor, which holds the group as well, can answer for a worker that is dead, stopped or
 * slow, if it knows the numbers: the worker writes each one here before it does anything else with
 * the event. Exactly one of the two answers a slot: whoever moves it from HELD to ANSWERING.
 *
 *   FREE -(worker claims)-> HELD -(either wins)-> ANSWERING -(it wrote)-> ANSWERED -(worker has
 *   closed the descriptor)-> FREE
 *
 * Invariants: the worker closes an event's descriptor only in ANSWERED (a number must not be used
 * anew while an answer for the old one may come). Lock-free; either side may die at any
 * instruction. What the worker wrote is untrusted: indexes, numbers and times are checked.
 * Pure but for the atomics: the clock is a parameter. A worker that died between read(2) and the
 * claim has left a number nobody knows: the supervisor then answers every number up to the table's
 * limit of descriptors (ENOENT for those the kernel does not wait for).
 */
#ifndef FILEAGENT_INFLIGHT_H
#define FILEAGENT_INFLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fileagent/rec.h"
#include "lib/base/err.h"

#define FA_HELD_MAX 1024 /* events held at once; trap: out of descriptors the kernel denies */
#define FA_WORKER_FDS                                                              \
	12288 /* RLIMIT_NOFILE of the worker: numbers that may have to be answered \
	       */

#define FA_ASKED_PATH 480 /* of longer ones the beginning is told; they are not looked at later */

enum fa_slot_state { FA_FREE, FA_HELD, FA_ANSWERING, FA_ANSWERED };

struct fa_slot {
	_Atomic uint32_t state;
	int32_t fd;	      /* the kernel's name of the event */
	uint64_t deadline_ms; /* CLOCK_MONOTONIC: then the supervisor answers */
	uint32_t pid;
	uint32_t strict; /* 1: the answer at the deadline is an error, 0: allow */
};

enum fa_passed_how { FA_PASSED_NOT, FA_PASSED_ALLOWED, FA_PASSED_DENIED };

/* what the opener of the slot with that number asks for: to be told and looked at, if the
 * supervisor answers him in the worker's place */
struct fa_asked {
	uint64_t dev, ino, btime_ns;
	uint64_t held_ms;	 /* CLOCK_MONOTONIC; 0: not known */
	_Atomic uint32_t passed; /* enum fa_passed_how */
	uint32_t pid, op;	 /* Idfw__FileOp */
	uint32_t len;		 /* of path; 0: not known */
	uint32_t cut;		 /* 1: the path is longer */
	char path[FA_ASKED_PATH];
};

struct fa_note { /* borrows */
	const struct fa_ident *id;
	const char *path; /* "": not known */
	uint32_t pid, op;
	uint64_t now_ms;
};

struct fa_unseen { /* whom the supervisor answered; as far as known, and as the table says */
	struct fa_ident id;
	uint64_t held_ms;
	uint32_t pid, op;
	bool denied;
	bool cut; /* path is only the beginning */
	char path[FA_ASKED_PATH];
};

struct fa_inflight { /* the shared mapping */
	uint32_t magic, slots;
	_Atomic uint64_t beat_ms;    /* the worker's loop was alive then */
	_Atomic uint64_t worker_pid; /* whose numbers these are */
	_Atomic uint32_t reading;    /* 1: between read(2) and the claim of what it returned */
	/* how often since the table was made; the supervisor counts, the worker reports */
	_Atomic uint32_t overdue;	 /* slots let through by the supervisor at their deadline */
	_Atomic uint32_t overdue_denied; /* the same, strict */
	_Atomic uint32_t ended;		 /* openers let through because the worker ended */
	_Atomic uint32_t ended_denied;	 /* the same, strict */
	_Atomic uint32_t starts;	 /* workers that were started */
	uint32_t next;			 /* the worker's: where it looks for a free slot first */
	struct fa_slot slot[FA_HELD_MAX];
	struct fa_asked asked[FA_HELD_MAX];
};

/* @ret_fd: a sealed memfd, owned; @ret: mapped, fa_inflight_unmap() */
GI_MUST_CHECK int fa_inflight_new(int *ret_fd, struct fa_inflight **ret);
/* the other side; checks size, seals and magic: -EINVAL */
GI_MUST_CHECK int fa_inflight_map(int fd, struct fa_inflight **ret);
void fa_inflight_unmap(struct fa_inflight *t);

/* worker: -GI_EFULL when all slots are taken (then nothing more is read from the group) */
GI_MUST_CHECK int fa_inflight_claim(struct fa_inflight *t, int fd, uint32_t pid,
	uint64_t deadline_ms, bool strict, uint32_t *ret_slot);
/* either side; true: the caller answers now, and must call answered() after its write(2) */
bool fa_inflight_win(struct fa_inflight *t, uint32_t slot);
void fa_inflight_answered(struct fa_inflight *t, uint32_t slot);
/* worker: the descriptor is closed. Only in ANSWERED */
void fa_inflight_release(struct fa_inflight *t, uint32_t slot);
/* worker: may it close? (false: the supervisor is just answering) */
bool fa_inflight_is_answered(const struct fa_inflight *t, uint32_t slot);

/*
 * fa_inflight_due - supervisor: win the next slot whose deadline passed, from @*iter on
 * @iter: 0 at first; FA_HELD_MAX when it returned false
 * @ret_slot: in ANSWERING; the caller answers it and calls answered(), as after win()
 * Returns false when there is none; *ret_next_ms (0: nothing held) is then the earliest deadline
 * of those that were seen from 0 on.
 */
bool fa_inflight_due(struct fa_inflight *t, uint64_t now_ms, uint32_t *iter, uint32_t *ret_slot,
	int *ret_fd, bool *ret_strict, uint64_t *ret_next_ms);
/*
 * fa_inflight_orphan - supervisor, only when the worker is dead: the next slot that may wait for
 * an answer (held, or the worker died while it answered), from @*iter on; it is FREE afterwards
 */
bool fa_inflight_orphan(struct fa_inflight *t, uint32_t *iter, int *ret_fd, bool *ret_strict);

/* the worker, of a slot that it holds; the supervisor, of a spare one while no worker lives */
void fa_inflight_note(struct fa_inflight *t, uint32_t slot, const struct fa_note *n);
/* supervisor, while no worker lives: one whose note nobody waits for, from @from on, if any */
uint32_t fa_inflight_spare(const struct fa_inflight *t, uint32_t from);
/* supervisor: it answered that one; before answered(), so that a worker that lives can tell it */
void fa_inflight_passed(struct fa_inflight *t, uint32_t slot, bool denied);
/* the worker, before it releases @slot: true, once, if the supervisor answered it */
bool fa_inflight_seen(struct fa_inflight *t, uint32_t slot, struct fa_unseen *ret);
/*
 * fa_inflight_unseen - a new worker, before it claims: whom the supervisor answered in place of the
 * last one, each once, from @*iter on
 */
bool fa_inflight_unseen(struct fa_inflight *t, uint32_t *iter, struct fa_unseen *ret);

#endif
