/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fa_service.c - plays gi-mux and svm-scan for the file agent's tests, on one unix socket
 *
 *   fa_service SOCKET [NAME=VALUE]...
 *
 * A content with the word FA-BAD in it (in the head, or anywhere with read=all) gets the verdict
 * bad=deny|delete|quarantine|replace, all else is allowed until_change. Each message of the agent's
 * is a line on stdout (quiet=yes: not events, verdicts); the counters are kept in the file
 * counters=PATH. SIGUSR1: another epoch. commands=FIFO: lines from there are FileCommands: scan
 * PATH, stop ID, explain PATH, test, list, restore HEX, purge [HEX]; their numbers count from 1.
 * ack=no: reports are not acknowledged. eicar=yes: the EICAR test file is bad too. SIGUSR2: be
 * mute, or speak again (what was kept back is answered then). hostile=N: garbage that the seed N
 * makes instead of each verdict.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/io/chan.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "lib/wire/wire.h"

#define BAD_WORD "FA-BAD"
#define CLEAN_WORD "cleaned!"
#define WAITING_MAX 8192

struct event {
	uint64_t id, size, got;
	bool bad, used;
};

struct service {
	struct io_loop *loop;
	struct io_fd listen;
	int listen_fd;
	struct io_chan *chan;
	struct io_signal usr1, usr2, term;
	struct io_timer later;
	struct io_fd commands;
	int commands_fd;
	struct gi_buf line;
	uint64_t commands_n;
	bool no_ack, eicar;
	struct event ev[WAITING_MAX];
	bool mute, read_all, until, fail, cut, quiet;
	Idfw__FileVerdictKind bad;
	uint32_t credits, head;
	uint64_t delay_ms, hostile, max_bytes, acked;
	char epoch[8];
	const char *counters;
	size_t cut_after; /* FileEvents until the connection is closed; 0 never */
};

static void send_env(struct service *s, int body, void *m)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct gi_buf b;

	if (!s->chan)
		return;
	e.body_case = (Idfw__Envelope__BodyCase)body;
	e.hello = m;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	if (wire_envelope_encode(&e, &b) < 0 || io_chan_send(s->chan, b.data, b.len) < 0)
		printf("error message %d could not be sent\n", body);
	gi_buf_fini(&b);
}

static void send_settings(struct service *s)
{
	Idfw__ScanSettings m = IDFW__SCAN_SETTINGS__INIT;

	m.epoch.data = (uint8_t *)s->epoch;
	m.epoch.len = strlen(s->epoch);
	m.ops = 0x3e;
	m.head_bytes = s->head;
	m.credits = s->credits;
	m.max_bytes = s->max_bytes;
	send_env(s, IDFW__ENVELOPE__BODY_SCAN_SETTINGS, &m);
}

/* any bytes, in a frame: the agent has to drop us, and nobody may get through by it */
static void send_garbage(struct service *s)
{
	uint8_t buf[64];

	for (size_t i = 0; i < sizeof(buf); i++) {
		s->hostile = s->hostile * 6364136223846793005u + 1442695040888963407u;
		buf[i] = (uint8_t)(s->hostile >> 40);
	}
	(void)!io_chan_send(s->chan, buf, 1 + (s->hostile >> 50) % sizeof(buf));
}

static void replace_send(struct service *s, uint64_t id)
{
	Idfw__FileWrite w = IDFW__FILE_WRITE__INIT;

	w.id = id;
	w.data.data = (uint8_t *)(uintptr_t)CLEAN_WORD;
	w.data.len = strlen(CLEAN_WORD);
	w.last = true;
	send_env(s, IDFW__ENVELOPE__BODY_FILE_WRITE, &w);
}

static void verdict(struct service *s, struct event *ev)
{
	Idfw__FileVerdict v = IDFW__FILE_VERDICT__INIT;
	char engine[] = "test", name[] = "Test.Bad", none[] = "";

	if (s->hostile) {
		send_garbage(s);
		return;
	}
	v.id = ev->id;
	v.verdict = ev->bad ? s->bad : IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW;
	v.until_change = s->until;
	v.failed = s->fail;
	v.engine = engine;
	v.signature = ev->bad ? name : none;
	v.epoch.data = (uint8_t *)s->epoch;
	v.epoch.len = strlen(s->epoch);
	ev->used = false;
	send_env(s, IDFW__ENVELOPE__BODY_FILE_VERDICT, &v);
	if (!s->quiet)
		printf("verdict %" PRIu64 " %d\n", v.id, (int)v.verdict);
}

