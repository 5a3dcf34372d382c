/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_diag.c - connections of who is not anybody any more, ended in the kernel (SOCK_DESTROY)
 *
 * Runs in gi-netagent's pusher process, where a ruleset revokes by reset: an application whose
 * connection is idle would hear of it with its next packet only. When subjects (cgroups, uids) have
 * ended, the sockets of this network namespace are listed by sock_diag, those of the subjects
 * are looked up in conntrack, and those whose flow has a mark that is neither live nor an old epoch
 * are destroyed: the owner gets ECONNABORTED, the peer a reset. So what is open to everybody stays,
 * and what goes over loopback too (its mark is not ours to end). A socket's cgroup may lie below
 * the one that ended (a user's container): sock_diag does not tell what it is inside of, so sockets
 * of cgroups that are no subject themselves are looked up too, behind the others; their flow's mark
 * says it. A helper beside the rules, which cut every packet without it: where the kernel cannot do
 * it nothing more happens than that.
 */
#include "fw/push_int.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define ENDED_MAX 256  /* subjects; more: every socket is looked at */
#define FOUND_MAX 4096 /* sockets that are looked up; what is left is cut by packets */
#define STEP_MAX 256   /* in one step: some 2 ms */
#define REPLY_BYTES 32768
/* states of connections that are there, or on their way */
#define STATES                                                                                   \
	(1u << TCP_ESTABLISHED | 1u << TCP_SYN_SENT | 1u << TCP_SYN_RECV | 1u << TCP_FIN_WAIT1 | \
		1u << TCP_FIN_WAIT2 | 1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK |                \
		1u << TCP_CLOSING)

static const struct {
	uint8_t family, proto;
} kinds[] = {
	{ AF_INET, IPPROTO_TCP },
	{ AF_INET6, IPPROTO_TCP },
	{ AF_INET, IPPROTO_UDP },
	{ AF_INET6, IPPROTO_UDP },
};

struct found {
	struct inet_diag_sockid id;
	uint8_t family, proto;
};

struct fw_diag {
	struct fw_key ended[ENDED_MAX];
	size_t n_ended;
	bool all;		      /* there were more */
	bool below;		      /* a cgroup is among them */
	bool off;		      /* the kernel cannot */
	size_t kind;		      /* the next to be listed */
	struct mnl_socket *diag, *ct; /* owned; NULL until they are needed */
	uint32_t seq;
	const struct fw_state *state; /* borrowed for one step */
	struct found *found;	      /* owned; of one kind; what is surely of them first */
	size_t n_found, n_sure, at;
	char reply[REPLY_BYTES];
};

static int list_sockets(struct fw_diag *d);
static bool is_dead(struct fw_diag *d, const struct found *f);
static void destroy(struct fw_diag *d, const struct found *f);

int fw_diag_new(struct fw_diag **ret)
{
	struct fw_diag *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	*ret = d;
	return 0;
}

void fw_diag_free(struct fw_diag *d)
{
	if (!d)
		return;
	if (d->diag)
		mnl_socket_close(d->diag);
	if (d->ct)
		mnl_socket_close(d->ct);
	free(d->found);
	free(d);
}

void fw_diag_ended(struct fw_diag *d, const struct fw_key *who)
{
	if (d->off)
		return;
	d->kind = d->at = d->n_found = 0; /* those that were looked for meanwhile once more */
	if (who->set == FW_CG_MARK)
		d->below = true;
	if (d->n_ended == ENDED_MAX)
		d->all = true;
	else
		d->ended[d->n_ended++] = *who;
}

bool fw_diag_waits(const struct fw_diag *d)
{
	return d->n_ended > 0 && !d->off;
}

static int open_sockets(struct fw_diag *d)
{
	if (!d->found)
		d->found = calloc(FOUND_MAX, sizeof(*d->found));
	if (!d->diag)
		d->diag = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!d->ct)
		d->ct = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	return d->found && d->diag && d->ct ? 0 : -1;
}

bool fw_diag_step(struct fw_diag *d, const struct fw_state *s)
{
	int rc = open_sockets(d);

	d->state = s;
	if (rc == 0 && d->at == d->n_found) {
		d->at = d->n_found = d->n_sure = 0;
		rc = list_sockets(d);
		d->kind++;
	}
	for (size_t n = 0; rc == 0 && n < STEP_MAX && d->at < d->n_found; n++, d->at++)
		if (is_dead(d, &d->found[d->at]))
			destroy(d, &d->found[d->at]);
	if (rc < 0 || (d->kind == GI_ARRAY_SIZE(kinds) && d->at == d->n_found)) {
		d->n_ended = d->kind = d->at = d->n_found = 0;
		d->all = d->below = false;
	}
	d->state = NULL;
	return fw_diag_waits(d);
}

/* one request, and its answers to @cb; 0, the kernel's -errno */
static int ask(struct fw_diag *d, struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	unsigned int portid = mnl_socket_get_portid(nl);

	h->nlmsg_seq = ++d->seq;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl, d->reply, sizeof(d->reply));
		int more;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		more = mnl_cb_run(d->reply, (size_t)n, h->nlmsg_seq, portid, cb, arg);
		if (more < 0)
			return -errno;
		if (more == MNL_CB_STOP)
			return 0;
	}
}

