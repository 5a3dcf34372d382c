/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_kin.c - from process to session: on a made-up /proc, and on the real one
 */
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fileagent/fan.h"
#include "fileagent/kin.h"

struct fixture {
	char dir[64], proc[80], sessions[80];
	struct fa_kin *kin;
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void write_text(const char *path, const void *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/kin.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->proc, sizeof(f->proc), "%s/proc", f->dir);
	snprintf(f->sessions, sizeof(f->sessions), "%s/sessions", f->dir);
	assert_int_equal(mkdir(f->proc, 0700), 0);
	assert_int_equal(mkdir(f->sessions, 0700), 0);
	assert_int_equal(fa_kin_new(f->proc, f->sessions, &f->kin), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fa_kin_free(f->kin);
	assert_int_equal(nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

/* a process of the made-up tree */
static void proc(const struct fixture *f, uint32_t pid, uint32_t ppid, uint64_t start,
	const char *comm, uint32_t ruid, uint32_t euid)
{
	char path[160], text[512];
	int n;

	snprintf(path, sizeof(path), "%s/%u", f->proc, pid);
	(void)mkdir(path, 0700);
	n = snprintf(text, sizeof(text),
		"%u (%s) S %u 1 1 0 -1 4194560 1 1 0 0 0 0 0 0 20 0 1 0 %llu 1 1 1\n", pid, comm,
		ppid, (unsigned long long)start);
	snprintf(path, sizeof(path), "%s/%u/stat", f->proc, pid);
	write_text(path, text, (size_t)n);
	n = snprintf(text, sizeof(text),
		"Name:\t%s\nUmask:\t0022\nState:\tS (sleeping)\nPid:\t%u\nPPid:\t%u\n"
		"Uid:\t%u\t%u\t%u\t%u\nGid:\t0\t0\t0\t0\n",
		comm, pid, ppid, ruid, euid, euid, euid);
	snprintf(path, sizeof(path), "%s/%u/status", f->proc, pid);
	write_text(path, text, (size_t)n);
}

static void proc_gone(const struct fixture *f, uint32_t pid)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%u/stat", f->proc, pid);
	assert_int_equal(truncate(path, 0), 0); /* as /proc's own: open files of it read nothing */
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/%u/status", f->proc, pid);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(unlink(path), 0);
}

static void session_named(const struct fixture *f, const char *name, uint64_t id, uint32_t leader,
	uint64_t start, uint32_t uid, const char *user)
{
	Idfw__Session s = IDFW__SESSION__INIT;
	char path[160], tmp[160];
	struct gi_buf b;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	s.id = id;
	s.user = (char *)user;
	s.uid = uid;
	s.leader_pid = leader;
	s.leader_start = start;
	assert_int_equal(wire_session_encode(&s, &b), 0);
	snprintf(tmp, sizeof(tmp), "%s/.new", f->sessions);
	snprintf(path, sizeof(path), "%s/%s", f->sessions, name);
	write_text(tmp, b.data, b.len);
	assert_int_equal(rename(tmp, path), 0);
	gi_buf_fini(&b);
}

static void session(const struct fixture *f, uint64_t id, uint32_t leader, uint64_t start,
	uint32_t uid, const char *user)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", leader);
	session_named(f, name, id, leader, start, uid, user);
}

static void session_gone(const struct fixture *f, uint32_t leader)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%u", f->sessions, leader);
	assert_int_equal(unlink(path), 0);
}

static void expect(struct fixture *f, uint32_t pid, uint64_t want, const char *user)
{
	struct fa_actor a;

	fa_kin_actor(f->kin, pid, -1, &a);
	assert_int_equal(a.pid, pid);
	assert_int_equal(a.session, want);
	assert_string_equal(a.user, user);
}

