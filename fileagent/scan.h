/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.h - one struct a file under scan: who waits for it, what the service says, what is done
 *
 * The core of the worker, and pure: descriptors are numbers that it hands to its ops, the clock is
 * a parameter, so the unit tests drive it with fakes. Invariants: each opener that was taken is
 * answered once; at most the service's credits of FileEvents are under way; openers of one file
 * share one scan; no error, skip or timeout is remembered; at the deadline the path's fail policy
 * decides. docs/scan.md "How an open is decided".
 */
#ifndef FILEAGENT_SCAN_H
#define FILEAGENT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "fileagent/rec.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

struct fa_scan;

/* what came of a fa_scan_submit(); texts are borrowed for the call */
struct fa_outcome {
	bool judged; /* a verdict came; else reason says why not (docs/scan.md) */
	Idfw__FileVerdictKind verdict;
	const char *engine, *signature, *reason; /* never NULL */
	Idfw__FileDone__Result action;		 /* of DELETE, QUARANTINE, REPLACE; UNKNOWN: none */
	const char *action_text;
	const uint8_t *quarantine_id; /* 16 bytes, or NULL */
};

/*
 * fa_scan_submit - scan an open file that nobody is held for: RESCAN, DEMAND
 * @fd: takes (also on error)
 * @done: once, from the loop, or before the call returns never; NULL: nobody wants to know
 * Errors: -GI_EFULL (too many wait), -errno of statx(2); @done is not called then
 */
GI_MUST_CHECK int fa_scan_submit(struct fa_scan *s, int fd, Idfw__FileOp op,
	void (*done)(void *arg, const struct fa_outcome *), void *arg);
/* nobody wants these outcomes any more */
void fa_scan_forget(struct fa_scan *s, const void *arg);

#endif
