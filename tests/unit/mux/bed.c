/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bed.c - a real gi-mux process between guests and a service VM that the test plays
 */
#include "tests/unit/mux/bed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/io/frame.h"
#include "lib/io/sock.h"
#include "tests/unit/io/certs.h"

#define PATH_LEN 256

extern char **environ;

static const char usual_vms[] = "vm jump01 { listen \"unix:%1$s/vm/jump01.sock_5005\"; "
				"addresses 10.77.1.10, fd77:1::10; }\n"
				"vm web01 { listen \"unix:%1$s/vm/web01.sock_5005\"; }\n";
static const char file_vms[] =
	"vm jump01 { listen \"unix:%1$s/vm/jump01.sock_5005\"; addresses 10.77.1.10; "
	"file-listen \"unix:%1$s/vm/jump01.sock_5006\"; }\n"
	"vm web01 { listen \"unix:%1$s/vm/web01.sock_5005\"; "
	"file-listen \"unix:%1$s/vm/web01.sock_5006\"; }\n";

static const struct bed_kind identity_kind = { "svm.sock", "5005", WIRE_AGENT, WIRE_SVM_TO_AGENT };
static const struct bed_kind file_kind = { "scan.sock", "5006", WIRE_FILE_AGENT,
	WIRE_SCAN_TO_AGENT };

static void link_ready(void *arg, struct io_chan *c);
static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void link_closed(void *arg, struct io_chan *c, int err, const char *why);

static const struct io_chan_ops link_ops = {
	.ready = link_ready, .frame = link_frame, .closed = link_closed
};

static void path_of(const struct bed *b, const char *name, char ret[PATH_LEN])
{
	assert_true(snprintf(ret, PATH_LEN, "%s/%s", b->dir, name) < PATH_LEN);
}

void bed_init(struct bed *b, const char *san)
{
	char ca_file[PATH_LEN], cert[PATH_LEN], key[PATH_LEN], why[256];
	struct io_tls_conf conf = {
		.ca_file = ca_file, .cert_file = cert, .key_file = key, .server = true
	};
	struct cert_ca *ca;

	/* with a sanitizer: the daemon gives up what the leak check at its end needs (ptrace) */
	assert_int_equal(setenv("ASAN_OPTIONS", "detect_leaks=0", 1), 0);
	memset(b, 0, sizeof(*b));
	b->kind = &identity_kind;
	b->listen_fd = -1;
	b->ack_version = 1;
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/idfw-mux-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	assert_int_equal(chmod(b->dir, 0755), 0);
	path_of(b, "vm", cert);
	assert_int_equal(mkdir(cert, 0777), 0);
	assert_int_equal(chmod(cert, 0777), 0); /* the mux gives up root and adds listeners later */
	ca = cert_ca_new(b->dir, "ca");
	cert_issue(ca, b->dir, "svm", "svm", san, 1);
	cert_issue(ca, b->dir, "host", "host1", NULL, 1);
	cert_ca_free(ca);
	path_of(b, "ca.pem", ca_file);
	path_of(b, "svm.pem", cert);
	path_of(b, "svm.key", key);
	assert_int_equal(io_loop_new(&b->loop), 0);
	if (io_tls_ctx_new(&conf, why, &b->tls))
		fail_msg("%s", why);
	for (size_t i = 0; i < BED_GUESTS; i++)
		b->guests[i].bed = b;
	bed_conf(b, "", NULL);
}

void bed_file_init(struct bed *b, struct bed *of)
{
	memset(b, 0, sizeof(*b));
	b->kind = &file_kind;
	b->listen_fd = -1;
	b->ack_version = 1;
	memcpy(b->dir, of->dir, sizeof(b->dir));
	b->loop = of->loop;
	b->tls = of->tls;
	for (size_t i = 0; i < BED_GUESTS; i++)
		b->guests[i].bed = b;
	of->files = true;
	bed_conf(of, "", NULL);
}

void bed_file_fini(struct bed *b)
{
	for (size_t i = 0; i < BED_GUESTS; i++)
		bed_guest_drop(&b->guests[i]);
	bed_svm_stop(b);
}

