/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtest.c - `idfwctl dir test`: a configuration's directories are tried before it is used
 *
 * The parent: as root it becomes the user that svm-idfw will run as, so that file rights count.
 * Each server is tried by a child of its own (dirstep.c), which is killed when one step takes
 * longer than the directory's `deadline`. One line a step; --json: one object a line. Invariant:
 * what a child says is shown cleaned and decides nothing but the exit code.
 */
#include "config.h"

#include "svm-idfw/dirtest.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/child.h"
#include "lib/io/loop.h"
#include "lib/io/priv.h"
#include "svm-idfw/dirserver.h"
#include "svm-idfw/dirsrv.h"
#include "svm-idfw/dirstep.h"
#include "svm-idfw/svmconf.h"

#define TEST_CONF_MAX (1u << 20)
#define TEST_EXIT_FAILED 1
#define TEST_EXIT_USAGE 2

struct test {
	const char *file, *directory, *account;
	bool json;
	struct svm_conf conf;
	bool failed;
	/* of the server that is tried */
	const struct idfw_dir_conf *dir;
	const char *uri;
	char step[16];
	uint64_t began_ms; /* the step, monotonic */
	char found[DIR_SERVERS_MAX][DIR_URI_MAX + 1];
	size_t n_found;
};

static bool test_options(struct test *t, int argc, char **argv);
static int test_conf(struct test *t);
static int test_user(struct test *t);
static void test_directory(struct test *t, const struct idfw_dir_conf *d);
static void test_server(struct test *t, const char *uri);
static void test_say(struct test *t, bool ok, const char *step, const char *text, uint64_t ms);

int dir_test_main(int argc, char **argv)
{
	struct test *t = calloc(1, sizeof(*t));
	const struct idfw_dir_conf *d;
	int code = TEST_EXIT_USAGE;
	bool any = false;

	gi_log_init("svm-idfw", GI_LOG_ERR);
	if (!t || !test_options(t, argc, argv))
		goto out;
	(void)signal(SIGPIPE, SIG_IGN);
	code = TEST_EXIT_FAILED;
	if (test_conf(t) < 0)
		goto out;
	d = t->conf.directories.elems;
	if (test_user(t) == 0) {
		for (size_t i = 0; i < t->conf.directories.n; i++) {
			if (t->directory && strcmp(t->directory, d[i].label) != 0)
				continue;
			any = true;
			test_directory(t, &d[i]);
		}
		t->dir = NULL;
		t->uri = NULL;
		if (!any)
			test_say(t, false, "configuration",
				t->directory ? "there is no directory of that name in it"
					     : "there is no directory in it: nobody has groups",
				0);
	}
	conf_free(&svm_conf_table, &t->conf);
	code = t->failed ? TEST_EXIT_FAILED : 0;
out:
	if (fflush(stdout) != 0)
		code = TEST_EXIT_USAGE;
	free(t);
	return code;
}

static bool test_options(struct test *t, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			t->json = true;
		else if (strcmp(argv[i], "--directory") == 0 && i + 1 < argc)
			t->directory = argv[++i];
		else if (strcmp(argv[i], "--account") == 0 && i + 1 < argc)
			t->account = argv[++i];
		else if (argv[i][0] != '-' && !t->file)
			t->file = argv[i];
		else
			t->file = NULL, i = argc;
	}
	if (t->file)
		return true;
	(void)fputs("usage: svm-idfw --test-directory CONFIG [--directory NAME] [--account NAME] "
		    "[--json]\n",
		stderr);
	return false;
}

/* ---- the configuration, and who reads it ---- */

