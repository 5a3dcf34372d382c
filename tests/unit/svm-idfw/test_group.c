/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_group.c - directory groups of the engine: shared, by unique id, reports about them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include <string.h>

#include "svm-idfw/group.h"

static const uint64_t seed[2] = { 1, 2 };

struct fixture {
	struct idfw_strtab strings;
	struct idfw_group_table t;
};

static void setup(struct fixture *f)
{
	idfw_strtab_init(&f->strings, seed);
	idfw_groups_init(&f->t, &f->strings);
}

static const struct idfw_group *get(struct fixture *f, const char *name, uint8_t id)
{
	char dn[] = "CN=x", none[] = "";
	struct idfw_group g = { .name = (char *)(uintptr_t)name, .dn = dn, .sid = none };
	const struct idfw_group *got;

	g.id[3] = id;
	got = idfw_group_get(&f->t, &g);
	assert_non_null(got);
	return got;
}

static bool changed(struct fixture *f, uint8_t id, uint64_t news)
{
	uint8_t bytes[16] = { [3] = id };

	return idfw_group_changed(&f->t, bytes, news);
}

static void test_get_the_same_is_one_object(void **state)
{
	struct fixture f;
	const struct idfw_group *a, *b, *other;

	(void)state;
	setup(&f);
	a = get(&f, "eng", 1);
	b = get(&f, "eng", 1);
	other = get(&f, "eng", 2);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, other);
	assert_string_equal(a->name, "eng");
	assert_int_equal(idfw_groups_count(&f.t), 2);
	idfw_group_put(&f.t, a);
	assert_string_equal(b->dn, "CN=x");
	idfw_group_put(&f.t, b);
	idfw_group_put(&f.t, other);
	idfw_group_put(&f.t, NULL);
	assert_int_equal(idfw_groups_count(&f.t), 0);
	assert_int_equal(f.strings.n, 0);
	idfw_strtab_fini(&f.strings);
}

static void test_changed_reaches_every_name_of_an_id(void **state)
{
	struct fixture f;
	const struct idfw_group *old, *now, *other, *none;

	(void)state;
	setup(&f);
	old = get(&f, "eng", 1);
	now = get(&f, "engineering", 1);
	other = get(&f, "ops", 2);
	none = get(&f, "no-id", 0);
	assert_ptr_not_equal(old, now);
	assert_true(changed(&f, 1, 7));
	assert_int_equal(idfw_group_news(old), 7);
	assert_int_equal(idfw_group_news(now), 7);
	assert_int_equal(idfw_group_news(other), 0);
	assert_int_equal(idfw_group_news(none), 0);
	idfw_group_put(&f.t, old);
	assert_true(changed(&f, 1, 8));
	assert_int_equal(idfw_group_news(now), 8);
	idfw_group_put(&f.t, now);
	idfw_group_put(&f.t, other);
	idfw_group_put(&f.t, none);
	idfw_strtab_fini(&f.strings);
}

/* an answer that was on its way must not look newer than a report about a group in it */
static void test_changed_unknown_id_is_never_forgotten(void **state)
{
	struct fixture f;
	const struct idfw_group *g;

	(void)state;
	setup(&f);
	assert_false(changed(&f, 1, 5));
	g = get(&f, "eng", 1);
	assert_true(idfw_group_news(g) >= 5);
	assert_true(changed(&f, 1, 9));
	idfw_group_put(&f.t, g); /* nobody is in it any more */
	g = get(&f, "eng", 1);
	assert_true(idfw_group_news(g) >= 9);
	idfw_group_put(&f.t, g);
	idfw_strtab_fini(&f.strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_the_same_is_one_object),
		cmocka_unit_test(test_changed_reaches_every_name_of_an_id),
		cmocka_unit_test(test_changed_unknown_id_is_never_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