static void ask_more(struct service *s, const struct event *ev)
{
	Idfw__FileRead r = IDFW__FILE_READ__INIT;

	r.id = ev->id;
	r.offset = ev->got;
	r.length = WIRE_RANGE_MAX;
	send_env(s, IDFW__ENVELOPE__BODY_FILE_READ, &r);
}

static void decide(struct service *s, struct event *ev)
{
	if (s->mute || s->delay_ms)
		return;
	if (s->read_all && ev->got < ev->size && !ev->bad)
		ask_more(s, ev);
	else if (ev->bad && s->bad == IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE)
		replace_send(s, ev->id); /* FileWrote brings the verdict */
	else
		verdict(s, ev);
}

static bool has_word(const struct service *s, const ProtobufCBinaryData *d)
{
	if (s->eicar && d->len && memmem(d->data, d->len, "EICAR-", 6) != NULL)
		return true;
	return d->len && memmem(d->data, d->len, BAD_WORD, strlen(BAD_WORD)) != NULL;
}

static void later_cb(struct io_timer *t)
{
	struct service *s = t->arg;
	uint64_t delay = s->delay_ms;

	s->delay_ms = 0;
	for (size_t i = 0; i < WAITING_MAX; i++)
		if (s->ev[i].used)
			decide(s, &s->ev[i]);
	s->delay_ms = delay;
}

static void take_event(struct service *s, const Idfw__FileEvent *m)
{
	struct event *ev = &s->ev[m->id % WAITING_MAX];

	if (!s->quiet)
		printf("event %" PRIu64 " op %d size %" PRIu64 " head %zu deadline %u %.*s\n",
			m->id, (int)m->op, m->size, m->head.len, m->deadline_ms, (int)m->path.len,
			(const char *)m->path.data);
	*ev = (struct event){ .id = m->id,
		.size = m->size,
		.got = m->head.len,
		.bad = has_word(s, &m->head),
		.used = true };
	if (s->cut_after && --s->cut_after == 0) {
		s->cut = true;
		return;
	}
	if (s->delay_ms)
		io_timer_start(s->loop, &s->later, s->delay_ms, 0, later_cb, s);
	decide(s, ev);
}

static void take_data(struct service *s, const Idfw__FileData *m)
{
	struct event *ev = &s->ev[m->id % WAITING_MAX];

	if (!ev->used || ev->id != m->id)
		return;
	if (m->offset != ev->got && !m->error)
		printf("error data of %" PRIu64 " at %" PRIu64 ", wanted %" PRIu64 "\n", m->id,
			m->offset, ev->got);
	ev->got += m->data.len;
	ev->bad = ev->bad || has_word(s, &m->data);
	if (m->error)
		printf("readerror %" PRIu64 " %u\n", m->id, m->error);
	if (m->error || m->eof || ev->got >= ev->size) {
		printf("whole %" PRIu64 " %" PRIu64 "\n", m->id, ev->got);
		ev->size = ev->got;
		decide(s, ev);
	} else if ((ev->got - s->head) % WIRE_RANGE_MAX == 0) {
		ask_more(s, ev);
	}
}

static void take_counters(struct service *s, const Idfw__FileCounters *m)
{
	char tmp[256];
	FILE *f;

	if (!s->counters || snprintf(tmp, sizeof(tmp), "%s.new", s->counters) >= (int)sizeof(tmp))
		return;
	f = fopen(tmp, "we");
	if (!f)
		return;
	for (size_t i = 0; i < m->n_counter; i++)
		fprintf(f, "%s %" PRIu64 "\n", m->counter[i]->name, m->counter[i]->value);
	fclose(f);
	(void)!rename(tmp, s->counters);
}

static void print_sha(const char *name, const ProtobufCBinaryData *b)
{
	printf(" %s=", name);
	for (size_t i = 0; i < b->len && i < 4; i++) /* enough to tell them apart */
		printf("%02x", b->data[i]);
}

