/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * eps_int.h - what libepsec's files share; private to epsec/
 *
 *   net.c  --frames-->  link.c  --messages-->  guest.c  --events-->  event.c <-> eps_next, _answer
 *     ^                                          |  FileData, FileWrote -> read.c, write.c
 *     +------------- frames: box.c <-------------+------------------------------+
 *
 * Two kinds of threads: the library's one, which alone touches links, guests' tables of messages
 * and callbacks, and the callers'. They share what stands below "lock". Nothing calls back, sends
 * or decodes with the lock held. What a caller's thread sends it encodes itself and appends to the
 * link's box; the library's thread empties boxes, once a round.
 * The protocol needs no sockets: a link is a function that takes frames (eps_link_ops), so tests
 * and the fuzzer drive link.c with bytes.
 */
#ifndef EPSEC_EPS_INT_H
#define EPSEC_EPS_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include "epsec/epsec.h"
#include "epsec/table.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"
#include "lib/wire/wire.h"

#define EPS_CREDITS_DEFAULT 256
#define EPS_CREDITS_SLACK_MS 10000 /* fewer credits: the guest may not know yet */
#define EPS_EVENTS_DEFAULT 65536
#define EPS_MEMORY_DEFAULT (256u << 20)
#define EPS_HEAD_DEFAULT (16u << 10)
#define EPS_AHEAD_DEFAULT (1u << 20)
#define EPS_AHEAD_MAX (4u << 20)
#define EPS_VMS_MAX 65536
#define EPS_COMMANDS_MAX 64	  /* unanswered, to one guest */
#define EPS_QUEUE_MAX (64u << 20) /* bytes to one mux */
#define EPS_BOX_KEEP (1u << 20)	  /* an empty box keeps at most this much memory */
#define EPS_WRITES_MAX \
	(16u << 20)	     /* bytes of eps_write() under way, in all: half of a mux's max-queue */
#define EPS_SILENCE_MS 10000 /* a guest that answers no read or write for so long */
#define EPS_DONE_MS 5000     /* from a verdict to its FileDone */
#define EPS_RANGES_MAX 8     /* FileReads of one event under way */
#define EPS_PIECE_LEAST 512  /* bytes of a FileData that does not end its range */
#define EPS_PENDING_MAX 16384 /* verdicts of a guest whose outcome is not known */
#define EPS_MUX_NAME_MAX 255

struct eps_link;
struct eps_guest;
struct eps_net;

struct eps_vm { /* what outlives a guest's connection; by name, kept until eps_close() */
	struct eps_node node;
	char name[EPS_VM_MAX + 1];
	struct eps_guest *guest; /* or NULL */
	/* lock */
	uint32_t credits;	 /* 0: the default */
	uint64_t max_file_bytes; /* 0: the default */
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	uint64_t acked; /* FileReports of that boot */
	bool unsettled; /* its guest has to be told new settings */
};

struct eps_link_ops {
	/* one frame to the mux: 0 or negative; then the link is failed */
	int (*send)(void *arg, const uint8_t *buf, size_t len);
	/* called once, and eps_link_down() has to follow, but not from inside */
	void (*fail)(void *arg, const char *why);
};

struct eps_link { /* one mux; the library's thread */
	struct eps *eps;
	const struct eps_link_ops *ops;
	void *arg;
	char name[EPS_MUX_NAME_MAX + 1];
	struct eps_guest *guests;
	size_t n_guests;
	bool hello, failed;
	struct gi_buf drain; /* the box that is being emptied */
	struct eps_link *prev, *next;
	/* lock */
	struct gi_buf box; /* frames of other threads: 4 bytes of length, bytes */
};

/* who waits for the verdict is in the first; see event.c */
enum { EPS_Q_HELD, EPS_Q_OTHERS, EPS_QUEUES };
#define EPS_HELD_RUN 7 /* so many go before others that wait, then one of these */

struct eps_queue { /* oldest first */
	struct eps_event *first, *last;
};

struct eps_guest { /* one connection of a VM's agent; lives as long as its events */
	struct eps *eps;
	struct eps_vm *vm;
	struct eps_link *link; /* NULL: gone. Changed by the library's thread with lock */
	struct eps_guest *prev, *next;
	char mux[EPS_MUX_NAME_MAX + 1];
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	enum wire_state state;
	bool up;		       /* guest_up() was called */
	uint64_t last_id, last_report; /* the highest */
	uint32_t credits, credits_before;
	uint64_t credits_ms; /* since when */
	/* lock */
	size_t refs;		  /* of events, and one while connected */
	struct eps_table events;  /* unanswered ones, by id */
	struct eps_table pending; /* struct eps_pending, by id */
	struct eps_queue queues[EPS_QUEUES];
	unsigned int held_run; /* handed out while others waited, since the last of these */
	struct eps_guest *turn_prev, *turn_next; /* ring of those that have a queue */
	uint64_t commands[EPS_COMMANDS_MAX];
	size_t n_commands;
	const char *broken; /* NULL, or why it has to be dropped */
};

