/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirreply.c - what the directory child says to its parent, as messages
 *
 * Runs in the directory child, in the thread that has something to say. Invariant: an answer is
 * sent whole, in parts that fit a frame. Source: lib/wire/idfw.proto.
 */
#include "svm-idfw/dirreply.h"

#include <string.h>

#include "svm-idfw/dirgroups.h"

#define REPLY_PART_BYTES                                                        \
	(48u << 10) /* groups of one DirResult: below a frame with all the rest \
		     */

static void reply_group_init(Idfw__DirGroup *p, struct dir_group *g);

void dir_reply_answer(struct dir_post *p, uint64_t id, const struct dir_answer *a, uint64_t took_ms)
{
	Idfw__DirGroup group[WIRE_DIR_GROUPS_MAX], *list[WIRE_DIR_GROUPS_MAX];
	size_t at = 0;

	do {
		Idfw__DirResult r = IDFW__DIR_RESULT__INIT;
		Idfw__Envelope e = IDFW__ENVELOPE__INIT;
		size_t bytes = 0;
		char empty[] = "";

		r.id = id;
		r.status = a->status;
		r.text = (char *)(uintptr_t)a->text;
		r.dn = a->dn ? a->dn : empty;
		r.name = a->name ? a->name : empty;
		r.upn = a->upn ? a->upn : empty;
		r.guid = (ProtobufCBinaryData){ .len = a->has_guid ? sizeof(a->guid) : 0,
			.data = (uint8_t *)(uintptr_t)a->guid };
		r.sid = (ProtobufCBinaryData){ .len = a->sid_len,
			.data = (uint8_t *)(uintptr_t)a->sid };
		r.group = list;
		r.took_ms = (uint32_t)took_ms;
		r.account_state = a->acct.state;
		r.expires_ms = a->acct.expires_ms;
		while (at < a->n_groups && r.n_group < WIRE_DIR_GROUPS_MAX) {
			struct dir_group *g = &a->groups[at];

			bytes += strlen(g->dn) + strlen(g->name) + sizeof(g->sid) + 64;
			if (r.n_group && bytes > REPLY_PART_BYTES)
				break;
			reply_group_init(&group[r.n_group], g);
			list[r.n_group] = &group[r.n_group];
			r.n_group++;
			at++;
		}
		r.last = at == a->n_groups;
		e.body_case = IDFW__ENVELOPE__BODY_DIR_RESULT;
		e.dir_result = &r;
		dir_post_send(p, &e);
	} while (at < a->n_groups);
}

void dir_reply_unavailable(struct dir_post *p, uint64_t id, const char *why)
{
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };

	dir_why(a.text, "%s", why);
	dir_reply_answer(p, id, &a, 0);
}

static uint32_t reply_count(uint64_t n)
{
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void reply_picture(Idfw__DirState *st, const struct dir_picture *p)
{
	const struct dir_groups *g = p->groups;

	st->seen = p->seen;
	st->synced = p->synced;
	st->synced_full = p->synced_full;
	st->picture = g->failed	 ? IDFW__DIR_STATE__PICTURE__REFUSED
		      : g->whole ? IDFW__DIR_STATE__PICTURE__WHOLE
				 : IDFW__DIR_STATE__PICTURE__READING;
	st->comparing = g->passing || g->checking;
	st->compare_done = reply_count(g->done);
	st->compare_total = reply_count(g->total);
	st->compared_ms = g->compared_ms;
	st->compare_took_ms = reply_count(g->took_ms);
	st->compare_changed = reply_count(g->found_last);
	st->groups = HASH_COUNT(g->m.groups);
	st->memberships = g->m.n_values;
}

void dir_reply_state(struct dir_post *p, const struct dir_back *b, bool up, const char *why,
	const struct dir_picture *picture)
{
	Idfw__DirState st = IDFW__DIR_STATE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char empty[] = "", server[DIR_WHY_MAX];

	dir_why(server, "%s", b->server); /* its own word */
	st.up = up;
	st.server = server;
	st.text = up ? empty : (char *)(uintptr_t)why;
	st.usn = b->usn;
	st.domain_sid = (ProtobufCBinaryData){ .len = b->domain_sid.len,
		.data = (uint8_t *)(uintptr_t)b->domain_sid.bytes };
	if (picture)
		reply_picture(&st, picture);
	e.body_case = IDFW__ENVELOPE__BODY_DIR_STATE;
	e.dir_state = &st;
	dir_post_send(p, &e);
}

/* the next of them that fit a message */
static size_t reply_ids(const struct dir_ids *ids, size_t *at, ProtobufCBinaryData *to)
{
	size_t n;

	for (n = 0; *at < ids->n && n < WIRE_DIR_SIDS_MAX; n++)
		to[n] = (ProtobufCBinaryData){ .len = 16, .data = ids->list[(*at)++] };
	return n;
}

void dir_reply_changes(struct dir_post *p, const struct dir_back *b, const struct dir_changes *c)
{
	ProtobufCBinaryData sid[WIRE_DIR_SIDS_MAX], account[WIRE_DIR_SIDS_MAX],
		group[WIRE_DIR_SIDS_MAX];
	Idfw__DirChanged ch = IDFW__DIR_CHANGED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	size_t at_sid = 0, at_account = 0, at_group = 0;

	if (b->memo)
		dir_memo_clear(b->memo); /* first: who is told asks at once */
	e.body_case = IDFW__ENVELOPE__BODY_DIR_CHANGED;
	e.dir_changed = &ch;
	ch.all = c->all;
	ch.sid = sid;
	ch.account = account;
	ch.group = group;
	if (c->all) {
		dir_post_send(p, &e);
		return;
	}
	for (;;) {
		for (ch.n_sid = 0; at_sid < c->n_sids && ch.n_sid < WIRE_DIR_SIDS_MAX; at_sid++)
			sid[ch.n_sid++] = (ProtobufCBinaryData){ .len = c->sids[at_sid].len,
				.data = c->sids[at_sid].bytes };
		ch.n_account = reply_ids(&c->accounts, &at_account, account);
		ch.n_group = reply_ids(&c->groups, &at_group, group);
		if (ch.n_sid + ch.n_account + ch.n_group == 0)
			return;
		dir_post_send(p, &e);
	}
}

static void reply_group_init(Idfw__DirGroup *p, struct dir_group *g)
{
	idfw__dir_group__init(p);
	p->dn = g->dn;
	p->name = g->name;
	p->guid =
		(ProtobufCBinaryData){ .len = g->has_guid ? sizeof(g->guid) : 0, .data = g->guid };
	p->sid = (ProtobufCBinaryData){ .len = g->sid_len, .data = g->sid };
}
