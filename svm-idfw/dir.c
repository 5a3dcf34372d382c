/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.c - the directory, seen from the engine's process: the life of the children
 *
 * Runs in svm-idfw's loop; lookups and their answers are dirask.c's. A lookup is late
 * when it was the oldest one at the child for deadline_ms; without lookups its DirState every
 * poll_ms is what must come. Late means SIGKILL: whatever runs is answered
 * UNAVAILABLE, and the child starts again after a backoff. A child speaks to one server. Of several
 * (dirserver.h) the next one has its turn, with a new child, when one fails or stalls; lookups wait
 * meanwhile, for the deadline at most. A second child tries a server that is preferred to the one
 * that answers, and takes over once it is up. Invariant: state() only when it changed, or the
 * reason did. Source: docs/directory.md.
 */
#include "svm-idfw/dir_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/sock.h"

#define DIR_LOOK_MS 200 /* at least so often for who is late */

static int dir_kid_start(struct dir_kid *k, size_t server);
static void dir_kid_fail(struct dir_kid *k, const char *why);
static void dir_kid_exited(struct io_child *c, int status);
static void dir_kid_watch(struct dir_kid *k, uint64_t now);
static void dir_probe_start(struct idfw_dir *d, uint64_t now);
static void dir_probe_won(struct idfw_dir *d);
static void dir_restart_cb(struct io_timer *w);
static void dir_watchdog_cb(struct io_timer *w);
static void dir_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len);
static void dir_closed(void *arg, struct io_chan *c, int err, const char *why);
static void dir_on_state(struct dir_kid *k, const Idfw__DirState *s);

int idfw_dir_new(struct io_loop *l, const char *conf_file, const struct idfw_dir_conf *conf,
	const struct idfw_dir_ops *ops, void *arg, struct idfw_dir **ret)
{
	const char *const argv[DIR_ARGV] = { "svm-idfw", "--directory", conf->label, "-c",
		conf_file };
	uint64_t look_ms = conf->deadline_ms / 10 < 20 ? 20 : conf->deadline_ms / 10;
	struct idfw_dir *d;
	size_t i;

	if (look_ms > DIR_LOOK_MS)
		look_ms = DIR_LOOK_MS;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	for (i = 0; i < DIR_ARGV; i++) {
		d->argv[i] = strdup(argv[i]);
		if (!d->argv[i]) {
			idfw_dir_free(d);
			return -ENOMEM;
		}
	}
	d->loop = l;
	d->state_ms = io_clock_mono_ms();
	d->conf = conf;
	d->ops = *ops;
	d->arg = arg;
	d->kid[0].d = d->kid[1].d = d;
	d->main = &d->kid[0];
	d->probe = &d->kid[1];
	if (dir_base_domain(conf->base, d->domain) < 0)
		d->domain[0] = '\0';
	dir_servers_init(&d->servers, conf->uris.items, conf->uris.n);
	dir_queue_init(&d->queue, DIR_QUEUE_MAX);
	if (dir_list_start(d, conf_file) < 0) {
		idfw_dir_free(d);
		return -ENOMEM;
	}
	io_timer_start(l, &d->watchdog, look_ms, look_ms, dir_watchdog_cb, d);
	dir_main_start(d);
	*ret = d;
	return 0;
}

void idfw_dir_free(struct idfw_dir *d)
{
	size_t i;

	if (!d)
		return;
	dir_find_free(d->find);
	if (d->loop) {
		io_timer_stop(d->loop, &d->restart);
		io_timer_stop(d->loop, &d->watchdog);
		io_idle_stop(d->loop, &d->pump);
		for (i = 0; i < GI_ARRAY_SIZE(d->kid); i++) {
			io_chan_free(d->kid[i].chan);
			io_child_stop(d->loop, &d->kid[i].child);
		}
		dir_queue_fini(&d->queue);
	}
	for (i = 0; i < DIR_ARGV; i++)
		free(d->argv[i]);
	free(d);
}

/* ---- a child's life ---- */

static int dir_kid_start(struct dir_kid *k, size_t server)
{
	static const struct io_chan_ops ops = { .frame = dir_frame, .closed = dir_closed };
	static const struct io_chan_conf conf = { .max_frame = WIRE_FRAME_MAX,
		.max_queue = DIR_INFLIGHT_MAX * WIRE_FRAME_MAX };
	struct idfw_dir *d = k->d;
	int err, fd;

	d->argv[DIR_ARGV] = (char *)(uintptr_t)d->servers.list[server].uri;
	k->server = server;
	k->ready = k->killed = false;
	k->connecting = true;
	k->heard_ms = k->connecting_ms = io_clock_mono_ms();
	err = io_child_start(d->loop, &k->child, d->argv, SOCK_STREAM, dir_kid_exited, k);
	if (err == 0) {
		fd = k->child.fd;
		k->child.fd = -1;
		err = io_chan_new(d->loop, fd, NULL, &conf, &ops, k, &k->chan);
	}
	if (err < 0) {
		gi_err("directory %s: cannot start the child: %s", d->conf->label,
			gi_strerror(err));
		dir_kid_fail(k, "the directory child cannot be started; see the log");
	}
	return err;
}

