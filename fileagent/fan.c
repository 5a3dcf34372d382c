/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fan.c - fanotify, and only here, see fan.h
 *
 * The supervisor makes groups and marks (CAP_SYS_ADMIN), the worker reads and answers (nothing).
 * No state but the groups' descriptors. Invariant: whatever fan_next() does not hand out, it
 * closes. Source: fanotify(7), fanotify_init(2), fanotify_mark(2), fs/notify/fanotify in Linux.
 */
#include "fileagent/fan.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* headers of older systems lack these */
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200
#endif
#ifndef FAN_MARK_IGNORE
#define FAN_MARK_IGNORE 0x00000400
#endif
#ifndef FAN_REPORT_PIDFD
#define FAN_REPORT_PIDFD 0x00000080
#endif
#ifndef FAN_REPORT_FD_ERROR
#define FAN_REPORT_FD_ERROR 0x00002000
#endif
#ifndef FAN_NOPIDFD
#define FAN_NOPIDFD (-1)
#endif
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif
#define FAN_ERRNO_SHIFT 24

#define PERM_MASK (FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM)

/* one event of the two groups with descriptors fits, two never do */
#define FAN_ONE_EVENT (FAN_EVENT_METADATA_LEN + sizeof(struct fanotify_event_info_pidfd))
/* FIM: no event is smaller than this step, so a buffer that grows by it never takes two */
#define FIM_STEP 56
#define FIM_EVENT_MAX 2048

static const struct {
	uint32_t ours;
	uint64_t kernel;
} fan_bits[] = {
	{ FAN_EV_OPEN, FAN_OPEN_PERM },
	{ FAN_EV_EXEC, FAN_OPEN_EXEC_PERM },
	{ FAN_EV_CLOSE_WRITE, FAN_CLOSE_WRITE },
	{ FAN_EV_OVERFLOW, FAN_Q_OVERFLOW },
	{ FAN_EV_CREATE, FAN_CREATE },
	{ FAN_EV_DELETE, FAN_DELETE },
	{ FAN_EV_RENAME, FAN_RENAME },
	{ FAN_EV_ATTRIB, FAN_ATTRIB },
	{ FAN_EV_MODIFY, FAN_MODIFY },
	{ FAN_EV_DIR, FAN_ONDIR },
};

static uint64_t fan_mask(uint32_t what)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(fan_bits); i++)
		if (what & fan_bits[i].ours)
			mask |= fan_bits[i].kernel;
	return mask;
}

static int fan_mark(int group, unsigned int flags, uint64_t mask, int fd, const char *path)
{
	return fanotify_mark(group, flags, mask, fd, path) < 0 ? -errno : 0;
}

/* an answer for a number that nobody waits for: the kernel looks at the errno in it first */
static bool fan_takes_errno(int group)
{
	const struct fanotify_response r = { .fd = INT_MAX,
		.response = FAN_DENY | (uint32_t)EPERM << FAN_ERRNO_SHIFT };

	return write(group, &r, sizeof(r)) < 0 && errno == ENOENT;
}

int fan_group_new(enum fan_kind kind, bool pidfds, int *ret_fd, bool *ret_able)
{
	unsigned int flags = FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS;
	const unsigned int event_flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_LARGEFILE;
	int fd;

	if (kind == FAN_PERM_GROUP)
		flags |= FAN_CLASS_PRE_CONTENT | FAN_UNLIMITED_QUEUE;
	else if (kind == FAN_FIM_GROUP)
		flags |= FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_REPORT_FID;
	else
		flags |= FAN_CLASS_NOTIF;
	if (pidfds)
		flags |= FAN_REPORT_PIDFD;
	if (kind == FAN_NOTIFY_GROUP)
		flags |= FAN_REPORT_FD_ERROR;
	fd = fanotify_init(flags, event_flags);
	if (fd < 0 && errno == EINVAL && kind == FAN_NOTIFY_GROUP) {
		flags &= ~FAN_REPORT_FD_ERROR;
		fd = fanotify_init(flags, event_flags);
	}
	if (fd < 0)
		return -errno;
	if (ret_able)
		*ret_able = kind == FAN_PERM_GROUP ? fan_takes_errno(fd)
						   : (flags & FAN_REPORT_FD_ERROR) != 0;
	*ret_fd = fd;
	return 0;
}

