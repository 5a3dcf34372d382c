/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * member.c - who is in which group of the policy
 *
 * Direct members are found in one sorted table of keys (kind letter and folded name), a handful of
 * binary searches a principal, independent of the number of groups in the policy; then one pass
 * over the nesting edges adds the groups that hold those. Called for every session that svm-idfw
 * resolves, so it allocates the answer only.
 * Names are compared without case (ASCII); DNs also without white space around "=", "," and "+".
 * A name with a domain (CORP\eng) is the name's key, and counts if the directory has that domain.
 */
#include "policy/tree.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX (2 * POL_TEXT_MAX + 2) /* folding a DN may double it */

/* ---- sets ---- */

int pol_set_init(struct pol_set *s, size_t n)
{
	uint64_t *bits = calloc(n / 64 + 1, sizeof(bits[0]));

	if (!bits)
		return -ENOMEM;
	s->bits = bits;
	s->n = n;
	return 0;
}

void pol_set_fini(struct pol_set *s)
{
	free(s->bits);
	*s = (struct pol_set){ 0 };
}

void pol_set_add(struct pol_set *s, size_t group)
{
	s->bits[group / 64] |= UINT64_C(1) << (group % 64);
}

bool pol_set_has(const struct pol_set *s, size_t group)
{
	return group < s->n && (s->bits[group / 64] >> (group % 64) & 1);
}

bool pol_set_equal(const struct pol_set *a, const struct pol_set *b)
{
	if (a->n != b->n)
		return false;
	if (a->n == 0)
		return true;
	return memcmp(a->bits, b->bits, (a->n / 64 + 1) * sizeof(a->bits[0])) == 0;
}

void pol_set_close(const struct pol_policy *p, struct pol_set *s)
{
	for (size_t i = 0; i < p->n_edges; i++) {
		if (pol_set_has(s, p->edges[i].child))
			pol_set_add(s, p->edges[i].parent);
	}
}

/* edges have children before parents, so from the back */
void pol_set_open(const struct pol_policy *p, struct pol_set *s)
{
	for (size_t i = p->n_edges; i-- > 0;) {
		if (pol_set_has(s, p->edges[i].parent))
			pol_set_add(s, p->edges[i].child);
	}
}

/* ---- folding ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* one character of a DN, escapes undone; @ret_escaped: it was written with a backslash */
static const char *dn_char(const char *dn, char *ret, bool *ret_escaped)
{
	*ret_escaped = dn[0] == '\\' && dn[1] != '\0';
	if (!*ret_escaped) {
		*ret = dn[0];
		return dn + 1;
	}
	if (hex_value(dn[1]) >= 0 && hex_value(dn[2]) >= 0) {
		*ret = (char)(hex_value(dn[1]) * 16 + hex_value(dn[2]));
		return dn + 3;
	}
	*ret = dn[1];
	return dn + 2;
}

/* what means something else without its backslash ("=" and "#" inside a value do not) */
static bool dn_special(char c)
{
	return c != '\0' && strchr(",+\"\\<>;", c);
}

int pol_dn_fold(const char *dn, char *dst, size_t size)
{
	size_t n = 0, spaces = 0; /* spaces: unescaped, at the end of what is written */
	bool escaped, start = true;
	char c;

	if (size == 0)
		return -GI_ELIMIT;
	while (*dn) {
		dn = dn_char(dn, &c, &escaped);
		if (n + 3 > size)
			return -GI_ELIMIT;
		if (!escaped && c == ' ' && start)
			continue;
		if (!escaped && (c == ',' || c == '=' || c == '+')) {
			n -= spaces;
			start = true;
		} else {
			start = false;
			if (escaped && (dn_special(c) || c == '\0'))
				dst[n++] = '\\';
			if (c == '\0')
				c = '0'; /* "\0": a NUL cannot be in a text */
		}
		spaces = !escaped && c == ' ' ? spaces + 1 : 0;
		dst[n++] = (char)tolower((unsigned char)c);
	}
	dst[n - spaces] = '\0';
	return 0;
}

