/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_read.c - what the kernel holds, as elements of the model
 *
 * Runs in gi-netagent's pusher process: before a whole ruleset, so that only differences are
 * written; and for the SVM, which takes the marks over after a restart of its own. Marks that the
 * kernel dropped at the end of their lease are not there; what leads to them is.
 */
#include "fw/push.h"

#include <stdlib.h>
#include <string.h>
#include <linux/netfilter.h>
#include "fw/push_int.h"
#include "fw/render_int.h"

/* the kernel keeps marks, uids and cgroups in its own byte order, families by its own numbers */
void fw_raw_of_elem(const struct fw_elem *e, struct fw_raw *ret)
{
	uint32_t v = fw_key_u32(&e->key);
	uint64_t id = fw_key_u64(&e->key);

	*ret = (struct fw_raw){ .key_len = e->key.len, .data = e->mark };
	switch (e->key.set) {
	case FW_LIVE:
		ret->timeout_ms = UINT64_C(1000) * e->lease_s;
		/* fall through */
	case FW_UID_MARK:
	case FW_REMARK:
	case FW_SG:
		memcpy(ret->key, &v, sizeof(v));
		break;
	case FW_CG_MARK:
		memcpy(ret->key, &id, sizeof(id));
		break;
	case FW_BASE_MARK:
		ret->key[0] = e->key.data[0] == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
		break;
	default:
		memcpy(ret->key, e->key.data, e->key.len);
	}
}

struct read_arg {
	const struct fw_state *known; /* borrows; NULL none */
	struct fw_state *found;
	enum fw_set set;
	uint16_t group;
	unsigned int cg; /* name of the map of cgroups */
	bool odd;	 /* something that was not put there by us */
};

static struct fw_elem elem_of_raw(const struct read_arg *a, const struct fw_raw *r)
{
	struct fw_elem e = fw_elem_mark(a->set, a->group, 0);
	uint64_t id;
	uint32_t v;

	memcpy(&v, r->key, sizeof(v));
	memcpy(&id, r->key, sizeof(id));
	switch (a->set) {
	case FW_LIVE:
		return fw_elem_live(v, (uint32_t)(r->timeout_ms / 1000), false);
	case FW_SG:
		return fw_elem_mark(a->set, a->group, v);
	case FW_UID_MARK:
		return fw_elem_uid(v, r->data);
	case FW_CG_MARK:
		return fw_elem_cgroup(id, r->data);
	case FW_REMARK:
		return fw_elem_remark(v, r->data);
	case FW_BASE_MARK:
		return fw_elem_base(r->key[0] == NFPROTO_IPV4 ? 4 : 6, r->data);
	default:
		e.key.len = r->key_len;
		memcpy(e.key.data, r->key, sizeof(e.key.data));
		e.mark = r->data;
		return e;
	}
}

static int on_elem(void *arg, const struct fw_raw *r)
{
	struct read_arg *a = arg;
	struct fw_op op = { .elem = elem_of_raw(a, r) };
	struct fw_elem asked;

	if (fw_elem_check(&op.elem, NULL) < 0) {
		a->odd = true;
		return 0;
	}
	/* the kernel does not know which leases are not renewed */
	if (a->known && fw_state_get_elem(a->known, &op.elem.key, &asked) &&
		asked.lease_s == op.elem.lease_s)
		op.elem.ends = asked.ends;
	return fw_state_apply(a->found, &op);
}

/* a dump that starts again gives some twice: they end up in @a->found once */
static int read_set(struct fw_push *p, const struct fw_ruleset *rs, struct read_arg *a)
{
	char name[64];
	int rc = -EINTR;

	if (a->set == FW_CG_MARK)
		memcpy(name, fw_render_cg_name(a->cg), strlen(fw_render_cg_name(a->cg)) + 1);
	else
		fw_set_nft_name(rs, (uint8_t)a->set, a->group, name);
	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++)
		rc = fw_mnl_elems(p->mnl, name, on_elem, a);
	return rc;
}

int fw_push_read_live(struct fw_push *p, struct fw_state **ret)
{
	struct read_arg a = { .set = FW_LIVE };
	int rc = fw_state_new(&a.found);

	if (rc < 0)
		return rc;
	rc = read_set(p, NULL, &a);
	if (rc < 0)
		fw_state_free(a.found);
	else
		*ret = a.found;
	return rc;
}

