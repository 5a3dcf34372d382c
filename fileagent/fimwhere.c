/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimwhere.c - from a FIM event's handles and names to paths, in the order of the events
 *
 * Who did it is looked up at once, while the process is there. Where it was: directories below the
 * rules are known from the walks; of others the supervisor is asked (FA_OP_HANDLE: opening by a
 * handle needs CAP_DAC_READ_SEARCH) once. An event whose directory is being asked for holds up
 * those behind it: a rename must be understood before what happens at the new name. A directory
 * that is gone before it could be asked for is no place any more; what was in it went with it.
 */
#include "fileagent/fim_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {		/* a directory's key and a name in it */
	size_t key_len; /* 0: none */
	uint8_t key[FA_FIM_HANDLE_MAX];
	char name[NAME_MAX + 1];
};

struct event {
	struct event *next;
	uint32_t what;
	struct fa_fim_actor actor;
	struct place from, to;
	size_t obj_len;
	uint8_t obj[FA_FIM_HANDLE_MAX];
};

struct asked {
	struct asked *next, **pp;
	struct fa_fim_queue *queue;
	size_t len;
	uint8_t key[FA_FIM_HANDLE_MAX];
};

struct fa_fim_queue {
	struct fa_fim *fim;
	struct event *first, **last;
	size_t n;
	struct asked *asked;
	bool over_said;
	bool failed; /* nobody could be asked: nothing waits for an answer */
	struct io_timer retry;
};

static void drain(struct fa_fim_queue *q);

int fa_fim_queue_new(struct fa_fim *f, struct fa_fim_queue **ret)
{
	struct fa_fim_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->fim = f;
	q->last = &q->first;
	*ret = q;
	return 0;
}

static void asked_free(struct asked *a)
{
	*a->pp = a->next;
	if (a->next)
		a->next->pp = a->pp;
	free(a);
}

static void event_pop(struct fa_fim_queue *q)
{
	struct event *e = q->first;

	q->first = e->next;
	if (!q->first)
		q->last = &q->first;
	q->n--;
	free(e);
}

void fa_fim_queue_free(struct fa_fim_queue *q)
{
	if (!q)
		return;
	io_timer_stop(q->fim->worker->loop, &q->retry);
	while (q->first)
		event_pop(q);
	while (q->asked) {
		if (q->fim->worker->super)
			fa_super_forget(q->fim->worker->super, q->asked);
		asked_free(q->asked);
	}
	free(q);
}

/* ---- where ---- */

static void where_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct asked *a = arg;
	struct fa_fim_queue *q = a->queue;
	struct fa_fim *f = q->fim;
	char path[FA_REC_PATH_MAX + 1] = "";

	(void)fd;
	if (rec->err == 0 && rec->path_len > 0 && rec->path[0] == '/') {
		memcpy(path, rec->path, rec->path_len);
		path[rec->path_len] = '\0';
	}
	/* "": no place that we know; without memory it is asked for again */
	if (fa_fimdirs_put(&f->dirs, a->key, a->len, path, path[0] && fa_fim_rule(f, path)) < 0)
		fa_debug("no memory for a directory");
	asked_free(a);
	drain(q);
}

static bool is_asked(const struct fa_fim_queue *q, const uint8_t *key, size_t len)
{
	for (const struct asked *a = q->asked; a; a = a->next) {
		if (a->len == len && memcmp(a->key, key, len) == 0)
			return true;
	}
	return false;
}

/* a record's path is a text: hexadecimal, the file system first */
static void hex(const uint8_t *key, size_t len, struct fa_rec *rec)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		rec->path[2 * i] = digits[key[i] >> 4];
		rec->path[2 * i + 1] = digits[key[i] & 15];
	}
	rec->path_len = (uint32_t)(2 * len);
}

static void retry_cb(struct io_timer *t)
{
	drain(t->arg);
}

#define RETRY_MS 20

static void ask(struct fa_fim_queue *q, const uint8_t *key, size_t len)
{
	struct fa_super *super = q->fim->worker->super;
	struct fa_rec rec = { .op = FA_OP_HANDLE };
	struct asked *a;

	if (is_asked(q, key, len))
		return;
	a = calloc(1, sizeof(*a));
	if (a) {
		a->queue = q;
		a->len = len;
		memcpy(a->key, key, len);
		a->next = q->asked;
		if (a->next)
			a->next->pp = &a->next;
		a->pp = &q->asked;
		q->asked = a;
		hex(key, len, &rec);
		if (super && fa_super_request(super, &rec, NULL, 0, where_cb, a) == 0)
			return;
		asked_free(a);
	}
	io_timer_start(q->fim->worker->loop, &q->retry, RETRY_MS, 0, retry_cb, q);
}

/* false: being asked for. @path: "" when there is no such place */
static bool place_path(
	struct fa_fim_queue *q, const struct place *p, char path[FA_REC_PATH_MAX + 1])
{
	const char *dir;
	int n;

	path[0] = '\0';
	if (p->key_len == 0)
		return true;
	dir = fa_fimdirs_find(&q->fim->dirs, p->key, p->key_len);
	if (!dir) {
		ask(q, p->key, p->key_len);
		return false;
	}
	if (!dir[0])
		return true;
	if (!p->name[0] || strcmp(p->name, ".") == 0)
		n = snprintf(path, FA_REC_PATH_MAX + 1, "%s", dir);
	else
		n = snprintf(
			path, FA_REC_PATH_MAX + 1, "%s/%s", strcmp(dir, "/") ? dir : "", p->name);
	if (n > FA_REC_PATH_MAX)
		path[0] = '\0';
	return true;
}

