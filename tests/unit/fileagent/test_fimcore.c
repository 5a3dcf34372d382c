/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_fimcore.c - from events and looks to records: scenarios as text, on a made-up file system
 *
 * A scenario is lines, one a step; what the core records is compared with the lines that begin
 * with '>'. Paths below /w fall under the rule "w", but those below /w/x.
 *   put PATH CONTENT [MODE [UID]]   the file system: a file (its inode's times move on)
 *   dir PATH | rm PATH | mv FROM TO | ln FROM TO
 *   base PATH                       the baseline says what is there now
 *   EVENT[+EVENT] PATH [TO] [by N]  create delete modify close attrib rename; dir- before: of one
 *   wait MS                         time passes, looks are done
 *   walk | build                    a walk meets what there is
 *   touch PATH
 * Hashes are shown as the content's first letters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "fileagent/fimcore.h"

#define FILES 64

struct node {
	char path[64];
	struct fa_fim_state st;
};

struct world {
	struct node node[FILES];
	size_t n;
	uint64_t next_ino, now_ms;
	struct fa_fimbase base;
	struct fa_fimcore *core;
	char looks[64][64];
	size_t n_looks;
	struct gi_buf said;
	size_t overruns, trees, changed;
};

/* ---- the made-up file system ---- */

static struct node *node_find(struct world *w, const char *path)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->node[i].path, path) == 0)
			return &w->node[i];
	}
	return NULL;
}

static struct node *node_make(struct world *w, const char *path)
{
	struct node *n = node_find(w, path);

	if (n)
		return n;
	assert_true(w->n < FILES);
	n = &w->node[w->n++];
	memset(n, 0, sizeof(*n));
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->st.ino = ++w->next_ino;
	n->st.nlink = 1;
	n->st.mode = S_IFREG | 0644;
	return n;
}

static void node_put(
	struct world *w, const char *path, const char *content, unsigned int mode, unsigned int uid)
{
	struct node *n = node_make(w, path);
	struct fa_fim_state *s = &n->st;

	if (content) {
		memset(s->sha, 0, sizeof(s->sha));
		memcpy(s->sha, content, strlen(content));
		s->has_sha = true;
		s->size = strlen(content);
		s->mtime_ns = w->now_ms * 1000000 + 1;
	}
	s->mode = S_IFREG | mode;
	s->uid = uid;
	s->ctime_ns = w->now_ms * 1000000 + 1;
	for (size_t i = 0; i < w->n; i++) { /* its other names */
		if (w->node[i].st.ino == s->ino)
			w->node[i].st = *s;
	}
}

static void node_remove(struct world *w, const char *path)
{
	struct node *n = node_find(w, path);

	assert_non_null(n);
	*n = w->node[--w->n];
}

static void node_move(struct world *w, const char *from, const char *to)
{
	size_t len = strlen(from);

	if (node_find(w, to))
		node_remove(w, to);
	for (size_t i = 0; i < w->n; i++) {
		char path[128];

		if (strncmp(w->node[i].path, from, len) != 0 ||
			(w->node[i].path[len] != '\0' && w->node[i].path[len] != '/'))
			continue;
		snprintf(path, sizeof(path), "%s%s", to, w->node[i].path + len);
		assert_true(strlen(path) < sizeof(w->node[i].path));
		memcpy(w->node[i].path, path, strlen(path) + 1);
	}
}

/* ---- the core's owner ---- */

static const char *rule_cb(void *arg, const char *path)
{
	(void)arg;
	if (strncmp(path, "/w/x", 4) == 0)
		return NULL;
	return strncmp(path, "/w", 2) == 0 && (path[2] == '/' || path[2] == '\0') ? "w" : NULL;
}

static void look_cb(void *arg, const char *path)
{
	struct world *w = arg;

	assert_true(w->n_looks < 64);
	snprintf(w->looks[w->n_looks++], sizeof(w->looks[0]), "%s", path);
}

static void say_state(struct gi_buf *out, const char *name, const struct fa_fim_state *st)
{
	if (!st)
		return;
	gi_buf_printf(out, " %s=%s", name, st->has_sha ? (const char *)st->sha : "-");
	gi_buf_printf(out, ",%o,%u", st->mode & 07777, st->uid);
}

