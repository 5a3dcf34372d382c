/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirchild.c - the directory child: its life, the server, what changes there
 *
 * Runs as `svm-idfw --directory LABEL`, started by dir.c, which kills it when it is late. It speaks
 * to one server as long as it lives; of several, the parent chooses.
 * libldap blocks, and nothing but a process of its own bounds a stalled TLS handshake. Three kinds
 * of threads: this one has the watch connection and every poll_ms looks for changes and says how it
 * is (DirState), which also tells the parent that it lives; one a lookup connection (dirwork.c);
 * one that does not block, for the channel to the parent (dirpost.c). So no lookup waits for a look
 * at the changes, nor this one for them. Invariant: nothing is executed and no capability is held.
 * Source: docs/directory.md, lib/wire/idfw.proto.
 */
#include "svm-idfw/dir.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/child.h"
#include "lib/io/priv.h"
#include "lib/io/sock.h"
#include "svm-idfw/dirbase.h"
#include "svm-idfw/dircalm.h"
#include "svm-idfw/dirdns.h"
#include "svm-idfw/dirgroups.h"
#include "svm-idfw/dirkept.h"
#include "svm-idfw/dirpost.h"
#include "svm-idfw/dirreply.h"
#include "svm-idfw/dirreport.h"
#include "svm-idfw/dirserver.h"
#include "svm-idfw/dirwork.h"

#define CHILD_OPEN_TRIES 4   /* behind one name, for the server that is meant */
#define CHILD_TOLD_GAP_MS 50 /* between two looks that the server asked for */

struct child {
	struct io_loop *loop;
	struct dir_post *post;
	struct dir_work *work;
	struct dir_asked *asked;
	struct idfw_dir_conf conf; /* borrowed texts; uri is the one of this process */
	struct dir_back back;	   /* with the watch connection; lookups have copies */
	enum dir_srv_trust trust;  /* in the server's name, if DNS named it */
	bool several; /* servers: the parent has another one for us to be replaced by */
	struct io_timer poll, told, work_on;
	struct io_fd watch;
	struct io_wake news;  /* from the other threads */
	uint64_t told_ms;     /* when it last looked for that */
	uint64_t compared_ms; /* when everything was last looked at, monotonic */
	struct dir_calm calm;
	uint64_t retry_ms; /* not before, monotonic */
	bool up, same;	   /* @same: first to the address that it was connected to */
	char why[DIR_WHY_MAX];
	struct dir_changes changes; /* found, not told yet */
	atomic_bool ended, failed;  /* the parent is gone; it or we did something wrong */
	/* DirSync: asked for, by another thread; begun, of which those of the picture are done */
	atomic_uint_least64_t sync_look, sync_full;
	uint64_t look, full, pass;
	struct dir_picture picture;
};

static int child_start(struct child *s);
static int child_stop(struct child *s, int err);
static bool child_message(void *arg, Idfw__Envelope *e);
static void child_ended(void *arg, bool failed);
static int child_open(
	const struct child *s, const char *peer, char why[DIR_WHY_MAX], struct dldap **ret);
static int child_open_look(
	void *arg, const struct dir_back *b, char why[DIR_WHY_MAX], struct dldap **ret);
static void child_lost(void *arg);
static void child_news_cb(struct io_wake *w);
static int child_memory(void);
static void child_answer(struct child *s);
static void child_poll_cb(struct io_timer *w);
static void child_watch_cb(struct io_fd *w, unsigned int events);
static void child_told_cb(struct io_timer *w);
static void child_look(struct child *s);
static void child_compare(struct child *s);
static void child_work(struct child *s);
static void child_work_cb(struct io_timer *w);
static void child_connect(struct child *s);
static void child_disconnect(struct child *s);
static void child_doubt(struct child *s);
static void child_reconnect(struct child *s);
static void child_send_state(struct child *s);
static void child_sync(struct child *s);
static bool child_synced(struct child *s);

