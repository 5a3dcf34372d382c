/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroups.c - groups that changed: the work on the picture of all memberships, slice by slice
 *
 * Runs in the directory child's main thread. Order of work: groups that changed, then those whose
 * members are still to be read, then the pass that runs, then accounts that may be gone. Failure
 * direction: without the picture (not whole yet, the server refuses to list) a changed group
 * concerns everybody who is in it now or was when looked up; what cannot be kept track of concerns
 * everybody.
 */
#include "svm-idfw/dirgroups.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"

#define GROUPS_RETRY_MS 30000	/* after a comparison that was refused */
#define GROUPS_BROKEN_MS 600000 /* after a first pass that broke each connection */
#define GROUPS_BLIND_MS 5000

int dir_groups_new(struct dir_groups **ret)
{
	struct dir_groups *g = calloc(1, sizeof(*g));
	uint64_t key[2];

	if (!g)
		return -ENOMEM;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		free(g);
		return -EIO;
	}
	dir_members_init(&g->m, key);
	*ret = g;
	return 0;
}

static void todo_free(struct dir_groups *g, struct dir_todo *t)
{
	HASH_DEL(g->todo, t);
	free(t->dn);
	free(t);
}

static void places_free(struct dir_groups *g)
{
	struct dir_place *p, *next;

	HASH_ITER (hh, g->places, p, next) {
		HASH_DEL(g->places, p);
		free(p);
	}
}

void dir_groups_free(struct dir_groups *g)
{
	if (!g)
		return;
	while (g->todo)
		todo_free(g, g->todo);
	places_free(g);
	dldap_cursor_fini(&g->cursor);
	dir_members_fini(&g->m);
	free(g);
}

static void pass_begin(struct dir_groups *g)
{
	dldap_cursor_fini(&g->cursor);
	dir_members_pass(&g->m);
	g->passing = true;
	g->again = false;
	g->began_ms = io_clock_mono_ms();
	g->done = g->found = 0;
	g->total = HASH_COUNT(g->m.groups);
	g->begun++;
}

void dir_groups_connected(struct dir_groups *g, uint64_t since)
{
	if (!g)
		return;
	g->since = since;
	if (g->passing || (!g->whole && !g->again))
		pass_begin(g);
}

void dir_groups_forget(struct dir_groups *g, bool read)
{
	dir_members_fini(&g->m);
	places_free(g);
	dldap_cursor_fini(&g->cursor);
	g->whole = g->passing = g->checking = g->again = false;
	g->tries = 0;
	if (read)
		pass_begin(g);
}

/* it changed, and what it is now is not known: everybody, and nothing to compare the next one with
 */
static void unread(struct dir_groups *g, const uint8_t id[16], struct dir_changes *ch)
{
	dir_members_drop(&g->m, id);
	ch->all = true;
}

static int todo_add(struct dir_groups *g, const uint8_t id[16], const char *dn, bool quiet)
{
	struct dir_todo *t;

	HASH_FIND(hh, g->todo, id, 16, t);
	if (t && !quiet && !t->quiet)
		t->doubt = true;
	if (t && (quiet || !t->quiet))
		return 0;
	if (t) /* now somebody must be told */
		todo_free(g, t);
	if (HASH_COUNT(g->todo) >= DIR_TODO_MAX)
		return -GI_ELIMIT;
	t = calloc(1, sizeof(*t));
	if (t && dn)
		t->dn = strdup(dn);
	if (!t || (dn && !t->dn)) {
		free(t);
		return -ENOMEM;
	}
	memcpy(t->id, id, sizeof(t->id));
	t->quiet = quiet;
	t->doubt = g->catching_up;
	t->since = g->since;
	t->seen_ms = g->looked_ms;
	HASH_ADD(hh, g->todo, id, sizeof(t->id), t);
	return 0;
}

void dir_groups_changed(
	struct dir_groups *g, const uint8_t id[16], const char *dn, struct dir_changes *ch)
{
	if (todo_add(g, id, dn, false) < 0)
		unread(g, id, ch);
}

void dir_groups_changed_often(
	struct dir_groups *g, const uint8_t id[16], const char *dn, struct dir_changes *ch)
{
	struct dir_todo *t;

	dir_groups_changed(g, id, dn, ch);
	HASH_FIND(hh, g->todo, id, 16, t);
	if (t)
		t->doubt = true;
}

void dir_groups_doubt(struct dir_groups *g)
{
	for (struct dir_todo *t = g->todo; t; t = t->hh.next)
		t->doubt = true;
}

