/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirset.c - svm-idfw/dirset.c: a bare name is nobody else because a directory is down
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

#include "svm-idfw/dirqueue.h"
#include "svm-idfw/dirtrust.h"
#include "tests/unit/svm-idfw/dirset_world.h"

static void answer(struct world *w, size_t at, const char *key, enum idfw_presence presence)
{
	struct idfw_principal p = { .presence = presence, .sid = (char *)"S-1-5-7" };

	dir_set_answer(w->set, at, key, &p);
}

static void test_lookup_first_that_has_it(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_NOT_FOUND);
	assert_string_equal(w->asked, "a:alice: b:alice: ");
	assert_string_equal(w->said, "");
	answer(w, 1, "alice", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice=found@b ");
	answer(w, 2, "alice", IDFW_P_FOUND); /* nobody waits */
	assert_string_equal(w->said, "alice=found@b ");
}

static void test_lookup_nobody_has_it(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice");
	for (size_t i = 0; i < 3; i++)
		answer(w, i, "alice", IDFW_P_NOT_FOUND);
	assert_string_equal(w->said, "alice=not-found@ ");
}

static void test_lookup_one_down_is_unavailable(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_UNAVAILABLE);
	assert_string_equal(w->asked, "a:alice: ");
	assert_string_equal(w->said, "alice=unavailable@ ");
}

static void test_lookup_ambiguous_is_the_end(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_NOT_FOUND, .ambiguous = true };
	struct world *w = *state;

	dirset_look(w, "alice");
	dir_set_answer(w->set, 0, "alice", &p);
	assert_string_equal(w->said, "alice=not-found@ ");
}

static void test_lookup_domain_goes_to_its_block(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice@b.example");
	assert_string_equal(w->asked, "b:alice@b.example: ");
	answer(w, 0, "alice@b.example", IDFW_P_FOUND); /* was not asked */
	assert_string_equal(w->said, "");
	answer(w, 1, "alice@b.example", IDFW_P_NOT_FOUND);
	assert_string_equal(w->said, "alice@b.example=not-found@ ");
}

