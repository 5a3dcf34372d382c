/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwwire_read.c - wire messages to the firewall model: the receiver's side
 *
 * Runs in gi-netagent (rulesets, deltas) and svm-idfw (marks). RulesetBegin announces counts,
 * which are checked against fw.h's limits before anything is allocated; parts may not exceed
 * them; the commit must find all of them there. Groups, rules, elements come in that order.
 */
#include "fw/fwwire.h"

#include <stdlib.h>
#include <string.h>

struct fw_wire_reader {
	struct fw_ruleset *rs;	/* owned, while groups and rules come in */
	struct fw_state *state; /* owned; has taken rs with the first element or the commit */
	uint64_t generation, version;
	size_t want_groups, want_rules, want_elems; /* still to come */
};

static int bad(int err, const char *words, const char **ret_why)
{
	*ret_why = words;
	return err;
}

int fw_wire_reader_new(struct fw_wire_reader **ret)
{
	struct fw_wire_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

static void reader_reset(struct fw_wire_reader *r)
{
	fw_ruleset_free(r->rs);
	fw_state_free(r->state);
	*r = (struct fw_wire_reader){ 0 };
}

void fw_wire_reader_free(struct fw_wire_reader *r)
{
	if (!r)
		return;
	reader_reset(r);
	free(r);
}

static int on_begin(struct fw_wire_reader *r, const Idfw__RulesetBegin *m, const char **why)
{
	reader_reset(r);
	if (m->groups > FW_GROUPS_MAX || m->rules > FW_RULES_MAX || m->elements > FW_ELEMS_MAX)
		return bad(-GI_ELIMIT, "ruleset is too large", why);
	if (m->default_in > FW_ACCEPT || m->default_out > FW_ACCEPT)
		return bad(-GI_EPROTO, "no such default action", why);
	if (m->revoke > FW_REVOKE_RESET)
		return bad(-GI_EPROTO, "no such way to revoke", why);
	r->rs = calloc(1, sizeof(*r->rs));
	if (!r->rs)
		return bad(-ENOMEM, "out of memory", why);
	/* one more than announced: calloc(0) may be NULL */
	r->rs->groups = calloc(m->groups + 1u, sizeof(*r->rs->groups));
	r->rs->rules = calloc(m->rules + 1u, sizeof(*r->rs->rules));
	if (!r->rs->groups || !r->rs->rules)
		return bad(-ENOMEM, "out of memory", why);
	r->generation = r->rs->generation = m->generation;
	r->version = m->version;
	r->rs->default_in = (enum fw_action)m->default_in;
	r->rs->default_out = (enum fw_action)m->default_out;
	r->rs->revoke = (enum fw_revoke)m->revoke;
	r->want_groups = m->groups;
	r->want_rules = m->rules;
	r->want_elems = m->elements;
	return 0;
}

static int read_nets(struct fw_group *g, const Idfw__Group *m, const char **why)
{
	struct gi_prefix *nets;

	if (m->n_net > FW_NETS_MAX - g->n_nets)
		return bad(-GI_ELIMIT, "too many prefixes in a group", why);
	if (m->n_net == 0)
		return 0;
	nets = realloc(g->nets, (g->n_nets + m->n_net) * sizeof(*nets));
	if (!nets)
		return bad(-ENOMEM, "out of memory", why);
	g->nets = nets;
	for (size_t i = 0; i < m->n_net; i++) {
		struct gi_prefix p = { .len = (uint8_t)m->net[i]->len };

		if (m->net[i]->len > 128 ||
			gi_addr_from_bytes(m->net[i]->addr.data, m->net[i]->addr.len, &p.addr) < 0)
			return bad(-GI_EPROTO, "malformed prefix", why);
		g->nets[g->n_nets++] = p;
	}
	return 0;
}

/* a group of the name that came last goes on with it */
static int read_group(struct fw_wire_reader *r, const Idfw__Group *m, const char **why)
{
	struct fw_ruleset *rs = r->rs;
	struct fw_group *g = rs->n_groups ? &rs->groups[rs->n_groups - 1] : NULL;

	if (!g || strcmp(g->name, m->name) != 0) {
		if (r->want_groups == 0)
			return bad(-GI_EPROTO, "more groups than announced", why);
		if (rs->n_rules > 0)
			return bad(-GI_EPROTO, "a group behind a rule", why);
		g = &rs->groups[rs->n_groups];
		if (gi_text_copy(g->name, sizeof(g->name), m->name) < 0)
			return bad(-GI_EPROTO, "a group's name is too long", why);
		g->uses = m->uses;
		rs->n_groups++;
		r->want_groups--;
	} else if (g->uses != m->uses) {
		return bad(-GI_EPROTO, "a group goes on with other uses", why);
	}
	return read_nets(g, m, why);
}

static int read_peers(
	const uint32_t *src, size_t n, uint16_t **ret, size_t *ret_n, const char **why)
{
	if (n > FW_PEERS_MAX)
		return bad(-GI_ELIMIT, "too many groups in a rule", why);
	if (n == 0)
		return 0;
	*ret = calloc(n, sizeof(**ret));
	if (!*ret)
		return bad(-ENOMEM, "out of memory", why);
	for (size_t i = 0; i < n; i++) {
		if (src[i] >= FW_GROUPS_MAX)
			return bad(-GI_EPROTO, "a rule names a group that is not there", why);
		(*ret)[(*ret_n)++] = (uint16_t)src[i];
	}
	return 0;
}

static int read_services(const Idfw__Rule *m, struct fw_rule *rule, const char **why)
{
	if (m->n_service > FW_SERVICES_MAX)
		return bad(-GI_ELIMIT, "too many services in a rule", why);
	if (m->n_service == 0)
		return 0;
	rule->services = calloc(m->n_service, sizeof(*rule->services));
	if (!rule->services)
		return bad(-ENOMEM, "out of memory", why);
	for (size_t i = 0; i < m->n_service; i++) {
		const Idfw__Service *s = m->service[i];

		if (s->proto > UINT8_MAX || s->port_lo > UINT16_MAX || s->port_hi > UINT16_MAX ||
			s->icmp_type > 256)
			return bad(-GI_EPROTO, "service out of range", why);
		rule->services[rule->n_services++] = (struct fw_service){
			.proto = (uint8_t)s->proto,
			.port_lo = (uint16_t)s->port_lo,
			.port_hi = (uint16_t)s->port_hi,
			.icmp_type = (uint16_t)s->icmp_type,
		};
	}
	return 0;
}

static int read_rule(struct fw_wire_reader *r, const Idfw__Rule *m, const char **why)
{
	struct fw_rule *rule;
	int err;

	if (r->want_rules == 0)
		return bad(-GI_EPROTO, "more rules than announced", why);
	if (m->dir > FW_IN || m->action > FW_ACCEPT)
		return bad(-GI_EPROTO, "no such direction or action", why);
	rule = &r->rs->rules[r->rs->n_rules++];
	r->want_rules--;
	if (gi_text_copy(rule->name, sizeof(rule->name), m->name) < 0)
		return bad(-GI_EPROTO, "a rule's name is too long", why);
	rule->dir = (enum fw_dir)m->dir;
	rule->action = (enum fw_action)m->action;
	rule->log = m->log != 0;
	err = read_peers(m->from, m->n_from, &rule->from, &rule->n_from, why);
	if (!err)
		err = read_peers(m->to, m->n_to, &rule->to, &rule->n_to, why);
	return err ? err : read_services(m, rule, why);
}

static int read_elem(const Idfw__Element *m, struct fw_elem *ret)
{
	struct fw_elem e = { .mark = m->mark, .lease_s = m->lease_s, .ends = m->ends != 0 };

	if (m->set >= FW_SET_COUNT || m->group > UINT16_MAX || m->key.len > sizeof(e.key.data))
		return -GI_EPROTO;
	e.key.set = (uint8_t)m->set;
	e.key.group = (uint16_t)m->group;
	e.key.len = (uint8_t)m->key.len;
	if (m->key.len > 0)
		memcpy(e.key.data, m->key.data, m->key.len);
	*ret = e;
	return 0;
}

/* groups and rules are complete: check them, elements may come */
static int rules_done(struct fw_wire_reader *r, const char **why)
{
	int err;

	if (r->state)
		return 0;
	if (r->want_groups || r->want_rules)
		return bad(-GI_EPROTO, "groups or rules are missing", why);
	err = fw_ruleset_check(r->rs, why);
	if (err)
		return err;
	err = fw_state_new(&r->state);
	if (err)
		return bad(err, "out of memory", why);
	fw_state_set_ruleset(r->state, r->rs);
	fw_state_set_version(r->state, r->version);
	r->rs = NULL;
	return 0;
}

static int take_elem(struct fw_wire_reader *r, const Idfw__Element *m, const char **why)
{
	struct fw_op op = { .del = false };
	int err;

	if (r->want_elems == 0)
		return bad(-GI_EPROTO, "more elements than announced", why);
	if (read_elem(m, &op.elem) < 0 || fw_elem_check(&op.elem, fw_state_ruleset(r->state)) < 0)
		return bad(-GI_EPROTO, "malformed element", why);
	if (fw_state_get(r->state, &op.elem.key, NULL))
		return bad(-GI_EPROTO, "an element twice", why);
	err = fw_state_apply(r->state, &op);
	if (err)
		return bad(err, "no room for an element", why);
	r->want_elems--;
	return 0;
}

static int on_part(struct fw_wire_reader *r, const Idfw__RulesetPart *m, const char **why)
{
	int err = 0;

	if (!r->rs && !r->state)
		return bad(-GI_EPROTO, "a part without a beginning", why);
	if (r->state && (m->n_group || m->n_rule))
		return bad(-GI_EPROTO, "a group or rule behind an element", why);
	for (size_t i = 0; !err && i < m->n_group; i++)
		err = read_group(r, m->group[i], why);
	for (size_t i = 0; !err && i < m->n_rule; i++)
		err = read_rule(r, m->rule[i], why);
	if (!err && m->n_elem)
		err = rules_done(r, why);
	for (size_t i = 0; !err && i < m->n_elem; i++)
		err = take_elem(r, m->elem[i], why);
	return err;
}

static int on_commit(struct fw_wire_reader *r, const Idfw__RulesetCommit *m,
	struct fw_state **ret_state, const char **why)
{
	int err;

	if (!r->rs && !r->state)
		return bad(-GI_EPROTO, "a commit without a beginning", why);
	if (m->generation != r->generation || m->version != r->version)
		return bad(-GI_EPROTO, "a commit of another ruleset", why);
	err = rules_done(r, why);
	if (err)
		return err;
	if (r->want_elems)
		return bad(-GI_EPROTO, "elements are missing", why);
	*ret_state = r->state;
	r->state = NULL;
	reader_reset(r);
	return 0;
}

int fw_wire_reader_feed(struct fw_wire_reader *r, const Idfw__Envelope *e,
	struct fw_state **ret_state, const char **ret_why)
{
	const char *why = "not part of a ruleset";
	int err = -GI_EPROTO;

	if (e->body_case == IDFW__ENVELOPE__BODY_RULESET_BEGIN)
		err = on_begin(r, e->ruleset_begin, &why);
	else if (e->body_case == IDFW__ENVELOPE__BODY_RULESET_PART)
		err = on_part(r, e->ruleset_part, &why);
	else if (e->body_case == IDFW__ENVELOPE__BODY_RULESET_COMMIT)
		err = on_commit(r, e->ruleset_commit, ret_state, &why);
	if (err) {
		reader_reset(r);
		*ret_why = why;
	}
	return err;
}

static int read_op(const Idfw__Op *m, struct fw_op *ret)
{
	struct fw_op op = { .del = m->del != 0 };

	if (!m->elem || read_elem(m->elem, &op.elem) < 0)
		return -GI_EPROTO;
	if (!op.del && fw_elem_check(&op.elem, NULL) < 0)
		return -GI_EPROTO;
	if (op.del && (fw_key_check(&op.elem.key, NULL) < 0 || op.elem.mark != 0 ||
			      op.elem.lease_s != 0 || op.elem.ends))
		return -GI_EPROTO;
	*ret = op;
	return 0;
}

int fw_wire_read_delta(const Idfw__Delta *m, struct fw_delta **ret, const char **ret_why)
{
	struct fw_delta *d;

	if (m->n_op > FW_DELTA_MAX)
		return bad(-GI_ELIMIT, "too many operations", ret_why);
	d = calloc(1, sizeof(*d));
	if (d)
		d->ops = calloc(m->n_op + 1, sizeof(*d->ops));
	if (!d || !d->ops) {
		fw_delta_free(d);
		return bad(-ENOMEM, "out of memory", ret_why);
	}
	d->generation = m->generation;
	d->from_version = m->from_version;
	d->version = m->version;
	for (size_t i = 0; i < m->n_op; i++) {
		struct fw_op *op = &d->ops[d->n_ops];

		if (read_op(m->op[i], op) < 0 || (op->del && i > 0 && !op[-1].del)) {
			fw_delta_free(d);
			return bad(-GI_EPROTO, "malformed or misplaced operation", ret_why);
		}
		d->n_ops++;
	}
	*ret = d;
	return 0;
}

/* room for @more; doubles, so a million marks are copied once on average */
static int marks_room(struct fw_wire_marks *w, size_t more)
{
	size_t cap = w->cap ? w->cap : 64;
	struct fw_elem *elems;

	while (cap < w->n + more)
		cap *= 2;
	if (cap == w->cap)
		return 0;
	elems = realloc(w->elems, cap * sizeof(*elems));
	if (!elems)
		return -ENOMEM;
	w->elems = elems;
	w->cap = cap;
	return 0;
}

static int marks_take(struct fw_wire_marks *w, const Idfw__Marks *m, const char **why)
{
	if (m->n_elem > FW_ELEMS_MAX - w->n)
		return bad(-GI_ELIMIT, "too many marks", why);
	if (marks_room(w, m->n_elem) < 0)
		return bad(-ENOMEM, "out of memory", why);
	for (size_t i = 0; i < m->n_elem; i++) {
		struct fw_elem *e = &w->elems[w->n];

		if (read_elem(m->elem[i], e) < 0 || !fw_set_is_map((enum fw_set)e->key.set) ||
			fw_elem_check(e, NULL) < 0)
			return bad(-GI_EPROTO, "malformed mark", why);
		w->n++;
	}
	return 0;
}

int fw_wire_marks_feed(
	struct fw_wire_marks *w, const Idfw__Marks *m, bool *ret_done, const char **ret_why)
{
	int err;

	if (m->first) {
		w->n = 0;
		w->generation = m->generation;
		w->version = m->version;
	} else if (!w->open) {
		return bad(-GI_EPROTO, "marks without a first part", ret_why);
	} else if (m->generation != w->generation || m->version != w->version) {
		w->open = false;
		return bad(-GI_EPROTO, "marks of another version", ret_why);
	}
	err = marks_take(w, m, ret_why);
	w->open = !err && !m->last;
	if (!err)
		*ret_done = m->last != 0;
	return err;
}

void fw_wire_marks_fini(struct fw_wire_marks *w)
{
	free(w->elems);
	*w = (struct fw_wire_marks){ 0 };
}
