/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.c - gi-netagent --agent: the process that parses what others send
 *
 * Second step of the path: PAM events come in, sessions and addresses are numbered and spooled and
 * go up to the mux; rulesets come down and go on to the pusher. No capability, its own user, a
 * seccomp filter; the keeper gives it the PAM listener and the pusher's socket. One loop, one
 * thread. It may be killed at any moment: the spool has everything (ADR 0007).
 */
#include "netagent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/priv.h"
#include "netagent/fdpass.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_US 50000

/* ---- keeper ---- */

static void pam_dropped(void *arg, uint32_t pid, uint32_t uid, const char *why)
{
	(void)arg;
	gi_warn("PAM socket: peer pid %u uid %u dropped: %s", pid, uid, why);
}

static const struct na_place_ops place_ops = { .placed = na_open_placed,
	.ready = na_open_place_ready };

static const struct na_pam_ops pam_ops = { .event = na_life_pam_event, .dropped = pam_dropped };

static void take_fd(struct na_agent *a, char what, int fd)
{
	if (what == NA_FD_PUSHER) {
		na_rules_pusher(a, fd);
	} else if (what == NA_FD_PLACER) {
		na_place_attach(a->place, fd);
	} else if (what == NA_FD_LISTENER && !a->pam) {
		if (na_pam_new(a->loop, fd, &pam_ops, a, &a->pam) < 0)
			gi_err("out of memory: no PAM socket");
	} else {
		close(fd);
	}
}

static void keeper_cb(struct io_fd *w, unsigned int events)
{
	struct na_agent *a = w->arg;
	char what;
	int fd, err = na_fd_recv(a->keeper_fd, &what, &fd);

	(void)events;
	if (err == 0) {
		take_fd(a, what, fd);
		return;
	}
	if (err == -EAGAIN)
		return;
	/* nobody would start us again, nor give us a pusher */
	gi_notice("the keeper is gone: ending");
	io_loop_stop(a->loop);
}

/* ---- link ---- */

static int snapshot_cb(void *arg, struct gi_buf *frames, uint64_t seq)
{
	struct na_agent *a = arg;

	return na_snapshot_frames(frames, seq, &a->sessions, &a->addrs);
}

static void opened_cb(void *arg)
{
	struct na_agent *a = arg;

	gi_notice("connected to %s, %zu live sessions told", a->conf->mux,
		na_sessions_count(&a->sessions));
	a->link_bad = false;
	na_alarm_opened(a); /* before the marks: what is not told by then is over */
	na_rules_opened(a);
}

static void down_cb(void *arg, const char *why)
{
	struct na_agent *a = arg;

	a->marks_due = false;
	io_timer_stop(a->loop, &a->marks_timer);
	if (!a->link_bad)
		gi_warn("no connection to %s: %s; trying again, events are kept", a->conf->mux,
			why);
	else
		gi_debug("still no connection to %s: %s", a->conf->mux, why);
	a->link_bad = true;
}

static void session_ready(struct na_agent *a, const Idfw__SessionReady *r)
{
	static const char refused[] = "policy does not let this user in";

	if (r->state == IDFW__SESSION_READY__STATE__REFUSED)
		gi_notice("session %" PRIu64 ": %s", r->id, refused);
	if (!a->pam)
		return;
	if (r->state == IDFW__SESSION_READY__STATE__REFUSED)
		na_pam_ready(a->pam, r->id, NA_PAM_REFUSED, refused);
	else if (r->state == IDFW__SESSION_READY__STATE__ENFORCED)
		na_pam_ready(a->pam, r->id, NA_PAM_ENFORCED, NULL);
	else
		na_pam_ready(a->pam, r->id, NA_PAM_DEGRADED, NULL);
}

static void message_cb(void *arg, const Idfw__Envelope *e)
{
	struct na_agent *a = arg;

	switch (e->body_case) {
	case IDFW__ENVELOPE__BODY_SESSION_READY:
		session_ready(a, e->session_ready);
		break;
	case IDFW__ENVELOPE__BODY_SERVICE_WATCH:
		na_units_set(a, e->service_watch->unit, e->service_watch->n_unit);
		break;
	case IDFW__ENVELOPE__BODY_KICK:
		na_life_kick(a, e->kick->id, e->kick->reason);
		break;
	default:
		na_rules_message(a, e);
	}
}

static const struct na_link_ops link_ops = {
	.snapshot = snapshot_cb,
	.opened = opened_cb,
	.message = message_cb,
	.down = down_cb,
};

int na_agent_connect(struct na_agent *a)
{
	struct na_link_conf lc = { .software = NA_AGENT_SOFTWARE };
	int err = io_endpoint_parse(a->conf->mux, &lc.mux);

	if (err < 0)
		return err;
	memcpy(lc.boot_id, a->boot_id, sizeof(lc.boot_id));
	return na_link_new(a->loop, &lc, a->spool, &link_ops, a, &a->link);
}

static void addrs_cb(void *arg, const struct na_addrs *now, bool cut)
{
	if (cut)
		gi_warn("more than %d addresses: the highest are not reported", WIRE_ADDRS_MAX);
	na_life_addresses(arg, now);
}

/* ---- start ---- */

