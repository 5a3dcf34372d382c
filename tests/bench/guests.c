/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guests.c - synthetic guests on the wire, for measuring the real gi-mux and svm-idfw
 *
 * Speaks the agent's side of docs/wire.md over N per-VM unix sockets (DIR/vmNNNNN.sock_5005):
 * Hello, Snapshot, Marks, then logins as fast as a window of unacknowledged events lets it, and
 * answers every ruleset and delta with Applied. Prints JSON lines: logins (rate, time to
 * EventAck, time to SessionReady), then waits for a line on stdin (the caller reads the daemons'
 * memory meanwhile), then logs everybody out and prints that.
 *
 * One process, one loop; latencies include this program's own time, so they are upper bounds.
 */
#include "lib/io/chan.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/wire/wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 512u /* unacknowledged events a guest */

struct guest {
	struct bench *b;
	unsigned int idx;
	struct io_chan *chan;
	uint64_t seq, acked;		/* events */
	uint64_t opened, ready, closed; /* sessions */
	uint64_t target;
	uint64_t *sent_ns; /* by session id - 1 */
	bool up;
};

struct bench {
	struct io_loop *loop;
	const char *dir, *user_format;
	unsigned int n_guests, n_users;
	uint64_t per_guest;
	struct guest *guests;
	unsigned int n_up;
	bool closing;
	uint64_t begin_ns, last_ack_ns, last_ready_ns;
	uint64_t acks, readies, deltas, rulesets, ops, degraded;
	uint64_t *ack_ns, *ready_ns; /* samples */
	struct io_timer report;
	struct gi_buf buf;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_guests: %s: %s\n", what, why);
	exit(1);
}

static void guest_send(struct guest *g, Idfw__Envelope *e)
{
	int err;

	gi_buf_reset(&g->b->buf);
	err = wire_envelope_encode(e, &g->b->buf);
	if (!err)
		err = io_chan_send(g->chan, g->b->buf.data, g->b->buf.len);
	if (err)
		die("send", gi_strerror(err));
}

static void send_hello(struct guest *g)
{
	Idfw__Hello h = IDFW__HELLO__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint8_t boot[16] = "bench boot id 00";

	memcpy(boot + 14, &g->idx, 2);
	h.version_min = WIRE_VERSION_MIN;
	h.version_max = WIRE_VERSION_MAX;
	h.software = (char *)"bench_guests";
	h.boot_id.data = boot;
	h.boot_id.len = sizeof(boot);
	e.body_case = IDFW__ENVELOPE__BODY_HELLO;
	e.hello = &h;
	guest_send(g, &e);
}

static void send_snapshot_and_marks(struct guest *g)
{
	Idfw__Addresses a = IDFW__ADDRESSES__INIT;
	Idfw__Snapshot s = IDFW__SNAPSHOT__INIT;
	Idfw__Marks m = IDFW__MARKS__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint8_t addr[4] = { 10, (uint8_t)(200 + (g->idx >> 16)), (uint8_t)(g->idx >> 8),
		(uint8_t)g->idx };
	ProtobufCBinaryData bd = { .len = 4, .data = addr };

	a.n_addr = 1;
	a.addr = &bd;
	s.first = s.last = true;
	s.addresses = &a;
	e.body_case = IDFW__ENVELOPE__BODY_SNAPSHOT;
	e.snapshot = &s;
	guest_send(g, &e);
	m.first = m.last = true;
	e.body_case = IDFW__ENVELOPE__BODY_MARKS;
	e.marks = &m;
	guest_send(g, &e);
}

static void send_event(struct guest *g, Idfw__Event *ev)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	ev->seq = ++g->seq;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT;
	e.event = ev;
	guest_send(g, &e);
}

static void send_login(struct guest *g)
{
	Idfw__Session s = IDFW__SESSION__INIT;
	Idfw__SessionOpen o = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;
	uint64_t n = (uint64_t)g->idx * g->b->per_guest + g->opened;
	unsigned int user = (unsigned int)(n % g->b->n_users) + 1;
	char name[64];

	snprintf(name, sizeof(name), "%s%06u", g->b->user_format, user);
	s.id = ++g->opened;
	s.user = name;
	s.uid = 10000 + user;
	s.service = (char *)"sshd";
	s.tty = (char *)"ssh";
	s.rhost = (char *)"10.77.7.10";
	s.leader_pid = (uint32_t)(1000 + g->opened);
	s.opened_ms = io_clock_real_ms();
	o.session = &s;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &o;
	g->sent_ns[s.id - 1] = now_ns();
	send_event(g, &ev);
}

