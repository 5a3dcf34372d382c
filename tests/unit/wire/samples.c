/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * samples.c - one message of each kind with every field set, for tests and fuzz seeds
 *
 * Static storage, built anew by each call, so that a test may bend one field and go on.
 */
#include "tests/unit/wire/samples.h"

static char hello_software[] = "gi-netagent 0.1.0", ack_software[] = "svm-idfw 0.1.0";
static char refused_text[] = "speak version 1", user[] = "alice", service[] = "sshd";
static char tty[] = "ssh", rhost[] = "10.77.1.99", auth[] = "publickey ssh-ed25519 AAAA";
static char group_name[] = "eng", rule_name[] = "app/db", kick_reason[] = "left the company";
static char applied_text[] = "netlink: no such set", verb[] = "who", json[] = "{\"a\":1}";
static char ctl_arg[] = "alice", end_text[] = "no such user", dn[] = "CN=alice,DC=corp,DC=example";
static char server[] = "ldaps://dc1.corp.example", dir_text[] = "certificate has expired";
static char vm[] = "jump01", no_vm[] = "", transport[] = "vsock:3", why[] = "replaced";
static uint8_t boot_id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static uint8_t addr4[4] = { 10, 77, 1, 10 }, addr6[16] = { 0xfd, 0x77, 0, 1, [15] = 0x10 };
static uint8_t key4[4] = { 0, 0, 3, 0xe8 };
static uint8_t sid[28] = { 1, 5, 0, 0, 0, 0, 0, 5, 21, [27] = 4 };
static uint8_t policy_text[] = "allow from eng to db\n";

static Idfw__Hello hello;
static Idfw__HelloAck hello_ack;
static Idfw__Refused refused;
static Idfw__Ping ping;
static Idfw__Pong pong;
static Idfw__Session session;
static Idfw__SessionOpen session_open;
static Idfw__Event event;
static Idfw__EventAck event_ack;
static Idfw__Addresses addresses;
static Idfw__Snapshot snapshot;
static Idfw__Element element;
static Idfw__Prefix prefix;
static Idfw__Group group;
static Idfw__Service service_msg;
static Idfw__Rule rule;
static Idfw__RulesetBegin begin;
static Idfw__RulesetPart part;
static Idfw__RulesetCommit commit;
static Idfw__Op op;
static Idfw__Delta delta;
static Idfw__SessionReady ready;
static Idfw__Kick kick;
static Idfw__Applied applied;
static Idfw__Marks marks;
static Idfw__Lease lease;
static Idfw__ServiceWatch service_watch;
static Idfw__Alarm alarm_msg;
static Idfw__CtlRequest ctl_request;
static Idfw__CtlData ctl_data;
static Idfw__CtlRow ctl_row;
static Idfw__CtlText ctl_text;
static Idfw__CtlEnd ctl_end;
static Idfw__DirLookup dir_lookup;
static Idfw__DirGroup dir_group;
static Idfw__DirResult dir_result;
static Idfw__DirChanged dir_changed;
static Idfw__DirState dir_state;
static Idfw__DirServer dir_server, *dir_server_list[] = { &dir_server };
static Idfw__DirServers dir_servers;
static Idfw__DirRef dir_ref;
static Idfw__DirQuery dir_query;
static Idfw__DirSync dir_sync;
static Idfw__DirNode dir_node;
static Idfw__DirCycle dir_cycle;
static Idfw__DirReport dir_report;
static Idfw__VmUp vm_up;
static Idfw__VmDown vm_down;
static Idfw__VmClose vm_close;

