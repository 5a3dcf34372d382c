/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.c - from the model to the kernel: whole rulesets; deltas and leases are push_delta.c's, what
 * is read back push_read.c's
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
#include "fw/push_int.h"
#include "fw/render_int.h"

#define TEXT_MAX (1024u * 1024 * 1024) /* FW_ELEMS_MAX elements with both ends in IPv6 fit */
#define OBJECT_NAME_MAX 120

static int sweep(struct fw_push *p, const char *prepare, const char *commit, struct gi_buf *out);

int fw_push_new(int fd, bool own, struct fw_push **ret, char ret_why[256])
{
	struct fw_push *p = calloc(1, sizeof(*p));
	struct fw_mnl *mnl = NULL;
	int rc = fw_mnl_new(fd, &mnl, ret_why);

	if (!p || rc < 0) {
		fw_mnl_free(mnl);
		free(p);
		return rc < 0 ? rc : fw_push_refuse(-ENOMEM, NULL, ret_why);
	}
	p->mnl = mnl;
	p->own = own;
	rc = fw_leases_new(&p->leases);
	if (rc == 0)
		rc = fw_diag_new(&p->diag);
	if (rc < 0) {
		(void)!fw_push_refuse(rc, NULL, ret_why);
		fw_push_free(p);
		return rc;
	}
	/* when it cannot be, the next ruleset says why */
	(void)!fw_own_adopt(p);
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
	fw_leases_free(p->leases);
	fw_diag_free(p->diag);
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

int fw_push_refuse(int rc, const char *words, char ret_why[FW_WHY_MAX])
{
	snprintf(ret_why, FW_WHY_MAX, "%s", words ? words : gi_strerror(rc));
	return rc;
}

/* ---- whole rulesets ---- */

/* text of both transactions; with @have only the elements that differ from it */
static int texts(struct fw_push *p, const struct fw_state *s, const struct fw_state *have,
	bool nets, unsigned int cg, struct gi_buf *prepare, struct gi_buf *all)
{
	struct gi_buf commit;
	int rc;

	gi_buf_init(&commit, TEXT_MAX);
	gi_buf_reset(prepare);
	gi_buf_reset(all);
	rc = fw_render_over(s, have, nets, cg, prepare, &commit);
	if (rc == 0)
		rc = sweep(p, gi_buf_str(prepare), gi_buf_str(&commit), all);
	if (rc == 0) {
		gi_buf_append(all, commit.data, commit.len);
		rc = gi_buf_error(all);
	}
	gi_buf_fini(&commit);
	return rc;
}

struct fill_arg {
	struct fw_push *p;
	const char *name;
	size_t n; /* in the open batch */
};

static int fill_cgroup(void *arg, const struct fw_elem *e)
{
	struct fill_arg *a = arg;
	struct fw_raw r;
	int rc = 0;

	if (e->key.set != FW_CG_MARK)
		return 0;
	fw_raw_of_elem(e, &r);
	fw_mnl_change(a->p->mnl, a->name, FW_CHANGE_ADD, &r, true);
	if (++a->n == FW_BATCH_ELEMS) {
		rc = fw_mnl_commit(a->p->mnl);
		fw_mnl_begin(a->p->mnl);
		a->n = 0;
	}
	return rc;
}

/* the map that the rules to come will look cgroups up in; nothing refers to it yet */
static int fill_cgroups(struct fw_push *p, const struct fw_state *s, unsigned int cg)
{
	struct fill_arg a = { p, fw_render_cg_name(cg), 0 };
	int rc;

	fw_mnl_begin(p->mnl);
	rc = fw_state_each(s, false, fill_cgroup, &a);
	return rc < 0 ? rc : fw_mnl_commit(p->mnl);
}

struct follow_arg {
	struct fw_push *p;
	const struct fw_state *next;
};

/* a subject of the known state whose mark drains in the next: it still owns its flows */
static int follow_drain(void *arg, const struct fw_elem *e)
{
	struct follow_arg *a = arg;
	struct fw_elem drain = fw_elem_live(e->mark, 0, false), was;
	uint32_t mark;

	if (e->key.set != FW_UID_MARK && e->key.set != FW_CG_MARK)
		return 0;
	if (!fw_state_get_elem(a->next, &drain.key, &drain) || !drain.ends)
		return 0;
	if (fw_state_get_elem(a->p->state, &drain.key, &was) && fw_elem_same_value(&was, &drain))
		return 0; /* not since now */
	if (!fw_state_get(a->next, &e->key, &mark) || mark != e->mark)
		fw_push_drain(a->p, &e->key, &drain);
	return 0;
}

static int follow_drains(struct fw_push *p, const struct fw_state *s)
{
	struct follow_arg a = { p, s };
	int rc;

	if (!p->state)
		return 0;
	fw_mnl_begin(p->mnl);
	rc = fw_state_each(p->state, false, follow_drain, &a);
	return rc < 0 ? rc : fw_mnl_commit(p->mnl);
}

static int follow_ended(void *arg, const struct fw_elem *e)
{
	struct follow_arg *a = arg;

	if ((e->key.set == FW_UID_MARK || e->key.set == FW_CG_MARK) &&
		!fw_state_get(a->next, &e->key, NULL))
		fw_push_ended(a->p, &e->key);
	return 0;
}

void fw_push_ended(struct fw_push *p, const struct fw_key *who)
{
	if (fw_state_ruleset(p->state)->revoke == FW_REVOKE_RESET)
		fw_diag_ended(p->diag, who);
}

/* the name that the running rules do not use; what stands under it is left from a failed push */
static int free_cg_name(struct fw_push *p, unsigned int *ret)
{
	for (unsigned int cg = 1; cg <= 2; cg++) {
		int rc = fw_mnl_delete_set(p->mnl, fw_render_cg_name(cg));

		if (rc == 0 || rc == -ENOENT) {
			*ret = cg;
			return 0;
		}
		if (rc != -EBUSY)
			return rc;
	}
	return -EBUSY;
}

/* one transaction; the table is there */
static int run(struct fw_push *p, const char *text, char ret_why[FW_WHY_MAX])
{
	struct gi_buf flat;
	int rc;

	gi_buf_init(&flat, 2 * TEXT_MAX);
	rc = fw_flat(text, &flat);
	rc = rc < 0 ? fw_push_refuse(rc, NULL, ret_why)
		    : fw_nft_run(fw_mnl_fd(p->mnl), gi_buf_str(&flat), ret_why);
	gi_buf_fini(&flat);
	return rc;
}

/*
 * First the interval sets and the map of cgroups, which nothing refers to yet; then one transaction
 * that empties the chains, deletes what is not wanted any more and fills everything anew.
 */
static int push_over(struct fw_push *p, const struct fw_state *s, const struct fw_state *have,
	bool nets, char ret_why[FW_WHY_MAX])
{
	struct gi_buf prepare, all;
	unsigned int cg = 0;
	int rc;

	gi_buf_init(&prepare, TEXT_MAX);
	gi_buf_init(&all, TEXT_MAX);
	rc = free_cg_name(p, &cg);
	if (rc == 0)
		rc = texts(p, s, have, nets, cg, &prepare, &all);
	if (rc < 0)
		fw_push_refuse(rc, NULL, ret_why);
	else
		rc = run(p, gi_buf_str(&prepare), ret_why);
	if (rc == 0) {
		rc = fill_cgroups(p, s, cg);
		if (rc == 0)
			rc = follow_drains(p, s);
		if (rc < 0)
			fw_push_refuse(rc, NULL, ret_why);
	}
	if (rc == 0)
		rc = run(p, gi_buf_str(&all), ret_why);
	if (rc == 0)
		p->cg = cg;
	else if (cg)
		(void)!fw_mnl_delete_set(p->mnl, fw_render_cg_name(cg));
	gi_buf_fini(&prepare);
	gi_buf_fini(&all);
	return rc;
}

/*
 * The last way, when something of ours stands in a shape that cannot be changed (another version's
 * sets): all that is in the table goes and comes anew, in one transaction. Cgroups are nobody for
 * the moment until the map is filled.
 */
static int push_anew(struct fw_push *p, const struct fw_state *s, char ret_why[FW_WHY_MAX])
{
	struct gi_buf all;
	int rc;

	gi_buf_init(&all, TEXT_MAX);
	rc = sweep(p, "", "", &all);
	if (rc == 0)
		rc = fw_render_over(s, NULL, true, 1, &all, &all);
	if (rc < 0)
		fw_push_refuse(rc, NULL, ret_why);
	else
		rc = run(p, gi_buf_str(&all), ret_why);
	if (rc == 0) {
		p->cg = 1;
		rc = fill_cgroups(p, s, 1);
		if (rc < 0) { /* it closes for them; what runs is not what was known */
			fw_push_refuse(rc, "the map of cgroups cannot be filled", ret_why);
			fw_state_free(p->state);
			p->state = NULL;
		}
	}
	gi_buf_fini(&all);
	return rc;
}

static int push_over_standing(
	struct fw_push *p, struct fw_state *s, bool nets, char ret_why[FW_WHY_MAX])
{
	struct fw_state *have = NULL;
	int rc = fw_push_read(p, fw_state_ruleset(s), s, &have);

	if (rc < 0)
		return fw_push_refuse(rc, NULL, ret_why);
	rc = push_over(p, s, have, nets, ret_why);
	fw_state_free(have);
	return rc;
}

/* for a successor (fw_push_look()); without it, it cannot tell */
static void stamp_shape(struct fw_push *p)
{
	static const uint32_t keys[] = { FW_STAMP_SHAPE_HI, FW_STAMP_SHAPE_LO };

	fw_mnl_begin(p->mnl);
	for (size_t i = 0; i < GI_ARRAY_SIZE(keys); i++) {
		struct fw_raw r = { .key_len = sizeof(keys[i]),
			.data = (uint32_t)(i ? p->shape : p->shape >> 32) };

		memcpy(r.key, &keys[i], sizeof(keys[i]));
		fw_mnl_change(p->mnl, "stamp", FW_CHANGE_ADD, &r, true);
	}
	(void)!fw_mnl_commit(p->mnl);
}

int fw_push_whole(
	struct fw_push *p, struct fw_state *s, unsigned int ways, char ret_why[FW_WHY_MAX])
{
	int rc = fw_own_prepare(p);

	if (rc < 0)
		return fw_push_refuse(
			rc, p->owned == FW_OWNED_OTHER ? fw_owned_text(p->owned) : NULL, ret_why);
	rc = -EINVAL;
	/* twice: a lease may end between reading and writing */
	for (int i = 0; rc < 0 && (ways & FW_WAY_OVER) && i < 2; i++)
		rc = push_over_standing(p, s, ways & FW_WAY_NETS, ret_why);
	if (rc < 0 && (ways & FW_WAY_FRESH)) {
		/* the sets are not as we think; somebody else at work */
		rc = push_over(p, s, NULL, true, ret_why);
		if (rc < 0 && rc != -GI_ELIMIT && rc != -ENOMEM) /* nor what they are made of */
			rc = push_anew(p, s, ret_why);
	}
	p->gen = 0;
	/* nothing to compare with: the first comparison then says that it differs */
	if (rc == 0 && fw_table_shape(p->mnl, &p->shape) < 0)
		p->shape = 0;
	if (rc == 0)
		stamp_shape(p);
	return rc;
}

int fw_push_ruleset(struct fw_push *p, struct fw_state *s, char ret_why[256])
{
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	const char *why = NULL;
	int rc = rs ? fw_ruleset_check(rs, &why) : -EINVAL;

	if (rc < 0)
		return fw_push_refuse(rc, why, ret_why);
	if (!p->state)
		fw_push_look(p);
	/* what stands under a predecessor's names is only as good as it was guarded */
	rc = fw_push_whole(
		p, s, FW_WAY_OVER | FW_WAY_FRESH | (p->state ? 0 : FW_WAY_NETS), ret_why);
	if (rc < 0)
		return rc;
	if (!p->state)
		fw_leases_forget(p->leases);
	else
		(void)!fw_state_each(p->state, false, follow_ended, &(struct follow_arg){ p, s });
	(void)!fw_state_each(s, false, fw_leases_wrote, p->leases);
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
	for (int i = 0; i < FW_DUMP_TRIES && rc == -EINTR; i++) {
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
