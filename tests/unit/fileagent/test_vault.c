/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_vault.c - deletion, replacement and quarantine by identity, and a kill -9 between all steps
 *
 * In a directory of its own; nothing is watched there. Steps are calls of the kernel that change
 * something: they are wrapped (the linker's --wrap), and a child process kills itself before the
 * n-th of them, for every n until it gets through. Then nothing may be lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fileagent/act.h"
#include "fileagent/vault.h"
#include "fileagent/vaultmeta.h"

static char top[64], store[96], file[96], path[FA_REC_PATH_MAX + 1];
static char text[FA_ACT_TEXT];
static int die_at = -1; /* steps left until this process ends */

static void step(void)
{
	if (die_at >= 0 && die_at-- == 0)
		(void)raise(SIGKILL);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags);

int __wrap_fsync(int fd)
{
	step();
	return __real_fsync(fd);
}
ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	step();
	return __real_write(fd, buf, n);
}
int __wrap_renameat(int a, const char *from, int b, const char *to)
{
	step();
	return __real_renameat(a, from, b, to);
}
int __wrap_unlinkat(int dir, const char *name, int flags)
{
	step();
	return __real_unlinkat(dir, name, flags);
}
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags)
{
	step();
	return __real_linkat(a, from, b, to, flags);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(top, sizeof(top), "/tmp/fa_vault.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	(void)snprintf(store, sizeof(store), "%s/store", top);
	(void)snprintf(file, sizeof(file), "%s/file", top);
	return 0;
}

static void remove_all(const char *dir)
{
	char name[400];
	const struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		if (unlink(name) < 0)
			remove_all(name);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
}

static int teardown(void **state)
{
	(void)state;
	remove_all(top);
	return 0;
}

static void put_file(const char *name, const char *content, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

static int open_judged(const char *name, struct fa_ident *ret)
{
	int fd = open(name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fa_ident_of(fd, ret), 0);
	return fd;
}

static bool is_content(const char *name, const char *want)
{
	char buf[64] = "";
	int fd = open(name, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, buf, sizeof(buf) - 1) : -1;

	if (fd >= 0)
		(void)close(fd);
	return n >= 0 && strcmp(buf, want) == 0;
}

static struct fa_vault *vault(uint64_t max)
{
	struct fa_vault *v = NULL;

	assert_int_equal(fa_vault_open(store, max, &v), 0);
	return v;
}

static size_t files_in(const char *dir, const char *suffix)
{
	const struct dirent *e;
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d && (e = readdir(d)))
		n += strlen(e->d_name) > strlen(suffix) && e->d_name[0] != '.' &&
		     strcmp(e->d_name + strlen(e->d_name) - strlen(suffix), suffix) == 0;
	if (d)
		(void)closedir(d);
	return n;
}

static void test_put_list_restore(void **state)
{
	struct fa_meta m = { .actor_uid = 7, .session = 9 }, got;
	struct fa_vault *v = vault(1 << 20);
	struct fa_ident was;
	struct stat st;
	uint8_t qid[16], listed[16];
	int fd;

	(void)state;
	put_file(file, "evil", 04711);
	fd = open_judged(file, &was);
	(void)snprintf(m.signature, sizeof(m.signature), "Eicar=\nx\\y");
	assert_int_equal(fa_vault_put(v, fd, &was, &m, file, strlen(file), qid, text), 0);
	assert_string_equal(text, "quarantined");
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(fa_vault_bytes(v), 4);
	fa_vault_close(v);

	v = vault(1 << 20); /* and after a restart */
	assert_int_equal(fa_vault_cleared(v), 0);
	assert_int_equal(fa_vault_get(v, 0, listed, &got, path), 0);
	assert_memory_equal(listed, qid, 16);
	assert_string_equal(path, file);
	assert_string_equal(got.signature, "Eicar=\nx\\y");
	assert_int_equal(got.mode, 04711);
	assert_int_equal(got.session, 9);
	assert_int_equal(got.size, 4);
	assert_int_equal(fa_vault_get(v, 1, listed, &got, path), -ENOENT);

	put_file(file, "other", 0600);
	assert_int_equal(fa_vault_restore(v, qid, path), -EEXIST); /* never over something */
	assert_true(is_content(file, "other"));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(fa_vault_restore(v, qid, path), 0);
	assert_true(is_content(file, "evil"));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_true((uint64_t)st.st_mtim.tv_sec == was.mtime_ns / 1000000000u);
	assert_int_equal(fa_vault_restore(v, qid, path), -ENOENT);
	assert_int_equal(fa_vault_bytes(v), 0);
	assert_int_equal(files_in(store, ""), 0);
	fa_vault_close(v);
	(void)close(fd);
}

static void test_put_refused_leaves_the_file(void **state)
{
	struct fa_vault *v = vault(3);
	struct fa_meta m = { 0 };
	struct fa_ident was, other;
	uint8_t qid[16];
	int fd;

	(void)state;
	put_file(file, "evil", 0644);
	fd = open_judged(file, &was);
	assert_int_equal(fa_vault_put(v, fd, &was, &m, file, strlen(file), qid, text), -ENOSPC);
	assert_string_equal(text, "the quarantine is full");
	fa_vault_max_set(v, 4);
	other = was;
	other.mtime_ns++;
	assert_int_equal(fa_vault_put(v, fd, &other, &m, file, strlen(file), qid, text), -ESTALE);
	assert_true(is_content(file, "evil"));
	assert_int_equal(files_in(store, ""), 0);
	assert_int_equal(fa_vault_put(v, fd, &was, &m, file, strlen(file), qid, text), 0);
	fa_vault_close(v);
	(void)close(fd);
}

static void test_put_nameless_and_linked(void **state)
{
	struct fa_vault *v = vault(1 << 20);
	struct fa_meta m = { 0 };
	struct fa_ident was;
	char link2[96];
	uint8_t qid[16];
	uint64_t n = 0;
	int fd;

	(void)state;
	fd = open(top, O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, "evil", 4), 4);
	assert_int_equal(fa_ident_of(fd, &was), 0);
	assert_int_equal(fa_vault_put(v, fd, &was, &m, "x", 1, qid, text), 0);
	assert_string_equal(text, "quarantined; it had no name any more");
	(void)close(fd);
	put_file(file, "evil", 0600);
	(void)snprintf(link2, sizeof(link2), "%s/second", top);
	assert_int_equal(link(file, link2), 0);
	fd = open_judged(file, &was);
	assert_int_equal(fa_vault_put(v, fd, &was, &m, file, strlen(file), qid, text), 0);
	assert_non_null(strstr(text, "1 other names"));
	assert_true(is_content(link2, "evil"));
	assert_int_equal(fa_vault_purge(v, qid, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(fa_vault_purge(v, qid, &n), -ENOENT);
	assert_int_equal(fa_vault_purge(v, NULL, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(files_in(store, ""), 0);
	fa_vault_close(v);
	(void)close(fd);
}

/* two held openers of one file: the first one's verdict removes the name, the second finds none */
static void test_put_once_for_all_openers(void **state)
{
	struct fa_vault *v = vault(8);
	struct fa_meta m = { .sha256 = { 1 } }, other = { .sha256 = { 2 } }, unknown = { 0 };
	struct fa_ident was;
	uint8_t first[16], again[16];
	int fd;

	(void)state;
	put_file(file, "evil", 0600);
	fd = open_judged(file, &was);
	assert_int_equal(fa_vault_put(v, fd, &was, &m, file, strlen(file), first, text), 0);
	assert_int_equal(fa_ident_of(fd, &was), 0);
	fa_vault_max_set(v, 4); /* full: a second copy would be refused */
	assert_int_equal(fa_vault_put(v, fd, &was, &m, "x (deleted)", 11, again, text), 0);
	assert_memory_equal(again, first, 16);
	assert_string_equal(text, "in quarantine already");
	assert_int_equal(files_in(store, ".data"), 1);
	fa_vault_max_set(v, 64);
	/* another content, or one that nobody knows: evidence of its own */
	assert_int_equal(fa_vault_put(v, fd, &was, &other, "x", 1, again, text), 0);
	assert_int_equal(fa_vault_put(v, fd, &was, &unknown, "x", 1, again, text), 0);
	assert_int_equal(files_in(store, ".data"), 3);
	(void)close(fd);
	put_file(file, "evil", 0600); /* a file with a name, be it the same inode: its own */
	fd = open_judged(file, &was);
	assert_int_equal(fa_vault_put(v, fd, &was, &m, file, strlen(file), again, text), 0);
	assert_int_equal(files_in(store, ".data"), 4);
	fa_vault_close(v);
	(void)close(fd);
}

static void test_open_lax_directory_refused(void **state)
{
	struct fa_vault *v = NULL;

	(void)state;
	assert_int_equal(mkdir(store, 0755), 0);
	assert_int_equal(fa_vault_open(store, 1, &v), -GI_EDENIED);
	assert_int_equal(chmod(store, 0700), 0);
	assert_int_equal(fa_vault_open(store, 1, &v), 0);
	fa_vault_close(v);
}

/* in a child that ends before its n-th step; true: it got through */
static bool dies_at(int n, void (*work)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		die_at = n;
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return true;
	}
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return false;
}

static void work_put(void)
{
	struct fa_meta m = { 0 };
	struct fa_vault *v = NULL;
	struct fa_ident was;
	uint8_t qid[16];
	int fd = open(file, O_RDONLY);

	if (fd < 0 || fa_ident_of(fd, &was) < 0 || fa_vault_open(store, 1 << 20, &v) < 0 ||
		fa_vault_put(v, fd, &was, &m, file, strlen(file), qid, text) < 0)
		_exit(1);
}

/* what the vault holds is whole and nothing half done is left */
static size_t vault_is_whole(const char *content)
{
	struct fa_vault *v = vault(1 << 20);
	struct fa_meta m;
	uint8_t qid[16];
	char name[200];
	size_t n = 0;

	for (; fa_vault_get(v, n, qid, &m, path) == 0; n++) {
		int k = snprintf(name, sizeof(name), "%s/", store);

		assert_string_equal(path, file);
		for (size_t i = 0; i < 16; i++)
			k += snprintf(name + k, sizeof(name) - (size_t)k, "%02x", qid[i]);
		(void)snprintf(name + k, sizeof(name) - (size_t)k, ".data");
		assert_true(is_content(name, content));
	}
	assert_int_equal(files_in(store, ".data"), n);
	assert_int_equal(files_in(store, ".meta"), n);
	assert_int_equal(files_in(store, ""), 2 * n);
	fa_vault_close(v);
	return n;
}

static void test_put_killed_at_each_step_loses_nothing(void **state)
{
	bool through = false;
	int steps = 0;

	(void)state;
	for (; !through; steps++) {
		bool named;
		size_t kept;

		put_file(file, "evil", 0640);
		through = dies_at(steps, work_put);
		named = is_content(file, "evil");
		kept = vault_is_whole("evil");
		assert_true(named || kept == 1);
		assert_true(kept <= 1);
		if (named) { /* and the next attempt gets it */
			assert_true(dies_at(-1, work_put));
			assert_int_equal(access(file, F_OK), -1);
		}
		remove_all(store);
	}
	assert_true(steps > 6);
	print_message("%d steps\n", steps);
}

static void work_restore(void)
{
	struct fa_vault *v = NULL;
	struct fa_meta m;
	uint8_t qid[16];

	if (fa_vault_open(store, 1 << 20, &v) < 0 || fa_vault_get(v, 0, qid, &m, path) < 0 ||
		fa_vault_restore(v, qid, path) < 0)
		_exit(1);
}

static void test_restore_killed_at_each_step_loses_nothing(void **state)
{
	bool through = false;
	int steps = 0;

	(void)state;
	for (; !through; steps++) {
		put_file(file, "evil", 0640);
		assert_true(dies_at(-1, work_put));
		through = dies_at(steps, work_restore);
		assert_true(vault_is_whole("evil") == 1 || is_content(file, "evil"));
		(void)unlink(file);
		remove_all(store);
	}
	assert_true(steps > 3);
}

static void test_delete_by_identity_only(void **state)
{
	struct fa_ident was;
	char moved[96];
	int fd;

	(void)state;
	put_file(file, "evil", 0600);
	fd = open_judged(file, &was);
	(void)snprintf(moved, sizeof(moved), "%s/moved", top);
	assert_int_equal(rename(file, moved), 0); /* ctime changed: judged anew by the worker */
	put_file(file, "innocent", 0600);
	assert_int_equal(fa_act_delete(fd, &was, text), -ESTALE);
	assert_int_equal(fa_ident_of(fd, &was), 0);
	assert_int_equal(fa_act_delete(fd, &was, text), 0); /* under its new name */
	assert_int_equal(access(moved, F_OK), -1);
	assert_true(is_content(file, "innocent"));
	assert_int_equal(fa_ident_of(fd, &was), 0);
	assert_int_equal(fa_act_delete(fd, &was, text), 0);
	assert_string_equal(text, "it has no name any more");
	(void)close(fd);
}

static void test_replace_swaps_and_keeps_owner(void **state)
{
	struct fa_ident was;
	struct stat st;
	int fd, tmp = -1, other;

	(void)state;
	put_file(file, "evil", 04750);
	fd = open_judged(file, &was);
	assert_int_equal(fa_act_tmp(fd, &was, &tmp), 0);
	assert_int_equal(__real_write(tmp, "clean", 5), 5);
	other = open(file, O_RDONLY);
	assert_int_equal(fa_act_replace(fd, other, &was, text), -EINVAL); /* has a name */
	(void)close(other);
	assert_int_equal(fa_act_replace(fd, tmp, &was, text), 0);
	assert_true(is_content(file, "clean"));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 04750);
	assert_int_equal(files_in(top, ""), 1);
	(void)close(tmp);
	(void)close(fd);
}

static void test_open_no_links_no_devices(void **state)
{
	char name[96];
	int fd = -1, dir;

	(void)state;
	put_file(file, "x", 0600);
	assert_int_equal(fa_act_open(file, &fd), 0);
	(void)close(fd);
	(void)snprintf(name, sizeof(name), "%s/link", top);
	assert_int_equal(symlink(file, name), 0);
	assert_int_equal(fa_act_open(name, &fd), -ELOOP);
	assert_int_equal(fa_act_open("/dev/null", &fd), -EINVAL);
	assert_int_equal(fa_act_open("/no/such", &fd), -ENOENT);
	dir = open(top, O_RDONLY | O_DIRECTORY);
	assert_int_equal(fa_act_open_at(dir, "file", &fd), 0);
	(void)close(fd);
	assert_int_equal(fa_act_open_at(dir, "link", &fd), -EINVAL);
	(void)close(dir);
}

static void test_who_is_this_program(void **state)
{
	struct fa_ident id, mine;
	bool real = false;
	int fd = open("/proc/self/exe", O_RDONLY);

	(void)state;
	assert_int_equal(fa_act_who((uint32_t)getpid(), path, sizeof(path), &id, &real), 0);
	assert_true(real);
	assert_int_equal(fa_ident_of(fd, &mine), 0);
	assert_true(fa_ident_same(&id, &mine));
	assert_int_equal(fa_act_who(UINT32_MAX, path, sizeof(path), &id, &real), -ENOENT);
	(void)close(fd);
}

static void test_meta_mistakes_refused(void **state)
{
	static const char *const bad[] = { "path", "path=/a", "size=\n", "size=1x\n",
		"size=18446744073709551616\n", "mode=8\n", "uid=4294967296\n", "sha256=00\n",
		"path=\\x0\n", "path=\\x00\n", "path=\\q\n", "engine=\\x\n" };
	struct fa_meta m;

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		assert_int_equal(fa_meta_decode(bad[i], strlen(bad[i]), &m, path), -GI_ESYNTAX);
	assert_int_equal(fa_meta_decode("new_key=1\nsize=5\n", 17, &m, path), 0);
	assert_int_equal(m.size, 5);
	assert_string_equal(path, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_list_restore),
		TEST(test_put_refused_leaves_the_file),
		TEST(test_put_nameless_and_linked),
		TEST(test_put_once_for_all_openers),
		TEST(test_open_lax_directory_refused),
		TEST(test_put_killed_at_each_step_loses_nothing),
		TEST(test_restore_killed_at_each_step_loses_nothing),
		TEST(test_delete_by_identity_only),
		TEST(test_replace_swaps_and_keeps_owner),
		TEST(test_open_no_links_no_devices),
		TEST(test_who_is_this_program),
		TEST(test_meta_mistakes_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
