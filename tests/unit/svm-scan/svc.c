/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svc.c - the real svm-scan, and what it talks to (svc.h)
 */
#include "config.h"

#include "tests/unit/svm-scan/svc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/io/sock.h"
#include "tests/unit/svm-scan/bed.h"

extern char **environ;

/* ---- the receiver ---- */

static void link_send(struct svc *s, const Idfw__Envelope *e)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	assert_int_equal(io_chan_send(s->link, b.data, b.len), 0);
	gi_buf_fini(&b);
}

static void link_hello(struct svc *s, const Idfw__Hello *h)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__HelloAck a = IDFW__HELLO_ACK__INIT;

	s->hellos++;
	if (memcmp(s->outbox, h->boot_id.data, sizeof(s->outbox)) != 0) {
		memcpy(s->outbox, h->boot_id.data, sizeof(s->outbox));
		s->acked = 0;
	}
	a.version = 1;
	a.software = (char *)(uintptr_t) "test svm";
	a.acked_seq = s->acked;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	e.hello_ack = &a;
	s->link_state = WIRE_OPEN;
	link_send(s, &e);
}

static void copy(char *to, size_t size, const void *from, size_t len)
{
	len = len < size ? len : size - 1;
	if (len)
		memcpy(to, from, len);
	to[len] = '\0';
}

static void record_keep(struct svc_record *k, const Idfw__ScanRecord *r)
{
	*k = (struct svc_record){ .seq = r->seq,
		.kind = (int)r->kind,
		.verdict = (int)r->verdict,
		.result = (int)r->result,
		.isolate = (int)r->isolate,
		.op = (int)r->op,
		.took_us = r->took_us,
		.sha256_len = r->sha256.len,
		.qid_len = r->quarantine_id.len };
	copy(k->vm, sizeof(k->vm), r->vm, strlen(r->vm));
	copy(k->path, sizeof(k->path), r->path.data, r->path.len);
	copy(k->engine, sizeof(k->engine), r->engine, strlen(r->engine));
	copy(k->signature, sizeof(k->signature), r->signature, strlen(r->signature));
	copy(k->text, sizeof(k->text), r->text, strlen(r->text));
	copy(k->by, sizeof(k->by), r->by, strlen(r->by));
	if (r->actor) {
		k->session = r->actor->session;
		copy(k->user, sizeof(k->user), r->actor->user, strlen(r->actor->user));
	}
}

/* numbers rise in a connection; what came before is counted and not kept again */
static void link_record(struct svc *s, const Idfw__ScanRecord *r)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__ScanAck a = IDFW__SCAN_ACK__INIT;
	bool seen = false;

	for (size_t i = 0; i < s->n_records; i++)
		seen = seen || s->records[i].seq == r->seq;
	if (seen) {
		s->twice++;
	} else {
		assert_true(s->n_records < SVC_RECORDS_MAX);
		record_keep(&s->records[s->n_records++], r);
	}
	if (s->mute)
		return;
	s->acked = r->seq;
	a.seq = r->seq;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_ACK;
	e.scan_ack = &a;
	link_send(s, &e);
}

static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct svc *s = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	if (wire_envelope_decode(buf, len, WIRE_SCAN, s->link_state, &e, &why) < 0)
		fail_msg("svm-scan sent a bad message: %s", why);
	if (e->body_case == IDFW__ENVELOPE__BODY_HELLO)
		link_hello(s, e->hello);
	else if (e->body_case == IDFW__ENVELOPE__BODY_SCAN_RECORD)
		link_record(s, e->scan_record);
	wire_envelope_free(e);
}

static void link_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct svc *s = arg;

	(void)err;
	(void)why;
	s->link = NULL;
	io_chan_free(c);
}

static const struct io_chan_ops link_ops = { .frame = link_frame, .closed = link_closed };

static void accept_cb(struct io_fd *w, unsigned int events)
{
	const struct io_chan_conf cc = { WIRE_FRAME_MAX, 8u << 20 };
	struct svc *s = w->arg;
	struct io_tls *tls = NULL;
	int fd;

	(void)events;
	if (io_sock_accept(s->listen_fd, &fd) < 0)
		return;
	if (s->deaf || s->link) {
		(void)close(fd);
		return;
	}
	assert_int_equal(io_tls_new(s->tls, NULL, &tls), 0);
	s->link_state = WIRE_NEW;
	assert_int_equal(io_chan_new(s->loop, fd, tls, &cc, &link_ops, s, &s->link), 0);
}

