/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - idfwctl's requests: queries, and the commands to agents that they wait for
 *
 * Clients are lib/ctl's. Replies come in libepsec's thread and are handed to the loop in order.
 * Invariants: a command is in .commands from eps_command() to its last reply, the guest's end or
 * silence; a query that ended has none; rows of agents are parsed and written again, so that
 * nothing but JSON passes.
 */
#include "config.h"

#include "svm-scan/control_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/base/log.h"
#include "svm-scan/agentmsg.h"

#define CONTROL_TICK_MS 100
#define MAIL_MAX 4096 /* replies that wait for the loop */

struct control_mail { /* from libepsec's thread; len 0: the guest is gone */
	uint64_t id;
	char vm[EPS_VM_MAX + 1];
	struct control_mail *prev, *next;
	size_t len;
	uint8_t buf[];
};

struct scan_control {
	struct scan_service *svc;
	struct gi_ctl *ctl; /* NULL until it listens */
	struct scan_query *queries;
	struct control_command *commands;
	struct io_timer tick;
	struct io_wake wake;
	pthread_mutex_t lock; /* of the next two */
	struct control_mail *mail;
	size_t n_mail;
};

static void control_wake_cb(struct io_wake *w);
static void control_tick_cb(struct io_timer *w);
static const struct gi_ctl_ops control_ctl_ops;

/* ---- life ---- */

int scan_control_new(struct scan_service *s, struct scan_control **ret)
{
	struct scan_control *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->svc = s;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return -ENOMEM;
	}
	io_wake_start(s->loop, &c->wake, control_wake_cb, c);
	*ret = c;
	return 0;
}

int scan_control_listen(struct scan_control *c)
{
	char endpoint[160];
	const struct gi_ctl_conf conf = { .endpoint = endpoint, .software = c->svc->software };

	(void)snprintf(endpoint, sizeof(endpoint), "unix:%s", c->svc->conf->control_socket);
	return gi_ctl_new(c->svc->loop, &conf, &control_ctl_ops, c, &c->ctl);
}

