/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay.c - drives the real engine through tests/replay/ scenario files (world.h is around it)
 *
 *   replay [-w DIR] FILE...   -w: also as seeds of fuzz_engine. Each file is one world; a failed
 * expectation ends it with file:line
 *
 * Steps, one a line (# comment; "quoted words" or '...'; after each the world settles and is
 * checked):
 * - policy ... end: lines between are policy text
 * - connect VM boot=N addr=A,B [sessions=ID:USER:UID[:CGROUP[:PARENT]],...] [seq=N]: a whole
 *   greeting
 * - up VM [allowed=P,P] [turned-away=N]; hello VM boot=N [version=N] [last=SEQ]; down VM; marks VM
 * - open VM SEQ ID USER UID [cg=N] [in=ID] [found=yes] [service=yes] [at=MS]; close VM SEQ ID
 *   [REASON [at=MS]] (at: by the guest's own clock); address VM SEQ A,B|-
 * - snapshot VM SEQ [addr=A,B] [sessions=ID:USER:UID,...] [first=no] [last=no]
 * - directory claims LABEL DOMAIN
 * - found KEY [GROUP[|LABEL],...|-] [in=LABEL] [name=N] [upn=U] [sid=S] [id=I]
 * [state=disabled,expired,locked,must-change] [revokes=the same] [expires=MS]; notfound KEY;
 * unavailable KEY; changed all|SID|account=ID|group=ID... [times=N]: an id is the name, GROUP#ID is
 * a group that was called so
 * - directory up|down; acks on|off; ack VM ok|stale|failed|restarted; durable VM SEQ [boot=other]
 * - store|pushes|lookups full|ok; kick DBID; restart [lost]; pass MS;
 *   clock MS: our real time jumps there; lapse VM S: its kernel ends marks with leases up to S s
 * - flow VM NAME uid:N|cg:N|ADDR GROUP|any: a new flow, must be allowed
 * - scan SEQ VM ID [isolate=session|vm] [boot=N] [uid=N] [user=U] [path=P] [refused=yes]
 *   [kind=fim|passed|service|command]: a ScanRecord, by default a verdict, of the guest's session
 * - scanhello SEQ: svm-scan connects and is told that number; scanned SEQ: up to there is durable
 * - isolate DBID|vm=VM; release DBID|vm=VM; with a "!" behind the verb: must be refused
 * - limits [isolate-max=N] [never=VM] [sessions-max=N] [events-max=N] [push-deadline=MS]
 *   [vm=VM:SESSIONS:EVENTS,...|-] [live=yes]: and a restart, unless live; alarm VM KIND TEXT
 * [over]; opens VM SEQ ID N USER UID: N logins at once; short VM SEQ ID N USER UID CG: N logins,
 * each over at once, in cgroups from CG on; wrap VM UID: the next mark would be this uid's
 *
 * Expectations:
 * - expect WORD...: the first line of the log with these words in order; used up
 * - none WORD...: no line has them; forget: the log is emptied
 * - alive VM NAME, cut VM NAME: the next packet of the flow
 * - member VM uid:N|cg:N|ADDR GROUP, nomember ...: would a new flow match a rule from it?
 * - stat NAME N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/svm-idfw/fuzzops.h"
#include "tests/unit/svm-idfw/replay.h"

/* ---- scenarios as seeds ---- */

static uint8_t vm_number(const char *vm)
{
	static const char *const vms[] = { "jump01", "db01", "web01", "web02" };

	for (uint8_t i = 0; i < GI_ARRAY_SIZE(vms); i++)
		if (!strcmp(vms[i], vm))
			return i;
	return 0;
}

static void seed_op(struct run *r, enum fuzz_op op, uint8_t arg, const void *data, size_t len)
{
	const uint8_t head[4] = { (uint8_t)op, arg, (uint8_t)len, (uint8_t)(len >> 8) };

	if (r->seed && (fwrite(head, 1, 4, r->seed) != 4 || fwrite(data, 1, len, r->seed) != len))
		abort();
}

static void heard(struct world *w, const char *vm, const Idfw__Envelope *env)
{
	struct gi_buf b;

	if (env->body_case == IDFW__ENVELOPE__BODY_APPLIED)
		return; /* the fuzz target's agents answer by themselves */
	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_envelope_encode(env, &b) == 0)
		seed_op(w->heard_arg, FUZZ_SAY, vm_number(vm), b.data, b.len);
	gi_buf_fini(&b);
}

