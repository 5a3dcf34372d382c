/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - svm-idfw: the service VM's daemon, from start to SIGTERM
 *
 * Processes: this one (engine, database thread, TLS, control socket; no capability after start)
 * and its children `svm-idfw --directory LABEL -c FILE URI` (libldap, nothing else; another one,
 * `--directory-query`, for as long as an operator asks something: dirquery.h) and, for a
 * while, `svm-idfw --directory-discover LABEL -c FILE` (the resolver). As root it opens
 * what needs root (the key, the listener, its directories), then becomes `user`.
 * Exit: 0 after SIGTERM; 78 configuration or policy; 1 anything else.
 */
#include "config.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/io/dir.h"
#include "lib/io/priv.h"
#include "lib/io/sock.h"
#include "svm-idfw/dirfind.h"
#include "svm-idfw/dirtest.h"
#include "svm-idfw/svm.h"

#define PROG "svm-idfw"
#define SUMMARY "identity firewall: who is logged in, what they may reach, pushed to their VMs"
#define EXIT_CONFIG 78

static int directory_main(int argc, char **argv);
static int run(struct svm *s, bool debug);
static int start(struct svm *s);
static int start_dirs(struct svm *s);
static int prepare_dirs(const struct svm *s);
static int start_links(struct svm *s);
static int start_ctl(struct svm *s);
static void stop(struct svm *s);

/* the configuration's name, for the child: conf_main reads it from argv itself */
static const char *conf_file_of(int argc, char **argv)
{
	const char *file = IDFW_SYSCONFDIR "/" PROG ".conf";

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--config=", 9))
			file = argv[i] + 9;
		else if ((!strcmp(argv[i], "-c") || !strcmp(argv[i], "--config")) && i + 1 < argc)
			file = argv[++i];
		else if (!strncmp(argv[i], "-c", 2) && argv[i][2])
			file = argv[i] + 2;
	}
	return file;
}

int main(int argc, char **argv)
{
	struct svm s = { 0 };
	bool debug = false;
	int code = 0;

	if (argc > 2 && !strcmp(argv[1], "--test-directory"))
		return dir_test_main(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "--test-server"))
		return dir_test_server_main(argc - 2, argv + 2);
	if (argc > 1 && (!strcmp(argv[1], "--directory") || !strcmp(argv[1], "--directory-query") ||
				!strcmp(argv[1], "--directory-discover")))
		return directory_main(argc, argv);
	if (conf_main(argc, argv, PROG, SUMMARY, &svm_conf_table, &s.conf, &debug, &code))
		return code;
	s.conf_file = conf_file_of(argc, argv);
	s.argc = argc;
	s.argv = argv;
	code = run(&s, debug);
	conf_free(&svm_conf_table, &s.conf);
	return code;
}

/*
 * svm-idfw --directory LABEL -c FILE URI, --directory-discover LABEL -c FILE; --directory-query is
 * as the first, for ps(1) and people
 */
static int directory_main(int argc, char **argv)
{
	bool discover = !strcmp(argv[1], "--directory-discover");
	struct idfw_dir_conf *block;
	struct svm_conf conf = { 0 };
	struct conf_diags diags;
	char *text = NULL;
	size_t len = 0;
	int code = EXIT_CONFIG;

	gi_log_init(PROG "-directory", GI_LOG_INFO);
	if (argc < 5 || strcmp(argv[3], "-c") != 0 ||
		conf_read_file(argv[4], CTL_POLICY_MAX, &text, &len) < 0) {
		gi_err("cannot read the configuration");
		free(text);
		return EXIT_CONFIG;
	}
	conf_diags_init(&diags, argv[4], text, len);
	if (conf_parse(&svm_conf_table, text, len, &diags, &conf) == 0) {
		block = svm_conf_directory(&conf, argv[2]);
		if (block) {
			block->state_dir = conf.state_dir;
			block->query = !strcmp(argv[1], "--directory-query");
		}
		if (block)
			code = discover ? idfw_dir_discover_main(block, argc > 5 ? argv[5] : "")
					: idfw_dir_child_main(block, argc > 5 ? argv[5] : NULL);
		conf_free(&svm_conf_table, &conf);
	}
	conf_diags_fini(&diags);
	free(text);
	return code;
}

static void signalled(struct io_signal *w, int signum)
{
	struct svm *s = w->arg;

	if (signum == SIGHUP) {
		svm_reload(s);
		return;
	}
	gi_notice("%s: stopping", strsignal(signum));
	io_loop_stop(s->loop);
}

static int run(struct svm *s, bool debug)
{
	int r;

	gi_log_init(PROG, debug ? GI_LOG_DEBUG : GI_LOG_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	r = start(s);
	if (r == 0) {
		gi_notice("%s %s: listening on %s, %zu muxes known", PROG, PACKAGE_VERSION,
			s->conf.listen, s->conf.mux_names.n);
		io_loop_run(s->loop);
	}
	stop(s);
	return r == 0 ? 0 : r == -GI_ESYNTAX || r == -EINVAL ? EXIT_CONFIG : 1;
}

/* a descriptor a mux: the hard limit is the administrator's word */
static void raise_nofile(void)
{
	struct rlimit nofile;

	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return;
	nofile.rlim_cur = nofile.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &nofile);
}

