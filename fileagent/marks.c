/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * marks.c - which file systems the groups watch, see marks.h
 *
 * Supervisor. A plan is a list of file systems with what is wanted of each; the kernel's present
 * marks are put beside it (fan_watched()), then the difference is made: additions first.
 */
#include "fileagent/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fileagent/fan.h"
#include "fileagent/mounts.h"

#define PLAN_MAX 512 /* file systems */
#define FIM_EVENTS                                                                            \
	(FAN_EV_CREATE | FAN_EV_DELETE | FAN_EV_RENAME | FAN_EV_ATTRIB | FAN_EV_CLOSE_WRITE | \
		FAN_EV_DIR)
#define PERM_EVENTS (FAN_EV_OPEN | FAN_EV_EXEC)

enum { G_PERM, G_NOTIFY, G_FIM, G_COUNT };

/* ---- the root file system ---- */

struct root_ids { /* our / and process 1's: by stat(2), and by mountinfo (btrfs: they differ) */
	dev_t dev[4];
	size_t n;
};

static void root_dev(struct root_ids *r, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		r->dev[r->n++] = st.st_dev;
}

static void root_mount(struct root_ids *r, const char *mountinfo)
{
	struct fa_mounts m;

	if (fa_mounts_read(mountinfo, &m) < 0)
		return;
	for (size_t i = m.n; i-- > 0;) {
		if (strcmp(m.list[i].point, "/") == 0) { /* the last one is on top */
			r->dev[r->n++] = m.list[i].dev;
			break;
		}
	}
	fa_mounts_fini(&m);
}

static bool root_has(const struct root_ids *r, dev_t dev)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->dev[i] == dev)
			return true;
	return false;
}

static void root_find(struct root_ids *r)
{
	root_dev(r, "/");
	root_dev(r, "/proc/1/root");
	root_mount(r, "/proc/self/mountinfo");
	root_mount(r, "/proc/1/mountinfo");
}

/* ---- the plan ---- */

struct plan_fs {
	dev_t dev;
	const char
		*path; /* borrowed: of the configuration or a mount point; NULL: nothing wanted */
	uint32_t want[G_COUNT], have[G_COUNT];
};

struct plan {
	struct fa_mounts mounts;
	struct root_ids root; /* not to be held; empty: all may be */
	struct plan_fs fs[PLAN_MAX];
	size_t n;
	int group; /* while the kernel's marks are read */
	int failed;
	void (*say)(void *arg, const char *words);
	void *arg;
};

static struct plan_fs *plan_get(struct plan *p, dev_t dev)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->fs[i].dev == dev)
			return &p->fs[i];
	if (p->n == PLAN_MAX)
		return NULL;
	p->fs[p->n] = (struct plan_fs){ .dev = dev };
	return &p->fs[p->n++];
}

static void plan_say(struct plan *p, const char *name, const char *path, const char *what)
{
	char words[256];

	(void)snprintf(words, sizeof(words), "%s: %.150s: %s", name, path, what);
	p->say(p->arg, words);
	p->failed++;
}

static bool type_excluded(const struct fa_conf *c, const char *type)
{
	for (size_t i = 0; i < c->exclude_fs_types.n; i++)
		if (strcmp(c->exclude_fs_types.items[i], type) == 0)
			return true;
	return false;
}

static void plan_add(struct plan *p, const struct fa_mount *m, const char *path, uint32_t perm,
	uint32_t notify, uint32_t fim)
{
	struct plan_fs *f;

	if (perm | notify && root_has(&p->root, m->dev)) {
		plan_say(p, "refused", path, "is on the file system of /");
		return;
	}
	f = plan_get(p, m->dev);
	if (!f) {
		plan_say(p, "limit", path, "too many file systems");
		return;
	}
	if (!f->path)
		f->path = path;
	f->want[G_PERM] |= perm;
	f->want[G_NOTIFY] |= notify;
	f->want[G_FIM] |= fim;
}

static bool is_below(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (len == 1)
		return true;
	return strncmp(dir, path, len) == 0 && path[len] == '/';
}

static void plan_watch(struct plan *p, const struct fa_conf *c, const struct fa_watch_conf *w)
{
	const struct fa_mount *m;
	uint32_t what = 0;
	int err = fa_mounts_of(&p->mounts, w->path, &m);

	if (err == 0)
		err = fa_conf_events(&w->events, &what);
	if (err < 0) {
		plan_say(p, w->label, w->path, gi_strerror(err));
		return;
	}
	if (type_excluded(c, m->type))
		plan_say(p, w->label, w->path, "its type is in exclude-fs-types");
	else
		plan_add(p, m, w->path, what & PERM_EVENTS, what & FAN_EV_CLOSE_WRITE, 0);
	for (size_t i = 0; w->submounts && i < p->mounts.n; i++) {
		m = &p->mounts.list[i];
		if (is_below(w->path, m->point) && !type_excluded(c, m->type))
			plan_add(p, m, m->point, what & PERM_EVENTS, what & FAN_EV_CLOSE_WRITE, 0);
	}
}

