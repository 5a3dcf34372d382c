/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outbox.h - records for svm-idfw, numbered, on disk until it has acknowledged them
 *
 * A journal (lib/io/spool.h) whose events are packed Envelopes, ready to be sent. The outbox has
 * an id of its own (16 random bytes in the file "id" beside the segments): svm-idfw remembers per
 * id how far it came, so that a record that is sent twice is kept once. Numbers go on over
 * restarts. Agents' reports pass through here too: which report of which boot of which VM a record
 * was made of is remembered (also over restarts) until svm-idfw has the record, so that an agent
 * forgets nothing before that and what it sends again is not recorded again.
 *
 * Thread-safe. Full: nothing more is taken, the oldest stay. Source: docs/scan.md "The outbox".
 */
#ifndef SVM_SCAN_OUTBOX_H
#define SVM_SCAN_OUTBOX_H

#include "lib/base/buf.h"
#include "lib/io/spool.h"
#include "lib/wire/wire.h"

#define SCAN_UNDER_WAY_MAX 2048 /* reports of one VM that wait here; a good agent sends 512 */
#define SCAN_STREAMS_MAX 16384	/* VMs whose reports are told apart; the oldest is forgotten */

struct scan_outbox;

/*
 * scan_outbox_open - @dir is made when it is not there
 * @ret_why: words for a log on error
 * Errors: -errno of the directory or the id file, -ENOMEM
 */
GI_MUST_CHECK int scan_outbox_open(
	const char *dir, uint64_t max_bytes, char ret_why[256], struct scan_outbox **ret);
void scan_outbox_free(struct scan_outbox *o);

/*
 * scan_outbox_add - one record; its seq is given here
 * Errors: -GI_EFULL (counted as lost), -GI_ELIMIT and -GI_EPROTO (no record svm-idfw would take;
 *         counted as lost), -ENOMEM
 */
GI_MUST_CHECK int scan_outbox_add(struct scan_outbox *o, Idfw__ScanRecord *rec);
/*
 * scan_outbox_report - the record of an agent's report
 * @vm, @boot: whose; @agent_seq: its number there, never 0
 * Errors: -EALREADY (it is here or was: fine), -GI_EFULL (no room for reports), -EAGAIN (one before
 * it was not taken for lack of room and has to come first), others as scan_outbox_add(): not taken
 */
GI_MUST_CHECK int scan_outbox_report(struct scan_outbox *o, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], uint64_t agent_seq, Idfw__ScanRecord *rec);
/*
 * scan_outbox_admit - before scan_outbox_report(), and before a report is held elsewhere
 * A VM that floods must not take the room of the others, and nothing may overtake what is not here.
 * Errors: -EALREADY (it is here, or held), -EAGAIN (too many of its VM are under way, or one before
 * it was refused: scan_outbox_again() asks for it), -ENOMEM
 */
GI_MUST_CHECK int scan_outbox_admit(struct scan_outbox *o, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], uint64_t agent_seq);
/*
 * scan_outbox_skip - a report that becomes no record: it counts as one that svm-idfw has
 * @ret_done: all before it are with svm-idfw: the agent may forget it now. Else it is told with the
 * last of those. Not remembered over a restart: then the agent may send it again.
 * Errors: -EALREADY (as of admit), -EAGAIN (one before it is not written yet: it has to have a
 * record), -ENOMEM
 */
GI_MUST_CHECK int scan_outbox_skip(struct scan_outbox *o, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], uint64_t agent_seq, bool *ret_done);
/* what became of an admitted one: it is held; is not any more; found no room anywhere */
enum scan_outbox_hold { SCAN_OUTBOX_HELD, SCAN_OUTBOX_UNHELD, SCAN_OUTBOX_REFUSED };
void scan_outbox_hold(struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq, enum scan_outbox_hold what);
/* all reports of that boot up to here are with svm-idfw; 0: none that we know of */
uint64_t scan_outbox_reported(
	struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN]);

/* as io_spool_next(): 1, 0, negative */
int scan_outbox_next(
	struct scan_outbox *o, struct io_spool_cursor *c, uint64_t *ret_seq, struct gi_buf *out);
/*
 * scan_outbox_ack - svm-idfw has all up to @seq
 * @reported: for each VM whose reports moved: how far they are with svm-idfw. Called without the
 *	lock.
 */
void scan_outbox_ack(struct scan_outbox *o, uint64_t seq,
	void (*reported)(void *arg, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
		uint64_t agent_seq),
	void *arg);
/*
 * scan_outbox_again - there is room: who had a report refused may send it, and those behind it
 * @reported: for each such VM, once a refusal: what it has heard already. That again asks for all
 *	that is behind it. Called without the lock.
 */
void scan_outbox_again(struct scan_outbox *o,
	void (*reported)(void *arg, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
		uint64_t agent_seq),
	void *arg);
/* try again to write what the disk did not take; after that from a timer */
void scan_outbox_flush(struct scan_outbox *o);

void scan_outbox_id(struct scan_outbox *o, uint8_t ret[WIRE_BOOT_ID_LEN]);
/*
 * svm-idfw knows numbers that we do not (our files are older than they should be): what waits is
 * numbered under a new id. -errno of writing it
 */
GI_MUST_CHECK int scan_outbox_new_id(struct scan_outbox *o);

struct scan_outbox_stats {
	uint64_t last_seq, acked_seq, waiting, bytes, lost, refused;
	int disk_err;
};
void scan_outbox_stats(struct scan_outbox *o, struct scan_outbox_stats *ret);

#endif
