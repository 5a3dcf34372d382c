/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.c - the policy's memory, and the functions by which the grammar builds the tree
 *
 * One arena a policy: chunks that only grow and are freed together. The builders never fail to
 * their caller: what is wrong with the text becomes a diagnostic, no memory becomes ctx->err, which
 * the token reader turns into an early end.
 */
#include "policy/tree.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (16u << 10)
#define ALIGN 16u

struct pol_chunk {
	struct pol_chunk *next;
	size_t used, size;
	_Alignas(ALIGN) unsigned char data[];
};

static struct pol_chunk *chunk_new(struct pol_policy *p, size_t size)
{
	size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
	struct pol_chunk *ch;

	if (room > POL_ARENA_MAX - p->arena_used)
		return NULL;
	ch = calloc(1, sizeof(*ch) + room);
	if (!ch)
		return NULL;
	ch->size = room;
	ch->next = p->chunks;
	p->chunks = ch;
	p->arena_used += room;
	return ch;
}

void *pol_alloc(struct pol_policy *p, size_t size)
{
	struct pol_chunk *ch = p->chunks;
	void *ret;

	if (size > POL_ARENA_MAX)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!ch || ch->size - ch->used < size)
		ch = chunk_new(p, size);
	if (!ch)
		return NULL;
	ret = ch->data + ch->used;
	ch->used += size;
	return ret;
}

char *pol_strdup(struct pol_policy *p, const char *text)
{
	size_t len = strlen(text);
	char *ret = pol_alloc(p, len + 1);

	if (ret)
		memcpy(ret, text, len + 1);
	return ret;
}

int pol_grow(struct pol_policy *p, void **list, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap * 2 : 4;
	void *bigger;

	if (n < *cap)
		return 0;
	bigger = pol_alloc(p, want * size);
	if (!bigger)
		return -ENOMEM;
	if (n)
		memcpy(bigger, *list, n * size);
	*list = bigger;
	*cap = want;
	return 0;
}

void pol_free(struct pol_policy *p)
{
	struct pol_chunk *ch, *next;

	if (!p)
		return;
	for (ch = p->chunks; ch; ch = next) {
		next = ch->next;
		free(ch);
	}
	free(p);
}

void pol_tree_default(struct pol_parser *c, enum fw_dir dir, enum fw_action a, struct conf_pos pos)
{
	struct pol_policy *p = c->p;
	const char *name = dir == FW_IN ? "in" : "out";

	if (p->defaults[dir].given) {
		conf_diag_add(c->diags, CONF_ERROR, &pos, "\"default %s\" is given twice", name);
		conf_diag_add(c->diags, CONF_NOTE, &p->defaults[dir].pos, "here first");
		return;
	}
	p->defaults[dir].given = true;
	p->defaults[dir].action = a;
	p->defaults[dir].pos = pos;
}

void pol_tree_name(struct pol_parser *c, const char *what, const char *name, size_t max,
	const struct conf_pos *pos)
{
	if (strlen(name) > max)
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"the %s's name has more than %zu characters", what, max);
	else if (!gi_text_is_name(name, max))
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"bad %s name \"%s\": letters, digits, \"_\" and \"-\" only", what, name);
	else if (name[0] == '_')
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"a %s's name may not begin with \"_\": \"%s\"", what, name);
}

void pol_tree_limit(
	struct pol_parser *c, bool *said, const char *what, int max, const struct conf_pos *pos)
{
	if (!*said)
		conf_diag_add(c->diags, CONF_ERROR, pos, "more than %d %s", max, what);
	*said = true;
}

void pol_tree_group(struct pol_parser *c, const char *name, struct conf_pos pos)
{
	struct pol_policy *p = c->p;
	struct pol_group *g;

	if (c->err)
		return;
	pol_tree_name(c, "group", name, GI_NAME_MAX, &pos);
	if (p->n_groups == POL_GROUPS_MAX) {
		pol_tree_limit(c, &p->groups_over, "groups", POL_GROUPS_MAX, &pos);
		return;
	}
	c->err = pol_grow(p, (void **)&p->groups, p->n_groups, &p->groups_cap, sizeof(*g));
	if (c->err)
		return;
	g = &p->groups[p->n_groups++];
	*g = (struct pol_group){ .name = name, .pos = pos };
}

static bool hex_sid(const char *text)
{
	size_t parts = 0;

	if (strncasecmp(text, "S-1-", 4) != 0)
		return false;
	for (text += 3; *text == '-'; parts++) {
		size_t digits = strspn(text + 1, "0123456789");

		if (digits == 0 || digits > 15)
			return false;
		text += 1 + digits;
	}
	return *text == '\0' && parts >= 2 && parts <= 16;
}