/* ---- the bed ---- */

static void path_of(struct svc *s, char *to, size_t size, const char *name)
{
	assert_true(snprintf(to, size, "%s/%s", s->bed.dir, name) < (int)size);
}

void svc_list_write(struct svc *s, const char *text)
{
	bed_text(s->list, text);
}

void svc_conf_write(struct svc *s)
{
	char text[4096];
	const char *d = s->bed.dir;

	assert_true(
		snprintf(text, sizeof(text),
			"listen \"%1$s\"; ca \"%2$s\"; cert \"%3$s\"; key \"%4$s\";\n"
			"mux-names host1, host2; user nobody;\n"
			"state-dir \"%5$s/state\"; tmp-dir \"%5$s/tmp\";\n"
			"control-socket \"%6$s\"; yara-rules \"%7$s\"; hash-list \"%8$s\";\n"
			"audit \"%9$s\"; audit-name \"svm.test\"; retry 20ms; sandbox relaxed;\n"
#ifdef __SANITIZE_ADDRESS__
			"memory-limit 0;\n"
#endif
			"%10$s\n",
			s->bed.listen, s->bed.ca, s->bed.cert, s->bed.key, d, s->ctl, s->rules,
			s->list, s->audit, s->extra) < (int)sizeof(text));
	bed_text(s->conf, text);
}

void svc_init(struct svc *s)
{
	struct io_tls_conf tc = { .server = true };
	struct io_endpoint ep;
	char why[256];

	memset(s, 0, sizeof(*s));
	tg_bed_init(&s->bed);
	assert_int_equal(chmod(s->bed.dir, 0711), 0);
	path_of(s, s->conf, sizeof(s->conf), "conf");
	path_of(s, s->log, sizeof(s->log), "log");
	path_of(s, s->list, sizeof(s->list), "list");
	path_of(s, s->rules, sizeof(s->rules), "rules.yar");
	path_of(s, s->ctl, sizeof(s->ctl), "state/ctl");
	(void)snprintf(s->audit, sizeof(s->audit), "unix:%s/audit", s->bed.dir);
	bed_text(s->rules, "rule Marker { strings: $a = \"idfw yara marker\" condition: $a }\n");
	svc_list_write(s, "# nothing\n");
	tc.ca_file = s->bed.ca;
	tc.cert_file = s->bed.cert;
	tc.key_file = s->bed.key;
	assert_int_equal(io_loop_new(&s->loop), 0);
	assert_int_equal(io_tls_ctx_new(&tc, why, &s->tls), 0);
	assert_int_equal(io_endpoint_parse(s->audit, &ep), 0);
	assert_int_equal(io_sock_listen(&ep, 0666, &s->listen_fd), 0);
	io_fd_start(s->loop, &s->listener, s->listen_fd, IO_READ, accept_cb, s);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

void svc_fini(struct svc *s)
{
	if (s->pid)
		svc_kill(s, SIGTERM);
	io_chan_free(s->link);
	io_fd_stop(s->loop, &s->listener);
	(void)close(s->listen_fd);
	io_tls_ctx_free(s->tls);
	io_loop_free(s->loop);
	if (getenv("KEEP"))
		fprintf(stderr, "kept: %s\n", s->bed.dir);
	else
		(void)nftw(s->bed.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool is_listening(struct svc *s, void *arg)
{
	struct io_endpoint ep;
	char text[160];
	int fd, status;

	(void)arg;
	if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
		s->pid = 0;
		fail_msg("svm-scan ended at once, see %s", s->log);
	}
	(void)snprintf(text, sizeof(text), "unix:%s", s->ctl);
	assert_int_equal(io_endpoint_parse(text, &ep), 0);
	if (io_sock_connect(&ep, &fd) < 0)
		return false;
	(void)close(fd);
	return true;
}

void svc_start(struct svc *s)
{
	char bin[256];
	const char *top = getenv("top_builddir");
	char *argv[] = { bin, (char *)(uintptr_t) "-c", s->conf, NULL };
	posix_spawn_file_actions_t fa;

	svc_conf_write(s);
	(void)snprintf(bin, sizeof(bin), "%s/svm-scan/svm-scan", top ? top : ".");
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(
				 &fa, 2, s->log, O_CREAT | O_APPEND | O_WRONLY, 0644),
		0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&fa, 2, 1), 0);
	if (posix_spawn(&s->pid, bin, &fa, NULL, argv, environ) != 0)
		fail_msg("cannot run %s", bin);
	(void)posix_spawn_file_actions_destroy(&fa);
	svc_wait(s, is_listening, NULL);
}

