/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drilljudge.c - what is to be expected of a fault, and whether it was so (drill.h); pure
 *
 * The table is what docs/failure.md shows under "Drills"; tests/unit/idfwctl/test_drill.c holds the
 * two together.
 */
#include "idfwctl/drill.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOGIN_SLACK_MS 3000
#define EARLY_MS 500 /* a heartbeat on its way, a line in a pipe */

static const struct {
	const char *name, *how, *word, *what;
} faults[DRILL_FAULTS] = {
	[DRILL_AGENT] = { "agent", "kill", "agent", "gi-netagent killed, all of it" },
	[DRILL_AGENT_STOP] = { "agent", "stop", "agent-stop",
		"gi-netagent stands still (SIGSTOP), all of it" },
	[DRILL_MUX] = { "mux", "kill", "mux", "gi-mux killed" },
	[DRILL_MUX_STOP] = { "mux", "stop", "mux-stop", "gi-mux stands still" },
	[DRILL_SVM] = { "svm", "kill", "svm", "svm-idfw killed" },
	[DRILL_SVM_STOP] = { "svm", "stop", "svm-stop", "svm-idfw stands still, all of it" },
	[DRILL_DIRECTORY] = { "directory", "kill", "directory", "killed" },
	[DRILL_DIRECTORY_STOP] = { "directory", "stop", "directory-stop",
		"stands still: takes connections, answers nothing" },
	[DRILL_PARTITION] = { "partition", "cut", "partition", "the service VM's network is gone" },
};

static const struct drill_row rows[] = {
	{ DRILL_AGENT, false, DRILL_KEPT, DRILL_IF_FOUND },
	{ DRILL_AGENT, true, DRILL_CUT, DRILL_IF_FOUND },
	{ DRILL_AGENT_STOP, false, DRILL_KEPT, DRILL_IF_WAITS },
	{ DRILL_AGENT_STOP, true, DRILL_CUT, DRILL_IF_WAITS },
	{ DRILL_MUX, false, DRILL_KEPT, DRILL_MENDED },
	{ DRILL_MUX, true, DRILL_CUT, DRILL_MENDED },
	{ DRILL_MUX_STOP, false, DRILL_KEPT, DRILL_MENDED },
	{ DRILL_MUX_STOP, true, DRILL_CUT, DRILL_MENDED },
	{ DRILL_SVM, false, DRILL_KEPT, DRILL_MENDED },
	{ DRILL_SVM, true, DRILL_CUT, DRILL_MENDED },
	{ DRILL_SVM_STOP, false, DRILL_KEPT, DRILL_MENDED },
	{ DRILL_SVM_STOP, true, DRILL_CUT, DRILL_MENDED },
	{ DRILL_DIRECTORY, false, DRILL_KEPT, DRILL_AT_ONCE },
	{ DRILL_DIRECTORY, true, DRILL_KEPT, DRILL_AT_ONCE },
	{ DRILL_DIRECTORY_STOP, false, DRILL_KEPT, DRILL_AT_ONCE },
	{ DRILL_DIRECTORY_STOP, true, DRILL_KEPT, DRILL_AT_ONCE },
	{ DRILL_PARTITION, false, DRILL_KEPT, DRILL_MENDED },
	{ DRILL_PARTITION, true, DRILL_CUT, DRILL_MENDED },
};

static const char *const fates[] = {
	[DRILL_KEPT] = "go on",
	[DRILL_CUT] =
		"closed by the kernel, no sooner than half the lease and no later than the lease",
	[DRILL_EITHER] = "either: more than half the lease, less than all of it",
};

static const char *const accesses[] = {
	[DRILL_AT_ONCE] = "works, with the groups that were known before",
	[DRILL_MENDED] = "works, without access by identity until it is mended",
	[DRILL_IF_FOUND] =
		"works, without access by identity until it is mended and the session found",
	[DRILL_IF_WAITS] = "works, without access by identity, unless it still waits when it is "
			   "mended (`timeout_ms`): it is not found later",
};

const char *drill_fault_name(enum drill_fault fault)
{
	return faults[fault].name;
}

const char *drill_fault_how(enum drill_fault fault)
{
	return faults[fault].how;
}

const char *drill_fault_word(enum drill_fault fault)
{
	return faults[fault].word;
}

