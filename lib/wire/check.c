/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.c - the limits of docs/wire.md, field by field
 *
 * Runs on every message that is received and on every one that is sent. A function a message:
 * 0, or the error with a static text that names message and field, ready for the log. Messages of
 * the file path are in check_file.c.
 */
#include "lib/wire/check.h"

#include <string.h>
#include "lib/base/text.h"

static int bad(int err, const char *text, const char **ret_why)
{
	*ret_why = text;
	return err;
}

/* clean UTF-8 of min..max bytes */
static bool text_ok(const char *s, size_t min, size_t max)
{
	return s && (min == 0 || s[0]) && gi_text_is_clean(s, max);
}

static bool addr_ok(const ProtobufCBinaryData *b)
{
	return b->data && (b->len == 4 || b->len == 16);
}

static bool sid_ok(const ProtobufCBinaryData *b)
{
	return b->len == 0 || (b->len >= 8 && b->len <= WIRE_SID_MAX);
}

static bool guid_ok(const ProtobufCBinaryData *b)
{
	return b->len == 0 || b->len == 16;
}

static int check_hello(const Idfw__Hello *h, const char **why)
{
	if (h->version_min == 0 || h->version_max < h->version_min)
		return bad(-GI_EPROTO, "Hello: version range is empty", why);
	if (!text_ok(h->software, 0, WIRE_SOFTWARE_MAX))
		return bad(-GI_EPROTO, "Hello: bad software text", why);
	if (h->boot_id.len != 0 && h->boot_id.len != WIRE_BOOT_ID_LEN)
		return bad(-GI_EPROTO, "Hello: bad boot_id length", why);
	return 0;
}

static int check_hello_ack(const Idfw__HelloAck *a, const char **why)
{
	if (a->version == 0)
		return bad(-GI_EPROTO, "HelloAck: no version", why);
	if (!text_ok(a->software, 0, WIRE_SOFTWARE_MAX))
		return bad(-GI_EPROTO, "HelloAck: bad software text", why);
	return 0;
}