int idfw_dir_child_main(const struct idfw_dir_conf *conf, const char *uri)
{
	struct child *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return 1;
	s->conf = *conf;
	s->conf.uri = uri ? uri : conf->uris.n ? conf->uris.items[0] : "";
	s->several = conf->uris.n > 1 || conf->discover;
	s->trust = conf->discover ? dir_srv_trust_uri(conf, s->conf.uri) : DIR_SRV_VOUCHED;
	s->back.conf = &s->conf;
	s->back.ops = strcmp(conf->type, "ad") == 0 ? &dir_back_ad : &dir_back_openldap;
	s->back.page = (unsigned int)s->conf.page;
	dir_calm_init(&s->calm);
	err = child_start(s);
	if (err == 0)
		io_loop_run(s->loop);
	else
		gi_err("directory: cannot start: %s", gi_strerror(err));
	return child_stop(s, err);
}

/* first what a thread inherits */
static int child_start(struct child *s)
{
	static const struct dir_post_ops ops = { .message = child_message, .ended = child_ended };
	struct dir_work_conf work = { .connections = (unsigned int)s->conf.connections,
		.deadline_ms = s->conf.deadline_ms,
		.poll_ms = s->conf.poll_ms,
		.several = s->several,
		.open = child_open_look,
		.lost = child_lost,
		.arg = s };
	int err;

	if (s->trust == DIR_SRV_NO)
		return -EINVAL;
	err = dldap_init(s->conf.krb5_config);
	if (err < 0)
		return err;
	err = child_memory();
	if (err == 0)
		err = dir_cache_new(DIR_CACHE_MAX, &s->back.cache);
	if (err == 0)
		err = dir_memo_new(DIR_MEMO_BYTES_MAX, &s->back.memo);
	if (err == 0)
		err = dir_groups_new(&s->back.groups);
	if (err == 0)
		err = dir_seen_new(DIR_SEEN_MAX, &s->back.seen);
	if (err == 0)
		err = io_priv_drop(NULL, 0);
	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err == 0)
		err = io_loop_new(&s->loop);
	if (err < 0)
		return err;
	io_wake_start(s->loop, &s->news, child_news_cb, s);
	err = dir_post_new(IO_CHILD_FD, &ops, s, &s->post);
	if (err < 0)
		return err;
	work.post = s->post;
	err = dir_work_new(&work, &s->work);
	if (err == 0)
		err = dir_asked_new(&s->asked);
	if (err == 0)
		io_timer_start(s->loop, &s->poll, 0, s->conf.poll_ms, child_poll_cb, s);
	return err;
}

static int child_stop(struct child *s, int err)
{
	int code = err < 0 || atomic_load(&s->failed) ? 1 : 0;

	/* a thread that is inside libldap ends with the process only, and it may be at our memory
	 */
	if (s->work && !dir_work_stop(s->work))
		_exit(code);
	child_disconnect(s);
	dir_post_free(s->post);
	dir_work_free(s->work);
	dir_asked_free(s->asked);
	while (s->back.n_nc)
		free(s->back.nc[--s->back.n_nc]);
	dir_changes_fini(&s->changes);
	dir_groups_free(s->back.groups);
	dir_seen_free(s->back.seen);
	dir_cache_free(s->back.cache);
	dir_memo_free(s->back.memo);
	io_loop_free(s->loop);
	free(s);
	return code;
}

/* a server that sends too much is to end us, not the machine's memory: the parent starts us again
 */
static int child_memory(void)
{
	const struct rlimit l = { .rlim_cur = DIR_CHILD_MEMORY, .rlim_max = DIR_CHILD_MEMORY };

	return setrlimit(RLIMIT_DATA, &l) < 0 ? -errno : 0;
}

/* ---- from the other threads ---- */

/* the post's; before dir_work_new() nothing comes: the parent waits for DirState */
static bool child_message(void *arg, Idfw__Envelope *e)
{
	struct child *s = arg;
	bool whole = false, ok;

	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_LOOKUP)
		return dir_work_put(s->work, e);
	if (e->body_case == IDFW__ENVELOPE__BODY_DIR_SYNC) {
		atomic_store(e->dir_sync->full ? &s->sync_full : &s->sync_look, e->dir_sync->id);
		wire_envelope_free(e);
		io_wake_send(s->loop, &s->news);
		return true;
	}
	ok = s->conf.query && e->body_case == IDFW__ENVELOPE__BODY_DIR_QUERY &&
	     dir_asked_put(s->asked, e, &whole);
	if (whole)
		io_wake_send(s->loop, &s->news);
	return ok;
}