struct eps_pending { /* a verdict whose FileDone is waited for: what is left of its event */
	struct eps_node node; /* key: the agent's id */
	void *tag;	      /* the caller's */
	uint64_t deadline_ms;
	struct eps_pending *next; /* in a list of lost ones */
	struct eps_vm *vm;
};

struct eps_chunk { /* content that came in */
	struct eps_chunk *next;
	Idfw__Envelope *env; /* owned; holds the data */
	uint64_t at;
	const uint8_t *data;
	size_t len;
	bool used;
};

struct eps_range { /* a FileRead under way */
	uint64_t at;
	uint32_t len, got;
	bool unwanted;
};

struct eps_io { /* reading and writing one event: made when the head is not enough */
	pthread_cond_t cond;
	/* the caller's */
	struct eps_chunk *mine; /* ascending, contiguous */
	uint64_t asked;		/* what was asked for ends here */
	uint64_t next;		/* offset behind the last read */
	size_t window;
	bool closed; /* eps_write() with last */
	int broken;  /* an eps_write() failed: how much of it is in the guest is not known */
	/* lock */
	bool waiting;
	struct eps_chunk *inbox; /* ascending */
	struct eps_range ranges[EPS_RANGES_MAX];
	size_t n_ranges;
	int read_err;
	uint64_t heard_ms;
	uint64_t sent, wrote; /* by eps_write(); acknowledged */
	bool last_sent;	      /* and not acknowledged; it may have no bytes */
	int write_err;
};

enum eps_state {
	EPS_FRESH,  /* being looked at: look() */
	EPS_QUEUED, /* waits for eps_next() */
	EPS_TAKEN   /* a caller's */
};

struct eps_event {
	struct eps_pending p; /* first: it is freed as one */
	struct eps_file file;
	struct eps_actor actor;
	struct eps_guest *guest;
	Idfw__Envelope *env; /* owned; holds path and head */
	uint8_t epoch[EPS_EPOCH_MAX];
	size_t epoch_len;
	struct eps_io *io; /* NULL, or owned; set once, with lock */
	atomic_int gone;   /* 0, or the negative error that says why */
	/* lock */
	enum eps_state state;
	struct eps_event *prev, *next;			    /* in its queue of the guest's */
	_Alignas(max_align_t) uint8_t room[EPS_ROOM_BYTES]; /* the caller's */
};

struct eps {
	struct eps_conf conf; /* pointers in it are not valid */
	char name[EPS_NAME_MAX + 1];
	char software[WIRE_SOFTWARE_MAX + 1];
	struct eps_ops ops;
	void *arg;
	struct eps_net *net;  /* NULL in tests of the protocol */
	struct io_loop *loop; /* the same */
	struct io_wake wake;
	struct io_idle hand_over; /* end of a round: wakes who waits for its events */
	pthread_t thread;
	bool threaded;
	/* the library's thread */
	struct eps_table vms; /* changed with lock */
	struct eps_link *links;
	size_t n_links;
	struct gi_buf inner, outer;

	pthread_mutex_t lock;
	pthread_cond_t ready;
	size_t waiters;
	bool waking; /* a waiter was signalled and has not run yet */
	bool stopped, closing;
	struct eps_guest *turn; /* whose event is next */
	size_t n_waiting, n_guests, n_up;
	uint8_t epoch[EPS_EPOCH_MAX];
	size_t epoch_len;
	bool unsettled, broken;
	uint64_t next_command;
	struct eps_pending *lost; /* done() has to say so */

	uint64_t silence_ms; /* EPS_SILENCE_MS; tests do not wait for that */
	atomic_size_t n_events, memory, writing;
	atomic_ullong s_events, s_looked, s_answered, s_gone, s_failed, s_busy;
	atomic_ullong s_read_requests, s_read_bytes, s_wasted, s_bad_frames, s_refused_links;
};

#define EPS_ADD(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)
#define EPS_SUB(counter, n) atomic_fetch_sub_explicit(&(counter), (n), memory_order_relaxed)
#define EPS_GET(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

/* ---- core.c: one service without sockets ---- */
GI_MUST_CHECK int eps_core_init(struct eps *e, const struct eps_conf *conf,
	const struct eps_ops *ops, void *arg, char ret_why[256]);