int drill_fault_find(const char *name, const char *how, enum drill_fault *ret)
{
	int err = -ENOENT;

	for (size_t i = 0; i < DRILL_FAULTS; i++) {
		if (strcmp(faults[i].name, name) != 0)
			continue;
		err = -ENOTSUP;
		if (how && strcmp(faults[i].how, how) != 0)
			continue;
		*ret = (enum drill_fault)i;
		return 0;
	}
	return err;
}

const struct drill_row *drill_row_at(size_t i)
{
	return i < GI_ARRAY_SIZE(rows) ? &rows[i] : NULL;
}

const struct drill_row *drill_row(enum drill_fault fault, bool beyond)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++)
		if (rows[i].fault == fault && rows[i].beyond == beyond)
			return &rows[i];
	return NULL;
}

void drill_row_format(const struct drill_row *row, struct gi_buf *out)
{
	gi_buf_printf(out, "| %s | %s | %s | %s | %s | within %d s |", faults[row->fault].name,
		faults[row->fault].what,
		row->beyond ? "longer than the lease" : "shorter than half the lease",
		fates[row->fate], accesses[row->access], DRILL_SYNC_MS / 1000);
}

enum drill_fate drill_fate(enum drill_fault fault, uint64_t lease_ms, uint64_t least, uint64_t most)
{
	if (lease_ms == 0 || most <= lease_ms / 2)
		return drill_row(fault, false)->fate;
	if (least >= lease_ms + DRILL_NOTICED_MS)
		return drill_row(fault, true)->fate;
	if (drill_row(fault, false)->fate == drill_row(fault, true)->fate)
		return drill_row(fault, true)->fate;
	return DRILL_EITHER;
}

/* ---- judging ---- */

struct judge {
	const struct drill_facts *f;
	struct drill_finding *findings;
	size_t n;
};

static void finding(struct judge *j, const char *what, const char *expected, bool differs,
	const char *fmt, ...) GI_PRINTF(5, 6);

static void finding(
	struct judge *j, const char *what, const char *expected, bool differs, const char *fmt, ...)
{
	struct drill_finding *g = &j->findings[j->n++];
	va_list ap;

	(void)snprintf(g->what, sizeof(g->what), "%s", what);
	(void)snprintf(g->expected, sizeof(g->expected), "%s", expected);
	va_start(ap, fmt);
	(void)vsnprintf(g->measured, sizeof(g->measured), fmt, ap);
	va_end(ap);
	g->differs = differs;
}

/* @at before or behind @from: texts show what happened since something was done */
static int64_t since(uint64_t at, uint64_t from)
{
	return (int64_t)at - (int64_t)from;
}

/* may a lease end here? */
static bool in_time(const struct drill_facts *f, const struct drill_flow *flow, uint64_t at)
{
	uint64_t slack = DRILL_NOTICED_MS + f->held.tick.gap;

	return at + EARLY_MS + f->held.tick.gap >= f->break_begin + flow->lease_ms / 2 &&
	       at <= f->break_end + flow->lease_ms + slack;
}

static void judge_held(struct judge *j, const struct drill_flow *flow, enum drill_fate fate)
{
	const struct drill_facts *f = j->f;
	const struct drill_beat *worst = flow->up.gap > flow->down.gap ? &flow->up : &flow->down;
	bool kept = !flow->ended && worst->gap <= DRILL_NOTICED_MS + f->held.tick.gap;
	uint64_t at = flow->ended && flow->ended < worst->gap_from ? flow->ended : worst->gap_from;
	char what[DRILL_TEXT];

	(void)snprintf(what, sizeof(what), "%s, a held connection (lease %" PRIu64 " s)",
		flow->name, flow->lease_ms / 1000);
	if (kept)
		finding(j, what, fates[fate], fate == DRILL_CUT,
			"went on; longest gap down %" PRIu64 " ms, up %" PRIu64 " ms",
			flow->down.gap, flow->up.gap);
	else if (flow->ended && !worst->gap_from)
		finding(j, what, fates[fate], true, "was ended after %" PRId64 " ms",
			since(flow->ended, f->break_end));
	else
		finding(j, what, fates[fate],
			fate == DRILL_KEPT || !in_time(f, flow, at) ||
				at + worst->gap < f->mend_begin,
			"nothing from %" PRId64 " ms after it broke, for %" PRIu64 " ms%s",
			since(at, f->break_end), worst->gap, flow->ended ? "; was ended" : "");
}