/* a name as systemd has them, or a path below the root of the cgroups in its one spelling */
static bool unit_text(const char *text)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789:_.@-\\";
	static const char *const kinds[] = { ".service", ".scope", ".slice", ".socket", ".mount",
		".swap" };
	size_t len = strlen(text);

	if (text[0] == '/')
		return len > 1 && text[len - 1] != '/' && !strstr(text, "//") &&
		       !strstr(text, "/./") && !strstr(text, "/../") &&
		       strcmp(strrchr(text, '/'), "/.") != 0 &&
		       strcmp(strrchr(text, '/'), "/..") != 0;
	for (size_t i = 0; i < GI_ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i]);

		if (len > n && strcmp(text + len - n, kinds[i]) == 0)
			return strspn(text, chars) == len;
	}
	return false;
}

static void check_unit(struct pol_parser *c, const char *text, const struct conf_pos *pos)
{
	if (strlen(text) > POL_UNIT_MAX)
		conf_diag_add(c->diags, CONF_ERROR, pos, "a unit has at most %d characters",
			POL_UNIT_MAX);
	else if (text[0] != '/' && !strpbrk(text, "./"))
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"\"%s\" is not a unit; did you mean \"%s.service\"?", text, text);
	else if (!unit_text(text))
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"\"%s\" is neither a unit such as nginx.service nor the path of a cgroup "
			"such as /system.slice/nginx.service",
			text);
}

/* what a member of this kind must look like */
static void check_member(
	struct pol_parser *c, enum pol_kind kind, const char *text, const struct conf_pos *pos)
{
	if (kind == POL_K_NET || kind == POL_K_UID)
		return;
	if (text[0] == '\0')
		conf_diag_add(
			c->diags, CONF_ERROR, pos, "empty name after \"%s\"", pol_kind_name(kind));
	else if (!gi_text_is_clean(text, POL_TEXT_MAX))
		conf_diag_add(c->diags, CONF_ERROR, pos, "the name has control characters");
	else if (kind == POL_K_VM && !gi_text_is_name(text, GI_NAME_MAX))
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"\"%s\" cannot be a VM: letters, digits, \"_\" and \"-\", at most %d", text,
			GI_NAME_MAX);
	else if (kind == POL_K_UNIT)
		check_unit(c, text, pos);
	else if (pol_name_wrong(kind, text))
		conf_diag_add(
			c->diags, CONF_ERROR, pos, "\"%s\": %s", text, pol_name_wrong(kind, text));
	else if (kind == POL_K_DIRECTORY_SID && !hex_sid(text))
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"\"%s\" is not a SID; they look like "
			"S-1-5-21-1004336348-1177238915-682003330-512",
			text);
	else if (kind == POL_K_DIRECTORY_DN && !strchr(text, '='))
		conf_diag_add(c->diags, CONF_ERROR, pos,
			"\"%s\" is not a DN; they look like CN=eng,OU=Groups,DC=corp,DC=example",
			text);
}

static void members_add(struct pol_parser *c, struct pol_members *m, const struct pol_member *add)
{
	if (c->err)
		return;
	c->err = pol_grow(c->p, (void **)&m->list, m->n, &m->cap, sizeof(*add));
	if (c->err)
		return;
	m->list[m->n++] = *add;
}

void pol_tree_member(
	struct pol_parser *c, const char *text, const struct gi_prefix *net, struct conf_pos pos)
{
	struct pol_member m = { .kind = c->kind, .pos = pos, .text = text, .group = POL_NONE };

	if (c->err || c->p->n_groups == 0)
		return;
	if (net)
		m.net = *net;
	check_member(c, m.kind, text, &pos);
	members_add(c, &c->p->groups[c->p->n_groups - 1].members, &m);
}

/* false: no uid, and said. -1 means nobody in the system's calls */
static bool uid_member(
	struct pol_parser *c, uint64_t uid, struct conf_pos pos, struct pol_member *ret)
{
	char text[16];

	if (uid >= UINT32_MAX) {
		conf_diag_add(c->diags, CONF_ERROR, &pos, "a uid is a number from 0 to 4294967294");
		return false;
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)uid);
	*ret = (struct pol_member){ .kind = POL_K_UID,
		.pos = pos,
		.text = pol_strdup(c->p, text),
		.uid = (uint32_t)uid,
		.group = POL_NONE };
	if (!ret->text)
		c->err = -ENOMEM;
	return ret->text;
}

void pol_tree_member_uid(struct pol_parser *c, uint64_t uid, struct conf_pos pos)
{
	struct pol_member m;

	if (c->err || c->p->n_groups == 0)
		return;
	if (uid_member(c, uid, pos, &m))
		members_add(c, &c->p->groups[c->p->n_groups - 1].members, &m);
	else
		pol_tree_group_broken(c);
}

void pol_tree_group_broken(struct pol_parser *c)
{
	if (c->p->n_groups)
		c->p->groups[c->p->n_groups - 1].broken = true;
}