/* init, sshd listener, leader, shell, tar */
static void usual(const struct fixture *f)
{
	proc(f, 1, 0, 1, "init", 0, 0);
	proc(f, 100, 1, 500, "sshd", 0, 0);
	proc(f, 200, 100, 1000, "sshd", 0, 0);
	proc(f, 201, 200, 1010, "sshd", 1001, 1001);
	proc(f, 202, 201, 1020, "bash", 1001, 1001);
	proc(f, 203, 202, 1030, "tar", 1001, 1001);
	session(f, 77, 200, 1000, 1001, "alice");
}

static void test_actor_below_leader_has_its_session(void **state)
{
	struct fixture *f = *state;
	struct fa_actor a;

	usual(f);
	fa_kin_actor(f->kin, 203, -1, &a);
	assert_int_equal(a.session, 77);
	assert_string_equal(a.user, "alice");
	assert_string_equal(a.comm, "tar");
	assert_int_equal(a.uid, 1001);
	assert_string_equal(a.exe, "");
	expect(f, 200, 77, "alice"); /* the leader itself */
	expect(f, 100, 0, "");	     /* and not the listener above it */
}

static void test_actor_through_su_keeps_the_session(void **state)
{
	struct fixture *f = *state;
	struct fa_actor a;

	usual(f);
	proc(f, 204, 202, 1040, "su", 0, 0);
	proc(f, 205, 204, 1050, "bash", 0, 0);
	fa_kin_actor(f->kin, 205, -1, &a);
	assert_int_equal(a.session, 77);
	assert_string_equal(a.user, "alice");
	assert_int_equal(a.uid, 0);
	/* a su that opened a session of its own is nearer */
	session(f, 78, 204, 1040, 0, "root");
	expect(f, 205, 78, "root");
	expect(f, 203, 77, "alice");
}

static void test_actor_leader_start_differs_is_not_it(void **state)
{
	struct fixture *f = *state;

	usual(f);
	session(f, 79, 200, 999, 1001, "mallory"); /* the pid, used anew */
	proc(f, 300, 200, 1100, "cat", 0, 0);
	expect(f, 300, 0, "");
}

static void test_actor_many_events_walk_once(void **state)
{
	struct fixture *f = *state;

	usual(f);
	for (int i = 0; i < 5000; i++)
		expect(f, 203, 77, "alice");
	assert_int_equal(fa_kin_walks(f->kin), 1);
	assert_int_equal(fa_kin_cached(f->kin), 1);
}

static void test_actor_after_login_of_the_same_process_is_seen(void **state)
{
	struct fixture *f = *state;

	proc(f, 1, 0, 1, "init", 0, 0);
	proc(f, 200, 1, 1000, "sshd", 0, 0);
	expect(f, 200, 0, "");
	session(f, 77, 200, 1000, 1001, "alice");
	expect(f, 200, 77, "alice");
	session_gone(f, 200); /* what it did was still in that session */
	expect(f, 200, 77, "alice");
	session(f, 80, 200, 1000, 1002, "bob");
	expect(f, 200, 80, "bob");
}

static void test_actor_dead_process_is_what_it_was(void **state)
{
	struct fixture *f = *state;
	struct fa_actor a;

	usual(f);
	expect(f, 203, 77, "alice");
	proc_gone(f, 203);
	fa_kin_actor(f->kin, 203, -1, &a);
	assert_int_equal(a.session, 77);
	assert_string_equal(a.comm, "tar");
	/* the number is another's by now */
	proc(f, 203, 1, 9000, "cron", 0, 0);
	expect(f, 203, 0, "");
}

static void test_actor_never_seen_and_gone_is_unknown(void **state)
{
	struct fixture *f = *state;
	struct fa_actor a;

	usual(f);
	fa_kin_actor(f->kin, 999, -1, &a);
	assert_int_equal(a.pid, 999);
	assert_int_equal(a.uid, FA_UID_UNKNOWN);
	assert_int_equal(a.session, 0);
	assert_string_equal(a.comm, "");
	fa_kin_actor(f->kin, 0, -1, &a);
	assert_int_equal(a.uid, FA_UID_UNKNOWN);
}