static void record_cb(void *arg, const struct fa_fim_record *r, const struct fa_fim_actor *a)
{
	static const char *const ops[] = { "?", "CREATE", "WRITE", "RENAME", "DELETE", "ATTRIB",
		"BASELINE" };
	struct world *w = arg;

	assert_string_equal(r->rule, "w");
	gi_buf_printf(&w->said, "> %s %s", ops[r->op], r->path);
	if (r->new_path)
		gi_buf_printf(&w->said, " %s", r->new_path[0] ? r->new_path : "nowhere");
	say_state(&w->said, "before", r->before);
	say_state(&w->said, "after", r->after);
	if (a)
		gi_buf_printf(&w->said, " by %u", (unsigned int)a->session);
	gi_buf_printf(&w->said, "\n");
}

static void changed_cb(void *arg, const char *path)
{
	struct world *w = arg;

	(void)path;
	w->changed++;
}

static void tree_cb(void *arg, const char *path, const struct fa_fim_actor *actor)
{
	struct world *w = arg;

	(void)actor;
	w->trees++;
	gi_buf_printf(&w->said, "> tree %s\n", path);
}

static void overrun_cb(void *arg)
{
	struct world *w = arg;

	w->overruns++;
}

static void world_init(struct world *w)
{
	static const struct fa_fimcore_ops ops = { .rule = rule_cb,
		.look = look_cb,
		.record = record_cb,
		.changed = changed_cb,
		.tree = tree_cb,
		.overrun = overrun_cb };

	memset(w, 0, sizeof(*w));
	w->now_ms = 1000000;
	fa_fimbase_init(&w->base);
	gi_buf_init(&w->said, 1 << 20);
	assert_int_equal(fa_fimcore_new(&w->base, &ops, w, &w->core), 0);
}

static void world_fini(struct world *w)
{
	fa_fimcore_free(w->core);
	fa_fimbase_fini(&w->base);
	gi_buf_fini(&w->said);
}

/* the looks that were asked for, answered by what is there */
static void answer(struct world *w)
{
	for (size_t i = 0; i < w->n_looks; i++) {
		char path[64];
		struct node *n;

		memcpy(path, w->looks[i], sizeof(path));
		n = node_find(w, path);
		fa_fimcore_found(w->core, w->now_ms, path, n ? &n->st : NULL, n ? 0 : -ENOENT);
	}
	w->n_looks = 0;
}

static void pass(struct world *w, uint64_t ms)
{
	uint64_t end = w->now_ms + ms;

	while (w->now_ms < end) {
		uint64_t next = fa_fimcore_tick(w->core, w->now_ms);

		answer(w);
		if (next == 0 || next > 10)
			next = 10;
		w->now_ms += next;
	}
}

/* ---- steps ---- */

static uint32_t what_of(const char *word)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} words[] = { { "create", FAN_EV_CREATE }, { "delete", FAN_EV_DELETE },
		{ "modify", FAN_EV_MODIFY }, { "close", FAN_EV_CLOSE_WRITE },
		{ "attrib", FAN_EV_ATTRIB }, { "rename", FAN_EV_RENAME }, { "dir-", FAN_EV_DIR } };
	uint32_t what = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(words); i++) {
		if (strstr(word, words[i].word))
			what |= words[i].bit;
	}
	return what;
}

static void walk(struct world *w, uint32_t number, bool build)
{
	for (size_t i = 0; i < w->n; i++) {
		if (rule_cb(w, w->node[i].path))
			fa_fimcore_seen(w->core, number, w->node[i].path, &w->node[i].st, build);
	}
	fa_fimcore_unseen(w->core, number, "/w");
}

