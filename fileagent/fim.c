/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fim.c - file integrity monitoring: what the core asks for, done; what it says, reported
 *
 * Runs in gi-fileagent's worker; worker.h has the contract, fim_int.h the parts. A look is an
 * FA_OP_OPEN of the supervisor's, fstat(2) and a hash by a thread of reads.c. A record waits for
 * the name of its actor's program, goes into the reports' journal, then the baseline's.
 */
#include "fileagent/fim_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "fileagent/who.h"

struct fim_look {
	struct fim_look *next, **pp;
	struct fa_fim *fim;
	int fd;
	bool asked, hashing, late;
	int err;
	struct fa_fim_state st;
	char path[];
};

struct fim_out { /* a record on its way */
	struct fim_out *next, **pp;
	struct fa_fim *fim;
	Idfw__FimEvent ev;
	struct fa_actor actor;
	bool has_actor, tree;
	char rule[WIRE_RULE_NAME_MAX + 1];
	uint8_t before[WIRE_SHA256_LEN], after[WIRE_SHA256_LEN];
	char *path, *new_path; /* into text */
	char text[];
};

/* ---- small things ---- */

const char *fa_fim_rule(const struct fa_fim *f, const char *path)
{
	return fa_filter_fim(f->filter, path, strlen(path));
}

static uint64_t ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

void fa_fim_state_from(const struct stat *st, struct fa_fim_state *ret)
{
	memset(ret, 0, sizeof(*ret)); /* compared as bytes */
	ret->mode = st->st_mode;
	ret->uid = st->st_uid;
	ret->gid = st->st_gid;
	ret->nlink = (uint32_t)st->st_nlink;
	ret->dev = st->st_dev;
	ret->ino = st->st_ino;
	ret->size = (uint64_t)st->st_size;
	ret->mtime_ns = ns(&st->st_mtim);
	ret->ctime_ns = ns(&st->st_ctim);
}

size_t fa_fim_key(int fd, uint8_t key[FA_FIM_HANDLE_MAX])
{
	union {
		struct file_handle h;
		uint8_t bytes[FA_FIM_HANDLE_MAX];
	} u = { .h.handle_bytes = FA_FIM_HANDLE_MAX - sizeof(uint64_t) - sizeof(u.h) };
	struct statfs fs;
	uint64_t fsid;
	int mount;

	if (name_to_handle_at(fd, "", &u.h, &mount, AT_EMPTY_PATH) < 0 || fstatfs(fd, &fs) < 0)
		return 0;
	memcpy(&fsid, &fs.f_fsid, sizeof(fsid));
	return fa_fimdirs_key(fsid, &u.h, sizeof(u.h) + u.h.handle_bytes, key);
}

static void tick_cb(struct io_timer *t)
{
	fa_fim_kick(t->arg);
}

void fa_fim_kick(struct fa_fim *f)
{
	uint64_t ms = fa_fimcore_tick(f->core, io_clock_mono_ms());

	if (ms)
		io_timer_start(f->worker->loop, &f->tick, ms, 0, tick_cb, f);
	else
		io_timer_stop(f->worker->loop, &f->tick);
}

/* ---- looks ---- */

