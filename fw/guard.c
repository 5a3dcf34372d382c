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

#define NEVER UINT64_MAX

struct fw_guard {
	struct fw_push *push;
	struct mnl_socket *nl; /* owned */
	struct fw_alarms alarms;
	struct fw_seen seen;
	uint64_t repair_ms, verify_ms, scan_ms; /* not before; NEVER for those that are not due */
	uint64_t own_ms;			/* the next look at somebody else's table */
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
	fw_alarms_init(&g->alarms, tell, arg, now_ms());
	g->seen.others = true; /* what is there already */
	g->verify_ms = now_ms() + FW_GUARD_VERIFY_MS;
	g->own_ms = NEVER;
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
	fw_alarms_on(&g->alarms, kind, text, now_ms());
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
		fw_alarms_on(&g->alarms, FW_ALARM_FOREIGN_CHAIN, text, now_ms());
	else
		fw_alarms_over(&g->alarms, FW_ALARM_FOREIGN_CHAIN);
}

/* whose the table is; another owner may end at any time, and nobody tells us */
static void own(struct fw_guard *g)
{
	enum fw_owned owned;

	if (fw_push_owned(g->push) == FW_OWNED_OTHER &&
		(g->own_ms == NEVER || now_ms() >= g->own_ms)) {
		(void)!fw_own_adopt(g->push);
		g->own_ms = now_ms() + FW_GUARD_SCAN_MS;
	}
	owned = fw_push_owned(g->push);
	if (owned == FW_OWNED_OTHER || owned == FW_OWNED_PLAIN)
		fw_alarms_on(&g->alarms, FW_ALARM_NOT_OWNED, fw_owned_text(owned), now_ms());
	else
		fw_alarms_over(&g->alarms, FW_ALARM_NOT_OWNED);
	if (owned != FW_OWNED_OTHER)
		g->own_ms = NEVER;
}

static void found(struct fw_guard *g)
{
	char text[FW_WHY_MAX];

	if (!g->push->found[0] || !fw_push_state(g->push))
		return;
	snprintf(text, sizeof(text), "%.110s; repaired", g->push->found);
	fw_alarms_on(&g->alarms, FW_ALARM_DIFFERS, text, now_ms());
	g->push->found[0] = '\0';
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
	own(g);
	found(g);
	next = fw_alarms_work(&g->alarms, now_ms());
	now = now_ms();
	repair = (g->seen.changed && !g->seen.open) || g->seen.lost;
	next = g->verify_ms < next ? g->verify_ms : next;
	next = g->own_ms < next ? g->own_ms : next;
	if (repair && g->repair_ms < next)
		next = g->repair_ms;
	if (g->seen.others && g->scan_ms < next)
		next = g->scan_ms;
	return next <= now			 ? 0
	       : next - now > FW_GUARD_VERIFY_MS ? FW_GUARD_VERIFY_MS
						 : (int)(next - now);
}