void bed_fini(struct bed *b)
{
	pid_t pid;
	char *const argv[] = { (char *)(uintptr_t) "rm", (char *)(uintptr_t) "-rf", b->dir, NULL };

	if (b->mux) {
		bed_mux_signal(b, SIGKILL);
		(void)bed_mux_wait(b);
	}
	for (size_t i = 0; i < BED_GUESTS; i++)
		bed_guest_drop(&b->guests[i]);
	bed_svm_stop(b);
	io_tls_ctx_free(b->tls);
	io_loop_free(b->loop);
	assert_int_equal(posix_spawnp(&pid, "rm", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void bed_conf(struct bed *b, const char *extra, const char *vms)
{
	char path[PATH_LEN];
	FILE *f;

	path_of(b, "gi-mux.conf", path);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f,
		"%1$s\nsvm \"unix:%2$s/svm.sock\";\nsvm-name \"svm.test\";\nhost-name \"host1\";\n"
		"ca \"%2$s/ca.pem\";\ncert \"%2$s/host.pem\";\nkey \"%2$s/host.key\";\n"
		"user \"nobody\";\nretry 100ms;\n",
		extra, b->dir);
	if (b->files)
		(void)fprintf(f, "scan \"unix:%s/scan.sock\";\nscan-name \"svm.test\";\n", b->dir);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the caller's, with the directory in it */
	(void)fprintf(f, vms ? vms : b->files ? file_vms : usual_vms, b->dir);
#pragma GCC diagnostic pop
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

static pid_t spawn_mux(struct bed *b, const char *arg)
{
	char conf[PATH_LEN], log[PATH_LEN], bin[PATH_LEN];
	const char *top = getenv("top_builddir");
	char *argv[] = { bin, (char *)(uintptr_t) "-c", conf, (char *)(uintptr_t)arg, NULL };
	posix_spawn_file_actions_t fa;
	pid_t pid = 0;

	assert_true(snprintf(bin, sizeof(bin), "%s/mux/gi-mux", top ? top : ".") < PATH_LEN);
	path_of(b, "gi-mux.conf", conf);
	path_of(b, "log", log);
	assert_int_equal(posix_spawn_file_actions_init(&fa), 0);
	assert_int_equal(
		posix_spawn_file_actions_addopen(&fa, 2, log, O_CREAT | O_APPEND | O_WRONLY, 0644),
		0);
	if (posix_spawn(&pid, bin, &fa, NULL, argv, environ) != 0)
		fail_msg("cannot run %s", bin);
	(void)posix_spawn_file_actions_destroy(&fa);
	return pid;
}

void bed_mux_start(struct bed *b)
{
	assert_int_equal(b->mux, 0);
	b->mux = spawn_mux(b, "-d");
}

void bed_mux_signal(struct bed *b, int signum)
{
	assert_true(b->mux > 0);
	assert_int_equal(kill(b->mux, signum), 0);
}

static int wait_code(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int bed_mux_wait(struct bed *b)
{
	pid_t pid = b->mux;

	b->mux = 0;
	return wait_code(pid);
}

int bed_mux_run(struct bed *b, const char *arg)
{
	return wait_code(spawn_mux(b, arg));
}

bool bed_log_has(struct bed *b, const char *words)
{
	char path[PATH_LEN], line[4096];
	bool found = false;
	FILE *f;

	path_of(b, "log", path);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, words) != NULL;
	if (f)
		(void)fclose(f);
	return found;
}

static long last_counter(const struct bed *b, const char *vm, const char *name, size_t *ret_lines)
{
	char path[PATH_LEN], line[4096], head[80], key[80], *at;
	long value = -1;
	FILE *f;

	*ret_lines = 0;
	(void)snprintf(head, sizeof(head), "vm %s: ", vm);
	(void)snprintf(key, sizeof(key), " %s=", name);
	path_of(b, "log", path);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, head);
		at = at ? strstr(at, key) : NULL;
		if (!at)
			continue;
		value = strtol(at + strlen(key), NULL, 10);
		++*ret_lines;
	}
	if (f)
		(void)fclose(f);
	return value;
}

long bed_counter(struct bed *b, const char *vm, const char *name)
{
	size_t before, now;
	long value;

	(void)last_counter(b, vm, name, &before);
	bed_mux_signal(b, SIGUSR1);
	bed_until(b, (value = last_counter(b, vm, name, &now), now > before));
	return value;
}

/* ---- the service VM ---- */

static void link_send(struct bed *b, const Idfw__Routed *r)
{
	struct gi_buf buf;

	gi_buf_init(&buf, WIRE_ROUTED_MAX);
	assert_int_equal(wire_routed_encode(r, &buf), 0);
	assert_non_null(b->link);
	assert_int_equal(io_chan_send(b->link, buf.data, buf.len), 0);
	gi_buf_fini(&buf);
}

static void link_ready(void *arg, struct io_chan *c)
{
	struct bed *b = arg;

	assert_string_equal(io_tls_peer_name(io_chan_tls(c)), "host1");
	b->links++;
}

static void answer_hello(struct bed *b)
{
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
	Idfw__Refused no = IDFW__REFUSED__INIT;
	char software[] = "test svm", text[] = "no common protocol version";
	Idfw__Routed r;

	idfw__routed__init(&r);
	if (b->ack_version == 0)
		return;
	if (b->ack_version == UINT32_MAX) {
		no.reason = IDFW__REFUSED__REASON__VERSION;
		no.text = text;
		r.body_case = IDFW__ROUTED__BODY_REFUSED;
		r.refused = &no;
	} else {
		ack.version = b->ack_version;
		ack.software = software;
		r.body_case = IDFW__ROUTED__BODY_HELLO_ACK;
		r.hello_ack = &ack;
		b->greeted = true;
	}
	link_send(b, &r);
}

static void answer_ping(struct bed *b, const Idfw__Ping *ping)
{
	Idfw__Pong pong = IDFW__PONG__INIT;
	Idfw__Routed r;

	if (b->mute)
		return;
	idfw__routed__init(&r);
	pong.token = ping->token;
	r.body_case = IDFW__ROUTED__BODY_PONG;
	r.pong = &pong;
	link_send(b, &r);
}

static void note_inner(const struct bed *b, struct seen *s, const Idfw__Routed *r)
{
	Idfw__Envelope *e = NULL;
	const char *why = "";
	enum wire_state first = WIRE_NEW;

	s->len = r->envelope.len;
	/* Hello or anything later: which of them the mux allowed is what tests look at */
	if (wire_envelope_decode(
		    r->envelope.data, r->envelope.len, b->kind->agent, first, &e, &why) &&
		wire_envelope_decode(
			r->envelope.data, r->envelope.len, b->kind->agent, WIRE_OPEN, &e, &why))
		fail_msg("the mux let through: %s", why);
	s->inner = (int)e->body_case;
	if (s->inner == IDFW__ENVELOPE__BODY_PING)
		s->token = e->ping->token;
	if (s->inner == IDFW__ENVELOPE__BODY_EVENT)
		s->seq = e->event->seq;
	if (s->inner == IDFW__ENVELOPE__BODY_FILE_EVENT)
		s->seq = e->file_event->id;
	wire_envelope_free(e);
}

static void note(struct bed *b, const Idfw__Routed *r)
{
	struct seen *s;

	assert_true(b->n_seen < BED_SEEN_MAX);
	s = &b->seen[b->n_seen++];
	memset(s, 0, sizeof(*s));
	(void)snprintf(s->vm, sizeof(s->vm), "%s", r->vm);
	s->body = (int)r->body_case;
	if (s->body == IDFW__ROUTED__BODY_ENVELOPE)
		note_inner(b, s, r);
	if (s->body == IDFW__ROUTED__BODY_UP) {
		s->n_allowed = r->up->n_allowed;
		s->turned_away = r->up->turned_away;
		(void)snprintf(s->text, sizeof(s->text), "%s", r->up->transport);
	}
	if (s->body == IDFW__ROUTED__BODY_DOWN)
		(void)snprintf(s->text, sizeof(s->text), "%s", r->down->why);
}

static void link_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct bed *b = arg;
	Idfw__Routed *r = NULL;
	const char *why = "";

	(void)c;
	if (wire_routed_decode(buf, len, true, b->greeted ? WIRE_OPEN : WIRE_NEW, &r, &why))
		fail_msg("the mux sent: %s", why);
	if (b->on_routed)
		b->on_routed(b, r);
	else
		note(b, r);
	if (r->body_case == IDFW__ROUTED__BODY_HELLO)
		answer_hello(b);
	if (r->body_case == IDFW__ROUTED__BODY_PING)
		answer_ping(b, r->ping);
	wire_routed_free(r);
}