static void child_ended(void *arg, bool failed)
{
	struct child *s = arg;

	atomic_store(&s->failed, failed);
	atomic_store(&s->ended, true);
	io_wake_send(s->loop, &s->news);
}

/* @peer: address that is tried first; "" none. In any thread: only the configuration is read */
static int child_open(
	const struct child *s, const char *peer, char why[DIR_WHY_MAX], struct dldap **ret)
{
	char kept[DIR_SRV_ADDRESSES_MAX], addresses[DIR_SRV_ADDRESSES_MAX + DLDAP_PEER_MAX];
	struct dldap_conf conf;

	idfw_dir_conf_ldap(&s->conf, dir_calm_request_ms(s->conf.deadline_ms, s->several), &conf);
	conf.cert_domain = s->trust == DIR_SRV_DOMAIN ? s->conf.discover : NULL;
	dir_kept_addresses(&s->conf, s->conf.uri, kept);
	(void)snprintf(addresses, sizeof(addresses), "%s%s%s", peer, peer[0] ? "," : "", kept);
	conf.addresses = addresses;
	if (s->conf.dns_server.n && /* the resolver's settings are the thread's */
		dir_dns_use(s->conf.dns_server.items, s->conf.dns_server.n) < 0)
		return -EIO;
	return dldap_open(&conf, why, ret);
}

/*
 * A lookup's: at the server whose changes are looked for. Of several behind one name another one
 * may know less: an account that is looked up there because of a change would be as before it.
 */
static int child_open_look(
	void *arg, const struct dir_back *b, char why[DIR_WHY_MAX], struct dldap **ret)
{
	char peer[DLDAP_PEER_MAX];
	struct dldap *d = NULL;
	int err = -GI_ESTATE;

	/* at the same address there may be another one each time */
	for (int i = 0; err == -GI_ESTATE && i < CHILD_OPEN_TRIES; i++) {
		err = child_open(arg, b->peer, why, &d);
		if (err < 0)
			return err;
		dldap_peer(d, peer);
		err = b->ops->same(b, d, why);
		if (err == 0) {
			*ret = d;
			return 0;
		}
		dldap_close(d);
		if (strcmp(peer, b->peer) != 0)
			break;
	}
	return err;
}

static void child_lost(void *arg)
{
	struct child *s = arg;

	io_wake_send(s->loop, &s->news);
}

static void child_news_cb(struct io_wake *w)
{
	struct child *s = w->arg;

	if (atomic_load(&s->ended))
		io_loop_stop(s->loop);
	else if (dir_work_lost(s->work, s->why))
		child_doubt(s);
	else if (s->conf.query)
		child_answer(s);
	else
		child_sync(s);
}

/* an operator's question: a child that has one is for nothing else, so the watch does it */
static void child_answer(struct child *s)
{
	struct dir_back b = s->back;

	b.look = s->back.watch;
	dir_asked_answer(s->asked, &b, s->post, s->up, s->why);
}

/* ---- the server ---- */

static void child_poll_cb(struct io_timer *w)
{
	child_look(w->arg);
}

static void child_told_cb(struct io_timer *w)
{
	struct child *s = w->arg;

	s->told_ms = io_clock_mono_ms();
	if (s->back.told_by_fd)
		child_work(s); /* first; how far the server is, is asked behind it */
	if (s->up)
		child_look(s);
}