static uint8_t flags(const struct run *r)
{
	return (uint8_t)(r->w.no_ack | r->w.store_full << 1 | r->w.push_full << 2 |
			 r->w.lookup_full << 3);
}

/* the steps that are no agent's words */
static void seed_step(struct run *r)
{
	const char *word = r->words[0], *arg = r->n > 1 ? r->words[1] : "";
	static const char *const users[] = { "alice", "bob", "carol", "gus" };
	uint8_t user = 0, groups = 0;

	if (!strcmp(word, "up") || !strcmp(word, "connect"))
		seed_op(r, FUZZ_UP, vm_number(arg), "", 0);
	else if (!strcmp(word, "down"))
		seed_op(r, FUZZ_DOWN, vm_number(arg), "", 0);
	else if (!strcmp(word, "pass"))
		for (long left = strtol(arg, NULL, 10) / 100; left > 0; left -= 255)
			seed_op(r, FUZZ_PASS, (uint8_t)(left > 255 ? 255 : left), "", 0);
	else if (!strcmp(word, "ack"))
		seed_op(r, FUZZ_ACK,
			(uint8_t)(vm_number(arg) | (r->words[2][0] == 's'	   ? 4
							   : r->words[2][0] == 'f' ? 8
										   : 0)),
			"", 0);
	else if (!strcmp(word, "directory") || !strcmp(word, "changed") ||
		 !strcmp(word, "collision"))
		seed_op(r, FUZZ_DIRECTORY, word[0] == 'c' ? 2 : !strcmp(arg, "up"), "", 0);
	else if (!strcmp(word, "restart"))
		seed_op(r, FUZZ_RESTART, !strcmp(arg, "lost"), "", 0);
	else if (!strcmp(word, "durable"))
		seed_op(r, FUZZ_DURABLE, vm_number(arg), "", 0);
	else if (!strcmp(word, "kick"))
		seed_op(r, FUZZ_KICK, 0, "", 0);
	else if (!strcmp(word, "isolate") || !strcmp(word, "release"))
		seed_op(r, FUZZ_ISOLATE,
			(uint8_t)(vm_number(arg + strcspn(arg, "=") + (arg[0] == 'v')) |
				  (arg[0] == 'v' ? 4 : 0) | (word[0] == 'r' ? 8 : 0)),
			"", 0);
	if (strcmp(word, "found") != 0 && strcmp(word, "notfound") != 0 &&
		strcmp(word, "unavailable") != 0)
		return;
	for (uint8_t i = 0; i < GI_ARRAY_SIZE(users); i++)
		user = !strcmp(users[i], arg) ? i : user;
	if (r->n > 2)
		groups = (uint8_t)((strstr(r->words[2], "eng") ? 1 : 0) |
				   (strstr(r->words[2], "ops") ? 2 : 0) |
				   (strstr(r->words[2], "guests") ? 4 : 0));
	seed_op(r, FUZZ_ANSWER,
		(uint8_t)(user | (word[0] == 'n'	  ? 1
					 : word[0] == 'u' ? 2
							  : 0)
					 << 2),
		&groups, 1);
}

bool replay_fail(struct run *r, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", r->file, r->line, what);
	for (size_t i = 0; i < r->w.n_log; i++)
		if (r->w.log[i])
			fprintf(stderr, "    %s\n", r->w.log[i]);
	return false;
}

/* value of key=value among the words, or NULL */
const char *replay_option(struct run *r, const char *key)
{
	size_t len = strlen(key);

	for (int i = 1; i < r->n; i++)
		if (!strncmp(r->words[i], key, len) && r->words[i][len] == '=')
			return r->words[i] + len + 1;
	return NULL;
}

uint64_t replay_number(const char *text)
{
	uint64_t n = 0;

	if (!text || gi_text_u64(text, 0, UINT64_MAX, &n) < 0) {
		fprintf(stderr, "not a number: %s\n", text ? text : "(nothing)");
		exit(2);
	}
	return n;
}

/* ---- steps: false is a failure that was told ---- */

static bool do_down(struct run *r)
{
	struct idfw_vm *vm = idfw_engine_vm(r->w.e, r->words[1]);

	if (!vm)
		return replay_fail(r, "no such VM");
	idfw_engine_guest_down(r->w.e, vm, "its mux says so");
	return true;
}

