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
#include <strings.h>

#include "lib/base/text.h"
#include "svm-idfw/dirreport.h"
#include "svm-idfw/sid.h"

#define GROUPS_PART_BYTES (40u << 10)
#define GROUPS_REFS_MAX 65536
#define GROUPS_SAID_MS 2000

struct ref_name { /* what the policy means by a text: in any directory, or in those of a domain */
	char *domain;  /* owned; NULL: any */
	json_t *named; /* owned: names of policy groups */
	size_t bytes;  /* of them */
	bool asked, found;
	struct ref_name *next; /* owned */
};

struct group_ref {
	enum pol_dirref_kind kind;
	char *text;		/* owned */
	struct ref_name *names; /* owned; one at least */
};

struct query_groups {
	enum _Idfw__DirQuery__Show show;
	const char *only;	/* borrowed from the configuration; NULL: all directories */
	size_t at;		/* the next directory */
	bool asked;		/* this one has the question */
	bool missed;		/* one was not read */
	uint64_t said_ms;	/* the last row, monotonic */
	struct group_ref *refs; /* owned */
	size_t n_refs, cap_refs;
	size_t *sent; /* owned: by its number for this directory's child, place in refs */
	size_t n_sent;
};

static void ref_fini(struct group_ref *r);
static void groups_next(struct query_dir *d);
static void groups_ready(void *arg);
static void groups_result(void *arg, const Idfw__DirResult *r);
static void groups_report(void *arg, const Idfw__DirReport *r);
static void groups_failed(void *arg, const char *why);

static void ref_fini(struct group_ref *r)
{
	struct ref_name *n;

	while ((n = r->names) != NULL) {
		r->names = n->next;
		free(n->domain);
		json_decref(n->named);
		free(n);
	}
	free(r->text);
}

void query_groups_free(struct query_groups *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_refs; i++)
		ref_fini(&g->refs[i]);
	free(g->refs);
	free(g->sent);
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
	*r = (struct group_ref){ .kind = from->kind, .text = strdup(from->text) };
	if (!r->text)
		return NULL;
	g->n_refs++;
	return r;
}

static struct ref_name *name_of(struct group_ref *r, const char *domain)
{
	struct ref_name *n;

	for (n = r->names; n; n = n->next)
		if (domain && n->domain ? strcasecmp(domain, n->domain) == 0
					: !domain && !n->domain)
			return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->named = json_array();
	n->domain = domain ? strdup(domain) : NULL;
	n->next = r->names;
	r->names = n; /* what is missing of it ends with the reference */
	return n->named && (n->domain || !domain) ? n : NULL;
}

static int refs_take(struct query_groups *g, const struct pol_policy *p)
{
	struct pol_dirref ref;
	struct group_ref *r = NULL;
	struct ref_name *n;

	for (size_t at = 0; p && pol_dirref(p, &at, &ref);) {
		/* one that says nothing in UTF-8 is no group's, and cannot be sent */
		if (!gi_text_is_clean(ref.text, WIRE_DIR_REF_MAX) || !ref.text[0])
			continue;
		if (!r || r->kind != ref.kind || strcmp(r->text, ref.text) != 0) {
			if (g->n_refs == GROUPS_REFS_MAX)
				return -GI_ELIMIT;
			r = ref_new(g, &ref);
		}
		n = r ? name_of(r, ref.domain) : NULL;
		if (!n)
			return -ENOMEM;
		query_dir_name(n->named, pol_group_name(p, ref.group), &n->bytes);
	}
	g->sent = calloc(g->n_refs + 1, sizeof(*g->sent));
	return g->sent ? 0 : -ENOMEM;
}

/* may a group of this directory be meant? @dn: where it is; NULL: anywhere in it */
static bool name_fits(const struct query_dir *d, const struct ref_name *n, const char *dn)
{
	const struct query_env *env = &d->q->env;
	const struct pol_domains *domains = env->ops->domains ? env->ops->domains(env->arg) : NULL;

	return !n->domain || (domains && domains->has(domains->arg, d->label, dn, n->domain));
}

