/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimcore.c - from events and looks to records, see fimcore.h
 *
 * A look waits (due_ms), is under way, or is under way with more events behind it (again). Walks
 * are in fimwalk.c's hands; what they meet is judged at the end of this file.
 */
#include "fileagent/fimcore.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CREATED 1u
#define WRITTEN 2u
#define CLOSED 4u
#define ATTRIB 8u
#define RENAMED 16u
#define TREE 32u /* a directory that came with content */

struct look {
	UT_hash_handle hh; /* by path; in the order of coming */
	unsigned int flags;
	uint64_t first_ms, due_ms;
	bool under_way;
	bool missing;	    /* was not there: the event that says so should come */
	bool gone;	    /* settled without it; its result is for nobody */
	unsigned int again; /* flags of events that came behind its beginning */
	char *from;	    /* RENAMED: owned */
	struct fa_fim_actor actor, again_actor;
	size_t path_len;
	char path[];
};

struct fa_fimcore {
	struct fa_fimbase *base;
	const struct fa_fimcore_ops *ops;
	void *arg;
	struct look *looks;
	size_t under_way;
	bool overran; /* told already, until there is room again */
};

int fa_fimcore_new(struct fa_fimbase *base, const struct fa_fimcore_ops *ops, void *arg,
	struct fa_fimcore **ret)
{
	struct fa_fimcore *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->base = base;
	c->ops = ops;
	c->arg = arg;
	*ret = c;
	return 0;
}

static void look_free(struct fa_fimcore *c, struct look *l)
{
	HASH_DEL(c->looks, l);
	if (l->under_way)
		c->under_way--;
	free(l->from);
	free(l);
}

void fa_fimcore_free(struct fa_fimcore *c)
{
	struct look *l, *tmp;

	if (!c)
		return;
	HASH_ITER (hh, c->looks, l, tmp)
		look_free(c, l);
	free(c);
}

bool fa_fimcore_idle(const struct fa_fimcore *c)
{
	return c->looks == NULL;
}

static struct look *look_find(const struct fa_fimcore *c, const char *path)
{
	struct look *l;

	HASH_FIND(hh, c->looks, path, strlen(path), l);
	return l;
}

static struct look *look_new(struct fa_fimcore *c, const char *path, uint64_t now_ms)
{
	size_t len = strlen(path);
	struct look *l = NULL;

	if (HASH_COUNT(c->looks) < FA_FIM_LOOKS_MAX)
		l = calloc(1, sizeof(*l) + len + 1);
	if (!l) {
		if (!c->overran)
			c->ops->overrun(c->arg);
		c->overran = true;
		return NULL;
	}
	l->first_ms = l->due_ms = now_ms;
	l->path_len = len;
	memcpy(l->path, path, len);
	HASH_ADD_KEYPTR(hh, c->looks, l->path, l->path_len, l);
	return l;
}

/* ---- records ---- */

static void record(
	struct fa_fimcore *c, const struct fa_fim_record *r, const struct fa_fim_actor *a)
{
	struct fa_fim_record named = *r;

	named.rule = c->ops->rule(c->arg, r->path);
	if (!named.rule && r->new_path)
		named.rule = c->ops->rule(c->arg, r->new_path);
	if (named.rule)
		c->ops->record(c->arg, &named, a);
}

static Idfw__FimEvent__Op op_of(unsigned int flags, bool known)
{
	if (flags & RENAMED)
		return IDFW__FIM_EVENT__OP__RENAME;
	if ((flags & CREATED) && !known)
		return IDFW__FIM_EVENT__OP__CREATE;
	if (flags & (CREATED | WRITTEN | CLOSED))
		return IDFW__FIM_EVENT__OP__WRITE;
	return IDFW__FIM_EVENT__OP__ATTRIB;
}

static void record_look(struct fa_fimcore *c, const struct look *l, Idfw__FimEvent__Op op,
	const struct fa_fim_state *before, const struct fa_fim_state *after)
{
	struct fa_fim_record r = { .op = op, .path = l->path, .before = before, .after = after };

	if (op == IDFW__FIM_EVENT__OP__RENAME) {
		r.path = l->from;
		r.new_path = l->path;
	}
	record(c, &r, &l->actor);
}

