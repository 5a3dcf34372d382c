/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.c - what one enforcement point is to hold, or holds: a ruleset, its elements, a version
 *
 * svm-idfw keeps one a VM (100,000 VM-session pairs are usual), the pusher keeps one. So elements
 * lie packed in one open-addressing table, 24 bytes a slot, at most 7/8 full and grown by half:
 * 27 to 41 bytes an element, against about 100 with a uthash handle and malloc. Probing is linear
 * and removal shifts back, so there are no tombstones. The hash is keyed by random bytes of this
 * state: keys come from guests and must not be able to choose their slot.
 */
#include "fw/fw.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "fw/siphash.h"

#define SLOTS_MIN 16
/* up to here a sort is by insertion and needs no memory */
#define SORT_SMALL 24

#define SLOT_ENDS (UINT32_C(1) << 31)

struct slot { /* a packed struct fw_elem; len 0: free */
	uint8_t set, len;
	uint16_t group;
	uint8_t data[16];
	uint32_t value; /* mark; for LIVE, which has none, the lease and SLOT_ENDS */
};
_Static_assert(sizeof(struct slot) == 24, "slots are packed");

struct fw_state {
	struct fw_ruleset *ruleset; /* owned; NULL before the first */
	uint64_t version;
	uint64_t key[2];
	struct slot *slots; /* owned */
	size_t n_slots;	    /* any number, slots are found by multiply and shift */
	size_t count;
};

static bool slot_find(const struct fw_state *s, const struct slot *key, size_t *ret_at);
static int slots_grow(struct fw_state *s);
static void slots_remove(struct fw_state *s, size_t at);
static int diff_add(struct fw_delta *d, bool del, const struct fw_elem *e);

