/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * queryact.c - control requests that are done at once: policy, render, kick, isolate, release
 *
 * Runs in svm-idfw's loop. Each begin() does its work and leaves a row (q->first), text (q->text),
 * or a status with words. Who asked (q->by) goes into the audit trail. Source: docs/control.md.
 */
#include "svm-idfw/query_int.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "svm-idfw/queryrow.h"

/* ---- policy ---- */

void query_show_begin(struct query *q)
{
	const struct pol_policy *p;
	uint64_t generation = 0, stored = 0, time_ms = 0;
	bool json = q->n_args && strcmp(q->args[0], "json") == 0;
	char *text = NULL, *by = NULL;
	size_t len = 0;
	int err;

	p = idfw_engine_policy_now(q->env.engine, &generation);
	if (q->n_args && !json) {
		query_fail(q, 2, "policy-show: \"%.100s\" is not \"json\"", q->args[0]);
		return;
	}
	if (!p) {
		query_fail(q, 1, "no policy is in force");
		return;
	}
	err = idfw_store_policy_info(q->env.store, generation, &time_ms, &by);
	if (err == 0 && json)
		err = pol_to_json(p, &q->text);
	else if (err == 0)
		err = idfw_store_get_policy(q->env.store, &stored, &text, &len);
	if (err == 0 && text)
		gi_buf_append(&q->text, text, len);
	if (err == 0)
		err = gi_buf_error(&q->text);
	if (err < 0)
		query_fail(q, 1, "the running policy cannot be read: %s", gi_strerror(err));
	else
		q->first = json_pack("{s:I,s:I,s:s}", "generation", (json_int_t)generation,
			"committed_ms", (json_int_t)time_ms, "by", by);
	free(text);
	free(by);
}

void query_check_begin(struct query *q)
{
	struct pol_policy *p = NULL;
	struct conf_diags diags;
	struct gi_buf source = q->text;
	int err;

	gi_buf_init(&q->text, QUERY_TEXT_MAX);
	conf_diags_init(&diags, "policy", gi_buf_str(&source), source.len);
	err = pol_parse(gi_buf_str(&source), source.len, &diags, &p);
	if (err == 0 && q->env.ops->domains &&
		pol_domains_check(p, q->env.ops->domains(q->env.arg), &diags))
		err = -GI_ESYNTAX;
	conf_diags_render(&diags, &q->text);
	if (err < 0)
		query_fail(q, 1, "the policy has errors");
	conf_diags_fini(&diags);
	pol_free(p);
	gi_buf_fini(&source);
}

void query_commit_begin(struct query *q)
{
	struct gi_buf source = q->text;
	uint64_t generation = 0;
	int err;

	gi_buf_init(&q->text, QUERY_TEXT_MAX);
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	err = q->env.ops->policy_commit(
		q->env.arg, gi_buf_str(&source), source.len, q->by, &q->text, &generation);
	if (err == 0)
		q->first = json_pack("{s:I}", "generation", (json_int_t)generation);
	else if (err == -GI_ESYNTAX)
		query_fail(q, 1, "the policy has errors; the running one stays");
	else
		query_fail(q, 1, "the policy was not taken, the running one stays: %s",
			gi_strerror(err));
	gi_buf_fini(&source);
}

/* ---- render, kick ---- */

void query_render_begin(struct query *q)
{
	struct idfw_vm *vm = idfw_engine_vm(q->env.engine, q->args[0]);
	struct gi_buf commit;
	int err;

	if (!vm) {
		query_fail(q, 4, "no VM \"%.100s\"", q->args[0]);
		return;
	}
	if (!vm->want || !fw_state_ruleset(vm->want)) {
		query_fail(q, 1, "%.100s has no ruleset yet", vm->name);
		return;
	}
	gi_buf_init(&commit, QUERY_TEXT_MAX);
	err = fw_render(vm->want, &q->text, &commit);
	if (err == 0) {
		gi_buf_append(&q->text, gi_buf_str(&commit), commit.len);
		err = gi_buf_error(&q->text);
	}
	gi_buf_fini(&commit);
	if (err < 0) {
		gi_buf_reset(&q->text);
		query_fail(q, 1, "the ruleset of %.100s cannot be rendered: %s", vm->name,
			gi_strerror(err));
	}
}

static bool session_argument(struct query *q, uint64_t *ret)
{
	if (gi_text_u64(q->args[0], 1, INT64_MAX, ret) == 0)
		return true;
	query_fail(q, 2, "\"%.100s\" is not the number of a session (see who)", q->args[0]);
	return false;
}

