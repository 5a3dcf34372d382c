/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.c - directories: status, lookup
 *
 * Rows are svm-idfw's (docs/control.md). What a directory says of its accounts and groups is text
 * of others: it is cleaned before it is shown.
 */
#include "idfwctl/dir.h"

#include <inttypes.h>
#include <string.h>
#include "idfwctl/show.h"
#include "lib/base/text.h"

/* ---- status ---- */

struct status {
	bool color;
	struct ctl_table servers;
};

static const char *const server_heads[] = { "DIRECTORY", "SERVER", "STATE", "SINCE", "TRIED AGAIN",
	"WHY" };

static void put_state(const json_t *r, bool color)
{
	bool up = strcmp(ctl_row_text(r, "state"), "up") == 0;
	enum ctl_tone tone = up ? CTL_GOOD : CTL_BAD;
	char when[CTL_TIME_STRLEN], span[CTL_TIME_STRLEN];

	ctl_putf("%s: ", ctl_row_text(r, "directory"));
	printf("%s", ctl_tone_on(tone, color));
	ctl_putf("%s", ctl_row_text(r, "state"));
	printf("%s", ctl_tone_off(tone, color));
	if (ctl_row_number(r, "since_ms"))
		printf(" since %s, for %s", ctl_time_format(ctl_row_number(r, "since_ms"), when),
			ctl_span_format(ctl_row_number(r, "since_age_ms"), span));
	putchar('\n');
}

static double real_of(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

static const char *seen_words(const char *seen)
{
	static const char *const words[][2] = {
		{ "usn", "asked for (uSNChanged)" },
		{ "syncrepl", "told by the server at once (syncrepl)" },
		{ "csn", "asked for (contextCSN)" },
		{ "blind", "not to be seen: everybody is looked up every 10 s" },
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(words); i++)
		if (strcmp(words[i][0], seen) == 0)
			return words[i][1];
	return NULL;
}

static void put_picture(const json_t *r)
{
	const char *seen = seen_words(ctl_row_text(r, "seen")),
		   *picture = ctl_row_text(r, "picture");
	char when[CTL_TIME_STRLEN], span[CTL_TIME_STRLEN];
	uint64_t total = ctl_row_number(r, "compare_total");

	if (!seen)
		return;
	ctl_putf("  seen       %s", seen);
	if (strstr(seen, "asked"))
		printf(", every %" PRIu64 " ms", ctl_row_number(r, "poll_ms"));
	printf("\n  groups     %" PRIu64 " with %" PRIu64 " memberships%s",
		ctl_row_number(r, "groups"), ctl_row_number(r, "memberships"),
		strcmp(picture, "whole") == 0 ? ""
		: strcmp(picture, "refused") == 0
			? ": the server does not list all, a change concerns all who are in a group"
			: " so far: they are being read");
	if (ctl_row_number(r, "compared_ms"))
		printf("; compared %s, in %s",
			ctl_time_format(ctl_row_number(r, "compared_ms"), when),
			ctl_dir_took(ctl_row_number(r, "compare_took_ms"), span));
	if (ctl_row_true(r, "comparing") && total)
		printf("\n  comparing  %" PRIu64 " of %" PRIu64 " groups",
			ctl_row_number(r, "compare_done"), total);
	putchar('\n');
}

static void put_directory(const json_t *r, bool color)
{
	char when[CTL_TIME_STRLEN];
	uint64_t changed = ctl_row_number(r, "changed_ms");

	put_state(r, color);
	ctl_putf("  kind       %s, domain %s\n",
		strcmp(ctl_row_text(r, "kind"), "ad") == 0 ? "Active Directory"
							   : ctl_row_text(r, "kind"),
		ctl_row_text(r, "domain")[0] ? ctl_row_text(r, "domain") : "not known");
	if (strcmp(ctl_row_text(r, "state"), "up") != 0 && ctl_row_text(r, "why")[0])
		ctl_putf("  why        %s\n", ctl_row_text(r, "why"));
	printf("  changes    %" PRIu64 " seen", ctl_row_number(r, "changes"));
	if (changed)
		printf(", the last one %s", ctl_time_format(changed, when));
	putchar('\n');
	put_picture(r);
	printf("  lookups    %" PRIu64 " answered, %" PRIu64 " failed, %" PRIu64
	       " running, %" PRIu64 " waiting\n",
		ctl_row_number(r, "lookups"), ctl_row_number(r, "failed"),
		ctl_row_number(r, "running"), ctl_row_number(r, "waiting"));
	if (ctl_row_number(r, "lookups"))
		printf("  answers    half within %.1f ms, 99 of 100 within %.1f ms\n",
			real_of(r, "p50_ms"), real_of(r, "p99_ms"));
}

static void add_server(struct ctl_table *t, const json_t *r)
{
	const char *state = ctl_row_text(r, "state");
	char when[CTL_TIME_STRLEN];

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, "directory"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, "uri"));
	ctl_table_add(t,
		strcmp(state, "answers") == 0	 ? CTL_GOOD
		: strcmp(state, "left-out") == 0 ? CTL_BAD
						 : CTL_DIM,
		strcmp(state, "left-out") == 0 ? "left out" : state);
	ctl_table_add(t, CTL_PLAIN, ctl_time_format(ctl_row_number(r, "since_ms"), when));
	ctl_table_add(t, CTL_PLAIN,
		ctl_row_number(r, "retry_ms") ? ctl_time_format(ctl_row_number(r, "retry_ms"), when)
					      : "");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, "why"));
}

