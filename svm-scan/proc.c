/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc.c - starts, watches and buries worker processes
 *
 * In the service's threads. Invariants: each process has a directory of its own below
 * tmp_dir/workers, which goes with it; a process is always reaped by whoever owns its struct; its
 * arguments are the whole of its configuration. Source: lib/io/child.h, pidfd_send_signal(2).
 */
#include "svm-scan/proc.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "svm-scan/sandbox.h"

#define JOBS_TO_LOAD 20 /* processor time of an old worker: its jobs to its start */
#define ARGS_MAX 16

struct scan_spawner {
	const struct scan_pool_conf *conf;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool end;
	char *const *argv;	    /* a request, or NULL */
	struct io_child_proc child; /* its answer */
	int err;
	bool answered;
	int tmp_root;
	char tmp_path[PATH_MAX];
	uid_t uid; /* that tmp directories are given to, when we are root */
	gid_t gid;
	bool give;
	unsigned int serial;
};

static void *spawner_thread(void *arg)
{
	struct scan_spawner *s = arg;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->end) {
		if (s->argv) {
			s->err = io_child_spawn(s->argv, SOCK_STREAM, &s->child);
			s->argv = NULL;
			s->answered = true;
			(void)pthread_cond_broadcast(&s->cond);
		}
		(void)pthread_cond_wait(&s->cond, &s->lock);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* one request at a time; a fork takes a millisecond */
static int spawner_call(struct scan_spawner *s, char *const argv[], struct io_child_proc *ret)
{
	int err;

	(void)pthread_mutex_lock(&s->lock);
	while (s->argv || s->answered)
		(void)pthread_cond_wait(&s->cond, &s->lock);
	s->argv = argv;
	(void)pthread_cond_broadcast(&s->cond);
	while (!s->answered)
		(void)pthread_cond_wait(&s->cond, &s->lock);
	s->answered = false;
	err = s->err;
	if (err == 0)
		*ret = s->child;
	(void)pthread_cond_broadcast(&s->cond);
	(void)pthread_mutex_unlock(&s->lock);
	return err;
}

/* a directory of our own: not a link, not somebody else's */
static int tmp_open(const char *path, int *ret)
{
	struct stat st;
	int fd, err = 0;

	if (mkdir(path, 0711) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & 022))
		err = -EPERM;
	if (err < 0)
		(void)close(fd);
	else
		*ret = fd;
	return err;
}

static int spawner_tmp(struct scan_spawner *s)
{
	const char *dir = s->conf->tmp_dir;
	int err;

	if (mkdir(dir, 0711) < 0 && errno != EEXIST)
		return -errno;
	if (snprintf(s->tmp_path, sizeof(s->tmp_path), "%s/" SCAN_TMP_SUBDIR, dir) >=
		(int)sizeof(s->tmp_path) - (int)sizeof(((struct scan_proc *)0)->tmp))
		return -ENAMETOOLONG;
	err = tmp_open(s->tmp_path, &s->tmp_root);
	if (err < 0)
		return err;
	/* what another service unpacks there is not ours to empty; the lock ends with its process
	 */
	return flock(s->tmp_root, LOCK_EX | LOCK_NB) < 0 ? -errno : scan_tmp_empty(s->tmp_root);
}

static int spawner_user(struct scan_spawner *s)
{
	const struct passwd *pw;

	if (!s->conf->user || geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(s->conf->user);
	if (!pw)
		return errno ? -errno : -GI_ENOTFOUND;
	s->uid = pw->pw_uid;
	s->gid = pw->pw_gid;
	s->give = true;
	return 0;
}

int scan_spawner_new(
	const struct scan_pool_conf *conf, char why[SCAN_WHY_MAX], struct scan_spawner **ret)
{
	struct scan_spawner *s = calloc(1, sizeof(*s));
	const char *what = conf->tmp_dir;
	int err;

	if (!s)
		return -ENOMEM;
	s->conf = conf;
	s->tmp_root = -1;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->cond, NULL);
	err = spawner_tmp(s);
	if (err == 0) {
		what = conf->user;
		err = spawner_user(s);
	}
	if (err == 0) {
		what = "thread";
		err = -pthread_create(&s->thread, NULL, spawner_thread, s);
	}
	if (err == 0) {
		*ret = s;
		return 0;
	}
	(void)snprintf(why, SCAN_WHY_MAX, "%s: %s", what, gi_strerror(err));
	if (s->tmp_root >= 0)
		(void)close(s->tmp_root);
	(void)pthread_cond_destroy(&s->cond);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	return err;
}

