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

#include "tests/unit/svm-idfw/dirset_world.h"

#define DOMAIN_A "S-1-5-21-1-1-1"
#define DOMAIN_B "S-1-5-21-2-2-2"

static int domain(struct world *w, size_t at, const char *sid, bool *ret_new)
{
	size_t owner = 99;
	int err = dir_set_domain(w->set, at, sid, &owner, ret_new);

	if (err == -EEXIST)
		dirset_put(w->others, "%s has it ", w->d[owner].label);
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
	const struct idfw_group groups[] = { dirset_g_own, dirset_g_local, dirset_g_users,
		dirset_g_third };
	struct world *w = *state;
	bool new;

	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_true(new);
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	dirset_look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 4);
	/* a's group is gone, nobody's is not, and it is told once */
	assert_string_equal(w->said, "alice@b.example=found@b own Users third ");
	assert_string_equal(w->others, "b!a:" SID_A "10 ");
	w->said[0] = '\0';
	dirset_look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 4);
	assert_string_equal(w->said, "alice@b.example=found@b own Users third ");
	assert_string_equal(w->others, "b!a:" SID_A "10 ");
}

static void test_group_with_another_blocks_dn_does_not_count(void **state)
{
	struct idfw_group lie = { .name = (char *)"admins",
		.sid = (char *)SID_B "11",
		.dn = (char *)"CN=Admins,OU=x,dc=A,DC=Example" };
	struct idfw_group groups[] = { dirset_g_own, lie };
	struct world *w = *state;

	dirset_look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 2);
	assert_string_equal(w->said, "alice@b.example=found@b own ");
	assert_string_equal(w->others, "b!a:" SID_B "11 ");
}

static void test_account_of_another_block_is_unavailable(void **state)
{
	struct world *w = *state;
	bool new;

	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	dirset_look(w, "alice@b.example");
	b_says(w, SID_A "500", &dirset_g_own, 1);
	assert_non_null(strstr(w->said, "alice@b.example=unavailable@"));
	assert_string_equal(w->others, "b!a:" SID_A "500 ");
}

static void test_any_counts_all(void **state)
{
	const struct idfw_group groups[] = { dirset_g_own, dirset_g_local };
	struct world *w = *state;
	bool new;

	w->d[1].sids = (char *)"any";
	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	dirset_look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 2);
	assert_string_equal(w->said, "alice@b.example=found@b own local ");
	assert_string_equal(w->others, "");
}

/* one forest: b says that alice is in a's universal group; it counts when a says so */
static void test_trusted_block_says_it_itself(void **state)
{
	const struct idfw_group groups[] = { dirset_g_own, dirset_g_local, dirset_g_other };
	struct world *w = *state;
	bool new;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 1 };
	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	dirset_look(w, "alice@b.example");
	b_says(w, SID_B "9", groups, 3);
	assert_non_null(strstr(w->asked, "a<" SID_B "9 " SID_B "10:"));
	dirset_other_has(w, 0, &dirset_g_other);
	assert_string_equal(w->said, "alice@b.example=found@b own other ");
}

static void test_trusted_block_says_only_its_own(void **state)
{
	struct world *w = *state;
	bool new;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 1 };
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	dirset_look(w, "alice@b.example");
	dirset_b_has(w);
	dirset_other_has(w, 0, &dirset_g_own);
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
			test_group_of_another_block_does_not_count, dirset_setup, dirset_teardown),
		cmocka_unit_test_setup_teardown(test_group_with_another_blocks_dn_does_not_count,
			dirset_setup, dirset_teardown),
		cmocka_unit_test_setup_teardown(test_account_of_another_block_is_unavailable,
			dirset_setup, dirset_teardown),
		cmocka_unit_test_setup_teardown(test_any_counts_all, dirset_setup, dirset_teardown),
		cmocka_unit_test_setup_teardown(
			test_trusted_block_says_it_itself, dirset_setup, dirset_teardown),
		cmocka_unit_test_setup_teardown(
			test_trusted_block_says_only_its_own, dirset_setup, dirset_teardown),
		cmocka_unit_test_setup_teardown(
			test_domain_first_contact_counts, dirset_setup, dirset_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
