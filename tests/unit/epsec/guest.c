/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.c - plays a mux and its guests' agents towards a scan service (guest.h)
 *
 * The caller's thread encodes what it sends and leaves it in a box; the thread of the struct sends
 * it, and answers what the service asks. All that both see is under one lock.
 */
#include "tests/unit/epsec/guest.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "lib/io/chan.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/io/tls.h"
#include "tests/unit/io/certs.h"

#define TG_QUEUE_MAX (512u << 20)

struct sent {
	uint64_t id;
	char vm[64];
	const struct tg_file *file;
	bool answered;
	struct tg_verdict verdict;
	size_t content_cap;
};

struct tg {
	struct tg_conf conf;
	struct io_loop *loop;
	struct io_wake wake;
	struct io_tls_ctx *tls;
	struct io_chan *chan; /* NULL: cut */
	struct io_endpoint to;
	pthread_t thread;
	pthread_mutex_t order; /* taken first: numbers go out in their order */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* lock */
	struct gi_buf box, drain;
	bool acked, cut, ending;
	uint64_t last_id, reads;
	struct tg_vm vms[TG_VMS_MAX];
	size_t n_vms;
	struct sent *sent; /* TG_EVENTS of them */
};

static char bed_dir[64]; /* of the bed that is there */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static void bed_remove(void)
{
	if (bed_dir[0])
		(void)nftw(bed_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	bed_dir[0] = '\0';
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test guest: %s\n", what);
	bed_remove();
	abort();
}

/* ---- bed ---- */

void tg_bed_init(struct tg_bed *b)
{
	struct cert_ca *ca;

	*b = (struct tg_bed){ .mux_names = { "host1", "host2" } };
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/epsec-XXXXXX");
	must(mkdtemp(b->dir) != NULL, "mkdtemp");
	(void)snprintf(bed_dir, sizeof(bed_dir), "%s", b->dir);
	(void)snprintf(b->listen, sizeof(b->listen), "unix:%s/s", b->dir);
	(void)snprintf(b->ca, sizeof(b->ca), "%s/ca.pem", b->dir);
	(void)snprintf(b->cert, sizeof(b->cert), "%s/svm.pem", b->dir);
	(void)snprintf(b->key, sizeof(b->key), "%s/svm.key", b->dir);
	ca = cert_ca_new(b->dir, "ca");
	cert_issue(ca, b->dir, "svm", "svm.test", "DNS:svm.test", 2);
	cert_issue(ca, b->dir, "host1", "host1", NULL, 2);
	cert_issue(ca, b->dir, "host2", "host2", NULL, 2);
	cert_issue(ca, b->dir, "stranger", "stranger", NULL, 2);
	cert_ca_free(ca);
}

void tg_bed_fini(struct tg_bed *b)
{
	(void)snprintf(bed_dir, sizeof(bed_dir), "%s", b->dir);
	bed_remove();
}

void tg_bed_conf(const struct tg_bed *b, struct eps_conf *ret)
{
	*ret = (struct eps_conf){
		.size = sizeof(*ret),
		.api_version = EPS_API_VERSION,
		.name = "test-scan",
		.version = "1.2",
		.listen = b->listen,
		.ca = b->ca,
		.cert = b->cert,
		.key = b->key,
		.mux_names = b->mux_names,
		.n_mux_names = 2,
		.epoch = (const uint8_t *)"e1",
		.epoch_len = 2,
	};
}

/* ---- sending; any thread ---- */

static void post_locked(struct tg *t, const struct gi_buf *frame)
{
	uint32_t size = (uint32_t)frame->len;

	gi_buf_append(&t->box, &size, sizeof(size));
	gi_buf_append(&t->box, frame->data, frame->len);
	must(gi_buf_error(&t->box) == 0, "the box is full");
	io_wake_send(t->loop, &t->wake);
}

static void routed_post(struct tg *t, const Idfw__Routed *r)
{
	struct gi_buf b;

	if (t->conf.agent) {
		if (r->body_case == IDFW__ROUTED__BODY_ENVELOPE)
			tg_send_frame(t, r->envelope.data, r->envelope.len);
		return;
	}
	gi_buf_init(&b, WIRE_ROUTED_MAX);
	must(wire_routed_encode(r, &b) == 0, "a Routed cannot be encoded");
	pthread_mutex_lock(&t->lock);
	post_locked(t, &b);
	pthread_mutex_unlock(&t->lock);
	gi_buf_fini(&b);
}

void tg_send_frame(struct tg *t, const void *routed, size_t len)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_ROUTED_MAX);
	gi_buf_append(&b, routed, len);
	pthread_mutex_lock(&t->lock);
	post_locked(t, &b);
	pthread_mutex_unlock(&t->lock);
	gi_buf_fini(&b);
}