static void print_fim(const Idfw__FileReport *m)
{
	static const char *const ops[] = { "?", "CREATE", "WRITE", "RENAME", "DELETE", "ATTRIB",
		"BASELINE" };
	const Idfw__FimEvent *f = m->fim;
	const Idfw__FileActor *a = m->actor;

	printf("fim %" PRIu64 " %s %s %.*s", m->seq, f->rule, ops[f->op], (int)f->path.len,
		(const char *)f->path.data);
	if (f->new_path.len)
		printf(" to %.*s", (int)f->new_path.len, (const char *)f->new_path.data);
	print_sha("before", &f->before);
	print_sha("after", &f->after);
	printf(" mode=%o,%o uid=%u,%u size=%" PRIu64, f->mode_before & 07777, f->mode_after & 07777,
		f->uid_before, f->uid_after, f->size_after);
	if (a)
		printf(" by pid=%u uid=%u session=%" PRIu64 " user=%s comm=%s exe=%.*s", a->pid,
			a->uid, a->session, a->user, a->comm, (int)a->exe.len,
			(const char *)a->exe.data);
	printf("\n");
}

static void take_report(struct service *s, const Idfw__FileReport *m)
{
	Idfw__FileReportAck a = IDFW__FILE_REPORT_ACK__INIT;

	if (m->body_case == IDFW__FILE_REPORT__BODY_PASSED && m->actor)
		printf("passed by pid=%u uid=%u session=%" PRIu64 " comm=%s\n", m->actor->pid,
			m->actor->uid, m->actor->session, m->actor->comm);
	if (m->body_case == IDFW__FILE_REPORT__BODY_PASSED)
		printf("passed %s %s %.*s\n", m->passed->reason,
			m->passed->denied ? "denied" : "allowed", (int)m->passed->path.len,
			(const char *)m->passed->path.data);
	else
		print_fim(m);
	if (s->no_ack)
		return;
	a.seq = s->acked = m->seq;
	send_env(s, IDFW__ENVELOPE__BODY_FILE_REPORT_ACK, &a);
}

/* its answer to the ping says that it has taken the settings before it: "hello" is said then */
static void take_hello(struct service *s, const Idfw__Hello *m)
{
	Idfw__HelloAck a = IDFW__HELLO_ACK__INIT;
	Idfw__Ping ping = IDFW__PING__INIT;
	char software[] = "fa_service";

	(void)m;
	a.version = 1;
	a.software = software;
	a.acked_seq = s->acked;
	send_env(s, IDFW__ENVELOPE__BODY_HELLO_ACK, &a);
	send_settings(s);
	send_env(s, IDFW__ENVELOPE__BODY_PING, &ping);
}

static void take(struct service *s, const Idfw__Envelope *e)
{
	Idfw__Pong pong = IDFW__PONG__INIT;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_HELLO:
		take_hello(s, e->hello);
		break;
	case IDFW__ENVELOPE__BODY_PING:
		pong.token = e->ping->token;
		send_env(s, IDFW__ENVELOPE__BODY_PONG, &pong);
		break;
	case IDFW__ENVELOPE__BODY_PONG:
		printf("hello\n");
		break;
	case IDFW__ENVELOPE__BODY_FILE_EVENT:
		take_event(s, e->file_event);
		break;
	case IDFW__ENVELOPE__BODY_FILE_DATA:
		take_data(s, e->file_data);
		break;
	case IDFW__ENVELOPE__BODY_FILE_WROTE:
		printf("wrote %" PRIu64 " %" PRIu64 " error %u\n", e->file_wrote->id,
			e->file_wrote->offset, e->file_wrote->error);
		verdict(s, &s->ev[e->file_wrote->id % WAITING_MAX]);
		break;
	case IDFW__ENVELOPE__BODY_FILE_DONE:
		printf("done %" PRIu64 " result %d denied %d pid %u %s\n", e->file_done->id,
			(int)e->file_done->result, e->file_done->opener_denied,
			e->file_done->actor ? e->file_done->actor->pid : 0, e->file_done->text);
		break;
	case IDFW__ENVELOPE__BODY_FILE_CANCEL:
		printf("cancel %" PRIu64 " reason %d\n", e->file_cancel->id,
			(int)e->file_cancel->reason);
		s->ev[e->file_cancel->id % WAITING_MAX].used = false;
		break;
	case IDFW__ENVELOPE__BODY_FILE_COUNTERS:
		take_counters(s, e->file_counters);
		break;
	case IDFW__ENVELOPE__BODY_FILE_REPORT:
		take_report(s, e->file_report);
		break;
	case IDFW__ENVELOPE__BODY_LOG_LINE:
		printf("log %u %" PRIu64 " %s\n", e->log_line->level, e->log_line->dropped,
			e->log_line->text);
		break;
	case IDFW__ENVELOPE__BODY_FILE_REPLY:
		printf("reply %" PRIu64 " %s", e->file_reply->id, e->file_reply->json);
		if (e->file_reply->last)
			printf(" last status=%u %s", e->file_reply->status, e->file_reply->text);
		printf("\n");
		break;
	default:
		printf("other %d\n", (int)e->body_case);
	}
}

