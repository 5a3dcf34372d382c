/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base.c - the base ruleset into the kernel, and our table out of it
 *
 * Runs as root for a moment: before the network comes up (gi-netagent-base.service), and when the
 * package is removed. Needs no other process, no network, no state: the configuration alone. Fails
 * closed where it can: a mistake in the configuration loads the built-in base. Whoever comes second
 * leaves alone what is there: the base never replaces a ruleset.
 * Source: docs/adr/0016.
 */
#include "netagent/base.h"

#include <inttypes.h>
#include <stdio.h>

#include "fw/push.h"
#include "lib/base/log.h"
#include "netagent/baserules.h"

#define TEXT_MAX (1u << 20)
#define EXIT_CONFIG 78
#define FLOW_MARKS_MAX 4096

static int print_state(const struct fw_state *s)
{
	struct gi_buf prepare, commit;
	int rc;

	gi_buf_init(&prepare, TEXT_MAX);
	gi_buf_init(&commit, TEXT_MAX);
	rc = fw_render(s, &prepare, &commit);
	if (rc < 0)
		gi_err("base ruleset: %s", gi_strerror(rc));
	else if (printf("%s# ---- second transaction ----\n%s", gi_buf_str(&prepare),
			 gi_buf_str(&commit)) < 0 ||
		 fflush(stdout) != 0)
		rc = -EIO;
	gi_buf_fini(&prepare);
	gi_buf_fini(&commit);
	return rc < 0 ? 1 : 0;
}

/*
 * Flows of before: of a table that was removed, or of a base with other settings. Their marks lead
 * to the base's, so that they are judged by it; at boot there are none. Beyond the limit they are
 * cut when they are not judged as new.
 */
static int adopt_flows(struct fw_state *s)
{
	struct fw_elem base = fw_elem_base(4, 0);
	uint32_t marks[FLOW_MARKS_MAX];
	size_t n = 0;
	int rc = fw_push_flow_marks(marks, FLOW_MARKS_MAX, &n);

	if (rc < 0) { /* a kernel without connection tracking by netlink; the base is worth more */
		gi_warn("marks of running flows are not known: %s", gi_strerror(rc));
		return 0;
	}
	if (!fw_state_get(s, &base.key, &base.mark))
		return -EINVAL;
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct fw_op op = { .elem = fw_elem_remark(marks[i], base.mark) };

		if (marks[i] != base.mark)
			rc = fw_state_apply(s, &op);
	}
	return rc;
}

/* takes @s on success */
static int load(struct fw_state *s, const char *what, bool owner_wanted)
{
	struct fw_push *p = NULL;
	uint32_t owner = 0;
	char why[256] = "";
	bool runs = false;
	int rc = fw_push_new(-1, owner_wanted, &p, why);

	if (rc == 0)
		rc = fw_push_standing(p, &runs, &owner);
	if (rc == 0 && (runs || owner)) {
		gi_notice("a ruleset of idfw is there already%s: it is left alone",
			owner ? ", and held by a process" : "");
		fw_state_free(s);
		fw_push_free(p);
		return 0;
	}
	if (rc == 0)
		rc = adopt_flows(s);
	if (rc == 0)
		rc = fw_push_ruleset(p, s, why);
	if (rc == 0)
		gi_notice("the base ruleset (%s) is loaded, until the service VM sends another",
			what);
	else
		gi_err("THE BASE RULESET IS NOT LOADED, this machine is as open as its other "
		       "rules leave it: %s",
			why[0] ? why : gi_strerror(rc));
	fw_push_free(p);
	return rc;
}

int na_base_run(const struct na_conf *c, bool print)
{
	struct fw_state *s = NULL;
	int rc = na_base_state(c, &s);

	if (rc < 0) {
		gi_err("base ruleset: %s", gi_strerror(rc));
		return 1;
	}
	if (print) {
		rc = print_state(s);
		fw_state_free(s);
		return rc;
	}
	rc = load(s, c->base, na_conf_owner(c));
	if (rc < 0)
		fw_state_free(s);
	return rc < 0 ? 1 : 0;
}

int na_base_run_default(bool print)
{
	struct na_conf c = { 0 };
	struct conf_diags diags;

	gi_err("the configuration cannot be used: the built-in base (closed, ssh may come in) "
	       "stands in for it");
	conf_diags_init(&diags, "built-in", "", 0);
	if (conf_parse(&na_conf_table, "", 0, &diags, &c) < 0)
		gi_err("THE BASE RULESET IS NOT LOADED: out of memory");
	else
		(void)na_base_run(&c, print);
	conf_diags_fini(&diags);
	conf_free(&na_conf_table, &c);
	return EXIT_CONFIG;
}

int na_base_remove(void)
{
	struct fw_push *p = NULL;
	uint32_t owner = 0;
	char why[256] = "";
	int rc = fw_push_new(-1, false, &p, why);

	if (rc == 0)
		rc = fw_push_remove(p, &owner);
	if (rc == 0)
		gi_notice("the table inet " FW_TABLE " is removed");
	else if (rc == -ENOENT)
		gi_notice("there is no table inet " FW_TABLE);
	else if (rc == -EBUSY)
		gi_err("the table inet " FW_TABLE " is held by a running process (netlink port "
		       "%" PRIu32 "): stop gi-netagent first",
			owner);
	else
		gi_err("the table inet " FW_TABLE " cannot be removed: %s",
			why[0] ? why : gi_strerror(rc));
	fw_push_free(p);
	return rc == 0 || rc == -ENOENT ? 0 : 1;
}
