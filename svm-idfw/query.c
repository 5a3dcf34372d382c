/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query.c - one control request, answered piece by piece
 *
 * Runs in svm-idfw's loop, one per idfwctl client. A verb is a row of the table: how many
 * arguments, what begins it, what gives the next rows. Invariants: nothing points into the engine
 * between two steps; sessions of a VM come in falling order of their number, which is how the
 * engine's list is (new ones at its head), so the last number given is where to go on. Source:
 * docs/control.md.
 */
#include "svm-idfw/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"
#include "svm-idfw/query_int.h"
#include "svm-idfw/queryrow.h"

static void query_clean(char *text);
static enum query_progress query_text_step(struct query *q, const struct query_out *out);
static void query_vms(struct query *q);
static void status_begin(struct query *q);
static enum query_progress status_step(struct query *q, const struct query_out *out);
static void who_begin(struct query *q);
static enum query_progress who_step(struct query *q, const struct query_out *out);
static void rows_begin(struct query *q);
static void fim_begin(struct query *q);
static enum query_progress last_step(struct query *q, const struct query_out *out);
static enum query_progress audit_step(struct query *q, const struct query_out *out);

static const struct query_verb verbs[] = {
	{ "status", 0, 0, false, status_begin, status_step },
	{ "who", 0, 1, false, who_begin, who_step },
	{ "last", 0, 5, false, rows_begin, last_step },
	{ "audit", 0, 6, false, rows_begin, audit_step },
	{ "policy-show", 0, 1, false, query_show_begin, query_text_step },
	{ "policy-check", 0, 0, true, query_check_begin, query_text_step },
	{ "policy-commit", 0, 0, true, query_commit_begin, query_text_step },
	{ "render", 1, 1, false, query_render_begin, query_text_step },
	{ "kick", 1, 2, false, query_kick_begin, query_text_step },
	{ "isolate", 1, 2, false, query_isolate_begin, query_text_step },
	{ "explain", 1, 1, false, query_explain_begin, query_text_step },
	{ "release", 1, 2, false, query_release_begin, query_text_step },
	{ "fim", 0, 7, false, fim_begin, audit_step },
	{ "dir-status", 0, 0, false, query_dir_status_begin, query_dir_step },
	{ "dir-lookup", 1, 3, false, query_dir_lookup_begin, query_dir_step },
	{ "dir-groups", 0, 2, false, query_dir_groups_begin, query_dir_step },
	{ "dir-sync", 0, 2, false, query_dir_sync_begin, query_dir_step },
	{ "dir-collisions", 0, 0, false, query_collisions_begin, query_collisions_step },
};

int query_new(const struct query_env *env, const Idfw__CtlRequest *r, const char *data, size_t len,
	const char *by, struct query **ret)
{
	struct query *q = calloc(1, sizeof(*q));
	size_t i;

	if (!q)
		return -ENOMEM;
	q->env = *env;
	gi_buf_init(&q->text, QUERY_TEXT_MAX);
	q->by = strdup(by);
	q->args = calloc(r->n_arg + 1, sizeof(*q->args));
	for (i = 0; q->args && i < r->n_arg; i++) {
		q->args[i] = strdup(r->arg[i]);
		if (!q->args[i])
			break;
		q->n_args++;
	}
	/* policy text: the verb's begin takes it away */
	gi_buf_append(&q->text, data, len);
	if (!q->by || !q->args || q->n_args != r->n_arg || gi_buf_error(&q->text) < 0) {
		query_free(q);
		return -ENOMEM;
	}
	for (i = 0; i < GI_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, r->verb) == 0)
			q->verb = &verbs[i];
	if (!q->verb)
		query_fail(q, 2, "unknown request \"%.40s\"", r->verb);
	else if (r->n_arg < q->verb->min_args || r->n_arg > q->verb->max_args)
		query_fail(q, 2, "%s: wrong number of arguments", q->verb->name);
	else if (len && !q->verb->takes_data)
		query_fail(q, 2, "%s takes no data", q->verb->name);
	else
		q->verb->begin(q);
	if (q->status == 2)
		gi_buf_reset(&q->text);
	q->ended = q->status != 0 && q->text.len == 0 && !q->dir;
	*ret = q;
	return 0;
}

void query_free(struct query *q)
{
	size_t i;

	if (!q)
		return;
	for (i = 0; i < q->n_args; i++)
		free(q->args[i]);
	for (i = 0; i < q->n_vms; i++)
		free(q->vms[i]);
	free(q->vms);
	free(q->args);
	free(q->by);
	json_decref(q->first);
	query_dir_free(q->dir);
	gi_buf_fini(&q->text);
	free(q);
}

