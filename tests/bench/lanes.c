/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lanes.c - does a file that is being scanned delay a login? Through the real gi-mux
 *
 *   identity agent (this process) --.           .== TLS == service VM (child): answers each login
 *                                     gi-mux --<
 *   file agent (child) -------------'           '== TLS == scan service (child): reads the file
 *
 * One guest. Logins one after the other, a millisecond between them, measured from Event to
 * SessionReady: alone; while the same guest's file agent streams one large file (ranges of 1 MiB,
 * two asked for ahead); the same through a second gi-mux, which shares nothing with the logins but
 * the processors (the floor of a machine that is busy anyway); alone again; and while it sends
 * small files (4 KiB with the event) with 256 under way. Prints a JSON line a phase, with what the
 * file lane did meanwhile and the CPU time that its gi-mux took. Peers judge and read nothing: it
 * is the carrier that is measured.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "lib/io/chan.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/io/tls.h"
#include "lib/wire/wire.h"
#include "tests/unit/io/certs.h"

#define LOGINS_MAX 200000u
#define LOGINS_ALONE 3000u
#define RANGES_AHEAD 2u
#define SMALL_CREDITS 256u
#define SMALL_BYTES 4096u

struct job { /* to the file agent and back */
	bool small;
	uint64_t amount; /* bytes of the one file, or number of small ones */
	uint64_t ns;	 /* it took */
};

struct peer { /* a service */
	enum wire_sender agent;
	struct io_loop *loop;
	struct io_tls_ctx *tls;
	struct io_chan *chan;
	struct io_fd watch;
	int listen_fd;
	uint64_t file_size, asked, got; /* of the file that is being read */
	struct gi_buf inner, outer;
};

struct agent { /* of either kind */
	struct io_loop *loop;
	struct io_chan *chan;
	struct gi_buf buf;
	bool up;
	struct io_fd control; /* file agent: jobs come in; identity: they are done */
	int control_fd;
	/* identity */
	struct io_timer pause;
	uint64_t seq, sent_ns, target;
	bool measuring, job_done;
	uint32_t us[LOGINS_MAX];
	size_t n;
	struct job job;
	/* file */
	uint64_t begun_ns, sent, answered, last_id;
};

struct side { /* a gi-mux and a file agent behind it */
	pid_t mux, agent;
	int control;
};

static char dir[64];
static uint8_t content[WIRE_DATA_MAX];

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void must(int err, const char *what)
{
	if (err >= 0)
		return;
	(void)fprintf(stderr, "bench lanes: %s: %s\n", what, gi_strerror(err));
	exit(1);
}

static void on_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)arg;
	(void)c;
	(void)err;
	(void)fprintf(stderr, "bench lanes: %s\n", why);
	exit(1);
}

/* ---- services ---- */

static void peer_send(struct peer *p, const Idfw__Routed *r)
{
	gi_buf_reset(&p->outer);
	must(wire_routed_encode(r, &p->outer), "encode");
	must(io_chan_send(p->chan, p->outer.data, p->outer.len), "send");
}

static void peer_say(struct peer *p, char *vm, const Idfw__Envelope *e)
{
	Idfw__Routed r;

	gi_buf_reset(&p->inner);
	must(wire_envelope_encode(e, &p->inner), "encode");
	idfw__routed__init(&r);
	r.vm = vm;
	r.body_case = IDFW__ROUTED__BODY_ENVELOPE;
	r.envelope = (ProtobufCBinaryData){ p->inner.len, p->inner.data };
	peer_send(p, &r);
}

static void peer_verdict(struct peer *p, char *vm, uint64_t id)
{
	static uint8_t sha256[32], epoch[16];
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileVerdict v = IDFW__FILE_VERDICT__INIT;

	v.id = id;
	v.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
	v.until_change = true;
	v.sha256 = (ProtobufCBinaryData){ sizeof(sha256), sha256 };
	v.epoch = (ProtobufCBinaryData){ sizeof(epoch), epoch };
	e.body_case = IDFW__ENVELOPE__BODY_FILE_VERDICT;
	e.file_verdict = &v;
	peer_say(p, vm, &e);
}