static void test_actor_adopted_by_init_has_the_only_session_of_its_uid(void **state)
{
	struct fixture *f = *state;

	usual(f);
	proc(f, 400, 1, 1500, "daemon", 1001, 1001);
	proc(f, 401, 1, 1500, "helper", 1001, 0); /* setuid program: the real uid says who */
	proc(f, 402, 1, 1500, "other", 1002, 1002);
	proc(f, 403, 1, 1500, "cron", 0, 0);
	session(f, 90, 100, 500, 0, "root");
	expect(f, 400, 77, "alice");
	expect(f, 401, 77, "alice");
	expect(f, 402, 0, "");
	expect(f, 403, 0, ""); /* root's processes are the system's */
	proc(f, 210, 1, 2000, "sshd", 0, 0);
	session(f, 81, 210, 2000, 1001, "alice");
	expect(f, 400, 0, ""); /* two: nobody can tell */
	session_gone(f, 200);
	expect(f, 400, 81, "alice");
	session_gone(f, 210);
	expect(f, 400, 0, ""); /* a guess is not kept */
}

static void test_actor_whose_parents_end_keeps_what_was_seen(void **state)
{
	struct fixture *f = *state;

	usual(f);
	session(f, 82, 100, 500, 1001, "alice"); /* so that the uid alone does not tell */
	expect(f, 202, 77, "alice");
	proc(f, 202, 1, 1020, "bash", 1001, 1001);
	session_gone(f, 200);
	proc_gone(f, 201);
	proc_gone(f, 200);
	expect(f, 202, 77, "alice");
	proc(f, 500, 202, 3000, "late", 1001, 1001); /* a child, by what is known of its parent */
	expect(f, 500, 77, "alice");
}

static void test_actor_parent_younger_than_child_ends_the_walk(void **state)
{
	struct fixture *f = *state;

	usual(f);
	proc(f, 600, 601, 100, "old", 0, 0);
	proc(f, 601, 200, 2000, "young", 0, 0);
	expect(f, 600, 0, "");
}

static void test_actor_loops_and_rubbish_end(void **state)
{
	static const char *const rubbish[] = { "", "x", "700 (", "700 (a) S", "700 (a) S -3 1",
		"700 (a) S 99999999999999999999 1", "700 )a( S 1 2 3 4 5 6 7 8 9" };
	struct fixture *f = *state;
	char path[160];

	usual(f);
	proc(f, 701, 702, 10, "a", 0, 0);
	proc(f, 702, 701, 10, "b", 0, 0);
	proc(f, 703, 703, 10, "c", 0, 0);
	expect(f, 701, 0, "");
	expect(f, 703, 0, "");
	for (uint32_t pid = 800; pid < 1000; pid++)
		proc(f, pid, pid + 1, 10, "deep", 0, 0);
	proc(f, 1000, 200, 10, "deep", 0, 0);
	expect(f, 800, 0, "");
	proc(f, 700, 200, 5000, "z", 0, 0);
	snprintf(path, sizeof(path), "%s/700/stat", f->proc);
	for (size_t i = 0; i < GI_ARRAY_SIZE(rubbish); i++) {
		write_text(path, rubbish[i], strlen(rubbish[i]));
		expect(f, 700, 0, "");
	}
}

static void test_sessions_rubbish_in_the_directory_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	char path[160];

	usual(f);
	snprintf(path, sizeof(path), "%s/202", f->sessions);
	write_text(path, "\xff\xff\xff", 3);
	snprintf(path, sizeof(path), "%s/203", f->sessions);
	assert_int_equal(mkfifo(path, 0600), 0);
	session_named(f, "201", 83, 4242, 1010, 0, "root"); /* another leader's */
	expect(f, 203, 77, "alice");
}

