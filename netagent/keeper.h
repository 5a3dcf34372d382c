/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeper.h - the first process of gi-netagent: starts the other two and starts them again
 */
#ifndef NETAGENT_KEEPER_H
#define NETAGENT_KEEPER_H

#include "netagent/naconf.h"

/*
 * na_keeper_run - until SIGTERM or SIGINT
 * @argv: of this process, as conf_main() took them
 * Returns the exit code.
 */
int na_keeper_run(const struct na_conf *conf, int argc, char **argv);

#endif
