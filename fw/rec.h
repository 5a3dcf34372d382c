/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rec.h - fixed-shape records between gi-netagent's parsing process and its privileged pusher
 *
 * One record is one SOCK_SEQPACKET message of exactly sizeof(struct fw_rec) bytes; both ends are
 * the same binary. A ruleset is BEGIN, its GROUPs, NETs, RULEs, PEERs, SERVICEs and ELEMs in the
 * counts that BEGIN announced, COMMIT. A delta is DELTA, OPs, COMMIT. The receiver checks type,
 * order, counts and every field before it uses one (fw_rec_reader), parses no text, and answers
 * each COMMIT with one DONE. Several records may be sent by one sendmmsg(2).
 */
#ifndef FW_REC_H
#define FW_REC_H

#include "fw/fw.h"

enum fw_rec_type {
	FW_REC_BEGIN = 1, /* generation, version, a: default_in, b: _out, c: revoke, n: counts */
	FW_REC_GROUP,	  /* name, a: uses, n[0]: nets */
	FW_REC_NET,	  /* addr, a: length; belongs to the last GROUP */
	FW_REC_RULE,	  /* name, a: dir, b: action, c: log, n[0..2]: from, to, services */
	FW_REC_PEER,	  /* a: 0 from, 1 to; n[0]: group; belongs to the last RULE */
	FW_REC_SERVICE,	  /* a: proto, n[0..2]: port_lo, port_hi, icmp_type */
	FW_REC_ELEM,	  /* elem */
	FW_REC_DELTA,	  /* generation, from_version, version, n[0]: ops */
	FW_REC_OP,	  /* a: del, elem */
	FW_REC_COMMIT,
	FW_REC_MARKS, /* asks for the read-back; answered by ELEMs and DONE */
	FW_REC_DONE,  /* generation, version, err: 0 or negative, name: why */
	FW_REC_RENEW, /* a heartbeat: leases begin anew; not answered */
	FW_REC_ALARM, /* from the pusher, at any time: a: enum fw_alarm, b: over, name: text */
};

struct fw_rec {
	uint32_t type;
	int32_t err;
	uint64_t generation, version, from_version;
	uint32_t n[3];
	uint8_t a, b, c, pad;
	struct gi_addr addr;
	struct fw_elem elem;
	char name[128]; /* NUL-terminated, checked */
};

struct fw_rec_reader; /* state machine: records in, a finished state or delta out; rec.c */

GI_MUST_CHECK int fw_rec_reader_new(struct fw_rec_reader **ret);
void fw_rec_reader_free(struct fw_rec_reader *r);
enum fw_rec_out {
	FW_REC_MORE = 0,
	FW_REC_STATE = 1,
	FW_REC_DELTA_READY = 2,
	FW_REC_WANT_MARKS = 3,
	FW_REC_WANT_RENEW = 4,
};
/* @ret_state/@ret_delta: returned owned when *ret_out says so. -GI_EPROTO: the sender must be
 * dropped */
GI_MUST_CHECK int fw_rec_reader_feed(struct fw_rec_reader *r, const void *buf, size_t len,
	enum fw_rec_out *ret_out, struct fw_state **ret_state, struct fw_delta **ret_delta);
/* the sender's side: calls emit for each record, in order; stops at emit's first error */
GI_MUST_CHECK int fw_rec_write_state(
	const struct fw_state *s, int (*emit)(void *arg, const struct fw_rec *r), void *arg);
GI_MUST_CHECK int fw_rec_write_delta(
	const struct fw_delta *d, int (*emit)(void *arg, const struct fw_rec *r), void *arg);

#endif
