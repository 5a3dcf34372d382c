/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * epsec.h - libepsec: what a scanner links to see, read and judge the files of guests
 *
 *   gi-fileagent (in the VM) -> gi-mux (on the host) == TLS ==> libepsec in your service
 *
 * A service opens one struct eps with a name, a version and what it wants to see. The library
 * listens for muxes (mutual TLS 1.3), speaks the protocol (docs/scan.md) in one thread of its own,
 * and hands out events. An event stands for one file of one guest whose opener waits (or whose
 * writer has closed it). It is answered exactly once, from any thread.
 *
 *   struct eps_event *ev;
 *   while (eps_next(eps, -1, &ev) == 0) {
 *           ... eps_read(ev, offset, buf, len, &got) ...
 *           eps_answer(ev, &(struct eps_verdict){ .size = sizeof(struct eps_verdict),
 *                   .kind = EPS_ALLOW, .until_change = true });
 *   }
 *
 * Threads: every function may be called from any thread, unless it says otherwise; one event is
 * used by one thread at a time. Only what says "blocks" blocks, and never in a callback.
 *
 * When a guest goes away, its connection ends, or its agent no longer waits (deadline), the event
 * stays valid: reads return -EPS_EGONE, the answer is taken and leads to nothing (eps_answer()
 * says -EPS_EGONE, so that you can count it; done() says lost for what would have been done).
 * Nothing has to be cleaned up differently.
 *
 * Errors: 0 or a negative number: -errno, or one of EPS_E below. eps_strerror() has words.
 * Versions: the library checks eps_conf.api_version; symbols are versioned (EPSEC_1.0); structs
 * that you fill begin with their size, so that later libraries know what you know; a size of 0 is
 * that of version 1.
 * Source: epsec(3), docs/scan.md, lib/wire/idfw.proto.
 */
#ifndef EPSEC_H
#define EPSEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EPS_API_VERSION 1

enum {
	EPS_EGONE = 1100,    /* the guest, its connection or its interest is gone */
	EPS_ECHANGED = 1101, /* the file is not what the event was about any more */
	EPS_EDONE = 1102,    /* already answered */
	EPS_EVERSION = 1103, /* this library does not speak that api_version */
	EPS_ESTOPPED = 1104, /* eps_stop() was called */
	EPS_EINLOOP = 1105,  /* would block, and was called in a callback */
	EPS_EREFUSED = 1106, /* the agent does not do that (a read-only file system, a policy) */
	EPS_ELIMIT = 1107,   /* over a limit of this header */
};

#define EPS_NAME_MAX 64 /* bytes, as all text lengths here, without the NUL */
#define EPS_SIGNATURE_MAX 256
#define EPS_REASON_MAX 256
#define EPS_VM_MAX 63
#define EPS_PATH_MAX 4096
#define EPS_EPOCH_MAX 32

struct eps;	  /* one service in one process */
struct eps_event; /* one file to judge */

enum eps_op { /* numbers are those of FileOp in idfw.proto */
	EPS_OP_OPEN = 1,
	EPS_OP_EXEC = 2,
	EPS_OP_CLOSE_WRITE = 3,
	EPS_OP_RESCAN = 4,
	EPS_OP_DEMAND = 5
};
#define EPS_WANT(op) (1u << (op))
#define EPS_WANT_ALL 0x3eu

enum eps_kind {
	EPS_ALLOW = 1,
	EPS_DENY = 2,
	EPS_DELETE = 3,
	EPS_QUARANTINE = 4,
	EPS_REPLACE = 5, /* by what eps_write() gave */
	EPS_FAILED = 6	 /* no scan took place: the agent's fail policy decides. Not remembered */
};

enum eps_log_level { EPS_LOG_ERR = 3, EPS_LOG_WARN = 4, EPS_LOG_NOTICE = 5, EPS_LOG_DEBUG = 7 };

/* all pointers are borrowed for the call, unless said; NULL and 0 mean the default */
struct eps_conf {
	size_t size;		      /* sizeof(struct eps_conf) */
	uint32_t api_version;	      /* EPS_API_VERSION */
	const char *name;	      /* of the service: "svm-scan"; at most EPS_NAME_MAX */
	const char *version;	      /* "0.1.0" */
	const char *listen;	      /* "tcp:ADDRESS:PORT", "tcp:[ADDRESS]:PORT", "unix:PATH" */
	const char *ca, *cert, *key;  /* PEM files; the key must not be readable by others */
	const char *const *mux_names; /* CNs of the muxes that may connect */
	size_t n_mux_names;
	uint32_t want;		 /* EPS_WANT() bits; 0: EPS_WANT_ALL */
	const uint8_t *epoch;	 /* names your signatures; see eps_epoch_set() */
	size_t epoch_len;	 /* 1..EPS_EPOCH_MAX */
	uint64_t max_file_bytes; /* agents do not send larger ones; 0: no bound */
	uint32_t head_bytes;	 /* that come with an event; default 16 KiB, at most 48 KiB */
	uint32_t credits;	 /* unanswered events a guest may have; default 256 */
	size_t max_events;	 /* in all; default 65536; more are answered EPS_FAILED "busy" */
	size_t max_memory;	 /* bytes of content the library holds; default 256 MiB, at least
				    head_bytes */
	size_t read_ahead; /* bytes that eps_read() asks for ahead; default 1 MiB, one event */
	void *reserved[4]; /* NULL */
};