/* a name stands for the id of what was first called so */
static void unique_id(const char *name, uint8_t ret[16])
{
	size_t len = strlen(name);

	memset(ret, 0, 16);
	memcpy(ret, name, len < 16 ? len : 16);
}

static bool answer(struct run *r, enum idfw_presence presence)
{
	static char empty[] = "";
	struct idfw_group groups[LIST_MAX];
	char *names[LIST_MAX], copy[512], dn[LIST_MAX][96], dn_user[128], *id, *in, name[256];
	struct idfw_principal p = {
		.presence = presence, .name = name, .upn = empty, .sid = empty, .groups = groups
	};

	snprintf(copy, sizeof(copy), "%s",
		r->n > 2 && !strchr(r->words[2], '=') ? r->words[2] : "-");
	snprintf(dn_user, sizeof(dn_user), "CN=%s,DC=corp,DC=example", r->words[1]);
	p.dn = dn_user;
	if (!replay_account(r, &p.account))
		return replay_fail(r, "no such state");
	p.stale = replay_option(r, "stale") != NULL;
	if (replay_option(r, "in"))
		p.directory = (char *)(uintptr_t)replay_option(r, "in");
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(r->words[1], "|"), r->words[1]);
	if (replay_option(r, "name"))
		p.name = (char *)(uintptr_t)replay_option(r, "name");
	if (replay_option(r, "upn"))
		p.upn = (char *)(uintptr_t)replay_option(r, "upn");
	if (replay_option(r, "sid"))
		p.sid = (char *)(uintptr_t)replay_option(r, "sid");
	p.n_groups = replay_split(copy, names);
	unique_id(replay_option(r, "id") ? replay_option(r, "id") : r->words[1], p.guid);
	for (size_t i = 0; i < p.n_groups; i++) {
		groups[i] = (struct idfw_group){ .name = names[i], .dn = dn[i], .sid = empty };
		id = strchr(names[i], '#');
		unique_id(id ? id + 1 : names[i], groups[i].id);
		if (id)
			*id = '\0';
		in = strchr(names[i], '|');
		groups[i].directory = in ? in + 1 : p.directory;
		if (in)
			*in = '\0';
		snprintf(dn[i], sizeof(dn[i]), "CN=%s,OU=Groups,DC=corp,DC=example", names[i]);
	}
	in = strchr(r->words[1], '|');
	if (in)
		*in = IDFW_KEY_IN;
	idfw_engine_principal(r->w.e, r->words[1], &p);
	return true;
}

static bool do_found(struct run *r)
{
	return answer(r, IDFW_P_FOUND);
}

static bool do_notfound(struct run *r)
{
	return answer(r, IDFW_P_NOT_FOUND);
}

static bool do_unavailable(struct run *r)
{
	return answer(r, IDFW_P_UNAVAILABLE);
}

static bool do_changed(struct run *r)
{
	uint8_t accounts[LIST_MAX][16], groups[LIST_MAX][16];
	const char *sids[LIST_MAX], *by[LIST_MAX];
	struct idfw_changes c = {
		.sids = sids, .accounts = accounts, .groups = groups, .trusted_by = by
	};
	long times = 1;

	for (int i = 1; i < (int)r->n && i < LIST_MAX; i++) {
		const char *w = r->words[i];

		if (!strcmp(w, "all"))
			c.all = true;
		else if (!strncmp(w, "account=", 8))
			unique_id(w + 8, accounts[c.n_accounts++]);
		else if (!strncmp(w, "group=", 6))
			unique_id(w + 6, groups[c.n_groups++]);
		else if (!strncmp(w, "in=", 3))
			c.directory = w + 3;
		else if (!strncmp(w, "trusted-by=", 11))
			by[c.n_trusted_by++] = w + 11;
		else if (!strncmp(w, "times=", 6))
			times = strtol(w + 6, NULL, 10);
		else
			sids[c.n_sids++] = w;
	}
	while (times-- > 0)
		idfw_engine_directory_changed(r->w.e, &c);
	return true;
}

static bool do_directory(struct run *r)
{
	bool up = !strcmp(r->words[1], "up");

	if (!strcmp(r->words[1], "claims")) {
		if (r->n < 4 || r->w.n_claims == WORLD_VMS)
			return replay_fail(r, "not: directory claims LABEL DOMAIN");
		snprintf(r->w.claims[r->w.n_claims].label, sizeof(r->w.claims->label), "%s",
			r->words[2]);
		snprintf(r->w.claims[r->w.n_claims++].domain, sizeof(r->w.claims->domain), "%s",
			r->words[3]);
		return true;
	}
	if (!strcmp(r->words[1], "add"))
		return idfw_engine_directory_add(r->w.e, r->words[2]) == 0 ||
		       replay_fail(r, "too many directories");
	idfw_engine_directory_state(
		r->w.e, r->n > 2 ? r->words[2] : "", up, up ? "" : "does not answer");
	return true;
}

