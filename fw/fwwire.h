/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwwire.h - the firewall model as wire messages, and back
 *
 * svm-idfw encodes, gi-netagent decodes; both link libfwwire.la. It is the one file of fw/ that
 * knows lib/wire, so that neither wire.h nor fw.h has to know the other (ADR 0004). All limits of
 * fw.h are checked before memory is taken; what comes out of a reader passed fw_ruleset_check()
 * and fw_elem_check().
 * Source: docs/wire.md "Rulesets and deltas".
 */
#ifndef FW_FWWIRE_H
#define FW_FWWIRE_H

#include "fw/fw.h"
#include "lib/base/buf.h"
#include "lib/wire/wire.h"

/* takes one packed Envelope of at most WIRE_FRAME_MAX bytes; negative stops the writer */
typedef int fw_wire_emit(void *arg, const uint8_t *buf, size_t len);

/*
 * fw_wire_write_state - RulesetBegin, RulesetPart..., RulesetCommit for a whole state
 * @s: borrows; has a ruleset
 * Errors: -EINVAL (no ruleset), -ENOMEM, -GI_EPROTO (a name that is none), emit's
 */
GI_MUST_CHECK int fw_wire_write_state(const struct fw_state *s, fw_wire_emit *emit, void *arg);
/* one Delta; -GI_ELIMIT over FW_DELTA_MAX operations */
GI_MUST_CHECK int fw_wire_write_delta(const struct fw_delta *d, fw_wire_emit *emit, void *arg);
/* Marks in parts; also for n 0 (one empty part that is first and last) */
GI_MUST_CHECK int fw_wire_write_marks(uint64_t generation, uint64_t version,
	const struct fw_elem *elems, size_t n, fw_wire_emit *emit, void *arg);

struct fw_wire_reader; /* begin, parts, commit -> a state */

GI_MUST_CHECK int fw_wire_reader_new(struct fw_wire_reader **ret);
void fw_wire_reader_free(struct fw_wire_reader *r); /* NULL is fine */
/*
 * fw_wire_reader_feed - a decoded RulesetBegin, RulesetPart or RulesetCommit
 * @e: borrows; another body is -GI_EPROTO
 * @ret_state: set, owned by the caller, after the commit of a complete ruleset; else untouched
 * @ret_why: static words on error
 *
 * A RulesetBegin starts over at any time. After an error what was gathered is dropped and only a
 * RulesetBegin is taken.
 * Errors: -GI_EPROTO, -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int fw_wire_reader_feed(struct fw_wire_reader *r, const Idfw__Envelope *e,
	struct fw_state **ret_state, const char **ret_why);

/* @ret: returned owned, fw_delta_free(). Shape only: whether it follows is the pusher's to say */
GI_MUST_CHECK int fw_wire_read_delta(
	const Idfw__Delta *m, struct fw_delta **ret, const char **ret_why);

struct fw_wire_marks { /* zeroed to begin; fini frees */
	uint64_t generation, version;
	struct fw_elem *elems; /* owned */
	size_t n, cap;
	bool open; /* between first and last */
};

/* *ret_done: the last part was in. A first part starts over. -GI_EPROTO, -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int fw_wire_marks_feed(
	struct fw_wire_marks *w, const Idfw__Marks *m, bool *ret_done, const char **ret_why);
void fw_wire_marks_fini(struct fw_wire_marks *w);

#endif