/* ---- commands ---- */

static size_t unhex(const char *text, uint8_t *ret, size_t max)
{
	size_t n = 0;
	unsigned int byte;

	while (n < max && sscanf(text + 2 * n, "%2x", &byte) == 1)
		ret[n++] = (uint8_t)byte;
	return n;
}

static void command(struct service *s, char *line)
{
	static const struct {
		const char *word;
		Idfw__FileCommand__Verb verb;
	} verbs[] = { { "scan", IDFW__FILE_COMMAND__VERB__SCAN },
		{ "stop", IDFW__FILE_COMMAND__VERB__STOP },
		{ "explain", IDFW__FILE_COMMAND__VERB__EXPLAIN },
		{ "test", IDFW__FILE_COMMAND__VERB__TEST },
		{ "list", IDFW__FILE_COMMAND__VERB__QUARANTINE_LIST },
		{ "restore", IDFW__FILE_COMMAND__VERB__QUARANTINE_RESTORE },
		{ "purge", IDFW__FILE_COMMAND__VERB__QUARANTINE_PURGE } };
	Idfw__FileCommand m = IDFW__FILE_COMMAND__INIT;
	char *arg = strchr(line, ' ');
	uint8_t qid[WIRE_QUARANTINE_ID_LEN];

	if (arg)
		*arg++ = '\0';
	m.id = ++s->commands_n;
	for (size_t i = 0; i < GI_ARRAY_SIZE(verbs); i++) {
		if (strcmp(line, verbs[i].word) == 0)
			m.verb = verbs[i].verb;
	}
	if (arg && *arg == '/')
		m.path = (ProtobufCBinaryData){ .len = strlen(arg), .data = (uint8_t *)arg };
	else if (arg && m.verb == IDFW__FILE_COMMAND__VERB__STOP)
		m.target = strtoull(arg, NULL, 10);
	else if (arg)
		m.quarantine_id =
			(ProtobufCBinaryData){ .len = unhex(arg, qid, sizeof(qid)), .data = qid };
	printf("command %" PRIu64 " %s\n", m.id, line);
	send_env(s, IDFW__ENVELOPE__BODY_FILE_COMMAND, &m);
}

static void commands_cb(struct io_fd *w, unsigned int events)
{
	struct service *s = w->arg;
	char buf[512], *end;
	ssize_t n = read(s->commands_fd, buf, sizeof(buf));

	(void)events;
	if (n <= 0)
		return;
	gi_buf_append(&s->line, buf, (size_t)n);
	while (s->line.len && (end = memchr(s->line.data, '\n', s->line.len))) {
		*end = '\0';
		command(s, (char *)s->line.data);
		gi_buf_consume(&s->line, (size_t)(end - (char *)s->line.data) + 1);
	}
}

static void drop(struct service *s)
{
	io_chan_free(s->chan);
	s->chan = NULL;
	memset(s->ev, 0, sizeof(s->ev));
	s->cut = false;
}

static void frame_cb(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct service *s = arg;
	enum wire_state st = io_chan_frames_in(c) <= 1 ? WIRE_NEW : WIRE_OPEN;
	Idfw__Envelope *e;
	const char *why;

	if (wire_envelope_decode(buf, len, WIRE_FILE_AGENT, st, &e, &why) < 0) {
		printf("error %s\n", why);
		drop(s);
		return;
	}
	take(s, e);
	wire_envelope_free(e);
	if (s->cut)
		drop(s);
}

static void closed_cb(void *arg, struct io_chan *c, int err, const char *why)
{
	(void)c;
	(void)err;
	printf("closed %s\n", why);
	drop(arg);
}

static const struct io_chan_ops chan_ops = { .frame = frame_cb, .closed = closed_cb };