static void put_cache(const json_t *r)
{
	char span[CTL_TIME_STRLEN];

	printf("cache: %" PRIu64 " accounts, %" PRIu64 " of them with sessions; %" PRIu64
	       " that no directory knows; %" PRIu64 " to be asked for again",
		ctl_row_number(r, "found"), ctl_row_number(r, "with_sessions"),
		ctl_row_number(r, "not_found"), ctl_row_number(r, "stale"));
	if (ctl_row_number(r, "oldest_ms"))
		printf("; the oldest is %s old",
			ctl_span_format(ctl_row_number(r, "oldest_age_ms"), span));
	putchar('\n');
}

static int status_row(void *arg, json_t *row)
{
	struct status *s = arg;
	const char *type = ctl_row_text(row, "type");

	if (strcmp(type, "directory") == 0)
		put_directory(row, s->color);
	else if (strcmp(type, "server") == 0)
		add_server(&s->servers, row);
	else if (strcmp(type, "cache") == 0)
		put_cache(row);
	return 0;
}

int ctl_run_dir_status(struct ctl_cli *cli)
{
	struct status s = { .color = cli->color };
	char why[CTL_WHY_MAX];
	int rc;

	ctl_table_init(&s.servers, server_heads, GI_ARRAY_SIZE(server_heads));
	rc = ctl_ask_rows(cli, "dir-status", NULL, 0, status_row, &s, NULL, why);
	if (s.servers.n_cells)
		putchar('\n');
	if (ctl_table_print(&s.servers, cli->color, stdout) != 0) {
		ctl_complain("not all of the answer can be shown: out of memory");
		rc = CTL_EXIT_SILENT;
	}
	ctl_complain(why);
	ctl_table_fini(&s.servers);
	return rc;
}

/* ---- lookup ---- */

struct lookup {
	bool color, trace;
	struct ctl_table groups;
	json_t *cycles; /* owned: rows that are shown behind the table */
};

static const char *const group_heads[] = { "GROUP", "SID", "DN" };
static const char *const trace_heads[] = { "GROUP", "KIND", "REACHED BY" };

static void put_fact(const char *what, const json_t *row, const char *key)
{
	if (ctl_row_text(row, key)[0])
		ctl_putf("  %-9s %s\n", what, ctl_row_text(row, key));
}