bool query_step(struct query *q, const struct query_out *out)
{
	enum query_progress p = q->ended ? Q_DONE : q->verb->step(q, out);

	q->waits = p == Q_WAIT;
	return p == Q_DONE;
}

bool query_waits(const struct query *q)
{
	return q->waits;
}

void query_on_wake(struct query *q, void (*wake)(void *arg), void *arg)
{
	q->wake = wake;
	q->wake_arg = arg;
}

uint32_t query_status(const struct query *q)
{
	return q->status;
}

const char *query_why(const struct query *q)
{
	return q->why;
}

/* ---- tools ---- */

void query_fail(struct query *q, uint32_t status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(q->why, sizeof(q->why), fmt, ap);
	va_end(ap);
	query_clean(q->why);
	q->status = status;
}

/* a text that was cut may end within a character, and no message can carry that */
static void query_clean(char *text)
{
	size_t n, left;
	uint32_t cp = 0;

	for (left = strlen(text); left; text += n, left -= n) {
		n = gi_text_utf8(text, left, &cp);
		if (n && !gi_text_is_control(cp))
			continue;
		*text = '?';
		n = 1;
	}
}

/* takes @row, also NULL (no memory: said at the end); is there room for more? */
bool query_emit(struct query *q, const struct query_out *out, json_t *row)
{
	char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
	bool room = true;

	json_decref(row);
	if (text) {
		q->rows++;
		room = out->row(out->arg, text);
	} else {
		query_fail(q, 1, "some rows are missing: out of memory");
	}
	free(text);
	return room;
}

/* q->first, then q->text in pieces */
static enum query_progress query_text_step(struct query *q, const struct query_out *out)
{
	bool room = true;

	if (q->first) {
		room = query_emit(q, out, q->first);
		q->first = NULL;
	}
	while (room && q->text_at < q->text.len) {
		size_t n = q->text.len - q->text_at;

		n = n > QUERY_PIECE ? QUERY_PIECE : n;
		room = out->text(out->arg, q->text.data + q->text_at, n);
		q->text_at += n;
	}
	return q->text_at < q->text.len ? Q_MORE : Q_DONE;
}

/* the names of all VMs, sorted */
static int query_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void query_vms(struct query *q)
{
	struct idfw_vm *vm, *next, *head = idfw_engine_vms(q->env.engine);

	q->vms = calloc(HASH_COUNT(head) + 1, sizeof(*q->vms));
	HASH_ITER (hh, head, vm, next) {
		if (q->vms)
			q->vms[q->n_vms] = strdup(vm->name);
		if (!q->vms || !q->vms[q->n_vms]) {
			query_fail(q, 1, "out of memory");
			return;
		}
		q->n_vms++;
	}
	qsort(q->vms, q->n_vms, sizeof(*q->vms), query_by_name);
}

/* ---- status ---- */

struct status_links {
	const struct query_out *out;
	struct query *q;
	bool room;
};

static void status_link(void *arg, const char *json)
{
	struct status_links *s = arg;

	s->q->rows++;
	s->room &= s->out->row(s->out->arg, json);
}

static void status_begin(struct query *q)
{
	query_vms(q);
}

static enum query_progress status_step(struct query *q, const struct query_out *out)
{
	struct status_links links = { .out = out, .q = q, .room = true };
	const struct idfw_isolation *i;
	struct idfw_vm *vm;
	bool ok;

	if (!q->head_done) {
		q->head_done = true;
		links.room = query_emit(q, out, query_row_svm(&q->env, &ok));
		if (!ok)
			query_fail(q, 1, "not all is well");
		q->env.ops->links(q->env.arg, status_link, &links);
	}
	while (links.room && q->vm_at < q->n_vms) {
		vm = idfw_engine_vm(q->env.engine, q->vms[q->vm_at++]);
		if (vm)
			links.room = query_emit(q, out, query_row_vm(vm));
		/* few: bounded a VM, and made by hand or within isolate-max */
		for (i = vm ? vm->isolations : NULL; i; i = i->next)
			links.room &= query_emit(q, out, query_row_isolation(i));
	}
	return q->vm_at < q->n_vms ? Q_MORE : Q_DONE;
}

/* ---- who ---- */

static void who_begin(struct query *q)
{
	if (q->n_args && gi_addr_parse(q->args[0], &q->addr) < 0)
		q->addr.family = 0;
	query_vms(q);
}

static bool who_vm_has(const struct idfw_vm *vm, const struct gi_addr *a)
{
	size_t i;

	for (i = 0; i < vm->n_addrs; i++)
		if (gi_addr_cmp(&vm->addrs[i], a) == 0)
			return true;
	return false;
}