static void test_lookup_mapped_name_keeps_its_key(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice@old.example");
	assert_string_equal(w->asked, "b:alice@b.example: ");
	answer(w, 1, "alice@old.example", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice@old.example=found@b ");
}

static void test_lookup_no_name_is_not_found(void **state)
{
	struct world *w = *state;

	dirset_look(w, "a\\b\\c");
	assert_string_equal(w->asked, "a:a\\b\\c: ");
	answer(w, 0, "a\\b\\c", IDFW_P_NOT_FOUND);
	assert_string_equal(w->said, "a\\b\\c=not-found@ ");
}

/* known as c's account: its groups are followed though a is down */
static void known(struct world *w)
{
	struct idfw_principal p = { .sid = (char *)"S-1-5-7", .directory = (char *)"c" };

	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", &p), 0);
	answer(w, 0, "alice", IDFW_P_UNAVAILABLE);
	assert_string_equal(w->asked, "a:alice: c:alice:S-1-5-7 ");
}

static void test_known_is_asked_for_past_one_down(void **state)
{
	struct world *w = *state;

	known(w);
	answer(w, 2, "alice", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice=found@c ");
}

static void test_known_is_somebody_else_now(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_FOUND, .sid = (char *)"S-1-5-8" };
	struct world *w = *state;

	known(w);
	dir_set_answer(w->set, 2, "alice", &p);
	assert_string_equal(w->said, "alice=unavailable@c ");
}

static void test_known_is_gone(void **state)
{
	struct world *w = *state;

	known(w);
	answer(w, 2, "alice", IDFW_P_NOT_FOUND);
	assert_string_equal(w->said, "alice=not-found@ ");
}

/* whose SID is not known may be anybody there */
static void test_known_without_a_sid_is_not_asked_for(void **state)
{
	struct idfw_principal p = { .sid = (char *)"", .directory = (char *)"c" };
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", &p), 0);
	answer(w, 0, "alice", IDFW_P_UNAVAILABLE);
	assert_string_equal(w->asked, "a:alice: ");
	assert_string_equal(w->said, "alice=unavailable@ ");
}

/* past one that is down only the block is asked that had it: c may have another one of that name */
static void test_known_is_asked_for_nowhere_else(void **state)
{
	struct idfw_principal p = { .sid = (char *)"S-1-5-7", .directory = (char *)"b" };
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", &p), 0);
	answer(w, 0, "alice", IDFW_P_UNAVAILABLE);
	answer(w, 1, "alice", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice=found@b ");
	assert_string_equal(w->others, "");
	w->asked[0] = w->said[0] = '\0';
	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", &p), 0);
	answer(w, 0, "alice", IDFW_P_UNAVAILABLE);
	answer(w, 1, "alice", IDFW_P_NOT_FOUND);
	assert_string_equal(w->asked, "a:alice: b:alice:S-1-5-7 ");
	assert_string_equal(w->said, "alice=not-found@ ");
}

static void test_lookup_so_many_at_a_time(void **state)
{
	struct world *w = *state;
	char key[16];

	for (size_t i = 0; i < DIR_QUEUE_MAX; i++) {
		(void)snprintf(key, sizeof(key), "u%zu", i);
		assert_int_equal(dir_set_lookup(w->set, key, key, "", NULL), 0);
	}
	assert_int_equal(dir_set_lookup(w->set, "more", "more", "", NULL), -GI_EFULL);
	assert_int_equal(dir_set_lookup(w->set, "u7", "u7", "", NULL), 0);
	answer(w, 0, "u9", IDFW_P_UNAVAILABLE);
	assert_int_equal(dir_set_lookup(w->set, "more", "more", "", NULL), 0);
}

/* behind those that somebody waits for, until somebody logs in as one of them */
static void test_known_is_in_no_hurry(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_FOUND };
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "bob", "bob", "", NULL), 0);
	assert_true(w->first);
	p.waits = true;
	assert_int_equal(dir_set_lookup(w->set, "carol", "carol", "", &p), 0);
	assert_true(w->first);
	p.waits = false;
	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", &p), 0);
	assert_false(w->first);
	p.presence = IDFW_P_NOT_FOUND; /* a local user */
	assert_int_equal(dir_set_lookup(w->set, "root", "root", "", &p), 0);
	assert_false(w->first);
	assert_string_equal(w->hurried, "");
	dir_set_hurry(w->set, "alice");
	dir_set_hurry(w->set, "alice");
	dir_set_hurry(w->set, "bob"); /* is waited for already */
	dir_set_hurry(w->set, "nobody");
	assert_string_equal(w->hurried, "a:alice ");
	answer(w, 0, "alice", IDFW_P_NOT_FOUND);
	assert_true(w->first); /* in the next block as well */
}

static void test_known_by_the_one_that_is_down(void **state)
{
	struct idfw_principal p = { .sid = (char *)"S-1-5-7", .directory = (char *)"a" };
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", &p), 0);
	assert_string_equal(w->asked, "a:alice:S-1-5-7 ");
	answer(w, 0, "alice", IDFW_P_UNAVAILABLE);
	assert_string_equal(w->said, "alice=unavailable@ ");
}

static void test_refused_question(void **state)
{
	struct world *w = *state;

	w->refuse = 0;
	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", NULL), -GI_EFULL);
	w->refuse = 1;
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_NOT_FOUND);
	assert_string_equal(w->said, "alice=unavailable@ ");
}