static void peer_read_on(struct peer *p, char *vm)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileRead r = IDFW__FILE_READ__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_FILE_READ;
	e.file_read = &r;
	while (p->asked < p->file_size && p->asked - p->got < RANGES_AHEAD * WIRE_RANGE_MAX) {
		uint64_t left = p->file_size - p->asked;

		r.id = 1;
		r.offset = p->asked;
		r.length = left < WIRE_RANGE_MAX ? (uint32_t)left : WIRE_RANGE_MAX;
		p->asked += r.length;
		peer_say(p, vm, &e);
	}
}

static void peer_hello(struct peer *p, char *vm)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__HelloAck a = IDFW__HELLO_ACK__INIT;

	a.version = 1;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	e.hello_ack = &a;
	peer_say(p, vm, &e);
}

static void peer_ready(struct peer *p, char *vm, const Idfw__Event *ev)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__SessionReady s = IDFW__SESSION_READY__INIT;

	s.id = ev->open->session->id;
	s.state = IDFW__SESSION_READY__STATE__ENFORCED;
	e.body_case = IDFW__ENVELOPE__BODY_SESSION_READY;
	e.session_ready = &s;
	peer_say(p, vm, &e);
}

static void peer_envelope(struct peer *p, char *vm, const Idfw__Envelope *e)
{
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO:
		peer_hello(p, vm);
		break;
	case IDFW__ENVELOPE__BODY_EVENT:
		peer_ready(p, vm, e->event);
		break;
	case IDFW__ENVELOPE__BODY_FILE_EVENT:
		if (e->file_event->size <= e->file_event->head.len) {
			peer_verdict(p, vm, e->file_event->id);
			break;
		}
		p->file_size = e->file_event->size;
		p->asked = p->got = 0;
		peer_read_on(p, vm);
		break;
	case IDFW__ENVELOPE__BODY_FILE_DATA:
		p->got += e->file_data->data.len;
		peer_read_on(p, vm);
		if (p->got == p->file_size)
			peer_verdict(p, vm, 1);
		break;
	default:
		break;
	}
}

static void peer_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct peer *p = arg;
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
	Idfw__Envelope *e = NULL;
	Idfw__Routed *r = NULL, answer;
	const char *why = "";

	(void)c;
	if (wire_routed_decode(buf, len, true, WIRE_OPEN, &r, &why) < 0)
		must(wire_routed_decode(buf, len, true, WIRE_NEW, &r, &why), why);
	if (r->body_case == IDFW__ROUTED__BODY_HELLO) {
		idfw__routed__init(&answer);
		ack.version = 1;
		answer.body_case = IDFW__ROUTED__BODY_HELLO_ACK;
		answer.hello_ack = &ack;
		peer_send(p, &answer);
	} else if (r->body_case == IDFW__ROUTED__BODY_ENVELOPE) {
		if (wire_envelope_decode(
			    r->envelope.data, r->envelope.len, p->agent, WIRE_OPEN, &e, &why) < 0)
			must(wire_envelope_decode(r->envelope.data, r->envelope.len, p->agent,
				     WIRE_NEW, &e, &why),
				why);
		peer_envelope(p, r->vm, e);
		wire_envelope_free(e);
	}
	wire_routed_free(r);
}

static const struct io_chan_ops peer_ops = { .frame = peer_frame, .closed = on_closed };

static void peer_accept(struct io_fd *w, unsigned int events)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_ROUTED_MAX, .max_queue = 64u << 20 };
	struct peer *p = w->arg;
	struct io_tls *tls = NULL;
	int fd = -1;

	(void)events;
	if (io_sock_accept(p->listen_fd, &fd))
		return;
	must(io_tls_new(p->tls, NULL, &tls), "TLS");
	must(io_chan_new(p->loop, fd, tls, &conf, &peer_ops, p, &p->chan), "channel");
}

