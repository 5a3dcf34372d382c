/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_rec.c - what waits to be written: copies of the engine's records, one allocation each
 *
 * Pure; the engine's thread makes them, the writer thread frees them. Invariant: no pointer of a
 * record leads outside of it.
 */
#include "svm-idfw/store_rec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t rec_len(const char *s);
static const char *rec_put(struct store_rec *r, size_t *at, const char *s);
static void rec_hex(const uint8_t id[16], char ret[33]);
static size_t group_len(const struct idfw_group *g);
static void group_put(struct store_rec *r, size_t *at, const struct idfw_group *g);

int store_rec_new(const struct idfw_record *r, struct store_rec **ret)
{
	const struct idfw_session *s = r->session;
	size_t bytes = sizeof(struct store_rec) + rec_len(r->vm) + rec_len(r->detail), at = 0;
	struct store_rec *c;

	if (s)
		bytes += rec_len(s->user) + rec_len(s->service) + rec_len(s->tty) +
			 rec_len(s->rhost) + rec_len(s->auth);
	else
		bytes += rec_len(r->user);
	if (r->isolation)
		bytes += rec_len(r->isolation->by) + rec_len(r->isolation->why);
	bytes += rec_len(r->scanner);
	c = calloc(1, bytes);
	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	c->kind = r->kind;
	c->time_ms = r->time_ms;
	c->seq = r->seq;
	c->end_ms = r->end_ms;
	c->end_reason = r->end_reason;
	if (r->boot_id)
		memcpy(c->boot_id, r->boot_id, sizeof(c->boot_id));
	c->vm = rec_put(c, &at, r->vm);
	c->detail = rec_put(c, &at, r->detail);
	c->user = "";
	if (s) {
		c->has_session = true;
		c->db_id = s->db_id;
		c->agent_id = s->id;
		c->leader_start = s->leader_start;
		c->opened_ms = s->opened_ms;
		c->seen_ms = s->seen_ms;
		c->cgroup = s->cgroup;
		c->parent = s->parent;
		c->is_unit = s->is_unit;
		c->found = s->found;
		c->uid = s->uid;
		c->leader_pid = s->leader_pid;
		c->peer = s->peer;
		memcpy(c->session_boot, s->boot_id, sizeof(c->session_boot));
		c->user = rec_put(c, &at, s->user);
		c->service = rec_put(c, &at, s->service);
		c->tty = rec_put(c, &at, s->tty);
		c->rhost = rec_put(c, &at, s->rhost);
		c->auth = rec_put(c, &at, s->auth);
	} else {
		c->has_session = r->db_id != 0;
		c->db_id = r->db_id;
		c->user = rec_put(c, &at, r->user);
	}
	if (r->isolation) {
		c->isolation = true;
		c->whole_vm = r->isolation->whole_vm;
		c->automatic = r->isolation->automatic;
		c->uid = r->isolation->uid;
		c->since_ms = r->isolation->since_ms;
		c->spares = r->isolation->spares;
		c->by = rec_put(c, &at, r->isolation->by);
		c->why = rec_put(c, &at, r->isolation->why);
	}
	if (r->outbox) {
		memcpy(c->outbox, r->outbox, sizeof(c->outbox));
		c->outbox_seq = r->outbox_seq;
	}
	c->scanner = rec_put(c, &at, r->scanner);
	*ret = c;
	return 0;
}

int store_rec_as_of(const struct idfw_as_of *as_of, struct store_rec **ret)
{
	size_t bytes = sizeof(struct store_rec) + rec_len(as_of->directory), at = 0;
	struct store_rec *c = calloc(1, bytes);

	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	c->as_of = true;
	c->vm = c->detail = c->user = "";
	c->directory = rec_put(c, &at, as_of->directory);
	c->resolved_ms = as_of->real_ms;
	c->db_id = as_of->next_db_id;
	*ret = c;
	return 0;
}

int store_rec_principal(const struct idfw_principal *p, struct store_rec **ret)
{
	size_t bytes = sizeof(struct store_rec) + rec_len(p->key) + rec_len(p->name) +
		       rec_len(p->upn) + rec_len(p->dn) + rec_len(p->sid) + rec_len(p->directory),
	       at = 0;
	struct store_rec *c;

	for (size_t i = 0; i < p->n_groups; i++)
		bytes += group_len(&p->groups[i]);
	c = calloc(1, bytes);
	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	c->principal = true;
	c->vm = c->detail = c->user = "";
	c->key = rec_put(c, &at, p->key);
	c->name = rec_put(c, &at, p->name);
	c->upn = rec_put(c, &at, p->upn);
	c->dn = rec_put(c, &at, p->dn);
	c->sid = rec_put(c, &at, p->sid);
	c->directory = rec_put(c, &at, p->directory);
	c->groups = c->text + at;
	c->n_groups = p->n_groups;
	for (size_t i = 0; i < p->n_groups; i++)
		group_put(c, &at, &p->groups[i]);
	memcpy(c->guid, p->guid, sizeof(c->guid));
	c->presence = p->presence;
	c->resolved_ms = p->resolved_ms;
	c->account = (struct idfw_account){ .state = p->account.state,
		.revokes = p->account.revokes,
		.expires_ms = p->account.expires_ms };
	*ret = c;
	return 0;
}