static int test_conf(struct test *t)
{
	struct conf_diags diags;
	struct gi_buf out;
	char *text = NULL, why[256] = "";
	size_t len = 0;
	int err = conf_read_file(t->file, TEST_CONF_MAX, &text, &len);

	if (err < 0) {
		(void)snprintf(why, sizeof(why), "%.200s: %s", t->file, gi_strerror(err));
		test_say(t, false, "configuration", why, 0);
		return err;
	}
	gi_buf_init(&out, TEST_CONF_MAX);
	conf_diags_init(&diags, t->file, text, len);
	err = conf_parse(&svm_conf_table, text, len, &diags, &t->conf);
	conf_diags_render(&diags, &out);
	(void)fputs(gi_buf_str(&out), stderr);
	gi_buf_fini(&out);
	if (err == 0) {
		err = svm_conf_table.check(&t->conf, why);
		if (err < 0)
			conf_free(&svm_conf_table, &t->conf);
	}
	conf_diags_fini(&diags);
	free(text);
	if (err < 0)
		test_say(t, false, "configuration",
			why[0] ? why : "it has mistakes; they are told on standard error", 0);
	else
		test_say(t, true, "configuration", t->file, 0);
	return err;
}

static int test_user(struct test *t)
{
	const char *user = t->conf.user;
	const struct passwd *pw = getpwnam(user);
	char why[DIR_WHY_MAX];
	int err;

	if (geteuid() != 0) {
		if (pw && pw->pw_uid == geteuid())
			return 0;
		dir_why(why,
			"this is uid %u, and svm-idfw will be %.64s: rights of files are not tried",
			(unsigned int)geteuid(), user);
		test_say(t, true, "user", why, 0);
		return 0;
	}
	err = io_priv_drop(user, 0);
	if (err < 0) {
		dir_why(why, "cannot become user %.64s: %s" DIR_WHY_TRY "getent passwd %.64s", user,
			gi_strerror(err), user);
	} else if (access(t->file, R_OK) < 0) {
		err = -errno;
		dir_why(why, "%.64s cannot read %.160s: %s" DIR_WHY_TRY "ls -l %.160s", user,
			t->file, strerror(-err), t->file);
	} else {
		test_say(t, true, "user", user, 0);
		return 0;
	}
	test_say(t, false, "user", why, 0);
	return err;
}

/* ---- its servers ---- */

static void test_directory(struct test *t, const struct idfw_dir_conf *d)
{
	size_t i;

	t->dir = d;
	t->n_found = 0;
	if (!d->discover) {
		for (i = 0; i < d->uris.n; i++)
			test_server(t, d->uris.items[i]);
		return;
	}
	test_server(t, "");
	for (i = 0; i < t->n_found; i++)
		test_server(t, t->found[i]);
}

/* one record of the child; false: it is none */
static bool test_record(struct test *t, char *record)
{
	char *name = record + 2, *text = strchr(record, '\t');
	uint64_t now = io_clock_mono_ms();

	if (strlen(record) < 3 || record[1] != ' ' || !text)
		return false;
	*text++ = '\0';
	switch (record[0]) {
	case 'B':
		(void)snprintf(t->step, sizeof(t->step), "%.15s", name);
		break;
	case 'K':
	case 'F':
		test_say(t, record[0] == 'K', name, text, now - t->began_ms);
		t->step[0] = '\0';
		break;
	case 'U':
		if (t->n_found < DIR_SERVERS_MAX && dir_srv_trust_uri(t->dir, name) != DIR_SRV_NO)
			(void)snprintf(t->found[t->n_found++], sizeof(t->found[0]), "%.*s",
				DIR_URI_MAX, name);
		return true;
	default:
		return false;
	}
	t->began_ms = now;
	return true;
}

static void test_late(struct test *t)
{
	const struct idfw_dir_conf *c = t->dir;
	const struct dir_late late = { .step = t->step,
		.after_ms = c->deadline_ms,
		.uri = t->uri,
		.domain = c->discover,
		.base = c->base,
		.user = c->bind_user,
		.account = t->account,
		.file = c->ca_file ? c->ca_file : c->keytab,
		.keytab = c->keytab,
		.ad = strcmp(c->type, "ad") == 0,
		.simple = strcmp(c->bind, "simple") == 0 };
	char why[DIR_WHY_MAX];

	dir_why_late(why, &late);
	test_say(t, false, t->step[0] ? t->step : "test", why, io_clock_mono_ms() - t->began_ms);
	t->step[0] = '\0';
}

