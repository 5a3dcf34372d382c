/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - gi-mux: one a host, between its guests and the services
 *
 *   gi-netagents (unix sockets, AF_VSOCK) <--> gi-mux <== mutual TLS 1.3 ==> svm-idfw
 *   gi-fileagents (sockets of their own)  <-->        <== another one ====> svm-scan
 *
 * Reads the configuration, opens what needs root (keys, listeners), becomes an unprivileged user
 * with a seccomp list, and runs the loop. SIGHUP reads the inventory anew, SIGUSR1 writes the
 * counters to the log, SIGTERM and SIGINT end it. Holds no state that a restart would lose: agents
 * connect again and say again what was not acknowledged.
 * Source: gi-mux(8), docs/wire.md, ADR 0005.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "lib/base/log.h"
#include "lib/io/priv.h"
#include "mux/guest.h"

struct mux;

struct mux_link {
	struct mux *mux;
	enum mux_lane_id lane;
	struct mux_upstream *up; /* owned; NULL: no such lane */
};

struct mux {
	int argc;
	char **argv; /* for SIGHUP: the same options name the same file */
	struct mux_conf conf;
	struct io_loop *loop;
	struct io_tls_ctx *tls;
	struct mux_guests *guests;
	struct mux_link link[MUX_LANES];
	struct io_signal sig_hup, sig_usr1, sig_term, sig_int;
	char software[WIRE_SOFTWARE_MAX + 1];
};

static const char summary[] =
	"Connects the agents in this host's virtual machines to the idfw service VM.";

static void on_up(void *arg)
{
	struct mux_link *l = arg;

	mux_guests_link_up(l->mux->guests, l->lane);
}

static void on_down(void *arg, const char *why)
{
	struct mux_link *l = arg;

	(void)why; /* upstream.c has logged it */
	mux_guests_link_down(l->mux->guests, l->lane);
}

static void on_envelope(void *arg, const char *vm, const uint8_t *buf, size_t len)
{
	struct mux_link *l = arg;

	mux_guests_envelope(l->mux->guests, l->lane, vm, buf, len);
}

static void on_close(void *arg, const char *vm, const char *why)
{
	struct mux_link *l = arg;

	mux_guests_close(l->mux->guests, l->lane, vm, why);
}

static void on_writable(void *arg)
{
	struct mux_link *l = arg;

	mux_guests_pump(l->mux->guests, l->lane);
}

static const struct mux_upstream_ops up_ops = {
	.up = on_up,
	.down = on_down,
	.envelope = on_envelope,
	.close = on_close,
	.writable = on_writable,
};

static int load(struct mux *m, struct mux_conf *conf, struct mux_inventory *inv, bool *ret_debug,
	int *ret_exit)
{
	char why[256] = "";
	int err;

	*conf = (struct mux_conf){ 0 };
	if (conf_main(m->argc, m->argv, "gi-mux", summary, &mux_conf_table, conf, ret_debug,
		    ret_exit))
		return -GI_ESYNTAX;
	err = mux_inventory_build(conf, inv, why);
	if (!err)
		return 0;
	/* memory: the table's check has built one already */
	(void)fprintf(stderr, "gi-mux: configuration: %s\n", why);
	conf_free(&mux_conf_table, conf);
	*ret_exit = EXIT_FAILURE;
	return err;
}

/* an item that may be left out is NULL then */
static bool text_differs(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") != 0;
}

static bool has_scan(const struct mux *m)
{
	return m->conf.scan && m->conf.scan[0];
}

/* what a running daemon cannot change without a restart */
static bool needs_restart(const struct mux_conf *a, const struct mux_conf *b)
{
	return text_differs(a->scan, b->scan) || text_differs(a->scan_name, b->scan_name) ||
	       strcmp(a->svm, b->svm) != 0 || strcmp(a->svm_name, b->svm_name) != 0 ||
	       strcmp(a->host_name, b->host_name) != 0 || strcmp(a->ca, b->ca) != 0 ||
	       strcmp(a->cert, b->cert) != 0 || strcmp(a->key, b->key) != 0 ||
	       strcmp(a->user, b->user) != 0 || strcmp(a->socket_mode, b->socket_mode) != 0 ||
	       a->vsock_any_port != b->vsock_any_port || a->max_queue != b->max_queue ||
	       a->max_queue_up != b->max_queue_up || a->connects_max != b->connects_max ||
	       a->messages_max != b->messages_max || a->idle_ms != b->idle_ms ||
	       a->deadline_ms != b->deadline_ms || a->retry_ms != b->retry_ms;
}

static void on_hup(struct io_signal *w, int signum)
{
	struct mux *m = w->arg;
	struct mux_conf conf;
	struct mux_inventory inv;
	bool debug = false;
	int code = 0, err;

	(void)signum;
	err = load(m, &conf, &inv, &debug, &code);
	if (err) {
		gi_err("reload: the new configuration is not usable; the old one goes on");
		return;
	}
	if (needs_restart(&m->conf, &conf))
		gi_warn("reload: only VMs and vsock ports are taken over; restart for the rest");
	err = mux_guests_apply(m->guests, &inv);
	if (err)
		gi_err("reload: %s; send SIGHUP again", gi_strerror(err));
	else
		gi_notice("reload: %zu VMs", inv.n);
	mux_inventory_free(&inv);
	conf_free(&mux_conf_table, &conf);
}