static void step(struct world *w, uint32_t number, const char *line)
{
	char a[32] = "", b[64] = "", c[64] = "", d[64] = "", e[64] = "";
	int n = sscanf(line, "%31s %63s %63s %63s %63s", a, b, c, d, e);
	struct fa_fim_actor actor = { .pid = 1, .session = 1 };
	bool by_at_c = strcmp(c, "by") == 0, by_at_d = strcmp(d, "by") == 0;

	if (strcmp(a, "put") == 0) {
		node_put(w, b, strcmp(c, "-") ? c : NULL,
			n > 3 ? (unsigned int)strtoul(d, NULL, 8) : 0644,
			n > 4 ? (unsigned int)strtoul(e, NULL, 10) : 0);
	} else if (strcmp(a, "dir") == 0) {
		node_make(w, b)->st.mode = S_IFDIR | 0755;
	} else if (strcmp(a, "rm") == 0) {
		node_remove(w, b);
	} else if (strcmp(a, "mv") == 0) {
		node_move(w, b, c);
	} else if (strcmp(a, "ln") == 0) {
		node_find(w, b)->st.nlink++;
		node_make(w, c)->st = node_find(w, b)->st;
	} else if (strcmp(a, "base") == 0) {
		assert_int_equal(fa_fimbase_put(&w->base, b, &node_find(w, b)->st), 0);
	} else if (strcmp(a, "wait") == 0) {
		pass(w, strtoul(b, NULL, 10));
	} else if (strcmp(a, "walk") == 0 || strcmp(a, "build") == 0) {
		walk(w, number, a[0] == 'b');
	} else if (strcmp(a, "touch") == 0) {
		fa_fimcore_touch(w->core, w->now_ms, b, &actor);
	} else {
		if (by_at_c || by_at_d)
			actor.session = strtoul(by_at_c ? d : e, NULL, 10);
		assert_true(what_of(a) != 0);
		fa_fimcore_event(
			w->core, w->now_ms, what_of(a), b, n > 2 && !by_at_c ? c : NULL, &actor);
		w->now_ms++;
	}
}

static void play(const char *scenario)
{
	struct world w;
	struct gi_buf want;
	uint32_t number = 0;

	world_init(&w);
	gi_buf_init(&want, 1 << 20);
	for (const char *p = scenario; *p;) {
		size_t len = strcspn(p, "\n");
		char line[256];

		assert_true(len < sizeof(line));
		memcpy(line, p, len);
		line[len] = '\0';
		if (line[0] == '>')
			gi_buf_printf(&want, "%s\n", line);
		else if (line[0])
			step(&w, ++number, line);
		p += len + (p[len] == '\n');
	}
	assert_string_equal(gi_buf_str(&w.said), gi_buf_str(&want));
	assert_true(fa_fimcore_idle(w.core));
	gi_buf_fini(&want);
	world_fini(&w);
}

/* ---- scenarios ---- */

static void test_create_written_and_closed_is_one_record(void **state)
{
	(void)state;
	play("put /w/a one\ncreate /w/a\nmodify /w/a\nmodify /w/a\nclose /w/a\nwait 100\n"
	     "> CREATE /w/a after=one,644,0 by 1\nwait 5000\n");
}

static void test_create_without_close_is_recorded_soon(void **state)
{
	(void)state;
	play("put /w/a one\ncreate /w/a\nwait 400\nwait 300\n> CREATE /w/a after=one,644,0 by 1\n");
}

static void test_write_says_before_and_after(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nput /w/a two\nmodify+close /w/a by 7\nwait 100\n"
	     "> WRITE /w/a before=one,644,0 after=two,644,0 by 7\n");
}

static void test_write_storm_is_few_records(void **state)
{
	struct world w;
	struct fa_fim_actor actor = { .pid = 1, .session = 1 };
	size_t records = 0;

	(void)state;
	world_init(&w);
	node_put(&w, "/w/a", "zero", 0644, 0);
	assert_int_equal(fa_fimbase_put(&w.base, "/w/a", &w.node[0].st), 0);
	for (int i = 0; i < 10000; i++) { /* 10 s */
		char text[16];

		snprintf(text, sizeof(text), "v%d", i);
		node_put(&w, "/w/a", text, 0644, 0);
		fa_fimcore_event(
			w.core, w.now_ms, FAN_EV_MODIFY | FAN_EV_CLOSE_WRITE, "/w/a", NULL, &actor);
		(void)fa_fimcore_tick(w.core, w.now_ms);
		answer(&w);
		w.now_ms++;
	}
	pass(&w, 3000);
	for (const char *p = gi_buf_str(&w.said); (p = strstr(p, "> WRITE")); p++)
		records++;
	assert_in_range(records, 5, 13);
	assert_non_null(strstr(gi_buf_str(&w.said), "after=v9999,"));
	world_fini(&w);
}

static void test_writer_that_never_closes_is_recorded_all_the_same(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nput /w/a two\nmodify /w/a\nwait 1500\nmodify /w/a\n"
	     "wait 1000\n> WRITE /w/a before=one,644,0 after=two,644,0 by 1\n");
}

