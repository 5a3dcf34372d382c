/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard.c - repairs our table when others changed it, see guard.h
 *
 * Runs in gi-netagent's pusher process. Work is bounded: whatever somebody does in a loop, repairs,
 * comparisons and looks at others' chains take at most a twentieth of the time each, and alarms of
 * one kind come at most once a second. One after the other: a repair is one call and leaves a whole
 * ruleset.
 */
#include "fw/guard_int.h"

#include <libmnl/libmnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_LEN 128
#define TELL_MS 1000
#define NEVER UINT64_MAX

struct fw_guard {
	struct fw_push *push;
	struct mnl_socket *nl; /* owned */
	fw_guard_tell *tell;
	void *arg;
	struct fw_seen seen;
	uint64_t repair_ms, verify_ms, scan_ms; /* not before; NEVER for those that are not due */
	struct alarm {
		bool on;
		bool lasting; /* ended by what it is about, not by time */
		bool due;     /* its text changed and was not told */
		uint64_t last_ms, told_ms;
		char text[TEXT_LEN];
	} alarms[FW_ALARM_COUNT];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* not before @least ms from now, and not before others had their part of the time */
static uint64_t after(uint64_t began, uint64_t least)
{
	uint64_t now = now_ms(), share = FW_GUARD_SHARE * (now - began);

	return now + (share > least ? share : least);
}

int fw_guard_new(struct fw_push *p, fw_guard_tell *tell, void *arg, struct fw_guard **ret)
{
	struct fw_guard *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return -ENOMEM;
	g->push = p;
	g->tell = tell;
	g->arg = arg;
	g->alarms[FW_ALARM_FOREIGN_CHAIN].lasting = true;
	g->alarms[FW_ALARM_NOT_OWNED].lasting = true;
	/* what a predecessor told and did not end: nobody else will */
	for (int kind = 1; kind < FW_ALARM_COUNT; kind++) {
		g->alarms[kind].on = true;
		g->alarms[kind].last_ms = now_ms();
	}
	g->seen.others = true; /* what is there already */
	g->verify_ms = now_ms() + FW_GUARD_VERIFY_MS;
	rc = fw_watch_open(fw_mnl_portid(p->mnl), &g->nl);
	if (rc < 0) {
		free(g);
		return rc;
	}
	*ret = g;
	return 0;
}

void fw_guard_free(struct fw_guard *g)
{
	if (!g)
		return;
	mnl_socket_close(g->nl);
	free(g);
}

int fw_guard_fd(const struct fw_guard *g)
{
	return mnl_socket_get_fd(g->nl);
}

/* ---- alarms ---- */

static void tell_now(struct fw_guard *g, enum fw_alarm kind)
{
	struct alarm *a = &g->alarms[kind];

	a->due = false;
	a->told_ms = now_ms();
	g->tell(g->arg, kind, false, a->text);
}

static void alarm_over(struct fw_guard *g, enum fw_alarm kind)
{
	struct alarm *a = &g->alarms[kind];

	if (!a->on)
		return;
	a->on = a->due = false;
	g->tell(g->arg, kind, true, a->text);
}

/* names in @text are others' */
static void alarm_on(struct fw_guard *g, enum fw_alarm kind, const char *text)
{
	struct alarm *a = &g->alarms[kind];
	char clean[TEXT_LEN];
	size_t n = 0;

	for (; text[n] && n < sizeof(clean) - 1; n++)
		clean[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
	clean[n] = '\0';
	a->last_ms = now_ms();
	if (a->on && strcmp(a->text, clean) == 0)
		return;
	if (a->lasting && a->text[0])
		alarm_over(g, kind); /* this one is another */
	a->on = true;
	memcpy(a->text, clean, sizeof(clean));
	a->due = true;
	if (!a->told_ms || now_ms() - a->told_ms >= TELL_MS)
		tell_now(g, kind);
}

/* what was not told for its rate, and what has been quiet for long */
static uint64_t alarms_work(struct fw_guard *g)
{
	uint64_t now = now_ms(), next = NEVER;

	for (int kind = 1; kind < FW_ALARM_COUNT; kind++) {
		struct alarm *a = &g->alarms[kind];
		uint64_t at = a->due ? a->told_ms + TELL_MS : a->last_ms + FW_GUARD_QUIET_MS;

		if (!a->on || (a->lasting && !a->due))
			continue;
		if (now >= at && a->due)
			tell_now(g, (enum fw_alarm)kind);
		else if (now >= at)
			alarm_over(g, (enum fw_alarm)kind);
		else if (at < next)
			next = at;
	}
	return next;
}

/* ---- what is due ---- */

static int repair_for(struct fw_guard *g, enum fw_alarm kind, const char *what)
{
	uint64_t began = now_ms();
	char why[FW_WHY_MAX] = "", text[2 * FW_WHY_MAX];
	int rc = fw_push_repair(g->push, why);

	g->repair_ms = after(began, rc < 0 ? 10 * FW_GUARD_REPAIR_MS : FW_GUARD_REPAIR_MS);
	if (rc < 0)
		snprintf(text, sizeof(text), "%.70s; not repaired: %.40s", what, why);
	else
		snprintf(text, sizeof(text), "%s; repaired", what);
	alarm_on(g, kind, text);
	return rc;
}

static void repair_seen(struct fw_guard *g)
{
	const struct fw_seen *s = &g->seen;
	char text[FW_WHY_MAX];

	if (s->gone)
		snprintf(text, sizeof(text), "table " FW_TABLE " was deleted (%s)", s->who);
	else
		snprintf(text, sizeof(text), "%s in table " FW_TABLE " was changed (%s)", s->what,
			s->who);
	if (repair_for(g, s->gone ? FW_ALARM_TABLE_GONE : FW_ALARM_TABLE_CHANGED, text) == 0)
		g->seen = (struct fw_seen){ .others = s->others, .lost = s->lost };
}

static void verify(struct fw_guard *g)
{
	uint64_t began = now_ms();
	char what[FW_WHY_MAX] = "";
	int rc = fw_push_verify(g->push, what);

	g->seen.lost = false;
	/* somebody changes things all the time: later */
	g->verify_ms = after(began, rc < 0 ? FW_GUARD_SCAN_MS : FW_GUARD_VERIFY_MS);
	if (rc == 0 && what[0])
		(void)!repair_for(g, FW_ALARM_DIFFERS, what);
}

static void scan(struct fw_guard *g)
{
	uint64_t began = now_ms();
	char text[FW_WHY_MAX];
	int rc = fw_foreign_scan(g->push->mnl, text);

	g->scan_ms = after(began, FW_GUARD_SCAN_MS);
	if (rc < 0)
		return;
	g->seen.others = false;
	if (text[0])
		alarm_on(g, FW_ALARM_FOREIGN_CHAIN, text);
	else
		alarm_over(g, FW_ALARM_FOREIGN_CHAIN);
}

int fw_guard_work(struct fw_guard *g)
{
	uint64_t now, next;
	bool repair;

	fw_watch_read(g->nl, &g->seen);
	now = now_ms();
	if (g->seen.changed && !g->seen.open && now >= g->repair_ms)
		repair_seen(g);
	if (now >= g->verify_ms || (g->seen.lost && now >= g->repair_ms))
		verify(g);
	if (g->seen.others && now >= g->scan_ms)
		scan(g);
	next = alarms_work(g);
	now = now_ms();
	repair = (g->seen.changed && !g->seen.open) || g->seen.lost;
	next = g->verify_ms < next ? g->verify_ms : next;
	if (repair && g->repair_ms < next)
		next = g->repair_ms;
	if (g->seen.others && g->scan_ms < next)
		next = g->scan_ms;
	return next <= now			 ? 0
	       : next - now > FW_GUARD_VERIFY_MS ? FW_GUARD_VERIFY_MS
						 : (int)(next - now);
}
