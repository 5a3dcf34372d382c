/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - gi-fileagent: one program, two processes
 *
 *   gi-fileagent            the supervisor (super.c)
 *   gi-fileagent --worker   started by it (worker.c): no option of the user's; without the
 *                           supervisor's socket as descriptor 3 it ends
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fileagent/faconf.h"
#include "fileagent/probe.h"
#include "fileagent/super.h"
#include "fileagent/worker.h"
#include "lib/base/log.h"
#include "lib/io/child.h"

#define PROG "gi-fileagent"
#define SUMMARY                                                                               \
	"The file agent in a guest: holds whoever opens a file until the scan service has "   \
	"judged\n"                                                                            \
	"it. Two more options: -v is -V with the compiler; --i-know-it-is-the-root together " \
	"with\n"                                                                              \
	"allow-root-filesystem lets it hold the file system of /."

struct own_opts {
	bool worker, version, root_ok;
};

/* takes out what conf_main() does not know; the order of the rest stays */
static void take_own(int *argc, char **argv, struct own_opts *o)
{
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		if (i == 1 && strcmp(argv[i], "--worker") == 0)
			o->worker = true;
		else if (strcmp(argv[i], "-v") == 0)
			o->version = true;
		else if (strcmp(argv[i], "--i-know-it-is-the-root") == 0)
			o->root_ok = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	*argc = n;
}

/* the options are conf_main()'s; it has checked them already */
static const char *conf_path(int argc, char **argv)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "debug", no_argument, NULL, 'd' }, { 0 } };
	const char *path = IDFW_SYSCONFDIR "/" PROG ".conf";
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:d", longs, NULL)) != -1)
		if (c == 'c')
			path = optarg;
	return path;
}

static bool has_supervisor(void)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(IO_CHILD_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	struct fa_conf conf = { 0 };
	struct own_opts own = { 0 };
	bool debug = false;
	int rc = 0;

	if (argc == 3 && strcmp(argv[1], FA_PROBE_OPTION) == 0)
		return fa_probe_main(argv[2]);
	take_own(&argc, argv, &own);
	if (own.version) {
		(void)printf(PROG " %s\n", fa_sup_version());
		return 0;
	}
	if (conf_main(argc, argv, PROG, SUMMARY, &fa_conf_table, &conf, &debug, &rc))
		return rc;
	gi_log_init(own.worker ? PROG "/worker" : PROG, debug ? GI_LOG_DEBUG : GI_LOG_NOTICE);
	if (own.worker && !has_supervisor()) {
		gi_err("--worker is started by " PROG " itself");
		rc = 2;
	} else if (own.worker) {
		rc = fa_worker_main(&conf, IO_CHILD_FD);
	} else {
		const struct fa_sup_args a = { .conf_file = conf_path(argc, argv),
			.argv0 = argv[0],
			.root_ok = own.root_ok,
			.debug = debug };

		rc = fa_sup_run(&a);
	}
	conf_free(&fa_conf_table, &conf);
	return rc;
}