static int start(struct svm *s)
{
	char path[4096], why[256] = "";
	uint64_t seed[2];
	int r;

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	r = io_loop_new(&s->loop);
	if (r < 0)
		return r;
	io_signal_start(s->loop, &s->term, SIGTERM, signalled, s);
	io_signal_start(s->loop, &s->intr, SIGINT, signalled, s);
	io_signal_start(s->loop, &s->hup, SIGHUP, signalled, s);
	r = start_links(s);
	if (r < 0)
		return r;
	r = prepare_dirs(s);
	if (r < 0)
		return r;
	raise_nofile();
	r = io_priv_drop(s->conf.user, 0);
	if (r < 0) {
		gi_err("user %s: %s", s->conf.user, gi_strerror(r));
		return r;
	}
	r = svm_engine_start(s, seed);
	if (r < 0)
		return r;
	r = svm_limits_apply(s);
	if (r < 0)
		return r;
	idfw_guests_set_engine(s->guests, s->engine);
	snprintf(path, sizeof(path), "%s/svm.db", s->conf.state_dir);
	r = idfw_store_open(s->loop, path, &svm_store_ops, s, why, &s->store);
	if (r == 0) {
		r = idfw_store_load(s->store, s->engine);
		if (r < 0)
			idfw_store_why_load(s->store, r, why);
	}
	if (r < 0) {
		gi_err("database: %s", *why ? why : gi_strerror(r));
		return r;
	}
	r = svm_policy_start(s);
	if (r < 0)
		return r;
	r = start_ctl(s);
	if (r < 0)
		return r;
	svm_round(s);
	return start_dirs(s);
}

static int start_dirs(struct svm *s)
{
	struct idfw_dir_conf *d = s->conf.directories.elems;
	int r = 0;

	if (!s->conf.directories.n) {
		idfw_engine_directory_state(s->engine, "", false, "no directory is configured");
		return 0;
	}
	for (size_t i = 0; r == 0 && i < s->conf.directories.n; i++) {
		d[i].state_dir = s->conf.state_dir;
		r = idfw_engine_directory_add(s->engine, d[i].label);
	}
	if (r == 0)
		r = idfw_dirs_new(s->loop, s->conf_file, d, s->conf.directories.n,
			&s->conf.name_maps, &svm_dirs_ops, s, &s->dirs);
	if (r < 0)
		gi_err("directory: %s", gi_strerror(r));
	return r;
}

/* as root: the directories are made and given to the user that we become */
static int prepare_dirs(const struct svm *s)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(s->conf.user) : NULL;

	int r = io_dir_make(s->conf.state_dir, 0750, pw ? pw->pw_uid : IO_DIR_KEEP,
		pw ? pw->pw_gid : (gid_t)-1);

	if (r < 0)
		gi_err("%s: %s", s->conf.state_dir, gi_strerror(r));
	return r;
}

static int start_links(struct svm *s)
{
	struct io_tls_conf tc = { .ca_file = s->conf.ca,
		.cert_file = s->conf.cert,
		.key_file = s->conf.key,
		.server = true };
	struct idfw_guests_conf gc = { .round = svm_round,
		.arg = s,
		.mux_names = (const char *const *)s->conf.mux_names.items,
		.n_mux_names = s->conf.mux_names.n,
		.scan_names = (const char *const *)s->conf.scan_names.items,
		.n_scan_names = s->conf.scan_names.n };
	struct io_endpoint ep;
	char why[256] = "";
	int r = io_tls_ctx_new(&tc, why, &s->tls);

	if (r < 0) {
		gi_err("TLS: %s", *why ? why : gi_strerror(r));
		return r;
	}
	gc.tls = s->tls;
	r = io_endpoint_parse(s->conf.listen, &ep);
	if (r == 0)
		r = io_sock_listen(&ep, 0600, &gc.listen_fd);
	if (r < 0) {
		gi_err("%s: %s", s->conf.listen, gi_strerror(r));
		return r;
	}
	return idfw_guests_new(s->loop, &gc, &s->guests);
}

static int start_ctl(struct svm *s)
{
	char endpoint[160];
	const struct group *gr;
	int r;

	snprintf(endpoint, sizeof(endpoint), "unix:%s", s->conf.control_socket);
	r = idfw_ctl_new(s->loop, endpoint, s->engine, s->store, &svm_ctl_ops, s, &s->ctl);
	if (r < 0) {
		gi_err("%s: %s", s->conf.control_socket, gi_strerror(r));
		return r;
	}
	if (!s->conf.control_group)
		return 0;
	gr = getgrnam(s->conf.control_group);
	if (!gr || chown(s->conf.control_socket, (uid_t)-1, gr->gr_gid) < 0) {
		r = gr ? -errno : -GI_ENOTFOUND;
		gi_err("control-group %s: %s", s->conf.control_group, gi_strerror(r));
		return r;
	}
	return 0;
}

static void stop(struct svm *s)
{
	idfw_ctl_free(s->ctl);
	idfw_dirs_free(s->dirs);
	idfw_guests_free(s->guests);
	if (s->store)
		idfw_store_close(s->store);
	idfw_engine_free(s->engine);
	free(s->limits);
	io_tls_ctx_free(s->tls);
	if (!s->loop)
		return;
	io_idle_stop(s->loop, &s->flush);
	io_timer_stop(s->loop, &s->tick);
	io_timer_stop(s->loop, &s->hold);
	io_signal_stop(s->loop, &s->term);
	io_signal_stop(s->loop, &s->intr);
	io_signal_stop(s->loop, &s->hup);
	io_loop_free(s->loop);
}
