/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unseen.c - whom the supervisor answered in the worker's place: told, and looked at later
 *
 * Runs in the worker: a new one finds in the table of held events whom its predecessor left behind
 * ("worker ended"), one that stood still finds it when it releases the slot ("worker stopped").
 * Each is told once, with path and process as far as the table knows; what it says is another
 * process's word and only used for that. A process that has ended by now and whose number is
 * another's is not named.
 */
#include "fileagent/worker_int.h"

#include <string.h>

static void tell(struct worker *w, enum fa_reason r, struct fa_unseen *u)
{
	struct fa_actor actor = { .pid = u->pid, .uid = FA_UID_UNKNOWN };
	uint64_t now = io_clock_mono_ms();
	bool op_ok = u->op <= IDFW__FILE_OP__FILE_OP_DEMAND;

	if (w->pub.who && u->pid && u->held_ms && u->held_ms <= now)
		fa_who_before(w->pub.who, (pid_t)u->pid, now - u->held_ms, &actor);
	if (!u->denied && !u->cut && u->path[0])
		fa_rescans_add(w->rescans, u->path, &u->id);
	if (u->cut)
		memcpy(u->path + sizeof(u->path) - 4, "...", 4);
	fa_worker_report(w, r, u->denied, op_ok ? (Idfw__FileOp)u->op : IDFW__FILE_OP__FILE_OP_OPEN,
		u->path, u->pid ? &actor : NULL);
}

void fa_worker_unseen(struct worker *w)
{
	struct fa_unseen u;

	for (uint32_t iter = 0; fa_inflight_unseen(w->held, &iter, &u);)
		tell(w, FA_R_WORKER_ENDED, &u);
}

void fa_worker_overdue(struct worker *w, uint32_t slot)
{
	struct fa_unseen u;

	if (fa_inflight_seen(w->held, slot, &u))
		tell(w, FA_R_WORKER_STOPPED, &u);
}