static ProtobufCBinaryData addr_list[2] = { { 4, addr4 }, { 16, addr6 } };
static ProtobufCBinaryData sid_list[1] = { { sizeof(sid), sid } };
static ProtobufCBinaryData account_list[1], dir_id_list[1];
static Idfw__Session *session_list[1] = { &session };
static Idfw__Element *element_list[1] = { &element };
static Idfw__Prefix *prefix_list[1] = { &prefix };
static Idfw__Group *group_list[1] = { &group };
static Idfw__Rule *rule_list[1] = { &rule };
static Idfw__Service *service_list[1] = { &service_msg };
static Idfw__Op *op_list[1] = { &op };
static Idfw__DirGroup *dir_group_list[1] = { &dir_group };
static Idfw__DirRef *dir_ref_list[1] = { &dir_ref };
static Idfw__DirNode *dir_node_list[1] = { &dir_node };
static Idfw__DirCycle *dir_cycle_list[1] = { &dir_cycle };
static uint32_t dir_node_refs[1];
static char *dir_names[1];
static uint32_t peer_list[2] = { 0, 1 };
static char *arg_list[1] = { ctl_arg };
static char unit[] = "nginx.service", alarm_text[] = "table inet other, chain prerouting";
static char *unit_list[1] = { unit };

/* lists that a test may have bent */
static void init_lists(void)
{
	addr_list[0] = (ProtobufCBinaryData){ 4, addr4 };
	addr_list[1] = (ProtobufCBinaryData){ 16, addr6 };
	sid_list[0] = (ProtobufCBinaryData){ sizeof(sid), sid };
	peer_list[0] = 0;
	peer_list[1] = 1;
	arg_list[0] = ctl_arg;
	unit_list[0] = unit;
}

static void init_handshake(void)
{
	idfw__hello__init(&hello);
	hello.version_min = WIRE_VERSION_MIN;
	hello.version_max = WIRE_VERSION_MAX;
	hello.software = hello_software;
	hello.boot_id = (ProtobufCBinaryData){ sizeof(boot_id), boot_id };
	hello.last_seq = 41;
	idfw__hello_ack__init(&hello_ack);
	hello_ack.version = 1;
	hello_ack.software = ack_software;
	hello_ack.acked_seq = 40;
	idfw__refused__init(&refused);
	refused.reason = IDFW__REFUSED__REASON__VERSION;
	refused.text = refused_text;
	idfw__ping__init(&ping);
	ping.token = 77;
	idfw__pong__init(&pong);
	pong.token = 77;
}

static void init_events(void)
{
	idfw__session__init(&session);
	session.id = 7;
	session.user = user;
	session.uid = 1000;
	session.service = service;
	session.tty = tty;
	session.rhost = rhost;
	session.auth = auth;
	session.leader_pid = 4242;
	session.leader_start = 123456;
	session.opened_ms = 1700000000000;
	session.peer_addr = (ProtobufCBinaryData){ 4, addr4 };
	idfw__session_open__init(&session_open);
	session_open.session = &session;
	idfw__event__init(&event);
	event.seq = 42;
	event.body_case = IDFW__EVENT__BODY_OPEN;
	event.open = &session_open;
	idfw__event_ack__init(&event_ack);
	event_ack.seq = 42;
	idfw__addresses__init(&addresses);
	addresses.n_addr = 2;
	addresses.addr = addr_list;
	idfw__snapshot__init(&snapshot);
	snapshot.seq = 42;
	snapshot.first = snapshot.last = true;
	snapshot.n_session = 1;
	snapshot.session = session_list;
	snapshot.addresses = &addresses;
}

static void init_model(void)
{
	idfw__element__init(&element);
	element.set = 1;
	element.group = 2;
	element.key = (ProtobufCBinaryData){ 4, key4 };
	element.mark = 0x101;
	idfw__prefix__init(&prefix);
	prefix.addr = (ProtobufCBinaryData){ 16, addr6 };
	prefix.len = 64;
	idfw__group__init(&group);
	group.name = group_name;
	group.uses = 5;
	group.n_net = 1;
	group.net = prefix_list;
	idfw__service__init(&service_msg);
	service_msg.proto = 6;
	service_msg.port_lo = service_msg.port_hi = 5432;
	service_msg.icmp_type = 256;
	idfw__rule__init(&rule);
	rule.name = rule_name;
	rule.dir = 1;
	rule.action = 2;
	rule.log = true;
	rule.n_from = 2;
	rule.from = peer_list;
	rule.n_to = 1;
	rule.to = peer_list;
	rule.n_service = 1;
	rule.service = service_list;
	idfw__ruleset_begin__init(&begin);
	begin.generation = 3;
	begin.version = 9;
	begin.default_in = 1;
	begin.default_out = 2;
	begin.groups = begin.rules = begin.elements = 1;
	idfw__ruleset_part__init(&part);
	part.n_group = part.n_rule = part.n_elem = 1;
	part.group = group_list;
	part.rule = rule_list;
	part.elem = element_list;
	idfw__ruleset_commit__init(&commit);
	commit.generation = 3;
	commit.version = 9;
}