void scan_control_free(struct scan_control *c)
{
	struct control_command *cmd, *next_cmd;
	struct control_mail *m, *next_mail;

	if (!c)
		return;
	gi_ctl_free(c->ctl);
	DL_FOREACH_SAFE (c->commands, cmd, next_cmd)
		free(cmd);
	DL_FOREACH_SAFE (c->mail, m, next_mail)
		free(m);
	io_timer_stop(c->svc->loop, &c->tick);
	io_wake_stop(c->svc->loop, &c->wake);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- queries ---- */

void control_end(struct scan_query *q, uint32_t status, const char *fmt, ...)
{
	struct control_command *cmd, *next;
	va_list ap;

	if (q->done)
		return;
	q->done = true;
	q->status = status;
	va_start(ap, fmt);
	(void)vsnprintf(q->why, sizeof(q->why), fmt, ap);
	va_end(ap);
	wire_text_sanitize(q->why, WIRE_CTL_TEXT_MAX);
	DL_FOREACH_SAFE (q->control->commands, cmd, next) {
		if (cmd->query != q)
			continue;
		DL_DELETE(q->control->commands, cmd);
		free(cmd);
	}
	q->n_commands = 0;
	gi_ctl_wake(q->client);
}

void control_row(struct scan_query *q, json_t *row)
{
	char *json = row ? json_dumps(row, JSON_COMPACT) : NULL;
	struct control_row *r = json ? calloc(1, sizeof(*r)) : NULL;

	json_decref(row);
	if (!r || strlen(json) > WIRE_JSON_MAX || q->n_out >= CONTROL_OUT_MAX) {
		free(r);
		if (json && q->n_out >= CONTROL_OUT_MAX)
			control_end(q, 1, "rows come faster than they are read");
		else if (!json)
			control_end(q, 1, "out of memory");
		free(json);
		return;
	}
	r->json = json;
	DL_APPEND(q->out, r);
	q->n_out++;
	q->rows++;
	gi_ctl_wake(q->client);
}

static void query_free(void *query)
{
	struct scan_query *q = query;
	struct control_row *r, *next;

	if (!q)
		return;
	if (q->scan_id && !q->done) { /* nobody looks any more */
		Idfw__FileCommand stop = IDFW__FILE_COMMAND__INIT;

		stop.verb = IDFW__FILE_COMMAND__VERB__STOP;
		stop.target = q->scan_id;
		(void)control_command(q, q->args[0], &stop, &q->target);
	}
	control_end(q, 1, "gone"); /* its commands */
	DL_DELETE(q->control->queries, q);
	DL_FOREACH_SAFE (q->out, r, next) {
		free(r->json);
		free(r);
	}
	for (size_t i = 0; i < q->n_args; i++)
		free(q->args[i]);
	gi_buf_fini(&q->text);
	free(q);
}

static int query_args(struct scan_query *q, const Idfw__CtlRequest *r)
{
	for (size_t i = 0; i < r->n_arg && i < CONTROL_ARGS_MAX; i++) {
		q->args[i] = strdup(r->arg[i]);
		if (!q->args[i])
			return -ENOMEM;
		q->n_args++;
	}
	return 0;
}

static void query_begin(struct scan_query *q, const Idfw__CtlRequest *r)
{
	for (size_t i = 0; i < control_n_verbs; i++)
		if (strcmp(control_verbs[i].name, r->verb) == 0)
			q->verb = &control_verbs[i];
	if (!q->verb)
		control_end(q, 2, "unknown request \"%.40s\"", r->verb);
	else if (r->n_arg < q->verb->min_args || r->n_arg > q->verb->max_args)
		control_end(q, 2, "%s: wrong number of arguments", q->verb->name);
	else
		q->verb->begin(q);
}

static int control_begin(void *arg, struct gi_ctl_client *cl, const Idfw__CtlRequest *r,
	const char *data, size_t len, const char *by, void **ret_query)
{
	struct scan_control *c = arg;
	struct scan_query *q = calloc(1, sizeof(*q));

	(void)data;
	(void)len; /* none: gi_ctl_conf.max_data is 0 */
	if (!q)
		return -ENOMEM;
	q->control = c;
	q->svc = c->svc;
	q->client = cl;
	q->heard_ms = io_clock_mono_ms();
	(void)snprintf(q->by, sizeof(q->by), "%s", by);
	gi_buf_init(&q->text, SCAN_LOAD_TEXT_MAX);
	DL_APPEND(c->queries, q);
	if (query_args(q, r) < 0) {
		query_free(q);
		return -ENOMEM;
	}
	query_begin(q, r);
	io_timer_start(
		c->svc->loop, &c->tick, CONTROL_TICK_MS, CONTROL_TICK_MS, control_tick_cb, c);
	*ret_query = q;
	return 0;
}

static enum gi_ctl_step control_step(void *query, const struct gi_ctl_out *out)
{
	struct scan_query *q = query;
	struct control_row *r;
	bool room = true;

	if (!q->out && !q->done && q->verb && q->verb->more)
		q->verb->more(q);
	while (room && (r = q->out)) {
		DL_DELETE(q->out, r);
		q->n_out--;
		room = out->row(out->arg, r->json);
		free(r->json);
		free(r);
	}
	if (q->out)
		return GI_CTL_MORE;
	if (!q->done)
		return q->verb && q->verb->more ? GI_CTL_MORE : GI_CTL_WAIT;
	if (q->text.len)
		(void)out->text(out->arg, q->text.data, q->text.len);
	gi_buf_reset(&q->text);
	return GI_CTL_DONE;
}

static uint32_t control_end_cb(void *query, const char **ret_why)
{
	struct scan_query *q = query;

	*ret_why = q->status ? q->why : "";
	return q->status;
}

static void control_log(void *arg, enum gi_log_level level, const char *text)
{
	(void)arg;
	gi_log(level, "%s", text);
}

static const struct gi_ctl_ops control_ctl_ops = { .begin = control_begin,
	.step = control_step,
	.end = control_end_cb,
	.free = query_free,
	.log = control_log };

void control_audit(struct scan_query *q, const char *vm, const char *path, const char *text)
{
	Idfw__ScanRecord rec = IDFW__SCAN_RECORD__INIT;

	rec.kind = IDFW__SCAN_RECORD__KIND__COMMAND;
	rec.time_ms = io_clock_real_ms();
	rec.vm = (char *)(uintptr_t)vm; /* encoding does not write */
	rec.text = (char *)(uintptr_t)text;
	rec.by = q->by;
	rec.path = (ProtobufCBinaryData){ .len = strlen(path), .data = (uint8_t *)(uintptr_t)path };
	(void)!scan_report_add(q->svc->report, &rec); /* counts and says what it loses */
}

/* ---- commands ---- */

bool control_command(struct scan_query *q, const char *vm, Idfw__FileCommand *cmd, uint64_t *ret_id)
{
	struct control_command *c = calloc(1, sizeof(*c));
	size_t len = idfw__file_command__get_packed_size(cmd);
	uint8_t *buf = malloc(len ? len : 1);
	int err = -ENOMEM;

	if (c && buf) {
		len = idfw__file_command__pack(cmd, buf);
		err = strlen(vm) > EPS_VM_MAX ? -EPS_EGONE
					      : eps_command(q->svc->eps, vm, buf, len, &c->id);
	}
	free(buf);
	if (err < 0) {
		free(c);
		if (err == -EPS_EGONE)
			control_end(q, 4, "%.60s is not connected to the scan service", vm);
		else
			control_end(q, 1, "%.60s: %s", vm, eps_strerror(err));
		return false;
	}
	(void)snprintf(c->vm, sizeof(c->vm), "%s", vm);
	c->query = q;
	DL_APPEND(q->control->commands, c);
	q->n_commands++;
	q->heard_ms = io_clock_mono_ms();
	*ret_id = c->id;
	return true;
}

void control_row_pass(struct scan_query *q, const char *vm, const char *json)
{
	json_t *row = json_loads(json, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(row)) { /* an agent's mistake: not ours to repair */
		gi_warn("%s: a row that is no JSON object", vm);
		json_decref(row);
		return;
	}
	if (q->verb->adds_vm)
		(void)json_object_set_new(row, "vm", json_string(vm));
	control_row(q, row);
}

static void reply_pass(struct scan_query *q, const char *vm, const Idfw__FileReply *r)
{
	if (q->verb->reply) {
		q->verb->reply(q, vm, r);
		return;
	}
	if (*r->json)
		control_row_pass(q, vm, r->json);
	if (r->last)
		control_end(q, r->status, "%s", r->text);
}

static void command_replied(struct scan_control *c, const struct control_mail *m)
{
	struct control_command *cmd;
	Idfw__Envelope *e = NULL;
	struct scan_query *q;
	bool last;

	DL_SEARCH_SCALAR(c->commands, cmd, id, m->id);
	if (!cmd || strcmp(cmd->vm, m->vm) != 0)
		return;
	q = cmd->query;
	if (scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_REPLY, m->buf, m->len, &e) < 0)
		return;
	last = e->file_reply->last;
	if (last) {
		DL_DELETE(c->commands, cmd);
		free(cmd);
		q->n_commands--;
	}
	q->heard_ms = io_clock_mono_ms();
	reply_pass(q, m->vm, e->file_reply);
	wire_envelope_free(e);
}

