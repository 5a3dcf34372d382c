/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwwire.c - the firewall model as wire messages: the sender's side
 *
 * Runs in svm-idfw (states, deltas) and gi-netagent (marks). A state goes out in frames that stay
 * below WIRE_FRAME_MAX by their fixed counts: the largest part is PART_ELEMS elements of 31 bytes,
 * or PART_NETS prefixes of 25 bytes with PART_GROUPS names, or PART_RULES rules of 1.5 KiB.
 * A group with more prefixes than fit goes on in the next part under the same name.
 */
#include "fw/fwwire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PART_ELEMS 1024
#define PART_NETS 1024
#define PART_GROUPS 64
#define PART_RULES 32

static_assert(WIRE_RULESET_GROUPS_MAX == FW_GROUPS_MAX, "docs/wire.md and fw.h agree");
static_assert(WIRE_RULESET_RULES_MAX == FW_RULES_MAX, "docs/wire.md and fw.h agree");
static_assert(WIRE_RULESET_ELEMS_MAX == FW_ELEMS_MAX, "docs/wire.md and fw.h agree");
static_assert(WIRE_RULE_PEERS_MAX == FW_PEERS_MAX, "docs/wire.md and fw.h agree");
static_assert(WIRE_RULE_SERVICES_MAX == FW_SERVICES_MAX, "docs/wire.md and fw.h agree");
static_assert(WIRE_GROUP_NETS_MAX == FW_NETS_MAX, "docs/wire.md and fw.h agree");
static_assert((int)WIRE_SETS == (int)FW_SET_COUNT, "docs/wire.md and fw.h agree");
static_assert(WIRE_LEASE_MAX_S == FW_LEASE_MAX_S, "docs/wire.md and fw.h agree");
static_assert(WIRE_OPS_MAX == FW_DELTA_MAX, "docs/wire.md and fw.h agree");
static_assert(PART_ELEMS <= WIRE_ELEMS_MAX && PART_ELEMS >= FW_DELTA_MAX, "one pool fits both");

/* what the messages of one frame point into */
struct part {
	fw_wire_emit *emit;
	void *arg;
	struct gi_buf buf;
	struct fw_elem keys[PART_ELEMS];
	Idfw__Element elems[PART_ELEMS], *elem_list[PART_ELEMS];
	Idfw__Op ops[FW_DELTA_MAX], *op_list[FW_DELTA_MAX];
	Idfw__Prefix nets[PART_NETS], *net_list[PART_NETS];
	Idfw__Group groups[PART_GROUPS], *group_list[PART_GROUPS];
	Idfw__Rule rules[PART_RULES], *rule_list[PART_RULES];
	uint32_t peers[PART_RULES][2][FW_PEERS_MAX];
	Idfw__Service services[PART_RULES][FW_SERVICES_MAX];
	Idfw__Service *service_list[PART_RULES][FW_SERVICES_MAX];
	size_t n_elems, n_nets, n_groups, n_rules;
};

static int part_new(fw_wire_emit *emit, void *arg, struct part **ret)
{
	struct part *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->emit = emit;
	p->arg = arg;
	gi_buf_init(&p->buf, WIRE_FRAME_MAX);
	p->n_elems = p->n_nets = p->n_groups = p->n_rules = 0;
	*ret = p;
	return 0;
}

static void part_free(struct part *p)
{
	if (!p)
		return;
	gi_buf_fini(&p->buf);
	free(p);
}

static int part_send(struct part *p, const Idfw__Envelope *e)
{
	int err;

	gi_buf_reset(&p->buf);
	err = wire_envelope_encode(e, &p->buf);
	return err < 0 ? err : p->emit(p->arg, p->buf.data, p->buf.len);
}

