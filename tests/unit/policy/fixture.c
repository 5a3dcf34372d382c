/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.c - a policy from a text, for the unit tests of policy/
 */
#include "tests/unit/policy/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct pol_policy *fx_policy(const char *text)
{
	struct pol_policy *p = NULL;
	struct conf_diags diags;
	struct gi_buf out;

	conf_diags_init(&diags, "test", text, strlen(text));
	gi_buf_init(&out, 1 << 20);
	if (pol_parse(text, strlen(text), &diags, &p) != 0) {
		conf_diags_render(&diags, &out);
		fail_msg("%s", gi_buf_str(&out));
	}
	conf_diags_fini(&diags);
	gi_buf_fini(&out);
	return p;
}

void fx_diags(const char *text, size_t len, bool errors, struct gi_buf *ret)
{
	struct pol_policy *p = NULL;
	struct conf_diags diags;

	conf_diags_init(&diags, "test", text, len);
	assert_int_equal(pol_parse(text, len, &diags, &p), errors ? -GI_ESYNTAX : 0);
	assert_int_equal(errors, p == NULL);
	gi_buf_init(ret, 1 << 20);
	conf_diags_render(&diags, ret);
	conf_diags_fini(&diags);
	pol_free(p);
}

size_t fx_group(const struct pol_policy *p, const char *name)
{
	for (size_t i = 0; i < pol_group_count(p); i++) {
		if (strcmp(pol_group_name(p, i), name) == 0)
			return i;
	}
	fail_msg("no group %s", name);
	return 0;
}
