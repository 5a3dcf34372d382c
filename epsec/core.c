/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * core.c - one service: its configuration, its VMs, and the library's thread's rounds
 *
 * Knows no sockets (net.c does) and starts no thread (open.c does), so the whole protocol can be
 * driven by a test or the fuzzer in one thread. Invariant: callbacks are called from the library's
 * thread without the lock.
 */
#include "config.h"

#include "epsec/eps_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int conf_check(const struct eps_conf *c, char why[256])
{
	int err = -EINVAL;

	why[0] = '\0';
	if (c->api_version != EPS_API_VERSION) {
		(void)snprintf(why, 256, "api_version is %u, this library (%s) speaks %d",
			c->api_version, PACKAGE_VERSION, EPS_API_VERSION);
		return -EPS_EVERSION;
	}
	if (!c->name || !gi_text_is_name(c->name, EPS_NAME_MAX))
		(void)snprintf(
			why, 256, "name: letters, digits, '-', '_', at most %d", EPS_NAME_MAX);
	else if (!c->version || !gi_text_is_clean(c->version, WIRE_SOFTWARE_MAX) ||
		 strlen(c->name) + 1 + strlen(c->version) > WIRE_SOFTWARE_MAX)
		(void)snprintf(why, 256, "version: clean text, with the name at most %d bytes",
			WIRE_SOFTWARE_MAX);
	else if (!c->epoch || c->epoch_len < 1 || c->epoch_len > EPS_EPOCH_MAX)
		(void)snprintf(why, 256, "epoch: 1 to %d bytes", EPS_EPOCH_MAX);
	else if (c->want & ~EPS_WANT_ALL)
		(void)snprintf(why, 256, "want: bits of EPS_WANT_ALL only");
	else if (c->head_bytes > WIRE_DATA_MAX)
		(void)snprintf(why, 256, "head_bytes: at most %u", WIRE_DATA_MAX);
	else if (c->max_memory &&
		 c->max_memory < (c->head_bytes ? c->head_bytes : EPS_HEAD_DEFAULT))
		(void)snprintf(why, 256, "max_memory: less than head_bytes, no file would fit");
	else if (c->credits > WIRE_CREDITS_MAX)
		(void)snprintf(why, 256, "credits: at most %d", WIRE_CREDITS_MAX);
	else if (c->read_ahead > EPS_AHEAD_MAX)
		(void)snprintf(why, 256, "read_ahead: at most %u", EPS_AHEAD_MAX);
	else
		err = 0;
	return err;
}

/* structs that callers fill: what they do not know is zero */
static void sized_copy(void *to, size_t size, const void *from, size_t from_size)
{
	memset(to, 0, size);
	memcpy(to, from, from_size && from_size < size ? from_size : size);
}

static void conf_defaults(struct eps_conf *c)
{
	if (c->want == 0)
		c->want = EPS_WANT_ALL;
	if (c->head_bytes == 0)
		c->head_bytes = EPS_HEAD_DEFAULT;
	if (c->credits == 0)
		c->credits = EPS_CREDITS_DEFAULT;
	if (c->max_events == 0)
		c->max_events = EPS_EVENTS_DEFAULT;
	if (c->max_memory == 0)
		c->max_memory = EPS_MEMORY_DEFAULT;
	if (c->read_ahead == 0)
		c->read_ahead = EPS_AHEAD_DEFAULT;
}

int eps_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;
	int err = pthread_condattr_init(&a);

	if (err)
		return -err;
	(void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	err = pthread_cond_init(c, &a);
	(void)pthread_condattr_destroy(&a);
	return -err;
}

int eps_cond_wait(struct eps *e, pthread_cond_t *c, uint64_t until_ms)
{
	struct timespec ts = { .tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000 };

	if (until_ms == UINT64_MAX)
		return pthread_cond_wait(c, &e->lock);
	return pthread_cond_timedwait(c, &e->lock, &ts);
}

int eps_core_init(struct eps *e, const struct eps_conf *conf, const struct eps_ops *ops, void *arg,
	char ret_why[256])
{
	pthread_mutexattr_t attr;
	int err;

	memset(e, 0, sizeof(*e));
	sized_copy(&e->conf, sizeof(e->conf), conf, conf->size);
	if (ops)
		sized_copy(&e->ops, sizeof(e->ops), ops, ops->size);
	e->arg = arg;
	e->silence_ms = EPS_SILENCE_MS;
	err = conf_check(&e->conf, ret_why);
	if (err < 0)
		return err;
	conf_defaults(&e->conf);
	(void)snprintf(e->name, sizeof(e->name), "%s", e->conf.name);
	(void)snprintf(e->software, sizeof(e->software), "%s %s", e->conf.name, e->conf.version);
	memcpy(e->epoch, e->conf.epoch, e->conf.epoch_len);
	e->epoch_len = e->conf.epoch_len;
	err = eps_cond_init(&e->ready);
	if (err < 0) {
		(void)snprintf(ret_why, 256, "%s", gi_strerror(err));
		return err;
	}
	(void)pthread_mutexattr_init(&attr);
	/* held for moments: spinning is cheaper than sleeping */
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	(void)pthread_mutex_init(&e->lock, &attr);
	(void)pthread_mutexattr_destroy(&attr);
	eps_table_init(&e->vms);
	gi_buf_init(&e->inner, WIRE_FRAME_MAX);
	gi_buf_init(&e->outer, WIRE_ROUTED_MAX);
	return 0;
}