/* what is known without a look: a writer that only closed the file may have changed nothing */
static void record_unseen(struct fa_fimcore *c, const struct look *l)
{
	const struct fa_fim_file *f = fa_fimbase_find(c->base, l->path);

	if (l->flags & ~(CLOSED | TREE))
		record_look(c, l, op_of(l->flags, f != NULL), f ? &f->st : NULL, NULL);
}

/* recorded as far as it is known, then forgotten; one under way stays for its result's sake */
static void look_settle(struct fa_fimcore *c, struct look *l)
{
	if (!l->gone)
		record_unseen(c, l);
	if (!l->under_way) {
		look_free(c, l);
		return;
	}
	l->gone = true;
	l->flags = l->again = 0;
	free(l->from);
	l->from = NULL;
}

void fa_fimcore_flush(struct fa_fimcore *c, uint64_t now_ms)
{
	struct look *l, *tmp;

	(void)now_ms;
	HASH_ITER (hh, c->looks, l, tmp) {
		if (!l->gone)
			record_unseen(c, l);
		look_free(c, l);
	}
}

/* ---- events ---- */

static bool same_actor(const struct fa_fim_actor *a, const struct fa_fim_actor *b)
{
	return a->session == b->session && a->uid == b->uid;
}

static uint64_t due(const struct fa_fimcore *c, const struct look *l, uint64_t now_ms)
{
	const struct fa_fim_file *f = fa_fimbase_find(c->base, l->path);
	uint64_t at = now_ms + FA_FIM_SETTLE_MS;

	if (at > l->first_ms + FA_FIM_PAUSE_MS) /* however many come */
		at = l->first_ms + FA_FIM_PAUSE_MS;
	if (!(l->flags & (CLOSED | RENAMED | TREE))) {
		if (l->flags & WRITTEN)
			at = l->first_ms + FA_FIM_OPEN_MS;
		else if (l->flags & CREATED)
			at = l->first_ms + FA_FIM_CREATED_MS;
	}
	if (f && f->recorded_ms && at < f->recorded_ms + FA_FIM_PAUSE_MS)
		at = f->recorded_ms + FA_FIM_PAUSE_MS;
	return at;
}

static struct look *look_add(struct fa_fimcore *c, uint64_t now_ms, unsigned int flags,
	const char *path, const struct fa_fim_actor *actor)
{
	struct look *l = look_find(c, path);

	if (l && !l->gone && !l->under_way && !same_actor(&l->actor, actor)) {
		look_settle(c, l);
		l = NULL;
	}
	if (l && (l->under_way || l->gone)) {
		l->again |= flags;
		l->again_actor = *actor;
		return l;
	}
	if (!l)
		l = look_new(c, path, now_ms);
	if (!l)
		return NULL;
	l->flags |= flags;
	l->actor = *actor;
	l->due_ms = due(c, l, now_ms);
	return l;
}

static void on_delete(struct fa_fimcore *c, const char *path, const struct fa_fim_actor *actor)
{
	struct look *l = look_find(c, path);
	struct fa_fim_record r = { .op = IDFW__FIM_EVENT__OP__DELETE, .path = path };
	const struct fa_fim_file *f;
	struct fa_fim_state before;

	if (l)
		look_settle(c, l);
	f = fa_fimbase_find(c->base, path);
	if (f) {
		before = f->st;
		r.before = &before;
		fa_fimbase_drop(c->base, path);
	}
	record(c, &r, actor);
}

/* one directory event: nothing in it is to be hashed */
static void on_dir_rename(
	struct fa_fimcore *c, const char *path, const char *to, const struct fa_fim_actor *actor)
{
	bool from_in = c->ops->rule(c->arg, path) != NULL;
	bool to_in = to && c->ops->rule(c->arg, to) != NULL;
	struct fa_fim_record r = { .op = IDFW__FIM_EVENT__OP__RENAME,
		.path = path,
		.new_path = to ? to : "",
		.tree = true };
	const struct fa_fim_file *f = fa_fimbase_find(c->base, path);
	struct fa_fim_state before;
	size_t len = strlen(path);
	struct look *l, *tmp;

