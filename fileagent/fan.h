/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fan.h - fanotify, and only here: groups, marks, events, answers
 *
 * Two or three groups: permissions (pre-content class, so that a denial can carry an errno; the
 * content class where the kernel is older than 6.14; unlimited queue: an overflow of it would be
 * an allow), notifications of CLOSE_WRITE (a group of its own: 16,000 unread ones would else make
 * the next permission event allowed unasked), and FIM (directory handles and names).
 * Event descriptors are O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_LARGEFILE: a write lease that someone holds
 * makes that one opener fail instead of freezing us. Headers of older systems lack some constants:
 * they are defined in fan.c. Source: fanotify(7), fanotify_init(2), fanotify_mark(2).
 */
#ifndef FILEAGENT_FAN_H
#define FILEAGENT_FAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "lib/base/err.h"

enum fan_kind { FAN_PERM_GROUP, FAN_NOTIFY_GROUP, FAN_FIM_GROUP };

#define FAN_EV_OPEN 1u
#define FAN_EV_EXEC 2u
#define FAN_EV_CLOSE_WRITE 4u
#define FAN_EV_OVERFLOW 8u
#define FAN_EV_CREATE 16u
#define FAN_EV_DELETE 32u
#define FAN_EV_RENAME 64u
#define FAN_EV_ATTRIB 128u
#define FAN_EV_MODIFY 256u
#define FAN_EV_DIR 512u

#define FAN_GONE (-2) /* in place of a pidfd: the process had ended when its event was read */

struct fan_event {
	uint32_t what; /* FAN_EV_* */
	int fd;	       /* PERM, NOTIFY: owned by the caller; -1 with OVERFLOW and in FIM */
	int pidfd;     /* owned; -1: not told; FAN_GONE */
	pid_t pid;     /* 0: outside our pid namespace */
	/* FIM: handles of the directory (and of the new one, for a rename) and the names in it */
	struct fan_name {
		uint8_t handle[128 + 8]; /* struct file_handle */
		size_t handle_len;
		char name[256];
	} from, to;
	uint8_t obj[128 + 8]; /* of the file itself, where the kernel says it: hard links */
	size_t obj_len;
	uint64_t fsid;
};

/*
 * @ret_able: of FAN_PERM_GROUP: denials may carry an errno (6.14 and later); of FAN_NOTIFY_GROUP:
 * an event whose file cannot be opened comes all the same (6.13), so that fan_take() loses none
 */
GI_MUST_CHECK int fan_group_new(enum fan_kind kind, bool pidfds, int *ret_fd, bool *ret_able);
/* the whole file system that @path is on */
GI_MUST_CHECK int fan_watch(int group, const char *path, uint32_t what);
/* these events no more; ignore marks of inodes stay */
GI_MUST_CHECK int fan_unwatch(int group, const char *path, uint32_t what);
/* what the group watches now, a call for each file system; from /proc/self/fdinfo */
GI_MUST_CHECK int fan_watched(
	int group, void (*each)(void *arg, dev_t dev, uint32_t what), void *arg);
/* an inode or directory that the kernel itself is to leave out (what: FAN_EV_OPEN...) */
GI_MUST_CHECK int fan_exclude(int group, const char *path, bool children, uint32_t what);
/* evictable ignore mark on an open file: no more permission events until it is written to */
GI_MUST_CHECK int fan_ignore(int group, int fd);
GI_MUST_CHECK int fan_unignore(int group, int fd);
GI_MUST_CHECK int fan_ignore_flush(int group); /* all ignore marks of inodes */

/*
 * fan_next - one event (one a read: whatever a read returns takes descriptors)
 * Errors: -EAGAIN (none waits), -EMFILE/-ENFILE (the kernel has denied that opener), -EPERM and
 *         others: that event is lost to us, the kernel has denied it; read on
 */
GI_MUST_CHECK int fan_next(int group, enum fan_kind kind, struct fan_event *ret);

#define FAN_BATCH 64
struct fan_batch { /* all zero at first; what was read and not taken yet has open descriptors */
	size_t at, len;
	uint64_t data[FAN_BATCH * 4];
};
/*
 * fan_take - the next event of a FAN_NOTIFY_GROUP that is able (fan_group_new()); one read gets
 * many ret->fd: -1 without FAN_EV_OVERFLOW: that file could not be opened Errors: -EAGAIN (none
 * waits), others: nothing was lost
 */
GI_MUST_CHECK int fan_take(int group, struct fan_batch *b, struct fan_event *ret);
/* @err: 0 allow, else deny with that errno where errno_ok, EPERM where not. -ENOENT: not waiting */
GI_MUST_CHECK int fan_answer(int group, int fd, int err, bool errno_ok);

#endif
