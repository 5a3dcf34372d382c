/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeper.c - gi-netagent's first process: holds root, reads nothing but its configuration
 *
 *   keeper (root) --+-- gi-netagent --agent    (user _idfw, no capability: parses peers' bytes)
 *                   +-- gi-netagent --pusher   (root with CAP_NET_ADMIN alone: fixed records)
 *                   +-- gi-netagent --placer   (root without capabilities: fixed records)
 *
 * It binds the PAM socket (kept while the parsing process is started again: a login waits in the
 * backlog meanwhile), makes the spool's directory, and gives each parsing process the listener and
 * the sockets of a fresh pusher and placer. A parsing process that ends takes these with it.
 * It holds the netlink socket that owns our table (fw/push.h) for as long as it lives and gives it
 * to each pusher; it sends nothing there itself.
 * Nothing is ever read from a child. All lives of the children get the configuration that the
 * keeper started with, from memory: a mistake made in the file since then waits for a restart of
 * the keeper.
 */
#include "netagent/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fw/push.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/conf/lex.h"
#include "lib/io/child.h"
#include "lib/io/dir.h"
#include "lib/io/loop.h"
#include "lib/io/sock.h"
#include "netagent/fdpass.h"

#define NOFILE_WANTED 16384 /* a pidfd a session, and all else */
#define PUSHER_BUFFER_BYTES (4 << 20)
#define BACKOFF_MAX_MS 2000
#define BIND_TRIES 40
#define BIND_PAUSE_US 50000
#define STEADY_MS 10000 /* a child that lived as long starts over with the shortest backoff */

struct role {
	struct keeper *keeper;
	const char *name; /* --agent, --pusher, --placer */
	struct io_child child;
	struct io_timer again;
	struct io_backoff backoff;
	uint64_t started_ms;
	char *argv[6]; /* borrowed words */
};

struct keeper {
	struct io_loop *loop;
	const struct na_conf *conf;
	struct io_signal sigterm, sigint;
	struct role agent, pusher, placer;
	int listen_fd;
	int table_fd;	    /* netlink, owns the table; -1: could not be opened yet */
	int conf_fd;	    /* the configuration's text, in memory */
	char conf_path[40]; /* by which the children, still root, open it */
	bool debug;
};

static void role_start(struct role *r);

/* a parsing process gets one that nobody has talked to yet, or none until there is one */
static void hand_over(struct keeper *k, struct role *helper, char what)
{
	int err;

	if (k->agent.child.pid <= 0 || helper->child.pid <= 0 || helper->child.fd < 0)
		return;
	err = na_fd_send(k->agent.child.fd, what, helper->child.fd);
	if (err < 0) {
		gi_err("the socket of %s cannot be handed over: %s", helper->name + 2,
			gi_strerror(err));
		io_child_kill(&k->agent.child);
		return;
	}
	close(helper->child.fd);
	helper->child.fd = -1;
}

static void again_cb(struct io_timer *t)
{
	role_start(t->arg);
}

static void exited_cb(struct io_child *c, int status)
{
	struct role *r = c->arg;
	uint32_t ms;

	/* code 0: it only followed its peer */
	if (io_clock_mono_ms() - r->started_ms > STEADY_MS ||
		(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		io_backoff_init(&r->backoff, BACKOFF_MAX_MS);
	ms = io_backoff_next(&r->backoff);
	if (WIFSIGNALED(status))
		gi_warn("%s was killed by signal %d; started again in %u ms", r->name + 2,
			WTERMSIG(status), ms);
	else
		gi_warn("%s ended with code %d; started again in %u ms", r->name + 2,
			WEXITSTATUS(status), ms);
	io_timer_start(r->keeper->loop, &r->again, ms, 0, again_cb, r);
}

static void role_start(struct role *r)
{
	struct keeper *k = r->keeper;
	int size = PUSHER_BUFFER_BYTES, err;

	r->started_ms = io_clock_mono_ms();
	err = r == &k->pusher && k->table_fd < 0 ? fw_own_open(&k->table_fd) : 0;
	if (err == 0)
		err = io_child_start(k->loop, &r->child, r->argv, SOCK_SEQPACKET, exited_cb, r);
	if (err < 0) {
		gi_err("%s cannot be started: %s", r->name + 2, gi_strerror(err));
		io_timer_start(k->loop, &r->again, io_backoff_next(&r->backoff), 0, again_cb, r);
		return;
	}
	if (r == &k->pusher) {
		(void)setsockopt(r->child.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
		err = na_fd_send(r->child.fd, NA_FD_TABLE, k->table_fd);
		if (err < 0)
			io_child_kill(&r->child);
	} else if (r == &k->agent) {
		err = na_fd_send(r->child.fd, NA_FD_LISTENER, k->listen_fd);
		if (err < 0)
			io_child_kill(&r->child);
	}
	hand_over(k, &k->pusher, NA_FD_PUSHER);
	hand_over(k, &k->placer, NA_FD_PLACER);
}

/* execv() wants them writable and writes nothing */
static void role_init(struct role *r, struct keeper *k, char *prog, char *name)
{
	static char config[] = "-c", debug[] = "-d";

	r->keeper = k;
	r->name = name;
	io_backoff_init(&r->backoff, BACKOFF_MAX_MS);
	r->argv[0] = prog;
	r->argv[1] = name;
	r->argv[2] = config;
	r->argv[3] = k->conf_path;
	r->argv[4] = k->debug ? debug : NULL;
	r->argv[5] = NULL;
}

/* the options are conf_main()'s; it has checked them already */
static const char *read_options(int argc, char **argv, bool *ret_debug)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "debug", no_argument, NULL, 'd' }, { 0 } };
	const char *path = IDFW_SYSCONFDIR "/gi-netagent.conf";
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:d", longs, NULL)) != -1) {
		if (c == 'c')
			path = optarg;
		else if (c == 'd')
			*ret_debug = true;
	}
	return path;
}

