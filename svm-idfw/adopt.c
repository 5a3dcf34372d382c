/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.c - flows survive our own restart: the marks a guest's kernel holds are taken over
 *
 * Runs in svm-idfw's engine, once a guest, at its first connection after our start. A reported
 * mark of a subject that we know becomes an old epoch of it: its flows are judged again under
 * today's entitlement, without a gap. A mark whose subject is not known yet (the directory has
 * not answered, the other VM has not connected) lives on as it is, with what it lapses to, until
 * somebody claims it, for at most IDFW_ADOPT_MS, or until the VM that has the address has nobody
 * left who could; flows of its earlier marks wait for that claim: what they may was to be judged
 * again. Sessions that ended meanwhile are not adopted: their flows die.
 * What the guest reports can only concern its own kernel (ADR 0008).
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>

static bool elem_from_wire(const Idfw__Element *w, struct fw_elem *ret)
{
	struct fw_elem el = { .mark = w->mark };
	size_t len = w->set == FW_ADDR6_MARK  ? 16
		     : w->set == FW_CG_MARK   ? 8
		     : w->set == FW_BASE_MARK ? 1
					      : 4;

	if (w->set < FW_UID_MARK || (w->set > FW_BASE_MARK && w->set != FW_CG_MARK) ||
		w->key.len != len || !w->mark || w->group)
		return false;
	el.key.set = (uint8_t)w->set;
	el.key.len = (uint8_t)len;
	memcpy(el.key.data, w->key.data, len);
	*ret = el;
	return true;
}

int plan_marks_add(struct idfw_vm *vm, const Idfw__Marks *m)
{
	struct plan_reported *r = &vm->plan->reported;

	if (m->first)
		r->n = 0;
	if (r->n + m->n_elem > IDFW_MARKS_MAX)
		return -GI_ELIMIT;
	if (r->n + m->n_elem > r->cap) {
		size_t cap = (r->n + m->n_elem) * 2;
		struct fw_elem *n = realloc(r->elems, cap * sizeof(*n));

		if (!n)
			return -ENOMEM;
		r->elems = n;
		r->cap = cap;
	}
	for (size_t i = 0; i < m->n_elem; i++)
		if (!elem_from_wire(m->elem[i], &r->elems[r->n++]))
			return -GI_EPROTO;
	return 0;
}

static uint32_t key_u32(const struct fw_key *k)
{
	return (uint32_t)k->data[0] << 24 | (uint32_t)k->data[1] << 16 | (uint32_t)k->data[2] << 8 |
	       k->data[3];
}

/* a subject of this VM: nothing that may be open to others */
static bool of_session(uint8_t set)
{
	return set == FW_UID_MARK || set == FW_CG_MARK;
}

/* ---- orphans ---- */

static void orphan_id(const struct fw_key *key, uint8_t id[18])
{
	id[0] = key->set;
	id[1] = key->len;
	memcpy(id + 2, key->data, sizeof(key->data));
}

static struct plan_orphan *orphan_find(
	struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	uint8_t id[18];
	unsigned int h;
	struct plan_orphan *o;

	orphan_id(key, id);
	h = idfw_hashv(e->conf.seed, id, sizeof(id));
	HASH_FIND_BYHASHVALUE(hh, vm->plan->orphans, id, sizeof(id), h, o);
	return o;
}

static void emit_live(struct idfw_engine *e, struct idfw_vm *vm, bool del, uint32_t mark)
{
	struct fw_elem el = fw_elem_live(mark, IDFW_ADOPT_MS / 1000, true);

	plan_emit(e, vm, del, &el);
}

static void orphan_live(
	struct idfw_engine *e, struct idfw_vm *vm, bool del, const struct plan_orphan *o)
{
	for (uint8_t i = 0; i < o->n_marks; i++)
		emit_live(e, vm, del, o->marks[i]);
}

static void orphan_free(struct idfw_vm *vm, struct plan_orphan *o)
{
	HASH_DEL(vm->plan->orphans, o);
	free(o->old);
	free(o);
}

/* NULL: it is there already, or no memory: its flows are cut */
static struct plan_orphan *orphan_new(
	struct idfw_engine *e, struct idfw_vm *vm, const struct fw_elem *el)
{
	struct plan_orphan *o;
	unsigned int h;

	if (orphan_find(e, vm, &el->key))
		return NULL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	orphan_id(&el->key, o->id);
	h = idfw_hashv(e->conf.seed, o->id, sizeof(o->id));
	HASH_ADD_BYHASHVALUE(hh, vm->plan->orphans, id, sizeof(o->id), h, o);
	o->marks[o->n_marks++] = el->mark;
	emit_live(e, vm, false, el->mark);
	return o;
}

/* one that its mark lapses to */
static void orphan_lapse(
	struct idfw_engine *e, struct idfw_vm *vm, struct plan_orphan *o, uint32_t mark)
{
	for (uint8_t i = 0; i < o->n_marks; i++)
		if (o->marks[i] == mark)
			return;
	if (o->n_marks == GI_ARRAY_SIZE(o->marks))
		return;
	o->marks[o->n_marks++] = mark;
	emit_live(e, vm, false, mark);
}

