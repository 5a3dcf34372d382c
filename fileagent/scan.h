/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.h - one struct a file under scan: who waits for it, what the service says, what is done
 *
 * The core of the worker, and pure: descriptors are numbers that it hands to its ops, the clock is
 * a parameter, so the unit tests drive it with fakes. Invariants: each opener that was taken is
 * answered once; at most the service's credits of FileEvents are under way; openers of one file
 * share one scan; no error, skip or timeout is remembered; at the deadline the path's fail policy
 * decides. docs/scan.md "How an open is decided".
 */
#ifndef FILEAGENT_SCAN_H
#define FILEAGENT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "fileagent/rec.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

struct fa_scan;
struct fa_actor;    /* worker.h */
struct fa_counters; /* counters.h */
struct fa_table;    /* table.h */

#define FA_SCAN_WRITES_MAX 8192 /* files that wait to be looked at after a writer closed them */
#define FA_SCAN_FILES_MAX 4096	/* besides these */
#define FA_SCAN_ROUNDS 3	/* looks at a file that changes all the while, for one opener */
#define FA_SCAN_RANGES_MAX 16	/* FileReads of one file under way */
#define FA_SCAN_TICK_MS 20
#define FA_SCAN_PROBE_MS 1000 /* how often an open circuit breaker asks the service */

struct fa_scan_conf { /* changes while it runs */
	uint64_t deadline_base_ms;
	uint64_t deadline_rate; /* bytes a second */
	uint64_t deadline_max_ms;
	uint64_t max_bytes;	 /* larger files are not scanned; 0: no bound of ours */
	uint64_t write_delay_ms; /* what was written waits so long for an idle moment; 0: it does
				    not */
};

struct fa_held { /* an event that the kernel waits for, or (fd alone) a file to be looked at */
	int fd;	 /* the event's */
	uint32_t slot; /* in the table of held events; FA_NO_SLOT: nobody is held */
	uint32_t pid;
	int pidfd; /* -1 */
	Idfw__FileOp op;
	bool strict;	 /* denied when there is no verdict */
	int block_errno; /* denied with that after a verdict */
};

#define FA_NO_SLOT UINT32_MAX

/* why a file was passed without a verdict: docs/scan.md, FilePassed.reason */
enum fa_reason {
	FA_R_DEADLINE,
	FA_R_SERVICE_DOWN,
	FA_R_TOO_LARGE,
	FA_R_WORKER_ENDED,
	FA_R_WORKER_STOPPED,
	FA_R_TABLE_FULL,
	FA_R_SCAN_FAILED,
	FA_R_UNREADABLE,
	FA_R_QUOTA,
	FA_REASONS
};
const char *fa_reason_word(enum fa_reason r);
const char *fa_verdict_word(Idfw__FileVerdictKind k); /* "allow", "deny", ... */

struct fa_action {     /* what the supervisor is to do to a file */
	enum fa_op op; /* FA_OP_DELETE, FA_OP_QUARANTINE, FA_OP_REPLACE, FA_OP_TMP */
	uint64_t id;   /* comes back in fa_scan_action_done() */
	int fd, tmp;   /* borrowed; tmp: REPLACE, else -1 */
	const struct fa_ident *ident;
	const char *path;
	const struct fa_meta *meta; /* QUARANTINE */
};

/* the world around the core; none of them may call back into it before it returned */
struct fa_scan_ops {
	uint64_t (*now_ms)(void *arg); /* for calls that do not say it */
	/* @err: 0 allow, else the errno of the denial; slot is then answered, not yet free */
	void (*answer)(void *arg, const struct fa_held *h, int err);
	/* closes fd and pidfd and frees the slot */
	void (*release)(void *arg, const struct fa_held *h);
	int (*stat)(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode);
	/* as fa_read_now(); as fa_reads_range(), then fa_scan_read_done() with @id */
	int (*read_now)(void *arg, int fd, uint64_t off, void *buf, size_t len, size_t *ret_len);
	int (*read_later)(void *arg, uint64_t id, int fd, uint64_t off, size_t len);
	/* as fa_reads_write(), then fa_scan_write_done() */
	int (*write_later)(
		void *arg, uint64_t id, int fd, uint64_t off, const void *buf, size_t len);
	void (*close)(void *arg, int fd); /* of an FA_OP_TMP; a pidfd */
	/* of one that was written: does it lie where such files are to be looked at? If so, *ret
	 * and *ret_mode say what it is now */
	bool (*watched)(void *arg, int fd, struct fa_ident *ret, uint32_t *ret_mode);
	/* NUL-terminated, "" when it has none */
	void (*path)(void *arg, int fd, char *buf, size_t size);
	int (*send)(void *arg, const Idfw__Envelope *e);
	bool (*has_room)(void *arg); /* for FileData; false: fa_scan_room() follows */
	void (*fail_link)(void *arg, const char *why);
	void (*mark)(void *arg, int fd, const struct fa_ident *ident);
	void (*flush)(void *arg); /* all marks go */
	int (*action)(void *arg, const struct fa_action *a);
	void (*actor)(void *arg, const struct fa_held *h, struct fa_actor *ret);
	/* the same process as in the last call of actor(), and that was a moment ago */
	bool (*same_actor)(void *arg, const struct fa_held *h);
	/* is a report of that due (rate)? else it is counted, and comes as hidden of the next one
	 */
	bool (*report_due)(void *arg, enum fa_reason r, bool denied);
	void (*report)(void *arg, enum fa_reason r, bool denied, Idfw__FileOp op, const char *path,
		const struct fa_actor *actor);
	/* let through unscanned: look at it once the service is there */
	void (*later)(void *arg, const char *path, const struct fa_ident *ident);
};