static int fold(const char *text, char *dst, size_t size)
{
	size_t n = strlen(text);

	if (n >= size)
		return -GI_ELIMIT;
	for (size_t i = 0; i <= n; i++)
		dst[i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

static const char kind_letter[POL_K_COUNT] = {
	[POL_K_DIRECTORY] = 'g',
	[POL_K_DIRECTORY_DN] = 'd',
	[POL_K_DIRECTORY_SID] = 's',
	[POL_K_USER] = 'u',
	[POL_K_VM] = 'v',
	[POL_K_UNIT] = 'n',
	[POL_K_UID] = 'i',
};

/* without its domain */
static int make_key(enum pol_kind kind, const char *text, char key[KEY_MAX])
{
	key[0] = kind_letter[kind];
	if (kind == POL_K_DIRECTORY_DN)
		return pol_dn_fold(text, key + 1, KEY_MAX - 1);
	if (kind == POL_K_VM || kind == POL_K_UNIT) /* no names of the directory: as they are */
		return gi_text_copy(key + 1, KEY_MAX - 1, text);
	return fold(text, key + 1, KEY_MAX - 1);
}

/* ---- the table ---- */

static int key_cmp(const void *a, const void *b)
{
	const struct pol_key *ka = a, *kb = b;
	int c = strcmp(ka->text, kb->text);

	return c ? c : (int)ka->group - (int)kb->group;
}

static int key_part(const char *text, size_t len, char ret[POL_TEXT_MAX + 1])
{
	if (len > POL_TEXT_MAX)
		return -GI_ELIMIT;
	memcpy(ret, text, len);
	ret[len] = '\0';
	return 0;
}

static int add_key(struct pol_policy *p, const struct pol_member *m, uint16_t group)
{
	struct pol_name n = pol_name_split(m->kind, m->text);
	struct pol_key *k = &p->keys[p->n_keys];
	char key[KEY_MAX], part[POL_TEXT_MAX + 1];

	/* limits cannot be: POL_TEXT_MAX is checked, KEY_MAX follows */
	if (key_part(n.name, n.name_len, part) < 0 || make_key(m->kind, part, key) < 0)
		return -GI_ELIMIT;
	*k = (struct pol_key){ .text = pol_strdup(p, key), .group = group };
	if (!k->text)
		return -ENOMEM;
	if (n.domain) {
		if (key_part(n.domain, n.domain_len, part) < 0)
			return -GI_ELIMIT;
		k->domain = pol_strdup(p, part);
		if (!k->domain)
			return -ENOMEM;
		k->upn = n.upn;
	}
	p->n_keys++;
	return 0;
}

static int add_keys(struct pol_policy *p, uint16_t group)
{
	const struct pol_members *m = &p->groups[group].members;
	int err = 0;

	for (size_t i = 0; err == 0 && i < m->n; i++)
		if (m->list[i].kind != POL_K_GROUP && m->list[i].kind != POL_K_NET)
			err = add_key(p, &m->list[i], group);
	return err;
}

/* keys are sorted, so those of one kind stand together */
static int list_names(
	struct pol_policy *p, enum pol_kind kind, const char ***ret_list, size_t *ret_n)
{
	const char **list = pol_alloc(p, (p->n_keys + 1) * sizeof(list[0]));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_keys; i++) {
		const char *name = p->keys[i].text + 1;

		if (p->keys[i].text[0] == kind_letter[kind] &&
			(n == 0 || strcmp(list[n - 1], name) != 0))
			list[n++] = name;
	}
	*ret_list = list;
	*ret_n = n;
	return 0;
}

static int uid_cmp(const void *a, const void *b)
{
	uint32_t ua = *(const uint32_t *)a, ub = *(const uint32_t *)b;

	return (ua > ub) - (ua < ub);
}

static int list_uids(struct pol_policy *p)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < p->n_groups; i++)
		n += p->groups[i].members.n;
	p->uids = pol_alloc(p, (n + 1) * sizeof(p->uids[0]));
	if (!p->uids)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < p->n_groups; i++) {
		const struct pol_members *m = &p->groups[i].members;

		for (size_t k = 0; k < m->n; k++) {
			if (m->list[k].kind == POL_K_UID)
				p->uids[n++] = m->list[k].uid;
		}
	}
	qsort(p->uids, n, sizeof(p->uids[0]), uid_cmp);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || p->uids[kept - 1] != p->uids[i])
			p->uids[kept++] = p->uids[i];
	}
	p->n_uids = kept;
	return 0;
}

int pol_member_index(struct pol_policy *p)
{
	size_t n = 0;
	int err;

	for (size_t i = 0; i < p->n_groups; i++)
		n += p->groups[i].members.n;
	p->keys = pol_alloc(p, (n + 1) * sizeof(p->keys[0]));
	if (!p->keys)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_groups; i++) {
		err = add_keys(p, (uint16_t)i);
		if (err)
			return err;
	}
	qsort(p->keys, p->n_keys, sizeof(p->keys[0]), key_cmp);
	err = list_names(p, POL_K_VM, &p->vms, &p->n_vms);
	if (err == 0)
		err = list_names(p, POL_K_UNIT, &p->units, &p->n_units);
	return err ? err : list_uids(p);
}

