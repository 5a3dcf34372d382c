/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimwalk.c - walks below the fim rules' paths: at start, after lost events, when a directory came
 *
 * A tour visits each path of each rule, one after the other, and reads what is not as the baseline
 * says, at most FA_FIM_RATE bytes a second. A rule that the baseline does not have yet is built: no
 * difference is a record. Else whatever differs, came or went is a BASELINE record: changed while
 * nobody watched. Trees (a directory that was moved in) go before the rest of a tour.
 * Failure direction: below a path that could not be walked as a whole nothing is taken for gone.
 */
#include "fileagent/fim_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io/sha256.h"

#define FILE_COST 32768u /* bytes' worth of opening one */
#define PAUSE_MS 50

struct tree {
	struct tree *next;
	struct fa_fim_actor actor;
	char path[];
};

struct visit { /* a file whose content is read */
	struct visit *next, **pp;
	struct fa_fim_tour *tour;
	int fd;
	struct fa_fim_state st;
	char path[];
};

struct fa_fim_tour {
	struct fa_fim *fim;
	struct fa_walk *walk;
	struct tree *trees, **last_tree;
	struct tree *tree; /* being walked; NULL: a rule's path is */
	bool running, again;
	size_t rule, path; /* of the configuration: next to be walked */
	uint32_t number;
	bool build;
	bool rule_failed;
	uint64_t failures, met;
	uint8_t digest[WIRE_SHA256_LEN];
	char root[WIRE_PATH_MAX + 1];
	struct visit *visits;
	uint64_t debt_bytes;
	size_t held; /* fa_walk_next() that wait for the pause's end */
	struct io_timer pause;
	struct io_idle soon;
};

static void step(struct fa_fim_tour *t);

int fa_fim_tour_new(struct fa_fim *f, struct fa_fim_tour **ret)
{
	struct fa_fim_tour *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->fim = f;
	t->last_tree = &t->trees;
	*ret = t;
	return 0;
}

static void visit_free(struct visit *v)
{
	*v->pp = v->next;
	if (v->next)
		v->next->pp = v->pp;
	if (v->fd >= 0)
		close(v->fd);
	free(v);
}

void fa_fim_tour_stop(struct fa_fim_tour *t)
{
	struct tree *x;

	io_timer_stop(t->fim->worker->loop, &t->pause);
	io_idle_stop(t->fim->worker->loop, &t->soon);
	fa_walk_free(t->walk);
	t->walk = NULL;
	while (t->visits) {
		fa_reads_forget(t->fim->worker->reads, t->visits);
		visit_free(t->visits);
	}
	free(t->tree);
	t->tree = NULL;
	while ((x = t->trees)) {
		t->trees = x->next;
		free(x);
	}
	t->last_tree = &t->trees;
	t->running = t->again = false;
	t->held = 0;
}

void fa_fim_tour_free(struct fa_fim_tour *t)
{
	if (!t)
		return;
	fa_fim_tour_stop(t);
	free(t);
}

bool fa_fim_tour_runs(const struct fa_fim_tour *t)
{
	return t->running || t->walk || t->trees;
}

/* ---- what is met ---- */

static void pause_cb(struct io_timer *timer)
{
	struct fa_fim_tour *t = timer->arg;
	uint64_t paid = (uint64_t)FA_FIM_RATE * PAUSE_MS / 1000;

	t->debt_bytes = t->debt_bytes > paid ? t->debt_bytes - paid : 0;
	if (t->debt_bytes > paid) {
		io_timer_start(t->fim->worker->loop, &t->pause, PAUSE_MS, 0, pause_cb, t);
		return;
	}
	for (; t->held > 0; t->held--)
		fa_walk_next(t->walk);
}

/* the walk goes on, now or when what was read is paid for */
static void go_on(struct fa_fim_tour *t, uint64_t cost)
{
	t->debt_bytes += cost;
	if (t->debt_bytes <= (uint64_t)FA_FIM_RATE * PAUSE_MS / 1000 && t->held == 0) {
		fa_walk_next(t->walk);
		return;
	}
	if (t->held++ == 0)
		io_timer_start(t->fim->worker->loop, &t->pause, PAUSE_MS, 0, pause_cb, t);
}

