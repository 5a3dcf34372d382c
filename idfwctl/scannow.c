/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scannow.c - scan now: a bar that moves on a terminal, plain lines elsewhere
 *
 * Ctrl-C ends idfwctl; svm-scan stops the scan when its client goes away (docs/control.md). The
 * agent may not know at first how many files there are: until then no share and no time to go is
 * shown. What is found, or cannot be scanned, is a line of its own, above the bar.
 */
#include "idfwctl/run.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "idfwctl/progress.h"
#include "idfwctl/show.h"
#include "lib/io/loop.h"

struct now {
	bool bar, color, drawn;
	uint64_t began_ms;
	struct ctl_progress last;
	bool heard;
};

static void erase(struct now *n)
{
	if (n->drawn)
		printf("\r\033[K");
	n->drawn = false;
}

/* a line that the terminal breaks could not be erased again */
static int columns(void)
{
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
		return CTL_PROGRESS_STRLEN;
	return ws.ws_col - 1;
}

static void draw(struct now *n)
{
	char line[CTL_PROGRESS_STRLEN];

	n->last.elapsed_ms = io_clock_mono_ms() - n->began_ms;
	printf("\r\033[K%.*s", columns(), ctl_progress_format(&n->last, line));
	(void)fflush(stdout);
	n->drawn = true;
}

static int now_row(void *arg, json_t *row)
{
	struct now *n = arg;

	erase(n);
	if (strcmp(ctl_row_text(row, "type"), "found") == 0) {
		printf("%sfound%s ", ctl_tone_on(CTL_BAD, n->color),
			ctl_tone_off(CTL_BAD, n->color));
		ctl_putf("%s: %s (%s), %s\n", ctl_row_text(row, "path"),
			ctl_row_text(row, "signature"), ctl_row_text(row, "engine"),
			ctl_row_text(row, "verdict"));
	} else if (strcmp(ctl_row_text(row, "type"), "failed") == 0) {
		ctl_putf("failed %s: %s\n", ctl_row_text(row, "path"), ctl_row_text(row, "text"));
	} else if (strcmp(ctl_row_text(row, "type"), "progress") == 0) {
		n->heard = true;
		n->last.files = ctl_row_number(row, "files");
		n->last.bytes = ctl_row_number(row, "bytes");
		n->last.total = ctl_row_number(row, "total_files");
		n->last.found = ctl_row_number(row, "found");
		n->last.failed = ctl_row_number(row, "failed");
		n->last.skipped = ctl_row_number(row, "skipped");
	}
	if (n->bar)
		draw(n);
	(void)fflush(stdout);
	return 0;
}

/* the bar does not stay behind half drawn; the connection's end stops the scan */
static void interrupted(int signum)
{
	static const char text[] = "\nidfwctl: ended; the scan on the VM stops\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	_exit(128 + signum);
}

int ctl_run_scan_now(struct ctl_cli *cli)
{
	struct now n = { .bar = !cli->json && isatty(STDOUT_FILENO),
		.color = cli->color,
		.began_ms = io_clock_mono_ms() };
	const struct sigaction sa = { .sa_handler = interrupted };
	char why[CTL_WHY_MAX], line[CTL_PROGRESS_STRLEN];
	int rc;

	(void)sigaction(SIGINT, &sa, NULL);
	rc = ctl_ask_rows(cli, "scan-now", cli->pos, cli->n_pos, now_row, &n, NULL, why);
	erase(&n);
	if (n.heard)
		printf("%s\n", ctl_progress_summary(&n.last, line));
	ctl_complain(why);
	return rc;
}
