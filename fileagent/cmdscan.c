/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmdscan.c - SCAN: a file or a tree is scanned now, with progress
 *
 * Runs in gi-fileagent's worker. Two walks: a fast one that only counts names, so that progress
 * has an end, and one whose files go to the service (fa_scan_submit(), DEMAND): findings lead to
 * what a verdict leads to anyway. SCAN_WIDTH files are under way at a time; rows that the link does
 * not take pause the walk. Files that are excluded from events are scanned too: somebody asked.
 */
#include "fileagent/command_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileagent/walk.h"
#include "fileagent/worker_int.h"

#define SCAN_WIDTH 16
#define PROGRESS_MS 250
#define SILENCE_TICKS 16  /* a row at least each 4 s */
#define SUBMIT_TRIES 3000 /* at PROGRESS_MS / 10 each: the service was busy for over a minute */

struct file {
	struct file *next, **pp;
	struct scan *scan;
	int fd; /* -1: submitted */
	unsigned int tries;
	uint64_t size;
	char path[];
};

struct scan {
	struct fa_cmd *cmd;
	struct fa_walk *walk, *count;
	struct file *list;
	uint64_t files, bytes, total, found, failed, skipped;
	bool walked, counted;
	size_t held; /* files done whose fa_walk_next() waits for room */
	unsigned int silent;
	uint64_t said; /* files + failed at the last progress row */
	char at[WIRE_PATH_MAX + 1];
	struct io_timer progress, retry;
};