bool dir_groups_moved(struct dir_groups *g, const uint8_t id[16], const char *dn)
{
	uint64_t hash = dir_member_hash(&g->m, 0, dn, strlen(dn));
	struct dir_place *p;
	bool same;

	HASH_FIND(hh, g->places, id, 16, p);
	if (!p) {
		dir_groups_place(g, id, dn);
		return true;
	}
	same = p->dn == hash;
	p->dn = hash;
	return !same;
}

void dir_groups_place(struct dir_groups *g, const uint8_t id[16], const char *dn)
{
	struct dir_place *p;

	HASH_FIND(hh, g->places, id, 16, p);
	if (!p && HASH_COUNT(g->places) < DIR_PLACES_MAX) {
		p = calloc(1, sizeof(*p));
		if (p) {
			memcpy(p->id, id, sizeof(p->id));
			HASH_ADD(hh, g->places, id, sizeof(p->id), p);
		}
	}
	if (p)
		p->dn = dir_member_hash(&g->m, 0, dn, strlen(dn));
}

void dir_groups_later(struct dir_groups *g, const uint8_t id[16], const char *dn)
{
	if (todo_add(g, id, dn, true) < 0)
		gi_debug("directory: a group's members are not kept");
}

void dir_groups_gone(struct dir_groups *g, const uint8_t id[16], struct dir_changes *ch)
{
	dir_changes_group(ch, id);
	dir_members_drop(&g->m, id);
}

bool dir_groups_has(const struct dir_groups *g, const uint8_t id[16])
{
	return dir_members_find(&g->m, id) != NULL;
}

void dir_groups_compare(struct dir_groups *g, bool hidden)
{
	if (!g->whole) {
		g->blind = true;
		return;
	}
	if (!hidden)
		g->next_ms = 0;
	g->again = true;
}

void dir_groups_sync(struct dir_groups *g, bool full, uint64_t *ret_pass)
{
	g->next_ms = 0;
	if (!full)
		return;
	*ret_pass = g->begun + 1; /* one that runs may have seen a group before it changed */
	g->again = true;
}

bool dir_groups_synced(const struct dir_groups *g, uint64_t pass)
{
	if (g->todo || g->passing || g->checking)
		return false;
	return g->failed ? g->begun >= pass : !g->again && g->ended >= pass;
}

/* ---- slices ---- */

struct gone {
	struct dir_groups *g;
	struct dir_changes *out;
};

static void gone_cb(void *arg, const uint8_t id[16])
{
	struct gone *gone = arg;

	gone->g->found++;
	dir_changes_group(gone->out, id);
}

static void pass_end(struct dir_back *b, struct dir_changes *ch)
{
	struct dir_groups *g = b->groups;
	struct gone gone = { .g = g, .out = ch };
	uint64_t now = io_clock_mono_ms();

	g->passing = false;
	dir_members_sweep(&g->m, gone_cb, &gone);
	g->next_ms = now + (now - g->began_ms) * DIR_COMPARE_GAP;
	if (!g->whole)
		gi_info("directory: %u groups with %zu members are known, after %llu ms",
			HASH_COUNT(g->m.groups), g->m.n_values,
			(unsigned long long)(now - g->began_ms));
	else
		g->checking = true;
	if (g->checking) {
		g->round++;
		dir_seen_gone(b->seen, now);
	}
	g->whole = true;
	g->failed = false;
	g->tries = 0;
	g->compared_ms = io_clock_real_ms();
	g->took_ms = now - g->began_ms;
	g->found_last = g->found;
	g->ended = g->begun;
}

size_t dir_groups_less(const struct dir_groups *g, size_t n)
{
	n >>= 3 * g->tries;
	return n ? n : 1;
}

/* what the server refuses is no reason to do without it: changed groups are read one by one */
static int refused(struct dir_groups *g, int err, const char *why)
{
	bool broken = err == -ECONNRESET || err == -ETIMEDOUT;

	if (err == -ENOMEM || (broken && ++g->tries < DIR_TRIES_MAX))
		return err;
	g->tries = 0;
	if (!g->failed)
		gi_warn("directory: the groups cannot be listed (%s): a change of a group concerns "
			"all who are in it; give bind-user the right, and no size limit",
			why);
	g->failed = true;
	g->passing = g->checking = false;
	dldap_cursor_fini(&g->cursor);
	if (g->whole || broken) { /* why it ran still holds */
		g->again = true;
		g->next_ms = io_clock_mono_ms() + (g->whole ? GROUPS_RETRY_MS : GROUPS_BROKEN_MS);
	}
	return broken ? err : 0;
}

