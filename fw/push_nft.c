/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_nft.c - nft text into the kernel by libnftables; the only file that includes it
 *
 * Used for whole rulesets, by the pusher process alone: libnftables may call exit(). One context
 * a transaction, so that its cache neither grows nor goes stale beside the hot path. It talks over
 * the hot path's socket, put in the place of the one that it opened: the kernel knows a table's
 * owner by the socket, and the watch its own changes.
 */
#include "fw/push_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 256 /* the pusher has a handful */

static bool is_nftables(int fd)
{
	int domain = 0, protocol = -1;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_NETLINK)
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == NETLINK_NETFILTER;
}

/* a context whose socket is @fd (a duplicate: it closes it); NULL: it has opened none */
static struct nft_ctx *ctx_over(int fd)
{
	bool open[FDS_MAX];
	struct nft_ctx *ctx;

	for (int i = 0; i < FDS_MAX; i++)
		open[i] = fcntl(i, F_GETFD) >= 0;
	ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	for (int i = 0; ctx && i < FDS_MAX; i++)
		if (!open[i] && is_nftables(i) && dup3(fd, i, O_CLOEXEC) == i)
			return ctx;
	if (ctx)
		nft_ctx_free(ctx);
	return NULL;
}

/* libnftables reads until there is nothing; we wait for answers */
static int set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fw_nft_run(int fd, const char *text, char ret_why[FW_WHY_MAX])
{
	struct nft_ctx *ctx = ctx_over(fd);
	const char *words;
	int rc = ctx ? set_blocking(fd, false) : -ENOMEM;

	if (rc < 0) {
		snprintf(ret_why, FW_WHY_MAX, "libnftables: no context");
		if (ctx)
			nft_ctx_free(ctx);
		return rc;
	}
	if (nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx)) {
		snprintf(ret_why, FW_WHY_MAX, "libnftables: no buffer");
		rc = -ENOMEM;
		goto out;
	}
	if (nft_run_cmd_from_buffer(ctx, text) != 0) {
		words = nft_ctx_get_error_buffer(ctx);
		snprintf(ret_why, FW_WHY_MAX, "%.*s", (int)strcspn(words ? words : "", "\n"),
			words ? words : "");
		rc = -EIO;
	}
out:
	nft_ctx_free(ctx);
	if (set_blocking(fd, true) < 0 && rc == 0)
		rc = -EIO;
	return rc;
}