/* collision NAME DIRECTORY:ID DIRECTORY:ID */
static bool do_collision(struct run *r)
{
	struct idfw_place at[2];

	for (size_t i = 0; i < 2; i++) {
		at[i].directory = r->words[2 + i];
		at[i].id = strchr(r->words[2 + i], ':');
		if (!at[i].id)
			return replay_fail(r, "write DIRECTORY:ID");
		*at[i].id++ = '\0';
	}
	idfw_engine_collision(r->w.e, IDFW_COLLIDE_NAME, r->words[1], at);
	return true;
}

static bool do_acks(struct run *r)
{
	r->w.no_ack = !strcmp(r->words[1], "off");
	return true;
}

static bool do_ack(struct run *r)
{
	const char *word = r->words[2];
	int result = !strcmp(word, "ok") ? 0 : !strcmp(word, "stale") ? 1 : 2;

	if (!strcmp(word, "restarted"))
		return world_pusher_restarted(&r->w, r->words[1]) == 0 || replay_fail(r, "refused");
	return world_ack(&r->w, r->words[1], result) != -ENOENT ||
	       replay_fail(r, "no push waits for an answer");
}

static bool do_durable(struct run *r)
{
	struct idfw_vm *vm = idfw_engine_vm(r->w.e, r->words[1]);
	static const uint8_t other_boot[16] = { 0xff };

	if (!vm)
		return replay_fail(r, "no such VM");
	idfw_engine_durable(r->w.e, vm, replay_option(r, "boot") ? other_boot : vm->boot_id,
		replay_number(r->words[2]));
	return true;
}

static bool do_store(struct run *r)
{
	r->w.store_full = !strcmp(r->words[1], "full");
	return true;
}

static bool do_pushes(struct run *r)
{
	r->w.push_full = !strcmp(r->words[1], "full");
	return true;
}

static bool do_lookups(struct run *r)
{
	r->w.lookup_full = !strcmp(r->words[1], "full");
	return true;
}

static bool do_kick(struct run *r)
{
	return idfw_engine_kick(r->w.e, replay_number(r->words[1]), "root", "test") == 0 ||
	       replay_fail(r, "kick: no such session");
}

static bool do_restart(struct run *r)
{
	return world_restart(&r->w, r->n > 1 && !strcmp(r->words[1], "lost")) == 0 ||
	       replay_fail(r, "restart");
}

static bool do_pass(struct run *r)
{
	r->w.mono_ms += replay_number(r->words[1]);
	r->w.real_ms += replay_number(r->words[1]);
	return true;
}

static bool do_lapse(struct run *r)
{
	world_lapse(&r->w, r->words[1], (uint32_t)replay_number(r->words[2]));
	return true;
}

static bool do_clock(struct run *r)
{
	r->w.real_ms = replay_number(r->words[1]);
	return true;
}

static struct fw_key subject(const char *text)
{
	struct gi_addr a;
	struct fw_elem el;

	if (!strncmp(text, "uid:", 4)) {
		el = fw_elem_uid((uint32_t)replay_number(text + 4), 1);
	} else if (!strncmp(text, "cg:", 3)) {
		el = fw_elem_cgroup(replay_number(text + 3), 1);
	} else if (gi_addr_parse(text, &a) == 0) {
		el = fw_elem_addr(&a, 1);
	} else {
		fprintf(stderr, "not uid:N, cg:N or an address: %s\n", text);
		exit(2);
	}
	return el.key;
}

static bool do_flow(struct run *r)
{
	struct fw_key k = subject(r->words[3]);

	return world_flow_new(&r->w, r->words[1], r->words[2], &k, r->words[4]) ||
	       replay_fail(r, "the flow is not allowed");
}

static bool do_expect(struct run *r)
{
	return world_log_take(&r->w, (const char *const *)r->words + 1, (size_t)r->n - 1) ||
	       replay_fail(r, "expected, but it did not happen");
}

