/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmdtest.c - TEST: the EICAR check on this guest, step by step, and where it fails
 *
 * Runs in gi-fileagent's worker. A third process plays the user (probe.h); here its words become
 * rows: watched, save, gone, clean. The first that is not ok is the last one, but for clean, which
 * is always tried: whatever is in quarantine from the test is purged.
 */
#include "fileagent/command_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileagent/probe.h"
#include "fileagent/worker_int.h"

#define WORDS_MAX 8192
#define LIMIT_MS (FA_PROBE_MS + 5000)
#define ROUNDS 3 /* looks into the quarantine */
#define ROUND_MS 250

struct test {
	struct fa_cmd *cmd;
	int fd;
	struct io_fd words;
	struct io_timer limit;
	struct gi_buf said;
	bool failed, quarantined, dirty;
	uint64_t index; /* in the quarantine */
	unsigned int rounds;
	char saved[WIRE_PATH_MAX + 1];
	char left[256]; /* what could not be cleaned */
};

static void test_stop(struct fa_cmd *c)
{
	struct test *t = c->state;

	io_fd_stop(c->worker->loop, &t->words);
	io_timer_stop(c->worker->loop, &t->limit);
	if (t->fd >= 0)
		close(t->fd);
	gi_buf_fini(&t->said);
	free(t);
	c->state = NULL;
}

static void step(struct test *t, const char *name, bool ok, const char *text)
{
	struct fa_json j;

	fa_cmd_row(t->cmd, &j, "step");
	fa_json_text(&j, "step", name);
	fa_json_bool(&j, "ok", ok);
	fa_json_text(&j, "text", text);
	fa_json_end(&j);
	fa_cmd_send(t->cmd);
	t->failed = t->failed || !ok;
}

static void end(struct test *t)
{
	char text[300];

	if (t->dirty)
		snprintf(text, sizeof(text), "not removed: %s", t->left);
	else
		snprintf(text, sizeof(text), "nothing of it is left%s",
			t->quarantined ? ", in quarantine neither" : "");
	if (!t->failed || t->dirty)
		step(t, "clean", !t->dirty, text);
	fa_cmd_end(
		t->cmd, t->failed ? FA_CMD_EXIT_NO : 0, t->failed ? "the test has failed" : NULL);
}

/* ---- the quarantine is cleaned too ---- */

static void vault_next(struct test *t);

static void purged_cb(void *arg, const struct fa_rec *r, int fd)
{
	struct fa_cmd *c = arg;
	struct test *t = c->state;

	(void)fd;
	if (r->err < 0) {
		t->dirty = true;
		snprintf(t->left, sizeof(t->left), "%.200s, in quarantine", t->saved);
		end(t);
		return;
	}
	t->quarantined = true;
	vault_next(t); /* those behind it have moved up */
}

static void round_cb(struct io_timer *timer)
{
	struct test *t = timer->arg;

	t->index = 0;
	vault_next(t);
}

/* what was closed, and what was held at an open, are two scans: the later one may come in late */
static void round_end(struct test *t)
{
	if (++t->rounds == ROUNDS)
		end(t);
	else
		io_timer_start(t->cmd->worker->loop, &t->limit, ROUND_MS, 0, round_cb, t);
}

/* its directory's name was made for this test alone; a name that is gone has words behind it */
static bool is_ours(const struct test *t, const struct fa_rec *r)
{
	size_t len = strlen(t->saved);

	return r->path_len >= len && memcmp(r->path, t->saved, len) == 0;
}

static void vault_cb(void *arg, const struct fa_rec *r, int fd)
{
	struct fa_cmd *c = arg;
	struct test *t = c->state;
	struct fa_rec rec = { .op = FA_OP_VAULT_PURGE };

	(void)fd;
	if (r->err < 0) {
		round_end(t);
		return;
	}
	if (!is_ours(t, r)) {
		t->index++;
		vault_next(t);
		return;
	}
	memcpy(rec.qid, r->qid, sizeof(rec.qid));
	if (!c->worker->super ||
		fa_super_request(c->worker->super, &rec, NULL, 0, purged_cb, c) < 0)
		end(t);
}

static void vault_next(struct test *t)
{
	struct fa_rec rec = { .op = FA_OP_VAULT_LIST, .value = t->index };
	struct fa_super *super = t->cmd->worker->super;

	if (!super || fa_super_request(super, &rec, NULL, 0, vault_cb, t->cmd) < 0)
		end(t);
}

