/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirlisting.c - dirlisting.c, dirtrace.c: groups that are in more groups than one answer
 * tells
 *
 * `dir groups` and `dir lookup --trace` on an Active Directory in memory (fakeldap.h) that says
 * three values of memberOf at a time, as a real one does with 1500. What is sent to the parent is
 * caught in place of the post (--wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "svm-idfw/dirreport.h"
#include "tests/unit/svm-idfw/fakeldap.h"

#define ABOVE 7

enum { ALICE = 1, WIDE, USERS, FIRST = 10 };

struct t {
	struct idfw_dir_conf conf;
	struct dir_back b;
	char said[1024]; /* names of nodes, in order; ! the primary group */
	uint64_t memberships;
	bool last;
	char text[DIR_WHY_MAX];
};

static struct t *world;

/* ---- the post ---- */

void __wrap_dir_post_room(struct dir_post *p);
void __wrap_dir_post_room(struct dir_post *p)
{
	(void)p;
}

static void say(const char *name, bool primary)
{
	size_t at = strlen(world->said);

	(void)snprintf(
		world->said + at, sizeof(world->said) - at, "%s%s ", name, primary ? "!" : "");
}

void __wrap_dir_post_send(struct dir_post *p, const Idfw__Envelope *e);
void __wrap_dir_post_send(struct dir_post *p, const Idfw__Envelope *e)
{
	const Idfw__DirReport *r = e->dir_report;

	(void)p;
	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_DIR_REPORT);
	assert_false(world->last);
	for (size_t i = 0; i < r->n_node; i++)
		say(r->node[i]->group->name, r->node[i]->flags & DIR_NODE_PRIMARY);
	world->memberships = r->memberships;
	world->last = r->last;
	if (r->last)
		(void)snprintf(world->text, sizeof(world->text), "%s", r->text);
}

/* ---- a directory ---- */

static void pointer(unsigned int id, const char *name, char ret[96])
{
	(void)snprintf(ret, 96, "memberOf: <GUID=%02x000000000000000000000000000000>;cn=%s,dc=corp",
		id, name);
}

/* wide is in g0 to g6, alice in wide; her primary group is in all of them as well */
static void fill(void)
{
	char v[ABOVE][96], wide[96];

	for (unsigned int i = 0; i < ABOVE; i++) {
		char dn[32], name[32], sid[48];

		(void)snprintf(dn, sizeof(dn), "cn=g%u,dc=corp", i);
		(void)snprintf(name, sizeof(name), "sAMAccountName: g%u", i);
		(void)snprintf(sid, sizeof(sid), "objectSid: S-1-5-21-1-2-3-%u", 1100 + i);
		fake_entry(FIRST + i, dn, "objectClass: group", name, sid, NULL);
		(void)snprintf(name, sizeof(name), "g%u", i);
		pointer(FIRST + i, name, v[i]);
	}
	fake_entry(WIDE, "cn=wide,dc=corp", "objectClass: group", "sAMAccountName: wide",
		"objectSid: S-1-5-21-1-2-3-1050", v[0], v[1], v[2], v[3], v[4], v[5], v[6], NULL);
	fake_entry(USERS, "cn=users,dc=corp", "objectClass: group", "sAMAccountName: users",
		"objectSid: S-1-5-21-1-2-3-513", v[6], v[5], v[4], v[3], v[2], v[1], v[0], NULL);
	pointer(WIDE, "wide", wide);
	fake_entry(ALICE, "cn=alice,dc=corp", "objectClass: user", "sAMAccountName: alice",
		"primaryGroupID: 513", wide, NULL);
}

