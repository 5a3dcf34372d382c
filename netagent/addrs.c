/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addrs.c - rtnetlink watch and dump of addresses, see addrs.h
 *
 * Source: rtnetlink(7), netlink(7). Two sockets: one only hears notifications and is drained
 * without being read in detail; the dump has its own, so that answers and news do not mix.
 */
#include "netagent/addrs.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

struct na_addrs_watch {
	struct io_loop *loop;
	struct io_fd watch;
	struct io_timer settle;
	int news_fd;
	const struct conf_list *exclude;
	void (*changed)(void *arg, const struct na_addrs *a, bool cut);
	void *arg;
	struct na_addrs told;
};

struct dump {
	const struct conf_list *exclude;
	struct gi_addr *list; /* owned */
	size_t n, cap;
};

static int route_socket(unsigned int groups)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static bool excluded(const struct dump *d, unsigned int index)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(index, name)) /* gone since */
		return true;
	for (size_t i = 0; i < d->exclude->n; i++) {
		if (strcmp(d->exclude->items[i], name) == 0)
			return true;
	}
	return false;
}

static int dump_push(struct dump *d, const void *bytes, size_t len)
{
	struct gi_addr a, *list;

	if (gi_addr_from_bytes(bytes, len, &a) < 0)
		return 0;
	if (d->n == d->cap) {
		list = reallocarray(d->list, d->cap ? d->cap * 2 : 16, sizeof(*list));
		if (!list)
			return -ENOMEM;
		d->list = list;
		d->cap = d->cap ? d->cap * 2 : 16;
	}
	d->list[d->n++] = a;
	return 0;
}

static int dump_message(struct dump *d, const struct nlmsghdr *nh)
{
	const struct ifaddrmsg *ifa = NLMSG_DATA(nh);
	const struct rtattr *rta, *local = NULL, *addr = NULL;
	uint32_t flags = ifa->ifa_flags;
	int left = (int)IFA_PAYLOAD(nh);

	if (nh->nlmsg_type != RTM_NEWADDR || nh->nlmsg_len < NLMSG_LENGTH(sizeof(*ifa)))
		return 0;
	for (rta = IFA_RTA(ifa); RTA_OK(rta, left); rta = RTA_NEXT(rta, left)) {
		if (rta->rta_type == IFA_LOCAL)
			local = rta;
		else if (rta->rta_type == IFA_ADDRESS)
			addr = rta;
		else if (rta->rta_type == IFA_FLAGS && RTA_PAYLOAD(rta) >= sizeof(flags))
			memcpy(&flags, RTA_DATA(rta), sizeof(flags));
	}
	/* of a point-to-point link, IFA_ADDRESS is the other end */
	if (!local)
		local = addr;
	if (!local || ifa->ifa_scope != RT_SCOPE_UNIVERSE ||
		(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) || excluded(d, ifa->ifa_index))
		return 0;
	return dump_push(d, RTA_DATA(local), RTA_PAYLOAD(local));
}

/* 1: the dump is complete */
static int dump_packet(struct dump *d, const void *buf, size_t len)
{
	const struct nlmsghdr *nh = buf;
	unsigned int left = (unsigned int)len;

	for (; NLMSG_OK(nh, left); nh = NLMSG_NEXT(nh, left)) {
		int err;

		if (nh->nlmsg_type == NLMSG_DONE)
			return 1;
		if (nh->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(nh);

			return nh->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) && e->error < 0 ? e->error
											 : -EIO;
		}
		err = dump_message(d, nh);
		if (err < 0)
			return err;
	}
	return 0;
}

static int dump_all(struct dump *d)
{
	struct {
		struct nlmsghdr nh;
		struct ifaddrmsg ifa;
	} req = { .nh = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			  .nlmsg_type = RTM_GETADDR,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	struct timeval tv = { .tv_sec = 2 }; /* the kernel answers at once or something is wrong */
	char buf[32768] __attribute__((aligned(8)));
	int fd = route_socket(0), err = 0;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (send(fd, &req, req.nh.nlmsg_len, 0) < 0)
		err = -errno;
	while (err == 0) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		err = n < 0 ? -errno : dump_packet(d, buf, (size_t)n);
	}
	close(fd);
	return err < 0 ? err : 0;
}

static int addr_cmp(const void *a, const void *b)
{
	return gi_addr_cmp(a, b);
}

static int read_now(struct na_addrs_watch *w, struct na_addrs *ret, bool *ret_cut)
{
	struct dump d = { .exclude = w->exclude };
	int err = dump_all(&d);

	*ret_cut = false;
	if (err == 0) {
		ret->n = 0;
		if (d.n)
			qsort(d.list, d.n, sizeof(*d.list), addr_cmp);
		for (size_t i = 0; i < d.n; i++) {
			if (ret->n && gi_addr_cmp(&ret->list[ret->n - 1], &d.list[i]) == 0)
				continue;
			if (ret->n == WIRE_ADDRS_MAX) {
				*ret_cut = true;
				break;
			}
			ret->list[ret->n++] = d.list[i];
		}
	}
	free(d.list);
	return err;
}

static void settle_cb(struct io_timer *t)
{
	struct na_addrs_watch *w = t->arg;
	struct na_addrs now;
	bool cut;

	if (read_now(w, &now, &cut) < 0) { /* out of memory or descriptors: once more */
		io_timer_start(w->loop, &w->settle, 1000, 0, settle_cb, w);
		return;
	}
	if (na_addrs_equal(&now, &w->told))
		return;
	w->told = now;
	w->changed(w->arg, &now, cut);
}

static void news_cb(struct io_fd *f, unsigned int events)
{
	struct na_addrs_watch *w = f->arg;
	char buf[8192];

	(void)events;
	/* ENOBUFS says that something was lost: the dump does not mind */
	while (recv(w->news_fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
	io_timer_stop(w->loop, &w->settle);
	io_timer_start(w->loop, &w->settle, NA_ADDRS_SETTLE_MS, 0, settle_cb, w);
}

int na_addrs_new(struct io_loop *l, const struct conf_list *exclude,
	void (*changed)(void *, const struct na_addrs *, bool), void *arg, struct na_addrs *ret_now,
	struct na_addrs_watch **ret)
{
	struct na_addrs_watch *w = calloc(1, sizeof(*w));
	bool cut;
	int err;

	if (!w)
		return -ENOMEM;
	w->loop = l;
	w->exclude = exclude;
	w->changed = changed;
	w->arg = arg;
	/* first the ear, then the look: nothing falls between */
	w->news_fd = route_socket(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	err = w->news_fd < 0 ? w->news_fd : read_now(w, &w->told, &cut);
	if (err < 0) {
		if (w->news_fd >= 0)
			close(w->news_fd);
		free(w);
		return err;
	}
	io_fd_start(l, &w->watch, w->news_fd, IO_READ, news_cb, w);
	*ret_now = w->told;
	*ret = w;
	return 0;
}

void na_addrs_free(struct na_addrs_watch *w)
{
	if (!w)
		return;
	io_fd_stop(w->loop, &w->watch);
	io_timer_stop(w->loop, &w->settle);
	close(w->news_fd);
	free(w);
}