static void plan_fim(struct plan *p, const struct fa_fim_conf *f)
{
	for (size_t i = 0; i < f->paths.n; i++) {
		const struct fa_mount *m;
		int err = fa_mounts_of(&p->mounts, f->paths.items[i], &m);

		if (err < 0)
			plan_say(p, f->label, f->paths.items[i], gi_strerror(err));
		else
			plan_add(p, m, f->paths.items[i], 0, 0, FIM_EVENTS);
	}
}

static void plan_have(void *arg, dev_t dev, uint32_t what)
{
	struct plan *p = arg;
	struct plan_fs *f = plan_get(p, dev);

	if (f)
		f->have[p->group] = what;
}

/* ---- overlays ---- */

#define OVERLAYS_DEEP 4 /* the kernel stacks two */

struct layers {
	const struct plan *plan;
	int deep;
};

static bool is_held(const struct plan *p, dev_t dev)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->fs[i].dev == dev)
			return p->fs[i].want[G_PERM] | p->fs[i].want[G_NOTIFY];
	return false;
}

static bool is_over_held(const struct plan *p, const struct fa_mount *m, int deep);

static bool holds_more_than_overlays(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct fa_mount *m = fa_mounts_by_dev(&p->mounts, p->fs[i].dev);

		if (is_held(p, p->fs[i].dev) && !(m && m->opts))
			return true;
	}
	return false;
}

/* a path that is not to be found (it is one of mount(8)'s time and place) may be on any of them */
static bool layer_free(void *arg, const char *path)
{
	const struct layers *l = arg;
	const struct fa_mount *m;

	if (path[0] != '/' || fa_mounts_of(&l->plan->mounts, path, &m) < 0)
		return !holds_more_than_overlays(l->plan);
	return !is_held(l->plan, m->dev) && !is_over_held(l->plan, m, l->deep + 1);
}

static bool is_over_held(const struct plan *p, const struct fa_mount *m, int deep)
{
	struct layers l = { .plan = p, .deep = deep };

	if (!m->opts)
		return false;
	return deep >= OVERLAYS_DEEP || !fa_mounts_layers(m->opts, layer_free, &l);
}

struct hold { /* what an overlay without marks of its own wants of its layers */
	struct plan *plan;
	const char *overlay;
	uint32_t perm, notify;
	int deep;
};

static bool layer_hold(void *arg, const char *path)
{
	const struct hold *h = arg;
	struct hold below = *h;
	const struct fa_mount *m;
	char words[256];

	below.deep++;
	if (path[0] != '/' || fa_mounts_of(&h->plan->mounts, path, &m) < 0) {
		(void)snprintf(words, sizeof(words),
			"%.120s: its layer %.60s is not to be found: watched only if others are "
			"there",
			h->overlay, path);
		h->plan->say(h->plan->arg, words);
	} else if (m->opts && below.deep < OVERLAYS_DEEP) {
		(void)fa_mounts_layers(m->opts, layer_hold, &below);
	} else {
		plan_add(h->plan, m, m->point, h->perm, h->notify, 0);
	}
	return true;
}

static bool overlay_out(struct plan *p, const struct plan_fs *f)
{
	const struct fa_mount *m = fa_mounts_by_dev(&p->mounts, f->dev);
	struct hold h = {
		.plan = p, .overlay = f->path, .perm = f->want[G_PERM], .notify = f->want[G_NOTIFY]
	};

	if (!m || !is_held(p, m->dev) || !is_over_held(p, m, 0))
		return false;
	(void)fa_mounts_layers(m->opts, layer_hold, &h);
	return true;
}

/*
 * Reading an event of an overlay opens the file of its layer: with both held, whoever reads waits
 * for himself. The layer's own event is enough, if each of them has one: so what the overlay wants
 * all of its layers have. By that another overlay may be over one that is held, so until there is
 * no more.
 */
static void plan_overlays(struct plan *p)
{
	bool out[PLAN_MAX] = { false };

	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < p->n; i++)
			if (!out[i] && overlay_out(p, &p->fs[i]))
				out[i] = more = true;
	}
	for (size_t i = 0; i < p->n; i++) {
		char words[256];

		if (!out[i])
			continue;
		p->fs[i].want[G_PERM] = p->fs[i].want[G_NOTIFY] = 0;
		(void)snprintf(words, sizeof(words),
			"%.150s: an overlay: watched by its layers' file system", p->fs[i].path);
		p->say(p->arg, words);
	}
}

static int plan_make(struct plan *p, const int groups[G_COUNT], const struct fa_conf *c)
{
	int err = fa_mounts_read("/proc/self/mountinfo", &p->mounts);

	for (size_t i = 0; err == 0 && i < c->watches.n; i++)
		plan_watch(p, c, fa_conf_watch(c, i));
	for (size_t i = 0; err == 0 && i < c->fims.n; i++)
		plan_fim(p, fa_conf_fim(c, i));
	if (err == 0)
		plan_overlays(p);
	for (p->group = 0; err == 0 && p->group < G_COUNT; p->group++)
		err = fan_watched(groups[p->group], plan_have, p);
	return err;
}

