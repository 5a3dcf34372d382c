/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * found.c - sessions learnt from the kernel, see found.h
 */
#include "netagent/found.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/conf/conf.h"
#include "netagent/agent.h"
#include "netagent/leader.h"

/* ---- /proc ---- */

static bool read_number(const char *pid, const char *what, uint32_t *ret)
{
	char path[64], text[16];
	uint64_t n;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/%s", pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (gi_text_u64(text, 0, UINT32_MAX, &n) < 0)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* false: no process of a login, or it has ended */
static bool read_proc(const char *name, struct na_proc *ret)
{
	uint64_t pid;

	if (gi_text_u64(name, 1, UINT32_MAX, &pid) < 0)
		return false;
	ret->pid = (uint32_t)pid;
	return read_number(name, "sessionid", &ret->audit) && ret->audit != UINT32_MAX &&
	       read_number(name, "loginuid", &ret->loginuid) && ret->loginuid != UINT32_MAX &&
	       na_leader_start_time(ret->pid, &ret->start) == 0;
}

static struct na_proc *read_procs(size_t *ret_n)
{
	struct na_proc *list = calloc(NA_FOUND_PROCS_MAX, sizeof(*list));
	DIR *d = list ? opendir("/proc") : NULL;
	const struct dirent *e;
	size_t n = 0;

	while (d && n < NA_FOUND_PROCS_MAX && (e = readdir(d))) {
		if (read_proc(e->d_name, &list[n]))
			n++;
	}
	if (d)
		closedir(d);
	*ret_n = n;
	return list;
}

static int proc_cmp(const void *x, const void *y)
{
	const struct na_proc *a = x, *b = y;

	if (a->audit != b->audit)
		return a->audit < b->audit ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

void na_found_sort(struct na_proc *list, size_t n)
{
	if (n)
		qsort(list, n, sizeof(*list), proc_cmp);
}

size_t na_found_group(const struct na_proc *list, size_t n)
{
	size_t len = 0;

	while (len < n && list[len].audit == list[0].audit)
		len++;
	return len;
}

/* ---- is it one that we missed? ---- */

static bool may_lead(uint32_t pid)
{
	char path[32], *text;
	bool yes;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	if (conf_read_file(path, 65536, &text, &len) < 0)
		return false;
	yes = na_status_may_lead(text);
	free(text);
	return yes;
}

static bool is_known(const struct na_agent *a, const struct na_proc *group, size_t n)
{
	char path[NA_CGROUP_PATH_MAX];

	for (size_t i = 0; i < n; i++) {
		if (na_sessions_find_leader(&a->sessions, group[i].pid) ||
			na_open_waits(a, group[i].pid) ||
			(na_cgroup_of(group[i].pid, path) == 0 && na_open_session_of(a, path)))
			return true;
	}
	return false;
}

/* when it began, by the leader's start */
static uint64_t begun_ms(uint64_t start)
{
	uint64_t boot = io_clock_boot_ms();
	uint64_t began = start * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

	return io_clock_real_ms() - (boot > began ? boot - began : 0);
}

/*
 * The name service is asked as sshd did it just before, so its answer is near. Should it
 * stall, logins wait for us meanwhile, no longer than their own timeout.
 */
static bool name_of(uint32_t uid, struct na_pam_event *ev)
{
	const struct passwd *pw = getpwuid(uid);

	if (!pw || !gi_text_is_clean(pw->pw_name, NA_USER_MAX) || !pw->pw_name[0])
		return false;
	return gi_text_copy(ev->user, sizeof(ev->user), pw->pw_name) == 0;
}

static void move_procs(struct na_agent *a, const struct na_proc *group, size_t n, uint64_t session)
{
	char path[NA_CGROUP_PATH_MAX];
	int pidfd, err;

	for (size_t i = 0; i < n; i++) {
		if (na_cgroup_of(group[i].pid, path) < 0 || na_cgroup_session(&a->cgroups, path) ||
			na_leader_reopen(group[i].pid, group[i].start, &pidfd) < 0)
			continue;
		err = na_place_move(a->place, session, pidfd);
		close(pidfd);
		if (err < 0)
			gi_debug(
				"process %u stays where it is: %s", group[i].pid, gi_strerror(err));
	}
}

static void remember(struct na_agent *a, uint32_t audit, uint64_t session)
{
	void *list = reallocarray(a->found.list, a->found.n + 1, sizeof(*a->found.list));

	if (!list) /* its later children stay where they are: without identity */
		return;
	a->found.list = list;
	a->found.list[a->found.n].audit = audit;
	a->found.list[a->found.n].session = session;
	a->found.n++;
}

static void take_group(struct na_agent *a, const struct na_proc *group, size_t n)
{
	struct na_pam_event ev = { .kind = NA_PAM_OPEN, .uid = group->loginuid };
	struct na_pam_peer leader = { .pid = group->pid, .start = group->start, .pidfd = -1 };
	uint64_t session;
	bool placed;

	/* one that began after us comes by PAM, if it comes at all */
	if (group->start > a->found.our_start || !may_lead(group->pid) || is_known(a, group, n) ||
		!name_of(group->loginuid, &ev) ||
		na_leader_reopen(group->pid, group->start, &leader.pidfd) < 0)
		return;
	snprintf(ev.service, sizeof(ev.service), "found");
	session = na_open_found(a, &ev, &leader, begun_ms(group->start), &placed);
	gi_notice("session %" PRIu64 " of %s was running already: leader %u, %zu processes",
		session, ev.user, group->pid, n);
	if (!placed)
		return;
	move_procs(a, group + 1, n - 1, session);
	remember(a, group->audit, session);
}

/* ---- passes ---- */

static void first_pass(struct na_agent *a, const struct na_proc *list, size_t n)
{
	size_t groups = 0;

	for (size_t at = 0, len; at < n; at += len) {
		len = na_found_group(list + at, n - at);
		take_group(a, list + at, len);
		groups++;
	}
	gi_info("%zu logins looked at, %zu of them were not known", groups, a->found.n);
}

static void later_pass(struct na_agent *a, const struct na_proc *list, size_t n)
{
	for (size_t at = 0, len; at < n; at += len) {
		len = na_found_group(list + at, n - at);
		for (size_t i = 0; i < a->found.n; i++) {
			if (a->found.list[i].audit == list[at].audit)
				move_procs(a, list + at, len, a->found.list[i].session);
		}
	}
}

static void pass_cb(struct io_timer *t)
{
	struct na_agent *a = t->arg;
	struct na_proc *list;
	size_t n;

	if (!a->have_cgroups)
		return;
	list = read_procs(&n);
	if (!list)
		return;
	na_found_sort(list, n);
	if (a->found.passes++ == 0)
		first_pass(a, list, n);
	else
		later_pass(a, list, n);
	free(list);
	if (a->found.n && a->found.passes <= NA_FOUND_PASSES)
		io_timer_start(a->loop, &a->found.timer, NA_FOUND_PASS_MS, 0, pass_cb, a);
}

void na_found_start(struct na_agent *a)
{
	if (na_leader_start_time((uint32_t)getpid(), &a->found.our_start) < 0)
		a->found.our_start = UINT64_MAX;
	io_timer_start(a->loop, &a->found.timer, NA_FOUND_DELAY_MS, 0, pass_cb, a);
}

void na_found_stop(struct na_agent *a)
{
	io_timer_stop(a->loop, &a->found.timer);
	free(a->found.list);
	a->found.list = NULL;
	a->found.n = 0;
}
