/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircollide.c - idfwctl dir collisions: names that are more than one account or group
 *
 * One line a place; the first of a name is the one that has it, where only one can. Rows are
 * svm-idfw's (docs/control.md).
 */
#include "idfwctl/run.h"

#include <string.h>
#include "idfwctl/show.h"

static const char *const heads[] = { "WHAT", "NAME", "DIRECTORY", "ACCOUNT OR GROUP", "SEEN" };

static int collision_row(void *arg, json_t *row)
{
	const json_t *at = json_object_get(row, "at"), *place;
	struct ctl_table *t = arg;
	char when[CTL_TIME_STRLEN];
	size_t i;

	json_array_foreach(at, i, place)
	{
		ctl_table_add(t, CTL_PLAIN, i ? "" : ctl_row_text(row, "what"));
		ctl_table_add(t, CTL_PLAIN, i ? "" : ctl_row_text(row, "name"));
		ctl_table_add(t, CTL_PLAIN, ctl_row_text(place, "directory"));
		ctl_table_add(t, CTL_PLAIN, ctl_row_text(place, "id"));
		ctl_table_add(t, CTL_PLAIN,
			i ? "" : ctl_time_format(ctl_row_number(row, "seen_ms"), when));
	}
	return 0;
}

int ctl_run_dir_collisions(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	struct ctl_table t;
	int rc;

	ctl_table_init(&t, heads, GI_ARRAY_SIZE(heads));
	rc = ctl_ask_rows(cli, "dir-collisions", NULL, 0, collision_row, &t, NULL, why);
	if (t.n_cells && ctl_table_print(&t, cli->color, stdout) != 0)
		rc = CTL_EXIT_SILENT;
	else if (rc == 0 && !t.n_cells && !cli->json)
		printf("no name is more than one account or group\n");
	ctl_complain(why);
	ctl_table_fini(&t);
	return rc;
}
