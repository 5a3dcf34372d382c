/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_push_tool.c - drives fw_push_* from script lines, for the namespace tests of fw/
 *
 * Reads lines from stdin, answers each command with "ok ..." or "error CODE WHY" on stdout:
 *   ruleset                 starts a new state: lines of tests/unit/fw/fixture.h follow, then
 *   push                    pushes it whole
 *   delta                   starts a delta on what runs; then "add ELEMENT" and "del ELEMENT"
 *   commit                  pushes it; the version moves by one
 *   marks | running | state reads back
 *   renew                   leases begin anew, as after a heartbeat
 *   owned                   how the table stands
 *   old-kernel              does without DESTROYSETELEM from here on
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fw/push.h"
#include "fw/push_int.h"
#include "tests/unit/fw/fixture.h"

struct tool {
	struct fw_push *push;
	struct gi_buf script; /* of the state that is being put together */
	struct fw_delta delta;
};

static void answer(int rc, const char *why)
{
	if (rc == 0)
		printf("ok\n");
	else
		printf("error %d %s\n", rc, why && *why ? why : gi_strerror(rc));
}

/* what the pusher process does when it has time */
static int do_work(struct tool *t, char why[256])
{
	bool more = true;
	int rc = 0;

	while (more && rc == 0)
		rc = fw_push_work(t->push, &more, why);
	return rc;
}

static int print_elem(void *arg, const struct fw_elem *e)
{
	(void)arg;
	printf("elem %u ", e->key.set);
	for (int i = 0; i < e->key.len; i++)
		printf("%02x", e->key.data[i]);
	printf(" 0x%x", e->mark);
	if (e->lease_s > 0)
		printf(" %u%s", e->lease_s, e->ends ? " ends" : "");
	printf("\n");
	return 0;
}

static void do_push(struct tool *t)
{
	struct fw_state *s = fx_state(gi_buf_str(&t->script));
	char why[256] = "script";
	int rc = s ? fw_push_ruleset(t->push, s, why) : -EINVAL;

	if (rc < 0)
		fw_state_free(s);
	if (rc == 0)
		rc = do_work(t, why);
	answer(rc, why);
}

static void do_op(struct tool *t, bool del, const char *line)
{
	const struct fw_state *s = fw_push_state(t->push);
	struct fw_op *op;

	if (!s || t->delta.n_ops == FW_DELTA_MAX) {
		answer(-EINVAL, "no state, or too many");
		return;
	}
	op = &t->delta.ops[t->delta.n_ops];
	memset(op, 0, sizeof(*op));
	op->del = del;
	if (fx_elem_line(fw_state_ruleset(s), line, &op->elem) < 0) {
		answer(-EINVAL, line);
		return;
	}
	if (del) {
		op->elem.mark = op->elem.lease_s = 0;
		op->elem.ends = false;
	}
	t->delta.n_ops++;
}

static void do_commit(struct tool *t)
{
	const struct fw_state *s = fw_push_state(t->push);
	char why[256] = "no state";
	int rc = -EINVAL;

	if (s) {
		t->delta.generation = fw_state_ruleset(s)->generation;
		t->delta.from_version = fw_state_version(s);
		t->delta.version = t->delta.from_version + 1;
		fw_delta_sort(&t->delta);
		rc = fw_push_delta(t->push, &t->delta, why);
	}
	if (rc == 0)
		rc = do_work(t, why);
	answer(rc, why);
}

static void do_running(struct tool *t)
{
	uint64_t generation = 0, version = 0;
	int rc = fw_push_running(t->push, &generation, &version);

	if (rc == 0)
		printf("running %llu %llu\n", (unsigned long long)generation,
			(unsigned long long)version);
	answer(rc, NULL);
}

static void do_renew(struct tool *t)
{
	char why[256] = "";

	fw_push_renew(t->push);
	answer(do_work(t, why), why);
}

static void do_owned(struct tool *t)
{
	static const char *const words[] = { "off", "us", "old", "plain", "other" };

	printf("owned %s\n", words[fw_push_owned(t->push)]);
	answer(0, NULL);
}

static void do_line(struct tool *t, const char *line)
{
	if (strcmp(line, "ruleset") == 0)
		gi_buf_reset(&t->script);
	else if (strcmp(line, "push") == 0)
		do_push(t);
	else if (strcmp(line, "delta") == 0)
		t->delta.n_ops = 0;
	else if (strncmp(line, "add ", 4) == 0)
		do_op(t, false, line + 4);
	else if (strncmp(line, "del ", 4) == 0)
		do_op(t, true, line + 4);
	else if (strcmp(line, "commit") == 0)
		do_commit(t);
	else if (strcmp(line, "renew") == 0)
		do_renew(t);
	else if (strcmp(line, "owned") == 0)
		do_owned(t);
	else if (strcmp(line, "old-kernel") == 0)
		fw_push_without_destroy(t->push);
	else if (strcmp(line, "running") == 0)
		do_running(t);
	else if (strcmp(line, "marks") == 0)
		answer(fw_push_marks(t->push, print_elem, NULL), NULL);
	else if (strcmp(line, "state") == 0)
		answer(fw_push_state(t->push)
				? fw_state_each(fw_push_state(t->push), true, print_elem, NULL)
				: -EINVAL,
			"no state");
	else
		gi_buf_printf(&t->script, "%s\n", line);
}

/* "plain": the table gets no owner, and the test may change it */
int main(int argc, char **argv)
{
	struct tool t = { 0 };
	char line[4096], why[256];
	int rc = fw_push_new(-1, argc < 2 || strcmp(argv[1], "plain") != 0, &t.push, why);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (rc < 0) {
		answer(rc, why);
		return 1;
	}
	gi_buf_init(&t.script, 64u << 20);
	t.delta.ops = calloc(FW_DELTA_MAX, sizeof(*t.delta.ops));
	while (t.delta.ops && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			do_line(&t, line);
	}
	free(t.delta.ops);
	gi_buf_fini(&t.script);
	fw_push_free(t.push);
	return 0;
}