void svc_kill(struct svc *s, int signum)
{
	int status = 0;
	pid_t pid = s->pid;

	s->pid = 0;
	assert_int_equal(kill(pid, signum), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (signum == SIGTERM)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void svc_run(struct svc *s, int ms)
{
	io_loop_run_once(s->loop, ms);
}

void svc_wait(struct svc *s, bool (*is)(struct svc *s, void *arg), void *arg)
{
	uint64_t until = io_clock_mono_ms() + TG_WAIT_MS;

	while (!is(s, arg)) {
		if (io_clock_mono_ms() > until)
			fail_msg("what was waited for did not happen, see %s", s->log);
		io_loop_run_once(s->loop, 5);
	}
}

static bool has_records(struct svc *s, void *arg)
{
	return s->n_records >= *(size_t *)arg;
}

void svc_wait_records(struct svc *s, size_t n)
{
	svc_wait(s, has_records, &n);
}

bool svc_log_has(struct svc *s, const char *words)
{
	char line[4096];
	bool found = false;
	FILE *f = fopen(s->log, "r");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, words) != NULL;
	if (f)
		(void)fclose(f);
	return found;
}

/* ---- idfwctl ---- */

static void client_frame(void *arg, struct io_chan *chan, const uint8_t *buf, size_t len)
{
	struct svc_client *c = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)chan;
	if (wire_envelope_decode(buf, len, WIRE_SVM_TO_CTL, WIRE_NEW, &e, &why) < 0)
		fail_msg("the control socket sent a bad message: %s", why);
	if (e->body_case == IDFW__ENVELOPE__BODY_CTL_ROW) {
		json_t *row = json_loads(e->ctl_row->json, 0, NULL);

		assert_non_null(row);
		assert_int_equal(json_array_append_new(c->rows, row), 0);
	} else if (e->body_case == IDFW__ENVELOPE__BODY_CTL_TEXT) {
		copy(c->text, sizeof(c->text), e->ctl_text->text.data, e->ctl_text->text.len);
	} else if (e->body_case == IDFW__ENVELOPE__BODY_CTL_END) {
		c->ended = true;
		c->status = e->ctl_end->status;
		copy(c->why, sizeof(c->why), e->ctl_end->text, strlen(e->ctl_end->text));
	}
	wire_envelope_free(e);
}

static void client_closed(void *arg, struct io_chan *chan, int err, const char *why)
{
	struct svc_client *c = arg;

	(void)err;
	(void)why;
	c->closed = true;
	c->chan = NULL;
	io_chan_free(chan);
}

static struct svc_client *ask_begin(struct svc *s, const char *verb, va_list ap)
{
	static const struct io_chan_ops ops = { .frame = client_frame, .closed = client_closed };
	const struct io_chan_conf cc = { WIRE_FRAME_MAX, 8u << 20 };
	struct svc_client *c = calloc(1, sizeof(*c));
	Idfw__CtlRequest r = IDFW__CTL_REQUEST__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	char *args[8], text[160];
	struct io_endpoint ep;
	struct gi_buf b;
	int fd;

	assert_non_null(c);
	c->rows = json_array();
	(void)snprintf(text, sizeof(text), "unix:%s", s->ctl);
	assert_int_equal(io_endpoint_parse(text, &ep), 0);
	assert_int_equal(io_sock_connect(&ep, &fd), 0);
	assert_int_equal(io_chan_new(s->loop, fd, NULL, &cc, &ops, c, &c->chan), 0);
	while ((args[r.n_arg] = va_arg(ap, char *)))
		r.n_arg++;
	r.verb = (char *)(uintptr_t)verb;
	r.arg = args;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_REQUEST;
	e.ctl_request = &r;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(&e, &b), 0);
	assert_int_equal(io_chan_send(c->chan, b.data, b.len), 0);
	gi_buf_fini(&b);
	return c;
}