/* a listener on a port of the kernel's choice, and a child that serves it */
static pid_t peer_start(enum wire_sender agent, unsigned int *ret_port)
{
	struct peer *p = calloc(1, sizeof(*p));
	char ca[128], cert[128], key[128], why[256];
	const struct io_tls_conf tls = {
		.ca_file = ca, .cert_file = cert, .key_file = key, .server = true
	};
	struct io_endpoint e;
	socklen_t len = sizeof(e.u);
	pid_t pid;

	must(p ? 0 : -ENOMEM, "start");
	must(io_endpoint_parse("tcp:127.0.0.1:1", &e), "endpoint");
	e.u.in.sin_port = 0;
	must(io_sock_listen(&e, 0, &p->listen_fd), "listen");
	must(getsockname(p->listen_fd, &e.u.sa, &len) < 0 ? -errno : 0, "getsockname");
	*ret_port = ntohs(e.u.in.sin_port);
	pid = fork();
	must(pid < 0 ? -errno : 0, "fork");
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	p->agent = agent;
	gi_buf_init(&p->inner, WIRE_FRAME_MAX);
	gi_buf_init(&p->outer, WIRE_ROUTED_MAX);
	(void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	(void)snprintf(cert, sizeof(cert), "%s/svm.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/svm.key", dir);
	must(io_tls_ctx_new(&tls, why, &p->tls), "TLS");
	must(io_loop_new(&p->loop), "loop");
	io_fd_start(p->loop, &p->watch, p->listen_fd, IO_READ, peer_accept, p);
	io_loop_run(p->loop);
	exit(0);
}

static pid_t mux_start(const char *vm, unsigned int svm_port, unsigned int scan_port)
{
	const char *top = getenv("top_builddir");
	char conf[128], bin[256];
	pid_t pid;
	FILE *f;

	(void)snprintf(conf, sizeof(conf), "%s/%s.conf", dir, vm);
	(void)snprintf(bin, sizeof(bin), "%s/mux/gi-mux", top ? top : ".");
	f = fopen(conf, "w");
	must(f ? 0 : -errno, conf);
	(void)fprintf(f,
		"svm \"tcp:127.0.0.1:%1$u\"; svm-name \"svm.test\";\n"
		"scan \"tcp:127.0.0.1:%2$u\"; scan-name \"svm.test\";\n"
		"host-name \"bench\"; ca \"%3$s/ca.pem\"; cert \"%3$s/host.pem\";\n"
		"key \"%3$s/host.key\"; user \"nobody\"; retry 100ms;\n"
		"vm %4$s { listen \"unix:%3$s/vm/%4$s_5005\"; "
		"file-listen \"unix:%3$s/vm/%4$s_5006\"; }\n",
		svm_port, scan_port, dir, vm);
	must(fclose(f) ? -errno : 0, conf);
	pid = fork();
	must(pid < 0 ? -errno : 0, "fork");
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)execl(bin, bin, "-c", conf, (char *)NULL);
	must(-errno, bin);
	exit(1);
}

/* ---- agents ---- */

static void agent_say(struct agent *a, const Idfw__Envelope *e)
{
	gi_buf_reset(&a->buf);
	must(wire_envelope_encode(e, &a->buf), "encode");
	must(io_chan_send(a->chan, a->buf.data, a->buf.len), "send");
}

static void agent_hello(void *arg, struct io_chan *c)
{
	static uint8_t boot_id[16] = { 1 };
	struct agent *a = arg;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Hello h = IDFW__HELLO__INIT;

	a->chan = c;
	h.version_min = h.version_max = 1;
	h.boot_id = (ProtobufCBinaryData){ sizeof(boot_id), boot_id };
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	agent_say(a, &e);
}

