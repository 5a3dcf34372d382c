/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * queryrow.c - the engine's structs as rows of docs/control.md
 *
 * Runs in svm-idfw's loop. Pure reading of the engine; no descriptor, no state of its own.
 */
#include "config.h"
#include "svm-idfw/queryrow.h"

#include "lib/io/loop.h"
#include "svm-idfw/collide.h"

#define ROW_GROUPS_MAX 512 /* of one session; a row must fit a frame */

static json_t *row_time(uint64_t ms)
{
	return ms ? json_integer((json_int_t)ms) : json_null();
}

static json_t *row_text(const char *s)
{
	return json_string(s ? s : "");
}

static bool row_all_in_sync(const struct query_env *env)
{
	struct idfw_vm *vm, *next;

	HASH_ITER (hh, idfw_engine_vms(env->engine), vm, next)
		if (vm->n_alarms || (vm->connected && (!query_vm_in_sync(vm) || vm->last_error[0])))
			return false;
	return true;
}

static json_t *row_directories(const struct idfw_engine *e)
{
	static const char *const words[] = {
		[IDFW_DIR_UNKNOWN] = "unknown", [IDFW_DIR_UP] = "up", [IDFW_DIR_DOWN] = "down"
	};
	json_t *list = json_array();
	size_t n;
	const struct idfw_directory *d = idfw_engine_directories(e, &n);

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:o}", "directory", d[i].label, "state",
				      words[d[i].state], "why", d[i].why, "since_ms",
				      row_time(d[i].since_ms)));
	return list;
}

/* takes @row; how sure it is what live accounts may do */
static json_t *row_ages(const struct query_env *env, json_t *row, bool *ok)
{
	struct idfw_ages a;
	json_t *more;

	idfw_engine_ages(env->engine, &a);
	*ok = *ok && !a.old;
	more = json_pack("{s:b,s:o,s:I,s:I,s:I,s:I}", "ok", (int)*ok, "directory_as_of_ms",
		row_time(a.as_of_ms), "accounts_unconfirmed", (json_int_t)a.unconfirmed,
		"accounts_oldest_ms", (json_int_t)a.oldest_ms, "accounts_old", (json_int_t)a.old,
		"accounts_revoked", (json_int_t)a.revoked);
	if (row && more)
		(void)json_object_update(row, more);
	json_decref(more);
	return row;
}

json_t *query_row_svm(const struct query_env *env, bool *ret_ok)
{
	struct idfw_store_stats st;
	struct idfw_stats s;
	json_t *row;
	uint64_t generation = 0, now = io_clock_real_ms();
	bool policy = idfw_engine_policy_now(env->engine, &generation) != NULL;

	idfw_engine_stats(env->engine, &s);
	idfw_store_stats(env->store, &st);
	*ret_ok = policy && s.directory_up && st.err == 0 && row_all_in_sync(env);
	row = json_pack(
		"{s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,"
		"s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:I}",
		"type", "svm", "ok", (int)*ret_ok, "software", "svm-idfw " PACKAGE_VERSION,
		"generation", (json_int_t)generation, "started_ms", (json_int_t)env->started_ms,
		"uptime_ms", (json_int_t)(now > env->started_ms ? now - env->started_ms : 0),
		"sessions", (json_int_t)s.sessions, "principals", (json_int_t)s.principals, "vms",
		(json_int_t)s.vms, "vms_connected", (json_int_t)s.vms_connected, "directory",
		s.directory_up	   ? "up"
		: s.directory_some ? "partly"
				   : "down",
		"directory_why", s.directory_why, "store", st.err ? st.why : "ok", "store_queued",
		(json_int_t)st.queued, "store_records", (json_int_t)st.records, "logins",
		(json_int_t)s.logins, "logouts", (json_int_t)s.logouts, "deltas",
		(json_int_t)s.deltas, "pushes", (json_int_t)s.pushes, "push_failures",
		(json_int_t)s.push_failures, "refused", (json_int_t)s.refused, "duplicates",
		(json_int_t)s.duplicates, "gaps", (json_int_t)s.gaps, "unrecorded",
		(json_int_t)s.unrecorded, "isolated_sessions", (json_int_t)s.isolated_sessions,
		"isolated_vms", (json_int_t)s.isolated_vms, "isolations_capped",
		(json_int_t)s.isolations_capped, "isolations_spared",
		(json_int_t)s.isolations_spared, "scan_records", (json_int_t)s.scan_records,
		"scan_duplicates", (json_int_t)s.scan_duplicates, "alarms", (json_int_t)s.alarms,
		"leases", (json_int_t)s.leases, "directories", row_directories(env->engine),
		"collisions", (json_int_t)idfw_collisions_count(env->engine));
	return row_ages(env, row, ret_ok);
}

