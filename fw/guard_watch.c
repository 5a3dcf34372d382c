/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_watch.c - the kernel's notifications about nftables, down to what matters to the guard
 *
 * Runs in gi-netagent's pusher process. A socket of its own; a filter in the kernel keeps away what
 * we changed ourselves (by the hot path's socket, which libnftables uses, too), so that a login
 * wakes nobody here. A lost notification counts as a change of everything.
 */
#include "fw/guard_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define WATCH_BYTES (1 << 20)

/* messages of one transaction come together and have one writer: the first one's tells */
static int pass_over(int fd, uint32_t portid)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(portid), 0, 1), /* it loads big-endian */
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = { .len = GI_ARRAY_SIZE(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

int fw_watch_open(uint32_t portid, struct mnl_socket **ret)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int group = NFNLGRP_NFTABLES, bytes = WATCH_BYTES, rc = 0;

	if (!nl)
		return -errno;
	rc = pass_over(mnl_socket_get_fd(nl), portid);
	(void)setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (rc == 0 && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		rc = -errno;
	if (rc == 0 && mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		rc = -errno;
	if (rc < 0)
		mnl_socket_close(nl);
	else
		*ret = nl;
	return rc;
}

static const char *what_word(uint16_t msg)
{
	switch (msg) {
	case NFT_MSG_NEWTABLE:
		return "the table's flags";
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
		return "a chain";
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		return "a rule";
	case NFT_MSG_NEWSET:
	case NFT_MSG_DELSET:
		return "a set";
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		return "an element";
	default:
		return "something";
	}
}

/* who: the process that ended a transaction with this message */
static void on_gen(const struct nlmsghdr *h, struct fw_seen *seen)
{
	char name[17] = "";
	uint32_t pid = 0;
	struct nlattr *at;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(at);

		if (type == NFTA_GEN_PROC_PID && mnl_attr_validate(at, MNL_TYPE_U32) >= 0)
			pid = ntohl(mnl_attr_get_u32(at));
		else if (type == NFTA_GEN_PROC_NAME &&
			 mnl_attr_validate(at, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(name, sizeof(name), "%s", mnl_attr_get_str(at));
	}
	seen->open = false;
	if ((seen->changed || seen->gone) && !seen->who[0])
		snprintf(seen->who, sizeof(seen->who), "%s, pid %u", name[0] ? name : "somebody",
			pid);
}

static void on_message(const struct nlmsghdr *h, struct fw_seen *seen)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	uint16_t msg = NFNL_MSG_TYPE(h->nlmsg_type);
	bool chain = msg == NFT_MSG_NEWCHAIN || msg == NFT_MSG_DELCHAIN;
	const char *table = "", *name = "";
	struct nlattr *at;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	if (msg == NFT_MSG_NEWGEN) {
		on_gen(h, seen);
		return;
	}
	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(at);

		if (mnl_attr_validate(at, MNL_TYPE_NUL_STRING) < 0)
			continue;
		if (type == NFTA_TABLE_NAME) /* in all of them */
			table = mnl_attr_get_str(at);
		else if (type == (chain ? NFTA_CHAIN_NAME : NFTA_SET_NAME) &&
			 msg != NFT_MSG_NEWTABLE) /* RULE_CHAIN and SET_ELEM_LIST_SET, too */
			name = mnl_attr_get_str(at);
	}
	if (g->nfgen_family != NFPROTO_INET || strcmp(table, FW_TABLE) != 0) {
		seen->others = true;
		return;
	}
	if (msg == NFT_MSG_DELTABLE)
		seen->gone = true;
	else if (!seen->changed)
		snprintf(seen->what, sizeof(seen->what), "%s%s%.40s", what_word(msg),
			name[0] ? " of " : "", name);
	seen->changed = seen->open = true;
}

void fw_watch_read(struct mnl_socket *nl, struct fw_seen *seen)
{
	uint8_t buf[16384] __attribute__((aligned(8)));

	for (;;) {
		ssize_t n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf;
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || n > (ssize_t)sizeof(buf)) { /* ENOBUFS */
			seen->lost = seen->others = true;
			seen->open = false; /* its end may be among them */
			if (n < 0 && errno != ENOBUFS)
				return;
			continue;
		}
		for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len))
			on_message(h, seen);
	}
}
