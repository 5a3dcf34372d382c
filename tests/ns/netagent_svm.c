/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netagent_svm.c - plays the mux and the SVM for one gi-netagent, by script: for namespace tests
 *
 * netagent_svm SOCKET [ACKED] - listens; prints what the agent sends, one line a message; takes
 * commands from stdin:
 *   ack on|off             acknowledge events as they come (default on)
 *   ready on|off           answer each SessionOpen with SessionReady enforced (default off)
 *   refuse on|off          with SessionReady refused
 *   degraded ID | refused ID   SessionReady
 *   watch UNIT...          ServiceWatch
 *   kick ID                | drop (the connection) | mute on|off (no HelloAck)
 *   ruleset ... push       lines of tests/unit/fw/fixture.h between; sent whole
 *   delta FROM TO ... commit   "add ELEMENT" and "del ELEMENT" between
 *   lease GENERATION VERSION   Lease
 *   raw HEX                those bytes as one frame; head HEX: those bytes without a frame
 * Also at the far end of a connection it keeps the number that it acknowledged.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fw/fwwire.h"
#include "lib/io/sock.h"
#include "lib/wire/wire.h"
#include "tests/unit/fw/fixture.h"

struct svm {
	int listen_fd, fd;
	bool ack, ready, refuse, mute, scripting;
	uint64_t acked; /* of this boot */
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	bool booted;
	enum wire_state wire;
	struct gi_buf script;
	struct fw_state *state; /* last pushed: names for deltas */
	struct fw_delta delta;
};

static int send_frame(void *arg, const uint8_t *buf, size_t len)
{
	struct svm *s = arg;
	uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len };

	if (s->fd < 0)
		return -ENOTCONN;
	if (send(s->fd, head, 4, MSG_NOSIGNAL) != 4 ||
		send(s->fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -EPIPE;
	return 0;
}

static void send_env(struct svm *s, const Idfw__Envelope *e)
{
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_envelope_encode(e, &b) < 0 || send_frame(s, b.data, b.len) < 0)
		printf("unsent %s\n", wire_body_name((int)e->body_case));
	gi_buf_fini(&b);
}

static void hang_up(struct svm *s, const char *why)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	printf("disconnected %s\n", why);
}

static void on_hello(struct svm *s, const Idfw__Hello *h)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__HelloAck a = IDFW__HELLO_ACK__INIT;

	printf("hello last=%" PRIu64 " software=%s boot=", h->last_seq, h->software);
	for (size_t i = 0; i < h->boot_id.len; i++)
		printf("%02x", h->boot_id.data[i]);
	printf("\n");
	if (s->booted && memcmp(s->boot_id, h->boot_id.data, sizeof(s->boot_id)) != 0)
		s->acked = 0;
	memcpy(s->boot_id, h->boot_id.data, sizeof(s->boot_id));
	s->booted = true;
	if (s->mute)
		return;
	a.version = 1;
	a.acked_seq = s->acked;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	e.hello_ack = &a;
	send_env(s, &e);
	s->wire = WIRE_OPEN;
}

static void send_ready(struct svm *s, uint64_t id, Idfw__SessionReady__State st)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__SessionReady r = IDFW__SESSION_READY__INIT;

	r.id = id;
	r.state = st;
	e.body_case = IDFW__ENVELOPE__BODY_SESSION_READY;
	e.session_ready = &r;
	send_env(s, &e);
}

static void print_addrs(const Idfw__Addresses *a)
{
	for (size_t i = 0; a && i < a->n_addr; i++) {
		char text[GI_ADDR_STRLEN];
		struct gi_addr x;

		if (gi_addr_from_bytes(a->addr[i].data, a->addr[i].len, &x) == 0)
			printf(" %s", gi_addr_format(&x, text));
	}
}

static void print_session(const Idfw__Session *x)
{
	printf(" open id=%" PRIu64 " user=%s uid=%u service=%s tty=%s rhost=%s auth=%s leader=%u"
	       " kind=%d cgroup=%" PRIu64 " parent=%" PRIu64 " found=%d",
		x->id, x->user, x->uid, x->service, x->tty, x->rhost, x->auth, x->leader_pid,
		(int)x->kind, x->cgroup, x->parent, x->found);
}

static void on_event(struct svm *s, const Idfw__Event *ev)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__EventAck a = IDFW__EVENT_ACK__INIT;

	printf("event %" PRIu64, ev->seq);
	if (ev->body_case == IDFW__EVENT__BODY_OPEN)
		print_session(ev->open->session);
	else if (ev->body_case == IDFW__EVENT__BODY_CLOSE)
		printf(" close id=%" PRIu64 " reason=%d", ev->close->id, (int)ev->close->reason);
	else
		print_addrs(ev->addresses);
	printf("\n");
	if (s->ready && ev->body_case == IDFW__EVENT__BODY_OPEN)
		send_ready(s, ev->open->session->id, IDFW__SESSION_READY__STATE__ENFORCED);
	if (s->refuse && ev->body_case == IDFW__EVENT__BODY_OPEN)
		send_ready(s, ev->open->session->id, IDFW__SESSION_READY__STATE__REFUSED);
	if (!s->ack)
		return;
	s->acked = a.seq = ev->seq;
	e.body_case = IDFW__ENVELOPE__BODY_EVENT_ACK;
	e.event_ack = &a;
	send_env(s, &e);
}