static json_t *row_alarms(const struct idfw_vm *vm)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vm->n_alarms; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s,s:s,s:I,s:I}", "alarm",
				      idfw_alarm_word(&vm->alarms[i]), "text", vm->alarms[i].text,
				      "since_ms", (json_int_t)vm->alarms[i].since_ms, "count",
				      (json_int_t)vm->alarms[i].count));
	return list;
}

static json_t *row_limits(const struct idfw_vm *vm)
{
	return json_pack("{s:I,s:I,s:b,s:b}", "sessions", (json_int_t)vm->sessions_max, "events",
		(json_int_t)vm->events_max, "own_sessions", (int)vm->own_sessions_max, "own_events",
		(int)vm->own_events_max);
}

json_t *query_row_vm(const struct idfw_vm *vm)
{
	json_t *addrs = json_array();
	char text[GI_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < vm->n_addrs; i++)
		(void)json_array_append_new(
			addrs, json_string(gi_addr_format(&vm->addrs[i], text)));
	return json_pack(
		"{s:s,s:s,s:b,s:o,s:o,s:o,s:I,s:o,s:I,s:I,s:I,s:I,s:o,s:s,s:o,s:b,s:o,s:s}", "type",
		"vm", "vm", vm->name, "connected", (int)vm->connected, "mux", row_text(vm->mux),
		"transport", row_text(vm->transport), "connected_ms", row_time(vm->connected_ms),
		"sessions", (json_int_t)vm->n_sessions, "addresses", addrs, "want_generation",
		(json_int_t)vm->want_generation, "want_version", (json_int_t)vm->want_version,
		"have_generation", (json_int_t)vm->have_generation, "have_version",
		(json_int_t)vm->have_version, "in_sync",
		vm->connected ? json_boolean(query_vm_in_sync(vm)) : json_null(), "error",
		vm->last_error, "limits", row_limits(vm), "isolated", vm->isolation != NULL,
		"alarms", row_alarms(vm), "directory", vm->directory);
}

bool query_vm_in_sync(const struct idfw_vm *vm)
{
	return vm->want_generation == vm->have_generation && vm->want_version == vm->have_version;
}

static const char *row_directory(const struct idfw_session *s)
{
	static const char *const words[] = { [IDFW_P_PENDING] = "pending",
		[IDFW_P_FOUND] = "found",
		[IDFW_P_NOT_FOUND] = "not-found",
		[IDFW_P_UNAVAILABLE] = "unavailable" };

	if (s->is_unit)
		return "service";
	return s->principal ? words[s->principal->presence] : s->parent ? "nested" : "system";
}

static json_t *row_groups(const struct query_env *env, const struct idfw_session *s)
{
	const struct pol_policy *p = idfw_engine_policy_now(env->engine, NULL);
	json_t *list = json_array();
	size_t i, n = p && s->principal ? pol_group_count(p) : 0;

	for (i = 0; i < n; i++) {
		const char *name = pol_group_name(p, i);

		/* "_1": written in place in a rule, nobody knows it by that name */
		if (!pol_set_has(&s->principal->member_of, i) || name[0] == '_')
			continue;
		if (json_array_size(list) == ROW_GROUPS_MAX) {
			(void)json_array_append_new(list, json_string("..."));
			break;
		}
		(void)json_array_append_new(list, json_string(name));
	}
	return list;
}

