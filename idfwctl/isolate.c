/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isolate.c - isolate and release: whose network svm-idfw takes away, or gives back
 */
#include "idfwctl/run.h"

#include <string.h>
#include "idfwctl/show.h"
#include "lib/base/text.h"

#define ARG_MAX 256

/* "17", or "vm=web01"; false: said why */
static bool whom(const struct ctl_cli *cli, char arg[ARG_MAX])
{
	const char *vm = ctl_args_option(cli, "vm");
	uint64_t session;

	if ((vm != NULL) == (cli->n_pos == 1)) {
		fprintf(stderr, "idfwctl: \"%s\" needs a session or --vm VM; see idfwctl --help\n",
			cli->verb->name);
		return false;
	}
	if (!vm && gi_text_u64(cli->pos[0], 1, INT64_MAX, &session) != 0) {
		fprintf(stderr,
			"idfwctl: \"%s\" is no session number; \"idfwctl who\" shows them\n",
			cli->pos[0]);
		return false;
	}
	if (snprintf(arg, ARG_MAX, "%s%s", vm ? "vm=" : "", vm ? vm : cli->pos[0]) >= ARG_MAX) {
		fprintf(stderr, "idfwctl: the VM's name is too long\n");
		return false;
	}
	return true;
}

static void shown(const json_t *row, const char *what)
{
	if (strcmp(ctl_row_text(row, "what"), "vm") == 0)
		ctl_putf("VM %s is %s, with %llu sessions\n", ctl_row_text(row, "vm"), what,
			(unsigned long long)ctl_row_number(row, "sessions"));
	else
		ctl_putf("session %llu of %s, uid %llu on %s, is %s; sessions concerned: %llu\n",
			(unsigned long long)ctl_row_number(row, "session"),
			ctl_row_text(row, "user"), (unsigned long long)ctl_row_number(row, "uid"),
			ctl_row_text(row, "vm"), what,
			(unsigned long long)ctl_row_number(row, "sessions"));
}

static int isolate_shown(void *arg, json_t *row)
{
	(void)arg;
	shown(row, "isolated");
	if (!ctl_row_true(row, "recorded"))
		ctl_putf("the database takes no records now: a restart of svm-idfw would forget "
			 "it\n");
	return 0;
}

static int release_shown(void *arg, json_t *row)
{
	(void)arg;
	shown(row, "released");
	return 0;
}

static int run(struct ctl_cli *cli, int (*row)(void *arg, json_t *row))
{
	const char *args[2] = { NULL, ctl_args_option(cli, "reason") };
	char why[CTL_WHY_MAX], arg[ARG_MAX];
	int rc;

	if (!whom(cli, arg))
		return CTL_EXIT_USAGE;
	args[0] = arg;
	rc = ctl_ask_rows(cli, cli->verb->name, args, args[1] ? 2 : 1, row, NULL, NULL, why);
	ctl_complain(why);
	return rc;
}

int ctl_run_isolate(struct ctl_cli *cli)
{
	return run(cli, isolate_shown);
}

int ctl_run_release(struct ctl_cli *cli)
{
	return run(cli, release_shown);
}