static void test_twice_is_asked_once_more(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice@b.example");
	dirset_look(w, "alice@b.example");
	assert_string_equal(w->asked, "b:alice@b.example: ");
	answer(w, 1, "alice@b.example", IDFW_P_FOUND);
	assert_string_equal(w->asked, "b:alice@b.example: b:alice@b.example:S-1-5-7 ");
	w->again = "alice@b.example";
	answer(w, 1, "alice@b.example", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice@b.example=found@b alice@b.example=found@b ");
	answer(w, 1, "alice@b.example", IDFW_P_NOT_FOUND);
	assert_non_null(strstr(w->said, "not-found"));
}

/* ---- groups in blocks that the account's own one dirset_trusts ---- */

static void other_down(struct world *w, size_t at)
{
	struct idfw_principal p = { .presence = IDFW_P_UNAVAILABLE };

	dir_set_foreign(w->set, at, "alice@b.example", &p);
}

/* b says what its domain controllers say of alice: groups of other domains of the forest as well */
static void test_trusts_are_asked_for_the_account_s_own_domain(void **state)
{
	struct idfw_group groups[] = { dirset_g_own, dirset_g_local, dirset_g_users,
		dirset_g_third };
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = (char *)"alice",
		.sid = (char *)SID_B "9",
		.groups = groups,
		.n_groups = 4 };
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	dirset_look(w, "alice@b.example");
	w->asked[0] = '\0';
	dir_set_answer(w->set, 1, "alice@b.example", &p);
	assert_string_equal(w->asked, "a<" SID_B "9 " SID_B "10: c<" SID_B "9 " SID_B "10: ");
	dirset_other_has(w, 0, &dirset_g_local); /* a says so itself: once is enough */
	dirset_other_has(w, 2, NULL);
	assert_string_equal(w->said, "alice@b.example=found@b own local Users third ");
}

/* a wire's account has no domain's SID: its groups are nobody's to ask for */
static void test_trusts_without_a_domain_are_not_asked(void **state)
{
	struct idfw_group groups[] = { dirset_g_own };
	struct idfw_principal p = {
		.presence = IDFW_P_FOUND, .sid = (char *)"S-1-5-18", .groups = groups, .n_groups = 1
	};
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	dirset_look(w, "alice@b.example");
	w->asked[0] = '\0';
	dir_set_answer(w->set, 1, "alice@b.example", &p);
	assert_string_equal(w->asked, "");
	assert_string_equal(w->said, "alice@b.example=found@b own ");
}

#define MANY DIR_ASK_GROUPS_MAX

/* half of what another domain says is known already, twice over: each group once, and in order */
static void test_add_many_takes_each_once(void **state)
{
	struct idfw_group *g = calloc(MANY, sizeof(*g));
	char(*sids)[48] = calloc(MANY, sizeof(*sids));
	struct idfw_principal p = { .presence = IDFW_P_FOUND };

	(void)state;
	assert_non_null(g);
	assert_non_null(sids);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(sids[i], sizeof(sids[i]), SID_A "%zu", i);
		g[i] = (struct idfw_group){ .name = (char *)"g", .sid = sids[i] };
	}
	assert_int_equal(dir_trust_add(&p, g, MANY / 2, NULL, NULL), 0);
	assert_int_equal(p.n_groups, MANY / 2);
	assert_int_equal(dir_trust_add(&p, g, MANY, "S-1-5-21-9-9-9", NULL), 0);
	assert_int_equal(p.n_groups, MANY / 2);
	assert_int_equal(dir_trust_add(&p, g, MANY, NULL, NULL), 0);
	assert_int_equal(dir_trust_add(&p, g, MANY, NULL, NULL), 0);
	assert_int_equal(p.n_groups, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_string_equal(p.groups[i].sid, sids[i]);
	g[0].sid = (char *)SID_C "1";
	assert_int_equal(dir_trust_add(&p, g, 1, NULL, NULL), -GI_ELIMIT);
	dir_trust_fini(&p);
	free(sids);
	free(g);
}

/* known from before as b's, with groups in a and c */
static void look_known(struct world *w)
{
	const struct idfw_group *in[] = { &dirset_g_own, &dirset_g_local, &dirset_g_other,
		&dirset_g_third, &dirset_g_users };
	struct idfw_principal known = {
		.directory = (char *)"b", .sid = (char *)SID_B "9", .in = in, .n_in = 5
	};

	w->asked[0] = w->said[0] = '\0';
	assert_int_equal(
		dir_set_lookup(w->set, "alice@b.example", "alice@b.example", "", &known), 0);
}

