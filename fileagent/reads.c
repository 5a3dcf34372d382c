/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reads.c - a few threads that read and write content, see reads.h
 *
 * Runs in the worker. The loop's thread owns every job but while a thread works on it: a job goes
 * from the queue to a thread and back through the list of done ones, both under one lock; an
 * eventfd wakes the loop. Threads touch nothing else, call nothing that could open a file.
 */
#include "fileagent/reads.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define HASH_STEP (256u << 10)
#define THREAD_STACK (256u << 10)
#define THREADS_MAX 64

enum kind { JOB_RANGE, JOB_WRITE, JOB_HASH };

struct job {
	struct job *next;      /* in the queue, or among the done */
	struct job *all, **pp; /* all jobs, the loop's thread only */
	enum kind kind;
	int fd; /* its own */
	int err;
	uint64_t offset;
	size_t len; /* bytes in data */
	uint8_t sha[IO_SHA256_LEN];
	union {
		void (*range)(void *arg, int err, const void *data, size_t len);
		void (*write)(void *arg, int err);
		void (*hash)(void *arg, int err, const uint8_t sha[IO_SHA256_LEN]);
	} done;
	void *arg;
	bool forgotten; /* the loop's thread only */
	uint8_t data[];
};

struct fa_reads {
	struct io_loop *loop;
	struct io_fd wake;
	int wake_fd;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job *first, **last; /* queue */
	struct job *ready;	   /* done ones, newest first */
	bool stop;
	struct job *all;
	size_t jobs;
	pthread_t thread[THREADS_MAX];
	unsigned int threads;
};

/* ---- threads ---- */

