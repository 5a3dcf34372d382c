/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain.c - idfwctl explain: what is open to a session by its groups, and until when
 */
#include "idfwctl/run.h"

#include <inttypes.h>
#include "idfwctl/show.h"
#include "lib/base/text.h"

static const char *const heads[] = { "GROUP", "LEASE", "GOES", "OPEN UNTIL", "FOR OTHER VMS" };

static void add_until(struct ctl_table *t, const json_t *g)
{
	uint64_t ends = ctl_row_number(g, "ends_ms");
	char when[CTL_TIME_STRLEN];

	if (!ctl_row_number(g, "lease_s"))
		ctl_table_add(t, CTL_PLAIN, "for good");
	else if (!ends)
		ctl_table_add(t, CTL_GOOD, "renewed by heartbeats");
	else if (ctl_row_true(g, "ended"))
		ctl_table_addf(t, CTL_BAD, "ended by %s", ctl_time_format(ends, when));
	else
		ctl_table_addf(t, CTL_BAD, "%s at the latest", ctl_time_format(ends, when));
}

static void add_group(struct ctl_table *t, const json_t *g)
{
	const char *name = ctl_row_text(g, "group");
	uint64_t lease_s = ctl_row_number(g, "lease_s");
	char span[CTL_TIME_STRLEN];

	ctl_table_addf(t, CTL_PLAIN, "%s%s", name[0] == '_' ? "(a list in a rule)" : name,
		ctl_row_true(g, "forbids") ? " (forbids)" : "");
	if (!lease_s) {
		ctl_table_add(t, CTL_PLAIN, "none");
		ctl_table_add(t, CTL_PLAIN, "");
	} else {
		ctl_table_add(t, CTL_PLAIN, ctl_span_format(lease_s * 1000, span));
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 ".", ctl_row_number(g, "step") + 1);
	}
	add_until(t, g);
	ctl_table_add(t, ctl_row_true(g, "lost") ? CTL_BAD : CTL_PLAIN,
		ctl_row_true(g, "lost") ? "not any more" : "");
}

/* what the directory says of it, and since when nobody has asked */
static void put_account(const json_t *row)
{
	uint64_t expires = ctl_row_number(row, "expires_ms"),
		 as_of = ctl_row_number(row, "as_of_ms");
	char when[CTL_TIME_STRLEN], span[CTL_TIME_STRLEN];

	if (ctl_row_text(row, "account_in")[0])
		ctl_putf("  its account is of directory %s%s%s\n", ctl_row_text(row, "account_in"),
			ctl_row_text(row, "account_sid")[0] ? ": " : "",
			ctl_row_text(row, "account_sid"));
	if (ctl_row_text(row, "account_why")[0] && !ctl_row_true(row, "account_revoked"))
		ctl_putf("  %s; its groups are kept\n", ctl_row_text(row, "account_why"));
	if (expires)
		ctl_putf("  its account expires: %s\n", ctl_time_format(expires, when));
	if (as_of && !ctl_row_number(row, "age_s"))
		ctl_putf("  its groups are confirmed: the directory answers\n");
	else if (as_of)
		ctl_putf("  its groups as of %s, %s ago: not confirmed since\n",
			ctl_time_format(as_of, when),
			ctl_span_format(ctl_row_number(row, "age_s") * 1000, span));
}

/* what of the policy has put it into the group */
static void put_reasons(const json_t *g)
{
	const char *name = ctl_row_text(g, "group");
	struct gi_buf text;

	if (!json_array_size(json_object_get(g, "by")))
		return;
	gi_buf_init(&text, 4096);
	ctl_row_list(g, "by", &text);
	ctl_putf("%s: by %s\n", name[0] == '_' ? "(a list in a rule)" : name, gi_buf_str(&text));
	gi_buf_fini(&text);
}

static int shown(void *arg, json_t *row)
{
	const struct ctl_cli *cli = arg;
	const json_t *list = json_object_get(row, "opens"), *it;
	char when[CTL_TIME_STRLEN];
	struct ctl_table t;
	size_t i;
	int err = 0;

	ctl_putf("session %" PRIu64 " of %s, uid %" PRIu64 " on %s\n",
		ctl_row_number(row, "session"), ctl_row_text(row, "user"),
		ctl_row_number(row, "uid"), ctl_row_text(row, "vm"));
	if (ctl_row_text(row, "closed")[0])
		ctl_putf("  nothing is open to it by identity: %s\n", ctl_row_text(row, "closed"));
	put_account(row);
	if (ctl_row_number(row, "beat_ms"))
		ctl_putf("  its leases are not renewed, since %s at the latest\n",
			ctl_time_format(ctl_row_number(row, "beat_ms"), when));
	ctl_table_init(&t, heads, GI_ARRAY_SIZE(heads));
	json_array_foreach(list, i, it) add_group(&t, it);
	if (i)
		err = ctl_table_print(&t, cli->color, stdout);
	ctl_table_fini(&t);
	json_array_foreach(list, i, it) put_reasons(it);
	if (ctl_row_number(row, "more"))
		ctl_putf("and %" PRIu64 " groups more\n", ctl_row_number(row, "more"));
	list = json_object_get(row, "drains_ms");
	json_array_foreach(list, i, it)
		ctl_putf("what was taken away and still runs may finish until %s\n",
			ctl_time_format((uint64_t)json_integer_value(it), when));
	return err;
}

int ctl_run_explain(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	uint64_t session;
	int rc;

	if (gi_text_u64(cli->pos[0], 1, INT64_MAX, &session) != 0) {
		fprintf(stderr,
			"idfwctl: \"%s\" is no session number; \"idfwctl who\" shows them\n",
			cli->pos[0]);
		return CTL_EXIT_USAGE;
	}
	rc = ctl_ask_rows(cli, "explain", &cli->pos[0], 1, shown, cli, NULL, why);
	ctl_complain(why);
	return rc;
}
