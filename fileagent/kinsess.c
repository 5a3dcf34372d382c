/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kinsess.c - gi-netagent's session files, see kinsess.h
 *
 * Descriptors are opened relative to the directory that is watched, never by path again, so that a
 * directory that was moved away and replaced cannot mix two worlds.
 */
#include "fileagent/kinsess.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fileagent/kin.h"
#include "lib/base/text.h"

#define WATCHED                                                                      \
	(IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | \
		IN_MOVE_SELF | IN_ONLYDIR)
#define EVENTS_BYTES 4096

int fa_sessions_init(struct fa_sessions *t, const char *path)
{
	*t = (struct fa_sessions){ .dir = -1, .watch = -1, .version = 1 };
	t->path = strdup(path);
	return t->path ? 0 : -ENOMEM;
}

static void session_drop(struct fa_sessions *t, struct fa_session *s)
{
	HASH_DEL(t->by_leader, s);
	free(s->user);
	free(s);
	t->version++;
}

static void drop_all(struct fa_sessions *t)
{
	struct fa_session *s, *tmp;

	HASH_ITER (hh, t->by_leader, s, tmp)
		session_drop(t, s);
}

static void dir_close(struct fa_sessions *t)
{
	if (t->dir >= 0)
		close(t->dir);
	if (t->watch >= 0)
		close(t->watch);
	t->dir = t->watch = -1;
}

void fa_sessions_fini(struct fa_sessions *t)
{
	drop_all(t);
	dir_close(t);
	free(t->path);
	t->path = NULL;
}

size_t fa_sessions_count(const struct fa_sessions *t)
{
	return HASH_COUNT(t->by_leader);
}

/* a packed Session has far less than a frame; NULL: not one */
static Idfw__Session *file_decode(int dir, const char *name)
{
	uint8_t buf[16384];
	Idfw__Session *s = NULL;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, buf, sizeof(buf));
	close(fd);
	if (n <= 0 || (size_t)n == sizeof(buf) || wire_session_decode(buf, (size_t)n, &s) < 0)
		return NULL;
	return s;
}

static void session_add(struct fa_sessions *t, const Idfw__Session *w)
{
	struct fa_session *s;

	if (HASH_COUNT(t->by_leader) >= FA_KIN_SESSIONS_MAX)
		return;
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->user = strdup(w->user);
	if (!s->user) {
		free(s);
		return;
	}
	s->leader = w->leader_pid;
	s->leader_start = w->leader_start;
	s->id = w->id;
	s->uid = w->uid;
	HASH_ADD(hh, t->by_leader, leader, sizeof(s->leader), s);
	t->version++;
}

/* @name is new, another, or gone: the table says the same behind it */
static void name_changed(struct fa_sessions *t, const char *name)
{
	Idfw__Session *w;
	struct fa_session *s;
	uint32_t leader;
	uint64_t pid;

	if (gi_text_u64(name, 1, INT32_MAX, &pid) < 0)
		return;
	leader = (uint32_t)pid;
	HASH_FIND(hh, t->by_leader, &leader, sizeof(leader), s);
	if (s)
		session_drop(t, s);
	w = file_decode(t->dir, name);
	if (w && w->leader_pid == leader)
		session_add(t, w);
	wire_session_free(w);
}

static void read_all(struct fa_sessions *t)
{
	int fd = openat(t->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	drop_all(t);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		name_changed(t, e->d_name);
	closedir(d);
	t->version++;
}

static void dir_open(struct fa_sessions *t)
{
	char by_fd[32];

	t->dir = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0)
		return;
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", t->dir);
	t->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (t->watch >= 0 && inotify_add_watch(t->watch, by_fd, WATCHED) < 0) {
		close(t->watch);
		t->watch = -1;
	}
	/* read after the watch stands: what comes in between is seen twice, never not at all */
	read_all(t);
}

/* false: the directory is not the one any more */
static bool event_apply(struct fa_sessions *t, const struct inotify_event *ev)
{
	if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
		return false;
	if (ev->mask & IN_Q_OVERFLOW)
		read_all(t);
	else if (ev->len > 0)
		name_changed(t, ev->name);
	return true;
}

static bool events_apply(struct fa_sessions *t)
{
	_Alignas(struct inotify_event) char buf[EVENTS_BYTES];
	ssize_t n;

	while ((n = read(t->watch, buf, sizeof(buf))) > 0) {
		const struct inotify_event *ev;

		for (const char *p = buf; p < buf + n; p += sizeof(*ev) + ev->len) {
			ev = (const struct inotify_event *)p;
			if (!event_apply(t, ev))
				return false;
		}
	}
	return true;
}

void fa_sessions_refresh(struct fa_sessions *t)
{
	if (t->dir >= 0 && t->watch >= 0 && !events_apply(t)) {
		dir_close(t);
		drop_all(t);
	}
	if (t->dir >= 0 && t->watch < 0) /* no inotify to be had: all of it, each time */
		dir_close(t);
	if (t->dir < 0)
		dir_open(t);
	if (t->dir < 0)
		drop_all(t);
}

const struct fa_session *fa_sessions_find(
	const struct fa_sessions *t, uint32_t leader, uint64_t from, uint64_t to)
{
	struct fa_session *s;

	HASH_FIND(hh, t->by_leader, &leader, sizeof(leader), s);
	return s && s->leader_start >= from && s->leader_start <= to ? s : NULL;
}

const struct fa_session *fa_sessions_only_of(const struct fa_sessions *t, uint32_t uid)
{
	const struct fa_session *found = NULL;

	for (const struct fa_session *s = t->by_leader; s; s = s->hh.next) {
		if (s->uid != uid)
			continue;
		if (found && found->id != s->id)
			return NULL;
		found = s;
	}
	return found;
}