static void agent_connect(struct agent *a, const char *vm, int port, const struct io_chan_ops *ops)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX, .max_queue = 64u << 20 };
	struct io_endpoint e;
	char text[128];
	int fd = -1, err;

	gi_buf_init(&a->buf, WIRE_FRAME_MAX);
	must(io_loop_new(&a->loop), "loop");
	(void)snprintf(text, sizeof(text), "unix:%s/vm/%s_%d", dir, vm, port);
	must(io_endpoint_parse(text, &e), text);
	for (int i = 0; (err = io_sock_connect(&e, &fd)) != 0 && i < 1000; i++)
		io_loop_run_once(a->loop, 10); /* gi-mux may not listen yet */
	must(err, text);
	must(io_chan_new(a->loop, fd, NULL, &conf, ops, a, &a->chan), "channel");
}

static void file_event(struct agent *a, uint64_t size, size_t head)
{
	static uint8_t path[] = "/usr/src/linux/include/linux/something.h";
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileEvent ev = IDFW__FILE_EVENT__INIT;

	ev.id = ++a->last_id;
	ev.op = IDFW__FILE_OP__FILE_OP_OPEN;
	ev.path = (ProtobufCBinaryData){ sizeof(path) - 1, path };
	ev.size = size;
	ev.mtime_ns = ev.ctime_ns = 1700000000000000000;
	ev.inode = 1000000 + a->last_id;
	ev.device = 0x801;
	ev.mode = 0100644;
	ev.deadline_ms = 1000;
	ev.head = (ProtobufCBinaryData){ head, content };
	e.body_case = IDFW__ENVELOPE__BODY_FILE_EVENT;
	e.file_event = &ev;
	agent_say(a, &e);
}

static void file_small_on(struct agent *a)
{
	while (a->sent < a->job.amount && a->sent - a->answered < SMALL_CREDITS) {
		a->sent++;
		file_event(a, SMALL_BYTES, SMALL_BYTES);
	}
}

static void file_range(struct agent *a, const Idfw__FileRead *r)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__FileData d = IDFW__FILE_DATA__INIT;

	e.body_case = IDFW__ENVELOPE__BODY_FILE_DATA;
	e.file_data = &d;
	for (uint32_t done = 0; done < r->length;) {
		uint32_t left = r->length - done;

		d.id = r->id;
		d.offset = r->offset + done;
		d.data.data = content;
		d.data.len = left < sizeof(content) ? left : sizeof(content);
		done += (uint32_t)d.data.len;
		agent_say(a, &e);
	}
}

static void file_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct agent *a = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	must(wire_envelope_decode(
		     buf, len, WIRE_SCAN_TO_AGENT, a->up ? WIRE_OPEN : WIRE_NEW, &e, &why),
		why);
	a->up = true;
	if (e->body_case == IDFW__ENVELOPE__BODY_FILE_READ)
		file_range(a, e->file_read);
	if (e->body_case == IDFW__ENVELOPE__BODY_FILE_VERDICT) {
		a->answered++;
		if (a->job.small)
			file_small_on(a);
		if (a->answered == (a->job.small ? a->job.amount : 1)) {
			a->job.ns = now_ns() - a->begun_ns;
			must(write(a->control_fd, &a->job, sizeof(a->job)) < 0 ? -errno : 0,
				"control");
		}
	}
	wire_envelope_free(e);
}

static void file_job(struct io_fd *w, unsigned int events)
{
	struct agent *a = w->arg;

	(void)events;
	if (read(a->control_fd, &a->job, sizeof(a->job)) != sizeof(a->job))
		exit(0);
	a->begun_ns = now_ns();
	a->sent = a->answered = a->last_id = 0;
	if (a->job.small)
		file_small_on(a);
	else
		file_event(a, a->job.amount, 0);
}

static pid_t file_agent_start(const char *vm, int control)
{
	static const struct io_chan_ops ops = {
		.ready = agent_hello, .frame = file_frame, .closed = on_closed
	};
	struct agent *a;
	pid_t pid = fork();

	must(pid < 0 ? -errno : 0, "fork");
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	a = calloc(1, sizeof(*a));
	must(a ? 0 : -ENOMEM, "start");
	agent_connect(a, vm, WIRE_PORT_FILE, &ops);
	a->control_fd = control;
	io_fd_start(a->loop, &a->control, control, IO_READ, file_job, a);
	io_loop_run(a->loop);
	exit(0);
}