static void put_account(const struct lookup *l, const json_t *r)
{
	const char *status = ctl_row_text(r, "status");
	bool found = strcmp(status, "found") == 0;
	enum ctl_tone tone = found ? CTL_GOOD : CTL_BAD;
	char when[CTL_TIME_STRLEN];

	ctl_putf("%s%s%s: ", ctl_row_text(r, "asked"),
		ctl_row_text(r, "directory")[0] ? " in " : "", ctl_row_text(r, "directory"));
	printf("%s", ctl_tone_on(tone, l->color));
	ctl_putf("%s", strcmp(status, "not-found") == 0 ? "not found" : status);
	printf("%s, in %" PRIu64 " ms\n", ctl_tone_off(tone, l->color),
		ctl_row_number(r, "took_ms"));
	put_fact("account", r, "name");
	put_fact("upn", r, "upn");
	put_fact("dn", r, "dn");
	put_fact("sid", r, "sid");
	put_fact("guid", r, "guid");
	if (ctl_row_text(r, "state")[0])
		ctl_putf("  state     %s%s\n", ctl_row_text(r, "state"),
			ctl_row_true(r, "cut") ? ": its groups count for nothing" : "");
	if (ctl_row_number(r, "expires_ms"))
		ctl_putf(
			"  expires   %s\n", ctl_time_format(ctl_row_number(r, "expires_ms"), when));
	if (found)
		printf("  %-9s %" PRIu64 "\n", "groups", ctl_row_number(r, "groups"));
}

static const char *name_of(const json_t *r)
{
	return ctl_row_text(r, "name")[0] ? ctl_row_text(r, "name") : ctl_row_text(r, "sid");
}

static void add_traced(struct lookup *l, const json_t *r)
{
	const char *kind = ctl_row_text(r, "kind");
	bool counts = ctl_row_true(r, "counts");
	struct gi_buf way;

	gi_buf_init(&way, 64u << 10);
	ctl_dir_way(json_object_get(r, "path"), &way);
	ctl_table_add(&l->groups, counts ? CTL_PLAIN : CTL_DIM, name_of(r));
	ctl_table_addf(&l->groups, counts ? CTL_PLAIN : CTL_DIM, "%s%s%s",
		ctl_row_true(r, "primary") ? "primary" : kind, counts ? "" : ", not counted",
		ctl_row_true(r, "in_cycle") ? ", in a cycle" : "");
	ctl_table_add(&l->groups, CTL_PLAIN,
		way.len ? gi_buf_str(&way) : "(the server counts it; no membership to be seen)");
	gi_buf_fini(&way);
}

static void add_group(struct lookup *l, const json_t *r)
{
	if (l->trace) {
		add_traced(l, r);
		return;
	}
	ctl_table_add(&l->groups, CTL_PLAIN, ctl_row_text(r, "name"));
	ctl_table_add(&l->groups, CTL_PLAIN, ctl_row_text(r, "sid"));
	ctl_table_add(&l->groups, CTL_PLAIN, ctl_row_text(r, "dn"));
}

static void put_trace(const json_t *r)
{
	ctl_putf("traced with %" PRIu64 " requests in %" PRIu64 " ms, at %s\n",
		ctl_row_number(r, "requests"), ctl_row_number(r, "took_ms"),
		ctl_row_text(r, "server"));
}

static void put_list(const char *what, const json_t *r, const char *key, const char *count)
{
	uint64_t n = ctl_row_number(r, count);
	struct gi_buf names;

	gi_buf_init(&names, 1u << 20);
	ctl_row_list(r, key, &names);
	ctl_putf("%s%s%s\n", what, n ? gi_buf_str(&names) : "none",
		n > json_array_size(json_object_get(r, key)) ? ", ..." : "");
	gi_buf_fini(&names);
}

/* the directory gave no answer: this serves */
static void put_kept(const json_t *r)
{
	uint64_t groups = ctl_row_number(r, "groups"), sessions = ctl_row_number(r, "sessions");
	char span[CTL_TIME_STRLEN], when[CTL_TIME_STRLEN];

	printf("svm-idfw goes on with what it knew at %s (%s ago): ",
		ctl_time_format(ctl_row_number(r, "since_ms"), when),
		ctl_span_format(ctl_row_number(r, "age_ms"), span));
	if (ctl_row_true(r, "found"))
		printf("%" PRIu64 " group%s", groups, groups == 1 ? "" : "s");
	else
		printf("there is no such account");
	if (sessions)
		printf(", for %" PRIu64 " live session%s", sessions, sessions == 1 ? "" : "s");
	putchar('\n');
}

