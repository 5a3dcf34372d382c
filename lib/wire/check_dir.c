/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check_dir.c - the limits of docs/wire.md for what operators ask of directories
 *
 * Runs on DirQuery, DirReport, DirSync and DirState, received and sent, as check.c does on the
 * rest. What a report says of a group comes from a directory's entries, through a process that may
 * have been taken over: each text is clean UTF-8, each list has a maximum.
 */
#include "lib/wire/check.h"

#include "lib/base/text.h"

#define FLAGS_MAX 0xffff

static int bad(int err, const char *text, const char **ret_why)
{
	*ret_why = text;
	return err;
}

static bool text_ok(const char *s, size_t min, size_t max)
{
	return s && (min == 0 || s[0]) && gi_text_is_clean(s, max);
}

static bool texts_ok(char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!text_ok(list[i], 1, WIRE_USER_MAX))
			return false;
	return true;
}

static bool group_ok(const Idfw__DirGroup *g)
{
	return g && text_ok(g->dn, 0, WIRE_DN_MAX) && text_ok(g->name, 0, WIRE_USER_MAX) &&
	       (g->guid.len == 0 || g->guid.len == 16) &&
	       (g->sid.len == 0 || (g->sid.len >= 8 && g->sid.len <= WIRE_SID_MAX));
}

static int check_query(const Idfw__DirQuery *q, const char **why)
{
	bool trace = q->what == IDFW__DIR_QUERY__WHAT__TRACE;

	if (!trace && q->what != IDFW__DIR_QUERY__WHAT__GROUPS)
		return bad(-GI_EPROTO, "DirQuery: unknown question", why);
	if (trace ? !group_ok(q->account) : q->account != NULL)
		return bad(-GI_EPROTO, "DirQuery: bad account", why);
	if ((unsigned int)q->show > IDFW__DIR_QUERY__SHOW__CYCLES)
		return bad(-GI_EPROTO, "DirQuery: unknown kind of groups", why);
	if (q->n_ref > WIRE_DIR_REFS_MAX)
		return bad(-GI_ELIMIT, "DirQuery: too many references in one part", why);
	for (size_t i = 0; i < q->n_ref; i++)
		if ((unsigned int)q->ref[i]->kind > IDFW__DIR_REF__KIND__SID ||
			!text_ok(q->ref[i]->text, 1, WIRE_DIR_REF_MAX))
			return bad(-GI_EPROTO, "DirRef: unknown kind or bad text", why);
	return 0;
}

static int check_node(const Idfw__DirNode *n, const char **why)
{
	if (!group_ok(n->group))
		return bad(-GI_EPROTO, "DirNode: no group or bad field", why);
	if (n->flags > FLAGS_MAX)
		return bad(-GI_EPROTO, "DirNode: unknown flags", why);
	if (n->n_ref > WIRE_DIR_NODE_REFS_MAX || n->n_path > WIRE_DIR_PATH_MAX)
		return bad(-GI_ELIMIT, "DirNode: too many references or names", why);
	if (!texts_ok(n->path, n->n_path))
		return bad(-GI_EPROTO, "DirNode: bad name in its path", why);
	return 0;
}

static int check_report(const Idfw__DirReport *r, const char **why)
{
	int err = 0;

	if (!text_ok(r->server, 0, WIRE_TEXT_MAX) || !text_ok(r->text, 0, WIRE_DIR_WHY_MAX))
		return bad(-GI_EPROTO, "DirReport: bad text", why);
	if (r->n_node > WIRE_DIR_NODES_MAX || r->n_cycle > WIRE_DIR_CYCLES_MAX)
		return bad(-GI_ELIMIT, "DirReport: too much in one part", why);
	for (size_t i = 0; !err && i < r->n_node; i++)
		err = check_node(r->node[i], why);
	for (size_t i = 0; !err && i < r->n_cycle; i++) {
		const Idfw__DirCycle *c = r->cycle[i];

		if (c->n_group > WIRE_DIR_PATH_MAX)
			err = bad(-GI_ELIMIT, "DirCycle: too many names", why);
		else if (c->n_group == 0 || !texts_ok(c->group, c->n_group))
			err = bad(-GI_EPROTO, "DirCycle: no names or a bad one", why);
	}
	return err;
}

static int check_state(const Idfw__DirState *s, const char **why)
{
	if (!text_ok(s->server, 0, WIRE_DIR_WHY_MAX) || !text_ok(s->text, 0, WIRE_DIR_WHY_MAX))
		return bad(-GI_EPROTO, "DirState: bad text", why);
	if ((unsigned int)s->seen > IDFW__DIR_STATE__SEEN__BLIND ||
		(unsigned int)s->picture > IDFW__DIR_STATE__PICTURE__REFUSED)
		return bad(-GI_EPROTO, "DirState: unknown way of seeing changes, or picture", why);
	if (s->compared_ms > INT64_MAX)
		return bad(-GI_EPROTO, "DirState: no time", why);
	if (s->domain_sid.len && (s->domain_sid.len < 8 || s->domain_sid.len > WIRE_SID_MAX))
		return bad(-GI_EPROTO, "DirState: bad domain_sid", why);
	return 0;
}

int wire_check_dir(const Idfw__Envelope *e, const char **ret_why)
{
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_DIR_QUERY:
		return check_query(e->dir_query, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_STATE:
		return check_state(e->dir_state, ret_why);
	case IDFW__ENVELOPE__BODY_DIR_SYNC:
		return e->dir_sync->id ? 0 : bad(-GI_EPROTO, "DirSync: no id", ret_why);
	default:
		return check_report(e->dir_report, ret_why);
	}
}
