/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirroute.c - several directories: which of them answers for a name, and names that are mapped
 *
 * Pure; for dirset.c in svm-idfw's process and the configuration's checks. A rule's `*` never
 * takes a `\` or `@`, so that a rule about bare names leaves the others alone.
 * Invariant: the same name and configuration always give the same blocks in the same order.
 */
#include "svm-idfw/dirroute.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

#define MAP_ARROW " -> "

struct map_rule {
	const char *from, *to; /* borrowed: not ended by NUL */
	size_t from_len, to_len;
};

static bool map_split(const char *text, struct map_rule *ret);
static size_t map_stars(const char *s, size_t len);
static bool map_fits(const struct map_rule *r, const char *name, const char **ret, size_t *ret_len);
static int map_write(
	const struct map_rule *r, const char *part, size_t len, char ret[DIR_NAME_MAX + 1]);

/* ---- mapping ---- */

int dir_map_check(const char *text, char ret_why[CONF_WHY_MAX])
{
	char made[DIR_NAME_MAX + 1];
	struct dir_name n;
	struct map_rule r;
	const char *why = NULL;

	if (!map_split(text, &r))
		why = "write FROM -> TO, as in \"*@old.example -> *@corp.example\"";
	else if (map_stars(r.from, r.from_len) > 1 || map_stars(r.to, r.to_len) > 1)
		why = "one * on a side at most";
	else if (map_stars(r.from, r.from_len) != map_stars(r.to, r.to_len))
		why = "with a * on one side only, many names would be one account, or one many";
	else if (map_write(&r, "x", 1, made) < 0 || dir_name_parse(made, &n) < 0)
		why = "what it makes is no name of an account";
	else if (r.from_len > DIR_NAME_MAX)
		why = "too long";
	if (!why)
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX, "\"%.80s\": %s", text, why);
	return -EINVAL;
}

int dir_map_apply(const struct conf_list *rules, const char *name, char ret_name[DIR_NAME_MAX + 1])
{
	size_t len = strlen(name), part_len = 0;
	struct map_rule r;
	const char *part = NULL;

	if (len > DIR_NAME_MAX)
		return -GI_ELIMIT;
	for (size_t i = 0; i < rules->n; i++)
		if (map_split(rules->items[i], &r) && map_fits(&r, name, &part, &part_len))
			return map_write(&r, part, part_len, ret_name);
	memcpy(ret_name, name, len + 1);
	return 0;
}

static bool map_split(const char *text, struct map_rule *ret)
{
	const char *arrow = strstr(text, MAP_ARROW);
	struct map_rule r;

	if (!arrow || strstr(arrow + 1, MAP_ARROW))
		return false;
	r.from = text;
	r.from_len = (size_t)(arrow - text);
	r.to = arrow + strlen(MAP_ARROW);
	r.to_len = strlen(r.to);
	if (!r.from_len || !r.to_len || r.to[0] == ' ' || r.to[r.to_len - 1] == ' ' ||
		r.from[0] == ' ' || r.from[r.from_len - 1] == ' ')
		return false;
	*ret = r;
	return true;
}

static size_t map_stars(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '*';
	return n;
}

/* @ret: what the star stands for, in @name; empty without one: both sides have one, or none */
static bool map_fits(const struct map_rule *r, const char *name, const char **ret, size_t *ret_len)
{
	const char *star = memchr(r->from, '*', r->from_len);
	size_t head = star ? (size_t)(star - r->from) : r->from_len;
	size_t tail = star ? r->from_len - head - 1 : 0, len = strlen(name), part;

	if (len < head + tail + (star != NULL) || (!star && len != head) ||
		strncasecmp(name, r->from, head) != 0 ||
		(star && strncasecmp(name + len - tail, star + 1, tail) != 0))
		return false;
	part = len - head - tail;
	for (size_t i = 0; i < part; i++)
		if (name[head + i] == '\\' || name[head + i] == '@')
			return false;
	*ret = name + head;
	*ret_len = part;
	return true;
}

static int map_write(
	const struct map_rule *r, const char *part, size_t len, char ret[DIR_NAME_MAX + 1])
{
	const char *star = memchr(r->to, '*', r->to_len);
	size_t head = star ? (size_t)(star - r->to) : r->to_len;
	size_t tail = star ? r->to_len - head - 1 : 0;

	if (head + len + tail > DIR_NAME_MAX)
		return -GI_ELIMIT;
	memcpy(ret, r->to, head);
	memcpy(ret + head, part, len);
	if (star)
		memcpy(ret + head + len, star + 1, tail);
	ret[head + len + tail] = '\0';
	return 0;
}

/* ---- VMs of one directory ---- */

int dir_vm_check(const char *text, char ret_why[CONF_WHY_MAX])
{
	char name[GI_NAME_MAX + 2];
	struct map_rule r;
	size_t n = 0;
	bool good = map_split(text, &r) && r.from_len <= GI_NAME_MAX &&
		    map_stars(r.from, r.from_len) <= 1 && gi_text_is_name(r.to, GI_NAME_MAX);

	name[n++] = 'x'; /* what stands behind a star need not begin like a name */
	for (size_t i = 0; good && i < r.from_len; i++)
		if (r.from[i] != '*')
			name[n++] = r.from[i];
	name[n] = '\0';
	if (good && gi_text_is_name(name, GI_NAME_MAX + 1))
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX,
		"\"%.80s\": write VM -> LABEL, as in \"lab-* -> lab\", with one * at most", text);
	return -EINVAL;
}

const char *dir_vm_rule(const struct conf_list *rules, const char *vm)
{
	size_t len = strlen(vm);

	for (size_t i = 0; i < rules->n; i++) {
		const char *star;
		struct map_rule r;
		size_t head, tail;

		if (!map_split(rules->items[i], &r))
			continue;
		star = memchr(r.from, '*', r.from_len);
		head = star ? (size_t)(star - r.from) : r.from_len;
		tail = star ? r.from_len - head - 1 : 0;
		if (len >= head + tail && (star || len == head) && strncmp(vm, r.from, head) == 0 &&
			(!star || strncmp(vm + len - tail, star + 1, tail) == 0))
			return r.to;
	}
	return NULL;
}

/* ---- who answers ---- */

bool dir_route_claims(const struct idfw_dir_conf *dir, const char *domain)
{
	char own[DIR_NAME_MAX + 1];

	for (size_t i = 0; i < dir->realm.n; i++)
		if (strcasecmp(dir->realm.items[i], domain) == 0)
			return true;
	if (dir->netbios && strcasecmp(dir->netbios, domain) == 0)
		return true;
	return dir_base_domain(dir->base, own) == 0 && strcasecmp(own, domain) == 0;
}

void dir_route(const struct idfw_dir_conf *dirs, size_t n, const char *name, const char *names_in,
	struct dir_route *ret)
{
	struct dir_name parsed;
	bool some = false, mine;
	int only;

	*ret = (struct dir_route){ .n = 0 };
	if (dir_name_parse(name, &parsed) < 0)
		return;
	ret->bare = parsed.form == DIR_NAME_PLAIN;
	only = ret->bare && *names_in ? dir_route_index(dirs, n, names_in) : -1;
	if (only >= 0) {
		ret->at[ret->n++] = (uint8_t)only;
		return;
	}
	for (int any = 0; any < 2 && !some; any++) {
		for (size_t i = 0; i < n && ret->n < DIR_SET_MAX; i++) {
			mine = ret->bare ? dirs[i].is_default
					 : dir_route_claims(&dirs[i], parsed.domain);
			if (mine || any)
				ret->at[ret->n++] = (uint8_t)i;
			some |= mine;
		}
	}
}

static bool route_claimed(const struct idfw_dir_conf *dirs, size_t n, const char *domain)
{
	for (size_t i = 0; i < n; i++)
		if (dir_route_claims(&dirs[i], domain))
			return true;
	return false;
}

bool dir_route_known(const struct idfw_dir_conf *dirs, size_t n, const char *domain)
{
	bool known = route_claimed(dirs, n, domain);

	for (size_t i = 0; i < n && !known; i++)
		known = strcasecmp(dirs[i].label, domain) == 0;
	return known;
}

/* is @domain @home, or below it? */
static bool route_below(const char *domain, const char *home)
{
	size_t len = strlen(domain), have = strlen(home);

	return len >= have && strcasecmp(domain + len - have, home) == 0 &&
	       (len == have || domain[len - have - 1] == '.');
}

bool dir_route_has(const struct idfw_dir_conf *dirs, size_t n, const char *label, const char *dn,
	const char *domain)
{
	char home[DIR_NAME_MAX + 1], own[DIR_NAME_MAX + 1];
	int at = dir_route_index(dirs, n, label);

	if (at < 0)
		return false;
	if (!route_claimed(dirs, n, domain))
		return strcasecmp(label, domain) == 0;
	if (!dir_route_claims(&dirs[at], domain))
		return false;
	if (!dn || strcmp(dirs[at].type, "ad") != 0 || dir_base_domain(dirs[at].base, home) < 0 ||
		dir_base_domain(dn, own) < 0)
		return true;
	return strcasecmp(own, route_below(domain, home) ? domain : home) == 0;
}

int dir_route_index(const struct idfw_dir_conf *dirs, size_t n, const char *label)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(dirs[i].label, label) == 0)
			return (int)i;
	return -1;
}

bool dir_route_trusts(const struct idfw_dir_conf *dir, const char *label)
{
	for (size_t i = 0; i < dir->trusts.n; i++)
		if (strcmp(dir->trusts.items[i], label) == 0)
			return true;
	return false;
}

static bool route_is_catalog(const char *uri)
{
	size_t len = strlen(uri);

	len -= len && uri[len - 1] == '/';
	return len > 5 &&
	       (strncmp(uri + len - 5, ":3268", 5) == 0 || strncmp(uri + len - 5, ":3269", 5) == 0);
}

int dir_route_check(const struct idfw_dir_conf *dirs, size_t n, char ret_why[CONF_WHY_MAX])
{
	for (size_t i = 0; i < n; i++) {
		const struct conf_list *t = &dirs[i].trusts;

		for (size_t k = 0; k < t->n; k++) {
			bool catalog = false;
			int other = dir_route_index(dirs, n, t->items[k]);

			if (other < 0 || (size_t)other == i || strcmp(dirs[i].type, "ad") != 0 ||
				strcmp(dirs[other].type, "ad") != 0) {
				(void)snprintf(ret_why, CONF_WHY_MAX,
					"directory %.48s: trusts: \"%.48s\" is not the label of "
					"another block of type ad",
					dirs[i].label, t->items[k]);
				return -EINVAL;
			}
			for (size_t u = 0; u < dirs[other].uris.n; u++)
				catalog |= route_is_catalog(dirs[other].uris.items[u]);
			if (catalog) {
				(void)snprintf(ret_why, CONF_WHY_MAX,
					"directory %.32s: trusts: \"%.32s\" is asked by its Global "
					"Catalog, which lacks members; use ports 389, 636",
					dirs[i].label, t->items[k]);
				return -EINVAL;
			}
		}
	}
	return 0;
}