void tg_send(struct tg *t, const char *vm, const Idfw__Envelope *e)
{
	uint8_t inner[WIRE_FRAME_MAX];
	Idfw__Routed r;
	size_t len = idfw__envelope__get_packed_size(e);

	must(len <= sizeof(inner), "an Envelope is too large");
	idfw__routed__init(&r);
	(void)idfw__envelope__pack(e, inner); /* unchecked: it may be a bad one */
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope.data = inner;
	r.envelope.len = len;
	routed_post(t, &r);
}

static struct tg_vm *vm_get(struct tg *t, const char *name)
{
	size_t i = 0;

	while (i < t->n_vms && strcmp(t->vms[i].name, name) != 0)
		i++;
	if (i == t->n_vms) {
		must(t->n_vms < TG_VMS_MAX, "too many VMs");
		t->n_vms++;
		(void)snprintf(t->vms[i].name, sizeof(t->vms[i].name), "%s", name);
		memset(t->vms[i].boot_id, 'a' + (int)(i % 26), WIRE_BOOT_ID_LEN);
	}
	return &t->vms[i];
}

void tg_up_only(struct tg *t, const char *vm)
{
	Idfw__VmUp up = IDFW__VM_UP__INIT;
	Idfw__Routed r;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;
	struct tg_vm *v;

	pthread_mutex_lock(&t->lock);
	v = vm_get(t, vm);
	v->up = v->closed = false;
	v->n_settings = 0;
	pthread_mutex_unlock(&t->lock);
	idfw__routed__init(&r);
	up.transport = (char *)(uintptr_t) "unix";
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_UP;
	r.up = &up;
	routed_post(t, &r);
	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)(uintptr_t) "test guest";
	h.boot_id.data = v->boot_id;
	h.boot_id.len = sizeof(v->boot_id);
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	tg_send(t, vm, &e);
}

static bool is_settled(const struct tg_vm *v, const void *arg)
{
	(void)arg;
	return v->n_settings > 0;
}

void tg_up(struct tg *t, const char *vm)
{
	struct tg_vm v;

	tg_up_only(t, vm);
	tg_wait_vm(t, vm, is_settled, NULL, &v);
}

void tg_down(struct tg *t, const char *vm)
{
	Idfw__VmDown down = IDFW__VM_DOWN__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	down.why = (char *)(uintptr_t) "test";
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_DOWN;
	r.down = &down;
	routed_post(t, &r);
}

static uint64_t sent_new(struct tg *t, const char *vm, const struct tg_file *f, size_t *ret_head)
{
	struct sent *s;
	uint64_t id;

	pthread_mutex_lock(&t->lock);
	id = ++t->last_id;
	s = &t->sent[id % TG_EVENTS];
	s->id = id;
	s->file = f;
	s->answered = false;
	(void)snprintf(s->vm, sizeof(s->vm), "%s", vm);
	free(s->verdict.content);
	s->verdict = (struct tg_verdict){ 0 };
	s->content_cap = 0;
	*ret_head = vm_get(t, vm)->head_bytes;
	pthread_mutex_unlock(&t->lock);
	return id;
}

uint64_t tg_event(struct tg *t, const char *vm, enum eps_op op, const struct tg_file *f)
{
	Idfw__FileEvent m = IDFW__FILE_EVENT__INIT;
	Idfw__FileActor a = IDFW__FILE_ACTOR__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	size_t head;

	pthread_mutex_lock(&t->order);
	m.id = sent_new(t, vm, f, &head);
	m.op = (Idfw__FileOp)op;
	m.path.data = (uint8_t *)(uintptr_t)f->path;
	m.path.len = strlen(f->path);
	m.size = f->size ? f->size : f->len;
	m.mtime_ns = 1;
	m.ctime_ns = 2;
	m.inode = 3;
	m.device = 4;
	m.mode = 0100644;
	m.head.data = (uint8_t *)(uintptr_t)f->data;
	m.head.len = f->len < head ? f->len : head;
	m.deadline_ms = f->deadline_ms;
	if (f->actor_uid) {
		a.uid = f->actor_uid;
		a.user = (char *)(uintptr_t) "alice";
		m.actor = &a;
	}
	e.body_case = IDFW__ENVELOPE__BODY_FILE_EVENT;
	e.file_event = &m;
	tg_send(t, vm, &e);
	pthread_mutex_unlock(&t->order);
	return m.id;
}