int fw_state_new(struct fw_state **ret)
{
	struct fw_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (getrandom(s->key, sizeof(s->key), 0) != (ssize_t)sizeof(s->key)) {
		free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void fw_state_free(struct fw_state *s)
{
	if (!s)
		return;
	fw_ruleset_free(s->ruleset);
	free(s->slots);
	free(s);
}

void fw_state_set_ruleset(struct fw_state *s, struct fw_ruleset *rs)
{
	fw_ruleset_free(s->ruleset);
	s->ruleset = rs;
	free(s->slots);
	s->slots = NULL;
	s->n_slots = 0;
	s->count = 0;
}

const struct fw_ruleset *fw_state_ruleset(const struct fw_state *s)
{
	return s->ruleset;
}

uint64_t fw_state_version(const struct fw_state *s)
{
	return s->version;
}

void fw_state_set_version(struct fw_state *s, uint64_t version)
{
	s->version = version;
}

size_t fw_state_count(const struct fw_state *s)
{
	return s->count;
}

/* ---- the table ---- */

static struct slot slot_of_key(const struct fw_key *k)
{
	struct slot sl = { .set = k->set, .len = k->len, .group = k->group };

	memcpy(sl.data, k->data, sizeof(sl.data));
	return sl;
}

static struct slot slot_of_elem(const struct fw_elem *e)
{
	struct slot sl = slot_of_key(&e->key);

	sl.value = e->mark;
	if (e->key.set == FW_LIVE)
		sl.value = (e->lease_s & ~SLOT_ENDS) | (e->ends ? SLOT_ENDS : 0);
	return sl;
}

static struct fw_elem elem_of_slot(const struct slot *sl)
{
	struct fw_elem e;

	memset(&e, 0, sizeof(e));
	e.key.set = sl->set;
	e.key.group = sl->group;
	e.key.len = sl->len;
	memcpy(e.key.data, sl->data, sizeof(e.key.data));
	if (sl->set == FW_LIVE) {
		e.lease_s = sl->value & ~SLOT_ENDS;
		e.ends = (sl->value & SLOT_ENDS) != 0;
	} else {
		e.mark = sl->value;
	}
	return e;
}

static size_t slot_home(const struct fw_state *s, const struct slot *sl)
{
	struct fw_sip sip;

	fw_sip_init(&sip, s->key);
	fw_sip_add(&sip, sl, offsetof(struct slot, data) + sl->len);
	return (size_t)(((unsigned __int128)fw_sip_end(&sip) * s->n_slots) >> 64);
}

static bool slot_same_key(const struct slot *a, const struct slot *b)
{
	return memcmp(a, b, offsetof(struct slot, value)) == 0;
}

/* where @key is, or the free slot where it belongs; there is always one free slot */
static bool slot_find(const struct fw_state *s, const struct slot *key, size_t *ret_at)
{
	size_t at = slot_home(s, key);

	while (s->slots[at].len != 0) {
		if (slot_same_key(&s->slots[at], key)) {
			*ret_at = at;
			return true;
		}
		if (++at == s->n_slots)
			at = 0;
	}
	*ret_at = at;
	return false;
}

static int slots_grow(struct fw_state *s)
{
	struct fw_state bigger = *s;
	size_t at;

	bigger.n_slots = s->n_slots == 0 ? SLOTS_MIN : s->n_slots + s->n_slots / 2;
	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_slots; i++) {
		if (s->slots[i].len == 0)
			continue;
		(void)slot_find(&bigger, &s->slots[i], &at);
		bigger.slots[at] = s->slots[i];
	}
	free(s->slots);
	*s = bigger;
	return 0;
}

/* frees slot @at and moves back those behind it that could not have their home because of it */
static void slots_remove(struct fw_state *s, size_t at)
{
	size_t next = at;

	for (;;) {
		size_t home, from_home, from_at;

		if (++next == s->n_slots)
			next = 0;
		if (s->slots[next].len == 0)
			break;
		home = slot_home(s, &s->slots[next]);
		from_home = next >= home ? next - home : next + s->n_slots - home;
		from_at = next >= at ? next - at : next + s->n_slots - at;
		if (from_home >= from_at) {
			s->slots[at] = s->slots[next];
			at = next;
		}
	}
	memset(&s->slots[at], 0, sizeof(s->slots[at]));
	s->count--;
}

int fw_state_apply(struct fw_state *s, const struct fw_op *op)
{
	struct slot sl = slot_of_elem(&op->elem);
	size_t at;
	int rc;

	if (sl.len == 0 || sl.len > sizeof(sl.data))
		return -GI_EPROTO;
	if (s->n_slots > 0 && slot_find(s, &sl, &at)) {
		if (op->del)
			slots_remove(s, at);
		else
			s->slots[at].value = sl.value;
		return 0;
	}
	if (op->del)
		return 0;
	if (s->count >= FW_ELEMS_MAX)
		return -GI_ELIMIT;
	if (s->count + 1 > s->n_slots - s->n_slots / 8) {
		rc = slots_grow(s);
		if (rc < 0)
			return rc;
	}
	(void)slot_find(s, &sl, &at);
	s->slots[at] = sl;
	s->count++;
	return 0;
}

static const struct slot *slot_get(const struct fw_state *s, const struct fw_key *key)
{
	struct slot sl = slot_of_key(key);
	size_t at;

	if (s->n_slots == 0 || sl.len == 0 || sl.len > sizeof(sl.data) || !slot_find(s, &sl, &at))
		return NULL;
	return &s->slots[at];
}

bool fw_state_get(const struct fw_state *s, const struct fw_key *key, uint32_t *ret_mark)
{
	const struct slot *sl = slot_get(s, key);

	if (sl && ret_mark)
		*ret_mark = sl->set == FW_LIVE ? 0 : sl->value;
	return sl != NULL;
}

bool fw_state_get_elem(const struct fw_state *s, const struct fw_key *key, struct fw_elem *ret)
{
	const struct slot *sl = slot_get(s, key);

	if (sl)
		*ret = elem_of_slot(sl);
	return sl != NULL;
}

/* ---- walking ---- */

static int slot_cmp(const void *pa, const void *pb)
{
	const struct slot *a = *(const struct slot *const *)pa;
	const struct slot *b = *(const struct slot *const *)pb;

	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return memcmp(a->data, b->data, sizeof(a->data));
}

static int each_sorted(
	const struct fw_state *s, int (*cb)(void *arg, const struct fw_elem *e), void *arg)
{
	const struct slot **order;
	size_t n = 0;
	int rc = 0;

	if (s->count == 0)
		return 0;
	order = malloc(s->count * sizeof(const struct slot *));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_slots; i++)
		if (s->slots[i].len != 0)
			order[n++] = &s->slots[i];
	qsort(order, n, sizeof(*order), slot_cmp);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct fw_elem e = elem_of_slot(order[i]);

		rc = cb(arg, &e);
	}
	free(order);
	return rc;
}

int fw_state_each(const struct fw_state *s, bool sorted,
	int (*cb)(void *arg, const struct fw_elem *e), void *arg)
{
	int rc = 0;

	if (sorted)
		return each_sorted(s, cb, arg);
	for (size_t i = 0; i < s->n_slots && rc == 0; i++) {
		struct fw_elem e;

		if (s->slots[i].len == 0)
			continue;
		e = elem_of_slot(&s->slots[i]);
		rc = cb(arg, &e);
	}
	return rc;
}

