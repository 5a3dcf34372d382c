/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - the database as the loop sees it: a bounded queue, a writer thread, an eventfd
 *
 * Runs in svm-idfw. The loop's thread copies records into the queue and never waits for a disk; the
 * writer takes all that is there (at most STORE_BATCH_MAX) into one transaction, so the slower the
 * disk, the larger the batch. After COMMIT it notes the highest event a VM and wakes the loop by an
 * eventfd. A failed batch is kept and tried again with backoff: nothing is lost, nothing twice,
 * nothing acknowledged. Everything below "shared" in struct idfw_store is under its mutex; the
 * writer's connection and batch are the writer's alone.
 * Source: docs/adr/0010-store-group-commit.md; pthreads(7), eventfd(2).
 */
#include "svm-idfw/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "svm-idfw/store_sql.h"

#define STORE_RETRY_MIN_MS 50
#define STORE_RETRY_MAX_MS 2000
#define STORE_POLICY_WAIT_MS 10000

struct store_done {  /* events of one boot of one VM that are on disk; not yet told */
	bool outbox; /* svm-scan's records instead: boot_id is the outbox, the key its hex */
	uint8_t boot_id[16];
	uint64_t seq;
	UT_hash_handle hh;
	char vm[]; /* key: the boot and the name behind it */
};

struct store_policy { /* one at a time; the loop waits for it */
	uint64_t generation, time_ms;
	const char *by, *text; /* borrowed while the loop waits */
	size_t len;
	bool finished;
	int err;
	char why[STORE_WHY_MAX];
};

struct idfw_store {
	struct io_loop *loop;
	struct idfw_store_ops ops;
	void *arg;
	struct io_fd wake; /* eventfd: the writer has news */
	int wake_fd;
	struct store_sql *reader; /* the loop's */
	int told_err;		  /* as last reported to the owner */
	uint64_t rejected_full;	  /* the loop's counter */

	struct store_sql *writer; /* the writer's, once it runs */
	pthread_t thread;
	bool running;

	/* shared */
	pthread_mutex_t lock;
	pthread_cond_t work, policy_done; /* monotonic clock */
	struct store_rec *head, **tail;
	size_t queued, queued_bytes; /* the batch at the writer included */
	struct store_policy *policy; /* waiting or being written; NULL none */
	bool policy_taken;	     /* the writer is at it */
	struct store_done *done;
	bool stop;
	int err;
	char why[STORE_WHY_MAX];
	uint64_t records, commits, errors;
};

static int store_init(struct idfw_store *s);
static void *store_thread(void *arg);
static int store_put(struct idfw_store *s, struct store_rec *r);
static void store_wake_cb(struct io_fd *w, unsigned int events);
static void store_wait(struct idfw_store *s, pthread_cond_t *c, unsigned int ms);

int idfw_store_open(struct io_loop *l, const char *path, const struct idfw_store_ops *ops,
	void *arg, char ret_why[256], struct idfw_store **ret)
{
	struct idfw_store *s = calloc(1, sizeof(*s));
	int err;

	ret_why[0] = '\0';
	if (!s)
		return -ENOMEM;
	s->loop = l;
	s->ops = *ops;
	s->arg = arg;
	s->wake_fd = -1;
	err = store_sql_open(path, ret_why, &s->writer);
	if (err == 0)
		err = store_sql_open_reader(path, ret_why, &s->reader);
	if (err == 0)
		err = store_init(s);
	if (err < 0) {
		if (ret_why[0] == '\0')
			(void)snprintf(ret_why, 256, "%.150s: %s", path, gi_strerror(err));
		if (s->wake_fd >= 0)
			(void)close(s->wake_fd);
		store_sql_close(s->reader);
		store_sql_close(s->writer);
		free(s);
		return err;
	}
	io_fd_start(l, &s->wake, s->wake_fd, IO_READ, store_wake_cb, s);
	*ret = s;
	return 0;
}

