/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstages.c - says when a change in the directory gets how far: for tests/bench/dirload
 *
 * Linked around the directory child's functions by the linker's --wrap; runs in dirload's child
 * and, for dir_stage(), in dirload itself. With BENCH_STAGES in the environment each stage is a
 * line of stderr, "@ MICROSECONDS STAGE" (monotonic, so of both processes); else nothing. told: the
 * server's message was read (AD: a poll, which begins with "poll", has found something). search,
 * searched: a request on the connection for changes; look, looked: on one for lookups. reported:
 * DirChanged is handed over. ask, answered: a lookup came into the child, its answer is handed
 * over. The measured code is as it is everywhere else.
 */
#include "tests/bench/dirstages.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/io/loop.h"
#include "svm-idfw/dirad.h"
#include "svm-idfw/dirldap.h"
#include "svm-idfw/dirreply.h"
#include "svm-idfw/dirwork.h"

int __real_dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX]);
int __wrap_dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX]);
int __real_dldap_sync_read(
	struct dldap *d, const struct dldap_sync_ops *ops, void *arg, char why[DIR_WHY_MAX]);
int __wrap_dldap_sync_read(
	struct dldap *d, const struct dldap_sync_ops *ops, void *arg, char why[DIR_WHY_MAX]);
void __real_dir_reply_changes(
	struct dir_post *p, const struct dir_back *b, const struct dir_changes *c);
void __wrap_dir_reply_changes(
	struct dir_post *p, const struct dir_back *b, const struct dir_changes *c);
void __real_dir_reply_answer(
	struct dir_post *p, uint64_t id, const struct dir_answer *a, uint64_t took_ms);
void __wrap_dir_reply_answer(
	struct dir_post *p, uint64_t id, const struct dir_answer *a, uint64_t took_ms);
bool __real_dir_work_put(struct dir_work *w, Idfw__Envelope *e);
bool __wrap_dir_work_put(struct dir_work *w, Idfw__Envelope *e);
int __real_dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
int __wrap_dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);

struct counted { /* what is in one reading of the connection */
	const struct dldap_sync_ops *ops;
	void *arg;
	unsigned int n;
};

void dir_stage(const char *name)
{
	char line[64];
	int n;

	if (!getenv("BENCH_STAGES"))
		return;
	n = snprintf(
		line, sizeof(line), "@ %llu %s\n", (unsigned long long)io_clock_mono_us(), name);
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		exit(1);
}

/* the main thread's is the connection for changes */
static bool is_watch(void)
{
	return gettid() == getpid();
}

int __wrap_dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX])
{
	int err;

	dir_stage(is_watch() ? "search" : "look");
	err = __real_dldap_search(d, q, why);
	dir_stage(is_watch() ? "searched" : "looked");
	return err;
}

static int counted_entry(void *arg, struct dldap_entry *e, const uint8_t uuid[16], bool new)
{
	struct counted *c = arg;

	c->n++;
	return c->ops->entry(c->arg, e, uuid, new);
}

static int counted_deleted(void *arg, const uint8_t uuid[16])
{
	struct counted *c = arg;

	c->n++;
	return c->ops->deleted(c->arg, uuid);
}

static int counted_unsure(void *arg)
{
	struct counted *c = arg;

	c->n++;
	return c->ops->unsure(c->arg);
}

static void counted_current(void *arg)
{
	struct counted *c = arg;

	c->ops->current(c->arg);
}

static void counted_cookie(void *arg, const char *cookie, size_t len)
{
	struct counted *c = arg;

	c->ops->cookie(c->arg, cookie, len);
}

int __wrap_dldap_sync_read(
	struct dldap *d, const struct dldap_sync_ops *ops, void *arg, char why[DIR_WHY_MAX])
{
	static const struct dldap_sync_ops counted = { counted_entry, counted_deleted,
		counted_unsure, counted_current, counted_cookie };
	struct counted c = { .ops = ops, .arg = arg };
	int err = __real_dldap_sync_read(d, &counted, &c, why);

	if (c.n)
		dir_stage("told");
	return err;
}

void __wrap_dir_reply_changes(
	struct dir_post *p, const struct dir_back *b, const struct dir_changes *c)
{
	__real_dir_reply_changes(p, b, c);
	dir_stage("reported");
}

void __wrap_dir_reply_answer(
	struct dir_post *p, uint64_t id, const struct dir_answer *a, uint64_t took_ms)
{
	__real_dir_reply_answer(p, id, a, took_ms);
	dir_stage("answered");
}

bool __wrap_dir_work_put(struct dir_work *w, Idfw__Envelope *e)
{
	dir_stage("ask");
	return __real_dir_work_put(w, e);
}

int __wrap_dir_ad_poll(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX])
{
	uint64_t usn = b->usn;
	int err;

	dir_stage("poll");
	err = __real_dir_ad_poll(b, ret, why);
	if (b->usn != usn)
		dir_stage("told");
	return err;
}
