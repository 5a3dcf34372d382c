/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_policy.c - policy texts: parsed, shown as JSON, compiled for two VMs, rendered
 *
 * Any bytes give a policy or diagnostics. What compiles must satisfy fw_ruleset_check(), which
 * guards the privileged side, must render, and must come out the same twice.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

#define TEXT_MAX (256u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(struct pol_compiled *c, struct gi_buf *out)
{
	struct gi_buf commit;
	struct fw_state *s;

	if (fw_state_new(&s) != 0)
		return;
	fw_state_set_ruleset(s, c->ruleset);
	c->ruleset = NULL;
	gi_buf_init(&commit, TEXT_MAX);
	if (fw_render(s, out, &commit) == 0)
		gi_buf_append(out, gi_buf_str(&commit), commit.len);
	else if (gi_buf_error(out) == 0 && gi_buf_error(&commit) == 0)
		gi_buf_reset(out); /* a limit of the kernel's: allowed */
	gi_buf_fini(&commit);
	fw_state_free(s);
}

static void compile(const struct pol_policy *p, const struct pol_vm *vm, struct gi_buf *out)
{
	struct pol_compiled *c;
	const char *why;

	if (pol_compile(p, vm, 1, &c) != 0)
		return;
	if (fw_ruleset_check(c->ruleset, &why) != 0)
		abort();
	render(c, out);
	pol_compiled_free(c);
}

static bool has_any(const struct pol_set *s)
{
	for (size_t g = 0; g < s->n; g++) {
		if (pol_set_has(s, g))
			return true;
	}
	return false;
}

/* what the policy says is in bounds, and what it lists can be looked up */
static void sessions(const struct pol_policy *p, const struct pol_set *member_of)
{
	enum fw_revoke mode;
	const char *rule;
	uint32_t drain_s;
	struct pol_set s;

	for (size_t g = 0; g < pol_group_count(p); g++) {
		if (pol_group_lease_s(p, g) < POL_LEASE_MIN_S ||
			pol_group_lease_s(p, g) > POL_LEASE_MAX_S)
			abort();
	}
	pol_on_revoke(p, &mode, &drain_s);
	if (drain_s > POL_DRAIN_MAX_S || (drain_s && mode != FW_REVOKE_DROP))
		abort();
	/* who is in no group is let in by whatever lets in those whom nobody knows */
	if (pol_login_allowed(p, "db01", NULL, &rule) && rule &&
		!pol_login_allowed(p, "db01", member_of, &rule))
		abort();
	for (size_t i = 0; i < pol_unit_count(p); i++) {
		if (pol_groups_of_unit(p, pol_unit_name(p, i), &s) != 0)
			return;
		if (!has_any(&s))
			abort();
		pol_set_fini(&s);
	}
	for (size_t i = 0; i < pol_uid_count(p); i++) {
		if (pol_groups_of_uid(p, pol_uid(p, i), &s) != 0)
			return;
		if (!has_any(&s))
			abort();
		pol_set_fini(&s);
	}
}

static bool known(const void *arg, const char *domain)
{
	(void)arg;
	return domain[0] == 'x';
}

static bool has(const void *arg, const char *label, const char *dn, const char *domain)
{
	(void)dn;
	return known(arg, domain) && label[0] == 'x';
}

static void use(const struct pol_policy *p)
{
	static const struct pol_domains domains = { known, has, NULL };
	static const struct pol_dirgroup group = { "eng", "CN=eng,DC=x", "S-1-5-21-1-2-3-512",
		"x" };
	static const struct pol_principal who = { "alice", "alice@x", "S-1-5-1-1", NULL, &group, 1,
		"x", &domains };
	struct gi_addr addrs[2];
	struct pol_vm vms[2] = { { "db01", addrs, 2 }, { "x", NULL, 0 } };
	struct conf_diags diags;
	struct gi_buf out, again;
	struct pol_set set;

	if (gi_addr_parse("10.77.3.10", &addrs[0]) || gi_addr_parse("fd77:3::10", &addrs[1]))
		abort();
	gi_buf_init(&out, TEXT_MAX);
	gi_buf_init(&again, TEXT_MAX);
	if (pol_to_json(p, &out) != 0)
		abort();
	for (size_t i = 0; i < 2; i++) {
		gi_buf_reset(&out);
		gi_buf_reset(&again);
		compile(p, &vms[i], &out);
		compile(p, &vms[i], &again);
		if (out.len != again.len ||
			memcmp(gi_buf_str(&out), gi_buf_str(&again), out.len) != 0)
			abort();
	}
	conf_diags_init(&diags, "fuzz", "", 0);
	if (pol_domains_check(p, &domains, &diags) != diags.n_errors && diags.n < CONF_DIAG_MAX)
		abort();
	conf_diags_fini(&diags);
	if (pol_groups_of_principal(p, &who, &set) == 0) {
		sessions(p, &set);
		pol_set_fini(&set);
	}
	gi_buf_fini(&out);
	gi_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pol_policy *p = NULL;
	struct conf_diags diags;
	struct gi_buf out;

	conf_diags_init(&diags, "fuzz", (const char *)data, size);
	if (pol_parse((const char *)data, size, &diags, &p) == 0)
		use(p);
	else if (diags.n_errors == 0 && size <= (4u << 20))
		abort();
	gi_buf_init(&out, TEXT_MAX);
	conf_diags_render(&diags, &out);
	gi_buf_fini(&out);
	conf_diags_fini(&diags);
	pol_free(p);
	return 0;
}