static void child_look(struct child *s)
{
	uint64_t answers, began = io_clock_mono_ms();
	int err;

	if (!s->up) {
		if (io_clock_mono_ms() >= s->retry_ms)
			child_connect(s);
		child_send_state(s);
		return;
	}
	if (s->conf.query) { /* it is here for one answer, not for what changes */
		child_send_state(s);
		return;
	}
	answers = dir_work_answers(s->work);
	err = s->back.ops->poll(&s->back, &s->changes, s->why);
	if (err == 0) {
		dir_work_heard(s->work, began);
		child_compare(s);
		child_work(s);
	} else if (dir_calm_leaves(err, s->several, answers != dir_work_answers(s->work))) {
		child_disconnect(s); /* it stands still: another server can be had sooner */
		dir_work_down(s->work, &s->back, s->why);
	} else {
		child_reconnect(s); /* servers close idle connections: that alone is no outage */
		return;
	}
	child_send_state(s);
}

/*
 * In the next round: first the parent hears that we connect (down, and no reason), so that it knows
 * which limit counts if we never come back from it. Who takes connections and ends them while the
 * changes are looked at gets the next one after a pause, which grows; lookups go on meanwhile.
 */
static void child_reconnect(struct child *s)
{
	uint64_t pause = dir_calm_broken(&s->calm);

	child_disconnect(s);
	if (s->calm.shorts == DIR_CALM_SHORT_MAX)
		gi_warn("directory: %s: what changed is not seen, tried again with pauses: %s",
			s->conf.uri, s->why);
	if (s->several && dir_calm_gives_up(&s->calm)) {
		dir_work_down(s->work, &s->back, s->why);
		child_send_state(s);
		return;
	}
	s->why[0] = '\0';
	s->same = true;
	s->retry_ms = io_clock_mono_ms() + pause;
	child_send_state(s);
	io_timer_start(s->loop, &s->poll, pause < s->conf.poll_ms ? pause : s->conf.poll_ms,
		s->conf.poll_ms, child_poll_cb, s);
}

/* connects with the next look; lookups may fail where all that connecting takes is well */
static void child_doubt(struct child *s)
{
	uint64_t now = io_clock_mono_ms();

	child_disconnect(s);
	s->retry_ms = now + dir_calm_lost(&s->calm, dir_work_answers(s->work));
}

/* all was looked at: the server has done what it is for */
static void child_looked(struct child *s)
{
	dir_calm_looked(&s->calm);
	if (child_synced(s))
		child_send_state(s);
}

/* the full comparison: all groups with what is known, and everybody is looked up again */
static void child_compare(struct child *s)
{
	uint64_t now = io_clock_mono_ms();

	if (!s->conf.compare_ms || now - s->compared_ms < s->conf.compare_ms)
		return;
	s->compared_ms = now;
	s->changes.all = true;
	dir_groups_compare(s->back.groups, false);
}

/*
 * What the look at the changes has left to do, a turn; then it goes on in the next round. What was
 * found is told when nothing is left that was known to have changed, or after DIR_TURN_MS.
 */
static void child_work(struct child *s)
{
	bool more = false;
	int err = dir_groups_turn(&s->back, &s->changes, &more, s->why);

	if (err == 0 && s->back.told_by_fd) /* what came meanwhile is in libldap's hands */
		child_watch_cb(&s->watch, IO_READ);
	dir_groups_between(&s->back, &s->changes);
	if (dir_changes_any(&s->changes)) {
		dir_reply_changes(s->post, &s->back, &s->changes);
		dir_changes_fini(&s->changes);
	}
	if (err < 0)
		child_reconnect(s);
	else if (more)
		io_timer_start(s->loop, &s->work_on, 0, 0, child_work_cb, s);
	else
		child_looked(s);
}

/* ---- somebody waits for it ---- */

static void child_sync(struct child *s)
{
	uint64_t look = atomic_load(&s->sync_look), full = atomic_load(&s->sync_full);

	if (!s->up || (look == s->look && full == s->full))
		return; /* when it is up, all is looked at anyway */
	dir_groups_sync(s->back.groups, full != s->full, &s->pass);
	if (full != s->full) {
		s->compared_ms = io_clock_mono_ms();
		s->changes.all = true;
	}
	s->changes.all |= s->picture.seen == IDFW__DIR_STATE__SEEN__BLIND;
	s->look = look;
	s->full = full;
	child_look(s);
}

