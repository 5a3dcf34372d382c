/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h - a policy from a text, for the unit tests of policy/
 */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include "policy/tree.h"

/* the checked policy; fails the test, with the diagnostics, when the text has errors */
struct pol_policy *fx_policy(const char *text);
/* the diagnostics of a text that must have errors (@errors) or may have warnings only */
void fx_diags(const char *text, size_t len, bool errors, struct gi_buf *ret);
/* index of a group by name; fails the test when there is none */
size_t fx_group(const struct pol_policy *p, const char *name);

#endif
