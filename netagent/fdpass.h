/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdpass.h - one descriptor over a unix socket, with one byte that says what it is, or a record
 */
#ifndef NETAGENT_FDPASS_H
#define NETAGENT_FDPASS_H

#include <stddef.h>
#include "lib/base/err.h"

/* keeper -> pusher */
#define NA_FD_TABLE 'T' /* the netlink socket that owns the table */
/* keeper -> parsing process */
#define NA_FD_LISTENER 'L' /* of the PAM socket */
#define NA_FD_PUSHER 'P'   /* to a pusher that has just started */
#define NA_FD_PLACER 'C'   /* to a placer that has just started */

/* @fd: borrows; -errno */
GI_MUST_CHECK int na_fd_send(int sock, char what, int fd);
/* 0: *ret_fd is owned by the caller, CLOEXEC; -EAGAIN, -GI_ECLOSED, -GI_EPROTO, -errno */
GI_MUST_CHECK int na_fd_recv(int sock, char *ret_what, int *ret_fd);

/* the same with a record of @len bytes (SOCK_SEQPACKET); never waits */
GI_MUST_CHECK int na_fd_send_rec(int sock, const void *rec, size_t len, int fd);
/* exactly @len bytes and one descriptor, or -GI_EPROTO */
GI_MUST_CHECK int na_fd_recv_rec(int sock, void *ret_rec, size_t len, int *ret_fd);
/* the same, but a record may come without one: *ret_fd is -1 then */
GI_MUST_CHECK int na_fd_recv_any(int sock, void *ret_rec, size_t len, int *ret_fd);

#endif
