/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirset_world.c - three directories that are a list of what was asked of them, see dirset_world.h
 */
#include "tests/unit/svm-idfw/dirset_world.h"

#include <stdio.h>
#include <string.h>

static char *old_rule[] = { (char *)"*@old.example -> *@b.example" };

void dirset_put(char buf[256], const char *fmt, ...)
{
	size_t at = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf + at, 256 - at, fmt, ap);
	va_end(ap);
}

static int ask(void *arg, size_t at, const char *key, const char *name, const char *sid, bool first)
{
	struct world *w = arg;

	(void)key;
	if ((int)at == w->refuse)
		return -GI_EFULL;
	dirset_put(w->asked, "%s:%s:%s ", w->d[at].label, name, sid);
	w->first = first;
	return 0;
}

static int ask_foreign(void *arg, size_t at, const char *key, const char *name, const char *sid,
	const char *members, bool first)
{
	struct world *w = arg;

	w->first = first;
	(void)key;
	(void)name;
	if ((int)at == w->refuse)
		return -GI_EFULL;
	dirset_put(w->asked, "%s<%s:%s ", w->d[at].label, members, sid);
	return 0;
}

static int ask_other(void *arg, size_t at, const char *key, const char *name)
{
	struct world *w = arg;

	(void)key;
	if ((int)at == w->refuse)
		return -GI_EFULL;
	dirset_put(w->others, "%s:%s ", w->d[at].label, name);
	return 0;
}

static void hurry(void *arg, size_t at, const char *key)
{
	struct world *w = arg;

	dirset_put(w->hurried, "%s:%s ", w->d[at].label, key);
}

static void collision(void *arg, const char *name, size_t first, const char *first_id, size_t other,
	const char *other_id)
{
	struct world *w = arg;

	dirset_put(w->others, "%s=%s:%s,%s:%s ", name, w->d[first].label, first_id,
		w->d[other].label, other_id);
}

static void refused(void *arg, size_t at, size_t owner, const char *what)
{
	struct world *w = arg;

	dirset_put(w->others, "%s!%s:%s ", w->d[at].label, w->d[owner].label, what);
}

static void principal(void *arg, const char *key, const struct idfw_principal *found)
{
	static const char *const word[] = { "pending", "found", "not-found", "unavailable" };
	struct world *w = arg;
	const char *again = w->again;

	dirset_put(w->said, "%s=%s@%s %s", key, word[found->presence], found->directory,
		found->stale ? "stale " : "");
	for (size_t i = 0; i < found->n_groups; i++)
		dirset_put(w->said, "%s%s%s ", found->groups[i].name, w->labels ? "/" : "",
			w->labels ? found->groups[i].directory : "");
	w->again = NULL;
	if (again)
		assert_int_equal(dir_set_lookup(w->set, again, again, "", NULL), 0);
}

int dirset_setup(void **state)
{
	static const struct dir_set_ops ops = { ask, ask_foreign, ask_other, hurry, collision,
		refused, principal };
	static struct world w;

	w = (struct world){ .maps = { old_rule, 1 }, .refuse = -1 };
	w.d[0] = (struct idfw_dir_conf){ .label = (char *)"a", .base = (char *)"DC=a,DC=example" };
	w.d[1] = (struct idfw_dir_conf){ .label = (char *)"b", .base = (char *)"DC=b,DC=example" };
	w.d[2] = (struct idfw_dir_conf){ .label = (char *)"c", .base = (char *)"DC=c,DC=example" };
	assert_int_equal(dir_set_new(w.d, 3, &w.maps, &ops, &w, &w.set), 0);
	*state = &w;
	return 0;
}

int dirset_teardown(void **state)
{
	dir_set_free(((struct world *)*state)->set);
	return 0;
}

void dirset_look(struct world *w, const char *name)
{
	assert_int_equal(dir_set_lookup(w->set, name, name, "", NULL), 0);
	assert_string_equal(w->said, "");
}

char *dirset_trusts[] = { (char *)"a", (char *)"c" };
struct idfw_group dirset_g_own = { .name = (char *)"own", .sid = (char *)SID_B "10" };
struct idfw_group dirset_g_local = { .name = (char *)"local", .sid = (char *)SID_A "10" };
struct idfw_group dirset_g_other = { .name = (char *)"other", .sid = (char *)SID_A "11" };
struct idfw_group dirset_g_third = { .name = (char *)"third", .sid = (char *)SID_C "10" };
struct idfw_group dirset_g_users = { .name = (char *)"Users", .sid = (char *)"S-1-5-32-545" };

void dirset_b_has(struct world *w)
{
	struct idfw_group groups[] = { dirset_g_own, dirset_g_users };
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = (char *)"alice",
		.sid = (char *)SID_B "9",
		.groups = groups,
		.n_groups = 2 };

	dir_set_answer(w->set, 1, "alice@b.example", &p);
}

void dirset_other_has(struct world *w, size_t at, const struct idfw_group *g)
{
	struct idfw_group groups[] = { g ? *g : dirset_g_users };
	struct idfw_principal p = { .presence = IDFW_P_FOUND, .groups = groups, .n_groups = !!g };

	dir_set_foreign(w->set, at, "alice@b.example", &p);
}
