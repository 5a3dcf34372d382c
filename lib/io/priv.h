/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * priv.h - giving up privileges, once, at start
 */
#ifndef IO_PRIV_H
#define IO_PRIV_H

#include <stdint.h>
#include "lib/base/err.h"

enum io_cap {
	IO_CAP_NET_ADMIN = 1,
	IO_CAP_NET_BIND =
		2, /* an agent on AF_VSOCK: reserved ports show the host that it is root's */
};

/*
 * io_priv_drop - become @user (and its groups), keep only @caps, set no_new_privs and
 * PR_SET_DUMPABLE 0; when not root: only no_new_privs. A user that does not exist: -GI_ENOTFOUND.
 * @user: NULL keeps the uid (the pusher: uid stays, capabilities go but for @caps)
 */
GI_MUST_CHECK int io_priv_drop(const char *user, unsigned int caps);
/* a seccomp deny list for processes that parse: execve, ptrace, mount, module, bpf, keyctl, ... ->
 * EPERM */
GI_MUST_CHECK int io_priv_seccomp_parser(void);
/* the same without execve, for one that starts its own binary as a child of less trust */
GI_MUST_CHECK int io_priv_seccomp_spawner(void);
/*
 * io_priv_seccomp_scanner - an allow list for a process that only computes on bytes it is sent
 *
 * Memory, its open descriptors, files (landlock says which), clocks. Any other call ends the
 * process (SIGSYS): sockets, processes, exec, ptrace, memory that can be executed or is shared.
 * No threads may exist or be made.
 */
GI_MUST_CHECK int io_priv_seccomp_scanner(void);

#endif