static void link_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct bed *b = arg;

	(void)err;
	(void)why;
	if (b->link == c)
		b->link = NULL;
	b->greeted = false;
	io_chan_free(c);
}

static void svm_accept(struct io_fd *w, unsigned int events)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_ROUTED_MAX, .max_queue = 64u << 20 };
	struct bed *b = w->arg;
	struct io_tls *tls = NULL;
	int fd = -1;

	(void)events;
	if (io_sock_accept(b->listen_fd, &fd))
		return;
	io_chan_free(b->link);
	b->link = NULL;
	b->greeted = false;
	assert_int_equal(io_tls_new(b->tls, NULL, &tls), 0);
	assert_int_equal(io_chan_new(b->loop, fd, tls, &conf, &link_ops, b, &b->link), 0);
}

void bed_svm_start(struct bed *b)
{
	struct io_endpoint e;
	char text[PATH_LEN];

	(void)snprintf(text, sizeof(text), "unix:%s/%s", b->dir, b->kind->sock);
	assert_int_equal(io_endpoint_parse(text, &e), 0);
	assert_int_equal(io_sock_listen(&e, 0666, &b->listen_fd), 0);
	io_fd_start(b->loop, &b->listen_watch, b->listen_fd, IO_READ, svm_accept, b);
}

