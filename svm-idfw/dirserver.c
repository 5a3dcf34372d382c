/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirserver.c - which of a directory's servers is asked: in order of preference, a breaker each
 *
 * Pure; dir.c tells what happened and asks what to do. Invariants: a server that answers is never
 * left out; no server is probed within 10 s of its last failure while another one answers; a pause
 * never ends for two svm-idfws at a time but by chance.
 */
#include "svm-idfw/dirserver.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RETRY_MS 100
#define RETRY_MAX_MS 5000
#define PROBE_MS 10000
#define PROBE_MAX_MS 30000
#define SETTLED_MS 60000 /* after that its old failures are forgotten */
#define DOUBLINGS_MAX 16

static uint64_t server_pause(uint64_t first, uint64_t max, uint32_t failures);
static uint64_t server_part(uint64_t ms, uint32_t noise);

void dir_servers_init(struct dir_servers *s, char *const *uris, size_t n)
{
	*s = (struct dir_servers){ .current = -1 };
	for (; s->n < n && s->n < DIR_SERVERS_MAX; s->n++)
		(void)snprintf(s->list[s->n].uri, sizeof(s->list[0].uri), "%s", uris[s->n]);
}

static int server_find(const struct dir_servers *s, const char *uri)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].uri, uri) == 0)
			return (int)i;
	return -1;
}

/* from @old, or new */
static void server_take(struct dir_servers *s, const struct dir_servers *old, const char *uri)
{
	int at = server_find(old, uri);

	if (server_find(s, uri) >= 0 || s->n == DIR_SERVERS_MAX)
		return;
	if (at >= 0)
		s->list[s->n] = old->list[at];
	else
		(void)snprintf(s->list[s->n].uri, sizeof(s->list[0].uri), "%s", uri);
	s->n++;
}

bool dir_servers_replace(struct dir_servers *s, const char *const *uris, size_t n, int busy,
	int ret_moved[DIR_SERVERS_MAX])
{
	const int stay[2] = { s->current, busy };
	const struct dir_servers old = *s;
	size_t room = DIR_SERVERS_MAX;
	bool same;

	if (n > DIR_SERVERS_MAX)
		n = DIR_SERVERS_MAX;
	for (size_t k = 0; k < 2; k++) {
		size_t i = 0;

		while (stay[k] >= 0 && i < n && strcmp(uris[i], old.list[stay[k]].uri) != 0)
			i++;
		if (stay[k] >= 0 && i == n && (k == 0 || stay[0] != stay[1]))
			room--;
	}
	*s = (struct dir_servers){ .current = -1 };
	for (size_t i = 0; i < n && s->n < room; i++)
		server_take(s, &old, uris[i]);
	for (size_t k = 0; k < 2; k++)
		if (stay[k] >= 0)
			server_take(s, &old, old.list[stay[k]].uri);
	same = s->n == old.n;
	for (size_t i = 0; i < DIR_SERVERS_MAX; i++) {
		ret_moved[i] = i < old.n ? server_find(s, old.list[i].uri) : -1;
		same = same && (i >= old.n || ret_moved[i] == (int)i);
	}
	if (old.current >= 0)
		s->current = ret_moved[old.current];
	return !same;
}

int dir_servers_pick(const struct dir_servers *s, uint64_t now)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (!s->list[i].out)
			return (int)i;
	for (i = 0; i < s->n; i++)
		if (s->list[i].retry_ms <= now)
			return (int)i;
	return -1;
}

uint64_t dir_servers_wait(const struct dir_servers *s, uint64_t now)
{
	uint64_t first = UINT64_MAX;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->list[i].retry_ms < first)
			first = s->list[i].retry_ms;
	return first > now ? first - now : 1;
}

int dir_servers_probe(const struct dir_servers *s, uint64_t now)
{
	int i;

	for (i = 0; i < s->current; i++)
		if (s->list[i].probe_ms <= now)
			return i;
	return -1;
}

int dir_servers_other(const struct dir_servers *s, size_t busy, uint64_t now)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (i != busy && (!s->list[i].out || s->list[i].retry_ms <= now))
			return (int)i;
	return -1;
}

uint64_t dir_servers_limit(const struct dir_servers *s, size_t i, uint64_t deadline_ms)
{
	uint64_t limit = server_pause(DIR_CONNECT_MS, deadline_ms, s->list[i].failures + 1);

	return limit < deadline_ms ? limit : deadline_ms;
}

void dir_servers_up(struct dir_servers *s, size_t i, uint64_t now)
{
	s->list[i].out = false;
	s->list[i].up_ms = now;
	s->current = (int)i;
}

void dir_servers_failed(
	struct dir_servers *s, size_t i, uint64_t now, uint32_t noise, const char *why)
{
	struct dir_server *v = &s->list[i];
	uint64_t pause;

	if (s->current == (int)i) {
		s->current = -1;
		if (now - v->up_ms >= SETTLED_MS)
			v->failures = 0;
	}
	if (!v->out)
		v->out_ms = now;
	v->out = true;
	if (v->failures < DOUBLINGS_MAX)
		v->failures++;
	dir_why(v->why, "%s", why);
	pause = server_pause(RETRY_MS, RETRY_MAX_MS, v->failures);
	v->retry_ms = now + pause / 2 + server_part(pause, noise);
	pause = server_pause(PROBE_MS, PROBE_MAX_MS, v->failures);
	v->probe_ms = now + pause + server_part(pause / 2, noise);
}

void dir_servers_text(
	const struct dir_servers *s, uint64_t now, uint64_t real_ms, char out[DIR_WHY_MAX])
{
	char when[32], part[DIR_WHY_MAX];
	size_t len, i;
	struct tm tm;
	time_t t;

	out[0] = '\0';
	if (s->n < 2 || s->current < 0)
		return;
	dir_why(out, "%s answers", s->list[s->current].uri);
	for (i = 0; i < s->n; i++) {
		if (!s->list[i].out)
			continue;
		t = (time_t)((real_ms - (now - s->list[i].out_ms)) / 1000);
		if (!gmtime_r(&t, &tm) || strftime(when, sizeof(when), "%FT%TZ", &tm) == 0)
			when[0] = '\0';
		dir_why(part, "; %.90s left out since %s: %s", s->list[i].uri, when,
			s->list[i].why);
		len = strlen(out);
		(void)snprintf(out + len, DIR_WHY_MAX - len, "%s", part);
	}
}

static uint64_t server_pause(uint64_t first, uint64_t max, uint32_t failures)
{
	uint64_t pause = first << (failures - 1 < DOUBLINGS_MAX ? failures - 1 : DOUBLINGS_MAX);

	return pause < max ? pause : max;
}

/* of @ms, by chance */
static uint64_t server_part(uint64_t ms, uint32_t noise)
{
	return (uint64_t)noise * (ms + 1) >> 32;
}