/* somebody waits to be told of a change; nobody for what the first pass has left over */
static struct dir_todo *todo_next(const struct dir_groups *g)
{
	struct dir_todo *t = g->todo;

	while (t && t->quiet)
		t = t->hh.next;
	return t ? t : g->todo;
}

static int work_todo(struct dir_back *b, struct dir_changes *ch, char why[DIR_WHY_MAX])
{
	struct dir_groups *g = b->groups;
	struct dir_todo *t = todo_next(g);
	int err = dir_groups_read(b, t, ch, why);

	if ((err == -ECONNRESET || err == -ETIMEDOUT) && ++t->tries < DIR_TRIES_MAX)
		return err; /* it stays, for the next connection */
	if (err == -GI_ENOTFOUND) {
		dir_groups_gone(g, t->id, ch);
	} else if (err < 0) {
		gi_warn("directory: a group that changed cannot be read: %s", why);
		unread(g, t->id, ch);
	}
	todo_free(g, t);
	return err == -ECONNRESET || err == -ETIMEDOUT ? err : 0;
}

static int work_page(struct dir_back *b, struct dir_changes *ch, char why[DIR_WHY_MAX])
{
	struct dir_groups *g = b->groups;
	int err = dir_groups_page(b, ch, why);

	if (err < 0)
		return refused(g, err, why);
	if (!g->cursor.more)
		pass_end(b, ch);
	return 0;
}

static int work_check(struct dir_back *b, struct dir_changes *ch, char why[DIR_WHY_MAX])
{
	static const uint8_t none[16];
	struct dir_groups *g = b->groups;
	uint8_t ids[DIR_SEEN_ASK][16], left[DIR_SEEN_ASK][16];
	size_t i, n = dir_seen_next(b->seen, g->round, ids, dir_groups_less(g, DIR_SEEN_ASK));
	int err;

	if (n == 0) {
		g->checking = false;
		return 0;
	}
	memcpy(left, ids, sizeof(left));
	err = dir_groups_ask(b, left, n, why);
	for (i = 0; err == 0 && i < n; i++) {
		if (memcmp(left[i], none, sizeof(none)) == 0)
			continue;
		dir_changes_account(ch, ids[i]);
		dir_seen_drop(b->seen, ids[i]);
	}
	if (err < 0)
		g->round++; /* these too */
	return err < 0 ? refused(g, err, why) : 0;
}

/* everybody, since it cannot be told who; not too often */
static void work_blind(struct dir_groups *g, struct dir_changes *ch)
{
	uint64_t now = io_clock_mono_ms();

	if (!g->blind || now < g->blind_ms)
		return;
	g->blind = false;
	g->blind_ms = now + GROUPS_BLIND_MS;
	ch->all = true;
}

void dir_groups_between(struct dir_back *b, struct dir_changes *ch)
{
	struct dir_groups *g = b->groups;

	if (g->doubt_ms)
		dir_seen_since(b->seen, g->doubt_ms, io_clock_mono_ms(), ch);
	g->doubt_ms = 0;
	dir_seen_late(b->seen, ch);
}

int dir_groups_work(
	struct dir_back *b, struct dir_changes *ch, bool *ret_more, char why[DIR_WHY_MAX])
{
	struct dir_groups *g = b->groups;
	int err = 0;

	if (g->todo)
		err = work_todo(b, ch, why);
	else if (g->passing)
		err = work_page(b, ch, why);
	else if (g->checking)
		err = work_check(b, ch, why);
	if (g->again && !g->passing && !g->checking && io_clock_mono_ms() >= g->next_ms) {
		g->failed = false;
		pass_begin(g);
	}
	work_blind(g, ch);
	*ret_more = g->todo || g->passing || g->checking;
	return err;
}

static bool todo_told(const struct dir_groups *g)
{
	const struct dir_todo *t = todo_next(g);

	return t && !t->quiet;
}

int dir_groups_turn(
	struct dir_back *b, struct dir_changes *ch, bool *ret_more, char why[DIR_WHY_MAX])
{
	uint64_t began = io_clock_mono_ms();
	int err;

	*ret_more = true;
	if (!todo_told(b->groups) && dir_changes_any(ch))
		return 0; /* first that is told */
	do {
		err = dir_groups_work(b, ch, ret_more, why);
	} while (err == 0 && todo_told(b->groups) && io_clock_mono_ms() - began < DIR_TURN_MS);
	return err;
}
