/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drillfacts.c - the lines that a driver's users tell, as facts (drill.h); pure
 *
 *   flow NAME LEASE_S   flows   tick   up NAME   down NAME   end NAME WHY
 *   open NAME MS   shut NAME MS WHY   limit MS   in
 */
#include "idfwctl/drill.h"

#include <stdio.h>
#include <string.h>
#include "lib/base/text.h"

#define WORDS 3
#define LEASE_MAX_S (366u * 86400)
#define TOOK_MAX_MS (3600u * 1000)

static void beat(struct drill_beat *b, uint64_t now)
{
	if (b->n && now - b->last > b->gap) {
		b->gap = now - b->last;
		b->gap_from = b->last;
	}
	b->n++;
	b->last = now;
}

static void beat_count(struct drill_beat *b, uint64_t now)
{
	b->n = 1; /* it ran until now */
	b->last = now;
	b->gap = b->gap_from = 0;
}

static void beat_finish(struct drill_beat *b, uint64_t now)
{
	beat(b, now);
	b->n--;
}

static struct drill_flow *flow_find(struct drill_watch *w, const char *name)
{
	for (size_t i = 0; i < w->n_flows; i++)
		if (strcmp(w->flows[i].name, name) == 0)
			return &w->flows[i];
	return NULL;
}

static int flow_add(struct drill_watch *w, const char *name, const char *lease)
{
	struct drill_flow *f = &w->flows[w->n_flows];
	uint64_t s;

	if (w->n_flows == DRILL_FLOWS || flow_find(w, name) ||
		!gi_text_is_name(name, DRILL_NAME - 1) ||
		gi_text_u64(lease, 0, LEASE_MAX_S, &s) < 0)
		return -EINVAL;
	*f = (struct drill_flow){ .lease_ms = s * 1000 };
	w->n_flows++;
	return gi_text_copy(f->name, sizeof(f->name), name);
}

static void attempt(struct drill_flow *f, bool good, uint64_t took, uint64_t now)
{
	if (good) {
		f->opened++;
		if (took > f->slowest)
			f->slowest = took;
		if (!f->first_open)
			f->first_open = now;
		if (!f->is_open)
			f->back = now;
	} else {
		f->shut++;
		if (!f->first_shut)
			f->first_shut = now > took ? now - took : 1;
	}
	f->is_open = good;
}

static int flow_line(struct drill_flow *f, char *const word[WORDS], uint64_t now)
{
	bool good = strcmp(word[0], "open") == 0;
	uint64_t took;

	if (strcmp(word[0], "up") == 0) {
		beat(&f->up, now);
	} else if (strcmp(word[0], "down") == 0) {
		beat(&f->down, now);
	} else if (strcmp(word[0], "end") == 0) {
		f->ended = now;
	} else if (good || strcmp(word[0], "shut") == 0) {
		if (gi_text_u64(word[2], 0, TOOK_MAX_MS, &took) < 0)
			return -EINVAL;
		attempt(f, good, took, now);
	}
	return 0;
}

int drill_watch_line(struct drill_watch *w, const char *line, uint64_t now)
{
	char text[DRILL_TEXT], none[] = "", *rest = text, *word[WORDS] = { none, none, none };
	struct drill_flow *f;
	size_t n = 0;

	(void)snprintf(text, sizeof(text), "%s", line);
	while (n < WORDS && rest) {
		word[n] = strsep(&rest, " ");
		if (word[n][0])
			n++;
	}
	while (n < WORDS)
		word[n++] = none;
	if (strcmp(word[0], "tick") == 0)
		beat(&w->tick, now);
	else if (strcmp(word[0], "flow") == 0)
		return flow_add(w, word[1], word[2]);
	else if (strcmp(word[0], "flows") == 0)
		w->complete = true;
	else if (strcmp(word[0], "in") == 0)
		w->in = w->in ? w->in : now;
	else if (strcmp(word[0], "limit") == 0)
		return gi_text_u64(word[1], 0, TOOK_MAX_MS, &w->limit_ms) < 0 ? -EINVAL : 0;
	else if ((f = flow_find(w, word[1])) != NULL)
		return flow_line(f, word, now);
	return 0;
}

void drill_watch_count(struct drill_watch *w, uint64_t now)
{
	beat_count(&w->tick, now);
	for (size_t i = 0; i < w->n_flows; i++) {
		struct drill_flow *f = &w->flows[i];

		beat_count(&f->down, now);
		beat_count(&f->up, now);
		f->opened = f->shut = f->first_open = f->first_shut = f->slowest = f->back = 0;
	}
}

void drill_watch_finish(struct drill_watch *w, uint64_t now)
{
	beat_finish(&w->tick, now);
	for (size_t i = 0; i < w->n_flows; i++) {
		beat_finish(&w->flows[i].down, now);
		beat_finish(&w->flows[i].up, now);
	}
}

bool drill_watch_runs(const struct drill_watch *w)
{
	for (size_t i = 0; i < w->n_flows; i++)
		if (!w->flows[i].down.n || !w->flows[i].up.n || w->flows[i].ended)
			return false;
	return drill_watch_opens(w);
}

bool drill_watch_opens(const struct drill_watch *w)
{
	for (size_t i = 0; i < w->n_flows; i++)
		if (!w->flows[i].is_open)
			return false;
	return w->complete && w->n_flows > 0;
}
