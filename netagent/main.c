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
 * end.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/child.h"
#include "netagent/agent.h"
#include "netagent/keeper.h"
#include "netagent/placer.h"
#include "netagent/pusher.h"

#define PROG "gi-netagent"
#define SUMMARY                                                                                 \
	"The agent in a guest: reports sessions and addresses to the host's mux, enforces the " \
	"rules "                                                                                \
	"that come back."

enum role { ROLE_KEEPER, ROLE_AGENT, ROLE_PUSHER, ROLE_PLACER };

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

int main(int argc, char **argv)
{
	static const char *const names[] = { PROG, PROG "/agent", PROG "/pusher", PROG "/placer" };
	struct na_conf conf = { 0 };
	enum role role = role_of(&argc, &argv);
	bool debug = false;
	int rc = 0;

	if (conf_main(argc, argv, PROG, SUMMARY, &na_conf_table, &conf, &debug, &rc))
		return rc;
	gi_log_init(names[role], debug ? GI_LOG_DEBUG : GI_LOG_INFO);
	if (role != ROLE_KEEPER && !has_keeper()) {
		gi_err("this role is started by " PROG " itself");
		rc = 2;
	} else if (role == ROLE_AGENT) {
		rc = na_agent_run(&conf, IO_CHILD_FD);
	} else if (role == ROLE_PUSHER) {
		rc = na_pusher_run(IO_CHILD_FD);
	} else if (role == ROLE_PLACER) {
		rc = na_placer_run(&conf, IO_CHILD_FD);
	} else {
		rc = na_keeper_run(&conf, argc, argv);
	}
	conf_free(&na_conf_table, &conf);
	return rc;
}