static void plan_do_add(struct plan *p, const int groups[G_COUNT])
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_fs *f = &p->fs[i];

		for (size_t g = 0; g < G_COUNT; g++) {
			uint32_t add = f->want[g] & ~f->have[g];
			int err = add ? fan_watch(groups[g], f->path, add) : 0;

			if (err < 0)
				plan_say(p, "mark", f->path, gi_strerror(err));
		}
	}
}

/* a file system that is not mounted here any more cannot be named; nobody of ours opens on it */
static void plan_do_remove(struct plan *p, const int groups[G_COUNT])
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_fs *f = &p->fs[i];
		const struct fa_mount *m = fa_mounts_by_dev(&p->mounts, f->dev);

		for (size_t g = 0; m && g < G_COUNT; g++) {
			uint32_t gone = f->have[g] & ~f->want[g];
			int err = gone ? fan_unwatch(groups[g], m->point, gone) : 0;

			if (err < 0)
				plan_say(p, "unmark", m->point, gi_strerror(err));
		}
	}
}

int fa_marks_apply(const struct fa_marks_groups *g, const struct fa_conf *c, bool root_ok,
	void (*say)(void *arg, const char *words), void *arg)
{
	const int groups[G_COUNT] = { g->perm, g->notify, g->fim };
	struct plan *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->say = say;
	p->arg = arg;
	if (!root_ok || !c->allow_root_filesystem)
		root_find(&p->root);
	err = plan_make(p, groups, c);
	if (err == 0) {
		plan_do_add(p, groups);
		plan_do_remove(p, groups);
		err = p->failed;
	}
	fa_mounts_fini(&p->mounts);
	free(p);
	return err;
}

/* the agent's own files: a worker that opens one would wait for itself */
static void exclude_own(const struct fa_marks_groups *g, const struct fa_conf *c)
{
	static const char *const below[] = { "", "/reports", "/fim" };
	char path[512];

	for (size_t i = 0; i < GI_ARRAY_SIZE(below); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", c->state_dir, below[i]);
		(void)!fan_exclude(g->perm, path, true, PERM_EVENTS);
		(void)!fan_exclude(g->notify, path, true, FAN_EV_CLOSE_WRITE);
	}
}

void fa_marks_exclude(const struct fa_marks_groups *g, const struct fa_conf *c)
{
	exclude_own(g, c);
	for (size_t i = 0; i < c->exclude_paths.n; i++) {
		const char *path = c->exclude_paths.items[i];
		struct stat st;

		if (lstat(path, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
			continue;
		(void)!fan_exclude(g->perm, path, S_ISDIR(st.st_mode), PERM_EVENTS);
		(void)!fan_exclude(g->notify, path, S_ISDIR(st.st_mode), FAN_EV_CLOSE_WRITE);
	}
}

static void clear_one(void *arg, dev_t dev, uint32_t what)
{
	const struct plan *p = arg;
	const struct fa_mount *m = fa_mounts_by_dev(&p->mounts, dev);

	if (m)
		(void)!fan_unwatch(p->group, m->point, what);
}

void fa_marks_clear(const struct fa_marks_groups *g)
{
	const int groups[G_COUNT] = { g->perm, g->notify, g->fim };
	struct plan *p = calloc(1, sizeof(*p));

	if (!p || fa_mounts_read("/proc/self/mountinfo", &p->mounts) < 0) {
		free(p);
		return;
	}
	for (size_t i = 0; i < G_COUNT; i++) {
		p->group = groups[i];
		(void)!fan_watched(groups[i], clear_one, p);
		(void)!fan_ignore_flush(groups[i]);
	}
	fa_mounts_fini(&p->mounts);
	free(p);
}

/* ---- may it be watched at all ---- */

static int check_watch(const struct root_ids *r, const struct fa_mounts *mounts,
	const struct fa_watch_conf *w, bool allowed, char *why)
{
	const struct fa_mount *m;
	struct stat st;

	if (stat(w->path, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode)) {
		(void)snprintf(
			why, 256, "watch %.47s: %.150s is not a directory", w->label, w->path);
		return -ENOTDIR;
	}
	if (allowed)
		return 0;
	if (root_has(r, st.st_dev) ||
		(fa_mounts_of(mounts, w->path, &m) == 0 && root_has(r, m->dev))) {
		(void)snprintf(why, 256,
			"watch %.40s: %.90s is on the file system of /; to hold the whole machine, "
			"say allow-root-filesystem yes and --i-know-it-is-the-root",
			w->label, w->path);
		return -GI_EDENIED;
	}
	return 0;
}

int fa_marks_check(const struct fa_conf *c, bool root_ok, char ret_why[256])
{
	struct root_ids r = { .n = 0 };
	struct fa_mounts mounts;
	int err = fa_mounts_read("/proc/self/mountinfo", &mounts);

	if (err < 0) {
		(void)snprintf(ret_why, 256, "/proc/self/mountinfo: %s", gi_strerror(err));
		return err;
	}
	root_find(&r);
	for (size_t i = 0; err == 0 && i < c->watches.n; i++)
		err = check_watch(&r, &mounts, fa_conf_watch(c, i),
			root_ok && c->allow_root_filesystem, ret_why);
	fa_mounts_fini(&mounts);
	return err;
}