static void test_sessions_directory_goes_and_comes(void **state)
{
	struct fixture *f = *state;
	char away[160];

	usual(f);
	expect(f, 203, 77, "alice");
	snprintf(away, sizeof(away), "%s/away", f->dir);
	assert_int_equal(rename(f->sessions, away), 0);
	proc(f, 900, 200, 5000, "x", 1009, 1009);
	expect(f, 900, 0, "");
	assert_int_equal(mkdir(f->sessions, 0700), 0);
	session(f, 84, 200, 1000, 1001, "alice");
	expect(f, 900, 84, "alice");
	expect(f, 203, 84, "alice");
}

static void test_cache_is_bounded(void **state)
{
	struct fixture *f = *state;

	usual(f);
	for (uint32_t pid = 2000; pid < 2000 + 2 * FA_KIN_CACHE; pid++) {
		proc(f, pid, 202, 5000, "make", 1001, 1001);
		expect(f, pid, 77, "alice");
	}
	assert_int_equal(fa_kin_cached(f->kin), FA_KIN_CACHE);
}

static void test_comm_of_the_process_is_never_unclean(void **state)
{
	struct fixture *f = *state;
	struct fa_actor a;

	usual(f);
	proc(f, 950, 202, 5000, ") S 1 (\x1b[2J\xff", 1001, 1001);
	fa_kin_actor(f->kin, 950, -1, &a);
	assert_int_equal(a.session, 77);
	assert_string_equal(a.comm, ") S 1 ( [2J?");
}

static void test_exe_is_kept_for_the_same_program_only(void **state)
{
	struct fixture *f = *state;
	struct fa_actor a;

	usual(f);
	fa_kin_actor(f->kin, 202, -1, &a);
	fa_kin_exe(f->kin, 202, "tar", "/bin/tar", 8); /* it runs bash now */
	fa_kin_fill_exe(f->kin, &a);
	assert_string_equal(a.exe, "");
	fa_kin_exe(f->kin, 202, "bash", "/bin/bash", 9);
	fa_kin_fill_exe(f->kin, &a);
	assert_string_equal(a.exe, "/bin/bash");
	proc(f, 202, 201, 1020, "vi", 1001, 1001);
	fa_kin_actor(f->kin, 202, -1, &a);
	assert_string_equal(a.comm, "vi");
	assert_string_equal(a.exe, "");
	proc_gone(f, 202);
	fa_kin_exe(f->kin, 202, "vi", "/bin/vi", 7); /* looked at too late: whose was it? */
	fa_kin_actor(f->kin, 202, -1, &a);
	assert_string_equal(a.exe, "");
}

/* ---- the kernel's records of forks ---- */

#define MS 1000000ull
#define TICK_MS 10 /* start times of the made-up /proc are in ticks */

static void gone(
	struct fixture *f, uint32_t pid, uint64_t session, const char *user, const char *comm)
{
	struct fa_actor a;

	fa_kin_actor(f->kin, pid, FAN_GONE, &a);
	assert_int_equal(a.pid, pid);
	assert_int_equal(a.uid, FA_UID_UNKNOWN);
	assert_int_equal(a.session, session);
	assert_string_equal(a.user, user);
	assert_string_equal(a.comm, comm);
}

static void test_ended_process_is_found_by_its_fork(void **state)
{
	static const char rm[FA_FORK_COMM] = "rm";
	struct fixture *f = *state;
	struct fa_forks *forks;

	assert_int_equal(sysconf(_SC_CLK_TCK), 1000 / TICK_MS);
	assert_int_equal(fa_forks_new(&forks), 0);
	fa_kin_forks(f->kin, forks);
	usual(f);
	gone(f, 300, 0, "", ""); /* of which nothing is known */
	fa_forks_add(forks, 20000 * MS, 300, 202);
	gone(f, 300, 77, "alice", "bash"); /* its maker's name, from /proc */
	fa_forks_name(forks, 20010 * MS, 300, rm);
	gone(f, 300, 77, "alice", "rm");
	/* another one has the number by now: /proc is not asked */
	proc(f, 300, 1, 9000, "cron", 0, 0);
	gone(f, 300, 77, "alice", "rm");
	/* and its fork is known, too: nobody can tell which of the two it was */
	fa_forks_add(forks, 90000 * MS, 300, 1);
	gone(f, 300, 0, "", "");
	/* a maker that is younger than its child is somebody else */
	proc(f, 250, 202, 9000, "young", 1001, 1001);
	fa_forks_add(forks, 20000 * MS, 301, 250);
	gone(f, 301, 0, "", "");
	fa_forks_free(forks);
}

