/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan_int.h - what scan.c, scanwrites.c, scanverdict.c, scanfail.c and scandata.c share; see
 * scan.h
 *
 *   QUEUED -credit-> HEAD -head is read-> ASKED -verdict-> (gone)
 *     ^ changed, link lost     |                  \-delete, ...-> ACTING -> (gone)
 *     +------------------------+-------- changed ----------------+
 */
#ifndef FILEAGENT_SCAN_INT_H
#define FILEAGENT_SCAN_INT_H

#include "fileagent/counters.h"
#include "fileagent/scan.h"
#include "fileagent/table.h"
#include "fileagent/waits.h"
#include "fileagent/worker.h"

#define SCAN_BUCKETS 4096 /* power of two */
#define SCAN_NO_DEADLINE UINT64_MAX
#define SCAN_SETTLE_MS 12 /* the longest tick, and the milliseconds that both are rounded to */

enum scan_state { SCAN_QUEUED, SCAN_HEAD, SCAN_ASKED, SCAN_ACTING };
enum scan_line {	 /* which queue of QUEUED; in this order */
	SCAN_URGENT,	 /* somebody is held */
	SCAN_BACKGROUND, /* somebody wants to know */
	SCAN_WRITTEN,	 /* nobody does, and it changed while it was looked at; all that were not
			    looked at yet are in waits.h: they wait for an idle moment */
	SCAN_LINES
};

struct scan_waiter { /* an opener, or somebody who called fa_scan_submit() */
	struct scan_waiter *next;
	struct fa_held held; /* slot FA_NO_SLOT: done, arg */
	void (*done)(void *arg, const struct fa_outcome *);
	void *arg;
};

struct scan_range {
	uint64_t offset;
	uint32_t left;
};

struct scan_chunk { /* of the new content, REPLACE */
	struct scan_chunk *next;
	uint64_t offset;
	size_t len;
	uint8_t data[];
};

struct scan_write {
	int tmp;       /* -1: not here yet */
	bool asked;    /* for it */
	bool busy;     /* a chunk is with a thread */
	bool complete; /* the last chunk is written */
	bool last;     /* it has come */
	int err;       /* errno; nothing more is taken */
	uint64_t end;  /* what came */
	uint64_t done; /* what is written */
	struct scan_chunk *first, **tail;
};

struct scan_file {
	struct scan_file *id_next, *ino_next; /* hash chains */
	struct scan_file *next, **pprev;      /* queue of QUEUED, else all others */
	uint64_t id;			      /* new for each FileEvent */
	enum scan_state state;
	enum scan_line line;
	bool probe; /* nobody waits: is the service there? */
	bool spare; /* its credit is one of those that files without openers may have */
	bool reading;
	bool fresh; /* read so soon after its last change that the next one need not show */
	struct fa_ident ident;
	uint32_t mode;
	Idfw__FileOp op;
	struct fa_held own;   /* the descriptor that is read from: the first waiter's */
	struct fa_held later; /* fd >= 0: written to since: look again when this is over */
	struct scan_actor *later_actor; /* by him: what is looked at now is not his work */
	struct scan_waiter *waiters, **waiters_tail;
	uint64_t deadline_ms, asked_ms;
	uint64_t since_ms; /* it came */
	unsigned int rounds;
	struct scan_actor *actor;   /* CLOSE_WRITE: found at once, he may be gone soon */
	Idfw__FileVerdict *verdict; /* ACTING: a copy */
	bool opener_denied;
	struct scan_range *range; /* FA_SCAN_RANGES_MAX; NULL before the first */
	unsigned int ranges;
	struct scan_file *data_next, **data_pprev; /* of those that have ranges to answer */
	struct scan_write *write;		   /* NULL: none */
};

struct scan_queue {
	struct scan_file *first, **last;
};

struct fa_scan {
	struct fa_scan_conf conf;
	const struct fa_scan_ops *ops;
	void *arg;
	struct fa_table *table;
	struct fa_counters *count;
	uint64_t now_ms; /* of the call that is being served */
	struct scan_file *by_id[SCAN_BUCKETS], *by_ino[SCAN_BUCKETS];
	struct scan_queue line[SCAN_LINES], others;
	struct scan_queue data;
	size_t files, writes;	  /* in all; CLOSE_WRITE among them. Those that wait not counted */
	struct scan_waits *waits; /* written, and not looked at yet */
	size_t asked;		  /* credits in use */
	size_t asked_spare;	  /* of them, by files that nobody is held for */
	uint64_t last_id;
	/* the service */
	bool have_settings, had_settings;
	uint32_t wanted_ops, head_bytes, credits;
	uint64_t max_bytes;
	uint8_t epoch[WIRE_EPOCH_MAX];
	size_t epoch_len;
	uint64_t lost_ms;  /* the link went down (or: we started) */
	uint64_t heard_ms; /* last verdict or read of the service */
	bool breaker;
	uint64_t probe_ms; /* not before */
	size_t probes;	   /* under way */
	bool pumping;
	bool coarse_times;
	/* scanwrites.c */
	uint64_t stir_ms;	   /* somebody opened or wrote something */
	uint64_t trickle_ms;	   /* the last that went although */
	struct scan_actor *writer; /* the last one's: most files have the same; a reference */
	uint8_t head[WIRE_DATA_MAX];
	char path[WIRE_PATH_MAX + 1];
	struct fa_actor actor; /* scratch */
};