struct drain_arg {
	const struct fw_state *want;
	struct fw_state *found;
};

/*
 * A drain that was asked for, is asked for still and is not there any more has ended: it counts as
 * there, so that it is not written again.
 */
static int ended_drain(void *arg, const struct fw_elem *e)
{
	struct drain_arg *a = arg;
	struct fw_op op = { .elem = *e };
	struct fw_elem want;

	if (e->key.set != FW_LIVE || !e->ends || fw_state_get(a->found, &e->key, NULL))
		return 0;
	if (!fw_state_get_elem(a->want, &e->key, &want) || !fw_elem_same_value(&want, e))
		return 0;
	return fw_state_apply(a->found, &op);
}

int fw_push_read(struct fw_push *p, const struct fw_ruleset *rs, const struct fw_state *want,
	struct fw_state **ret)
{
	struct read_arg a = { .known = p->state };
	struct drain_arg drains = { .want = want };
	int rc = fw_state_new(&a.found);

	for (a.set = FW_LIVE; a.set < FW_SET_COUNT && rc == 0; a.set++) {
		size_t n = fw_set_is_grouped(a.set) ? rs->n_groups : 1;

		if (a.set == FW_CG_MARK)
			continue; /* made anew with each ruleset */
		for (size_t g = 0; g < n && rc == 0; g++) {
			a.group = (uint16_t)g;
			rc = read_set(p, rs, &a);
		}
	}
	drains.found = a.found;
	if (rc == 0 && p->state)
		rc = fw_state_each(p->state, false, ended_drain, &drains);
	if (rc == 0 && a.odd)
		rc = -GI_EPROTO;
	if (rc < 0)
		fw_state_free(a.found);
	else
		*ret = a.found;
	return rc;
}

int fw_push_read_cgroups(struct fw_push *p, struct fw_state *into)
{
	struct read_arg a = { .found = into, .set = FW_CG_MARK, .cg = p->cg };
	int rc = read_set(p, NULL, &a);

	return rc == 0 && a.odd ? -GI_EPROTO : rc;
}

static int on_stamp(void *arg, const struct fw_raw *r)
{
	uint32_t *stamp = arg, key;

	memcpy(&key, r->key, sizeof(key));
	if (key < FW_STAMP_COUNT)
		stamp[key] = r->data;
	return 0;
}

int fw_push_read_stamp(struct fw_push *p, uint32_t stamp[FW_STAMP_COUNT])
{
	int rc = -EINTR;

	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++)
		rc = fw_mnl_elems(p->mnl, "stamp", on_stamp, stamp);
	return rc;
}

int fw_push_marks(struct fw_push *p, int (*cb)(void *arg, const struct fw_elem *e), void *arg)
{
	static const enum fw_set sets[] = { FW_UID_MARK, FW_ADDR4_MARK, FW_ADDR6_MARK, FW_REMARK,
		FW_BASE_MARK, FW_CG_MARK };
	uint32_t stamp[FW_STAMP_COUNT] = { 0 };
	struct read_arg a = { .odd = false };
	int rc = fw_state_new(&a.found);

	if (rc < 0)
		return rc;
	rc = fw_push_read_stamp(p, stamp);
	a.cg = stamp[FW_STAMP_CG];
	for (size_t i = 0; i < GI_ARRAY_SIZE(sets) && rc == 0; i++) {
		a.set = sets[i];
		rc = read_set(p, NULL, &a);
	}
	if (rc == 0)
		rc = fw_state_each(a.found, true, cb, arg);
	fw_state_free(a.found);
	return rc;
}

int fw_push_running(struct fw_push *p, uint64_t *ret_generation, uint64_t *ret_version)
{
	uint32_t stamp[FW_STAMP_COUNT] = { 0 };
	int rc = fw_push_read_stamp(p, stamp);

	if (rc < 0)
		return rc;
	*ret_generation = (uint64_t)stamp[FW_STAMP_GEN_HI] << 32 | stamp[FW_STAMP_GEN_LO];
	*ret_version = (uint64_t)stamp[FW_STAMP_VER_HI] << 32 | stamp[FW_STAMP_VER_LO];
	return 0;
}