static void test_ended_leader_of_forks_has_its_session(void **state)
{
	struct fixture *f = *state;
	struct fa_forks *forks;

	assert_int_equal(fa_forks_new(&forks), 0);
	fa_kin_forks(f->kin, forks);
	/* all of them have ended; the leader's fork was written down 3 ticks after its start */
	fa_forks_add(forks, 10030 * MS, 200, 100);
	fa_forks_add(forks, 10100 * MS, 201, 200);
	fa_forks_add(forks, 10200 * MS, 202, 201);
	session(f, 77, 200, 1000, 1001, "alice");
	gone(f, 202, 77, "alice", "");
	session(f, 78, 200, 1004, 1002, "bob"); /* started behind that fork: not this one */
	gone(f, 202, 0, "", "");
	session(f, 78, 200, 1000 - FA_KIN_SLACK_MS / TICK_MS, 1002, "bob"); /* and far before it */
	gone(f, 202, 0, "", "");
	fa_forks_free(forks);
}

static void test_adopted_process_goes_by_who_made_it(void **state)
{
	struct fixture *f = *state;
	struct fa_forks *forks;

	assert_int_equal(fa_forks_new(&forks), 0);
	fa_kin_forks(f->kin, forks);
	usual(f);
	proc(f, 400, 1, 1500, "daemon", 0, 0);
	expect(f, 400, 0, "");
	proc(f, 401, 1, 1500, "daemon", 0, 0);
	fa_forks_add(forks, 14900 * MS, 399, 202); /* ended */
	fa_forks_add(forks, 15005 * MS, 401, 399);
	expect(f, 401, 77, "alice");
	/* a fork long after its start is of another one with that number */
	proc(f, 402, 1, 1500, "daemon", 0, 0);
	fa_forks_add(forks, 15000 * MS + (FA_KIN_SLACK_MS + 20) * MS, 402, 202);
	expect(f, 402, 0, "");
	fa_forks_free(forks);
}

static void test_ended_process_seen_before_is_not_an_earlier_one(void **state)
{
	static const char mv[FA_FORK_COMM] = "mv";
	struct fixture *f = *state;
	struct fa_forks *forks;
	struct fa_actor a;

	assert_int_equal(fa_forks_new(&forks), 0);
	fa_kin_forks(f->kin, forks);
	usual(f);
	expect(f, 203, 77, "alice");
	fa_kin_actor(f->kin, 203, FAN_GONE, &a); /* lives: so it is not who has ended */
	assert_int_equal(a.session, 0);
	proc_gone(f, 203);
	fa_kin_actor(f->kin, 203, FAN_GONE, &a);
	assert_int_equal(a.session, 77);
	assert_int_equal(a.uid, 1001);
	fa_forks_add(forks, 10300 * MS, 203, 202);
	fa_forks_name(forks, 10310 * MS, 203, mv); /* began another program before its end */
	fa_kin_actor(f->kin, 203, FAN_GONE, &a);
	assert_int_equal(a.session, 77);
	assert_string_equal(a.comm, "mv");
	fa_forks_add(forks, 90000 * MS, 203, 1); /* it may have been this one */
	fa_kin_actor(f->kin, 203, FAN_GONE, &a);
	assert_int_equal(a.session, 0);
	fa_forks_free(forks);
}