static bool do_none(struct run *r)
{
	return !world_log_has(&r->w, (const char *const *)r->words + 1, (size_t)r->n - 1) ||
	       replay_fail(r, "happened, but should not have");
}

static bool do_forget(struct run *r)
{
	world_log_clear(&r->w);
	return true;
}

static bool do_alive(struct run *r)
{
	return world_flow_alive(&r->w, r->words[1], r->words[2]) ||
	       replay_fail(r, "the flow was cut");
}

static bool do_cut(struct run *r)
{
	return !world_flow_alive(&r->w, r->words[1], r->words[2]) ||
	       replay_fail(r, "the flow lives on");
}

static bool do_member(struct run *r)
{
	struct fw_key k = subject(r->words[2]);

	return world_member(&r->w, r->words[1], &k, r->words[3]) || replay_fail(r, "not a member");
}

static bool do_nomember(struct run *r)
{
	struct fw_key k = subject(r->words[2]);

	return !world_member(&r->w, r->words[1], &k, r->words[3]) || replay_fail(r, "is a member");
}

static bool do_stat(struct run *r)
{
	struct idfw_stats st;
	uint64_t enforced = 0;
	char text[64];

	for (const struct idfw_vm *vm = idfw_engine_vms(r->w.e); vm; vm = vm->hh.next)
		for (const struct idfw_session *s = vm->sessions; s; s = s->v_next)
			enforced += s->enforced_ms != 0;
	idfw_engine_stats(r->w.e, &st);
	struct {
		const char *name;
		uint64_t value;
	} rows[] = { { "logins", st.logins }, { "logouts", st.logouts },
		{ "duplicates", st.duplicates }, { "gaps", st.gaps }, { "refused", st.refused },
		{ "pushes", st.pushes }, { "deltas", st.deltas },
		{ "push_failures", st.push_failures }, { "lookups", st.lookups },
		{ "kicks", st.kicks }, { "unrecorded", st.unrecorded }, { "sessions", st.sessions },
		{ "enforced", enforced }, { "scan_records", st.scan_records },
		{ "scan_duplicates", st.scan_duplicates }, { "capped", st.isolations_capped },
		{ "spared", st.isolations_spared }, { "isolated_vms", st.isolated_vms },
		{ "isolated_sessions", st.isolated_sessions }, { "alarms", st.alarms },
		{ "leases", st.leases }, { "collisions", idfw_collisions_count(r->w.e) } };

	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, r->words[1]) != 0)
			continue;
		snprintf(text, sizeof(text), "%s is %llu", rows[i].name,
			(unsigned long long)rows[i].value);
		return rows[i].value == replay_number(r->words[2]) || replay_fail(r, text);
	}
	return replay_fail(r, "no such number");
}

static const struct {
	const char *name;
	int words; /* at least, with the name */
	bool (*run)(struct run *r);
} steps[] = {
	{ "up", 2, replay_up },
	{ "hello", 3, replay_hello },
	{ "connect", 3, replay_connect },
	{ "down", 2, do_down },
	{ "marks", 2, replay_marks },
	{ "open", 6, replay_open },
	{ "close", 4, replay_close },
	{ "address", 4, replay_address },
	{ "snapshot", 3, replay_snapshot },
	{ "found", 2, do_found },
	{ "notfound", 2, do_notfound },
	{ "unavailable", 2, do_unavailable },
	{ "changed", 2, do_changed },
	{ "directory", 2, do_directory },
	{ "collision", 4, do_collision },
	{ "acks", 2, do_acks },
	{ "ack", 3, do_ack },
	{ "durable", 3, do_durable },
	{ "store", 2, do_store },
	{ "pushes", 2, do_pushes },
	{ "lookups", 2, do_lookups },
	{ "kick", 2, do_kick },
	{ "scan", 4, replay_scan },
	{ "scanned", 2, replay_scanned },
	{ "scanhello", 2, replay_scanhello },
	{ "isolate", 2, replay_isolate },
	{ "isolate!", 2, replay_not_isolate },
	{ "release", 2, replay_isolate },
	{ "release!", 2, replay_not_isolate },
	{ "limits", 2, replay_limits },
	{ "alarm", 4, replay_alarm },
	{ "opens", 7, replay_opens },
	{ "short", 8, replay_short },
	{ "wrap", 3, replay_wrap },
	{ "restart", 1, do_restart },
	{ "pass", 2, do_pass },
	{ "lapse", 3, do_lapse },
	{ "clock", 2, do_clock },
	{ "flow", 5, do_flow },
	{ "expect", 2, do_expect },
	{ "none", 2, do_none },
	{ "forget", 1, do_forget },
	{ "alive", 3, do_alive },
	{ "cut", 3, do_cut },
	{ "member", 4, do_member },
	{ "nomember", 4, do_nomember },
	{ "stat", 3, do_stat },
};

