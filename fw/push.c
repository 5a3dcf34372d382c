/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.c - from the model to the kernel: whole rulesets, deltas, read-back
 *
 * Runs in gi-netagent's pusher process, which holds CAP_NET_ADMIN. It checks everything itself and
 * remembers what the kernel was last told to hold; a delta is only applied on top of that. When a
 * transaction's end is unknown the memory is dropped, and only a whole ruleset goes from there.
 * Half a ruleset is never in the kernel: each transaction leaves a whole one.
 */
#include "fw/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netfilter.h>
#include "fw/push_int.h"
#include "fw/render_int.h"

#define TEXT_MAX (1024u * 1024 * 1024) /* FW_ELEMS_MAX elements with both ends in IPv6 fit */
#define OBJECT_NAME_MAX 120
#define DUMP_TRIES 16

/* keys of the map `stamp` */
enum { STAMP_GEN_HI = 1, STAMP_GEN_LO = 2, STAMP_VER_HI = 3, STAMP_VER_LO = 4 };

struct fw_push {
	struct fw_mnl *mnl;	/* owned */
	struct fw_state *state; /* owned; NULL: not known */
};

static int read_elems(struct fw_push *p, const struct fw_ruleset *rs, struct fw_state **ret);
static int sweep(struct fw_push *p, const char *prepare, const char *commit, struct gi_buf *out);
static int delta_check(const struct fw_push *p, const struct fw_delta *d, char ret_why[FW_WHY_MAX]);
static int delta_sorted(const struct fw_delta *d, struct fw_delta *ret_copy);
static void delta_batch(struct fw_push *p, const struct fw_delta *d);
static int delta_remember(struct fw_push *p, const struct fw_delta *d);

int fw_push_new(struct fw_push **ret, char ret_why[256])
{
	struct fw_push *p = calloc(1, sizeof(*p));
	int rc;

	snprintf(ret_why, FW_WHY_MAX, "out of memory");
	if (!p)
		return -ENOMEM;
	rc = fw_mnl_new(&p->mnl, ret_why);
	if (rc < 0) {
		free(p);
		return rc;
	}
	ret_why[0] = '\0';
	*ret = p;
	return 0;
}

void fw_push_free(struct fw_push *p)
{
	if (!p)
		return;
	fw_mnl_free(p->mnl);
	fw_state_free(p->state);
	free(p);
}

const struct fw_state *fw_push_state(const struct fw_push *p)
{
	return p->state;
}

void fw_push_without_destroy(struct fw_push *p)
{
	fw_mnl_without_destroy(p->mnl);
}

static int refuse(int rc, const char *words, char ret_why[FW_WHY_MAX])
{
	snprintf(ret_why, FW_WHY_MAX, "%s", words ? words : gi_strerror(rc));
	return rc;
}

/* ---- whole rulesets ---- */

/* text of both transactions; with @have only the elements that differ from it */
static int texts(struct fw_push *p, const struct fw_state *s, const struct fw_state *have,
	struct gi_buf *prepare, struct gi_buf *all)
{
	struct gi_buf commit;
	int rc;

	gi_buf_init(&commit, TEXT_MAX);
	gi_buf_reset(prepare);
	gi_buf_reset(all);
	rc = fw_render_over(s, have, prepare, &commit);
	if (rc == 0)
		rc = sweep(p, gi_buf_str(prepare), gi_buf_str(&commit), all);
	if (rc == 0) {
		gi_buf_append(all, commit.data, commit.len);
		rc = gi_buf_error(all);
	}
	gi_buf_fini(&commit);
	return rc;
}

/*
 * First the interval sets, which nothing refers to yet; then one transaction that empties the
 * chains, deletes what is not wanted any more and fills everything anew.
 */
