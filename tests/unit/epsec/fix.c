/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fix.c - a service of libepsec with one mux and the guest "web01" (fix.h)
 */
#include "tests/unit/epsec/fix.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/io/loop.h"

static void told(struct fix *f)
{
	(void)pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static bool on_look(void *arg, struct eps_event *ev)
{
	struct fix *f = arg;
	const struct eps_file *file = eps_event_file(ev);
	struct eps_event *other = NULL;
	uint8_t buf[64];
	size_t n = 0;
	int mode;

	pthread_mutex_lock(&f->lock);
	mode = f->look;
	f->n_looks++;
	told(f);
	if (mode == LOOK_READ) {
		f->look_read_err = eps_read(ev, file->head_len, buf, sizeof(buf), &n);
		f->look_next_err = eps_next(f->eps, 0, &other);
		f->look_write_err = eps_write(ev, "x", 1, true);
		if (eps_read(ev, 0, buf, 1, &n) != 0 || n != 1)
			abort();
		mode = LOOK_ALLOW;
	}
	if (mode == LOOK_NOT)
		return false;
	(void)fix_answer(ev, mode == LOOK_ALLOW ? EPS_ALLOW : EPS_DENY);
	return true;
}

static void on_done(void *arg, const char *vm, const struct eps_done *d)
{
	struct fix *f = arg;
	struct fix_done *to;

	pthread_mutex_lock(&f->lock);
	if (f->n_done < GI_ARRAY_SIZE(f->done)) {
		to = &f->done[f->n_done];
		to->tag = d->tag;
		to->result = d->result;
		to->lost = d->lost;
		to->denied = d->opener_denied;
		to->has_qid = d->quarantine_id != NULL;
		to->session = d->actor.session;
		to->uid = d->actor.uid;
		(void)snprintf(to->text, sizeof(to->text), "%s", d->text);
		(void)snprintf(to->user, sizeof(to->user), "%s", d->actor.user);
		(void)snprintf(to->vm, sizeof(to->vm), "%s", vm);
	}
	f->n_done++;
	told(f);
}

static void on_up(void *arg, const char *vm, const char *mux, const uint8_t boot_id[16])
{
	struct fix *f = arg;

	(void)vm;
	(void)boot_id;
	pthread_mutex_lock(&f->lock);
	f->n_up += strncmp(mux, "host", 4) == 0;
	told(f);
}

static void on_down(void *arg, const char *vm, const char *why)
{
	struct fix *f = arg;

	(void)vm;
	pthread_mutex_lock(&f->lock);
	f->n_down++;
	(void)snprintf(f->down_why, sizeof(f->down_why), "%s", why);
	told(f);
}

static void on_report(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq,
	const uint8_t *buf, size_t len)
{
	struct fix *f = arg;

	(void)buf;
	pthread_mutex_lock(&f->lock);
	f->n_reports++;
	f->report_seq = seq;
	f->packed_len = len;
	told(f);
	if (eps_report_ack(f->eps, vm, boot_id, seq) != 0)
		abort();
}

static void on_counters(void *arg, const char *vm, const uint8_t *buf, size_t len)
{
	struct fix *f = arg;

	(void)vm;
	(void)buf;
	pthread_mutex_lock(&f->lock);
	f->n_counters++;
	f->packed_len = len;
	told(f);
}

static void on_reply(void *arg, const char *vm, uint64_t id, const uint8_t *buf, size_t len)
{
	struct fix *f = arg;

	(void)vm;
	(void)buf;
	pthread_mutex_lock(&f->lock);
	f->n_replies++;
	f->reply_id = id;
	f->packed_len = len;
	told(f);
}

static void on_log(void *arg, enum eps_log_level level, const char *text)
{
	struct fix *f = arg;

	if (level > EPS_LOG_WARN)
		return;
	pthread_mutex_lock(&f->lock);
	(void)snprintf(f->log, sizeof(f->log), "%s", text);
	told(f);
}

void fix_init(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	(void)pthread_mutex_init(&f->lock, NULL);
	(void)pthread_cond_init(&f->changed, NULL);
	tg_bed_init(&f->bed);
	tg_bed_conf(&f->bed, &f->conf);
	f->ops = (struct eps_ops){ .size = sizeof(f->ops),
		.look = on_look,
		.done = on_done,
		.guest_up = on_up,
		.guest_down = on_down,
		.report = on_report,
		.counters = on_counters,
		.reply = on_reply,
		.log = on_log };
}

void fix_open(struct fix *f)
{
	char why[256];

	if (eps_open(&f->conf, &f->ops, f, why, &f->eps) < 0) {
		fprintf(stderr, "eps_open: %s\n", why);
		abort();
	}
	f->tg = tg_new(&f->bed, "host1");
	tg_up(f->tg, "web01");
	fix_wait(f, &f->n_up, 1);
}

void fix_fini(struct fix *f)
{
	tg_free(f->tg);
	eps_close(f->eps);
	tg_bed_fini(&f->bed);
	(void)pthread_mutex_destroy(&f->lock);
	(void)pthread_cond_destroy(&f->changed);
}

int fix_setup(void **state)
{
	struct fix *f = malloc(sizeof(*f));

	*state = f;
	if (f)
		fix_init(f);
	return f ? 0 : -1;
}

int fix_teardown(void **state)
{
	fix_fini(*state);
	free(*state);
	return 0;
}

void fix_wait(struct fix *f, const size_t *count, size_t n)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += TG_WAIT_MS / 1000;
	pthread_mutex_lock(&f->lock);
	while (*count < n)
		if (pthread_cond_timedwait(&f->changed, &f->lock, &ts) != 0) {
			fprintf(stderr, "fix_wait: it is %zu, not %zu\n", *count, n);
			abort();
		}
	pthread_mutex_unlock(&f->lock);
}

struct eps_event *fix_next(struct fix *f)
{
	struct eps_event *ev = NULL;
	int err = eps_next(f->eps, TG_WAIT_MS, &ev);

	if (err < 0) {
		fprintf(stderr, "eps_next: %s\n", eps_strerror(err));
		abort();
	}
	return ev;
}

int fix_answer(struct eps_event *ev, enum eps_kind kind)
{
	struct eps_verdict v = { .size = sizeof(v), .kind = kind };

	return eps_answer(ev, &v);
}

uint64_t fix_event(struct fix *f, const struct tg_file *file)
{
	return tg_event(f->tg, "web01", EPS_OP_OPEN, file);
}

struct eps_stats fix_stats(struct fix *f)
{
	struct eps_stats s = { .size = sizeof(s) };

	eps_stats(f->eps, &s);
	return s;
}

void fix_wait_queued(struct fix *f, size_t n)
{
	uint64_t until = io_clock_mono_ms() + TG_WAIT_MS;

	while (fix_stats(f).waiting < n && io_clock_mono_ms() < until)
		(void)sched_yield();
	if (fix_stats(f).waiting < n)
		abort();
}

uint8_t *fix_content(size_t len)
{
	uint8_t *p = malloc(len + 1);

	if (!p)
		abort();
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16 ^ i >> 24);
	return p;
}