static void login(struct agent *a)
{
	static char user[] = "CORP\\alice", service[] = "sshd", rhost[] = "10.77.1.99";
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	Idfw__SessionOpen o = IDFW__SESSION_OPEN__INIT;
	Idfw__Session s = IDFW__SESSION__INIT;

	s.id = ev.seq = ++a->seq;
	s.user = user;
	s.uid = 2001;
	s.service = service;
	s.rhost = rhost;
	o.session = &s;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &o;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT;
	e.event = &ev;
	a->sent_ns = now_ns();
	agent_say(a, &e);
}

static void login_again(struct io_timer *w)
{
	login(w->arg);
}

static void login_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct agent *a = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	must(wire_envelope_decode(
		     buf, len, WIRE_SVM_TO_AGENT, a->up ? WIRE_OPEN : WIRE_NEW, &e, &why),
		why);
	a->up = true;
	if (e->body_case == IDFW__ENVELOPE__BODY_SESSION_READY) {
		if (a->measuring && a->n < LOGINS_MAX)
			a->us[a->n++] = (uint32_t)((now_ns() - a->sent_ns) / 1000);
		io_timer_start(a->loop, &a->pause, 1, 0, login_again, a);
	}
	wire_envelope_free(e);
}

static void job_done(struct io_fd *w, unsigned int events)
{
	struct agent *a = w->arg;

	(void)events;
	if (read(a->control_fd, &a->job, sizeof(a->job)) != sizeof(a->job))
		exit(1); /* the file agent has said why */
	a->job_done = true;
}

/* ---- the measurement ---- */

static int cmp_us(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return a < b ? -1 : a > b;
}

/* CPU time of gi-mux so far, in milliseconds */
static unsigned long mux_cpu_ms(pid_t pid)
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			  &sys) != 2)
		must(-EIO, path);
	(void)fclose(f);
	return (user + sys) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

static void report(struct agent *a, const char *phase, unsigned long cpu_ms)
{
	double sec = (double)a->job.ns / 1e9;

	must(a->n ? 0 : -ENODATA, phase);
	qsort(a->us, a->n, sizeof(a->us[0]), cmp_us);
	(void)printf("{\"bench\":\"lanes\",\"phase\":\"%s\",\"n\":%zu,\"p50_us\":%u,\"p99_us\":%u,"
		     "\"max_us\":%u,\"mux_cpu_ms\":%lu",
		phase, a->n, a->us[a->n / 2], a->us[a->n * 99 / 100], a->us[a->n - 1], cpu_ms);
	if (a->job.ns && a->job.small)
		(void)printf(",\"files\":%llu,\"files_per_second\":%.0f",
			(unsigned long long)a->job.amount, (double)a->job.amount / sec);
	else if (a->job.ns)
		(void)printf(",\"mib\":%llu,\"mib_per_second\":%.0f",
			(unsigned long long)(a->job.amount >> 20),
			(double)a->job.amount / sec / (1 << 20));
	(void)printf("}\n");
	(void)fflush(stdout);
}

static void side_start(
	struct side *s, const char *vm, unsigned int svm_port, unsigned int scan_port)
{
	int control[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) ? -errno : 0,
		"socketpair");
	s->mux = mux_start(vm, svm_port, scan_port);
	s->agent = file_agent_start(vm, control[1]);
	(void)close(control[1]);
	s->control = control[0];
}