/* what took its network: "session" (its uid), "vm"; null: it has it */
static json_t *row_isolated(const struct idfw_session *s)
{
	const struct idfw_isolation *i = idfw_session_isolation(s);

	return i ? json_string(i->whole_vm ? "vm" : "session") : json_null();
}

/* "parent": null: not nested; 0: opened in a session that is not known any more */
static json_t *row_parent(const struct query_env *env, const struct idfw_session *s)
{
	return s->parent ? json_integer((json_int_t)idfw_engine_parent_of(env->engine, s))
			 : json_null();
}

/* takes @row; what the directory said of the account, and when */
static json_t *row_account(const struct query_env *env, json_t *row, const struct idfw_session *s)
{
	uint64_t as_of = 0, age = 0;
	const struct idfw_principal *p = s->principal && !s->is_unit ? s->principal : NULL;
	char words[IDFW_ACCT_WHY_MAX] = "", why[IDFW_ACCT_WHY_MAX] = "";
	json_t *more;

	if (p) {
		(void)idfw_account_words(p->account.now, words);
		(void)idfw_account_why(p, why);
		as_of = idfw_engine_confirmed(env->engine, p, &age);
	}
	more = json_pack("{s:s,s:s,s:s,s:s,s:b,s:o,s:o,s:I}", "account_in", p ? p->directory : "",
		"account_sid", p ? p->sid : "", "account", words, "account_why", why,
		"account_revoked", p && idfw_account_cut(p), "expires_ms",
		row_time(p ? p->account.expires_ms : 0), "as_of_ms", row_time(as_of), "age_s",
		(json_int_t)age / 1000);
	if (row && more)
		(void)json_object_update(row, more);
	json_decref(more);
	return row;
}

json_t *query_row_session(const struct query_env *env, const struct idfw_session *s)
{
	char peer[GI_ADDR_STRLEN] = "";
	json_t *row;

	if (s->peer.family)
		(void)gi_addr_format(&s->peer, peer);
	row = json_pack("{s:I,s:s,s:o,s:s,s:I,s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:s,s:o,s:b,s:o,s:s,s:I,"
			"s:o,s:b,s:b,s:b}",
		"session", (json_int_t)s->db_id, "user", s->user, "name",
		row_text(s->principal ? s->principal->name : ""), "vm", s->vm->name, "uid",
		(json_int_t)s->uid, "service", s->service, "tty", s->tty, "rhost", s->rhost, "peer",
		peer, "opened_ms", (json_int_t)s->opened_ms, "seen_ms", (json_int_t)s->seen_ms,
		"enforced_ms", row_time(s->enforced_ms), "directory", row_directory(s), "groups",
		row_groups(env, s), "kicked", (int)s->kicked, "isolated", row_isolated(s), "kind",
		s->is_unit ? "service" : "login", "cgroup", (json_int_t)s->cgroup, "parent",
		row_parent(env, s), "found", (int)s->found, "lost",
		(int)idfw_session_lost(env->engine, s), "refused", (int)s->refused);
	return row_account(env, row, s);
}

/* why it has no access by identity; "" it may have */
static const char *row_closed(const struct idfw_session *s, char buf[IDFW_ACCT_WHY_MAX])
{
	const struct idfw_isolation *i = idfw_session_isolation(s);

	if (i)
		return i->whole_vm ? "its VM is isolated" : "it is isolated";
	if (s->kicked)
		return "it was kicked";
	if (s->refused)
		return "logins does not let this user in there";
	if (s->parent)
		return "";
	if (!s->principal)
		return "a system user";
	if (s->principal->presence == IDFW_P_FOUND && idfw_account_cut(s->principal))
		return idfw_account_why(s->principal, buf);
	return s->principal->presence == IDFW_P_PENDING	      ? "the directory is being asked"
	       : s->principal->presence == IDFW_P_NOT_FOUND   ? "the directory does not know it"
	       : s->principal->presence == IDFW_P_UNAVAILABLE ? "the directory does not answer"
							      : "";
}

