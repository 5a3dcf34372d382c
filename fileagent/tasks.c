/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tasks.c - the kernel's records of forks and of programs that begin, see tasks.h
 *
 * fa_tasks_open() is the supervisor's, all else the worker's: without any right, it maps what it
 * was given. Invariants: records count only while each processor that runs has a ring; a ring's
 * tail is only moved behind what was read; a record is copied before it is looked at (it may lie
 * over the ring's end).
 */
#include "fileagent/tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RINGS_BYTES (1u << 20) /* of all processors together, as far as the least size goes */
#define RING_MAX (128u << 10)
#define RING_MIN (16u << 10)
#define LOOK_MS 1000
#define RECORD_MAX 512 /* ours have 40 to 64 bytes */

struct ring {
	struct io_fd watch;
	struct fa_tasks *tasks;
	uint64_t cpu;
	bool ended;			   /* not watched any more */
	int fd;				   /* owned */
	struct perf_event_mmap_page *page; /* mapped; the records are behind it */
	const uint8_t *data;
	size_t size;
};

struct fa_tasks {
	struct io_loop *loop;
	struct fa_forks *forks;
	struct ring **ring; /* owned */
	size_t n;
	uint64_t lost;
	const char *online;  /* a path; borrowed */
	struct fa_cpus cpus; /* that have a ring which goes on */
	bool all_seen;	     /* as far as we looked */
	uint64_t look_ms;    /* when next */
};

/* how the records begin: perf_event_open(2) */
struct rec_fork {
	struct perf_event_header h;
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};
struct rec_comm { /* the name in steps of eight bytes, then the sample's time */
	struct perf_event_header h;
	uint32_t pid, tid;
	char comm[];
};

/* both sides: where the ring wakes up, and how large it is */
static size_t ring_bytes(uint64_t cpus)
{
	size_t size = RING_MAX;

	while (size > RING_MIN && size * cpus > RINGS_BYTES)
		size /= 2;
	return size;
}

/* ---- supervisor ---- */

int fa_tasks_open(uint64_t cpu, int *ret_fd, uint64_t *ret_cpus)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(a),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.task = 1,
		.comm = 1,
		.comm_exec = 1,
		.sample_id_all = 1,
		.exclude_kernel = 1,
		.use_clockid = 1,
		.clockid = CLOCK_BOOTTIME,
		.watermark = 1 };
	long n = sysconf(_SC_NPROCESSORS_CONF);
	int fd;

	if (cpu >= FA_TASKS_CPUS_MAX)
		return -EINVAL;
	*ret_cpus = n < 1 ? 1 : (uint64_t)n;
	a.wakeup_watermark = (uint32_t)(ring_bytes(*ret_cpus) / 2);
	fd = (int)syscall(SYS_perf_event_open, &a, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* ---- worker: records ---- */

static void record_fork(struct fa_forks *f, const void *rec, size_t len)
{
	struct rec_fork r;

	if (len < sizeof(r))
		return;
	memcpy(&r, rec, sizeof(r));
	/* a thread has its process's number; who is not in our namespace has 0, or all ones */
	if (r.pid != r.ppid && r.pid <= INT32_MAX && r.ppid <= INT32_MAX)
		fa_forks_add(f, r.time, r.pid, r.ppid);
}

static void record_comm(struct fa_forks *f, const uint8_t *rec, size_t len)
{
	struct rec_comm r;
	char comm[FA_FORK_COMM] = "";
	uint64_t time;
	size_t n;

	if (len < sizeof(r) + 8 + sizeof(time))
		return;
	memcpy(&r, rec, sizeof(r));
	if (r.pid != r.tid || r.pid > INT32_MAX)
		return; /* a thread's */
	n = len - sizeof(r) - sizeof(time);
	memcpy(comm, rec + sizeof(r), n < sizeof(comm) ? n : sizeof(comm));
	comm[sizeof(comm) - 1] = '\0';
	memcpy(&time, rec + len - sizeof(time), sizeof(time));
	fa_forks_name(f, time, r.pid, comm);
}

bool fa_tasks_record(struct fa_forks *f, const void *rec, size_t len)
{
	struct perf_event_header h;

	if (len < sizeof(h))
		return true;
	memcpy(&h, rec, sizeof(h));
	if (h.type == PERF_RECORD_FORK)
		record_fork(f, rec, len);
	else if (h.type == PERF_RECORD_COMM)
		record_comm(f, rec, len);
	return h.type != PERF_RECORD_LOST;
}

/* ---- worker: processors ---- */

/* "3" or "0-3", up to the next comma or the end; NULL: neither */
static const char *range_parse(const char *s, unsigned long *ret_first, unsigned long *ret_last)
{
	char *end;

	if (*s < '0' || *s > '9')
		return NULL;
	*ret_first = *ret_last = strtoul(s, &end, 10);
	if (*end == '-') {
		s = end + 1;
		if (*s < '0' || *s > '9')
			return NULL;
		*ret_last = strtoul(s, &end, 10);
	}
	if (*ret_last < *ret_first || (*end && *end != ',' && *end != '\n'))
		return NULL;
	return end;
}

bool fa_cpus_look(struct fa_cpus *have, const char *online)
{
	struct fa_cpus on = { { 0 } };
	bool all = true;

	for (const char *s = online;; s++) {
		unsigned long first, last;

		s = range_parse(s, &first, &last);
		if (!s)
			return false;
		if (last >= FA_TASKS_CPUS_MAX)
			all = false; /* it has no ring, and there is none to take out */
		for (; first <= last && first < FA_TASKS_CPUS_MAX; first++)
			on.bits[first / 64] |= UINT64_C(1) << first % 64;
		if (*s != ',')
			break;
	}
	for (size_t i = 0; i < FA_TASKS_CPUS_MAX / 64; i++) {
		have->bits[i] &= on.bits[i];
		all = all && have->bits[i] == on.bits[i];
	}
	return all;
}

static bool online_read(const char *path, char ret[4096])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, 4095);

	if (fd >= 0)
		close(fd);
	ret[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

/* ---- worker: rings ---- */

static void ring_copy(const struct ring *r, uint64_t at, void *buf, size_t len)
{
	size_t off = at % r->size, first = r->size - off < len ? r->size - off : len;

	memcpy(buf, r->data + off, first);
	memcpy((uint8_t *)buf + first, r->data, len - first);
}

static void ring_read(struct fa_tasks *t, struct ring *r)
{
	uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = r->page->data_tail;

	while (t->all_seen && tail < head) {
		_Alignas(uint64_t) uint8_t buf[RECORD_MAX];
		struct perf_event_header h;

		ring_copy(r, tail, &h, sizeof(h));
		if (h.size < sizeof(h) || h.size > head - tail)
			break; /* not what the kernel writes: all of it is left out */
		if (h.size <= sizeof(buf)) {
			ring_copy(r, tail, buf, h.size);
			if (!fa_tasks_record(t->forks, buf, h.size)) {
				t->lost++;
				fa_forks_forget(t->forks);
			}
		}
		tail += h.size;
	}
	__atomic_store_n(&r->page->data_tail, head, __ATOMIC_RELEASE);
}

static void rings_read(struct fa_tasks *t)
{
	for (size_t i = 0; i < t->n; i++)
		ring_read(t, t->ring[i]);
}

/* what came while not all were seen is dropped, and what was known before that */
static void processors_look(struct fa_tasks *t)
{
	char online[4096];
	uint64_t now = io_clock_mono_ms();
	bool all;

	if (now < t->look_ms)
		return;
	t->look_ms = now + LOOK_MS;
	all = online_read(t->online, online) && fa_cpus_look(&t->cpus, online);
	if (all == t->all_seen)
		return;
	rings_read(t);
	fa_forks_forget(t->forks);
	t->all_seen = all;
}

/* its event is dead: the descriptor would be ready for ever */
static void ring_end(struct ring *r)
{
	struct fa_tasks *t = r->tasks;

	io_fd_stop(t->loop, &r->watch);
	r->ended = true;
	t->cpus.bits[r->cpu / 64] &= ~(UINT64_C(1) << r->cpu % 64);
	t->look_ms = 0;
}

static void ring_cb(struct io_fd *w, unsigned int events)
{
	struct ring *r = w->arg;
	struct pollfd p = { .fd = r->fd };

	(void)events;
	if (poll(&p, 1, 0) > 0)
		ring_end(r);
	(void)fa_tasks_now(r->tasks);
}

const struct fa_forks *fa_tasks_now(struct fa_tasks *t)
{
	processors_look(t);
	rings_read(t);
	return t->forks;
}

static void ring_free(struct fa_tasks *t, struct ring *r)
{
	if (r->page) {
		if (!r->ended)
			io_fd_stop(t->loop, &r->watch);
		(void)munmap(r->page, r->size + (size_t)sysconf(_SC_PAGESIZE));
	}
	close(r->fd);
	free(r);
}

int fa_tasks_add(struct fa_tasks *t, uint64_t cpu, int fd, uint64_t cpus)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ring **list =
		cpu < FA_TASKS_CPUS_MAX ? realloc(t->ring, (t->n + 1) * sizeof(*list)) : NULL;
	struct ring *r = list ? calloc(1, sizeof(*r)) : NULL;
	void *p;

	if (list)
		t->ring = list;
	if (!r) {
		close(fd);
		return cpu < FA_TASKS_CPUS_MAX ? -ENOMEM : -EINVAL;
	}
	r->fd = fd;
	r->tasks = t;
	r->cpu = cpu;
	r->size = ring_bytes(cpus) < page ? page : ring_bytes(cpus);
	p = mmap(NULL, page + r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		int err = -errno;

		ring_free(t, r);
		return err;
	}
	r->page = p;
	r->data = (const uint8_t *)p + page;
	t->ring[t->n++] = r;
	io_fd_start(t->loop, &r->watch, fd, IO_READ, ring_cb, r);
	t->cpus.bits[cpu / 64] |= UINT64_C(1) << cpu % 64;
	t->look_ms = 0;
	processors_look(t); /* from the last ring on all are seen */
	return 0;
}

int fa_tasks_new(struct io_loop *l, const char *online, struct fa_tasks **ret)
{
	struct fa_tasks *t = calloc(1, sizeof(*t));
	int err = t ? fa_forks_new(&t->forks) : -ENOMEM;

	if (err < 0) {
		free(t);
		return err;
	}
	t->loop = l;
	t->online = online;
	*ret = t;
	return 0;
}

void fa_tasks_free(struct fa_tasks *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		ring_free(t, t->ring[i]);
	free(t->ring);
	fa_forks_free(t->forks);
	free(t);
}

uint64_t fa_tasks_lost(const struct fa_tasks *t)
{
	return t->lost;
}