/* ---- which sockets ---- */

static bool is_ended(const struct fw_diag *d, uint32_t uid, uint64_t cgroup)
{
	for (size_t i = 0; i < d->n_ended && !d->all; i++) {
		const struct fw_key *k = &d->ended[i];

		if (k->set == FW_UID_MARK ? fw_key_u32(k) == uid : fw_key_u64(k) == cgroup)
			return true;
	}
	return d->all;
}

/* may its cgroup lie inside one that ended? not if it is somebody itself: then that counts */
static bool may_be_below(const struct fw_diag *d, uint64_t cgroup)
{
	struct fw_elem e = fw_elem_cgroup(cgroup, 0);

	return d->below && cgroup && !fw_state_get(d->state, &e.key, NULL);
}

static void take(struct fw_diag *d, const struct found *f, bool sure)
{
	struct found other;

	if (!sure) {
		if (d->n_found < FOUND_MAX)
			d->found[d->n_found++] = *f;
		return;
	}
	if (d->n_sure == FOUND_MAX)
		return;
	other = d->found[d->n_sure];
	d->found[d->n_sure] = *f;
	if (d->n_sure++ == d->n_found)
		d->n_found++;
	else if (d->n_found < FOUND_MAX)
		d->found[d->n_found++] = other;
}

static int on_socket(const struct nlmsghdr *h, void *arg)
{
	struct fw_diag *d = arg;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *at;
	struct found f = { .id = m->id, .family = m->idiag_family, .proto = kinds[d->kind].proto };
	uint64_t cgroup = 0;
	bool sure;

	mnl_attr_for_each(at, h, sizeof(*m))
	{
		if (mnl_attr_get_type(at) == INET_DIAG_CGROUP_ID &&
			mnl_attr_validate(at, MNL_TYPE_U64) >= 0)
			cgroup = mnl_attr_get_u64(at);
	}
	sure = is_ended(d, m->idiag_uid, cgroup);
	if (sure || may_be_below(d, cgroup))
		take(d, &f, sure);
	return MNL_CB_OK;
}

static int list_sockets(struct fw_diag *d)
{
	char buf[512] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *r;
	int rc;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->sdiag_family = kinds[d->kind].family;
	r->sdiag_protocol = kinds[d->kind].proto;
	r->idiag_states = kinds[d->kind].proto == IPPROTO_TCP ? STATES : 1u << TCP_ESTABLISHED;
	rc = ask(d, d->diag, h, on_socket, d);
	return rc == -ENOENT ? 0 : rc; /* no such protocol: no such sockets */
}

/* ---- is its flow dead? ---- */

static int on_ct(const struct nlmsghdr *h, void *arg)
{
	uint32_t *mark = arg;
	const struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(at) == CTA_MARK && mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			*mark = ntohl(mnl_attr_get_u32(at));
	}
	return MNL_CB_OK;
}

/* IPv4 on a socket of IPv6 is IPv4 to conntrack */
static bool is_mapped(const struct found *f)
{
	return f->family == AF_INET6 && f->id.idiag_src[0] == 0 && f->id.idiag_src[1] == 0 &&
	       f->id.idiag_src[2] == htonl(0xffff);
}

static void put_tuple(struct nlmsghdr *h, const struct found *f, bool six)
{
	struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG), *part;
	size_t word = is_mapped(f) ? 3 : 0;

	part = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put(h, six ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, six ? 16 : 4, &f->id.idiag_src[word]);
	mnl_attr_put(h, six ? CTA_IP_V6_DST : CTA_IP_V4_DST, six ? 16 : 4, &f->id.idiag_dst[word]);
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, f->proto);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, f->id.idiag_sport);
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, f->id.idiag_dport);
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
}

/* a flow that conntrack does not know is judged anew by its next packet */
static bool is_dead(struct fw_diag *d, const struct found *f)
{
	char buf[512] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	bool six = f->family == AF_INET6 && !is_mapped(f);
	struct nfgenmsg *g;
	struct fw_elem live, old;
	uint32_t mark = 0;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = six ? AF_INET6 : AF_INET;
	put_tuple(h, f, six);
	if (ask(d, d->ct, h, on_ct, &mark) < 0 || mark == 0 || mark == FW_MARK_LO)
		return false;
	live = fw_elem_live(mark, 0, false);
	old = fw_elem_remark(mark, 1);
	return !fw_state_get(d->state, &live.key, NULL) && !fw_state_get(d->state, &old.key, NULL);
}

/* by its cookie: never another one that has its place by now */
static void destroy(struct fw_diag *d, const struct found *f)
{
	char buf[512] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *r;
	int rc;

	h->nlmsg_type = SOCK_DESTROY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->sdiag_family = f->family;
	r->sdiag_protocol = f->proto;
	r->id = f->id;
	rc = ask(d, d->diag, h, NULL, NULL);
	if (rc == -EOPNOTSUPP)
		d->off = true;
}
