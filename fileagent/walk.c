/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.c - all files below a path, see walk.h
 *
 * Open directories are a list, youngest first: a directory that was just opened is read before the
 * rest of its parent, so that few are open at a time.
 */
#include "fileagent/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES_BYTES 8192
#define NAMES_AT_ONCE 2048 /* then the loop goes round */
#define RETRY_MS 10

struct name { /* linux_dirent64 */
	uint64_t ino, off;
	uint16_t len;
	uint8_t type;
	char name[];
};

struct dir {
	struct dir *up;
	int fd;
	unsigned int depth;
	size_t at, got; /* in names */
	_Alignas(struct name) char names[NAMES_BYTES];
	char path[];
};

struct request {
	struct request *next, **pp;
	struct fa_walk *walk;
	unsigned int depth;
	bool sent;
	char path[];
};

struct fa_walk {
	struct fa_worker *worker;
	const struct fa_walk_ops *ops;
	void *arg;
	bool count_only, begun, ended;
	dev_t dev;
	struct dir *dirs;
	struct request *requests;
	size_t width, out;
	uint64_t files;
	struct io_timer soon;
};

static void pump(struct fa_walk *k);

static void soon_cb(struct io_timer *t)
{
	pump(t->arg);
}

static void soon(struct fa_walk *k, uint64_t ms)
{
	io_timer_start(k->worker->loop, &k->soon, ms, 0, soon_cb, k);
}

/* ---- requests ---- */

static struct request *request_new(struct fa_walk *k, const char *dir, const char *name)
{
	size_t size = strlen(dir) + strlen(name) + 2;
	struct request *q = calloc(1, sizeof(*q) + size);

	if (!q)
		return NULL;
	snprintf(q->path, size, "%s%s%s", dir, *name && strcmp(dir, "/") != 0 ? "/" : "", name);
	q->walk = k;
	q->next = k->requests;
	if (q->next)
		q->next->pp = &q->next;
	q->pp = &k->requests;
	k->requests = q;
	k->out++;
	return q;
}

static void request_free(struct request *q)
{
	*q->pp = q->next;
	if (q->next)
		q->next->pp = q->pp;
	free(q);
}

/* what vanishes meanwhile is no failure, but the root is */
static void failed(struct fa_walk *k, const char *path, int err)
{
	if ((err != -ENOENT || !k->begun) && k->ops->failed)
		k->ops->failed(k->arg, path, err);
}

/* takes @fd */
static void dir_opened(struct fa_walk *k, struct request *q, int fd, const struct stat *st)
{
	size_t len = strlen(q->path);
	struct dir *d;

	k->out--;
	if (!k->begun) {
		k->begun = true;
		k->dev = st->st_dev;
	}
	if (st->st_dev != k->dev || (k->ops->dir && !k->ops->dir(k->arg, q->path, fd, st))) {
		close(fd);
		return;
	}
	d = q->depth < FA_WALK_DEPTH ? malloc(sizeof(*d) + len + 1) : NULL;
	if (!d) {
		failed(k, q->path, q->depth < FA_WALK_DEPTH ? -ENOMEM : -ELOOP);
		close(fd);
		return;
	}
	d->up = k->dirs;
	d->fd = fd;
	d->depth = q->depth;
	d->at = d->got = 0;
	memcpy(d->path, q->path, len + 1);
	k->dirs = d;
}

static void opened(struct fa_walk *k, struct request *q, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		dir_opened(k, q, fd, &st);
		return;
	}
	if (S_ISREG(st.st_mode) && (!k->begun || st.st_dev == k->dev)) {
		k->files++;
		if (!k->count_only) { /* is out until fa_walk_next() */
			k->ops->file(k->arg, q->path, fd, &st);
			return;
		}
	}
	k->out--;
	close(fd);
}

static void reply_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct request *q = arg;
	struct fa_walk *k = q->walk;

	if (rec->err == 0 && fd >= 0) {
		opened(k, q, fd);
	} else {
		k->out--;
		failed(k, q->path, rec->err ? rec->err : -EIO);
	}
	request_free(q);
	soon(k, 0);
}

