/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_verify.c - is the kernel's table still what was acknowledged, and if not: make it so
 *
 * Runs in gi-netagent's pusher process, on the guard's word (push_guard.c). Elements are compared
 * one by one with the known state, all else by a hash of handles (push_table.c). A mark that the
 * kernel dropped at the end of its lease is no difference, and a repair never gives it back:
 * only the SVM's heartbeats renew (ADR 15).
 */
#include "fw/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fw/push_int.h"
#include "fw/render_int.h"

/* ---- comparing ---- */

struct cmp_arg {
	const struct fw_push *p;
	const struct fw_state *other;
	const char *word;
	char *what; /* FW_WHY_MAX, the first difference */
	bool lapses;
};

static void say(struct cmp_arg *a, const struct fw_elem *e, const char *word)
{
	char name[64];

	if (a->what[0])
		return;
	fw_set_nft_name(fw_state_ruleset(a->p->state), e->key.set, e->key.group, name);
	snprintf(a->what, FW_WHY_MAX, "an element of %s is %s", name, word);
}

static int cmp_elem(void *arg, const struct fw_elem *e)
{
	struct cmp_arg *a = arg;
	struct fw_elem o;

	if (fw_state_get_elem(a->other, &e->key, &o)) {
		if (!fw_elem_same_value(&o, e))
			say(a, e, "another");
	} else if (!(a->lapses && e->key.set == FW_LIVE && e->lease_s > 0 &&
			   (e->ends || !fw_leases_left_ms(a->p->leases, e->lease_s)))) {
		say(a, e, a->word);
	}
	return 0;
}

/* what stands, the map of cgroups too; *ret owned */
static int read_all(struct fw_push *p, struct fw_state **ret)
{
	int rc = fw_push_read(p, fw_state_ruleset(p->state), p->state, ret);

	if (rc < 0)
		return rc;
	rc = fw_push_read_cgroups(p, *ret);
	if (rc < 0) {
		fw_state_free(*ret);
		*ret = NULL;
	}
	return rc;
}

static int cmp_elems(struct fw_push *p, char what[FW_WHY_MAX])
{
	struct cmp_arg a = { .p = p, .what = what, .word = "gone", .lapses = true };
	struct fw_state *have = NULL;
	int rc = read_all(p, &have);

	if (rc == -GI_EPROTO) {
		snprintf(what, FW_WHY_MAX, "an element is none of ours");
		return 0;
	}
	if (rc < 0)
		return rc;
	a.other = have;
	rc = fw_state_each(p->state, false, cmp_elem, &a);
	a.other = p->state;
	a.word = "one too many";
	a.lapses = false;
	if (rc == 0)
		rc = fw_state_each(have, false, cmp_elem, &a);
	fw_state_free(have);
	return rc;
}

struct own_arg {
	const struct fw_push *p;
	struct fw_state *found;
	bool odd;
};

static int on_own(void *arg, const struct fw_raw *r)
{
	struct own_arg *a = arg;
	struct fw_op op = { .del = false };
	uint32_t pair[2];

	memcpy(pair, r->key, sizeof(pair));
	op.elem = fw_elem_live(pair[0], 0, false);
	if (pair[0] != pair[1] || pair[0] == 0 || !fw_state_get(a->p->state, &op.elem.key, NULL)) {
		a->odd = true;
		return 0;
	}
	return fw_state_apply(a->found, &op);
}

static int count_live(void *arg, const struct fw_elem *e)
{
	*(size_t *)arg += e->key.set == FW_LIVE;
	return 0;
}

/* the set `own` has a pair for each mark of LIVE, whether its lease has ended or not */
static int cmp_own(struct fw_push *p, char what[FW_WHY_MAX])
{
	struct own_arg a = { .p = p };
	size_t live = 0;
	int rc = fw_state_new(&a.found);

	if (rc < 0)
		return rc;
	rc = -EINTR;
	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++)
		rc = fw_mnl_elems(p->mnl, "own", on_own, &a);
	if (rc == 0)
		rc = fw_state_each(p->state, false, count_live, &live);
	if (rc == 0 && (a.odd || fw_state_count(a.found) != live))
		snprintf(what, FW_WHY_MAX, "the elements of own are others");
	fw_state_free(a.found);
	return rc;
}