static void on_usr1(struct io_signal *w, int signum)
{
	(void)signum;
	mux_guests_log(((struct mux *)w->arg)->guests);
}

static void on_term(struct io_signal *w, int signum)
{
	(void)signum;
	io_loop_stop(((struct mux *)w->arg)->loop);
}

static int start_tls(struct mux *m)
{
	const struct io_tls_conf tls = { .ca_file = m->conf.ca,
		.cert_file = m->conf.cert,
		.key_file = m->conf.key,
		.server = false };
	char why[256] = "";
	int err = io_tls_ctx_new(&tls, why, &m->tls);

	if (err)
		gi_err("%s", why[0] ? why : gi_strerror(err));
	return err;
}

static int start_upstream(struct mux *m, enum mux_lane_id lane, const char *endpoint,
	const char *server_name, const char *service)
{
	struct mux_link *l = &m->link[lane];
	struct mux_upstream_conf conf = { .tls = m->tls,
		.server_name = server_name,
		.service = service,
		.software = m->software,
		.idle_ms = m->conf.idle_ms,
		.deadline_ms = m->conf.deadline_ms,
		.retry_ms = (uint32_t)m->conf.retry_ms };
	int err = io_endpoint_parse(endpoint, &conf.endpoint);

	if (err) {
		gi_err("%s %s: not an endpoint: use tcp:ADDRESS:PORT", service, endpoint);
		return err;
	}
	*l = (struct mux_link){ .mux = m, .lane = lane };
	err = mux_upstream_new(m->loop, &conf, &up_ops, l, &l->up);
	if (!err)
		mux_guests_set_upstream(m->guests, lane, l->up);
	return err;
}

static int start_links(struct mux *m)
{
	int err = start_upstream(m, MUX_LANE_IDENTITY, m->conf.svm, m->conf.svm_name, "service VM");

	if (!err && has_scan(m))
		err = start_upstream(
			m, MUX_LANE_FILE, m->conf.scan, m->conf.scan_name, "scan service");
	return err;
}

static int start_guests(struct mux *m, const struct mux_inventory *inv)
{
	const struct mux_guests_conf conf = { .max_queue = m->conf.max_queue,
		.max_queue_up = m->conf.max_queue_up,
		.connects_max = (unsigned int)m->conf.connects_max,
		.messages_max = m->conf.messages_max,
		.vsock_any_port = m->conf.vsock_any_port,
		.socket_mode = inv->socket_mode,
		.file_lane = has_scan(m) };
	int err = mux_guests_new(m->loop, &conf, &m->guests);

	return err ? err : mux_guests_apply(m->guests, inv);
}

static int drop_privileges(const char *user)
{
	struct rlimit nofile;
	int err;

	/* four descriptors a guest: the hard limit is the administrator's word */
	if (getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur = nofile.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &nofile);
	}
	err = io_priv_drop(user, 0);
	if (err) {
		gi_err("cannot become user %s: %s", user, gi_strerror(err));
		return err;
	}
	err = io_priv_seccomp_parser();
	if (err)
		gi_err("cannot set the seccomp list: %s", gi_strerror(err));
	return err;
}

static int start(struct mux *m, const struct mux_inventory *inv)
{
	int err = io_loop_new(&m->loop);

	if (err)
		return err;
	err = start_tls(m);
	if (!err)
		err = start_guests(m, inv);
	if (!err)
		err = drop_privileges(m->conf.user);
	if (!err)
		err = start_links(m);
	if (err)
		return err;
	io_signal_start(m->loop, &m->sig_hup, SIGHUP, on_hup, m);
	io_signal_start(m->loop, &m->sig_usr1, SIGUSR1, on_usr1, m);
	io_signal_start(m->loop, &m->sig_term, SIGTERM, on_term, m);
	io_signal_start(m->loop, &m->sig_int, SIGINT, on_term, m);
	return 0;
}

static void stop(struct mux *m)
{
	for (enum mux_lane_id k = 0; k < MUX_LANES; k++) {
		if (m->guests)
			mux_guests_set_upstream(m->guests, k, NULL);
		mux_upstream_free(m->link[k].up);
	}
	mux_guests_free(m->guests);
	io_tls_ctx_free(m->tls);
	io_loop_free(m->loop);
	conf_free(&mux_conf_table, &m->conf);
}

int main(int argc, char **argv)
{
	struct mux m = { .argc = argc, .argv = argv };
	struct mux_inventory inv = { 0 };
	bool debug = false;
	int code = EXIT_FAILURE, err;

	if (load(&m, &m.conf, &inv, &debug, &code))
		return code;
	gi_log_init("gi-mux", debug ? GI_LOG_DEBUG : GI_LOG_INFO);
	(void)snprintf(m.software, sizeof(m.software), "gi-mux %s (%.40s)", PACKAGE_VERSION,
		m.conf.host_name);
	err = start(&m, &inv);
	if (!err) {
		gi_notice("%zu VMs, service VM %s, scan service %s", inv.n, m.conf.svm,
			has_scan(&m) ? m.conf.scan : "none");
		io_loop_run(m.loop);
		gi_notice("ends");
	}
	mux_inventory_free(&inv);
	stop(&m);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
