/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.c - the tree as JSON, for idfwctl and for programs
 *
 * Says all that the text says, comments and layout aside, in the text's order; sections in their
 * order of evaluation. docs/policy.md "JSON form" is the description.
 */
#include "policy/tree.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>

/* takes @value also on error; false: no memory */
static bool put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static bool push(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) == 0;
}

static json_t *member_json(const struct pol_member *m)
{
	char net[GI_ADDR_STRLEN];

	if (m->kind == POL_K_NET)
		return json_pack("{s:s}", "address", gi_prefix_format(&m->net, net));
	if (m->kind == POL_K_UID)
		return json_pack("{s:I}", "uid", (json_int_t)m->uid);
	return json_pack("{s:s}", pol_kind_name(m->kind), m->text);
}

static json_t *members_json(const struct pol_members *m)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < m->n; i++) {
		if (!push(list, member_json(&m->list[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *ports_json(const char *key, const struct fw_service *s)
{
	char text[16];

	if (s->port_lo <= 1 && s->port_hi == UINT16_MAX)
		snprintf(text, sizeof(text), "any");
	else if (s->port_lo == s->port_hi)
		snprintf(text, sizeof(text), "%u", s->port_lo);
	else
		snprintf(text, sizeof(text), "%u-%u", s->port_lo, s->port_hi);
	return json_pack("{s:s}", key, text);
}

static json_t *icmp_json(const char *key, const struct fw_service *s)
{
	const char *name = s->icmp_type > 255 ? "any" : pol_icmp_name(s->proto, s->icmp_type);
	char number[8];

	if (!name) {
		snprintf(number, sizeof(number), "%u", s->icmp_type);
		name = number;
	}
	return json_pack("{s:s}", key, name);
}

static json_t *item_json(const struct fw_service *s)
{
	switch (s->proto) {
	case IPPROTO_TCP:
		return ports_json("tcp", s);
	case IPPROTO_UDP:
		return ports_json("udp", s);
	case IPPROTO_ICMP:
		return icmp_json("icmp", s);
	case IPPROTO_ICMPV6:
		return icmp_json("icmpv6", s);
	default:
		return json_pack("{s:i}", "proto", (int)s->proto);
	}
}

static json_t *items_json(const struct pol_service *s)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < s->n; i++) {
		if (!push(list, item_json(&s->items[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *svcrefs_json(const struct pol_rule *r)
{
	json_t *list;

	if (r->n_svcrefs == 0)
		return json_string("any");
	list = json_array();
	for (size_t i = 0; list && i < r->n_svcrefs; i++) {
		const struct pol_svcref *ref = &r->svcrefs[i];

		if (!push(list,
			    ref->name ? json_string(ref->name) : item_json(&ref->inline_item))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *rule_json(const struct pol_rule *r)
{
	json_t *o = json_object();

	if (!o || !put(o, "name", json_string(r->name)) ||
		!put(o, "enabled", json_boolean(!r->disabled)) ||
		!put(o, "action", json_string(pol_action_name(r->action))) ||
		!put(o, "from", r->from_any ? json_string("any") : members_json(&r->from)) ||
		!put(o, "to", r->to_any ? json_string("any") : members_json(&r->to)) ||
		!put(o, "service", svcrefs_json(r)) || !put(o, "log", json_boolean(r->log))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *loss_json(uint32_t lease_s)
{
	return json_pack("{s:I}", "hold", (json_int_t)lease_s);
}

static json_t *stale_json(const struct pol_stale *s)
{
	if (!s->hold_s)
		return json_string("hold");
	return json_pack("{s:I}", "hold", (json_int_t)s->hold_s);
}

static json_t *revoke_json(const struct pol_policy *p)
{
	if (p->revoke.drain_s)
		return json_pack("{s:I}", "drain", (json_int_t)p->revoke.drain_s);
	return json_string(p->revoke.mode == FW_REVOKE_RESET ? "reset" : "drop");
}

static json_t *group_json(const struct pol_group *g)
{
	json_t *o = json_object();

	if (!o || !put(o, "name", json_string(g->name)) ||
		(g->loss.given && !put(o, "on-loss", loss_json(g->loss.lease_s))) ||
		(g->stale.given && !put(o, "on-stale", stale_json(&g->stale))) ||
		!put(o, "members", members_json(&g->members))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *groups_json(const struct pol_policy *p)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < p->n_named; i++) {
		if (!push(list, group_json(&p->groups[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *services_json(const struct pol_policy *p)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < p->n_services; i++) {
		const struct pol_service *s = &p->services[i];

		if (s->builtin)
			continue;
		if (!push(list, json_pack("{s:s, s:o}", "name", s->name, "items", items_json(s)))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *login_json(const struct pol_logins *l)
{
	json_t *o = json_object();

	if (!o || !put(o, "name", json_string(l->name)) ||
		!put(o, "allow", l->users_any ? json_string("any") : members_json(&l->users)) ||
		!put(o, "on", l->places_any ? json_string("any") : members_json(&l->places))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *logins_json(const struct pol_policy *p)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < p->n_logins; i++) {
		if (!push(list, login_json(&p->logins[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *sections_json(const struct pol_policy *p)
{
	json_t *list = json_array();
	bool ok = list != NULL;
	size_t i = 0;

	for (int s = 0; ok && s < POL_S_COUNT; s++) {
		json_t *rules = json_array();

		for (; ok && i < p->n_rules && (int)p->rules[p->order[i]].section == s; i++)
			ok = push(rules, rule_json(&p->rules[p->order[i]]));
		ok = push(list, json_pack("{s:s, s:o}", "name",
					pol_section_name((enum pol_section)s), "rules", rules)) &&
		     ok;
	}
	if (!ok) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *policy_json(const struct pol_policy *p)
{
	json_t *o = json_object();

	if (!o ||
		!put(o, "default",
			json_pack("{s:s, s:s}", "in", pol_action_name(p->defaults[FW_IN].action),
				"out", pol_action_name(p->defaults[FW_OUT].action))) ||
		!put(o, "on-loss", loss_json(pol_default_lease_s(p))) ||
		!put(o, "on-stale", stale_json(&p->stale)) ||
		!put(o, "on-revoke", revoke_json(p)) || !put(o, "groups", groups_json(p)) ||
		!put(o, "services", services_json(p)) || !put(o, "logins", logins_json(p)) ||
		!put(o, "sections", sections_json(p))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int to_buf(const char *text, size_t len, void *arg)
{
	gi_buf_append(arg, text, len);
	return 0;
}

int pol_to_json(const struct pol_policy *p, struct gi_buf *out)
{
	json_t *o = policy_json(p);
	int err;

	if (!o)
		return -ENOMEM;
	err = json_dump_callback(o, to_buf, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(o);
	gi_buf_append(out, "\n", 1);
	return err ? -ENOMEM : gi_buf_error(out);
}