static int check_refused(const Idfw__Refused *r, const char **why)
{
	if ((unsigned int)r->reason > IDFW__REFUSED__REASON__BUSY)
		return bad(-GI_EPROTO, "Refused: unknown reason", why);
	if (!text_ok(r->text, 0, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "Refused: bad text", why);
	return 0;
}

int wire_check_session(const Idfw__Session *s, const char **why)
{
	if (!s || s->id == 0)
		return bad(-GI_EPROTO, "Session: no id", why);
	if (!text_ok(s->user, 1, WIRE_USER_MAX))
		return bad(-GI_EPROTO, "Session: bad user", why);
	if (!text_ok(s->service, 0, WIRE_SERVICE_MAX))
		return bad(-GI_EPROTO, "Session: bad service", why);
	if (!text_ok(s->tty, 0, WIRE_SERVICE_MAX))
		return bad(-GI_EPROTO, "Session: bad tty", why);
	if (!text_ok(s->rhost, 0, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "Session: bad rhost", why);
	if (!text_ok(s->auth, 0, WIRE_AUTH_MAX))
		return bad(-GI_EPROTO, "Session: bad auth", why);
	if (s->peer_addr.len != 0 && !addr_ok(&s->peer_addr))
		return bad(-GI_EPROTO, "Session: bad peer_addr length", why);
	if ((unsigned int)s->kind > IDFW__SESSION__KIND__SERVICE)
		return bad(-GI_EPROTO, "Session: unknown kind", why);
	if (s->parent == s->id)
		return bad(-GI_EPROTO, "Session: inside itself", why);
	return 0;
}

static int check_addresses(const Idfw__Addresses *a, const char **why)
{
	if (a->n_addr > WIRE_ADDRS_MAX)
		return bad(-GI_ELIMIT, "Addresses: too many", why);
	for (size_t i = 0; i < a->n_addr; i++)
		if (!addr_ok(&a->addr[i]))
			return bad(-GI_EPROTO, "Addresses: bad length", why);
	return 0;
}

static int check_close(const Idfw__SessionClose *c, const char **why)
{
	if (c->id == 0)
		return bad(-GI_EPROTO, "SessionClose: no id", why);
	if ((unsigned int)c->reason > IDFW__END_REASON__END_CGROUP)
		return bad(-GI_EPROTO, "SessionClose: unknown reason", why);
	return 0;
}

static int check_event(const Idfw__Event *e, const char **why)
{
	if (e->seq == 0)
		return bad(-GI_EPROTO, "Event: no sequence number", why);
	switch (e->body_case) {
	case IDFW__EVENT__BODY_OPEN:
		return wire_check_session(e->open->session, why);
	case IDFW__EVENT__BODY_CLOSE:
		return check_close(e->close, why);
	case IDFW__EVENT__BODY_ADDRESSES:
		return check_addresses(e->addresses, why);
	default:
		return bad(-GI_EPROTO, "Event: no body", why);
	}
}

static int check_snapshot(const Idfw__Snapshot *s, const char **why)
{
	int err = 0;

	if (s->n_session > WIRE_SESSIONS_MAX)
		return bad(-GI_ELIMIT, "Snapshot: too many sessions in one part", why);
	if (s->addresses && !s->first)
		return bad(-GI_EPROTO, "Snapshot: addresses belong into the first part", why);
	if (s->addresses)
		err = check_addresses(s->addresses, why);
	for (size_t i = 0; !err && i < s->n_session; i++)
		err = wire_check_session(s->session[i], why);
	return err;
}

static int check_elem(const Idfw__Element *e, const char **why)
{
	if (!e || e->set >= WIRE_SETS)
		return bad(-GI_EPROTO, "Element: unknown set", why);
	if (e->group >= WIRE_RULESET_GROUPS_MAX)
		return bad(-GI_EPROTO, "Element: bad group", why);
	if (!e->key.data ||
		(e->key.len != 1 && e->key.len != 4 && e->key.len != 8 && e->key.len != 16))
		return bad(-GI_EPROTO, "Element: bad key length", why);
	if (e->lease_s > WIRE_LEASE_MAX_S || (e->ends && e->lease_s == 0))
		return bad(-GI_EPROTO, "Element: bad lease", why);
	return 0;
}

static int check_elems(Idfw__Element *const *elem, size_t n, const char **why)
{
	int err = 0;

	if (n > WIRE_ELEMS_MAX)
		return bad(-GI_ELIMIT, "too many elements in one message", why);
	for (size_t i = 0; !err && i < n; i++)
		err = check_elem(elem[i], why);
	return err;
}

static int check_prefixes(Idfw__Prefix *const *net, size_t n, const char **why)
{
	for (size_t i = 0; i < n; i++)
		if (!addr_ok(&net[i]->addr) || net[i]->len > net[i]->addr.len * 8)
			return bad(-GI_EPROTO, "Prefix: bad address or length", why);
	return 0;
}

static int check_group(const Idfw__Group *g, const char **why)
{
	if (!text_ok(g->name, 1, GI_NAME_MAX))
		return bad(-GI_EPROTO, "Group: bad name", why);
	if (g->n_net > WIRE_GROUP_NETS_MAX)
		return bad(-GI_ELIMIT, "Group: too many prefixes", why);
	return check_prefixes(g->net, g->n_net, why);
}

static int check_service(const Idfw__Service *s, const char **why)
{
	if (s->proto > 255 || s->port_hi > 65535 || s->port_lo > s->port_hi || s->icmp_type > 256)
		return bad(-GI_EPROTO, "Service: out of range", why);
	return 0;
}

static bool peers_ok(const uint32_t *peer, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (peer[i] >= WIRE_RULESET_GROUPS_MAX)
			return false;
	return true;
}

static int check_rule(const Idfw__Rule *r, const char **why)
{
	int err = 0;

	if (!text_ok(r->name, 1, GI_NAME_MAX))
		return bad(-GI_EPROTO, "Rule: bad name", why);
	if (r->dir > 1 || r->action > 2)
		return bad(-GI_EPROTO, "Rule: unknown direction or action", why);
	if (r->n_from > WIRE_RULE_PEERS_MAX || r->n_to > WIRE_RULE_PEERS_MAX ||
		r->n_service > WIRE_RULE_SERVICES_MAX)
		return bad(-GI_ELIMIT, "Rule: too many groups or services", why);
	if (!peers_ok(r->from, r->n_from) || !peers_ok(r->to, r->n_to))
		return bad(-GI_EPROTO, "Rule: bad group index", why);
	for (size_t i = 0; !err && i < r->n_service; i++)
		err = check_service(r->service[i], why);
	return err;
}

static int check_ruleset_begin(const Idfw__RulesetBegin *b, const char **why)
{
	if (b->default_in > 2 || b->default_out > 2)
		return bad(-GI_EPROTO, "RulesetBegin: unknown default", why);
	if (b->revoke > 1)
		return bad(-GI_EPROTO, "RulesetBegin: unknown way to revoke", why);
	if (b->groups > WIRE_RULESET_GROUPS_MAX || b->rules > WIRE_RULESET_RULES_MAX ||
		b->elements > WIRE_RULESET_ELEMS_MAX)
		return bad(-GI_ELIMIT, "RulesetBegin: too many groups, rules or elements", why);
	return 0;
}

static int check_ruleset_part(const Idfw__RulesetPart *p, const char **why)
{
	int err = 0;

	if (p->n_group > WIRE_RULESET_GROUPS_MAX || p->n_rule > WIRE_RULESET_RULES_MAX)
		return bad(-GI_ELIMIT, "RulesetPart: too many groups or rules", why);
	for (size_t i = 0; !err && i < p->n_group; i++)
		err = check_group(p->group[i], why);
	for (size_t i = 0; !err && i < p->n_rule; i++)
		err = check_rule(p->rule[i], why);
	return err ? err : check_elems(p->elem, p->n_elem, why);
}

static int check_delta(const Idfw__Delta *d, const char **why)
{
	int err = 0;

	if (d->n_op > WIRE_OPS_MAX)
		return bad(-GI_ELIMIT, "Delta: too many operations", why);
	for (size_t i = 0; !err && i < d->n_op; i++)
		err = check_elem(d->op[i]->elem, why);
	return err;
}

static int check_session_ready(const Idfw__SessionReady *s, const char **why)
{
	if (s->id == 0 || (unsigned int)s->state > IDFW__SESSION_READY__STATE__REFUSED)
		return bad(-GI_EPROTO, "SessionReady: no id or unknown state", why);
	return 0;
}

static int check_kick(const Idfw__Kick *k, const char **why)
{
	if (k->id == 0 || !text_ok(k->reason, 0, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "Kick: no id or bad reason", why);
	return 0;
}

static int check_applied(const Idfw__Applied *a, const char **why)
{
	if ((unsigned int)a->result > IDFW__APPLIED__RESULT__FAILED)
		return bad(-GI_EPROTO, "Applied: unknown result", why);
	if (!text_ok(a->text, 0, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "Applied: bad text", why);
	return 0;
}

static int check_marks(const Idfw__Marks *m, const char **why)
{
	for (size_t i = 0; i < m->n_elem; i++)
		if ((m->elem[i]->set < 1 || m->elem[i]->set > 5) && m->elem[i]->set != 11)
			return bad(-GI_EPROTO, "Marks: a set that has no marks", why);
	return check_elems(m->elem, m->n_elem, why);
}

static int check_service_watch(const Idfw__ServiceWatch *w, const char **why)
{
	if (w->n_unit > WIRE_UNITS_MAX)
		return bad(-GI_ELIMIT, "ServiceWatch: too many units", why);
	for (size_t i = 0; i < w->n_unit; i++)
		if (!text_ok(w->unit[i], 1, WIRE_UNIT_MAX))
			return bad(-GI_EPROTO, "ServiceWatch: bad unit", why);
	return 0;
}

static int check_alarm(const Idfw__Alarm *a, const char **why)
{
	if (a->kind == IDFW__ALARM__KIND__UNKNOWN ||
		(unsigned int)a->kind > IDFW__ALARM__KIND__NO_CGROUPS)
		return bad(-GI_EPROTO, "Alarm: unknown kind", why);
	if (!text_ok(a->text, 0, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "Alarm: bad text", why);
	return 0;
}

static int check_ctl_request(const Idfw__CtlRequest *r, const char **why)
{
	if (!gi_text_is_name(r->verb, GI_NAME_MAX))
		return bad(-GI_EPROTO, "CtlRequest: bad verb", why);
	if (r->n_arg > WIRE_CTL_ARGS_MAX || r->data_len > WIRE_CTL_DATA_MAX)
		return bad(-GI_ELIMIT, "CtlRequest: too many arguments or too much data", why);
	for (size_t i = 0; i < r->n_arg; i++)
		if (!text_ok(r->arg[i], 0, WIRE_CTL_TEXT_MAX))
			return bad(-GI_EPROTO, "CtlRequest: bad argument", why);
	return 0;
}

static int check_ctl_end(const Idfw__CtlEnd *e, const char **why)
{
	if (e->status > 255 || !text_ok(e->text, 0, WIRE_CTL_TEXT_MAX))
		return bad(-GI_EPROTO, "CtlEnd: bad status or text", why);
	return 0;
}

static int check_dir_lookup(const Idfw__DirLookup *l, const char **why)
{
	if (l->id == 0 || !text_ok(l->name, 1, WIRE_USER_MAX) || !sid_ok(&l->sid))
		return bad(-GI_EPROTO, "DirLookup: bad id, name or sid", why);
	if (l->n_member_sid > WIRE_DIR_MEMBERS_MAX)
		return bad(-GI_ELIMIT, "DirLookup: too many members", why);
	for (size_t i = 0; i < l->n_member_sid; i++)
		if (!l->member_sid[i].len || !sid_ok(&l->member_sid[i]))
			return bad(-GI_EPROTO, "DirLookup: bad member", why);
	return 0;
}

static int check_dir_result(const Idfw__DirResult *r, const char **why)
{
	if (r->id == 0 || (unsigned int)r->status > IDFW__DIR_RESULT__STATUS__AMBIGUOUS)
		return bad(-GI_EPROTO, "DirResult: no id or unknown status", why);
	if (r->account_state > 15 || r->expires_ms > INT64_MAX)
		return bad(-GI_EPROTO, "DirResult: bad account state", why);
	if (!text_ok(r->text, 0, WIRE_DIR_WHY_MAX) || !text_ok(r->dn, 0, WIRE_DN_MAX) ||
		!text_ok(r->name, 0, WIRE_USER_MAX) || !text_ok(r->upn, 0, WIRE_USER_MAX) ||
		!guid_ok(&r->guid) || !sid_ok(&r->sid))
		return bad(-GI_EPROTO, "DirResult: bad field", why);
	if (r->n_group > WIRE_DIR_GROUPS_MAX)
		return bad(-GI_ELIMIT, "DirResult: too many groups in one part", why);
	for (size_t i = 0; i < r->n_group; i++) {
		const Idfw__DirGroup *g = r->group[i];

		if (!text_ok(g->dn, 0, WIRE_DN_MAX) || !text_ok(g->name, 0, WIRE_USER_MAX) ||
			!guid_ok(&g->guid) || !sid_ok(&g->sid))
			return bad(-GI_EPROTO, "DirGroup: bad field", why);
	}
	return 0;
}

static int check_dir_changed(const Idfw__DirChanged *c, const char **why)
{
	if (c->n_sid > WIRE_DIR_SIDS_MAX || c->n_account > WIRE_DIR_SIDS_MAX ||
		c->n_group > WIRE_DIR_SIDS_MAX)
		return bad(-GI_ELIMIT, "DirChanged: too many accounts or groups", why);
	for (size_t i = 0; i < c->n_sid; i++)
		if (!sid_ok(&c->sid[i]))
			return bad(-GI_EPROTO, "DirChanged: bad sid", why);
	for (size_t i = 0; i < c->n_account; i++)
		if (c->account[i].len != 16)
			return bad(-GI_EPROTO, "DirChanged: bad account", why);
	for (size_t i = 0; i < c->n_group; i++)
		if (c->group[i].len != 16)
			return bad(-GI_EPROTO, "DirChanged: bad group", why);
	return 0;
}

static int check_dir_servers(const Idfw__DirServers *s, const char **why)
{
	if (!text_ok(s->text, 0, WIRE_TEXT_MAX))
		return bad(-GI_EPROTO, "DirServers: bad text", why);
	if (s->n_server > WIRE_DIR_SERVERS_MAX)
		return bad(-GI_ELIMIT, "DirServers: too many servers", why);
	for (size_t i = 0; i < s->n_server; i++)
		if (!text_ok(s->server[i]->uri, 1, WIRE_TEXT_MAX) ||
			s->server[i]->priority > UINT16_MAX || s->server[i]->weight > UINT16_MAX)
			return bad(-GI_EPROTO, "DirServers: bad uri, priority or weight", why);
	return 0;
}

static int check_ctl_row(const Idfw__CtlRow *r, const char **why)
{
	if (!text_ok(r->json, 2, WIRE_FRAME_MAX))
		return bad(-GI_EPROTO, "CtlRow: not one line of clean UTF-8", why);
	return 0;
}

int wire_check_envelope(const Idfw__Envelope *e, const char **ret_why)
{
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO:
		return check_hello(e->hello, ret_why);
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		return check_hello_ack(e->hello_ack, ret_why);
	case IDFW__ENVELOPE__BODY_REFUSED:
		return check_refused(e->refused, ret_why);
	case IDFW__ENVELOPE__BODY_EVENT:
		return check_event(e->event, ret_why);
	case IDFW__ENVELOPE__BODY_SNAPSHOT:
		return check_snapshot(e->snapshot, ret_why);
	case IDFW__ENVELOPE__BODY_RULESET_BEGIN:
		return check_ruleset_begin(e->ruleset_begin, ret_why);
	case IDFW__ENVELOPE__BODY_RULESET_PART:
		return check_ruleset_part(e->ruleset_part, ret_why);
	case IDFW__ENVELOPE__BODY_DELTA:
		return check_delta(e->delta, ret_why);
	case IDFW__ENVELOPE__BODY_SESSION_READY:
		return check_session_ready(e->session_ready, ret_why);
	case IDFW__ENVELOPE__BODY_KICK:
		return check_kick(e->kick, ret_why);
	case IDFW__ENVELOPE__BODY_APPLIED:
		return check_applied(e->applied, ret_why);
	case IDFW__ENVELOPE__BODY_MARKS:
		return check_marks(e->marks, ret_why);
	case IDFW__ENVELOPE__BODY_SERVICE_WATCH:
		return check_service_watch(e->service_watch, ret_why);
	case IDFW__ENVELOPE__BODY_ALARM:
		return check_alarm(e->alarm, ret_why);
	case IDFW__ENVELOPE__BODY_CTL_REQUEST:
		return check_ctl_request(e->ctl_request, ret_why);
	case IDFW__ENVELOPE__BODY_CTL_ROW:
		return check_ctl_row(e->ctl_row, ret_why);
	case IDFW__ENVELOPE__BODY_CTL_END:
		return check_ctl_end(e->ctl_end, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_LOOKUP:
		return check_dir_lookup(e->dir_lookup, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_RESULT:
		return check_dir_result(e->dir_result, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_CHANGED:
		return check_dir_changed(e->dir_changed, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_SERVERS:
		return check_dir_servers(e->dir_servers, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_STATE:
	case IDFW__ENVELOPE__BODY_DIR_QUERY:
	case IDFW__ENVELOPE__BODY_DIR_SYNC:
	case IDFW__ENVELOPE__BODY_DIR_REPORT:
		return wire_check_dir(e, ret_why);
	case IDFW__ENVELOPE__BODY_PING:
	case IDFW__ENVELOPE__BODY_PONG:
	case IDFW__ENVELOPE__BODY_EVENT_ACK:
	case IDFW__ENVELOPE__BODY_RULESET_COMMIT:
	case IDFW__ENVELOPE__BODY_LEASE:
	case IDFW__ENVELOPE__BODY_CTL_DATA:
	case IDFW__ENVELOPE__BODY_CTL_TEXT:
		return 0; /* numbers of any value, bytes of any length that a frame holds */
	default:	  /* of the file path, or none */
		return wire_check_file(e, ret_why);
	}
}

static int check_up(const Idfw__VmUp *up, const char **why)
{
	if (up->n_allowed > WIRE_ADDRS_MAX)
		return bad(-GI_ELIMIT, "VmUp: too many prefixes", why);
	if (!text_ok(up->transport, 0, WIRE_SERVICE_MAX))
		return bad(-GI_EPROTO, "VmUp: bad transport", why);
	return check_prefixes(up->allowed, up->n_allowed, why);
}

static int check_routed_body(const Idfw__Routed *r, const char **why)
{
	switch (r->body_case) {
	case IDFW__ROUTED__BODY_ENVELOPE:
		if (r->envelope.len == 0 || r->envelope.len > WIRE_FRAME_MAX)
			return bad(-GI_ELIMIT, "Routed: envelope is empty or too large", why);
		return 0;
	case IDFW__ROUTED__BODY_UP:
		return check_up(r->up, why);
	case IDFW__ROUTED__BODY_DOWN:
		if (!text_ok(r->down->why, 0, WIRE_TEXT_MAX))
			return bad(-GI_EPROTO, "VmDown: bad text", why);
		return 0;
	case IDFW__ROUTED__BODY_CLOSE:
		if (!text_ok(r->close->why, 0, WIRE_TEXT_MAX))
			return bad(-GI_EPROTO, "VmClose: bad text", why);
		return 0;
	case IDFW__ROUTED__BODY_HELLO:
		return check_hello(r->hello, why);
	case IDFW__ROUTED__BODY_HELLO_ACK:
		return check_hello_ack(r->hello_ack, why);
	case IDFW__ROUTED__BODY_REFUSED:
		return check_refused(r->refused, why);
	case IDFW__ROUTED__BODY_PING:
	case IDFW__ROUTED__BODY_PONG:
		return 0;
	default:
		return bad(-GI_EPROTO, "Routed: no body", why);
	}
}

int wire_check_routed(const Idfw__Routed *r, const char **ret_why)
{
	bool of_vm = r->body_case == IDFW__ROUTED__BODY_ENVELOPE ||
		     r->body_case == IDFW__ROUTED__BODY_UP ||
		     r->body_case == IDFW__ROUTED__BODY_DOWN ||
		     r->body_case == IDFW__ROUTED__BODY_CLOSE;

	if (!r->vm || (of_vm ? !gi_text_is_name(r->vm, GI_NAME_MAX) : r->vm[0] != '\0'))
		return bad(-GI_EPROTO, "Routed: bad VM name", ret_why);
	return check_routed_body(r, ret_why);
}