void idfw_store_close(struct idfw_store *s)
{
	struct store_done *d, *next;
	struct store_rec *r;

	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->stop = true;
	(void)pthread_cond_signal(&s->work);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	io_fd_stop(s->loop, &s->wake);
	(void)close(s->wake_fd);
	while ((r = s->head) !=
		NULL) { /* the disk would not take them; the agents still have them */
		s->head = r->next;
		free(r);
	}
	HASH_ITER (hh, s->done, d, next) {
		HASH_DELETE(hh, s->done, d);
		free(d);
	}
	store_sql_close(s->reader);
	store_sql_close(s->writer);
	(void)pthread_cond_destroy(&s->work);
	(void)pthread_cond_destroy(&s->policy_done);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

int idfw_store_put(struct idfw_store *s, const struct idfw_record *r)
{
	struct store_rec *copy;
	int err = store_rec_new(r, &copy);

	return err < 0 ? err : store_put(s, copy);
}

int idfw_store_put_principal(struct idfw_store *s, const struct idfw_principal *p)
{
	struct store_rec *copy;
	int err = store_rec_principal(p, &copy);

	return err < 0 ? err : store_put(s, copy);
}

int idfw_store_put_as_of(struct idfw_store *s, const struct idfw_as_of *as_of)
{
	struct store_rec *copy;
	int err = store_rec_as_of(as_of, &copy);

	return err < 0 ? err : store_put(s, copy);
}

int idfw_store_put_policy(struct idfw_store *s, uint64_t generation, const char *by,
	uint64_t time_ms, const char *text, size_t len)
{
	struct store_policy p = {
		.generation = generation, .time_ms = time_ms, .by = by, .text = text, .len = len
	};
	uint64_t until = io_clock_mono_ms() + STORE_POLICY_WAIT_MS, now;

	(void)pthread_mutex_lock(&s->lock);
	s->policy = &p;
	(void)pthread_cond_signal(&s->work);
	/* once the writer has it we wait for the end: what it reads is ours */
	while (!p.finished && (s->policy_taken || (now = io_clock_mono_ms()) < until))
		store_wait(s, &s->policy_done, 1000);
	if (!p.finished)
		p.err = -ETIMEDOUT;
	s->policy = NULL;
	(void)pthread_mutex_unlock(&s->lock);
	return p.err;
}

int idfw_store_get_policy(
	struct idfw_store *s, uint64_t *ret_generation, char **ret_text, size_t *ret_len)
{
	return store_sql_get_policy(s->reader, ret_generation, ret_text, ret_len);
}

int idfw_store_policy_info(
	struct idfw_store *s, uint64_t generation, uint64_t *ret_time_ms, char **ret_by)
{
	return store_sql_policy_info(s->reader, generation, ret_time_ms, ret_by);
}

int idfw_store_sessions(struct idfw_store *s, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg)
{
	return store_sql_sessions(s->reader, f, cb, arg);
}

int idfw_store_audit(struct idfw_store *s, struct idfw_store_filter *f,
	int (*cb)(void *arg, const char *json_row), void *arg)
{
	return store_sql_audit(s->reader, f, cb, arg);
}

int idfw_store_read(struct idfw_store *s, const struct store_load_ops *ops, void *arg)
{
	return store_sql_load(s->reader, ops, arg);
}

void idfw_store_why_load(struct idfw_store *s, int err, char ret_why[256])
{
	store_sql_why_load(s->reader, err, ret_why);
}

void idfw_store_stats(struct idfw_store *s, struct idfw_store_stats *ret)
{
	(void)pthread_mutex_lock(&s->lock);
	*ret = (struct idfw_store_stats){ .records = s->records,
		.commits = s->commits,
		.rejected_full = s->rejected_full,
		.errors = s->errors,
		.queued = s->queued,
		.err = s->err };
	(void)snprintf(ret->why, sizeof(ret->why), "%s", s->why);
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- the loop's side ---- */

static int store_init(struct idfw_store *s)
{
	pthread_condattr_t mono;
	int err;

	s->tail = &s->head;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return -errno;
	(void)pthread_condattr_init(&mono);
	(void)pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&s->lock, NULL); /* glibc: cannot fail */
	(void)pthread_cond_init(&s->work, &mono);
	(void)pthread_cond_init(&s->policy_done, &mono);
	(void)pthread_condattr_destroy(&mono);
	err = pthread_create(&s->thread, NULL, store_thread, s);
	if (err == 0)
		return 0;
	(void)pthread_cond_destroy(&s->work);
	(void)pthread_cond_destroy(&s->policy_done);
	(void)pthread_mutex_destroy(&s->lock);
	return -err;
}

/* takes @r */
static int store_put(struct idfw_store *s, struct store_rec *r)
{
	bool full;

	(void)pthread_mutex_lock(&s->lock);
	full = s->queued >= STORE_QUEUE_MAX || s->queued_bytes + r->bytes > STORE_QUEUE_BYTES_MAX;
	if (!full) {
		*s->tail = r;
		s->tail = &r->next;
		s->queued++;
		s->queued_bytes += r->bytes;
		(void)pthread_cond_signal(&s->work);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!full)
		return 0;
	s->rejected_full++;
	free(r);
	return -GI_EFULL;
}

/* the writer has news: tell the owner, without the lock */
static void store_wake_cb(struct io_fd *w, unsigned int events)
{
	struct idfw_store *s = w->arg;
	struct store_done *done, *d, *next;
	char why[STORE_WHY_MAX];
	eventfd_t n;
	int err;

	(void)events;
	(void)eventfd_read(s->wake_fd, &n);
	(void)pthread_mutex_lock(&s->lock);
	done = s->done;
	s->done = NULL;
	err = s->err;
	(void)snprintf(why, sizeof(why), "%s", s->why);
	(void)pthread_mutex_unlock(&s->lock);
	if (err != s->told_err) {
		s->told_err = err;
		s->ops.state(s->arg, err, why);
	}
	HASH_ITER (hh, done, d, next) {
		HASH_DELETE(hh, done, d);
		if (!d->outbox)
			s->ops.durable(s->arg, d->vm, d->boot_id, d->seq);
		else if (s->ops.scan_durable)
			s->ops.scan_durable(s->arg, d->boot_id, d->seq);
		free(d);
	}
}

/* with the lock held */
static void store_wait(struct idfw_store *s, pthread_cond_t *c, unsigned int ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(c, &s->lock, &t);
}

/* ---- the writer thread; functions with _locked are called with the lock held ---- */

/* notes that this is durable; no memory: the next one of this name stands for it */
static void store_note_locked(
	struct idfw_store *s, const char *name, bool outbox, const uint8_t id[16], uint64_t seq)
{
	size_t len = strlen(name) + 1;
	struct store_done *d = NULL, *mine = calloc(1, sizeof(*mine) + len);

	if (!mine)
		return;
	memcpy(mine->boot_id, id, sizeof(mine->boot_id));
	memcpy(mine->vm, name, len);
	mine->seq = seq;
	mine->outbox = outbox;
	HASH_FIND_STR(s->done, mine->vm, d);
	/* a VM's boots come one after the other: an older one is of no more interest */
	if (d && (memcmp(d->boot_id, mine->boot_id, sizeof(d->boot_id)) != 0 || d->seq < seq)) {
		memcpy(d->boot_id, mine->boot_id, sizeof(d->boot_id));
		d->seq = seq;
	}
	if (d)
		free(mine);
	else
		HASH_ADD_STR(s->done, vm, mine);
}

static void store_note_rec_locked(struct idfw_store *s, const struct store_rec *r)
{
	char hex[1 + 2 * sizeof(r->outbox) + 1] = ":"; /* which no VM's name begins with */

	if (r->seq)
		store_note_locked(s, r->vm, false, r->boot_id, r->seq);
	if (!r->outbox_seq)
		return;
	for (size_t i = 0; i < sizeof(r->outbox); i++)
		(void)snprintf(hex + 1 + 2 * i, 3, "%02x", r->outbox[i]);
	store_note_locked(s, hex, true, r->outbox, r->outbox_seq);
}

/* the batch is on disk: forget it, tell the loop */
static void store_written_locked(
	struct idfw_store *s, struct store_rec *batch, size_t n, size_t refused, const char *why)
{
	struct store_rec *next;

	for (; batch && n; batch = next, n--) {
		next = batch->next;
		store_note_rec_locked(s, batch);
		s->queued--;
		s->queued_bytes -= batch->bytes;
		s->records++;
		free(batch);
	}
	s->commits++;
	s->errors += refused;
	s->err = refused ? -EBADMSG : 0;
	(void)snprintf(s->why, sizeof(s->why), "%s", refused ? why : "records are written again");
}

/* takes up to STORE_BATCH_MAX off the queue's head */
static size_t store_take_locked(struct idfw_store *s, struct store_rec **ret)
{
	struct store_rec **end = &s->head;
	size_t n = 0;

	while (*end && n < STORE_BATCH_MAX) {
		end = &(*end)->next;
		n++;
	}
	*ret = s->head;
	s->head = *end;
	if (!s->head)
		s->tail = &s->head;
	*end = NULL;
	return n;
}

static void store_policy_locked(struct idfw_store *s)
{
	struct store_policy *p = s->policy;

	s->policy_taken = true;
	(void)pthread_mutex_unlock(&s->lock);
	p->err = store_sql_put_policy(
		s->writer, p->generation, p->by, p->time_ms, p->text, p->len, p->why);
	(void)pthread_mutex_lock(&s->lock);
	s->policy_taken = false;
	s->policy = NULL;
	p->finished = true;
	if (p->err < 0)
		s->errors++;
	(void)pthread_cond_signal(&s->policy_done);
}

/* one try; false: the batch stays with the writer */
static bool store_batch_locked(struct idfw_store *s, struct store_rec *batch, size_t n)
{
	char why[STORE_WHY_MAX] = "";
	size_t refused = 0;
	int err;

	(void)pthread_mutex_unlock(&s->lock);
	err = store_sql_write(s->writer, batch, n, &refused, why);
	(void)pthread_mutex_lock(&s->lock);
	if (err < 0) {
		s->errors++;
		s->err = err;
		(void)snprintf(s->why, sizeof(s->why), "%s", why);
	} else {
		store_written_locked(s, batch, n, refused, why);
	}
	(void)eventfd_write(s->wake_fd, 1);
	return err == 0;
}

/* between two tries; new records do not end it */
static void store_pause_locked(struct idfw_store *s, unsigned int ms)
{
	uint64_t until = io_clock_mono_ms() + ms, now;

	while (!s->stop && !s->policy && (now = io_clock_mono_ms()) < until)
		store_wait(s, &s->work, (unsigned int)(until - now));
}

static void *store_thread(void *arg)
{
	struct idfw_store *s = arg;
	struct store_rec *batch = NULL;
	unsigned int retry_ms = STORE_RETRY_MIN_MS;
	size_t n = 0;

	(void)pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->stop && !s->policy && !s->head && !batch)
			(void)pthread_cond_wait(&s->work, &s->lock);
		if (s->policy)
			store_policy_locked(s);
		if (!batch)
			n = store_take_locked(s, &batch);
		if (batch && store_batch_locked(s, batch, n)) {
			batch = NULL;
			retry_ms = STORE_RETRY_MIN_MS;
		} else if (batch && s->stop) {
			break; /* the last try */
		} else if (batch) {
			store_pause_locked(s, retry_ms);
			retry_ms = retry_ms * 2 > STORE_RETRY_MAX_MS ? STORE_RETRY_MAX_MS
								     : retry_ms * 2;
		}
		if (s->stop && !batch && !s->head)
			break;
	}
	if (batch) { /* back to the head: close frees it */
		struct store_rec **end = &batch;

		while (*end)
			end = &(*end)->next;
		*end = s->head;
		s->head = batch;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}
