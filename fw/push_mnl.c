/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_mnl.c - set elements into the kernel over one long-lived netlink socket (libmnl, libnftnl)
 *
 * The hot path of the pusher process: a login is a handful of element changes in one batch, 1.4 us
 * in the kernel whatever the sets hold. A batch is one sendmsg(2), since the kernel takes a
 * transaction from one buffer; all answers are queued when it returns. Also reads back what stands.
 * Invariant: between two calls nothing of ours is unread on the socket; answers are matched by
 * sequence number all the same.
 */
#include "fw/push_int.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Linux 6.3; not in Debian 12's headers */
#define MSG_DESTROYSETELEM 30
#define BATCH_BYTES (512u * 1024)
/* an attribute's length has 16 bits: a message's list of elements ends well before */
#define LIST_BYTES 48000
#define ELEM_BYTES 120 /* more than one element takes, with all its headers */
#define MSG_BYTES 512  /* more than a message takes beside its elements */
#define REPLY_BYTES 32768
#define DRAIN_MAX (1 << 20) /* messages; a dump of all that fits is fewer */

struct fw_mnl {
	struct mnl_socket *nl; /* owned */
	uint32_t seq, portid;
	bool destroy;	/* the kernel knows DESTROYSETELEM */
	bool update;	/* ... and gives an element that is there a new timeout */
	uint8_t *buf;	/* owned, BATCH_BYTES */
	uint8_t *reply; /* owned, REPLY_BYTES */
	/* the batch that is being put together */
	size_t len;
	struct nlmsghdr *msg; /* open message, NULL none */
	struct nlattr *list;  /* its list of elements */
	bool msg_del;
	char msg_set[64];
	int err;
};

static int probe_destroy(struct fw_mnl *m);
static void batch_close_msg(struct fw_mnl *m);
static void batch_open_msg(struct fw_mnl *m, const char *table, const char *set, uint16_t type);
static int batch_recv(struct fw_mnl *m, uint32_t first);

/*
 * By its number: older kernels take such a change without a word and do nothing, so there is
 * nothing to try. Where a vendor has brought it to an older one, the longer way is right too.
 */
static bool kernel_at_least(unsigned int major, unsigned int minor)
{
	unsigned int have[2] = { 0, 0 };
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &have[0], &have[1]) != 2)
		return false;
	return have[0] > major || (have[0] == major && have[1] >= minor);
}

/*
 * A predecessor may have been killed with answers on their way, in the midst of a dump, or with the
 * socket switched to non-blocking: each read lets the kernel go on with the dump, to its end.
 */
static int drain(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	char byte;

	for (int i = 0; i < DRAIN_MAX; i++) {
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == EINTR ||
			errno == ENOBUFS)
			continue;
		if (errno != EAGAIN)
			return -errno;
		return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
	}
	return -EBUSY;
}

static struct mnl_socket *open_socket(int fd)
{
	struct mnl_socket *nl;
	int rc;

	if (fd < 0) {
		rc = fw_own_open(&fd);
		if (rc < 0) {
			errno = -rc;
			return NULL;
		}
	}
	rc = drain(fd);
	nl = rc == 0 ? mnl_socket_fdopen(fd) : NULL;
	if (!nl) {
		rc = rc < 0 ? -rc : errno;
		(void)close(fd);
		errno = rc;
	}
	return nl;
}