void scan_spawner_free(struct scan_spawner *s)
{
	if (!s)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->end = true;
	(void)pthread_cond_broadcast(&s->cond);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	(void)pthread_cond_destroy(&s->cond);
	(void)pthread_mutex_destroy(&s->lock);
	(void)close(s->tmp_root);
	free(s);
}

static int arg_add(char *argv[ARGS_MAX], size_t *n, const char *name, const char *value)
{
	if (!value)
		return 0;
	if (asprintf(&argv[*n], "--%s=%s", name, value) < 0) {
		argv[*n] = NULL;
		return -ENOMEM;
	}
	(*n)++;
	return 0;
}

static int arg_add_number(char *argv[ARGS_MAX], size_t *n, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return arg_add(argv, n, name, text);
}

/* @argv: entries from 2 on are owned */
static int args_make(const struct scan_pool_conf *c, const char *tmp, char *argv[ARGS_MAX])
{
	const struct scan_engines_conf *e = &c->engines;
	size_t n = 2;
	int err;

	argv[0] = (char *)"svm-scan";
	argv[1] = (char *)c->worker_arg;
	err = arg_add(argv, &n, "tmp", tmp);
	if (err == 0)
		err = arg_add(argv, &n, "clamav", e->clamav);
	if (err == 0)
		err = arg_add(argv, &n, "yara", e->yara);
	if (err == 0)
		err = arg_add(argv, &n, "user", c->user);
	if (err == 0)
		err = arg_add_number(argv, &n, "buffer-bytes", e->buffer_bytes);
	if (err == 0)
		err = arg_add_number(argv, &n, "max-file-bytes", e->max_file_bytes);
	if (err == 0)
		err = arg_add_number(argv, &n, "max-scan-bytes", e->max_scan_bytes);
	if (err == 0)
		err = arg_add_number(argv, &n, "max-files", e->max_files);
	if (err == 0)
		err = arg_add_number(argv, &n, "max-recursion", e->max_recursion);
	if (err == 0)
		err = arg_add_number(argv, &n, "max-scan-ms", e->max_scan_ms);
	if (err == 0)
		err = arg_add_number(argv, &n, "memory-bytes", c->memory_bytes);
	if (err == 0 && c->relaxed) {
		argv[n] = strdup("--relaxed");
		err = argv[n] ? 0 : -ENOMEM;
	}
	return err;
}

