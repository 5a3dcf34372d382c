/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_check.c - every limit of docs/wire.md, one bent sample each
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/text.h"
#include "tests/unit/wire/bend.h"

static void test_check_texts_at_their_limits(void **state)
{
	(void)state;
	TEXT_LIMIT(HELLO, hello->software, WIRE_SOFTWARE_MAX);
	TEXT_LIMIT(HELLO_ACK, hello_ack->software, WIRE_SOFTWARE_MAX);
	TEXT_LIMIT(REFUSED, refused->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(EVENT, event->open->session->user, WIRE_USER_MAX);
	TEXT_LIMIT(EVENT, event->open->session->service, WIRE_SERVICE_MAX);
	TEXT_LIMIT(EVENT, event->open->session->tty, WIRE_SERVICE_MAX);
	TEXT_LIMIT(EVENT, event->open->session->rhost, WIRE_TEXT_MAX);
	TEXT_LIMIT(EVENT, event->open->session->auth, WIRE_AUTH_MAX);
	TEXT_LIMIT(SNAPSHOT, snapshot->session[0]->user, WIRE_USER_MAX);
	TEXT_LIMIT(RULESET_PART, ruleset_part->group[0]->name, GI_NAME_MAX);
	TEXT_LIMIT(RULESET_PART, ruleset_part->rule[0]->name, GI_NAME_MAX);
	TEXT_LIMIT(KICK, kick->reason, WIRE_TEXT_MAX);
	TEXT_LIMIT(APPLIED, applied->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(SERVICE_WATCH, service_watch->unit[0], WIRE_UNIT_MAX);
	TEXT_LIMIT(ALARM, alarm->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(CTL_REQUEST, ctl_request->arg[0], WIRE_CTL_TEXT_MAX);
	TEXT_LIMIT(CTL_END, ctl_end->text, WIRE_CTL_TEXT_MAX);
	TEXT_LIMIT(DIR_LOOKUP, dir_lookup->name, WIRE_USER_MAX);
	TEXT_LIMIT(DIR_RESULT, dir_result->text, WIRE_DIR_WHY_MAX);
	TEXT_LIMIT(DIR_RESULT, dir_result->dn, WIRE_DN_MAX);
	TEXT_LIMIT(DIR_RESULT, dir_result->name, WIRE_USER_MAX);
	TEXT_LIMIT(DIR_RESULT, dir_result->upn, WIRE_USER_MAX);
	TEXT_LIMIT(DIR_RESULT, dir_result->group[0]->dn, WIRE_DN_MAX);
	TEXT_LIMIT(DIR_RESULT, dir_result->group[0]->name, WIRE_USER_MAX);
	TEXT_LIMIT(DIR_STATE, dir_state->server, WIRE_DIR_WHY_MAX);
	TEXT_LIMIT(DIR_STATE, dir_state->text, WIRE_DIR_WHY_MAX);
	TEXT_LIMIT(DIR_SERVERS, dir_servers->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(DIR_SERVERS, dir_servers->server[0]->uri, WIRE_TEXT_MAX);
	TEXT_LIMIT(DIR_QUERY, dir_query->account->name, WIRE_USER_MAX);
	TEXT_LIMIT(DIR_QUERY, dir_query->account->dn, WIRE_DN_MAX);
	TEXT_LIMIT(DIR_QUERY, dir_query->ref[0]->text, WIRE_DIR_REF_MAX);
	TEXT_LIMIT(DIR_REPORT, dir_report->node[0]->group->name, WIRE_USER_MAX);
	TEXT_LIMIT(DIR_REPORT, dir_report->node[0]->path[0], WIRE_USER_MAX);
	TEXT_LIMIT(DIR_REPORT, dir_report->cycle[0]->group[0], WIRE_USER_MAX);
	TEXT_LIMIT(DIR_REPORT, dir_report->server, WIRE_TEXT_MAX);
	TEXT_LIMIT(DIR_REPORT, dir_report->text, WIRE_DIR_WHY_MAX);
}

static void test_check_numbers_at_their_limits(void **state)
{
	(void)state;
	VALUE(HELLO, hello->version_min, 1, 0, -GI_EPROTO);
	VALUE(HELLO, hello->version_max, 5, 0, -GI_EPROTO);
	VALUE(HELLO_ACK, hello_ack->version, 1, 0, -GI_EPROTO);
	VALUE(REFUSED, refused->reason, IDFW__REFUSED__REASON__BUSY, 5, -GI_EPROTO);
	VALUE(EVENT, event->seq, UINT64_MAX, 0, -GI_EPROTO);
	VALUE(EVENT, event->open->session->id, 1, 0, -GI_EPROTO);
	VALUE(RULESET_BEGIN, ruleset_begin->default_in, 2, 3, -GI_EPROTO);
	VALUE(RULESET_BEGIN, ruleset_begin->default_out, 0, 3, -GI_EPROTO);
	VALUE(RULESET_BEGIN, ruleset_begin->groups, 4096, 4097, -GI_ELIMIT);
	VALUE(RULESET_BEGIN, ruleset_begin->rules, 8192, 8193, -GI_ELIMIT);
	VALUE(RULESET_BEGIN, ruleset_begin->elements, 4000000, 4000001, -GI_ELIMIT);
	VALUE(RULESET_PART, ruleset_part->group[0]->net[0]->len, 128, 129, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->dir, 0, 2, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->action, 0, 3, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->from[0], 4095, 4096, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->service[0]->proto, 255, 256, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->service[0]->port_hi, 65535, 65536, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->service[0]->port_lo, 0, 5433, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->rule[0]->service[0]->icmp_type, 0, 257, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->elem[0]->set, 11, 12, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->elem[0]->group, 4095, 4096, -GI_EPROTO);
	VALUE(DELTA, delta->op[0]->elem->set, 0, 12, -GI_EPROTO);
	VALUE(SESSION_READY, session_ready->id, 1, 0, -GI_EPROTO);
	VALUE(SESSION_READY, session_ready->state, 3, 4, -GI_EPROTO);
	VALUE(KICK, kick->id, 1, 0, -GI_EPROTO);
	VALUE(APPLIED, applied->result, 0, 3, -GI_EPROTO);
	VALUE(MARKS, marks->elem[0]->set, 5, 6, -GI_EPROTO);
	VALUE(EVENT, event->open->session->kind, 1, 2, -GI_EPROTO);
	VALUE(EVENT, event->open->session->parent, 3, 7, -GI_EPROTO);
	VALUE(RULESET_BEGIN, ruleset_begin->revoke, 1, 2, -GI_EPROTO);
	VALUE(DELTA, delta->op[0]->elem->lease_s, WIRE_LEASE_MAX_S, WIRE_LEASE_MAX_S + 1,
		-GI_EPROTO);
	VALUE(DELTA, delta->op[0]->elem->ends, 0, 1, -GI_EPROTO);
	VALUE(ALARM, alarm->kind, 6, 7, -GI_EPROTO);
	VALUE(ALARM, alarm->kind, 1, 0, -GI_EPROTO);
	VALUE(MARKS, marks->elem[0]->set, 1, 0, -GI_EPROTO);
	VALUE(CTL_REQUEST, ctl_request->data_len, 4u << 20, (4u << 20) + 1, -GI_ELIMIT);
	VALUE(CTL_END, ctl_end->status, 255, 256, -GI_EPROTO);
	VALUE(DIR_LOOKUP, dir_lookup->id, 1, 0, -GI_EPROTO);
	VALUE(DIR_RESULT, dir_result->id, 1, 0, -GI_EPROTO);
	VALUE(DIR_RESULT, dir_result->status, 0, 4, -GI_EPROTO);
	VALUE(DIR_RESULT, dir_result->account_state, 15, 16, -GI_EPROTO);
	VALUE(DIR_RESULT, dir_result->expires_ms, INT64_MAX, UINT64_MAX, -GI_EPROTO);
	VALUE(DIR_SERVERS, dir_servers->server[0]->priority, 65535, 65536, -GI_EPROTO);
	VALUE(DIR_SERVERS, dir_servers->server[0]->weight, 65535, 65536, -GI_EPROTO);
	VALUE(DIR_STATE, dir_state->seen, 4, 5, -GI_EPROTO);
	VALUE(DIR_STATE, dir_state->picture, 2, 3, -GI_EPROTO);
	VALUE(DIR_STATE, dir_state->compared_ms, INT64_MAX, UINT64_MAX, -GI_EPROTO);
	VALUE(DIR_SYNC, dir_sync->id, 1, 0, -GI_EPROTO);
	VALUE(DIR_QUERY, dir_query->what, 1, 0, -GI_EPROTO);
	VALUE(DIR_QUERY, dir_query->what, 1, 2, -GI_EPROTO); /* GROUPS has no account */
	VALUE(DIR_QUERY, dir_query->show, 3, 4, -GI_EPROTO);
	VALUE(DIR_QUERY, dir_query->ref[0]->kind, 2, 3, -GI_EPROTO);
	VALUE(DIR_QUERY, dir_query->account->sid.len, 8, 7, -GI_EPROTO);
	VALUE(DIR_QUERY, dir_query->account->guid.len, 0, 15, -GI_EPROTO);
	VALUE(DIR_REPORT, dir_report->node[0]->flags, 0xffff, 0x10000, -GI_EPROTO);
	VALUE(DIR_REPORT, dir_report->cycle[0]->n_group, 1, 0, -GI_EPROTO);
}

static void test_check_byte_lengths(void **state)
{
	(void)state;
	VALUE(HELLO, hello->boot_id.len, 16, 15, -GI_EPROTO);
	VALUE(EVENT, event->open->session->peer_addr.len, 4, 3, -GI_EPROTO);
	VALUE(EVENT, event->open->session->peer_addr.len, 0, 5, -GI_EPROTO);
	VALUE(SNAPSHOT, snapshot->addresses->addr[0].len, 4, 0, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->elem[0]->key.len, 4, 0, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->elem[0]->key.len, 1, 2, -GI_EPROTO);
	VALUE(DELTA, delta->op[0]->elem->key.len, 4, 17, -GI_EPROTO);
	VALUE(RULESET_PART, ruleset_part->group[0]->net[0]->addr.len, 16, 5, -GI_EPROTO);
	VALUE(DIR_LOOKUP, dir_lookup->sid.len, 0, 69, -GI_EPROTO);
	VALUE(DIR_STATE, dir_state->domain_sid.len, 0, 69, -GI_EPROTO);
	VALUE(DIR_LOOKUP, dir_lookup->sid.len, 8, 7, -GI_EPROTO);
	VALUE(DIR_LOOKUP, dir_lookup->member_sid[0].len, 8, 7, -GI_EPROTO);
	VALUE(DIR_LOOKUP, dir_lookup->member_sid[0].len, 8, 0, -GI_EPROTO);
	VALUE(DIR_RESULT, dir_result->guid.len, 0, 15, -GI_EPROTO);
	VALUE(DIR_RESULT, dir_result->group[0]->guid.len, 16, 17, -GI_EPROTO);
	VALUE(DIR_CHANGED, dir_changed->sid[0].len, 12, 69, -GI_EPROTO);
	VALUE(DIR_CHANGED, dir_changed->account[0].len, 16, 15, -GI_EPROTO);
	VALUE(DIR_CHANGED, dir_changed->group[0].len, 16, 0, -GI_EPROTO);
}

static void test_check_prefix_longer_than_its_family(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_RULESET_PART);
	Idfw__Prefix *p = e->ruleset_part->group[0]->net[0];

	(void)state;
	p->addr.len = 4;
	p->len = 32;
	ACCEPTS(e);
	p->len = 33;
	REFUSES(-GI_EPROTO, e);
}

static void test_check_counts_at_their_limits(void **state)
{
	(void)state;
	COUNT(SNAPSHOT, snapshot->addresses->addr, snapshot->addresses->n_addr, WIRE_ADDRS_MAX);
	COUNT(SNAPSHOT, snapshot->session, snapshot->n_session, WIRE_SESSIONS_MAX);
	COUNT(RULESET_PART, ruleset_part->group, ruleset_part->n_group, WIRE_RULESET_GROUPS_MAX);
	COUNT(RULESET_PART, ruleset_part->rule, ruleset_part->n_rule, WIRE_RULESET_RULES_MAX);
	COUNT(RULESET_PART, ruleset_part->elem, ruleset_part->n_elem, WIRE_ELEMS_MAX);
	COUNT(RULESET_PART, ruleset_part->group[0]->net, ruleset_part->group[0]->n_net,
		WIRE_GROUP_NETS_MAX);
	COUNT(RULESET_PART, ruleset_part->rule[0]->from, ruleset_part->rule[0]->n_from,
		WIRE_RULE_PEERS_MAX);
	COUNT(RULESET_PART, ruleset_part->rule[0]->to, ruleset_part->rule[0]->n_to,
		WIRE_RULE_PEERS_MAX);
	COUNT(RULESET_PART, ruleset_part->rule[0]->service, ruleset_part->rule[0]->n_service,
		WIRE_RULE_SERVICES_MAX);
	COUNT(DELTA, delta->op, delta->n_op, WIRE_OPS_MAX);
	COUNT(DIR_SERVERS, dir_servers->server, dir_servers->n_server, WIRE_DIR_SERVERS_MAX);
	COUNT(MARKS, marks->elem, marks->n_elem, WIRE_ELEMS_MAX);
	COUNT(SERVICE_WATCH, service_watch->unit, service_watch->n_unit, WIRE_UNITS_MAX);
	COUNT(CTL_REQUEST, ctl_request->arg, ctl_request->n_arg, WIRE_CTL_ARGS_MAX);
	COUNT(DIR_LOOKUP, dir_lookup->member_sid, dir_lookup->n_member_sid, WIRE_DIR_MEMBERS_MAX);
	COUNT(DIR_RESULT, dir_result->group, dir_result->n_group, WIRE_DIR_GROUPS_MAX);
	COUNT(DIR_CHANGED, dir_changed->sid, dir_changed->n_sid, WIRE_DIR_SIDS_MAX);
	COUNT(DIR_CHANGED, dir_changed->account, dir_changed->n_account, WIRE_DIR_SIDS_MAX);
	COUNT(DIR_CHANGED, dir_changed->group, dir_changed->n_group, WIRE_DIR_SIDS_MAX);
	COUNT(DIR_QUERY, dir_query->ref, dir_query->n_ref, WIRE_DIR_REFS_MAX);
	COUNT(DIR_REPORT, dir_report->node, dir_report->n_node, WIRE_DIR_NODES_MAX);
	COUNT(DIR_REPORT, dir_report->cycle, dir_report->n_cycle, WIRE_DIR_CYCLES_MAX);
	COUNT(DIR_REPORT, dir_report->node[0]->path, dir_report->node[0]->n_path,
		WIRE_DIR_PATH_MAX);
	COUNT(DIR_REPORT, dir_report->node[0]->ref, dir_report->node[0]->n_ref,
		WIRE_DIR_NODE_REFS_MAX);
	COUNT(DIR_REPORT, dir_report->cycle[0]->group, dir_report->cycle[0]->n_group,
		WIRE_DIR_PATH_MAX);
}

static void test_check_missing_parts(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_EVENT);

	(void)state;
	e->event->open->session = NULL;
	REFUSES(-GI_EPROTO, e);
	e->event->body_case = IDFW__EVENT__BODY__NOT_SET;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_EVENT);
	e->event->open->session->user = nothing;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_SNAPSHOT);
	e->snapshot->first = false;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_DELTA);
	e->delta->op[0]->elem = NULL;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_CTL_REQUEST);
	e->ctl_request->verb = nothing;
	REFUSES(-GI_EPROTO, e);
	e->body_case = IDFW__ENVELOPE__BODY__NOT_SET;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_CTL_ROW);
	e->ctl_row->json = dirty;
	REFUSES(-GI_EPROTO, e);
	e->ctl_row->json = nothing;
	REFUSES(-GI_EPROTO, e);
}