static int push_over(struct fw_push *p, const struct fw_state *s, const struct fw_state *have,
	char ret_why[FW_WHY_MAX])
{
	struct gi_buf prepare, all;
	int rc;

	gi_buf_init(&prepare, TEXT_MAX);
	gi_buf_init(&all, TEXT_MAX);
	rc = texts(p, s, have, &prepare, &all);
	if (rc < 0)
		refuse(rc, NULL, ret_why);
	else
		rc = fw_nft_run(gi_buf_str(&prepare), ret_why);
	if (rc == 0)
		rc = fw_nft_run(gi_buf_str(&all), ret_why);
	gi_buf_fini(&prepare);
	gi_buf_fini(&all);
	return rc;
}

int fw_push_ruleset(struct fw_push *p, struct fw_state *s, char ret_why[256])
{
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct fw_state *have = NULL;
	const char *why = NULL;
	int rc = rs ? fw_ruleset_check(rs, &why) : -EINVAL;

	if (rc < 0)
		return refuse(rc, why, ret_why);
	rc = read_elems(p, rs, &have);
	if (rc == 0)
		rc = push_over(p, s, have, ret_why);
	if (rc < 0) /* the sets are not as we think; somebody else at work */
		rc = push_over(p, s, NULL, ret_why);
	fw_state_free(have);
	if (rc < 0)
		return rc;
	fw_state_free(p->state);
	p->state = s;
	ret_why[0] = '\0';
	return 0;
}

/* what the texts make: each chain, set and map is opened on a line of its own */
struct made {
	char (*names)[OBJECT_NAME_MAX + 8]; /* owned; "chain x", "set y", sorted */
	size_t n, room;
};

static int made_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int made_add(struct made *m, const char *kind, const char *name, size_t len)
{
	if (m->n == m->room) {
		size_t room = m->room ? 2 * m->room : 64;
		void *names = realloc(m->names, room * sizeof(*m->names));

		if (!names)
			return -ENOMEM;
		m->names = names;
		m->room = room;
	}
	if (len > OBJECT_NAME_MAX)
		return -GI_ELIMIT;
	snprintf(m->names[m->n++], sizeof(*m->names), "%s %.*s", kind, (int)len, name);
	return 0;
}

static int made_scan(struct made *m, const char *text)
{
	static const struct {
		const char *opening, *kind;
	} lines[] = {
		{ "\tchain ", "chain" },
		{ "add set inet " FW_TABLE " ", "set" },
		{ "add map inet " FW_TABLE " ", "set" },
	};
	int rc = 0;

	for (const char *l = text; l && *l && rc == 0;
		l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
		for (size_t i = 0; i < GI_ARRAY_SIZE(lines) && rc == 0; i++) {
			size_t n = strlen(lines[i].opening);

			if (strncmp(l, lines[i].opening, n) == 0)
				rc = made_add(m, lines[i].kind, l + n, strcspn(l + n, " \n"));
		}
	}
	return rc;
}

static bool made_has(const struct made *m, const char *kind, const char *name)
{
	char key[sizeof(*m->names)];

	snprintf(key, sizeof(key), "%s %s", kind, name);
	return m->n > 0 && bsearch(key, m->names, m->n, sizeof(*m->names), made_cmp);
}

struct sweep_arg {
	struct made made;
	struct gi_buf chains, sets;
};

static int sweep_object(void *arg, enum fw_object kind, const char *name)
{
	struct sweep_arg *a = arg;
	const char *word = kind == FW_OBJ_MAP ? "map" : "set";

	if (!gi_text_is_name(name, OBJECT_NAME_MAX))
		return 0; /* not ours, and not to be printed */
	if (made_has(&a->made, kind == FW_OBJ_CHAIN ? "chain" : "set", name))
		return 0;
	if (kind == FW_OBJ_CHAIN) {
		gi_buf_printf(&a->chains, "delete chain inet " FW_TABLE " %s\n", name);
		return 0;
	}
	/*
	 * A deleted set's elements match until no packet can see the old rules any more: right for
	 * all but the stamp, which has to stop matching at the commit (see render.c).
	 */
	if (strncmp(name, "gen_", 4) == 0)
		gi_buf_printf(&a->sets, "flush set inet " FW_TABLE " %s\n", name);
	gi_buf_printf(&a->sets, "delete %s inet " FW_TABLE " %s\n", word, name);
	return 0;
}

