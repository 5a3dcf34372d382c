/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_json.c - the JSON form says all that the text says
 *
 * Text is written anew from the JSON and parsed again: the two JSON forms must be equal.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy/fixture.h"

static const char text[] =
	"default in reject; default out allow;\n"
	"on-loss hold 2h; on-revoke drain 90s; on-stale hold 3h;\n"
	"group st { on-stale hold; user \"alice\"; } group su { on-stale hold 9m; user \"bob\"; }\n"
	"group svc { on-loss close; unit \"nginx.service\", \"/a b\\\\x\"; uid 33, 4294967294; }\n"
	"group eng { directory \"eng\\\"\\\\x\"; user alice; vm db01; address 10.0.0.0/8, ::1; }\n"
	"group all { group eng; directory-sid \"S-1-5-32-544\"; directory-dn \"CN=a,DC=b\"; }\n"
	"service s { tcp 1, 2-3; udp any; icmp 8, 77; icmpv6 any; proto 50; }\n"
	"logins l allow eng, user carol on vm db01, all; logins k allow any on vm y;\n"
	"logins j allow directory ops on any;\n"
	"section application { rule b disabled drop from any to all, 10.0.0.1, vm x; }\n"
	"section infrastructure { rule a allow from eng, svc, uid 9, unit \"x.scope\", user "
	"\"bob\" to any\n"
	"	service s, dns, tcp 5-6, icmp echo-request log; }\n";