struct eps_actor {	   /* what the guest says who did it */
	uint32_t pid, uid; /* uid UINT32_MAX: not known, or nobody did */
	uint64_t session;  /* gi-netagent's number in this boot; 0 unknown */
	const char *user, *comm;
	const uint8_t *exe;
	size_t exe_len;
};

struct eps_file {	     /* what is known of it; valid as long as the event */
	const char *vm;	     /* inventory name, from the transport */
	const char *mux;     /* CN */
	uint8_t boot_id[16]; /* of the guest */
	enum eps_op op;
	const uint8_t *path; /* bytes as in the guest, no NUL inside; for people */
	size_t path_len;
	uint64_t size; /* bytes */
	uint64_t mtime_ns, ctime_ns, inode, device;
	uint32_t mode;
	const uint8_t *head; /* its first bytes; head_len == size: all of them */
	size_t head_len;
	/*
	 * CLOCK_MONOTONIC of this process: after it nobody waits. UINT64_MAX: the guest named none;
	 * bound the scan yourself then, a hostile one can be slow for ever
	 */
	uint64_t deadline_ms;
	const struct eps_actor *actor; /* NULL: the guest says it in eps_done */
};

struct eps_verdict {
	size_t size; /* sizeof(struct eps_verdict) */
	enum eps_kind kind;
	bool until_change;     /* the guest may remember it until the file or the epoch changes */
	const char *engine;    /* "clamav"; NULL: the service's name */
	const char *signature; /* "Eicar-Test-Signature"; NULL none */
	const char *reason;    /* for people; NULL none */
	const uint8_t *sha256; /* 32 bytes, or NULL */
};

enum eps_result { EPS_RESULT_DONE = 1, EPS_RESULT_CHANGED = 2, EPS_RESULT_FAILED = 3 };

struct eps_done {  /* what the guest did about a verdict other than a plain allow */
	void *tag; /* eps_event_tag_set() */
	enum eps_result result;
	const char *text;
	struct eps_actor actor;
	const uint8_t *quarantine_id; /* 16 bytes or NULL */
	bool opener_denied;
	bool lost; /* the guest never said: it went away or was silent for too long */
};

/*
 * Callbacks, all optional, all from the library's thread: they must not block, and may call
 * anything here that does not. What they are given is borrowed for the call.
 */
struct eps_ops {
	size_t size; /* sizeof(struct eps_ops) */
	/*
	 * A first look before the event is queued for eps_next(): answer it here (a cache) and
	 * return true, or return false. @ev is yours if you return true, else still the library's.
	 */
	bool (*look)(void *arg, struct eps_event *ev);
	/*
	 * What became of a DENY, DELETE, QUARANTINE or REPLACE: exactly once for each such answer,
	 * also for one that came too late (lost).
	 */
	void (*done)(void *arg, const char *vm, const struct eps_done *d);
	void (*guest_up)(void *arg, const char *vm, const char *mux, const uint8_t boot_id[16]);
	void (*guest_down)(void *arg, const char *vm, const char *why);
	/* packed FileReport (idfw.proto); acknowledge with eps_report_ack() once it is durable */
	void (*report)(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq,
		const uint8_t *buf, size_t len);
	/* packed FileCounters */
	void (*counters)(void *arg, const char *vm, const uint8_t *buf, size_t len);
	/* packed FileReply to an eps_command() */
	void (*reply)(void *arg, const char *vm, uint64_t id, const uint8_t *buf, size_t len);
	void (*log)(void *arg, enum eps_log_level level, const char *text);
	void *reserved[4];
};

const char *eps_version(void);	   /* of the library: "0.1.0" */
const char *eps_strerror(int err); /* static */

/*
 * eps_open - check the configuration, listen, start the library's thread
 * @ops: borrows until eps_close()
 * @ret_why: words for a log on error, or NULL
 * @ret: owned, eps_close(); untouched on error
 * Privileges: opens @key and binds @listen before it returns; may then be dropped.
 * Errors: -EINVAL, -EPS_EVERSION, -EADDRINUSE, -EACCES and others of files and sockets, -ENOMEM
 */