/* what stands in the kernel and is in neither text goes, rules first */
static int sweep(struct fw_push *p, const char *prepare, const char *commit, struct gi_buf *out)
{
	struct sweep_arg a = { .made = { 0 } };
	int rc;

	gi_buf_init(&a.chains, TEXT_MAX);
	gi_buf_init(&a.sets, TEXT_MAX);
	rc = made_scan(&a.made, prepare);
	if (rc == 0)
		rc = made_scan(&a.made, commit);
	if (rc < 0)
		goto out;
	qsort(a.made.names, a.made.n, sizeof(*a.made.names), made_cmp);
	rc = -EINTR;
	for (int i = 0; i < DUMP_TRIES && rc == -EINTR; i++) {
		gi_buf_reset(&a.chains);
		gi_buf_reset(&a.sets);
		rc = fw_mnl_objects(p->mnl, sweep_object, &a);
	}
	if (rc == -ENOENT) /* no table yet */
		rc = 0;
	if (rc == 0 && (a.chains.len > 0 || a.sets.len > 0)) {
		gi_buf_printf(out, "flush table inet " FW_TABLE "\n");
		gi_buf_append(out, a.chains.data, a.chains.len);
		gi_buf_append(out, a.sets.data, a.sets.len);
	}
	if (rc == 0)
		rc = gi_buf_error(&a.chains) < 0 ? gi_buf_error(&a.chains) : gi_buf_error(&a.sets);
out:
	gi_buf_fini(&a.chains);
	gi_buf_fini(&a.sets);
	free(a.made.names);
	return rc;
}

/* ---- deltas ---- */

int fw_push_delta(struct fw_push *p, const struct fw_delta *d, char ret_why[256])
{
	struct fw_delta copy = { 0 };
	int rc = delta_check(p, d, ret_why);

	if (rc < 0)
		return rc;
	rc = delta_sorted(d, &copy);
	if (rc < 0)
		return refuse(rc, NULL, ret_why);
	if (copy.ops)
		d = &copy;
	fw_mnl_begin(p->mnl);
	delta_batch(p, d);
	rc = fw_mnl_commit(p->mnl);
	if (rc == 0)
		rc = delta_remember(p, d);
	else if (rc == -ENOBUFS)
		fw_state_free(p->state), p->state = NULL;
	free(copy.ops);
	if (rc < 0)
		return refuse(rc, NULL, ret_why);
	ret_why[0] = '\0';
	return 0;
}

static int delta_check(const struct fw_push *p, const struct fw_delta *d, char ret_why[FW_WHY_MAX])
{
	const struct fw_ruleset *rs = p->state ? fw_state_ruleset(p->state) : NULL;
	int rc;

	if (!rs)
		return refuse(-GI_ESTATE, "no ruleset is known to run", ret_why);
	if (d->generation != rs->generation || d->from_version != fw_state_version(p->state))
		return refuse(-GI_ESTATE, "delta does not follow what runs", ret_why);
	if (d->n_ops > FW_DELTA_MAX || fw_state_count(p->state) + d->n_ops > FW_ELEMS_MAX)
		return refuse(-GI_ELIMIT, "too many operations or elements", ret_why);
	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];

		rc = op->del ? fw_key_check(&op->elem.key, rs) : fw_elem_check(&op->elem, rs);
		if (rc < 0)
			return refuse(rc, "an element does not fit the ruleset", ret_why);
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

/* the kernel keeps marks and uids in its own byte order, families by its own numbers */
static void raw_of_elem(const struct fw_elem *e, struct fw_raw *r)
{
	uint32_t v = fw_key_u32(&e->key);

	r->key_len = e->key.len;
	r->data = e->mark;
	switch (e->key.set) {
	case FW_LIVE:
	case FW_UID_MARK:
	case FW_REMARK:
	case FW_SG:
		memcpy(r->key, &v, sizeof(v));
		break;
	case FW_BASE_MARK:
		r->key[0] = e->key.data[0] == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
		break;
	default:
		memcpy(r->key, e->key.data, e->key.len);
	}
}

