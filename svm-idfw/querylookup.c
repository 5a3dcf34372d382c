/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querylookup.c - control request dir-lookup: an account and its groups, asked now
 *
 * Runs in svm-idfw's loop. A directory child of its own (dirquery.h) looks the name up as a login's
 * would be; nothing of the answer gets into the engine. Then it is compared with what the engine
 * knows of that name, and the policy says what follows from the groups. Source: docs/control.md.
 */
#include "svm-idfw/querydir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"
#include "svm-idfw/dirreport.h"
#include "svm-idfw/sid.h"

#define LOOKUP_LIST_MAX 200 /* names in one list, or fewer (querydir.h); the rest is counted */

static bool lookup_next(struct query_dir *d);
static void lookup_ready(void *arg);
static void lookup_result(void *arg, const Idfw__DirResult *r);
static void lookup_report(void *arg, const Idfw__DirReport *r);
static void lookup_failed(void *arg, const char *why);

/* false: no such VM, and said */
static bool lookup_arguments(struct query_dir *d)
{
	const struct query *q = d->q;
	const char *names_in;

	for (size_t i = 1; i < q->n_args; i++) {
		if (strcmp(q->args[i], "trace") == 0) {
			d->trace = true;
			continue;
		}
		names_in = idfw_engine_names_in(q->env.engine, q->args[i] + 3);
		if (!names_in) {
			query_fail(d->q, 4, "no VM \"%.100s\"", q->args[i] + 3);
			return false;
		}
		if (!strpbrk(q->args[0], "\\@"))
			(void)snprintf(d->names_in, sizeof(d->names_in), "%s", names_in);
	}
	return true;
}

void query_dir_lookup_begin(struct query *q)
{
	struct query_dir *d;

	for (size_t i = 1; i < q->n_args; i++) {
		if (strcmp(q->args[i], "trace") == 0 || strncmp(q->args[i], "vm=", 3) == 0)
			continue;
		query_fail(q, 2, "dir-lookup: \"%.100s\" is neither \"trace\" nor \"vm=VM\"",
			q->args[i]);
		return;
	}
	if (!q->env.ops->directory || !q->env.ops->directory(q->env.arg, 0)) {
		query_fail(q, 1, "no directory is configured");
		return;
	}
	d = query_dir_of(q);
	if (!d)
		return;
	if (!lookup_arguments(d))
		return;
	if (q->env.ops->route(q->env.arg, q->args[0], d->names_in, d->name, &d->route) < 0 ||
		!d->route.n)
		query_fail(q, 4, "\"%.100s\" is no name of an account", q->args[0]);
	else
		(void)lookup_next(d);
}

/* asks the next one that may have the account; false: there is none, or it cannot be asked */
static bool lookup_next(struct query_dir *d)
{
	static const struct dir_query_ops ops = { .ready = lookup_ready,
		.result = lookup_result,
		.report = lookup_report,
		.failed = lookup_failed };
	const struct query_env *env = &d->q->env;
	struct idfw_dir *dir;

	if (d->route_at == d->route.n)
		return false;
	dir_ask_free(d->answer);
	d->answer = calloc(1, sizeof(*d->answer));
	dir = env->ops->directory(env->arg, d->route.at[d->route_at++]);
	if (!d->answer || !dir) {
		query_fail(d->q, 1, dir ? "out of memory" : "no such directory");
		return false;
	}
	return query_dir_start(d, dir, &ops);
}

static void lookup_ready(void *arg)
{
	struct query_dir *d = arg;
	int err = dir_query_lookup(d->ask, d->name);

	if (err == 0)
		return;
	query_fail(d->q, 1, "\"%.100s\" cannot be looked up: %s", d->name, gi_strerror(err));
	query_dir_over(d);
}

static json_t *text_of(const char *s)
{
	return json_string(s ? s : "");
}

/* ---- what the engine knows ---- */

static const char *group_name(const struct idfw_group *g)
{
	return g->name[0] ? g->name : g->sid[0] ? g->sid : g->dn;
}

/* by unique id; without, by SID; without, by DN: never by a name, which another group may have */
static int group_cmp(const void *x, const void *y)
{
	static const uint8_t none[16];
	const struct idfw_group *const *a = x, *const *b = y;
	int c = memcmp((*a)->id, (*b)->id, sizeof(none));

	if (c || memcmp((*a)->id, none, sizeof(none)) != 0)
		return c;
	c = strcmp((*a)->sid, (*b)->sid);
	return c || (*a)->sid[0] ? c : strcasecmp((*a)->dn, (*b)->dn);
}

