/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querygroups.c - control request dir-groups: groups of the directories, and what the policy names
 *
 * Runs in svm-idfw's loop. Each directory is read by a child of its own (dirquery.h), one after the
 * other: the child gets the policy's references to groups and sends what was asked for. With
 * `unused` each reference that no directory has is told at the end: only if all were read, as one
 * that was not may have it. The policy may be another one meanwhile: references are copies.
 * Source: docs/control.md, docs/directory.md.
 */
#include "svm-idfw/querydir.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "svm-idfw/dirreport.h"
#include "svm-idfw/sid.h"

#define GROUPS_PART_BYTES (40u << 10)
#define GROUPS_REFS_MAX 65536
#define GROUPS_SAID_MS 2000

struct group_ref {
	enum pol_dirref_kind kind;
	char *text;    /* owned */
	json_t *named; /* owned: names of policy groups */
	size_t bytes;  /* of them */
	bool found;
};

struct query_groups {
	enum _Idfw__DirQuery__Show show;
	const char *only; /* borrowed from the configuration; NULL: all directories */
	size_t at;	  /* the next directory */
	bool asked;	  /* this one has the question */
	bool missed;	  /* one was not read */
	uint64_t said_ms; /* the last row, monotonic */
	struct group_ref *refs;
	size_t n_refs, cap_refs;
};

static void groups_next(struct query_dir *d);
static void groups_ready(void *arg);
static void groups_result(void *arg, const Idfw__DirResult *r);
static void groups_report(void *arg, const Idfw__DirReport *r);
static void groups_failed(void *arg, const char *why);

void query_groups_free(struct query_groups *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_refs; i++) {
		free(g->refs[i].text);
		json_decref(g->refs[i].named);
	}
	free(g->refs);
	free(g);
}

/* ---- what the policy names ---- */

static struct group_ref *ref_new(struct query_groups *g, const struct pol_dirref *from)
{
	struct group_ref *r;

	if (g->n_refs == g->cap_refs) {
		size_t cap = g->cap_refs ? 2 * g->cap_refs : 64;
		struct group_ref *grown = reallocarray(g->refs, cap, sizeof(*grown));

		if (!grown)
			return NULL;
		g->refs = grown;
		g->cap_refs = cap;
	}
	r = &g->refs[g->n_refs];
	*r = (struct group_ref){
		.kind = from->kind, .text = strdup(from->text), .named = json_array()
	};
	if (!r->text || !r->named) {
		free(r->text);
		json_decref(r->named);
		return NULL;
	}
	g->n_refs++;
	return r;
}

static int refs_take(struct query_groups *g, const struct pol_policy *p)
{
	struct pol_dirref ref;
	struct group_ref *r = NULL;

	for (size_t at = 0; p && pol_dirref(p, &at, &ref);) {
		/* one that says nothing in UTF-8 is no group's, and cannot be sent */
		if (!gi_text_is_clean(ref.text, WIRE_DIR_REF_MAX) || !ref.text[0])
			continue;
		if (!r || r->kind != ref.kind || strcmp(r->text, ref.text) != 0) {
			if (g->n_refs == GROUPS_REFS_MAX)
				return -GI_ELIMIT;
			r = ref_new(g, &ref);
		}
		if (!r)
			return -ENOMEM;
		query_dir_name(r->named, pol_group_name(p, ref.group), &r->bytes);
	}
	return 0;
}

/* ---- asking ---- */

static bool show_argument(struct query *q, enum _Idfw__DirQuery__Show *ret)
{
	static const char *const words[] = { [IDFW__DIR_QUERY__SHOW__ALL] = "all",
		[IDFW__DIR_QUERY__SHOW__UNUSED] = "unused",
		[IDFW__DIR_QUERY__SHOW__NESTED] = "nested",
		[IDFW__DIR_QUERY__SHOW__CYCLES] = "cycles" };

	*ret = IDFW__DIR_QUERY__SHOW__ALL;
	for (size_t i = 0; q->n_args && i < GI_ARRAY_SIZE(words); i++) {
		*ret = (enum _Idfw__DirQuery__Show)i;
		if (strcmp(q->args[0], words[i]) == 0)
			return true;
	}
	if (q->n_args)
		query_fail(q, 2, "dir-groups: \"%.100s\" is none of all, unused, nested, cycles",
			q->args[0]);
	return !q->n_args;
}