int fw_mnl_new(int fd, struct fw_mnl **ret, char ret_why[FW_WHY_MAX])
{
	struct fw_mnl *m = calloc(1, sizeof(*m));
	int bytes = 2 * BATCH_BYTES, one = 1, rc = -ENOMEM;

	if (!m) {
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	m->nl = open_socket(fd);
	if (!m->nl) {
		rc = -errno;
		snprintf(ret_why, FW_WHY_MAX, "netlink socket: %s", gi_strerror(rc));
		goto out;
	}
	m->buf = malloc(BATCH_BYTES);
	m->reply = malloc(REPLY_BYTES);
	if (!m->buf || !m->reply)
		goto out;
	m->portid = mnl_socket_get_portid(m->nl);
	m->update = kernel_at_least(6, 12);
	fd = mnl_socket_get_fd(m->nl);
	/* without the privilege to force it, the system's ceiling: smaller deltas only */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	/* an error answer need not carry the batch back */
	(void)mnl_socket_setsockopt(m->nl, NETLINK_CAP_ACK, &one, sizeof(one));
	rc = probe_destroy(m);
	if (rc < 0)
		snprintf(ret_why, FW_WHY_MAX, "nf_tables: %s", gi_strerror(rc));
out:
	if (rc < 0) {
		fw_mnl_free(m);
		return rc;
	}
	*ret = m;
	return 0;
}

void fw_mnl_free(struct fw_mnl *m)
{
	if (!m)
		return;
	if (m->nl)
		mnl_socket_close(m->nl);
	free(m->buf);
	free(m->reply);
	free(m);
}

int fw_mnl_fd(const struct fw_mnl *m)
{
	return mnl_socket_get_fd(m->nl);
}

uint32_t fw_mnl_portid(const struct fw_mnl *m)
{
	return m->portid;
}

bool fw_mnl_has_destroy(const struct fw_mnl *m)
{
	return m->destroy;
}

bool fw_mnl_has_update(const struct fw_mnl *m)
{
	return m->update;
}

void fw_mnl_without_destroy(struct fw_mnl *m)
{
	m->destroy = false;
	m->update = false;
}

/* ---- batches ---- */

static uint8_t *batch_end(struct fw_mnl *m)
{
	return m->buf + m->len;
}

void fw_mnl_begin(struct fw_mnl *m)
{
	struct nlmsghdr *h;

	m->err = 0;
	m->msg = NULL;
	m->len = 0;
	h = nftnl_batch_begin((char *)m->buf, ++m->seq);
	m->len = h->nlmsg_len;
}

static void batch_open_msg(struct fw_mnl *m, const char *table, const char *set, uint16_t type)
{
	m->msg = nftnl_nlmsg_build_hdr((char *)batch_end(m), type, NFPROTO_INET,
		type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, ++m->seq);
	mnl_attr_put_strz(m->msg, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(m->msg, NFTA_SET_ELEM_LIST_SET, set);
	m->list = mnl_attr_nest_start(m->msg, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void batch_close_msg(struct fw_mnl *m)
{
	if (!m->msg)
		return;
	if (m->list)
		mnl_attr_nest_end(m->msg, m->list);
	m->len += m->msg->nlmsg_len;
	m->msg = NULL;
}

/* @values: not only the key */
static void put_elem(struct nlmsghdr *msg, const struct fw_raw *e, bool map, bool values)
{
	struct nlattr *elem = mnl_attr_nest_start(msg, NFTA_LIST_ELEM);
	struct nlattr *part = mnl_attr_nest_start(msg, NFTA_SET_ELEM_KEY);

	mnl_attr_put(msg, NFTA_DATA_VALUE, e->key_len, e->key);
	mnl_attr_nest_end(msg, part);
	if (map && values) {
		part = mnl_attr_nest_start(msg, NFTA_SET_ELEM_DATA);
		mnl_attr_put(msg, NFTA_DATA_VALUE, sizeof(e->data), &e->data);
		mnl_attr_nest_end(msg, part);
	}
	if (values && e->timeout_ms > 0) {
		mnl_attr_put_u64(msg, NFTA_SET_ELEM_TIMEOUT, htobe64(e->timeout_ms));
		/* what is left of it: else one that is there would keep what it has left */
		mnl_attr_put_u64(msg, NFTA_SET_ELEM_EXPIRATION,
			htobe64(e->left_ms ? e->left_ms : e->timeout_ms));
	}
	mnl_attr_nest_end(msg, elem);
}

void fw_mnl_change(
	struct fw_mnl *m, const char *set, enum fw_change how, const struct fw_raw *e, bool map)
{
	bool del = how == FW_CHANGE_DEL;
	uint16_t type = !del	     ? NFT_MSG_NEWSETELEM
			: m->destroy ? MSG_DESTROYSETELEM
				     : NFT_MSG_DELSETELEM;

	if (m->err < 0)
		return;
	if (m->msg && (m->msg_del != del || strcmp(m->msg_set, set) != 0 ||
			      m->msg->nlmsg_len + ELEM_BYTES > LIST_BYTES))
		batch_close_msg(m);
	if (m->len + (m->msg ? m->msg->nlmsg_len : 0) + MSG_BYTES + ELEM_BYTES > BATCH_BYTES) {
		m->err = -GI_ELIMIT;
		return;
	}
	if (!m->msg) {
		if (gi_text_copy(m->msg_set, sizeof(m->msg_set), set) < 0) {
			m->err = -GI_ELIMIT;
			return;
		}
		m->msg_del = del;
		batch_open_msg(m, FW_TABLE, set, type);
	}
	put_elem(m->msg, e, map, !del);
}

/* no answer is asked for: sendmsg(2) returns when the kernel is done, and only errors are queued */
int fw_mnl_commit(struct fw_mnl *m)
{
	uint32_t first;
	ssize_t n;

	if (m->err < 0)
		return m->err;
	if (!m->msg)
		return 0; /* nothing in it */
	first = ((struct nlmsghdr *)(void *)m->buf)->nlmsg_seq;
	batch_close_msg(m);
	m->len += nftnl_batch_end((char *)batch_end(m), ++m->seq)->nlmsg_len;
	do
		n = mnl_socket_sendto(m->nl, m->buf, m->len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : batch_recv(m, first);
}

/*
 * An error for each message that failed; none: committed. When the queue overflowed or memory ran
 * out there were errors too, so most likely nothing was committed, but the caller is told that
 * nobody knows.
 */
static int batch_recv(struct fw_mnl *m, uint32_t first)
{
	int rc = 0;

	for (;;) {
		ssize_t n = recv(mnl_socket_get_fd(m->nl), m->reply, REPLY_BYTES, MSG_DONTWAIT);
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)m->reply;
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? rc : -errno;
		for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type == NLMSG_ERROR &&
				h->nlmsg_seq - first <= m->seq - first && rc == 0)
				rc = e->error;
		}
	}
}

/* a removal from a table that is not there: ENOENT when the kernel knows the message */
static int probe_destroy(struct fw_mnl *m)
{
	struct fw_raw e = { .key_len = 4 };
	int rc;

	fw_mnl_begin(m);
	batch_open_msg(m, "idfw-no-such-table", "none", MSG_DESTROYSETELEM);
	put_elem(m->msg, &e, false, false);
	rc = fw_mnl_commit(m);
	m->destroy = rc == -ENOENT || rc == 0;
	return rc == -EPERM || rc == -ENOBUFS ? rc : 0;
}

/* a transaction of one message about our table */
static int table_commit(struct fw_mnl *m, uint16_t type, uint16_t flags, const uint32_t *value)
{
	fw_mnl_begin(m);
	m->msg = nftnl_nlmsg_build_hdr((char *)batch_end(m), type, NFPROTO_INET, flags, ++m->seq);
	mnl_attr_put_strz(m->msg, NFTA_TABLE_NAME, FW_TABLE);
	if (value)
		mnl_attr_put_u32(m->msg, NFTA_TABLE_FLAGS, htonl(*value));
	m->list = NULL;
	return fw_mnl_commit(m);
}

int fw_mnl_set_table(struct fw_mnl *m, uint32_t flags)
{
	return table_commit(m, NFT_MSG_NEWTABLE, NLM_F_CREATE, &flags);
}

int fw_mnl_delete_table(struct fw_mnl *m)
{
	return table_commit(m, NFT_MSG_DELTABLE, 0, NULL);
}

int fw_mnl_delete_set(struct fw_mnl *m, const char *set)
{
	fw_mnl_begin(m);
	m->msg = nftnl_nlmsg_build_hdr(
		(char *)batch_end(m), NFT_MSG_DELSET, NFPROTO_INET, 0, ++m->seq);
	mnl_attr_put_strz(m->msg, NFTA_SET_TABLE, FW_TABLE);
	mnl_attr_put_strz(m->msg, NFTA_SET_NAME, set);
	m->list = NULL;
	return fw_mnl_commit(m);
}

/* ---- dumps ---- */

static int attr_table_is_ours(const struct nlattr *a)
{
	return mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 &&
	       strcmp(mnl_attr_get_str(a), FW_TABLE) == 0;
}

struct objects_arg {
	int (*cb)(void *arg, enum fw_object kind, const char *name);
	void *arg;
	enum fw_object kind;
	int rc;
};

/* GETCHAIN's and GETSET's answers: table is attribute 1 in both */
static int on_object(const struct nlmsghdr *h, void *data)
{
	struct objects_arg *a = data;
	uint16_t name_type = a->kind == FW_OBJ_CHAIN ? NFTA_CHAIN_NAME : NFTA_SET_NAME;
	const char *name = NULL;
	uint32_t flags = 0;
	bool ours = false;
	struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(at);

		if (type == NFTA_CHAIN_TABLE)
			ours = attr_table_is_ours(at);
		else if (type == name_type && mnl_attr_validate(at, MNL_TYPE_NUL_STRING) >= 0)
			name = mnl_attr_get_str(at);
		else if (a->kind != FW_OBJ_CHAIN && type == NFTA_SET_FLAGS &&
			 mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			flags = ntohl(mnl_attr_get_u32(at));
	}
	if (!ours || !name || (flags & NFT_SET_ANONYMOUS))
		return MNL_CB_OK;
	a->rc = a->cb(a->arg, flags & NFT_SET_MAP ? FW_OBJ_MAP : a->kind, name);
	return a->rc < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

int fw_mnl_objects(
	struct fw_mnl *m, int (*cb)(void *arg, enum fw_object kind, const char *name), void *arg)
{
	struct objects_arg a = { .cb = cb, .arg = arg, .kind = FW_OBJ_CHAIN };
	int rc = fw_mnl_dump(m, NFT_MSG_GETCHAIN, FW_TABLE, NULL, on_object, &a);

	if (rc == 0) {
		a.kind = FW_OBJ_SET;
		rc = fw_mnl_dump(m, NFT_MSG_GETSET, FW_TABLE, NULL, on_object, &a);
	}
	return a.rc < 0 ? a.rc : rc;
}

struct elems_arg {
	int (*cb)(void *arg, const struct fw_raw *e);
	void *arg;
	int rc;
};

/* NFTA_DATA_VALUE of @nest, exactly or at most @max bytes long; 0 when it is not so */
static uint8_t get_value(const struct nlattr *nest, void *dst, size_t max)
{
	struct nlattr *at;

	mnl_attr_for_each_nested(at, nest)
	{
		uint16_t len = mnl_attr_get_payload_len(at);

		if (mnl_attr_get_type(at) == NFTA_DATA_VALUE && len <= max) {
			memcpy(dst, mnl_attr_get_payload(at), len);
			return (uint8_t)len;
		}
	}
	return 0;
}

static int on_elem(const struct nlattr *elem, struct elems_arg *a)
{
	struct fw_raw e = { .key_len = 0 };
	struct nlattr *at;

	mnl_attr_for_each_nested(at, elem)
	{
		if (mnl_attr_get_type(at) == NFTA_SET_ELEM_KEY)
			e.key_len = get_value(at, e.key, sizeof(e.key));
		else if (mnl_attr_get_type(at) == NFTA_SET_ELEM_DATA)
			(void)get_value(at, &e.data, sizeof(e.data));
		else if (mnl_attr_get_type(at) == NFTA_SET_ELEM_TIMEOUT &&
			 mnl_attr_validate(at, MNL_TYPE_U64) >= 0)
			e.timeout_ms = be64toh(mnl_attr_get_u64(at));
	}
	return e.key_len ? a->cb(a->arg, &e) : 0;
}

static int on_elems(const struct nlmsghdr *h, void *data)
{
	struct elems_arg *a = data;
	struct nlattr *at, *elem;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(at) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(elem, at)
		{
			a->rc = on_elem(elem, a);
			if (a->rc < 0)
				return MNL_CB_ERROR;
		}
	}
	return MNL_CB_OK;
}

int fw_mnl_elems(
	struct fw_mnl *m, const char *set, int (*cb)(void *arg, const struct fw_raw *e), void *arg)
{
	struct elems_arg a = { .cb = cb, .arg = arg };
	int rc = fw_mnl_dump(m, NFT_MSG_GETSETELEM, FW_TABLE, set, on_elems, &a);

	return a.rc < 0 ? a.rc : rc == -ENOENT ? 0 : rc;
}

/* reads to the end, also after @cb refused: a socket has one dump at a time */
static int dump_recv(struct fw_mnl *m, uint32_t seq, fw_mnl_cb *cb, void *arg)
{
	bool refused = false, changed = false;

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(m->nl, m->reply, REPLY_BYTES);
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)m->reply;
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
			if (h->nlmsg_seq != seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
			changed = changed || (h->nlmsg_flags & NLM_F_DUMP_INTR);
			if (h->nlmsg_type == NLMSG_DONE)
				return changed ? -EINTR : 0;
			if (!refused && cb(h, arg) == MNL_CB_ERROR)
				refused = true;
		}
	}
}

static int ask(struct fw_mnl *m, struct nlmsghdr *h, fw_mnl_cb *cb, void *arg)
{
	if (mnl_socket_sendto(m->nl, h, h->nlmsg_len) < 0)
		return -errno;
	return dump_recv(m, h->nlmsg_seq, cb, arg);
}

int fw_mnl_dump(struct fw_mnl *m, uint16_t type, const char *table, const char *set, fw_mnl_cb *cb,
	void *arg)
{
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(
		(char *)m->buf, type, table ? NFPROTO_INET : NFPROTO_UNSPEC, NLM_F_DUMP, ++m->seq);

	if (table)
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table); /* 1 in all requests */
	if (set)
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	return ask(m, h, cb, arg);
}

int fw_mnl_generation(struct fw_mnl *m, fw_mnl_cb *cb, void *arg)
{
	return ask(m,
		nftnl_nlmsg_build_hdr(
			(char *)m->buf, NFT_MSG_GETGEN, NFPROTO_UNSPEC, NLM_F_ACK, ++m->seq),
		cb, arg);
}
