/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.c - an operator's commands: kept, answered row by row; the quarantine's verbs
 *
 * Runs in gi-fileagent's worker; worker.h has the contract, docs/control.md the rows. What an
 * operator may do is decided where he connects (svm-scan); the path that he names is opened by the
 * supervisor, and only below what is watched. Invariants: at most FA_CMDS_MAX at once; each gets
 * exactly one row with `last`; a command whose link went down ends without a word.
 */
#include "fileagent/command_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting { /* a row that the link did not take yet */
	struct waiting *next;
	size_t len;
	uint8_t frame[];
};

struct fa_commands {
	struct fa_worker *worker;
	struct fa_cmd *first;
	size_t n;
	struct waiting *rows, **last_row;
	size_t row_bytes;
	struct io_idle sweep; /* frees what has ended */
};

static void cmd_free(struct fa_cmd *c)
{
	*c->pp = c->next;
	if (c->next)
		c->next->pp = c->pp;
	c->all->n--;
	gi_buf_fini(&c->row);
	free(c);
}

static void cmd_stop(struct fa_cmd *c)
{
	if (c->worker->super)
		fa_super_forget(c->worker->super, c);
	if (c->stop)
		c->stop(c);
	c->stop = NULL;
	c->ended = true;
}

static void sweep_cb(struct io_idle *t)
{
	struct fa_commands *all = t->arg;
	struct fa_cmd *c = all->first, *next;

	for (; c; c = next) {
		next = c->next;
		if (c->ended)
			cmd_free(c);
	}
}

int fa_commands_new(struct fa_worker *w, struct fa_commands **ret)
{
	struct fa_commands *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->worker = w;
	all->last_row = &all->rows;
	*ret = all;
	return 0;
}

static void rows_drop(struct fa_commands *all)
{
	struct waiting *r;

	while ((r = all->rows)) {
		all->rows = r->next;
		free(r);
	}
	all->last_row = &all->rows;
	all->row_bytes = 0;
}

void fa_commands_down(struct fa_commands *all)
{
	for (struct fa_cmd *c = all->first; c; c = c->next)
		cmd_stop(c);
	rows_drop(all);
	io_idle_once(all->worker->loop, &all->sweep, sweep_cb, all);
}

void fa_commands_free(struct fa_commands *all)
{
	if (!all)
		return;
	io_idle_stop(all->worker->loop, &all->sweep);
	while (all->first) {
		cmd_stop(all->first);
		cmd_free(all->first);
	}
	rows_drop(all);
	free(all);
}

/* ---- rows ---- */

void fa_commands_pump(struct fa_commands *all)
{
	bool full = all->row_bytes > FA_CMD_ROWS_MAX / 2;

	while (all->rows && fa_link_has_room(all->worker->link)) {
		struct waiting *r = all->rows;

		if (fa_link_send_frame(all->worker->link, r->frame, r->len) < 0)
			break;
		all->rows = r->next;
		if (!all->rows)
			all->last_row = &all->rows;
		all->row_bytes -= r->len;
		free(r);
	}
	for (struct fa_cmd *c = all->first; full && c; c = c->next) {
		if (!c->ended && c->verb == IDFW__FILE_COMMAND__VERB__SCAN)
			fa_cmd_scan_room(c);
	}
}

static void reply_send(struct fa_cmd *c, Idfw__FileReply *m)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct fa_commands *all = c->all;
	struct waiting *r;
	struct gi_buf b;

	m->id = c->id;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_REPLY;
	env.file_reply = m;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_envelope_encode(&env, &b) < 0) {
		fa_err("a reply cannot be sent: it is too long");
	} else if ((r = malloc(sizeof(*r) + b.len))) {
		r->next = NULL;
		r->len = b.len;
		memcpy(r->frame, b.data, b.len);
		*all->last_row = r;
		all->last_row = &r->next;
		all->row_bytes += r->len;
		fa_commands_pump(all);
	}
	gi_buf_fini(&b);
}

void fa_cmd_row(struct fa_cmd *c, struct fa_json *j, const char *type)
{
	gi_buf_reset(&c->row);
	fa_json_begin(j, &c->row);
	if (type)
		fa_json_text(j, "type", type);
}

