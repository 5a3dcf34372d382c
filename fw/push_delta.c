/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_delta.c - from the model to the kernel: deltas, one transaction each, by netlink alone
 *
 * The hot path of gi-netagent's pusher process: a login or a logout. Checked against the state that
 * the kernel was last told to hold, then one batch, then remembered. The kernel drops a leased
 * mark by itself when nobody renews it; the state keeps it, as what was asked for. So nothing here
 * may fail because a mark of LIVE is gone already.
 */
#include "fw/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fw/push_int.h"
#include "fw/render_int.h"

static int delta_check(const struct fw_push *p, const struct fw_delta *d, char ret_why[FW_WHY_MAX]);
static int delta_sorted(const struct fw_delta *d, struct fw_delta *ret_copy);
static int delta_commit(struct fw_push *p, const struct fw_delta *d);
static int delta_remember(struct fw_push *p, const struct fw_delta *d);

int fw_push_delta(struct fw_push *p, const struct fw_delta *d, char ret_why[256])
{
	struct fw_delta copy = { 0 };
	int rc = delta_check(p, d, ret_why);

	if (rc < 0)
		return rc;
	rc = delta_sorted(d, &copy);
	if (rc < 0)
		return fw_push_refuse(rc, NULL, ret_why);
	if (copy.ops)
		d = &copy;
	rc = delta_commit(p, d);
	if (rc == 0)
		rc = delta_remember(p, d);
	else if (rc == -ENOBUFS)
		fw_state_free(p->state), p->state = NULL;
	free(copy.ops);
	if (rc < 0)
		return fw_push_refuse(rc, NULL, ret_why);
	ret_why[0] = '\0';
	return 0;
}

static int delta_check(const struct fw_push *p, const struct fw_delta *d, char ret_why[FW_WHY_MAX])
{
	const struct fw_ruleset *rs = p->state ? fw_state_ruleset(p->state) : NULL;
	int rc;

	if (!rs)
		return fw_push_refuse(-GI_ESTATE, "no ruleset is known to run", ret_why);
	if (d->generation != rs->generation || d->from_version != fw_state_version(p->state))
		return fw_push_refuse(-GI_ESTATE, "delta does not follow what runs", ret_why);
	if (d->n_ops > FW_DELTA_MAX || fw_state_count(p->state) + d->n_ops > FW_ELEMS_MAX)
		return fw_push_refuse(-GI_ELIMIT, "too many operations or elements", ret_why);
	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];

		rc = op->del ? fw_key_check(&op->elem.key, rs) : fw_elem_check(&op->elem, rs);
		if (rc < 0)
			return fw_push_refuse(rc, "an element does not fit the ruleset", ret_why);
	}
	return 0;
}

/* one operation a key, sorted: as it comes, or in a copy (@ret_copy->ops then is owned) */
static int delta_sorted(const struct fw_delta *d, struct fw_delta *ret_copy)
{
	size_t i;

	for (i = 1; i < d->n_ops; i++) {
		const struct fw_op *a = &d->ops[i - 1], *b = &d->ops[i];

		if (a->del == b->del ? fw_key_cmp(&a->elem.key, &b->elem.key) >= 0 : !a->del)
			break;
	}
	if (i >= d->n_ops && !(d->n_ops > 1 && d->ops[0].del && !d->ops[d->n_ops - 1].del))
		return 0; /* only removals or only additions, in order */
	*ret_copy = *d;
	ret_copy->ops = malloc(d->n_ops * sizeof(*d->ops));
	if (!ret_copy->ops)
		return -ENOMEM;
	memcpy(ret_copy->ops, d->ops, d->n_ops * sizeof(*d->ops));
	fw_delta_sort(ret_copy);
	return 0;
}

void fw_push_change(struct fw_push *p, enum fw_change how, const struct fw_elem *e)
{
	char name[64];
	struct fw_raw r;

	fw_raw_of_elem(e, &r);
	if (e->key.set == FW_CG_MARK)
		snprintf(name, sizeof(name), "%s", fw_render_cg_name(p->cg));
	else
		fw_set_nft_name(fw_state_ruleset(p->state), e->key.set, e->key.group, name);
	fw_mnl_change(p->mnl, name, how, &r, fw_set_is_map(e->key.set));
}