int eps_open(const struct eps_conf *conf, const struct eps_ops *ops, void *arg, char ret_why[256],
	struct eps **ret);
/* no more events: eps_next() returns -EPS_ESTOPPED in all threads. Idempotent */
void eps_stop(struct eps *e);
/*
 * Blocks until the library's thread ended. Every event must be answered or released before.
 * Agents see the connection end, and decide by their fail policy. NULL is fine.
 */
void eps_close(struct eps *e);

/*
 * eps_next - the next event nobody has looked at; fair between guests. Blocks.
 * Of one guest's, those of EPS_OP_OPEN and EPS_OP_EXEC first, as somebody is held by them (each
 * eighth is another if one waits); of each of both kinds the oldest first.
 * @timeout_ms: -1 for ever, 0 not at all
 * Errors: -ETIMEDOUT, -EPS_ESTOPPED, -EPS_EINLOOP
 */
int eps_next(struct eps *e, int timeout_ms, struct eps_event **ret);

const struct eps_file *eps_event_file(const struct eps_event *ev);
/* true once nobody waits: the scan may be given up. Cheap */
bool eps_event_gone(const struct eps_event *ev);
/* comes back in eps_done; the caller's */
void eps_event_tag_set(struct eps_event *ev, void *tag);
/*
 * EPS_ROOM_BYTES of the event's own for the caller, aligned as by malloc(), zeroed when the event
 * comes: what the first look found out, for whoever gets the event from eps_next(). Gone with it.
 */
#define EPS_ROOM_BYTES 64
void *eps_event_room(struct eps_event *ev);

/*
 * eps_read - @len bytes at @offset, fewer only at the end. Blocks until they are here, or the
 * deadline. Answers from the head and what was read ahead, else asks the guest. What is read ahead
 * is dropped when it is not used; at max_memory only what is needed next is asked for.
 * @ret_len: 0 at the end of the file
 * Errors: -EPS_EGONE, -EPS_ECHANGED, -EIO and other errno of the guest's read, -ETIMEDOUT,
 *         -EPS_EINLOOP (what comes with the event can be read in callbacks, too)
 */
int eps_read(struct eps_event *ev, uint64_t offset, void *buf, size_t len, size_t *ret_len);

/*
 * eps_write - the next bytes of the file's new content, for EPS_REPLACE. Blocks (flow control).
 * In order, from 0; @last with the last of them. The guest puts them in place at the answer, in one
 * rename, only if the file has not changed since the event; owner, mode and extended attributes
 * stay. After the last all of it is in the guest, or an error is returned. What failed once fails
 * again: the content cannot be completed any more, answer EPS_FAILED or what else is right.
 * Errors: as eps_read(), -EPS_EDONE (after @last), -EPS_EREFUSED, -ENOSPC and other errno of the
 * guest's write
 */
int eps_write(struct eps_event *ev, const void *buf, size_t len, bool last);

/*
 * eps_answer - the verdict; takes @ev: it is gone after the call, whatever it returns
 * Does not block. Errors: -EINVAL (kind; REPLACE without a last eps_write(): answered FAILED),
 *         -EPS_EGONE (nobody waits any more), -EPS_ELIMIT (a text too long: cut)
 */
int eps_answer(struct eps_event *ev, const struct eps_verdict *v);

/*
 * eps_epoch_set - new signatures: verdicts of other epochs no longer count, anywhere
 * Events under way go on. An answer carries the epoch that was set when its event was handed out:
 * load the signatures first, then call this.
 */
int eps_epoch_set(struct eps *e, const uint8_t *epoch, size_t len);

/* for one VM: credits and largest file, 0: the service's default. It need not be connected */
int eps_guest_limits_set(struct eps *e, const char *vm, uint32_t credits, uint64_t max_file_bytes);

/* all reports of that boot of that VM up to @seq are durable */
int eps_report_ack(struct eps *e, const char *vm, const uint8_t boot_id[16], uint64_t seq);

/*
 * eps_command - an operator's command to a guest's agent
 * @buf: packed FileCommand without id
 * @ret_id: what its replies carry
 * Errors: -EPS_EGONE (the guest is not connected), -EINVAL, -ENOBUFS
 */
int eps_command(struct eps *e, const char *vm, const uint8_t *buf, size_t len, uint64_t *ret_id);

struct eps_stats {
	size_t size; /* sizeof(struct eps_stats), set by the caller */
	uint64_t events, looked, answered, gone, failed, busy; /* busy: over max_events */
	uint64_t read_requests, read_bytes, ahead_bytes_wasted;
	uint64_t bad_frames, refused_links;
	size_t guests, links, waiting, memory_bytes; /* now */
};
void eps_stats(struct eps *e, struct eps_stats *ret);

#ifdef __cplusplus
}
#endif
#endif