/* ---- differences ---- */

static int diff_add(struct fw_delta *d, bool del, const struct fw_elem *e)
{
	struct fw_op *op;

	if (d->n_ops >= FW_DELTA_MAX)
		return -GI_ELIMIT;
	if ((d->n_ops & (d->n_ops - 1)) == 0) { /* full at each power of two */
		size_t room = d->n_ops == 0 ? 1 : 2 * d->n_ops;
		struct fw_op *ops = realloc(d->ops, room * sizeof(*ops));

		if (!ops)
			return -ENOMEM;
		d->ops = ops;
	}
	op = &d->ops[d->n_ops++];
	memset(op, 0, sizeof(*op));
	op->del = del;
	op->elem = *e;
	if (del) {
		op->elem.mark = op->elem.lease_s = 0;
		op->elem.ends = false;
	}
	return 0;
}

struct diff_arg {
	const struct fw_state *other;
	struct fw_delta *d;
};

static int diff_removed(void *arg, const struct fw_elem *e)
{
	struct diff_arg *a = arg;

	return fw_state_get(a->other, &e->key, NULL) ? 0 : diff_add(a->d, true, e);
}

static int diff_added(void *arg, const struct fw_elem *e)
{
	struct diff_arg *a = arg;
	struct fw_elem have;

	if (fw_state_get_elem(a->other, &e->key, &have) && fw_elem_same_value(&have, e))
		return 0;
	return diff_add(a->d, false, e);
}

int fw_state_diff(const struct fw_state *have, const struct fw_state *want, struct fw_delta **ret)
{
	struct fw_delta *d = calloc(1, sizeof(*d));
	struct diff_arg removed = { want, d }, added = { have, d };
	int rc;

	if (!d)
		return -ENOMEM;
	d->generation = want->ruleset ? want->ruleset->generation : 0;
	d->from_version = have->version;
	d->version = want->version;
	rc = fw_state_each(have, false, diff_removed, &removed);
	if (rc == 0)
		rc = fw_state_each(want, false, diff_added, &added);
	if (rc < 0) {
		fw_delta_free(d);
		return rc;
	}
	fw_delta_sort(d);
	*ret = d;
	return 0;
}

void fw_delta_free(struct fw_delta *d)
{
	if (!d)
		return;
	free(d->ops);
	free(d);
}

static int op_key_cmp(const struct fw_op *a, const struct fw_op *b)
{
	return fw_key_cmp(&a->elem.key, &b->elem.key);
}

static int op_order_cmp(const void *pa, const void *pb)
{
	const struct fw_op *a = pa, *b = pb;

	if (a->del != b->del)
		return a->del ? -1 : 1;
	return op_key_cmp(a, b);
}

/* stable, by key; merges through @tmp, or by insertion when there is none */
static void ops_sort_stable(struct fw_op *ops, size_t n, struct fw_op *tmp)
{
	size_t half = n / 2, l = 0, r = half;

	if (n <= SORT_SMALL || !tmp) {
		for (size_t i = 1; i < n; i++) {
			struct fw_op op = ops[i];
			size_t j = i;

			for (; j > 0 && op_key_cmp(&ops[j - 1], &op) > 0; j--)
				ops[j] = ops[j - 1];
			ops[j] = op;
		}
		return;
	}
	ops_sort_stable(ops, half, tmp);
	ops_sort_stable(ops + half, n - half, tmp);
	for (size_t i = 0; i < n; i++) {
		if (r == n || (l < half && op_key_cmp(&ops[l], &ops[r]) <= 0))
			tmp[i] = ops[l++];
		else
			tmp[i] = ops[r++];
	}
	memcpy(ops, tmp, n * sizeof(*ops));
}

void fw_delta_sort(struct fw_delta *d)
{
	struct fw_op *tmp = NULL;
	size_t n = 0;

	if (d->n_ops < 2)
		return;
	if (d->n_ops > SORT_SMALL)
		tmp = malloc(d->n_ops * sizeof(*tmp)); /* without it only slower */
	ops_sort_stable(d->ops, d->n_ops, tmp);
	free(tmp);
	for (size_t i = 0; i < d->n_ops; i++) {
		if (i + 1 < d->n_ops && op_key_cmp(&d->ops[i], &d->ops[i + 1]) == 0)
			continue; /* a later writer of this key wins */
		d->ops[n++] = d->ops[i];
	}
	d->n_ops = n;
	qsort(d->ops, n, sizeof(*d->ops), op_order_cmp);
}
