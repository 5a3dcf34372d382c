/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtrust.h - an account of one directory, and its groups of others: putting them together
 *
 * Pure; dirset.c's. Whose a group is its SID tells: S-1-5-21-A-B-C-RID is of domain A-B-C. The
 * others are asked for groups of these SIDs (dirforeign.h); what one that does not answer said
 * before stays.
 */
#ifndef SVM_IDFW_DIRTRUST_H
#define SVM_IDFW_DIRTRUST_H

#include <stdbool.h>
#include "lib/base/buf.h"
#include "svm-idfw/engine.h"

#define DIR_TRUST_DOMAIN_MAX 64 /* "S-1-5-21-" and three numbers of ten digits */

/* "S-1-5-21-A-B-C" of a domain's SID; false: it is not of a domain */
bool dir_trust_domain(const char *sid, char ret_domain[DIR_TRUST_DOMAIN_MAX]);
/* the SIDs of @p and its groups that are a domain's, with blanks between; -GI_ELIMIT */
GI_MUST_CHECK int dir_trust_members(const struct idfw_principal *p, struct gi_buf *out);

/* a copy of all texts and groups, as of an answer; free with dir_trust_fini(); -ENOMEM */
GI_MUST_CHECK int dir_trust_copy(const struct idfw_principal *from, struct idfw_principal *to);
/*
 * dir_trust_add - further groups, copied; those that @p has already, by SID, are not taken twice
 * @domain: only those of it; NULL: all. @label: of the block that has them; NULL: as they say
 * Errors: -ENOMEM, -GI_ELIMIT
 */
GI_MUST_CHECK int dir_trust_add(struct idfw_principal *p, const struct idfw_group *groups, size_t n,
	const char *domain, const char *label);
/* the same of the engine's principal, but only groups of other domains than its own */
GI_MUST_CHECK int dir_trust_prior(struct idfw_principal *p, const struct idfw_principal *known);
void dir_trust_fini(struct idfw_principal *p);

#endif