static void put_cached(const json_t *r, bool color)
{
	enum ctl_tone tone = ctl_row_true(r, "same") ? CTL_PLAIN : CTL_BAD;
	char span[CTL_TIME_STRLEN], when[CTL_TIME_STRLEN];

	if (!ctl_row_true(r, "known")) {
		printf("svm-idfw has not asked for that name yet\n");
		return;
	}
	if (json_is_null(json_object_get(r, "same"))) {
		put_kept(r);
		return;
	}
	printf("%ssvm-idfw knows %s%s, since %s (%s)", ctl_tone_on(tone, color),
		ctl_row_true(r, "same") ? "the same" : "something else", ctl_tone_off(tone, color),
		ctl_time_format(ctl_row_number(r, "since_ms"), when),
		ctl_span_format(ctl_row_number(r, "age_ms"), span));
	if (ctl_row_number(r, "sessions"))
		printf(", for %" PRIu64 " live sessions", ctl_row_number(r, "sessions"));
	printf("%s\n", ctl_row_true(r, "stale") ? "; it is to ask again" : "");
	if (ctl_row_number(r, "n_not_any_more"))
		put_list("  not in the directory any more: ", r, "not_any_more", "n_not_any_more");
	if (ctl_row_number(r, "n_not_yet"))
		put_list("  not known to svm-idfw yet: ", r, "not_yet", "n_not_yet");
}

static void groups_init(struct lookup *l)
{
	ctl_table_init(
		&l->groups, l->trace ? trace_heads : group_heads, GI_ARRAY_SIZE(group_heads));
}

/* the groups come before what follows from them */
static int print_groups(struct lookup *l)
{
	const json_t *row;
	size_t i;
	int err;

	if (!l->groups.n_cells)
		return 0;
	putchar('\n');
	err = ctl_table_print(&l->groups, l->color, stdout);
	putchar('\n');
	json_array_foreach(l->cycles, i, row) ctl_dir_put_cycle("cycle: ", row);
	(void)json_array_clear(l->cycles);
	ctl_table_fini(&l->groups);
	groups_init(l);
	return err;
}

static int lookup_row(void *arg, json_t *row)
{
	struct lookup *l = arg;
	const char *type = ctl_row_text(row, "type");
	int err = 0;

	if (strcmp(type, "group") == 0) {
		add_group(l, row);
		return 0;
	}
	if (strcmp(type, "cycle") == 0) {
		(void)json_array_append(l->cycles, row);
		return 0;
	}
	err = print_groups(l);
	if (strcmp(type, "account") == 0)
		put_account(l, row);
	else if (strcmp(type, "policy") == 0)
		put_list("policy groups: ", row, "groups", "n");
	else if (strcmp(type, "trace") == 0)
		put_trace(row);
	else if (strcmp(type, "cached") == 0)
		put_cached(row, l->color);
	return err;
}

int ctl_run_dir_lookup(struct ctl_cli *cli)
{
	const char *vm = ctl_args_option(cli, "vm"), *args[3] = { cli->pos[0] };
	char vm_arg[GI_NAME_MAX + 4];
	size_t n = 1;
	struct lookup l = { .color = cli->color,
		.trace = ctl_args_option(cli, "trace") != NULL,
		.cycles = json_array() };
	char why[CTL_WHY_MAX];
	int rc;

	if (l.trace)
		args[n++] = "trace";
	if (vm && snprintf(vm_arg, sizeof(vm_arg), "vm=%s", vm) >= (int)sizeof(vm_arg)) {
		fprintf(stderr, "idfwctl: --vm is no name of a VM\n");
		json_decref(l.cycles);
		return CTL_EXIT_USAGE;
	}
	if (vm)
		args[n++] = vm_arg;
	groups_init(&l);
	rc = ctl_ask_rows(cli, "dir-lookup", args, n, lookup_row, &l, NULL, why);
	if (print_groups(&l) != 0)
		rc = CTL_EXIT_SILENT;
	ctl_complain(why);
	ctl_table_fini(&l.groups);
	json_decref(l.cycles);
	return rc;
}