void eps_core_fini(struct eps *e)
{
	struct eps_node *n = eps_table_take(&e->vms), *next;

	for (; n; n = next) {
		next = n->next;
		free(n); /* struct eps_vm begins with it */
	}
	gi_buf_fini(&e->inner);
	gi_buf_fini(&e->outer);
	(void)pthread_cond_destroy(&e->ready);
	(void)pthread_mutex_destroy(&e->lock);
}

void eps_log(struct eps *e, enum eps_log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!e->ops.log)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	wire_text_sanitize(text, sizeof(text) - 1);
	e->ops.log(e->arg, level, text);
}

bool eps_in_loop(const struct eps *e)
{
	return e->threaded && pthread_equal(e->thread, pthread_self());
}

void eps_wake(struct eps *e)
{
	if (e->loop)
		io_wake_send(e->loop, &e->wake);
}

/* ---- VMs ---- */

static uint64_t name_key(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	return h;
}

struct eps_vm *eps_vm_find(struct eps *e, const char *name)
{
	struct eps_vm *vm = (struct eps_vm *)eps_table_find(&e->vms, name_key(name));

	return vm && !strcmp(vm->name, name) ? vm : NULL;
}

int eps_vm_get(struct eps *e, const char *name, struct eps_vm **ret)
{
	struct eps_vm *vm = (struct eps_vm *)eps_table_find(&e->vms, name_key(name));

	if (!gi_text_is_name(name, GI_NAME_MAX))
		return -EINVAL;
	if (vm && strcmp(vm->name, name) != 0)
		return -EINVAL; /* two names with one hash */
	if (!vm) {
		if (e->vms.count >= EPS_VMS_MAX)
			return -EPS_ELIMIT;
		vm = calloc(1, sizeof(*vm));
		if (!vm)
			return -ENOMEM;
		(void)snprintf(vm->name, sizeof(vm->name), "%s", name);
		vm->node.key = name_key(name);
		eps_table_add(&e->vms, &vm->node);
	}
	*ret = vm;
	return 0;
}

/* ---- rounds of the library's thread ---- */

static void settle(struct eps *e)
{
	for (struct eps_link *l = e->links; l; l = l->next)
		for (struct eps_guest *g = l->guests; g; g = g->next) {
			bool unsettled;

			pthread_mutex_lock(&e->lock);
			unsettled = g->vm->unsettled;
			g->vm->unsettled = false;
			pthread_mutex_unlock(&e->lock);
			if (unsettled && g->state == WIRE_OPEN)
				eps_guest_settle(g);
		}
}

static void drop_broken(struct eps *e)
{
	struct eps_guest *g, *next;
	const char *why;

	for (struct eps_link *l = e->links; l; l = l->next)
		for (g = l->guests; g; g = next) {
			next = g->next;
			pthread_mutex_lock(&e->lock);
			why = g->broken;
			pthread_mutex_unlock(&e->lock);
			if (why)
				eps_guest_drop(g, why);
		}
}

void eps_core_pump(struct eps *e)
{
	bool unsettled, broken;
	struct eps_pending *lost;

	pthread_mutex_lock(&e->lock);
	unsettled = e->unsettled;
	broken = e->broken;
	lost = e->lost;
	e->unsettled = e->broken = false;
	e->lost = NULL;
	pthread_mutex_unlock(&e->lock);
	if (unsettled)
		settle(e);
	for (struct eps_link *l = e->links; l; l = l->next)
		eps_box_drain(l);
	if (broken)
		drop_broken(e);
	eps_guest_tell_lost(e, lost);
}

struct overdue {
	struct eps_guest *guest;
	uint64_t now_ms;
	struct eps_pending *list;
};

static void overdue_add(struct eps_node *n, void *arg)
{
	struct eps_pending *p = (struct eps_pending *)n;
	struct overdue *o = arg;

	if (o->now_ms < p->deadline_ms)
		return;
	eps_table_remove(&o->guest->pending, n);
	p->next = o->list;
	o->list = p;
}

void eps_core_tick(struct eps *e, uint64_t now_ms)
{
	struct overdue o = { .now_ms = now_ms };

	pthread_mutex_lock(&e->lock);
	for (struct eps_link *l = e->links; l; l = l->next)
		for (o.guest = l->guests; o.guest; o.guest = o.guest->next)
			eps_table_each(&o.guest->pending, overdue_add, &o);
	pthread_mutex_unlock(&e->lock);
	eps_guest_tell_lost(e, o.list);
}