static void file_free(struct file *f)
{
	*f->pp = f->next;
	if (f->next)
		f->next->pp = f->pp;
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

static void scan_stop(struct fa_cmd *c)
{
	struct scan *s = c->state;

	io_timer_stop(c->worker->loop, &s->progress);
	io_timer_stop(c->worker->loop, &s->retry);
	fa_walk_free(s->walk);
	fa_walk_free(s->count);
	while (s->list) {
		fa_scan_forget(c->worker->scan, s->list);
		file_free(s->list);
	}
	free(s);
	c->state = NULL;
}

/* ---- rows ---- */

static void progress_row(struct scan *s)
{
	struct fa_json j;

	s->said = s->files + s->failed + s->skipped;
	s->silent = 0;
	fa_cmd_row(s->cmd, &j, "progress");
	fa_json_text(&j, "path", s->at);
	fa_json_number(&j, "files", s->files);
	fa_json_number(&j, "bytes", s->bytes);
	fa_json_number(&j, "total_files", s->counted ? s->total : 0);
	fa_json_number(&j, "found", s->found);
	fa_json_number(&j, "failed", s->failed);
	fa_json_number(&j, "skipped", s->skipped);
	fa_json_end(&j);
	fa_cmd_send(s->cmd);
}

static void failed_row(struct scan *s, const char *path, const char *why)
{
	struct fa_json j;

	s->failed++;
	fa_cmd_row(s->cmd, &j, "failed");
	fa_json_text(&j, "path", path);
	fa_json_text(&j, "text", why);
	fa_json_end(&j);
	fa_cmd_send(s->cmd);
}

static void found_row(struct scan *s, const char *path, const struct fa_outcome *o)
{
	struct fa_json j;

	s->found++;
	fa_cmd_row(s->cmd, &j, "found");
	fa_json_text(&j, "path", path);
	fa_json_text(&j, "verdict", fa_verdict_word(o->verdict));
	fa_json_text(&j, "engine", o->engine);
	fa_json_text(&j, "signature", o->signature);
	fa_json_text(&j, "text", o->action_text ? o->action_text : "");
	fa_json_end(&j);
	fa_cmd_send(s->cmd);
}

static void progress_cb(struct io_timer *t)
{
	struct scan *s = t->arg;

	if (s->said != s->files + s->failed + s->skipped || ++s->silent >= SILENCE_TICKS)
		progress_row(s);
}

/* ---- files ---- */

static void end_if_done(struct scan *s)
{
	char text[128];

	if (!s->walked || s->list)
		return;
	if (s->count) { /* it knows now */
		s->counted = true;
		s->total = s->files + s->failed + s->skipped;
	}
	progress_row(s);
	if (s->found || s->failed) {
		snprintf(text, sizeof(text), "%llu found, %llu could not be scanned",
			(unsigned long long)s->found, (unsigned long long)s->failed);
		fa_cmd_end(s->cmd, FA_CMD_EXIT_NO, text);
	} else {
		fa_cmd_end(s->cmd, 0, NULL);
	}
}

static void next_file(struct scan *s)
{
	if (fa_cmd_has_room(s->cmd))
		fa_walk_next(s->walk);
	else
		s->held++;
}

void fa_cmd_scan_room(struct fa_cmd *c)
{
	struct scan *s = c->state;

	for (; s && s->held > 0; s->held--)
		fa_walk_next(s->walk);
}

static void judged_cb(void *arg, const struct fa_outcome *o)
{
	struct file *f = arg;
	struct scan *s = f->scan;

	if (o->judged) {
		s->files++;
		s->bytes += f->size;
	}
	if (o->judged && o->verdict != IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW)
		found_row(s, f->path, o);
	else if (!o->judged && strcmp(o->reason, fa_reason_word(FA_R_TOO_LARGE)) == 0)
		s->skipped++;
	else if (!o->judged)
		failed_row(s, f->path, o->reason);
	file_free(f);
	if (!s->walked)
		next_file(s);
	end_if_done(s);
}

static void retry_cb(struct io_timer *t);

/* 0; -GI_EFULL: the service has enough to do, later */
static int submit(struct file *f)
{
	struct fa_worker *w = f->scan->cmd->worker;
	int fd = f->fd, dup, err;

	dup = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* it is taken also when there is no room */
	if (dup < 0)
		return -errno;
	err = fa_scan_submit(w->scan, dup, IDFW__FILE_OP__FILE_OP_DEMAND, judged_cb, f);
	if (err == -GI_EFULL && ++f->tries < SUBMIT_TRIES) {
		io_timer_start(w->loop, &f->scan->retry, PROGRESS_MS / 10, 0, retry_cb, f->scan);
		return 0;
	}
	if (err < 0)
		return err;
	close(fd);
	f->fd = -1;
	fa_worker_tick_on((struct worker *)w);
	return 0;
}

static void submit_or_fail(struct file *f)
{
	struct scan *s = f->scan;
	int err = submit(f);

	if (err == 0)
		return;
	failed_row(s, f->path,
		err == -ENOTCONN ? fa_reason_word(FA_R_SERVICE_DOWN) : gi_strerror(err));
	file_free(f);
	if (!s->walked)
		next_file(s);
}

static void retry_cb(struct io_timer *t)
{
	struct scan *s = t->arg;
	struct file *f = s->list, *next;

	for (; f; f = next) {
		next = f->next;
		if (f->fd >= 0)
			submit_or_fail(f);
	}
	end_if_done(s);
}

static void file_cb(void *arg, const char *path, int fd, const struct stat *st)
{
	struct scan *s = arg;
	size_t len = strlen(path) + 1;
	struct file *f = calloc(1, sizeof(*f) + len);

	snprintf(s->at, sizeof(s->at), "%s", path);
	if (!f) {
		close(fd);
		failed_row(s, path, "out of memory");
		next_file(s);
		return;
	}
	f->scan = s;
	f->fd = fd;
	f->size = (uint64_t)st->st_size;
	memcpy(f->path, path, len);
	f->next = s->list;
	if (f->next)
		f->next->pp = &f->next;
	f->pp = &s->list;
	s->list = f;
	submit_or_fail(f);
}

static void walk_failed_cb(void *arg, const char *path, int err)
{
	/* the supervisor opens what is watched, and nothing else */
	failed_row(arg, path, err == -EACCES ? "it is not in a watched place" : gi_strerror(err));
}

static void walk_done_cb(void *arg)
{
	struct scan *s = arg;

	s->walked = true;
	end_if_done(s);
}

static void count_done_cb(void *arg)
{
	struct scan *s = arg;

	s->total = fa_walk_files(s->count);
	s->counted = true;
	fa_walk_free(s->count);
	s->count = NULL;
}

void fa_cmd_scan(struct fa_cmd *c)
{
	static const struct fa_walk_ops ops = {
		.file = file_cb, .failed = walk_failed_cb, .done = walk_done_cb
	};
	static const struct fa_walk_ops count_ops = { .done = count_done_cb };
	struct scan *s = calloc(1, sizeof(*s));
	int err = s ? 0 : -ENOMEM;

	if (s) {
		s->cmd = c;
		c->state = s;
		c->stop = scan_stop;
		err = fa_walk_new(c->worker, c->path, SCAN_WIDTH, false, &ops, s, &s->walk);
	}
	if (err == 0)
		err = fa_walk_new(c->worker, c->path, 1, true, &count_ops, s, &s->count);
	if (err < 0) {
		fa_cmd_end(c, err == -EINVAL ? 2 : FA_CMD_EXIT_NO,
			err == -EINVAL ? "the path must be absolute" : gi_strerror(err));
		return;
	}
	io_timer_start(c->worker->loop, &s->progress, PROGRESS_MS, PROGRESS_MS, progress_cb, s);
}