static int setup(void **state)
{
	static struct t t;

	world = &t;
	t = (struct t){ .conf = { .uri = "ldaps://dc1", .base = (char *)"dc=corp" } };
	t.b = (struct dir_back){
		.ops = &dir_back_ad, .conf = &t.conf, .page = 500, .root = "dc=corp"
	};
	fake_reset();
	fake.groups = 3;
	fill();
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static void ask(struct t *t, Idfw__DirQuery *q)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT, *mine = NULL;
	struct dir_asked *asked = NULL;
	const char *why = "";
	struct gi_buf out;
	bool whole = false;

	q->last = true;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_QUERY;
	e.dir_query = q;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(&e, &out), 0);
	assert_int_equal(
		wire_envelope_decode(out.data, out.len, WIRE_SVM_TO_DIR, WIRE_OPEN, &mine, &why),
		0);
	gi_buf_fini(&out);
	assert_int_equal(dir_asked_new(&asked), 0);
	assert_true(dir_asked_put(asked, mine, &whole));
	assert_true(whole);
	dir_asked_answer(asked, &t->b, NULL, true, "");
	dir_asked_free(asked);
	assert_true(t->last);
}

static void groups(struct t *t)
{
	Idfw__DirQuery q = IDFW__DIR_QUERY__INIT;

	q.what = IDFW__DIR_QUERY__WHAT__GROUPS;
	q.show = IDFW__DIR_QUERY__SHOW__ALL;
	ask(t, &q);
}

static void trace(struct t *t)
{
	Idfw__DirQuery q = IDFW__DIR_QUERY__INIT;
	Idfw__DirGroup account = IDFW__DIR_GROUP__INIT;
	uint8_t guid[16] = { ALICE }, sid[SID_BYTES_MAX];
	size_t len = 0;

	assert_int_equal(sid_from_text("S-1-5-21-1-2-3-1000", sid, &len), 0);
	account.dn = (char *)"cn=alice,dc=corp";
	account.name = (char *)"alice";
	account.guid = (ProtobufCBinaryData){ .len = sizeof(guid), .data = guid };
	account.sid = (ProtobufCBinaryData){ .len = len, .data = sid };
	q.what = IDFW__DIR_QUERY__WHAT__TRACE;
	q.account = &account;
	ask(t, &q);
}

/* ---- tests ---- */

static void test_listing_reads_memberof_to_its_end(void **state)
{
	struct t *t = *state;

	groups(t);
	assert_string_equal(t->text, "");
	assert_string_equal(t->said, "g0 g1 g2 g3 g4 g5 g6 users wide ");
	assert_int_equal(t->memberships, 2 * ABOVE);
	assert_non_null(strstr(fake.log, "base <GUID=02000000000000000000000000000000>"));
}

static void test_trace_reads_memberof_of_groups_to_its_end(void **state)
{
	struct t *t = *state;

	trace(t);
	assert_string_equal(t->text, "");
	assert_string_equal(t->said, "wide users! g6 g5 g4 g3 g2 g1 g0 ");
	assert_int_equal(t->memberships, 2 + 2 * ABOVE);
}

/* a directory that does not go on: nothing is said of what is not all */
static void is_incomplete(struct t *t)
{
	assert_non_null(strstr(t->text, "does not say all groups that "));
	assert_non_null(strstr(t->text, " is in: 3, and not the rest"));
	assert_string_equal(t->said, "");
}

static void test_half_a_listing_is_none(void **state)
{
	struct t *t = *state;

	fake.stuck = true;
	groups(t);
	is_incomplete(t);
}

static void test_half_a_trace_is_none(void **state)
{
	struct t *t = *state;

	fake.stuck = true;
	trace(t);
	is_incomplete(t);
}

static void lose(void *arg)
{
	(void)arg;
	if (fake.searches == 2) /* the listing itself was the first */
		fake_entry(USERS, "cn=users,dc=corp", "objectClass: group", "x: y", NULL);
}

/* it has less groups by now, or the directory has forgotten the attribute */
static void test_no_rest_is_half_a_listing(void **state)
{
	struct t *t = *state;

	fake.before = lose;
	groups(t);
	is_incomplete(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_listing_reads_memberof_to_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_trace_reads_memberof_of_groups_to_its_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_listing_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_trace_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_rest_is_half_a_listing, setup, teardown),
	};

	gi_log_init("test_dirlisting", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