static void look_free(struct fim_look *l)
{
	*l->pp = l->next;
	if (l->next)
		l->next->pp = l->pp;
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

static void look_done(struct fim_look *l)
{
	struct fa_fim *f = l->fim;

	fa_fimcore_found(f->core, io_clock_mono_ms(), l->path, l->err ? NULL : &l->st, l->err);
	look_free(l);
	fa_fim_kick(f);
}

static void late_cb(struct io_idle *t)
{
	struct fa_fim *f = t->arg;
	struct fim_look *l = f->looks, *next;

	for (; l; l = next) {
		next = l->next;
		if (!l->late)
			continue;
		look_done(l);
		next = f->looks; /* another may have begun */
	}
}

static void look_late(struct fim_look *l, int err)
{
	l->err = err;
	l->late = true;
	io_idle_once(l->fim->worker->loop, &l->fim->late, late_cb, l->fim);
}

static void hashed_cb(void *arg, int err, const uint8_t sha[IO_SHA256_LEN])
{
	struct fim_look *l = arg;

	l->hashing = false;
	l->st.has_sha = err == 0; /* too large, or unreadable: known by size and times */
	if (err == 0)
		memcpy(l->st.sha, sha, sizeof(l->st.sha));
	look_done(l);
}

/* the file by its handle, so that a change by another name of it is seen */
static void remember(struct fa_fim *f, const struct fim_look *l)
{
	uint8_t key[FA_FIM_HANDLE_MAX];
	size_t len = fa_fim_key(l->fd, key);
	struct fa_fimdirs *d = S_ISDIR(l->st.mode) ? &f->dirs : &f->files;

	if (len && fa_fimdirs_put(d, key, len, l->path, true) == -GI_ELIMIT)
		fa_debug("more than %d files have a handle to be known by", FA_FIM_DIRS_MAX);
}

static void opened_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct fim_look *l = arg;
	struct stat st;

	l->asked = false;
	l->fd = fd;
	if (rec->err < 0 || fd < 0) {
		l->err = rec->err < 0 ? rec->err : -EIO;
		look_done(l);
		return;
	}
	if (fstat(fd, &st) < 0) {
		l->err = -errno;
		look_done(l);
		return;
	}
	fa_fim_state_from(&st, &l->st);
	remember(l->fim, l);
	l->hashing = S_ISREG(st.st_mode) &&
		     fa_reads_hash(l->fim->worker->reads, fd, FA_FIM_HASH_MAX, hashed_cb, l) == 0;
	if (!l->hashing)
		look_done(l);
}

static void look_cb(void *arg, const char *path)
{
	struct fa_rec rec = { .op = FA_OP_OPEN, .path_len = (uint32_t)strlen(path) };
	struct fa_fim *f = arg;
	struct fim_look *l = calloc(1, sizeof(*l) + rec.path_len + 1);
	int err;

	if (!l) /* stays under way; the end of the worker is near */
		return;
	l->fim = f;
	l->fd = -1;
	memcpy(l->path, path, rec.path_len);
	memcpy(rec.path, path, rec.path_len);
	l->next = f->looks;
	if (l->next)
		l->next->pp = &l->next;
	l->pp = &f->looks;
	f->looks = l;
	err = f->worker->super ? fa_super_request(f->worker->super, &rec, NULL, 0, opened_cb, l)
			       : -ENOTCONN;
	l->asked = err == 0;
	if (err < 0)
		look_late(l, err);
}

/* ---- records ---- */

static void out_free(struct fim_out *o)
{
	*o->pp = o->next;
	if (o->next)
		o->next->pp = o->pp;
	free(o);
}

/* into the reports, then into the baseline on disk: see fimlog.c */
static void out_send(struct fim_out *o)
{
	Idfw__FileReport rep = IDFW__FILE_REPORT__INIT;
	struct fa_fim *f = o->fim;
	Idfw__FileActor actor;

	if (o->has_actor) {
		fa_actor_wire(&o->actor, &actor);
		rep.actor = &actor;
	}
	rep.body_case = IDFW__FILE_REPORT__BODY_FIM;
	rep.fim = &o->ev;
	if (fa_reports_add(f->worker->reports, &rep) < 0)
		fa_err("fim %s: a change of %s is not reported", o->rule, o->path);
	if (o->tree)
		fa_fim_journal_move(f, o->path,
			o->new_path[0] && fa_fim_rule(f, o->new_path) ? o->new_path : NULL);
	fa_fim_journal_path(f, o->path);
	if (o->new_path && o->new_path[0])
		fa_fim_journal_path(f, o->new_path);
	out_free(o);
}

static void program_cb(void *arg, const struct fa_actor *actor)
{
	struct fim_out *o = arg;

	memcpy(o->actor.exe, actor->exe, sizeof(o->actor.exe));
	out_send(o);
}

static ProtobufCBinaryData bytes(const char *text)
{
	return (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)text };
}