static int work_range(struct job *j)
{
	size_t got = 0;

	while (got < j->len) {
		ssize_t n = pread(j->fd, j->data + got, j->len - got, (off_t)(j->offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	j->len = got;
	return 0;
}

static int work_write(struct job *j)
{
	size_t put = 0;

	while (put < j->len) {
		ssize_t n = pwrite(j->fd, j->data + put, j->len - put, (off_t)(j->offset + put));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		put += (size_t)n;
	}
	return 0;
}

static int hash_file(struct job *j, struct io_sha256 *h, uint8_t *buf)
{
	uint64_t at = 0;

	for (;;) {
		ssize_t n = pread(j->fd, buf, HASH_STEP, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (uint64_t)n;
		if (at > j->offset) /* of a hash: the bound */
			return -EFBIG;
		io_sha256_add(h, buf, (size_t)n);
	}
	io_sha256_end(h, j->sha);
	return 0;
}

static int work_hash(struct job *j)
{
	struct io_sha256 *h = NULL;
	uint8_t *buf = malloc(HASH_STEP);
	int err = buf ? io_sha256_new(&h) : -ENOMEM;

	if (err == 0)
		err = hash_file(j, h, buf);
	io_sha256_free(h);
	free(buf);
	return err;
}

static void work(struct job *j)
{
	switch (j->kind) {
	case JOB_RANGE:
		j->err = work_range(j);
		break;
	case JOB_WRITE:
		j->err = work_write(j);
		break;
	case JOB_HASH:
		j->err = work_hash(j);
		break;
	}
}

static struct job *queue_take(struct fa_reads *r)
{
	struct job *j = r->first;

	r->first = j->next;
	if (!r->first)
		r->last = &r->first;
	return j;
}

static void *thread_main(void *arg)
{
	struct fa_reads *r = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		struct job *j;

		if (!r->first) {
			pthread_cond_wait(&r->work, &r->lock);
			continue;
		}
		j = queue_take(r);
		pthread_mutex_unlock(&r->lock);
		work(j);
		pthread_mutex_lock(&r->lock);
		j->next = r->ready;
		r->ready = j;
		if (!j->next && write(r->wake_fd, &one, sizeof(one)) < 0)
			continue; /* only when its count is full: then it is awake */
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- the loop's thread ---- */

static void job_free(struct fa_reads *r, struct job *j)
{
	*j->pp = j->all;
	if (j->all)
		j->all->pp = j->pp;
	r->jobs--;
	close(j->fd);
	free(j);
}

static void job_tell(struct job *j)
{
	switch (j->kind) {
	case JOB_RANGE:
		j->done.range(j->arg, j->err, j->data, j->err ? 0 : j->len);
		break;
	case JOB_WRITE:
		j->done.write(j->arg, j->err);
		break;
	case JOB_HASH:
		j->done.hash(j->arg, j->err, j->sha);
		break;
	}
}

static void wake_cb(struct io_fd *w, unsigned int events)
{
	struct fa_reads *r = w->arg;
	struct job *list, *oldest = NULL;
	uint64_t count;

	(void)events;
	if (read(r->wake_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&r->lock);
	list = r->ready;
	r->ready = NULL;
	pthread_mutex_unlock(&r->lock);
	while (list) { /* oldest first */
		struct job *next = list->next;

		list->next = oldest;
		oldest = list;
		list = next;
	}
	while (oldest) {
		struct job *j = oldest;

		oldest = j->next;
		if (!j->forgotten)
			job_tell(j);
		job_free(r, j);
	}
}

static int job_new(struct fa_reads *r, enum kind kind, int fd, size_t room, struct job **ret)
{
	struct job *j;

	if (r->jobs >= FA_READS_JOBS_MAX || room > FA_READS_LEN_MAX)
		return -GI_EFULL;
	j = calloc(1, sizeof(*j) + room);
	if (!j)
		return -ENOMEM;
	j->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (j->fd < 0) {
		free(j);
		return -errno;
	}
	j->kind = kind;
	j->all = r->all;
	j->pp = &r->all;
	if (r->all)
		r->all->pp = &j->all;
	r->all = j;
	r->jobs++;
	*ret = j;
	return 0;
}

static void job_start(struct fa_reads *r, struct job *j)
{
	pthread_mutex_lock(&r->lock);
	j->next = NULL;
	*r->last = j;
	r->last = &j->next;
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->lock);
}

int fa_reads_range(struct fa_reads *r, int fd, uint64_t offset, size_t len,
	void (*done)(void *arg, int err, const void *data, size_t len), void *arg)
{
	struct job *j;
	int err = job_new(r, JOB_RANGE, fd, len, &j);

	if (err < 0)
		return err;
	j->offset = offset;
	j->len = len;
	j->done.range = done;
	j->arg = arg;
	job_start(r, j);
	return 0;
}

int fa_reads_write(struct fa_reads *r, int fd, uint64_t offset, const void *data, size_t len,
	void (*done)(void *arg, int err), void *arg)
{
	struct job *j;
	int err = job_new(r, JOB_WRITE, fd, len, &j);

	if (err < 0)
		return err;
	memcpy(j->data, data, len);
	j->offset = offset;
	j->len = len;
	j->done.write = done;
	j->arg = arg;
	job_start(r, j);
	return 0;
}

int fa_reads_hash(struct fa_reads *r, int fd, uint64_t max,
	void (*done)(void *arg, int err, const uint8_t sha[IO_SHA256_LEN]), void *arg)
{
	struct job *j;
	int err = job_new(r, JOB_HASH, fd, 0, &j);

	if (err < 0)
		return err;
	j->offset = max;
	j->done.hash = done;
	j->arg = arg;
	job_start(r, j);
	return 0;
}

void fa_reads_forget(struct fa_reads *r, const void *arg)
{
	for (struct job *j = r->all; j; j = j->all)
		if (j->arg == arg)
			j->forgotten = true;
}

int fa_read_now(int fd, uint64_t offset, void *buf, size_t len, size_t *ret_len)
{
	size_t got = 0;

	while (got < len) {
		struct iovec v = { .iov_base = (uint8_t *)buf + got, .iov_len = len - got };
		ssize_t n = preadv2(fd, &v, 1, (off_t)(offset + got), RWF_NOWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EOPNOTSUPP ? -EAGAIN : -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_len = got;
	return 0;
}

static int threads_start(struct fa_reads *r, unsigned int threads)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int err = 0;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the loop's */
	while (err == 0 && r->threads < threads && r->threads < THREADS_MAX) {
		err = pthread_create(&r->thread[r->threads], &attr, thread_main, r);
		if (err == 0)
			r->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return r->threads > 0 ? 0 : -err;
}

int fa_reads_new(struct io_loop *l, unsigned int threads, struct fa_reads **ret)
{
	struct fa_reads *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->loop = l;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = r->wake_fd < 0 ? -errno : threads_start(r, threads ? threads : 1);
	if (err < 0) {
		fa_reads_free(r);
		return err;
	}
	io_fd_start(l, &r->wake, r->wake_fd, IO_READ, wake_cb, r);
	*ret = r;
	return 0;
}

void fa_reads_free(struct fa_reads *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->work);
	pthread_mutex_unlock(&r->lock);
	for (unsigned int i = 0; i < r->threads; i++)
		pthread_join(r->thread[i], NULL);
	if (r->wake_fd >= 0) {
		io_fd_stop(r->loop, &r->wake);
		close(r->wake_fd);
	}
	while (r->all)
		job_free(r, r->all);
	pthread_cond_destroy(&r->work);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
