/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fix.h - a service of libepsec with one mux and the guest "web01", and what it was told
 *
 * Shared by the tests of libepsec. Callbacks count under a lock; fix_wait() waits for a count.
 */
#ifndef TEST_EPSEC_FIX_H
#define TEST_EPSEC_FIX_H

#include <pthread.h>
#include "tests/unit/epsec/guest.h"

struct fix_done {
	void *tag;
	int result;
	bool lost, denied, has_qid;
	char text[64], user[32], vm[64];
	uint64_t session;
	uint32_t uid;
};

struct fix {
	struct tg_bed bed;
	struct eps_conf conf;
	struct eps_ops ops;
	struct eps *eps;
	struct tg *tg;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* lock */
	struct fix_done done[16];
	size_t n_done, n_up, n_down, n_reports, n_counters, n_replies, n_looks;
	uint64_t report_seq, reply_id;
	size_t packed_len;
	char down_why[128], log[512];
	/* what look() does */
	enum { LOOK_NOT, LOOK_ALLOW, LOOK_DENY, LOOK_READ } look;
	int look_read_err, look_next_err, look_write_err;
};

void fix_init(struct fix *f); /* the bed, and a configuration to change */
void fix_open(struct fix *f); /* eps_open(), connects host1, "web01" is up */
void fix_fini(struct fix *f); /* closes what is open */
int fix_setup(void **state);  /* of a test: one of these on the heap, not opened */
int fix_teardown(void **state);
/* waits until *@count, one of the above, is at least @n */
void fix_wait(struct fix *f, const size_t *count, size_t n);
/* eps_next() within TG_WAIT_MS */
struct eps_event *fix_next(struct fix *f);
int fix_answer(struct eps_event *ev, enum eps_kind kind);
uint64_t fix_event(struct fix *f, const struct tg_file *file);
struct eps_stats fix_stats(struct fix *f);
void fix_wait_queued(struct fix *f, size_t n); /* so many wait for eps_next() */
uint8_t *fix_content(size_t len);	       /* owned; numbers that tell where they stand */

#endif