/* ends a command without its agent: as if it had said so itself */
static void command_failed(struct scan_control *c, struct control_command *cmd, const char *why)
{
	Idfw__FileReply r = IDFW__FILE_REPLY__INIT;
	struct scan_query *q = cmd->query;
	char vm[EPS_VM_MAX + 1], text[WIRE_TEXT_MAX + 1];

	memcpy(vm, cmd->vm, sizeof(vm));
	(void)snprintf(text, sizeof(text), "%s: %s", vm, why);
	r.last = true;
	r.status = 1;
	r.text = text;
	DL_DELETE(c->commands, cmd);
	free(cmd);
	q->n_commands--;
	reply_pass(q, vm, &r);
}

static struct control_command *command_of_vm(struct scan_control *c, const char *vm)
{
	struct control_command *cmd;

	DL_FOREACH (c->commands, cmd) {
		if (strcmp(cmd->vm, vm) == 0)
			return cmd;
	}
	return NULL;
}

static void mail_open(struct scan_control *c, const struct control_mail *m)
{
	struct control_command *cmd;

	if (m->len) {
		command_replied(c, m);
		return;
	}
	while ((cmd = command_of_vm(c, m->vm)))
		command_failed(c, cmd, "the guest went away");
}

static void control_wake_cb(struct io_wake *w)
{
	struct scan_control *c = w->arg;
	struct control_mail *list, *m, *next;

	(void)pthread_mutex_lock(&c->lock);
	list = c->mail;
	c->mail = NULL;
	c->n_mail = 0;
	(void)pthread_mutex_unlock(&c->lock);
	DL_FOREACH_SAFE (list, m, next) {
		mail_open(c, m);
		free(m);
	}
}