/* the references that this directory is asked for */
static void refs_choose(struct query_dir *d)
{
	struct query_groups *g = d->groups;

	g->n_sent = 0;
	for (size_t i = 0; i < g->n_refs; i++) {
		bool any = false;

		for (struct ref_name *n = g->refs[i].names; n; n = n->next) {
			if (!name_fits(d, n, NULL))
				continue;
			any = n->asked = true;
		}
		if (any)
			g->sent[g->n_sent++] = i;
	}
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
	for (size_t i = 0; i < g->n_refs; i++) {
		const struct group_ref *r = &g->refs[i];

		for (const struct ref_name *n = r->names; n; n = n->next)
			if (!n->found && (n->asked || !g->only))
				query_dir_row(d,
					json_pack("{s:s,s:s,s:o,s:O}", "type", "missing", "ref",
						kinds[r->kind], "name",
						json_sprintf("%s%s%s", n->domain ? n->domain : "",
							n->domain ? "\\" : "", r->text),
						"named", n->named));
	}
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
	refs_choose(d);
	do {
		Idfw__DirQuery ask = IDFW__DIR_QUERY__INIT;
		size_t bytes = 0;

		ask.what = IDFW__DIR_QUERY__WHAT__GROUPS;
		ask.show = g->show;
		ask.ref = list;
		for (; at < g->n_sent && ask.n_ref < WIRE_DIR_REFS_MAX && bytes < GROUPS_PART_BYTES;
			at++) {
			idfw__dir_ref__init(&ref[ask.n_ref]);
			ref[ask.n_ref].kind = (Idfw__DirRef__Kind)g->refs[g->sent[at]].kind;
			ref[ask.n_ref].text = g->refs[g->sent[at]].text;
			list[ask.n_ref] = &ref[ask.n_ref];
			ask.n_ref++;
			bytes += strlen(g->refs[g->sent[at]].text) + 16;
		}
		ask.last = at == g->n_sent;
		err = dir_query_ask(d->ask, &ask);
	} while (err == 0 && at < g->n_sent);
	if (err < 0)
		groups_failed(d, gi_strerror(err));
}

/* ---- the answer ---- */

static void add_named(json_t *list, const json_t *names, size_t *bytes)
{
	const json_t *name, *had;
	size_t k, m;

	json_array_foreach(names, k, name)
	{
		bool known = false;

		json_array_foreach(list, m, had) known |= json_equal(had, name) != 0;
		if (!known)
			query_dir_name(list, json_string_value(name), bytes);
	}
}

/* policy groups that name it, each once; *ret_named: there are some */
static json_t *named_by(const struct query_dir *d, const Idfw__DirNode *node, bool *ret_named)
{
	const struct query_groups *g = d->groups;
	json_t *list = json_array();
	size_t bytes = 0;

	*ret_named = false;
	for (size_t i = 0; i < node->n_ref; i++) {
		struct ref_name *n = g->refs[g->sent[node->ref[i]]].names;

		for (; n; n = n->next) {
			if (!name_fits(d, n, node->group->dn))
				continue;
			*ret_named = n->found = true;
			add_named(list, n->named, &bytes);
		}
	}
	return list;
}

static void put_node(struct query_dir *d, const Idfw__DirNode *n)
{
	bool unused = d->groups->show == IDFW__DIR_QUERY__SHOW__UNUSED, is_named;
	json_t *named = named_by(d, n, &is_named);
	char sid[SID_TEXT_MAX] = "";

	if (unused && n->flags & DIR_NODE_USED && !(is_named && n->flags & DIR_NODE_EMPTY)) {
		json_decref(named);
		return;
	}
	if (n->group->sid.len && sid_to_text(n->group->sid.data, n->group->sid.len, sid) < 0)
		sid[0] = '\0';
	query_dir_row(d, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:b,s:I,s:I,s:b,s:o}", "type",
				 "group", "directory", d->label, "name", n->group->name, "dn",
				 n->group->dn, "sid", sid, "kind", query_dir_kind(n->flags), "use",
				 is_named		    ? "named"
				 : n->flags & DIR_NODE_USED ? "nested"
							    : "none",
				 "named", named, "empty", unused && n->flags & DIR_NODE_EMPTY,
				 "groups", (json_int_t)n->groups, "depth", (json_int_t)n->depth,
				 "in_cycle", (n->flags & DIR_NODE_IN_CYCLE) != 0, "path",
				 query_dir_names(n->path, n->n_path)));
}

static bool report_ok(const struct query_groups *g, const Idfw__DirReport *r)
{
	for (size_t i = 0; i < r->n_node; i++)
		for (size_t k = 0; k < r->node[i]->n_ref; k++)
			if (r->node[i]->ref[k] >= g->n_sent)
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
