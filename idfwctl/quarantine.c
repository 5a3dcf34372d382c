/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quarantine.c - what was taken away: list, restore, purge (svm-scan asks the VMs' agents)
 */
#include "idfwctl/run.h"

#include <inttypes.h>
#include <string.h>
#include "idfwctl/show.h"

struct list {
	struct ctl_table table;
	struct gi_buf silent; /* VMs that did not answer, a line each */
};

static const char *const heads[] = { "VM", "ID", "SINCE", "#SIZE", "USER", "SIGNATURE", "PATH" };

static int list_row(void *arg, json_t *row)
{
	const char *user = ctl_row_text(row, "user"), *error = ctl_row_text(row, "error"),
		   *vm = ctl_row_text(row, "vm");
	struct list *l = arg;
	char when[CTL_TIME_STRLEN];

	if (error[0]) {
		/* svm-scan's words may begin with the VM's name already */
		gi_buf_printf(&l->silent, "%s%s%s%s", l->silent.len ? "\n" : "",
			strncmp(error, vm, strlen(vm)) == 0 ? "" : vm,
			strncmp(error, vm, strlen(vm)) == 0 ? "" : ": ", error);
		return 0;
	}
	ctl_table_add(&l->table, CTL_PLAIN, vm);
	ctl_table_add(&l->table, CTL_PLAIN, ctl_row_text(row, "id"));
	ctl_table_add(&l->table, CTL_PLAIN, ctl_time_format(ctl_row_number(row, "time_ms"), when));
	ctl_table_addf(&l->table, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, "size"));
	if (user[0])
		ctl_table_add(&l->table, CTL_PLAIN, user);
	else
		ctl_table_addf(
			&l->table, CTL_PLAIN, "uid %" PRIu64, ctl_row_number(row, "actor_uid"));
	ctl_table_add(&l->table, CTL_PLAIN, ctl_row_text(row, "signature"));
	ctl_table_add(&l->table, CTL_PLAIN, ctl_row_text(row, "path"));
	return 0;
}

int ctl_run_quarantine_list(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	struct list l;
	int rc;

	ctl_table_init(&l.table, heads, GI_ARRAY_SIZE(heads));
	gi_buf_init(&l.silent, 1u << 20);
	rc = ctl_ask_rows(cli, "quarantine-list", cli->pos, cli->n_pos, list_row, &l, NULL, why);
	if (ctl_table_print(&l.table, cli->color, stdout) != 0) {
		ctl_complain("not all of the answer can be shown: out of memory");
		rc = CTL_EXIT_SILENT;
	}
	ctl_complain(gi_buf_str(&l.silent));
	ctl_complain(why);
	ctl_table_fini(&l.table);
	gi_buf_fini(&l.silent);
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