static void init_pushes(void)
{
	idfw__op__init(&op);
	op.del = true;
	op.elem = &element;
	idfw__delta__init(&delta);
	delta.generation = 3;
	delta.from_version = 9;
	delta.version = 10;
	delta.n_op = 1;
	delta.op = op_list;
	idfw__session_ready__init(&ready);
	ready.id = 7;
	ready.state = IDFW__SESSION_READY__STATE__ENFORCED;
	idfw__kick__init(&kick);
	kick.id = 7;
	kick.reason = kick_reason;
	idfw__applied__init(&applied);
	applied.generation = 3;
	applied.version = 10;
	applied.result = IDFW__APPLIED__RESULT__FAILED;
	applied.text = applied_text;
	idfw__marks__init(&marks);
	marks.generation = 3;
	marks.version = 10;
	marks.first = marks.last = true;
	marks.n_elem = 1;
	marks.elem = element_list;
	idfw__lease__init(&lease);
	lease.generation = 3;
	lease.version = 10;
	idfw__service_watch__init(&service_watch);
	service_watch.n_unit = 1;
	service_watch.unit = unit_list;
	idfw__alarm__init(&alarm_msg);
	alarm_msg.kind = IDFW__ALARM__KIND__FOREIGN_CHAIN;
	alarm_msg.over = true;
	alarm_msg.text = alarm_text;
}

static void init_control(void)
{
	idfw__ctl_request__init(&ctl_request);
	ctl_request.verb = verb;
	ctl_request.n_arg = 1;
	ctl_request.arg = arg_list;
	ctl_request.data_len = 21;
	idfw__ctl_data__init(&ctl_data);
	ctl_data.data = (ProtobufCBinaryData){ sizeof(policy_text) - 1, policy_text };
	idfw__ctl_row__init(&ctl_row);
	ctl_row.json = json;
	idfw__ctl_text__init(&ctl_text);
	ctl_text.text = (ProtobufCBinaryData){ sizeof(policy_text) - 1, policy_text };
	idfw__ctl_end__init(&ctl_end);
	ctl_end.status = 3;
	ctl_end.text = end_text;
}

static void init_directory(void)
{
	idfw__dir_lookup__init(&dir_lookup);
	dir_lookup.id = 5;
	dir_lookup.name = user;
	dir_lookup.sid = sid_list[0];
	dir_lookup.member_sid = sid_list;
	dir_lookup.n_member_sid = 1;
	idfw__dir_group__init(&dir_group);
	dir_group.dn = dn;
	dir_group.guid = (ProtobufCBinaryData){ 16, boot_id };
	dir_group.sid = sid_list[0];
	dir_group.name = group_name;
	idfw__dir_result__init(&dir_result);
	dir_result.id = 5;
	dir_result.status = IDFW__DIR_RESULT__STATUS__AMBIGUOUS;
	dir_result.text = dir_text;
	dir_result.dn = dn;
	dir_result.guid = (ProtobufCBinaryData){ 16, boot_id };
	dir_result.sid = sid_list[0];
	dir_result.name = user;
	dir_result.upn = user;
	dir_result.n_group = 1;
	dir_result.group = dir_group_list;
	dir_result.last = true;
	dir_result.took_ms = 12;
	dir_result.account_state = 5;
	dir_result.expires_ms = 1893456000000;
	idfw__dir_changed__init(&dir_changed);
	dir_changed.all = true;
	dir_changed.n_sid = 1;
	dir_changed.sid = sid_list;
	dir_changed.n_account = dir_changed.n_group = 1;
	dir_changed.account = account_list;
	dir_changed.group = dir_id_list;
	account_list[0] = dir_id_list[0] = (ProtobufCBinaryData){ sizeof(boot_id), boot_id };
	idfw__dir_state__init(&dir_state);
	dir_state.up = true;
	dir_state.server = server;
	dir_state.text = dir_text;
	dir_state.usn = 99;
	dir_state.compare_done = 500;
	dir_state.compare_total = 20000;
	dir_state.compared_ms = 1795323662000;
	dir_state.seen = IDFW__DIR_STATE__SEEN__SYNCREPL;
	dir_state.picture = IDFW__DIR_STATE__PICTURE__WHOLE;
	dir_state.comparing = true;
	dir_state.compare_took_ms = 1200;
	dir_state.compare_changed = 3;
	dir_state.groups = 20000;
	dir_state.memberships = 3600000;
	dir_state.synced = 7;
	dir_state.synced_full = 6;
	idfw__dir_server__init(&dir_server);
	dir_server.uri = server;
	dir_server.priority = 10;
	dir_server.weight = UINT16_MAX;
	dir_server.preferred = true;
	idfw__dir_servers__init(&dir_servers);
	dir_servers.n_server = 1;
	dir_servers.server = dir_server_list;
	dir_servers.ttl_sec = 600;
	dir_servers.text = dir_text;
	dir_servers.refused = 2;
}

