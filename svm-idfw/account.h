/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.h - the state of directory accounts, and how old what is known of them is
 *
 * Between the engine's own files; engine.h has what others see. Part of svm-idfw's engine.
 */
#ifndef SVM_IDFW_ACCOUNT_H
#define SVM_IDFW_ACCOUNT_H

#include "lib/base/buf.h"
#include "svm-idfw/engine.h"

/* ---- account.c ---- */
/* what the directory says now; NULL: it does not know the account. What changed is recorded */
void idfw_account_take(
	struct idfw_engine *e, struct idfw_principal *p, const struct idfw_account *found);
/* when it is to be looked at again, if ever: its groups are others, or how sure they are */
void idfw_account_schedule(struct idfw_engine *e, struct idfw_principal *p);
/* it has one session more: what time did meanwhile */
void idfw_account_joins(struct idfw_engine *e, const struct idfw_session *s);
void idfw_account_forget(struct idfw_engine *e, struct idfw_principal *p); /* it is freed */
void idfw_account_tick(struct idfw_engine *e); /* expiry; asks for the next */
/* ,"account":...,"why":... of one that is not well, into a decision's record */
void idfw_account_json(struct gi_buf *b, const struct idfw_principal *p);

/* ---- age.c ---- */
/* ms; 0: the directory answers, and nothing was told of it since */
uint64_t age_of(const struct idfw_engine *e, const struct idfw_principal *p);
void age_confirm(struct idfw_engine *e, struct idfw_principal *p);
/* the directory may know better: sets p->stale */
void age_stale(struct idfw_engine *e, struct idfw_principal *p);
void age_restore(struct idfw_engine *e, struct idfw_principal *p, uint64_t resolved_ms);
/* its account was confirmed at the mark, if the session began before */
void age_restore_live(struct idfw_engine *e, const struct idfw_session *s);
/* before it is so */
void age_directory(struct idfw_engine *e, const struct idfw_directory *d, bool up);
void age_tick(struct idfw_engine *e); /* asks for the next */
/* groups out of the set that have lapsed under @pol */
void age_trim(const struct idfw_engine *e, const struct pol_policy *pol,
	const struct idfw_principal *p, struct pol_set *groups);
/* monotonic: when the next one lapses; UINT64_MAX never */
uint64_t age_due(const struct idfw_engine *e, const struct idfw_principal *p);
bool age_ends(const struct idfw_engine *e, const struct idfw_principal *p); /* one does, now */
void age_record(struct idfw_engine *e, const struct idfw_principal *p);
void age_json(struct gi_buf *b, const struct idfw_engine *e, const struct idfw_principal *p);

#endif
