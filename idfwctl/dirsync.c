/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirsync.c - idfwctl dir sync: changes are looked for now, or everything is compared
 *
 * svm-idfw does it whether we wait or not: Ctrl-C ends the waiting. Rows: docs/control.md.
 */
#include "idfwctl/dir.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "idfwctl/show.h"

struct sync {
	struct ctl_dir_line line;
	bool color;
};

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void put_progress(struct sync *s, const json_t *r)
{
	char total[32] = "";

	if (ctl_row_number(r, "groups_total"))
		(void)snprintf(
			total, sizeof(total), " of %" PRIu64, ctl_row_number(r, "groups_total"));
	ctl_dir_line_put(&s->line,
		"%s: %" PRIu64 "%s groups compared, %" PRIu64 " of %" PRIu64 " accounts looked up",
		ctl_row_text(r, "directory"), ctl_row_number(r, "groups_done"), total,
		ctl_row_number(r, "accounts_done"), ctl_row_number(r, "accounts_total"));
}

static void put_synced(const struct sync *s, const json_t *r)
{
	bool ok = ctl_row_true(r, "ok"), full = ctl_row_true(r, "full");
	uint64_t left = ctl_row_number(r, "accounts_left"),
		 changed = ctl_row_number(r, "accounts_changed");
	enum ctl_tone tone = ok ? CTL_GOOD : CTL_BAD;
	char span[CTL_TIME_STRLEN];

	if (!ok && !ctl_row_number(r, "took_ms"))
		return; /* it did not begin: the end says why */
	ctl_putf("%s: ", ctl_row_text(r, "directory"));
	printf("%s%s%s", ctl_tone_on(tone, s->color), ok ? "done" : "not all is done",
		ctl_tone_off(tone, s->color));
	printf(" in %s%s\n", ctl_dir_took(ctl_row_number(r, "took_ms"), span),
		ctl_row_true(r, "joined") ? "; it ran already" : "");
	if (full)
		printf("  groups     %" PRIu64 " compared, %" PRIu64 " found changed\n",
			ctl_row_number(r, "groups"), ctl_row_number(r, "groups_changed"));
	else
		printf("  changes    %" PRIu64 " seen\n", ctl_row_number(r, "changes"));
	printf("  accounts   %" PRIu64 " with sessions", ctl_row_number(r, "accounts"));
	if (full || left)
		printf(", %" PRIu64 " looked up", ctl_row_number(r, "accounts") - left);
	printf("; %" PRIu64 " account%s now in other groups of the policy\n", changed,
		plural(changed));
}

static int sync_row(void *arg, json_t *row)
{
	struct sync *s = arg;

	if (strcmp(ctl_row_text(row, "type"), "progress") == 0) {
		put_progress(s, row);
		return 0;
	}
	ctl_dir_line_end(&s->line);
	if (strcmp(ctl_row_text(row, "type"), "synced") == 0)
		put_synced(s, row);
	(void)fflush(stdout);
	return 0;
}

static void interrupted(int signum)
{
	static const char text[] = "\nidfwctl: not waited for; svm-idfw goes on with it\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	_exit(128 + signum);
}

int ctl_run_dir_sync(struct ctl_cli *cli)
{
	const struct sigaction sa = { .sa_handler = interrupted };
	const char *only = ctl_args_option(cli, "directory"), *args[2];
	struct sync s = { .color = cli->color };
	char why[CTL_WHY_MAX], directory[256];
	size_t n = 0;
	int rc;

	if (only && snprintf(directory, sizeof(directory), "directory=%s", only) >=
			    (int)sizeof(directory)) {
		fprintf(stderr, "idfwctl: the value of --directory is too long\n");
		return CTL_EXIT_USAGE;
	}
	if (ctl_args_option(cli, "full"))
		args[n++] = "full";
	if (only)
		args[n++] = directory;
	(void)sigaction(SIGINT, &sa, NULL);
	ctl_dir_line_init(&s.line, cli);
	rc = ctl_ask_rows(cli, "dir-sync", args, n, sync_row, &s, NULL, why);
	ctl_dir_line_end(&s.line);
	ctl_complain(why);
	return rc;
}
