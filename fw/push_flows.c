/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_flows.c - marks that flows still carry when a ruleset comes that has not heard of them
 *
 * For gi-netagent --base on a machine that has been running: a table was removed, its flows' marks
 * are still in connection tracking, and no packet of such a flow would ever be judged again (a DHCP
 * server's answers are always the same flow). So the base ruleset leads these marks to its own.
 * Source: linux/netfilter/nfnetlink_conntrack.h; fw.h on REMARK.
 */
#include "fw/push.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_BYTES 65536
#define TRIES 4

struct marks {
	uint32_t *list; /* borrowed; sorted */
	size_t n, max;
};

/* what does not fit is left out */
static void marks_add(struct marks *m, uint32_t mark)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (m->list[mid] == mark)
			return;
		if (m->list[mid] < mark)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (m->n == m->max)
		return;
	memmove(&m->list[lo + 1], &m->list[lo], (m->n - lo) * sizeof(*m->list));
	m->list[lo] = mark;
	m->n++;
}

static int on_flow(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *at;
	uint32_t mark = 0;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return MNL_CB_OK;
	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(at) == CTA_MARK && mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			mark = ntohl(mnl_attr_get_u32(at));
	}
	if (mark != 0 && mark < FW_MARK_END)
		marks_add(arg, mark);
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, struct marks *m)
{
	char ask[128] = { 0 }, *reply = malloc(REPLY_BYTES);
	struct nlmsghdr *h = mnl_nlmsg_put_header(ask);
	struct nfgenmsg *g;
	int rc = MNL_CB_OK;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	if (!reply)
		return -ENOMEM;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		rc = MNL_CB_ERROR;
	while (rc == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(nl, reply, REPLY_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		rc = n < 0 ? MNL_CB_ERROR
			   : mnl_cb_run(reply, (size_t)n, 1, mnl_socket_get_portid(nl), on_flow, m);
	}
	free(reply);
	return rc == MNL_CB_STOP ? 0 : -errno;
}

static int dump_once(struct marks *m)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int rc;

	if (!nl)
		return -errno;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump(nl, m);
	mnl_socket_close(nl);
	return rc;
}

int fw_push_flow_marks(uint32_t *ret_marks, size_t max, size_t *ret_n)
{
	struct marks m = { .list = ret_marks, .max = max };
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++)
		rc = dump_once(&m); /* what a try found stays found */
	if (rc < 0)
		return rc;
	*ret_n = m.n;
	return 0;
}