static void orphan_old(struct plan_orphan *o, uint32_t mark)
{
	if (o->n_old == IDFW_EPOCHS_MAX)
		return;
	if (!o->old)
		o->old = calloc(IDFW_EPOCHS_MAX, sizeof(*o->old));
	if (o->old)
		o->old[o->n_old++] = mark;
}

void plan_orphan_claim(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s)
{
	struct plan_orphan *o = vm->plan->orphans ? orphan_find(e, vm, &s->key) : NULL;

	if (!o)
		return;
	orphan_live(e, vm, true, o);
	for (uint32_t i = 0; i < o->n_old; i++)
		(void)plan_subject_old_add(e, vm, s, o->old[i]);
	for (uint8_t i = 0; i < o->n_marks; i++)
		(void)plan_subject_old_add(e, vm, s, o->marks[i]);
	orphan_free(vm, o);
}

void plan_orphan_drop(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	struct plan_orphan *o = vm->plan->orphans ? orphan_find(e, vm, key) : NULL;

	if (!o)
		return;
	orphan_live(e, vm, true, o);
	orphan_free(vm, o);
}

void plan_orphans_drop(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct plan_orphan *o, *next;

	HASH_ITER (hh, vm->plan->orphans, o, next) {
		orphan_live(e, vm, true, o);
		orphan_free(vm, o);
	}
}

/* an address whose VM has told all, of whose sessions all is known: who has not claimed it will not
 */
static bool nobody_there(struct idfw_engine *e, const struct plan_orphan *o)
{
	struct gi_addr a = { .family = o->id[0] == FW_ADDR4_MARK ? 4 : 6 };
	const struct idfw_vm *u;

	if (of_session(o->id[0]))
		return false;
	memcpy(a.bytes, o->id + 2, sizeof(a.bytes));
	u = idfw_addr_owner(e, &a);
	if (!u || !u->connected || u->plan->phase != PLAN_RUNNING || !u->plan->snap_done)
		return false;
	for (const struct idfw_session *s = u->sessions; s; s = s->v_next)
		if (s->principal && (s->principal->presence == IDFW_P_PENDING ||
					    s->principal->presence == IDFW_P_UNAVAILABLE))
			return false;
	return true;
}

static void orphan_end(struct idfw_engine *e, struct idfw_vm *vm, struct plan_orphan *o)
{
	orphan_live(e, vm, true, o);
	for (uint32_t i = 0; i < o->n_old && !of_session(o->id[0]); i++)
		plan_retire_mark(e, vm, o->old[i]);
	for (uint8_t i = 0; i < o->n_marks && !of_session(o->id[0]); i++)
		plan_retire_mark(e, vm, o->marks[i]);
	orphan_free(vm, o);
}

void plan_orphans_due(struct idfw_engine *e, struct idfw_vm *vm)
{
	uint64_t until = e->mono_ms + IDFW_ORPHAN_LOOK_MS;
	struct idfw_plan *p = vm->plan;
	struct plan_orphan *o, *next;

	HASH_ITER (hh, p->orphans, o, next)
		if (e->mono_ms >= p->orphans_until_ms || nobody_there(e, o))
			orphan_end(e, vm, o);
	if (p->orphans)
		idfw_due(e, until < p->orphans_until_ms ? until : p->orphans_until_ms);
}

void plan_orphans_readd(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct plan_orphan *o, *next;

	HASH_ITER (hh, vm->plan->orphans, o, next)
		orphan_live(e, vm, false, o);
}

void plan_orphans_free(struct idfw_vm *vm)
{
	struct plan_orphan *o, *next;

	HASH_ITER (hh, vm->plan->orphans, o, next)
		orphan_free(vm, o);
	free(vm->plan->reported.elems);
	vm->plan->reported = (struct plan_reported){ 0 };
}

/* ---- adoption ---- */

struct owner { /* of a reported mark */
	uint32_t mark;
	struct plan_subject *subject; /* or */
	struct plan_orphan *orphan;
};

static int owner_cmp(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return x->mark < y->mark ? -1 : x->mark > y->mark;
}

static bool revoked(const struct idfw_plan *p, const struct fw_key *key)
{
	if (!of_session(key->set))
		return false;
	for (size_t i = 0; i < p->n_revoked; i++)
		if (!fw_key_cmp(&p->revoked[i], key))
			return true;
	return false;
}

/* what the kernel still held of somebody who has lost his network must not come back */
static bool isolated(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key)
{
	const struct plan_subject *s;

	if (vm->isolation)
		return key->set != FW_BASE_MARK;
	s = of_session(key->set) ? plan_find(e, vm, key) : NULL;
	return s && s->isolation;
}

