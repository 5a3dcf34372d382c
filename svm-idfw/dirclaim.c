/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirclaim.c - several directories: of which domain may which of them say something?
 *
 * Runs in svm-idfw's process; pure. Invariant: what two blocks of different domains both say counts
 * from the one that had it first.
 */
#include "svm-idfw/dirclaim.h"

#include <string.h>
#include <strings.h>

/* by the dc parts of `base`: two blocks may be parts of one domain */
static bool claim_same(const struct idfw_dir_conf *a, const struct idfw_dir_conf *b)
{
	char one[DIR_NAME_MAX + 1], other[DIR_NAME_MAX + 1];

	return dir_base_domain(a->base, one) == 0 && dir_base_domain(b->base, other) == 0 &&
	       strcasecmp(one, other) == 0;
}

static bool claim_all(const struct dir_claims *c, size_t at)
{
	return c->dirs[at].sids && strcmp(c->dirs[at].sids, "any") == 0;
}

int dir_claim_domain(
	struct dir_claims *c, size_t at, const char *domain, size_t *ret_owner, bool *ret_new)
{
	char member[DIR_TRUST_DOMAIN_MAX + 2], back[DIR_TRUST_DOMAIN_MAX];
	size_t len = strlen(domain);

	*ret_new = false;
	if (len >= DIR_TRUST_DOMAIN_MAX)
		return -EINVAL;
	memcpy(member, domain, len);
	memcpy(member + len, "-1", 3);
	if (!dir_trust_domain(member, back))
		return -EINVAL;
	if (c->sid[at][0])
		return strcmp(c->sid[at], domain) == 0 ? 0 : -GI_ESTATE;
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->sid[i], domain) != 0 || claim_same(&c->dirs[i], &c->dirs[at]))
			continue;
		*ret_owner = i;
		return -EEXIST;
	}
	memcpy(c->sid[at], domain, len + 1);
	*ret_new = true;
	return 0;
}

bool dir_claim_sid(const struct dir_claims *c, size_t at, const char *sid, size_t *ret_owner)
{
	char domain[DIR_TRUST_DOMAIN_MAX];

	if (claim_all(c, at) || !dir_trust_domain(sid, domain) || strcmp(c->sid[at], domain) == 0)
		return true;
	for (size_t i = 0; i < c->n; i++) {
		if (i == at || strcmp(c->sid[i], domain) != 0)
			continue;
		*ret_owner = i;
		return false;
	}
	return true;
}

bool dir_claim_dn(const struct dir_claims *c, size_t at, const char *dn, size_t *ret_owner)
{
	char domain[DIR_NAME_MAX + 1], own[DIR_NAME_MAX + 1];
	bool found = false;

	if (!dn || claim_all(c, at) || dir_base_domain(dn, domain) < 0)
		return true;
	for (size_t i = 0; i < c->n; i++) {
		if (dir_base_domain(c->dirs[i].base, own) < 0 || strcasecmp(own, domain) != 0)
			continue;
		if (i == at)
			return true;
		*ret_owner = i;
		found = true;
	}
	return !found;
}