/* it was right a moment ago; it must still be, or a child would not start */
static int conf_check(const char *path, const char *text, size_t len)
{
	struct na_conf c = { 0 };
	struct conf_diags diags;
	int err;

	conf_diags_init(&diags, path, text, len);
	err = conf_parse(&na_conf_table, text, len, &diags, &c);
	conf_diags_fini(&diags);
	conf_free(&na_conf_table, &c);
	return err;
}

static int keep_conf(struct keeper *k, int argc, char **argv)
{
	const char *path = read_options(argc, argv, &k->debug);
	char *text = NULL;
	size_t len;
	int err = conf_read_file(path, CONF_SOURCE_MAX, &text, &len);

	if (err == 0)
		err = conf_check(path, text, len);
	if (err < 0)
		goto out;
	k->conf_fd = memfd_create("gi-netagent.conf", MFD_CLOEXEC);
	if (k->conf_fd < 0 || write(k->conf_fd, text, len) != (ssize_t)len)
		err = -EIO;
	snprintf(k->conf_path, sizeof(k->conf_path), "/proc/%d/fd/%d", (int)getpid(), k->conf_fd);
out:
	if (err < 0)
		gi_err("%s: %s", path, gi_strerror(err));
	free(text);
	return err;
}

static void signal_cb(struct io_signal *w, int signum)
{
	struct keeper *k = w->arg;

	gi_notice("signal %d: stopping; rules and sessions stay", signum);
	io_loop_stop(k->loop);
}

/* mkdir -p, the last one for @user alone */
static int make_dir(const char *path, mode_t mode, const char *user)
{
	const struct passwd *pw = geteuid() == 0 && user ? getpwnam(user) : NULL;

	if (geteuid() == 0 && user && !pw)
		return -GI_ENOTFOUND;
	return io_dir_make(path, mode, pw ? pw->pw_uid : IO_DIR_KEEP, pw ? pw->pw_gid : (gid_t)-1);
}

