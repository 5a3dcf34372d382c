/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtest.c - dir test: a configuration's directories are tried before it is used
 *
 * idfwctl becomes `svm-idfw --test-directory`: the code that asks directories is there, and no
 * svm-idfw has to run. What is printed and the exit code are its own (svm-idfw/dirtest.c).
 */
#include "idfwctl/run.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ctl_run_dir_test(struct ctl_cli *cli)
{
	static const char *const options[] = { "--directory", "--account" };
	const char *given = getenv("IDFW_SVM_IDFW");
	const char *program = given && given[0] ? given : IDFW_SBINDIR "/svm-idfw", *value;
	char *argv[10] = { (char *)(uintptr_t) "svm-idfw", (char *)(uintptr_t) "--test-directory" };
	size_t n = 2, i;

	argv[n++] = (char *)(uintptr_t)cli->pos[0];
	for (i = 0; i < GI_ARRAY_SIZE(options); i++) {
		value = ctl_args_option(cli, options[i] + 2);
		if (!value)
			continue;
		argv[n++] = (char *)(uintptr_t)options[i];
		argv[n++] = (char *)(uintptr_t)value;
	}
	if (cli->json)
		argv[n++] = (char *)(uintptr_t) "--json";
	argv[n] = NULL;
	(void)execv(program, argv);
	fprintf(stderr, "idfwctl: cannot run %s: %s (IDFW_SVM_IDFW names another)\n", program,
		strerror(errno));
	return CTL_EXIT_USAGE;
}