void eps_core_fini(struct eps *e);
void eps_log(struct eps *e, enum eps_log_level level, const char *fmt, ...) GI_PRINTF(3, 4);
bool eps_in_loop(const struct eps *e);
void eps_wake(struct eps *e);
/* what other threads left: boxes, settings, broken guests, lost verdicts. The library's thread */
void eps_core_pump(struct eps *e);
void eps_core_tick(struct eps *e, uint64_t now_ms); /* once a second: verdicts without an outcome */
/* lock held. Creates it; -ENOMEM, -EPS_ELIMIT, -EINVAL (bad name) */
GI_MUST_CHECK int eps_vm_get(struct eps *e, const char *name, struct eps_vm **ret);
struct eps_vm *eps_vm_find(struct eps *e, const char *name);
/* a condition with a monotonic clock */
int eps_cond_init(pthread_cond_t *c);
/* lock held; 0 or ETIMEDOUT. UINT64_MAX: for ever */
int eps_cond_wait(struct eps *e, pthread_cond_t *c, uint64_t until_ms);

/* ---- box.c: frames to muxes ---- */
/* lock held, any thread: false when the guest is gone. A full box breaks the link at the pump */
bool eps_box_post(struct eps_guest *g, const struct gi_buf *routed);
/* the library's thread */
void eps_box_drain(struct eps_link *l);
void eps_link_send(struct eps_link *l, const Idfw__Routed *r);
void eps_guest_send(struct eps_guest *g, const Idfw__Envelope *env);
/* any thread, no lock: an Envelope as a frame; @inner, @outer: scratch, reset here */
GI_MUST_CHECK int eps_box_encode(const struct eps_guest *g, const Idfw__Envelope *env,
	struct gi_buf *inner, struct gi_buf *outer);
/* any thread, no lock: encode and post; -EPS_EGONE, -ENOMEM, -EINVAL */
GI_MUST_CHECK int eps_post(struct eps_guest *g, const Idfw__Envelope *env);

/* ---- link.c: routed messages; the library's thread ---- */
void eps_link_init(struct eps *e, struct eps_link *l, const struct eps_link_ops *ops, void *arg,
	const char *name);
/* one frame; negative: the link has to be failed with *ret_why */
GI_MUST_CHECK int eps_link_frame(
	struct eps_link *l, const uint8_t *buf, size_t len, const char **ret_why);
void eps_link_fail(struct eps_link *l, const char *why);
void eps_link_ping(struct eps_link *l);
void eps_link_refuse(struct eps_link *l, Idfw__Refused__Reason reason, const char *text);
void eps_link_down(
	struct eps_link *l, const char *why); /* its guests are gone; frees what it has */

/* ---- guest.c; the library's thread ---- */
GI_MUST_CHECK int eps_guest_new(struct eps_link *l, const char *vm, struct eps_guest **ret);
void eps_guest_gone(struct eps_guest *g, const char *why); /* frees it when no event is left */
void eps_guest_drop(struct eps_guest *g, const char *why); /* the same, and tells the mux */
void eps_guest_settle(struct eps_guest *g);		   /* sends ScanSettings */
/* takes @env, also on error; negative: the guest has to be dropped */
GI_MUST_CHECK int eps_guest_message(struct eps_guest *g, Idfw__Envelope *env, const char **ret_why);
bool eps_guest_unref(struct eps_guest *g); /* lock held; true: eps_guest_free() it, unlocked */
void eps_guest_free(struct eps_guest *g);
/* @ret->... borrows from @a, which may be NULL */
void eps_actor_fill(struct eps_actor *ret, const Idfw__FileActor *a);
/* lost verdicts: calls done(), frees */
void eps_guest_tell_lost(struct eps *e, struct eps_pending *list);

/* ---- event.c ---- */
/* takes @env, also on error */
GI_MUST_CHECK int eps_event_arrived(struct eps_guest *g, Idfw__Envelope *env, const char **ret_why);
/*
 * lock held; @ev is out of the guest's table, which still has its own reference: nobody waits for
 * it. Returns it, unreferenced, for eps_event_free(), when no caller has it; else NULL
 */
struct eps_event *eps_event_lose(struct eps_event *ev, int err);
/* no lock; its guest was unreferenced before */
void eps_event_free(struct eps *e, struct eps_event *ev);
void eps_event_strip(struct eps *e, struct eps_event *ev); /* the same, but for the struct */

/* ---- read.c, write.c: lock held ---- */
/* a FileData; keeps @env when *ret_taken is set to true */
GI_MUST_CHECK int eps_read_data(
	struct eps_event *ev, Idfw__Envelope *env, bool *ret_taken, const char **ret_why);
GI_MUST_CHECK int eps_write_done(
	struct eps_event *ev, const Idfw__FileWrote *w, const char **ret_why);
void eps_io_wake(struct eps_io *io);
/* no lock */
GI_MUST_CHECK int eps_io_get(struct eps_event *ev, struct eps_io **ret);
void eps_io_free(struct eps *e, struct eps_io *io);
/* lock held; waits until woken. 0, -EPS_EGONE and the like, -ETIMEDOUT */
GI_MUST_CHECK int eps_io_wait(struct eps_event *ev, struct eps_io *io);

#endif