static const struct idfw_session *kick_find(struct query *q, uint64_t db_id)
{
	struct idfw_vm *vm, *next;
	struct idfw_session *s;

	HASH_ITER (hh, idfw_engine_vms(q->env.engine), vm, next)
		for (s = vm->sessions; s; s = s->v_next)
			if (s->db_id == db_id)
				return s;
	return NULL;
}

/* without cgroups the kernel sees the uid: what its other sessions there allow goes on */
static json_int_t kick_others(const struct idfw_session *s)
{
	json_int_t n = 0;

	for (const struct idfw_session *o = s->vm->sessions; o; o = o->v_next)
		n += o != s && s->subject && o->subject == s->subject && o->counted;
	return n;
}

void query_kick_begin(struct query *q)
{
	const struct idfw_session *s;
	uint64_t id;
	int err;

	if (!session_argument(q, &id))
		return;
	s = kick_find(q, id);
	if (!s) {
		query_fail(q, 4, "no live session %llu", (unsigned long long)id);
		return;
	}
	q->first = json_pack("{s:I,s:s,s:s,s:I}", "session", (json_int_t)id, "user", s->user, "vm",
		s->vm->name, "others", kick_others(s));
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	err = idfw_engine_kick(q->env.engine, id, q->by, q->n_args > 1 ? q->args[1] : "");
	if (err < 0) {
		json_decref(q->first);
		q->first = NULL;
		query_fail(q, err == -GI_ENOTFOUND ? 4 : 1, "session %llu: %s",
			(unsigned long long)id, gi_strerror(err));
	}
}

/* ---- isolate, release ---- */

static const char *isolate_why(int err)
{
	switch (err) {
	case -EEXIST:
		return "has lost its network already";
	case -EPERM:
		return "is in never-isolate (svm-idfw.conf)";
	case -GI_ESTATE:
		return "is a system user's: it has no access by identity that could be taken; "
		       "isolate "
		       "the VM";
	default:
		return gi_strerror(err);
	}
}

void query_isolate_begin(struct query *q)
{
	const char *why = q->n_args > 1 ? q->args[1] : "";
	const struct idfw_isolation *i = NULL;
	bool vm = strncmp(q->args[0], "vm=", 3) == 0;
	uint64_t id = 0;
	int err;

	if (!vm && !session_argument(q, &id))
		return;
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	err = vm ? idfw_engine_isolate_vm(q->env.engine, q->args[0] + 3, q->by, why, &i)
		 : idfw_engine_isolate_session(q->env.engine, id, q->by, why, &i);
	if (err == 0)
		q->first = query_row_isolation(i);
	else if (err == -GI_ENOTFOUND)
		query_fail(q, 4, vm ? "no VM \"%.100s\"" : "no live session %.100s",
			q->args[0] + (vm ? 3 : 0));
	else
		query_fail(q, 1, "%s %.100s %s", vm ? "VM" : "session", q->args[0] + (vm ? 3 : 0),
			isolate_why(err));
}

void query_explain_begin(struct query *q)
{
	struct idfw_session *s;
	uint64_t id = 0;

	if (!session_argument(q, &id))
		return;
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	s = idfw_engine_session(q->env.engine, id);
	if (s)
		q->first = query_row_explain(&q->env, s);
	else
		query_fail(q, 4, "no live session %.100s", q->args[0]);
}

void query_release_begin(struct query *q)
{
	bool whole = strncmp(q->args[0], "vm=", 3) == 0;
	const struct idfw_isolation *i = NULL;
	const struct idfw_vm *vm;
	uint64_t id = 0;
	int err;

	if (!whole && !session_argument(q, &id))
		return;
	vm = whole ? idfw_engine_vm(q->env.engine, q->args[0] + 3) : NULL;
	i = whole ? vm ? vm->isolation : NULL : idfw_engine_isolation_of(q->env.engine, id);
	if (!i) {
		query_fail(q, 4,
			whole ? "VM %.100s is not isolated"
			      : "session %.100s is not isolated; \"status\" shows what is",
			q->args[0] + (whole ? 3 : 0));
		return;
	}
	q->first = query_row_isolation(i);
	if (q->env.ops->round)
		q->env.ops->round(q->env.arg);
	err = idfw_engine_release(q->env.engine, i, q->by, q->n_args > 1 ? q->args[1] : "");
	if (err == 0)
		return;
	json_decref(q->first);
	q->first = NULL;
	query_fail(q, 1, "not released, since the database takes no records now: %s",
		gi_strerror(err));
}