static void on_message(struct svm *s, const Idfw__Envelope *e)
{
	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO:
		on_hello(s, e->hello);
		break;
	case IDFW__ENVELOPE__BODY_EVENT:
		on_event(s, e->event);
		break;
	case IDFW__ENVELOPE__BODY_SNAPSHOT:
		printf("snapshot seq=%" PRIu64 " first=%d last=%d n=%zu addrs", e->snapshot->seq,
			e->snapshot->first, e->snapshot->last, e->snapshot->n_session);
		print_addrs(e->snapshot->addresses);
		printf(" ids");
		for (size_t i = 0; i < e->snapshot->n_session; i++)
			printf(" %" PRIu64, e->snapshot->session[i]->id);
		printf("\n");
		for (size_t i = 0; i < e->snapshot->n_session; i++) {
			printf("in-snapshot");
			print_session(e->snapshot->session[i]);
			printf("\n");
		}
		break;
	case IDFW__ENVELOPE__BODY_MARKS:
		printf("marks gen=%" PRIu64 " ver=%" PRIu64 " n=%zu last=%d\n",
			e->marks->generation, e->marks->version, e->marks->n_elem, e->marks->last);
		break;
	case IDFW__ENVELOPE__BODY_APPLIED:
		printf("applied gen=%" PRIu64 " ver=%" PRIu64 " result=%d %s\n",
			e->applied->generation, e->applied->version, (int)e->applied->result,
			e->applied->text);
		break;
	case IDFW__ENVELOPE__BODY_ALARM:
		printf("alarm kind=%d over=%d %s\n", (int)e->alarm->kind, e->alarm->over,
			e->alarm->text);
		break;
	default:
		printf("%s\n", wire_body_name((int)e->body_case));
	}
}

static bool read_whole(int fd, uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, p, len, 0);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void on_readable(struct svm *s)
{
	static uint8_t buf[WIRE_FRAME_MAX];
	uint8_t head[4];
	Idfw__Envelope *e;
	const char *why;
	size_t len;

	if (!read_whole(s->fd, head, 4)) {
		hang_up(s, "by the agent");
		return;
	}
	len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (len == 0 || len > sizeof(buf) || !read_whole(s->fd, buf, len)) {
		hang_up(s, "bad frame");
		return;
	}
	if (wire_envelope_decode(buf, len, WIRE_AGENT, s->wire, &e, &why) < 0) {
		printf("bad message: %s\n", why);
		hang_up(s, why);
		return;
	}
	on_message(s, e);
	wire_envelope_free(e);
}

/* ---- commands ---- */

static void cmd_push(struct svm *s)
{
	struct fw_state *st = fx_state(gi_buf_str(&s->script));

	gi_buf_reset(&s->script);
	s->scripting = false;
	if (!st || fw_wire_write_state(st, send_frame, s) < 0) {
		printf("bad script\n");
		fw_state_free(st);
		return;
	}
	fw_state_free(s->state);
	s->state = st;
}

static void cmd_op(struct svm *s, bool del, const char *line)
{
	struct fw_op *op = &s->delta.ops[s->delta.n_ops];

	memset(op, 0, sizeof(*op));
	op->del = del;
	if (!s->state || fx_elem_line(fw_state_ruleset(s->state), line, &op->elem) < 0) {
		printf("bad element\n");
		return;
	}
	if (del) {
		op->elem.mark = op->elem.lease_s = 0;
		op->elem.ends = false;
	}
	s->delta.n_ops++;
}

static void cmd_commit(struct svm *s)
{
	if (s->state)
		s->delta.generation = fw_state_ruleset(s->state)->generation;
	fw_delta_sort(&s->delta);
	if (fw_wire_write_delta(&s->delta, send_frame, s) < 0)
		printf("bad delta\n");
	s->delta.n_ops = 0;
}

static void cmd_raw(struct svm *s, const char *hex, bool framed)
{
	uint8_t bytes[512];
	size_t n = 0;
	unsigned int v;

	while (n < sizeof(bytes) && sscanf(hex + 2 * n, "%2x", &v) == 1)
		bytes[n++] = (uint8_t)v;
	if (s->fd < 0 || (framed ? send_frame(s, bytes, n) < 0
				 : send(s->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n))
		printf("unsent raw\n");
}

static void cmd_kick(struct svm *s, uint64_t id)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Kick k = IDFW__KICK__INIT;
	char reason[] = "test";

	k.id = id;
	k.reason = reason;
	e.body_case = IDFW__ENVELOPE__BODY_KICK;
	e.kick = &k;
	send_env(s, &e);
}

static void cmd_lease(struct svm *s, const char *words)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Lease l = IDFW__LEASE__INIT;

	if (sscanf(words, "%" SCNu64 " %" SCNu64, &l.generation, &l.version) != 2) {
		printf("bad command lease %s\n", words);
		return;
	}
	e.body_case = IDFW__ENVELOPE__BODY_LEASE;
	e.lease = &l;
	send_env(s, &e);
}

