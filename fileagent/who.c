/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who.c - who did it, for the worker's other parts: see worker.h, and kin.h for how it is found
 *
 * Runs in gi-fileagent's worker. What it cannot have itself the supervisor is asked for: the
 * kernel's records of forks, once, and a process's program (/proc/PID/exe needs the rights of a
 * tracer), once for all who wait for
 * the same process. Whoever asks is answered once, later, from the loop; without a program when
 * the process has ended or there is no supervisor.
 */
#include "fileagent/who.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fileagent/faconf.h"
#include "fileagent/kin.h"
#include "fileagent/tasks.h"

struct asked {
	struct fa_who *who;
	struct asked *next;
	struct fa_actor actor;
	bool ready; /* nothing more will be known */
	bool leads; /* the supervisor's reply comes to this one, for all of the same process */
	void (*done)(void *arg, const struct fa_actor *actor); /* NULL: nobody wants it any more */
	void *arg;
};

struct fa_who {
	struct fa_worker *worker;
	struct fa_kin *kin;
	struct fa_tasks *tasks; /* NULL: no memory */
	uint64_t cpu, cpus;	/* asked for next; of so many */
	bool following;
	struct asked *first, **last;
	size_t waiting;
	struct io_idle answer;
	struct { /* whom fa_who_actor() was asked about last */
		pid_t pid;
		int pidfd; /* ours, or -1 */
		uint64_t ms, alive_ms;
	} seen;
};

static int kin_make(const struct fa_worker *w, struct fa_kin **ret)
{
	char dir[512];

	if (snprintf(dir, sizeof(dir), "%s/sessions", w->conf->run_dir) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	return fa_kin_new("/proc", dir, ret);
}

int fa_who_new(struct fa_worker *w, struct fa_who **ret)
{
	struct fa_who *who = calloc(1, sizeof(*who));
	int err = who ? kin_make(w, &who->kin) : -ENOMEM;

	if (err < 0) {
		free(who);
		return err;
	}
	if (fa_tasks_new(w->loop, FA_TASKS_ONLINE, &who->tasks) < 0)
		who->tasks = NULL;
	who->worker = w;
	who->last = &who->first;
	who->seen.pidfd = -1;
	*ret = who;
	return 0;
}

void fa_who_free(struct fa_who *who)
{
	struct asked *a;

	if (!who)
		return;
	io_idle_stop(who->worker->loop, &who->answer);
	while ((a = who->first)) {
		who->first = a->next;
		if (a->leads && who->worker->super)
			fa_super_forget(who->worker->super, a);
		free(a);
	}
	if (who->worker->super)
		fa_super_forget(who->worker->super, who);
	fa_kin_free(who->kin);
	fa_tasks_free(who->tasks);
	free(who);
}

void fa_who_conf(struct fa_who *who)
{
	struct fa_kin *kin;

	/* without memory the old place goes on to be looked at */
	if (kin_make(who->worker, &kin) < 0)
		return;
	fa_kin_free(who->kin);
	who->kin = kin;
	if (who->following)
		fa_kin_forks(kin, fa_tasks_now(who->tasks));
}

/* ---- the kernel's records of forks ---- */

static bool cpu_ask(struct fa_who *who);

static void cpu_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct fa_who *who = arg;
	int err = rec->err;

	if (err == 0)
		err = fd < 0 ? -EIO : fa_tasks_add(who->tasks, who->cpu, fd, rec->value);
	if (err == 0) {
		who->cpus = rec->value;
		who->following = true;
		fa_kin_forks(who->kin, fa_tasks_now(who->tasks));
	} else {
		fa_debug("forks on processor %u are not seen: %s", (unsigned int)who->cpu,
			gi_strerror(err));
	}
	who->cpu++;
	if (who->cpu < who->cpus && cpu_ask(who))
		return;
	if (!who->following)
		fa_notice("the kernel tells of no forks (%s): who ended at once is not known",
			gi_strerror(err));
}

static bool cpu_ask(struct fa_who *who)
{
	struct fa_rec rec = { .op = FA_OP_TASKS, .value = who->cpu };

	return fa_super_request(who->worker->super, &rec, NULL, 0, cpu_cb, who) == 0;
}

void fa_who_follow(struct fa_who *who)
{
	if (who->tasks && who->worker->super && who->cpus == 0) {
		who->cpus = 1;
		(void)cpu_ask(who);
	}
}

/* at @now: so its number was nobody else's since it was asked about */
static bool seen_lives(struct fa_who *who, uint64_t now)
{
	struct pollfd p = { .fd = who->seen.pidfd, .events = POLLIN };

	if (who->seen.pidfd < 0)
		return false;
	if (who->seen.alive_ms != now && poll(&p, 1, 0) != 0)
		return false;
	who->seen.alive_ms = now;
	return true;
}