struct groups {
	const struct idfw_group **list; /* owned, sorted; the groups are borrowed */
	size_t n;
};

/* of an answer, or of what the engine knows */
static struct groups groups_of(const struct idfw_principal *p)
{
	struct groups g = { .n = p->in ? p->n_in : p->n_groups };

	g.list = calloc(g.n + 1, sizeof(*g.list));
	for (size_t i = 0; g.list && i < g.n; i++)
		g.list[i] = p->in ? p->in[i] : &p->groups[i];
	if (g.list && g.n)
		qsort(g.list, g.n, sizeof(*g.list), group_cmp);
	return g;
}

/* names of the groups of @a that @b does not have, at most LOOKUP_LIST_MAX of them */
static json_t *groups_only(const struct groups *a, const struct groups *b, size_t *ret_n)
{
	json_t *list = json_array();
	size_t n = 0, bytes = 0;

	for (size_t i = 0; a->list && b->list && i < a->n; i++) {
		if (b->n && bsearch(&a->list[i], b->list, b->n, sizeof(*b->list), group_cmp))
			continue;
		if (n++ < LOOKUP_LIST_MAX)
			query_dir_name(list, group_name(a->list[i]), &bytes);
	}
	*ret_n = n;
	return list;
}

static void put_cached(struct query_dir *d)
{
	const struct idfw_principal *found = &d->answer->found, *had;
	uint64_t now = io_clock_real_ms();
	size_t n_gone = 0, n_new = 0;
	struct groups before, after;
	json_t *gone, *new;
	bool same;

	had = idfw_engine_principal_of(d->q->env.engine, d->q->args[0], d->names_in);
	if (!had || !had->resolved_ms) {
		query_dir_row(d, json_pack("{s:s,s:b}", "type", "cached", "known", 0));
		return;
	}
	before = groups_of(had);
	after = groups_of(found);
	gone = groups_only(&before, &after, &n_gone);
	new = groups_only(&after, &before, &n_new);
	free(before.list);
	free(after.list);
	same = had->presence == found->presence && n_gone == 0 && n_new == 0;
	query_dir_row(d,
		json_pack("{s:s,s:b,s:b,s:I,s:I,s:b,s:I,s:o,s:I,s:o,s:I}", "type", "cached",
			"known", 1, "same", (int)same, "since_ms", (json_int_t)had->resolved_ms,
			"age_ms", (json_int_t)(now > had->resolved_ms ? now - had->resolved_ms : 0),
			"stale", (int)had->stale, "sessions", (json_int_t)had->n_sessions,
			"not_any_more", gone, "n_not_any_more", (json_int_t)n_gone, "not_yet", new,
			"n_not_yet", (json_int_t)n_new));
}

/* the directory gives no answer: what serves meanwhile, and how old it is */
static void put_kept(struct query_dir *d)
{
	const struct query_env *env = &d->q->env;
	const struct idfw_principal *had;
	uint64_t as_of = 0, age = 0;

	if (env->ops->round)
		env->ops->round(env->arg);
	had = idfw_engine_principal_of(env->engine, d->q->args[0], d->names_in);
	if (had)
		as_of = idfw_engine_confirmed(env->engine, had, &age);
	if (!as_of) {
		query_dir_row(d, json_pack("{s:s,s:b}", "type", "cached", "known", 0));
		return;
	}
	query_dir_row(d, json_pack("{s:s,s:b,s:n,s:b,s:I,s:I,s:I,s:b,s:I}", "type", "cached",
				 "known", 1, "same", "found", (int)(had->presence == IDFW_P_FOUND),
				 "groups", (json_int_t)had->n_in, "since_ms", (json_int_t)as_of,
				 "age_ms", (json_int_t)age, "stale", (int)had->stale, "sessions",
				 (json_int_t)had->n_sessions));
}

/* ---- what the policy says ---- */

