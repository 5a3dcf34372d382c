/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_rec.h - what waits to be written: copies of the engine's records, one allocation each
 *
 * Pure. The engine's structs may be gone when the writer thread comes to them, so every text is
 * copied behind the record itself. Also the words of the database: kinds, reasons, rows as JSON.
 */
#ifndef SVM_IDFW_STORE_REC_H
#define SVM_IDFW_STORE_REC_H

#include <jansson.h>
#include "svm-idfw/engine.h"

struct store_rec {
	struct store_rec *next; /* the queue's */
	size_t bytes;		/* of this allocation */
	bool principal;		/* else an audit record */
	bool as_of;		/* or resolved_ms, db_id and directory alone: struct idfw_as_of */

	/* record; texts point behind the struct and are never NULL */
	enum idfw_record_kind kind;
	uint64_t time_ms, seq, end_ms;
	enum _Idfw__EndReason end_reason;
	uint8_t boot_id[16];
	bool has_session;
	const char *vm, *detail;
	uint64_t db_id, agent_id, leader_start, opened_ms, seen_ms, cgroup, parent;
	bool is_unit, found;
	uint8_t session_boot[16];
	uint32_t uid, leader_pid;
	const char *user, *service, *tty, *rhost, *auth;
	struct gi_addr peer;
	bool isolation, whole_vm, automatic; /* ISOLATED, RELEASED; with uid, db_id, user */
	uint64_t since_ms, spares;
	const char *by, *why;
	uint64_t outbox_seq; /* 0: no ScanRecord caused it */
	uint8_t outbox[16];
	const char *scanner;

	/* principal */
	const char *directory;
	const char *key, *name, *upn, *dn, *sid;
	const char *groups; /* one behind the other: store_group_end() */
	size_t n_groups;
	uint8_t guid[16];
	enum idfw_presence presence;
	uint64_t resolved_ms;
	struct idfw_account account; /* without the engine's own */

	char text[];
};

/* owned, free(); -ENOMEM */
GI_MUST_CHECK int store_rec_new(const struct idfw_record *r, struct store_rec **ret);
GI_MUST_CHECK int store_rec_as_of(const struct idfw_as_of *as_of, struct store_rec **ret);
GI_MUST_CHECK int store_rec_principal(const struct idfw_principal *p, struct store_rec **ret);

const char *store_kind_word(enum idfw_record_kind kind);
const char *store_reason_word(enum _Idfw__EndReason reason);

/* behind the group at @at: its name, DN, SID, id (32 digits or none), directory, a NUL each */
const char *store_group_end(const char *at);
/* an id's digits; none: all zero */
void store_group_unhex(const char *text, uint8_t ret[16]);
/* a detail column as JSON value; what is no JSON is shown as text. New reference, NULL: no memory
 */
json_t *store_detail_json(const char *text);

#endif