int fan_watch(int group, const char *path, uint32_t what)
{
	return fan_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, fan_mask(what), AT_FDCWD, path);
}

int fan_unwatch(int group, const char *path, uint32_t what)
{
	return fan_mark(
		group, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, fan_mask(what), AT_FDCWD, path);
}

int fan_watched(int group, void (*each)(void *arg, dev_t dev, uint32_t what), void *arg)
{
	char path[64], line[512];
	unsigned int sdev, flags, mask;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", group);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		uint32_t what = 0;

		if (sscanf(line, "fanotify sdev:%x mflags:%x mask:%x", &sdev, &flags, &mask) != 3)
			continue;
		for (size_t i = 0; i < GI_ARRAY_SIZE(fan_bits); i++)
			if (mask & fan_bits[i].kernel)
				what |= fan_bits[i].ours;
		each(arg, makedev(sdev >> 20, sdev & 0xfffff), what); /* the kernel's MKDEV() */
	}
	(void)fclose(f);
	return 0;
}

int fan_exclude(int group, const char *path, bool children, uint32_t what)
{
	uint64_t mask = fan_mask(what) | (children ? FAN_EVENT_ON_CHILD | FAN_ONDIR : 0);

	return fan_mark(group,
		FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY |
			FAN_MARK_DONT_FOLLOW,
		mask, AT_FDCWD, path);
}

int fan_ignore(int group, int fd)
{
	return fan_mark(
		group, FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_EVICTABLE, PERM_MASK, fd, NULL);
}

int fan_unignore(int group, int fd)
{
	return fan_mark(group, FAN_MARK_REMOVE | FAN_MARK_IGNORE, PERM_MASK, fd, NULL);
}

