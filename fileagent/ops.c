/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops.c - what the worker asks its supervisor for (rec.h)
 *
 * Marks are set at once, in the loop: one call of the kernel. All else goes to one thread through
 * a bounded queue, so that a copy of 2 GiB into quarantine delays no deadline. Invariants: each
 * request with an id gets one reply, on the socket that it came from; which paths may be opened is
 * decided in the loop, with the filter that holds then; the thread owns a job's descriptors.
 */
#include "fileagent/super.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fileagent/act.h"
#include "fileagent/act_handle.h"
#include "fileagent/fan.h"
#include "fileagent/probe.h"
#include "fileagent/tasks.h"
#include "fileagent/vault.h"
#include "lib/base/log.h"

#define JOBS_MAX 512
#define REPLY_WAIT_MS 1000 /* a worker that takes no reply for so long does without it */

struct ops_job {
	struct ops_job *next;
	int sock; /* owned: the worker may be another one when it is done */
	int fds[FA_REC_FDS_MAX];
	size_t n_fds;
	struct fa_rec rec;
};

struct fa_actor_thread {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct ops_job *first, **last; /* under lock */
	size_t n;		       /* under lock */
	bool end;		       /* under lock */
	uint64_t vault_max;	       /* under lock */
	char vault_dir[160];	       /* as it was at the start */
	struct fa_vault *vault;	       /* the thread's; NULL: could not be opened yet */
};

/* @wait: the thread may; the loop must not */
static void ops_reply(int sock, const struct fa_rec *r, int fd, bool wait)
{
	struct pollfd p = { .fd = sock, .events = POLLOUT };
	int err;

	if (r->id == 0)
		return;
	err = fa_rec_send(sock, r, &fd, fd >= 0 ? 1 : 0);
	if (err == -EAGAIN && wait && poll(&p, 1, REPLY_WAIT_MS) > 0)
		err = fa_rec_send(sock, r, &fd, fd >= 0 ? 1 : 0);
	if (err < 0 && err != -EPIPE && err != -ECONNRESET)
		gi_warn("a reply is lost: %s", gi_strerror(err));
}

static void reply_clear(struct fa_rec *r, int err)
{
	uint64_t id = r->id;

	memset(r, 0, sizeof(*r));
	r->op = FA_OP_REPLY;
	r->id = id;
	r->err = err <= -1000 ? -EPERM : err;
}

/* ---- the thread ---- */

static int vault_ready(struct fa_actor_thread *a)
{
	uint64_t max;
	int err = 0;

	pthread_mutex_lock(&a->lock);
	max = a->vault_max;
	pthread_mutex_unlock(&a->lock);
	if (!a->vault) {
		err = fa_vault_open(a->vault_dir, max, &a->vault);
		if (err < 0)
			gi_err("quarantine-dir %s: %s", a->vault_dir, gi_strerror(err));
		else if (fa_vault_cleared(a->vault))
			gi_notice("quarantine: %u rests of interrupted work removed",
				fa_vault_cleared(a->vault));
	}
	if (a->vault)
		fa_vault_max_set(a->vault, max);
	return err;
}

static int do_quarantine(struct fa_actor_thread *a, struct ops_job *j, struct fa_rec *r)
{
	int err = vault_ready(a);

	if (err < 0)
		return err;
	return fa_vault_put(a->vault, j->fds[0], &j->rec.ident, &j->rec.meta, j->rec.path,
		j->rec.path_len, r->qid, r->text);
}

static int do_vault(struct fa_actor_thread *a, struct ops_job *j, struct fa_rec *r)
{
	static const uint8_t none[16];
	int err = vault_ready(a);

	if (err < 0)
		return err;
	switch (j->rec.op) {
	case FA_OP_VAULT_LIST:
		err = fa_vault_get(a->vault, j->rec.value, r->qid, &r->meta, r->path);
		break;
	case FA_OP_VAULT_RESTORE:
		err = fa_vault_restore(a->vault, j->rec.qid, r->path);
		break;
	default:
		err = fa_vault_purge(a->vault,
			memcmp(j->rec.qid, none, sizeof(none)) ? j->rec.qid : NULL, &r->value);
		break;
	}
	r->path_len = err == 0 ? (uint32_t)strlen(r->path) : 0;
	return err;
}

