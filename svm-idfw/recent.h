/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recent.h - sessions that are over (recent.c), what isolated users have beside them (remains.c)
 *
 * Among the engine's own files, as core.h. What remains of an isolated session is a subject of its
 * VM without a session: struct plan_subject's remains.
 */
#ifndef SVM_IDFW_RECENT_H
#define SVM_IDFW_RECENT_H

#include "svm-idfw/core.h"

struct idfw_recent { /* a session that is over */
	struct {     /* hash key: contiguous, no padding */
		struct idfw_vm *vm;
		uint64_t id;
		uint8_t boot_id[16];
	};
	uint64_t db_id;
	uint64_t cgroup; /* 0 none */
	uint32_t uid;
	bool left;		  /* may have left processes behind there */
	const char *user;	  /* interned */
	struct idfw_recent *next; /* a queue, oldest first */
	UT_hash_handle hh;
};

/* ---- recent.c ---- */
/* @s ends: it is remembered, what an isolated one leaves behind stays isolated; @s is freed */
void idfw_session_over(struct idfw_engine *e, struct idfw_session *s, Idfw__EndReason reason);
/* an ended session; without memory it is not remembered. @of: copied, but its list */
void idfw_recent_add(struct idfw_engine *e, const struct idfw_recent *of);
const struct idfw_recent *idfw_recent_find(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t id, const uint8_t boot_id[16]);
void idfw_recents_free(struct idfw_engine *e);

/* ---- remains.c ---- */
/* @s ends: is what it leaves behind isolated? Before it leaves its subject */
void idfw_remains_begin(struct idfw_engine *e, const struct idfw_session *s, bool left);
/* the isolation of a session begins: its user's uid, outside of every session that goes on */
void idfw_remains_uid(struct idfw_engine *e, const struct idfw_isolation *i);
/* an isolation came or went: those that are over and remembered */
void idfw_remains_look(struct idfw_engine *e, struct idfw_vm *vm);
void idfw_remains_end(struct idfw_engine *e, struct idfw_vm *vm); /* another boot */
/* the isolation that hits the session whose remains these are; NULL: none, or no remains */
const struct idfw_isolation *idfw_remains_isolation(
	const struct idfw_vm *vm, const struct plan_subject *su);
void idfw_remains_forget(struct idfw_vm *vm, struct plan_subject *su);

#endif