static void control_tick_cb(struct io_timer *w)
{
	struct scan_control *c = w->arg;
	uint64_t now = io_clock_mono_ms();
	struct scan_query *q, *next;
	struct control_command *cmd, *next_cmd;

	if (!c->queries)
		io_timer_stop(c->svc->loop, &c->tick);
	DL_FOREACH_SAFE (c->commands, cmd, next_cmd) {
		if (now - cmd->query->heard_ms < CONTROL_SILENCE_MS)
			continue;
		command_failed(c, cmd, "the agent does not answer");
		break; /* others of the same query may be gone: the next tick looks */
	}
	DL_FOREACH_SAFE (c->queries, q, next) {
		if (!q->done && q->verb && q->verb->tick)
			q->verb->tick(q);
	}
}

/* ---- from other threads ---- */

static void mail_post(
	struct scan_control *c, const char *vm, uint64_t id, const void *buf, size_t len)
{
	struct control_mail *m = calloc(1, sizeof(*m) + len);

	if (!m)
		return; /* silence ends the command */
	m->id = id;
	m->len = len;
	(void)snprintf(m->vm, sizeof(m->vm), "%s", vm);
	if (len)
		memcpy(m->buf, buf, len);
	(void)pthread_mutex_lock(&c->lock);
	if (c->n_mail < MAIL_MAX || len == 0) {
		DL_APPEND(c->mail, m);
		c->n_mail++;
		m = NULL;
	}
	(void)pthread_mutex_unlock(&c->lock);
	free(m);
	io_wake_send(c->svc->loop, &c->wake);
}

void scan_control_reply(
	struct scan_control *c, const char *vm, uint64_t id, const uint8_t *buf, size_t len)
{
	if (len)
		mail_post(c, vm, id, buf, len);
}

void scan_control_guest_down(struct scan_control *c, const char *vm)
{
	mail_post(c, vm, 0, NULL, 0);
}

/* ---- from the main thread ---- */

void scan_control_reloaded(struct scan_control *c, int err, const char *text)
{
	struct scan_query *q, *next;

	DL_FOREACH_SAFE (c->queries, q, next) {
		if (!q->done && q->verb && q->verb->reloaded)
			q->verb->reloaded(q, err, text);
	}
}

void scan_control_acked(struct scan_control *c)
{
	if (c && c->queries)
		io_timer_start(c->svc->loop, &c->tick, 0, CONTROL_TICK_MS, control_tick_cb, c);
}
