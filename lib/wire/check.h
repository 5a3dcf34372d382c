/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.h - private to lib/wire: the limits of docs/wire.md, for a message in memory
 *
 * Both directions use it: what we decode is checked before the caller sees it, what we encode is
 * checked before a peer has to refuse it.
 */
#ifndef WIRE_CHECK_H
#define WIRE_CHECK_H

#include "lib/wire/wire.h"

/*
 * wire_check_envelope - every field of @e against its limit
 * @ret_why: borrowed static text, set on error only
 * Errors: -GI_EPROTO (no body, bad value), -GI_ELIMIT (too long, too many)
 */
GI_MUST_CHECK int wire_check_envelope(const Idfw__Envelope *e, const char **ret_why);
/* check_file.c: the messages of the file path, for wire_check_envelope() */
GI_MUST_CHECK int wire_check_file(const Idfw__Envelope *e, const char **ret_why);
/* check_dir.c: DirQuery, DirReport */
GI_MUST_CHECK int wire_check_dir(const Idfw__Envelope *e, const char **ret_why);
/* one Session, wherever it is; NULL is refused */
GI_MUST_CHECK int wire_check_session(const Idfw__Session *s, const char **ret_why);
/* the same for a Routed; the Envelope inside is opaque here */
GI_MUST_CHECK int wire_check_routed(const Idfw__Routed *r, const char **ret_why);
/* rights.c: may the mux (or its service) send this Routed body now; Hello first, then no other */
bool wire_may_send_routed(bool from_mux, enum wire_state state, int body_case);

#endif