void fa_cmd_send(struct fa_cmd *c)
{
	Idfw__FileReply m = IDFW__FILE_REPLY__INIT;

	if (gi_buf_error(&c->row) < 0 || c->ended)
		return;
	m.json = (char *)c->row.data;
	reply_send(c, &m);
}

bool fa_cmd_has_room(const struct fa_cmd *c)
{
	return c->all->row_bytes <= FA_CMD_ROWS_MAX / 2;
}

void fa_cmd_end(struct fa_cmd *c, uint32_t status, const char *text)
{
	Idfw__FileReply m = IDFW__FILE_REPLY__INIT;
	char copy[WIRE_TEXT_MAX + 1];

	if (c->ended)
		return;
	snprintf(copy, sizeof(copy), "%s", text ? text : "");
	wire_text_sanitize(copy, WIRE_TEXT_MAX);
	m.last = true;
	m.status = status;
	m.text = copy;
	reply_send(c, &m);
	cmd_stop(c);
	io_idle_once(c->worker->loop, &c->all->sweep, sweep_cb, c->all);
}

/* ---- quarantine ---- */

static void request(struct fa_cmd *c, struct fa_rec *rec,
	void (*cb)(void *arg, const struct fa_rec *rec, int fd))
{
	int err = c->worker->super ? fa_super_request(c->worker->super, rec, NULL, 0, cb, c)
				   : -ENOTCONN;

	if (err < 0)
		fa_cmd_end(c, FA_CMD_EXIT_NO, gi_strerror(err));
}

static void list_next(struct fa_cmd *c, uint64_t index);

static void list_row(struct fa_cmd *c, const struct fa_rec *r)
{
	const struct fa_meta *m = &r->meta;
	struct fa_json j;

	fa_cmd_row(c, &j, NULL);
	fa_json_hex(&j, "id", r->qid, sizeof(r->qid));
	fa_json_number(&j, "time_ms", m->time_ms);
	fa_json_bytes(&j, "path", r->path, r->path_len);
	fa_json_number(&j, "size", m->size);
	fa_json_number(&j, "mode", m->mode);
	fa_json_number(&j, "uid", m->uid);
	fa_json_number(&j, "actor_uid", m->actor_uid);
	fa_json_text(&j, "user", m->user);
	fa_json_number(&j, "session", m->session);
	fa_json_hex(&j, "sha256", m->sha256, sizeof(m->sha256));
	fa_json_text(&j, "engine", m->engine);
	fa_json_text(&j, "signature", m->signature);
	fa_json_text(&j, "reason", m->reason);
	fa_json_end(&j);
	fa_cmd_send(c);
}

static uint64_t *list_index(struct fa_cmd *c)
{
	return c->state;
}

static void state_free(struct fa_cmd *c)
{
	free(c->state);
	c->state = NULL;
}

static void list_cb(void *arg, const struct fa_rec *r, int fd)
{
	struct fa_cmd *c = arg;

	(void)fd;
	if (r->err == -ENOENT) {
		fa_cmd_end(c, 0, NULL);
	} else if (r->err < 0) {
		fa_cmd_end(c, FA_CMD_EXIT_NO, gi_strerror(r->err));
	} else {
		list_row(c, r);
		list_next(c, *list_index(c) + 1);
	}
}

static void list_next(struct fa_cmd *c, uint64_t index)
{
	struct fa_rec rec = { .op = FA_OP_VAULT_LIST, .value = index };

	*list_index(c) = index;
	request(c, &rec, list_cb);
}

static void list(struct fa_cmd *c)
{
	c->state = calloc(1, sizeof(uint64_t));
	c->stop = state_free;
	if (c->state)
		list_next(c, 0);
	else
		fa_cmd_end(c, FA_CMD_EXIT_NO, "out of memory");
}

static void vault_failed(struct fa_cmd *c, const struct fa_rec *r)
{
	if (r->err == -ENOENT)
		fa_cmd_end(c, FA_CMD_EXIT_NOT_FOUND, "no such file in quarantine");
	else
		fa_cmd_end(c, FA_CMD_EXIT_NO, r->text[0] ? r->text : gi_strerror(r->err));
}

static void restore_cb(void *arg, const struct fa_rec *r, int fd)
{
	struct fa_cmd *c = arg;
	struct fa_json j;

	(void)fd;
	if (r->err < 0) {
		vault_failed(c, r);
		return;
	}
	fa_cmd_row(c, &j, NULL);
	fa_json_hex(&j, "id", (const uint8_t *)c->path, WIRE_QUARANTINE_ID_LEN);
	fa_json_bytes(&j, "path", r->path, r->path_len);
	fa_json_end(&j);
	fa_cmd_send(c);
	fa_cmd_end(c, 0, NULL);
}