static ProtobufCBinaryData sha_bytes(const struct fa_fim_state *st, uint8_t copy[WIRE_SHA256_LEN])
{
	if (!st || !st->has_sha)
		return (ProtobufCBinaryData){ 0 };
	memcpy(copy, st->sha, WIRE_SHA256_LEN);
	return (ProtobufCBinaryData){ .len = WIRE_SHA256_LEN, .data = copy };
}

static struct fim_out *out_new(struct fa_fim *f, const struct fa_fim_record *r)
{
	const char *to = r->new_path ? r->new_path : "";
	size_t a = strlen(r->path) + 1, b = strlen(to) + 1;
	struct fim_out *o = calloc(1, sizeof(*o) + a + b);

	if (!o)
		return NULL;
	o->fim = f;
	o->path = o->text;
	memcpy(o->path, r->path, a);
	o->new_path = o->text + a;
	memcpy(o->new_path, to, b);
	snprintf(o->rule, sizeof(o->rule), "%s", r->rule);
	o->tree = r->tree;
	idfw__fim_event__init(&o->ev);
	o->ev.rule = o->rule;
	o->ev.op = r->op;
	o->ev.path = bytes(o->path);
	o->ev.new_path = bytes(o->new_path);
	o->ev.before = sha_bytes(r->before, o->before);
	o->ev.after = sha_bytes(r->after, o->after);
	o->ev.mode_before = r->before ? r->before->mode : 0;
	o->ev.uid_before = r->before ? r->before->uid : 0;
	o->ev.mode_after = r->after ? r->after->mode : 0;
	o->ev.uid_after = r->after ? r->after->uid : 0;
	o->ev.size_after = r->after ? r->after->size : 0;
	o->next = f->outs;
	if (o->next)
		o->next->pp = &o->next;
	o->pp = &f->outs;
	f->outs = o;
	return o;
}

static void actor_from(const struct fa_fim_actor *a, struct fa_actor *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->pid = a->pid;
	ret->uid = a->uid;
	ret->session = a->session;
	memcpy(ret->comm, a->comm, sizeof(ret->comm));
	memcpy(ret->user, a->user, sizeof(ret->user));
}

static void record_cb(void *arg, const struct fa_fim_record *r, const struct fa_fim_actor *a)
{
	struct fa_fim *f = arg;
	struct fim_out *o = out_new(f, r);

	if (!o) {
		f->worker->counters->reports_lost++;
		return;
	}
	o->has_actor = a != NULL;
	if (a)
		actor_from(a, &o->actor);
	if (a && !f->ending)
		fa_who_program(f->worker->who, &o->actor, program_cb, o);
	else
		out_send(o);
	if (!f->full_said && fa_fimbase_count(&f->base) >= FA_FIM_FILES_MAX) {
		f->full_said = true;
		fa_err("more than %d files below the fim rules: of the others, what they were "
		       "before is not known",
			FA_FIM_FILES_MAX);
	}
}

/* ---- the core's other wishes ---- */

static const char *rule_cb(void *arg, const char *path)
{
	return fa_fim_rule(arg, path);
}

static void changed_cb(void *arg, const char *path)
{
	fa_fim_journal_path(arg, path);
}

static void tree_cb(void *arg, const char *path, const struct fa_fim_actor *actor)
{
	struct fa_fim *f = arg;

	fa_fim_tour_tree(f->tour, path, actor);
}

static void overrun_cb(void *arg)
{
	struct fa_fim *f = arg;

	fa_warn("more changes than can be looked at one by one: the fim rules are walked");
	fa_fim_tour_start(f->tour);
}

/* ---- the worker's ---- */

static int filter_renew(struct fa_fim *f)
{
	struct fa_filter *filter;
	int err = fa_filter_new(f->worker->conf, &filter);

	if (err < 0)
		return err;
	fa_filter_free(f->filter);
	f->filter = filter;
	return 0;
}

/*
 * A writer that keeps its file open makes no event until it closes it: MODIFY is not asked for, as
 * every write(2) on the whole file system would be one.
 */
static void tour_cb(struct io_timer *t)
{
	struct fa_fim *f = t->arg;

	fa_fim_tour_start(f->tour);
}

