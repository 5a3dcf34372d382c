/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pusher.h - the process that holds CAP_NET_ADMIN: fixed records in, nftables changes out
 */
#ifndef NETAGENT_PUSHER_H
#define NETAGENT_PUSHER_H

/* the whole life of the process; @fd: its SOCK_SEQPACKET socket. Returns the exit code */
int na_pusher_run(int fd);

#endif