/* sends what the part holds, if anything */
static int part_flush(struct part *p)
{
	Idfw__RulesetPart m = IDFW__RULESET_PART__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	if (p->n_elems == 0 && p->n_groups == 0 && p->n_rules == 0)
		return 0;
	m.n_elem = p->n_elems;
	m.elem = p->elem_list;
	m.n_group = p->n_groups;
	m.group = p->group_list;
	m.n_rule = p->n_rules;
	m.rule = p->rule_list;
	p->n_elems = p->n_nets = p->n_groups = p->n_rules = 0;
	e.body_case = IDFW__ENVELOPE__BODY_RULESET_PART;
	e.ruleset_part = &m;
	return part_send(p, &e);
}

static Idfw__Element *part_elem(struct part *p, const struct fw_elem *src)
{
	size_t i = p->n_elems++;
	Idfw__Element *m = &p->elems[i];

	p->keys[i] = *src;
	idfw__element__init(m);
	m->set = src->key.set;
	m->group = src->key.group;
	m->key = (ProtobufCBinaryData){ src->key.len, p->keys[i].key.data };
	m->mark = src->mark;
	m->lease_s = src->lease_s;
	m->ends = src->ends;
	p->elem_list[i] = m;
	return m;
}

/* as many of @g's prefixes from *at on as the part has room for */
static void part_group(struct part *p, const struct fw_group *g, size_t *at)
{
	Idfw__Group *m = &p->groups[p->n_groups];
	size_t first = p->n_nets;

	idfw__group__init(m);
	m->name = (char *)(uintptr_t)g->name; /* packing does not write */
	m->uses = g->uses;
	for (; *at < g->n_nets && p->n_nets < PART_NETS; (*at)++) {
		Idfw__Prefix *net = &p->nets[p->n_nets];
		const struct gi_prefix *src = &g->nets[*at];

		idfw__prefix__init(net);
		net->addr.data = (uint8_t *)(uintptr_t)src->addr.bytes;
		net->addr.len = gi_addr_len(&src->addr);
		net->len = src->len;
		p->net_list[p->n_nets++] = net;
	}
	m->net = &p->net_list[first];
	m->n_net = p->n_nets - first;
	p->group_list[p->n_groups++] = m;
}

static int write_groups(struct part *p, const struct fw_ruleset *rs)
{
	int err = 0;

	for (size_t i = 0; !err && i < rs->n_groups; i++) {
		size_t at = 0;

		do {
			if (p->n_groups == PART_GROUPS || p->n_nets == PART_NETS)
				err = part_flush(p);
			if (!err)
				part_group(p, &rs->groups[i], &at);
		} while (!err && at < rs->groups[i].n_nets);
	}
	return err ? err : part_flush(p);
}

static void part_rule(struct part *p, const struct fw_rule *r)
{
	size_t i = p->n_rules++;
	Idfw__Rule *m = &p->rules[i];

	idfw__rule__init(m);
	m->name = (char *)(uintptr_t)r->name;
	m->dir = r->dir;
	m->action = r->action;
	m->log = r->log;
	for (size_t k = 0; k < r->n_from && k < FW_PEERS_MAX; k++)
		p->peers[i][0][m->n_from++] = r->from[k];
	m->from = p->peers[i][0];
	for (size_t k = 0; k < r->n_to && k < FW_PEERS_MAX; k++)
		p->peers[i][1][m->n_to++] = r->to[k];
	m->to = p->peers[i][1];
	for (size_t k = 0; k < r->n_services && k < FW_SERVICES_MAX; k++) {
		Idfw__Service *s = &p->services[i][k];

		idfw__service__init(s);
		s->proto = r->services[k].proto;
		s->port_lo = r->services[k].port_lo;
		s->port_hi = r->services[k].port_hi;
		s->icmp_type = r->services[k].icmp_type;
		p->service_list[i][m->n_service++] = s;
	}
	m->service = p->service_list[i];
	p->rule_list[i] = m;
}

static int write_rules(struct part *p, const struct fw_ruleset *rs)
{
	int err = 0;

	for (size_t i = 0; !err && i < rs->n_rules; i++) {
		part_rule(p, &rs->rules[i]);
		if (p->n_rules == PART_RULES)
			err = part_flush(p);
	}
	return err ? err : part_flush(p);
}

