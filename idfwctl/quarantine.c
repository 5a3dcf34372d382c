/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quarantine.c - what was taken away: list, restore, purge (svm-scan asks the VMs' agents)
 */
#include "idfwctl/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "idfwctl/show.h"

#define LIMIT 1000 /* rows, as for the other lists */

struct list {
	const struct ctl_cli *cli;
	uint64_t since, until, limit;
	json_t **rows; /* owned */
	size_t n, cap;
	struct gi_buf silent; /* VMs that did not answer, a line each */
};

static const char *const heads[] = { "VM", "ID", "SINCE", "#SIZE", "USER", "SIGNATURE", "PATH" };

static void row_print(struct ctl_table *t, const json_t *row)
{
	const char *user = ctl_row_text(row, "user");
	char when[CTL_TIME_STRLEN];

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "id"));
	ctl_table_add(t, CTL_PLAIN, ctl_time_format(ctl_row_number(row, "time_ms"), when));
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, "size"));
	if (user[0])
		ctl_table_add(t, CTL_PLAIN, user);
	else if (ctl_row_number(row, "actor_uid") == UINT32_MAX)
		ctl_table_add(t, CTL_PLAIN, "unknown");
	else
		ctl_table_addf(t, CTL_PLAIN, "uid %" PRIu64, ctl_row_number(row, "actor_uid"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "signature"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "path"));
}

static void silent_add(struct list *l, const json_t *row)
{
	const char *error = ctl_row_text(row, "error"), *vm = ctl_row_text(row, "vm");
	bool named = strncmp(error, vm, strlen(vm)) == 0; /* svm-scan's words may begin with it */

	gi_buf_printf(&l->silent, "%s%s%s%s", l->silent.len ? "\n" : "", named ? "" : vm,
		named ? "" : ": ", error);
}

/* the agents tell the oldest first, VM by VM: what to show is known at the end */
static int list_row(void *arg, const char *json)
{
	struct list *l = arg;
	json_t *row = json_loads(json, JSON_DECODE_ANY, NULL);
	uint64_t ms = ctl_row_number(row, "time_ms");
	size_t cap = l->cap ? 2 * l->cap : 256;
	json_t **rows;
	int err = json_is_object(row) ? 0 : -GI_EPROTO;

	if (err == 0 && ctl_row_text(row, "error")[0]) {
		silent_add(l, row);
		err = l->cli->json ? ctl_sink_row_raw(NULL, json) : 0;
	} else if (err == 0 && ms >= l->since && ms <= l->until) {
		rows = l->n < l->cap ? l->rows : reallocarray(l->rows, cap, sizeof(json_t *));
		if (!rows) {
			json_decref(row);
			return -ENOMEM;
		}
		l->cap = l->n < l->cap ? l->cap : cap;
		l->rows = rows;
		l->rows[l->n++] = row;
		return 0;
	}
	json_decref(row);
	return err;
}

static int newest_first(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	uint64_t p = ctl_row_number(*x, "time_ms"), q = ctl_row_number(*y, "time_ms");

	if (p != q)
		return p < q ? 1 : -1;
	return strcmp(ctl_row_text(*x, "id"), ctl_row_text(*y, "id"));
}

static int list_print(struct list *l)
{
	size_t n = l->n < l->limit ? l->n : (size_t)l->limit;
	struct ctl_table t;
	int err = 0;

	if (l->n)
		qsort(l->rows, l->n, sizeof(l->rows[0]), newest_first);
	ctl_table_init(&t, heads, GI_ARRAY_SIZE(heads));
	for (size_t i = 0; err == 0 && i < n; i++) {
		if (l->cli->json)
			err = ctl_put_json(json_incref(l->rows[i]));
		else
			row_print(&t, l->rows[i]);
	}
	if (err == 0)
		err = ctl_table_print(&t, l->cli->color, stdout);
	ctl_table_fini(&t);
	return err;
}

static int list_options(struct list *l)
{
	return ctl_time_option(l->cli, "since", &l->since) &&
			       ctl_time_option(l->cli, "until", &l->until) &&
			       ctl_limit_option(l->cli, &l->limit)
		       ? 0
		       : CTL_EXIT_USAGE;
}

static void list_fini(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_decref(l->rows[i]);
	free(l->rows);
	gi_buf_fini(&l->silent);
}

static int text_ignored(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

int ctl_run_quarantine_list(struct ctl_cli *cli)
{
	struct ctl_request rq = {
		.verb = "quarantine-list", .args = cli->pos, .n_args = cli->n_pos
	};
	struct list l = { .cli = cli, .until = UINT64_MAX, .limit = LIMIT };
	struct ctl_sink sink = { list_row, text_ignored, &l };
	char why[CTL_WHY_MAX], more[80];
	int rc = list_options(&l);

	if (rc)
		return rc;
	gi_buf_init(&l.silent, 1u << 20);
	rc = ctl_ask(cli, &rq, &sink, why);
	if (list_print(&l) != 0) {
		ctl_complain("not all of the answer can be shown: out of memory");
		rc = CTL_EXIT_SILENT;
	}
	if (l.n > l.limit) {
		(void)snprintf(more, sizeof(more), "%zu older not shown, see --limit",
			l.n - (size_t)l.limit);
		ctl_complain(more);
	}
	if (rc == CTL_EXIT_OK && l.n == 0) {
		ctl_complain("nothing of that time is in quarantine");
		rc = CTL_EXIT_NO;
	}
	ctl_complain(gi_buf_str(&l.silent));
	ctl_complain(why);
	list_fini(&l);
	return rc;
}

static int restore_row(void *arg, json_t *row)
{
	(void)arg;
	ctl_putf("%s is restored\n", ctl_row_text(row, "path"));
	return 0;
}

int ctl_run_quarantine_restore(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	int rc = ctl_ask_rows(
		cli, "quarantine-restore", cli->pos, cli->n_pos, restore_row, NULL, NULL, why);

	ctl_complain(why);
	return rc;
}

static int purge_row(void *arg, json_t *row)
{
	(void)arg;
	ctl_putf("%" PRIu64 " deleted\n", ctl_row_number(row, "purged"));
	return 0;
}

int ctl_run_quarantine_purge(struct ctl_cli *cli)
{
	bool all = ctl_args_option(cli, "all");
	const char *args[2] = { cli->pos[0], all ? "all" : cli->pos[1] };
	char why[CTL_WHY_MAX];
	int rc;

	/* "all" is a word of the protocol: it is not said by accident */
	if (all == (cli->n_pos == 2) || (!all && strcmp(args[1], "all") == 0)) {
		fprintf(stderr,
			"idfwctl: \"quarantine purge\" needs the ID of a file, or --all; \"idfwctl "
			"quarantine list\" shows them\n");
		return CTL_EXIT_USAGE;
	}
	rc = ctl_ask_rows(cli, "quarantine-purge", args, 2, purge_row, NULL, NULL, why);
	ctl_complain(why);
	return rc;
}