void dir_kid_end(struct dir_kid *k)
{
	io_chan_free(k->chan);
	k->chan = NULL;
	k->ready = k->connecting = false;
	k->killed = true;
	io_child_kill(&k->child);
}

/* its server does not do: another one's turn, if there is one */
static void dir_kid_fail(struct dir_kid *k, const char *why)
{
	struct idfw_dir *d = k->d;
	uint64_t now = io_clock_mono_ms();
	bool first = !d->servers.list[k->server].out;
	uint32_t noise;

	if (getrandom(&noise, sizeof(noise), GRND_NONBLOCK) != (ssize_t)sizeof(noise))
		noise = (uint32_t)now * 2654435761u;
	dir_kid_end(k);
	dir_servers_failed(&d->servers, k->server, now, noise, why);
	if (d->servers.n > 1 && first)
		gi_warn("directory %s: %s is left out: %s", d->conf->label,
			d->servers.list[k->server].uri, why);
	if (k != d->main) {
		if (d->main->ready)
			dir_say_up(d);
		return;
	}
	dir_ask_again(d, true);
	if (d->probe->chan) { /* already on its way to a better one */
		d->main = d->probe;
		d->probe = k;
	} else if (dir_servers_pick(&d->servers, now) < 0) {
		dir_set_state(d, DIR_DOWN, why);
	}
	if (d->state != DIR_DOWN && !d->unready_ms)
		d->unready_ms = now;
	dir_pump(d);
	if (d->main->child.pid <= 0) /* else exited() does it */
		io_timer_start(d->loop, &d->restart, 0, 0, dir_restart_cb, d);
}

static void dir_kid_exited(struct io_child *c, int status)
{
	struct dir_kid *k = c->arg;
	struct idfw_dir *d = k->d;

	if (!k->killed) {
		gi_err("directory %s: child ended unexpectedly (%s %d)", d->conf->label,
			WIFSIGNALED(status) ? "signal" : "exit code",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		dir_kid_fail(k, "the directory child ended; it is started again");
	}
	if (d->main->child.pid <= 0)
		dir_main_start(d);
}

/* late means that it is killed: nothing else ends a blocked call */
static void dir_kid_watch(struct dir_kid *k, uint64_t now)
{
	struct idfw_dir *d = k->d;
	uint64_t deadline = d->conf->deadline_ms, limit;
	char why[256];
	bool late, silent, stuck;

	if (!k->chan)
		return;
	limit = dir_servers_limit(&d->servers, k->server, deadline);
	late = k == d->main && dir_ask_late(d, now) && k->ready;
	silent = now - k->heard_ms > deadline + d->conf->poll_ms;
	stuck = d->servers.n > 1 && k->connecting && now - k->connecting_ms > limit;
	if (!late && !silent && !stuck)
		return;
	(void)snprintf(why, sizeof(why),
		"%.100s did not answer within %llu ms (stalled server, TLS "
		"handshake or name service?); the child is started again",
		d->servers.list[k->server].uri,
		(unsigned long long)(late || silent ? deadline : limit));
	gi_warn("directory %s: %s", d->conf->label, why);
	dir_kid_fail(k, why);
}

/* ---- which server ---- */

void dir_main_start(struct idfw_dir *d)
{
	uint64_t now = io_clock_mono_ms();
	int server = dir_servers_pick(&d->servers, now);

	if (server >= 0)
		(void)!dir_kid_start(d->main, (size_t)server); /* tries again by itself */
	else if (d->servers.n)
		io_timer_start(d->loop, &d->restart, dir_servers_wait(&d->servers, now), 0,
			dir_restart_cb, d);
}

static void dir_restart_cb(struct io_timer *w)
{
	struct idfw_dir *d = w->arg;

	if (d->main->child.pid <= 0)
		dir_main_start(d);
}

static void dir_watchdog_cb(struct io_timer *w)
{
	struct idfw_dir *d = w->arg;
	uint64_t now = io_clock_mono_ms();

	dir_kid_watch(d->main, now);
	dir_kid_watch(d->probe, now);
	now = io_clock_mono_ms(); /* who failed just now may have done so later than that */
	if (d->unready_ms && now - d->unready_ms > d->conf->deadline_ms) {
		dir_set_state(d, DIR_DOWN,
			d->servers.n ? "none of the servers answers in time; see the log"
				     : "no server is known yet: DNS does not answer in time");
		dir_pump(d);
	}
	dir_probe_start(d, now);
}

static void dir_probe_start(struct idfw_dir *d, uint64_t now)
{
	struct dir_kid *m = d->main;
	int server = -1;

	if (m->ready)
		server = dir_servers_probe(&d->servers, now);
	else if (m->chan && m->connecting && now - m->connecting_ms > DIR_CONNECT_MS)
		server = dir_servers_other(&d->servers, m->server, now);
	if (server >= 0 && d->probe->child.pid <= 0)
		(void)!dir_kid_start(d->probe, (size_t)server); /* failed: later */
}

/* its server answers: it takes over what waits, and what the other one has not answered */
static void dir_probe_won(struct idfw_dir *d)
{
	struct dir_kid *old = d->main;

	gi_notice("directory %s: changes to %s", d->conf->label,
		d->servers.list[d->probe->server].uri);
	dir_kid_end(old);
	dir_ask_again(d, false);
	d->main = d->probe;
	d->probe = old;
}

/* ---- from the child ---- */

static void dir_frame(void *arg, struct io_chan *c, const uint8_t *buf, size_t len)
{
	struct dir_kid *k = arg;
	struct idfw_dir *d = k->d;
	Idfw__Envelope *e = NULL;
	const char *why = "";

	(void)c;
	if (k->killed)
		return;
	if (wire_envelope_decode(buf, len, WIRE_DIR_CHILD, WIRE_OPEN, &e, &why) < 0) {
		gi_err("directory %s: bad message from the child: %s; killed", d->conf->label, why);
		dir_kid_fail(k, "the directory child sent garbage; it is started again");
		return;
	}
	k->heard_ms = io_clock_mono_ms();
	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_STATE)
		dir_on_state(k, e->dir_state);
	else if (k == d->main && e->body_case == IDFW__ENVELOPE__BODY_DIR_RESULT)
		dir_on_result(d, e->dir_result);
	else if (k == d->main && e->body_case == IDFW__ENVELOPE__BODY_DIR_CHANGED)
		dir_on_changed(d, e->dir_changed);
	wire_envelope_free(e);
}