/* a phase with a job lasts as long as that, one without until there are LOGINS_ALONE */
static void phase(struct agent *a, const struct side *s, const char *name, const struct job *job)
{
	unsigned long cpu = mux_cpu_ms(s->mux);

	a->n = 0;
	a->job = (struct job){ 0 };
	a->job_done = false;
	a->measuring = true;
	a->control_fd = s->control;
	io_fd_start(a->loop, &a->control, s->control, IO_READ, job_done, a);
	if (job)
		must(write(s->control, job, sizeof(*job)) < 0 ? -errno : 0, "control");
	while (job ? !a->job_done : a->n < LOGINS_ALONE)
		io_loop_run_once(a->loop, 100);
	io_fd_stop(a->loop, &a->control);
	a->measuring = false;
	report(a, name, mux_cpu_ms(s->mux) - cpu);
}

/* at once: nobody is to see another one end */
static void end_all(const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)kill(pids[i], SIGKILL);
	for (size_t i = 0; i < n; i++)
		(void)waitpid(pids[i], NULL, 0);
}

static void certificates(void)
{
	struct cert_ca *ca = cert_ca_new(dir, "ca");

	cert_issue(ca, dir, "svm", "svm", "DNS:svm.test", 1);
	cert_issue(ca, dir, "host", "bench", NULL, 1);
	cert_ca_free(ca);
}

static void remove_dir(void)
{
	static const char *const files[] = { "ca.pem", "svm.pem", "svm.key", "host.pem", "host.key",
		"jump01.conf", "other.conf", "vm/jump01_5005", "vm/jump01_5006", "vm/other_5005",
		"vm/other_5006" };
	char path[128];

	for (size_t i = 0; i < GI_ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/vm", dir);
	(void)rmdir(path);
	(void)rmdir(dir);
}

int main(int argc, char **argv)
{
	static const struct io_chan_ops ops = {
		.ready = agent_hello, .frame = login_frame, .closed = on_closed
	};
	static struct agent identity;
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 2048;
	unsigned long files = argc > 2 ? strtoul(argv[2], NULL, 10) : 200000;
	const struct job file = { .amount = (uint64_t)mib << 20 };
	const struct job small = { .small = true, .amount = files };
	struct side same = { 0 }, other = { 0 };
	unsigned int svm_port, scan_port, scan2_port, unused;
	pid_t svm[2], scan[2];
	char vm_dir[80], name[80];

	if (argc > 3 || mib == 0 || files == 0) {
		(void)fprintf(stderr, "usage: lanes [MIB-OF-THE-FILE [SMALL-FILES]]\n");
		return 2;
	}
	(void)snprintf(dir, sizeof(dir), "/tmp/idfw-lanes-XXXXXX");
	must(mkdtemp(dir) ? 0 : -errno, dir);
	(void)snprintf(vm_dir, sizeof(vm_dir), "%s/vm", dir);
	must(chmod(dir, 0755) || mkdir(vm_dir, 0777) || chmod(vm_dir, 0777) ? -errno : 0, vm_dir);
	certificates();
	svm[0] = peer_start(WIRE_AGENT, &svm_port);
	svm[1] = peer_start(WIRE_AGENT, &unused);
	scan[0] = peer_start(WIRE_FILE_AGENT, &scan_port);
	scan[1] = peer_start(WIRE_FILE_AGENT, &scan2_port);
	side_start(&same, "jump01", svm_port, scan_port);
	side_start(&other, "other", unused, scan2_port);
	agent_connect(&identity, "jump01", WIRE_PORT_AGENT, &ops);
	while (!identity.up)
		io_loop_run_once(identity.loop, 100);
	login(&identity);
	phase(&identity, &same, "login alone", NULL);
	(void)snprintf(name, sizeof(name), "login, %lu MiB file beside", mib);
	phase(&identity, &same, name, &file);
	(void)snprintf(name, sizeof(name), "login, %lu MiB file in another mux", mib);
	phase(&identity, &other, name, &file);
	phase(&identity, &same, "login alone again", NULL);
	phase(&identity, &same, "login, small files beside", &small);
	phase(&identity, &other, "login, small files in another mux", &small);
	end_all((const pid_t[]){ same.agent, other.agent, svm[0], svm[1], scan[0], scan[1],
			same.mux, other.mux },
		8);
	remove_dir();
	return 0;
}