static void init_dir_query(void)
{
	idfw__dir_ref__init(&dir_ref);
	dir_ref.kind = IDFW__DIR_REF__KIND__SID;
	dir_ref.text = group_name;
	idfw__dir_query__init(&dir_query);
	dir_query.what = IDFW__DIR_QUERY__WHAT__TRACE;
	dir_query.account = &dir_group;
	dir_query.show = IDFW__DIR_QUERY__SHOW__CYCLES;
	dir_query.n_ref = 1;
	dir_query.ref = dir_ref_list;
	dir_query.last = true;
	idfw__dir_sync__init(&dir_sync);
	dir_sync.id = 7;
	dir_sync.full = true;
	dir_names[0] = group_name;
	dir_node_refs[0] = 3;
	idfw__dir_node__init(&dir_node);
	dir_node.group = &dir_group;
	dir_node.flags = 5;
	dir_node.groups = 50;
	dir_node.depth = 20;
	dir_node.n_ref = 1;
	dir_node.ref = dir_node_refs;
	dir_node.n_path = 1;
	dir_node.path = dir_names;
	idfw__dir_cycle__init(&dir_cycle);
	dir_cycle.n_group = 1;
	dir_cycle.group = dir_names;
	dir_cycle.groups = 4;
	idfw__dir_report__init(&dir_report);
	dir_report.n_node = 1;
	dir_report.node = dir_node_list;
	dir_report.n_cycle = 1;
	dir_report.cycle = dir_cycle_list;
	dir_report.requests = 7;
	dir_report.took_ms = 12;
	dir_report.groups = 20000;
	dir_report.memberships = 500000;
	dir_report.server = server;
	dir_report.text = dir_text;
	dir_report.last = true;
}

