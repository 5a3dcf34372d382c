/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outbox_int.h - what outbox.c and outadmit.c share
 *
 * In svm-scan, any thread, under the outbox's lock. A stream is what is known of the reports of one
 * boot of one VM.
 */
#ifndef SVM_SCAN_OUTBOX_INT_H
#define SVM_SCAN_OUTBOX_INT_H

#define HASH_NONFATAL_OOM 1 /* a report whose stream has no memory stays with its agent */
#include "svm-scan/outbox.h"

#include <pthread.h>
#include <uthash.h>

#define OUTBOX_VM_MAX 63

struct stream {
	char vm[OUTBOX_VM_MAX + 1]; /* key */
	uint8_t boot[WIRE_BOOT_ID_LEN];
	uint64_t taken, acked;	    /* numbers of reports */
	uint64_t refused;	    /* the first that was not taken; 0 none */
	uint64_t hole;		    /* the first that was not admitted, or held; 0 none */
	uint64_t skipped;	    /* the last that has no record; told with those before it */
	bool asked;		    /* its agent was asked for .hole again */
	uint64_t held_seq;	    /* the last that is held elsewhere */
	unsigned int held, waiting; /* elsewhere; here, not acknowledged */
	unsigned int inherited;	    /* of earlier boots of the VM, until .inherited_seq */
	uint64_t inherited_seq;	    /* is acknowledged */
	unsigned int refs;	    /* pending ones, and one of the table */
	struct stream *next_moved;  /* acknowledged just now, to be told; counted */
	bool moved;
	UT_hash_handle hh; /* in order of age: the first is the oldest */
};

struct pending {
	uint64_t seq, agent_seq;
	struct stream *stream; /* counted */
	struct pending *prev, *next;
};

struct scan_outbox {
	pthread_mutex_t lock;
	struct io_spool *spool;
	int dir_fd;
	uint8_t id[WIRE_BOOT_ID_LEN];
	struct stream *streams;
	struct pending *pending;
	struct stream *moved; /* list by .next_moved */
	size_t n_moved;
	uint64_t max_bytes, lost, refused;
	uint64_t restored_ack; /* of the newest checkpoint */
	struct gi_buf event;   /* scratch */
};

struct stream *outbox_stream_find(struct scan_outbox *o, const char *vm, const uint8_t *boot);
/* the VM's stream of this boot; one of another boot makes room for it. NULL: no memory */
struct stream *outbox_stream_get(struct scan_outbox *o, const char *vm, const uint8_t *boot);
/* locked: as many of its VM are under way as may be */
bool outbox_too_many(struct scan_outbox *o, struct stream *s);

#endif