void bed_svm_stop(struct bed *b)
{
	if (b->listen_fd >= 0) {
		io_fd_stop(b->loop, &b->listen_watch);
		(void)close(b->listen_fd);
		b->listen_fd = -1;
	}
	io_chan_free(b->link);
	b->link = NULL;
	b->greeted = false;
}

void bed_up(struct bed *b)
{
	if (b->listen_fd < 0)
		bed_svm_start(b);
	if (!b->mux && b->kind == &identity_kind)
		bed_mux_start(b);
	bed_until(b, b->greeted);
}

void bed_svm_send(struct bed *b, const char *vm, const Idfw__Envelope *e)
{
	struct gi_buf buf;
	Idfw__Routed r;

	gi_buf_init(&buf, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(e, &buf), 0);
	idfw__routed__init(&r);
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope = (ProtobufCBinaryData){ buf.len, buf.data };
	link_send(b, &r);
	gi_buf_fini(&buf);
}

void bed_svm_hello_ack(struct bed *b, const char *vm)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;

	ack.version = 1;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	e.hello_ack = &ack;
	bed_svm_send(b, vm, &e);
}

void bed_svm_close(struct bed *b, const char *vm, const char *why)
{
	Idfw__VmClose m = IDFW__VM_CLOSE__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	m.why = (char *)(uintptr_t)why;
	r.vm = (char *)(uintptr_t)vm;
	r.body_case = IDFW__ROUTED__BODY_CLOSE;
	r.close = &m;
	link_send(b, &r);
}

void bed_svm_ping(struct bed *b)
{
	Idfw__Ping ping = IDFW__PING__INIT;
	Idfw__Routed r;

	idfw__routed__init(&r);
	ping.token = 4711;
	r.body_case = IDFW__ROUTED__BODY_PING;
	r.ping = &ping;
	link_send(b, &r);
}

size_t bed_count(const struct bed *b, const char *vm, int body, int inner)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_seen; i++)
		if ((!vm[0] || strcmp(b->seen[i].vm, vm) == 0) && b->seen[i].body == body &&
			(!inner || b->seen[i].inner == inner))
			n++;
	return n;
}

const struct seen *bed_last(const struct bed *b, const char *vm, int body)
{
	for (size_t i = b->n_seen; i-- > 0;)
		if (strcmp(b->seen[i].vm, vm) == 0 && b->seen[i].body == body)
			return &b->seen[i];
	return NULL;
}

/* ---- guests ---- */

