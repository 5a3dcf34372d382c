/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirclaim.c - svm-idfw/dirclaim.c, dirset.c: a directory says nothing about another's domain
 *
 * The directories are a list of what was asked of them; the test answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "svm-idfw/dirset.h"

struct world {
	struct idfw_dir_conf d[3];
	struct conf_list maps;
	struct dir_set *set;
	char asked[256], said[256], others[256];
};

static void put(char buf[256], const char *fmt, ...) GI_PRINTF(2, 3);
static void put(char buf[256], const char *fmt, ...)
{
	size_t at = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf + at, 256 - at, fmt, ap);
	va_end(ap);
}

static int ask(void *arg, size_t at, const char *key, const char *name, const char *sid, bool first)
{
	(void)first;
	(void)arg;
	(void)at;
	(void)key;
	(void)name;
	(void)sid;
	return 0;
}

static int ask_foreign(void *arg, size_t at, const char *key, const char *name, const char *sid,
	const char *members, bool first)
{
	struct world *w = arg;

	(void)first;
	(void)key;
	(void)name;
	put(w->asked, "%s<%s:%s ", w->d[at].label, members, sid);
	return 0;
}

static int ask_other(void *arg, size_t at, const char *key, const char *name)
{
	return ask(arg, at, key, name, "", false);
}

static void hurry(void *arg, size_t at, const char *key)
{
	(void)arg;
	(void)at;
	(void)key;
}

static void collision(void *arg, const char *name, size_t first, const char *first_id, size_t other,
	const char *other_id)
{
	(void)arg;
	(void)name;
	(void)first;
	(void)first_id;
	(void)other;
	(void)other_id;
}

static void refused(void *arg, size_t at, size_t owner, const char *what)
{
	struct world *w = arg;

	put(w->others, "%s!%s:%s ", w->d[at].label, w->d[owner].label, what);
}

static void principal(void *arg, const char *key, const struct idfw_principal *found)
{
	struct world *w = arg;

	put(w->said, "%s=%s@%s ", key, found->presence == IDFW_P_FOUND ? "found" : "unavailable",
		found->directory);
	for (size_t i = 0; i < found->n_groups; i++)
		put(w->said, "%s ", found->groups[i].name);
}

static int setup(void **state)
{
	static const struct dir_set_ops ops = { ask, ask_foreign, ask_other, hurry, collision,
		refused, principal };
	static struct world w;

	w = (struct world){ .maps = { NULL, 0 } };
	w.d[0] = (struct idfw_dir_conf){ .label = (char *)"a", .base = (char *)"DC=a,DC=example" };
	w.d[1] = (struct idfw_dir_conf){ .label = (char *)"b", .base = (char *)"DC=b,DC=example" };
	w.d[2] = (struct idfw_dir_conf){ .label = (char *)"c", .base = (char *)"DC=c,DC=example" };
	assert_int_equal(dir_set_new(w.d, 3, &w.maps, &ops, &w, &w.set), 0);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	dir_set_free(((struct world *)*state)->set);
	return 0;
}

static void look(struct world *w, const char *name)
{
	assert_int_equal(dir_set_lookup(w->set, name, name, "", NULL), 0);
	assert_string_equal(w->said, "");
}

#define SID_B "S-1-5-21-2-2-2-"
#define SID_A "S-1-5-21-1-1-1-"
#define SID_C "S-1-5-21-3-3-3-"

static char *trusts[] = { (char *)"a", (char *)"c" };
static struct idfw_group g_own = { .name = (char *)"own", .sid = (char *)SID_B "10" };
static struct idfw_group g_local = { .name = (char *)"local", .sid = (char *)SID_A "10" };
static struct idfw_group g_other = { .name = (char *)"other", .sid = (char *)SID_A "11" };
static struct idfw_group g_third = { .name = (char *)"third", .sid = (char *)SID_C "10" };
static struct idfw_group g_users = { .name = (char *)"Users", .sid = (char *)"S-1-5-32-545" };

static void b_has(struct world *w)
{
	struct idfw_group groups[] = { g_own, g_users };
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = (char *)"alice",
		.sid = (char *)SID_B "9",
		.groups = groups,
		.n_groups = 2 };

	dir_set_answer(w->set, 1, "alice@b.example", &p);
}

static void other_has(struct world *w, size_t at, const struct idfw_group *g)
{
	struct idfw_group groups[] = { g ? *g : g_users };
	struct idfw_principal p = { .presence = IDFW_P_FOUND, .groups = groups, .n_groups = !!g };

	dir_set_foreign(w->set, at, "alice@b.example", &p);
}