/* ---- what the probe says ---- */

static void ended(struct test *t)
{
	if (t->saved[0])
		vault_next(t);
	else
		end(t);
}

static void step_gone(struct test *t, const char *denied, const char *gone, const char *read)
{
	char text[320];

	if (gone && read)
		snprintf(text, sizeof(text),
			"it was gone %s ms after it was closed, but its content could be read "
			"until "
			"%s ms",
			gone, read);
	else if (gone)
		snprintf(text, sizeof(text), "it was gone %s ms after it was closed", gone);
	else if (denied)
		snprintf(text, sizeof(text), "it may not be opened: %s", denied);
	else
		snprintf(text, sizeof(text), "it is there and can be read, %s ms later",
			read ? read : "?");
	step(t, "gone", !read && (gone || denied), text);
}

static const char *word(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncmp(line, name, n) == 0 && (line[n] == ' ' || line[n] == '\0')
		       ? line + n + (line[n] == ' ')
		       : NULL;
}

/* all that was said, line by line; NUL-terminated in place */
static void judge(struct test *t)
{
	const char *gone = NULL, *denied = NULL, *read = NULL, *failed = NULL, *w;
	char *save = NULL;

	for (char *l = strtok_r((char *)t->said.data, "\n", &save); l;
		l = strtok_r(NULL, "\n", &save)) {
		if ((w = word(l, "saved")))
			snprintf(t->saved, sizeof(t->saved), "%s", w);
		else if ((w = word(l, "failed")))
			failed = w;
		else if ((w = word(l, "gone")))
			gone = w;
		else if ((w = word(l, "denied")))
			denied = w;
		else if ((w = word(l, "read")))
			read = w;
		else if ((w = word(l, "dirty"))) {
			t->dirty = true;
			snprintf(t->left, sizeof(t->left), "%s", w);
		}
	}
	step(t, "save", t->saved[0], t->saved[0] ? t->saved : failed ? failed : "nothing was said");
	if (t->saved[0])
		step_gone(t, denied, gone, read);
}

static void words_cb(struct io_fd *f, unsigned int events)
{
	struct test *t = f->arg;
	char buf[512];
	ssize_t n;

	(void)events;
	n = read(t->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		gi_buf_append(&t->said, buf, (size_t)n);
		return;
	}
	io_fd_stop(t->cmd->worker->loop, &t->words);
	io_timer_stop(t->cmd->worker->loop, &t->limit);
	judge(t);
	ended(t);
}

static void limit_cb(struct io_timer *timer)
{
	struct test *t = timer->arg;

	io_fd_stop(t->cmd->worker->loop, &t->words);
	step(t, "save", false, "the process that saves the test file does not end");
	ended(t);
}

static void started_cb(void *arg, const struct fa_rec *r, int fd)
{
	struct fa_cmd *c = arg;
	struct test *t = c->state;

	if (r->err < 0 || fd < 0) {
		step(t, "save", false, r->err < 0 ? gi_strerror(r->err) : "no process");
		end(t);
		return;
	}
	t->fd = fd;
	io_fd_start(c->worker->loop, &t->words, fd, IO_READ, words_cb, t);
	io_timer_start(c->worker->loop, &t->limit, LIMIT_MS, 0, limit_cb, t);
}

void fa_cmd_test(struct fa_cmd *c)
{
	const struct worker *w = (const struct worker *)c->worker;
	const struct fa_watch_conf *watch = w->conf.watches.n ? fa_conf_watch(&w->conf, 0) : NULL;
	struct fa_rec rec = { .op = FA_OP_TEST };
	struct test *t = calloc(1, sizeof(*t));

	if (!t) {
		fa_cmd_end(c, FA_CMD_EXIT_NO, "out of memory");
		return;
	}
	t->cmd = c;
	t->fd = -1;
	gi_buf_init(&t->said, WORDS_MAX);
	c->state = t;
	c->stop = test_stop;
	if (!watch) {
		step(t, "watched", false, "the configuration watches nothing");
		end(t);
		return;
	}
	step(t, "watched", true, watch->path);
	rec.path_len = (uint32_t)strlen(watch->path);
	memcpy(rec.path, watch->path, rec.path_len);
	if (!c->worker->super ||
		fa_super_request(c->worker->super, &rec, NULL, 0, started_cb, c) < 0) {
		step(t, "save", false, "the supervisor cannot be asked");
		end(t);
	}
}
