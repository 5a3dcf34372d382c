/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_own.c - whose our table is: made with an owner, adopted when its owners have died
 *
 * Runs in gi-netagent's pusher, over the socket that the keeper holds: the kernel lets nobody but
 * the owner's socket change the table, nor flush it, and with the flag persist it stays when the
 * last holder of that socket has died: an orphan, which enforces as before, may be changed by
 * anyone, and is adopted by the first of us to come. A table that somebody else owns is left alone
 * and told; so is one without flags, which nobody can give an owner as it
 * stands.
 * Source: docs/adr/0016, nf_tables_updtable() in Linux 6.9.
 */
#include "fw/push.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "fw/push_int.h"
#include "fw/render_int.h"

#define OURS (FW_OWNER | FW_PERSIST)
#define TRY_NS 20000000L /* a process that was killed holds its sockets for a moment */
#define TRIES 100

int fw_own_open(int *ret_fd)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		rc = -errno;
		(void)close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

enum fw_owned fw_push_owned(const struct fw_push *p)
{
	return p->owned;
}

const char *fw_owned_text(enum fw_owned owned)
{
	switch (owned) {
	case FW_OWNED_OTHER:
		return "table " FW_TABLE " belongs to another process: rules cannot be changed; "
		       "end that process, or boot";
	case FW_OWNED_PLAIN:
		return "table " FW_TABLE " was made without an owner, others can change it; stop "
		       "us, gi-netagent --remove-rules, start us";
	case FW_OWNED_OLD:
		return "this kernel has no tables with an owner (Linux 6.9 has): changes by others "
		       "are repaired, not prevented";
	default:
		return "";
	}
}

/* kernels before 5.12 say EINVAL to flags they do not know, later ones EOPNOTSUPP */
static bool knows_not(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP;
}

static bool is_orphan(const struct fw_table *t)
{
	return t->there && (t->flags & FW_PERSIST) && !(t->flags & FW_OWNER);
}

static bool is_others(const struct fw_push *p, const struct fw_table *t)
{
	return t->there && (t->flags & FW_OWNER) && t->owner != fw_mnl_portid(p->mnl);
}

static int make(struct fw_push *p)
{
	int rc = -EOPNOTSUPP;

	if (p->own) {
		rc = fw_mnl_set_table(p->mnl, OURS);
		p->owned = rc == 0 ? FW_OWNED_US : FW_OWNED_OLD;
	}
	return knows_not(rc) ? fw_mnl_set_table(p->mnl, 0) : rc;
}

/* ours, an orphan's or nobody's: awake, and with us as its owner where that can be */
static int take(struct fw_push *p, const struct fw_table *t)
{
	bool mine = t->flags & FW_OWNER;
	uint32_t flags = t->flags & ~FW_DORMANT;
	int rc;

	if (p->own && (mine || is_orphan(t)))
		flags |= FW_OWNER;
	rc = flags == t->flags ? 0 : fw_mnl_set_table(p->mnl, flags);
	if (rc == 0)
		p->owned = flags & FW_OWNER	      ? FW_OWNED_US
			   : !p->own		      ? FW_OWNED_OFF
			   : p->owned == FW_OWNED_OLD ? FW_OWNED_OLD
						      : FW_OWNED_PLAIN;
	return rc;
}

int fw_own_adopt(struct fw_push *p)
{
	struct fw_table t;
	int rc = fw_table_read(p->mnl, &t);

	if (rc < 0)
		return rc;
	if (is_others(p, &t)) {
		p->owned = FW_OWNED_OTHER;
		return -EPERM;
	}
	if (p->own && is_orphan(&t))
		return take(p, &t);
	if (p->owned == FW_OWNED_OTHER)
		p->owned = FW_OWNED_OFF;
	return 0;
}

int fw_own_prepare(struct fw_push *p)
{
	struct timespec pause = { .tv_nsec = TRY_NS };
	struct fw_table t;
	int rc;

	for (int i = 0;; i++) {
		rc = fw_table_read(p->mnl, &t);
		if (rc < 0)
			return rc;
		if (!is_others(p, &t))
			break;
		if (p->owned == FW_OWNED_OTHER || i == TRIES) {
			p->owned = FW_OWNED_OTHER;
			return -EPERM;
		}
		(void)nanosleep(&pause, NULL);
	}
	return t.there ? take(p, &t) : make(p);
}