#define DOMAIN_A "S-1-5-21-1-1-1"
#define DOMAIN_B "S-1-5-21-2-2-2"

static int domain(struct world *w, size_t at, const char *sid, bool *ret_new)
{
	size_t owner = 99;
	int err = dir_set_domain(w->set, at, sid, &owner, ret_new);

	if (err == -EEXIST)
		put(w->others, "%s has it ", w->d[owner].label);
	return err;
}

/* b's answer: its account, with these groups */
static void b_says(struct world *w, const char *sid, const struct idfw_group *groups, size_t n)
{
	struct idfw_group copy[4];
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = (char *)"alice",
		.sid = (char *)(uintptr_t)sid,
		.dn = (char *)"CN=alice,DC=b,DC=example",
		.groups = copy,
		.n_groups = n };

	memcpy(copy, groups, n * sizeof(*groups));
	dir_set_answer(w->set, 1, "alice@b.example", &p);
}

static void test_group_of_another_block_does_not_count(void **state)
{
	const struct idfw_group groups[] = { g_own, g_local, g_users, g_third };
	struct world *w = *state;
	bool new;

	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_true(new);
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 4);
	/* a's group is gone, nobody's is not, and it is told once */
	assert_string_equal(w->said, "alice@b.example=found@b own Users third ");
	assert_string_equal(w->others, "b!a:" SID_A "10 ");
	w->said[0] = '\0';
	look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 4);
	assert_string_equal(w->said, "alice@b.example=found@b own Users third ");
	assert_string_equal(w->others, "b!a:" SID_A "10 ");
}

static void test_group_with_another_blocks_dn_does_not_count(void **state)
{
	struct idfw_group lie = { .name = (char *)"admins",
		.sid = (char *)SID_B "11",
		.dn = (char *)"CN=Admins,OU=x,dc=A,DC=Example" };
	struct idfw_group groups[] = { g_own, lie };
	struct world *w = *state;

	look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 2);
	assert_string_equal(w->said, "alice@b.example=found@b own ");
	assert_string_equal(w->others, "b!a:" SID_B "11 ");
}

static void test_account_of_another_block_is_unavailable(void **state)
{
	struct world *w = *state;
	bool new;

	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	look(w, "alice@b.example");
	b_says(w, SID_A "500", &g_own, 1);
	assert_non_null(strstr(w->said, "alice@b.example=unavailable@"));
	assert_string_equal(w->others, "b!a:" SID_A "500 ");
}

static void test_any_counts_all(void **state)
{
	const struct idfw_group groups[] = { g_own, g_local };
	struct world *w = *state;
	bool new;

	w->d[1].sids = (char *)"any";
	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 2);
	assert_string_equal(w->said, "alice@b.example=found@b own local ");
	assert_string_equal(w->others, "");
}

/* one forest: b says that alice is in a's universal group; it counts when a says so */
static void test_trusted_block_says_it_itself(void **state)
{
	const struct idfw_group groups[] = { g_own, g_local, g_other };
	struct world *w = *state;
	bool new;

	w->d[1].trusts = (struct conf_list){ trusts, 1 };
	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 3);
	assert_non_null(strstr(w->asked, "a<" SID_B "9 " SID_B "10:"));
	other_has(w, 0, &g_other);
	assert_string_equal(w->said, "alice@b.example=found@b own other ");
}

static void test_trusted_block_says_only_its_own(void **state)
{
	struct world *w = *state;
	bool new;

	w->d[1].trusts = (struct conf_list){ trusts, 1 };
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	look(w, "alice@b.example");
	b_has(w);
	other_has(w, 0, &g_own);
	assert_string_equal(w->said, "alice@b.example=found@b own Users ");
	assert_string_equal(w->others, "a!b:" SID_B "10 ");
}

static void test_domain_first_contact_counts(void **state)
{
	struct world *w = *state;
	bool new;

	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_false(new);
	assert_int_equal(domain(w, 1, DOMAIN_A, &new), -EEXIST);
	assert_string_equal(w->others, "a has it ");
	assert_int_equal(domain(w, 0, DOMAIN_B, &new), -GI_ESTATE);
	assert_int_equal(domain(w, 1, "S-1-5-32", &new), -EINVAL);
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	/* two blocks of one domain */
	w->d[2].base = (char *)"OU=more,dc=a,dc=example";
	assert_int_equal(domain(w, 2, DOMAIN_A, &new), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_group_of_another_block_does_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_group_with_another_blocks_dn_does_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_account_of_another_block_is_unavailable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_counts_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trusted_block_says_it_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_trusted_block_says_only_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_first_contact_counts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