/* ---- what the service says; its thread ---- */

static void data_send(struct tg *t, const char *vm, uint64_t id, uint64_t at, const uint8_t *buf,
	size_t len, bool eof, int error)
{
	Idfw__FileData m = IDFW__FILE_DATA__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.offset = at;
	m.data.data = (uint8_t *)(uintptr_t)buf;
	m.data.len = len;
	m.eof = eof;
	m.error = (uint32_t)error;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_DATA;
	e.file_data = &m;
	tg_send(t, vm, &e);
}

static void read_serve(struct tg *t, const char *vm, const Idfw__FileRead *r)
{
	const struct tg_file *f = NULL;
	size_t most = WIRE_DATA_MAX, n;
	uint64_t at = r->offset, end = r->offset + r->length;

	pthread_mutex_lock(&t->lock);
	t->reads++;
	if (t->sent[r->id % TG_EVENTS].id == r->id)
		f = t->sent[r->id % TG_EVENTS].file;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (!f || f->silent)
		return;
	if (f->read_err) {
		data_send(t, vm, r->id, at, NULL, 0, false, f->read_err);
		return;
	}
	if (f->small)
		most = 1000;
	while (at < end) {
		n = at < f->len ? f->len - (size_t)at : 0;
		n = n < most ? n : most;
		n = n < end - at ? n : (size_t)(end - at);
		data_send(t, vm, r->id, at, f->data + (n ? at : 0), n, at + n >= f->len, 0);
		at += n;
		if (at >= f->len)
			return;
	}
}

static void write_take(struct tg *t, const char *vm, const Idfw__FileWrite *w)
{
	struct sent *s = &t->sent[w->id % TG_EVENTS];
	struct tg_verdict *v = &s->verdict;
	Idfw__FileWrote m = IDFW__FILE_WROTE__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	pthread_mutex_lock(&t->lock);
	if (s->id != w->id || s->file->silent) {
		pthread_mutex_unlock(&t->lock);
		return;
	}
	must(w->offset == v->content_len && !v->content_last, "FileWrite out of order");
	if (v->content_len + w->data.len > s->content_cap) {
		s->content_cap = (v->content_len + w->data.len) * 2;
		v->content = realloc(v->content, s->content_cap);
		must(v->content != NULL, "memory");
	}
	if (w->data.len)
		memcpy(v->content + v->content_len, w->data.data, w->data.len);
	v->content_len += w->data.len;
	v->content_last = w->last;
	m.id = w->id;
	m.offset = s->file->write_err ? w->offset : v->content_len;
	m.error = (uint32_t)(w->last && s->file->last_err ? s->file->last_err : s->file->write_err);
	pthread_mutex_unlock(&t->lock);
	e.body_case = IDFW__ENVELOPE__BODY_FILE_WROTE;
	e.file_wrote = &m;
	tg_send(t, vm, &e);
}

static void done_send(struct tg *t, const char *vm, uint64_t id, int result)
{
	static uint8_t qid[WIRE_QUARANTINE_ID_LEN] = "quarantine-id-1";
	Idfw__FileDone m = IDFW__FILE_DONE__INIT;
	Idfw__FileActor a = IDFW__FILE_ACTOR__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m.id = id;
	m.result = (Idfw__FileDone__Result)result;
	m.text = (char *)(uintptr_t) "as told";
	m.actor = &a;
	m.opener_denied = true;
	m.quarantine_id.data = qid;
	m.quarantine_id.len = sizeof(qid);
	a.pid = 77;
	a.uid = 1000;
	a.session = 5;
	a.user = (char *)(uintptr_t) "alice";
	a.comm = (char *)(uintptr_t) "cat";
	e.body_case = IDFW__ENVELOPE__BODY_FILE_DONE;
	e.file_done = &m;
	tg_send(t, vm, &e);
}