/* until it ends, says something else than it should, or is late */
static void test_watch(struct test *t, const struct io_child_proc *proc)
{
	char record[DIR_STEP_RECORD_MAX + 1];

	for (;;) {
		struct pollfd p = { .fd = proc->fd, .events = POLLIN };
		uint64_t spent = io_clock_mono_ms() - t->began_ms;
		uint64_t left = spent < t->dir->deadline_ms ? t->dir->deadline_ms - spent : 0;
		ssize_t n;

		if (left == 0 || poll(&p, 1, (int)left) == 0) {
			test_late(t);
			return;
		}
		n = recv(proc->fd, record, sizeof(record) - 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return;
		record[n] = '\0';
		if (!test_record(t, record))
			return;
	}
}

static void test_server(struct test *t, const char *uri)
{
	char *argv[] = { (char *)(uintptr_t) "svm-idfw", (char *)(uintptr_t) "--test-server",
		t->dir->label, (char *)(uintptr_t) "-c", (char *)(uintptr_t)t->file,
		(char *)(uintptr_t)uri, (char *)(uintptr_t)(t->account ? t->account : ""), NULL };
	struct io_child_proc proc;
	int err, status = 0;

	t->uri = uri;
	t->step[0] = '\0';
	if (!t->json)
		(void)printf("%s %s\n", t->dir->label, uri[0] ? uri : t->dir->discover);
	(void)fflush(stdout);
	err = io_child_spawn(argv, SOCK_SEQPACKET, &proc);
	if (err < 0) {
		test_say(t, false, "test", gi_strerror(err), 0);
		return;
	}
	t->began_ms = io_clock_mono_ms();
	test_watch(t, &proc);
	if (t->step[0])
		test_say(t, false, t->step, "the process that tries it has ended", 0);
	(void)kill(proc.pid, SIGKILL);
	while (waitpid(proc.pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)close(proc.pidfd);
	(void)close(proc.fd);
}

/* ---- words ---- */

static void test_say_json(
	struct test *t, bool ok, const char *step, const char *text, const char *next, uint64_t ms)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:s, s:I}", "type", "step", "step", step, "ok", ok,
		"text", text, "ms", (json_int_t)ms);

	if (t->dir)
		(void)json_object_set_new(o, "directory", json_string(t->dir->label));
	if (t->uri && t->uri[0])
		(void)json_object_set_new(o, "server", json_string(t->uri));
	if (next)
		(void)json_object_set_new(o, "next", json_string(next));
	if (o && json_dumpf(o, stdout, JSON_COMPACT) == 0)
		(void)putchar('\n');
	json_decref(o);
}

static void test_say(struct test *t, bool ok, const char *step, const char *text, uint64_t ms)
{
	char clean[DIR_WHY_MAX], name[DIR_WHY_MAX], *next;

	dir_why(clean, "%s", text);
	dir_why(name, "%.15s", step);
	next = strstr(clean, DIR_WHY_TRY);
	if (next) {
		*next = '\0';
		next += strlen(DIR_WHY_TRY);
	}
	t->failed = t->failed || !ok;
	if (t->json)
		test_say_json(t, ok, name, clean, next, ms);
	else
		(void)printf("  %-6s  %s: %s%s%s\n", ok ? "ok" : "FAILED", name, clean,
			next ? "\n          try: " : "", next ? next : "");
	(void)fflush(stdout);
}

/* ---- the child ---- */

int dir_test_server_main(int argc, char **argv)
{
	struct svm_conf conf = { 0 };
	struct conf_diags diags;
	struct idfw_dir_conf *block;
	char *text = NULL;
	size_t len = 0;
	int code = TEST_EXIT_USAGE;

	if (argc != 5 || conf_read_file(argv[2], TEST_CONF_MAX, &text, &len) < 0)
		return code;
	gi_log_init("svm-idfw", GI_LOG_ERR);
	conf_diags_init(&diags, argv[2], text, len);
	if (conf_parse(&svm_conf_table, text, len, &diags, &conf) == 0) {
		block = svm_conf_directory(&conf, argv[0]);
		if (block)
			code = dir_step_main(block, argv[3], argv[4]);
		conf_free(&svm_conf_table, &conf);
	}
	conf_diags_fini(&diags);
	free(text);
	return code;
}