static void change(struct fw_push *p, bool del, const struct fw_elem *e)
{
	char name[64];
	struct fw_raw r;

	raw_of_elem(e, &r);
	fw_set_nft_name(fw_state_ruleset(p->state), e->key.set, e->key.group, name);
	fw_mnl_change(p->mnl, name, del, &r, fw_set_is_map(e->key.set));
}

static void change_u32(
	struct fw_push *p, const char *set, bool del, uint32_t key, uint32_t data, bool map)
{
	struct fw_raw r = { .key_len = 4, .data = data };

	memcpy(r.key, &key, sizeof(key));
	fw_mnl_change(p->mnl, set, del, &r, map);
}

/* the helper set of current base marks; the other family may have the same mark */
static void change_base(struct fw_push *p, bool del, const struct fw_op *op)
{
	struct fw_elem other = fw_elem_base(op->elem.key.data[0] == 4 ? 6 : 4, 0);
	uint32_t old, mark;

	if (!del)
		change_u32(p, "base", false, op->elem.mark, 0, false);
	else if (fw_state_get(p->state, &op->elem.key, &old) &&
		 !(fw_state_get(p->state, &other.key, &mark) && mark == old))
		change_u32(p, "base", true, old, 0, false);
}

/* the helper set of (uid, its mark) */
static void change_owner(struct fw_push *p, bool del, const struct fw_elem *e, uint32_t mark)
{
	uint32_t pair[2] = { fw_key_u32(&e->key), mark };
	struct fw_raw r = { .key_len = sizeof(pair) };

	memcpy(r.key, pair, sizeof(pair));
	fw_mnl_change(p->mnl, "owner", del, &r, false);
}

static void change_stamp(struct fw_push *p, uint32_t key, uint32_t have, uint32_t want)
{
	if (have == want)
		return;
	change_u32(p, "stamp", true, key, 0, true);
	change_u32(p, "stamp", false, key, want, true);
}

/* all removals, among them those of values that are replaced, then all additions */
static void delta_batch(struct fw_push *p, const struct fw_delta *d)
{
	uint64_t have = fw_state_version(p->state), want = d->version;
	uint32_t old;

	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];
		bool known = fw_state_get(p->state, &op->elem.key, &old);
		bool replaced = !op->del && known && old != op->elem.mark;

		if (replaced || (op->del && (known || fw_mnl_has_destroy(p->mnl))))
			change(p, true, &op->elem);
		if ((replaced || op->del) && op->elem.key.set == FW_BASE_MARK)
			change_base(p, true, op);
		if (known && (replaced || op->del) && op->elem.key.set == FW_UID_MARK)
			change_owner(p, true, &op->elem, old);
	}
	for (size_t i = 0; i < d->n_ops; i++) {
		const struct fw_op *op = &d->ops[i];

		if (op->del)
			continue;
		change(p, false, &op->elem);
		if (op->elem.key.set == FW_BASE_MARK)
			change_base(p, false, op);
		if (op->elem.key.set == FW_UID_MARK)
			change_owner(p, false, &op->elem, op->elem.mark);
	}
	change_stamp(p, STAMP_VER_HI, (uint32_t)(have >> 32), (uint32_t)(want >> 32));
	change_stamp(p, STAMP_VER_LO, (uint32_t)have, (uint32_t)want);
}

/* the kernel has it; when memory runs out here, only a whole ruleset can follow */
static int delta_remember(struct fw_push *p, const struct fw_delta *d)
{
	int rc = 0;

	for (size_t i = 0; i < d->n_ops && rc == 0; i++)
		rc = fw_state_apply(p->state, &d->ops[i]);
	if (rc < 0) {
		fw_state_free(p->state);
		p->state = NULL;
		return rc;
	}
	fw_state_set_version(p->state, d->version);
	return 0;
}

/* ---- read-back ---- */

struct read_arg {
	struct fw_state *found;
	enum fw_set set;
	uint16_t group;
	bool odd; /* something that was not put there by us */
};