static void verdict_take(struct tg *t, const char *vm, const Idfw__FileVerdict *m)
{
	struct sent *s = &t->sent[m->id % TG_EVENTS];
	struct tg_verdict *v = &s->verdict;
	int result = 0;

	pthread_mutex_lock(&t->lock);
	must(s->id == m->id && !s->answered && !strcmp(s->vm, vm), "a verdict of no event");
	s->answered = true;
	v->kind = (int)m->verdict;
	v->failed = m->failed;
	v->until_change = m->until_change;
	(void)snprintf(v->engine, sizeof(v->engine), "%s", m->engine);
	(void)snprintf(v->signature, sizeof(v->signature), "%s", m->signature);
	(void)snprintf(v->reason, sizeof(v->reason), "%s", m->reason);
	v->epoch_len = m->epoch.len;
	if (m->epoch.len)
		memcpy(v->epoch, m->epoch.data, m->epoch.len);
	v->sha256_len = m->sha256.len;
	if (!m->failed && v->kind > 1)
		result = s->file->done;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (result)
		done_send(t, vm, m->id, result);
	if (t->conf.on_verdict)
		t->conf.on_verdict(t->conf.arg, t, m->id);
}

static void settings_take(struct tg_vm *v, const Idfw__ScanSettings *s)
{
	v->n_settings++;
	v->credits = s->credits;
	v->ops = s->ops;
	v->head_bytes = s->head_bytes;
	v->max_bytes = s->max_bytes;
	v->epoch_len = s->epoch.len;
	memcpy(v->epoch, s->epoch.data, s->epoch.len);
}

static void envelope_take(struct tg *t, const char *vm, const Idfw__Envelope *e)
{
	struct tg_vm *v;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_FILE_READ:
		read_serve(t, vm, e->file_read);
		return;
	case IDFW__ENVELOPE__BODY_FILE_WRITE:
		write_take(t, vm, e->file_write);
		return;
	case IDFW__ENVELOPE__BODY_FILE_VERDICT:
		verdict_take(t, vm, e->file_verdict);
		return;
	default:
		break;
	}
	pthread_mutex_lock(&t->lock);
	v = vm_get(t, vm);
	if (e->body_case == IDFW__ENVELOPE__BODY_HELLO_ACK) {
		v->up = true;
		v->hello_acked = e->hello_ack->acked_seq;
	} else if (e->body_case == IDFW__ENVELOPE__BODY_SCAN_SETTINGS) {
		settings_take(v, e->scan_settings);
	} else if (e->body_case == IDFW__ENVELOPE__BODY_FILE_REPORT_ACK) {
		v->report_acked = e->file_report_ack->seq;
	} else if (e->body_case == IDFW__ENVELOPE__BODY_FILE_COMMAND) {
		v->command = e->file_command->id;
		v->command_verb = (int)e->file_command->verb;
	} else if (e->body_case == IDFW__ENVELOPE__BODY_PONG) {
		v->n_pongs++;
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void bytes_take(
	struct tg *t, const char *vm, const uint8_t *buf, size_t len, enum wire_state state)
{
	Idfw__Envelope *e = NULL;
	const char *why = "";

	if (wire_envelope_decode(buf, len, WIRE_SCAN_TO_AGENT, state, &e, &why) < 0) {
		fprintf(stderr, "test guest: the service sent a bad message: %s\n", why);
		abort();
	}
	envelope_take(t, vm, e);
	wire_envelope_free(e);
}

static void routed_take(struct tg *t, const Idfw__Routed *r)
{
	Idfw__Routed answer;
	Idfw__Pong pong = IDFW__PONG__INIT;
	struct tg_vm *v;
	enum wire_state state;

	pthread_mutex_lock(&t->lock);
	if (r->body_case == IDFW__ROUTED__BODY_HELLO_ACK)
		t->acked = true;
	v = *r->vm ? vm_get(t, r->vm) : NULL;
	if (v && r->body_case == IDFW__ROUTED__BODY_CLOSE) {
		v->closed = true;
		(void)snprintf(v->why, sizeof(v->why), "%s", r->close->why);
	}
	state = v && v->up ? WIRE_OPEN : WIRE_NEW;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (r->body_case == IDFW__ROUTED__BODY_PING) {
		idfw__routed__init(&answer);
		pong.token = r->ping->token;
		answer.vm = (char *)(uintptr_t) "";
		answer.body_case = IDFW__ROUTED__BODY_PONG;
		answer.pong = &pong;
		routed_post(t, &answer);
	}
	if (r->body_case == IDFW__ROUTED__BODY_ENVELOPE)
		bytes_take(t, r->vm, r->envelope.data, r->envelope.len, state);
}

static void chan_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct tg *t = arg;
	Idfw__Routed *r = NULL;
	const char *why = "";

	(void)c;
	if (t->conf.agent) {
		bytes_take(t, t->conf.agent, buf, len,
			vm_get(t, t->conf.agent)->up ? WIRE_OPEN : WIRE_NEW);
		return;
	}
	must(wire_routed_decode(buf, len, false, t->acked ? WIRE_OPEN : WIRE_NEW, &r, &why) == 0,
		"the service sent a bad Routed");
	routed_take(t, r);
	wire_routed_free(r);
}

