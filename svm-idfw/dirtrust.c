/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtrust.c - an account of one directory, and its groups of others: putting them together
 *
 * Runs in svm-idfw's process; pure. Invariant: an answer is whole; nothing is left out at a limit.
 */
#include "svm-idfw/dirtrust.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/wire/wire.h"
#include "svm-idfw/dirqueue.h"

#define TRUST_HEAD "S-1-5-21-"

bool dir_trust_domain(const char *sid, char ret_domain[DIR_TRUST_DOMAIN_MAX])
{
	const char *rid = sid ? strrchr(sid, '-') : NULL;
	size_t len = rid ? (size_t)(rid - sid) : 0;

	if (!rid || strncmp(sid, TRUST_HEAD, strlen(TRUST_HEAD)) != 0 ||
		len < strlen(TRUST_HEAD) + 5 || len >= DIR_TRUST_DOMAIN_MAX)
		return false;
	memcpy(ret_domain, sid, len);
	ret_domain[len] = '\0';
	return true;
}

/* only what is of the account's own domain: a directory says nothing about those of another one */
static size_t trust_put(struct gi_buf *out, const char *sid, const char *home)
{
	char domain[DIR_TRUST_DOMAIN_MAX];

	if (!dir_trust_domain(sid, domain) || strcmp(domain, home) != 0)
		return 0;
	gi_buf_printf(out, "%s%s", out->len ? " " : "", sid);
	return 1;
}

int dir_trust_members(const struct idfw_principal *p, struct gi_buf *out)
{
	char home[DIR_TRUST_DOMAIN_MAX];
	size_t n;

	if (!dir_trust_domain(p->sid, home))
		return 0;
	n = trust_put(out, p->sid, home);
	for (size_t i = 0; i < p->n_groups; i++)
		n += trust_put(out, p->groups[i].sid, home);
	return n > WIRE_DIR_MEMBERS_MAX ? -GI_ELIMIT : gi_buf_error(out);
}

static char *trust_text(const char *s)
{
	return strdup(s ? s : "");
}

static void trust_group_fini(struct idfw_group *g)
{
	free(g->name);
	free(g->dn);
	free(g->sid);
	free(g->directory);
}

/* @label: NULL: as @g has it */
static int trust_group_add(struct idfw_principal *p, const struct idfw_group *g, const char *label)
{
	struct idfw_group copy = *g;
	struct idfw_group *grown;

	if (p->n_groups >= DIR_ASK_GROUPS_MAX)
		return -GI_ELIMIT;
	if ((p->n_groups & (p->n_groups - 1)) == 0) { /* a power of two is full */
		grown = reallocarray(p->groups, p->n_groups ? 2 * p->n_groups : 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->groups = grown;
	}
	copy.name = trust_text(g->name);
	copy.dn = trust_text(g->dn);
	copy.sid = trust_text(g->sid);
	copy.directory = trust_text(label ? label : g->directory);
	if (!copy.name || !copy.dn || !copy.sid || !copy.directory) {
		trust_group_fini(&copy);
		return -ENOMEM;
	}
	p->groups[p->n_groups++] = copy;
	return 0;
}

int dir_trust_copy(const struct idfw_principal *from, struct idfw_principal *to)
{
	int err = 0;

	*to = (struct idfw_principal){ .presence = from->presence,
		.account = from->account,
		.resolved_ms = from->resolved_ms };
	memcpy(to->guid, from->guid, sizeof(to->guid));
	to->name = trust_text(from->name);
	to->upn = trust_text(from->upn);
	to->dn = trust_text(from->dn);
	to->sid = trust_text(from->sid);
	if (!to->name || !to->upn || !to->dn || !to->sid)
		err = -ENOMEM;
	for (size_t i = 0; err == 0 && i < from->n_groups; i++)
		err = trust_group_add(to, &from->groups[i], NULL);
	if (err < 0)
		dir_trust_fini(to);
	return err;
}

struct trust_sid { /* that the account has */
	UT_hash_handle hh;
};

/* @s: of an array with room; false: it is there already. @sid is borrowed */
static bool trust_sid_put(struct trust_sid **all, struct trust_sid *s, const char *sid)
{
	struct trust_sid *old = NULL;

	HASH_FIND_STR(*all, sid, old);
	if (old)
		return false;
	HASH_ADD_KEYPTR(hh, *all, sid, strlen(sid), s);
	return true;
}

int dir_trust_add(struct idfw_principal *p, const struct idfw_group *groups, size_t n,
	const char *domain, const char *label)
{
	struct trust_sid *room = calloc(p->n_groups + n + 1, sizeof(*room)), *all = NULL;
	char own[DIR_TRUST_DOMAIN_MAX];
	size_t i, used = 0;
	int err = room ? 0 : -ENOMEM;

	for (i = 0; err == 0 && i < p->n_groups; i++)
		used += trust_sid_put(&all, &room[used], p->groups[i].sid);
	for (i = 0; err == 0 && i < n; i++) {
		if (!dir_trust_domain(groups[i].sid, own) || (domain && strcmp(own, domain) != 0) ||
			!trust_sid_put(&all, &room[used], groups[i].sid))
			continue;
		used++;
		err = trust_group_add(p, &groups[i], label);
	}
	HASH_CLEAR(hh, all);
	free(room);
	return err;
}

int dir_trust_prior(struct idfw_principal *p, const struct idfw_principal *known)
{
	char home[DIR_TRUST_DOMAIN_MAX], own[DIR_TRUST_DOMAIN_MAX];
	int err = 0;

	if (!dir_trust_domain(known->sid, home))
		return 0;
	for (size_t i = 0; err == 0 && i < known->n_in; i++)
		if (dir_trust_domain(known->in[i]->sid, own) && strcmp(own, home) != 0)
			err = trust_group_add(p, known->in[i], NULL);
	return err;
}

void dir_trust_fini(struct idfw_principal *p)
{
	for (size_t i = 0; i < p->n_groups; i++)
		trust_group_fini(&p->groups[i]);
	free(p->groups);
	free(p->name);
	free(p->upn);
	free(p->dn);
	free(p->sid);
	*p = (struct idfw_principal){ .presence = IDFW_P_UNAVAILABLE };
}
