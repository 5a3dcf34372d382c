/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmdexplain.c - EXPLAIN: what is known of a file, what would be done with it, and why
 *
 * Runs in gi-fileagent's worker. The supervisor opens the file (below watched and fim places only),
 * it is hashed, then one row says all of it. Nothing is changed, nothing is scanned.
 */
#include "fileagent/command_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileagent/worker_int.h"

#define HASH_MAX (64u << 20)

struct explain {
	int fd;
	struct fa_ident id;
	uint32_t mode;
	bool opened;
	int open_err;
	uint8_t sha[IO_SHA256_LEN];
	bool has_sha;
};

static void explain_stop(struct fa_cmd *c)
{
	struct explain *x = c->state;

	fa_reads_forget(c->worker->reads, c);
	if (x->fd >= 0)
		close(x->fd);
	free(x);
	c->state = NULL;
}

static const char *cached_word(enum fa_known k)
{
	return k == FA_KNOWN_ALLOW ? "allow" : k == FA_KNOWN_DENY ? "deny" : NULL;
}

static void sentence(struct gi_buf *b, const struct fa_cmd *c, enum fa_filtered where,
	const struct fa_policy *p, enum fa_known known)
{
	const struct explain *x = c->state;
	const struct worker *w = (const struct worker *)c->worker;

	if (x->open_err && (where == FA_WATCHED || x->open_err != -EACCES))
		gi_buf_printf(b, "it cannot be looked at: %s; ", gi_strerror(x->open_err));
	if (where == FA_OUTSIDE)
		gi_buf_printf(b, "no watch is above this path: nobody is held");
	else if (where == FA_EXCLUDED)
		gi_buf_printf(b, "excluded by the configuration: nobody is held");
	else if (x->opened && !S_ISREG(x->mode))
		gi_buf_printf(b, "not a regular file: nobody is held");
	else if (x->opened && x->id.size == 0)
		gi_buf_printf(b, "empty: let through at once");
	else if (known == FA_KNOWN_ALLOW)
		gi_buf_printf(b, "judged clean, and the same since: let through at once");
	else if (known == FA_KNOWN_DENY)
		gi_buf_printf(b, "judged bad, and the same since: an open fails");
	else if (!fa_scan_ready(w->pub.scan))
		gi_buf_printf(b, "the scan service is not there: an open is %s after its deadline",
			p->strict ? "denied" : "let through");
	else
		gi_buf_printf(b,
			"an open waits for the service's verdict, at most %llu ms, then it is %s",
			(unsigned long long)fa_scan_allowance_ms(w->pub.scan, x->id.size),
			p->strict ? "denied" : "let through");
}

static void answer(struct fa_cmd *c)
{
	struct worker *w = (struct worker *)c->worker;
	const struct explain *x = c->state;
	size_t path_len = strlen(c->path), epoch_len = 0;
	struct fa_policy p = { .watch = "" };
	enum fa_filtered where = fa_filter_path(w->filter, c->path, path_len, false, &p);
	enum fa_known known = x->opened ? fa_table_find(w->table, &x->id) : FA_KNOWN_NOT;
	const uint8_t *epoch = fa_scan_epoch(w->pub.scan, &epoch_len);
	struct gi_buf text;
	struct fa_json j;

	gi_buf_init(&text, 1024);
	sentence(&text, c, where, &p, known);
	fa_cmd_row(c, &j, "explain");
	fa_json_text(&j, "path", c->path);
	fa_json_bool(&j, "watched", where == FA_WATCHED);
	fa_json_text(&j, "excluded", where == FA_EXCLUDED ? "path" : NULL);
	fa_json_text(&j, "watch", where == FA_WATCHED ? p.watch : NULL);
	fa_json_text(&j, "policy", where != FA_WATCHED ? NULL : p.strict ? "strict" : "allow");
	fa_json_text(&j, "fim", fa_filter_fim(w->filter, c->path, path_len));
	fa_json_text(&j, "cached", cached_word(known));
	fa_json_hex(&j, "epoch", epoch, epoch_len);
	fa_json_number(&j, "size", x->id.size);
	fa_json_hex(&j, "sha256", x->sha, x->has_sha ? sizeof(x->sha) : 0);
	fa_json_text(&j, "text", gi_buf_str(&text));
	fa_json_end(&j);
	fa_cmd_send(c);
	gi_buf_fini(&text);
	fa_cmd_end(c, 0, NULL);
}

static void hashed_cb(void *arg, int err, const uint8_t sha[IO_SHA256_LEN])
{
	struct fa_cmd *c = arg;
	struct explain *x = c->state;

	x->has_sha = err == 0;
	if (err == 0)
		memcpy(x->sha, sha, sizeof(x->sha));
	answer(c);
}

static void opened_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct fa_cmd *c = arg;
	struct explain *x = c->state;

	x->fd = fd;
	x->open_err = rec->err;
	if (rec->err == -ENOENT) {
		fa_cmd_end(c, FA_CMD_EXIT_NOT_FOUND, "no such file");
		return;
	}
	x->opened = fd >= 0 && fa_events_stat(fd, &x->id, &x->mode, NULL) == 0;
	if (!x->opened || !S_ISREG(x->mode) ||
		fa_reads_hash(c->worker->reads, fd, HASH_MAX, hashed_cb, c) < 0)
		answer(c);
}

void fa_cmd_explain(struct fa_cmd *c)
{
	struct fa_rec rec = { .op = FA_OP_OPEN, .path_len = (uint32_t)strlen(c->path) };
	struct explain *x = calloc(1, sizeof(*x));
	int err = x ? 0 : -ENOMEM;

	if (c->path[0] != '/') {
		free(x);
		fa_cmd_end(c, 2, "the path must be absolute");
		return;
	}
	if (x) {
		x->fd = -1;
		c->state = x;
		c->stop = explain_stop;
		memcpy(rec.path, c->path, rec.path_len);
		err = c->worker->super
			      ? fa_super_request(c->worker->super, &rec, NULL, 0, opened_cb, c)
			      : -ENOTCONN;
	}
	if (err < 0)
		fa_cmd_end(c, FA_CMD_EXIT_NO, gi_strerror(err));
}