	HASH_ITER (hh, c->looks, l, tmp) {
		if (l->path_len >= len && memcmp(l->path, path, len) == 0 &&
			(l->path[len] == '/' || l->path[len] == '\0'))
			look_settle(c, l);
	}
	if (f) {
		before = f->st;
		r.before = &before;
	}
	fa_fimbase_move(c->base, path, to_in ? to : NULL);
	record(c, &r, actor);
	if (to_in && !from_in)
		c->ops->tree(c->arg, to, actor);
}

static void on_rename(struct fa_fimcore *c, uint64_t now_ms, const char *path, const char *to,
	const struct fa_fim_actor *actor)
{
	const struct fa_fim_file *f;
	struct look *l = look_find(c, path);
	bool known = fa_fimbase_find(c->base, path) != NULL;
	unsigned int carried = 0;
	struct fa_fim_state before;

	if (l && !l->gone && to) { /* written, then renamed: the same content, one look */
		carried = (l->flags | l->again) & (WRITTEN | CLOSED);
		if (!(l->flags & RENAMED) && !((l->flags & CREATED) && !known))
			l->flags = l->again = 0;
	}
	if (l)
		look_settle(c, l);
	if (!to || !c->ops->rule(c->arg, to)) {
		struct fa_fim_record r = {
			.op = IDFW__FIM_EVENT__OP__RENAME, .path = path, .new_path = to ? to : ""
		};

		f = fa_fimbase_find(c->base, path);
		if (f) {
			before = f->st;
			r.before = &before;
		}
		fa_fimbase_drop(c->base, path);
		record(c, &r, actor);
		return;
	}
	l = look_find(c, to);
	if (l)
		look_settle(c, l);
	/* what is replaced stays in the baseline until the look: it is the record's "before" */
	if (fa_fimbase_find(c->base, to))
		fa_fimbase_drop(c->base, path);
	else
		fa_fimbase_move(c->base, path, to);
	l = look_add(c, now_ms, RENAMED | carried, to, actor);
	if (!l)
		return;
	free(l->from);
	l->from = strdup(path);
	if (!l->from)
		l->flags = (l->flags & ~RENAMED) | CREATED;
}

static void on_name(struct fa_fimcore *c, uint64_t now_ms, uint32_t what, const char *path,
	const struct fa_fim_actor *actor)
{
	unsigned int flags = 0;

	/* both in one event: their order is not told. Was it there before? */
	if (what & FAN_EV_DELETE) {
		if ((what & FAN_EV_CREATE) && !fa_fimbase_find(c->base, path)) {
			struct look *l = look_find(c, path);

			if (!l)
				(void)look_add(c, now_ms, CREATED, path, actor);
			else if (!l->gone)
				l->flags |= CREATED;
		}
		on_delete(c, path, actor);
	}
	if (what & FAN_EV_CREATE)
		flags |= what & FAN_EV_DIR ? CREATED | TREE : CREATED;
	if (what & FAN_EV_MODIFY)
		flags |= WRITTEN;
	if (what & FAN_EV_CLOSE_WRITE)
		flags |= CLOSED;
	if (what & FAN_EV_ATTRIB)
		flags |= ATTRIB;
	if (flags)
		(void)look_add(c, now_ms, flags, path, actor);
}

void fa_fimcore_event(struct fa_fimcore *c, uint64_t now_ms, uint32_t what, const char *path,
	const char *to, const struct fa_fim_actor *actor)
{
	bool from_in = c->ops->rule(c->arg, path) != NULL;
	bool to_in = to && c->ops->rule(c->arg, to) != NULL;

	if ((what & FAN_EV_RENAME) && (from_in || to_in)) {
		if (what & FAN_EV_DIR)
			on_dir_rename(c, path, to, actor);
		else
			on_rename(c, now_ms, path, to, actor);
	}
	if (from_in && (what & ~(FAN_EV_RENAME | FAN_EV_DIR)))
		on_name(c, now_ms, what, path, actor);
}