static void purge_cb(void *arg, const struct fa_rec *r, int fd)
{
	struct fa_cmd *c = arg;
	struct fa_json j;

	(void)fd;
	if (r->err < 0) {
		vault_failed(c, r);
		return;
	}
	fa_cmd_row(c, &j, NULL);
	fa_json_number(&j, "purged", r->value);
	fa_json_end(&j);
	fa_cmd_send(c);
	fa_cmd_end(c, 0, NULL);
}

static void vault(struct fa_cmd *c, enum fa_op op, const ProtobufCBinaryData *qid)
{
	struct fa_rec rec = { .op = op };

	if (qid->len != sizeof(rec.qid) && (qid->len || op == FA_OP_VAULT_RESTORE)) {
		fa_cmd_end(c, FA_CMD_EXIT_NOT_FOUND, "no such file in quarantine");
		return;
	}
	if (qid->len) {
		memcpy(rec.qid, qid->data, sizeof(rec.qid));
		memcpy(c->path, qid->data, sizeof(rec.qid)); /* for restore's row */
	}
	request(c, &rec, op == FA_OP_VAULT_RESTORE ? restore_cb : purge_cb);
}

/* ---- a command comes ---- */

static void stop_scan(struct fa_cmd *c, uint64_t target)
{
	for (struct fa_cmd *o = c->all->first; o; o = o->next) {
		if (o->id != target || o->verb != IDFW__FILE_COMMAND__VERB__SCAN || o->ended)
			continue;
		fa_cmd_end(o, FA_CMD_EXIT_NO, "stopped");
		fa_cmd_end(c, 0, NULL);
		return;
	}
	fa_cmd_end(c, FA_CMD_EXIT_NOT_FOUND, "no such scan is under way");
}

static void dispatch(struct fa_cmd *c, const Idfw__FileCommand *cmd)
{
	switch (cmd->verb) {
	case IDFW__FILE_COMMAND__VERB__QUARANTINE_LIST:
		list(c);
		break;
	case IDFW__FILE_COMMAND__VERB__QUARANTINE_RESTORE:
		vault(c, FA_OP_VAULT_RESTORE, &cmd->quarantine_id);
		break;
	case IDFW__FILE_COMMAND__VERB__QUARANTINE_PURGE:
		vault(c, FA_OP_VAULT_PURGE, &cmd->quarantine_id);
		break;
	case IDFW__FILE_COMMAND__VERB__SCAN:
		fa_cmd_scan(c);
		break;
	case IDFW__FILE_COMMAND__VERB__STOP:
		stop_scan(c, cmd->target);
		break;
	case IDFW__FILE_COMMAND__VERB__EXPLAIN:
		fa_cmd_explain(c);
		break;
	case IDFW__FILE_COMMAND__VERB__TEST:
		fa_cmd_test(c);
		break;
	default:
		fa_cmd_end(c, 2, "gi-fileagent does not know that command");
	}
}

void fa_command(struct fa_commands *all, const Idfw__FileCommand *cmd)
{
	struct fa_cmd *c = calloc(1, sizeof(*c));

	if (!c) {
		fa_err("out of memory: a command is not answered");
		return;
	}
	c->all = all;
	c->worker = all->worker;
	c->id = cmd->id;
	c->verb = cmd->verb;
	gi_buf_init(&c->row, WIRE_JSON_MAX);
	c->next = all->first;
	if (c->next)
		c->next->pp = &c->next;
	c->pp = &all->first;
	all->first = c;
	if (++all->n > FA_CMDS_MAX) {
		fa_cmd_end(c, FA_CMD_EXIT_NO, "too many commands at once: try again");
		return;
	}
	if (cmd->path.len > WIRE_PATH_MAX) {
		fa_cmd_end(c, 2, "the path is too long");
		return;
	}
	if (cmd->path.len)
		memcpy(c->path, cmd->path.data, cmd->path.len);
	for (size_t n = strlen(c->path); n > 1 && c->path[n - 1] == '/'; n--)
		c->path[n - 1] = '\0';
	dispatch(c, cmd);
}