static void test_trusts_are_put_together(void **state)
{
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	dirset_look(w, "alice@b.example");
	dirset_b_has(w);
	assert_string_equal(w->asked,
		"b:alice@b.example: a<" SID_B "9 " SID_B "10: c<" SID_B "9 " SID_B "10: ");
	dirset_other_has(w, 0, &dirset_g_local);
	dirset_b_has(w);			 /* nobody waits for that */
	dirset_other_has(w, 0, &dirset_g_other); /* nor for that */
	assert_string_equal(w->said, "");
	dirset_other_has(w, 2, &dirset_g_own); /* has it already */
	assert_string_equal(w->said, "alice@b.example=found@b own Users local ");
}

static void test_trusts_groups_are_the_blocks_that_have_them(void **state)
{
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	w->labels = true;
	dirset_look(w, "alice@b.example");
	dirset_b_has(w);
	dirset_other_has(w, 0, &dirset_g_local);
	dirset_other_has(w, 2, &dirset_g_third);
	assert_string_equal(w->said, "alice@b.example=found@b own/b Users/b local/a third/c ");
	look_known(w); /* the same from before, while they are away */
	dirset_b_has(w);
	other_down(w, 0);
	other_down(w, 2);
	assert_string_equal(
		w->said, "alice@b.example=found@b stale own/b Users/b local/a other/a third/c ");
}

/* ---- names without a domain are of one block ---- */

static void test_lookup_bare_name_of_the_vms_block(void **state)
{
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "alice|b", "alice", "b", NULL), 0);
	assert_string_equal(w->asked, "b:alice: ");
	answer(w, 1, "alice|b", IDFW_P_NOT_FOUND); /* nobody else is asked */
	assert_string_equal(w->said, "alice|b=not-found@ ");
	assert_string_equal(w->others, "");
}

static void test_lookup_name_with_domain_is_its_domains_also_there(void **state)
{
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "k", "alice@c.example", "b", NULL), 0);
	assert_string_equal(w->asked, "c:alice@c.example: ");
	w->asked[0] = '\0';
	/* what map-names makes of it has the last word */
	assert_int_equal(dir_set_lookup(w->set, "m", "alice@old.example", "a", NULL), 0);
	assert_string_equal(w->asked, "b:alice@b.example: ");
}

