/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdpass.h - one descriptor over a unix socket, with one byte that says what it is
 */
#ifndef NETAGENT_FDPASS_H
#define NETAGENT_FDPASS_H

#include "lib/base/err.h"

/* keeper -> parsing process */
#define NA_FD_LISTENER 'L' /* of the PAM socket */
#define NA_FD_PUSHER 'P'   /* to a pusher that has just started */

/* @fd: borrows; -errno */
GI_MUST_CHECK int na_fd_send(int sock, char what, int fd);
/* 0: *ret_fd is owned by the caller, CLOEXEC; -EAGAIN, -GI_ECLOSED, -GI_EPROTO, -errno */
GI_MUST_CHECK int na_fd_recv(int sock, char *ret_what, int *ret_fd);

#endif