int fan_ignore_flush(int group)
{
	return fan_mark(group, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
}

int fan_answer(int group, int fd, int err, bool errno_ok)
{
	struct fanotify_response r = { .fd = fd, .response = FAN_ALLOW };
	ssize_t n;

	if (err)
		r.response = FAN_DENY | (errno_ok ? (uint32_t)(err & 0xff) << FAN_ERRNO_SHIFT : 0);
	do {
		n = write(group, &r, sizeof(r));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- events ---- */

/* @p: an info record of DFID_NAME kind, @len bytes; false: it does not add up */
static bool fan_name_read(const uint8_t *p, size_t len, struct fan_name *ret, uint64_t *ret_fsid)
{
	const struct fanotify_event_info_fid *fid = (const void *)p;
	const size_t head = offsetof(struct fanotify_event_info_fid, handle);
	struct file_handle h;
	size_t handle, name;

	if (len < head + sizeof(h))
		return false;
	memcpy(&h, p + head, sizeof(h));
	handle = sizeof(h) + h.handle_bytes;
	if (h.handle_bytes > sizeof(ret->handle) - sizeof(h) || len < head + handle)
		return false;
	name = strnlen((const char *)p + head + handle, len - head - handle);
	if (name >= sizeof(ret->name))
		return false;
	memcpy(ret_fsid, &fid->fsid, sizeof(*ret_fsid));
	memcpy(ret->handle, p + head, handle);
	ret->handle_len = handle;
	memcpy(ret->name, p + head + handle, name);
	ret->name[name] = '\0';
	return true;
}

static void fan_infos(const uint8_t *p, size_t len, struct fan_event *ret)
{
	struct fanotify_event_info_header h;
	struct fan_name obj;

	for (; len >= sizeof(h); p += h.len, len -= h.len) {
		memcpy(&h, p, sizeof(h));
		if (h.len < sizeof(h) || h.len > len)
			return;
		switch (h.info_type) {
		case FAN_EVENT_INFO_TYPE_PIDFD:
			if (h.len >= sizeof(struct fanotify_event_info_pidfd)) {
				memcpy(&ret->pidfd,
					p + offsetof(struct fanotify_event_info_pidfd, pidfd),
					sizeof(ret->pidfd));
				if (ret->pidfd < 0) /* ESRCH: with FAN_REPORT_FD_ERROR */
					ret->pidfd =
						ret->pidfd == FAN_NOPIDFD || ret->pidfd == -ESRCH
							? FAN_GONE
							: -1;
			}
			break;
		case FAN_EVENT_INFO_TYPE_DFID_NAME:
		case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
			(void)fan_name_read(p, h.len, &ret->from, &ret->fsid);
			break;
		case FAN_EVENT_INFO_TYPE_FID:
			if (fan_name_read(p, h.len, &obj, &ret->fsid)) {
				memcpy(ret->obj, obj.handle, obj.handle_len);
				ret->obj_len = obj.handle_len;
			}
			break;
		case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
			(void)fan_name_read(p, h.len, &ret->to, &ret->fsid);
			break;
		default:
			break;
		}
	}
}

static void fan_parse(const uint8_t *buf, size_t len, struct fan_event *ret)
{
	struct fanotify_event_metadata m;

	memcpy(&m, buf, sizeof(m));
	*ret = (struct fan_event){ .fd = m.fd >= 0 ? m.fd : -1, .pidfd = -1, .pid = m.pid };
	for (size_t i = 0; i < GI_ARRAY_SIZE(fan_bits); i++)
		if (m.mask & fan_bits[i].kernel)
			ret->what |= fan_bits[i].ours;
	if (m.event_len <= len && m.metadata_len <= m.event_len)
		fan_infos(buf + m.metadata_len, m.event_len - m.metadata_len, ret);
}

int fan_next(int group, enum fan_kind kind, struct fan_event *ret)
{
	union {
		struct fanotify_event_metadata align;
		uint8_t bytes[FIM_EVENT_MAX];
	} buf;
	size_t size = kind == FAN_FIM_GROUP ? FIM_STEP : FAN_ONE_EVENT;
	ssize_t n;

	for (;;) {
		n = read(group, buf.bytes, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && kind == FAN_FIM_GROUP &&
			size + FIM_STEP <= sizeof(buf)) {
			size += FIM_STEP;
			continue;
		}
		break;
	}
	if (n < 0)
		return -errno;
	if ((size_t)n < FAN_EVENT_METADATA_LEN || buf.align.vers != FANOTIFY_METADATA_VERSION)
		return n == 0 ? -EAGAIN : -EPROTO;
	fan_parse(buf.bytes, (size_t)n, ret);
	return 0;
}

int fan_take(int group, struct fan_batch *b, struct fan_event *ret)
{
	const uint8_t *bytes = (const uint8_t *)b->data;
	struct fanotify_event_metadata m;
	ssize_t n;

	if (b->at == b->len) {
		do {
			n = read(group, b->data, sizeof(b->data));
		} while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n < 0 ? -errno : -EAGAIN;
		b->at = 0;
		b->len = (size_t)n;
	}
	if (b->len - b->at < FAN_EVENT_METADATA_LEN)
		goto out_of_step;
	memcpy(&m, bytes + b->at, sizeof(m));
	if (m.vers != FANOTIFY_METADATA_VERSION || m.event_len < FAN_EVENT_METADATA_LEN ||
		m.event_len > b->len - b->at)
		goto out_of_step;
	fan_parse(bytes + b->at, m.event_len, ret);
	b->at += m.event_len;
	return 0;
out_of_step: /* the kernel speaks another language: nothing can be made of the rest */
	b->at = b->len;
	return -EPROTO;
}