static void guest_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct bed_guest *g = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";
	struct seen *s;

	(void)c;
	if (wire_envelope_decode(buf, len, g->bed->kind->service, WIRE_NEW, &e, &why) &&
		wire_envelope_decode(buf, len, g->bed->kind->service, WIRE_OPEN, &e, &why))
		fail_msg("a guest got: %s", why);
	if (g->on_frame) {
		g->on_frame(g, e);
	} else {
		assert_true(g->n_seen < GI_ARRAY_SIZE(g->seen));
		s = &g->seen[g->n_seen++];
		memset(s, 0, sizeof(*s));
		s->body = (int)e->body_case;
		if (s->body == IDFW__ENVELOPE__BODY_REFUSED)
			(void)snprintf(s->text, sizeof(s->text), "%s", e->refused->text);
	}
	wire_envelope_free(e);
}

static void guest_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct bed_guest *g = arg;

	(void)err;
	(void)why;
	g->chan = NULL;
	g->closed = true;
	io_chan_free(c);
}

static const struct io_chan_ops guest_ops = { .frame = guest_frame, .closed = guest_closed };

void bed_guest_connect(struct bed *b, struct bed_guest *g, const char *vm)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX, .max_queue = 64u << 20 };
	uint64_t end = io_clock_mono_ms() + BED_WAIT_MS;
	struct io_endpoint e;
	char text[PATH_LEN];
	int fd = -1, err;

	(void)snprintf(text, sizeof(text), "unix:%s/vm/%s.sock_%s", b->dir, vm, b->kind->port);
	assert_int_equal(io_endpoint_parse(text, &e), 0);
	/* the mux may not listen yet */
	while ((err = io_sock_connect(&e, &fd)) != 0 && io_clock_mono_ms() < end)
		io_loop_run_once(b->loop, 10);
	if (err)
		fail_msg("%s: %s", text, gi_strerror(err));
	bed_guest_drop(g);
	g->closed = false;
	g->n_seen = 0;
	assert_int_equal(io_chan_new(b->loop, fd, NULL, &conf, &guest_ops, g, &g->chan), 0);
}

void bed_guest_drop(struct bed_guest *g)
{
	io_chan_free(g->chan);
	g->chan = NULL;
}

void bed_guest_send(struct bed_guest *g, const Idfw__Envelope *e)
{
	struct gi_buf buf;

	gi_buf_init(&buf, WIRE_FRAME_MAX);
	assert_int_equal(wire_envelope_encode(e, &buf), 0);
	assert_non_null(g->chan);
	assert_int_equal(io_chan_send(g->chan, buf.data, buf.len), 0);
	gi_buf_fini(&buf);
}

void bed_guest_raw(struct bed_guest *g, const void *bytes, size_t len)
{
	assert_int_equal(send(io_chan_fd(g->chan), bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

void bed_guest_hello(struct bed_guest *g)
{
	static uint8_t boot_id[16] = { 7 };
	char software[] = "test agent";
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;

	h.version_min = h.version_max = 1;
	h.software = software;
	h.boot_id = (ProtobufCBinaryData){ sizeof(boot_id), boot_id };
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	bed_guest_send(g, &e);
}

void bed_guest_ping(struct bed_guest *g, uint64_t token)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Ping p = IDFW__PING__INIT;

	p.token = token;
	e.body_case = IDFW__ENVELOPE__BODY_PING;
	e.ping = &p;
	bed_guest_send(g, &e);
}

size_t bed_guest_count(const struct bed_guest *g, int body)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_seen; i++)
		n += g->seen[i].body == body;
	return n;
}

void bed_guest_ready(struct bed *b, struct bed_guest *g, const char *vm)
{
	size_t before = bed_count(b, vm, IDFW__ROUTED__BODY_ENVELOPE, IDFW__ENVELOPE__BODY_HELLO);

	bed_guest_connect(b, g, vm);
	bed_guest_hello(g);
	bed_until(b,
		bed_count(b, vm, IDFW__ROUTED__BODY_ENVELOPE, IDFW__ENVELOPE__BODY_HELLO) > before);
	bed_svm_hello_ack(b, vm);
	bed_until(b, bed_guest_count(g, IDFW__ENVELOPE__BODY_HELLO_ACK) == 1);
}