/* place of the first direct member with this key, or behind the last */
static size_t find_key(
	const struct pol_policy *p, enum pol_kind kind, const char *text, char key[KEY_MAX])
{
	size_t lo = 0, hi = p->n_keys;

	if (!text || text[0] == '\0' || make_key(kind, text, key) != 0)
		return p->n_keys; /* longer than any name that a policy can have */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(p->keys[mid].text, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct place { /* where in which directory */
	const struct pol_domains *domains;
	const char *label, *dn;
};

/*
 * A directory has no say about names of domains that are another one's, whatever it calls its own.
 * The suffix of a principal name may be a domain of nobody: then the name alone decides.
 */
static bool of_domain(const struct pol_key *k, const struct place *at)
{
	const struct pol_domains *d = at ? at->domains : NULL;

	if (!k->domain || (k->upn && (!d || !d->known(d->arg, k->domain))))
		return true;
	return d && at->label && at->label[0] &&
	       d->has(d->arg, at->label, k->upn ? NULL : at->dn, k->domain);
}

/* adds every group that has this direct member; @at: NULL: no name of a directory */
static void lookup(const struct pol_policy *p, enum pol_kind kind, const char *text,
	const struct place *at, struct pol_set *s)
{
	char key[KEY_MAX];
	size_t i = find_key(p, kind, text, key);

	for (; i < p->n_keys && strcmp(p->keys[i].text, key) == 0; i++)
		if (of_domain(&p->keys[i], at))
			pol_set_add(s, p->keys[i].group);
}

static void lookup_group(const struct pol_policy *p, const struct pol_principal *who,
	const struct pol_dirgroup *g, struct pol_set *s)
{
	const struct place at = { who->domains, g->directory, g->dn };

	lookup(p, POL_K_DIRECTORY, g->name, &at, s);
	lookup(p, POL_K_DIRECTORY_DN, g->dn, &at, s);
	lookup(p, POL_K_DIRECTORY_SID, g->sid, &at, s);
}

/* ---- directory groups ---- */

static const enum pol_kind dirref_kind[] = {
	[POL_DIRREF_NAME] = POL_K_DIRECTORY,
	[POL_DIRREF_DN] = POL_K_DIRECTORY_DN,
	[POL_DIRREF_SID] = POL_K_DIRECTORY_SID,
};

bool pol_dirref(const struct pol_policy *p, size_t *at, struct pol_dirref *ret)
{
	for (; *at < p->n_keys; (*at)++) {
		const struct pol_key *k = &p->keys[*at];

		for (size_t i = 0; i < GI_ARRAY_SIZE(dirref_kind); i++) {
			if (k->text[0] != kind_letter[dirref_kind[i]])
				continue;
			*ret = (struct pol_dirref){ .kind = (enum pol_dirref_kind)i,
				.text = k->text + 1,
				.domain = k->domain,
				.group = k->group };
			(*at)++;
			return true;
		}
	}
	return false;
}

int pol_dirref_fold(enum pol_dirref_kind kind, const char *text, char *ret, size_t size)
{
	return kind == POL_DIRREF_DN ? pol_dn_fold(text, ret, size) : fold(text, ret, size);
}

bool pol_vm_in(const struct pol_policy *p, const char *vm, const struct pol_set *s)
{
	char key[KEY_MAX];
	size_t i = find_key(p, POL_K_VM, vm, key);

	for (; i < p->n_keys && strcmp(p->keys[i].text, key) == 0; i++) {
		if (pol_set_has(s, p->keys[i].group))
			return true;
	}
	return false;
}

int pol_groups_of_principal(
	const struct pol_policy *p, const struct pol_principal *who, struct pol_set *ret)
{
	struct pol_set s;
	int err = pol_set_init(&s, p->n_groups);

	if (err)
		return err;
	if (who) {
		const struct place at = { who->domains, who->directory, who->dn };

		lookup(p, POL_K_USER, who->name, &at, &s);
		lookup(p, POL_K_USER, who->upn, &at, &s);
		lookup(p, POL_K_USER, who->sid, &at, &s);
		for (size_t i = 0; i < who->n_groups; i++)
			lookup_group(p, who, &who->groups[i], &s);
		pol_set_close(p, &s);
	}
	*ret = s;
	return 0;
}

/* is it this one that the member means? */
static bool means(const struct pol_policy *p, const struct pol_member *m, uint16_t group,
	enum pol_kind kind, const char *text, const struct place *at)
{
	struct pol_name n = pol_name_split(m->kind, m->text);
	char key[KEY_MAX], own[KEY_MAX], part[POL_TEXT_MAX + 1];
	size_t i;

	if (m->kind != kind || key_part(n.name, n.name_len, part) < 0 ||
		make_key(kind, part, own) < 0)
		return false;
	for (i = find_key(p, kind, text, key); i < p->n_keys && !strcmp(p->keys[i].text, key); i++)
		if (p->keys[i].group == group && !strcmp(own, key) && of_domain(&p->keys[i], at) &&
			(p->keys[i].domain
					? n.domain && n.domain_len == strlen(p->keys[i].domain) &&
						  !strncmp(
							  n.domain, p->keys[i].domain, n.domain_len)
					: !n.domain))
			return true;
	return false;
}

static bool means_him(const struct pol_policy *p, const struct pol_member *m, uint16_t group,
	const struct pol_principal *who)
{
	const struct place at = { who->domains, who->directory, who->dn };

	if (means(p, m, group, POL_K_USER, who->name, &at) ||
		means(p, m, group, POL_K_USER, who->upn, &at) ||
		means(p, m, group, POL_K_USER, who->sid, &at))
		return true;
	for (size_t i = 0; i < who->n_groups; i++) {
		const struct pol_dirgroup *g = &who->groups[i];
		const struct place in = { who->domains, g->directory, g->dn };

		if (means(p, m, group, POL_K_DIRECTORY, g->name, &in) ||
			means(p, m, group, POL_K_DIRECTORY_DN, g->dn, &in) ||
			means(p, m, group, POL_K_DIRECTORY_SID, g->sid, &in))
			return true;
	}
	return false;
}

size_t pol_reasons(const struct pol_policy *p, const struct pol_principal *who, size_t group,
	struct pol_reason *ret, size_t max)
{
	struct pol_set in;
	size_t n = 0;

	if (group >= p->n_groups || pol_set_init(&in, p->n_groups) < 0)
		return 0;
	pol_set_add(&in, group);
	pol_set_open(p, &in);
	for (size_t g = 0; g < p->n_groups; g++) {
		const struct pol_members *m = &p->groups[g].members;

		for (size_t i = 0; pol_set_has(&in, g) && i < m->n; i++) {
			if (!m->list[i].text || !means_him(p, &m->list[i], (uint16_t)g, who))
				continue;
			if (n < max)
				ret[n] = (struct pol_reason){ pol_kind_name(m->list[i].kind),
					m->list[i].text };
			n++;
		}
	}
	pol_set_fini(&in);
	return n;
}

static int groups_of(
	const struct pol_policy *p, enum pol_kind kind, const char *text, struct pol_set *ret)
{
	struct pol_set s;
	int err = pol_set_init(&s, p->n_groups);

	if (err)
		return err;
	lookup(p, kind, text, NULL, &s);
	pol_set_close(p, &s);
	*ret = s;
	return 0;
}

int pol_groups_of_vm(const struct pol_policy *p, const char *vm, struct pol_set *ret)
{
	return groups_of(p, POL_K_VM, vm, ret);
}

int pol_groups_of_unit(const struct pol_policy *p, const char *unit, struct pol_set *ret)
{
	return groups_of(p, POL_K_UNIT, unit, ret);
}

int pol_groups_of_uid(const struct pol_policy *p, uint32_t uid, struct pol_set *ret)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", uid);
	return groups_of(p, POL_K_UID, text, ret);
}

size_t pol_group_count(const struct pol_policy *p)
{
	return p->n_groups;
}

const char *pol_group_name(const struct pol_policy *p, size_t group)
{
	return p->groups[group].name;
}

size_t pol_vm_count(const struct pol_policy *p)
{
	return p->n_vms;
}

const char *pol_vm_name(const struct pol_policy *p, size_t i)
{
	return p->vms[i];
}

size_t pol_unit_count(const struct pol_policy *p)
{
	return p->n_units;
}

const char *pol_unit_name(const struct pol_policy *p, size_t i)
{
	return p->units[i];
}

size_t pol_uid_count(const struct pol_policy *p)
{
	return p->n_uids;
}

uint32_t pol_uid(const struct pol_policy *p, size_t i)
{
	return p->uids[i];
}