static void change_u32(struct fw_push *p, const char *set, enum fw_change how, uint32_t key,
	uint32_t data, bool map)
{
	struct fw_raw r = { .key_len = 4, .data = data };

	memcpy(r.key, &key, sizeof(key));
	fw_mnl_change(p->mnl, set, how, &r, map);
}

/* where the delta takes @mark from this family as well; n_ops: it does not */
static size_t loses_base(const struct fw_delta *d, const struct fw_key *key, uint32_t mark)
{
	size_t i = 0;

	while (i < d->n_ops && (fw_key_cmp(&d->ops[i].elem.key, key) != 0 ||
				       (!d->ops[i].del && d->ops[i].elem.mark == mark)))
		i++;
	return i;
}

/*
 * The helper set of current base marks. The other family may have the same mark: then it goes with
 * the first of the two that lose it, and stays when only one does.
 */
static void change_base(struct fw_push *p, bool del, const struct fw_delta *d, size_t at)
{
	const struct fw_elem *e = &d->ops[at].elem;
	struct fw_elem other = fw_elem_base(e->key.data[0] == 4 ? 6 : 4, 0);
	uint32_t old, mark;
	size_t i;

	if (!del) {
		change_u32(p, "base", FW_CHANGE_ADD, e->mark, 0, false);
		return;
	}
	if (!fw_state_get(p->state, &e->key, &old))
		return;
	if (fw_state_get(p->state, &other.key, &mark) && mark == old) {
		i = loses_base(d, &other.key, old);
		if (i == d->n_ops || i < at)
			return;
	}
	change_u32(p, "base", FW_CHANGE_DEL, old, 0, false);
}

/* the helper set of pairs (mark, the same mark), of all live ones */
static void change_own(struct fw_push *p, enum fw_change how, const struct fw_elem *e)
{
	uint32_t pair[2] = { fw_key_u32(&e->key), fw_key_u32(&e->key) };
	struct fw_raw r = { .key_len = sizeof(pair) };

	memcpy(r.key, pair, sizeof(pair));
	fw_mnl_change(p->mnl, "own", how, &r, false);
}

void fw_push_drain(struct fw_push *p, const struct fw_key *who, const struct fw_elem *drain)
{
	struct fw_raw r = { .timeout_ms = UINT64_C(1000) * drain->lease_s };
	uint32_t mark = fw_key_u32(&drain->key), uid = fw_key_u32(who);
	uint64_t id = fw_key_u64(who);

	if (who->set == FW_CG_MARK)
		memcpy(r.key, &id, r.key_len = sizeof(id));
	else
		memcpy(r.key, &uid, r.key_len = sizeof(uid));
	memcpy(r.key + r.key_len, &mark, sizeof(mark));
	r.key_len += sizeof(mark);
	fw_mnl_change(p->mnl, who->set == FW_CG_MARK ? FW_DRAIN_CG_NAME : FW_DRAIN_UID_NAME,
		FW_CHANGE_ADD, &r, false);
}

static bool is_subject(const struct fw_key *k)
{
	return k->set == FW_UID_MARK || k->set == FW_CG_MARK;
}

/* whose mark @drain was until this delta */
static void delta_drain(struct fw_push *p, const struct fw_delta *d, const struct fw_elem *drain)
{
	uint32_t mark = fw_key_u32(&drain->key), old;

	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];

		if (is_subject(&op->elem.key) && fw_state_get(p->state, &op->elem.key, &old) &&
			old == mark && (op->del || op->elem.mark != mark))
			fw_push_drain(p, &op->elem.key, drain);
	}
}

static void change_stamp(struct fw_push *p, uint32_t key, uint32_t have, uint32_t want)
{
	if (have == want)
		return;
	change_u32(p, "stamp", FW_CHANGE_DEL, key, 0, true);
	change_u32(p, "stamp", FW_CHANGE_ADD, key, want, true);
}

