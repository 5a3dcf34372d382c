/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sessfile.c - live sessions as files, see sessfile.h
 *
 * One writer: whoever holds the spool's lock. So one name is enough for what is not whole yet.
 */
#include "netagent/sessfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "netagent/events.h"

#define TMP_NAME ".new" /* no number: no reader looks at it */
#define FILE_MODE 0640
#define NAME_SIZE 12

int na_sessfile_open(struct na_sessfile *f, const char *path)
{
	f->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return f->dir < 0 ? -errno : 0;
}

void na_sessfile_close(struct na_sessfile *f)
{
	if (f->dir >= 0)
		close(f->dir);
	f->dir = -1;
}

static void file_name(uint32_t leader, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%u", leader);
}

/* no fsync: after a power cut there is no session */
static int file_write(int dir, const struct gi_buf *b)
{
	int fd = openat(
		dir, TMP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, b->data, b->len);
	if (n < 0)
		err = -errno;
	else if ((size_t)n != b->len)
		err = -ENOSPC;
	close(fd);
	return err;
}

int na_sessfile_put(const struct na_sessfile *f, const struct na_session *s)
{
	char name[NAME_SIZE];
	struct gi_buf b;
	int err;

	if (f->dir < 0 || s->leader_pid == 0)
		return 0;
	gi_buf_init(&b, WIRE_FRAME_MAX);
	err = na_session_encode(s, &b);
	if (err == 0)
		err = file_write(f->dir, &b);
	gi_buf_fini(&b);
	if (err < 0)
		return err;
	file_name(s->leader_pid, name);
	return renameat(f->dir, TMP_NAME, f->dir, name) < 0 ? -errno : 0;
}

/* the youngest session of @leader but @not */
static const struct na_session *other_of(
	const struct na_sessions *t, uint32_t leader, const struct na_session * not )
{
	const struct na_session *found = NULL;

	for (const struct na_session *s = t->by_id; s; s = s->hh.next) {
		if (s != not &&s->leader_pid == leader && (!found || s->id > found->id))
			found = s;
	}
	return found;
}

int na_sessfile_drop(
	const struct na_sessfile *f, const struct na_sessions *t, const struct na_session *s)
{
	const struct na_session *other;
	char name[NAME_SIZE];

	if (f->dir < 0 || s->leader_pid == 0)
		return 0;
	other = other_of(t, s->leader_pid, s);
	if (other)
		return na_sessfile_put(f, other);
	file_name(s->leader_pid, name);
	return unlinkat(f->dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static bool is_leader(const struct na_sessions *t, const char *name)
{
	uint64_t pid;

	return gi_text_u64(name, 1, UINT32_MAX, &pid) == 0 && other_of(t, (uint32_t)pid, NULL);
}

static int remove_others(const struct na_sessfile *f, const struct na_sessions *t)
{
	int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	const struct dirent *e;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			is_leader(t, e->d_name))
			continue;
		if (unlinkat(f->dir, e->d_name, 0) < 0 && err == 0)
			err = -errno;
	}
	closedir(d);
	return err;
}

int na_sessfile_sweep(const struct na_sessfile *f, const struct na_sessions *t)
{
	int first = 0, err;

	if (f->dir < 0)
		return 0;
	/* in the order of opening: the youngest of a leader is written last */
	for (const struct na_session *s = t->by_id; s; s = s->hh.next) {
		err = na_sessfile_put(f, s);
		if (err < 0 && first == 0)
			first = err;
	}
	err = remove_others(f, t);
	return first ? first : err;
}