static void test_lookup_same_name_in_two_blocks_at_once(void **state)
{
	struct world *w = *state;

	assert_int_equal(dir_set_lookup(w->set, "alice|b", "alice", "b", NULL), 0);
	assert_int_equal(dir_set_lookup(w->set, "alice", "alice", "", NULL), 0);
	assert_string_equal(w->asked, "b:alice: a:alice: ");
	answer(w, 0, "alice", IDFW_P_FOUND);
	answer(w, 1, "alice|b", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice=found@a alice|b=found@b ");
}

/* asked again while it runs: by the name of the login, so that it is mapped once, not twice */
static void test_lookup_again_maps_the_login_name(void **state)
{
	static char *swap[] = { (char *)"*@x.example -> *@b.example",
		(char *)"*@b.example -> *@c.example" };
	struct world *w = *state;

	w->maps = (struct conf_list){ swap, 2 };
	dirset_look(w, "alice@x.example");
	dirset_look(w, "alice@x.example");
	answer(w, 1, "alice@x.example", IDFW_P_FOUND);
	assert_string_equal(w->asked, "b:alice@b.example: b:alice@b.example:S-1-5-7 ");
}

static void test_trusts_unknown_and_down_is_unavailable(void **state)
{
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	dirset_look(w, "alice@b.example");
	dirset_b_has(w);
	other_down(w, 0);
	dirset_other_has(w, 2, &dirset_g_third);
	assert_string_equal(w->said, "alice@b.example=unavailable@b stale own Users third ");
}

static void test_trusts_known_and_down_stays_as_it_was(void **state)
{
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	look_known(w); /* the domain of a is not known yet: the whole cache serves */
	dirset_b_has(w);
	other_down(w, 0);
	dirset_other_has(w, 2, NULL);
	assert_non_null(strstr(w->said, "unavailable"));
	look_known(w);
	dirset_b_has(w);
	dirset_other_has(w, 0, &dirset_g_local);
	dirset_other_has(w, 2, &dirset_g_third);
	assert_string_equal(w->said, "alice@b.example=found@b own Users local third ");
	look_known(w); /* c took third away meanwhile, a is down */
	dirset_b_has(w);
	dirset_other_has(w, 2, NULL);
	other_down(w, 0);
	assert_string_equal(w->said, "alice@b.example=found@b stale own Users local other ");
	w->refuse = 0; /* cannot even be asked */
	look_known(w);
	dirset_b_has(w);
	dirset_other_has(w, 2, NULL);
	assert_string_equal(w->said, "alice@b.example=found@b stale own Users local other ");
}

/* asked for twice, and a is lost between the two answers: its group is not lost with it */
static void test_trusts_down_at_the_second_answer_stays_as_it_was(void **state)
{
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	for (int turn = 0; turn < 2; turn++) {
		if (turn == 0)
			dirset_look(w, "alice@b.example");
		else
			look_known(w);
		assert_int_equal(
			dir_set_lookup(w->set, "alice@b.example", "alice@b.example", "", NULL), 0);
		dirset_b_has(w);
		dirset_other_has(w, 0, &dirset_g_local);
		dirset_other_has(w, 2, NULL);
		assert_string_equal(w->said, "alice@b.example=found@b own Users local ");
		w->said[0] = '\0';
		dirset_b_has(w);
		other_down(w, 0);
		dirset_other_has(w, 2, &dirset_g_third);
		assert_string_equal(
			w->said, "alice@b.example=found@b stale own Users third local ");
		w->asked[0] = w->said[0] = '\0';
	}
	/* and one that was no answer is not what is known of it */
	look_known(w);
	assert_int_equal(dir_set_lookup(w->set, "alice@b.example", "alice@b.example", "", NULL), 0);
	answer(w, 1, "alice@b.example", IDFW_P_UNAVAILABLE);
	w->said[0] = '\0';
	dirset_b_has(w);
	other_down(w, 0);
	dirset_other_has(w, 2, NULL);
	assert_string_equal(w->said, "alice@b.example=found@b stale own Users local other ");
}

/* its domain is known by an account of its own as well */
static void test_trusts_down_that_said_something_before(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_FOUND, .sid = (char *)SID_A "5" };
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	dirset_look(w, "carl@a.example");
	dir_set_answer(w->set, 0, "carl@a.example", &p);
	look_known(w);
	dirset_b_has(w);
	other_down(w, 0);
	dirset_other_has(w, 2, NULL);
	assert_string_equal(w->said, "alice@b.example=found@b stale own Users local other ");
}

/* the same SID, known from another block that trusts nobody: what she is in there was never asked
 */
static void test_trusts_known_by_another_block_is_not_known(void **state)
{
	struct idfw_principal known = { .directory = (char *)"c", .sid = (char *)SID_B "9" };
	struct world *w = *state;

	test_trusts_down_that_said_something_before(state);
	w->said[0] = '\0';
	assert_int_equal(
		dir_set_lookup(w->set, "alice@b.example", "alice@b.example", "", &known), 0);
	dirset_b_has(w);
	other_down(w, 0);
	dirset_other_has(w, 2, NULL);
	assert_string_equal(w->said, "alice@b.example=unavailable@b stale own Users ");
}

static void test_trusts_are_hurried_as_well(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_FOUND };
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	assert_int_equal(dir_set_lookup(w->set, "alice@b.example", "alice@b.example", "", &p), 0);
	dirset_b_has(w);
	dirset_other_has(w, 0, NULL);
	assert_false(w->first);
	dir_set_hurry(w->set, "alice@b.example");
	assert_string_equal(w->hurried, "b:alice@b.example c:alice@b.example ");
}