static void test_closed_and_nothing_changed_is_no_record(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nclose /w/a\nwait 5000\n");
}

static void test_mapped_store_shows_at_close(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nput /w/a two\nclose /w/a\nwait 100\n"
	     "> WRITE /w/a before=one,644,0 after=two,644,0 by 1\n");
}

static void test_mode_and_owner_are_attrib(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nwait 10\nput /w/a - 4755 1001\nattrib /w/a\nattrib /w/a\n"
	     "wait 100\n> ATTRIB /w/a before=one,644,0 after=one,4755,1001 by 1\n"
	     "wait 2000\nput /w/a - 4755 1001\nattrib /w/a\nwait 100\n" /* an xattr, say */
	     "> ATTRIB /w/a before=one,4755,1001 after=one,4755,1001 by 1\n");
}

static void test_delete_has_what_was_there(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nrm /w/a\ndelete /w/a by 3\n"
	     "> DELETE /w/a before=one,644,0 by 3\nwait 3000\n");
}

static void test_came_and_went_before_a_look(void **state)
{
	(void)state;
	play("create /w/a by 3\nmodify+close /w/a by 3\ndelete /w/a by 3\n> CREATE /w/a by 3\n"
	     "> DELETE /w/a by 3\nwait 3000\n");
	/* one event for all of it, and their order is not told */
	play("create+modify+close+delete /w/a\n> CREATE /w/a by 1\n> DELETE /w/a by 1\nwait "
	     "3000\n");
	play("put /w/a one\nbase /w/a\nput /w/a two\ncreate+delete+modify+close /w/a\n"
	     "> DELETE /w/a before=one,644,0 by 1\nwait 100\n"
	     "> CREATE /w/a after=two,644,0 by 1\n");
}

static void test_looked_for_and_gone_waits_for_its_delete(void **state)
{
	(void)state;
	play("create /w/a\nclose /w/a\nwait 100\ndelete /w/a by 2\n> CREATE /w/a by 1\n"
	     "> DELETE /w/a by 2\nwait 3000\n");
	/* the event was lost */
	play("put /w/a one\nbase /w/a\nrm /w/a\nclose /w/a\nwait 3000\n"
	     "> DELETE /w/a before=one,644,0\n");
}

static void test_rename_within(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nmv /w/a /w/b\nrename /w/a /w/b\nwait 100\n"
	     "> RENAME /w/a /w/b before=one,644,0 after=one,644,0 by 1\nwalk\n");
}

static void test_rename_over_says_what_was_replaced(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nput /w/t two\ncreate /w/t\nmodify+close /w/t\n"
	     "mv /w/t /w/a\nrename /w/t /w/a\n> CREATE /w/t by 1\nwait 100\n"
	     "> RENAME /w/t /w/a before=one,644,0 after=two,644,0 by 1\nwait 2000\nwalk\n");
}

static void test_rename_out_and_in(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nmv /w/a /o/a\nrename /w/a /o/a\n"
	     "> RENAME /w/a /o/a before=one,644,0 by 1\nput /o/a two\nwait 10\n"
	     "mv /o/a /w/a\nrename /o/a /w/a by 4\nwait 100\n"
	     "> RENAME /o/a /w/a after=two,644,0 by 4\nwalk\n");
	play("put /w/a one\nbase /w/a\nmv /w/a /w/x/a\nrename /w/a /w/x/a\n" /* excluded */
	     "> RENAME /w/a /w/x/a before=one,644,0 by 1\nwait 100\nwalk\n");
}

static void test_renamed_twice_before_a_look(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nmv /w/a /w/c\nrename /w/a /w/b\nrename /w/b /w/c\n"
	     "> RENAME /w/a /w/b before=one,644,0 by 1\nwait 200\n"
	     "> RENAME /w/b /w/c before=one,644,0 after=one,644,0 by 1\nwait 2000\nwalk\n");
}