/* the subjects of the reported marks, sorted by mark; marks without one are an orphan's */
static size_t owners_find(struct idfw_engine *e, struct idfw_vm *vm, struct owner *owners)
{
	struct idfw_plan *p = vm->plan;
	size_t n = 0;

	for (size_t i = 0; i < p->reported.n; i++) {
		const struct fw_elem *el = &p->reported.elems[i];
		struct plan_subject *s;

		if (el->key.set == FW_REMARK || revoked(p, &el->key) || isolated(e, vm, &el->key))
			continue;
		s = el->key.set == FW_BASE_MARK ? &p->base : plan_find(e, vm, &el->key);
		if (s && s->mark)
			owners[n++] = (struct owner){ .mark = el->mark, .subject = s };
		else if (!of_session(el->key.set) || s)
			owners[n++] =
				(struct owner){ .mark = el->mark, .orphan = orphan_new(e, vm, el) };
	}
	qsort(owners, n, sizeof(*owners), owner_cmp);
	return n;
}

/* what a subject's mark lapses to is the subject's too; the list stays sorted */
static size_t owners_lapses(const struct idfw_plan *p, struct owner *owners, size_t n)
{
	size_t before;

	do {
		before = n;
		for (size_t i = 0; i < p->reported.n; i++) {
			const struct fw_elem *el = &p->reported.elems[i];
			struct owner old = { .mark = key_u32(&el->key) },
				     lapse = { .mark = el->mark };
			const struct owner *o;

			if (el->key.set != FW_REMARK || n == 2 * p->reported.n)
				continue;
			o = bsearch(&old, owners, before, sizeof(*owners), owner_cmp);
			if (!o || bsearch(&lapse, owners, before, sizeof(*owners), owner_cmp))
				continue;
			owners[n] = *o;
			owners[n++].mark = el->mark;
		}
		qsort(owners, n, sizeof(*owners), owner_cmp);
	} while (n != before);
	return n;
}

/* what leads to everybody's mark: its own old ones and retired ones, nobody knows which is which;
 * one place is left for the last one */
static void base_old(struct idfw_engine *e, struct idfw_vm *vm, uint32_t mark)
{
	if (vm->plan->base.n_old < IDFW_BASE_EPOCHS_MAX - 1)
		(void)plan_subject_old_add(e, vm, &vm->plan->base, mark);
	else
		plan_retire_mark(e, vm, mark);
}

static void owner_old(
	struct idfw_engine *e, struct idfw_vm *vm, const struct owner *o, uint32_t mark)
{
	if (o->subject == &vm->plan->base)
		base_old(e, vm, mark);
	else if (o->subject)
		(void)plan_subject_old_add(e, vm, o->subject, mark);
	else if (o->orphan)
		orphan_old(o->orphan, mark);
}

static void owner_mark(struct idfw_engine *e, struct idfw_vm *vm, const struct owner *o)
{
	if (o->subject)
		(void)plan_subject_old_add(e, vm, o->subject, o->mark);
	else if (o->orphan)
		orphan_lapse(e, vm, o->orphan, o->mark);
}

static void marks_bump(struct idfw_engine *e, struct idfw_plan *p)
{
	if (e->conf.seed[0] || e->conf.seed[1])
		return; /* each start begins elsewhere */
	for (size_t i = 0; i < p->reported.n; i++) {
		const struct fw_elem *el = &p->reported.elems[i];

		if (el->mark >= p->next_mark)
			p->next_mark = el->mark + 1;
		if (el->key.set == FW_REMARK && key_u32(&el->key) >= p->next_mark)
			p->next_mark = key_u32(&el->key) + 1;
	}
}

void plan_adopt(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;
	struct owner *owners = NULL;
	size_t n = 0;

	if (p->reported.n && vm->compiled)
		owners = calloc(2 * p->reported.n, sizeof(*owners));
	if (owners) {
		marks_bump(e, p);
		plan_renew(e, vm);
		n = owners_lapses(p, owners, owners_find(e, vm, owners));
		for (size_t i = 0; i < p->reported.n; i++) { /* the oldest first */
			const struct fw_elem *el = &p->reported.elems[i];
			struct owner key = { .mark = el->mark },
				     old = { .mark = key_u32(&el->key) }, *o;

			if (el->key.set != FW_REMARK)
				continue;
			o = bsearch(&key, owners, n, sizeof(*owners), owner_cmp);
			if (o && !bsearch(&old, owners, n, sizeof(*owners), owner_cmp))
				owner_old(e, vm, o, old.mark);
		}
		for (size_t i = 0; i < n; i++)
			owner_mark(e, vm, &owners[i]);
		p->orphans_until_ms = e->mono_ms + IDFW_ADOPT_MS;
		idfw_due(e, e->mono_ms + IDFW_ORPHAN_LOOK_MS);
	}
	free(owners);
	free(p->reported.elems);
	p->reported = (struct plan_reported){ 0 };
	free(p->revoked);
	p->revoked = NULL;
	p->n_revoked = 0;
}