bool fa_who_same(struct fa_who *who, pid_t pid)
{
	uint64_t now = io_clock_mono_ms();

	return pid > 0 && pid == who->seen.pid && now < who->seen.ms + FA_WHO_SAME_MS &&
	       seen_lives(who, now);
}

/* a descriptor of our own also spares the kernel to make the pidfd's inode for each event */
static void seen_set(struct fa_who *who, pid_t pid, int pidfd)
{
	if (who->seen.pidfd >= 0)
		close(who->seen.pidfd);
	who->seen.pidfd = pidfd >= 0 ? fcntl(pidfd, F_DUPFD_CLOEXEC, 0) : -1;
	who->seen.pid = pid;
	who->seen.ms = io_clock_mono_ms();
	who->seen.alive_ms = 0;
}

void fa_who_actor(struct fa_who *who, pid_t pid, int pidfd, struct fa_actor *ret)
{
	seen_set(who, pid, pidfd);
	if (who->following)
		(void)fa_tasks_now(who->tasks);
	fa_kin_actor(who->kin, pid > 0 ? (uint32_t)pid : 0, pidfd, ret);
}

void fa_who_before(struct fa_who *who, pid_t pid, uint64_t ms_ago, struct fa_actor *ret)
{
	if (who->following)
		(void)fa_tasks_now(who->tasks);
	fa_kin_actor_before(
		who->kin, pid > 0 ? (uint32_t)pid : 0, io_clock_boot_ms() - ms_ago, ret);
}

/* ---- programs ---- */

static void unlink_asked(struct fa_who *who, struct asked **at)
{
	struct asked *a = *at;

	*at = a->next;
	if (!a->next)
		who->last = at;
	who->waiting--;
}

/* a callback may ask again, or forget others: so from the beginning after each */
static void answer_cb(struct io_idle *t)
{
	struct fa_who *who = t->arg;
	struct asked **at = &who->first, *a;

	while ((a = *at)) {
		if (!a->ready) {
			at = &a->next;
			continue;
		}
		unlink_asked(who, at);
		fa_kin_fill_exe(who->kin, &a->actor);
		if (a->done)
			a->done(a->arg, &a->actor);
		free(a);
		at = &who->first;
	}
}

static void answer_soon(struct fa_who *who)
{
	io_idle_once(who->worker->loop, &who->answer, answer_cb, who);
}

static void reply_cb(void *arg, const struct fa_rec *rec, int fd)
{
	struct asked *lead = arg;
	struct fa_who *who = lead->who;
	uint32_t pid = lead->actor.pid;

	(void)fd;
	lead->leads = false;
	if (rec->err == 0 && rec->path_len <= WIRE_PATH_MAX)
		fa_kin_exe(who->kin, pid, lead->actor.comm, rec->path, rec->path_len);
	for (struct asked *a = who->first; a; a = a->next)
		a->ready = a->ready || a->actor.pid == pid;
	answer_soon(who);
}

/* false: nobody can be asked */
static bool ask(struct fa_who *who, struct asked *lead)
{
	struct fa_rec rec = { .op = FA_OP_WHO, .pid = lead->actor.pid };

	for (const struct asked *a = who->first; a; a = a->next) {
		if (a->leads && a->actor.pid == rec.pid)
			return true;
	}
	lead->leads = who->worker->super &&
		      fa_super_request(who->worker->super, &rec, NULL, 0, reply_cb, lead) == 0;
	return lead->leads;
}

void fa_who_program(struct fa_who *who, const struct fa_actor *actor,
	void (*done)(void *arg, const struct fa_actor *actor), void *arg)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (!a) { /* nothing better can be done without memory */
		if (done)
			done(arg, actor);
		return;
	}
	a->who = who;
	a->actor = *actor;
	a->done = done;
	a->arg = arg;
	fa_kin_fill_exe(who->kin, &a->actor);
	a->ready = a->actor.exe[0] || a->actor.pid == 0 || who->waiting >= FA_WHO_WAITING_MAX ||
		   !ask(who, a);
	*who->last = a;
	who->last = &a->next;
	who->waiting++;
	if (a->ready)
		answer_soon(who);
}

void fa_who_forget(struct fa_who *who, const void *arg)
{
	for (struct asked *a = who->first; a; a = a->next) {
		if (a->arg == arg)
			a->done = NULL;
	}
}

void fa_actor_wire(const struct fa_actor *a, Idfw__FileActor *ret)
{
	idfw__file_actor__init(ret);
	ret->pid = a->pid;
	ret->uid = a->uid;
	ret->session = a->session;
	/* protobuf-c has no const; packing only reads */
	ret->user = (char *)a->user;
	ret->comm = (char *)a->comm;
	ret->exe = (ProtobufCBinaryData){ .len = strlen(a->exe), .data = (uint8_t *)a->exe };
}
