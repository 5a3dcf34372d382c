/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - gi-netagent: one program, four processes
 *
 *   gi-netagent             the keeper (keeper.c)
 *   gi-netagent --agent     started by the keeper: parses (agent.c)
 *   gi-netagent --pusher    started by the keeper: changes nftables (pusher.c)
 *   gi-netagent --placer    started by the keeper: puts sessions into cgroups (placer.c)
 *
 * The three roles are no options of the user's: without the keeper's socket as descriptor 3 they
 * end. And two runs that end at once (base.c):
 *
 *   gi-netagent --base [--print]    the base ruleset, before the network comes up
 *   gi-netagent --remove-rules      our table goes, for whoever removes the package
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/child.h"
#include "netagent/agent.h"
#include "netagent/base.h"
#include "netagent/keeper.h"
#include "netagent/placer.h"
#include "netagent/pusher.h"

#define PROG "gi-netagent"
#define SUMMARY                                                                                 \
	"The agent in a guest: reports sessions and addresses to the host's mux, enforces the " \
	"rules "                                                                                \
	"that come back."

enum role { ROLE_KEEPER, ROLE_AGENT, ROLE_PUSHER, ROLE_PLACER, ROLE_BASE, ROLE_REMOVE };

static enum role role_of(int *argc, char ***argv)
{
	enum role r = ROLE_KEEPER;

	if (*argc > 1 && strcmp((*argv)[1], "--agent") == 0)
		r = ROLE_AGENT;
	else if (*argc > 1 && strcmp((*argv)[1], "--pusher") == 0)
		r = ROLE_PUSHER;
	else if (*argc > 1 && strcmp((*argv)[1], "--placer") == 0)
		r = ROLE_PLACER;
	if (r != ROLE_KEEPER) {
		(*argv)[1] = (*argv)[0];
		(*argc)--;
		(*argv)++;
	}
	return r;
}

static bool has_keeper(void)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(IO_CHILD_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* takes @word out of the arguments, wherever it stands */
static bool take_option(int *argc, char **argv, const char *word)
{
	int n = 1;

	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], word) != 0)
			argv[n++] = argv[i];
	if (n == *argc)
		return false;
	argv[n] = NULL;
	*argc = n;
	return true;
}

/* 0, or 2: wrong usage, told */
static int user_role(int *argc, char **argv, enum role *role, bool *print)
{
	bool base = take_option(argc, argv, "--base");
	bool removes = take_option(argc, argv, "--remove-rules");

	*print = take_option(argc, argv, "--print");
	if ((base && removes) || (*print && !base) || (removes && *argc > 1)) {
		(void)fprintf(
			stderr, PROG ": --base [--print] [-c FILE], or --remove-rules alone\n");
		return 2;
	}
	if (base)
		*role = ROLE_BASE;
	else if (removes)
		*role = ROLE_REMOVE;
	return 0;
}

/* what the configuration gave for a role; the daemon's code is the program's */
static int run(const struct na_conf *conf, enum role role, bool print, int argc, char **argv)
{
	switch (role) {
	case ROLE_AGENT:
		return na_agent_run(conf, IO_CHILD_FD);
	case ROLE_PUSHER:
		return na_pusher_run(conf, IO_CHILD_FD);
	case ROLE_PLACER:
		return na_placer_run(conf, IO_CHILD_FD);
	case ROLE_BASE:
		return na_base_run(conf, print);
	case ROLE_REMOVE:
	case ROLE_KEEPER:
		break;
	}
	return na_keeper_run(conf, argc, argv);
}

static bool is_child(enum role r)
{
	return r == ROLE_AGENT || r == ROLE_PUSHER || r == ROLE_PLACER;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { PROG, PROG "/agent", PROG "/pusher", PROG "/placer",
		PROG, PROG };
	struct na_conf conf = { 0 };
	enum role role = role_of(&argc, &argv);
	bool debug = false, print = false;
	int rc = 0;

	if (!is_child(role))
		rc = user_role(&argc, argv, &role, &print);
	if (rc)
		return rc;
	gi_log_init(names[role], GI_LOG_INFO);
	if (role == ROLE_REMOVE) /* whatever the configuration says, or was */
		return na_base_remove();
	if (conf_main(argc, argv, PROG, SUMMARY, &na_conf_table, &conf, &debug, &rc))
		return role == ROLE_BASE && rc == EX_CONFIG ? na_base_run_default(print) : rc;
	if (debug)
		gi_log_init(names[role], GI_LOG_DEBUG);
	if (is_child(role) && !has_keeper()) {
		gi_err("this role is started by " PROG " itself");
		rc = 2;
	} else {
		rc = run(&conf, role, print, argc, argv);
	}
	conf_free(&na_conf_table, &conf);
	return rc;
}