/* words of a line, in place */
static int words(char *line, char *out[WORDS_MAX])
{
	int n = 0;

	for (char *p = line; *p && n < WORDS_MAX;) {
		p += strspn(p, " \t\n");
		if (!*p || *p == '#')
			break;
		if (*p == '"' || *p == '\'') {
			const char quote[2] = { *p, '\0' };

			out[n++] = ++p;
			p += strcspn(p, quote);
		} else {
			out[n++] = p;
			p += strcspn(p, " \t\n");
		}
		if (*p)
			*p++ = '\0';
	}
	return n;
}

static bool step(struct run *r)
{
	const char *wrong;

	for (size_t i = 0; i < GI_ARRAY_SIZE(steps); i++) {
		if (strcmp(steps[i].name, r->words[0]) != 0)
			continue;
		if (r->n < steps[i].words)
			return replay_fail(r, "words are missing");
		idfw_engine_clock(r->w.e, r->w.mono_ms, r->w.real_ms);
		seed_step(r);
		if (!steps[i].run(r))
			return false;
		if (!strcmp(r->words[0], "acks") || !strcmp(r->words[r->n - 1], "full") ||
			!strcmp(r->words[r->n - 1], "ok"))
			seed_op(r, FUZZ_FLAGS, flags(r), "", 0);
		r->given++;
		wrong = world_settle(&r->w);
		return !wrong || replay_fail(r, wrong);
	}
	return replay_fail(r, "no such step");
}

static bool policy(struct run *r, FILE *f)
{
	struct gi_buf text;
	char line[1024];
	const char *wrong;
	int err;

	gi_buf_init(&text, 1 << 16);
	while (fgets(line, sizeof(line), f) && strcmp(line, "end\n") != 0) {
		gi_buf_printf(&text, "%s", line);
		r->line++;
	}
	r->line++;
	idfw_engine_clock(r->w.e, r->w.mono_ms, r->w.real_ms);
	if (r->w.generation)
		seed_op(r, FUZZ_POLICY, (uint8_t)r->w.generation, "", 0);
	err = world_policy(&r->w, gi_buf_str(&text));
	gi_buf_fini(&text);
	if (err < 0)
		return replay_fail(r, gi_strerror(err));
	wrong = world_settle(&r->w);
	return !wrong || replay_fail(r, wrong);
}

static FILE *seed_open(const char *dir, const char *path)
{
	const char *base = strrchr(path, '/');
	char name[512];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", dir, base ? base + 1 : path);
	if (strlen(name) > 4 && !strcmp(name + strlen(name) - 4, ".scn"))
		name[strlen(name) - 4] = '\0';
	f = fopen(name, "wb");
	if (!f) {
		perror(name);
		exit(2);
	}
	return f;
}

static bool run_file(const char *path, const char *seeds)
{
	struct run r = { .file = path, .seed = seeds ? seed_open(seeds, path) : NULL };
	char line[1024];
	bool ok = true;
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return false;
	}
	world_init(&r.w);
	r.w.heard = r.seed ? heard : NULL;
	r.w.heard_arg = &r;
	while (ok && fgets(line, sizeof(line), f)) {
		r.line++;
		r.n = words(line, r.words);
		if (r.n)
			ok = !strcmp(r.words[0], "policy") ? policy(&r, f) : step(&r);
	}
	fclose(f);
	if (r.seed)
		fclose(r.seed);
	world_fini(&r.w);
	if (ok && r.given < 3) {
		fprintf(stderr, "%s: nothing was done\n", path);
		ok = false;
	}
	printf("%s %s\n", ok ? "ok  " : "FAIL", path);
	return ok;
}

int main(int argc, char **argv)
{
	const char *seeds = argc > 2 && !strcmp(argv[1], "-w") ? argv[2] : NULL;
	bool ok = argc > 1;

	gi_log_init("replay", getenv("REPLAY_LOG") ? GI_LOG_DEBUG : 0);
	for (int i = seeds ? 3 : 1; i < argc; i++)
		ok = run_file(argv[i], seeds) && ok;
	return ok ? 0 : 1;
}