static void send_logout(struct guest *g)
{
	Idfw__SessionClose c = IDFW__SESSION_CLOSE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;

	c.id = ++g->closed;
	c.reason = IDFW__END_REASON__END_CLOSE;
	c.closed_ms = io_clock_real_ms();
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &c;
	g->sent_ns[c.id - 1] = now_ns();
	send_event(g, &ev);
}

static void pump(struct guest *g)
{
	while (g->seq - g->acked < WINDOW) {
		if (!g->b->closing && g->opened < g->target)
			send_login(g);
		else if (g->b->closing && g->closed < g->target)
			send_logout(g);
		else
			break;
	}
}

static void send_applied(struct guest *g, uint64_t generation, uint64_t version)
{
	Idfw__Applied a = IDFW__APPLIED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	a.generation = generation;
	a.version = version;
	a.result = IDFW__APPLIED__RESULT__OK;
	e.body_case = IDFW__ENVELOPE__BODY_APPLIED;
	e.applied = &a;
	guest_send(g, &e);
}

static int cmp_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(uint64_t *v, uint64_t n, double p)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), cmp_u64);
	return (double)v[(uint64_t)((double)(n - 1) * p)] / 1000.0;
}

static void print_phase(struct bench *b, const char *what)
{
	uint64_t n = b->per_guest * b->n_guests;
	double sec = (double)(b->last_ack_ns - b->begin_ns) / 1e9;

	printf("{\"bench\":\"guests\",\"phase\":\"%s\",\"guests\":%u,\"sessions\":%lu,\"seconds\":%"
	       ".3f,\"per_second\":%.0f,"
	       "\"ack_p50_us\":%.0f,\"ack_p99_us\":%.0f,\"ready_p50_us\":%.0f,\"ready_p99_us\":%."
	       "0f,"
	       "\"ready\":%lu,\"degraded\":%lu,\"deltas\":%lu,\"rulesets\":%lu,\"ops\":%lu}\n",
		what, b->n_guests, n, sec, (double)n / sec, percentile_us(b->ack_ns, b->acks, 0.5),
		percentile_us(b->ack_ns, b->acks, 0.99),
		percentile_us(b->ready_ns, b->readies, 0.5),
		percentile_us(b->ready_ns, b->readies, 0.99), b->readies, b->degraded, b->deltas,
		b->rulesets, b->ops);
	fflush(stdout);
}

static void start_phase(struct bench *b, bool closing)
{
	b->closing = closing;
	b->acks = b->readies = b->deltas = b->rulesets = b->ops = b->degraded = 0;
	b->begin_ns = now_ns();
	for (unsigned int i = 0; i < b->n_guests; i++)
		pump(&b->guests[i]);
}

static void phase_done(struct bench *b)
{
	char line[16];

	print_phase(b, b->closing ? "logout" : "login");
	if (b->closing) {
		io_loop_stop(b->loop);
		return;
	}
	/* the daemons are idle now: the caller looks at them, then says go on */
	if (!fgets(line, sizeof(line), stdin))
		io_loop_stop(b->loop);
	else
		start_phase(b, true);
}

static void check_done(struct io_timer *t)
{
	struct bench *b = t->arg;
	uint64_t n = b->per_guest * b->n_guests;

	if (b->acks < n)
		return;
	if (!b->closing && b->readies < n && now_ns() - b->last_ready_ns < 5000000000u)
		return;
	phase_done(b);
}

static void on_ack(struct guest *g, uint64_t seq)
{
	struct bench *b = g->b;
	uint64_t t = now_ns();

	for (; g->acked < seq && g->acked < g->seq; g->acked++) {
		uint64_t id = b->closing ? g->acked - g->target : g->acked;

		b->ack_ns[b->acks++] = t - g->sent_ns[id];
	}
	b->last_ack_ns = t;
	pump(g);
}

static void on_ready(struct guest *g, const Idfw__SessionReady *r)
{
	struct bench *b = g->b;

	if (r->id < 1 || r->id > g->opened || b->closing)
		return;
	b->last_ready_ns = now_ns();
	b->ready_ns[b->readies++] = b->last_ready_ns - g->sent_ns[r->id - 1];
	b->degraded += r->state != IDFW__SESSION_READY__STATE__ENFORCED;
}

