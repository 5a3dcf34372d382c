/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rescans.c - files that were let through unscanned, looked at once the service is there
 *
 * Runs in the worker. A bounded list of paths and identities, each once; a few at a time are
 * opened by the supervisor (never here: an open of ours would be held by us), compared, and given
 * to the core. What is another file by now, or none, is left out and counted: that one's own open
 * or close is seen, and the one that was renamed is asked about when it is opened.
 */
#include "fileagent/worker_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 1024

struct rescan {
	struct rescan *next;  /* in the list */
	struct rescan *chain; /* in the hash table */
	struct fa_rescans *owner;
	struct fa_ident id;
	unsigned int tries;
	size_t len;
	char path[];
};

struct fa_rescans {
	struct worker *w;
	struct rescan *first, **last;
	struct rescan *bucket[BUCKETS];
	size_t n, bytes, running;
};

/* birth, too: a number is used again once its file is removed. And the path: who was renamed is
 * found only by his new name, which comes when he is opened by it */
static struct rescan **find(struct fa_rescans *r, const struct fa_ident *id, const char *path)
{
	struct rescan **at = &r->bucket[(id->ino ^ id->dev) % BUCKETS];

	while (*at && ((*at)->id.ino != id->ino || (*at)->id.dev != id->dev ||
			      (*at)->id.btime_ns != id->btime_ns || strcmp((*at)->path, path) != 0))
		at = &(*at)->chain;
	return at;
}

static void append(struct fa_rescans *r, struct rescan *e)
{
	e->next = NULL;
	*r->last = e;
	r->last = &e->next;
	r->w->count.rescans_waiting++;
}

static void forget(struct fa_rescans *r, struct rescan *e)
{
	struct rescan **at = find(r, &e->id, e->path);

	if (*at == e)
		*at = e->chain;
	r->n--;
	r->bytes -= e->len;
	free(e);
}

void fa_rescans_add(struct fa_rescans *r, const char *path, const struct fa_ident *id)
{
	size_t len = strlen(path);
	struct rescan **at = find(r, id, path), *e;

	if (*at)
		return;
	e = len > 0 && len <= FA_REC_PATH_MAX && r->n < FA_RESCANS_MAX &&
			    r->bytes + len <= FA_RESCANS_BYTES
		    ? malloc(sizeof(*e) + len + 1)
		    : NULL;
	if (!e) {
		r->w->count.rescans_lost++;
		return;
	}
	*e = (struct rescan){ .owner = r, .id = *id, .len = len };
	memcpy(e->path, path, len + 1);
	*at = e;
	r->n++;
	r->bytes += len;
	append(r, e);
}

static void again(struct fa_rescans *r, struct rescan *e)
{
	if (++e->tries < FA_RESCAN_TRIES) {
		append(r, e);
		return;
	}
	r->w->count.rescans_lost++;
	forget(r, e);
}

static void scanned_cb(void *arg, const struct fa_outcome *o)
{
	struct rescan *e = arg;
	struct fa_rescans *r = e->owner;

	r->running--;
	if (!o->judged) {
		again(r, e);
		return;
	}
	r->w->count.rescans_done++;
	forget(r, e);
	fa_worker_tick_on(r->w); /* the next ones */
}

static void opened_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct rescan *e = arg;
	struct fa_rescans *r = e->owner;
	struct fa_ident id;
	uint32_t mode;
	int err = fd < 0 ? -ENOENT : fa_events_stat(fd, &id, &mode, NULL);

	(void)rec;
	if (err < 0 || id.dev != e->id.dev || id.ino != e->id.ino ||
		id.btime_ns != e->id.btime_ns) {
		if (fd >= 0)
			close(fd);
		r->running--;
		r->w->count.rescans_gone++;
		forget(r, e);
		fa_worker_tick_on(r->w); /* the next ones */
		return;
	}
	err = fa_scan_submit(r->w->pub.scan, fd, IDFW__FILE_OP__FILE_OP_RESCAN, scanned_cb, e);
	if (err < 0) {
		r->running--;
		again(r, e);
	}
	fa_worker_tick_on(r->w);
}

void fa_rescans_pump(struct fa_rescans *r)
{
	struct fa_rec *rec = &r->w->rec;

	while (r->first && r->running < FA_RESCANS_AT_ONCE && fa_scan_ready(r->w->pub.scan) &&
		fa_super_is_up(r->w->pub.super)) {
		struct rescan *e = r->first;
		int err;

		r->first = e->next;
		if (!r->first)
			r->last = &r->first;
		r->w->count.rescans_waiting--;
		rec->op = FA_OP_OPEN;
		memcpy(rec->path, e->path, e->len);
		rec->path_len = (uint32_t)e->len;
		err = fa_super_request(r->w->pub.super, rec, NULL, 0, opened_cb, e);
		rec->path_len = 0;
		if (err < 0) {
			again(r, e);
			return;
		}
		r->running++;
	}
}

int fa_rescans_new(struct worker *w, struct fa_rescans **ret)
{
	struct fa_rescans *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->w = w;
	r->last = &r->first;
	*ret = r;
	return 0;
}

void fa_rescans_free(struct fa_rescans *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (r->bucket[i]) {
			struct rescan *e = r->bucket[i];

			r->bucket[i] = e->chain;
			free(e);
		}
	free(r);
}
