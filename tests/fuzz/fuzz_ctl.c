/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_ctl.c - any bytes on svm-idfw's control socket, into a real engine and store
 *
 * The input is what a client writes: length-prefixed frames, or garbage. The server must answer or
 * drop the client, and serve the next one; whatever it sends must be what svm-idfw may send.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/frame.h"
#include "lib/io/sock.h"
#include "svm-idfw/ctl.h"
#include "tests/unit/svm-idfw/world.h"

#define ROUNDS 200
#define ANSWER_MAX (4u << 20)

struct server {
	char dir[64];
	struct io_loop *loop;
	struct world w;
	struct idfw_store *store;
	struct idfw_ctl *ctl;
	struct io_endpoint ep;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_durable(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq)
{
	(void)arg;
	(void)vm;
	(void)boot_id;
	(void)seq;
}

static void on_state(void *arg, int err, const char *why)
{
	(void)arg;
	(void)err;
	(void)why;
}

static int op_commit(void *arg, const char *text, size_t len, const char *by, struct gi_buf *out,
	uint64_t *ret_generation)
{
	struct conf_diags diags;
	struct pol_policy *p = NULL;
	int err;

	(void)arg;
	(void)by;
	conf_diags_init(&diags, "policy", text, len);
	err = pol_parse(text, len, &diags, &p);
	conf_diags_render(&diags, out);
	conf_diags_fini(&diags);
	pol_free(p);
	*ret_generation = 2;
	return err;
}

static void op_links(void *arg, void (*cb)(void *cb_arg, const char *json_row), void *cb_arg)
{
	(void)arg;
	cb(cb_arg, "{\"type\":\"mux\"}");
}

static void clean(void);
static struct server *server(void)
{
	static const struct idfw_store_ops store_ops = { .durable = on_durable, .state = on_state };
	static const struct idfw_ctl_ops ops = { .policy_commit = op_commit, .links = op_links };
	static struct server *s;
	char path[128], why[256];

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	(void)signal(SIGPIPE, SIG_IGN);
	gi_log_init("fuzz_ctl", GI_LOG_ERR);
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/idfw-fuzz-ctl-XXXXXX");
	if (!mkdtemp(s->dir) || io_loop_new(&s->loop) < 0)
		abort();
	world_init(&s->w);
	if (world_policy(&s->w, "group a { user bob; }\nsection application { rule r allow from a "
				"to any; }\n") < 0 ||
		world_up(&s->w, "jump01", NULL, 0, NULL) < 0 ||
		world_hello(&s->w, "jump01", 1, 1) < 0 || world_settle(&s->w))
		abort();
	(void)snprintf(path, sizeof(path), "%s/db", s->dir);
	if (idfw_store_open(s->loop, path, &store_ops, s, why, &s->store) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "unix:%s/s", s->dir);
	if (io_endpoint_parse(path, &s->ep) < 0 ||
		idfw_ctl_new(s->loop, path, s->w.e, s->store, &ops, s, &s->ctl) < 0)
		abort();
	(void)atexit(clean);
	return s;
}

static void clean(void)
{
	static const char *const files[] = { "db", "db-wal", "db-shm", "s" };
	struct server *s = server();
	char path[128];
	size_t i;

	idfw_ctl_free(s->ctl);
	idfw_store_close(s->store);
	world_fini(&s->w);
	io_loop_free(s->loop);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
		(void)unlink(path);
	}
	(void)rmdir(s->dir);
	free(s);
}

/* whole frames of the answer: each is one that svm-idfw may send */
static void check_answer(const uint8_t *buf, size_t len)
{
	enum wire_state state = WIRE_NEW;
	Idfw__Envelope *e = NULL;
	const char *why = "";
	size_t at = 0, n;

	while (io_frame_next(buf + at, len - at, WIRE_FRAME_MAX, &n) == 0) {
		at += IO_FRAME_HEAD;
		if (wire_envelope_decode(buf + at, n, WIRE_SVM_TO_CTL, state, &e, &why) < 0)
			abort();
		wire_envelope_free(e);
		state = WIRE_OPEN;
		at += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t answer[ANSWER_MAX];
	struct server *s = server();
	size_t sent = 0, got = 0;
	bool open = true;
	int fd, round;

	if (io_sock_connect(&s->ep, &fd) < 0)
		abort();
	for (round = 0; open && round < ROUNDS; round++) {
		ssize_t n = sent < size ? send(fd, data + sent, size - sent, MSG_NOSIGNAL) : 0;

		sent += n > 0 ? (size_t)n : 0;
		if (sent == size && round > 1)
			(void)shutdown(fd, SHUT_WR);
		io_loop_run_once(s->loop, 0);
		n = recv(fd, answer + got, sizeof(answer) - got, 0);
		open = n > 0 || (n < 0 && errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
	}
	(void)close(fd);
	io_loop_run_once(s->loop, 0);
	io_loop_run_once(s->loop, 0);
	check_answer(answer, got);
	return 0;
}
