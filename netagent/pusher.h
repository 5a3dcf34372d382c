/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pusher.h - the process that holds CAP_NET_ADMIN: fixed records in, nftables changes out
 */
#ifndef NETAGENT_PUSHER_H
#define NETAGENT_PUSHER_H

#include "netagent/naconf.h"

/*
 * na_pusher_run - the whole life of the process
 * @fd: its SOCK_SEQPACKET socket; the first thing that comes is NA_FD_TABLE, from the keeper
 * Returns the exit code.
 */
int na_pusher_run(const struct na_conf *conf, int fd);

#endif