static int bind_pam(const struct na_conf *conf, int *ret_fd)
{
	struct io_endpoint e;
	char text[160], dir[160], *slash;
	int err;

	if (gi_text_copy(dir, sizeof(dir), conf->pam_socket) < 0)
		return -ENAMETOOLONG;
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		err = make_dir(dir, 0755, NULL);
		if (err < 0)
			return err;
	}
	snprintf(text, sizeof(text), "unix:%.150s", conf->pam_socket);
	err = io_endpoint_parse(text, &e);
	if (err < 0)
		return err;
	e.type = SOCK_SEQPACKET;
	/* after a kill -9 of a keeper its parsing process answers for a moment more */
	for (int tries = 0; tries < BIND_TRIES; tries++) {
		err = io_sock_listen(&e, 0600, ret_fd);
		if (err != -EADDRINUSE)
			break;
		usleep(BIND_PAUSE_US);
	}
	return err;
}

static void raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	if (r.rlim_cur >= NOFILE_WANTED)
		return;
	r.rlim_cur = NOFILE_WANTED;
	if (r.rlim_max < NOFILE_WANTED)
		r.rlim_max = NOFILE_WANTED; /* root may */
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		gi_warn("the limit of descriptors stays low: not every session can be watched");
}

static int keeper_prepare(struct keeper *k, int argc, char **argv)
{
	static char agent[] = "--agent", pusher[] = "--pusher", placer[] = "--placer";
	int err = keep_conf(k, argc, argv);

	if (err < 0)
		return err;
	err = make_dir(k->conf->spool_dir, 0700, k->conf->user);
	if (err < 0) {
		gi_err("spool-dir %s, user %s: %s", k->conf->spool_dir, k->conf->user,
			gi_strerror(err));
		return err;
	}
	/* the parsing process says what is missing without it, and goes on */
	(void)make_dir(k->conf->sessions_dir, 0750, k->conf->user);
	err = bind_pam(k->conf, &k->listen_fd);
	if (err < 0) {
		gi_err("pam-socket %s: %s%s", k->conf->pam_socket, gi_strerror(err),
			err == -EADDRINUSE ? "; is another gi-netagent running?" : "");
		return err;
	}
	raise_nofile();
	role_init(&k->agent, k, argv[0], agent);
	role_init(&k->pusher, k, argv[0], pusher);
	role_init(&k->placer, k, argv[0], placer);
	return io_loop_new(&k->loop);
}

int na_keeper_run(const struct na_conf *conf, int argc, char **argv)
{
	struct keeper k = { .conf = conf, .listen_fd = -1, .table_fd = -1, .conf_fd = -1 };
	int err = keeper_prepare(&k, argc, argv);

	if (err == 0) {
		io_signal_start(k.loop, &k.sigterm, SIGTERM, signal_cb, &k);
		io_signal_start(k.loop, &k.sigint, SIGINT, signal_cb, &k);
		role_start(&k.pusher);
		if (na_conf_cgroups(conf))
			role_start(&k.placer);
		role_start(&k.agent);
		io_loop_run(k.loop);
		io_timer_stop(k.loop, &k.agent.again);
		io_timer_stop(k.loop, &k.pusher.again);
		io_timer_stop(k.loop, &k.placer.again);
		io_child_stop(k.loop, &k.agent.child);
		io_child_stop(k.loop, &k.pusher.child);
		io_child_stop(k.loop, &k.placer.child);
		io_signal_stop(k.loop, &k.sigterm);
		io_signal_stop(k.loop, &k.sigint);
		unlink(conf->pam_socket);
	}
	if (k.listen_fd >= 0)
		close(k.listen_fd);
	if (k.table_fd >= 0)
		close(k.table_fd);
	if (k.conf_fd >= 0)
		close(k.conf_fd);
	if (k.loop)
		io_loop_free(k.loop);
	return err < 0 ? 1 : 0;
}