static void test_trusts_known_as_somebody_else_is_not_him(void **state)
{
	struct idfw_group groups[] = { dirset_g_own };
	struct idfw_principal p = {
		.presence = IDFW_P_FOUND, .sid = (char *)SID_B "77", .groups = groups, .n_groups = 1
	};
	struct world *w = *state;

	test_trusts_known_and_down_stays_as_it_was(state);
	w->refuse = -1;
	look_known(w);
	dir_set_answer(w->set, 1, "alice@b.example", &p);
	other_down(w, 0);
	dirset_other_has(w, 2, NULL);
	assert_string_equal(w->said, "alice@b.example=unavailable@b stale own ");
}

static void test_trusts_of_nobody_are_not_asked(void **state)
{
	struct world *w = *state;

	w->d[1].trusts = (struct conf_list){ dirset_trusts, 2 };
	dirset_look(w, "alice@b.example");
	answer(w, 1, "alice@b.example", IDFW_P_NOT_FOUND);
	assert_string_equal(w->said, "alice@b.example=not-found@ ");
}

/* ---- names that are accounts of several blocks ---- */

static void other(struct world *w, size_t at, enum idfw_presence presence, const char *dn)
{
	struct idfw_principal p = { .presence = presence, .dn = (char *)(uintptr_t)dn };

	dir_set_other(w->set, at, "alice", &p);
}

static void test_other_block_has_the_name_too(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	assert_string_equal(w->said, "alice=found@a ");
	assert_string_equal(w->others, "b:alice c:alice ");
	w->others[0] = '\0';
	other(w, 2, IDFW_P_FOUND, "cn=alice");
	other(w, 2, IDFW_P_FOUND, "cn=again"); /* not asked any more */
	other(w, 1, IDFW_P_NOT_FOUND, "");
	assert_string_equal(w->others, "alice=a:S-1-5-7,c:cn=alice ");
	w->said[0] = w->others[0] = '\0';
	dirset_look(w, "alice"); /* once is enough */
	answer(w, 0, "alice", IDFW_P_FOUND);
	assert_string_equal(w->others, "");
}

/* somebody may have got that name since; and a report is forgotten after a day */
static void test_other_is_asked_again_after_a_while(void **state)
{
	struct world *w = *state;

	w->said[0] = '\0';
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	dir_set_others_again(w->set); /* not those that are running */
	other(w, 1, IDFW_P_NOT_FOUND, "");
	other(w, 2, IDFW_P_NOT_FOUND, "");
	w->said[0] = '\0';
	dirset_look(w, "alice");
	w->others[0] = '\0';
	answer(w, 0, "alice", IDFW_P_FOUND);
	assert_string_equal(w->others, "");
	dir_set_others_again(w->set);
	w->said[0] = '\0';
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	assert_string_equal(w->others, "b:alice c:alice ");
	w->others[0] = '\0';
	other(w, 1, IDFW_P_FOUND, "cn=new");
	other(w, 2, IDFW_P_NOT_FOUND, "");
	assert_string_equal(w->others, "alice=a:S-1-5-7,b:cn=new ");
}

/* what one that is down has nobody knows: it is asked at the next lookup */
static void test_other_that_is_down_is_asked_again(void **state)
{
	struct world *w = *state;

	w->said[0] = '\0';
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	other(w, 1, IDFW_P_UNAVAILABLE, "");
	other(w, 2, IDFW_P_NOT_FOUND, "");
	w->refuse = 1;
	w->others[0] = '\0';
	w->said[0] = '\0';
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	assert_string_equal(w->others, "c:alice ");
	other(w, 2, IDFW_P_NOT_FOUND, "");
	w->refuse = -1;
	w->said[0] = w->others[0] = '\0';
	w->said[0] = '\0';
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	assert_string_equal(w->others, "b:alice c:alice ");
}

static void test_other_several_in_one_block_are_told(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_NOT_FOUND, .ambiguous = true };
	struct world *w = *state;

	w->said[0] = '\0';
	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	w->others[0] = '\0';
	dir_set_other(w->set, 1, "alice", &p);
	assert_string_equal(w->others, "alice=a:S-1-5-7,b:several accounts, so none ");
	w->others[0] = '\0';
	w->said[0] = '\0';
	dirset_look(w, "bob");
	dir_set_answer(w->set, 0, "bob", &p);
	assert_string_equal(
		w->others, "bob=a:several accounts, so none,a:several accounts, so none ");
}

