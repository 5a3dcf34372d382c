/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_nft.c - nft text into the kernel by libnftables; the only file that includes it
 *
 * Used for whole rulesets, by the pusher process alone: libnftables may call exit(). One context
 * a transaction, so that its cache neither grows nor goes stale beside the hot path's own socket.
 */
#include "fw/push_int.h"

#include <stdio.h>
#include <string.h>
#include <nftables/libnftables.h>

int fw_nft_run(const char *text, char ret_why[FW_WHY_MAX])
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *words;
	int rc = 0;

	if (!ctx) {
		snprintf(ret_why, FW_WHY_MAX, "libnftables: no context");
		return -ENOMEM;
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
	return rc;
}