static int do_who(const struct ops_job *j, struct fa_rec *r)
{
	struct pollfd p = { .fd = j->n_fds ? j->fds[0] : -1, .events = POLLIN };
	bool real = false;
	int err = fa_act_who(j->rec.pid, r->path, sizeof(r->path), &r->ident, &real);

	if (err == 0 && j->n_fds && poll(&p, 1, 0) != 0)
		err = -ESRCH; /* that pid may be somebody else's by now */
	r->value = real;
	r->path_len = err == 0 ? (uint32_t)strlen(r->path) : 0;
	return err;
}

static void job_do(struct fa_actor_thread *a, struct ops_job *j)
{
	struct fa_rec *r = calloc(1, sizeof(*r));
	int fd = -1, err = -EINVAL;

	if (!r)
		return; /* the worker asks again, or gives up at its deadline */
	switch (j->rec.op) {
	case FA_OP_DELETE:
		err = fa_act_delete(j->fds[0], &j->rec.ident, r->text);
		break;
	case FA_OP_QUARANTINE:
		err = do_quarantine(a, j, r);
		break;
	case FA_OP_TMP:
		err = fa_act_tmp(j->fds[0], &j->rec.ident, &fd);
		break;
	case FA_OP_REPLACE:
		err = fa_act_replace(j->fds[0], j->fds[1], &j->rec.ident, r->text);
		break;
	case FA_OP_OPEN:
		err = j->n_fds ? fa_act_open_at(j->fds[0], j->rec.path, &fd)
			       : fa_act_open(j->rec.path, &fd);
		break;
	case FA_OP_WHO:
		err = do_who(j, r);
		break;
	case FA_OP_TEST:
		err = fa_probe_start(j->rec.path, &fd);
		break;
	case FA_OP_TASKS:
		err = fa_tasks_open(j->rec.value, &fd, &r->value);
		break;
	case FA_OP_HANDLE:
		err = fa_handle_path(j->fds[0], j->rec.path, j->rec.path_len, r->path);
		r->path_len = err == 0 ? (uint32_t)strlen(r->path) : 0;
		break;
	default:
		err = do_vault(a, j, r);
		break;
	}
	r->id = j->rec.id;
	if (err < 0)
		gi_debug("op %u: %s%s%s", j->rec.op, gi_strerror(err), *r->text ? ": " : "",
			r->text);
	r->op = FA_OP_REPLY;
	r->err = err <= -1000 ? -EPERM : err;
	ops_reply(j->sock, r, fd, true);
	if (fd >= 0)
		(void)close(fd);
	free(r);
}

static void job_free(struct ops_job *j)
{
	for (size_t i = 0; i < j->n_fds; i++)
		(void)close(j->fds[i]);
	if (j->sock >= 0)
		(void)close(j->sock);
	free(j);
}

static void *actor_run(void *arg)
{
	struct fa_actor_thread *a = arg;

	(void)!vault_ready(a); /* rests of a kill are cleared now, not at the first verdict */
	for (;;) {
		struct ops_job *j;

		pthread_mutex_lock(&a->lock);
		while (!a->first && !a->end)
			pthread_cond_wait(&a->more, &a->lock);
		j = a->first;
		if (j) {
			a->first = j->next;
			a->n--;
			if (!a->first)
				a->last = &a->first;
		}
		pthread_mutex_unlock(&a->lock);
		if (!j)
			return NULL; /* the end, and nothing left to do */
		job_do(a, j);
		job_free(j);
	}
}

int fa_ops_init(struct fa_sup *s)
{
	struct fa_actor_thread *a = calloc(1, sizeof(*a));
	sigset_t all, old;
	int err;

	if (!a)
		return -ENOMEM;
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->more, NULL);
	a->last = &a->first;
	a->vault_max = s->conf->quarantine_max_bytes;
	(void)snprintf(a->vault_dir, sizeof(a->vault_dir), "%s", s->conf->quarantine_dir);
	(void)sigfillset(&all); /* signals are the loop's */
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	err = -pthread_create(&a->thread, NULL, actor_run, a);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err < 0) {
		free(a);
		return err;
	}
	s->actor = a;
	return 0;
}

void fa_ops_fini(struct fa_sup *s)
{
	struct fa_actor_thread *a = s->actor;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->end = true;
	pthread_cond_signal(&a->more);
	pthread_mutex_unlock(&a->lock);
	(void)pthread_join(a->thread, NULL);
	fa_vault_close(a->vault);
	free(a);
	s->actor = NULL;
}