#define ROW_OPENS_MAX 256 /* a row must fit a frame */
#define ROW_REASONS_OF 32 /* groups that they are told of: the row must fit */
#define ROW_REASONS_MAX 2
#define ROW_REASON_MAX 64 /* bytes */

/* ["directory CORP\eng", ...], the first few */
static json_t *row_reasons(const struct query_env *env, const struct idfw_session *s, size_t group)
{
	struct pol_reason by[ROW_REASONS_MAX];
	size_t n = idfw_engine_reasons(env->engine, s, group, by, ROW_REASONS_MAX);
	json_t *list = json_array();

	for (size_t i = 0; i < n && i < ROW_REASONS_MAX; i++)
		(void)json_array_append_new(
			list, strlen(by[i].text) > ROW_REASON_MAX
				      ? json_sprintf("%s (a long one)", by[i].kind)
				      : json_sprintf("%s %s", by[i].kind, by[i].text));
	if (n > ROW_REASONS_MAX)
		(void)json_array_append_new(list, json_string("..."));
	return list;
}

#define ROW_DRAINS_MAX 16

json_t *query_row_explain(const struct query_env *env, struct idfw_session *s)
{
	struct idfw_open opens[ROW_OPENS_MAX];
	uint64_t drains[ROW_DRAINS_MAX];
	size_t n = idfw_engine_opens(env->engine, s, opens, ROW_OPENS_MAX);
	size_t n_drains = idfw_engine_drains(env->engine, s, drains, ROW_DRAINS_MAX);
	json_t *list = json_array(), *until = json_array();
	char why[IDFW_ACCT_WHY_MAX];

	for (size_t i = 0; i < n && i < ROW_OPENS_MAX; i++)
		(void)json_array_append_new(list,
			json_pack("{s:s,s:I,s:I,s:o,s:b,s:b,s:b,s:o}", "group", opens[i].group,
				"lease_s", (json_int_t)opens[i].lease_s, "step",
				(json_int_t)opens[i].step, "ends_ms", row_time(opens[i].ends_ms),
				"ended", (int)opens[i].ended, "forbids", (int)opens[i].forbids,
				"lost", (int)opens[i].lost, "by",
				i < ROW_REASONS_OF ? row_reasons(env, s, opens[i].index)
						   : json_array()));
	for (size_t i = 0; i < n_drains && i < ROW_DRAINS_MAX; i++)
		(void)json_array_append_new(until, json_integer((json_int_t)drains[i]));
	return row_account(env,
		json_pack("{s:I,s:s,s:s,s:I,s:s,s:o,s:o,s:I,s:o}", "session", (json_int_t)s->db_id,
			"user", s->user, "vm", s->vm->name, "uid", (json_int_t)s->uid, "closed",
			row_closed(s, why), "beat_ms",
			row_time(idfw_engine_unrenewed(env->engine, s->vm)), "opens", list, "more",
			(json_int_t)(n > ROW_OPENS_MAX ? n - ROW_OPENS_MAX : 0), "drains_ms",
			until),
		s);
}

json_t *query_row_isolation(const struct idfw_isolation *i)
{
	json_int_t sessions = 0;

	for (const struct idfw_session *s = i->vm->sessions; s; s = s->v_next)
		sessions += i->whole_vm || (s->subject && idfw_isolation_hits(i, s));
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:I,s:I,s:b,s:b,s:s,s:s}", "type", "isolation",
		"vm", i->vm->name, "what", i->whole_vm ? "vm" : "session", "user", i->user, "uid",
		i->whole_vm ? json_null() : json_integer((json_int_t)i->uid), "session",
		i->session ? json_integer((json_int_t)i->session) : json_null(), "since_ms",
		(json_int_t)i->since_ms, "sessions", sessions, "automatic", (int)i->automatic,
		"recorded", (int)!i->unsaved, "by", i->by, "why", i->why);
}
