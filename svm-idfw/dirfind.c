/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirfind.c - finding a directory's servers by DNS, seen from svm-idfw's process
 *
 * In svm-idfw's loop; blocks for nothing but reading its own small file at start. What the child
 * says is as little trusted as DNS: each name is checked again (dirsrv.h). Invariants: an empty
 * answer, or half of one, never replaces a list; DNS is asked by no more than one child at a time,
 * and because servers fail not twice within FIND_GAP_MS.
 */
#include "svm-idfw/dirfind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/chan.h"
#include "lib/io/child.h"
#include "lib/io/sock.h"
#include "svm-idfw/dirkept.h"

#define FIND_ARGV 5
#define FIND_SEED_LEN 24
#define FIND_DEADLINE_MS 15000 /* of a child; its resolver gives up sooner */
#define FIND_GAP_MS 5000
#define FIND_RETRY_MS 2000
#define FIND_RETRY_MAX_MS 60000

struct dir_find {
	struct io_loop *loop;
	const struct idfw_dir_conf *conf; /* borrowed */
	struct dir_find_ops ops;
	void *arg;
	char *argv[FIND_ARGV + 2]; /* owned texts; then the seed */
	char seed_text[FIND_SEED_LEN];
	struct io_child child;
	struct io_chan *chan; /* NULL: it says nothing any more */
	struct io_timer next, deadline;
	struct dir_srv_list list;
	bool heard;	       /* this child has said its word */
	char why[DIR_WHY_MAX]; /* why the last try brought nothing new; "" it did */
	uint32_t failures;
	uint64_t began_ms; /* the last child, monotonic; 0 never */
	uint64_t next_ms;  /* the next one */
	uint64_t seed;	   /* of the order */
};

static void find_next_cb(struct io_timer *w);
static void find_deadline_cb(struct io_timer *w);
static void find_exited(struct io_child *c, int status);
static void find_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void find_closed(void *arg, struct io_chan *c, int err, const char *why);
static void find_servers(struct dir_find *f, const Idfw__DirServers *s);
static void find_failed(struct dir_find *f, const char *why);
static void find_load(struct dir_find *f);
static void find_plan(struct dir_find *f, uint64_t after_ms);

static uint32_t find_noise(void)
{
	uint32_t noise;

	if (getrandom(&noise, sizeof(noise), GRND_NONBLOCK) != (ssize_t)sizeof(noise))
		noise = (uint32_t)io_clock_mono_us() * 2654435761u;
	return noise;
}

int dir_find_new(struct io_loop *l, const char *conf_file, const struct idfw_dir_conf *conf,
	const struct dir_find_ops *ops, void *arg, struct dir_find **ret)
{
	const char *const argv[FIND_ARGV] = { "svm-idfw", "--directory-discover", conf->label, "-c",
		conf_file };
	struct dir_find *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < FIND_ARGV; i++) {
		f->argv[i] = strdup(argv[i]);
		if (!f->argv[i]) {
			dir_find_free(f);
			return -ENOMEM;
		}
	}
	f->loop = l;
	f->conf = conf;
	f->ops = *ops;
	f->arg = arg;
	f->seed = (uint64_t)find_noise() << 32 | find_noise();
	find_load(f);
	(void)snprintf(f->seed_text, sizeof(f->seed_text), "%llu", (unsigned long long)f->seed);
	f->argv[FIND_ARGV] = f->seed_text;
	find_plan(f, 0);
	*ret = f;
	return 0;
}

void dir_find_free(struct dir_find *f)
{
	if (!f)
		return;
	if (f->loop) {
		io_timer_stop(f->loop, &f->next);
		io_timer_stop(f->loop, &f->deadline);
		io_chan_free(f->chan);
		io_child_stop(f->loop, &f->child);
	}
	for (size_t i = 0; i < FIND_ARGV; i++)
		free(f->argv[i]);
	free(f);
}

const struct dir_srv_list *dir_find_list(const struct dir_find *f)
{
	return &f->list;
}