static bool who_matches(const struct query *q, const struct idfw_session *s)
{
	const char *what = q->n_args ? q->args[0] : "";

	if (what[0] == '\0')
		return true;
	if (q->addr.family)
		return gi_addr_cmp(&s->peer, &q->addr) == 0 || who_vm_has(s->vm, &q->addr);
	if (strcmp(s->vm->name, what) == 0 || strcasecmp(s->user, what) == 0)
		return true;
	return s->principal && (strcasecmp(s->principal->name, what) == 0 ||
				       strcasecmp(s->principal->upn, what) == 0);
}

static enum query_progress who_step(struct query *q, const struct query_out *out)
{
	bool room = true;

	while (room && q->vm_at < q->n_vms) {
		struct idfw_vm *vm = idfw_engine_vm(q->env.engine, q->vms[q->vm_at]);
		struct idfw_session *s = vm ? vm->sessions : NULL;

		for (; s && room; s = s->v_next) {
			if ((q->last_id && s->db_id >= q->last_id) || !who_matches(q, s))
				continue;
			q->last_id = s->db_id;
			room = query_emit(q, out, query_row_session(&q->env, s));
		}
		if (!s) {
			q->vm_at++;
			q->last_id = 0;
		}
	}
	if (q->vm_at < q->n_vms)
		return Q_MORE;
	if (q->rows == 0)
		query_fail(q, 1, "no live session%s%.200s", q->n_args ? " of " : "",
			q->n_args ? q->args[0] : "");
	return Q_DONE;
}

/* ---- last, audit ---- */

static bool rows_argument(struct query *q, const char *arg)
{
	static const char *const names[] = { "since=", "until=", "limit=" };
	uint64_t *const to[] = { &q->filter.since_ms, &q->filter.until_ms, &q->left };
	size_t i, n;

	bool audit = strcmp(q->verb->name, "audit") == 0, fim = strcmp(q->verb->name, "fim") == 0;
	const struct {
		const char *name;
		const char **to;
		bool known;
	} texts[] = { { "user=", &q->filter.user, true }, { "vm=", &q->filter.vm, true },
		{ "kind=", &q->filter.kind, audit }, { "path=", &q->filter.path, fim },
		{ "rule=", &q->filter.rule, fim } };

	for (i = 0; i < GI_ARRAY_SIZE(texts); i++) {
		n = strlen(texts[i].name);
		if (!texts[i].known || strncmp(arg, texts[i].name, n) != 0)
			continue;
		*texts[i].to = arg + n; /* the argument lives as long as the query */
		return true;
	}
	for (i = 0; i < GI_ARRAY_SIZE(names); i++) {
		n = strlen(names[i]);
		if (strncmp(arg, names[i], n) == 0)
			return gi_text_u64(
				       arg + n, 0, i == 2 ? QUERY_ROWS_MAX : INT64_MAX, to[i]) == 0;
	}
	return false;
}

static void rows_begin(struct query *q)
{
	size_t i;

	q->left = 1000;
	q->filter.user = q->filter.vm = "";
	q->filter.with_live = true;
	for (i = 0; i < q->n_args; i++) {
		if (rows_argument(q, q->args[i]))
			continue;
		query_fail(q, 2,
			"%s: \"%.100s\" is none of user=U, vm=V, since=MS, until=MS, "
			"limit=N (up to %d)%s",
			q->verb->name, q->args[i], QUERY_ROWS_MAX,
			strcmp(q->verb->name, "fim") == 0     ? ", path=PREFIX, rule=R"
			: strcmp(q->verb->name, "audit") == 0 ? ", kind=K"
							      : "");
		return;
	}
}

static void fim_begin(struct query *q)
{
	rows_begin(q);
	q->filter.kind = "fim";
}

static int rows_row(void *arg, const char *json)
{
	struct query *q = arg;

	q->rows++;
	q->left--;
	q->room = q->out->row(q->out->arg, json);
	return !q->room;
}

static enum query_progress rows_step(struct query *q, const struct query_out *out,
	int (*list)(struct idfw_store *, struct idfw_store_filter *, int (*)(void *, const char *),
		void *))
{
	uint64_t before = q->rows;
	int err;

	q->out = out;
	q->room = true;
	q->filter.limit = q->left > 200 ? 200 : q->left;
	err = q->left ? list(q->env.store, &q->filter, rows_row, q) : 0;
	if (err < 0)
		query_fail(q, 1, "the database cannot be read: %s", gi_strerror(err));
	else if (q->left && q->rows != before)
		return Q_MORE;
	else if (q->rows == 0)
		query_fail(q, 1, "no such record");
	return Q_DONE;
}

static enum query_progress last_step(struct query *q, const struct query_out *out)
{
	return rows_step(q, out, idfw_store_sessions);
}

static enum query_progress audit_step(struct query *q, const struct query_out *out)
{
	return rows_step(q, out, idfw_store_audit);
}
