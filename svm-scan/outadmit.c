/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outadmit.c - which reports of agents may come in at all; see outbox.h
 *
 * Before a report is written or held in memory, so that a VM that floods has its share and no more,
 * and what found no room is not overtaken: the acknowledgement of a later one would tell the agent
 * to forget it. Invariant: while .hole is set nothing behind it comes in.
 */
#include "svm-scan/outbox_int.h"

bool outbox_too_many(struct scan_outbox *o, struct stream *s)
{
	struct io_spool_stats st;

	if (s->inherited) {
		io_spool_stats(o->spool, &st);
		if (st.acked_seq >= s->inherited_seq)
			s->inherited = 0;
	}
	return s->waiting + s->held + s->inherited >= SCAN_UNDER_WAY_MAX;
}

int scan_outbox_admit(struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq)
{
	struct stream *s;
	int err = 0;

	(void)pthread_mutex_lock(&o->lock);
	s = outbox_stream_get(o, vm, boot);
	if (!s) {
		err = -ENOMEM;
	} else if (agent_seq <= s->taken || (s->held && agent_seq <= s->held_seq)) {
		err = -EALREADY;
	} else if (s->hole && agent_seq > s->hole) {
		err = -EAGAIN;
	} else if (outbox_too_many(o, s)) {
		s->hole = agent_seq;
		s->asked = false;
		err = -EAGAIN;
	} else if (agent_seq == s->hole) {
		s->hole = 0;
	}
	if (err < 0 && err != -EALREADY)
		o->refused++;
	(void)pthread_mutex_unlock(&o->lock);
	return err;
}

int scan_outbox_skip(struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq, bool *ret_done)
{
	struct stream *s;
	int err = 0;

	(void)pthread_mutex_lock(&o->lock);
	s = outbox_stream_get(o, vm, boot);
	if (!s)
		err = -ENOMEM;
	else if (agent_seq <= s->taken || (s->held && agent_seq <= s->held_seq))
		err = -EALREADY;
	else if (s->held || s->hole || s->refused || outbox_too_many(o, s) || s->inherited)
		err = -EAGAIN;
	if (err == 0) {
		s->taken = s->skipped = agent_seq;
		*ret_done = s->waiting == 0;
		if (*ret_done)
			s->acked = agent_seq;
	}
	(void)pthread_mutex_unlock(&o->lock);
	return err;
}

void scan_outbox_hold(struct scan_outbox *o, const char *vm, const uint8_t boot[WIRE_BOOT_ID_LEN],
	uint64_t agent_seq, enum scan_outbox_hold what)
{
	struct stream *s;

	(void)pthread_mutex_lock(&o->lock);
	s = outbox_stream_find(o, vm, boot);
	if (s && what == SCAN_OUTBOX_HELD) {
		s->held++;
		s->held_seq = agent_seq;
	} else if (s && what == SCAN_OUTBOX_UNHELD) {
		s->held -= s->held > 0;
		if (s->taken < agent_seq) /* nor was it taken */
			s->held_seq = agent_seq - 1;
	} else if (s) {
		s->hole = agent_seq;
		s->asked = false;
	}
	(void)pthread_mutex_unlock(&o->lock);
}