static int on_elem(void *arg, const struct fw_raw *r)
{
	struct read_arg *a = arg;
	struct fw_op op = { .elem = fw_elem_mark(a->set, a->group, 0) };
	struct fw_key *k = &op.elem.key;
	uint32_t v;

	memcpy(&v, r->key, sizeof(v));
	if (a->set == FW_LIVE || a->set == FW_SG)
		op.elem = fw_elem_mark(a->set, a->group, v);
	else if (a->set == FW_UID_MARK)
		op.elem = fw_elem_uid(v, r->data);
	else if (a->set == FW_REMARK)
		op.elem = fw_elem_remark(v, r->data);
	else if (a->set == FW_BASE_MARK)
		op.elem = fw_elem_base(r->key[0] == NFPROTO_IPV4 ? 4 : 6, r->data);
	else {
		k->len = r->key_len;
		memcpy(k->data, r->key, sizeof(k->data));
		op.elem.mark = r->data;
	}
	if (fw_elem_check(&op.elem, NULL) < 0) {
		a->odd = true;
		return 0;
	}
	return fw_state_apply(a->found, &op);
}

/* a dump that starts again gives some twice: they end up in @a->found once */
static int read_set(struct fw_push *p, const struct fw_ruleset *rs, struct read_arg *a)
{
	char name[64];
	int rc = -EINTR;

	fw_set_nft_name(rs, (uint8_t)a->set, a->group, name);
	for (int i = 0; i < DUMP_TRIES && rc == -EINTR; i++)
		rc = fw_mnl_elems(p->mnl, name, on_elem, a);
	return rc;
}

/* all elements that the sets of @rs hold in the kernel; -GI_EPROTO when there are odd ones */
static int read_elems(struct fw_push *p, const struct fw_ruleset *rs, struct fw_state **ret)
{
	struct read_arg a = { .odd = false };
	int rc = fw_state_new(&a.found);

	for (a.set = FW_LIVE; a.set < FW_SET_COUNT && rc == 0; a.set++) {
		size_t n = a.set < FW_SG ? 1 : rs->n_groups;

		for (size_t g = 0; g < n && rc == 0; g++) {
			a.group = (uint16_t)g;
			rc = read_set(p, rs, &a);
		}
	}
	if (rc == 0 && a.odd)
		rc = -GI_EPROTO;
	if (rc < 0)
		fw_state_free(a.found);
	else
		*ret = a.found;
	return rc;
}

int fw_push_marks(struct fw_push *p, int (*cb)(void *arg, const struct fw_elem *e), void *arg)
{
	static const enum fw_set sets[] = { FW_UID_MARK, FW_ADDR4_MARK, FW_ADDR6_MARK, FW_REMARK,
		FW_BASE_MARK };
	struct read_arg a = { .odd = false };
	int rc = fw_state_new(&a.found);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < GI_ARRAY_SIZE(sets) && rc == 0; i++) {
		a.set = sets[i];
		rc = read_set(p, NULL, &a);
	}
	if (rc == 0)
		rc = fw_state_each(a.found, true, cb, arg);
	fw_state_free(a.found);
	return rc;
}

static int on_stamp(void *arg, const struct fw_raw *r)
{
	uint32_t *stamp = arg, key;

	memcpy(&key, r->key, sizeof(key));
	if (key <= STAMP_VER_LO)
		stamp[key] = r->data;
	return 0;
}

int fw_push_running(struct fw_push *p, uint64_t *ret_generation, uint64_t *ret_version)
{
	uint32_t stamp[STAMP_VER_LO + 1] = { 0 };
	int rc = -EINTR;

	for (int i = 0; i < DUMP_TRIES && rc == -EINTR; i++)
		rc = fw_mnl_elems(p->mnl, "stamp", on_stamp, stamp);
	if (rc < 0)
		return rc;
	*ret_generation = (uint64_t)stamp[STAMP_GEN_HI] << 32 | stamp[STAMP_GEN_LO];
	*ret_version = (uint64_t)stamp[STAMP_VER_HI] << 32 | stamp[STAMP_VER_LO];
	return 0;
}