static int policy_groups(const struct query_dir *d, const struct pol_policy *p,
	const struct idfw_principal *who, struct pol_set *ret)
{
	const struct query_env *env = &d->q->env;
	struct pol_principal w = { .name = NULL };
	struct pol_dirgroup *g;
	int err;

	if (!who)
		return pol_groups_of_principal(p, NULL, ret);
	w = (struct pol_principal){
		.name = who->name,
		.upn = who->upn,
		.sid = who->sid,
		.dn = who->dn,
		.directory = d->label,
		.domains = env->ops->domains ? env->ops->domains(env->arg) : NULL,
	};
	g = calloc(who->n_groups + 1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	for (size_t i = 0; i < who->n_groups; i++)
		g[i] = (struct pol_dirgroup){ .name = who->groups[i].name,
			.dn = who->groups[i].dn,
			.sid = who->groups[i].sid,
			.directory = d->label };
	w.groups = g;
	w.n_groups = who->n_groups;
	err = pol_groups_of_principal(p, &w, ret);
	free(g);
	return err;
}

static void put_policy(struct query_dir *d)
{
	const struct pol_policy *p = idfw_engine_policy_now(d->q->env.engine, NULL);
	struct pol_set set = { 0 };
	json_t *list;
	size_t n = 0, bytes = 0;

	/* one that is disabled or the like is in no group, as the engine has it */
	if (!p || policy_groups(d, p,
			  idfw_account_cut(&d->answer->found) ? NULL : &d->answer->found, &set) < 0)
		return;
	list = json_array();
	for (size_t i = 0; i < pol_group_count(p); i++) {
		if (!pol_set_has(&set, i) || pol_group_name(p, i)[0] == '_')
			continue;
		if (n++ < LOOKUP_LIST_MAX)
			query_dir_name(list, pol_group_name(p, i), &bytes);
	}
	pol_set_fini(&set);
	query_dir_row(d,
		json_pack("{s:s,s:o,s:I}", "type", "policy", "groups", list, "n", (json_int_t)n));
}

/* ---- the answer ---- */

static void put_account(struct query_dir *d, const Idfw__DirResult *r)
{
	static const char *const words[] = { [IDFW__DIR_RESULT__STATUS__OK] = "found",
		[IDFW__DIR_RESULT__STATUS__NOT_FOUND] = "not-found",
		[IDFW__DIR_RESULT__STATUS__UNAVAILABLE] = "unavailable",
		[IDFW__DIR_RESULT__STATUS__AMBIGUOUS] = "ambiguous" };
	const struct idfw_principal *p = &d->answer->found;
	char guid[33] = "", state[IDFW_ACCT_WHY_MAX];

	for (size_t i = 0; r->guid.len == 16 && i < 16; i++)
		(void)snprintf(guid + 2 * i, 3, "%02x", r->guid.data[i]);
	query_dir_row(
		d, json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:s,s:s,s:b,s:o,s:I,s:I}",
			   "type", "account", "asked", d->name, "directory", d->label, "status",
			   words[r->status], "text", r->text, "name", text_of(p->name), "upn",
			   text_of(p->upn), "dn", text_of(p->dn), "sid", text_of(p->sid), "guid",
			   guid, "state", idfw_account_words(p->account.now, state), "cut",
			   (int)idfw_account_cut(p), "expires_ms",
			   p->account.expires_ms ? json_integer((json_int_t)p->account.expires_ms)
						 : json_null(),
			   "groups", (json_int_t)p->n_groups, "took_ms", (json_int_t)r->took_ms));
}

static void put_group(struct query_dir *d, const struct idfw_group *g)
{
	json_t *row = json_pack(
		"{s:s,s:s,s:s,s:s}", "type", "group", "name", g->name, "dn", g->dn, "sid", g->sid);

	if (row && d->trace) /* counted by the server, by no membership that can be read */
		(void)json_object_update_new(
			row, json_pack("{s:s,s:b,s:b,s:b,s:[]}", "kind", "foreign", "counts", 1,
				     "primary", 0, "in_cycle", 0, "path"));
	query_dir_row(d, row);
}

/* ---- how each group is reached ---- */

/* does the ordinary lookup have it? Then its place in d->sorted is marked */
static bool trace_counts(struct query_dir *d, const Idfw__DirGroup *g, char sid[SID_TEXT_MAX])
{
	struct idfw_group like = { .name = g->name, .dn = g->dn, .sid = sid };
	const struct idfw_group *key = &like, **hit;

	if (g->guid.len == sizeof(like.id))
		memcpy(like.id, g->guid.data, sizeof(like.id));
	if (!d->answer->found.n_groups)
		return false;
	hit = bsearch(&key, d->sorted, d->answer->found.n_groups, sizeof(*d->sorted), group_cmp);
	if (hit)
		d->reached[hit - d->sorted] = true;
	return hit != NULL;
}

static void put_node(struct query_dir *d, const Idfw__DirNode *n)
{
	char sid[SID_TEXT_MAX] = "";
	bool counts;

	if (n->group->sid.len && sid_to_text(n->group->sid.data, n->group->sid.len, sid) < 0)
		sid[0] = '\0';
	counts = trace_counts(d, n->group, sid);
	query_dir_row(d, json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:o}", "type", "group", "name",
				 n->group->name, "dn", n->group->dn, "sid", sid, "kind",
				 query_dir_kind(n->flags), "counts", (int)counts, "primary",
				 (n->flags & DIR_NODE_PRIMARY) != 0, "in_cycle",
				 (n->flags & DIR_NODE_IN_CYCLE) != 0, "path",
				 query_dir_names(n->path, n->n_path)));
}