/* @words: unit names with blanks before each */
static void cmd_watch(struct svm *s, char *words)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__ServiceWatch w = IDFW__SERVICE_WATCH__INIT;
	char *units[WIRE_UNITS_MAX], *at;

	for (char *u = strtok_r(words, " ", &at); u && w.n_unit < WIRE_UNITS_MAX;
		u = strtok_r(NULL, " ", &at))
		units[w.n_unit++] = u;
	w.unit = units;
	e.body_case = IDFW__ENVELOPE__BODY_SERVICE_WATCH;
	e.service_watch = &w;
	send_env(s, &e);
}

static bool is_on(const char *line)
{
	return strstr(line, " on") != NULL;
}

static void command(struct svm *s, char *line)
{
	uint64_t a, b;

	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "push") == 0)
		cmd_push(s);
	else if (s->scripting)
		gi_buf_printf(&s->script, "%s\n", line);
	else if (strcmp(line, "ruleset") == 0)
		s->scripting = true;
	else if (sscanf(line, "delta %" SCNu64 " %" SCNu64, &a, &b) == 2)
		s->delta.from_version = a, s->delta.version = b, s->delta.n_ops = 0;
	else if (strncmp(line, "add ", 4) == 0 || strncmp(line, "del ", 4) == 0)
		cmd_op(s, line[0] == 'd', line + 4);
	else if (strcmp(line, "commit") == 0)
		cmd_commit(s);
	else if (strncmp(line, "ack ", 4) == 0)
		s->ack = is_on(line);
	else if (strncmp(line, "ready ", 6) == 0)
		s->ready = is_on(line);
	else if (strncmp(line, "mute ", 5) == 0)
		s->mute = is_on(line);
	else if (sscanf(line, "degraded %" SCNu64, &a) == 1)
		send_ready(s, a, IDFW__SESSION_READY__STATE__DEGRADED);
	else if (sscanf(line, "refused %" SCNu64, &a) == 1)
		send_ready(s, a, IDFW__SESSION_READY__STATE__REFUSED);
	else if (strncmp(line, "refuse ", 7) == 0)
		s->refuse = is_on(line);
	else if (strcmp(line, "watch") == 0 || strncmp(line, "watch ", 6) == 0)
		cmd_watch(s, line + 5);
	else if (sscanf(line, "kick %" SCNu64, &a) == 1)
		cmd_kick(s, a);
	else if (strncmp(line, "lease ", 6) == 0)
		cmd_lease(s, line + 6);
	else if (strcmp(line, "drop") == 0)
		hang_up(s, "by command");
	else if (strncmp(line, "raw ", 4) == 0 || strncmp(line, "head ", 5) == 0)
		cmd_raw(s, strchr(line, ' ') + 1, line[0] == 'r');
	else
		printf("bad command %s\n", line);
}

static void take_connection(struct svm *s)
{
	int fd;

	if (io_sock_accept(s->listen_fd, &fd) < 0)
		return;
	hang_up(s, "another connection");
	if (fcntl(fd, F_SETFL, 0) < 0) /* blocking */
		printf("fcntl failed\n");
	s->fd = fd;
	s->wire = WIRE_NEW;
	printf("connected\n");
}

static void serve(struct svm *s)
{
	char *line = NULL;
	size_t cap = 0;

	for (;;) {
		struct pollfd p[3] = { { .fd = 0, .events = POLLIN },
			{ .fd = s->listen_fd, .events = POLLIN },
			{ .fd = s->fd, .events = POLLIN } };

		fflush(stdout);
		if (poll(p, 3, -1) < 0)
			break;
		/* stdin is unbuffered: getline() leaves nothing behind that poll() would not see */
		if (p[0].revents && getline(&line, &cap, stdin) < 0)
			break;
		if (p[0].revents)
			command(s, line);
		if (p[1].revents)
			take_connection(s);
		else if (s->fd >= 0 && p[2].fd == s->fd && p[2].revents)
			on_readable(s);
	}
	free(line);
}

int main(int argc, char **argv)
{
	struct svm s = { .listen_fd = -1, .fd = -1, .ack = true };
	struct io_endpoint e;
	char text[150];

	if (argc < 2)
		return 2;
	if (argc > 2)
		s.acked = strtoull(argv[2], NULL, 10);
	snprintf(text, sizeof(text), "unix:%s", argv[1]);
	if (io_endpoint_parse(text, &e) < 0 || io_sock_listen(&e, 0666, &s.listen_fd) < 0) {
		printf("cannot listen\n");
		return 1;
	}
	setvbuf(stdin, NULL, _IONBF, 0);
	gi_buf_init(&s.script, 1 << 20);
	s.delta.ops = calloc(FW_DELTA_MAX, sizeof(*s.delta.ops));
	if (!s.delta.ops)
		return 1;
	printf("listening\n");
	serve(&s);
	hang_up(&s, "end");
	close(s.listen_fd);
	free(s.delta.ops);
	fw_state_free(s.state);
	gi_buf_fini(&s.script);
	return 0;
}