static void chan_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct tg *t = arg;

	(void)err;
	(void)why;
	pthread_mutex_lock(&t->lock);
	t->cut = true;
	t->chan = NULL;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	io_chan_free(c);
}

static const struct io_chan_ops chan_ops = { .frame = chan_frame, .closed = chan_closed };

static void woken(struct io_wake *w)
{
	struct tg *t = w->arg;
	struct gi_buf tmp;
	uint32_t size;
	bool ending;

	pthread_mutex_lock(&t->lock);
	tmp = t->box;
	t->box = t->drain;
	t->drain = tmp;
	ending = t->ending;
	pthread_mutex_unlock(&t->lock);
	for (size_t at = 0; t->chan && at < t->drain.len; at += sizeof(size) + size) {
		memcpy(&size, t->drain.data + at, sizeof(size));
		must(io_chan_send(t->chan, t->drain.data + at + sizeof(size), size) == 0,
			"the service does not read");
	}
	gi_buf_reset(&t->drain);
	if (ending)
		io_loop_stop(t->loop);
}

static void *thread_main(void *arg)
{
	struct tg *t = arg;

	io_loop_run(t->loop);
	io_chan_free(t->chan);
	return NULL;
}

/* ---- life ---- */

static void connect_to(struct tg *t)
{
	const struct io_chan_conf cc = { .max_frame = WIRE_ROUTED_MAX, .max_queue = TG_QUEUE_MAX };
	struct io_tls_conf tc = {
		.ca_file = t->conf.ca, .cert_file = t->conf.cert, .key_file = t->conf.key
	};
	struct io_tls *tls = NULL;
	char why[256];
	int fd = -1;

	must(io_endpoint_parse(t->conf.endpoint, &t->to) == 0, "endpoint");
	must(io_sock_connect(&t->to, &fd) == 0, "connect");
	if (!t->conf.agent) {
		must(io_tls_ctx_new(&tc, why, &t->tls) == 0, "certificates");
		must(io_tls_new(t->tls, t->conf.server_name, &tls) == 0, "tls");
	}
	must(io_chan_new(t->loop, fd, tls, &cc, &chan_ops, t, &t->chan) == 0, "channel");
}

static void hello_send(struct tg *t)
{
	Idfw__Routed r;
	Idfw__Hello h = IDFW__HELLO__INIT;

	idfw__routed__init(&r);
	r.vm = (char *)(uintptr_t) "";
	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)(uintptr_t) "test mux";
	r.body_case = IDFW__ROUTED__BODY_HELLO;
	r.hello = &h;
	routed_post(t, &r);
}

/* lock held; ends the program when nothing changes in time */
static void wait_change(struct tg *t, const char *what)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += TG_WAIT_MS / 1000;
	must(pthread_cond_timedwait(&t->changed, &t->lock, &ts) == 0, what);
}

struct tg *tg_new_conf(const struct tg_conf *c)
{
	struct tg *t = calloc(1, sizeof(*t));