static void test_directory_rename_moves_the_baseline(void **state)
{
	(void)state;
	play("dir /w/d\nput /w/d/a one\nput /w/d/b two\nput /w/dd three\nbase /w/d\nbase /w/d/a\n"
	     "base /w/d/b\nbase /w/dd\nmv /w/d /w/e\nrename-dir- /w/d /w/e\n"
	     "> RENAME /w/d /w/e before=-,755,0 by 1\nwait 100\nwalk\n"
	     "mv /w/e /o/e\nrename-dir- /w/e /o/e\n> RENAME /w/e /o/e before=-,755,0 by 1\n"
	     "wait 100\nwalk\n"
	     "mv /o/e /w/f\nrename-dir- /o/e /w/f\n> RENAME /o/e /w/f by 1\n> tree /w/f\n"
	     "touch /w/f\ntouch /w/f/a\ntouch /w/f/b\nwait 100\n> CREATE /w/f after=-,755,0 by 1\n"
	     "> CREATE /w/f/a after=one,644,0 by 1\n> CREATE /w/f/b after=two,644,0 by 1\nwalk\n"
	     "wait 2000\n");
}

static void test_new_directory_is_looked_into(void **state)
{
	(void)state;
	play("dir /w/d\nput /w/d/a one\ncreate-dir- /w/d\nwait 600\n"
	     "> CREATE /w/d after=-,755,0 by 1\n> tree /w/d\ntouch /w/d/a\nwait 100\n"
	     "> CREATE /w/d/a after=one,644,0 by 1\n");
}

static void test_another_session_does_not_wait(void **state)
{
	(void)state;
	play("put /w/a one\nbase /w/a\nput /w/a two\nmodify /w/a by 1\nput /w/a three\n"
	     "modify+close /w/a by 2\n> WRITE /w/a before=one,644,0 by 1\nwait 100\n"
	     "> WRITE /w/a before=one,644,0 after=three,644,0 by 2\n");
}

static void test_hard_link_its_other_name_is_looked_at(void **state)
{
	(void)state;
	play("put /w/a one\nln /w/a /w/b\nput /w/a one\nbase /w/a\nbase /w/b\nwait 10\n"
	     "put /w/a two\nmodify+close /w/a by 5\nwait 100\n"
	     "> WRITE /w/a before=one,644,0 after=two,644,0 by 5\n"
	     "> WRITE /w/b before=one,644,0 after=two,644,0 by 5\nwalk\nwait 2000\n");
}

static void test_outside_is_nothing(void **state)
{
	(void)state;
	play("put /o/a one\ncreate /o/a\nmodify+close /o/a\nrename /o/a /o/b\ndelete /o/a\n"
	     "rename /w/x/a /w/x/b\nwait 3000\n");
}

static void test_walk_finds_what_nobody_watched(void **state)
{
	(void)state;
	play("put /w/a one\nput /w/b two\nput /w/c three\nput /w/d four\nbuild\nwalk\n"
	     "put /w/a xxx\nput /w/b - 0600\nrm /w/c\nput /w/e five\nwalk\n"
	     "> BASELINE /w/a before=one,644,0 after=xxx,644,0\n"
	     "> BASELINE /w/b before=two,644,0 after=two,600,0\n"
	     "> BASELINE /w/e after=five,644,0\n> BASELINE /w/c before=three,644,0\nwalk\n");
}

static void test_walk_leaves_to_events_what_waits_for_a_look(void **state)
{
	(void)state;
	play("put /w/a one\nbuild\nput /w/a two\nmodify /w/a by 9\nput /w/n new\ncreate /w/n by 9\n"
	     "walk\nwait 3000\n> CREATE /w/n after=new,644,0 by 9\n"
	     "> WRITE /w/a before=one,644,0 after=two,644,0 by 9\nwalk\n");
}

static void test_unreadable_is_recorded_without_hashes(void **state)
{
	struct world w;
	struct fa_fim_actor actor = { .pid = 1, .session = 1 };

	(void)state;
	world_init(&w);
	fa_fimcore_event(
		w.core, w.now_ms, FAN_EV_CREATE | FAN_EV_CLOSE_WRITE, "/w/a", NULL, &actor);
	w.now_ms += 100;
	(void)fa_fimcore_tick(w.core, w.now_ms);
	assert_int_equal(w.n_looks, 1);
	fa_fimcore_found(w.core, w.now_ms, "/w/a", NULL, -EACCES);
	assert_string_equal(gi_buf_str(&w.said), "> CREATE /w/a by 1\n");
	assert_true(fa_fimcore_idle(w.core));
	world_fini(&w);
}