struct base_arg {
	uint32_t want[2];
	unsigned int seen; /* bits */
	bool odd;
};

static int on_base(void *arg, const struct fw_raw *r)
{
	struct base_arg *a = arg;
	uint32_t mark;

	memcpy(&mark, r->key, sizeof(mark));
	for (unsigned int i = 0; i < 2; i++)
		if (a->want[i] == mark && mark)
			a->seen |= 1u << i;
	a->odd = a->odd || !mark || (a->want[0] != mark && a->want[1] != mark);
	return 0;
}

static int cmp_base(struct fw_push *p, char what[FW_WHY_MAX])
{
	struct base_arg a = { .seen = 0 };
	unsigned int want = 0;
	int rc = -EINTR;

	for (unsigned int i = 0; i < 2; i++) {
		struct fw_elem e = fw_elem_base(i ? 6 : 4, 0);

		if (fw_state_get(p->state, &e.key, &a.want[i]))
			want |= 1u << i;
	}
	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++)
		rc = fw_mnl_elems(p->mnl, "base", on_base, &a);
	if (rc == 0 && (a.odd || a.seen != want))
		snprintf(what, FW_WHY_MAX, "the elements of base are others");
	return rc;
}

static int cmp_stamp(struct fw_push *p, char what[FW_WHY_MAX])
{
	uint64_t generation = 0, version = 0;
	int rc = fw_push_running(p, &generation, &version);

	if (rc == 0 && (generation != fw_state_ruleset(p->state)->generation ||
			       version != fw_state_version(p->state)))
		snprintf(what, FW_WHY_MAX, "the elements of stamp are others");
	return rc;
}

static int cmp_shape(struct fw_push *p, char what[FW_WHY_MAX])
{
	uint64_t shape = 0;
	int rc = fw_table_shape(p->mnl, &shape);

	if (rc == 0 && shape != p->shape)
		snprintf(what, FW_WHY_MAX, "chains, rules or sets are others");
	return rc;
}

int fw_push_verify(struct fw_push *p, char ret_what[256])
{
	static int (*const parts[])(struct fw_push * p, char what[FW_WHY_MAX]) = { cmp_shape,
		cmp_elems, cmp_own, cmp_base, cmp_stamp };
	uint32_t gen = 0;
	int rc;

	ret_what[0] = '\0';
	if (!p->state)
		return 0;
	rc = fw_table_generation(p->mnl, &gen);
	if (rc == 0 && gen && gen == p->gen)
		return 0;
	for (size_t i = 0; i < GI_ARRAY_SIZE(parts) && rc == 0 && !ret_what[0]; i++)
		rc = parts[i](p, ret_what);
	if (rc == 0 && !ret_what[0])
		p->gen = gen;
	return rc;
}

void fw_push_look(struct fw_push *p)
{
	uint32_t stamp[FW_STAMP_COUNT] = { 0 };
	uint64_t left, shape = 0;

	if (fw_push_read_stamp(p, stamp) < 0)
		return;
	left = (uint64_t)stamp[FW_STAMP_SHAPE_HI] << 32 | stamp[FW_STAMP_SHAPE_LO];
	if (left && fw_table_shape(p->mnl, &shape) == 0 && shape != left)
		snprintf(p->found, sizeof(p->found),
			"table " FW_TABLE " was changed while none of us held it");
}

/* ---- repairing ---- */

struct put_by {
	const struct fw_state *have; /* NULL: all with a lease */
	struct fw_elem *list;	     /* owned */
	size_t n, room;
};

