/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net.h - the sockets of a service: open.c makes them, its thread runs them
 */
#ifndef EPSEC_NET_H
#define EPSEC_NET_H

#include "epsec/eps_int.h"
#include "lib/io/tls.h"

/* listens; @e->loop is there. Errors as eps_open() */
GI_MUST_CHECK int eps_net_new(
	struct eps *e, const struct eps_conf *c, char ret_why[256], struct eps_net **ret);
void eps_net_close(struct eps_net *n); /* the library's thread, at its end: all muxes are gone */
void eps_net_free(struct eps_net *n);  /* NULL is fine */

#endif