static void dir_closed(void *arg, struct io_chan *c, int err, const char *why)
{
	struct dir_kid *k = arg;

	(void)c;
	if (err == -GI_EPROTO)
		gi_err("directory %s: the child sends what nobody can read: %s", k->d->conf->label,
			why);
	io_chan_free(k->chan);
	k->chan = NULL;
	k->ready = false;
	io_child_kill(&k->child); /* exited() does the rest */
}

static void dir_on_state(struct dir_kid *k, const Idfw__DirState *s)
{
	struct idfw_dir *d = k->d;
	bool again;

	if (s->up) {
		k->connecting = false;
		if (sid_to_text(s->domain_sid.data, s->domain_sid.len, d->domain_sid) < 0)
			d->domain_sid[0] = '\0';
		if (k == d->probe)
			dir_probe_won(d);
		if (!k->ready)
			dir_servers_up(&d->servers, k->server, k->heard_ms);
		again = !k->ready;
		k->ready = true;
		dir_picture_state(d, s);
		if (again)
			dir_sync_again(d);
		dir_say_up(d);
	} else if (s->text[0] == '\0') {
		k->connecting = true; /* once more, to the same server: no outage yet */
		k->connecting_ms = k->heard_ms;
	} else if (d->servers.n > 1) {
		dir_kid_fail(k, s->text);
		return;
	} else {
		k->ready = false;
		dir_set_state(d, DIR_DOWN, s->text);
	}
	dir_pump(d);
}

const char *idfw_dir_domain(const struct idfw_dir *d)
{
	return d->domain_sid;
}

void dir_say_up(struct idfw_dir *d)
{
	char text[DIR_WHY_MAX];

	dir_servers_text(&d->servers, io_clock_mono_ms(), io_clock_real_ms(), text);
	dir_list_text(d, text);
	dir_set_state(d, DIR_UP, text);
}

void dir_set_state(struct idfw_dir *d, enum dir_state state, const char *why)
{
	bool same = d->state == state;

	d->unready_ms = 0;
	if (state == DIR_DOWN && d->find)
		dir_find_now(d->find);
	/* another reason is news as well: the first fault mended, the next one shows */
	if (same && strcmp(d->why, why) == 0)
		return;
	if (!same)
		d->state_ms = io_clock_mono_ms();
	d->state = state;
	(void)snprintf(d->why, sizeof(d->why), "%s", why); /* differs from d->why here */
	if (state == DIR_DOWN)
		gi_err("directory %s: down: %s", d->conf->label, why);
	else
		gi_notice("directory %s: up (%s)", d->conf->label,
			why[0] ? why : d->servers.list[d->main->server].uri);
	d->ops.state(d->arg, state == DIR_UP, why);
}