void dir_find_now(struct dir_find *f)
{
	uint64_t now = io_clock_mono_ms(), wait = 0;

	if (f->child.pid > 0)
		return;
	if (f->began_ms && now < f->began_ms + FIND_GAP_MS)
		wait = f->began_ms + FIND_GAP_MS - now;
	/* all of a company's svm-idfws may have lost the same servers now */
	wait += (uint64_t)find_noise() * 500 >> 32;
	if (now + wait < f->next_ms)
		find_plan(f, wait);
}

void dir_find_text(const struct dir_find *f, char out[DIR_WHY_MAX])
{
	time_t t = (time_t)(f->list.found_ms / 1000);
	char when[32];
	struct tm tm;

	out[0] = '\0';
	if (f->why[0] == '\0')
		return;
	if (f->list.n == 0) {
		dir_why(out, "no server of %.60s is known: %.150s", f->conf->discover, f->why);
		return;
	}
	if (!gmtime_r(&t, &tm) || strftime(when, sizeof(when), "%FT%TZ", &tm) == 0)
		when[0] = '\0';
	dir_why(out, "servers as DNS named them at %s: %.150s", when, f->why);
}

/* ---- the child ---- */

static void find_next_cb(struct io_timer *w)
{
	static const struct io_chan_ops ops = { .frame = find_frame, .closed = find_closed };
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX, .max_queue = 1024 };
	struct dir_find *f = w->arg;
	int err, fd;

	if (f->child.pid > 0) { /* the last one has yet to end; it has a deadline */
		find_plan(f, FIND_RETRY_MS);
		return;
	}
	io_chan_free(f->chan); /* of one that has ended: its closed() is still to come */
	f->chan = NULL;
	f->heard = false;
	f->began_ms = io_clock_mono_ms();
	err = io_child_start(f->loop, &f->child, f->argv, SOCK_STREAM, find_exited, f);
	if (err == 0) {
		fd = f->child.fd;
		f->child.fd = -1;
		err = io_chan_new(f->loop, fd, NULL, &conf, &ops, f, &f->chan);
		if (err < 0)
			io_child_stop(f->loop, &f->child);
	}
	if (err < 0) {
		gi_err("directory %s: cannot start the discovery child: %s", f->conf->label,
			gi_strerror(err));
		find_failed(f, "the discovery child cannot be started; see the log");
		return;
	}
	io_timer_start(f->loop, &f->deadline, FIND_DEADLINE_MS, 0, find_deadline_cb, f);
}

/* it has told and then hung, at a disk perhaps; or it has not told */
static void find_deadline_cb(struct io_timer *w)
{
	struct dir_find *f = w->arg;
	char why[DIR_WHY_MAX];

	io_child_kill(&f->child);
	io_chan_free(f->chan);
	f->chan = NULL;
	if (f->heard)
		return;
	f->heard = true;
	dir_why(why, "no name server answered within %d s", FIND_DEADLINE_MS / 1000);
	find_failed(f, why);
}

/* what it said may still be on its way: closed() is the end */
static void find_exited(struct io_child *c, int status)
{
	struct dir_find *f = c->arg;

	io_timer_stop(f->loop, &f->deadline);
	if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0)
		gi_err("directory %s: the discovery child ended with %s %d", f->conf->label,
			WIFSIGNALED(status) ? "signal" : "exit code",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void find_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct dir_find *f = arg;
	Idfw__Envelope *e = NULL;
	const char *why = "not DirServers";
	int err;

	(void)c;
	if (f->heard)
		return;
	err = wire_envelope_decode(buf, len, WIRE_DIR_CHILD, WIRE_NEW, &e, &why);
	f->heard = true;
	if (err == 0 && e->body_case == IDFW__ENVELOPE__BODY_DIR_SERVERS) {
		find_servers(f, e->dir_servers);
	} else {
		gi_err("directory %s: bad message from the discovery child: %s", f->conf->label,
			why);
		find_failed(f, "the discovery child sent garbage; see the log");
	}
	wire_envelope_free(e);
}

static void find_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct dir_find *f = arg;

	(void)c;
	io_chan_free(f->chan);
	f->chan = NULL;
	if (f->heard)
		return;
	if (err == -GI_EPROTO)
		gi_err("directory %s: the discovery child sends what nobody can read: %s",
			f->conf->label, why);
	f->heard = true;
	find_failed(f, "the discovery child ended without a word; see the log");
}