static void test_actor_before_is_not_a_later_one_with_the_number(void **state)
{
	struct fixture *f = *state;
	struct fa_forks *forks;
	struct fa_actor a;

	usual(f);
	fa_kin_actor_before(f->kin, 203, 10300, &a); /* started at 10300 ms */
	assert_int_equal(a.session, 77);
	assert_int_equal(a.uid, 1001);
	proc(f, 204, 202, 1030, "late", 1001, 1001);
	fa_kin_actor_before(f->kin, 204, 10299, &a);
	assert_int_equal(a.pid, 204);
	assert_int_equal(a.session, 0);
	assert_int_equal(a.uid, FA_UID_UNKNOWN);
	/* gone by now, and its fork is known: it was there then, or not yet */
	assert_int_equal(fa_forks_new(&forks), 0);
	fa_kin_forks(f->kin, forks);
	fa_forks_add(forks, 20000 * MS, 301, 202);
	fa_kin_actor_before(f->kin, 301, 20001, &a);
	assert_int_equal(a.session, 77);
	fa_kin_actor_before(f->kin, 301, 19999, &a);
	assert_int_equal(a.session, 0);
	fa_forks_free(forks);
}

/* ---- the real one ---- */

static uint64_t real_start(pid_t pid)
{
	char path[64], text[1024];
	struct fa_stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(fa_stat_parse(text, &st), 0);
	return st.start;
}

/* a child that waits for its end; *ret_pidfd owned */
static pid_t child(int *ret_pidfd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* not left behind by a test that fails */
		for (;;)
			pause();
	}
	*ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(*ret_pidfd >= 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_real_process_lives_dies_and_is_remembered(void **state)
{
	struct fixture *f = *state;
	struct fa_kin *kin;
	struct fa_actor a;
	int fd, fd2;
	pid_t pid = child(&fd), pid2;

	session(f, 91, (uint32_t)getpid(), real_start(getpid()), 4242, "me");
	assert_int_equal(fa_kin_new("/proc", f->sessions, &kin), 0);
	fa_kin_actor(kin, (uint32_t)pid, fd, &a);
	assert_int_equal(a.session, 91);
	assert_int_equal(a.uid, geteuid());
	assert_string_equal(a.comm, "test_kin");
	end(pid);
	fa_kin_actor(kin, (uint32_t)pid, fd, &a); /* an event that was read after its end */
	assert_int_equal(a.session, 91);
	assert_string_equal(a.comm, "test_kin");
	/* never seen alive: nothing is known, whoever has the number by now */
	pid2 = child(&fd2);
	end(pid2);
	fa_kin_actor(kin, (uint32_t)pid2, fd2, &a);
	assert_int_equal(a.session, 0);
	assert_int_equal(a.uid, FA_UID_UNKNOWN);
	fa_kin_actor(
		kin, (uint32_t)getpid(), fd2, &a); /* lives, but the event's process does not */
	assert_int_equal(a.uid, FA_UID_UNKNOWN);
	close(fd);
	close(fd2);
	fa_kin_free(kin);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_actor_below_leader_has_its_session),
		T(test_actor_through_su_keeps_the_session),
		T(test_actor_leader_start_differs_is_not_it),
		T(test_actor_many_events_walk_once),
		T(test_actor_after_login_of_the_same_process_is_seen),
		T(test_actor_dead_process_is_what_it_was),
		T(test_actor_never_seen_and_gone_is_unknown),
		T(test_actor_adopted_by_init_has_the_only_session_of_its_uid),
		T(test_actor_whose_parents_end_keeps_what_was_seen),
		T(test_actor_parent_younger_than_child_ends_the_walk),
		T(test_actor_loops_and_rubbish_end),
		T(test_sessions_rubbish_in_the_directory_counts_for_nothing),
		T(test_sessions_directory_goes_and_comes),
		T(test_cache_is_bounded),
		T(test_comm_of_the_process_is_never_unclean),
		T(test_exe_is_kept_for_the_same_program_only),
		T(test_ended_process_is_found_by_its_fork),
		T(test_ended_leader_of_forks_has_its_session),
		T(test_adopted_process_goes_by_who_made_it),
		T(test_ended_process_seen_before_is_not_an_earlier_one),
		T(test_actor_before_is_not_a_later_one_with_the_number),
		T(test_real_process_lives_dies_and_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