const char *store_kind_word(enum idfw_record_kind kind)
{
	static const char *const words[] = {
		[IDFW_REC_LOGIN] = "login",
		[IDFW_REC_LOGOUT] = "logout",
		[IDFW_REC_DECISION] = "decision",
		[IDFW_REC_PUSH] = "push",
		[IDFW_REC_PUSH_FAILED] = "push-failed",
		[IDFW_REC_ENFORCED] = "enforced",
		[IDFW_REC_KICK] = "kick",
		[IDFW_REC_POLICY] = "policy",
		[IDFW_REC_GUEST_UP] = "guest-up",
		[IDFW_REC_GUEST_DOWN] = "guest-down",
		[IDFW_REC_REFUSED] = "refused",
		[IDFW_REC_DIRECTORY] = "directory",
		[IDFW_REC_ADDRESSES] = "addresses",
		[IDFW_REC_SCAN] = "scan",
		[IDFW_REC_FIM] = "fim",
		[IDFW_REC_PASSED] = "passed",
		[IDFW_REC_SCAN_SERVICE] = "scan-service",
		[IDFW_REC_SCAN_COMMAND] = "scan-command",
		[IDFW_REC_ISOLATED] = "isolated",
		[IDFW_REC_RELEASED] = "released",
		[IDFW_REC_LOST] = "lost",
		[IDFW_REC_FOUND_AGAIN] = "found-again",
		[IDFW_REC_ACCOUNT] = "account",
		[IDFW_REC_ALARM] = "alarm",
		[IDFW_REC_COLLISION] = "collision",
	};

	return (size_t)kind < GI_ARRAY_SIZE(words) && words[kind] ? words[kind] : "other";
}

const char *store_reason_word(enum _Idfw__EndReason reason)
{
	switch (reason) {
	case IDFW__END_REASON__END_CLOSE:
		return "close";
	case IDFW__END_REASON__END_LEADER:
		return "leader";
	case IDFW__END_REASON__END_GONE:
		return "gone";
	case IDFW__END_REASON__END_REBOOT:
		return "reboot";
	case IDFW__END_REASON__END_KICK:
		return "kick";
	case IDFW__END_REASON__END_CGROUP:
		return "cgroup";
	default:
		return "unknown";
	}
}

const char *store_group_end(const char *at)
{
	for (int i = 0; i < 5; i++)
		at += strlen(at) + 1;
	return at;
}

/* room for all of its id's digits */
static size_t group_len(const struct idfw_group *g)
{
	return rec_len(g->name) + rec_len(g->dn) + rec_len(g->sid) + 2 * sizeof(g->id) + 1 +
	       rec_len(g->directory);
}

static void group_put(struct store_rec *r, size_t *at, const struct idfw_group *g)
{
	char id[2 * sizeof(g->id) + 1];

	rec_hex(g->id, id);
	(void)rec_put(r, at, g->name);
	(void)rec_put(r, at, g->dn);
	(void)rec_put(r, at, g->sid);
	(void)rec_put(r, at, id);
	(void)rec_put(r, at, g->directory);
}

json_t *store_detail_json(const char *text)
{
	json_t *v;

	if (text[0] == '\0')
		return json_object();
	v = json_loads(text, 0, NULL);
	return v ? v : json_string(text);
}

static size_t rec_len(const char *s)
{
	return s ? strlen(s) + 1 : 1;
}

/* the caller has made room */
static const char *rec_put(struct store_rec *r, size_t *at, const char *s)
{
	char *to = r->text + *at;
	size_t len = rec_len(s);

	if (s)
		memcpy(to, s, len);
	*at += len;
	return to;
}

/* "" for an id that is not known: all zero */
static void rec_hex(const uint8_t id[16], char ret[33])
{
	static const char digits[] = "0123456789abcdef";
	static const uint8_t none[16];
	size_t n = memcmp(id, none, sizeof(none)) != 0 ? 16 : 0;

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[id[i] >> 4];
		ret[2 * i + 1] = digits[id[i] & 15];
	}
	ret[2 * n] = '\0';
}

/* anything else than 32 digits: not known */
void store_group_unhex(const char *text, uint8_t ret[16])
{
	memset(ret, 0, 16);
	if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
		return;
	for (size_t i = 0; i < 32; i++) {
		int d = text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10;

		ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | d);
	}
}