void samples_init(struct sample ret[SAMPLES])
{
	struct sample *s = ret;

	init_lists();
	init_handshake();
	init_events();
	init_model();
	init_pushes();
	init_control();
	init_directory();
	init_dir_query();
	SAMPLE(HELLO, hello, hello, WIRE_AGENT, WIRE_NEW);
	SAMPLE(HELLO_ACK, hello_ack, hello_ack, WIRE_SVM_TO_AGENT, WIRE_NEW);
	SAMPLE(REFUSED, refused, refused, WIRE_SVM_TO_AGENT, WIRE_NEW);
	SAMPLE(PING, ping, ping, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(PONG, pong, pong, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(EVENT, event, event, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(EVENT_ACK, event_ack, event_ack, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(SNAPSHOT, snapshot, snapshot, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(RULESET_BEGIN, ruleset_begin, begin, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(RULESET_PART, ruleset_part, part, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(RULESET_COMMIT, ruleset_commit, commit, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(DELTA, delta, delta, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(SESSION_READY, session_ready, ready, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(KICK, kick, kick, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(APPLIED, applied, applied, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(MARKS, marks, marks, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(LEASE, lease, lease, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(SERVICE_WATCH, service_watch, service_watch, WIRE_SVM_TO_AGENT, WIRE_OPEN);
	SAMPLE(ALARM, alarm, alarm_msg, WIRE_AGENT, WIRE_OPEN);
	SAMPLE(CTL_REQUEST, ctl_request, ctl_request, WIRE_CTL, WIRE_NEW);
	SAMPLE(CTL_DATA, ctl_data, ctl_data, WIRE_CTL, WIRE_OPEN);
	SAMPLE(CTL_ROW, ctl_row, ctl_row, WIRE_SVM_TO_CTL, WIRE_OPEN);
	SAMPLE(CTL_TEXT, ctl_text, ctl_text, WIRE_SVM_TO_CTL, WIRE_OPEN);
	SAMPLE(CTL_END, ctl_end, ctl_end, WIRE_SVM_TO_CTL, WIRE_OPEN);
	SAMPLE(DIR_LOOKUP, dir_lookup, dir_lookup, WIRE_SVM_TO_DIR, WIRE_OPEN);
	SAMPLE(DIR_RESULT, dir_result, dir_result, WIRE_DIR_CHILD, WIRE_OPEN);
	SAMPLE(DIR_CHANGED, dir_changed, dir_changed, WIRE_DIR_CHILD, WIRE_OPEN);
	SAMPLE(DIR_STATE, dir_state, dir_state, WIRE_DIR_CHILD, WIRE_OPEN);
	SAMPLE(DIR_SERVERS, dir_servers, dir_servers, WIRE_DIR_CHILD, WIRE_OPEN);
	SAMPLE(DIR_QUERY, dir_query, dir_query, WIRE_SVM_TO_DIR, WIRE_OPEN);
	SAMPLE(DIR_SYNC, dir_sync, dir_sync, WIRE_SVM_TO_DIR, WIRE_OPEN);
	SAMPLE(DIR_REPORT, dir_report, dir_report, WIRE_DIR_CHILD, WIRE_OPEN);
	samples_file_init(s);
}

static void routed_one(
	struct routed_sample *s, bool from_mux, enum wire_state state, int body, char *name)
{
	s->from_mux = from_mux;
	s->state = state;
	idfw__routed__init(&s->r);
	s->r.vm = name;
	s->r.body_case = body;
}

void routed_samples_init(struct routed_sample ret[ROUTED_SAMPLES])
{
	struct routed_sample *s = ret;

	init_lists();
	init_handshake();
	init_model();
	hello.boot_id.len = 0;
	idfw__vm_up__init(&vm_up);
	vm_up.n_allowed = 1;
	vm_up.allowed = prefix_list;
	vm_up.transport = transport;
	idfw__vm_down__init(&vm_down);
	vm_down.why = why;
	idfw__vm_close__init(&vm_close);
	vm_close.why = why;
	routed_one(s, true, WIRE_NEW, IDFW__ROUTED__BODY_HELLO, no_vm);
	s++->r.hello = &hello;
	routed_one(s, false, WIRE_NEW, IDFW__ROUTED__BODY_HELLO_ACK, no_vm);
	s++->r.hello_ack = &hello_ack;
	routed_one(s, false, WIRE_NEW, IDFW__ROUTED__BODY_REFUSED, no_vm);
	s++->r.refused = &refused;
	routed_one(s, true, WIRE_OPEN, IDFW__ROUTED__BODY_PING, no_vm);
	s++->r.ping = &ping;
	routed_one(s, false, WIRE_OPEN, IDFW__ROUTED__BODY_PONG, no_vm);
	s++->r.pong = &pong;
	routed_one(s, true, WIRE_OPEN, IDFW__ROUTED__BODY_ENVELOPE, vm);
	s++->r.envelope = (ProtobufCBinaryData){ sizeof(addr4), addr4 };
	routed_one(s, true, WIRE_OPEN, IDFW__ROUTED__BODY_UP, vm);
	s++->r.up = &vm_up;
	routed_one(s, true, WIRE_OPEN, IDFW__ROUTED__BODY_DOWN, vm);
	s++->r.down = &vm_down;
	routed_one(s, false, WIRE_OPEN, IDFW__ROUTED__BODY_CLOSE, vm);
	s->r.close = &vm_close;
}