static int write_elem(void *arg, const struct fw_elem *e)
{
	struct part *p = arg;

	(void)part_elem(p, e);
	return p->n_elems == PART_ELEMS ? part_flush(p) : 0;
}

static int write_begin(struct part *p, const struct fw_state *s, const struct fw_ruleset *rs)
{
	Idfw__RulesetBegin m = IDFW__RULESET_BEGIN__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.generation = rs->generation;
	m.version = fw_state_version(s);
	m.default_in = rs->default_in;
	m.default_out = rs->default_out;
	m.revoke = rs->revoke;
	m.groups = (uint32_t)rs->n_groups;
	m.rules = (uint32_t)rs->n_rules;
	m.elements = (uint32_t)fw_state_count(s);
	e.body_case = IDFW__ENVELOPE__BODY_RULESET_BEGIN;
	e.ruleset_begin = &m;
	return part_send(p, &e);
}

static int write_commit(struct part *p, const struct fw_state *s, const struct fw_ruleset *rs)
{
	Idfw__RulesetCommit m = IDFW__RULESET_COMMIT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.generation = rs->generation;
	m.version = fw_state_version(s);
	e.body_case = IDFW__ENVELOPE__BODY_RULESET_COMMIT;
	e.ruleset_commit = &m;
	return part_send(p, &e);
}

int fw_wire_write_state(const struct fw_state *s, fw_wire_emit *emit, void *arg)
{
	const struct fw_ruleset *rs = fw_state_ruleset(s);
	struct part *p = NULL;
	int err;

	if (!rs)
		return -EINVAL;
	err = part_new(emit, arg, &p);
	if (!err)
		err = write_begin(p, s, rs);
	if (!err)
		err = write_groups(p, rs);
	if (!err)
		err = write_rules(p, rs);
	if (!err)
		err = fw_state_each(s, false, write_elem, p);
	if (!err)
		err = part_flush(p);
	if (!err)
		err = write_commit(p, s, rs);
	part_free(p);
	return err;
}

int fw_wire_write_delta(const struct fw_delta *d, fw_wire_emit *emit, void *arg)
{
	Idfw__Delta m = IDFW__DELTA__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct part *p = NULL;
	int err;

	if (d->n_ops > FW_DELTA_MAX)
		return -GI_ELIMIT;
	err = part_new(emit, arg, &p);
	if (err)
		return err;
	m.generation = d->generation;
	m.from_version = d->from_version;
	m.version = d->version;
	for (size_t i = 0; i < d->n_ops; i++) {
		idfw__op__init(&p->ops[i]);
		p->ops[i].del = d->ops[i].del;
		p->ops[i].elem = part_elem(p, &d->ops[i].elem);
		if (d->ops[i].del) {
			p->ops[i].elem->mark = p->ops[i].elem->lease_s = 0;
			p->ops[i].elem->ends = 0;
		}
		p->op_list[i] = &p->ops[i];
	}
	m.n_op = d->n_ops;
	m.op = p->op_list;
	e.body_case = IDFW__ENVELOPE__BODY_DELTA;
	e.delta = &m;
	err = part_send(p, &e);
	part_free(p);
	return err;
}

int fw_wire_write_marks(uint64_t generation, uint64_t version, const struct fw_elem *elems,
	size_t n, fw_wire_emit *emit, void *arg)
{
	struct part *p = NULL;
	size_t at = 0;
	int err = part_new(emit, arg, &p);

	if (err)
		return err;
	do {
		Idfw__Marks m = IDFW__MARKS__INIT;
		Idfw__Envelope e = IDFW__ENVELOPE__INIT;

		m.generation = generation;
		m.version = version;
		m.first = at == 0;
		p->n_elems = 0;
		while (at < n && p->n_elems < PART_ELEMS)
			(void)part_elem(p, &elems[at++]);
		m.last = at == n;
		m.n_elem = p->n_elems;
		m.elem = p->elem_list;
		e.body_case = IDFW__ENVELOPE__BODY_MARKS;
		e.marks = &m;
		err = part_send(p, &e);
	} while (!err && at < n);
	part_free(p);
	return err;
}