/*
 * All removals, among them those of values that are replaced, then all additions. A lease that is
 * replaced is updated in place where the kernel can.
 * @standing: the marks that LIVE holds; NULL: all that it was told to
 */
static void delta_batch(
	struct fw_push *p, const struct fw_delta *d, const struct fw_state *standing)
{
	uint64_t have = fw_state_version(p->state), want = d->version;
	bool update = fw_mnl_has_update(p->mnl);

	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];
		uint8_t set = op->elem.key.set;
		struct fw_elem old;
		bool known = fw_state_get_elem(p->state, &op->elem.key, &old);
		bool replaced = !op->del && known && !fw_elem_same_value(&old, &op->elem);
		bool there = fw_mnl_has_destroy(p->mnl) ? op->del || known : known;

		if (set == FW_LIVE && standing)
			there = fw_state_get(standing, &op->elem.key, NULL);
		if (there && (op->del || (replaced && !(set == FW_LIVE && update))))
			fw_push_change(p, FW_CHANGE_DEL, &op->elem);
		if ((replaced || op->del) && set == FW_BASE_MARK)
			change_base(p, true, d, i);
		if (op->del && set == FW_LIVE && (known || fw_mnl_has_destroy(p->mnl)))
			change_own(p, FW_CHANGE_DEL, &op->elem);
	}
	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];
		struct fw_elem old;

		if (op->del)
			continue;
		if (op->elem.ends && fw_state_get_elem(p->state, &op->elem.key, &old) &&
			fw_elem_same_value(&old, &op->elem))
			continue; /* a drain that is under way, or over */
		fw_push_change(p, FW_CHANGE_ADD, &op->elem);
		if (op->elem.key.set == FW_BASE_MARK)
			change_base(p, false, d, i);
		if (op->elem.key.set == FW_LIVE)
			change_own(p, FW_CHANGE_ADD, &op->elem);
		if (op->elem.ends)
			delta_drain(p, d, &op->elem);
	}
	change_stamp(p, FW_STAMP_VER_HI, (uint32_t)(have >> 32), (uint32_t)(want >> 32));
	change_stamp(p, FW_STAMP_VER_LO, (uint32_t)have, (uint32_t)want);
}

/*
 * A kernel before 6.3 refuses to remove a mark that it has dropped at the end of its lease: what
 * stands is read then, and again if one more went meanwhile.
 */
static int delta_commit(struct fw_push *p, const struct fw_delta *d)
{
	struct fw_state *standing = NULL;
	int rc = 0, err;

	for (int i = 0; i < FW_DUMP_TRIES; i++) {
		fw_mnl_begin(p->mnl);
		delta_batch(p, d, standing);
		rc = fw_mnl_commit(p->mnl);
		if (rc != -ENOENT || fw_mnl_has_destroy(p->mnl))
			break;
		fw_state_free(standing);
		standing = NULL;
		err = fw_push_read_live(p, &standing);
		if (err < 0)
			rc = err;
		if (err < 0)
			break;
	}
	fw_state_free(standing);
	return rc;
}

/* the kernel has it; when memory runs out here, only a whole ruleset can follow */
static int delta_remember(struct fw_push *p, const struct fw_delta *d)
{
	int rc = 0;

	for (size_t i = 0; i < d->n_ops; i++)
		if (d->ops[i].del && is_subject(&d->ops[i].elem.key) &&
			fw_state_get(p->state, &d->ops[i].elem.key, NULL))
			fw_push_ended(p, &d->ops[i].elem.key);
	for (size_t i = 0; i < d->n_ops && rc == 0; i++) {
		rc = fw_state_apply(p->state, &d->ops[i]);
		if (!d->ops[i].del)
			(void)fw_leases_wrote(p->leases, &d->ops[i].elem);
	}
	if (rc < 0) {
		fw_state_free(p->state);
		p->state = NULL;
		return rc;
	}
	fw_state_set_version(p->state, d->version);
	return 0;
}