static int job_queue(struct fa_sup *s, const struct fa_rec *r, const int *fds, size_t n)
{
	struct fa_actor_thread *a = s->actor;
	struct ops_job *j = calloc(1, sizeof(*j));
	bool full;

	if (!j)
		return -ENOMEM;
	j->sock = fcntl(s->keep.sock, F_DUPFD_CLOEXEC, 0);
	if (j->sock < 0) {
		free(j);
		return -errno;
	}
	memcpy(&j->rec, r, sizeof(*r));
	pthread_mutex_lock(&a->lock);
	full = a->n >= JOBS_MAX;
	a->vault_max = s->conf->quarantine_max_bytes;
	if (!full) {
		if (n)
			memcpy(j->fds, fds, n * sizeof(*fds));
		j->n_fds = n;
		*a->last = j;
		a->last = &j->next;
		a->n++;
		pthread_cond_signal(&a->more);
	}
	pthread_mutex_unlock(&a->lock);
	if (full)
		job_free(j);
	return full ? -EBUSY : 0;
}

/* ---- the loop ---- */

/* below a watch or a FIM path; a directory's descriptor counts by where it is now */
static bool may_open(const struct fa_sup *s, const struct fa_rec *r, const int *fds, size_t n)
{
	char link[40], path[FA_REC_PATH_MAX + 1];
	ssize_t len;

	if (n == 0)
		return fa_filter_may_open(s->filter, r->path, r->path_len);
	if (r->path_len == 0 || memchr(r->path, '/', r->path_len) || strcmp(r->path, "..") == 0)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fds[0]);
	len = readlink(link, path, sizeof(path));
	return len > 0 && fa_filter_may_open(s->filter, path, (size_t)len);
}

static int do_mark(const struct fa_sup *s, const struct fa_ident *then, int fd)
{
	struct fa_ident now;
	int err = fan_ignore(s->groups.perm, fd);

	if (err == 0)
		err = fa_ident_of(fd, &now);
	if (err == 0 && !fa_ident_same(&now, then)) {
		(void)!fan_unignore(s->groups.perm, fd);
		err = -ESTALE;
	}
	return err;
}

static void do_marks(const struct fa_sup *s, const struct fa_rec *r, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct fa_ident then;

		memcpy(&then, r->path + i * sizeof(then), sizeof(then));
		(void)!do_mark(s, &then, fds[i]); /* without its mark it is asked about again */
	}
}

/* the test's file comes into a place that the configuration names, and nowhere else */
static bool is_watch(const struct fa_sup *s, const struct fa_rec *r)
{
	for (size_t i = 0; i < s->conf->watches.n; i++) {
		const char *path = fa_conf_watch(s->conf, i)->path;

		if (strlen(path) == r->path_len && memcmp(path, r->path, r->path_len) == 0)
			return true;
	}
	return false;
}

/* the file system is found with the configuration of now; the thread then has it open */
static int do_handle(struct fa_sup *s, const struct fa_rec *r)
{
	int fs, err = fa_handle_fs(s->conf, r->path, r->path_len, &fs);

	if (err < 0)
		return err;
	err = job_queue(s, r, &fs, 1);
	if (err < 0)
		(void)close(fs);
	return err;
}

void fa_ops_handle(struct fa_sup *s, const struct fa_rec *r, const int *fds, size_t n)
{
	static struct fa_rec reply;
	int err;

	switch (r->op) {
	case FA_OP_MARK:
		err = do_mark(s, &r->ident, fds[0]);
		break;
	case FA_OP_MARKS:
		do_marks(s, r, fds, n);
		err = 0;
		break;
	case FA_OP_UNMARK:
		err = fan_unignore(s->groups.perm, fds[0]);
		break;
	case FA_OP_FLUSH:
		err = fan_ignore_flush(s->groups.perm);
		fa_marks_exclude(&s->groups, s->conf);
		break;
	case FA_OP_OPEN:
		err = may_open(s, r, fds, n) ? job_queue(s, r, fds, n) : -EACCES;
		break;
	case FA_OP_TEST:
		err = is_watch(s, r) ? job_queue(s, r, NULL, 0) : -EACCES;
		break;
	case FA_OP_HANDLE:
		err = do_handle(s, r);
		break;
	default:
		err = job_queue(s, r, fds, n);
		break;
	}
	if (err == 0 && r->op > FA_OP_FLUSH && r->op != FA_OP_MARKS)
		return; /* the thread has them */
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
	reply.id = r->id;
	reply_clear(&reply, err);
	ops_reply(s->keep.sock, &reply, -1, false);
}