static void on_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct guest *g = arg;
	Idfw__Envelope *e;
	const char *why = "";

	(void)c;
	if (wire_envelope_decode(
		    buf, len, WIRE_SVM_TO_AGENT, g->up ? WIRE_OPEN : WIRE_NEW, &e, &why))
		die("bad frame", why);
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO_ACK:
		g->up = true;
		send_snapshot_and_marks(g);
		if (++g->b->n_up == g->b->n_guests)
			start_phase(g->b, false);
		break;
	case IDFW__ENVELOPE__BODY_EVENT_ACK:
		on_ack(g, e->event_ack->seq);
		break;
	case IDFW__ENVELOPE__BODY_SESSION_READY:
		on_ready(g, e->session_ready);
		break;
	case IDFW__ENVELOPE__BODY_RULESET_COMMIT:
		g->b->rulesets++;
		send_applied(g, e->ruleset_commit->generation, e->ruleset_commit->version);
		break;
	case IDFW__ENVELOPE__BODY_DELTA:
		g->b->deltas++;
		g->b->ops += e->delta->n_op;
		send_applied(g, e->delta->generation, e->delta->version);
		break;
	case IDFW__ENVELOPE__BODY_REFUSED:
		die("refused", e->refused->text);
	default:
		break;
	}
	wire_envelope_free(e);
}

static void on_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct guest *g = arg;

	(void)c;
	fprintf(stderr, "bench_guests: guest %u: %s (%s)\n", g->idx, gi_strerror(err),
		why ? why : "");
	exit(1);
}

static void on_connected(void *arg, struct io_chan *c)
{
	struct guest *g = arg;

	g->chan = c;
	send_hello(g);
}

static const struct io_chan_ops ops = {
	.ready = on_connected, .frame = on_frame, .closed = on_closed
};

static void connect_guest(struct bench *b, struct guest *g)
{
	const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX, .max_queue = 64u << 20 };
	struct io_endpoint ep;
	char text[160];
	int fd, err;

	snprintf(text, sizeof(text), "unix:%s/vm%05u.sock_%d", b->dir, g->idx, WIRE_PORT_AGENT);
	err = io_endpoint_parse(text, &ep);
	if (!err)
		err = io_sock_connect(&ep, &fd);
	if (!err)
		err = io_chan_new(b->loop, fd, NULL, &conf, &ops, g, &g->chan);
	if (err)
		die(text, gi_strerror(err));
}

static void setup(struct bench *b)
{
	uint64_t n = b->per_guest * b->n_guests;

	b->ack_ns = calloc(n, sizeof(*b->ack_ns));
	b->ready_ns = calloc(n, sizeof(*b->ready_ns));
	b->guests = calloc(b->n_guests, sizeof(*b->guests));
	gi_buf_init(&b->buf, WIRE_FRAME_MAX);
	if (!b->ack_ns || !b->ready_ns || !b->guests || io_loop_new(&b->loop))
		die("start", "out of memory");
	for (unsigned int i = 0; i < b->n_guests; i++) {
		struct guest *g = &b->guests[i];

		g->b = b;
		g->idx = i;
		g->target = b->per_guest;
		g->sent_ns = calloc(b->per_guest, sizeof(*g->sent_ns));
		if (!g->sent_ns)
			die("start", "out of memory");
		connect_guest(b, g);
	}
	io_timer_start(b->loop, &b->report, 10, 10, check_done, b);
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "dir", 1, NULL, 'd' }, { "guests", 1, NULL, 'g' },
		{ "sessions", 1, NULL, 's' }, { "users", 1, NULL, 'u' }, { "prefix", 1, NULL, 'p' },
		{ 0 } };
	struct bench b = { .dir = NULL, .user_format = "u", .n_guests = 10, .n_users = 1000 };
	unsigned long sessions = 1000;
	int o;

	while ((o = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		if (o == 'd')
			b.dir = optarg;
		else if (o == 'g')
			b.n_guests = (unsigned int)strtoul(optarg, NULL, 10);
		else if (o == 's')
			sessions = strtoul(optarg, NULL, 10);
		else if (o == 'u')
			b.n_users = (unsigned int)strtoul(optarg, NULL, 10);
		else if (o == 'p')
			b.user_format = optarg;
		else
			return 2;
	}
	if (!b.dir || !b.n_guests || !b.n_users || sessions < b.n_guests) {
		fprintf(stderr, "usage: bench_guests --dir DIR --guests G --sessions N --users U "
				"[--prefix P]\n");
		return 2;
	}
	b.per_guest = sessions / b.n_guests;
	setup(&b);
	io_loop_run(b.loop);
	return 0;
}