void query_dir_groups_begin(struct query *q)
{
	enum _Idfw__DirQuery__Show show;
	struct query_dir *d;
	const char *only;
	int err;

	if (!show_argument(q, &show) || !query_dir_only(q, 1, &only))
		return;
	d = query_dir_of(q);
	if (!d)
		return;
	d->groups = calloc(1, sizeof(*d->groups));
	err = d->groups ? refs_take(d->groups, idfw_engine_policy_now(q->env.engine, NULL))
			: -ENOMEM;
	if (err < 0) {
		query_fail(q, 1, "the groups that the policy names cannot be listed: %s",
			gi_strerror(err));
		return;
	}
	d->groups->show = show;
	d->groups->only = only;
	groups_next(d);
}

static void put_missing(struct query_dir *d)
{
	static const char *const kinds[] = {
		[POL_DIRREF_NAME] = "name", [POL_DIRREF_DN] = "dn", [POL_DIRREF_SID] = "sid"
	};
	struct query_groups *g = d->groups;

	if (g->show != IDFW__DIR_QUERY__SHOW__UNUSED || g->missed)
		return;
	for (size_t i = 0; i < g->n_refs; i++)
		if (!g->refs[i].found)
			query_dir_row(d, json_pack("{s:s,s:s,s:s,s:O}", "type", "missing", "ref",
						 kinds[g->refs[i].kind], "name", g->refs[i].text,
						 "named", g->refs[i].named));
}

/* the next directory; behind the last one what none has */
static void groups_next(struct query_dir *d)
{
	static const struct dir_query_ops ops = { .ready = groups_ready,
		.result = groups_result,
		.report = groups_report,
		.failed = groups_failed };
	const struct query_env *env = &d->q->env;
	struct query_groups *g = d->groups;
	struct idfw_dir_place place;
	struct idfw_dir *dir;

	g->asked = false;
	while ((dir = env->ops->directory(env->arg, g->at)) != NULL) {
		g->at++;
		idfw_dir_place(dir, &place);
		if (g->only && strcmp(g->only, place.label) != 0)
			continue;
		if (query_dir_start(d, dir, &ops))
			return;
		g->missed = true;
		break; /* too many questions: the next one would be, too */
	}
	put_missing(d);
}

/* the references, in parts that fit a frame; without any, one part without */
static void groups_ready(void *arg)
{
	struct query_dir *d = arg;
	struct query_groups *g = d->groups;
	Idfw__DirRef ref[WIRE_DIR_REFS_MAX], *list[WIRE_DIR_REFS_MAX];
	size_t at = 0;
	int err = 0;

	g->asked = true;
	do {
		Idfw__DirQuery ask = IDFW__DIR_QUERY__INIT;
		size_t bytes = 0;

		ask.what = IDFW__DIR_QUERY__WHAT__GROUPS;
		ask.show = g->show;
		ask.ref = list;
		for (; at < g->n_refs && ask.n_ref < WIRE_DIR_REFS_MAX && bytes < GROUPS_PART_BYTES;
			at++) {
			idfw__dir_ref__init(&ref[ask.n_ref]);
			ref[ask.n_ref].kind = (Idfw__DirRef__Kind)g->refs[at].kind;
			ref[ask.n_ref].text = g->refs[at].text;
			list[ask.n_ref] = &ref[ask.n_ref];
			ask.n_ref++;
			bytes += strlen(g->refs[at].text) + 16;
		}
		ask.last = at == g->n_refs;
		err = dir_query_ask(d->ask, &ask);
	} while (err == 0 && at < g->n_refs);
	if (err < 0)
		groups_failed(d, gi_strerror(err));
}

/* ---- the answer ---- */

static const char *use_of(uint32_t flags, size_t n_refs)
{
	return n_refs ? "named" : flags & DIR_NODE_USED ? "nested" : "none";
}