/* @table, @counters, @ops, @arg: borrow */
GI_MUST_CHECK int fa_scan_new(const struct fa_scan_conf *conf, struct fa_table *table,
	struct fa_counters *counters, const struct fa_scan_ops *ops, void *arg, uint64_t now_ms,
	struct fa_scan **ret);
/* everybody still held is answered by his fail policy; outcomes are not told */
void fa_scan_free(struct fa_scan *s, uint64_t now_ms);
void fa_scan_conf(struct fa_scan *s, const struct fa_scan_conf *conf);
void fa_scan_table(struct fa_scan *s, struct fa_table *table); /* another one, empty */
/* false: the file systems' times are a tick's, so a second change within one does not show */
void fa_scan_fine_times(struct fa_scan *s, bool fine);

/*
 * fa_scan_open - an opener is held; takes h->fd, h->pidfd and the slot
 * @id: what the file is now; the table does not know it
 */
void fa_scan_open(struct fa_scan *s, uint64_t now_ms, const struct fa_held *h,
	const struct fa_ident *id, uint32_t mode);
/* a writer closed a file (h->slot: FA_NO_SLOT); takes h->fd, h->pidfd */
void fa_scan_written(
	struct fa_scan *s, uint64_t now_ms, const struct fa_held *h, const struct fa_ident *id);
/* somebody opened or wrote something: what nobody waits for is to wait (docs/scan.md "Written
 * files") */
void fa_scan_stir(struct fa_scan *s, uint64_t now_ms);
/* sends what was written and may go now, every FA_SCAN_QUIET_MS as long as it returns true */
#define FA_SCAN_QUIET_MS 2
bool fa_scan_written_go(struct fa_scan *s, uint64_t now_ms);
/* false: FA_SCAN_WRITES_MAX of them wait: leave the next in the kernel's queue */
bool fa_scan_takes_writes(const struct fa_scan *s);
/* and so many that it is worth to begin again */
bool fa_scan_takes_many(const struct fa_scan *s);
/* is that op wanted by the service? As long as nothing is known: yes */
bool fa_scan_wants(const struct fa_scan *s, Idfw__FileOp op);
/* how long an opener of so many bytes waits */
uint64_t fa_scan_allowance_ms(const struct fa_scan *s, uint64_t size);

/* ScanSettings, FileRead, FileWrite, FileVerdict; others are ignored */
void fa_scan_message(struct fa_scan *s, uint64_t now_ms, const Idfw__Envelope *e);
void fa_scan_room(struct fa_scan *s, uint64_t now_ms);
void fa_scan_link_down(struct fa_scan *s, uint64_t now_ms);
void fa_scan_read_done(
	struct fa_scan *s, uint64_t now_ms, uint64_t id, int err, const void *buf, size_t len);
void fa_scan_write_done(struct fa_scan *s, uint64_t now_ms, uint64_t id, int err);
/* @err: 0, -ESTALE (another content by now), other -errno; @fd: takes (TMP), else -1 */
void fa_scan_action_done(struct fa_scan *s, uint64_t now_ms, uint64_t id, int err, const char *text,
	const uint8_t *qid, int fd);
/* deadlines, the breaker's probe, what was submitted: every FA_SCAN_TICK_MS while files() > 0 */
void fa_scan_tick(struct fa_scan *s, uint64_t now_ms);

/* ready: settings are here and the breaker is closed: rescans may go on */
bool fa_scan_ready(const struct fa_scan *s);
bool fa_scan_breaker_open(const struct fa_scan *s);
size_t fa_scan_files(const struct fa_scan *s);
/* settings of the service; zeros before the first */
const uint8_t *fa_scan_epoch(const struct fa_scan *s, size_t *ret_len);
uint64_t fa_scan_max_bytes(const struct fa_scan *s);

/* what came of a fa_scan_submit(); texts are borrowed for the call */
struct fa_outcome {
	bool judged; /* a verdict came; else reason says why not (docs/scan.md) */
	Idfw__FileVerdictKind verdict;
	const char *engine, *signature, *reason; /* never NULL */
	Idfw__FileDone__Result action;		 /* of DELETE, QUARANTINE, REPLACE; UNKNOWN: none */
	const char *action_text;
	const uint8_t *quarantine_id; /* 16 bytes, or NULL */
};

/*
 * fa_scan_submit - scan an open file that nobody is held for: RESCAN, DEMAND
 * @fd: takes (also on error)
 * @done: once, later, from the loop; NULL: nobody wants to know
 * Errors: -GI_EFULL (too many wait), -ENOTCONN (no service), -errno of statx(2); @done is not
 * called
 */
GI_MUST_CHECK int fa_scan_submit(struct fa_scan *s, int fd, Idfw__FileOp op,
	void (*done)(void *arg, const struct fa_outcome *), void *arg);
/* nobody wants these outcomes any more */
void fa_scan_forget(struct fa_scan *s, const void *arg);

#endif