static void test_check_close_event(void **state)
{
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_EVENT);

	(void)state;
	e->event->body_case = IDFW__EVENT__BODY_CLOSE;
	e->event->close = &c;
	REFUSES(-GI_EPROTO, e);
	c.id = 7;
	c.reason = IDFW__END_REASON__END_CGROUP;
	ACCEPTS(e);
	c.reason = 7;
	REFUSES(-GI_EPROTO, e);
}

static void test_check_routed_limits(void **state)
{
	struct routed_sample r[ROUTED_SAMPLES];
	char slash[] = "../etc", of_vm[] = "jump01";
	Idfw__Prefix *many[WIRE_ADDRS_MAX + 1];
	const char *why = NULL;

	(void)state;
	routed_samples_init(r);
	for (size_t i = 0; i < ROUTED_SAMPLES; i++) {
		bool of_guest = r[i].r.vm[0] != '\0';

		assert_int_equal(wire_check_routed(&r[i].r, &why), 0);
		r[i].r.vm = of_guest ? slash : of_vm;
		assert_int_equal(wire_check_routed(&r[i].r, &why), -GI_EPROTO);
	}
	routed_samples_init(r);
	r[6].r.up->transport = text_of(WIRE_SERVICE_MAX + 1);
	assert_int_equal(wire_check_routed(&r[6].r, &why), -GI_EPROTO);
	routed_samples_init(r);
	r[7].r.down->why = dirty;
	assert_int_equal(wire_check_routed(&r[7].r, &why), -GI_EPROTO);
	r[8].r.close->why = text_of(WIRE_TEXT_MAX + 1);
	assert_int_equal(wire_check_routed(&r[8].r, &why), -GI_EPROTO);
	for (size_t i = 0; i < GI_ARRAY_SIZE(many); i++)
		many[i] = r[6].r.up->allowed[0];
	r[6].r.up->transport = of_vm;
	r[6].r.up->allowed = many;
	r[6].r.up->n_allowed = WIRE_ADDRS_MAX;
	assert_int_equal(wire_check_routed(&r[6].r, &why), 0);
	r[6].r.up->n_allowed++;
	assert_int_equal(wire_check_routed(&r[6].r, &why), -GI_ELIMIT);
	r[5].r.envelope.len = 0;
	assert_int_equal(wire_check_routed(&r[5].r, &why), -GI_ELIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_texts_at_their_limits),
		cmocka_unit_test(test_check_numbers_at_their_limits),
		cmocka_unit_test(test_check_byte_lengths),
		cmocka_unit_test(test_check_prefix_longer_than_its_family),
		cmocka_unit_test(test_check_counts_at_their_limits),
		cmocka_unit_test(test_check_missing_parts),
		cmocka_unit_test(test_check_close_event),
		cmocka_unit_test(test_check_routed_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