/* it worked again at @at; mending takes a while, and may work before it is done */
static void finding_after(
	struct judge *j, const char *what, const char *expected, bool differs, uint64_t at)
{
	int64_t ms = since(at, j->f->mend_end);

	differs = differs || ms > DRILL_SYNC_MS;
	if (ms < 0)
		finding(j, what, expected, differs, "while it was being mended");
	else
		finding(j, what, expected, differs, "%" PRId64 " ms after it was mended", ms);
}

static void judge_new(struct judge *j, const struct drill_flow *flow, enum drill_fate fate)
{
	const struct drill_facts *f = j->f;
	char what[DRILL_TEXT];
	bool differs;

	(void)snprintf(what, sizeof(what), "%s, new connections", flow->name);
	if (!flow->shut) {
		finding(j, what, fates[fate], fate == DRILL_CUT || !flow->opened,
			"%" PRIu64 ", all good; slowest %" PRIu64 " ms", flow->opened,
			flow->slowest);
		return;
	}
	/* an attempt takes a while to fail: it may have begun before its time */
	differs = fate == DRILL_KEPT ||
		  (!in_time(f, flow, flow->first_shut) &&
			  !in_time(f, flow, flow->first_shut + DRILL_NOTICED_MS / 2));
	finding(j, what, fates[fate], differs,
		"%" PRIu64 " good, %" PRIu64 " not, the first %" PRId64 " ms after it broke",
		flow->opened, flow->shut, since(flow->first_shut, f->break_end));
	(void)snprintf(what, sizeof(what), "%s, new connections again", flow->name);
	if (!flow->is_open)
		finding(j, what, "when it is mended", true, "never");
	else
		finding_after(j, what, "when it is mended", false, flow->back);
}

static void judge_login(struct judge *j)
{
	const struct drill_facts *f = j->f;
	const struct drill_watch *w = &f->login;
	const struct drill_row *row = drill_row(f->fault, false);
	uint64_t limit = f->before + w->limit_ms + LOGIN_SLACK_MS, open = 0;
	char expected[DRILL_TEXT];

	(void)snprintf(expected, sizeof(expected),
		"within %" PRIu64 " ms (%" PRIu64 " when all is well)", limit, f->before);
	if (!w->in) {
		finding(j, "a login meanwhile", expected, true, "is not in");
		return;
	}
	finding(j, "a login meanwhile", expected, w->in - f->login_begin > limit,
		"took %" PRIu64 " ms", w->in - f->login_begin);
	for (size_t i = 0; i < w->n_flows; i++)
		if (w->flows[i].first_open > open)
			open = w->flows[i].first_open;
	if (!open)
		finding(j, "its access by identity", accesses[row->access],
			row->access != DRILL_IF_FOUND && row->access != DRILL_IF_WAITS, "none");
	else if (open < f->mend_begin)
		finding(j, "its access by identity", accesses[row->access],
			row->access != DRILL_AT_ONCE, "%" PRId64 " ms before it was mended",
			since(f->mend_begin, open));
	else
		finding_after(j, "its access by identity", accesses[row->access],
			row->access == DRILL_AT_ONCE && w->in + DRILL_NOTICED_MS < f->mend_begin,
			open);
}

/* the first moment at which all surely works again; 0 never */
static uint64_t until(const struct drill_facts *f)
{
	uint64_t at = f->sync;

	for (size_t i = 0; at && i < f->login.n_flows; i++)
		if (f->login.flows[i].first_open > at)
			at = f->login.flows[i].first_open;
	return at;
}

size_t drill_judge(const struct drill_facts *f, struct drill_finding ret[DRILL_FINDINGS])
{
	uint64_t least = f->mend_begin - f->break_end;
	uint64_t most = until(f) ? until(f) - f->break_begin : UINT64_MAX;
	struct judge j = { f, ret, 0 };
	char expected[DRILL_TEXT];

	for (size_t i = 0; i < f->held.n_flows; i++) {
		const struct drill_flow *flow = &f->held.flows[i];
		enum drill_fate fate = drill_fate(f->fault, flow->lease_ms, least, most);

		judge_held(&j, flow, fate);
		judge_new(&j, flow, fate);
	}
	judge_login(&j);
	(void)snprintf(expected, sizeof(expected), "within %d ms", DRILL_SYNC_MS);
	if (!f->sync)
		finding(&j, "in sync again", expected, true, "never");
	else
		finding_after(&j, "in sync again", expected, false, f->sync);
	return j.n;
}