/* policy groups that name it, each once, as the references have them */
static json_t *named_by(const struct query_groups *g, const Idfw__DirNode *n)
{
	json_t *list = json_array(), *name, *had;
	size_t i, k, m, bytes = 0;

	for (i = 0; i < n->n_ref; i++) {
		json_array_foreach(g->refs[n->ref[i]].named, k, name)
		{
			bool known = false;

			json_array_foreach(list, m, had) known |= json_equal(had, name) != 0;
			if (!known)
				query_dir_name(list, json_string_value(name), &bytes);
		}
	}
	return list;
}

static void put_node(struct query_dir *d, const Idfw__DirNode *n)
{
	struct query_groups *g = d->groups;
	bool unused = g->show == IDFW__DIR_QUERY__SHOW__UNUSED;
	char sid[SID_TEXT_MAX] = "";

	for (size_t i = 0; i < n->n_ref; i++)
		g->refs[n->ref[i]].found = true;
	if (unused && n->flags & DIR_NODE_USED && !(n->n_ref && n->flags & DIR_NODE_EMPTY))
		return;
	if (n->group->sid.len && sid_to_text(n->group->sid.data, n->group->sid.len, sid) < 0)
		sid[0] = '\0';
	query_dir_row(d,
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:b,s:I,s:I,s:b,s:o}", "type", "group",
			"directory", d->label, "name", n->group->name, "dn", n->group->dn, "sid",
			sid, "kind", query_dir_kind(n->flags), "use", use_of(n->flags, n->n_ref),
			"named", named_by(g, n), "empty", unused && n->flags & DIR_NODE_EMPTY,
			"groups", (json_int_t)n->groups, "depth", (json_int_t)n->depth, "in_cycle",
			(n->flags & DIR_NODE_IN_CYCLE) != 0, "path",
			query_dir_names(n->path, n->n_path)));
}

static bool report_ok(const struct query_groups *g, const Idfw__DirReport *r)
{
	for (size_t i = 0; i < r->n_node; i++)
		for (size_t k = 0; k < r->node[i]->n_ref; k++)
			if (r->node[i]->ref[k] >= g->n_refs)
				return false;
	return g->asked;
}

static void put_progress(struct query_dir *d, const Idfw__DirReport *r)
{
	uint64_t now = io_clock_mono_ms();

	if (r->n_node || r->n_cycle || now - d->groups->said_ms < GROUPS_SAID_MS)
		return;
	d->groups->said_ms = now;
	query_dir_row(d,
		json_pack("{s:s,s:s,s:I,s:I}", "type", "progress", "directory", d->label, "groups",
			(json_int_t)r->groups, "memberships", (json_int_t)r->memberships));
}

static void groups_report(void *arg, const Idfw__DirReport *r)
{
	struct query_dir *d = arg;

	if (!report_ok(d->groups, r)) {
		groups_failed(d, "the process that asks the directory answers out of turn");
		return;
	}
	for (size_t i = 0; i < r->n_node; i++)
		put_node(d, r->node[i]);
	for (size_t i = 0; i < r->n_cycle; i++)
		query_dir_row(d,
			json_pack("{s:s,s:s,s:o,s:I}", "type", "cycle", "directory", d->label,
				"groups", query_dir_names(r->cycle[i]->group, r->cycle[i]->n_group),
				"n", (json_int_t)r->cycle[i]->groups));
	if (!r->last) {
		put_progress(d, r);
		return;
	}
	query_dir_row(d, json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s}", "type", "read", "directory",
				 d->label, "server", r->server, "groups", (json_int_t)r->groups,
				 "memberships", (json_int_t)r->memberships, "requests",
				 (json_int_t)r->requests, "took_ms", (json_int_t)r->took_ms, "text",
				 r->text));
	if (r->text[0]) {
		d->groups->missed = true;
		query_fail(d->q, 1, "directory %.60s: %.180s", d->label, r->text);
	}
	query_dir_over(d);
	groups_next(d);
}

static void groups_result(void *arg, const Idfw__DirResult *r)
{
	(void)r;
	groups_failed(arg, "the process that asks the directory answers out of turn");
}

static void groups_failed(void *arg, const char *why)
{
	struct query_dir *d = arg;

	d->groups->missed = true;
	query_fail(d->q, 1, "directory %.60s: %.180s", d->label, why);
	query_dir_over(d);
	groups_next(d);
}
