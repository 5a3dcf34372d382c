/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - idfwctl, the operator's client of svm-idfw and svm-scan
 *
 * Runs with the caller's rights, holds none of its own; parses what svm-idfw answers, so all that
 * it shows is cleaned of control characters. One command, one connection, then it ends.
 */
#include "config.h"

#include "idfwctl/cli.h"

#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

static bool want_color(const struct ctl_cli *cli)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (cli->json || (no && no[0]) || !term || !term[0])
		return false;
	return isatty(STDOUT_FILENO);
}

static const char *socket_of(const char *given, const char *variable, const char *otherwise)
{
	const char *env = getenv(variable);

	if (given && given[0])
		return given;
	return env && env[0] ? env : otherwise;
}

int main(int argc, char **argv)
{
	struct ctl_cli cli = { 0 };
	int rc;

	(void)setlocale(LC_TIME, "C");
	rc = ctl_args_parse(argc, argv, &cli);
	if (rc)
		return rc;
	if (cli.version) {
		printf("idfwctl (idfw) %s\n", PACKAGE_VERSION);
		return CTL_EXIT_OK;
	}
	if (cli.help) {
		if (cli.verb)
			ctl_help_verb(cli.verb, stdout);
		else if (cli.family)
			ctl_help_family(cli.family, stdout);
		else
			ctl_help(stdout);
		return CTL_EXIT_OK;
	}
	cli.socket = socket_of(cli.socket, "IDFW_SOCKET", CTL_SOCKET_DEFAULT);
	cli.scan_socket = socket_of(cli.scan_socket, "IDFW_SCAN_SOCKET", CTL_SCAN_SOCKET_DEFAULT);
	cli.color = want_color(&cli);
	rc = cli.verb->run(&cli);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("idfwctl: cannot write the answer");
		return CTL_EXIT_NO;
	}
	return rc;
}