static void test_event_during_a_look_leads_to_another(void **state)
{
	struct world w;
	struct fa_fim_actor actor = { .pid = 1, .session = 1 };

	(void)state;
	world_init(&w);
	node_put(&w, "/w/a", "one", 0644, 0);
	fa_fimcore_event(
		w.core, w.now_ms, FAN_EV_CREATE | FAN_EV_CLOSE_WRITE, "/w/a", NULL, &actor);
	w.now_ms += 100;
	(void)fa_fimcore_tick(w.core, w.now_ms);
	assert_int_equal(w.n_looks, 1);
	actor.session = 2;
	fa_fimcore_event(
		w.core, w.now_ms, FAN_EV_MODIFY | FAN_EV_CLOSE_WRITE, "/w/a", NULL, &actor);
	answer(&w);
	node_put(&w, "/w/a", "two", 0644, 0);
	pass(&w, 1500);
	assert_string_equal(gi_buf_str(&w.said),
		"> CREATE /w/a after=one,644,0 by 1\n"
		"> WRITE /w/a before=one,644,0 after=two,644,0 by 2\n");
	world_fini(&w);
}

static void test_too_many_at_once_are_walked(void **state)
{
	struct world w;
	struct fa_fim_actor actor = { .pid = 1, .session = 1 };
	char path[64];

	(void)state;
	world_init(&w);
	for (int i = 0; i < FA_FIM_LOOKS_MAX + 100; i++) {
		snprintf(path, sizeof(path), "/w/%d", i);
		fa_fimcore_event(w.core, w.now_ms, FAN_EV_MODIFY, path, NULL, &actor);
	}
	assert_int_equal(w.overruns, 1); /* once */
	w.now_ms += 10000;
	(void)fa_fimcore_tick(w.core, w.now_ms);
	assert_int_equal(w.n_looks, FA_FIM_LOOKING_MAX);
	world_fini(&w);
}

static void test_flush_records_what_waits(void **state)
{
	struct world w;
	struct fa_fim_actor actor = { .pid = 1, .session = 1 };

	(void)state;
	world_init(&w);
	node_put(&w, "/w/a", "one", 0644, 0);
	assert_int_equal(fa_fimbase_put(&w.base, "/w/a", &w.node[0].st), 0);
	fa_fimcore_event(w.core, w.now_ms, FAN_EV_MODIFY, "/w/a", NULL, &actor);
	fa_fimcore_event(w.core, w.now_ms, FAN_EV_CLOSE_WRITE, "/w/b", NULL, &actor);
	fa_fimcore_flush(w.core, w.now_ms);
	assert_string_equal(gi_buf_str(&w.said), "> WRITE /w/a before=one,644,0 by 1\n");
	assert_true(fa_fimcore_idle(w.core));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_written_and_closed_is_one_record),
		cmocka_unit_test(test_create_without_close_is_recorded_soon),
		cmocka_unit_test(test_write_says_before_and_after),
		cmocka_unit_test(test_write_storm_is_few_records),
		cmocka_unit_test(test_writer_that_never_closes_is_recorded_all_the_same),
		cmocka_unit_test(test_closed_and_nothing_changed_is_no_record),
		cmocka_unit_test(test_mapped_store_shows_at_close),
		cmocka_unit_test(test_mode_and_owner_are_attrib),
		cmocka_unit_test(test_delete_has_what_was_there),
		cmocka_unit_test(test_came_and_went_before_a_look),
		cmocka_unit_test(test_looked_for_and_gone_waits_for_its_delete),
		cmocka_unit_test(test_rename_within),
		cmocka_unit_test(test_rename_over_says_what_was_replaced),
		cmocka_unit_test(test_rename_out_and_in),
		cmocka_unit_test(test_renamed_twice_before_a_look),
		cmocka_unit_test(test_directory_rename_moves_the_baseline),
		cmocka_unit_test(test_new_directory_is_looked_into),
		cmocka_unit_test(test_another_session_does_not_wait),
		cmocka_unit_test(test_hard_link_its_other_name_is_looked_at),
		cmocka_unit_test(test_outside_is_nothing),
		cmocka_unit_test(test_walk_finds_what_nobody_watched),
		cmocka_unit_test(test_walk_leaves_to_events_what_waits_for_a_look),
		cmocka_unit_test(test_unreadable_is_recorded_without_hashes),
		cmocka_unit_test(test_event_during_a_look_leads_to_another),
		cmocka_unit_test(test_too_many_at_once_are_walked),
		cmocka_unit_test(test_flush_records_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