/* it was built of files that we cannot compare any more: that alone is worth a record */
static void report_damage(struct fa_fim *f)
{
	const struct fa_conf *c = f->worker->conf;

	fa_err("the baseline was damaged and is built anew: what changed before is not known");
	for (size_t i = 0; i < c->fims.n; i++) {
		const struct fa_fim_conf *rule = fa_conf_fim(c, i);
		struct fa_fim_record r = { .op = IDFW__FIM_EVENT__OP__BASELINE,
			.rule = rule->label,
			.path = rule->paths.items[0] };

		record_cb(f, &r, NULL);
	}
}

int fa_fim_new(struct fa_worker *w, struct fa_fim **ret)
{
	static const struct fa_fimcore_ops ops = { .rule = rule_cb,
		.look = look_cb,
		.record = record_cb,
		.changed = changed_cb,
		.tree = tree_cb,
		.overrun = overrun_cb };
	struct fa_fim *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->worker = w;
	fa_fimbase_init(&f->base);
	fa_fimdirs_init(&f->dirs);
	fa_fimdirs_init(&f->files);
	err = filter_renew(f);
	if (err == 0)
		err = fa_fimcore_new(&f->base, &ops, f, &f->core);
	if (err == 0)
		err = fa_fim_queue_new(f, &f->queue);
	if (err == 0)
		err = fa_fim_tour_new(f, &f->tour);
	if (err == 0)
		err = fa_fim_journal_open(f);
	if (err < 0) {
		fa_fim_free(f);
		return err;
	}
	if (f->damaged && !f->restored)
		report_damage(f);
	fa_fim_tour_start(f->tour);
	io_timer_start(w->loop, &f->tour_due, FA_FIM_TOUR_MS, FA_FIM_TOUR_MS, tour_cb, f);
	*ret = f;
	return 0;
}

static void looks_free(struct fa_fim *f)
{
	while (f->looks) {
		if (f->looks->asked && f->worker->super)
			fa_super_forget(f->worker->super, f->looks);
		if (f->looks->hashing)
			fa_reads_forget(f->worker->reads, f->looks);
		look_free(f->looks);
	}
}

void fa_fim_free(struct fa_fim *f)
{
	if (!f)
		return;
	f->ending = true;
	io_timer_stop(f->worker->loop, &f->tick);
	io_timer_stop(f->worker->loop, &f->tour_due);
	io_idle_stop(f->worker->loop, &f->late);
	fa_fim_tour_free(f->tour);
	fa_fim_queue_free(f->queue);
	looks_free(f);
	if (f->core && f->journal)
		fa_fimcore_flush(f->core, io_clock_mono_ms());
	while (f->outs) { /* without their programs */
		fa_who_forget(f->worker->who, f->outs);
		out_send(f->outs);
	}
	fa_fimcore_free(f->core);
	io_spool_free(f->journal);
	fa_fimdirs_fini(&f->dirs);
	fa_fimdirs_fini(&f->files);
	fa_fimbase_fini(&f->base);
	fa_filter_free(f->filter);
	free(f);
}

void fa_fim_conf(struct fa_fim *f)
{
	struct fa_fim_file *file, *tmp;

	/* without memory the old rules stay */
	if (filter_renew(f) < 0)
		return;
	HASH_ITER (hh, f->base.files, file, tmp) {
		char path[WIRE_PATH_MAX + 1];

		if (fa_fim_rule(f, file->path))
			continue;
		memcpy(path, file->path, file->path_len + 1);
		fa_fimbase_drop(&f->base, path);
		fa_fim_journal_path(f, path);
	}
	fa_fim_tour_stop(f->tour);
	fa_fim_tour_start(f->tour);
}

void fa_fim_event(struct fa_fim *f, const struct fan_event *ev)
{
	if (ev->what & FAN_EV_OVERFLOW) {
		fa_err("events of the fim rules were lost: their files are compared with the "
		       "baseline");
		f->worker->counters->events_overflow++;
		fa_fim_tour_start(f->tour);
		return;
	}
	/* what we write ourselves is our own state; a report of it would write again */
	if (ev->pid != getpid())
		fa_fim_queue_add(f->queue, ev);
}