void fa_fimcore_touch(
	struct fa_fimcore *c, uint64_t now_ms, const char *path, const struct fa_fim_actor *actor)
{
	if (c->ops->rule(c->arg, path))
		(void)look_add(c, now_ms, CREATED | CLOSED, path, actor);
}

/* ---- looks ---- */

uint64_t fa_fimcore_tick(struct fa_fimcore *c, uint64_t now_ms)
{
	uint64_t next = 0;

	if (HASH_COUNT(c->looks) < FA_FIM_LOOKS_MAX / 2)
		c->overran = false;
	for (struct look *l = c->looks; l; l = l->hh.next) {
		if (l->under_way)
			continue;
		if (l->due_ms > now_ms) {
			if (next == 0 || l->due_ms - now_ms < next)
				next = l->due_ms - now_ms;
		} else if (c->under_way < FA_FIM_LOOKING_MAX) {
			l->under_way = true;
			c->under_way++;
			c->ops->look(c->arg, l->path);
		} /* else: found() comes, then it is this one's turn */
	}
	return next;
}

static bool content_differs(const struct fa_fim_state *a, const struct fa_fim_state *b)
{
	if (a->has_sha && b->has_sha)
		return memcmp(a->sha, b->sha, sizeof(a->sha)) != 0;
	return a->size != b->size || a->mtime_ns != b->mtime_ns;
}

static bool owner_differs(const struct fa_fim_state *a, const struct fa_fim_state *b)
{
	return a->mode != b->mode || a->uid != b->uid || a->gid != b->gid;
}

/* something else of the inode: its xattrs, its links */
static bool inode_differs(const struct fa_fim_state *a, const struct fa_fim_state *b)
{
	return a->ctime_ns != b->ctime_ns && a->mtime_ns == b->mtime_ns;
}

/* false: nothing to record; @was: what the baseline says, NULL: it does not know the file */
static bool judge(const struct look *l, const struct fa_fim_state *was,
	const struct fa_fim_state *now, Idfw__FimEvent__Op *ret)
{
	bool dir = now && S_ISDIR(now->mode);

	*ret = op_of(l->flags & ~(dir ? WRITTEN | CLOSED : 0u), was != NULL);
	if (!now || !was || (l->flags & RENAMED))
		return true;
	if (!dir && (content_differs(was, now) || (l->flags & WRITTEN) ||
			    ((l->flags & CLOSED) && was->mtime_ns != now->mtime_ns))) {
		*ret = IDFW__FIM_EVENT__OP__WRITE;
		return true;
	}
	*ret = IDFW__FIM_EVENT__OP__ATTRIB;
	return owner_differs(was, now) || (!dir && (l->flags & ATTRIB) && inode_differs(was, now));
}

/* the other names of a file that was changed by this one */
static void look_at_links(
	struct fa_fimcore *c, uint64_t now_ms, const struct look *l, const struct fa_fim_state *st)
{
	const struct fa_fim_file *f =
		st->nlink > 1 ? fa_fimbase_linked(c->base, st->dev, st->ino, l->path) : NULL;

	if (f && content_differs(&f->st, st))
		(void)look_add(c, now_ms, CLOSED, f->path, &l->actor);
}

static void look_judge(
	struct fa_fimcore *c, uint64_t now_ms, struct look *l, const struct fa_fim_state *st)
{
	struct fa_fim_file *f = fa_fimbase_find(c->base, l->path);
	struct fa_fim_state was;
	bool known = f != NULL;
	Idfw__FimEvent__Op op;

	if (known)
		was = f->st;
	/* a full baseline costs the next record its "before", not this one */
	if (st)
		(void)!fa_fimbase_put(c->base, l->path, st);
	if (judge(l, known ? &was : NULL, st, &op)) {
		f = fa_fimbase_find(c->base, l->path);
		if (f)
			f->recorded_ms = now_ms;
		record_look(c, l, op, known ? &was : NULL, st);
	} else {
		c->ops->changed(c->arg, l->path);
	}
	if (st && S_ISDIR(st->mode) && (l->flags & TREE))
		c->ops->tree(c->arg, l->path, &l->actor);
	if (st && !S_ISDIR(st->mode))
		look_at_links(c, now_ms, l, st);
}