static json_t *json_of(const char *policy)
{
	struct pol_policy *p = fx_policy(policy);
	struct gi_buf out;
	json_t *o;

	gi_buf_init(&out, 1 << 20);
	assert_int_equal(pol_to_json(p, &out), 0);
	o = json_loadb(gi_buf_str(&out), out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	gi_buf_fini(&out);
	pol_free(p);
	return o;
}

/* {"kind": "value"} as "kind value" */
static void member_text(json_t *member, bool bare_group, struct gi_buf *out)
{
	const char *kind = json_object_iter_key(json_object_iter(member));
	json_t *value = json_object_get(member, kind);

	assert_int_equal(json_object_size(member), 1);
	if (json_is_integer(value)) {
		gi_buf_printf(out, "%s %" JSON_INTEGER_FORMAT, kind,
			(json_int_t)json_integer_value(value));
		return;
	}
	if (!bare_group || (strcmp(kind, "group") != 0 && strcmp(kind, "address") != 0))
		gi_buf_printf(out, "%s ", kind);
	if (strcmp(kind, "user") != 0 && strcmp(kind, "unit") != 0 &&
		strncmp(kind, "directory", 9) != 0) {
		gi_buf_printf(out, "%s", json_string_value(value));
		return;
	}
	gi_buf_printf(out, "\"");
	for (const char *c = json_string_value(value); *c; c++)
		gi_buf_printf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
	gi_buf_printf(out, "\"");
}

static void list_text(json_t *list, struct gi_buf *out)
{
	json_t *it;
	size_t i;

	if (json_is_string(list))
		gi_buf_printf(out, "%s", json_string_value(list));
	json_array_foreach(list, i, it)
	{
		gi_buf_printf(out, "%s", i ? ", " : "");
		if (json_is_string(it))
			gi_buf_printf(out, "%s", json_string_value(it));
		else
			member_text(it, true, out);
	}
}

/* on-stale hold [TIME]; nothing when it is not there */
static void stale_text(json_t *stale, struct gi_buf *out)
{
	json_t *hold = json_object_get(stale, "hold");

	if (hold)
		gi_buf_printf(out, "on-stale hold %ds; ", (int)json_integer_value(hold));
	else if (stale)
		gi_buf_printf(out, "on-stale %s; ", json_string_value(stale));
}

static void block_text(json_t *list, const char *word, const char *key, struct gi_buf *out)
{
	json_t *it, *member;
	size_t i, k;

	json_array_foreach(list, i, it)
	{
		json_t *hold = json_object_get(json_object_get(it, "on-loss"), "hold");

		gi_buf_printf(
			out, "%s %s { ", word, json_string_value(json_object_get(it, "name")));
		if (hold)
			gi_buf_printf(out, "on-loss hold %ds; ", (int)json_integer_value(hold));
		stale_text(json_object_get(it, "on-stale"), out);
		json_array_foreach(json_object_get(it, key), k, member)
		{
			member_text(member, false, out);
			gi_buf_printf(out, "; ");
		}
		gi_buf_printf(out, "}\n");
	}
}

static void rule_text(json_t *r, struct gi_buf *out)
{
	gi_buf_printf(out, "rule %s %s%s from ", json_string_value(json_object_get(r, "name")),
		json_is_true(json_object_get(r, "enabled")) ? "" : "disabled ",
		json_string_value(json_object_get(r, "action")));
	list_text(json_object_get(r, "from"), out);
	gi_buf_printf(out, " to ");
	list_text(json_object_get(r, "to"), out);
	gi_buf_printf(out, " service ");
	list_text(json_object_get(r, "service"), out);
	gi_buf_printf(out, "%s;\n", json_is_true(json_object_get(r, "log")) ? " log" : "");
}

static void sessions_text(json_t *o, struct gi_buf *out)
{
	json_t *revoke = json_object_get(o, "on-revoke"), *l;
	json_t *hold = json_object_get(json_object_get(o, "on-loss"), "hold");
	json_t *drain = json_object_get(revoke, "drain");
	size_t i;

	gi_buf_printf(out, "on-loss hold %ds;\n", (int)json_integer_value(hold));
	stale_text(json_object_get(o, "on-stale"), out);
	if (drain)
		gi_buf_printf(out, "on-revoke drain %ds;\n", (int)json_integer_value(drain));
	else
		gi_buf_printf(out, "on-revoke %s;\n", json_string_value(revoke));
	json_array_foreach(json_object_get(o, "logins"), i, l)
	{
		gi_buf_printf(
			out, "logins %s allow ", json_string_value(json_object_get(l, "name")));
		list_text(json_object_get(l, "allow"), out);
		gi_buf_printf(out, " on ");
		list_text(json_object_get(l, "on"), out);
		gi_buf_printf(out, ";\n");
	}
}

static void policy_text(json_t *o, struct gi_buf *out)
{
	json_t *d = json_object_get(o, "default"), *s, *r;
	size_t i, k;

	gi_buf_printf(out, "default in %s; default out %s;\n",
		json_string_value(json_object_get(d, "in")),
		json_string_value(json_object_get(d, "out")));
	sessions_text(o, out);
	block_text(json_object_get(o, "groups"), "group", "members", out);
	block_text(json_object_get(o, "services"), "service", "items", out);
	json_array_foreach(json_object_get(o, "sections"), i, s)
	{
		gi_buf_printf(out, "section %s {\n", json_string_value(json_object_get(s, "name")));
		json_array_foreach(json_object_get(s, "rules"), k, r) rule_text(r, out);
		gi_buf_printf(out, "}\n");
	}
}

static void test_pol_to_json_loses_nothing(void **state)
{
	json_t *first = json_of(text), *second;
	struct gi_buf again;

	(void)state;
	gi_buf_init(&again, 1 << 20);
	policy_text(first, &again);
	assert_int_equal(gi_buf_error(&again), 0);
	second = json_of(gi_buf_str(&again));
	if (!json_equal(first, second))
		fail_msg("not the same policy:\n%s", gi_buf_str(&again));
	assert_int_equal(json_array_size(json_object_get(first, "groups")), 5);
	assert_int_equal(json_array_size(json_object_get(first, "logins")), 3);
	assert_int_equal(json_array_size(json_object_get(first, "sections")), 4);
	gi_buf_fini(&again);
	json_decref(first);
	json_decref(second);
}

static void test_pol_to_json_full_buffer_is_an_error(void **state)
{
	struct pol_policy *p = fx_policy(text);
	struct gi_buf out;

	(void)state;
	gi_buf_init(&out, 100);
	assert_int_equal(pol_to_json(p, &out), -GI_ELIMIT);
	gi_buf_fini(&out);
	pol_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pol_to_json_loses_nothing),
		cmocka_unit_test(test_pol_to_json_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