static int proc_tmp(struct scan_spawner *s, struct scan_proc *p)
{
	p->tmp_root = s->tmp_root;
	(void)pthread_mutex_lock(&s->lock);
	(void)snprintf(p->tmp, sizeof(p->tmp), "%u", s->serial++);
	(void)pthread_mutex_unlock(&s->lock);
	if (mkdirat(s->tmp_root, p->tmp, 0700) < 0)
		return -errno;
	if (s->give && fchownat(s->tmp_root, p->tmp, s->uid, s->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static void proc_tmp_remove(struct scan_proc *p)
{
	int fd = openat(p->tmp_root, p->tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0) {
		/* what stays is found by the next start of the service */
		(void)!scan_tmp_empty(fd);
		(void)close(fd);
	}
	(void)unlinkat(p->tmp_root, p->tmp, AT_REMOVEDIR);
}

int scan_proc_start(struct scan_spawner *s, int stop_fd, uint32_t start_ms, struct scan_proc **ret)
{
	struct scan_proc *p = calloc(1, sizeof(*p));
	char *argv[ARGS_MAX] = { NULL };
	char *path = NULL;
	int err;

	if (!p)
		return -ENOMEM;
	err = proc_tmp(s, p);
	if (err == 0 && asprintf(&path, "%s/%s", s->tmp_path, p->tmp) < 0) {
		path = NULL;
		err = -ENOMEM;
	}
	if (err == 0)
		err = args_make(s->conf, path, argv);
	if (err == 0)
		err = spawner_call(s, argv, &p->child);
	for (size_t i = 2; i < ARGS_MAX; i++)
		free(argv[i]);
	free(path);
	if (err < 0) {
		proc_tmp_remove(p);
		free(p);
		return err;
	}
	scan_msgs_init(&p->msgs, p->child.fd, WIRE_SCAN_WORKER);
	p->msgs.stop_fd = stop_fd;
	p->start_end_ms = scan_now_ms() + start_ms;
	*ret = p;
	return 0;
}

/* of the whole process, so far; 0: not known */
static uint64_t proc_cpu_us(const struct scan_proc *p)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(p->child.pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int proc_take_ready(struct scan_proc *p, const Idfw__ScanReady *r, char why[SCAN_WHY_MAX])
{
	if (r->error[0]) {
		(void)snprintf(why, SCAN_WHY_MAX, "%s", r->error);
		return -GI_ESTATE;
	}
	if (r->epoch.len != sizeof(p->epoch.id)) {
		(void)snprintf(why, SCAN_WHY_MAX, "worker: bad epoch");
		return -GI_EPROTO;
	}
	memcpy(p->epoch.id, r->epoch.data, sizeof(p->epoch.id));
	(void)snprintf(p->engines, sizeof(p->engines), "%s", r->engines);
	p->load_us = proc_cpu_us(p);
	p->ready = true;
	return 0;
}

int scan_proc_ready(struct scan_proc *p, uint64_t deadline_ms, char why[SCAN_WHY_MAX])
{
	Idfw__Envelope *e;
	const char *words = "";
	int err;

	if (p->ready)
		return 0;
	p->msgs.deadline_ms = deadline_ms < p->start_end_ms ? deadline_ms : p->start_end_ms;
	err = scan_msgs_recv(&p->msgs, &e, &words);
	if (err == 0) { /* by the table of rights it can only be this */
		err = proc_take_ready(p, e->scan_ready, why);
		wire_envelope_free(e);
		return err;
	}
	if (err == -ETIMEDOUT && scan_now_ms() < p->start_end_ms)
		err = -EAGAIN;
	(void)snprintf(why, SCAN_WHY_MAX, "worker: %s%s%s",
		err == -EAGAIN	     ? "still loading signatures"
		: err == -ETIMEDOUT  ? "not ready in time"
		: err == -GI_ECLOSED ? "ended while it started"
				     : gi_strerror(err),
		err == -GI_EPROTO && words[0] ? ": " : "", err == -GI_EPROTO ? words : "");
	return err;
}

bool scan_proc_is_old(const struct scan_proc *p, uint32_t jobs)
{
	return p->jobs >= jobs && proc_cpu_us(p) >= (1 + JOBS_TO_LOAD) * p->load_us;
}

bool scan_proc_is_lost(struct scan_proc *p)
{
	return p->ready && scan_msgs_pending(&p->msgs);
}

static void proc_status(const siginfo_t *si, char *why)
{
	if (si->si_code == CLD_EXITED)
		(void)snprintf(why, SCAN_WHY_MAX, "ended with status %d", si->si_status);
	else if (si->si_status == SIGSYS)
		(void)snprintf(why, SCAN_WHY_MAX, "ended: it made a forbidden system call");
	else
		(void)snprintf(why, SCAN_WHY_MAX, "killed by signal %d (%s)", si->si_status,
			sigabbrev_np(si->si_status) ? sigabbrev_np(si->si_status) : "?");
}

void scan_proc_end(struct scan_proc *p, char *why)
{
	siginfo_t si = { 0 };
	bool killed;

	if (!p)
		return;
	killed = waitid(P_PID, (id_t)p->child.pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		 si.si_pid == 0;
	(void)syscall(SYS_pidfd_send_signal, p->child.pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PID, (id_t)p->child.pid, &si, WEXITED) < 0 && errno == EINTR)
		;
	if (why)
		why[0] = '\0';
	/* dying while we looked: whatever it was but our own signal is its own end */
	if (why && !(killed && si.si_code == CLD_KILLED && si.si_status == SIGKILL))
		proc_status(&si, why);
	(void)close(p->child.pidfd);
	(void)close(p->child.fd);
	scan_msgs_fini(&p->msgs);
	proc_tmp_remove(p);
	free(p);
}