/* ---- what it said ---- */

static void find_plan(struct dir_find *f, uint64_t after_ms)
{
	f->next_ms = io_clock_mono_ms() + after_ms;
	io_timer_start(f->loop, &f->next, after_ms, 0, find_next_cb, f);
}

/* names that the configuration does not allow are left out here as well */
static void find_read(struct dir_find *f, const Idfw__DirServers *s, struct dir_srv_list *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < s->n_server; i++) {
		const Idfw__DirServer *v = s->server[i];
		struct dir_srv *new = &ret->item[ret->n];

		if (dir_srv_trust_uri(f->conf, v->uri) == DIR_SRV_NO ||
			gi_text_copy(new->uri, sizeof(new->uri), v->uri) < 0) {
			gi_err("directory %s: the discovery child names %.200s, which it may not",
				f->conf->label, v->uri);
			continue;
		}
		new->priority = (uint16_t)v->priority;
		new->weight = (uint16_t)v->weight;
		new->preferred = v->preferred;
		ret->n++;
	}
	ret->ttl_sec = s->ttl_sec;
	ret->found_ms = io_clock_real_ms();
	dir_srv_order(ret, f->seed);
}

static bool find_same(const struct dir_srv_list *a, const struct dir_srv_list *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->item[i].uri, b->item[i].uri) == 0;
	return same;
}

static void find_servers(struct dir_find *f, const Idfw__DirServers *s)
{
	struct dir_srv_list *l = malloc(sizeof(*l));
	bool whole = s->text[0] == '\0', known = f->list.n > 0, same;

	if (!l) {
		find_failed(f, "no memory");
		return;
	}
	find_read(f, s, l);
	if (s->refused)
		gi_warn("directory %s: DNS names %u servers that are not below %s or in "
			"discover-allow: they are not asked",
			f->conf->label, s->refused, f->conf->discover);
	if (l->n == 0 || (!whole && known)) {
		find_failed(f, whole ? "DNS names no server that may be asked" : s->text);
		free(l);
		return;
	}
	same = known && find_same(l, &f->list);
	f->list = *l;
	free(l);
	if (!same)
		gi_notice("directory %s: DNS names %zu servers of %s, the first is %s",
			f->conf->label, f->list.n, f->conf->discover, f->list.item[0].uri);
	f->ops.servers(f->arg, &f->list);
	if (!whole) {
		find_failed(f, s->text);
		return;
	}
	f->failures = 0;
	f->why[0] = '\0';
	f->ops.news(f->arg);
	find_plan(f, dir_srv_refresh_ms(f->list.ttl_sec, find_noise()));
}

static void find_failed(struct dir_find *f, const char *why)
{
	uint64_t pause = (uint64_t)FIND_RETRY_MS << (f->failures < 16 ? f->failures : 16);

	if (pause > FIND_RETRY_MAX_MS)
		pause = FIND_RETRY_MAX_MS;
	f->failures++;
	if (strcmp(f->why, why) != 0)
		gi_warn("directory %s: servers of %s are not found by DNS now: %s; %zu are known "
			"from before",
			f->conf->label, f->conf->discover, why, f->list.n);
	dir_why(f->why, "%s", why);
	find_plan(f, pause / 2 + ((uint64_t)find_noise() * pause >> 32));
	if (f->list.n == 0)
		f->ops.nobody(f->arg, f->why);
	f->ops.news(f->arg);
}

/* ---- from before ---- */

static void find_load(struct dir_find *f)
{
	int err = dir_kept_load(f->conf, &f->list);

	if (err == 0) {
		f->seed = f->list.seed;
		dir_srv_order(&f->list, f->seed);
		gi_notice("directory %s: %zu servers of %s are known from before", f->conf->label,
			f->list.n, f->conf->discover);
	} else if (err != -ENOENT && err != -GI_ENOTFOUND) {
		gi_warn("directory %s: servers that DNS named before are not known: %s",
			f->conf->label, gi_strerror(err));
	}
}
