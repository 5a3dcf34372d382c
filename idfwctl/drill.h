/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drill.h - something is broken on purpose: what users saw, and whether that was to be expected
 *
 *   drill.c (steps) --drillproc.c--> the driver (docs/control.md) --lines--> drillfacts.c (facts)
 *                                                        facts --drilljudge.c--> findings, the
 * table
 *
 * The driver breaks and mends, and lets users work; what they saw is measured here, by the moment
 * at which each line of theirs arrived, and judged by one table, which docs/failure.md shows. Facts
 * and judging are pure: all times are milliseconds of one monotonic clock, 0 never.
 */
#ifndef IDFWCTL_DRILL_H
#define IDFWCTL_DRILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"

#define DRILL_FLOWS 8
#define DRILL_NAME 32
#define DRILL_TEXT 160
#define DRILL_FINDINGS (3 * DRILL_FLOWS + 4)
#define DRILL_NOTICED_MS 1000 /* a longer pause of a connection is noticed by its user */
#define DRILL_SYNC_MS 15000   /* in sync again, and new connections again, after mending */

enum drill_fault { /* what is broken, and how */
	DRILL_AGENT,
	DRILL_AGENT_STOP,
	DRILL_MUX,
	DRILL_MUX_STOP,
	DRILL_SVM,
	DRILL_SVM_STOP,
	DRILL_DIRECTORY,
	DRILL_DIRECTORY_STOP,
	DRILL_PARTITION,
	DRILL_FAULTS
};
enum drill_fate { DRILL_KEPT, DRILL_CUT, DRILL_EITHER };
enum drill_access {	/* of somebody who logs in meanwhile */
	DRILL_AT_ONCE,	/* he is known from before */
	DRILL_MENDED,	/* when it is mended */
	DRILL_IF_FOUND, /* when it is mended and his session is found */
	DRILL_IF_WAITS, /* when it is mended while his login still waits */
};

struct drill_row { /* of docs/failure.md */
	enum drill_fault fault;
	bool beyond; /* the outage is longer than the lease */
	enum drill_fate fate;
	enum drill_access access;
};

/* ---- what was seen ---- */

struct drill_beat { /* lines that should come again and again */
	uint64_t n, last, gap, gap_from;
};
struct drill_flow {
	char name[DRILL_NAME];
	uint64_t lease_ms;	    /* 0: none */
	struct drill_beat down, up; /* of the connection that is held */
	uint64_t ended;		    /* it was closed or reset */
	uint64_t opened, shut;	    /* new connections: good and bad ones */
	uint64_t first_open, first_shut, slowest;
	uint64_t back; /* the first good one since the last bad one */
	bool is_open;  /* so did the last one end */
};
struct drill_watch { /* what one user on the VM tells */
	struct drill_flow flows[DRILL_FLOWS];
	size_t n_flows;
	bool complete;	   /* all flows were named */
	uint64_t limit_ms; /* for how long a login may wait for the agent */
	uint64_t in;	   /* he is in */
	struct drill_beat
		tick; /* of the program that tells: what stands still here is not the network */
};
struct drill_facts {
	enum drill_fault fault;
	uint64_t break_begin, break_end, mend_begin, mend_end, sync;
	struct drill_watch held;      /* who was there before */
	struct drill_watch login;     /* who came meanwhile */
	uint64_t login_begin, before; /* and how long his login takes when all is well */
};

/* one line of the driver, that came at @now; -EINVAL: it is none. Words that are not known are not
 * looked at */
GI_MUST_CHECK int drill_watch_line(struct drill_watch *w, const char *line, uint64_t now);
void drill_watch_count(struct drill_watch *w, uint64_t now); /* what came before does not count */
void drill_watch_finish(struct drill_watch *w, uint64_t now);
bool drill_watch_runs(const struct drill_watch *w);  /* every flow is held both ways, and opens */
bool drill_watch_opens(const struct drill_watch *w); /* every flow's last attempt was good */

/* ---- what is to be expected ---- */

struct drill_finding {
	char what[DRILL_TEXT], expected[DRILL_TEXT], measured[DRILL_TEXT];
	bool differs;
};

const char *drill_fault_name(enum drill_fault fault); /* of the component: "agent" */
const char *drill_fault_how(enum drill_fault fault);  /* "kill", "stop" or "cut" */
const char *drill_fault_word(enum drill_fault fault); /* both, for the driver: "agent-stop" */
/*
 * drill_fault_find - by both names; @how NULL: the component's first one
 * Errors: -ENOENT (no such component), -ENOTSUP (it cannot be broken like that)
 */
GI_MUST_CHECK int drill_fault_find(const char *name, const char *how, enum drill_fault *ret);
const struct drill_row *drill_row_at(size_t i); /* NULL: no more */
const struct drill_row *drill_row(enum drill_fault fault, bool beyond);
/* "| agent | ... |" up to the column of the tests, as docs/failure.md has it */
void drill_row_format(const struct drill_row *row, struct gi_buf *out);
/*
 * drill_fate - of what has a lease of @lease_ms (0: none)
 * @least: for how long nothing can have been renewed; @most: for how long at most
 * A lease is renewed when a quarter of it is over, or half: so half of it is sure. That it ended is
 * sure when there was time to notice it.
 */
enum drill_fate drill_fate(
	enum drill_fault fault, uint64_t lease_ms, uint64_t least, uint64_t most);
size_t drill_judge(const struct drill_facts *f, struct drill_finding ret[DRILL_FINDINGS]);

#endif