	must(t != NULL, "memory");
	t->sent = calloc(TG_EVENTS, sizeof(*t->sent));
	must(t->sent != NULL, "memory");
	t->conf = *c;
	gi_buf_init(&t->box, TG_QUEUE_MAX);
	gi_buf_init(&t->drain, TG_QUEUE_MAX);
	(void)pthread_mutex_init(&t->order, NULL);
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->changed, NULL);
	must(io_loop_new(&t->loop) == 0, "loop");
	io_wake_start(t->loop, &t->wake, woken, t);
	connect_to(t);
	if (!t->conf.agent)
		hello_send(t);
	must(pthread_create(&t->thread, NULL, thread_main, t) == 0, "thread");
	if (t->conf.agent) {
		tg_up(t, t->conf.agent);
		return t;
	}
	pthread_mutex_lock(&t->lock);
	while (!t->acked && !t->cut)
		wait_change(t, "no HelloAck");
	pthread_mutex_unlock(&t->lock);
	return t;
}

struct tg *tg_new(const struct tg_bed *b, const char *name)
{
	char cert[160], key[160];
	struct tg_conf c = { .endpoint = b->listen,
		.ca = b->ca,
		.cert = cert,
		.key = key,
		.server_name = "svm.test" };

	(void)snprintf(cert, sizeof(cert), "%s/%s.pem", b->dir, name);
	(void)snprintf(key, sizeof(key), "%s/%s.key", b->dir, name);
	return tg_new_conf(&c);
}

void tg_free(struct tg *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	io_wake_send(t->loop, &t->wake);
	pthread_mutex_unlock(&t->lock);
	(void)pthread_join(t->thread, NULL);
	io_wake_stop(t->loop, &t->wake);
	io_loop_free(t->loop);
	io_tls_ctx_free(t->tls);
	for (size_t i = 0; i < TG_EVENTS; i++)
		free(t->sent[i].verdict.content);
	free(t->sent);
	gi_buf_fini(&t->box);
	gi_buf_fini(&t->drain);
	(void)pthread_mutex_destroy(&t->order);
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->changed);
	free(t);
}

/* ---- waiting ---- */

void tg_verdict(struct tg *t, uint64_t id, struct tg_verdict *ret)
{
	struct sent *s = &t->sent[id % TG_EVENTS];

	pthread_mutex_lock(&t->lock);
	must(s->id == id, "that event is forgotten");
	while (!s->answered)
		wait_change(t, "no verdict");
	*ret = s->verdict;
	pthread_mutex_unlock(&t->lock);
}

bool tg_has_verdict(struct tg *t, uint64_t id)
{
	bool answered;

	pthread_mutex_lock(&t->lock);
	answered = t->sent[id % TG_EVENTS].id == id && t->sent[id % TG_EVENTS].answered;
	pthread_mutex_unlock(&t->lock);
	return answered;
}

void tg_wait_vm(struct tg *t, const char *vm, bool (*is)(const struct tg_vm *v, const void *arg),
	const void *arg, struct tg_vm *ret)
{
	const struct tg_vm *v;

	pthread_mutex_lock(&t->lock);
	v = vm_get(t, vm);
	while (!is(v, arg))
		wait_change(t, "the service does not say what was waited for");
	*ret = *v;
	pthread_mutex_unlock(&t->lock);
}

static bool is_closed(const struct tg_vm *v, const void *arg)
{
	(void)arg;
	return v->closed;
}

void tg_wait_closed(struct tg *t, const char *vm, char why[WIRE_TEXT_MAX + 1])
{
	struct tg_vm v;

	tg_wait_vm(t, vm, is_closed, NULL, &v);
	(void)snprintf(why, WIRE_TEXT_MAX + 1, "%s", v.why);
}

void tg_wait_cut(struct tg *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->cut)
		wait_change(t, "the link was not cut");
	pthread_mutex_unlock(&t->lock);
}

bool tg_is_cut(struct tg *t)
{
	bool cut;

	pthread_mutex_lock(&t->lock);
	cut = t->cut;
	pthread_mutex_unlock(&t->lock);
	return cut;
}

uint64_t tg_reads(struct tg *t)
{
	uint64_t n;

	pthread_mutex_lock(&t->lock);
	n = t->reads;
	pthread_mutex_unlock(&t->lock);
	return n;
}

uint64_t tg_last_id(struct tg *t)
{
	uint64_t id;

	pthread_mutex_lock(&t->lock);
	id = t->last_id;
	pthread_mutex_unlock(&t->lock);
	return id;
}