static void met(struct fa_fim_tour *t, const char *path, const struct fa_fim_state *st)
{
	struct fa_fim *f = t->fim;

	t->met++;
	if (t->tree)
		fa_fimcore_touch(f->core, io_clock_mono_ms(), path, &t->tree->actor);
	else
		fa_fimcore_seen(f->core, t->number, path, st, t->build);
}

static void hashed_cb(void *arg, int err, const uint8_t sha[IO_SHA256_LEN])
{
	struct visit *v = arg;
	struct fa_fim_tour *t = v->tour;

	v->st.has_sha = err == 0;
	if (err == 0)
		memcpy(v->st.sha, sha, sizeof(v->st.sha));
	met(t, v->path, &v->st);
	go_on(t, FILE_COST + v->st.size);
	visit_free(v);
	fa_fim_kick(t->fim);
}

/* takes @fd; false: it cannot be read now */
static bool read_content(
	struct fa_fim_tour *t, const char *path, int fd, const struct fa_fim_state *st)
{
	size_t len = strlen(path) + 1;
	struct visit *v = calloc(1, sizeof(*v) + len);

	if (!v) {
		close(fd);
		return false;
	}
	v->tour = t;
	v->fd = fd;
	v->st = *st;
	memcpy(v->path, path, len);
	v->next = t->visits;
	if (v->next)
		v->next->pp = &v->next;
	v->pp = &t->visits;
	t->visits = v;
	if (fa_reads_hash(t->fim->worker->reads, fd, FA_FIM_HASH_MAX, hashed_cb, v) == 0)
		return true;
	visit_free(v);
	return false;
}

static void remember(struct fa_fimdirs *d, int fd, const char *path)
{
	uint8_t key[FA_FIM_HANDLE_MAX];
	size_t len = fa_fim_key(fd, key);

	if (len && fa_fimdirs_put(d, key, len, path, true) < 0)
		fa_debug("fim: %s has no place among the known", path);
}

static void file_cb(void *arg, const char *path, int fd, const struct stat *st)
{
	struct fa_fim_tour *t = arg;
	struct fa_fim *f = t->fim;
	struct fa_fim_state now;

	fa_fim_state_from(st, &now);
	if (!fa_fim_rule(f, path)) {
		close(fd);
		go_on(t, 0);
		return;
	}
	remember(&f->files, fd, path);
	if (!t->tree && fa_fimcore_differs(f->core, path, &now)) {
		if (!read_content(t, path, fd, &now)) {
			t->failures++;
			go_on(t, FILE_COST);
		}
		return;
	}
	close(fd);
	if (!t->tree) { /* as it was, so its hash is what it was */
		const struct fa_fim_file *file = fa_fimbase_find(&f->base, path);

		now.has_sha = file->st.has_sha;
		memcpy(now.sha, file->st.sha, sizeof(now.sha));
	}
	met(t, path, &now);
	go_on(t, FILE_COST / 8);
}

static bool dir_cb(void *arg, const char *path, int fd, const struct stat *st)
{
	struct fa_fim_tour *t = arg;
	struct fa_fim_state now;

	if (!fa_fim_rule(t->fim, path))
		return false;
	remember(&t->fim->dirs, fd, path);
	fa_fim_state_from(st, &now);
	if (!t->tree || strcmp(path, t->tree->path) != 0)
		met(t, path, &now);
	return true;
}

static void failed_cb(void *arg, const char *path, int err)
{
	struct fa_fim_tour *t = arg;

	if (err == -ENOENT) /* the path of a rule: there is nothing below it */
		return;
	t->failures++;
	fa_notice("fim: %s cannot be looked at: %s", path, gi_strerror(err));
}

/* ---- the way ---- */

static void soon_cb(struct io_idle *i)
{
	step(i->arg);
}

static void done_cb(void *arg)
{
	struct fa_fim_tour *t = arg;

	if (!t->tree && t->failures == 0)
		fa_fimcore_unseen(t->fim->core, t->number, strcmp(t->root, "/") ? t->root : "");
	if (t->failures)
		t->rule_failed = true;
	free(t->tree);
	t->tree = NULL;
	fa_walk_free(t->walk);
	t->walk = NULL;
	fa_fim_kick(t->fim);
	io_idle_once(t->fim->worker->loop, &t->soon, soon_cb, t);
}