/* the child may be the directory's by now: the order of what it sends is looked at too */
static void lookup_out_of_turn(struct query_dir *d)
{
	query_fail(d->q, 1, "the process that asks the directory answers out of turn");
	query_dir_over(d);
}

static void lookup_report(void *arg, const Idfw__DirReport *r)
{
	struct query_dir *d = arg;
	size_t missed = 0;

	if (!d->sorted || !d->reached) { /* nobody asked for a report */
		lookup_out_of_turn(d);
		return;
	}
	for (size_t i = 0; i < r->n_node; i++)
		put_node(d, r->node[i]);
	for (size_t i = 0; i < r->n_cycle; i++)
		query_dir_row(d, json_pack("{s:s,s:o,s:I}", "type", "cycle", "groups",
					 query_dir_names(r->cycle[i]->group, r->cycle[i]->n_group),
					 "n", (json_int_t)r->cycle[i]->groups));
	if (!r->last)
		return;
	for (size_t i = 0; i < d->answer->found.n_groups; i++) {
		if (d->reached[i])
			continue;
		missed++;
		put_group(d, d->sorted[i]);
	}
	query_dir_row(
		d, json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "type", "trace", "server", r->server,
			   "requests", (json_int_t)r->requests, "took_ms", (json_int_t)r->took_ms,
			   "not_reached", (json_int_t)missed, "text", r->text));
	if (r->text[0])
		query_fail(d->q, 1, "not all of it is traced: %.200s", r->text);
	put_policy(d);
	put_cached(d);
	query_dir_over(d);
}

static bool trace_begin(struct query_dir *d, const Idfw__DirResult *r)
{
	Idfw__DirQuery ask = IDFW__DIR_QUERY__INIT;
	Idfw__DirGroup account = IDFW__DIR_GROUP__INIT;
	struct groups sorted = groups_of(&d->answer->found);

	free(d->sorted);
	free(d->reached);
	d->sorted = sorted.list;
	d->reached = calloc(sorted.n + 1, sizeof(*d->reached));
	account.dn = r->dn;
	account.guid = r->guid;
	account.sid = r->sid;
	account.name = r->name;
	ask.what = IDFW__DIR_QUERY__WHAT__TRACE;
	ask.account = &account;
	ask.last = true;
	return d->sorted && d->reached && dir_query_ask(d->ask, &ask) == 0;
}

static void lookup_result(void *arg, const Idfw__DirResult *r)
{
	struct query_dir *d = arg;
	struct query *q = d->q;
	struct idfw_account *account;
	int err;

	if (d->sorted) { /* the answer was whole */
		lookup_out_of_turn(d);
		return;
	}
	err = dir_ask_part(d->answer, r);
	if (err < 0) {
		query_fail(q, 1, "the answer is refused: %s", gi_strerror(err));
		query_dir_over(d);
		return;
	}
	if (!r->last)
		return;
	account = &d->answer->found.account;
	account->revokes = d->revokes;
	account->now = account->state;
	if (account->expires_ms && account->expires_ms <= io_clock_real_ms())
		account->now |= IDFW_ACCT_EXPIRED;
	put_account(d, r);
	if (r->status == IDFW__DIR_RESULT__STATUS__NOT_FOUND && d->route_at < d->route.n) {
		query_dir_over(d);
		(void)lookup_next(d);
		return;
	}
	if (r->status == IDFW__DIR_RESULT__STATUS__OK && d->trace) {
		if (trace_begin(d, r))
			return;
		query_fail(q, 1, "the groups cannot be traced: out of memory");
	} else if (r->status == IDFW__DIR_RESULT__STATUS__OK) {
		for (size_t i = 0; i < d->answer->found.n_groups; i++)
			put_group(d, &d->answer->found.groups[i]);
		put_policy(d);
	} else {
		query_fail(q, r->status == IDFW__DIR_RESULT__STATUS__NOT_FOUND ? 4 : 1, "%.200s",
			r->text);
	}
	if (r->status != IDFW__DIR_RESULT__STATUS__UNAVAILABLE)
		put_cached(d);
	else
		put_kept(d);
	query_dir_over(d);
}

static void lookup_failed(void *arg, const char *why)
{
	struct query_dir *d = arg;

	query_fail(d->q, 1, "%.240s", why);
	if (!d->sorted) /* else the account was found, and only not traced */
		put_kept(d);
	query_dir_over(d);
}
