/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirclaim.c - svm-idfw/dirclaim.c, dirset.c: a directory says nothing about another's domain;
 * dirtrust.c
 *
 * The directories are a list of what was asked of them; the test answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dirtrust.h"
#include "tests/unit/svm-idfw/dirset_world.h"

#define DOMAIN_A "S-1-5-21-1-1-1"
#define DOMAIN_B "S-1-5-21-2-2-2"
#define DOMAIN_C "S-1-5-21-3-3-3"

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
	char text[4 * DIR_TRUST_DOMAIN_MAX] = "";
	bool new;

	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_int_equal(domain(w, 0, DOMAIN_A, &new), 0);
	assert_false(new);
	assert_int_equal(domain(w, 1, DOMAIN_A, &new), -EEXIST);
	assert_string_equal(w->others, "a has it ");
	assert_int_equal(domain(w, 0, DOMAIN_B, &new), -GI_ESTATE);
	assert_int_equal(domain(w, 1, "S-1-5-32", &new), -EINVAL);
	assert_int_equal(domain(w, 1, DOMAIN_B, &new), 0);
	/* two blocks of one domain: each says what there is in it */
	w->d[2].base = (char *)"OU=more,dc=a,dc=example";
	assert_int_equal(domain(w, 2, DOMAIN_A, &new), 0);
	memset(text, '1', sizeof(text) - 1);
	memcpy(text, DOMAIN_C, strlen(DOMAIN_C)); /* more than a domain's SID can have */
	assert_int_equal(domain(w, 1, text, &new), -EINVAL);
}

static void test_claims_of_two_blocks_of_one_domain(void **state)
{
	struct world *w = *state;
	struct dir_claims c = { .dirs = w->d, .n = 3, .sid = { DOMAIN_A, DOMAIN_B, DOMAIN_A } };
	size_t owner = 9;

	w->d[2].base = (char *)"OU=more,dc=a,dc=example";
	for (size_t at = 0; at < 3; at += 2) {
		assert_true(dir_claim_sid(&c, at, SID_A "10", &owner));
		assert_false(dir_claim_sid(&c, at, SID_B "10", &owner));
		assert_int_equal(owner, 1);
		assert_true(dir_claim_dn(&c, at, "CN=x,DC=a,DC=example", &owner));
		assert_false(dir_claim_dn(&c, at, "CN=x,DC=b,DC=example", &owner));
	}
	assert_false(dir_claim_dn(&c, 1, "CN=x,DC=a,DC=example", &owner));
	w->d[1].sids = (char *)"any";
	assert_true(dir_claim_dn(&c, 1, "CN=x,DC=a,DC=example", &owner));
	assert_true(dir_claim_sid(&c, 1, SID_A "10", &owner));
}

/* ---- groups of other blocks ---- */

/* what an account of a block with trusts is, is what its own block said */
static void test_copy_is_all_of_it(void **state)
{
	struct idfw_principal to, from = { .presence = IDFW_P_FOUND,
		.name = (char *)"alice",
		.upn = (char *)"alice@b.example",
		.dn = (char *)"CN=alice",
		.sid = (char *)SID_B "9",
		.guid = { 1, [15] = 16 },
		.resolved_ms = 7,
		.account = { .state = 5, .revokes = 3, .expires_ms = 8 },
		.groups = &dirset_g_own,
		.n_groups = 1 };

	(void)state;
	assert_int_equal(dir_trust_copy(&from, &to), 0);
	assert_int_equal(to.presence, from.presence);
	assert_string_equal(to.name, from.name);
	assert_string_equal(to.upn, from.upn);
	assert_string_equal(to.dn, from.dn);
	assert_string_equal(to.sid, from.sid);
	assert_memory_equal(to.guid, from.guid, sizeof(to.guid));
	assert_int_equal(to.resolved_ms, 7);
	assert_int_equal(to.account.state, 5);
	assert_int_equal(to.account.revokes, 3);
	assert_int_equal(to.account.expires_ms, 8);
	assert_int_equal(to.n_groups, 1);
	assert_string_equal(to.groups[0].name, "own");
	assert_string_equal(to.groups[0].sid, SID_B "10");
	dir_trust_fini(&to);
}

/* of one who is in more than can be asked for, some are not asked for: that is no answer */
static void test_members_up_to_a_limit(void **state)
{
	const size_t n = WIRE_DIR_MEMBERS_MAX;
	struct idfw_group *g = calloc(n, sizeof(*g));
	struct idfw_principal p = { .sid = (char *)SID_B "9", .groups = g };
	struct gi_buf out;

	(void)state;
	assert_non_null(g);
	for (size_t i = 0; i < n; i++)
		g[i] = dirset_g_own;
	gi_buf_init(&out, 1u << 20);
	p.n_groups = n - 1;
	assert_int_equal(dir_trust_members(&p, &out), 0);
	gi_buf_reset(&out);
	p.n_groups = n;
	assert_int_equal(dir_trust_members(&p, &out), -GI_ELIMIT);
	gi_buf_fini(&out);
	free(g);
}

static void test_prior_is_of_other_domains(void **state)
{
	const struct idfw_group *in[] = { &dirset_g_own, &dirset_g_local, &dirset_g_users };
	struct idfw_principal known = { .sid = (char *)SID_B "9", .in = in, .n_in = 3 };
	struct idfw_principal p = { .presence = IDFW_P_FOUND };
	char domain[DIR_TRUST_DOMAIN_MAX];

	(void)state;
	assert_int_equal(dir_trust_prior(&p, &known), 0);
	assert_int_equal(p.n_groups, 1);
	assert_string_equal(p.groups[0].name, "local");
	dir_trust_fini(&p);
	assert_true(dir_trust_domain(SID_B "9", domain));
	assert_false(dir_trust_domain("S-1-5-21-9", domain));
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
		cmocka_unit_test_setup_teardown(
			test_claims_of_two_blocks_of_one_domain, dirset_setup, dirset_teardown),
		cmocka_unit_test(test_copy_is_all_of_it),
		cmocka_unit_test(test_members_up_to_a_limit),
		cmocka_unit_test(test_prior_is_of_other_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