/* ---- scan.c ---- */
struct scan_file *scan_by_id(struct fa_scan *s, uint64_t id);
struct scan_file *scan_by_ino(const struct fa_scan *s, const struct fa_ident *id);
bool scan_too_large(const struct fa_scan *s, uint64_t size);
void scan_pump(struct fa_scan *s);
/* to the front of the queue, for another look: ident is taken anew. It may fail: @f is gone then */
void scan_again(struct fa_scan *s, struct scan_file *f);
/* nobody waits any more: frees it; descriptors too. If it was written to, a new look is queued */
void scan_end(struct fa_scan *s, struct scan_file *f);
/* of a file with an id, not ACTING: its credit is free for another one */
void scan_credit_back(struct fa_scan *s, struct scan_file *f);
/* out of ASKED, HEAD...: what the service had asked for is void */
void scan_unask(struct fa_scan *s, struct scan_file *f);
/* answers all openers with @err (0 allow; SCAN_BLOCK: the errno of the path's policy), tells @o to
 * the others; no waiters are left */
#define SCAN_BLOCK (-1)
void scan_answer_all(struct fa_scan *s, struct scan_file *f, int err, const struct fa_outcome *o);
/* the openers alone, with the errno of the path's policy; the others go on waiting */
void scan_deny_openers(struct fa_scan *s, struct scan_file *f);
struct scan_waiter *scan_waiter_take(struct scan_file *f);
void scan_waiter_free(struct fa_scan *s, struct scan_file *f, struct scan_waiter *w);
bool scan_has_openers(const struct scan_file *f);
/* a file that nobody waits for yet; takes h's descriptors when it succeeds. NULL: no memory, full
 */
struct scan_file *scan_file_new(
	struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id, uint32_t mode);
/* at the end of the line that its waiters call for */
void scan_queue_put(struct fa_scan *s, struct scan_file *f);
int scan_send(struct fa_scan *s, int body_case, void *msg);
const char *scan_path(struct fa_scan *s, const struct scan_file *f);

/* ---- scanwrites.c ---- */
/* the next that may start now, nobody being held; NULL: they wait */
struct scan_file *scan_written_next(struct fa_scan *s);
/* @h was written to; takes its descriptors and @actor (may be NULL) */
void scan_written(struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id,
	struct scan_actor *actor);
/* one that waits, and somebody asks for now; queued. NULL: there is none, or no memory */
struct scan_file *scan_written_of(struct fa_scan *s, const struct fa_ident *id, uint32_t mode);
/* all but the @keep oldest of those that wait: looked at once the service is there */
void scan_written_give_up(struct fa_scan *s, size_t keep);
/* the same, and nobody looks */
void scan_written_drop(struct fa_scan *s);
/* a compact copy, counted: many files have the same writer. NULL: no memory */
struct scan_actor *scan_actor_new(const struct fa_actor *a);
struct scan_actor *scan_actor_ref(struct scan_actor *a); /* NULL is fine */
void scan_actor_put(struct scan_actor *a);		 /* NULL is fine */
/* @a as it was given to scan_actor_new(), in s->actor */
const struct fa_actor *scan_actor_get(struct fa_scan *s, const struct scan_actor *a);

/* ---- scanverdict.c ---- */
void scan_verdict(struct fa_scan *s, const Idfw__FileVerdict *v);

/* ---- scanfail.c ---- */
/* everybody waiting for @f is answered by his fail policy; @f is gone after it */
void scan_fail(struct fa_scan *s, struct scan_file *f, enum fa_reason r);
/* the service is there and answers */
bool scan_can_ask(const struct fa_scan *s);
/* answers one opener (or outcome) by his fail policy; released by the caller */
void scan_pass(
	struct fa_scan *s, const struct fa_held *h, const struct fa_ident *id, enum fa_reason r);
void scan_heard(struct fa_scan *s);
void scan_settings(struct fa_scan *s, const Idfw__ScanSettings *m);
void scan_cancel(struct fa_scan *s, const struct scan_file *f, Idfw__FileCancel__Reason r);

/* ---- scandata.c ---- */
void scan_read(struct fa_scan *s, const Idfw__FileRead *m);
void scan_write(struct fa_scan *s, const Idfw__FileWrite *m);
void scan_data_pump(struct fa_scan *s);
/* the reply to FA_OP_TMP; takes @fd */
void scan_write_tmp(struct fa_scan *s, struct scan_file *f, int err, int fd);
void scan_data_drop(struct fa_scan *s, struct scan_file *f);
/* a range came back from a thread */
void scan_data_read_done(
	struct fa_scan *s, struct scan_file *f, int err, const void *buf, size_t len);

#endif
