/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rec.c - records between gi-netagent's parsing process and its privileged pusher
 *
 * The reader runs in the process that holds CAP_NET_ADMIN and is fed by one that may have been
 * taken over by a peer's bytes. So: one fixed size, one table that says which record may come in
 * which state, every field of a record checked before it is used, unused ones must be zero, counts
 * announced first and checked against the limits before memory is taken. After the first wrong
 * record the reader stays broken.
 */
#include "fw/rec.h"

#include <stdlib.h>
#include <string.h>

enum reader_phase {
	PH_IDLE,
	PH_GROUPS, /* groups and their prefixes */
	PH_RULES,  /* rules, their peers and services */
	PH_ELEMS,
	PH_OPS,
	PH_BROKEN,
};

struct fw_rec_reader {
	enum reader_phase phase;
	uint64_t generation, version;
	struct fw_ruleset *rs;			 /* owned, while it is being filled */
	struct fw_state *state;			 /* owned; has taken rs from PH_ELEMS on */
	struct fw_delta *delta;			 /* owned */
	size_t want_rules, want_elems, want_ops; /* announced */
	size_t cap_groups;
	size_t want_nets, want_from, want_to,
		want_services; /* of the last group or rule, still to come */
};

static int on_begin(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_group(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_net(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_rule(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_peer(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_service(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_elem(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_delta(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_op(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_commit(struct fw_rec_reader *r, const struct fw_rec *m);
static int on_bare(struct fw_rec_reader *r, const struct fw_rec *m);
static int start_rules(struct fw_rec_reader *r);
static int start_elems(struct fw_rec_reader *r);

#define IN(phase) (1u << (phase))

/* fields that a record of this type uses; all others must be zero */
enum {
	F_GENERATION = 1,
	F_VERSION = 2,
	F_FROM = 4,
	F_N0 = 8,
	F_N12 = 16,
	F_A = 32,
	F_BC = 64,
	F_ADDR = 128,
	F_ELEM = 256,
	F_NAME = 512,
};

static const struct rec_row {
	unsigned int phases;
	unsigned int fields;
	int (*handle)(struct fw_rec_reader *r, const struct fw_rec *m);
} rec_table[] = {
	[FW_REC_BEGIN] = { IN(PH_IDLE), F_GENERATION | F_VERSION | F_A | F_BC | F_N0 | F_N12,
		on_begin },
	[FW_REC_GROUP] = { IN(PH_GROUPS), F_NAME | F_A | F_N0, on_group },
	[FW_REC_NET] = { IN(PH_GROUPS), F_ADDR | F_A, on_net },
	[FW_REC_RULE] = { IN(PH_RULES), F_NAME | F_A | F_BC | F_N0 | F_N12, on_rule },
	[FW_REC_PEER] = { IN(PH_RULES), F_A | F_N0, on_peer },
	[FW_REC_SERVICE] = { IN(PH_RULES), F_A | F_N0 | F_N12, on_service },
	[FW_REC_ELEM] = { IN(PH_ELEMS), F_ELEM, on_elem },
	[FW_REC_DELTA] = { IN(PH_IDLE), F_GENERATION | F_VERSION | F_FROM | F_N0, on_delta },
	[FW_REC_OP] = { IN(PH_OPS), F_A | F_ELEM, on_op },
	[FW_REC_COMMIT] = { IN(PH_ELEMS) | IN(PH_OPS), F_GENERATION | F_VERSION, on_commit },
	[FW_REC_MARKS] = { IN(PH_IDLE), 0, on_bare },
	[FW_REC_RENEW] = { IN(PH_IDLE), 0, on_bare },
};

int fw_rec_reader_new(struct fw_rec_reader **ret)
{
	struct fw_rec_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

/* drops what is half read */
static void reader_reset(struct fw_rec_reader *r, enum reader_phase phase)
{
	fw_ruleset_free(r->rs);
	fw_state_free(r->state);
	fw_delta_free(r->delta);
	*r = (struct fw_rec_reader){ .phase = phase };
}

void fw_rec_reader_free(struct fw_rec_reader *r)
{
	if (!r)
		return;
	reader_reset(r, PH_BROKEN);
	free(r);
}

static bool all_zero(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static bool fields_ok(const struct fw_rec *m, unsigned int used)
{
	uint8_t ends;

	if (m->err != 0 || m->pad != 0)
		return false;
	if ((!(used & F_GENERATION) && m->generation != 0) ||
		(!(used & F_VERSION) && m->version != 0) ||
		(!(used & F_FROM) && m->from_version != 0))
		return false;
	if ((!(used & F_N0) && m->n[0] != 0) || (!(used & F_N12) && (m->n[1] != 0 || m->n[2] != 0)))
		return false;
	if ((!(used & F_A) && m->a != 0) || (!(used & F_BC) && (m->b != 0 || m->c != 0)))
		return false;
	if (!(used & F_ADDR) && !all_zero(&m->addr, sizeof(m->addr)))
		return false;
	if (!(used & F_ELEM) && !all_zero(&m->elem, sizeof(m->elem)))
		return false;
	memcpy(&ends, &m->elem.ends, 1); /* a bool of another process is only a byte */
	if (ends > 1)
		return false;
	if (!(used & F_NAME))
		return all_zero(m->name, sizeof(m->name));
	return memchr(m->name, '\0', GI_NAME_MAX + 1) != NULL;
}

int fw_rec_reader_feed(struct fw_rec_reader *r, const void *buf, size_t len,
	enum fw_rec_out *ret_out, struct fw_state **ret_state, struct fw_delta **ret_delta)
{
	const struct rec_row *row;
	struct fw_rec m;
	int rc = -GI_EPROTO;

	if (r->phase == PH_BROKEN || len != sizeof(m))
		goto out;
	memcpy(&m, buf, sizeof(m));
	if (m.type >= GI_ARRAY_SIZE(rec_table))
		goto out;
	row = &rec_table[m.type];
	if (!(row->phases & IN(r->phase)) || !fields_ok(&m, row->fields))
		goto out;
	rc = row->handle(r, &m);
	if (rc < 0)
		goto out;
	*ret_out = FW_REC_MORE;
	if (m.type == FW_REC_MARKS) {
		*ret_out = FW_REC_WANT_MARKS;
	} else if (m.type == FW_REC_RENEW) {
		*ret_out = FW_REC_WANT_RENEW;
	} else if (m.type == FW_REC_COMMIT && r->state) {
		*ret_out = FW_REC_STATE;
		*ret_state = r->state;
		r->state = NULL;
	} else if (m.type == FW_REC_COMMIT) {
		*ret_out = FW_REC_DELTA_READY;
		*ret_delta = r->delta;
		r->delta = NULL;
	}
	if (*ret_out != FW_REC_MORE)
		reader_reset(r, PH_IDLE);
out:
	if (rc < 0)
		reader_reset(r, PH_BROKEN);
	return rc;
}

/* ---- a ruleset ---- */

static int on_begin(struct fw_rec_reader *r, const struct fw_rec *m)
{
	if (m->a > FW_ACCEPT || m->b > FW_ACCEPT || m->c > FW_REVOKE_RESET)
		return -GI_EPROTO;
	if (m->n[0] > FW_GROUPS_MAX || m->n[1] > FW_RULES_MAX || m->n[2] > FW_ELEMS_MAX)
		return -GI_EPROTO;
	r->rs = calloc(1, sizeof(*r->rs));
	if (!r->rs)
		return -ENOMEM;
	r->generation = m->generation;
	r->version = m->version;
	r->rs->generation = m->generation;
	r->rs->default_in = m->a;
	r->rs->default_out = m->b;
	r->rs->revoke = m->c;
	r->cap_groups = m->n[0];
	r->want_rules = m->n[1];
	r->want_elems = m->n[2];
	r->phase = PH_GROUPS;
	if (r->cap_groups == 0)
		return start_rules(r);
	r->rs->groups = calloc(r->cap_groups, sizeof(*r->rs->groups));
	return r->rs->groups ? 0 : -ENOMEM;
}

static int on_group(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_group *g;

	if (r->want_nets > 0 || m->n[0] > FW_NETS_MAX)
		return -GI_EPROTO;
	g = &r->rs->groups[r->rs->n_groups];
	memcpy(g->name, m->name, sizeof(g->name));
	g->uses = m->a;
	if (m->n[0] > 0) {
		g->nets = calloc(m->n[0], sizeof(*g->nets));
		if (!g->nets)
			return -ENOMEM;
	}
	r->rs->n_groups++;
	r->want_nets = m->n[0];
	if (r->rs->n_groups == r->cap_groups && r->want_nets == 0)
		return start_rules(r);
	return 0;
}

static int on_net(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_group *g;

	if (r->want_nets == 0)
		return -GI_EPROTO;
	g = &r->rs->groups[r->rs->n_groups - 1];
	g->nets[g->n_nets].addr = m->addr;
	g->nets[g->n_nets].len = m->a;
	g->n_nets++;
	r->want_nets--;
	if (r->rs->n_groups == r->cap_groups && r->want_nets == 0)
		return start_rules(r);
	return 0;
}

static int start_rules(struct fw_rec_reader *r)
{
	r->phase = PH_RULES;
	if (r->want_rules == 0)
		return start_elems(r);
	r->rs->rules = calloc(r->want_rules, sizeof(*r->rs->rules));
	return r->rs->rules ? 0 : -ENOMEM;
}

static bool rule_open(const struct fw_rec_reader *r)
{
	return r->want_from > 0 || r->want_to > 0 || r->want_services > 0;
}

static int rule_done(struct fw_rec_reader *r)
{
	if (!rule_open(r) && r->rs->n_rules == r->want_rules)
		return start_elems(r);
	return 0;
}

/* room for @n things of @size; *ret stays NULL for none */
static int room_for(size_t n, size_t size, void *ret)
{
	void *p = NULL;

	if (n > 0) {
		p = calloc(n, size);
		if (!p)
			return -ENOMEM;
	}
	memcpy(ret, &p, sizeof(p));
	return 0;
}

static int on_rule(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_rule *rule;

	if (rule_open(r) || m->a > FW_IN || m->b > FW_ACCEPT || m->c > 1)
		return -GI_EPROTO;
	if (m->n[0] > FW_PEERS_MAX || m->n[1] > FW_PEERS_MAX || m->n[2] > FW_SERVICES_MAX)
		return -GI_EPROTO;
	rule = &r->rs->rules[r->rs->n_rules++];
	memcpy(rule->name, m->name, sizeof(rule->name));
	rule->dir = m->a;
	rule->action = m->b;
	rule->log = m->c == 1;
	r->want_from = m->n[0];
	r->want_to = m->n[1];
	r->want_services = m->n[2];
	if (room_for(m->n[0], sizeof(*rule->from), &rule->from) < 0 ||
		room_for(m->n[1], sizeof(*rule->to), &rule->to) < 0 ||
		room_for(m->n[2], sizeof(*rule->services), &rule->services) < 0)
		return -ENOMEM;
	return rule_done(r);
}

static int on_peer(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_rule *rule;

	if (m->a > 1 || m->n[0] >= r->rs->n_groups)
		return -GI_EPROTO;
	if ((m->a == 0 ? r->want_from : r->want_to) == 0)
		return -GI_EPROTO;
	rule = &r->rs->rules[r->rs->n_rules - 1];
	if (m->a == 0) {
		rule->from[rule->n_from++] = (uint16_t)m->n[0];
		r->want_from--;
	} else {
		rule->to[rule->n_to++] = (uint16_t)m->n[0];
		r->want_to--;
	}
	return rule_done(r);
}

static int on_service(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_rule *rule;

	if (r->want_services == 0 || m->n[0] > UINT16_MAX || m->n[1] > UINT16_MAX || m->n[2] > 256)
		return -GI_EPROTO;
	rule = &r->rs->rules[r->rs->n_rules - 1];
	rule->services[rule->n_services++] = (struct fw_service){
		.proto = m->a,
		.port_lo = (uint16_t)m->n[0],
		.port_hi = (uint16_t)m->n[1],
		.icmp_type = (uint16_t)m->n[2],
	};
	r->want_services--;
	return rule_done(r);
}

static int start_elems(struct fw_rec_reader *r)
{
	const char *why;
	int rc = fw_ruleset_check(r->rs, &why);

	if (rc < 0)
		return rc == -ENOMEM ? rc : -GI_EPROTO;
	rc = fw_state_new(&r->state);
	if (rc < 0)
		return rc;
	fw_state_set_ruleset(r->state, r->rs);
	fw_state_set_version(r->state, r->version);
	r->rs = NULL;
	r->phase = PH_ELEMS;
	return 0;
}

static int on_elem(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_op op = { .del = false, .elem = m->elem };

	if (r->want_elems == 0 || fw_elem_check(&m->elem, fw_state_ruleset(r->state)) < 0)
		return -GI_EPROTO;
	if (fw_state_get(r->state, &m->elem.key, NULL))
		return -GI_EPROTO; /* twice */
	r->want_elems--;
	return fw_state_apply(r->state, &op);
}

/* ---- a delta ---- */

static int on_delta(struct fw_rec_reader *r, const struct fw_rec *m)
{
	if (m->n[0] > FW_DELTA_MAX)
		return -GI_EPROTO;
	r->delta = calloc(1, sizeof(*r->delta));
	if (!r->delta)
		return -ENOMEM;
	r->delta->ops =
		calloc(m->n[0] + 1, sizeof(*r->delta->ops)); /* none: only the version moves */
	if (!r->delta->ops)
		return -ENOMEM;
	r->generation = r->delta->generation = m->generation;
	r->version = r->delta->version = m->version;
	r->delta->from_version = m->from_version;
	r->want_ops = m->n[0];
	r->phase = PH_OPS;
	return 0;
}

static bool value_none(const struct fw_elem *e)
{
	return e->mark == 0 && e->lease_s == 0 && !e->ends;
}

static int on_op(struct fw_rec_reader *r, const struct fw_rec *m)
{
	struct fw_delta *d = r->delta;
	struct fw_op *op = &d->ops[d->n_ops]; /* there is always one more than announced */

	if (r->want_ops == 0 || m->a > 1)
		return -GI_EPROTO;
	if (m->a == 1 ? fw_key_check(&m->elem.key, NULL) < 0 || !value_none(&m->elem)
		      : fw_elem_check(&m->elem, NULL) < 0)
		return -GI_EPROTO;
	if (d->n_ops > 0 && m->a == 1 && !d->ops[d->n_ops - 1].del)
		return -GI_EPROTO; /* removals come first */
	op->del = m->a == 1;
	op->elem = m->elem;
	d->n_ops++;
	r->want_ops--;
	return 0;
}

static int on_commit(struct fw_rec_reader *r, const struct fw_rec *m)
{
	if (m->generation != r->generation || m->version != r->version)
		return -GI_EPROTO;
	return r->want_elems == 0 && r->want_ops == 0 ? 0 : -GI_EPROTO;
}

/* all is said with its type */
static int on_bare(struct fw_rec_reader *r, const struct fw_rec *m)
{
	(void)r;
	(void)m;
	return 0;
}

/* ---- the sender's side ---- */

struct emitter {
	int (*emit)(void *arg, const struct fw_rec *r);
	void *arg;
};

/* padding is sent too: start from zeroes, and copy values in field by field */
static void rec_clear(struct fw_rec *m, enum fw_rec_type type)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
}

static int emit_group(const struct fw_group *g, const struct emitter *em)
{
	struct fw_rec m;
	int rc;

	rec_clear(&m, FW_REC_GROUP);
	memcpy(m.name, g->name, sizeof(g->name));
	m.a = (uint8_t)g->uses;
	m.n[0] = (uint32_t)g->n_nets;
	rc = em->emit(em->arg, &m);
	for (size_t i = 0; i < g->n_nets && rc == 0; i++) {
		rec_clear(&m, FW_REC_NET);
		m.addr = g->nets[i].addr;
		m.a = g->nets[i].len;
		rc = em->emit(em->arg, &m);
	}
	return rc;
}

static int emit_peers(const uint16_t *peers, size_t n, uint8_t side, const struct emitter *em)
{
	struct fw_rec m;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		rec_clear(&m, FW_REC_PEER);
		m.a = side;
		m.n[0] = peers[i];
		rc = em->emit(em->arg, &m);
	}
	return rc;
}

static int emit_rule(const struct fw_rule *r, const struct emitter *em)
{
	struct fw_rec m;
	int rc;

	rec_clear(&m, FW_REC_RULE);
	memcpy(m.name, r->name, sizeof(r->name));
	m.a = (uint8_t)r->dir;
	m.b = (uint8_t)r->action;
	m.c = r->log;
	m.n[0] = (uint32_t)r->n_from;
	m.n[1] = (uint32_t)r->n_to;
	m.n[2] = (uint32_t)r->n_services;
	rc = em->emit(em->arg, &m);
	if (rc == 0)
		rc = emit_peers(r->from, r->n_from, 0, em);
	if (rc == 0)
		rc = emit_peers(r->to, r->n_to, 1, em);
	for (size_t i = 0; i < r->n_services && rc == 0; i++) {
		rec_clear(&m, FW_REC_SERVICE);
		m.a = r->services[i].proto;
		m.n[0] = r->services[i].port_lo;
		m.n[1] = r->services[i].port_hi;
		m.n[2] = r->services[i].icmp_type;
		rc = em->emit(em->arg, &m);
	}
	return rc;
}

static void rec_set_elem(struct fw_rec *m, const struct fw_elem *e, bool with_value)
{
	m->elem.key.set = e->key.set;
	m->elem.key.group = e->key.group;
	m->elem.key.len = e->key.len;
	memcpy(m->elem.key.data, e->key.data, sizeof(m->elem.key.data));
	m->elem.mark = with_value ? e->mark : 0;
	m->elem.lease_s = with_value ? e->lease_s : 0;
	m->elem.ends = with_value && e->ends;
}

static int emit_elem(void *arg, const struct fw_elem *e)
{
	const struct emitter *em = arg;
	struct fw_rec m;

	rec_clear(&m, FW_REC_ELEM);
	rec_set_elem(&m, e, true);
	return em->emit(em->arg, &m);
}

static int emit_commit(uint64_t generation, uint64_t version, const struct emitter *em)
{
	struct fw_rec m;

	rec_clear(&m, FW_REC_COMMIT);
	m.generation = generation;
	m.version = version;
	return em->emit(em->arg, &m);
}

int fw_rec_write_state(
	const struct fw_state *s, int (*emit)(void *arg, const struct fw_rec *r), void *arg)
{
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct emitter em = { emit, arg };
	struct fw_rec m;
	int rc;

	if (!rs)
		return -EINVAL;
	rec_clear(&m, FW_REC_BEGIN);
	m.generation = rs->generation;
	m.version = fw_state_version(s);
	m.a = (uint8_t)rs->default_in;
	m.b = (uint8_t)rs->default_out;
	m.c = (uint8_t)rs->revoke;
	m.n[0] = (uint32_t)rs->n_groups;
	m.n[1] = (uint32_t)rs->n_rules;
	m.n[2] = (uint32_t)fw_state_count(s);
	rc = emit(arg, &m);
	for (size_t i = 0; i < rs->n_groups && rc == 0; i++)
		rc = emit_group(&rs->groups[i], &em);
	for (size_t i = 0; i < rs->n_rules && rc == 0; i++)
		rc = emit_rule(&rs->rules[i], &em);
	if (rc == 0)
		rc = fw_state_each(s, false, emit_elem, &em);
	if (rc == 0)
		rc = emit_commit(rs->generation, fw_state_version(s), &em);
	return rc;
}

int fw_rec_write_delta(
	const struct fw_delta *d, int (*emit)(void *arg, const struct fw_rec *r), void *arg)
{
	struct emitter em = { emit, arg };
	struct fw_rec m;
	int rc;

	rec_clear(&m, FW_REC_DELTA);
	m.generation = d->generation;
	m.from_version = d->from_version;
	m.version = d->version;
	m.n[0] = (uint32_t)d->n_ops;
	rc = emit(arg, &m);
	for (size_t i = 0; i < d->n_ops && rc == 0; i++) {
		rec_clear(&m, FW_REC_OP);
		m.a = d->ops[i].del;
		rec_set_elem(&m, &d->ops[i].elem, !d->ops[i].del);
		rc = emit(arg, &m);
	}
	if (rc == 0)
		rc = emit_commit(d->generation, d->version, &em);
	return rc;
}
