/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_dir.c - lib/io/dir.c: what is made and given away, and whose links are not followed. The
 * parts about other users take root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/dir.h"

#define OTHER 65534
#define THIRD 65533

struct fixture {
	char dir[64], path[128], victim[128];
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/iodir.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->victim, sizeof(f->victim), "%s/victim", f->dir);
	assert_int_equal(mkdir(f->victim, 0755), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(f);
	return 0;
}

static const char *at(struct fixture *f, const char *name)
{
	snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, name);
	return f->path;
}

static uid_t owner(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

/* a directory that OTHER has, with a link of its own in it */
static void their_link(struct fixture *f)
{
	assert_int_equal(mkdir(at(f, "theirs"), 0755), 0);
	assert_int_equal(symlink(f->victim, at(f, "theirs/leaf")), 0);
	assert_int_equal(lchown(at(f, "theirs/leaf"), OTHER, OTHER), 0);
	assert_int_equal(chown(at(f, "theirs"), OTHER, OTHER), 0);
}

static void test_make_what_is_missing(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(io_dir_make(at(f, "a/b//c/"), 0700, IO_DIR_KEEP, 0), 0);
	assert_int_equal(stat(at(f, "a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(at(f, "a/b"), &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(io_dir_make(at(f, "a/b/c"), 0755, IO_DIR_KEEP, 0), 0); /* again */
	assert_int_equal(stat(at(f, "a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_make_refuses_what_is_no_directory(void **state)
{
	struct fixture *f = *state;
	char longer[400];
	int fd = open(at(f, "file"), O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(io_dir_make(at(f, "file"), 0700, IO_DIR_KEEP, 0), -ENOTDIR);
	assert_int_equal(io_dir_make(at(f, "file/a"), 0700, IO_DIR_KEEP, 0), -ENOTDIR);
	assert_int_equal(io_dir_make(at(f, "a/../b"), 0700, IO_DIR_KEEP, 0), -EINVAL);
	snprintf(longer, sizeof(longer), "/tmp/%0300d", 1);
	assert_int_equal(io_dir_make(longer, 0700, IO_DIR_KEEP, 0), -ENAMETOOLONG);
}

static void test_make_gives_the_last_one_away(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(io_dir_make(at(f, "a/leaf"), 0700, OTHER, OTHER), 0);
	assert_int_equal(owner(at(f, "a/leaf")), OTHER);
	assert_int_equal(owner(at(f, "a")), 0);
	assert_int_equal(io_dir_make(at(f, "a/leaf"), 0700, OTHER, OTHER), 0);
	/* a third one's stays his */
	assert_int_equal(io_dir_make(at(f, "a/leaf"), 0700, THIRD, THIRD), -GI_EDENIED);
	assert_int_equal(owner(at(f, "a/leaf")), OTHER);
}

static void test_make_follows_no_link_of_another_user(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	their_link(f);
	assert_int_equal(io_dir_make(at(f, "theirs/leaf"), 0700, OTHER, OTHER), -ELOOP);
	assert_int_equal(io_dir_make(at(f, "theirs/leaf/x"), 0700, OTHER, OTHER), -ELOOP);
	assert_int_equal(owner(f->victim), 0);
	assert_int_equal(access(at(f, "victim/x"), F_OK), -1);
	/* root's own link there may be as well have been another's a moment ago */
	assert_int_equal(lchown(at(f, "theirs/leaf"), 0, 0), 0);
	assert_int_equal(io_dir_make(at(f, "theirs/leaf"), 0700, OTHER, OTHER), -ELOOP);
	assert_int_equal(owner(f->victim), 0);
}

static void test_make_follows_an_administrators_link(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlink("victim", at(f, "link")), 0);
	assert_int_equal(io_dir_make(at(f, "link/leaf"), 0700, IO_DIR_KEEP, 0), 0);
	assert_int_equal(owner(at(f, "victim/leaf")), geteuid());
	/* in a directory that all may write to, if it is sticky and the link ours */
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(io_dir_make(at(f, "link/leaf2"), 0700, IO_DIR_KEEP, 0), -ELOOP);
	assert_int_equal(chmod(f->dir, 01777), 0);
	assert_int_equal(io_dir_make(at(f, "link/leaf2"), 0700, IO_DIR_KEEP, 0), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(lchown(at(f, "link"), OTHER, OTHER), 0);
	assert_int_equal(io_dir_make(at(f, "link/leaf3"), 0700, IO_DIR_KEEP, 0), -ELOOP);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_make_what_is_missing),
		T(test_make_refuses_what_is_no_directory),
		T(test_make_gives_the_last_one_away),
		T(test_make_follows_no_link_of_another_user),
		T(test_make_follows_an_administrators_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