/* true: something more is done than was */
static bool child_synced(struct child *s)
{
	struct dir_picture *p = &s->picture;

	if ((p->synced == s->look && p->synced_full == s->full) ||
		!dir_groups_synced(s->back.groups, s->pass))
		return false;
	p->synced = s->look;
	p->synced_full = s->full;
	return true;
}

static enum _Idfw__DirState__Seen child_seen(const struct child *s)
{
	return s->back.ops == &dir_back_ad ? IDFW__DIR_STATE__SEEN__USN
	       : s->back.told_by_fd	   ? IDFW__DIR_STATE__SEEN__SYNCREPL
	       : s->back.csn[0]		   ? IDFW__DIR_STATE__SEEN__CSN
					   : IDFW__DIR_STATE__SEEN__BLIND;
}

static void child_work_cb(struct io_timer *w)
{
	child_work(w->arg);
}

/* the server has something to tell: once at once, then not too often */
static void child_watch_cb(struct io_fd *w, unsigned int events)
{
	struct child *s = w->arg;
	uint64_t now = io_clock_mono_ms(), next = s->told_ms + CHILD_TOLD_GAP_MS;
	bool moved = s->back.ops->told(&s->back, &s->changes);

	(void)events;
	if (!s->back.told_by_fd)
		io_fd_stop(s->loop, w);
	if (moved)
		io_timer_start(s->loop, &s->told, next > now ? next - now : 0, 0, child_told_cb, s);
}

static void child_connect(struct child *s)
{
	char peer[DLDAP_PEER_MAX];
	struct dldap *look = NULL;
	int err = child_open(s, s->same ? s->back.peer : "", s->why, &s->back.watch);

	if (err == 0) {
		memcpy(peer, s->back.peer, sizeof(peer));
		dldap_peer(s->back.watch, s->back.peer);
		s->back.moved |= peer[0] && strcmp(peer, s->back.peer) != 0;
		err = s->back.ops->begin(&s->back, &s->changes, s->why);
	}
	if (err == 0)
		err = dir_base_check(&s->back, s->back.watch, s->back.sample, s->why);
	if (err == 0 && !dir_work_connected(s->work))
		err = child_open_look(s, &s->back, s->why, &look);
	if (err == 0 && look && s->calm.doubt)
		err = dir_work_try(&s->back, look, s->why);
	s->same = false;
	if (err < 0) {
		if (s->why[0] == '\0')
			dir_why(s->why, "%s: %s", s->conf.uri, gi_strerror(err));
		dldap_close(look);
		child_disconnect(s);
		dir_work_down(s->work, &s->back, s->why);
		s->retry_ms = io_clock_mono_ms() + dir_calm_refused(&s->calm);
		return;
	}
	s->up = true;
	dir_calm_up(&s->calm, dir_work_answers(s->work));
	s->back.moved = false;
	if (!s->compared_ms) /* everybody is looked up now, and all groups are read */
		s->compared_ms = io_clock_mono_ms();
	if (s->back.told_by_fd && !s->conf.query)
		io_fd_start(
			s->loop, &s->watch, dldap_fd(s->back.watch), IO_READ, child_watch_cb, s);
	s->why[0] = '\0';
	dir_work_up(s->work, &s->back, look);
	child_send_state(s); /* first: who hears of changes asks at once */
	if (s->conf.query) {
		child_answer(s);
		return;
	}
	child_work(s);
	child_sync(s);
}

static void child_disconnect(struct child *s)
{
	if (s->loop) {
		io_fd_stop(s->loop, &s->watch);
		io_timer_stop(s->loop, &s->told);
		io_timer_stop(s->loop, &s->work_on);
	}
	dldap_close(s->back.watch);
	s->back.watch = NULL;
	s->up = false;
}

static void child_send_state(struct child *s)
{
	if (s->up)
		s->picture.seen = child_seen(s);
	s->picture.groups = s->back.groups;
	dir_work_state(s->work, &s->back, s->up, s->why, s->up ? &s->picture : NULL);
}