/*
 * Gone, and the event that says so is still on its way: it is waited for, so that what came before
 * it is recorded before it. When none comes, an event was lost: the baseline goes by what is there.
 */
static void look_missing(struct fa_fimcore *c, uint64_t now_ms, struct look *l)
{
	if (!l->missing) {
		l->missing = true;
		l->due_ms = now_ms + FA_FIM_PAUSE_MS;
		return;
	}
	if (fa_fimbase_find(c->base, l->path)) {
		struct fa_fim_record r = { .op = IDFW__FIM_EVENT__OP__DELETE, .path = l->path };
		struct fa_fim_state before = fa_fimbase_find(c->base, l->path)->st;

		r.before = &before;
		fa_fimbase_drop(c->base, l->path);
		record(c, &r, NULL);
	}
	look_free(c, l);
}

static void look_again(struct fa_fimcore *c, uint64_t now_ms, struct look *l)
{
	if (!l->again) {
		look_free(c, l);
		return;
	}
	l->flags = l->again;
	l->again = 0;
	l->gone = l->missing = false;
	l->actor = l->again_actor;
	l->first_ms = now_ms;
	l->due_ms = due(c, l, now_ms);
}

void fa_fimcore_found(struct fa_fimcore *c, uint64_t now_ms, const char *path,
	const struct fa_fim_state *st, int err)
{
	struct look *l = look_find(c, path);

	if (!l || !l->under_way)
		return;
	l->under_way = false;
	c->under_way--;
	if (!l->gone && !l->again && !st && err == -ENOENT) {
		look_missing(c, now_ms, l);
		return;
	}
	if (!l->gone && (st || err != -ENOENT))
		look_judge(c, now_ms, l, st);
	look_again(c, now_ms, l);
}

/* ---- walks ---- */

bool fa_fimcore_differs(const struct fa_fimcore *c, const char *path, const struct fa_fim_state *st)
{
	const struct fa_fim_file *f = fa_fimbase_find(c->base, path);

	return !f || f->st.ino != st->ino || f->st.dev != st->dev || f->st.size != st->size ||
	       f->st.mtime_ns != st->mtime_ns || f->st.ctime_ns != st->ctime_ns || !f->st.has_sha;
}

void fa_fimcore_seen(struct fa_fimcore *c, uint32_t walk, const char *path,
	const struct fa_fim_state *st, bool build)
{
	struct fa_fim_file *f = fa_fimbase_find(c->base, path);
	struct fa_fim_record r = { .op = IDFW__FIM_EVENT__OP__BASELINE, .path = path, .after = st };
	struct fa_fim_state before;

	if (look_find(c, path)) { /* its look will say what happened, and who did it */
		if (f)
			f->seen = walk;
		return;
	}
	if (f) {
		before = f->st;
		r.before = &before;
	}
	(void)!fa_fimbase_put(c->base, path, st);
	f = fa_fimbase_find(c->base, path);
	if (f)
		f->seen = walk;
	if (!build && (!r.before || owner_differs(&before, st) ||
			      (!S_ISDIR(st->mode) && content_differs(&before, st))))
		record(c, &r, NULL);
	else if (!r.before || memcmp(&before, st, sizeof(before)) != 0)
		c->ops->changed(c->arg, path);
}

void fa_fimcore_unseen(struct fa_fimcore *c, uint32_t walk, const char *root)
{
	size_t len = strlen(root);
	struct fa_fim_file *f, *tmp;

	HASH_ITER (hh, c->base->files, f, tmp) {
		struct fa_fim_record r = { .op = IDFW__FIM_EVENT__OP__BASELINE };
		struct fa_fim_state before = f->st;
		char path[WIRE_PATH_MAX + 1];

		if (f->seen == walk || f->path_len < len || memcmp(f->path, root, len) != 0 ||
			(f->path_len > len && f->path[len] != '/') || look_find(c, f->path))
			continue;
		memcpy(path, f->path, f->path_len + 1);
		fa_fimbase_drop(c->base, path);
		r.path = path;
		r.before = &before;
		record(c, &r, NULL);
	}
}