static const struct fa_walk_ops walk_ops = {
	.file = file_cb, .dir = dir_cb, .failed = failed_cb, .done = done_cb
};

static bool walk_begin(struct fa_fim_tour *t, const char *root)
{
	t->failures = 0;
	t->held = 0;
	if (fa_walk_new(t->fim->worker, root, FA_FIM_WALK_WIDTH, false, &walk_ops, t, &t->walk) ==
		0)
		return true;
	fa_err("fim: no memory for a walk of %s", root);
	return false;
}

static void add_list(struct io_sha256 *h, const struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		io_sha256_add(h, l->items[i], strlen(l->items[i]) + 1);
	io_sha256_add(h, "", 1);
}

static int rule_digest(const struct fa_fim_conf *r, uint8_t ret[WIRE_SHA256_LEN])
{
	struct io_sha256 *h;
	int err = io_sha256_new(&h);

	if (err < 0)
		return err;
	io_sha256_add(h, r->label, strlen(r->label) + 1);
	add_list(h, &r->paths);
	add_list(h, &r->exclude);
	io_sha256_end(h, ret);
	io_sha256_free(h);
	return 0;
}

static void rule_begin(struct fa_fim_tour *t, const struct fa_fim_conf *r)
{
	t->path = 0;
	t->rule_failed = false;
	if (rule_digest(r, t->digest) < 0)
		memset(t->digest, 0, sizeof(t->digest));
	t->build = !fa_fimbase_has_rule(&t->fim->base, t->digest);
}

static void rule_end(struct fa_fim_tour *t, const struct fa_fim_conf *r)
{
	if (t->build && !t->rule_failed) {
		fa_fimbase_set_rule(&t->fim->base, t->digest, true);
		fa_fim_journal_rule(t->fim, t->digest);
		fa_notice("fim %s: baseline built, %zu files and directories in all", r->label,
			fa_fimbase_count(&t->fim->base));
	}
	t->rule++;
}

static void tour_end(struct fa_fim_tour *t)
{
	t->running = false;
	fa_info("fim: %llu files and directories compared with the baseline",
		(unsigned long long)t->met);
	if (t->again)
		fa_fim_tour_start(t);
}

/* the next thing to walk, if nothing is being walked */
static void step(struct fa_fim_tour *t)
{
	const struct fa_conf *c = t->fim->worker->conf;

	while (!t->walk && t->trees) {
		t->tree = t->trees;
		t->trees = t->tree->next;
		if (!t->trees)
			t->last_tree = &t->trees;
		if (walk_begin(t, t->tree->path))
			return;
		free(t->tree);
		t->tree = NULL;
	}
	while (!t->walk && t->running) {
		const struct fa_fim_conf *r;

		if (t->rule >= c->fims.n) {
			tour_end(t);
			return;
		}
		r = fa_conf_fim(c, t->rule);
		if (t->path == 0)
			rule_begin(t, r);
		if (t->path >= r->paths.n) {
			t->path = 0;
			rule_end(t, r);
			continue;
		}
		snprintf(t->root, sizeof(t->root), "%s", r->paths.items[t->path++]);
		if (!walk_begin(t, t->root))
			t->rule_failed = true;
	}
}

void fa_fim_tour_start(struct fa_fim_tour *t)
{
	if (t->running) {
		t->again = true;
		return;
	}
	t->running = true;
	t->again = false;
	t->rule = t->path = 0;
	t->met = 0;
	t->number++;
	io_idle_once(t->fim->worker->loop, &t->soon, soon_cb, t);
}

void fa_fim_tour_tree(struct fa_fim_tour *t, const char *path, const struct fa_fim_actor *actor)
{
	size_t len = strlen(path) + 1;
	struct tree *x = calloc(1, sizeof(*x) + len);

	if (!x) {
		fa_fim_tour_start(t);
		return;
	}
	x->actor = *actor;
	memcpy(x->path, path, len);
	*t->last_tree = x;
	t->last_tree = &x->next;
	io_idle_once(t->fim->worker->loop, &t->soon, soon_cb, t);
}