/* marks with a lease that are not there */
static int put_by_elem(void *arg, const struct fw_elem *e)
{
	struct put_by *b = arg;

	if (e->key.set != FW_LIVE || e->lease_s == 0)
		return 0;
	if (b->have && fw_state_get(b->have, &e->key, NULL))
		return 0;
	if (b->n == b->room) {
		size_t room = b->room ? 2 * b->room : 64;
		struct fw_elem *list = reallocarray(b->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		b->list = list;
		b->room = room;
	}
	b->list[b->n++] = *e;
	return 0;
}

/* out of the known state, or back into it */
static int move(struct fw_push *p, const struct put_by *b, bool out)
{
	int rc = 0;

	for (size_t i = 0; i < b->n && rc == 0; i++) {
		struct fw_op op = { .del = out, .elem = b->list[i] };

		rc = fw_state_apply(p->state, &op);
	}
	return rc;
}

/* their pairs in `own`; and the marks themselves, with the rest of their time */
static int revive(struct fw_push *p, const struct put_by *b)
{
	int rc = 0;

	for (size_t at = 0; at < b->n && rc == 0; at += FW_BATCH_ELEMS) {
		size_t end = b->n - at < FW_BATCH_ELEMS ? b->n : at + FW_BATCH_ELEMS;

		fw_mnl_begin(p->mnl);
		for (size_t i = at; i < end; i++) {
			uint32_t mark = fw_key_u32(&b->list[i].key), pair[2] = { mark, mark };
			struct fw_raw r = { .key_len = sizeof(pair) };

			memcpy(r.key, pair, sizeof(pair));
			fw_mnl_change(p->mnl, "own", FW_CHANGE_ADD, &r, false);
		}
		for (size_t i = at; i < end; i++) {
			uint64_t left = fw_leases_left_ms(p->leases, b->list[i].lease_s);
			struct fw_raw r;

			fw_raw_of_elem(&b->list[i], &r);
			r.left_ms = left;
			if (left && !b->list[i].ends)
				fw_mnl_change(p->mnl, "live", FW_CHANGE_ADD, &r, false);
		}
		rc = fw_mnl_commit(p->mnl);
	}
	return rc;
}

/* with what stands, or from nothing when that cannot be read or written over */
static int repair_once(struct fw_push *p, bool over, char ret_why[FW_WHY_MAX])
{
	struct fw_state *have = NULL;
	struct put_by b = { .n = 0 };
	int rc = over ? read_all(p, &have) : 0, back;

	if (rc < 0)
		return fw_push_refuse(rc, NULL, ret_why);
	b.have = have;
	rc = fw_state_each(p->state, false, put_by_elem, &b);
	fw_state_free(have);
	if (rc < 0) {
		free(b.list);
		return fw_push_refuse(rc, NULL, ret_why);
	}
	rc = move(p, &b, true);
	if (rc == 0)
		rc = fw_push_whole(
			p, p->state, over ? FW_WAY_OVER | FW_WAY_NETS : FW_WAY_FRESH, ret_why);
	back = p->state ? move(p, &b, false) : rc; /* it is gone when nobody knows what runs */
	if (rc == 0 && back == 0) {
		rc = revive(p, &b);
		if (rc < 0)
			fw_push_refuse(rc, NULL, ret_why);
	}
	free(b.list);
	if (back < 0) { /* what is asked for is not known any more */
		fw_state_free(p->state);
		p->state = NULL;
		return fw_push_refuse(back, NULL, ret_why);
	}
	return rc;
}

int fw_push_repair(struct fw_push *p, char ret_why[256])
{
	int rc;

	if (!p->state)
		return fw_push_refuse(-GI_ESTATE, "no ruleset is known", ret_why);
	rc = repair_once(p, true, ret_why);
	if (rc < 0 && rc != -ENOMEM && p->state)
		rc = repair_once(p, false, ret_why);
	if (rc == 0)
		ret_why[0] = '\0';
	return rc;
}