struct svc_client *svc_ask_begin(struct svc *s, const char *verb, ...)
{
	struct svc_client *c;
	va_list ap;

	va_start(ap, verb);
	c = ask_begin(s, verb, ap);
	va_end(ap);
	return c;
}

static bool has_ended(struct svc *s, void *arg)
{
	struct svc_client *c = arg;

	(void)s;
	if (c->closed && !c->ended)
		fail_msg("the control socket dropped its client");
	return c->ended;
}

void svc_ask_wait(struct svc *s, struct svc_client *c)
{
	svc_wait(s, has_ended, c);
}

struct svc_client *svc_ask(struct svc *s, const char *verb, ...)
{
	struct svc_client *c;
	va_list ap;

	va_start(ap, verb);
	c = ask_begin(s, verb, ap);
	va_end(ap);
	svc_ask_wait(s, c);
	return c;
}

void svc_client_free(struct svc_client *c)
{
	io_chan_free(c->chan);
	json_decref(c->rows);
	free(c);
}

uint64_t svc_stat(struct svc *s, const char *name)
{
	struct svc_client *c = svc_ask(s, "scan-status", NULL);
	json_t *v = json_object_get(json_array_get(c->rows, 0), name);
	uint64_t n;

	if (!json_is_integer(v))
		fail_msg("scan-status does not say %s", name);
	n = (uint64_t)json_integer_value(v);
	svc_client_free(c);
	return n;
}

static bool has_command(const struct tg_vm *v, const void *arg)
{
	return v->command != *(const uint64_t *)arg;
}

struct command_wait {
	struct tg *t;
	const char *vm;
	uint64_t last, id;
	int verb;
};

static bool any(const struct tg_vm *v, const void *arg)
{
	(void)v;
	(void)arg;
	return true;
}

static bool got_command(struct svc *s, void *arg)
{
	struct command_wait *w = arg;
	struct tg_vm v;

	(void)s;
	tg_wait_vm(w->t, w->vm, any, NULL, &v);
	w->id = v.command;
	w->verb = v.command_verb;
	return has_command(&v, &w->last);
}

uint64_t svc_command(struct svc *s, struct tg *t, const char *vm, uint64_t last, int *ret_verb)
{
	struct command_wait w = { .t = t, .vm = vm, .last = last };

	svc_wait(s, got_command, &w);
	*ret_verb = w.verb;
	return w.id;
}

void svc_reply(struct tg *t, const char *vm, uint64_t id, const char *json, bool last,
	uint32_t status, const char *text)
{
	Idfw__FileReply r = IDFW__FILE_REPLY__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	r.id = id;
	r.json = (char *)(uintptr_t)json;
	r.last = last;
	r.status = status;
	r.text = (char *)(uintptr_t)text;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_REPLY;
	e.file_reply = &r;
	tg_send(t, vm, &e);
}

size_t svc_children(struct svc *s, pid_t *ret, size_t max)
{
	char path[64], file[400], text[256];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)s->pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		FILE *f;
		char *p, *end;

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s/children", path, e->d_name);
		f = fopen(file, "r");
		if (!f)
			continue;
		p = fgets(text, sizeof(text), f);
		for (long v; p && n < max && (v = strtol(p, &end, 10)) > 0; p = end)
			ret[n++] = (pid_t)v;
		(void)fclose(f);
	}
	(void)closedir(d);
	return n;
}

int svc_setup(void **state)
{
	struct svc *s = malloc(sizeof(*s));

	assert_non_null(s);
	svc_init(s);
	*state = s;
	return 0;
}

int svc_teardown(void **state)
{
	svc_fini(*state);
	free(*state);
	return 0;
}

struct tg_file svc_file(const char *path, const char *content)
{
	return (struct tg_file){ .path = path,
		.data = (const uint8_t *)content,
		.len = strlen(content),
		.deadline_ms = 60000,
		.done = EPS_RESULT_DONE };
}

const struct svc_record *svc_record_of(struct svc *s, int kind, size_t from)
{
	for (size_t i = from; i < s->n_records; i++)
		if (s->records[i].kind == kind)
			return &s->records[i];
	return NULL;
}

bool svc_has_verdict_record(struct svc *s, void *arg)
{
	const struct svc_record **ret = arg;

	*ret = svc_record_of(s, IDFW__SCAN_RECORD__KIND__VERDICT, 0);
	return *ret != NULL;
}