static void listen_cb(struct io_fd *w, unsigned int events)
{
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = 64u << 20 };
	struct service *s = w->arg;
	int fd;

	(void)events;
	if (io_sock_accept(s->listen_fd, &fd) < 0)
		return;
	if (s->chan)
		drop(s);
	if (io_chan_new(s->loop, fd, NULL, &conf, &chan_ops, s, &s->chan) < 0)
		s->chan = NULL;
}

static void usr1_cb(struct io_signal *w, int sig)
{
	struct service *s = w->arg;

	(void)sig;
	s->epoch[1]++;
	send_settings(s);
	printf("epoch %s\n", s->epoch);
}

static void usr2_cb(struct io_signal *w, int sig)
{
	struct service *s = w->arg;

	(void)sig;
	s->mute = !s->mute;
	printf("mute %d\n", s->mute);
	for (size_t i = 0; i < WAITING_MAX && !s->mute; i++)
		if (s->ev[i].used)
			decide(s, &s->ev[i]);
}

static void term_cb(struct io_signal *w, int sig)
{
	(void)sig;
	io_loop_stop(((struct service *)w->arg)->loop);
}

static Idfw__FileVerdictKind kind_of(const char *w)
{
	return strcmp(w, "delete") == 0	      ? IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE
	       : strcmp(w, "quarantine") == 0 ? IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE
	       : strcmp(w, "replace") == 0    ? IDFW__FILE_VERDICT_KIND__FILE_VERDICT_REPLACE
					      : IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DENY;
}

static bool option(struct service *s, const char *arg)
{
	const char *v = strchr(arg, '=');
	size_t n = v ? (size_t)(v - arg) : 0;

	if (!v)
		return false;
	v++;
#define IS(name) (n == strlen(name) && memcmp(arg, name, n) == 0)
	if (IS("bad"))
		s->bad = kind_of(v);
	else if (IS("read"))
		s->read_all = strcmp(v, "all") == 0;
	else if (IS("credits"))
		s->credits = (uint32_t)strtoul(v, NULL, 10);
	else if (IS("head"))
		s->head = (uint32_t)strtoul(v, NULL, 10);
	else if (IS("delay"))
		s->delay_ms = strtoul(v, NULL, 10);
	else if (IS("max"))
		s->max_bytes = strtoul(v, NULL, 10);
	else if (IS("until"))
		s->until = strcmp(v, "yes") == 0;
	else if (IS("fail"))
		s->fail = strcmp(v, "yes") == 0;
	else if (IS("mute"))
		s->mute = strcmp(v, "yes") == 0;
	else if (IS("quiet"))
		s->quiet = strcmp(v, "yes") == 0;
	else if (IS("cut"))
		s->cut_after = strtoul(v, NULL, 10);
	else if (IS("hostile"))
		s->hostile = strtoul(v, NULL, 10);
	else if (IS("counters"))
		s->counters = v;
	else if (IS("ack"))
		s->no_ack = strcmp(v, "no") == 0;
	else if (IS("eicar"))
		s->eicar = strcmp(v, "yes") == 0;
	else if (IS("commands"))
		s->commands_fd = open(v, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	static struct service s = { .until = true,
		.credits = 256,
		.commands_fd = -1,
		.head = 16384,
		.epoch = "e1",
		.bad = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DENY };
	struct io_endpoint at;
	char text[160];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++)
		if (!option(&s, argv[i]))
			return 2;
	if (argc < 2 || snprintf(text, sizeof(text), "unix:%s", argv[1]) >= (int)sizeof(text) ||
		io_endpoint_parse(text, &at) < 0 || io_loop_new(&s.loop) < 0)
		return 2;
	(void)unlink(argv[1]);
	if (io_sock_listen(&at, 0666, &s.listen_fd) < 0)
		return 1;
	io_fd_start(s.loop, &s.listen, s.listen_fd, IO_READ, listen_cb, &s);
	io_signal_start(s.loop, &s.usr1, SIGUSR1, usr1_cb, &s);
	io_signal_start(s.loop, &s.usr2, SIGUSR2, usr2_cb, &s);
	io_signal_start(s.loop, &s.term, SIGTERM, term_cb, &s);
	gi_buf_init(&s.line, 65536);
	if (s.commands_fd >= 0)
		io_fd_start(s.loop, &s.commands, s.commands_fd, IO_READ, commands_cb, &s);
	printf("ready\n");
	io_loop_run(s.loop);
	return 0;
}