/* ---- what ---- */

#define CONTENT (FAN_EV_MODIFY | FAN_EV_CLOSE_WRITE | FAN_EV_ATTRIB)

/* a change by a name outside the rules of a file that has one below them */
static void by_other_name(struct fa_fim *f, const struct event *e, uint64_t now_ms)
{
	const char *path = e->obj_len ? fa_fimdirs_find(&f->files, e->obj, e->obj_len) : NULL;
	char copy[FA_REC_PATH_MAX + 1];

	if (!path || !(e->what & CONTENT) || !fa_fimbase_find(&f->base, path))
		return;
	snprintf(copy, sizeof(copy), "%s", path);
	fa_fimcore_event(f->core, now_ms, e->what & CONTENT, copy, NULL, &e->actor);
}

static void directories_move(struct fa_fim *f, uint32_t what, const char *path, const char *to)
{
	bool in;

	if (!(what & FAN_EV_DIR) || !path[0])
		return;
	if (what & FAN_EV_RENAME) {
		in = to[0] && fa_fim_rule(f, to);
		fa_fimdirs_move(&f->dirs, path, to[0] ? to : NULL, in);
		fa_fimdirs_move(&f->files, path, in ? to : NULL, true);
	} else if ((what & FAN_EV_DELETE) && !(what & FAN_EV_CREATE)) {
		fa_fimdirs_move(&f->dirs, path, NULL, false);
	}
}

/* false: not yet */
static bool event_do(struct fa_fim_queue *q, const struct event *e)
{
	char path[FA_REC_PATH_MAX + 1], to[FA_REC_PATH_MAX + 1];
	struct fa_fim *f = q->fim;
	uint64_t now_ms = io_clock_mono_ms();
	bool there = place_path(q, &e->from, path);

	/* both are asked for before one is waited for */
	if (!place_path(q, &e->to, to) || !there)
		return false;
	directories_move(f, e->what, path, to);
	if (path[0] && (fa_fim_rule(f, path) || (to[0] && fa_fim_rule(f, to))))
		fa_fimcore_event(f->core, now_ms, e->what, path, to[0] ? to : NULL, &e->actor);
	else if (to[0]) /* from where nobody knows */
		fa_fimcore_touch(f->core, now_ms, to, &e->actor);
	else
		by_other_name(f, e, now_ms);
	return true;
}

static void drain(struct fa_fim_queue *q)
{
	while (q->first && event_do(q, q->first))
		event_pop(q);
	/* the next ones' directories are asked for meanwhile */
	for (const struct event *e = q->first ? q->first->next : NULL; e; e = e->next) {
		if (e->from.key_len &&
			!fa_fimdirs_find(&q->fim->dirs, e->from.key, e->from.key_len)) {
			ask(q, e->from.key, e->from.key_len);
			break;
		}
	}
	if (!q->first)
		q->over_said = false;
	fa_fim_kick(q->fim);
}

/* ---- who ---- */

static void actor_of(struct fa_fim *f, const struct fan_event *ev, struct fa_fim_actor *ret)
{
	struct fa_actor a;

	fa_who_actor(f->worker->who, ev->pid, ev->pidfd, &a);
	/* it may be gone when the record is made */
	if (a.pid && a.comm[0] && a.pid != f->warmed_pid)
		fa_who_program(f->worker->who, &a, NULL, NULL);
	f->warmed_pid = a.pid;
	ret->pid = a.pid;
	ret->uid = a.uid;
	ret->session = a.session;
	memcpy(ret->comm, a.comm, sizeof(ret->comm));
	memcpy(ret->user, a.user, sizeof(ret->user));
}

static void place_from(const struct fan_event *ev, const struct fan_name *n, struct place *ret)
{
	ret->key_len = fa_fimdirs_key(ev->fsid, n->handle, n->handle_len, ret->key);
	snprintf(ret->name, sizeof(ret->name), "%s", n->name);
}

/* a directory that is surely none of ours, and nothing waits: most events of a busy file system */
static bool is_nothing(struct fa_fim_queue *q, const struct event *e)
{
	const char *dir;

	if (q->first || e->to.key_len || e->obj_len || (e->what & FAN_EV_DIR))
		return false;
	dir = fa_fimdirs_find(&q->fim->dirs, e->from.key, e->from.key_len);
	return dir && !dir[0];
}

void fa_fim_queue_add(struct fa_fim_queue *q, const struct fan_event *ev)
{
	struct event *e;

	if (q->fim->worker->conf->fims.n == 0)
		return;
	e = q->n < FA_FIM_QUEUE_MAX ? calloc(1, sizeof(*e)) : NULL;
	if (!e) {
		if (!q->over_said)
			fa_err("more events of the fim rules than can wait: their files are "
			       "compared with the baseline");
		q->over_said = true;
		fa_fim_tour_start(q->fim->tour);
		return;
	}
	e->what = ev->what;
	place_from(ev, &ev->from, &e->from);
	place_from(ev, &ev->to, &e->to);
	e->obj_len = fa_fimdirs_key(ev->fsid, ev->obj, ev->obj_len, e->obj);
	if (is_nothing(q, e)) {
		free(e);
		return;
	}
	actor_of(q->fim, ev, &e->actor);
	*q->last = e;
	q->last = &e->next;
	q->n++;
	if (q->n == 1)
		drain(q);
}
