/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_lease.c - leases of marks: renewed on the SVM's word, ended by the kernel
 *
 * Runs in gi-netagent's pusher process. A lease is the timeout of an element of LIVE. Each renewal
 * is caused by one heartbeat of the SVM and by nothing else (ADR 15). Heartbeats come every
 * quarter of the shortest lease, so for each length of lease it is remembered when all marks of
 * that length were written last, and only those are written again that may have used up a quarter:
 * no need to read the kernel's clocks. Written in steps of FW_BATCH_ELEMS, so that a revocation
 * never waits for more than one of them.
 */
#include "fw/push.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fw/push_int.h"

#define CLASSES_MAX 16 /* lengths of leases that are remembered; others are always renewed */

struct fw_leases {
	struct lease_class {
		uint32_t lease_s;
		uint64_t renewed_ms;
		bool due; /* in the renewal under way */
	} classes[CLASSES_MAX];
	size_t n_classes;
	bool unknown; /* there may be marks of lengths that are not in the list */
	bool asked;
	/* the renewal under way */
	uint32_t *marks; /* owned */
	size_t n, cap, at;
	uint64_t began_ms;
};

int fw_leases_new(struct fw_leases **ret)
{
	struct fw_leases *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->unknown = true;
	*ret = l;
	return 0;
}

void fw_leases_free(struct fw_leases *l)
{
	if (!l)
		return;
	free(l->marks);
	free(l);
}

/* as the kernel's timeouts do, it stands still while the machine sleeps */
static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void fw_push_renew(struct fw_push *p)
{
	p->leases->asked = true;
}

/* NULL: no room to remember this length */
static struct lease_class *class_of(struct fw_leases *l, uint32_t lease_s)
{
	struct lease_class *c = l->classes;

	for (; c < l->classes + l->n_classes; c++)
		if (c->lease_s == lease_s)
			return c;
	if (l->n_classes == CLASSES_MAX) {
		l->unknown = true;
		return NULL;
	}
	l->n_classes++;
	*c = (struct lease_class){ .lease_s = lease_s, .renewed_ms = now_ms() };
	return c;
}

int fw_leases_wrote(void *arg, const struct fw_elem *e)
{
	struct fw_leases *l = arg;

	if (e->key.set == FW_LIVE && e->lease_s > 0 && !e->ends && !l->unknown)
		(void)class_of(l, e->lease_s);
	return 0;
}

void fw_leases_forget(struct fw_leases *l)
{
	l->n_classes = 0;
	l->unknown = true;
}

uint64_t fw_leases_left_ms(const struct fw_leases *l, uint32_t lease_s)
{
	uint64_t now = now_ms(), ends;

	for (size_t i = 0; i < l->n_classes; i++) {
		ends = l->classes[i].renewed_ms + UINT64_C(1000) * lease_s;
		if (l->classes[i].lease_s == lease_s)
			return ends > now ? ends - now : 0;
	}
	return 0;
}

static int gather(void *arg, const struct fw_elem *e)
{
	struct fw_leases *l = arg;
	size_t before = l->n_classes;
	struct lease_class *c;

	if (e->key.set != FW_LIVE || e->lease_s == 0 || e->ends)
		return 0;
	c = class_of(l, e->lease_s);
	if (c && l->n_classes > before)
		c->due = true;
	if (c && !c->due)
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		uint32_t *marks = reallocarray(l->marks, cap, sizeof(*marks));

		if (!marks)
			return -ENOMEM;
		l->marks = marks;
		l->cap = cap;
	}
	l->marks[l->n++] = fw_key_u32(&e->key);
	return 0;
}

static void renewal_end(struct fw_leases *l, bool done)
{
	for (size_t i = 0; i < l->n_classes; i++) {
		if (l->classes[i].due)
			l->classes[i].renewed_ms = l->began_ms;
		l->classes[i].due = false;
	}
	if (!done)
		fw_leases_forget(l);
	free(l->marks);
	l->marks = NULL;
	l->n = l->cap = l->at = 0;
}

static int renewal_begin(struct fw_push *p)
{
	struct fw_leases *l = p->leases;
	bool any = l->unknown;
	uint64_t now = now_ms();

	l->asked = false;
	l->began_ms = now;
	for (size_t i = 0; i < l->n_classes; i++) {
		struct lease_class *c = &l->classes[i];

		c->due = now - c->renewed_ms >= UINT64_C(250) * c->lease_s;
		any = any || c->due;
	}
	l->unknown = false;
	return any ? fw_state_each(p->state, false, gather, l) : 0;
}

/* the mark's element as it is asked for now; false: not any more, or without a lease to renew */
static bool still_leased(const struct fw_push *p, uint32_t mark, struct fw_elem *ret)
{
	struct fw_elem e = fw_elem_live(mark, 0, false);

	return fw_state_get_elem(p->state, &e.key, ret) && ret->lease_s > 0 && !ret->ends;
}

/* @standing: the marks that LIVE holds; for kernels that neither update nor destroy */
static int write_step(struct fw_push *p, size_t end, const struct fw_state *standing)
{
	struct fw_leases *l = p->leases;
	struct fw_elem e;

	fw_mnl_begin(p->mnl);
	for (size_t i = l->at; i < end && !fw_mnl_has_update(p->mnl); i++)
		if (still_leased(p, l->marks[i], &e) &&
			(!standing || fw_state_get(standing, &e.key, NULL)))
			fw_push_change(p, FW_CHANGE_DEL, &e);
	for (size_t i = l->at; i < end; i++)
		if (still_leased(p, l->marks[i], &e))
			fw_push_change(p, FW_CHANGE_ADD, &e);
	return fw_mnl_commit(p->mnl);
}

/* removed and added in one transaction where the kernel cannot update: no moment without it */
static int renewal_step(struct fw_push *p)
{
	struct fw_leases *l = p->leases;
	size_t end = l->n - l->at < FW_BATCH_ELEMS ? l->n : l->at + FW_BATCH_ELEMS;
	bool old = !fw_mnl_has_update(p->mnl) && !fw_mnl_has_destroy(p->mnl);
	struct fw_state *standing = NULL;
	int rc = -ENOENT;

	for (int i = 0; i < FW_DUMP_TRIES && rc == -ENOENT; i++) {
		fw_state_free(standing);
		standing = NULL;
		rc = old ? fw_push_read_live(p, &standing) : 0;
		if (rc == 0)
			rc = write_step(p, end, standing);
	}
	fw_state_free(standing);
	if (rc == 0)
		l->at = end;
	return rc;
}

int fw_push_work(struct fw_push *p, bool *ret_more, char ret_why[256])
{
	struct fw_leases *l = p->leases;
	bool waits = false;
	int rc = 0;

	if (!p->state) {
		l->asked = false;
		l->at = l->n;
		fw_leases_forget(l);
	} else if (l->at < l->n) {
		rc = renewal_step(p);
	} else if (l->asked) {
		rc = renewal_begin(p);
	}
	if (rc < 0 || l->at == l->n)
		renewal_end(l, rc == 0);
	if (rc == 0 && l->at == l->n && !l->asked && p->state && fw_diag_waits(p->diag))
		waits = fw_diag_step(p->diag, p->state);
	*ret_more = l->at < l->n || l->asked || waits;
	if (rc < 0)
		return fw_push_refuse(rc, NULL, ret_why);
	ret_why[0] = '\0';
	return 0;
}