static void test_other_the_same_account_is_none(void **state)
{
	struct idfw_principal p = { .presence = IDFW_P_FOUND, .sid = (char *)"S-1-5-7" };
	struct world *w = *state;

	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_FOUND);
	w->others[0] = '\0';
	dir_set_other(w->set, 1, "alice", &p);
	assert_string_equal(w->others, "");
}

static void test_other_blocks_before_have_said_no(void **state)
{
	struct world *w = *state;

	dirset_look(w, "alice");
	answer(w, 0, "alice", IDFW_P_NOT_FOUND);
	answer(w, 1, "alice", IDFW_P_FOUND);
	assert_string_equal(w->others, "c:alice ");
}

static void test_other_few_at_a_time(void **state)
{
	struct world *w = *state;
	char name[16];

	for (int i = 0; i < 20; i++) {
		w->said[0] = w->others[0] = '\0';
		(void)snprintf(name, sizeof(name), "u%d", i);
		dirset_look(w, name);
		answer(w, 0, name, IDFW_P_FOUND);
		assert_int_equal(w->others[0] != '\0', i < 16);
	}
	w->refuse = 1; /* not asked: nobody waits for it */
	w->said[0] = '\0';
	dir_set_other(w->set, 1, "u0", &(struct idfw_principal){ .presence = IDFW_P_UNAVAILABLE });
	dir_set_other(w->set, 2, "u0", &(struct idfw_principal){ .presence = IDFW_P_UNAVAILABLE });
	dirset_look(w, "last");
	w->others[0] = '\0';
	answer(w, 0, "last", IDFW_P_FOUND);
	assert_string_equal(w->others, "c:last ");
}

#define T(name) cmocka_unit_test_setup_teardown(name, dirset_setup, dirset_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lookup_first_that_has_it),
		T(test_lookup_nobody_has_it),
		T(test_lookup_one_down_is_unavailable),
		T(test_lookup_ambiguous_is_the_end),
		T(test_lookup_domain_goes_to_its_block),
		T(test_lookup_mapped_name_keeps_its_key),
		T(test_lookup_no_name_is_not_found),
		T(test_known_is_asked_for_past_one_down),
		T(test_known_is_somebody_else_now),
		T(test_known_is_gone),
		T(test_known_is_in_no_hurry),
		T(test_known_by_the_one_that_is_down),
		T(test_refused_question),
		T(test_twice_is_asked_once_more),
		T(test_other_block_has_the_name_too),
		T(test_other_is_asked_again_after_a_while),
		T(test_other_that_is_down_is_asked_again),
		T(test_other_several_in_one_block_are_told),
		T(test_other_the_same_account_is_none),
		T(test_other_blocks_before_have_said_no),
		T(test_other_few_at_a_time),
		T(test_trusts_groups_are_the_blocks_that_have_them),
		T(test_lookup_bare_name_of_the_vms_block),
		T(test_lookup_name_with_domain_is_its_domains_also_there),
		T(test_lookup_same_name_in_two_blocks_at_once),
		T(test_lookup_again_maps_the_login_name),
		T(test_trusts_are_put_together),
		T(test_trusts_are_asked_for_the_account_s_own_domain),
		T(test_trusts_without_a_domain_are_not_asked),
		cmocka_unit_test(test_add_many_takes_each_once),
		T(test_trusts_unknown_and_down_is_unavailable),
		T(test_trusts_known_and_down_stays_as_it_was),
		T(test_trusts_down_at_the_second_answer_stays_as_it_was),
		T(test_trusts_down_that_said_something_before),
		T(test_trusts_known_by_another_block_is_not_known),
		T(test_trusts_are_hurried_as_well),
		T(test_known_without_a_sid_is_not_asked_for),
		T(test_known_is_asked_for_nowhere_else),
		T(test_lookup_so_many_at_a_time),
		T(test_trusts_known_as_somebody_else_is_not_him),
		T(test_trusts_of_nobody_are_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