/* above every number of this boot that a lost spool may have given out: see ADR 0007 */
static uint64_t first_session_id(void)
{
	return io_clock_boot_ms() + 1;
}

/* one process a spool: a predecessor that has not noticed its keeper's end yet may still write */
static int lock_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0; /* held until our end */
		usleep(LOCK_PAUSE_US);
	}
	close(fd);
	return -EBUSY;
}

static int open_spool(struct na_agent *a)
{
	static const struct io_spool_ops ops = { .checkpoint = na_life_checkpoint,
		.restore = na_life_restore };
	char dir[300];
	int err = lock_dir(a->conf->spool_dir);

	if (err < 0)
		return err;
	na_boot_dir(a, a->boot_id, dir, sizeof(dir));
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	return io_spool_open(dir, a->conf->spool_max_bytes, &ops, a, &a->spool);
}

static int agent_state(struct na_agent *a)
{
	struct io_spool_stats st;
	int err = na_boot_id_read(a->conf->boot_id_file, a->boot_id);

	if (err < 0) {
		gi_err("boot-id-file %s: %s", a->conf->boot_id_file, gi_strerror(err));
		return err;
	}
	na_sessions_init(&a->sessions, first_session_id());
	err = open_spool(a);
	if (err < 0) {
		gi_err("spool-dir %s: %s", a->conf->spool_dir, gi_strerror(err));
		return err;
	}
	io_spool_stats(a->spool, &st);
	if (st.bad_bytes)
		gi_err("spool %s: %" PRIu64 " bytes cannot be read and are passed over",
			a->conf->spool_dir, st.bad_bytes);
	na_life_spool_check(a);
	na_life_resume(a);
	na_life_files(a);
	return 0;
}

static void cgroups_cb(void *arg)
{
	na_life_cgroups(arg);
	na_units_look(arg);
}

static int agent_cgroups(struct na_agent *a)
{
	int err;

	a->have_cgroups = na_conf_cgroups(a->conf) &&
			  na_cgroup_root_find(na_conf_cgroup_root(a->conf), &a->cgroups) == 0;
	err = na_cgwatch_new(a->loop, cgroups_cb, a, &a->cgwatch);
	return err < 0 ? err : na_place_new(a->loop, &place_ops, a, &a->place);
}

static void resumed_cb(void *arg, uint64_t slept_ms)
{
	struct na_agent *a = arg;

	gi_notice("the machine was suspended for %" PRIu64 " s: connecting anew", slept_ms / 1000);
	if (a->link)
		na_link_fail(a->link, "the machine was suspended");
}

static int agent_network(struct na_agent *a)
{
	struct io_endpoint mux;
	struct na_addrs now;
	int err = na_addrs_new(
		a->loop, &a->conf->interfaces_exclude, addrs_cb, a, &now, &a->addrs_watch);

	if (err < 0) {
		gi_err("addresses cannot be read: %s", gi_strerror(err));
		return err;
	}
	na_life_addresses(a, &now);
	err = io_endpoint_parse(a->conf->mux, &mux);
	if (err < 0) {
		gi_err("mux %s: %s", a->conf->mux, gi_strerror(err));
		return err;
	}
	err = na_push_new(a->loop, &na_rules_push_ops, a, &a->push);
	if (err == 0)
		err = fw_wire_reader_new(&a->reader);
	if (err == 0)
		err = na_suspend_new(a->loop, resumed_cb, a, &a->suspend);
	if (err == 0)
		na_boot_begin(a);
	return err;
}

static int drop_privileges(const struct na_conf *conf)
{
	/* the host takes nobody for the agent who could be any user of this machine */
	bool vsock = strncmp(conf->mux, "vsock:", 6) == 0;
	int err = io_priv_drop(conf->user, vsock ? IO_CAP_NET_BIND : 0);

	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err < 0)
		gi_err("privileges cannot be dropped to user %s: %s", conf->user, gi_strerror(err));
	return err;
}

int na_agent_run(const struct na_conf *conf, int keeper_fd)
{
	struct na_agent a = { .conf = conf, .keeper_fd = keeper_fd, .files = { -1 } };
	int err = drop_privileges(conf);

	if (err == 0)
		err = io_loop_new(&a.loop);
	if (err == 0)
		err = agent_cgroups(&a);
	if (err == 0)
		err = agent_state(&a);
	if (err == 0)
		err = agent_network(&a);
	if (err == 0) {
		io_fd_start(a.loop, &a.keeper, keeper_fd, IO_READ, keeper_cb, &a);
		na_found_start(&a);
		io_loop_run(a.loop);
		io_fd_stop(a.loop, &a.keeper);
	}
	na_suspend_free(a.suspend);
	na_boot_stop(&a);
	na_pam_free(a.pam);
	na_link_free(a.link);
	na_push_free(a.push);
	fw_wire_reader_free(a.reader);
	na_addrs_free(a.addrs_watch);
	na_found_stop(&a);
	na_open_stop(&a);
	na_place_free(a.place);
	na_cgwatch_free(a.cgwatch);
	na_units_fini(&a.units);
	na_life_stop(&a);
	na_sessfile_close(&a.files);
	na_sessions_fini(&a.sessions);
	io_spool_free(a.spool);
	return err < 0 ? 1 : 0;
}