void pol_tree_service(struct pol_parser *c, const char *name, struct conf_pos pos)
{
	struct pol_policy *p = c->p;

	if (c->err)
		return;
	pol_tree_name(c, "service", name, GI_NAME_MAX, &pos);
	if (p->n_services == POL_SERVICES_MAX) {
		pol_tree_limit(c, &p->services_over, "services", POL_SERVICES_MAX, &pos);
		return;
	}
	c->err = pol_grow(
		p, (void **)&p->services, p->n_services, &p->services_cap, sizeof(p->services[0]));
	if (c->err)
		return;
	p->services[p->n_services++] = (struct pol_service){ .name = name, .pos = pos };
}

void pol_tree_service_item(struct pol_parser *c, const struct fw_service *item)
{
	struct pol_service *s;

	if (c->err || c->p->n_services == 0)
		return;
	s = &c->p->services[c->p->n_services - 1];
	c->err = pol_grow(c->p, (void **)&s->items, s->n, &s->cap, sizeof(*item));
	if (c->err)
		return;
	s->items[s->n++] = *item;
}

void pol_tree_service_broken(struct pol_parser *c)
{
	if (c->p->n_services)
		c->p->services[c->p->n_services - 1].broken = true;
}

void pol_tree_section(struct pol_parser *c, const char *name, struct conf_pos pos)
{
	const char *names[POL_S_COUNT];
	const char *near;

	for (int s = 0; s < POL_S_COUNT; s++) {
		names[s] = pol_section_name((enum pol_section)s);
		if (strcmp(names[s], name) == 0) {
			c->section = (enum pol_section)s;
			return;
		}
	}
	c->section = POL_S_UNKNOWN;
	near = conf_suggest(name, names, POL_S_COUNT);
	if (near)
		conf_diag_add(c->diags, CONF_ERROR, &pos, "no section \"%s\"; did you mean \"%s\"?",
			name, near);
	else
		conf_diag_add(c->diags, CONF_ERROR, &pos,
			"no section \"%s\": they are emergency, infrastructure, environment and "
			"application",
			name);
}

void pol_tree_rule(struct pol_parser *c, const char *name, struct conf_pos pos)
{
	pol_tree_name(c, "rule", name, POL_RULE_NAME_MAX, &pos);
	c->rule = (struct pol_rule){ .name = name, .pos = pos, .section = c->section };
	c->to = false;
}

void pol_tree_peer(struct pol_parser *c, enum pol_kind kind, const char *text,
	const struct gi_prefix *net, struct conf_pos pos)
{
	struct pol_member m = { .kind = kind, .pos = pos, .text = text, .group = POL_NONE };

	if (net)
		m.net = *net;
	check_member(c, kind, text, &pos);
	members_add(c, c->to ? &c->rule.to : &c->rule.from, &m);
}

void pol_tree_peer_uid(struct pol_parser *c, uint64_t uid, struct conf_pos pos)
{
	struct pol_member m;

	if (!c->err && uid_member(c, uid, pos, &m))
		members_add(c, c->to ? &c->rule.to : &c->rule.from, &m);
}

void pol_tree_peer_any(struct pol_parser *c)
{
	if (c->to)
		c->rule.to_any = true;
	else
		c->rule.from_any = true;
}

void pol_tree_svcref(
	struct pol_parser *c, const char *name, const struct fw_service *item, struct conf_pos pos)
{
	struct pol_rule *r = &c->rule;
	struct pol_svcref ref = { .name = name, .pos = pos };

	if (c->err)
		return;
	if (item)
		ref.inline_item = *item;
	c->err = pol_grow(c->p, (void **)&r->svcrefs, r->n_svcrefs, &r->svcrefs_cap, sizeof(ref));
	if (c->err)
		return;
	r->svcrefs[r->n_svcrefs++] = ref;
}

void pol_tree_rule_end(struct pol_parser *c)
{
	struct pol_policy *p = c->p;
	struct pol_rule *r = &c->rule;

	if (c->err)
		return;
	if ((r->from_any && r->from.n) || (r->to_any && r->to.n))
		conf_diag_add(c->diags, CONF_ERROR,
			r->from_any && r->from.n ? &r->from_pos : &r->to_pos,
			"\"any\" already includes everything else in this list");
	if (r->any_service && r->n_svcrefs)
		conf_diag_add(c->diags, CONF_ERROR, &r->service_pos,
			"\"any\" already includes every other service in this list");
	if (p->n_rules == POL_RULES_MAX) {
		pol_tree_limit(c, &p->rules_over, "rules", POL_RULES_MAX, &r->pos);
		return;
	}
	c->err = pol_grow(p, (void **)&p->rules, p->n_rules, &p->rules_cap, sizeof(*r));
	if (c->err)
		return;
	p->rules[p->n_rules++] = *r;
}