/* false: not now */
static bool request_send(struct request *q)
{
	struct fa_rec rec = { .op = FA_OP_OPEN, .path_len = (uint32_t)strlen(q->path) };
	struct fa_super *super = q->walk->worker->super;

	memcpy(rec.path, q->path, rec.path_len);
	q->sent = super && fa_super_request(super, &rec, NULL, 0, reply_cb, q) == 0;
	return q->sent;
}

/* ---- names ---- */

static void dir_pop(struct fa_walk *k)
{
	struct dir *d = k->dirs;

	k->dirs = d->up;
	close(d->fd);
	free(d);
}

/* NULL: no more in it */
static const struct name *next_name(struct fa_walk *k, struct dir *d)
{
	const struct name *n;

	if (d->at >= d->got) {
		ssize_t got = syscall(SYS_getdents64, d->fd, d->names, sizeof(d->names));

		if (got < 0)
			failed(k, d->path, -errno);
		if (got <= 0)
			return NULL;
		d->got = (size_t)got;
		d->at = 0;
	}
	n = (const struct name *)(d->names + d->at);
	d->at += n->len;
	return n;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* -EAGAIN: try again later */
static int take(struct fa_walk *k, const struct dir *d, const struct name *n)
{
	struct request *q;

	if (is_dots(n->name) || (n->type != DT_REG && n->type != DT_DIR && n->type != DT_UNKNOWN))
		return 0;
	if (k->count_only && n->type == DT_REG) {
		k->files++;
		return 0;
	}
	if (strlen(d->path) + strlen(n->name) + 1 > FA_REC_PATH_MAX) {
		failed(k, d->path, -ENAMETOOLONG);
		return 0;
	}
	q = request_new(k, d->path, n->name);
	if (!q) {
		failed(k, d->path, -ENOMEM);
		return 0;
	}
	q->depth = d->depth + 1;
	return request_send(q) ? 0 : -EAGAIN;
}

/* one that the supervisor's socket had no room for; at most one is */
static bool send_left(struct fa_walk *k)
{
	for (struct request *q = k->requests; q; q = q->next) {
		if (!q->sent)
			return request_send(q);
	}
	return true;
}

static void pump(struct fa_walk *k)
{
	int names = 0;

	if (k->ended)
		return;
	if (!send_left(k)) {
		soon(k, RETRY_MS);
		return;
	}
	while (k->dirs && k->out < k->width) {
		const struct name *n;

		if (++names > NAMES_AT_ONCE) {
			soon(k, 0);
			return;
		}
		n = next_name(k, k->dirs);
		if (!n) {
			dir_pop(k);
		} else if (take(k, k->dirs, n) == -EAGAIN) {
			soon(k, RETRY_MS);
			return;
		}
	}
	if (!k->dirs && k->out == 0) {
		k->ended = true;
		k->ops->done(k->arg); /* last: it may free k */
	}
}

/* ---- the owner's ---- */

int fa_walk_new(struct fa_worker *w, const char *root, size_t width, bool count_only,
	const struct fa_walk_ops *ops, void *arg, struct fa_walk **ret)
{
	struct fa_walk *k;

	if (root[0] != '/' || strlen(root) > FA_REC_PATH_MAX)
		return -EINVAL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->worker = w;
	k->ops = ops;
	k->arg = arg;
	k->count_only = count_only;
	k->width = width > FA_WALK_WIDTH_MAX ? FA_WALK_WIDTH_MAX : width;
	if (!request_new(k, root, "")) {
		free(k);
		return -ENOMEM;
	}
	soon(k, 0);
	*ret = k;
	return 0;
}

void fa_walk_free(struct fa_walk *k)
{
	if (!k)
		return;
	io_timer_stop(k->worker->loop, &k->soon);
	while (k->dirs)
		dir_pop(k);
	while (k->requests) {
		if (k->requests->sent && k->worker->super)
			fa_super_forget(k->worker->super, k->requests);
		request_free(k->requests);
	}
	free(k);
}

void fa_walk_next(struct fa_walk *k)
{
	k->out--;
	if (!k->ended)
		soon(k, 0);
}

uint64_t fa_walk_files(const struct fa_walk *k)
{
	return k->files;
}
